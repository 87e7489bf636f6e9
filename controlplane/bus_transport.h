/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus of one node: a UDP socket for datagrams, a TCP listener, and channels to other nodes. */
#ifndef CONTROLPLANE_BUS_TRANSPORT_H
#define CONTROLPLANE_BUS_TRANSPORT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_channel.h"
#include "controlplane/log.h"

/* Channels at once, both directions; more are refused by closing the connection. */
#define BUS_CHANNEL_COUNT_MAX 512u
/* Of them, those of strangers, who have not shown the key. One more takes the place of the one that has been silent for longest, so
 * that nobody without the key keeps members out.
 */
#define BUS_STRANGER_COUNT_MAX 64u
#define BUS_SERVICE_COUNT_MAX 4u

struct bus_counters {
	uint64_t datagrams_in; /* authentic ones */
	uint64_t datagrams_out;
	uint64_t datagram_bytes_in; /* on the wire: UDP payload, the refused ones too */
	uint64_t datagram_bytes_out;
	uint64_t send_failures;
	uint64_t refused[BUS_RESULT_COUNT]; /* datagrams and first messages, by reason */
	uint64_t connections_refused;       /* too many, or nothing was said */
	struct bus_channel_counters channels;
};

struct bus_transport_options {
	struct event_base *base;
	const struct world *world;
	struct log *log;
	const char *cluster_name;
	const struct bus_keys *keys; /* NULL: insecure */
	uint32_t listen_ipv4;        /* host byte order */
	uint16_t listen_port;        /* 0 = any */
	/* Called with 'context': */
	void (*introduce)(void *context, struct bus_peer *self);
	/* Whether a peer may open a channel at all; the service is asked afterwards. */
	enum bus_refusal (*admit)(void *context, const struct bus_open *open, char *detail);
	/* An authentic datagram. */
	void (*datagram)(void *context, const struct node_address *from, const uint8_t *bytes,
			 size_t size);
	void *context;
};

/* Takes a channel that a peer opened for a service: sets its handlers and returns BUS_ACCEPTED, or
 * refuses and may write into 'detail' (BUS_DETAIL_SIZE bytes) why. Frames may be sent once the first
 * one has come.
 */
typedef enum bus_refusal bus_accept_fn(void *context, struct bus_channel *channel,
				       const struct bus_peer *peer, char *detail);

/* Messages that are refused are counted by reason, and logged at a bounded rate.
 *
 * Thread safety: none; the event loop owns it.
 */
struct bus_transport;

/* Binds both sockets. 0, or -errno after writing what failed and what to do into 'error'. */
int bus_transport_create(struct bus_transport **transport,
			 const struct bus_transport_options *options, char *error,
			 size_t error_size);
/* Ends all channels without a call to their owners. Accepts NULL. */
void bus_transport_destroy(struct bus_transport *transport);

/* Where it listens; the port that was taken when 0 was asked for. */
uint16_t bus_transport_port(const struct bus_transport *transport);

/* Seals and sends a datagram of at most BUS_PLAIN_SIZE_MAX bytes. What cannot be sent is lost and
 * counted, as on the way.
 */
void bus_transport_send(struct bus_transport *transport, const struct node_address *to,
			const uint8_t *bytes, size_t size);

/* Offers a service to peers. 'name' (less than BUS_SERVICE_NAME_SIZE characters) is borrowed. 0 or
 * -ENOSPC.
 */
int bus_transport_serve(struct bus_transport *transport, const char *name, bus_accept_fn *accept,
			void *context);

/* Opens a channel for 'service' at 'to'; see bus_channel.h for what happens then. NULL without
 * memory, or at BUS_CHANNEL_COUNT_MAX.
 */
struct bus_channel *bus_transport_open(struct bus_transport *transport,
				       const struct node_address *to, const char *service,
				       const struct bus_channel_handlers *handlers, void *context);

/* Other keys from now on; see bus_crypto_set_keys(). */
void bus_transport_set_keys(struct bus_transport *transport, const struct bus_keys *keys);

void bus_transport_counters(const struct bus_transport *transport, struct bus_counters *counters);

#endif
