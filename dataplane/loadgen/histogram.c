/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading a histogram: merge, percentiles, mean. */
#include "dataplane/loadgen/histogram.h"

#include <math.h>

void histogram_merge(struct histogram *into, const struct histogram *from)
{
	uint64_t max = __atomic_load_n(&from->max, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
		uint64_t n = __atomic_load_n(&from->buckets[i], __ATOMIC_RELAXED);

		into->buckets[i] += n;
		/* counted here, so that buckets and count agree also while 'from' is being recorded into */
		into->count += n;
	}
	into->sum += __atomic_load_n(&from->sum, __ATOMIC_RELAXED);
	if (max > into->max)
		into->max = max;
}

static uint64_t bucket_highest(uint32_t bucket)
{
	uint32_t half = 1u << HISTOGRAM_HALF_BITS;
	uint32_t shift = bucket < 2 * half ? 0 : (bucket >> HISTOGRAM_HALF_BITS) - 1;
	uint64_t lowest = (uint64_t)(bucket - shift * half) << shift;

	return lowest + (UINT64_C(1) << shift) - 1;
}

uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	uint64_t wanted = (uint64_t)ceil(percent / 100.0 * (double)histogram->count);
	uint64_t seen = 0;

	if (histogram->count == 0)
		return 0;
	if (wanted == 0)
		wanted = 1;
	for (uint32_t i = 0; i < HISTOGRAM_BUCKET_COUNT; i++) {
		seen += histogram->buckets[i];
		if (seen >= wanted) {
			uint64_t highest = bucket_highest(i);

			return highest < histogram->max ? highest : histogram->max;
		}
	}
	return histogram->max;
}

double histogram_mean(const struct histogram *histogram)
{
	return histogram->count ? (double)histogram->sum / (double)histogram->count : 0.0;
}
