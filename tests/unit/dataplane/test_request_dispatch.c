/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of a client with a session: every opcode, every status, order, refusal as a whole, writes applied once. */
#include <stdio.h>
#include <string.h>

#include "dataplane/decimal.h"
#include "dataplane/request_execute.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_node.h"

/* A node with one worker, one client with a session, and what it was answered last. */
struct story {
	struct unit_node node;
	struct unit_client client;
	uint8_t payload[2048];
	size_t payload_size;
	struct wire_reply_op replies[WIRE_OP_COUNT_MAX];
	uint32_t reply_count;
};

static void story_begin_sized(struct story *story, size_t memory_limit_bytes)
{
	const struct unit_node_options options = { .memory_limit_bytes = memory_limit_bytes };

	memset(story, 0, sizeof(*story));
	unit_node_create(&story->node, &options);
	story->client = (struct unit_client){ .ipv4 = 0x0a010102, .port = 40000 };
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&story->node, &story->client, 0));
}

static void story_begin(struct story *story)
{
	story_begin_sized(story, 0);
}

static void story_end(struct story *story)
{
	unit_node_destroy(&story->node);
}

/* Sends and decodes; false when there was no answer. */
static bool ask(struct story *story, const struct unit_datagram *datagram)
{
	struct wire_header header = { 0 };
	const uint8_t *at = story->payload + WIRE_HEADER_SIZE;
	const uint8_t *end;

	story->reply_count = 0;
	story->payload_size =
		unit_exchange(&story->node, &story->client, 0, datagram, story->payload);
	if (story->payload_size == 0)
		return false;
	CU_ASSERT_TRUE_FATAL(wire_header_read(story->payload, story->payload_size, &header));
	CU_ASSERT_EQUAL(header.kind, WIRE_REPLY);
	CU_ASSERT_EQUAL(header.session_id, story->client.session_id);
	CU_ASSERT_EQUAL(header.token, story->client.token);
	CU_ASSERT_EQUAL(header.sequence, wire_get_u32(datagram->payload + WIRE_AT_SEQUENCE));
	CU_ASSERT_EQUAL(header.map_version, 1);
	end = story->payload + story->payload_size;
	while (story->reply_count < header.op_count) {
		at = wire_reply_op_read(at, end, &story->replies[story->reply_count]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		story->reply_count++;
	}
	CU_ASSERT_PTR_EQUAL(at, end);
	return true;
}

/* One operation in a datagram of its own; its reply. */
static struct wire_reply_op one(struct story *story, struct wire_request_op op)
{
	struct unit_datagram datagram;

	unit_request_begin(&datagram, &story->client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story->reply_count, 1);
	CU_ASSERT_EQUAL(story->replies[0].opcode, op.opcode);
	return story->replies[0];
}

static struct wire_reply_op simple(struct story *story, uint8_t opcode, const char *key,
				   const char *value)
{
	return one(story, unit_operation(opcode, key, value));
}

static struct wire_reply_op with_ttl(struct story *story, uint8_t opcode, const char *key,
				     const char *value, uint32_t ttl_ms)
{
	struct wire_request_op op = unit_operation(opcode, key, value);

	op.flags = WIRE_HAS_TTL;
	op.ttl_ms = ttl_ms;
	return one(story, op);
}

static struct wire_reply_op with_version(struct story *story, uint8_t opcode, const char *key,
					 const char *value, uint64_t version)
{
	struct wire_request_op op = unit_operation(opcode, key, value);

	op.flags = WIRE_HAS_VERSION;
	op.version = version;
	return one(story, op);
}

static struct wire_reply_op increment(struct story *story, const char *key, int64_t delta)
{
	struct wire_request_op op = unit_operation(WIRE_INCREMENT, key, NULL);
	uint8_t value[8];

	wire_put_u64(value, (uint64_t)delta);
	op.value = value;
	op.value_size = sizeof(value);
	return one(story, op);
}

static struct wire_reply_op increment_or(struct story *story, const char *key, int64_t delta,
					 int64_t initial, uint32_t ttl_ms)
{
	struct wire_request_op op = unit_operation(WIRE_INCREMENT, key, NULL);
	uint8_t value[16];

	wire_put_u64(value, (uint64_t)delta);
	wire_put_u64(value + 8, (uint64_t)initial);
	op.value = value;
	op.value_size = sizeof(value);
	op.flags = ttl_ms ? WIRE_HAS_TTL : 0;
	op.ttl_ms = ttl_ms;
	return one(story, op);
}

#define CHECK_STATUS(reply, expected) CU_ASSERT_EQUAL((reply).status, expected)

static void check_value(struct wire_reply_op reply, const char *value)
{
	CHECK_STATUS(reply, WIRE_OK);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, strlen(value));
	CU_ASSERT_EQUAL(memcmp(reply.value, value, reply.value_size), 0);
}

static void check_number(struct wire_reply_op reply, int64_t number)
{
	CHECK_STATUS(reply, WIRE_OK);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, 8);
	CU_ASSERT_EQUAL((int64_t)wire_get_u64(reply.value), number);
}

/* ---- opcodes ---- */

