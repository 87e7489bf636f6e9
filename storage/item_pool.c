/* SPDX-License-Identifier: BSD-3-Clause */
/* One core's allocator of items: size classes, free lists in the blocks, compaction. */
#include "storage/item_pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/counter.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

#ifndef likely
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#endif

/* How full a slab is, in eighths; the last band is the full ones. */
#define BAND_COUNT 8u
#define BAND_FULL BAND_COUNT
#define THRESHOLD_NEVER UINT16_MAX

/* The blocks freed last, kept by a class to be handed out again. */
#define CACHE_BLOCKS 128u
#define CACHE_REFILL 16u

/* Compaction: slabs that wait for a grace period at a time; the share of a class's blocks that it
 * leaves free.
 */
#define DRAINING_SLABS_MAX 64u
#define SPARE_DIVISOR 16u

/* A slab taken so few calls after its class was compacted was needed all along. */
#define REGRET_CALLS 8192u
#define PATIENCE_CALLS_MIN 256u
#define PATIENCE_CALLS_MAX 16384u

static_assert(ITEM_SLAB_SIZE / ITEM_HEADER_SIZE < THRESHOLD_NEVER,
	      "blocks of a slab count in 16 bits");
static_assert(ITEM_CLASS_COUNT <= 128, "two words of bits");
static_assert(ITEM_SLAB_SIZE / 7 >= ITEM_SIZE_MAX, "any item fits a block");

/* The blocks freed last are handed out first, while they are in the processor's caches: a stack of
 * them stands between items and slabs. To its slab a cached block counts as used. None is of a
 * draining slab.
 */
struct size_class {
	_Alignas(64) uint32_t cached; /* blocks in 'cache' */
	uint32_t block_size;
	uint64_t items; /* handed out, in draining slabs too */
	uint64_t items_draining;
	uint64_t blocks;           /* in slabs that are not draining */
	struct item_slab *current; /* cut blocks from; 'no_slab' when there is none */
	uint32_t bands_filled;     /* bit b: bands[b] has slabs with free blocks */
	uint32_t patience_calls;   /* grows with each regret */
	uint64_t drained_at;       /* the last drain, in calls of compaction */
	uint64_t rests_until;      /* not compacted before this call */
	struct cds_list_head bands[BAND_COUNT + 1];
	struct item *cache[CACHE_BLOCKS]; /* the first 'cached' */
};

struct item_pool {
	struct item_slab *slabs;
	uint8_t *blocks;
	struct item_memory *memory;
	struct item_pool_stats stats; /* summed up as they change: callers look each loop turn */

	/* Compaction. */
	struct item_slab *victim; /* whose items are being named */
	struct item *named;       /* the last one, until the next call */
	uint64_t calls;           /* of item_pool_compact_next(), from REGRET_CALLS on */
	uint32_t victim_next;     /* block of the victim to look at next */
	uint32_t round_class;     /* looked at in the next call, whatever happened in it */
	uint64_t sank[2];         /* bit i: a slab of class i sank since compaction last looked */
	uint32_t draining_count;
	struct cds_list_head draining;

	struct item_slab no_slab; /* has no block, so that 'current' needs no check for NULL */
	uint8_t class_of[(ITEM_SIZE_MAX + 7) / 8 + 1]; /* by size in units of 8 bytes, rounded up */
	struct size_class classes[ITEM_CLASS_COUNT];
};

static inline struct item_slab *slab_of(const struct item_pool *pool, const struct item *item)
{
	return &pool->slabs[(size_t)((const uint8_t *)item - pool->blocks) / ITEM_SLAB_SIZE];
}

static struct item *block_at(const struct item_pool *pool, const struct item_slab *slab,
			     uint32_t block)
{
	size_t number = (size_t)(slab - pool->slabs);
	uint32_t block_size = pool->classes[slab->item_class].block_size;

	return (struct item *)(pool->blocks + number * ITEM_SLAB_SIZE + (size_t)block * block_size);
}

