/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a server listens: read from text, written to text. */
#ifndef DATAPLANE_CLIENT_CLIENT_ADDRESS_H
#define DATAPLANE_CLIENT_CLIENT_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_address {
	uint32_t ipv4; /* host byte order */
	uint16_t port; /* 0 = no address */
};

static inline bool client_address_equal(struct client_address a, struct client_address b)
{
	return a.ipv4 == b.ipv4 && a.port == b.port;
}

/* Reads "ADDRESS[:PORT]"; ADDRESS is dotted IPv4 or a name, which is looked up (blocking). False:
 * neither.
 */
bool client_address_parse(const char *text, uint16_t port_default, struct client_address *address);

/* Reads a list separated by commas into 'addresses'. Returns how many, or 0 when one cannot be read
 * or they are more than 'count_max'.
 */
size_t client_address_parse_list(const char *text, uint16_t port_default,
				 struct client_address *addresses, size_t count_max);

/* Writes "a.b.c.d:port", always terminated; 24 bytes are enough. */
void client_address_format(struct client_address address, char *text, size_t text_size);

void client_address_to_socket(struct client_address address, struct sockaddr_in *socket_address);
struct client_address client_address_of_socket(const struct sockaddr_in *socket_address);

#endif
