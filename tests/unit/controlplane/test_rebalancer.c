/* SPDX-License-Identifier: BSD-3-Clause */
/* Rebalancers of several nodes on one map and virtual time: who takes what, when, and when not. */
#include "controlplane/rebalancer.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define NODES_MAX 5u
#define PARTITIONS 64u
#define TICK_MS 200u
#define PARALLEL 4u

/* What becomes of an import after one tick. */
enum fate {
	SUCCEED,
	FAIL,
	HANG,
};

struct cluster {
	uint64_t now_ms;
	bool is_auto;
	bool is_unable;
	struct partition_map map;
	uint32_t count;
	bool is_here[NODES_MAX]; /* takes part */
	uint32_t begun[NODES_MAX];
	uint32_t parallel_max;
	uint32_t last_begun; /* partition */
	enum fate (*fate)(uint32_t node, uint32_t partition);
	struct rebalancer_member members[NODES_MAX]; /* of node i: id i + 1 */
	struct partition_set importing[NODES_MAX];
	struct partition_set migrating[NODES_MAX];
	struct rebalancer rebalancers[NODES_MAX];
};

static struct cluster *cluster_create(uint32_t count)
{
	struct cluster *cluster = calloc(1, sizeof(*cluster));

	cluster->is_auto = true;
	cluster->count = count;
	partition_map_init(&cluster->map, PARTITIONS);
	partition_map_bootstrap(&cluster->map, 1);
	for (uint32_t i = 0; i < count; i++) {
		cluster->members[i] = (struct rebalancer_member){ .id = i + 1, .weight = 100 };
		cluster->is_here[i] = true;
		rebalancer_init(&cluster->rebalancers[i], i);
	}
	return cluster;
}

/* The view of node 'self'; 'members' has room for all. */
static struct rebalancer_view view_of(const struct cluster *cluster, uint32_t self,
				      struct rebalancer_member *members)
{
	struct rebalancer_view view = { .self = self + 1,
					.is_auto = cluster->is_auto,
					.is_able = !cluster->is_unable,
					.parallel_max = PARALLEL,
					.map = &cluster->map,
					.running = &cluster->importing[self],
					.members = members };

	for (uint32_t i = 0; i < cluster->count; i++) {
		if (!cluster->is_here[i])
			continue;
		members[view.member_count] = cluster->members[i];
		members[view.member_count].importing = &cluster->importing[i];
		members[view.member_count++].migrating = &cluster->migrating[i];
	}
	return view;
}

static void end_imports(struct cluster *cluster, uint32_t node)
{
	struct partition_set *importing = &cluster->importing[node];

	for (uint32_t p = partition_set_next(importing, 0); p < PARTITION_COUNT_MAX;
	     p = partition_set_next(importing, p + 1)) {
		enum fate fate = cluster->fate ? cluster->fate(node, p) : SUCCEED;
		uint64_t owner = partition_map_owner(&cluster->map, p);

		if (fate == HANG)
			continue;
		if (fate == SUCCEED)
			partition_map_hand_over(&cluster->map, owner, p, node + 1);
		partition_set_remove(importing, p);
		partition_set_remove(&cluster->migrating[owner - 1], p);
	}
}

static void step_node(struct cluster *cluster, uint32_t node)
{
	struct rebalancer_member members[NODES_MAX];
	struct rebalancer_view view = view_of(cluster, node, members);
	uint32_t orders[REBALANCER_PARALLEL_MAX];
	uint32_t count =
		rebalancer_step(&cluster->rebalancers[node], cluster->now_ms, &view, orders);

	CU_ASSERT_FATAL(count <= PARALLEL);
	for (uint32_t i = 0; i < count; i++) {
		uint64_t owner = partition_map_owner(&cluster->map, orders[i]);

		CU_ASSERT_NOT_EQUAL(owner, node + 1);
		CU_ASSERT_FALSE(partition_set_has(&cluster->importing[node], orders[i]));
		partition_set_add(&cluster->importing[node], orders[i]);
		partition_set_add(&cluster->migrating[owner - 1], orders[i]);
		cluster->begun[node]++;
		cluster->last_begun = orders[i];
	}
	count = partition_set_count(&cluster->importing[node]);
	if (count > cluster->parallel_max)
		cluster->parallel_max = count;
}

