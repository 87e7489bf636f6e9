/* SPDX-License-Identifier: BSD-3-Clause */
/* The source of a migration, step by step: what it asks for in each state, and what it never does. */
#define STAGE_END source
#define STAGE_KIND SOURCE
#define STAGE_PEER TARGET_ID
#define STAGE_ATTEMPT 2
#include "tests/unit/controlplane/migration_stage.h"

/* ---- events ---- */

static void scanned(struct stage *stage, uint64_t items, uint64_t bytes, bool is_done)
{
	feed(stage, (struct migration_source_event){ .kind = SOURCE_ON_SCANNED,
						     .items = items,
						     .bytes = bytes,
						     .is_done = is_done });
}

static void drained(struct stage *stage, uint64_t first, uint64_t last)
{
	feed(stage, (struct migration_source_event){
			    .kind = SOURCE_ON_DRAINED, .first = first, .last = last, .bytes = 10 });
}

static void snapshot(struct stage *stage, uint32_t fence, uint64_t last)
{
	feed(stage, (struct migration_source_event){ .kind = SOURCE_ON_SNAPSHOT,
						     .is_ok = true,
						     .fence = fence,
						     .last = last,
						     .items = 3,
						     .digest = 33,
						     .version = 333 });
}

static void acked(struct stage *stage, uint64_t batch, uint64_t delta)
{
	hear(stage, (struct sync_message){ .kind = SYNC_ACK, .batch = batch, .delta = delta });
}

static void ready(struct stage *stage, uint32_t fence)
{
	hear(stage, (struct sync_message){ .kind = SYNC_READY, .fence = fence });
}

/* ---- ways to a state ---- */

static void start(struct stage *stage)
{
	struct migration_options options;

	migration_options_default(&options);
	options.window = 3;
	start_with(stage, &options);
}

static void grant(struct stage *stage)
{
	feed(stage, (struct migration_source_event){
			    .kind = SOURCE_ON_CAPACITY, .is_ok = true, .items = 30, .bytes = 300 });
}

static void copy(struct stage *stage)
{
	grant(stage);
	feed_kind(stage, SOURCE_ON_BARRIER_DONE);
}

/* One batch, one delta; both acknowledged. */
static void verify(struct stage *stage)
{
	copy(stage);
	scanned(stage, 3, 100, true);
	feed(stage, (struct migration_source_event){ .kind = SOURCE_ON_DELTAS, .last = 1 });
	drained(stage, 1, 1);
	acked(stage, 1, 1);
}

static void put_up_fence(struct stage *stage)
{
	verify(stage);
	snapshot(stage, 0, 1);
	ready(stage, 0);
}

static void reach(struct stage *stage, enum migration_source_state wanted)
{
	start(stage);
	if (wanted == SOURCE_MARKING)
		grant(stage);
	if (wanted == SOURCE_COPYING)
		copy(stage);
	if (wanted == SOURCE_VERIFYING)
		verify(stage);
	if (wanted >= SOURCE_FENCING)
		put_up_fence(stage);
	if (wanted >= SOURCE_FENCED)
		snapshot(stage, 1, 1);
	if (wanted >= SOURCE_FENCING_READS)
		ready(stage, 1);
	if (wanted >= SOURCE_COMMITTING)
		feed(stage,
		     (struct migration_source_event){ .kind = SOURCE_ON_READS_FENCED, .fence = 1 });
	if (wanted >= SOURCE_DROPPING)
		hear(stage, (struct sync_message){ .kind = SYNC_COMMITTED,
						   .epoch = EPOCH + 1,
						   .items = 3,
						   .digest = 33 });
	CU_ASSERT_EQUAL(state(stage), wanted);
}

/* Answers what is outstanding, until the job is over. */
static void finish(struct stage *stage)
{
	static const enum migration_source_event_kind answers[] = {
		SOURCE_ON_CAPACITY, SOURCE_ON_BARRIER_DONE, SOURCE_ON_SCANNED,
		SOURCE_ON_DRAINED,  SOURCE_ON_SNAPSHOT,     SOURCE_ON_READS_FENCED,
	};
	uint32_t i = 0;

	if (stage->source.is_announcing)
		feed_kind(stage, SOURCE_ON_ANNOUNCED);
	/* Whatever was asked before the end is answered before UNMARK is asked. */
	while (stage->source.outstanding > 0 && !stage->source.is_unmark_asked &&
	       i < sizeof(answers) / sizeof(answers[0]) && state(stage) != SOURCE_DROPPING)
		feed(stage, (struct migration_source_event){
				    .kind = answers[i++], .fence = 1000, .first = 2, .last = 1 });
	for (i = 0; i < 3 && state(stage) == SOURCE_DROPPING; i++)
		feed(stage, (struct migration_source_event){ .kind = SOURCE_ON_DROPPED,
							     .is_done = i == 2 });
	if (stage->source.is_unmark_asked && state(stage) == SOURCE_UNMARKING)
		feed_kind(stage, SOURCE_ON_UNMARKED);
	CU_ASSERT_EQUAL(state(stage), SOURCE_DONE);
}