static struct item_slab *first_slab(struct cds_list_head *list)
{
	return cds_list_first_entry(list, struct item_slab, list);
}

/* For the address sanitizer: no access to a free block behind its header, nor past an item. */
static inline void poison_block(struct item *item, uint32_t block_size)
{
	ASAN_POISON_MEMORY_REGION(item->bytes, block_size - ITEM_HEADER_SIZE);
}

/* --- Slabs by how full they are --- */

static void slab_file(struct size_class *class, struct item_slab *slab)
{
	uint32_t band = (uint32_t)slab->used * BAND_COUNT / slab->block_count;
	uint32_t band_start = (band * slab->block_count + BAND_COUNT - 1) / BAND_COUNT;

	slab->band = (uint8_t)band;
	slab->threshold = (uint16_t)(band_start > 0 ? band_start - 1 : 0);
	cds_list_add_tail(&slab->list, &class->bands[band]);
	if (band < BAND_FULL)
		class->bands_filled |= 1u << band;
}

static void slab_unfile(struct size_class *class, struct item_slab *slab)
{
	cds_list_del(&slab->list);
	if (cds_list_empty(&class->bands[slab->band]))
		class->bands_filled &= ~(1u << slab->band);
}

/* --- Slabs from and to the node --- */

static void slab_init(struct item_pool *pool, struct size_class *class, struct item_slab *slab)
{
	slab->pool = pool;
	slab->free_items = NULL;
	slab->item_class = (uint8_t)(class - pool->classes);
	slab->block_count = (uint16_t)(ITEM_SLAB_SIZE / class->block_size);
	slab->touched = 0;
	slab->used = 0;
	slab->is_draining = false;
	class->blocks += slab->block_count;
	counter_add(&pool->stats.slabs, 1);
	ASAN_POISON_MEMORY_REGION(block_at(pool, slab, 0), ITEM_SLAB_SIZE);
}

/* The slab is on no list, not current, and its class no longer counts its blocks. */
static void slab_release(struct item_pool *pool, struct item_slab *slab)
{
	ASAN_UNPOISON_MEMORY_REGION(block_at(pool, slab, 0), ITEM_SLAB_SIZE);
	slab->pool = NULL;
	counter_subtract(&pool->stats.slabs, 1);
	item_memory_give(pool->memory, slab);
}

/* 'used' sank to the slab's threshold: it leaves its band, or a draining slab counts down. */
static void slab_sank(struct item_pool *pool, struct item_slab *slab)
{
	struct size_class *class = &pool->classes[slab->item_class];

	slab_unfile(class, slab);
	pool->sank[slab->item_class / 64] |= UINT64_C(1) << slab->item_class % 64;
	if (slab->used > 0) {
		slab_file(class, slab);
	} else {
		class->blocks -= slab->block_count;
		slab_release(pool, slab);
	}
}

static void draining_slab_sank(struct item_pool *pool, struct item_slab *slab)
{
	pool->classes[slab->item_class].items_draining--;
	slab->threshold = (uint16_t)(slab->used - 1);
	if (slab->used > 0)
		return;
	cds_list_del(&slab->list);
	pool->draining_count--;
	counter_add(&pool->stats.slabs_emptied, 1);
	if (pool->victim == slab)
		pool->victim = NULL;
	slab_release(pool, slab);
}

static void slab_give_block(struct item_pool *pool, struct item_slab *slab, struct item *item)
{
	ASAN_UNPOISON_MEMORY_REGION(item, ITEM_HEADER_SIZE);
	item->flags = 0; /* undefined as yet in a block that was cached but not handed out */
	item->version = (uintptr_t)slab->free_items;
	slab->free_items = item;
	if (--slab->used != slab->threshold)
		return;
	if (slab->is_draining)
		draining_slab_sank(pool, slab);
	else
		slab_sank(pool, slab);
}

/* Gives the 'count' blocks that were cached first back to their slabs. */
static __attribute__((noinline)) void cache_flush(struct item_pool *pool, struct size_class *class,
						  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		slab_give_block(pool, slab_of(pool, class->cache[i]), class->cache[i]);
	class->cached -= count;
	memmove(class->cache, class->cache + count, class->cached * sizeof(class->cache[0]));
}

