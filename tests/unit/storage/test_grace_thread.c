/* SPDX-License-Identifier: BSD-3-Clause */
/* Real threads: readers never see freed memory, a stalled one is named and stops all freeing, then
 * freeing goes on.
 */
#include "storage/grace_thread.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "storage/item_pool.h"
#include "storage/reader.h"
#include "tests/unit/unit.h"

#define CELL_COUNT 256u
#define READERS 2u
#define RUN_MS 300u
#define WAIT_MS 10000u /* patience on a busy machine; a passing test waits a few milliseconds */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_us(uint32_t us)
{
	struct timespec pause = { .tv_nsec = us * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

/* A node in small: one writer (the test's thread) publishes items in cells, readers check what they
 * find there.
 */
struct node {
	struct grace_period period;
	struct reader_registry *registry;
	struct grace_thread *grace;
	struct item_memory *memory;
	struct item_pool *pool;
	struct reclaim *reclaim;
	struct item *cells[CELL_COUNT];
	uint64_t freed;
	uint64_t housekeeping_calls;
	bool must_stop;
	bool must_stall; /* readers stay in their read side until it is false */
};

/* An item's bytes all tell its version; poisoned when freed. */
#define ITEM_BYTES 64u

static void on_free(void *context, void *object, uint32_t argument)
{
	struct node *node = context;
	struct item *item = object;

	(void)argument;
	memset(item->bytes, 0xdd, ITEM_BYTES - 8);
	node->freed++;
	item_pool_free(node->pool, item);
}

static bool on_housekeeping(void *context)
{
	struct node *node = context;

	__atomic_fetch_add(&node->housekeeping_calls, 1, __ATOMIC_RELAXED);
	return false;
}

static void publish(struct node *node, uint32_t cell, uint64_t version)
{
	struct item *old = node->cells[cell];
	struct item *item = item_pool_alloc(node->pool, ITEM_HEADER_SIZE + ITEM_BYTES);

	if (!item)
		return; /* all memory is retired */
	item->value_size = ITEM_BYTES;
	item->version = version;
	memset(item->bytes, (uint8_t)(version % 200), ITEM_BYTES);
	rcu_assign_pointer(node->cells[cell], item);
	if (old) {
		old->flags |= ITEM_RETIRED;
		reclaim_retire(node->reclaim, old, cell);
	}
}

static struct node *node_start(void)
{
	struct node *node = aligned_alloc(64, (sizeof(*node) + 63) / 64 * 64);
	struct item_memory_options memory = { .limit_bytes = 4 << 20 };
	struct grace_thread_options grace = { .housekeeping = on_housekeeping, .context = node };

	CU_ASSERT_PTR_NOT_NULL_FATAL(node);
	memset(node, 0, sizeof(*node));
	CU_ASSERT_EQUAL_FATAL(item_memory_create(&node->memory, &memory), 0);
	CU_ASSERT_EQUAL_FATAL(item_pool_create(&node->pool, node->memory), 0);
	CU_ASSERT_EQUAL_FATAL(reclaim_create(&node->reclaim, &node->period, on_free, node), 0);
	CU_ASSERT_EQUAL_FATAL(reader_registry_create(&node->registry), 0);
	CU_ASSERT_EQUAL_FATAL(grace_thread_start(&node->grace, &node->period, &grace), 0);
	for (uint32_t i = 0; i < CELL_COUNT; i++)
		publish(node, i, i);
	return node;
}

static void node_stop(struct node *node)
{
	grace_thread_stop(node->grace);
	reader_registry_destroy(node->registry);
	reclaim_destroy(node->reclaim);
	item_pool_destroy(node->pool);
	item_memory_destroy(node->memory);
	free(node);
}

struct reading {
	struct node *node;
	uint64_t seed;
	uint64_t checked;
	uint64_t poisoned;
};

static bool item_is_whole(const struct item *item)
{
	uint8_t expected = (uint8_t)(item->version % 200);

	for (uint32_t i = 0; i < ITEM_BYTES; i++) {
		if (item->bytes[i] != expected)
			return false;
	}
	return true;
}

static void *read_cells(void *argument)
{
	struct reading *reading = argument;
	struct node *node = reading->node;
	struct reader *reader = reader_register(node->registry, "reading thread");

	while (!__atomic_load_n(&node->must_stop, __ATOMIC_RELAXED)) {
		const struct item *held[8];

		for (uint32_t i = 0; i < 8; i++)
			held[i] = rcu_dereference(
				node->cells[unit_random(&reading->seed) % CELL_COUNT]);
		do {
			for (uint32_t i = 0; i < 8; i++)
				reading->poisoned += !item_is_whole(held[i]);
			__atomic_store_n(&reading->checked, reading->checked + 8, __ATOMIC_RELAXED);
		} while (__atomic_load_n(&node->must_stall, __ATOMIC_RELAXED));
		reader_quiescent(reader);
		if (reading->checked % 4096 == 0) {
			reader_offline(reader);
			pause_us(100);
			reader_online(reader);
		}
	}
	reader_unregister(reader);
	return NULL;
}

static void readers_start(struct node *node, pthread_t *threads, struct reading *readings,
			  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		readings[i] = (struct reading){ .node = node, .seed = i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, read_cells, &readings[i]),
				      0);
		while (__atomic_load_n(&readings[i].checked, __ATOMIC_RELAXED) == 0)
			pause_us(50);
	}
}

