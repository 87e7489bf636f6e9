/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole clusters of production nodes under seeded faults; and that the judge of what clients saw can find fault. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/simulation/sim.h"
#include "tests/unit/unit.h"

#define SEEDS 200u
#define CALM_SEEDS 20u
/* No request waits longer when nothing goes wrong, moved or not: the wait for a fence, and for an answer of the new owner. */
#define LONGEST_US_MAX 100000u
#define FAULT_SEEDS 10u
#define MOVING_SEEDS 3u
#define KEYS 6u
#define COUNTER 0u
#define REGISTER 1u

/* ---- the judge ---- */

static void open_history(struct sim_history *history)
{
	sim_history_init(history, KEYS, 4);
}

static void close_history(struct sim_history *history, uint32_t invariant)
{
	CU_ASSERT_EQUAL(history->violation.invariant, invariant);
	sim_history_fini(history);
}

static uint32_t put(struct sim_history *history, bool is_removal)
{
	uint32_t number = sim_history_begin_write(history, REGISTER, is_removal, 0);

	sim_history_end_write(history, REGISTER, number, SIM_DONE);
	return number;
}

static void look(struct sim_history *history, uint32_t key, bool is_present, uint32_t number)
{
	struct sim_read begun = sim_history_begin_read(history, key);

	sim_history_end_read(history, key, &begun, is_present, number);
}

static void what_was_written_may_be_read(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	look(&history, REGISTER, false, 0);
	look(&history, REGISTER, true, put(&history, false));
	put(&history, true);
	look(&history, REGISTER, false, 0);
	number = sim_history_begin_write(&history, REGISTER, false, 0);
	look(&history, REGISTER, false, 0);
	look(&history, REGISTER, true, number);
	sim_history_end_write(&history, REGISTER, number, SIM_UNKNOWN);
	look(&history, REGISTER, true, number);
	close_history(&history, 0);
}

static void a_lost_write_is_found(void)
{
	struct sim_history history;

	open_history(&history);
	put(&history, false);
	look(&history, REGISTER, false, 0);
	close_history(&history, 2);
}

static void a_stale_read_is_found(void)
{
	struct sim_history history;
	uint32_t first;

	open_history(&history);
	first = put(&history, false);
	put(&history, false);
	look(&history, REGISTER, true, first);
	close_history(&history, 3);
}

static void a_removed_key_that_comes_back_is_found(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	number = put(&history, false);
	put(&history, true);
	look(&history, REGISTER, true, number);
	close_history(&history, 3);
}

static void a_read_that_goes_back_in_time_is_found(void)
{
	struct sim_history history;
	uint32_t first, second;

	open_history(&history);
	first = put(&history, false);
	second = sim_history_begin_write(&history, REGISTER, false, 0);
	look(&history, REGISTER, true, second);
	look(&history, REGISTER, true, first);
	close_history(&history, 3);
}

static void a_refused_write_that_is_read_is_found(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	number = sim_history_begin_write(&history, REGISTER, false, 0);
	sim_history_end_write(&history, REGISTER, number, SIM_NOT_DONE);
	look(&history, REGISTER, true, number);
	close_history(&history, 2);
}

static void a_removal_that_finds_too_much_is_found(void)
{
	struct sim_history history;

	open_history(&history);
	put(&history, true);
	sim_history_end_removal(&history, REGISTER,
				sim_history_begin_write(&history, REGISTER, true, 0), true);
	close_history(&history, 3);
}

static void count(struct sim_history *history, enum sim_outcome outcome, uint32_t number)
{
	sim_history_begin_count(history, COUNTER);
	sim_history_end_count(history, COUNTER, outcome, number);
}

static void an_increment_that_counts_twice_is_found(void)
{
	struct sim_history history;

	open_history(&history);
	count(&history, SIM_DONE, 1);
	count(&history, SIM_UNKNOWN, 0);
	count(&history, SIM_DONE, 3);
	CU_ASSERT_EQUAL(history.violation.invariant, 0);
	count(&history, SIM_DONE, 5);
	close_history(&history, 2);
}

