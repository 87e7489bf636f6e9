/* SPDX-License-Identifier: BSD-3-Clause */
/* Partitions move while nodes die and links break: what was acknowledged is at one of the two, and is served once. */
#include "tests/unit/controlplane/migrator_net.h"

/* All others declare the node dead. */
static void declare_dead(struct net *net, uint32_t index)
{
	for (uint32_t i = 0; i < NODES; i++) {
		if (i == index || !net->peers[i].is_running)
			continue;
		net->peers[i].is_thought_dead[index] = true;
		migrator_peer_changed(net->peers[i].migrator, id_of(index));
	}
}

static void a_target_that_dies_costs_nothing(void)
{
	static const char *const states[] = { "marking", "copying", "verifying", "fencing" };

	for (uint32_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct net *net = net_open();

		fill(net);
		net->writes_per_ms = 2;
		CU_ASSERT_EQUAL(import(net, 1, P), 0);
		run_to_state(net, &net->peers[0], states[i]);
		end(&net->peers[1]);
		run_ms(net, 100);
		CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[0]);
		declare_dead(net, 1);
		run_to_rest(net);
		CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_PEER_DEAD);
		expect_owner(net, 0, 1);
		net_close(net);
	}
}

static void a_source_that_dies_before_all_was_sent_leaves_nothing_at_the_target(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "copying");
	end(&net->peers[0]);
	declare_dead(net, 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(last_of(&net->peers[1]).reason, MIGRATION_PEER_DEAD);
	expect_empty(&net->peers[1]);
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[1].map, P), id_of(0));
	net_close(net);
}

static void a_source_that_dies_when_all_was_sent_is_succeeded_after_a_while(void)
{
	struct net *net = net_open();
	uint64_t dead_ms;

	fill(net);
	net->writes_per_ms = 2;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[1], "ready");
	end(&net->peers[0]);
	drop_frames(net);
	declare_dead(net, 0);
	dead_ms = net->now_ms;
	while (partition_map_epoch(&net->peers[1].map, P) == 1 && net->now_ms < dead_ms + MS_MAX)
		turn(net);
	CU_ASSERT(net->now_ms >= dead_ms + CLAIM_MS);
	/* It waits for the dead node's word no longer than until its name is heard again. */
	run_ms(net, 100);
	CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[1]);
	expect_values(net, &net->peers[1]);
	net->peers[0].generation++;
	migrator_peer_changed(net->peers[1].migrator, id_of(0));
	run_to_rest(net);
	CU_ASSERT_TRUE(last_of(&net->peers[1]).is_ok);
	expect_owner(net, 1, 2);
	net_close(net);
}

static void a_target_that_comes_back_empty_gives_the_partition_back(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "committing");
	end(&net->peers[1]);
	drop_frames(net);
	run_ms(net, 500);
	CU_ASSERT_TRUE(view_of(&net->peers[0]).is_in_doubt);
	declare_dead(net, 1);
	run_ms(net, 5000);
	CU_ASSERT_TRUE(view_of(&net->peers[0]).is_in_doubt);
	start(net, 1, 0);
	for (uint32_t i = 0; i < NODES; i++) {
		net->peers[i].is_thought_dead[1] = false;
		migrator_peer_changed(net->peers[i].migrator, id_of(1));
		migrator_connected(net->peers[i].migrator, id_of(1));
	}
	run_to_rest(net);
	expect_owner(net, 0, 3);
	CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_LOST);
	CU_ASSERT_EQUAL(counter_of(&net->peers[1], "migration_lost"), 1);
	net_close(net);
}

static void an_operator_takes_back_what_a_dead_target_was_given(void)
{
	struct net *net = net_open();
	char error[MIGRATOR_ERROR_SIZE];

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "committing");
	end(&net->peers[1]);
	drop_frames(net);
	run_ms(net, 500);
	CU_ASSERT_EQUAL(migrator_cancel(net->peers[0].migrator, P, error), -EALREADY);
	CU_ASSERT_EQUAL(migrator_claim(net->peers[0].migrator, P, error), -EBUSY);
	declare_dead(net, 1);
	CU_ASSERT_EQUAL(migrator_claim(net->peers[0].migrator, P, error), 0);
	run_to_rest(net);
	expect_owner(net, 0, 3);
	net_close(net);
}

static void a_cut_link_delays_and_loses_nothing(void)
{
	struct net *net = net_open();
	uint32_t cuts = 0;

	fill(net);
	net->writes_per_ms = 1;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	while (open_tasks(net) > 0 && cuts < 1000) {
		run_ms(net, prng_below(&net->prng, 8));
		net->is_cut[0][1] = net->is_cut[1][0] = true;
		run_ms(net, prng_below(&net->prng, 100));
		net->is_cut[0][1] = net->is_cut[1][0] = false;
		migrator_connected(net->peers[0].migrator, id_of(1));
		migrator_connected(net->peers[1].migrator, id_of(0));
		cuts++;
	}
	CU_ASSERT(cuts > 3);
	expect_owner(net, 1, 2);
	net_close(net);
}

static void data_that_another_node_claimed_is_dropped(void)
{
	struct net *net = net_open();
	const struct partition_owner claim = { .partition = P, .epoch = 2, .owner = id_of(2) };

	fill(net);
	partition_map_merge(&net->peers[2].map, &claim);
	partition_set_add(&net->peers[2].held, P);
	run_ms(net, 1);
	run_ms(net, 1000);
	CU_ASSERT_EQUAL(open_tasks(net), 0);
	expect_empty(&net->peers[0]);
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migration_forgotten"), 1);
	net_close(net);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_target_that_dies_costs_nothing),
		UNIT_TEST(a_source_that_dies_before_all_was_sent_leaves_nothing_at_the_target),
		UNIT_TEST(a_source_that_dies_when_all_was_sent_is_succeeded_after_a_while),
		UNIT_TEST(a_target_that_comes_back_empty_gives_the_partition_back),
		UNIT_TEST(an_operator_takes_back_what_a_dead_target_was_given),
		UNIT_TEST(a_cut_link_delays_and_loses_nothing),
		UNIT_TEST(data_that_another_node_claimed_is_dropped),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("migrator_failures", tests);
}
