/* SPDX-License-Identifier: BSD-3-Clause */
/* A rate limit on injected time, counted in thousandths of a token so that no remainder is lost. */
#include "controlplane/token_bucket.h"

#include <assert.h>

void token_bucket_init(struct token_bucket *bucket, uint64_t rate_per_s, uint64_t burst,
		       uint64_t now_ms)
{
	assert(rate_per_s <= TOKEN_BUCKET_RATE_MAX);
	assert(burst >= 1 && burst <= TOKEN_BUCKET_RATE_MAX);
	bucket->rate_per_s = rate_per_s;
	bucket->burst_milli = (int64_t)burst * 1000;
	bucket->balance_milli = bucket->burst_milli;
	bucket->refilled_at_ms = now_ms;
}

/* A millisecond brings 'rate_per_s' thousandths of a token. */
static void refill(struct token_bucket *bucket, uint64_t now_ms)
{
	uint64_t missing = (uint64_t)(bucket->burst_milli - bucket->balance_milli);
	uint64_t elapsed_ms = now_ms - bucket->refilled_at_ms;

	bucket->refilled_at_ms = now_ms;
	if (elapsed_ms >= missing / bucket->rate_per_s + 1)
		bucket->balance_milli = bucket->burst_milli;
	else
		bucket->balance_milli += (int64_t)(elapsed_ms * bucket->rate_per_s);
	if (bucket->balance_milli > bucket->burst_milli)
		bucket->balance_milli = bucket->burst_milli;
}

bool token_bucket_is_open(struct token_bucket *bucket, uint64_t now_ms)
{
	if (bucket->rate_per_s == 0)
		return true;
	if (now_ms > bucket->refilled_at_ms)
		refill(bucket, now_ms);
	return bucket->balance_milli > 0;
}

void token_bucket_spend(struct token_bucket *bucket, uint64_t tokens)
{
	const int64_t debt_max = (int64_t)TOKEN_BUCKET_RATE_MAX * 1000;

	if (bucket->rate_per_s == 0)
		return;
	if (tokens > TOKEN_BUCKET_RATE_MAX)
		tokens = TOKEN_BUCKET_RATE_MAX;
	bucket->balance_milli -= (int64_t)tokens * 1000;
	if (bucket->balance_milli < -debt_max)
		bucket->balance_milli = -debt_max;
}

uint64_t token_bucket_open_at_ms(const struct token_bucket *bucket)
{
	if (bucket->rate_per_s == 0 || bucket->balance_milli > 0)
		return bucket->refilled_at_ms;
	return bucket->refilled_at_ms + (uint64_t)-bucket->balance_milli / bucket->rate_per_s + 1;
}
