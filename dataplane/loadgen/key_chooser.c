/* SPDX-License-Identifier: BSD-3-Clause */
/* Zipf by rejection-inversion, and the bijection that scrambles its ranks. */
#include "dataplane/loadgen/key_chooser.h"

#include <math.h>

/* log1p(x) / x and expm1(x) / x, continued through 0 by their series. */
static double log1p_over(double x)
{
	return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x * (0.5 - x / 3.0);
}

static double expm1_over(double x)
{
	return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x * 0.5 * (1.0 + x / 3.0);
}

/* The paper's h(x) = x^-exponent, its integral H, and the inverse of H. */
static double h(const struct zipf *zipf, double x)
{
	return exp(-zipf->exponent * log(x));
}

static double integral(const struct zipf *zipf, double x)
{
	double log_x = log(x);

	return expm1_over((1.0 - zipf->exponent) * log_x) * log_x;
}

static double integral_inverse(const struct zipf *zipf, double y)
{
	double t = y * (1.0 - zipf->exponent);

	if (t < -1.0)
		t = -1.0; /* rounding only: H stays above that */
	return exp(log1p_over(t) * y);
}

void zipf_init(struct zipf *zipf, uint64_t count, double exponent)
{
	zipf->exponent = exponent;
	zipf->integral_x1 = integral(zipf, 1.5) - 1.0;
	zipf->squeeze = 2.0 - integral_inverse(zipf, integral(zipf, 2.5) - h(zipf, 2.0));
	zipf_resize(zipf, count);
}

void zipf_resize(struct zipf *zipf, uint64_t count)
{
	zipf->count = count;
	zipf->integral_n = integral(zipf, (double)count + 0.5);
}

uint64_t zipf_next(const struct zipf *zipf, struct rng *rng)
{
	for (;;) {
		double u =
			zipf->integral_n + rng_unit(rng) * (zipf->integral_x1 - zipf->integral_n);
		double x = integral_inverse(zipf, u);
		double k = floor(x + 0.5);

		if (k < 1.0)
			k = 1.0;
		else if (k > (double)zipf->count)
			k = (double)zipf->count;
		if (k - x <= zipf->squeeze || u >= integral(zipf, k + 0.5) - h(zipf, k))
			return (uint64_t)k;
	}
}

void key_chooser_init(struct key_chooser *chooser, enum key_distribution distribution,
		      uint64_t key_count, double exponent, bool scrambled)
{
	chooser->distribution = distribution;
	chooser->scrambled = scrambled;
	chooser->key_count = key_count;
	chooser->scramble_bits = 1;
	while (chooser->scramble_bits < 63 && (UINT64_C(1) << chooser->scramble_bits) < key_count)
		chooser->scramble_bits++;
	zipf_init(&chooser->zipf, key_count, exponent);
}

void key_chooser_grow(struct key_chooser *chooser, uint64_t key_count)
{
	chooser->key_count = key_count;
	zipf_resize(&chooser->zipf, key_count);
}

/* Each step is a bijection of 'scramble_bits' bits: an odd factor, an addition, a shifted exclusive
 * or. Numbers of that width which are no key are walked through until the cycle comes back to a
 * key, which keeps the whole a bijection of the keys.
 */
uint64_t key_chooser_scramble(const struct key_chooser *chooser, uint64_t rank)
{
	uint64_t mask = (UINT64_C(1) << chooser->scramble_bits) - 1;
	unsigned shift = (chooser->scramble_bits + 1) / 2;
	uint64_t x = rank;

	do {
		x = (x * UINT64_C(0x9e3779b97f4a7c15) + UINT64_C(0x632be59bd9b4e019)) & mask;
		x ^= x >> shift;
		x = (x * UINT64_C(0xbf58476d1ce4e5b9) + UINT64_C(0x94d049bb133111eb)) & mask;
		x ^= x >> shift;
	} while (x >= chooser->key_count);
	return x;
}

uint64_t key_chooser_next_skewed(const struct key_chooser *chooser, struct rng *rng)
{
	uint64_t rank = zipf_next(&chooser->zipf, rng) - 1;

	if (chooser->distribution == KEY_LATEST)
		return chooser->key_count - 1 - rank;
	return chooser->scrambled ? key_chooser_scramble(chooser, rank) : rank;
}
