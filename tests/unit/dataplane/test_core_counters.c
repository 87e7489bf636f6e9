/* SPDX-License-Identifier: BSD-3-Clause */
/* The counter table: every counter has one name that is good for a metrics page, and a help text.
 */
#include <ctype.h>
#include <string.h>

#include "dataplane/core_counters.h"
#include "tests/unit/unit.h"

static const char *name_of(uint32_t counter)
{
	return core_counter_table.rows[counter].name;
}

static void names_are_unique_and_plain(void)
{
	for (uint32_t i = 0; i < CORE_COUNTER_COUNT; i++) {
		const char *name = name_of(i);

		CU_ASSERT_PTR_NOT_NULL_FATAL(name);
		CU_ASSERT_TRUE(strlen(core_counter_table.rows[i].help) > 5);
		for (const char *c = name; *c; c++)
			CU_ASSERT_TRUE(islower((unsigned char)*c) || *c == '_' ||
				       isdigit((unsigned char)*c));
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(strcmp(name, name_of(j)), 0);
	}
}

static void a_drop_counts_under_its_reason(void)
{
	struct core_counters counters = { .values = { 0 } };
	uint64_t values[CORE_COUNTER_COUNT];
	uint64_t sum = 0;

	for (uint32_t reason = 1; reason < DROP_REASON_COUNT; reason++) {
		core_count_drop(&counters, (enum drop_reason)reason);
		CU_ASSERT_EQUAL(core_counter_read(&counters, COUNT_DROP_FIRST + reason - 1), 1);
		CU_ASSERT_EQUAL(strncmp(name_of(COUNT_DROP_FIRST + reason - 1), "drop_", 5), 0);
	}
	counter_table_read(&core_counter_table, &counters, values);
	CU_ASSERT_EQUAL(memcmp(values, counters.values, sizeof(values)), 0);
	for (uint32_t i = 0; i < CORE_COUNTER_COUNT; i++)
		sum += core_counter_read(&counters, i);
	CU_ASSERT_EQUAL(sum, DROP_REASON_COUNT - 1);
	CU_ASSERT_STRING_EQUAL(name_of(COUNT_DROP_FIRST + DROP_UDP_BAD_CHECKSUM - 1),
			       "drop_udp_bad_checksum");
	CU_ASSERT_STRING_EQUAL(name_of(COUNT_OP_GET + WIRE_CAS - WIRE_GET), "op_cas");
	CU_ASSERT_STRING_EQUAL(name_of(COUNT_STATUS_OK + WIRE_NO_SPACE), "status_no_space");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(names_are_unique_and_plain),
		UNIT_TEST(a_drop_counts_under_its_reason),
		{ NULL, NULL },
	};

	return unit_run("core_counters", tests);
}
