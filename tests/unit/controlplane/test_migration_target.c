/* SPDX-License-Identifier: BSD-3-Clause */
/* The target of a migration, step by step: what it takes, what it says, when it may act alone. */
#define STAGE_END target
#define STAGE_KIND TARGET
#define STAGE_PEER SOURCE_ID
#define STAGE_ATTEMPT 1
#include "tests/unit/controlplane/migration_stage.h"

/* ---- events ---- */

/* A batch of the scan, or 'count' deltas from 'first' on, of the present attempt. */
static void receive(struct stage *stage, enum sync_frame_kind kind, uint64_t first, uint32_t count)
{
	const struct sync_batch batch = { .kind = kind,
					  .job = job.job,
					  .attempt = stage->target.job.attempt,
					  .partition = job.partition,
					  .first = first,
					  .count = count };

	feed(stage, (struct migration_target_event){ .kind = TARGET_ON_BATCH, .batch = &batch });
}

/* The store has applied it: 'items' are staged, whose digest is ten times that. */
static void applied(struct stage *stage, enum sync_frame_kind kind, uint64_t last, uint64_t items)
{
	feed(stage, (struct migration_target_event){ .kind = TARGET_ON_APPLIED,
						     .is_ok = true,
						     .frame = kind,
						     .last = last,
						     .items = items,
						     .digest = 10 * items,
						     .version = items });
}

static void take_batch(struct stage *stage, uint64_t number, uint64_t items)
{
	receive(stage, SYNC_FRAME_BATCH, number, 1);
	applied(stage, SYNC_FRAME_BATCH, number, items);
}

static void take_delta(struct stage *stage, uint64_t sequence, uint64_t items)
{
	receive(stage, SYNC_FRAME_DELTA, sequence, 1);
	applied(stage, SYNC_FRAME_DELTA, sequence, items);
}

static void final(struct stage *stage, uint32_t fence, uint64_t batch, uint64_t delta,
		  uint64_t items)
{
	hear(stage, (struct sync_message){ .kind = SYNC_FINAL,
					   .fence = fence,
					   .batch = batch,
					   .delta = delta,
					   .items = items,
					   .digest = 10 * items,
					   .version = 500 });
}

static void hear_abort(struct stage *stage, enum migration_reason reason)
{
	hear(stage, (struct sync_message){ .kind = SYNC_ABORT, .reason = reason });
}

static void discarded(struct stage *stage, bool is_done)
{
	feed(stage,
	     (struct migration_target_event){ .kind = TARGET_ON_DISCARDED, .is_done = is_done });
}

/* ---- ways to a state ---- */

static void start(struct stage *stage)
{
	struct migration_options options;

	migration_options_default(&options);
	start_with(stage, &options);
}

static void staged(struct stage *stage)
{
	feed(stage, (struct migration_target_event){ .kind = TARGET_ON_STAGED, .is_ok = true });
}

static void reach(struct stage *stage, enum migration_target_state wanted)
{
	start(stage);
	if (wanted >= TARGET_PREPARING)
		staged(stage);
	if (wanted >= TARGET_RECEIVING)
		hear(stage, (struct sync_message){ .kind = SYNC_ACCEPT, .items = 3 });
	if (wanted >= TARGET_VERIFIED) {
		take_batch(stage, 1, 2);
		take_delta(stage, 1, 3);
		final(stage, 0, 1, 1, 3);
	}
	if (wanted >= TARGET_READY)
		final(stage, 1, 1, 1, 3);
	if (wanted >= TARGET_FINALIZING)
		hear(stage, (struct sync_message){ .kind = SYNC_COMMIT, .epoch = EPOCH + 1 });
	if (wanted >= TARGET_CONFIRMING)
		feed_kind(stage, TARGET_ON_FINALIZED);
	CU_ASSERT_EQUAL(state(stage), wanted);
}

static void reach_waiting(struct stage *stage)
{
	reach(stage, TARGET_RECEIVING);
	hear_abort(stage, MIGRATION_DELTAS_LOST);
	discarded(stage, true);
	CU_ASSERT_EQUAL(state(stage), TARGET_WAITING);
}

/* Answers what is outstanding until the job is over; nothing is left of it. */
static void check_failed(struct stage *stage, enum migration_reason reason)
{
	if (stage->target.outstanding > 0 && state(stage) == TARGET_DISCARDING &&
	    !has(stage, TARGET_DO_DISCARD_SLICE))
		staged(stage);
	if (state(stage) == TARGET_DISCARDING) {
		CU_ASSERT(has(stage, TARGET_DO_DISCARD_SLICE));
		discarded(stage, false);
		CU_ASSERT(has(stage, TARGET_DO_DISCARD_SLICE));
		discarded(stage, true);
	}
	CU_ASSERT(has(stage, TARGET_DO_UNMARK));
	CU_ASSERT_EQUAL(state(stage), TARGET_DONE);
	CU_ASSERT_EQUAL(stage->target.outcome, TARGET_FAILED);
	CU_ASSERT_EQUAL(stage->target.reason, reason);
	CU_ASSERT_EQUAL(migration_target_deadline_ms(&stage->target), UINT64_MAX);
}

