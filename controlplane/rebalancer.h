/* SPDX-License-Identifier: BSD-3-Clause */
/* When this node takes which partitions over: what the plan gives it, a few at a time, as a pure machine. */
#ifndef CONTROLPLANE_REBALANCER_H
#define CONTROLPLANE_REBALANCER_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/partition_map.h"
#include "controlplane/partition_set.h"
#include "controlplane/prng.h"
#include "controlplane/rebalance_plan.h"
#include "controlplane/state_machine.h"

/* Changes that come in so short a time are one: nodes that start together, news on their way. */
#define REBALANCER_SETTLE_MS 1500u
/* Imports of one node at once, at most. */
#define REBALANCER_PARALLEL_MAX 64u
/* After a failure until the next import; doubled each time, with a quarter of it up or down by chance. */
#define REBALANCER_RETRY_MS 1000u
#define REBALANCER_RETRY_MS_MAX 60000u
/* What others are to take and do not even begin for so long is not waited for: they were not asked, or told not to. */
#define REBALANCER_PATIENCE_MS 30000u

/*               the members changed, or somebody asked
 *      IDLE ---------------------------------------------> SETTLING <------------+
 *        ^                                                     |                 | the members
 *        |                        quiet for REBALANCER_SETTLE_MS,                | changed
 *        |  no move of the plan   and nothing moves outside of the plan          |
 *        |  is left, or none                                   v                 |
 *        |  that anybody makes                                 |                 |
 *        +-------------------------------------------------- MOVING -------------+
 *
 * "The members" are who lives, their weights, who leaves, and how many partitions can be moved. A rebalance
 * is made when they change and not before, so that what the operator moves by hand stays there. Every node
 * makes the same plan of the same members; each imports what the plan gives it.
 *
 * The goal is the whole plan when this node rebalances by itself or was asked to, and otherwise only the
 * moves away from nodes that leave. A member that dies takes no part any more, nor do its partitions.
 */
enum rebalancer_state {
	REBALANCER_IDLE,
	REBALANCER_SETTLING,
	REBALANCER_MOVING,
	REBALANCER_STATE_COUNT,
};

/* A member that is alive, or suspected to be dead. */
struct rebalancer_member {
	uint64_t id;
	uint32_t weight;
	bool is_leaving;
	bool is_suspect;                       /* nothing is taken from it at present */
	const struct partition_set *importing; /* as it announces; borrowed for the call */
	const struct partition_set *migrating;
};

/* What this node sees at one moment. */
struct rebalancer_view {
	uint64_t self;
	bool is_auto;
	bool is_able;          /* a member that serves and sees a majority: others do nothing */
	uint32_t parallel_max; /* imports at once, those in 'running' included */
	const struct partition_map *map;
	const struct partition_set *running; /* this node's jobs as a target */
	uint32_t member_count;
	const struct rebalancer_member *members; /* ascending by id; this node too */
};

/* About 110 KB. Thread safety: none; one event loop drives it. It knows neither socket nor clock. */
struct rebalancer {
	struct state_machine machine; /* enum rebalancer_state */
	struct prng prng;
	uint64_t members; /* what they were at the last step, as a number */
	uint64_t settled_at_ms;
	uint64_t
		going_on_ms; /* when last something was on its way to the goal; valid while MOVING */
	bool is_abandoned;   /* the last goal ended with moves that others were to make */
	bool is_asked;
	struct rebalance_plan plan;   /* the goal's moves that are left; valid while MOVING */
	struct partition_set ordered; /* given out, and not known to have ended */
	/* cancelled by the operator: not before the members change */
	struct partition_set set_aside;
	uint32_t failures; /* without a success in between */
	uint64_t retry_at_ms;
	uint8_t tries[PARTITION_COUNT_MAX]; /* that failed, by partition, at most UINT8_MAX */
};

void rebalancer_init(struct rebalancer *rebalancer, uint64_t seed);

/* The operator wants one rebalance, whatever view->is_auto says. */
void rebalancer_ask(struct rebalancer *rebalancer, uint64_t now_ms);

/* Call a few times a second. Fills 'orders' (REBALANCER_PARALLEL_MAX) with the partitions to import now;
 * returns how many.
 */
uint32_t rebalancer_step(struct rebalancer *rebalancer, uint64_t now_ms,
			 const struct rebalancer_view *view, uint32_t *orders);

/* An order could not be begun: the others first, then it again. One that failed later is seen by itself. */
void rebalancer_refused(struct rebalancer *rebalancer, uint32_t partition);

/* The operator cancelled the import of 'partition': it is not begun again for this goal, unless its owner
 * leaves.
 */
void rebalancer_set_aside(struct rebalancer *rebalancer, uint32_t partition);

/* The goal's number, the same on every node that sees the same members; never 0. */
uint64_t rebalancer_goal(const struct rebalancer *rebalancer);

/* Moves of the goal that are left, of all nodes; 0 unless MOVING. */
uint32_t rebalancer_moves_left(const struct rebalancer *rebalancer);

/* Whether the goal moves 'partition' to 'to'. */
bool rebalancer_has_move(const struct rebalancer *rebalancer, uint32_t partition, uint64_t to);

/* The whole plan of the view, for people: what a rebalance would do. */
int rebalancer_plan(const struct rebalancer_view *view, struct rebalance_plan *plan);

#endif
