/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests at a node that does not own their keys: forwarded once, executed once, whatever the network and the owners do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_build.h"
#include "dataplane/wire_partition.h"
#include "storage/version.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_cluster.h"

/* Node 0 owns everything at first. The client talks to node A = 0 unless it says otherwise. */
enum { A, B, C };

struct story {
	struct unit_cluster cluster;
	struct unit_client client;
	struct unit_datagram datagram; /* the last one sent */
	uint8_t payload[2048];
	size_t payload_size;
	struct wire_reply_op replies[64];
	uint32_t reply_count;
};

static struct story *story_begin(uint32_t node_count, uint32_t worker_count)
{
	struct story *story = calloc(1, sizeof(*story));

	unit_cluster_create(&story->cluster, node_count, worker_count);
	unit_cluster_introduce(&story->cluster);
	story->client = (struct unit_client){ .ipv4 = 0x0a010164, .port = 40000 };
	unit_cluster_hello(&story->cluster, &story->client);
	return story;
}

static void story_end(struct story *story)
{
	unit_cluster_destroy(&story->cluster);
	free(story);
}

/* The 'number'th key of a partition. */
static const char *key_in(uint32_t partition, uint32_t number, char key[16])
{
	for (uint32_t i = 0;; i++) {
		snprintf(key, 16, "key%u", i);
		if (wire_partition_of(key, strlen(key), UNIT_CLUSTER_PARTITIONS) == partition &&
		    number-- == 0)
			return key;
	}
}

static struct wire_request_op increment(const char *key)
{
	static uint8_t delta_and_initial[16] = { [7] = 1, [15] = 1 };

	return (struct wire_request_op){ .opcode = WIRE_INCREMENT,
					 .key_size = (uint16_t)strlen(key),
					 .key = (const uint8_t *)key,
					 .value_size = 16,
					 .value = delta_and_initial };
}

static void begin(struct story *story)
{
	unit_request_begin(&story->datagram, &story->client);
}

static void add(struct story *story, struct wire_request_op op)
{
	unit_request_add(&story->datagram, &op);
}

/* Sends the datagram, perhaps once more; whether there was an answer. */
static bool ask_at(struct story *story, uint32_t worker)
{
	const uint8_t *at = story->payload + WIRE_HEADER_SIZE;
	const uint8_t *end;

	story->payload_size = unit_cluster_exchange(&story->cluster, &story->client, worker,
						    &story->datagram, story->payload);
	end = story->payload + story->payload_size;
	for (story->reply_count = 0; story->payload_size > 0 && at && at < end;
	     story->reply_count++)
		at = wire_reply_op_read(at, end, &story->replies[story->reply_count]);
	return story->payload_size > 0;
}

static bool ask(struct story *story)
{
	return ask_at(story, 0);
}

static struct wire_reply_op one(struct story *story, struct wire_request_op op)
{
	begin(story);
	add(story, op);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL_FATAL(story->reply_count, 1);
	return story->replies[0];
}

static bool has_value(struct wire_reply_op reply, const char *value)
{
	return reply.status == WIRE_OK && reply.value_size == strlen(value) &&
	       memcmp(reply.value, value, reply.value_size) == 0;
}

static bool is_owner(struct wire_reply_op reply, uint32_t node, uint32_t epoch)
{
	return reply.status == WIRE_NOT_OWNER && reply.value_size == WIRE_OWNER_SIZE &&
	       wire_get_u32(reply.value) == UNIT_NODE_IPV4 + node &&
	       wire_get_u32(reply.value + 8) == epoch;
}

static uint64_t number_in(struct wire_reply_op reply)
{
	return reply.status == WIRE_OK && reply.value_size == 8 ? wire_get_u64(reply.value) : 0;
}

static uint64_t counter(const struct story *story, uint32_t node, const char *name)
{
	return unit_node_counter(&story->cluster.nodes[node], name);
}