/* Gives back what the class keeps for its next items: cached blocks, an empty current slab. */
static void release_kept(struct item_pool *pool, struct size_class *class)
{
	struct item_slab *slab = class->current;

	cache_flush(pool, class, class->cached);
	if (slab == &pool->no_slab || slab->used > 0)
		return;
	class->current = &pool->no_slab;
	class->blocks -= slab->block_count;
	slab_release(pool, slab);
}

static struct item_slab *take_slab(struct item_pool *pool)
{
	struct item_slab *slab = item_memory_take(pool->memory);

	for (uint32_t i = 0; !slab && i < ITEM_CLASS_COUNT; i++) {
		release_kept(pool, &pool->classes[i]);
		slab = item_memory_take(pool->memory);
	}
	return slab;
}

/* A class whose items wait in turns for a grace period swells and shrinks with each. Compacting it
 * between two swells is wasted: after such a waste it rests, each time twice as long.
 */
static void class_regret(const struct item_pool *pool, struct size_class *class)
{
	if (pool->calls - class->drained_at >= REGRET_CALLS + class->patience_calls) {
		class->patience_calls = 0;
		return;
	}
	if (pool->calls < class->rests_until)
		return;
	class->patience_calls *= 2;
	if (class->patience_calls < PATIENCE_CALLS_MIN)
		class->patience_calls = PATIENCE_CALLS_MIN;
	if (class->patience_calls > PATIENCE_CALLS_MAX)
		class->patience_calls = PATIENCE_CALLS_MAX;
	class->rests_until = pool->calls + class->patience_calls;
}

/* --- Allocating and freeing --- */

/* Makes the fullest slab that has a free block current, or a new one. The old current is full. */
static struct item_slab *next_current(struct item_pool *pool, struct size_class *class)
{
	struct item_slab *old = class->current;
	struct item_slab *slab;

	if (class->bands_filled) {
		slab = first_slab(&class->bands[31 - __builtin_clz(class->bands_filled)]);
		slab_unfile(class, slab);
	} else {
		slab = take_slab(pool);
		if (!slab)
			return NULL;
		slab_init(pool, class, slab);
		class_regret(pool, class);
	}
	if (old != &pool->no_slab)
		slab_file(class, old);
	slab->threshold = THRESHOLD_NEVER;
	class->current = slab;
	return slab;
}

static struct item *slab_take_block(struct item_pool *pool, struct item_slab *slab)
{
	struct item *item = slab->free_items;

	slab->used++;
	if (!item)
		return block_at(pool, slab, slab->touched++);
	slab->free_items = (struct item *)(uintptr_t)item->version;
	return item;
}

/* Blocks for an empty cache, to be handed out by ascending address when they are new. */
static __attribute__((noinline)) bool cache_refill(struct item_pool *pool, struct size_class *class)
{
	struct item_slab *slab = class->current;
	uint32_t count;

	if (slab->used == slab->block_count)
		slab = next_current(pool, class);
	if (!slab)
		return false;
	count = (uint32_t)slab->block_count - slab->used;
	class->cached = count < CACHE_REFILL ? count : CACHE_REFILL;
	for (uint32_t i = class->cached; i-- > 0;)
		class->cache[i] = slab_take_block(pool, slab);
	return true;
}

struct item *item_pool_alloc(struct item_pool *pool, uint32_t size)
{
	struct size_class *class;
	struct item *item;

	assert(size >= ITEM_HEADER_SIZE && size <= ITEM_SIZE_MAX);
	class = &pool->classes[pool->class_of[(size + 7) / 8]];
	if (unlikely(class->cached == 0) && !cache_refill(pool, class))
		return NULL;
	item = class->cache[--class->cached];
	class->items++;
	counter_add(&pool->stats.items, 1);
	counter_add(&pool->stats.bytes_requested, size);
	counter_add(&pool->stats.bytes_allocated, class->block_size);
	ASAN_UNPOISON_MEMORY_REGION(item, size);
	memset(item, 0, ITEM_HEADER_SIZE);
	item->flags = ITEM_ALLOCATED;
	return item;
}

