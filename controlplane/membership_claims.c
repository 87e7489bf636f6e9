/* SPDX-License-Identifier: BSD-3-Clause */
/* What is claimed of other members: that one is suspected, dead, or removed; and the time a suspicion takes. */
#include "controlplane/membership_parts.h"

#include <math.h>

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
	membership_change_state(membership, now_ms, index, MEMBER_SUSPECT, actions);
	membership_spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
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
	membership_spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

static void declare_dead(struct membership *membership, uint64_t now_ms, uint32_t index,
			 const struct membership_claim *claim, struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];

	member->claim = *claim;
	membership_change_state(membership, now_ms, index, MEMBER_DEAD, actions);
	membership_spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

/* ---- removal ---- */

static void declare_removed(struct membership *membership, uint64_t now_ms, uint32_t index,
			    const struct membership_claim *claim,
			    struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];

	member->claim = *claim;
	membership_change_state(membership, now_ms, index, MEMBER_REMOVED, actions);
	membership_spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

void membership_remove(struct membership *membership, uint64_t now_ms, uint64_t id,
		       struct membership_actions *actions)
{
	struct membership_claim claim = { .id = id, .kind = CLAIM_REMOVED };
	uint32_t index;
	const struct member *member = member_table_find(&membership->table, id, &index);

	if (!member || index == MEMBERSHIP_SELF)
		return;
	if (member_state(member) != MEMBER_DEAD && member_state(member) != MEMBER_LEFT)
		return;
	claim.generation = member->node.generation;
	claim.incarnation = member->node.incarnation;
	claim.from_count = 1;
	claim.from[0] = membership_self_member(membership)->node.id;
	declare_removed(membership, now_ms, index, &claim, actions);
}

/* A tombstone for a member of which no record was ever seen keeps its old records out, too. */
static void claim_on_stranger(struct membership *membership, uint64_t now_ms,
			      const struct membership_claim *claim,
			      struct membership_actions *actions)
{
	struct member *member;
	uint32_t index;

	if (claim->kind != CLAIM_REMOVED)
		return;
	member = membership_add(membership, now_ms, claim->id, MEMBER_REMOVED, &index, actions);
	if (!member)
		return;
	member->claim = *claim;
	membership_report_change(actions, index, MEMBER_UNKNOWN, MEMBER_REMOVED);
	membership_spread(actions, MEMBERSHIP_SPREAD_CLAIM, index);
}

static bool tombstone_is_newer(const struct member *member, const struct membership_claim *claim)
{
	if (claim->generation < member->node.generation)
		return false;
	return member_state(member) != MEMBER_REMOVED ||
	       claim->generation > member->claim.generation;
}

/* ---- claims of others, and this node's ---- */

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
		membership_spread(actions, MEMBERSHIP_REPEAT_RECORD, index);
		return;
	}
	if (claim->kind == CLAIM_DEAD && (state == MEMBER_ALIVE || state == MEMBER_SUSPECT))
		declare_dead(membership, now_ms, index, claim, actions);
	else if (claim->kind == CLAIM_SUSPECT && state == MEMBER_ALIVE)
		start_suspicion(membership, now_ms, index, claim, actions);
	else if (claim->kind == CLAIM_SUSPECT && state == MEMBER_SUSPECT)
		confirm_suspicion(membership, index, claim, actions);
}

void membership_take_claim(struct membership *membership, uint64_t now_ms,
			   const struct membership_claim *claim, struct membership_actions *actions)
{
	uint32_t index;

	if (!member_table_find(&membership->table, claim->id, &index))
		claim_on_stranger(membership, now_ms, claim, actions);
	else if (index == MEMBERSHIP_SELF)
		membership_claim_on_self(membership, now_ms, claim, actions);
	else
		claim_on_member(membership, now_ms, index, claim, actions);
}

void membership_suspect(struct membership *membership, uint64_t now_ms, const struct member *member,
			struct membership_actions *actions)
{
	struct membership_claim claim = {
		.id = member->node.id,
		.generation = member->node.generation,
		.incarnation = member->node.incarnation,
		.kind = CLAIM_SUSPECT,
		.from_count = 1,
		.from = { membership_self_member(membership)->node.id },
	};

	membership_take_claim(membership, now_ms, &claim, actions);
}

/* ---- what becomes of suspects ---- */

/* When something is to be done about a suspect. */
static uint64_t suspect_due_ms(const struct member *member)
{
	return member->last_call_ms != 0 ? member->last_call_ms : member->suspicion_end_ms;
}

/* The suspect about whom something is to be done first, MEMBERSHIP_SELF when there is none. */
static uint32_t first_suspect(const struct membership *membership)
{
	const struct member_table *table = &membership->table;
	uint32_t first = MEMBERSHIP_SELF;

	if (table->state_counts[MEMBER_SUSPECT] == 0)
		return MEMBERSHIP_SELF;
	for (uint32_t i = 1; i < table->end; i++) {
		const struct member *member = table->slots[i];

		if (!member || member_state(member) != MEMBER_SUSPECT)
			continue;
		if (first == MEMBERSHIP_SELF ||
		    suspect_due_ms(member) < suspect_due_ms(table->slots[first]))
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

bool membership_tick_suspects(struct membership *membership, uint64_t now_ms,
			      struct membership_actions *actions)
{
	uint32_t index = first_suspect(membership);

	if (index == MEMBERSHIP_SELF || now_ms < suspect_due_ms(membership->table.slots[index]))
		return false;
	handle_suspect(membership, now_ms, index, actions);
	return true;
}

uint64_t membership_suspects_deadline_ms(const struct membership *membership)
{
	uint32_t index = first_suspect(membership);

	return index == MEMBERSHIP_SELF ? UINT64_MAX
					: suspect_due_ms(membership->table.slots[index]);
}
