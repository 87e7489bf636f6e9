/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin address without a connection: routing, admission, bodies, and the errors of each. */
#include "controlplane/admin_http.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a handler saw. */
struct seen {
	uint32_t calls;
	char rest[32];
	json_int_t number;
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

static const struct admin_route routes[] = {
	{ ADMIN_GET, "/v1/thing", handle_echo },    { ADMIN_POST, "/v1/thing", handle_echo },
	{ ADMIN_GET, "/v1/things/*", handle_echo }, { ADMIN_GET, "/text", handle_text },
	{ ADMIN_GET, "/nothing", handle_nothing },  { ADMIN_GET, NULL, NULL },
};

struct fixture {
	struct world world;
	struct log log;
	struct event_base *base;
	struct admin_http *http;
	struct seen seen;
	struct admin_reply reply;
	char error[256];
};

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
		{ NULL, NULL },
	};

	return unit_run("admin_http", tests);
}
