/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows, chunks and rings of remembered replies. */
#include "dataplane/replay_window.h"

#include <errno.h>
#include <rte_common.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_format.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define NONE UINT32_MAX
#define POOL_NONE UINT16_MAX
#define CHUNK_SIZE (REPLAY_CHUNK_SLOT_COUNT * sizeof(struct replay_slot))
#define PAGE_SIZE 4096u

/* Idle windows that one request for memory ends at most. */
#define EVICTIONS_MAX 8

static_assert(REPLAY_POOL_COUNT_MAX <= POOL_NONE, "a block number fits");
static_assert(CHUNK_SIZE == PAGE_SIZE, "a chunk is a page");
static_assert(REPLAY_IDLE_MIN_MS >= WIRE_RETRANSMIT_MS_MAX + REPLAY_TOUCH_MS,
	      "no copy of a write outlives what is remembered of it");

/* ---- pools ---- */

static int pool_init(struct replay_pool *pool, uint32_t count, size_t block_size)
{
	/* Not cleared here: memory is used only when a block is first taken. */
	pool->blocks = aligned_alloc(PAGE_SIZE, count * block_size);
	pool->free = calloc(count, sizeof(*pool->free));
	pool->count = count;
	pool->block_size = block_size;
	return pool->blocks && pool->free ? 0 : -ENOMEM;
}

static void pool_fini(struct replay_pool *pool)
{
	free(pool->free);
	free(pool->blocks);
}

static void *pool_block(const struct replay_pool *pool, uint16_t block)
{
	return pool->blocks + block * pool->block_size;
}

/* A block, or POOL_NONE. */
static uint16_t pool_take(struct replay_pool *pool)
{
	if (pool->free_count > 0)
		return pool->free[--pool->free_count];
	if (pool->untouched < pool->count)
		return (uint16_t)pool->untouched++;
	return POOL_NONE;
}

static void pool_give(struct replay_pool *pool, uint16_t block)
{
	if (block != POOL_NONE)
		pool->free[pool->free_count++] = block;
}

/* ---- life ---- */

static uint32_t count_or(uint32_t count, uint32_t count_default)
{
	return count ? count : count_default;
}

static int allocate_windows(struct replay_table *table)
{
	size_t size = table->window_count * sizeof(struct replay_window);
	uint32_t bucket_count = rte_align32pow2(table->window_count);

	table->windows = aligned_alloc(64, size);
	table->buckets = calloc(bucket_count, sizeof(uint32_t));
	if (!table->windows || !table->buckets)
		return -ENOMEM;
	memset(table->windows, 0, size);
	memset(table->buckets, 0xff, bucket_count * sizeof(uint32_t));
	table->bucket_mask = bucket_count - 1;
	for (uint32_t i = 0; i < table->window_count; i++)
		table->windows[i].next = i + 1 < table->window_count ? i + 1 : NONE;
	return age_list_init(&table->ages, table->window_count);
}

int replay_table_create(struct replay_table **table_out, const struct replay_options *options)
{
	static const struct replay_options defaults;
	const struct replay_options *wanted = options ? options : &defaults;
	uint32_t chunk_count = count_or(wanted->chunk_count, REPLAY_CHUNK_COUNT_DEFAULT);
	uint32_t ring_count = count_or(wanted->ring_count, REPLAY_RING_COUNT_DEFAULT);
	struct replay_table *table;

	if (chunk_count > REPLAY_POOL_COUNT_MAX || ring_count > REPLAY_POOL_COUNT_MAX)
		return -EINVAL;
	table = calloc(1, sizeof(*table));
	if (!table)
		return -ENOMEM;
	table->window_count = count_or(wanted->window_count, REPLAY_WINDOW_COUNT_DEFAULT);
	if (allocate_windows(table) != 0 ||
	    pool_init(&table->chunks, chunk_count, CHUNK_SIZE) != 0 ||
	    pool_init(&table->rings, ring_count, REPLAY_RING_SIZE) != 0) {
		replay_table_destroy(table);
		return -ENOMEM;
	}
	*table_out = table;
	return 0;
}