static void an_increment_that_is_lost_is_found(void)
{
	struct sim_history history;

	open_history(&history);
	count(&history, SIM_DONE, 1);
	count(&history, SIM_DONE, 2);
	look(&history, COUNTER, true, 1);
	close_history(&history, 2);
}

#define TTL_MS 100u

/* A write from 1000 to 1010 ms: it may be gone from 1100 on, and must be from 1110 on. */
static uint32_t put_for_a_while(struct sim_history *history)
{
	uint32_t number;

	history->now_us = 1000000;
	number = sim_history_begin_write(history, REGISTER, false, TTL_MS);
	history->now_us = 1010000;
	sim_history_end_write(history, REGISTER, number, SIM_DONE);
	return number;
}

static void look_at(struct sim_history *history, uint32_t ms, bool is_present, uint32_t number)
{
	history->now_us = ms * UINT64_C(1000);
	look(history, REGISTER, is_present, number);
}

static void what_expires_may_be_gone_after_its_time(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	number = put_for_a_while(&history);
	look_at(&history, 1105, true, number);
	look_at(&history, 1105, false, 0);
	look_at(&history, 2000, false, 0);
	CU_ASSERT_EQUAL(history.gone, 2);
	close_history(&history, 0);
}

static void what_expires_too_early_is_found(void)
{
	struct sim_history history;

	open_history(&history);
	put_for_a_while(&history);
	look_at(&history, 1099, false, 0);
	close_history(&history, 2);
}

static void what_does_not_expire_is_found(void)
{
	struct sim_history history;

	open_history(&history);
	look_at(&history, 1109, true, put_for_a_while(&history));
	CU_ASSERT_EQUAL(history.violation.invariant, 0);
	look_at(&history, 1110, true, 1);
	close_history(&history, 3);
}

static void an_expired_key_that_comes_back_is_found(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	number = put_for_a_while(&history);
	look_at(&history, 1105, false, 0);
	look_at(&history, 1106, true, number);
	close_history(&history, 3);
}

static void clocks_that_differ_excuse_so_much_and_no_more(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	history.clock_error_ms = 20;
	number = put_for_a_while(&history);
	look_at(&history, 1081, false, 0);
	look_at(&history, 1129, true, number);
	CU_ASSERT_EQUAL(history.violation.invariant, 0);
	look_at(&history, 1130, true, number);
	close_history(&history, 3);
}

static void what_was_evicted_may_be_gone_but_not_back(void)
{
	struct sim_history history;
	uint32_t number;

	open_history(&history);
	history.is_evicting = true;
	number = put(&history, false);
	look(&history, REGISTER, true, number);
	look(&history, REGISTER, false, 0);
	CU_ASSERT_EQUAL(history.violation.invariant, 0);
	look(&history, REGISTER, true, number);
	close_history(&history, 3);
}

static void removals_know_what_expires(void)
{
	struct sim_history history;

	open_history(&history);
	put_for_a_while(&history);
	history.now_us = 1105000;
	sim_history_end_removal(&history, REGISTER,
				sim_history_begin_write(&history, REGISTER, true, 0), false);
	put_for_a_while(&history);
	history.now_us = 1105000;
	sim_history_end_removal(&history, REGISTER,
				sim_history_begin_write(&history, REGISTER, true, 0), true);
	CU_ASSERT_EQUAL(history.violation.invariant, 0);
	put_for_a_while(&history);
	history.now_us = 1110000;
	sim_history_end_removal(&history, REGISTER,
				sim_history_begin_write(&history, REGISTER, true, 0), true);
	close_history(&history, 3);
}

