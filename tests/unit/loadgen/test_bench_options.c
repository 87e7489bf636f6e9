/* SPDX-License-Identifier: BSD-3-Clause */
/* godwit-bench's command line: what it takes, and what it says to what it does not take. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/loadgen/bench_options.h"
#include "tests/unit/unit.h"

/* Parses a command line cut at blanks. */
static int parse(struct bench_options *options, const char *line, char *error, size_t error_size)
{
	static char words[1024];
	char *argv[64] = { (char *)(uintptr_t) "godwit-bench" };
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	error[0] = '\0';
	return bench_options_parse(options, argc, argv, error, error_size);
}

static void check_refused(const char *line, const char *why)
{
	struct bench_options options;
	char error[512];

	CU_ASSERT_EQUAL(parse(&options, line, error, sizeof(error)), -1);
	if (!strstr(error, why))
		printf("'%s' said: %s\n", line, error);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, why));
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
}

static void check_taken(struct bench_options *options, const char *line)
{
	char error[512];

	CU_ASSERT_EQUAL(parse(options, line, error, sizeof(error)), 0);
	CU_ASSERT_STRING_EQUAL(error, "");
}

static void test_defaults_are_a_closed_loop_of_gets_over_sockets(void)
{
	struct bench_options options;

	check_taken(&options, "");
	CU_ASSERT_EQUAL(options.action, BENCH_RUN);
	CU_ASSERT_FALSE(options.over_port);
	CU_ASSERT_EQUAL(ntohl(options.server.s_addr), 0x0a4d0002);
	CU_ASSERT_EQUAL(options.port.ipv4, 0x0a4d0001);
	CU_ASSERT_EQUAL(options.server_port, 7700);
	CU_ASSERT_EQUAL(options.rate, 0.0);
	CU_ASSERT_EQUAL(options.workload.shares[OPERATION_GET], 1.0);
	CU_ASSERT_EQUAL(options.workload.key_count, 1000000);
	CU_ASSERT_EQUAL(options.workload.format.key_size, 16);
	CU_ASSERT_EQUAL(options.workload.format.value_size_max, 32);
	CU_ASSERT_EQUAL(options.eal_argc, 0);
}

static void test_numbers_take_suffixes(void)
{
	struct bench_options options;

	check_taken(&options, "--load 8M --rate 2.5M --value-size 10-1000 --duration 0.5 --ops 16");
	CU_ASSERT(options.load);
	CU_ASSERT_EQUAL(options.workload.key_count, 8000000);
	CU_ASSERT_EQUAL(options.rate, 2.5e6);
	CU_ASSERT_EQUAL(options.workload.format.value_size_min, 10);
	CU_ASSERT_EQUAL(options.workload.format.value_size_max, 1000);
	CU_ASSERT_EQUAL(options.duration_seconds, 0.5);
	CU_ASSERT_EQUAL(options.ops, 16);
}

static void test_ports_and_addresses(void)
{
	struct bench_options options;

	check_taken(&options, "--port memif:/tmp/x.sock --server 10.1.2.3:9000 --ip 10.1.2.4/16 "
			      "--server-mac 02:00:00:00:00:0a "
			      "--workers 2 --cpus 1,3 -- -m 512");
	CU_ASSERT(options.over_port);
	CU_ASSERT_EQUAL(options.port.kind, PORT_MEMIF);
	CU_ASSERT_STRING_EQUAL(options.port.device, "/tmp/x.sock");
	CU_ASSERT_EQUAL(ntohl(options.server.s_addr), 0x0a010203);
	CU_ASSERT_EQUAL(options.server_port, 9000);
	CU_ASSERT_EQUAL(options.port.ipv4, 0x0a010204);
	CU_ASSERT_EQUAL(options.port.ipv4_prefix, 16);
	CU_ASSERT(options.server_mac_known);
	CU_ASSERT_EQUAL(options.server_mac[5], 10);
	CU_ASSERT_EQUAL(options.cpu_count, 2);
	CU_ASSERT_EQUAL(options.cpus[1], 3);
	CU_ASSERT_EQUAL(options.eal_argc, 2);
	CU_ASSERT_STRING_EQUAL(options.eal_argv[0], "-m");
	check_taken(&options, "--port pci:0000:01:00.0");
	CU_ASSERT_EQUAL(options.port.kind, PORT_PCI);
	CU_ASSERT_STRING_EQUAL(options.port.device, "0000:01:00.0");
}

