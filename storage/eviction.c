/* SPDX-License-Identifier: BSD-3-Clause */
/* The hand of the clock, and the reserve it works for. */
#include "storage/eviction.h"

/* Bounds of the reserve, as shares of what the shard holds. */
#define RESERVE_SHARE_MIN 64u
#define RESERVE_SHARE_MAX 4u
#define SHRINK_PERIOD_MS 1000u

static uint64_t reserve_min(const struct eviction_memory *memory)
{
	return memory->held / RESERVE_SHARE_MIN;
}

bool eviction_is_due(struct eviction_clock *clock, const struct eviction_memory *memory,
		     uint64_t now_ms)
{
	if (now_ms >= clock->shrunk_at_ms + SHRINK_PERIOD_MS) {
		clock->shrunk_at_ms = now_ms;
		clock->reserve_bytes -= clock->reserve_bytes / 16;
	}
	if (clock->reserve_bytes < reserve_min(memory))
		clock->reserve_bytes = reserve_min(memory);
	return memory->available + memory->underway < clock->reserve_bytes;
}

void eviction_note_shortage(struct eviction_clock *clock, const struct eviction_memory *memory)
{
	uint64_t reserve_max = memory->held / RESERVE_SHARE_MAX;

	clock->reserve_bytes *= 2;
	if (clock->reserve_bytes > reserve_max)
		clock->reserve_bytes = reserve_max;
}

static uint32_t choose(struct item **items, uint32_t count, uint64_t now_ms)
{
	uint32_t chosen = 0;

	for (uint32_t i = 0; i < count; i++) {
		if ((items[i]->flags & ITEM_VISITED) && !item_is_expired(items[i], now_ms))
			items[i]->flags &= (uint8_t)~ITEM_VISITED;
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
		passed += slot_walk_step(&clock->walk, slot_max - passed, false, items, item_count);
		*item_count = choose(items, *item_count, now_ms);
	}
	return passed;
}
