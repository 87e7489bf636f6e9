/* SPDX-License-Identifier: BSD-3-Clause */
/* Scans while others write: what was there all along is returned exactly once, in a nearly full and
 * in a growing index.
 */
#include "tests/unit/storage/shard_fixture.h"

#define PERMANENT 12000u /* keys 0..: overwritten, never removed */
#define CHURN 4000u      /* keys after them: inserted and removed all the time */
#define KEYS (PERMANENT + CHURN)

struct world {
	struct fixture fixture;
	uint64_t writes[KEYS]; /* number of the last write; 0 = absent */
	uint32_t lives
		[KEYS]; /* since the scan began: 1 if there already, 1 more for each insertion */
	uint32_t seen[KEYS]; /* since the scan began */
	uint64_t write;
	uint64_t random;
	bool grows; /* the housekeeper works */
};

static struct world *open_world(void)
{
	/* 12,000 of 16,383 entries are permanent; with 4,000 more the table is 98 % full. */
	struct fixture_options options = { .memory_bytes = 16 << 20,
					   .capacity = 16383,
					   .partition_count = 4 };
	struct world *world = calloc(1, sizeof(*world));

	fixture_open(&world->fixture, &options);
	world->random = 11;
	for (uint64_t number = 0; number < PERMANENT; number++) {
		world->writes[number] = ++world->write;
		CU_ASSERT_EQUAL_FATAL(fixture_put(&world->fixture, number, world->write),
				      STATUS_OK);
	}
	return world;
}

static void close_world(struct world *world)
{
	fixture_close(&world->fixture);
	free(world);
}

/* An overwrite of a permanent key, or an insertion or removal of another. */
static void write_something(struct world *world)
{
	uint64_t number = unit_random(&world->random) % KEYS;

	if (number >= PERMANENT && world->writes[number] && unit_random(&world->random) % 3 == 0) {
		CU_ASSERT_EQUAL(fixture_remove(&world->fixture, number), STATUS_OK);
		world->writes[number] = 0;
		return;
	}
	if (fixture_put(&world->fixture, number, ++world->write) != STATUS_OK) {
		CU_ASSERT_EQUAL(world->writes[number], 0); /* only a new key may be refused */
		return;
	}
	world->lives[number] += world->writes[number] == 0;
	world->writes[number] = world->write;
}

static void write_meanwhile(struct world *world)
{
	for (uint32_t i = unit_random(&world->random) % 64; i > 0; i--)
		write_something(world);
	shard_background(world->fixture.shard, world->fixture.now_ms, 32);
	fixture_grace(&world->fixture);
	if (world->grows)
		shard_housekeeping(world->fixture.shard);
}

static void note_seen(struct world *world, const struct item *item)
{
	uint64_t number;

	CU_ASSERT_EQUAL_FATAL(item->key_size, 16);
	memcpy(&number, item_key(item) + 8, sizeof(number));
	CU_ASSERT_FATAL(number < KEYS);
	world->seen[number]++;
	if (!fixture_value_is(item, number, world->writes[number]))
		CU_FAIL("a scanned value is not the last one written");
}

static void scan_partition(struct world *world, uint32_t number)
{
	const struct partition *partition = shard_partition(world->fixture.shard, number);
	const struct item *items[32];
	struct partition_scan scan;

	partition_scan_open(partition, &scan);
	while (!partition_scan_is_done(&scan)) {
		uint32_t slot_max = 1 + (uint32_t)(unit_random(&world->random) % 100);
		uint32_t count = partition_scan_next(partition, &scan, slot_max, items, 32);

		for (uint32_t i = 0; i < count; i++)
			note_seen(world, items[i]);
		write_meanwhile(world);
	}
}

/* Scans all partitions and returns how many keys were not returned as often as they must be. */
static uint32_t scan_all(struct world *world)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		world->seen[i] = 0;
		world->lives[i] = world->writes[i] != 0;
	}
	for (uint32_t i = 0; i < world->fixture.partition_count; i++)
		scan_partition(world, i);
	for (uint32_t i = 0; i < KEYS; i++)
		wrong += i < PERMANENT ? world->seen[i] != 1 : world->seen[i] > world->lives[i];
	return wrong;
}

static struct shard_stats stats_of(const struct world *world)
{
	struct shard_stats stats;

	shard_stats(world->fixture.shard, &stats);
	return stats;
}

/* Nobody builds a larger table: inserts displace entries all the time. */
static void scans_of_a_crowded_index_are_complete(void)
{
	struct world *world = open_world();
	uint32_t fullest = 0;

	for (uint32_t round = 0; round < 20; round++) {
		struct shard_stats stats;

		CU_ASSERT_EQUAL(scan_all(world), 0);
		stats = stats_of(world);
		if (stats.items * 100 / stats.index_capacity > fullest)
			fullest = (uint32_t)(stats.items * 100 / stats.index_capacity);
		CU_ASSERT_EQUAL(stats.index_grown, 0);
	}
	CU_ASSERT(fullest > 85);
	close_world(world);
}

static void scans_during_growth_are_complete(void)
{
	struct world *world = open_world();
	uint32_t moving = 0;

	world->grows = true;
	for (uint32_t round = 0; round < 10; round++) {
		uint64_t moved = stats_of(world).index_moved;

		CU_ASSERT_EQUAL(scan_all(world), 0);
		moving += stats_of(world).index_moved > moved;
	}
	CU_ASSERT(moving >= 1);
	CU_ASSERT_EQUAL(stats_of(world).index_grown, 1);
	close_world(world);
}

/* However much is inserted meanwhile, a scan ends after the slots there were when it began. */
static void a_scan_is_bounded_by_its_beginning(void)
{
	struct fixture_options options = { .memory_bytes = 16 << 20, .partition_count = 1 };
	const struct partition *partition;
	struct partition_scan scan;
	const struct item *items[8];
	struct fixture fixture;
	uint64_t number = 0;
	uint32_t found = 0;

	fixture_open(&fixture, &options);
	partition = shard_partition(fixture.shard, 0);
	for (; number < 1000; number++)
		CU_ASSERT_EQUAL(fixture_put(&fixture, number, 1), STATUS_OK);
	partition_scan_open(partition, &scan);
	while (!partition_scan_is_done(&scan)) {
		found += partition_scan_next(partition, &scan, 8, items, 8);
		for (uint32_t i = 0; i < 20; i++)
			CU_ASSERT_EQUAL(fixture_put(&fixture, number++, 1), STATUS_OK);
	}
	CU_ASSERT_EQUAL(found, 1000);
	fixture_close(&fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(scans_of_a_crowded_index_are_complete),
		UNIT_TEST(scans_during_growth_are_complete),
		UNIT_TEST(a_scan_is_bounded_by_its_beginning),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("shard_scan", tests);
}
