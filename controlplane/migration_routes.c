/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders checked where they come in, and carried out by the node they concern. */
#include "controlplane/migration_routes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/admin_body.h"
#include "controlplane/migration_json.h"
#include "controlplane/resize.h"

#define PATH_MIGRATIONS "/v1/migrations"
#define PATH_LOCAL "/v1/migrations/local"
#define PATH_IMPORT "/v1/migrations/import"
#define PATH_REBALANCE "/v1/rebalance"
#define PATH_BEGIN "/v1/rebalance/begin"
#define PATH_CLAIM "/v1/partitions/claim"

/* Nodes asked at once when all are asked; the relay has room for other requests meanwhile. */
#define GATHERED_AT_ONCE (ADMIN_RELAY_COUNT_MAX / 2)

static int status_of(int result)
{
	switch (result) {
	case -EHOSTDOWN:
		return 503;
	case -ENOMEM:
		return 507;
	default:
		return admin_status_of(result);
	}
}

static void reply_refusal(struct admin_reply *reply, int result, const char *error)
{
	admin_reply_error(reply, status_of(result), "%s", error);
}

/* ---- what is known ---- */

static const struct partition_map *map_of(const struct migration_routes *routes)
{
	return gossip_map(cluster_gossip(routes->cluster));
}

static const struct membership *members_of(const struct migration_routes *routes)
{
	return gossip_membership(cluster_gossip(routes->cluster));
}

static const struct node *self_of(const struct migration_routes *routes)
{
	return gossip_self(cluster_gossip(routes->cluster));
}

static bool is_living(const struct member *member)
{
	return member && member_state(member) <= MEMBER_SUSPECT;
}

static const char *name_of(void *context, uint64_t id, char text[NODE_NAME_SIZE])
{
	return membership_name(members_of(context), id, text);
}

static struct migration_names names_of(struct migration_routes *routes)
{
	return (struct migration_names){ name_of, routes, self_of(routes)->id };
}

static bool need_cluster(const struct migration_routes *routes, struct admin_reply *reply)
{
	enum cluster_phase phase = cluster_phase(routes->cluster);

	if (!routes->relay)
		admin_reply_error(reply, 409,
				  "this node has no cluster bus: start it with cluster.listen");
	else if (phase != CLUSTER_MEMBER && phase != CLUSTER_LEAVING)
		admin_reply_error(reply, 409, "this node is no member of a cluster at present");
	return reply->json == NULL;
}

static bool need_partition(const struct migration_routes *routes, uint64_t number,
			   struct admin_reply *reply)
{
	uint32_t count = map_of(routes)->partition_count;

	if (number < count)
		return true;
	if (count == 0)
		admin_reply_error(reply, 409, "this node is no member of a cluster at present");
	else
		admin_reply_error(reply, 404,
				  "there are partitions 0 to %u; godwitctl partitions lists them",
				  count - 1);
	return false;
}

/* A partition's number in a body; negative when it is none. */
static json_int_t number_in(const json_t *body)
{
	const json_t *number = json_object_get(body, "partition");

	return json_is_integer(number) ? json_integer_value(number) : -1;
}

/* Whether this node works on a job of the partition. */
static bool has_job(const struct migration_routes *routes, uint32_t partition)
{
	struct migration_view *views = calloc(PARTITION_COUNT_MAX, sizeof(*views));
	uint32_t count = views ? migrator_list(routes->migrator, views, PARTITION_COUNT_MAX) : 0;
	bool is_found = false;

	for (uint32_t i = 0; i < count; i++)
		is_found = is_found || views[i].partition == partition;
	free(views);
	return is_found;
}

/* ---- orders to one other node ---- */

static void pass_on(void *context, int status, const json_t *body)
{
	struct admin_reply *reply = context;

	reply->status = status;
	reply->json = json_incref((json_t *)(uintptr_t)body);
	admin_reply_finish(reply);
}

