/* SPDX-License-Identifier: BSD-3-Clause */
/* The index of one shard: key -> item, in a table that a larger one replaces while both serve. */
#ifndef STORAGE_INDEX_H
#define STORAGE_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/item.h"
#include "storage/key.h"
#include "storage/reclaim.h"
#include "storage/status.h"

/* Growth, in the order it happens:
 *
 *      owner        asks for a table twice as large when the current one fills up
 *      housekeeper  builds it; nobody waits for that
 *      owner        publishes {previous, current}: inserts go to current, lookups ask previous,
 *                   then current
 *      owner        once no reader uses an older view, index_is_moving(): walks over all items and
 *                   has index_move() move their entries: add to current, then remove from previous,
 *                   so that a reader who missed in previous finds them in current
 *      owner        publishes {none, current} when previous is empty, and retires previous
 *      housekeeper  destroys it after the grace period
 *
 * A key is stored under the low half of its digest, or under the high half when another key has the
 * same low half. Found items are compared with the whole key, always.
 *
 * Thread safety: one thread, the owner, calls the functions marked (owner); one thread, perhaps
 * another, those marked (housekeeper); any registered RCU reader may look up and read statistics
 * meanwhile.
 */
struct index;

struct index_options {
	const char *name;          /* at most 12 characters, unique in the process */
	uint32_t capacity_initial; /* entries; rounded up to what a table can have */
	struct reclaim *reclaim;   /* the owner's; its free function calls index_reclaimed() */
};

struct index_stats {
	uint64_t capacity; /* entries of the current table */
	uint64_t entries;
	uint64_t grown;      /* growths completed */
	uint64_t moved;      /* entries moved by growth */
	uint64_t collisions; /* writes refused: both halves of the key's digest are taken */
	bool is_growing;
};

/* 0, -ENOMEM or -EINVAL. */
int index_create(struct index **index, const struct index_options *options);
/* Only when no reader is left and the owner's reclaim was destroyed. Accepts NULL. */
void index_destroy(struct index *index);

/* Looks up 'count' keys, at most SHARD_BATCH_MAX: items[i] is what keys[i] maps to, or NULL.
 * Touches the items.
 */
void index_lookup(const struct index *index, const struct key_ref *keys, uint32_t count,
		  struct item **items);

/* The same in two steps, for a caller that has other work while memory is fetched. The first finds
 * candidates and prefetches them; the second compares their keys. positions[i] is for index_replace_at();
 * NULL when it is not wanted.
 */
void index_lookup_begin(const struct index *index, const struct key_ref *keys, uint32_t count,
			struct item **items, int32_t *positions);
void index_lookup_end(const struct index *index, const struct key_ref *keys, uint32_t count,
		      struct item **items);

/* Maps a key that index_lookup() did not find to 'item' (owner). On another outcome than STATUS_OK
 * nothing changed: STATUS_RETRY when there is no room and a larger table is on its way,
 * STATUS_NO_SPACE when none can be built, or both halves of the key's digest belong to other keys.
 */
enum status index_insert(struct index *index, const struct key_ref *key, struct item *item);

/* Makes the entry of 'old' point to 'item', which has the same key (owner). */
void index_replace(struct index *index, struct key_digest digest, const struct item *old,
		   struct item *item);

/* The same without another lookup where possible: 'position' is of the lookup, since the last quiescent state, that found
 * 'old' or what it replaced.
 */
void index_replace_at(struct index *index, struct key_digest digest, int32_t position,
		      const struct item *old, struct item *item);

/* Removes the entry of 'old' (owner). */
void index_remove(struct index *index, struct key_digest digest, const struct item *old);

/* Called by the free function of 'reclaim' for what the index retired: everything whose argument is
 * at most INDEX_ARGUMENT_MAX (owner).
 */
#define INDEX_ARGUMENT_MAX (UINT32_C(1) << 31)
void index_reclaimed(struct index *index, void *object, uint32_t argument);

/* Publishes the larger table when it is built and the current one three quarters full (owner). Inserts do it too; called
 * now and then, growth does not wait for the next one.
 */
void index_grow_when_due(struct index *index);

/* Whether entries wait to be moved (owner). */
bool index_is_moving(const struct index *index);

/* Moves the entries of 'items', at most SHARD_BATCH_MAX, that are still in the previous table;
 * digests[i] is of the key of items[i] (owner). Ends the growth when none is left. An entry for
 * which the current table has no room stays.
 */
void index_move(struct index *index, const struct key_digest *digests, struct item *const *items,
		uint32_t count);

/* Builds and destroys tables, one step of some milliseconds per call (housekeeper). Returns whether
 * it did anything.
 */
bool index_housekeeping(struct index *index);

void index_stats(const struct index *index, struct index_stats *stats);

#endif
