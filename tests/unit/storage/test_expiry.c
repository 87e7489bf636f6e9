/* SPDX-License-Identifier: BSD-3-Clause */
/* Items with an expiry: when they count as expired, and when the sweep gives their memory back. */
#include "storage/expiry.h"

#include "tests/unit/storage/shard_fixture.h"

static void open_fixture(struct fixture *fixture)
{
	struct fixture_options options = { .memory_bytes = 8 << 20, .partition_count = 4 };

	fixture_open(fixture, &options);
}

static void put_until(struct fixture *fixture, uint64_t number, uint64_t expires_at_ms)
{
	struct shard_batch batch;
	struct fixture_key key;

	fixture_batch_one(fixture, &batch, &key, number);
	CU_ASSERT_EQUAL(fixture_batch_put(fixture, &batch, 0, number, 1, expires_at_ms), STATUS_OK);
}

static uint64_t expired(const struct fixture *fixture)
{
	struct shard_stats stats;

	shard_stats(fixture->shard, &stats);
	return stats.expired;
}

/* Turns of 1 ms each. */
static void let_pass(struct fixture *fixture, uint64_t ms)
{
	for (uint64_t end = fixture->now_ms + ms; fixture->now_ms < end; fixture->now_ms++)
		fixture_turn(fixture);
}