/* ---- the way through ---- */

static void test_importing_is_announced_before_anything_else(void)
{
	struct stage stage;

	start(&stage);
	CU_ASSERT_EQUAL(find(&stage, TARGET_DO_MARK), 0);
	CU_ASSERT(has(&stage, TARGET_DO_STAGE));
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_SEND));
	staged(&stage);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_PREPARE)->epoch, EPOCH);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_PREPARE)->attempt, 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_PREPARE)->sender, TARGET_ID);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_PREPARE)->generation, 20);
}

static void test_acknowledged_is_what_was_applied(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	receive(&stage, SYNC_FRAME_BATCH, 1, 4);
	CU_ASSERT(has(&stage, TARGET_DO_APPLY));
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_ACK));
	applied(&stage, SYNC_FRAME_BATCH, 1, 4);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACK)->batch, 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACK)->delta, 0);
	receive(&stage, SYNC_FRAME_DELTA, 1, 3);
	applied(&stage, SYNC_FRAME_DELTA, 3, 5);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACK)->batch, 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACK)->delta, 3);
}

static void test_what_comes_twice_or_too_early_is_not_applied(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	take_batch(&stage, 1, 4);
	receive(&stage, SYNC_FRAME_BATCH, 1, 4);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_APPLY));
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACK)->batch, 1);
	receive(&stage, SYNC_FRAME_BATCH, 3, 4);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_APPLY));
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACK)->batch, 1);
	receive(&stage, SYNC_FRAME_DELTA, 2, 1);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_APPLY));
	CU_ASSERT_EQUAL(stage.target.progress.gaps, 2);
	/* The same while it is being applied. */
	receive(&stage, SYNC_FRAME_BATCH, 2, 1);
	receive(&stage, SYNC_FRAME_BATCH, 2, 1);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_APPLY));
	CU_ASSERT_EQUAL(stage.target.outstanding, 1);
}

static void test_a_flood_of_batches_is_bounded(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	for (uint64_t batch = 1; batch <= 2 * MIGRATION_TARGET_APPLY_MAX; batch++)
		receive(&stage, SYNC_FRAME_BATCH, batch, 1);
	CU_ASSERT_EQUAL(stage.target.outstanding, MIGRATION_TARGET_APPLY_MAX);
	CU_ASSERT_EQUAL(stage.target.batch_taken, MIGRATION_TARGET_APPLY_MAX);
}

static void test_ready_is_said_when_nothing_is_missing(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	final(&stage, 0, 2, 1, 3);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_READY));
	take_batch(&stage, 1, 1);
	take_delta(&stage, 1, 2);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_READY));
	receive(&stage, SYNC_FRAME_BATCH, 2, 1);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_READY));
	applied(&stage, SYNC_FRAME_BATCH, 2, 3);
	CU_ASSERT(has_sent(&stage, SYNC_READY));
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	/* Asked again, it answers again. */
	final(&stage, 0, 2, 1, 3);
	CU_ASSERT(has_sent(&stage, SYNC_READY));
}

/* Deltas beyond the FINAL have been applied: its digest is of the past. */
static void test_a_final_of_the_past_is_not_compared_unless_fenced(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	take_delta(&stage, 1, 1);
	take_delta(&stage, 2, 2);
	final(&stage, 0, 0, 1, 77);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	final(&stage, 1, 0, 1, 77);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_READY));
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
}

static void test_a_copy_that_differs_is_thrown_away_and_made_again(void)
{
	struct stage stage;

	for (uint32_t fence = 0; fence <= 1; fence++) {
		reach(&stage, TARGET_RECEIVING);
		take_batch(&stage, 1, 2);
		final(&stage, fence, 1, 0, 3);
		CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_MISMATCH);
		CU_ASSERT_EQUAL(state(&stage), TARGET_DISCARDING);
		discarded(&stage, true);
		CU_ASSERT_EQUAL(state(&stage), TARGET_WAITING);
	}
	/* A version above the source's highest is wrong as well. */
	reach(&stage, TARGET_RECEIVING);
	receive(&stage, SYNC_FRAME_BATCH, 1, 1);
	feed(&stage, (struct migration_target_event){ .kind = TARGET_ON_APPLIED,
						      .is_ok = true,
						      .frame = SYNC_FRAME_BATCH,
						      .last = 1,
						      .items = 1,
						      .digest = 10,
						      .version = 501 });
	final(&stage, 0, 1, 0, 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_MISMATCH);
}

