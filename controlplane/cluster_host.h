/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster's life: what it needs of its node, and what its node tells it. */
#ifndef CONTROLPLANE_CLUSTER_HOST_H
#define CONTROLPLANE_CLUSTER_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_close.h"
#include "controlplane/cluster.h"
#include "controlplane/world.h"

/* What an exchange of states is for; handed back when it is over. */
enum cluster_exchange_kind {
	CLUSTER_EXCHANGE_GOSSIP,
	CLUSTER_EXCHANGE_FENCE,
	CLUSTER_EXCHANGE_SPREAD,
};

struct cluster_exchange_purpose {
	enum cluster_exchange_kind kind;
	uint32_t round;
};

/* The service of the bus that exchanges are; the only one for nodes that are in no cluster yet. */
#define CLUSTER_EXCHANGE_SERVICE "state"

/* The node as its cluster sees it: the daemon's, or a simulated one. None of them calls the cluster. Those of the bus are not
 * called when the node has none (cluster_config.has_bus).
 */
struct cluster_host {
	void *context;
	/* A datagram to the bus at 'to', copied. It may get lost. */
	void (*send)(void *context, const struct node_address *to, const uint8_t *bytes,
		     size_t size);
	/* Sends cluster_give_state() as a request of 'scope' to 'to', feeds its answer to cluster_take_state(), then tells
	 * cluster_exchanged(). 0, or -ENOBUFS: not begun, and nothing follows.
	 */
	int (*exchange)(void *context, const struct node_address *to, enum gossip_scope scope,
			const struct cluster_exchange_purpose *purpose);
	/* The bus uses 'keys' from now on. */
	void (*set_keys)(void *context, const struct bus_keys *keys);
	void (*count_bus)(void *context, struct bus_counters *counters);
	/* The workers use 'table', which is taken. */
	void (*set_routes)(void *context, struct route_table *table);
	/* A turn is over: cluster_due_ms() may be less than it was. */
	void (*wake)(void *context);
	/* The process has to end; called once. */
	void (*end)(void *context, enum cluster_end end);
};

struct cluster_options {
	const struct cluster_config *config; /* copied */
	const struct world *world;
	struct log *log;
	struct cluster_host host;
};

/* Publishes routes by which nobody owns anything. 0, -ENOMEM or -EINVAL. */
int cluster_create(struct cluster **cluster, const struct cluster_options *options);
/* Accepts NULL. */
void cluster_destroy(struct cluster *cluster);

/* Starts to join or to found as the configuration says: when the host can send. */
void cluster_start(struct cluster *cluster);

/* --- Time --- */

/* Does what is due. When much is, some of it stays due: others have their turn first. */
void cluster_turn(struct cluster *cluster);
/* When cluster_turn() is to be called at the latest; CLUSTER_TICK_MS from now at most. */
uint64_t cluster_due_ms(const struct cluster *cluster);
#define CLUSTER_TICK_MS 100u

/* --- What comes over the bus --- */

/* An authentic datagram; 'bytes' live as long as the call. */
void cluster_take_datagram(struct cluster *cluster, const struct node_address *from,
			   const uint8_t *bytes, size_t size);

/* Writes this node's state, for an exchange; as gossip_state(). */
int cluster_give_state(struct cluster *cluster, bool is_request, enum gossip_scope scope,
		       uint8_t *bytes, size_t size_max);
/* The other side's state. Returns true when it asks for an answer, of '*scope'. */
bool cluster_take_state(struct cluster *cluster, const uint8_t *bytes, size_t size,
			enum gossip_scope *scope);
/* An exchange with 'to' that the cluster wanted is over: 'close' tells why it failed, NULL = its answer was taken, by the call
 * of cluster_take_state() right before. Not to be called by host->exchange().
 */
void cluster_exchanged(struct cluster *cluster, const struct node_address *to,
		       const struct cluster_exchange_purpose *purpose,
		       const struct bus_close *close);

/* What this node says of itself when a channel is opened. */
void cluster_introduce(const struct cluster *cluster, struct bus_peer *self);
/* Whether another node may open a channel to this one; may write why not into 'detail' (BUS_DETAIL_SIZE bytes). */
enum bus_refusal cluster_admit(struct cluster *cluster, const struct bus_open *open, char *detail);

#endif
