/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl's command line: global options anywhere, commands by longest name. */
#include "controlplane/ctl/admin_client.h"
#include "controlplane/ctl/command.h"
#include "controlplane/ctl/global_options.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 12

/* A command line under test: words in argv, messages in 'messages'. */
struct line {
	struct ctl ctl;
	char *argv[WORDS_MAX + 1];
	int argc;
	char *messages;
	size_t size;
	enum ctl_exit code;
};

static void line_take(struct line *line, const char *const *words)
{
	unsetenv("GODWIT_SERVER");
	unsetenv("GODWIT_ADMIN");
	unsetenv("GODWIT_TOKEN_FILE");
	memset(line, 0, sizeof(*line));
	line->argv[line->argc++] = (char *)(uintptr_t) "godwitctl";
	for (; *words; words++)
		line->argv[line->argc++] = (char *)(uintptr_t)*words;
	global_options_init(&line->ctl);
	line->ctl.err = open_memstream(&line->messages, &line->size);
	line->code = global_options_take(&line->ctl, &line->argc, line->argv);
	fclose(line->ctl.err);
}

static void line_free(struct line *line)
{
	free(line->messages);
}

#define TAKE(line, ...) line_take(line, (const char *const[]){ __VA_ARGS__, NULL })

static void options_are_taken_before_and_behind_the_command(void)
{
	struct line line;

	TAKE(&line, "--server", "10.0.0.1:7701", "get", "-ojson", "key", "--timeout=250ms", "-w");
	CU_ASSERT_EQUAL(line.code, CTL_OK);
	CU_ASSERT_EQUAL(line.argc, 3);
	CU_ASSERT_STRING_EQUAL(line.argv[1], "get");
	CU_ASSERT_STRING_EQUAL(line.argv[2], "key");
	CU_ASSERT_PTR_NULL(line.argv[3]);
	CU_ASSERT_STRING_EQUAL(line.ctl.server, "10.0.0.1:7701");
	CU_ASSERT_EQUAL(line.ctl.output, CTL_OUTPUT_JSON);
	CU_ASSERT_EQUAL(line.ctl.timeout_ms, 250);
	CU_ASSERT_EQUAL(line.ctl.watch_ms, 1000);
	line_free(&line);
}

static void what_stands_behind_two_dashes_is_left(void)
{
	struct line line;

	TAKE(&line, "set", "--ttl", "5s", "--", "-o", "--server");
	CU_ASSERT_EQUAL(line.code, CTL_OK);
	CU_ASSERT_EQUAL(line.argc, 7);
	CU_ASSERT_STRING_EQUAL(line.argv[2], "--ttl");
	CU_ASSERT_STRING_EQUAL(line.argv[4], "--");
	CU_ASSERT_STRING_EQUAL(line.argv[6], "--server");
	CU_ASSERT_EQUAL(line.ctl.output, CTL_OUTPUT_TABLE);
	line_free(&line);
}

