/* SPDX-License-Identifier: BSD-3-Clause */
/* docs/protocol.md says what the code says: its examples, its numbers, its reasons. Runs in the
 * project's top folder.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/drop_reason.h"
#include "dataplane/replay_window.h"
#include "dataplane/session.h"
#include "dataplane/wire_codec.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"
#include "dataplane/wire_partition.h"
#include "storage/limits.h"
#include "tests/unit/unit.h"

static char manual[65536];

static void load_manual(void)
{
	FILE *file = fopen("docs/protocol.md", "r");
	size_t size;

	if (!file) {
		perror("docs/protocol.md");
		exit(EXIT_FAILURE);
	}
	size = fread(manual, 1, sizeof(manual) - 1, file);
	manual[size] = '\0';
	fclose(file);
}

static void says(const char *text)
{
	if (!strstr(manual, text)) {
		printf("docs/protocol.md does not say: %s\n", text);
		CU_FAIL("missing");
	}
}

/* ---- examples ---- */

/* Reads the bytes of the example 'name': pairs of digits up to '|' on each line of its block.
 * Returns how many.
 */
static size_t example(const char *name, uint8_t *bytes, size_t room)
{
	char mark[64];
	const char *at;
	size_t size = 0;
	unsigned byte;
	int read;

	snprintf(mark, sizeof(mark), "<!-- example %s -->\n```\n", name);
	at = strstr(manual, mark);
	CU_ASSERT_PTR_NOT_NULL(at);
	if (!at)
		return 0;
	for (at += strlen(mark); strncmp(at, "```", 3) != 0; at = strchr(at, '\n') + 1)
		for (; size < room && sscanf(at, " %2x%n", &byte, &read) == 1 && isxdigit(*at);
		     at += read) {
			bytes[size++] = (uint8_t)byte;
			if (at[read] == ' ')
				at++;
		}
	return size;
}

static void example_is(const char *name, const uint8_t *wanted, size_t size)
{
	uint8_t bytes[512];

	CU_ASSERT_EQUAL(example(name, bytes, sizeof(bytes)), size);
	CU_ASSERT_EQUAL(memcmp(bytes, wanted, size), 0);
}

static const struct wire_header granted = {
	.session_id = 1, .token = 0x5d1c8f0e7a3b2946, .sequence = 1, .map_version = 7
};

static void hello_example(void)
{
	struct wire_header header = { .kind = WIRE_HELLO };
	struct wire_hello hello = { 0x1122334455667788, 0 };
	uint8_t bytes[WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE];

	wire_header_write(bytes, &header);
	wire_hello_write(bytes + WIRE_HEADER_SIZE, &hello);
	example_is("hello", bytes, sizeof(bytes));
}

static void hello_reply_example(void)
{
	struct wire_header header = { .kind = WIRE_HELLO_REPLY, .map_version = 7 };
	struct wire_hello_reply reply = { .client_nonce = 0x1122334455667788,
					  .challenge = 0xa1b2c3d4e5f60718,
					  .boot_id = 0x662f1c0d9e8b7a55,
					  .stage = WIRE_HELLO_CHALLENGE,
					  .version_max = WIRE_VERSION,
					  .worker_count = 4,
					  .partition_count = 64,
					  .value_size_max = 1384,
					  .datagram_size_max = 1424,
					  .base_port = WIRE_PORT_DEFAULT,
					  .replay_window_size = REPLAY_WINDOW_SIZE };
	uint8_t bytes[WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE];

	wire_header_write(bytes, &header);
	wire_hello_reply_write(bytes + WIRE_HEADER_SIZE, &reply);
	example_is("hello_reply", bytes, sizeof(bytes));
}

static void request_example(void)
{
	struct wire_request_op set = { .opcode = WIRE_SET,
				       .flags = WIRE_HAS_TTL,
				       .key_size = 4,
				       .value_size = 5,
				       .ttl_ms = 60000,
				       .key = (const uint8_t *)"city",
				       .value = (const uint8_t *)"Delft" };
	struct wire_request_op increment = { .opcode = WIRE_INCREMENT,
					     .key_size = 6,
					     .value_size = 16,
					     .key = (const uint8_t *)"visits" };
	struct wire_header header = granted;
	uint8_t bytes[200], numbers[16], *at;

	wire_put_u64(numbers, 1);
	wire_put_u64(numbers + 8, 100);
	increment.value = numbers;
	header.kind = WIRE_REQUEST;
	header.op_count = 2;
	wire_header_write(bytes, &header);
	at = wire_request_op_write(bytes + WIRE_HEADER_SIZE, &set);
	at = wire_request_op_write(at, &increment);
	example_is("request", bytes, (size_t)(at - bytes));
	CU_ASSERT_EQUAL(wire_partition_of("city", 4, 64), 52);
	CU_ASSERT_EQUAL(wire_partition_of("visits", 6, 64), 41);
}

static void reply_example(void)
{
	struct wire_header header = granted;
	uint8_t bytes[200], *at;

	header.kind = WIRE_REPLY;
	header.op_count = 2;
	wire_header_write(bytes, &header);
	at = wire_reply_op_write(bytes + WIRE_HEADER_SIZE, WIRE_SET, WIRE_OK,
				 UINT64_C(1) << VERSION_SEQUENCE_BITS | 42, 0);
	at = wire_reply_op_write(at, WIRE_INCREMENT, WIRE_OK,
				 UINT64_C(1) << VERSION_SEQUENCE_BITS | 17, 8);
	wire_put_u64(at, 100);
	example_is("reply", bytes, (size_t)(at + 8 - bytes));
}

