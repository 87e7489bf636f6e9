/* SPDX-License-Identifier: BSD-3-Clause */
/* A migration's source hands over: FINAL, the fences, and the decision that COMMIT tells. */
#include "controlplane/migration_source_parts.h"

static void ask_snapshot(struct migration_source *source, struct migration_source_actions *actions,
			 enum migration_source_action_kind kind)
{
	source->is_final_known = false;
	source->is_final_sent = false;
	source->is_ready = false;
	source_ask(source, actions, kind)->fence = source->fence;
}

void source_on_snapshot(struct migration_source *source, struct migration_source_actions *actions,
			const struct migration_source_event *event)
{
	if (event->fence != source->fence ||
	    !source_is_in(source, SOURCE_VERIFYING, SOURCE_FENCING))
		return;
	if (!event->is_ok) {
		source_abort(source, actions, MIGRATION_DELTAS_LOST, true);
		return;
	}
	source->final = (struct sync_message){ .fence = event->fence,
					       .batch = source->batch_made,
					       .delta = event->last,
					       .items = event->items,
					       .digest = event->digest,
					       .version = event->version };
	source->is_final_known = true;
	source_on_deltas(source, event->last);
	if (source->machine.state == SOURCE_FENCING)
		source_move(source, actions, SOURCE_FENCED);
}

void source_send_final(struct migration_source *source, struct migration_source_actions *actions)
{
	struct sync_message *message = source_send(source, actions, SYNC_FINAL);

	message->fence = source->final.fence;
	message->batch = source->final.batch;
	message->delta = source->final.delta;
	message->items = source->final.items;
	message->digest = source->final.digest;
	message->version = source->final.version;
}

/* FINAL follows the deltas that it counts. */
static void drive_final(struct migration_source *source, struct migration_source_actions *actions)
{
	if (!source->is_final_known || source->is_final_sent ||
	    source->delta_made < source->final.delta)
		return;
	source->is_final_sent = true;
	source_retry_restart(source, &source->retry);
	source_send_final(source, actions);
}

static bool lags(const struct migration_source *source)
{
	return source->delta_available - source->delta_acked > source->options->lag_max;
}

uint64_t source_fence_at_ms(const struct migration_source *source)
{
	uint64_t caught_up_ms = source->ready_at_ms + source->options->catch_up_ms_max;

	if (source->machine.state != SOURCE_VERIFYING || !source->is_ready ||
	    !source->sees_majority)
		return SOURCE_NEVER;
	if (lags(source) && caught_up_ms > source->fence_not_before_ms)
		return caught_up_ms;
	return source->fence_not_before_ms;
}

static void put_up_fence(struct migration_source *source, struct migration_source_actions *actions)
{
	source->fence++;
	source->fences++;
	source->is_parking = true;
	source->parking_until_ms = source->now_ms + source->options->parking_ms_max;
	ask_snapshot(source, actions, SOURCE_DO_FENCE_WRITES);
	source_move(source, actions, SOURCE_FENCING);
}

void source_give_up_fence(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->fences >= source->options->fences_max) {
		source_abort(source, actions, MIGRATION_CANNOT_PAUSE, true);
		return;
	}
	source_unfence(source, actions);
	source->fence_not_before_ms =
		source->now_ms + migration_backoff_ms(source->options->fence_pause_ms,
						      source->fences - 1, UINT32_MAX);
	ask_snapshot(source, actions, SOURCE_DO_SNAPSHOT);
	source_move(source, actions, SOURCE_VERIFYING);
}

void source_send_commit(struct migration_source *source, struct migration_source_actions *actions)
{
	source_send(source, actions, SYNC_COMMIT)->epoch = source->epoch_decided;
}

/* The decision: recorded, then told. */
static void commit(struct migration_source *source, struct migration_source_actions *actions)
{
	struct migration_source_action *action = source_act(actions, SOURCE_DO_RECORD_OWNER);

	source->epoch_decided = source->job.epoch + 1;
	action->owner = source->job.target;
	action->epoch = source->epoch_decided;
	source_act(actions, SOURCE_DO_PUBLISH_MAP);
	source_retry_restart(source, &source->retry);
	source_send_commit(source, actions);
	source_move(source, actions, SOURCE_COMMITTING);
}

void source_on_ready(struct migration_source *source, const struct sync_message *message)
{
	if (message->fence != source->fence || !source->is_final_sent || source->is_ready)
		return;
	source->is_ready = true;
	source->ready_at_ms = source->now_ms;
	source_retry_restart(source, &source->retry);
}

static void drive_state(struct migration_source *source, struct migration_source_actions *actions)
{
	switch (source->machine.state) {
	case SOURCE_COPYING:
		if (!source_is_copied(source))
			break;
		ask_snapshot(source, actions, SOURCE_DO_SNAPSHOT);
		source_move(source, actions, SOURCE_VERIFYING);
		break;
	case SOURCE_VERIFYING:
		if (source->now_ms >= source_fence_at_ms(source))
			put_up_fence(source, actions);
		break;
	case SOURCE_FENCED:
		if (!source->is_ready)
			break;
		source_ask(source, actions, SOURCE_DO_FENCE_READS)->fence = source->fence;
		source_move(source, actions, SOURCE_FENCING_READS);
		break;
	case SOURCE_FENCING_READS:
		if (source->are_reads_fenced && source->sees_majority)
			commit(source, actions);
		break;
	default:
		break;
	}
}

void source_drive_handover(struct migration_source *source,
			   struct migration_source_actions *actions)
{
	drive_state(source, actions);
	drive_final(source, actions);
}
