/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations and rebalances as people read them. */
#include "controlplane/ctl/migration_view.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define JOB                                                                                        \
	"{\"partition\": 7, \"from\": \"a\", \"to\": \"b\", \"phase\": \"copying\","               \
	" \"items\": 12000, \"bytes\": 5242880, \"bytes_expected\": 10485760,"                     \
	" \"bytes_per_s\": 2621440, \"eta_ms\": 2000, \"attempt\": 1, \"reason\": null}"
#define STUCK                                                                                      \
	"{\"partition\": 9, \"from\": \"a\", \"to\": \"c\", \"phase\": \"preparing\","             \
	" \"items\": 0, \"bytes\": 0, \"bytes_expected\": 0, \"bytes_per_s\": 0,"                  \
	" \"eta_ms\": null, \"attempt\": 3, \"reason\": \"too many migrations at once\"}"
#define PAST                                                                                       \
	"{\"partition\": 3, \"from\": \"a\", \"to\": \"b\", \"ok\": true, \"items\": 5,"           \
	" \"bytes\": 1024, \"took_ms\": 350, \"ended_ms_ago\": 1200, \"reason\": null}"
#define FAILED                                                                                     \
	"{\"partition\": 4, \"from\": \"a\", \"to\": \"b\", \"ok\": false, \"items\": 0,"          \
	" \"bytes\": 0, \"took_ms\": 90, \"ended_ms_ago\": 8000, \"reason\": \"cancelled\"}"

/* What 'print' makes of the JSON 'text'; the caller frees. */
static char *view_of(const char *text, void (*print)(const json_t *json, FILE *out))
{
	json_t *json = json_loads(text, 0, NULL);
	char *view = NULL;
	size_t size;
	FILE *out = open_memstream(&view, &size);

	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	print(json, out);
	fclose(out);
	json_decref(json);
	return view;
}

static void print_list(const json_t *json, FILE *out)
{
	CU_ASSERT_EQUAL(migration_view_list(json, out), 0);
}

static void print_moves(const json_t *json, FILE *out)
{
	CU_ASSERT_EQUAL(migration_view_moves(json, out), 0);
}

static void bars_show_shares(void)
{
	char text[MIGRATION_BAR_SIZE];

	CU_ASSERT_STRING_EQUAL(migration_view_bar(text, 0), "[--------------------]   0%");
	CU_ASSERT_STRING_EQUAL(migration_view_bar(text, 0.41), "[########------------]  41%");
	CU_ASSERT_STRING_EQUAL(migration_view_bar(text, 1), "[####################] 100%");
	CU_ASSERT_STRING_EQUAL(migration_view_bar(text, 1.5), "[####################] 100%");
	CU_ASSERT_STRING_EQUAL(migration_view_bar(text, -1), "[--------------------]   0%");
}

static void the_list_shows_what_moves_and_why_it_does_not(void)
{
	char *view = view_of("{\"nodes\": [{\"name\": \"a\", \"error\": null}, {\"name\": \"c\","
			     " \"error\": \"c cannot be asked: no connection\"}],"
			     " \"rebalance\": {\"state\": \"moving\", \"moves_left\": 12},"
			     " \"jobs\": [" JOB ", " STUCK "], \"past\": [" PAST ", " FAILED "]}",
			     print_list);

	CU_ASSERT_STRING_EQUAL(
		view,
		"no answer   c cannot be asked: no connection\n"
		"rebalance   12 moves left\n"
		"PARTITION  FROM  TO  PHASE      COPIED                       ITEMS    BYTES      "
		" RATE  LEFT  NOTE\n"
		"        7  a     b   copying    [##########----------]  50%  12.0K  5.0 MiB  2.5 "
		"MiB/s    2s\n"
		"        9  a     c   preparing  [--------------------]   0%      0      0 B      "
		"0 B/s     ?  too many migrations at once (attempt 3)\n"
		"\n"
		"PARTITION  FROM  TO  ENDED      ITEMS    BYTES   TOOK    WHEN\n"
		"        3  a     b   moved          5  1.0 KiB  350ms  1s ago\n"
		"        4  a     b   cancelled      0      0 B   90ms  8s ago\n");
	free(view);
}

static void a_quiet_cluster_says_so(void)
{
	char *view = view_of("{\"nodes\": [], \"jobs\": [], \"past\": [], \"rebalance\": null}",
			     print_list);

	CU_ASSERT_STRING_EQUAL(view, "no partition is on its way\n");
	free(view);
	view = view_of("{}", print_list);
	CU_ASSERT_STRING_EQUAL(view, "no partition is on its way\n");
	free(view);
}

static void one_job_is_one_line(void)
{
	char *view = view_of(JOB, migration_view_job);

	CU_ASSERT_STRING_EQUAL(view, "7 a -> b  [##########----------]  50%  5.0 MiB of 10.0 MiB, "
				     "2.5 MiB/s, 2s left, copying");
	free(view);
	view = view_of(STUCK, migration_view_job);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(view, "? left, preparing: too many migrations at once (attempt 3)"));
	free(view);
	view = view_of("{\"partition\": 1, \"in_doubt\": true, \"phase\": \"committing\"}",
		       migration_view_job);
	CU_ASSERT_PTR_NOT_NULL(strstr(view, "committing: in doubt"));
	free(view);
}

static void ends_tell_how(void)
{
	char *view = view_of(PAST, migration_view_end);

	CU_ASSERT_STRING_EQUAL(view,
			       "partition 3 has moved from a to b: 5 items, 1.0 KiB, in 350ms\n");
	free(view);
	view = view_of(FAILED, migration_view_end);
	CU_ASSERT_STRING_EQUAL(view, "partition 4 has not moved from a to b: cancelled\n");
	free(view);
}

static void jobs_are_found_by_partition_target_and_age(void)
{
	json_t *jobs = json_loads("[" JOB ", " PAST "]", 0, NULL);

	CU_ASSERT_PTR_EQUAL(migration_view_find(jobs, 7, "b", 0), json_array_get(jobs, 0));
	CU_ASSERT_PTR_NULL(migration_view_find(jobs, 7, "a", 0));
	CU_ASSERT_PTR_NULL(migration_view_find(jobs, 3, "b", 1000));
	CU_ASSERT_PTR_EQUAL(migration_view_find(jobs, 3, "b", 1200), json_array_get(jobs, 1));
	json_decref(jobs);
}

static void a_plan_lists_its_moves(void)
{
	char *view = view_of("{\"moves\": [{\"partition\": 63, \"from\": \"a\", \"to\": \"b\"}],"
			     " \"unmovable\": 2}",
			     print_moves);

	CU_ASSERT_STRING_EQUAL(view, "PARTITION  FROM  TO\n       63  a     b\n"
				     "2 partitions cannot be moved: their owners are dead\n");
	free(view);
	view = view_of("{\"moves\": [], \"unmovable\": 0}", print_moves);
	CU_ASSERT_STRING_EQUAL(view, "balanced: nothing to move\n");
	free(view);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(bars_show_shares),
		UNIT_TEST(the_list_shows_what_moves_and_why_it_does_not),
		UNIT_TEST(a_quiet_cluster_says_so),
		UNIT_TEST(one_job_is_one_line),
		UNIT_TEST(ends_tell_how),
		UNIT_TEST(jobs_are_found_by_partition_target_and_age),
		UNIT_TEST(a_plan_lists_its_moves),
		{ NULL, NULL },
	};

	return unit_run("ctl_migration_view", tests);
}
