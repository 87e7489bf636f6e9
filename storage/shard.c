/* SPDX-License-Identifier: BSD-3-Clause */
/* What one worker core stores: index, partitions, items and their removal, in one piece. */
#include "storage/shard.h"

#include <assert.h>
#include <errno.h>
#include <rte_memcpy.h>
#include <stdlib.h>
#include <string.h>

#include "storage/counter.h"
#include "storage/eviction.h"
#include "storage/expiry.h"
#include "storage/index.h"
#include "storage/item_memory.h"
#include "storage/slot_space.h"
#include "storage/version.h"

/* Entries of the first table when nobody says: one per so many bytes of the worker's share of
 * memory, so that a node that is loaded at full speed does not begin by growing in haste.
 */
#define CAPACITY_DEFAULT_BYTES 1024u
#define CAPACITY_DEFAULT_MIN ((1u << 16) - 1)
#define CAPACITY_DEFAULT_MAX ((1u << 20) - 1)

/* Tells items from what the index retires. */
#define ARGUMENT_ITEM UINT32_MAX

/* Bounds of work that a request may do when it finds no memory, and of freeing and compaction per
 * slice.
 */
#define SHORTAGE_RECLAIM_MAX 64u
#define SHORTAGE_SLOTS_MAX 64u
#define SLICE_RECLAIM_DIVISOR 8192u /* of what waits, that much more than was retired */
#define SLICE_RECLAIM_SHORT 128u
#define SLICE_RELOCATED_MAX 8u
#define SLICE_BLOCKS_MAX 64u
#define SLICE_EVICTION_FACTOR 4u /* demand decides about eviction: it may take more than others */
#define INSERTS_PER_STEP 4u
#define INSERT_SLOTS_MAX 256u

struct shard {
	struct index *index;
	struct item_pool *pool;
	struct reclaim *reclaim;
	const struct grace_period *period;
	struct partition **by_number;  /* of the cluster's partitions; NULL: another worker's */
	struct partition **partitions; /* the shard's own, dense */
	uint32_t partition_count;      /* of the cluster */
	uint32_t owned_count;
	const struct key_secret *secret;
	struct item_memory *memory;
	enum eviction policy;
	struct slot_space slots;
	struct expiry expiry;
	struct eviction_clock clock;
	struct slot_walk growth; /* over the items whose entries move to a larger table */
	uint32_t growth_debt;    /* inserts since the last step of growth */
	uint64_t now_ms;         /* of the last background slice */
	uint64_t expiring_items; /* with an expiry */
	uint64_t retired_bytes;  /* of items not yet free */
	uint32_t retired_lately; /* since the last background slice */
	uint64_t memory_share;   /* of the node's, in bytes, if all its shards had the same */
	uint32_t refused_size;   /* bytes of the item that last found no memory */
	uint64_t expired;
	uint64_t evicted;
	uint64_t relocated;
};

/* --- Life --- */

static void free_retired(void *context, void *object, uint32_t argument)
{
	struct shard *shard = context;
	struct item *item = object;

	if (argument != ARGUMENT_ITEM) {
		index_reclaimed(shard->index, object, argument);
		return;
	}
	shard->retired_bytes -= item_size(item->key_size, item->value_size);
	item_pool_free(shard->pool, item);
}

static int create_partitions(struct shard *shard, uint32_t worker_index, uint32_t worker_count)
{
	uint32_t owned_max = shard->partition_count / worker_count + 1;

	shard->by_number = calloc(shard->partition_count, sizeof(*shard->by_number));
	shard->partitions = calloc(owned_max, sizeof(*shard->partitions));
	if (!shard->by_number || !shard->partitions)
		return -ENOMEM;
	for (uint32_t i = worker_index; i < shard->partition_count; i += worker_count) {
		struct partition *partition =
			partition_create(i, shard->owned_count, &shard->slots);

		if (!partition)
			return -ENOMEM;
		shard->by_number[i] = partition;
		shard->partitions[shard->owned_count++] = partition;
	}
	shard->expiry.walk.partitions = shard->partitions;
	shard->expiry.walk.partition_count = shard->owned_count;
	shard->growth = shard->expiry.walk;
	shard->expiry.walk.skips_frozen = true;
	shard->clock.walk = shard->expiry.walk;
	return 0;
}

