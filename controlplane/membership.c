/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is in the cluster and who is alive: SWIM with Lifeguard, as a pure machine. */
#include "controlplane/membership_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SWEEP_INTERVAL_MS 60000u

/* ---- birth and death ---- */

int membership_create(struct membership **membership, const struct membership_options *options,
		      const struct node *self, uint64_t now_ms)
{
	struct membership *new;
	struct member *member;
	uint32_t index;
	int error;

	if (self->id == 0 || self->generation == 0 || options->node_count_max == 0 ||
	    options->node_count_max > NODE_COUNT_MAX)
		return -EINVAL;
	new = calloc(1, sizeof(*new));
	if (!new)
		return -ENOMEM;
	prng_init(&new->prng, options->seed);
	new->sweep_at_ms = now_ms + SWEEP_INTERVAL_MS;
	error = member_table_init(&new->table, options->node_count_max);
	if (error == 0)
		error = prober_init(&new->prober, &new->table, &new->prng, &new->counters, options,
				    now_ms);
	member = error == 0 ? member_table_add(&new->table, self->id, MEMBER_ALIVE, now_ms, &index)
			    : NULL;
	if (!member) {
		membership_destroy(new);
		return error ? error : -ENOMEM;
	}
	member->node = *self;
	member->node.incarnation = 1;
	member->node.record_version = 1;
	*membership = new;
	return 0;
}

void membership_destroy(struct membership *membership)
{
	if (!membership)
		return;
	prober_fini(&membership->prober);
	member_table_fini(&membership->table);
	free(membership);
}

/* ---- small actions ---- */

void membership_spread(struct membership_actions *actions, enum membership_action_kind kind,
		       uint32_t index)
{
	membership_actions_add(actions, kind)->index = index;
}

void membership_report_change(struct membership_actions *actions, uint32_t index,
			      enum member_state before, enum member_state after)
{
	struct membership_action *action = membership_actions_add(actions, MEMBERSHIP_CHANGED);

	action->index = index;
	action->before = before;
	action->after = after;
}

void membership_change_state(struct membership *membership, uint64_t now_ms, uint32_t index,
			     enum member_state to, struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];
	enum member_state before = member_state(member);

	if (before == to)
		return;
	member_table_move(&membership->table, member, to, now_ms);
	if (to == MEMBER_SUSPECT)
		membership->counters.suspicions++;
	if (to == MEMBER_DEAD)
		membership->counters.deaths++;
	if (to == MEMBER_ALIVE && before != MEMBER_SUSPECT)
		prober_add(&membership->prober, index);
	membership_report_change(actions, index, before, to);
}

/* ---- the member table's bound ---- */

static void forget(struct membership *membership, uint32_t index,
		   struct membership_actions *actions)
{
	struct membership_action *action = membership_actions_add(actions, MEMBERSHIP_FORGOTTEN);

	action->index = index;
	action->about = membership->table.slots[index]->node.id;
	member_table_remove(&membership->table, index);
}

struct member *membership_add(struct membership *membership, uint64_t now_ms, uint64_t id,
			      enum member_state state, uint32_t *index,
			      struct membership_actions *actions)
{
	struct member *member;
	uint32_t oldest;

	if (membership->table.count == membership->table.capacity) {
		oldest = member_table_oldest_gone(&membership->table);
		if (oldest != MEMBERSHIP_SELF)
			forget(membership, oldest, actions);
	}
	member = member_table_add(&membership->table, id, state, now_ms, index);
	if (!member)
		membership->counters.refused_full++;
	return member;
}

static bool is_forgettable(const struct member *member, uint64_t now_ms)
{
	uint64_t age_ms = now_ms - member->since_ms;

	return (member_state(member) == MEMBER_LEFT && age_ms > MEMBERSHIP_LEFT_RETENTION_MS) ||
	       (member_state(member) == MEMBER_REMOVED && age_ms > MEMBERSHIP_REMOVED_RETENTION_MS);
}

/* Forgets one member whose time is over; comes back at once while there are more. */
static void sweep(struct membership *membership, uint64_t now_ms,
		  struct membership_actions *actions)
{
	for (uint32_t i = 1; i < membership->table.end; i++) {
		const struct member *member = membership->table.slots[i];

		if (member && is_forgettable(member, now_ms)) {
			forget(membership, i, actions);
			return;
		}
	}
	membership->sweep_at_ms = now_ms + SWEEP_INTERVAL_MS;
}

/* ---- events ---- */

static void answer_ping(struct membership *membership, const struct membership_event *event,
			struct membership_actions *actions)
{
	uint64_t self = membership_self_member(membership)->node.id;
	struct membership_action *action;

	/* A node with a stalled worker is alive to nobody: its clients get no answers. */
	if (membership->is_stalled || event->target != self)
		return;
	action = membership_actions_add(actions, MEMBERSHIP_SEND_ACK);
	action->to = event->from;
	action->about = event->sender;
	action->sequence = event->sequence;
	action->target = self;
}

static void on_timer(struct membership *membership, uint64_t now_ms,
		     struct membership_actions *actions)
{
	const struct member *failed;

