/* SPDX-License-Identifier: BSD-3-Clause */
/* Which key the next operation touches: uniform, zipf, or the latest inserted.
 *
 * Zipf numbers come from rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to
 * generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996): exact for any
 * number of keys, no table, no start-up sum.
 */
#ifndef LOADGEN_KEY_CHOOSER_H
#define LOADGEN_KEY_CHOOSER_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/loadgen/rng.h"

#define KEY_CHOOSER_EXPONENT_DEFAULT 0.99 /* YCSB's */

enum key_distribution {
	KEY_UNIFORM,
	KEY_ZIPF,   /* some keys hot: rank r is drawn in proportion to 1 / r^exponent */
	KEY_LATEST, /* zipf over age: the newest key is the hottest, as in YCSB's workload D */
};

/* Ranks 1..count, rank r with a probability in proportion to 1 / r^exponent. */
struct zipf {
	uint64_t count;
	double exponent;
	double integral_x1;
	double integral_n;
	double squeeze;
};

/* 'count' >= 1, 'exponent' > 0. */
void zipf_init(struct zipf *zipf, uint64_t count, double exponent);

/* Changes the number of ranks; cheap. */
void zipf_resize(struct zipf *zipf, uint64_t count);

uint64_t zipf_next(const struct zipf *zipf, struct rng *rng);

/* Chooses keys 0..key_count-1.
 *
 * Thread safety: constant after init but for key_chooser_grow(); each thread has its own.
 */
struct key_chooser {
	enum key_distribution distribution;
	bool scrambled;
	uint64_t key_count;
	unsigned scramble_bits;
	struct zipf zipf;
};

/* 'key_count' >= 1. With 'scrambled' a bijection of 0..key_count-1 spreads zipf's hot ranks over
 * all keys (YCSB hashes ranks, which makes some collide; a bijection keeps the distribution exact);
 * without it key 0 is the hottest. Only KEY_ZIPF scrambles.
 */
void key_chooser_init(struct key_chooser *chooser, enum key_distribution distribution,
		      uint64_t key_count, double exponent, bool scrambled);

/* For KEY_LATEST: there are 'key_count' keys now. */
void key_chooser_grow(struct key_chooser *chooser, uint64_t key_count);

/* For KEY_ZIPF: the key of a rank, counted from 0. */
uint64_t key_chooser_scramble(const struct key_chooser *chooser, uint64_t rank);

/* Draws from a zipf distribution: see key_chooser_next(). */
uint64_t key_chooser_next_skewed(const struct key_chooser *chooser, struct rng *rng);

/* For KEY_LATEST the last key, key_count - 1, is the newest. */
static inline uint64_t key_chooser_next(const struct key_chooser *chooser, struct rng *rng)
{
	if (chooser->distribution == KEY_UNIFORM)
		return rng_below(rng, chooser->key_count);
	return key_chooser_next_skewed(chooser, rng);
}

#endif