static void test_commit_is_taken_when_ready_and_only_then(void)
{
	struct stage stage;

	for (uint32_t i = TARGET_OPENING; i <= TARGET_VERIFIED; i++) {
		reach(&stage, (enum migration_target_state)i);
		hear(&stage, (struct sync_message){ .kind = SYNC_COMMIT, .epoch = EPOCH + 1 });
		CU_ASSERT_EQUAL(state(&stage), i);
	}
	reach(&stage, TARGET_READY);
	hear(&stage, (struct sync_message){ .kind = SYNC_COMMIT, .epoch = EPOCH + 2 });
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	hear(&stage, (struct sync_message){ .kind = SYNC_COMMIT, .epoch = EPOCH + 1 });
	CU_ASSERT_EQUAL(action(&stage, TARGET_DO_FINALIZE)->epoch, EPOCH + 1);
	CU_ASSERT_EQUAL(action(&stage, TARGET_DO_FINALIZE)->version, 500);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_PUBLISH_MAP));
	feed_kind(&stage, TARGET_ON_FINALIZED);
	CU_ASSERT_FALSE(action(&stage, TARGET_DO_RECORD_OWNER)->is_claim);
	CU_ASSERT_EQUAL(action(&stage, TARGET_DO_RECORD_OWNER)->epoch, EPOCH + 1);
	CU_ASSERT(find(&stage, TARGET_DO_RECORD_OWNER) < find(&stage, TARGET_DO_PUBLISH_MAP));
	CU_ASSERT(has(&stage, TARGET_DO_UNMARK));
	CU_ASSERT_EQUAL(sent(&stage, SYNC_COMMITTED)->epoch, EPOCH + 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_COMMITTED)->items, 3);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_COMMITTED)->digest, 30);
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_MIGRATED);
}

static void test_committed_is_repeated_until_the_source_has_it(void)
{
	struct stage stage;

	reach(&stage, TARGET_CONFIRMING);
	for (uint32_t i = 0; i < 100; i++) {
		stage.now_ms = migration_target_deadline_ms(&stage.target);
		feed_kind(&stage, TARGET_ON_TIMER);
		CU_ASSERT(has_sent(&stage, SYNC_COMMITTED));
	}
	hear(&stage, (struct sync_message){ .kind = SYNC_COMMIT, .epoch = EPOCH + 1 });
	CU_ASSERT(has_sent(&stage, SYNC_COMMITTED));
	hear_abort(&stage, MIGRATION_UNKNOWN_JOB);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	CU_ASSERT_EQUAL(state(&stage), TARGET_CONFIRMING);
	hear(&stage, (struct sync_message){ .kind = SYNC_STATUS, .phase = SYNC_PHASE_SETTLED });
	CU_ASSERT_EQUAL(state(&stage), TARGET_DONE);
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_MIGRATED);
}

/* The source's life is over: it asks no more. */
static void test_a_source_that_is_gone_needs_no_confirmation(void)
{
	struct stage stage;

	reach(&stage, TARGET_CONFIRMING);
	peer(&stage, MIGRATION_PEER_GONE);
	CU_ASSERT_EQUAL(state(&stage), TARGET_DONE);
	reach(&stage, TARGET_FINALIZING);
	peer(&stage, MIGRATION_PEER_GONE);
	feed_kind(&stage, TARGET_ON_FINALIZED);
	CU_ASSERT_EQUAL(state(&stage), TARGET_DONE);
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_MIGRATED);
}

/* ---- PREPARE ---- */

static void test_busy_is_asked_again_until_patience_ends(void)
{
	struct stage stage;
	uint32_t asked = 0;

	reach(&stage, TARGET_PREPARING);
	hear(&stage, (struct sync_message){ .kind = SYNC_BUSY, .reason = MIGRATION_AT_CAPACITY });
	CU_ASSERT_EQUAL(stage.target.reason, MIGRATION_AT_CAPACITY);
	while (state(&stage) == TARGET_PREPARING) {
		stage.now_ms = migration_target_deadline_ms(&stage.target);
		feed_kind(&stage, TARGET_ON_TIMER);
		asked += has_sent(&stage, SYNC_PREPARE);
	}
	CU_ASSERT(asked >= 8);
	CU_ASSERT_EQUAL(stage.now_ms, 1000 + stage.options.prepare_ms_max);
	check_failed(&stage, MIGRATION_AT_CAPACITY);
}

