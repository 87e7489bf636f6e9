/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker core: works one request at a time, sees what the control thread publishes only between two. */
#ifndef TESTS_SIMULATION_TOY_WORKER_H
#define TESTS_SIMULATION_TOY_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/simulation/toy_history.h"
#include "tests/simulation/toy_store.h"

#define TOY_QUEUE_MAX 256u
#define TOY_PARKED_MAX 64u
#define TOY_WAITER_MAX 32u

enum toy_request_kind {
	TOY_GET,
	TOY_SET,
	TOY_DELETE,
	TOY_INCREMENT,
	TOY_EXPIRE, /* the sweep of the owner, not a client: removes the key if its time is over */
};

struct toy_request {
	enum toy_request_kind kind;
	uint32_t partition;
	uint32_t key;
	uint64_t value;
	uint64_t expires_at_ms;
	uint64_t born_us;
	uint32_t tries;    /* by the client, before this one */
	bool is_forwarded; /* by the node that the client asked */
};

/* What a worker goes by for one partition. The control thread publishes it, the worker takes it over when it
 * is quiescent.
 */
struct toy_view {
	bool serves; /* this node owns it and has the data */
	bool is_marked;
	bool parks_writes;
	bool parks_all;
	bool refuses_parked; /* once the parking ends */
	uint32_t epoch;
	uint64_t owner; /* node id; 0 = not known */
};

struct toy_parked {
	struct toy_request request;
	uint64_t since_us;
};

enum toy_outcome {
	TOY_ANSWERED,
	TOY_REFUSED,   /* try again */
	TOY_FORWARDED, /* to the view's owner */
};

/* What the control thread waits for: each worker has been quiescent. */
struct toy_waiter {
	uint32_t partition;
	uint32_t purpose; /* the harness's */
	uint32_t fence;
};

/* Thread safety: none. The harness owns time and calls the rest. */
struct toy_worker {
	struct toy_history *history;
	uint64_t self;            /* node << 32 | life */
	struct toy_store *stores; /* the node's, by partition */
	bool checks_cursor_first; /* negative control: the cursor is read before the item is published */
	bool is_cut_off;          /* no majority for too long: nothing is answered */
	struct toy_view published[TOY_PARTITION_MAX];
	struct toy_view views[TOY_PARTITION_MAX];
	/* A write in two steps: published, then checked against the cursor and shipped. */
	bool is_busy;
	struct toy_request current;
	uint32_t cursor_seen;
	bool is_written;
	struct toy_record written;
	uint32_t written_slot;
	uint32_t queue_first;
	uint32_t queue_count;
	struct toy_request queue[TOY_QUEUE_MAX];
	uint32_t parked_count;
	struct toy_parked parked[TOY_PARKED_MAX];
	uint32_t waiter_count;
	struct toy_waiter waiters[TOY_WAITER_MAX];
	/* Tells the harness what became of a request. */
	void (*on_outcome)(void *context, const struct toy_request *request,
			   enum toy_outcome outcome, uint64_t owner);
	void *context;
};

/* False when the queue is full: the request is refused. */
bool toy_worker_receive(struct toy_worker *worker, const struct toy_request *request);

/* Takes the next requests until one needs a second step, which is then to be called for after a while, or
 * the queue is empty. Returns whether there is a second step to do.
 */
bool toy_worker_work(struct toy_worker *worker, uint64_t now_us);
void toy_worker_second_step(struct toy_worker *worker, uint64_t now_us);

void toy_worker_wait(struct toy_worker *worker, const struct toy_waiter *waiter);

/* Between two requests: takes the published views, queues what was parked and need not be any more. All
 * waiters are then served: the caller takes them out. False, and nothing happens, while busy.
 */
bool toy_worker_quiesce(struct toy_worker *worker);

/* How long the oldest parked request has waited, in microseconds. */
uint64_t toy_worker_parked_us(const struct toy_worker *worker, uint64_t now_us);

#endif