static void relay(const struct migration_routes *routes, const struct node *to,
		  enum admin_method method, const char *path, const json_t *body,
		  struct admin_reply *reply)
{
	reply->is_deferred = true;
	admin_relay_ask(routes->relay, to, method, path, body, pass_on, reply);
}

/* ---- migrate ---- */

/* The living member of that name that may take partitions, or NULL after making the reply. */
static const struct node *find_target(const struct migration_routes *routes, const char *name,
				      struct admin_reply *reply)
{
	const struct member *member =
		node_name_is_valid(name)
			? membership_find(members_of(routes), node_id_of_name(name))
			: NULL;

	if (!member || member_state(member) == MEMBER_REMOVED ||
	    member_state(member) == MEMBER_LEFT)
		admin_reply_error(reply, 404,
				  "no member is named %.64s; godwitctl nodes lists them", name);
	else if (member_state(member) == MEMBER_DEAD)
		admin_reply_error(reply, 503, "%s is dead: start it again, or name another node",
				  name);
	else if (member->node.state != NODE_ACTIVE)
		admin_reply_error(reply, 409, "%s is leaving: name another node", name);
	return reply->json ? NULL : &member->node;
}

static bool need_owner(const struct migration_routes *routes, uint32_t partition,
		       const struct node *to, struct admin_reply *reply)
{
	uint64_t id = partition_map_owner(map_of(routes), partition);
	const struct member *owner = membership_find(members_of(routes), id);

	if (id == to->id)
		admin_reply_error(reply, 409, "partition %u is %s's already", partition, to->name);
	else if (!is_living(owner))
		admin_reply_error(reply, 503,
				  "partition %u's owner %s is not alive: bring it back, or give "
				  "its data up with godwitctl partition claim %u "
				  "--accept-data-loss",
				  partition, owner ? owner->node.name : "(nobody)", partition);
	return reply->json == NULL;
}

/* Moves by hand would mix with what the cluster is doing. */
static bool need_no_resize(const struct migration_routes *routes, uint32_t partition,
			   struct admin_reply *reply)
{
	const struct node *leaving = resize_find_leaving(members_of(routes));
	struct resize_move move;

	if (leaving)
		admin_reply_error(reply, 409,
				  "%s is leaving, and its partitions are on their way: wait until "
				  "it has left",
				  leaving->name);
	for (uint32_t p = 0;
	     !reply->json && resize_find_move(members_of(routes), map_of(routes), 0, p, &move);
	     p = move.partition + 1) {
		const char *from = move.from ? move.from->name : "?";
		const char *to = move.to ? move.to->name : "?";

		if (move.partition == partition)
			admin_reply_error(reply, 409,
					  "partition %u is on its way from %s to %s already",
					  partition, from, to);
		else if (move.to &&
			 rebalance_driver_has_move(routes->rebalancer, move.partition, move.to->id))
			admin_reply_error(reply, 409,
					  "the cluster is being rebalanced, partition %u is on its "
					  "way from %s to %s: wait until that is done (godwitctl "
					  "migrations)",
					  move.partition, from, to);
	}
	return reply->json == NULL;
}

/* This node takes 'partition' over. */
static void import(struct migration_routes *routes, uint32_t partition, struct admin_reply *reply)
{
	const struct node *self = self_of(routes);
	uint64_t owner = partition_map_owner(map_of(routes), partition);
	char error[MIGRATOR_ERROR_SIZE], name[NODE_NAME_SIZE];
	int result;

	if (!need_owner(routes, partition, self, reply) ||
	    !need_no_resize(routes, partition, reply))
		return;
	result = migrator_import(routes->migrator, partition, error);
	if (result != 0) {
		reply_refusal(reply, result, error);
		return;
	}
	reply->status = 202;
	reply->json = json_pack("{si ss ss}", "partition", partition, "from",
				name_of(routes, owner, name), "to", self->name);
}

