/* SPDX-License-Identifier: BSD-3-Clause */
/* Reasons, defaults and relations of migrations. */
#include "controlplane/migration.h"

#include "controlplane/sync_record.h"
#include "controlplane/token_bucket.h"

#define REASON_COUNT (MIGRATION_OTHER + 1)

struct reason {
	const char *text;
	bool is_transient;
};

static const struct reason reasons[REASON_COUNT] = {
	[MIGRATION_NO_REASON] = { "no reason", false },
	[MIGRATION_CANCELLED] = { "cancelled", false },
	[MIGRATION_BUSY] = { "another job works on the partition", true },
	[MIGRATION_AT_CAPACITY] = { "too many migrations at once", true },
	[MIGRATION_RESIZE] = { "a resize is under way", true },
	[MIGRATION_NOT_OWNER] = { "the source does not own the partition", false },
	[MIGRATION_SUPERSEDED] = { "another node owns the partition by now", false },
	[MIGRATION_PEER_DEAD] = { "the other node died", false },
	[MIGRATION_PEER_SILENT] = { "the other node does not answer", true },
	[MIGRATION_DELTAS_LOST] = { "writes come faster than they can be shipped", true },
	[MIGRATION_CANNOT_PAUSE] = { "cannot finish while writes are held back", true },
	[MIGRATION_OUT_OF_MEMORY] = { "the target is out of memory", false },
	[MIGRATION_MISMATCH] = { "the copy differs from the original", true },
	[MIGRATION_UNKNOWN_JOB] = { "the other node does not know the job", true },
	[MIGRATION_RESTARTED] = { "the target began a new attempt", true },
	[MIGRATION_LOST] = { "the target lost the partition", false },
	[MIGRATION_OTHER] = { "a reason unknown to this version", true },
};

const char *migration_reason_text(enum migration_reason reason)
{
	return (unsigned)reason < REASON_COUNT ? reasons[reason].text : "?";
}

bool migration_reason_is_transient(enum migration_reason reason)
{
	return (unsigned)reason < REASON_COUNT && reasons[reason].is_transient;
}

void migration_options_default(struct migration_options *options)
{
	*options = (struct migration_options){
		.bytes_per_s = 0,
		.cpu_permille = 500,
		.batch_size = 256 * 1024,
		.window = 8,
		.retry_ms = 200,
		.retry_ms_max = 5000,
		.heartbeat_ms = 500,
		.silence_ms_max = 10000,
		.parking_ms_max = 40,
		.fence_pause_ms = 100,
		.fences_max = 8,
		.lag_max = 1024,
		.catch_up_ms_max = 2000,
		.attempts_max = 5,
		.attempt_pause_ms = 200,
		.prepare_ms_max = 30000,
		.claim_ms = 10000,
	};
}

bool migration_options_are_valid(const struct migration_options *options)
{
	return options->bytes_per_s <= TOKEN_BUCKET_RATE_MAX && options->cpu_permille <= 1000 &&
	       options->batch_size >= SYNC_BATCH_FRAME_SIZE_MIN &&
	       options->batch_size <= SYNC_FRAME_SIZE_MAX && options->window >= 1 &&
	       options->window <= MIGRATION_WINDOW_MAX && options->retry_ms >= 1 &&
	       options->retry_ms <= options->retry_ms_max && options->heartbeat_ms >= 1 &&
	       options->silence_ms_max > options->heartbeat_ms && options->parking_ms_max >= 1 &&
	       options->fence_pause_ms >= 1 && options->fences_max >= 1 &&
	       options->attempts_max >= 1 && options->attempt_pause_ms >= 1 &&
	       options->prepare_ms_max >= options->retry_ms;
}

uint32_t migration_backoff_ms(uint32_t retry_ms, uint32_t times, uint32_t max_ms)
{
	uint64_t backoff_ms = (uint64_t)retry_ms << (times < 31 ? times : 31);

	return backoff_ms < max_ms ? (uint32_t)backoff_ms : max_ms;
}
