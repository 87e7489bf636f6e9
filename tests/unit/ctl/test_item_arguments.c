/* SPDX-License-Identifier: BSD-3-Clause */
/* Words and options of the item commands. */
#include "controlplane/ctl/item_arguments.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define ALL_OPTIONS (ITEM_OPTION_TTL | ITEM_OPTION_RAW | ITEM_OPTION_INITIAL | ITEM_OPTION_VERSION)

static struct item_arguments arguments;
static char *complaint; /* what went to ctl->err */

/* Reads the words of 'line' after "set". */
static enum ctl_exit read_line(const char *line, unsigned int allowed)
{
	static char copy[256];
	char *argv[16] = { (char *)"set" };
	struct ctl ctl = { .out = stdout };
	enum ctl_exit code;
	size_t size;
	int argc = 1;

	free(complaint);
	ctl.err = open_memstream(&complaint, &size);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	code = item_arguments_read(&ctl, argc, argv, allowed, &arguments);
	fclose(ctl.err);
	return code;
}

static void options_may_stand_anywhere(void)
{
	CU_ASSERT_EQUAL(
		read_line("--ttl 10s key --raw value --initial=-4 --version 7", ALL_OPTIONS),
		CTL_OK);
	CU_ASSERT_EQUAL(arguments.word_count, 2);
	CU_ASSERT_STRING_EQUAL(arguments.words[0], "key");
	CU_ASSERT_STRING_EQUAL(arguments.words[1], "value");
	CU_ASSERT_EQUAL(arguments.ttl_ms, 10000);
	CU_ASSERT_TRUE(arguments.is_raw);
	CU_ASSERT_TRUE(arguments.has_initial);
	CU_ASSERT_EQUAL(arguments.initial, -4);
	CU_ASSERT_EQUAL(arguments.version, 7);
	CU_ASSERT_EQUAL(read_line("key", ALL_OPTIONS), CTL_OK);
	CU_ASSERT_EQUAL(arguments.ttl_ms, 0);
	CU_ASSERT_FALSE(arguments.is_raw || arguments.has_initial || arguments.version);
}

static void a_single_dash_and_what_follows_two_are_words(void)
{
	CU_ASSERT_EQUAL(read_line("counter -5", ALL_OPTIONS), CTL_OK);
	CU_ASSERT_STRING_EQUAL(arguments.words[1], "-5");
	CU_ASSERT_EQUAL(read_line("key -", ALL_OPTIONS), CTL_OK);
	CU_ASSERT_STRING_EQUAL(arguments.words[1], "-");
	CU_ASSERT_EQUAL(read_line("-- --ttl --", ALL_OPTIONS), CTL_OK);
	CU_ASSERT_EQUAL(arguments.word_count, 2);
	CU_ASSERT_STRING_EQUAL(arguments.words[0], "--ttl");
	CU_ASSERT_STRING_EQUAL(arguments.words[1], "--");
}

static void mistakes_name_the_word(void)
{
	static const struct {
		const char *line;
		unsigned int allowed;
		const char *complaint;
	} mistakes[] = {
		{ "key --ttl", ALL_OPTIONS, "--ttl needs a time" },
		{ "key --ttl x", ALL_OPTIONS, "--ttl x: expected a time" },
		{ "key --ttl 0", ALL_OPTIONS, "--ttl 0: expected a time" },
		{ "key --ttl 10s", ITEM_OPTION_RAW, "no option --ttl" },
		{ "key --raw=1", ALL_OPTIONS, "--raw takes no value" },
		{ "key --initial 1x", ALL_OPTIONS, "--initial 1x: expected a number" },
		{ "key --version 0", ALL_OPTIONS, "--version 0: expected a version" },
		{ "key --version -1", ALL_OPTIONS, "--version -1: expected a version" },
		{ "key --tt 1s", ALL_OPTIONS, "no option --tt" },
		{ "a b c d", ALL_OPTIONS, "unexpected argument 'd'" },
	};

	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		CU_ASSERT_EQUAL(read_line(mistakes[i].line, mistakes[i].allowed), CTL_USAGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(complaint, mistakes[i].complaint));
		CU_ASSERT_PTR_NOT_NULL(strstr(complaint, "usage: godwitctl set KEY"));
	}
}

static void numbers_are_read_whole(void)
{
	uint64_t version;
	int64_t number;

	CU_ASSERT_TRUE(item_number_read("-9223372036854775808", &number));
	CU_ASSERT_EQUAL(number, INT64_MIN);
	CU_ASSERT_FALSE(item_number_read("9223372036854775808", &number));
	CU_ASSERT_FALSE(item_number_read("", &number));
	CU_ASSERT_FALSE(item_number_read("-", &number));
	CU_ASSERT_FALSE(item_number_read(" 1", &number));
	CU_ASSERT_TRUE(item_version_read("18446744073709551615", &version));
	CU_ASSERT_EQUAL(version, UINT64_MAX);
	CU_ASSERT_FALSE(item_version_read("18446744073709551616", &version));
	CU_ASSERT_FALSE(item_version_read("1 ", &version));
}

static void times_may_be_never(void)
{
	uint32_t ttl_ms = 5;

	CU_ASSERT_TRUE(item_ttl_read("never", &ttl_ms));
	CU_ASSERT_EQUAL(ttl_ms, 0);
	CU_ASSERT_TRUE(item_ttl_read("250ms", &ttl_ms));
	CU_ASSERT_EQUAL(ttl_ms, 250);
	CU_ASSERT_FALSE(item_ttl_read("0ms", &ttl_ms));
	CU_ASSERT_FALSE(item_ttl_read("soon", &ttl_ms));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(options_may_stand_anywhere),
		UNIT_TEST(a_single_dash_and_what_follows_two_are_words),
		UNIT_TEST(mistakes_name_the_word),
		UNIT_TEST(numbers_are_read_whole),
		UNIT_TEST(times_may_be_never),
		{ NULL, NULL },
	};
	int code = unit_run("ctl_item_arguments", tests);

	free(complaint);
	return code;
}
