/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers and operations: there and back again, and never past the end. */
#include "dataplane/wire_codec.h"

#include <stdlib.h>

#include "tests/unit/unit.h"

static const uint8_t letters[WIRE_KEY_SIZE_MAX + 1] = "a key of many letters";

static void header_goes_there_and_back(void)
{
	for (uint8_t kind = WIRE_HELLO; kind <= WIRE_PONG; kind++) {
		struct wire_header header = { .kind = kind,
					      .op_count = (uint8_t)(255 - kind),
					      .session_id = 0x01020304,
					      .token = 0x1112131415161718,
					      .sequence = 0x21222324,
					      .map_version = 0x31323334 };
		struct wire_header got = { 0 };
		uint8_t bytes[WIRE_HEADER_SIZE];

		wire_header_write(bytes, &header);
		CU_ASSERT_TRUE(wire_header_read(bytes, sizeof(bytes), &got));
		CU_ASSERT_EQUAL(got.kind, kind);
		CU_ASSERT_EQUAL(got.op_count, header.op_count);
		CU_ASSERT_EQUAL(got.session_id, header.session_id);
		CU_ASSERT_EQUAL(got.token, header.token);
		CU_ASSERT_EQUAL(got.sequence, header.sequence);
		CU_ASSERT_EQUAL(got.map_version, header.map_version);
	}
}

static void header_stands_as_drawn(void)
{
	struct wire_header header = { WIRE_REQUEST,       2,          0x01020304,
				      0x05060708090a0b0c, 0x0d0e0f10, 0x11121314 };
	static const uint8_t drawn[WIRE_HEADER_SIZE] = { 0x47, 1,  3,  2,  1,  2,  3,  4,
							 5,    6,  7,  8,  9,  10, 11, 12,
							 13,   14, 15, 16, 17, 18, 19, 20 };
	uint8_t bytes[WIRE_HEADER_SIZE];

	wire_header_write(bytes, &header);
	CU_ASSERT_EQUAL(memcmp(bytes, drawn, sizeof(bytes)), 0);
}

static void foreign_header_is_refused(void)
{
	struct wire_header header = { .kind = WIRE_PING };
	uint8_t bytes[WIRE_HEADER_SIZE];

	wire_header_write(bytes, &header);
	for (size_t size = 0; size < sizeof(bytes); size++)
		CU_ASSERT_FALSE(wire_header_read(bytes, size, &header));
	bytes[0] ^= 1;
	CU_ASSERT_FALSE(wire_header_read(bytes, sizeof(bytes), &header));
	bytes[0] ^= 1;
	bytes[1]++;
	CU_ASSERT_FALSE(wire_header_read(bytes, sizeof(bytes), &header));
}

static struct wire_request_op make_op(uint8_t opcode, uint8_t flags, uint16_t key_size,
				      uint32_t value_size)
{
	return (struct wire_request_op){ .opcode = opcode,
					 .flags = flags,
					 .key_size = key_size,
					 .value_size = value_size,
					 .version =
						 flags & WIRE_HAS_VERSION ? 0x8182838485868788 : 0,
					 .ttl_ms = flags & WIRE_HAS_TTL ? 0x91929394 : 0,
					 .key = letters,
					 .value = letters + 1 };
}

static bool ops_equal(const struct wire_request_op *a, const struct wire_request_op *b)
{
	return a->opcode == b->opcode && a->flags == b->flags && a->key_size == b->key_size &&
	       a->value_size == b->value_size && a->version == b->version &&
	       a->ttl_ms == b->ttl_ms && memcmp(a->key, b->key, a->key_size) == 0 &&
	       memcmp(a->value, b->value, a->value_size) == 0;
}

/* Writes the operation into memory of exactly its size, reads it there, and from every shorter
 * piece.
 */
static void there_and_back(const struct wire_request_op *op)
{
	size_t size = wire_request_op_size(op);
	uint8_t *whole = malloc(size);
	struct wire_request_op got = { 0 };

	if (!whole)
		abort();
	CU_ASSERT_PTR_EQUAL(wire_request_op_write(whole, op), whole + size);
	CU_ASSERT_PTR_EQUAL(wire_request_op_read(whole, whole + size, &got), whole + size);
	CU_ASSERT_TRUE(ops_equal(op, &got));
	for (size_t cut = 0; cut < size; cut++) {
		uint8_t *piece = malloc(cut ? cut : 1);

		if (!piece)
			abort();
		memcpy(piece, whole, cut);
		if (wire_request_op_read(piece, piece + cut, &got) != NULL)
			CU_FAIL("a cut operation was read");
		free(piece);
	}
	free(whole);
}

