/* SPDX-License-Identifier: BSD-3-Clause */
/* A rate limit on injected time: what was spent too much is waited for afterwards. */
#ifndef CONTROLPLANE_TOKEN_BUCKET_H
#define CONTROLPLANE_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

/* Spending is allowed while the balance is positive, and may overdraw it: the cost of a slice of work
 * is known only when it is done. Over a long time no more than 'rate_per_s' is spent.
 *
 * Thread safety: none.
 */
struct token_bucket {
	uint64_t rate_per_s;   /* 0 = no limit */
	int64_t burst_milli;   /* the balance never exceeds it */
	int64_t balance_milli; /* thousandths of a token */
	uint64_t refilled_at_ms;
};

/* 'rate_per_s' and 'burst' are at most TOKEN_BUCKET_RATE_MAX, 'burst' at least 1. Starts full. */
#define TOKEN_BUCKET_RATE_MAX (UINT64_C(1) << 40)
void token_bucket_init(struct token_bucket *bucket, uint64_t rate_per_s, uint64_t burst,
		       uint64_t now_ms);

/* Whether something may be spent now. */
bool token_bucket_is_open(struct token_bucket *bucket, uint64_t now_ms);

void token_bucket_spend(struct token_bucket *bucket, uint64_t tokens);

/* When it is open again if nothing is spent meanwhile; may lie in the past. */
uint64_t token_bucket_open_at_ms(const struct token_bucket *bucket);

#endif
