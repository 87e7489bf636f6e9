/* SPDX-License-Identifier: BSD-3-Clause */
/* Lookups, writes, and growth by a second table. */
#include "storage/index.h"

#include <assert.h>
#include <errno.h>
#include <rte_prefetch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "storage/counter.h"
#include "storage/index_table.h"

#define NAME_SIZE 20

/* Entries left when the next table is asked for: a quarter of the table, more for small ones,
 * because building takes about the same time for all of them.
 */
#define ENTRIES_LEFT_AT_REQUEST (1u << 19)

/* Housekeeping calls between two attempts to build a table that failed: doubles up to this. */
#define BUILD_PAUSE_MAX 1024u

/* What can be retired, told by the argument: a whole generation, the views before it, else a
 * position of its table.
 */
#define ARGUMENT_GENERATION INDEX_ARGUMENT_MAX
#define ARGUMENT_VIEW (INDEX_ARGUMENT_MAX - 1)

/* What readers see. Constant once published. */
struct index_view {
	struct index_table *previous; /* asked first; NULL when the index does not grow */
	struct index_table *current;
};

/* One table with the two views that it appears in as the current one. */
struct generation {
	struct index_table *table;
	struct index_view growing;
	struct index_view alone;
	bool is_settled;     /* no reader uses an older view any more (owner) */
	bool is_unpublished; /* no reader uses its views any more (owner) */
	struct generation *next_unused;
};

struct index {
	struct index_view *view; /* RCU */
	uint64_t alternates;     /* entries under the high half of their digest */
	struct generation *current;
	struct generation *previous;
	struct reclaim *reclaim;
	struct index_stats stats;

	/* Between the owner and the housekeeper. */
	_Alignas(64) uint32_t wanted; /* entries; set by the owner, cleared when built */
	struct generation *built;     /* set by the housekeeper, taken by the owner */
	struct generation *unused;    /* a stack: pushed by the owner, emptied by the housekeeper */

	/* Housekeeper. */
	struct generation *unfinished; /* being built */
	uint32_t build_pause;          /* calls to skip after a failure; naturally atomic */
	uint32_t build_skip;
	uint32_t tables_made;
	char name[NAME_SIZE - 7];
};

/* --- Life --- */

static void generation_destroy(struct generation *generation)
{
	if (!generation)
		return;
	index_table_destroy(generation->table);
	free(generation);
}

/* The table is yet to be built. */
static struct generation *generation_create(struct index *index, uint32_t entry_max)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	char name[NAME_SIZE];

	if (!generation)
		return NULL;
	snprintf(name, sizeof(name), "%s_%u", index->name, index->tables_made++ % 1000000);
	generation->table = index_table_create(name, entry_max);
	if (!generation->table) {
		free(generation);
		return NULL;
	}
	generation->alone.current = generation->table;
	generation->growing.current = generation->table;
	return generation;
}

/* The first table, built at once. */
static struct generation *generation_create_built(struct index *index, uint32_t entry_max)
{
	struct generation *generation = generation_create(index, entry_max);
	int error = generation ? -EAGAIN : -ENOMEM;

	while (error == -EAGAIN)
		error = index_table_build(generation->table);
	if (error == 0)
		return generation;
	generation_destroy(generation);
	return NULL;
}

static uint32_t table_size_for(uint32_t entries)
{
	uint32_t size = INDEX_TABLE_ENTRY_MIN;

	while (size < entries && size < INDEX_TABLE_ENTRY_MAX)
		size = size * 2 + 1;
	return size;
}

int index_create(struct index **result, const struct index_options *options)
{
	struct index *index;

	*result = NULL;
	if (strlen(options->name) >= sizeof(index->name))
		return -EINVAL;
	index = aligned_alloc(64, sizeof(*index));
	if (!index)
		return -ENOMEM;
	*index = (struct index){ .reclaim = options->reclaim };
	snprintf(index->name, sizeof(index->name), "%s", options->name);
	index->current = generation_create_built(index, table_size_for(options->capacity_initial));
	if (!index->current) {
		free(index);
		return -ENOMEM;
	}
	index->stats.capacity = index->current->table->entry_max;
	index->current->is_settled = true;
	index->view = &index->current->alone;
	*result = index;
	return 0;
}

static void destroy_unused(struct generation *generation)
{
	while (generation) {
		struct generation *next = generation->next_unused;

		generation_destroy(generation);
		generation = next;
	}
}

void index_destroy(struct index *index)
{
	if (!index)
		return;
	destroy_unused(index->unused);
	generation_destroy(index->unfinished);
	generation_destroy(index->built);
	generation_destroy(index->previous);
	generation_destroy(index->current);
	free(index);
}

/* --- Lookup --- */