static void every_opcode_goes_there_and_back(void)
{
	for (uint8_t opcode = WIRE_GET; opcode < WIRE_OPCODE_COUNT; opcode++)
		for (uint8_t flags = 0; flags <= WIRE_REQUEST_FLAGS_KNOWN; flags++) {
			struct wire_request_op op =
				make_op(opcode, flags, (uint16_t)(1 + opcode), 20);

			there_and_back(&op);
			op.value_size = 0;
			there_and_back(&op);
		}
}

static void longest_key_goes_there_and_back(void)
{
	struct wire_request_op op = make_op(WIRE_GET, 0, WIRE_KEY_SIZE_MAX, 0);

	there_and_back(&op);
}

static void bad_sizes_are_refused(void)
{
	uint8_t bytes[400] = { 0 };
	struct wire_request_op op;

	wire_put_u16(bytes + 2, 0);
	CU_ASSERT_PTR_NULL(wire_request_op_read(bytes, bytes + sizeof(bytes), &op));
	wire_put_u16(bytes + 2, WIRE_KEY_SIZE_MAX + 1);
	CU_ASSERT_PTR_NULL(wire_request_op_read(bytes, bytes + sizeof(bytes), &op));
	wire_put_u16(bytes + 2, 0xffff);
	CU_ASSERT_PTR_NULL(wire_request_op_read(bytes, bytes + sizeof(bytes), &op));
	wire_put_u16(bytes + 2, 1);
	wire_put_u32(bytes + 4, 0xffffffff);
	CU_ASSERT_PTR_NULL(wire_request_op_read(bytes, bytes + sizeof(bytes), &op));
	wire_put_u32(bytes + 4, sizeof(bytes) - 9);
	CU_ASSERT_PTR_EQUAL(wire_request_op_read(bytes, bytes + sizeof(bytes), &op),
			    bytes + sizeof(bytes));
	wire_put_u32(bytes + 4, sizeof(bytes) - 8);
	CU_ASSERT_PTR_NULL(wire_request_op_read(bytes, bytes + sizeof(bytes), &op));
}

static void every_status_goes_there_and_back(void)
{
	for (uint8_t status = WIRE_OK; status < WIRE_STATUS_COUNT; status++) {
		uint32_t value_size = status * 3u;
		uint8_t bytes[WIRE_REPLY_OP_SIZE + 64];
		const uint8_t *end = bytes + WIRE_REPLY_OP_SIZE + value_size;
		uint8_t *value = wire_reply_op_write(bytes, WIRE_CAS, status, 0x0102030405060708,
						     value_size);
		struct wire_reply_op reply;

		memcpy(value, letters, value_size);
		CU_ASSERT_PTR_EQUAL(wire_reply_op_read(bytes, end, &reply), end);
		CU_ASSERT_EQUAL(reply.opcode, WIRE_CAS);
		CU_ASSERT_EQUAL(reply.status, status);
		CU_ASSERT_EQUAL(reply.version, 0x0102030405060708);
		CU_ASSERT_EQUAL(reply.value_size, value_size);
		CU_ASSERT_EQUAL(memcmp(reply.value, letters, value_size), 0);
		for (const uint8_t *cut = bytes; cut < end; cut++)
			if (wire_reply_op_read(bytes, cut, &reply) != NULL)
				CU_FAIL("a cut reply was read");
	}
}

static void forward_bodies_go_round(void)
{
	static const uint8_t wanted[WIRE_FORWARD_BODY_SIZE] = {
		10, 1, 2, 3, 0x9c, 0x40, 0x1e, 0x14, 2, 4, 6, 8, 10, 12, 1, 3, 0, 0, 1, 4,
	};
	const struct wire_forward forward = { .client_ipv4 = 0x0a010203,
					      .client_port = 40000,
					      .entry_port = 7700,
					      .client_mac = { 2, 4, 6, 8, 10, 12 },
					      .hop_count = 1,
					      .flags = WIRE_FORWARD_WRITES |
						       WIRE_FORWARD_CHECKSUM_ABSENT,
					      .ownership = 260 };
	struct wire_forward got;
	uint8_t body[WIRE_FORWARD_BODY_SIZE];

	memset(body, 0xff, sizeof(body));
	wire_forward_write(body, &forward);
	CU_ASSERT_EQUAL(memcmp(body, wanted, sizeof(body)), 0);
	memset(&got, 0, sizeof(got));
	wire_forward_read(body, &got);
	CU_ASSERT_EQUAL(memcmp(&got, &forward, sizeof(got)), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(header_goes_there_and_back),
		UNIT_TEST(header_stands_as_drawn),
		UNIT_TEST(foreign_header_is_refused),
		UNIT_TEST(every_opcode_goes_there_and_back),
		UNIT_TEST(longest_key_goes_there_and_back),
		UNIT_TEST(bad_sizes_are_refused),
		UNIT_TEST(every_status_goes_there_and_back),
		UNIT_TEST(forward_bodies_go_round),
		{ NULL, NULL },
	};

	return unit_run("wire_codec", tests);
}
