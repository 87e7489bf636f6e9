/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition small enough to think about. */
#include "tests/simulation/toy_store.h"

#include <assert.h>
#include <string.h>

#include "storage/version.h"

void toy_store_init(struct toy_store *store, uint32_t ring_size)
{
	assert(ring_size <= TOY_RING_MAX);
	memset(store, 0, sizeof(*store));
	for (uint32_t i = 0; i < TOY_KEY_COUNT; i++) {
		store->slot_keys[i] = TOY_SLOT_NONE;
		store->key_slots[i] = TOY_SLOT_NONE;
	}
	store->ring_size = ring_size;
}

/* splitmix64's finalizer. */
static uint64_t mix64(uint64_t z)
{
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

const struct toy_item *toy_store_find(const struct toy_store *store, uint32_t key)
{
	return store->items[key].version ? &store->items[key] : NULL;
}

uint32_t toy_store_slot(const struct toy_store *store, uint32_t key)
{
	return store->key_slots[key];
}

static void take_slot(struct toy_store *store, uint32_t key)
{
	uint32_t slot =
		store->free_count > 0 ? store->free_slots[--store->free_count] : store->slot_end++;

	store->slot_keys[slot] = key;
	store->key_slots[key] = slot;
}

static void set(struct toy_store *store, uint32_t key, const struct toy_item *item)
{
	struct toy_item *old = &store->items[key];

	if (old->version == 0) {
		take_slot(store, key);
		store->item_count++;
	} else {
		store->digest -= mix64(old->version);
	}
	store->digest += mix64(item->version);
	*old = *item;
}

static void unset(struct toy_store *store, uint32_t key)
{
	uint32_t slot = store->key_slots[key];

	store->digest -= mix64(store->items[key].version);
	store->items[key] = (struct toy_item){ .version = 0 };
	store->item_count--;
	store->slot_keys[slot] = TOY_SLOT_NONE;
	store->key_slots[key] = TOY_SLOT_NONE;
	store->free_slots[store->free_count++] = slot;
}

static uint64_t next_version(struct toy_store *store)
{
	uint64_t first = version_make(store->epoch, 1);

	store->version_last = store->version_last < first ? first : store->version_last + 1;
	return store->version_last;
}

struct toy_record toy_store_put(struct toy_store *store, uint32_t key, uint64_t value,
				uint64_t expires_at_ms)
{
	struct toy_record record = { .key = key,
				     .item = { .version = next_version(store),
					       .value = value,
					       .expires_at_ms = expires_at_ms } };

	set(store, key, &record.item);
	return record;
}

struct toy_record toy_store_remove(struct toy_store *store, uint32_t key, uint32_t *slot)
{
	struct toy_record record = { .key = key,
				     .is_tombstone = true,
				     .item = { .version = next_version(store) } };

	*slot = store->key_slots[key];
	unset(store, key);
	return record;
}

/* ---- the source ---- */

void toy_store_mark(struct toy_store *store)
{
	store->cursor = 0;
	store->ship_from = store->slot_end;
	store->scan_end = TOY_SLOT_NONE;
	store->delta_last = 0;
	store->is_delta_lost = false;
	store->ring_count = 0;
}

bool toy_store_is_migrated(const struct toy_store *store, uint32_t slot, uint32_t cursor)
{
	return slot < cursor || slot >= store->ship_from;
}

void toy_store_ship(struct toy_store *store, const struct toy_record *record)
{
	if (store->ring_count == store->ring_size) {
		store->is_delta_lost = true;
		return;
	}
	store->ring[store->ring_count++] = *record;
	store->delta_last++;
}

uint32_t toy_store_drain(struct toy_store *store, uint32_t max, struct toy_record *records)
{
	uint32_t count = store->ring_count < max ? store->ring_count : max;

	memcpy(records, store->ring, count * sizeof(records[0]));
	store->ring_count -= count;
	memmove(store->ring, store->ring + count, store->ring_count * sizeof(records[0]));
	return count;
}

bool toy_store_drop(struct toy_store *store, uint32_t max)
{
	uint32_t ring_size = store->ring_size;

	for (uint32_t key = 0; key < TOY_KEY_COUNT && max > 0; key++) {
		if (store->items[key].version == 0 && store->tombstones[key] == 0)
			continue;
		if (store->items[key].version != 0)
			unset(store, key);
		store->tombstones[key] = 0;
		max--;
	}
	if (!toy_store_is_empty(store))
		return false;
	toy_store_init(store, ring_size);
	return true;
}

/* ---- the target ---- */

void toy_store_apply(struct toy_store *store, const struct toy_rules *rules,
		     const struct toy_record *record)
{
	uint64_t version = record->item.version;
	uint64_t *tombstone = &store->tombstones[record->key];
	struct toy_item *item = &store->items[record->key];

	if (version > store->version_last)
		store->version_last = version;
	if (rules->compares_versions && (version <= item->version || version <= *tombstone))
		return;
	if (record->is_tombstone) {
		if (item->version != 0)
			unset(store, record->key);
		*tombstone = rules->keeps_tombstones ? version : 0;
	} else {
		*tombstone = 0;
		set(store, record->key, &record->item);
	}
}

void toy_store_finalize(struct toy_store *store, uint32_t epoch, uint64_t version)
{
	memset(store->tombstones, 0, sizeof(store->tombstones));
	store->epoch = epoch;
	if (version > store->version_last)
		store->version_last = version;
}

bool toy_store_is_empty(const struct toy_store *store)
{
	for (uint32_t key = 0; key < TOY_KEY_COUNT; key++) {
		if (store->items[key].version != 0 || store->tombstones[key] != 0)
			return false;
	}
	return true;
}
