/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin address without a connection: routing, admission, bodies, and the errors of each. */
#include "controlplane/admin_http.h"
#include "tests/unit/unit.h"

#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#define WAIT_MS 10000u

/* What a handler saw. */
struct seen {
	uint32_t calls;
	char rest[32];
	json_int_t number;
	struct admin_reply *kept;
};

static void handle_echo(void *context, const struct admin_request *request,
			struct admin_reply *reply)
{
	struct seen *seen = context;

	seen->calls++;
	snprintf(seen->rest, sizeof(seen->rest), "%s", request->rest);
	seen->number = json_integer_value(json_object_get(request->body, "n"));
	reply->json = json_pack("{sI}", "n", seen->number);
}

static void handle_text(void *context, const struct admin_request *request,
			struct admin_reply *reply)
{
	(void)context;
	(void)request;
	evbuffer_add(reply->text, "hello", 5);
	reply->content_type = "text/plain";
}

static void handle_nothing(void *context, const struct admin_request *request,
			   struct admin_reply *reply)
{
	(void)context;
	(void)request;
	(void)reply;
}

/* Two handlers that reply later: one when the test says so, one at once all the same. */
static void handle_later(void *context, const struct admin_request *request,
			 struct admin_reply *reply)
{
	struct seen *seen = context;

	(void)request;
	seen->calls++;
	seen->kept = reply;
	reply->is_deferred = true;
}

static void handle_later_at_once(void *context, const struct admin_request *request,
				 struct admin_reply *reply)
{
	handle_later(context, request, reply);
	reply->json = json_pack("{si}", "n", 1);
	admin_reply_finish(reply);
}

static const struct admin_route routes[] = {
	{ ADMIN_DELETE, "/v1/gone/*", handle_echo },
	{ ADMIN_GET, "/later", handle_later },
	{ ADMIN_GET, "/at-once", handle_later_at_once },
	{ ADMIN_GET, "/v1/thing", handle_echo },
	{ ADMIN_POST, "/v1/thing", handle_echo },
	{ ADMIN_GET, "/v1/things/*", handle_echo },
	{ ADMIN_GET, "/text", handle_text },
	{ ADMIN_GET, "/nothing", handle_nothing },
	{ ADMIN_GET, NULL, NULL },
};

struct fixture {
	struct world world;
	struct log log;
	struct event_base *base;
	struct admin_http *http;
	uint16_t port; /* it listens on, when it matters */
	struct seen seen;
	struct admin_reply reply;
	char error[256];
};

/* 'port' 0: any, for a server that nobody connects to. */
static int fixture_listen(struct fixture *f, uint16_t port)
{
	return admin_http_create(&f->http, f->base,
				 &(struct admin_http_options){ 0x7f000001, port, "", &f->log },
				 f->error, sizeof(f->error));
}

static int fixture_open(struct fixture *f, const char *token_file)
{
	memset(f, 0, sizeof(*f));
	world_os_init(&f->world);
	f->log = (struct log){ stderr, LOG_LEVEL_ERROR, &f->world };
	f->base = event_base_new();
	f->reply.text = evbuffer_new();
	return admin_http_create(&f->http, f->base,
				 &(struct admin_http_options){ 0x7f000001, 0, token_file, &f->log },
				 f->error, sizeof(f->error));
}

static void fixture_init(struct fixture *f, const char *token_file)
{
	CU_ASSERT_EQUAL_FATAL(fixture_open(f, token_file), 0);
	CU_ASSERT_EQUAL(admin_http_add_routes(f->http, routes, &f->seen), 0);
}

static void fixture_fini(struct fixture *f)
{
	json_decref(f->reply.json);
	evbuffer_free(f->reply.text);
	admin_http_destroy(f->http);
	event_base_free(f->base);
}

/* The status of the reply to 'call', whose method is known. */
static int status_of(struct fixture *f, struct admin_call call)
{
	json_decref(f->reply.json);
	f->reply.json = NULL;
	f->reply.status = 0;
	f->reply.content_type = NULL;
	call.is_method_known = true;
	admin_http_call(f->http, &call, &f->reply);
	return f->reply.status;
}