static void set_then_get_then_delete(void)
{
	struct story story;
	struct wire_reply_op set, got;

	story_begin(&story);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "get_misses"), 1);
	set = simple(&story, WIRE_SET, "k", "first");
	CHECK_STATUS(set, WIRE_OK);
	CU_ASSERT_EQUAL(set.value_size, 0);
	got = simple(&story, WIRE_GET, "k", NULL);
	check_value(got, "first");
	CU_ASSERT_EQUAL(got.version, set.version);
	set = simple(&story, WIRE_SET, "k", "");
	CU_ASSERT_TRUE(set.version > got.version);
	check_value(simple(&story, WIRE_GET, "k", NULL), "");
	got = simple(&story, WIRE_DELETE, "k", NULL);
	CHECK_STATUS(got, WIRE_OK);
	CU_ASSERT_TRUE(got.version > set.version);
	CHECK_STATUS(simple(&story, WIRE_DELETE, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_get"), 4);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_set"), 2);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_delete"), 2);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_not_found"), 3);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests"), 8);
	story_end(&story);
}

static void add_replace_and_exists(void)
{
	struct story story;
	struct wire_reply_op added, again;

	story_begin(&story);
	CHECK_STATUS(simple(&story, WIRE_REPLACE, "k", "v"), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_EXISTS, "k", NULL), WIRE_NOT_FOUND);
	added = simple(&story, WIRE_ADD, "k", "added");
	CHECK_STATUS(added, WIRE_OK);
	again = simple(&story, WIRE_ADD, "k", "again");
	CHECK_STATUS(again, WIRE_EXISTS_ALREADY);
	CU_ASSERT_EQUAL(again.version, added.version);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_exists"), 1);
	again = simple(&story, WIRE_EXISTS, "k", NULL);
	CHECK_STATUS(again, WIRE_OK);
	CU_ASSERT_EQUAL(again.version, added.version);
	CU_ASSERT_EQUAL(again.value_size, 0);
	CHECK_STATUS(simple(&story, WIRE_REPLACE, "k", "replaced"), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "k", NULL), "replaced");
	story_end(&story);
}

static void cas_and_delete_compare_versions(void)
{
	struct story story;
	struct wire_reply_op set, reply;

	story_begin(&story);
	CHECK_STATUS(with_version(&story, WIRE_CAS, "k", "v", 1), WIRE_NOT_FOUND);
	set = simple(&story, WIRE_SET, "k", "one");
	reply = with_version(&story, WIRE_CAS, "k", "two", set.version + 1);
	CHECK_STATUS(reply, WIRE_VERSION_MISMATCH);
	CU_ASSERT_EQUAL(reply.version, set.version);
	reply = with_version(&story, WIRE_CAS, "k", "two", set.version);
	CHECK_STATUS(reply, WIRE_OK);
	CU_ASSERT_TRUE(reply.version > set.version);
	check_value(simple(&story, WIRE_GET, "k", NULL), "two");
	CHECK_STATUS(with_version(&story, WIRE_DELETE, "k", NULL, set.version),
		     WIRE_VERSION_MISMATCH);
	CHECK_STATUS(with_version(&story, WIRE_DELETE, "k", NULL, reply.version), WIRE_OK);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_version_mismatch"), 2);
	story_end(&story);
}

static void increment_counts_in_decimal_text(void)
{
	struct story story;

	story_begin(&story);
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_FOUND);
	check_number(increment_or(&story, "n", 1, 41, 0), 41);
	check_number(increment_or(&story, "n", 1, 0, 0), 42);
	check_value(simple(&story, WIRE_GET, "n", NULL), "42");
	check_number(increment(&story, "n", -142), -100);
	check_value(simple(&story, WIRE_GET, "n", NULL), "-100");
	simple(&story, WIRE_SET, "n", "9223372036854775807");
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_A_NUMBER);
	check_value(simple(&story, WIRE_GET, "n", NULL), "9223372036854775807");
	check_number(increment(&story, "n", INT64_MIN), -1);
	simple(&story, WIRE_SET, "n", "twelve");
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_A_NUMBER);
	simple(&story, WIRE_SET, "n", "");
	CHECK_STATUS(increment(&story, "n", 1), WIRE_NOT_A_NUMBER);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_not_a_number"), 3);
	story_end(&story);
}

static void decimal_text_is_exact(void)
{
	static const struct {
		const char *text;
		bool is_number;
		int64_t number;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "007", true, 7 },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 },
		{ "", false, 0 },
		{ "-", false, 0 },
		{ "+1", false, 0 },
		{ " 1", false, 0 },
		{ "1 ", false, 0 },
		{ "1x", false, 0 },
		{ "000000000000000000001", false, 0 },
	};
	uint8_t text[DECIMAL_SIZE_MAX];
	int64_t number;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(decimal_read((const uint8_t *)cases[i].text,
					     (uint32_t)strlen(cases[i].text), &number),
				cases[i].is_number);
		if (cases[i].is_number)
			CU_ASSERT_EQUAL(number, cases[i].number);
	}
	CU_ASSERT_EQUAL(decimal_write(text, INT64_MIN), 20);
	CU_ASSERT_EQUAL(memcmp(text, "-9223372036854775808", 20), 0);
	CU_ASSERT_EQUAL(decimal_write(text, 0), 1);
	CU_ASSERT_EQUAL(text[0], '0');
}

static void append_grows_a_value(void)
{
	struct story story;
	char half[801];

	story_begin(&story);
	memset(half, 'h', sizeof(half) - 1);
	half[sizeof(half) - 1] = '\0';
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", "tail"), WIRE_NOT_FOUND);
	simple(&story, WIRE_SET, "k", "head");
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", "+tail"), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "k", NULL), "head+tail");
	simple(&story, WIRE_SET, "k", half);
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", half), WIRE_TOO_LARGE);
	check_value(simple(&story, WIRE_GET, "k", NULL), half);
	story_end(&story);
}

