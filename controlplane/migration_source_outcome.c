/* SPDX-License-Identifier: BSD-3-Clause */
/* How a migration ends at its source: given away, aborted, taken back or superseded, and cleaned up. */
#include "controlplane/migration_source_parts.h"

void source_unpark(struct migration_source *source, struct migration_source_actions *actions,
		   enum migration_source_action_kind kind)
{
	if (!source->is_parking)
		return;
	source->is_parking = false;
	source_act(actions, kind);
}

void source_unfence(struct migration_source *source, struct migration_source_actions *actions)
{
	source->fence++;
	source->is_final_known = false;
	source->is_final_sent = false;
	source->is_ready = false;
	source->are_reads_fenced = false;
	source->is_parking = false;
	source_act(actions, SOURCE_DO_UNFENCE);
}

void source_abort(struct migration_source *source, struct migration_source_actions *actions,
		  enum migration_reason reason, bool is_told)
{
	source->outcome = SOURCE_ABORTED;
	source->reason = reason;
	if (sync_fence_is_up(source->fence))
		source_unfence(source, actions);
	if (is_told)
		source_send(source, actions, SYNC_ABORT)->reason = reason;
	source_move(source, actions, SOURCE_UNMARKING);
}

void source_settle(struct migration_source *source, struct migration_source_actions *actions)
{
	source->outcome = SOURCE_MIGRATED;
	source->reason = MIGRATION_NO_REASON;
	source_send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
	source_unpark(source, actions, SOURCE_DO_FORWARD_PARKED);
	source_move(source, actions, SOURCE_DROPPING);
}

/* Somebody took the partition at a higher epoch before this node gave it away. */
static void supersede(struct migration_source *source, struct migration_source_actions *actions,
		      uint64_t owner)
{
	if (!source->is_marked) {
		source_abort(source, actions, MIGRATION_SUPERSEDED, true);
		return;
	}
	source->outcome = SOURCE_SUPERSEDED;
	source->reason = MIGRATION_SUPERSEDED;
	if (owner == source->job.target)
		source_send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
	else
		source_send(source, actions, SYNC_ABORT)->reason = MIGRATION_SUPERSEDED;
	source_act(actions, SOURCE_DO_PUBLISH_MAP);
	source_unpark(source, actions, SOURCE_DO_FORWARD_PARKED);
	/* A worker may still answer from the local data until it has seen the map. */
	source_ask(source, actions, SOURCE_DO_BARRIER);
	source_move(source, actions, SOURCE_DROPPING);
}

/* The mark stays until a majority knows who has the partition: of a node that dies before, the mark says that it may have it,
 * and so its epoch is given to nobody else.
 */
void source_take_back(struct migration_source *source, struct migration_source_actions *actions,
		      uint32_t epoch)
{
	struct migration_source_action *action = source_act(actions, SOURCE_DO_RECORD_OWNER);

	action->owner = source->job.source;
	action->epoch = epoch;
	source_act(actions, SOURCE_DO_PUBLISH_MAP);
	source->outcome = SOURCE_RECLAIMED;
	source->reason = MIGRATION_LOST;
	source_unfence(source, actions);
	source->is_announcing = true;
	source_ask(source, actions, SOURCE_DO_ANNOUNCE);
	source_move(source, actions, SOURCE_UNMARKING);
}

void source_on_committed(struct migration_source *source, struct migration_source_actions *actions,
			 const struct sync_message *message)
{
	if (source->machine.state != SOURCE_COMMITTING) {
		if (source->outcome == SOURCE_MIGRATED || source->outcome == SOURCE_SUPERSEDED)
			source_send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
		return;
	}
	if (message->epoch == source->epoch_decided && message->items == source->final.items &&
	    message->digest == source->final.digest) {
		source_settle(source, actions);
	} else {
		source->progress.refused++;
		source->reason = MIGRATION_MISMATCH;
		source_act(actions, SOURCE_DO_REPORT);
	}
}

void source_on_abort(struct migration_source *source, struct migration_source_actions *actions,
		     const struct sync_message *message)
{
	if (source_is_undecided(source))
		source_abort(source, actions, message->reason, false);
	else if (source->machine.state == SOURCE_COMMITTING && message->reason == MIGRATION_LOST)
		source_take_back(source, actions, source->epoch_decided + 1);
}

/* The latest epoch that this node itself gave the partition. */
static uint32_t epoch_known(const struct migration_source *source)
{
	return source->epoch_decided ? source->epoch_decided : source->job.epoch;
}

/* Two claims may have the same epoch: the map then prefers one of them, everywhere the same. */
static bool is_news(const struct migration_source *source,
		    const struct migration_source_event *event)
{
	uint64_t owner = source->epoch_decided ? source->job.target : source->job.source;

	return event->epoch > epoch_known(source) ||
	       (event->epoch == epoch_known(source) && event->owner != owner);
}

void source_on_owner(struct migration_source *source, struct migration_source_actions *actions,
		     const struct migration_source_event *event)
{
	if (!source_is_in(source, SOURCE_CHECKING, SOURCE_COMMITTING) || !is_news(source, event))
		return;
	if (source->machine.state == SOURCE_COMMITTING) {
		if (event->owner == source->job.source)
			source_take_back(source, actions, event->epoch);
		else
			source_settle(source, actions);
	} else if (event->owner == source->job.source) {
		source_abort(source, actions, MIGRATION_SUPERSEDED, true);
	} else {
		supersede(source, actions, event->owner);
	}
}

void source_on_dropped(struct migration_source *source, struct migration_source_actions *actions,
		       bool is_done)
{
	if (is_done)
		source_move(source, actions, SOURCE_UNMARKING);
}

void source_drive_cleanup(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->outstanding > 0)
		return;
	if (source->machine.state == SOURCE_DROPPING) {
		source_ask(source, actions, SOURCE_DO_DROP_SLICE);
	} else if (source->machine.state == SOURCE_UNMARKING && !source->is_marked) {
		source_move(source, actions, SOURCE_DONE);
	} else if (source->machine.state == SOURCE_UNMARKING && !source->is_unmark_asked) {
		source->is_unmark_asked = true;
		source_ask(source, actions, SOURCE_DO_UNMARK);
	}
}
