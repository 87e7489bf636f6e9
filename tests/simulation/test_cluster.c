/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole clusters on virtual time: who fails is found out, who lives is believed, and all end up
 * knowing the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/simulation/cluster_harness.h"
#include "tests/unit/unit.h"

static const struct harness_network quiet = { .delay_min_ms = 1, .delay_max_ms = 3 };
static const struct harness_network lossy = {
	.loss_percent = 10, .duplicate_percent = 5, .delay_min_ms = 1, .delay_max_ms = 60
};
static const struct harness_network awful = {
	.loss_percent = 20, .duplicate_percent = 10, .delay_min_ms = 1, .delay_max_ms = 100
};

/* What the nodes' machines reported. */
struct log {
	uint32_t deaths; /* times a node declared another dead, or heard of it */
	uint32_t removed_self;
	uint32_t imports;
	uint32_t restarts;
};

static void note_action(void *context, uint32_t node, const struct gossip_action *action)
{
	struct log *log = context;

	(void)node;
	log->deaths += action->kind == GOSSIP_MEMBER_CHANGED && action->after == MEMBER_DEAD;
	log->removed_self += action->kind == GOSSIP_SELF_REMOVED;
	log->imports += action->kind == GOSSIP_PEER_IMPORTS;
	log->restarts += action->kind == GOSSIP_MEMBER_RESTARTED;
}

static bool converged(struct harness *harness, void *context)
{
	(void)context;
	return harness_is_converged(harness);
}

/* A cluster of 'node_count' nodes that know each other; the network is 'network' from then on. */
static struct harness *cluster(uint64_t seed, uint32_t node_count,
			       const struct harness_network *network, struct log *log)
{
	struct harness_options options = {
		.seed = seed,
		.node_count = node_count,
		.partition_count = 64,
		.network = quiet,
		.on_action = note_action,
		.context = log,
	};
	struct harness *harness = harness_create(&options);

	memset(log, 0, sizeof(*log));
	harness_start_all(harness);
	CU_ASSERT_TRUE_FATAL(harness_run_until(harness, 60000, converged, NULL));
	harness_set_network(harness, network);
	return harness;
}

/* Whether all nodes below the crashed one, which is the last, think so of it. */
static bool sees_all(struct harness *harness, uint32_t node, enum member_state state)
{
	for (uint32_t i = 0; harness_is_running(harness, i); i++) {
		if (i != node && harness_view(harness, i, node) != state)
			return false;
	}
	return true;
}

/* ---- failures are found out ---- */

static bool last_is_dead_to_all(struct harness *harness, void *context)
{
	return sees_all(harness, *(const uint32_t *)context, MEMBER_DEAD);
}

static void test_a_crash_is_known_to_all_soon(void)
{
	static const uint32_t sizes[] = { 3, 10, 50 };

	for (uint32_t i = 0; i < 3; i++) {
		for (uint64_t seed = 1; seed <= 5; seed++) {
			struct log log;
			uint32_t last = sizes[i] - 1;
			struct harness *harness = cluster(seed, sizes[i], &quiet, &log);
			uint64_t crashed_ms = harness_now_ms(harness);
			/* One round finds it, the shortest suspicion, and the time to tell. */
			uint64_t bound_ms = 2 * MEMBERSHIP_PROBE_INTERVAL_MS +
					    membership_suspicion_ms(sizes[i], 1, 1, 500) + 3000;

			harness_crash(harness, last);
			CU_ASSERT_TRUE(
				harness_run_until(harness, 60000, last_is_dead_to_all, &last));
			CU_ASSERT_TRUE(harness_now_ms(harness) - crashed_ms <= bound_ms);
			harness_destroy(harness);
		}
	}
}

static void test_a_crash_is_known_on_a_lossy_network(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct log log;
		uint32_t last = 9;
		struct harness *harness = cluster(seed, 10, &awful, &log);

		harness_crash(harness, last);
		CU_ASSERT_TRUE(harness_run_until(harness, 30000, last_is_dead_to_all, &last));
		harness_destroy(harness);
	}
}

/* Loss alone kills nobody: five minutes of a bad network, and not one death. */
static void test_nobody_dies_of_a_lossy_network(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 20, &lossy, &log);

		harness_run(harness, 300000);
		CU_ASSERT_EQUAL(log.deaths, 0);
		harness_set_network(harness, &quiet);
		CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
		harness_destroy(harness);
	}
}

