/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows: sequences, their span, and the HELLO handshake. */
#include <string.h>

#include "dataplane/loadgen/flow.h"
#include "tests/unit/unit.h"

static struct flow *open_flow(void)
{
	struct flow *flow = flow_create(0, 0, 2, 1234);

	CU_ASSERT_PTR_NOT_NULL_FATAL(flow);
	flow->state = FLOW_OPEN;
	return flow;
}

static uint32_t begin(struct flow *flow)
{
	struct request *request = flow_begin(flow);

	request->op_count = 1;
	return request->sequence;
}

static void test_sequences_start_at_one_and_grow(void)
{
	struct flow *flow = open_flow();

	CU_ASSERT_EQUAL(begin(flow), 1);
	CU_ASSERT_EQUAL(begin(flow), 2);
	CU_ASSERT_EQUAL(flow_find(flow, 2)->sequence, 2);
	CU_ASSERT_PTR_NULL(flow_find(flow, 3));
	flow_destroy(flow);
}

static void test_no_more_than_the_span_is_outstanding(void)
{
	struct flow *flow = open_flow();

	for (uint32_t i = 1; i <= FLOW_SPAN_MAX; i++) {
		CU_ASSERT(flow_has_room(flow));
		begin(flow);
	}
	CU_ASSERT_FALSE(flow_has_room(flow));
	/* a younger answer does not help: the span counts from the oldest */
	flow_end(flow, flow_find(flow, 2));
	CU_ASSERT_FALSE(flow_has_room(flow));
	flow_end(flow, flow_find(flow, 1));
	CU_ASSERT(flow_has_room(flow));
	CU_ASSERT_EQUAL(flow->sequence_oldest, 3);
	flow_destroy(flow);
}

static void test_an_answered_sequence_is_not_found_again(void)
{
	struct flow *flow = open_flow();
	uint32_t sequence = begin(flow);

	flow_end(flow, flow_find(flow, sequence));
	CU_ASSERT_PTR_NULL(flow_find(flow, sequence));
	CU_ASSERT_PTR_NULL(flow_find(flow, sequence + FLOW_SPAN_MAX));
	flow_destroy(flow);
}

static void test_operations_of_requests_do_not_overlap(void)
{
	struct flow *flow = open_flow();
	struct request *first = flow_begin(flow);
	struct request *second = flow_begin(flow);

	CU_ASSERT_EQUAL(flow_operations_of(flow, second) - flow_operations_of(flow, first), 2);
	flow_destroy(flow);
}

static void test_headers_are_those_of_the_wire_codec(void)
{
	struct flow *flow = open_flow();
	struct request *request = flow_begin(flow);
	uint8_t bytes[WIRE_HEADER_SIZE];
	struct wire_header header;

	flow->session_id = 0x01020304;
	flow->token = 0x1122334455667788;
	flow->map_version = 0xa0b0c0d0;
	request->op_count = 255;
	request->sequence = 0xfffefdfc;
	flow_write_header(flow, request, bytes);
	CU_ASSERT(wire_header_read(bytes, sizeof(bytes), &header));
	CU_ASSERT_EQUAL(header.kind, WIRE_REQUEST);
	CU_ASSERT_EQUAL(header.op_count, 255);
	CU_ASSERT_EQUAL(header.session_id, 0x01020304);
	CU_ASSERT_EQUAL(header.token, 0x1122334455667788);
	CU_ASSERT_EQUAL(header.sequence, 0xfffefdfc);
	CU_ASSERT_EQUAL(header.map_version, 0xa0b0c0d0);
	flow_destroy(flow);
}

/* A HELLO_REPLY to 'flow' with the given stage. */
static void hello_reply(const struct flow *flow, uint8_t stage, uint8_t *bytes)
{
	const struct wire_header header = {
		.kind = WIRE_HELLO_REPLY, .session_id = 9, .token = 99, .map_version = 5
	};
	uint8_t *body = bytes + WIRE_HEADER_SIZE;

	memset(bytes, 0, FLOW_HELLO_SIZE);
	wire_header_write(bytes, &header);
	wire_put_u64(body, flow->nonce);
	wire_put_u64(body + 8, 777);
	body[16] = stage;
	wire_put_u16(body + 18, 4);
	wire_put_u16(body + 20, 64);
	wire_put_u16(body + 22, 1024);
	wire_put_u32(body + 24, 1472);
	wire_put_u16(body + 36, 7700);
}