static void map_reply_example(void)
{
	static const uint16_t owners[4] = { 0, 1, WIRE_MAP_NO_OWNER, 0 };
	static const struct wire_map_node nodes[2] = { { 0x0a000001, 7700, 4 },
						       { 0x0a000002, 7700, 2 } };
	struct wire_map map = { owners, nodes, 4, 2 };
	struct wire_header header = granted;
	uint8_t bytes[200];

	header.kind = WIRE_MAP_REPLY;
	header.sequence = 2;
	wire_header_write(bytes, &header);
	example_is("map_reply", bytes,
		   WIRE_HEADER_SIZE + wire_map_reply_write(bytes + WIRE_HEADER_SIZE,
							   sizeof(bytes) - WIRE_HEADER_SIZE, &map,
							   0));
}

/* ---- numbers ---- */

static void row(unsigned number, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "\n| %u | %s |", number, name);
	says(text);
}

static void kinds_opcodes_and_statuses_have_their_numbers(void)
{
	static const struct {
		unsigned number;
		const char *name;
	} rows[] = {
		{ WIRE_HELLO, "HELLO" },
		{ WIRE_HELLO_REPLY, "HELLO_REPLY" },
		{ WIRE_REQUEST, "REQUEST" },
		{ WIRE_REPLY, "REPLY" },
		{ WIRE_FORWARD, "FORWARD" },
		{ WIRE_FORWARD_REPLY, "FORWARD_REPLY" },
		{ WIRE_MAP_REQUEST, "MAP_REQUEST" },
		{ WIRE_MAP_REPLY, "MAP_REPLY" },
		{ WIRE_PING, "PING" },
		{ WIRE_PONG, "PONG" },
		{ WIRE_GET, "GET" },
		{ WIRE_SET, "SET" },
		{ WIRE_DELETE, "DELETE" },
		{ WIRE_ADD, "ADD" },
		{ WIRE_REPLACE, "REPLACE" },
		{ WIRE_CAS, "CAS" },
		{ WIRE_INCREMENT, "INCREMENT" },
		{ WIRE_APPEND, "APPEND" },
		{ WIRE_TOUCH, "TOUCH" },
		{ WIRE_GET_AND_TOUCH, "GET_AND_TOUCH" },
		{ WIRE_EXISTS, "EXISTS" },
		{ WIRE_TTL, "TTL" },
		{ WIRE_OK, "OK" },
		{ WIRE_NOT_FOUND, "NOT_FOUND" },
		{ WIRE_EXISTS_ALREADY, "EXISTS" },
		{ WIRE_VERSION_MISMATCH, "VERSION_MISMATCH" },
		{ WIRE_NOT_A_NUMBER, "NOT_A_NUMBER" },
		{ WIRE_TOO_LARGE, "TOO_LARGE" },
		{ WIRE_NO_SPACE, "NO_SPACE" },
		{ WIRE_BAD_REQUEST, "BAD_REQUEST" },
		{ WIRE_UNSUPPORTED, "UNSUPPORTED" },
		{ WIRE_NOT_OWNER, "NOT_OWNER" },
		{ WIRE_RETRY, "RETRY" },
		{ WIRE_UNAVAILABLE, "UNAVAILABLE" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		row(rows[i].number, rows[i].name);
	/* No opcode, kind or status was added without a row. */
	CU_ASSERT_EQUAL(sizeof(rows) / sizeof(rows[0]),
			WIRE_PONG + (WIRE_OPCODE_COUNT - 1) + WIRE_NEED_HELLO);
}

static void limits_have_their_numbers(void)
{
	says("| 0 | u8 | magic | 0x47,");
	says("UDP payload is told in HELLO_REPLY");
	says("| 2 | u16 | key_size | 1..250 |");
	says("The node remembers the last 1,024 sequences.");
	says("for at most 25 seconds after its first time");
	says("limited to 10,000 a\n  second for each worker");
	says("(over 24 bytes, as for several writes in a datagram) the last 32 KB of each session");
	says("if that is 30 seconds or more");
	says("good for\n  120 to 240 seconds");
	CU_ASSERT_EQUAL(WIRE_MAGIC, 0x47);
	CU_ASSERT_EQUAL(WIRE_HEADER_SIZE, 24);
	CU_ASSERT_EQUAL(WIRE_HELLO_BODY_SIZE, 64);
	CU_ASSERT_EQUAL(WIRE_KEY_SIZE_MAX, 250);
	CU_ASSERT_EQUAL(WIRE_RETRANSMIT_MS_MAX, 25000);
	CU_ASSERT_EQUAL(REPLAY_WINDOW_SIZE, 1024);
	CU_ASSERT_EQUAL(REPLAY_SLOT_REPLY_SIZE, 24);
	CU_ASSERT_EQUAL(REPLAY_RING_SIZE, 32 * 1024);
	CU_ASSERT_EQUAL(SESSION_REFUSALS_PER_SECOND, 10000);
	CU_ASSERT_EQUAL(SESSION_IDLE_MIN_MS, 30000);
	CU_ASSERT_EQUAL(SESSION_SECRET_PERIOD_MS, 120000);
	CU_ASSERT_EQUAL(PARTITION_COUNT_MAX, 4096);
}

static void every_drop_reason_has_its_row(void)
{
#define SAYS_REASON(constant, name, help) says("\n| " #name " | " help " |\n");
	DROP_REASONS(SAYS_REASON)
#undef SAYS_REASON
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(hello_example),
		UNIT_TEST(hello_reply_example),
		UNIT_TEST(request_example),
		UNIT_TEST(reply_example),
		UNIT_TEST(map_reply_example),
		UNIT_TEST(kinds_opcodes_and_statuses_have_their_numbers),
		UNIT_TEST(limits_have_their_numbers),
		UNIT_TEST(every_drop_reason_has_its_row),
		{ NULL, NULL },
	};

	load_manual();
	return unit_run("protocol_docs", tests);
}
