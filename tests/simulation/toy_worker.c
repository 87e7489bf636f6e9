/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker core: one request after the other by the view it has. */
#include "tests/simulation/toy_worker.h"

#include <assert.h>
#include <string.h>

static void enqueue(struct toy_worker *worker, const struct toy_request *request)
{
	uint32_t at = (worker->queue_first + worker->queue_count++) % TOY_QUEUE_MAX;

	worker->queue[at] = *request;
}

bool toy_worker_receive(struct toy_worker *worker, const struct toy_request *request)
{
	if (worker->queue_count == TOY_QUEUE_MAX)
		return false;
	enqueue(worker, request);
	return true;
}

static void tell(struct toy_worker *worker, const struct toy_request *request,
		 enum toy_outcome outcome)
{
	worker->on_outcome(worker->context, request, outcome,
			   worker->views[request->partition].owner);
}

static void read_key(struct toy_worker *worker, const struct toy_request *request, uint64_t now_us)
{
	const struct toy_store *store = &worker->stores[request->partition];

	toy_history_read(worker->history, request->partition, worker->self, request->key,
			 toy_store_find(store, request->key), now_us / 1000);
	tell(worker, request, TOY_ANSWERED);
}

/* Whether the request changes anything. */
static bool writes(const struct toy_store *store, const struct toy_request *request,
		   uint64_t now_ms)
{
	const struct toy_item *item = toy_store_find(store, request->key);

	if (request->kind == TOY_DELETE)
		return item != NULL;
	if (request->kind == TOY_EXPIRE)
		return item && item->expires_at_ms != 0 && item->expires_at_ms <= now_ms;
	return true;
}

static uint64_t value_of(const struct toy_store *store, const struct toy_request *request)
{
	const struct toy_item *item = toy_store_find(store, request->key);

	if (request->kind == TOY_INCREMENT)
		return item ? item->value + 1 : 1;
	return request->value;
}

/* Publishes the write: from here on readers and the scan see it. */
static void write_key(struct toy_worker *worker)
{
	const struct toy_request *request = &worker->current;
	struct toy_store *store = &worker->stores[request->partition];

	if (request->kind == TOY_DELETE || request->kind == TOY_EXPIRE) {
		worker->written = toy_store_remove(store, request->key, &worker->written_slot);
	} else {
		worker->written = toy_store_put(store, request->key, value_of(store, request),
						request->expires_at_ms);
		worker->written_slot = toy_store_slot(store, request->key);
	}
	worker->is_written = true;
	toy_history_write(worker->history, request->partition, worker->self,
			  worker->views[request->partition].epoch, &worker->written);
}

static bool must_park(const struct toy_view *view, const struct toy_request *request)
{
	return view->parks_all || (view->parks_writes && request->kind != TOY_GET);
}

static void park(struct toy_worker *worker, const struct toy_request *request, uint64_t now_us)
{
	struct toy_parked *parked = &worker->parked[worker->parked_count];

	if (worker->parked_count == TOY_PARKED_MAX) {
		tell(worker, request, TOY_REFUSED);
		return;
	}
	worker->parked_count++;
	parked->request = *request;
	parked->since_us = now_us;
}

static void start_write(struct toy_worker *worker, const struct toy_request *request)
{
	worker->is_busy = true;
	worker->is_written = false;
	worker->current = *request;
	worker->cursor_seen = worker->stores[request->partition].cursor;
	if (!worker->checks_cursor_first)
		write_key(worker);
}

static void take(struct toy_worker *worker, const struct toy_request *request, uint64_t now_us)
{
	const struct toy_view *view = &worker->views[request->partition];
	const struct toy_store *store = &worker->stores[request->partition];

	if (worker->is_cut_off)
		tell(worker, request, TOY_REFUSED);
	else if (must_park(view, request))
		park(worker, request, now_us);
	else if (!view->serves)
		tell(worker, request,
		     view->owner == 0 || view->owner == worker->self >> 32 || request->is_forwarded
			     ? TOY_REFUSED
			     : TOY_FORWARDED);
	else if (request->kind == TOY_GET)
		read_key(worker, request, now_us);
	else if (writes(store, request, now_us / 1000))
		start_write(worker, request);
	else
		tell(worker, request, TOY_ANSWERED);
}

bool toy_worker_work(struct toy_worker *worker, uint64_t now_us)
{
	while (!worker->is_busy && worker->queue_count > 0) {
		struct toy_request request = worker->queue[worker->queue_first];

		worker->queue_first = (worker->queue_first + 1) % TOY_QUEUE_MAX;
		worker->queue_count--;
		take(worker, &request, now_us);
		if (worker->is_busy)
			return true;
	}
	return false;
}

void toy_worker_second_step(struct toy_worker *worker, uint64_t now_us)
{
	uint32_t partition = worker->current.partition;
	struct toy_store *store = &worker->stores[partition];
	uint32_t cursor;

	assert(worker->is_busy);
	worker->is_busy = false;
	/* The negative control: published only now, by the cursor of before. */
	cursor = worker->checks_cursor_first ? worker->cursor_seen : store->cursor;
	if (!worker->is_written && !writes(store, &worker->current, now_us / 1000)) {
		tell(worker, &worker->current, TOY_ANSWERED);
		return;
	}
	if (!worker->is_written)
		write_key(worker);
	if (worker->views[partition].is_marked &&
	    toy_store_is_migrated(store, worker->written_slot, cursor))
		toy_store_ship(store, &worker->written);
	tell(worker, &worker->current, TOY_ANSWERED);
}

void toy_worker_wait(struct toy_worker *worker, const struct toy_waiter *waiter)
{
	assert(worker->waiter_count < TOY_WAITER_MAX);
	worker->waiters[worker->waiter_count++] = *waiter;
}

/* Parked requests that their view lets go: first in, first out, ahead of nobody. */
static void release_parked(struct toy_worker *worker)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < worker->parked_count; i++) {
		struct toy_parked parked = worker->parked[i];
		const struct toy_view *view = &worker->views[parked.request.partition];

		if (must_park(view, &parked.request) && !worker->is_cut_off)
			worker->parked[kept++] = parked;
		else if (view->refuses_parked || worker->queue_count == TOY_QUEUE_MAX)
			tell(worker, &parked.request, TOY_REFUSED);
		else
			enqueue(worker, &parked.request);
	}
	worker->parked_count = kept;
}

bool toy_worker_quiesce(struct toy_worker *worker)
{
	if (worker->is_busy)
		return false;
	memcpy(worker->views, worker->published, sizeof(worker->views));
	release_parked(worker);
	return true;
}

uint64_t toy_worker_parked_us(const struct toy_worker *worker, uint64_t now_us)
{
	return worker->parked_count > 0 ? now_us - worker->parked[0].since_us : 0;
}
