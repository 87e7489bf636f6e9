/* SPDX-License-Identifier: BSD-3-Clause */
/* The only door out of the control plane: clocks and randomness come in as functions. */
#ifndef CONTROLPLANE_WORLD_H
#define CONTROLPLANE_WORLD_H

#include <stddef.h>
#include <stdint.h>

/* What a control-plane machine may know of the world. The daemon passes the real one
 * (world_os_init), a simulator passes one with virtual time and a seeded generator. Nothing else in
 * controlplane/ may ask for the time or for randomness. Sending is no call: machines return actions
 * and their driver sends.
 *
 * Thread safety: as safe as the functions behind it; the real ones may be called by any thread.
 */
struct world {
	uint64_t (*now_ms)(void *context);  /* monotonic; never jumps; unrelated to the calendar */
	uint64_t (*unix_ms)(void *context); /* the calendar: may jump; for records, not time-outs */
	void (*random_bytes)(void *context, void *bytes, size_t size);
	uint64_t (*cpu_us)(void *context); /* that the calling thread has used so far */
	void *context;
};

/* The real clocks and the kernel's random numbers. */
void world_os_init(struct world *world);

static inline uint64_t world_now_ms(const struct world *world)
{
	return world->now_ms(world->context);
}

static inline uint64_t world_unix_ms(const struct world *world)
{
	return world->unix_ms(world->context);
}

static inline uint64_t world_cpu_us(const struct world *world)
{
	return world->cpu_us(world->context);
}

static inline void world_random_bytes(const struct world *world, void *bytes, size_t size)
{
	world->random_bytes(world->context, bytes, size);
}

static inline uint64_t world_random_u64(const struct world *world)
{
	uint64_t random;

	world->random_bytes(world->context, &random, sizeof(random));
	return random;
}

/* A number in 0..bound-1, each equally likely; 'bound' is not 0. */
uint64_t world_random_below(const struct world *world, uint64_t bound);

#endif
