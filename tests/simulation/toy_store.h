/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition small enough to think about: slots, versions, tombstones, a scan cursor, a delta ring. */
#ifndef TESTS_SIMULATION_TOY_STORE_H
#define TESTS_SIMULATION_TOY_STORE_H

#include <stdbool.h>
#include <stdint.h>

#define TOY_KEY_COUNT 16u
#define TOY_SLOT_NONE UINT32_MAX
#define TOY_RING_MAX 64u

struct toy_item {
	uint64_t version; /* 0 = no such item */
	uint64_t value;
	uint64_t expires_at_ms; /* 0 = never */
};

/* A write to be shipped. */
struct toy_record {
	uint32_t key;
	bool is_tombstone;
	struct toy_item item;
};

/* The protections that a negative control may switch off. */
struct toy_rules {
	bool compares_versions;
	bool keeps_tombstones;
};

/* As the real one: a key keeps its slot from insertion to removal, freed slots are used again, the last
 * freed first. Versions are epoch << 40 | sequence and unique.
 */
struct toy_store {
	uint32_t slot_end;                 /* slots ever used */
	uint32_t slot_keys[TOY_KEY_COUNT]; /* slot -> key, TOY_SLOT_NONE when free */
	uint32_t free_count;
	uint32_t free_slots[TOY_KEY_COUNT];
	uint32_t key_slots[TOY_KEY_COUNT];
	struct toy_item items[TOY_KEY_COUNT]; /* by key */
	uint64_t tombstones[TOY_KEY_COUNT];   /* version of the removal, while staging */
	uint32_t item_count;
	uint64_t digest;
	uint64_t version_last;
	uint32_t epoch;

	/* A migration away. */
	uint32_t cursor; /* slots before it are migrated */
	uint32_t
		ship_from; /* writes to slots from here on ship: they are past the end of the scan */
	uint32_t scan_end;
	uint64_t delta_last;
	bool is_delta_lost;
	uint32_t ring_size;
	uint32_t ring_count;
	struct toy_record ring[TOY_RING_MAX];
};

void toy_store_init(struct toy_store *store, uint32_t ring_size);

/* NULL when there is none. An item past its time is still there. */
const struct toy_item *toy_store_find(const struct toy_store *store, uint32_t key);

/* As the owner: both return what was written, with its new version. The key of a removal exists. */
struct toy_record toy_store_put(struct toy_store *store, uint32_t key, uint64_t value,
				uint64_t expires_at_ms);
struct toy_record toy_store_remove(struct toy_store *store, uint32_t key, uint32_t *slot);
/* The slot of 'key', TOY_SLOT_NONE when it has none. */
uint32_t toy_store_slot(const struct toy_store *store, uint32_t key);

/* As the source. A mark puts the cursor before the first slot and empties the ring. */
void toy_store_mark(struct toy_store *store);
bool toy_store_is_migrated(const struct toy_store *store, uint32_t slot, uint32_t cursor);
/* Puts a record into the ring, or notes that one is lost. */
void toy_store_ship(struct toy_store *store, const struct toy_record *record);
uint32_t toy_store_drain(struct toy_store *store, uint32_t max, struct toy_record *records);
/* Removes up to 'max' items; true when none is left. */
bool toy_store_drop(struct toy_store *store, uint32_t max);

/* As the target. */
void toy_store_apply(struct toy_store *store, const struct toy_rules *rules,
		     const struct toy_record *record);
void toy_store_finalize(struct toy_store *store, uint32_t epoch, uint64_t version);
bool toy_store_is_empty(const struct toy_store *store); /* of tombstones too */

#endif
