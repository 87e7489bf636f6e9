/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations under load and under faults: each row of the failure table of docs/migration.md, and many seeds of
 * everything at once. Invariants 1-7 are checked by the harness at every step; a test fails on the first violation.
 */
#include "tests/simulation/migration_harness.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <string.h>

#define A 0u
#define B 1u
#define C 2u
#define ID(node) ((node) + 1u)

/* ---- how the stories are told ---- */

static struct migration_harness *begin_with(const struct migration_harness_options *options)
{
	struct migration_harness *harness = migration_harness_create(options);

	/* Until everybody knows everybody and the owner, and there is data to move. */
	migration_harness_run(harness, 100, NULL, NULL);
	return harness;
}

static struct migration_harness *begin(uint64_t seed)
{
	struct migration_harness_options options;

	migration_harness_options_default(&options, seed);
	options.is_ordered = true;
	options.ring_size = 64;
	return begin_with(&options);
}

/* Heals everything; fails the test on any violation, and tells it. */
static void end(struct migration_harness *harness, uint64_t seed)
{
	const struct toy_violation *violation = migration_harness_violation(harness);

	migration_harness_settle(harness);
	if (violation->invariant != 0)
		printf("seed %llu: invariant %u at %.3f ms: %s\n", (unsigned long long)seed,
		       violation->invariant, (double)violation->at_us / 1000, violation->story);
	CU_ASSERT_EQUAL(violation->invariant, 0);
	migration_harness_destroy(harness);
}

struct place {
	uint32_t node;
	uint32_t state;
};

static bool source_is_at(const struct migration_harness *harness, const void *context)
{
	const struct place *place = context;
	const struct migration_jobs *jobs = migration_harness_jobs(harness, place->node);
	const struct migration_source *source = jobs ? migration_jobs_source(jobs, 0) : NULL;

	return source && source->machine.state == place->state;
}

static bool target_is_at(const struct migration_harness *harness, const void *context)
{
	const struct place *place = context;
	const struct migration_jobs *jobs = migration_harness_jobs(harness, place->node);
	const struct migration_target *target = jobs ? migration_jobs_target(jobs, 0) : NULL;

	return target && target->machine.state == place->state;
}

static bool job_is_over(const struct migration_harness *harness, const void *context)
{
	const uint32_t *node = context;
	const struct migration_jobs *jobs = migration_harness_jobs(harness, *node);

	return jobs && migration_jobs_count(jobs) == 0;
}

static bool is_owner(const struct migration_harness *harness, const void *context)
{
	const uint32_t *node = context;

	return migration_harness_owner(harness, *node, 0).owner == ID(*node);
}

static bool is_claimed(const struct migration_harness *harness, const void *context)
{
	(void)context;
	return migration_harness_counts(harness)->claimed > 0;
}

/* Whether a target claims, of itself, within that time. */
static bool run_until_claimed(struct migration_harness *harness, uint32_t duration_max_ms)
{
	return migration_harness_run(harness, duration_max_ms, is_claimed, NULL);
}

static bool run_until_source(struct migration_harness *harness, uint32_t node,
			     enum migration_source_state state)
{
	const struct place place = { node, state };

	return migration_harness_run(harness, 3000, source_is_at, &place);
}

static bool run_until_target(struct migration_harness *harness, uint32_t node,
			     enum migration_target_state state)
{
	const struct place place = { node, state };

	return migration_harness_run(harness, 3000, target_is_at, &place);
}

static void run_until_over(struct migration_harness *harness, uint32_t node)
{
	CU_ASSERT(migration_harness_run(harness, 5000, job_is_over, &node));
}

static void run_ms(struct migration_harness *harness, uint32_t duration_ms)
{
	migration_harness_run(harness, duration_ms, NULL, NULL);
}

static struct partition_owner owner_at(const struct migration_harness *harness, uint32_t node)
{
	return migration_harness_owner(harness, node, 0);
}

/* ---- without faults ---- */

