/* SPDX-License-Identifier: BSD-3-Clause */
/* A model of the hand-over of one partition with one key between two nodes, and the search through all of its states. */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <xxhash.h>

/* The tables of a node's machines are needed as they are, to copy them from state to state. */
#include "controlplane/migration_jobs_state.h"

/* What may happen at any time, in any order, is one transition each:
 *
 *   - a message on its way arrives, arrives and stays on its way (a copy), or is lost; messages overtake each other;
 *   - the timer of a node fires, whatever time it is elsewhere: each node has a clock of its own;
 *   - a worker takes up what its control thread has published; only then the control thread's wait for it is over;
 *   - a client's write is published by the worker; it looks at the cursor, ships the write if need be, and acknowledges it;
 *   - the scan moves its cursor; it reads the slot;
 *   - a node's map spreads; a node dies, its death becomes known, it returns in a new life without data.
 *
 * Writes, timers, losses, copies and deaths have budgets, which are a part of the state: so there are finitely many states, and
 * all of them are visited. A state is remembered by a 128-bit hash of what can matter later: times relative to the
 * node's clock, messages in any order, no statistics.
 *
 * What is checked in each state, by the numbers of docs/migration.md:
 *   1  at most one worker would acknowledge a write
 *   2  who answers reads has the last acknowledged write; no digest ever differs
 *   3  it has no older one, and no key that was removed
 *   6  a read anywhere gives that write, or one that is being made
 * and each machine is fit for its state. A source that dies may take writes with it that it acknowledged after the state that the
 * target said READY for, a target those of its own epoch: these are counted.
 */
#define NODES 2u
#define MESSAGES_MAX 8u
#define RECORDS_MAX 6u
#define DEPTH_MAX 400u
#define ATTEMPTS_MAX 2u

enum off {
	OFF_NOTHING,
	OFF_BARRIER,
	OFF_CURSOR_FENCE,
	OFF_VERSION_COMPARE,
	OFF_TOMBSTONES,
	OFF_READ_FENCE,
	OFF_COUNT,
};

struct record {
	uint64_t version; /* 0 = none */
	uint64_t is_tombstone;
};

/* The one key of a node's partition. */
struct store {
	struct record item;    /* live; version 0 = absent */
	uint64_t tombstone;    /* while importing: version of the removal, 0 = none */
	uint64_t version_last; /* given or seen */
	uint32_t epoch;
	uint32_t cursor; /* 1 = behind the slot */
	uint32_t
		ships_all; /* the key was absent at the mark: it gets a new slot, whose writes are shipped at once */
	uint32_t delta_count;
	uint32_t delta_drained;
	uint32_t delta_told;
	struct record deltas[RECORDS_MAX]; /* of this mark, by sequence - 1 */
	struct record batch;               /* the one there can be; version 0 = none */
};

/* What a worker goes by. */
struct view {
	uint32_t is_marked;
	uint32_t parks_writes;
	uint32_t parks_all;
	uint32_t serves;
};

enum wait {
	WAIT_BARRIER = 1,
	WAIT_SNAPSHOT = 2,
	WAIT_READS = 4,
	WAIT_UNMARK = 8,
	WAIT_DROP = 16,
	WAIT_DISCARD = 32,
};

/* A slice, of one slot. */
enum scan {
	SCAN_RESTS,
	SCAN_ASKED,
	SCAN_READS, /* the cursor has moved */
};

struct node {
	/* Of migration_jobs.c, which holds nothing else that lasts. */
	uint32_t has_source;
	uint32_t has_target;
	struct migration_source source;
	struct migration_target target;
	uint32_t ended_count;
	struct ended_attempt ended[ATTEMPTS_MAX + 1];

	uint64_t now_ms;
	uint64_t generation;
	struct partition_owner owner; /* by its map */
	uint32_t is_up;
	uint32_t is_held;
	uint32_t knows_death; /* of the other's life before */
	uint32_t knows_life;  /* of the other's present one */
	struct store store;
	struct view published;
	struct view seen; /* by the worker */
	uint32_t waits;   /* for the worker */
	uint32_t snapshot_fence;
	uint32_t reads_fence;
	uint32_t scan; /* enum scan */
	uint32_t is_announcing;
	uint32_t is_writing;
	uint32_t cursor_seen;  /* by the write, when the fence is off */
	struct record written; /* not yet acknowledged */
};

enum message_kind {
	MESSAGE_CONTROL,
	MESSAGE_RECORDS,
};

