/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitd's command line, and how it becomes options for the data plane. */
#include "controlplane/command_line.h"
#include "controlplane/dataplane_options.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 80

/* A command line under test. */
struct fixture {
	struct command_line line;
	struct options options;
	char *errors;
	size_t size;
	int result;
};

/* Parses 'words' (terminated by NULL); reads the options too when that works. */
static void fixture_parse(struct fixture *f, const char *const *words)
{
	char *argv[WORDS_MAX + 1] = { (char *)(uintptr_t) "godwitd" };
	FILE *errors;
	int argc = 1;

	for (; *words && argc < WORDS_MAX; words++)
		argv[argc++] = (char *)(uintptr_t)*words;
	memset(f, 0, sizeof(*f));
	errors = open_memstream(&f->errors, &f->size);
	f->result = command_line_parse(&f->line, argc, argv, errors);
	if (f->result == 0)
		f->result = command_line_options(&f->line, &f->options, errors);
	fclose(errors);
}

#define PARSE(fixture, ...) fixture_parse(fixture, (const char *const[]){ __VA_ARGS__, NULL })

/* The words must be refused with exactly 'errors'. */
static void refused(const char *const *words, const char *errors)
{
	struct fixture f;

	fixture_parse(&f, words);
	CU_ASSERT_NOT_EQUAL(f.result, 0);
	CU_ASSERT_STRING_EQUAL(f.errors, errors);
	free(f.errors);
}

#define REFUSED(errors, ...) refused((const char *const[]){ __VA_ARGS__, NULL }, errors)

static void nothing_means_run_with_defaults(void)
{
	struct fixture f;

	fixture_parse(&f, (const char *const[]){ NULL });
	CU_ASSERT_EQUAL(f.result, 0);
	CU_ASSERT_EQUAL(f.line.action, COMMAND_LINE_RUN);
	CU_ASSERT_EQUAL(f.line.eal_count, 0);
	CU_ASSERT_EQUAL(f.options.data_workers, 1);
	free(f.errors);
}

static void pairs_win_and_eal_arguments_stay_apart(void)
{
	struct fixture f;

	PARSE(&f, "--set", "data.workers=2", "--set=data.workers=3", "--check-config", "--", "--",
	      "-x", "--set");
	CU_ASSERT_EQUAL(f.result, 0);
	CU_ASSERT_EQUAL(f.line.action, COMMAND_LINE_CHECK_CONFIG);
	CU_ASSERT_EQUAL(f.options.data_workers, 3);
	CU_ASSERT_EQUAL(f.line.eal_count, 3);
	CU_ASSERT_STRING_EQUAL(f.line.eal[2], "--set");
	free(f.errors);
}

static void actions_are_recognized(void)
{
	static const struct {
		const char *word;
		enum command_line_action action;
	} actions[] = {
		{ "--help", COMMAND_LINE_HELP },
		{ "-h", COMMAND_LINE_HELP },
		{ "--version", COMMAND_LINE_VERSION },
		{ "-V", COMMAND_LINE_VERSION },
		{ "--help-config", COMMAND_LINE_HELP_CONFIG },
		{ "--print-config", COMMAND_LINE_PRINT_CONFIG },
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		struct fixture f;

		PARSE(&f, actions[i].word);
		CU_ASSERT_EQUAL(f.line.action, actions[i].action);
		free(f.errors);
	}
}

static void mistakes_are_named(void)
{
	REFUSED("godwitd: unknown option '--bad'; godwitd --help lists what there is\n", "--bad");
	REFUSED("godwitd: unknown option '-x'; godwitd --help lists what there is\n", "-x");
	REFUSED("godwitd: a value is missing behind '--config'; godwitd --help lists what there "
		"is\n",
		"--config");
	REFUSED("godwitd: unexpected argument 'run'; godwitd --help lists what there is\n", "run",
		"--set", "data.workers=2");
	REFUSED("godwitd: more than one configuration file: 'b'; godwitd --help lists what there "
		"is\n",
		"-c", "a", "-c", "b");
	REFUSED("/nonexistent: cannot read it: No such file or directory\n"
		"--set: data.worker: unknown key; godwitd --help-config lists those there are\n",
		"--config", "/nonexistent", "--set", "data.worker=2");
	REFUSED("--set: data.cores: expected as many CPUs as data.workers says (1), not 2\n",
		"--set", "data.cores=0-1");
}

