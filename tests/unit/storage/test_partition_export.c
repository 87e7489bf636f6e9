/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition that is copied while it is written: scan and deltas together are the partition. */
#include "storage/partition_export.h"

#include <pthread.h>

#include "storage/grace_thread.h"
#include "storage/slot_space.h"
#include "storage/version.h"
#include "tests/unit/storage/shard_fixture.h"

#define KEYS 3000u
#define RING_SIZE ((size_t)4 << 20)
#define GROUP_MAX 16u

/* The copy: what a target knows of each key, the newest record wins. */
struct copy {
	uint64_t versions[KEYS];
	bool is_there[KEYS];
	uint64_t records;
};

static uint64_t number_of(const uint8_t *key)
{
	uint64_t number;

	memcpy(&number, key + 8, sizeof(number));
	return number;
}

static void copy_record(struct copy *copy, const struct record *record)
{
	uint64_t number = number_of(record->key);

	CU_ASSERT_FATAL(number < KEYS);
	copy->records++;
	if (!version_is_newer(record->version, copy->versions[number]))
		return;
	copy->versions[number] = record->version;
	copy->is_there[number] = !record->is_tombstone;
}

static void copy_deltas(struct copy *copy, struct partition_export *export)
{
	struct delta_ring *ring = partition_export_ring(export);
	struct record record;

	while (delta_ring_take(ring, &record))
		copy_record(copy, &record);
	delta_ring_release(ring);
}

static void copy_item(struct copy *copy, const struct item *item)
{
	struct record record = record_of_item(item);

	copy_record(copy, &record);
}

/* What the next 'slots' slots hold. */
static void copy_group(struct copy *copy, struct partition *partition, uint32_t slots)
{
	const struct item *items[GROUP_MAX];
	uint32_t count = partition_export_take(partition, slots, items);

	for (uint32_t i = 0; i < count; i++)
		copy_item(copy, items[i]);
}

static struct partition_stats stats_of_copy(const struct copy *copy)
{
	struct partition_stats stats = { 0 };

	for (uint32_t i = 0; i < KEYS; i++) {
		stats.items += copy->is_there[i];
		stats.digest += copy->is_there[i] ? version_digest(copy->versions[i]) : 0;
	}
	return stats;
}

static void check_copy(const struct copy *copy, const struct partition *partition)
{
	struct partition_stats copied = stats_of_copy(copy);
	struct partition_stats stats;

	partition_stats(partition, &stats);
	CU_ASSERT_EQUAL(copied.items, stats.items);
	CU_ASSERT_EQUAL(copied.digest, stats.digest);
}

static struct partition *open_with(struct fixture *fixture, uint32_t keys, enum eviction eviction)
{
	struct fixture_options options = {
		.memory_bytes = 1 << 20, .capacity = 255, .partition_count = 1, .eviction = eviction
	};

	fixture_open(fixture, &options);
	for (uint64_t number = 0; number < keys; number++) {
		fixture_put(fixture, number, 1);
		fixture_turn(fixture);
	}
	return shard_partition(fixture->shard, 0);
}

static struct partition_export *begin(struct partition *partition)
{
	struct partition_export *export;

	CU_ASSERT_EQUAL_FATAL(partition_export_create(&export, RING_SIZE), 0);
	partition_begin_export(partition, export);
	return export;
}

static void end(struct partition *partition, struct partition_export *export)
{
	partition_end_export(partition);
	partition_export_destroy(export);
}

/* Rows 2.3 and 2.4 of the specification: marking is passing the slot, and asking is one comparison.
 */
static void a_key_is_migrated_when_the_cursor_passed_its_slot(void)
{
	struct fixture fixture;
	struct partition *partition = open_with(&fixture, 10, EVICTION_NONE);
	struct partition_export *export = begin(partition);
	uint32_t slot = fixture_get(&fixture, 4)->slot;

	CU_ASSERT_FALSE(partition_is_key_migrated(partition, slot));
	for (uint32_t s = 0; s < slot; s++)
		partition_mark_key_migrated(partition, s);
	CU_ASSERT_FALSE(partition_is_key_migrated(partition, slot));
	partition_mark_key_migrated(partition, slot);
	CU_ASSERT_TRUE(partition_is_key_migrated(partition, slot));
	CU_ASSERT_FALSE(partition_is_key_migrated(partition, slot + 1));
	/* Slots taken after the beginning are nobody's but the ring's. */
	CU_ASSERT_FALSE(partition_is_key_migrated(partition, 9));
	CU_ASSERT_TRUE(partition_is_key_migrated(partition, 10));
	end(partition, export);
	fixture_close(&fixture);
}

