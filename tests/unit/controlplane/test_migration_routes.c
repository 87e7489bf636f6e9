/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders at one node of three: what is checked, what is done here, what is passed on to whom. The cluster, the
 * migrator, the relay and the rebalancer are stand-ins that note what they are told.
 */
#include "controlplane/migration_routes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/resize.h"
#include "tests/unit/controlplane/unit_member.h"
#include "tests/unit/unit.h"

#define RECORD_SIZE 4u
#define ASKED_MAX 100u

/* What was asked of another node. */
struct asked {
	char node[NODE_NAME_SIZE];
	enum admin_method method;
	char path[64];
	admin_relay_done_fn *done;
	void *context;
};

/* The node under test, a, which owns partitions 0 to 31; b owns the rest, and c is dead. */
static struct stage {
	struct membership *membership;
	struct partition_map map;
	enum cluster_phase phase;
	bool has_move;     /* of the rebalancer, whichever */
	bool has_job;      /* of the migrator, on partition 7 */
	int result;        /* of the migrator's next order */
	uint32_t imported; /* partition, UINT32_MAX = none */
	uint32_t cancelled;
	uint32_t job_claimed; /* by the migrator */
	uint32_t claimed;     /* by the cluster, ... */
	uint32_t unclaimable; /* ... which refuses this one */
	uint32_t rebalances;
	uint32_t asked_count;
	struct asked asked[ASKED_MAX];
	struct migration_routes routes;
	struct admin_reply reply;
	bool is_finished;
} stage;

/* ---- stand-ins ---- */

enum cluster_phase cluster_phase(const struct cluster *cluster)
{
	(void)cluster;
	return stage.phase;
}

const char *cluster_phase_name(enum cluster_phase phase)
{
	(void)phase;
	return "member";
}

const struct gossip *cluster_gossip(const struct cluster *cluster)
{
	(void)cluster;
	return NULL;
}

const struct membership *gossip_membership(const struct gossip *gossip)
{
	(void)gossip;
	return stage.membership;
}

const struct partition_map *gossip_map(const struct gossip *gossip)
{
	(void)gossip;
	return &stage.map;
}

const struct node *gossip_self(const struct gossip *gossip)
{
	(void)gossip;
	return membership_self(stage.membership);
}

int cluster_claim(struct cluster *cluster, uint32_t partition, char *error)
{
	(void)cluster;
	strcpy(error, "the cluster says no");
	if (partition == stage.unclaimable)
		return -EBUSY;
	stage.claimed = partition;
	return 0;
}

static int order(uint32_t *told, uint32_t partition, char *error)
{
	*told = partition;
	strcpy(error, "the migrator says no");
	return stage.result;
}

int migrator_import(struct migrator *migrator, uint32_t partition, char *error)
{
	(void)migrator;
	return order(&stage.imported, partition, error);
}

int migrator_cancel(struct migrator *migrator, uint32_t partition, char *error)
{
	(void)migrator;
	return order(&stage.cancelled, partition, error);
}

int migrator_claim(struct migrator *migrator, uint32_t partition, char *error)
{
	(void)migrator;
	return order(&stage.job_claimed, partition, error);
}

uint32_t migrator_list(const struct migrator *migrator, struct migration_view *views,
		       uint32_t view_max)
{
	(void)migrator;
	CU_ASSERT(view_max > 0);
	views[0] = (struct migration_view){
		.partition = 7, .job = 0xabc, .peer = node_id_of_name("b"), .state = "receiving"
	};
	return stage.has_job;
}

uint32_t migrator_past(const struct migrator *migrator, struct migration_past *past,
		       uint32_t past_max)
{
	(void)migrator;
	(void)past;
	(void)past_max;
	return 0;
}

void admin_relay_ask(struct admin_relay *relay, const struct node *to, enum admin_method method,
		     const char *path, const json_t *body, admin_relay_done_fn *done, void *context)
{
	struct asked *asked = &stage.asked[stage.asked_count++];

	(void)relay;
	(void)body;
	CU_ASSERT_FATAL(stage.asked_count <= ASKED_MAX);
	strcpy(asked->node, to->name);
	snprintf(asked->path, sizeof(asked->path), "%s", path);
	asked->method = method;
	asked->done = done;
	asked->context = context;
}