/* ---- the way through ---- */

static void test_nothing_is_scanned_before_every_worker_saw_the_mark(void)
{
	struct stage stage;

	start(&stage);
	CU_ASSERT(has(&stage, SOURCE_DO_CHECK_CAPACITY));
	CU_ASSERT_EQUAL(state(&stage), SOURCE_CHECKING);
	grant(&stage);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ACCEPT)->items, 30);
	CU_ASSERT(find(&stage, SOURCE_DO_MARK) < find(&stage, SOURCE_DO_BARRIER));
	CU_ASSERT(has(&stage, SOURCE_DO_MARK));
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	pass_ms(&stage, 50);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	feed_kind(&stage, SOURCE_ON_BARRIER_DONE);
	CU_ASSERT(has(&stage, SOURCE_DO_SCAN));
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SCAN)->batch, 1);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SCAN)->size, stage.options.batch_size);
}

static void test_the_decision_is_recorded_then_published_then_sent(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RECORD_OWNER)->owner, TARGET_ID);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RECORD_OWNER)->epoch, EPOCH + 1);
	CU_ASSERT(find(&stage, SOURCE_DO_RECORD_OWNER) < find(&stage, SOURCE_DO_PUBLISH_MAP));
	CU_ASSERT(find(&stage, SOURCE_DO_PUBLISH_MAP) < find(&stage, SOURCE_DO_SEND));
	CU_ASSERT_EQUAL(sent(&stage, SYNC_COMMIT)->epoch, EPOCH + 1);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_DROP_SLICE));
}

static void test_local_data_goes_in_slices_after_committed_only(void)
{
	struct stage stage;

	reach(&stage, SOURCE_DROPPING);
	CU_ASSERT(has(&stage, SOURCE_DO_FORWARD_PARKED));
	CU_ASSERT(has(&stage, SOURCE_DO_DROP_SLICE));
	CU_ASSERT_EQUAL(sent(&stage, SYNC_STATUS)->phase, SYNC_PHASE_SETTLED);
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_DROPPED });
	CU_ASSERT(has(&stage, SOURCE_DO_DROP_SLICE));
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_DROPPED, .is_done = true });
	CU_ASSERT(has(&stage, SOURCE_DO_UNMARK));
	feed_kind(&stage, SOURCE_ON_UNMARKED);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_DONE);
	CU_ASSERT_EQUAL(stage.source.outcome, SOURCE_MIGRATED);
	CU_ASSERT_EQUAL(migration_source_deadline_ms(&stage.source), UINT64_MAX);
}

static void test_an_empty_partition_needs_no_batch(void)
{
	struct stage stage;

	start(&stage);
	copy(&stage);
	scanned(&stage, 0, 0, true);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SEND_BATCH));
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	snapshot(&stage, 0, 0);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->batch, 0);
}

static void test_empty_slices_do_not_count_as_batches(void)
{
	struct stage stage;

	start(&stage);
	copy(&stage);
	scanned(&stage, 0, 0, false);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SCAN)->batch, 1);
	scanned(&stage, 2, 50, false);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SEND_BATCH)->batch, 1);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SCAN)->batch, 2);
}

/* ---- window, pacing, retries ---- */

static void test_the_window_bounds_what_is_under_way(void)
{
	struct stage stage;

	start(&stage);
	copy(&stage);
	for (uint32_t i = 0; i < 3; i++)
		scanned(&stage, 1, 100, false);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	acked(&stage, 2, 0);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RELEASE_BATCHES)->batch, 2);
	CU_ASSERT(has(&stage, SOURCE_DO_SCAN));
	/* Deltas have a window of their own. */
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_DELTAS, .last = 9 });
	for (uint64_t d = 1; d <= 3; d++) {
		CU_ASSERT(has(&stage, SOURCE_DO_DRAIN));
		drained(&stage, 2 * d - 1, 2 * d);
	}
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_DRAIN));
	acked(&stage, 2, 4);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RELEASE_DELTAS)->last, 4);
	CU_ASSERT(has(&stage, SOURCE_DO_DRAIN));
}

