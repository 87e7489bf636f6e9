/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition alone: slots taken, published and given back; versions; the bound of a scan. */
#include "storage/partition.h"

#include <stdlib.h>
#include <string.h>

#include "storage/slot_space.h"
#include "storage/version.h"
#include "tests/unit/unit.h"

#define SLOT_MAX 4000u

struct fixture {
	struct slot_space space;
	struct partition *first;
	struct partition *second;
	struct item items[SLOT_MAX];
};

static struct fixture *open_fixture(void)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	CU_ASSERT_EQUAL_FATAL(slot_space_init(&fixture->space, SLOT_MAX, 2), 0);
	fixture->first = partition_create(7, 0, &fixture->space);
	fixture->second = partition_create(9, 1, &fixture->space);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->first);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->second);
	return fixture;
}

static void close_fixture(struct fixture *fixture)
{
	partition_destroy(fixture->first);
	partition_destroy(fixture->second);
	slot_space_fini(&fixture->space);
	free(fixture);
}

static uint32_t publish(struct partition *partition, struct item *item)
{
	item->slot = partition_slot_take(partition);
	if (item->slot != SLOT_NONE)
		partition_slot_publish(partition, item, NULL);
	return item->slot;
}

/* Counts the items of a whole scan, 'slot_max' slots and 'item_max' items a step. */
static uint32_t scan_count(const struct partition *partition, uint32_t slot_max, uint32_t item_max)
{
	const struct item *items[64];
	struct partition_scan scan;
	uint32_t count = 0;

	partition_scan_open(partition, &scan);
	while (!partition_scan_is_done(&scan)) {
		uint32_t before = scan.next;
		uint32_t found = partition_scan_next(partition, &scan, slot_max, items, item_max);

		CU_ASSERT(found <= item_max);
		CU_ASSERT(scan.next - before <= slot_max);
		count += found;
	}
	return count;
}

static void published_items_are_scanned_in_slot_order(void)
{
	struct fixture *fixture = open_fixture();
	const struct item *found[8];
	struct partition_scan scan;

	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(publish(fixture->first, &fixture->items[i]), i);
	partition_scan_open(fixture->first, &scan);
	CU_ASSERT_EQUAL(partition_scan_next(fixture->first, &scan, 100, found, 3), 3);
	CU_ASSERT_FALSE(partition_scan_is_done(&scan));
	CU_ASSERT_PTR_EQUAL(found[0], &fixture->items[0]);
	CU_ASSERT_PTR_EQUAL(found[2], &fixture->items[2]);
	CU_ASSERT_EQUAL(partition_scan_next(fixture->first, &scan, 100, found, 3), 2);
	CU_ASSERT(partition_scan_is_done(&scan));
	CU_ASSERT_PTR_EQUAL(found[1], &fixture->items[4]);
	CU_ASSERT_EQUAL(scan_count(fixture->second, 10, 10), 0);
	close_fixture(fixture);
}

static void a_taken_slot_is_empty_until_published(void)
{
	struct fixture *fixture = open_fixture();
	uint32_t slot = partition_slot_take(fixture->first);

	CU_ASSERT_EQUAL(scan_count(fixture->first, 10, 10), 0);
	partition_slot_return(fixture->first, slot);
	CU_ASSERT_EQUAL(scan_count(fixture->first, 10, 10), 0);
	CU_ASSERT_EQUAL(partition_slot_take(fixture->first), slot);
	close_fixture(fixture);
}

static void released_slots_are_used_again(void)
{
	struct fixture *fixture = open_fixture();
	struct partition_stats stats;

	for (uint32_t i = 0; i < 100; i++)
		publish(fixture->first, &fixture->items[i]);
	for (uint32_t i = 0; i < 100; i += 2)
		partition_slot_release(fixture->first, &fixture->items[i], 1);
	CU_ASSERT_EQUAL(scan_count(fixture->first, 7, 5), 50);
	for (uint32_t i = 0; i < 100; i += 2)
		CU_ASSERT(publish(fixture->first, &fixture->items[i]) < 100);
	partition_stats(fixture->first, &stats);
	CU_ASSERT_EQUAL(stats.slots, 100);
	CU_ASSERT_EQUAL(stats.items, 100);
	CU_ASSERT_EQUAL(scan_count(fixture->first, 1, 1), 100);
	close_fixture(fixture);
}

/* What a partition once held costs later walks nothing. */
static void an_emptied_partition_begins_anew(void)
{
	struct fixture *fixture = open_fixture();
	const struct item *found[8];
	struct partition_stats stats;
	struct partition_scan scan;

	for (uint32_t i = 0; i < 2000; i++)
		publish(fixture->first, &fixture->items[i]);
	partition_scan_open(fixture->first, &scan);
	for (uint32_t i = 0; i < 2000; i++)
		partition_slot_release(fixture->first, &fixture->items[i], 1);
	partition_stats(fixture->first, &stats);
	CU_ASSERT_EQUAL(stats.slots, 0);
	CU_ASSERT_EQUAL(publish(fixture->first, &fixture->items[0]), 0);
	CU_ASSERT_EQUAL(partition_slot_take(fixture->first), 1);
	/* The scan that was under way finds the new item, and no other. */
	CU_ASSERT_EQUAL(partition_scan_next(fixture->first, &scan, 2000, found, 8), 1);
	CU_ASSERT(partition_scan_is_done(&scan));
	CU_ASSERT_EQUAL(scan_count(fixture->first, 10, 10), 1);
	close_fixture(fixture);
}

