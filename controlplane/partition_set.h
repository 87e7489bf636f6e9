/* SPDX-License-Identifier: BSD-3-Clause */
/* A set of partition numbers, as a bitmap. */
#ifndef CONTROLPLANE_PARTITION_SET_H
#define CONTROLPLANE_PARTITION_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/limits.h"

#define PARTITION_SET_WORD_COUNT (PARTITION_COUNT_MAX / 64u)

/* 512 bytes, copied by assignment. Thread safety: none. */
struct partition_set {
	uint64_t words[PARTITION_SET_WORD_COUNT];
};

/* 'partition' is below PARTITION_COUNT_MAX everywhere. */
static inline void partition_set_add(struct partition_set *set, uint32_t partition)
{
	set->words[partition / 64] |= UINT64_C(1) << (partition % 64);
}

static inline void partition_set_remove(struct partition_set *set, uint32_t partition)
{
	set->words[partition / 64] &= ~(UINT64_C(1) << (partition % 64));
}

static inline bool partition_set_has(const struct partition_set *set, uint32_t partition)
{
	return (set->words[partition / 64] >> (partition % 64)) & 1;
}

void partition_set_clear(struct partition_set *set);
uint32_t partition_set_count(const struct partition_set *set);
bool partition_set_is_empty(const struct partition_set *set);
bool partition_set_equals(const struct partition_set *a, const struct partition_set *b);

/* The smallest member that is at least 'from', or PARTITION_COUNT_MAX. To walk a set:
 * for (p = partition_set_next(set, 0); p < PARTITION_COUNT_MAX; p = partition_set_next(set, p + 1))
 */
uint32_t partition_set_next(const struct partition_set *set, uint32_t from);

#endif
