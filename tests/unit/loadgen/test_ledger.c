/* SPDX-License-Identifier: BSD-3-Clause */
/* What was acknowledged, also by several threads at once. */
#include <pthread.h>
#include <string.h>

#include "dataplane/loadgen/ledger.h"
#include "tests/unit/unit.h"

static void test_the_floor_is_the_highest_acknowledged_version(void)
{
	struct ledger *ledger = ledger_create(10, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(ledger);
	CU_ASSERT_EQUAL(ledger_floor(ledger, 3), 0);
	ledger_acknowledge(ledger, 3, 500);
	ledger_acknowledge(ledger, 3, 400);
	CU_ASSERT_EQUAL(ledger_floor(ledger, 3), 500);
	ledger_acknowledge(ledger, 3, 501);
	CU_ASSERT_EQUAL(ledger_floor(ledger, 3), 501);
	CU_ASSERT_EQUAL(ledger_floor(ledger, 4), 0);
	ledger_destroy(ledger);
}

static void test_keys_are_expected_until_a_delete_is_sent(void)
{
	struct ledger *ledger = ledger_create(10, 1);

	CU_ASSERT(ledger_may_be_absent(ledger, 3));
	ledger_expect(ledger, 3);
	CU_ASSERT_FALSE(ledger_may_be_absent(ledger, 3));
	CU_ASSERT(ledger_may_be_absent(ledger, 4));
	ledger_doubt(ledger, 3);
	CU_ASSERT(ledger_may_be_absent(ledger, 3));
	ledger_destroy(ledger);
}

static bool counter_matches(const struct ledger *ledger, const char *text)
{
	return ledger_counter_matches(ledger, 0, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void test_counters_hold_what_was_acknowledged_and_perhaps_the_rest(void)
{
	struct ledger *ledger = ledger_create(10, 1);

	CU_ASSERT(counter_matches(ledger, "0"));
	for (unsigned i = 0; i < 12; i++)
		ledger_count_increment(ledger, 0, true);
	CU_ASSERT(counter_matches(ledger, "12"));
	CU_ASSERT_FALSE(counter_matches(ledger, "11"));
	CU_ASSERT_FALSE(counter_matches(ledger, "13"));
	ledger_count_increment(ledger, 0, false);
	CU_ASSERT(counter_matches(ledger, "12"));
	CU_ASSERT(counter_matches(ledger, "13"));
	CU_ASSERT_FALSE(counter_matches(ledger, "14"));
	CU_ASSERT_FALSE(counter_matches(ledger, ""));
	CU_ASSERT_FALSE(counter_matches(ledger, "12 "));
	CU_ASSERT_FALSE(counter_matches(ledger, "00000000000000000012"));
	ledger_destroy(ledger);
}

#define THREADS 4u
#define ROUNDS 100000u

static void *acknowledge_many(void *argument)
{
	struct ledger *ledger = argument;

	for (uint64_t i = 1; i <= ROUNDS; i++) {
		ledger_acknowledge(ledger, 0, i);
		ledger_count_increment(ledger, 0, true);
	}
	return NULL;
}

static void test_threads_lose_nothing(void)
{
	struct ledger *ledger = ledger_create(1, 1);
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, acknowledge_many, ledger),
				      0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(ledger_floor(ledger, 0), ROUNDS);
	CU_ASSERT(counter_matches(ledger, "400000"));
	ledger_destroy(ledger);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_the_floor_is_the_highest_acknowledged_version),
		UNIT_TEST(test_keys_are_expected_until_a_delete_is_sent),
		UNIT_TEST(test_counters_hold_what_was_acknowledged_and_perhaps_the_rest),
		UNIT_TEST(test_threads_lose_nothing),
		{ NULL, NULL },
	};

	return unit_run("ledger", tests);
}
