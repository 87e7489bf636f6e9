/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for a partition that is about to change its owner: parked, and each answered within its bound. */
#include "dataplane/request_park.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_partition.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_cluster.h"

enum { A, B, C };

#define MOVING 3u

struct story {
	struct unit_cluster cluster;
	struct unit_client client;
	uint8_t payload[2048];
	struct wire_reply_op reply;
};

static struct story *story_begin(uint32_t worker_count)
{
	struct story *story = calloc(1, sizeof(*story));

	unit_cluster_create(&story->cluster, 3, worker_count);
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

static const char *key_in(uint32_t partition, char key[16])
{
	for (uint32_t i = 0;; i++) {
		snprintf(key, 16, "key%u", i);
		if (wire_partition_of(key, strlen(key), UNIT_CLUSTER_PARTITIONS) == partition)
			return key;
	}
}

static void make(struct story *story, struct unit_datagram *datagram, uint8_t opcode,
		 uint32_t partition)
{
	static uint8_t delta_and_initial[16] = { [7] = 1, [15] = 1 };
	char key[16];
	struct wire_request_op op = { .opcode = opcode, .key = (const uint8_t *)key };

	op.key_size = (uint16_t)strlen(key_in(partition, key));
	if (opcode == WIRE_INCREMENT) {
		op.value = delta_and_initial;
		op.value_size = 16;
	}
	unit_request_begin(datagram, &story->client);
	unit_request_add(datagram, &op);
}

/* Whether there was an answer, in story->reply; the datagram may be asked again. */
static bool ask(struct story *story, const struct unit_datagram *datagram)
{
	size_t size = unit_cluster_exchange(&story->cluster, &story->client, 0, datagram,
					    story->payload);

	return size > 0 && wire_reply_op_read(story->payload + WIRE_HEADER_SIZE,
					      story->payload + size, &story->reply) != NULL;
}

/* Whether an answer came meanwhile. */
static bool hear(struct story *story)
{
	struct unit_flight *flight = &story->cluster.inbox[0];
	size_t size;

	unit_cluster_pump(&story->cluster);
	if (story->cluster.inbox_count == 0)
		return false;
	size = unit_check_answer(&story->client, 0, flight->frame, flight->size, story->payload);
	story->cluster.inbox_count--;
	memmove(flight, flight + 1, story->cluster.inbox_count * sizeof(*flight));
	return wire_reply_op_read(story->payload + WIRE_HEADER_SIZE, story->payload + size,
				  &story->reply) != NULL;
}

static uint64_t number(const struct story *story)
{
	return story->reply.status == WIRE_OK && story->reply.value_size == 8
		       ? wire_get_u64(story->reply.value)
		       : 0;
}

static void set_access(struct story *story, enum route_access access)
{
	unit_node_set_access(&story->cluster.nodes[A], MOVING, access);
}

static uint64_t counter(const struct story *story, uint32_t node, const char *name)
{
	return unit_node_counter(&story->cluster.nodes[node], name);
}

static void writes_wait_behind_a_fence_and_reads_do_not(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram write, read, other;

	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_TRUE(ask(story, &write));
	set_access(story, ROUTE_WRITES_PARKED);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_FALSE(ask(story, &write));
	make(story, &read, WIRE_GET, MOVING);
	CU_ASSERT_TRUE(ask(story, &read));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_OK);
	make(story, &other, WIRE_INCREMENT, MOVING + 1);
	CU_ASSERT_TRUE(ask(story, &other));
	CU_ASSERT_EQUAL(counter(story, A, "requests_parked"), 1);
	CU_ASSERT_EQUAL(story->cluster.nodes[A].cores[0]->parking.count, 1);
	story_end(story); /* with the request still parked: its buffer is given back */
}