static void test_a_partition_moves_under_writes(void)
{
	struct migration_harness *harness = begin(1);
	const uint32_t to = B;

	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_target(harness, B, TARGET_RECEIVING));
	CU_ASSERT(migration_harness_is_importing(harness, B, 0));
	CU_ASSERT(migration_harness_is_migrating(harness, A, 0));
	CU_ASSERT(migration_harness_run(harness, 1000, is_owner, &to));
	run_until_over(harness, A);
	run_until_over(harness, B);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(B));
	CU_ASSERT_EQUAL(owner_at(harness, A).epoch, 2);
	CU_ASSERT_EQUAL(migration_harness_item_count(harness, A, 0), 0);
	CU_ASSERT(migration_harness_item_count(harness, B, 0) > 0);
	CU_ASSERT_FALSE(migration_harness_is_importing(harness, B, 0));
	CU_ASSERT_FALSE(migration_harness_is_migrating(harness, A, 0));
	end(harness, 1);
}

/* A to B to C to A, again and again; the network keeps the order, as TCP does. */
static void test_no_request_fails_while_partitions_go_round(void)
{
	uint64_t migrated = 0;

	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct migration_harness *harness = begin(seed);
		const struct migration_harness_counts *counts = migration_harness_counts(harness);

		migration_harness_rotate(harness, 1000);
		run_ms(harness, 500);
		migrated += counts->migrated;
		CU_ASSERT_EQUAL(counts->failed, 0);
		CU_ASSERT(counts->parked_us_max < 20000);
		CU_ASSERT(counts->latency_us_max < 50000);
		CU_ASSERT_EQUAL(counts->aborted, counts->reasons[MIGRATION_AT_CAPACITY]);
		end(harness, seed);
	}
	CU_ASSERT(migrated > 1000);
}

static void test_an_empty_partition_moves(void)
{
	struct migration_harness_options options;
	struct migration_harness *harness;

	migration_harness_options_default(&options, 3);
	options.op_interval_us = 0;
	harness = begin_with(&options);
	migration_harness_want(harness, 0, C);
	end(harness, 3);
}

/* Invariant 7: the scan passes each slot once; writes beside it do not make it longer. */
static void test_a_scan_ends_whatever_the_write_rate(void)
{
	struct migration_harness_options options;
	struct migration_harness *harness;
	const struct migration_source *source;

	migration_harness_options_default(&options, 4);
	options.is_ordered = true;
	options.ring_size = 64;
	options.op_interval_us = 60;
	harness = begin_with(&options);
	migration_harness_want(harness, 0, B);
	CU_ASSERT_FATAL(run_until_source(harness, A, SOURCE_VERIFYING));
	source = migration_jobs_source(migration_harness_jobs(harness, A), 0);
	CU_ASSERT(source->progress.items <= TOY_KEY_COUNT);
	CU_ASSERT(source->progress.deltas > 0);
	end(harness, 4);
}

static void test_the_same_seed_is_the_same_run(void)
{
	uint64_t traces[4];

	for (uint32_t i = 0; i < 4; i++) {
		struct migration_harness_options options;
		struct migration_harness *harness;

		migration_harness_options_default(&options, i < 3 ? 77 : 78);
		options.loss_percent = 10;
		options.duplicate_percent = 10;
		options.has_cuts = true;
		options.has_crashes = true;
		options.fault_interval_ms = 100;
		harness = begin_with(&options);
		migration_harness_rotate(harness, 100);
		run_ms(harness, 1000);
		traces[i] = migration_harness_trace(harness);
		end(harness, options.seed);
	}
	CU_ASSERT_EQUAL(traces[0], traces[1]);
	CU_ASSERT_EQUAL(traces[0], traces[2]);
	CU_ASSERT_NOT_EQUAL(traces[0], traces[3]);
}

/* ---- row: the target dies or goes silent, before COMMIT ---- */

static void test_target_dies_before_commit_source_serves_on(void)
{
	static const enum migration_source_state states[] = {
		SOURCE_MARKING, SOURCE_COPYING, SOURCE_VERIFYING,
		SOURCE_FENCING, SOURCE_FENCED,  SOURCE_FENCING_READS
	};

	for (uint32_t i = 0; i < 6; i++) {
		struct migration_harness *harness = begin(10 + i);

		migration_harness_want(harness, 0, B);
		CU_ASSERT_FATAL(run_until_source(harness, A, states[i]));
		migration_harness_crash(harness, B);
		/* A READY may have been under way: then the decision falls, and B is asked in vain. */
		if (states[i] != SOURCE_FENCED && states[i] != SOURCE_FENCING_READS) {
			run_until_over(harness, A);
			CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(A));
			CU_ASSERT_EQUAL(owner_at(harness, A).epoch, 1);
			CU_ASSERT_FALSE(migration_harness_is_migrating(harness, A, 0));
		}
		end(harness, 10 + i);
	}
}

