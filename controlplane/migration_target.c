/* SPDX-License-Identifier: BSD-3-Clause */
/* The target of a migration: events change what is known, then the state decides what follows. */
#include "controlplane/migration_target_parts.h"

#include <assert.h>
#include <string.h>

/* ---- the table of moves, and what must hold ---- */

#define TO(state) STATE_MACHINE_TO(TARGET_##state)

static bool counters_are_sound(const struct migration_target *target)
{
	return target->batch_applied <= target->batch_taken &&
	       target->delta_applied <= target->delta_taken &&
	       target->outstanding <= MIGRATION_TARGET_APPLY_MAX &&
	       (!target->is_final_answered || target->is_final_known) && target->job.attempt >= 1 &&
	       target->job.attempt <= target->options->attempts_max;
}

static bool is_fit(const void *subject, uint32_t state)
{
	const struct migration_target *target = subject;
	bool is_undecided = target->outcome == TARGET_UNDECIDED && target->epoch_taken == 0;

	if (!counters_are_sound(target))
		return false;
	switch ((enum migration_target_state)state) {
	case TARGET_OPENING:
		return is_undecided && target->is_marked && !target->is_staged &&
		       target->batch_taken == 0 && target->delta_taken == 0;
	case TARGET_PREPARING:
		return is_undecided && target->is_marked && target->is_staged &&
		       target->batch_taken == 0 && target->delta_taken == 0;
	case TARGET_RECEIVING:
		return is_undecided && target->is_marked && target->is_staged;
	case TARGET_VERIFIED:
		return is_undecided && target->is_marked && target->is_staged &&
		       target->is_final_known && target->batch_applied == target->batch_taken;
	case TARGET_READY:
		return is_undecided && target->is_marked && target->is_final_answered &&
		       sync_fence_is_up(target->final.fence) && target_has_all(target) &&
		       target->delta_applied == target->final.delta && target_matches(target);
	case TARGET_FINALIZING:
		return target->outcome == TARGET_UNDECIDED && target->is_staged &&
		       target->epoch_taken > target->job.epoch;
	case TARGET_CONFIRMING:
		return !target->is_marked && target->epoch_taken > target->job.epoch &&
		       (target->outcome == TARGET_MIGRATED || target->outcome == TARGET_CLAIMED);
	case TARGET_DISCARDING:
		return target->reason != MIGRATION_NO_REASON && target->outcome == TARGET_UNDECIDED;
	case TARGET_WAITING:
		return is_undecided && !target->is_staged && target->outstanding == 0 &&
		       target->job.attempt < target->options->attempts_max;
	case TARGET_DONE:
		return target->outcome != TARGET_UNDECIDED && !target->is_marked &&
		       target->outstanding == 0 &&
		       (target->outcome == TARGET_FAILED) == !target->is_staged;
	default:
		return false;
	}
}

static const struct state_machine_kind target_kind = {
	.name = "migration target",
	.state_count = TARGET_STATE_COUNT,
	.state_names = {
		[TARGET_OPENING] = "opening",
		[TARGET_PREPARING] = "preparing",
		[TARGET_RECEIVING] = "receiving",
		[TARGET_VERIFIED] = "verified",
		[TARGET_READY] = "ready",
		[TARGET_FINALIZING] = "finalizing",
		[TARGET_CONFIRMING] = "confirming",
		[TARGET_DISCARDING] = "discarding",
		[TARGET_WAITING] = "waiting",
		[TARGET_DONE] = "done",
	},
	.allowed = {
		[TARGET_OPENING] = TO(PREPARING) | TO(DISCARDING),
		[TARGET_PREPARING] = TO(RECEIVING) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_RECEIVING] = TO(VERIFIED) | TO(READY) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_VERIFIED] = TO(READY) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_READY] = TO(VERIFIED) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_FINALIZING] = TO(CONFIRMING) | TO(DISCARDING),
		[TARGET_CONFIRMING] = TO(DISCARDING) | TO(DONE),
		[TARGET_DISCARDING] = TO(WAITING) | TO(DONE),
		[TARGET_WAITING] = TO(OPENING) | TO(DONE),
		[TARGET_DONE] = 0,
	},
	.invariant = is_fit,
};

bool migration_target_is_sound(const struct migration_target *target)
{
	return state_machine_holds(&target->machine, target);
}

const char *migration_target_state_name(enum migration_target_state state)
{
	return (unsigned)state < TARGET_STATE_COUNT ? target_kind.state_names[state] : "?";
}

/* ---- actions ---- */

struct migration_target_action *target_act(struct migration_target_actions *actions,
					   enum migration_target_action_kind kind)
{
	struct migration_target_action *action;

