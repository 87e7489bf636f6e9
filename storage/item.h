/* SPDX-License-Identifier: BSD-3-Clause */
/* One key with its value: the layout in memory, immutable once published. */
#ifndef STORAGE_ITEM_H
#define STORAGE_ITEM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/limits.h"

/* An item, 24 bytes of header, then the key, then the value:
 *
 *      0        8     12            16      18         20          22        23     24
 *      +--------+-----+-------------+-------+----------+-----------+---------+------+----+------+
 *      |version |slot |expiry low 32|exp. hi|partition |value_size |key_size |flags |key |value |
 *      +--------+-----+-------------+-------+----------+-----------+---------+------+----+------+
 *
 * Thread safety: everything but 'flags' is written before the item is published and never after, so
 * any RCU reader may read it without a fence beyond rcu_dereference. 'flags' is written by the
 * owner core alone. An item found under RCU lives until the reader's next quiescent state.
 */
struct item {
	uint64_t version;           /* epoch << 40 | sequence */
	uint32_t slot;              /* in its partition; stable for the life of the key */
	uint32_t expires_at_ms_low; /* node clock, unix milliseconds, 48 bits; 0 = never */
	uint16_t expires_at_ms_high;
	uint16_t partition;
	uint16_t value_size; /* bytes */
	uint8_t key_size;    /* bytes */
	uint8_t flags;       /* enum item_flag; written by the owner core only */
	uint8_t bytes[];     /* key_size bytes of key, value_size bytes of value */
};

#define ITEM_HEADER_SIZE 24u
static_assert(sizeof(struct item) == ITEM_HEADER_SIZE, "the header is 24 bytes");
static_assert(offsetof(struct item, bytes) == ITEM_HEADER_SIZE, "no padding before the key");

enum item_flag {
	ITEM_ALLOCATED = 1 << 0, /* the pool handed this block out; clear in a free block */
	ITEM_VISITED = 1 << 1,   /* read since the eviction hand last passed */
	ITEM_RETIRED = 1 << 2,   /* unpublished; freed after a grace period */
	ITEM_TOMBSTONE = 1 << 3, /* of an import: the key was removed; expired for whoever looks */
};

#define ITEM_SIZE_MAX (ITEM_HEADER_SIZE + KEY_SIZE_MAX + VALUE_SIZE_MAX)

/* Bytes an item takes before size-class rounding. */
static inline uint32_t item_size(uint32_t key_size, uint32_t value_size)
{
	return ITEM_HEADER_SIZE + key_size + value_size;
}

/* Of a published item (owner): an exporter may read its flags meanwhile. */
static inline void item_flag_set(struct item *item, enum item_flag flag)
{
	__atomic_store_n(&item->flags, (uint8_t)(item->flags | flag), __ATOMIC_RELAXED);
}

static inline void item_flag_clear(struct item *item, enum item_flag flag)
{
	__atomic_store_n(&item->flags, (uint8_t)(item->flags & ~flag), __ATOMIC_RELAXED);
}

static inline const uint8_t *item_key(const struct item *item)
{
	return item->bytes;
}

static inline const uint8_t *item_value(const struct item *item)
{
	return item->bytes + item->key_size;
}

/* For the builder of an item that is not yet published. */
static inline uint8_t *item_value_unpublished(struct item *item)
{
	return item->bytes + item->key_size;
}

/* Unix milliseconds by the node's clock; 0 = never. */
static inline uint64_t item_expires_at_ms(const struct item *item)
{
	return ((uint64_t)item->expires_at_ms_high << 32) | item->expires_at_ms_low;
}

static inline void item_set_expires_at_ms(struct item *item, uint64_t expires_at_ms)
{
	item->expires_at_ms_low = (uint32_t)expires_at_ms;
	item->expires_at_ms_high = (uint16_t)(expires_at_ms >> 32);
}

static inline bool item_is_expired(const struct item *item, uint64_t now_ms)
{
	uint64_t expires_at_ms = item_expires_at_ms(item);

	return expires_at_ms != 0 && expires_at_ms <= now_ms;
}

#endif
