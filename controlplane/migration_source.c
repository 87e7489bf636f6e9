/* SPDX-License-Identifier: BSD-3-Clause */
/* The source of a migration: events change what is known, then the state decides what follows. */
#include "controlplane/migration_source_parts.h"

#include <string.h>

/* What the balance of a rate may save up. */
#define BYTES_BURST_MS 20u
#define CPU_BURST_US 2000u

/* ---- the table of moves, and what must hold ---- */

#define TO(state) STATE_MACHINE_TO(SOURCE_##state)

/* Of every job, in whatever state. */
static bool counters_are_sound(const struct migration_source *source)
{
	return source->batch_acked <= source->batch_made &&
	       source->batch_made - source->batch_acked <= source->options->window &&
	       source->delta_acked <= source->delta_made &&
	       source->delta_made <= source->delta_available &&
	       source->block_count <= source->options->window &&
	       (source->block_count == 0) == (source->delta_acked == source->delta_made) &&
	       (!source->is_ready || source->is_final_sent) &&
	       (!source->is_final_sent || source->is_final_known);
}

static bool is_fit(const void *subject, uint32_t state)
{
	const struct migration_source *source = subject;
	bool is_fenced = sync_fence_is_up(source->fence);
	bool is_undecided = source->epoch_decided == 0 && source->outcome == SOURCE_UNDECIDED;

	if (!counters_are_sound(source))
		return false;
	switch ((enum migration_source_state)state) {
	case SOURCE_CHECKING:
		return is_undecided && !source->is_marked && source->batch_made == 0;
	case SOURCE_MARKING:
		return is_undecided && source->is_marked && source->batch_made == 0 && !is_fenced;
	case SOURCE_COPYING:
		return is_undecided && source->is_marked && !is_fenced && !source->is_parking;
	case SOURCE_VERIFYING:
		return is_undecided && source->is_marked && source_is_copied(source) &&
		       !is_fenced && !source->is_parking;
	case SOURCE_FENCING:
		return is_undecided && source->is_marked && source_is_copied(source) && is_fenced &&
		       source->is_parking && !source->is_ready;
	case SOURCE_FENCED:
		return is_undecided && source_is_copied(source) && is_fenced &&
		       source->is_parking && source->is_final_known &&
		       source->final.fence == source->fence;
	case SOURCE_FENCING_READS:
		return is_undecided && source_is_copied(source) && is_fenced &&
		       source->is_parking && source->is_ready &&
		       source->final.fence == source->fence;
	case SOURCE_COMMITTING:
		return source->epoch_decided == source->job.epoch + 1 && is_fenced &&
		       source->is_ready && source->are_reads_fenced && source_is_copied(source) &&
		       source->final.delta == source->delta_made &&
		       source->outcome == SOURCE_UNDECIDED;
	case SOURCE_DROPPING:
		return !source->is_parking && source->is_marked &&
		       (source->outcome == SOURCE_MIGRATED || source->outcome == SOURCE_SUPERSEDED);
	case SOURCE_UNMARKING:
		return !source->is_parking && source->outcome != SOURCE_UNDECIDED &&
		       (!source->is_announcing ||
			(source->is_marked && source->outcome == SOURCE_RECLAIMED));
	case SOURCE_DONE:
		return !source->is_parking && !source->is_marked && source->outstanding == 0 &&
		       source->outcome != SOURCE_UNDECIDED;
	default:
		return false;
	}
}

static const struct state_machine_kind source_kind = {
	.name = "migration source",
	.state_count = SOURCE_STATE_COUNT,
	.state_names = {
		[SOURCE_CHECKING] = "checking",
		[SOURCE_MARKING] = "marking",
		[SOURCE_COPYING] = "copying",
		[SOURCE_VERIFYING] = "verifying",
		[SOURCE_FENCING] = "fencing",
		[SOURCE_FENCED] = "fenced",
		[SOURCE_FENCING_READS] = "fencing reads",
		[SOURCE_COMMITTING] = "committing",
		[SOURCE_DROPPING] = "dropping",
		[SOURCE_UNMARKING] = "unmarking",
		[SOURCE_DONE] = "done",
	},
	.allowed = {
		[SOURCE_CHECKING] = TO(MARKING) | TO(UNMARKING),
		[SOURCE_MARKING] = TO(COPYING) | TO(DROPPING) | TO(UNMARKING),
		[SOURCE_COPYING] = TO(VERIFYING) | TO(DROPPING) | TO(UNMARKING),
		[SOURCE_VERIFYING] = TO(FENCING) | TO(DROPPING) | TO(UNMARKING),
		[SOURCE_FENCING] = TO(FENCED) | TO(VERIFYING) | TO(DROPPING) | TO(UNMARKING),
		[SOURCE_FENCED] = TO(FENCING_READS) | TO(VERIFYING) | TO(DROPPING) | TO(UNMARKING),
		[SOURCE_FENCING_READS] = TO(COMMITTING) | TO(VERIFYING) | TO(DROPPING) |
					 TO(UNMARKING),
		[SOURCE_COMMITTING] = TO(DROPPING) | TO(UNMARKING),
		[SOURCE_DROPPING] = TO(UNMARKING),
		[SOURCE_UNMARKING] = TO(DONE),
		[SOURCE_DONE] = 0,
	},
	.invariant = is_fit,
};

