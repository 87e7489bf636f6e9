/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the gossip machine, for gossip.c, gossip_send.c and gossip_receive.c alone. */
#ifndef CONTROLPLANE_GOSSIP_PARTS_H
#define CONTROLPLANE_GOSSIP_PARTS_H

#include "controlplane/gossip.h"
#include "controlplane/gossip_queue.h"

#define GOSSIP_NEVER UINT64_MAX
#define GOSSIP_SELF 0u /* this node's index in membership */

/* Actions of one step beside those that members and partitions bring about. */
#define GOSSIP_ACTIONS_BESIDES 64u

struct gossip {
	struct membership *membership;
	struct partition_map map;
	struct gossip_queue queue;
	struct gossip_counters counters;
	uint32_t push_pull_interval_ms;
	uint64_t cluster_id;
	bool is_joined;
	bool is_joining;
	bool is_whole;
	uint64_t spread_at_ms; /* GOSSIP_NEVER while there is nothing to tell */
	uint64_t spread_done_ms;
	uint64_t push_pull_at_ms;
	uint64_t reconnect_at_ms;
	uint64_t map_changed_ms;
	uint64_t map_pull_at_ms;  /* earliest */
	uint64_t life_pull_at_ms; /* earliest */
	uint64_t map_stamp_told;  /* in this node's record */
	struct node_address seeds[GOSSIP_SEED_COUNT_MAX];
	uint32_t seed_count;
	uint32_t seed_next;
	uint64_t join_at_ms;
	uint32_t join_delay_ms;
	/* This node's record as bytes, of the version it was encoded from. */
	struct node encoded_self;
	uint32_t self_record_size;
	uint8_t self_record[NODE_RECORD_SIZE_MAX];
	/* Actions of the present step. */
	uint32_t action_count;
	uint32_t action_max;
	struct gossip_action *actions;
	uint32_t send_count;
	uint8_t sends[GOSSIP_SEND_COUNT_MAX][GOSSIP_PACKET_SIZE_MAX];
};

/* --- gossip.c: the machine --- */

/* An action of the present step whose members are 0 but for 'kind'; the caller sets the others. */
struct gossip_action *gossip_add_action(struct gossip *gossip, enum gossip_action_kind kind);
/* An exchange of states with the node at 'to'. */
void gossip_push_pull(struct gossip *gossip, const struct node_address *to,
		      enum gossip_scope scope);

/* News to tell: wakes the spreading. This node's own go out at once, those of others at the next
 * turn.
 */
void gossip_tell(struct gossip *gossip, uint64_t now_ms, enum gossip_topic topic, uint32_t index,
		 bool is_own);

/* Feeds the membership machine and does what it says. */
void gossip_step_membership(struct gossip *gossip, uint64_t now_ms,
			    const struct membership_event *event);

/* This node is in the cluster from now on. */
void gossip_become_member(struct gossip *gossip, uint64_t now_ms);

/* --- gossip_send.c --- */

/* Sends 'packet', whose kind and fields are set, filled up with news. What is claimed of the
 * receiver 'about' goes first: it must hear it to refute it.
 */
void gossip_send_packet(struct gossip *gossip, struct gossip_packet *packet,
			const struct node_address *to, uint64_t about);

/* --- gossip_receive.c --- */

void gossip_on_packet(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event);
void gossip_on_state(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event);

/* Returns whether it was news. */
bool gossip_take_owner(struct gossip *gossip, uint64_t now_ms, const struct partition_owner *owner);

#endif
