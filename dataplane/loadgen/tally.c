/* SPDX-License-Identifier: BSD-3-Clause */
/* Adding up tallies. */
#include "dataplane/loadgen/tally.h"

#include <stddef.h>
#include <stdlib.h>

#define COUNTERS_SIZE offsetof(struct tally, late_ticks_max)

static_assert(COUNTERS_SIZE % sizeof(uint64_t) == 0, "counters are 64 bits each");

struct tally *tally_create(void)
{
	return calloc(1, sizeof(struct tally));
}

static void merge_counters(uint64_t *into, const uint64_t *from, size_t count)
{
	for (size_t i = 0; i < count; i++)
		into[i] += __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

void tally_merge(struct tally *into, const struct tally *from)
{
	uint64_t late_ticks_max = __atomic_load_n(&from->late_ticks_max, __ATOMIC_RELAXED);

	merge_counters((uint64_t *)into, (const uint64_t *)from, COUNTERS_SIZE / sizeof(uint64_t));
	if (late_ticks_max > into->late_ticks_max)
		into->late_ticks_max = late_ticks_max;
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		merge_counters(into->statuses[kind], from->statuses[kind], WIRE_STATUS_COUNT);
		if (__atomic_load_n(&from->latency[kind].max, __ATOMIC_RELAXED))
			histogram_merge(&into->latency[kind], &from->latency[kind]);
	}
}

uint64_t tally_ops(const struct tally *tally, unsigned kind)
{
	uint64_t ops = 0;

	for (unsigned status = 0; status < WIRE_STATUS_COUNT; status++)
		ops += tally->statuses[kind][status];
	return ops;
}

uint64_t tally_errors(const struct tally *tally, unsigned kind)
{
	const uint64_t *statuses = tally->statuses[kind];

	return tally_ops(tally, kind) - statuses[WIRE_OK] - statuses[WIRE_NOT_FOUND] -
	       statuses[WIRE_EXISTS_ALREADY] - statuses[WIRE_VERSION_MISMATCH];
}

const char *tally_status_name(unsigned status)
{
	static const char *const names[WIRE_STATUS_COUNT] = {
		[WIRE_OK] = "ok",
		[WIRE_NOT_FOUND] = "not_found",
		[WIRE_EXISTS_ALREADY] = "exists",
		[WIRE_VERSION_MISMATCH] = "version_mismatch",
		[WIRE_NOT_A_NUMBER] = "not_a_number",
		[WIRE_TOO_LARGE] = "too_large",
		[WIRE_NO_SPACE] = "no_space",
		[WIRE_BAD_REQUEST] = "bad_request",
		[WIRE_UNSUPPORTED] = "unsupported",
		[WIRE_NOT_OWNER] = "not_owner",
		[WIRE_RETRY] = "retry",
		[WIRE_UNAVAILABLE] = "unavailable",
		[WIRE_NEED_HELLO] = "need_hello",
	};

	return names[status];
}