static void expiry_holds_to_the_millisecond(void)
{
	struct story story;

	story_begin(&story);
	CHECK_STATUS(simple(&story, WIRE_TTL, "k", NULL), WIRE_NOT_FOUND);
	with_ttl(&story, WIRE_SET, "k", "v", 100);
	check_number(simple(&story, WIRE_TTL, "k", NULL), 100);
	unit_node_advance(&story.node, 99);
	check_number(simple(&story, WIRE_TTL, "k", NULL), 1);
	check_value(simple(&story, WIRE_GET, "k", NULL), "v");
	unit_node_advance(&story.node, 1);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_EXISTS, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_DELETE, "k", NULL), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_APPEND, "k", "x"), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_REPLACE, "k", "x"), WIRE_NOT_FOUND);
	CHECK_STATUS(with_ttl(&story, WIRE_TOUCH, "k", NULL, 5), WIRE_NOT_FOUND);
	CHECK_STATUS(simple(&story, WIRE_ADD, "k", "reborn"), WIRE_OK);
	check_number(simple(&story, WIRE_TTL, "k", NULL), (int64_t)WIRE_TTL_NEVER);
	unit_node_advance(&story.node, 1000000);
	check_value(simple(&story, WIRE_GET, "k", NULL), "reborn");
	story_end(&story);
}

static void touch_moves_the_expiry_and_others_keep_it(void)
{
	struct story story;
	struct wire_reply_op before, after;

	story_begin(&story);
	CHECK_STATUS(with_ttl(&story, WIRE_GET_AND_TOUCH, "k", NULL, 50), WIRE_NOT_FOUND);
	before = with_ttl(&story, WIRE_SET, "k", "5", 100);
	after = with_ttl(&story, WIRE_TOUCH, "k", NULL, 1000);
	CHECK_STATUS(after, WIRE_OK);
	CU_ASSERT_TRUE(after.version > before.version);
	check_number(simple(&story, WIRE_TTL, "k", NULL), 1000);
	check_number(increment(&story, "k", 2), 7);
	simple(&story, WIRE_APPEND, "k", "7");
	check_number(simple(&story, WIRE_TTL, "k", NULL), 1000);
	after = with_ttl(&story, WIRE_GET_AND_TOUCH, "k", NULL, 0);
	check_value(after, "77");
	CU_ASSERT_EQUAL(simple(&story, WIRE_EXISTS, "k", NULL).version, after.version);
	check_number(simple(&story, WIRE_TTL, "k", NULL), (int64_t)WIRE_TTL_NEVER);
	check_number(increment_or(&story, "n", 1, 5, 30), 5);
	check_number(increment_or(&story, "n", 1, 5, 3000), 6);
	check_number(simple(&story, WIRE_TTL, "n", NULL), 30);
	simple(&story, WIRE_SET, "n", "forever");
	check_number(simple(&story, WIRE_TTL, "n", NULL), (int64_t)WIRE_TTL_NEVER);
	story_end(&story);
}

/* ---- sizes ---- */

static void keys_and_values_of_every_size_come_back(void)
{
	struct story story;
	uint32_t value_size_max;
	uint64_t random = 3;
	char value[2048];
	char key[256];

	story_begin(&story);
	value_size_max = story.node.shared->value_size_max;
	for (uint32_t key_size = 1; key_size <= WIRE_KEY_SIZE_MAX; key_size++) {
		uint32_t size_max =
			UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE - WIRE_REQUEST_OP_SIZE - key_size;
		uint32_t value_size = (uint32_t)unit_random(&random) %
				      (1 + (size_max < value_size_max ? size_max : value_size_max));

		memset(key, 'a' + (int)(key_size % 26), key_size);
		key[key_size] = '\0';
		memset(value, 'A' + (int)(key_size % 26), value_size);
		value[value_size] = '\0';
		CHECK_STATUS(simple(&story, WIRE_SET, key, value), WIRE_OK);
		check_value(simple(&story, WIRE_GET, key, NULL), value);
	}
	memset(value, 'V', value_size_max + 1);
	value[value_size_max + 1] = '\0';
	CHECK_STATUS(simple(&story, WIRE_SET, "k", value), WIRE_TOO_LARGE);
	CHECK_STATUS(simple(&story, WIRE_ADD, "k", value), WIRE_TOO_LARGE);
	value[value_size_max] = '\0';
	CHECK_STATUS(simple(&story, WIRE_SET, "k", value), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "k", NULL), value);
	CU_ASSERT_EQUAL(story.payload_size, UNIT_NODE_DATAGRAM_MAX);
	story_end(&story);
}

