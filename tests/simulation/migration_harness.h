/* SPDX-License-Identifier: BSD-3-Clause */
/* Three nodes that migrate partitions while clients write, on virtual time, under seeded faults. */
#ifndef TESTS_SIMULATION_MIGRATION_HARNESS_H
#define TESTS_SIMULATION_MIGRATION_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/migration_jobs.h"
#include "tests/simulation/toy_history.h"

/* The machines (migration_jobs.h), the codecs and the partition map are those of production. Stores and workers
 * are toys with the real rules; the failure detector is an oracle with delays; maps spread by messages that may
 * be lost. After every step the harness checks the invariants of docs/migration.md, by their numbers:
 *
 *   1 toy_history_write()     one owner per epoch, epochs only grow
 *   2 toy_history_take_over() what was acknowledged is at the new owner; and no digest ever mismatches
 *   3 toy_history_take_over() nothing removed is back, nothing older replaced
 *   4 migration_harness_run() no request is parked beyond the bound
 *   5 migration_harness_settle() no job, flag, orphan, tombstone; equal maps
 *   6 toy_history_read()      each read sees the latest write
 *   7 migration_harness_settle() with writers at work, what can finish does
 */
#define SIM_NODE_COUNT 3u

/* Protections that can be switched off, to see that their absence is found. */
enum sim_control {
	SIM_ALL_ON,
	SIM_NO_VERSION_COMPARE, /* the target takes whatever comes last */
	SIM_NO_TOMBSTONES,      /* the target forgets removals at once */
	SIM_NO_BARRIER,         /* the scan does not wait until the workers saw the mark */
	SIM_NO_CURSOR_FENCE,    /* the worker reads the cursor before its write is published */
	SIM_NO_ATTEMPT_FENCING, /* packets of an old attempt pass for the present one's */
	SIM_NO_READ_FENCE,      /* COMMIT does not wait until the workers stopped reading */
	SIM_NO_PARKING_BOUND,   /* parked as long as it takes */
	SIM_NO_MAJORITY,        /* everybody believes to see one, and that it knows of a claim */
	SIM_CONTROL_COUNT,
};

/* The node that plays a part when a crash point fires. */
enum sim_victim {
	SIM_SOURCE,
	SIM_TARGET,
	SIM_THIRD,
};

/* A crash shortly after a machine enters a state. */
struct sim_crash_point {
	bool is_armed;
	bool isolates;     /* the victim is cut from all others instead, until everything heals */
	bool is_of_target; /* whose state: the target machine's, else the source's */
	uint32_t state;
	enum sim_victim victim;
	uint32_t restart_after_ms; /* 0 = when everything heals */
};

struct migration_harness_options {
	uint64_t seed;
	uint32_t partition_count; /* a power of two, at most TOY_PARTITION_MAX */
	uint32_t loss_percent;
	uint32_t duplicate_percent; /* half of the copies come very late */
	uint32_t corrupt_percent;
	uint32_t delay_us_max;   /* of the network */
	bool is_ordered;         /* as over one TCP connection; else messages overtake each other */
	uint32_t op_interval_us; /* between two requests of all clients; 0 = none */
	uint32_t ring_size;      /* deltas; at most TOY_RING_MAX */
	uint32_t fault_interval_ms; /* mean time between cuts, crashes, cancels; 0 = none */
	bool has_cuts;
	bool has_crashes;
	bool has_cancels;
	bool has_rivals;       /* a third node imports partitions that are not meant for it */
	uint32_t oom_permille; /* of applied batches */
	struct sim_crash_point crash;
	enum sim_control off;
	bool is_verbose; /* tells everything on stderr */
};

struct migration_harness_counts {
	uint64_t events;
	uint64_t answered;
	uint64_t refused; /* and tried again by the client */
	uint64_t failed;  /* refused until the client gave up */
	uint64_t forwarded;
	uint64_t latency_us_max;
	uint64_t parked_us_max;
	uint64_t started; /* source machines */
	uint64_t migrated;
	uint64_t aborted;
	uint64_t reclaimed;
	uint64_t superseded;
	uint64_t claimed; /* by a target to which nothing was missing when it said READY */
	uint64_t operator_claims;
	uint64_t crashes;
	uint64_t crash_points;                 /* that fired */
	uint64_t reasons[MIGRATION_OTHER + 1]; /* of aborted sources */
};

