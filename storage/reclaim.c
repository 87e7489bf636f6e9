/* SPDX-License-Identifier: BSD-3-Clause */
/* Deferred freeing: bags of retired objects, each waiting for a grace period. */
#include "storage/reclaim.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include "storage/counter.h"

#define BAG_OBJECTS 126u
#define BAGS_AT_START 64u
#define OPEN_POLLS_MAX 1024u /* a bag with objects is closed after so many polls at the latest */
#define PREFETCH_DISTANCE 32u

struct bag {
	struct bag *next;
	uint64_t tag; /* the grace period it waits for; set when it closes */
	uint32_t count;
	uint32_t freed; /* the first so many are freed */
	void *objects[BAG_OBJECTS];
	uint32_t arguments[BAG_OBJECTS];
};

/* A queue of bags; 'last' is undefined while 'first' is NULL. */
struct bag_list {
	struct bag *first;
	struct bag *last;
};

struct reclaim {
	struct grace_period *period;
	reclaim_free_fn *free_fn;
	void *context;
	struct bag *open; /* NULL until the first object, and when libc refused memory */
	uint32_t open_polls;
	uint32_t bags_spare;    /* in 'empty' */
	struct bag_list closed; /* oldest first, so tags ascend */
	struct bag *empty;
	uint64_t pending;
};

/* --- Bags --- */

static struct bag *bag_take(struct reclaim *reclaim)
{
	struct bag *bag = reclaim->empty;

	if (bag) {
		reclaim->empty = bag->next;
		reclaim->bags_spare--;
	} else {
		bag = malloc(sizeof(*bag));
		if (!bag)
			return NULL;
	}
	bag->next = NULL;
	bag->count = 0;
	bag->freed = 0;
	return bag;
}

static void bag_give(struct reclaim *reclaim, struct bag *bag)
{
	bag->next = reclaim->empty;
	reclaim->empty = bag;
	reclaim->bags_spare++;
}

/* What a stall or a burst made of bags goes back to libc when all is quiet, one per poll. */
static void bag_trim(struct reclaim *reclaim)
{
	struct bag *bag = reclaim->empty;

	if (reclaim->bags_spare <= BAGS_AT_START)
		return;
	reclaim->empty = bag->next;
	reclaim->bags_spare--;
	free(bag);
}

static void bag_list_append(struct bag_list *list, struct bag *bag)
{
	if (list->first)
		list->last->next = bag;
	else
		list->first = bag;
	list->last = bag;
}

/* --- Grace periods --- */

