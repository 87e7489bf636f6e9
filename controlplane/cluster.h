/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's part in its cluster, as a pure machine: the gossip machine's driver, joining, leaving, the fence,
 * and the routes of the data plane. What it is bound to is in cluster_host.h.
 */
#ifndef CONTROLPLANE_CLUSTER_H
#define CONTROLPLANE_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/cluster_config.h"
#include "controlplane/cluster_news.h"
#include "controlplane/fence.h"
#include "controlplane/gossip.h"
#include "controlplane/log.h"
#include "controlplane/refusal.h"
#include "dataplane/route_table.h"

/*               found, or no bus
 *      WAITING ------------------> MEMBER ---------> LEAVING ---------> LEFT
 *         |  ^                        ^      asked      |   it owns no     (the process ends)
 *    asked|  | given up: asked        | a member        |   partition any
 *         v  | by the operator        | answers         |   more
 *      JOINING -----------------------+   or found      |
 *         |                           ^                 |
 *         |                           +-----------------+ cancelled
 *         +---> (given up, told so by the configuration: the process ends)
 */
enum cluster_phase {
	CLUSTER_WAITING, /* in no cluster, until the operator says what to do */
	CLUSTER_JOINING,
	CLUSTER_MEMBER, /* also a node by itself, without a bus */
	CLUSTER_LEAVING,
	CLUSTER_LEFT,
	CLUSTER_PHASE_COUNT,
};

const char *cluster_phase_name(enum cluster_phase phase);

/* Why the cluster ends the process. */
enum cluster_end {
	CLUSTER_END_LEFT,        /* all went as asked */
	CLUSTER_END_CANNOT_JOIN, /* the configuration does not fit the cluster; logged */
	CLUSTER_END_EXCLUDED, /* removed by the operator, or the name is another node's; logged */
};

struct bus_counters;

/* Thread safety: none; the control thread owns it. It knows no socket and no clock. */
struct cluster;

/* --- What the operator wants. 0, or -errno and a sentence in 'error' (CLUSTER_ERROR_SIZE bytes): what
 * is wrong and what to do. Nothing changed then. ---
 */
#define CLUSTER_ERROR_SIZE REFUSAL_TEXT_SIZE

/* This node becomes the first one of a new cluster. */
int cluster_found(struct cluster *cluster, char *error);
/* Starts to join; how it goes is told by cluster_phase() and cluster_join_reason(). */
int cluster_join(struct cluster *cluster, const struct node_address *seeds, uint32_t seed_count,
		 char *error);
/* Starts to leave, or takes it back: the process ends when the node owns no partition any more. */
int cluster_leave(struct cluster *cluster, bool is_leaving, char *error);
/* Forgets the member named 'name', which is dead or has left. */
int cluster_remove(struct cluster *cluster, const char *name, char *error);
/* Takes 'partition' without its data: its owner is gone for good, or is this node and lost it with an earlier life. */
int cluster_claim(struct cluster *cluster, uint32_t partition, char *error);
/* Reads the key file again. */
int cluster_reload_keys(struct cluster *cluster, char *error);

/* --- What is known --- */

const struct cluster_config *cluster_config_of(const struct cluster *cluster);
enum cluster_phase cluster_phase(const struct cluster *cluster);
/* What the last attempt to join came to; "" = nothing to say. */
const char *cluster_join_reason(const struct cluster *cluster);
const struct gossip *cluster_gossip(const struct cluster *cluster);
enum fence_state cluster_fence_state(const struct cluster *cluster);
/* Members that have to tell yet before the fence opens, by the last round of questions; 0 = none, or it is open. */
uint32_t cluster_fence_waits_for(const struct cluster *cluster);
/* Whether this node answers for the partitions it owns. */
bool cluster_is_serving(const struct cluster *cluster);
bool cluster_sees_majority(const struct cluster *cluster);
/* The partitions whose data this node has. */
const struct partition_set *cluster_held(const struct cluster *cluster);
/* Whether the partition is this node's, and its data died with an earlier life of it. */
bool cluster_is_lost_here(const struct cluster *cluster, uint32_t partition);
/* The dead member that gave or took the partition when it was heard last, and may bring its data; NULL = none. */
const struct member *cluster_find_bringer(const struct cluster *cluster, uint32_t partition);
/* All 0 without a bus. */
void cluster_bus_counters(const struct cluster *cluster, struct bus_counters *counters);
/* Another cluster of the same name and key that was met; "" = none. */
const char *cluster_stranger(const struct cluster *cluster);

/* --- For this node's other parts --- */

/* At most CLUSTER_OBSERVER_COUNT_MAX; 'observer' outlives the cluster. Observers are called at the end of
 * a turn.
 */
void cluster_observe(struct cluster *cluster, const struct cluster_observer *observer);

/* Whether a worker stands still. */
void cluster_set_stalled(struct cluster *cluster, bool is_stalled);
void cluster_set_load(struct cluster *cluster, const struct node_load *load);

/* Announces what this node imports and migrates; goes out at once. */
void cluster_announce(struct cluster *cluster, const struct partition_set *importing,
		      const struct partition_set *migrating);

/* This node has the data of 'partition' (not any more). Routes follow at the next publication. */
void cluster_hold(struct cluster *cluster, uint32_t partition, bool is_held);

/* Ownership, entered in the map; the cluster is told, the workers by cluster_publish() only. True when it was news. */
bool cluster_learn(struct cluster *cluster, const struct partition_owner *owner);

/* Sees to it that a majority of the members has the partition's present entry of the map; observers hear when it has.
 * Goes on until then.
 */
void cluster_confirm(struct cluster *cluster, uint32_t partition);

/* Shows the present map to the workers. */
void cluster_publish(struct cluster *cluster);

#endif
