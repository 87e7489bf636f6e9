/* SPDX-License-Identifier: BSD-3-Clause */
/* Deferred freeing over liburcu QSBR: what was unpublished is freed when no reader can hold it. */
#ifndef STORAGE_RECLAIM_H
#define STORAGE_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

/* The count of grace periods of one node. liburcu 0.13 has no polling interface, so one thread per
 * process (see grace_thread.h) calls synchronize_rcu() and counts; cores only compare numbers.
 *
 * What is retired while 'started' reads s, after a full fence, is safe to free once 'completed' >=
 * s + 1.
 *
 * Thread safety: 'started' and 'completed' are written by the thread that synchronizes (or by a
 * simulator) and read by all; 'wanted' is raised by any core.
 */
struct grace_period {
	_Alignas(64) uint64_t started;
	uint64_t completed;
	_Alignas(64) uint64_t wanted; /* the highest period somebody waits for */
};

/* Frees what a core retired.
 * 'object' is what was retired; 'context' and 'argument' are the caller's.
 */
typedef void reclaim_free_fn(void *context, void *object, uint32_t argument);

/* The objects one core has retired and not yet freed: bags of pointers, each tagged with the grace
 * period it waits for.
 *
 * Thread safety: owner core only, except reclaim_pending (any thread).
 */
struct reclaim;

/* 0 or -ENOMEM. 'period' outlives it. */
int reclaim_create(struct reclaim **reclaim, struct grace_period *period, reclaim_free_fn *free_fn,
		   void *context);

/* Frees all that is left. Only when no reader is left. Accepts NULL. */
void reclaim_destroy(struct reclaim *reclaim);

/* Frees 'object' by free_fn(context, object, argument) after a grace period; it must be unpublished
 * already, in program order. Never blocks, never fails: bags are made at create and come back, more
 * are made only when one grace period retires more than ever before (so a stalled reader costs a
 * bag per 126 objects, and what it cost is given back afterwards). If libc has no memory for a bag,
 * the object is leaked, and stays in reclaim_pending.
 */
void reclaim_retire(struct reclaim *reclaim, void *object, uint32_t argument);

/* Frees at most 'object_max' objects whose grace period is over, closes a bag that has been open
 * too long, and returns how many it freed. Called once per loop turn. free_fn may retire.
 */
uint32_t reclaim_poll(struct reclaim *reclaim, uint32_t object_max);

/* Objects retired and not yet freed. */
uint64_t reclaim_pending(const struct reclaim *reclaim);

#endif
