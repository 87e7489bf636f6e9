/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the control thread: executed here or elsewhere, once, or honestly not. */
#include <errno.h>
#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/local_client.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_partition.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_cluster.h"

/* Node A has the client; it owns everything at first. */
enum { A, B };

/* What became of one request. */
struct outcome {
	uint32_t calls;
	struct local_answer answer;
	uint8_t value[2048];
};

struct story {
	struct unit_cluster cluster;
	struct local_client *client;
	uint64_t now_ms;
	struct outcome outcome; /* of the last request by ask() */
	uint32_t lose;          /* frames to lose, ... */
	bool loses_replies;     /* ... of those that come back to A; else of those that leave it */
	uint32_t mbufs_before;
};

static uint32_t mbufs_left(void)
{
	struct rte_mempool *pool = rte_mempool_lookup("unit_node");

	return pool ? rte_mempool_avail_count(pool) : 0;
}

static struct story *story_begin(uint32_t node_count, uint32_t worker_count)
{
	struct story *story = calloc(1, sizeof(*story));

	unit_cluster_create(&story->cluster, node_count, worker_count);
	unit_cluster_introduce(&story->cluster);
	story->mbufs_before = mbufs_left();
	story->now_ms = 1000;
	CU_ASSERT_EQUAL_FATAL(local_client_create(&story->client, story->cluster.nodes[A].shared),
			      0);
	story->cluster.context = story;
	return story;
}

static void story_end(struct story *story)
{
	local_client_destroy(story->client);
	unit_cluster_destroy(&story->cluster);
	CU_ASSERT_EQUAL(mbufs_left(), story->mbufs_before);
	free(story);
}

static void done(void *context, const struct local_answer *answer)
{
	struct outcome *outcome = context;

	outcome->calls++;
	outcome->answer = *answer;
	if (answer->value_size > 0)
		memcpy(outcome->value, answer->value, answer->value_size);
}

static struct wire_request_op increment(const char *key)
{
	static uint8_t delta_and_initial[16] = { [7] = 1, [15] = 1 };
	struct wire_request_op op = unit_operation(WIRE_INCREMENT, key, NULL);

	op.value = delta_and_initial;
	op.value_size = sizeof(delta_and_initial);
	return op;
}

/* A key of a partition. */
static const char *key_in(uint32_t partition, char key[16])
{
	for (uint32_t i = 0;; i++) {
		snprintf(key, 16, "key%u", i);
		if (wire_partition_of(key, strlen(key), UNIT_CLUSTER_PARTITIONS) == partition)
			return key;
	}
}

/* Workers and network do what there is to do, and the client looks. Whether requests are open. */
static bool look(struct story *story)
{
	for (uint32_t i = 0; i < story->cluster.node_count; i++)
		unit_node_unpark(&story->cluster.nodes[i]);
	unit_cluster_pump(&story->cluster);
	return local_client_poll(story->client, story->now_ms);
}

static bool look_after(struct story *story, uint64_t ms)
{
	story->now_ms += ms;
	unit_cluster_advance(&story->cluster, ms);
	return look(story);
}

static void ask(struct story *story, struct wire_request_op op)
{
	memset(&story->outcome, 0, sizeof(story->outcome));
	CU_ASSERT_EQUAL_FATAL(
		local_client_send(story->client, &op, story->now_ms, done, &story->outcome), 0);
}

/* Asks, and looks for up to a second. */
static enum wire_status ask_and_wait(struct story *story, struct wire_request_op op)
{
	ask(story, op);
	look(story);
	for (uint32_t i = 0; i < 100 && story->outcome.calls == 0; i++)
		look_after(story, 10);
	CU_ASSERT_EQUAL(story->outcome.calls, 1);
	CU_ASSERT_EQUAL(story->outcome.answer.outcome, LOCAL_ANSWERED);
	return (enum wire_status)story->outcome.answer.status;
}

/* Looks until the deadline is over; the outcome. */
static enum local_outcome wait_for_end(struct story *story)
{
	while (look_after(story, 7))
		;
	CU_ASSERT_EQUAL(story->outcome.calls, 1);
	return story->outcome.answer.outcome;
}

static bool has_value(const struct outcome *outcome, const char *value)
{
	return outcome->answer.value_size == strlen(value) &&
	       memcmp(outcome->value, value, strlen(value)) == 0;
}

static enum unit_fate lose_some(struct unit_cluster *cluster, uint32_t from, uint32_t to,
				const uint8_t *frame, size_t size)
{
	struct story *story = cluster->context;

	(void)to;
	(void)frame;
	(void)size;
	if (story->lose == 0 || (from != A) != story->loses_replies)
		return UNIT_DELIVER;
	story->lose--;
	return UNIT_LOSE;
}

