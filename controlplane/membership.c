/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is in the cluster and who is alive: SWIM with Lifeguard, as a pure machine. */
#include "controlplane/membership.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/member_table.h"
#include "controlplane/prober.h"

#define SELF 0u /* this node's index */
#define SWEEP_INTERVAL_MS 60000u
/* Bids against other lives of this node are forgotten after this long. */
#define CONFLICT_PERIOD_MS 600000u

struct membership {
	struct member_table table;
	struct prober prober;
	struct prng prng;
	struct membership_counters counters;
	bool is_joined; /* this node has heard what others knew of its earlier lives */
	bool is_stalled;
	bool is_removed;
	bool must_refute; /* a claim came while stalled */
	uint64_t refute_incarnation;
	uint64_t sweep_at_ms;
	uint64_t majority_lost_ms;
	uint64_t conflict_at_ms;
	uint32_t conflicts;
};

static struct member *self_member(const struct membership *membership)
{
	return membership->table.slots[SELF];
}

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

static void spread(struct membership_actions *actions, enum membership_action_kind kind,
		   uint32_t index)
{
	membership_actions_add(actions, kind)->index = index;
}

static void report_change(struct membership_actions *actions, uint32_t index,
			  enum member_state before, enum member_state after)
{
	struct membership_action *action = membership_actions_add(actions, MEMBERSHIP_CHANGED);

	action->index = index;
	action->before = before;
	action->after = after;
}