void rebalance_driver_ask(struct rebalance_driver *driver)
{
	(void)driver;
	stage.rebalances++;
}

int rebalance_driver_plan(const struct rebalance_driver *driver, struct rebalance_plan *plan)
{
	(void)driver;
	plan->move_count = 1;
	plan->unmovable_count = 2;
	plan->moves[0] = (struct rebalance_move){ 31, node_id_of_name("a"), node_id_of_name("b") };
	return stage.result;
}

const char *rebalance_driver_state(const struct rebalance_driver *driver)
{
	(void)driver;
	return "moving";
}

uint32_t rebalance_driver_moves_left(const struct rebalance_driver *driver)
{
	(void)driver;
	return 5;
}

bool rebalance_driver_has_move(const struct rebalance_driver *driver, uint32_t partition,
			       uint64_t to)
{
	(void)driver;
	(void)partition;
	(void)to;
	return stage.has_move;
}

/* ---- the frame of a test ---- */

static void step(const struct membership_event *event)
{
	struct membership_actions actions;

	membership_step(stage.membership, 1000, event, &actions);
}

static void hear(const struct node *node)
{
	static const uint8_t record[RECORD_SIZE];

	step(&(struct membership_event){ .kind = MEMBERSHIP_RECORD,
					 .node = node,
					 .record = record,
					 .record_size = RECORD_SIZE });
}

/* What b says from now on. */
static void hear_of_b(enum node_state state, int importing)
{
	static uint64_t version = 1;
	struct node b = unit_member("b");

	b.record_version = ++version;
	b.state = state;
	if (importing >= 0)
		partition_set_add(&b.importing_partitions, (uint32_t)importing);
	hear(&b);
}

static void on_finished(struct admin_reply *reply)
{
	(void)reply;
	stage.is_finished = true;
}

static void stage_init(void)
{
	const struct membership_options options = { .seed = 1, .node_count_max = 128 };
	const struct node a = unit_member("a"), c = unit_member("c");
	const struct membership_claim dead = { .id = c.id,
					       .generation = 1,
					       .incarnation = 1,
					       .kind = CLAIM_DEAD,
					       .from_count = 1,
					       .from = { a.id } };

	memset(&stage, 0, sizeof(stage));
	stage.phase = CLUSTER_MEMBER;
	stage.imported = stage.cancelled = stage.claimed = stage.job_claimed = UINT32_MAX;
	stage.unclaimable = UINT32_MAX;
	stage.routes.relay = (struct admin_relay *)&stage;
	stage.routes.rebalancer = (struct rebalance_driver *)&stage;
	CU_ASSERT_EQUAL_FATAL(membership_create(&stage.membership, &options, &a, 1000), 0);
	partition_map_init(&stage.map, 64);
	partition_map_bootstrap(&stage.map, a.id);
	for (uint32_t p = 32; p < 64; p++)
		partition_map_hand_over(&stage.map, a.id, p, node_id_of_name("b"));
	hear_of_b(NODE_ACTIVE, -1);
	hear(&c);
	step(&(struct membership_event){ .kind = MEMBERSHIP_CLAIM, .claim = &dead });
}

static void stage_fini(void)
{
	json_decref(stage.reply.json);
	membership_destroy(stage.membership);
}

/* Handles a request; the reply's status, 0 while it is deferred. */
static int call(const struct admin_route *routes, enum admin_method method, const char *path,
		json_t *body)
{
	struct admin_request request = { .method = method, .path = path, .body = body };
	const struct admin_route *route = admin_route_find(routes, method, path, &request.rest);

	json_decref(stage.reply.json);
	stage.reply = (struct admin_reply){ .finished = on_finished };
	stage.is_finished = false;
	CU_ASSERT_PTR_NOT_NULL_FATAL(route);
	route->handle(&stage.routes, &request, &stage.reply);
	json_decref(body);
	if (stage.reply.is_deferred && !stage.is_finished)
		return 0;
	CU_ASSERT_PTR_NOT_NULL(stage.reply.json);
	return stage.reply.status ? stage.reply.status : 200;
}

static int migrate(json_int_t partition, const char *node)
{
	return call(migration_routes, ADMIN_POST, "/v1/migrations",
		    json_pack("{sI ss}", "partition", partition, "node", node));
}

