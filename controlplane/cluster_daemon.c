/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens on the bus goes to the cluster, what it wants goes there; and it gets its time. */
#include "controlplane/cluster_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/cluster_exchange.h"
#include "controlplane/cluster_host.h"

struct cluster_daemon {
	struct cluster_daemon_options options;
	struct cluster *cluster;
	struct bus_transport *bus; /* NULL = a node by itself */
	struct cluster_exchange *exchange;
	struct event *timer;
};

/* ---- time ---- */

static void set_timer(struct cluster_daemon *daemon)
{
	uint64_t due_ms = cluster_due_ms(daemon->cluster);
	uint64_t now_ms = world_now_ms(daemon->options.world);
	uint64_t wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
	struct timeval time;

	if (wait_ms > CLUSTER_TICK_MS)
		wait_ms = CLUSTER_TICK_MS;
	time = (struct timeval){ 0, (suseconds_t)wait_ms * 1000 };
	event_add(daemon->timer, &time);
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	struct cluster_daemon *daemon = context;

	(void)fd;
	(void)events;
	cluster_turn(daemon->cluster);
}

/* ---- the bus ---- */

static void on_introduce(void *context, struct bus_peer *self)
{
	const struct cluster_daemon *daemon = context;

	cluster_introduce(daemon->cluster, self);
}

static enum bus_refusal on_admit(void *context, const struct bus_open *open, char *detail)
{
	struct cluster_daemon *daemon = context;

	return cluster_admit(daemon->cluster, open, detail);
}

static void on_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			size_t size)
{
	struct cluster_daemon *daemon = context;

	cluster_take_datagram(daemon->cluster, from, bytes, size);
}

static int give_state(void *context, bool is_request, enum gossip_scope scope, uint8_t *bytes,
		      size_t size_max)
{
	struct cluster_daemon *daemon = context;

	return cluster_give_state(daemon->cluster, is_request, scope, bytes, size_max);
}

static bool take_state(void *context, const uint8_t *bytes, size_t size, enum gossip_scope *scope)
{
	struct cluster_daemon *daemon = context;

	return cluster_take_state(daemon->cluster, bytes, size, scope);
}

static void exchanged(void *context, const struct node_address *to,
		      const struct cluster_exchange_purpose *purpose, const struct bus_close *close)
{
	struct cluster_daemon *daemon = context;

	cluster_exchanged(daemon->cluster, to, purpose, close);
}

/* ---- what the cluster wants ---- */

static void host_send(void *context, const struct node_address *to, const uint8_t *bytes,
		      size_t size)
{
	struct cluster_daemon *daemon = context;

	bus_transport_send(daemon->bus, to, bytes, size);
}

static int host_exchange(void *context, const struct node_address *to, enum gossip_scope scope,
			 const struct cluster_exchange_purpose *purpose)
{
	struct cluster_daemon *daemon = context;

	return cluster_exchange_begin(daemon->exchange, to, scope, purpose);
}

static void host_set_keys(void *context, const struct bus_keys *keys)
{
	struct cluster_daemon *daemon = context;

	bus_transport_set_keys(daemon->bus, keys);
}

static void host_count_bus(void *context, struct bus_counters *counters)
{
	const struct cluster_daemon *daemon = context;

	bus_transport_counters(daemon->bus, counters);
}

static void host_set_routes(void *context, struct route_table *table)
{
	struct cluster_daemon *daemon = context;

	daemon->options.set_routes(daemon->options.context, table);
}

static void host_wake(void *context)
{
	set_timer(context);
}

static void host_end(void *context, enum cluster_end end)
{
	struct cluster_daemon *daemon = context;

	daemon->options.end(daemon->options.context, end);
}

/* ---- life ---- */

static int create_cluster(struct cluster_daemon *daemon)
{
	const struct cluster_options options = {
		.config = daemon->options.config,
		.world = daemon->options.world,
		.log = daemon->options.log,
		.host = { .context = daemon,
			  .send = host_send,
			  .exchange = host_exchange,
			  .set_keys = host_set_keys,
			  .count_bus = host_count_bus,
			  .set_routes = host_set_routes,
			  .wake = host_wake,
			  .end = host_end },
	};

	return cluster_create(&daemon->cluster, &options);
}

static int create_bus(struct cluster_daemon *daemon, char *error, size_t error_size)
{
	const struct cluster_config *config = cluster_config_of(daemon->cluster);
	const struct bus_transport_options options = {
		.base = daemon->options.base,
		.world = daemon->options.world,
		.log = daemon->options.log,
		.cluster_name = config->name,
		.keys = config->keys.count > 0 ? &config->keys : NULL,
		.listen_ipv4 = config->listen_ipv4,
		.listen_port = config->listen_port,
		.introduce = on_introduce,
		.admit = on_admit,
		.datagram = on_datagram,
		.context = daemon,
	};
	const struct cluster_exchange_host host = { daemon, give_state, take_state, exchanged };
	int result = bus_transport_create(&daemon->bus, &options, error, error_size);

	if (result != 0)
		return result;
	snprintf(error, error_size, "out of memory");
	if (config->keys.count == 0)
		log_warning(daemon->options.log, "cluster",
			    "cluster.insecure_bus: whoever reaches the bus can read and forge all");
	return cluster_exchange_create(&daemon->exchange, daemon->bus, daemon->options.base, &host);
}

static int create_parts(struct cluster_daemon *daemon, char *error, size_t error_size)
{
	int result;

	daemon->timer = evtimer_new(daemon->options.base, on_timer, daemon);
	if (!daemon->timer)
		return -ENOMEM;
	result = create_cluster(daemon);
	return result == 0 && daemon->options.config->has_bus
		       ? create_bus(daemon, error, error_size)
		       : result;
}

int cluster_daemon_create(struct cluster_daemon **daemon,
			  const struct cluster_daemon_options *options, char *error,
			  size_t error_size)
{
	struct cluster_daemon *new = calloc(1, sizeof(*new));
	int result;

	snprintf(error, error_size, "out of memory");
	if (!new)
		return -ENOMEM;
	new->options = *options;
	result = create_parts(new, error, error_size);
	if (result != 0) {
		cluster_daemon_destroy(new);
		return result;
	}
	new->options.config = cluster_config_of(new->cluster);
	cluster_start(new->cluster);
	set_timer(new);
	*daemon = new;
	return 0;
}

void cluster_daemon_destroy(struct cluster_daemon *daemon)
{
	if (!daemon)
		return;
	if (daemon->timer)
		event_free(daemon->timer);
	bus_transport_destroy(daemon->bus);
	cluster_exchange_destroy(daemon->exchange);
	cluster_destroy(daemon->cluster);
	free(daemon);
}

struct cluster *cluster_daemon_cluster(struct cluster_daemon *daemon)
{
	return daemon->cluster;
}

struct bus_transport *cluster_daemon_bus(struct cluster_daemon *daemon)
{
	return daemon->bus;
}