static const char *message(const struct fixture *f)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(f->reply.json, "error"), "message"));

	return text ? text : "";
}

#define CALL(method_, path_, ...)                                                                  \
	((struct admin_call){ .method = method_, .path = path_, __VA_ARGS__ })

static void routes_are_found_by_path_and_method(void)
{
	struct fixture f;

	fixture_init(&f, "");
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing", .host = NULL)), 0);
	CU_ASSERT_EQUAL(f.seen.calls, 1);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/things/7/x", .host = NULL)), 0);
	CU_ASSERT_STRING_EQUAL(f.seen.rest, "7/x");
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/text", .host = NULL)), 0);
	CU_ASSERT_STRING_EQUAL(f.reply.content_type, "text/plain");
	fixture_fini(&f);
}

static void wrong_paths_and_methods_are_told(void)
{
	struct fixture f;

	fixture_init(&f, "");
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/none", .host = NULL)), 404);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/things/", .host = NULL)), 404);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "", .host = NULL)), 404);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_DELETE, "/v1/thing", .host = NULL)), 405);
	CU_ASSERT_STRING_EQUAL(message(&f), "this path takes GET, POST");
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing", .query = "a=1")), 400);
	CU_ASSERT_EQUAL(f.seen.calls, 0);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/nothing", .host = NULL)), 500);
	fixture_fini(&f);
}

static void bodies_must_be_json_objects_that_say_so(void)
{
	struct admin_call call = CALL(ADMIN_POST, "/v1/thing", .content_type = "application/json",
				      .body = "{\"n\": 5}", .body_size = 8);
	struct fixture f;

	fixture_init(&f, "");
	CU_ASSERT_EQUAL(status_of(&f, call), 0);
	CU_ASSERT_EQUAL(f.seen.number, 5);
	call.content_type = "application/json; charset=utf-8";
	CU_ASSERT_EQUAL(status_of(&f, call), 0);
	call.content_type = "text/plain";
	CU_ASSERT_EQUAL(status_of(&f, call), 415);
	call.content_type = NULL;
	CU_ASSERT_EQUAL(status_of(&f, call), 415);
	call.content_type = "application/json";
	call.body_size = 7;
	CU_ASSERT_EQUAL(status_of(&f, call), 400);
	CU_ASSERT_PTR_NOT_NULL(strstr(message(&f), "no valid JSON, line 1"));
	call.body = "[1]";
	call.body_size = 3;
	CU_ASSERT_EQUAL(status_of(&f, call), 400);
	CU_ASSERT_STRING_EQUAL(message(&f), "expected a JSON object");
	call.method = ADMIN_GET;
	CU_ASSERT_EQUAL(status_of(&f, call), 400);
	CU_ASSERT_EQUAL(f.seen.calls, 2);
	fixture_fini(&f);
}

static void a_loopback_address_answers_local_hosts_alone(void)
{
	static const char *const good[] = { "127.0.0.1:7780", "localhost", "localhost:7780",
					    "[::1]:7780", "10.0.0.1" };
	static const char *const bad[] = { "evil.example", "localhost.evil.example:7780", "",
					   "127.0.0.1.evil.example" };
	struct fixture f;

	fixture_init(&f, "");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing", .host = good[i])), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing", .host = bad[i])), 403);
	fixture_fini(&f);
}

/* A file with 'text'; the caller removes it. */
static void write_file(char path[32], const char *text)
{
	FILE *file;

	strcpy(path, "/tmp/godwit-token-XXXXXX");
	file = fdopen(mkstemp(path), "w");
	fputs(text, file);
	fclose(file);
}

static void a_token_is_asked_for(void)
{
	struct fixture f;
	char path[32];

	write_file(path, "0123456789abcdef\nignored\n");
	fixture_init(&f, path);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing", .host = NULL)), 401);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing",
					   .authorization = "Bearer 0123456789abcdeX")),
			401);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing",
					   .authorization = "Bearer 0123456789abcdef ")),
			401);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/none", .authorization = "Bearer x")), 401);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing", .host = "node.example",
					   .authorization = "Bearer 0123456789abcdef")),
			0);
	CU_ASSERT_EQUAL(f.seen.calls, 1);
	fixture_fini(&f);
	unlink(path);
}