static void a_value_that_finds_no_room_is_too_large(void)
{
	struct story story;
	struct wire_request_op op = unit_operation(WIRE_GET, "big", NULL);
	struct unit_datagram datagram;
	struct wire_reply_op set;
	char value[721];

	story_begin(&story);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	set = simple(&story, WIRE_SET, "big", value);
	simple(&story, WIRE_SET, "small", "s");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	unit_request_add(&datagram, &op);
	unit_request_add(&datagram, &op);
	op = unit_operation(WIRE_GET, "small", NULL);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, 4);
	check_value(story.replies[0], value);
	CHECK_STATUS(story.replies[1], WIRE_TOO_LARGE);
	CU_ASSERT_EQUAL(story.replies[1].version, set.version);
	CU_ASSERT_EQUAL(story.replies[1].value_size, 0);
	CHECK_STATUS(story.replies[2], WIRE_TOO_LARGE);
	check_value(story.replies[3], "s");
	/* neither value nor touch */
	unit_request_begin(&datagram, &story.client);
	op = unit_operation(WIRE_GET, "big", NULL);
	unit_request_add(&datagram, &op);
	op = unit_operation(WIRE_GET_AND_TOUCH, "big", NULL);
	op.flags = WIRE_HAS_TTL;
	op.ttl_ms = 9;
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CHECK_STATUS(story.replies[1], WIRE_TOO_LARGE);
	check_number(simple(&story, WIRE_TTL, "big", NULL), (int64_t)WIRE_TTL_NEVER);
	story_end(&story);
}

/* ---- order ---- */

static void operations_of_a_datagram_happen_in_order(void)
{
	struct story story;
	struct unit_datagram datagram;
	const struct wire_request_op ops[] = {
		unit_operation(WIRE_SET, "k", "1"),     unit_operation(WIRE_GET, "k", NULL),
		unit_operation(WIRE_APPEND, "k", "2"),  unit_operation(WIRE_GET, "k", NULL),
		unit_operation(WIRE_DELETE, "k", NULL), unit_operation(WIRE_GET, "k", NULL),
		unit_operation(WIRE_ADD, "k", "3"),     unit_operation(WIRE_ADD, "k", "4"),
		unit_operation(WIRE_SET, "other", "o"), unit_operation(WIRE_GET, "k", NULL),
	};

	story_begin(&story);
	unit_request_begin(&datagram, &story.client);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		unit_request_add(&datagram, &ops[i]);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, sizeof(ops) / sizeof(ops[0]));
	check_value(story.replies[1], "1");
	check_value(story.replies[3], "12");
	CHECK_STATUS(story.replies[4], WIRE_OK);
	CHECK_STATUS(story.replies[5], WIRE_NOT_FOUND);
	CHECK_STATUS(story.replies[6], WIRE_OK);
	CHECK_STATUS(story.replies[7], WIRE_EXISTS_ALREADY);
	check_value(story.replies[9], "3");
	for (uint32_t i = 1; i < 4; i++)
		CU_ASSERT_TRUE(story.replies[i].version >= story.replies[i - 1].version);
	story_end(&story);
}

/* Two clients write and read one key in the packets of one burst. */
static void packets_of_a_burst_happen_in_order(void)
{
	struct story story;
	struct unit_datagram datagram;
	uint8_t frames[PORT_BURST_MAX][2048];
	const uint8_t *pointers[PORT_BURST_MAX];
	size_t sizes[PORT_BURST_MAX];
	uint8_t frame[2048];

	story_begin(&story);
	for (uint32_t i = 0; i < PORT_BURST_MAX; i++) {
		char text[8];
		struct wire_request_op op;

		snprintf(text, sizeof(text), "%u", i / 2);
		op = i % 2 == 0 ? unit_operation(WIRE_SET, "k", text)
				: unit_operation(WIRE_GET, "k", NULL);
		unit_request_begin(&datagram, &story.client);
		unit_request_add(&datagram, &op);
		sizes[i] = unit_frame(frames[i], &story.client, 0, &datagram);
		pointers[i] = frames[i];
	}
	unit_node_receive(&story.node, 0, pointers, sizes, PORT_BURST_MAX);
	CU_ASSERT_EQUAL_FATAL(story.node.reply_count, PORT_BURST_MAX);
	for (uint32_t i = 0; i < PORT_BURST_MAX; i++) {
		size_t size = unit_node_take(&story.node, frame);
		const uint8_t *payload = frame + PACKET_AT_UDP_PAYLOAD;
		struct wire_reply_op reply = { 0 };
		char text[8];

		snprintf(text, sizeof(text), "%u", i / 2);
		CU_ASSERT_PTR_NOT_NULL_FATAL(
			wire_reply_op_read(payload + WIRE_HEADER_SIZE, frame + size, &reply));
		if (i % 2 == 1)
			check_value(reply, text);
	}
	story_end(&story);
}

/* The replies of the second datagram are longer than its requests, and stand in the same bytes. */
static void reads_see_what_the_datagram_before_replaced(void)
{
	enum { KEYS = 12 };
	struct story story;
	struct unit_datagram datagrams[2];
	uint8_t frames[2][2048];
	const uint8_t *pointers[2] = { frames[0], frames[1] };
	size_t sizes[2];
	uint8_t frame[2048];
	char keys[KEYS][8];
	char values[KEYS][32];
	const uint8_t *at;

	story_begin(&story);
	for (uint32_t d = 0; d < 2; d++)
		unit_request_begin(&datagrams[d], &story.client);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct wire_request_op get, set;

		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		snprintf(values[i], sizeof(values[i]), "the value that is new of %u", i);
		CHECK_STATUS(simple(&story, WIRE_SET, keys[i], "old"), WIRE_OK);
		set = unit_operation(WIRE_SET, keys[i], values[i]);
		get = unit_operation(WIRE_GET, keys[i], NULL);
		unit_request_add(&datagrams[0], &set);
		unit_request_add(&datagrams[1], &get);
	}
	for (uint32_t d = 0; d < 2; d++)
		sizes[d] = unit_frame(frames[d], &story.client, 0, &datagrams[d]);
	unit_node_receive(&story.node, 0, pointers, sizes, 2);
	CU_ASSERT_EQUAL_FATAL(story.node.reply_count, 2);
	unit_node_take(&story.node, frame);
	sizes[1] = unit_node_take(&story.node, frame);
	at = frame + PACKET_AT_UDP_PAYLOAD + WIRE_HEADER_SIZE;
	for (uint32_t i = 0; i < KEYS; i++) {
		struct wire_reply_op reply = { 0 };

		at = wire_reply_op_read(at, frame + sizes[1], &reply);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at);
		check_value(reply, values[i]);
	}
	story_end(&story);
}

