/* SPDX-License-Identifier: BSD-3-Clause */
/* Item memory and its pools: contents, limits, reuse of memory for other sizes, compaction. */
#include "storage/item_pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)

/* --- A pool, and the items handed out: each filled with a byte pattern of its own --- */

struct held {
	struct item *item;
	uint32_t size;
	uint64_t pattern;
};

struct fixture {
	struct item_memory *memory;
	struct item_pool *pool;
	struct held *held;
	uint64_t held_count;
	uint64_t held_max;
	uint64_t random;
	uint64_t relocated;
};

static struct item_memory *memory_create(uint64_t limit_bytes)
{
	struct item_memory_options options = { .limit_bytes = limit_bytes };
	struct item_memory *memory;

	CU_ASSERT_EQUAL_FATAL(item_memory_create(&memory, &options), 0);
	return memory;
}

static void fixture_init_shared(struct fixture *fixture, struct item_memory *memory)
{
	struct item_memory_stats stats;

	memset(fixture, 0, sizeof(*fixture));
	fixture->memory = memory;
	CU_ASSERT_EQUAL_FATAL(item_pool_create(&fixture->pool, memory), 0);
	item_memory_stats(memory, &stats);
	fixture->held_max = stats.limit_bytes / ITEM_HEADER_SIZE;
	fixture->held = calloc(fixture->held_max, sizeof(fixture->held[0]));
	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture->held);
	fixture->random = 1;
}

static void fixture_init(struct fixture *fixture, uint64_t limit_bytes)
{
	fixture_init_shared(fixture, memory_create(limit_bytes));
}

static void fixture_fini_shared(struct fixture *fixture)
{
	item_pool_destroy(fixture->pool);
	free(fixture->held);
}

static void fixture_fini(struct fixture *fixture)
{
	struct item_memory_stats stats;

	fixture_fini_shared(fixture);
	item_memory_stats(fixture->memory, &stats);
	CU_ASSERT_EQUAL(stats.slabs_free, stats.slab_count);
	item_memory_destroy(fixture->memory);
}

static uint64_t below(struct fixture *fixture, uint64_t limit)
{
	return unit_random(&fixture->random) % limit;
}

/* Fills behind the header: key_size says the part of 'size' that value_size cannot. */
static void held_fill(const struct held *held)
{
	uint64_t state = held->pattern;

	held->item->key_size = (uint8_t)(held->size - ITEM_HEADER_SIZE < KEY_SIZE_MAX
						 ? held->size - ITEM_HEADER_SIZE
						 : KEY_SIZE_MAX);
	held->item->value_size = (uint16_t)(held->size - ITEM_HEADER_SIZE - held->item->key_size);
	held->item->version = held->pattern;
	for (uint32_t i = 0; i < held->size - ITEM_HEADER_SIZE; i++)
		held->item->bytes[i] = (uint8_t)(state = state * 5 + 1);
}

static bool held_is_intact(const struct held *held)
{
	uint64_t state = held->pattern;

	if (held->item->version != held->pattern || !(held->item->flags & ITEM_ALLOCATED) ||
	    item_size(held->item->key_size, held->item->value_size) != held->size)
		return false;
	for (uint32_t i = 0; i < held->size - ITEM_HEADER_SIZE; i++) {
		if (held->item->bytes[i] != (uint8_t)(state = state * 5 + 1))
			return false;
	}
	return true;
}

/* The item's slot is its index in 'held', so that a relocated item finds its way back. */
static bool hold_new(struct fixture *fixture, uint32_t size)
{
	struct held held = { .item = item_pool_alloc(fixture->pool, size), .size = size };

	if (!held.item)
		return false;
	held.pattern = unit_random(&fixture->random);
	held_fill(&held);
	held.item->slot = (uint32_t)fixture->held_count;
	fixture->held[fixture->held_count++] = held;
	return true;
}

static void drop(struct fixture *fixture, uint64_t index)
{
	struct held *held = &fixture->held[index];
	struct held *last = &fixture->held[--fixture->held_count];

	item_pool_free(fixture->pool, held->item);
	*held = *last;
	if (held != last)
		held->item->slot = (uint32_t)index;
}

