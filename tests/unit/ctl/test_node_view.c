/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl status and counters as people read them. */
#include "controlplane/ctl/node_view.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

/* What 'print' makes of the JSON 'text'; the caller frees. */
static char *view_of(const char *text, int (*print)(const json_t *json, FILE *out))
{
	json_t *json = json_loads(text, 0, NULL);
	char *view = NULL;
	size_t size;
	FILE *out = open_memstream(&view, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	CU_ASSERT_EQUAL(print(json, out), 0);
	fclose(out);
	json_decref(json);
	return view;
}

static void status_shows_node_port_memory_and_workers(void)
{
	char *view = view_of(
		"{\"node\": {\"name\": \"n1\", \"state\": \"ready\", \"version\": \"0.1.0\","
		" \"pid\": 17, \"uptime_ms\": 65000},"
		" \"data\": {\"address\": \"10.77.0.2\", \"udp_port\": 7700, \"port\": {"
		"  \"kind\": \"tap\", \"device\": \"godwit0\", \"mac\": \"02:00:00:00:00:01\","
		"  \"mtu\": 1500, \"link_up\": true}},"
		" \"memory\": {\"limit_bytes\": 1073741824, \"allocated_bytes\": 1536},"
		" \"items\": {\"count\": 12000, \"bytes\": 1024},"
		" \"rates\": {\"operations_per_s\": 2500000}, \"sessions\": 4, \"partitions\": 64,"
		" \"workers\": [{\"worker\": 0, \"lcore\": 1, \"state\": \"ok\", \"busy_share\": "
		"0.5,"
		"  \"turns_per_s\": 1000, \"items\": 12000, \"item_bytes\": 1024,"
		"  \"index_capacity\": 16000, \"is_growing\": true, \"sessions\": 4, \"evicted\": "
		"5,"
		"  \"expired\": 6}]}",
		node_view_status);

	CU_ASSERT_STRING_EQUAL(
		view,
		"node      n1, ready, version 0.1.0, up 1m 05s, pid 17\n"
		"data      10.77.0.2 UDP 7700, port tap godwit0, mac 02:00:00:00:00:01, MTU 1500, "
		"link up\n"
		"items     12.0K, 2.5M/s operations, 4 sessions\n"
		"memory    1.5 KiB of 1.0 GiB for items, 1.0 KiB asked for by them, partitions 64\n"
		"\n"
		"WORKER  LCORE  STATE  BUSY  TURNS/S  ITEMS    BYTES   INDEX  SESSIONS  EVICTED  "
		"EXPIRED\n"
		"     0      1  ok      50%     1.0K  12.0K  1.0 KiB  16.0K+         4        5  "
		"      6\n");
	free(view);
}

static void a_reply_without_fields_prints_all_the_same(void)
{
	char *view = view_of("{\"workers\": [{}, 3]}", node_view_status);

	CU_ASSERT_PTR_NOT_NULL(strstr(view, "link down"));
	free(view);
}

static int print_some(const json_t *json, FILE *out)
{
	return node_view_counters(json, false, out);
}

static int print_all(const json_t *json, FILE *out)
{
	return node_view_counters(json, true, out);
}

static void counters_that_are_zero_are_shown_on_request(void)
{
	static const char text[] =
		"{\"counters\": [{\"name\": \"op_get\", \"value\": 12, \"per_second\": 1.6,"
		" \"help\": \"GETs\"}, {\"name\": \"op_set\", \"value\": 0, \"per_second\": 0,"
		" \"help\": \"SETs\"}]}";
	char *some = view_of(text, print_some);
	char *all = view_of(text, print_all);

	CU_ASSERT_STRING_EQUAL(some, "COUNTER  VALUE  PER SECOND  WHAT\n"
				     "op_get      12           2  GETs\n");
	CU_ASSERT_STRING_EQUAL(all, "COUNTER  VALUE  PER SECOND  WHAT\n"
				    "op_get      12           2  GETs\n"
				    "op_set       0           0  SETs\n");
	free(some);
	free(all);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(status_shows_node_port_memory_and_workers),
		UNIT_TEST(a_reply_without_fields_prints_all_the_same),
		UNIT_TEST(counters_that_are_zero_are_shown_on_request),
		{ NULL, NULL },
	};

	return unit_run("ctl_node_view", tests);
}
