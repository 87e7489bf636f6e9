/* SPDX-License-Identifier: BSD-3-Clause */
/* The sweep that finds items whose time is over, so that they do not hold memory until somebody
 * asks for them.
 */
#ifndef STORAGE_EXPIRY_H
#define STORAGE_EXPIRY_H

#include <stdint.h>

#include "storage/slot_walk.h"

/* Readers compare an item's expiry with their clock, to the millisecond; the sweep only gives
 * memory back. It passes all slots of the shard in EXPIRY_ROUND_MS; the slots tell about when their
 * items expire, so it reads few items.
 *
 * Thread safety: owner core only.
 */
#define EXPIRY_ROUND_MS 4000u

struct expiry {
	struct slot_walk walk;
	uint64_t swept_until_ms; /* the clock when the sweep last had its share */
	uint64_t slots_due;      /* to be passed now, times EXPIRY_ROUND_MS */
};

/* Passes the slots that are due at 'now_ms', at most 'slot_max', in a shard of 'slot_count' slots;
 * stops at the first step that finds expired items. Stores those in 'items' (room for
 * SLOT_WALK_ITEMS), their number in '*item_count', and returns the slots passed.
 */
uint32_t expiry_sweep(struct expiry *expiry, uint64_t now_ms, uint64_t slot_count,
		      uint32_t slot_max, struct item **items, uint32_t *item_count);

/* Memory is short: makes one whole round due at once. */
void expiry_hurry(struct expiry *expiry, uint64_t slot_count);

#endif
