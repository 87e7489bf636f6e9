/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters that one core writes and any thread reads: naturally atomic, no read-modify-write. */
#ifndef STORAGE_COUNTER_H
#define STORAGE_COUNTER_H

#include <stdint.h>

/* Adds to a counter that only the calling thread writes. */
static inline void counter_add(uint64_t *counter, uint64_t count)
{
	__atomic_store_n(counter, *counter + count, __ATOMIC_RELAXED);
}

static inline void counter_subtract(uint64_t *counter, uint64_t count)
{
	__atomic_store_n(counter, *counter - count, __ATOMIC_RELAXED);
}

/* Reads a counter that another thread may be writing. */
static inline uint64_t counter_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

#endif