static void test_target_goes_silent_before_commit_both_ends_give_up(void)
{
	static const enum migration_source_state states[] = { SOURCE_COPYING, SOURCE_VERIFYING,
							      SOURCE_FENCING };

	for (uint32_t i = 0; i < 3; i++) {
		struct migration_harness *harness = begin(20 + i);

		migration_harness_want(harness, 0, B);
		CU_ASSERT_FATAL(run_until_source(harness, A, states[i]));
		/* C still reaches both: nobody is dead, nobody answers. */
		migration_harness_cut(harness, A, B);
		run_until_over(harness, A);
		migration_harness_want(harness, 0, A);
		CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(A));
		run_until_over(harness, B);
		CU_ASSERT_EQUAL(migration_harness_item_count(harness, B, 0), 0);
		CU_ASSERT_FALSE(migration_harness_is_importing(harness, B, 0));
		CU_ASSERT_EQUAL(migration_harness_counts(harness)->failed, 0);
		end(harness, 20 + i);
	}
}

/* ---- row: the target dies after COMMIT, without COMMITTED ---- */

static void test_lost_committed_is_asked_for_until_it_comes(void)
{
	struct migration_harness *harness = begin(30);

	migration_harness_want(harness, 0, B);
	migration_harness_lose(harness, B, SYNC_COMMITTED, 20);
	CU_ASSERT(run_until_target(harness, B, TARGET_CONFIRMING));
	run_ms(harness, 100);
	CU_ASSERT_EQUAL(migration_jobs_source(migration_harness_jobs(harness, A), 0)->machine.state,
			SOURCE_COMMITTING);
	CU_ASSERT(migration_harness_item_count(harness, A, 0) > 0);
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(migration_harness_item_count(harness, A, 0), 0);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->migrated, 1);
	end(harness, 30);
}

static void test_lost_commit_is_repeated(void)
{
	struct migration_harness *harness = begin(31);

	migration_harness_want(harness, 0, B);
	migration_harness_lose(harness, A, SYNC_COMMIT, 5);
	CU_ASSERT(run_until_source(harness, A, SOURCE_COMMITTING));
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->migrated, 1);
	end(harness, 31);
}

/* Brings A into doubt: COMMIT is sent, B dies, and what B knew dies with it. */
static struct migration_harness *begin_in_doubt(uint64_t seed)
{
	struct migration_harness *harness = begin(seed);

	migration_harness_want(harness, 0, B);
	migration_harness_lose(harness, B, SYNC_COMMITTED, 1000);
	CU_ASSERT(run_until_target(harness, B, TARGET_CONFIRMING));
	run_ms(harness, 20);
	migration_harness_crash(harness, B);
	return harness;
}

static void test_target_dies_after_commit_source_keeps_data_and_asks_for_ever(void)
{
	struct migration_harness *harness = begin_in_doubt(32);
	const struct migration_source *source;

	run_ms(harness, 20000);
	source = migration_jobs_source(migration_harness_jobs(harness, A), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(source);
	CU_ASSERT(migration_source_is_in_doubt(source));
	CU_ASSERT(migration_harness_item_count(harness, A, 0) > 0);
	/* It does not take it back by itself. */
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(B));
	CU_ASSERT_EQUAL(owner_at(harness, A).epoch, 2);
	end(harness, 32);
}

static void test_target_that_returns_without_memory_gives_the_partition_back(void)
{
	struct migration_harness *harness = begin_in_doubt(33);

	run_ms(harness, 1000);
	migration_harness_want(harness, 0, A);
	migration_harness_restart(harness, B);
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(A));
	CU_ASSERT_EQUAL(owner_at(harness, A).epoch, 3);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->reclaimed, 1);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->operator_claims, 0);
	end(harness, 33);
}

static void test_target_that_returns_with_its_memory_confirms(void)
{
	struct migration_harness *harness = begin(34);

	migration_harness_want(harness, 0, B);
	migration_harness_lose(harness, B, SYNC_COMMITTED, 1);
	CU_ASSERT(run_until_target(harness, B, TARGET_CONFIRMING));
	migration_harness_isolate(harness, B);
	run_ms(harness, 3000);
	CU_ASSERT_EQUAL(migration_jobs_source(migration_harness_jobs(harness, A), 0)->machine.state,
			SOURCE_COMMITTING);
	migration_harness_join(harness, A, B);
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->migrated, 1);
	end(harness, 34);
}

