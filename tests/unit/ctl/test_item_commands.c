/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl's commands on items over a real socket: from words to operations, and from whatever becomes of them to an exit code. */
#include "tests/unit/client/fake_server.h"
#include "tests/unit/ctl/fake_admin.h"
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TURN_MS 1

/* A node whose data port is served by a thread. */
struct fixture {
	struct fake_server *fake;
	pthread_t thread;
	atomic_bool is_over;
	char server[32];
	struct ctl_run run;
};

static void *serve(void *context)
{
	struct fixture *f = context;
	struct pollfd ready = { .fd = f->fake->ports[0].fd, .events = POLLIN };

	while (!atomic_load(&f->is_over)) {
		poll(&ready, 1, TURN_MS);
		fake_server_turn(f->fake);
	}
	return NULL;
}

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->fake = fake_server_create(1, 1, 8);
	snprintf(f->server, sizeof(f->server), "127.0.0.1:%u", f->fake->base_port);
}

static void fixture_start(struct fixture *f)
{
	atomic_store(&f->is_over, false);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void fixture_stop(struct fixture *f)
{
	atomic_store(&f->is_over, true);
	pthread_join(f->thread, NULL);
}

static void fixture_fini(struct fixture *f)
{
	fake_server_destroy(f->fake);
}

/* Runs the words against the fixture's server, with nothing asked of the admin address. */
static void run_words(struct fixture *f, const char *const *words)
{
	static const struct fake_step nothing[] = { { 0 } };
	const char *all[12] = { "--server", f->server };
	size_t count = 2;

	for (; *words; words++)
		all[count++] = *words;
	fixture_start(f);
	ctl_run_steps(&f->run, nothing, all);
	fixture_stop(f);
}

/* The same, and what comes of it: 'out' and 'err' exactly; NULL = anything. */
static void expect(struct fixture *f, enum ctl_exit code, const char *out, const char *err,
		   const char *const *words)
{
	run_words(f, words);
	if (f->run.code != code || (out && strcmp(f->run.out, out) != 0) ||
	    (err && strcmp(f->run.err, err) != 0))
		fprintf(stderr, "%s %s: exit %d, out '%s', err '%s'\n", words[0],
			words[1] ? words[1] : "", f->run.code, f->run.out, f->run.err);
	CU_ASSERT_EQUAL(f->run.code, code);
	if (out)
		CU_ASSERT_STRING_EQUAL(f->run.out, out);
	if (err)
		CU_ASSERT_STRING_EQUAL(f->run.err, err);
	ctl_run_fini(&f->run);
}

#define EXPECT(f, code, out, err, ...) expect(f, code, out, err, CTL_WORDS(__VA_ARGS__))

static void each_command_does_what_it_says(void)
{
	struct fixture f;

	fixture_init(&f);
	EXPECT(&f, CTL_OK, "version 1\n", "", "set", "k", "one");
	EXPECT(&f, CTL_OK, "one\n", "", "get", "k");
	EXPECT(&f, CTL_NO, "", NULL, "add", "k", "two");
	EXPECT(&f, CTL_OK, "version 2\n", "", "replace", "k", "two");
	EXPECT(&f, CTL_OK, "version 3\n", "", "cas", "k", "2", "three");
	EXPECT(&f, CTL_NO, "", NULL, "cas", "k", "2", "four");
	EXPECT(&f, CTL_OK, "version 4\n", "", "append", "k", "!");
	EXPECT(&f, CTL_OK, "three!", "", "get", "k", "--raw");
	EXPECT(&f, CTL_OK, "never expires\n", "", "ttl", "k");
	EXPECT(&f, CTL_OK, NULL, "", "touch", "k", "1h");
	EXPECT(&f, CTL_OK, "3600000ms\n", "", "ttl", "k");
	EXPECT(&f, CTL_OK, "three!\n", "", "get-and-touch", "k", "never");
	EXPECT(&f, CTL_OK, "never expires\n", "", "ttl", "k");
	EXPECT(&f, CTL_OK, NULL, "", "exists", "k");
	EXPECT(&f, CTL_NO, "", NULL, "delete", "k", "--version", "1");
	EXPECT(&f, CTL_OK, "deleted\n", "", "delete", "k");
	EXPECT(&f, CTL_NO, "", "godwitctl: k: not found\n", "get", "k");
	EXPECT(&f, CTL_OK, "-7\n", "", "increment", "n", "5", "--initial=-7", "--ttl", "10s");
	EXPECT(&f, CTL_OK, "-6\n", "", "increment", "n");
	EXPECT(&f, CTL_OK, "-16\n", "", "increment", "n", "-10");
	fixture_fini(&f);
}

static void what_cannot_be_an_operation_is_never_sent(void)
{
	static const char *const lines[][7] = {
		{ "get" },
		{ "get", "" },
		{ "get", "a", "b" },
		{ "set", "a" },
		{ "set", "a", "b", "c" },
		{ "set", "a", "b", "--ttl" },
		{ "set", "a", "b", "--ttl", "0" },
		{ "set", "a", "b", "--ttl", "50000d" },
		{ "cas", "a", "0", "x" },
		{ "cas", "a", "18446744073709551616", "x" },
		{ "delete", "a", "--version=x" },
		{ "increment", "a", "9223372036854775808" },
		{ "increment", "a", "1", "--ttl", "5s" },
		{ "touch", "a", "soon" },
		{ "ping", "x" },
		{ "info", "x" },
		{ "a-key-of-more-than-250-bytes-follows" },
	};
	struct fixture f;
	char key[300];

	fixture_init(&f);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		EXPECT(&f, CTL_USAGE, "", NULL, lines[i][0], lines[i][1], lines[i][2], lines[i][3],
		       lines[i][4], lines[i][5]);
	memset(key, 'k', sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	EXPECT(&f, CTL_USAGE, "", NULL, "get", key);
	CU_ASSERT_EQUAL(f.fake->received, 0);
	fixture_fini(&f);
}

static void values_come_from_standard_input_with_all_their_bytes(void)
{
	static const char bytes[] = "a\0b\n\xff";
	struct fixture f;
	int ends[2], old;

	fixture_init(&f);
	old = dup(STDIN_FILENO);
	CU_ASSERT_FATAL(old >= 0 && pipe(ends) == 0);
	CU_ASSERT_EQUAL(write(ends[1], bytes, 5), 5);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	EXPECT(&f, CTL_OK, "version 1\n", "", "set", "k", "-");
	dup2(old, STDIN_FILENO);
	close(old);
	close(ends[0]);
	clearerr(stdin);
	run_words(&f, CTL_WORDS("get", "k", "--raw"));
	CU_ASSERT_EQUAL(f.run.out_size, 5);
	CU_ASSERT_EQUAL(memcmp(f.run.out, bytes, 5), 0);
	ctl_run_fini(&f.run);
	EXPECT(&f, CTL_OK, "a\\x00b\n\\xff\n", "", "get", "k");
	fixture_fini(&f);
}

static void a_standard_input_that_cannot_be_read_is_told(void)
{
	struct fixture f;
	int old = dup(STDIN_FILENO), folder = open("/", O_RDONLY);

	fixture_init(&f);
	CU_ASSERT_FATAL(old >= 0 && folder >= 0);
	dup2(folder, STDIN_FILENO);
	EXPECT(&f, CTL_ERROR, "",
	       "godwitctl: cannot read the value from standard input: Is a directory\n", "set", "k",
	       "-");
	dup2(old, STDIN_FILENO);
	close(old);
	close(folder);
	clearerr(stdin);
	CU_ASSERT_EQUAL(f.fake->received, 0);
	fixture_fini(&f);
}

static void the_node_s_refusals_have_their_codes(void)
{
	struct fixture f;
	char value[FAKE_VALUE_MAX + 2];

	fixture_init(&f);
	EXPECT(&f, CTL_OK, NULL, "", "set", "k", "text");
	EXPECT(&f, CTL_ERROR, "", NULL, "increment", "k");
	EXPECT(&f, CTL_ERROR, NULL, NULL, "increment", "k", "-o", "json");
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	EXPECT(&f, CTL_ERROR, "", NULL, "set", "k", value);
	fixture_fini(&f);
}

static bool swallow(struct fake_server *fake, struct fake_port *port,
		    const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	(void)port;
	(void)header;
	(void)bytes;
	(void)size;
	fake->intercepted++;
	return true;
}

/* A write that was sent and not answered may have been done; a session that was not granted sent none. */
static void silence_is_unknown_only_when_a_write_was_sent(void)
{
	struct fixture f;

	fixture_init(&f);
	f.fake->intercept = swallow;
	EXPECT(&f, CTL_UNKNOWN, "", NULL, "set", "k", "v", "--timeout", "60ms");
	CU_ASSERT(f.fake->intercepted > 0);
	EXPECT(&f, CTL_UNREACHABLE, "", NULL, "get", "k", "--timeout", "60ms");
	f.fake->ports[0].is_dead = true;
	EXPECT(&f, CTL_UNREACHABLE, "", NULL, "set", "k", "v", "--timeout", "60ms");
	EXPECT(&f, CTL_UNREACHABLE, "", NULL, "ping", "--timeout", "60ms");
	EXPECT(&f, CTL_UNREACHABLE, "", NULL, "info", "--timeout", "60ms");
	fixture_fini(&f);
}

static void addresses_that_are_none_are_wrong_usage(void)
{
	struct fixture f;

	fixture_init(&f);
	EXPECT(&f, CTL_USAGE, "", "godwitctl: --server here: expected IPV4[:PORT]\n", "get", "k",
	       "--server", "here");
	EXPECT(&f, CTL_USAGE, "", NULL, "ping", "--server", "127.0.0.1:0");
	EXPECT(&f, CTL_USAGE, "", NULL, "info", "--server", "");
	fixture_fini(&f);
}

static void ping_and_info_tell_of_the_data_port(void)
{
	struct fixture f;
	char expected[512];

	fixture_init(&f);
	run_words(&f, CTL_WORDS("ping"));
	CU_ASSERT_EQUAL(f.run.code, CTL_OK);
	snprintf(expected, sizeof(expected), "%s answers after ", f.server);
	CU_ASSERT_EQUAL(strncmp(f.run.out, expected, strlen(expected)), 0);
	ctl_run_fini(&f.run);
	run_words(&f, CTL_WORDS("ping", "-o", "json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.run.out, "\"round_trip_us\": "));
	ctl_run_fini(&f.run);
	snprintf(expected, sizeof(expected),
		 "answered by     %s, boot 0000000000000007\n"
		 "partition map   version 1, 8 partitions\n"
		 "limits          values of 1200 bytes, datagrams of 1472 bytes\n\n"
		 "NODE             WORKERS  PARTITIONS\n"
		 "%s        1           8\n",
		 f.server, f.server);
	EXPECT(&f, CTL_OK, expected, "", "info");
	run_words(&f, CTL_WORDS("info", "-o", "json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.run.out, "\"boot_id\": \"0000000000000007\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.run.out, "\"partitions\": 8"));
	ctl_run_fini(&f.run);
	fixture_fini(&f);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(each_command_does_what_it_says),
		UNIT_TEST(what_cannot_be_an_operation_is_never_sent),
		UNIT_TEST(values_come_from_standard_input_with_all_their_bytes),
		UNIT_TEST(a_standard_input_that_cannot_be_read_is_told),
		UNIT_TEST(the_node_s_refusals_have_their_codes),
		UNIT_TEST(silence_is_unknown_only_when_a_write_was_sent),
		UNIT_TEST(addresses_that_are_none_are_wrong_usage),
		UNIT_TEST(ping_and_info_tell_of_the_data_port),
		{ NULL, NULL },
	};

	return unit_run("ctl_item_commands", tests);
}
