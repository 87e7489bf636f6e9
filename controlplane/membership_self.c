/* SPDX-License-Identifier: BSD-3-Clause */
/* This node's own record: what it says, and how it answers what others hold or claim of it. */
#include "controlplane/membership_parts.h"

#include <string.h>

/* Bids against other lives of this node are forgotten after this long. */
#define CONFLICT_PERIOD_MS 600000u

static void self_changed(struct membership *membership, struct membership_actions *actions)
{
	membership_self_member(membership)->node.record_version++;
	membership_spread(actions, MEMBERSHIP_SPREAD_RECORD, MEMBERSHIP_SELF);
}

static void refute(struct membership *membership, uint64_t incarnation,
		   struct membership_actions *actions)
{
	struct node *self = &membership_self_member(membership)->node;

	if (incarnation < self->incarnation) {
		/* refuted already, but not everybody has heard it */
		membership_spread(actions, MEMBERSHIP_REPEAT_RECORD, MEMBERSHIP_SELF);
		return;
	}
	if (membership->is_stalled) {
		membership->must_refute = true;
		membership->refute_incarnation = incarnation;
		return;
	}
	self->incarnation = incarnation + 1;
	membership->counters.refutations++;
	prober_change_health(&membership->prober, 1);
	self_changed(membership, actions);
}

/* Someone holds a record of this node that this life did not write: an earlier life with a clock
 * that was ahead, or another node of the same name. The former is outbid once; the latter bids
 * back.
 */
static void outbid(struct membership *membership, uint64_t now_ms, uint64_t generation,
		   struct membership_actions *actions)
{
	struct node *self = &membership_self_member(membership)->node;

	self->generation = generation + 1;
	membership->counters.generation_bids++;
	self_changed(membership, actions);
	if (!membership->is_joined)
		return;
	if (now_ms - membership->conflict_at_ms > CONFLICT_PERIOD_MS)
		membership->conflicts = 0;
	membership->conflict_at_ms = now_ms;
	if (++membership->conflicts == MEMBERSHIP_CONFLICT_COUNT_MAX)
		membership_actions_add(actions, MEMBERSHIP_ID_CONFLICT);
}

void membership_record_of_self(struct membership *membership, uint64_t now_ms,
			       const struct node *node, struct membership_actions *actions)
{
	if (node_compare_age(node, &membership_self_member(membership)->node) > 0)
		outbid(membership, now_ms, node->generation, actions);
}

void membership_claim_on_self(struct membership *membership, uint64_t now_ms,
			      const struct membership_claim *claim,
			      struct membership_actions *actions)
{
	const struct node *self = &membership_self_member(membership)->node;

	if (claim->generation < self->generation)
		return; /* on an earlier life */
	if (claim->kind == CLAIM_REMOVED && membership->is_joined) {
		if (!membership->is_removed)
			membership_actions_add(actions, MEMBERSHIP_SELF_REMOVED);
		membership->is_removed = true;
	} else if (claim->kind == CLAIM_REMOVED || claim->generation > self->generation) {
		outbid(membership, now_ms, claim->generation, actions);
	} else if (self->state != NODE_LEFT) {
		refute(membership, claim->incarnation, actions);
	}
}

void membership_update_self(struct membership *membership, uint64_t now_ms,
			    const struct node *desired, struct membership_actions *actions)
{
	struct node *self = &membership_self_member(membership)->node;
	struct node next = *desired;

	next.id = self->id;
	memcpy(next.name, self->name, sizeof(next.name));
	next.generation = self->generation;
	next.incarnation = self->incarnation;
	next.record_version = self->record_version;
	if (node_content_equals(self, &next))
		return;
	if (node_announcement_equals(self, &next)) {
		next.record_version++;
		*self = next;
		return;
	}
	*self = next;
	if (next.state == NODE_LEFT)
		membership_change_state(membership, now_ms, MEMBERSHIP_SELF, MEMBER_LEFT, actions);
	self_changed(membership, actions);
}

void membership_set_stalled(struct membership *membership, bool is_stalled,
			    struct membership_actions *actions)
{
	membership->is_stalled = is_stalled;
	if (!is_stalled && membership->must_refute) {
		membership->must_refute = false;
		refute(membership, membership->refute_incarnation, actions);
	}
}