/* ---- at the node itself ---- */

static void every_worker_answers(void)
{
	struct story *story = story_begin(1, 4);
	uint64_t version;
	char key[16];

	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++) {
		key_in(p, key);
		CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_GET, key, NULL)),
				WIRE_NOT_FOUND);
		CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_SET, key, "value")),
				WIRE_OK);
		version = story->outcome.answer.version;
		CU_ASSERT_NOT_EQUAL(version, 0);
		CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_GET, key, NULL)), WIRE_OK);
		CU_ASSERT(has_value(&story->outcome, "value"));
		CU_ASSERT_EQUAL(story->outcome.answer.version, version);
	}
	CU_ASSERT_FALSE(look(story));
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "local_answers"),
			3 * UNIT_CLUSTER_PARTITIONS);
	CU_ASSERT_EQUAL(story->cluster.nodes[A].reply_count, 0);
	story_end(story);
}

/* A worker that gets a write for another one hands it over, whoever sent it. */
static void a_request_finds_its_worker(void)
{
	struct story *story = story_begin(1, 2);
	struct core_shared *shared = story->cluster.nodes[A].shared;
	char key[16];

	key_in(1, key);
	shared->worker_of[1] = 0; /* what the client goes by */
	ask(story, unit_operation(WIRE_SET, key, "value"));
	shared->worker_of[1] = 1;
	look(story);
	CU_ASSERT_EQUAL(story->outcome.calls, 1);
	CU_ASSERT_EQUAL(story->outcome.answer.status, WIRE_OK);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "handed_to_owner"), 1);
	story_end(story);
}

static void a_parked_request_waits(void)
{
	struct story *story = story_begin(1, 2);
	char key[16];

	key_in(3, key);
	unit_node_set_access(&story->cluster.nodes[A], 3, ROUTE_WRITES_PARKED);
	ask(story, unit_operation(WIRE_SET, key, "value"));
	CU_ASSERT(look(story));
	CU_ASSERT_EQUAL(story->outcome.calls, 0);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "requests_parked"), 1);
	unit_node_set_access(&story->cluster.nodes[A], 3, ROUTE_BY_OWNER);
	CU_ASSERT_FALSE(look(story));
	CU_ASSERT_EQUAL(story->outcome.answer.status, WIRE_OK);
	story_end(story);
}

static void a_request_put_off_comes_again(void)
{
	struct story *story = story_begin(1, 1);
	char key[16];

	key_in(3, key);
	unit_node_set_access(&story->cluster.nodes[A], 3, ROUTE_REFUSED);
	ask(story, increment(key));
	for (uint32_t i = 0; i < 50; i++)
		CU_ASSERT(look_after(story, 10));
	unit_node_set_access(&story->cluster.nodes[A], 3, ROUTE_BY_OWNER);
	look_after(story, 10);
	look_after(story, 1);
	CU_ASSERT_EQUAL(story->outcome.answer.outcome, LOCAL_ANSWERED);
	CU_ASSERT_EQUAL(story->outcome.answer.status, WIRE_OK);
	CU_ASSERT_EQUAL(wire_get_u64(story->outcome.value), 1);
	story_end(story);
}

static void a_request_put_off_for_ever_was_not_applied(void)
{
	struct story *story = story_begin(1, 1);
	char key[16];

	key_in(3, key);
	unit_node_set_access(&story->cluster.nodes[A], 3, ROUTE_REFUSED);
	ask(story, increment(key));
	CU_ASSERT_EQUAL(wait_for_end(story), LOCAL_NOT_APPLIED);
	CU_ASSERT_EQUAL(story->outcome.answer.status, WIRE_RETRY);
	CU_ASSERT_EQUAL(story->now_ms - 1000, (LOCAL_DEADLINE_MS + 6) / 7 * 7);
	story_end(story);
}

static void requests_are_bounded_in_size(void)
{
	struct story *story = story_begin(1, 1);
	static char value[2048];
	struct wire_request_op op;

	memset(value, 'v', sizeof(value));
	op = unit_operation(WIRE_SET, "key", NULL);
	op.value = (const uint8_t *)value;
	op.value_size = local_client_value_size_max(story->client, 3);
	CU_ASSERT_EQUAL(ask_and_wait(story, op), WIRE_OK);
	CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_GET, "key", NULL)), WIRE_OK);
	CU_ASSERT_EQUAL(story->outcome.answer.value_size, op.value_size);
	CU_ASSERT(memcmp(story->outcome.value, value, op.value_size) == 0);
	op.value_size = UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE - WIRE_REQUEST_OP_SIZE - 2;
	CU_ASSERT_EQUAL(local_client_send(story->client, &op, story->now_ms, done, NULL),
			-EMSGSIZE);
	story_end(story);
}

