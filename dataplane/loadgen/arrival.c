/* SPDX-License-Identifier: BSD-3-Clause */
/* Exponential gaps by inversion. */
#include "dataplane/loadgen/arrival.h"

#include <math.h>

void arrival_init(struct arrival *arrival, uint64_t start, double gap_ticks, uint64_t seed,
		  uint64_t stream)
{
	rng_init(&arrival->rng, seed, stream);
	arrival->gap_ticks = gap_ticks;
	arrival->start = start;
	arrival->after = 0.0;
	arrival_advance(arrival);
}

void arrival_advance(struct arrival *arrival)
{
	arrival->after -= log(rng_unit(&arrival->rng)) * arrival->gap_ticks;
}