void replay_table_destroy(struct replay_table *table)
{
	if (!table)
		return;
	pool_fini(&table->rings);
	pool_fini(&table->chunks);
	age_list_fini(&table->ages);
	free(table->buckets);
	free(table->windows);
	free(table);
}

/* ---- windows ---- */

/* Tokens are random already. */
static uint32_t *bucket_of(const struct replay_table *table, uint64_t token)
{
	return &table->buckets[token & table->bucket_mask];
}

static uint32_t find(const struct replay_table *table, uint32_t session_id, uint64_t token)
{
	uint32_t index = *bucket_of(table, token);

	while (index != NONE && (table->windows[index].token != token ||
				 table->windows[index].session_id != session_id))
		index = table->windows[index].next;
	return index;
}

static void release(struct replay_table *table, uint32_t index)
{
	struct replay_window *window = &table->windows[index];
	uint32_t *link = bucket_of(table, window->token);

	while (*link != index)
		link = &table->windows[*link].next;
	*link = window->next;
	age_list_remove(&table->ages, index);
	for (uint32_t i = 0; i < REPLAY_WINDOW_CHUNK_COUNT; i++)
		pool_give(&table->chunks, window->chunks[i]);
	pool_give(&table->rings, window->ring);
	window->token = 0;
	window->next = table->free;
	table->free = index;
}

/* Ends the longest idle window; false when all are in use. */
static bool evict(struct replay_table *table, uint64_t now_ms)
{
	uint32_t index = table->ages.oldest;

	if (index == AGE_LIST_NONE ||
	    now_ms - table->windows[index].touched_ms < REPLAY_IDLE_MIN_MS)
		return false;
	release(table, index);
	return true;
}

/* A block of 'pool', if need be from idle windows. */
static uint16_t take_block(struct replay_table *table, struct replay_pool *pool, uint64_t now_ms)
{
	uint16_t block = pool_take(pool);

	for (int i = 0; block == POOL_NONE && i < EVICTIONS_MAX && evict(table, now_ms); i++)
		block = pool_take(pool);
	return block;
}

static uint32_t open_window(struct replay_table *table, uint32_t session_id, uint64_t token,
			    uint64_t now_ms)
{
	uint32_t *bucket = bucket_of(table, token);
	struct replay_window *window;
	uint32_t index;

	if (table->free == NONE && !evict(table, now_ms))
		return NONE;
	index = table->free;
	window = &table->windows[index];
	table->free = window->next;
	*window = (struct replay_window){ .token = token,
					  .session_id = session_id,
					  .next = *bucket,
					  .touched_ms = now_ms,
					  .ring = POOL_NONE };
	memset(window->chunks, 0xff, sizeof(window->chunks));
	*bucket = index;
	age_list_add(&table->ages, index);
	return index;
}

static void touch(struct replay_table *table, uint32_t index, uint64_t now_ms)
{
	table->windows[index].touched_ms = now_ms;
	age_list_renew(&table->ages, index);
}

/* ---- slots ---- */

/* Where a sequence stands in its window. Windows are turned against each other by one cache line,
 * or sessions that write in step would meet in the same sets of the cache, chunks being pages.
 */
static uint32_t position_of(struct replay_ticket ticket)
{
	return (ticket.sequence + 2 * ticket.window) % REPLAY_WINDOW_SIZE;
}

/* The slot of a ticket whose chunk exists. */
static struct replay_slot *slot_of(const struct replay_table *table, struct replay_ticket ticket)
{
	const struct replay_window *window = &table->windows[ticket.window];
	uint32_t position = position_of(ticket);
	struct replay_slot *slots =
		pool_block(&table->chunks, window->chunks[position / REPLAY_CHUNK_SLOT_COUNT]);

