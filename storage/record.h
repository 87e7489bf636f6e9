/* SPDX-License-Identifier: BSD-3-Clause */
/* One write as it travels from node to node: an item, or the removal of its key. */
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/item.h"

/* Key and value are borrowed. */
struct record {
	uint64_t version;
	uint64_t expires_at_ms; /* unix milliseconds, 48 bits; 0 = never, and in a tombstone */
	const uint8_t *key;
	const uint8_t *value; /* not looked at when value_size is 0 */
	uint16_t value_size;  /* bytes; 0 in a tombstone */
	uint8_t key_size;     /* 1..KEY_SIZE_MAX bytes */
	bool is_tombstone;
};

/* The record of a live item; borrows the item. */
static inline struct record record_of_item(const struct item *item)
{
	return (struct record){
		.version = item->version,
		.expires_at_ms = item_expires_at_ms(item),
		.key = item_key(item),
		.value = item_value(item),
		.value_size = item->value_size,
		.key_size = item->key_size,
	};
}

/* The record of the removal of 'item' by the write 'version'; borrows the item. */
static inline struct record record_of_removal(const struct item *item, uint64_t version)
{
	return (struct record){
		.version = version,
		.key = item_key(item),
		.key_size = item->key_size,
		.is_tombstone = true,
	};
}

#endif