static void what_was_parked_goes_on_when_the_fence_comes_down(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram datagram;

	set_access(story, ROUTE_WRITES_PARKED);
	for (int i = 0; i < 3; i++) {
		make(story, &datagram, WIRE_INCREMENT, MOVING);
		CU_ASSERT_FALSE(ask(story, &datagram));
		CU_ASSERT_FALSE(ask(story, &datagram)); /* and a copy */
	}
	set_access(story, ROUTE_PARKED);
	CU_ASSERT_FALSE(hear(story));
	set_access(story, ROUTE_BY_OWNER);
	for (uint64_t n = 1; n <= 3; n++) {
		CU_ASSERT_TRUE(hear(story));
		CU_ASSERT_EQUAL(number(story), n);
	}
	CU_ASSERT_FALSE(hear(story)); /* copies in the same batch are dropped */
	CU_ASSERT_EQUAL(counter(story, A, "op_increment"), 3);
	CU_ASSERT_EQUAL(story->cluster.nodes[A].cores[0]->parking.count, 0);
	story_end(story);
}

static void reads_wait_behind_the_second_fence(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram datagram;

	set_access(story, ROUTE_PARKED);
	make(story, &datagram, WIRE_GET, MOVING);
	CU_ASSERT_FALSE(ask(story, &datagram));
	set_access(story, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_NOT_FOUND);
	story_end(story);
}

/* Fence, move, COMMIT: reads and writes are answered by the new owner, through this node. */
static void what_was_parked_is_forwarded_to_the_new_owner(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram before, write, read;

	make(story, &before, WIRE_INCREMENT, MOVING);
	CU_ASSERT_TRUE(ask(story, &before));
	set_access(story, ROUTE_PARKED);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_FALSE(ask(story, &write));
	CU_ASSERT_FALSE(ask(story, &before)); /* a copy of what was executed here */
	make(story, &read, WIRE_GET, MOVING);
	CU_ASSERT_FALSE(ask(story, &read));
	unit_cluster_move_data(&story->cluster, MOVING, A, B, 2);
	unit_cluster_agree(&story->cluster, MOVING, B, 2); /* the map alone opens no fence */
	CU_ASSERT_FALSE(hear(story));
	set_access(story, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(counter(story, A, "requests_repeated"), 1);
	CU_ASSERT_EQUAL(counter(story, A, "forwards_sent"), 2);
	CU_ASSERT_EQUAL(counter(story, B, "op_increment"), 1);
	CU_ASSERT_EQUAL(counter(story, B, "op_get"), 1);
	CU_ASSERT_TRUE(ask(story, &write));
	CU_ASSERT_EQUAL(number(story), 2);
	story_end(story);
}

/* Who had it forwarded is told by the old owner whom to ask: there is no second hop. */
/* The node has lost every buffer but those that hold what it took in. */
static void what_was_parked_is_answered_without_another_buffer(void)
{
	struct story *story = story_begin(1);
	struct unit_node *node = &story->cluster.nodes[A];
	struct unit_datagram write, read;

	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_TRUE(ask(story, &write));
	set_access(story, ROUTE_WRITES_PARKED);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_FALSE(ask(story, &write));
	unit_node_set_out_of_buffers(node, true);
	make(story, &read, WIRE_GET, MOVING);
	CU_ASSERT_FALSE(ask(story, &read));
	CU_ASSERT_EQUAL(node->missed, 1);
	set_access(story, ROUTE_SERVED);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(number(story), 2);
	unit_node_set_out_of_buffers(node, false);
	CU_ASSERT_TRUE(ask(story, &read));
	story_end(story);
}

static void what_was_forwarded_and_parked_is_disowned(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram write;

	story->client.node = C;
	unit_cluster_hello(&story->cluster, &story->client);
	set_access(story, ROUTE_WRITES_PARKED);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_FALSE(ask(story, &write));
	CU_ASSERT_EQUAL(counter(story, A, "requests_parked"), 1);
	set_access(story, ROUTE_PARKED);
	unit_cluster_move_data(&story->cluster, MOVING, A, B, 2);
	unit_cluster_agree(&story->cluster, MOVING, B, 2);
	set_access(story, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_NOT_OWNER);
	CU_ASSERT_EQUAL(wire_get_u32(story->reply.value), UNIT_NODE_IPV4 + B);
	CU_ASSERT_TRUE(ask(story, &write));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_NOT_OWNER);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_TRUE(ask(story, &write));
	CU_ASSERT_EQUAL(number(story), 1);
	CU_ASSERT_EQUAL(counter(story, A, "op_increment"), 0);
	story_end(story);
}

