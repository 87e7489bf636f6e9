/* SPDX-License-Identifier: BSD-3-Clause */
/* The RCU readers of one node, each with a heartbeat and a name, to tell which one stalls. */
#ifndef STORAGE_READER_H
#define STORAGE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <urcu-qsbr.h>

#include "storage/limits.h"

/* Workers, the control plane, and tests. */
#define READER_COUNT_MAX (WORKER_COUNT_MAX + 8u)

/* One thread registered with liburcu (QSBR): what it found under RCU stays valid until its next
 * quiescent state. It must pass one in each turn of its loop, or go offline before it sleeps: else
 * no memory is freed in the whole process.
 *
 * Thread safety: all functions on a reader are called by its own thread. 'beats' and 'is_online'
 * are naturally atomic and read by the watcher; the rest is the watcher's.
 */
struct reader {
	_Alignas(64) uint64_t beats; /* quiescent states passed, and times it came online */
	bool is_online;
	_Alignas(64) const char *name; /* NULL while the place is vacant */
	uint64_t seen_beats;
	uint64_t seen_at_ms; /* when the watcher first saw 'seen_beats'; 0 = not seen yet */
};

/* Thread safety: reader_register() and reader_unregister() by any thread; reader_registry_stalled()
 * by one thread, the watcher (the control plane).
 */
struct reader_registry;

/* 0 or -ENOMEM. */
int reader_registry_create(struct reader_registry **registry);
/* When all readers have left. Accepts NULL. */
void reader_registry_destroy(struct reader_registry *registry);

/* Registers the calling thread, which is online then. NULL when READER_COUNT_MAX threads are
 * registered. 'name' outlives the registry. A thread has one reader, whatever the number of nodes
 * in its process.
 */
struct reader *reader_register(struct reader_registry *registry, const char *name);
void reader_unregister(struct reader *reader);

/* A reader that passed no quiescent state for a while, though it is online. */
struct reader_stall {
	const char *name;
	uint64_t silent_ms; /* as the watcher saw it: since the first check that saw no progress */
};

/* Stores up to 'stall_max' readers that have been silent for at least 'silent_ms_min', and returns
 * how many. Call it regularly: silence is measured from check to check. 'now_ms' is a monotonic
 * clock's, above 0.
 */
uint32_t reader_registry_stalled(struct reader_registry *registry, uint64_t now_ms,
				 uint64_t silent_ms_min, struct reader_stall *stalls,
				 uint32_t stall_max);

static inline void reader_beat(struct reader *reader)
{
	__atomic_store_n(&reader->beats, reader->beats + 1, __ATOMIC_RELAXED);
}

/* The caller holds nothing that it found under RCU. */
static inline void reader_quiescent(struct reader *reader)
{
	reader_beat(reader);
	rcu_quiescent_state();
}

/* Before a sleep or a call that may block: the thread is not waited for until reader_online(), and
 * must find nothing.
 */
static inline void reader_offline(struct reader *reader)
{
	__atomic_store_n(&reader->is_online, false, __ATOMIC_RELAXED);
	rcu_thread_offline();
}

static inline void reader_online(struct reader *reader)
{
	rcu_thread_online();
	reader_beat(reader);
	__atomic_store_n(&reader->is_online, true, __ATOMIC_RELAXED);
}

#endif
