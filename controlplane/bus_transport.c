/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of the bus under libevent. */
#include "controlplane/bus_transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_FLAGS (LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE)
#define LISTEN_BACKLOG 128
/* Datagrams taken per turn of the loop. */
#define RECEIVE_COUNT_MAX 64u
#define RECEIVE_BUFFER_SIZE (1 << 20)

struct service {
	const char *name;
	bus_accept_fn *accept;
	void *context;
};

struct bus_transport {
	struct bus_transport_options options;
	struct bus_channel_shared shared;
	struct bus_counters counters;
	struct log_limit limits[BUS_RESULT_COUNT];
	struct log_limit connection_limit;
	uint16_t port;
	int udp;
	struct event *udp_readable;
	struct evconnlistener *listener;
	uint32_t service_count;
	struct service services[BUS_SERVICE_COUNT_MAX];
};

static struct node_address address_of(const struct sockaddr_in *socket)
{
	return node_address_ipv4(ntohl(socket->sin_addr.s_addr), ntohs(socket->sin_port));
}

static struct sockaddr_in socket_of(uint32_t ipv4, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(ipv4) };
}

/* ---- refusals ---- */

static void refused(struct bus_transport *transport, enum bus_result result,
		    const struct node_address *from)
{
	char text[NODE_ADDRESS_TEXT_SIZE];
	uint32_t suppressed;

	transport->counters.refused[result]++;
	if (!log_limit_pass(&transport->limits[result], transport->options.log, &suppressed))
		return;
	log_warning(transport->options.log, "bus", "refused a message", "reason=%s from=%s: %s",
		    bus_result_name(result), node_address_format(from, text),
		    bus_result_advice(result));
	if (suppressed)
		log_warning(transport->options.log, "bus", "refused more, not logged",
			    "reason=%s count=%u", bus_result_name(result), suppressed);
}

static void refused_connection(struct bus_transport *transport, const struct node_address *from,
			       const char *why)
{
	char text[NODE_ADDRESS_TEXT_SIZE];
	uint32_t suppressed;

	transport->counters.connections_refused++;
	if (!log_limit_pass(&transport->connection_limit, transport->options.log, &suppressed))
		return;
	log_warning(transport->options.log, "bus", why, "from=%s not_logged=%u",
		    node_address_format(from, text), suppressed);
}

/* ---- datagrams ---- */

/* False when there was none. */
static bool receive_one(struct bus_transport *transport)
{
	uint8_t sealed[BUS_DATAGRAM_SIZE_MAX + 1], plain[BUS_PLAIN_SIZE_MAX];
	struct sockaddr_in socket;
	socklen_t socket_size = sizeof(socket);
	struct node_address from;
	enum bus_result result;
	size_t plain_size;
	ssize_t got;

	got = recvfrom(transport->udp, sealed, sizeof(sealed), 0, (struct sockaddr *)&socket,
		       &socket_size);
	if (got < 0)
		return errno != EAGAIN; /* an ICMP error of something sent before is no end */
	transport->counters.datagram_bytes_in += (uint64_t)got;
	from = address_of(&socket);
	result = bus_open(transport->shared.crypto, sealed, (size_t)got, plain, &plain_size);
	if (result != BUS_OK) {
		refused(transport, result, &from);
		return true;
	}
	transport->counters.datagrams_in++;
	transport->options.datagram(transport->options.context, &from, plain, plain_size);
	return true;
}

static void on_datagram(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	for (uint32_t i = 0; i < RECEIVE_COUNT_MAX && receive_one(context); i++)
		;
}

void bus_transport_send(struct bus_transport *transport, const struct node_address *to,
			const uint8_t *bytes, size_t size)
{
	struct sockaddr_in socket = socket_of(node_address_to_ipv4(to), to->port);
	uint8_t sealed[BUS_DATAGRAM_SIZE_MAX];
	size_t sealed_size = bus_seal(transport->shared.crypto, bytes, size, sealed);

	if (sendto(transport->udp, sealed, sealed_size, 0, (const struct sockaddr *)&socket,
		   sizeof(socket)) < 0) {
		transport->counters.send_failures++;
		return;
	}
	transport->counters.datagrams_out++;
	transport->counters.datagram_bytes_out += sealed_size;
}

/* ---- channels ---- */

static void introduce(void *context, struct bus_peer *self)
{
	const struct bus_transport *transport = context;

	transport->options.introduce(transport->options.context, self);
}

static void untrusted(void *context, enum bus_result result, const struct node_address *from)
{
	refused(context, result, from);
}

static void unheard(void *context, const struct node_address *from)
{
	refused_connection(context, from, "a connection that said nothing was closed");
}

static enum bus_refusal admit(void *context, struct bus_channel *channel,
			      const struct bus_open *open, char *detail)
{
	const struct bus_transport *transport = context;
	enum bus_refusal refusal =
		transport->options.admit(transport->options.context, open, detail);

	if (refusal != BUS_ACCEPTED)
		return refusal;
	for (uint32_t i = 0; i < transport->service_count; i++) {
		const struct service *service = &transport->services[i];

		if (strcmp(service->name, open->service) == 0)
			return service->accept(service->context, channel, &open->peer, detail);
	}
	snprintf(detail, BUS_DETAIL_SIZE,
		 "no such service here; is this node of an older version?");
	return BUS_REFUSED_SERVICE;
}

int bus_transport_serve(struct bus_transport *transport, const char *name, bus_accept_fn *accept,
			void *context)
{
	if (transport->service_count == BUS_SERVICE_COUNT_MAX)
		return -ENOSPC;
	transport->services[transport->service_count++] = (struct service){ name, accept, context };
	return 0;
}

