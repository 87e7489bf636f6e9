/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's migrator: on its event loop, its cluster, and the bus. */
#ifndef CONTROLPLANE_MIGRATOR_DAEMON_H
#define CONTROLPLANE_MIGRATOR_DAEMON_H

#include <event2/event.h>

#include "controlplane/cluster.h"
#include "controlplane/migrator_host.h"
#include "controlplane/options.h"

struct migrator_daemon_options {
	const struct options *options; /* borrowed for the creation */
	struct event_base *base;
	struct cluster *cluster;   /* outlives the migrator, and takes no step without it */
	struct bus_transport *bus; /* NULL = a node by itself; outlives likewise */
	struct dataplane *dataplane;
	const struct world *world;
	struct log *log;
};

/* Thread safety: none; the event loop owns it. */
struct migrator_daemon;

/* After the cluster's creation. 0, or -errno after writing what failed and what to do into 'error'. */
int migrator_daemon_create(struct migrator_daemon **daemon,
			   const struct migrator_daemon_options *options, char *error,
			   size_t error_size);

/* Begins to take part: when the workers run. 0 or -ENOMEM. */
int migrator_daemon_start(struct migrator_daemon *daemon);

/* Ends what is not decided, runs the loop until the other ends know, 'ms_max' at most. While the workers still run; the
 * loop is not run afterwards.
 */
void migrator_daemon_stop(struct migrator_daemon *daemon, uint32_t ms_max);

/* Once the workers are stopped, before the cluster is destroyed. Accepts NULL. */
void migrator_daemon_destroy(struct migrator_daemon *daemon);

struct migrator *migrator_daemon_migrator(const struct migrator_daemon *daemon);

#endif
