/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard against a model, and the promises of its contract one by one. */
#include <errno.h>

#include "tests/unit/storage/colliding_key.h"
#include "tests/unit/storage/shard_fixture.h"

#define MODEL_KEYS 20000u

/* What a shard should hold: for each key the number of its last write, 0 = absent. */
struct model {
	uint64_t writes[MODEL_KEYS];
	uint64_t present;
};

static void check_against_model(struct fixture *fixture, const struct model *model)
{
	uint64_t wrong = 0;

	for (uint64_t number = 0; number < MODEL_KEYS; number++) {
		const struct item *item = fixture_get(fixture, number);
		uint64_t write = model->writes[number];

		if (write == 0 ? item != NULL : !item || !fixture_value_is(item, number, write))
			wrong++;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(fixture_items(fixture), model->present);
}

/* Sums over the partitions agree with the model. */
static void check_partition_counts(struct fixture *fixture, const struct model *model)
{
	uint64_t items = 0, bytes = 0, expected_bytes = 0;
	struct shard_stats stats;

	for (uint32_t i = 0; i < fixture->partition_count; i++) {
		struct partition_stats partition;

		partition_stats(shard_partition(fixture->shard, i), &partition);
		items += partition.items;
		bytes += partition.item_bytes;
	}
	for (uint64_t number = 0; number < MODEL_KEYS; number++) {
		if (model->writes[number])
			expected_bytes += 16 + fixture_value_size(number, model->writes[number]);
	}
	shard_stats(fixture->shard, &stats);
	CU_ASSERT_EQUAL(items, model->present);
	CU_ASSERT_EQUAL(bytes, expected_bytes);
	CU_ASSERT_EQUAL(stats.item_bytes, expected_bytes);
}

static void random_operation(struct fixture *fixture, struct model *model, uint64_t *random,
			     uint64_t step)
{
	uint64_t number = unit_random(random) % MODEL_KEYS;
	enum status status;

	if (unit_random(random) % 3 > 0) {
		status = fixture_put(fixture, number, step);
		CU_ASSERT_EQUAL_FATAL(status, STATUS_OK);
		model->present += model->writes[number] == 0;
		model->writes[number] = step;
	} else {
		status = fixture_remove(fixture, number);
		CU_ASSERT_EQUAL_FATAL(status, model->writes[number] ? STATUS_OK : STATUS_NOT_FOUND);
		model->present -= model->writes[number] != 0;
		model->writes[number] = 0;
	}
}

static void random_operations_match_a_model(void)
{
	struct fixture_options options = { .memory_bytes = 32 << 20,
					   .capacity = 1,
					   .partition_count = 7 };
	struct model *model = calloc(1, sizeof(*model));
	struct fixture fixture;
	struct shard_stats stats;
	uint64_t random = 42;

	fixture_open(&fixture, &options);
	for (uint64_t step = 1; step <= 300000; step++) {
		random_operation(&fixture, model, &random, step);
		if (step % 8 == 0)
			fixture_turn(&fixture);
		if (step % 50000 == 0)
			check_against_model(&fixture, model);
	}
	check_partition_counts(&fixture, model);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT(stats.index_grown >= 3);
	CU_ASSERT(stats.index_moved > 1000);
	fixture_close(&fixture);
	free(model);
}

/* --- Batches --- */

static void look_up_pair(struct fixture *fixture, struct shard_batch *batch,
			 struct fixture_key keys[2], uint64_t first, uint64_t second)
{
	batch->count = 2;
	batch->keys[0] = fixture_key(fixture, first, &keys[0]);
	batch->keys[1] = fixture_key(fixture, second, &keys[1]);
	shard_lookup(fixture->shard, batch);
}

static void open_small(struct fixture *fixture, enum eviction eviction)
{
	struct fixture_options options = { .memory_bytes = 1 << 20,
					   .partition_count = 3,
					   .eviction = eviction };

	fixture_open(fixture, &options);
}

static void a_batch_sees_its_own_writes(void)
{
	struct fixture fixture;
	struct shard_batch batch;
	struct fixture_key keys[2];
	uint64_t version;

	open_small(&fixture, EVICTION_NONE);
	look_up_pair(&fixture, &batch, keys, 5, 5);
	CU_ASSERT_PTR_NULL(shard_batch_item(fixture.shard, &batch, 1));
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, 5, 1, 0), STATUS_OK); /* new */
	CU_ASSERT(fixture_value_is(shard_batch_item(fixture.shard, &batch, 0), 5, 1));
	CU_ASSERT(fixture_value_is(shard_batch_item(fixture.shard, &batch, 1), 5, 1));
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 1, 5, 2, 0), STATUS_OK); /* overwrite */
	CU_ASSERT(fixture_value_is(shard_batch_item(fixture.shard, &batch, 0), 5, 2));
	CU_ASSERT(fixture_value_is(shard_batch_item(fixture.shard, &batch, 1), 5, 2));
	CU_ASSERT_EQUAL(shard_remove(fixture.shard, &batch, 0, &version), STATUS_OK);
	CU_ASSERT_PTR_NULL(shard_batch_item(fixture.shard, &batch, 0));
	CU_ASSERT_PTR_NULL(shard_batch_item(fixture.shard, &batch, 1));
	CU_ASSERT_EQUAL(shard_remove(fixture.shard, &batch, 1, &version), STATUS_NOT_FOUND);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 1, 5, 3, 0), STATUS_OK);
	CU_ASSERT(fixture_value_is(shard_batch_item(fixture.shard, &batch, 0), 5, 3));
	CU_ASSERT_EQUAL(fixture_items(&fixture), 1);
	fixture_close(&fixture);
}

