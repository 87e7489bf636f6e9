/* SPDX-License-Identifier: BSD-3-Clause */
/* A core's clock: unix milliseconds that only move forward, whatever is done to the system's clock. */
#ifndef DATAPLANE_CORE_CLOCK_H
#define DATAPLANE_CORE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Unix time at start plus monotonic time since. Between two readings of the monotonic clock, CORE_CLOCK_ANCHOR_NS apart,
 * the time stamp counter interpolates: an error of its rate of 1e-4 makes 0.1 ms. The monotonic clock is read without entering
 * the kernel where the kernel offers it (vDSO).
 *
 * A thread may lose its CPU between its readings of the counter and of the monotonic clock, and such a pair would put its clock ahead
 * until the next one. So a pair that is CORE_CLOCK_DOUBT_NS ahead of the old one is not believed, but read anew at the next call; one
 * that is read so often in a row is true.
 *
 * Thread safety: one thread. Clocks of different cores made from the same core_clock_epoch agree to within that error.
 */
struct core_clock {
	uint64_t epoch_ns;           /* unix time minus monotonic time */
	uint64_t anchor_tsc;         /* when the monotonic clock was last read ... */
	uint64_t anchor_ns;          /* ... and what it said */
	uint64_t anchor_ticks;       /* time stamps between two readings */
	uint64_t ns_per_tick_scaled; /* << CORE_CLOCK_SHIFT */
	uint64_t now_ms;             /* the last answer */
	uint32_t doubts;             /* pairs not believed, in a row */
};

#define CORE_CLOCK_ANCHOR_NS UINT64_C(1000000000)
#define CORE_CLOCK_SHIFT 32u
#define CORE_CLOCK_DOUBT_NS UINT64_C(200000)
#define CORE_CLOCK_DOUBTS_MAX 100u

static inline uint64_t core_clock_read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

/* What core_clock_init() wants: read once per node. */
static inline uint64_t core_clock_epoch(void)
{
	return core_clock_read_ns(CLOCK_REALTIME) - core_clock_read_ns(CLOCK_MONOTONIC);
}

/* Monotonic time by the counter. */
static inline uint64_t core_clock_count_ns(const struct core_clock *clock, uint64_t tsc)
{
	return clock->anchor_ns +
	       ((tsc - clock->anchor_tsc) * clock->ns_per_tick_scaled >> CORE_CLOCK_SHIFT);
}

static inline void core_clock_anchor(struct core_clock *clock, uint64_t tsc, uint64_t ns)
{
	clock->anchor_ns = ns;
	clock->anchor_tsc = tsc;
	clock->doubts = 0;
}

static inline void core_clock_anchor_again(struct core_clock *clock, uint64_t tsc)
{
	uint64_t ns = core_clock_read_ns(CLOCK_MONOTONIC);

	/* after a much longer time than the usual there is nothing to compare with */
	if (tsc - clock->anchor_tsc < 2 * clock->anchor_ticks &&
	    clock->doubts < CORE_CLOCK_DOUBTS_MAX &&
	    ns > core_clock_count_ns(clock, tsc) + CORE_CLOCK_DOUBT_NS)
		clock->doubts++;
	else
		core_clock_anchor(clock, tsc, ns);
}

/* 'tsc' is the time stamp counter now, 'tsc_hz' its rate. */
static inline void core_clock_init(struct core_clock *clock, uint64_t epoch_ns, uint64_t tsc,
				   uint64_t tsc_hz)
{
	clock->epoch_ns = epoch_ns;
	clock->anchor_ticks = tsc_hz * (CORE_CLOCK_ANCHOR_NS / 1000000u) / 1000u;
	clock->ns_per_tick_scaled = (UINT64_C(1000000000) << CORE_CLOCK_SHIFT) / tsc_hz;
	clock->now_ms = 0;
	core_clock_anchor(clock, tsc, core_clock_read_ns(CLOCK_MONOTONIC));
}

/* Unix milliseconds; never less than the last answer. */
static inline uint64_t core_clock_now_ms(struct core_clock *clock, uint64_t tsc)
{
	uint64_t now_ms;

	if (tsc - clock->anchor_tsc > clock->anchor_ticks)
		core_clock_anchor_again(clock, tsc);
	now_ms = (clock->epoch_ns + core_clock_count_ns(clock, tsc)) / 1000000u;
	if (now_ms > clock->now_ms)
		clock->now_ms = now_ms;
	return clock->now_ms;
}

#endif