bool migration_source_is_sound(const struct migration_source *source)
{
	return state_machine_holds(&source->machine, source);
}

bool migration_source_can_be_claimed(const struct migration_source *source)
{
	return source->machine.state == SOURCE_COMMITTING && source->peer != MIGRATION_PEER_ALIVE;
}

const char *migration_source_state_name(enum migration_source_state state)
{
	return (unsigned)state < SOURCE_STATE_COUNT ? source_kind.state_names[state] : "?";
}

/* ---- actions ---- */

struct migration_source_action *source_act(struct migration_source_actions *actions,
					   enum migration_source_action_kind kind)
{
	struct migration_source_action *action;

	assert(actions->count < MIGRATION_SOURCE_ACTION_MAX);
	action = &actions->items[actions->count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

struct migration_source_action *source_ask(struct migration_source *source,
					   struct migration_source_actions *actions,
					   enum migration_source_action_kind kind)
{
	source->outstanding++;
	return source_act(actions, kind);
}

struct sync_message *source_send(const struct migration_source *source,
				 struct migration_source_actions *actions,
				 enum sync_message_kind kind)
{
	struct sync_message *message = &source_act(actions, SOURCE_DO_SEND)->message;

	message->kind = kind;
	message->partition = source->job.partition;
	message->job = source->job.job;
	message->attempt = source->job.attempt;
	message->sender = source->job.source;
	message->generation = source->job.source_generation;
	return message;
}

void source_move(struct migration_source *source, struct migration_source_actions *actions,
		 enum migration_source_state state)
{
	state_machine_move(&source->machine, state, source);
	source_act(actions, SOURCE_DO_REPORT);
}

/* ---- messages ---- */

/* Tells, or tells again, what the target may wait for. */
static void answer(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->machine.state == SOURCE_COMMITTING)
		source_send_commit(source, actions);
	else if (source_is_undecided(source) && source->is_final_sent)
		source_send_final(source, actions);
	else if (source->outcome == SOURCE_MIGRATED || source->outcome == SOURCE_SUPERSEDED)
		source_send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
	else if (source->outcome != SOURCE_UNDECIDED)
		source_send(source, actions, SYNC_ABORT)->reason = source->reason;
	else
		source_send(source, actions, SYNC_STATUS)->phase = source->machine.state;
}

static void send_accept(struct migration_source *source, struct migration_source_actions *actions)
{
	struct sync_message *message = source_send(source, actions, SYNC_ACCEPT);

	message->items = source->progress.items_expected;
	message->item_bytes = source->progress.bytes_expected;
}

static void on_prepare(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source_is_in(source, SOURCE_MARKING, SOURCE_FENCING_READS))
		send_accept(source, actions);
	else if (source->machine.state != SOURCE_CHECKING)
		answer(source, actions);
}

static void take_message(struct migration_source *source, struct migration_source_actions *actions,
			 const struct sync_message *message)
{
	switch (message->kind) {
	case SYNC_PREPARE:
		on_prepare(source, actions);
		break;
	case SYNC_ACK:
		source_on_ack(source, actions, message);
		break;
	case SYNC_READY:
		source_on_ready(source, message);
		break;
	case SYNC_COMMITTED:
		source_on_committed(source, actions, message);
		break;
	case SYNC_NOT_OWNER:
		if (source->machine.state == SOURCE_COMMITTING &&
		    message->epoch > source->epoch_decided)
			source_settle(source, actions);
		break;
	case SYNC_CANCEL:
		if (source_is_undecided(source))
			source_abort(source, actions, MIGRATION_CANCELLED, true);
		break;
	case SYNC_ABORT:
		source_on_abort(source, actions, message);
		break;
	case SYNC_STATUS:
		if (message->is_question)
			answer(source, actions);
		break;
	default:
		source->progress.refused++;
		break;
	}
}

static void on_peer(struct migration_source *source, struct migration_source_actions *actions,
		    enum migration_peer peer)
{
	source->peer = peer;
	if (peer != MIGRATION_PEER_ALIVE && source_is_undecided(source))
		source_abort(source, actions, MIGRATION_PEER_DEAD, true);
}