/* Two nodes that cannot reach each other reach each other through third ones. */
static void test_a_cut_link_kills_nobody(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 6, &quiet, &log);

		harness_cut(harness, 1, 2);
		harness_cut(harness, 2, 1);
		harness_cut(harness, 3, 4); /* one way only */
		harness_run(harness, 120000);
		CU_ASSERT_EQUAL(log.deaths, 0);
		CU_ASSERT_EQUAL(harness_view(harness, 1, 2), MEMBER_ALIVE);
		harness_destroy(harness);
	}
}

/* ---- who lives is believed ---- */

static void stall(struct harness *harness, uint32_t node, bool is_stalled)
{
	struct gossip_event event = { .kind = GOSSIP_STALLED, .is_stalled = is_stalled };

	harness_event(harness, node, &event);
}

static bool node_is_suspect(struct harness *harness, void *context)
{
	return harness_view(harness, 0, *(const uint32_t *)context) == MEMBER_SUSPECT;
}

static void test_a_short_stall_is_refuted_in_time(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct log log;
		uint32_t node = 3;
		struct harness *harness = cluster(seed, 10, &quiet, &log);

		stall(harness, node, true);
		CU_ASSERT_TRUE(harness_run_until(harness, 10000, node_is_suspect, &node));
		stall(harness, node, false);
		CU_ASSERT_TRUE(harness_run_until(harness, 10000, converged, NULL));
		CU_ASSERT_EQUAL(log.deaths, 0);
		CU_ASSERT_TRUE(gossip_self(harness_gossip(harness, node))->incarnation > 1);
		harness_destroy(harness);
	}
}

static void test_a_stalled_node_is_dead_until_it_runs_again(void)
{
	struct log log;
	uint32_t node = 2;
	struct harness *harness = cluster(1, 5, &quiet, &log);

	stall(harness, node, true);
	harness_run(harness, 30000);
	for (uint32_t i = 0; i < 5; i++) {
		if (i != node)
			CU_ASSERT_EQUAL(harness_view(harness, i, node), MEMBER_DEAD);
	}
	stall(harness, node, false);
	CU_ASSERT_TRUE(harness_run_until(harness, 30000, converged, NULL));
	harness_destroy(harness);
}

static void test_a_restarted_node_comes_back_as_itself(void)
{
	struct log log;
	struct harness *harness = cluster(1, 5, &quiet, &log);
	uint64_t generation = gossip_self(harness_gossip(harness, 4))->generation;

	harness_crash(harness, 4);
	harness_run(harness, 500); /* sooner than anybody could declare it dead */
	harness_start(harness, 4);
	harness_join(harness, 4, 1);
	CU_ASSERT_TRUE(harness_run_until(harness, 20000, converged, NULL));
	CU_ASSERT_TRUE(gossip_self(harness_gossip(harness, 4))->generation > generation);
	CU_ASSERT_EQUAL(log.restarts, 4);
	/* and once more, with a clock that lost years */
	harness_crash(harness, 4);
	harness_run(harness, 60000);
	harness_start_generation(harness, 4, 7);
	harness_join(harness, 4, 1);
	CU_ASSERT_TRUE(harness_run_until(harness, 20000, converged, NULL));
	CU_ASSERT_TRUE(gossip_self(harness_gossip(harness, 4))->generation > generation);
	harness_destroy(harness);
}

/* ---- splits ---- */

static void test_a_split_heals(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 10, &lossy, &log);

		harness_split(harness, 4);
		harness_run(harness, 60000);
		CU_ASSERT_EQUAL(harness_view(harness, 0, 9), MEMBER_DEAD);
		CU_ASSERT_EQUAL(harness_view(harness, 9, 0), MEMBER_DEAD);
		CU_ASSERT_EQUAL(harness_view(harness, 9, 8), MEMBER_ALIVE);
		harness_heal(harness);
		CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
		harness_destroy(harness);
	}
}

static bool sees_majority(struct harness *harness, uint32_t node)
{
	return membership_sees_majority(gossip_membership(harness_gossip(harness, node)),
					harness_now_ms(harness));
}

