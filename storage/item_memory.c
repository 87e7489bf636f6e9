/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of one node's items: one mapped region, a lock-free stack of free slabs. */
#include "storage/item_memory.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE_SIZE (UINT64_C(2) << 20)
#define AHEAD_SLABS ((uint32_t)(ITEM_MEMORY_AHEAD_BYTES / ITEM_SLAB_SIZE))
#define RESIDENT_SLABS_PER_CALL 64u
#define SLAB_COUNT_MAX (UINT32_MAX - 1) /* number + 1 fits 32 bits */

struct item_memory {
	struct item_slab *slabs;
	uint8_t *blocks;
	void *mapping;
	size_t mapping_size;
	uint32_t slab_count;
	bool huge_pages;

	/* Shared by the cores. 'free_top' is tag << 32 | slab number + 1; the tag changes with each
	 * exchange, so that a top taken and given back meanwhile is not mistaken for an unchanged
	 * one.
	 */
	_Alignas(64) uint64_t free_top;
	uint32_t untouched; /* slabs from this number on were never lent */
	uint32_t slabs_free;

	/* Slabs below this number were made so (housekeeping only). */
	_Alignas(64) uint32_t resident;
};

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

/* Reserves huge pages now, so that a missing one is an error here and not a signal later. */
static void *map_huge(size_t size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | (21 << MAP_HUGE_SHIFT);
	void *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	return mapping == MAP_FAILED ? NULL : mapping;
}

