/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue of news: least told first, each told so often and no more. */
#include "controlplane/gossip_queue.h"

#include "tests/unit/unit.h"

static struct gossip_queue queue;

/* The first 'count' pieces of a walk, marked as sent; returns how many there were. */
static uint32_t tell(uint32_t count, uint32_t limit, uint32_t *told)
{
	struct gossip_queue_cursor cursor;
	enum gossip_topic topic;
	uint32_t index, done = 0;

	gossip_queue_walk(&queue, &cursor);
	while (done < count && gossip_queue_next(&queue, &cursor, &topic, &index)) {
		CU_ASSERT_EQUAL(topic, GOSSIP_TOPIC_RECORD);
		told[done++] = index;
		gossip_queue_mark_sent(&queue, topic, index, limit);
	}
	return done;
}

static void test_the_retransmit_limit_follows_the_formula(void)
{
	CU_ASSERT_EQUAL(gossip_retransmit_limit(1), 4);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(9), 4);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(10), 8);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(99), 8);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(100), 12);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(999), 12);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(1000), 16);
	CU_ASSERT_EQUAL(gossip_retransmit_limit(1024), GOSSIP_RETRANSMIT_MAX);
}

static void test_the_newest_and_least_told_goes_first(void)
{
	uint32_t told[4];

	CU_ASSERT_EQUAL_FATAL(gossip_queue_init(&queue, 8, 8), 0);
	for (uint32_t i = 0; i < 3; i++)
		gossip_queue_put(&queue, GOSSIP_TOPIC_RECORD, i);
	CU_ASSERT_EQUAL(tell(2, 4, told), 2);
	CU_ASSERT_EQUAL(told[0], 2);
	CU_ASSERT_EQUAL(told[1], 1);
	CU_ASSERT_EQUAL(tell(2, 4, told), 2);
	CU_ASSERT_EQUAL(told[0], 0); /* never told yet */
	CU_ASSERT_EQUAL(told[1], 2);
	gossip_queue_fini(&queue);
}

static void test_each_piece_is_told_so_often(void)
{
	uint32_t told[8], times[8] = { 0 };

	CU_ASSERT_EQUAL_FATAL(gossip_queue_init(&queue, 8, 8), 0);
	for (uint32_t i = 0; i < 8; i++)
		gossip_queue_put(&queue, GOSSIP_TOPIC_RECORD, i);
	while (queue.count > 0) {
		uint32_t count = tell(3, 5, told);

		for (uint32_t i = 0; i < count; i++)
			times[told[i]]++;
	}
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(times[i], 5);
	gossip_queue_fini(&queue);
}

static void test_a_change_is_told_from_the_start(void)
{
	uint32_t told[1];

	CU_ASSERT_EQUAL_FATAL(gossip_queue_init(&queue, 2, 2), 0);
	gossip_queue_put(&queue, GOSSIP_TOPIC_RECORD, 0);
	for (uint32_t i = 0; i < 3; i++)
		tell(1, 4, told);
	gossip_queue_put(&queue, GOSSIP_TOPIC_RECORD, 0);
	CU_ASSERT_EQUAL(queue.count, 1);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(tell(1, 4, told), 1);
	CU_ASSERT_EQUAL(tell(1, 4, told), 0);
	gossip_queue_fini(&queue);
}

static void test_a_walk_meets_each_piece_once(void)
{
	struct gossip_queue_cursor cursor;
	enum gossip_topic topic;
	uint32_t index, met = 0;

	CU_ASSERT_EQUAL_FATAL(gossip_queue_init(&queue, 8, 8), 0);
	for (uint32_t i = 0; i < 8; i++) {
		gossip_queue_put(&queue, GOSSIP_TOPIC_RECORD, i);
		gossip_queue_put(&queue, GOSSIP_TOPIC_CLAIM, i);
		gossip_queue_put(&queue, GOSSIP_TOPIC_OWNER, i);
	}
	gossip_queue_drop(&queue, GOSSIP_TOPIC_CLAIM, 3);
	gossip_queue_drop(&queue, GOSSIP_TOPIC_CLAIM, 3);
	CU_ASSERT_FALSE(gossip_queue_has(&queue, GOSSIP_TOPIC_CLAIM, 3));
	CU_ASSERT_TRUE(gossip_queue_has(&queue, GOSSIP_TOPIC_OWNER, 3));
	CU_ASSERT_EQUAL(queue.counts[GOSSIP_TOPIC_CLAIM], 7);
	gossip_queue_walk(&queue, &cursor);
	while (gossip_queue_next(&queue, &cursor, &topic, &index)) {
		met++;
		gossip_queue_mark_sent(&queue, topic, index, 16);
	}
	CU_ASSERT_EQUAL(met, 23);
	CU_ASSERT_EQUAL(queue.count, 23);
	gossip_queue_fini(&queue);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_the_retransmit_limit_follows_the_formula),
		UNIT_TEST(test_the_newest_and_least_told_goes_first),
		UNIT_TEST(test_each_piece_is_told_so_often),
		UNIT_TEST(test_a_change_is_told_from_the_start),
		UNIT_TEST(test_a_walk_meets_each_piece_once),
		{ NULL, NULL },
	};

	return unit_run("gossip_queue", tests);
}
