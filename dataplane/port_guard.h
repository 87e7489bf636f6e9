/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps shared memory mapped while somebody polls it, for a driver that does not. */
#ifndef DATAPLANE_PORT_GUARD_H
#define DATAPLANE_PORT_GUARD_H

#include <stdbool.h>
#include <stdint.h>

/* When the other side of a memif link ends, the driver - in EAL's interrupt thread - marks the link as down, then unmaps
 * the memory of its rings. A thread that was in the middle of a receive or transmit burst, say because the kernel had
 * taken its CPU away, wakes up in unmapped memory: one process crashes because another one ends.
 *
 * The driver offers no place to wait, but it calls munmap(). The programs that link this file have a munmap() of their
 * own, which first waits until every burst that was under way has ended:
 *
 *      1. link marked as down             (driver, before it unmaps)
 *      2. membarrier                      every poller's 'in a burst' is visible here, and the mark is visible to all
 *      3. wait for each odd counter       bursts that may have seen the link up
 *      4. unmap                           bursts that begin now see it down, and touch nothing
 *
 * Costs a poller two plain stores per burst; the fence they need is paid for by the one who unmaps.
 *
 * Thread safety: a guard is written by the one thread that polls; open and close by any thread; munmap() by any thread that
 * is in no burst.
 */
struct port_guard {
	_Alignas(64) uint32_t bursts; /* begun and ended: odd in a burst. Naturally atomic */
};

/* Makes munmap() wait for 'count' guards, which stay where they are until port_guards_close(). False when there are too many
 * already.
 */
bool port_guards_open(struct port_guard *guards, uint32_t count);
void port_guards_close(const struct port_guard *guards);

static inline void port_guard_enter(struct port_guard *guard)
{
	__atomic_store_n(&guard->bursts, guard->bursts + 1, __ATOMIC_RELAXED);
	__asm__ __volatile__("" ::: "memory");
}

static inline void port_guard_leave(struct port_guard *guard)
{
	__atomic_store_n(&guard->bursts, guard->bursts + 1, __ATOMIC_RELEASE);
}

#endif