/* One tick of all nodes: what runs ends, then each takes a step. */
static void tick(struct cluster *cluster)
{
	cluster->now_ms += TICK_MS;
	for (uint32_t i = 0; i < cluster->count; i++) {
		if (!cluster->is_here[i])
			continue;
		end_imports(cluster, i);
		step_node(cluster, i);
	}
}

static void run_for(struct cluster *cluster, uint32_t ms)
{
	for (uint32_t passed = 0; passed < ms; passed += TICK_MS)
		tick(cluster);
}

static uint32_t owned(const struct cluster *cluster, uint32_t node)
{
	return partition_map_count_owned(&cluster->map, node + 1);
}

static uint32_t begun(const struct cluster *cluster)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < cluster->count; i++)
		sum += cluster->begun[i];
	return sum;
}

static bool is_idle(const struct cluster *cluster, uint32_t node)
{
	return cluster->rebalancers[node].machine.state == REBALANCER_IDLE;
}

static void move_by_hand(struct cluster *cluster, uint32_t partition, uint32_t to)
{
	CU_ASSERT_EQUAL(partition_map_hand_over(&cluster->map,
						partition_map_owner(&cluster->map, partition),
						partition, to + 1),
			0);
}

/* ---- growing ---- */

static void those_that_join_take_their_shares(void)
{
	struct cluster *cluster = cluster_create(3);

	run_for(cluster, 10000);
	CU_ASSERT(owned(cluster, 0) >= 21 && owned(cluster, 0) <= 22);
	CU_ASSERT(owned(cluster, 1) >= 21 && owned(cluster, 1) <= 22);
	CU_ASSERT(owned(cluster, 2) >= 21 && owned(cluster, 2) <= 22);
	CU_ASSERT_EQUAL(begun(cluster), owned(cluster, 1) + owned(cluster, 2));
	CU_ASSERT_EQUAL(cluster->begun[0], 0);
	CU_ASSERT_EQUAL(cluster->parallel_max, PARALLEL);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(is_idle(cluster, i));
	free(cluster);
}

static void nothing_moves_until_the_members_have_settled(void)
{
	struct cluster *cluster = cluster_create(4);

	cluster->is_here[2] = cluster->is_here[3] = false;
	run_for(cluster, 1000);
	CU_ASSERT_EQUAL(begun(cluster), 0);
	cluster->is_here[2] = true;
	run_for(cluster, 1000);
	CU_ASSERT_EQUAL(begun(cluster), 0);
	run_for(cluster, 1000);
	CU_ASSERT(begun(cluster) > 0);
	free(cluster);
}

static void weights_are_heeded(void)
{
	struct cluster *cluster = cluster_create(3);

	cluster->members[1].weight = 200;
	cluster->members[2].weight = 0;
	run_for(cluster, 20000);
	CU_ASSERT(owned(cluster, 0) >= 21 && owned(cluster, 0) <= 22);
	CU_ASSERT(owned(cluster, 1) >= 42 && owned(cluster, 1) <= 43);
	CU_ASSERT_EQUAL(owned(cluster, 2), 0);
	free(cluster);
}

static enum fate hang_all(uint32_t node, uint32_t partition)
{
	(void)node;
	(void)partition;
	return HANG;
}

static void a_change_in_between_waits_for_what_is_on_its_way(void)
{
	struct cluster *cluster = cluster_create(3);
	uint32_t before;

	cluster->is_here[2] = false;
	cluster->fate = hang_all;
	run_for(cluster, 3000);
	before = begun(cluster);
	CU_ASSERT_EQUAL(before, PARALLEL);
	/* the plan for three members gives node 2 other partitions than that for two gave node 1 */
	cluster->is_here[2] = true;
	cluster->members[0].weight = 1;
	cluster->members[1].weight = 0;
	run_for(cluster, 5000);
	CU_ASSERT_EQUAL(begun(cluster), before);
	cluster->fate = NULL;
	run_for(cluster, 15000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 0);
	CU_ASSERT(owned(cluster, 2) >= 63);
	free(cluster);
}