static void requests_are_bounded_in_number(void)
{
	struct wire_request_op op = increment("counter");
	struct story *story = story_begin(1, 1);
	struct outcome outcomes[LOCAL_REQUESTS_MAX] = { 0 };

	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++)
		CU_ASSERT_EQUAL(
			local_client_send(story->client, &op, story->now_ms, done, &outcomes[i]),
			0);
	CU_ASSERT_EQUAL(local_client_send(story->client, &op, story->now_ms, done, NULL), -EAGAIN);
	CU_ASSERT_FALSE(look(story));
	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++) {
		CU_ASSERT_EQUAL(outcomes[i].calls, 1);
		CU_ASSERT_EQUAL(wire_get_u64(outcomes[i].value), i + 1);
	}
	CU_ASSERT_EQUAL(ask_and_wait(story, op), WIRE_OK);
	story_end(story);
}

/* An old request may not be overtaken by as many sequences as the replay window remembers. */
static void an_open_request_stays_within_the_replay_window(void)
{
	struct wire_request_op op = increment("counter");
	struct story *story = story_begin(1, 1);
	struct outcome stuck = { 0 };
	struct outcome other = { 0 };
	uint32_t partition = wire_partition_of("counter", 7, UNIT_CLUSTER_PARTITIONS) ^ 1;
	uint32_t sent = 0;
	char key[16];

	key_in(partition, key);
	unit_node_set_access(&story->cluster.nodes[A], partition, ROUTE_REFUSED);
	op = unit_operation(WIRE_SET, key, "v");
	CU_ASSERT_EQUAL(local_client_send(story->client, &op, story->now_ms, done, &stuck), 0);
	op = increment("counter");
	while (local_client_send(story->client, &op, story->now_ms, done, &other) == 0) {
		look(story);
		sent++;
	}
	CU_ASSERT_EQUAL(sent, REPLAY_WINDOW_SIZE / 2);
	CU_ASSERT_EQUAL(other.calls, sent);
	CU_ASSERT_EQUAL(stuck.calls, 0);
	story->outcome.calls = 1;
	wait_for_end(story);
	CU_ASSERT_EQUAL(stuck.calls, 1);
	CU_ASSERT_EQUAL(ask_and_wait(story, op), WIRE_OK);
	story_end(story);
}

static void the_end_of_the_client_is_an_answer(void)
{
	struct story *story = story_begin(1, 1);

	ask(story, increment("counter"));
	local_client_destroy(story->client);
	story->client = NULL;
	CU_ASSERT_EQUAL(story->outcome.calls, 1);
	CU_ASSERT_EQUAL(story->outcome.answer.outcome, LOCAL_UNKNOWN);
	unit_node_unpark(&story->cluster.nodes[A]); /* the answer is nobody's */
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "local_answers"), 1);
	story_end(story);
}

/* ---- over two nodes ---- */

static struct story *story_of_two(uint32_t partition, char key[16])
{
	struct story *story = story_begin(2, 2);

	key_in(partition, key);
	unit_cluster_agree(&story->cluster, partition, B, 2);
	story->cluster.decide = lose_some;
	return story;
}

static void a_foreign_key_is_forwarded(void)
{
	char key[16];
	struct story *story = story_of_two(3, key);

	CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_SET, key, "there")), WIRE_OK);
	CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_GET, key, NULL)), WIRE_OK);
	CU_ASSERT(has_value(&story->outcome, "there"));
	CU_ASSERT_EQUAL(ask_and_wait(story, unit_operation(WIRE_ADD, key, "x")),
			WIRE_EXISTS_ALREADY);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "forwards_sent"), 3);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[B], "op_set"), 1);
	CU_ASSERT_EQUAL(story->cluster.inbox_count, 0);
	story_end(story);
}

/* Loses 'count' of the frames of one INCREMENT, which must be applied once all the same. */
static void increment_through_losses(uint32_t count, bool loses_replies)
{
	char key[16];
	struct story *story = story_of_two(3, key);

	story->lose = count;
	story->loses_replies = loses_replies;
	CU_ASSERT_EQUAL(ask_and_wait(story, increment(key)), WIRE_OK);
	CU_ASSERT_EQUAL(story->lose, 0);
	CU_ASSERT_EQUAL(wire_get_u64(story->outcome.value), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[B], "op_increment"), 1);
	CU_ASSERT_EQUAL(ask_and_wait(story, increment(key)), WIRE_OK);
	CU_ASSERT_EQUAL(wire_get_u64(story->outcome.value), 2);
	story_end(story);
}

