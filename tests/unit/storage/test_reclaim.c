/* SPDX-License-Identifier: BSD-3-Clause */
/* Deferred freeing against a grace period that the test moves by hand. */
#include "storage/reclaim.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define OBJECTS_MAX 40000u

/* Objects are numbers: pointers into 'cells'. */
struct fixture {
	struct grace_period period;
	struct reclaim *reclaim;
	uint8_t cells[OBJECTS_MAX];
	uint32_t freed_count;
	uint32_t last_argument;
	bool freed_in_order;
	uint32_t retire_again; /* free_fn retires so many more */
};

static void on_free(void *context, void *object, uint32_t argument)
{
	struct fixture *fixture = context;
	uint8_t *cell = object;

	CU_ASSERT_EQUAL(*cell, 1); /* retired, not freed before */
	*cell = 2;
	if ((uint32_t)(cell - fixture->cells) != argument)
		CU_FAIL("object and argument do not belong together");
	if (argument != fixture->freed_count)
		fixture->freed_in_order = false;
	fixture->last_argument = argument;
	fixture->freed_count++;
	if (fixture->retire_again > 0) {
		uint32_t next = OBJECTS_MAX - fixture->retire_again--;

		fixture->cells[next] = 1;
		reclaim_retire(fixture->reclaim, &fixture->cells[next], next);
	}
}

static struct fixture *fixture_create(void)
{
	struct fixture *fixture = aligned_alloc(64, sizeof(*fixture));

	CU_ASSERT_PTR_NOT_NULL_FATAL(fixture);
	memset(fixture, 0, sizeof(*fixture));
	fixture->freed_in_order = true;
	CU_ASSERT_EQUAL_FATAL(reclaim_create(&fixture->reclaim, &fixture->period, on_free, fixture),
			      0);
	return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
	reclaim_destroy(fixture->reclaim);
	free(fixture);
}

static void retire(struct fixture *fixture, uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++) {
		fixture->cells[i] = 1;
		reclaim_retire(fixture->reclaim, &fixture->cells[i], i);
	}
}

static void period_start(struct fixture *fixture)
{
	fixture->period.started++;
}

static void period_complete(struct fixture *fixture)
{
	fixture->period.completed = fixture->period.started;
}

static uint32_t poll_all(struct fixture *fixture)
{
	uint32_t freed = 0;

	for (uint32_t i = 0; i < 3000; i++)
		freed += reclaim_poll(fixture->reclaim, UINT32_MAX);
	return freed;
}

static void test_freed_only_after_a_period_that_began_later(void)
{
	struct fixture *fixture = fixture_create();

	period_start(fixture); /* under way when the objects are retired: proves nothing for them */
	retire(fixture, 0, 10);
	CU_ASSERT_EQUAL(poll_all(fixture), 0);
	CU_ASSERT_EQUAL(fixture->period.wanted, 2);
	period_complete(fixture);
	CU_ASSERT_EQUAL(poll_all(fixture), 0);
	CU_ASSERT_EQUAL(reclaim_pending(fixture->reclaim), 10);
	period_start(fixture);
	CU_ASSERT_EQUAL(poll_all(fixture), 0);
	period_complete(fixture);
	CU_ASSERT_EQUAL(poll_all(fixture), 10);
	CU_ASSERT_EQUAL(reclaim_pending(fixture->reclaim), 0);
	CU_ASSERT(fixture->freed_in_order);
	fixture_destroy(fixture);
}

static void test_nothing_retired_wants_no_period(void)
{
	struct fixture *fixture = fixture_create();

	CU_ASSERT_EQUAL(poll_all(fixture), 0);
	CU_ASSERT_EQUAL(fixture->period.wanted, 0);
	fixture_destroy(fixture);
}

static void test_each_bag_waits_for_its_own_period(void)
{
	struct fixture *fixture = fixture_create();

	retire(fixture, 0, 126); /* a whole bag: closed at once, before any period */
	CU_ASSERT_EQUAL(fixture->period.wanted, 1);
	period_start(fixture);
	retire(fixture, 126, 126);
	CU_ASSERT_EQUAL(fixture->period.wanted, 2);
	period_complete(fixture);
	CU_ASSERT_EQUAL(poll_all(fixture), 126);
	period_start(fixture);
	period_complete(fixture);
	CU_ASSERT_EQUAL(poll_all(fixture), 126);
	CU_ASSERT(fixture->freed_in_order);
	fixture_destroy(fixture);
}

