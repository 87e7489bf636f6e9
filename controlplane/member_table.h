/* SPDX-License-Identifier: BSD-3-Clause */
/* The members by index and by id, and how many there are in each state. */
#ifndef CONTROLPLANE_MEMBER_TABLE_H
#define CONTROLPLANE_MEMBER_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/membership.h"

struct member_table_key {
	uint64_t id;
	uint32_t index;
};

/* Thread safety: none; part of struct membership. */
struct member_table {
	uint32_t capacity;
	uint32_t end; /* all indices in use are below */
	uint32_t count;
	struct member **slots;                 /* by index; NULL = free */
	struct member_table_key *keys;         /* 'count' of them, ascending by id */
	uint32_t state_counts[MEMBER_UNKNOWN]; /* members in each state */
};

/* 0 or -ENOMEM. */
int member_table_init(struct member_table *table, uint32_t capacity);
/* Accepts a zeroed object. */
void member_table_fini(struct member_table *table);

/* NULL when 'id' is not there; '*index' is set otherwise ('index' may be NULL). */
struct member *member_table_find(const struct member_table *table, uint64_t id, uint32_t *index);

/* Adds a member in 'state' that is not there yet, with nothing but its id set. NULL when the table
 * is full or memory is short. The machine starts in 'state' without a look at its invariant: make
 * the member fit at once.
 */
struct member *member_table_add(struct member_table *table, uint64_t id, enum member_state state,
				uint64_t now_ms, uint32_t *index);

/* Frees the member at 'index'. */
void member_table_remove(struct member_table *table, uint32_t index);

/* The one way a member's state changes: counts follow. */
void member_table_move(struct member_table *table, struct member *member, enum member_state to,
		       uint64_t now_ms);

/* Members ALIVE or SUSPECT, index 0 (this node) left out. */
uint32_t member_table_live_others(const struct member_table *table);

/* The member that may make room for a new one: the one that left first, else the oldest tombstone;
 * 0 when there is none (index 0 is this node).
 */
uint32_t member_table_oldest_gone(const struct member_table *table);

#endif
