/* SPDX-License-Identifier: BSD-3-Clause */
/* One hash table of the index: 64-bit digest -> item, a fixed number of entries, memory of its own.
 */
#ifndef STORAGE_INDEX_TABLE_H
#define STORAGE_INDEX_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <urcu-pointer.h>

#include "storage/index_memory.h"
#include "storage/item.h"
#include "storage/limits.h"

/* What rte_hash keeps of a key. The declaration is its own affair; index_table_build() looks whether this is it. */
struct index_entry {
	struct item *data;
	uint64_t key;
};

/* An rte_hash (lock-free readers, one writer, entries not freed on delete) with the digest as key
 * and the item as data.
 *
 * Thread safety: one writer calls the functions marked (owner); any registered RCU reader may look
 * up meanwhile. create and destroy are called by any one thread while nobody else knows the table.
 */
struct index_table {
	struct rte_hash *hash; /* NULL until built */
	uint32_t entry_max;
	uint32_t entry_count;   /* live entries (owner) */
	uint32_t entry_retired; /* removed, their positions still waiting for readers (owner) */
	uint32_t entry_added;   /* ever, up to entry_max (owner); naturally atomic */
	struct index_memory memory;

	/* Keys and data in the order of positions: see index_table_data(). rte_hash hands positions out in ascending order until
	 * all were used once, so what it has not reached need not be resident.
	 */
	struct index_entry *entries; /* NULL: they are not where they are looked for */
	uint8_t *spare;              /* NULL: all are resident, or spare_size is 0 */
	size_t spare_size;           /* bytes */
	uint32_t spare_position;     /* whose entry starts there */
};

/* The smallest and the largest number of entries. Tables hold 2^k - 1: rte_hash rounds its buckets
 * and its ring of free positions up to powers of two and keeps one position for itself.
 */
#define INDEX_TABLE_ENTRY_MIN ((1u << 10) - 1)
#define INDEX_TABLE_ENTRY_MAX ((1u << 30) - 1)

/* A table that index_table_build() has yet to complete; NULL when there is no memory. 'name' is at
 * most 19 characters and unique in the process. 'entry_max' is 2^k - 1.
 */
struct index_table *index_table_create(const char *name, uint32_t entry_max);

/* Continues to build the table: a few milliseconds of work, so that others who wait for the calling
 * thread do not wait long. 0 when it can be used, -EAGAIN when there is more to do, -ENOMEM when it
 * cannot be built.
 */
int index_table_build(struct index_table *table);

/* Makes the entries resident that will be added next (housekeeper: one thread, while the owner works). Returns whether
 * there was anything to do.
 */
bool index_table_prefault(struct index_table *table);

/* Accepts NULL and half-built. */
void index_table_destroy(struct index_table *table);

/* The item under 'digest', or NULL. */
struct item *index_table_find(const struct index_table *table, uint64_t digest);

/* Sets items[i] to what digests[i] points to maps to, or NULL, and positions[i] to its position, negative when there is none or
 * it is of no use to index_table_update_at(). 'positions' may be NULL. 'count' is at most SHARD_BATCH_MAX.
 */
void index_table_find_bulk(const struct index_table *table, const uint64_t *const *digests,
			   uint32_t count, struct item **items, int32_t *positions);

/* Maps 'digest', which has no entry yet, to 'item' (owner). False when there is no room: nothing
 * changed.
 */
bool index_table_add(struct index_table *table, uint64_t digest, struct item *item);

/* Points the entry of 'digest', which exists, to 'item' (owner). */
void index_table_update(struct index_table *table, uint64_t digest, struct item *item);

/* The same for the entry at 'position', found in this table since the last quiescent state, if it still points to 'old'; else
 * false, and nothing changed (owner). Spares another lookup.
 */
static inline bool index_table_update_at(struct index_table *table, int32_t position,
					 const struct item *old, struct item *item)
{
	if (position < 0 || table->entries[position].data != old)
		return false;
	rcu_assign_pointer(table->entries[position].data, item);
	return true;
}

/* Removes the entry of 'digest' (owner). Its position, or -1 when there is none. The position can
 * be used again only after index_table_free_position(), a grace period later.
 */
int32_t index_table_remove(struct index_table *table, uint64_t digest);
void index_table_free_position(struct index_table *table, int32_t position);

#endif