/* The item of a key at a node, whoever owns it. */
static const struct item *stored(struct story *story, uint32_t node, const char *key)
{
	struct core_shared *shared = story->cluster.nodes[node].shared;
	uint32_t partition = wire_partition_of(key, strlen(key), UNIT_CLUSTER_PARTITIONS);
	struct shard_batch batch = { .count = 1 };

	batch.keys[0] = (struct key_ref){
		.digest = key_digest(&shared->key_secret, key, (uint32_t)strlen(key)),
		.bytes = (const uint8_t *)key,
		.size = (uint16_t)strlen(key),
		.partition = (uint16_t)partition,
	};
	shard_lookup(shared->cores[shared->worker_of[partition]]->shard, &batch);
	return batch.items[0];
}

/* Loses the frames that are 'left' to be lost of those with a wire kind, but for the first 'skipped'. */
struct loss {
	uint8_t kind;
	uint32_t left;
};

static enum unit_fate lose(struct unit_cluster *cluster, uint32_t from, uint32_t to,
			   const uint8_t *frame, size_t size)
{
	struct loss *loss = cluster->context;

	(void)from, (void)to, (void)size;
	if (loss->left == 0 || frame[PACKET_AT_UDP_PAYLOAD + WIRE_AT_KIND] != loss->kind)
		return UNIT_DELIVER;
	loss->left--;
	return UNIT_LOSE;
}

/* Sends the datagram and loses the first frame of 'kind' that it causes: no answer. */
static void ask_in_vain(struct story *story, uint8_t kind)
{
	struct loss loss = { kind, 1 };

	story->cluster.decide = lose;
	story->cluster.context = &loss;
	CU_ASSERT_FALSE(ask(story));
	CU_ASSERT_EQUAL(loss.left, 0);
	story->cluster.decide = NULL;
}

/* ---- there and back ---- */

static void a_request_goes_to_the_owner_and_its_answer_comes_back(void)
{
	struct story *story = story_begin(3, 1);
	struct wire_reply_op reply;
	char key[16];

	key_in(3, 0, key);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	reply = one(story, unit_operation(WIRE_SET, key, "value"));
	CU_ASSERT_EQUAL(reply.status, WIRE_OK);
	CU_ASSERT_EQUAL(version_epoch(reply.version), 2);
	CU_ASSERT_EQUAL(wire_get_u32(story->payload + WIRE_AT_SEQUENCE), story->client.sequence);
	CU_ASSERT_EQUAL(wire_get_u64(story->payload + WIRE_AT_TOKEN), story->client.token);
	CU_ASSERT_TRUE(has_value(one(story, unit_operation(WIRE_GET, key, NULL)), "value"));
	CU_ASSERT_PTR_NULL(stored(story, A, key));
	CU_ASSERT_PTR_NOT_NULL(stored(story, B, key));
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 2);
	CU_ASSERT_EQUAL(counter(story, B, "forwards_received"), 2);
	CU_ASSERT_EQUAL(counter(story, A, "forward_replies"), 2);
	CU_ASSERT_EQUAL(counter(story, A, "requests"), 0);
	CU_ASSERT_EQUAL(counter(story, B, "requests"), 2);
	story_end(story);
}

/* The checks of the answer's headers are unit_check_answer()'s. */
static void the_answer_comes_from_the_port_that_was_asked(void)
{
	struct story *story = story_begin(2, 3);
	char key[16];

	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++)
		unit_cluster_agree(&story->cluster, p, B, 2);
	for (uint32_t worker = 0; worker < 3; worker++) {
		for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++) {
			begin(story);
			add(story, unit_operation(WIRE_SET, key_in(p, worker, key), key));
			CU_ASSERT_TRUE_FATAL(ask_at(story, worker));
			CU_ASSERT_EQUAL(story->replies[0].status, WIRE_OK);
			begin(story);
			add(story, unit_operation(WIRE_GET, key, NULL));
			CU_ASSERT_TRUE_FATAL(ask_at(story, worker));
			CU_ASSERT_TRUE(has_value(story->replies[0], key));
		}
	}
	/* FORWARDs go to the port of the worker that owns the key: it hands nothing over */
	CU_ASSERT_EQUAL(counter(story, B, "handed_to_owner"), 0);
	CU_ASSERT_EQUAL(counter(story, B, "requests"), 6 * UNIT_CLUSTER_PARTITIONS);
	story_end(story);
}

