/* SPDX-License-Identifier: BSD-3-Clause */
/* Mixes: parsed, drawn in their shares, with keys nobody else inserts. */
#include <math.h>
#include <string.h>

#include "dataplane/loadgen/workload.h"
#include "tests/unit/unit.h"

#define DRAWS 200000u

static struct workload workload_of(const char *mix, enum key_distribution distribution)
{
	struct workload workload = {
		.distribution = distribution,
		.exponent = 0.99,
		.scrambled = true,
		.key_count = 1000,
		.counter_count = 10,
		.format = { .key_size = 16, .value_size_min = 32, .value_size_max = 32 },
	};
	char error[256];

	CU_ASSERT_FATAL(workload_parse_mix(&workload, mix, error, sizeof(error)));
	return workload;
}

static void test_mixes_are_weights(void)
{
	struct workload workload = workload_of("get=3,set=1,cas=0", KEY_UNIFORM);

	CU_ASSERT_DOUBLE_EQUAL(workload.shares[OPERATION_GET], 0.75, 1e-9);
	CU_ASSERT_DOUBLE_EQUAL(workload.shares[OPERATION_SET], 0.25, 1e-9);
	CU_ASSERT_FALSE(workload_has(&workload, OPERATION_CAS));
}

static void check_refused(const char *mix, const char *why)
{
	struct workload workload = { 0 };
	char error[512] = "";

	CU_ASSERT_FALSE(workload_parse_mix(&workload, mix, error, sizeof(error)));
	CU_ASSERT_PTR_NOT_NULL(strstr(error, why));
}

static void test_bad_mixes_are_refused_by_name(void)
{
	check_refused("fetch=1", "'fetch' is no operation");
	check_refused("get", "'get' needs a weight");
	check_refused("get=", "'get' needs a weight");
	check_refused("get=1x", "'get' needs a weight");
	check_refused("get=-1", "'get' needs a weight");
	check_refused("get=0", "zero");
	check_refused("", "is no operation");
	check_refused("get=1,", "is no operation");
}

static void test_ycsb_presets(void)
{
	struct workload workload = workload_of("get=1", KEY_UNIFORM);

	CU_ASSERT(workload_set_ycsb(&workload, 'd'));
	CU_ASSERT_EQUAL(workload.shares[OPERATION_INSERT], 0.05);
	CU_ASSERT_EQUAL(workload.distribution, KEY_LATEST);
	CU_ASSERT(workload_set_ycsb(&workload, 'f'));
	CU_ASSERT_EQUAL(workload.shares[OPERATION_CAS], 0.5);
	CU_ASSERT_EQUAL(workload.shares[OPERATION_INSERT], 0.0);
	CU_ASSERT_EQUAL(workload.distribution, KEY_ZIPF);
	CU_ASSERT_FALSE(workload_set_ycsb(&workload, 'e'));
}

static void test_kinds_are_drawn_in_their_shares(void)
{
	struct workload workload =
		workload_of("get=50,set=30,delete=10,increment=6,cas=4", KEY_UNIFORM);
	unsigned counts[OPERATION_KIND_COUNT + 1] = { 0 };
	struct workload_cursor cursor;

	CU_ASSERT_EQUAL_FATAL(workload_cursor_init(&cursor, &workload, 0, 1, 5), 0);
	for (unsigned i = 0; i < DRAWS; i++) {
		struct operation operation;

		workload_next(&cursor, &operation);
		counts[operation.kind]++;
		CU_ASSERT_EQUAL(operation.space, operation_traits[operation.kind].space);
		CU_ASSERT_FATAL(operation.key < (operation.space == KEY_SPACE_COUNTER ? 10 : 1000));
	}
	/* a CAS begins with its GET */
	CU_ASSERT_EQUAL(counts[OPERATION_CAS], 0);
	CU_ASSERT_DOUBLE_EQUAL(counts[OPERATION_CAS_READ] / (double)DRAWS, 0.04, 0.003);
	CU_ASSERT_DOUBLE_EQUAL(counts[OPERATION_GET] / (double)DRAWS, 0.50, 0.006);
	CU_ASSERT_DOUBLE_EQUAL(counts[OPERATION_SET] / (double)DRAWS, 0.30, 0.006);
	CU_ASSERT_DOUBLE_EQUAL(counts[OPERATION_DELETE] / (double)DRAWS, 0.10, 0.004);
	CU_ASSERT_DOUBLE_EQUAL(counts[OPERATION_INCREMENT] / (double)DRAWS, 0.06, 0.003);
	workload_cursor_fini(&cursor);
}