static void test_wanted_never_sinks(void)
{
	struct fixture *fixture = fixture_create();

	fixture->period.wanted = 7; /* another core's */
	retire(fixture, 0, 126);
	CU_ASSERT_EQUAL(fixture->period.wanted, 7);
	fixture->period.started = fixture->period.completed = 7;
	retire(fixture, 126, 126);
	CU_ASSERT_EQUAL(fixture->period.wanted, 8);
	fixture_destroy(fixture);
}

static void test_poll_is_bounded(void)
{
	struct fixture *fixture = fixture_create();
	uint32_t polls = 0;

	retire(fixture, 0, 1000);
	reclaim_poll(fixture->reclaim, 0);
	for (uint32_t i = 0; i < 1024; i++)
		CU_ASSERT_EQUAL(reclaim_poll(fixture->reclaim, 50), 0);
	period_start(fixture);
	period_complete(fixture);
	while (reclaim_pending(fixture->reclaim) > 0 && polls++ < 100) {
		uint32_t before = fixture->freed_count;
		uint32_t freed = reclaim_poll(fixture->reclaim, 50);

		CU_ASSERT(freed <= 50);
		CU_ASSERT_EQUAL(fixture->freed_count - before, freed);
	}
	CU_ASSERT_EQUAL(polls, 20);
	CU_ASSERT(fixture->freed_in_order);
	fixture_destroy(fixture);
}

/* A trickle of retired objects does not wait for a bag to fill, and a period under way does not
 * hold the next bag open for ever.
 */
static void test_an_open_bag_is_closed_when_due(void)
{
	struct fixture *fixture = fixture_create();

	retire(fixture, 0, 1);
	reclaim_poll(fixture->reclaim, 100);
	CU_ASSERT_EQUAL(fixture->period.wanted, 1); /* nothing else under way: at once */
	period_start(fixture);
	retire(fixture, 1, 1);
	reclaim_poll(fixture->reclaim, 100);
	CU_ASSERT_EQUAL(fixture->period.wanted, 1); /* gathers more while the first waits */
	for (uint32_t i = 0; i < 1024; i++)
		reclaim_poll(fixture->reclaim, 100);
	CU_ASSERT_EQUAL(fixture->period.wanted, 2);
	fixture_destroy(fixture);
}

static void test_a_stall_is_survived_and_its_bags_return(void)
{
	struct fixture *fixture = fixture_create();
	size_t in_use = mallinfo2().uordblks; /* 0 under a sanitizer */

	for (uint32_t round = 0; round < 2; round++) {
		fixture->freed_count = 0;
		memset(fixture->cells, 0, sizeof(fixture->cells));
		retire(fixture, 0, OBJECTS_MAX); /* far more than the bags made at create hold */
		CU_ASSERT_EQUAL(poll_all(fixture), 0);
		CU_ASSERT_EQUAL(reclaim_pending(fixture->reclaim), OBJECTS_MAX);
		period_start(fixture);
		period_complete(fixture);
		CU_ASSERT_EQUAL(poll_all(fixture), OBJECTS_MAX);
		CU_ASSERT(mallinfo2().uordblks <= in_use + OBJECTS_MAX);
	}
	CU_ASSERT(fixture->freed_in_order);
	fixture_destroy(fixture);
}

static void test_freeing_may_retire(void)
{
	struct fixture *fixture = fixture_create();

	fixture->retire_again = 300;
	retire(fixture, 0, 400);
	for (uint32_t i = 0; i < 4; i++) {
		poll_all(fixture);
		period_start(fixture);
		period_complete(fixture);
	}
	poll_all(fixture);
	CU_ASSERT_EQUAL(fixture->freed_count, 700);
	CU_ASSERT_EQUAL(reclaim_pending(fixture->reclaim), 0);
	fixture_destroy(fixture);
}

static void test_destroy_frees_all_that_is_left(void)
{
	struct fixture *fixture = fixture_create();

	retire(fixture, 0, 300);
	reclaim_destroy(fixture->reclaim);
	CU_ASSERT_EQUAL(fixture->freed_count, 300);
	free(fixture);
	reclaim_destroy(NULL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_freed_only_after_a_period_that_began_later),
		UNIT_TEST(test_nothing_retired_wants_no_period),
		UNIT_TEST(test_each_bag_waits_for_its_own_period),
		UNIT_TEST(test_wanted_never_sinks),
		UNIT_TEST(test_poll_is_bounded),
		UNIT_TEST(test_an_open_bag_is_closed_when_due),
		UNIT_TEST(test_a_stall_is_survived_and_its_bags_return),
		UNIT_TEST(test_freeing_may_retire),
		UNIT_TEST(test_destroy_frees_all_that_is_left),
		{ NULL, NULL },
	};

	return unit_run("reclaim", tests);
}
