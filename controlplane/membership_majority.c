/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether this node sees a majority, and when it last did. */
#include "controlplane/membership_parts.h"

/* Members whose votes would count: all that did not leave and were not removed. */
static uint32_t electorate(const struct membership *membership)
{
	const uint32_t *counts = membership->table.state_counts;

	return counts[MEMBER_ALIVE] + counts[MEMBER_SUSPECT] + counts[MEMBER_DEAD];
}

static bool is_majority_alive(const struct membership *membership)
{
	return 2 * membership->table.state_counts[MEMBER_ALIVE] > electorate(membership);
}

/* A node with a stalled worker hears the others, who do not hear it: they think it dead, and may claim what it has. */
static bool is_among_majority(const struct membership *membership)
{
	return is_majority_alive(membership) &&
	       (!membership->is_stalled || electorate(membership) == 1);
}

void membership_note_majority(struct membership *membership, uint64_t now_ms)
{
	if (is_among_majority(membership))
		membership->majority_lost_ms = 0;
	else if (membership->majority_lost_ms == 0)
		membership->majority_lost_ms = now_ms;
}

/* Keeps the 'count' latest of the moments seen so far, latest first. */
static void keep_latest(uint64_t *latest_ms, uint32_t count, uint64_t at_ms)
{
	for (uint32_t i = 0; i < count; i++) {
		uint64_t swap_ms = latest_ms[i];

		if (at_ms <= swap_ms)
			continue;
		latest_ms[i] = at_ms;
		at_ms = swap_ms;
	}
}

uint64_t membership_majority_seen_ms(const struct membership *membership, uint64_t now_ms)
{
	uint64_t latest_ms[MEMBERSHIP_HEARD_COUNT_MAX] = { 0 };
	uint32_t needed = electorate(membership) / 2; /* with this node they are more than half */
	uint64_t seen_ms = now_ms;

	if (needed > MEMBERSHIP_HEARD_COUNT_MAX)
		needed = MEMBERSHIP_HEARD_COUNT_MAX;
	for (uint32_t i = 1; i < membership->table.end; i++) {
		const struct member *member = membership->table.slots[i];

		if (member && member_state(member) <= MEMBER_DEAD)
			keep_latest(latest_ms, needed, member->heard_ms);
	}
	if (needed > 0 && latest_ms[needed - 1] < seen_ms)
		seen_ms = latest_ms[needed - 1];
	if (membership->majority_lost_ms != 0 && membership->majority_lost_ms < seen_ms)
		seen_ms = membership->majority_lost_ms;
	return seen_ms;
}

bool membership_sees_majority(const struct membership *membership, uint64_t now_ms)
{
	return is_among_majority(membership) &&
	       now_ms - membership_majority_seen_ms(membership, now_ms) <=
		       MEMBERSHIP_MAJORITY_WINDOW_MS;
}
