/* SPDX-License-Identifier: BSD-3-Clause */
/* A data plane as part of a cluster: routes, fences, commands to partitions. */
#include <assert.h>
#include <errno.h>

#include "dataplane/dataplane_state.h"

/* Old routes freed with one publication: more than one publication makes. */
#define OLD_ROUTES_FREED 4u

/* ---- routes ---- */

static uint8_t access_of(enum partition_access access)
{
	static const uint8_t route_access[] = {
		[PARTITION_BY_ROUTE] = ROUTE_BY_OWNER,
		[PARTITION_WRITES_FENCED] = ROUTE_WRITES_PARKED,
		[PARTITION_ALL_FENCED] = ROUTE_PARKED,
		[PARTITION_REFUSED] = ROUTE_REFUSED,
	};

	return route_access[access];
}

static void publish(struct dataplane *dp, struct route_table *table)
{
	for (uint32_t p = 0; p < table->partition_count; p++)
		table->access[p] = access_of((enum partition_access)dp->access[p]);
	table->serial = ++dp->route_serial;
	reclaim_retire(dp->old_routes, route_publish(&dp->shared->route, table), 0);
	reclaim_poll(dp->old_routes, OLD_ROUTES_FREED);
}

int dataplane_set_routes(struct dataplane *dp, struct route_table *table)
{
	const struct port_options *port = &dp->options.port;
	const struct route_network network = { port->ipv4, port->gateway_ipv4, port->ipv4_prefix };
	int result = -EINVAL;

	if (table->partition_count == dp->options.partition_count)
		result = route_meet_neighbors(table, dp->shared->route, &network);
	if (result < 0) {
		route_table_destroy(table);
		return result;
	}
	publish(dp, table);
	return 0;
}

int dataplane_set_access(struct dataplane *dp, uint32_t partition, enum partition_access access)
{
	struct route_table *table;

	if (partition >= dp->options.partition_count)
		return -EINVAL;
	table = route_table_copy(dp->shared->route);
	if (!table)
		return -ENOMEM;
	dp->access[partition] = (uint8_t)access;
	publish(dp, table);
	return 0;
}

uint64_t dataplane_barrier(const struct dataplane *dp)
{
	return dp->route_serial;
}

bool dataplane_barrier_passed(const struct dataplane *dp, uint64_t barrier)
{
	for (uint32_t i = 0; i < dp->options.worker_count; i++) {
		const struct worker *worker = &dp->workers[i];

		if (worker->is_launched &&
		    __atomic_load_n(&worker->core->routes_seen, __ATOMIC_ACQUIRE) < barrier)
			return false;
	}
	return true;
}

/* ---- partitions ---- */

int dataplane_submit(struct dataplane *dp, struct partition_command *command)
{
	struct core *core;

	if (command->partition >= dp->options.partition_count)
		return -EINVAL;
	core = dp->workers[dp->shared->worker_of[command->partition]].core;
	command->is_done = false;
	command->is_finished = false;
	command->records_applied = 0;
	command->stuck_since_ms = 0;
	return rte_ring_sp_enqueue(core->commands, command) == 0 ? 0 : -EAGAIN;
}

struct partition *dataplane_partition(const struct dataplane *dp, uint32_t partition)
{
	return shard_partition(dp->workers[dp->shared->worker_of[partition]].shard, partition);
}

uint32_t dataplane_parked(const struct dataplane *dp)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < dp->options.worker_count; i++)
		count += __atomic_load_n(&dp->workers[i].core->parking.count, __ATOMIC_RELAXED);
	return count;
}

/* ---- readers ---- */

struct reader *dataplane_reader_register(struct dataplane *dp, const char *name)
{
	struct reader *reader = reader_register(dp->readers, name);

	if (reader)
		reader_offline(reader);
	return reader;
}

void dataplane_reader_unregister(struct reader *reader)
{
	reader_online(reader);
	reader_unregister(reader);
}
