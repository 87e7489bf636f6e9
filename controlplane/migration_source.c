/* SPDX-License-Identifier: BSD-3-Clause */
/* The source of a migration: events change what is known, then the state decides what follows. */
#include "controlplane/migration_source.h"

#include <string.h>

#define NEVER UINT64_MAX

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

static bool is_copied(const struct migration_source *source)
{
	return source->is_scanned && source->batch_acked == source->batch_made;
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
		return is_undecided && source->is_marked && is_copied(source) && !is_fenced &&
		       !source->is_parking;
	case SOURCE_FENCING:
		return is_undecided && source->is_marked && is_copied(source) && is_fenced &&
		       source->is_parking && !source->is_ready;
	case SOURCE_FENCED:
		return is_undecided && is_copied(source) && is_fenced && source->is_parking &&
		       source->is_final_known && source->final.fence == source->fence;
	case SOURCE_FENCING_READS:
		return is_undecided && is_copied(source) && is_fenced && source->is_parking &&
		       source->is_ready && source->final.fence == source->fence;
	case SOURCE_COMMITTING:
		return source->epoch_decided == source->job.epoch + 1 && is_fenced &&
		       source->is_ready && source->are_reads_fenced && is_copied(source) &&
		       source->final.delta == source->delta_made &&
		       source->outcome == SOURCE_UNDECIDED;
	case SOURCE_DROPPING:
		return !source->is_parking && source->is_marked &&
		       (source->outcome == SOURCE_MIGRATED || source->outcome == SOURCE_SUPERSEDED);
	case SOURCE_UNMARKING:
		return !source->is_parking && source->outcome != SOURCE_UNDECIDED;
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

static struct migration_source_action *act(struct migration_source_actions *actions,
					   enum migration_source_action_kind kind)
{
	struct migration_source_action *action;

	assert(actions->count < MIGRATION_SOURCE_ACTION_MAX);
	action = &actions->items[actions->count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

/* An action that will be answered. */
static struct migration_source_action *ask(struct migration_source *source,
					   struct migration_source_actions *actions,
					   enum migration_source_action_kind kind)
{
	source->outstanding++;
	return act(actions, kind);
}

static struct sync_message *send(const struct migration_source *source,
				 struct migration_source_actions *actions,
				 enum sync_message_kind kind)
{
	struct sync_message *message = &act(actions, SOURCE_DO_SEND)->message;

	message->kind = kind;
	message->partition = source->job.partition;
	message->job = source->job.job;
	message->attempt = source->job.attempt;
	message->sender = source->job.source;
	message->generation = source->job.source_generation;
	return message;
}

static void move(struct migration_source *source, struct migration_source_actions *actions,
		 enum migration_source_state state)
{
	state_machine_move(&source->machine, state, source);
	act(actions, SOURCE_DO_REPORT);
}

/* ---- what is known ---- */

static bool is_in(const struct migration_source *source, enum migration_source_state from,
		  enum migration_source_state to)
{
	return source->machine.state >= (uint32_t)from && source->machine.state <= (uint32_t)to;
}

/* Before COMMIT this node may still change its mind. */
static bool is_undecided(const struct migration_source *source)
{
	return is_in(source, SOURCE_CHECKING, SOURCE_FENCING_READS);
}

static bool is_copying(const struct migration_source *source)
{
	return is_in(source, SOURCE_COPYING, SOURCE_FENCED);
}

static uint64_t batches_under_way(const struct migration_source *source)
{
	return source->batch_made - source->batch_acked;
}

/* Whether the target owes an answer to FINAL or COMMIT. */
static bool is_awaiting(const struct migration_source *source)
{
	return source->machine.state == SOURCE_COMMITTING ||
	       (source->is_final_sent && !source->is_ready);
}

/* Something is sent for the first time, or the target has got on. */
static void restart(const struct migration_source *source, struct migration_retry *retry)
{
	retry->times = 0;
	retry->at_ms = source->now_ms + source->options->retry_ms;
}

/* Something has been sent again. */
static void back_off(const struct migration_source *source, struct migration_retry *retry)
{
	retry->times++;
	retry->at_ms =
		source->now_ms + migration_backoff_ms(source->options->retry_ms, retry->times,
						      source->options->retry_ms_max);
}

/* The latest epoch that this node itself gave the partition. */
static uint32_t epoch_known(const struct migration_source *source)
{
	return source->epoch_decided ? source->epoch_decided : source->job.epoch;
}

/* ---- ways out ---- */

static void unpark(struct migration_source *source, struct migration_source_actions *actions,
		   enum migration_source_action_kind kind)
{
	if (!source->is_parking)
		return;
	source->is_parking = false;
	act(actions, kind);
}

/* Writes and reads go on here. */
static void unfence(struct migration_source *source, struct migration_source_actions *actions)
{
	source->fence++;
	source->is_final_known = false;
	source->is_final_sent = false;
	source->is_ready = false;
	source->are_reads_fenced = false;
	source->is_parking = false;
	act(actions, SOURCE_DO_UNFENCE);
}

/* Ends an undecided attempt; the partition stays here. Tells the target unless it told us. */
static void abort_attempt(struct migration_source *source, struct migration_source_actions *actions,
			  enum migration_reason reason, bool is_told)
{
	source->outcome = SOURCE_ABORTED;
	source->reason = reason;
	if (sync_fence_is_up(source->fence))
		unfence(source, actions);
	if (is_told)
		send(source, actions, SYNC_ABORT)->reason = reason;
	move(source, actions, SOURCE_UNMARKING);
}

/* The target, or somebody after it, has the partition for good. */
static void settle(struct migration_source *source, struct migration_source_actions *actions)
{
	source->outcome = SOURCE_MIGRATED;
	source->reason = MIGRATION_NO_REASON;
	send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
	unpark(source, actions, SOURCE_DO_FORWARD_PARKED);
	move(source, actions, SOURCE_DROPPING);
}

/* Somebody took the partition at a higher epoch before this node gave it away. */
static void supersede(struct migration_source *source, struct migration_source_actions *actions,
		      uint64_t owner)
{
	if (!source->is_marked) {
		abort_attempt(source, actions, MIGRATION_SUPERSEDED, true);
		return;
	}
	source->outcome = SOURCE_SUPERSEDED;
	source->reason = MIGRATION_SUPERSEDED;
	if (owner == source->job.target)
		send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
	else
		send(source, actions, SYNC_ABORT)->reason = MIGRATION_SUPERSEDED;
	act(actions, SOURCE_DO_PUBLISH_MAP);
	unpark(source, actions, SOURCE_DO_FORWARD_PARKED);
	/* A worker may still answer from the local data until it has seen the map. */
	ask(source, actions, SOURCE_DO_BARRIER);
	move(source, actions, SOURCE_DROPPING);
}

/* This node owns the partition again, above the epoch it had given to the target. */
static void take_back(struct migration_source *source, struct migration_source_actions *actions,
		      uint32_t epoch)
{
	struct migration_source_action *action = act(actions, SOURCE_DO_RECORD_OWNER);

	action->owner = source->job.source;
	action->epoch = epoch;
	act(actions, SOURCE_DO_PUBLISH_MAP);
	source->outcome = SOURCE_RECLAIMED;
	source->reason = MIGRATION_LOST;
	unfence(source, actions);
	move(source, actions, SOURCE_UNMARKING);
}

/* ---- the copy ---- */

static bool may_scan(const struct migration_source *source)
{
	return source->machine.state == SOURCE_COPYING && !source->is_scanned &&
	       !source->is_scanning && batches_under_way(source) < source->options->window;
}

static void drive_scan(struct migration_source *source, struct migration_source_actions *actions)
{
	struct migration_source_action *action;

	if (!may_scan(source) || !token_bucket_is_open(&source->bytes, source->now_ms) ||
	    !token_bucket_is_open(&source->cpu, source->now_ms))
		return;
	source->is_scanning = true;
	action = ask(source, actions, SOURCE_DO_SCAN);
	action->batch = source->batch_made + 1;
	action->size = source->options->batch_size;
}

static void drive_deltas(struct migration_source *source, struct migration_source_actions *actions)
{
	if (!is_copying(source) || source->is_draining ||
	    source->delta_made == source->delta_available ||
	    source->block_count == source->options->window)
		return;
	source->is_draining = true;
	ask(source, actions, SOURCE_DO_DRAIN)->size = source->options->batch_size;
}

static void on_scanned(struct migration_source *source, struct migration_source_actions *actions,
		       const struct migration_source_event *event)
{
	source->is_scanning = false;
	source->is_scanned = event->is_done;
	token_bucket_spend(&source->cpu, event->cpu_us);
	if (event->items == 0 || source->machine.state != SOURCE_COPYING)
		return;
	if (batches_under_way(source) == 0)
		restart(source, &source->batch_retry);
	token_bucket_spend(&source->bytes, event->bytes);
	source->progress.items += event->items;
	source->progress.bytes += event->bytes;
	source->batch_made++;
	act(actions, SOURCE_DO_SEND_BATCH)->batch = source->batch_made;
}

static void send_block(struct migration_source_actions *actions,
		       const struct migration_block *block)
{
	struct migration_source_action *action = act(actions, SOURCE_DO_SEND_DELTAS);

	action->first = block->first;
	action->last = block->last;
}

static void on_drained(struct migration_source *source, struct migration_source_actions *actions,
		       const struct migration_source_event *event)
{
	struct migration_block *block;

	source->is_draining = false;
	if (event->last < event->first || !is_copying(source))
		return;
	assert(event->first == source->delta_made + 1);
	if (source->block_count == 0)
		restart(source, &source->delta_retry);
	/* What must be sent whatever the limit does not take from the scan's share, which would never end. */
	source->progress.deltas += event->last - event->first + 1;
	source->progress.bytes += event->bytes;
	block = &source->blocks[source->block_count++];
	block->first = event->first;
	block->last = event->last;
	source->delta_made = event->last;
	if (source->delta_available < event->last)
		source->delta_available = event->last;
	send_block(actions, block);
}

static void on_deltas(struct migration_source *source, uint64_t last)
{
	if (is_copying(source) && last > source->delta_available)
		source->delta_available = last;
}

/* ---- the end: FINAL, fences, COMMIT ---- */

static void ask_snapshot(struct migration_source *source, struct migration_source_actions *actions,
			 enum migration_source_action_kind kind)
{
	source->is_final_known = false;
	source->is_final_sent = false;
	source->is_ready = false;
	ask(source, actions, kind)->fence = source->fence;
}

static void on_snapshot(struct migration_source *source, struct migration_source_actions *actions,
			const struct migration_source_event *event)
{
	if (event->fence != source->fence || !is_in(source, SOURCE_VERIFYING, SOURCE_FENCING))
		return;
	if (!event->is_ok) {
		abort_attempt(source, actions, MIGRATION_DELTAS_LOST, true);
		return;
	}
	source->final = (struct sync_message){ .fence = event->fence,
					       .batch = source->batch_made,
					       .delta = event->last,
					       .items = event->items,
					       .digest = event->digest,
					       .version = event->version };
	source->is_final_known = true;
	on_deltas(source, event->last);
	if (source->machine.state == SOURCE_FENCING)
		move(source, actions, SOURCE_FENCED);
}

static void send_final(struct migration_source *source, struct migration_source_actions *actions)
{
	struct sync_message *message = send(source, actions, SYNC_FINAL);

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
	restart(source, &source->retry);
	send_final(source, actions);
}

static bool lags(const struct migration_source *source)
{
	return source->delta_available - source->delta_acked > source->options->lag_max;
}

/* When a fence may go up, NEVER when that is not a matter of time. */
static uint64_t fence_at_ms(const struct migration_source *source)
{
	uint64_t caught_up_ms = source->ready_at_ms + source->options->catch_up_ms_max;

	if (source->machine.state != SOURCE_VERIFYING || !source->is_ready ||
	    !source->sees_majority)
		return NEVER;
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
	move(source, actions, SOURCE_FENCING);
}

/* The bound has passed: serve, and try again later. The FINAL that follows voids the READY that the
 * target may have given for this fence: until it is answered no fence goes up again.
 */
static void give_up_fence(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->fences >= source->options->fences_max) {
		abort_attempt(source, actions, MIGRATION_CANNOT_PAUSE, true);
		return;
	}
	unfence(source, actions);
	source->fence_not_before_ms =
		source->now_ms + migration_backoff_ms(source->options->fence_pause_ms,
						      source->fences - 1, UINT32_MAX);
	ask_snapshot(source, actions, SOURCE_DO_SNAPSHOT);
	move(source, actions, SOURCE_VERIFYING);
}

static void send_commit(struct migration_source *source, struct migration_source_actions *actions)
{
	send(source, actions, SYNC_COMMIT)->epoch = source->epoch_decided;
}

/* The decision: recorded, then told. */
static void commit(struct migration_source *source, struct migration_source_actions *actions)
{
	struct migration_source_action *action = act(actions, SOURCE_DO_RECORD_OWNER);

	source->epoch_decided = source->job.epoch + 1;
	action->owner = source->job.target;
	action->epoch = source->epoch_decided;
	act(actions, SOURCE_DO_PUBLISH_MAP);
	restart(source, &source->retry);
	send_commit(source, actions);
	move(source, actions, SOURCE_COMMITTING);
}

/* ---- messages ---- */

static void on_ack(struct migration_source *source, struct migration_source_actions *actions,
		   const struct sync_message *message)
{
	uint32_t done = 0;

	if (message->batch > source->batch_made || message->delta > source->delta_made) {
		source->progress.refused++;
		return;
	}
	if (message->batch > source->batch_acked) {
		source->batch_acked = message->batch;
		act(actions, SOURCE_DO_RELEASE_BATCHES)->batch = message->batch;
		restart(source, &source->batch_retry);
	}
	while (done < source->block_count && source->blocks[done].last <= message->delta)
		done++;
	if (done == 0)
		return;
	source->delta_acked = source->blocks[done - 1].last;
	source->block_count -= done;
	memmove(source->blocks, source->blocks + done,
		source->block_count * sizeof(source->blocks[0]));
	act(actions, SOURCE_DO_RELEASE_DELTAS)->last = source->delta_acked;
	restart(source, &source->delta_retry);
}

static void on_ready(struct migration_source *source, const struct sync_message *message)
{
	if (message->fence != source->fence || !source->is_final_sent || source->is_ready)
		return;
	source->is_ready = true;
	source->ready_at_ms = source->now_ms;
	restart(source, &source->retry);
}

/* Drop nothing when what the target took over is not what was sent. */
static void on_committed(struct migration_source *source, struct migration_source_actions *actions,
			 const struct sync_message *message)
{
	if (source->machine.state != SOURCE_COMMITTING) {
		if (source->outcome == SOURCE_MIGRATED || source->outcome == SOURCE_SUPERSEDED)
			send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
		return;
	}
	if (message->epoch == source->epoch_decided && message->items == source->final.items &&
	    message->digest == source->final.digest) {
		settle(source, actions);
	} else {
		source->progress.refused++;
		source->reason = MIGRATION_MISMATCH;
		act(actions, SOURCE_DO_REPORT);
	}
}

static void on_abort(struct migration_source *source, struct migration_source_actions *actions,
		     const struct sync_message *message)
{
	if (is_undecided(source))
		abort_attempt(source, actions, message->reason, false);
	else if (source->machine.state == SOURCE_COMMITTING && message->reason == MIGRATION_LOST)
		take_back(source, actions, source->epoch_decided + 1);
}

/* Tells, or tells again, what the target may wait for. */
static void answer(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->machine.state == SOURCE_COMMITTING)
		send_commit(source, actions);
	else if (is_undecided(source) && source->is_final_sent)
		send_final(source, actions);
	else if (source->outcome == SOURCE_MIGRATED || source->outcome == SOURCE_SUPERSEDED)
		send(source, actions, SYNC_STATUS)->phase = SYNC_PHASE_SETTLED;
	else if (source->outcome != SOURCE_UNDECIDED)
		send(source, actions, SYNC_ABORT)->reason = source->reason;
	else
		send(source, actions, SYNC_STATUS)->phase = source->machine.state;
}

static void send_accept(struct migration_source *source, struct migration_source_actions *actions)
{
	struct sync_message *message = send(source, actions, SYNC_ACCEPT);

	message->items = source->progress.items_expected;
	message->item_bytes = source->progress.bytes_expected;
}

static void on_prepare(struct migration_source *source, struct migration_source_actions *actions)
{
	if (is_in(source, SOURCE_MARKING, SOURCE_FENCING_READS))
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
		on_ack(source, actions, message);
		break;
	case SYNC_READY:
		on_ready(source, message);
		break;
	case SYNC_COMMITTED:
		on_committed(source, actions, message);
		break;
	case SYNC_NOT_OWNER:
		if (source->machine.state == SOURCE_COMMITTING &&
		    message->epoch > source->epoch_decided)
			settle(source, actions);
		break;
	case SYNC_CANCEL:
		if (is_undecided(source))
			abort_attempt(source, actions, MIGRATION_CANCELLED, true);
		break;
	case SYNC_ABORT:
		on_abort(source, actions, message);
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
	if (peer != MIGRATION_PEER_ALIVE && is_undecided(source))
		abort_attempt(source, actions, MIGRATION_PEER_DEAD, true);
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
	    message->kind == SYNC_PREPARE && is_undecided(source)) {
		abort_attempt(source, actions, MIGRATION_RESTARTED, false);
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
		send(source, actions, SYNC_BUSY)->reason = MIGRATION_AT_CAPACITY;
		move(source, actions, SOURCE_UNMARKING);
		return;
	}
	source->progress.items_expected = event->items;
	source->progress.bytes_expected = event->bytes;
	send_accept(source, actions);
	act(actions, SOURCE_DO_MARK);
	source->is_marked = true;
	ask(source, actions, SOURCE_DO_BARRIER);
	move(source, actions, SOURCE_MARKING);
}

