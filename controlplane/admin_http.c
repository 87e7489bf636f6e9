/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin address over libevent's HTTP server. */
#include "controlplane/admin_http.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUTE_TABLES_MAX 8u
#define LISTEN_FLAGS (LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE)
#define LISTEN_BACKLOG 128

struct route_table_entry {
	const struct admin_route *routes;
	void *context;
	bool is_raw;
};

/* One request of a connection and its reply. */
struct exchange {
	struct admin_reply reply; /* the first member: admin_reply_finish() knows no other */
	struct exchange *next;    /* of those the server has */
	struct exchange **link;   /* NULL = the server is gone, and the request with it */
	struct admin_http *http;
	struct evhttp_request *request;
	bool is_handling;
	bool is_sending; /* the reply is libevent's */
};

struct admin_http {
	struct event_base *base;
	struct evhttp *server;
	struct evhttp_bound_socket *listener; /* NULL = closed */
	const struct log *log;
	struct log_limit limit;
	bool is_loopback;
	char token[ADMIN_TOKEN_SIZE_MAX]; /* "" = none */
	uint32_t table_count;
	struct route_table_entry tables[ROUTE_TABLES_MAX];
	struct exchange *open; /* exchanges from the request to the reply's last byte */
	uint64_t begun;        /* exchanges, ever */
};

int admin_status_of(int result)
{
	switch (result) {
	case -EINVAL:
		return 400;
	case -ENOENT:
		return 404;
	default:
		return 409;
	}
}