static void a_datagram_of_many_operations_spans_batches(void)
{
	struct story story;
	struct unit_datagram datagram;
	const uint32_t op_count = 80;

	story_begin(&story);
	unit_request_begin(&datagram, &story.client);
	for (uint32_t i = 0; i < op_count; i++) {
		struct wire_request_op op =
			i % 4 == 0   ? unit_operation(WIRE_SET, "k", i % 8 == 0 ? "a" : "b")
			: i % 4 == 3 ? unit_operation(WIRE_DELETE, "k", NULL)
				     : unit_operation(WIRE_EXISTS, "k", NULL);

		unit_request_add(&datagram, &op);
	}
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, op_count);
	for (uint32_t i = 0; i < op_count; i++)
		CHECK_STATUS(story.replies[i], WIRE_OK);
	CHECK_STATUS(simple(&story, WIRE_GET, "k", NULL), WIRE_NOT_FOUND);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_exists"), op_count / 2);
	story_end(&story);
}

/* ---- refusal ---- */

/* A datagram whose first operation would be fine must not be executed when a later byte is wrong. */
static void check_refused_whole(struct story *story, struct unit_datagram *datagram)
{
	uint64_t refused = unit_node_counter(&story->node, "requests_refused");

	CU_ASSERT_TRUE_FATAL(ask(story, datagram));
	CU_ASSERT_EQUAL_FATAL(story->reply_count, 1);
	CU_ASSERT_EQUAL(story->replies[0].opcode, 0);
	CHECK_STATUS(story->replies[0], WIRE_BAD_REQUEST);
	CU_ASSERT_EQUAL(unit_node_counter(&story->node, "requests_refused"), refused + 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story->node, "op_set"), 0);
}

static void a_malformed_request_is_refused_whole(void)
{
	struct story story;
	struct wire_request_op op = unit_operation(WIRE_SET, "key", "value");
	struct unit_datagram good, bad;

	story_begin(&story);
	unit_request_begin(&good, &story.client);
	unit_request_add(&good, &op);
	unit_request_add(&good, &op);
	for (size_t cut = 1; cut < wire_request_op_size(&op); cut++) { /* truncated at every byte */
		bad = good;
		bad.size -= cut;
		check_refused_whole(&story, &bad);
	}
	bad = good;
	bad.payload[bad.size++] = 0; /* a byte too many */
	check_refused_whole(&story, &bad);
	bad = good;
	bad.payload[WIRE_AT_OP_COUNT] = 3; /* an operation too few */
	check_refused_whole(&story, &bad);
	bad.payload[WIRE_AT_OP_COUNT] = 1;
	check_refused_whole(&story, &bad);
	bad.payload[WIRE_AT_OP_COUNT] = 0;
	check_refused_whole(&story, &bad);
	bad.size = WIRE_HEADER_SIZE; /* nothing at all */
	check_refused_whole(&story, &bad);
	bad.size = good.size;
	bad.payload[WIRE_AT_OP_COUNT] = 255; /* and through the way of large requests */
	check_refused_whole(&story, &bad);
	bad = good;
	wire_put_u16(bad.payload + WIRE_HEADER_SIZE + 2, 0); /* an empty key */
	check_refused_whole(&story, &bad);
	wire_put_u16(bad.payload + WIRE_HEADER_SIZE + 2, WIRE_KEY_SIZE_MAX + 1);
	check_refused_whole(&story, &bad);
	bad = good;
	wire_put_u32(bad.payload + WIRE_HEADER_SIZE + 4, UINT32_MAX); /* a value of 4 GB */
	check_refused_whole(&story, &bad);
	CHECK_STATUS(simple(&story, WIRE_GET, "key", NULL), WIRE_NOT_FOUND);
	story_end(&story);
}

static void a_request_whose_replies_cannot_fit_is_refused_whole(void)
{
	const uint32_t gets = (UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE) / WIRE_REPLY_OP_SIZE;
	const uint32_t ttls =
		(UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE) / (WIRE_REPLY_OP_SIZE + 8);
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op = unit_operation(WIRE_GET, "k", NULL);

	story_begin(&story);
	unit_request_begin(&datagram, &story.client);
	for (uint32_t i = 0; i < gets; i++)
		unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL(story.reply_count, gets);
	unit_request_add(&datagram, &op);
	check_refused_whole(&story, &datagram);
	op.opcode = WIRE_TTL;
	unit_request_begin(&datagram, &story.client);
	for (uint32_t i = 0; i < ttls; i++)
		unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL(story.reply_count, ttls);
	unit_request_add(&datagram, &op);
	check_refused_whole(&story, &datagram);
	story_end(&story);
}