static void test_bytes_per_second_hold_the_scan_back(void)
{
	struct migration_options options;
	struct stage stage;

	migration_options_default(&options);
	options.bytes_per_s = 1000;
	start_with(&stage, &options);
	copy(&stage);
	scanned(&stage, 1, 500, false);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	/* 500 bytes, of which 20 were saved up. */
	CU_ASSERT_EQUAL(migration_source_deadline_ms(&stage.source), stage.now_ms + 200);
	acked(&stage, 1, 0);
	pass_ms(&stage, 480);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	pass_ms(&stage, 1);
	CU_ASSERT(has(&stage, SOURCE_DO_SCAN));
}

static void test_a_share_of_the_thread_holds_the_scan_back(void)
{
	struct migration_options options;
	struct stage stage;

	migration_options_default(&options);
	options.cpu_permille = 100;
	start_with(&stage, &options);
	copy(&stage);
	feed(&stage, (struct migration_source_event){
			     .kind = SOURCE_ON_SCANNED, .items = 1, .bytes = 100, .cpu_us = 5000 });
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	/* 5 ms of work, 2 of them saved up: 30 ms at 10 %. */
	pass_ms(&stage, 30);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_SCAN));
	pass_ms(&stage, 1);
	CU_ASSERT(has(&stage, SOURCE_DO_SCAN));
}

static void test_retries_back_off_and_start_over_with_progress(void)
{
	static const uint64_t pauses_ms[] = { 200, 400, 800, 1600, 3200, 5000, 5000 };
	struct migration_options options;
	struct stage stage;

	migration_options_default(&options);
	options.window = 3;
	options.silence_ms_max = 100000;
	start_with(&stage, &options);
	copy(&stage);
	for (uint32_t i = 0; i < 3; i++)
		scanned(&stage, 1, 100, i == 2);
	for (uint32_t i = 0; i < 7; i++) {
		pass_ms(&stage, pauses_ms[i] - 1);
		CU_ASSERT_EQUAL(count(&stage, SOURCE_DO_SEND_BATCH), 0);
		pass_ms(&stage, 1);
		CU_ASSERT_EQUAL(count(&stage, SOURCE_DO_SEND_BATCH), 3);
	}
	CU_ASSERT_EQUAL(stage.source.progress.resent, 21);
	acked(&stage, 1, 0);
	pass_ms(&stage, 200);
	CU_ASSERT_EQUAL(count(&stage, SOURCE_DO_SEND_BATCH), 2);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SEND_BATCH)->batch, 2);
}

/* A batch is lost, and deltas pass all the time. */
static void test_deltas_that_pass_do_not_hide_a_batch_that_does_not(void)
{
	struct stage stage;
	bool was_resent = false;

	start(&stage);
	copy(&stage);
	scanned(&stage, 1, 100, true);
	for (uint64_t d = 1; d <= 20; d++) {
		stage.now_ms += 20;
		feed(&stage,
		     (struct migration_source_event){ .kind = SOURCE_ON_DELTAS, .last = d });
		was_resent |= has(&stage, SOURCE_DO_SEND_BATCH);
		drained(&stage, d, d);
		acked(&stage, 0, d);
	}
	CU_ASSERT(was_resent);
}

static void test_a_new_connection_resumes_at_once(void)
{
	struct stage stage;

	start(&stage);
	copy(&stage);
	scanned(&stage, 1, 100, false);
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_DELTAS, .last = 2 });
	drained(&stage, 1, 2);
	feed_kind(&stage, SOURCE_ON_CONNECTED);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SEND_BATCH)->batch, 1);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SEND_DELTAS)->first, 1);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_SEND_DELTAS)->last, 2);
}

static void test_a_source_that_waits_for_nothing_says_that_it_lives(void)
{
	struct migration_options options;
	struct stage stage;

	migration_options_default(&options);
	options.bytes_per_s = 1;
	start_with(&stage, &options);
	copy(&stage);
	scanned(&stage, 1, 10000, false);
	acked(&stage, 1, 0);
	pass_ms(&stage, options.heartbeat_ms);
	CU_ASSERT(has_sent(&stage, SYNC_STATUS));
	CU_ASSERT(sent(&stage, SYNC_STATUS)->is_question);
	pass_ms(&stage, options.heartbeat_ms - 1);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_STATUS));
	pass_ms(&stage, 1);
	CU_ASSERT(has_sent(&stage, SYNC_STATUS));
}

/* ---- FINAL and fences ---- */