static void on_barrier_done(struct migration_source *source,
			    struct migration_source_actions *actions)
{
	if (source->machine.state != SOURCE_MARKING)
		return;
	restart(source, &source->retry);
	move(source, actions, SOURCE_COPYING);
}

/* Two claims may have the same epoch: the map then prefers one of them, everywhere the same. */
static bool is_news(const struct migration_source *source,
		    const struct migration_source_event *event)
{
	uint64_t owner = source->epoch_decided ? source->job.target : source->job.source;

	return event->epoch > epoch_known(source) ||
	       (event->epoch == epoch_known(source) && event->owner != owner);
}

static void on_owner(struct migration_source *source, struct migration_source_actions *actions,
		     const struct migration_source_event *event)
{
	if (!is_in(source, SOURCE_CHECKING, SOURCE_COMMITTING) || !is_news(source, event))
		return;
	if (source->machine.state == SOURCE_COMMITTING) {
		if (event->owner == source->job.source)
			take_back(source, actions, event->epoch);
		else
			settle(source, actions);
	} else if (event->owner == source->job.source) {
		abort_attempt(source, actions, MIGRATION_SUPERSEDED, true);
	} else {
		supersede(source, actions, event->owner);
	}
}

static void on_dropped(struct migration_source *source, struct migration_source_actions *actions,
		       bool is_done)
{
	if (is_done)
		move(source, actions, SOURCE_UNMARKING);
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
		on_scanned(source, actions, event);
		break;
	case SOURCE_ON_DRAINED:
		on_drained(source, actions, event);
		break;
	case SOURCE_ON_SNAPSHOT:
		on_snapshot(source, actions, event);
		break;
	case SOURCE_ON_READS_FENCED:
		if (source->machine.state == SOURCE_FENCING_READS && event->fence == source->fence)
			source->are_reads_fenced = true;
		break;
	case SOURCE_ON_DROPPED:
		on_dropped(source, actions, event->is_done);
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
		ask(source, actions, SOURCE_DO_CHECK_CAPACITY);
		break;
	case SOURCE_ON_MESSAGE:
		on_message(source, actions, event->message);
		break;
	case SOURCE_ON_DELTAS:
		on_deltas(source, event->last);
		break;
	case SOURCE_ON_DELTAS_LOST:
		if (is_undecided(source))
			abort_attempt(source, actions, MIGRATION_DELTAS_LOST, true);
		break;
	case SOURCE_ON_PEER:
		on_peer(source, actions, event->peer);
		break;
	case SOURCE_ON_OWNER:
		on_owner(source, actions, event);
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
		if (is_undecided(source))
			abort_attempt(source, actions, MIGRATION_CANCELLED, true);
		break;
	case SOURCE_ON_CLAIM:
		if (migration_source_can_be_claimed(source))
			take_back(source, actions, source->epoch_decided + 1);
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
			unpark(source, actions, SOURCE_DO_REFUSE_PARKED);
		else
			give_up_fence(source, actions);
	}
	if (is_undecided(source) &&
	    source->now_ms >= source->heard_at_ms + source->options->silence_ms_max)
		abort_attempt(source, actions, MIGRATION_PEER_SILENT, true);
}