static void drop_share(struct fixture *fixture, uint32_t percent)
{
	uint64_t drops = fixture->held_count * percent / 100;

	for (uint64_t i = 0; i < drops; i++)
		drop(fixture, below(fixture, fixture->held_count));
}

static uint64_t fill_with(struct fixture *fixture, uint32_t size)
{
	uint64_t count = 0;

	while (hold_new(fixture, size))
		count++;
	return count;
}

static bool all_intact(const struct fixture *fixture)
{
	for (uint64_t i = 0; i < fixture->held_count; i++) {
		if (!held_is_intact(&fixture->held[i]))
			return false;
	}
	return true;
}

static bool is_held(const struct fixture *fixture, const struct item *item)
{
	return item->slot < fixture->held_count && fixture->held[item->slot].item == item;
}

/* What a shard does with a named item, but the original is freed at once. */
static bool relocate(struct fixture *fixture, struct item *item)
{
	uint32_t size = item_size(item->key_size, item->value_size);
	struct item *copy;

	if (!is_held(fixture, item))
		CU_FAIL_FATAL("compaction named what is no item");
	copy = item_pool_alloc(fixture->pool, size);
	if (!copy)
		return false;
	memcpy(copy, item, size);
	fixture->held[item->slot].item = copy;
	item_pool_free(fixture->pool, item);
	fixture->relocated++;
	return true;
}

/* Calls until several turns in a row find nothing. */
static void compact(struct fixture *fixture)
{
	for (uint32_t idle = 0; idle < 2 * ITEM_CLASS_COUNT; idle++) {
		struct item *item = item_pool_compact_next(fixture->pool, 64);

		if (item && relocate(fixture, item))
			idle = 0;
	}
}

static struct item_pool_stats pool_stats(const struct fixture *fixture)
{
	struct item_pool_stats stats;

	item_pool_stats(fixture->pool, &stats);
	return stats;
}

static uint32_t slabs_free(const struct fixture *fixture)
{
	struct item_memory_stats stats;

	item_memory_stats(fixture->memory, &stats);
	return stats.slabs_free;
}

/* --- Tests --- */

static void test_classes_fit_and_waste_little(void)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < ITEM_CLASS_COUNT; i++) {
		uint32_t block = item_class_block_size(i);
		uint32_t count = ITEM_SLAB_SIZE / block;

		CU_ASSERT(block > last);
		CU_ASSERT_EQUAL(block % 8, 0);
		if (block > 256)
			CU_ASSERT(ITEM_SLAB_SIZE - count * block <
				  8 * count); /* the largest of its count */
		last = block;
	}
	for (uint32_t size = ITEM_HEADER_SIZE; size <= ITEM_SIZE_MAX; size++) {
		uint32_t block = item_pool_block_size(size);

		CU_ASSERT(block >= size);
		if (size <= 256)
			CU_ASSERT(block < size + 8);
		if (size <= 2048)
			CU_ASSERT(block - size <= size / 9 + 8);
		CU_ASSERT(block - size <= size / 6 + 8);
	}
}

static void test_bad_limits_are_refused(void)
{
	struct item_memory_options none = { .limit_bytes = 0 };
	struct item_memory_options too_much = { .limit_bytes = SIZE_MAX };
	struct item_memory *memory;

	CU_ASSERT_EQUAL(item_memory_create(&memory, &none), -EINVAL);
	CU_ASSERT_PTR_NULL(memory);
	CU_ASSERT_EQUAL(item_memory_create(&memory, &too_much), -EINVAL);
	item_memory_destroy(NULL);
	item_pool_destroy(NULL);
}

/* Huge pages of 2 MiB that the system has, used or not. */
static uint64_t huge_pages_total(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	unsigned long count = 0;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "HugePages_Total: %lu", &count);
	if (file)
		fclose(file);
	return count;
}