/* Written twice without a look in between: the second write must not bring the first one's item back. */
static void a_batch_writes_a_key_again(void)
{
	struct fixture fixture;
	struct shard_batch batch;
	struct fixture_key keys[2];

	open_small(&fixture, EVICTION_NONE);
	look_up_pair(&fixture, &batch, keys, 5, 5);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, 5, 1, 0), STATUS_OK);
	look_up_pair(&fixture, &batch, keys, 5, 5);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, 5, 2, 0), STATUS_OK);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 1, 5, 3, 0), STATUS_OK);
	CU_ASSERT(fixture_value_is(fixture_get(&fixture, 5), 5, 3));
	CU_ASSERT_EQUAL(fixture_items(&fixture), 1);
	fixture_close(&fixture);
}

static void a_write_leaves_other_keys_of_the_batch_alone(void)
{
	struct fixture fixture;
	struct shard_batch batch;
	struct fixture_key keys[2];

	open_small(&fixture, EVICTION_NONE);
	look_up_pair(&fixture, &batch, keys, 1, 2);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, 1, 1, 0), STATUS_OK);
	CU_ASSERT_PTR_NULL(batch.items[1]);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 1, 2, 1, 0), STATUS_OK);
	CU_ASSERT(fixture_value_is(batch.items[0], 1, 1));
	CU_ASSERT(fixture_value_is(batch.items[1], 2, 1));
	fixture_close(&fixture);
}

/* Batches of random writes and removals, each key several times per batch, checked entry by entry.
 */
static void random_batches_match_a_model(void)
{
	struct fixture_options options = { .memory_bytes = 8 << 20,
					   .capacity = 1,
					   .partition_count = 5 };
	uint64_t writes[40] = { 0 };
	struct fixture_key keys[SHARD_BATCH_MAX];
	uint64_t numbers[SHARD_BATCH_MAX];
	struct shard_batch batch;
	struct fixture fixture;
	uint64_t random = 9, wrong = 0, version;

	fixture_open(&fixture, &options);
	for (uint64_t step = 1; step < 200000; step += SHARD_BATCH_MAX) {
		batch.count = 1 + (uint32_t)(unit_random(&random) % SHARD_BATCH_MAX);
		for (uint32_t i = 0; i < batch.count; i++) {
			numbers[i] = unit_random(&random) % 40;
			batch.keys[i] = fixture_key(&fixture, numbers[i], &keys[i]);
		}
		shard_lookup(fixture.shard, &batch);
		for (uint32_t i = 0; i < batch.count; i++) {
			uint64_t *write = &writes[numbers[i]];
			const struct item *item = shard_batch_item(fixture.shard, &batch, i);

			wrong += *write ? !item || !fixture_value_is(item, numbers[i], *write)
					: item != NULL;
			if (unit_random(&random) % 3 > 0) {
				*write = step + i;
				wrong += fixture_batch_put(&fixture, &batch, i, numbers[i], *write,
							   0) != STATUS_OK;
			} else {
				wrong += shard_remove(fixture.shard, &batch, i, &version) !=
					 (*write ? STATUS_OK : STATUS_NOT_FOUND);
				*write = 0;
			}
		}
		fixture_turn(&fixture);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	fixture_close(&fixture);
}

static void versions_order_all_writes_of_a_partition(void)
{
	struct fixture fixture;
	struct shard_batch batch;
	struct fixture_key key;
	uint64_t number = 4, version, removal;

	open_small(&fixture, EVICTION_NONE);
	fixture_batch_one(&fixture, &batch, &key, number);
	partition_set_epoch(shard_partition(fixture.shard, batch.keys[0].partition), 6);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, number, 1, 0), STATUS_OK);
	version = batch.items[0]->version;
	CU_ASSERT_EQUAL(version, (UINT64_C(6) << 40) + 1);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, number, 2, 0), STATUS_OK);
	CU_ASSERT(batch.items[0]->version > version);
	version = batch.items[0]->version;
	CU_ASSERT_EQUAL(shard_remove(fixture.shard, &batch, 0, &removal), STATUS_OK);
	CU_ASSERT(removal > version);
	CU_ASSERT_EQUAL(fixture_batch_put(&fixture, &batch, 0, number, 3, 0), STATUS_OK);
	CU_ASSERT(batch.items[0]->version > removal);
	fixture_close(&fixture);
}