static void too_many_pairs_are_refused(void)
{
	const char *words[WORDS_MAX + 1];

	for (size_t i = 0; i <= COMMAND_LINE_SET_MAX; i++)
		words[i] = "--set=data.workers=2";
	words[COMMAND_LINE_SET_MAX + 1] = NULL;
	refused(words, "godwitd: too many --set, the last is 'data.workers=2'; godwitd --help "
		       "lists what there is\n");
}

static void options_reach_the_data_plane(void)
{
	struct eal_plan plan = { .idle = IDLE_SPIN, .huge_pages = true };
	struct dataplane_options target;
	struct fixture f;

	PARSE(&f, "--set", "data.workers=3", "--set", "data.address=10.1.0.7/16", "--set",
	      "data.gateway=10.1.0.1", "--set", "data.udp_port=9000", "--set",
	      "data.port.kind=memif", "--set", "data.port.device=/run/g.sock", "--set",
	      "data.port.role=client", "--set", "data.port.args=zero-copy=yes", "--set",
	      "data.mac=02:00:00:00:00:07", "--set", "data.mtu=1400", "--set", "storage.memory=2G",
	      "--set", "storage.partitions=128", "--set", "storage.eviction=on", "--set",
	      "storage.capacity=1000", "--set", "data.sessions=500", "--set",
	      "data.port.ring_size=256");
	CU_ASSERT_EQUAL_FATAL(f.result, 0);
	dataplane_options_make(&target, &f.options, &plan);
	CU_ASSERT_EQUAL(target.worker_count, 3);
	CU_ASSERT_EQUAL(target.worker_lcores[0], 1);
	CU_ASSERT_EQUAL(target.worker_lcores[2], 3);
	CU_ASSERT_EQUAL(target.idle, IDLE_SPIN);
	CU_ASSERT_TRUE(target.huge_pages);
	CU_ASSERT_EQUAL(target.port.kind, PORT_MEMIF);
	CU_ASSERT_STRING_EQUAL(target.port.device, "/run/g.sock");
	CU_ASSERT_STRING_EQUAL(target.port.device_args, "zero-copy=yes");
	CU_ASSERT_FALSE(target.port.memif_server);
	CU_ASSERT_EQUAL(target.port.ipv4, 0x0a010007);
	CU_ASSERT_EQUAL(target.port.ipv4_prefix, 16);
	CU_ASSERT_EQUAL(target.port.gateway_ipv4, 0x0a010001);
	CU_ASSERT_EQUAL(target.port.host_ipv4, 0); /* of tap alone */
	CU_ASSERT_EQUAL(target.port.mac[5], 7);
	CU_ASSERT_EQUAL(target.port.mtu, 1400);
	CU_ASSERT_EQUAL(target.port.ring_size, 256);
	CU_ASSERT_EQUAL(target.udp_port_base, 9000);
	CU_ASSERT_EQUAL(target.partition_count, 128);
	CU_ASSERT_EQUAL(target.memory_limit_bytes, 2ull << 30);
	CU_ASSERT_EQUAL(target.eviction, EVICTION_ON);
	CU_ASSERT_EQUAL(target.capacity_initial, 1000);
	CU_ASSERT_EQUAL(target.session_count_max, 500);
	free(f.errors);
}

static void a_tap_gets_an_address_for_the_host(void)
{
	struct eal_plan plan = { .idle = IDLE_ADAPTIVE };
	struct dataplane_options target;
	struct fixture f;

	PARSE(&f, "--set", "data.address=10.77.0.1/24");
	CU_ASSERT_EQUAL_FATAL(f.result, 0);
	dataplane_options_make(&target, &f.options, &plan);
	CU_ASSERT_EQUAL(target.port.kind, PORT_TAP);
	CU_ASSERT_STRING_EQUAL(target.port.device, "godwit0");
	CU_ASSERT_EQUAL(target.port.host_ipv4, 0x0a4d0002);
	free(f.errors);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(nothing_means_run_with_defaults),
		UNIT_TEST(pairs_win_and_eal_arguments_stay_apart),
		UNIT_TEST(actions_are_recognized),
		UNIT_TEST(mistakes_are_named),
		UNIT_TEST(too_many_pairs_are_refused),
		UNIT_TEST(options_reach_the_data_plane),
		UNIT_TEST(a_tap_gets_an_address_for_the_host),
		{ NULL, NULL },
	};

	return unit_run("command_line", tests);
}
