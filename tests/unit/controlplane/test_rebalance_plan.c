/* SPDX-License-Identifier: BSD-3-Clause */
/* Rebalance plans: balanced, with the fewest moves, the same everywhere, the same whichever way
 * they are carried out.
 */
#include "controlplane/rebalance_plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* A cluster by chance. Some owners take no part (dead); some members own nothing (new) or have
 * weight 0 (leaving).
 */
struct cluster {
	struct partition_map map;
	uint32_t member_count;
	struct rebalance_member members[NODE_COUNT_MAX];
};

static void make_cluster(struct cluster *cluster, uint32_t member_count, uint32_t partition_count,
			 bool is_weighted, uint64_t *seed)
{
	partition_map_init(&cluster->map, partition_count);
	cluster->member_count = member_count;
	for (uint32_t i = 0; i < member_count; i++) {
		cluster->members[i].id = 1 + unit_random(seed);
		cluster->members[i].weight =
			is_weighted ? (uint32_t)(unit_random(seed) % 4 * 50) : 100;
	}
	cluster->members[0].weight = 100;
	for (uint32_t p = 0; p < partition_count; p++) {
		/* skewed: the square root of a chance favours high indices */
		uint64_t a = unit_random(seed) % (member_count + 1);
		uint64_t b = unit_random(seed) % (member_count + 1);
		uint64_t at = a > b ? a : b;
		struct partition_owner owner = { .partition = p, .epoch = 1, .owner = UINT64_MAX };

		if (at < member_count)
			owner.owner = cluster->members[at].id;
		partition_map_merge(&cluster->map, &owner);
	}
}

static uint32_t index_of(const struct cluster *cluster, uint64_t id)
{
	for (uint32_t i = 0; i < cluster->member_count; i++) {
		if (cluster->members[i].id == id)
			return i;
	}
	return UINT32_MAX;
}

static void apply(struct cluster *cluster, const struct rebalance_move *move)
{
	CU_ASSERT_EQUAL(
		partition_map_hand_over(&cluster->map, move->from, move->partition, move->to), 0);
}

static void count_owned(const struct cluster *cluster, uint32_t *owned)
{
	memset(owned, 0, cluster->member_count * sizeof(*owned));
	for (uint32_t p = 0; p < cluster->map.partition_count; p++) {
		uint32_t at = index_of(cluster, partition_map_owner(&cluster->map, p));

		if (at != UINT32_MAX)
			owned[at]++;
	}
}

/* The fewest moves any plan with rounded shares can have: each member keeps at most its share
 * rounded up, and of those that would keep one more by rounding up, as many may as there are
 * partitions left over. Reckoned without the plan's code.
 */
static uint32_t fewest_moves(const struct cluster *cluster, const uint32_t *owned)
{
	uint64_t weights = 0, movable = 0;
	uint64_t kept = 0, floors = 0, could_keep_more = 0;

	for (uint32_t i = 0; i < cluster->member_count; i++) {
		weights += cluster->members[i].weight;
		movable += owned[i];
	}
	for (uint32_t i = 0; i < cluster->member_count; i++) {
		uint64_t share = movable * cluster->members[i].weight;
		uint64_t floor = share / weights;

		floors += floor;
		kept += owned[i] < floor ? owned[i] : floor;
		could_keep_more += owned[i] > floor && share % weights != 0;
	}
	if (could_keep_more > movable - floors)
		could_keep_more = movable - floors;
	return (uint32_t)(movable - kept - could_keep_more);
}

/* Off by less than one from the exact share: |owned * weights - movable * weight| < weights. */
static bool is_balanced(const struct cluster *cluster, const uint32_t *owned)
{
	uint64_t weights = 0, movable = 0;

	for (uint32_t i = 0; i < cluster->member_count; i++) {
		weights += cluster->members[i].weight;
		movable += owned[i];
	}
	for (uint32_t i = 0; i < cluster->member_count; i++) {
		uint64_t have = owned[i] * weights;
		uint64_t share = movable * cluster->members[i].weight;

		if ((have > share ? have - share : share - have) >= weights)
			return false;
	}
	return true;
}

static void check_plan(struct cluster *cluster)
{
	static struct rebalance_plan plan;
	static uint32_t owned[NODE_COUNT_MAX];
	uint32_t fewest;

	count_owned(cluster, owned);
	fewest = fewest_moves(cluster, owned);
	CU_ASSERT_EQUAL(
		rebalance_plan_make(&plan, &cluster->map, cluster->members, cluster->member_count),
		0);
	CU_ASSERT_EQUAL(plan.move_count, fewest);
	for (uint32_t i = 0; i < plan.move_count; i++) {
		CU_ASSERT_NOT_EQUAL(plan.moves[i].from, plan.moves[i].to);
		CU_ASSERT_TRUE(i == 0 || plan.moves[i - 1].partition < plan.moves[i].partition);
		apply(cluster, &plan.moves[i]);
	}
	count_owned(cluster, owned);
	CU_ASSERT_TRUE(is_balanced(cluster, owned));
	CU_ASSERT_EQUAL(
		rebalance_plan_make(&plan, &cluster->map, cluster->members, cluster->member_count),
		0);
	CU_ASSERT_EQUAL(plan.move_count, 0);
}