static void handle_migrate(void *context, const struct admin_request *request,
			   struct admin_reply *reply)
{
	static const char expected[] = "{\"partition\": NUMBER, \"node\": \"NAME\"}";
	struct migration_routes *routes = context;
	const struct node *to;
	json_int_t number;
	const char *name;

	if (!admin_body_read(request, reply, expected, "{sI ss !}", "partition", &number, "node",
			     &name))
		return;
	if (number < 0) {
		admin_reply_error(reply, 400, "expected %s", expected);
		return;
	}
	if (!need_cluster(routes, reply) || !need_partition(routes, (uint64_t)number, reply))
		return;
	to = find_target(routes, name, reply);
	if (!to || !need_owner(routes, (uint32_t)number, to, reply))
		return;
	if (to->id == self_of(routes)->id)
		import(routes, (uint32_t)number, reply);
	else
		relay(routes, to, ADMIN_POST, PATH_IMPORT, request->body, reply);
}

static void handle_import(void *context, const struct admin_request *request,
			  struct admin_reply *reply)
{
	json_int_t number = number_in(request->body);

	if (need_cluster(context, reply) && need_partition(context, (uint64_t)number, reply))
		import(context, (uint32_t)number, reply);
}

/* ---- cancel ---- */

/* The number at the end of a path; false after making the reply when it is none. */
static bool read_partition(const struct migration_routes *routes,
			   const struct admin_request *request, uint32_t *partition,
			   struct admin_reply *reply)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(request->rest, &end, 10);
	if (request->rest[0] < '0' || request->rest[0] > '9' || *end || errno != 0)
		admin_reply_error(reply, 400, "expected " PATH_MIGRATIONS "/NUMBER");
	else if (need_partition(routes, number, reply))
		*partition = (uint32_t)number;
	return reply->json == NULL;
}

static void cancel(struct migration_routes *routes, uint32_t partition, struct admin_reply *reply)
{
	char error[MIGRATOR_ERROR_SIZE];
	int result = migrator_cancel(routes->migrator, partition, error);

	if (result != 0)
		reply_refusal(reply, result, error);
	else
		reply->json = json_pack("{si sb}", "partition", partition, "cancelled", true);
}

/* Who is to be asked about a job on 'partition': the end that takes it, or else the one that gives it; this
 * node when nobody announces any.
 */
static const struct node *find_worker(const struct migration_routes *routes, uint32_t partition)
{
	struct resize_move move;

	if (!resize_find_move(members_of(routes), map_of(routes), 0, partition, &move) ||
	    move.partition != partition)
		return self_of(routes);
	if (move.to)
		return move.to;
	return node_is_migrating(move.from, partition) ? move.from : self_of(routes);
}

static void handle_cancel(void *context, const struct admin_request *request,
			  struct admin_reply *reply)
{
	struct migration_routes *routes = context;
	const struct node *worker;
	uint32_t partition = 0;

	if (!read_partition(routes, request, &partition, reply))
		return;
	worker = find_worker(routes, partition);
	if (worker->id == self_of(routes)->id || !routes->relay)
		cancel(routes, partition, reply);
	else
		relay(routes, worker, ADMIN_DELETE, request->path, NULL, reply);
}

static void handle_cancel_here(void *context, const struct admin_request *request,
			       struct admin_reply *reply)
{
	uint32_t partition = 0;

	if (read_partition(context, request, &partition, reply))
		cancel(context, partition, reply);
}

/* ---- claim ---- */

/* By the job that works on it here, or by the map. */
static int claim_one(struct migration_routes *routes, uint32_t partition, char *error)
{
	return has_job(routes, partition) ? migrator_claim(routes->migrator, partition, error)
					  : cluster_claim(routes->cluster, partition, error);
}