static void a_member_that_dies_takes_no_part_any_more(void)
{
	struct cluster *cluster = cluster_create(3);
	uint32_t before, lost;

	run_for(cluster, 10000);
	before = begun(cluster);
	lost = owned(cluster, 1);
	cluster->is_here[1] = false;
	run_for(cluster, 5000);
	CU_ASSERT_EQUAL(begun(cluster), before);
	/* the operator gives up its partitions: what is claimed is shared out again */
	for (uint32_t p = 0; p < PARTITIONS; p++) {
		if (partition_map_owner(&cluster->map, p) == 2)
			move_by_hand(cluster, p, 0);
	}
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 2), PARTITIONS / 2);
	CU_ASSERT(begun(cluster) > before && begun(cluster) <= before + lost);
	free(cluster);
}

/* ---- what the operator wants ---- */

static void what_was_moved_by_hand_stays_until_the_members_change(void)
{
	struct cluster *cluster = cluster_create(4);
	uint32_t before;

	cluster->is_here[3] = false;
	run_for(cluster, 10000);
	before = begun(cluster);
	for (uint32_t p = 0; p < 8; p++)
		move_by_hand(cluster, p, 2);
	run_for(cluster, 60000);
	CU_ASSERT_EQUAL(begun(cluster), before);
	cluster->is_here[3] = true;
	run_for(cluster, 10000);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(owned(cluster, i), 16);
	free(cluster);
}

static void without_auto_rebalance_it_takes_one_request(void)
{
	struct cluster *cluster = cluster_create(2);

	cluster->is_auto = false;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(begun(cluster), 0);
	for (uint32_t i = 0; i < 2; i++)
		rebalancer_ask(&cluster->rebalancers[i], cluster->now_ms);
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 32);
	CU_ASSERT_TRUE(is_idle(cluster, 0) && is_idle(cluster, 1));
	cluster->members[1].weight = 300;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 32);
	free(cluster);
}

/* Those that were not reached do nothing: who was has its share, waits no longer, and leaves alone what is moved then. */
static void a_request_that_not_all_heard_ends(void)
{
	struct cluster *cluster = cluster_create(3);

	cluster->is_auto = false;
	run_for(cluster, 1000);
	rebalancer_ask(&cluster->rebalancers[1], cluster->now_ms);
	run_for(cluster, 10000);
	CU_ASSERT_FALSE(is_idle(cluster, 1));
	CU_ASSERT(owned(cluster, 1) > 0);
	CU_ASSERT_EQUAL(owned(cluster, 2), 0);
	run_for(cluster, REBALANCER_PATIENCE_MS);
	CU_ASSERT(is_idle(cluster, 1));
	CU_ASSERT(cluster->rebalancers[1].is_abandoned);
	cluster->begun[1] = 0;
	for (uint32_t p = 0; p < PARTITIONS; p++) {
		if (partition_map_owner(&cluster->map, p) == 2)
			move_by_hand(cluster, p, 0);
	}
	run_for(cluster, 100000);
	CU_ASSERT_EQUAL(cluster->begun[1], 0);
	free(cluster);
}

/* What one node is told not to take, the others do not wait for; a node that leaves they do. */
static void what_another_was_told_not_to_take_is_not_waited_for(void)
{
	struct cluster *cluster = cluster_create(3);

	cluster->fate = hang_all;
	run_for(cluster, 2 * REBALANCER_SETTLE_MS);
	for (uint32_t p = 0; p < PARTITIONS; p++)
		rebalancer_set_aside(&cluster->rebalancers[2], p);
	partition_set_clear(&cluster->importing[2]);
	partition_set_clear(&cluster->migrating[0]);
	cluster->fate = NULL;
	run_for(cluster, 10000);
	CU_ASSERT_FALSE(is_idle(cluster, 1));
	run_for(cluster, REBALANCER_PATIENCE_MS);
	CU_ASSERT(is_idle(cluster, 0));
	CU_ASSERT(is_idle(cluster, 1));
	CU_ASSERT(is_idle(cluster, 2));
	CU_ASSERT_EQUAL(owned(cluster, 2), 0);
	cluster->members[1].is_leaving = true;
	run_for(cluster, 20000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 0);
	free(cluster);
}

