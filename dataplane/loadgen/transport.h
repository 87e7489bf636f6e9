/* SPDX-License-Identifier: BSD-3-Clause */
/* How datagrams reach the server: one interface over a DPDK port and over kernel sockets. */
#ifndef LOADGEN_TRANSPORT_H
#define LOADGEN_TRANSPORT_H

#include <stdint.h>

/* Datagrams per call. */
#define TRANSPORT_BURST_MAX 32u

/* Flows one worker may have. */
#define TRANSPORT_FLOW_COUNT_MAX 256u

struct transport_datagram {
	uint8_t *payload;
	uint32_t size; /* bytes of payload; when acquired, the room there is */
	uint32_t flow; /* index: of the local address and port it goes out from or came in at */
	void *buffer;  /* the transport's own */
};

struct transport;

struct transport_ops {
	/* Gives flow 'flow' a local port of its own, and the server's UDP port 'server_port' as its
	 * peer; again when it has both: changes the peer. 0, or -errno with one line in 'error'.
	 */
	int (*open_flow)(struct transport *transport, uint32_t flow, uint16_t server_port,
			 char *error, uint32_t error_size);

	/* The server has so many workers. 0, or -errno with one line in 'error' when the transport
	 * cannot reach them all.
	 */
	int (*meet_server)(struct transport *transport, uint16_t server_workers, char *error,
			   uint32_t error_size);

	/* Up to 'count' empty datagrams to fill; fewer, or none, while earlier ones wait to be
	 * sent.
	 */
	uint32_t (*acquire)(struct transport *transport, struct transport_datagram *datagrams,
			    uint32_t count);

	/* Sends filled datagrams in order. Takes all; what the device does not take at once follows
	 * before the next ones.
	 */
	void (*send)(struct transport *transport, struct transport_datagram *datagrams,
		     uint32_t count);

	/* Up to 'count' received datagrams; the payloads stay valid until they are released. Sends
	 * what waits to be sent.
	 */
	uint32_t (*receive)(struct transport *transport, struct transport_datagram *datagrams,
			    uint32_t count);

	/* Gives back received datagrams, or acquired ones that are not to be sent. */
	void (*release)(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count);

	/* There is nothing to do for 'microseconds': may sleep until then or until something
	 * arrives, or return at once.
	 */
	void (*rest)(struct transport *transport, uint32_t microseconds);

	/* Closes; 'transport' is NULL or from the transport's create function. */
	void (*destroy)(struct transport *transport);
};

/* One worker's transport; the implementation embeds it.
 *
 * Thread safety: one thread at a time.
 */
struct transport {
	const struct transport_ops *ops;
	uint32_t payload_size_max; /* bytes of UDP payload */
	uint64_t unexpected;       /* frames or datagrams received that belong to no flow */
	uint64_t send_errors;      /* datagrams the device or kernel refused */
};

#endif
