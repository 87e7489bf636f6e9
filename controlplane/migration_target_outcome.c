/* SPDX-License-Identifier: BSD-3-Clause */
/* How an attempt ends at a migration's target: settled, or failed and discarded, and perhaps begun anew. */
#include "controlplane/migration_target_parts.h"

void target_fail(struct migration_target *target, struct migration_target_actions *actions,
		 enum migration_reason reason, bool is_told)
{
	target->reason = reason;
	if (is_told)
		target_send(target, actions, SYNC_ABORT)->reason = reason;
	if (target->machine.state == TARGET_CONFIRMING)
		target_act(actions, TARGET_DO_PUBLISH_MAP);
	if (target->machine.state == TARGET_WAITING) {
		target->is_marked = false;
		target_act(actions, TARGET_DO_UNMARK);
		target->outcome = TARGET_FAILED;
		target_move(target, actions, TARGET_DONE);
	} else {
		target->outcome = TARGET_UNDECIDED;
		target_move(target, actions, TARGET_DISCARDING);
	}
}

void target_on_abort(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_message *message)
{
	if (target_is_in(target, TARGET_PREPARING, TARGET_READY))
		target_fail(target, actions, message->reason, false);
}

void target_finish(struct migration_target *target, struct migration_target_actions *actions)
{
	if (target->machine.state == TARGET_CONFIRMING)
		target_move(target, actions, TARGET_DONE);
}

static bool will_retry(const struct migration_target *target)
{
	return migration_reason_is_transient(target->reason) && !target->is_cancelled &&
	       !target->is_last_attempt && target->peer == MIGRATION_PEER_ALIVE &&
	       target->epoch_known == 0 && target->epoch_taken == 0 &&
	       target->job.attempt < target->options->attempts_max;
}

void target_on_discarded(struct migration_target *target, struct migration_target_actions *actions,
			 bool is_done)
{
	if (!is_done)
		return;
	target->is_staged = false;
	if (will_retry(target)) {
		target->until_ms =
			target->now_ms + migration_backoff_ms(target->options->attempt_pause_ms,
							      target->job.attempt - 1, UINT32_MAX);
		target_move(target, actions, TARGET_WAITING);
		return;
	}
	if (target->is_marked)
		target_act(actions, TARGET_DO_UNMARK);
	target->is_marked = false;
	target->outcome = TARGET_FAILED;
	target_move(target, actions, TARGET_DONE);
}

static void forget_attempt(struct migration_target *target)
{
	target->progress.records = 0;
	target->progress.bytes = 0;
	target->batch_taken = 0;
	target->batch_applied = 0;
	target->delta_taken = 0;
	target->delta_applied = 0;
	target->items = 0;
	target->digest = 0;
	target->version = 0;
	target->is_final_known = false;
	target->is_final_answered = false;
}

void target_drive_cleanup(struct migration_target *target, struct migration_target_actions *actions)
{
	if (target->outstanding > 0)
		return;
	if (target->machine.state == TARGET_DISCARDING) {
		target_ask(target, actions, TARGET_DO_DISCARD_SLICE);
	} else if (target->machine.state == TARGET_WAITING && target->now_ms >= target->until_ms) {
		target->job.attempt++;
		forget_attempt(target);
		target_move(target, actions, TARGET_OPENING);
		target_ask(target, actions, TARGET_DO_STAGE);
	}
}
