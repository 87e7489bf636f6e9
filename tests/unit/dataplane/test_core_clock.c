/* SPDX-License-Identifier: BSD-3-Clause */
/* A core's clock agrees with the system's and never goes back. */
#include <rte_cycles.h>
#include <unistd.h>

#include "dataplane/core_clock.h"
#include "tests/unit/unit.h"

static void it_tells_unix_milliseconds(void)
{
	struct core_clock clock;

	core_clock_init(&clock, core_clock_epoch(), rte_rdtsc(), rte_get_tsc_hz());
	for (int i = 0; i < 20; i++) {
		uint64_t before_ms = core_clock_read_ns(CLOCK_REALTIME) / 1000000;
		uint64_t now_ms = core_clock_now_ms(&clock, rte_rdtsc());
		uint64_t after_ms = core_clock_read_ns(CLOCK_REALTIME) / 1000000;

		CU_ASSERT_TRUE(now_ms + 2 >= before_ms && now_ms <= after_ms + 2);
		usleep(3000);
	}
}

static void it_never_goes_back(void)
{
	struct core_clock clock;
	uint64_t tsc = rte_rdtsc();
	uint64_t hz = rte_get_tsc_hz();
	uint64_t last_ms;

	/* a counter said to run at half its rate makes the clock run ahead until the next anchor */
	core_clock_init(&clock, core_clock_epoch(), tsc, hz / 2);
	last_ms = core_clock_now_ms(&clock, tsc);
	for (uint64_t step = 0; step < 300; step++) {
		uint64_t now_ms = core_clock_now_ms(&clock, tsc + step * hz / 100);

		CU_ASSERT_TRUE(now_ms >= last_ms);
		last_ms = now_ms;
	}
}

static void it_starts_where_it_is_told(void)
{
	struct core_clock clock;
	uint64_t tsc = rte_rdtsc();
	uint64_t epoch_ns = UINT64_C(4000000000) * 1000000000 - core_clock_read_ns(CLOCK_MONOTONIC);

	core_clock_init(&clock, epoch_ns, tsc, rte_get_tsc_hz());
	CU_ASSERT_TRUE(core_clock_now_ms(&clock, tsc) - UINT64_C(4000000000000) < 1000);
	CU_ASSERT_TRUE(core_clock_now_ms(&clock, tsc + rte_get_tsc_hz() / 2) -
			       UINT64_C(4000000000500) <
		       1000);
}

/* The thread was away for 10 ms between its two readings: its clock must not be ahead by that. */
static void a_pause_between_two_readings_is_no_time(void)
{
	uint64_t hz = rte_get_tsc_hz();
	struct core_clock clock;
	uint64_t now_ms;

	core_clock_init(&clock, core_clock_epoch(), rte_rdtsc(), hz);
	clock.anchor_tsc -= hz + hz / 20; /* as if that had been a second ago */
	clock.anchor_ns -= 1050000000;
	core_clock_now_ms(&clock, rte_rdtsc() - hz / 100);
	now_ms = core_clock_now_ms(&clock, rte_rdtsc());
	CU_ASSERT_TRUE(now_ms <= core_clock_read_ns(CLOCK_REALTIME) / 1000000 + 2);
	CU_ASSERT_TRUE(rte_rdtsc() - clock.anchor_tsc < hz / 10); /* read anew, and believed */
}

/* The counter has stood still, as of a machine that was frozen: after some calls that is believed. */
static void a_jump_is_believed_in_the_end(void)
{
	uint64_t hz = rte_get_tsc_hz();
	struct core_clock clock;

	core_clock_init(&clock, core_clock_epoch(), rte_rdtsc(), hz);
	clock.anchor_tsc -= hz + hz / 20;
	clock.anchor_ns -= 3000000000;
	for (uint32_t i = 0; i <= CORE_CLOCK_DOUBTS_MAX; i++)
		core_clock_now_ms(&clock, rte_rdtsc());
	CU_ASSERT_TRUE(core_clock_now_ms(&clock, rte_rdtsc()) + 2 >=
		       core_clock_read_ns(CLOCK_REALTIME) / 1000000);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(it_tells_unix_milliseconds),
		UNIT_TEST(it_never_goes_back),
		UNIT_TEST(it_starts_where_it_is_told),
		UNIT_TEST(a_pause_between_two_readings_is_no_time),
		UNIT_TEST(a_jump_is_believed_in_the_end),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("core_clock", tests);
}
