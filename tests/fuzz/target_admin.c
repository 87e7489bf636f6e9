/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests at the admin address: paths, parameters, headers, JSON bodies. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/admin_http.h"
#include "controlplane/cluster_host.h"
#include "controlplane/cluster_routes.h"
#include "tests/fuzz/fuzz.h"

static struct event_base *base;
static struct world world;
static struct log quiet = { NULL, LOG_LEVEL_ERROR, &world };

static void random_bytes(void *context, void *bytes, size_t size)
{
	(void)context;
	memset(bytes, 7, size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	base = event_base_new();
	world_os_init(&world);
	world.random_bytes = random_bytes;
	quiet.stream = fopen("/dev/null", "w");
	FUZZ_CHECK(base && quiet.stream);
	return 0;
}

static void set_routes(void *context, struct route_table *table)
{
	(void)context;
	route_table_destroy(table);
}

static void wake(void *context)
{
	(void)context;
}

static void end(void *context, enum cluster_end why)
{
	(void)context, (void)why;
}

static struct cluster *make_cluster(void)
{
	struct cluster_config config = {
		.name = "fuzz",
		.partition_count = 8,
		.self = { .id = node_id_of_name("n1"),
			  .name = "n1",
			  .generation = 1,
			  .state = NODE_ACTIVE,
			  .workers = 1,
			  .weight = NODE_WEIGHT_DEFAULT,
			  .data = node_address_ipv4(0x0a000001, 7700) },
	};
	const struct cluster_options options = { .config = &config,
						 .world = &world,
						 .log = &quiet,
						 .host = { .set_routes = set_routes,
							   .wake = wake,
							   .end = end } };
	struct cluster *cluster;

	FUZZ_CHECK(cluster_create(&cluster, &options) == 0);
	cluster_start(cluster);
	return cluster;
}

static struct admin_http *make_http(struct cluster *cluster)
{
	const struct admin_http_options options = { 0x7f000001, 0, "", &quiet };
	struct admin_http *http;
	char error[256];

	FUZZ_CHECK(admin_http_create(&http, base, &options, error, sizeof(error)) == 0);
	FUZZ_CHECK(admin_http_add_routes(http, cluster_routes, cluster) == 0);
	return http;
}

/* A line of the input as text; NULL when it is empty. */
static char *line_of(struct fuzz_reader *reader)
{
	const uint8_t *newline = memchr(reader->at, '\n', fuzz_left(reader));
	size_t size = newline ? (size_t)(newline - reader->at) : fuzz_left(reader);
	char *line = size ? strndup((const char *)reader->at, size) : NULL;

	reader->at += size + (newline != NULL);
	return line;
}

static void check_reply(const struct admin_reply *reply)
{
	char *text;

	FUZZ_CHECK(reply->json || reply->content_type);
	FUZZ_CHECK(reply->status == 0 || (reply->status >= 200 && reply->status < 600));
	if (!reply->json)
		return;
	text = json_dumps(reply->json, 0);
	FUZZ_CHECK(text);
	FUZZ_CHECK(reply->status < 400 || strstr(text, "\"message\""));
	free(text);
}

/* An input: a byte of choices; lines with path, query, host; then the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader reader = fuzz_reader(data, size);
	struct admin_reply reply = { .text = evbuffer_new() };
	struct cluster *cluster = make_cluster();
	struct admin_http *http = make_http(cluster);
	uint8_t choice = fuzz_u8(&reader);
	char *path = line_of(&reader);
	char *query = line_of(&reader);
	char *host = line_of(&reader);
	const struct admin_call call = {
		.method = choice & 3,
		.is_method_known = !(choice & 4),
		.path = path ? path : "/",
		.path_size = path ? strlen(path) : 1,
		.query = query,
		.host = host,
		.content_type = choice & 8 ? NULL : "application/json",
		.body = (const char *)reader.at,
		.body_size = fuzz_left(&reader),
	};

	FUZZ_CHECK(reply.text);
	admin_http_call(http, &call, &reply);
	check_reply(&reply);
	json_decref(reply.json);
	evbuffer_free(reply.text);
	admin_http_destroy(http);
	cluster_destroy(cluster);
	free(path);
	free(query);
	free(host);
	return 0;
}
