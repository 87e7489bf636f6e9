/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells ThreadSanitizer what it cannot see: who waits for whom inside DPDK and liburcu, whose code has no instrumentation.
 * `make check-threads` puts this file in front of every other one; nothing includes it.
 *
 *      rte_hash        an item found happens after the item was added
 *      liburcu QSBR    the end of a grace period happens after the quiescent states that it waited for
 *      rte_launch      a thread's work happens after its launch, and before the end of the wait for it
 */
#ifndef TESTS_THREAD_NOTES_H
#define TESTS_THREAD_NOTES_H

#ifdef _LGPL_SOURCE /* of the client library, which knows neither, it is not */
#include <rte_hash.h>
#include <rte_launch.h>
#include <urcu-qsbr.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

static inline void note_quiescent_state(void)
{
	__tsan_release(&urcu_qsbr_gp);
	urcu_qsbr_quiescent_state();
}

static inline void note_thread_offline(void)
{
	__tsan_release(&urcu_qsbr_gp);
	urcu_qsbr_thread_offline();
}

static inline void note_unregister_thread(void)
{
	__tsan_release(&urcu_qsbr_gp);
	urcu_qsbr_unregister_thread();
}

static inline void note_synchronize(void)
{
	__tsan_release(&urcu_qsbr_gp); /* the caller is a reader, perhaps, and quiescent */
	urcu_qsbr_synchronize_rcu();
	__tsan_acquire(&urcu_qsbr_gp);
}

static inline int note_hash_add(const struct rte_hash *hash, const void *key, hash_sig_t signature,
				void *data)
{
	__tsan_release(data);
	return rte_hash_add_key_with_hash_data(hash, key, signature, data);
}

static inline int note_hash_lookup(const struct rte_hash *hash, const void *key,
				   hash_sig_t signature, void **data)
{
	int position = rte_hash_lookup_with_hash_data(hash, key, signature, data);

	if (position >= 0)
		__tsan_acquire(*data);
	return position;
}

static inline int note_hash_lookup_bulk(const struct rte_hash *hash, const void **keys,
					hash_sig_t *signatures, uint32_t count, uint64_t *hits,
					void **data)
{
	int found = rte_hash_lookup_with_hash_bulk_data(hash, keys, signatures, count, hits, data);

	for (uint32_t i = 0; i < count; i++) {
		if (*hits >> i & 1)
			__tsan_acquire(data[i]);
	}
	return found;
}

struct note_launch {
	int (*body)(void *);
	void *argument;
};

__attribute__((unused)) static struct note_launch note_launches[RTE_MAX_LCORE];

__attribute__((unused)) static int note_run(void *context)
{
	struct note_launch *launch = context;
	int result;

	__tsan_acquire(launch);
	result = launch->body(launch->argument);
	__tsan_release(launch);
	return result;
}

__attribute__((unused)) static int note_remote_launch(int (*body)(void *), void *argument,
						      unsigned lcore)
{
	note_launches[lcore] = (struct note_launch){ body, argument };
	__tsan_release(&note_launches[lcore]);
	return rte_eal_remote_launch(note_run, &note_launches[lcore], lcore);
}

__attribute__((unused)) static int note_wait_lcore(unsigned lcore)
{
	int result = rte_eal_wait_lcore(lcore);

	__tsan_acquire(&note_launches[lcore]);
	return result;
}

#undef rcu_quiescent_state
#undef rcu_thread_offline
#undef rcu_unregister_thread
#undef synchronize_rcu
#undef rcu_assign_pointer
#undef rcu_dereference
#define rcu_quiescent_state note_quiescent_state
#define rcu_thread_offline note_thread_offline
#define rcu_unregister_thread note_unregister_thread
#define synchronize_rcu note_synchronize
#define rcu_assign_pointer(place, value) __atomic_store_n(&(place), value, __ATOMIC_RELEASE)
#define rcu_dereference(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define rte_eal_remote_launch note_remote_launch
#define rte_eal_wait_lcore note_wait_lcore
#define rte_hash_add_key_with_hash_data note_hash_add
#define rte_hash_lookup_with_hash_data note_hash_lookup
#define rte_hash_lookup_with_hash_bulk_data note_hash_lookup_bulk
#endif

#endif
