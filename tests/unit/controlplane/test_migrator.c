/* SPDX-License-Identifier: BSD-3-Clause */
/* Partitions move between nodes that live: one, several, in turns; and what is refused, cancelled, or no frame. */
#include "tests/unit/controlplane/migrator_net.h"

static void a_partition_moves_while_it_is_written(void)
{
	struct net *net = net_open();

	fill(net);
	net->writes_per_ms = 5;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	CU_ASSERT_TRUE(partition_set_has(&net->peers[1].importing, P));
	run_to_state(net, &net->peers[0], "copying");
	CU_ASSERT_TRUE(partition_set_has(&net->peers[0].migrating, P));
	run_to_rest(net);
	expect_owner(net, 1, 2);
	CU_ASSERT_TRUE(last_of(&net->peers[0]).is_ok);
	CU_ASSERT_TRUE(last_of(&net->peers[0]).is_source);
	CU_ASSERT_TRUE(last_of(&net->peers[1]).is_ok);
	CU_ASSERT_EQUAL(last_of(&net->peers[1]).peer, id_of(0));
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migrations_out_done"), 1);
	CU_ASSERT_EQUAL(counter_of(&net->peers[1], "migrations_in_done"), 1);
	CU_ASSERT(counter_of(&net->peers[0], "migration_deltas_sent") > 0);
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migration_bytes_sent"),
			counter_of(&net->peers[1], "migration_bytes_received"));
	net_close(net);
}

static void it_moves_on_and_back_and_loses_nothing(void)
{
	struct net *net = net_open();

	fill(net);
	net->writes_per_ms = 3;
	for (uint32_t i = 1; i <= 9; i++) {
		CU_ASSERT_EQUAL(import(net, i % NODES, P), 0);
		run_to_rest(net);
		expect_owner(net, i % NODES, i + 1);
	}
	net_close(net);
}

static void all_partitions_move_at_once_up_to_the_limit(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, 0), 0);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	CU_ASSERT_EQUAL(import(net, 1, 3), ENOSPC);
	/* The source has no room for a third one either: node 2 waits until it has. */
	CU_ASSERT_EQUAL(import(net, 2, 3), 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[0].map, 0), id_of(1));
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[0].map, 3), id_of(2));
	expect_owner(net, 1, 2);
	net_close(net);
}

static void what_cannot_be_is_refused_and_changes_nothing(void)
{
	struct net *net = net_open();
	struct migrator *migrator = net->peers[1].migrator;
	char error[MIGRATOR_ERROR_SIZE];

	CU_ASSERT_EQUAL(import(net, 1, PARTITIONS), ENOENT);
	CU_ASSERT_EQUAL(import(net, 0, P), EALREADY);
	net->peers[1].is_thought_dead[0] = true;
	CU_ASSERT_EQUAL(migrator_import(migrator, P, error), -EHOSTDOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "n1"));
	net->peers[1].is_thought_dead[0] = false;
	CU_ASSERT_EQUAL(migrator_cancel(migrator, P, error), -ENOENT);
	CU_ASSERT_EQUAL(migrator_claim(migrator, P, error), -ENOENT);
	CU_ASSERT_TRUE(migrator_is_idle(migrator));
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	CU_ASSERT_EQUAL(import(net, 1, P), EBUSY);
	CU_ASSERT_EQUAL(migrator_claim(migrator, P, error), -EBUSY);
	run_to_rest(net);
	CU_ASSERT_EQUAL(import(net, 1, P), EALREADY);
	net_close(net);
}

static void a_cancelled_job_leaves_everything_as_it_was(void)
{
	struct net *net = net_open();
	char error[MIGRATOR_ERROR_SIZE];

	fill(net);
	for (uint32_t who = 0; who < 2; who++) {
		CU_ASSERT_EQUAL(import(net, 1, P), 0);
		run_to_state(net, &net->peers[0], "copying");
		CU_ASSERT_EQUAL(migrator_cancel(net->peers[who].migrator, P, error), 0);
		run_to_rest(net);
		expect_owner(net, 0, 1);
		CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_CANCELLED);
		CU_ASSERT_EQUAL(last_of(&net->peers[1]).reason, MIGRATION_CANCELLED);
		CU_ASSERT_FALSE(last_of(&net->peers[1]).is_ok);
	}
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_rest(net);
	expect_owner(net, 1, 2);
	net_close(net);
}