static void test_mixes_and_distributions(void)
{
	struct bench_options options;

	check_taken(&options, "--workload B");
	CU_ASSERT_EQUAL(options.workload.shares[OPERATION_SET], 0.05);
	CU_ASSERT_EQUAL(options.workload.distribution, KEY_ZIPF);
	check_taken(&options, "--mix get=1,set=1 --distribution zipf:0.8 --no-scramble");
	CU_ASSERT_EQUAL(options.workload.shares[OPERATION_SET], 0.5);
	CU_ASSERT_EQUAL(options.workload.exponent, 0.8);
	CU_ASSERT_FALSE(options.workload.scrambled);
}

static void test_help_and_version(void)
{
	struct bench_options options;

	check_taken(&options, "--help");
	CU_ASSERT_EQUAL(options.action, BENCH_SHOW_HELP);
	check_taken(&options, "--version");
	CU_ASSERT_EQUAL(options.action, BENCH_SHOW_VERSION);
}

static void test_the_environment_names_a_server(void)
{
	struct bench_options options;

	setenv("GODWIT_SERVER", "10.9.8.7:1234", 1);
	check_taken(&options, "");
	CU_ASSERT_EQUAL(ntohl(options.server.s_addr), 0x0a090807);
	CU_ASSERT_EQUAL(options.server_port, 1234);
	check_taken(&options, "--server 10.1.1.1");
	CU_ASSERT_EQUAL(ntohl(options.server.s_addr), 0x0a010101);
	CU_ASSERT_EQUAL(options.server_port, 7700);
	setenv("GODWIT_SERVER", "10.9.8.7:x", 1);
	check_refused("", "GODWIT_SERVER: 'x' is no number");
	unsetenv("GODWIT_SERVER");
}

static void test_bad_values_name_their_option(void)
{
	check_refused("--load many", "--load: 'many' is no number");
	check_refused("--load 0", "--load: 0 is out of range");
	check_refused("--load 1.5", "--load: '1.5' is no whole number");
	check_refused("--rate 1kk", "--rate: '1kk' is no number");
	check_refused("--rate nan", "--rate: 'nan' is no number");
	check_refused("--ops 65", "--ops: 65 is out of range: 1 to 64");
	check_refused("--key-size 251", "--key-size");
	check_refused("--value-size 10-5", "--value-size: 5 is out of range: 10 to 8192");
	check_refused("--server 10.0.0.1:70000", "--server: 70000 is out of range");
	check_refused("--port ethernet:0", "--port: 'ethernet:0' is neither");
	check_refused("--port memif:", "--port: 'memif:' is neither");
	check_refused("--ip 10.0.0", "--ip: '10.0.0' is no IPv4 address");
	check_refused("--ip 10.0.0.1/33", "--ip: 33 is out of range");
	check_refused("--mac 02:00:00", "--mac: '02:00:00' is no MAC address");
	check_refused("--workload e", "--workload: 'e' is none");
	check_refused("--mix get", "--mix: 'get' needs a weight");
	check_refused("--distribution hot", "--distribution: 'hot' is neither");
	check_refused("--cpus 1,x", "--cpus: '1,x' is no list");
	check_refused("--cpus 1,", "--cpus: '1,' is no list");
}

static void test_options_that_do_not_go_together(void)
{
	check_refused("--verify", "--verify needs --load");
	check_refused("--load 70k --key-size 5", "--key-size: too small");
	check_refused("--echo", "--echo needs a DPDK port");
	check_refused("--port memif:/x --echo --load 5", "--echo stores nothing");
	check_refused("--port memif:/x --ip 10.77.0.2", "--ip: that is the server's address");
	check_refused("--workers 2 --cpus 1", "--cpus: fewer CPUs");
	check_refused("--duration 0", "leaves nothing to do");
	check_refused("-- -m 5", "EAL arguments");
}

static void test_unknown_words(void)
{
	check_refused("--frobnicate", "--frobnicate");
	check_refused("--rate", "an argument is missing");
	check_refused("--quiet=yes", "--quiet=yes");
	check_refused("fast", "'fast' is no option");
	check_refused("--ops 4 fast", "'fast' is no option");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_defaults_are_a_closed_loop_of_gets_over_sockets),
		UNIT_TEST(test_numbers_take_suffixes),
		UNIT_TEST(test_ports_and_addresses),
		UNIT_TEST(test_mixes_and_distributions),
		UNIT_TEST(test_help_and_version),
		UNIT_TEST(test_the_environment_names_a_server),
		UNIT_TEST(test_bad_values_name_their_option),
		UNIT_TEST(test_options_that_do_not_go_together),
		UNIT_TEST(test_unknown_words),
		{ NULL, NULL },
	};

	return unit_run("bench_options", tests);
}
