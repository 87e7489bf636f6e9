/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node can tell of itself at one moment: the source of status page, counters and metrics. */
#ifndef CONTROLPLANE_NODE_REPORT_H
#define CONTROLPLANE_NODE_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane.h"

#define REPORT_COUNTER_MAX 256u

struct report_worker {
	struct worker_status status;
	uint32_t lcore;
	uint64_t stalled_ms; /* since its heartbeat stopped; 0 = it beats */
	double turns_per_s;
	double busy_share; /* of the turns of the last second that found a packet, 0..1 */
};

struct report_counter {
	const char *name;
	const char *help;
	uint64_t value; /* since the node started */
	double per_second;
};

/* A copy; strings are constants or borrowed from the options. */
struct node_report {
	const char *name;
	const char *version;
	const char *state; /* "ready", "stalled" when a worker is */
	uint32_t pid;
	uint64_t started_unix_ms;
	uint64_t uptime_ms;

	uint32_t ipv4; /* host byte order */
	uint32_t ipv4_prefix;
	uint32_t udp_port;
	const char *port_kind;
	const char *idle;
	struct dataplane_port_status port;

	uint32_t partitions;
	uint64_t memory_limit_bytes;
	bool huge_pages;

	double operations_per_s;
	uint32_t worker_count;
	uint32_t counter_count;
	struct report_worker workers[WORKER_COUNT_MAX];
	struct report_counter counters[REPORT_COUNTER_MAX];
};

/* Sums over the workers. */
struct report_totals {
	uint64_t items;
	uint64_t item_bytes;      /* keys and values */
	uint64_t allocated_bytes; /* blocks handed out for items */
	uint64_t sessions;
};

void node_report_totals(const struct node_report *report, struct report_totals *totals);

#endif
