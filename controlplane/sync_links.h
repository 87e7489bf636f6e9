/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels between nodes for their migrations: opened by who has something to say, opened again when they break. */
#ifndef CONTROLPLANE_SYNC_LINKS_H
#define CONTROLPLANE_SYNC_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_transport.h"

#define SYNC_LINKS_SERVICE "sync"
/* Between two attempts to open a channel; doubled from the one to the other. */
#define SYNC_LINKS_RETRY_MS 50u
#define SYNC_LINKS_RETRY_MAX_MS 2000u
/* A channel that carried nothing for so long is closed, and none is opened for what was said so long ago. */
#define SYNC_LINKS_IDLE_MS 30000u

struct sync_links_host {
	void *context;
	/* Where the node's bus is. False: nobody knows, or it is dead. */
	bool (*find_address)(void *context, uint64_t node, struct node_address *address);
	void (*frame)(void *context, uint64_t node, const uint8_t *bytes, size_t size);
	/* Frames for 'node' travel (again). */
	void (*connected)(void *context, uint64_t node);
};

struct sync_links_counters {
	uint64_t opened; /* by this node */
	uint64_t broken; /* ended by the other side or by the network */
	uint64_t lost;   /* frames that no channel took */
};

/* Each node sends over a channel that it opened, or over one that the other opened and has sent over: normally there
 * is one between two nodes, two when both began at once.
 *
 * Thread safety: none; the event loop owns it.
 */
struct sync_links;

/* Offers the service at 'transport', which is destroyed later and handles no event in between. 0 or -ENOMEM. */
int sync_links_create(struct sync_links **links, struct bus_transport *transport,
		      const struct world *world, const struct sync_links_host *host);
/* Ends all channels. Accepts NULL. */
void sync_links_destroy(struct sync_links *links);

/* Queues a frame for 'node'. Without a channel the frame is lost, and one is opened. */
void sync_links_send(struct sync_links *links, uint64_t node, const uint8_t *bytes, size_t size);

/* Ends the channels to a node that is dead, or lives anew. */
void sync_links_reset(struct sync_links *links, uint64_t node);

/* Opens what is to be opened again, closes what is not needed any more; called every 100 ms or so. */
void sync_links_tick(struct sync_links *links);

/* Bytes of frames that are not given to the kernel yet. */
size_t sync_links_pending(const struct sync_links *links);

const struct sync_links_counters *sync_links_counters(const struct sync_links *links);

#endif
