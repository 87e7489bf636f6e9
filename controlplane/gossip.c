/* SPDX-License-Identifier: BSD-3-Clause */
/* How the cluster's knowledge spreads: membership and partition map behind packets, as a pure
 * machine.
 */
#include "controlplane/gossip_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Actions of one step: a state merge may change every member twice, and announce imports. */
#define ACTIONS_PER_MEMBER 3u

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
	gossip->action_max =
		ACTIONS_PER_MEMBER * member_max + partition_max + GOSSIP_ACTIONS_BESIDES;
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
	new->spread_at_ms = GOSSIP_NEVER;
	new->join_at_ms = GOSSIP_NEVER;
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

struct gossip_action *gossip_add_action(struct gossip *gossip, enum gossip_action_kind kind)
{
	struct gossip_action *action;

	assert(gossip->action_count < gossip->action_max);
	action = &gossip->actions[gossip->action_count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

void gossip_push_pull(struct gossip *gossip, const struct node_address *to, enum gossip_scope scope)
{
	struct gossip_action *action = gossip_add_action(gossip, GOSSIP_PUSH_PULL);

	action->to = *to;
	action->scope = scope;
}

void gossip_tell(struct gossip *gossip, uint64_t now_ms, enum gossip_topic topic, uint32_t index,
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

/* ---- membership's actions ---- */

static void send_probe(struct gossip *gossip, enum gossip_packet_kind kind,
		       const struct membership_action *action)
{
	struct gossip_packet packet = {
		.kind = kind,
		.sequence = action->sequence,
		.target = action->target,
		.target_address = action->target_address,
	};

	gossip_send_packet(gossip, &packet, &action->to, action->about);
}

static void report_change(struct gossip *gossip, const struct membership_action *from)
{
	struct gossip_action *action = gossip_add_action(gossip, GOSSIP_MEMBER_CHANGED);

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
		gossip_tell(gossip, now_ms, GOSSIP_TOPIC_RECORD, action->index,
			    action->index == GOSSIP_SELF);
		break;
	case MEMBERSHIP_REPEAT_RECORD:
		if (!gossip_queue_has(&gossip->queue, GOSSIP_TOPIC_RECORD, action->index))
			gossip_tell(gossip, now_ms, GOSSIP_TOPIC_RECORD, action->index, false);
		break;
	case MEMBERSHIP_SPREAD_CLAIM:
		gossip_tell(gossip, now_ms, GOSSIP_TOPIC_CLAIM, action->index, false);
		break;
	case MEMBERSHIP_CHANGED:
		report_change(gossip, action);
		break;
	case MEMBERSHIP_RESTARTED:
		gossip_add_action(gossip, GOSSIP_MEMBER_RESTARTED)->id =
			membership_at(gossip->membership, action->index)->node.id;
		break;
	case MEMBERSHIP_FORGOTTEN:
		gossip_queue_drop(&gossip->queue, GOSSIP_TOPIC_RECORD, action->index);
		gossip_queue_drop(&gossip->queue, GOSSIP_TOPIC_CLAIM, action->index);
		break;
	case MEMBERSHIP_SELF_REMOVED:
		gossip_add_action(gossip, GOSSIP_SELF_REMOVED);
		break;
	case MEMBERSHIP_ID_CONFLICT:
		gossip_add_action(gossip, GOSSIP_ID_CONFLICT);
		break;
	case MEMBERSHIP_UPDATED:
		break;
	}
}

void gossip_step_membership(struct gossip *gossip, uint64_t now_ms,
			    const struct membership_event *event)
{
	struct membership_actions actions;

	membership_step(gossip->membership, now_ms, event, &actions);
	for (uint32_t i = 0; i < actions.count; i++)
		do_membership_action(gossip, now_ms, &actions.items[i]);
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

		gossip_send_packet(gossip, &packet, &receivers[i]->node.control,
				   receivers[i]->node.id);
	}
	/* News for nobody wait until there is a member: its record wakes the spreading. */
	gossip->spread_at_ms = count > 0 && gossip->queue.count > 0
				       ? now_ms + GOSSIP_SPREAD_INTERVAL_MS
				       : GOSSIP_NEVER;
}

static void exchange(struct gossip *gossip, bool is_dead)
{
	const struct member *member = membership_pick(gossip->membership, is_dead);

	if (member)
		gossip_push_pull(gossip, &member->node.control, GOSSIP_SCOPE_ALL);
}

static void try_join(struct gossip *gossip, uint64_t now_ms)
{
	gossip_push_pull(gossip, &gossip->seeds[gossip->seed_next], GOSSIP_SCOPE_ALL);
	gossip->seed_next = (gossip->seed_next + 1) % gossip->seed_count;
	gossip->join_at_ms = now_ms + gossip->join_delay_ms;
	if (gossip->seed_next == 0 && gossip->join_delay_ms < GOSSIP_JOIN_RETRY_MAX_MS)
		gossip->join_delay_ms *= 2;
}

static void on_timer(struct gossip *gossip, uint64_t now_ms)
{
	struct membership_event event = { .kind = MEMBERSHIP_TIMER };

	if (now_ms >= membership_deadline_ms(gossip->membership))
		gossip_step_membership(gossip, now_ms, &event);
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

void gossip_become_member(struct gossip *gossip, uint64_t now_ms)
{
	struct membership_event event = { .kind = MEMBERSHIP_JOINED };

	gossip_step_membership(gossip, now_ms, &event);
	gossip_tell(gossip, now_ms, GOSSIP_TOPIC_RECORD, GOSSIP_SELF, true);
	gossip->is_joined = true;
	gossip->is_joining = false;
	gossip->join_at_ms = GOSSIP_NEVER;
	gossip_add_action(gossip, GOSSIP_JOINED);
}

static void on_bootstrap(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	uint64_t self = membership_self(gossip->membership)->id;

	gossip->cluster_id = event->id;
	if (gossip->map.partition_count == 0)
		partition_map_init(&gossip->map, event->partition_count);
	if (partition_map_bootstrap(&gossip->map, self))
		gossip_add_action(gossip, GOSSIP_MAP_CHANGED);
	gossip_become_member(gossip, now_ms);
}

static void on_join(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event)
{
	uint32_t count = event->seed_count < GOSSIP_SEED_COUNT_MAX ? event->seed_count
								   : GOSSIP_SEED_COUNT_MAX;

	if (gossip->is_joined)
		return;
	gossip->is_joining = count > 0;
	gossip->join_at_ms = GOSSIP_NEVER;
	if (count == 0)
		return;
	memcpy(gossip->seeds, event->seeds, count * sizeof(gossip->seeds[0]));
	gossip->seed_count = count;
	gossip->seed_next = 0;
	gossip->join_delay_ms = GOSSIP_JOIN_RETRY_MS;
	try_join(gossip, now_ms);
}

/* ---- the machine ---- */

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
		gossip_on_packet(gossip, now_ms, event);
		return;
	case GOSSIP_STATE:
		gossip_on_state(gossip, now_ms, event);
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
	gossip_step_membership(gossip, now_ms, &to_membership);
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
	gossip_step_membership(gossip, now_ms, &event);
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
	uint64_t first_ms = GOSSIP_NEVER;

	for (uint32_t i = 0; i < sizeof(deadlines_ms) / sizeof(deadlines_ms[0]); i++) {
		if (deadlines_ms[i] < first_ms)
			first_ms = deadlines_ms[i];
	}
	return first_ms;
}

/* ---- ownership ---- */

static void owner_changed(struct gossip *gossip, uint64_t now_ms, uint32_t partition)
{
	gossip->map_changed_ms = now_ms;
	gossip_tell(gossip, now_ms, GOSSIP_TOPIC_OWNER, partition, true);
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
	bool is_news = gossip_take_owner(gossip, now_ms, owner);

	if (is_news)
		note_map(gossip, now_ms);
	return is_news;
}

/* ---- questions ---- */

void gossip_set_whole(struct gossip *gossip)
{
	gossip->is_whole = true;
}

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
