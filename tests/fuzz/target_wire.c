/* SPDX-License-Identifier: BSD-3-Clause */
/* The codecs of the data-plane protocol: whatever can be read is written and read the same. */
#include <string.h>

#include "dataplane/wire_codec.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"
#include "storage/limits.h"
#include "tests/fuzz/fuzz.h"

#define BODY_SIZE_MAX 65536u
/* Larger maps are the same, and slow. */
#define RETOLD_PARTITION_COUNT_MAX 64u

static void check_header(const uint8_t *data, size_t size)
{
	uint8_t copy[WIRE_HEADER_SIZE];
	struct wire_header header;

	if (!wire_header_read(data, size, &header))
		return;
	wire_header_write(copy, &header);
	FUZZ_CHECK(memcmp(copy, data, sizeof(copy)) == 0);
}

static void check_request_ops(const uint8_t *data, size_t size)
{
	static uint8_t copy[BODY_SIZE_MAX];
	const uint8_t *end = data + size;
	struct wire_request_op op;
	const uint8_t *next;

	for (const uint8_t *at = data; (next = wire_request_op_read(at, end, &op)) != NULL;
	     at = next) {
		size_t op_size = wire_request_op_size(&op);

		FUZZ_CHECK(next > at && next <= end && op_size == (size_t)(next - at));
		FUZZ_CHECK(op.key_size >= 1 && op.key_size <= WIRE_KEY_SIZE_MAX);
		FUZZ_CHECK(op.key > at && op.key + op.key_size == op.value);
		FUZZ_CHECK(wire_request_op_write(copy, &op) == copy + op_size);
		FUZZ_CHECK(memcmp(copy, at, op_size) == 0);
	}
}

static void check_reply_ops(const uint8_t *data, size_t size)
{
	const uint8_t *end = data + size;
	struct wire_reply_op again;
	struct wire_reply_op op;
	const uint8_t *next;

	for (const uint8_t *at = data; (next = wire_reply_op_read(at, end, &op)) != NULL;
	     at = next) {
		uint8_t copy[WIRE_REPLY_OP_SIZE];

		FUZZ_CHECK(next > at && next <= end && op.value + op.value_size == next);
		FUZZ_CHECK(wire_reply_op_write(copy, op.opcode, op.status, op.version, 0) ==
			   copy + sizeof(copy));
		FUZZ_CHECK(wire_reply_op_read(copy, copy + sizeof(copy), &again) ==
			   copy + sizeof(copy));
		FUZZ_CHECK(again.opcode == op.opcode && again.status == op.status &&
			   again.version == op.version);
	}
}

static void check_hello(const uint8_t *data, size_t size)
{
	uint8_t copy[WIRE_HELLO_BODY_SIZE];
	struct wire_hello_reply reply;
	struct wire_hello hello;

	FUZZ_CHECK(wire_hello_read(data, size, &hello) == (size >= WIRE_HELLO_BODY_SIZE));
	if (!wire_hello_reply_read(data, size, &reply))
		return;
	wire_hello_write(copy, &hello);
	FUZZ_CHECK(memcmp(copy, data, 16) == 0);
	wire_hello_reply_write(copy, &reply);
	FUZZ_CHECK(memcmp(copy, data, 44) == 0);
}

static void check_forward(const uint8_t *data, size_t size)
{
	uint8_t copy[WIRE_FORWARD_BODY_SIZE];
	struct wire_forward forward;

	if (size < WIRE_FORWARD_BODY_SIZE)
		return;
	wire_forward_read(data, &forward);
	wire_forward_write(copy, &forward);
	FUZZ_CHECK(memcmp(copy, data, 20) == 0);
}

/* The map that the reply tells of: it must say the same when it is told again. */
static void check_map_again(const struct wire_map_reply *reply)
{
	static uint8_t body[BODY_SIZE_MAX];
	static struct wire_map_node nodes[BODY_SIZE_MAX / WIRE_MAP_NODE_SIZE];
	static uint16_t owners[PARTITION_COUNT_MAX];
	const struct wire_map map = { owners, nodes, reply->partition_count, reply->node_count };
	struct wire_map_reply again;
	size_t size;

	for (uint16_t i = 0; i < reply->node_count; i++)
		nodes[i] = wire_map_reply_node(reply, i);
	for (uint16_t i = 0; i < reply->owner_count; i++)
		owners[reply->first_partition + i] = wire_map_reply_owner(reply, i);
	for (uint32_t p = (uint32_t)reply->first_partition + reply->owner_count;
	     p < reply->partition_count; p++)
		owners[p] = WIRE_MAP_NO_OWNER;
	size = wire_map_reply_write(body, sizeof(body), &map, reply->first_partition);
	FUZZ_CHECK(wire_map_reply_read(body, size, &again));
	FUZZ_CHECK(again.owner_count >= reply->owner_count);
	for (uint16_t i = 0; i < reply->owner_count; i++) {
		uint16_t owner = owners[reply->first_partition + i];
		uint16_t number = wire_map_reply_owner(&again, i);
		struct wire_map_node node;

		FUZZ_CHECK((owner == WIRE_MAP_NO_OWNER) == (number == WIRE_MAP_NO_OWNER));
		if (owner == WIRE_MAP_NO_OWNER)
			continue;
		node = wire_map_reply_node(&again, number);
		FUZZ_CHECK(memcmp(&node, &nodes[owner], sizeof(node)) == 0);
	}
}

static void check_map(const uint8_t *data, size_t size)
{
	struct wire_map_reply reply;
	uint16_t first_partition;

	FUZZ_CHECK(wire_map_request_read(data, size, &first_partition) ==
		   (size >= WIRE_MAP_REQUEST_BODY_SIZE));
	if (!wire_map_reply_read(data, size, &reply))
		return;
	FUZZ_CHECK(reply.owner_count >= 1 &&
		   (uint32_t)reply.first_partition + reply.owner_count <= reply.partition_count);
	for (uint16_t i = 0; i < reply.owner_count; i++) {
		uint16_t owner = wire_map_reply_owner(&reply, i);

		FUZZ_CHECK(owner < reply.node_count || owner == WIRE_MAP_NO_OWNER);
	}
	if (reply.partition_count <= RETOLD_PARTITION_COUNT_MAX)
		check_map_again(&reply);
}

static void (*const checks[])(const uint8_t *data, size_t size) = {
	check_header, check_request_ops, check_reply_ops, check_hello, check_forward, check_map,
};
#define CHECK_COUNT (sizeof(checks) / sizeof(checks[0]))

/* An input: which codec, then its bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size >= 1 && size <= BODY_SIZE_MAX)
		checks[data[0] % CHECK_COUNT](data + 1, size - 1);
	return 0;
}
