/* SPDX-License-Identifier: BSD-3-Clause */
/* Foreign text that is printed. */
#include "controlplane/ctl/printable.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char *text;

static const char *written(const char *bytes, size_t size, const char *kept)
{
	size_t text_size;
	FILE *out;

	free(text);
	out = open_memstream(&text, &text_size);
	printable_write(bytes, size, kept, out);
	fclose(out);
	return text;
}

static void control_characters_are_escaped(void)
{
	CU_ASSERT_STRING_EQUAL(written("a\x1b[2J\a\x7f", 7, ""), "a\\x1b[2J\\x07\\x7f");
	CU_ASSERT_STRING_EQUAL(written("a\0b", 3, "\n"), "a\\x00b");
	CU_ASSERT_STRING_EQUAL(written("a\n\tb", 4, ""), "a\\x0a\\x09b");
	CU_ASSERT_STRING_EQUAL(written("a\n\tb", 4, "\t"), "a\\x0a\tb");
	CU_ASSERT_STRING_EQUAL(written("\xc2\x80\xc2\x9b", 4, ""), "\\xc2\\x80\\xc2\\x9b");
}

static void other_characters_stay(void)
{
	const char *all = "h\xc3\xb6ren \xc2\xa0 \xe2\x82\xac \xed\x9f\xbf \xf0\x9f\x90\xa6 "
			  "\xf4\x8f\xbf\xbf";

	CU_ASSERT_STRING_EQUAL(written(all, strlen(all), ""), all);
	CU_ASSERT_STRING_EQUAL(written("", 0, ""), "");
}

static void what_is_no_utf8_is_escaped(void)
{
	CU_ASSERT_STRING_EQUAL(written("\xff\x41", 2, ""), "\\xffA");
	CU_ASSERT_STRING_EQUAL(written("\x9b"
				       "2J",
				       3, ""),
			       "\\x9b2J");
	CU_ASSERT_STRING_EQUAL(written("\xc3", 1, ""), "\\xc3");
	CU_ASSERT_STRING_EQUAL(written("\xe2\x82z", 3, ""), "\\xe2\\x82z");
	/* U+009B in three bytes and in four, half of a pair, and beyond Unicode */
	CU_ASSERT_STRING_EQUAL(written("\xe0\x82\x9b", 3, ""), "\\xe0\\x82\\x9b");
	CU_ASSERT_STRING_EQUAL(written("\xf0\x80\x82\x9b", 4, ""), "\\xf0\\x80\\x82\\x9b");
	CU_ASSERT_STRING_EQUAL(written("\xed\xa0\x80", 3, ""), "\\xed\\xa0\\x80");
	CU_ASSERT_STRING_EQUAL(written("\xf4\x90\x80\x80", 4, ""), "\\xf4\\x90\\x80\\x80");
	CU_ASSERT_STRING_EQUAL(written("\xc0\x8a", 2, ""), "\\xc0\\x8a");
}

static void a_line_is_one_line(void)
{
	size_t size;
	FILE *out;

	free(text);
	out = open_memstream(&text, &size);
	printable_print(out, "%s, ", "n1\r");
	printable_line(out, "%s %d", "n2\nrm -rf", 7);
	fclose(out);
	CU_ASSERT_STRING_EQUAL(text, "n1\\x0d, n2\\x0arm -rf 7\n");
	free(text);
	text = NULL;
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(control_characters_are_escaped),
		UNIT_TEST(other_characters_stay),
		UNIT_TEST(what_is_no_utf8_is_escaped),
		UNIT_TEST(a_line_is_one_line),
		{ NULL, NULL },
	};

	return unit_run("ctl_printable", tests);
}
