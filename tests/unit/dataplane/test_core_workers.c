/* SPDX-License-Identifier: BSD-3-Clause */
/* Several workers of one node in one thread: who executes what, and what the mailboxes carry. */
#include <stdio.h>
#include <string.h>

#include "dataplane/wire_partition.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_node.h"

#define WORKERS 3u

struct story {
	struct unit_node node;
	struct unit_client client;
	uint8_t payload[2048];
	size_t payload_size;
	struct wire_reply_op replies[WIRE_OP_COUNT_MAX];
	uint32_t reply_count;
};

static void story_begin(struct story *story, uint32_t mailbox_capacity)
{
	const struct unit_node_options options = { .worker_count = WORKERS,
						   .mailbox_capacity = mailbox_capacity };

	memset(story, 0, sizeof(*story));
	unit_node_create(&story->node, &options);
	story->client = (struct unit_client){ .ipv4 = 0x0a010102, .port = 40000 };
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&story->node, &story->client, 0));
}

static void story_end(struct story *story)
{
	unit_node_destroy(&story->node);
}

/* The 'number'th key that belongs to 'worker'. */
static const char *key_of(const struct story *story, uint32_t worker, uint32_t number, char key[16])
{
	for (uint32_t i = 0;; i++) {
		uint32_t partition;

		snprintf(key, 16, "key%u", i);
		partition =
			wire_partition_of(key, strlen(key), story->node.shared->partition_count);
		if (partition % WORKERS == worker && number-- == 0)
			return key;
	}
}

static void read_replies(struct story *story)
{
	const uint8_t *at = story->payload + WIRE_HEADER_SIZE;
	const uint8_t *end = story->payload + story->payload_size;

	for (story->reply_count = 0; at && at < end; story->reply_count++)
		at = wire_reply_op_read(at, end, &story->replies[story->reply_count]);
	CU_ASSERT_PTR_EQUAL(at, end);
	CU_ASSERT_EQUAL(story->reply_count, story->payload[WIRE_AT_OP_COUNT]);
}

/* Asks at 'worker's port; whether there was an answer. */
static bool ask(struct story *story, uint32_t worker, const struct unit_datagram *datagram)
{
	story->payload_size =
		unit_exchange(&story->node, &story->client, worker, datagram, story->payload);
	if (story->payload_size > 0)
		read_replies(story);
	return story->payload_size > 0;
}

static struct wire_reply_op one(struct story *story, uint32_t worker, struct wire_request_op op)
{
	struct unit_datagram datagram;

	unit_request_begin(&datagram, &story->client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(story, worker, &datagram));
	CU_ASSERT_EQUAL_FATAL(story->reply_count, 1);
	return story->replies[0];
}

static void check_value(struct wire_reply_op reply, const char *value)
{
	CU_ASSERT_EQUAL(reply.status, WIRE_OK);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, strlen(value));
	CU_ASSERT_EQUAL(memcmp(reply.value, value, reply.value_size), 0);
}

static uint64_t executed_by(const struct story *story, uint32_t worker)
{
	return core_counter_read(&story->node.cores[worker]->counters, COUNT_REQUESTS);
}

static void every_worker_answers_for_every_key(void)
{
	struct story story;
	char key[16];

	story_begin(&story, 0);
	for (uint32_t owner = 0; owner < WORKERS; owner++) {
		for (uint32_t port = 0; port < WORKERS; port++) {
			char value[16];

			key_of(&story, owner, port, key);
			snprintf(value, sizeof(value), "%u by %u", owner, port);
			CU_ASSERT_EQUAL(
				one(&story, port, unit_operation(WIRE_SET, key, value)).status,
				WIRE_OK);
			for (uint32_t reader = 0; reader < WORKERS; reader++)
				check_value(
					one(&story, reader, unit_operation(WIRE_GET, key, NULL)),
					value);
		}
	}
	/* writes were executed by their owners, reads where they came in */
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		CU_ASSERT_EQUAL(executed_by(&story, worker), WORKERS + WORKERS * WORKERS);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "handed_to_owner"), WORKERS * (WORKERS - 1));
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "handed_received"), WORKERS * (WORKERS - 1));
	story_end(&story);
}