static void an_idle_partition_is_scanned_once_and_ships_nothing(void)
{
	static struct copy copy;
	struct fixture fixture;
	struct partition *partition = open_with(&fixture, 500, EVICTION_NONE);
	struct partition_export *export = begin(partition);
	const struct item *item;

	memset(&copy, 0, sizeof(copy));
	while ((item = partition_export_next(partition, UINT32_MAX)))
		copy_item(&copy, item);
	CU_ASSERT_TRUE(partition_export_is_done(partition));
	CU_ASSERT_EQUAL(copy.records, 500);
	CU_ASSERT_EQUAL(delta_ring_last(partition_export_ring(export)), 0);
	check_copy(&copy, partition);
	end(partition, export);
	fixture_close(&fixture);
}

/* Behind the cursor a write is shipped, before it not: the scan will find it. */
static void writes_are_shipped_behind_the_cursor_only(void)
{
	struct fixture fixture;
	struct partition *partition = open_with(&fixture, 10, EVICTION_NONE);
	struct partition_export *export = begin(partition);
	struct delta_ring *ring = partition_export_ring(export);
	struct record record;

	for (int i = 0; i < 5; i++)
		partition_export_next(partition, 1);
	fixture_put(&fixture, 7, 2); /* slot 7: the scan's */
	CU_ASSERT_EQUAL(delta_ring_last(ring), 0);
	fixture_put(&fixture, 2, 2);
	CU_ASSERT_EQUAL(delta_ring_last(ring), 1);
	fixture_remove(&fixture, 3);
	fixture_put(&fixture, 11, 1); /* takes slot 3 */
	fixture_put(&fixture, 12, 1); /* a slot that the scan leaves out */
	CU_ASSERT_EQUAL(delta_ring_last(ring), 4);

	CU_ASSERT_TRUE(delta_ring_take(ring, &record));
	CU_ASSERT_EQUAL(number_of(record.key), 2);
	CU_ASSERT_EQUAL(record.version, version_make(0, 12));
	CU_ASSERT_EQUAL(record.value_size, fixture_value_size(2, 2));
	CU_ASSERT_FALSE(record.is_tombstone);
	CU_ASSERT_TRUE(delta_ring_take(ring, &record));
	CU_ASSERT_EQUAL(number_of(record.key), 3);
	CU_ASSERT_EQUAL(record.version, version_make(0, 13));
	CU_ASSERT_TRUE(record.is_tombstone);
	CU_ASSERT_EQUAL(record.value_size, 0);
	CU_ASSERT_TRUE(delta_ring_take(ring, &record));
	CU_ASSERT_EQUAL(number_of(record.key), 11);
	CU_ASSERT_TRUE(delta_ring_take(ring, &record));
	CU_ASSERT_EQUAL(number_of(record.key), 12);
	end(partition, export);
	fixture_put(&fixture, 2, 3); /* nobody watches any more */
	fixture_close(&fixture);
}