void admin_reply_error(struct admin_reply *reply, int status, const char *format, ...)
{
	char message[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	json_decref(reply->json);
	reply->status = status;
	reply->json = json_pack("{s{siss}}", "error", "code", status, "message", message);
}

void admin_reply_header(struct admin_reply *reply, const char *name, const char *format, ...)
{
	struct admin_reply_header *header = &reply->headers[reply->header_count++];
	va_list arguments;

	assert(reply->header_count <= ADMIN_REPLY_HEADERS_MAX);
	header->name = name;
	va_start(arguments, format);
	vsnprintf(header->value, sizeof(header->value), format, arguments);
	va_end(arguments);
}

/* Whether 'path' of 'path_size' bytes is the route's; '*rest' = what stands for its '*'. */
static bool route_matches(const struct admin_route *route, const char *path, size_t path_size,
			  const char **rest)
{
	size_t size = strlen(route->path);
	bool is_open = route->path[size - 1] == '*';
	size_t fixed = is_open ? size - 1 : size;

	*rest = path + fixed;
	return (is_open ? path_size > fixed : path_size == fixed) &&
	       memcmp(route->path, path, fixed) == 0;
}

const struct admin_route *admin_route_find(const struct admin_route *routes,
					   enum admin_method method, const char *path,
					   const char **rest)
{
	for (const struct admin_route *route = routes; route->path; route++) {
		if (route->method == method && route_matches(route, path, strlen(path), rest))
			return route;
	}
	return NULL;
}

static const char *method_name(enum admin_method method)
{
	static const char *const names[] = { "GET", "POST", "PUT", "DELETE" };

	return names[method];
}

/* A page of another site that the operator's browser shows can send requests to a loopback address;
 * by naming its own host in DNS it could even read the replies. It cannot make the browser name an
 * IP address or localhost as host.
 */
static bool is_local_host(const char *host)
{
	char name[64];
	struct in6_addr address;
	size_t size;

	if (!host)
		return true; /* no browser */
	size = host[0] == '[' ? strcspn(++host, "]") : strcspn(host, ":");
	if (size >= sizeof(name))
		return false;
	memcpy(name, host, size);
	name[size] = '\0';
	return strcmp(name, "localhost") == 0 || inet_pton(AF_INET, name, &address) == 1 ||
	       inet_pton(AF_INET6, name, &address) == 1;
}

static bool is_token_right(const struct admin_http *http, const char *authorization)
{
	static const char scheme[] = "Bearer ";
	char given[ADMIN_TOKEN_SIZE_MAX] = { 0 };

	if (!authorization || strncmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return false;
	authorization += sizeof(scheme) - 1;
	if (strlen(authorization) >= sizeof(given))
		return false;
	strcpy(given, authorization);
	return sodium_memcmp(given, http->token, sizeof(given)) == 0;
}

/* Whether the caller may ask at all; the reply is made when not. */
static bool admit(const struct admin_http *http, const struct admin_call *call,
		  struct admin_reply *reply)
{
	if (http->token[0] && !is_token_right(http, call->authorization)) {
		admin_reply_error(reply, 401,
				  "expected the header 'Authorization: Bearer TOKEN' with the "
				  "token of admin.token_file");
		return false;
	}
	if (!http->token[0] && http->is_loopback && !is_local_host(call->host)) {
		admin_reply_error(reply, 403, "expected an IP address or localhost as host");
		return false;
	}
	return true;
}

/* Finds the route; the reply is made when there is none for path or method. */
static const struct admin_route *find_route(const struct admin_http *http,
					    const struct admin_call *call,
					    struct admin_request *request,
					    const struct route_table_entry **found,
					    struct admin_reply *reply)
{
	char allowed[64] = "";

	for (uint32_t t = 0; t < http->table_count; t++) {
		const struct route_table_entry *table = &http->tables[t];

		for (const struct admin_route *route = table->routes; route->path; route++) {
			size_t used = strlen(allowed);

			if (!route_matches(route, call->path, request->path_size, &request->rest))
				continue;
			*found = table;
			if (call->is_method_known && route->method == call->method)
				return route;
			snprintf(allowed + used, sizeof(allowed) - used, "%s%s", used ? ", " : "",
				 method_name(route->method));
		}
	}
	if (allowed[0])
		admin_reply_error(reply, 405, "this path takes %s", allowed);
	else
		admin_reply_error(reply, 404,
				  "no such path; there are /v1/status, /v1/counters, "
				  "/metrics, ...");
	return NULL;
}

/* The body as JSON; false after making the reply when it is none. A browser cannot send this
 * content type, or a DELETE, to another site without asking it first.
 */
static bool read_body(const struct admin_call *call, json_t **body, struct admin_reply *reply)
{
	json_error_t error;

	*body = NULL;
	if (call->body_size == 0 && (call->method == ADMIN_GET || call->method == ADMIN_DELETE))
		return true;
	if (call->method == ADMIN_GET) {
		admin_reply_error(reply, 400, "a GET takes no body");
		return false;
	}
	if (!call->content_type || strncmp(call->content_type, "application/json", 16) != 0) {
		admin_reply_error(reply, 415, "expected Content-Type: application/json");
		return false;
	}
	if (call->body_size == 0)
		return true;
	*body = json_loadb(call->body, call->body_size, JSON_REJECT_DUPLICATES, &error);
	if (!*body)
		admin_reply_error(reply, 400, "no valid JSON, line %d: %s", error.line, error.text);
	else if (!json_is_object(*body))
		admin_reply_error(reply, 400, "expected a JSON object");
	return reply->json == NULL;
}

static void call_json(const struct admin_route *route, void *context, const struct admin_call *call,
		      struct admin_request *request, struct admin_reply *reply)
{
	json_t *body;

	if (call->query && call->query[0]) {
		admin_reply_error(reply, 400, "this path takes no parameters");
		return;
	}
	if (read_body(call, &body, reply)) {
		request->body = body;
		route->handle(context, request, reply);
	}
	json_decref(body);
}

static void call_raw(const struct admin_route *route, void *context, const struct admin_call *call,
		     struct admin_request *request, struct admin_reply *reply)
{
	request->rest_size = request->path_size - (size_t)(request->rest - request->path);
	request->query = call->query;
	request->headers = call->headers;
	request->bytes = (const uint8_t *)call->body;
	request->size = call->body_size;
	route->handle(context, request, reply);
}

void admin_http_call(const struct admin_http *http, const struct admin_call *call,
		     struct admin_reply *reply)
{
	struct admin_request request = {
		.method = call->method,
		.path = call->path,
		.path_size = call->path_size ? call->path_size : strlen(call->path),
	};
	const struct route_table_entry *table;
	const struct admin_route *route;

	if (!admit(http, call, reply))
		return;
	route = find_route(http, call, &request, &table, reply);
	if (!route)
		return;
	if (table->is_raw)
		call_raw(route, table->context, call, &request, reply);
	else
		call_json(route, table->context, call, &request, reply);
	if (!reply->json && !reply->content_type && !reply->is_deferred)
		admin_reply_error(reply, 500, "out of memory");
}

static bool method_of(struct evhttp_request *request, enum admin_method *method)
{
	switch (evhttp_request_get_command(request)) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		*method = ADMIN_GET;
		return true;
	case EVHTTP_REQ_POST:
		*method = ADMIN_POST;
		return true;
	case EVHTTP_REQ_PUT:
		*method = ADMIN_PUT;
		return true;
	case EVHTTP_REQ_DELETE:
		*method = ADMIN_DELETE;
		return true;
	default:
		*method = ADMIN_GET;
		return false;
	}
}

/* JSON becomes the reply's text. */
static void write_text(struct admin_reply *reply)
{
	char *text = reply->json ? json_dumps(reply->json, JSON_INDENT(2)) : NULL;

	if (!text)
		return;
	evbuffer_drain(reply->text, evbuffer_get_length(reply->text));
	evbuffer_add_printf(reply->text, "%s\n", text);
	reply->content_type = "application/json";
	free(text);
}

/* libevent would send the body that a HEAD only asks about, and not tell its size. */
static void withhold_body(struct evkeyvalq *headers, struct evbuffer *text)
{
	char size[24];

	snprintf(size, sizeof(size), "%zu", evbuffer_get_length(text));
	evhttp_add_header(headers, "Content-Length", size);
	evbuffer_drain(text, evbuffer_get_length(text));
}

/* 'is_last': the connection ends behind it. */
static void send_reply(struct evhttp_request *request, struct admin_reply *reply, bool is_last)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

	write_text(reply);
	evhttp_add_header(headers, "Content-Type",
			  reply->content_type ? reply->content_type : "text/plain");
	evhttp_add_header(headers, "Cache-Control", "no-store");
	if (is_last)
		evhttp_add_header(headers, "Connection", "close");
	if (reply->status == 401)
		evhttp_add_header(headers, "WWW-Authenticate", "Bearer");
	for (uint32_t i = 0; i < reply->header_count; i++)
		evhttp_add_header(headers, reply->headers[i].name, reply->headers[i].value);
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		withhold_body(headers, reply->text);
	evhttp_send_reply(request, reply->status ? reply->status : 200, NULL, reply->text);
}