/* A forwarded write that waited in vain is executed here after all, when the migration was given up. */
static void what_was_forwarded_and_parked_goes_on_after_an_abort(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram write;

	story->client.node = C;
	unit_cluster_hello(&story->cluster, &story->client);
	set_access(story, ROUTE_WRITES_PARKED);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_FALSE(ask(story, &write));
	set_access(story, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(number(story), 1);
	CU_ASSERT_TRUE(ask(story, &write));
	CU_ASSERT_EQUAL(number(story), 1);
	story_end(story);
}

static void refused_requests_may_come_again(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram write, read;

	set_access(story, ROUTE_PARKED);
	make(story, &write, WIRE_INCREMENT, MOVING);
	CU_ASSERT_FALSE(ask(story, &write));
	set_access(story, ROUTE_REFUSED);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_RETRY);
	make(story, &read, WIRE_GET, MOVING);
	CU_ASSERT_TRUE(ask(story, &read));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_RETRY);
	CU_ASSERT_TRUE(ask(story, &write));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_RETRY);
	set_access(story, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(ask(story, &write));
	CU_ASSERT_EQUAL(number(story), 1);
	story_end(story);
}

/* Invariant 4: nothing is parked for ever, and never more than so many. */
static void beyond_its_bounds_parking_is_a_retry(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram datagram;
	uint32_t answered = 0;

	set_access(story, ROUTE_PARKED);
	for (uint32_t i = 0; i < PARKED_MAX; i++) {
		make(story, &datagram, i % 2 ? WIRE_GET : WIRE_INCREMENT, MOVING);
		CU_ASSERT_FALSE_FATAL(ask(story, &datagram));
	}
	make(story, &datagram, WIRE_GET, MOVING);
	CU_ASSERT_TRUE(ask(story, &datagram));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_RETRY);
	unit_cluster_advance(&story->cluster, PARKED_MS_MAX - 1);
	unit_node_unpark(&story->cluster.nodes[A]);
	CU_ASSERT_FALSE(hear(story));
	unit_cluster_advance(&story->cluster, 1);
	unit_node_unpark(&story->cluster.nodes[A]);
	for (; hear(story); answered++)
		CU_ASSERT_EQUAL(story->reply.status, WIRE_RETRY);
	CU_ASSERT_EQUAL(answered, PARKED_MAX);
	CU_ASSERT_EQUAL(counter(story, A, "requests_parked"), PARKED_MAX);
	CU_ASSERT_EQUAL(counter(story, A, "parked_refused"), PARKED_MAX + 1);
	CU_ASSERT_EQUAL(counter(story, A, "requests"), 0);
	story_end(story);
}