/* specification row 4.1: random clusters of up to 100 nodes and 4,096 partitions */
static void test_plans_are_balanced_with_the_fewest_moves(void)
{
	static struct cluster cluster;
	uint64_t seed = 1;

	for (uint32_t round = 0; round < 300; round++) {
		uint32_t members = 1 + (uint32_t)(unit_random(&seed) % 100);
		uint32_t partitions = 1u << (unit_random(&seed) % 13);

		make_cluster(&cluster, members, partitions, round % 2, &seed);
		check_plan(&cluster);
	}
}

static void test_the_order_of_members_does_not_matter(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan, shuffled;
	uint64_t seed = 2;

	for (uint32_t round = 0; round < 50; round++) {
		make_cluster(&cluster, 30, 1024, true, &seed);
		rebalance_plan_make(&plan, &cluster.map, cluster.members, 30);
		for (uint32_t i = 29; i > 0; i--) {
			uint32_t j = (uint32_t)(unit_random(&seed) % (i + 1));
			struct rebalance_member member = cluster.members[i];

			cluster.members[i] = cluster.members[j];
			cluster.members[j] = member;
		}
		rebalance_plan_make(&shuffled, &cluster.map, cluster.members, 30);
		CU_ASSERT_EQUAL(plan.move_count, shuffled.move_count);
		CU_ASSERT_EQUAL(
			memcmp(plan.moves, shuffled.moves, plan.move_count * sizeof(plan.moves[0])),
			0);
	}
}

/* Nodes recompute the plan while moves complete one by one, in any order: they must not change
 * their minds.
 */
static void test_a_plan_half_done_is_the_rest_of_it(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan, rest;
	uint64_t seed = 4;

	for (uint32_t round = 0; round < 20; round++) {
		make_cluster(&cluster, 2 + (uint32_t)(unit_random(&seed) % 20), 256, true, &seed);
		rebalance_plan_make(&plan, &cluster.map, cluster.members, cluster.member_count);
		while (plan.move_count > 0) {
			uint32_t at = (uint32_t)(unit_random(&seed) % plan.move_count);

			apply(&cluster, &plan.moves[at]);
			memmove(plan.moves + at, plan.moves + at + 1,
				(plan.move_count - at - 1) * sizeof(plan.moves[0]));
			plan.move_count--;
			rebalance_plan_make(&rest, &cluster.map, cluster.members,
					    cluster.member_count);
			CU_ASSERT_EQUAL(rest.move_count, plan.move_count);
			CU_ASSERT_EQUAL(memcmp(rest.moves, plan.moves,
					       plan.move_count * sizeof(plan.moves[0])),
					0);
		}
	}
}

static void make_bootstrapped(struct cluster *cluster, uint32_t member_count,
			      uint32_t partition_count)
{
	partition_map_init(&cluster->map, partition_count);
	partition_map_bootstrap(&cluster->map, 1);
	cluster->member_count = member_count;
	for (uint32_t i = 0; i < member_count; i++)
		cluster->members[i] = (struct rebalance_member){ .id = i + 1, .weight = 100 };
}

static void test_a_joiner_takes_its_share(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;

	make_bootstrapped(&cluster, 2, 64);
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, cluster.members, 2), 0);
	CU_ASSERT_EQUAL(plan.move_count, 32);
	for (uint32_t i = 0; i < plan.move_count; i++) {
		CU_ASSERT_EQUAL(plan.moves[i].from, 1);
		CU_ASSERT_EQUAL(plan.moves[i].to, 2);
	}
}

static void test_a_leaving_node_is_drained(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;
	uint32_t owned[3];

	make_bootstrapped(&cluster, 3, 64);
	rebalance_plan_make(&plan, &cluster.map, cluster.members, 3);
	for (uint32_t i = 0; i < plan.move_count; i++)
		apply(&cluster, &plan.moves[i]);
	cluster.members[1].weight = 0;
	rebalance_plan_make(&plan, &cluster.map, cluster.members, 3);
	for (uint32_t i = 0; i < plan.move_count; i++) {
		CU_ASSERT_EQUAL(plan.moves[i].from, 2);
		apply(&cluster, &plan.moves[i]);
	}
	count_owned(&cluster, owned);
	CU_ASSERT_EQUAL(owned[0], 32);
	CU_ASSERT_EQUAL(owned[1], 0);
	CU_ASSERT_EQUAL(owned[2], 32);
}