static bool is_item_of(const struct item *item, const struct key_ref *key)
{
	return key_bytes_equal(item->bytes, item->key_size, key->bytes, key->size);
}

/* Previous before current, because an entry moves from the one to the other: a reader who asked the
 * other way round could miss it in both.
 */
static struct item *find(const struct index_view *view, uint64_t digest)
{
	struct item *item = NULL;

	if (view->previous)
		item = index_table_find(view->previous, digest);
	return item ? item : index_table_find(view->current, digest);
}

/* The few keys whose low half belongs to another key. */
static struct item *find_alternate(const struct index *index, const struct index_view *view,
				   const struct key_ref *key)
{
	struct item *item;

	if (counter_read(&index->alternates) == 0)
		return NULL;
	item = find(view, key->digest.high);
	return item && is_item_of(item, key) ? item : NULL;
}

/* Asks 'view->current' for what 'previous' did not have. */
static void find_rest(const struct index_view *view, const uint64_t **digests, uint32_t count,
		      struct item **items)
{
	const uint64_t *missing[SHARD_BATCH_MAX];
	struct item *found[SHARD_BATCH_MAX];
	uint8_t at[SHARD_BATCH_MAX];
	uint32_t missing_count = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (items[i])
			continue;
		at[missing_count] = (uint8_t)i;
		missing[missing_count++] = digests[i];
	}
	if (missing_count == 0)
		return;
	index_table_find_bulk(view->current, missing, missing_count, found, NULL);
	for (uint32_t i = 0; i < missing_count; i++)
		items[at[i]] = found[i];
}

/* Positions are told only while there is one table. */
static void find_all(const struct index_view *view, const struct key_ref *keys, uint32_t count,
		     struct item **items, int32_t *positions)
{
	const uint64_t *digests[SHARD_BATCH_MAX];

	assert(count > 0 && count <= SHARD_BATCH_MAX);
	for (uint32_t i = 0; positions && i < count; i++)
		positions[i] = -1;
	if (count == 1) {
		items[0] = find(view, keys[0].digest.low);
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		digests[i] = &keys[i].digest.low;
	if (!view->previous) {
		index_table_find_bulk(view->current, digests, count, items, positions);
		return;
	}
	index_table_find_bulk(view->previous, digests, count, items, NULL);
	find_rest(view, digests, count, items);
}

void index_lookup_begin(const struct index *index, const struct key_ref *keys, uint32_t count,
			struct item **items, int32_t *positions)
{
	if (count == 0)
		return;
	find_all(rcu_dereference(index->view), keys, count, items, positions);
	for (uint32_t i = 0; i < count; i++) {
		rte_prefetch0(items[i]);
		rte_prefetch0((const uint8_t *)items[i] + 64);
	}
}

void index_lookup_end(const struct index *index, const struct key_ref *keys, uint32_t count,
		      struct item **items)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!items[i] || !is_item_of(items[i], &keys[i]))
			items[i] = find_alternate(index, rcu_dereference(index->view), &keys[i]);
	}
}

void index_lookup(const struct index *index, const struct key_ref *keys, uint32_t count,
		  struct item **items)
{
	index_lookup_begin(index, keys, count, items, NULL);
	index_lookup_end(index, keys, count, items);
}

/* --- Writes --- */

/* Entries of the current table that are taken, or kept for those that are yet to be moved to it. */
static uint32_t taken(const struct index *index)
{
	const struct index_table *current = index->current->table;
	uint32_t to_move = index->previous ? index->previous->table->entry_count : 0;

	return current->entry_count + current->entry_retired + to_move;
}

/* Asks the housekeeper for the next table in time. */
static void request_table(struct index *index)
{
	const struct index_table *table = index->current->table;
	uint32_t half = table->entry_max / 2;
	uint32_t left = ENTRIES_LEFT_AT_REQUEST < half ? ENTRIES_LEFT_AT_REQUEST : half;

	if (left < table->entry_max / 4)
		left = table->entry_max / 4;
	if (taken(index) < table->entry_max - left || table->entry_max >= INDEX_TABLE_ENTRY_MAX)
		return;
	/* 'built' is stored before 'wanted' is cleared: read them in the opposite order. */
	if (__atomic_load_n(&index->wanted, __ATOMIC_ACQUIRE) != 0 ||
	    __atomic_load_n(&index->built, __ATOMIC_ACQUIRE))
		return;
	__atomic_store_n(&index->wanted, table->entry_max * 2 + 1, __ATOMIC_RELEASE);
}

/* Makes the table that was built the current one. False when there is none, or the last growth
 * still runs.
 */