static const char *message(void)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(stage.reply.json, "error"), "message"));

	return text ? text : "";
}

static bool says(const char *text)
{
	return strstr(message(), text) != NULL;
}

/* ---- migrate ---- */

static void an_order_for_this_node_is_begun_here(void)
{
	stage_init();
	CU_ASSERT_EQUAL(migrate(40, "a"), 202);
	CU_ASSERT_EQUAL(stage.imported, 40);
	CU_ASSERT_EQUAL(stage.asked_count, 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(stage.reply.json, "from")), "b");
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(stage.reply.json, "to")), "a");
	stage.result = -EHOSTDOWN;
	CU_ASSERT_EQUAL(migrate(41, "a"), 503);
	CU_ASSERT_STRING_EQUAL(message(), "the migrator says no");
	stage.result = -ENOSPC;
	CU_ASSERT_EQUAL(migrate(41, "a"), 409);
	stage_fini();
}

static void an_order_for_another_node_is_passed_on_and_its_answer_back(void)
{
	json_t *answer = json_pack("{si}", "partition", 7);

	stage_init();
	CU_ASSERT_EQUAL(migrate(7, "b"), 0);
	CU_ASSERT_EQUAL(stage.imported, UINT32_MAX);
	CU_ASSERT_EQUAL_FATAL(stage.asked_count, 1);
	CU_ASSERT_STRING_EQUAL(stage.asked[0].node, "b");
	CU_ASSERT_STRING_EQUAL(stage.asked[0].path, "/v1/migrations/import");
	stage.asked[0].done(stage.asked[0].context, 202, answer);
	CU_ASSERT_TRUE(stage.is_finished);
	CU_ASSERT_EQUAL(stage.reply.status, 202);
	CU_ASSERT_PTR_EQUAL(stage.reply.json, answer);
	json_decref(answer);
	stage_fini();
}

static void what_was_passed_on_is_done_here(void)
{
	stage_init();
	CU_ASSERT_EQUAL(call(migration_relay_routes, ADMIN_POST, "/v1/migrations/import",
			     json_pack("{si ss}", "partition", 40, "node", "a")),
			202);
	CU_ASSERT_EQUAL(stage.imported, 40);
	CU_ASSERT_EQUAL(call(migration_relay_routes, ADMIN_POST, "/v1/migrations/import",
			     json_pack("{si}", "partition", 7)),
			409);
	CU_ASSERT_EQUAL(call(migration_relay_routes, ADMIN_POST, "/v1/migrations/import", NULL),
			404);
	CU_ASSERT_EQUAL(stage.asked_count, 0);
	stage_fini();
}

static void orders_that_make_no_sense_are_refused(void)
{
	stage_init();
	CU_ASSERT_EQUAL(migrate(64, "b"), 404);
	CU_ASSERT_TRUE(says("partitions 0 to 63"));
	CU_ASSERT_EQUAL(migrate(-1, "b"), 400);
	CU_ASSERT_EQUAL(migrate((json_int_t)1 << 40, "b"), 404);
	CU_ASSERT_EQUAL(migrate(7, "nobody"), 404);
	CU_ASSERT_EQUAL(migrate(7, "not a name"), 404);
	CU_ASSERT_EQUAL(migrate(7, "a"), 409);
	CU_ASSERT_TRUE(says("partition 7 is a's already"));
	CU_ASSERT_EQUAL(migrate(7, "c"), 503);
	CU_ASSERT_TRUE(says("c is dead"));
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_POST, "/v1/migrations", NULL), 400);
	partition_map_hand_over(&stage.map, node_id_of_name("a"), 3, node_id_of_name("c"));
	CU_ASSERT_EQUAL(migrate(3, "b"), 503);
	CU_ASSERT_TRUE(says("partition 3's owner c is not alive"));
	stage.phase = CLUSTER_JOINING;
	CU_ASSERT_EQUAL(migrate(7, "b"), 409);
	stage.phase = CLUSTER_MEMBER;
	stage.routes.relay = NULL;
	CU_ASSERT_EQUAL(migrate(7, "b"), 409);
	CU_ASSERT_TRUE(says("no cluster bus"));
	CU_ASSERT_EQUAL(stage.imported, UINT32_MAX);
	CU_ASSERT_EQUAL(stage.asked_count, 0);
	stage_fini();
}

