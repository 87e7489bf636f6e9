/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a migration's source, for the files migration_source*.c alone. */
#ifndef CONTROLPLANE_MIGRATION_SOURCE_PARTS_H
#define CONTROLPLANE_MIGRATION_SOURCE_PARTS_H

#include "controlplane/migration_source.h"

/* Who does what in a step:
 *
 *      migration_source.c            the table of moves, what must hold; takes each event apart
 *      migration_source_copy.c       the scan and the deltas: made, acknowledged, sent again
 *      migration_source_handover.c   FINAL, the fences, the decision
 *      migration_source_outcome.c    the ways out, decided and undecided, and what is cleaned up then
 *
 * A function source_on_...() takes an event: it changes what is known, and acts where the event itself
 * asks for it. A function source_drive_...() comes after, in every step: it does what the state makes of
 * what is known. All append to '*actions', which has room for a whole step.
 */

#define SOURCE_NEVER UINT64_MAX

/* --- What is known --- */

static inline bool source_is_in(const struct migration_source *source,
				enum migration_source_state from, enum migration_source_state to)
{
	return source->machine.state >= (uint32_t)from && source->machine.state <= (uint32_t)to;
}

/* Before COMMIT this node may still change its mind. */
static inline bool source_is_undecided(const struct migration_source *source)
{
	return source_is_in(source, SOURCE_CHECKING, SOURCE_FENCING_READS);
}

static inline bool source_is_copying(const struct migration_source *source)
{
	return source_is_in(source, SOURCE_COPYING, SOURCE_FENCED);
}

static inline bool source_is_copied(const struct migration_source *source)
{
	return source->is_scanned && source->batch_acked == source->batch_made;
}

static inline uint64_t source_batches_under_way(const struct migration_source *source)
{
	return source->batch_made - source->batch_acked;
}

static inline uint64_t source_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Something is sent for the first time, or the target has got on. */
static inline void source_retry_restart(const struct migration_source *source,
					struct migration_retry *retry)
{
	retry->times = 0;
	retry->at_ms = source->now_ms + source->options->retry_ms;
}

/* Something has been sent again. */
static inline void source_retry_back_off(const struct migration_source *source,
					 struct migration_retry *retry)
{
	retry->times++;
	retry->at_ms =
		source->now_ms + migration_backoff_ms(source->options->retry_ms, retry->times,
						      source->options->retry_ms_max);
}

/* --- Actions --- */

/* Appends an action whose members are 0 but for 'kind'; the caller sets the others. */
struct migration_source_action *source_act(struct migration_source_actions *actions,
					   enum migration_source_action_kind kind);

/* The same for an action that will be answered. */
struct migration_source_action *source_ask(struct migration_source *source,
					   struct migration_source_actions *actions,
					   enum migration_source_action_kind kind);

/* Appends a message of this job and attempt to the target; the caller sets what is special to 'kind'. */
struct sync_message *source_send(const struct migration_source *source,
				 struct migration_source_actions *actions,
				 enum sync_message_kind kind);

/* Enters 'state' and reports it; aborts the program when the table does not allow it. */
void source_move(struct migration_source *source, struct migration_source_actions *actions,
		 enum migration_source_state state);

/* --- The copy --- */

void source_on_scanned(struct migration_source *source, struct migration_source_actions *actions,
		       const struct migration_source_event *event);
void source_on_drained(struct migration_source *source, struct migration_source_actions *actions,
		       const struct migration_source_event *event);
/* The ring has deltas up to the sequence 'last'. */
void source_on_deltas(struct migration_source *source, uint64_t last);
void source_on_ack(struct migration_source *source, struct migration_source_actions *actions,
		   const struct sync_message *message);
void source_drive_copy(struct migration_source *source, struct migration_source_actions *actions);
/* Sends again what is due and not acknowledged. */
void source_resend_copy(struct migration_source *source, struct migration_source_actions *actions);
/* When one of the two above has something to do, if time alone is missing; else SOURCE_NEVER. */
uint64_t source_copy_at_ms(const struct migration_source *source);

/* --- The hand-over --- */

void source_on_snapshot(struct migration_source *source, struct migration_source_actions *actions,
			const struct migration_source_event *event);
void source_on_ready(struct migration_source *source, const struct sync_message *message);
void source_drive_handover(struct migration_source *source,
			   struct migration_source_actions *actions);
void source_send_final(struct migration_source *source, struct migration_source_actions *actions);
void source_send_commit(struct migration_source *source, struct migration_source_actions *actions);
/* The time for parking is over: requests are served here, and a fence goes up again later, or the job is
 * aborted when there were enough. The FINAL that follows voids the READY that the target may have given
 * for this fence: until it is answered no fence goes up again.
 */
void source_give_up_fence(struct migration_source *source,
			  struct migration_source_actions *actions);
/* When a fence may go up, SOURCE_NEVER when that is not a matter of time. */
uint64_t source_fence_at_ms(const struct migration_source *source);

/* --- The outcome --- */

/* Parked requests are done with as 'kind' says (FORWARD_PARKED, REFUSE_PARKED); nothing when none may be. */
void source_unpark(struct migration_source *source, struct migration_source_actions *actions,
		   enum migration_source_action_kind kind);
/* Writes and reads go on here. */
void source_unfence(struct migration_source *source, struct migration_source_actions *actions);
/* Ends an undecided attempt; the partition stays here. 'is_told': the target does not know yet. */
void source_abort(struct migration_source *source, struct migration_source_actions *actions,
		  enum migration_reason reason, bool is_told);
/* The target, or somebody after it, has the partition for good. */
void source_settle(struct migration_source *source, struct migration_source_actions *actions);
/* This node owns the partition again, at 'epoch', above the one it had given to the target. */
void source_take_back(struct migration_source *source, struct migration_source_actions *actions,
		      uint32_t epoch);
/* Drops nothing when what the target took over is not what was sent. */
void source_on_committed(struct migration_source *source, struct migration_source_actions *actions,
			 const struct sync_message *message);
void source_on_abort(struct migration_source *source, struct migration_source_actions *actions,
		     const struct sync_message *message);
/* News of the partition's owner in the map. */
void source_on_owner(struct migration_source *source, struct migration_source_actions *actions,
		     const struct migration_source_event *event);
void source_on_dropped(struct migration_source *source, struct migration_source_actions *actions,
		       bool is_done);
void source_drive_cleanup(struct migration_source *source,
			  struct migration_source_actions *actions);

#endif
