/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a partition, for partition.c and partition_export.c alone. */
#ifndef STORAGE_PARTITION_LAYOUT_H
#define STORAGE_PARTITION_LAYOUT_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/item.h"
#include "storage/slot_space.h"

struct partition_export;

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

/* The first cache line is what every write touches, the second what few do. */
struct partition {
	uintptr_t **chunks;  /* by slot >> SLOT_CHUNK_BITS; those below 'slot_count' never change */
	uint64_t slot_count; /* released after the chunk pointer: a bound for who begins to read */
	uint32_t free_first; /* SLOT_NONE: no free slot */
	uint32_t epoch;
	uint64_t version_last;
	uint64_t items; /* these three without tombstones */
	uint64_t item_bytes;
	uint64_t digest;
	struct partition_export *export; /* NULL: it is not migrating */

	_Alignas(64) uint64_t tombstones;
	struct slot_space *space;
	uint32_t number;
	uint32_t discard_next; /* the first slot that a discard has not yet passed */
	uint8_t mode;          /* enum partition_mode */
};

static_assert(offsetof(struct partition, tombstones) == 64, "one cache line for writes");

static inline uintptr_t *partition_slot_at(const struct partition *partition, uint32_t slot)
{
	return &partition->chunks[slot >> SLOT_CHUNK_BITS][slot & (SLOT_CHUNK_SLOTS - 1)];
}

static inline bool slot_has_item(uintptr_t word)
{
	return word != 0 && !(word & SLOT_FREE);
}

static inline struct item *slot_item(uintptr_t word)
{
	return (struct item *)(word & SLOT_ADDRESS);
}

#endif