static void log_refusal(struct admin_http *http, struct evhttp_request *request,
			const struct admin_reply *reply)
{
	uint32_t suppressed;

	if (reply->status < 400 || reply->is_routine ||
	    !log_limit_pass(&http->limit, http->log, &suppressed))
		return;
	log_info(http->log, "admin", "refused", "status=%d path=\"%s\"", reply->status,
		 evhttp_request_get_uri(request));
	if (suppressed)
		log_info(http->log, "admin", "refused more, not logged", "count=%u", suppressed);
}

/* ---- exchanges ---- */

static void destroy_exchange(struct exchange *exchange)
{
	if (exchange->link) {
		*exchange->link = exchange->next;
		if (exchange->next)
			exchange->next->link = exchange->link;
	}
	json_decref(exchange->reply.json);
	if (exchange->reply.text)
		evbuffer_free(exchange->reply.text);
	free(exchange);
}

/* The reply is in the kernel's hands. */
static void on_sent(struct evhttp_request *request, void *context)
{
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
	destroy_exchange(context);
}

/* The connection has ended before the whole reply was sent. */
static void on_closed(struct evhttp_connection *connection, void *context)
{
	evhttp_connection_set_closecb(connection, NULL, NULL);
	destroy_exchange(context);
}

static void complete(struct exchange *exchange)
{
	struct admin_http *http = exchange->http;
	struct evhttp_request *request = exchange->request;
	struct evhttp_connection *connection;

	if (!exchange->link) {
		destroy_exchange(exchange);
		return;
	}
	log_refusal(http, request, &exchange->reply);
	connection = evhttp_request_get_connection(request);
	if (connection) {
		exchange->is_sending = true;
		evhttp_request_set_on_complete_cb(request, on_sent, exchange);
		evhttp_connection_set_closecb(connection, on_closed, exchange);
	}
	send_reply(request, &exchange->reply, !http->listener);
	if (!connection)
		destroy_exchange(exchange);
}

