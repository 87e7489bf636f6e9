/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix of failpoints: what goes wrong in each phase of a migration ends as docs/migration.md says. A phase that a cell
 * does not reach fails its test.
 */
#include <inttypes.h>
#include <stdio.h>

#include "tests/simulation/failpoint.h"
#include "tests/unit/unit.h"

/* Two workers at each node, four partitions, four clients. */
#define SEED UINT64_C(19)

static void check(enum failpoint_fault fault)
{
	for (uint32_t p = 0; p < FAILPOINT_PHASE_COUNT; p++) {
		enum failpoint_phase phase = (enum failpoint_phase)p;
		struct failpoint_result result;

		failpoint_run(phase, fault, SEED, NULL, &result);
		if (!failpoint_is_ok(phase, fault, &result))
			failpoint_explain(phase, fault, SEED, &result, stdout);
		CU_ASSERT(result.was_reached);
		CU_ASSERT_EQUAL(result.violation.invariant, 0);
		CU_ASSERT(failpoint_is_ok(phase, fault, &result));
		CU_ASSERT(result.end != FAILPOINT_END_LIMIT || result.kept > 0);
	}
}

static void a_migration_ends_well_by_itself(void)
{
	check(FAILPOINT_NOTHING);
}

/* ---- row: the source dies, restarts ---- */

static void a_source_that_restarts_is_claimed_from_or_begins_anew(void)
{
	check(FAILPOINT_SOURCE_RESTARTS);
}

static void a_source_that_dies_is_claimed_from_once_ready(void)
{
	check(FAILPOINT_SOURCE_DIES);
}

static void an_operator_claims_from_a_dead_source(void)
{
	check(FAILPOINT_SOURCE_CLAIMED);
}

/* ---- row: the target dies ---- */

static void a_target_that_restarts_gives_back_what_it_lost(void)
{
	check(FAILPOINT_TARGET_RESTARTS);
}

static void a_target_that_dies_leaves_the_partition_to_the_source(void)
{
	check(FAILPOINT_TARGET_DIES);
}

static void an_operator_takes_back_from_a_dead_target(void)
{
	check(FAILPOINT_TARGET_CLAIMED);
}

/* ---- a third node ---- */

static void a_third_node_is_not_missed(void)
{
	check(FAILPOINT_THIRD_RESTARTS);
	check(FAILPOINT_THIRD_DIES);
	check(FAILPOINT_THIRD_STALLS);
	check(FAILPOINT_THIRD_SLEEPS);
	check(FAILPOINT_THIRD_ALONE);
}

static void a_third_node_that_wants_it_too_waits_its_turn(void)
{
	check(FAILPOINT_RIVAL);
}

static void a_target_with_an_old_map_gets_nothing(void)
{
	check(FAILPOINT_ROUND);
}

/* ---- silence ---- */

static void a_short_pause_is_waited_for(void)
{
	check(FAILPOINT_SOURCE_STALLS);
	check(FAILPOINT_TARGET_STALLS);
	check(FAILPOINT_SOURCE_WORKERS_STALL);
	check(FAILPOINT_TARGET_WORKERS_STALL);
}

static void a_long_pause_is_a_death_until_it_is_over(void)
{
	check(FAILPOINT_SOURCE_SLEEPS);
	check(FAILPOINT_TARGET_SLEEPS);
}

static void a_minority_that_is_cut_off_decides_nothing(void)
{
	check(FAILPOINT_SOURCE_ALONE);
	check(FAILPOINT_TARGET_ALONE);
	check(FAILPOINT_SIDES_CHANGE);
}

static void a_cut_between_the_two_costs_an_attempt_at_most(void)
{
	check(FAILPOINT_CUT_TO_TARGET);
	check(FAILPOINT_CUT_TO_SOURCE);
	check(FAILPOINT_CUT_BOTH);
}

static void a_channel_that_breaks_costs_nothing(void)
{
	check(FAILPOINT_BREAK);
}

/* ---- orders, and old packets ---- */

static void a_cancel_counts_until_the_decision(void)
{
	check(FAILPOINT_CANCEL_AT_SOURCE);
	check(FAILPOINT_CANCEL_AT_TARGET);
}

static void packets_of_an_old_attempt_change_nothing(void)
{
	check(FAILPOINT_REPLAY);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_migration_ends_well_by_itself),
		UNIT_TEST(a_source_that_restarts_is_claimed_from_or_begins_anew),
		UNIT_TEST(a_source_that_dies_is_claimed_from_once_ready),
		UNIT_TEST(an_operator_claims_from_a_dead_source),
		UNIT_TEST(a_target_that_restarts_gives_back_what_it_lost),
		UNIT_TEST(a_target_that_dies_leaves_the_partition_to_the_source),
		UNIT_TEST(an_operator_takes_back_from_a_dead_target),
		UNIT_TEST(a_third_node_is_not_missed),
		UNIT_TEST(a_third_node_that_wants_it_too_waits_its_turn),
		UNIT_TEST(a_target_with_an_old_map_gets_nothing),
		UNIT_TEST(a_short_pause_is_waited_for),
		UNIT_TEST(a_long_pause_is_a_death_until_it_is_over),
		UNIT_TEST(a_minority_that_is_cut_off_decides_nothing),
		UNIT_TEST(a_cut_between_the_two_costs_an_attempt_at_most),
		UNIT_TEST(a_channel_that_breaks_costs_nothing),
		UNIT_TEST(a_cancel_counts_until_the_decision),
		UNIT_TEST(packets_of_an_old_attempt_change_nothing),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("failpoints", tests);
}