static void a_bad_token_file_stops_the_start(void)
{
	struct fixture f;
	char path[32];

	write_file(path, "short\n");
	CU_ASSERT_NOT_EQUAL(fixture_open(&f, path), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "expected a token of at least 16 characters"));
	fixture_fini(&f);
	unlink(path);
	CU_ASSERT_NOT_EQUAL(fixture_open(&f, path), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "No such file or directory"));
	fixture_fini(&f);
}

static void tables_of_routes_are_bounded(void)
{
	struct fixture f;
	int result = 0;
	int tables = 0;

	CU_ASSERT_EQUAL_FATAL(fixture_open(&f, ""), 0);
	while (result == 0 && tables < 100) {
		result = admin_http_add_routes(f.http, routes, &f.seen);
		tables++;
	}
	CU_ASSERT(tables > 4 && tables < 100);
	fixture_fini(&f);
}

static void a_delete_needs_no_body(void)
{
	struct fixture f;

	fixture_init(&f, "");
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_DELETE, "/v1/gone/7", .host = NULL)), 0);
	CU_ASSERT_STRING_EQUAL(f.seen.rest, "7");
	fixture_fini(&f);
}

/* ---- raw routes ---- */

struct raw_seen {
	uint8_t rest[16];
	size_t rest_size;
	uint8_t bytes[16];
	size_t size;
	char query[16];
	char header[16];
};

static void handle_raw(void *context, const struct admin_request *request,
		       struct admin_reply *reply)
{
	const char *header = evhttp_find_header(request->headers, "If-Match");
	struct raw_seen *seen = context;

	seen->rest_size = request->rest_size;
	memcpy(seen->rest, request->rest, request->rest_size);
	seen->size = request->size;
	memcpy(seen->bytes, request->bytes, request->size);
	snprintf(seen->query, sizeof(seen->query), "%s", request->query ? request->query : "");
	snprintf(seen->header, sizeof(seen->header), "%s", header ? header : "");
	evbuffer_add(reply->text, "\0\1", 2);
	reply->content_type = "application/octet-stream";
	admin_reply_header(reply, "ETag", "\"%d\"", 7);
}

static const struct admin_route raw_routes[] = {
	{ ADMIN_PUT, "/raw/*", handle_raw },
	{ ADMIN_GET, NULL, NULL },
};

static void raw_routes_take_any_bytes_parameters_and_headers(void)
{
	struct evkeyvalq headers;
	struct raw_seen seen;
	struct fixture f;

	fixture_init(&f, "");
	CU_ASSERT_EQUAL(admin_http_add_raw_routes(f.http, raw_routes, &seen), 0);
	TAILQ_INIT(&headers);
	evhttp_add_header(&headers, "If-Match", "\"3\"");
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_PUT, "/raw/\0b/", .path_size = 8, .query = "t=1",
					   .headers = &headers, .content_type = "text/plain",
					   .body = "\0\xff{", .body_size = 3)),
			0);
	evhttp_clear_headers(&headers);
	CU_ASSERT_EQUAL(seen.rest_size, 3);
	CU_ASSERT(memcmp(seen.rest, "\0b/", 3) == 0);
	CU_ASSERT_EQUAL(seen.size, 3);
	CU_ASSERT(memcmp(seen.bytes, "\0\xff{", 3) == 0);
	CU_ASSERT_STRING_EQUAL(seen.query, "t=1");
	CU_ASSERT_STRING_EQUAL(seen.header, "\"3\"");
	CU_ASSERT_EQUAL(f.reply.header_count, 1);
	CU_ASSERT_STRING_EQUAL(f.reply.headers[0].value, "\"7\"");
	fixture_fini(&f);
}

static void raw_routes_are_found_and_guarded_like_others(void)
{
	struct raw_seen seen;
	struct fixture f;

	fixture_init(&f, "");
	CU_ASSERT_EQUAL(admin_http_add_raw_routes(f.http, raw_routes, &seen), 0);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_PUT, "/raw/", .host = NULL)), 404);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_PUT, "/raw/x", .host = "evil.example")), 403);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_POST, "/raw/x", .host = NULL)), 405);
	CU_ASSERT_EQUAL(status_of(&f, CALL(ADMIN_GET, "/v1/thing\0x", .path_size = 11)), 404);
	fixture_fini(&f);
}