static void a_leaving_node_is_emptied_also_without_auto_rebalance(void)
{
	struct cluster *cluster = cluster_create(3);

	run_for(cluster, 10000);
	cluster->is_auto = false;
	cluster->members[0].is_leaving = true;
	run_for(cluster, 15000);
	CU_ASSERT_EQUAL(owned(cluster, 0), 0);
	CU_ASSERT_EQUAL(owned(cluster, 1) + owned(cluster, 2), PARTITIONS);
	free(cluster);
}

static void between_others_nothing_moves_when_one_leaves_without_auto_rebalance(void)
{
	struct cluster *cluster = cluster_create(3);
	uint32_t of_1, of_2;

	run_for(cluster, 10000);
	of_1 = owned(cluster, 1);
	of_2 = owned(cluster, 2);
	cluster->is_auto = false;
	cluster->members[2].weight = 10; /* the whole plan would take from it */
	cluster->members[0].is_leaving = true;
	run_for(cluster, 15000);
	CU_ASSERT_EQUAL(owned(cluster, 0), 0);
	CU_ASSERT(owned(cluster, 1) > of_1);
	CU_ASSERT_EQUAL(owned(cluster, 2), of_2);
	free(cluster);
}

static void when_all_leave_nothing_moves(void)
{
	struct cluster *cluster = cluster_create(2);

	cluster->members[0].is_leaving = true;
	cluster->members[1].is_leaving = true;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(begun(cluster), 0);
	cluster->members[1].is_leaving = false;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 1), PARTITIONS);
	free(cluster);
}

static enum fate fail_all(uint32_t node, uint32_t partition)
{
	(void)node;
	(void)partition;
	return FAIL;
}

static void what_the_operator_cancels_is_not_begun_again(void)
{
	struct cluster *cluster = cluster_create(2);
	uint32_t cancelled;

	cluster->fate = hang_all;
	run_for(cluster, 3000);
	cancelled = cluster->last_begun;
	rebalancer_set_aside(&cluster->rebalancers[1], cancelled);
	partition_set_remove(&cluster->importing[1], cancelled);
	partition_set_remove(&cluster->migrating[0], cancelled);
	cluster->fate = NULL;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(partition_map_owner(&cluster->map, cancelled), 1);
	CU_ASSERT_EQUAL(owned(cluster, 1), 31);
	CU_ASSERT_TRUE(is_idle(cluster, 1));
	/* but its owner cannot leave with it */
	cluster->members[0].is_leaving = true;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 1), PARTITIONS);
	free(cluster);
}

/* ---- failures ---- */

static void failures_are_retried_after_growing_pauses(void)
{
	struct cluster *cluster = cluster_create(2);
	uint32_t in_a_minute;

	cluster->fate = fail_all;
	run_for(cluster, 60000);
	in_a_minute = begun(cluster);
	CU_ASSERT(in_a_minute >= 8 && in_a_minute <= 10 * PARALLEL);
	run_for(cluster, 60000);
	CU_ASSERT(begun(cluster) - in_a_minute <= 3 * PARALLEL);
	cluster->fate = NULL;
	run_for(cluster, 80000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 32);
	free(cluster);
}

static enum fate fail_the_highest(uint32_t node, uint32_t partition)
{
	(void)node;
	return partition == PARTITIONS - 1 || partition == PARTITIONS / 2 ? FAIL : SUCCEED;
}

static void one_that_fails_does_not_keep_back_the_others(void)
{
	struct cluster *cluster = cluster_create(2);

	cluster->fate = fail_the_highest;
	run_for(cluster, 20000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 30);
	CU_ASSERT_EQUAL(rebalancer_moves_left(&cluster->rebalancers[1]), 2);
	CU_ASSERT_EQUAL(rebalancer_moves_left(&cluster->rebalancers[0]), 2);
	CU_ASSERT_TRUE(rebalancer_has_move(&cluster->rebalancers[0], PARTITIONS - 1, 2));
	CU_ASSERT_FALSE(rebalancer_has_move(&cluster->rebalancers[0], PARTITIONS - 1, 1));
	CU_ASSERT_FALSE(rebalancer_has_move(&cluster->rebalancers[0], 0, 2));
	free(cluster);
}