static void drive_end(struct migration_source *source, struct migration_source_actions *actions)
{
	switch (source->machine.state) {
	case SOURCE_COPYING:
		if (!is_copied(source))
			break;
		ask_snapshot(source, actions, SOURCE_DO_SNAPSHOT);
		move(source, actions, SOURCE_VERIFYING);
		break;
	case SOURCE_VERIFYING:
		if (source->now_ms >= fence_at_ms(source))
			put_up_fence(source, actions);
		break;
	case SOURCE_FENCED:
		if (!source->is_ready)
			break;
		ask(source, actions, SOURCE_DO_FENCE_READS)->fence = source->fence;
		move(source, actions, SOURCE_FENCING_READS);
		break;
	case SOURCE_FENCING_READS:
		if (source->are_reads_fenced && source->sees_majority)
			commit(source, actions);
		break;
	default:
		break;
	}
}

static void drive_cleanup(struct migration_source *source, struct migration_source_actions *actions)
{
	if (source->outstanding > 0)
		return;
	if (source->machine.state == SOURCE_DROPPING) {
		ask(source, actions, SOURCE_DO_DROP_SLICE);
	} else if (source->machine.state == SOURCE_UNMARKING && !source->is_marked) {
		move(source, actions, SOURCE_DONE);
	} else if (source->machine.state == SOURCE_UNMARKING && !source->is_unmark_asked) {
		source->is_unmark_asked = true;
		ask(source, actions, SOURCE_DO_UNMARK);
	}
}

