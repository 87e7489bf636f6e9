/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a histogram: merge, percentiles, mean. */
#include "dataplane/loadgen/histogram.h"

#include <math.h>

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint64_t max = __atomic_load_n(&from->max, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
		into->buckets[i] += __atomic_load_n(&from->buckets[i], __ATOMIC_RELAXED);
	if (max > into->max)
		into->max = max;
}

uint64_t histogram_count(const struct histogram *histogram)
{
	uint64_t count = 0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++)
		count += histogram->buckets[i];
	return count;
}

/* The largest value that belongs to a bucket. */
static uint64_t bucket_highest(uint32_t bucket)
{
	uint32_t half = 1u << HISTOGRAM_HALF_BITS;
	uint32_t shift = bucket < 2 * half ? 0 : (bucket >> HISTOGRAM_HALF_BITS) - 1;
	uint64_t lowest = (uint64_t)(bucket - shift * half) << shift;

	return lowest + (UINT64_C(1) << shift) - 1;
}

/* What stands for a bucket's values: its highest, but no more than the maximum. */
static uint64_t bucket_value(const struct histogram *histogram, uint32_t bucket)
{
	uint64_t highest = bucket_highest(bucket);

	return highest < histogram->max ? highest : histogram->max;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	uint64_t count = histogram_count(histogram);
	uint64_t wanted = (uint64_t)ceil(percent / 100.0 * (double)count);
	uint64_t seen = 0;

	if (count == 0)
		return 0;
	if (wanted == 0)
		wanted = 1;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted)
			return bucket_value(histogram, i);
	}
	return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
	uint64_t count = histogram_count(histogram);
	double sum = 0.0;

	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
		if (histogram->buckets[i])
			sum += (double)histogram->buckets[i] * (double)bucket_value(histogram, i);
	}
	return count ? sum / (double)count : 0.0;
}