static void test_an_owner_nobody_told_of_is_learned(void)
{
	struct stage stage;

	reach(&stage, TARGET_PREPARING);
	hear(&stage,
	     (struct sync_message){ .kind = SYNC_NOT_OWNER, .owner = 3, .epoch = EPOCH + 4 });
	CU_ASSERT_EQUAL(action(&stage, TARGET_DO_RECORD_OWNER)->owner, 3);
	CU_ASSERT_EQUAL(action(&stage, TARGET_DO_RECORD_OWNER)->epoch, EPOCH + 4);
	owner(&stage, 3, EPOCH + 4);
	check_failed(&stage, MIGRATION_SUPERSEDED);
	/* A source that does not know yet that it is the owner is asked again. */
	reach(&stage, TARGET_PREPARING);
	hear(&stage, (struct sync_message){ .kind = SYNC_NOT_OWNER, .owner = 3, .epoch = EPOCH });
	CU_ASSERT_EQUAL(state(&stage), TARGET_PREPARING);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_RECORD_OWNER));
}

/* ---- attempts ---- */

static void test_a_transient_failure_leads_to_another_attempt(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	take_batch(&stage, 1, 5);
	hear_abort(&stage, MIGRATION_DELTAS_LOST);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_ABORT));
	discarded(&stage, true);
	CU_ASSERT_EQUAL(state(&stage), TARGET_WAITING);
	CU_ASSERT(stage.target.is_marked);
	pass_ms(&stage, stage.options.attempt_pause_ms - 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_WAITING);
	pass_ms(&stage, 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_OPENING);
	CU_ASSERT(has(&stage, TARGET_DO_STAGE));
	staged(&stage);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_PREPARE)->attempt, 2);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_PREPARE)->job, job.job);
	CU_ASSERT_EQUAL(stage.target.batch_applied, 0);
}

static void test_attempts_are_bounded(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	for (uint32_t attempt = 1; attempt < stage.options.attempts_max; attempt++) {
		hear_abort(&stage, MIGRATION_DELTAS_LOST);
		discarded(&stage, true);
		pass_ms(&stage, 100000);
		staged(&stage);
		hear(&stage, (struct sync_message){ .kind = SYNC_ACCEPT });
		CU_ASSERT_EQUAL(state(&stage), TARGET_RECEIVING);
	}
	hear_abort(&stage, MIGRATION_DELTAS_LOST);
	check_failed(&stage, MIGRATION_DELTAS_LOST);
}

static void test_old_attempts_and_strangers_are_refused(void)
{
	struct stage stage;
	const struct sync_batch old = { .kind = SYNC_FRAME_BATCH,
					.job = 99,
					.attempt = 1,
					.partition = 5,
					.first = 1,
					.count = 1 };

	reach_waiting(&stage);
	pass_ms(&stage, 1000);
	staged(&stage);
	hear(&stage, (struct sync_message){ .kind = SYNC_ACCEPT, .attempt = 1 });
	CU_ASSERT_EQUAL(state(&stage), TARGET_PREPARING);
	hear(&stage, (struct sync_message){ .kind = SYNC_ACCEPT, .sender = 3 });
	hear(&stage, (struct sync_message){ .kind = SYNC_ACCEPT, .job = 98 });
	hear(&stage, (struct sync_message){ .kind = SYNC_ACCEPT, .generation = 9 });
	CU_ASSERT_EQUAL(state(&stage), TARGET_PREPARING);
	CU_ASSERT_EQUAL(stage.target.progress.refused, 4);
	hear(&stage, (struct sync_message){ .kind = SYNC_ACCEPT });
	feed(&stage, (struct migration_target_event){ .kind = TARGET_ON_BATCH, .batch = &old });
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_APPLY));
	CU_ASSERT_EQUAL(stage.target.batch_taken, 0);
	CU_ASSERT_EQUAL(stage.target.progress.refused, 5);
}

static void test_silence_ends_an_attempt_before_ready(void)
{
	static const enum migration_target_state states[] = { TARGET_RECEIVING, TARGET_VERIFIED };
	struct stage stage;

	for (uint32_t i = 0; i < 2; i++) {
		reach(&stage, states[i]);
		pass_ms(&stage, stage.options.silence_ms_max - 1);
		hear(&stage, (struct sync_message){ .kind = SYNC_STATUS, .is_question = true });
		CU_ASSERT(has_sent(&stage, SYNC_ACK));
		pass_ms(&stage, stage.options.silence_ms_max - 1);
		CU_ASSERT_EQUAL(state(&stage), states[i]);
		pass_ms(&stage, 1);
		CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_PEER_SILENT);
		CU_ASSERT_EQUAL(state(&stage), TARGET_DISCARDING);
	}
}