static void a_rest_that_no_write_explains_is_found(void)
{
	struct sim_history history;
	struct sim_read begun;

	for (uint64_t left_ms = 89; left_ms <= 101; left_ms++) {
		open_history(&history);
		put_for_a_while(&history);
		begun = sim_history_begin_read(&history, REGISTER);
		sim_history_end_ttl(&history, REGISTER, &begun, true, left_ms);
		close_history(&history, left_ms < 90 || left_ms > 100 ? 2 : 0);
	}
	open_history(&history);
	put_for_a_while(&history);
	begun = sim_history_begin_read(&history, REGISTER);
	sim_history_end_ttl(&history, REGISTER, &begun, true, UINT64_MAX);
	close_history(&history, 2);
}

static void what_died_with_its_owner_is_no_loss(void)
{
	struct sim_history history;

	open_history(&history);
	put(&history, false);
	count(&history, SIM_DONE, 1);
	for (uint32_t p = 0; p < 4; p++)
		sim_history_forget(&history, p);
	look(&history, REGISTER, false, 0);
	look(&history, COUNTER, false, 0);
	put(&history, false);
	close_history(&history, 0);
}

/* ---- claims at a known limit ---- */

static void mark_all(struct sim_history *history, enum sim_moment moment)
{
	for (uint32_t p = 0; p < 4; p++)
		sim_history_mark(history, p, moment);
}

static struct sim_loss fall_back(struct sim_history *history, bool is_back)
{
	struct sim_loss loss = { 0 };

	for (uint32_t p = 0; p < 4; p++) {
		struct sim_loss one = sim_history_fall_back(history, p, is_back);

		loss.until_claim += one.until_claim;
		loss.since_claim += one.since_claim;
		loss.kept += one.kept;
	}
	return loss;
}

static void what_was_written_behind_the_fence_may_be_lost(void)
{
	struct sim_history history;
	struct sim_loss loss;
	uint32_t first;

	open_history(&history);
	first = put(&history, false);
	count(&history, SIM_DONE, 1);
	mark_all(&history, SIM_AT_FENCE);
	put(&history, false);
	count(&history, SIM_DONE, 2);
	mark_all(&history, SIM_AT_CLAIM);
	loss = fall_back(&history, false);
	CU_ASSERT_EQUAL(loss.until_claim, 2);
	CU_ASSERT_EQUAL(loss.since_claim, 0);
	CU_ASSERT_EQUAL(loss.kept, 2);
	look(&history, REGISTER, true, first);
	look(&history, COUNTER, true, 1);
	close_history(&history, 0);
}

static void what_was_written_before_the_fence_must_be_there(void)
{
	struct sim_history history;

	open_history(&history);
	put(&history, false);
	mark_all(&history, SIM_AT_FENCE);
	put(&history, false);
	mark_all(&history, SIM_AT_CLAIM);
	fall_back(&history, false);
	look(&history, REGISTER, false, 0);
	close_history(&history, 2);

	open_history(&history);
	count(&history, SIM_DONE, 1);
	mark_all(&history, SIM_AT_FENCE);
	count(&history, SIM_DONE, 2);
	mark_all(&history, SIM_AT_CLAIM);
	fall_back(&history, true);
	look(&history, COUNTER, false, 0);
	close_history(&history, 2);
}

static void a_key_that_nobody_wrote_is_not_forgiven(void)
{
	struct sim_history history;
	struct sim_read begun;
	uint32_t first;

	open_history(&history);
	first = put(&history, false);
	put(&history, false);
	begun = sim_history_begin_read(&history, REGISTER);
	mark_all(&history, SIM_AT_FENCE);
	mark_all(&history, SIM_AT_CLAIM);
	fall_back(&history, true);
	sim_history_end_read(&history, REGISTER, &begun, true, first);
	close_history(&history, 3);
}

static void after_the_claim_only_a_source_that_is_back_is_forgiven(void)
{
	for (uint32_t is_back = 0; is_back < 2; is_back++) {
		struct sim_history history;
		struct sim_loss loss;
		uint32_t first;

		open_history(&history);
		first = put(&history, false);
		mark_all(&history, SIM_AT_FENCE);
		mark_all(&history, SIM_AT_CLAIM);
		put(&history, false);
		loss = fall_back(&history, is_back);
		CU_ASSERT_EQUAL(loss.since_claim, is_back);
		look(&history, REGISTER, true, first);
		close_history(&history, is_back ? 0 : 3);
	}
}