static void test_operator_resolves_doubt_at_the_source(void)
{
	struct migration_harness *harness = begin_in_doubt(35);

	run_ms(harness, 2000);
	migration_harness_want(harness, 0, A);
	migration_harness_claim(harness, A, 0);
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(A));
	CU_ASSERT_EQUAL(owner_at(harness, A).epoch, 3);
	end(harness, 35);
}

/* ---- row: the source dies before READY ---- */

static void test_source_dies_before_ready_target_discards(void)
{
	static const enum migration_target_state states[] = { TARGET_PREPARING, TARGET_RECEIVING };

	for (uint32_t i = 0; i < 2; i++) {
		struct migration_harness *harness = begin(40 + i);

		migration_harness_want(harness, 0, B);
		CU_ASSERT(run_until_target(harness, B, states[i]));
		migration_harness_crash(harness, A);
		run_until_over(harness, B);
		CU_ASSERT_EQUAL(migration_harness_item_count(harness, B, 0), 0);
		CU_ASSERT_FALSE(migration_harness_is_importing(harness, B, 0));
		CU_ASSERT_EQUAL(owner_at(harness, B).owner, ID(A));
		CU_ASSERT_EQUAL(migration_harness_counts(harness)->claimed, 0);
		end(harness, 40 + i);
	}
}

/* What is there, but without the source's last word: kept for the operator to decide. */
static void test_operator_claims_what_the_target_has_verified(void)
{
	struct migration_harness *harness = begin(42);

	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_target(harness, B, TARGET_VERIFIED));
	migration_harness_crash(harness, A);
	run_ms(harness, 3000);
	CU_ASSERT_EQUAL(migration_jobs_target(migration_harness_jobs(harness, B), 0)->machine.state,
			TARGET_VERIFIED);
	CU_ASSERT_EQUAL(owner_at(harness, B).owner, ID(A));
	migration_harness_claim(harness, B, 0);
	run_ms(harness, 10);
	CU_ASSERT_EQUAL(owner_at(harness, B).owner, ID(B));
	CU_ASSERT(migration_harness_item_count(harness, B, 0) > 0);
	end(harness, 42);
}

/* ---- row: the source dies after READY, before COMMIT was seen ---- */

static struct migration_harness *begin_ready(uint64_t seed)
{
	struct migration_harness *harness = begin(seed);

	migration_harness_want(harness, 0, B);
	migration_harness_lose(harness, A, SYNC_COMMIT, 1000);
	CU_ASSERT(run_until_target(harness, B, TARGET_READY));
	return harness;
}

static void test_source_dies_after_ready_target_claims(void)
{
	struct migration_harness *harness = begin_ready(50);
	uint64_t died_ms;

	migration_harness_crash(harness, A);
	died_ms = migration_harness_now_ms(harness);
	CU_ASSERT(run_until_claimed(harness, 5000));
	/* Declared dead after 300 ms, claimed 400 ms after that. */
	CU_ASSERT(migration_harness_now_ms(harness) - died_ms >= 700);
	CU_ASSERT_EQUAL(owner_at(harness, B).owner, ID(B));
	CU_ASSERT_EQUAL(owner_at(harness, B).epoch, 2);
	CU_ASSERT_EQUAL(migration_harness_history(harness)->lossy_takeovers, 0);
	end(harness, 50);
}

static void test_source_dies_after_ready_no_claim_without_majority(void)
{
	struct migration_harness *harness = begin_ready(51);

	migration_harness_crash(harness, A);
	migration_harness_cut(harness, B, C);
	run_ms(harness, 10000);
	CU_ASSERT_EQUAL(owner_at(harness, B).owner, ID(A));
	migration_harness_join(harness, B, C);
	CU_ASSERT(run_until_claimed(harness, 5000));
	end(harness, 51);
}

/* ---- row: a third node plans the same partition ---- */

static void test_third_node_is_refused_busy(void)
{
	struct migration_harness *harness = begin(60);
	const struct migration_jobs *jobs = migration_harness_jobs(harness, A);
	const struct sync_message prepare = { .kind = SYNC_PREPARE,
					      .job = 4711,
					      .attempt = 1,
					      .sender = ID(C),
					      .generation = 1,
					      .epoch = 1 };

	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_source(harness, A, SOURCE_COPYING));
	migration_harness_inject(harness, C, A, &prepare);
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(migration_jobs_counters(jobs)->refused_busy, 1);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(B));
	end(harness, 60);
}

