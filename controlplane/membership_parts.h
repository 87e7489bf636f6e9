/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the membership machine, for the files membership*.c alone. */
#ifndef CONTROLPLANE_MEMBERSHIP_PARTS_H
#define CONTROLPLANE_MEMBERSHIP_PARTS_H

#include "controlplane/member_table.h"
#include "controlplane/membership.h"
#include "controlplane/prober.h"

#define MEMBERSHIP_SELF 0u /* this node's index */

struct membership {
	struct member_table table;
	struct prober prober;
	struct prng prng;
	struct membership_counters counters;
	bool is_joined; /* this node has heard what others knew of its earlier lives */
	bool is_stalled;
	bool is_removed;
	bool must_refute; /* a claim came while stalled */
	uint64_t refute_incarnation;
	uint64_t sweep_at_ms;
	uint64_t majority_lost_ms;
	uint64_t conflict_at_ms;
	uint32_t conflicts;
};

static inline struct member *membership_self_member(const struct membership *membership)
{
	return membership->table.slots[MEMBERSHIP_SELF];
}

/* --- membership.c: the machine --- */

/* An action on the member at 'index' that needs no more than that. */
void membership_spread(struct membership_actions *actions, enum membership_action_kind kind,
		       uint32_t index);
void membership_report_change(struct membership_actions *actions, uint32_t index,
			      enum member_state before, enum member_state after);

/* Moves a member that is fit for its new state. */
void membership_change_state(struct membership *membership, uint64_t now_ms, uint32_t index,
			     enum member_state to, struct membership_actions *actions);

/* A new member; one that is gone for longest is forgotten when the table is full. NULL when all live, or out of memory. */
struct member *membership_add(struct membership *membership, uint64_t now_ms, uint64_t id,
			      enum member_state state, uint32_t *index,
			      struct membership_actions *actions);

/* --- membership_self.c --- */

/* A record or claim that bears this node's name. */
void membership_record_of_self(struct membership *membership, uint64_t now_ms,
			       const struct node *node, struct membership_actions *actions);
void membership_claim_on_self(struct membership *membership, uint64_t now_ms,
			      const struct membership_claim *claim,
			      struct membership_actions *actions);

/* Takes over what the caller wants to say; identity and order stay. */
void membership_update_self(struct membership *membership, uint64_t now_ms,
			    const struct node *desired, struct membership_actions *actions);
void membership_set_stalled(struct membership *membership, bool is_stalled,
			    struct membership_actions *actions);

/* --- membership_claims.c --- */

void membership_take_claim(struct membership *membership, uint64_t now_ms,
			   const struct membership_claim *claim,
			   struct membership_actions *actions);

/* This node's own claims: 'member' did not answer; the operator removes 'id'. */
void membership_suspect(struct membership *membership, uint64_t now_ms, const struct member *member,
			struct membership_actions *actions);
void membership_remove(struct membership *membership, uint64_t now_ms, uint64_t id,
		       struct membership_actions *actions);

/* Does what is due about one suspect; false when nothing is. */
bool membership_tick_suspects(struct membership *membership, uint64_t now_ms,
			      struct membership_actions *actions);
uint64_t membership_suspects_deadline_ms(const struct membership *membership);

/* --- membership_records.c --- */

void membership_take_record(struct membership *membership, uint64_t now_ms,
			    const struct membership_event *event,
			    struct membership_actions *actions);

/* --- membership_majority.c --- */

/* At the end of every step. */
void membership_note_majority(struct membership *membership, uint64_t now_ms);

#endif