void item_pool_free(struct item_pool *pool, struct item *item)
{
	struct item_slab *slab = slab_of(pool, item);
	struct size_class *class = &pool->classes[slab->item_class];

	assert(slab->pool == pool);
	assert(item->flags & ITEM_ALLOCATED);
	class->items--;
	counter_subtract(&pool->stats.items, 1);
	counter_subtract(&pool->stats.bytes_requested, item_size(item->key_size, item->value_size));
	counter_subtract(&pool->stats.bytes_allocated, class->block_size);
	item->flags = 0;
	poison_block(item, class->block_size);
	if (unlikely(slab->is_draining)) {
		slab_give_block(pool, slab, item);
		return;
	}
	if (unlikely(class->cached == CACHE_BLOCKS))
		cache_flush(pool, class, CACHE_BLOCKS / 2);
	class->cache[class->cached++] = item;
}

/* --- Compaction --- */

/* Whether the class's items fit into one slab fewer, with room to spare, and it does not rest. */
static bool class_is_sparse(const struct item_pool *pool, const struct size_class *class)
{
	uint64_t slab_blocks = ITEM_SLAB_SIZE / class->block_size;
	uint64_t blocks = class->blocks - slab_blocks;

	if (!class->bands_filled || class->blocks <= slab_blocks ||
	    pool->calls < class->rests_until)
		return false;
	return class->items - class->items_draining + blocks / SPARE_DIVISOR <= blocks;
}

static void drain_start(struct item_pool *pool, struct size_class *class)
{
	struct item_slab *slab = first_slab(&class->bands[__builtin_ctz(class->bands_filled)]);

	slab_unfile(class, slab);
	slab->is_draining = true;
	slab->threshold = (uint16_t)(slab->used - 1);
	class->blocks -= slab->block_count;
	class->items_draining += slab->used;
	cds_list_add_tail(&slab->list, &pool->draining);
	pool->draining_count++;
	class->drained_at = pool->calls;
	pool->victim = slab;
	pool->victim_next = 0;
}

static void drain_cancel(struct item_pool *pool)
{
	struct item_slab *slab = pool->victim;
	struct size_class *class = &pool->classes[slab->item_class];

	cds_list_del(&slab->list);
	pool->draining_count--;
	pool->victim = NULL;
	slab->is_draining = false;
	class->blocks += slab->block_count;
	class->items_draining -= slab->used;
	slab_file(class, slab);
}

/* A class in which a slab sank and that is sparse now, or NULL. */
static struct size_class *next_sunken(struct item_pool *pool)
{
	for (uint32_t word = 0; word < 2; word++) {
		for (; pool->sank[word]; pool->sank[word] &= pool->sank[word] - 1) {
			uint32_t bit = (uint32_t)__builtin_ctzll(pool->sank[word]);
			struct size_class *class = &pool->classes[word * 64 + bit];

			if (class_is_sparse(pool, class))
				return class;
		}
	}
	return NULL;
}

/* One class after the other, one per call: finds those that became sparse without a slab leaving
 * its band, and gives idle slabs to a node that has no other.
 */
static struct size_class *next_in_round(struct item_pool *pool, uint32_t slabs_free)
{
	struct size_class *class = &pool->classes[pool->round_class];

	pool->round_class = (pool->round_class + 1) % ITEM_CLASS_COUNT;
	if (slabs_free == 0)
		release_kept(pool, class);
	return class_is_sparse(pool, class) ? class : NULL;
}

static bool choose_victim(struct item_pool *pool)
{
	uint32_t slabs_free = item_memory_slabs_free(pool->memory);
	struct size_class *class;

	if (slabs_free > item_memory_slab_count(pool->memory) / 4 * 3 ||
	    pool->draining_count >= DRAINING_SLABS_MAX)
		return false;
	class = next_sunken(pool);
	if (!class)
		class = next_in_round(pool, slabs_free);
	if (!class)
		return false;
	cache_flush(pool, class, class->cached);
	if (class_is_sparse(pool, class)) /* still: the flush may have emptied slabs */
		drain_start(pool, class);
	return pool->victim != NULL;
}