/* The time that a request has waited counts on when it has to wait for another partition then. */
static void a_request_waits_for_its_partitions_once(void)
{
	struct story *story = story_begin(1);
	struct unit_node *node = &story->cluster.nodes[A];
	struct unit_datagram datagram;
	struct wire_request_op op = { .opcode = WIRE_GET };
	char keys[2][16];

	unit_request_begin(&datagram, &story->client);
	for (uint32_t i = 0; i < 2; i++) {
		op.key = (const uint8_t *)key_in(MOVING + i, keys[i]);
		op.key_size = (uint16_t)strlen(keys[i]);
		unit_request_add(&datagram, &op);
	}
	unit_node_set_access(node, MOVING, ROUTE_PARKED);
	unit_node_set_access(node, MOVING + 1, ROUTE_PARKED);
	CU_ASSERT_FALSE(ask(story, &datagram));
	unit_cluster_advance(&story->cluster, PARKED_MS_MAX - 10);
	unit_node_set_access(node, MOVING + 1, ROUTE_BY_OWNER);
	unit_node_set_access(node, MOVING, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_NOT_FOUND);

	unit_node_set_access(node, MOVING, ROUTE_PARKED);
	unit_node_set_access(node, MOVING + 1, ROUTE_PARKED);
	CU_ASSERT_FALSE(ask(story, &datagram));
	unit_cluster_advance(&story->cluster, PARKED_MS_MAX - 10);
	unit_node_set_access(node, MOVING + 1, ROUTE_BY_OWNER); /* judged anew, parked again */
	CU_ASSERT_FALSE(hear(story));
	unit_cluster_advance(&story->cluster, 10);
	unit_node_unpark(node);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_EQUAL(story->reply.status, WIRE_RETRY);
	CU_ASSERT_EQUAL(counter(story, A, "requests_parked"), 2);
	story_end(story);
}

/* Whatever came in when: more than one burst, in order. */
static void many_parked_requests_are_answered_in_order(void)
{
	struct story *story = story_begin(1);
	struct unit_datagram datagram;

	set_access(story, ROUTE_PARKED);
	for (uint32_t i = 0; i < 100; i++) {
		make(story, &datagram, WIRE_INCREMENT, MOVING);
		CU_ASSERT_FALSE_FATAL(ask(story, &datagram));
	}
	set_access(story, ROUTE_BY_OWNER);
	for (uint64_t n = 1; n <= 100; n++) {
		CU_ASSERT_TRUE_FATAL(hear(story));
		CU_ASSERT_EQUAL(number(story), n);
	}
	story_end(story);
}

/* With several workers: a write waits at its owner, a read where it came in. */
static void every_worker_parks(void)
{
	struct story *story = story_begin(3);
	struct unit_datagram read, write;

	set_access(story, ROUTE_PARKED);
	make(story, &read, WIRE_GET, MOVING + 1);
	make(story, &write, WIRE_INCREMENT, MOVING + 1);
	unit_node_set_access(&story->cluster.nodes[A], MOVING + 1, ROUTE_PARKED);
	CU_ASSERT_FALSE(ask(story, &read));
	CU_ASSERT_FALSE(ask(story, &write));
	CU_ASSERT_EQUAL(story->cluster.nodes[A].cores[0]->parking.count, 1);
	CU_ASSERT_EQUAL(story->cluster.nodes[A].cores[(MOVING + 1) % 3]->parking.count, 1);
	unit_node_set_access(&story->cluster.nodes[A], MOVING + 1, ROUTE_BY_OWNER);
	CU_ASSERT_TRUE(hear(story));
	CU_ASSERT_TRUE(hear(story));
	story_end(story);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(writes_wait_behind_a_fence_and_reads_do_not),
		UNIT_TEST(what_was_parked_goes_on_when_the_fence_comes_down),
		UNIT_TEST(reads_wait_behind_the_second_fence),
		UNIT_TEST(what_was_parked_is_forwarded_to_the_new_owner),
		UNIT_TEST(what_was_parked_is_answered_without_another_buffer),
		UNIT_TEST(what_was_forwarded_and_parked_is_disowned),
		UNIT_TEST(what_was_forwarded_and_parked_goes_on_after_an_abort),
		UNIT_TEST(refused_requests_may_come_again),
		UNIT_TEST(beyond_its_bounds_parking_is_a_retry),
		UNIT_TEST(a_request_waits_for_its_partitions_once),
		UNIT_TEST(many_parked_requests_are_answered_in_order),
		UNIT_TEST(every_worker_parks),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("request_park", tests);
}
