/* SPDX-License-Identifier: BSD-3-Clause */
/* One core's allocator of items over the node's item memory. */
#ifndef STORAGE_ITEM_POOL_H
#define STORAGE_ITEM_POOL_H

#include <stdint.h>

#include "storage/item.h"
#include "storage/item_memory.h"

/* Blocks by size class, cut from slabs that the node's item memory lends:
 *
 *      class --> cache: the blocks freed last, handed out first
 *            `-> current slab, which fills the cache when it is empty
 *            `-> slabs by how full they are, in eighths: the fullest becomes current next
 *      being emptied (compaction): allocated from no more
 *
 * A slab whose last block comes back goes to the node, and can serve any size and any core. Cached
 * blocks and an empty current slab stay while the node has slabs; when it has none, they are given
 * up too: before this pool answers NULL, and bit by bit in item_pool_compact_next().
 *
 * Thread safety: owner core only, except item_pool_stats (any thread; naturally atomic counters).
 */
struct item_pool;

struct item_pool_stats {
	uint64_t items;           /* blocks handed out */
	uint64_t bytes_requested; /* sum of item sizes */
	uint64_t bytes_allocated; /* sum of block sizes */
	uint64_t slabs;           /* slabs this core holds */
	uint64_t slabs_emptied;   /* slabs that compaction gave back */
};

/* 0 or -ENOMEM. 'memory' outlives the pool. */
int item_pool_create(struct item_pool **pool, struct item_memory *memory);

/* Gives all memory back to the node, also that of items not freed. Accepts NULL. */
void item_pool_destroy(struct item_pool *pool);

/* A block of at least 'size' bytes (ITEM_HEADER_SIZE..ITEM_SIZE_MAX), 8-byte aligned,
 * ITEM_ALLOCATED set, the rest of the header zero. NULL when the node's memory limit is reached.
 * The caller sets key_size and value_size, so that item_size() of the item is 'size', before it
 * frees the item.
 */
struct item *item_pool_alloc(struct item_pool *pool, uint32_t size);

/* Gives back a block from this pool, not another core's. In a free one ITEM_ALLOCATED is clear. */
void item_pool_free(struct item_pool *pool, struct item *item);

/* The bytes a request for 'size' bytes really takes. */
uint32_t item_pool_block_size(uint32_t size);

void item_pool_stats(const struct item_pool *pool, struct item_pool_stats *stats);

/* --- Compaction, so that half-empty slabs of one size never starve another ---
 *
 * Names the next live item of a sparse slab that is worth emptying: the caller (shard) copies it
 * with item_pool_alloc, publishes the copy and retires the original (or frees it, when nobody can
 * hold it), before it calls again. An item that was named and is neither retired nor freed at the
 * next call was refused: its slab goes back into service.
 *
 * A slab is worth emptying when the node has lent more than a quarter of its memory, and the items
 * of its class fit into one slab fewer with a sixteenth to spare. So all free blocks but about a
 * sixteenth of each class are usable for any size. A class that then needs the slab back at once
 * (its free blocks were only waiting for a grace period) rests for a while.
 *
 * NULL when nothing was found among 'block_max' blocks; the next call may find more. Call it once
 * per loop turn or more, also when there is nothing to do. Items not yet published are named too:
 * call between requests, not within one.
 */
struct item *item_pool_compact_next(struct item_pool *pool, uint32_t block_max);

#endif