/* Plain pages, aligned for transparent huge ones: maps one more than that and cuts the ends off. */
static void *map_plain(size_t size)
{
	uint8_t *mapping = mmap(NULL, size + HUGE_PAGE_SIZE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (mapping == MAP_FAILED)
		return NULL;
	before = round_up((uintptr_t)mapping, HUGE_PAGE_SIZE) - (uintptr_t)mapping;
	if (before > 0)
		munmap(mapping, before);
	munmap(mapping + before + size, HUGE_PAGE_SIZE - before);
	madvise(mapping + before, size, MADV_HUGEPAGE); /* a wish: without it only speed is lost */
	return mapping + before;
}

static int map_region(struct item_memory *memory, bool want_huge_pages)
{
	size_t slab_count = memory->slab_count;
	size_t header_size = round_up(slab_count * sizeof(struct item_slab), ITEM_SLAB_SIZE);
	size_t size = round_up(header_size + slab_count * ITEM_SLAB_SIZE, HUGE_PAGE_SIZE);

	if (want_huge_pages)
		memory->mapping = map_huge(size);
	memory->huge_pages = memory->mapping != NULL;
	if (!memory->mapping)
		memory->mapping = map_plain(size);
	if (!memory->mapping)
		return -ENOMEM;
	memory->mapping_size = size;
	memory->slabs = memory->mapping;
	memory->blocks = (uint8_t *)memory->mapping + header_size;
	return 0;
}

int item_memory_create(struct item_memory **memory_out, const struct item_memory_options *options)
{
	size_t slab_count = options->limit_bytes / ITEM_SLAB_SIZE +
			    (options->limit_bytes % ITEM_SLAB_SIZE != 0);
	struct item_memory *memory;

	*memory_out = NULL;
	if (slab_count == 0 || slab_count > SLAB_COUNT_MAX)
		return -EINVAL;
	memory = aligned_alloc(_Alignof(struct item_memory), sizeof(*memory));
	if (!memory)
		return -ENOMEM;
	*memory = (struct item_memory){
		.slab_count = (uint32_t)slab_count,
		.slabs_free = (uint32_t)slab_count,
	};
	if (map_region(memory, options->huge_pages) < 0) {
		free(memory);
		return -ENOMEM;
	}
	*memory_out = memory;
	return 0;
}

void item_memory_destroy(struct item_memory *memory)
{
	if (!memory)
		return;
	assert(memory->slabs_free == memory->slab_count);
	munmap(memory->mapping, memory->mapping_size);
	free(memory);
}

void item_memory_stats(const struct item_memory *memory, struct item_memory_stats *stats)
{
	*stats = (struct item_memory_stats){
		.limit_bytes = memory->slab_count * (size_t)ITEM_SLAB_SIZE,
		.slab_size_bytes = ITEM_SLAB_SIZE,
		.slab_count = memory->slab_count,
		.slabs_free = item_memory_slabs_free(memory),
		.huge_pages = memory->huge_pages,
	};
}

/* A core that lost the race for the top reads 'next_free' of a slab that another holds by now: the
 * header is always mapped, the value is not used because the tag has changed.
 */
static struct item_slab *pop_free(struct item_memory *memory)
{
	uint64_t top = __atomic_load_n(&memory->free_top, __ATOMIC_ACQUIRE);

	while ((uint32_t)top != 0) {
		struct item_slab *slab = &memory->slabs[(uint32_t)top - 1];
		uint64_t tag = (top >> 32) + 1;
		uint64_t next = tag << 32 | __atomic_load_n(&slab->next_free, __ATOMIC_RELAXED);

		if (__atomic_compare_exchange_n(&memory->free_top, &top, next, false,
						__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE))
			return slab;
	}
	return NULL;
}

static struct item_slab *take_untouched(struct item_memory *memory)
{
	uint32_t number = __atomic_load_n(&memory->untouched, __ATOMIC_RELAXED);

	while (number < memory->slab_count) {
		if (__atomic_compare_exchange_n(&memory->untouched, &number, number + 1, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return &memory->slabs[number];
	}
	return NULL;
}

/* 'slabs_free' is lowered after a take and raised before a give: never too low. */
struct item_slab *item_memory_take(struct item_memory *memory)
{
	struct item_slab *slab = pop_free(memory);

	if (!slab)
		slab = take_untouched(memory);
	if (slab)
		__atomic_fetch_sub(&memory->slabs_free, 1, __ATOMIC_RELAXED);
	return slab;
}

void item_memory_give(struct item_memory *memory, struct item_slab *slab)
{
	uint64_t number = (uint64_t)(slab - memory->slabs);
	uint64_t top = __atomic_load_n(&memory->free_top, __ATOMIC_RELAXED);
	uint64_t next;

	assert(number < memory->slab_count);
	__atomic_fetch_add(&memory->slabs_free, 1, __ATOMIC_RELAXED);
	do {
		__atomic_store_n(&slab->next_free, (uint32_t)top, __ATOMIC_RELAXED);
		next = ((top >> 32) + 1) << 32 | (number + 1);
	} while (!__atomic_compare_exchange_n(&memory->free_top, &top, next, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

/* As if each page of the range was written to, but its content stays: cores may use it meanwhile. A
 * kernel before 5.14 refuses, and the first to use a page waits for it.
 */
static void make_resident(uint8_t *start, uint8_t *end)
{
	uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t page = (uintptr_t)start / page_size * page_size;

	madvise((void *)page, (uintptr_t)end - page, MADV_POPULATE_WRITE);
}

bool item_memory_housekeeping(struct item_memory *memory)
{
	uint32_t untouched = __atomic_load_n(&memory->untouched, __ATOMIC_RELAXED);
	uint32_t first = memory->resident > untouched ? memory->resident : untouched;
	uint32_t end = memory->slab_count;

	if (end - untouched > AHEAD_SLABS)
		end = untouched + AHEAD_SLABS;
	if (first >= end)
		return false;
	if (end - first > RESIDENT_SLABS_PER_CALL)
		end = first + RESIDENT_SLABS_PER_CALL;
	make_resident((uint8_t *)&memory->slabs[first], (uint8_t *)&memory->slabs[end]);
	make_resident(memory->blocks + (size_t)first * ITEM_SLAB_SIZE,
		      memory->blocks + (size_t)end * ITEM_SLAB_SIZE);
	memory->resident = end;
	return true;
}

uint32_t item_memory_slabs_free(const struct item_memory *memory)
{
	return __atomic_load_n(&memory->slabs_free, __ATOMIC_RELAXED);
}

uint32_t item_memory_slab_count(const struct item_memory *memory)
{
	return memory->slab_count;
}

struct item_slab *item_memory_slabs(const struct item_memory *memory)
{
	return memory->slabs;
}

uint8_t *item_memory_blocks(const struct item_memory *memory)
{
	return memory->blocks;
}
