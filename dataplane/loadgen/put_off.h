/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations that the server answered RETRY, each waiting for the time it named. */
#ifndef LOADGEN_PUT_OFF_H
#define LOADGEN_PUT_OFF_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/loadgen/operation.h"

/* Operations that may wait at a time. */
#define PUT_OFF_MAX 4096u

/* What a RETRY that names no time is taken for. */
#define PUT_OFF_US_DEFAULT 1000u

struct put_off_operation {
	struct operation operation;
	uint64_t planned; /* ticks: latency still counts from here */
	uint64_t due;     /* ticks: when it may be asked again */
};

/* First come, first served: who names a longer time holds up those behind it.
 *
 * Thread safety: one thread at a time.
 */
struct put_off_queue {
	uint32_t head; /* counts all ever put in; index modulo PUT_OFF_MAX */
	uint32_t tail; /* counts all ever taken */
	struct put_off_operation operations[PUT_OFF_MAX];
};

static inline uint32_t put_off_count(const struct put_off_queue *queue)
{
	return queue->head - queue->tail;
}

/* False when too many wait. */
static inline bool put_off_add(struct put_off_queue *queue, const struct operation *operation,
			       uint64_t planned, uint64_t due)
{
	if (put_off_count(queue) == PUT_OFF_MAX)
		return false;
	queue->operations[queue->head++ % PUT_OFF_MAX] =
		(struct put_off_operation){ *operation, planned, due };
	return true;
}

/* The first one, when its time has come, or NULL; stays the first one until put_off_take(). */
static inline const struct put_off_operation *put_off_due(const struct put_off_queue *queue,
							   uint64_t now)
{
	const struct put_off_operation *first = &queue->operations[queue->tail % PUT_OFF_MAX];

	return put_off_count(queue) > 0 && (int64_t)(now - first->due) >= 0 ? first : NULL;
}

static inline void put_off_take(struct put_off_queue *queue)
{
	queue->tail++;
}

#endif
