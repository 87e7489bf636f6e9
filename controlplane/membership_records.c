/* SPDX-License-Identifier: BSD-3-Clause */
/* Records of other members: newer ones are taken, and say what becomes of the member. */
#include "controlplane/membership_parts.h"

#include <stdlib.h>
#include <string.h>

static bool keep_record(struct member *member, const struct membership_event *event)
{
	uint8_t *record = realloc(member->record, event->record_size ? event->record_size : 1);

	if (!record)
		return false;
	if (event->record_size)
		memcpy(record, event->record, event->record_size);
	member->record = record;
	member->record_size = event->record_size;
	member->node = *event->node;
	return true;
}

static void record_of_stranger(struct membership *membership, uint64_t now_ms,
			       const struct membership_event *event,
			       struct membership_actions *actions)
{
	enum member_state state = event->node->state == NODE_LEFT ? MEMBER_LEFT : MEMBER_ALIVE;
	struct member *member;
	uint32_t index;

	member = membership_add(membership, now_ms, event->node->id, state, &index, actions);
	if (!member)
		return;
	if (!keep_record(member, event)) {
		member_table_remove(&membership->table, index);
		return;
	}
	member->heard_ms = now_ms; /* as good as heard: it has only just been met */
	if (state == MEMBER_ALIVE)
		prober_add(&membership->prober, index);
	membership_report_change(actions, index, MEMBER_UNKNOWN, state);
	membership_spread(actions, MEMBERSHIP_SPREAD_RECORD, index);
}

/* The state that follows from a newer record. */
static enum member_state state_by_record(const struct member *member, bool is_restarted)
{
	enum member_state state = member_state(member);

	if (member->node.state == NODE_LEFT)
		return MEMBER_LEFT;
	if (is_restarted || state == MEMBER_LEFT)
		return MEMBER_ALIVE;
	if ((state == MEMBER_SUSPECT || state == MEMBER_DEAD) &&
	    member->claim.incarnation < member->node.incarnation)
		return MEMBER_ALIVE;
	return state;
}

static void record_of_member(struct membership *membership, uint64_t now_ms, uint32_t index,
			     const struct membership_event *event,
			     struct membership_actions *actions)
{
	struct member *member = membership->table.slots[index];
	const struct node *node = event->node;
	struct node old = member->node;
	bool is_tombstone = member_state(member) == MEMBER_REMOVED;
	bool is_restarted =
		node->generation > (is_tombstone ? member->claim.generation : old.generation);

	if (is_tombstone && !is_restarted) {
		membership->counters.refused_removed++;
		return;
	}
	if (node_compare_age(node, &old) <= 0 || !keep_record(member, event))
		return;
	if (is_restarted)
		membership_spread(actions, MEMBERSHIP_RESTARTED, index);
	membership_change_state(membership, now_ms, index, state_by_record(member, is_restarted),
				actions);
	if (is_restarted || node->incarnation != old.incarnation ||
	    !node_announcement_equals(node, &old))
		membership_spread(actions, MEMBERSHIP_SPREAD_RECORD, index);
	membership_spread(actions, MEMBERSHIP_UPDATED, index);
}

void membership_take_record(struct membership *membership, uint64_t now_ms,
			    const struct membership_event *event,
			    struct membership_actions *actions)
{
	uint32_t index;

	if (!member_table_find(&membership->table, event->node->id, &index))
		record_of_stranger(membership, now_ms, event, actions);
	else if (index == MEMBERSHIP_SELF)
		membership_record_of_self(membership, now_ms, event->node, actions);
	else
		record_of_member(membership, now_ms, index, event, actions);
}
