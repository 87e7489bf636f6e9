/* SPDX-License-Identifier: BSD-3-Clause */
/* One table of the index: what of it is in memory, while it fills up and when entries come and go. */
#include "storage/index_table.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define ENTRY_MAX ((1u << 20) - 1)
#define MIB ((size_t)1 << 20)

static struct index_table *built_table(void)
{
	struct index_table *table = index_table_create("unit_table", ENTRY_MAX);
	int error;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	do
		error = index_table_build(table);
	while (error == -EAGAIN);
	CU_ASSERT_EQUAL_FATAL(error, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table->memory.address);
	return table;
}

static size_t resident_bytes(const struct index_table *table)
{
	size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
	size_t pages = table->memory.size / page_size;
	uint8_t *map = malloc(pages);
	size_t resident = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(map);
	CU_ASSERT_EQUAL_FATAL(mincore(table->memory.address, table->memory.size, map), 0);
	for (size_t i = 0; i < pages; i++)
		resident += map[i] & 1 ? page_size : 0;
	free(map);
	return resident;
}

/* Different for each number, in the low bits too, which choose the bucket. */
static uint64_t digest_of(uint64_t number)
{
	return (number + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ number >> 7;
}

static struct item *item_of(uint64_t number)
{
	return (struct item *)(uintptr_t)((number + 1) * 8);
}

static uint64_t count_wrong(const struct index_table *table, uint64_t first, uint64_t count)
{
	uint64_t wrong = 0;

	for (uint64_t i = first; i < first + count; i++)
		wrong += index_table_find(table, digest_of(i)) != item_of(i);
	return wrong;
}

static void entries_become_resident_ahead_of_their_use(void)
{
	struct index_table *table = built_table();
	size_t fresh = resident_bytes(table);
	uint64_t count = ENTRY_MAX / 10 * 9;
	uint64_t late = 0, refused = 0;

	CU_ASSERT(fresh + 8 * MIB < table->memory.size);
	CU_ASSERT_FALSE(index_table_prefault(table)); /* nothing was added */
	for (uint64_t i = 0; i < count; i++) {
		refused += !index_table_add(table, digest_of(i), item_of(i));
		if (i % 1000 == 0)
			index_table_prefault(table);
		late += table->spare_size > 0 && table->entry_added > table->spare_position;
	}
	CU_ASSERT_EQUAL(refused, 0);
	CU_ASSERT_EQUAL(late, 0);
	CU_ASSERT_EQUAL(count_wrong(table, 0, count), 0);
	CU_ASSERT(resident_bytes(table) > fresh + 8 * MIB);
	index_table_destroy(table);
}

/* Nobody prefaults: entries are where they belong nevertheless. */
static void entries_come_and_go_where_nothing_was_resident(void)
{
	struct index_table *table = built_table();
	uint64_t window = 1000;
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < 2 * (uint64_t)ENTRY_MAX; i++) {
		wrong += !index_table_add(table, digest_of(i), item_of(i));
		if (i < window)
			continue;
		wrong += index_table_find(table, digest_of(i - window)) != item_of(i - window);
		index_table_free_position(table, index_table_remove(table, digest_of(i - window)));
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(table->entry_count, window);
	CU_ASSERT_EQUAL(count_wrong(table, 2 * (uint64_t)ENTRY_MAX - window, window), 0);
	while (index_table_prefault(table))
		CU_ASSERT(table->spare_position <= ENTRY_MAX);
	CU_ASSERT_EQUAL(table->spare_size, 0);
	CU_ASSERT_EQUAL(count_wrong(table, 2 * (uint64_t)ENTRY_MAX - window, window), 0);
	index_table_destroy(table);
}

static void find_three(const struct index_table *table, struct item *items[3], int32_t positions[3])
{
	const uint64_t digests[3] = { digest_of(0), digest_of(1), digest_of(2) };
	const uint64_t *pointers[3] = { &digests[0], &digests[1], &digests[2] };

	index_table_find_bulk(table, pointers, 3, items, positions);
}

/* Where it was found, but only while it points to what was found there. */
static void an_entry_is_updated_at_its_position(void)
{
	struct index_table *table = built_table();
	struct item *items[3];
	int32_t positions[3];

	CU_ASSERT(index_table_add(table, digest_of(0), item_of(0)));
	CU_ASSERT(index_table_add(table, digest_of(1), item_of(1)));
	find_three(table, items, positions);
	CU_ASSERT(positions[0] >= 0 && positions[1] >= 0 && positions[0] != positions[1]);
	CU_ASSERT(positions[2] < 0);
	CU_ASSERT_PTR_NULL(items[2]);
	CU_ASSERT(index_table_update_at(table, positions[0], item_of(0), item_of(7)));
	CU_ASSERT_FALSE(index_table_update_at(table, positions[0], item_of(0), item_of(8)));
	CU_ASSERT_FALSE(index_table_update_at(table, positions[1], item_of(0), item_of(8)));
	CU_ASSERT_FALSE(index_table_update_at(table, positions[2], item_of(2), item_of(8)));
	CU_ASSERT_PTR_EQUAL(index_table_find(table, digest_of(0)), item_of(7));
	CU_ASSERT_PTR_EQUAL(index_table_find(table, digest_of(1)), item_of(1));
	index_table_destroy(table);
}

static void without_known_places_entries_are_looked_up(void)
{
	struct index_table *table = built_table();
	struct item *items[3];
	int32_t positions[3] = { 5, 5, 5 };

	CU_ASSERT(index_table_add(table, digest_of(0), item_of(0)));
	table->entries = NULL; /* as if rte_hash had another layout */
	find_three(table, items, positions);
	CU_ASSERT_PTR_EQUAL(items[0], item_of(0));
	CU_ASSERT(positions[0] < 0 && positions[1] < 0 && positions[2] < 0);
	CU_ASSERT_FALSE(index_table_update_at(table, positions[0], item_of(0), item_of(7)));
	find_three(table, items, NULL);
	CU_ASSERT_PTR_EQUAL(items[0], item_of(0));
	CU_ASSERT_PTR_NULL(items[1]);
	index_table_destroy(table);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(entries_become_resident_ahead_of_their_use),
		UNIT_TEST(entries_come_and_go_where_nothing_was_resident),
		UNIT_TEST(an_entry_is_updated_at_its_position),
		UNIT_TEST(without_known_places_entries_are_looked_up),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("index_table", tests);
}
