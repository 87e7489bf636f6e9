/* SPDX-License-Identifier: BSD-3-Clause */
/* An rte_hash of 8-byte keys in memory of its own. */
#include "storage/index_table.h"

#include <assert.h>
#include <errno.h>
#include <rte_hash.h>
#include <stdlib.h>
#include <string.h>

#include "storage/key.h"

/* What rte_hash takes for an entry of an 8-byte key: key and data 16, share of a bucket 8, ring of
 * free positions 4.
 */
#define ENTRY_SIZE 28u
/* Its fixed part: ring, hash and heap headers, alignment. */
#define TABLE_OVERHEAD ((size_t)64 << 10)

/* Made resident per call. */
#define PREFAULT_SIZE ((size_t)8 << 20)

/* Entries kept resident ahead of the owner, who adds some millions per second at most; fewer than half of them, and more
 * are made so.
 */
#define ENTRIES_AHEAD (1u << 18)

static uint32_t table_signature(const void *key, uint32_t size, uint32_t seed)
{
	uint64_t digest;

	(void)size;
	(void)seed;
	memcpy(&digest, key, sizeof(digest));
	return key_digest_signature(digest);
}

static int table_compare(const void *a, const void *b, size_t size)
{
	uint64_t x, y;

	(void)size;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x != y;
}

struct index_table *index_table_create(const char *name, uint32_t entry_max)
{
	struct index_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->entry_max = entry_max;
	index_memory_init(&table->memory, name,
			  ((size_t)entry_max + 1) * ENTRY_SIZE + TABLE_OVERHEAD);
	return table;
}

/* Adds a key for a moment; returns where it and its data lie at 'position', or NULL when that is not as expected. */
static struct index_entry *probe_entry(struct index_table *table, uint64_t digest, int32_t position)
{
	hash_sig_t signature = key_digest_signature(digest);
	struct index_entry *entry = NULL;
	void *data = &digest;
	void *key;

	if (rte_hash_add_key_with_hash_data(table->hash, &digest, signature, data) == 0 &&
	    rte_hash_lookup_with_hash(table->hash, &digest, signature) == position &&
	    rte_hash_get_key_with_position(table->hash, position, &key) == 0)
		entry = (struct index_entry *)((uint8_t *)key - offsetof(struct index_entry, key));
	if (entry && (entry->key != digest || (void *)entry->data != data))
		entry = NULL;
	position = rte_hash_del_key_with_hash(table->hash, &digest, signature);
	if (position >= 0)
		rte_hash_free_key_with_position(table->hash, position);
	return entry;
}

/* The first positions tell where all entries lie. */
static void find_entries(struct index_table *table)
{
	struct index_entry *first = probe_entry(table, 1, 0);
	struct index_entry *second = probe_entry(table, 2, 1);

	if (first && second == first + 1)
		table->entries = first;
}

/* A quarter of a table, and more when it is young, is never used before it grows: the entries there, which are still zero,
 * are not kept in memory.
 */
static void give_back_spare(struct index_table *table)
{
	if (!table->entries || table->entry_max <= 2 * ENTRIES_AHEAD)
		return;
	table->spare_size = (table->entry_max - ENTRIES_AHEAD - 1) * sizeof(struct index_entry);
	table->spare = index_memory_give_back(
		&table->memory, (uint8_t *)&table->entries[ENTRIES_AHEAD], &table->spare_size);
	table->spare_position = (uint32_t)((size_t)(table->spare - (uint8_t *)table->entries) /
					   sizeof(struct index_entry));
}

bool index_table_prefault(struct index_table *table)
{
	uint64_t added = __atomic_load_n(&table->entry_added, __ATOMIC_RELAXED);
	size_t size;

	if (table->spare_size == 0 || added + ENTRIES_AHEAD / 2 <= table->spare_position)
		return false;
	size = (added + ENTRIES_AHEAD - table->spare_position) * sizeof(struct index_entry);
	if (size > table->spare_size)
		size = table->spare_size;
	index_memory_touch(table->spare, size);
	table->spare += size;
	table->spare_size -= size;
	table->spare_position += (uint32_t)(size / sizeof(struct index_entry));
	return true;
}

