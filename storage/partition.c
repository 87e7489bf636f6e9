/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots in chunks, the list of free slots threaded through them, versions and counts. */
#include "storage/partition.h"

#include <assert.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "storage/counter.h"
#include "storage/partition_export.h"
#include "storage/partition_layout.h"
#include "storage/slot_space.h"
#include "storage/version.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct partition *partition_create(uint32_t number, uint32_t index, struct slot_space *space)
{
	struct partition *partition = aligned_alloc(64, sizeof(*partition));

	if (!partition)
		return NULL;
	*partition = (struct partition){
		.chunks = slot_space_directory(space, index),
		.free_first = SLOT_NONE,
		.number = number,
		.space = space,
	};
	return partition;
}

void partition_destroy(struct partition *partition)
{
	free(partition);
}

uint32_t partition_number(const struct partition *partition)
{
	return partition->number;
}

void partition_stats(const struct partition *partition, struct partition_stats *stats)
{
	*stats = (struct partition_stats){
		.items = counter_read(&partition->items),
		.item_bytes = counter_read(&partition->item_bytes),
		.slots = counter_read(&partition->slot_count),
		.version_last = counter_read(&partition->version_last),
		.digest = counter_read(&partition->digest),
		.tombstones = counter_read(&partition->tombstones),
	};
}

uint32_t partition_epoch(const struct partition *partition)
{
	return __atomic_load_n(&partition->epoch, __ATOMIC_RELAXED);
}

void partition_set_epoch(struct partition *partition, uint32_t epoch)
{
	assert(epoch >= partition->epoch);
	__atomic_store_n(&partition->epoch, epoch, __ATOMIC_RELAXED);
}

uint64_t partition_version_next(struct partition *partition)
{
	uint64_t base = version_make(partition->epoch, 0);
	uint64_t last = partition->version_last;
	uint64_t next = (last > base ? last : base) + 1;

	__atomic_store_n(&partition->version_last, next, __ATOMIC_RELAXED);
	return next;
}

static uint32_t take_unused_slot(struct partition *partition)
{
	uint64_t slot = partition->slot_count;
	uintptr_t **chunk = &partition->chunks[slot >> SLOT_CHUNK_BITS];

	if (slot >= SLOT_NONE)
		return SLOT_NONE;
	if (!*chunk)
		*chunk = slot_space_take_chunk(partition->space);
	if (!*chunk)
		return SLOT_NONE;
	__atomic_store_n(&partition->slot_count, slot + 1, __ATOMIC_RELEASE);
	return (uint32_t)slot;
}

uint32_t partition_slot_take(struct partition *partition)
{
	uint32_t slot = partition->free_first;

	if (slot == SLOT_NONE)
		return take_unused_slot(partition);
	partition->free_first = (uint32_t)(*partition_slot_at(partition, slot) >> 2);
	return slot;
}

void partition_slot_return(struct partition *partition, uint32_t slot)
{
	uintptr_t link = (uintptr_t)partition->free_first << 2 | SLOT_FREE;

	__atomic_store_n(partition_slot_at(partition, slot), link, __ATOMIC_RELAXED);
	partition->free_first = slot;
}

void partition_slot_prefetch(const struct partition *partition, uint32_t slot)
{
	__builtin_prefetch(partition_slot_at(partition, slot), 1);
}

static uint64_t payload(const struct item *item)
{
	return (uint64_t)item->key_size + item->value_size;
}

static uintptr_t slot_word(const struct item *item)
{
	uint64_t expires_at_ms = item_expires_at_ms(item);
	uintptr_t word = (uintptr_t)item;

	assert((word & ~SLOT_ADDRESS) == 0);
	if (expires_at_ms != 0)
		word |= expires_at_ms >> MINUTE_MS_BITS << SLOT_MINUTE_SHIFT | SLOT_EXPIRES;
	return word;
}

static bool is_tombstone(const struct item *item)
{
	return item->flags & ITEM_TOMBSTONE;
}

static void count_in(struct partition *partition, const struct item *item)
{
	if (is_tombstone(item)) {
		counter_add(&partition->tombstones, 1);
		return;
	}
	counter_add(&partition->items, 1);
	counter_add(&partition->item_bytes, payload(item));
	counter_add(&partition->digest, version_digest(item->version));
}

static void count_out(struct partition *partition, const struct item *item)
{
	if (unlikely(is_tombstone(item))) {
		counter_subtract(&partition->tombstones, 1);
		return;
	}
	counter_subtract(&partition->items, 1);
	counter_subtract(&partition->item_bytes, payload(item));
	counter_subtract(&partition->digest, version_digest(item->version));
}

static void count_replaced(struct partition *partition, const struct item *item,
			   const struct item *old)
{
	if (unlikely((item->flags | old->flags) & ITEM_TOMBSTONE)) {
		count_out(partition, old);
		count_in(partition, item);
		return;
	}
	counter_add(&partition->item_bytes, payload(item) - payload(old));
	counter_add(&partition->digest,
		    version_digest(item->version) - version_digest(old->version));
}

/* A copy made by compaction is the same write, which was shipped already or will be scanned. */
static bool is_new_write(const struct item *item, const struct item *old)
{
	return !old || old->version != item->version;
}