static void a_frame_on_another_queue_reaches_the_worker_of_its_port(void)
{
	struct story story;
	struct wire_request_op op;
	struct unit_datagram datagram;
	uint8_t frame[2048];
	const uint8_t *frames[1] = { frame };
	size_t size;
	char key[16];

	story_begin(&story, 0);
	op = unit_operation(WIRE_SET, key_of(&story, 2, 0, key), "v");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	/* received by worker 1, for worker 0's port, about worker 2's key */
	size = unit_frame(frame, &story.client, 0, &datagram);
	unit_node_receive(&story.node, 1, frames, &size, 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "handed_to_port"), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "handed_to_owner"), 1);
	CU_ASSERT_EQUAL(executed_by(&story, 2), 1);
	CU_ASSERT_EQUAL_FATAL(story.node.reply_count, 1);
	size = unit_node_take(&story.node, frame);
	CU_ASSERT_EQUAL(wire_get_u16(frame + PACKET_AT_UDP_SOURCE), UNIT_NODE_PORT);
	CU_ASSERT_EQUAL(frame[PACKET_AT_UDP_PAYLOAD + WIRE_HEADER_SIZE + 1], WIRE_OK);
	story_end(&story);
}

static void a_write_handed_over_is_applied_once(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op;
	uint8_t first[2048];
	size_t first_size;
	char key[16];

	story_begin(&story, 0);
	key_of(&story, 1, 0, key);
	one(&story, 0, unit_operation(WIRE_SET, key, "a"));
	op = unit_operation(WIRE_APPEND, key, "b");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, 0, &datagram));
	first_size = story.payload_size;
	memcpy(first, story.payload, first_size);
	CU_ASSERT_TRUE_FATAL(ask(&story, 0, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.payload_size, first_size);
	CU_ASSERT_EQUAL(memcmp(story.payload, first, first_size), 0);
	CU_ASSERT_TRUE_FATAL(ask(&story, 2, &datagram)); /* by another door: the same window */
	CU_ASSERT_EQUAL(memcmp(story.payload, first, first_size), 0);
	check_value(one(&story, 0, unit_operation(WIRE_GET, key, NULL)), "ab");
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "requests_repeated"), 2);
	story_end(&story);
}

static void a_batch_of_one_owner_is_handed_over_whole(void)
{
	struct story story;
	struct unit_datagram datagram;
	char keys[40][16];

	story_begin(&story, 0);
	unit_request_begin(&datagram, &story.client);
	for (uint32_t i = 0; i < 40; i++) { /* also more than one batch holds */
		struct wire_request_op op =
			unit_operation(i % 2 ? WIRE_GET : WIRE_SET,
				       key_of(&story, 2, i / 2, keys[i]), i % 2 ? NULL : "v");

		unit_request_add(&datagram, &op);
	}
	CU_ASSERT_TRUE_FATAL(ask(&story, 1, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, 40);
	for (uint32_t i = 0; i < 40; i++)
		CU_ASSERT_EQUAL(story.replies[i].status, WIRE_OK);
	CU_ASSERT_EQUAL(executed_by(&story, 2), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "handed_to_owner"), 1);
	story_end(&story);
}

static void check_not_owner(const struct story *story, struct wire_reply_op reply, uint32_t worker)
{
	CU_ASSERT_EQUAL(reply.status, WIRE_NOT_OWNER);
	CU_ASSERT_EQUAL_FATAL(reply.value_size, WIRE_OWNER_SIZE);
	CU_ASSERT_EQUAL(wire_get_u32(reply.value), UNIT_NODE_IPV4);
	CU_ASSERT_EQUAL(wire_get_u16(reply.value + 4), UNIT_NODE_PORT + worker);
	CU_ASSERT_EQUAL(wire_get_u32(reply.value + 8), story->node.route->epochs[0]);
}

static void a_mixed_batch_writes_its_own_and_reads_all(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op ops[6];
	char own[16], other[16], third[16];

	story_begin(&story, 0);
	key_of(&story, 0, 0, own);
	key_of(&story, 1, 0, other);
	key_of(&story, 2, 0, third);
	one(&story, 1, unit_operation(WIRE_SET, other, "before"));
	ops[0] = unit_operation(WIRE_SET, own, "mine");
	ops[1] = unit_operation(WIRE_GET, other, NULL);
	ops[2] = unit_operation(WIRE_SET, other, "not mine");
	ops[3] = unit_operation(WIRE_DELETE, third, NULL);
	ops[4] = unit_operation(WIRE_EXISTS, third, NULL);
	ops[5] = unit_operation(WIRE_GET, own, NULL);
	unit_request_begin(&datagram, &story.client);
	for (int i = 0; i < 6; i++)
		unit_request_add(&datagram, &ops[i]);
	CU_ASSERT_TRUE_FATAL(ask(&story, 0, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, 6);
	CU_ASSERT_EQUAL(story.replies[0].status, WIRE_OK);
	check_value(story.replies[1], "before");
	check_not_owner(&story, story.replies[2], 1);
	check_not_owner(&story, story.replies[3], 2);
	CU_ASSERT_EQUAL(story.replies[4].status, WIRE_NOT_FOUND);
	check_value(story.replies[5], "mine");
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_not_owner"), 2);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "handed_to_owner"), 0);
	check_value(one(&story, 1, unit_operation(WIRE_GET, other, NULL)), "before");
	story_end(&story);
}

/* Reads of all workers' keys in large batches, by each worker. */
static void reads_of_other_workers_find_what_was_written(void)
{
	struct story story;
	char keys[72][16];

	story_begin(&story, 0);
	for (uint32_t i = 0; i < 72; i++) {
		key_of(&story, i % WORKERS, i / WORKERS, keys[i]);
		one(&story, i % WORKERS, unit_operation(WIRE_SET, keys[i], keys[i] + 3));
	}
	for (uint32_t worker = 0; worker < WORKERS; worker++) {
		struct unit_datagram datagram;

		unit_request_begin(&datagram, &story.client);
		for (uint32_t i = 0; i < 72; i++) {
			struct wire_request_op op = unit_operation(WIRE_GET, keys[i], NULL);

			unit_request_add(&datagram, &op);
		}
		CU_ASSERT_TRUE_FATAL(ask(&story, worker, &datagram));
		CU_ASSERT_EQUAL_FATAL(story.reply_count, 72);
		for (uint32_t i = 0; i < 72; i++)
			check_value(story.replies[i], keys[i] + 3);
	}
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "get_misses"), 0);
	story_end(&story);
}