static void test_huge_pages_are_a_wish(void)
{
	struct item_memory_options options = { .limit_bytes = (huge_pages_total() + 1) * 2 * MIB,
					       .huge_pages = true };
	struct item_memory_stats stats;
	struct item_memory *memory;
	struct item_pool *pool;

	CU_ASSERT_EQUAL_FATAL(item_memory_create(&memory, &options), 0);
	item_memory_stats(memory, &stats);
	CU_ASSERT_FALSE(stats.huge_pages); /* one too many */
	CU_ASSERT_EQUAL(stats.limit_bytes, options.limit_bytes);
	CU_ASSERT_EQUAL_FATAL(item_pool_create(&pool, memory), 0);
	CU_ASSERT_PTR_NOT_NULL(item_pool_alloc(pool, 100));
	item_pool_destroy(pool);
	item_memory_destroy(memory);
}

static void test_a_new_item_is_blank_also_when_reused(void)
{
	struct fixture fixture;
	struct item blank = { .flags = ITEM_ALLOCATED };

	fixture_init(&fixture, MIB);
	for (uint32_t round = 0; round < 3; round++) {
		struct item *item = item_pool_alloc(fixture.pool, 100);

		CU_ASSERT_PTR_NOT_NULL_FATAL(item);
		CU_ASSERT_EQUAL(memcmp(item, &blank, sizeof(blank)), 0);
		CU_ASSERT_EQUAL((uintptr_t)item % 8, 0);
		memset(item, 0xff, 100);
		item->key_size = 76;
		item->value_size = 0;
		item_pool_free(fixture.pool, item);
		CU_ASSERT_FALSE(item->flags & ITEM_ALLOCATED);
	}
	CU_ASSERT_EQUAL(pool_stats(&fixture).items, 0);
	CU_ASSERT_EQUAL(pool_stats(&fixture).bytes_requested, 0);
	fixture_fini(&fixture);
}

static void test_full_memory_answers_null_and_recovers(void)
{
	struct fixture fixture;
	uint64_t count;

	fixture_init(&fixture, MIB);
	count = fill_with(&fixture, 100);
	CU_ASSERT_EQUAL(count, MIB / ITEM_SLAB_SIZE * (ITEM_SLAB_SIZE / item_pool_block_size(100)));
	CU_ASSERT_EQUAL(slabs_free(&fixture), 0);
	CU_ASSERT_PTR_NULL(item_pool_alloc(fixture.pool, 2000));
	CU_ASSERT(all_intact(&fixture));
	drop(&fixture, count / 2);
	CU_ASSERT(hold_new(&fixture, 100));
	CU_ASSERT_FALSE(hold_new(&fixture, 100));
	drop_share(&fixture, 100);
	CU_ASSERT(fill_with(&fixture, 2000) > 0);
	CU_ASSERT_EQUAL(slabs_free(&fixture), 0);
	fixture_fini(&fixture);
}

static void test_an_idle_class_gives_its_slab_to_another(void)
{
	struct fixture fixture;

	fixture_init(&fixture, 4 * ITEM_SLAB_SIZE);
	for (uint32_t size = 100; size <= 400; size += 100) {
		CU_ASSERT_FATAL(hold_new(&fixture, size));
		drop(&fixture, 0);
	}
	CU_ASSERT_EQUAL(slabs_free(&fixture), 0); /* each class kept its empty slab */
	CU_ASSERT_EQUAL(fill_with(&fixture, 1000),
			4 * (ITEM_SLAB_SIZE / item_pool_block_size(1000)));
	CU_ASSERT(all_intact(&fixture));
	fixture_fini(&fixture);
}