static void a_large_datagram_is_forwarded_whole(void)
{
	struct story *story = story_begin(2, 1);
	char keys[60][16];

	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++)
		unit_cluster_agree(&story->cluster, p, B, 2);
	begin(story);
	for (uint32_t i = 0; i < 30; i++)
		add(story, unit_operation(WIRE_SET, key_in(i % 8, i / 8, keys[i]), keys[i]));
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(story->reply_count, 30);
	begin(story);
	for (uint32_t i = 0; i < 50; i++)
		add(story, unit_operation(WIRE_GET, keys[i % 30], NULL));
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL_FATAL(story->reply_count, 50);
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT_TRUE(has_value(story->replies[i], keys[i % 30]));
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 2);
	story_end(story);
}

/* The largest datagrams there may be fit a frame with a FORWARD around them, both ways. */
static void the_largest_datagram_can_be_forwarded(void)
{
	struct story *story = story_begin(2, 1);
	static char value[UNIT_NODE_DATAGRAM_MAX];
	struct wire_request_op op;
	char key[16];

	key_in(1, 0, key);
	unit_cluster_agree(&story->cluster, 1, B, 2);
	memset(value, 'v', sizeof(value) - 1);
	op = unit_operation(WIRE_SET, key, value);
	op.value_size = story->cluster.nodes[A].shared->value_size_max - op.key_size;
	CU_ASSERT_EQUAL(one(story, op).status, WIRE_OK);
	op.value_size = (uint32_t)(UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE -
				   WIRE_REQUEST_OP_SIZE - op.key_size);
	begin(story);
	add(story, op);
	CU_ASSERT_EQUAL(story->datagram.size, UNIT_NODE_DATAGRAM_MAX);
	CU_ASSERT_TRUE(ask(story)); /* TOO_LARGE, for its reply would be; but it came through */
	op.value_size++;
	begin(story);
	add(story, op);
	CU_ASSERT_TRUE(ask(story));
	CU_ASSERT_TRUE(is_owner(story->replies[0], B, 2));
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 2);
	story_end(story);
}

/* One datagram has one destination: keys of others are told where to go. */
static void keys_of_several_nodes_are_not_forwarded(void)
{
	struct story *story = story_begin(3, 1);
	char own[16], of_b[16], of_c[16];

	unit_cluster_agree(&story->cluster, 1, B, 2);
	unit_cluster_agree(&story->cluster, 2, C, 3);
	key_in(0, 0, own);
	key_in(1, 0, of_b);
	key_in(2, 0, of_c);
	begin(story);
	add(story, unit_operation(WIRE_SET, own, "a"));
	add(story, unit_operation(WIRE_SET, of_b, "b"));
	add(story, unit_operation(WIRE_GET, of_c, NULL));
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(story->replies[0].status, WIRE_OK);
	CU_ASSERT_TRUE(is_owner(story->replies[1], B, 2));
	CU_ASSERT_TRUE(is_owner(story->replies[2], C, 3));
	begin(story);
	add(story, unit_operation(WIRE_GET, of_b, NULL));
	add(story, unit_operation(WIRE_GET, of_c, NULL));
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_TRUE(is_owner(story->replies[0], B, 2));
	CU_ASSERT_TRUE(is_owner(story->replies[1], C, 3));
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 0);
	story_end(story);
}