static void expiry_travels_and_the_sweep_is_shipped(void)
{
	struct fixture fixture;
	struct partition *partition = open_with(&fixture, 0, EVICTION_NONE);
	struct partition_export *export;
	struct shard_batch batch;
	struct fixture_key key;
	const struct item *item;
	struct record record;

	fixture_batch_one(&fixture, &batch, &key, 1);
	fixture_batch_put(&fixture, &batch, 0, 1, 1, fixture.now_ms + 1000);
	export = begin(partition);
	item = partition_export_next(partition, 10);
	CU_ASSERT_PTR_NOT_NULL_FATAL(item);
	CU_ASSERT_EQUAL(record_of_item(item).expires_at_ms, fixture.now_ms + 1000);
	for (int i = 0; i < 100; i++) {
		fixture.now_ms += 200;
		fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(fixture_items(&fixture), 0);
	CU_ASSERT_TRUE_FATAL(delta_ring_take(partition_export_ring(export), &record));
	CU_ASSERT_TRUE(record.is_tombstone);
	CU_ASSERT_EQUAL(number_of(record.key), 1);
	end(partition, export);
	fixture_close(&fixture);
}

/* Compaction copies items: the same writes, not to be shipped again. */
static void relocation_ships_nothing(void)
{
	struct fixture_options options = { .memory_bytes = 8 << 20, .partition_count = 1 };
	struct partition_export *export;
	struct partition *partition;
	struct fixture fixture;
	struct shard_stats stats;
	uint64_t last;

	fixture_open(&fixture, &options);
	partition = shard_partition(fixture.shard, 0);
	for (uint64_t number = 0; number < 40000; number++)
		fixture_put(&fixture, number, 1);
	for (uint64_t number = 0; number < 40000; number += 2)
		fixture_remove(&fixture, number);
	export = begin(partition);
	while (partition_export_next(partition, UINT32_MAX))
		;
	fixture_put(&fixture, 1, 2);
	last = delta_ring_last(partition_export_ring(export));
	CU_ASSERT_EQUAL(last, 1);
	for (int i = 0; i < 5000; i++)
		fixture_turn(&fixture);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT(stats.relocated > 1000);
	CU_ASSERT_EQUAL(delta_ring_last(partition_export_ring(export)), last);
	end(partition, export);
	fixture_close(&fixture);
}

/* A frozen partition is what its snapshot says: nothing expires or is evicted. */
static void a_frozen_partition_does_not_change_by_itself(void)
{
	struct fixture_options options = { .memory_bytes = 1 << 20,
					   .capacity = 255,
					   .partition_count = 2,
					   .eviction = EVICTION_ON };
	struct fixture fixture;
	struct partition_stats before, after;
	struct partition *frozen;
	struct shard_stats stats;

	fixture_open(&fixture, &options);
	frozen = shard_partition(fixture.shard, 0);
	for (uint64_t number = 0; number < 2000; number++) {
		struct shard_batch batch;
		struct fixture_key key;

		fixture_batch_one(&fixture, &batch, &key, number);
		fixture_batch_put(&fixture, &batch, 0, number, 1,
				  number / 2 % 2 ? fixture.now_ms + 3000 : 0);
		fixture_turn(&fixture);
	}
	partition_freeze(frozen);
	CU_ASSERT_TRUE(partition_is_frozen(frozen));
	partition_stats(frozen, &before);
	CU_ASSERT(before.items > 100);
	for (uint64_t number = 2000; number < 32000; number++) {
		if (fixture_key(&fixture, number, &(struct fixture_key){ { 0 } }).partition == 1)
			fixture_put(&fixture, number, 2);
		fixture.now_ms += 2;
		fixture_turn(&fixture);
	}
	shard_stats(fixture.shard, &stats);
	CU_ASSERT(stats.evicted > 100);
	CU_ASSERT(stats.expired > 100);
	partition_stats(frozen, &after);
	CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)), 0);

	partition_thaw(frozen);
	for (uint32_t i = 0; i < 4000; i++) {
		fixture.now_ms += 2;
		fixture_turn(&fixture);
	}
	partition_stats(frozen, &after);
	CU_ASSERT(after.items < before.items);
	fixture_close(&fixture);
}

/* One thread, steps in random order, everything that can happen to a key. */
static void scan_and_deltas_are_the_partition(void)
{
	static struct copy copy;

	for (uint64_t seed = 1; seed <= 30; seed++) {
		struct fixture fixture;
		struct partition *partition = open_with(&fixture, KEYS / 2, EVICTION_ON);
		struct partition_export *export = begin(partition);
		uint64_t random = seed;

		memset(&copy, 0, sizeof(copy));
		while (!partition_export_is_done(partition)) {
			uint64_t number = unit_random(&random) % KEYS;
			struct shard_batch batch;
			struct fixture_key key;

			switch (unit_random(&random) % 8) {
			case 0:
			case 1:
				copy_group(&copy, partition,
					   1 + (uint32_t)(unit_random(&random) % GROUP_MAX));
				break;
			case 2:
				copy_deltas(&copy, export);
				break;
			case 3:
				fixture_remove(&fixture, number);
				break;
			case 4:
				fixture_batch_one(&fixture, &batch, &key, number);
				fixture_batch_put(&fixture, &batch, 0, number, 3,
						  fixture.now_ms + unit_random(&random) % 500);
				break;
			case 5:
				fixture.now_ms += unit_random(&random) % 50;
				fixture_turn(&fixture);
				break;
			default:
				fixture_put(&fixture, number, 2);
				break;
			}
		}
		copy_deltas(&copy, export);
		CU_ASSERT_FALSE(delta_ring_is_dirty(partition_export_ring(export)));
		check_copy(&copy, partition);
		end(partition, export);
		fixture_close(&fixture);
	}
}