void partition_slot_publish(struct partition *partition, struct item *item, const struct item *old)
{
	__atomic_store_n(partition_slot_at(partition, item->slot), slot_word(item),
			 __ATOMIC_RELEASE);
	if (old)
		count_replaced(partition, item, old);
	else
		count_in(partition, item);
	if (unlikely(partition->export) && is_new_write(item, old))
		partition_export_write(partition, item, 0);
}

/* All slots are free: begin anew, so that walks do not pass what a partition once held. A scan that
 * is under way finds free slots up to its end, or keys inserted after its beginning.
 */
static void forget_slots(struct partition *partition)
{
	partition->free_first = SLOT_NONE;
	__atomic_store_n(&partition->slot_count, 0, __ATOMIC_RELEASE);
}

void partition_slot_release(struct partition *partition, const struct item *item, uint64_t version)
{
	partition_slot_return(partition, item->slot);
	count_out(partition, item);
	if (partition->items == 0 && partition->tombstones == 0)
		forget_slots(partition);
	if (unlikely(partition->export) && version != 0)
		partition_export_write(partition, item, version);
}

/* --- Migration --- */

bool partition_is_frozen(const struct partition *partition)
{
	return partition->mode != PARTITION_LIVE;
}

void partition_freeze(struct partition *partition)
{
	assert(partition->mode != PARTITION_STAGING);
	partition->mode = PARTITION_FROZEN;
}

void partition_thaw(struct partition *partition)
{
	assert(partition->mode != PARTITION_STAGING);
	partition->mode = PARTITION_LIVE;
}

void partition_begin_import(struct partition *partition)
{
	assert(partition->items == 0 && partition->tombstones == 0 && !partition->export);
	partition->mode = PARTITION_STAGING;
	__atomic_store_n(&partition->version_last, 0, __ATOMIC_RELAXED);
}

bool partition_is_importing(const struct partition *partition)
{
	return partition->mode == PARTITION_STAGING;
}

void partition_note_version(struct partition *partition, uint64_t version)
{
	if (version_is_newer(version, partition->version_last))
		__atomic_store_n(&partition->version_last, version, __ATOMIC_RELAXED);
}

void partition_finalize_import(struct partition *partition, uint32_t epoch, uint64_t version)
{
	assert(partition->mode == PARTITION_STAGING);
	partition_note_version(partition, version);
	partition_set_epoch(partition, epoch);
	partition->mode = PARTITION_LIVE;
}

void partition_discard_open(const struct partition *partition, struct partition_scan *scan)
{
	scan->next = partition->discard_next;
	scan->end = (uint32_t)partition->slot_count;
}

bool partition_discard_close(struct partition *partition, const struct partition_scan *scan)
{
	bool is_empty = partition->items == 0 && partition->tombstones == 0;

	partition->discard_next = is_empty || partition_scan_is_done(scan) ? 0 : scan->next;
	if (is_empty)
		partition->mode = PARTITION_LIVE;
	return is_empty;
}

void partition_scan_open(const struct partition *partition, struct partition_scan *scan)
{
	scan->next = 0;
	scan->end = (uint32_t)__atomic_load_n(&partition->slot_count, __ATOMIC_ACQUIRE);
}

/* Whether the item expires in the minute of 'now_ms' or before: within half a cycle of 50 days. */
static bool may_be_expired(uintptr_t word, uint64_t now_ms)
{
	uint16_t minute = (uint16_t)(word >> SLOT_MINUTE_SHIFT);
	uint16_t now = (uint16_t)(now_ms >> MINUTE_MS_BITS);

	return (word & SLOT_EXPIRES) && (int16_t)(uint16_t)(minute - now) <= 0;
}

/* Walks on while 'items' has room, over at most 'slot_max' slots. 'now_ms' is 0: takes all items,
 * else those that may be expired.
 */
static inline uint32_t collect(const struct partition *partition, struct partition_scan *scan,
			       uint64_t now_ms, uint32_t slot_max, const struct item **items,
			       uint32_t item_max)
{
	uint32_t left = scan->end - scan->next;
	uint32_t end = scan->next + (slot_max < left ? slot_max : left);
	uint32_t slot = scan->next;
	uint32_t count = 0;

	while (slot < end && count < item_max) {
		uintptr_t word =
			__atomic_load_n(partition_slot_at(partition, slot++), __ATOMIC_CONSUME);

		if (slot_has_item(word) && (now_ms == 0 || may_be_expired(word, now_ms)))
			items[count++] = slot_item(word);
	}
	scan->next = slot;
	return count;
}

uint32_t partition_scan_next(const struct partition *partition, struct partition_scan *scan,
			     uint32_t slot_max, const struct item **items, uint32_t item_max)
{
	return collect(partition, scan, 0, slot_max, items, item_max);
}

uint32_t partition_scan_next_expired(const struct partition *partition, struct partition_scan *scan,
				     uint64_t now_ms, uint32_t slot_max, const struct item **items,
				     uint32_t item_max)
{
	return collect(partition, scan, now_ms, slot_max, items, item_max);
}