/* As many slots as the node's memory can hold of the smallest items. */
static int create_slots(struct shard *shard, uint32_t worker_count)
{
	struct item_memory_stats stats;
	uint64_t slot_max;

	item_memory_stats(shard->memory, &stats);
	shard->memory_share = stats.limit_bytes / worker_count;
	slot_max = stats.limit_bytes / item_pool_block_size(item_size(1, 0));
	return slot_space_init(&shard->slots, slot_max, shard->partition_count / worker_count + 1);
}

static uint32_t capacity_initial(const struct shard_options *options)
{
	struct item_memory_stats memory;
	uint64_t capacity;

	if (options->capacity_initial != 0)
		return options->capacity_initial;
	item_memory_stats(options->memory, &memory);
	capacity = memory.limit_bytes / options->worker_count / CAPACITY_DEFAULT_BYTES;
	if (capacity < CAPACITY_DEFAULT_MIN)
		return CAPACITY_DEFAULT_MIN;
	return capacity < CAPACITY_DEFAULT_MAX ? (uint32_t)capacity : CAPACITY_DEFAULT_MAX;
}

static int create_parts(struct shard *shard, const struct shard_options *options)
{
	struct index_options index_options = {
		.name = options->name,
		.capacity_initial = capacity_initial(options),
	};
	int error = create_slots(shard, options->worker_count);

	if (error == 0)
		error = create_partitions(shard, options->worker_index, options->worker_count);
	if (error == 0)
		error = item_pool_create(&shard->pool, options->memory);
	if (error == 0)
		error = reclaim_create(&shard->reclaim, options->period, free_retired, shard);
	index_options.reclaim = shard->reclaim;
	if (error == 0)
		error = index_create(&shard->index, &index_options);
	return error;
}

static bool options_are_valid(const struct shard_options *options)
{
	return options->name && options->worker_count > 0 &&
	       options->worker_count <= WORKER_COUNT_MAX &&
	       options->worker_index < options->worker_count &&
	       options->partition_count >= PARTITION_COUNT_MIN &&
	       options->partition_count <= PARTITION_COUNT_MAX && options->memory &&
	       options->period && options->secret;
}

int shard_create(struct shard **result, const struct shard_options *options)
{
	struct shard *shard;
	int error;

	*result = NULL;
	if (!options_are_valid(options))
		return -EINVAL;
	shard = calloc(1, sizeof(*shard));
	if (!shard)
		return -ENOMEM;
	shard->partition_count = options->partition_count;
	shard->secret = options->secret;
	shard->memory = options->memory;
	shard->period = options->period;
	shard->policy = options->eviction;
	error = create_parts(shard, options);
	if (error != 0) {
		shard_destroy(shard);
		return error;
	}
	*result = shard;
	return 0;
}

void shard_destroy(struct shard *shard)
{
	if (!shard)
		return;
	reclaim_destroy(shard->reclaim);
	index_destroy(shard->index);
	item_pool_destroy(shard->pool);
	for (uint32_t i = 0; i < shard->owned_count; i++)
		partition_destroy(shard->partitions[i]);
	free(shard->partitions);
	free(shard->by_number);
	slot_space_fini(&shard->slots);
	free(shard);
}

struct partition *shard_partition(const struct shard *shard, uint32_t partition)
{
	return partition < shard->partition_count ? shard->by_number[partition] : NULL;
}

/* Slots that the walks pass, about: whole chunks. */
static uint64_t slot_count(const struct shard *shard)
{
	return (uint64_t)shard->slots.chunk_count * SLOT_CHUNK_SLOTS;
}

/* --- Unpublishing --- */

static void retire_item(struct shard *shard, struct item *item)
{
	item_flag_set(item, ITEM_RETIRED);
	shard->retired_bytes += item_size(item->key_size, item->value_size);
	shard->retired_lately++;
	reclaim_retire(shard->reclaim, item, ARGUMENT_ITEM);
}

static struct key_digest digest_of(const struct shard *shard, const struct item *item)
{
	return key_digest(shard->secret, item_key(item), item->key_size);
}

/* 'version' is the removal's, or 0: see partition_slot_release(). */
static void unpublish_item(struct shard *shard, struct item *item, struct key_digest digest,
			   uint64_t version)
{
	index_remove(shard->index, digest, item);
	partition_slot_release(shard->by_number[item->partition], item, version);
	if (item_expires_at_ms(item))
		shard->expiring_items--;
	retire_item(shard, item);
}

