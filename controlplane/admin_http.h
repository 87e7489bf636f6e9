/* SPDX-License-Identifier: BSD-3-Clause */
/* The admin address: HTTP with JSON bodies or raw ones, routes in tables, errors that say what was expected. */
#ifndef CONTROLPLANE_ADMIN_HTTP_H
#define CONTROLPLANE_ADMIN_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/log.h"

enum admin_method {
	ADMIN_GET, /* also answers HEAD */
	ADMIN_POST,
	ADMIN_PUT,
	ADMIN_DELETE,
};

/* A request, borrowed for the time of the call. */
struct admin_request {
	enum admin_method method;
	const char *path;   /* decoded, "/v1/partitions/7" */
	size_t path_size;   /* bytes of 'path', which may hold zeros */
	const char *rest;   /* what stands for the route's '*'; "" when it has none */
	const json_t *body; /* an object; NULL = no body */
	/* For raw routes alone: */
	size_t rest_size;  /* bytes of 'rest' */
	const char *query; /* as it came; NULL = none */
	const uint8_t *bytes;
	size_t size;                     /* of 'bytes', the body */
	const struct evkeyvalq *headers; /* NULL = none */
};

#define ADMIN_REPLY_HEADERS_MAX 4u

struct admin_reply_header {
	const char *name;
	char value[64];
};

/* The reply; empty before the call. A handler sets 'json' (which is taken), or fills 'text' and sets its
 * type, or calls admin_reply_error(). One that cannot reply yet sets 'is_deferred', keeps the address,
 * fills the reply in later, and calls admin_reply_finish() exactly once.
 */
struct admin_reply {
	int status; /* HTTP; 0 = 200 */
	json_t *json;
	struct evbuffer *text;
	const char *content_type; /* of text */
	uint32_t header_count;
	struct admin_reply_header headers[ADMIN_REPLY_HEADERS_MAX];
	bool is_routine; /* an answer like any other, though an error to HTTP: not logged */
	bool is_deferred;
	/* For admin_reply_finish(); set by who made the reply. */
	void (*finished)(struct admin_reply *reply);
};

/* A path that ends with '*' matches one or more characters there. */
struct admin_route {
	enum admin_method method;
	const char *path;
	void (*handle)(void *context, const struct admin_request *request,
		       struct admin_reply *reply);
};

/* The row of 'routes' (terminated by a NULL path) for method and path, and what stands for its '*'; NULL
 * when there is none.
 */
const struct admin_route *admin_route_find(const struct admin_route *routes,
					   enum admin_method method, const char *path,
					   const char **rest);

/* Sends a reply that was deferred, which is gone afterwards; the asker may have gone before, and so may
 * the server. May be called by the handler itself. Within ADMIN_TIMEOUT_S, or the connection is closed.
 */
void admin_reply_finish(struct admin_reply *reply);

/* Makes the reply {"error": {"code": status, "message": ...}}. */
void admin_reply_error(struct admin_reply *reply, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Adds a header whose name outlives the reply. At most ADMIN_REPLY_HEADERS_MAX. */
void admin_reply_header(struct admin_reply *reply, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The HTTP status of an -errno: 400 for -EINVAL, 404 for -ENOENT, 409 for all others. */
int admin_status_of(int result);

#define ADMIN_BODY_SIZE_MAX (1u << 20)
#define ADMIN_HEADERS_SIZE_MAX (16u << 10)
#define ADMIN_TIMEOUT_S 10
#define ADMIN_TOKEN_SIZE_MAX 256u

/* Thread safety: control thread only; the one that runs the event loop. */
struct admin_http;

struct admin_http_options {
	uint32_t ipv4; /* host byte order */
	uint16_t port;
	const char *token_file; /* "" = no token is asked for */
	const struct log *log;  /* outlives the server */
};

/* Listens. On failure returns -errno and writes one line, what failed and what to do, into 'error'.
 */
int admin_http_create(struct admin_http **http, struct event_base *base,
		      const struct admin_http_options *options, char *error, size_t error_size);
/* Closes all connections, whatever is open. Accepts NULL. */
void admin_http_destroy(struct admin_http *http);

/* Refuses new connections from here on, and ends those there are behind their next reply. Runs one turn
 * of the event loop, so that who has connected before is served. Accepts NULL.
 */
void admin_http_refuse(struct admin_http *http);

/* Runs the event loop until each request that has arrived is answered and its reply sent, for at most
 * 'ms_max'. Those that have arrived in part are not waited for. Accepts NULL.
 */
void admin_http_drain(struct admin_http *http, uint32_t ms_max);

/* Adds a table of routes (terminated by a NULL path), all called with 'context'; both outlive the
 * server. 0, or -ENOSPC.
 */
int admin_http_add_routes(struct admin_http *http, const struct admin_route *routes, void *context);

/* The same for routes that take parameters, headers, and any bytes for a body. */
int admin_http_add_raw_routes(struct admin_http *http, const struct admin_route *routes,
			      void *context);

/* What the server would reply, without a connection: for tests. 'reply->text' must be there. 'host'
 * and 'authorization' are the headers, NULL = none; 'body' is 'body_size' bytes of the content type
 * 'content_type'.
 */
struct admin_call {
	enum admin_method method;
	bool is_method_known;
	const char *path;  /* decoded, without the query */
	size_t path_size;  /* bytes; 0 = to the first zero */
	const char *query; /* NULL = none */
	const char *host;
	const char *authorization;
	const char *content_type;
	const struct evkeyvalq *headers; /* all of them, for raw routes */
	const char *body;
	size_t body_size;
};
void admin_http_call(const struct admin_http *http, const struct admin_call *call,
		     struct admin_reply *reply);

#endif
