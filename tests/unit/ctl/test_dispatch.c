/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl as a whole: help, version, words that name nothing, watching, and answers of the admin address that are none. */
#include "tests/unit/ctl/fake_admin.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STATUS(status_, reply_, answer_)                                                           \
	{                                                                                          \
		"GET /v1/status", NULL, status_, reply_, answer_, 0                                \
	}

static const struct fake_step nothing[] = { { 0 } };

/* ---- without a node ---- */

static void help_lists_every_command_once(void)
{
	struct ctl_run run;

	ctl_run_steps(&run, nothing, CTL_WORDS("help"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.err, "");
	for (const struct command *const *table = command_tables; *table; table++) {
		for (const struct command *command = *table; command->name; command++) {
			char line[128];
			const char *at;

			snprintf(line, sizeof(line), "\n  %s%s", command->name,
				 command->arguments[0] ? " " : "  ");
			at = strstr(run.out, line);
			CU_ASSERT_PTR_NOT_NULL_FATAL(at);
			CU_ASSERT_PTR_NULL(strstr(at + 1, line));
			CU_ASSERT_PTR_NOT_NULL(strstr(run.out, command->help));
		}
	}
	ctl_run_fini(&run);
}

static void help_explains_each_command(void)
{
	for (const struct command *const *table = command_tables; *table; table++) {
		for (const struct command *command = *table; command->name; command++) {
			char name[64], usage[256], *second;
			struct ctl_run run;

			snprintf(name, sizeof(name), "%s", command->name);
			second = strchr(name, ' ');
			if (second)
				*second++ = '\0';
			ctl_run_steps(&run, nothing, CTL_WORDS("--help", name, second));
			CU_ASSERT_EQUAL(run.code, CTL_OK);
			snprintf(usage, sizeof(usage), "usage: godwitctl [global options] %s%s%s\n",
				 command->name, command->arguments[0] ? " " : "",
				 command->arguments);
			CU_ASSERT_EQUAL(strncmp(run.out, usage, strlen(usage)), 0);
			CU_ASSERT(!command->details || strstr(run.out, command->details));
			ctl_run_fini(&run);
		}
	}
}

static void what_is_no_command_is_wrong_usage(void)
{
	struct ctl_run run;

	ctl_run_steps(&run, nothing, CTL_WORDS(NULL));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "usage: godwitctl"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, nothing, CTL_WORDS("cluster"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(run.err,
			       "godwitctl: no command 'cluster'; godwitctl help lists them\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, nothing, CTL_WORDS("help", "gett"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	ctl_run_fini(&run);
	ctl_run_steps(&run, nothing, CTL_WORDS("status", "--timeout", "soon"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	ctl_run_fini(&run);
}

static void version_is_that_of_the_build(void)
{
	struct ctl_run run;

	ctl_run_steps(&run, nothing, CTL_WORDS("version"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "godwitctl " GODWIT_VERSION "\n");
	ctl_run_fini(&run);
}

/* ---- watching ---- */

static void watching_goes_on_each_second_until_it_fails(void)
{
	static const struct fake_step steps[] = {
		{ "GET /v1/counters", NULL, 200,
		  "{\"counters\": [{\"name\": \"gets\", \"value\": 3, \"help\": \"GETs\"}]}", 0,
		  3 },
		{ "GET /v1/counters", NULL, 500, "{\"error\": {\"message\": \"no\"}}", 0, 1 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("counters", "--watch"));
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	CU_ASSERT_EQUAL(run.paused_ms, 3000);
	CU_ASSERT_STRING_EQUAL(run.out, "COUNTER  VALUE  PER SECOND  WHAT\n"
					"gets         3           0  GETs\n"
					"COUNTER  VALUE  PER SECOND  WHAT\n"
					"gets         3           0  GETs\n"
					"COUNTER  VALUE  PER SECOND  WHAT\n"
					"gets         3           0  GETs\n");
	ctl_run_fini(&run);
}

/* ---- a node's status and counters ---- */

static void node_commands_refuse_words_they_do_not_know(void)
{
	struct ctl_run run;

	ctl_run_steps(&run, nothing, CTL_WORDS("status", "now"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: unexpected argument 'now'\n"
					"usage: godwitctl status\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, nothing, CTL_WORDS("counters", "--all", "x"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	ctl_run_fini(&run);
}

static void counters_are_printed_as_told(void)
{
	static const struct fake_step steps[] = {
		{ "GET /v1/counters", NULL, 200,
		  "{\"counters\": [{\"name\": \"gets\", \"value\": 0, \"help\": \"GETs\"}]}", 0,
		  0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("counters", "--all"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "gets         0"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("counters"));
	CU_ASSERT_PTR_NULL(strstr(run.out, "gets"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("counters", "-o", "json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"name\": \"gets\""));
	ctl_run_fini(&run);
}

/* ---- answers that are none ---- */

static void expect_status(const struct fake_step *steps, enum ctl_exit code, const char *message)
{
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("status", "--timeout", "2s"));
	CU_ASSERT_EQUAL(run.code, code);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	if (!strstr(run.err, message))
		fprintf(stderr, "expected '%s' in '%s'\n", message, run.err);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, message));
	ctl_run_fini(&run);
}

static void refusals_are_told_with_their_reason(void)
{
	static const struct fake_step reason[] = {
		STATUS(503, "{\"error\": {\"message\": \"not ready\"}}", FAKE_REPLY),
		{ 0 },
	};
	static const struct fake_step no_reason[] = { STATUS(500, "", FAKE_REPLY), { 0 } };
	static const struct fake_step odd_reason[] = {
		STATUS(500, "{\"error\": [1, 2]}", FAKE_REPLY),
		{ 0 },
	};

	expect_status(reason, CTL_ERROR, "answered 503: not ready\n");
	expect_status(no_reason, CTL_ERROR, "answered 500: no reason given\n");
	expect_status(odd_reason, CTL_ERROR, "answered 500: no reason given\n");
}

static void answers_that_are_no_json_are_told(void)
{
	static const struct fake_step text[] = { STATUS(200, "hello", FAKE_REPLY), { 0 } };
	static const struct fake_step empty[] = { STATUS(200, "", FAKE_REPLY), { 0 } };

	expect_status(text, CTL_ERROR, "did not answer with JSON\n");
	expect_status(empty, CTL_ERROR, "did not answer with JSON\n");
}

static void answers_that_end_too_early_are_none(void)
{
	static const struct fake_step closed[] = { STATUS(0, NULL, FAKE_CLOSE), { 0 } };
	static const struct fake_step half[] = {
		STATUS(0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"node\": 1}", FAKE_RAW),
		{ 0 },
	};
	static const struct fake_step noise[] = {
		STATUS(0, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", FAKE_RAW),
		{ 0 },
	};
	static const struct fake_step huge[] = {
		STATUS(0, "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", FAKE_RAW),
		{ 0 },
	};

	expect_status(closed, CTL_UNREACHABLE, "closed the connection before it had answered\n");
	expect_status(half, CTL_UNREACHABLE, "closed the connection before it had answered\n");
	expect_status(noise, CTL_UNREACHABLE, "answered what is not HTTP, or too long\n");
	expect_status(huge, CTL_UNREACHABLE, "answered what is not HTTP, or too long\n");
}

static void a_node_that_is_silent_is_waited_for_as_long_as_told(void)
{
	static const struct fake_step steps[] = { STATUS(0, NULL, FAKE_SILENCE), { 0 } };
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("status", "--timeout", "30ms"));
	CU_ASSERT_EQUAL(run.code, CTL_UNREACHABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "did not answer within 30 ms\n"));
	ctl_run_fini(&run);
}

static void a_node_that_is_not_there_is_told(void)
{
	struct ctl_run run;

	ctl_run_steps(&run, nothing, CTL_WORDS("status", "--admin", "127.0.0.1:1"));
	CU_ASSERT_EQUAL(run.code, CTL_UNREACHABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "cannot reach 127.0.0.1:1: is godwitd running"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, nothing, CTL_WORDS("status", "--admin", "127.0.0.1:x"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: --admin 127.0.0.1:x: expected HOST:PORT\n");
	ctl_run_fini(&run);
}

/* ---- tokens ---- */

/* A file with 'text'; its name goes to 'path'. */
static void write_token_file(char path[32], const char *text)
{
	int fd;

	strcpy(path, "/tmp/godwit-token-XXXXXX");
	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void the_first_line_of_the_token_file_is_sent(void)
{
	static const struct fake_step steps[] = { STATUS(200, "{}", FAKE_REPLY), { 0 } };
	struct ctl_run run;
	char path[32];

	write_token_file(path, "0123456789abcdef\r\nsecond line\n");
	ctl_run_steps(&run, steps, CTL_WORDS("status", "--token-file", path));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.authorization, "Bearer 0123456789abcdef");
	ctl_run_fini(&run);
	unlink(path);
	ctl_run_steps(&run, steps, CTL_WORDS("status"));
	CU_ASSERT_STRING_EQUAL(run.authorization, "");
	ctl_run_fini(&run);
}

static void a_token_file_that_cannot_be_used_is_told_before_anything_is_sent(void)
{
	struct ctl_run run;
	char path[32];

	ctl_run_steps(&run, nothing, CTL_WORDS("status", "--token-file", "/absent/token"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: cannot read the token file /absent/token: No "
					"such file or directory\n");
	ctl_run_fini(&run);
	write_token_file(path, "\nthe second line is no token\n");
	ctl_run_steps(&run, nothing, CTL_WORDS("status", "--token-file", path));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "has no token in its first line"));
	ctl_run_fini(&run);
	unlink(path);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(help_lists_every_command_once),
		UNIT_TEST(help_explains_each_command),
		UNIT_TEST(what_is_no_command_is_wrong_usage),
		UNIT_TEST(version_is_that_of_the_build),
		UNIT_TEST(watching_goes_on_each_second_until_it_fails),
		UNIT_TEST(node_commands_refuse_words_they_do_not_know),
		UNIT_TEST(counters_are_printed_as_told),
		UNIT_TEST(refusals_are_told_with_their_reason),
		UNIT_TEST(answers_that_are_no_json_are_told),
		UNIT_TEST(answers_that_end_too_early_are_none),
		UNIT_TEST(a_node_that_is_silent_is_waited_for_as_long_as_told),
		UNIT_TEST(a_node_that_is_not_there_is_told),
		UNIT_TEST(the_first_line_of_the_token_file_is_sent),
		UNIT_TEST(a_token_file_that_cannot_be_used_is_told_before_anything_is_sent),
		{ NULL, NULL },
	};

	return unit_run("ctl_dispatch", tests);
}