/* Returns the version of the removal. */
static uint64_t remove_item(struct shard *shard, struct item *item, struct key_digest digest)
{
	uint64_t version = partition_version_next(shard->by_number[item->partition]);

	unpublish_item(shard, item, digest, version);
	return version;
}

/* Returns how many were more than tombstones. */
static uint32_t remove_all(struct shard *shard, struct item **items, uint32_t count)
{
	uint32_t removed = 0;

	for (uint32_t i = 0; i < count; i++) {
		removed += !(items[i]->flags & ITEM_TOMBSTONE);
		remove_item(shard, items[i], digest_of(shard, items[i]));
	}
	return removed;
}

/* --- Growth of the index --- */

/* Moves the entries of a few more items. Each item has one slot and keeps it, so one round over all
 * slots, begun when nothing had moved yet, meets every entry of the previous table. Returns the
 * slots passed.
 */
static uint32_t move_some(struct shard *shard, uint32_t slot_max)
{
	struct key_digest digests[SLOT_WALK_ITEMS];
	struct item *items[SLOT_WALK_ITEMS];
	uint32_t count;
	uint32_t passed = slot_walk_step(&shard->growth, slot_max, 0, items, &count);

	for (uint32_t i = 0; i < count; i++)
		digests[i] = digest_of(shard, items[i]);
	index_move(shard->index, digests, items, count);
	return passed;
}

static uint32_t grow(struct shard *shard, uint32_t work_max)
{
	uint32_t work = 0;

	if (!index_is_moving(shard->index)) {
		index_grow_when_due(shard->index);
		shard->growth.scan = (struct partition_scan){ 0 };
		return 0;
	}
	while (work < work_max && index_is_moving(shard->index))
		work += move_some(shard, work_max - work);
	return work;
}

/* Inserts push growth on by themselves, so that the previous table is empty before the current one,
 * twice as large, is full, however seldom the background gets its turn: SLOT_WALK_ITEMS items per
 * INSERTS_PER_STEP inserts.
 */
static void grow_by_insert(struct shard *shard)
{
	if (!index_is_moving(shard->index) || ++shard->growth_debt < INSERTS_PER_STEP)
		return;
	shard->growth_debt = 0;
	move_some(shard, INSERT_SLOTS_MAX);
}

/* --- Lookup --- */

void shard_lookup(const struct shard *shard, struct shard_batch *batch)
{
	shard_lookup_begin(shard, batch, 0, batch->count, true);
	shard_lookup_end(shard, batch, 0, batch->count);
}

void shard_lookup_begin(const struct shard *shard, struct shard_batch *batch, uint32_t first,
			uint32_t count, bool will_write)
{
	int32_t *positions = batch->positions + first;

	if (!will_write)
		memset(positions, 0xff, count * sizeof(*positions));
	index_lookup_begin(shard->index, batch->keys + first, count, batch->items + first,
			   will_write ? positions : NULL);
}

void shard_lookup_end(const struct shard *shard, struct shard_batch *batch, uint32_t first,
		      uint32_t count)
{
	index_lookup_end(shard->index, batch->keys + first, count, batch->items + first);
}

/* --- Batches --- */

struct item *shard_lookup_again(const struct shard *shard, struct shard_batch *batch, uint32_t i)
{
	index_lookup(shard->index, &batch->keys[i], 1, &batch->items[i]);
	return batch->items[i];
}

static bool is_same_key(const struct key_ref *a, const struct key_ref *b)
{
	return a->digest.low == b->digest.low && a->digest.high == b->digest.high &&
	       key_bytes_equal(a->bytes, a->size, b->bytes, b->size);
}

/* The batch's other entries of a key that was just inserted. Those of a key that was replaced or removed need nothing:
 * they hold an item that is retired.
 */
static void note_inserted(struct shard_batch *batch, uint32_t i, struct item *item)
{
	for (uint32_t j = 0; j < batch->count; j++) {
		if (!batch->items[j] && is_same_key(&batch->keys[j], &batch->keys[i]))
			batch->items[j] = item;
	}
}

/* --- Writes --- */

static void memory_state(const struct shard *shard, struct eviction_memory *memory)
{
	struct item_pool_stats pool;

	item_pool_stats(shard->pool, &pool);
	memory->share = shard->memory_share;
	memory->held = pool.slabs * ITEM_SLAB_SIZE;
	memory->held_free = memory->held - pool.bytes_allocated;
	memory->node_free = (uint64_t)item_memory_slabs_free(shard->memory) * ITEM_SLAB_SIZE;
	memory->underway = shard->retired_bytes;
	memory->grace_periods = __atomic_load_n(&shard->period->completed, __ATOMIC_RELAXED);
}