static void test_no_memory_is_said_and_final(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	receive(&stage, SYNC_FRAME_BATCH, 1, 1);
	feed(&stage, (struct migration_target_event){
			     .kind = TARGET_ON_APPLIED, .frame = SYNC_FRAME_BATCH, .last = 1 });
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_OUT_OF_MEMORY);
	check_failed(&stage, MIGRATION_OUT_OF_MEMORY);
	start(&stage);
	feed(&stage, (struct migration_target_event){ .kind = TARGET_ON_STAGED });
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_SEND));
	check_failed(&stage, MIGRATION_OUT_OF_MEMORY);
}

static void test_nothing_is_discarded_while_batches_are_being_applied(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	receive(&stage, SYNC_FRAME_BATCH, 1, 1);
	receive(&stage, SYNC_FRAME_BATCH, 2, 1);
	hear_abort(&stage, MIGRATION_CANCELLED);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_DISCARD_SLICE));
	applied(&stage, SYNC_FRAME_BATCH, 1, 1);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_DISCARD_SLICE));
	applied(&stage, SYNC_FRAME_BATCH, 2, 2);
	CU_ASSERT(has(&stage, TARGET_DO_DISCARD_SLICE));
	check_failed(&stage, MIGRATION_CANCELLED);
}

static void test_cancel_in_every_state(void)
{
	struct stage stage;

	for (uint32_t i = TARGET_OPENING; i <= TARGET_VERIFIED; i++) {
		reach(&stage, (enum migration_target_state)i);
		feed_kind(&stage, TARGET_ON_CANCEL);
		CU_ASSERT_EQUAL(has_sent(&stage, SYNC_ABORT), i >= TARGET_PREPARING);
		check_failed(&stage, MIGRATION_CANCELLED);
	}
	reach_waiting(&stage);
	feed_kind(&stage, TARGET_ON_CANCEL);
	check_failed(&stage, MIGRATION_CANCELLED);
	/* During the clean-up: no further attempt. */
	reach(&stage, TARGET_RECEIVING);
	hear_abort(&stage, MIGRATION_DELTAS_LOST);
	feed_kind(&stage, TARGET_ON_CANCEL);
	discarded(&stage, true);
	CU_ASSERT_EQUAL(state(&stage), TARGET_DONE);
	/* Too late. */
	reach(&stage, TARGET_FINALIZING);
	feed_kind(&stage, TARGET_ON_CANCEL);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	reach(&stage, TARGET_CONFIRMING);
	feed_kind(&stage, TARGET_ON_CANCEL);
	CU_ASSERT_EQUAL(state(&stage), TARGET_CONFIRMING);
}

/* ---- READY: the source alone decides ---- */

static void test_ready_waits_and_asks_for_ever(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	for (uint32_t i = 0; i < 1000; i++) {
		stage.now_ms = migration_target_deadline_ms(&stage.target);
		feed_kind(&stage, TARGET_ON_TIMER);
		CU_ASSERT(sent(&stage, SYNC_STATUS)->is_question);
	}
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	/* The operator's wish is passed on, again and again. */
	feed_kind(&stage, TARGET_ON_CANCEL);
	CU_ASSERT(has_sent(&stage, SYNC_CANCEL));
	stage.now_ms = migration_target_deadline_ms(&stage.target);
	feed_kind(&stage, TARGET_ON_TIMER);
	CU_ASSERT(has_sent(&stage, SYNC_CANCEL));
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	hear_abort(&stage, MIGRATION_CANCELLED);
	check_failed(&stage, MIGRATION_CANCELLED);
}

static void test_ready_is_void_when_the_fence_comes_down(void)
{
	struct stage stage;

	/* By the next FINAL. */
	reach(&stage, TARGET_READY);
	final(&stage, 2, 1, 2, 4);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_READY));
	take_delta(&stage, 2, 4);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_READY)->fence, 2);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	/* An old one changes nothing. */
	final(&stage, 1, 1, 1, 3);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	CU_ASSERT_EQUAL(stage.target.final.fence, 2);
	/* By a write that came after it. */
	reach(&stage, TARGET_READY);
	receive(&stage, SYNC_FRAME_DELTA, 2, 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	CU_ASSERT(has(&stage, TARGET_DO_APPLY));
	/* Not by an old delta. */
	reach(&stage, TARGET_READY);
	receive(&stage, SYNC_FRAME_DELTA, 1, 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
}

static void test_the_map_may_bring_the_commit(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	owner(&stage, TARGET_ID, EPOCH + 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	feed_kind(&stage, TARGET_ON_FINALIZED);
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_MIGRATED);
}

/* The source decides behind a READY only: what the map says before was an earlier life's. */
static void test_what_an_earlier_life_owned_is_not_taken_with_an_older_copy(void)
{
	static const enum migration_target_state states[] = { TARGET_PREPARING, TARGET_RECEIVING,
							      TARGET_VERIFIED };
	struct stage stage;

	for (uint32_t i = 0; i < 3; i++) {
		reach(&stage, states[i]);
		owner(&stage, TARGET_ID, EPOCH + 1);
		check_failed(&stage, MIGRATION_SUPERSEDED);
	}
}

/* ---- claims ---- */

static void test_a_claim_needs_ready_a_dead_source_a_majority_and_time(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	CU_ASSERT_FALSE(migration_target_may_claim(&stage.target));
	pass_ms(&stage, stage.options.claim_ms - 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	pass_ms(&stage, 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	CU_ASSERT_EQUAL(action(&stage, TARGET_DO_FINALIZE)->epoch, EPOCH + 1);
}

static void test_a_claim_is_served_once_a_majority_knows(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	pass_ms(&stage, stage.options.claim_ms);
	feed_kind(&stage, TARGET_ON_FINALIZED);
	CU_ASSERT(action(&stage, TARGET_DO_RECORD_OWNER)->is_claim);
	CU_ASSERT(has(&stage, TARGET_DO_ANNOUNCE));
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_PUBLISH_MAP));
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	feed_kind(&stage, TARGET_ON_ANNOUNCED);
	CU_ASSERT(has(&stage, TARGET_DO_PUBLISH_MAP));
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_CLAIMED);
	CU_ASSERT_EQUAL(state(&stage), TARGET_CONFIRMING);
}