/* Against a model: contents never overlap, alignment, flags, statistics. */
static void test_random_sizes_against_a_model(void)
{
	struct fixture fixture;
	uint64_t requested = 0;
	uint64_t allocated = 0;
	uint64_t refused = 0;

	fixture_init(&fixture, 8 * MIB);
	for (uint32_t step = 0; step < 400000; step++) {
		uint32_t phase = step / 50000;
		uint32_t grow_percent = phase % 2 ? 30 : 70;

		if (below(&fixture, 100) < grow_percent || fixture.held_count == 0) {
			uint64_t span = phase % 4 < 2 ? ITEM_SIZE_MAX - ITEM_HEADER_SIZE + 1 : 300;
			uint32_t size = ITEM_HEADER_SIZE + (uint32_t)below(&fixture, span);

			if (!hold_new(&fixture, size)) {
				refused++;
				continue;
			}
			CU_ASSERT_EQUAL((uintptr_t)fixture.held[fixture.held_count - 1].item % 8,
					0);
		} else {
			uint64_t index = below(&fixture, fixture.held_count);

			if (!held_is_intact(&fixture.held[index]))
				CU_FAIL("an item was overwritten");
			drop(&fixture, index);
		}
		if (step % 64 == 0) {
			struct item *item = item_pool_compact_next(fixture.pool, 16);

			if (item)
				relocate(&fixture, item);
		}
		if (step % 4096 == 0)
			CU_ASSERT(all_intact(&fixture));
	}
	CU_ASSERT(refused > 0);
	CU_ASSERT(fixture.relocated > 0);
	for (uint64_t i = 0; i < fixture.held_count; i++) {
		requested += fixture.held[i].size;
		allocated += item_pool_block_size(fixture.held[i].size);
	}
	CU_ASSERT_EQUAL(pool_stats(&fixture).items, fixture.held_count);
	CU_ASSERT_EQUAL(pool_stats(&fixture).bytes_requested, requested);
	CU_ASSERT_EQUAL(pool_stats(&fixture).bytes_allocated, allocated);
	drop_share(&fixture, 100);
	CU_ASSERT_EQUAL(pool_stats(&fixture).items, 0);
	CU_ASSERT_EQUAL(pool_stats(&fixture).bytes_allocated, 0);
	fixture_fini(&fixture);
}

/* Free bytes become items of another size: at least 'percent' of them. */
static void check_shift(struct fixture *fixture, uint32_t size, uint32_t percent)
{
	struct item_memory_stats memory;
	uint64_t free_bytes;
	uint64_t gained;

	item_memory_stats(fixture->memory, &memory);
	free_bytes = memory.limit_bytes - pool_stats(fixture).bytes_allocated;
	compact(fixture);
	gained = fill_with(fixture, size) * item_pool_block_size(size);
	CU_ASSERT(gained * 100 >= free_bytes * percent);
	CU_ASSERT(all_intact(fixture));
}

static void test_no_slab_calcification(void)
{
	static const uint32_t sizes[] = { 1048, 100, 4000, 64, 700, 100, 8000, 40 };
	struct fixture fixture;

	fixture_init(&fixture, 32 * MIB);
	CU_ASSERT(fill_with(&fixture, 100) > 0);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		drop_share(&fixture, 60);
		check_shift(&fixture, sizes[i], 90);
	}
	CU_ASSERT(pool_stats(&fixture).slabs_emptied > 0);
	fixture_fini(&fixture);
}

/* Without compaction almost nothing could be used: the test above proves something. */
static void test_without_compaction_sparse_slabs_starve_others(void)
{
	struct fixture fixture;

	fixture_init(&fixture, 8 * MIB);
	fill_with(&fixture, 100);
	drop_share(&fixture, 60);
	CU_ASSERT_EQUAL(fill_with(&fixture, 1048), 0);
	fixture_fini(&fixture);
}

static void test_compaction_leaves_dense_and_idle_memory_alone(void)
{
	struct fixture fixture;

	fixture_init(&fixture, 8 * MIB);
	fill_with(&fixture, 100);
	drop_share(&fixture, 3);
	compact(&fixture);
	CU_ASSERT_EQUAL(fixture.relocated, 0);
	drop_share(&fixture, 90); /* sparse: emptied until three quarters of the memory are free */
	compact(&fixture);
	CU_ASSERT(fixture.relocated > 0);
	CU_ASSERT(slabs_free(&fixture) >= 8 * MIB / ITEM_SLAB_SIZE / 4 * 3);
	CU_ASSERT(all_intact(&fixture));
	fixture_fini(&fixture);
}

/* Retired originals keep their slab until they are freed; nothing is allocated from it meanwhile.
 */