int index_table_build(struct index_table *table)
{
	struct rte_hash_parameters params = {
		.name = table->memory.name,
		.entries = table->entry_max,
		.key_len = sizeof(uint64_t),
		.hash_func = table_signature,
		.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF |
			      RTE_HASH_EXTRA_FLAGS_NO_FREE_ON_DEL,
	};

	if (!index_memory_prefault(&table->memory, PREFAULT_SIZE))
		return -EAGAIN;
	index_memory_open(&table->memory);
	params.socket_id = table->memory.socket_id;
	table->hash = rte_hash_create(&params);
	if (!table->hash)
		return -ENOMEM;
	rte_hash_set_cmp_func(table->hash, table_compare);
	find_entries(table);
	give_back_spare(table);
	return 0;
}

void index_table_destroy(struct index_table *table)
{
	if (!table)
		return;
	rte_hash_free(table->hash);
	index_memory_fini(&table->memory);
	free(table);
}

struct item *index_table_find(const struct index_table *table, uint64_t digest)
{
	void *item;
	int position = rte_hash_lookup_with_hash_data(table->hash, &digest,
						      key_digest_signature(digest), &item);

	return position >= 0 ? item : NULL;
}

static void forget_positions(int32_t *positions, uint32_t count)
{
	for (uint32_t i = 0; positions && i < count; i++)
		positions[i] = -1;
}

/* Without positions. */
static void find_bulk_data(const struct index_table *table, const void **keys,
			   hash_sig_t *signatures, uint32_t count, struct item **items)
{
	uint64_t hits = 0;

	memset(items, 0, count * sizeof(*items));
	rte_hash_lookup_with_hash_bulk_data(table->hash, keys, signatures, count, &hits,
					    (void **)items);
}

void index_table_find_bulk(const struct index_table *table, const uint64_t *const *digests,
			   uint32_t count, struct item **items, int32_t *positions)
{
	const void **keys = (const void **)(uintptr_t)digests;
	hash_sig_t signatures[SHARD_BATCH_MAX];

	assert(count <= SHARD_BATCH_MAX);
	for (uint32_t i = 0; i < count; i++)
		signatures[i] = key_digest_signature(*digests[i]);
	if (!table->entries || !positions) {
		find_bulk_data(table, keys, signatures, count, items);
		forget_positions(positions, count);
		return;
	}
	rte_hash_lookup_with_hash_bulk(table->hash, keys, signatures, count, positions);
	for (uint32_t i = 0; i < count; i++)
		items[i] = positions[i] < 0 ? NULL
					    : rcu_dereference(table->entries[positions[i]].data);
}

bool index_table_add(struct index_table *table, uint64_t digest, struct item *item)
{
	if (rte_hash_add_key_with_hash_data(table->hash, &digest, key_digest_signature(digest),
					    item) != 0)
		return false;
	table->entry_count++;
	if (table->entry_added < table->entry_max)
		__atomic_store_n(&table->entry_added, table->entry_added + 1, __ATOMIC_RELAXED);
	return true;
}

void index_table_update(struct index_table *table, uint64_t digest, struct item *item)
{
	int error = rte_hash_add_key_with_hash_data(table->hash, &digest,
						    key_digest_signature(digest), item);

	assert(error == 0); /* the key is there: nothing is allocated */
	(void)error;
}

int32_t index_table_remove(struct index_table *table, uint64_t digest)
{
	int32_t position =
		rte_hash_del_key_with_hash(table->hash, &digest, key_digest_signature(digest));

	if (position < 0)
		return -1;
	table->entry_count--;
	return position;
}

void index_table_free_position(struct index_table *table, int32_t position)
{
	int error = rte_hash_free_key_with_position(table->hash, position);

	assert(error == 0);
	(void)error;
}