static void test_the_handshake_echoes_the_challenge(void)
{
	struct flow *flow = flow_create(0, 0, 1, 1234);
	struct wire_hello_reply server = { 0 };
	uint8_t bytes[FLOW_HELLO_SIZE];

	CU_ASSERT_FALSE(flow_has_room(flow));
	flow_write_hello(flow, bytes);
	CU_ASSERT_EQUAL(bytes[WIRE_AT_KIND], WIRE_HELLO);
	CU_ASSERT_EQUAL(wire_get_u64(bytes + WIRE_HEADER_SIZE), 1234);
	CU_ASSERT_EQUAL(wire_get_u64(bytes + WIRE_HEADER_SIZE + 8), 0);

	hello_reply(flow, WIRE_HELLO_CHALLENGE, bytes);
	CU_ASSERT(flow_take_hello_reply(flow, bytes, sizeof(bytes), &server));
	CU_ASSERT_EQUAL(flow->state, FLOW_CHALLENGED);
	flow_write_hello(flow, bytes);
	CU_ASSERT_EQUAL(wire_get_u64(bytes + WIRE_HEADER_SIZE + 8), 777);

	hello_reply(flow, WIRE_HELLO_GRANTED, bytes);
	CU_ASSERT(flow_take_hello_reply(flow, bytes, sizeof(bytes), &server));
	CU_ASSERT(flow_has_room(flow));
	CU_ASSERT_EQUAL(flow->session_id, 9);
	CU_ASSERT_EQUAL(flow->token, 99);
	CU_ASSERT_EQUAL(server.worker_count, 4);
	CU_ASSERT_EQUAL(server.partition_count, 64);
	CU_ASSERT_EQUAL(server.datagram_size_max, 1472);
	flow_destroy(flow);
}

static void test_foreign_hello_replies_are_ignored(void)
{
	struct flow *flow = flow_create(0, 0, 1, 1234);
	struct wire_hello_reply server;
	uint8_t bytes[FLOW_HELLO_SIZE];

	hello_reply(flow, WIRE_HELLO_GRANTED, bytes);
	CU_ASSERT_FALSE(flow_take_hello_reply(flow, bytes, sizeof(bytes) - 1, &server));
	wire_put_u64(bytes + WIRE_HEADER_SIZE, 4321);
	CU_ASSERT_FALSE(flow_take_hello_reply(flow, bytes, sizeof(bytes), &server));
	hello_reply(flow, 3, bytes);
	CU_ASSERT_FALSE(flow_take_hello_reply(flow, bytes, sizeof(bytes), &server));
	CU_ASSERT_EQUAL(flow->state, FLOW_GREETING);
	flow_destroy(flow);
}

static void test_renewal_keeps_what_is_outstanding(void)
{
	struct flow *flow = open_flow();
	uint32_t sequence = begin(flow);

	flow_renew(flow);
	CU_ASSERT_EQUAL(flow->state, FLOW_GREETING);
	CU_ASSERT_NOT_EQUAL(flow->nonce, 1234);
	CU_ASSERT_PTR_NOT_NULL(flow_find(flow, sequence));
	CU_ASSERT_EQUAL(flow->sequence_next, sequence + 1);
	flow_end(flow, flow_find(flow, sequence));
	flow_renew(flow);
	CU_ASSERT_EQUAL(flow->sequence_next, 1);
	flow_destroy(flow);
}

static void test_sequences_never_wrap(void)
{
	struct flow *flow = open_flow();

	flow->sequence_next = FLOW_SEQUENCE_LAST - 1;
	flow->sequence_oldest = FLOW_SEQUENCE_LAST - 1;
	CU_ASSERT(flow_has_room(flow));
	begin(flow);
	CU_ASSERT_FALSE(flow_has_room(flow));
	flow_destroy(flow);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_sequences_start_at_one_and_grow),
		UNIT_TEST(test_no_more_than_the_span_is_outstanding),
		UNIT_TEST(test_an_answered_sequence_is_not_found_again),
		UNIT_TEST(test_operations_of_requests_do_not_overlap),
		UNIT_TEST(test_headers_are_those_of_the_wire_codec),
		UNIT_TEST(test_the_handshake_echoes_the_challenge),
		UNIT_TEST(test_foreign_hello_replies_are_ignored),
		UNIT_TEST(test_renewal_keeps_what_is_outstanding),
		UNIT_TEST(test_sequences_never_wrap),
		{ NULL, NULL },
	};

	return unit_run("flow", tests);
}
