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

enum sim_fault {
	SIM_FAULT_LOSS = 1 << 0,      /* datagrams of both networks are lost, */
	SIM_FAULT_DUPLICATE = 1 << 1, /* arrive twice, */
	SIM_FAULT_DELAY = 1 << 2,     /* late, and overtake each other */
	SIM_FAULT_CUT =
		1 << 3, /* two nodes do not hear each other, or one does not hear the other */
	SIM_FAULT_ISOLATE = 1 << 4, /* a node hears nobody */
	SIM_FAULT_CRASH = 1 << 5,   /* a node's memory is gone; it starts anew later */
	SIM_FAULT_PAUSE = 1 << 6,   /* a node stands still, some time beyond suspicion and fence */
	SIM_FAULT_BREAK = 1 << 7,   /* the connections between two nodes break */
	SIM_FAULT_CANCEL = 1 << 8,  /* an operator cancels */
	SIM_FAULT_MEMORY = 1 << 9,  /* nodes have little memory */
	SIM_FAULT_RING = 1 << 10,   /* rings of deltas run over */
	SIM_FAULT_ALL = (1 << 11) - 1,
};

/* "loss" and so on; NULL behind the last one. */
const char *sim_fault_name(uint32_t bit);

struct sim_options {
	uint64_t seed;
	uint32_t node_count; /* 2..SIM_NODE_MAX; 0 = by the seed */
	uint32_t steps;      /* faults and moves begun; 0 = by the seed */
	uint32_t faults;     /* enum sim_fault, of which the seed takes some */
	bool is_every_fault; /* the seed takes all of them */
	FILE *story;         /* where all that happens is told; NULL = nowhere */
};

struct sim_counts {
	uint64_t events;
	uint64_t operations;
	uint64_t unknown;
	uint64_t failed;
	uint64_t moves;  /* partitions that changed their owner */
	uint64_t aborts; /* jobs that ended otherwise */
	uint64_t crashes;
	uint64_t faults;
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
