/* SPDX-License-Identifier: BSD-3-Clause */
/* The target of a migration: events change what is known, then the state decides what follows. */
#include "controlplane/migration_target.h"

#include <assert.h>
#include <string.h>

#define NEVER UINT64_MAX

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

/* Whether everything that the FINAL counts has been applied, and nothing else is under way. */
static bool has_all(const struct migration_target *target)
{
	return target->is_final_known && target->outstanding == 0 &&
	       target->batch_applied == target->final.batch &&
	       target->delta_applied >= target->final.delta;
}

/* Whether the staged items are those that the FINAL speaks of. */
static bool matches(const struct migration_target *target)
{
	return target->items == target->final.items && target->digest == target->final.digest &&
	       target->version <= target->final.version;
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
		       sync_fence_is_up(target->final.fence) && has_all(target) &&
		       target->delta_applied == target->final.delta && matches(target);
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

static struct migration_target_action *act(struct migration_target_actions *actions,
					   enum migration_target_action_kind kind)
{
	struct migration_target_action *action;

	assert(actions->count < MIGRATION_TARGET_ACTION_MAX);
	action = &actions->items[actions->count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

/* An action that will be answered. */
static struct migration_target_action *ask(struct migration_target *target,
					   struct migration_target_actions *actions,
					   enum migration_target_action_kind kind)
{
	target->outstanding++;
	return act(actions, kind);
}

static struct sync_message *send(const struct migration_target *target,
				 struct migration_target_actions *actions,
				 enum sync_message_kind kind)
{
	struct sync_message *message = &act(actions, TARGET_DO_SEND)->message;

	message->kind = kind;
	message->partition = target->job.partition;
	message->job = target->job.job;
	message->attempt = target->job.attempt;
	message->sender = target->job.target;
	message->generation = target->job.target_generation;
	return message;
}

static void move(struct migration_target *target, struct migration_target_actions *actions,
		 enum migration_target_state state)
{
	state_machine_move(&target->machine, state, target);
	target->retries = 0;
	target->retry_at_ms = target->now_ms + target->options->retry_ms;
	act(actions, TARGET_DO_REPORT);
}

static void send_prepare(const struct migration_target *target,
			 struct migration_target_actions *actions)
{
	send(target, actions, SYNC_PREPARE)->epoch = target->job.epoch;
}

static void send_ack(const struct migration_target *target,
		     struct migration_target_actions *actions)
{
	struct sync_message *message = send(target, actions, SYNC_ACK);

	message->batch = target->batch_applied;
	message->delta = target->delta_applied;
}

static void send_ready(const struct migration_target *target,
		       struct migration_target_actions *actions)
{
	send(target, actions, SYNC_READY)->fence = target->final.fence;
}

static void send_committed(const struct migration_target *target,
			   struct migration_target_actions *actions)
{
	struct sync_message *message = send(target, actions, SYNC_COMMITTED);

	message->epoch = target->epoch_taken;
	message->items = target->items;
	message->digest = target->digest;
}

static void record_owner(struct migration_target_actions *actions, uint64_t owner, uint32_t epoch,
			 bool is_claim)
{
	struct migration_target_action *action = act(actions, TARGET_DO_RECORD_OWNER);

	action->owner = owner;
	action->epoch = epoch;
	action->is_claim = is_claim;
}

/* ---- what is known ---- */

static bool is_in(const struct migration_target *target, enum migration_target_state from,
		  enum migration_target_state to)
{
	return target->machine.state >= (uint32_t)from && target->machine.state <= (uint32_t)to;
}

/* Whether this node alone may still end the attempt. */
static bool is_free(const struct migration_target *target)
{
	return is_in(target, TARGET_OPENING, TARGET_VERIFIED) ||
	       target->machine.state == TARGET_WAITING;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When a claim is allowed, NEVER when that is not a matter of time. */
static uint64_t claim_at_ms(const struct migration_target *target)
{
	bool is_fenced = target->machine.state == TARGET_READY;

	if (!target->sees_majority || !is_in(target, TARGET_VERIFIED, TARGET_READY))
		return NEVER;
	/* Nothing more comes: what was verified, and the writes that followed in their order, is all there will ever be. */
	if (target->peer == MIGRATION_PEER_GONE && target->outstanding == 0)
		return target->peer_since_ms;
	if (target->peer == MIGRATION_PEER_SUSPECTED_DEAD && is_fenced)
		return later(target->peer_since_ms, target->majority_since_ms) +
		       target->options->claim_ms;
	return NEVER;
}

bool migration_target_may_claim(const struct migration_target *target)
{
	return target->now_ms >= claim_at_ms(target);
}

bool migration_target_can_be_claimed(const struct migration_target *target)
{
	return is_in(target, TARGET_PREPARING, TARGET_READY) &&
	       target->peer != MIGRATION_PEER_ALIVE;
}

static uint32_t latest_epoch(const struct migration_target *target)
{
	return target->epoch_known ? target->epoch_known : target->job.epoch;
}

/* ---- ways out ---- */

/* Ends the attempt. Tells the source unless it told us. */
static void fail(struct migration_target *target, struct migration_target_actions *actions,
		 enum migration_reason reason, bool is_told)
{
	target->reason = reason;
	if (is_told)
		send(target, actions, SYNC_ABORT)->reason = reason;
	if (target->machine.state == TARGET_CONFIRMING)
		act(actions, TARGET_DO_PUBLISH_MAP);
	if (target->machine.state == TARGET_WAITING) {
		target->is_marked = false;
		act(actions, TARGET_DO_UNMARK);
		target->outcome = TARGET_FAILED;
		move(target, actions, TARGET_DONE);
	} else {
		target->outcome = TARGET_UNDECIDED;
		move(target, actions, TARGET_DISCARDING);
	}
}

/* The partition is this node's from 'epoch' on. */
static void take_over(struct migration_target *target, struct migration_target_actions *actions,
		      uint32_t epoch, bool is_claim, bool is_forced)
{
	target->epoch_taken = epoch;
	target->is_claim = is_claim;
	target->is_forced = is_forced;
	move(target, actions, TARGET_FINALIZING);
}

/* ---- the copy ---- */

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

/* The fence behind the READY came down: writes go on at the source. */
static void withdraw(struct migration_target *target, struct migration_target_actions *actions)
{
	target->is_final_answered = false;
	if (target->machine.state == TARGET_READY)
		move(target, actions, TARGET_VERIFIED);
}

static void apply(struct migration_target *target, struct migration_target_actions *actions,
		  const struct sync_batch *batch)
{
	target->progress.records += batch->count;
	target->progress.bytes += batch->records_size;
	ask(target, actions, TARGET_DO_APPLY)->batch = batch;
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
	send_ack(target, actions);
}

static void on_delta_block(struct migration_target *target,
			   struct migration_target_actions *actions, const struct sync_batch *batch)
{
	if (batch->first == target->delta_taken + 1) {
		target->delta_taken = sync_batch_last(batch);
		if (target->machine.state == TARGET_READY)
			withdraw(target, actions);
		apply(target, actions, batch);
		return;
	}
	target->progress.gaps += batch->first > target->delta_taken;
	send_ack(target, actions);
}

static void on_batch(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_batch *batch)
{
	if (batch->job != target->job.job || batch->attempt != target->job.attempt ||
	    batch->partition != target->job.partition ||
	    !is_in(target, TARGET_RECEIVING, TARGET_READY)) {
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

static void on_applied(struct migration_target *target, struct migration_target_actions *actions,
		       const struct migration_target_event *event)
{
	if (!is_in(target, TARGET_RECEIVING, TARGET_VERIFIED)) {
		/* An operator's claim takes what came so far, as it is in the end. */
		target->items = event->items;
		target->digest = event->digest;
		target->version = event->version;
		return;
	}
	if (!event->is_ok) {
		fail(target, actions, MIGRATION_OUT_OF_MEMORY, true);
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
	send_ack(target, actions);
}

/* ---- messages ---- */

/* A digest can be compared when exactly the writes that it counts have been applied. While writes go on
 * that is a matter of luck, behind a fence it is a must.
 */
static void drive_final(struct migration_target *target, struct migration_target_actions *actions)
{
	bool is_exact = target->delta_applied == target->final.delta;
	bool is_fenced = sync_fence_is_up(target->final.fence);

	if (!is_in(target, TARGET_RECEIVING, TARGET_VERIFIED) || !has_all(target) ||
	    target->is_final_answered || (is_fenced && !is_exact))
		return;
	if (is_exact && !matches(target)) {
		fail(target, actions, MIGRATION_MISMATCH, true);
		return;
	}
	target->is_final_answered = true;
	send_ready(target, actions);
	if (is_fenced)
		move(target, actions, TARGET_READY);
	else if (target->machine.state == TARGET_RECEIVING)
		move(target, actions, TARGET_VERIFIED);
}

static void on_final(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_message *message)
{
	bool is_newer = !target->is_final_known || message->fence > target->final.fence;

	if (!is_in(target, TARGET_RECEIVING, TARGET_READY))
		return;
	if (is_newer) {
		withdraw(target, actions);
		target->final = *message;
		target->is_final_known = true;
	} else if (message->fence == target->final.fence && target->is_final_answered) {
		send_ready(target, actions);
	}
}

static void on_commit(struct migration_target *target, struct migration_target_actions *actions,
		      const struct sync_message *message)
{
	if (target->machine.state == TARGET_READY && message->epoch == target->job.epoch + 1)
		take_over(target, actions, message->epoch, false, false);
	else if (target->machine.state == TARGET_CONFIRMING)
		send_committed(target, actions);
	else
		target->progress.refused++;
}

static void on_accept(struct migration_target *target, struct migration_target_actions *actions,
		      const struct sync_message *message)
{
	if (target->machine.state != TARGET_PREPARING)
		return;
	target->reason = MIGRATION_NO_REASON;
	target->progress.items_expected = message->items;
	target->progress.bytes_expected = message->item_bytes;
	move(target, actions, TARGET_RECEIVING);
}

/* News for the map, which come back as ON_OWNER; an owner who does not know it yet is asked again. */
static void on_not_owner(struct migration_target *target, struct migration_target_actions *actions,
			 const struct sync_message *message)
{
	if (message->epoch > target->job.epoch)
		record_owner(actions, message->owner, message->epoch, false);
	else if (target->machine.state == TARGET_PREPARING)
		target->reason = MIGRATION_NOT_OWNER;
}

static void on_abort(struct migration_target *target, struct migration_target_actions *actions,
		     const struct sync_message *message)
{
	if (is_in(target, TARGET_PREPARING, TARGET_READY))
		fail(target, actions, message->reason, false);
}

static void finish(struct migration_target *target, struct migration_target_actions *actions)
{
	if (target->machine.state == TARGET_CONFIRMING)
		move(target, actions, TARGET_DONE);
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
		send_ack(target, actions);
		if (target->is_final_answered)
			send_ready(target, actions);
		break;
	case TARGET_CONFIRMING:
		send_committed(target, actions);
		break;
	case TARGET_DISCARDING:
		send(target, actions, SYNC_ABORT)->reason = target->reason;
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
		on_final(target, actions, message);
		break;
	case SYNC_COMMIT:
		on_commit(target, actions, message);
		break;
	case SYNC_ABORT:
		on_abort(target, actions, message);
		break;
	case SYNC_STATUS:
		if (message->phase == SYNC_PHASE_SETTLED)
			finish(target, actions);
		else if (message->is_question)
			answer(target, actions);
		break;
	default:
		target->progress.refused++;
		break;
	}
}

/* ---- other events ---- */

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
		finish(target, actions);
	if (peer != MIGRATION_PEER_ALIVE && is_free(target) &&
	    target->machine.state != TARGET_VERIFIED)
		fail(target, actions, MIGRATION_PEER_DEAD, false);
	else if (is_in(target, TARGET_VERIFIED, TARGET_READY))
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
		take_over(target, actions, event->epoch, false, true);
	else if (!is_mine && target->machine.state == TARGET_CONFIRMING &&
		 event->epoch >= target->epoch_taken)
		fail(target, actions, MIGRATION_SUPERSEDED, false);
	else if (is_free(target) || (!is_mine && target->machine.state == TARGET_READY))
		fail(target, actions, MIGRATION_SUPERSEDED, true);
}

static void on_staged(struct migration_target *target, struct migration_target_actions *actions,
		      bool is_ok)
{
	target->is_staged = is_ok;
	if (target->machine.state != TARGET_OPENING)
		return;
	if (!is_ok) {
		fail(target, actions, MIGRATION_OUT_OF_MEMORY, false);
		return;
	}
	move(target, actions, TARGET_PREPARING);
	target->until_ms = target->now_ms + target->options->prepare_ms_max;
	send_prepare(target, actions);
}

static bool is_superseded(const struct migration_target *target)
{
	return target->epoch_known >= target->epoch_taken &&
	       target->owner_known != target->job.target;
}

static void serve(struct migration_target *target, struct migration_target_actions *actions)
{
	act(actions, TARGET_DO_PUBLISH_MAP);
	act(actions, TARGET_DO_UNMARK);
	target->is_marked = false;
	target->reason = MIGRATION_NO_REASON;
	target->outcome = target->is_claim ? TARGET_CLAIMED : TARGET_MIGRATED;
	send_committed(target, actions);
	move(target, actions, TARGET_CONFIRMING);
	if (target->peer == MIGRATION_PEER_GONE)
		finish(target, actions);
}

/* A source that was cut off and returns asks a majority for their maps before it serves again. So a claim is safe
 * once a majority knows of it: the two have a node in common.
 */
static void on_finalized(struct migration_target *target, struct migration_target_actions *actions)
{
	if (is_superseded(target)) {
		fail(target, actions, MIGRATION_SUPERSEDED, false);
		return;
	}
	record_owner(actions, target->job.target, target->epoch_taken, target->is_claim);
	if (target->is_claim && !target->is_forced)
		ask(target, actions, TARGET_DO_ANNOUNCE);
	else
		serve(target, actions);
}

static void on_announced(struct migration_target *target, struct migration_target_actions *actions)
{
	if (is_superseded(target))
		fail(target, actions, MIGRATION_SUPERSEDED, false);
	else
		serve(target, actions);
}

static bool will_retry(const struct migration_target *target)
{
	return migration_reason_is_transient(target->reason) && !target->is_cancelled &&
	       !target->is_last_attempt && target->peer == MIGRATION_PEER_ALIVE &&
	       target->epoch_known == 0 && target->epoch_taken == 0 &&
	       target->job.attempt < target->options->attempts_max;
}

static void on_discarded(struct migration_target *target, struct migration_target_actions *actions,
			 bool is_done)
{
	if (!is_done)
		return;
	target->is_staged = false;
	if (will_retry(target)) {
		target->until_ms =
			target->now_ms + migration_backoff_ms(target->options->attempt_pause_ms,
							      target->job.attempt - 1, UINT32_MAX);
		move(target, actions, TARGET_WAITING);
		return;
	}
	if (target->is_marked)
		act(actions, TARGET_DO_UNMARK);
	target->is_marked = false;
	target->outcome = TARGET_FAILED;
	move(target, actions, TARGET_DONE);
}

static void on_cancel(struct migration_target *target, struct migration_target_actions *actions)
{
	if (is_free(target)) {
		fail(target, actions, MIGRATION_CANCELLED,
		     is_in(target, TARGET_PREPARING, TARGET_VERIFIED));
	} else if (target->machine.state == TARGET_READY) {
		target->is_cancelled = true;
		send(target, actions, SYNC_CANCEL);
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
		on_applied(target, actions, event);
		break;
	case TARGET_ON_FINALIZED:
		on_finalized(target, actions);
		break;
	case TARGET_ON_ANNOUNCED:
		on_announced(target, actions);
		break;
	default:
		on_discarded(target, actions, event->is_done);
		break;
	}
}

static void open_staging(struct migration_target *target, struct migration_target_actions *actions)
{
	ask(target, actions, TARGET_DO_STAGE);
}

static void take_news(struct migration_target *target, struct migration_target_actions *actions,
		      const struct migration_target_event *event)
{
	switch (event->kind) {
	case TARGET_ON_START:
		act(actions, TARGET_DO_MARK);
		target->is_marked = true;
		open_staging(target, actions);
		break;
	case TARGET_ON_MESSAGE:
		on_message(target, actions, event->message);
		break;
	case TARGET_ON_BATCH:
		on_batch(target, actions, event->batch);
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
		if (is_in(target, TARGET_RECEIVING, TARGET_READY))
			send_ack(target, actions);
		break;
	case TARGET_ON_CANCEL:
		on_cancel(target, actions);
		break;
	case TARGET_ON_CLAIM:
		if (migration_target_can_be_claimed(target))
			take_over(target, actions, latest_epoch(target) + 1, true, true);
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
		fail(target, actions, target->reason ? target->reason : MIGRATION_PEER_SILENT,
		     true);
	} else if (is_in(target, TARGET_RECEIVING, TARGET_VERIFIED) &&
		   target->peer == MIGRATION_PEER_ALIVE && target->now_ms >= silent_at_ms) {
		fail(target, actions, MIGRATION_PEER_SILENT, true);
	} else if (migration_target_may_claim(target)) {
		take_over(target, actions, target->job.epoch + 1, true, false);
	}
}

static void drive_store(struct migration_target *target, struct migration_target_actions *actions)
{
	struct migration_target_action *action;

	if (target->outstanding > 0)
		return;
	if (target->machine.state == TARGET_DISCARDING) {
		ask(target, actions, TARGET_DO_DISCARD_SLICE);
	} else if (target->machine.state == TARGET_FINALIZING && !target->is_finalize_asked) {
		target->is_finalize_asked = true;
		action = ask(target, actions, TARGET_DO_FINALIZE);
		action->epoch = target->epoch_taken;
		action->version = target->is_final_known ? target->final.version : target->version;
	} else if (target->machine.state == TARGET_WAITING && target->now_ms >= target->until_ms) {
		target->job.attempt++;
		forget_attempt(target);
		move(target, actions, TARGET_OPENING);
		open_staging(target, actions);
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
		struct sync_message *message = send(target, actions, SYNC_STATUS);

		message->phase = target->machine.state;
		message->is_question = true;
		if (target->is_cancelled)
			send(target, actions, SYNC_CANCEL);
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
	drive_final(target, actions);
	drive_retry(target, actions);
	drive_store(target, actions);
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

uint64_t migration_target_deadline_ms(const struct migration_target *target)
{
	uint64_t deadline_ms = claim_at_ms(target);

	if (has_retry_clock(target))
		deadline_ms = earlier(deadline_ms, target->retry_at_ms);
	if (target->machine.state == TARGET_PREPARING || target->machine.state == TARGET_WAITING)
		deadline_ms = earlier(deadline_ms, target->until_ms);
	if (is_in(target, TARGET_RECEIVING, TARGET_VERIFIED) &&
	    target->peer == MIGRATION_PEER_ALIVE)
		deadline_ms =
			earlier(deadline_ms, target->heard_at_ms + target->options->silence_ms_max);
	return deadline_ms;
}
