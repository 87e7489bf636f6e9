/* SPDX-License-Identifier: BSD-3-Clause */
/* Eviction: who goes first, how good the choice is, and that memory is there when it is needed. */
#include "storage/eviction.h"

#include "tests/cache_trace.h"
#include "tests/unit/storage/shard_fixture.h"

#define PARTITIONS 8u
#define REQUESTS 400000u
#define WARM_UP 100000u
#define KEYS 40000u
#define VALUE_SIZE 56u

static void open_cache(struct fixture *fixture)
{
	struct fixture_options options = { .memory_bytes = 512 << 10,
					   .partition_count = PARTITIONS,
					   .eviction = EVICTION_ON };

	fixture_open(fixture, &options);
}

/* All items of one size: memory holds so many, whatever goes. */
static enum status put_sized(struct fixture *fixture, struct shard_batch *batch,
			     uint32_t value_size)
{
	struct item *item = shard_item_create(fixture->shard, &batch->keys[0], value_size);
	enum status status;

	if (!item)
		return STATUS_NO_SPACE;
	memset(item_value_unpublished(item), 0, value_size);
	status = shard_put(fixture->shard, batch, 0, item);
	if (status != STATUS_OK)
		shard_item_discard(fixture->shard, item);
	return status;
}

struct outcome {
	uint64_t requests;
	uint64_t hits;
	uint64_t lru_hits;
	uint64_t refused; /* after the warm-up */
	uint64_t items;   /* on average */
};

static bool read_through(struct fixture *fixture, uint64_t number, uint64_t *refused)
{
	struct shard_batch batch;
	struct fixture_key key;

	fixture_batch_one(fixture, &batch, &key, number);
	if (batch.items[0]) {
		shard_mark_visited(batch.items[0]);
		return true;
	}
	*refused += put_sized(fixture, &batch, VALUE_SIZE) != STATUS_OK;
	return false;
}

/* A grace period passes every 'turns_per_grace' turns of 32 requests. */
static void run_cache(const struct trace_options *options, uint32_t turns_per_grace,
		      struct outcome *outcome)
{
	struct fixture fixture;
	struct trace trace;

	*outcome = (struct outcome){ 0 };
	open_cache(&fixture);
	trace_open(&trace, options);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		bool hit = read_through(&fixture, trace_next(&trace), &outcome->refused);

		if (i == WARM_UP)
			outcome->refused = 0;
		if (i >= WARM_UP) {
			outcome->requests += !trace_is_scanning(&trace);
			outcome->hits += hit;
			outcome->items += i % 1000 ? 0 : fixture_items(&fixture);
		}
		if (i % 32 == 0)
			shard_background(fixture.shard, fixture.now_ms + i / 1000,
					 FIXTURE_WORK_MAX);
		if (i % (32 * turns_per_grace) == 0)
			fixture_grace(&fixture);
	}
	outcome->items /= (REQUESTS - WARM_UP) / 1000;
	fixture_close(&fixture);
}

static void run_lru(const struct trace_options *options, struct outcome *outcome)
{
	struct trace trace;
	struct lru lru;

	lru_open(&lru, (uint32_t)outcome->items, KEYS + REQUESTS);
	trace_open(&trace, options);
	for (uint32_t i = 0; i < REQUESTS; i++) {
		bool hit = lru_read(&lru, trace_next(&trace));

		outcome->lru_hits += i >= WARM_UP && hit;
	}
	lru_close(&lru);
}

static double hit_ratio(const struct outcome *outcome)
{
	return (double)outcome->hits / (double)outcome->requests;
}

static double lru_hit_ratio(const struct outcome *outcome)
{
	return (double)outcome->lru_hits / (double)outcome->requests;
}

static void zipf_hits_as_often_as_with_lru(void)
{
	struct trace_options options = { .seed = 7, .key_count = KEYS, .theta = 0.99 };
	struct outcome outcome;

	run_cache(&options, 1, &outcome);
	run_lru(&options, &outcome);
	CU_ASSERT(outcome.items > 4500);
	CU_ASSERT(hit_ratio(&outcome) > 0.6);
	CU_ASSERT(hit_ratio(&outcome) >= lru_hit_ratio(&outcome) - 0.01);
	CU_ASSERT_EQUAL(outcome.refused, 0);
}

/* A scan of as many keys as fit, every now and then, hurts less than with LRU. */
static void scans_hurt_less_than_with_lru(void)
{
	struct trace_options options = { .seed = 8,
					 .key_count = KEYS,
					 .theta = 0.99,
					 .scan_every = 10000,
					 .scan_length = 5000 };
	struct outcome outcome;

	run_cache(&options, 1, &outcome);
	run_lru(&options, &outcome);
	CU_ASSERT(hit_ratio(&outcome) >= lru_hit_ratio(&outcome) + 0.02);
	CU_ASSERT(outcome.refused < outcome.requests / 10000);
}