static void a_session_is_good_at_every_port(void)
{
	struct story story;
	struct unit_client forged;
	struct unit_datagram datagram;
	struct wire_request_op op = unit_operation(WIRE_GET, "k", NULL);
	uint8_t payload[2048];

	story_begin(&story, 0);
	for (uint32_t worker = 0; worker < WORKERS; worker++)
		CU_ASSERT_EQUAL(one(&story, worker, op).status, WIRE_NOT_FOUND);
	forged = story.client;
	forged.token++;
	unit_request_begin(&datagram, &forged);
	unit_request_add(&datagram, &op);
	CU_ASSERT_EQUAL(unit_exchange(&story.node, &forged, 2, &datagram, payload),
			WIRE_HEADER_SIZE);
	forged = story.client;
	forged.session_id |= 0xff000000u; /* of a worker there is not */
	unit_request_begin(&datagram, &forged);
	unit_request_add(&datagram, &op);
	CU_ASSERT_EQUAL(unit_exchange(&story.node, &forged, 2, &datagram, payload),
			WIRE_HEADER_SIZE);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "need_hellos"), 2);
	story_end(&story);
}

static void a_full_mailbox_drops_by_name(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op;
	uint8_t frames[PORT_BURST_MAX][256];
	const uint8_t *pointers[PORT_BURST_MAX];
	size_t sizes[PORT_BURST_MAX];
	uint64_t drops;
	char key[16];

	story_begin(&story, 7);
	op = unit_operation(WIRE_SET, key_of(&story, 1, 0, key), "v");
	for (uint32_t i = 0; i < PORT_BURST_MAX; i++) {
		unit_request_begin(&datagram, &story.client);
		unit_request_add(&datagram, &op);
		sizes[i] = unit_frame(frames[i], &story.client, 0, &datagram);
		pointers[i] = frames[i];
	}
	unit_node_receive(&story.node, 0, pointers, sizes, PORT_BURST_MAX);
	drops = unit_node_counter(&story.node, "drop_mailbox_full");
	CU_ASSERT_TRUE(drops > 0);
	CU_ASSERT_EQUAL(story.node.reply_count + drops, PORT_BURST_MAX);
	CU_ASSERT_EQUAL(executed_by(&story, 1), story.node.reply_count);
	story_end(&story);
}

/* ---- other nodes ---- */

static const struct wire_map_node two_nodes[] = { { UNIT_NODE_IPV4, UNIT_NODE_PORT, WORKERS },
						  { 0x0a010109, 9000, 2 } };

/* Gives 'partition' to node 1, or to nobody. */
static void publish_without(struct story *story, uint32_t partition, uint16_t owner)
{
	struct route_table *table = route_table_create(
		(uint16_t)story->node.shared->partition_count, two_nodes, 2, 0);

	table->map_version = 2;
	table->owners[partition] = owner;
	table->epochs[partition] = 6;
	unit_node_set_routes(&story->node, table);
}

