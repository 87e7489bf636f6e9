/* SPDX-License-Identifier: BSD-3-Clause */
/* Negative controls: each protection is switched off, and the simulation must find it within a stated number of
 * seeds. A harness that finds nothing proves nothing.
 */
#include "tests/simulation/migration_harness.h"
#include "tests/unit/unit.h"

#include <stdio.h>

struct control {
	const char *name;
	enum sim_control off;
	uint32_t seed_max;   /* caught after so many seeds at most */
	uint32_t invariants; /* bit i: it may show as a violation of invariant i */
	uint32_t op_interval_us;
	uint32_t ring_size;
	uint32_t loss_percent;
	uint32_t duplicate_percent; /* half of the copies come very late */
	bool isolates_target;       /* when it is ready, for good */
};

#define SHOWS_AS(invariant) (1u << (invariant))

/* The digest finds what would become a lost write or a key that comes back, before the partition changes hands: it
 * counts as invariant 2. Batches that were never sent may also leave a job that does not end: invariant 5.
 */
static const struct control controls[] = {
	{ "version compare", SIM_NO_VERSION_COMPARE, 20, SHOWS_AS(2) | SHOWS_AS(3), 300, 32, 0, 0,
	  false },
	{ "tombstones", SIM_NO_TOMBSTONES, 20, SHOWS_AS(2) | SHOWS_AS(3), 300, 32, 0, 0, false },
	{ "barrier before the scan", SIM_NO_BARRIER, 50, SHOWS_AS(2) | SHOWS_AS(3), 300, 32, 0, 0,
	  false },
	{ "cursor fence", SIM_NO_CURSOR_FENCE, 500, SHOWS_AS(2) | SHOWS_AS(3), 100, 64, 0, 0,
	  false },
	{ "attempt fencing", SIM_NO_ATTEMPT_FENCING, 300, SHOWS_AS(2) | SHOWS_AS(3) | SHOWS_AS(5),
	  300, 8, 5, 100, false },
	{ "barrier before COMMIT", SIM_NO_READ_FENCE, 500, SHOWS_AS(6), 60, 64, 0, 0, false },
	{ "parking bound", SIM_NO_PARKING_BOUND, 100, SHOWS_AS(4), 300, 64, 0, 0, true },
	{ "majority for a claim", SIM_NO_MAJORITY, 50, SHOWS_AS(1) | SHOWS_AS(6), 300, 64, 0, 0,
	  true },
};

/* Runs one seed; the number of the invariant that was violated, 0 for none. */
static uint32_t run_seed(const struct control *control, enum sim_control off, uint64_t seed)
{
	struct migration_harness_options options;
	struct migration_harness *harness;
	uint32_t invariant;

	migration_harness_options_default(&options, seed);
	options.off = off;
	options.op_interval_us = control->op_interval_us;
	options.ring_size = control->ring_size;
	options.loss_percent = control->loss_percent;
	options.duplicate_percent = control->duplicate_percent;
	if (control->isolates_target)
		options.crash = (struct sim_crash_point){ .is_armed = true,
							  .isolates = true,
							  .is_of_target = true,
							  .state = TARGET_READY,
							  .victim = SIM_TARGET };
	harness = migration_harness_create(&options);
	migration_harness_rotate(harness, 1000);
	migration_harness_run(harness, control->isolates_target ? 1500 : 500, NULL, NULL);
	migration_harness_settle(harness);
	invariant = migration_harness_violation(harness)->invariant;
	migration_harness_destroy(harness);
	return invariant;
}

static void test_each_protection_is_missed_when_it_is_off(void)
{
	for (uint32_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		const struct control *control = &controls[i];
		uint32_t invariant = 0;
		uint32_t seed = 0;

		while (invariant == 0 && seed < control->seed_max)
			invariant = run_seed(control, control->off, ++seed);
		if (invariant != 0)
			printf("  %-24s invariant %u caught after %u seeds\n", control->name,
			       invariant, seed);
		else
			printf("  %-24s NOT CAUGHT in %u seeds\n", control->name, seed);
		CU_ASSERT(invariant != 0 && (control->invariants & SHOWS_AS(invariant)) != 0);
	}
}

/* The same seeds with all protections on: what was found is the fault's, not the harness's. */
static void test_nothing_is_found_when_all_are_on(void)
{
	for (uint32_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		for (uint64_t seed = 1; seed <= 20; seed++)
			CU_ASSERT_EQUAL(run_seed(&controls[i], SIM_ALL_ON, seed), 0);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_each_protection_is_missed_when_it_is_off),
		UNIT_TEST(test_nothing_is_found_when_all_are_on),
		{ NULL, NULL },
	};

	return unit_run("migration controls", tests);
}