static void test_writes_of_all_workers_are_numbered_apart(void)
{
	struct workload workload = workload_of("set=1", KEY_UNIFORM);
	struct workload_cursor cursors[2];
	struct operation last[2], operation;

	for (uint32_t worker = 0; worker < 2; worker++) {
		CU_ASSERT_EQUAL_FATAL(
			workload_cursor_init(&cursors[worker], &workload, worker, 2, 5), 0);
		workload_next(&cursors[worker], &last[worker]);
		workload_next(&cursors[worker], &operation);
		CU_ASSERT_EQUAL(operation.number, last[worker].number + 1);
		workload_cursor_fini(&cursors[worker]);
	}
	CU_ASSERT(last[1].number - last[0].number >= UINT64_C(1) << 40);
}

static void test_workers_insert_different_keys_behind_the_loaded_ones(void)
{
	struct workload workload = workload_of("insert=1", KEY_LATEST);
	struct workload_cursor cursors[3];
	uint8_t seen[300] = { 0 };

	for (uint32_t worker = 0; worker < 3; worker++) {
		CU_ASSERT_EQUAL_FATAL(
			workload_cursor_init(&cursors[worker], &workload, worker, 3, 5), 0);
		for (unsigned i = 0; i < 100; i++) {
			struct operation operation;

			workload_next(&cursors[worker], &operation);
			CU_ASSERT_FATAL(operation.key >= 1000 && operation.key < 1300);
			CU_ASSERT_EQUAL(seen[operation.key - 1000]++, 0);
		}
		workload_cursor_fini(&cursors[worker]);
	}
}

/* 'latest' must not read what is not yet acknowledged, in whatever order acknowledgements come. */
static void test_latest_waits_for_acknowledgement(void)
{
	struct workload workload = workload_of("get=1,insert=1", KEY_LATEST);
	struct workload_cursor cursor;
	uint64_t keys[100], newest = 0;
	struct operation operation;
	unsigned inserted = 0;

	CU_ASSERT_EQUAL_FATAL(workload_cursor_init(&cursor, &workload, 1, 2, 5), 0);
	while (inserted < 100) {
		workload_next(&cursor, &operation);
		if (operation.kind == OPERATION_INSERT)
			keys[inserted++] = operation.key;
		else
			CU_ASSERT_FATAL(operation.key < 1000);
	}
	for (unsigned i = 100; i-- > 1;)
		workload_insert_done(&cursor, keys[i]);
	CU_ASSERT_EQUAL(cursor.chooser.key_count, 1000);
	workload_insert_done(&cursor, keys[0]);
	CU_ASSERT_EQUAL(cursor.chooser.key_count, 1100);
	for (unsigned i = 0; i < 1000; i++) {
		workload_next(&cursor, &operation);
		if (operation.kind == OPERATION_GET && operation.key > newest)
			newest = operation.key;
	}
	CU_ASSERT_EQUAL(newest, keys[99]);
	workload_cursor_fini(&cursor);
}

static void test_datagram_sizes_hold_request_and_reply(void)
{
	struct workload gets = workload_of("get=1", KEY_UNIFORM);
	struct workload sets = workload_of("set=1", KEY_UNIFORM);

	CU_ASSERT(workload_datagram_size_max(&gets, 16) >= 24 + 16 * (16 + 32));
	CU_ASSERT(workload_datagram_size_max(&sets, 16) >= 24 + 16 * (8 + 16 + 32));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_mixes_are_weights),
		UNIT_TEST(test_bad_mixes_are_refused_by_name),
		UNIT_TEST(test_ycsb_presets),
		UNIT_TEST(test_kinds_are_drawn_in_their_shares),
		UNIT_TEST(test_writes_of_all_workers_are_numbered_apart),
		UNIT_TEST(test_workers_insert_different_keys_behind_the_loaded_ones),
		UNIT_TEST(test_latest_waits_for_acknowledgement),
		UNIT_TEST(test_datagram_sizes_hold_request_and_reply),
		{ NULL, NULL },
	};

	return unit_run("workload", tests);
}
