/* SPDX-License-Identifier: BSD-3-Clause */
/* HELLO and HELLO_REPLY bodies. */
#include "dataplane/wire_hello.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_codec.h"
#include "tests/unit/unit.h"

static void hello_goes_there_and_back(void)
{
	struct wire_hello hello = { 0x0102030405060708, 0x1112131415161718 }, got = { 0 };
	uint8_t body[WIRE_HELLO_BODY_SIZE];

	memset(body, 0xee, sizeof(body));
	wire_hello_write(body, &hello);
	CU_ASSERT_TRUE(wire_hello_read(body, sizeof(body), &got));
	CU_ASSERT_EQUAL(got.client_nonce, hello.client_nonce);
	CU_ASSERT_EQUAL(got.challenge, hello.challenge);
	for (size_t i = 16; i < sizeof(body); i++)
		CU_ASSERT_EQUAL(body[i], 0);
}

static void hello_reply_stands_as_drawn(void)
{
	struct wire_hello_reply reply = { .client_nonce = 0x0102030405060708,
					  .challenge = 0x1112131415161718,
					  .stage = WIRE_HELLO_GRANTED,
					  .version_max = 1,
					  .worker_count = 0x2122,
					  .partition_count = 0x2324,
					  .value_size_max = 0x2526,
					  .datagram_size_max = 0x2728292a,
					  .boot_id = 0x3132333435363738,
					  .base_port = 0x4142,
					  .worker_index = 0x4344,
					  .replay_window_size = 0x45464748 };
	struct wire_hello_reply got;
	uint8_t body[WIRE_HELLO_BODY_SIZE];

	memset(body, 0xee, sizeof(body));
	memset(&got, 0, sizeof(got));
	wire_hello_reply_write(body, &reply);
	CU_ASSERT_EQUAL(wire_get_u64(body + 0), 0x0102030405060708);
	CU_ASSERT_EQUAL(wire_get_u64(body + 8), 0x1112131415161718);
	CU_ASSERT_EQUAL(body[16], 2);
	CU_ASSERT_EQUAL(body[17], 1);
	CU_ASSERT_EQUAL(wire_get_u16(body + 18), 0x2122);
	CU_ASSERT_EQUAL(wire_get_u16(body + 20), 0x2324);
	CU_ASSERT_EQUAL(wire_get_u16(body + 22), 0x2526);
	CU_ASSERT_EQUAL(wire_get_u32(body + 24), 0x2728292a);
	CU_ASSERT_EQUAL(wire_get_u64(body + 28), 0x3132333435363738);
	CU_ASSERT_EQUAL(wire_get_u16(body + 36), 0x4142);
	CU_ASSERT_EQUAL(wire_get_u16(body + 38), 0x4344);
	CU_ASSERT_EQUAL(wire_get_u32(body + 40), 0x45464748);
	for (size_t i = 44; i < sizeof(body); i++)
		CU_ASSERT_EQUAL(body[i], 0);
	CU_ASSERT_TRUE(wire_hello_reply_read(body, sizeof(body), &got));
	CU_ASSERT_EQUAL(got.client_nonce, reply.client_nonce);
	CU_ASSERT_EQUAL(got.challenge, reply.challenge);
	CU_ASSERT_EQUAL(got.stage, reply.stage);
	CU_ASSERT_EQUAL(got.version_max, reply.version_max);
	CU_ASSERT_EQUAL(got.worker_count, reply.worker_count);
	CU_ASSERT_EQUAL(got.partition_count, reply.partition_count);
	CU_ASSERT_EQUAL(got.value_size_max, reply.value_size_max);
	CU_ASSERT_EQUAL(got.datagram_size_max, reply.datagram_size_max);
	CU_ASSERT_EQUAL(got.boot_id, reply.boot_id);
	CU_ASSERT_EQUAL(got.base_port, reply.base_port);
	CU_ASSERT_EQUAL(got.worker_index, reply.worker_index);
	CU_ASSERT_EQUAL(got.replay_window_size, reply.replay_window_size);
}

static void cut_bodies_are_refused(void)
{
	for (size_t size = 0; size < WIRE_HELLO_BODY_SIZE; size++) {
		uint8_t *body = calloc(1, size ? size : 1);
		struct wire_hello hello;
		struct wire_hello_reply reply;

		CU_ASSERT_FALSE(wire_hello_read(body, size, &hello));
		CU_ASSERT_FALSE(wire_hello_reply_read(body, size, &reply));
		free(body);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(hello_goes_there_and_back),
		UNIT_TEST(hello_reply_stands_as_drawn),
		UNIT_TEST(cut_bodies_are_refused),
		{ NULL, NULL },
	};

	return unit_run("wire_hello", tests);
}
