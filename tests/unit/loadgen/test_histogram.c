/* SPDX-License-Identifier: BSD-3-Clause */
/* Histograms against the exact percentiles of the same values. */
#include <math.h>
#include <stdlib.h>

#include "dataplane/loadgen/histogram.h"
#include "tests/unit/unit.h"

#define VALUE_COUNT 100000u

static const double percents[] = { 0.0, 1.0, 50.0, 90.0, 99.0, 99.9, 99.99, 100.0 };

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The smallest of 'count' sorted values that 'percent' of them do not exceed. */
static uint64_t exact(const uint64_t *sorted, size_t count, double percent)
{
	size_t rank = (size_t)ceil(percent / 100.0 * (double)count);

	return sorted[rank ? rank - 1 : 0];
}

/* Values spread over many powers of two, as latencies are. */
static uint64_t draw(uint64_t *state)
{
	uint64_t value = unit_random(state);

	return (value >> 24) >> (unit_random(state) % 40);
}

static void check_percentiles(const struct histogram *histogram, const uint64_t *sorted,
			      size_t count)
{
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		uint64_t want = exact(sorted, count, percents[i]);
		uint64_t got = histogram_percentile(histogram, percents[i]);

		CU_ASSERT(got >= want);
		CU_ASSERT((double)(got - want) <= (double)want / 1024.0);
	}
}

static void test_percentiles_are_exact_to_three_figures(void)
{
	struct histogram *histogram = calloc(1, sizeof(*histogram));
	uint64_t *values = malloc(VALUE_COUNT * sizeof(*values));
	uint64_t state = 1;
	double sum = 0.0;

	for (size_t i = 0; i < VALUE_COUNT; i++) {
		values[i] = draw(&state);
		sum += (double)values[i];
		histogram_record(histogram, values[i], 1);
	}
	qsort(values, VALUE_COUNT, sizeof(*values), compare);
	check_percentiles(histogram, values, VALUE_COUNT);
	CU_ASSERT_EQUAL(histogram_count(histogram), VALUE_COUNT);
	CU_ASSERT_EQUAL(histogram->max, values[VALUE_COUNT - 1]);
	CU_ASSERT_EQUAL(histogram_percentile(histogram, 100.0), values[VALUE_COUNT - 1]);
	CU_ASSERT_DOUBLE_EQUAL(histogram_mean(histogram), sum / VALUE_COUNT,
			       sum / VALUE_COUNT / 1000.0);
	free(values);
	free(histogram);
}

static void test_small_values_are_exact(void)
{
	struct histogram *histogram = calloc(1, sizeof(*histogram));

	for (uint64_t value = 0; value < 2048; value++)
		histogram_record(histogram, value, 1);
	for (unsigned percent = 1; percent <= 100; percent++)
		CU_ASSERT_EQUAL(histogram_percentile(histogram, percent),
				(uint64_t)ceil(percent * 20.48) - 1);
	free(histogram);
}

static void test_buckets_tile_all_values(void)
{
	uint32_t last = 0;

	for (uint64_t value = 1; value <= HISTOGRAM_VALUE_MAX; value += 1 + value / 5000) {
		uint32_t bucket = histogram_bucket_of(value);

		CU_ASSERT_FATAL(bucket < HISTOGRAM_BUCKET_COUNT);
		CU_ASSERT_FATAL(bucket == last || bucket == last + 1);
		last = bucket;
	}
	CU_ASSERT_EQUAL(histogram_bucket_of(HISTOGRAM_VALUE_MAX), HISTOGRAM_BUCKET_COUNT - 1);
}

static void test_too_large_values_count_as_the_largest(void)
{
	struct histogram *histogram = calloc(1, sizeof(*histogram));

	histogram_record(histogram, UINT64_MAX, 3);
	CU_ASSERT_EQUAL(histogram_count(histogram), 3);
	CU_ASSERT_EQUAL(histogram_percentile(histogram, 50.0), HISTOGRAM_VALUE_MAX);
	free(histogram);
}

static void test_merge_is_recording_into_one(void)
{
	struct histogram *parts = calloc(3, sizeof(*parts));
	struct histogram *merged = calloc(1, sizeof(*merged));
	struct histogram *whole = calloc(1, sizeof(*whole));
	uint64_t state = 2;

	for (size_t i = 0; i < VALUE_COUNT; i++) {
		uint64_t value = draw(&state);

		histogram_record(&parts[i % 3], value, 1 + i % 2);
		histogram_record(whole, value, 1 + i % 2);
	}
	for (size_t i = 0; i < 3; i++)
		histogram_merge(merged, &parts[i]);
	CU_ASSERT_EQUAL(memcmp(merged, whole, sizeof(*whole)), 0);
	free(parts);
	free(merged);
	free(whole);
}

static void test_an_empty_histogram_says_zero(void)
{
	struct histogram *histogram = calloc(1, sizeof(*histogram));

	CU_ASSERT_EQUAL(histogram_count(histogram), 0);
	CU_ASSERT_EQUAL(histogram_percentile(histogram, 99.0), 0);
	CU_ASSERT_EQUAL(histogram_mean(histogram), 0.0);
	free(histogram);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_percentiles_are_exact_to_three_figures),
		UNIT_TEST(test_small_values_are_exact),
		UNIT_TEST(test_buckets_tile_all_values),
		UNIT_TEST(test_too_large_values_count_as_the_largest),
		UNIT_TEST(test_merge_is_recording_into_one),
		UNIT_TEST(test_an_empty_histogram_says_zero),
		{ NULL, NULL },
	};

	return unit_run("histogram", tests);
}
