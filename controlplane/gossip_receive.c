/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes in: packets and whole states, taken apart into records, claims, owners and probes. */
#include "controlplane/gossip_parts.h"

#include "controlplane/node_record.h"

/* ---- the pieces ---- */

/* Tells the caller which partitions of this node 'id' has begun to import; 'before' is what it
 * imported so far.
 */
static void report_imports(struct gossip *gossip, uint64_t id, const struct partition_set *before)
{
	const struct member *member = membership_find(gossip->membership, id);
	uint64_t self = membership_self(gossip->membership)->id;
	const struct partition_set *now;
	uint32_t room = GOSSIP_ACTIONS_BESIDES / 2;

	if (!member || id == self)
		return;
	now = &member->node.importing_partitions;
	for (uint32_t p = partition_set_next(now, 0); p < gossip->map.partition_count;
	     p = partition_set_next(now, p + 1)) {
		struct gossip_action *action;

		if (partition_set_has(before, p) || partition_map_owner(&gossip->map, p) != self)
			continue;
		if (gossip->action_count + room >= gossip->action_max) {
			gossip->counters.imports_dropped++;
			continue;
		}
		action = gossip_add_action(gossip, GOSSIP_PEER_IMPORTS);
		action->id = id;
		action->partition = p;
	}
}

static void take_record(struct gossip *gossip, uint64_t now_ms, const struct gossip_slice *slice)
{
	struct node node;
	struct partition_set before = { { 0 } };
	const struct member *member;
	struct membership_event event = { .kind = MEMBERSHIP_RECORD };

	if (node_record_decode(&node, slice->bytes, slice->size) != 0) {
		gossip->counters.refused_malformed++;
		return;
	}
	member = membership_find(gossip->membership, node.id);
	if (member)
		before = member->node.importing_partitions;
	event.node = &node;
	event.record = slice->bytes;
	event.record_size = (uint32_t)slice->size;
	gossip_step_membership(gossip, now_ms, &event);
	report_imports(gossip, node.id, &before);
}

static void take_claim(struct gossip *gossip, uint64_t now_ms, const struct membership_claim *claim)
{
	struct membership_event event = { .kind = MEMBERSHIP_CLAIM, .claim = claim };

	gossip_step_membership(gossip, now_ms, &event);
}

bool gossip_take_owner(struct gossip *gossip, uint64_t now_ms, const struct partition_owner *owner)
{
	switch (partition_map_merge(&gossip->map, owner)) {
	case PARTITION_MERGE_TAKEN:
		gossip->map_changed_ms = now_ms;
		gossip_tell(gossip, now_ms, GOSSIP_TOPIC_OWNER, owner->partition, false);
		return true;
	case PARTITION_MERGE_OLDER: /* whoever sent this has not heard */
		if (!gossip_queue_has(&gossip->queue, GOSSIP_TOPIC_OWNER, owner->partition))
			gossip_tell(gossip, now_ms, GOSSIP_TOPIC_OWNER, owner->partition, false);
		return false;
	case PARTITION_MERGE_SAME:
	case PARTITION_MERGE_INVALID:
		break;
	}
	return false;
}

/* ---- who may speak ---- */

/* Packets of a life that is over, or of a removed node, say nothing any more. */
static bool is_sender_void(struct gossip *gossip, uint64_t id, uint64_t generation)
{
	const struct member *member = membership_find(gossip->membership, id);

	if (!member)
		return false;
	if (member_state(member) == MEMBER_REMOVED && generation <= member->claim.generation) {
		gossip->counters.refused_removed++;
		return true;
	}
	if (generation < member->node.generation) {
		gossip->counters.refused_generation++;
		return true;
	}
	return false;
}

/* Clusters that were founded apart never merge: each of them has an owner for every partition. */
static bool is_of_other_cluster(struct gossip *gossip, uint64_t cluster_id, uint64_t sender,
				const struct node_address *from)
{
	struct gossip_action *action;

	if (cluster_id == 0 || gossip->cluster_id == 0 || cluster_id == gossip->cluster_id)
		return false;
	gossip->counters.refused_cluster++;
	action = gossip_add_action(gossip, GOSSIP_OTHER_CLUSTER);
	action->to = *from;
	action->id = sender;
	return true;
}

/* ---- packets ---- */

static void take_updates(struct gossip *gossip, uint64_t now_ms, const struct gossip_packet *packet)
{
	bool is_changed = false;

	for (uint32_t i = 0; i < packet->record_count; i++)
		take_record(gossip, now_ms, &packet->records[i]);
	for (uint32_t i = 0; i < packet->claim_count; i++)
		take_claim(gossip, now_ms, &packet->claims[i]);
	for (uint32_t i = 0; i < packet->owner_count; i++)
		is_changed |= gossip_take_owner(gossip, now_ms, &packet->owners[i]);
	if (is_changed)
		gossip_add_action(gossip, GOSSIP_MAP_CHANGED);
}

static void take_probe(struct gossip *gossip, uint64_t now_ms, const struct gossip_packet *packet,
		       const struct node_address *from)
{
	static const enum membership_event_kind kinds[] = {
		[GOSSIP_UPDATE] = MEMBERSHIP_HEARD,      [GOSSIP_PING] = MEMBERSHIP_PING,
		[GOSSIP_PING_REQ] = MEMBERSHIP_PING_REQ, [GOSSIP_ACK] = MEMBERSHIP_ACK,
		[GOSSIP_NACK] = MEMBERSHIP_NACK,
	};
	struct membership_event event = {
		.kind = kinds[packet->kind],
		.sequence = packet->sequence,
		.sender = packet->sender,
		.from = *from,
		.target = packet->target,
		.target_address = packet->target_address,
	};

	gossip_step_membership(gossip, now_ms, &event);
}

