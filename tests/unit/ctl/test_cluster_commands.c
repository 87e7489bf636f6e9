/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitctl's commands on a cluster: what they ask, print and exit with, however the node answers. */
#include "tests/unit/ctl/fake_admin.h"
#include "tests/unit/unit.h"

#include <string.h>

#define JOINING "{\"cluster\": {\"phase\": \"joining\"}}"
#define LEAVING "{\"cluster\": {\"phase\": \"leaving\"}, \"node\": {\"partitions\": 3}}"
#define MEMBER "{\"cluster\": {\"phase\": \"member\", \"alive\": 3}}"
#define REFUSED "{\"error\": {\"message\": \"this node is in a cluster already\"}}"
#define PARTITIONS                                                                                 \
	"{\"partitions\": [{\"partition\": 0, \"owner\": \"a\", \"epoch\": 2, \"state\": "         \
	"\"owned\", \"importer\": null}, {\"partition\": 1, \"owner\": \"b\", \"epoch\": 1, "      \
	"\"state\": \"migrating\", \"importer\": \"a\"}]}"

static const struct fake_step nothing[] = { { 0 } };

/* ---- looking ---- */

#define SICK                                                                                       \
	"{\"cluster\": {\"name\": \"c\", \"id\": \"0f\", \"phase\": \"member\", \"alive\": 1,"     \
	" \"suspect\": 2, \"dead\": 3, \"partitions\": 64, \"map_version\": \"9\"},"               \
	" \"node\": {\"name\": \"a\", \"generation\": \"5\", \"control\": \"10.0.0.1:7800\","      \
	" \"partitions\": 21, \"sees_majority\": false, \"serving\": false},"                      \
	" \"bus\": {\"port\": 7800}, \"problems\": [{\"kind\": \"minority\", \"text\": \"no "      \
	"majority\"}, {\"kind\": \"dead\", \"text\": \"b is dead\"}]}"

static void status_shows_the_cluster_and_what_is_wrong(void)
{
	static const struct fake_step steps[] = {
		{ .request = "GET /v1/cluster", .status = 200, .reply = SICK },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "status"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(
		run.out, "cluster     c, id 0f, this node is member\n"
			 "nodes       1 alive, 2 suspect, 3 dead\n"
			 "partitions  64, 21 of this node, map version 9\n"
			 "node        a, generation 5, bus 10.0.0.1:7800, does not see a majority, "
			 "does not serve\n"
			 "problem     no majority\n"
			 "problem     b is dead\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "status", "-o", "json"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"map_version\": \"9\""));
	ctl_run_fini(&run);
}

static void status_of_a_node_without_bus_says_so(void)
{
	static const struct fake_step steps[] = {
		{ .request = "GET /v1/cluster",
		  .status = 200,
		  .reply = "{\"node\": {\"name\": \"a\", \"sees_majority\": true, \"serving\": "
			   "true}}" },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "status"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "bus off, sees a majority, serves\n"));
	ctl_run_fini(&run);
}

