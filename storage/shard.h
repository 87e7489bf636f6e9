/* SPDX-License-Identifier: BSD-3-Clause */
/* What one worker core stores: the index over its partitions, their items, what it retired. */
#ifndef STORAGE_SHARD_H
#define STORAGE_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/item.h"
#include "storage/item_pool.h"
#include "storage/key.h"
#include "storage/limits.h"
#include "storage/partition.h"
#include "storage/reclaim.h"
#include "storage/record.h"
#include "storage/status.h"

/* Thread safety: one thread, the owner core, calls the functions marked (owner). Any registered RCU
 * reader may call the others meanwhile. The housekeeping thread calls those marked (housekeeper):
 * it builds and destroys tables so that the owner never waits for memory.
 */
struct shard;

enum eviction {
	EVICTION_NONE, /* a full node answers STATUS_NO_SPACE */
	EVICTION_ON,   /* a full node evicts what was not read lately (CLOCK over slots) */
};

struct shard_options {
	const char *name;      /* of DPDK objects; at most 12 characters, unique in the process */
	uint32_t worker_index; /* 0..worker_count-1 */
	uint32_t worker_count; /* partition p belongs to worker p % worker_count */
	uint32_t partition_count;  /* of the cluster */
	uint32_t capacity_initial; /* items the first table holds; it grows online. 0: by memory */
	enum eviction eviction;
	struct item_memory *memory;  /* shared by the shards of a node; outlives them */
	struct grace_period *period; /* outlives the shard */
	const struct key_secret *secret;
};

struct shard_stats {
	uint64_t items;            /* without the tombstones of imports */
	uint64_t item_bytes;       /* keys and values */
	uint64_t index_capacity;   /* entries of the table inserts go to */
	uint64_t index_grown;      /* growths completed */
	uint64_t index_moved;      /* entries moved by growth */
	uint64_t index_collisions; /* writes refused: both halves of the key's digest were taken */
	bool is_growing;
	uint64_t expired; /* removed because their time was over */
	uint64_t evicted;
	uint64_t relocated; /* moved by compaction */
	uint64_t retired_pending;
	struct item_pool_stats pool;
};

/* 0, or -ENOMEM, -EINVAL. The options' strings are copied. */
int shard_create(struct shard **shard, const struct shard_options *options);
/* Only when no reader is left. Accepts NULL. */
void shard_destroy(struct shard *shard);

/* The partition with the cluster's number 'partition'; NULL: another worker's. Any reader. */
struct partition *shard_partition(const struct shard *shard, uint32_t partition);

/* Up to SHARD_BATCH_MAX keys looked up together: items[i] is what keys[i] maps to, or NULL. Once the owner has written
 * some of them, shard_batch_item() tells what it maps to now.
 */
struct shard_batch {
	uint32_t count;
	struct key_ref keys[SHARD_BATCH_MAX];
	struct item *items[SHARD_BATCH_MAX];
	int32_t positions[SHARD_BATCH_MAX]; /* in the index, for shard_put() */
};

/* Fills batch->items from batch->keys. Expired items are returned: the caller compares with its
 * clock. Prefetches the items. Any reader; only the owner may then write through the batch.
 */
void shard_lookup(const struct shard *shard, struct shard_batch *batch);

/* The same in two steps for 'count' keys from 'first' on, so that the caller may do other work while
 * the items are fetched: gather more keys of the batch, or execute earlier ones. In between items[]
 * holds candidates that no one but the writes to earlier keys of the same batch may touch; those
 * keep it coherent as ever. 'will_write' makes writes to these keys cheaper, and the lookup a little dearer.
 */
void shard_lookup_begin(const struct shard *shard, struct shard_batch *batch, uint32_t first,
			uint32_t count, bool will_write);
void shard_lookup_end(const struct shard *shard, struct shard_batch *batch, uint32_t first,
		      uint32_t count);

/* For shard_batch_item(). */
struct item *shard_lookup_again(const struct shard *shard, struct shard_batch *batch, uint32_t i);