/* Whether the caller left the item that was named last where it is. */
static bool named_was_refused(const struct item_pool *pool)
{
	return pool->victim && pool->named && (pool->named->flags & ITEM_ALLOCATED) &&
	       !(pool->named->flags & ITEM_RETIRED);
}

struct item *item_pool_compact_next(struct item_pool *pool, uint32_t block_max)
{
	pool->calls++;
	if (named_was_refused(pool)) {
		drain_cancel(pool);
		block_max = 0;
	}
	pool->named = NULL;
	while (block_max > 0 && (pool->victim || choose_victim(pool))) {
		for (; block_max > 0 && pool->victim_next < pool->victim->touched; block_max--) {
			struct item *item = block_at(pool, pool->victim, pool->victim_next++);

			if ((item->flags & ITEM_ALLOCATED) && !(item->flags & ITEM_RETIRED)) {
				pool->named = item;
				return item;
			}
		}
		if (pool->victim_next == pool->victim->touched)
			pool->victim = NULL;
	}
	return NULL;
}

/* --- The rest --- */

static void class_init(struct item_pool *pool, uint32_t item_class)
{
	struct size_class *class = &pool->classes[item_class];

	class->current = &pool->no_slab;
	class->block_size = item_class_block_size(item_class);
	for (uint32_t band = 0; band <= BAND_FULL; band++)
		CDS_INIT_LIST_HEAD(&class->bands[band]);
}

int item_pool_create(struct item_pool **pool_out, struct item_memory *memory)
{
	struct item_pool *pool = aligned_alloc(_Alignof(struct item_pool), sizeof(*pool));

	*pool_out = pool;
	if (!pool)
		return -ENOMEM;
	memset(pool, 0, sizeof(*pool));
	pool->memory = memory;
	pool->slabs = item_memory_slabs(memory);
	pool->blocks = item_memory_blocks(memory);
	pool->calls = REGRET_CALLS; /* so that 0 is long ago for each class */
	CDS_INIT_LIST_HEAD(&pool->draining);
	for (uint32_t units = 1; units < sizeof(pool->class_of); units++) {
		uint32_t size = units * 8 < ITEM_SIZE_MAX ? units * 8 : ITEM_SIZE_MAX;

		pool->class_of[units] = (uint8_t)item_class_of_size(size);
	}
	for (uint32_t i = 0; i < ITEM_CLASS_COUNT; i++)
		class_init(pool, i);
	return 0;
}

static void release_list(struct item_pool *pool, struct cds_list_head *list)
{
	while (!cds_list_empty(list)) {
		struct item_slab *slab = first_slab(list);

		cds_list_del(&slab->list);
		slab_release(pool, slab);
	}
}

void item_pool_destroy(struct item_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < ITEM_CLASS_COUNT; i++) {
		struct size_class *class = &pool->classes[i];

		for (uint32_t band = 0; band <= BAND_FULL; band++)
			release_list(pool, &class->bands[band]);
		if (class->current != &pool->no_slab)
			slab_release(pool, class->current);
	}
	release_list(pool, &pool->draining);
	assert(pool->stats.slabs == 0);
	free(pool);
}

uint32_t item_pool_block_size(uint32_t size)
{
	return item_class_block_size(item_class_of_size(size));
}

void item_pool_stats(const struct item_pool *pool, struct item_pool_stats *stats)
{
	stats->items = counter_read(&pool->stats.items);
	stats->bytes_requested = counter_read(&pool->stats.bytes_requested);
	stats->bytes_allocated = counter_read(&pool->stats.bytes_allocated);
	stats->slabs = counter_read(&pool->stats.slabs);
	stats->slabs_emptied = counter_read(&pool->stats.slabs_emptied);
}
