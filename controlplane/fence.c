/* SPDX-License-Identifier: BSD-3-Clause */
/* The fence's three states. */
#include "controlplane/fence.h"

#include <string.h>

static bool is_fit(const void *subject, uint32_t state)
{
	const struct fence *fence = subject;

	return (state == FENCE_CHECKING || fence->outstanding == 0) &&
	       (state != FENCE_OPEN || fence->is_whole);
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
	fence->is_whole |= state == FENCE_OPEN;
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

void fence_asked(struct fence *fence)
{
	fence->outstanding++;
}

bool fence_answered(struct fence *fence, uint32_t round)
{
	if (fence->machine.state != FENCE_CHECKING || round != fence->round)
		return false;
	fence->outstanding--;
	return true;
}

/* Members that are lacking yet, by the shorter of the two ways. */
static uint32_t count_lacking(const struct fence *fence, const struct fence_told *told)
{
	uint32_t members = told->others + 1;
	uint32_t majority = members / 2 + 1;
	uint32_t needed = members - majority + !fence->is_whole;
	uint32_t of_whole = told->whole < needed ? needed - told->whole : 0;
	uint32_t of_all = told->others - told->told;

	return of_whole < of_all ? of_whole : of_all;
}

enum fence_step fence_conclude(struct fence *fence, uint64_t now_ms, const struct fence_told *told)
{
	fence->waits_for = count_lacking(fence, told);
	if (fence->waits_for == 0 && told->owing == 0) {
		move_to(fence, FENCE_OPEN);
		return FENCE_DO_OPEN;
	}
	fence->retry_at_ms = now_ms + FENCE_RETRY_MS;
	move_to(fence, FENCE_CLOSED);
	return FENCE_NOTHING;
}
