/* SPDX-License-Identifier: BSD-3-Clause */
/* A migration's target takes the copy: batches and deltas in their order, each acknowledged when it is applied. */
#include "controlplane/migration_target_parts.h"

#include <assert.h>

void target_send_ack(const struct migration_target *target,
		     struct migration_target_actions *actions)
{
	struct sync_message *message = target_send(target, actions, SYNC_ACK);

	message->batch = target->batch_applied;
	message->delta = target->delta_applied;
}

static void apply(struct migration_target *target, struct migration_target_actions *actions,
		  const struct sync_batch *batch)
{
	target->progress.records += batch->count;
	target->progress.bytes += batch->records_size;
	target_ask(target, actions, TARGET_DO_APPLY)->batch = batch;
}

/* In order only: what comes too early is dropped, and the ACK tells the source where to go on. */
static void on_scan_batch(struct migration_target *target, struct migration_target_actions *actions,
			  const struct sync_batch *batch)
{
	if (batch->first == target->batch_taken + 1 && target->machine.state == TARGET_RECEIVING) {
		target->batch_taken++;
		apply(target, actions, batch);
		return;
	}
	target->progress.gaps += batch->first > target->batch_taken;
	target_send_ack(target, actions);
}

static void on_delta_block(struct migration_target *target,
			   struct migration_target_actions *actions, const struct sync_batch *batch)
{
	if (batch->first == target->delta_taken + 1) {
		target->delta_taken = sync_batch_last(batch);
		if (target->machine.state == TARGET_READY)
			target_withdraw(target, actions);
		apply(target, actions, batch);
		return;
	}
	target->progress.gaps += batch->first > target->delta_taken;
	target_send_ack(target, actions);
}

void target_on_batch(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_batch *batch)
{
	if (batch->job != target->job.job || batch->attempt != target->job.attempt ||
	    batch->partition != target->job.partition ||
	    !target_is_in(target, TARGET_RECEIVING, TARGET_READY)) {
		target->progress.refused++;
		return;
	}
	target->heard_at_ms = target->now_ms;
	if (target->outstanding == MIGRATION_TARGET_APPLY_MAX)
		target->progress.gaps++;
	else if (batch->kind == SYNC_FRAME_BATCH)
		on_scan_batch(target, actions, batch);
	else
		on_delta_block(target, actions, batch);
}

void target_on_applied(struct migration_target *target, struct migration_target_actions *actions,
		       const struct migration_target_event *event)
{
	if (!target_is_in(target, TARGET_RECEIVING, TARGET_VERIFIED)) {
		/* An operator's claim takes what came so far, as it is in the end. */
		target->items = event->items;
		target->digest = event->digest;
		target->version = event->version;
		return;
	}
	if (!event->is_ok) {
		target_fail(target, actions, MIGRATION_OUT_OF_MEMORY, true);
		return;
	}
	if (event->frame == SYNC_FRAME_BATCH) {
		assert(event->last == target->batch_applied + 1);
		target->batch_applied = event->last;
	} else {
		assert(event->last > target->delta_applied);
		target->delta_applied = event->last;
	}
	target->items = event->items;
	target->digest = event->digest;
	target->version = event->version;
	target_send_ack(target, actions);
}