/* What is retired is not free for 640 requests, when a tenth of all that fits was written: the
 * reserve grows to that, and hardly a write is refused any more.
 */
static void slow_grace_periods_refuse_hardly_a_write(void)
{
	struct trace_options options = { .seed = 9, .key_count = KEYS, .theta = 0.5 };
	struct outcome outcome;

	run_cache(&options, 20, &outcome);
	CU_ASSERT(outcome.refused < outcome.requests / 1000);
	CU_ASSERT(outcome.items > 3500);
}

/* --- Sizes --- */

/* Memory is full of small items when only large ones come: their slabs must go to another class. */
static void a_change_of_sizes_is_followed(void)
{
	struct fixture_options options = { .memory_bytes = 8 << 20,
					   .partition_count = PARTITIONS,
					   .eviction = EVICTION_ON };
	static const uint32_t sizes[] = { 40, 1500, 200, 20 };
	uint64_t number = 0;
	struct fixture fixture;
	struct shard_stats stats;

	fixture_open(&fixture, &options);
	for (uint32_t phase = 0; phase < 4; phase++) {
		uint64_t refused = 0;

		for (uint32_t i = 0; i < 200000; i++) {
			struct shard_batch batch;
			struct fixture_key key;

			fixture_batch_one(&fixture, &batch, &key, number++);
			refused += put_sized(&fixture, &batch, sizes[phase]) != STATUS_OK;
			if (i % 16 == 0)
				fixture_turn(&fixture);
			fixture.now_ms += i % 256 == 0;
		}
		shard_stats(fixture.shard, &stats);
		CU_ASSERT(refused < 10000);
		CU_ASSERT(stats.item_bytes > 3500000);
	}
	fixture_close(&fixture);
}

/* --- Shards of one node --- */

/* Writes new keys of its own to each shard of 'shards' in turn: 32, then the background. */
static void write_new_keys(struct fixture *fixture, struct shard *const *shards,
			   uint32_t shard_count, uint64_t *number, uint32_t rounds)
{
	struct fixture one = *fixture;

	for (uint32_t round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < 32 * shard_count; i++) {
			struct shard_batch batch;
			struct fixture_key key;

			one.shard = shards[i % shard_count];
			fixture_batch_one(&one, &batch, &key, (*number)++);
			batch.keys[0].partition =
				shard_partition(one.shard, 0) ? 0 : 1; /* worker 0's or 1's */
			put_sized(&one, &batch, VALUE_SIZE);
		}
		for (uint32_t i = 0; i < shard_count; i++)
			shard_background(shards[i], fixture->now_ms + round, FIXTURE_WORK_MAX);
		fixture_grace(fixture);
	}
}

/* One shard has taken all memory of the node before the other stores its first item. */
static void a_shard_that_came_first_gives_back(void)
{
	struct fixture fixture;
	struct item_memory_options memory_options = { .limit_bytes = 4 << 20 };
	struct shard_options options = { .worker_count = 2,
					 .partition_count = 2,
					 .eviction = EVICTION_ON,
					 .period = &fixture.period,
					 .secret = &fixture.secret };
	static const char *const names[] = { "first", "second" };
	struct shard_stats stats[2];
	struct shard *shards[2];
	uint64_t number = 0;

	open_cache(&fixture);
	CU_ASSERT_EQUAL_FATAL(item_memory_create(&options.memory, &memory_options), 0);
	for (uint32_t i = 0; i < 2; i++) {
		options.name = names[i];
		options.worker_index = i;
		CU_ASSERT_EQUAL_FATAL(shard_create(&shards[i], &options), 0);
	}
	write_new_keys(&fixture, &shards[0], 1, &number, 3000);
	shard_stats(shards[0], &stats[0]);
	CU_ASSERT(stats[0].pool.slabs > 60); /* of 64 */
	write_new_keys(&fixture, shards, 2, &number, 3000);
	for (uint32_t i = 0; i < 2; i++) {
		shard_stats(shards[i], &stats[i]);
		CU_ASSERT(stats[i].pool.slabs >= 24);
		shard_destroy(shards[i]);
	}
	item_memory_destroy(options.memory);
	fixture_close(&fixture);
}

/* --- No grace period --- */

/* Writes new keys for 'rounds' milliseconds, with turns of the background but no grace period.
 * Returns how many were refused; each refusal asks to come again.
 */
