/* SPDX-License-Identifier: BSD-3-Clause */
/* One channel per request: asked here and answered there, or the other way round. */
#include "controlplane/admin_relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A peer that asks has this long to do so, and its answer to be made. */
#define SERVE_MS (4u * ADMIN_RELAY_MS)

/* One request under way. */
struct passage {
	/* of what is answered here; the first member, see on_finished() */
	struct admin_reply reply;
	struct admin_relay *owner;
	struct passage *next;
	struct passage **link; /* NULL = the relay is gone */
	struct bus_channel *channel;
	struct event *clock;
	bool is_handling;
	/* Asked here: */
	json_t *request;
	bool is_sent;
	char name[NODE_NAME_SIZE]; /* of whom is asked */
	admin_relay_done_fn *done;
	void *context;
};

struct admin_relay {
	struct admin_relay_options options;
	struct passage *passages;
	uint32_t count;
};

static const char *const method_names[] = { "GET", "POST", "PUT", "DELETE" };
#define METHOD_COUNT (sizeof(method_names) / sizeof(method_names[0]))

/* ---- life of a passage ---- */

static void unlink_passage(struct passage *passage)
{
	if (!passage->link)
		return;
	*passage->link = passage->next;
	if (passage->next)
		passage->next->link = passage->link;
	passage->link = NULL;
	passage->owner->count--;
}

static void destroy_passage(struct passage *passage)
{
	unlink_passage(passage);
	bus_channel_close(passage->channel);
	if (passage->clock)
		event_free(passage->clock);
	if (passage->reply.text)
		evbuffer_free(passage->reply.text);
	json_decref(passage->reply.json);
	json_decref(passage->request);
	free(passage);
}

static void start_clock(struct passage *passage, uint32_t ms)
{
	const struct timeval time = { ms / 1000, ms % 1000 * 1000 };

	event_add(passage->clock, &time);
}

static struct passage *create_passage(struct admin_relay *relay, event_callback_fn on_clock)
{
	struct passage *passage;

	if (relay->count == ADMIN_RELAY_COUNT_MAX)
		return NULL;
	passage = calloc(1, sizeof(*passage));
	if (!passage)
		return NULL;
	passage->owner = relay;
	passage->next = relay->passages;
	passage->link = &relay->passages;
	if (passage->next)
		passage->next->link = &passage->next;
	relay->passages = passage;
	relay->count++;
	passage->clock = evtimer_new(relay->options.base, on_clock, passage);
	if (passage->clock)
		return passage;
	destroy_passage(passage);
	return NULL;
}

static int send_json(struct bus_channel *channel, const json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t size = text ? strlen(text) : 0;
	int result = -ENOMEM;

	if (size > 0)
		result = size <= BUS_FRAME_SIZE_MAX ? bus_channel_send(channel, text, size)
						    : -EMSGSIZE;
	free(text);
	return result;
}

/* ---- asking ---- */

/* The end of what was asked here. */
static void finish(struct passage *passage, int status, const json_t *body)
{
	admin_relay_done_fn *done = passage->done;
	void *context = passage->context;
	json_t *kept = json_incref((json_t *)(uintptr_t)body);

	destroy_passage(passage);
	done(context, status, kept);
	json_decref(kept);
}

static void fail(struct passage *passage, const char *why)
{
	struct admin_reply error = { 0 };

	if (passage->is_sent)
		admin_reply_error(&error, 504, "%s has been asked, and gave no answer: %s",
				  passage->name, why);
	else
		admin_reply_error(&error, 503, "%s cannot be asked: %s", passage->name, why);
	finish(passage, error.status, error.json);
	json_decref(error.json);
}

static void on_no_answer(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	fail(context, "no answer in time; see godwitctl nodes");
}

static void on_opened(void *context, struct bus_channel *channel)
{
	struct passage *passage = context;

	if (send_json(channel, passage->request) != 0)
		fail(passage, "out of memory");
	else
		passage->is_sent = true;
}

static void on_answer(void *context, struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	json_t *answer = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *body = json_object_get(answer, "body");
	json_int_t status = json_integer_value(json_object_get(answer, "status"));

	(void)channel;
	if (json_is_object(body) && status >= 100 && status <= 599)
		finish(context, (int)status, body);
	else
		fail(context, "its answer cannot be understood; is it of another version?");
	json_decref(answer);
}

static void on_refused(void *context, struct bus_channel *channel, const struct bus_close *close)
{
	struct passage *passage = context;
	char text[BUS_CLOSE_TEXT_SIZE];

	(void)channel;
	passage->channel = NULL;
	fail(passage, bus_close_text(close, text));
}