static void test_a_claim_that_came_too_late_is_dropped(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	pass_ms(&stage, stage.options.claim_ms);
	feed_kind(&stage, TARGET_ON_FINALIZED);
	owner(&stage, 3, EPOCH + 1);
	feed_kind(&stage, TARGET_ON_ANNOUNCED);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_COMMITTED));
	check_failed(&stage, MIGRATION_SUPERSEDED);
}

static void test_the_clock_of_a_claim_starts_with_the_majority(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	majority(&stage, false);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	pass_ms(&stage, 10 * stage.options.claim_ms);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	majority(&stage, true);
	pass_ms(&stage, stage.options.claim_ms - 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	/* The source is back: no claim, and the clock starts anew. */
	peer(&stage, MIGRATION_PEER_ALIVE);
	pass_ms(&stage, stage.options.claim_ms);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	pass_ms(&stage, stage.options.claim_ms - 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	pass_ms(&stage, 1);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
}

static void test_a_source_that_is_gone_for_certain_is_succeeded_at_once(void)
{
	struct stage stage;

	reach(&stage, TARGET_READY);
	peer(&stage, MIGRATION_PEER_GONE);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	reach(&stage, TARGET_VERIFIED);
	peer(&stage, MIGRATION_PEER_GONE);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	/* As a message of its next life tells, whatever it says. */
	reach(&stage, TARGET_READY);
	hear(&stage, (struct sync_message){ .kind = SYNC_ABORT,
					    .reason = MIGRATION_UNKNOWN_JOB,
					    .generation = 11 });
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
	/* Not without a majority. */
	reach(&stage, TARGET_READY);
	majority(&stage, false);
	peer(&stage, MIGRATION_PEER_GONE);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
	majority(&stage, true);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
}

static void test_writes_that_a_source_that_is_gone_kept_are_not_waited_for(void)
{
	struct stage stage;

	/* It put up its fence behind writes that it did not live to send. */
	reach(&stage, TARGET_VERIFIED);
	final(&stage, 1, 1, 2, 3);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	pass_ms(&stage, 10 * stage.options.claim_ms);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	peer(&stage, MIGRATION_PEER_GONE);
	CU_ASSERT_EQUAL(state(&stage), TARGET_FINALIZING);
}

static void test_a_source_that_dies_before_ready_takes_the_job_along(void)
{
	struct stage stage;

	for (uint32_t i = TARGET_OPENING; i <= TARGET_RECEIVING; i++) {
		reach(&stage, (enum migration_target_state)i);
		peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
		check_failed(&stage, MIGRATION_PEER_DEAD);
		reach(&stage, (enum migration_target_state)i);
		peer(&stage, MIGRATION_PEER_GONE);
		check_failed(&stage, MIGRATION_PEER_DEAD);
	}
	reach_waiting(&stage);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	check_failed(&stage, MIGRATION_PEER_DEAD);
}

static void test_what_is_verified_waits_for_the_operator(void)
{
	struct stage stage;

	reach(&stage, TARGET_VERIFIED);
	CU_ASSERT_FALSE(migration_target_can_be_claimed(&stage.target));
	feed_kind(&stage, TARGET_ON_CLAIM);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	pass_ms(&stage, 100 * stage.options.silence_ms_max);
	CU_ASSERT_EQUAL(state(&stage), TARGET_VERIFIED);
	CU_ASSERT_EQUAL(stage.target.reason, MIGRATION_PEER_DEAD);
	CU_ASSERT(migration_target_can_be_claimed(&stage.target));
	feed_kind(&stage, TARGET_ON_CLAIM);
	feed_kind(&stage, TARGET_ON_FINALIZED);
	/* No majority is asked: the operator answers for it. */
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_ANNOUNCE));
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_CLAIMED);
	/* Or for the source, which comes back. */
	reach(&stage, TARGET_VERIFIED);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	peer(&stage, MIGRATION_PEER_ALIVE);
	CU_ASSERT_EQUAL(stage.target.reason, MIGRATION_NO_REASON);
	final(&stage, 1, 1, 1, 3);
	CU_ASSERT_EQUAL(state(&stage), TARGET_READY);
}