static void test_rivals_do_not_harm(void)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct migration_harness_options options;
		struct migration_harness *harness;

		migration_harness_options_default(&options, seed);
		options.has_rivals = true;
		options.partition_count = 2;
		options.ring_size = 64;
		harness = begin_with(&options);
		migration_harness_rotate(harness, 20);
		run_ms(harness, 500);
		CU_ASSERT_EQUAL(migration_harness_counts(harness)->failed, 0);
		end(harness, seed);
	}
}

/* ---- row: an old attempt's packets arrive ---- */

static void test_old_attempts_are_refused(void)
{
	struct migration_harness *harness = begin(70);
	const struct migration_source *source;
	struct sync_message old = {
		.kind = SYNC_READY, .attempt = 1, .sender = ID(B), .generation = 1, .fence = 1
	};

	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_source(harness, A, SOURCE_COPYING));
	source = migration_jobs_source(migration_harness_jobs(harness, A), 0);
	old.job = source->job.job;
	/* The target begins again, the source with it. */
	old.kind = SYNC_PREPARE;
	old.attempt = 2;
	old.epoch = 1;
	migration_harness_inject(harness, B, A, &old);
	run_until_over(harness, A);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->reasons[MIGRATION_RESTARTED], 1);
	/* The attempt that is over does not start again. */
	old.attempt = 1;
	migration_harness_inject(harness, B, A, &old);
	run_ms(harness, 2);
	source = migration_jobs_source(migration_harness_jobs(harness, A), 0);
	CU_ASSERT(!source || source->job.attempt != 1 || source->job.job != old.job);
	end(harness, 70);
}

/* ---- row: a minority is cut off ---- */

static void test_source_cut_off_is_succeeded_and_drops_its_copy(void)
{
	struct migration_harness *harness = begin_ready(80);

	migration_harness_isolate(harness, A);
	CU_ASSERT(run_until_claimed(harness, 5000));
	CU_ASSERT(migration_harness_item_count(harness, A, 0) > 0);
	migration_harness_join(harness, A, B);
	migration_harness_join(harness, A, C);
	run_until_over(harness, A);
	run_until_over(harness, B);
	run_ms(harness, 100);
	CU_ASSERT_EQUAL(migration_harness_item_count(harness, A, 0), 0);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(B));
	end(harness, 80);
}

static void test_target_cut_off_claims_nothing(void)
{
	struct migration_harness *harness = begin_ready(81);

	migration_harness_isolate(harness, B);
	run_ms(harness, 10000);
	CU_ASSERT_EQUAL(owner_at(harness, B).owner, ID(A));
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->claimed, 0);
	end(harness, 81);
}

/* ---- row: the source restarts ---- */

static void test_source_restart_voids_its_job(void)
{
	static const enum migration_target_state states[] = { TARGET_PREPARING, TARGET_RECEIVING };

	for (uint32_t i = 0; i < 2; i++) {
		struct migration_harness *harness = begin(90 + i);

		migration_harness_want(harness, 0, B);
		CU_ASSERT(run_until_target(harness, B, states[i]));
		migration_harness_crash(harness, A);
		migration_harness_restart(harness, A);
		run_until_over(harness, B);
		CU_ASSERT_EQUAL(migration_harness_item_count(harness, B, 0), 0);
		end(harness, 90 + i);
	}
}

/* A new generation proves that the old one's memory is gone: no reason to wait. */
static void test_source_restart_after_ready_lets_the_target_claim_at_once(void)
{
	static const enum migration_target_state states[] = { TARGET_VERIFIED, TARGET_READY };

	for (uint32_t i = 0; i < 2; i++) {
		struct migration_harness *harness = begin(92 + i);

		migration_harness_want(harness, 0, B);
		CU_ASSERT(run_until_target(harness, B, states[i]));
		migration_harness_crash(harness, A);
		migration_harness_restart(harness, A);
		CU_ASSERT(run_until_claimed(harness, 200));
		run_until_over(harness, B);
		end(harness, 92 + i);
	}
}

/* ---- other ways to fail ---- */

