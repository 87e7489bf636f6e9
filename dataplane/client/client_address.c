/* SPDX-License-Identifier: BSD-3-Clause */
/* Server addresses between text, numbers and sockets. */
#include "dataplane/client/client_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HOST_SIZE_MAX 254

static bool parse_port(const char *text, uint16_t *port)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || number == 0 || number > UINT16_MAX)
		return false;
	*port = (uint16_t)number;
	return true;
}

static bool look_up(const char *host, uint32_t *ipv4)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
	struct addrinfo *found;
	struct sockaddr_in first;

	if (getaddrinfo(host, NULL, &hints, &found) != 0)
		return false;
	memcpy(&first, found->ai_addr, sizeof(first));
	freeaddrinfo(found);
	*ipv4 = ntohl(first.sin_addr.s_addr);
	return true;
}

bool client_address_parse(const char *text, uint16_t port_default, struct client_address *address)
{
	const char *colon = strchr(text, ':');
	size_t host_size = colon ? (size_t)(colon - text) : strlen(text);
	char host[HOST_SIZE_MAX];
	struct in_addr number;

	address->port = port_default;
	if (host_size == 0 || host_size >= sizeof(host) ||
	    (colon && !parse_port(colon + 1, &address->port)))
		return false;
	memcpy(host, text, host_size);
	host[host_size] = '\0';
	if (inet_pton(AF_INET, host, &number) != 1)
		return look_up(host, &address->ipv4);
	address->ipv4 = ntohl(number.s_addr);
	return true;
}

size_t client_address_parse_list(const char *text, uint16_t port_default,
				 struct client_address *addresses, size_t count_max)
{
	size_t count = 0;

	for (const char *at = text;; at++) {
		size_t size = strcspn(at, ",");
		char one[HOST_SIZE_MAX + 6];

		while (size && *at == ' ')
			at++, size--;
		while (size && at[size - 1] == ' ')
			size--;
		if (count == count_max || size >= sizeof(one))
			return 0;
		memcpy(one, at, size);
		one[size] = '\0';
		if (!client_address_parse(one, port_default, &addresses[count++]))
			return 0;
		at += strcspn(at, ",");
		if (!*at)
			return count;
	}
}

void client_address_format(struct client_address address, char *text, size_t text_size)
{
	snprintf(text, text_size, "%u.%u.%u.%u:%u", address.ipv4 >> 24, address.ipv4 >> 16 & 255u,
		 address.ipv4 >> 8 & 255u, address.ipv4 & 255u, address.port);
}

void client_address_to_socket(struct client_address address, struct sockaddr_in *socket_address)
{
	*socket_address = (struct sockaddr_in){ .sin_family = AF_INET,
						.sin_port = htons(address.port),
						.sin_addr.s_addr = htonl(address.ipv4) };
}

struct client_address client_address_of_socket(const struct sockaddr_in *socket_address)
{
	return (struct client_address){ ntohl(socket_address->sin_addr.s_addr),
					ntohs(socket_address->sin_port) };
}