	assert(actions->count < MIGRATION_TARGET_ACTION_MAX);
	action = &actions->items[actions->count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

struct migration_target_action *target_ask(struct migration_target *target,
					   struct migration_target_actions *actions,
					   enum migration_target_action_kind kind)
{
	target->outstanding++;
	return target_act(actions, kind);
}

struct sync_message *target_send(const struct migration_target *target,
				 struct migration_target_actions *actions,
				 enum sync_message_kind kind)
{
	struct sync_message *message = &target_act(actions, TARGET_DO_SEND)->message;

	message->kind = kind;
	message->partition = target->job.partition;
	message->job = target->job.job;
	message->attempt = target->job.attempt;
	message->sender = target->job.target;
	message->generation = target->job.target_generation;
	return message;
}

void target_move(struct migration_target *target, struct migration_target_actions *actions,
		 enum migration_target_state state)
{
	state_machine_move(&target->machine, state, target);
	target->retries = 0;
	target->retry_at_ms = target->now_ms + target->options->retry_ms;
	target_act(actions, TARGET_DO_REPORT);
}

/* ---- messages ---- */

static void send_prepare(const struct migration_target *target,
			 struct migration_target_actions *actions)
{
	target_send(target, actions, SYNC_PREPARE)->epoch = target->job.epoch;
}

static void on_accept(struct migration_target *target, struct migration_target_actions *actions,
		      const struct sync_message *message)
{
	if (target->machine.state != TARGET_PREPARING)
		return;
	target->reason = MIGRATION_NO_REASON;
	target->progress.items_expected = message->items;
	target->progress.bytes_expected = message->item_bytes;
	target_move(target, actions, TARGET_RECEIVING);
}

/* News for the map, which come back as ON_OWNER; an owner who does not know it yet is asked again. */
static void on_not_owner(struct migration_target *target, struct migration_target_actions *actions,
			 const struct sync_message *message)
{
	if (message->epoch > target->job.epoch)
		target_record_owner(actions, message->owner, message->epoch, false);
	else if (target->machine.state == TARGET_PREPARING)
		target->reason = MIGRATION_NOT_OWNER;
}

/* The message that the source may be waiting for. */
static void answer(struct migration_target *target, struct migration_target_actions *actions)
{
	switch (target->machine.state) {
	case TARGET_PREPARING:
		send_prepare(target, actions);
		break;
	case TARGET_RECEIVING:
	case TARGET_VERIFIED:
	case TARGET_READY:
		target_send_ack(target, actions);
		if (target->is_final_answered)
			target_send_ready(target, actions);
		break;
	case TARGET_CONFIRMING:
		target_send_committed(target, actions);
		break;
	case TARGET_DISCARDING:
		target_send(target, actions, SYNC_ABORT)->reason = target->reason;
		break;
	default:
		break;
	}
}

static void take_message(struct migration_target *target, struct migration_target_actions *actions,
			 const struct sync_message *message)
{
	switch (message->kind) {
	case SYNC_ACCEPT:
		on_accept(target, actions, message);
		break;
	case SYNC_BUSY:
		if (target->machine.state == TARGET_PREPARING)
			target->reason = message->reason;
		break;
	case SYNC_NOT_OWNER:
		on_not_owner(target, actions, message);
		break;
	case SYNC_FINAL:
		target_on_final(target, actions, message);
		break;
	case SYNC_COMMIT:
		target_on_commit(target, actions, message);
		break;
	case SYNC_ABORT:
		target_on_abort(target, actions, message);
		break;
	case SYNC_STATUS:
		if (message->phase == SYNC_PHASE_SETTLED)
			target_finish(target, actions);
		else if (message->is_question)
			answer(target, actions);
		break;
	default:
		target->progress.refused++;
		break;
	}
}

/* ---- other events ---- */

/* Whether this node alone may still end the attempt. */
static bool is_free(const struct migration_target *target)
{
	return target_is_in(target, TARGET_OPENING, TARGET_VERIFIED) ||
	       target->machine.state == TARGET_WAITING;
}

/* The source is dead or gone: with nothing but a part of the partition here, that part is no use. What
 * was verified waits, for a claim or for the source.
 */
static void on_peer(struct migration_target *target, struct migration_target_actions *actions,
		    enum migration_peer peer)
{
	if (peer == target->peer || target->peer == MIGRATION_PEER_GONE)
		return;
	target->peer = peer;
	target->peer_since_ms = target->now_ms;
	target->heard_at_ms = target->now_ms;
	if (peer == MIGRATION_PEER_GONE)
		target_finish(target, actions);
	if (peer != MIGRATION_PEER_ALIVE && is_free(target) &&
	    target->machine.state != TARGET_VERIFIED)
		target_fail(target, actions, MIGRATION_PEER_DEAD, false);
	else if (target_is_in(target, TARGET_VERIFIED, TARGET_READY))
		target->reason =
			peer == MIGRATION_PEER_ALIVE ? MIGRATION_NO_REASON : MIGRATION_PEER_DEAD;
}

static void on_message(struct migration_target *target, struct migration_target_actions *actions,
		       const struct sync_message *message)
{
	const struct migration_job *job = &target->job;

	if (message->sender == job->source && message->generation > job->source_generation)
		on_peer(target, actions, MIGRATION_PEER_GONE);
	if (message->job != job->job || message->attempt != job->attempt ||
	    message->sender != job->source || message->generation != job->source_generation) {
		target->progress.refused++;
		return;
	}
	target->heard_at_ms = target->now_ms;
	take_message(target, actions, message);
}

/* The map says that this node owns the partition: behind a READY, that is a COMMIT that came by another way. Before, the
 * source cannot have decided: an earlier life of this node had it, and what is copied here is older than that. Otherwise
 * somebody else owns it. The copy is of no use then.
 */
static void on_owner(struct migration_target *target, struct migration_target_actions *actions,
		     const struct migration_target_event *event)
{
	bool is_mine = event->owner == target->job.target;

	if (event->epoch <= target->job.epoch || event->epoch < target->epoch_known)
		return;
	target->epoch_known = event->epoch;
	target->owner_known = event->owner;
	if (is_mine && target->machine.state == TARGET_READY)
		target_take_over(target, actions, event->epoch, false, true);
	else if (!is_mine && target->machine.state == TARGET_CONFIRMING &&
		 event->epoch >= target->epoch_taken)
		target_fail(target, actions, MIGRATION_SUPERSEDED, false);
	else if (is_free(target) || (!is_mine && target->machine.state == TARGET_READY))
		target_fail(target, actions, MIGRATION_SUPERSEDED, true);
}

static void on_staged(struct migration_target *target, struct migration_target_actions *actions,
		      bool is_ok)
{
	target->is_staged = is_ok;
	if (target->machine.state != TARGET_OPENING)
		return;
	if (!is_ok) {
		target_fail(target, actions, MIGRATION_OUT_OF_MEMORY, false);
		return;
	}
	target_move(target, actions, TARGET_PREPARING);
	target->until_ms = target->now_ms + target->options->prepare_ms_max;
	send_prepare(target, actions);
}

static void on_cancel(struct migration_target *target, struct migration_target_actions *actions)
{
	if (is_free(target)) {
		target_fail(target, actions, MIGRATION_CANCELLED,
			    target_is_in(target, TARGET_PREPARING, TARGET_VERIFIED));
	} else if (target->machine.state == TARGET_READY) {
		target->is_cancelled = true;
		target_send(target, actions, SYNC_CANCEL);
	} else if (target->machine.state == TARGET_DISCARDING) {
		target->is_cancelled = true;
	}
}

static bool is_answer(enum migration_target_event_kind kind)
{
	return kind == TARGET_ON_STAGED || kind == TARGET_ON_APPLIED ||
	       kind == TARGET_ON_FINALIZED || kind == TARGET_ON_ANNOUNCED ||
	       kind == TARGET_ON_DISCARDED;
}

static void take_answer(struct migration_target *target, struct migration_target_actions *actions,
			const struct migration_target_event *event)
{
	assert(target->outstanding > 0);
	target->outstanding--;
	switch (event->kind) {
	case TARGET_ON_STAGED:
		on_staged(target, actions, event->is_ok);
		break;
	case TARGET_ON_APPLIED:
		target_on_applied(target, actions, event);
		break;
	case TARGET_ON_FINALIZED:
		target_on_finalized(target, actions);
		break;
	case TARGET_ON_ANNOUNCED:
		target_on_announced(target, actions);
		break;
	default:
		target_on_discarded(target, actions, event->is_done);
		break;
	}
}

static uint32_t latest_epoch(const struct migration_target *target)
{
	return target->epoch_known ? target->epoch_known : target->job.epoch;
}

static void take_news(struct migration_target *target, struct migration_target_actions *actions,
		      const struct migration_target_event *event)
{
	switch (event->kind) {
	case TARGET_ON_START:
		target_act(actions, TARGET_DO_MARK);
		target->is_marked = true;
		target_ask(target, actions, TARGET_DO_STAGE);
		break;
	case TARGET_ON_MESSAGE:
		on_message(target, actions, event->message);
		break;
	case TARGET_ON_BATCH:
		target_on_batch(target, actions, event->batch);
		break;
	case TARGET_ON_PEER:
		on_peer(target, actions, event->peer);
		break;
	case TARGET_ON_OWNER:
		on_owner(target, actions, event);
		break;
	case TARGET_ON_MAJORITY:
		if (event->is_ok && !target->sees_majority)
			target->majority_since_ms = target->now_ms;
		target->sees_majority = event->is_ok;
		break;
	case TARGET_ON_CONNECTED:
		target->retry_at_ms = target->now_ms;
		if (target_is_in(target, TARGET_RECEIVING, TARGET_READY))
			target_send_ack(target, actions);
		break;
	case TARGET_ON_CANCEL:
		on_cancel(target, actions);
		break;
	case TARGET_ON_CLAIM:
		if (migration_target_can_be_claimed(target))
			target_take_over(target, actions, latest_epoch(target) + 1, true, true);
		break;
	default:
		break;
	}
}

/* ---- what the state does with what is known ---- */

static void drive_bounds(struct migration_target *target, struct migration_target_actions *actions)
{
	uint64_t silent_at_ms = target->heard_at_ms + target->options->silence_ms_max;

	if (target->machine.state == TARGET_PREPARING && target->now_ms >= target->until_ms) {
		target->is_last_attempt = true;
		target_fail(target, actions,
			    target->reason ? target->reason : MIGRATION_PEER_SILENT, true);
	} else if (target_is_in(target, TARGET_RECEIVING, TARGET_VERIFIED) &&
		   target->peer == MIGRATION_PEER_ALIVE && target->now_ms >= silent_at_ms) {
		target_fail(target, actions, MIGRATION_PEER_SILENT, true);
	} else if (migration_target_may_claim(target)) {
		target_take_over(target, actions, target->job.epoch + 1, true, false);
	}
}

static bool has_retry_clock(const struct migration_target *target)
{
	return target->machine.state == TARGET_PREPARING || target->machine.state == TARGET_READY ||
	       target->machine.state == TARGET_CONFIRMING;
}

static void drive_retry(struct migration_target *target, struct migration_target_actions *actions)
{
	const struct migration_options *options = target->options;

	if (!has_retry_clock(target) || target->now_ms < target->retry_at_ms)
		return;
	if (target->machine.state == TARGET_READY) {
		struct sync_message *message = target_send(target, actions, SYNC_STATUS);

		message->phase = target->machine.state;
		message->is_question = true;
		if (target->is_cancelled)
			target_send(target, actions, SYNC_CANCEL);
	} else {
		answer(target, actions);
	}
	target->retries++;
	target->retry_at_ms =
		target->now_ms +
		migration_backoff_ms(options->retry_ms, target->retries, options->retry_ms_max);
}

static void drive(struct migration_target *target, struct migration_target_actions *actions)
{
	drive_bounds(target, actions);
	target_drive_final(target, actions);
	drive_retry(target, actions);
	target_drive_takeover(target, actions);
	target_drive_cleanup(target, actions);
}

/* ---- the machine ---- */

void migration_target_init(struct migration_target *target, const struct migration_options *options,
			   const struct migration_job *job, bool sees_majority, uint64_t now_ms)
{
	assert(migration_options_are_valid(options));
	assert(job->attempt == 1);
	memset(target, 0, sizeof(*target));
	state_machine_init(&target->machine, &target_kind, TARGET_OPENING);
	target->options = options;
	target->job = *job;
	target->sees_majority = sees_majority;
	target->majority_since_ms = now_ms;
	target->now_ms = now_ms;
	target->heard_at_ms = now_ms;
	target->progress.started_at_ms = now_ms;
}

void migration_target_step(struct migration_target *target, uint64_t now_ms,
			   const struct migration_target_event *event,
			   struct migration_target_actions *actions)
{
	assert(now_ms >= target->now_ms);
	target->now_ms = now_ms;
	actions->count = 0;
	if (is_answer(event->kind))
		take_answer(target, actions, event);
	else
		take_news(target, actions, event);
	drive(target, actions);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t migration_target_deadline_ms(const struct migration_target *target)
{
	uint64_t deadline_ms = target_claim_at_ms(target);

	if (has_retry_clock(target))
		deadline_ms = earlier(deadline_ms, target->retry_at_ms);
	if (target->machine.state == TARGET_PREPARING || target->machine.state == TARGET_WAITING)
		deadline_ms = earlier(deadline_ms, target->until_ms);
	if (target_is_in(target, TARGET_RECEIVING, TARGET_VERIFIED) &&
	    target->peer == MIGRATION_PEER_ALIVE)
		deadline_ms =
			earlier(deadline_ms, target->heard_at_ms + target->options->silence_ms_max);
	return deadline_ms;
}
