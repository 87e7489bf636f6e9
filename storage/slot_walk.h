/* SPDX-License-Identifier: BSD-3-Clause */
/* An endless walk over the slots of all partitions of a shard, for the sweep of expired items and
 * the eviction hand.
 */
#ifndef STORAGE_SLOT_WALK_H
#define STORAGE_SLOT_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/item.h"
#include "storage/partition.h"

/* Items of one step, fetched from memory together. */
#define SLOT_WALK_ITEMS 16u

/* Thread safety: owner core only. */
struct slot_walk {
	struct partition *const *partitions; /* the shard's */
	uint32_t partition_count;
	uint32_t partition_next; /* index of the partition after the one being walked */
	struct partition_scan scan;
	bool skips_frozen; /* passes partitions whose items must stay */
};

/* One step: goes on until SLOT_WALK_ITEMS items are found, 'slot_max' slots passed or the partition
 * ends. Returns the slots passed, at least 1 when 'slot_max' is: an empty
 * partition, or one that is skipped, counts as one.
 * 'expired_at_ms' is 0 for all items, else leaves out those certain not to be expired then. The
 * items were prefetched.
 */
uint32_t slot_walk_step(struct slot_walk *walk, uint32_t slot_max, uint64_t expired_at_ms,
			struct item **items, uint32_t *item_count);

#endif