struct bus_channel *bus_transport_open(struct bus_transport *transport,
				       const struct node_address *to, const char *service,
				       const struct bus_channel_handlers *handlers, void *context)
{
	if (transport->shared.channel_count >= BUS_CHANNEL_COUNT_MAX)
		return NULL;
	return bus_channel_connect(&transport->shared, transport->options.listen_ipv4, to, service,
				   handlers, context);
}

static void on_connection(struct evconnlistener *listener, evutil_socket_t fd,
			  struct sockaddr *from, int size, void *context)
{
	struct bus_transport *transport = context;
	struct node_address address = address_of((const struct sockaddr_in *)(const void *)from);

	(void)listener;
	(void)size;
	if (transport->shared.channel_count >= BUS_CHANNEL_COUNT_MAX) {
		refused_connection(transport, &address, "too many channels: refused one more");
		close(fd);
		return;
	}
	if (transport->shared.stranger_count == BUS_STRANGER_COUNT_MAX) {
		refused_connection(transport, &address,
				   "too many connections of strangers: closed the oldest");
		bus_channel_drop_stranger(&transport->shared);
	}
	bus_channel_accept(&transport->shared, fd, &address);
}

/* ---- life ---- */

static int cannot_listen(const struct bus_transport *transport, int result, char *error,
			 size_t error_size)
{
	struct node_address address =
		node_address_ipv4(transport->options.listen_ipv4, transport->options.listen_port);
	char text[NODE_ADDRESS_TEXT_SIZE];

	if (result == -EADDRINUSE)
		snprintf(error, error_size,
			 "cluster address %s is in use: is another godwitd running? Set "
			 "cluster.listen to another port",
			 node_address_format(&address, text));
	else
		snprintf(error, error_size,
			 "cannot listen on the cluster address %s (%s): set cluster.listen to an "
			 "address of this machine",
			 node_address_format(&address, text), strerror(-result));
	return result;
}

static int open_udp(struct bus_transport *transport)
{
	struct sockaddr_in address =
		socket_of(transport->options.listen_ipv4, transport->options.listen_port);
	socklen_t size = sizeof(address);
	int buffer_size = RECEIVE_BUFFER_SIZE;

	transport->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (transport->udp < 0)
		return -errno;
	setsockopt(transport->udp, SOL_SOCKET, SO_RCVBUF, &buffer_size, sizeof(buffer_size));
	if (bind(transport->udp, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    getsockname(transport->udp, (struct sockaddr *)&address, &size) != 0)
		return -errno;
	transport->port = ntohs(address.sin_port);
	transport->udp_readable = event_new(transport->options.base, transport->udp,
					    EV_READ | EV_PERSIST, on_datagram, transport);
	if (!transport->udp_readable || event_add(transport->udp_readable, NULL) != 0)
		return -ENOMEM;
	return 0;
}

static int open_listener(struct bus_transport *transport)
{
	struct sockaddr_in address = socket_of(transport->options.listen_ipv4, transport->port);

	transport->listener = evconnlistener_new_bind(
		transport->options.base, on_connection, transport, LISTEN_FLAGS, LISTEN_BACKLOG,
		(const struct sockaddr *)&address, sizeof(address));
	return transport->listener ? 0 : errno ? -errno : -ENOMEM;
}

static int create_parts(struct bus_transport *transport, char *error, size_t error_size)
{
	const struct bus_transport_options *options = &transport->options;
	uint8_t session[BUS_SESSION_SIZE];
	int result;

	snprintf(error, error_size, "out of memory");
	world_random_bytes(options->world, session, sizeof(session));
	result = bus_crypto_create(&transport->shared.crypto, options->cluster_name, options->keys,
				   session);
	transport->shared.plain = malloc(BUS_FRAME_SIZE_MAX);
	if (result == 0 && !transport->shared.plain)
		result = -ENOMEM;
	if (result != 0)
		return result;
	result = open_udp(transport);
	if (result == 0)
		result = open_listener(transport);
	return result == 0 ? 0 : cannot_listen(transport, result, error, error_size);
}

int bus_transport_create(struct bus_transport **transport,
			 const struct bus_transport_options *options, char *error,
			 size_t error_size)
{
	struct bus_transport *new = calloc(1, sizeof(*new));
	int result;

	if (!new) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	new->options = *options;
	new->udp = -1;
	new->shared = (struct bus_channel_shared){ .base = options->base,
						   .world = options->world,
						   .context = new,
						   .introduce = introduce,
						   .admit = admit,
						   .untrusted = untrusted,
						   .unheard = unheard };
	result = create_parts(new, error, error_size);
	if (result != 0) {
		bus_transport_destroy(new);
		return result;
	}
	*transport = new;
	return 0;
}

void bus_transport_destroy(struct bus_transport *transport)
{
	if (!transport)
		return;
	bus_channel_destroy_all(&transport->shared);
	if (transport->listener)
		evconnlistener_free(transport->listener);
	if (transport->udp_readable)
		event_free(transport->udp_readable);
	if (transport->udp >= 0)
		close(transport->udp);
	bus_crypto_destroy(transport->shared.crypto);
	free(transport->shared.plain);
	free(transport);
}

uint16_t bus_transport_port(const struct bus_transport *transport)
{
	return transport->port;
}

void bus_transport_set_keys(struct bus_transport *transport, const struct bus_keys *keys)
{
	bus_crypto_set_keys(transport->shared.crypto, keys);
}

void bus_transport_counters(const struct bus_transport *transport, struct bus_counters *counters)
{
	*counters = transport->counters;
	counters->channels = transport->shared.counters;
}
