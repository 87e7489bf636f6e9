/* SPDX-License-Identifier: BSD-3-Clause */
/* Items in HTTP: each method, condition and parameter, and each outcome, without a server or a node. */
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/item_http.h"
#include "tests/unit/unit.h"

/* One request and its reply. */
struct exchange {
	struct evkeyvalq headers;
	struct admin_request request;
	struct admin_reply reply;
	struct wire_request_op op;
};

static void exchange_init(struct exchange *e, enum admin_method method, const char *key)
{
	memset(e, 0, sizeof(*e));
	TAILQ_INIT(&e->headers);
	e->request = (struct admin_request){
		.method = method, .rest = key, .rest_size = strlen(key), .headers = &e->headers
	};
	e->reply.text = evbuffer_new();
}

static void exchange_fini(struct exchange *e)
{
	evhttp_clear_headers(&e->headers);
	json_decref(e->reply.json);
	evbuffer_free(e->reply.text);
}

static const char *message(const struct exchange *e)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(e->reply.json, "error"), "message"));

	return text ? text : "";
}

static const char *outcome(const struct exchange *e)
{
	const char *text = json_string_value(
		json_object_get(json_object_get(e->reply.json, "error"), "outcome"));

	return text ? text : "";
}

static const char *header_of(const struct exchange *e, const char *name)
{
	for (uint32_t i = 0; i < e->reply.header_count; i++) {
		if (strcmp(e->reply.headers[i].name, name) == 0)
			return e->reply.headers[i].value;
	}
	return "";
}

/* ---- what is asked ---- */

struct question {
	enum admin_method method;
	const char *if_match;
	const char *if_none_match;
	const char *ttl;
	const char *query;
	const char *body;
};

static bool read_question(struct exchange *e, const struct question *question)
{
	exchange_init(e, question->method, "key");
	if (question->if_match)
		evhttp_add_header(&e->headers, "If-Match", question->if_match);
	if (question->if_none_match)
		evhttp_add_header(&e->headers, "If-None-Match", question->if_none_match);
	if (question->ttl)
		evhttp_add_header(&e->headers, ITEM_HTTP_TTL_HEADER, question->ttl);
	e->request.query = question->query;
	if (question->body) {
		e->request.bytes = (const uint8_t *)question->body;
		e->request.size = strlen(question->body);
	}
	return item_http_read(&e->request, &e->op, &e->reply);
}

