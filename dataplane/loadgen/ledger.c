/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of acknowledged versions and counters. */
#include "dataplane/loadgen/ledger.h"

#include <stdlib.h>
#include <string.h>

#define COUNTER_DIGITS_MAX 19u

struct ledger *ledger_create(uint64_t key_count, uint64_t counter_count)
{
	struct ledger *ledger = calloc(1, sizeof(*ledger));

	if (!ledger)
		return NULL;
	ledger->key_count = key_count;
	ledger->counter_count = counter_count;
	ledger->versions = calloc(key_count, sizeof(*ledger->versions));
	ledger->may_be_absent = malloc(key_count);
	ledger->increments = calloc(counter_count, sizeof(*ledger->increments));
	ledger->maybe_increments = calloc(counter_count, sizeof(*ledger->maybe_increments));
	if (!ledger->versions || !ledger->may_be_absent || !ledger->increments ||
	    !ledger->maybe_increments) {
		ledger_destroy(ledger);
		return NULL;
	}
	memset(ledger->may_be_absent, 1, key_count);
	return ledger;
}

void ledger_destroy(struct ledger *ledger)
{
	if (!ledger)
		return;
	free(ledger->versions);
	free(ledger->may_be_absent);
	free(ledger->increments);
	free(ledger->maybe_increments);
	free(ledger);
}

void ledger_acknowledge(struct ledger *ledger, uint64_t key, uint64_t version)
{
	uint64_t known = __atomic_load_n(&ledger->versions[key], __ATOMIC_RELAXED);

	while (known < version &&
	       !__atomic_compare_exchange_n(&ledger->versions[key], &known, version, true,
					    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
		;
}

void ledger_count_increment(struct ledger *ledger, uint64_t counter, bool acknowledged)
{
	uint64_t *count = acknowledged ? ledger->increments : ledger->maybe_increments;

	__atomic_fetch_add(&count[counter], 1, __ATOMIC_RELAXED);
}

bool ledger_counter_matches(const struct ledger *ledger, uint64_t counter, const uint8_t *text,
			    uint32_t size)
{
	uint64_t least = __atomic_load_n(&ledger->increments[counter], __ATOMIC_RELAXED);
	uint64_t most =
		least + __atomic_load_n(&ledger->maybe_increments[counter], __ATOMIC_RELAXED);
	uint64_t value = 0;

	if (size == 0 || size > COUNTER_DIGITS_MAX)
		return false;
	for (uint32_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	return value >= least && value <= most;
}