static void a_lost_forward_is_repeated(void)
{
	increment_through_losses(1, false);
	increment_through_losses(3, false);
}

static void a_lost_reply_is_repeated_and_its_write_applied_once(void)
{
	increment_through_losses(1, true);
	increment_through_losses(3, true);
}

static void without_any_answer_the_outcome_is_unknown(void)
{
	char key[16];
	struct story *story = story_of_two(3, key);

	story->lose = UINT32_MAX;
	story->loses_replies = true;
	ask(story, increment(key));
	CU_ASSERT_EQUAL(wait_for_end(story), LOCAL_UNKNOWN);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[B], "op_increment"), 1);
	story->lose = 0;
	CU_ASSERT_EQUAL(ask_and_wait(story, increment(key)), WIRE_OK);
	CU_ASSERT_EQUAL(wire_get_u64(story->outcome.value), 2);
	story_end(story);
}

static void a_node_that_cannot_be_reached_did_not_apply(void)
{
	char key[16];
	struct story *story = story_of_two(3, key);

	story->cluster.is_lost[B] = true;
	unit_cluster_publish(&story->cluster, A);
	ask(story, increment(key));
	CU_ASSERT_EQUAL(wait_for_end(story), LOCAL_NOT_APPLIED);
	CU_ASSERT_EQUAL(story->outcome.answer.status, WIRE_NOT_OWNER);
	story_end(story);
}

static void a_refused_request_finds_the_next_owner(void)
{
	char key[16];
	struct story *story = story_of_two(3, key);

	/* B knows of a newer owner, A itself, before A does */
	unit_cluster_believe(&story->cluster, B, 3, A, 3);
	ask(story, increment(key));
	CU_ASSERT(look(story));
	CU_ASSERT(look_after(story, 20));
	unit_cluster_believe(&story->cluster, A, 3, A, 3);
	look_after(story, 20);
	look_after(story, 20);
	CU_ASSERT_EQUAL(story->outcome.calls, 1);
	CU_ASSERT_EQUAL(story->outcome.answer.outcome, LOCAL_ANSWERED);
	CU_ASSERT_EQUAL(story->outcome.answer.status, WIRE_OK);
	CU_ASSERT_EQUAL(wire_get_u64(story->outcome.value), 1);
	story_end(story);
}

static void nobodys_key_is_unavailable(void)
{
	char key[16];
	struct story *story = story_of_two(3, key);

	unit_cluster_agree(&story->cluster, 3, WIRE_MAP_NO_OWNER, 3);
	CU_ASSERT_EQUAL(ask_and_wait(story, increment(key)), WIRE_UNAVAILABLE);
	story_end(story);
}

/* ---- nobody else's ---- */

/* The local address cannot come from the network: neither as a client's nor through a FORWARD's answer. */
static void what_comes_by_the_network_is_never_local(void)
{
	struct story *story = story_begin(1, 1);
	struct unit_client forger = { .ipv4 = 0, .port = 40000 };
	struct unit_datagram datagram;
	uint8_t frame[2048];

	unit_request_begin(&datagram, &forger);
	unit_request_add(&datagram, &(struct wire_request_op){ .opcode = WIRE_GET,
							       .key_size = 1,
							       .key = (const uint8_t *)"k" });
	unit_cluster_send(&story->cluster, frame, unit_frame(frame, &forger, 0, &datagram));
	unit_cluster_pump(&story->cluster);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "drop_ipv4_bad_source"), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&story->cluster.nodes[A], "local_answers"), 0);
	story_end(story);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(every_worker_answers),
		UNIT_TEST(a_request_finds_its_worker),
		UNIT_TEST(a_parked_request_waits),
		UNIT_TEST(a_request_put_off_comes_again),
		UNIT_TEST(a_request_put_off_for_ever_was_not_applied),
		UNIT_TEST(requests_are_bounded_in_size),
		UNIT_TEST(requests_are_bounded_in_number),
		UNIT_TEST(an_open_request_stays_within_the_replay_window),
		UNIT_TEST(the_end_of_the_client_is_an_answer),
		UNIT_TEST(a_foreign_key_is_forwarded),
		UNIT_TEST(a_lost_forward_is_repeated),
		UNIT_TEST(a_lost_reply_is_repeated_and_its_write_applied_once),
		UNIT_TEST(without_any_answer_the_outcome_is_unknown),
		UNIT_TEST(a_node_that_cannot_be_reached_did_not_apply),
		UNIT_TEST(a_refused_request_finds_the_next_owner),
		UNIT_TEST(nobodys_key_is_unavailable),
		UNIT_TEST(what_comes_by_the_network_is_never_local),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("local_client", tests);
}
