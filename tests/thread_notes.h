/* SPDX-License-Identifier: BSD-3-Clause */
/* Tells ThreadSanitizer what it cannot see: who waits for whom inside DPDK and liburcu, whose code has no instrumentation.
 * `make check-threads` puts this file in front of every other one; nothing includes it.
 *
 *      rte_hash        an item found happens after the item was added
 *      liburcu QSBR    the end of a grace period happens after the quiescent states that it waited for
 */
#ifndef TESTS_THREAD_NOTES_H
#define TESTS_THREAD_NOTES_H

#ifdef _LGPL_SOURCE /* of the client library, which knows neither, it is not */
#include <rte_hash.h>
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
#define rcu_assign_pointer(place, value)                                                           \
	(__tsan_release(value), __atomic_store_n(&(place), value, __ATOMIC_RELEASE))
#define rcu_dereference(place)                                                                     \
	({                                                                                         \
		__typeof__(place) value_ = __atomic_load_n(&(place), __ATOMIC_ACQUIRE);            \
		__tsan_acquire((void *)(uintptr_t)value_);                                         \
		value_;                                                                            \
	})
#define rte_hash_add_key_with_hash_data note_hash_add
#define rte_hash_lookup_with_hash_data note_hash_lookup
#define rte_hash_lookup_with_hash_bulk_data note_hash_lookup_bulk
#endif

#endif
