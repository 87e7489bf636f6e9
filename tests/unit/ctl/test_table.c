/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl's tables and numbers for people. */
#include "controlplane/ctl/table.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* Prints and destroys 'table'; the caller frees the text. */
static char *printed(struct table *table)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	table_print(table, out);
	fclose(out);
	table_destroy(table);
	return text;
}

static void columns_align_left_and_right(void)
{
	struct table *table = table_create((const char *const[]){ "NAME", ">N", "WHAT" }, 3);
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL(table_add(table, "a\t%d\tfirst", 1), 0);
	CU_ASSERT_EQUAL(table_add(table, "longer\t%d\tsecond", 1234), 0);
	text = printed(table);
	CU_ASSERT_STRING_EQUAL(text, "NAME       N  WHAT\n"
				     "a          1  first\n"
				     "longer  1234  second\n");
	free(text);
}

static void missing_cells_leave_no_trailing_space(void)
{
	struct table *table = table_create((const char *const[]){ "A", "B", ">C" }, 3);
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	table_add(table, "one");
	table_add(table, "\t\t3");
	text = printed(table);
	CU_ASSERT_STRING_EQUAL(text, "A    B  C\none\n        3\n");
	free(text);
}

static void a_cell_is_cut_at_its_limit(void)
{
	struct table *table = table_create((const char *const[]){ "A" }, 1);
	char cell[2 * TABLE_CELL_SIZE];
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	memset(cell, 'x', sizeof(cell));
	cell[sizeof(cell) - 1] = '\0';
	table_add(table, "%s", cell);
	text = printed(table);
	CU_ASSERT_EQUAL(strlen(text), strlen("A\n") + TABLE_CELL_SIZE - 1 + strlen("\n"));
	free(text);
	CU_ASSERT_PTR_NULL(table_create((const char *const[]){ "A" }, TABLE_COLUMN_MAX + 1));
}

static void foreign_text_stays_in_its_line(void)
{
	struct table *table = table_create((const char *const[]){ "A", "B" }, 2);
	char cell[TABLE_CELL_SIZE + 2];
	char *text;

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	memset(cell, 'x', sizeof(cell));
	strcpy(cell + TABLE_CELL_SIZE - 2, "\xc3\xb6z");
	table_add(table, "%s\t%s", "a\x1b[2J\n\xc2\x9b", "h\xc3\xb6ren");
	table_add(table, "\t%s", cell);
	text = printed(table);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\na\\x1b[2J\\x0a\\xc2\\x9b  h\xc3\xb6ren\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "xxx\n")); /* no half of a character */
	free(text);
}

static void numbers_are_scaled(void)
{
	char text[TABLE_NUMBER_SIZE];

	CU_ASSERT_STRING_EQUAL(table_count(text, 999), "999");
	CU_ASSERT_STRING_EQUAL(table_count(text, 4200), "4.2K");
	CU_ASSERT_STRING_EQUAL(table_count(text, 8e6), "8.0M");
	CU_ASSERT_STRING_EQUAL(table_count(text, 5e16), "50000.0T");
	CU_ASSERT_STRING_EQUAL(table_bytes(text, 1023), "1023 B");
	CU_ASSERT_STRING_EQUAL(table_bytes(text, 1536), "1.5 KiB");
	CU_ASSERT_STRING_EQUAL(table_bytes(text, 1 << 30), "1.0 GiB");
}

static void durations_name_two_units(void)
{
	char text[TABLE_NUMBER_SIZE];

	CU_ASSERT_STRING_EQUAL(table_duration(text, 350), "350ms");
	CU_ASSERT_STRING_EQUAL(table_duration(text, 12999), "12s");
	CU_ASSERT_STRING_EQUAL(table_duration(text, 185000), "3m 05s");
	CU_ASSERT_STRING_EQUAL(table_duration(text, 7800000), "2h 10m");
	CU_ASSERT_STRING_EQUAL(table_duration(text, 99 * 3600000ULL), "4d 3h");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(columns_align_left_and_right),
		UNIT_TEST(missing_cells_leave_no_trailing_space),
		UNIT_TEST(a_cell_is_cut_at_its_limit),
		UNIT_TEST(foreign_text_stays_in_its_line),
		UNIT_TEST(numbers_are_scaled),
		UNIT_TEST(durations_name_two_units),
		{ NULL, NULL },
	};

	return unit_run("ctl_table", tests);
}