static uint32_t evict(struct shard *shard, uint32_t slot_max)
{
	struct item *items[SLOT_WALK_ITEMS];
	uint32_t count;
	uint32_t passed = eviction_sweep(&shard->clock, shard->now_ms, slot_max, items, &count);

	counter_add(&shard->evicted, remove_all(shard, items, count));
	return passed;
}

/* What can be done for a request that found no memory: free what is due, and make sure the next one
 * fares better.
 */
static struct item *allocate_short(struct shard *shard, uint32_t size)
{
	struct item *item;

	reclaim_poll(shard->reclaim, SHORTAGE_RECLAIM_MAX);
	item = item_pool_alloc(shard->pool, size);
	if (item)
		return item;
	shard->refused_size = size;
	if (shard->expiring_items > 0)
		expiry_hurry(&shard->expiry, slot_count(shard));
	if (shard->policy == EVICTION_ON &&
	    eviction_note_shortage(&shard->clock, shard->retired_bytes))
		evict(shard, SHORTAGE_SLOTS_MAX);
	return NULL;
}

struct item *shard_item_create(struct shard *shard, const struct key_ref *key, uint32_t value_size)
{
	uint32_t size = item_size(key->size, value_size);
	struct item *item = item_pool_alloc(shard->pool, size);

	assert(shard_partition(shard, key->partition));
	if (!item)
		item = allocate_short(shard, size);
	if (!item)
		return NULL;
	item->partition = key->partition;
	item->value_size = (uint16_t)value_size;
	item->key_size = (uint8_t)key->size;
	rte_memcpy(item->bytes, key->bytes, key->size);
	return item;
}

enum status shard_refusal(const struct shard *shard)
{
	struct index_stats index;

	index_stats(shard->index, &index);
	if (shard->policy == EVICTION_ON && index.entries > 0)
		return STATUS_RETRY;
	return shard->retired_bytes >= shard->refused_size ? STATUS_RETRY : STATUS_NO_SPACE;
}

void shard_item_discard(struct shard *shard, struct item *item)
{
	item_pool_free(shard->pool, item);
}

static void count_expiring(struct shard *shard, const struct item *item, const struct item *old)
{
	shard->expiring_items += item_expires_at_ms(item) ? 1 : 0;
	shard->expiring_items -= old && item_expires_at_ms(old) ? 1 : 0;
}

/* 'i' is the key's in the batch. */
static void replace_item(struct shard *shard, struct partition *partition,
			 const struct shard_batch *batch, uint32_t i, struct item *item,
			 struct item *old)
{
	item->slot = old->slot;
	item->flags |= old->flags & ITEM_VISITED;
	index_replace_at(shard->index, batch->keys[i].digest, batch->positions[i], old, item);
	partition_slot_publish(partition, item, old);
	count_expiring(shard, item, old);
	retire_item(shard, old);
}

static enum status insert_item(struct shard *shard, struct partition *partition,
			       const struct key_ref *key, struct item *item)
{
	enum status status;

	item->slot = partition_slot_take(partition);
	if (item->slot == SLOT_NONE)
		return STATUS_NO_SPACE;
	status = index_insert(shard->index, key, item);
	if (status != STATUS_OK) {
		partition_slot_return(partition, item->slot);
		return status;
	}
	partition_slot_publish(partition, item, NULL);
	count_expiring(shard, item, NULL);
	grow_by_insert(shard);
	return STATUS_OK;
}

void shard_write_prefetch(const struct shard *shard, const struct shard_batch *batch, uint32_t i)
{
	const struct item *item = i < batch->count ? batch->items[i] : NULL;
	const struct partition *partition = item ? shard->by_number[item->partition] : NULL;

	if (partition) /* the reader of another worker's item writes it not */
		partition_slot_prefetch(partition, item->slot);
}

enum status shard_put(struct shard *shard, struct shard_batch *batch, uint32_t i, struct item *item)
{
	struct partition *partition = shard->by_number[item->partition];
	struct item *old = shard_batch_item(shard, batch, i);
	enum status status;

	item->version = partition_version_next(partition);
	if (old) {
		replace_item(shard, partition, batch, i, item, old);
		batch->items[i] = item;
		return STATUS_OK;
	}
	status = insert_item(shard, partition, &batch->keys[i], item);
	if (status == STATUS_OK)
		note_inserted(batch, i, item);
	return status;
}