static void test_final_follows_the_deltas_that_it_counts(void)
{
	struct stage stage;

	reach(&stage, SOURCE_VERIFYING);
	snapshot(&stage, 0, 4);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_FINAL));
	CU_ASSERT(has(&stage, SOURCE_DO_DRAIN));
	drained(&stage, 2, 3);
	CU_ASSERT_FALSE(has_sent(&stage, SYNC_FINAL));
	drained(&stage, 4, 5);
	CU_ASSERT(has_sent(&stage, SYNC_FINAL));
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->delta, 4);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->batch, 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->items, 3);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->digest, 33);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->version, 333);
}

static void test_a_lost_delta_is_known_before_anything_is_verified(void)
{
	struct stage stage;

	reach(&stage, SOURCE_FENCING);
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_SNAPSHOT, .fence = 1 });
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_DELTAS_LOST);
	CU_ASSERT(has(&stage, SOURCE_DO_UNFENCE));
	finish(&stage);
}

static void test_a_ready_counts_for_its_own_fence_only(void)
{
	struct stage stage;

	reach(&stage, SOURCE_FENCED);
	ready(&stage, 0);
	ready(&stage, 2);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_FENCED);
	ready(&stage, 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_FENCING_READS);
}

static void test_writes_are_parked_no_longer_than_the_bound(void)
{
	struct stage stage;

	reach(&stage, SOURCE_FENCED);
	CU_ASSERT(migration_source_deadline_ms(&stage.source) <=
		  stage.now_ms + stage.options.parking_ms_max);
	pass_ms(&stage, stage.options.parking_ms_max - 1);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_UNFENCE));
	pass_ms(&stage, 1);
	CU_ASSERT(has(&stage, SOURCE_DO_UNFENCE));
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	/* What the target said for that fence is void, and it is told so: a FINAL of the next number. */
	ready(&stage, 1);
	snapshot(&stage, 2, 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->fence, 2);
	ready(&stage, 2);
	/* The next fence waits a while. */
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	pass_ms(&stage, stage.options.fence_pause_ms - 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	pass_ms(&stage, 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_FENCING);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_FENCE_WRITES)->fence, 3);
}

static void test_after_so_many_fences_the_attempt_is_given_up(void)
{
	struct stage stage;
	uint32_t fence = 1;

	reach(&stage, SOURCE_FENCING);
	while (state(&stage) == SOURCE_FENCING) {
		snapshot(&stage, fence, 1);
		pass_ms(&stage, stage.options.parking_ms_max);
		if (state(&stage) != SOURCE_VERIFYING)
			break;
		snapshot(&stage, fence + 1, 1);
		ready(&stage, fence + 1);
		stage.now_ms = stage.source.fence_not_before_ms;
		ready(&stage, fence + 1);
		fence += 2;
	}
	CU_ASSERT_EQUAL(stage.source.fences, stage.options.fences_max);
	CU_ASSERT_EQUAL(stage.source.reason, MIGRATION_CANNOT_PAUSE);
	CU_ASSERT(has(&stage, SOURCE_DO_UNFENCE));
	finish(&stage);
}

static void test_a_fence_waits_for_the_lag_to_shrink_but_not_for_ever(void)
{
	struct stage stage;

	reach(&stage, SOURCE_VERIFYING);
	snapshot(&stage, 0, 1);
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_DELTAS, .last = 5000 });
	ready(&stage, 0);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	pass_ms(&stage, stage.options.catch_up_ms_max - 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	pass_ms(&stage, 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_FENCING);
}

static void test_without_a_majority_nothing_is_decided(void)
{
	struct stage stage;

	reach(&stage, SOURCE_FENCING_READS);
	majority(&stage, false);
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_READS_FENCED, .fence = 1 });
	CU_ASSERT_EQUAL(state(&stage), SOURCE_FENCING_READS);
	pass_ms(&stage, stage.options.parking_ms_max);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	snapshot(&stage, 2, 1);
	ready(&stage, 2);
	pass_ms(&stage, 5000);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_VERIFYING);
	majority(&stage, true);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_FENCING);
}

/* ---- ways out before the decision ---- */

/* The job is over, the partition serves, nothing is left of the fence. */
static void check_aborted(struct stage *stage, enum migration_source_state from,
			  enum migration_reason reason)
{
	bool was_fenced = from >= SOURCE_FENCING;

	CU_ASSERT_EQUAL(stage->source.outcome, SOURCE_ABORTED);
	CU_ASSERT_EQUAL(stage->source.reason, reason);
	CU_ASSERT_EQUAL(has(stage, SOURCE_DO_UNFENCE), was_fenced);
	CU_ASSERT_FALSE(has(stage, SOURCE_DO_RECORD_OWNER));
	CU_ASSERT_FALSE(has(stage, SOURCE_DO_DROP_SLICE));
	finish(stage);
	CU_ASSERT_FALSE(stage->source.is_marked);
}