static bool start_growth(struct index *index)
{
	struct generation *built = __atomic_load_n(&index->built, __ATOMIC_ACQUIRE);

	if (!built || index->previous)
		return false;
	__atomic_store_n(&index->built, NULL, __ATOMIC_RELAXED);
	index->previous = index->current;
	index->current = built;
	built->growing.previous = index->previous->table;
	__atomic_store_n(&index->stats.is_growing, true, __ATOMIC_RELAXED);
	__atomic_store_n(&index->stats.capacity, built->table->entry_max, __ATOMIC_RELAXED);
	rcu_assign_pointer(index->view, &built->growing);
	reclaim_retire(index->reclaim, built, ARGUMENT_VIEW);
	return true;
}

static void finish_growth(struct index *index)
{
	struct generation *previous = index->previous;

	rcu_assign_pointer(index->view, &index->current->alone);
	index->previous = NULL;
	__atomic_store_n(&index->stats.is_growing, false, __ATOMIC_RELAXED);
	counter_add(&index->stats.grown, 1);
	reclaim_retire(index->reclaim, previous, ARGUMENT_GENERATION);
}

bool index_is_moving(const struct index *index)
{
	/* A reader that still holds the view before the growth knows only the previous table:
	 * nothing may leave it yet.
	 */
	return index->previous && index->current->is_settled;
}

/* Readers ask previous first: until the removal they find the entry there, after it in current. */
static void move_entry(struct index *index, uint64_t digest, struct item *item)
{
	if (!index_table_add(index->current->table, digest, item))
		return;
	index_table_remove(index->previous->table, digest);
	counter_add(&index->stats.moved, 1);
}

void index_move(struct index *index, const struct key_digest *digests, struct item *const *items,
		uint32_t count)
{
	struct index_table *previous = index->previous->table;
	const uint64_t *low[SHARD_BATCH_MAX];
	struct item *found[SHARD_BATCH_MAX];
	struct item *ignored[SHARD_BATCH_MAX];

	for (uint32_t i = 0; i < count; i++)
		low[i] = &digests[i].low;
	if (count > 0) {
		index_table_find_bulk(previous, low, count, found, NULL);
		/* Nothing is there: this fetches the buckets that the entries go to. */
		index_table_find_bulk(index->current->table, low, count, ignored, NULL);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (found[i] == items[i])
			move_entry(index, digests[i].low, items[i]);
		else if (index->alternates > 0 &&
			 index_table_find(previous, digests[i].high) == items[i])
			move_entry(index, digests[i].high, items[i]);
	}
	if (previous->entry_count == 0)
		finish_growth(index);
}

/* Whether a new key leaves room for what is to be moved: were that given away, the growth could never
 * end. The last eighth of a table is not sure to be had.
 */
static bool leaves_room(const struct index *index)
{
	return !index->previous || taken(index) < index->current->table->entry_max / 8 * 7;
}

void index_grow_when_due(struct index *index)
{
	if (taken(index) >= index->current->table->entry_max / 4 * 3)
		start_growth(index);
}

/* Adds to the current table, and starts to use a larger one when it is time or there is no room. */
static bool add_to_current(struct index *index, uint64_t digest, struct item *item)
{
	index_grow_when_due(index);
	if (leaves_room(index) && index_table_add(index->current->table, digest, item))
		return true;
	return start_growth(index) && index_table_add(index->current->table, digest, item);
}

/* Whether an insert refused now may soon succeed: the last growth still runs, a larger table is built,
 * or being built without failure so far.
 */
static bool awaits_table(const struct index *index)
{
	if (index->previous || __atomic_load_n(&index->built, __ATOMIC_ACQUIRE))
		return true;
	return __atomic_load_n(&index->wanted, __ATOMIC_ACQUIRE) != 0 &&
	       __atomic_load_n(&index->build_pause, __ATOMIC_RELAXED) == 0;
}

/* Stores the entry under a half that no other key has. */
static enum status insert_half(struct index *index, uint64_t digest, struct item *item)
{
	bool added = add_to_current(index, digest, item);

	request_table(index);
	if (!added)
		return awaits_table(index) ? STATUS_RETRY : STATUS_NO_SPACE;
	counter_add(&index->stats.entries, 1);
	return STATUS_OK;
}

enum status index_insert(struct index *index, const struct key_ref *key, struct item *item)
{
	enum status status;

	if (!find(index->view, key->digest.low))
		return insert_half(index, key->digest.low, item);
	if (find(index->view, key->digest.high)) {
		counter_add(&index->stats.collisions, 1);
		return STATUS_NO_SPACE;
	}
	/* Before the entry, so that no reader finds the low half taken and does not look further.
	 */
	counter_add(&index->alternates, 1);
	status = insert_half(index, key->digest.high, item);
	if (status != STATUS_OK)
		counter_subtract(&index->alternates, 1);
	return status;
}

/* The half of 'digest' that 'item' is stored under. */
static uint64_t half_of(const struct index *index, struct key_digest digest,
			const struct item *item)
{
	if (index->alternates == 0 || find(index->view, digest.low) == item)
		return digest.low;
	return digest.high;
}

