/* SPDX-License-Identifier: BSD-3-Clause */
/* Key distributions against their formulas; seeds are fixed, so a pass stays a pass. */
#include <math.h>
#include <stdlib.h>

#include "dataplane/loadgen/key_chooser.h"
#include "tests/unit/unit.h"

#define DRAWS 1000000u

/* Chi-square of 'counts' against 'shares' (which add up to 1), over 'cells' - 1 degrees of freedom.
 */
static double chi_square(const uint64_t *counts, const double *shares, size_t cells)
{
	double sum = 0.0;

	for (size_t i = 0; i < cells; i++) {
		double want = shares[i] * DRAWS;

		sum += ((double)counts[i] - want) * ((double)counts[i] - want) / want;
	}
	return sum;
}

/* Far above what chance gives: mean plus five standard deviations. */
static double chi_square_limit(size_t cells)
{
	double freedom = (double)cells - 1.0;

	return freedom + 5.0 * sqrt(2.0 * freedom);
}

static void zipf_shares(double *shares, size_t count, double exponent)
{
	double sum = 0.0;

	for (size_t i = 0; i < count; i++)
		sum += shares[i] = pow((double)(i + 1), -exponent);
	for (size_t i = 0; i < count; i++)
		shares[i] /= sum;
}

static void count_draws(const struct key_chooser *chooser, uint64_t *counts)
{
	struct rng rng;

	rng_init(&rng, 7, 0);
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t key = key_chooser_next(chooser, &rng);

		CU_ASSERT_FATAL(key < chooser->key_count);
		counts[key]++;
	}
}

static void test_uniform_keys_are_even(void)
{
	struct key_chooser chooser;
	uint64_t counts[1000] = { 0 };
	double shares[1000];

	key_chooser_init(&chooser, KEY_UNIFORM, 1000, 0.99, true);
	for (size_t i = 0; i < 1000; i++)
		shares[i] = 1.0 / 1000;
	count_draws(&chooser, counts);
	CU_ASSERT(chi_square(counts, shares, 1000) < chi_square_limit(1000));
}

static void check_zipf(double exponent)
{
	struct key_chooser chooser;
	uint64_t counts[1000] = { 0 };
	double shares[1000];

	key_chooser_init(&chooser, KEY_ZIPF, 1000, exponent, false);
	zipf_shares(shares, 1000, exponent);
	count_draws(&chooser, counts);
	CU_ASSERT(chi_square(counts, shares, 1000) < chi_square_limit(1000));
}

static void test_zipf_ranks_follow_the_formula(void)
{
	check_zipf(0.5);
	check_zipf(0.99);
	check_zipf(1.0);
	check_zipf(1.2);
}

static void test_zipf_of_millions_of_keys(void)
{
	struct zipf zipf;
	struct rng rng;
	uint64_t first = 0, head = 0;
	double sum = 0.0, head_sum = 0.0;

	zipf_init(&zipf, 8000000, 0.99);
	rng_init(&rng, 3, 0);
	for (unsigned i = 0; i < DRAWS; i++) {
		uint64_t rank = zipf_next(&zipf, &rng);

		CU_ASSERT_FATAL(rank >= 1 && rank <= 8000000);
		first += rank == 1;
		head += rank <= 1000;
	}
	for (unsigned rank = 1; rank <= 8000000; rank++) {
		sum += pow(rank, -0.99);
		if (rank <= 1000)
			head_sum += pow(rank, -0.99);
	}
	CU_ASSERT_DOUBLE_EQUAL((double)first / DRAWS, 1.0 / sum, 0.001);
	CU_ASSERT_DOUBLE_EQUAL((double)head / DRAWS, head_sum / sum, 0.003);
}

static void check_bijection(uint64_t key_count)
{
	struct key_chooser chooser;
	uint8_t *seen = calloc(key_count, 1);
	uint64_t different = 0;

	key_chooser_init(&chooser, KEY_ZIPF, key_count, 0.99, true);
	for (uint64_t rank = 0; rank < key_count; rank++) {
		uint64_t key = key_chooser_scramble(&chooser, rank);

		CU_ASSERT_FATAL(key < key_count);
		different += seen[key]++ == 0;
	}
	CU_ASSERT_EQUAL(different, key_count);
	free(seen);
}

static void test_scrambling_is_a_bijection(void)
{
	check_bijection(1);
	check_bijection(2);
	check_bijection(3);
	check_bijection(1000);
	check_bijection(65536);
	check_bijection(65537);
	check_bijection(1000000);
}

/* Hot ranks must not stay neighbours: of the 1,000 hottest each tenth of the keys gets its part. */
static void test_scrambling_spreads_the_hot_keys(void)
{
	struct key_chooser chooser;
	unsigned tenths[10] = { 0 };

	key_chooser_init(&chooser, KEY_ZIPF, 1000000, 0.99, true);
	for (uint64_t rank = 0; rank < 1000; rank++)
		tenths[key_chooser_scramble(&chooser, rank) / 100000]++;
	for (unsigned i = 0; i < 10; i++)
		CU_ASSERT(tenths[i] > 50 && tenths[i] < 200);
}

static void test_scrambled_zipf_keeps_its_shares(void)
{
	struct key_chooser chooser;
	uint64_t counts[1000] = { 0 };
	uint64_t by_rank[1000];
	double shares[1000];

	key_chooser_init(&chooser, KEY_ZIPF, 1000, 0.99, true);
	zipf_shares(shares, 1000, 0.99);
	count_draws(&chooser, counts);
	for (uint64_t rank = 0; rank < 1000; rank++)
		by_rank[rank] = counts[key_chooser_scramble(&chooser, rank)];
	CU_ASSERT(chi_square(by_rank, shares, 1000) < chi_square_limit(1000));
}

static void test_latest_prefers_the_newest_also_after_growth(void)
{
	struct key_chooser chooser;
	uint64_t counts[1000] = { 0 };
	uint64_t by_age[1000];
	double shares[1000];

	key_chooser_init(&chooser, KEY_LATEST, 10, 0.99, true);
	key_chooser_grow(&chooser, 1000);
	zipf_shares(shares, 1000, 0.99);
	count_draws(&chooser, counts);
	for (size_t age = 0; age < 1000; age++)
		by_age[age] = counts[999 - age];
	CU_ASSERT(chi_square(by_age, shares, 1000) < chi_square_limit(1000));
}

static void test_streams_of_a_seed_differ_and_repeat(void)
{
	struct rng a, b, again;
	unsigned same = 0;

	rng_init(&a, 1, 0);
	rng_init(&b, 1, 1);
	rng_init(&again, 1, 0);
	for (unsigned i = 0; i < 1000; i++) {
		uint64_t x = rng_next(&a);

		same += x == rng_next(&b);
		CU_ASSERT_EQUAL(x, rng_next(&again));
	}
	CU_ASSERT_EQUAL(same, 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_uniform_keys_are_even),
		UNIT_TEST(test_zipf_ranks_follow_the_formula),
		UNIT_TEST(test_zipf_of_millions_of_keys),
		UNIT_TEST(test_scrambling_is_a_bijection),
		UNIT_TEST(test_scrambling_spreads_the_hot_keys),
		UNIT_TEST(test_scrambled_zipf_keeps_its_shares),
		UNIT_TEST(test_latest_prefers_the_newest_also_after_growth),
		UNIT_TEST(test_streams_of_a_seed_differ_and_repeat),
		{ NULL, NULL },
	};

	return unit_run("key_chooser", tests);
}
