/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters by name, for those who show them. */
#ifndef DATAPLANE_COUNTER_TABLE_H
#define DATAPLANE_COUNTER_TABLE_H

#include <stddef.h>
#include <stdint.h>

struct counter_row {
	const char *name; /* as in /v1/counters; lower case, underscores */
	size_t offset;    /* of its uint64_t in the struct that counts */
	const char *help; /* one sentence */
};

/* What a module counts, in the order in which it is shown. The module says of which struct the offsets are. */
struct counter_table {
	const struct counter_row *rows;
	uint32_t row_count;
};

/* Fills values[0..row_count-1] from 'counts', the struct that counts, which nobody writes meanwhile. Pure. */
static inline void counter_table_read(const struct counter_table *table, const void *counts,
				      uint64_t *values)
{
	for (uint32_t i = 0; i < table->row_count; i++)
		values[i] = *(const uint64_t *)((const uint8_t *)counts + table->rows[i].offset);
}

#endif