static void an_item_expires_to_the_millisecond(void)
{
	struct fixture fixture;
	const struct item *item;

	open_fixture(&fixture);
	put_until(&fixture, 1, FIXTURE_NOW_MS + 250);
	item = fixture_get(&fixture, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(item);
	CU_ASSERT_EQUAL(item_expires_at_ms(item), FIXTURE_NOW_MS + 250);
	CU_ASSERT_FALSE(item_is_expired(item, FIXTURE_NOW_MS + 249));
	CU_ASSERT(item_is_expired(item, FIXTURE_NOW_MS + 250));
	put_until(&fixture, 1, 0);
	CU_ASSERT_FALSE(item_is_expired(fixture_get(&fixture, 1), UINT64_MAX >> 16));
	fixture_close(&fixture);
}

/* Before its time nothing goes; within a round of the sweep after it all does, and only that. */
static void the_sweep_removes_what_is_expired(void)
{
	struct fixture fixture;
	uint64_t wrong = 0;

	open_fixture(&fixture);
	for (uint64_t i = 0; i < 9000; i++)
		put_until(&fixture, i,
			  i % 3 == 0   ? FIXTURE_NOW_MS + 5000
			  : i % 3 == 1 ? FIXTURE_NOW_MS + 50000
				       : 0);
	let_pass(&fixture, 5000);
	CU_ASSERT_EQUAL(expired(&fixture), 0);
	let_pass(&fixture, 2 * EXPIRY_ROUND_MS);
	CU_ASSERT_EQUAL(expired(&fixture), 3000);
	CU_ASSERT_EQUAL(fixture_items(&fixture), 6000);
	for (uint64_t i = 0; i < 9000; i++)
		wrong += (fixture_get(&fixture, i) == NULL) != (i % 3 == 0);
	CU_ASSERT_EQUAL(wrong, 0);
	fixture_close(&fixture);
}

static void items_that_lost_their_expiry_stay(void)
{
	struct fixture fixture;

	open_fixture(&fixture);
	for (uint64_t i = 0; i < 1000; i++)
		put_until(&fixture, i, FIXTURE_NOW_MS + 100);
	for (uint64_t i = 0; i < 500; i++)
		put_until(&fixture, i, 0);
	let_pass(&fixture, 3 * EXPIRY_ROUND_MS);
	CU_ASSERT_EQUAL(expired(&fixture), 500);
	for (uint64_t i = 0; i < 500; i++)
		CU_ASSERT_PTR_NOT_NULL(fixture_get(&fixture, i));
	fixture_close(&fixture);
}

/* A key can be written again at once, and the sweep leaves the new item alone. */
static void an_expired_key_is_written_again(void)
{
	struct fixture fixture;

	open_fixture(&fixture);
	put_until(&fixture, 1, FIXTURE_NOW_MS + 1);
	put_until(&fixture, 2, FIXTURE_NOW_MS + 1);
	fixture.now_ms += 10;
	put_until(&fixture, 1, FIXTURE_NOW_MS + 100000);
	let_pass(&fixture, 2 * EXPIRY_ROUND_MS);
	CU_ASSERT_EQUAL(expired(&fixture), 1);
	CU_ASSERT(fixture_value_is(fixture_get(&fixture, 1), 1, 1));
	CU_ASSERT_PTR_NULL(fixture_get(&fixture, 2));
	fixture_close(&fixture);
}

static void without_expiry_the_sweep_does_nothing(void)
{
	struct fixture fixture;
	uint32_t work = 0;

	open_fixture(&fixture);
	for (uint64_t i = 0; i < 1000; i++)
		put_until(&fixture, i, 0);
	for (uint32_t i = 0; i < 10; i++)
		fixture_turn(&fixture);
	for (uint32_t i = 0; i < 1000; i++)
		work += shard_background(fixture.shard, ++fixture.now_ms, 64);
	CU_ASSERT_EQUAL(work, 0);
	fixture_close(&fixture);
}

/* However seldom or often it is asked, a round takes its time; a clock that jumps is no hurry. */
static void the_pace_follows_the_clock(void)
{
	struct item *items[SLOT_WALK_ITEMS];
	struct expiry expiry = { 0 };
	struct partition *none[1] = { NULL };
	uint32_t count;

	expiry.walk.partitions =
		none; /* no partition: the walk passes nothing, the account grows */
	CU_ASSERT_EQUAL(expiry_sweep(&expiry, 1000, 400000, 64, items, &count), 0);
	CU_ASSERT_EQUAL(expiry.slots_due, 0);
	expiry.walk.partition_count = 0;
	expiry_sweep(&expiry, 1001, 400000, 0, items, &count);
	CU_ASSERT_EQUAL(expiry.slots_due / EXPIRY_ROUND_MS, 100);
	expiry_sweep(&expiry, 1000 + EXPIRY_ROUND_MS / 2, 400000, 0, items, &count);
	CU_ASSERT_EQUAL(expiry.slots_due / EXPIRY_ROUND_MS, 200000);
	expiry_sweep(&expiry, UINT64_C(1) << 40, 400000, 0, items, &count);
	CU_ASSERT_EQUAL(expiry.slots_due / EXPIRY_ROUND_MS, 400000);
	expiry_sweep(&expiry, 1, 400000, 0, items, &count); /* backwards */
	CU_ASSERT_EQUAL(expiry.slots_due / EXPIRY_ROUND_MS, 400000);
}

/* Memory that is short makes a whole round due: what expired is free soon, not in seconds. */
static void a_shortage_hurries_the_sweep(void)
{
	struct fixture_options options = { .memory_bytes = 1 << 20, .partition_count = 4 };
	struct fixture fixture;
	uint64_t number = 0;
	uint32_t turns = 0;

	fixture_open(&fixture, &options);
	while (fixture_put(&fixture, number, 1) == STATUS_OK) {
		fixture_turn(&fixture);
		put_until(&fixture, number++, FIXTURE_NOW_MS + 10);
		if (number > 4000)
			break;
	}
	while (fixture_put(&fixture, number, 1) == STATUS_OK)
		number++;
	fixture.now_ms += 10; /* all the first ones are over */
	while (fixture_put(&fixture, number, 1) != STATUS_OK && turns < 1000) {
		fixture_turn(&fixture);
		turns++;
	}
	CU_ASSERT(turns < 200); /* of 64 slots each, in no time by the clock */
	CU_ASSERT(expired(&fixture) > 0);
	fixture_close(&fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(an_item_expires_to_the_millisecond),
		UNIT_TEST(the_sweep_removes_what_is_expired),
		UNIT_TEST(items_that_lost_their_expiry_stay),
		UNIT_TEST(an_expired_key_is_written_again),
		UNIT_TEST(without_expiry_the_sweep_does_nothing),
		UNIT_TEST(the_pace_follows_the_clock),
		UNIT_TEST(a_shortage_hurries_the_sweep),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("expiry", tests);
}
