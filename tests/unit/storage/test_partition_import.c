/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition that comes from elsewhere: staged, invisible, taken over as a whole or thrown away.
 */
#include "storage/partition_export.h"
#include "storage/version.h"
#include "tests/unit/storage/shard_fixture.h"

#define KEYS 2000u

static void open_importing(struct fixture *fixture)
{
	struct fixture_options options = { .memory_bytes = 4 << 20,
					   .capacity = 255,
					   .partition_count = 1 };

	fixture_open(fixture, &options);
	fixture_turn(fixture);
	partition_begin_import(fixture_partition(fixture));
}

/* A record and the memory it borrows. */
struct sample {
	struct fixture_key key;
	uint8_t value[128];
	struct record record;
};

static void make_sample(const struct fixture *fixture, struct sample *sample, uint64_t number,
			uint64_t version, bool is_tombstone)
{
	uint32_t size = is_tombstone ? 0 : fixture_value_size(number, version);

	fixture_key(fixture, number, &sample->key);
	fixture_fill_value(sample->value, size, number, version);
	sample->record = (struct record){
		.version = version,
		.key = sample->key.bytes,
		.key_size = sizeof(sample->key.bytes),
		.value = sample->value,
		.value_size = (uint16_t)size,
		.is_tombstone = is_tombstone,
	};
}

static enum status apply(struct fixture *fixture, uint64_t number, uint64_t version,
			 bool is_tombstone)
{
	struct sample sample;
	enum status status;

	make_sample(fixture, &sample, number, version, is_tombstone);
	shard_apply(fixture->shard, fixture_partition(fixture), &sample.record, 1, &status);
	return status;
}

/* What a request would see: nothing, when the item is expired. */
static const struct item *visible(struct fixture *fixture, uint64_t number)
{
	const struct item *item = fixture_get(fixture, number);

	return item && !item_is_expired(item, fixture->now_ms) ? item : NULL;
}

static void the_newer_version_wins_in_any_order(void)
{
	struct fixture fixture;

	open_importing(&fixture);
	CU_ASSERT_EQUAL(apply(&fixture, 1, 5, false), STATUS_OK);
	CU_ASSERT_EQUAL(apply(&fixture, 1, 3, false), STATUS_OK);
	CU_ASSERT_TRUE(fixture_value_is(fixture_get(&fixture, 1), 1, 5));
	CU_ASSERT_EQUAL(apply(&fixture, 1, 8, false), STATUS_OK);
	CU_ASSERT_EQUAL(apply(&fixture, 1, 8, false), STATUS_OK);
	CU_ASSERT_TRUE(fixture_value_is(fixture_get(&fixture, 1), 1, 8));
	CU_ASSERT_EQUAL(fixture_get(&fixture, 1)->version, 8);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 1);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).digest, version_digest(8));
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).version_last, 8);
	fixture_close(&fixture);
}

/* Invariant 3: a removal that arrives before the item it removed still removes it. */
static void a_tombstone_outlives_older_records(void)
{
	struct fixture fixture;

	open_importing(&fixture);
	apply(&fixture, 1, 5, true);
	apply(&fixture, 1, 4, false);
	apply(&fixture, 2, 6, false);
	apply(&fixture, 2, 7, true);
	apply(&fixture, 2, 6, false);
	apply(&fixture, 3, 8, true);
	apply(&fixture, 3, 9, false);
	CU_ASSERT_PTR_NULL(visible(&fixture, 1));
	CU_ASSERT_PTR_NULL(visible(&fixture, 2));
	CU_ASSERT_PTR_NOT_NULL(visible(&fixture, 3));
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 1);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).tombstones, 2);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).digest, version_digest(9));
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).item_bytes,
			16u + fixture_value_size(3, 9));
	fixture_close(&fixture);
}