static uint64_t write_without_grace(struct fixture *fixture, uint64_t *number, uint32_t rounds)
{
	uint64_t refused = 0;

	for (uint32_t i = 0; i < rounds * 64; i++) {
		struct shard_batch batch;
		struct fixture_key key;

		fixture_batch_one(fixture, &batch, &key, (*number)++);
		if (put_sized(fixture, &batch, VALUE_SIZE) != STATUS_OK) {
			refused++;
			CU_ASSERT_EQUAL(shard_refusal(fixture->shard), STATUS_RETRY);
		}
		if (i % 32 == 0)
			shard_background(fixture->shard, fixture->now_ms, FIXTURE_WORK_MAX);
		fixture->now_ms += i % 64 == 0;
	}
	return refused;
}

/* The thread that waits for grace periods gets no CPU: what is evicted does not come back, and
 * evicting more would not help.
 */
static void a_held_grace_period_costs_the_reserve_and_no_more(void)
{
	struct fixture_options options = { .memory_bytes = 4 << 20,
					   .partition_count = PARTITIONS,
					   .eviction = EVICTION_ON };
	struct shard_stats full, held;
	struct fixture fixture;
	uint64_t number = 0;

	fixture_open(&fixture, &options);
	for (uint32_t i = 0; i < 3000; i++) {
		write_without_grace(&fixture, &number, 1);
		fixture_turn(&fixture);
	}
	shard_stats(fixture.shard, &full);
	CU_ASSERT(full.items > 30000);

	CU_ASSERT(write_without_grace(&fixture, &number, 500) > 25000); /* of 32000 */
	shard_stats(fixture.shard, &held);
	CU_ASSERT(held.items > full.items / 10 * 9);

	fixture_turn(&fixture);
	fixture_turn(&fixture);
	CU_ASSERT_EQUAL(write_without_grace(&fixture, &number, 1), 0);
	fixture_close(&fixture);
}

/* --- The hand --- */

static struct eviction_clock clock_of(struct partition *const *partitions, uint32_t count)
{
	return (struct eviction_clock){ .walk = { .partitions = partitions,
						  .partition_count = count } };
}

static void the_hand_spares_what_was_read(void)
{
	struct item *items[SLOT_WALK_ITEMS];
	struct partition *partitions[PARTITIONS];
	struct eviction_clock clock = clock_of(partitions, PARTITIONS);
	struct fixture fixture;
	uint32_t count, rounds = 0;

	open_cache(&fixture);
	for (uint32_t i = 0; i < PARTITIONS; i++)
		partitions[i] = shard_partition(fixture.shard, i);
	for (uint64_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(fixture_put(&fixture, i, 1), STATUS_OK);
	for (uint64_t i = 0; i < 8; i++) {
		if (i != 5)
			shard_mark_visited(fixture_get(&fixture, i));
	}
	do {
		eviction_sweep(&clock, FIXTURE_NOW_MS, 1, items, &count);
	} while (count == 0 && ++rounds < 100);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_PTR_EQUAL(items[0], fixture_get(&fixture, 5));
	fixture_close(&fixture);
}

static void the_hand_takes_what_is_expired(void)
{
	struct item *items[SLOT_WALK_ITEMS];
	struct partition *partitions[PARTITIONS];
	struct eviction_clock clock = clock_of(partitions, PARTITIONS);
	struct fixture fixture;
	struct shard_batch batch;
	struct fixture_key key;
	uint32_t count, rounds = 0;

	open_cache(&fixture);
	for (uint32_t i = 0; i < PARTITIONS; i++)
		partitions[i] = shard_partition(fixture.shard, i);
	fixture_batch_one(&fixture, &batch, &key, 3);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, 3, 1, FIXTURE_NOW_MS), STATUS_OK);
	shard_mark_visited(batch.items[0]);
	do {
		eviction_sweep(&clock, FIXTURE_NOW_MS, 1, items, &count);
	} while (count == 0 && ++rounds < 100);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_PTR_EQUAL(items[0], batch.items[0]);
	fixture_close(&fixture);
}

/* --- Batches --- */

/* Looks up 8 keys, the newest or so of 'number', and writes on without a grace period or a turn of
 * the background, so that memory runs out and writes evict.
 */
static void evict_under_batch(struct fixture *fixture, struct shard_batch *batch,
			      struct fixture_key *keys, uint64_t *number)
{
	batch->count = 8;
	for (uint32_t i = 0; i < batch->count; i++) {
		uint64_t back = 1 + i * 500;

		batch->keys[i] =
			fixture_key(fixture, *number > back ? *number - back : 0, &keys[i]);
	}
	shard_lookup(fixture->shard, batch);
	for (uint32_t i = 0; i < 200; i++)
		fixture_put(fixture, (*number)++, 1);
}