static void check_exits_with_no_when_something_is_wrong(void)
{
	static const struct fake_step sick[] = {
		{ .request = "GET /v1/cluster", .status = 200, .reply = SICK },
		{ 0 },
	};
	static const struct fake_step well[] = {
		{ .request = "GET /v1/cluster", .status = 200, .reply = "{\"problems\": []}" },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, sick, CTL_WORDS("cluster", "check"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.out, "problem     no majority\nproblem     b is dead\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, sick, CTL_WORDS("cluster", "check", "--output=json"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"kind\": \"minority\""));
	ctl_run_fini(&run);
	ctl_run_steps(&run, well, CTL_WORDS("cluster", "check"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "all is well\n");
	ctl_run_fini(&run);
}

static void nodes_are_listed_with_a_mark_at_the_one_asked(void)
{
	static const struct fake_step steps[] = {
		{ .request = "GET /v1/nodes",
		  .status = 200,
		  .reply =
			  "{\"self\": \"a\", \"nodes\": [{\"name\": \"a\", \"state\": \"alive\","
			  " \"says\": \"leaving\", \"control\": \"10.0.0.1:7800\", \"data\":"
			  " \"10.0.1.1:7700\", \"workers\": 2, \"weight\": 100, \"partitions\": 40,"
			  " \"importing\": 1, \"migrating\": 2, \"items\": 12000, \"item_bytes\":"
			  " 2048, \"operations_per_s\": 1500}, {\"name\": \"b\", \"state\": "
			  "\"dead\","
			  " \"says\": \"ready\"}]}" },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("nodes"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(
		run.out,
		"NODE  STATE           BUS            DATA           WORKERS  WEIGHT  PARTITIONS  "
		"IMPORTING  MIGRATING  ITEMS    BYTES  OPS/S\n"
		"a *   alive, leaving  10.0.0.1:7800  10.0.1.1:7700        2     100          40  "
		"        1          2  12.0K  2.0 KiB   1.5K\n"
		"b     dead                                                0       0           0  "
		"        0          0      0      0 B      0\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("nodes", "-ojson"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"self\": \"a\""));
	ctl_run_fini(&run);
}

static void partitions_are_listed_all_or_of_one_node(void)
{
	static const struct fake_step steps[] = {
		{ .request = "GET /v1/partitions", .status = 200, .reply = PARTITIONS },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("partitions"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "PARTITION  OWNER  EPOCH  STATE      IMPORTED BY\n"
					"        0  a          2  owned\n"
					"        1  b          1  migrating  a\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("partitions", "--of", "a"));
	CU_ASSERT_STRING_EQUAL(run.out, "PARTITION  OWNER  EPOCH  STATE  IMPORTED BY\n"
					"        0  a          2  owned\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("partitions", "-o", "json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\"importer\": \"a\""));
	ctl_run_fini(&run);
}

/* ---- wrong usage ---- */

static void words_that_are_too_many_or_missing_are_refused_before_anything_is_sent(void)
{
	static const char *const lines[][6] = {
		{ "cluster", "status", "x" },
		{ "cluster", "check", "x" },
		{ "cluster", "key", "x" },
		{ "cluster", "create", "x" },
		{ "cluster", "join" },
		{ "cluster", "leave", "now" },
		{ "cluster", "leave", "--cancel", "--no-wait" },
		{ "cluster", "remove" },
		{ "cluster", "remove", "a", "b" },
		{ "cluster", "reload-keys", "x" },
		{ "nodes", "x" },
		{ "partitions", "x" },
		{ "partitions", "--of" },
		{ "partitions", "--of", "a", "b" },
		{ "partition", "claim" },
		{ "partition", "claim", "x", "--accept-data-loss" },
		{ "partition", "claim", "-1", "--accept-data-loss" },
		{ "partition", "claim", "7x", "--accept-data-loss" },
		{ "partition", "claim", "1", "2", "--accept-data-loss" },
		{ "partition", "claim", "99999999999999999999", "--accept-data-loss" },
		{ "partition", "claim", "--of", "--accept-data-loss" },
	};
	struct ctl_run run;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		ctl_run_steps(&run, nothing, lines[i]);
		CU_ASSERT_EQUAL(run.code, CTL_USAGE);
		CU_ASSERT_STRING_EQUAL(run.out, "");
		CU_ASSERT_EQUAL(strncmp(run.err, "godwitctl: ", 11), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "\nusage: godwitctl "));
		ctl_run_fini(&run);
	}
}

/* ---- forming ---- */

static void keys_are_64_hexadecimal_digits_and_never_the_same(void)
{
	struct ctl_run a, b;

	ctl_run_steps(&a, nothing, CTL_WORDS("cluster", "key"));
	ctl_run_steps(&b, nothing, CTL_WORDS("cluster", "key"));
	CU_ASSERT_EQUAL(a.out_size, 65);
	CU_ASSERT_EQUAL(strspn(a.out, "0123456789abcdef"), 64);
	CU_ASSERT_EQUAL(a.out[64], '\n');
	CU_ASSERT_STRING_NOT_EQUAL(a.out, b.out);
	ctl_run_fini(&a);
	ctl_run_fini(&b);
}

static void create_says_done_only_when_it_is(void)
{
	static const struct fake_step done[] = {
		{ "POST /v1/cluster/create", "{}", 200, "{\"phase\": \"member\"}", 0, 0 },
		{ 0 },
	};
	static const struct fake_step refused[] = {
		{ "POST /v1/cluster/create", "{}", 409, REFUSED, 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, done, CTL_WORDS("cluster", "create"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "created: this node is the first member\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, CTL_WORDS("cluster", "create"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "answered 409: this node is in a cluster already"));
	ctl_run_fini(&run);
}

#define JOIN_STEP                                                                                  \
	{                                                                                          \
		"POST /v1/cluster/join", "{\"seeds\": [\"10.0.0.1:7800\", \"10.0.0.2:7800\"]}",    \
			200, "{\"phase\": \"joining\"}", 0, 0                                      \
	}
#define LOOK(status_, reply_, answer_, times_)                                                     \
	{                                                                                          \
		"GET /v1/cluster", NULL, status_, reply_, answer_, times_                          \
	}
#define JOIN CTL_WORDS("cluster", "join", "10.0.0.1:7800", "10.0.0.2:7800")

static void join_waits_until_the_node_is_a_member(void)
{
	static const struct fake_step steps[] = {
		JOIN_STEP,
		LOOK(200, JOINING, FAKE_REPLY, 3),
		LOOK(200, MEMBER, FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, JOIN);
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "joined: 3 nodes alive\n");
	CU_ASSERT_EQUAL(run.paused_ms, 600);
	ctl_run_fini(&run);
}

static void join_tells_why_it_was_refused_and_when_it_takes_too_long(void)
{
	static const struct fake_step refused[] = {
		JOIN_STEP,
		LOOK(200,
		     "{\"cluster\": {\"phase\": \"waiting\", \"join_reason\": \"another key\"}}",
		     FAKE_REPLY, 1),
		{ 0 },
	};
	static const struct fake_step endless[] = {
		JOIN_STEP,
		LOOK(200, JOINING, FAKE_REPLY, 150),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, refused, JOIN);
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: not joined: another key\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, endless, JOIN);
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	CU_ASSERT_EQUAL(run.paused_ms, 30000);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "no member has answered in 30 s"));
	ctl_run_fini(&run);
}

/* Joining has begun: "nothing was done" would be wrong. */
static void join_is_in_doubt_when_the_node_falls_silent_meanwhile(void)
{
	static const struct fake_step steps[] = {
		JOIN_STEP,
		LOOK(200, JOINING, FAKE_GONE, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, JOIN);
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	ctl_run_fini(&run);
}

/* ---- leaving ---- */

#define LEAVE_STEP                                                                                 \
	{                                                                                          \
		"POST /v1/cluster/leave", "{\"cancel\": false}", 200, "{}", 0, 0                   \
	}

static void leave_waits_until_nobody_answers_any_more(void)
{
	static const struct fake_step steps[] = {
		LEAVE_STEP,
		LOOK(200, LEAVING, FAKE_REPLY, 2),
		LOOK(200, LEAVING, FAKE_GONE, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "leave"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "left: the node has given everything away and ended\n");
	CU_ASSERT_STRING_EQUAL(run.err, "");
	CU_ASSERT_EQUAL(run.paused_ms, 6 * 200); /* three looks, three without an answer */
	ctl_run_fini(&run);
}

static void leave_takes_one_look_without_an_answer_for_none(void)
{
	static const struct fake_step steps[] = {
		LEAVE_STEP,
		LOOK(0, NULL, FAKE_CLOSE, 2),
		LOOK(200, LEAVING, FAKE_REPLY, 1),
		LOOK(0, NULL, FAKE_CLOSE, 3),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "leave"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	ctl_run_fini(&run);
}

static void leave_tells_when_the_node_stays_or_does_not_tell(void)
{
	static const struct fake_step cancelled[] = {
		LEAVE_STEP,
		LOOK(200, MEMBER, FAKE_REPLY, 1),
		{ 0 },
	};
	static const struct fake_step refused[] = {
		LEAVE_STEP,
		LOOK(401, REFUSED, FAKE_REPLY, 1),
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, cancelled, CTL_WORDS("cluster", "leave"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: the node stays: leaving was cancelled\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, CTL_WORDS("cluster", "leave"));
	CU_ASSERT_EQUAL(run.code, CTL_ERROR);
	CU_ASSERT_STRING_EQUAL(run.err, "godwitctl: the node does not tell how it goes\n");
	ctl_run_fini(&run);
}

static void leave_can_be_begun_only_and_cancelled(void)
{
	static const struct fake_step begin[] = { LEAVE_STEP, { 0 } };
	static const struct fake_step cancel[] = {
		{ "POST /v1/cluster/leave", "{\"cancel\": true}", 200, "{}", 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, begin, CTL_WORDS("cluster", "leave", "--no-wait"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	ctl_run_fini(&run);
	ctl_run_steps(&run, cancel, CTL_WORDS("cluster", "leave", "--cancel"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	ctl_run_fini(&run);
}

static void remove_and_reload_keys_send_what_they_say(void)
{
	static const struct fake_step removed[] = {
		{ "POST /v1/cluster/remove", "{\"node\": \"b\"}", 200, "{}", 0, 0 },
		{ 0 },
	};
	static const struct fake_step unknown[] = {
		{ "POST /v1/cluster/remove", "{\"node\": \"c\"}", 404,
		  "{\"error\": {\"message\": \"no node is called c\"}}", 0, 0 },
		{ 0 },
	};
	static const struct fake_step reloaded[] = {
		{ "POST /v1/cluster/reload-keys", "{}", 200, "{}", 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, removed, CTL_WORDS("cluster", "remove", "b"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "removed: b\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, unknown, CTL_WORDS("cluster", "remove", "c"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "answered 404: no node is called c\n"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, reloaded, CTL_WORDS("cluster", "reload-keys"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	ctl_run_fini(&run);
}

/* ---- claims ---- */

static void a_claim_is_sent_only_by_someone_who_accepts_the_loss(void)
{
	static const struct fake_step one[] = {
		{ "POST /v1/partitions/claim", "{\"partition\": 7, \"accept_data_loss\": true}",
		  200, "{\"claimed\": 1}", 0, 0 },
		{ 0 },
	};
	static const struct fake_step all[] = {
		{ "POST /v1/partitions/claim", "{\"of\": \"b\", \"accept_data_loss\": true}", 200,
		  "{\"claimed\": 21}", 0, 0 },
		{ 0 },
	};
	static const struct fake_step alive[] = {
		{ "POST /v1/partitions/claim", "{\"of\": \"b\", \"accept_data_loss\": true}", 409,
		  "{\"error\": {\"message\": \"b is alive\"}}", 0, 0 },
		{ 0 },
	};
	struct ctl_run run;

	ctl_run_steps(&run, nothing, CTL_WORDS("partition", "claim", "7"));
	CU_ASSERT_EQUAL(run.code, CTL_USAGE);
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "say --accept-data-loss if that is wanted"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, one, CTL_WORDS("partition", "claim", "7", "--accept-data-loss"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "claimed: 1\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, all,
		      CTL_WORDS("partition", "claim", "--accept-data-loss", "--of", "b", "-ojson"));
	CU_ASSERT_EQUAL(run.code, CTL_OK);
	CU_ASSERT_STRING_EQUAL(run.out, "{\n  \"claimed\": 21\n}\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, alive,
		      CTL_WORDS("partition", "claim", "--accept-data-loss", "--of", "b"));
	CU_ASSERT_EQUAL(run.code, CTL_NO);
	CU_ASSERT_STRING_EQUAL(run.out, "");
	ctl_run_fini(&run);
}

/* A node that dies while it claims may have done so. */
static void what_was_sent_and_not_answered_is_in_doubt(void)
{
	static const struct fake_step claim[] = {
		{ "POST /v1/partitions/claim", "{\"partition\": 7, \"accept_data_loss\": true}", 0,
		  NULL, FAKE_CLOSE, 0 },
		{ 0 },
	};
	static const struct fake_step look[] = { LOOK(0, NULL, FAKE_CLOSE, 1), { 0 } };
	struct ctl_run run;

	ctl_run_steps(&run, claim, CTL_WORDS("partition", "claim", "7", "--accept-data-loss"));
	CU_ASSERT_EQUAL(run.code, CTL_UNKNOWN);
	ctl_run_fini(&run);
	ctl_run_steps(&run, look, CTL_WORDS("cluster", "status"));
	CU_ASSERT_EQUAL(run.code, CTL_UNREACHABLE);
	ctl_run_fini(&run);
}

/* No terminal is steered by what a node answers; scripts get all of it, in JSON. */
static void what_a_node_answers_is_printed_safely(void)
{
	static const char problem[] = "{\"problems\": [{\"text\": \"\\u001b[2J\\n\\u009b\"}]}";
	static const char refusal[] = "{\"error\": {\"message\": \"\\u001b]0;owned\\u0007\\n\"}}";
	const struct fake_step steps[] = {
		{ .request = "GET /v1/cluster", .status = 200, .reply = problem },
		{ .request = NULL }
	};
	const struct fake_step refused[] = {
		{ .request = "GET /v1/cluster", .status = 400, .reply = refusal },
		{ .request = NULL }
	};
	struct ctl_run run;

	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "check"));
	CU_ASSERT_STRING_EQUAL(run.out, "problem     \\x1b[2J\\x0a\\xc2\\x9b\n");
	ctl_run_fini(&run);
	ctl_run_steps(&run, steps, CTL_WORDS("cluster", "check", "--output", "json"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.out, "\\u001B[2J\\n"));
	ctl_run_fini(&run);
	ctl_run_steps(&run, refused, CTL_WORDS("cluster", "check"));
	CU_ASSERT_PTR_NOT_NULL(strstr(run.err, "answered 400: \\x1b]0;owned\\x07\\x0a\n"));
	ctl_run_fini(&run);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(status_shows_the_cluster_and_what_is_wrong),
		UNIT_TEST(status_of_a_node_without_bus_says_so),
		UNIT_TEST(check_exits_with_no_when_something_is_wrong),
		UNIT_TEST(nodes_are_listed_with_a_mark_at_the_one_asked),
		UNIT_TEST(partitions_are_listed_all_or_of_one_node),
		UNIT_TEST(words_that_are_too_many_or_missing_are_refused_before_anything_is_sent),
		UNIT_TEST(keys_are_64_hexadecimal_digits_and_never_the_same),
		UNIT_TEST(create_says_done_only_when_it_is),
		UNIT_TEST(join_waits_until_the_node_is_a_member),
		UNIT_TEST(join_tells_why_it_was_refused_and_when_it_takes_too_long),
		UNIT_TEST(join_is_in_doubt_when_the_node_falls_silent_meanwhile),
		UNIT_TEST(leave_waits_until_nobody_answers_any_more),
		UNIT_TEST(leave_takes_one_look_without_an_answer_for_none),
		UNIT_TEST(leave_tells_when_the_node_stays_or_does_not_tell),
		UNIT_TEST(leave_can_be_begun_only_and_cancelled),
		UNIT_TEST(remove_and_reload_keys_send_what_they_say),
		UNIT_TEST(a_claim_is_sent_only_by_someone_who_accepts_the_loss),
		UNIT_TEST(what_was_sent_and_not_answered_is_in_doubt),
		UNIT_TEST(what_a_node_answers_is_printed_safely),
		{ NULL, NULL },
	};

	return unit_run("ctl_cluster_commands", tests);
}