/* Invariant 5: they go by the sweep, and do not count as expired. */
static void tombstones_are_gone_soon_after_the_import(void)
{
	struct fixture fixture;
	struct shard_stats stats;

	open_importing(&fixture);
	for (uint64_t number = 0; number < 300; number++)
		apply(&fixture, number, 10 + number, number % 3 == 0);
	partition_finalize_import(fixture_partition(&fixture), 2, 400);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).tombstones, 100);
	CU_ASSERT_EQUAL(fixture_put(&fixture, 0, 1), STATUS_OK); /* over a tombstone */
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).tombstones, 99);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 201);
	CU_ASSERT_EQUAL(fixture_get(&fixture, 0)->version, version_make(2, 1));
	for (uint32_t ms = 0; ms < 5000; ms++) {
		fixture.now_ms++;
		fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).tombstones, 0);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 201);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT_EQUAL(stats.expired, 0);
	CU_ASSERT_EQUAL(stats.items, 201);
	for (uint64_t number = 0; number < 300; number++)
		CU_ASSERT_EQUAL(fixture_get(&fixture, number) != NULL,
				number == 0 || number % 3 != 0);
	fixture_close(&fixture);
}

/* Epoch and sequence: what the new owner writes is newer than all that was before. */
static void versions_go_on_above_the_highest(void)
{
	struct fixture fixture;

	open_importing(&fixture);
	CU_ASSERT_TRUE(partition_is_importing(fixture_partition(&fixture)));
	apply(&fixture, 1, version_make(7, 100), false);
	partition_finalize_import(fixture_partition(&fixture), 7, version_make(7, 250));
	CU_ASSERT_FALSE(partition_is_importing(fixture_partition(&fixture)));
	CU_ASSERT_FALSE(partition_is_frozen(fixture_partition(&fixture)));
	CU_ASSERT_EQUAL(partition_epoch(fixture_partition(&fixture)), 7);
	fixture_put(&fixture, 1, 1);
	CU_ASSERT_EQUAL(fixture_get(&fixture, 1)->version, version_make(7, 251));
	fixture_close(&fixture);
}

static void expiries_are_kept_and_not_swept_while_staging(void)
{
	struct fixture fixture;
	struct sample sample;
	enum status status;

	open_importing(&fixture);
	make_sample(&fixture, &sample, 1, 5, false);
	sample.record.expires_at_ms = fixture.now_ms + 100;
	shard_apply(fixture.shard, fixture_partition(&fixture), &sample.record, 1, &status);
	CU_ASSERT_EQUAL(item_expires_at_ms(fixture_get(&fixture, 1)), fixture.now_ms + 100);
	for (uint32_t ms = 0; ms < 9000; ms++) {
		fixture.now_ms++;
		fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 1);
	partition_finalize_import(fixture_partition(&fixture), 1, 5);
	for (uint32_t ms = 0; ms < 9000; ms++) {
		fixture.now_ms++;
		fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 0);
	fixture_close(&fixture);
}

static void one_batch_may_name_a_key_several_times(void)
{
	struct fixture fixture;
	struct sample samples[SHARD_BATCH_MAX];
	struct record records[SHARD_BATCH_MAX];
	enum status status;

	open_importing(&fixture);
	for (uint32_t i = 0; i < SHARD_BATCH_MAX; i++) {
		make_sample(&fixture, &samples[i], i % 5, 100 + i, i % 7 == 0);
		records[i] = samples[i].record;
	}
	CU_ASSERT_EQUAL(shard_apply(fixture.shard, fixture_partition(&fixture), records,
				    SHARD_BATCH_MAX, &status),
			SHARD_BATCH_MAX);
	CU_ASSERT_EQUAL(status, STATUS_OK);
	for (uint64_t number = 0; number < 5; number++) {
		uint64_t last = 127 + (number < 2 ? 3 + number : number - 2);

		CU_ASSERT_EQUAL(fixture_get(&fixture, number)->version, last);
	}
	fixture_close(&fixture);
}