/* --- Full --- */

/* Until no item of any of these sizes finds memory, with nothing under way any more. */
static uint64_t fill_up(struct fixture *fixture)
{
	uint64_t count = 0;

	while (fixture_put(fixture, count, 1) == STATUS_OK) {
		count++;
		fixture_turn(fixture);
	}
	return count;
}

static void a_refusal_says_whether_to_come_again(void)
{
	struct fixture fixture;
	uint64_t count;

	open_small(&fixture, EVICTION_NONE);
	count = fill_up(&fixture);
	CU_ASSERT_EQUAL(fixture_put(&fixture, count, 1), STATUS_NO_SPACE);
	for (uint64_t i = 0; i < 20; i++) /* memory is on its way, a grace period from here */
		CU_ASSERT_EQUAL(fixture_remove(&fixture, i), STATUS_OK);
	CU_ASSERT_EQUAL(fixture_put(&fixture, count, 1), STATUS_RETRY);
	fixture_close(&fixture);

	open_small(&fixture, EVICTION_ON);
	count = 0;
	while (fixture_put(&fixture, count, 1) == STATUS_OK) /* no grace period */
		count++;
	CU_ASSERT_EQUAL(fixture_put(&fixture, count, 1), STATUS_RETRY);
	for (uint32_t i = 0; i < 20 && fixture_put(&fixture, count, 1) != STATUS_OK; i++)
		fixture_turn(&fixture);
	CU_ASSERT_EQUAL(fixture_put(&fixture, count, 1), STATUS_OK);
	fixture_close(&fixture);
}