static void methods_and_conditions_are_operations(void)
{
	static const struct {
		struct question question;
		struct wire_request_op op;
	} rows[] = {
		{ { .method = ADMIN_GET }, { .opcode = WIRE_GET } },
		{ { .method = ADMIN_GET, .query = "" }, { .opcode = WIRE_GET } },
		{ { .method = ADMIN_PUT, .body = "v" }, { .opcode = WIRE_SET } },
		{ { .method = ADMIN_PUT }, { .opcode = WIRE_SET } },
		{ { .method = ADMIN_PUT, .if_none_match = "*" }, { .opcode = WIRE_ADD } },
		{ { .method = ADMIN_PUT, .if_match = "*" }, { .opcode = WIRE_REPLACE } },
		{ { .method = ADMIN_PUT, .if_match = "\"7\"" },
		  { .opcode = WIRE_CAS, .flags = WIRE_HAS_VERSION, .version = 7 } },
		{ { .method = ADMIN_PUT, .if_match = "18446744073709551615" },
		  { .opcode = WIRE_CAS, .flags = WIRE_HAS_VERSION, .version = UINT64_MAX } },
		{ { .method = ADMIN_PUT, .query = "ttl_ms=0" },
		  { .opcode = WIRE_SET, .flags = WIRE_HAS_TTL } },
		{ { .method = ADMIN_PUT, .if_match = "\"7\"", .query = "ttl_ms=4294967295" },
		  { .opcode = WIRE_CAS,
		    .flags = WIRE_HAS_VERSION | WIRE_HAS_TTL,
		    .version = 7,
		    .ttl_ms = UINT32_MAX } },
		{ { .method = ADMIN_PUT, .ttl = "60" },
		  { .opcode = WIRE_SET, .flags = WIRE_HAS_TTL, .ttl_ms = 60 } },
		{ { .method = ADMIN_PUT, .ttl = "60", .query = "ttl_ms=61" },
		  { .opcode = WIRE_SET, .flags = WIRE_HAS_TTL, .ttl_ms = 61 } },
		{ { .method = ADMIN_DELETE }, { .opcode = WIRE_DELETE } },
		{ { .method = ADMIN_DELETE, .if_match = "*" }, { .opcode = WIRE_DELETE } },
		{ { .method = ADMIN_DELETE, .if_match = "\"7\"" },
		  { .opcode = WIRE_DELETE, .flags = WIRE_HAS_VERSION, .version = 7 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *body = rows[i].question.body ? rows[i].question.body : "";
		struct exchange e;

		CU_ASSERT(read_question(&e, &rows[i].question));
		CU_ASSERT_EQUAL(e.op.opcode, rows[i].op.opcode);
		CU_ASSERT_EQUAL(e.op.flags, rows[i].op.flags);
		CU_ASSERT_EQUAL(e.op.version, rows[i].op.version);
		CU_ASSERT_EQUAL(e.op.ttl_ms, rows[i].op.ttl_ms);
		CU_ASSERT_EQUAL(e.op.key_size, 3);
		CU_ASSERT_EQUAL(e.op.value_size, strlen(body));
		CU_ASSERT(memcmp(e.op.key, "key", 3) == 0);
		CU_ASSERT_PTR_NULL(e.reply.json);
		exchange_fini(&e);
	}
}

static void what_cannot_be_asked_is_told(void)
{
	static const struct {
		struct question question;
		const char *message;
	} rows[] = {
		{ { .method = ADMIN_GET, .body = "v" }, "a GET takes no body" },
		{ { .method = ADMIN_GET, .query = "ttl_ms=1" }, "unknown parameter" },
		{ { .method = ADMIN_PUT, .query = "ttl=1" }, "unknown parameter" },
		{ { .method = ADMIN_PUT, .query = "ttl_ms=" }, "expected ttl_ms to be" },
		{ { .method = ADMIN_PUT, .query = "ttl_ms=-1" }, "expected ttl_ms to be" },
		{ { .method = ADMIN_PUT, .query = "ttl_ms=1s" }, "expected ttl_ms to be" },
		{ { .method = ADMIN_PUT, .query = "ttl_ms=4294967296" }, "expected ttl_ms to be" },
		{ { .method = ADMIN_PUT, .query = "ttl_ms=1&ttl_ms=x" }, "expected ttl_ms to be" },
		{ { .method = ADMIN_PUT, .query = "=" }, "" },
		{ { .method = ADMIN_PUT, .ttl = "never" }, "expected Godwit-TTL-Ms to be" },
		{ { .method = ADMIN_PUT, .if_match = "x" }, "expected If-Match: *" },
		{ { .method = ADMIN_PUT, .if_match = "\"" }, "expected If-Match: *" },
		{ { .method = ADMIN_PUT, .if_match = "\"\"" }, "expected If-Match: *" },
		{ { .method = ADMIN_PUT, .if_match = "\"1\", \"2\"" }, "expected If-Match: *" },
		{ { .method = ADMIN_PUT, .if_match = "18446744073709551616" },
		  "expected If-Match: *" },
		{ { .method = ADMIN_PUT, .if_none_match = "\"7\"" }, "expected If-None-Match: *" },
		{ { .method = ADMIN_PUT, .if_none_match = "*", .if_match = "*" }, "no If-Match" },
		{ { .method = ADMIN_DELETE, .if_none_match = "*" }, "takes no If-None-Match" },
		{ { .method = ADMIN_DELETE, .if_match = "x" }, "expected If-Match: *" },
		{ { .method = ADMIN_DELETE, .body = "v" }, "a DELETE takes no body" },
		{ { .method = ADMIN_DELETE, .query = "ttl_ms=1" }, "unknown parameter" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exchange e;

		CU_ASSERT_FALSE(read_question(&e, &rows[i].question));
		CU_ASSERT_EQUAL(e.reply.status, 400);
		CU_ASSERT_PTR_NOT_NULL(strstr(message(&e), rows[i].message));
		exchange_fini(&e);
	}
}

static void keys_have_1_to_250_bytes(void)
{
	char key[WIRE_KEY_SIZE_MAX + 2];
	struct exchange e;

	memset(key, 'k', sizeof(key));
	key[sizeof(key) - 1] = '\0';
	exchange_init(&e, ADMIN_GET, key);
	CU_ASSERT_FALSE(item_http_read(&e.request, &e.op, &e.reply));
	CU_ASSERT_EQUAL(e.reply.status, 400);
	e.request.rest_size = 0;
	CU_ASSERT_FALSE(item_http_read(&e.request, &e.op, &e.reply));
	key[0] = '\0';
	e.request.rest_size = WIRE_KEY_SIZE_MAX;
	CU_ASSERT(item_http_read(&e.request, &e.op, &e.reply));
	CU_ASSERT_EQUAL(e.op.key_size, WIRE_KEY_SIZE_MAX);
	CU_ASSERT(memcmp(e.op.key, key, WIRE_KEY_SIZE_MAX) == 0);
	exchange_fini(&e);
}

/* ---- what is told ---- */

static void answers_are_status_codes(void)
{
	static const struct {
		enum wire_opcode opcode;
		struct local_answer answer;
		int status; /* 0 = 200 */
		const char *etag;
		const char *outcome;
		bool is_routine;
	} rows[] = {
		{ WIRE_SET, { .status = WIRE_OK, .version = 9 }, 0, "\"9\"", "", false },
		{ WIRE_CAS, { .status = WIRE_OK, .version = 9 }, 0, "\"9\"", "", false },
		{ WIRE_GET,
		  { .status = WIRE_OK, .version = UINT64_MAX },
		  0,
		  "\"18446744073709551615\"",
		  "",
		  false },
		{ WIRE_DELETE, { .status = WIRE_OK, .version = 9 }, 204, "\"9\"", "", false },
		{ WIRE_GET, { .status = WIRE_NOT_FOUND }, 404, "", "", true },
		{ WIRE_CAS, { .status = WIRE_NOT_FOUND }, 404, "", "", true },
		{ WIRE_ADD,
		  { .status = WIRE_EXISTS_ALREADY, .version = 3 },
		  409,
		  "\"3\"",
		  "",
		  true },
		{ WIRE_CAS,
		  { .status = WIRE_VERSION_MISMATCH, .version = 3 },
		  409,
		  "\"3\"",
		  "",
		  true },
		{ WIRE_SET, { .status = WIRE_TOO_LARGE }, 413, "", "", false },
		{ WIRE_SET, { .status = WIRE_NO_SPACE }, 507, "", "", false },
		{ WIRE_SET, { .status = WIRE_UNAVAILABLE }, 503, "", "not applied", false },
		{ WIRE_GET, { .status = WIRE_UNAVAILABLE }, 503, "", "not read", false },
		{ WIRE_SET, { .status = WIRE_BAD_REQUEST }, 500, "", "", false },
		{ WIRE_SET, { .status = WIRE_UNSUPPORTED }, 500, "", "", false },
		{ WIRE_SET, { .status = 200 }, 500, "", "", false },
		{ WIRE_SET,
		  { LOCAL_NOT_APPLIED, .status = WIRE_RETRY },
		  503,
		  "",
		  "not applied",
		  false },
		{ WIRE_SET,
		  { LOCAL_NOT_APPLIED, .status = WIRE_NOT_OWNER },
		  503,
		  "",
		  "not applied",
		  false },
		{ WIRE_GET,
		  { LOCAL_NOT_APPLIED, .status = WIRE_RETRY },
		  503,
		  "",
		  "not read",
		  false },
		{ WIRE_SET, { LOCAL_UNKNOWN, .status = WIRE_RETRY }, 503, "", "unknown", false },
		{ WIRE_DELETE, { LOCAL_UNKNOWN, .status = WIRE_RETRY }, 503, "", "unknown", false },
		{ WIRE_GET, { LOCAL_UNKNOWN, .status = WIRE_RETRY }, 503, "", "not read", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct exchange e;

		exchange_init(&e, ADMIN_GET, "key");
		item_http_answer(rows[i].opcode, &rows[i].answer, &e.reply);
		CU_ASSERT_EQUAL(e.reply.status, rows[i].status);
		CU_ASSERT_STRING_EQUAL(header_of(&e, "ETag"), rows[i].etag);
		CU_ASSERT_STRING_EQUAL(header_of(&e, "Retry-After"),
				       rows[i].status == 503 ? "1" : "");
		CU_ASSERT_STRING_EQUAL(outcome(&e), rows[i].outcome);
		CU_ASSERT_EQUAL(e.reply.is_routine, rows[i].is_routine);
		CU_ASSERT_EQUAL(rows[i].status >= 400, message(&e)[0] != '\0');
		exchange_fini(&e);
	}
}

static void a_value_is_the_body(void)
{
	const struct local_answer answer = {
		.status = WIRE_OK, .version = 5, .value = (const uint8_t *)"a\0b", .value_size = 3
	};
	struct exchange e;

	exchange_init(&e, ADMIN_GET, "key");
	item_http_answer(WIRE_GET, &answer, &e.reply);
	CU_ASSERT_STRING_EQUAL(e.reply.content_type, "application/octet-stream");
	CU_ASSERT_EQUAL(evbuffer_get_length(e.reply.text), 3);
	CU_ASSERT(memcmp(evbuffer_pullup(e.reply.text, 3), "a\0b", 3) == 0);
	exchange_fini(&e);
}

static void a_write_tells_the_version(void)
{
	const struct local_answer answer = { .status = WIRE_OK, .version = UINT64_C(1) << 60 };
	struct exchange e;

	exchange_init(&e, ADMIN_PUT, "key");
	item_http_answer(WIRE_SET, &answer, &e.reply);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(e.reply.json, "version")),
			(json_int_t)1 << 60);
	exchange_fini(&e);
}

static void what_was_not_sent_is_told(void)
{
	struct exchange e;

	exchange_init(&e, ADMIN_PUT, "key");
	item_http_too_large(5000, 1400, &e.reply);
	CU_ASSERT_EQUAL(e.reply.status, 413);
	CU_ASSERT_STRING_EQUAL(
		message(&e),
		"a value of 5000 bytes is too large: with this key at most 1400 fit a datagram");
	item_http_too_many(WIRE_GET, &e.reply);
	CU_ASSERT_EQUAL(e.reply.status, 503);
	CU_ASSERT_STRING_EQUAL(outcome(&e), "not read");
	exchange_fini(&e);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(methods_and_conditions_are_operations),
		UNIT_TEST(what_cannot_be_asked_is_told),
		UNIT_TEST(keys_have_1_to_250_bytes),
		UNIT_TEST(answers_are_status_codes),
		UNIT_TEST(a_value_is_the_body),
		UNIT_TEST(a_write_tells_the_version),
		UNIT_TEST(what_was_not_sent_is_told),
		{ NULL, NULL },
	};

	return unit_run("item_http", tests);
}