static void a_discarded_import_leaves_nothing(void)
{
	struct fixture fixture;
	uint32_t slices = 0;
	struct shard_stats stats;

	open_importing(&fixture);
	for (uint64_t number = 0; number < KEYS; number++) {
		while (apply(&fixture, number, 10 + number, number % 9 == 0) == STATUS_RETRY)
			fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).slots, KEYS);
	while (!shard_discard_slice(fixture.shard, fixture_partition(&fixture), 100)) {
		slices++;
		fixture_turn(&fixture);
		CU_ASSERT_FATAL(slices < 100);
	}
	CU_ASSERT_EQUAL(slices, KEYS / 100 - 1);
	for (uint64_t number = 0; number < KEYS; number++)
		CU_ASSERT_PTR_NULL(fixture_get(&fixture, number));
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).digest, 0);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).tombstones, 0);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).slots, 0);
	CU_ASSERT_FALSE(partition_is_frozen(fixture_partition(&fixture)));
	for (uint32_t i = 0; i < 100; i++)
		fixture_turn(&fixture);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT_EQUAL(stats.pool.items, 0);
	CU_ASSERT_EQUAL(stats.retired_pending, 0);

	/* It can begin again, and older versions than before count. */
	partition_begin_import(fixture_partition(&fixture));
	CU_ASSERT_EQUAL(apply(&fixture, 9, 3, false), STATUS_OK);
	CU_ASSERT_TRUE(fixture_value_is(visible(&fixture, 9), 9, 3));
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).version_last, 3);
	fixture_close(&fixture);
}

/* What was handed over goes without a word to the one who watches the writes. */
static void discarding_a_handed_over_partition_ships_nothing(void)
{
	struct fixture_options options = { .memory_bytes = 4 << 20, .partition_count = 1 };
	struct partition_export *export;
	struct fixture fixture;
	uint64_t version;

	fixture_open(&fixture, &options);
	for (uint64_t number = 0; number < 500; number++)
		fixture_put(&fixture, number, 1);
	CU_ASSERT_EQUAL_FATAL(partition_export_create(&export, DELTA_RING_SIZE_MIN), 0);
	partition_begin_export(fixture_partition(&fixture), export);
	while (partition_export_next(fixture_partition(&fixture), UINT32_MAX))
		;
	partition_freeze(fixture_partition(&fixture));
	version = fixture_partition_stats(&fixture).version_last;
	while (!shard_discard_slice(fixture.shard, fixture_partition(&fixture), 64))
		fixture_turn(&fixture);
	CU_ASSERT_EQUAL(delta_ring_last(partition_export_ring(export)), 0);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).version_last, version);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 0);
	partition_end_export(fixture_partition(&fixture));
	partition_export_destroy(export);
	fixture_close(&fixture);
}

static void an_empty_partition_is_discarded_at_once(void)
{
	struct fixture fixture;

	open_importing(&fixture);
	CU_ASSERT_TRUE(shard_discard_slice(fixture.shard, fixture_partition(&fixture), 1));
	CU_ASSERT_FALSE(partition_is_importing(fixture_partition(&fixture)));
	fixture_close(&fixture);
}

/* The memory ends: the caller is told, what is staged stays whole, and the rest of the node serves.
 */
static void a_full_node_refuses_records(void)
{
	struct fixture_options options = { .memory_bytes = 2 << 20,
					   .capacity = 65535,
					   .partition_count = 2 };
	struct fixture fixture;
	enum status status = STATUS_OK;
	uint64_t applied = 0;
	uint32_t retries = 0;

	fixture_open(&fixture, &options);
	for (uint64_t number = 1; number < 1000; number += 2)
		CU_ASSERT_EQUAL_FATAL(fixture_put(&fixture, number, 1),
				      STATUS_OK); /* the other's */
	partition_begin_import(fixture_partition(&fixture));
	while (status == STATUS_OK && applied < 50000) {
		status = apply(&fixture, 2 * applied, 1 + applied, false);
		applied += status == STATUS_OK;
		fixture_turn(&fixture);
		if (status == STATUS_RETRY && retries++ < 1000)
			status = STATUS_OK;
	}
	CU_ASSERT_EQUAL(status, STATUS_NO_SPACE);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, applied);
	for (uint64_t number = 1; number < 1000; number += 2)
		CU_ASSERT_TRUE(fixture_value_is(fixture_get(&fixture, number), number, 1));
	while (!shard_discard_slice(fixture.shard, fixture_partition(&fixture), 512))
		fixture_turn(&fixture);
	fixture_close(&fixture);
}