static void an_operation_may_be_refused_alone(void)
{
	static const struct {
		uint8_t opcode;
		uint8_t flags;
		uint32_t value_size;
		uint8_t status;
	} cases[] = {
		{ 0, 0, 0, WIRE_UNSUPPORTED },
		{ WIRE_OPCODE_COUNT, 0, 0, WIRE_UNSUPPORTED },
		{ 255, 0, 0, WIRE_UNSUPPORTED },
		{ WIRE_GET, 0x04, 0, WIRE_UNSUPPORTED },
		{ WIRE_SET, 0x80, 0, WIRE_UNSUPPORTED },
		{ WIRE_GET, WIRE_HAS_TTL, 0, WIRE_BAD_REQUEST },
		{ WIRE_GET, WIRE_HAS_VERSION, 0, WIRE_BAD_REQUEST },
		{ WIRE_GET, 0, 1, WIRE_BAD_REQUEST },
		{ WIRE_SET, WIRE_HAS_VERSION, 1, WIRE_BAD_REQUEST },
		{ WIRE_CAS, 0, 1, WIRE_BAD_REQUEST },
		{ WIRE_DELETE, 0, 1, WIRE_BAD_REQUEST },
		{ WIRE_DELETE, WIRE_HAS_TTL, 0, WIRE_BAD_REQUEST },
		{ WIRE_TOUCH, 0, 0, WIRE_BAD_REQUEST },
		{ WIRE_TOUCH, WIRE_HAS_TTL, 1, WIRE_BAD_REQUEST },
		{ WIRE_GET_AND_TOUCH, 0, 0, WIRE_BAD_REQUEST },
		{ WIRE_APPEND, WIRE_HAS_TTL, 1, WIRE_BAD_REQUEST },
		{ WIRE_INCREMENT, 0, 0, WIRE_BAD_REQUEST },
		{ WIRE_INCREMENT, 0, 7, WIRE_BAD_REQUEST },
		{ WIRE_INCREMENT, 0, 12, WIRE_BAD_REQUEST },
		{ WIRE_INCREMENT, 0, 24, WIRE_BAD_REQUEST },
		{ WIRE_EXISTS, 0, 1, WIRE_BAD_REQUEST },
		{ WIRE_TTL, WIRE_HAS_TTL, 0, WIRE_BAD_REQUEST },
	};
	struct story story;
	char before[32] = "";

	story_begin(&story);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_request_op set = unit_operation(WIRE_SET, "k", before);
		struct wire_request_op get = unit_operation(WIRE_GET, "k", NULL);
		struct wire_request_op odd = unit_operation(cases[i].opcode, "k", NULL);
		struct unit_datagram datagram;

		snprintf(before, sizeof(before), "case %zu", i);
		set = unit_operation(WIRE_SET, "k", before);
		odd.flags = cases[i].flags;
		odd.value = (const uint8_t *)"0123456789012345678901234567890";
		odd.value_size = cases[i].value_size;
		unit_request_begin(&datagram, &story.client);
		unit_request_add(&datagram, &set);
		unit_request_add(&datagram, &odd);
		unit_request_add(&datagram, &get);
		CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
		CU_ASSERT_EQUAL_FATAL(story.reply_count, 3);
		CHECK_STATUS(story.replies[0], WIRE_OK);
		CHECK_STATUS(story.replies[1], cases[i].status);
		CU_ASSERT_EQUAL(story.replies[1].opcode, cases[i].opcode);
		check_value(story.replies[2], before);
	}
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_unsupported"), 5);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_delete"), 0);
	story_end(&story);
}

/* ---- once ---- */

static void a_repeated_write_is_applied_once(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op = unit_operation(WIRE_INCREMENT, "n", NULL);
	uint8_t first[2048];
	size_t first_size;
	uint8_t delta[8];

	story_begin(&story);
	simple(&story, WIRE_SET, "n", "10");
	wire_put_u64(delta, 5);
	op.value = delta;
	op.value_size = sizeof(delta);
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	check_number(story.replies[0], 15);
	first_size = story.payload_size;
	memcpy(first, story.payload, first_size);
	simple(&story, WIRE_SET, "m", "in between");
	for (int copy = 0; copy < 3; copy++) {
		CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
		CU_ASSERT_EQUAL_FATAL(story.payload_size, first_size);
		CU_ASSERT_EQUAL(memcmp(story.payload, first, first_size), 0);
	}
	check_value(simple(&story, WIRE_GET, "n", NULL), "15");
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests_repeated"), 3);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "op_increment"), 1);
	story_end(&story);
}

static void a_repeated_batch_gets_the_same_reply(void)
{
	const struct wire_request_op ops[] = { unit_operation(WIRE_SET, "a", "new"),
					       unit_operation(WIRE_GET, "b", NULL),
					       unit_operation(WIRE_APPEND, "a", "er"),
					       unit_operation(WIRE_GET, "a", NULL) };
	struct story story;
	struct unit_datagram datagram;
	uint8_t first[2048];
	size_t first_size;

	story_begin(&story);
	simple(&story, WIRE_SET, "b", "as it was");
	unit_request_begin(&datagram, &story.client);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		unit_request_add(&datagram, &ops[i]);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	first_size = story.payload_size;
	memcpy(first, story.payload, first_size);
	simple(&story, WIRE_SET, "b", "as it is");
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.payload_size, first_size);
	CU_ASSERT_EQUAL(memcmp(story.payload, first, first_size), 0);
	check_value(simple(&story, WIRE_GET, "a", NULL), "newer");
	story_end(&story);
}

