/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's migrations: who gets which message, and the answers where there is no job. */
#include "controlplane/migration_jobs.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define SELF 2u
#define OTHER 1u
#define THIRD 3u
#define GENERATION 20u
#define OTHER_GENERATION 10u

/* A node whose map and data the test sets; partitions 0-3 are its own, 4-7 another node's. */
struct node {
	struct partition_map map;
	struct partition_set held;
	struct migration_jobs *jobs;
	struct migration_jobs_actions actions;
	uint64_t now_ms;
};

static void own(struct node *node, uint32_t partition, uint64_t owner, uint32_t epoch)
{
	const struct partition_owner entry = { .partition = partition,
					       .owner = owner,
					       .epoch = epoch };

	partition_map_merge(&node->map, &entry);
}

static struct migration_jobs_options options_of(const struct node *node)
{
	struct migration_jobs_options options = { .self = SELF,
						  .generation = GENERATION,
						  .seed = 1,
						  .source_max = 2,
						  .target_max = 2,
						  .map = &node->map,
						  .held = &node->held };

	migration_options_default(&options.migration);
	return options;
}

static void create(struct node *node)
{
	struct migration_jobs_options options;

	memset(node, 0, sizeof(*node));
	node->now_ms = 1000;
	partition_map_init(&node->map, 8);
	for (uint32_t p = 0; p < 8; p++) {
		own(node, p, p < 4 ? SELF : OTHER, 5);
		if (p < 4)
			partition_set_add(&node->held, p);
	}
	options = options_of(node);
	CU_ASSERT_EQUAL_FATAL(migration_jobs_create(&node->jobs, &options, node->now_ms), 0);
}

static void destroy(struct node *node)
{
	migration_jobs_destroy(node->jobs);
}

static void feed(struct node *node, struct migration_jobs_event event)
{
	node->actions = migration_jobs_step(node->jobs, node->now_ms, &event);
	CU_ASSERT(migration_jobs_are_sound(node->jobs));
}

static struct sync_message message_of(enum sync_message_kind kind, uint32_t partition, uint64_t job)
{
	return (struct sync_message){ .kind = kind,
				      .partition = partition,
				      .job = job,
				      .attempt = 1,
				      .sender = OTHER,
				      .generation = OTHER_GENERATION,
				      .epoch = 5 };
}

static void hear(struct node *node, const struct sync_message *message)
{
	feed(node, (struct migration_jobs_event){ .kind = JOBS_ON_MESSAGE, .message = message });
}

static void prepare(struct node *node, uint32_t partition, uint64_t job)
{
	const struct sync_message message = message_of(SYNC_PREPARE, partition, job);

	hear(node, &message);
}

/* The answer given outside of any job; of kind 0 when there was none. */
static struct sync_message replied(const struct node *node)
{
	for (uint32_t i = 0; i < node->actions.count; i++) {
		if (node->actions.items[i].kind == JOBS_REPLY)
			return node->actions.items[i].message;
	}
	return (struct sync_message){ .kind = (enum sync_message_kind)0 };
}

static bool source_asked(const struct node *node, enum migration_source_action_kind kind)
{
	for (uint32_t i = 0; i < node->actions.count; i++) {
		if (node->actions.items[i].kind == JOBS_SOURCE &&
		    node->actions.items[i].source->kind == kind)
			return true;
	}
	return false;
}

static void tell_source(struct node *node, uint32_t partition, struct migration_source_event event)
{
	feed(node, (struct migration_jobs_event){
			   .kind = JOBS_ON_SOURCE, .partition = partition, .source = &event });
}

static int import(struct node *node, uint32_t partition)
{
	return migration_jobs_import(node->jobs, node->now_ms, partition, OTHER_GENERATION,
				     &node->actions);
}

/* ---- PREPARE ---- */