/* Thread safety: none. */
struct migration_harness;

void migration_harness_options_default(struct migration_harness_options *options, uint64_t seed);

/* All nodes run, node 0 owns everything and wants to keep it. Aborts without memory. */
struct migration_harness *migration_harness_create(const struct migration_harness_options *options);
void migration_harness_destroy(struct migration_harness *harness);

/* Runs for so long, or until 'is_done' says so or an invariant is violated. Returns whether it was done. */
bool migration_harness_run(struct migration_harness *harness, uint32_t duration_ms,
			   bool (*is_done)(const struct migration_harness *harness,
					   const void *context),
			   const void *context);

/* The node that shall own 'partition'; it imports it as soon as it can, again and again. */
void migration_harness_want(struct migration_harness *harness, uint32_t partition, uint32_t node);
/* From now on, whenever a partition is where it is wanted, the next node wants it; so many times. */
void migration_harness_rotate(struct migration_harness *harness, uint32_t times);

/* The memory of the node is gone; what it sent is still under way. */
void migration_harness_crash(struct migration_harness *harness, uint32_t node);
void migration_harness_restart(struct migration_harness *harness, uint32_t node);
/* Nothing passes between the two any more. */
void migration_harness_cut(struct migration_harness *harness, uint32_t a, uint32_t b);
/* Nor with anybody. */
void migration_harness_isolate(struct migration_harness *harness, uint32_t node);
void migration_harness_join(struct migration_harness *harness, uint32_t a, uint32_t b);
void migration_harness_cancel(struct migration_harness *harness, uint32_t node, uint32_t partition);
/* The operator's `partition claim --accept-data-loss` at a node with a job on the partition. */
void migration_harness_claim(struct migration_harness *harness, uint32_t node, uint32_t partition);
/* Loses what 'node' sends of that kind of message, this many times. */
void migration_harness_lose(struct migration_harness *harness, uint32_t node,
			    enum sync_message_kind kind, uint32_t times);
/* Sends a message from 'node' to 'to' as if the node's machines had. */
void migration_harness_inject(struct migration_harness *harness, uint32_t node, uint32_t to,
			      const struct sync_message *message);

/* Ends all faults, restarts what is down, and lets everything settle, with an operator who claims what has no
 * owner left. Checks invariants 5 and 7. False on any violation so far.
 */
bool migration_harness_settle(struct migration_harness *harness);

/* ---- for looking ---- */

const struct toy_violation *migration_harness_violation(const struct migration_harness *harness);
const struct migration_harness_counts *
migration_harness_counts(const struct migration_harness *harness);
const struct toy_history *migration_harness_history(const struct migration_harness *harness);
/* Of everything that happened: same options, same calls, same hash. */
uint64_t migration_harness_trace(const struct migration_harness *harness);
uint64_t migration_harness_now_ms(const struct migration_harness *harness);
/* NULL while the node does not run. */
const struct migration_jobs *migration_harness_jobs(const struct migration_harness *harness,
						    uint32_t node);
/* Node id (node + 1) of the owner by that node's map, and the epoch. */
struct partition_owner migration_harness_owner(const struct migration_harness *harness,
					       uint32_t node, uint32_t partition);
uint64_t migration_harness_generation(const struct migration_harness *harness, uint32_t node);
/* Items of the partition at the node, staged ones too. */
uint32_t migration_harness_item_count(const struct migration_harness *harness, uint32_t node,
				      uint32_t partition);
bool migration_harness_is_importing(const struct migration_harness *harness, uint32_t node,
				    uint32_t partition);
bool migration_harness_is_migrating(const struct migration_harness *harness, uint32_t node,
				    uint32_t partition);

#endif