static void an_order_that_is_refused_is_retried(void)
{
	uint32_t refused[PARALLEL];
	struct cluster *cluster = cluster_create(2);
	uint32_t orders[REBALANCER_PARALLEL_MAX];
	struct rebalancer_member members[NODES_MAX];
	struct rebalancer_view view;

	run_for(cluster, 1000);
	view = view_of(cluster, 1, members);
	CU_ASSERT_EQUAL(rebalancer_step(&cluster->rebalancers[1], 2000, &view, orders), PARALLEL);
	for (uint32_t i = 0; i < PARALLEL; i++) {
		refused[i] = orders[i];
		rebalancer_refused(&cluster->rebalancers[1], orders[i]);
	}
	/* at once, but the others first */
	CU_ASSERT_EQUAL(rebalancer_step(&cluster->rebalancers[1], 2200, &view, orders), PARALLEL);
	for (uint32_t i = 0; i < PARALLEL; i++)
		CU_ASSERT(orders[i] > refused[PARALLEL - 1]);
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 32);
	free(cluster);
}

static void nothing_is_taken_from_a_suspect(void)
{
	struct cluster *cluster = cluster_create(2);

	cluster->members[0].is_suspect = true;
	run_for(cluster, 5000);
	CU_ASSERT_EQUAL(begun(cluster), 0);
	cluster->members[0].is_suspect = false;
	run_for(cluster, 400);
	CU_ASSERT(begun(cluster) > 0);
	free(cluster);
}

static void a_node_that_may_not_serve_does_nothing(void)
{
	struct cluster *cluster = cluster_create(2);

	cluster->is_unable = true;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(begun(cluster), 0);
	cluster->is_unable = false;
	run_for(cluster, 10000);
	CU_ASSERT_EQUAL(owned(cluster, 1), 32);
	free(cluster);
}

static void goals_have_the_same_number_everywhere(void)
{
	struct cluster *cluster = cluster_create(3);
	uint64_t first;

	run_for(cluster, 10000);
	first = rebalancer_goal(&cluster->rebalancers[0]);
	CU_ASSERT_NOT_EQUAL(first, 0);
	CU_ASSERT_EQUAL(rebalancer_goal(&cluster->rebalancers[1]), first);
	CU_ASSERT_EQUAL(rebalancer_goal(&cluster->rebalancers[2]), first);
	cluster->members[1].is_leaving = true;
	run_for(cluster, 1000);
	CU_ASSERT_NOT_EQUAL(rebalancer_goal(&cluster->rebalancers[0]), first);
	free(cluster);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(those_that_join_take_their_shares),
		UNIT_TEST(nothing_moves_until_the_members_have_settled),
		UNIT_TEST(weights_are_heeded),
		UNIT_TEST(a_change_in_between_waits_for_what_is_on_its_way),
		UNIT_TEST(a_member_that_dies_takes_no_part_any_more),
		UNIT_TEST(what_was_moved_by_hand_stays_until_the_members_change),
		UNIT_TEST(without_auto_rebalance_it_takes_one_request),
		UNIT_TEST(a_request_that_not_all_heard_ends),
		UNIT_TEST(what_another_was_told_not_to_take_is_not_waited_for),
		UNIT_TEST(a_leaving_node_is_emptied_also_without_auto_rebalance),
		UNIT_TEST(between_others_nothing_moves_when_one_leaves_without_auto_rebalance),
		UNIT_TEST(when_all_leave_nothing_moves),
		UNIT_TEST(what_the_operator_cancels_is_not_begun_again),
		UNIT_TEST(failures_are_retried_after_growing_pauses),
		UNIT_TEST(one_that_fails_does_not_keep_back_the_others),
		UNIT_TEST(an_order_that_is_refused_is_retried),
		UNIT_TEST(nothing_is_taken_from_a_suspect),
		UNIT_TEST(a_node_that_may_not_serve_does_nothing),
		UNIT_TEST(goals_have_the_same_number_everywhere),
		{ NULL, NULL },
	};

	return unit_run("rebalancer", tests);
}