void admin_relay_ask(struct admin_relay *relay, const struct node *to, enum admin_method method,
		     const char *path, const json_t *body, admin_relay_done_fn *done, void *context)
{
	static const struct bus_channel_handlers handlers = { .opened = on_opened,
							      .frame = on_answer,
							      .closed = on_refused };
	struct passage *passage = create_passage(relay, on_no_answer);
	struct admin_reply error = { 0 };

	if (!passage) {
		admin_reply_error(&error, 503, "too many requests are under way: try again");
		done(context, error.status, error.json);
		json_decref(error.json);
		return;
	}
	strcpy(passage->name, to->name);
	passage->done = done;
	passage->context = context;
	passage->request = json_pack("{ss ss sO?}", "method", method_names[method], "path", path,
				     "body", body);
	passage->channel = bus_transport_open(relay->options.transport, &to->control,
					      ADMIN_RELAY_SERVICE, &handlers, passage);
	if (passage->channel)
		start_clock(passage, ADMIN_RELAY_MS);
	else
		fail(passage, "too many channels are open");
}

/* ---- answering ---- */

static void answer(struct passage *passage)
{
	struct admin_reply *reply = &passage->reply;
	json_t *json = json_pack("{si sO}", "status", reply->status ? reply->status : 200, "body",
				 reply->json);

	if (passage->channel)
		send_json(passage->channel, json); /* that no answer came, the asker sees itself */
	json_decref(json);
	destroy_passage(passage);
}

static void on_finished(struct admin_reply *reply)
{
	struct passage *passage = (struct passage *)reply;

	if (!reply->json)
		admin_reply_error(reply, 500, "out of memory");
	if (passage->is_handling)
		reply->is_deferred = false;
	else
		answer(passage);
}

static bool find_method(const char *name, enum admin_method *method)
{
	for (size_t i = 0; name && i < METHOD_COUNT; i++) {
		*method = (enum admin_method)i;
		if (strcmp(name, method_names[i]) == 0)
			return true;
	}
	return false;
}

static void handle(struct passage *passage, const json_t *asked)
{
	const struct admin_relay_options *options = &passage->owner->options;
	const json_t *body = json_object_get(asked, "body");
	struct admin_request request = {
		.path = json_string_value(json_object_get(asked, "path")),
		.body = json_is_object(body) ? body : NULL,
	};
	const struct admin_route *route = NULL;

	if (request.path &&
	    find_method(json_string_value(json_object_get(asked, "method")), &request.method))
		route = admin_route_find(options->routes, request.method, request.path,
					 &request.rest);
	if (route)
		route->handle(options->context, &request, &passage->reply);
	else
		admin_reply_error(&passage->reply, 501,
				  "this node does not know the request; is it of another version?");
}

static void on_asked(void *context, struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	struct passage *passage = context;
	json_t *asked;

	(void)channel;
	if (passage->reply.is_deferred)
		return; /* one request per channel */
	asked = json_loadb((const char *)bytes, size, JSON_REJECT_DUPLICATES, NULL);
	passage->is_handling = true;
	handle(passage, asked);
	passage->is_handling = false;
	json_decref(asked);
	if (passage->reply.is_deferred)
		return;
	if (!passage->reply.json)
		admin_reply_error(&passage->reply, 500, "out of memory");
	answer(passage);
}

/* A deferred reply keeps its passage until it is finished. */
static void give_up(struct passage *passage)
{
	if (!passage->reply.is_deferred) {
		destroy_passage(passage);
		return;
	}
	bus_channel_close(passage->channel);
	passage->channel = NULL;
}

static void on_asker_gone(void *context, struct bus_channel *channel, const struct bus_close *close)
{
	struct passage *passage = context;

	(void)channel;
	(void)close;
	passage->channel = NULL;
	give_up(passage);
}

static void on_served_too_long(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	give_up(context);
}

static enum bus_refusal accept_passage(void *context, struct bus_channel *channel,
				       const struct bus_peer *peer, char *detail)
{
	static const struct bus_channel_handlers handlers = { .frame = on_asked,
							      .closed = on_asker_gone };
	struct passage *passage = create_passage(context, on_served_too_long);

	(void)peer;
	(void)detail;
	if (!passage)
		return BUS_REFUSED_BUSY;
	passage->reply.finished = on_finished;
	passage->channel = channel;
	bus_channel_set_handlers(channel, &handlers, passage);
	start_clock(passage, SERVE_MS);
	return BUS_ACCEPTED;
}

/* ---- life ---- */

int admin_relay_create(struct admin_relay **relay, const struct admin_relay_options *options)
{
	struct admin_relay *new = calloc(1, sizeof(*new));
	int result;

	if (!new)
		return -ENOMEM;
	new->options = *options;
	result = bus_transport_serve(options->transport, ADMIN_RELAY_SERVICE, accept_passage, new);
	if (result != 0) {
		free(new);
		return result;
	}
	*relay = new;
	return 0;
}

void admin_relay_destroy(struct admin_relay *relay)
{
	if (!relay)
		return;
	while (relay->passages) {
		struct passage *passage = relay->passages;

		if (passage->done) {
			fail(passage, "this node stops");
		} else if (passage->reply.is_deferred) {
			give_up(passage);
			event_free(passage->clock);
			passage->clock = NULL;
			unlink_passage(passage);
		} else {
			destroy_passage(passage);
		}
	}
	free(relay);
}
