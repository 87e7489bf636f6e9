/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether this node may answer for its partitions: not without a majority, and not before it has asked
 * the others what happened meanwhile.
 */
#ifndef CONTROLPLANE_FENCE_H
#define CONTROLPLANE_FENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/state_machine.h"

/* Between two rounds of questions. */
#define FENCE_RETRY_MS 500u

/*              all answered
 *      OPEN <----------------- CHECKING <---------+
 *        |                        |  one did not  | a majority is seen
 *        |  no majority seen      |  answer       |
 *        |  for fence_ms          v               |
 *        +-------------------> CLOSED ------------+
 *
 * A cut-off node's partitions may have been claimed by others. So a fence opens only after every living
 * member has told what it knows, and those that are thought dead had the time to object. A node that
 * joins starts behind a closed fence, a founder with an open one.
 */
enum fence_state {
	FENCE_CLOSED,
	FENCE_CHECKING,
	FENCE_OPEN,
	FENCE_STATE_COUNT,
};

/* Thread safety: none. Pure: knows neither socket nor clock. */
struct fence {
	struct state_machine machine; /* enum fence_state */
	uint32_t fence_ms;
	uint32_t round;       /* of questions */
	uint32_t outstanding; /* of this round */
	bool is_failed;       /* somebody did not answer in this round */
	uint64_t retry_at_ms;
};

void fence_init(struct fence *fence, uint32_t fence_ms);

/* A cluster of its own: there is nobody to ask. */
void fence_open(struct fence *fence);

enum fence_step {
	FENCE_NOTHING,
	FENCE_DO_CLOSE, /* it has just closed */
	FENCE_DO_ASK,   /* ask all living members for what they know, then fence_asked() */
	FENCE_DO_OPEN,  /* it has just opened */
};

/* Time has passed. 'majority_seen_ms' is membership_majority_seen_ms(), 'sees_majority'
 * membership_sees_majority().
 */
enum fence_step fence_tick(struct fence *fence, uint64_t now_ms, uint64_t majority_seen_ms,
			   bool sees_majority);

/* 'count' members have been asked; 0 opens at once. */
enum fence_step fence_asked(struct fence *fence, uint32_t count);

/* One of 'round' has answered, or not. */
enum fence_step fence_answered(struct fence *fence, uint64_t now_ms, uint32_t round, bool is_ok);

static inline bool fence_is_open(const struct fence *fence)
{
	return fence->machine.state == FENCE_OPEN;
}

#endif