enum status shard_remove(struct shard *shard, struct shard_batch *batch, uint32_t i,
			 uint64_t *version)
{
	struct item *item = shard_batch_item(shard, batch, i);

	if (!item)
		return STATUS_NOT_FOUND;
	*version = remove_item(shard, item, batch->keys[i].digest);
	batch->items[i] = NULL;
	return STATUS_OK;
}

/* --- Migration --- */

/* When a tombstone expired: long ago for every core's clock, and not so long that the sweep, which
 * knows minutes modulo 2^16, takes it for one that is yet to expire.
 */
#define TOMBSTONE_AGE_MS (UINT64_C(3600) * 1000)

static uint64_t tombstone_expiry(const struct shard *shard)
{
	return shard->now_ms > TOMBSTONE_AGE_MS ? shard->now_ms - TOMBSTONE_AGE_MS : 1;
}

/* An item for the record. It counts as read: a copy knows nothing of what its readers did. */
static struct item *create_applied(struct shard *shard, const struct key_ref *key,
				   const struct record *record)
{
	struct item *item = shard_item_create(shard, key, record->value_size);

	if (!item)
		return NULL;
	if (record->value_size > 0)
		memcpy(item_value_unpublished(item), record->value, record->value_size);
	item->version = record->version;
	item->flags |= ITEM_VISITED;
	if (record->is_tombstone)
		item->flags |= ITEM_TOMBSTONE;
	item_set_expires_at_ms(item, record->is_tombstone ? tombstone_expiry(shard)
							  : record->expires_at_ms);
	return item;
}

static enum status apply_one(struct shard *shard, struct shard_batch *batch, uint32_t i,
			     const struct record *record)
{
	struct partition *partition = shard->by_number[batch->keys[i].partition];
	struct item *old = shard_batch_item(shard, batch, i);
	enum status status = STATUS_OK;
	struct item *item;

	if (old && !version_is_newer(record->version, old->version))
		return STATUS_OK;
	item = create_applied(shard, &batch->keys[i], record);
	if (!item)
		return shard_refusal(shard);
	if (old)
		replace_item(shard, partition, batch, i, item, old);
	else
		status = insert_item(shard, partition, &batch->keys[i], item);
	if (status != STATUS_OK) {
		shard_item_discard(shard, item);
		return status;
	}
	partition_note_version(partition, record->version);
	if (old)
		batch->items[i] = item;
	else
		note_inserted(batch, i, item);
	return STATUS_OK;
}

uint32_t shard_apply(struct shard *shard, struct partition *partition, const struct record *records,
		     uint32_t count, enum status *status)
{
	struct shard_batch batch = { .count = count };
	uint32_t applied = 0;

	assert(count <= SHARD_BATCH_MAX && partition_is_importing(partition));
	for (uint32_t i = 0; i < count; i++)
		batch.keys[i] = (struct key_ref){
			.digest = key_digest(shard->secret, records[i].key, records[i].key_size),
			.bytes = records[i].key,
			.size = records[i].key_size,
			.partition = (uint16_t)partition_number(partition),
		};
	shard_lookup(shard, &batch);
	*status = STATUS_OK;
	while (applied < count && *status == STATUS_OK) {
		*status = apply_one(shard, &batch, applied, &records[applied]);
		applied += *status == STATUS_OK;
	}
	return applied;
}

bool shard_discard_slice(struct shard *shard, struct partition *partition, uint32_t slot_max)
{
	const struct item *items[SHARD_BATCH_MAX];
	struct partition_scan scan;

	partition_discard_open(partition, &scan);
	for (uint32_t start = scan.next;
	     scan.next - start < slot_max && !partition_scan_is_done(&scan);) {
		uint32_t left = slot_max - (scan.next - start);
		uint32_t count =
			partition_scan_next(partition, &scan, left, items, SHARD_BATCH_MAX);

		for (uint32_t i = 0; i < count; i++)
			__builtin_prefetch(items[i], 1);
		for (uint32_t i = 0; i < count; i++) {
			struct item *item = (struct item *)items[i]; /* the owner may write it */

			unpublish_item(shard, item, digest_of(shard, item), 0);
		}
	}
	return partition_discard_close(partition, &scan);
}

/* --- Background --- */