static void mistakes_name_the_option_and_what_was_expected(void)
{
	struct line line;

	TAKE(&line, "status", "-o", "xml");
	CU_ASSERT_EQUAL(line.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(line.messages, "godwitctl: --output xml: expected table|json\n");
	line_free(&line);
	TAKE(&line, "status", "--timeout");
	CU_ASSERT_EQUAL(line.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(line.messages, "godwitctl: --timeout needs TIME\n");
	line_free(&line);
	TAKE(&line, "status", "--timeout", "0");
	CU_ASSERT_EQUAL(line.code, CTL_USAGE);
	line_free(&line);
	TAKE(&line, "status", "--watch=3");
	CU_ASSERT_EQUAL(line.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(line.messages, "godwitctl: --watch takes no value\n");
	line_free(&line);
}

static void durations_take_units_and_bounds(void)
{
	uint32_t ms = 0;

	CU_ASSERT_EQUAL(duration_parse("250ms", &ms), 0);
	CU_ASSERT_EQUAL(ms, 250);
	CU_ASSERT_EQUAL(duration_parse("3", &ms), 0);
	CU_ASSERT_EQUAL(ms, 3000);
	CU_ASSERT_EQUAL(duration_parse("2h", &ms), 0);
	CU_ASSERT_EQUAL(ms, 7200000);
	CU_ASSERT_EQUAL(duration_parse("4294967295ms", &ms), 0);
	CU_ASSERT_NOT_EQUAL(duration_parse("4294967296ms", &ms), 0);
	CU_ASSERT_NOT_EQUAL(duration_parse("99999999999999999999s", &ms), 0);
	CU_ASSERT_NOT_EQUAL(duration_parse("2 s", &ms), 0);
	CU_ASSERT_NOT_EQUAL(duration_parse("-1s", &ms), 0);
	CU_ASSERT_NOT_EQUAL(duration_parse("", &ms), 0);
}

static void commands_are_found_by_name(void)
{
	char status[] = "status", unknown[] = "stat";
	int words = -1;
	const struct command *command = command_find(1, (char *[]){ status, NULL }, &words);

	CU_ASSERT_PTR_NOT_NULL_FATAL(command);
	CU_ASSERT_STRING_EQUAL(command->name, "status");
	CU_ASSERT_EQUAL(words, 1);
	CU_ASSERT_PTR_NULL(command_find(1, (char *[]){ unknown, NULL }, &words));
	CU_ASSERT_EQUAL(words, 0);
	CU_ASSERT_PTR_NULL(command_find(0, (char *[]){ NULL }, &words));
}

static void every_command_has_name_help_and_function(void)
{
	uint32_t count = 0;

	for (const struct command *const *table = command_tables; *table; table++) {
		for (const struct command *command = *table; command->name; command++) {
			CU_ASSERT_PTR_NOT_NULL(command->arguments);
			CU_ASSERT_PTR_NOT_NULL(command->help);
			CU_ASSERT_PTR_NOT_NULL(command->run);
			count++;
		}
	}
	CU_ASSERT(count >= 2);
}

static void admin_addresses_are_split(void)
{
	uint16_t port = 7780;
	char host[16];

	CU_ASSERT_EQUAL(admin_address_parse("127.0.0.1:99", host, sizeof(host), &port), 0);
	CU_ASSERT_STRING_EQUAL(host, "127.0.0.1");
	CU_ASSERT_EQUAL(port, 99);
	port = 7780;
	CU_ASSERT_EQUAL(admin_address_parse("[::1]", host, sizeof(host), &port), 0);
	CU_ASSERT_STRING_EQUAL(host, "::1");
	CU_ASSERT_EQUAL(port, 7780);
	CU_ASSERT_EQUAL(admin_address_parse("[::1]:1", host, sizeof(host), &port), 0);
	CU_ASSERT_EQUAL(port, 1);
	CU_ASSERT_NOT_EQUAL(admin_address_parse("host:", host, sizeof(host), &port), 0);
	CU_ASSERT_NOT_EQUAL(admin_address_parse("host:65536", host, sizeof(host), &port), 0);
	CU_ASSERT_NOT_EQUAL(admin_address_parse(":1", host, sizeof(host), &port), 0);
	CU_ASSERT_NOT_EQUAL(admin_address_parse("[::1", host, sizeof(host), &port), 0);
	CU_ASSERT_NOT_EQUAL(admin_address_parse("sixteen-letters.", host, sizeof(host), &port), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(options_are_taken_before_and_behind_the_command),
		UNIT_TEST(what_stands_behind_two_dashes_is_left),
		UNIT_TEST(mistakes_name_the_option_and_what_was_expected),
		UNIT_TEST(durations_take_units_and_bounds),
		UNIT_TEST(commands_are_found_by_name),
		UNIT_TEST(every_command_has_name_help_and_function),
		UNIT_TEST(admin_addresses_are_split),
		{ NULL, NULL },
	};

	return unit_run("ctl_global_options", tests);
}