static void readers_stop(struct node *node, pthread_t *threads, const struct reading *readings,
			 uint32_t count)
{
	__atomic_store_n(&node->must_stop, true, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		CU_ASSERT_EQUAL(readings[i].poisoned, 0);
		CU_ASSERT(readings[i].checked > 0);
	}
}

/* At least until a grace period has ended, which takes its time on a machine that is busy. */
static void write_for_ms(struct node *node, uint64_t ms)
{
	uint64_t end_ms = now_ms() + ms;
	uint64_t late_ms = end_ms + WAIT_MS;
	uint64_t random = 7;

	for (uint64_t version = CELL_COUNT;
	     now_ms() < end_ms || (node->freed == 0 && now_ms() < late_ms); version++) {
		publish(node, (uint32_t)(unit_random(&random) % CELL_COUNT), version);
		reclaim_poll(node->reclaim, 32);
	}
}

static bool wait_until_all_is_freed(struct node *node)
{
	uint64_t end_ms = now_ms() + WAIT_MS;

	while (reclaim_pending(node->reclaim) > 0 && now_ms() < end_ms) {
		reclaim_poll(node->reclaim, 1000);
		pause_us(100);
	}
	return reclaim_pending(node->reclaim) == 0;
}

/* --- Tests --- */

static void test_readers_never_see_freed_memory(void)
{
	struct node *node = node_start();
	pthread_t threads[READERS];
	struct reading readings[READERS];

	readers_start(node, threads, readings, READERS);
	write_for_ms(node, RUN_MS);
	CU_ASSERT(node->freed > 0);
	CU_ASSERT(wait_until_all_is_freed(node));
	readers_stop(node, threads, readings, READERS);
	node_stop(node);
}

static void test_a_stalled_reader_is_named_and_nothing_is_freed(void)
{
	struct node *node = node_start();
	struct reader_stall stall = { 0 };
	uint64_t end_ms = now_ms() + WAIT_MS;
	struct reading reading;
	pthread_t thread;
	uint64_t freed;

	readers_start(node, &thread, &reading, 1);
	CU_ASSERT(wait_until_all_is_freed(node));
	CU_ASSERT_EQUAL(reader_registry_stalled(node->registry, now_ms(), 50, &stall, 1), 0);
	__atomic_store_n(&node->must_stall, true, __ATOMIC_RELAXED);
	pause_us(
		20000); /* the reader is in its endless read side, or offline for the last 100 us */
	freed = node->freed;
	while (reader_registry_stalled(node->registry, now_ms(), 50, &stall, 1) == 0 &&
	       now_ms() < end_ms)
		write_for_ms(node, 5);
	CU_ASSERT_STRING_EQUAL_FATAL(stall.name, "reading thread");
	CU_ASSERT(stall.silent_ms >= 50);
	CU_ASSERT_EQUAL(node->freed, freed);
	CU_ASSERT(reclaim_pending(node->reclaim) > 0);

	__atomic_store_n(&node->must_stall, false, __ATOMIC_RELAXED);
	CU_ASSERT(wait_until_all_is_freed(node));
	CU_ASSERT(node->freed > freed);
	readers_stop(node, &thread, &reading, 1);
	node_stop(node);
}

static void test_no_grace_period_runs_unless_wanted(void)
{
	struct node *node = node_start();
	uint64_t started;

	publish(node, 0, 1000);
	CU_ASSERT(wait_until_all_is_freed(node));
	started = __atomic_load_n(&node->period.started, __ATOMIC_RELAXED);
	CU_ASSERT(started > 0);
	pause_us(20000);
	CU_ASSERT_EQUAL(__atomic_load_n(&node->period.started, __ATOMIC_RELAXED), started);
	CU_ASSERT(__atomic_load_n(&node->housekeeping_calls, __ATOMIC_RELAXED) > 1);
	node_stop(node);
	grace_thread_stop(NULL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_readers_never_see_freed_memory),
		UNIT_TEST(test_a_stalled_reader_is_named_and_nothing_is_freed),
		UNIT_TEST(test_no_grace_period_runs_unless_wanted),
		{ NULL, NULL },
	};

	return unit_run("grace_thread", tests);
}