static void copies_in_one_burst_are_executed_once(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op = unit_operation(WIRE_APPEND, "k", "x");
	uint8_t frame[2048];
	const uint8_t *frames[] = { frame, frame, frame };
	size_t sizes[3];

	story_begin(&story);
	simple(&story, WIRE_SET, "k", "");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	sizes[0] = sizes[1] = sizes[2] = unit_frame(frame, &story.client, 0, &datagram);
	unit_node_receive(&story.node, 0, frames, sizes, 3);
	CU_ASSERT_EQUAL(story.node.reply_count, 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "drop_replay_in_progress"), 2);
	CU_ASSERT_TRUE(unit_node_take(&story.node, frame) > 0);
	check_value(simple(&story, WIRE_GET, "k", NULL), "x");
	story_end(&story);
}

static void a_write_behind_the_window_is_dropped(void)
{
	struct story story;
	struct unit_datagram old;
	struct wire_request_op op = unit_operation(WIRE_SET, "k", "old");

	story_begin(&story);
	unit_request_begin(&old, &story.client);
	unit_request_add(&old, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &old));
	for (uint32_t i = 0; i < REPLAY_WINDOW_SIZE; i++)
		simple(&story, WIRE_SET, "k", "new");
	CU_ASSERT_FALSE(ask(&story, &old));
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "drop_replay_old"), 1);
	check_value(simple(&story, WIRE_GET, "k", NULL), "new");
	story_end(&story);
}

static void reads_skip_the_window(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op = unit_operation(WIRE_GET, "k", NULL);

	story_begin(&story);
	simple(&story, WIRE_SET, "k", "1");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	check_value(story.replies[0], "1");
	simple(&story, WIRE_SET, "k", "2");
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	check_value(story.replies[0], "2");
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests_repeated"), 0);
	story_end(&story);
}

/* ---- memory ---- */

static void a_full_node_says_so_and_lives(void)
{
	struct story story;
	char value[1001];
	char key[16];
	uint32_t stored = 0;

	story_begin_sized(&story, 1u << 20);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (;;) {
		struct wire_reply_op reply = { 0 };

		snprintf(key, sizeof(key), "key%u", stored);
		reply = simple(&story, WIRE_SET, key, value);
		if (reply.status == WIRE_NO_SPACE)
			break;
		CHECK_STATUS(reply, WIRE_OK);
		stored++;
		CU_ASSERT_TRUE_FATAL(stored < 100000);
	}
	CU_ASSERT_TRUE(stored > 100);
	CHECK_STATUS(simple(&story, WIRE_APPEND, "key0", value + 900), WIRE_NO_SPACE);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_no_space"), 2);
	for (uint32_t i = 0; i < stored; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		check_value(simple(&story, WIRE_GET, key, NULL), value);
	}
	for (uint32_t i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "key%u", i);
		CHECK_STATUS(simple(&story, WIRE_DELETE, key, NULL), WIRE_OK);
	}
	unit_node_settle(&story.node);
	CHECK_STATUS(simple(&story, WIRE_SET, "after", value), WIRE_OK);
	check_value(simple(&story, WIRE_GET, "after", NULL), value);
	story_end(&story);
}

/* A write put off was not done and not remembered: the same datagram is executed when it comes again. */
static void a_growing_index_puts_writes_off(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op;
	struct wire_reply_op reply = { 0 };
	char key[16];
	uint32_t stored = 0;

	story_begin(&story);
	simple(&story, WIRE_SET, "old", "item");
	do {
		snprintf(key, sizeof(key), "key%u", stored++);
		op = unit_operation(WIRE_ADD, key, "v");
		unit_request_begin(&datagram, &story.client);
		unit_request_add(&datagram, &op);
		CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
		reply = story.replies[0];
	} while (reply.status == WIRE_OK && stored < 200000);
	CHECK_STATUS(reply, WIRE_RETRY);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, 4);
	CU_ASSERT_TRUE(wire_get_u32(reply.value) >= 100 && wire_get_u32(reply.value) < 1000000);
	CHECK_STATUS(simple(&story, WIRE_SET, "old", "new"), WIRE_OK);
	CHECK_STATUS(simple(&story, WIRE_EXISTS, key, NULL), WIRE_NOT_FOUND);
	unit_node_settle(&story.node);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CHECK_STATUS(story.replies[0], WIRE_OK);
	CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
	CHECK_STATUS(story.replies[0], WIRE_OK); /* the copy's reply, not EXISTS */
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests_repeated"), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_retry"), 1);
	story_end(&story);
}

/* ---- against a model ---- */

#define MODEL_KEYS 24u
#define MODEL_VALUE_MAX 64u

struct model_item {
	bool exists;
	uint32_t size;
	uint8_t value[MODEL_VALUE_MAX];
	uint64_t version;
};