static void on_finished(struct admin_reply *reply)
{
	struct exchange *exchange = (struct exchange *)reply;

	if (!reply->json && !reply->content_type)
		admin_reply_error(reply, 500, "out of memory");
	if (exchange->is_handling)
		reply->is_deferred = false;
	else
		complete(exchange);
}

void admin_reply_finish(struct admin_reply *reply)
{
	reply->finished(reply);
}

static void enlist(struct exchange *exchange)
{
	struct admin_http *http = exchange->http;

	exchange->next = http->open;
	exchange->link = &http->open;
	if (exchange->next)
		exchange->next->link = &exchange->next;
	http->open = exchange;
	http->begun++;
}

/* libevent frees the requests of a server that ends, and keeps those whose connection ends until they are
 * replied to.
 */
static struct exchange *create_exchange(struct admin_http *http, struct evhttp_request *request)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->http = http;
	exchange->request = request;
	exchange->reply.finished = on_finished;
	exchange->reply.text = evbuffer_new();
	if (!exchange->reply.text) {
		destroy_exchange(exchange);
		return NULL;
	}
	enlist(exchange);
	return exchange;
}

static void handle(struct exchange *exchange, const char *path, size_t path_size)
{
	struct evhttp_request *request = exchange->request;
	struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	struct evbuffer *input = evhttp_request_get_input_buffer(request);
	struct admin_call call = {
		.path = path,
		.path_size = path_size,
		.query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request)),
		.host = evhttp_find_header(headers, "Host"),
		.authorization = evhttp_find_header(headers, "Authorization"),
		.content_type = evhttp_find_header(headers, "Content-Type"),
		.headers = headers,
		.body = (const char *)evbuffer_pullup(input, -1),
		.body_size = evbuffer_get_length(input),
	};

	call.is_method_known = method_of(request, &call.method);
	exchange->is_handling = true;
	admin_http_call(exchange->http, &call, &exchange->reply);
	exchange->is_handling = false;
	if (!exchange->reply.is_deferred)
		complete(exchange);
}

static void on_request(struct evhttp_request *request, void *context)
{
	const char *raw = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	size_t path_size = 0;
	char *path = evhttp_uridecode(raw ? raw : "", 0, &path_size);
	struct exchange *exchange = path ? create_exchange(context, request) : NULL;

	if (exchange)
		handle(exchange, path, path_size);
	else
		evhttp_send_error(request, 503, NULL);
	free(path);
}

/* ---- life ---- */

static int read_token(struct admin_http *http, const char *path, char *error, size_t error_size)
{
	FILE *file;

	if (!path[0])
		return 0;
	file = fopen(path, "re");
	if (!file) {
		int result = -errno;

		snprintf(error, error_size, "admin.token_file: cannot read %s: %s", path,
			 strerror(errno));
		return result;
	}
	if (!fgets(http->token, sizeof(http->token), file))
		http->token[0] = '\0';
	fclose(file);
	/* strcspn and memset: what is behind the token must be zero for the comparison */
	memset(http->token + strcspn(http->token, "\r\n"), 0,
	       sizeof(http->token) - strcspn(http->token, "\r\n"));
	if (strlen(http->token) >= 16)
		return 0;
	snprintf(
		error, error_size,
		"admin.token_file: expected a token of at least 16 characters in the first line of "
		"%s",
		path);
	return -EINVAL;
}

/* Binds itself: evhttp_bind_socket() resolves even numeric addresses, and cannot on a machine that has
 * no address but loopback, as one whose only NIC is the node's.
 */
static int listen_on(struct admin_http *http, struct event_base *base,
		     const struct admin_http_options *options, char *error, size_t error_size)
{
	const struct sockaddr_in address = { .sin_family = AF_INET,
					     .sin_port = htons(options->port),
					     .sin_addr.s_addr = htonl(options->ipv4) };
	struct evconnlistener *listener =
		evconnlistener_new_bind(base, NULL, NULL, LISTEN_FLAGS, LISTEN_BACKLOG,
					(const struct sockaddr *)&address, sizeof(address));
	char text[INET_ADDRSTRLEN];
	int result = listener ? 0 : -errno;

	if (listener)
		http->listener = evhttp_bind_listener(http->server, listener);
	if (http->listener)
		return 0;
	if (listener) {
		evconnlistener_free(listener);
		result = -ENOMEM;
	}
	inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text));
	if (result == -EADDRINUSE)
		snprintf(error, error_size,
			 "admin address %s:%u is in use: is another godwitd running? Set "
			 "admin.listen to another port, or off",
			 text, options->port);
	else
		snprintf(error, error_size,
			 "cannot listen on the admin address %s:%u (%s): set admin.listen to an "
			 "address of this machine, or off",
			 text, options->port, strerror(-result));
	return result;
}

