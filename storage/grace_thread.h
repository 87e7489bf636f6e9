/* SPDX-License-Identifier: BSD-3-Clause */
/* The one housekeeping thread of a node: it waits for grace periods, and does what takes long. */
#ifndef STORAGE_GRACE_THREAD_H
#define STORAGE_GRACE_THREAD_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/reclaim.h"

/* Each turn: the housekeeping callback, then one grace period if somebody wants one, then a sleep.
 * No core ever wakes it up: cores raise period->wanted, which it reads.
 *
 * It is no RCU reader. Waiting for a reader that passes no quiescent state it waits for ever, and
 * so does housekeeping: reader_registry_stalled() names the reader.
 *
 * Thread safety: one thread starts and stops it.
 */
struct grace_thread;

struct grace_thread_options {
	/* Called each turn; may be NULL. True = there was work: call again without sleep. */
	bool (*housekeeping)(void *context);
	void *context;
	/* Between turns: bounds the rate of grace periods. 0 = GRACE_SLEEP_US_DEFAULT. */
	uint32_t sleep_us;
};

#define GRACE_SLEEP_US_DEFAULT 1000u

/* 0, -ENOMEM or -EAGAIN (no thread to be had). 'period' outlives it. It blocks all signals. */
int grace_thread_start(struct grace_thread **thread, struct grace_period *period,
		       const struct grace_thread_options *options);

/* Waits for the thread's turn to end, so readers must pass quiescent states, be offline or gone.
 * Accepts NULL.
 */
void grace_thread_stop(struct grace_thread *thread);

#endif
