/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables from methods and headers to operations, and from outcomes to status codes. */
#include "controlplane/item_http.h"

#include <errno.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

/* ---- what is asked ---- */

/* A decimal number of digits alone, at most 'max'. */
static bool read_number(const char *text, size_t size, uint64_t max, uint64_t *number)
{
	char digits[24];
	char *end;

	if (size == 0 || size >= sizeof(digits) || text[0] < '0' || text[0] > '9')
		return false;
	memcpy(digits, text, size);
	digits[size] = '\0';
	errno = 0;
	*number = strtoull(digits, &end, 10);
	return errno == 0 && *end == '\0' && *number <= max;
}

/* A version as ETag tells it, in quotes or without. */
static bool read_version(const char *text, uint64_t *version)
{
	size_t size = strlen(text);

	if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
		text++;
		size -= 2;
	}
	return read_number(text, size, UINT64_MAX, version);
}

static bool read_key(const struct admin_request *request, struct wire_request_op *op,
		     struct admin_reply *reply)
{
	if (request->rest_size == 0 || request->rest_size > WIRE_KEY_SIZE_MAX) {
		admin_reply_error(reply, 400,
				  "expected a key of 1 to %u bytes behind /v1/items/, not %zu",
				  WIRE_KEY_SIZE_MAX, request->rest_size);
		return false;
	}
	op->key = (const uint8_t *)request->rest;
	op->key_size = (uint16_t)request->rest_size;
	return true;
}

static const char *header_of(const struct admin_request *request, const char *name)
{
	return request->headers ? evhttp_find_header(request->headers, name) : NULL;
}

static bool set_version(const char *match, struct wire_request_op *op, struct admin_reply *reply)
{
	if (!read_version(match, &op->version)) {
		admin_reply_error(
			reply, 400,
			"expected If-Match: * or If-Match: \"VERSION\", as an ETag told it");
		return false;
	}
	op->flags |= WIRE_HAS_VERSION;
	return true;
}

static bool read_put_conditions(const struct admin_request *request, struct wire_request_op *op,
				struct admin_reply *reply)
{
	const char *match = header_of(request, "If-Match");
	const char *none_match = header_of(request, "If-None-Match");

	op->opcode = WIRE_SET;
	if (none_match) {
		op->opcode = WIRE_ADD;
		if (strcmp(none_match, "*") == 0 && !match)
			return true;
		admin_reply_error(reply, 400, "expected If-None-Match: *, and no If-Match with it");
		return false;
	}
	if (!match)
		return true;
	op->opcode = strcmp(match, "*") == 0 ? WIRE_REPLACE : WIRE_CAS;
	return op->opcode == WIRE_REPLACE || set_version(match, op, reply);
}

static bool read_delete_conditions(const struct admin_request *request, struct wire_request_op *op,
				   struct admin_reply *reply)
{
	const char *match = header_of(request, "If-Match");

	op->opcode = WIRE_DELETE;
	if (header_of(request, "If-None-Match")) {
		admin_reply_error(reply, 400, "a DELETE takes no If-None-Match");
		return false;
	}
	if (request->size > 0) {
		admin_reply_error(reply, 400, "a DELETE takes no body");
		return false;
	}
	return !match || strcmp(match, "*") == 0 || set_version(match, op, reply);
}

static bool set_ttl(const char *text, const char *where, struct wire_request_op *op,
		    struct admin_reply *reply)
{
	uint64_t ttl_ms;

	if (!read_number(text, strlen(text), UINT32_MAX, &ttl_ms)) {
		admin_reply_error(reply, 400,
				  "expected %s to be milliseconds, 0 (never) to %" PRIu32, where,
				  UINT32_MAX);
		return false;
	}
	op->ttl_ms = (uint32_t)ttl_ms;
	op->flags |= WIRE_HAS_TTL;
	return true;
}

/* All parameters are known and right. */
static bool read_parameters(const struct evkeyvalq *parameters, struct wire_request_op *op,
			    struct admin_reply *reply)
{
	const struct evkeyval *parameter;

	TAILQ_FOREACH(parameter, parameters, next)
	{
		if (op->opcode == WIRE_GET || op->opcode == WIRE_DELETE ||
		    strcmp(parameter->key, "ttl_ms") != 0) {
			admin_reply_error(reply, 400,
					  "unknown parameter; a PUT takes ttl_ms, "
					  "others none");
			return false;
		}
		if (!set_ttl(parameter->value, "ttl_ms", op, reply))
			return false;
	}
	return true;
}

static bool read_query(const struct admin_request *request, struct wire_request_op *op,
		       struct admin_reply *reply)
{
	struct evkeyvalq parameters;
	bool is_good;

	if (!request->query || !request->query[0])
		return true;
	if (evhttp_parse_query_str(request->query, &parameters) != 0) {
		admin_reply_error(reply, 400, "expected parameters like ?ttl_ms=60000");
		return false;
	}
	is_good = read_parameters(&parameters, op, reply);
	evhttp_clear_headers(&parameters);
	return is_good;
}

static bool read_put(const struct admin_request *request, struct wire_request_op *op,
		     struct admin_reply *reply)
{
	const char *ttl = header_of(request, ITEM_HTTP_TTL_HEADER);

	op->value = request->bytes;
	op->value_size = (uint32_t)request->size;
	return read_put_conditions(request, op, reply) &&
	       (!ttl || set_ttl(ttl, ITEM_HTTP_TTL_HEADER, op, reply));
}