void index_replace(struct index *index, struct key_digest digest, const struct item *old,
		   struct item *item)
{
	uint64_t half = half_of(index, digest, old);

	if (index->previous && index_table_find(index->previous->table, half))
		index_table_update(index->previous->table, half, item);
	else
		index_table_update(index->current->table, half, item);
}

/* Why the position is the entry's when that points to 'old'. It was found while there was one table, and there still is
 * one: the same, because a growth cannot begin and end without a quiescent state of the owner. An item has one live
 * entry; one that was removed is not used for another key before a grace period, and what it points to is retired.
 */
void index_replace_at(struct index *index, struct key_digest digest, int32_t position,
		      const struct item *old, struct item *item)
{
	if (index->previous || !index_table_update_at(index->current->table, position, old, item))
		index_replace(index, digest, old, item);
}

/* A position of the previous table is not retired: nothing will be added there. */
static void remove_half(struct index *index, uint64_t half)
{
	int32_t position;

	if (index->previous && index_table_remove(index->previous->table, half) >= 0)
		return;
	position = index_table_remove(index->current->table, half);
	assert(position >= 0);
	index->current->table->entry_retired++;
	reclaim_retire(index->reclaim, index->current, (uint32_t)position);
}

void index_remove(struct index *index, struct key_digest digest, const struct item *old)
{
	uint64_t half = half_of(index, digest, old);

	remove_half(index, half);
	if (half != digest.low)
		counter_subtract(&index->alternates, 1);
	counter_subtract(&index->stats.entries, 1);
}

/* --- After a grace period --- */

static void push_unused(struct index *index, struct generation *generation)
{
	struct generation *first = __atomic_load_n(&index->unused, __ATOMIC_RELAXED);

	do {
		generation->next_unused = first;
	} while (!__atomic_compare_exchange_n(&index->unused, &first, generation, false,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

void index_reclaimed(struct index *index, void *object, uint32_t argument)
{
	struct generation *generation = object;

	if (argument == ARGUMENT_VIEW) {
		generation->is_settled = true;
	} else if (argument == ARGUMENT_GENERATION) {
		generation->is_unpublished = true;
	} else {
		index_table_free_position(generation->table, (int32_t)argument);
		generation->table->entry_retired--;
	}
	if (generation->is_unpublished && generation->table->entry_retired == 0)
		push_unused(index, generation);
}

/* --- Housekeeping --- */

/* Attempts become rarer while they fail. */
static void pause_building(struct index *index)
{
	uint32_t pause = index->build_pause ? index->build_pause * 2 : 1;

	generation_destroy(index->unfinished);
	index->unfinished = NULL;
	if (pause > BUILD_PAUSE_MAX)
		pause = BUILD_PAUSE_MAX;
	__atomic_store_n(&index->build_pause, pause, __ATOMIC_RELAXED);
	index->build_skip = pause;
}

/* One step towards the table that the owner wants. */
static bool build_wanted(struct index *index)
{
	uint32_t wanted = __atomic_load_n(&index->wanted, __ATOMIC_ACQUIRE);
	int error;

	if (wanted == 0)
		return false;
	if (index->build_skip > 0) {
		index->build_skip--;
		return false;
	}
	if (!index->unfinished)
		index->unfinished = generation_create(index, wanted);
	error = index->unfinished ? index_table_build(index->unfinished->table) : -ENOMEM;
	if (error == -EAGAIN)
		return true;
	if (error != 0) {
		pause_building(index);
		return false;
	}
	__atomic_store_n(&index->build_pause, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&index->built, index->unfinished, __ATOMIC_RELEASE);
	__atomic_store_n(&index->wanted, 0, __ATOMIC_RELEASE);
	index->unfinished = NULL;
	return true;
}

bool index_housekeeping(struct index *index)
{
	struct generation *unused = __atomic_exchange_n(&index->unused, NULL, __ATOMIC_ACQUIRE);
	bool destroyed = unused != NULL;
	bool prefaulted;

	destroy_unused(unused);
	/* No table that a view names is destroyed but here. */
	prefaulted = index_table_prefault(rcu_dereference(index->view)->current);
	return build_wanted(index) || destroyed || prefaulted;
}

void index_stats(const struct index *index, struct index_stats *stats)
{
	*stats = (struct index_stats){
		.capacity = counter_read(&index->stats.capacity),
		.entries = counter_read(&index->stats.entries),
		.grown = counter_read(&index->stats.grown),
		.moved = counter_read(&index->stats.moved),
		.collisions = counter_read(&index->stats.collisions),
		.is_growing = __atomic_load_n(&index->stats.is_growing, __ATOMIC_RELAXED),
	};
}
