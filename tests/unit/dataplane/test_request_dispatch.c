/* SPDX-License-Identifier: BSD-3-Clause */
/* A request as a whole: its operations in their order, refused whole or applied once. */
#include <stdio.h>
#include <string.h>

#include "dataplane/request_execute.h"
#include "tests/unit/dataplane/story.h"

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

int main(void)
{
	static const struct unit_test tests[] = {
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
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("request_dispatch", tests);
}
