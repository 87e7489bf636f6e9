/* SPDX-License-Identifier: BSD-3-Clause */
/* The fewest moves that give each node its share of the partitions; the same plan on every node. */
#ifndef CONTROLPLANE_REBALANCE_PLAN_H
#define CONTROLPLANE_REBALANCE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/node.h"
#include "controlplane/partition_map.h"

/* A node that takes part. */
struct rebalance_member {
	uint64_t id;
	uint32_t weight; /* 0..NODE_WEIGHT_MAX; 0 drains the node: it gives all and takes none */
};

struct rebalance_move {
	uint32_t partition;
	uint64_t from; /* its owner */
	uint64_t to;
};

/* Shares are by weight: node i's is movable partitions * weight_i / sum of weights, rounded up or
 * down, never off by one or more. Of the ways to round, one with the fewest moves is taken.
 *
 * A partition whose owner does not take part (dead, or not known) cannot be moved and is not
 * counted: 'unmovable' says how many there are.
 *
 * The plan is a function of the set of members and the map alone, whatever the members' order. It
 * is also stable: after some of its moves have been made, in any order, the plan for the new map is
 * the rest of the moves.
 */
struct rebalance_plan {
	uint32_t move_count;
	uint32_t unmovable_count;
	struct rebalance_move moves[PARTITION_COUNT_MAX]; /* ascending by partition */
};

/* 0; -EINVAL when 'member_count' is 0 or above NODE_COUNT_MAX, an id occurs twice or is 0, a weight
 * is above its limit, or no member has a weight while there is a partition to move. '*plan' is then
 * empty.
 */
int rebalance_plan_make(struct rebalance_plan *plan, const struct partition_map *map,
			const struct rebalance_member *members, uint32_t member_count);

/* Adds to node->importing_partitions what the plan gives to 'node', at most 'limit' partitions
 * including those it imports already, lowest numbers first. Returns how many were added.
 */
uint32_t rebalance_plan_import(const struct rebalance_plan *plan, struct node *node,
			       uint32_t limit);

#endif
