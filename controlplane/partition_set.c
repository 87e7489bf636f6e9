/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of partition numbers, as a bitmap. */
#include "controlplane/partition_set.h"

#include <string.h>

void partition_set_clear(struct partition_set *set)
{
	memset(set, 0, sizeof(*set));
}

uint32_t partition_set_count(const struct partition_set *set)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < PARTITION_SET_WORD_COUNT; i++)
		count += (uint32_t)__builtin_popcountll(set->words[i]);
	return count;
}

bool partition_set_is_empty(const struct partition_set *set)
{
	return partition_set_next(set, 0) == PARTITION_COUNT_MAX;
}

bool partition_set_equals(const struct partition_set *a, const struct partition_set *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

uint32_t partition_set_next(const struct partition_set *set, uint32_t from)
{
	if (from >= PARTITION_COUNT_MAX)
		return PARTITION_COUNT_MAX;
	for (uint32_t i = from / 64; i < PARTITION_SET_WORD_COUNT; i++) {
		uint64_t word = set->words[i];

		if (i == from / 64)
			word &= UINT64_MAX << (from % 64);
		if (word)
			return i * 64 + (uint32_t)__builtin_ctzll(word);
	}
	return PARTITION_COUNT_MAX;
}
