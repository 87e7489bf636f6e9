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

/*               enough told
 *      OPEN <----------------- CHECKING <---------+
 *        |                        |  too few      | a majority is seen
 *        |  no majority seen      |  told, or it  |
 *        |  for fence_ms          v  is gone      |
 *        +-------------------> CLOSED ------------+
 *
 * A cut-off node's partitions may have been claimed by others. So a fence opens only after every living member has told what
 * it knows, and those that are thought dead had the time to object. A node that joins starts behind a closed fence, a founder
 * with an open one.
 *
 * Entries of the map are served when a majority has them: W = N/2 + 1 of N members. A node forgets when it dies. Its next
 * life does not know what was confirmed with its help, so it must not count itself: its memory is whole (again) when
 * N - W + 1 others whose memory is whole have told it theirs; among them is one of the W - 1 others that know. Later in that
 * life it has not forgotten, and N - W others are enough. When all others have told, there is nobody left to ask, whatever
 * they remember: so a cluster opens of which half or more have started anew.
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
	uint32_t waits_for;   /* members that the last round lacked; not: alive and late */
	bool is_whole;        /* the node's memory: it was open in this life */
	uint64_t retry_at_ms;
};

void fence_init(struct fence *fence, uint32_t fence_ms);

/* A cluster of its own: there is nobody to ask. */
void fence_open(struct fence *fence);

enum fence_step {
	FENCE_NOTHING,
	FENCE_DO_CLOSE, /* it has just closed */
	FENCE_DO_ASK,   /* ask all members for what they know; at the end fence_conclude() */
	FENCE_DO_OPEN,  /* it has just opened */
};

/* Time has passed. 'majority_seen_ms' is membership_majority_seen_ms(), 'sees_majority'
 * membership_sees_majority().
 */
enum fence_step fence_tick(struct fence *fence, uint64_t now_ms, uint64_t majority_seen_ms,
			   bool sees_majority);

/* One more has been asked in this round. */
void fence_asked(struct fence *fence);

/* One of 'round' has answered, or not. False: that round is over. */
bool fence_answered(struct fence *fence, uint32_t round);

/* What a round came to. */
struct fence_told {
	uint32_t others; /* members that did not leave, this node left aside */
	uint32_t told;   /* of those */
	uint32_t whole;  /* of those that told: their memory is whole */
	uint32_t owing;  /* are alive and did not tell */
};

/* All have been asked, and none is outstanding. */
enum fence_step fence_conclude(struct fence *fence, uint64_t now_ms, const struct fence_told *told);

static inline bool fence_is_open(const struct fence *fence)
{
	return fence->machine.state == FENCE_OPEN;
}

#endif