static void a_write_under_way_at_the_claim_may_die_with_the_source(void)
{
	struct sim_history history;
	uint32_t first, second;

	open_history(&history);
	first = put(&history, false);
	mark_all(&history, SIM_AT_FENCE);
	second = sim_history_begin_write(&history, REGISTER, false, 0);
	mark_all(&history, SIM_AT_CLAIM);
	fall_back(&history, false);
	sim_history_end_write(&history, REGISTER, second, SIM_DONE);
	look(&history, REGISTER, true, first);
	look(&history, REGISTER, true, put(&history, false));
	CU_ASSERT_EQUAL(history.violation.invariant, 0);
	look(&history, REGISTER, true, first);
	close_history(&history, 3);
}

static void a_write_begun_after_the_claim_is_the_new_owners(void)
{
	struct sim_history history;
	uint32_t first, second;

	open_history(&history);
	first = put(&history, false);
	mark_all(&history, SIM_AT_FENCE);
	put(&history, false);
	mark_all(&history, SIM_AT_CLAIM);
	second = sim_history_begin_write(&history, REGISTER, false, 0);
	fall_back(&history, false);
	sim_history_end_write(&history, REGISTER, second, SIM_DONE);
	look(&history, REGISTER, true, first);
	close_history(&history, 3);
}

/* ---- clusters ---- */

static void print_violation(uint64_t seed, const struct sim_result *result)
{
	if (result->violation.invariant != 0)
		printf("seed %" PRIu64
		       ": invariant %u after %.6f s: %s; build/simulate --seed %" PRIu64 "\n",
		       seed, result->violation.invariant, (double)result->violation.at_us / 1e6,
		       result->violation.story, seed);
}

static void same_seed_same_trace(void)
{
	struct sim_options options = { .seed = 42, .faults = SIM_FAULT_ALL };
	struct sim_result first, second, other;

	sim_run(&options, &first);
	sim_run(&options, &second);
	options.seed = 43;
	sim_run(&options, &other);
	CU_ASSERT_EQUAL(first.trace, second.trace);
	CU_ASSERT_EQUAL(first.counts.events, second.counts.events);
	CU_ASSERT_NOT_EQUAL(first.trace, other.trace);
}

/* Without a fault nothing is unknown and nothing fails, while partitions move all the time. */
static void in_fair_weather_every_request_is_answered(void)
{
	uint64_t moves = 0;

	for (uint64_t seed = 1; seed <= CALM_SEEDS; seed++) {
		const struct sim_options options = { .seed = seed, .steps = 40 };
		struct sim_result result;

		sim_run(&options, &result);
		print_violation(seed, &result);
		CU_ASSERT_EQUAL(result.violation.invariant, 0);
		CU_ASSERT_EQUAL(result.counts.unknown, 0);
		CU_ASSERT_EQUAL(result.counts.failed, 0);
		CU_ASSERT(result.counts.longest_us < LONGEST_US_MAX);
		moves += result.counts.moves;
	}
	CU_ASSERT(moves > 10 * CALM_SEEDS);
}

/* One fault at a time, all the time. */
static void run_with(uint32_t fault, struct sim_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	for (uint64_t seed = 1; seed <= FAULT_SEEDS; seed++) {
		const struct sim_options options = {
			.seed = seed, .steps = 60, .faults = 1u << fault, .is_every_fault = true
		};
		struct sim_result result;

		sim_run(&options, &result);
		print_violation(seed, &result);
		CU_ASSERT_EQUAL(result.violation.invariant, 0);
		counts->stalls += result.counts.stalls;
		counts->departures += result.counts.departures;
		counts->unknown += result.counts.unknown;
		counts->crowded += result.counts.crowded;
		counts->missed += result.counts.missed;
		counts->moves += result.counts.moves;
		for (uint32_t i = 0; i < SIM_LIMIT_COUNT; i++)
			counts->limits[i] += result.counts.limits[i];
		counts->faults[fault] += result.counts.faults[fault];
	}
	CU_ASSERT(counts->faults[fault] > 0);
	CU_ASSERT(counts->moves > 0);
}

