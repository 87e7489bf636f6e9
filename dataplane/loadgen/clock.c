/* SPDX-License-Identifier: BSD-3-Clause */
/* Measuring the rate of the processor's counter. */
#include "dataplane/loadgen/clock.h"

#include <time.h>

/* One pair of readings; of several tries the one in which the least time passed between both. */
static void read_both(uint64_t *ticks, double *seconds)
{
	uint64_t best = UINT64_MAX;

	for (unsigned i = 0; i < 16; i++) {
		struct timespec now;
		uint64_t before = clock_now();
		uint64_t after;

		clock_gettime(CLOCK_MONOTONIC, &now);
		after = clock_now();
		if (after - before < best) {
			best = after - before;
			*ticks = before + best / 2;
			*seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
		}
	}
}

void clock_rate_measure(struct clock_rate *rate)
{
	const struct timespec pause = { .tv_nsec = 50 * 1000 * 1000 };
	uint64_t ticks0 = 0, ticks1 = 0;
	double seconds0 = 0, seconds1 = 0;

	read_both(&ticks0, &seconds0);
	nanosleep(&pause, NULL);
	read_both(&ticks1, &seconds1);
	rate->ticks_per_second = (double)(ticks1 - ticks0) / (seconds1 - seconds0);
	rate->ns_factor = (uint64_t)(1e9 / rate->ticks_per_second * (double)(1u << 24));
}
