/* SPDX-License-Identifier: BSD-3-Clause */
/* The members by index and by id, and how many there are in each state. */
#include "controlplane/member_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool is_fit(const void *subject, uint32_t state);

static const struct state_machine_kind member_kind = {
	.name = "member",
	.state_count = MEMBER_UNKNOWN,
	.state_names = {
		[MEMBER_ALIVE] = "alive",
		[MEMBER_SUSPECT] = "suspect",
		[MEMBER_DEAD] = "dead",
		[MEMBER_LEFT] = "left",
		[MEMBER_REMOVED] = "removed",
	},
	.allowed = {
		[MEMBER_ALIVE] = STATE_MACHINE_TO(MEMBER_SUSPECT) | STATE_MACHINE_TO(MEMBER_DEAD) |
				 STATE_MACHINE_TO(MEMBER_LEFT) | STATE_MACHINE_TO(MEMBER_REMOVED),
		[MEMBER_SUSPECT] = STATE_MACHINE_TO(MEMBER_ALIVE) | STATE_MACHINE_TO(MEMBER_DEAD) |
				   STATE_MACHINE_TO(MEMBER_LEFT) | STATE_MACHINE_TO(MEMBER_REMOVED),
		[MEMBER_DEAD] = STATE_MACHINE_TO(MEMBER_ALIVE) | STATE_MACHINE_TO(MEMBER_LEFT) |
				STATE_MACHINE_TO(MEMBER_REMOVED),
		[MEMBER_LEFT] = STATE_MACHINE_TO(MEMBER_ALIVE) | STATE_MACHINE_TO(MEMBER_REMOVED),
		[MEMBER_REMOVED] = STATE_MACHINE_TO(MEMBER_ALIVE) | STATE_MACHINE_TO(MEMBER_LEFT),
	},
	.invariant = is_fit,
};

/* Whether the claim in force concerns the record the member has. */
static bool claim_holds(const struct member *member, enum membership_claim_kind kind)
{
	const struct membership_claim *claim = &member->claim;

	return claim->kind == kind && claim->generation == member->node.generation &&
	       claim->incarnation >= member->node.incarnation;
}

static bool is_fit(const void *subject, uint32_t state)
{
	const struct member *member = subject;

	switch ((enum member_state)state) {
	case MEMBER_ALIVE:
		return member->node.state != NODE_LEFT;
	case MEMBER_SUSPECT:
		return claim_holds(member, CLAIM_SUSPECT) && member->claim.from_count > 0 &&
		       member->suspicion_end_ms > 0;
	case MEMBER_DEAD:
		return claim_holds(member, CLAIM_DEAD);
	case MEMBER_LEFT:
		return member->node.state == NODE_LEFT;
	case MEMBER_REMOVED:
		return member->claim.kind == CLAIM_REMOVED &&
		       member->claim.generation >= member->node.generation;
	case MEMBER_UNKNOWN:
		break;
	}
	return false;
}

const char *member_state_name(enum member_state state)
{
	return state < MEMBER_UNKNOWN ? member_kind.state_names[state] : "unknown";
}

int member_table_init(struct member_table *table, uint32_t capacity)
{
	memset(table, 0, sizeof(*table));
	table->capacity = capacity;
	table->slots = calloc(capacity, sizeof(struct member *));
	table->keys = calloc(capacity, sizeof(struct member_table_key));
	if (!table->slots || !table->keys) {
		member_table_fini(table);
		return -ENOMEM;
	}
	return 0;
}

static void member_free(struct member *member)
{
	if (member)
		free(member->record);
	free(member);
}

void member_table_fini(struct member_table *table)
{
	for (uint32_t i = 0; table->slots && i < table->end; i++)
		member_free(table->slots[i]);
	free(table->slots);
	free(table->keys);
	memset(table, 0, sizeof(*table));
}

/* Where 'id' is among the keys, or would be. */
static uint32_t key_position(const struct member_table *table, uint64_t id)
{
	uint32_t low = 0;
	uint32_t high = table->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (table->keys[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct member *member_table_find(const struct member_table *table, uint64_t id, uint32_t *index)
{
	uint32_t at = key_position(table, id);

	if (at == table->count || table->keys[at].id != id)
		return NULL;
	if (index)
		*index = table->keys[at].index;
	return table->slots[table->keys[at].index];
}

static uint32_t free_index(const struct member_table *table)
{
	uint32_t index = 0;

	while (index < table->end && table->slots[index])
		index++;
	return index;
}

struct member *member_table_add(struct member_table *table, uint64_t id, enum member_state state,
				uint64_t now_ms, uint32_t *index)
{
	uint32_t at = key_position(table, id);
	struct member *member;

	if (table->count == table->capacity)
		return NULL;
	member = calloc(1, sizeof(*member));
	if (!member)
		return NULL;
	member->node.id = id;
	member->since_ms = now_ms;
	state_machine_init(&member->machine, &member_kind, state);
	*index = free_index(table);
	table->slots[*index] = member;
	if (*index == table->end)
		table->end++;
	memmove(table->keys + at + 1, table->keys + at,
		(table->count - at) * sizeof(table->keys[0]));
	table->keys[at] = (struct member_table_key){ id, *index };
	table->count++;
	table->state_counts[state]++;
	return member;
}

void member_table_remove(struct member_table *table, uint32_t index)
{
	struct member *member = table->slots[index];
	uint32_t at = key_position(table, member->node.id);

	table->count--;
	table->state_counts[member_state(member)]--;
	memmove(table->keys + at, table->keys + at + 1,
		(table->count - at) * sizeof(table->keys[0]));
	table->slots[index] = NULL;
	while (table->end > 0 && !table->slots[table->end - 1])
		table->end--;
	member_free(member);
}

void member_table_move(struct member_table *table, struct member *member, enum member_state to,
		       uint64_t now_ms)
{
	table->state_counts[member_state(member)]--;
	state_machine_move(&member->machine, to, member);
	table->state_counts[to]++;
	member->since_ms = now_ms;
}

uint32_t member_table_live_others(const struct member_table *table)
{
	uint32_t live = table->state_counts[MEMBER_ALIVE] + table->state_counts[MEMBER_SUSPECT];

	return live - (member_state(table->slots[0]) == MEMBER_ALIVE ? 1 : 0);
}

static uint32_t oldest_in_state(const struct member_table *table, enum member_state state)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < table->end; i++) {
		const struct member *member = table->slots[i];

		if (!member || member_state(member) != state)
			continue;
		if (oldest == 0 || member->since_ms < table->slots[oldest]->since_ms)
			oldest = i;
	}
	return oldest;
}

uint32_t member_table_oldest_gone(const struct member_table *table)
{
	uint32_t oldest = oldest_in_state(table, MEMBER_LEFT);

	return oldest ? oldest : oldest_in_state(table, MEMBER_REMOVED);
}
