/* SPDX-License-Identifier: BSD-3-Clause */
/* Slots in chunks, the list of free slots threaded through them, versions and counts. */
#include "storage/partition.h"

#include <assert.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "storage/counter.h"
#include "storage/slot_space.h"
#include "storage/version.h"

/* What is in a slot. Items are 8-byte aligned and their addresses have 48 bits, so the rest of a
 * word tells:
 *
 *      0                              never used
 *      next free slot << 2 | FREE     in the list of free slots, or it was when last used
 *      minute << 48 | item | EXPIRES  an item with an expiry, and about when
 *      item                           an item without
 *
 * 'minute' is the expiry in units of 65.5 seconds, modulo 2^16: the sweep for expired items reads
 * slot after slot, but only few items.
 */
#define SLOT_FREE ((uintptr_t)1)
#define SLOT_EXPIRES ((uintptr_t)2)
#define SLOT_ADDRESS ((((uintptr_t)1 << 48) - 1) & ~(SLOT_FREE | SLOT_EXPIRES))
#define SLOT_MINUTE_SHIFT 48
#define MINUTE_MS_BITS 16

static_assert(sizeof(uintptr_t) == 8, "a slot is a 64-bit word");

struct partition {
	uintptr_t **chunks;  /* by slot >> SLOT_CHUNK_BITS; those below 'slot_count' never change */
	uint64_t slot_count; /* released after the chunk pointer: a bound for who begins to read */
	uint32_t free_first; /* SLOT_NONE: no free slot */
	uint32_t number;
	uint32_t epoch;
	uint64_t version_last;
	uint64_t items;
	uint64_t item_bytes;
	struct slot_space *space;
} __attribute__((aligned(64)));

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

static uintptr_t *slot_at(const struct partition *partition, uint32_t slot)
{
	return &partition->chunks[slot >> SLOT_CHUNK_BITS][slot & (SLOT_CHUNK_SLOTS - 1)];
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
	partition->free_first = (uint32_t)(*slot_at(partition, slot) >> 2);
	return slot;
}

void partition_slot_return(struct partition *partition, uint32_t slot)
{
	uintptr_t link = (uintptr_t)partition->free_first << 2 | SLOT_FREE;

	__atomic_store_n(slot_at(partition, slot), link, __ATOMIC_RELAXED);
	partition->free_first = slot;
}

void partition_slot_prefetch(const struct partition *partition, uint32_t slot)
{
	__builtin_prefetch(slot_at(partition, slot), 1);
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

void partition_slot_publish(struct partition *partition, struct item *item, const struct item *old)
{
	__atomic_store_n(slot_at(partition, item->slot), slot_word(item), __ATOMIC_RELEASE);
	counter_add(&partition->items, old ? 0 : 1);
	counter_add(&partition->item_bytes, payload(item) - (old ? payload(old) : 0));
}

/* All slots are free: begin anew, so that walks do not pass what a partition once held. A scan that is
 * under way finds free slots up to its end, or keys inserted after its beginning.
 */
static void forget_slots(struct partition *partition)
{
	partition->free_first = SLOT_NONE;
	__atomic_store_n(&partition->slot_count, 0, __ATOMIC_RELEASE);
}

void partition_slot_release(struct partition *partition, const struct item *item)
{
	partition_slot_return(partition, item->slot);
	counter_subtract(&partition->items, 1);
	counter_subtract(&partition->item_bytes, payload(item));
	if (partition->items == 0)
		forget_slots(partition);
}

void partition_scan_open(const struct partition *partition, struct partition_scan *scan)
{
	scan->next = 0;
	scan->end = (uint32_t)__atomic_load_n(&partition->slot_count, __ATOMIC_ACQUIRE);
}

static bool has_item(uintptr_t word)
{
	return word != 0 && !(word & SLOT_FREE);
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
		uintptr_t word = __atomic_load_n(slot_at(partition, slot++), __ATOMIC_CONSUME);

		if (has_item(word) && (now_ms == 0 || may_be_expired(word, now_ms)))
			items[count++] = (const struct item *)(word & SLOT_ADDRESS);
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