static void test_target_without_memory_aborts_with_that_reason(void)
{
	struct migration_harness_options options;
	struct migration_harness *harness;
	const struct migration_harness_counts *counts;

	migration_harness_options_default(&options, 100);
	options.is_ordered = true;
	options.ring_size = 64;
	options.oom_permille = 1000;
	harness = begin_with(&options);
	counts = migration_harness_counts(harness);
	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_target(harness, B, TARGET_DISCARDING));
	CU_ASSERT_EQUAL(migration_jobs_target(migration_harness_jobs(harness, B), 0)->reason,
			MIGRATION_OUT_OF_MEMORY);
	run_until_over(harness, A);
	CU_ASSERT(counts->reasons[MIGRATION_OUT_OF_MEMORY] > 0);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, ID(A));
	CU_ASSERT_EQUAL(counts->failed, 0);
	end(harness, 100);
}

static void test_writes_faster_than_deltas_can_go_never_commit_with_a_gap(void)
{
	uint64_t lost = 0;

	for (uint64_t seed = 110; seed < 160; seed++) {
		struct migration_harness_options options;
		struct migration_harness *harness;

		migration_harness_options_default(&options, seed);
		options.op_interval_us = 50;
		options.ring_size = 4;
		harness = begin_with(&options);
		migration_harness_rotate(harness, 100);
		run_ms(harness, 200);
		lost += migration_harness_counts(harness)->reasons[MIGRATION_DELTAS_LOST];
		CU_ASSERT_EQUAL(migration_harness_counts(harness)->failed, 0);
		end(harness, seed);
	}
	CU_ASSERT(lost > 50);
}

static void cancel_source_at(enum migration_source_state state, uint64_t seed)
{
	struct migration_harness *harness = begin(seed);
	bool is_too_late = state >= SOURCE_COMMITTING;

	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_source(harness, A, state));
	migration_harness_want(harness, 0, A);
	migration_harness_cancel(harness, A, 0);
	run_until_over(harness, A);
	run_until_over(harness, B);
	CU_ASSERT_EQUAL(migration_harness_counts(harness)->migrated, is_too_late);
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, is_too_late ? ID(B) : ID(A));
	end(harness, seed);
}

static void cancel_target_at(enum migration_target_state state, uint64_t seed)
{
	struct migration_harness *harness = begin(seed);
	bool is_too_late = state >= TARGET_FINALIZING;

	migration_harness_want(harness, 0, B);
	CU_ASSERT(run_until_target(harness, B, state));
	migration_harness_want(harness, 0, A);
	migration_harness_cancel(harness, B, 0);
	run_until_over(harness, B);
	run_until_over(harness, A);
	/* In READY the source may have decided already: then it is too late, and known to both. */
	if (state != TARGET_READY)
		CU_ASSERT_EQUAL(owner_at(harness, A).owner, is_too_late ? ID(B) : ID(A));
	CU_ASSERT_EQUAL(owner_at(harness, A).owner, owner_at(harness, B).owner);
	end(harness, seed);
}

static void test_cancel_in_every_state(void)
{
	for (uint32_t state = SOURCE_MARKING; state <= SOURCE_DROPPING; state++)
		cancel_source_at((enum migration_source_state)state, 200 + state);
	for (uint32_t state = TARGET_PREPARING; state <= TARGET_CONFIRMING; state++)
		cancel_target_at((enum migration_target_state)state, 220 + state);
}

static void test_a_connection_that_is_cut_resumes_where_it_was(void)
{
	for (uint64_t seed = 300; seed < 340; seed++) {
		struct migration_harness *harness = begin(seed);

		migration_harness_want(harness, 0, B);
		CU_ASSERT(run_until_source(harness, A, SOURCE_COPYING));
		for (uint32_t i = 0; i < 5; i++) {
			migration_harness_cut(harness, A, B);
			run_ms(harness, 5);
			migration_harness_join(harness, A, B);
			run_ms(harness, 3);
		}
		run_until_over(harness, A);
		CU_ASSERT_EQUAL(migration_harness_counts(harness)->migrated, 1);
		CU_ASSERT_EQUAL(migration_harness_counts(harness)->started, 1);
		end(harness, seed);
	}
}

/* ---- everything at once, many seeds ---- */

struct campaign {
	uint64_t first_seed;
	uint32_t seed_count;
	uint32_t loss_percent_max;
	bool has_cuts;
	bool has_crashes;
	uint32_t fault_interval_ms;
	struct migration_harness_counts counts;
	uint64_t lossy_takeovers;
};

