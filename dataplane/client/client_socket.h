/* SPDX-License-Identifier: BSD-3-Clause */
/* The one UDP socket of a client: many datagrams per system call. */
#ifndef DATAPLANE_CLIENT_CLIENT_SOCKET_H
#define DATAPLANE_CLIENT_CLIENT_SOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/client/client_address.h"
#include "dataplane/client/godwit.h"

/* Datagrams per system call. */
#define CLIENT_SOCKET_BURST 32u
/* Bytes of the largest UDP payload the client sends or takes in: a jumbo frame's, and some more. */
#define CLIENT_DATAGRAM_SIZE_MAX 16384u

struct client_socket {
	int fd;
	uint8_t *buffers; /* CLIENT_SOCKET_BURST x CLIENT_DATAGRAM_SIZE_MAX */
};

struct client_datagram {
	struct client_address address;
	const uint8_t *bytes;
	size_t size;
};

/* 'local' is the address to send from, port 0 = the kernel's choice, NULL = all of it is.
 * GODWIT_OK, GODWIT_SYSTEM_ERROR (errno), GODWIT_NO_MEMORY.
 */
enum godwit_status client_socket_open(struct client_socket *socket,
				      const struct client_address *local, uint32_t buffer_bytes);
/* Accepts one that could not be opened. */
void client_socket_close(struct client_socket *socket);

/* Sends up to CLIENT_SOCKET_BURST datagrams; returns how many the kernel took. When that is none:
 * -errno of the first.
 */
int client_socket_send(struct client_socket *socket, const struct client_datagram *datagrams,
		       size_t count);

/* Receives up to CLIENT_SOCKET_BURST datagrams without waiting; returns how many. Their bytes live
 * until the next call. A datagram that was longer than CLIENT_DATAGRAM_SIZE_MAX has size 0.
 */
size_t client_socket_receive(struct client_socket *socket, struct client_datagram *datagrams);

#endif