/* Two partitions share the space; when it is used up, both are told, and neither gets the other's
 * slots.
 */
static void the_space_ends_cleanly(void)
{
	struct fixture *fixture = open_fixture();
	uint32_t used = 0;

	while (used < SLOT_MAX && publish(fixture->first, &fixture->items[used]) != SLOT_NONE)
		used++;
	CU_ASSERT_EQUAL(used, SLOT_MAX); /* what was promised */
	while (partition_slot_take(fixture->first) != SLOT_NONE)
		used++;
	CU_ASSERT(used <= SLOT_MAX + 2 * SLOT_CHUNK_SLOTS);
	CU_ASSERT_EQUAL(partition_slot_take(fixture->second), SLOT_NONE);
	CU_ASSERT_EQUAL(partition_slot_take(fixture->first), SLOT_NONE);
	CU_ASSERT_EQUAL(scan_count(fixture->first, 64, 64), SLOT_MAX);
	partition_slot_release(fixture->first, &fixture->items[17], 1);
	CU_ASSERT_EQUAL(partition_slot_take(fixture->first), 17);
	close_fixture(fixture);
}

#define MINUTE_MS UINT64_C(65536)
#define NOW_MS UINT64_C(1700000000000)

static uint32_t count_expired(const struct fixture *fixture, uint64_t now_ms)
{
	const struct item *found[8];
	struct partition_scan scan;

	partition_scan_open(fixture->first, &scan);
	return partition_scan_next_expired(fixture->first, &scan, now_ms, 100, found, 8);
}

static void items_that_cannot_be_expired_are_left_out(void)
{
	struct fixture *fixture = open_fixture();

	item_set_expires_at_ms(&fixture->items[1], NOW_MS);
	for (uint32_t i = 0; i < 3; i++)
		publish(fixture->first, &fixture->items[i]);
	CU_ASSERT_EQUAL(count_expired(fixture, NOW_MS - 20 * MINUTE_MS), 0);
	CU_ASSERT_EQUAL(count_expired(fixture, NOW_MS - MINUTE_MS), 0);
	CU_ASSERT_EQUAL(count_expired(fixture, NOW_MS), 1);
	CU_ASSERT_EQUAL(count_expired(fixture, NOW_MS + 20 * MINUTE_MS), 1);
	CU_ASSERT_EQUAL(count_expired(fixture, NOW_MS + 30000 * MINUTE_MS), 1);
	/* Replaced by one without an expiry. */
	fixture->items[3].slot = fixture->items[1].slot;
	partition_slot_publish(fixture->first, &fixture->items[3], &fixture->items[1]);
	CU_ASSERT_EQUAL(count_expired(fixture, NOW_MS), 0);
	CU_ASSERT_EQUAL(scan_count(fixture->first, 100, 8), 3);
	close_fixture(fixture);
}

static void bytes_follow_replacement_and_release(void)
{
	struct fixture *fixture = open_fixture();
	struct item *small = &fixture->items[0];
	struct item *large = &fixture->items[1];
	struct partition_stats stats;

	small->key_size = 10;
	small->value_size = 20;
	large->key_size = 10;
	large->value_size = 300;
	publish(fixture->first, small);
	large->slot = small->slot;
	partition_slot_publish(fixture->first, large, small);
	partition_stats(fixture->first, &stats);
	CU_ASSERT_EQUAL(stats.item_bytes, 310);
	CU_ASSERT_EQUAL(stats.items, 1);
	partition_slot_release(fixture->first, large, 1);
	partition_stats(fixture->first, &stats);
	CU_ASSERT_EQUAL(stats.item_bytes, 0);
	CU_ASSERT_EQUAL(stats.items, 0);
	close_fixture(fixture);
}

static void versions_grow_across_epochs(void)
{
	struct fixture *fixture = open_fixture();
	struct partition_stats stats;
	uint64_t before, after;

	CU_ASSERT_EQUAL(partition_number(fixture->first), 7);
	CU_ASSERT_EQUAL(partition_version_next(fixture->first), version_make(0, 1));
	partition_set_epoch(fixture->first, 3);
	CU_ASSERT_EQUAL(partition_epoch(fixture->first), 3);
	before = partition_version_next(fixture->first);
	CU_ASSERT_EQUAL(before, version_make(3, 1));
	after = partition_version_next(fixture->first);
	CU_ASSERT(version_is_newer(after, before));
	partition_set_epoch(fixture->first, 4);
	CU_ASSERT_EQUAL(partition_version_next(fixture->first), version_make(4, 1));
	partition_stats(fixture->first, &stats);
	CU_ASSERT_EQUAL(stats.version_last, version_make(4, 1));
	close_fixture(fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(published_items_are_scanned_in_slot_order),
		UNIT_TEST(a_taken_slot_is_empty_until_published),
		UNIT_TEST(released_slots_are_used_again),
		UNIT_TEST(an_emptied_partition_begins_anew),
		UNIT_TEST(the_space_ends_cleanly),
		UNIT_TEST(items_that_cannot_be_expired_are_left_out),
		UNIT_TEST(bytes_follow_replacement_and_release),
		UNIT_TEST(versions_grow_across_epochs),
		{ NULL, NULL },
	};

	return unit_run("partition", tests);
}
