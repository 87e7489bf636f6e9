/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders to a cluster by HTTP: bodies are read strictly, outcomes become statuses. The cluster is a stand-in that notes what it is
 * told.
 */
#include "controlplane/cluster_routes.h"

#include <errno.h>
#include <string.h>

#include "controlplane/cluster_json.h"
#include "tests/unit/unit.h"

static struct stage {
	int result; /* of the next order */
	uint32_t orders;
	uint32_t seed_count;
	struct node_address seeds[GOSSIP_SEED_COUNT_MAX];
	bool is_leaving;
	char removed[NODE_NAME_SIZE];
	struct admin_reply reply;
} stage;

/* ---- stand-ins ---- */

static int order(char *error)
{
	stage.orders++;
	strcpy(error, "the cluster says no");
	return stage.result;
}

enum cluster_phase cluster_phase(const struct cluster *cluster)
{
	(void)cluster;
	return CLUSTER_JOINING;
}

const char *cluster_phase_name(enum cluster_phase phase)
{
	return phase == CLUSTER_JOINING ? "joining" : "?";
}

int cluster_found(struct cluster *cluster, char *error)
{
	(void)cluster;
	return order(error);
}

int cluster_join(struct cluster *cluster, const struct node_address *seeds, uint32_t seed_count,
		 char *error)
{
	(void)cluster;
	stage.seed_count = seed_count;
	memcpy(stage.seeds, seeds, seed_count * sizeof(*seeds));
	return order(error);
}

int cluster_leave(struct cluster *cluster, bool is_leaving, char *error)
{
	(void)cluster;
	stage.is_leaving = is_leaving;
	return order(error);
}

int cluster_remove(struct cluster *cluster, const char *name, char *error)
{
	(void)cluster;
	snprintf(stage.removed, sizeof(stage.removed), "%s", name);
	return order(error);
}

int cluster_reload_keys(struct cluster *cluster, char *error)
{
	(void)cluster;
	return order(error);
}

json_t *cluster_json(struct cluster *cluster)
{
	(void)cluster;
	return json_pack("{ss}", "what", "cluster");
}

json_t *cluster_nodes_json(const struct cluster *cluster)
{
	(void)cluster;
	return json_pack("{ss}", "what", "nodes");
}

json_t *cluster_partitions_json(const struct cluster *cluster)
{
	(void)cluster;
	return json_pack("{ss}", "what", "partitions");
}

/* ---- the frame of a test ---- */

static void stage_init(void)
{
	memset(&stage, 0, sizeof(stage));
}

static void stage_fini(void)
{
	json_decref(stage.reply.json);
}

/* Handles a request; 'body' is JSON, NULL = none. The reply's status. */
static int call(enum admin_method method, const char *path, const char *body)
{
	json_t *json = body ? json_loads(body, 0, NULL) : NULL;
	struct admin_request request = { .method = method, .path = path, .body = json };
	const struct admin_route *route =
		admin_route_find(cluster_routes, method, path, &request.rest);

	json_decref(stage.reply.json);
	memset(&stage.reply, 0, sizeof(stage.reply));
	CU_ASSERT_PTR_NOT_NULL_FATAL(route);
	CU_ASSERT_FATAL(!body || json);
	route->handle((struct cluster *)&stage, &request, &stage.reply);
	json_decref(json);
	CU_ASSERT_PTR_NOT_NULL(stage.reply.json);
	return stage.reply.status ? stage.reply.status : 200;
}

static int post(const char *path, const char *body)
{
	return call(ADMIN_POST, path, body);
}

static bool replies(const char *name, const char *text)
{
	const char *found = json_string_value(json_object_get(stage.reply.json, name));

	return found && strcmp(found, text) == 0;
}

static bool says(const char *text)
{
	const char *message = json_string_value(
		json_object_get(json_object_get(stage.reply.json, "error"), "message"));

	return message && strstr(message, text);
}

/* ---- the tests ---- */

static void what_is_asked_is_shown(void)
{
	stage_init();
	CU_ASSERT_EQUAL(call(ADMIN_GET, "/v1/cluster", NULL), 200);
	CU_ASSERT_TRUE(replies("what", "cluster"));
	CU_ASSERT_EQUAL(call(ADMIN_GET, "/v1/nodes", NULL), 200);
	CU_ASSERT_TRUE(replies("what", "nodes"));
	CU_ASSERT_EQUAL(call(ADMIN_GET, "/v1/partitions", NULL), 200);
	CU_ASSERT_TRUE(replies("what", "partitions"));
	stage_fini();
}

static void orders_are_carried_out_and_the_phase_is_told(void)
{
	stage_init();
	CU_ASSERT_EQUAL(post("/v1/cluster/create", NULL), 200);
	CU_ASSERT_TRUE(replies("phase", "joining"));
	CU_ASSERT_EQUAL(post("/v1/cluster/create", "{}"), 200);
	CU_ASSERT_EQUAL(post("/v1/cluster/reload-keys", NULL), 200);
	CU_ASSERT_EQUAL(post("/v1/cluster/leave", NULL), 200);
	CU_ASSERT_TRUE(stage.is_leaving);
	CU_ASSERT_EQUAL(post("/v1/cluster/leave", "{\"cancel\": true}"), 200);
	CU_ASSERT_FALSE(stage.is_leaving);
	CU_ASSERT_EQUAL(post("/v1/cluster/leave", "{\"cancel\": false}"), 200);
	CU_ASSERT_TRUE(stage.is_leaving);
	CU_ASSERT_EQUAL(post("/v1/cluster/remove", "{\"node\": \"b\"}"), 200);
	CU_ASSERT_STRING_EQUAL(stage.removed, "b");
	CU_ASSERT_EQUAL(
		post("/v1/cluster/join", "{\"seeds\": [\"10.0.0.1:7800\", \"10.0.0.2:1\"]}"), 200);
	CU_ASSERT_EQUAL_FATAL(stage.seed_count, 2);
	CU_ASSERT_TRUE(node_address_is_ipv4(&stage.seeds[1]));
	CU_ASSERT_EQUAL(stage.seeds[1].port, 1);
	CU_ASSERT_EQUAL(stage.orders, 8);
	stage_fini();
}

