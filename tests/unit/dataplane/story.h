/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of one client with a session to a node with one worker: how a test asks, and looks at what it was answered. */
#ifndef TESTS_UNIT_DATAPLANE_STORY_H
#define TESTS_UNIT_DATAPLANE_STORY_H

#include <string.h>

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

static inline void story_begin_sized(struct story *story, size_t memory_limit_bytes)
{
	const struct unit_node_options options = { .memory_limit_bytes = memory_limit_bytes };

	memset(story, 0, sizeof(*story));
	unit_node_create(&story->node, &options);
	story->client = (struct unit_client){ .ipv4 = 0x0a010102, .port = 40000 };
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&story->node, &story->client, 0));
}

static inline void story_begin(struct story *story)
{
	story_begin_sized(story, 0);
}

static inline void story_end(struct story *story)
{
	unit_node_destroy(&story->node);
}

/* Sends and decodes; false when there was no answer. */
static inline bool ask(struct story *story, const struct unit_datagram *datagram)
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
static inline struct wire_reply_op one(struct story *story, struct wire_request_op op)
{
	struct unit_datagram datagram;

	unit_request_begin(&datagram, &story->client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(story, &datagram));
	CU_ASSERT_EQUAL_FATAL(story->reply_count, 1);
	CU_ASSERT_EQUAL(story->replies[0].opcode, op.opcode);
	return story->replies[0];
}

static inline struct wire_reply_op simple(struct story *story, uint8_t opcode, const char *key,
					  const char *value)
{
	return one(story, unit_operation(opcode, key, value));
}

static inline struct wire_reply_op with_ttl(struct story *story, uint8_t opcode, const char *key,
					    const char *value, uint32_t ttl_ms)
{
	struct wire_request_op op = unit_operation(opcode, key, value);

	op.flags = WIRE_HAS_TTL;
	op.ttl_ms = ttl_ms;
	return one(story, op);
}

static inline struct wire_reply_op with_version(struct story *story, uint8_t opcode,
						const char *key, const char *value,
						uint64_t version)
{
	struct wire_request_op op = unit_operation(opcode, key, value);

	op.flags = WIRE_HAS_VERSION;
	op.version = version;
	return one(story, op);
}

static inline struct wire_reply_op increment(struct story *story, const char *key, int64_t delta)
{
	struct wire_request_op op = unit_operation(WIRE_INCREMENT, key, NULL);
	uint8_t value[8];

	wire_put_u64(value, (uint64_t)delta);
	op.value = value;
	op.value_size = sizeof(value);
	return one(story, op);
}

static inline struct wire_reply_op increment_or(struct story *story, const char *key, int64_t delta,
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

static inline void check_value(struct wire_reply_op reply, const char *value)
{
	CHECK_STATUS(reply, WIRE_OK);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, strlen(value));
	CU_ASSERT_EQUAL(memcmp(reply.value, value, reply.value_size), 0);
}

static inline void check_number(struct wire_reply_op reply, int64_t number)
{
	CHECK_STATUS(reply, WIRE_OK);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, 8);
	CU_ASSERT_EQUAL((int64_t)wire_get_u64(reply.value), number);
}

#endif