	return &slots[position % REPLAY_CHUNK_SLOT_COUNT];
}

static bool has_chunk(const struct replay_table *table, struct replay_ticket ticket)
{
	return table->windows[ticket.window]
		       .chunks[position_of(ticket) / REPLAY_CHUNK_SLOT_COUNT] != POOL_NONE;
}

static bool take_chunk(struct replay_table *table, struct replay_ticket ticket, uint64_t now_ms)
{
	uint16_t chunk = take_block(table, &table->chunks, now_ms);

	if (chunk == POOL_NONE)
		return false;
	memset(pool_block(&table->chunks, chunk), 0, CHUNK_SIZE);
	table->windows[ticket.window].chunks[position_of(ticket) / REPLAY_CHUNK_SLOT_COUNT] = chunk;
	return true;
}

/* Whether the ring still has all bytes of the reply. */
static bool ring_holds(const struct replay_window *window, const struct replay_slot *slot)
{
	return window->ring_head - slot->ring_at <= REPLAY_RING_SIZE;
}

/* The verdict on a sequence whose slot is taken by itself or a newer one. */
static enum replay_verdict judge_seen(const struct replay_table *table,
				      const struct replay_slot *slot, struct replay_ticket ticket)
{
	if (ticket.sequence < slot->sequence || ticket.sequence == 0)
		return REPLAY_OLD;
	if (slot->size == REPLAY_SIZE_IN_PROGRESS)
		return REPLAY_IN_PROGRESS;
	if (slot->size == REPLAY_SIZE_FORWARDED)
		return REPLAY_FORWARDED;
	if (slot->size == REPLAY_SIZE_FORGOTTEN)
		return REPLAY_FORGOTTEN;
	if (slot->size > REPLAY_SLOT_REPLY_SIZE &&
	    !ring_holds(&table->windows[ticket.window], slot))
		return REPLAY_FORGOTTEN;
	return REPLAY_KNOWN;
}

enum replay_verdict replay_begin(struct replay_table *table, uint32_t session_id, uint64_t token,
				 uint32_t sequence, uint64_t now_ms, struct replay_ticket *ticket)
{
	uint32_t index = find(table, session_id, token);
	struct replay_slot *slot;

	if (unlikely(index == NONE)) {
		index = open_window(table, session_id, token, now_ms);
		if (index == NONE)
			return REPLAY_NO_WINDOW;
	} else if (unlikely(now_ms - table->windows[index].touched_ms >= REPLAY_TOUCH_MS)) {
		touch(table, index, now_ms);
	}
	*ticket = (struct replay_ticket){ .window = index, .sequence = sequence };
	if (unlikely(!has_chunk(table, *ticket)) && !take_chunk(table, *ticket, now_ms))
		return REPLAY_NO_WINDOW;
	slot = slot_of(table, *ticket);
	if (unlikely(sequence <= slot->sequence))
		return judge_seen(table, slot, *ticket);
	slot->sequence = sequence;
	slot->size = REPLAY_SIZE_IN_PROGRESS;
	return REPLAY_NEW;
}

/* ---- replies ---- */

/* Where 'size' bytes of the ring start that was 'ring_at' bytes into its life. */
static uint8_t *ring_bytes(const struct replay_table *table, const struct replay_window *window,
			   uint64_t ring_at)
{
	return (uint8_t *)pool_block(&table->rings, window->ring) + ring_at % REPLAY_RING_SIZE;
}

/* Puts a reply into the session's ring, in one piece; false when there is no ring to be had. */
static bool ring_put(struct replay_table *table, struct replay_window *window,
		     struct replay_slot *slot, const uint8_t *bytes, size_t size)
{
	size_t left = REPLAY_RING_SIZE - window->ring_head % REPLAY_RING_SIZE;