static void test_weights_set_the_shares(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;
	uint32_t owned[2];

	make_bootstrapped(&cluster, 2, 64);
	cluster.members[1].weight = 300;
	rebalance_plan_make(&plan, &cluster.map, cluster.members, 2);
	for (uint32_t i = 0; i < plan.move_count; i++)
		apply(&cluster, &plan.moves[i]);
	count_owned(&cluster, owned);
	CU_ASSERT_EQUAL(owned[0], 16);
	CU_ASSERT_EQUAL(owned[1], 48);
}

static void test_partitions_of_the_dead_stay(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;
	struct rebalance_member survivors[] = { { 2, 100 }, { 3, 100 } };

	make_bootstrapped(&cluster, 2, 64);
	for (uint32_t p = 0; p < 10; p++)
		apply(&cluster, &(struct rebalance_move){ .partition = p, .from = 1, .to = 2 });
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, survivors, 2), 0);
	CU_ASSERT_EQUAL(plan.unmovable_count, 54);
	CU_ASSERT_EQUAL(plan.move_count, 5);
}

static void test_bad_members_are_refused(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;
	struct rebalance_member twice[] = { { 1, 100 }, { 2, 100 }, { 1, 100 } };
	struct rebalance_member nobody[] = { { 0, 100 } };
	struct rebalance_member heavy[] = { { 1, NODE_WEIGHT_MAX + 1 } };
	struct rebalance_member drained[] = { { 1, 0 } };

	make_bootstrapped(&cluster, 2, 64);
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, twice, 3), -EINVAL);
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, twice, 0), -EINVAL);
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, nobody, 1), -EINVAL);
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, heavy, 1), -EINVAL);
	CU_ASSERT_EQUAL(rebalance_plan_make(&plan, &cluster.map, drained, 1), -EINVAL);
	CU_ASSERT_EQUAL(plan.move_count, 0);
}

/* specification row 4.1, row 8.1: taking a partition puts it into importing_partitions */
static void test_the_plan_sets_importing(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;
	struct node node = { .id = 2 };
	struct node other = { .id = 3 };

	make_bootstrapped(&cluster, 2, 64);
	rebalance_plan_make(&plan, &cluster.map, cluster.members, 2);
	CU_ASSERT_EQUAL(rebalance_plan_import(&plan, &node, PARTITION_COUNT_MAX), 32);
	for (uint32_t i = 0; i < plan.move_count; i++)
		CU_ASSERT_TRUE(node_is_importing(&node, plan.moves[i].partition));
	CU_ASSERT_EQUAL(partition_set_count(&node.importing_partitions), 32);
	CU_ASSERT_EQUAL(rebalance_plan_import(&plan, &node, PARTITION_COUNT_MAX), 0);
	CU_ASSERT_EQUAL(rebalance_plan_import(&plan, &other, PARTITION_COUNT_MAX), 0);
}

static void test_imports_at_once_are_limited(void)
{
	static struct cluster cluster;
	static struct rebalance_plan plan;
	struct node node = { .id = 2 };

	make_bootstrapped(&cluster, 2, 64);
	rebalance_plan_make(&plan, &cluster.map, cluster.members, 2);
	CU_ASSERT_EQUAL(rebalance_plan_import(&plan, &node, 4), 4);
	CU_ASSERT_EQUAL(rebalance_plan_import(&plan, &node, 4), 0);
	partition_set_remove(&node.importing_partitions,
			     partition_set_next(&node.importing_partitions, 0));
	CU_ASSERT_EQUAL(rebalance_plan_import(&plan, &node, 4), 1);
	CU_ASSERT_EQUAL(partition_set_count(&node.importing_partitions), 4);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_plans_are_balanced_with_the_fewest_moves),
		UNIT_TEST(test_the_order_of_members_does_not_matter),
		UNIT_TEST(test_a_plan_half_done_is_the_rest_of_it),
		UNIT_TEST(test_a_joiner_takes_its_share),
		UNIT_TEST(test_a_leaving_node_is_drained),
		UNIT_TEST(test_weights_set_the_shares),
		UNIT_TEST(test_partitions_of_the_dead_stay),
		UNIT_TEST(test_bad_members_are_refused),
		UNIT_TEST(test_the_plan_sets_importing),
		UNIT_TEST(test_imports_at_once_are_limited),
		{ NULL, NULL },
	};

	return unit_run("rebalance_plan", tests);
}