static void test_compaction_waits_for_retired_items(void)
{
	struct fixture fixture;
	struct item *retired[4096];
	uint32_t retired_count = 0;
	uint32_t free_before;
	struct item *item;

	fixture_init(&fixture, MIB);
	fill_with(&fixture, 400);
	drop_share(&fixture, 60);
	free_before = slabs_free(&fixture);
	while (retired_count < 100) { /* deleted, not relocated */
		retired[retired_count] = fixture.held[retired_count].item;
		retired[retired_count++]->flags |= ITEM_RETIRED;
	}
	while ((item = item_pool_compact_next(fixture.pool, 4096)) && retired_count < 4096) {
		struct item *copy = item_pool_alloc(fixture.pool, 400);

		CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
		CU_ASSERT_FALSE(item->flags & ITEM_RETIRED);
		for (uint32_t i = 0; i < retired_count; i++)
			CU_ASSERT(copy != retired[i]);
		memcpy(copy, item, 400);
		fixture.held[item->slot].item = copy;
		item->flags |= ITEM_RETIRED;
		retired[retired_count++] = item;
	}
	CU_ASSERT(retired_count > 100);
	CU_ASSERT_EQUAL(slabs_free(&fixture), free_before);
	CU_ASSERT(all_intact(&fixture));
	for (uint32_t i = 0; i < retired_count; i++)
		item_pool_free(fixture.pool, retired[i]);
	CU_ASSERT(slabs_free(&fixture) > free_before);
	CU_ASSERT_EQUAL(pool_stats(&fixture).slabs_emptied, slabs_free(&fixture) - free_before);
	fixture_fini(&fixture);
}

static void test_a_refused_item_puts_its_slab_back(void)
{
	struct fixture fixture;
	struct item *first;
	uint64_t held_before;

	fixture_init(&fixture, 4 * ITEM_SLAB_SIZE);
	held_before = fill_with(&fixture, 400);
	drop_share(&fixture, 60);
	first = item_pool_compact_next(fixture.pool, 4096);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_PTR_NULL(item_pool_compact_next(fixture.pool, 4096));
	fill_with(&fixture, 400);
	CU_ASSERT_EQUAL(fixture.held_count, held_before); /* no block is lost */
	CU_ASSERT(all_intact(&fixture));
	fixture_fini(&fixture);
}

/* Of four slabs three quarters, one half, one quarter, all of the items stay. */
static void test_the_sparsest_slab_is_emptied_into_the_fullest(void)
{
	static const uint32_t share_kept[] = { 3, 2, 1, 4 };
	uint32_t per_slab = ITEM_SLAB_SIZE / item_pool_block_size(400);
	struct fixture fixture;
	uint8_t *blocks;

	fixture_init(&fixture, 4 * ITEM_SLAB_SIZE);
	blocks = item_memory_blocks(fixture.memory);
	fill_with(&fixture, 400);
	for (uint64_t i = fixture.held_count; i-- > 0;) {
		uint64_t offset = (uint64_t)((uint8_t *)fixture.held[i].item - blocks);
		uint64_t place = offset % ITEM_SLAB_SIZE / item_pool_block_size(400);

		if (place >= per_slab * share_kept[offset / ITEM_SLAB_SIZE] / 4)
			drop(&fixture, i);
	}
	for (uint32_t i = 0; i < per_slab / 4; i++) {
		struct item *item = item_pool_compact_next(fixture.pool, 4096);
		uint32_t slot;

		CU_ASSERT_PTR_NOT_NULL_FATAL(item);
		CU_ASSERT_EQUAL(((uint8_t *)item - blocks) / ITEM_SLAB_SIZE, 2);
		slot = item->slot;
		CU_ASSERT(relocate(&fixture, item));
		item = fixture.held[slot].item;
		CU_ASSERT_EQUAL(((uint8_t *)item - blocks) / ITEM_SLAB_SIZE, 0);
	}
	CU_ASSERT_EQUAL(slabs_free(&fixture), 1);
	fixture_fini(&fixture);
}

/* Blocks that a class fetched ahead of need hold what another class left there. */
static void test_blocks_never_handed_out_are_not_named(void)
{
	struct fixture fixture;

	fixture_init(&fixture, 16 * ITEM_SLAB_SIZE);
	for (uint32_t round = 0; round < 8; round++) {
		uint32_t size = 200 + round * 300;

		fill_with(&fixture, size);
		drop_share(&fixture, 100); /* the content stays */
		for (uint32_t i = 0; i < 5 * ITEM_SLAB_SIZE / (size + 300); i++)
			hold_new(&fixture, size + 300);
		for (uint32_t small = 30; fixture.held_count > 0 && small < 60; small += 8) {
			hold_new(&fixture, small); /* fetches 16, takes one */
			fill_with(&fixture, 8000);
			drop_share(&fixture, 90);
			compact(&fixture);
		}
		CU_ASSERT(all_intact(&fixture));
		drop_share(&fixture, 100);
	}
	fixture_fini(&fixture);
}

