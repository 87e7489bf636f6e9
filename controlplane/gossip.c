/* SPDX-License-Identifier: BSD-3-Clause */
/* How the cluster's knowledge spreads: membership and partition map behind packets, as a pure
 * machine.
 */
#include "controlplane/gossip.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/gossip_queue.h"
#include "controlplane/node_record.h"

#define NEVER UINT64_MAX
#define SELF 0u /* this node's index in membership */

/* Actions of one step: a state merge may change every member twice, and announce imports. */
#define ACTIONS_PER_MEMBER 3u
#define ACTIONS_BESIDES 64u

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
	uint64_t spread_at_ms; /* NEVER while there is nothing to tell */
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

/* ---- birth and death ---- */

static int create_parts(struct gossip *gossip, const struct gossip_options *options,
			const struct node *self, uint64_t now_ms)
{
	uint32_t member_max = options->membership.node_count_max;
	uint32_t partition_max =
		options->partition_count_max ? options->partition_count_max : PARTITION_COUNT_MAX;
	int error = membership_create(&gossip->membership, &options->membership, self, now_ms);

	if (error == 0)
		error = gossip_queue_init(&gossip->queue, member_max, partition_max);
	if (error)
		return error;
	gossip->action_max = ACTIONS_PER_MEMBER * member_max + partition_max + ACTIONS_BESIDES;
	gossip->actions = calloc(gossip->action_max, sizeof(*gossip->actions));
	return gossip->actions ? 0 : -ENOMEM;
}

int gossip_create(struct gossip **gossip, const struct gossip_options *options,
		  const struct node *self, uint64_t now_ms)
{
	struct gossip *new = calloc(1, sizeof(*new));
	int error;

	if (!new)
		return -ENOMEM;
	partition_map_init(&new->map, 0);
	new->push_pull_interval_ms = options->push_pull_interval_ms ? options->push_pull_interval_ms
								    : GOSSIP_PUSH_PULL_INTERVAL_MS;
	new->spread_at_ms = NEVER;
	new->join_at_ms = NEVER;
	/* Spread over the interval, so that nodes started together do not exchange together. */
	new->push_pull_at_ms = now_ms + 1 + options->membership.seed % new->push_pull_interval_ms;
	new->reconnect_at_ms = now_ms + GOSSIP_RECONNECT_INTERVAL_MS;
	error = create_parts(new, options, self, now_ms);
	if (error) {
		gossip_destroy(new);
		return error;
	}
	*gossip = new;
	return 0;
}

void gossip_destroy(struct gossip *gossip)
{
	if (!gossip)
		return;
	membership_destroy(gossip->membership);
	gossip_queue_fini(&gossip->queue);
	free(gossip->actions);
	free(gossip);
}

/* ---- actions ---- */

static struct gossip_action *add_action(struct gossip *gossip, enum gossip_action_kind kind)
{
	struct gossip_action *action;