static void a_target_without_memory_gives_up_and_says_so(void)
{
	struct net *net = net_open_with(SMALL_MEMORY);

	for (uint64_t number = 0; number < KEYS; number++) {
		CU_ASSERT_TRUE_FATAL(
			unit_dataplane_put(&net->peers[0].data, P, number, 1, 1000, 0));
		unit_dataplane_turn(&net->peers[0].data);
	}
	CU_ASSERT_EQUAL(import(net, 2, P), 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(last_of(&net->peers[2]).reason, MIGRATION_OUT_OF_MEMORY);
	CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_OUT_OF_MEMORY);
	CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[0]);
	expect_empty(&net->peers[2]);
	/* It is as good as new, for a partition that fits. */
	CU_ASSERT_EQUAL(import(net, 2, 0), 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[0].map, 0), id_of(2));
	net_close(net);
}

static void a_third_node_waits_for_its_turn(void)
{
	struct net *net = net_open();

	fill(net);
	net->writes_per_ms = 1;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "copying");
	CU_ASSERT_EQUAL(import(net, 2, P), 0);
	run_to_rest(net);
	CU_ASSERT(counter_of(&net->peers[0], "migration_refused_busy") > 0);
	/* When its turn comes, the partition is another node's: the plan has to be made anew. */
	expect_owner(net, 1, 2);
	CU_ASSERT_EQUAL(last_of(&net->peers[2]).reason, MIGRATION_SUPERSEDED);
	net_close(net);
}

/* Nobody else tells it: gossip of the same is no news then. */
static void a_target_that_is_told_another_owner_shows_it_to_its_workers(void)
{
	struct net *net = net_open();
	struct peer *target = &net->peers[1];
	const struct partition_owner claim = { .partition = P, .epoch = 2, .owner = id_of(2) };

	partition_map_merge(&net->peers[0].map, &claim);
	migrator_map_changed(net->peers[0].migrator);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	for (uint32_t ms = 0; ms < 100; ms++) {
		net->now_ms++;
		for (uint32_t i = 0; i < 2; i++) {
			unit_dataplane_turn(&net->peers[i].data);
			migrator_run(net->peers[i].migrator);
		}
		deliver(net);
	}
	CU_ASSERT_EQUAL(partition_map_epoch(&target->map, P), 2);
	CU_ASSERT_EQUAL(target->data.node.shared->route->epochs[P], 2);
	net_close(net);
}

static void a_node_that_stops_keeps_what_is_undecided(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "copying");
	CU_ASSERT_FALSE(migrator_is_decided(net->peers[0].migrator));
	migrator_stop(net->peers[0].migrator);
	CU_ASSERT_TRUE(migrator_is_decided(net->peers[0].migrator));
	run_ms(net, 50);
	CU_ASSERT_EQUAL(import(net, 0, P), EALREADY);
	CU_ASSERT_EQUAL(last_of(&net->peers[1]).reason, MIGRATION_CANCELLED);
	expect_owner(net, 0, 1);
	/* It begins nothing any more. */
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_ms(net, 500);
	CU_ASSERT_TRUE(migrator_is_idle(net->peers[0].migrator));
	net_close(net);
}

static void what_is_no_frame_is_counted(void)
{
	struct net *net = net_open();
	struct migrator *migrator = net->peers[0].migrator;
	const struct sync_message message = { .kind = SYNC_PREPARE,
					      .partition = P,
					      .job = 5,
					      .attempt = 1,
					      .sender = id_of(1),
					      .generation = 1,
					      .epoch = 1 };
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	size_t size = sync_message_encode(&message, bytes);

	migrator_take_frame(migrator, id_of(1), bytes, size - 1);
	/* It names another sender than the channel. */
	migrator_take_frame(migrator, id_of(2), bytes, size);
	bytes[size - 1] ^= 1;
	migrator_take_frame(migrator, id_of(1), bytes, size);
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migration_malformed"), 3);
	CU_ASSERT_EQUAL(migrator_count(migrator), 0);
	net_close(net);
}

static void a_later_generation_makes_new_machines(void)
{
	struct net *net = net_open();

	fill(net);
	net->peers[1].generation++;
	run_ms(net, 2);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_rest(net);
	expect_owner(net, 1, 2);
	net_close(net);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_partition_moves_while_it_is_written),
		UNIT_TEST(it_moves_on_and_back_and_loses_nothing),
		UNIT_TEST(all_partitions_move_at_once_up_to_the_limit),
		UNIT_TEST(what_cannot_be_is_refused_and_changes_nothing),
		UNIT_TEST(a_cancelled_job_leaves_everything_as_it_was),
		UNIT_TEST(a_target_without_memory_gives_up_and_says_so),
		UNIT_TEST(a_third_node_waits_for_its_turn),
		UNIT_TEST(a_target_that_is_told_another_owner_shows_it_to_its_workers),
		UNIT_TEST(a_node_that_stops_keeps_what_is_undecided),
		UNIT_TEST(what_is_no_frame_is_counted),
		UNIT_TEST(a_later_generation_makes_new_machines),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("migrator", tests);
}