/* With eviction an import makes room at the cost of what is served, never of what is staged. */
static void an_import_evicts_others_only(void)
{
	struct fixture_options options = { .memory_bytes = 1 << 20,
					   .capacity = 16383,
					   .partition_count = 2,
					   .eviction = EVICTION_ON };
	struct fixture fixture;
	struct shard_stats stats;

	fixture_open(&fixture, &options);
	for (uint64_t number = 1; number < 16000; number += 2) {
		fixture_put(&fixture, number, 1);
		fixture_turn(&fixture);
	}
	partition_begin_import(fixture_partition(&fixture));
	for (uint64_t i = 0; i < 2000; i++) {
		while (apply(&fixture, 2 * i, 1 + i, false) == STATUS_RETRY)
			fixture_turn(&fixture);
		fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).items, 2000);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT(stats.evicted > 0);
	fixture_close(&fixture);
}

/* --- From one shard to another, all of it --- */

struct migration {
	struct fixture source;
	struct fixture target;
	struct partition_export *export;
	uint64_t random;
	uint64_t versions_served[KEYS]; /* the last of each key at the source; 0 = removed */
	/* Batches that were scanned and are still under way, copied as a network would. */
	struct sample *batches;
	uint32_t batch_count;
	uint32_t batch_sent;
};

static void apply_at_target(struct migration *migration, const struct record *record)
{
	enum status status;

	do {
		shard_apply(migration->target.shard, fixture_partition(&migration->target), record,
			    1, &status);
		fixture_turn(&migration->target);
	} while (status == STATUS_RETRY);
	CU_ASSERT_EQUAL_FATAL(status, STATUS_OK);
}

/* A write that is refused for the moment is not made. */
static void write_at_source(struct migration *migration)
{
	struct fixture *source = &migration->source;
	uint64_t number = unit_random(&migration->random) % KEYS;
	uint64_t kind = unit_random(&migration->random) % 4;
	uint64_t expires_at_ms = 0;
	struct shard_batch batch;
	struct fixture_key key;
	uint64_t version;

	fixture_batch_one(source, &batch, &key, number);
	if (kind == 0) {
		if (shard_remove(source->shard, &batch, 0, &version) == STATUS_OK)
			migration->versions_served[number] = 0;
		return;
	}
	if (kind == 1)
		expires_at_ms = source->now_ms + 1 + unit_random(&migration->random) % 2000;
	if (fixture_batch_put(source, &batch, 0, number, kind, expires_at_ms) == STATUS_OK)
		migration->versions_served[number] = batch.items[0]->version;
}

static void scan_some(struct migration *migration)
{
	const struct item *item = partition_export_next(fixture_partition(&migration->source), 16);
	struct sample *sample = &migration->batches[migration->batch_count];

	if (!item)
		return;
	sample->record = record_of_item(item);
	memcpy(sample->key.bytes, item_key(item), item->key_size);
	memcpy(sample->value, item_value(item), item->value_size);
	sample->record.key = sample->key.bytes;
	sample->record.value = sample->value;
	migration->batch_count++;
}

/* Deltas overtake batches, for a batch that was lost comes again later. */
static void ship_deltas(struct migration *migration)
{
	struct delta_ring *ring = partition_export_ring(migration->export);
	struct record record;

	while (delta_ring_take(ring, &record))
		apply_at_target(migration, &record);
	delta_ring_release(ring);
}

static void ship_batch(struct migration *migration)
{
	if (migration->batch_sent < migration->batch_count)
		apply_at_target(migration, &migration->batches[migration->batch_sent++].record);
}

