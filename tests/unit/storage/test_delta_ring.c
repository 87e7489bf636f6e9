/* SPDX-License-Identifier: BSD-3-Clause */
/* The ring of writes to be shipped: order, numbers, the end of its memory, being full, two threads.
 */
#include "storage/delta_ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

/* The n-th record of a test: key, value, sizes and kind follow from n. */
struct sample {
	uint8_t key[KEY_SIZE_MAX];
	uint8_t value[VALUE_SIZE_MAX];
	struct record record;
};

static void make_sample(struct sample *sample, uint64_t n, uint32_t value_size_max)
{
	uint64_t state = n;
	uint32_t key_size = 1 + (uint32_t)(unit_random(&state) % KEY_SIZE_MAX);
	uint32_t value_size = (uint32_t)(unit_random(&state) % (value_size_max + 1));
	bool is_tombstone = unit_random(&state) % 4 == 0;

	memset(sample->key, (int)n, key_size);
	memset(sample->value, (int)(n * 3), value_size);
	sample->record = (struct record){
		.version = n * 7,
		.expires_at_ms = is_tombstone ? 0 : n,
		.key = sample->key,
		.value = sample->value,
		.key_size = (uint8_t)key_size,
		.value_size = (uint16_t)(is_tombstone ? 0 : value_size),
		.is_tombstone = is_tombstone,
	};
}

static bool is_sample(const struct record *record, uint64_t n, uint32_t value_size_max)
{
	static __thread struct sample sample;
	const struct record *wanted = &sample.record;

	make_sample(&sample, n, value_size_max);
	return record->version == wanted->version &&
	       record->expires_at_ms == wanted->expires_at_ms &&
	       record->key_size == wanted->key_size && record->value_size == wanted->value_size &&
	       record->is_tombstone == wanted->is_tombstone &&
	       memcmp(record->key, wanted->key, wanted->key_size) == 0 &&
	       memcmp(record->value, wanted->value, wanted->value_size) == 0;
}

static struct delta_ring *make_ring(size_t size)
{
	struct delta_ring *ring;

	CU_ASSERT_EQUAL_FATAL(delta_ring_create(&ring, size), 0);
	return ring;
}

static void put_sample(struct delta_ring *ring, uint64_t n, uint32_t value_size_max)
{
	static struct sample sample;

	make_sample(&sample, n, value_size_max);
	delta_ring_put(ring, &sample.record);
}

static void sizes_are_checked(void)
{
	struct delta_ring *ring;

	CU_ASSERT_EQUAL(delta_ring_create(&ring, 0), -EINVAL);
	CU_ASSERT_EQUAL(delta_ring_create(&ring, DELTA_RING_SIZE_MIN / 2), -EINVAL);
	CU_ASSERT_EQUAL(delta_ring_create(&ring, DELTA_RING_SIZE_MIN + 8), -EINVAL);
	CU_ASSERT_PTR_NULL(ring);
	delta_ring_destroy(NULL);
}

static void records_come_out_in_order_and_numbered(void)
{
	struct delta_ring *ring = make_ring(DELTA_RING_SIZE_MIN);
	struct record record;

	CU_ASSERT_EQUAL(delta_ring_last(ring), 0);
	CU_ASSERT_FALSE(delta_ring_take(ring, &record));
	for (uint64_t n = 1; n <= 20; n++) {
		put_sample(ring, n, 1000);
		CU_ASSERT_EQUAL(delta_ring_last(ring), n);
	}
	for (uint64_t n = 1; n <= 20; n++) {
		CU_ASSERT_FATAL(delta_ring_take(ring, &record));
		CU_ASSERT_TRUE(is_sample(&record, n, 1000));
	}
	CU_ASSERT_FALSE(delta_ring_take(ring, &record));
	CU_ASSERT_FALSE(delta_ring_is_dirty(ring));
	delta_ring_destroy(ring);
}