static uint32_t sweep_expired(struct shard *shard, uint32_t work_max)
{
	struct item *items[SLOT_WALK_ITEMS];
	uint32_t count;
	uint32_t passed;

	if (shard->expiring_items == 0)
		return 0;
	passed = expiry_sweep(&shard->expiry, shard->now_ms, slot_count(shard), work_max, items,
			      &count);
	counter_add(&shard->expired, remove_all(shard, items, count));
	return passed;
}

static bool memory_runs_out(const struct shard *shard)
{
	return item_memory_slabs_free(shard->memory) <= item_memory_slab_count(shard->memory) / 8;
}

/* Evicts ahead of demand, when the node has few slabs to spare. */
static uint32_t evict_ahead(struct shard *shard, uint32_t work_max)
{
	struct eviction_memory memory;
	uint64_t retired_enough;
	uint32_t work = 0;

	if (shard->policy != EVICTION_ON || !memory_runs_out(shard))
		return 0;
	memory_state(shard, &memory);
	retired_enough =
		shard->retired_bytes + eviction_deficit(&shard->clock, &memory, shard->now_ms);
	while (shard->retired_bytes < retired_enough && work < work_max * SLICE_EVICTION_FACTOR)
		work += evict(shard, work_max);
	return work;
}

/* Puts a copy in the place of 'item'. It is the same write: slot and version stay. False when there
 * is no memory.
 */
static bool relocate(struct shard *shard, struct item *item)
{
	uint32_t size = item_size(item->key_size, item->value_size);
	struct item *copy = item_pool_alloc(shard->pool, size);

	if (!copy)
		return false;
	memcpy(copy, item, size);
	index_replace(shard->index, digest_of(shard, item), item, copy);
	partition_slot_publish(shard->by_number[item->partition], copy, item);
	retire_item(shard, item);
	counter_add(&shard->relocated, 1);
	return true;
}

static uint32_t compact(struct shard *shard)
{
	uint32_t moved = 0;

	while (moved < SLICE_RELOCATED_MAX) {
		struct item *item = item_pool_compact_next(shard->pool, SLICE_BLOCKS_MAX);

		if (!item || !relocate(shard, item))
			break;
		moved++;
	}
	return moved;
}

/* Frees as many objects as were retired since the last slice, and a few more only when thousands wait. A grace period ends
 * for thousands at once; freed all together, or faster than writes take them again, they would be out of the caches by
 * then (a third of a SET's cycles). When nothing is retired, or the node's memory runs out, having it back counts more.
 */
static uint32_t free_in_step(struct shard *shard, uint32_t work_max)
{
	uint64_t more = reclaim_pending(shard->reclaim) / SLICE_RECLAIM_DIVISOR;
	uint32_t object_max = shard->retired_lately + (uint32_t)more;

	if (shard->retired_lately == 0)
		object_max = work_max;
	shard->retired_lately = 0;
	if (memory_runs_out(shard) && object_max < SLICE_RECLAIM_SHORT)
		object_max = SLICE_RECLAIM_SHORT;
	return reclaim_poll(shard->reclaim, object_max);
}

uint32_t shard_background(struct shard *shard, uint64_t now_ms, uint32_t work_max)
{
	uint32_t work;

	shard->now_ms = now_ms;
	work = free_in_step(shard, work_max);
	work += grow(shard, work_max);
	work += sweep_expired(shard, work_max);
	work += evict_ahead(shard, work_max);
	work += compact(shard);
	return work;
}

bool shard_housekeeping(struct shard *shard)
{
	bool prefaulted = slot_space_prefault(&shard->slots);

	return index_housekeeping(shard->index) || prefaulted;
}

void shard_stats(const struct shard *shard, struct shard_stats *stats)
{
	struct index_stats index;

	index_stats(shard->index, &index);
	*stats = (struct shard_stats){
		.index_capacity = index.capacity,
		.index_grown = index.grown,
		.index_moved = index.moved,
		.index_collisions = index.collisions,
		.is_growing = index.is_growing,
		.expired = counter_read(&shard->expired),
		.evicted = counter_read(&shard->evicted),
		.relocated = counter_read(&shard->relocated),
		.retired_pending = reclaim_pending(shard->reclaim),
	};
	for (uint32_t i = 0; i < shard->owned_count; i++) {
		struct partition_stats partition;

		partition_stats(shard->partitions[i], &partition);
		stats->items += partition.items;
		stats->item_bytes += partition.item_bytes;
	}
	item_pool_stats(shard->pool, &stats->pool);
}