/* ---- replies that come later, over a connection ---- */

struct client {
	struct evhttp_connection *connection;
	bool is_answered;
	bool is_told_to_close;
	int status;
	int size_told;
	size_t size;
};

static bool is_connection_close(struct evhttp_request *request)
{
	const char *connection =
		evhttp_find_header(evhttp_request_get_input_headers(request), "Connection");

	return connection && strcmp(connection, "close") == 0;
}

static void on_answer(struct evhttp_request *request, void *context)
{
	struct client *client = context;
	const char *size;

	client->is_answered = true;
	client->status = request ? evhttp_request_get_response_code(request) : 0;
	if (!request)
		return;
	size = evhttp_find_header(evhttp_request_get_input_headers(request), "Content-Length");
	client->size_told = size ? atoi(size) : -1;
	client->is_told_to_close = is_connection_close(request);
	/* what came behind the headers, wherever libevent left it */
	client->size = evbuffer_get_length(evhttp_request_get_input_buffer(request)) +
		       evbuffer_get_length(bufferevent_get_input(
			       evhttp_connection_get_bufferevent(client->connection)));
}

static void connect_again(const struct fixture *f, struct client *client,
			  enum evhttp_cmd_type method, const char *path)
{
	memset(client, 0, sizeof(*client));
	client->connection = evhttp_connection_base_new(f->base, NULL, "127.0.0.1", f->port);
	evhttp_make_request(client->connection, evhttp_request_new(on_answer, client), method,
			    path);
}

/* A server on a port that was free; the connection with a request for 'path' on its way. */
static void connect_by(struct fixture *f, struct client *client, enum evhttp_cmd_type method,
		       const char *path)
{
	uint16_t port = 20000;

	memset(f, 0, sizeof(*f));
	world_os_init(&f->world);
	f->log = (struct log){ stderr, LOG_LEVEL_ERROR, &f->world };
	f->base = event_base_new();
	f->reply.text = evbuffer_new();
	while (fixture_listen(f, port) != 0 && port < 21000)
		port++;
	admin_http_add_routes(f->http, routes, &f->seen);
	f->port = port;
	connect_again(f, client, method, path);
}

static void connect_fixture(struct fixture *f, struct client *client, const char *path)
{
	connect_by(f, client, EVHTTP_REQ_GET, path);
}

static bool is_asked(const struct fixture *f, const struct client *client)
{
	(void)client;
	return f->seen.calls > 0;
}

static bool is_answered(const struct fixture *f, const struct client *client)
{
	(void)f;
	return client->is_answered;
}

static bool run_until(const struct fixture *f, const struct client *client,
		      bool (*is_done)(const struct fixture *f, const struct client *client))
{
	uint64_t until_ms = world_now_ms(&f->world) + WAIT_MS;

	while (!is_done(f, client)) {
		const struct timeval slice = { 0, 10000 };

		if (world_now_ms(&f->world) > until_ms)
			return false;
		event_base_loopexit(f->base, &slice);
		event_base_loop(f->base, EVLOOP_ONCE);
	}
	return true;
}

static void a_reply_may_come_later(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/later");
	CU_ASSERT_TRUE_FATAL(run_until(&f, &client, is_asked));
	CU_ASSERT_FALSE(client.is_answered);
	admin_reply_error(f.seen.kept, 409, "not now");
	admin_reply_finish(f.seen.kept);
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 409);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

static void a_deferred_reply_may_come_at_once(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/at-once");
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 200);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

static void a_deferred_reply_may_outlive_the_asker(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/later");
	CU_ASSERT_TRUE_FATAL(run_until(&f, &client, is_asked));
	evhttp_connection_free(client.connection);
	for (int i = 0; i < 20; i++)
		event_base_loop(f.base, EVLOOP_NONBLOCK);
	f.seen.kept->json = json_object();
	admin_reply_finish(f.seen.kept);
	fixture_fini(&f);
}