static void test_every_undecided_state_can_be_left(void)
{
	struct stage stage;

	for (uint32_t i = SOURCE_CHECKING; i <= SOURCE_FENCING_READS; i++) {
		enum migration_source_state from = (enum migration_source_state)i;

		reach(&stage, from);
		feed_kind(&stage, SOURCE_ON_CANCEL);
		CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_CANCELLED);
		check_aborted(&stage, from, MIGRATION_CANCELLED);

		reach(&stage, from);
		hear(&stage, (struct sync_message){ .kind = SYNC_CANCEL });
		check_aborted(&stage, from, MIGRATION_CANCELLED);

		reach(&stage, from);
		hear(&stage, (struct sync_message){ .kind = SYNC_ABORT,
						    .reason = MIGRATION_OUT_OF_MEMORY });
		CU_ASSERT_FALSE(has_sent(&stage, SYNC_ABORT));
		check_aborted(&stage, from, MIGRATION_OUT_OF_MEMORY);

		reach(&stage, from);
		peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
		check_aborted(&stage, from, MIGRATION_PEER_DEAD);

		reach(&stage, from);
		peer(&stage, MIGRATION_PEER_GONE);
		check_aborted(&stage, from, MIGRATION_PEER_DEAD);

		reach(&stage, from);
		feed_kind(&stage, SOURCE_ON_DELTAS_LOST);
		check_aborted(&stage, from, MIGRATION_DELTAS_LOST);

		/* A message of the target's next life. */
		reach(&stage, from);
		hear(&stage, (struct sync_message){ .kind = SYNC_ACK, .generation = 21 });
		check_aborted(&stage, from, MIGRATION_PEER_DEAD);

		/* The target begins anew. */
		reach(&stage, from);
		hear(&stage, (struct sync_message){ .kind = SYNC_PREPARE, .attempt = 3 });
		check_aborted(&stage, from, MIGRATION_RESTARTED);
	}
}

static void test_silence_ends_what_is_undecided(void)
{
	struct stage stage;

	start(&stage);
	copy(&stage);
	scanned(&stage, 1, 100, true);
	pass_ms(&stage, stage.options.silence_ms_max - 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COPYING);
	acked(&stage, 0, 0);
	pass_ms(&stage, stage.options.silence_ms_max - 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COPYING);
	pass_ms(&stage, 1);
	CU_ASSERT_EQUAL(stage.source.reason, MIGRATION_PEER_SILENT);
	finish(&stage);
}

static void test_a_source_without_room_says_busy(void)
{
	struct stage stage;

	start(&stage);
	feed(&stage, (struct migration_source_event){ .kind = SOURCE_ON_CAPACITY });
	CU_ASSERT_EQUAL(sent(&stage, SYNC_BUSY)->reason, MIGRATION_AT_CAPACITY);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_MARK));
	CU_ASSERT_EQUAL(state(&stage), SOURCE_DONE);
}

/* ---- messages that do not count ---- */

static void test_messages_of_others_are_refused(void)
{
	struct stage stage;

	start(&stage);
	copy(&stage);
	scanned(&stage, 1, 100, false);
	hear(&stage, (struct sync_message){ .kind = SYNC_ACK, .batch = 1, .attempt = 1 });
	hear(&stage, (struct sync_message){ .kind = SYNC_ACK, .batch = 1, .job = 98 });
	hear(&stage, (struct sync_message){ .kind = SYNC_ACK, .batch = 1, .sender = 3 });
	hear(&stage, (struct sync_message){ .kind = SYNC_ACK, .batch = 1, .generation = 19 });
	CU_ASSERT_EQUAL(stage.source.batch_acked, 0);
	CU_ASSERT_EQUAL(stage.source.progress.refused, 4);
	/* Acknowledged before it was sent: a lie. */
	acked(&stage, 2, 0);
	acked(&stage, 0, 1);
	CU_ASSERT_EQUAL(stage.source.batch_acked, 0);
	CU_ASSERT_EQUAL(stage.source.progress.refused, 6);
	hear(&stage, (struct sync_message){ .kind = SYNC_FINAL });
	CU_ASSERT_EQUAL(stage.source.progress.refused, 7);
}

static void test_prepare_again_is_answered_again(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COPYING);
	hear(&stage, (struct sync_message){ .kind = SYNC_PREPARE, .epoch = EPOCH });
	CU_ASSERT(has_sent(&stage, SYNC_ACCEPT));
	reach(&stage, SOURCE_COMMITTING);
	hear(&stage, (struct sync_message){ .kind = SYNC_PREPARE, .epoch = EPOCH });
	CU_ASSERT(has_sent(&stage, SYNC_COMMIT));
}