	assert(gossip->action_count < gossip->action_max);
	action = &gossip->actions[gossip->action_count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

static void push_pull(struct gossip *gossip, const struct node_address *to, enum gossip_scope scope)
{
	struct gossip_action *action = add_action(gossip, GOSSIP_PUSH_PULL);

	action->to = *to;
	action->scope = scope;
}

/* News to tell: wakes the spreading. This node's own go out at once, those of others at the next
 * turn.
 */
static void tell(struct gossip *gossip, uint64_t now_ms, enum gossip_topic topic, uint32_t index,
		 bool is_own)
{
	uint64_t at_ms = gossip->spread_done_ms +
			 (is_own ? GOSSIP_SPREAD_GAP_MS : GOSSIP_SPREAD_INTERVAL_MS);

	gossip_queue_put(&gossip->queue, topic, index);
	if (at_ms < now_ms)
		at_ms = now_ms;
	if (at_ms < gossip->spread_at_ms)
		gossip->spread_at_ms = at_ms;
}

/* ---- records ---- */

/* This node's record as bytes; encoded anew only after a change. */
static struct gossip_slice self_slice(struct gossip *gossip)
{
	const struct node *self = membership_self(gossip->membership);

	if (gossip->self_record_size == 0 || node_compare_age(self, &gossip->encoded_self) != 0) {
		int size =
			node_record_encode(self, gossip->self_record, sizeof(gossip->self_record));

		assert(size > 0); /* NODE_RECORD_SIZE_MAX holds any record */
		gossip->self_record_size = (uint32_t)size;
		gossip->encoded_self = *self;
	}
	return (struct gossip_slice){ gossip->self_record, gossip->self_record_size };
}

/* The bytes to relay; size 0 when there is no record. */
static struct gossip_slice record_slice(struct gossip *gossip, uint32_t index)
{
	const struct member *member = membership_at(gossip->membership, index);

	if (index == SELF)
		return self_slice(gossip);
	if (!member)
		return (struct gossip_slice){ NULL, 0 };
	return (struct gossip_slice){ member->record, member->record_size };
}

static bool has_claim(const struct member *member)
{
	return member &&
	       (member_state(member) == MEMBER_SUSPECT || member_state(member) == MEMBER_DEAD ||
		member_state(member) == MEMBER_REMOVED);
}

/* ---- packets out ---- */

static bool add_record(struct gossip *gossip, struct gossip_packet *packet, uint32_t index,
		       size_t *left)
{
	struct gossip_slice slice = record_slice(gossip, index);

	if (packet->record_count == GOSSIP_PACKET_RECORD_MAX ||
	    slice.size + GOSSIP_RECORD_OVERHEAD > *left)
		return false;
	*left -= slice.size + GOSSIP_RECORD_OVERHEAD;
	packet->records[packet->record_count++] = slice;
	return true;
}

static bool add_claim(struct gossip_packet *packet, const struct member *member, size_t *left)
{
	if (packet->claim_count == GOSSIP_PACKET_CLAIM_MAX || GOSSIP_CLAIM_SIZE_MAX > *left)
		return false;
	*left -= GOSSIP_CLAIM_SIZE_MAX;
	packet->claims[packet->claim_count++] = member->claim;
	return true;
}

static bool add_owner(const struct gossip *gossip, struct gossip_packet *packet, uint32_t partition,
		      size_t *left)
{
	if (packet->owner_count == GOSSIP_PACKET_OWNER_MAX || GOSSIP_OWNER_SIZE_MAX > *left)
		return false;
	*left -= GOSSIP_OWNER_SIZE_MAX;
	packet->owners[packet->owner_count++] = gossip->map.partitions[partition];
	return true;
}

/* Whether there is still something to say about the piece. */
static bool is_current(struct gossip *gossip, enum gossip_topic topic, uint32_t index)
{
	if (topic == GOSSIP_TOPIC_RECORD)
		return record_slice(gossip, index).size > 0;
	if (topic == GOSSIP_TOPIC_CLAIM)
		return has_claim(membership_at(gossip->membership, index));
	return gossip->map.partitions[index].epoch > 0;
}

static bool add_piece(struct gossip *gossip, struct gossip_packet *packet, enum gossip_topic topic,
		      uint32_t index, size_t *left)
{
	if (topic == GOSSIP_TOPIC_RECORD)
		return add_record(gossip, packet, index, left);
	if (topic == GOSSIP_TOPIC_CLAIM)
		return add_claim(packet, membership_at(gossip->membership, index), left);
	return add_owner(gossip, packet, index, left);
}

/* Fills what is left of the packet with news, the least told first. */
static void add_news(struct gossip *gossip, struct gossip_packet *packet, size_t left)
{
	uint32_t limit = gossip_retransmit_limit(membership_live_count(gossip->membership));
	struct gossip_queue_cursor cursor;
	enum gossip_topic topic;
	uint32_t index;

	gossip_queue_walk(&gossip->queue, &cursor);
	while (left >= GOSSIP_OWNER_SIZE_MAX &&
	       gossip_queue_next(&gossip->queue, &cursor, &topic, &index)) {
		if (!is_current(gossip, topic, index))
			gossip_queue_drop(&gossip->queue, topic, index);
		else if (add_piece(gossip, packet, topic, index, &left))
			gossip_queue_mark_sent(&gossip->queue, topic, index, limit);
	}
}

/* Sends 'packet', whose kind and fields are set, filled up with news. What is claimed of the
 * receiver 'about' goes first: it must hear it to refute it.
 */
static void send_packet(struct gossip *gossip, struct gossip_packet *packet,
			const struct node_address *to, uint64_t about)
{
	const struct node *self = membership_self(gossip->membership);
	const struct member *receiver = membership_find(gossip->membership, about);
	size_t left = GOSSIP_PACKET_SIZE_MAX - GOSSIP_HEADER_SIZE_MAX;
	struct gossip_action *action;
	int size;

	if (gossip->send_count == GOSSIP_SEND_COUNT_MAX)
		return;
	packet->sender = self->id;
	packet->generation = self->generation;
	packet->cluster_id = gossip->cluster_id;
	packet->map_stamp = gossip->map.stamp;
	if (has_claim(receiver))
		add_claim(packet, receiver, &left);
	add_news(gossip, packet, left);
	size = gossip_packet_encode(packet, gossip->sends[gossip->send_count],
				    GOSSIP_PACKET_SIZE_MAX);
	assert(size > 0); /* the sizes added up are upper bounds */
	action = add_action(gossip, GOSSIP_SEND);
	action->to = *to;
	action->id = about;
	action->bytes = gossip->sends[gossip->send_count++];
	action->size = (size_t)size;
	gossip->counters.packets_out++;
	gossip->counters.bytes_out += (uint64_t)size;
}

static void send_probe(struct gossip *gossip, enum gossip_packet_kind kind,
		       const struct membership_action *action)
{
	struct gossip_packet packet = {
		.kind = kind,
		.sequence = action->sequence,
		.target = action->target,
		.target_address = action->target_address,
	};

	send_packet(gossip, &packet, &action->to, action->about);
}

/* ---- membership's actions ---- */

static void report_change(struct gossip *gossip, const struct membership_action *from)
{
	struct gossip_action *action = add_action(gossip, GOSSIP_MEMBER_CHANGED);

	action->id = membership_at(gossip->membership, from->index)->node.id;
	action->before = from->before;
	action->after = from->after;
}

static void do_membership_action(struct gossip *gossip, uint64_t now_ms,
				 const struct membership_action *action)
{
	switch (action->kind) {
	case MEMBERSHIP_SEND_PING:
		send_probe(gossip, GOSSIP_PING, action);
		break;
	case MEMBERSHIP_SEND_PING_REQ:
		send_probe(gossip, GOSSIP_PING_REQ, action);
		break;
	case MEMBERSHIP_SEND_ACK:
		send_probe(gossip, GOSSIP_ACK, action);
		break;
	case MEMBERSHIP_SEND_NACK:
		send_probe(gossip, GOSSIP_NACK, action);
		break;
	case MEMBERSHIP_SPREAD_RECORD:
		tell(gossip, now_ms, GOSSIP_TOPIC_RECORD, action->index, action->index == SELF);
		break;
	case MEMBERSHIP_REPEAT_RECORD:
		if (!gossip_queue_has(&gossip->queue, GOSSIP_TOPIC_RECORD, action->index))
			tell(gossip, now_ms, GOSSIP_TOPIC_RECORD, action->index, false);
		break;
	case MEMBERSHIP_SPREAD_CLAIM:
		tell(gossip, now_ms, GOSSIP_TOPIC_CLAIM, action->index, false);
		break;
	case MEMBERSHIP_CHANGED:
		report_change(gossip, action);
		break;
	case MEMBERSHIP_RESTARTED:
		add_action(gossip, GOSSIP_MEMBER_RESTARTED)->id =
			membership_at(gossip->membership, action->index)->node.id;
		break;
	case MEMBERSHIP_FORGOTTEN:
		gossip_queue_drop(&gossip->queue, GOSSIP_TOPIC_RECORD, action->index);
		gossip_queue_drop(&gossip->queue, GOSSIP_TOPIC_CLAIM, action->index);
		break;
	case MEMBERSHIP_SELF_REMOVED:
		add_action(gossip, GOSSIP_SELF_REMOVED);
		break;
	case MEMBERSHIP_ID_CONFLICT:
		add_action(gossip, GOSSIP_ID_CONFLICT);
		break;
	case MEMBERSHIP_UPDATED:
		break;
	}
}

static void step_membership(struct gossip *gossip, uint64_t now_ms,
			    const struct membership_event *event)
{
	struct membership_actions actions;

	membership_step(gossip->membership, now_ms, event, &actions);
	for (uint32_t i = 0; i < actions.count; i++)
		do_membership_action(gossip, now_ms, &actions.items[i]);
}

/* ---- what comes in ---- */

/* Tells the caller which partitions of this node 'id' has begun to import; 'before' is what it
 * imported so far.
 */
static void report_imports(struct gossip *gossip, uint64_t id, const struct partition_set *before)
{
	const struct member *member = membership_find(gossip->membership, id);
	uint64_t self = membership_self(gossip->membership)->id;
	const struct partition_set *now;
	uint32_t room = ACTIONS_BESIDES / 2;

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
		action = add_action(gossip, GOSSIP_PEER_IMPORTS);
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
	step_membership(gossip, now_ms, &event);
	report_imports(gossip, node.id, &before);
}

static void take_claim(struct gossip *gossip, uint64_t now_ms, const struct membership_claim *claim)
{
	struct membership_event event = { .kind = MEMBERSHIP_CLAIM, .claim = claim };

	step_membership(gossip, now_ms, &event);
}

/* Returns whether it was news. */
static bool take_owner(struct gossip *gossip, uint64_t now_ms, const struct partition_owner *owner)
{
	switch (partition_map_merge(&gossip->map, owner)) {
	case PARTITION_MERGE_TAKEN:
		gossip->map_changed_ms = now_ms;
		tell(gossip, now_ms, GOSSIP_TOPIC_OWNER, owner->partition, false);
		return true;
	case PARTITION_MERGE_OLDER: /* whoever sent this has not heard */
		if (!gossip_queue_has(&gossip->queue, GOSSIP_TOPIC_OWNER, owner->partition))
			tell(gossip, now_ms, GOSSIP_TOPIC_OWNER, owner->partition, false);
		return false;
	case PARTITION_MERGE_SAME:
	case PARTITION_MERGE_INVALID:
		break;
	}
	return false;
}

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
	action = add_action(gossip, GOSSIP_OTHER_CLUSTER);
	action->to = *from;
	action->id = sender;
	return true;
}

static void take_updates(struct gossip *gossip, uint64_t now_ms, const struct gossip_packet *packet)
{
	bool is_changed = false;

	for (uint32_t i = 0; i < packet->record_count; i++)
		take_record(gossip, now_ms, &packet->records[i]);
	for (uint32_t i = 0; i < packet->claim_count; i++)
		take_claim(gossip, now_ms, &packet->claims[i]);
	for (uint32_t i = 0; i < packet->owner_count; i++)
		is_changed |= take_owner(gossip, now_ms, &packet->owners[i]);
	if (is_changed)
		add_action(gossip, GOSSIP_MAP_CHANGED);
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

	step_membership(gossip, now_ms, &event);
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
	push_pull(gossip, &member->node.control, GOSSIP_SCOPE_MAP);
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
	push_pull(gossip, from, GOSSIP_SCOPE_ALL);
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

static void on_packet(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
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
			is_changed |= take_owner(gossip, now_ms, &state->owners[p]);
	}
	return is_changed;
}

static void become_member(struct gossip *gossip, uint64_t now_ms)
{
	struct membership_event event = { .kind = MEMBERSHIP_JOINED };

	step_membership(gossip, now_ms, &event);
	tell(gossip, now_ms, GOSSIP_TOPIC_RECORD, SELF, true);
	gossip->is_joined = true;
	gossip->is_joining = false;
	gossip->join_at_ms = NEVER;
	add_action(gossip, GOSSIP_JOINED);
}

static void state_taken(struct gossip *gossip, const struct gossip_state *state)
{
	struct gossip_action *action = add_action(gossip, GOSSIP_STATE_TAKEN);

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
		add_action(gossip, GOSSIP_MAP_CHANGED);
	if (state->scope == GOSSIP_SCOPE_ALL)
		state_taken(gossip, state);
	if (gossip->is_joining && !state->is_request && state->scope == GOSSIP_SCOPE_ALL) {
		gossip->cluster_id = state->cluster_id;
		become_member(gossip, now_ms);
	}
}

static void answer_state(struct gossip *gossip, const struct gossip_state *state)
{
	struct gossip_action *action = add_action(gossip, GOSSIP_REPLY_STATE);

	action->to = state->reply_to;
	action->scope = state->scope;
}

static void on_state(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
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

/* ---- time ---- */

/* Up to GOSSIP_SPREAD_FANOUT different members, drawn by chance. */
static uint32_t pick_receivers(struct gossip *gossip, const struct member **receivers)
{
	uint32_t count = 0;

	for (uint32_t attempt = 0; attempt < 2 * GOSSIP_SPREAD_FANOUT; attempt++) {
		const struct member *member = membership_pick(gossip->membership, false);
		bool is_known = !member;

		for (uint32_t i = 0; i < count && !is_known; i++)
			is_known = receivers[i] == member;
		if (!is_known)
			receivers[count++] = member;
		if (count == GOSSIP_SPREAD_FANOUT)
			break;
	}
	return count;
}

static void spread(struct gossip *gossip, uint64_t now_ms)
{
	const struct member *receivers[GOSSIP_SPREAD_FANOUT];
	uint32_t count = pick_receivers(gossip, receivers);

	gossip->spread_done_ms = now_ms;
	for (uint32_t i = 0; i < count && gossip->queue.count > 0; i++) {
		struct gossip_packet packet = { .kind = GOSSIP_UPDATE };

		send_packet(gossip, &packet, &receivers[i]->node.control, receivers[i]->node.id);
	}
	/* News for nobody wait until there is a member: its record wakes the spreading. */
	gossip->spread_at_ms =
		count > 0 && gossip->queue.count > 0 ? now_ms + GOSSIP_SPREAD_INTERVAL_MS : NEVER;
}

static void exchange(struct gossip *gossip, bool is_dead)
{
	const struct member *member = membership_pick(gossip->membership, is_dead);

	if (member)
		push_pull(gossip, &member->node.control, GOSSIP_SCOPE_ALL);
}

static void try_join(struct gossip *gossip, uint64_t now_ms)
{
	push_pull(gossip, &gossip->seeds[gossip->seed_next], GOSSIP_SCOPE_ALL);
	gossip->seed_next = (gossip->seed_next + 1) % gossip->seed_count;
	gossip->join_at_ms = now_ms + gossip->join_delay_ms;
	if (gossip->seed_next == 0 && gossip->join_delay_ms < GOSSIP_JOIN_RETRY_MAX_MS)
		gossip->join_delay_ms *= 2;
}

static void on_timer(struct gossip *gossip, uint64_t now_ms)
{
	struct membership_event event = { .kind = MEMBERSHIP_TIMER };

	if (now_ms >= membership_deadline_ms(gossip->membership))
		step_membership(gossip, now_ms, &event);
	if (now_ms >= gossip->spread_at_ms)
		spread(gossip, now_ms);
	if (now_ms >= gossip->join_at_ms)
		try_join(gossip, now_ms);
	if (now_ms >= gossip->push_pull_at_ms) {
		gossip->push_pull_at_ms = now_ms + gossip->push_pull_interval_ms;
		exchange(gossip, false);
	}
	if (now_ms >= gossip->reconnect_at_ms) {
		gossip->reconnect_at_ms = now_ms + GOSSIP_RECONNECT_INTERVAL_MS;
		exchange(gossip, true);
	}
}

/* ---- what the operator and this node's other parts want ---- */

static void on_bootstrap(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	uint64_t self = membership_self(gossip->membership)->id;

	gossip->cluster_id = event->id;
	if (gossip->map.partition_count == 0)
		partition_map_init(&gossip->map, event->partition_count);
	if (partition_map_bootstrap(&gossip->map, self))
		add_action(gossip, GOSSIP_MAP_CHANGED);
	become_member(gossip, now_ms);
}

static void on_join(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	uint32_t count = event->seed_count < GOSSIP_SEED_COUNT_MAX ? event->seed_count
								   : GOSSIP_SEED_COUNT_MAX;

	if (gossip->is_joined)
		return;
	gossip->is_joining = count > 0;
	gossip->join_at_ms = NEVER;
	if (count == 0)
		return;
	memcpy(gossip->seeds, event->seeds, count * sizeof(gossip->seeds[0]));
	gossip->seed_count = count;
	gossip->seed_next = 0;
	gossip->join_delay_ms = GOSSIP_JOIN_RETRY_MS;
	try_join(gossip, now_ms);
}

static void dispatch(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	struct membership_event to_membership = {
		.kind = MEMBERSHIP_UPDATE_SELF,
		.node = event->node,
		.target = event->id,
		.is_stalled = event->is_stalled,
	};

	switch (event->kind) {
	case GOSSIP_TIMER:
		on_timer(gossip, now_ms);
		return;
	case GOSSIP_PACKET:
		on_packet(gossip, now_ms, event);
		return;
	case GOSSIP_STATE:
		on_state(gossip, now_ms, event);
		return;
	case GOSSIP_BOOTSTRAP:
		on_bootstrap(gossip, now_ms, event);
		return;
	case GOSSIP_JOIN:
		on_join(gossip, now_ms, event);
		return;
	case GOSSIP_UPDATE_SELF:
		break;
	case GOSSIP_REMOVE:
		to_membership.kind = MEMBERSHIP_REMOVE;
		break;
	case GOSSIP_STALLED:
		to_membership.kind = MEMBERSHIP_STALLED;
		break;
	}
	step_membership(gossip, now_ms, &to_membership);
}

/* Keeps map version and stamp in this node's record true. */
static void note_map(struct gossip *gossip, uint64_t now_ms)
{
	struct membership_event event = { .kind = MEMBERSHIP_UPDATE_SELF };
	struct node self;

	if (gossip->map.stamp == gossip->map_stamp_told)
		return;
	self = *membership_self(gossip->membership);
	self.map_version = partition_map_version32(&gossip->map);
	self.map_stamp = gossip->map.stamp;
	event.node = &self;
	gossip->map_stamp_told = gossip->map.stamp;
	step_membership(gossip, now_ms, &event);
}

struct gossip_actions gossip_step(struct gossip *gossip, uint64_t now_ms,
				  const struct gossip_event *event)
{
	gossip->action_count = 0;
	gossip->send_count = 0;
	dispatch(gossip, now_ms, event);
	note_map(gossip, now_ms);
	return (struct gossip_actions){ gossip->action_count, gossip->actions };
}

uint64_t gossip_deadline_ms(const struct gossip *gossip)
{
	uint64_t deadlines_ms[] = {
		membership_deadline_ms(gossip->membership),
		gossip->spread_at_ms,
		gossip->join_at_ms,
		gossip->push_pull_at_ms,
		gossip->reconnect_at_ms,
	};
	uint64_t first_ms = NEVER;

	for (uint32_t i = 0; i < sizeof(deadlines_ms) / sizeof(deadlines_ms[0]); i++) {
		if (deadlines_ms[i] < first_ms)
			first_ms = deadlines_ms[i];
	}
	return first_ms;
}

/* ---- whole states out ---- */

static void collect_members(struct gossip *gossip, struct gossip_state *state)
{
	for (uint32_t i = 0; i < membership_index_end(gossip->membership); i++) {
		const struct member *member = membership_at(gossip->membership, i);
		struct gossip_slice slice = record_slice(gossip, i);

		if (slice.size > 0)
			state->records[state->record_count++] = slice;
		if (has_claim(member))
			state->claims[state->claim_count++] = member->claim;
	}
}

static int encode_state(struct gossip *gossip, struct gossip_state *state, uint8_t *bytes,
			size_t size_max)
{
	uint32_t end = membership_index_end(gossip->membership);
	int size = -ENOMEM;

	state->records = calloc(end, sizeof(*state->records));
	state->claims = calloc(end, sizeof(*state->claims));
	if (state->records && state->claims) {
		if (state->scope == GOSSIP_SCOPE_ALL)
			collect_members(gossip, state);
		size = gossip_state_encode(state, bytes, size_max);
	}
	free(state->records);
	free(state->claims);
	return size;
}

int gossip_state(struct gossip *gossip, bool is_request, enum gossip_scope scope, uint8_t *bytes,
		 size_t size_max)
{
	const struct node *self = membership_self(gossip->membership);
	struct gossip_state state = {
		.sender = self->id,
		.generation = self->generation,
		.cluster_id = gossip->cluster_id,
		.is_request = is_request,
		.scope = scope,
		.is_whole = gossip->is_whole,
		.reply_to = self->control,
		.partition_count = gossip->map.partition_count,
		.owners = gossip->map.partitions,
	};
	int size = encode_state(gossip, &state, bytes, size_max);

	if (size > 0) {
		gossip->counters.states_out++;
		gossip->counters.state_bytes_out += (uint64_t)size;
	}
	return size;
}

void gossip_set_whole(struct gossip *gossip)
{
	gossip->is_whole = true;
}

/* ---- ownership ---- */

static void owner_changed(struct gossip *gossip, uint64_t now_ms, uint32_t partition)
{
	gossip->map_changed_ms = now_ms;
	tell(gossip, now_ms, GOSSIP_TOPIC_OWNER, partition, true);
	note_map(gossip, now_ms);
}

int gossip_hand_over(struct gossip *gossip, uint64_t now_ms, uint32_t partition, uint64_t to)
{
	uint64_t self = membership_self(gossip->membership)->id;
	int error = partition_map_hand_over(&gossip->map, self, partition, to);

	if (error == 0)
		owner_changed(gossip, now_ms, partition);
	return error;
}

int gossip_claim(struct gossip *gossip, uint64_t now_ms, uint32_t partition, uint32_t epoch_seen)
{
	uint64_t self = membership_self(gossip->membership)->id;
	int error = partition_map_claim(&gossip->map, partition, epoch_seen, self);

	if (error == 0)
		owner_changed(gossip, now_ms, partition);
	return error;
}

bool gossip_learn(struct gossip *gossip, uint64_t now_ms, const struct partition_owner *owner)
{
	bool is_news = take_owner(gossip, now_ms, owner);

	if (is_news)
		note_map(gossip, now_ms);
	return is_news;
}

/* ---- questions ---- */

const struct membership *gossip_membership(const struct gossip *gossip)
{
	return gossip->membership;
}

const struct partition_map *gossip_map(const struct gossip *gossip)
{
	return &gossip->map;
}

const struct node *gossip_self(const struct gossip *gossip)
{
	return membership_self(gossip->membership);
}

const struct gossip_counters *gossip_counters(const struct gossip *gossip)
{
	return &gossip->counters;
}

bool gossip_is_joined(const struct gossip *gossip)
{
	return gossip->is_joined;
}

uint64_t gossip_cluster_id(const struct gossip *gossip)
{
	return gossip->cluster_id;
}

uint32_t gossip_pending(const struct gossip *gossip)
{
	return gossip->queue.count;
}
