/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl migrate, cancel, rebalance and migrations: what they ask, how long they wait, and what they exit with. */
#include "tests/unit/ctl/fake_admin.h"
#include "tests/unit/unit.h"

#include <string.h>

#define JOB                                                                                        \
	"{\"partition\": 7, \"from\": \"a\", \"to\": \"b\", \"phase\": \"copying\", \"items\": 1," \
	" \"bytes\": 1, \"bytes_expected\": 2, \"bytes_per_s\": 1, \"eta_ms\": 1}"
#define PAST(ok, ago, reason)                                                                      \
	"{\"partition\": 7, \"from\": \"a\", \"to\": \"b\", \"ok\": " ok ", \"items\": 5,"         \
	" \"bytes\": 1024, \"took_ms\": 350, \"ended_ms_ago\": " ago ", \"reason\": " reason "}"
#define LIST(jobs, past) "{\"jobs\": [" jobs "], \"past\": [" past "]}"

#define BEGIN(status_, reply_)                                                                     \
	{                                                                                          \
		"POST /v1/migrations", "{\"partition\": 7, \"node\": \"b\"}", status_, reply_, 0,  \
			0                                                                          \
	}
#define BEGUN BEGIN(202, "{\"partition\": 7, \"from\": \"a\", \"to\": \"b\"}")
#define LOOK(status_, reply_, answer_, times_)                                                     \
	{                                                                                          \
		"GET /v1/migrations", NULL, status_, reply_, answer_, times_                       \
	}
#define MIGRATE CTL_WORDS("migrate", "7", "b")

static const struct fake_step nothing[] = { { 0 } };

/* ---- migrate ---- */