static void full_memory_refuses_and_loses_nothing(void)
{
	struct fixture fixture;
	uint64_t count, lost = 0;

	open_small(&fixture, EVICTION_NONE);
	count = fill_up(&fixture);
	CU_ASSERT(count > 5000);
	for (uint32_t i = 0; i < 100;
	     i++) { /* an overwrite needs memory, too, until the old item is free */
		enum status status = fixture_put(&fixture, i, 1);

		CU_ASSERT(status == STATUS_OK || status == STATUS_NO_SPACE ||
			  status == STATUS_RETRY);
		fixture_turn(&fixture);
	}
	for (uint64_t i = 0; i < count; i++) {
		const struct item *item = fixture_get(&fixture, i);

		lost += !item || !fixture_value_is(item, i, 1);
	}
	CU_ASSERT_EQUAL(lost, 0);
	for (uint64_t i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(fixture_remove(&fixture, i), STATUS_OK);
	fixture_turn(&fixture);
	fixture_turn(&fixture);
	for (uint64_t i = 0; i < 50; i++)
		CU_ASSERT_EQUAL(fixture_put(&fixture, i, 1), STATUS_OK); /* of the sizes removed */
	fixture_close(&fixture);
}

static uint64_t slots_used(const struct fixture *fixture)
{
	struct partition_stats stats;
	uint64_t slots = 0;

	for (uint32_t i = 0; i < fixture->partition_count; i++) {
		partition_stats(shard_partition(fixture->shard, i), &stats);
		slots += stats.slots;
	}
	return slots;
}

/* Nobody builds the next table: what fits the first one is stored, the rest refused; nothing is
 * lost.
 */
static void a_full_index_refuses_and_loses_nothing(void)
{
	struct fixture_options options = { .memory_bytes = 8 << 20,
					   .capacity = 1,
					   .partition_count = 3 };
	static bool stored[6000];
	struct fixture fixture;
	uint64_t count = 0, wrong = 0;

	fixture_open(&fixture, &options);
	for (uint64_t i = 0; i < 6000; i++) {
		stored[i] = fixture_put(&fixture, i, 1) == STATUS_OK;
		count += stored[i];
	}
	CU_ASSERT(count > 970 && count < 1024);
	for (uint64_t i = 0; i < 6000; i++) {
		const struct item *item = fixture_get(&fixture, i);

		wrong += stored[i] ? !item || !fixture_value_is(item, i, 1) : item != NULL;
		if (stored[i]) /* needs no entry */
			wrong += fixture_put(&fixture, i, 2) != STATUS_OK;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(fixture_items(&fixture), count);
	CU_ASSERT(slots_used(&fixture) <= count + 3); /* refused writes gave their slots back */
	fixture_turn(&fixture);
	CU_ASSERT_EQUAL(fixture_put(&fixture, 100000, 1), STATUS_OK);
	fixture_close(&fixture);
}

static enum status put_colliding(struct fixture *fixture, uint64_t a, uint64_t b, bool twin,
				 uint8_t value)
{
	uint8_t bytes[COLLIDING_KEY_SIZE];
	struct shard_batch batch = { .count = 1 };
	struct item *item;
	enum status status;

	batch.keys[0] = colliding_key(&fixture->secret, a, b, twin, bytes);
	shard_lookup(fixture->shard, &batch);
	item = shard_item_create(fixture->shard, &batch.keys[0], 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(item);
	*item_value_unpublished(item) = value;
	status = shard_put(fixture->shard, &batch, 0, item);
	if (status != STATUS_OK)
		shard_item_discard(fixture->shard, item);
	return status;
}

static int get_colliding(struct fixture *fixture, uint64_t a, uint64_t b, bool twin)
{
	uint8_t bytes[COLLIDING_KEY_SIZE];
	struct shard_batch batch = { .count = 1 };

	batch.keys[0] = colliding_key(&fixture->secret, a, b, twin, bytes);
	shard_lookup(fixture->shard, &batch);
	return batch.items[0] ? *item_value(batch.items[0]) : -1;
}

static void a_collision_is_refused_and_counted(void)
{
	struct shard_stats stats;
	struct fixture fixture;

	open_small(&fixture, EVICTION_NONE);
	CU_ASSERT_EQUAL(put_colliding(&fixture, 10, 20, false, 1), STATUS_OK);
	CU_ASSERT_EQUAL(put_colliding(&fixture, 11, 19, false, 2), STATUS_OK);
	CU_ASSERT_EQUAL(put_colliding(&fixture, 11, 19, true, 3), STATUS_NO_SPACE);
	CU_ASSERT_EQUAL(get_colliding(&fixture, 10, 20, false), 1);
	CU_ASSERT_EQUAL(get_colliding(&fixture, 11, 19, false), 2);
	CU_ASSERT_EQUAL(get_colliding(&fixture, 11, 19, true), -1);
	CU_ASSERT_EQUAL(put_colliding(&fixture, 11, 19, false, 4), STATUS_OK);
	CU_ASSERT_EQUAL(get_colliding(&fixture, 10, 20, false), 1);
	CU_ASSERT_EQUAL(get_colliding(&fixture, 11, 19, false), 4);
	shard_stats(fixture.shard, &stats);
	CU_ASSERT_EQUAL(stats.index_collisions, 1);
	CU_ASSERT_EQUAL(stats.items, 2);
	fixture_close(&fixture);
}

/* --- Compaction --- */

#define COMPACTED_ITEMS 40000u

/* Most of many small items are removed; what is left moves together, the same write in the same
 * slot.
 */
static void compaction_changes_nothing_but_the_address(void)
{
	struct fixture_options options = { .memory_bytes = 8 << 20, .partition_count = 3 };
	static uint64_t versions[COMPACTED_ITEMS], slots[COMPACTED_ITEMS];
	struct fixture fixture;
	struct shard_stats before, after;
	uint64_t wrong = 0;

	fixture_open(&fixture, &options);
	for (uint64_t i = 0; i < COMPACTED_ITEMS; i++) {
		CU_ASSERT_EQUAL_FATAL(fixture_put(&fixture, i, 1), STATUS_OK);
		versions[i] = fixture_get(&fixture, i)->version;
		slots[i] = fixture_get(&fixture, i)->slot;
	}
	shard_stats(fixture.shard, &before);
	for (uint64_t i = 0; i < COMPACTED_ITEMS; i++) {
		if (i % 2 != 0)
			CU_ASSERT_EQUAL_FATAL(fixture_remove(&fixture, i), STATUS_OK);
	}
	for (uint32_t i = 0; i < 5000; i++)
		fixture_turn(&fixture);
	shard_stats(fixture.shard, &after);
	CU_ASSERT(after.relocated > 1000);
	CU_ASSERT(after.pool.slabs < before.pool.slabs * 3 / 4);
	for (uint64_t i = 0; i < COMPACTED_ITEMS; i += 2) {
		const struct item *item = fixture_get(&fixture, i);

		wrong += !item || !fixture_value_is(item, i, 1) || item->version != versions[i] ||
			 item->slot != slots[i];
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(after.items, COMPACTED_ITEMS / 2);
	fixture_close(&fixture);
}

/* --- Life --- */

static void options_are_checked(void)
{
	struct shard_options options = { .name = "unit", .worker_count = 1, .partition_count = 4 };
	struct fixture fixture;
	struct shard *shard;

	open_small(&fixture, EVICTION_NONE);
	options.memory = fixture.memory;
	options.period = &fixture.period;
	options.secret = &fixture.secret;
	options.worker_index = 1;
	CU_ASSERT_EQUAL(shard_create(&shard, &options), -EINVAL);
	CU_ASSERT_PTR_NULL(shard);
	options.worker_index = 0;
	options.partition_count = PARTITION_COUNT_MAX + 1;
	CU_ASSERT_EQUAL(shard_create(&shard, &options), -EINVAL);
	options.partition_count = 4;
	options.name = "much too long a name";
	CU_ASSERT_EQUAL(shard_create(&shard, &options), -EINVAL);
	options.name = "unit"; /* taken: the table cannot be made */
	CU_ASSERT_EQUAL(shard_create(&shard, &options), -ENOMEM);
	shard_destroy(NULL);
	fixture_close(&fixture);
}

static void a_shard_has_the_partitions_of_its_worker(void)
{
	struct shard_options options = {
		.name = "other", .worker_index = 2, .worker_count = 3, .partition_count = 8
	};
	struct fixture fixture;
	struct shard *shard;

	open_small(&fixture, EVICTION_NONE);
	options.memory = fixture.memory;
	options.period = &fixture.period;
	options.secret = &fixture.secret;
	CU_ASSERT_EQUAL_FATAL(shard_create(&shard, &options), 0);
	for (uint32_t i = 0; i < 8; i++) {
		const struct partition *partition = shard_partition(shard, i);

		CU_ASSERT_EQUAL(partition != NULL, i % 3 == 2);
		if (partition) {
			CU_ASSERT_EQUAL(partition_number(partition), i);
		}
	}
	CU_ASSERT_PTR_NULL(shard_partition(shard, 11));
	shard_destroy(shard);
	fixture_close(&fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(random_operations_match_a_model),
		UNIT_TEST(a_batch_sees_its_own_writes),
		UNIT_TEST(a_batch_writes_a_key_again),
		UNIT_TEST(a_write_leaves_other_keys_of_the_batch_alone),
		UNIT_TEST(random_batches_match_a_model),
		UNIT_TEST(versions_order_all_writes_of_a_partition),
		UNIT_TEST(a_refusal_says_whether_to_come_again),
		UNIT_TEST(full_memory_refuses_and_loses_nothing),
		UNIT_TEST(a_full_index_refuses_and_loses_nothing),
		UNIT_TEST(a_collision_is_refused_and_counted),
		UNIT_TEST(compaction_changes_nothing_but_the_address),
		UNIT_TEST(options_are_checked),
		UNIT_TEST(a_shard_has_the_partitions_of_its_worker),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("shard", tests);
}