static bool has_retries(const struct migration_source *source)
{
	return is_in(source, SOURCE_COPYING, SOURCE_COMMITTING);
}

static bool resends_batches(const struct migration_source *source)
{
	return is_copying(source) && batches_under_way(source) > 0;
}

static bool resends_deltas(const struct migration_source *source)
{
	return is_copying(source) && source->block_count > 0;
}

static void resend_batches(struct migration_source *source,
			   struct migration_source_actions *actions)
{
	for (uint64_t batch = source->batch_acked + 1; batch <= source->batch_made; batch++)
		act(actions, SOURCE_DO_SEND_BATCH)->batch = batch;
	source->progress.resent += batches_under_way(source);
	back_off(source, &source->batch_retry);
}

static void resend_deltas(struct migration_source *source, struct migration_source_actions *actions)
{
	for (uint32_t i = 0; i < source->block_count; i++)
		send_block(actions, &source->blocks[i]);
	source->progress.resent += source->block_count;
	back_off(source, &source->delta_retry);
}

/* A target that waits for nothing hears all the same that its source lives. */
static void send_heartbeat(struct migration_source *source,
			   struct migration_source_actions *actions)
{
	struct sync_message *message = send(source, actions, SYNC_STATUS);

	message->phase = source->machine.state;
	message->is_question = true;
	source->retry.at_ms = source->now_ms + source->options->heartbeat_ms;
}

