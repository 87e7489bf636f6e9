/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for items: one region per node with a configured limit, cut into slabs; per-core size classes. */
#ifndef STORAGE_ITEM_POOL_H
#define STORAGE_ITEM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/item.h"

/* All item memory of one node: a reserved range of 'limit' bytes, handed out in slabs of
 * ITEM_SLAB_SIZE. Huge pages when the system has them, else plain pages with MADV_HUGEPAGE; plain memory
 * becomes resident when a slab is first used.
 *
 * Thread safety: slabs are taken and given back by any pool, lock-free (a tagged stack). create and destroy
 * are called by the control plane while no pool exists.
 */
struct item_memory;

struct item_memory_options {
	size_t limit_bytes; /* of items, rounded up to whole slabs; index and slots come on top */
	bool huge_pages;    /* try MAP_HUGETLB first */
};

struct item_memory_stats {
	size_t limit_bytes;
	size_t slab_size_bytes;
	uint32_t slab_count;
	uint32_t slabs_free;
	bool huge_pages; /* whether the region really is on huge pages */
};

int item_memory_create(struct item_memory **memory, const struct item_memory_options *options);
void item_memory_destroy(struct item_memory *memory);
void item_memory_stats(const struct item_memory *memory, struct item_memory_stats *stats);

/* One core's allocator over a node's item memory.
 *
 * Thread safety: owner core only, except item_pool_stats (any thread; naturally atomic counters).
 */
struct item_pool;

struct item_pool_stats {
	uint64_t items;           /* blocks handed out */
	uint64_t bytes_requested; /* sum of item sizes */
	uint64_t bytes_allocated; /* sum of block sizes */
	uint64_t slabs;           /* slabs this core holds */
};

int item_pool_create(struct item_pool **pool, struct item_memory *memory);
void item_pool_destroy(struct item_pool *pool);

/* A block of at least 'size' bytes (ITEM_HEADER_SIZE..ITEM_SIZE_MAX), 8-byte aligned, ITEM_ALLOCATED set, the rest
 * of the header zero. NULL when the node's memory limit is reached.
 */
struct item *item_pool_alloc(struct item_pool *pool, uint32_t size);

/* Gives back a block from this pool (not another core's). A slab whose last block is freed returns to the node and can
 * serve any size.
 */
void item_pool_free(struct item_pool *pool, struct item *item);

/* The bytes a request for 'size' bytes really takes. */
uint32_t item_pool_block_size(uint32_t size);

void item_pool_stats(const struct item_pool *pool, struct item_pool_stats *stats);

/* --- Compaction, so that half-empty slabs of one size never starve another ---
 *
 * item_pool_compact_next() names the next live item of the sparsest slab worth emptying, or NULL when none is: the caller
 * (shard) copies it with item_pool_alloc, publishes the copy and retires the original. Allocation never picks a slab
 * that is being emptied. Bounded: looks at no more than 'block_max' blocks per call.
 */
struct item *item_pool_compact_next(struct item_pool *pool, uint32_t block_max);

#endif