static void test_a_question_is_answered_by_what_the_target_waits_for(void)
{
	const struct sync_message question = { .kind = SYNC_STATUS, .is_question = true };
	struct stage stage;

	reach(&stage, SOURCE_COPYING);
	hear(&stage, question);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_STATUS)->phase, SOURCE_COPYING);
	reach(&stage, SOURCE_FENCED);
	hear(&stage, question);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_FINAL)->fence, 1);
	reach(&stage, SOURCE_COMMITTING);
	hear(&stage, question);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_COMMIT)->epoch, EPOCH + 1);
	reach(&stage, SOURCE_DROPPING);
	hear(&stage, question);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_STATUS)->phase, SYNC_PHASE_SETTLED);
}

/* ---- after the decision ---- */

static void test_no_time_and_no_news_undoes_a_commit(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	for (uint32_t i = 0; i < 1000; i++) {
		stage.now_ms = migration_source_deadline_ms(&stage.source);
		feed_kind(&stage, SOURCE_ON_TIMER);
		CU_ASSERT(has_sent(&stage, SYNC_COMMIT) || has(&stage, SOURCE_DO_REFUSE_PARKED));
	}
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	peer(&stage, MIGRATION_PEER_GONE);
	majority(&stage, false);
	feed_kind(&stage, SOURCE_ON_CANCEL);
	feed_kind(&stage, SOURCE_ON_DELTAS_LOST);
	hear(&stage, (struct sync_message){ .kind = SYNC_ABORT, .reason = MIGRATION_UNKNOWN_JOB });
	hear(&stage, (struct sync_message){ .kind = SYNC_CANCEL });
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COMMITTING);
	CU_ASSERT_EQUAL(stage.source.outcome, SOURCE_UNDECIDED);
}

static void test_in_doubt_parked_requests_are_refused_at_the_bound(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	CU_ASSERT_FALSE(migration_source_is_in_doubt(&stage.source));
	pass_ms(&stage, stage.options.parking_ms_max);
	CU_ASSERT_EQUAL(count(&stage, SOURCE_DO_REFUSE_PARKED), 1);
	CU_ASSERT(migration_source_is_in_doubt(&stage.source));
	pass_ms(&stage, 10000);
	CU_ASSERT_EQUAL(count(&stage, SOURCE_DO_REFUSE_PARKED), 0);
	/* Nothing is parked any more, so nothing is forwarded later. */
	hear(&stage,
	     (struct sync_message){
		     .kind = SYNC_COMMITTED, .epoch = EPOCH + 1, .items = 3, .digest = 33 });
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_FORWARD_PARKED));
	CU_ASSERT_EQUAL(state(&stage), SOURCE_DROPPING);
}

static void test_a_copy_that_differs_never_costs_the_original(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	hear(&stage,
	     (struct sync_message){
		     .kind = SYNC_COMMITTED, .epoch = EPOCH + 1, .items = 3, .digest = 34 });
	hear(&stage,
	     (struct sync_message){
		     .kind = SYNC_COMMITTED, .epoch = EPOCH + 1, .items = 2, .digest = 33 });
	hear(&stage, (struct sync_message){
			     .kind = SYNC_COMMITTED, .epoch = EPOCH, .items = 3, .digest = 33 });
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COMMITTING);
	CU_ASSERT_EQUAL(stage.source.reason, MIGRATION_MISMATCH);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_DROP_SLICE));
}

static void test_a_target_that_lost_it_gives_it_back(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	hear(&stage, (struct sync_message){
			     .kind = SYNC_ABORT, .reason = MIGRATION_LOST, .generation = 21 });
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RECORD_OWNER)->owner, SOURCE_ID);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RECORD_OWNER)->epoch, EPOCH + 2);
	CU_ASSERT(find(&stage, SOURCE_DO_RECORD_OWNER) < find(&stage, SOURCE_DO_UNFENCE));
	CU_ASSERT_EQUAL(stage.source.outcome, SOURCE_RECLAIMED);
	finish(&stage);
}

/* Were the mark gone first, and this node dead then, nothing would tell others that it may have the partition. */
static void test_what_is_taken_back_stays_marked_until_a_majority_knows(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	hear(&stage, (struct sync_message){
			     .kind = SYNC_ABORT, .reason = MIGRATION_LOST, .generation = 21 });
	CU_ASSERT(find(&stage, SOURCE_DO_UNFENCE) < find(&stage, SOURCE_DO_ANNOUNCE));
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_UNMARK));
	feed_kind(&stage, SOURCE_ON_TIMER);
	CU_ASSERT_FALSE(has(&stage, SOURCE_DO_UNMARK));
	CU_ASSERT(stage.source.is_marked);
	feed_kind(&stage, SOURCE_ON_ANNOUNCED);
	CU_ASSERT(has(&stage, SOURCE_DO_UNMARK));
	feed_kind(&stage, SOURCE_ON_UNMARKED);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_DONE);
}