static void clocks_that_differ_by_a_third_up_or_down_do_no_harm(void)
{
	struct sim_counts counts;

	run_with(SIM_FAULT_NUMBER_CLOCK, &counts);
}

static void nodes_return_with_older_generations_and_elsewhere(void)
{
	struct sim_counts counts;

	run_with(SIM_FAULT_NUMBER_REBIRTH, &counts);
}

static void orders_that_meet_end_in_one_owner(void)
{
	struct sim_counts counts;

	run_with(SIM_FAULT_NUMBER_OPERATORS, &counts);
}

static void clusters_that_grow_and_shrink_keep_what_they_have(void)
{
	struct sim_counts counts;

	run_with(SIM_FAULT_NUMBER_RESIZE, &counts);
	CU_ASSERT(counts.departures > 0);
	CU_ASSERT_EQUAL(counts.limits[0] + counts.limits[1] + counts.limits[2], 0);
}

/* No write is in doubt: a session in use is not given to another client. */
static void what_finds_no_room_is_refused_and_counted(void)
{
	struct sim_counts counts;

	run_with(SIM_FAULT_NUMBER_FULL, &counts);
	CU_ASSERT_EQUAL(counts.unknown, 0);
	CU_ASSERT(counts.crowded > 0);
	CU_ASSERT(counts.missed > 0);
}

static void a_worker_that_stands_still_is_noticed_and_waited_for(void)
{
	struct sim_counts counts;

	run_with(SIM_FAULT_NUMBER_STALL, &counts);
	CU_ASSERT(counts.stalls > 0);
	CU_ASSERT(counts.stalls < counts.faults[SIM_FAULT_NUMBER_STALL]);
}

/* A fault that keeps all partitions where they are would hide whatever else it does. */
static void partitions_move_whatever_the_fault(void)
{
	for (uint32_t fault = 0; fault < SIM_FAULT_COUNT; fault++) {
		uint64_t moves = 0;

		for (uint64_t seed = 1; seed <= MOVING_SEEDS; seed++) {
			const struct sim_options options = { .seed = seed,
							     .steps = 40,
							     .faults = 1u << fault,
							     .is_every_fault = true };
			struct sim_result result;

			sim_run(&options, &result);
			print_violation(seed, &result);
			CU_ASSERT_EQUAL(result.violation.invariant, 0);
			moves += result.counts.moves;
		}
		if (moves == 0)
			printf("%s: nothing moves\n", sim_fault_name(fault));
		CU_ASSERT(moves > 0);
	}
}

/* Faults before there was the last one. */
#define UNTIL_VERSIONS (SIM_FAULT_ALL & ~(uint32_t)SIM_FAULT_RESIZE)
#define AIMED (SIM_FAULT_ISOLATE | SIM_FAULT_CRASH | SIM_FAULT_PAUSE | SIM_FAULT_AIM)