/* All partitions that the map gives to the node of that name. */
static int claim_all_of(struct migration_routes *routes, const char *name, uint32_t *count,
			char *error)
{
	const struct partition_map *map = map_of(routes);
	uint64_t id = node_name_is_valid(name) ? node_id_of_name(name) : 0;
	int result = 0;

	*count = 0;
	for (uint32_t p = 0; id != 0 && result == 0 && p < map->partition_count; p++) {
		if (partition_map_owner(map, p) != id)
			continue;
		result = claim_one(routes, p, error);
		*count += result == 0;
	}
	if (result != 0 && *count > 0)
		snprintf(error + strlen(error), CLUSTER_ERROR_SIZE - strlen(error),
			 "; %u partitions before it were claimed", *count);
	if (result != 0 || *count > 0)
		return result;
	snprintf(error, CLUSTER_ERROR_SIZE, "%.64s owns no partition; see godwitctl partitions",
		 name);
	return -ENOENT;
}

static void claim(struct migration_routes *routes, const struct admin_request *request,
		  struct admin_reply *reply)
{
	const char *of = json_string_value(json_object_get(request->body, "of"));
	char error[CLUSTER_ERROR_SIZE];
	uint32_t count = 1;
	int result;

	if (of)
		result = claim_all_of(routes, of, &count, error);
	else
		result = claim_one(routes, (uint32_t)number_in(request->body), error);
	if (result != 0)
		reply_refusal(reply, result, error);
	else
		reply->json = json_pack("{ss si}", "phase",
					cluster_phase_name(cluster_phase(routes->cluster)),
					"claimed", count);
}

static bool is_claim(const struct migration_routes *routes, const struct admin_request *request,
		     struct admin_reply *reply)
{
	static const char expected[] = "{\"partition\": NUMBER, \"accept_data_loss\": true}, or "
				       "\"of\": \"NODE\" for all of a node";
	json_int_t number = -1;
	const char *of = NULL;
	int is_accepted = false;

	if (!admin_body_read(request, reply, expected, "{s?I s?s s?b !}", "partition", &number,
			     "of", &of, "accept_data_loss", &is_accepted))
		return false;
	if (!is_accepted)
		admin_reply_error(reply, 400,
				  "a partition that is claimed is empty: say \"accept_data_loss\": "
				  "true if that is wanted");
	else if (!of == !json_object_get(request->body, "partition"))
		admin_reply_error(reply, 400, "expected %s", expected);
	else if (!of)
		return need_partition(routes, (uint64_t)number, reply);
	return reply->json == NULL;
}

/* Who is to claim: who has a job of it, or a living owner, which alone knows whether it has the data. */
static const struct node *find_claimer(const struct migration_routes *routes, uint32_t partition)
{
	const struct node *worker = find_worker(routes, partition);
	const struct member *owner =
		membership_find(members_of(routes), partition_map_owner(map_of(routes), partition));

	if (worker->id == self_of(routes)->id && !has_job(routes, partition) && owner &&
	    member_state(owner) <= MEMBER_SUSPECT)
		return &owner->node;
	return worker;
}

static void handle_claim(void *context, const struct admin_request *request,
			 struct admin_reply *reply)
{
	struct migration_routes *routes = context;
	const struct node *worker = self_of(routes);

	if (!is_claim(routes, request, reply))
		return;
	if (!json_object_get(request->body, "of"))
		worker = find_claimer(routes, (uint32_t)number_in(request->body));
	if (worker->id == self_of(routes)->id || !routes->relay)
		claim(routes, request, reply);
	else
		relay(routes, worker, ADMIN_POST, PATH_CLAIM, request->body, reply);
}

static void handle_claim_here(void *context, const struct admin_request *request,
			      struct admin_reply *reply)
{
	if (is_claim(context, request, reply))
		claim(context, request, reply);
}

/* ---- asking all ---- */

/* Answers of several nodes on their way into one reply. */
struct gathering {
	const struct migration_routes *routes;
	struct admin_reply *reply;
	enum admin_method method;
	const char *path;
	json_t *answers;  /* [{"name", "body"} or {"name", "error"}] */
	uint32_t next;    /* index of the member to ask next */
	uint32_t waiting; /* for so many answers */
	bool is_asking;
	void (*finish)(struct gathering *gathering);
};