/* Many times round the memory, in bursts of all lengths, with the largest records. */
static void the_memory_repeats(void)
{
	struct delta_ring *ring = make_ring(DELTA_RING_SIZE_MIN);
	uint64_t put = 0, taken = 0, random = 5;
	struct record record;

	while (taken < 20000) {
		uint64_t burst = unit_random(&random) % 7;

		for (uint64_t i = 0; i < burst; i++)
			put_sample(ring, ++put, VALUE_SIZE_MAX);
		CU_ASSERT_FALSE_FATAL(delta_ring_is_dirty(ring));
		while (delta_ring_take(ring, &record))
			CU_ASSERT_TRUE_FATAL(is_sample(&record, ++taken, VALUE_SIZE_MAX));
		CU_ASSERT_EQUAL_FATAL(taken, put);
		delta_ring_release(ring);
	}
	delta_ring_destroy(ring);
}

/* What was taken is not overwritten before it is released. */
static void taken_records_stay_until_released(void)
{
	struct delta_ring *ring = make_ring(DELTA_RING_SIZE_MIN);
	struct record first, record;
	uint64_t n = 1;

	put_sample(ring, n, 100);
	CU_ASSERT_TRUE(delta_ring_take(ring, &first));
	while (!delta_ring_is_dirty(ring)) {
		put_sample(ring, ++n, 100);
		delta_ring_take(ring, &record);
	}
	CU_ASSERT_TRUE(is_sample(&first, 1, 100));
	CU_ASSERT_EQUAL(delta_ring_last(ring), n - 1);
	delta_ring_destroy(ring);
}

/* Full: the ring says so for good, and what it holds has no gap. */
static void a_full_ring_is_dirty_for_ever(void)
{
	struct delta_ring *ring = make_ring(DELTA_RING_SIZE_MIN);
	struct record record;
	uint64_t n = 0, last;

	while (!delta_ring_is_dirty(ring))
		put_sample(ring, ++n, 300);
	last = delta_ring_last(ring);
	CU_ASSERT_EQUAL(last, n - 1);
	for (uint64_t i = 1; i <= last; i++) {
		CU_ASSERT_TRUE_FATAL(delta_ring_take(ring, &record));
		CU_ASSERT_TRUE(is_sample(&record, i, 300));
	}
	delta_ring_release(ring);
	put_sample(ring, n + 1, 300);
	CU_ASSERT_FALSE(delta_ring_take(ring, &record));
	CU_ASSERT_EQUAL(delta_ring_last(ring), last);
	CU_ASSERT_TRUE(delta_ring_is_dirty(ring));
	delta_ring_destroy(ring);
}

#define THREAD_RECORDS 60000u

static void *write_many(void *context)
{
	struct delta_ring *ring = context;
	static struct sample sample;

	for (uint64_t n = 1; n <= THREAD_RECORDS; n++) {
		make_sample(&sample, n, 200);
		/* The reader is at most some hundred records behind, or the ring would be dirty. */
		delta_ring_put(ring, &sample.record);
		if (n % 64 == 0)
			sched_yield();
	}
	return NULL;
}

/* Whatever the reader sees is whole, in order and without a gap, up to where the ring was full. */
static void a_thread_reads_what_another_writes(void)
{
	struct delta_ring *ring = make_ring(1 << 20);
	uint64_t taken = 0;
	struct record record;
	pthread_t writer;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&writer, NULL, write_many, ring), 0);
	while (taken < THREAD_RECORDS &&
	       !(delta_ring_is_dirty(ring) && taken == delta_ring_last(ring))) {
		if (!delta_ring_take(ring, &record)) {
			delta_ring_release(ring);
			continue;
		}
		if (!is_sample(&record, ++taken, 200)) {
			CU_FAIL("a record is not what was written");
			break;
		}
	}
	pthread_join(writer, NULL);
	CU_ASSERT(taken > 0);
	CU_ASSERT_EQUAL(taken, delta_ring_last(ring));
	CU_ASSERT_TRUE(taken == THREAD_RECORDS || delta_ring_is_dirty(ring));
	delta_ring_destroy(ring);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(sizes_are_checked),
		UNIT_TEST(records_come_out_in_order_and_numbered),
		UNIT_TEST(the_memory_repeats),
		UNIT_TEST(taken_records_stay_until_released),
		UNIT_TEST(a_full_ring_is_dirty_for_ever),
		UNIT_TEST(a_thread_reads_what_another_writes),
		{ NULL, NULL },
	};

	return unit_run("delta_ring", tests);
}