static void test_prepare_starts_a_source(void)
{
	struct node node;

	create(&node);
	prepare(&node, 1, 77);
	CU_ASSERT(source_asked(&node, SOURCE_DO_CHECK_CAPACITY));
	CU_ASSERT_EQUAL(node.actions.items[0].to, OTHER);
	CU_ASSERT_EQUAL(node.actions.items[0].partition, 1);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 1);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->job.job, 77);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->job.target_generation,
			OTHER_GENERATION);
	CU_ASSERT_PTR_NULL(migration_jobs_source(node.jobs, 0));
	/* Again: the same job, nothing new. */
	prepare(&node, 1, 77);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 1);
	CU_ASSERT_EQUAL(replied(&node).kind, 0);
	destroy(&node);
}

static void test_a_second_job_on_a_partition_is_refused_busy(void)
{
	struct node node;

	create(&node);
	prepare(&node, 1, 77);
	prepare(&node, 1, 78);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_BUSY);
	CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_BUSY);
	CU_ASSERT_EQUAL(replied(&node).busy_job, 77);
	CU_ASSERT_EQUAL(replied(&node).job, 78);
	CU_ASSERT_EQUAL(replied(&node).generation, GENERATION);
	CU_ASSERT_EQUAL(migration_jobs_counters(node.jobs)->refused_busy, 1);
	/* A later attempt of the same job ends the earlier one, and is to be asked for again. */
	struct sync_message again = message_of(SYNC_PREPARE, 1, 77);

	again.attempt = 2;
	hear(&node, &again);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_BUSY);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->reason, MIGRATION_RESTARTED);
	destroy(&node);
}

static void test_more_jobs_than_allowed_are_refused_busy(void)
{
	struct node node;

	create(&node);
	prepare(&node, 0, 70);
	prepare(&node, 1, 71);
	prepare(&node, 2, 72);
	CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_AT_CAPACITY);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 2);
	destroy(&node);
}

static void test_only_the_owner_gives(void)
{
	struct node node;
	struct sync_message message;

	create(&node);
	prepare(&node, 6, 77);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_NOT_OWNER);
	CU_ASSERT_EQUAL(replied(&node).owner, OTHER);
	CU_ASSERT_EQUAL(replied(&node).epoch, 5);
	/* At another epoch than the target thinks. */
	message = message_of(SYNC_PREPARE, 1, 77);
	message.epoch = 4;
	hear(&node, &message);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_NOT_OWNER);
	CU_ASSERT_EQUAL(replied(&node).owner, SELF);
	/* Owned by an earlier life: the data is gone. */
	partition_set_remove(&node.held, 2);
	prepare(&node, 2, 77);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_NOT_OWNER);
	/* To itself. */
	message = message_of(SYNC_PREPARE, 1, 77);
	message.sender = SELF;
	hear(&node, &message);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_NOT_OWNER);
	CU_ASSERT_EQUAL(migration_jobs_counters(node.jobs)->refused_owner, 4);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 0);
	/* No such partition: no answer at all. */
	prepare(&node, 8, 77);
	CU_ASSERT_EQUAL(node.actions.count, 0);
	destroy(&node);
}

static void test_an_attempt_that_is_over_never_runs_again(void)
{
	struct node node;
	struct sync_message next;

	create(&node);
	prepare(&node, 1, 77);
	feed(&node, (struct migration_jobs_event){ .kind = JOBS_ON_CANCEL, .partition = 1 });
	tell_source(&node, 1, (struct migration_source_event){ .kind = SOURCE_ON_CAPACITY });
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 0);
	prepare(&node, 1, 77);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_ABORT);
	CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_UNKNOWN_JOB);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 0);
	next = message_of(SYNC_PREPARE, 1, 77);
	next.attempt = 2;
	hear(&node, &next);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 1);
	destroy(&node);
}

/* ---- imports ---- */

static void test_an_import_starts_a_target(void)
{
	struct node node;

	create(&node);
	CU_ASSERT_EQUAL(import(&node, 6), 0);
	CU_ASSERT_EQUAL(node.actions.items[0].kind, JOBS_TARGET);
	CU_ASSERT_EQUAL(node.actions.items[0].target->kind, TARGET_DO_MARK);
	CU_ASSERT_EQUAL(node.actions.items[0].to, OTHER);
	CU_ASSERT_EQUAL(migration_jobs_target(node.jobs, 6)->job.epoch, 5);
	CU_ASSERT_EQUAL(migration_jobs_target(node.jobs, 6)->job.source, OTHER);
	CU_ASSERT_NOT_EQUAL(migration_jobs_target(node.jobs, 6)->job.job, 0);
	/* Whoever wants it from here must wait. */
	prepare(&node, 6, 77);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_BUSY);
	destroy(&node);
}