/* Of one of its nodes. */
struct gathered {
	struct gathering *gathering;
	char name[NODE_NAME_SIZE];
};

static void ask_more(struct gathering *gathering);

static void on_answer(void *context, int status, const json_t *body)
{
	struct gathered *gathered = context;
	struct gathering *gathering = gathered->gathering;
	const char *error =
		json_string_value(json_object_get(json_object_get(body, "error"), "message"));
	json_t *answer;

	if (status < 400)
		answer = json_pack("{ss sO}", "name", gathered->name, "body", body);
	else
		answer = json_pack("{ss ss}", "name", gathered->name, "error",
				   error ? error : "no reason given");
	json_array_append_new(gathering->answers, answer);
	free(gathered);
	gathering->waiting--;
	ask_more(gathering);
}

static void ask_one(struct gathering *gathering, const struct node *node)
{
	struct gathered *gathered = calloc(1, sizeof(*gathered));

	if (!gathered)
		return;
	gathered->gathering = gathering;
	strcpy(gathered->name, node->name);
	gathering->waiting++;
	admin_relay_ask(gathering->routes->relay, node, gathering->method, gathering->path, NULL,
			on_answer, gathered);
}

/* Asks the next ones, some at a time, and finishes when all have answered. An answer may come at once. */
static void ask_more(struct gathering *gathering)
{
	const struct membership *membership = members_of(gathering->routes);

	if (gathering->is_asking)
		return;
	gathering->is_asking = true;
	while (gathering->routes->relay && gathering->waiting < GATHERED_AT_ONCE &&
	       gathering->next < membership_index_end(membership)) {
		const struct member *member = membership_at(membership, gathering->next++);

		if (is_living(member))
			ask_one(gathering, &member->node);
	}
	gathering->is_asking = false;
	if (gathering->waiting > 0)
		return;
	gathering->finish(gathering);
	admin_reply_finish(gathering->reply);
	json_decref(gathering->answers);
	free(gathering);
}

/* Asks all other living members; what 'own' (taken) says is this node's answer. */
static void ask_all(const struct migration_routes *routes, enum admin_method method,
		    const char *path, json_t *own, void (*finish)(struct gathering *gathering),
		    struct admin_reply *reply)
{
	struct gathering *gathering = calloc(1, sizeof(*gathering));

	if (!gathering) {
		json_decref(own);
		admin_reply_error(reply, 500, "out of memory");
		return;
	}
	*gathering = (struct gathering){ .routes = routes,
					 .reply = reply,
					 .method = method,
					 .path = path,
					 .answers = json_array(),
					 .next = 1,
					 .finish = finish };
	json_array_append_new(gathering->answers,
			      json_pack("{ss so}", "name", self_of(routes)->name, "body", own));
	reply->is_deferred = true;
	ask_more(gathering);
}

/* ---- list ---- */

static json_t *list_here(struct migration_routes *routes)
{
	struct migration_names names = names_of(routes);

	return migration_node_json(routes->migrator, &names);
}

static json_t *rebalance_json(const struct migration_routes *routes)
{
	if (!routes->rebalancer)
		return json_null();
	return json_pack("{ss si}", "state", rebalance_driver_state(routes->rebalancer),
			 "moves_left", rebalance_driver_moves_left(routes->rebalancer));
}

static void finish_list(struct gathering *gathering)
{
	json_t *list = migration_merge_json(gathering->answers);

	json_object_set_new(list, "rebalance", rebalance_json(gathering->routes));
	gathering->reply->json = list;
}

static void handle_list(void *context, const struct admin_request *request,
			struct admin_reply *reply)
{
	(void)request;
	ask_all(context, ADMIN_GET, PATH_LOCAL, list_here(context), finish_list, reply);
}

static void handle_list_here(void *context, const struct admin_request *request,
			     struct admin_reply *reply)
{
	(void)request;
	reply->json = list_here(context);
}