struct owner {
	struct fixture fixture;
	struct partition *partition;
	struct partition_export *export;
	struct grace_thread *grace;
	uint64_t random;
	bool is_begun;
	bool stop;
};

static bool keep_house(void *context)
{
	return shard_housekeeping(context);
}

static void *write_until_stopped(void *context)
{
	struct owner *owner = context;

	rcu_register_thread();
	partition_begin_export(owner->partition, owner->export);
	__atomic_store_n(&owner->is_begun, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&owner->stop, __ATOMIC_ACQUIRE)) {
		uint64_t number = unit_random(&owner->random) % KEYS;

		if (unit_random(&owner->random) % 3 == 0)
			fixture_remove(&owner->fixture, number);
		else
			fixture_put(&owner->fixture, number, number);
		shard_background(owner->fixture.shard, owner->fixture.now_ms, 16);
		rcu_quiescent_state();
	}
	rcu_unregister_thread();
	return NULL;
}

/* The race that the fences close: the owner writes at full speed under the scanner's cursor. */
static void migrate_under_fire(struct owner *owner, struct copy *copy)
{
	pthread_t thread;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_until_stopped, owner), 0);
	while (!__atomic_load_n(&owner->is_begun, __ATOMIC_ACQUIRE))
		rcu_quiescent_state();
	while (!partition_export_is_done(owner->partition)) {
		copy_group(copy, owner->partition, GROUP_MAX);
		copy_deltas(copy, owner->export);
		rcu_quiescent_state();
	}
	__atomic_store_n(&owner->stop, true, __ATOMIC_RELEASE);
	rcu_thread_offline();
	pthread_join(thread, NULL);
	rcu_thread_online();
	copy_deltas(copy, owner->export);
}

static void nothing_falls_between_scan_and_ring(void)
{
	static struct copy copy;

	for (uint64_t round = 1; round <= 40; round++) {
		struct owner owner = { .random = round };
		struct grace_thread_options options = { .housekeeping = keep_house };

		owner.partition = open_with(&owner.fixture, KEYS, EVICTION_NONE);
		options.context = owner.fixture.shard;
		CU_ASSERT_EQUAL_FATAL(partition_export_create(&owner.export, RING_SIZE), 0);
		CU_ASSERT_EQUAL_FATAL(
			grace_thread_start(&owner.grace, &owner.fixture.period, &options), 0);
		memset(&copy, 0, sizeof(copy));
		migrate_under_fire(&owner, &copy);
		CU_ASSERT_FALSE(delta_ring_is_dirty(partition_export_ring(owner.export)));
		check_copy(&copy, owner.partition);
		partition_end_export(owner.partition);
		rcu_thread_offline();
		grace_thread_stop(owner.grace);
		rcu_thread_online();
		partition_export_destroy(owner.export);
		fixture_close(&owner.fixture);
	}
}

/* The same race alone: the owner overwrites the slots that the scanner is just passing. */
#define RACE_SLOTS 100000u
#define RACE_WRITES 300000u
#define RACE_ROUNDS_MAX 25
#define RACES_ENOUGH 20000u /* slots written while the scanner was near: about one in 80 is close */

struct race {
	struct slot_space space;
	struct partition *partition;
	struct partition_export *export;
	struct item *items[RACE_SLOTS]; /* the last written of each slot */
	_Alignas(32) uint8_t writes[RACE_SLOTS + RACE_WRITES][32]; /* each holds an item */
	uint32_t progress; /* slots passed, as told by the scanner */
	bool is_running;   /* the writer */
};

static void write_slot(struct race *race, uint32_t write, uint32_t slot)
{
	struct item *item = (struct item *)(void *)race->writes[write];

	item->key_size = 1;
	item->version = write + 1;
	item->slot = slot;
	item->expires_at_ms_low = slot + 1; /* the ring tells it back */
	partition_slot_publish(race->partition, item, race->items[slot]);
	race->items[slot] = item;
}

