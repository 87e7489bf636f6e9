/* SPDX-License-Identifier: BSD-3-Clause */
/* The fence's three states. */
#include "controlplane/fence.h"

#include <string.h>

static bool is_fit(const void *subject, uint32_t state)
{
	const struct fence *fence = subject;

	return state == FENCE_CHECKING || fence->outstanding == 0;
}

static const struct state_machine_kind fence_kind = {
	.name = "fence",
	.state_count = FENCE_STATE_COUNT,
	.state_names = { "closed", "checking", "open" },
	.allowed = {
		[FENCE_CLOSED] = STATE_MACHINE_TO(FENCE_CHECKING) | STATE_MACHINE_TO(FENCE_OPEN),
		[FENCE_CHECKING] = STATE_MACHINE_TO(FENCE_CLOSED) | STATE_MACHINE_TO(FENCE_OPEN),
		[FENCE_OPEN] = STATE_MACHINE_TO(FENCE_CLOSED),
	},
	.invariant = is_fit,
};

static void move_to(struct fence *fence, enum fence_state state)
{
	if (state != FENCE_CHECKING)
		fence->outstanding = 0;
	state_machine_move(&fence->machine, state, fence);
}

void fence_init(struct fence *fence, uint32_t fence_ms)
{
	memset(fence, 0, sizeof(*fence));
	fence->fence_ms = fence_ms;
	state_machine_init(&fence->machine, &fence_kind, FENCE_CLOSED);
}

void fence_open(struct fence *fence)
{
	if (!fence_is_open(fence))
		move_to(fence, FENCE_OPEN);
}

static enum fence_step start_round(struct fence *fence)
{
	fence->round++;
	fence->is_failed = false;
	move_to(fence, FENCE_CHECKING);
	return FENCE_DO_ASK;
}

enum fence_step fence_tick(struct fence *fence, uint64_t now_ms, uint64_t majority_seen_ms,
			   bool sees_majority)
{
	switch (fence->machine.state) {
	case FENCE_OPEN:
		if (majority_seen_ms + fence->fence_ms >= now_ms)
			return FENCE_NOTHING;
		move_to(fence, FENCE_CLOSED);
		return FENCE_DO_CLOSE;
	case FENCE_CHECKING:
		if (!sees_majority)
			move_to(fence, FENCE_CLOSED);
		return FENCE_NOTHING;
	default:
		return sees_majority && now_ms >= fence->retry_at_ms ? start_round(fence)
								     : FENCE_NOTHING;
	}
}

enum fence_step fence_asked(struct fence *fence, uint32_t count)
{
	if (count > 0) {
		fence->outstanding = count;
		return FENCE_NOTHING;
	}
	move_to(fence, FENCE_OPEN);
	return FENCE_DO_OPEN;
}

enum fence_step fence_answered(struct fence *fence, uint64_t now_ms, uint32_t round, bool is_ok)
{
	if (fence->machine.state != FENCE_CHECKING || round != fence->round)
		return FENCE_NOTHING;
	fence->is_failed |= !is_ok;
	if (--fence->outstanding > 0)
		return FENCE_NOTHING;
	if (fence->is_failed) {
		fence->retry_at_ms = now_ms + FENCE_RETRY_MS;
		move_to(fence, FENCE_CLOSED);
		return FENCE_NOTHING;
	}
	move_to(fence, FENCE_OPEN);
	return FENCE_DO_OPEN;
}
