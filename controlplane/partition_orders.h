/* SPDX-License-Identifier: BSD-3-Clause */
/* What one job asks of a partition's worker, in order: each order waits for the routes of its time, then its command is done. */
#ifndef CONTROLPLANE_PARTITION_ORDERS_H
#define CONTROLPLANE_PARTITION_ORDERS_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/migration.h"
#include "dataplane/dataplane.h"

/* More than the machines of a job ever have under way. */
#define PARTITION_ORDERS_MAX (2u * MIGRATION_WINDOW_MAX + 16u)

/* Commands of one job that a worker has at most. It does them one after the other; what waits here can still be let off. */
#define PARTITION_ORDERS_SUBMITTED_MAX 8u

struct partition_order {
	bool has_command; /* false: only the barrier is waited for, or the command was let off */
	uint32_t kind;    /* the caller's, as are these */
	uint32_t fence;
	uint32_t frame;
	uint64_t last;
	uint64_t barrier; /* 0 = not yet known */
	struct partition_command command;
};

/* Thread safety: none; the control thread owns it. It never blocks. It must not move or go while partition_orders_are_waiting(),
 * unless the workers are stopped.
 */
struct partition_orders {
	struct dataplane *dataplane;
	uint32_t partition;
	uint64_t added; /* these three count for ever */
	uint64_t submitted;
	uint64_t removed;
	struct partition_order orders[PARTITION_ORDERS_MAX];
};

void partition_orders_init(struct partition_orders *orders, struct dataplane *dataplane, uint32_t partition);

/* Adds an order without a command: done when all workers go by the routes and accesses of the next partition_orders_poll(), at least. */
struct partition_order *partition_orders_add(struct partition_orders *orders, uint32_t kind);

/* Likewise, with a command, which is done after that; the caller fills in the rest of it before the next partition_orders_poll(). */
struct partition_order *partition_orders_add_command(struct partition_orders *orders, uint32_t kind,
						     enum partition_command_kind command);

/* Hands over what can be. Returns the oldest order if it is done, else NULL. */
struct partition_order *partition_orders_poll(struct partition_orders *orders);

/* Forgets the oldest order, which is done. */
void partition_orders_remove(struct partition_orders *orders);

/* Commands of that kind that no worker has got yet are not done: their orders come out with 'is_ok' false. */
void partition_orders_let_off(struct partition_orders *orders, enum partition_command_kind command);

static inline bool partition_orders_are_waiting(const struct partition_orders *orders)
{
	return orders->added > orders->removed;
}

#endif