/* The first one to an unknown neighbour asks for its address, and the client to come again. */
static void the_owners_station_is_asked_for(void)
{
	struct story *story = calloc(1, sizeof(*story));
	char key[16];

	unit_cluster_create(&story->cluster, 2, 1); /* nobody is introduced */
	story->client = (struct unit_client){ .ipv4 = 0x0a010164, .port = 40000 };
	unit_cluster_hello(&story->cluster, &story->client);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	key_in(3, 0, key);
	CU_ASSERT_EQUAL(one(story, unit_operation(WIRE_GET, key, NULL)).status, WIRE_RETRY);
	CU_ASSERT_EQUAL(counter(story, A, "arp_questions"), 1);
	CU_ASSERT_EQUAL(counter(story, A, "arp_learned"), 1);
	CU_ASSERT_EQUAL(one(story, increment(key)).status, WIRE_OK);
	CU_ASSERT_EQUAL(counter(story, A, "arp_questions"), 1);
	story_end(story);
}

/* A write that is put off for the same reason is open: the same bytes are executed next time. */
static void a_write_waits_for_the_owners_station(void)
{
	struct story *story = calloc(1, sizeof(*story));
	char key[16];

	unit_cluster_create(&story->cluster, 2, 1);
	story->client = (struct unit_client){ .ipv4 = 0x0a010164, .port = 40000 };
	unit_cluster_hello(&story->cluster, &story->client);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	begin(story);
	add(story, increment(key_in(3, 0, key)));
	CU_ASSERT_TRUE(ask(story));
	CU_ASSERT_EQUAL(story->replies[0].status, WIRE_RETRY);
	CU_ASSERT_TRUE(ask(story));
	CU_ASSERT_EQUAL(number_in(story->replies[0]), 1);
	story_end(story);
}

/* Each read of a datagram is told to come again, whatever room their replies take. */
static void all_reads_wait_for_the_owners_station(void)
{
	static const char *const keys[] = { "key", "a longer key that one", "k" };
	struct story *story = calloc(1, sizeof(*story));

	unit_cluster_create(&story->cluster, 2, 1);
	story->client = (struct unit_client){ .ipv4 = 0x0a010164, .port = 40000 };
	unit_cluster_hello(&story->cluster, &story->client);
	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++)
		unit_cluster_agree(&story->cluster, p, B, 2);
	begin(story);
	for (uint32_t i = 0; i < 3; i++)
		add(story, unit_operation(i == 1 ? WIRE_EXISTS : WIRE_GET, keys[i], NULL));
	CU_ASSERT_TRUE(ask(story));
	CU_ASSERT_EQUAL(story->reply_count, 3);
	CU_ASSERT_EQUAL(story->payload[WIRE_AT_OP_COUNT], 3);
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(story->replies[i].opcode, i == 1 ? WIRE_EXISTS : WIRE_GET);
		CU_ASSERT_EQUAL(story->replies[i].status, WIRE_RETRY);
		CU_ASSERT_EQUAL(story->replies[i].value_size, 4);
	}
	story_end(story);
}

/* ---- who may forward ---- */

static size_t forge(uint8_t *frame, uint8_t kind, uint64_t token, const struct unit_client *sender,
		    const struct unit_datagram *inside)
{
	const struct wire_header header = { .kind = kind, .token = token };
	const struct wire_forward body = { .client_ipv4 = 0x0a010165,
					   .client_port = 1,
					   .entry_port = UNIT_NODE_PORT,
					   .hop_count = 1,
					   .ownership = 1 };
	struct unit_datagram datagram;

	wire_header_write(datagram.payload, &header);
	wire_forward_write(datagram.payload + WIRE_HEADER_SIZE, &body);
	memcpy(datagram.payload + WIRE_FORWARD_SIZE, inside->payload, inside->size);
	datagram.size = WIRE_FORWARD_SIZE + inside->size;
	return unit_frame(frame, sender, 0, &datagram);
}

