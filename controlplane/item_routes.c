/* SPDX-License-Identifier: BSD-3-Clause */
/* From an HTTP request to the node's client and back. */
#include "controlplane/item_routes.h"

#include <errno.h>
#include <stdlib.h>

#include "controlplane/item_http.h"
#include "dataplane/local_client.h"

struct item_service {
	const struct world *world;
	struct local_client *client;
	struct event *timer;
};

/* An open request. */
struct item_request {
	struct admin_reply *reply;
	enum wire_opcode opcode;
};

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct item_service *service = context;

	(void)fd;
	(void)what;
	if (!local_client_poll(service->client, world_now_ms(service->world)))
		event_del(service->timer);
}

struct item_service *item_service_create(struct event_base *base, const struct world *world,
					 struct local_client *client)
{
	struct item_service *service = calloc(1, sizeof(*service));

	if (!service)
		return NULL;
	service->timer = event_new(base, -1, EV_PERSIST, on_timer, service);
	if (!service->timer) {
		free(service);
		return NULL;
	}
	service->world = world;
	service->client = client;
	return service;
}

void item_service_destroy(struct item_service *service)
{
	if (!service)
		return;
	local_client_destroy(service->client);
	event_free(service->timer);
	free(service);
}

static void on_answer(void *context, const struct local_answer *answer)
{
	struct item_request *request = context;

	item_http_answer(request->opcode, answer, request->reply);
	admin_reply_finish(request->reply);
	free(request);
}

static void start_timer(struct item_service *service)
{
	static const struct timeval interval = { 0, ITEM_SERVICE_POLL_MS * 1000 };

	if (!event_pending(service->timer, EV_TIMEOUT, NULL))
		event_add(service->timer, &interval);
}

static void send_request(struct item_service *service, const struct wire_request_op *op,
			 struct item_request *request)
{
	struct admin_reply *reply = request->reply;

	switch (local_client_send(service->client, op, world_now_ms(service->world), on_answer,
				  request)) {
	case 0:
		reply->is_deferred = true;
		start_timer(service);
		return;
	case -EMSGSIZE:
		item_http_too_large(op->value_size,
				    local_client_value_size_max(service->client, op->key_size),
				    reply);
		break;
	default:
		item_http_too_many(request->opcode, reply);
		break;
	}
	free(request);
}

static void handle_item(void *context, const struct admin_request *admin_request,
			struct admin_reply *reply)
{
	struct wire_request_op op;
	struct item_request *request;

	if (!item_http_read(admin_request, &op, reply))
		return;
	request = malloc(sizeof(*request));
	if (!request)
		return; /* an empty reply tells that memory is out */
	*request = (struct item_request){ reply, (enum wire_opcode)op.opcode };
	send_request(context, &op, request);
}

const struct admin_route item_routes[] = {
	{ ADMIN_GET, "/v1/items/*", handle_item },
	{ ADMIN_PUT, "/v1/items/*", handle_item },
	{ ADMIN_DELETE, "/v1/items/*", handle_item },
	{ ADMIN_GET, "/v1/items/", handle_item },
	{ ADMIN_PUT, "/v1/items/", handle_item },
	{ ADMIN_DELETE, "/v1/items/", handle_item },
	{ ADMIN_GET, NULL, NULL },
};