/* A later life of the target speaks for itself; what an earlier one sent is void. */
static bool is_of_this_life(struct migration_source *source,
			    struct migration_source_actions *actions,
			    const struct sync_message *message)
{
	if (message->generation < source->job.target_generation)
		return false;
	if (message->generation > source->job.target_generation) {
		source->job.target_generation = message->generation;
		on_peer(source, actions, MIGRATION_PEER_GONE);
	}
	return true;
}

static void on_message(struct migration_source *source, struct migration_source_actions *actions,
		       const struct sync_message *message)
{
	const struct migration_job *job = &source->job;

	if (message->job == job->job && message->attempt > job->attempt &&
	    message->kind == SYNC_PREPARE && source_is_undecided(source)) {
		source_abort(source, actions, MIGRATION_RESTARTED, false);
		return;
	}
	if (message->job != job->job || message->attempt != job->attempt ||
	    message->sender != job->target || !is_of_this_life(source, actions, message)) {
		source->progress.refused++;
		return;
	}
	source->heard_at_ms = source->now_ms;
	take_message(source, actions, message);
}

/* ---- other events ---- */

static void on_capacity(struct migration_source *source, struct migration_source_actions *actions,
			const struct migration_source_event *event)
{
	if (source->machine.state != SOURCE_CHECKING)
		return;
	if (!event->is_ok) {
		source->outcome = SOURCE_ABORTED;
		source->reason = MIGRATION_AT_CAPACITY;
		source_send(source, actions, SYNC_BUSY)->reason = MIGRATION_AT_CAPACITY;
		source_move(source, actions, SOURCE_UNMARKING);
		return;
	}
	source->progress.items_expected = event->items;
	source->progress.bytes_expected = event->bytes;
	send_accept(source, actions);
	source_act(actions, SOURCE_DO_MARK);
	source->is_marked = true;
	source_ask(source, actions, SOURCE_DO_BARRIER);
	source_move(source, actions, SOURCE_MARKING);
}

static void on_barrier_done(struct migration_source *source,
			    struct migration_source_actions *actions)
{
	if (source->machine.state != SOURCE_MARKING)
		return;
	source_retry_restart(source, &source->retry);
	source_move(source, actions, SOURCE_COPYING);
}

static bool is_answer(enum migration_source_event_kind kind)
{
	switch (kind) {
	case SOURCE_ON_CAPACITY:
	case SOURCE_ON_BARRIER_DONE:
	case SOURCE_ON_SCANNED:
	case SOURCE_ON_DRAINED:
	case SOURCE_ON_SNAPSHOT:
	case SOURCE_ON_READS_FENCED:
	case SOURCE_ON_DROPPED:
	case SOURCE_ON_ANNOUNCED:
	case SOURCE_ON_UNMARKED:
		return true;
	default:
		return false;
	}
}

static void take_answer(struct migration_source *source, struct migration_source_actions *actions,
			const struct migration_source_event *event)
{
	assert(source->outstanding > 0);
	source->outstanding--;
	switch (event->kind) {
	case SOURCE_ON_CAPACITY:
		on_capacity(source, actions, event);
		break;
	case SOURCE_ON_BARRIER_DONE:
		on_barrier_done(source, actions);
		break;
	case SOURCE_ON_SCANNED:
		source_on_scanned(source, actions, event);
		break;
	case SOURCE_ON_DRAINED:
		source_on_drained(source, actions, event);
		break;
	case SOURCE_ON_SNAPSHOT:
		source_on_snapshot(source, actions, event);
		break;
	case SOURCE_ON_READS_FENCED:
		if (source->machine.state == SOURCE_FENCING_READS && event->fence == source->fence)
			source->are_reads_fenced = true;
		break;
	case SOURCE_ON_DROPPED:
		source_on_dropped(source, actions, event->is_done);
		break;
	case SOURCE_ON_ANNOUNCED:
		source->is_announcing = false;
		break;
	default:
		source->is_marked = false;
		break;
	}
}

static void take_news(struct migration_source *source, struct migration_source_actions *actions,
		      const struct migration_source_event *event)
{
	switch (event->kind) {
	case SOURCE_ON_START:
		source_ask(source, actions, SOURCE_DO_CHECK_CAPACITY);
		break;
	case SOURCE_ON_MESSAGE:
		on_message(source, actions, event->message);
		break;
	case SOURCE_ON_DELTAS:
		source_on_deltas(source, event->last);
		break;
	case SOURCE_ON_DELTAS_LOST:
		if (source_is_undecided(source))
			source_abort(source, actions, MIGRATION_DELTAS_LOST, true);
		break;
	case SOURCE_ON_PEER:
		on_peer(source, actions, event->peer);
		break;
	case SOURCE_ON_OWNER:
		source_on_owner(source, actions, event);
		break;
	case SOURCE_ON_MAJORITY:
		source->sees_majority = event->is_ok;
		break;
	case SOURCE_ON_CONNECTED:
		source->batch_retry.at_ms = source->now_ms;
		source->delta_retry.at_ms = source->now_ms;
		source->retry.at_ms = source->now_ms;
		break;
	case SOURCE_ON_CANCEL:
		if (source_is_undecided(source))
			source_abort(source, actions, MIGRATION_CANCELLED, true);
		break;
	case SOURCE_ON_CLAIM:
		if (migration_source_can_be_claimed(source))
			source_take_back(source, actions, source->epoch_decided + 1);
		break;
	default:
		break;
	}
}

