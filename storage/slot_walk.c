/* SPDX-License-Identifier: BSD-3-Clause */
/* Partition after partition, round and round. */
#include "storage/slot_walk.h"

static void enter_next_partition(struct slot_walk *walk)
{
	partition_scan_open(walk->partitions[walk->partition_next], &walk->scan);
	walk->partition_next = (walk->partition_next + 1) % walk->partition_count;
}

/* The partition being walked: the one before 'partition_next'. */
static const struct partition *walked(const struct slot_walk *walk)
{
	uint32_t index = walk->partition_next + walk->partition_count - 1;

	return walk->partitions[index % walk->partition_count];
}

uint32_t slot_walk_step(struct slot_walk *walk, uint32_t slot_max, uint64_t expired_at_ms,
			struct item **items, uint32_t *item_count)
{
	const struct item **found = (const struct item **)items;
	uint32_t start;

	*item_count = 0;
	if (walk->partition_count == 0 || slot_max == 0)
		return 0;
	if (partition_scan_is_done(&walk->scan)) {
		enter_next_partition(walk);
		if (partition_scan_is_done(&walk->scan))
			return 1;
	}
	if (walk->skips_frozen && partition_is_frozen(walked(walk))) {
		walk->scan.next = walk->scan.end;
		return 1;
	}
	start = walk->scan.next;
	if (expired_at_ms != 0)
		*item_count = partition_scan_next_expired(walked(walk), &walk->scan, expired_at_ms,
							  slot_max, found, SLOT_WALK_ITEMS);
	else
		*item_count = partition_scan_next(walked(walk), &walk->scan, slot_max, found,
						  SLOT_WALK_ITEMS);
	for (uint32_t i = 0; i < *item_count; i++)
		__builtin_prefetch(items[i], 1);
	return walk->scan.next - start;
}
