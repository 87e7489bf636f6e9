/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock, the randomness and the waiting of a client: functions, so that a test can be them. */
#ifndef DATAPLANE_CLIENT_CLIENT_WORLD_H
#define DATAPLANE_CLIENT_CLIENT_WORLD_H

#include <stdint.h>

#define CLIENT_FOREVER UINT64_MAX

struct client_world {
	void *context;
	/* Microseconds of a clock that never goes back. */
	uint64_t (*now_us)(void *context);
	/* An unguessable number. */
	uint64_t (*random)(void *context);
	/* Returns when 'fd' is readable, or after 'timeout_us' (CLIENT_FOREVER = never); may return
	 * earlier.
	 */
	void (*wait)(void *context, int fd, uint64_t timeout_us);
};

/* The operating system's. */
void client_world_init(struct client_world *world);

#endif