	if (size > REPLAY_RING_SIZE / 2)
		return false;
	if (window->ring == POOL_NONE) {
		window->ring = take_block(table, &table->rings, window->touched_ms);
		if (window->ring == POOL_NONE)
			return false;
	}
	if (size > left)
		window->ring_head += left;
	slot->ring_at = window->ring_head;
	memcpy(ring_bytes(table, window, window->ring_head), bytes, size);
	window->ring_head += size;
	return true;
}

static_assert(REPLAY_SIZE_FORWARDED < REPLAY_SIZE_IN_PROGRESS &&
		      REPLAY_RING_SIZE / 2 < REPLAY_SIZE_FORWARDED,
	      "sizes of replies, then forwarded, then in progress");

/* The slot of a write that was begun, and perhaps forwarded; NULL when the session has meanwhile sent a write that
 * shares its slot: then that is the one remembered, and copies of this one are OLD.
 */
static struct replay_slot *in_progress(const struct replay_table *table,
				       struct replay_ticket ticket)
{
	struct replay_slot *slot = has_chunk(table, ticket) ? slot_of(table, ticket) : NULL;

	return slot && slot->sequence == ticket.sequence && slot->size >= REPLAY_SIZE_FORWARDED
		       ? slot
		       : NULL;
}

void replay_commit(struct replay_table *table, struct replay_ticket ticket, uint8_t op_count,
		   const uint8_t *replies, size_t size)
{
	struct replay_slot *slot = in_progress(table, ticket);

	if (!slot)
		return;
	slot->op_count = op_count;
	if (likely(size == WIRE_REPLY_OP_SIZE)) /* of one SET: copied by two instructions */
		memcpy(slot->reply, replies, WIRE_REPLY_OP_SIZE);
	else if (size <= REPLAY_SLOT_REPLY_SIZE)
		memcpy(slot->reply, replies, size);
	else if (!ring_put(table, &table->windows[ticket.window], slot, replies, size))
		size = REPLAY_SIZE_FORGOTTEN;
	slot->size = (uint16_t)size;
}

void replay_cancel(struct replay_table *table, struct replay_ticket ticket)
{
	struct replay_slot *slot = in_progress(table, ticket);

	if (!slot)
		return;
	/* What the slot held before is not known any more; whatever it was is at least this old. */
	slot->sequence =
		ticket.sequence > REPLAY_WINDOW_SIZE ? ticket.sequence - REPLAY_WINDOW_SIZE : 0;
	slot->size = REPLAY_SIZE_FORGOTTEN;
}

void replay_bind(struct replay_table *table, struct replay_ticket ticket,
		 const struct replay_binding *binding)
{
	struct replay_slot *slot = in_progress(table, ticket);

	if (!slot)
		return;
	slot->binding = *binding;
	slot->size = REPLAY_SIZE_FORWARDED;
}

struct replay_binding replay_binding(const struct replay_table *table, struct replay_ticket ticket)
{
	return slot_of(table, ticket)->binding;
}

bool replay_is_forwarded(const struct replay_table *table, uint32_t session_id, uint64_t token,
			 uint32_t sequence, struct replay_ticket *ticket)
{
	const struct replay_slot *slot;
	uint32_t index = find(table, session_id, token);

	if (index == NONE)
		return false;
	*ticket = (struct replay_ticket){ .window = index, .sequence = sequence };
	slot = in_progress(table, *ticket);
	return slot && slot->size == REPLAY_SIZE_FORWARDED;
}

size_t replay_reply_copy(const struct replay_table *table, struct replay_ticket ticket, uint8_t *to,
			 uint8_t *op_count)
{
	const struct replay_slot *slot = slot_of(table, ticket);
	const uint8_t *from = slot->reply;

	if (slot->size > REPLAY_SLOT_REPLY_SIZE)
		from = ring_bytes(table, &table->windows[ticket.window], slot->ring_at);
	memcpy(to, from, slot->size);
	*op_count = slot->op_count;
	return slot->size;
}