static void campaign_options(const struct campaign *campaign, uint64_t seed,
			     struct migration_harness_options *options)
{
	migration_harness_options_default(options, seed);
	options->loss_percent = (uint32_t)(seed % (campaign->loss_percent_max + 1));
	options->duplicate_percent = 20;
	options->corrupt_percent = 1;
	options->delay_us_max = 2000;
	options->op_interval_us = 1000;
	options->ring_size = (uint32_t)(seed % 3 ? 64 : 16);
	options->partition_count = seed % 4 ? 1 : 2;
	options->has_cuts = campaign->has_cuts;
	options->has_crashes = campaign->has_crashes;
	options->has_cancels = true;
	options->has_rivals = seed % 5 == 0;
	options->fault_interval_ms = campaign->fault_interval_ms;
	options->oom_permille = seed % 7 == 0 ? 5 : 0;
}

static void add_counts(struct campaign *campaign, const struct migration_harness *harness)
{
	const struct migration_harness_counts *counts = migration_harness_counts(harness);
	struct migration_harness_counts *sum = &campaign->counts;

	sum->events += counts->events;
	sum->answered += counts->answered;
	sum->started += counts->started;
	sum->migrated += counts->migrated;
	sum->aborted += counts->aborted;
	sum->reclaimed += counts->reclaimed;
	sum->superseded += counts->superseded;
	sum->claimed += counts->claimed;
	sum->crashes += counts->crashes;
	campaign->lossy_takeovers += migration_harness_history(harness)->lossy_takeovers;
}

static void run_campaign(struct campaign *campaign)
{
	for (uint32_t i = 0; i < campaign->seed_count; i++) {
		uint64_t seed = campaign->first_seed + i;
		struct migration_harness_options options;
		struct migration_harness *harness;

		campaign_options(campaign, seed, &options);
		harness = begin_with(&options);
		migration_harness_rotate(harness, 1000);
		run_ms(harness, 500);
		add_counts(campaign, harness);
		end(harness, seed);
	}
	printf("  %u seeds: %llu events, %llu requests, %llu jobs: %llu migrated, %llu aborted, "
	       "%llu taken back, %llu superseded, %llu claimed; %llu crashes\n",
	       campaign->seed_count, (unsigned long long)campaign->counts.events,
	       (unsigned long long)campaign->counts.answered,
	       (unsigned long long)campaign->counts.started,
	       (unsigned long long)campaign->counts.migrated,
	       (unsigned long long)campaign->counts.aborted,
	       (unsigned long long)campaign->counts.reclaimed,
	       (unsigned long long)campaign->counts.superseded,
	       (unsigned long long)campaign->counts.claimed,
	       (unsigned long long)campaign->counts.crashes);
}

static void test_seeds_with_loss_duplication_and_reordering(void)
{
	struct campaign campaign = { .first_seed = 1000,
				     .seed_count = 1500,
				     .loss_percent_max = 20,
				     .fault_interval_ms = 150 };

	run_campaign(&campaign);
	CU_ASSERT(campaign.counts.migrated > campaign.seed_count / 2);
	CU_ASSERT_EQUAL(campaign.lossy_takeovers, 0);
}

static void test_seeds_with_links_cut_at_random(void)
{
	struct campaign campaign = { .first_seed = 2000,
				     .seed_count = 1500,
				     .loss_percent_max = 10,
				     .has_cuts = true,
				     .fault_interval_ms = 80 };

	run_campaign(&campaign);
	CU_ASSERT(campaign.counts.migrated > campaign.seed_count / 2);
}

static void test_seeds_with_crashes(void)
{
	struct campaign campaign = { .first_seed = 3000,
				     .seed_count = 1500,
				     .loss_percent_max = 10,
				     .has_cuts = true,
				     .has_crashes = true,
				     .fault_interval_ms = 150 };

	run_campaign(&campaign);
	CU_ASSERT(campaign.counts.crashes > campaign.seed_count / 4);
	CU_ASSERT(campaign.counts.claimed > 0);
}

/* ---- a crash in every phase, of the source, the target, the third node ---- */

/* Runs one point; returns whether it fired. */
static bool run_crash_point(const struct sim_crash_point *point, uint64_t seed)
{
	struct migration_harness_options options;
	struct migration_harness *harness;
	bool has_fired;

	migration_harness_options_default(&options, seed);
	options.crash = *point;
	options.crash.is_armed = true;
	options.delay_us_max = 1000;
	options.op_interval_us = 600;
	options.ring_size = seed % 2 ? 64 : 12;
	options.oom_permille = seed % 4 == 2 ? 20 : 0;
	harness = begin_with(&options);
	migration_harness_rotate(harness, 1000);
	run_ms(harness, 1200);
	has_fired = migration_harness_counts(harness)->crash_points > 0;
	end(harness, seed);
	return has_fired;
}