static void test_the_operator_takes_back_from_the_dead_only(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COMMITTING);
	feed_kind(&stage, SOURCE_ON_CLAIM);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COMMITTING);
	peer(&stage, MIGRATION_PEER_SUSPECTED_DEAD);
	CU_ASSERT(migration_source_can_be_claimed(&stage.source));
	feed_kind(&stage, SOURCE_ON_CLAIM);
	CU_ASSERT_EQUAL(action(&stage, SOURCE_DO_RECORD_OWNER)->epoch, EPOCH + 2);
	finish(&stage);
	reach(&stage, SOURCE_COPYING);
	feed_kind(&stage, SOURCE_ON_CLAIM);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COPYING);
}

static void test_a_later_owner_settles_the_job(void)
{
	struct stage stage;

	/* The target has already given it to node 3: then it had it. */
	reach(&stage, SOURCE_COMMITTING);
	owner(&stage, 3, EPOCH + 2);
	CU_ASSERT_EQUAL(stage.source.outcome, SOURCE_MIGRATED);
	CU_ASSERT(has(&stage, SOURCE_DO_FORWARD_PARKED));
	finish(&stage);
	reach(&stage, SOURCE_COMMITTING);
	hear(&stage,
	     (struct sync_message){ .kind = SYNC_NOT_OWNER, .owner = 3, .epoch = EPOCH + 2 });
	CU_ASSERT_EQUAL(state(&stage), SOURCE_DROPPING);
	/* Its own entry, and older ones, are no news. */
	reach(&stage, SOURCE_COMMITTING);
	owner(&stage, TARGET_ID, EPOCH + 1);
	owner(&stage, SOURCE_ID, EPOCH);
	hear(&stage, (struct sync_message){ .kind = SYNC_NOT_OWNER, .owner = 3, .epoch = EPOCH });
	CU_ASSERT_EQUAL(state(&stage), SOURCE_COMMITTING);
	/* Another claim at the same epoch that the map prefers. */
	owner(&stage, 3, EPOCH + 1);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_DROPPING);
}

static void test_a_source_that_was_succeeded_stops_and_drops(void)
{
	struct stage stage;

	for (uint32_t i = SOURCE_MARKING; i <= SOURCE_FENCING_READS; i++) {
		reach(&stage, (enum migration_source_state)i);
		owner(&stage, TARGET_ID, EPOCH + 1);
		CU_ASSERT_EQUAL(stage.source.outcome, SOURCE_SUPERSEDED);
		CU_ASSERT(has(&stage, SOURCE_DO_PUBLISH_MAP));
		CU_ASSERT_EQUAL(has(&stage, SOURCE_DO_FORWARD_PARKED), i >= SOURCE_FENCING);
		/* Not before every worker has seen that it is somebody else's. */
		CU_ASSERT(has(&stage, SOURCE_DO_BARRIER));
		CU_ASSERT_FALSE(has(&stage, SOURCE_DO_DROP_SLICE));
		CU_ASSERT_EQUAL(sent(&stage, SYNC_STATUS)->phase, SYNC_PHASE_SETTLED);
		CU_ASSERT_EQUAL(state(&stage), SOURCE_DROPPING);
		/* The target hears it again if it asks. */
		hear(&stage, (struct sync_message){ .kind = SYNC_COMMITTED, .epoch = EPOCH + 1 });
		CU_ASSERT_EQUAL(sent(&stage, SYNC_STATUS)->phase, SYNC_PHASE_SETTLED);
	}
	reach(&stage, SOURCE_COPYING);
	owner(&stage, 3, EPOCH + 1);
	CU_ASSERT_EQUAL(sent(&stage, SYNC_ABORT)->reason, MIGRATION_SUPERSEDED);
	/* This node itself, by the operator: the job is over, the data stays. */
	reach(&stage, SOURCE_COPYING);
	owner(&stage, SOURCE_ID, EPOCH + 1);
	CU_ASSERT_EQUAL(stage.source.outcome, SOURCE_ABORTED);
	CU_ASSERT_EQUAL(state(&stage), SOURCE_UNMARKING);
}

/* ---- the table and the invariant ---- */

