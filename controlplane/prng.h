/* SPDX-License-Identifier: BSD-3-Clause */
/* The seeded generator inside each pure machine: same seed, same decisions. Not for secrets. */
#ifndef CONTROLPLANE_PRNG_H
#define CONTROLPLANE_PRNG_H

#include <stdint.h>

/* splitmix64. Thread safety: none; each machine owns its own. */
struct prng {
	uint64_t state;
};

static inline void prng_init(struct prng *prng, uint64_t seed)
{
	prng->state = seed;
}

static inline uint64_t prng_next(struct prng *prng)
{
	uint64_t z = prng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A number in 0..bound-1; 'bound' is at least 1. The bias is below 2^-32. */
static inline uint32_t prng_below(struct prng *prng, uint32_t bound)
{
	return (uint32_t)(((prng_next(prng) >> 32) * bound) >> 32);
}

#endif