static uint32_t run_crash_points(bool is_of_target, uint32_t state)
{
	static const uint32_t restarts_ms[] = { 0, 20, 600 };
	uint32_t fired = 0;

	for (uint32_t victim = SIM_SOURCE; victim <= SIM_THIRD; victim++) {
		for (uint32_t way = 0; way < 4; way++) {
			const struct sim_crash_point point = {
				.isolates = way == 3,
				.is_of_target = is_of_target,
				.state = state,
				.victim = (enum sim_victim)victim,
				.restart_after_ms = way < 3 ? restarts_ms[way] : 0,
			};

			for (uint64_t seed = 1; seed <= 4; seed++)
				fired += run_crash_point(&point, seed + 100 * state + 10 * way);
		}
	}
	return fired;
}

static void test_crash_in_every_phase_of_the_source(void)
{
	for (uint32_t state = SOURCE_MARKING; state <= SOURCE_DONE; state++) {
		uint32_t fired = run_crash_points(false, state);

		if (fired == 0)
			printf("source state %s was never reached\n",
			       migration_source_state_name((enum migration_source_state)state));
		CU_ASSERT(fired > 0);
	}
}

static void test_crash_in_every_phase_of_the_target(void)
{
	for (uint32_t state = TARGET_PREPARING; state <= TARGET_DONE; state++) {
		uint32_t fired = run_crash_points(true, state);

		if (fired == 0)
			printf("target state %s was never reached\n",
			       migration_target_state_name((enum migration_target_state)state));
		CU_ASSERT(fired > 0);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_partition_moves_under_writes),
		UNIT_TEST(test_no_request_fails_while_partitions_go_round),
		UNIT_TEST(test_an_empty_partition_moves),
		UNIT_TEST(test_a_scan_ends_whatever_the_write_rate),
		UNIT_TEST(test_the_same_seed_is_the_same_run),
		UNIT_TEST(test_target_dies_before_commit_source_serves_on),
		UNIT_TEST(test_target_goes_silent_before_commit_both_ends_give_up),
		UNIT_TEST(test_lost_committed_is_asked_for_until_it_comes),
		UNIT_TEST(test_lost_commit_is_repeated),
		UNIT_TEST(test_target_dies_after_commit_source_keeps_data_and_asks_for_ever),
		UNIT_TEST(test_target_that_returns_without_memory_gives_the_partition_back),
		UNIT_TEST(test_target_that_returns_with_its_memory_confirms),
		UNIT_TEST(test_operator_resolves_doubt_at_the_source),
		UNIT_TEST(test_source_dies_before_ready_target_discards),
		UNIT_TEST(test_operator_claims_what_the_target_has_verified),
		UNIT_TEST(test_source_dies_after_ready_target_claims),
		UNIT_TEST(test_source_dies_after_ready_no_claim_without_majority),
		UNIT_TEST(test_third_node_is_refused_busy),
		UNIT_TEST(test_rivals_do_not_harm),
		UNIT_TEST(test_old_attempts_are_refused),
		UNIT_TEST(test_source_cut_off_is_succeeded_and_drops_its_copy),
		UNIT_TEST(test_target_cut_off_claims_nothing),
		UNIT_TEST(test_source_restart_voids_its_job),
		UNIT_TEST(test_source_restart_after_ready_lets_the_target_claim_at_once),
		UNIT_TEST(test_target_without_memory_aborts_with_that_reason),
		UNIT_TEST(test_writes_faster_than_deltas_can_go_never_commit_with_a_gap),
		UNIT_TEST(test_cancel_in_every_state),
		UNIT_TEST(test_a_connection_that_is_cut_resumes_where_it_was),
		UNIT_TEST(test_seeds_with_loss_duplication_and_reordering),
		UNIT_TEST(test_seeds_with_links_cut_at_random),
		UNIT_TEST(test_seeds_with_crashes),
		UNIT_TEST(test_crash_in_every_phase_of_the_source),
		UNIT_TEST(test_crash_in_every_phase_of_the_target),
		{ NULL, NULL },
	};

	return unit_run("migration", tests);
}
