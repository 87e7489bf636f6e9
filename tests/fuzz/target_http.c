/* SPDX-License-Identifier: BSD-3-Clause */
/* What HTTP requests bring to items: keys, parameters, headers, bodies. */
#include <event2/http.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/item_http.h"
#include "tests/fuzz/fuzz.h"

/* A text of as many bytes as the next one says, up to its first zero. */
static const char *read_text(struct fuzz_reader *reader, char text[256])
{
	size_t size;
	const uint8_t *bytes = fuzz_bytes(reader, fuzz_u8(reader), &size);

	if (size > 0)
		memcpy(text, bytes, size);
	text[size] = '\0';
	return text;
}

/* libevent refuses values with line ends, as it would not find them in a request. */
static void read_header(struct fuzz_reader *reader, struct evkeyvalq *headers, const char *name)
{
	char text[256];

	read_text(reader, text);
	if (text[0])
		evhttp_add_header(headers, name, text);
}

static void check_operation(const struct admin_request *request, const struct wire_request_op *op)
{
	static uint8_t bytes[70000];
	struct wire_request_op again = { 0 };
	uint8_t *end;

	FUZZ_CHECK(op->key_size >= 1 && op->key_size <= WIRE_KEY_SIZE_MAX);
	FUZZ_CHECK(op->key_size == request->rest_size);
	FUZZ_CHECK((op->flags & ~WIRE_REQUEST_FLAGS_KNOWN) == 0);
	FUZZ_CHECK((op->flags & WIRE_HAS_TTL) || op->ttl_ms == 0);
	FUZZ_CHECK((op->flags & WIRE_HAS_VERSION) || op->version == 0);
	FUZZ_CHECK(op->opcode != WIRE_CAS || (op->flags & WIRE_HAS_VERSION));
	FUZZ_CHECK(op->opcode != WIRE_GET || (op->flags == 0 && op->value_size == 0));
	FUZZ_CHECK(op->opcode != WIRE_DELETE || op->value_size == 0);
	if (wire_request_op_size(op) > sizeof(bytes))
		return;
	end = wire_request_op_write(bytes, op);
	FUZZ_CHECK(wire_request_op_read(bytes, end, &again) == end);
	FUZZ_CHECK(again.version == op->version && again.ttl_ms == op->ttl_ms);
}

static void check_read(const struct admin_request *request)
{
	struct admin_reply reply = { .text = evbuffer_new() };
	struct wire_request_op op;

	if (item_http_read(request, &op, &reply)) {
		FUZZ_CHECK(!reply.json && reply.status == 0);
		check_operation(request, &op);
	} else {
		FUZZ_CHECK(reply.json && reply.status >= 400);
	}
	json_decref(reply.json);
	evbuffer_free(reply.text);
}

/* Whatever a node answers, it is told as one status with a body or an error. */
static void check_answer(struct fuzz_reader *reader)
{
	struct admin_reply reply = { .text = evbuffer_new() };
	struct local_answer answer = {
		.outcome = (enum local_outcome)(fuzz_u8(reader) % 3),
		.status = fuzz_u8(reader),
		.version = fuzz_number(reader, 8),
	};
	uint8_t opcode = fuzz_u8(reader);
	size_t size;

	answer.value = fuzz_bytes(reader, 60000, &size);
	answer.value_size = (uint32_t)size;
	item_http_answer((enum wire_opcode)opcode, &answer, &reply);
	FUZZ_CHECK(reply.json || reply.content_type);
	FUZZ_CHECK(reply.status < 400 ? answer.outcome == LOCAL_ANSWERED && answer.status == WIRE_OK
				      : json_object_get(reply.json, "error") != NULL);
	json_decref(reply.json);
	evbuffer_free(reply.text);
}

/* An input: a method; key, parameters and headers, each with its size before it; the body. Or 4, and an answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_reader reader = fuzz_reader(data, size);
	uint8_t method = fuzz_u8(&reader) % 5;
	struct admin_request request = { .method = (enum admin_method)method };
	struct evkeyvalq headers;
	char query[256];

	if (method == 4) {
		check_answer(&reader);
		return 0;
	}
	TAILQ_INIT(&headers);
	request.headers = &headers;
	request.rest = (const char *)fuzz_bytes(&reader, fuzz_u16(&reader), &request.rest_size);
	request.query = read_text(&reader, query);
	read_header(&reader, &headers, "If-Match");
	read_header(&reader, &headers, "If-None-Match");
	read_header(&reader, &headers, ITEM_HTTP_TTL_HEADER);
	request.bytes = fuzz_bytes(&reader, 60000, &request.size);
	check_read(&request);
	evhttp_clear_headers(&headers);
	return 0;
}