static void test_compaction_is_bounded_per_call(void)
{
	struct fixture fixture;
	uint32_t calls = 0;

	fixture_init(&fixture, MIB);
	fill_with(&fixture, 24);
	drop_share(&fixture, 90);
	CU_ASSERT_PTR_NULL(item_pool_compact_next(fixture.pool, 0));
	while (fixture.relocated < 1000 && calls < 100000) {
		struct item *item = item_pool_compact_next(fixture.pool, 1);

		calls++;
		if (item)
			relocate(&fixture, item);
	}
	CU_ASSERT_EQUAL(fixture.relocated, 1000);
	CU_ASSERT(calls > 5000); /* one block a call, nine of ten are free */
	fixture_fini(&fixture);
}

/* A small class under a high write rate: most of its items are retired ones that a grace period
 * frees all at once. Compacting it each time would copy as much as is written.
 */
static void test_a_swelling_class_is_left_alone(void)
{
	struct fixture fixture;
	uint64_t written = 0;

	fixture_init(&fixture, 4 * MIB);
	while (slabs_free(&fixture) > 32)
		hold_new(&fixture, 8000);
	for (uint32_t period = 0; period < 400; period++) {
		uint64_t old = fixture.held_count;

		for (uint32_t turn = 0; turn < 500; turn++) {
			struct item *item = item_pool_compact_next(fixture.pool, 16);

			if (item)
				relocate(&fixture, item);
			for (uint32_t i = 0; i < 8 && hold_new(&fixture, 100); i++)
				written++;
		}
		while (fixture.held_count > old && fixture.held_count > 2000)
			drop(&fixture, fixture.held_count - 1 - below(&fixture, 1500));
	}
	CU_ASSERT(written > 400 * 3000);
	CU_ASSERT(fixture.relocated > 0);
	CU_ASSERT(fixture.relocated < written / 20);
	CU_ASSERT(all_intact(&fixture));
	fixture_fini(&fixture);
}

static void test_two_pools_hand_memory_to_each_other(void)
{
	struct item_memory *memory = memory_create(4 * MIB);
	struct fixture left;
	struct fixture right;

	fixture_init_shared(&left, memory);
	fixture_init_shared(&right, memory);
	CU_ASSERT(fill_with(&left, 100) > 0);
	CU_ASSERT_FALSE(hold_new(&right, 100));
	for (uint32_t round = 0; round < 4; round++) {
		uint64_t free_bytes;

		drop_share(&left, 60);
		free_bytes = 4 * MIB - pool_stats(&left).bytes_allocated -
			     pool_stats(&right).bytes_allocated;
		compact(&left);
		compact(&right);
		CU_ASSERT(fill_with(&right, 1048) * item_pool_block_size(1048) * 100 >=
			  free_bytes * 85);
		CU_ASSERT(all_intact(&left) && all_intact(&right));
		drop_share(&right, 70);
		compact(&right);
		compact(&left);
		CU_ASSERT(fill_with(&left, 200) > 0);
	}
	drop_share(&left, 100);
	drop_share(&right, 100);
	fixture_fini_shared(&left);
	fixture_fini_shared(&right);
	item_memory_destroy(memory);
}

