/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard to test with: its surroundings, keys made from numbers, one-key operations, simulated
 * grace periods.
 */
#ifndef TESTS_UNIT_STORAGE_SHARD_FIXTURE_H
#define TESTS_UNIT_STORAGE_SHARD_FIXTURE_H

#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "storage/item_memory.h"
#include "storage/shard.h"
#include "tests/unit/unit.h"

#define FIXTURE_NOW_MS UINT64_C(1700000000000)
#define FIXTURE_WORK_MAX 64u

struct fixture {
	struct key_secret secret;
	struct grace_period period;
	struct item_memory *memory;
	struct shard *shard;
	uint32_t partition_count;
	uint64_t now_ms;
};

struct fixture_options {
	const char *name; /* NULL = "unit"; two fixtures at once need two names */
	size_t memory_bytes;
	uint32_t capacity;
	uint32_t partition_count;
	enum eviction eviction;
};

static inline void fixture_open(struct fixture *fixture, const struct fixture_options *options)
{
	struct item_memory_options memory_options = { .limit_bytes = options->memory_bytes };
	struct shard_options shard_options = {
		.name = options->name ? options->name : "unit",
		.worker_count = 1,
		.partition_count = options->partition_count,
		.capacity_initial = options->capacity,
		.eviction = options->eviction,
		.period = &fixture->period,
		.secret = &fixture->secret,
	};
	uint64_t seed = 1;

	*fixture = (struct fixture){ .partition_count = options->partition_count,
				     .now_ms = FIXTURE_NOW_MS };
	for (uint32_t i = 0; i < KEY_SECRET_SIZE; i++)
		fixture->secret.bytes[i] = (uint8_t)unit_random(&seed);
	CU_ASSERT_EQUAL_FATAL(item_memory_create(&fixture->memory, &memory_options), 0);
	shard_options.memory = fixture->memory;
	CU_ASSERT_EQUAL_FATAL(shard_create(&fixture->shard, &shard_options), 0);
}

static inline void fixture_close(struct fixture *fixture)
{
	shard_destroy(fixture->shard);
	item_memory_destroy(fixture->memory);
}

/* The partition 0; of a fixture with one partition, that of all keys. */
static inline struct partition *fixture_partition(const struct fixture *fixture)
{
	return shard_partition(fixture->shard, 0);
}

static inline struct partition_stats fixture_partition_stats(const struct fixture *fixture)
{
	struct partition_stats stats;

	partition_stats(fixture_partition(fixture), &stats);
	return stats;
}

/* One grace period, when the calling thread is the only reader. */
static inline void fixture_grace(struct fixture *fixture)
{
	rcu_quiescent_state();
	fixture->period.started++;
	fixture->period.completed = fixture->period.started;
}

/* One turn of a core's loop, with all others doing their part at once. */
static inline void fixture_turn(struct fixture *fixture)
{
	shard_background(fixture->shard, fixture->now_ms, FIXTURE_WORK_MAX);
	fixture_grace(fixture);
	shard_housekeeping(fixture->shard);
}

/* A key of 16 bytes for a number. */
struct fixture_key {
	uint8_t bytes[16];
};

static inline struct key_ref fixture_key(const struct fixture *fixture, uint64_t number,
					 struct fixture_key *key)
{
	struct key_ref ref = { .bytes = key->bytes, .size = sizeof(key->bytes) };

	memcpy(key->bytes, "key unit", sizeof(number));
	memcpy(key->bytes + sizeof(number), &number, sizeof(number));
	ref.digest = key_digest(&fixture->secret, key->bytes, sizeof(key->bytes));
	ref.partition =
		(uint16_t)(number * UINT64_C(0x9e3779b97f4a7c15) % fixture->partition_count);
	return ref;
}

/* The value of a key's n-th write: as long as it likes, each byte depends on both. */
static inline uint32_t fixture_value_size(uint64_t number, uint64_t write)
{
	uint64_t state = number * 31 + write;

	return (uint32_t)(unit_random(&state) % 120);
}

static inline void fixture_fill_value(uint8_t *value, uint32_t size, uint64_t number,
				      uint64_t write)
{
	for (uint32_t i = 0; i < size; i++)
		value[i] = (uint8_t)(number * 7 + write * 13 + i);
}

static inline bool fixture_value_is(const struct item *item, uint64_t number, uint64_t write)
{
	uint8_t value[128];
	uint32_t size = fixture_value_size(number, write);

	fixture_fill_value(value, size, number, write);
	return item->value_size == size && memcmp(item_value(item), value, size) == 0;
}

/* Writes through entry 'i' of a batch that was looked up. */
static inline enum status fixture_batch_put(struct fixture *fixture, struct shard_batch *batch,
					    uint32_t i, uint64_t number, uint64_t write,
					    uint64_t expires_at_ms)
{
	uint32_t size = fixture_value_size(number, write);
	struct item *item = shard_item_create(fixture->shard, &batch->keys[i], size);
	enum status status;

	if (!item)
		return shard_refusal(fixture->shard);
	fixture_fill_value(item_value_unpublished(item), size, number, write);
	item_set_expires_at_ms(item, expires_at_ms);
	status = shard_put(fixture->shard, batch, i, item);
	if (status != STATUS_OK)
		shard_item_discard(fixture->shard, item);
	return status;
}

static inline void fixture_batch_one(struct fixture *fixture, struct shard_batch *batch,
				     struct fixture_key *key, uint64_t number)
{
	batch->count = 1;
	batch->keys[0] = fixture_key(fixture, number, key);
	shard_lookup(fixture->shard, batch);
}

static inline enum status fixture_put(struct fixture *fixture, uint64_t number, uint64_t write)
{
	struct shard_batch batch;
	struct fixture_key key;

	fixture_batch_one(fixture, &batch, &key, number);
	return fixture_batch_put(fixture, &batch, 0, number, write, 0);
}

static inline enum status fixture_remove(struct fixture *fixture, uint64_t number)
{
	struct shard_batch batch;
	struct fixture_key key;
	uint64_t version;

	fixture_batch_one(fixture, &batch, &key, number);
	return shard_remove(fixture->shard, &batch, 0, &version);
}

static inline struct item *fixture_get(struct fixture *fixture, uint64_t number)
{
	struct shard_batch batch;
	struct fixture_key key;

	fixture_batch_one(fixture, &batch, &key, number);
	return batch.items[0];
}

static inline uint64_t fixture_items(const struct fixture *fixture)
{
	struct shard_stats stats;

	shard_stats(fixture->shard, &stats);
	return stats.items;
}

#endif