static void during_a_resize_nothing_is_moved_by_hand(void)
{
	stage_init();
	hear_of_b(NODE_ACTIVE, 7);
	CU_ASSERT_EQUAL(migrate(40, "a"), 202); /* by hand, several may move at once */
	stage.has_move = true;
	CU_ASSERT_EQUAL(migrate(41, "a"), 409);
	CU_ASSERT_TRUE(says("partition 7 is on its way from a to b"));
	hear_of_b(NODE_LEAVING, -1);
	CU_ASSERT_EQUAL(migrate(41, "a"), 409);
	CU_ASSERT_TRUE(says("b is leaving, and its partitions are on their way"));
	CU_ASSERT_EQUAL(migrate(7, "b"), 409);
	CU_ASSERT_TRUE(says("b is leaving: name another node"));
	CU_ASSERT_EQUAL(stage.imported, 40);
	stage_fini();
}

/* ---- cancel, claim ---- */

static void a_job_is_cancelled_by_the_node_that_takes_the_partition(void)
{
	stage_init();
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_DELETE, "/v1/migrations/8", NULL), 200);
	CU_ASSERT_EQUAL(stage.cancelled, 8); /* nobody announces it: the migrator here knows best */
	hear_of_b(NODE_ACTIVE, 7);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_DELETE, "/v1/migrations/7", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stage.asked_count, 1);
	CU_ASSERT_STRING_EQUAL(stage.asked[0].node, "b");
	CU_ASSERT_STRING_EQUAL(stage.asked[0].path, "/v1/migrations/7");
	CU_ASSERT_EQUAL(stage.asked[0].method, ADMIN_DELETE);
	stage.asked[0].done(stage.asked[0].context, 200, stage.reply.json);
	CU_ASSERT_EQUAL(call(migration_relay_routes, ADMIN_DELETE, "/v1/migrations/7", NULL), 200);
	CU_ASSERT_EQUAL(stage.cancelled, 7);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_DELETE, "/v1/migrations/x", NULL), 400);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_DELETE, "/v1/migrations/-7", NULL), 400);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_DELETE, "/v1/migrations/64", NULL), 404);
	stage_fini();
}

static json_t *claim_of(json_int_t partition)
{
	return json_pack("{sI sb}", "partition", partition, "accept_data_loss", true);
}

static int claim(json_t *body)
{
	return call(migration_routes, ADMIN_POST, "/v1/partitions/claim", body);
}

static void a_claim_goes_to_who_has_a_job_or_to_the_map(void)
{
	stage_init();
	CU_ASSERT_EQUAL(claim(claim_of(9)), 200);
	CU_ASSERT_EQUAL(stage.claimed, 9);
	stage.has_job = true;
	CU_ASSERT_EQUAL(claim(claim_of(7)), 200);
	CU_ASSERT_EQUAL(stage.job_claimed, 7);
	CU_ASSERT_EQUAL(stage.claimed, 9);
	hear_of_b(NODE_ACTIVE, 5);
	CU_ASSERT_EQUAL(claim(claim_of(5)), 0);
	CU_ASSERT_EQUAL(stage.asked_count, 1);
	CU_ASSERT_STRING_EQUAL(stage.asked[0].node, "b");
	/* A living owner alone knows whether it has the data. */
	stage.has_job = false;
	hear_of_b(NODE_ACTIVE, -1);
	CU_ASSERT_EQUAL(claim(claim_of(40)), 0);
	CU_ASSERT_EQUAL_FATAL(stage.asked_count, 2);
	CU_ASSERT_STRING_EQUAL(stage.asked[1].node, "b");
	CU_ASSERT_EQUAL(claim(claim_of(64)), 404);
	CU_ASSERT_EQUAL(claim(json_pack("{si}", "partition", 9)), 400);
	CU_ASSERT_EQUAL(claim(json_pack("{sb}", "accept_data_loss", true)), 400);
	CU_ASSERT_EQUAL(claim(json_pack("{ss sb}", "of", "c", "accept_data_loss", true)), 404);
	CU_ASSERT_TRUE(says("c owns no partition"));
	CU_ASSERT_EQUAL(claim(json_pack("{ss sb}", "of", "b", "accept_data_loss", true)), 200);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(stage.reply.json, "claimed")), 32);
	stage_fini();
}