static void another_nodes_partition_is_answered_with_its_address(void)
{
	struct story story;
	struct wire_reply_op reply;
	uint32_t partition;
	char key[16];

	story_begin(&story, 0);
	key_of(&story, 0, 0, key);
	partition = wire_partition_of(key, strlen(key), story.node.shared->partition_count);
	one(&story, 0, unit_operation(WIRE_SET, key, "v"));
	publish_without(&story, partition, 1);
	for (uint32_t worker = 0; worker < WORKERS; worker++) {
		reply = one(&story, worker, unit_operation(WIRE_GET, key, NULL));
		CU_ASSERT_EQUAL(reply.status, WIRE_NOT_OWNER);
		CU_ASSERT_EQUAL_FATAL(reply.value_size, WIRE_OWNER_SIZE);
		CU_ASSERT_EQUAL(wire_get_u32(reply.value), 0x0a010109);
		CU_ASSERT_EQUAL(wire_get_u16(reply.value + 4), 9000 + partition % 2);
		CU_ASSERT_EQUAL(wire_get_u32(reply.value + 8), 6);
		CU_ASSERT_EQUAL(wire_get_u32(story.payload + WIRE_AT_MAP_VERSION), 2);
		CU_ASSERT_EQUAL(one(&story, worker, unit_operation(WIRE_SET, key, "w")).status,
				WIRE_NOT_OWNER);
	}
	key_of(&story, 0, 1, key);
	CU_ASSERT_EQUAL(one(&story, 0, unit_operation(WIRE_SET, key, "v")).status, WIRE_OK);
	story_end(&story);
}

static void a_partition_without_owner_is_unavailable(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op;
	uint32_t partition;
	char key[16];

	story_begin(&story, 0);
	key_of(&story, 0, 0, key);
	partition = wire_partition_of(key, strlen(key), story.node.shared->partition_count);
	publish_without(&story, partition, WIRE_MAP_NO_OWNER);
	CU_ASSERT_EQUAL(one(&story, 0, unit_operation(WIRE_GET, key, NULL)).status,
			WIRE_UNAVAILABLE);
	op = unit_operation(WIRE_ADD, key, "v");
	unit_request_begin(&datagram, &story.client);
	unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, 0, &datagram));
	CU_ASSERT_EQUAL(story.replies[0].status, WIRE_UNAVAILABLE);
	/* a copy that comes when there is an owner must not be executed: the client may have asked anew */
	publish_without(&story, partition, 0);
	CU_ASSERT_TRUE_FATAL(ask(&story, 0, &datagram));
	CU_ASSERT_EQUAL(story.replies[0].status, WIRE_UNAVAILABLE);
	CU_ASSERT_EQUAL(one(&story, 0, op).status, WIRE_OK);
	CU_ASSERT_EQUAL(unit_node_counter(&story.node, "status_unavailable"), 2);
	story_end(&story);
}

/* The address needs 12 bytes more than the reply's minimum: without room it is left out, never overrun. */
static void many_refusals_fit_their_datagram(void)
{
	struct story story;
	struct unit_datagram datagram;
	struct wire_request_op op;
	uint32_t op_count = (UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE) / WIRE_REPLY_OP_SIZE;
	uint32_t with_address = 0;
	char own[16], other[16];

	story_begin(&story, 0);
	key_of(&story, 0, 0, own);
	key_of(&story, 1, 0, other);
	unit_request_begin(&datagram, &story.client);
	op = unit_operation(WIRE_GET, own, NULL);
	unit_request_add(&datagram, &op);
	op = unit_operation(WIRE_SET, other, "");
	while (datagram.payload[WIRE_AT_OP_COUNT] < op_count)
		unit_request_add(&datagram, &op);
	CU_ASSERT_TRUE_FATAL(ask(&story, 0, &datagram));
	CU_ASSERT_EQUAL_FATAL(story.reply_count, op_count);
	for (uint32_t i = 1; i < op_count; i++) {
		CU_ASSERT_EQUAL(story.replies[i].status, WIRE_NOT_OWNER);
		with_address += story.replies[i].value_size == WIRE_OWNER_SIZE;
	}
	CU_ASSERT_EQUAL(with_address, (UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE -
				       op_count * WIRE_REPLY_OP_SIZE) /
					      WIRE_OWNER_SIZE);
	story_end(&story);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(every_worker_answers_for_every_key),
		UNIT_TEST(a_frame_on_another_queue_reaches_the_worker_of_its_port),
		UNIT_TEST(a_write_handed_over_is_applied_once),
		UNIT_TEST(a_batch_of_one_owner_is_handed_over_whole),
		UNIT_TEST(a_mixed_batch_writes_its_own_and_reads_all),
		UNIT_TEST(reads_of_other_workers_find_what_was_written),
		UNIT_TEST(a_session_is_good_at_every_port),
		UNIT_TEST(a_full_mailbox_drops_by_name),
		UNIT_TEST(another_nodes_partition_is_answered_with_its_address),
		UNIT_TEST(a_partition_without_owner_is_unavailable),
		UNIT_TEST(many_refusals_fit_their_datagram),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("core_workers", tests);
}