/* ---- what the state does with what is known ---- */

static void drive_bounds(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->is_parking && source->now_ms >= source->parking_until_ms) {
		if (source->machine.state == SOURCE_COMMITTING)
			source_unpark(source, actions, SOURCE_DO_REFUSE_PARKED);
		else
			source_give_up_fence(source, actions);
	}
	if (source_is_undecided(source) &&
	    source->now_ms >= source->heard_at_ms + source->options->silence_ms_max)
		source_abort(source, actions, MIGRATION_PEER_SILENT, true);
}

static bool has_retries(const struct migration_source *source)
{
	return source_is_in(source, SOURCE_COPYING, SOURCE_COMMITTING);
}

/* Whether the target owes an answer to FINAL or COMMIT. */
static bool is_awaiting(const struct migration_source *source)
{
	return source->machine.state == SOURCE_COMMITTING ||
	       (source->is_final_sent && !source->is_ready);
}

/* A target that waits for nothing hears all the same that its source lives. */
static void send_heartbeat(struct migration_source *source,
			   struct migration_source_actions *actions)
{
	struct sync_message *message = source_send(source, actions, SYNC_STATUS);

	message->phase = source->machine.state;
	message->is_question = true;
	source->retry.at_ms = source->now_ms + source->options->heartbeat_ms;
}

static void drive_retries(struct migration_source *source, struct migration_source_actions *actions)
{
	source_resend_copy(source, actions);
	if (!has_retries(source) || source->now_ms < source->retry.at_ms)
		return;
	if (!is_awaiting(source)) {
		send_heartbeat(source, actions);
		return;
	}
	if (source->machine.state == SOURCE_COMMITTING)
		source_send_commit(source, actions);
	else
		source_send_final(source, actions);
	source_retry_back_off(source, &source->retry);
}

/* Bounds first: what is late is not done any more. */
static void drive(struct migration_source *source, struct migration_source_actions *actions)
{
	drive_bounds(source, actions);
	source_drive_copy(source, actions);
	source_drive_handover(source, actions);
	drive_retries(source, actions);
	source_drive_cleanup(source, actions);
}

/* ---- the machine ---- */

void migration_source_init(struct migration_source *source, const struct migration_options *options,
			   const struct migration_job *job, bool sees_majority, uint64_t now_ms)
{
	uint64_t bytes_burst = options->bytes_per_s * BYTES_BURST_MS / 1000;

	assert(migration_options_are_valid(options));
	memset(source, 0, sizeof(*source));
	state_machine_init(&source->machine, &source_kind, SOURCE_CHECKING);
	source->options = options;
	source->job = *job;
	source->sees_majority = sees_majority;
	source->now_ms = now_ms;
	source->heard_at_ms = now_ms;
	source->progress.started_at_ms = now_ms;
	token_bucket_init(&source->bytes, options->bytes_per_s, bytes_burst ? bytes_burst : 1,
			  now_ms);
	token_bucket_init(&source->cpu, (uint64_t)options->cpu_permille * 1000, CPU_BURST_US,
			  now_ms);
}

void migration_source_step(struct migration_source *source, uint64_t now_ms,
			   const struct migration_source_event *event,
			   struct migration_source_actions *actions)
{
	assert(now_ms >= source->now_ms);
	source->now_ms = now_ms;
	actions->count = 0;
	if (is_answer(event->kind))
		take_answer(source, actions, event);
	else
		take_news(source, actions, event);
	drive(source, actions);
}

uint64_t migration_source_deadline_ms(const struct migration_source *source)
{
	uint64_t deadline_ms =
		source_earlier(source_copy_at_ms(source), source_fence_at_ms(source));

	if (has_retries(source))
		deadline_ms = source_earlier(deadline_ms, source->retry.at_ms);
	if (source->is_parking)
		deadline_ms = source_earlier(deadline_ms, source->parking_until_ms);
	if (source_is_undecided(source))
		deadline_ms = source_earlier(deadline_ms,
					     source->heard_at_ms + source->options->silence_ms_max);
	return deadline_ms;
}
