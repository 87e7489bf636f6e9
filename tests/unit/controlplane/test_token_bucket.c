/* SPDX-License-Identifier: BSD-3-Clause */
/* The rate limit: over a long time exactly its rate, whatever the size of what is spent. */
#include "controlplane/token_bucket.h"
#include "tests/unit/unit.h"

/* Spends 'cost' whenever it may, looking each millisecond; returns what was spent. */
static uint64_t spend_for(struct token_bucket *bucket, uint64_t cost, uint64_t from_ms,
			  uint64_t to_ms)
{
	uint64_t spent = 0;

	for (uint64_t now_ms = from_ms; now_ms < to_ms; now_ms++) {
		while (token_bucket_is_open(bucket, now_ms) && spent < UINT64_C(1) << 40) {
			token_bucket_spend(bucket, cost);
			spent += cost;
		}
	}
	return spent;
}

static void test_the_rate_holds_for_small_and_large_costs(void)
{
	static const uint64_t costs[] = { 1, 7, 999, 1000, 262144 };

	for (uint32_t i = 0; i < 5; i++) {
		struct token_bucket bucket;
		uint64_t spent;

		token_bucket_init(&bucket, 100000, 100, 0);
		spent = spend_for(&bucket, costs[i], 0, 100000);
		CU_ASSERT(spent + costs[i] >= 10000000);
		CU_ASSERT(spent <= 10000000 + 100 + costs[i]);
	}
}

static void test_no_rate_is_no_limit(void)
{
	struct token_bucket bucket;

	token_bucket_init(&bucket, 0, 1, 5);
	token_bucket_spend(&bucket, UINT64_MAX);
	CU_ASSERT(token_bucket_is_open(&bucket, 5));
	CU_ASSERT_EQUAL(token_bucket_open_at_ms(&bucket), 5);
}

static void test_a_slow_rate_loses_no_remainder(void)
{
	struct token_bucket bucket;

	token_bucket_init(&bucket, 1, 1, 0);
	CU_ASSERT_EQUAL(spend_for(&bucket, 1, 0, 60001), 61);
}

static void test_it_says_when_it_opens(void)
{
	struct token_bucket bucket;

	token_bucket_init(&bucket, 1000, 10, 100);
	CU_ASSERT(token_bucket_is_open(&bucket, 100));
	token_bucket_spend(&bucket, 60);
	CU_ASSERT_FALSE(token_bucket_is_open(&bucket, 100));
	CU_ASSERT_EQUAL(token_bucket_open_at_ms(&bucket), 151);
	CU_ASSERT_FALSE(token_bucket_is_open(&bucket, 150));
	CU_ASSERT(token_bucket_is_open(&bucket, 151));
}

static void test_a_long_pause_fills_it_once(void)
{
	struct token_bucket bucket;

	token_bucket_init(&bucket, TOKEN_BUCKET_RATE_MAX, 5, 0);
	token_bucket_spend(&bucket, UINT64_MAX);
	CU_ASSERT(token_bucket_is_open(&bucket, UINT64_MAX / 2));
	token_bucket_spend(&bucket, 5);
	CU_ASSERT_FALSE(token_bucket_is_open(&bucket, UINT64_MAX / 2));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_the_rate_holds_for_small_and_large_costs),
		UNIT_TEST(test_no_rate_is_no_limit),
		UNIT_TEST(test_a_slow_rate_loses_no_remainder),
		UNIT_TEST(test_it_says_when_it_opens),
		UNIT_TEST(test_a_long_pause_fills_it_once),
		{ NULL, NULL },
	};

	return unit_run("token_bucket", tests);
}
