/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a migration's target, for the files migration_target*.c alone. */
#ifndef CONTROLPLANE_MIGRATION_TARGET_PARTS_H
#define CONTROLPLANE_MIGRATION_TARGET_PARTS_H

#include "controlplane/migration_target.h"

/* Who does what in a step:
 *
 *      migration_target.c            the table of moves, what must hold; takes each event apart; prepares
 *      migration_target_copy.c       batches and deltas: taken, applied, acknowledged
 *      migration_target_takeover.c   FINAL and READY, the decision or a claim, what is published then
 *      migration_target_outcome.c    the ends of an attempt, what is cleaned up then, the next attempt
 *
 * As for the source (migration_source_parts.h): a function target_on_...() takes an event, a function
 * target_drive_...() comes after, in every step. All append to '*actions', which has room for a whole step.
 */

#define TARGET_NEVER UINT64_MAX

static inline bool target_is_in(const struct migration_target *target,
				enum migration_target_state from, enum migration_target_state to)
{
	return target->machine.state >= (uint32_t)from && target->machine.state <= (uint32_t)to;
}

/* --- Actions --- */

/* Appends an action whose members are 0 but for 'kind'; the caller sets the others. */
struct migration_target_action *target_act(struct migration_target_actions *actions,
					   enum migration_target_action_kind kind);

/* The same for an action that will be answered. */
struct migration_target_action *target_ask(struct migration_target *target,
					   struct migration_target_actions *actions,
					   enum migration_target_action_kind kind);

/* Appends a message of this job and attempt to the source; the caller sets what is special to 'kind'. */
struct sync_message *target_send(const struct migration_target *target,
				 struct migration_target_actions *actions,
				 enum sync_message_kind kind);

/* Enters 'state' and reports it; aborts the program when the table does not allow it. */
void target_move(struct migration_target *target, struct migration_target_actions *actions,
		 enum migration_target_state state);

/* --- The copy --- */

void target_on_batch(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_batch *batch);
void target_on_applied(struct migration_target *target, struct migration_target_actions *actions,
		       const struct migration_target_event *event);
void target_send_ack(const struct migration_target *target,
		     struct migration_target_actions *actions);

/* --- The take-over --- */

/* Whether everything that the FINAL counts has been applied, and nothing else is under way. */
bool target_has_all(const struct migration_target *target);
/* Whether the staged items are those that the FINAL speaks of. */
bool target_matches(const struct migration_target *target);
void target_on_final(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_message *message);
/* Answers the FINAL when all that it counts is here. */
void target_drive_final(struct migration_target *target, struct migration_target_actions *actions);
void target_send_ready(const struct migration_target *target,
		       struct migration_target_actions *actions);
/* The fence behind the READY came down: writes go on at the source. */
void target_withdraw(struct migration_target *target, struct migration_target_actions *actions);
/* When a claim is allowed, TARGET_NEVER when that is not a matter of time. */
uint64_t target_claim_at_ms(const struct migration_target *target);
/* The partition is this node's from 'epoch' on. */
void target_take_over(struct migration_target *target, struct migration_target_actions *actions,
		      uint32_t epoch, bool is_claim, bool is_forced);
void target_on_commit(struct migration_target *target, struct migration_target_actions *actions,
		      const struct sync_message *message);
void target_record_owner(struct migration_target_actions *actions, uint64_t owner, uint32_t epoch,
			 bool is_claim);
void target_on_finalized(struct migration_target *target, struct migration_target_actions *actions);
void target_on_announced(struct migration_target *target, struct migration_target_actions *actions);
void target_send_committed(const struct migration_target *target,
			   struct migration_target_actions *actions);
void target_drive_takeover(struct migration_target *target,
			   struct migration_target_actions *actions);

/* --- The outcome --- */

/* Ends the attempt. 'is_told': the source does not know yet. */
void target_fail(struct migration_target *target, struct migration_target_actions *actions,
		 enum migration_reason reason, bool is_told);
void target_on_abort(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_message *message);
/* The source knows that this node serves, or its life is over: nothing is left to confirm. */
void target_finish(struct migration_target *target, struct migration_target_actions *actions);
void target_on_discarded(struct migration_target *target, struct migration_target_actions *actions,
			 bool is_done);
void target_drive_cleanup(struct migration_target *target,
			  struct migration_target_actions *actions);

#endif
