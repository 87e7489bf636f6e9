/* SPDX-License-Identifier: BSD-3-Clause */
/* One partition inside a shard: slots, version counter, counts. */
#ifndef STORAGE_PARTITION_H
#define STORAGE_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/item.h"

/* A partition's items by slot: slot -> item under RCU. A key keeps its slot for life; scans walk slots, never the index
 * (cuckoo displacement moves entries behind an index cursor).
 *
 * Thread safety: functions marked (owner) are called by the worker that owns the partition. Any registered RCU
 * reader may call the others meanwhile.
 */
struct partition;

struct partition_stats {
	uint64_t items;
	uint64_t item_bytes;   /* keys and values */
	uint64_t slots;        /* slots ever used: the bound of a scan */
	uint64_t version_last; /* of the newest write */
};

uint32_t partition_number(const struct partition *partition);
void partition_stats(const struct partition *partition, struct partition_stats *stats);

/* The epoch that the versions of new writes carry. (owner) sets it; it only grows. */
uint32_t partition_epoch(const struct partition *partition);
void partition_set_epoch(struct partition *partition, uint32_t epoch);

/* A finite walk in slot order. 'end' is fixed when the scan opens, so a scan ends whatever the write rate: keys that were
 * there all along are returned exactly once, keys written meanwhile once or not at all.
 */
struct partition_scan {
	uint32_t next; /* the first slot not yet visited */
	uint32_t end;
};

void partition_scan_open(const struct partition *partition, struct partition_scan *scan);

/* Stores up to 'item_max' live items in 'items', visiting at most 'slot_max' slots, and returns how many. The scan is over
 * when partition_scan_is_done(). The items live until the caller's next quiescent state. Expired items are returned.
 */
uint32_t partition_scan_next(const struct partition *partition, struct partition_scan *scan, uint32_t slot_max,
			     const struct item **items, uint32_t item_max);

static inline bool partition_scan_is_done(const struct partition_scan *scan)
{
	return scan->next >= scan->end;
}

#endif
