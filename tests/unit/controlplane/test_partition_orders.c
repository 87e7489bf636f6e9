/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders to a worker that is stepped by hand. */
#include "controlplane/partition_orders.h"

#include <stdlib.h>

#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define P 1u

struct scene {
	struct unit_dataplane data;
	struct partition_orders orders;
};

static struct scene *scene_open(void)
{
	const struct unit_node_options options = { .worker_count = 2, .partition_count = 4 };
	struct scene *scene = calloc(1, sizeof(*scene));

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
	unit_dataplane_create(&scene->data, &options);
	partition_orders_init(&scene->orders, &scene->data.dataplane, P);
	return scene;
}

static void scene_close(struct scene *scene)
{
	unit_dataplane_destroy(&scene->data);
	free(scene);
}

/* Kinds of the orders that are done, in the order in which they come out. */
static uint32_t take_done(struct scene *scene, uint32_t *kinds)
{
	struct partition_order *order;
	uint32_t count = 0;

	while ((order = partition_orders_poll(&scene->orders))) {
		kinds[count++] = order->kind;
		partition_orders_remove(&scene->orders);
	}
	return count;
}

static void they_are_done_in_the_order_given(void)
{
	struct scene *scene = scene_open();
	uint32_t kinds[PARTITION_ORDERS_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < PARTITION_ORDERS_MAX; i++) {
		if (i % 3 == 0)
			partition_orders_add(&scene->orders, i);
		else
			partition_orders_add_command(&scene->orders, i, PARTITION_SNAPSHOT);
	}
	CU_ASSERT_TRUE(partition_orders_are_waiting(&scene->orders));
	for (uint32_t turn = 0; turn < 2 * PARTITION_ORDERS_MAX; turn++) {
		count += take_done(scene, kinds + count);
		unit_dataplane_turn(&scene->data);
	}
	CU_ASSERT_EQUAL(count, PARTITION_ORDERS_MAX);
	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(kinds[i], i);
	CU_ASSERT_FALSE(partition_orders_are_waiting(&scene->orders));
	scene_close(scene);
}

/* No command goes ahead of the access that was set before it. */
static void they_wait_for_the_routes_of_their_time(void)
{
	struct scene *scene = scene_open();
	uint32_t kinds[PARTITION_ORDERS_MAX];

	unit_dataplane_turn(&scene->data);
	CU_ASSERT_EQUAL(dataplane_set_access(&scene->data.dataplane, P, PARTITION_WRITES_FENCED),
			0);
	partition_orders_add_command(&scene->orders, 7, PARTITION_FREEZE);
	CU_ASSERT_EQUAL(take_done(scene, kinds), 0);
	CU_ASSERT_EQUAL(scene->orders.submitted, 0);
	unit_dataplane_turn(&scene->data); /* the workers see the access */
	CU_ASSERT_FALSE(partition_is_frozen(unit_dataplane_partition(&scene->data, P)));
	CU_ASSERT_EQUAL(take_done(scene, kinds), 0);
	CU_ASSERT_EQUAL(scene->orders.submitted, 1);
	unit_dataplane_turn(&scene->data);
	CU_ASSERT_TRUE(partition_is_frozen(unit_dataplane_partition(&scene->data, P)));
	CU_ASSERT_EQUAL(take_done(scene, kinds), 1);
	scene_close(scene);
}

/* A worker that has as much to do as it can take gets the rest later. */
static void a_worker_with_much_to_do_gets_them_later(void)
{
	static struct partition_command others[PARTITION_COMMANDS_MAX];
	struct scene *scene = scene_open();
	uint32_t kinds[PARTITION_ORDERS_MAX];

	for (uint32_t i = 0; i < PARTITION_COMMANDS_MAX; i++) {
		others[i] =
			(struct partition_command){ .kind = PARTITION_SNAPSHOT, .partition = P };
		CU_ASSERT_EQUAL_FATAL(dataplane_submit(&scene->data.dataplane, &others[i]), 0);
	}
	partition_orders_add_command(&scene->orders, 1, PARTITION_SNAPSHOT);
	CU_ASSERT_EQUAL(take_done(scene, kinds), 0);
	CU_ASSERT_EQUAL(scene->orders.submitted, 0);
	for (uint32_t turn = 0; turn < PARTITION_COMMANDS_MAX + 1; turn++) {
		CU_ASSERT_EQUAL(take_done(scene, kinds), 0);
		unit_dataplane_turn(&scene->data);
	}
	CU_ASSERT_EQUAL(take_done(scene, kinds), 1);
	scene_close(scene);
}

/* What no worker has yet can be let off, what one has is done. */
static void those_that_wait_here_can_be_let_off(void)
{
	struct scene *scene = scene_open();
	uint32_t done = 0;

	for (uint32_t i = 0; i < PARTITION_ORDERS_SUBMITTED_MAX + 4; i++)
		partition_orders_add_command(&scene->orders, i, PARTITION_SNAPSHOT);
	partition_orders_add_command(&scene->orders, 99, PARTITION_THAW);
	CU_ASSERT_PTR_NULL(partition_orders_poll(&scene->orders));
	partition_orders_let_off(&scene->orders, PARTITION_SNAPSHOT);
	for (uint32_t turn = 0; turn < 64; turn++) {
		const struct partition_order *order = partition_orders_poll(&scene->orders);

		unit_dataplane_turn(&scene->data);
		if (!order)
			continue;
		CU_ASSERT_EQUAL(order->command.is_ok,
				order->kind < PARTITION_ORDERS_SUBMITTED_MAX || order->kind == 99);
		partition_orders_remove(&scene->orders);
		done++;
	}
	CU_ASSERT_EQUAL(done, PARTITION_ORDERS_SUBMITTED_MAX + 5);
	scene_close(scene);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(they_are_done_in_the_order_given),
		UNIT_TEST(they_wait_for_the_routes_of_their_time),
		UNIT_TEST(a_worker_with_much_to_do_gets_them_later),
		UNIT_TEST(those_that_wait_here_can_be_let_off),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("partition_orders", tests);
}