static void a_deferred_reply_may_outlive_the_server(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/later");
	CU_ASSERT_TRUE_FATAL(run_until(&f, &client, is_asked));
	admin_http_destroy(f.http);
	f.http = NULL;
	f.seen.kept->json = json_object();
	admin_reply_finish(f.seen.kept);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

/* Replies when its time has come. */
static void finish_kept(evutil_socket_t fd, short what, void *context)
{
	struct fixture *f = context;

	(void)fd;
	(void)what;
	f->seen.kept->json = json_object();
	admin_reply_finish(f->seen.kept);
}

static void an_open_request_is_answered_before_the_end(void)
{
	const struct timeval later = { 0, 20000 };
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/later");
	CU_ASSERT_TRUE_FATAL(run_until(&f, &client, is_asked));
	event_base_once(f.base, -1, EV_TIMEOUT, finish_kept, &f, &later);
	admin_http_refuse(f.http);
	admin_http_drain(f.http, WAIT_MS);
	admin_http_destroy(f.http);
	f.http = NULL;
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 200);
	CU_ASSERT_TRUE(client.is_told_to_close);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

static void a_request_on_its_way_is_answered_before_the_end(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/text");
	event_base_loop(f.base, EVLOOP_NONBLOCK); /* connects */
	admin_http_refuse(f.http);
	admin_http_drain(f.http, WAIT_MS);
	admin_http_destroy(f.http);
	f.http = NULL;
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 200);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

static void who_comes_at_the_end_is_refused(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/text");
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	admin_http_refuse(f.http);
	admin_http_refuse(f.http);
	evhttp_connection_free(client.connection);
	connect_again(&f, &client, EVHTTP_REQ_GET, "/text");
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 0);
	CU_ASSERT_EQUAL(f.seen.calls, 0);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

static void an_end_does_not_wait_for_ever(void)
{
	struct client client;
	struct fixture f;

	connect_fixture(&f, &client, "/later");
	CU_ASSERT_TRUE_FATAL(run_until(&f, &client, is_asked));
	admin_http_refuse(f.http);
	admin_http_drain(f.http, 20);
	CU_ASSERT_FALSE(client.is_answered);
	admin_http_destroy(f.http);
	f.http = NULL;
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 0);
	f.seen.kept->json = json_object();
	admin_reply_finish(f.seen.kept);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

static void a_head_is_told_the_size_and_sent_no_body(void)
{
	struct client client;
	struct fixture f;

	connect_by(&f, &client, EVHTTP_REQ_HEAD, "/text");
	CU_ASSERT_TRUE(run_until(&f, &client, is_answered));
	CU_ASSERT_EQUAL(client.status, 200);
	CU_ASSERT_EQUAL(client.size_told, 5);
	CU_ASSERT_EQUAL(client.size, 0);
	evhttp_connection_free(client.connection);
	fixture_fini(&f);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(routes_are_found_by_path_and_method),
		UNIT_TEST(wrong_paths_and_methods_are_told),
		UNIT_TEST(bodies_must_be_json_objects_that_say_so),
		UNIT_TEST(a_loopback_address_answers_local_hosts_alone),
		UNIT_TEST(a_token_is_asked_for),
		UNIT_TEST(a_bad_token_file_stops_the_start),
		UNIT_TEST(tables_of_routes_are_bounded),
		UNIT_TEST(a_delete_needs_no_body),
		UNIT_TEST(raw_routes_take_any_bytes_parameters_and_headers),
		UNIT_TEST(raw_routes_are_found_and_guarded_like_others),
		UNIT_TEST(a_head_is_told_the_size_and_sent_no_body),
		UNIT_TEST(a_reply_may_come_later),
		UNIT_TEST(a_deferred_reply_may_come_at_once),
		UNIT_TEST(a_deferred_reply_may_outlive_the_asker),
		UNIT_TEST(a_deferred_reply_may_outlive_the_server),
		UNIT_TEST(an_open_request_is_answered_before_the_end),
		UNIT_TEST(a_request_on_its_way_is_answered_before_the_end),
		UNIT_TEST(who_comes_at_the_end_is_refused),
		UNIT_TEST(an_end_does_not_wait_for_ever),
		{ NULL, NULL },
	};

	return unit_run("admin_http", tests);
}
