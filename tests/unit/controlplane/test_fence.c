/* SPDX-License-Identifier: BSD-3-Clause */
/* The fence: closes without a majority, opens only after everybody has told. */
#include "controlplane/fence.h"

#include "tests/unit/unit.h"

#define FENCE_MS 5000u

static struct fence fence;

/* A round whose answers are counted: of 'others' members so many told, so many of them with whole memories. */
static enum fence_step round_of(uint64_t now_ms, uint32_t others, uint32_t told, uint32_t whole)
{
	const struct fence_told count = { .others = others, .told = told, .whole = whole };

	CU_ASSERT_EQUAL(fence_tick(&fence, now_ms, now_ms, true), FENCE_DO_ASK);
	return fence_conclude(&fence, now_ms, &count);
}

static void test_a_joiner_starts_closed_and_asks_when_it_sees_a_majority(void)
{
	const struct fence_told told = { .others = 2, .told = 2, .whole = 2 };

	fence_init(&fence, FENCE_MS);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence_tick(&fence, 1000, 0, false), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1100, 1100, true), FENCE_DO_ASK);
	fence_asked(&fence);
	fence_asked(&fence);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1200, 1200, true), FENCE_NOTHING);
	CU_ASSERT_TRUE(fence_answered(&fence, fence.round));
	CU_ASSERT_TRUE(fence_answered(&fence, fence.round));
	CU_ASSERT_EQUAL(fence.outstanding, 0);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_FALSE(fence.is_whole);
	CU_ASSERT_EQUAL(fence_conclude(&fence, 1300, &told), FENCE_DO_OPEN);
	CU_ASSERT_TRUE(fence_is_open(&fence));
	CU_ASSERT_TRUE(fence.is_whole);
}

static void test_nobody_to_ask_opens_at_once(void)
{
	fence_init(&fence, FENCE_MS);
	CU_ASSERT_EQUAL(round_of(1000, 0, 0, 0), FENCE_DO_OPEN);
	fence_open(&fence);
	CU_ASSERT_TRUE(fence_is_open(&fence));
}

static void test_it_closes_when_the_majority_is_gone_too_long(void)
{
	fence_init(&fence, FENCE_MS);
	fence_open(&fence);
	CU_ASSERT_EQUAL(fence_tick(&fence, 9000, 4000, false), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_tick(&fence, 9001, 4000, false), FENCE_DO_CLOSE);
	CU_ASSERT_EQUAL(fence_tick(&fence, 9100, 4000, false), FENCE_NOTHING);
	CU_ASSERT_FALSE(fence_is_open(&fence));
}

static void test_one_that_is_alive_and_does_not_tell_keeps_it_closed_and_all_are_asked_again(void)
{
	const struct fence_told told = { .others = 4, .told = 3, .whole = 3, .owing = 1 };

	fence_init(&fence, FENCE_MS);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1000, 1000, true), FENCE_DO_ASK);
	CU_ASSERT_EQUAL(fence_conclude(&fence, 1200, &told), FENCE_NOTHING);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence.waits_for, 0);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1200 + FENCE_RETRY_MS - 1, 1600, true), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1200 + FENCE_RETRY_MS, 1700, true), FENCE_DO_ASK);
}

static void test_answers_of_an_earlier_round_do_not_count(void)
{
	uint32_t first;

	fence_init(&fence, FENCE_MS);
	fence_tick(&fence, 1000, 1000, true);
	first = fence.round;
	fence_asked(&fence);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1100, 0, false), FENCE_NOTHING); /* lost again */
	CU_ASSERT_FALSE(fence_answered(&fence, first));
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence_tick(&fence, 1300, 1300, true), FENCE_DO_ASK);
	fence_asked(&fence);
	CU_ASSERT_FALSE(fence_answered(&fence, first));
	CU_ASSERT_EQUAL(fence.outstanding, 1);
	CU_ASSERT_TRUE(fence_answered(&fence, fence.round));
}

/* Whoever has forgotten hears at least one of those that know what a majority confirmed, itself left aside: for any number
 * of members, those that know besides it and those that told are together more than all others.
 */
static void test_who_has_forgotten_meets_one_of_every_majority(void)
{
	for (uint32_t members = 2; members <= 9; members++) {
		uint32_t others = members - 1;

		for (uint32_t whole = 0; whole < others; whole++) {
			fence_init(&fence, FENCE_MS);
			CU_ASSERT_EQUAL(round_of(1000, others, whole, whole) == FENCE_DO_OPEN,
					whole + members / 2 > others);
		}
	}
}

/* Who has not forgotten is itself one of those that did not know: it needs one less. */
static void test_who_was_open_before_needs_one_less(void)
{
	for (uint32_t members = 2; members <= 9; members++) {
		uint32_t others = members - 1;

		for (uint32_t whole = 0; whole < others; whole++) {
			fence_init(&fence, FENCE_MS);
			fence_open(&fence);
			CU_ASSERT_EQUAL(fence_tick(&fence, 9001, 4000, false), FENCE_DO_CLOSE);
			CU_ASSERT_EQUAL(round_of(9100, others, whole, whole) == FENCE_DO_OPEN,
					whole + 1 + members / 2 > others);
		}
	}
}

static void test_those_that_have_forgotten_are_enough_only_all_together(void)
{
	fence_init(&fence, FENCE_MS);
	CU_ASSERT_EQUAL(round_of(1000, 4, 3, 1), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence.waits_for, 1);
	CU_ASSERT_EQUAL(round_of(2000, 4, 2, 0), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence.waits_for, 2);
	CU_ASSERT_EQUAL(round_of(3000, 4, 4, 0), FENCE_DO_OPEN);
	CU_ASSERT_EQUAL(fence.waits_for, 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_joiner_starts_closed_and_asks_when_it_sees_a_majority),
		UNIT_TEST(test_nobody_to_ask_opens_at_once),
		UNIT_TEST(test_it_closes_when_the_majority_is_gone_too_long),
		UNIT_TEST(
			test_one_that_is_alive_and_does_not_tell_keeps_it_closed_and_all_are_asked_again),
		UNIT_TEST(test_answers_of_an_earlier_round_do_not_count),
		UNIT_TEST(test_who_has_forgotten_meets_one_of_every_majority),
		UNIT_TEST(test_who_was_open_before_needs_one_less),
		UNIT_TEST(test_those_that_have_forgotten_are_enough_only_all_together),
		{ NULL, NULL },
	};

	return unit_run("fence", tests);
}