/* Moves a member that is fit for its new state. */
static void change_state(struct membership *membership, uint64_t now_ms, uint32_t index,
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
	report_change(actions, index, before, to);
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

static struct member *add_member(struct membership *membership, uint64_t now_ms, uint64_t id,
				 enum member_state state, uint32_t *index,
				 struct membership_actions *actions)
{
	struct member *member;
	uint32_t oldest;

	if (membership->table.count == membership->table.capacity) {
		oldest = member_table_oldest_gone(&membership->table);
		if (oldest != SELF)
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

/* ---- this node's own record ---- */

static void self_changed(struct membership *membership, struct membership_actions *actions)
{
	self_member(membership)->node.record_version++;
	spread(actions, MEMBERSHIP_SPREAD_RECORD, SELF);
}

static void refute(struct membership *membership, uint64_t incarnation,
		   struct membership_actions *actions)
{
	struct node *self = &self_member(membership)->node;

	if (incarnation < self->incarnation) {
		/* refuted already, but not everybody has heard it */
		spread(actions, MEMBERSHIP_REPEAT_RECORD, SELF);
		return;
	}
	if (membership->is_stalled) {
		membership->must_refute = true;
		membership->refute_incarnation = incarnation;
		return;
	}
	self->incarnation = incarnation + 1;
	membership->counters.refutations++;
	prober_change_health(&membership->prober, 1);
	self_changed(membership, actions);
}

/* Someone holds a record of this node that this life did not write: an earlier life with a clock
 * that was ahead, or another node of the same name. The former is outbid once; the latter bids
 * back.
 */
static void outbid(struct membership *membership, uint64_t now_ms, uint64_t generation,
		   struct membership_actions *actions)
{
	struct node *self = &self_member(membership)->node;

	self->generation = generation + 1;
	membership->counters.generation_bids++;
	self_changed(membership, actions);
	if (!membership->is_joined)
		return;
	if (now_ms - membership->conflict_at_ms > CONFLICT_PERIOD_MS)
		membership->conflicts = 0;
	membership->conflict_at_ms = now_ms;
	if (++membership->conflicts == MEMBERSHIP_CONFLICT_COUNT_MAX)
		membership_actions_add(actions, MEMBERSHIP_ID_CONFLICT);
}

static void record_of_self(struct membership *membership, uint64_t now_ms, const struct node *node,
			   struct membership_actions *actions)
{
	if (node_compare_age(node, &self_member(membership)->node) > 0)
		outbid(membership, now_ms, node->generation, actions);
}

static void claim_on_self(struct membership *membership, uint64_t now_ms,
			  const struct membership_claim *claim, struct membership_actions *actions)
{
	const struct node *self = &self_member(membership)->node;

	if (claim->generation < self->generation)
		return; /* on an earlier life */
	if (claim->kind == CLAIM_REMOVED && membership->is_joined) {
		if (!membership->is_removed)
			membership_actions_add(actions, MEMBERSHIP_SELF_REMOVED);
		membership->is_removed = true;
	} else if (claim->kind == CLAIM_REMOVED || claim->generation > self->generation) {
		outbid(membership, now_ms, claim->generation, actions);
	} else if (self->state != NODE_LEFT) {
		refute(membership, claim->incarnation, actions);
	}
}

/* Takes over what the caller wants to say; identity and order stay. */
static void update_self(struct membership *membership, uint64_t now_ms, const struct node *desired,
			struct membership_actions *actions)
{
	struct node *self = &self_member(membership)->node;
	struct node next = *desired;

	next.id = self->id;
	memcpy(next.name, self->name, sizeof(next.name));
	next.generation = self->generation;
	next.incarnation = self->incarnation;
	next.record_version = self->record_version;
	if (node_content_equals(self, &next))
		return;
	if (node_announcement_equals(self, &next)) {
		next.record_version++;
		*self = next;
		return;
	}
	*self = next;
	if (next.state == NODE_LEFT)
		change_state(membership, now_ms, SELF, MEMBER_LEFT, actions);
	self_changed(membership, actions);
}

static void set_stalled(struct membership *membership, bool is_stalled,
			struct membership_actions *actions)
{
	membership->is_stalled = is_stalled;
	if (!is_stalled && membership->must_refute) {
		membership->must_refute = false;
		refute(membership, membership->refute_incarnation, actions);
	}
}

/* ---- suspicion ---- */

uint32_t membership_suspicion_ms(uint32_t live_count, uint32_t confirmations,
				 uint32_t confirmations_max, uint32_t probe_interval_ms)
{
	double scale = live_count > 10 ? log10(live_count) : 1.0;
	double min = 4.0 * scale * probe_interval_ms;
	double max = 6.0 * min;
	double time;

	if (confirmations >= confirmations_max)
		return (uint32_t)min;
	time = max - (max - min) * log(confirmations + 1.0) / log(confirmations_max + 1.0);
	return (uint32_t)(time < min ? min : time);
}

static void set_suspicion_end(const struct membership *membership, struct member *member,
			      uint64_t started_ms)
{
	uint32_t duration_ms = membership_suspicion_ms(
		membership_live_count(membership), member->claim.from_count - 1,
		member->confirmations_max, membership->prober.interval_ms);

	member->suspicion_end_ms = started_ms + duration_ms;
	if (member->last_call_ms != 0)
		member->last_call_ms = started_ms + duration_ms / 2;
}

/* Adds those of 'more' that are not there yet; returns whether there was one. */
static bool merge_from(struct membership_claim *claim, const struct membership_claim *more)
{
	bool is_new = false;

	for (uint32_t i = 0; i < more->from_count; i++) {
		bool is_known = claim->from_count == MEMBERSHIP_CLAIM_FROM_MAX;

		for (uint32_t j = 0; j < claim->from_count && !is_known; j++)
			is_known = claim->from[j] == more->from[i];
		if (!is_known) {
			claim->from[claim->from_count++] = more->from[i];
			is_new = true;
		}
	}
	return is_new;
}

static void start_suspicion(struct membership *membership, uint64_t now_ms, uint32_t index,
			    const struct membership_claim *claim,
			    struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];
	uint32_t live = membership_live_count(membership);
	/* Everybody else but the suspect and the one who suspects can confirm. */
	uint32_t others = live > 2 ? live - 2 : 0;

	member->claim = *claim;
	member->claim.from_count = 0;
	merge_from(&member->claim, claim);
	member->confirmations_max =
		others < MEMBERSHIP_CONFIRMATIONS_MAX ? others : MEMBERSHIP_CONFIRMATIONS_MAX;
	member->last_call_ms = now_ms;
	set_suspicion_end(membership, member, now_ms);
	change_state(membership, now_ms, index, MEMBER_SUSPECT, actions);
	spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

static void confirm_suspicion(struct membership *membership, uint32_t index,
			      const struct membership_claim *claim,
			      struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];
	bool is_higher = claim->incarnation > member->claim.incarnation;

	if (is_higher)
		member->claim.incarnation = claim->incarnation;
	if (!merge_from(&member->claim, claim) && !is_higher)
		return;
	set_suspicion_end(membership, member, member->since_ms);
	spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

static void declare_dead(struct membership *membership, uint64_t now_ms, uint32_t index,
			 const struct membership_claim *claim, struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];

	member->claim = *claim;
	change_state(membership, now_ms, index, MEMBER_DEAD, actions);
	spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

static void declare_removed(struct membership *membership, uint64_t now_ms, uint32_t index,
			    const struct membership_claim *claim,
			    struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];

	member->claim = *claim;
	change_state(membership, now_ms, index, MEMBER_REMOVED, actions);
	spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

/* ---- what is heard of others ---- */

/* A tombstone for a member of which no record was ever seen keeps its old records out, too. */
static void claim_on_stranger(struct membership *membership, uint64_t now_ms,
			      const struct membership_claim *claim,
			      struct membership_actions *actions)
{
	struct member *member;
	uint32_t index;

	if (claim->kind != CLAIM_REMOVED)
		return;
	member = add_member(membership, now_ms, claim->id, MEMBER_REMOVED, &index, actions);
	if (!member)
		return;
	member->claim = *claim;
	report_change(actions, index, MEMBER_UNKNOWN, MEMBER_REMOVED);
	spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

static bool tombstone_is_newer(const struct member *member, const struct membership_claim *claim)
{
	if (claim->generation < member->node.generation)
		return false;
	return member_state(member) != MEMBER_REMOVED ||
	       claim->generation > member->claim.generation;
}

static void claim_on_member(struct membership *membership, uint64_t now_ms, uint32_t index,
			    const struct membership_claim *claim,
			    struct membership_actions *actions)
{
	const struct member *member = membership->table.slots[index];
	enum member_state state = member_state(member);

	if (claim->kind == CLAIM_REMOVED) {
		if (tombstone_is_newer(member, claim))
			declare_removed(membership, now_ms, index, claim, actions);
		return;
	}
	if (state == MEMBER_REMOVED)
		membership->counters.refused_removed++;
	if (claim->generation != member->node.generation || claim->from_count == 0)
		return;
	if (claim->incarnation < member->node.incarnation) {
		/* refuted meanwhile, but not everybody has heard it */
		spread(actions, MEMBERSHIP_REPEAT_RECORD, index);
		return;
	}
	if (claim->kind == CLAIM_DEAD && (state == MEMBER_ALIVE || state == MEMBER_SUSPECT))
		declare_dead(membership, now_ms, index, claim, actions);
	else if (claim->kind == CLAIM_SUSPECT && state == MEMBER_ALIVE)
		start_suspicion(membership, now_ms, index, claim, actions);
	else if (claim->kind == CLAIM_SUSPECT && state == MEMBER_SUSPECT)
		confirm_suspicion(membership, index, claim, actions);
}

static void take_claim(struct membership *membership, uint64_t now_ms,
		       const struct membership_claim *claim, struct membership_actions *actions)
{
	uint32_t index;

	if (!member_table_find(&membership->table, claim->id, &index))
		claim_on_stranger(membership, now_ms, claim, actions);
	else if (index == SELF)
		claim_on_self(membership, now_ms, claim, actions);
	else
		claim_on_member(membership, now_ms, index, claim, actions);
}

static bool keep_record(struct member *member, const struct membership_event *event)
{
	uint8_t *record = realloc(member->record, event->record_size ? event->record_size : 1);

	if (!record)
		return false;
	if (event->record_size)
		memcpy(record, event->record, event->record_size);
	member->record = record;
	member->record_size = event->record_size;
	member->node = *event->node;
	return true;
}

static void record_of_stranger(struct membership *membership, uint64_t now_ms,
			       const struct membership_event *event,
			       struct membership_actions *actions)
{
	enum member_state state = event->node->state == NODE_LEFT ? MEMBER_LEFT : MEMBER_ALIVE;
	struct member *member;
	uint32_t index;

	member = add_member(membership, now_ms, event->node->id, state, &index, actions);
	if (!member)
		return;
	if (!keep_record(member, event)) {
		member_table_remove(&membership->table, index);
		return;
	}
	member->heard_ms = now_ms; /* as good as heard: it has only just been met */
	if (state == MEMBER_ALIVE)
		prober_add(&membership->prober, index);
	report_change(actions, index, MEMBER_UNKNOWN, state);
	spread(actions, MEMBERSHIP_SPREAD_RECORD, index);
}

/* The state that follows from a newer record. */
static enum member_state state_by_record(const struct member *member, bool is_restarted)
{
	enum member_state state = member_state(member);

	if (member->node.state == NODE_LEFT)
		return MEMBER_LEFT;
	if (is_restarted || state == MEMBER_LEFT)
		return MEMBER_ALIVE;
	if ((state == MEMBER_SUSPECT || state == MEMBER_DEAD) &&
	    member->claim.incarnation < member->node.incarnation)
		return MEMBER_ALIVE;
	return state;
}

static void record_of_member(struct membership *membership, uint64_t now_ms, uint32_t index,
			     const struct membership_event *event,
			     struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];
	const struct node *node = event->node;
	struct node old = member->node;
	bool is_tombstone = member_state(member) == MEMBER_REMOVED;
	bool is_restarted =
		node->generation > (is_tombstone ? member->claim.generation : old.generation);

	if (is_tombstone && !is_restarted) {
		membership->counters.refused_removed++;
		return;
	}
	if (node_compare_age(node, &old) <= 0 || !keep_record(member, event))
		return;
	if (is_restarted)
		spread(actions, MEMBERSHIP_RESTARTED, index);
	change_state(membership, now_ms, index, state_by_record(member, is_restarted), actions);
	if (is_restarted || node->incarnation != old.incarnation ||
	    !node_announcement_equals(node, &old))
		spread(actions, MEMBERSHIP_SPREAD_RECORD, index);
	spread(actions, MEMBERSHIP_UPDATED, index);
}

static void take_record(struct membership *membership, uint64_t now_ms,
			const struct membership_event *event, struct membership_actions *actions)
{
	uint32_t index;

	if (!member_table_find(&membership->table, event->node->id, &index))
		record_of_stranger(membership, now_ms, event, actions);
	else if (index == SELF)
		record_of_self(membership, now_ms, event->node, actions);
	else
		record_of_member(membership, now_ms, index, event, actions);
}

/* ---- events ---- */

static void answer_ping(struct membership *membership, const struct membership_event *event,
			struct membership_actions *actions)
{
	uint64_t self = self_member(membership)->node.id;
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

static void remove_member(struct membership *membership, uint64_t now_ms, uint64_t id,
			  struct membership_actions *actions)
{
	struct membership_claim claim = { .id = id, .kind = CLAIM_REMOVED };
	uint32_t index;
	const struct member *member = member_table_find(&membership->table, id, &index);

	if (!member || index == SELF)
		return;
	if (member_state(member) != MEMBER_DEAD && member_state(member) != MEMBER_LEFT)
		return;
	claim.generation = member->node.generation;
	claim.incarnation = member->node.incarnation;
	claim.from_count = 1;
	claim.from[0] = self_member(membership)->node.id;
	declare_removed(membership, now_ms, index, &claim, actions);
}

static void suspect(struct membership *membership, uint64_t now_ms, const struct member *member,
		    struct membership_actions *actions)
{
	struct membership_claim claim = {
		.id = member->node.id,
		.generation = member->node.generation,
		.incarnation = member->node.incarnation,
		.kind = CLAIM_SUSPECT,
		.from_count = 1,
		.from = { self_member(membership)->node.id },
	};

	take_claim(membership, now_ms, &claim, actions);
}

/* When something is to be done about a suspect. */
static uint64_t suspect_due_ms(const struct member *member)
{
	return member->last_call_ms != 0 ? member->last_call_ms : member->suspicion_end_ms;
}

/* The suspect about whom something is to be done first, SELF when there is none. */
static uint32_t first_suspect(const struct membership *membership)
{
	const struct member_table *table = &membership->table;
	uint32_t first = SELF;

	if (table->state_counts[MEMBER_SUSPECT] == 0)
		return SELF;
	for (uint32_t i = 1; i < table->end; i++) {
		const struct member *member = table->slots[i];

		if (!member || member_state(member) != MEMBER_SUSPECT)
			continue;
		if (first == SELF || suspect_due_ms(member) < suspect_due_ms(table->slots[first]))
			first = i;
	}
	return first;
}

/* Halfway through, a suspect is asked once more: whoever missed its refutation hears it now. At the
 * end it is dead.
 */
static void handle_suspect(struct membership *membership, uint64_t now_ms, uint32_t index,
			   struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];
	struct membership_claim claim = member->claim;

	if (member->last_call_ms != 0) {
		member->last_call_ms = 0;
		prober_last_call(&membership->prober, member, actions);
		return;
	}
	claim.kind = CLAIM_DEAD;
	declare_dead(membership, now_ms, index, &claim, actions);
}

static void on_timer(struct membership *membership, uint64_t now_ms,
		     struct membership_actions *actions)
{
	uint32_t index = first_suspect(membership);
	const struct member *failed;

	if (index != SELF && now_ms >= suspect_due_ms(membership->table.slots[index])) {
		handle_suspect(membership, now_ms, index, actions);
		return;
	}
	if (now_ms >= membership->sweep_at_ms) {
		sweep(membership, now_ms, actions);
		return;
	}
	failed = prober_timer(&membership->prober, now_ms, actions);
	if (failed)
		suspect(membership, now_ms, failed, actions);
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
		take_record(membership, now_ms, event, actions);
		break;
	case MEMBERSHIP_CLAIM:
		take_claim(membership, now_ms, event->claim, actions);
		break;
	case MEMBERSHIP_UPDATE_SELF:
		update_self(membership, now_ms, event->node, actions);
		break;
	case MEMBERSHIP_JOINED:
		membership->is_joined = true;
		break;
	case MEMBERSHIP_REMOVE:
		remove_member(membership, now_ms, event->target, actions);
		break;
	case MEMBERSHIP_STALLED:
		set_stalled(membership, event->is_stalled, actions);
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

/* Members whose votes would count: all that did not leave and were not removed. */
static uint32_t electorate(const struct membership *membership)
{
	const uint32_t *counts = membership->table.state_counts;

	return counts[MEMBER_ALIVE] + counts[MEMBER_SUSPECT] + counts[MEMBER_DEAD];
}

static bool is_majority_alive(const struct membership *membership)
{
	return 2 * membership->table.state_counts[MEMBER_ALIVE] > electorate(membership);
}

void membership_step(struct membership *membership, uint64_t now_ms,
		     const struct membership_event *event, struct membership_actions *actions)
{
	actions->count = 0;
	note_heard(membership, now_ms, event);
	dispatch(membership, now_ms, event, actions);
	if (is_majority_alive(membership))
		membership->majority_lost_ms = 0;
	else if (membership->majority_lost_ms == 0)
		membership->majority_lost_ms = now_ms;
}

uint64_t membership_deadline_ms(const struct membership *membership)
{
	uint64_t deadline_ms = prober_deadline_ms(&membership->prober);
	uint32_t index = first_suspect(membership);

	if (membership->sweep_at_ms < deadline_ms)
		deadline_ms = membership->sweep_at_ms;
	if (index != SELF && suspect_due_ms(membership->table.slots[index]) < deadline_ms)
		deadline_ms = suspect_due_ms(membership->table.slots[index]);
	return deadline_ms;
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
	return &self_member(membership)->node;
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

/* Keeps the 'count' latest of the moments seen so far, latest first. */
static void keep_latest(uint64_t *latest_ms, uint32_t count, uint64_t at_ms)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t swap_ms = latest_ms[i];

		if (at_ms <= swap_ms)
			continue;
		latest_ms[i] = at_ms;
		at_ms = swap_ms;
	}
}

uint64_t membership_majority_seen_ms(const struct membership *membership, uint64_t now_ms)
{
	uint64_t latest_ms[MEMBERSHIP_HEARD_COUNT_MAX] = { 0 };
	uint32_t needed = electorate(membership) / 2; /* with this node they are more than half */
	uint64_t seen_ms = now_ms;

	if (needed > MEMBERSHIP_HEARD_COUNT_MAX)
		needed = MEMBERSHIP_HEARD_COUNT_MAX;
	for (uint32_t i = 1; i < membership->table.end; i++) {
		const struct member *member = membership->table.slots[i];

		if (member && member_state(member) <= MEMBER_DEAD)
			keep_latest(latest_ms, needed, member->heard_ms);
	}
	if (needed > 0 && latest_ms[needed - 1] < seen_ms)
		seen_ms = latest_ms[needed - 1];
	if (membership->majority_lost_ms != 0 && membership->majority_lost_ms < seen_ms)
		seen_ms = membership->majority_lost_ms;
	return seen_ms;
}

bool membership_sees_majority(const struct membership *membership, uint64_t now_ms)
{
	return is_majority_alive(membership) &&
	       now_ms - membership_majority_seen_ms(membership, now_ms) <=
		       MEMBERSHIP_MAJORITY_WINDOW_MS;
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
	return count == table->count && self_member(membership) != NULL;
}
