/* SPDX-License-Identifier: BSD-3-Clause */
/* The judgement of a result, and its JSON as a reader gets it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/loadgen/report.h"
#include "tests/unit/unit.h"

struct fixture {
	struct bench_options options;
	struct load_settings settings;
	struct runner_result result;
	struct report report;
};

/* Ten seconds in which 1,000,000 GETs took 1..1000 us each, evenly, and half of 1,000 SETs failed.
 */
static void fixture_init(struct fixture *fixture, const char *rate)
{
	char *argv[] = { (char *)(uintptr_t) "godwit-bench", (char *)(uintptr_t) "--rate",
			 (char *)(uintptr_t)rate, NULL };
	struct tally *measured;
	char error[256];

	memset(fixture, 0, sizeof(*fixture));
	CU_ASSERT_EQUAL_FATAL(
		bench_options_parse(&fixture->options, rate ? 3 : 1, argv, error, sizeof(error)),
		0);
	fixture->settings.clock.ticks_per_second = 1e9;
	fixture->settings.late_limit_ticks = 100000;
	fixture->result.measured_seconds = 10.0;
	fixture->result.measured = measured = tally_create();
	fixture->result.rest = tally_create();
	measured->sent = 1001000;
	measured->received_datagrams = 1001000;
	measured->received_ops = 1001000;
	measured->planned = 1001000;
	measured->statuses[OPERATION_GET][WIRE_OK] = 999000;
	measured->statuses[OPERATION_GET][WIRE_NOT_FOUND] = 1000;
	measured->statuses[OPERATION_SET][WIRE_OK] = 500;
	measured->statuses[OPERATION_SET][WIRE_NO_SPACE] = 500;
	for (uint64_t us = 1; us <= 1000; us++)
		histogram_record(&measured->latency[OPERATION_GET], us * 1000, 1000);
	histogram_record(&measured->latency[OPERATION_SET], 5000, 1000);
}

static void judge(struct fixture *fixture)
{
	report_init(&fixture->report, &fixture->options, &fixture->settings, &fixture->result);
}

static void fixture_fini(struct fixture *fixture)
{
	runner_result_fini(&fixture->result);
}

/* The JSON written to a file and parsed back. */
static json_t *read_back(const struct fixture *fixture)
{
	char path[] = "/tmp/godwit-test-report-XXXXXX";
	int fd = mkstemp(path);
	json_t *json;

	CU_ASSERT_FATAL(fd >= 0);
	close(fd);
	CU_ASSERT_EQUAL(report_write_json(&fixture->report, path), 0);
	json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	unlink(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	return json;
}

static json_t *at(json_t *json, const char *path)
{
	char names[128];

	snprintf(names, sizeof(names), "%s", path);
	for (char *name = strtok(names, "/"); name; name = strtok(NULL, "/"))
		json = json_object_get(json, name);
	if (!json)
		printf("no %s in the JSON\n", path);
	return json;
}

static double number_at(json_t *json, const char *path)
{
	return json_number_value(at(json, path));
}

static void test_the_json_holds_what_was_measured(void)
{
	struct fixture fixture;
	json_t *json;

	fixture_init(&fixture, NULL);
	judge(&fixture);
	json = read_back(&fixture);
	CU_ASSERT(json_is_true(at(json, "valid")));
	CU_ASSERT_EQUAL(json_array_size(at(json, "invalid_reasons")), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(at(json, "config/loop")), "closed");
	CU_ASSERT_EQUAL(number_at(json, "config/keys"), 1000000);
	CU_ASSERT_EQUAL(number_at(json, "config/mix/get"), 1.0);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "throughput/ops_per_s"), 100100.0, 0.1);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "throughput/datagrams_per_s"), 100100.0, 0.1);
	CU_ASSERT_EQUAL(number_at(json, "operations/get/count"), 1000000);
	CU_ASSERT_EQUAL(number_at(json, "operations/get/ok"), 999000);
	CU_ASSERT_EQUAL(number_at(json, "operations/get/not_found"), 1000);
	CU_ASSERT_EQUAL(number_at(json, "operations/get/errors"), 0);
	CU_ASSERT_EQUAL(number_at(json, "operations/set/errors"), 500);
	CU_ASSERT_EQUAL(number_at(json, "operations/set/statuses/no_space"), 500);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "operations/get/latency_us/p50"), 500.0, 0.5);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "operations/get/latency_us/p90"), 900.0, 0.9);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "operations/get/latency_us/p99"), 990.0, 1.0);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "operations/get/latency_us/p99_9"), 999.0, 1.0);
	CU_ASSERT_EQUAL(number_at(json, "operations/get/latency_us/max"), 1000.0);
	CU_ASSERT_DOUBLE_EQUAL(number_at(json, "operations/get/latency_us/mean"), 500.5, 0.6);
	CU_ASSERT_EQUAL(number_at(json, "datagrams/sent"), 1001000);
	CU_ASSERT_EQUAL(number_at(json, "datagrams/lost"), 0);
	CU_ASSERT_EQUAL(number_at(json, "lateness/limit_us"), 100.0);
	CU_ASSERT(json_is_false(at(json, "verification/enabled")));
	CU_ASSERT_PTR_NOT_NULL(at(json, "load/seconds"));
	CU_ASSERT_PTR_NOT_NULL(at(json, "server/workers"));
	CU_ASSERT_PTR_NULL(json_object_get(at(json, "operations"), "delete"));
	json_decref(json);
	fixture_fini(&fixture);
}