/* Each has failed once, for the reason given. What nodes draw changes with their code: most are other runs today. */
static void seeds_that_failed_once_do_not(void)
{
	static const struct {
		uint64_t seed;
		uint32_t node_count;
		uint32_t faults; /* 0 = all until versions; of these, or of all, the seed takes some; else each */
	} seeds[] = {
		/* A claim entered during a round of spreading was taken for told. */
		{ 760, 0, 0 },
		/* A newcomer asked only those it was told are alive. */
		{ 251, 0,
		  SIM_FAULT_DELAY | SIM_FAULT_CUT | SIM_FAULT_ISOLATE | SIM_FAULT_CRASH |
			  SIM_FAULT_PAUSE | SIM_FAULT_CANCEL | SIM_FAULT_STALL | SIM_FAULT_CLOCK |
			  SIM_FAULT_REBIRTH },
		/* A partition was taken back empty while a source in doubt, thought dead, had it. */
		{ 27, 3, AIMED },
		{ 73, 3, AIMED },
		{ 127, 3, AIMED },
		/* What its earlier life owned, a target took for its source's word. */
		{ 519, 3, AIMED },
		{ 720160, 0, 0 },
		/* All who knew an epoch had forgotten it, and made a majority with one who never knew. */
		{ 2139, 3, AIMED },
		/* A target waited for ever for writes that its dead source had kept. */
		{ 1431, 3, AIMED },
		{ 1102743, 0, 0 },
		/* A worker's command that waited for memory held up those of other partitions. */
		{ 101, 0,
		  SIM_FAULT_DELAY | SIM_FAULT_BREAK | SIM_FAULT_MEMORY | SIM_FAULT_EXPIRY |
			  SIM_FAULT_STALL | SIM_FAULT_AIM | SIM_FAULT_OPERATORS },
		{ 50185, 0, 0 },
		{ 1002373, 0, 0 },
		{ 1002620, 0, 0 },
		{ 1100066, 0, 0 },
		{ 1153127, 0, 0 },
		/* Members hardly probed each other for a while after all had healed, and saw no majority. */
		{ 2064459, 0, 0 },
		/* A node that had been cut off knew of a member's next life when all told all again, half a minute later. */
		{ 4067041, 0, 0 },
		/* A rebalance that not all had heard of did not end at those who had. */
		{ 46, 0, SIM_FAULT_RESIZE },
		{ 125, 0, SIM_FAULT_RESIZE },
		/* A node that answered nobody, for one of its workers stood still, served on while it was claimed from. */
		{ 125, 0, SIM_FAULT_DELAY | SIM_FAULT_CUT | SIM_FAULT_STALL | SIM_FAULT_AIM },
		/* A target that was told another owner knew it, and its workers did not: their map stayed old. */
		{ 60009, 0,
		  SIM_FAULT_LOSS | SIM_FAULT_ISOLATE | SIM_FAULT_STALL | SIM_FAULT_REBIRTH |
			  SIM_FAULT_FULL | SIM_FAULT_VERSIONS | SIM_FAULT_RESIZE },
		/* A node left before anybody who stayed had heard who has its partitions. */
		{ 8058961, 0, SIM_FAULT_ALL },
		/* The judge was wrong: of counters that begin anew, of nodes that are no members, of sight lost in the turn of a
		 * claim, of an epoch that died with all who had heard of it, of requests parked before and after a long sleep,
		 * of a counter as it was before it began anew at an owner that died; it
		 * looked at a node that its cluster had just ended, and for one that another had not heard of yet.
		 */
		{ 8073573, 0, SIM_FAULT_ALL },
		{ 132, 0,
		  SIM_FAULT_DELAY | SIM_FAULT_BREAK | SIM_FAULT_MEMORY | SIM_FAULT_EXPIRY |
			  SIM_FAULT_STALL | SIM_FAULT_AIM | SIM_FAULT_OPERATORS },
		{ 5076, 0, 0 },
		{ 2053602, 0, 0 },
		{ 2002819, 0, 0 },
		{ 3000773, 0, 0 },
		{ 3003868, 0, 0 },
		{ 4065668, 0, 0 },
		{ 5007770, 0, 0 },
	};
	struct sim_result result;

	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		const struct sim_options options = {
			.seed = seeds[i].seed,
			.node_count = seeds[i].node_count,
			.faults = seeds[i].faults ? seeds[i].faults : UNTIL_VERSIONS,
			.is_every_fault =
				seeds[i].faults != 0 && seeds[i].faults != SIM_FAULT_ALL,
		};

		sim_run(&options, &result);
		print_violation(options.seed, &result);
		CU_ASSERT_EQUAL(result.violation.invariant, 0);
	}
}

