/* SPDX-License-Identifier: BSD-3-Clause */
/* When datagrams ought to be sent: a Poisson process that nothing the server does can change. */
#ifndef LOADGEN_ARRIVAL_H
#define LOADGEN_ARRIVAL_H

#include <stdint.h>

#include "dataplane/loadgen/rng.h"

/* Planned send times. A late generator sends late but never changes the plan; latency counted from
 * the plan then holds what a user would have waited (no coordinated omission).
 *
 * Thread safety: one thread at a time.
 */
struct arrival {
	struct rng rng;
	double gap_ticks; /* mean */
	uint64_t start;   /* ticks */
	double after;     /* ticks from 'start' to the next arrival */
};

/* A mean gap of 'gap_ticks' > 0 from 'start' on. */
void arrival_init(struct arrival *arrival, uint64_t start, double gap_ticks, uint64_t seed,
		  uint64_t stream);

/* The next planned time, in ticks. */
static inline uint64_t arrival_peek(const struct arrival *arrival)
{
	return arrival->start + (uint64_t)arrival->after;
}

/* Moves on to the one after it. */
void arrival_advance(struct arrival *arrival);

#endif