/* ---- rebalance ---- */

/* The plan as JSON, NULL after making the reply when there is none. */
static json_t *plan_json(struct migration_routes *routes, struct admin_reply *reply)
{
	struct rebalance_plan *plan = malloc(sizeof(*plan));
	struct migration_names names = names_of(routes);
	int result = plan ? rebalance_driver_plan(routes->rebalancer, plan) : -ENOMEM;
	json_t *json = NULL;

	if (result == 0)
		json = migration_plan_json(plan, &names);
	else if (result == -EINVAL)
		admin_reply_error(reply, 409,
				  "no living member has a cluster.weight above 0: nobody can take "
				  "partitions");
	else
		admin_reply_error(reply, 500, "out of memory");
	free(plan);
	return json;
}

static void finish_rebalance(struct gathering *gathering)
{
	json_t *unreached = json_array(), *moves = NULL;
	const json_t *answer;
	size_t i;

	json_array_foreach(gathering->answers, i, answer)
	{
		const json_t *body = json_object_get(answer, "body");

		if (json_object_get(body, "moves"))
			moves = json_object_get(body, "moves");
		if (json_object_get(answer, "error"))
			json_array_append(unreached, (json_t *)(uintptr_t)answer);
	}
	gathering->reply->status = 202;
	gathering->reply->json = json_pack("{sO so}", "moves", moves, "unreached", unreached);
}

static void begin_everywhere(struct migration_routes *routes, json_t *plan,
			     struct admin_reply *reply)
{
	char error[CLUSTER_ERROR_SIZE];

	if (resize_check(members_of(routes), map_of(routes), 0, error, sizeof(error)) != 0) {
		json_decref(plan);
		admin_reply_error(reply, 409, "%s", error);
		return;
	}
	rebalance_driver_ask(routes->rebalancer);
	ask_all(routes, ADMIN_POST, PATH_BEGIN, plan, finish_rebalance, reply);
}

static void handle_rebalance(void *context, const struct admin_request *request,
			     struct admin_reply *reply)
{
	struct migration_routes *routes = context;
	int is_dry = false;
	json_t *plan;

	if (!admin_body_read(request, reply, "{} or {\"dry_run\": true}", "{s?b !}", "dry_run",
			     &is_dry) ||
	    !need_cluster(routes, reply))
		return;
	plan = plan_json(routes, reply);
	if (!plan)
		return;
	if (is_dry)
		reply->json = plan;
	else
		begin_everywhere(routes, plan, reply);
}

static void handle_begin(void *context, const struct admin_request *request,
			 struct admin_reply *reply)
{
	struct migration_routes *routes = context;

	(void)request;
	if (!need_cluster(routes, reply))
		return;
	rebalance_driver_ask(routes->rebalancer);
	reply->json = json_object();
}

const struct admin_route migration_routes[] = {
	{ ADMIN_GET, PATH_MIGRATIONS, handle_list },
	{ ADMIN_GET, PATH_LOCAL, handle_list_here },
	{ ADMIN_POST, PATH_MIGRATIONS, handle_migrate },
	{ ADMIN_DELETE, PATH_MIGRATIONS "/*", handle_cancel },
	{ ADMIN_POST, PATH_REBALANCE, handle_rebalance },
	{ ADMIN_POST, PATH_CLAIM, handle_claim },
	{ ADMIN_GET, NULL, NULL },
};

const struct admin_route migration_relay_routes[] = {
	{ ADMIN_GET, PATH_LOCAL, handle_list_here },
	{ ADMIN_POST, PATH_IMPORT, handle_import },
	{ ADMIN_DELETE, PATH_MIGRATIONS "/*", handle_cancel_here },
	{ ADMIN_POST, PATH_BEGIN, handle_begin },
	{ ADMIN_POST, PATH_CLAIM, handle_claim_here },
	{ ADMIN_GET, NULL, NULL },
};
