/* SPDX-License-Identifier: BSD-3-Clause */
/* A munmap() that waits for pollers. */
#include "dataplane/port_guard.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GUARD_SETS_MAX 64u

/* How long to wait where the kernel has no membarrier: stores become visible in far less. */
#define FALLBACK_US 2000u

struct guard_set {
	const struct port_guard *guards; /* NULL = vacant */
	uint32_t count;
};

/* File-level state, alas: munmap() is one for the whole process, and is told nothing but an address. */
static pthread_mutex_t sets_lock = PTHREAD_MUTEX_INITIALIZER;
static struct guard_set sets[GUARD_SETS_MAX];
static uint32_t set_count; /* naturally atomic; 0 in a process without memif ports */

/* Every store that any thread of this process made before is visible to this one, and the other way round. */
static void fence_all_threads(void)
{
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) < 0)
		usleep(FALLBACK_US);
}

bool port_guards_open(struct port_guard *guards, uint32_t count)
{
	uint32_t i = 0;

	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	pthread_mutex_lock(&sets_lock);
	while (i < GUARD_SETS_MAX && sets[i].guards)
		i++;
	if (i < GUARD_SETS_MAX) {
		sets[i] = (struct guard_set){ guards, count };
		__atomic_store_n(&set_count, set_count + 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&sets_lock);
	return i < GUARD_SETS_MAX;
}

void port_guards_close(const struct port_guard *guards)
{
	pthread_mutex_lock(&sets_lock);
	for (uint32_t i = 0; i < GUARD_SETS_MAX; i++) {
		if (sets[i].guards != guards)
			continue;
		sets[i].guards = NULL;
		__atomic_store_n(&set_count, set_count - 1, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&sets_lock);
}

/* Returns when the burst that is under way, if any, has ended. */
static void wait_for_burst(const struct port_guard *guard)
{
	uint32_t bursts = __atomic_load_n(&guard->bursts, __ATOMIC_ACQUIRE);

	while (bursts % 2 == 1 && __atomic_load_n(&guard->bursts, __ATOMIC_ACQUIRE) == bursts)
		usleep(10);
}

__attribute__((unused)) static void wait_for_pollers(void)
{
	fence_all_threads();
	pthread_mutex_lock(&sets_lock);
	for (uint32_t i = 0; i < GUARD_SETS_MAX; i++) {
		for (uint32_t j = 0; sets[i].guards && j < sets[i].count; j++)
			wait_for_burst(&sets[i].guards[j]);
	}
	pthread_mutex_unlock(&sets_lock);
}

/* Takes the place of libc's, also for shared libraries: the driver is one. Not under ThreadSanitizer, whose runtime calls
 * munmap() with its locks held.
 */
#ifndef __SANITIZE_THREAD__
int munmap(void *address, size_t size)
{
	if (__atomic_load_n(&set_count, __ATOMIC_ACQUIRE) > 0)
		wait_for_pollers();
	return (int)syscall(SYS_munmap, address, size);
}
#endif
