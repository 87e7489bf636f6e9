/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin address's client over libevent's HTTP, driven until one reply is there. */
#include "controlplane/ctl/admin_client.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define ADMIN_PORT_DEFAULT 7780u
#define ADMIN_REPLY_SIZE_MAX (64u << 20)
#define TOKEN_SIZE_MAX 256u

/* One request on its way. */
struct exchange {
	struct event_base *base;
	bool was_connected;
	enum evhttp_request_error failure; /* why there is no answer */
	int status;                        /* HTTP; 0 = no answer */
	json_t *body;                      /* NULL = none, or not JSON */
};

int admin_address_parse(const char *text, char *host, size_t host_size, uint16_t *port)
{
	const char *colon = strrchr(text, ':');
	const char *end = text + strlen(text);
	unsigned long number;
	char *rest;

	if (text[0] == '[') {
		end = strchr(++text, ']');
		if (!end || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		colon = end[1] == ':' ? end + 1 : NULL;
	} else if (colon) {
		end = colon;
	}
	if (end == text || (size_t)(end - text) >= host_size)
		return -EINVAL;
	memcpy(host, text, (size_t)(end - text));
	host[end - text] = '\0';
	if (!colon)
		return 0;
	number = strtoul(colon + 1, &rest, 10);
	if (colon[1] < '0' || colon[1] > '9' || *rest || number == 0 || number > UINT16_MAX)
		return -EINVAL;
	*port = (uint16_t)number;
	return 0;
}

/* Before on_reply(), when a connection was made and then no answer came. */
static void on_failure(enum evhttp_request_error failure, void *context)
{
	struct exchange *exchange = context;

	exchange->failure = failure;
}

/* With no request the connection was made and then failed; with a status of 0 it was never made. */
static void on_reply(struct evhttp_request *request, void *context)
{
	struct exchange *exchange = context;
	struct evbuffer *input;
	size_t size;

	exchange->was_connected = !request || evhttp_request_get_response_code(request) != 0;
	if (request && exchange->was_connected) {
		exchange->status = evhttp_request_get_response_code(request);
		input = evhttp_request_get_input_buffer(request);
		size = evbuffer_get_length(input);
		if (size > 0)
			exchange->body =
				json_loadb((const char *)evbuffer_pullup(input, -1), size, 0, NULL);
	}
	event_base_loopbreak(exchange->base);
}

/* Adds the token file's first line as a bearer token. */
static enum ctl_exit add_token(struct ctl *ctl, struct evkeyvalq *headers)
{
	char token[TOKEN_SIZE_MAX], value[TOKEN_SIZE_MAX + 8];
	FILE *file;

	if (!ctl->token_file)
		return CTL_OK;
	file = fopen(ctl->token_file, "r");
	if (!file)
		return command_fail(ctl, CTL_USAGE, "cannot read the token file %s: %s",
				    ctl->token_file, strerror(errno));
	if (!fgets(token, sizeof(token), file))
		token[0] = '\0';
	fclose(file);
	token[strcspn(token, "\r\n")] = '\0';
	if (!token[0])
		return command_fail(ctl, CTL_USAGE,
				    "the token file %s has no token in its first line",
				    ctl->token_file);
	snprintf(value, sizeof(value), "Bearer %s", token);
	evhttp_add_header(headers, "Authorization", value);
	return CTL_OK;
}

/* Builds the request and hands it to 'connection', which then owns it. */
static enum ctl_exit send_request(struct ctl *ctl, struct exchange *exchange,
				  struct evhttp_connection *connection, enum evhttp_cmd_type method,
				  const char *path, const json_t *json)
{
	struct evhttp_request *request = evhttp_request_new(on_reply, exchange);
	struct evkeyvalq *headers;
	enum ctl_exit code;
	char *body;

	if (!request)
		return command_fail(ctl, CTL_ERROR, "out of memory");
	evhttp_request_set_error_cb(request, on_failure);
	headers = evhttp_request_get_output_headers(request);
	evhttp_add_header(headers, "Host", ctl->admin);
	evhttp_add_header(headers, "Connection", "close");
	code = add_token(ctl, headers);
	if (code != CTL_OK) {
		evhttp_request_free(request);
		return code;
	}
	body = json ? json_dumps(json, JSON_COMPACT) : NULL;
	if (body) {
		evhttp_add_header(headers, "Content-Type", "application/json");
		evbuffer_add(evhttp_request_get_output_buffer(request), body, strlen(body));
		free(body);
	}
	if (evhttp_make_request(connection, request, method, path) != 0)
		return command_fail(ctl, CTL_UNREACHABLE, "cannot send to %s", ctl->admin);
	return CTL_OK;
}

static enum ctl_exit run_exchange(struct ctl *ctl, struct exchange *exchange,
				  enum evhttp_cmd_type method, const char *path, const json_t *json)
{
	struct timeval timeout = { ctl->timeout_ms / 1000, (ctl->timeout_ms % 1000) * 1000 };
	struct evhttp_connection *connection;
	uint16_t port = ADMIN_PORT_DEFAULT;
	enum ctl_exit code;
	char host[256];

	if (admin_address_parse(ctl->admin, host, sizeof(host), &port) != 0)
		return command_fail(ctl, CTL_USAGE, "--admin %s: expected HOST:PORT", ctl->admin);
	connection = evhttp_connection_base_new(exchange->base, NULL, host, port);
	if (!connection)
		return command_fail(ctl, CTL_ERROR, "out of memory");
	evhttp_connection_set_timeout_tv(connection, &timeout);
	evhttp_connection_set_max_body_size(connection, ADMIN_REPLY_SIZE_MAX);
	code = send_request(ctl, exchange, connection, method, path, json);
	if (code == CTL_OK)
		event_base_dispatch(exchange->base);
	evhttp_connection_free(connection);
	return code;
}

static const char *error_message(const struct exchange *exchange)
{
	const char *message = json_string_value(
		json_object_get(json_object_get(exchange->body, "error"), "message"));

	return message ? message : "no reason given";
}

static enum ctl_exit code_of_status(int status)
{
	switch (status) {
	case 404:
	case 409:
		return CTL_NO;
	case 504:
		return CTL_UNKNOWN;
	default:
		return CTL_ERROR;
	}
}

/* There was a connection, and no answer that can be read. */
static enum ctl_exit fail_without_answer(struct ctl *ctl, enum evhttp_request_error failure)
{
	switch (failure) {
	case EVREQ_HTTP_TIMEOUT:
		return command_fail(ctl, CTL_UNKNOWN, "%s did not answer within %u ms", ctl->admin,
				    ctl->timeout_ms);
	case EVREQ_HTTP_INVALID_HEADER:
	case EVREQ_HTTP_DATA_TOO_LONG:
		return command_fail(ctl, CTL_UNKNOWN, "%s answered what is not HTTP, or too long",
				    ctl->admin);
	default:
		return command_fail(ctl, CTL_UNKNOWN,
				    "%s closed the connection before it had answered", ctl->admin);
	}
}

/* What a finished exchange means for the caller. */
static enum ctl_exit judge(struct ctl *ctl, struct exchange *exchange, json_t **reply)
{
	if (!exchange->was_connected)
		return command_fail(ctl, CTL_UNREACHABLE,
				    "cannot reach %s: is godwitd running there? --admin HOST:PORT "
				    "names another node",
				    ctl->admin);
	if (exchange->status == 0)
		return fail_without_answer(ctl, exchange->failure);
	if (exchange->status >= 400)
		return command_fail(ctl, code_of_status(exchange->status), "%s answered %d: %s",
				    ctl->admin, exchange->status, error_message(exchange));
	if (!exchange->body)
		return command_fail(ctl, CTL_ERROR, "%s did not answer with JSON", ctl->admin);
	*reply = json_incref(exchange->body);
	return CTL_OK;
}

static enum ctl_exit request(struct ctl *ctl, enum evhttp_cmd_type method, const char *path,
			     const json_t *json, json_t **reply)
{
	struct exchange exchange = { .base = event_base_new() };
	enum ctl_exit code;

	if (!exchange.base)
		return command_fail(ctl, CTL_ERROR, "out of memory");
	code = run_exchange(ctl, &exchange, method, path, json);
	if (code == CTL_OK)
		code = judge(ctl, &exchange, reply);
	json_decref(exchange.body);
	event_base_free(exchange.base);
	return code;
}

enum ctl_exit admin_get(struct ctl *ctl, const char *path, json_t **reply)
{
	enum ctl_exit code = request(ctl, EVHTTP_REQ_GET, path, NULL, reply);

	return code == CTL_UNKNOWN ? CTL_UNREACHABLE : code;
}

enum ctl_exit admin_post(struct ctl *ctl, const char *path, const json_t *json, json_t **reply)
{
	return request(ctl, EVHTTP_REQ_POST, path, json, reply);
}

enum ctl_exit admin_delete(struct ctl *ctl, const char *path, json_t **reply)
{
	return request(ctl, EVHTTP_REQ_DELETE, path, NULL, reply);
}