static void test_only_the_majority_sees_one(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 5, &quiet, &log);

		harness_split(harness, 2);
		harness_run(harness, 4000); /* noticed before anybody is declared dead */
		CU_ASSERT_FALSE(sees_majority(harness, 0));
		CU_ASSERT_FALSE(sees_majority(harness, 1));
		harness_run(harness, 30000);
		for (uint32_t i = 0; i < 5; i++)
			CU_ASSERT_EQUAL(sees_majority(harness, i), i >= 2);
		harness_heal(harness);
		CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
		harness_run(harness, 15000);
		for (uint32_t i = 0; i < 5; i++)
			CU_ASSERT_TRUE(sees_majority(harness, i));
		harness_destroy(harness);
	}
}

/* ---- removal ---- */

/* A node is cut off, declared dead and removed. When the network heals it must learn that, and not
 * come back.
 */
static void test_a_removed_node_stays_out(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 6, &quiet, &log);
		struct gossip_event remove = { .kind = GOSSIP_REMOVE,
					       .id = harness_id(harness, 0) };

		harness_split(harness, 1);
		harness_run(harness, 30000);
		harness_event(harness, 3, &remove);
		harness_run(harness, 10000);
		CU_ASSERT_EQUAL(log.removed_self, 0);
		harness_heal(harness);
		harness_run(harness, 60000);
		CU_ASSERT_EQUAL(log.removed_self, 1);
		for (uint32_t i = 1; i < 6; i++)
			CU_ASSERT_EQUAL(harness_view(harness, i, 0), MEMBER_REMOVED);
		/* started anew and asked to join, it may */
		harness_crash(harness, 0);
		harness_start(harness, 0);
		harness_join(harness, 0, 3);
		CU_ASSERT_TRUE(harness_run_until(harness, 30000, converged, NULL));
		harness_destroy(harness);
	}
}

/* ---- all end up knowing the same ---- */

/* specification row 1.3: flags reach everybody on a bad network */
static void test_flags_converge_on_an_awful_network(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 20, &awful, &log);

		for (uint32_t i = 1; i < 20; i++)
			harness_set_importing(harness, i, i, true);
		CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
		CU_ASSERT_EQUAL(log.imports, 19); /* node 0 owns all, and hears each once */
		for (uint32_t i = 1; i < 20; i++)
			harness_set_importing(harness, i, i, false);
		CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
		harness_destroy(harness);
	}
}

static void test_maps_converge_on_an_awful_network(void)
{
	for (uint64_t seed = 1; seed <= 3; seed++) {
		struct log log;
		struct harness *harness = cluster(seed, 20, &awful, &log);

		for (uint32_t p = 0; p < 64; p++) {
			CU_ASSERT_EQUAL(gossip_hand_over(harness_gossip(harness, 0),
							 harness_now_ms(harness), p,
							 harness_id(harness, p % 20)),
					0);
			harness_touch(harness, 0);
		}
		CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
		for (uint32_t i = 0; i < 20; i++) {
			const struct partition_map *map = gossip_map(harness_gossip(harness, i));

			CU_ASSERT_EQUAL(partition_map_owner(map, 63), harness_id(harness, 3));
			CU_ASSERT_EQUAL(map->version, 128);
			CU_ASSERT_EQUAL(map->conflicts, 0);
		}
		harness_destroy(harness);
	}
}

/* Nothing but the exchange of maps could tell a node that slept through the gossip. */
static void test_a_map_missed_is_fetched(void)
{
	struct log log;
	struct harness *harness = cluster(1, 5, &quiet, &log);
	uint64_t healed_ms;

	harness_split(harness, 1);
	harness_run(harness, 1000);
	for (uint32_t p = 0; p < 64; p++)
		gossip_hand_over(harness_gossip(harness, 0), harness_now_ms(harness), p,
				 harness_id(harness, 1));
	harness_touch(harness, 0);
	harness_run(harness, 5000); /* told often enough, to nobody */
	harness_heal(harness);
	healed_ms = harness_now_ms(harness);
	CU_ASSERT_TRUE(harness_run_until(harness, 60000, converged, NULL));
	CU_ASSERT_TRUE(harness_now_ms(harness) - healed_ms < 12000);
	harness_destroy(harness);
}