static void test_the_invariant_sees_what_is_wrong(void)
{
	struct stage stage;

	reach(&stage, SOURCE_COPYING);
	stage.source.is_marked = false;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
	reach(&stage, SOURCE_COPYING);
	stage.source.fence = 1;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
	reach(&stage, SOURCE_COPYING);
	stage.source.batch_made = stage.options.window + 1;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
	reach(&stage, SOURCE_FENCED);
	stage.source.is_parking = false;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
	reach(&stage, SOURCE_COMMITTING);
	stage.source.are_reads_fenced = false;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
	reach(&stage, SOURCE_COMMITTING);
	stage.source.delta_made++;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
	reach(&stage, SOURCE_DROPPING);
	stage.source.outcome = SOURCE_UNDECIDED;
	CU_ASSERT_FALSE(migration_source_is_sound(&stage.source));
}

static void test_the_table_allows_what_the_drawing_shows(void)
{
	struct stage stage;
	const struct state_machine_kind *kind;

	start(&stage);
	kind = stage.source.machine.kind;
	CU_ASSERT_EQUAL(kind->state_count, SOURCE_STATE_COUNT);
	for (uint32_t from = 0; from < SOURCE_STATE_COUNT; from++) {
		bool is_fenced = from >= SOURCE_FENCING && from <= SOURCE_FENCING_READS;

		for (uint32_t to = 0; to < SOURCE_STATE_COUNT; to++) {
			bool is_allowed = (kind->allowed[from] & STATE_MACHINE_TO(to)) != 0;
			bool is_next = to == from + 1;
			bool is_out = to == SOURCE_UNMARKING && from < SOURCE_UNMARKING;
			bool is_succeeded = to == SOURCE_DROPPING && from >= SOURCE_MARKING &&
					    from < SOURCE_DROPPING;
			bool is_unfenced = to == SOURCE_VERIFYING && is_fenced;

			CU_ASSERT_EQUAL(is_allowed,
					is_next || is_out || is_succeeded || is_unfenced);
		}
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_nothing_is_scanned_before_every_worker_saw_the_mark),
		UNIT_TEST(test_the_decision_is_recorded_then_published_then_sent),
		UNIT_TEST(test_local_data_goes_in_slices_after_committed_only),
		UNIT_TEST(test_an_empty_partition_needs_no_batch),
		UNIT_TEST(test_empty_slices_do_not_count_as_batches),
		UNIT_TEST(test_the_window_bounds_what_is_under_way),
		UNIT_TEST(test_bytes_per_second_hold_the_scan_back),
		UNIT_TEST(test_a_share_of_the_thread_holds_the_scan_back),
		UNIT_TEST(test_retries_back_off_and_start_over_with_progress),
		UNIT_TEST(test_deltas_that_pass_do_not_hide_a_batch_that_does_not),
		UNIT_TEST(test_a_new_connection_resumes_at_once),
		UNIT_TEST(test_a_source_that_waits_for_nothing_says_that_it_lives),
		UNIT_TEST(test_final_follows_the_deltas_that_it_counts),
		UNIT_TEST(test_a_lost_delta_is_known_before_anything_is_verified),
		UNIT_TEST(test_a_ready_counts_for_its_own_fence_only),
		UNIT_TEST(test_writes_are_parked_no_longer_than_the_bound),
		UNIT_TEST(test_after_so_many_fences_the_attempt_is_given_up),
		UNIT_TEST(test_a_fence_waits_for_the_lag_to_shrink_but_not_for_ever),
		UNIT_TEST(test_without_a_majority_nothing_is_decided),
		UNIT_TEST(test_every_undecided_state_can_be_left),
		UNIT_TEST(test_silence_ends_what_is_undecided),
		UNIT_TEST(test_a_source_without_room_says_busy),
		UNIT_TEST(test_messages_of_others_are_refused),
		UNIT_TEST(test_prepare_again_is_answered_again),
		UNIT_TEST(test_a_question_is_answered_by_what_the_target_waits_for),
		UNIT_TEST(test_no_time_and_no_news_undoes_a_commit),
		UNIT_TEST(test_in_doubt_parked_requests_are_refused_at_the_bound),
		UNIT_TEST(test_a_copy_that_differs_never_costs_the_original),
		UNIT_TEST(test_a_target_that_lost_it_gives_it_back),
		UNIT_TEST(test_what_is_taken_back_stays_marked_until_a_majority_knows),
		UNIT_TEST(test_the_operator_takes_back_from_the_dead_only),
		UNIT_TEST(test_a_later_owner_settles_the_job),
		UNIT_TEST(test_a_source_that_was_succeeded_stops_and_drops),
		UNIT_TEST(test_the_invariant_sees_what_is_wrong),
		UNIT_TEST(test_the_table_allows_what_the_drawing_shows),
		{ NULL, NULL },
	};

	return unit_run("migration_source", tests);
}
