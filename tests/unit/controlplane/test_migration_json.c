/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations as JSON, and the two ends of a job put together. */
#include "controlplane/migration_json.h"

#include <string.h>

#include "tests/unit/unit.h"

static const char *name_of(void *context, uint64_t id, char text[NODE_NAME_SIZE])
{
	(void)context;
	snprintf(text, NODE_NAME_SIZE, "n%u", (unsigned)id);
	return text;
}

static const struct migration_names names = { name_of, NULL, 1 };

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "(none)";
}

static json_int_t number_at(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void a_source_and_a_target_are_told_from_their_own_sides(void)
{
	struct migration_view view = { .partition = 7,
				       .is_source = true,
				       .job = 0xabc,
				       .attempt = 2,
				       .peer = 5,
				       .state = "copying",
				       .reason = MIGRATION_AT_CAPACITY,
				       .items = 10,
				       .items_expected = 40,
				       .bytes = 1000,
				       .bytes_expected = 4000,
				       .bytes_per_s = 1500 };
	json_t *json = migration_view_json(&view, &names);

	CU_ASSERT_STRING_EQUAL(text_at(json, "from"), "n1");
	CU_ASSERT_STRING_EQUAL(text_at(json, "to"), "n5");
	CU_ASSERT_STRING_EQUAL(text_at(json, "role"), "source");
	CU_ASSERT_STRING_EQUAL(text_at(json, "job"), "0000000000000abc");
	CU_ASSERT_STRING_EQUAL(text_at(json, "phase"), "copying");
	CU_ASSERT_STRING_EQUAL(text_at(json, "reason"), "too many migrations at once");
	CU_ASSERT_EQUAL(number_at(json, "eta_ms"), 2000);
	json_decref(json);
	view.is_source = false;
	view.reason = MIGRATION_NO_REASON;
	view.bytes_per_s = 0;
	json = migration_view_json(&view, &names);
	CU_ASSERT_STRING_EQUAL(text_at(json, "from"), "n5");
	CU_ASSERT_STRING_EQUAL(text_at(json, "to"), "n1");
	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "reason")));
	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "eta_ms")));
	json_decref(json);
}

static void more_than_expected_has_no_time_left(void)
{
	const struct migration_view view = {
		.state = "copying", .bytes = 5000, .bytes_expected = 4000, .bytes_per_s = 1
	};
	json_t *json = migration_view_json(&view, &names);

	CU_ASSERT_TRUE(json_is_null(json_object_get(json, "eta_ms")));
	json_decref(json);
}

static void an_end_tells_why(void)
{
	const struct migration_past past = { .partition = 3,
					     .peer = 2,
					     .reason = MIGRATION_OUT_OF_MEMORY,
					     .took_ms = 70,
					     .ended_ms = 9 };
	json_t *json = migration_past_json(&past, &names);

	CU_ASSERT_STRING_EQUAL(text_at(json, "from"), "n2");
	CU_ASSERT_STRING_EQUAL(text_at(json, "reason"), "the target is out of memory");
	CU_ASSERT_TRUE(json_is_false(json_object_get(json, "ok")));
	CU_ASSERT_EQUAL(number_at(json, "ended_ms_ago"), 9);
	json_decref(json);
}

static json_t *merge(const char *text)
{
	json_t *answers = json_loads(text, 0, NULL);
	json_t *merged;

	CU_ASSERT_PTR_NOT_NULL_FATAL(answers);
	merged = migration_merge_json(answers);
	json_decref(answers);
	return merged;
}

static void both_ends_become_one_job_and_the_source_speaks(void)
{
	static const char *const texts[] = {
		"[{\"name\": \"a\", \"body\": {\"jobs\": [{\"partition\": 7, \"job\": \"x\","
		" \"role\": \"source\", \"bytes\": 5}], \"past\": []}},"
		" {\"name\": \"b\", \"body\": {\"jobs\": [{\"partition\": 7, \"job\": \"x\","
		" \"role\": \"target\", \"bytes\": 4}], \"past\": []}}]",
		"[{\"name\": \"b\", \"body\": {\"jobs\": [{\"partition\": 7, \"job\": \"x\","
		" \"role\": \"target\", \"bytes\": 4}]}},"
		" {\"name\": \"a\", \"body\": {\"jobs\": [{\"partition\": 7, \"job\": \"x\","
		" \"role\": \"source\", \"bytes\": 5}]}}]",
	};

	for (size_t i = 0; i < 2; i++) {
		json_t *merged = merge(texts[i]);
		const json_t *jobs = json_object_get(merged, "jobs");

		CU_ASSERT_EQUAL(json_array_size(jobs), 1);
		CU_ASSERT_EQUAL(number_at(json_array_get(jobs, 0), "bytes"), 5);
		CU_ASSERT_EQUAL(json_array_size(json_object_get(merged, "nodes")), 2);
		json_decref(merged);
	}
}

static void jobs_are_sorted_by_partition_and_ends_by_time(void)
{
	json_t *merged = merge("[{\"name\": \"a\", \"body\": {\"jobs\": ["
			       "{\"partition\": 9, \"job\": \"x\"}, {\"partition\": 2, \"job\": "
			       "\"y\"}, {\"partition\": 2, \"job\": \"z\"}], \"past\": ["
			       "{\"partition\": 1, \"job\": \"p\", \"ended_ms_ago\": 50},"
			       " {\"partition\": 1, \"job\": \"q\", \"ended_ms_ago\": 10}]}},"
			       " {\"name\": \"b\", \"error\": \"away\"}]");
	const json_t *jobs = json_object_get(merged, "jobs");
	const json_t *past = json_object_get(merged, "past");
	const json_t *nodes = json_object_get(merged, "nodes");

	CU_ASSERT_EQUAL(json_array_size(jobs), 3);
	CU_ASSERT_EQUAL(number_at(json_array_get(jobs, 0), "partition"), 2);
	CU_ASSERT_EQUAL(number_at(json_array_get(jobs, 2), "partition"), 9);
	CU_ASSERT_STRING_EQUAL(text_at(json_array_get(past, 0), "job"), "q");
	CU_ASSERT_TRUE(json_is_null(json_object_get(json_array_get(nodes, 0), "error")));
	CU_ASSERT_STRING_EQUAL(text_at(json_array_get(nodes, 1), "error"), "away");
	json_decref(merged);
}

static void a_plan_names_nodes(void)
{
	static struct rebalance_plan plan = { .move_count = 1,
					      .unmovable_count = 3,
					      .moves = { { 63, 1, 2 } } };
	json_t *json = migration_plan_json(&plan, &names);
	const json_t *move = json_array_get(json_object_get(json, "moves"), 0);

	CU_ASSERT_EQUAL(number_at(move, "partition"), 63);
	CU_ASSERT_STRING_EQUAL(text_at(move, "from"), "n1");
	CU_ASSERT_STRING_EQUAL(text_at(move, "to"), "n2");
	CU_ASSERT_EQUAL(number_at(json, "unmovable"), 3);
	json_decref(json);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_source_and_a_target_are_told_from_their_own_sides),
		UNIT_TEST(more_than_expected_has_no_time_left),
		UNIT_TEST(an_end_tells_why),
		UNIT_TEST(both_ends_become_one_job_and_the_source_speaks),
		UNIT_TEST(jobs_are_sorted_by_partition_and_ends_by_time),
		UNIT_TEST(a_plan_names_nodes),
		{ NULL, NULL },
	};

	return unit_run("migration_json", tests);
}
