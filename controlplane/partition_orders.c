/* SPDX-License-Identifier: BSD-3-Clause */
/* A ring of orders: removed <= submitted <= added. */
#include "controlplane/partition_orders.h"

#include <assert.h>
#include <string.h>

void partition_orders_init(struct partition_orders *orders, struct dataplane *dataplane,
			   uint32_t partition)
{
	memset(orders, 0, sizeof(*orders));
	orders->dataplane = dataplane;
	orders->partition = partition;
}

static struct partition_order *order_at(struct partition_orders *orders, uint64_t number)
{
	return &orders->orders[number % PARTITION_ORDERS_MAX];
}

struct partition_order *partition_orders_add(struct partition_orders *orders, uint32_t kind)
{
	struct partition_order *order = order_at(orders, orders->added);

	assert(orders->added - orders->removed < PARTITION_ORDERS_MAX);
	orders->added++;
	memset(order, 0, sizeof(*order));
	order->kind = kind;
	return order;
}

struct partition_order *partition_orders_add_command(struct partition_orders *orders, uint32_t kind,
						     enum partition_command_kind command)
{
	struct partition_order *order = partition_orders_add(orders, kind);

	order->has_command = true;
	order->command.kind = command;
	order->command.partition = orders->partition;
	return order;
}

/* True: the barrier has passed, and the worker has the command from now on. */
static bool submit(struct partition_orders *orders, struct partition_order *order)
{
	if (order->barrier == 0)
		order->barrier = dataplane_barrier(orders->dataplane);
	return dataplane_barrier_passed(orders->dataplane, order->barrier) &&
	       (!order->has_command || dataplane_submit(orders->dataplane, &order->command) == 0);
}

struct partition_order *partition_orders_poll(struct partition_orders *orders)
{
	struct partition_order *oldest = order_at(orders, orders->removed);

	while (orders->submitted < orders->added &&
	       orders->submitted - orders->removed < PARTITION_ORDERS_SUBMITTED_MAX &&
	       submit(orders, order_at(orders, orders->submitted)))
		orders->submitted++;
	if (orders->removed == orders->submitted)
		return NULL;
	return !oldest->has_command || partition_command_is_done(&oldest->command) ? oldest : NULL;
}

void partition_orders_remove(struct partition_orders *orders)
{
	assert(orders->removed < orders->submitted);
	orders->removed++;
}

void partition_orders_let_off(struct partition_orders *orders, enum partition_command_kind command)
{
	for (uint64_t number = orders->submitted; number < orders->added; number++) {
		struct partition_order *order = order_at(orders, number);

		if (order->has_command && order->command.kind == command)
			order->has_command = false;
	}
}