/* A member's map differs though no news of owners are under way here: fetch it, now and then. */
static void compare_map(struct gossip *gossip, uint64_t now_ms, const struct gossip_packet *packet)
{
	const struct member *member = membership_find(gossip->membership, packet->sender);

	if (packet->map_stamp == gossip->map.stamp || !member ||
	    gossip->queue.counts[GOSSIP_TOPIC_OWNER] > 0 || now_ms < gossip->map_pull_at_ms ||
	    now_ms < gossip->map_changed_ms + GOSSIP_MAP_PULL_INTERVAL_MS)
		return;
	gossip->map_pull_at_ms = now_ms + GOSSIP_MAP_PULL_INTERVAL_MS;
	gossip_push_pull(gossip, &member->node.control, GOSSIP_SCOPE_MAP);
}

/* A member is in a later life than the one known here: that news went round while this node was cut off. With the old record this node
 * would go on to send FORWARDs that the new life refuses.
 */
static void compare_life(struct gossip *gossip, uint64_t now_ms, const struct gossip_packet *packet,
			 const struct node_address *from)
{
	const struct member *member = membership_find(gossip->membership, packet->sender);

	if (!member || packet->generation <= member->node.generation ||
	    now_ms < gossip->life_pull_at_ms)
		return;
	gossip->life_pull_at_ms = now_ms + GOSSIP_LIFE_PULL_INTERVAL_MS;
	gossip_push_pull(gossip, from, GOSSIP_SCOPE_ALL);
}

static void take_packet(struct gossip *gossip, uint64_t now_ms, const struct gossip_packet *packet,
			const struct node_address *from)
{
	bool is_void;

	if (is_of_other_cluster(gossip, packet->cluster_id, packet->sender, from))
		return;
	is_void = is_sender_void(gossip, packet->sender, packet->generation);
	if (!is_void)
		take_updates(gossip, now_ms, packet);
	/* A removed node is answered all the same: the answer tells it so. */
	if (!is_void || packet->kind == GOSSIP_PING)
		take_probe(gossip, now_ms, packet, from);
	if (is_void)
		return;
	compare_life(gossip, now_ms, packet, from);
	compare_map(gossip, now_ms, packet);
}

void gossip_on_packet(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	struct gossip_packet packet;

	gossip->counters.packets_in++;
	if (gossip_packet_decode(&packet, event->bytes, event->size) != 0) {
		gossip->counters.refused_malformed++;
		return;
	}
	take_packet(gossip, now_ms, &packet, &event->from);
	gossip_packet_release(&packet);
}

/* ---- whole states ---- */

static bool take_map(struct gossip *gossip, uint64_t now_ms, const struct gossip_state *state)
{
	uint32_t partition_max =
		gossip->queue.bases[GOSSIP_TOPIC_COUNT] - gossip->queue.bases[GOSSIP_TOPIC_OWNER];
	bool is_changed = false;

	if (state->partition_count == 0)
		return false;
	if (gossip->map.partition_count == 0 && state->partition_count <= partition_max)
		partition_map_init(&gossip->map, state->partition_count);
	if (gossip->map.partition_count != state->partition_count) {
		gossip->counters.map_count_mismatch++;
		return false;
	}
	for (uint32_t p = 0; p < state->partition_count; p++) {
		/* An owner nobody knows cannot be older news. */
		if (state->owners[p].epoch > 0)
			is_changed |= gossip_take_owner(gossip, now_ms, &state->owners[p]);
	}
	return is_changed;
}

static void state_taken(struct gossip *gossip, const struct gossip_state *state)
{
	struct gossip_action *action = gossip_add_action(gossip, GOSSIP_STATE_TAKEN);

	action->id = state->sender;
	action->is_whole = state->is_whole;
}

static void take_state(struct gossip *gossip, uint64_t now_ms, const struct gossip_state *state)
{
	for (uint32_t i = 0; i < state->record_count; i++)
		take_record(gossip, now_ms, &state->records[i]);
	for (uint32_t i = 0; i < state->claim_count; i++)
		take_claim(gossip, now_ms, &state->claims[i]);
	if (take_map(gossip, now_ms, state))
		gossip_add_action(gossip, GOSSIP_MAP_CHANGED);
	if (state->scope == GOSSIP_SCOPE_ALL)
		state_taken(gossip, state);
	if (gossip->is_joining && !state->is_request && state->scope == GOSSIP_SCOPE_ALL) {
		gossip->cluster_id = state->cluster_id;
		gossip_become_member(gossip, now_ms);
	}
}

static void answer_state(struct gossip *gossip, const struct gossip_state *state)
{
	struct gossip_action *action = gossip_add_action(gossip, GOSSIP_REPLY_STATE);

	action->to = state->reply_to;
	action->scope = state->scope;
}

void gossip_on_state(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	struct gossip_state state;

	gossip->counters.states_in++;
	if (gossip_state_decode(&state, event->bytes, event->size) != 0) {
		gossip->counters.refused_malformed++;
		return;
	}
	if (!is_of_other_cluster(gossip, state.cluster_id, state.sender, &state.reply_to)) {
		if (!is_sender_void(gossip, state.sender, state.generation))
			take_state(gossip, now_ms, &state);
		if (state.is_request)
			answer_state(gossip, &state);
	}
	gossip_state_release(&state);
}
