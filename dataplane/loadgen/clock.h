/* SPDX-License-Identifier: BSD-3-Clause */
/* Time in ticks of the processor's counter: cheap enough to read once per burst. */
#ifndef LOADGEN_CLOCK_H
#define LOADGEN_CLOCK_H

#include <rte_cycles.h>
#include <stdint.h>

/* How ticks relate to seconds. Thread safety: constant after init. */
struct clock_rate {
	double ticks_per_second;
	uint64_t ns_factor; /* nanoseconds per tick, times 2^24 */
};

/* Measures the counter against the kernel's monotonic clock; takes 50 ms. Needs no EAL. */
void clock_rate_measure(struct clock_rate *rate);

static inline uint64_t clock_now(void)
{
	return rte_rdtsc();
}

/* Exact up to 2^40 ticks (minutes), which is what the histograms hold. */
static inline uint64_t clock_ns(const struct clock_rate *rate, uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * rate->ns_factor) >> 24);
}

static inline uint64_t clock_ticks(const struct clock_rate *rate, double seconds)
{
	return (uint64_t)(seconds * rate->ticks_per_second);
}

static inline double clock_seconds(const struct clock_rate *rate, uint64_t ticks)
{
	return (double)ticks / rate->ticks_per_second;
}

#endif