static void test_a_claim_of_part_of_it_waits_for_what_is_being_applied(void)
{
	struct stage stage;

	reach(&stage, TARGET_VERIFIED);
	receive(&stage, SYNC_FRAME_DELTA, 2, 1);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	feed_kind(&stage, TARGET_ON_CLAIM);
	CU_ASSERT_FALSE(has(&stage, TARGET_DO_FINALIZE));
	applied(&stage, SYNC_FRAME_DELTA, 2, 4);
	CU_ASSERT(has(&stage, TARGET_DO_FINALIZE));
	feed_kind(&stage, TARGET_ON_FINALIZED);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_COMMITTED)->items, 4);
}

static void test_a_higher_epoch_of_others_ends_every_state(void)
{
	struct stage stage;

	for (uint32_t i = TARGET_OPENING; i <= TARGET_READY; i++) {
		reach(&stage, (enum migration_target_state)i);
		owner(&stage, 3, EPOCH);
		CU_ASSERT_EQUAL(state(&stage), i);
		owner(&stage, 3, EPOCH + 1);
		check_failed(&stage, MIGRATION_SUPERSEDED);
	}
	reach(&stage, TARGET_FINALIZING);
	owner(&stage, 3, EPOCH + 2);
	feed_kind(&stage, TARGET_ON_FINALIZED);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_COMMITTED));
	check_failed(&stage, MIGRATION_SUPERSEDED);
	/* It serves already: not before the workers have seen the map. */
	reach(&stage, TARGET_CONFIRMING);
	owner(&stage, 3, EPOCH + 2);
	CU_ASSERT(find(&stage, TARGET_DO_PUBLISH_MAP) >= 0);
	CU_ASSERT(find(&stage, TARGET_DO_PUBLISH_MAP) < find(&stage, TARGET_DO_DISCARD_SLICE));
	discarded(&stage, true);
	CU_ASSERT_EQUAL(state(&stage), TARGET_DONE);
	CU_ASSERT_EQUAL(stage.target.outcome, TARGET_FAILED);
}

static void test_a_new_connection_asks_at_once(void)
{
	struct stage stage;

	reach(&stage, TARGET_PREPARING);
	feed_kind(&stage, TARGET_ON_CONNECTED);
	CU_ASSERT(has_sent(&stage, SYNC_PREPARE));
	reach(&stage, TARGET_RECEIVING);
	feed_kind(&stage, TARGET_ON_CONNECTED);
	CU_ASSERT(has_sent(&stage, SYNC_ACK));
	reach(&stage, TARGET_READY);
	feed_kind(&stage, TARGET_ON_CONNECTED);
	CU_ASSERT(sent(&stage, SYNC_STATUS)->is_question);
	reach(&stage, TARGET_CONFIRMING);
	feed_kind(&stage, TARGET_ON_CONNECTED);
	CU_ASSERT(has_sent(&stage, SYNC_COMMITTED));
}

static void test_a_question_is_answered_in_every_state(void)
{
	const struct sync_message question = { .kind = SYNC_STATUS, .is_question = true };
	struct stage stage;

	reach(&stage, TARGET_PREPARING);
	hear(&stage, question);
	CU_ASSERT(has_sent(&stage, SYNC_PREPARE));
	reach(&stage, TARGET_VERIFIED);
	hear(&stage, question);
	CU_ASSERT(has_sent(&stage, SYNC_ACK) && has_sent(&stage, SYNC_READY));
	reach(&stage, TARGET_CONFIRMING);
	hear(&stage, question);
	CU_ASSERT(has_sent(&stage, SYNC_COMMITTED));
	reach(&stage, TARGET_RECEIVING);
	feed_kind(&stage, TARGET_ON_CANCEL);
	hear(&stage, question);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_CANCELLED);
}

/* ---- the table and the invariant ---- */

