/* SPDX-License-Identifier: BSD-3-Clause */
/* Planned send times: the rate, and that they are a Poisson process. */
#include <math.h>

#include "dataplane/loadgen/arrival.h"
#include "tests/unit/unit.h"

#define ARRIVALS 1000000u
#define GAP 250.0

static void test_the_mean_gap_is_as_asked(void)
{
	struct arrival arrival;

	arrival_init(&arrival, 1000, GAP, 1, 0);
	for (unsigned i = 1; i < ARRIVALS; i++)
		arrival_advance(&arrival);
	/* the sum of n gaps has a deviation of sqrt(n) gaps */
	CU_ASSERT_DOUBLE_EQUAL((double)(arrival_peek(&arrival) - 1000), GAP * ARRIVALS,
			       5.0 * GAP * sqrt(ARRIVALS));
}

static void test_gaps_are_exponential(void)
{
	struct arrival arrival;
	double last = 0.0;
	unsigned longer[4] = { 0 };

	arrival_init(&arrival, 0, GAP, 2, 0);
	for (unsigned i = 0; i < ARRIVALS; i++) {
		double gap = arrival.after - last;

		for (unsigned n = 0; n < 4; n++)
			longer[n] += gap > (n + 1) * GAP;
		last = arrival.after;
		arrival_advance(&arrival);
	}
	for (unsigned n = 0; n < 4; n++)
		CU_ASSERT_DOUBLE_EQUAL((double)longer[n] / ARRIVALS, exp(-(n + 1.0)), 0.002);
}

static void test_times_never_go_back(void)
{
	struct arrival arrival;
	uint64_t last;

	arrival_init(&arrival, 77, 0.5, 3, 0);
	last = arrival_peek(&arrival);
	CU_ASSERT(last >= 77);
	for (unsigned i = 0; i < ARRIVALS; i++) {
		arrival_advance(&arrival);
		CU_ASSERT_FATAL(arrival_peek(&arrival) >= last);
		last = arrival_peek(&arrival);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_the_mean_gap_is_as_asked),
		UNIT_TEST(test_gaps_are_exponential),
		UNIT_TEST(test_times_never_go_back),
		{ NULL, NULL },
	};

	return unit_run("arrival", tests);
}
