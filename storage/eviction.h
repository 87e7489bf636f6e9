/* SPDX-License-Identifier: BSD-3-Clause */
/* Which item goes when memory is short: CLOCK over the slots of a shard. */
#ifndef STORAGE_EVICTION_H
#define STORAGE_EVICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/slot_walk.h"

/* A hand passes slot after slot. An expired item goes; one read since the hand's last visit loses
 * its mark and stays; any other goes. A read costs one store to the item's own line, at most once
 * per round of the hand, by the owner.
 *
 * Freed memory is usable only a grace period later, so eviction runs ahead of demand: a reserve is
 * kept free or on its way to it. It starts small, doubles when a request found no memory all the
 * same, and shrinks slowly. It doubles once per grace period at most: what was evicted after the
 * last time cannot have come back before one is over. So a grace period that does not end, because
 * a core or the thread that waits for it stands still, costs the reserve and no more, however many
 * requests are refused meanwhile. A shard that holds more than its share
 * of a node without free memory makes a larger reserve, from which compaction gives slabs back: so
 * the shards of a node can become equal, whoever filled it first.
 *
 * Thread safety: owner core only.
 */
struct eviction_clock {
	struct slot_walk walk;
	uint64_t reserve_bytes;
	uint64_t grown_at_period; /* grace periods there had been when it last doubled */
	uint64_t shrunk_at_ms;
	bool is_short; /* a request found no memory since the last look */
};

/* Memory of a shard, in bytes. */
struct eviction_memory {
	uint64_t share;         /* of the node's memory, if all shards had the same */
	uint64_t held;          /* by the shard */
	uint64_t held_free;     /* of that, in no item */
	uint64_t node_free;     /* held by no shard */
	uint64_t underway;      /* retired, free after a grace period */
	uint64_t grace_periods; /* completed so far: a count, not bytes */
};

/* The bytes to evict now to have the reserve. Called about once per loop turn. */
uint64_t eviction_deficit(struct eviction_clock *clock, const struct eviction_memory *memory,
			  uint64_t now_ms);

/* A request found no memory: the reserve was too small. Returns whether to evict at once: not when
 * more than the reserve is 'underway' already (bytes, as in struct eviction_memory).
 */
bool eviction_note_shortage(struct eviction_clock *clock, uint64_t underway);

/* Moves the hand until it finds items to evict or has passed 'slot_max' slots. Stores the items in
 * 'items' (room for SLOT_WALK_ITEMS), their number in '*item_count', and returns the slots passed.
 */
uint32_t eviction_sweep(struct eviction_clock *clock, uint64_t now_ms, uint32_t slot_max,
			struct item **items, uint32_t *item_count);

#endif
