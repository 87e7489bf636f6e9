/* SPDX-License-Identifier: BSD-3-Clause */
/* The real world: the kernel's clocks and random numbers. */
#include "controlplane/world.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t clock_us(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static uint64_t os_now_ms(void *context)
{
	(void)context;
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

static uint64_t os_unix_ms(void *context)
{
	(void)context;
	return clock_us(CLOCK_REALTIME) / 1000;
}

static uint64_t os_cpu_us(void *context)
{
	(void)context;
	return clock_us(CLOCK_THREAD_CPUTIME_ID);
}

/* getrandom fails only for a bad pointer or a kernel without it: nothing a node could go on with.
 */
static void os_random_bytes(void *context, void *bytes, size_t size)
{
	uint8_t *at = bytes;

	(void)context;
	while (size > 0) {
		ssize_t got = getrandom(at, size, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			abort();
		at += got;
		size -= (size_t)got;
	}
}

void world_os_init(struct world *world)
{
	*world = (struct world){
		.now_ms = os_now_ms,
		.unix_ms = os_unix_ms,
		.random_bytes = os_random_bytes,
		.cpu_us = os_cpu_us,
	};
}