static void migrate(struct migration *migration)
{
	struct partition *source = fixture_partition(&migration->source);

	CU_ASSERT_EQUAL_FATAL(partition_export_create(&migration->export, (size_t)1 << 20), 0);
	partition_begin_export(source, migration->export);
	partition_begin_import(fixture_partition(&migration->target));
	while (!partition_export_is_done(source)) {
		switch (unit_random(&migration->random) % 8) {
		case 0:
			ship_deltas(migration);
			break;
		case 1:
			ship_batch(migration);
			break;
		case 2:
			migration->source.now_ms += unit_random(&migration->random) % 20;
			fixture_turn(&migration->source);
			break;
		case 3:
		case 4:
			scan_some(migration);
			break;
		default:
			write_at_source(migration);
			break;
		}
	}
	partition_freeze(source);
	ship_deltas(migration);
	while (migration->batch_sent < migration->batch_count)
		ship_batch(migration);
}

static void check_keys(struct migration *migration)
{
	struct fixture *target = &migration->target;

	target->now_ms = migration->source.now_ms;
	for (uint64_t number = 0; number < KEYS; number++) {
		const struct item *item = visible(target, number);
		const struct item *there = visible(&migration->source, number);

		CU_ASSERT_EQUAL(item != NULL, there != NULL);
		if (!item || !there)
			continue;
		CU_ASSERT_EQUAL(item->version, there->version);
		CU_ASSERT_EQUAL(item->version, migration->versions_served[number]);
		CU_ASSERT_EQUAL(item_expires_at_ms(item), item_expires_at_ms(there));
		CU_ASSERT_EQUAL(item->value_size, there->value_size);
		CU_ASSERT_EQUAL(memcmp(item_value(item), item_value(there), item->value_size), 0);
	}
}

static void an_import_equals_its_source(void)
{
	struct fixture_options options = { .memory_bytes = 4 << 20,
					   .capacity = 255,
					   .partition_count = 1 };

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct migration *migration = calloc(1, sizeof(*migration));

		migration->random = seed;
		migration->batches = calloc(4 * KEYS, sizeof(*migration->batches));
		options.name = "from";
		fixture_open(&migration->source, &options);
		options.name = "to";
		fixture_open(&migration->target, &options);
		for (uint32_t i = 0; i < KEYS; i++) {
			write_at_source(migration);
			fixture_turn(&migration->source);
		}
		migrate(migration);
		CU_ASSERT_EQUAL(fixture_partition_stats(&migration->source).digest,
				fixture_partition_stats(&migration->target).digest);
		CU_ASSERT_EQUAL(fixture_partition_stats(&migration->source).items,
				fixture_partition_stats(&migration->target).items);
		partition_finalize_import(fixture_partition(&migration->target), 1,
					  fixture_partition_stats(&migration->source).version_last);
		check_keys(migration);
		partition_end_export(fixture_partition(&migration->source));
		partition_export_destroy(migration->export);
		fixture_close(&migration->source);
		fixture_close(&migration->target);
		free(migration->batches);
		free(migration);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(the_newer_version_wins_in_any_order),
		UNIT_TEST(a_tombstone_outlives_older_records),
		UNIT_TEST(tombstones_are_gone_soon_after_the_import),
		UNIT_TEST(versions_go_on_above_the_highest),
		UNIT_TEST(expiries_are_kept_and_not_swept_while_staging),
		UNIT_TEST(one_batch_may_name_a_key_several_times),
		UNIT_TEST(a_discarded_import_leaves_nothing),
		UNIT_TEST(discarding_a_handed_over_partition_ships_nothing),
		UNIT_TEST(an_empty_partition_is_discarded_at_once),
		UNIT_TEST(a_full_node_refuses_records),
		UNIT_TEST(an_import_evicts_others_only),
		UNIT_TEST(an_import_equals_its_source),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("partition_import", tests);
}
