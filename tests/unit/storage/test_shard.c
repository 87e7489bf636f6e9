/* SPDX-License-Identifier: BSD-3-Clause */
/* A shard against a model, and the promises of its contract one by one. */
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

static void random_operation(struct fixture *fixture, struct model *model, uint64_t *random, uint64_t step)
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
	struct fixture_options options = { .memory_bytes = 32 << 20, .capacity = 1, .partition_count = 7 };
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

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(random_operations_match_a_model),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("shard", tests);
}