static void migrate_waits_until_the_partition_has_moved(void)
{
	static const struct fake_step steps[] = {
		BEGUN,
		LOOK(200, LIST(JOB, ""), FAKE_REPLY, 2),
		LOOK(200, LIST("", PAST("true", "0", "null")), FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "partition 7 has moved from a to b: 5 items, 1.0 KiB, in "
					"350ms\n");
	CU_ASSERT_EQUAL(run.paused_ms, 400);
	ctl_run_fini(&run);
}

static void migrate_tells_a_failure_as_text_and_as_json(void)
{
	static const struct fake_step steps[] = {
		BEGUN,
		LOOK(200, LIST("", PAST("false", "0", "\"cancelled\"")), FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	CU_ASSERT_STRING_EQUAL(run.err, "partition 7 has not moved from a to b: cancelled\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("migrate", "7", "b", "-o", "json"));
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"reason\": \"cancelled\""));
	ctl_run_fini(&run);
}

/* One that ended before this one began is not this one. */
static void migrate_is_not_taken_in_by_an_older_end(void)
{
	static const struct fake_step steps[] = {
		BEGUN,
		LOOK(200, LIST("", PAST("true", "3600000", "null")), FAKE_REPLY, 3),
		LOOK(200, LIST(JOB, PAST("true", "3600000", "null")), FAKE_REPLY, 1),
		LOOK(200,
		     LIST("", PAST("true", "3600000", "null") ", " PAST("false", "0", "\"full\"")),
		     FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	CU_ASSERT_STRING_EQUAL(run.err, "partition 7 has not moved from a to b: full\n");
	ctl_run_fini(&run);
}

/* Five seconds in a row; a look at which it is seen starts them anew. */
static void migrate_gives_up_when_nothing_is_to_be_seen_any_more(void)
{
	static const struct fake_step steps[] = {
		BEGUN,
		LOOK(200, LIST("", ""), FAKE_REPLY, 24),
		LOOK(200, LIST(JOB, ""), FAKE_REPLY, 1),
		LOOK(200, LIST("", ""), FAKE_REPLY, 25),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	CU_ASSERT_EQUAL(run.paused_ms, 49 * 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "nothing is to be seen of the migration any more"));
	ctl_run_fini(&run);
}

static void migrate_is_in_doubt_when_the_node_falls_silent(void)
{
	static const struct fake_step gone[] = {
		BEGUN,
		LOOK(200, LIST(JOB, ""), FAKE_GONE, 1),
		{ 0 },
	};
	static const struct fake_step refused[] = {
		BEGUN,
		LOOK(401, "{\"error\": {\"message\": \"no token\"}}", FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, gone, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	ctl_run_fini(&run);
}

static void migrate_can_begin_only(void)
{
	static const struct fake_step begun[] = { BEGUN, { 0 } };
	static const struct fake_step refused[] = {
		BEGIN(409, "{\"error\": {\"message\": \"it is moving\"}}"),
		{ 0 },
	};
	static const struct fake_step in_doubt[] = {
		BEGIN(504, "{\"error\": {\"message\": \"a does not answer\"}}"),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, begun, CTL_WORDS("migrate", "--no-wait", "7", "b"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "begun: partition 7 from a to b\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, begun, CTL_WORDS("migrate", "7", "b", "--no-wait", "-ojson"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"from\": \"a\""));
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "answered 409: it is moving\n"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, in_doubt, MIGRATE);
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	ctl_run_fini(&run);
}

/* ---- migrations, cancel ---- */

static void migrations_are_listed(void)
{
	static const struct fake_step steps[] = {
		LOOK(200, "{\"jobs\": [], \"past\": [], \"rebalance\": {\"state\": \"settling\"}}",
		     FAKE_REPLY, 1),
		{ 0 },
	};
	static const struct fake_step refused[] = {
		LOOK(503, "{\"error\": {\"message\": \"busy\"}}", FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("migrations"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "rebalance   begins when the members have settled, and "
					"nothing else moves\nno partition is on its way\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("migrations", "-o", "json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"state\": \"settling\""));
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, CTL_WORDS("migrations"));
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	ctl_run_fini(&run);
}

static void cancel_names_the_partition(void)
{
	static const struct fake_step done[] = {
		{ "DELETE /v1/migrations/7", NULL, 200, "{\"partition\": 7}", 0, 0 },
		{ 0 },
	};
	static const struct fake_step too_late[] = {
		{ "DELETE /v1/migrations/7", NULL, 409,
		  "{\"error\": {\"message\": \"it is decided\"}}", 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, done, CTL_WORDS("cancel", "7"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "cancelled: partition 7 stays where it is\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, done, CTL_WORDS("cancel", "7", "-ojson"));
	CU_ASSERT_STRING_EQUAL(run.out, "{\n  \"partition\": 7\n}\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, too_late, CTL_WORDS("cancel", "7"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	ctl_run_fini(&run);
}

static void words_that_are_too_many_or_missing_are_refused_before_anything_is_sent(void)
{
	static const char *const lines[][5] = {
		{ "migrations", "x" },
		{ "migrate" },
		{ "migrate", "7" },
		{ "migrate", "x", "b" },
		{ "migrate", "7", "b", "c" },
		{ "cancel" },
		{ "cancel", "7x" },
		{ "cancel", "7", "8" },
		{ "cancel", "99999999999999999999" },
		{ "rebalance", "now" },
	};
	struct ctl_run run;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ctl_run_steps(&run, nothing, lines[i]);
		CU_ASSERT_EQUAL(run.code, CTL_USAGE);
		CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "\nusage: godwitctl "));
		ctl_run_fini(&run);
	}
}

/* ---- rebalance ---- */

#define MOVES                                                                                      \
	"{\"moves\": [{\"partition\": 1, \"from\": \"a\", \"to\": \"b\"},"                         \
	" {\"partition\": 2, \"from\": \"a\", \"to\": \"b\"}], \"unreached\": []}"
#define MOVING(jobs)                                                                               \
	"{\"jobs\": [" jobs "], \"rebalance\": {\"state\": \"moving\", \"moves_left\": 1}}"
#define IDLE "{\"jobs\": [], \"rebalance\": {\"state\": \"idle\", \"moves_left\": 0}}"
#define REBALANCE(reply_)                                                                          \
	{                                                                                          \
		"POST /v1/rebalance", "{\"dry_run\": false}", 202, reply_, 0, 0                    \
	}

static void rebalance_waits_until_nothing_is_left_to_move(void)
{
	static const struct fake_step steps[] = {
		REBALANCE(MOVES),
		LOOK(200, MOVING(JOB), FAKE_REPLY, 2),
		LOOK(200, IDLE, FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("rebalance"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "rebalanced: 2 partitions were to move\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("rebalance", "-ojson"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"moves\": ["));
	CU_ASSERT_PTR_NULL(strstr(run.out, "rebalanced"));
	ctl_run_fini(&run);
}

static void rebalance_shows_a_plan_and_does_nothing_on_request(void)
{
	static const struct fake_step steps[] = {
		{ "POST /v1/rebalance", "{\"dry_run\": true}", 200, MOVES, 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("rebalance", "--dry-run"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "PARTITION  FROM  TO\n        1  a     b\n        2  a     "
					"b\n");
	ctl_run_fini(&run);
}

static void rebalance_does_not_wait_when_told_or_when_there_is_nothing_to_move(void)
{
	static const struct fake_step moves[] = { REBALANCE(MOVES), { 0 } };
	static const struct fake_step none[] = {
		REBALANCE("{\"moves\": [], \"unreached\": [{\"name\": \"c\", \"error\": \"c cannot "
			  "be asked: no connection\"}]}"),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, moves, CTL_WORDS("rebalance", "--no-wait"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "        2  a     b\n"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, none, CTL_WORDS("rebalance"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "balanced: nothing to move\n");
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: c cannot be asked: no connection\n");
	ctl_run_fini(&run);
}

/* Twenty seconds without a job under way; one seen starts them anew. */
static void rebalance_gives_up_when_nothing_moves(void)
{
	static const struct fake_step steps[] = {
		REBALANCE(MOVES),
		LOOK(200, MOVING(""), FAKE_REPLY, 99),
		LOOK(200, MOVING(JOB), FAKE_REPLY, 1),
		LOOK(200, MOVING(""), FAKE_REPLY, 100),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("rebalance"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: 1 moves are left, and none is under way: "
					"godwitctl migrations tells why\n");
	ctl_run_fini(&run);
}

static void rebalance_is_in_doubt_when_the_node_falls_silent(void)
{
	static const struct fake_step gone[] = {
		REBALANCE(MOVES),
		LOOK(200, MOVING(JOB), FAKE_GONE, 1),
		{ 0 },
	};
	static const struct fake_step refused[] = {
		{ "POST /v1/rebalance", "{\"dry_run\": false}", 409,
		  "{\"error\": {\"message\": \"this node is in no cluster\"}}", 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, gone, CTL_WORDS("rebalance"));
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, CTL_WORDS("rebalance"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	ctl_run_fini(&run);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(migrate_waits_until_the_partition_has_moved),
		UNIT_TEST(migrate_tells_a_failure_as_text_and_as_json),
		UNIT_TEST(migrate_is_not_taken_in_by_an_older_end),
		UNIT_TEST(migrate_gives_up_when_nothing_is_to_be_seen_any_more),
		UNIT_TEST(migrate_is_in_doubt_when_the_node_falls_silent),
		UNIT_TEST(migrate_can_begin_only),
		UNIT_TEST(migrations_are_listed),
		UNIT_TEST(cancel_names_the_partition),
		UNIT_TEST(words_that_are_too_many_or_missing_are_refused_before_anything_is_sent),
		UNIT_TEST(rebalance_waits_until_nothing_is_left_to_move),
		UNIT_TEST(rebalance_shows_a_plan_and_does_nothing_on_request),
		UNIT_TEST(rebalance_does_not_wait_when_told_or_when_there_is_nothing_to_move),
		UNIT_TEST(rebalance_gives_up_when_nothing_moves),
		UNIT_TEST(rebalance_is_in_doubt_when_the_node_falls_silent),
		{ NULL, NULL },
	};

	return unit_run("ctl_migration_commands", tests);
}