/* Whoever claims all of a node must know what is lost already when it ends half-way. */
static void a_claim_that_ends_half_way_says_how_far_it_came(void)
{
	stage_init();
	stage.unclaimable = 32;
	CU_ASSERT_EQUAL(claim(json_pack("{ss sb}", "of", "b", "accept_data_loss", true)), 409);
	CU_ASSERT_STRING_EQUAL(message(), "the cluster says no");
	stage.unclaimable = 40;
	CU_ASSERT_EQUAL(claim(json_pack("{ss sb}", "of", "b", "accept_data_loss", true)), 409);
	CU_ASSERT_STRING_EQUAL(message(),
			       "the cluster says no; 8 partitions before it were claimed");
	CU_ASSERT_EQUAL(stage.claimed, 39);
	stage_fini();
}

/* A misspelt member, or one of another type, is not one that is missing. */
static void bodies_that_say_something_else_change_nothing(void)
{
	static const struct {
		const char *path, *body;
	} calls[] = {
		{ "/v1/rebalance", "{\"dryrun\": true}" },
		{ "/v1/rebalance", "{\"dry_run\": \"yes\"}" },
		{ "/v1/rebalance", "{\"dry_run\": 1}" },
		{ "/v1/migrations", "{\"partition\": 40, \"node\": \"a\", \"epoch\": 1}" },
		{ "/v1/migrations", "{\"partition\": 40.0, \"node\": \"a\"}" },
		{ "/v1/migrations", "{\"partition\": \"40\", \"node\": \"a\"}" },
		{ "/v1/migrations", "{\"partition\": 40, \"node\": null}" },
		{ "/v1/partitions/claim", "{\"partition\": 9, \"accept_data_loss\": \"true\"}" },
		{ "/v1/partitions/claim",
		  "{\"partition\": 9, \"of\": 7, \"accept_data_loss\": true}" },
		{ "/v1/partitions/claim",
		  "{\"partition\": 9, \"of\": \"b\", \"accept_data_loss\": true}" },
	};

	stage_init();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		CU_ASSERT_EQUAL(call(migration_routes, ADMIN_POST, calls[i].path,
				     json_loads(calls[i].body, 0, NULL)),
				400);
		CU_ASSERT_TRUE(says("expected {") || says("say \"accept_data_loss\": true"));
	}
	CU_ASSERT_EQUAL(stage.rebalances, 0);
	CU_ASSERT_EQUAL(stage.imported, UINT32_MAX);
	CU_ASSERT_EQUAL(stage.claimed, UINT32_MAX);
	CU_ASSERT_EQUAL(stage.asked_count, 0);
	stage_fini();
}

/* ---- of all nodes ---- */

static void a_list_gathers_all_living_nodes(void)
{
	json_t *error = json_pack("{s{siss}}", "error", "code", 503, "message", "b is away");
	const json_t *nodes;

	stage_init();
	stage.has_job = true;
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_GET, "/v1/migrations", NULL), 0);
	CU_ASSERT_EQUAL_FATAL(stage.asked_count, 1);
	CU_ASSERT_STRING_EQUAL(stage.asked[0].node, "b");
	CU_ASSERT_STRING_EQUAL(stage.asked[0].path, "/v1/migrations/local");
	stage.asked[0].done(stage.asked[0].context, 503, error);
	CU_ASSERT_TRUE_FATAL(stage.is_finished);
	nodes = json_object_get(stage.reply.json, "nodes");
	CU_ASSERT_EQUAL(json_array_size(nodes), 2);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_array_get(nodes, 1), "error")), "b is away");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(stage.reply.json, "jobs")), 1);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_GET, "/v1/migrations/local", NULL), 200);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(stage.reply.json, "jobs")), 1);
	json_decref(error);
	stage_fini();
}