/* The one reason a result is invalid, by its JSON. */
static void check_invalid(struct fixture *fixture, const char *why)
{
	json_t *json;

	judge(fixture);
	CU_ASSERT_FALSE(report_is_valid(&fixture->report));
	json = read_back(fixture);
	CU_ASSERT(json_is_false(at(json, "valid")));
	CU_ASSERT_EQUAL(json_array_size(at(json, "invalid_reasons")), 1);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(json_string_value(json_array_get(at(json, "invalid_reasons"), 0)), why));
	json_decref(json);
	fixture_fini(fixture);
}

static void test_each_breach_makes_it_invalid(void)
{
	struct fixture fixture;

	fixture_init(&fixture, "100k");
	fixture.result.measured->late = 20000;
	check_invalid(&fixture, "the generator cannot hold this rate");
	fixture_init(&fixture, "100k");
	fixture.result.measured->late = 20000;
	fixture.result.measured->blocked = 1;
	check_invalid(&fixture, "the server left too many requests unanswered");
	fixture_init(&fixture, NULL);
	fixture.result.measured->lost = 2000;
	check_invalid(&fixture, "0.200 % of the datagrams got no reply");
	fixture_init(&fixture, NULL);
	fixture.result.measured->received_datagrams = 0;
	check_invalid(&fixture, "no reply came");
	fixture_init(&fixture, NULL);
	fixture.result.rest->wrong = 1;
	check_invalid(&fixture, "1 values were never written");
	fixture_init(&fixture, NULL);
	fixture.result.measured->stale = 2;
	check_invalid(&fixture, "2 values are older");
	fixture_init(&fixture, NULL);
	fixture.result.rest->missing = 3;
	check_invalid(&fixture, "3 keys are missing");
	fixture_init(&fixture, NULL);
	fixture.result.measured->malformed = 4;
	check_invalid(&fixture, "4 replies were malformed");
	fixture_init(&fixture, NULL);
	fixture.result.measured->need_hello = 5;
	check_invalid(&fixture, "ended sessions (5");
	fixture_init(&fixture, NULL);
	fixture.result.interrupted = true;
	check_invalid(&fixture, "interrupted");
}

static void test_limits_are_the_callers(void)
{
	struct fixture fixture;

	fixture_init(&fixture, "100k");
	fixture.result.measured->late = 20000;
	fixture.result.measured->lost = 2000;
	fixture.options.late_share_percent = 2.0;
	fixture.options.loss_limit_percent = 0.2;
	judge(&fixture);
	CU_ASSERT(report_is_valid(&fixture.report));
	fixture_fini(&fixture);
}

/* What a person sees. */
static void test_the_table_says_what_matters(void)
{
	struct fixture fixture;
	char text[4096] = "";
	FILE *file = fmemopen(text, sizeof(text), "w");

	fixture_init(&fixture, NULL);
	fixture.result.measured->lost = 2000;
	judge(&fixture);
	report_print(&fixture.report, file);
	fclose(file);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "closed loop"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "100100 ops/s"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "set answered no_space: 500"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "INVALID        0.200 %"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "result         INVALID"));
	fixture_fini(&fixture);
}

static void test_an_unwritable_file_is_an_error(void)
{
	struct fixture fixture;

	fixture_init(&fixture, NULL);
	judge(&fixture);
	CU_ASSERT(report_write_json(&fixture.report, "/nonexistent/directory/file") < 0);
	fixture_fini(&fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_the_json_holds_what_was_measured),
		UNIT_TEST(test_each_breach_makes_it_invalid),
		UNIT_TEST(test_limits_are_the_callers),
		UNIT_TEST(test_the_table_says_what_matters),
		UNIT_TEST(test_an_unwritable_file_is_an_error),
		{ NULL, NULL },
	};

	return unit_run("report", tests);
}
