/* SPDX-License-Identifier: BSD-3-Clause */
/* The world of a client that runs for real. */
#include "dataplane/client/client_world.h"

#include <poll.h>
#include <stddef.h>
#include <sys/random.h>
#include <time.h>

static uint64_t os_now_us(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static uint64_t os_random(void *context)
{
	uint64_t number = 0;

	/* getrandom cannot fail for 8 bytes once the kernel is up; before that a weak nonce still
	 * only names a handshake.
	 */
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = os_now_us(context);
	return number;
}

static void os_wait(void *context, int fd, uint64_t timeout_us)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct timespec timeout = { .tv_sec = (time_t)(timeout_us / 1000000u),
				    .tv_nsec = (long)(timeout_us % 1000000u) * 1000 };

	(void)context;
	(void)ppoll(&poll_fd, 1, timeout_us == CLIENT_FOREVER ? NULL : &timeout, NULL);
}

void client_world_init(struct client_world *world)
{
	*world = (struct client_world){ NULL, os_now_us, os_random, os_wait };
}
