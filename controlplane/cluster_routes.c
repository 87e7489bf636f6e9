/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to calls of the cluster, and their outcomes to replies. */
#include "controlplane/cluster_routes.h"

#include <errno.h>

#include "controlplane/admin_body.h"
#include "controlplane/cluster_json.h"

/* The reply to something done or refused. */
static void reply_outcome(struct admin_reply *reply, int result, const char *error,
			  const struct cluster *cluster)
{
	if (result != 0)
		admin_reply_error(reply, admin_status_of(result), "%s", error);
	else
		reply->json =
			json_pack("{ss}", "phase", cluster_phase_name(cluster_phase(cluster)));
}

static void handle_cluster(void *context, const struct admin_request *request,
			   struct admin_reply *reply)
{
	(void)request;
	reply->json = cluster_json(context);
}

static void handle_nodes(void *context, const struct admin_request *request,
			 struct admin_reply *reply)
{
	(void)request;
	reply->json = cluster_nodes_json(context);
}

static void handle_partitions(void *context, const struct admin_request *request,
			      struct admin_reply *reply)
{
	(void)request;
	reply->json = cluster_partitions_json(context);
}

static void handle_create(void *context, const struct admin_request *request,
			  struct admin_reply *reply)
{
	char error[CLUSTER_ERROR_SIZE];

	if (admin_body_read(request, reply, "no members", "{!}"))
		reply_outcome(reply, cluster_found(context, error), error, context);
}

/* The addresses in 'array'; their count, or 0 when there is something else in it. */
static uint32_t read_seeds(const json_t *array, struct node_address *seeds)
{
	size_t count = json_array_size(array);

	if (count > GOSSIP_SEED_COUNT_MAX)
		return 0;
	for (size_t i = 0; i < count; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || node_address_parse(&seeds[i], text) != 0 ||
		    !node_address_is_ipv4(&seeds[i]))
			return 0;
	}
	return (uint32_t)count;
}

static void handle_join(void *context, const struct admin_request *request,
			struct admin_reply *reply)
{
	struct node_address seeds[GOSSIP_SEED_COUNT_MAX];
	const json_t *only_seeds = json_object_size(request->body) == 1
					   ? json_object_get(request->body, "seeds")
					   : NULL;
	uint32_t count = read_seeds(only_seeds, seeds);
	char error[CLUSTER_ERROR_SIZE];

	if (count == 0)
		admin_reply_error(reply, 400,
				  "expected {\"seeds\": [\"ADDRESS:PORT\", ...]}, 1 to %u bus "
				  "addresses of members",
				  GOSSIP_SEED_COUNT_MAX);
	else
		reply_outcome(reply, cluster_join(context, seeds, count, error), error, context);
}

static void handle_leave(void *context, const struct admin_request *request,
			 struct admin_reply *reply)
{
	char error[CLUSTER_ERROR_SIZE];
	int is_cancel = false;

	if (admin_body_read(request, reply, "{} or {\"cancel\": true}", "{s?b !}", "cancel",
			    &is_cancel))
		reply_outcome(reply, cluster_leave(context, !is_cancel, error), error, context);
}

static void handle_remove(void *context, const struct admin_request *request,
			  struct admin_reply *reply)
{
	char error[CLUSTER_ERROR_SIZE];
	const char *name;

	if (admin_body_read(request, reply, "{\"node\": \"NAME\"}", "{ss !}", "node", &name))
		reply_outcome(reply, cluster_remove(context, name, error), error, context);
}

static void handle_reload_keys(void *context, const struct admin_request *request,
			       struct admin_reply *reply)
{
	char error[CLUSTER_ERROR_SIZE];

	if (admin_body_read(request, reply, "no members", "{!}"))
		reply_outcome(reply, cluster_reload_keys(context, error), error, context);
}

const struct admin_route cluster_routes[] = {
	{ ADMIN_GET, "/v1/cluster", handle_cluster },
	{ ADMIN_GET, "/v1/nodes", handle_nodes },
	{ ADMIN_GET, "/v1/partitions", handle_partitions },
	{ ADMIN_POST, "/v1/cluster/create", handle_create },
	{ ADMIN_POST, "/v1/cluster/join", handle_join },
	{ ADMIN_POST, "/v1/cluster/leave", handle_leave },
	{ ADMIN_POST, "/v1/cluster/remove", handle_remove },
	{ ADMIN_POST, "/v1/cluster/reload-keys", handle_reload_keys },
	{ ADMIN_GET, NULL, NULL },
};
