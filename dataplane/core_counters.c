/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of the counter table. */
#include "dataplane/core_counters.h"

static const struct counter_row rows[CORE_COUNTER_COUNT] = {
#define COUNTER_ROW(constant, name, help) { #name, COUNT_##constant * sizeof(uint64_t), help },
	CORE_COUNTERS(COUNTER_ROW)
#undef COUNTER_ROW
#define DROP_ROW(constant, name, help)                                                             \
	{ "drop_" #name, (COUNT_DROP_FIRST + DROP_##constant - 1) * sizeof(uint64_t), help },
		DROP_REASONS(DROP_ROW)
#undef DROP_ROW
};

const struct counter_table core_counter_table = { rows, CORE_COUNTER_COUNT };
