/* SPDX-License-Identifier: BSD-3-Clause */
/* What living members announce, looked through. */
#include "controlplane/resize.h"

#include <errno.h>
#include <stdio.h>

/* The living member of that index, or NULL. */
static const struct member *living(const struct membership *membership, uint32_t index)
{
	const struct member *member = membership_at(membership, index);

	return member && member_state(member) <= MEMBER_SUSPECT ? member : NULL;
}

static bool concerns(const struct node *node, uint32_t partition)
{
	return node && (node_is_importing(node, partition) || node_is_migrating(node, partition));
}

/* Whether somebody announces 'partition'; who gives and who takes it. */
static bool find_ends(const struct membership *membership, uint32_t partition,
		      struct resize_move *move)
{
	move->partition = partition;
	move->from = NULL;
	move->to = NULL;
	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = living(membership, i);

		if (member && node_is_importing(&member->node, partition))
			move->to = &member->node;
		if (member && node_is_migrating(&member->node, partition))
			move->from = &member->node;
	}
	return move->from || move->to;
}

static void collect(const struct membership *membership, struct partition_set *moving)
{
	partition_set_clear(moving);
	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = living(membership, i);

		for (uint32_t w = 0; member && w < PARTITION_SET_WORD_COUNT; w++)
			moving->words[w] |= member->node.importing_partitions.words[w] |
					    member->node.migrating_partitions.words[w];
	}
}

bool resize_find_move(const struct membership *membership, const struct partition_map *map,
		      uint64_t except, uint32_t first, struct resize_move *move)
{
	const struct member *excepted = membership_find(membership, except);
	struct partition_set moving;

	collect(membership, &moving);
	for (uint32_t p = partition_set_next(&moving, first); p < map->partition_count;
	     p = partition_set_next(&moving, p + 1)) {
		const struct member *owner;

		if (excepted && concerns(&excepted->node, p))
			continue;
		find_ends(membership, p, move);
		owner = membership_find(membership, partition_map_owner(map, p));
		if (!move->from && owner && &owner->node != move->to)
			move->from = &owner->node;
		return true;
	}
	return false;
}

const struct node *resize_find_leaving(const struct membership *membership)
{
	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = living(membership, i);

		if (member && member->node.state == NODE_LEAVING)
			return &member->node;
	}
	return NULL;
}

int resize_check(const struct membership *membership, const struct partition_map *map,
		 uint64_t except, char *error, size_t error_size)
{
	const struct node *leaving = resize_find_leaving(membership);
	struct resize_move move;

	if (leaving) {
		snprintf(error, error_size,
			 "%s is leaving: wait until it has left, or take that back with godwitctl "
			 "cluster leave --cancel at its admin address",
			 leaving->name);
		return -EBUSY;
	}
	if (!resize_find_move(membership, map, except, 0, &move))
		return 0;
	snprintf(error, error_size,
		 "partition %u is on its way from %s to %s: wait until it has arrived "
		 "(godwitctl migrations), or end that with godwitctl cancel %u",
		 move.partition, move.from ? move.from->name : "?", move.to ? move.to->name : "?",
		 move.partition);
	return -EBUSY;
}