static void test_an_import_that_makes_no_sense_is_refused(void)
{
	struct node node;

	create(&node);
	CU_ASSERT_EQUAL(import(&node, 8), -ENOENT);
	CU_ASSERT_EQUAL(import(&node, 1), -EALREADY);
	CU_ASSERT_EQUAL(migration_jobs_import(node.jobs, node.now_ms, 4, 0, &node.actions),
			-EINVAL);
	CU_ASSERT_EQUAL(import(&node, 4), 0);
	CU_ASSERT_EQUAL(import(&node, 4), -EBUSY);
	CU_ASSERT_EQUAL(import(&node, 5), 0);
	CU_ASSERT_NOT_EQUAL(migration_jobs_target(node.jobs, 4)->job.job,
			    migration_jobs_target(node.jobs, 5)->job.job);
	CU_ASSERT_EQUAL(import(&node, 6), -ENOSPC);
	CU_ASSERT_EQUAL(migration_jobs_count(node.jobs), 2);
	destroy(&node);
}

/* ---- messages without a job ---- */

static void test_commit_to_a_life_that_forgot_gives_the_partition_back(void)
{
	struct node node;
	struct sync_message commit = message_of(SYNC_COMMIT, 6, 77);

	create(&node);
	commit.epoch = 6;
	/* Not before all have told: the earlier life may have given it to somebody else. */
	hear(&node, &commit);
	CU_ASSERT_EQUAL(node.actions.count, 0);
	feed(&node, (struct migration_jobs_event){ .kind = JOBS_ON_MAJORITY, .is_ok = true });
	hear(&node, &commit);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_ABORT);
	CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_LOST);
	/* The map says so first: nobody else takes that epoch. */
	CU_ASSERT_EQUAL(node.actions.items[0].kind, JOBS_GIVE_BACK);
	CU_ASSERT_EQUAL(node.actions.items[0].partition, 6);
	CU_ASSERT_EQUAL(node.actions.items[0].to, commit.sender);
	CU_ASSERT_EQUAL(node.actions.items[0].epoch, 7);
	/* Also when the map already says that it is this node's. */
	own(&node, 6, SELF, 6);
	hear(&node, &commit);
	CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_LOST);
	CU_ASSERT_EQUAL(migration_jobs_counters(node.jobs)->lost, 2);
	/* Not when it holds it, or somebody else does by now. */
	partition_set_add(&node.held, 6);
	hear(&node, &commit);
	CU_ASSERT_EQUAL(replied(&node).kind, 0);
	own(&node, 6, THIRD, 7);
	hear(&node, &commit);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_NOT_OWNER);
	CU_ASSERT_EQUAL(replied(&node).epoch, 7);
	destroy(&node);
}

static void test_unknown_jobs_are_answered_so_that_nobody_waits(void)
{
	static const enum sync_message_kind aborted[] = { SYNC_ACK, SYNC_READY, SYNC_CANCEL,
							  SYNC_ACCEPT, SYNC_FINAL };
	static const enum sync_message_kind ignored[] = { SYNC_BUSY, SYNC_NOT_OWNER, SYNC_ABORT };
	struct sync_message message;
	struct node node;

	create(&node);
	for (uint32_t i = 0; i < 5; i++) {
		message = message_of(aborted[i], 1, 77);
		hear(&node, &message);
		CU_ASSERT_EQUAL(replied(&node).kind, SYNC_ABORT);
		CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_UNKNOWN_JOB);
		CU_ASSERT_EQUAL(replied(&node).job, 77);
	}
	for (uint32_t i = 0; i < 3; i++) {
		message = message_of(ignored[i], 1, 77);
		hear(&node, &message);
		CU_ASSERT_EQUAL(node.actions.count, 0);
	}
	message = message_of(SYNC_COMMITTED, 1, 77);
	hear(&node, &message);
	CU_ASSERT_EQUAL(replied(&node).phase, SYNC_PHASE_SETTLED);
	message = message_of(SYNC_STATUS, 1, 77);
	hear(&node, &message);
	CU_ASSERT_EQUAL(node.actions.count, 0);
	message.is_question = true;
	hear(&node, &message);
	CU_ASSERT_EQUAL(replied(&node).reason, MIGRATION_UNKNOWN_JOB);
	CU_ASSERT_EQUAL(migration_jobs_counters(node.jobs)->unknown, 11);
	destroy(&node);
}

