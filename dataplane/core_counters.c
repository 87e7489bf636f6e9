/* SPDX-License-Identifier: BSD-3-Clause */
/* The texts of the counter table. */
#include "dataplane/core_counters.h"

struct counter_text {
	const char *name;
	const char *help;
};

static const struct counter_text texts[CORE_COUNTER_COUNT] = {
#define COUNTER_TEXT(constant, name, help) { #name, help },
	CORE_COUNTERS(COUNTER_TEXT)
#undef COUNTER_TEXT
#define DROP_TEXT(constant, name, help) { "drop_" #name, help },
		DROP_REASONS(DROP_TEXT)
#undef DROP_TEXT
};

const char *core_counter_name(uint32_t counter)
{
	return texts[counter].name;
}

const char *core_counter_help(uint32_t counter)
{
	return texts[counter].help;
}
