/* SPDX-License-Identifier: BSD-3-Clause */
/* A channel: one TCP connection between two nodes for one purpose, ordered frames both ways, sealed.
 */
#ifndef CONTROLPLANE_BUS_CHANNEL_H
#define CONTROLPLANE_BUS_CHANNEL_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_close.h"
#include "controlplane/world.h"

/* On the wire, after BUS_STREAM_HELLO_SIZE random bytes from each side:
 *
 *      0               4
 *      +---------------+================+
 *      | sealed size   | sealed message |   bus_stream_seal(); network byte order
 *      +---------------+================+
 *
 * The first message of the side that connects is a bus_open, the other side's a bus_answer. What
 * follows is for the service.
 */
#define BUS_FRAME_SIZE_MAX BUS_STREAM_PLAIN_SIZE_MAX

/* What has not been sent so long after the end was wanted is thrown away. */
#define BUS_FLUSH_MS 2000u
/* Unsent bytes of one channel; more is refused. */
#define BUS_CHANNEL_PENDING_MAX (32u * 1024u * 1024u)

/* Thread safety: none; the event loop owns it. */
struct bus_channel;

/* How the owner of a channel hears of it. Any may be NULL but 'closed'. */
struct bus_channel_handlers {
	/* The answer is yes: frames may be sent from now on. Not called on the accepting side. */
	void (*opened)(void *context, struct bus_channel *channel);
	/* A frame; 'bytes' live as long as the call. */
	void (*frame)(void *context, struct bus_channel *channel, const uint8_t *bytes,
		      size_t size);
	/* The last call: the channel is gone. Not called after bus_channel_close(). */
	void (*closed)(void *context, struct bus_channel *channel, const struct bus_close *close);
};

/* ---- for owners ---- */

/* Queues one frame of 1..BUS_FRAME_SIZE_MAX bytes. 0; -ENOBUFS when BUS_CHANNEL_PENDING_MAX would be
 * passed; -ENOTCONN before the answer; -ENOMEM.
 */
int bus_channel_send(struct bus_channel *channel, const void *bytes, size_t size);

/* Bytes not yet given to the kernel. */
size_t bus_channel_pending(const struct bus_channel *channel);

/* Other handlers from now on. */
void bus_channel_set_handlers(struct bus_channel *channel,
			      const struct bus_channel_handlers *handlers, void *context);

/* The other side; valid from 'opened' on, or when accepted. */
const struct bus_peer *bus_channel_peer(const struct bus_channel *channel);

/* Ends the channel: what is queued is still sent, for BUS_FLUSH_MS at most. No handler is called any
 * more; may be called by one. Accepts NULL.
 */
void bus_channel_close(struct bus_channel *channel);

/* ---- for the transport ---- */

struct bus_channel_counters {
	uint64_t opened;   /* this side connected, and the answer was yes */
	uint64_t accepted; /* the other side did */
	uint64_t refused;  /* this side said no */
	uint64_t bytes_in; /* on the wire */
	uint64_t bytes_out;
};

/* What all channels of a node share; outlives them. */
struct bus_channel_shared {
	struct event_base *base;
	const struct world *world;
	struct bus_crypto *crypto;
	struct bus_channel_counters counters;
	uint8_t *plain; /* BUS_FRAME_SIZE_MAX bytes: the frame being handled */
	void *context;
	/* What this node says of itself. */
	void (*introduce)(void *context, struct bus_peer *self);
	/* Decides on a channel that was opened to this node; sets its handlers when it accepts, may
	 * write into 'detail' (BUS_DETAIL_SIZE bytes, empty at first).
	 */
	enum bus_refusal (*admit)(void *context, struct bus_channel *channel,
				  const struct bus_open *open, char *detail);
	/* A message was refused; 'from' is where it came from. */
	void (*untrusted)(void *context, enum bus_result result, const struct node_address *from);
	/* Somebody connected and said nothing at all. */
	void (*unheard)(void *context, const struct node_address *from);
	struct bus_channel *channels; /* all, those being closed included */
	uint32_t channel_count;
	uint32_t stranger_count; /* of them, accepted ones without an authentic message yet */
};

/* Connects to 'to' from the local address 'from_ipv4' (host byte order; 0 = any). NULL without
 * memory or sockets; all other failures are told to 'closed', later.
 */
struct bus_channel *bus_channel_connect(struct bus_channel_shared *shared, uint32_t from_ipv4,
					const struct node_address *to, const char *service,
					const struct bus_channel_handlers *handlers, void *context);

/* Takes over a connection that 'from' made; closes 'fd' when it cannot. */
void bus_channel_accept(struct bus_channel_shared *shared, int fd, const struct node_address *from);

/* Closes the connection that has been a stranger's for longest; there is one. Not to be called by handlers. */
void bus_channel_drop_stranger(struct bus_channel_shared *shared);

/* Destroys all channels without a call to anyone. */
void bus_channel_destroy_all(struct bus_channel_shared *shared);

#endif