static void period_want(struct grace_period *period, uint64_t tag)
{
	uint64_t wanted = __atomic_load_n(&period->wanted, __ATOMIC_RELAXED);

	while (wanted < tag && !__atomic_compare_exchange_n(&period->wanted, &wanted, tag, false,
							    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

/* Why 'started' + 1 is enough. All objects of the bag were unpublished before the fence. We read s
 * from 'started' after it. The synchronizing thread writes s + 1 to 'started', then passes a full
 * fence, then waits for all readers. Because we did not see s + 1, its fence comes after ours: its
 * wait begins when the objects are unpublished already, for every core to see. A reader that it
 * does not wait for (quiescent since) cannot find them any more; the others it waits for. So once
 * 'completed' is s + 1, nobody holds them. Period s may be running since before they were
 * unpublished, and proves nothing. One fence per bag serves all its objects: each was retired
 * before it.
 */
static void bag_close(struct reclaim *reclaim)
{
	struct bag *bag = reclaim->open;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bag->tag = __atomic_load_n(&reclaim->period->started, __ATOMIC_RELAXED) + 1;
	period_want(reclaim->period, bag->tag);
	bag_list_append(&reclaim->closed, bag);
	reclaim->open = bag_take(reclaim);
	reclaim->open_polls = 0;
}

/* --- The contract --- */

void reclaim_retire(struct reclaim *reclaim, void *object, uint32_t argument)
{
	struct bag *bag = reclaim->open;

	counter_add(&reclaim->pending, 1);
	if (!bag) {
		reclaim->open = bag = bag_take(reclaim);
		if (!bag)
			return; /* leaked, and counted as pending for ever */
	}
	bag->objects[bag->count] = object;
	bag->arguments[bag->count] = argument;
	if (++bag->count == BAG_OBJECTS)
		bag_close(reclaim);
}

/* Fetches both cache lines that most objects have. Retired long ago they are out of the caches, and whoever gets the memory
 * next will write there.
 */
static void prefetch_object(const struct bag *bag, uint32_t number)
{
	const uint8_t *object;

	if (number >= bag->count) {
		number -= bag->count;
		bag = bag->next;
		if (!bag || number >= bag->count)
			return;
	}
	object = bag->objects[number];
	__builtin_prefetch(object, 1);
	__builtin_prefetch(object + 64, 1);
}

/* Frees objects of the bag, up to number 'end', and fetches those whose turn comes next. */
static void bag_free_objects(struct reclaim *reclaim, struct bag *bag, uint32_t end)
{
	counter_subtract(&reclaim->pending, end - bag->freed);
	for (uint32_t i = bag->freed; i < end; i++) {
		prefetch_object(bag, i + PREFETCH_DISTANCE);
		reclaim->free_fn(reclaim->context, bag->objects[i], bag->arguments[i]);
	}
	bag->freed = end;
}

/* Closes the open bag when nothing else is under way, or it has waited for that too long. */
static void close_when_due(struct reclaim *reclaim)
{
	if (!reclaim->open || reclaim->open->count == 0) {
		if (!reclaim->closed.first)
			bag_trim(reclaim);
		return;
	}
	if (!reclaim->closed.first || ++reclaim->open_polls >= OPEN_POLLS_MAX)
		bag_close(reclaim);
}

uint32_t reclaim_poll(struct reclaim *reclaim, uint32_t object_max)
{
	uint64_t completed = __atomic_load_n(&reclaim->period->completed, __ATOMIC_ACQUIRE);
	uint32_t freed = 0;
	struct bag *bag;

	while ((bag = reclaim->closed.first) && bag->tag <= completed && freed < object_max) {
		uint32_t left = bag->count - bag->freed;
		uint32_t now = left < object_max - freed ? left : object_max - freed;

		bag_free_objects(reclaim, bag, bag->freed + now);
		freed += now;
		if (bag->freed == bag->count) {
			reclaim->closed.first = bag->next;
			bag_give(reclaim, bag);
		}
	}
	close_when_due(reclaim);
	return freed;
}

uint64_t reclaim_pending(const struct reclaim *reclaim)
{
	return counter_read(&reclaim->pending);
}

int reclaim_create(struct reclaim **reclaim_out, struct grace_period *period,
		   reclaim_free_fn *free_fn, void *context)
{
	struct reclaim *reclaim = calloc(1, sizeof(*reclaim));

	*reclaim_out = NULL;
	if (!reclaim)
		return -ENOMEM;
	reclaim->period = period;
	reclaim->free_fn = free_fn;
	reclaim->context = context;
	while (reclaim->bags_spare < BAGS_AT_START) {
		struct bag *bag = calloc(1, sizeof(*bag)); /* zeroed here: no page fault later */

		if (!bag) {
			reclaim_destroy(reclaim);
			return -ENOMEM;
		}
		bag_give(reclaim, bag);
	}
	*reclaim_out = reclaim;
	return 0;
}

static void bag_list_destroy(struct reclaim *reclaim, struct bag *bag)
{
	while (bag) {
		struct bag *next = bag->next;

		bag_free_objects(reclaim, bag, bag->count);
		free(bag);
		bag = next;
	}
}

void reclaim_destroy(struct reclaim *reclaim)
{
	if (!reclaim)
		return;
	bag_list_destroy(reclaim, reclaim->closed.first);
	bag_list_destroy(reclaim, reclaim->open);
	while (reclaim->empty) {
		struct bag *bag = reclaim->empty;

		reclaim->empty = bag->next;
		free(bag);
	}
	free(reclaim);
}
