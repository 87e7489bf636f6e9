/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations as request bytes, read back by the wire codec. */
#include <stdio.h>
#include <string.h>

#include "dataplane/loadgen/operation.h"
#include "dataplane/loadgen/value_pattern.h"
#include "tests/unit/unit.h"

static const struct operation_format plain = { .key_size = 16,
					       .value_size_min = 32,
					       .value_size_max = 32 };

/* Writes 'operation' and reads it back; checks sizes on the way. */
static struct wire_request_op round_trip(const struct operation_format *format,
					 const struct operation *operation, uint8_t *bytes)
{
	const uint8_t *end = operation_write(format, operation, bytes);
	struct wire_request_op op = { 0 };

	CU_ASSERT((size_t)(end - bytes) <= operation_request_size_max(format, operation->kind));
	CU_ASSERT_PTR_EQUAL(wire_request_op_read(bytes, end, &op), end);
	CU_ASSERT_EQUAL(op.opcode, operation_traits[operation->kind].opcode);
	CU_ASSERT_EQUAL(op.key_size, format->key_size);
	return op;
}

static void check_key(uint16_t key_size, uint64_t index, const char *want)
{
	uint8_t key[WIRE_KEY_SIZE_MAX];

	operation_key_write(key, key_size, 'k', index);
	CU_ASSERT_EQUAL(strlen(want), key_size);
	CU_ASSERT_EQUAL(memcmp(key, want, key_size), 0);
}

static void test_keys_are_text(void)
{
	check_key(16, 0, "k000000000000000");
	check_key(16, 0xfedcba9876543, "k00fedcba9876543");
	check_key(16, 0x0123456789abcde, "k0123456789abcde");
	check_key(5, 0xabcd, "kabcd");
	check_key(20, 0x1f, "k000000000000000001f");
}

static void test_key_sizes_that_fit(void)
{
	CU_ASSERT(operation_key_size_fits(5, 65536));
	CU_ASSERT_FALSE(operation_key_size_fits(5, 65537));
	CU_ASSERT(operation_key_size_fits(16, UINT64_C(1) << 40));
	CU_ASSERT(operation_key_size_fits(250, UINT64_C(1) << 40));
	CU_ASSERT_FALSE(operation_key_size_fits(4, 1));
	CU_ASSERT_FALSE(operation_key_size_fits(251, 1));
}

static void test_a_get_is_header_and_key(void)
{
	const struct operation get = { .key = 0x2a,
				       .kind = OPERATION_GET,
				       .space = KEY_SPACE_PLAIN };
	uint8_t bytes[64];
	struct wire_request_op op = round_trip(&plain, &get, bytes);

	CU_ASSERT_EQUAL(operation_write(&plain, &get, bytes) - bytes, WIRE_REQUEST_OP_SIZE + 16);
	CU_ASSERT_EQUAL(op.flags, 0);
	CU_ASSERT_EQUAL(op.value_size, 0);
	CU_ASSERT_EQUAL(memcmp(op.key, "k00000000000002a", 16), 0);
}

static void test_every_kind_can_be_read_back(void)
{
	const struct operation_format format = {
		.key_size = 20, .value_size_min = 0, .value_size_max = 300, .ttl_ms = 99
	};

	for (unsigned kind = 0; kind <= OPERATION_CAS_READ; kind++) {
		const struct operation_trait *trait = &operation_traits[kind];
		const struct operation operation = {
			.key = 77, .number = 123456, .kind = (uint8_t)kind, .space = trait->space
		};
		uint8_t bytes[512];
		struct wire_request_op op = round_trip(&format, &operation, bytes);

		CU_ASSERT_EQUAL(op.key[0], trait->space);
		CU_ASSERT_EQUAL(op.value_size, operation_value_size(&format, &operation));
		CU_ASSERT_EQUAL(op.ttl_ms,
				trait->takes_ttl || (trait->flags & WIRE_HAS_TTL) ? 99 : 0);
		CU_ASSERT_EQUAL(op.version, kind == OPERATION_CAS ? 123456 : 0);
	}
}

static void test_written_values_are_the_pattern_of_their_write(void)
{
	const struct operation set = {
		.key = 9, .number = 5, .kind = OPERATION_SET, .space = KEY_SPACE_PLAIN
	};
	struct operation cas = {
		.key = 9, .number = 5, .kind = OPERATION_CAS, .space = KEY_SPACE_PLAIN
	};
	const struct operation_format varying = { .key_size = 16,
						  .value_size_min = 16,
						  .value_size_max = 60 };
	uint8_t bytes[128], set_value[32];
	struct wire_request_op op = round_trip(&plain, &set, bytes);

	CU_ASSERT(value_pattern_matches(op.value, op.value_size, 9, 32, 32));
	memcpy(set_value, op.value, sizeof(set_value));
	op = round_trip(&plain, &cas, bytes);
	CU_ASSERT(value_pattern_matches(op.value, op.value_size, 9, 32, 32));
	CU_ASSERT_NOT_EQUAL(memcmp(op.value, set_value, sizeof(set_value)), 0);
	for (cas.number = 0; cas.number < 20; cas.number++) {
		op = round_trip(&varying, &cas, bytes);
		CU_ASSERT(value_pattern_matches(op.value, op.value_size, 9, 16, 60));
	}
}

static void test_counters_start_at_zero_and_grow_by_one(void)
{
	const struct operation load = { .kind = OPERATION_SET, .space = KEY_SPACE_COUNTER };
	const struct operation increment = { .kind = OPERATION_INCREMENT,
					     .space = KEY_SPACE_COUNTER };
	uint8_t bytes[128];
	struct wire_request_op op = round_trip(&plain, &load, bytes);

	CU_ASSERT_EQUAL(op.value_size, 1);
	CU_ASSERT_EQUAL(op.value[0], '0');
	op = round_trip(&plain, &increment, bytes);
	CU_ASSERT_EQUAL(op.value_size, 16);
	CU_ASSERT_EQUAL(wire_get_u64(op.value), 1);
	CU_ASSERT_EQUAL(wire_get_u64(op.value + 8), 1);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_keys_are_text),
		UNIT_TEST(test_key_sizes_that_fit),
		UNIT_TEST(test_a_get_is_header_and_key),
		UNIT_TEST(test_every_kind_can_be_read_back),
		UNIT_TEST(test_written_values_are_the_pattern_of_their_write),
		UNIT_TEST(test_counters_start_at_zero_and_grow_by_one),
		{ NULL, NULL },
	};

	return unit_run("operation", tests);
}
