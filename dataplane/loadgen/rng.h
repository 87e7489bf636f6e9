/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast repeatable random numbers: xoshiro256++ by Blackman and Vigna (public domain). */
#ifndef LOADGEN_RNG_H
#define LOADGEN_RNG_H

#include <stdint.h>

/* See https://prng.di.unimi.it. Thread safety: one thread at a time. */
struct rng {
	uint64_t state[4];
};

/* splitmix64's mixer: a bijection of 64 bits in which every bit depends on every other. */
static inline uint64_t rng_mix(uint64_t z)
{
	z += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* Streams of one seed are independent. */
static inline void rng_init(struct rng *rng, uint64_t seed, uint64_t stream)
{
	uint64_t z = rng_mix(seed) ^ rng_mix(~stream);

	for (unsigned i = 0; i < 4; i++)
		rng->state[i] = z = rng_mix(z);
}

static inline uint64_t rng_rotate(uint64_t x, unsigned bits)
{
	return (x << bits) | (x >> (64 - bits));
}

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t *s = rng->state;
	uint64_t result = rng_rotate(s[0] + s[3], 23) + s[0];
	uint64_t t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_rotate(s[3], 45);
	return result;
}

/* 0 .. limit - 1. Multiply and shift: the bias, at most limit / 2^64, is below what any test here
 * could see.
 */
static inline uint64_t rng_below(struct rng *rng, uint64_t limit)
{
	return (uint64_t)(((unsigned __int128)rng_next(rng) * limit) >> 64);
}

/* Uniform in (0, 1]. */
static inline double rng_unit(struct rng *rng)
{
	return (double)((rng_next(rng) >> 11) + 1) * 0x1.0p-53;
}

#endif