/* Invariants 1 to 7 under all faults, some of them at a time. */
static void invariants_hold_under_faults(void)
{
	uint64_t moves = 0, crashes = 0, unknown = 0, damaged = 0, expired = 0, evicted = 0;
	uint64_t replayed = 0, haunted = 0, renewed = 0, departures = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		const struct sim_options options = { .seed = seed, .faults = SIM_FAULT_ALL };
		struct sim_result result;

		sim_run(&options, &result);
		print_violation(seed, &result);
		CU_ASSERT_EQUAL(result.violation.invariant, 0);
		moves += result.counts.moves;
		crashes += result.counts.faults[SIM_FAULT_NUMBER_CRASH];
		damaged += result.counts.damaged;
		replayed += result.counts.replayed;
		renewed += result.counts.renewed;
		departures += result.counts.departures;
		haunted += result.counts.haunted;
		expired += result.counts.expired;
		evicted += result.counts.evicted;
		unknown += result.counts.unknown;
	}
	/* The faults were real. */
	CU_ASSERT(moves > SEEDS);
	CU_ASSERT(crashes > SEEDS / 10);
	CU_ASSERT(unknown > 0);
	CU_ASSERT(damaged > 10 * SEEDS);
	CU_ASSERT(replayed > 10 * SEEDS);
	CU_ASSERT(renewed > 10 * SEEDS);
	CU_ASSERT(haunted > 0);
	CU_ASSERT(departures > SEEDS / 20);
	CU_ASSERT(expired > SEEDS);
	CU_ASSERT(evicted > SEEDS);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(what_was_written_may_be_read),
		UNIT_TEST(a_lost_write_is_found),
		UNIT_TEST(a_stale_read_is_found),
		UNIT_TEST(a_removed_key_that_comes_back_is_found),
		UNIT_TEST(a_read_that_goes_back_in_time_is_found),
		UNIT_TEST(a_refused_write_that_is_read_is_found),
		UNIT_TEST(a_removal_that_finds_too_much_is_found),
		UNIT_TEST(an_increment_that_counts_twice_is_found),
		UNIT_TEST(an_increment_that_is_lost_is_found),
		UNIT_TEST(what_died_with_its_owner_is_no_loss),
		UNIT_TEST(what_expires_may_be_gone_after_its_time),
		UNIT_TEST(what_expires_too_early_is_found),
		UNIT_TEST(what_does_not_expire_is_found),
		UNIT_TEST(an_expired_key_that_comes_back_is_found),
		UNIT_TEST(clocks_that_differ_excuse_so_much_and_no_more),
		UNIT_TEST(what_was_evicted_may_be_gone_but_not_back),
		UNIT_TEST(removals_know_what_expires),
		UNIT_TEST(a_rest_that_no_write_explains_is_found),
		UNIT_TEST(what_was_written_behind_the_fence_may_be_lost),
		UNIT_TEST(what_was_written_before_the_fence_must_be_there),
		UNIT_TEST(a_key_that_nobody_wrote_is_not_forgiven),
		UNIT_TEST(after_the_claim_only_a_source_that_is_back_is_forgiven),
		UNIT_TEST(a_write_under_way_at_the_claim_may_die_with_the_source),
		UNIT_TEST(a_write_begun_after_the_claim_is_the_new_owners),
		UNIT_TEST(same_seed_same_trace),
		UNIT_TEST(in_fair_weather_every_request_is_answered),
		UNIT_TEST(clocks_that_differ_by_a_third_up_or_down_do_no_harm),
		UNIT_TEST(nodes_return_with_older_generations_and_elsewhere),
		UNIT_TEST(orders_that_meet_end_in_one_owner),
		UNIT_TEST(clusters_that_grow_and_shrink_keep_what_they_have),
		UNIT_TEST(what_finds_no_room_is_refused_and_counted),
		UNIT_TEST(a_worker_that_stands_still_is_noticed_and_waited_for),
		UNIT_TEST(partitions_move_whatever_the_fault),
		UNIT_TEST(seeds_that_failed_once_do_not),
		UNIT_TEST(invariants_hold_under_faults),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("sim", tests);
}
