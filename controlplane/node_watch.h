/* SPDX-License-Identifier: BSD-3-Clause */
/* Watches the data plane once a second: rates, and workers whose heartbeat stops. */
#ifndef CONTROLPLANE_NODE_WATCH_H
#define CONTROLPLANE_NODE_WATCH_H

#include <stdbool.h>

#include "controlplane/log.h"
#include "controlplane/node_report.h"
#include "controlplane/options.h"
#include "dataplane/dataplane.h"

/* A table of counters; NULL = none, and none behind it. 'read' fills the values of its rows. */
struct counter_source {
	const struct counter_table *table;
	void (*read)(const void *context, uint64_t *values);
	const void *context;
};

#define NODE_COUNTER_SOURCES 3u

/* How the node is asked; the daemon passes its data plane, cluster and migrator, a test its own. */
struct node_source {
	void (*worker_status)(const struct dataplane *dataplane, uint32_t worker,
			      struct worker_status *status);
	void (*port_status)(const struct dataplane *dataplane,
			    struct dataplane_port_status *status);
	const struct dataplane *dataplane;
	uint32_t worker_count;
	struct counter_source counters[NODE_COUNTER_SOURCES]; /* shown one after the other */
};

/* What the watch needs to know of the node. All borrowed and outliving the watch. */
struct node_facts {
	const struct options *options;
	const struct world *world;
	struct log *log;
	enum idle_mode idle;
	bool huge_pages;
};

/* A worker without a heartbeat for so long is stalled. */
#define NODE_WATCH_STALLED_MS 2000u

/* The last two samples and what follows from them.
 *
 * Thread safety: control thread only.
 */
struct node_watch;

/* NULL when out of memory. 'source' is copied; its tables have REPORT_COUNTER_MAX rows at most, together. */
struct node_watch *node_watch_create(const struct node_facts *facts,
				     const struct node_source *source);
/* Accepts NULL. */
void node_watch_destroy(struct node_watch *watch);

/* Takes a sample; logs a worker that stalls, and one that beats again. Called about once a second.
 */
void node_watch_sample(struct node_watch *watch);

/* Whether a worker was stalled at the last sample. */
bool node_watch_is_stalled(const struct node_watch *watch);

/* Fills 'report': values of now, rates of the last whole sample interval. */
void node_watch_report(const struct node_watch *watch, struct node_report *report);

#endif
