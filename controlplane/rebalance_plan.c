/* SPDX-License-Identifier: BSD-3-Clause */
/* The fewest moves that give each node its share of the partitions; the same plan on every node. */
#include "controlplane/rebalance_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The plan in the making: members sorted by id, with what they own and what they shall own. */
struct share {
	uint64_t id;
	uint32_t weight;
	uint32_t owned;
	uint32_t quota;
	uint64_t remainder; /* of movable * weight / weights: 0 when the share is a whole number */
};

struct shares {
	uint32_t count;
	uint64_t weights;
	uint32_t movable;
	struct share items[NODE_COUNT_MAX];
};

static int compare_ids(const void *a, const void *b)
{
	const struct share *left = a;
	const struct share *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

static struct share *find_share(struct shares *shares, uint64_t id)
{
	struct share key = { .id = id };

	return bsearch(&key, shares->items, shares->count, sizeof(key), compare_ids);
}

static int take_members(struct shares *shares, const struct rebalance_member *members,
			uint32_t member_count)
{
	if (member_count == 0 || member_count > NODE_COUNT_MAX)
		return -EINVAL;
	memset(shares, 0, sizeof(*shares));
	shares->count = member_count;
	for (uint32_t i = 0; i < member_count; i++) {
		if (members[i].id == 0 || members[i].weight > NODE_WEIGHT_MAX)
			return -EINVAL;
		shares->items[i].id = members[i].id;
		shares->items[i].weight = members[i].weight;
		shares->weights += members[i].weight;
	}
	qsort(shares->items, member_count, sizeof(shares->items[0]), compare_ids);
	for (uint32_t i = 1; i < member_count; i++) {
		if (shares->items[i].id == shares->items[i - 1].id)
			return -EINVAL;
	}
	return 0;
}

static void count_owned(struct shares *shares, const struct partition_map *map)
{
	for (uint32_t p = 0; p < map->partition_count; p++) {
		struct share *owner = find_share(shares, partition_map_owner(map, p));

		if (!owner)
			continue;
		owner->owned++;
		shares->movable++;
	}
}

/* Whether 'a' rather than 'b' gets a partition that rounding down left over: first who would
 * otherwise have to give one away (this saves a move), then the larger remainder, then the lower
 * id.
 */
static bool goes_first(const struct share *a, const struct share *b)
{
	bool a_saves = a->owned > a->quota;
	bool b_saves = b->owned > b->quota;

	if (a_saves != b_saves)
		return a_saves;
	if (a->remainder != b->remainder)
		return a->remainder > b->remainder;
	return a->id < b->id;
}

static int compare_claims(const void *a, const void *b)
{
	const struct share *left = *(struct share *const *)a;
	const struct share *right = *(struct share *const *)b;

	return goes_first(left, right) ? -1 : 1;
}

static void set_quotas(struct shares *shares)
{
	struct share *claims[NODE_COUNT_MAX];
	uint32_t claim_count = 0;
	uint32_t left = shares->movable;

	for (uint32_t i = 0; i < shares->count; i++) {
		struct share *share = &shares->items[i];
		uint64_t product = (uint64_t)shares->movable * share->weight;

		share->quota = (uint32_t)(product / shares->weights);
		share->remainder = product % shares->weights;
		left -= share->quota;
		if (share->remainder > 0)
			claims[claim_count++] = share;
	}
	qsort(claims, claim_count, sizeof(claims[0]), compare_claims);
	/* The remainders add up to 'left' times the weights, so there are more claims than
	 * partitions left.
	 */
	for (uint32_t i = 0; i < left; i++)
		claims[i]->quota++;
}

/* Which partitions leave: of each node that owns too many, those with the highest numbers. Filled
 * in from the end.
 */
static void choose_partitions(struct rebalance_plan *plan, struct shares *shares,
			      const struct partition_map *map)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < shares->count; i++) {
		const struct share *share = &shares->items[i];

		plan->move_count += share->owned > share->quota ? share->owned - share->quota : 0;
	}
	at = plan->move_count;
	for (uint32_t p = map->partition_count; p-- > 0;) {
		struct share *owner = find_share(shares, partition_map_owner(map, p));

		if (!owner || owner->owned <= owner->quota)
			continue;
		owner->owned--;
		plan->moves[--at] = (struct rebalance_move){ .partition = p, .from = owner->id };
	}
}

/* Both lists, partitions and takers, are sorted and matched in order: this is what keeps the plan
 * stable.
 */
static void choose_takers(struct rebalance_plan *plan, const struct shares *shares)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < shares->count; i++) {
		const struct share *share = &shares->items[i];

		for (uint32_t owned = share->owned; owned < share->quota; owned++)
			plan->moves[at++].to = share->id;
	}
}

int rebalance_plan_make(struct rebalance_plan *plan, const struct partition_map *map,
			const struct rebalance_member *members, uint32_t member_count)
{
	struct shares shares;
	int error;

	plan->move_count = 0;
	plan->unmovable_count = 0;
	error = take_members(&shares, members, member_count);
	if (error)
		return error;
	count_owned(&shares, map);
	plan->unmovable_count = map->partition_count - shares.movable;
	if (shares.movable == 0)
		return 0;
	if (shares.weights == 0)
		return -EINVAL;
	set_quotas(&shares);
	choose_partitions(plan, &shares, map);
	choose_takers(plan, &shares);
	return 0;
}

uint32_t rebalance_plan_import(const struct rebalance_plan *plan, struct node *node, uint32_t limit)
{
	uint32_t count = partition_set_count(&node->importing_partitions);
	uint32_t added = 0;

	for (uint32_t i = 0; i < plan->move_count && count + added < limit; i++) {
		const struct rebalance_move *move = &plan->moves[i];

		if (move->to != node->id || node_is_importing(node, move->partition))
			continue;
		partition_set_add(&node->importing_partitions, move->partition);
		added++;
	}
	return added;
}