struct message {
	uint32_t kind;
	uint32_t to;
	struct sync_message control;
	uint32_t frame; /* enum sync_frame_kind */
	uint32_t count;
	uint64_t job;
	uint64_t first;
	uint32_t attempt;
	uint32_t reserved;
	struct record records[RECORDS_MAX];
};

struct state {
	struct node nodes[NODES];
	uint32_t message_count;
	uint32_t timers; /* budgets: what is left */
	uint32_t losses;
	uint32_t copies;
	uint32_t writes;
	uint32_t deaths;
	uint32_t returns;
	struct record acked; /* the last acknowledged write */
	struct message messages[MESSAGES_MAX];
};

struct counts {
	uint64_t states;
	uint64_t transitions;
	uint64_t depth_max;
	uint64_t migrated; /* transitions in which a source or target came to that end */
	uint64_t aborted;
	uint64_t reclaimed;
	uint64_t claimed;
	uint64_t losses;   /* of acknowledged writes, with a node that died */
	uint64_t overflow; /* messages that found no room: lost beyond the budget */
};

struct model {
	enum off off;
	struct state state; /* the present one */
	struct counts counts;
	struct migration_options options;
	/* The memory in which machines of the present state run. */
	struct migration_jobs *jobs[NODES];
	struct partition_map maps[NODES];
	struct partition_set held[NODES];
	const struct message *arriving; /* whose records are applied */
	const char *violation;

	XXH128_hash_t *visited; /* a table of hashes; zero = free */
	uint64_t visited_mask;
	const char *path[DEPTH_MAX]; /* what led here */
	uint32_t path_nodes[DEPTH_MAX];
	uint32_t depth;
};

#define ANSWERS_MAX 64u

struct answers {
	uint32_t source_count;
	uint32_t target_count;
	uint32_t is_owner_new;
	struct migration_source_event source[ANSWERS_MAX];
	struct migration_target_event target[ANSWERS_MAX];
};

/* --- model_machines.c --- */

/* The first violation stays. */
void model_violate(struct model *model, const char *what);
uint64_t model_id(uint32_t node);

/* The machines of a node, from the present state into their tables, and back. */
void model_load(struct model *model, uint32_t i);
void model_store(struct model *model, uint32_t i);
/* An event for the loaded machines, what they ask for, and what is answered to that at once. */
void model_step(struct model *model, uint32_t i, const struct migration_jobs_event *event);
void model_do_actions(struct model *model, uint32_t i, struct migration_jobs_actions actions,
		      struct answers *answers);
void model_give_answers(struct model *model, uint32_t i, const struct answers *answers);

void model_remove_message(struct state *state, uint32_t i);
uint64_t model_digest(const struct store *store);
/* The worker is shown whether it serves the partition. */
void model_publish(struct node *node, uint32_t i);
/* The node has the partition's data, and drops it. */
void model_hold(struct node *node);
void model_drop(struct node *node, uint32_t i);

/* --- model_steps.c: the transitions, and when they may happen --- */

void model_arrive(struct model *model, uint32_t number, bool stays);
void model_fire_timer(struct model *model, uint32_t i);
bool model_has_deadline(struct model *model, uint32_t i);
void model_tell_source(struct model *model, uint32_t i, struct migration_source_event event);
void model_tell_target(struct model *model, uint32_t i, struct migration_target_event event);
void model_tell_announced(struct model *model, uint32_t i);
void model_quiesce(struct model *model, uint32_t i);
bool model_may_quiesce(const struct node *node);
void model_move_cursor(struct model *model, uint32_t i);
void model_read_slot(struct model *model, uint32_t i);
void model_begin_write(struct model *model, uint32_t i, bool removes);
void model_end_write(struct model *model, uint32_t i);
bool model_would_write(const struct node *node);
bool model_would_read(const struct node *node);
void model_die(struct model *model, uint32_t i);
void model_come_back(struct model *model, uint32_t i);
void model_hear_of_peer(struct model *model, uint32_t i, enum migration_peer peer);
void model_learn_map(struct model *model, uint32_t i);

/* --- model_rules.c, model_memory.c, model_search.c --- */

/* What must hold in the present state. */
void model_check(struct model *model);
/* Whether the present state is new. */
bool model_visit(struct model *model);
/* All that can follow the present state. Ends at the first violation, with the path to it. */
void model_search(struct model *model);

#endif