/* An idle core's kept slabs do not starve the others: it gives them up when it next looks. */
static void test_an_idle_pool_gives_its_empty_slabs_up(void)
{
	struct item_memory *memory = memory_create(4 * ITEM_SLAB_SIZE);
	struct fixture idle;
	struct fixture busy;

	fixture_init_shared(&idle, memory);
	fixture_init_shared(&busy, memory);
	for (uint32_t size = 100; size <= 400; size += 100) {
		CU_ASSERT_FATAL(hold_new(&idle, size));
		drop(&idle, 0);
	}
	CU_ASSERT_FALSE(hold_new(&busy, 1000));
	for (uint32_t turn = 0; turn < ITEM_CLASS_COUNT; turn++) {
		CU_ASSERT_PTR_NULL(item_pool_compact_next(idle.pool, 16));
		fill_with(&busy, 1000);
	}
	CU_ASSERT_EQUAL(pool_stats(&idle).slabs, 0);
	CU_ASSERT_EQUAL(pool_stats(&busy).slabs, 4);
	fixture_fini_shared(&idle);
	fixture_fini_shared(&busy);
	item_memory_destroy(memory);
}

/* --- Memory made resident ahead --- */

static bool is_resident(const uint8_t *address)
{
	unsigned char vector = 0;
	uintptr_t page = (uintptr_t)address & ~UINT64_C(4095);

	CU_ASSERT_EQUAL(mincore((void *)page, 1, &vector), 0);
	return vector & 1;
}

static void test_housekeeping_makes_the_next_slabs_resident(void)
{
	struct item_memory *memory = memory_create(256 * MIB);
	const uint8_t *blocks = item_memory_blocks(memory);
	uint32_t taken = 0;

	CU_ASSERT_FALSE(is_resident(blocks));
	while (item_memory_housekeeping(memory))
		;
	CU_ASSERT(is_resident(blocks));
	CU_ASSERT(is_resident(blocks + ITEM_MEMORY_AHEAD_BYTES - 1));
	CU_ASSERT_FALSE(is_resident(blocks + ITEM_MEMORY_AHEAD_BYTES + 4 * MIB));
	while (taken < 10 * MIB / ITEM_SLAB_SIZE && item_memory_take(memory))
		taken++;
	CU_ASSERT(item_memory_housekeeping(memory));
	while (item_memory_housekeeping(memory))
		;
	CU_ASSERT(is_resident(blocks + ITEM_MEMORY_AHEAD_BYTES + 10 * MIB - 1));
	CU_ASSERT_FALSE(is_resident(blocks + 200 * MIB));
	while (taken < 256 * MIB / ITEM_SLAB_SIZE && item_memory_take(memory))
		taken++;
	CU_ASSERT_FALSE(item_memory_housekeeping(memory)); /* all lent: nothing is next */
	while (taken > 0)
		item_memory_give(memory, item_memory_slabs(memory) + --taken);
	item_memory_destroy(memory);
}

/* --- Two cores on one memory --- */

struct core {
	struct fixture fixture;
	bool is_corrupt;
};

/* Grows and shrinks in turns, compacts all the time, and checks what it drops. */
static void *work_on_shared_memory(void *argument)
{
	struct core *core = argument;
	struct fixture *fixture = &core->fixture;

	for (uint32_t step = 0; step < 300000; step++) {
		struct item *item = step % 16 ? NULL : item_pool_compact_next(fixture->pool, 32);

		if (item && is_held(fixture, item))
			relocate(fixture, item);
		if (below(fixture, 100) < (step / 20000 % 2 ? 35 : 65)) {
			hold_new(fixture, ITEM_HEADER_SIZE + (uint32_t)below(fixture, 1500));
		} else if (fixture->held_count > 0) {
			uint64_t index = below(fixture, fixture->held_count);

			core->is_corrupt |= !held_is_intact(&fixture->held[index]);
			drop(fixture, index);
		}
	}
	core->is_corrupt |= !all_intact(fixture);
	return NULL;
}

static void test_two_cores_share_memory_at_full_speed(void)
{
	struct item_memory *memory = memory_create(4 * MIB);
	struct item_memory_stats stats;
	struct core cores[2];
	pthread_t threads[2];

	for (uint32_t i = 0; i < 2; i++) {
		fixture_init_shared(&cores[i].fixture, memory);
		cores[i].is_corrupt = false;
		cores[i].fixture.random = i;
	}
	for (uint32_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&threads[i], NULL, work_on_shared_memory, &cores[i]), 0);
	for (uint32_t i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_FALSE(cores[i].is_corrupt);
		CU_ASSERT_EQUAL(pool_stats(&cores[i].fixture).items, cores[i].fixture.held_count);
	}
	/* Which of them finds sparse slabs depends on how the two take turns. */
	CU_ASSERT(cores[0].fixture.relocated + cores[1].fixture.relocated > 0);
	for (uint32_t i = 0; i < 2; i++)
		fixture_fini_shared(&cores[i].fixture);
	item_memory_stats(memory, &stats);
	CU_ASSERT_EQUAL(stats.slabs_free, stats.slab_count);
	item_memory_destroy(memory);
}

