/* SPDX-License-Identifier: BSD-3-Clause */
/* The registry of readers: places, heartbeats, and who is silent, on a clock that the test moves.
 */
#include "storage/reader.h"

#include <pthread.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct reader_registry *registry_create(void)
{
	struct reader_registry *registry;

	CU_ASSERT_EQUAL_FATAL(reader_registry_create(&registry), 0);
	return registry;
}

static void test_a_silent_reader_is_named(void)
{
	struct reader_registry *registry = registry_create();
	struct reader *reader = reader_register(registry, "worker 3");
	struct reader_stall stall;

	CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 1000, 100, &stall, 1), 0);
	reader_quiescent(reader);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 1100, 100, &stall, 1), 0);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 1199, 100, &stall, 1), 0);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 1200, 100, &stall, 1), 1);
	CU_ASSERT_STRING_EQUAL(stall.name, "worker 3");
	CU_ASSERT_EQUAL(stall.silent_ms, 100);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 1500, 100, &stall, 0), 0);
	reader_quiescent(reader);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 2000, 100, &stall, 1), 0);
	reader_unregister(reader);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 9000, 100, &stall, 1), 0);
	reader_registry_destroy(registry);
}

static void test_an_offline_reader_is_not_silent(void)
{
	struct reader_registry *registry = registry_create();
	struct reader *reader = reader_register(registry, "idle");
	struct reader_stall stall;

	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 1000, 1, &stall, 1), 0);
	reader_offline(reader);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 5000, 1, &stall, 1), 0);
	reader_online(reader);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 9000, 1, &stall, 1), 0);
	CU_ASSERT_EQUAL(reader_registry_stalled(registry, 9500, 1, &stall, 1), 1);
	CU_ASSERT_EQUAL(stall.silent_ms, 500);
	reader_unregister(reader);
	reader_registry_destroy(registry);
}

/* A thread of its own, because liburcu registers a thread once. */
static void *register_and_leave(void *argument)
{
	struct reader *reader = reader_register(argument, "passing");

	if (!reader)
		return NULL;
	reader_quiescent(reader);
	reader_unregister(reader);
	return reader;
}

static void *in_a_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;
	void *result;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run, argument), 0);
	pthread_join(thread, &result);
	return result;
}

static void test_a_place_is_used_again(void)
{
	struct reader_registry *registry = registry_create();
	struct reader *first = in_a_thread(register_and_leave, registry);

	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	for (uint32_t i = 0; i < 2 * READER_COUNT_MAX; i++)
		CU_ASSERT_PTR_EQUAL(in_a_thread(register_and_leave, registry), first);
	reader_registry_destroy(registry);
	reader_registry_destroy(NULL);
}

struct crowd {
	struct reader_registry *registry;
	pthread_barrier_t all_in;
};

static void *register_and_wait(void *argument)
{
	struct crowd *crowd = argument;
	struct reader *reader = reader_register(crowd->registry, "member");

	if (reader)
		reader_offline(reader);
	pthread_barrier_wait(&crowd->all_in);
	if (reader)
		reader_unregister(reader);
	return reader;
}

static void test_the_registry_is_bounded_and_places_are_distinct(void)
{
	struct crowd crowd = { .registry = registry_create() };
	pthread_t threads[READER_COUNT_MAX + 1];
	void *places[READER_COUNT_MAX + 1];
	uint32_t refused = 0;

	pthread_barrier_init(&crowd.all_in, NULL, READER_COUNT_MAX + 1);
	for (uint32_t i = 0; i <= READER_COUNT_MAX; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, register_and_wait, &crowd),
				      0);
	for (uint32_t i = 0; i <= READER_COUNT_MAX; i++) {
		pthread_join(threads[i], &places[i]);
		refused += places[i] == NULL;
		for (uint32_t j = 0; places[i] && j < i; j++)
			CU_ASSERT(places[i] != places[j]);
	}
	CU_ASSERT_EQUAL(refused, 1);
	pthread_barrier_destroy(&crowd.all_in);
	reader_registry_destroy(crowd.registry);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_silent_reader_is_named),
		UNIT_TEST(test_an_offline_reader_is_not_silent),
		UNIT_TEST(test_a_place_is_used_again),
		UNIT_TEST(test_the_registry_is_bounded_and_places_are_distinct),
		{ NULL, NULL },
	};

	return unit_run("reader", tests);
}