/* A target that waits may find that the map has made it the owner: better than an ABORT. */
static void test_who_owns_it_now_is_the_better_answer(void)
{
	struct node node;
	struct sync_message message = message_of(SYNC_READY, 6, 77);

	create(&node);
	own(&node, 6, THIRD, 9);
	hear(&node, &message);
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_NOT_OWNER);
	CU_ASSERT_EQUAL(replied(&node).owner, THIRD);
	CU_ASSERT_EQUAL(node.actions.count, 1);
	destroy(&node);
}

static void test_batches_of_nobody_stop_their_source(void)
{
	const struct sync_batch batch = { .kind = SYNC_FRAME_BATCH,
					  .job = 77,
					  .attempt = 4,
					  .partition = 1,
					  .first = 1,
					  .count = 1 };
	struct node node;

	create(&node);
	feed(&node, (struct migration_jobs_event){
			    .kind = JOBS_ON_BATCH, .batch = &batch, .sender = OTHER });
	CU_ASSERT_EQUAL(replied(&node).kind, SYNC_ABORT);
	CU_ASSERT_EQUAL(replied(&node).attempt, 4);
	CU_ASSERT_EQUAL(node.actions.items[0].to, OTHER);
	destroy(&node);
}

/* ---- broadcasts ---- */

static void test_a_new_life_of_a_peer_ends_jobs_with_the_old_one(void)
{
	struct migration_jobs_event event = { .kind = JOBS_ON_PEER,
					      .node = OTHER,
					      .generation = OTHER_GENERATION,
					      .peer = MIGRATION_PEER_ALIVE };
	struct node node;

	create(&node);
	prepare(&node, 1, 77);
	CU_ASSERT_EQUAL(import(&node, 6), 0);
	/* Of the same life, of a third node, of a life before: nothing. */
	feed(&node, event);
	event.node = THIRD;
	event.generation = 1000;
	event.peer = MIGRATION_PEER_GONE;
	feed(&node, event);
	event.node = OTHER;
	event.generation = OTHER_GENERATION - 1;
	feed(&node, event);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->reason, MIGRATION_NO_REASON);
	event.generation = OTHER_GENERATION + 1;
	event.peer = MIGRATION_PEER_ALIVE;
	feed(&node, event);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->reason, MIGRATION_PEER_DEAD);
	CU_ASSERT_EQUAL(migration_jobs_target(node.jobs, 6)->reason, MIGRATION_PEER_DEAD);
	destroy(&node);
}

static void test_news_reach_the_machine_they_are_about(void)
{
	struct node node;

	create(&node);
	prepare(&node, 0, 70);
	prepare(&node, 1, 71);
	own(&node, 1, THIRD, 6);
	feed(&node, (struct migration_jobs_event){ .kind = JOBS_ON_OWNER, .partition = 1 });
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 0)->outcome, SOURCE_UNDECIDED);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->reason, MIGRATION_SUPERSEDED);
	CU_ASSERT_FALSE(migration_jobs_source(node.jobs, 0)->sees_majority);
	feed(&node, (struct migration_jobs_event){ .kind = JOBS_ON_MAJORITY, .is_ok = true });
	CU_ASSERT(migration_jobs_source(node.jobs, 0)->sees_majority);
	/* Who comes later is told, too. */
	CU_ASSERT_EQUAL(import(&node, 6), 0);
	CU_ASSERT(migration_jobs_target(node.jobs, 6)->sees_majority);
	destroy(&node);
}

