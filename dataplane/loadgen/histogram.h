/* SPDX-License-Identifier: BSD-3-Clause */
/* A high dynamic range histogram: three significant figures from 1 to 2^40, a fixed cost per
 * record.
 *
 * The log-linear layout is that of Gil Tene's HdrHistogram
 * (https://github.com/HdrHistogram/HdrHistogram, public domain): each power of two is cut into
 * 1,024 equal buckets, so that a bucket is never wider than 1/1,024 of its values.
 */
#ifndef LOADGEN_HISTOGRAM_H
#define LOADGEN_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_HALF_BITS 10u
#define HISTOGRAM_VALUE_BITS 40u
#define HISTOGRAM_BUCKET_COUNT                                                                     \
	((HISTOGRAM_VALUE_BITS - HISTOGRAM_HALF_BITS + 1u) << HISTOGRAM_HALF_BITS)
#define HISTOGRAM_VALUE_MAX ((UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1u)

/* All zero is an empty histogram.
 *
 * Thread safety: one thread records; others may merge from it meanwhile and see each count either
 * before or after.
 */
struct histogram {
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKET_COUNT];
};

/* The bucket of 'value', which is at most HISTOGRAM_VALUE_MAX. */
static inline uint32_t histogram_bucket_of(uint64_t value)
{
	unsigned top =
		63u - (unsigned)__builtin_clzll(value | (UINT64_C(1) << HISTOGRAM_HALF_BITS));
	unsigned shift = top - HISTOGRAM_HALF_BITS;

	return (shift << HISTOGRAM_HALF_BITS) + (uint32_t)(value >> shift);
}

/* Single writer: a plain add that other threads may read without tearing. */
static inline void histogram_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* Records 'value' 'times' times; larger values than HISTOGRAM_VALUE_MAX count as that. */
static inline void histogram_record(struct histogram *histogram, uint64_t value, uint64_t times)
{
	if (value > HISTOGRAM_VALUE_MAX)
		value = HISTOGRAM_VALUE_MAX;
	histogram_add(&histogram->buckets[histogram_bucket_of(value)], times);
	if (value > histogram->max)
		__atomic_store_n(&histogram->max, value, __ATOMIC_RELAXED);
}

/* How many values were recorded. */
uint64_t histogram_count(const struct histogram *histogram);

/* Adds all that 'from' recorded to 'into'. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The smallest value that at least 'percent' (0..100) of the records do not exceed, rounded up to
 * its bucket's highest value but never above the maximum; 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent);

/* To the precision of the buckets; 0 when empty. */
double histogram_mean(const struct histogram *histogram);

#endif
