/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations are checked, and encoded as the wire draws them. */
#include "dataplane/client/client_operation.h"

#include <stdlib.h>

#include "dataplane/wire_codec.h"
#include "tests/unit/unit.h"

static struct client_operation *made;

static struct wire_request_op encode(const struct godwit_operation *wanted)
{
	struct wire_request_op op = { 0 };
	const uint8_t *end;

	free(made);
	made = NULL;
	CU_ASSERT_EQUAL_FATAL(client_operation_create(&made, wanted), GODWIT_OK);
	end = wire_request_op_read(made->wire, made->wire + made->wire_size, &op);
	CU_ASSERT_PTR_EQUAL(end, made->wire + made->wire_size);
	CU_ASSERT_EQUAL(op.opcode, wanted->opcode);
	CU_ASSERT_EQUAL(op.key_size, wanted->key_size);
	CU_ASSERT_EQUAL(memcmp(client_operation_key(made), wanted->key, wanted->key_size), 0);
	CU_ASSERT_PTR_EQUAL(op.key, client_operation_key(made));
	return op;
}

static void fields_are_sent_as_the_opcode_asks(void)
{
	struct godwit_operation wanted = { .key = "key", .key_size = 3, .ttl_ms = 9, .version = 8 };
	struct wire_request_op op;

	for (int opcode = GODWIT_OP_GET; opcode <= GODWIT_OP_TTL; opcode++) {
		static const uint8_t flags[] = { 0,
						 0,
						 WIRE_HAS_TTL,
						 WIRE_HAS_VERSION,
						 WIRE_HAS_TTL,
						 WIRE_HAS_TTL,
						 WIRE_HAS_TTL | WIRE_HAS_VERSION,
						 WIRE_HAS_TTL,
						 0,
						 WIRE_HAS_TTL,
						 WIRE_HAS_TTL,
						 0,
						 0 };

		wanted.opcode = (enum godwit_opcode)opcode;
		op = encode(&wanted);
		CU_ASSERT_EQUAL(op.flags, flags[opcode]);
		CU_ASSERT_EQUAL(op.ttl_ms, op.flags & WIRE_HAS_TTL ? 9 : 0);
		CU_ASSERT_EQUAL(op.version, op.flags & WIRE_HAS_VERSION ? 8 : 0);
		CU_ASSERT_EQUAL(op.value_size, opcode == GODWIT_OP_INCREMENT ? 8 : 0);
	}
}

static void never_expiring_is_said_only_where_it_must_be(void)
{
	struct godwit_operation wanted = { .opcode = GODWIT_OP_SET, .key = "k", .key_size = 1 };

	CU_ASSERT_EQUAL(encode(&wanted).flags, 0);
	wanted.opcode = GODWIT_OP_TOUCH;
	CU_ASSERT_EQUAL(encode(&wanted).flags, WIRE_HAS_TTL);
	wanted.opcode = GODWIT_OP_GET_AND_TOUCH;
	CU_ASSERT_EQUAL(encode(&wanted).flags, WIRE_HAS_TTL);
	wanted.opcode = GODWIT_OP_DELETE;
	CU_ASSERT_EQUAL(encode(&wanted).flags, 0);
}

static void increments_carry_delta_and_initial(void)
{
	struct godwit_operation wanted = { .opcode = GODWIT_OP_INCREMENT,
					   .key = "k",
					   .key_size = 1,
					   .delta = -2,
					   .initial = INT64_MIN };
	struct wire_request_op op = encode(&wanted);

	CU_ASSERT_EQUAL(op.value_size, 8);
	CU_ASSERT_EQUAL((int64_t)wire_get_u64(op.value), -2);
	wanted.has_initial = true;
	op = encode(&wanted);
	CU_ASSERT_EQUAL(op.value_size, 16);
	CU_ASSERT_EQUAL((int64_t)wire_get_u64(op.value + 8), INT64_MIN);
}

static void what_the_wire_cannot_say_is_refused(void)
{
	static char bytes[70000];
	struct godwit_operation wanted = { .opcode = GODWIT_OP_SET, .key = bytes, .key_size = 251 };
	struct client_operation *none = NULL;

	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_INVALID_ARGUMENT);
	wanted.key_size = 0;
	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_INVALID_ARGUMENT);
	wanted.key_size = 1;
	wanted.value_size = 1;
	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_INVALID_ARGUMENT);
	wanted.value = bytes;
	wanted.value_size = 65536;
	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_TOO_LARGE);
	wanted.value_size = 1;
	wanted.opcode = GODWIT_OP_GET; /* takes no value */
	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_INVALID_ARGUMENT);
	wanted.value_size = 0;
	wanted.opcode = (enum godwit_opcode)0;
	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_INVALID_ARGUMENT);
	wanted.opcode = GODWIT_OP_CAS; /* without a version */
	CU_ASSERT_EQUAL(client_operation_create(&none, &wanted), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_PTR_NULL(none);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(fields_are_sent_as_the_opcode_asks),
		UNIT_TEST(never_expiring_is_said_only_where_it_must_be),
		UNIT_TEST(increments_carry_delta_and_initial),
		UNIT_TEST(what_the_wire_cannot_say_is_refused),
		{ NULL, NULL },
	};
	int code = unit_run("client_operation", tests);

	free(made);
	return code;
}
