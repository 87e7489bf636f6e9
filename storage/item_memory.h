/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of one node's items: one mapped region with a limit, lent to cores slab by slab. */
#ifndef STORAGE_ITEM_MEMORY_H
#define STORAGE_ITEM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu/list.h>

#include "storage/item_class.h"

struct item;
struct item_pool;

/* What is known of one slab. Headers stand apart from the slabs, densely: at the head of each slab
 * they would all fall into the same few cache sets.
 *
 *      region: | headers, 64 bytes each | slab 0: 64 KiB | slab 1 | ... |
 *
 * Thread safety: a header belongs to the pool that holds the slab; only 'next_free' is the
 * memory's.
 */
struct item_slab {
	_Alignas(64) struct cds_list_head list; /* a list of its pool */
	struct item_pool *pool;                 /* the holder; NULL while free */
	struct item *free_items;                /* blocks given back, linked by item.version */
	uint32_t next_free; /* in the stack of free slabs: number + 1, 0 = last */
	uint16_t block_count;
	uint16_t touched;   /* blocks handed out at least once: the first so many */
	uint16_t used;      /* blocks handed out now */
	uint16_t threshold; /* when 'used' sinks to this, the pool files the slab anew */
	uint8_t item_class;
	uint8_t band;
	bool is_draining;
};

static_assert(sizeof(struct item_slab) == 64, "one cache line, so that cores do not share one");

/* All item memory of one node: a reserved range of 'limit_bytes'. Huge pages when the system has
 * them, else plain pages with MADV_HUGEPAGE. Memory becomes resident shortly before a slab is first
 * used; slabs used before are lent first.
 *
 * Thread safety: slabs are taken and given back by any pool, lock-free (a tagged stack);
 * item_memory_stats by any thread; item_memory_housekeeping by one thread at a time. create and
 * destroy are called by the control plane while no pool exists.
 */
struct item_memory;

struct item_memory_options {
	size_t limit_bytes; /* of slabs, rounded up to whole ones; index and slots come on top */
	bool huge_pages;    /* try MAP_HUGETLB first */
};

struct item_memory_stats {
	size_t limit_bytes;
	size_t slab_size_bytes;
	uint32_t slab_count;
	uint32_t slabs_free;
	bool huge_pages; /* whether the region really is on huge pages */
};

/* 0, -EINVAL when the limit is 0 or more than 2^32 - 2 slabs, or -ENOMEM. */
int item_memory_create(struct item_memory **memory, const struct item_memory_options *options);

/* Accepts NULL. Pools must be destroyed before. */
void item_memory_destroy(struct item_memory *memory);

void item_memory_stats(const struct item_memory *memory, struct item_memory_stats *stats);

/* Bytes of slabs never lent yet that housekeeping keeps resident. */
#define ITEM_MEMORY_AHEAD_BYTES (UINT64_C(16) << 20)

/* Makes the slabs that are next to be lent resident, a few MiB per call, so that no core waits in a
 * page fault while the kernel clears a page (milliseconds, when a hypervisor has to find a huge
 * one). Returns whether it did anything. Not calling it costs latency only.
 */
bool item_memory_housekeeping(struct item_memory *memory);

/* --- For item_pool --- */

/* A slab for the caller alone, its header's content undefined; NULL when all are lent. */
struct item_slab *item_memory_take(struct item_memory *memory);
/* Gives back a slab in which nothing is left that anybody may read. */
void item_memory_give(struct item_memory *memory, struct item_slab *slab);

/* Slabs not lent: a snapshot. */
uint32_t item_memory_slabs_free(const struct item_memory *memory);
uint32_t item_memory_slab_count(const struct item_memory *memory);

/* The first header, and the first byte of the first slab. */
struct item_slab *item_memory_slabs(const struct item_memory *memory);
uint8_t *item_memory_blocks(const struct item_memory *memory);

#endif
