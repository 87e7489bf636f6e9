/* SPDX-License-Identifier: BSD-3-Clause */
/* The digest of a partition: equal for the same set of live writes, different otherwise, whatever
 * the history.
 */
#include "storage/version.h"
#include "tests/unit/storage/shard_fixture.h"

#define KEYS 600u

/* The definition, by a walk over all slots. */
static void check_against_walk(const struct fixture *fixture)
{
	struct partition_stats stats = fixture_partition_stats(fixture);
	struct partition_stats walked = { 0 };
	const struct item *items[16];
	struct partition_scan scan;

	partition_scan_open(fixture_partition(fixture), &scan);
	while (!partition_scan_is_done(&scan)) {
		uint32_t count =
			partition_scan_next(fixture_partition(fixture), &scan, 64, items, 16);

		for (uint32_t i = 0; i < count; i++) {
			walked.items++;
			walked.item_bytes += items[i]->key_size + items[i]->value_size;
			walked.digest += version_digest(items[i]->version);
		}
	}
	CU_ASSERT_EQUAL(stats.items, walked.items);
	CU_ASSERT_EQUAL(stats.item_bytes, walked.item_bytes);
	CU_ASSERT_EQUAL(stats.digest, walked.digest);
}

static void an_empty_partition_has_digest_zero(void)
{
	struct fixture_options options = { .memory_bytes = 4 << 20, .partition_count = 1 };
	struct fixture fixture;

	fixture_open(&fixture, &options);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).digest, 0);
	for (uint64_t number = 0; number < 50; number++)
		fixture_put(&fixture, number, 1);
	CU_ASSERT_NOT_EQUAL(fixture_partition_stats(&fixture).digest, 0);
	for (uint64_t number = 0; number < 50; number++)
		fixture_remove(&fixture, number);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).digest, 0);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).version_last, version_make(0, 100));
	fixture_close(&fixture);
}

static void every_write_changes_it(void)
{
	struct fixture_options options = { .memory_bytes = 4 << 20, .partition_count = 1 };
	struct fixture fixture;
	uint64_t before;

	fixture_open(&fixture, &options);
	fixture_put(&fixture, 1, 1);
	before = fixture_partition_stats(&fixture).digest;
	fixture_put(&fixture, 2, 1);
	CU_ASSERT_NOT_EQUAL(fixture_partition_stats(&fixture).digest, before);
	fixture_remove(&fixture, 2);
	CU_ASSERT_EQUAL(fixture_partition_stats(&fixture).digest, before);
	fixture_put(&fixture, 1, 1); /* the same value: another write */
	CU_ASSERT_NOT_EQUAL(fixture_partition_stats(&fixture).digest, before);
	fixture_close(&fixture);
}

/* Puts, overwrites, removals, expiry, eviction, growth and compaction at random. */
static void it_follows_random_histories(void)
{
	struct fixture_options options = { .memory_bytes = 1 << 20,
					   .capacity = 127,
					   .partition_count = 1,
					   .eviction = EVICTION_ON };
	struct shard_stats stats;
	struct fixture fixture;
	uint64_t random = 3;

	fixture_open(&fixture, &options);
	for (uint32_t step = 0; step < 60000; step++) {
		uint64_t number = unit_random(&random) % (step < 20000 ? KEYS : 60 * KEYS);
		struct shard_batch batch;
		struct fixture_key key;

		fixture_batch_one(&fixture, &batch, &key, number);
		switch (unit_random(&random) % 4) {
		case 0:
			fixture_remove(&fixture, number);
			break;
		case 1:
			fixture_batch_put(&fixture, &batch, 0, number, step,
					  fixture.now_ms + unit_random(&random) % 5000);
			break;
		default:
			fixture_batch_put(&fixture, &batch, 0, number, step, 0);
			break;
		}
		fixture.now_ms += 2;
		fixture_turn(&fixture);
		if (step % 3000 == 0)
			check_against_walk(&fixture);
	}
	check_against_walk(&fixture);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT(stats.expired > 100);
	CU_ASSERT(stats.evicted > 100);
	CU_ASSERT(stats.index_grown > 0);
	fixture_close(&fixture);
}

/* Sums of versions are equal where those of digests are not. */
static void sets_with_equal_sums_differ(void)
{
	CU_ASSERT_NOT_EQUAL(version_digest(1) + version_digest(4),
			    version_digest(2) + version_digest(3));
	CU_ASSERT_NOT_EQUAL(version_digest(version_make(1, 1)) + version_digest(version_make(2, 2)),
			    version_digest(version_make(1, 2)) +
				    version_digest(version_make(2, 1)));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(an_empty_partition_has_digest_zero),
		UNIT_TEST(every_write_changes_it),
		UNIT_TEST(it_follows_random_histories),
		UNIT_TEST(sets_with_equal_sums_differ),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("partition_digest", tests);
}
