/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's cluster: on its event loop, and on the bus. */
#ifndef CONTROLPLANE_CLUSTER_DAEMON_H
#define CONTROLPLANE_CLUSTER_DAEMON_H

#include <event2/event.h>
#include <stddef.h>

#include "controlplane/bus_transport.h"
#include "controlplane/cluster.h"

struct cluster_daemon_options {
	const struct cluster_config *config; /* copied */
	struct event_base *base;
	const struct world *world;
	struct log *log;
	/* Called with 'context'; the table is taken. */
	void (*set_routes)(void *context, struct route_table *table);
	/* The process has to end; called once, from the loop. */
	void (*end)(void *context, enum cluster_end end);
	void *context;
};

/* Thread safety: none; the event loop owns it. */
struct cluster_daemon;

/* Opens the bus, publishes the first routes, and starts to join or found as the configuration says. 0,
 * or -errno after writing what failed and what to do into 'error'.
 */
int cluster_daemon_create(struct cluster_daemon **daemon,
			  const struct cluster_daemon_options *options, char *error,
			  size_t error_size);
/* Accepts NULL. */
void cluster_daemon_destroy(struct cluster_daemon *daemon);

struct cluster *cluster_daemon_cluster(struct cluster_daemon *daemon);
/* NULL without a bus. */
struct bus_transport *cluster_daemon_bus(struct cluster_daemon *daemon);

#endif
