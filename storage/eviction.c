/* SPDX-License-Identifier: BSD-3-Clause */
/* The hand of the clock, and the reserve it works for. */
#include "storage/eviction.h"

/* Bounds of the reserve: shares of what the shard holds, and bytes. */
#define RESERVE_SHARE_MIN 64u
#define RESERVE_SHARE_MAX 4u
#define RESERVE_MIN_MAX ((uint64_t)16 << 20)

/* The reserve of a shard that must give slabs back, a share of what it holds: twice what compaction
 * leaves free in each class.
 */
#define RESERVE_SHARE_GIVE 8u
#define NODE_FREE_SHARE_MIN 64u

/* Every so often the reserve shrinks by a share. */
#define SHRINK_PERIOD_MS 1000u
#define SHRINK_SHARE 16u

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void adapt_reserve(struct eviction_clock *clock, const struct eviction_memory *memory,
			  uint64_t now_ms)
{
	uint64_t reserve_min = smaller(memory->held / RESERVE_SHARE_MIN, RESERVE_MIN_MAX);
	uint64_t reserve_max = memory->held / RESERVE_SHARE_MAX;

	if (clock->is_short && memory->grace_periods != clock->grown_at_period) {
		clock->reserve_bytes *= 2;
		clock->grown_at_period = memory->grace_periods;
		clock->shrunk_at_ms = now_ms;
	} else if (now_ms >= clock->shrunk_at_ms + SHRINK_PERIOD_MS) {
		clock->reserve_bytes -= clock->reserve_bytes / SHRINK_SHARE;
		clock->shrunk_at_ms = now_ms;
	}
	clock->is_short = false;
	clock->reserve_bytes = smaller(clock->reserve_bytes, reserve_max);
	if (clock->reserve_bytes < reserve_min)
		clock->reserve_bytes = reserve_min;
}

static bool must_give(const struct eviction_memory *memory)
{
	return memory->held > memory->share &&
	       memory->node_free < memory->share / NODE_FREE_SHARE_MIN;
}

uint64_t eviction_deficit(struct eviction_clock *clock, const struct eviction_memory *memory,
			  uint64_t now_ms)
{
	uint64_t usable = memory->held_free + memory->node_free + memory->underway;
	uint64_t wanted;

	adapt_reserve(clock, memory, now_ms);
	wanted = clock->reserve_bytes;
	if (must_give(memory) && wanted < memory->held / RESERVE_SHARE_GIVE)
		wanted = memory->held / RESERVE_SHARE_GIVE;
	return usable < wanted ? wanted - usable : 0;
}

bool eviction_note_shortage(struct eviction_clock *clock, uint64_t underway)
{
	clock->is_short = true;
	return underway <= clock->reserve_bytes;
}

static uint32_t choose(struct item **items, uint32_t count, uint64_t now_ms)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < count; i++) {
		if ((items[i]->flags & ITEM_VISITED) && !item_is_expired(items[i], now_ms))
			item_flag_clear(items[i], ITEM_VISITED);
		else
			items[chosen++] = items[i];
	}
	return chosen;
}

uint32_t eviction_sweep(struct eviction_clock *clock, uint64_t now_ms, uint32_t slot_max,
			struct item **items, uint32_t *item_count)
{
	uint32_t passed = 0;

	*item_count = 0;
	while (passed < slot_max && *item_count == 0) {
		passed += slot_walk_step(&clock->walk, slot_max - passed, 0, items, item_count);
		*item_count = choose(items, *item_count, now_ms);
	}
	return passed;
}
