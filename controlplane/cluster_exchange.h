/* SPDX-License-Identifier: BSD-3-Clause */
/* Exchanges of whole states between two nodes over the bus: push-pull, and how a node joins. */
#ifndef CONTROLPLANE_CLUSTER_EXCHANGE_H
#define CONTROLPLANE_CLUSTER_EXCHANGE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_transport.h"
#include "controlplane/cluster_host.h"
#include "controlplane/gossip_message.h"

/* From the answer to the state. */
#define CLUSTER_EXCHANGE_MS 5000u
/* At once, this node's own; more are not begun. */
#define CLUSTER_EXCHANGE_COUNT_MAX 128u

/* What exchanges need of their node. */
struct cluster_exchange_host {
	void *context;
	/* This node's state; as gossip_state(). */
	int (*state)(void *context, bool is_request, enum gossip_scope scope, uint8_t *bytes,
		     size_t size_max);
	/* The other side's state. Returns true when it asks for an answer, of '*scope'. */
	bool (*take)(void *context, const uint8_t *bytes, size_t size, enum gossip_scope *scope);
	/* An exchange begun here is over: 'close' tells why it failed, NULL = it went well. */
	void (*done)(void *context, const struct node_address *to,
		     const struct cluster_exchange_purpose *purpose, const struct bus_close *close);
};

/* Thread safety: none; the event loop owns it. */
struct cluster_exchange;

/* Offers the service. 'transport' must be destroyed first. 0 or -ENOMEM. */
int cluster_exchange_create(struct cluster_exchange **exchange, struct bus_transport *transport,
			    struct event_base *base, const struct cluster_exchange_host *host);
/* Ends all exchanges without a call to the host. Accepts NULL. */
void cluster_exchange_destroy(struct cluster_exchange *exchange);

/* Sends this node's state to 'to' and takes its answer in. 0, or -ENOBUFS: nothing was begun, 'done' is
 * not called.
 */
int cluster_exchange_begin(struct cluster_exchange *exchange, const struct node_address *to,
			   enum gossip_scope scope, const struct cluster_exchange_purpose *purpose);

#endif