static void many_nodes_are_asked_some_at_a_time(void)
{
	json_t *answer = json_pack("{s[]}", "jobs");
	uint32_t at_once;

	stage_init();
	for (int i = 0; i < 90; i++) {
		char name[NODE_NAME_SIZE];
		struct node node;

		snprintf(name, sizeof(name), "n%d", i);
		node = unit_member(name);
		hear(&node);
	}
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_GET, "/v1/migrations", NULL), 0);
	at_once = stage.asked_count;
	CU_ASSERT(at_once > 1 && at_once < ADMIN_RELAY_COUNT_MAX && at_once < 91);
	for (uint32_t i = 0; i < stage.asked_count; i++) {
		CU_ASSERT_FALSE(stage.is_finished);
		stage.asked[i].done(stage.asked[i].context, 200, answer);
	}
	CU_ASSERT_EQUAL(stage.asked_count, 91); /* b, and those 90 */
	CU_ASSERT_TRUE_FATAL(stage.is_finished);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(stage.reply.json, "nodes")), 92);
	json_decref(answer);
	stage_fini();
}

static void a_node_without_a_bus_lists_its_own(void)
{
	stage_init();
	stage.routes.relay = NULL;
	stage.routes.rebalancer = NULL;
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_GET, "/v1/migrations", NULL), 200);
	CU_ASSERT_TRUE(json_is_null(json_object_get(stage.reply.json, "rebalance")));
	stage_fini();
}

static void a_rebalance_is_begun_by_all_living_nodes(void)
{
	json_t *answer = json_object();

	stage_init();
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_POST, "/v1/rebalance",
			     json_pack("{sb}", "dry_run", true)),
			200);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(stage.reply.json, "moves")), 1);
	CU_ASSERT_EQUAL(stage.rebalances, 0);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_POST, "/v1/rebalance", NULL), 0);
	CU_ASSERT_EQUAL(stage.rebalances, 1);
	CU_ASSERT_EQUAL_FATAL(stage.asked_count, 1);
	CU_ASSERT_STRING_EQUAL(stage.asked[0].path, "/v1/rebalance/begin");
	stage.asked[0].done(stage.asked[0].context, 200, answer);
	CU_ASSERT_TRUE_FATAL(stage.is_finished);
	CU_ASSERT_EQUAL(stage.reply.status, 202);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(stage.reply.json, "moves")), 1);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(stage.reply.json, "unreached")), 0);
	CU_ASSERT_EQUAL(call(migration_relay_routes, ADMIN_POST, "/v1/rebalance/begin", NULL), 200);
	CU_ASSERT_EQUAL(stage.rebalances, 2);
	json_decref(answer);
	stage_fini();
}

static void a_rebalance_is_refused_while_a_partition_is_on_its_way(void)
{
	stage_init();
	hear_of_b(NODE_ACTIVE, 7);
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_POST, "/v1/rebalance", NULL), 409);
	CU_ASSERT_TRUE(says("partition 7 is on its way from a to b"));
	hear_of_b(NODE_ACTIVE, -1);
	stage.result = -EINVAL;
	CU_ASSERT_EQUAL(call(migration_routes, ADMIN_POST, "/v1/rebalance", NULL), 409);
	CU_ASSERT_TRUE(says("cluster.weight"));
	CU_ASSERT_EQUAL(stage.rebalances, 0);
	stage_fini();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(an_order_for_this_node_is_begun_here),
		UNIT_TEST(an_order_for_another_node_is_passed_on_and_its_answer_back),
		UNIT_TEST(what_was_passed_on_is_done_here),
		UNIT_TEST(orders_that_make_no_sense_are_refused),
		UNIT_TEST(during_a_resize_nothing_is_moved_by_hand),
		UNIT_TEST(a_job_is_cancelled_by_the_node_that_takes_the_partition),
		UNIT_TEST(a_claim_goes_to_who_has_a_job_or_to_the_map),
		UNIT_TEST(a_claim_that_ends_half_way_says_how_far_it_came),
		UNIT_TEST(bodies_that_say_something_else_change_nothing),
		UNIT_TEST(a_list_gathers_all_living_nodes),
		UNIT_TEST(many_nodes_are_asked_some_at_a_time),
		UNIT_TEST(a_node_without_a_bus_lists_its_own),
		UNIT_TEST(a_rebalance_is_begun_by_all_living_nodes),
		UNIT_TEST(a_rebalance_is_refused_while_a_partition_is_on_its_way),
		{ NULL, NULL },
	};

	return unit_run("migration_routes", tests);
}
