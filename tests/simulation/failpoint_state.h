/* SPDX-License-Identifier: BSD-3-Clause */
/* One cell of the matrix while it runs. Private to failpoint*.c. */
#ifndef TESTS_SIMULATION_FAILPOINT_STATE_H
#define TESTS_SIMULATION_FAILPOINT_STATE_H

#include "tests/simulation/failpoint.h"
#include "tests/simulation/sim_state.h"

#define FAILPOINT_PARTITION 0u

enum failpoint_node {
	FAILPOINT_SOURCE,
	FAILPOINT_TARGET,
	FAILPOINT_THIRD,
	FAILPOINT_NODE_COUNT,
};

/* A message of a migration as it arrived. */
struct failpoint_message {
	uint32_t from;
	uint32_t to;
	size_t size;
	uint8_t *bytes; /* owned */
};

/* Thread safety: none. */
struct failpoint {
	enum failpoint_phase phase;
	enum failpoint_fault fault;
	struct sim *sim;
	struct failpoint_result *result;

	uint64_t job;      /* of the first migration */
	uint32_t attempts; /* begun by its target */
	bool is_mended;    /* and now the next one goes on */
	bool is_cut;       /* the first attempt is made to fail, see failpoint.c */
	bool is_cut_off;   /* the source, so that the target claims */
	bool is_struck;
	bool is_claimed; /* the target took it without the source's decision, */
	bool is_limit;   /* and what the source, cut off, had acknowledged meanwhile is lost */
	enum migration_source_outcome outcome;

	/* All of the first attempt. */
	uint32_t message_count;
	uint32_t message_max;
	struct failpoint_message *messages;
};

/* --- failpoint_faults.c --- */

/* The fault happens. */
void failpoint_strike(struct failpoint *failpoint);
/* It lasts for its time. */
void failpoint_endure(struct failpoint *failpoint);

/* The node hears nobody, and nobody hears it. */
void failpoint_isolate(struct failpoint *failpoint, uint32_t node);

/* --- failpoint_witness.c: clients at both nodes, while a fault lasts 'us' --- */

/* Whether the node's map says that the partition is its own. */
bool failpoint_is_owner(struct sim *sim, enum failpoint_node node);
/* A write at the target as soon as it owns the partition, and a read at the source thereafter, whose workers may stand still. */
void failpoint_endure_stall(struct failpoint *failpoint, uint64_t us);
/* The same as soon as both own it, each in its own eyes. */
void failpoint_endure_cut(struct failpoint *failpoint, uint64_t us);

/* --- failpoint_record.c --- */

void failpoint_record(struct failpoint *failpoint, const struct sim_event *event);
void failpoint_replay(struct failpoint *failpoint);
void failpoint_forget(struct failpoint *failpoint);

#endif