/* What keys[i] maps to now (owner): items[i], unless a write to the same key in the batch has replaced or removed that,
 * or it was evicted since the lookup.
 */
static inline struct item *shard_batch_item(const struct shard *shard, struct shard_batch *batch,
					    uint32_t i)
{
	struct item *item = batch->items[i];

	return item && (item->flags & ITEM_RETIRED) ? shard_lookup_again(shard, batch, i) : item;
}

/* Fetches what else a write to keys[i] changes, some operations ahead of it (owner). Nothing when there is no such key, or
 * it is not there yet.
 */
void shard_write_prefetch(const struct shard *shard, const struct shard_batch *batch, uint32_t i);

/* A new, unpublished item for 'key' with room for 'value_size' bytes, key copied, expiry 0, version
 * 0 (owner). NULL when there is no memory: then the sweep of expired items is hurried and, where
 * allowed, items are evicted, for later requests; shard_refusal() tells the answer to this one. The
 * caller fills value and expiry, then calls shard_put() or shard_item_discard().
 */
struct item *shard_item_create(struct shard *shard, const struct key_ref *key, uint32_t value_size);

/* Why shard_item_create() just returned NULL (owner): STATUS_RETRY when memory is on its way to it,
 * which a grace period holds up; else STATUS_NO_SPACE.
 */
enum status shard_refusal(const struct shard *shard);

/* Gives back an item that was not published (owner). */
void shard_item_discard(struct shard *shard, struct item *item);

/* Publishes 'item' under batch->keys[i], replacing batch->items[i] if any, with the partition's
 * next version (owner).
 *
 * Takes 'item' on STATUS_OK, and 'item->version' then tells the version. On STATUS_NO_SPACE and
 * STATUS_RETRY nothing changed and the caller still owns 'item'.
 */
enum status shard_put(struct shard *shard, struct shard_batch *batch, uint32_t i,
		      struct item *item);

/* Removes batch->items[i] (owner). STATUS_NOT_FOUND when it is NULL. '*version' is the removal's.
 */
enum status shard_remove(struct shard *shard, struct shard_batch *batch, uint32_t i,
			 uint64_t *version);

/* Marks an item as read, for eviction (owner; others skip it). A store only when the mark is not
 * there yet.
 */
static inline void shard_mark_visited(struct item *item)
{
	if (!(item->flags & ITEM_VISITED))
		item_flag_set(item, ITEM_VISITED);
}

/* --- Migration: what the target does with the records it gets --- */

/* Applies 'count' records, at most SHARD_BATCH_MAX, to an importing partition, in order (owner):
 * the newer version of a key wins, a tombstone is kept as an item that looks expired. Returns how
 * many were applied; when fewer than 'count', '*status' tells why: STATUS_RETRY (memory, or a
 * larger index, is on its way: call again with the rest in a later turn) or STATUS_NO_SPACE.
 */
uint32_t shard_apply(struct shard *shard, struct partition *partition, const struct record *records,
		     uint32_t count, enum status *status);

/* Drops the items of a partition that is staged, or was handed over, passing at most 'slot_max'
 * slots (owner). Removes nothing in the sense of a write: nothing is versioned or shipped. True
 * when the partition is empty; it is then like a new one, but for its epoch. No request may reach
 * it.
 */
bool shard_discard_slice(struct shard *shard, struct partition *partition, uint32_t slot_max);

/* One bounded slice of background work: growth, expiry, freeing, compaction (owner; once per loop
 * turn). 'work_max' bounds the slots and entries touched. Returns how many were.
 */
uint32_t shard_background(struct shard *shard, uint64_t now_ms, uint32_t work_max);

/* Builds the next table if the owner asked for one, destroys the one it left (housekeeper). Returns
 * whether it did anything. May take as long as the kernel needs to hand out the memory; no request
 * waits for it.
 */
bool shard_housekeeping(struct shard *shard);

/* Naturally atomic counters; any thread. */
void shard_stats(const struct shard *shard, struct shard_stats *stats);

#endif