/* Writes to, or removes, the key of an entry whose item was evicted. Returns whether that went
 * wrong.
 */
static bool write_evicted(struct fixture *fixture, struct shard_batch *batch, uint32_t i)
{
	uint64_t key, version;

	memcpy(&key, item_key(batch->items[i]) + 8, sizeof(key));
	if (!fixture_value_is(batch->items[i], key, 1))
		return true; /* memory was used again under the reader */
	if (i % 2 == 0)
		return shard_remove(fixture->shard, batch, i, &version) == STATUS_OK ||
		       batch->items[i] != NULL;
	if (fixture_batch_put(fixture, batch, i, key, 2, 0) != STATUS_OK)
		return false;
	return fixture_get(fixture, key) != batch->items[i] ||
	       !fixture_value_is(batch->items[i], key, 2) ||
	       (batch->items[i]->flags & ITEM_RETIRED);
}

/* An item of the batch is evicted by a write before it: readable still, but its key's value no
 * more.
 */
static void a_batch_copes_with_eviction_under_it(void)
{
	struct fixture fixture;
	struct shard_batch batch;
	struct fixture_key keys[SHARD_BATCH_MAX];
	uint64_t number = 0, wrong = 0;
	uint32_t evicted = 0;

	open_cache(&fixture);
	while (evicted < 100 && number < 1000000) {
		evict_under_batch(&fixture, &batch, keys, &number);
		for (uint32_t i = 0; i < batch.count; i++) {
			if (!batch.items[i] || !(batch.items[i]->flags & ITEM_RETIRED))
				continue;
			evicted++;
			wrong += write_evicted(&fixture, &batch, i);
		}
		if (number % 400 == 0)
			fixture_turn(&fixture);
	}
	CU_ASSERT(evicted >= 100);
	CU_ASSERT_EQUAL(wrong, 0);
	fixture_close(&fixture);
}

/* --- Everything at once --- */

#define SOAK_KEYS 30000u

/* One random operation on a random key. Returns whether it showed anything but the last write. */
static bool soak_step(struct fixture *fixture, uint64_t *writes, uint64_t *random, uint64_t step)
{
	uint64_t number = unit_random(random) % SOAK_KEYS;
	uint64_t expires_at_ms = step % 3 ? 0 : fixture->now_ms + unit_random(random) % 2000;
	struct shard_batch batch;
	struct fixture_key key;
	uint64_t version;
	bool wrong;

	fixture_batch_one(fixture, &batch, &key, number);
	wrong = batch.items[0] &&
		(writes[number] == 0 || !fixture_value_is(batch.items[0], number, writes[number]));
	if (batch.items[0])
		shard_mark_visited(batch.items[0]);
	if (step % 4 == 0) {
		shard_remove(fixture->shard, &batch, 0, &version);
		writes[number] = 0;
	} else if (fixture_batch_put(fixture, &batch, 0, number, step, expires_at_ms) ==
		   STATUS_OK) {
		writes[number] = step;
	}
	return wrong;
}

/* Growth, eviction and expiry may take an item away or move it: what is found is the last write all
 * the same.
 */
static void what_is_found_is_the_last_write(void)
{
	struct fixture_options options = { .memory_bytes = 1 << 20,
					   .capacity = 1,
					   .partition_count = PARTITIONS,
					   .eviction = EVICTION_ON };
	static uint64_t writes[SOAK_KEYS];
	struct fixture fixture;
	struct shard_stats stats;
	uint64_t random = 77, wrong = 0;

	fixture_open(&fixture, &options);
	for (uint64_t step = 1; step <= 600000; step++) {
		wrong += soak_step(&fixture, writes, &random, step);
		if (step % 64 == 0)
			fixture.now_ms++;
		if (step % 16 == 0)
			fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT(stats.index_grown > 0);
	CU_ASSERT(stats.evicted > 10000);
	CU_ASSERT(stats.expired > 1000);
	fixture_close(&fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(zipf_hits_as_often_as_with_lru),
		UNIT_TEST(scans_hurt_less_than_with_lru),
		UNIT_TEST(slow_grace_periods_refuse_hardly_a_write),
		UNIT_TEST(a_change_of_sizes_is_followed),
		UNIT_TEST(a_shard_that_came_first_gives_back),
		UNIT_TEST(a_held_grace_period_costs_the_reserve_and_no_more),
		UNIT_TEST(the_hand_spares_what_was_read),
		UNIT_TEST(the_hand_takes_what_is_expired),
		UNIT_TEST(a_batch_copes_with_eviction_under_it),
		UNIT_TEST(what_is_found_is_the_last_write),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("eviction", tests);
}