static void only_nodes_of_the_cluster_may_forward(void)
{
	static const uint64_t tokens[] = { 0, 1, UINT64_C(0x70ce000000000100) };
	struct story *story = story_begin(2, 1);
	uint8_t frame[2048];
	char key[16];

	begin(story);
	add(story, unit_operation(WIRE_SET, key_in(0, 0, key), "forged"));
	for (uint32_t i = 0; i < 3; i++) {
		unit_cluster_send(&story->cluster, frame,
				  forge(frame, WIRE_FORWARD, tokens[i], &story->client,
					&story->datagram));
		unit_cluster_send(&story->cluster, frame,
				  forge(frame, WIRE_FORWARD_REPLY, tokens[i], &story->client,
					&story->datagram));
	}
	unit_cluster_pump(&story->cluster);
	CU_ASSERT_EQUAL(story->cluster.inbox_count, 0);
	CU_ASSERT_EQUAL(counter(story, A, "drop_forward_foreign"), 6);
	CU_ASSERT_EQUAL(counter(story, A, "forwards_received"), 0);
	CU_ASSERT_PTR_NULL(stored(story, A, key));
	story_end(story);
}

/* A node's token is good from its own address only, and only for requests that were not forwarded before. */
static void what_a_node_forwards_is_checked(void)
{
	struct story *story = story_begin(2, 1);
	struct unit_client node_b = { .ipv4 = UNIT_NODE_IPV4 + B, .port = UNIT_NODE_PORT };
	uint8_t frame[2048];
	size_t size;
	char key[16];

	begin(story);
	add(story, unit_operation(WIRE_SET, key_in(0, 0, key), "v"));
	size = forge(frame, WIRE_FORWARD, UINT64_C(0x70ce000000000100), &node_b, &story->datagram);
	unit_cluster_send(&story->cluster, frame, size);
	CU_ASSERT_PTR_NOT_NULL(stored(story, A, key));

	begin(story);
	add(story, unit_operation(WIRE_SET, key_in(0, 1, key), "v"));
	size = forge(frame, WIRE_FORWARD, UINT64_C(0x70ce000000000100), &node_b, &story->datagram);
	frame[PACKET_AT_UDP_PAYLOAD + WIRE_HEADER_SIZE + 14] = 2; /* hop_count */
	memset(frame + PACKET_AT_UDP_CHECKSUM, 0, 2);
	unit_cluster_send(&story->cluster, frame, size);
	story->datagram.payload[WIRE_AT_KIND] = WIRE_MAP_REQUEST;
	size = forge(frame, WIRE_FORWARD, UINT64_C(0x70ce000000000100), &node_b, &story->datagram);
	unit_cluster_send(&story->cluster, frame, size);
	size = forge(frame, WIRE_FORWARD_REPLY, UINT64_C(0x70ce000000000100), &node_b,
		     &story->datagram);
	unit_cluster_send(&story->cluster, frame, size);
	CU_ASSERT_EQUAL(counter(story, A, "drop_forward_bad"), 3);
	CU_ASSERT_PTR_NULL(stored(story, A, key));
	story_end(story);
}

/* A session is one node's: a write that waits here for another node's answer does not come again as a FORWARD. */
static void a_write_forwarded_from_here_is_not_forwarded_for_others(void)
{
	struct story *story = story_begin(2, 1);
	struct unit_client node_b = { .ipv4 = UNIT_NODE_IPV4 + B, .port = UNIT_NODE_PORT };
	uint8_t frame[2048];
	char key[16];

	unit_cluster_agree(&story->cluster, 3, B, 2);
	begin(story);
	add(story, increment(key_in(3, 0, key)));
	ask_in_vain(story, WIRE_FORWARD);
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 1);
	unit_cluster_send(&story->cluster, frame,
			  forge(frame, WIRE_FORWARD, UINT64_C(0x70ce000000000100), &node_b,
				&story->datagram));
	CU_ASSERT_EQUAL(counter(story, A, "drop_forward_bad"), 1);
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 1);
	story_end(story);
}