static bool read_get(const struct admin_request *request, struct wire_request_op *op,
		     struct admin_reply *reply)
{
	op->opcode = WIRE_GET;
	if (request->size > 0)
		admin_reply_error(reply, 400, "a GET takes no body");
	return request->size == 0;
}

bool item_http_read(const struct admin_request *request, struct wire_request_op *op,
		    struct admin_reply *reply)
{
	bool is_good = false;

	memset(op, 0, sizeof(*op));
	if (!read_key(request, op, reply))
		return false;
	switch (request->method) {
	case ADMIN_GET:
		is_good = read_get(request, op, reply);
		break;
	case ADMIN_PUT:
		is_good = read_put(request, op, reply);
		break;
	case ADMIN_DELETE:
		is_good = read_delete_conditions(request, op, reply);
		break;
	case ADMIN_POST:
		admin_reply_error(reply, 405, "items take GET, PUT, DELETE");
		break;
	}
	return is_good && read_query(request, op, reply);
}

/* ---- what is told ---- */

static bool is_write(enum wire_opcode opcode)
{
	return opcode != WIRE_GET;
}

static const char *nothing_done(enum wire_opcode opcode)
{
	return is_write(opcode) ? "not applied" : "not read";
}

/* 503: ask again later. 'outcome' is for programs. */
static void reply_unavailable(struct admin_reply *reply, const char *outcome, const char *message)
{
	admin_reply_error(reply, 503, "%s", message);
	json_object_set_new(json_object_get(reply->json, "error"), "outcome", json_string(outcome));
	admin_reply_header(reply, "Retry-After", "1");
}

static void reply_unknown(enum wire_opcode opcode, struct admin_reply *reply)
{
	if (is_write(opcode))
		reply_unavailable(
			reply, "unknown",
			"no answer in time: the write may or may not have been applied, or "
			"may be yet; read the item before you try again");
	else
		reply_unavailable(reply, "not read", "no answer in time: try again");
}

static void reply_put_off(enum wire_opcode opcode, enum wire_status status,
			  struct admin_reply *reply)
{
	if (status == WIRE_NOT_OWNER)
		reply_unavailable(reply, nothing_done(opcode),
				  "nothing was done: the node that owns the key cannot be reached "
				  "from this one; try again, or ask that node");
	else
		reply_unavailable(reply, nothing_done(opcode),
				  "nothing was done: the key's partition is changing its owner, or "
				  "its node frees memory; try again");
}

/* An answer about the item, though no good one: nobody is refused. */
static void reply_about(struct admin_reply *reply, int status, uint64_t version,
			const char *message)
{
	admin_reply_error(reply, status, "%s", message);
	if (version != 0)
		admin_reply_header(reply, "ETag", "\"%" PRIu64 "\"", version);
	reply->is_routine = true;
}

static void reply_ok(enum wire_opcode opcode, const struct local_answer *answer,
		     struct admin_reply *reply)
{
	if (answer->version != 0)
		admin_reply_header(reply, "ETag", "\"%" PRIu64 "\"", answer->version);
	if (opcode == WIRE_DELETE) {
		reply->status = 204;
		reply->content_type = "text/plain";
	} else if (is_write(opcode)) {
		reply->json = json_pack("{sI}", "version", (json_int_t)answer->version);
	} else if (evbuffer_add(reply->text, answer->value, answer->value_size) == 0) {
		reply->content_type = "application/octet-stream";
	}
}

static void reply_status(enum wire_opcode opcode, const struct local_answer *answer,
			 struct admin_reply *reply)
{
	switch ((enum wire_status)answer->status) {
	case WIRE_OK:
		reply_ok(opcode, answer, reply);
		break;
	case WIRE_NOT_FOUND:
		reply_about(reply, 404, 0, "there is no item with this key");
		break;
	case WIRE_EXISTS_ALREADY:
		reply_about(reply, 409, answer->version,
			    "there is an item with this key; ETag tells its version");
		break;
	case WIRE_VERSION_MISMATCH:
		reply_about(reply, 409, answer->version,
			    "the item has another version; ETag tells which");
		break;
	case WIRE_TOO_LARGE:
		admin_reply_error(reply, 413, "the value does not fit a datagram of its node");
		break;
	case WIRE_NO_SPACE:
		admin_reply_error(reply, 507,
				  "the memory of the key's node is full (storage.memory)");
		break;
	case WIRE_UNAVAILABLE:
		reply_unavailable(reply, nothing_done(opcode),
				  "nothing was done: no node may answer for this key now; see "
				  "/v1/cluster");
		break;
	default:
		admin_reply_error(reply, 500, "an answer of status %u was not expected",
				  answer->status);
		break;
	}
}

void item_http_answer(enum wire_opcode opcode, const struct local_answer *answer,
		      struct admin_reply *reply)
{
	switch (answer->outcome) {
	case LOCAL_ANSWERED:
		reply_status(opcode, answer, reply);
		break;
	case LOCAL_NOT_APPLIED:
		reply_put_off(opcode, (enum wire_status)answer->status, reply);
		break;
	case LOCAL_UNKNOWN:
		reply_unknown(opcode, reply);
		break;
	}
}

void item_http_too_large(uint32_t value_size, uint32_t value_size_max, struct admin_reply *reply)
{
	admin_reply_error(reply, 413,
			  "a value of %" PRIu32
			  " bytes is too large: with this key at most %" PRIu32 " fit a datagram",
			  value_size, value_size_max);
}

void item_http_too_many(enum wire_opcode opcode, struct admin_reply *reply)
{
	reply_unavailable(reply, nothing_done(opcode),
			  "too many requests are open here: try again");
}
