/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be derived from any world. */
#include "controlplane/world.h"

#include <assert.h>

uint64_t world_random_below(const struct world *world, uint64_t bound)
{
	uint64_t random, excess;

	assert(bound > 0);
	/* 2^64 mod bound: numbers under it would make the low results likelier. */
	excess = (0 - bound) % bound;
	do {
		random = world_random_u64(world);
	} while (random < excess);
	return random % bound;
}