int admin_http_create(struct admin_http **http, struct event_base *base,
		      const struct admin_http_options *options, char *error, size_t error_size)
{
	struct admin_http *h = calloc(1, sizeof(*h));
	int result = -ENOMEM;

	snprintf(error, error_size, "out of memory");
	if (h) {
		h->base = base;
		h->log = options->log;
		h->is_loopback = options->ipv4 >> 24 == 127;
		h->server = evhttp_new(base);
	}
	if (h && h->server) {
		evhttp_set_max_body_size(h->server, ADMIN_BODY_SIZE_MAX);
		evhttp_set_max_headers_size(h->server, ADMIN_HEADERS_SIZE_MAX);
		evhttp_set_timeout(h->server, ADMIN_TIMEOUT_S);
		evhttp_set_allowed_methods(h->server, UINT16_MAX);
		evhttp_set_gencb(h->server, on_request, h);
		result = read_token(h, options->token_file, error, error_size);
		if (result == 0)
			result = listen_on(h, base, options, error, error_size);
	}
	if (result != 0) {
		admin_http_destroy(h);
		return result;
	}
	*http = h;
	return 0;
}

void admin_http_refuse(struct admin_http *http)
{
	if (!http || !http->listener)
		return;
	event_base_loop(http->base, EVLOOP_NONBLOCK);
	evhttp_del_accept_socket(http->server, http->listener);
	http->listener = NULL;
}

/* Reads until no connection has a whole request any more. */
static void take_in_what_came(struct admin_http *http)
{
	uint64_t begun;

	do {
		begun = http->begun;
		event_base_loop(http->base, EVLOOP_NONBLOCK);
	} while (http->begun != begun);
}

static void on_time_over(evutil_socket_t fd, short what, void *context)
{
	bool *is_over = context;

	(void)fd;
	(void)what;
	*is_over = true;
}

void admin_http_drain(struct admin_http *http, uint32_t ms_max)
{
	const struct timeval time = { ms_max / 1000, (ms_max % 1000) * 1000 };
	bool is_over = false;
	struct event *timer;

	if (!http)
		return;
	take_in_what_came(http);
	timer = event_new(http->base, -1, EV_TIMEOUT, on_time_over, &is_over);
	if (timer && event_add(timer, &time) == 0) {
		while (http->open && !is_over)
			event_base_loop(http->base, EVLOOP_ONCE);
	}
	if (timer)
		event_free(timer);
}

/* Those who will reply later must not find the server. */
static void forget_deferred(struct admin_http *http)
{
	for (struct exchange *exchange = http->open, *next; exchange; exchange = next) {
		next = exchange->next;
		if (exchange->is_sending)
			continue;
		*exchange->link = next;
		if (next)
			next->link = exchange->link;
		exchange->link = NULL;
	}
}

void admin_http_destroy(struct admin_http *http)
{
	if (!http)
		return;
	forget_deferred(http);
	if (http->server)
		evhttp_free(http->server);
	while (http->open)
		destroy_exchange(http->open);
	sodium_memzero(http->token, sizeof(http->token));
	free(http);
}

static int add_table(struct admin_http *http, const struct route_table_entry *table)
{
	if (http->table_count == ROUTE_TABLES_MAX)
		return -ENOSPC;
	http->tables[http->table_count++] = *table;
	return 0;
}

int admin_http_add_routes(struct admin_http *http, const struct admin_route *routes, void *context)
{
	return add_table(http, &(struct route_table_entry){ routes, context, false });
}

int admin_http_add_raw_routes(struct admin_http *http, const struct admin_route *routes,
			      void *context)
{
	return add_table(http, &(struct route_table_entry){ routes, context, true });
}