static void test_the_invariant_sees_what_is_wrong(void)
{
	struct stage stage;

	reach(&stage, TARGET_RECEIVING);
	stage.target.is_marked = false;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
	reach(&stage, TARGET_READY);
	stage.target.digest++;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
	reach(&stage, TARGET_READY);
	stage.target.outstanding = 1;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
	reach(&stage, TARGET_READY);
	stage.target.final.fence = 2;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
	reach(&stage, TARGET_CONFIRMING);
	stage.target.epoch_taken = EPOCH;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
	reach(&stage, TARGET_RECEIVING);
	stage.target.batch_applied = 1;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
	reach_waiting(&stage);
	stage.target.is_staged = true;
	CU_ASSERT_FALSE(migration_target_is_sound(&stage.target));
}

#define TO(state) STATE_MACHINE_TO(TARGET_##state)

static void test_the_table_allows_what_the_drawing_shows(void)
{
	static const uint32_t drawn[TARGET_STATE_COUNT] = {
		[TARGET_OPENING] = TO(PREPARING) | TO(DISCARDING),
		[TARGET_PREPARING] = TO(RECEIVING) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_RECEIVING] = TO(VERIFIED) | TO(READY) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_VERIFIED] = TO(READY) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_READY] = TO(VERIFIED) | TO(FINALIZING) | TO(DISCARDING),
		[TARGET_FINALIZING] = TO(CONFIRMING) | TO(DISCARDING),
		[TARGET_CONFIRMING] = TO(DISCARDING) | TO(DONE),
		[TARGET_DISCARDING] = TO(WAITING) | TO(DONE),
		[TARGET_WAITING] = TO(OPENING) | TO(DONE),
	};
	struct stage stage;

	start(&stage);
	for (uint32_t from = 0; from < TARGET_STATE_COUNT; from++)
		CU_ASSERT_EQUAL(stage.target.machine.kind->allowed[from], drawn[from]);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_importing_is_announced_before_anything_else),
		UNIT_TEST(test_acknowledged_is_what_was_applied),
		UNIT_TEST(test_what_comes_twice_or_too_early_is_not_applied),
		UNIT_TEST(test_a_flood_of_batches_is_bounded),
		UNIT_TEST(test_ready_is_said_when_nothing_is_missing),
		UNIT_TEST(test_a_final_of_the_past_is_not_compared_unless_fenced),
		UNIT_TEST(test_a_copy_that_differs_is_thrown_away_and_made_again),
		UNIT_TEST(test_commit_is_taken_when_ready_and_only_then),
		UNIT_TEST(test_committed_is_repeated_until_the_source_has_it),
		UNIT_TEST(test_a_source_that_is_gone_needs_no_confirmation),
		UNIT_TEST(test_busy_is_asked_again_until_patience_ends),
		UNIT_TEST(test_an_owner_nobody_told_of_is_learned),
		UNIT_TEST(test_a_transient_failure_leads_to_another_attempt),
		UNIT_TEST(test_attempts_are_bounded),
		UNIT_TEST(test_old_attempts_and_strangers_are_refused),
		UNIT_TEST(test_silence_ends_an_attempt_before_ready),
		UNIT_TEST(test_no_memory_is_said_and_final),
		UNIT_TEST(test_nothing_is_discarded_while_batches_are_being_applied),
		UNIT_TEST(test_cancel_in_every_state),
		UNIT_TEST(test_ready_waits_and_asks_for_ever),
		UNIT_TEST(test_ready_is_void_when_the_fence_comes_down),
		UNIT_TEST(test_the_map_may_bring_the_commit),
		UNIT_TEST(test_what_an_earlier_life_owned_is_not_taken_with_an_older_copy),
		UNIT_TEST(test_a_claim_needs_ready_a_dead_source_a_majority_and_time),
		UNIT_TEST(test_a_claim_is_served_once_a_majority_knows),
		UNIT_TEST(test_a_claim_that_came_too_late_is_dropped),
		UNIT_TEST(test_the_clock_of_a_claim_starts_with_the_majority),
		UNIT_TEST(test_a_source_that_is_gone_for_certain_is_succeeded_at_once),
		UNIT_TEST(test_writes_that_a_source_that_is_gone_kept_are_not_waited_for),
		UNIT_TEST(test_a_source_that_dies_before_ready_takes_the_job_along),
		UNIT_TEST(test_what_is_verified_waits_for_the_operator),
		UNIT_TEST(test_a_claim_of_part_of_it_waits_for_what_is_being_applied),
		UNIT_TEST(test_a_higher_epoch_of_others_ends_every_state),
		UNIT_TEST(test_a_new_connection_asks_at_once),
		UNIT_TEST(test_a_question_is_answered_in_every_state),
		UNIT_TEST(test_the_invariant_sees_what_is_wrong),
		UNIT_TEST(test_the_table_allows_what_the_drawing_shows),
		{ NULL, NULL },
	};

	return unit_run("migration_target", tests);
}
