/* SPDX-License-Identifier: BSD-3-Clause */
/* The fence: closes without a majority, opens only after everybody has told. */
#include "controlplane/fence.h"

#include "tests/unit/unit.h"

#define FENCE_MS 5000u

static struct fence fence;

static void test_a_joiner_starts_closed_and_asks_when_it_sees_a_majority(void)
{
	fence_init(&fence, FENCE_MS);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence_tick(&fence, 1000, 0, false), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1100, 1100, true), FENCE_DO_ASK);
	CU_ASSERT_EQUAL(fence_asked(&fence, 2), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1200, 1200, true), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_answered(&fence, 1300, fence.round, true), FENCE_NOTHING);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence_answered(&fence, 1300, fence.round, true), FENCE_DO_OPEN);
	CU_ASSERT_TRUE(fence_is_open(&fence));
}

static void test_nobody_to_ask_opens_at_once(void)
{
	fence_init(&fence, FENCE_MS);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1000, 1000, true), FENCE_DO_ASK);
	CU_ASSERT_EQUAL(fence_asked(&fence, 0), FENCE_DO_OPEN);
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

static void test_one_that_does_not_answer_keeps_it_closed_and_all_are_asked_again(void)
{
	fence_init(&fence, FENCE_MS);
	fence_tick(&fence, 1000, 1000, true);
	fence_asked(&fence, 2);
	fence_answered(&fence, 1100, fence.round, false);
	CU_ASSERT_EQUAL(fence_answered(&fence, 1200, fence.round, true), FENCE_NOTHING);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence_tick(&fence, 1200 + FENCE_RETRY_MS - 1, 1600, true), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1200 + FENCE_RETRY_MS, 1700, true), FENCE_DO_ASK);
}

static void test_answers_of_an_earlier_round_do_not_count(void)
{
	uint32_t first;

	fence_init(&fence, FENCE_MS);
	fence_tick(&fence, 1000, 1000, true);
	first = fence.round;
	fence_asked(&fence, 1);
	CU_ASSERT_EQUAL(fence_tick(&fence, 1100, 0, false), FENCE_NOTHING); /* lost again */
	CU_ASSERT_EQUAL(fence_answered(&fence, 1200, first, true), FENCE_NOTHING);
	CU_ASSERT_FALSE(fence_is_open(&fence));
	CU_ASSERT_EQUAL(fence_tick(&fence, 1300, 1300, true), FENCE_DO_ASK);
	fence_asked(&fence, 1);
	CU_ASSERT_EQUAL(fence_answered(&fence, 1400, first, true), FENCE_NOTHING);
	CU_ASSERT_EQUAL(fence_answered(&fence, 1400, fence.round, true), FENCE_DO_OPEN);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_joiner_starts_closed_and_asks_when_it_sees_a_majority),
		UNIT_TEST(test_nobody_to_ask_opens_at_once),
		UNIT_TEST(test_it_closes_when_the_majority_is_gone_too_long),
		UNIT_TEST(test_one_that_does_not_answer_keeps_it_closed_and_all_are_asked_again),
		UNIT_TEST(test_answers_of_an_earlier_round_do_not_count),
		{ NULL, NULL },
	};

	return unit_run("fence", tests);
}
