/* SPDX-License-Identifier: BSD-3-Clause */
/* A struct dataplane around the cores of a unit node. */
#include "tests/unit/unit_dataplane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "dataplane/core_loop.h"

#define WORK_PER_TURN 32u

static void require(bool what, const char *text)
{
	if (!what) {
		fprintf(stderr, "unit_dataplane: %s\n", text);
		abort();
	}
}

static void free_route(void *context, void *object, uint32_t argument)
{
	(void)context, (void)argument;
	route_table_destroy(object);
}

void unit_dataplane_create(struct unit_dataplane *dataplane,
			   const struct unit_node_options *options)
{
	struct dataplane *inner = &dataplane->dataplane;

	memset(dataplane, 0, sizeof(*dataplane));
	unit_node_create(&dataplane->node, options);
	inner->shared = dataplane->node.shared;
	inner->options.worker_count = inner->shared->worker_count;
	inner->options.partition_count = inner->shared->partition_count;
	inner->options.port.ipv4 = UNIT_NODE_IPV4 + options->number;
	for (uint32_t i = 0; i < inner->shared->worker_count; i++) {
		inner->workers[i].core = dataplane->node.cores[i];
		inner->workers[i].shard = dataplane->node.cores[i]->shard;
		inner->workers[i].sessions = dataplane->node.cores[i]->sessions;
		inner->workers[i].is_launched = true;
	}
	require(reclaim_create(&inner->old_routes, dataplane->node.period, free_route, NULL) == 0,
		"no memory");
}

void unit_dataplane_destroy(struct unit_dataplane *dataplane)
{
	dataplane->node.route = dataplane->node.shared->route;
	reclaim_destroy(dataplane->dataplane.old_routes);
	unit_node_destroy(&dataplane->node);
}

static void work(struct core *core)
{
	partition_command_run(core, WORK_PER_TURN);
	shard_background(core->shard, core->now_ms, WORK_PER_TURN);
	core_count(&core->counters, COUNT_HEARTBEATS);
}

void unit_dataplane_turn(struct unit_dataplane *dataplane)
{
	struct unit_node *node = &dataplane->node;

	rcu_thread_online();
	node->route = node->shared->route;
	for (uint32_t i = 0; i < node->shared->worker_count; i++) {
		if (!(node->stalled >> i & 1))
			core_take_route(node->cores[i]);
	}
	unit_node_unpark(node);
	for (uint32_t i = 0; i < node->shared->worker_count; i++) {
		if (!(node->stalled >> i & 1))
			work(node->cores[i]);
		shard_housekeeping(node->cores[i]->shard);
	}
	node->period->started++;
	if (!dataplane->is_frozen && node->stalled == 0)
		node->period->completed = node->period->started;
	rcu_quiescent_state();
}

struct partition *unit_dataplane_partition(const struct unit_dataplane *dataplane,
					   uint32_t partition)
{
	return dataplane_partition(&dataplane->dataplane, partition);
}

/* --- Items --- */

static struct shard *shard_of(const struct unit_dataplane *dataplane, uint32_t partition)
{
	const struct core_shared *shared = dataplane->node.shared;

	return shared->cores[shared->worker_of[partition]]->shard;
}

static void look_up(const struct unit_dataplane *dataplane, uint32_t partition, uint64_t number,
		    uint8_t key[UNIT_KEY_SIZE], struct shard_batch *batch)
{
	memcpy(key, "unit key", UNIT_KEY_SIZE - sizeof(number));
	memcpy(key + UNIT_KEY_SIZE - sizeof(number), &number, sizeof(number));
	batch->count = 1;
	batch->keys[0] = (struct key_ref){
		.digest = key_digest(&dataplane->node.shared->key_secret, key, UNIT_KEY_SIZE),
		.bytes = key,
		.size = UNIT_KEY_SIZE,
		.partition = (uint16_t)partition,
	};
	shard_lookup(shard_of(dataplane, partition), batch);
}

static uint8_t value_byte(uint64_t number, uint64_t write, uint32_t i)
{
	return (uint8_t)(number * 7 + write * 13 + i * (i >> 8 | 1));
}

bool unit_dataplane_put(struct unit_dataplane *dataplane, uint32_t partition, uint64_t number,
			uint64_t write, uint32_t size, uint64_t expires_at_ms)
{
	struct shard *shard = shard_of(dataplane, partition);
	uint8_t key[UNIT_KEY_SIZE];
	struct shard_batch batch;
	struct item *item;

	look_up(dataplane, partition, number, key, &batch);
	item = shard_item_create(shard, &batch.keys[0], size);
	if (!item)
		return false;
	for (uint32_t i = 0; i < size; i++)
		item_value_unpublished(item)[i] = value_byte(number, write, i);
	item_set_expires_at_ms(item, expires_at_ms);
	if (shard_put(shard, &batch, 0, item) == STATUS_OK)
		return true;
	shard_item_discard(shard, item);
	return false;
}

bool unit_dataplane_remove(struct unit_dataplane *dataplane, uint32_t partition, uint64_t number)
{
	uint8_t key[UNIT_KEY_SIZE];
	struct shard_batch batch;
	uint64_t version;

	look_up(dataplane, partition, number, key, &batch);
	return shard_remove(shard_of(dataplane, partition), &batch, 0, &version) == STATUS_OK;
}

const struct item *unit_dataplane_get(const struct unit_dataplane *dataplane, uint32_t partition,
				      uint64_t number)
{
	uint8_t key[UNIT_KEY_SIZE];
	struct shard_batch batch;

	look_up(dataplane, partition, number, key, &batch);
	return batch.items[0] && !(batch.items[0]->flags & ITEM_TOMBSTONE) ? batch.items[0] : NULL;
}

bool unit_dataplane_value_is(const struct item *item, uint64_t number, uint64_t write,
			     uint32_t size)
{
	bool is_same = item->value_size == size;

	for (uint32_t i = 0; is_same && i < size; i++)
		is_same = item_value(item)[i] == value_byte(number, write, i);
	return is_same;
}