static void *write_around_the_cursor(void *context)
{
	struct race *race = context;
	uint32_t write = RACE_SLOTS;
	uint32_t slot;

	__atomic_store_n(&race->is_running, true, __ATOMIC_RELAXED);
	/* What is read here is some slots old already: aim before the scanner, now more, now less.
	 */
	for (; write < RACE_SLOTS + RACE_WRITES; write++) {
		slot = __atomic_load_n(&race->progress, __ATOMIC_RELAXED) + write % 16;
		if (slot >= RACE_SLOTS)
			break;
		write_slot(race, write, slot);
	}
	return NULL;
}

static struct race *open_race(void)
{
	struct race *race = aligned_alloc(64, (sizeof(*race) + 63) / 64 * 64);

	CU_ASSERT_PTR_NOT_NULL_FATAL(race);
	memset(race, 0, sizeof(*race));
	CU_ASSERT_EQUAL_FATAL(slot_space_init(&race->space, RACE_SLOTS, 1), 0);
	race->partition = partition_create(0, 0, &race->space);
	CU_ASSERT_EQUAL_FATAL(partition_export_create(&race->export, (size_t)16 << 20), 0);
	for (uint32_t slot = 0; slot < RACE_SLOTS; slot++) {
		CU_ASSERT_EQUAL_FATAL(partition_slot_take(race->partition), slot);
		write_slot(race, slot, slot);
	}
	partition_begin_export(race->partition, race->export);
	return race;
}

static void close_race(struct race *race)
{
	partition_end_export(race->partition);
	partition_export_destroy(race->export);
	partition_destroy(race->partition);
	slot_space_fini(&race->space);
	free(race);
}

/* What the scanner saw of each slot: versions. */
static void scan_the_race(struct race *race, uint64_t *known)
{
	while (!__atomic_load_n(&race->is_running, __ATOMIC_RELAXED))
		sched_yield();
	for (uint32_t slot = 0; slot < RACE_SLOTS; slot++) {
		const struct item *item = partition_export_next(race->partition, 1);

		__atomic_store_n(&race->progress, slot + 1, __ATOMIC_RELAXED);
		CU_ASSERT_PTR_NOT_NULL_FATAL(item);
		known[slot] = item->version;
	}
}

/* Slots whose last version neither the scan nor the ring knows; adds to '*raced' those overwritten.
 */
static uint32_t count_missed(struct race *race, uint64_t *known, uint32_t *raced)
{
	struct record record;
	uint32_t missed = 0;

	while (delta_ring_take(partition_export_ring(race->export), &record)) {
		uint32_t slot = (uint32_t)record.expires_at_ms - 1;

		known[slot] = record.version > known[slot] ? record.version : known[slot];
	}
	for (uint32_t slot = 0; slot < RACE_SLOTS; slot++) {
		missed += known[slot] != race->items[slot]->version;
		*raced += race->items[slot]->version > RACE_SLOTS;
	}
	return missed;
}

/* Rounds until the two threads met often enough, which depends on who else uses the machine. */
static void the_cursor_and_the_slot_are_never_both_missed(void)
{
	static uint64_t known[RACE_SLOTS];
	uint32_t raced = 0;

	for (int round = 0; round < RACE_ROUNDS_MAX && raced < RACES_ENOUGH; round++) {
		struct race *race = open_race();
		pthread_t thread;

		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, write_around_the_cursor, race),
				      0);
		scan_the_race(race, known);
		pthread_join(thread, NULL);
		CU_ASSERT_EQUAL(count_missed(race, known, &raced), 0);
		CU_ASSERT_FALSE(delta_ring_is_dirty(partition_export_ring(race->export)));
		close_race(race);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_key_is_migrated_when_the_cursor_passed_its_slot),
		UNIT_TEST(an_idle_partition_is_scanned_once_and_ships_nothing),
		UNIT_TEST(writes_are_shipped_behind_the_cursor_only),
		UNIT_TEST(expiry_travels_and_the_sweep_is_shipped),
		UNIT_TEST(relocation_ships_nothing),
		UNIT_TEST(a_frozen_partition_does_not_change_by_itself),
		UNIT_TEST(scan_and_deltas_are_the_partition),
		UNIT_TEST(nothing_falls_between_scan_and_ring),
		UNIT_TEST(the_cursor_and_the_slot_are_never_both_missed),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("partition_export", tests);
}