static void refusals_of_the_cluster_have_their_status_and_its_words(void)
{
	static const struct {
		int result, status;
	} outcomes[] = {
		{ -EINVAL, 400 },
		{ -ENOENT, 404 },
		{ -EBUSY, 409 },
		{ -EPERM, 409 },
	};

	stage_init();
	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		stage.result = outcomes[i].result;
		CU_ASSERT_EQUAL(post("/v1/cluster/remove", "{\"node\": \"b\"}"),
				outcomes[i].status);
		CU_ASSERT_TRUE(says("the cluster says no"));
		CU_ASSERT_EQUAL(post("/v1/cluster/create", NULL), outcomes[i].status);
		CU_ASSERT_EQUAL(post("/v1/cluster/leave", NULL), outcomes[i].status);
		CU_ASSERT_EQUAL(post("/v1/cluster/reload-keys", NULL), outcomes[i].status);
		CU_ASSERT_EQUAL(post("/v1/cluster/join", "{\"seeds\": [\"10.0.0.1:7800\"]}"),
				outcomes[i].status);
	}
	stage_fini();
}

/* A misspelt member, or one of another type, is not one that is missing: nobody leaves by mistake. */
static void bodies_that_say_something_else_change_nothing(void)
{
	static const struct {
		const char *path, *body, *expected;
	} calls[] = {
		{ "create", "{\"name\": \"c\"}", "expected no members" },
		{ "reload-keys", "{\"file\": \"k\"}", "expected no members" },
		{ "leave", "{\"cancle\": true}", "expected {} or {\"cancel\": true}" },
		{ "leave", "{\"cancel\": \"true\"}", "expected {} or {\"cancel\": true}" },
		{ "leave", "{\"cancel\": 1}", "expected {} or {\"cancel\": true}" },
		{ "leave", "{\"cancel\": null}", "expected {} or {\"cancel\": true}" },
		{ "leave", "{\"cancel\": true, \"node\": \"b\"}", "expected {} or" },
		{ "remove", "{}", "expected {\"node\": \"NAME\"}" },
		{ "remove", NULL, "expected {\"node\": \"NAME\"}" },
		{ "remove", "{\"node\": 7}", "expected {\"node\": \"NAME\"}" },
		{ "remove", "{\"node\": \"b\", \"force\": true}", "expected {\"node\": \"NAME\"}" },
		{ "join", NULL, "expected {\"seeds\"" },
		{ "join", "{}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": []}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": \"10.0.0.1:7800\"}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [7]}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [\"10.0.0.1\"]}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [\"10.0.0.1:0\"]}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [\"10.0.0.1:65536\"]}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [\"[::1]:7800\"]}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [\"10.0.0.1:7800\", \"\"]}", "expected {\"seeds\"" },
		{ "join", "{\"seeds\": [\"10.0.0.1:7800\"], \"name\": \"c\"}",
		  "expected {\"seeds\"" },
	};
	char path[64];

	stage_init();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		snprintf(path, sizeof(path), "/v1/cluster/%s", calls[i].path);
		CU_ASSERT_EQUAL(post(path, calls[i].body), 400);
		CU_ASSERT_TRUE(says(calls[i].expected));
	}
	CU_ASSERT_EQUAL(stage.orders, 0);
	stage_fini();
}

static void as_many_seeds_as_there_is_room_for_are_taken(void)
{
	json_t *seeds = json_array(), *body = json_pack("{sO}", "seeds", seeds);
	char *text;

	stage_init();
	for (uint32_t i = 0; i < GOSSIP_SEED_COUNT_MAX; i++)
		json_array_append_new(seeds, json_string("10.0.0.1:7800"));
	text = json_dumps(body, 0);
	CU_ASSERT_EQUAL(post("/v1/cluster/join", text), 200);
	CU_ASSERT_EQUAL(stage.seed_count, GOSSIP_SEED_COUNT_MAX);
	free(text);
	json_array_append_new(seeds, json_string("10.0.0.1:7800"));
	text = json_dumps(body, 0);
	CU_ASSERT_EQUAL(post("/v1/cluster/join", text), 400);
	CU_ASSERT_EQUAL(stage.orders, 1);
	free(text);
	json_decref(body);
	json_decref(seeds);
	stage_fini();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(what_is_asked_is_shown),
		UNIT_TEST(orders_are_carried_out_and_the_phase_is_told),
		UNIT_TEST(refusals_of_the_cluster_have_their_status_and_its_words),
		UNIT_TEST(bodies_that_say_something_else_change_nothing),
		UNIT_TEST(as_many_seeds_as_there_is_room_for_are_taken),
		{ NULL, NULL },
	};

	return unit_run("cluster_routes", tests);
}
