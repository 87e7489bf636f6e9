/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster in one thread on virtual time: production nodes, clients that check every answer, and faults; all by one seed. */
#ifndef TESTS_SIMULATION_SIM_H
#define TESTS_SIMULATION_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/simulation/sim_client.h"
#include "tests/simulation/sim_history.h"

#define SIM_CLIENT_MAX 8u

/* What the seed may take. A FAULT has a symbol, a name, how often it happens in a hundred steps of the fault phase, and a
 * text; sim_act_NAME() of sim_state.h does it. A TRAIT is a property of the nodes or the network, from the start to the end of the fault phase. New
 * ones go to the end: then a seed with its faults in --faults stays what it was.
 */
#define SIM_FAULTS(FAULT, TRAIT)                                                                   \
	FAULT(LOSS, loss, 4, "datagrams of both networks are lost")                                \
	FAULT(DUPLICATE, duplicate, 4, "datagrams arrive twice")                                   \
	FAULT(DELAY, delay, 4, "datagrams are late, and overtake each other")                      \
	FAULT(CUT, cut, 7, "two nodes do not hear each other, or one does not hear the other")     \
	FAULT(ISOLATE, isolate, 7, "a node hears no other, and no other hears it")                 \
	FAULT(CRASH, crash, 7, "a node's memory is gone; it starts anew later")                    \
	FAULT(PAUSE, pause, 7, "a node stands still, some time beyond suspicion and fence")        \
	FAULT(BREAK, break, 7, "the channels between two nodes break")                             \
	FAULT(CANCEL, cancel, 7, "an operator cancels")                                            \
	TRAIT(MEMORY, memory, "nodes have little memory")                                          \
	TRAIT(RING, ring, "rings of deltas run over")                                              \
	TRAIT(EXPIRY, expiry, "values expire; in some seeds full nodes evict")                     \
	FAULT(STALL, stall, 6,                                                                     \
	      "a worker core stands still, some time beyond what is noticed; the others go on")    \
	FAULT(AIM, aim, 8, "a fault strikes when a migration comes into a phase")                  \
	FAULT(TRUNCATE, truncate, 4, "datagrams and frames of migrations arrive cut short")        \
	FAULT(CORRUPT, corrupt, 4, "datagrams and frames of migrations arrive altered")            \
	FAULT(REPLAY, replay, 5, "what arrived long ago arrives again")                            \
	FAULT(CLOG, clog, 6, "a link takes bytes slowly, in one direction or both")                \
	FAULT(CLOCK, clock, 4, "monotonic clocks differ in their rate, wall clocks jump")          \
	FAULT(REBIRTH, rebirth, 4,                                                                 \
	      "a node dies and returns at once: with a wall clock that was set back, or at "       \
	      "other addresses")                                                                   \
	FAULT(OPERATORS, operators, 8,                                                             \
	      "orders in one moment: two targets, cancels at both ends, a plan while moves run")   \
	FAULT(FULL, full, 5,                                                                       \
	      "one migration at a time each way, mailboxes of two frames, fewer sessions than "    \
	      "clients; a node is without buffers for a while")                                    \
	TRAIT(STALE, stale, "clients sleep, keep old owners, and send with sessions that are over") \
	TRAIT(VERSIONS, versions,                                                                  \
	      "every second node is of a later release: unknown fields, kinds, versions")          \
	FAULT(RESIZE, resize, 8,                                                                   \
	      "operators rebalance; nodes leave when they are empty, return, join; weights differ")

/* clang-format off */
enum sim_fault_number {
#define FAULT(symbol, name, percent, text) SIM_FAULT_NUMBER_##symbol,
#define TRAIT(symbol, name, text) SIM_FAULT_NUMBER_##symbol,
	SIM_FAULTS(FAULT, TRAIT)
#undef FAULT
#undef TRAIT
	SIM_FAULT_COUNT,
};

enum sim_fault {
#define FAULT(symbol, name, percent, text) SIM_FAULT_##symbol = 1 << SIM_FAULT_NUMBER_##symbol,
#define TRAIT(symbol, name, text) SIM_FAULT_##symbol = 1 << SIM_FAULT_NUMBER_##symbol,
	SIM_FAULTS(FAULT, TRAIT)
#undef FAULT
#undef TRAIT
	SIM_FAULT_ALL = (1 << SIM_FAULT_COUNT) - 1,
};
/* clang-format on */

/* "loss" and so on, and what that is; NULL behind the last one. */
const char *sim_fault_name(uint32_t bit);
const char *sim_fault_text(uint32_t bit);

struct sim;
struct sim_event;

/* What happens instead of steps drawn from the seed: for those who know sim_state.h. */
struct sim_script {
	void *context;
	/* The cluster stands; when it returns everything heals. */
	void (*run)(void *context, struct sim *sim);
	/* After each event; true ends the sim_run_for() that is under way. */
	bool (*watch)(void *context, struct sim *sim, const struct sim_event *event);
	/* All is settled, and every key was read. */
	void (*end)(void *context, struct sim *sim);
};

struct sim_options {
	uint64_t seed;
	uint32_t node_count;             /* 2..SIM_NODE_MAX; 0 = by the seed */
	uint32_t steps;                  /* faults and moves begun; 0 = by the seed */
	uint32_t faults;                 /* enum sim_fault, of which the seed takes some */
	bool is_every_fault;             /* the seed takes all of them */
	FILE *story;                     /* where all that happens is told; NULL = nowhere */
	const struct sim_script *script; /* NULL = steps drawn from the seed */
};

#define SIM_LIMIT_COUNT 3u

struct sim_counts {
	uint64_t events;
	uint64_t operations;
	uint64_t unknown;
	uint64_t failed;
	uint64_t moves;                   /* partitions that changed their owner */
	uint64_t aborts;                  /* jobs that ended otherwise */
	/* How often each of the known limits of docs/migration.md was met, and acknowledged writes that it may have cost. */
	uint64_t limits[SIM_LIMIT_COUNT];
	uint64_t limit_writes[SIM_LIMIT_COUNT];
	uint64_t faults[SIM_FAULT_COUNT]; /* how often each happened */
	uint64_t damaged;  /* datagrams and frames that arrived so, and were refused */
	uint64_t replayed; /* datagrams and frames that arrived again long after */
	uint64_t haunted;  /* writes sent with a session that is over */
	uint64_t crowded;  /* greetings that met a full table of sessions, at nodes that lived to the end */
	uint64_t missed;   /* frames that found no buffer, likewise */
	uint64_t lost;     /* clients that knew no node's address any more */
	uint64_t renewed;  /* messages with something that only a later release knows */
	uint64_t expired;  /* items of nodes that lived to the end */
	uint64_t evicted;
	uint64_t stalls;      /* that nodes noticed */
	uint64_t departures;  /* of nodes that left as asked */
	uint64_t duration_us; /* of virtual time */
	uint64_t longest_us;  /* of an operation that was done */
};

/* What a run came to. */
struct sim_result {
	struct sim_violation violation; /* invariant 0 = none */
	uint64_t trace;                 /* same options, same number */
	struct sim_counts counts;
};

/* Runs one seed to its end: a phase of faults, then all is healed and must settle. Needs the EAL, and the calling thread as
 * a registered reader. Thread safety: none.
 */
void sim_run(const struct sim_options *options, struct sim_result *result);

#endif
