/* SPDX-License-Identifier: BSD-3-Clause */
/* One channel per exchange: a request, its answer, the end. */
#include "controlplane/cluster_exchange.h"

#include <errno.h>
#include <stdlib.h>

/* One exchange under way, begun here or there. */
struct exchange {
	struct cluster_exchange *owner;
	struct exchange *next;
	struct exchange **link;
	struct bus_channel *channel;
	struct event *timeout;
	bool is_own;
	struct node_address to;
	enum gossip_scope scope;
	struct cluster_exchange_purpose purpose;
};

struct cluster_exchange {
	struct bus_transport *transport;
	struct event_base *base;
	struct cluster_exchange_host host;
	struct exchange *exchanges;
	uint32_t own_count;
	uint8_t *bytes; /* GOSSIP_STATE_SIZE_MAX: the state being sent */
};

static void destroy(struct exchange *exchange)
{
	*exchange->link = exchange->next;
	if (exchange->next)
		exchange->next->link = exchange->link;
	exchange->owner->own_count -= exchange->is_own;
	if (exchange->timeout)
		event_free(exchange->timeout);
	free(exchange);
}

/* Ends it; 'close' as for done(). */
static void finish(struct exchange *exchange, const struct bus_close *close)
{
	struct cluster_exchange *owner = exchange->owner;
	struct cluster_exchange_purpose purpose = exchange->purpose;
	struct node_address to = exchange->to;
	bool is_own = exchange->is_own;

	bus_channel_close(exchange->channel);
	destroy(exchange);
	if (is_own)
		owner->host.done(owner->host.context, &to, &purpose, close);
}

static void fail(struct exchange *exchange, enum bus_close_kind kind)
{
	struct bus_close close = { .kind = kind };

	finish(exchange, &close);
}

static void on_timeout(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	fail(context, BUS_CLOSE_TIMEOUT);
}

static int send_state(struct exchange *exchange, bool is_request, enum gossip_scope scope)
{
	struct cluster_exchange *owner = exchange->owner;
	int size = owner->host.state(owner->host.context, is_request, scope, owner->bytes,
				     GOSSIP_STATE_SIZE_MAX);

	if (size <= 0)
		return size < 0 ? size : -EINVAL;
	return bus_channel_send(exchange->channel, owner->bytes, (size_t)size);
}

static void start_clock(struct exchange *exchange)
{
	const struct timeval time = { CLUSTER_EXCHANGE_MS / 1000,
				      CLUSTER_EXCHANGE_MS % 1000 * 1000 };

	event_add(exchange->timeout, &time);
}

static void on_opened(void *context, struct bus_channel *channel)
{
	struct exchange *exchange = context;

	(void)channel;
	start_clock(exchange);
	if (send_state(exchange, true, exchange->scope) != 0)
		fail(exchange, BUS_CLOSE_NO_MEMORY);
}

/* The answer to what this node asked. */
static void on_answer(void *context, struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	struct exchange *exchange = context;
	struct cluster_exchange *owner = exchange->owner;
	enum gossip_scope scope;

	(void)channel;
	owner->host.take(owner->host.context, bytes, size, &scope);
	finish(exchange, NULL);
}

/* What another node asks. It closes when it has the answer. */
static void on_request(void *context, struct bus_channel *channel, const uint8_t *bytes,
		       size_t size)
{
	struct exchange *exchange = context;
	struct cluster_exchange *owner = exchange->owner;
	enum gossip_scope scope;

	(void)channel;
	if (!owner->host.take(owner->host.context, bytes, size, &scope) ||
	    send_state(exchange, false, scope) != 0)
		finish(exchange, NULL);
}

static void on_closed(void *context, struct bus_channel *channel, const struct bus_close *close)
{
	struct exchange *exchange = context;

	(void)channel;
	exchange->channel = NULL;
	finish(exchange, close);
}

static struct exchange *create(struct cluster_exchange *owner)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange)
		return NULL;
	exchange->owner = owner;
	exchange->next = owner->exchanges;
	exchange->link = &owner->exchanges;
	if (exchange->next)
		exchange->next->link = &exchange->next;
	owner->exchanges = exchange;
	exchange->timeout = evtimer_new(owner->base, on_timeout, exchange);
	if (exchange->timeout)
		return exchange;
	destroy(exchange);
	return NULL;
}

static enum bus_refusal accept_exchange(void *context, struct bus_channel *channel,
					const struct bus_peer *peer, char *detail)
{
	static const struct bus_channel_handlers handlers = { .frame = on_request,
							      .closed = on_closed };
	struct exchange *exchange = create(context);

	(void)peer;
	(void)detail;
	if (!exchange)
		return BUS_REFUSED_BUSY;
	exchange->channel = channel;
	bus_channel_set_handlers(channel, &handlers, exchange);
	start_clock(exchange);
	return BUS_ACCEPTED;
}

int cluster_exchange_begin(struct cluster_exchange *owner, const struct node_address *to,
			   enum gossip_scope scope, const struct cluster_exchange_purpose *purpose)
{
	static const struct bus_channel_handlers handlers = { .opened = on_opened,
							      .frame = on_answer,
							      .closed = on_closed };
	struct exchange *exchange =
		owner->own_count < CLUSTER_EXCHANGE_COUNT_MAX ? create(owner) : NULL;

	if (!exchange)
		return -ENOBUFS;
	exchange->is_own = true;
	owner->own_count++;
	exchange->to = *to;
	exchange->scope = scope;
	exchange->purpose = *purpose;
	exchange->channel = bus_transport_open(owner->transport, to, CLUSTER_EXCHANGE_SERVICE,
					       &handlers, exchange);
	if (exchange->channel)
		return 0;
	destroy(exchange);
	return -ENOBUFS;
}

int cluster_exchange_create(struct cluster_exchange **exchange, struct bus_transport *transport,
			    struct event_base *base, const struct cluster_exchange_host *host)
{
	struct cluster_exchange *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->transport = transport;
	new->base = base;
	new->host = *host;
	new->bytes = malloc(GOSSIP_STATE_SIZE_MAX);
	if (!new->bytes ||
	    bus_transport_serve(transport, CLUSTER_EXCHANGE_SERVICE, accept_exchange, new) != 0) {
		cluster_exchange_destroy(new);
		return -ENOMEM;
	}
	*exchange = new;
	return 0;
}

void cluster_exchange_destroy(struct cluster_exchange *exchange)
{
	if (!exchange)
		return;
	while (exchange->exchanges)
		destroy(exchange->exchanges);
	free(exchange->bytes);
	free(exchange);
}
