/* SPDX-License-Identifier: BSD-3-Clause */
/* Real threads: an owner that writes, readers that look up and scan meanwhile, one that counts
 * grace periods and builds tables.
 */
#include <pthread.h>

#include "storage/grace_thread.h"
#include "tests/unit/storage/shard_fixture.h"

#define PERMANENT 2000u
#define KEYS 60000u
#define OWNER_STEPS 400000u

struct world {
	struct fixture fixture;
	struct grace_thread *grace;
	bool stop;
	uint64_t lookups; /* of permanent keys */
	uint64_t scans;
	uint64_t misses;   /* permanent keys not found */
	uint64_t mangled;  /* values that are not of their key */
	uint64_t backward; /* versions older than one seen before */
};

/* A value says its key and its write, over and over: a torn or recycled one shows. */
static void fill(uint8_t *value, uint32_t size, uint64_t number, uint64_t write)
{
	for (uint32_t i = 0; i < size; i += 16) {
		memcpy(value + i, &number, 8);
		memcpy(value + i + 8, &write, 8);
	}
}

static bool is_whole(const struct item *item)
{
	const uint8_t *value = item_value(item);

	if (item->value_size == 0 || item->value_size % 16 != 0 ||
	    memcmp(item_key(item) + 8, value, 8) != 0)
		return false;
	for (uint32_t i = 16; i < item->value_size; i += 16) {
		if (memcmp(value, value + i, 16) != 0)
			return false;
	}
	return true;
}

static void put(struct fixture *fixture, uint64_t number, uint64_t write)
{
	struct shard_batch batch;
	struct fixture_key key;
	uint32_t size = 16 * (1 + (uint32_t)(write % 7));
	struct item *item;

	fixture_batch_one(fixture, &batch, &key, number);
	item = shard_item_create(fixture->shard, &batch.keys[0], size);
	if (!item)
		return;
	fill(item_value_unpublished(item), size, number, write);
	if (shard_put(fixture->shard, &batch, 0, item) != STATUS_OK)
		shard_item_discard(fixture->shard, item);
}

static bool keep_house(void *context)
{
	return shard_housekeeping(context);
}

static void check_batch(struct world *world, struct shard_batch *batch, uint64_t *versions,
			const uint64_t *numbers)
{
	for (uint32_t i = 0; i < batch->count; i++) {
		const struct item *item = batch->items[i];

		if (!item) {
			world->misses++;
			continue;
		}
		world->mangled += !is_whole(item);
		world->backward += item->version < versions[numbers[i]];
		versions[numbers[i]] = item->version;
	}
}

/* Looks up permanent keys, in batches and alone: never a miss, never an older version than before.
 */
static void *look_up_for_ever(void *context)
{
	struct world *world = context;
	static uint64_t versions[PERMANENT];
	struct fixture_key keys[SHARD_BATCH_MAX];
	uint64_t numbers[SHARD_BATCH_MAX];
	struct shard_batch batch;
	uint64_t random = 21;

	rcu_register_thread();
	while (!__atomic_load_n(&world->stop, __ATOMIC_RELAXED)) {
		batch.count = unit_random(&random) % 4 ? SHARD_BATCH_MAX : 1;
		for (uint32_t i = 0; i < batch.count; i++) {
			numbers[i] = unit_random(&random) % PERMANENT;
			batch.keys[i] = fixture_key(&world->fixture, numbers[i], &keys[i]);
		}
		shard_lookup(world->fixture.shard, &batch);
		check_batch(world, &batch, versions, numbers);
		world->lookups += batch.count;
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

static void scan_once(struct world *world, uint32_t number, uint8_t *seen)
{
	const struct partition *partition = shard_partition(world->fixture.shard, number);
	const struct item *items[32];
	struct partition_scan scan;

	partition_scan_open(partition, &scan);
	while (!partition_scan_is_done(&scan)) {
		uint32_t count = partition_scan_next(partition, &scan, 64, items, 32);

		for (uint32_t i = 0; i < count; i++) {
			uint64_t key;

			world->mangled += !is_whole(items[i]);
			memcpy(&key, item_key(items[i]) + 8, sizeof(key));
			if (key < PERMANENT)
				seen[key]++;
		}
		rcu_quiescent_state();
	}
}

/* Scans all partitions: each permanent key once. */
static void *scan_for_ever(void *context)
{
	struct world *world = context;
	static uint8_t seen[PERMANENT];

	rcu_register_thread();
	while (!__atomic_load_n(&world->stop, __ATOMIC_RELAXED)) {
		memset(seen, 0, sizeof(seen));
		for (uint32_t i = 0; i < world->fixture.partition_count; i++)
			scan_once(world, i, seen);
		for (uint32_t i = 0; i < PERMANENT; i++)
			world->misses += seen[i] != 1;
		world->scans++;
	}
	rcu_unregister_thread();
	return NULL;
}

/* Overwrites everything, inserts and removes what is not permanent. */
static void write_for_a_while(struct world *world)
{
	struct fixture *fixture = &world->fixture;
	uint64_t random = 22;

	for (uint64_t step = 1; step <= OWNER_STEPS; step++) {
		/* More and more keys, so that the index grows time and again. */
		uint64_t range = PERMANENT + 1 + (KEYS - PERMANENT - 1) * step / OWNER_STEPS;
		uint64_t number = unit_random(&random) % range;

		if (number >= PERMANENT && unit_random(&random) % 4 == 0)
			fixture_remove(fixture, number);
		else
			put(fixture, number, step);
		if (step % 16 == 0) {
			shard_background(fixture->shard, fixture->now_ms, FIXTURE_WORK_MAX);
			rcu_quiescent_state();
		}
	}
}

static void run(void *(*read)(void *))
{
	struct fixture_options options = { .memory_bytes = 64 << 20,
					   .capacity = 1,
					   .partition_count = 5 };
	struct grace_thread_options grace_options = { .housekeeping = keep_house, .sleep_us = 50 };
	struct world *world = aligned_alloc(64, sizeof(*world));
	struct shard_stats stats;
	pthread_t reader;

	memset(world, 0, sizeof(*world));
	fixture_open(&world->fixture, &options);
	for (uint64_t number = 0; number < PERMANENT; number++) {
		put(&world->fixture, number, 1);
		fixture_turn(&world->fixture);
	}
	grace_options.context = world->fixture.shard;
	CU_ASSERT_EQUAL_FATAL(
		grace_thread_start(&world->grace, &world->fixture.period, &grace_options), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&reader, NULL, read, world), 0);
	write_for_a_while(world);
	__atomic_store_n(&world->stop, true, __ATOMIC_RELAXED);
	rcu_thread_offline();
	pthread_join(reader, NULL);
	grace_thread_stop(world->grace);
	rcu_thread_online();
	shard_stats(world->fixture.shard, &stats);
	CU_ASSERT_EQUAL(world->misses, 0);
	CU_ASSERT_EQUAL(world->mangled, 0);
	CU_ASSERT_EQUAL(world->backward, 0);
	CU_ASSERT(world->lookups + world->scans > 0);
	CU_ASSERT(stats.index_grown >= 4);
	fixture_close(&world->fixture);
	free(world);
}

static void a_reader_never_misses_a_key_that_is_there(void)
{
	run(look_up_for_ever);
}

static void a_scanning_reader_sees_each_key_once(void)
{
	run(scan_for_ever);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_reader_never_misses_a_key_that_is_there),
		UNIT_TEST(a_scanning_reader_sees_each_key_once),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("shard_readers", tests);
}