/* One random thing that can happen to a cluster. */
static void disturb(struct harness *harness, uint32_t node_count)
{
	uint32_t node = harness_random(harness, node_count);
	uint32_t other = harness_random(harness, node_count);

	switch (harness_random(harness, 7)) {
	case 0:
		if (harness_is_running(harness, node) && node != 0)
			harness_crash(harness, node);
		break;
	case 1:
		if (!harness_is_running(harness, node)) {
			harness_start_generation(harness, node,
						 1 + harness_random(harness, 1000000));
			harness_join(harness, node, 0);
		}
		break;
	case 2:
		harness_cut(harness, node, other);
		break;
	case 3:
		harness_split(harness, node);
		break;
	case 4:
		harness_heal(harness);
		break;
	case 5:
		if (harness_is_running(harness, node))
			stall(harness, node, harness_random(harness, 2));
		break;
	default:
		if (harness_is_running(harness, node))
			harness_set_importing(harness, node, other, harness_random(harness, 2));
		break;
	}
}

/* invariant 5, of membership and maps: whatever happened, once faults end all agree */
static void test_after_chaos_all_agree(void)
{
	for (uint64_t seed = 1; seed <= 60; seed++) {
		struct log log;
		uint32_t node_count = 3 + (uint32_t)(seed % 8);
		struct harness *harness = cluster(seed, node_count, &awful, &log);
		bool is_settled;

		for (uint32_t i = 0; i < 40; i++) {
			disturb(harness, node_count);
			harness_run(harness, harness_random(harness, 8000));
		}
		harness_heal(harness);
		harness_set_network(harness, &quiet);
		for (uint32_t i = 0; i < node_count; i++) {
			if (harness_is_running(harness, i))
				stall(harness, i, false);
		}
		is_settled = harness_run_until(harness, 120000, converged, NULL);
		if (!is_settled)
			printf("seed %llu does not settle\n", (unsigned long long)seed);
		CU_ASSERT_TRUE(is_settled);
		CU_ASSERT_EQUAL(log.removed_self, 0);
		harness_destroy(harness);
	}
}

/* ---- the harness itself ---- */

static uint64_t hash_of_run(uint64_t seed)
{
	struct log log;
	struct harness *harness = cluster(seed, 7, &awful, &log);
	uint64_t hash;

	for (uint32_t i = 0; i < 20; i++) {
		disturb(harness, 7);
		harness_run(harness, 3000);
	}
	hash = harness_trace_hash(harness);
	harness_destroy(harness);
	return hash;
}

static void test_the_same_seed_gives_the_same_trace(void)
{
	CU_ASSERT_EQUAL(hash_of_run(5), hash_of_run(5));
	CU_ASSERT_EQUAL(hash_of_run(6), hash_of_run(6));
	CU_ASSERT_NOT_EQUAL(hash_of_run(5), hash_of_run(6));
}

/* A cluster at rest costs the same at 10 and at 100 nodes: what SWIM promises. */
static void test_gossip_at_rest_does_not_grow_with_the_cluster(void)
{
	uint64_t bytes[2];

	for (uint32_t i = 0; i < 2; i++) {
		struct log log;
		struct harness *harness = cluster(1, i == 0 ? 10 : 100, &quiet, &log);
		uint64_t before;

		harness_run(harness, 30000); /* the news of the start are told */
		before = harness_traffic(harness, 3).datagram_bytes;
		harness_run(harness, 60000);
		bytes[i] = (harness_traffic(harness, 3).datagram_bytes - before) / 60;
		harness_destroy(harness);
	}
	CU_ASSERT_TRUE(bytes[0] < 1500);
	CU_ASSERT_TRUE(bytes[1] < bytes[0] * 13 / 10);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_crash_is_known_to_all_soon),
		UNIT_TEST(test_a_crash_is_known_on_a_lossy_network),
		UNIT_TEST(test_nobody_dies_of_a_lossy_network),
		UNIT_TEST(test_a_cut_link_kills_nobody),
		UNIT_TEST(test_a_short_stall_is_refuted_in_time),
		UNIT_TEST(test_a_stalled_node_is_dead_until_it_runs_again),
		UNIT_TEST(test_a_restarted_node_comes_back_as_itself),
		UNIT_TEST(test_a_split_heals),
		UNIT_TEST(test_only_the_majority_sees_one),
		UNIT_TEST(test_a_removed_node_stays_out),
		UNIT_TEST(test_flags_converge_on_an_awful_network),
		UNIT_TEST(test_maps_converge_on_an_awful_network),
		UNIT_TEST(test_a_map_missed_is_fetched),
		UNIT_TEST(test_after_chaos_all_agree),
		UNIT_TEST(test_the_same_seed_gives_the_same_trace),
		UNIT_TEST(test_gossip_at_rest_does_not_grow_with_the_cluster),
		{ NULL, NULL },
	};

	return unit_run("cluster", tests);
}
