/* SPDX-License-Identifier: BSD-3-Clause */
/* A migration's target takes over: what FINAL says is compared, COMMIT or a claim makes the partition its own. */
#include "controlplane/migration_target_parts.h"

/* ---- FINAL and READY ---- */

bool target_has_all(const struct migration_target *target)
{
	return target->is_final_known && target->outstanding == 0 &&
	       target->batch_applied == target->final.batch &&
	       target->delta_applied >= target->final.delta;
}

bool target_matches(const struct migration_target *target)
{
	return target->items == target->final.items && target->digest == target->final.digest &&
	       target->version <= target->final.version;
}

void target_send_ready(const struct migration_target *target,
		       struct migration_target_actions *actions)
{
	target_send(target, actions, SYNC_READY)->fence = target->final.fence;
}

void target_withdraw(struct migration_target *target, struct migration_target_actions *actions)
{
	target->is_final_answered = false;
	if (target->machine.state == TARGET_READY)
		target_move(target, actions, TARGET_VERIFIED);
}

/* A digest can be compared when exactly the writes that it counts have been applied. While writes go on
 * that is a matter of luck, behind a fence it is a must.
 */
void target_drive_final(struct migration_target *target, struct migration_target_actions *actions)
{
	bool is_exact = target->delta_applied == target->final.delta;
	bool is_fenced = sync_fence_is_up(target->final.fence);

	if (!target_is_in(target, TARGET_RECEIVING, TARGET_VERIFIED) || !target_has_all(target) ||
	    target->is_final_answered || (is_fenced && !is_exact))
		return;
	if (is_exact && !target_matches(target)) {
		target_fail(target, actions, MIGRATION_MISMATCH, true);
		return;
	}
	target->is_final_answered = true;
	target_send_ready(target, actions);
	if (is_fenced)
		target_move(target, actions, TARGET_READY);
	else if (target->machine.state == TARGET_RECEIVING)
		target_move(target, actions, TARGET_VERIFIED);
}

void target_on_final(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_message *message)
{
	bool is_newer = !target->is_final_known || message->fence > target->final.fence;

	if (!target_is_in(target, TARGET_RECEIVING, TARGET_READY))
		return;
	if (is_newer) {
		target_withdraw(target, actions);
		target->final = *message;
		target->is_final_known = true;
	} else if (message->fence == target->final.fence && target->is_final_answered) {
		target_send_ready(target, actions);
	}
}

/* ---- the decision: the source's, or a claim ---- */

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t target_claim_at_ms(const struct migration_target *target)
{
	bool is_fenced = target->machine.state == TARGET_READY;

	if (!target->sees_majority || !target_is_in(target, TARGET_VERIFIED, TARGET_READY))
		return TARGET_NEVER;
	/* Nothing more comes: what was verified, and the writes that followed in their order, is all there will ever be. */
	if (target->peer == MIGRATION_PEER_GONE && target->outstanding == 0)
		return target->peer_since_ms;
	if (target->peer == MIGRATION_PEER_SUSPECTED_DEAD && is_fenced)
		return later(target->peer_since_ms, target->majority_since_ms) +
		       target->options->claim_ms;
	return TARGET_NEVER;
}

bool migration_target_may_claim(const struct migration_target *target)
{
	return target->now_ms >= target_claim_at_ms(target);
}

bool migration_target_can_be_claimed(const struct migration_target *target)
{
	return target_is_in(target, TARGET_PREPARING, TARGET_READY) &&
	       target->peer != MIGRATION_PEER_ALIVE;
}

void target_send_committed(const struct migration_target *target,
			   struct migration_target_actions *actions)
{
	struct sync_message *message = target_send(target, actions, SYNC_COMMITTED);

	message->epoch = target->epoch_taken;
	message->items = target->items;
	message->digest = target->digest;
}

void target_take_over(struct migration_target *target, struct migration_target_actions *actions,
		      uint32_t epoch, bool is_claim, bool is_forced)
{
	target->epoch_taken = epoch;
	target->is_claim = is_claim;
	target->is_forced = is_forced;
	target_move(target, actions, TARGET_FINALIZING);
}

void target_on_commit(struct migration_target *target, struct migration_target_actions *actions,
		      const struct sync_message *message)
{
	if (target->machine.state == TARGET_READY && message->epoch == target->job.epoch + 1)
		target_take_over(target, actions, message->epoch, false, false);
	else if (target->machine.state == TARGET_CONFIRMING)
		target_send_committed(target, actions);
	else
		target->progress.refused++;
}

/* ---- published, and served ---- */

void target_record_owner(struct migration_target_actions *actions, uint64_t owner, uint32_t epoch,
			 bool is_claim)
{
	struct migration_target_action *action = target_act(actions, TARGET_DO_RECORD_OWNER);

	action->owner = owner;
	action->epoch = epoch;
	action->is_claim = is_claim;
}

static bool is_superseded(const struct migration_target *target)
{
	return target->epoch_known >= target->epoch_taken &&
	       target->owner_known != target->job.target;
}

static void serve(struct migration_target *target, struct migration_target_actions *actions)
{
	target_act(actions, TARGET_DO_PUBLISH_MAP);
	target_act(actions, TARGET_DO_UNMARK);
	target->is_marked = false;
	target->reason = MIGRATION_NO_REASON;
	target->outcome = target->is_claim ? TARGET_CLAIMED : TARGET_MIGRATED;
	target_send_committed(target, actions);
	target_move(target, actions, TARGET_CONFIRMING);
	if (target->peer == MIGRATION_PEER_GONE)
		target_finish(target, actions);
}

/* A source that was cut off and returns asks a majority for their maps before it serves again. So a claim is safe
 * once a majority knows of it: the two have a node in common.
 */
void target_on_finalized(struct migration_target *target, struct migration_target_actions *actions)
{
	if (is_superseded(target)) {
		target_fail(target, actions, MIGRATION_SUPERSEDED, false);
		return;
	}
	target_record_owner(actions, target->job.target, target->epoch_taken, target->is_claim);
	if (target->is_claim && !target->is_forced)
		target_ask(target, actions, TARGET_DO_ANNOUNCE);
	else
		serve(target, actions);
}

void target_on_announced(struct migration_target *target, struct migration_target_actions *actions)
{
	if (is_superseded(target))
		target_fail(target, actions, MIGRATION_SUPERSEDED, false);
	else
		serve(target, actions);
}

void target_drive_takeover(struct migration_target *target,
			   struct migration_target_actions *actions)
{
	struct migration_target_action *action;

	if (target->outstanding > 0 || target->machine.state != TARGET_FINALIZING ||
	    target->is_finalize_asked)
		return;
	target->is_finalize_asked = true;
	action = target_ask(target, actions, TARGET_DO_FINALIZE);
	action->epoch = target->epoch_taken;
	action->version = target->is_final_known ? target->final.version : target->version;
}