static void a_second_hop_is_refused(void)
{
	struct story *story = story_begin(3, 1);
	struct wire_reply_op reply;
	char key[16];

	key_in(3, 0, key);
	unit_cluster_agree(&story->cluster, 3, C, 3);
	unit_cluster_believe(&story->cluster, A, 3, B, 2); /* has not heard the news */
	CU_ASSERT_TRUE(is_owner(one(story, unit_operation(WIRE_GET, key, NULL)), C, 3));
	reply = one(story, unit_operation(WIRE_SET, key, "v"));
	CU_ASSERT_TRUE(is_owner(reply, C, 3));
	CU_ASSERT_EQUAL(counter(story, B, "forwards_sent"), 0);
	CU_ASSERT_EQUAL(counter(story, B, "forwards_stale"), 1);
	/* It is the answer of this sequence: a copy does not slip through when A knows better. */
	unit_cluster_believe(&story->cluster, A, 3, C, 3);
	CU_ASSERT_TRUE(ask(story));
	CU_ASSERT_TRUE(is_owner(story->replies[0], C, 3));
	CU_ASSERT_PTR_NULL(stored(story, C, key));
	CU_ASSERT_EQUAL(one(story, unit_operation(WIRE_SET, key, "v")).status, WIRE_OK);
	story_end(story);
}

/* ---- once ---- */

static void a_lost_answer_is_repeated_by_the_owner(void)
{
	static const uint8_t lost[] = { WIRE_FORWARD, WIRE_FORWARD_REPLY, WIRE_REPLY };
	struct story *story = story_begin(2, 1);
	char key[16];

	key_in(3, 0, key);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	for (uint32_t i = 0; i < 3; i++) {
		begin(story);
		add(story, increment(key));
		ask_in_vain(story, lost[i]);
		for (int copy = 0; copy < 3; copy++) {
			CU_ASSERT_TRUE_FATAL(ask(story));
			CU_ASSERT_EQUAL(number_in(story->replies[0]), i + 1);
		}
	}
	CU_ASSERT_EQUAL(counter(story, B, "op_increment"), 3);
	story_end(story);
}

/* Copies under way at the same time: one of them is executed. */
static void doubled_frames_are_executed_once(void)
{
	struct story *story = story_begin(2, 1);
	uint8_t frame[2048];
	size_t size;
	char key[16];

	key_in(3, 0, key);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	begin(story);
	add(story, increment(key));
	size = unit_frame(frame, &story->client, 0, &story->datagram);
	for (int i = 0; i < 4; i++)
		unit_cluster_send(&story->cluster, frame, size);
	unit_cluster_pump(&story->cluster);
	CU_ASSERT_EQUAL(story->cluster.inbox_count, 1);
	CU_ASSERT_EQUAL(counter(story, A, "drop_forward_late"), 3);
	CU_ASSERT_EQUAL(counter(story, B, "op_increment"), 1);
	CU_ASSERT_EQUAL(counter(story, B, "requests_repeated"), 3);
	story_end(story);
}

/* Moves partition 3 and tells everybody. */
static void move(struct story *story, uint32_t from, uint32_t to, uint32_t epoch)
{
	unit_cluster_move_data(&story->cluster, 3, from, to, epoch);
	unit_cluster_agree(&story->cluster, 3, (uint16_t)to, epoch);
}

static void a_write_answered_in_vain_before_a_move_is_not_executed_after_it(void)
{
	struct story *story = story_begin(3, 1);
	char key[16];

	key_in(3, 0, key);
	move(story, A, B, 2);
	begin(story);
	add(story, increment(key));
	ask_in_vain(story, WIRE_FORWARD_REPLY);
	move(story, B, C, 3);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(number_in(story->replies[0]), 1);
	CU_ASSERT_EQUAL(counter(story, C, "forwards_received"), 0);
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 2);
	CU_ASSERT_EQUAL(counter(story, C, "forwards_received"), 1);
	story_end(story);
}