	if (membership_tick_suspects(membership, now_ms, actions))
		return;
	if (now_ms >= membership->sweep_at_ms) {
		sweep(membership, now_ms, actions);
		return;
	}
	failed = prober_timer(&membership->prober, now_ms, actions);
	if (failed)
		membership_suspect(membership, now_ms, failed, actions);
}

static void dispatch(struct membership *membership, uint64_t now_ms,
		     const struct membership_event *event, struct membership_actions *actions)
{
	switch (event->kind) {
	case MEMBERSHIP_TIMER:
		on_timer(membership, now_ms, actions);
		break;
	case MEMBERSHIP_HEARD:
		break;
	case MEMBERSHIP_PING:
		answer_ping(membership, event, actions);
		break;
	case MEMBERSHIP_PING_REQ:
		prober_ping_req(&membership->prober, now_ms, event, actions);
		break;
	case MEMBERSHIP_ACK:
		prober_ack(&membership->prober, event, actions);
		break;
	case MEMBERSHIP_NACK:
		prober_nack(&membership->prober, event);
		break;
	case MEMBERSHIP_RECORD:
		membership_take_record(membership, now_ms, event, actions);
		break;
	case MEMBERSHIP_CLAIM:
		membership_take_claim(membership, now_ms, event->claim, actions);
		break;
	case MEMBERSHIP_UPDATE_SELF:
		membership_update_self(membership, now_ms, event->node, actions);
		break;
	case MEMBERSHIP_JOINED:
		membership->is_joined = true;
		break;
	case MEMBERSHIP_REMOVE:
		membership_remove(membership, now_ms, event->target, actions);
		break;
	case MEMBERSHIP_STALLED:
		membership_set_stalled(membership, event->is_stalled, actions);
		break;
	}
}

static void note_heard(struct membership *membership, uint64_t now_ms,
		       const struct membership_event *event)
{
	struct member *member =
		event->sender ? member_table_find(&membership->table, event->sender, NULL) : NULL;

	if (member)
		member->heard_ms = now_ms;
}

void membership_step(struct membership *membership, uint64_t now_ms,
		     const struct membership_event *event, struct membership_actions *actions)
{
	actions->count = 0;
	note_heard(membership, now_ms, event);
	dispatch(membership, now_ms, event, actions);
	membership_note_majority(membership, now_ms);
}

uint64_t membership_deadline_ms(const struct membership *membership)
{
	uint64_t deadline_ms = prober_deadline_ms(&membership->prober);
	uint64_t suspects_ms = membership_suspects_deadline_ms(membership);

	if (membership->sweep_at_ms < deadline_ms)
		deadline_ms = membership->sweep_at_ms;
	return suspects_ms < deadline_ms ? suspects_ms : deadline_ms;
}

/* ---- questions ---- */

const struct member *membership_at(const struct membership *membership, uint32_t index)
{
	return index < membership->table.end ? membership->table.slots[index] : NULL;
}

uint32_t membership_index_end(const struct membership *membership)
{
	return membership->table.end;
}

const struct member *membership_find(const struct membership *membership, uint64_t id)
{
	return member_table_find(&membership->table, id, NULL);
}

const char *membership_name(const struct membership *membership, uint64_t id,
			    char text[NODE_NAME_SIZE])
{
	const struct member *member = membership_find(membership, id);

	if (member && member->node.name[0])
		snprintf(text, NODE_NAME_SIZE, "%s", member->node.name);
	else
		snprintf(text, NODE_NAME_SIZE, "%016" PRIx64, id);
	return text;
}

const struct node *membership_self(const struct membership *membership)
{
	return &membership_self_member(membership)->node;
}

uint32_t membership_live_count(const struct membership *membership)
{
	return member_table_live_others(&membership->table) + 1;
}

static bool is_picked(const struct member *member, bool is_dead)
{
	if (is_dead)
		return member_state(member) == MEMBER_DEAD;
	return member_state(member) == MEMBER_ALIVE || member_state(member) == MEMBER_SUSPECT;
}

const struct member *membership_pick(struct membership *membership, bool is_dead)
{
	const struct member_table *table = &membership->table;
	const struct member *picked = NULL;
	uint32_t seen = 0;

	for (uint32_t i = 1; i < table->end; i++) {
		const struct member *member = table->slots[i];

		if (!member || !is_picked(member, is_dead))
			continue;
		if (prng_below(&membership->prng, ++seen) == 0)
			picked = member;
	}
	return picked;
}

uint32_t membership_health(const struct membership *membership)
{
	return membership->prober.health;
}

const struct membership_counters *membership_counters(const struct membership *membership)
{
	return &membership->counters;
}

bool membership_is_sound(const struct membership *membership)
{
	const struct member_table *table = &membership->table;
	uint32_t count = 0;

	for (uint32_t i = 0; i < table->end; i++) {
		const struct member *member = table->slots[i];
		uint32_t index;

		if (!member)
			continue;
		count++;
		if (!state_machine_holds(&member->machine, member) ||
		    member_table_find(table, member->node.id, &index) != member || index != i)
			return false;
	}
	return count == table->count && membership_self_member(membership) != NULL;
}
