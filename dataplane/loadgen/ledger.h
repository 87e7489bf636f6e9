/* SPDX-License-Identifier: BSD-3-Clause */
/* What the server acknowledged of each key, to hold its replies against (--verify). */
#ifndef LOADGEN_LEDGER_H
#define LOADGEN_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

/* One entry per key.
 *
 * Thread safety: any thread, without locks. A read's floor is taken before the read is sent;
 * whatever was acknowledged before that moment must be visible to it. Writes that were in flight at
 * that moment may or may not be.
 */
struct ledger {
	uint64_t key_count;
	uint64_t counter_count;
	uint64_t *versions;         /* by key: the highest version acknowledged */
	uint8_t *may_be_absent;     /* by key: 1 = it was never stored, or may have been deleted */
	uint64_t *increments;       /* by counter: acknowledged */
	uint64_t *maybe_increments; /* by counter: sent, outcome unknown */
};

/* NULL when there is no memory. Every key may be absent at first. */
struct ledger *ledger_create(uint64_t key_count, uint64_t counter_count);

/* Accepts NULL. */
void ledger_destroy(struct ledger *ledger);

/* A write of 'key' was acknowledged with the item's new 'version'. */
void ledger_acknowledge(struct ledger *ledger, uint64_t key, uint64_t version);

/* The least version a read of 'key' that is sent now may return. */
static inline uint64_t ledger_floor(const struct ledger *ledger, uint64_t key)
{
	return __atomic_load_n(&ledger->versions[key], __ATOMIC_ACQUIRE);
}

/* From now on 'key' must be there. Called by the load phase. */
static inline void ledger_expect(struct ledger *ledger, uint64_t key)
{
	__atomic_store_n(&ledger->may_be_absent[key], 0, __ATOMIC_RELEASE);
}

/* A delete of 'key' is about to be sent: from now on it may be absent. */
static inline void ledger_doubt(struct ledger *ledger, uint64_t key)
{
	__atomic_store_n(&ledger->may_be_absent[key], 1, __ATOMIC_RELEASE);
}

static inline bool ledger_may_be_absent(const struct ledger *ledger, uint64_t key)
{
	return __atomic_load_n(&ledger->may_be_absent[key], __ATOMIC_ACQUIRE);
}

/* An increment by one was acknowledged, or given up with its outcome unknown. */
void ledger_count_increment(struct ledger *ledger, uint64_t counter, bool acknowledged);

/* Whether decimal text is a value the counter may have after all increments are resolved. */
bool ledger_counter_matches(const struct ledger *ledger, uint64_t counter, const uint8_t *text,
			    uint32_t size);

#endif