/* The same with the entry node as the owner, before or after. */
static void a_write_executed_at_the_entry_is_not_forwarded_after_a_move(void)
{
	struct story *story = story_begin(2, 1);
	char key[16];

	begin(story);
	add(story, increment(key_in(3, 0, key)));
	ask_in_vain(story, WIRE_REPLY);
	move(story, A, B, 2);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(number_in(story->replies[0]), 1);
	CU_ASSERT_EQUAL(counter(story, B, "forwards_received"), 0);
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 2);
	story_end(story);
}

static void a_forwarded_write_is_not_executed_when_the_partition_comes_here(void)
{
	struct story *story = story_begin(2, 1);
	char key[16];

	key_in(3, 0, key);
	move(story, A, B, 2);
	begin(story);
	add(story, increment(key));
	ask_in_vain(story, WIRE_FORWARD_REPLY);
	move(story, B, A, 3);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(number_in(story->replies[0]), 1);
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 2);
	CU_ASSERT_EQUAL(counter(story, A, "op_increment"), 1);
	story_end(story);
}

/* A FORWARD that was lost: the old owner never saw the write and says so; the client asks anew, and nothing is done twice. */
static void a_write_that_never_came_is_disowned(void)
{
	struct story *story = story_begin(3, 1);
	struct unit_datagram first;
	char key[16];

	key_in(3, 0, key);
	move(story, A, B, 2);
	begin(story);
	add(story, increment(key));
	ask_in_vain(story, WIRE_FORWARD);
	first = story->datagram;
	move(story, B, C, 3);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_TRUE(is_owner(story->replies[0], C, 3));
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 1);
	/* Late copies of the first sequence, wherever the partition is by then. */
	for (uint32_t epoch = 4; epoch < 8; epoch++) {
		move(story, epoch % 2 ? B : C, epoch % 2 ? C : B, epoch);
		story->datagram = first;
		CU_ASSERT_TRUE_FATAL(ask(story));
		CU_ASSERT_TRUE(is_owner(story->replies[0], C, 3));
	}
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 2);
	story_end(story);
}

/* A FORWARD that was on its way through two moves finds an owner of another epoch. */
static void a_forward_is_good_for_one_ownership(void)
{
	struct story *story = story_begin(3, 1);
	struct unit_flight delayed;
	uint8_t frame[2048];
	char key[16];

	key_in(3, 0, key);
	move(story, A, B, 2);
	begin(story);
	add(story, increment(key));
	unit_cluster_send(&story->cluster, frame,
			  unit_frame(frame, &story->client, 0, &story->datagram));
	delayed.size = unit_node_take(&story->cluster.nodes[A], delayed.frame);
	CU_ASSERT(delayed.size > 0);
	move(story, B, C, 3);
	CU_ASSERT_TRUE_FATAL(ask(story)); /* a copy: B says that it never will */
	CU_ASSERT_TRUE(is_owner(story->replies[0], C, 3));
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 1);
	move(story, C, B, 4);
	unit_cluster_send(&story->cluster, delayed.frame, delayed.size);
	unit_cluster_pump(&story->cluster);
	CU_ASSERT_EQUAL(story->cluster.inbox_count, 0);
	CU_ASSERT_EQUAL(counter(story, B, "op_increment"), 0);
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 2);
	story_end(story);
}

