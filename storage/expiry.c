/* SPDX-License-Identifier: BSD-3-Clause */
/* A walk paced by the clock. */
#include "storage/expiry.h"

/* The share of a round that the time since the last call makes due. */
static void accrue(struct expiry *expiry, uint64_t now_ms, uint64_t slot_count)
{
	uint64_t round = slot_count * EXPIRY_ROUND_MS;
	uint64_t elapsed_ms = 0;

	if (now_ms > expiry->swept_until_ms && expiry->swept_until_ms != 0)
		elapsed_ms = now_ms - expiry->swept_until_ms;
	if (elapsed_ms > EXPIRY_ROUND_MS)
		elapsed_ms = EXPIRY_ROUND_MS;
	expiry->swept_until_ms = now_ms;
	expiry->slots_due += elapsed_ms * slot_count;
	if (expiry->slots_due > round)
		expiry->slots_due = round;
}

static uint32_t keep_expired(struct item **items, uint32_t count, uint64_t now_ms)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (item_is_expired(items[i], now_ms))
			items[kept++] = items[i];
	}
	return kept;
}

uint32_t expiry_sweep(struct expiry *expiry, uint64_t now_ms, uint64_t slot_count,
		      uint32_t slot_max, struct item **items, uint32_t *item_count)
{
	uint64_t due;
	uint32_t passed = 0;

	accrue(expiry, now_ms, slot_count);
	due = expiry->slots_due / EXPIRY_ROUND_MS;
	if (slot_max > due)
		slot_max = (uint32_t)due;
	*item_count = 0;
	while (passed < slot_max && *item_count == 0) {
		passed +=
			slot_walk_step(&expiry->walk, slot_max - passed, now_ms, items, item_count);
		*item_count = keep_expired(items, *item_count, now_ms);
	}
	expiry->slots_due -= (uint64_t)passed * EXPIRY_ROUND_MS;
	return passed;
}

void expiry_hurry(struct expiry *expiry, uint64_t slot_count)
{
	expiry->slots_due = slot_count * EXPIRY_ROUND_MS;
}