/* --- The stack of free slabs under contention --- */

struct contender {
	struct item_memory *memory;
	uint64_t random;
	uint64_t taken;
	bool is_corrupt;
};

/* Takes up to 16 slabs, writes its name into each, checks it before giving back. */
static void *contend(void *argument)
{
	struct contender *contender = argument;
	struct item_slab *slabs[16];
	uint32_t count = 0;

	for (uint32_t step = 0; step < 200000; step++) {
		if (unit_random(&contender->random) % 2 && count < 16) {
			struct item_slab *slab = item_memory_take(contender->memory);

			if (slab) {
				slab->pool = (struct item_pool *)contender;
				slabs[count++] = slab;
				contender->taken++;
			}
		} else if (count > 0) {
			if (slabs[--count]->pool != (struct item_pool *)contender)
				contender->is_corrupt = true;
			slabs[count]->pool = NULL;
			item_memory_give(contender->memory, slabs[count]);
		}
	}
	while (count > 0)
		item_memory_give(contender->memory, slabs[--count]);
	return NULL;
}

static void test_slabs_are_lent_to_one_core_at_a_time(void)
{
	struct item_memory *memory = memory_create(24 * ITEM_SLAB_SIZE);
	struct contender contenders[3];
	pthread_t threads[3];
	struct item_memory_stats stats;

	for (uint32_t i = 0; i < 3; i++) {
		contenders[i] = (struct contender){ .memory = memory, .random = i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, contend, &contenders[i]),
				      0);
	}
	for (uint32_t i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_FALSE(contenders[i].is_corrupt);
		CU_ASSERT(contenders[i].taken > 0);
	}
	item_memory_stats(memory, &stats);
	CU_ASSERT_EQUAL(stats.slabs_free, 24);
	for (uint32_t i = 0; i < 24; i++)
		CU_ASSERT_PTR_NOT_NULL(item_memory_take(memory));
	CU_ASSERT_PTR_NULL(item_memory_take(memory));
	for (uint32_t i = 0; i < 24; i++)
		item_memory_give(memory, item_memory_slabs(memory) + i);
	item_memory_destroy(memory);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_classes_fit_and_waste_little),
		UNIT_TEST(test_bad_limits_are_refused),
		UNIT_TEST(test_huge_pages_are_a_wish),
		UNIT_TEST(test_a_new_item_is_blank_also_when_reused),
		UNIT_TEST(test_full_memory_answers_null_and_recovers),
		UNIT_TEST(test_an_idle_class_gives_its_slab_to_another),
		UNIT_TEST(test_random_sizes_against_a_model),
		UNIT_TEST(test_no_slab_calcification),
		UNIT_TEST(test_without_compaction_sparse_slabs_starve_others),
		UNIT_TEST(test_compaction_leaves_dense_and_idle_memory_alone),
		UNIT_TEST(test_compaction_waits_for_retired_items),
		UNIT_TEST(test_a_refused_item_puts_its_slab_back),
		UNIT_TEST(test_the_sparsest_slab_is_emptied_into_the_fullest),
		UNIT_TEST(test_blocks_never_handed_out_are_not_named),
		UNIT_TEST(test_compaction_is_bounded_per_call),
		UNIT_TEST(test_a_swelling_class_is_left_alone),
		UNIT_TEST(test_two_pools_hand_memory_to_each_other),
		UNIT_TEST(test_an_idle_pool_gives_its_empty_slabs_up),
		UNIT_TEST(test_housekeeping_makes_the_next_slabs_resident),
		UNIT_TEST(test_two_cores_share_memory_at_full_speed),
		UNIT_TEST(test_slabs_are_lent_to_one_core_at_a_time),
		{ NULL, NULL },
	};

	return unit_run("item_pool", tests);
}
