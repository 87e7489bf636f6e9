/* SPDX-License-Identifier: BSD-3-Clause */
/* One partition inside a shard: slots, version counter, counts. */
#ifndef STORAGE_PARTITION_H
#define STORAGE_PARTITION_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/item.h"

/* A partition's items by slot: slot -> item under RCU. A key keeps its slot from its insertion to
 * its removal; scans walk slots, never the index (cuckoo displacement moves entries behind an index
 * cursor).
 *
 * Thread safety: functions marked (owner) are called by the worker that owns the partition. Any
 * registered RCU reader may call the others meanwhile.
 */
struct partition;

struct partition_stats {
	uint64_t items;
	uint64_t item_bytes;   /* keys and values */
	uint64_t slots;        /* used since the partition was empty: the bound of a scan */
	uint64_t version_last; /* of the newest write */
	uint64_t digest;       /* sum of version_digest() over the items: equal for equal copies */
	uint64_t tombstones;   /* left by an import, in none of the above; swept within seconds */
};

/* What may happen to the items: expiry and eviction remove them from a LIVE partition only. */
enum partition_mode {
	PARTITION_LIVE,
	PARTITION_FROZEN,  /* handed over, or about to be: it must not change behind a snapshot */
	PARTITION_STAGING, /* an import: written by shard_apply() alone, asked by nobody */
};

uint32_t partition_number(const struct partition *partition);
/* The owner gets numbers of one moment between two writes; others each number by itself. */
void partition_stats(const struct partition *partition, struct partition_stats *stats);

/* The epoch that the versions of new writes carry. (owner) sets it; it only grows. */
uint32_t partition_epoch(const struct partition *partition);
void partition_set_epoch(struct partition *partition, uint32_t epoch);

/* A finite walk in slot order. 'end' is fixed when the scan opens, so a scan ends whatever the
 * write rate.
 *
 * A key that was there all along is returned exactly once: it keeps one slot all that time,
 * overwritten or not, and the cursor passes every slot below 'end' once. A key inserted meanwhile
 * is returned once, or not at all when its slot is behind the cursor or past the end. A key removed
 * and inserted again meanwhile is a new key in a new slot: it may be returned once for each life.
 * That a removed key's slot is given to another key at once does no harm: the slot is one word,
 * which names the old item, no item or the new one.
 */
struct partition_scan {
	uint32_t next; /* the first slot not yet visited */
	uint32_t end;
};

void partition_scan_open(const struct partition *partition, struct partition_scan *scan);

/* Stores up to 'item_max' live items in 'items', visiting at most 'slot_max' slots, and returns how
 * many. The scan is over when partition_scan_is_done(). The items live until the caller's next
 * quiescent state. Expired items are returned.
 */
uint32_t partition_scan_next(const struct partition *partition, struct partition_scan *scan,
			     uint32_t slot_max, const struct item **items, uint32_t item_max);

static inline bool partition_scan_is_done(const struct partition_scan *scan)
{
	return scan->next >= scan->end;
}

/* --- Migration: modes. All (owner); see partition_export.h for the way out. --- */

bool partition_is_frozen(const struct partition *partition); /* or staging */

/* From LIVE to FROZEN and back; the partition is not importing. */
void partition_freeze(struct partition *partition);
void partition_thaw(struct partition *partition);

/* From LIVE to STAGING. The partition is empty; what it once held is forgotten. */
void partition_begin_import(struct partition *partition);
bool partition_is_importing(const struct partition *partition);

/* From STAGING to LIVE: what was applied is the partition from now on, as a whole. New writes are
 * of 'epoch', and come after 'version', the highest ever given by the source, and every version
 * applied. Tombstones are left to the sweep of expired items, which they look like.
 */
void partition_finalize_import(struct partition *partition, uint32_t epoch, uint64_t version);

/* --- For the shard: how a write changes a partition. All (owner). --- */

struct slot_space;

/* 'number' is the cluster's, 'index' the shard's own count. NULL when there is no memory. */
struct partition *partition_create(uint32_t number, uint32_t index, struct slot_space *space);
/* Accepts NULL. The items are the caller's. */
void partition_destroy(struct partition *partition);

/* The version of the next write: greater than every earlier one and than every version of an
 * earlier epoch.
 */
uint64_t partition_version_next(struct partition *partition);

/* A free slot, or SLOT_NONE when the address space reserved for slots is used up. It stays empty
 * for readers.
 */
uint32_t partition_slot_take(struct partition *partition);

/* Fetches the word of 'slot' from memory, for a partition_slot_publish() soon. */
void partition_slot_prefetch(const struct partition *partition, uint32_t slot);

/* Publishes 'item', whole and never to change, in its slot and counts it. 'old' is the item it
 * replaces, or NULL.
 */
void partition_slot_publish(struct partition *partition, struct item *item, const struct item *old);

/* Takes the slot's item away from readers and makes the slot free. 'version' is the removal's; 0
 * when the item is dropped without a removal, because the partition is another node's.
 */
void partition_slot_release(struct partition *partition, const struct item *item, uint64_t version);

/* Makes a slot free that was taken and never published. */
void partition_slot_return(struct partition *partition, uint32_t slot);

/* The partition has a write of 'version', made elsewhere. */
void partition_note_version(struct partition *partition, uint64_t version);

/* The walk of a discard goes on where the last slice ended. partition_discard_close() tells whether
 * the partition is empty, and then makes it LIVE.
 */
void partition_discard_open(const struct partition *partition, struct partition_scan *scan);
bool partition_discard_close(struct partition *partition, const struct partition_scan *scan);

/* Like partition_scan_next(), but leaves out items that are certain not to be expired at 'now_ms',
 * which is not 0; the caller looks at the others. Those it returns too early are within a minute of
 * their expiry, or more than 24 days away from it.
 */
uint32_t partition_scan_next_expired(const struct partition *partition, struct partition_scan *scan,
				     uint64_t now_ms, uint32_t slot_max, const struct item **items,
				     uint32_t item_max);

#endif