static void drive_retries(struct migration_source *source, struct migration_source_actions *actions)
{
	if (resends_batches(source) && source->now_ms >= source->batch_retry.at_ms)
		resend_batches(source, actions);
	if (resends_deltas(source) && source->now_ms >= source->delta_retry.at_ms)
		resend_deltas(source, actions);
	if (!has_retries(source) || source->now_ms < source->retry.at_ms)
		return;
	if (!is_awaiting(source)) {
		send_heartbeat(source, actions);
		return;
	}
	if (source->machine.state == SOURCE_COMMITTING)
		send_commit(source, actions);
	else
		send_final(source, actions);
	back_off(source, &source->retry);
}

/* Bounds first: what is late is not done any more. */
static void drive(struct migration_source *source, struct migration_source_actions *actions)
{
	drive_bounds(source, actions);
	drive_scan(source, actions);
	drive_deltas(source, actions);
	drive_end(source, actions);
	drive_final(source, actions);
	drive_retries(source, actions);
	drive_cleanup(source, actions);
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

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t scan_at_ms(const struct migration_source *source)
{
	uint64_t bytes_ms = token_bucket_open_at_ms(&source->bytes);
	uint64_t cpu_ms = token_bucket_open_at_ms(&source->cpu);

	if (!may_scan(source))
		return NEVER;
	return bytes_ms > cpu_ms ? bytes_ms : cpu_ms;
}

uint64_t migration_source_deadline_ms(const struct migration_source *source)
{
	uint64_t deadline_ms = earlier(scan_at_ms(source), fence_at_ms(source));

	if (resends_batches(source))
		deadline_ms = earlier(deadline_ms, source->batch_retry.at_ms);
	if (resends_deltas(source))
		deadline_ms = earlier(deadline_ms, source->delta_retry.at_ms);
	if (has_retries(source))
		deadline_ms = earlier(deadline_ms, source->retry.at_ms);
	if (source->is_parking)
		deadline_ms = earlier(deadline_ms, source->parking_until_ms);
	if (is_undecided(source))
		deadline_ms =
			earlier(deadline_ms, source->heard_at_ms + source->options->silence_ms_max);
	return deadline_ms;
}