/* What the operation should be answered and do. */
static uint8_t model_apply(struct model_item *item, const struct wire_request_op *op)
{
	switch (op->opcode) {
	case WIRE_SET:
		break;
	case WIRE_ADD:
		if (item->exists)
			return WIRE_EXISTS_ALREADY;
		break;
	case WIRE_REPLACE:
		if (!item->exists)
			return WIRE_NOT_FOUND;
		break;
	case WIRE_CAS:
		if (!item->exists)
			return WIRE_NOT_FOUND;
		if (item->version != op->version)
			return WIRE_VERSION_MISMATCH;
		break;
	default: /* GET, EXISTS, DELETE */
		if (!item->exists)
			return WIRE_NOT_FOUND;
		item->exists = op->opcode != WIRE_DELETE;
		return WIRE_OK;
	}
	item->exists = true;
	item->size = op->value_size;
	memcpy(item->value, op->value, op->value_size);
	return WIRE_OK;
}

static void check_against_model(struct model_item *item, const struct wire_request_op *op,
				const struct wire_reply_op *reply)
{
	uint8_t status = model_apply(item, op);

	CU_ASSERT_EQUAL_FATAL(reply->status, status);
	if (status != WIRE_OK)
		return;
	if (op->opcode == WIRE_GET) {
		CU_ASSERT_EQUAL_FATAL(reply->value_size, item->size);
		CU_ASSERT_EQUAL_FATAL(memcmp(reply->value, item->value, item->size), 0);
		CU_ASSERT_EQUAL_FATAL(reply->version, item->version);
	} else if (op->opcode != WIRE_EXISTS) {
		item->version = reply->version;
	}
}

static void random_batches_agree_with_a_model(void)
{
	static const uint8_t opcodes[] = { WIRE_GET,     WIRE_GET, WIRE_SET,    WIRE_ADD,
					   WIRE_REPLACE, WIRE_CAS, WIRE_DELETE, WIRE_EXISTS };
	struct model_item model[MODEL_KEYS] = { 0 };
	char keys[MODEL_KEYS][8];
	struct story story;
	uint64_t random = 11;

	story_begin(&story);
	for (uint32_t i = 0; i < MODEL_KEYS; i++)
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t op_count = 1 + (uint32_t)unit_random(&random) % (round % 7 == 0 ? 50 : 12);
		struct wire_request_op ops[50];
		uint8_t values[50][MODEL_VALUE_MAX];
		uint32_t key_of[50];
		struct unit_datagram datagram;
		uint32_t added = 0;

		unit_request_begin(&datagram, &story.client);
		for (uint32_t i = 0; i < op_count; i++) {
			struct wire_request_op *op = &ops[i];

			key_of[i] = (uint32_t)unit_random(&random) % MODEL_KEYS;
			*op = unit_operation(opcodes[unit_random(&random) % sizeof(opcodes)],
					     keys[key_of[i]], NULL);
			if (op->opcode == WIRE_CAS) {
				op->flags = WIRE_HAS_VERSION;
				op->version = model[key_of[i]].version;
			}
			if (op->opcode >= WIRE_SET && op->opcode <= WIRE_CAS &&
			    op->opcode != WIRE_DELETE) {
				op->value_size = (uint32_t)unit_random(&random) % 24;
				memset(values[i], (int)unit_random(&random), MODEL_VALUE_MAX);
				op->value = values[i];
			}
			if (datagram.size + wire_request_op_size(op) > UNIT_NODE_DATAGRAM_MAX)
				break;
			unit_request_add(&datagram, op);
			added++;
		}
		CU_ASSERT_TRUE_FATAL(ask(&story, &datagram));
		CU_ASSERT_EQUAL_FATAL(story.reply_count, added);
		for (uint32_t i = 0; i < added; i++) {
			if (story.replies[i].status == WIRE_TOO_LARGE && ops[i].opcode == WIRE_GET)
				continue; /* no room in the reply */
			check_against_model(&model[key_of[i]], &ops[i], &story.replies[i]);
		}
		if (round % 64 == 0)
			unit_node_settle(&story.node);
	}
	story_end(&story);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(set_then_get_then_delete),
		UNIT_TEST(add_replace_and_exists),
		UNIT_TEST(cas_and_delete_compare_versions),
		UNIT_TEST(increment_counts_in_decimal_text),
		UNIT_TEST(decimal_text_is_exact),
		UNIT_TEST(append_grows_a_value),
		UNIT_TEST(expiry_holds_to_the_millisecond),
		UNIT_TEST(touch_moves_the_expiry_and_others_keep_it),
		UNIT_TEST(keys_and_values_of_every_size_come_back),
		UNIT_TEST(a_value_that_finds_no_room_is_too_large),
		UNIT_TEST(operations_of_a_datagram_happen_in_order),
		UNIT_TEST(packets_of_a_burst_happen_in_order),
		UNIT_TEST(reads_see_what_the_datagram_before_replaced),
		UNIT_TEST(a_datagram_of_many_operations_spans_batches),
		UNIT_TEST(a_malformed_request_is_refused_whole),
		UNIT_TEST(a_request_whose_replies_cannot_fit_is_refused_whole),
		UNIT_TEST(an_operation_may_be_refused_alone),
		UNIT_TEST(a_repeated_write_is_applied_once),
		UNIT_TEST(a_repeated_batch_gets_the_same_reply),
		UNIT_TEST(copies_in_one_burst_are_executed_once),
		UNIT_TEST(a_write_behind_the_window_is_dropped),
		UNIT_TEST(reads_skip_the_window),
		UNIT_TEST(a_full_node_says_so_and_lives),
		UNIT_TEST(a_growing_index_puts_writes_off),
		UNIT_TEST(random_batches_agree_with_a_model),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("request_dispatch", tests);
}