static void test_the_deadline_is_the_earliest_and_passes(void)
{
	struct node node;

	create(&node);
	CU_ASSERT_EQUAL(migration_jobs_deadline_ms(node.jobs), UINT64_MAX);
	prepare(&node, 0, 70);
	node.now_ms += 10;
	prepare(&node, 1, 71);
	CU_ASSERT_EQUAL(migration_jobs_deadline_ms(node.jobs), 11000);
	node.now_ms = 11000;
	feed(&node, (struct migration_jobs_event){ .kind = JOBS_ON_TIMER });
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 0)->reason, MIGRATION_PEER_SILENT);
	CU_ASSERT_EQUAL(migration_jobs_source(node.jobs, 1)->reason, MIGRATION_NO_REASON);
	CU_ASSERT_EQUAL(migration_jobs_deadline_ms(node.jobs), 11010);
	destroy(&node);
}

static void test_bad_options_are_refused(void)
{
	struct migration_jobs_options options;
	struct migration_jobs *jobs;
	struct node node;

	create(&node);
#define REFUSES(change)                                                                            \
	do {                                                                                       \
		options = options_of(&node);                                                       \
		change;                                                                            \
		CU_ASSERT_EQUAL(migration_jobs_create(&jobs, &options, 0), -EINVAL);               \
	} while (0)
	REFUSES(options.self = 0);
	REFUSES(options.generation = 0);
	REFUSES(options.source_max = 0);
	REFUSES(options.target_max = MIGRATION_JOBS_MAX + 1);
	REFUSES(options.map = NULL);
	REFUSES(options.held = NULL);
	REFUSES(options.migration.window = MIGRATION_WINDOW_MAX + 1);
	REFUSES(options.migration.batch_size = 100);
	REFUSES(options.migration.retry_ms = 0);
	REFUSES(options.migration.parking_ms_max = 0);
	REFUSES(options.migration.cpu_permille = 1001);
#undef REFUSES
	destroy(&node);
	migration_jobs_destroy(NULL);
}

static void test_reasons_have_words(void)
{
	for (uint32_t reason = MIGRATION_NO_REASON; reason <= MIGRATION_OTHER; reason++)
		CU_ASSERT(strlen(migration_reason_text((enum migration_reason)reason)) > 3);
	CU_ASSERT_STRING_EQUAL(migration_reason_text((enum migration_reason)99), "?");
	CU_ASSERT(migration_reason_is_transient(MIGRATION_DELTAS_LOST));
	CU_ASSERT_FALSE(migration_reason_is_transient(MIGRATION_CANCELLED));
	CU_ASSERT_EQUAL(migration_backoff_ms(200, 0, 5000), 200);
	CU_ASSERT_EQUAL(migration_backoff_ms(200, 4, 5000), 3200);
	CU_ASSERT_EQUAL(migration_backoff_ms(200, 5, 5000), 5000);
	CU_ASSERT_EQUAL(migration_backoff_ms(200, 4000000000u, 5000), 5000);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_prepare_starts_a_source),
		UNIT_TEST(test_a_second_job_on_a_partition_is_refused_busy),
		UNIT_TEST(test_more_jobs_than_allowed_are_refused_busy),
		UNIT_TEST(test_only_the_owner_gives),
		UNIT_TEST(test_an_attempt_that_is_over_never_runs_again),
		UNIT_TEST(test_an_import_starts_a_target),
		UNIT_TEST(test_an_import_that_makes_no_sense_is_refused),
		UNIT_TEST(test_commit_to_a_life_that_forgot_gives_the_partition_back),
		UNIT_TEST(test_unknown_jobs_are_answered_so_that_nobody_waits),
		UNIT_TEST(test_who_owns_it_now_is_the_better_answer),
		UNIT_TEST(test_batches_of_nobody_stop_their_source),
		UNIT_TEST(test_a_new_life_of_a_peer_ends_jobs_with_the_old_one),
		UNIT_TEST(test_news_reach_the_machine_they_are_about),
		UNIT_TEST(test_the_deadline_is_the_earliest_and_passes),
		UNIT_TEST(test_bad_options_are_refused),
		UNIT_TEST(test_reasons_have_words),
		{ NULL, NULL },
	};

	return unit_run("migration_jobs", tests);
}