/* The entry node may hear of the new owner before that one serves. */
static void an_owner_to_be_says_retry_until_it_serves(void)
{
	struct story *story = story_begin(3, 1);
	char key[16];

	key_in(3, 0, key);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	unit_cluster_believe(&story->cluster, A, 3, C, 3);
	begin(story);
	add(story, increment(key));
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(story->replies[0].status, WIRE_RETRY);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(story->replies[0].status, WIRE_RETRY);
	unit_cluster_believe(&story->cluster, C, 3, C, 3);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(number_in(story->replies[0]), 1);
	CU_ASSERT_TRUE_FATAL(ask(story));
	CU_ASSERT_EQUAL(number_in(story->replies[0]), 1);
	story_end(story);
}

/* Nobody else knows whether a lost node executed the write: silence, and the client says UNKNOWN. */
static void a_write_bound_to_a_lost_node_gets_no_answer(void)
{
	struct story *story = story_begin(3, 1);
	char key[16];

	key_in(3, 0, key);
	unit_cluster_agree(&story->cluster, 3, B, 2);
	begin(story);
	add(story, increment(key));
	ask_in_vain(story, WIRE_FORWARD_REPLY);
	story->cluster.is_lost[B] = true;
	unit_cluster_agree(&story->cluster, 3, C, 3);
	CU_ASSERT_FALSE(ask(story));
	CU_ASSERT_EQUAL(counter(story, A, "drop_forward_no_peer"), 1);
	CU_ASSERT_EQUAL(number_in(one(story, increment(key))), 1);
	story_end(story);
}

static void without_a_session_the_client_is_told_whom_to_ask(void)
{
	struct story *story = story_begin(3, 1);
	char key[16];

	key_in(3, 0, key);
	story->cluster.is_lost[B] = true;
	unit_cluster_agree(&story->cluster, 3, B, 2);
	CU_ASSERT_TRUE(is_owner(one(story, unit_operation(WIRE_GET, key, NULL)), B, 2));
	CU_ASSERT_TRUE(is_owner(one(story, increment(key)), B, 2));
	/* and that is remembered, like any answer to a write */
	story->cluster.is_lost[B] = false;
	unit_cluster_agree(&story->cluster, 3, B, 2);
	CU_ASSERT_TRUE(ask(story));
	CU_ASSERT_TRUE(is_owner(story->replies[0], B, 2));
	CU_ASSERT_EQUAL(counter(story, B, "op_increment"), 0);
	story_end(story);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_request_goes_to_the_owner_and_its_answer_comes_back),
		UNIT_TEST(the_answer_comes_from_the_port_that_was_asked),
		UNIT_TEST(a_large_datagram_is_forwarded_whole),
		UNIT_TEST(the_largest_datagram_can_be_forwarded),
		UNIT_TEST(keys_of_several_nodes_are_not_forwarded),
		UNIT_TEST(the_owners_station_is_asked_for),
		UNIT_TEST(a_write_waits_for_the_owners_station),
		UNIT_TEST(all_reads_wait_for_the_owners_station),
		UNIT_TEST(only_nodes_of_the_cluster_may_forward),
		UNIT_TEST(what_a_node_forwards_is_checked),
		UNIT_TEST(a_write_forwarded_from_here_is_not_forwarded_for_others),
		UNIT_TEST(a_second_hop_is_refused),
		UNIT_TEST(a_lost_answer_is_repeated_by_the_owner),
		UNIT_TEST(doubled_frames_are_executed_once),
		UNIT_TEST(a_write_answered_in_vain_before_a_move_is_not_executed_after_it),
		UNIT_TEST(a_write_executed_at_the_entry_is_not_forwarded_after_a_move),
		UNIT_TEST(a_forwarded_write_is_not_executed_when_the_partition_comes_here),
		UNIT_TEST(a_write_that_never_came_is_disowned),
		UNIT_TEST(a_forward_is_good_for_one_ownership),
		UNIT_TEST(an_owner_to_be_says_retry_until_it_serves),
		UNIT_TEST(a_write_bound_to_a_lost_node_gets_no_answer),
		UNIT_TEST(without_a_session_the_client_is_told_whom_to_ask),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("request_forward", tests);
}
