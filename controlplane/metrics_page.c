/* SPDX-License-Identifier: BSD-3-Clause */
/* Prometheus' text format: one family after the other, each with its help and type once. */
#include "controlplane/metrics_page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The page being written; 'failed' once memory ran out. */
struct page {
	struct evbuffer *buffer;
	bool failed;
};

__attribute__((format(printf, 2, 3))) static void print(struct page *page, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	if (evbuffer_add_vprintf(page->buffer, format, arguments) < 0)
		page->failed = true;
	va_end(arguments);
}

static void print_head(struct page *page, const char *name, const char *type, const char *help)
{
	print(page, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Counters that are one metric with a label. */
static const struct family {
	const char *prefix;
	const char *metric;
	const char *label;
	const char *help;
} families[] = {
	{ "op_", "godwit_operations_total", "operation", "Operations executed." },
	{ "status_", "godwit_replies_total", "status", "Operations by how they were answered." },
	{ "drop_", "godwit_dropped_total", "reason", "Frames dropped, by the one reason of each." },
};
#define FAMILY_COUNT (sizeof(families) / sizeof(families[0]))

static const struct family *family_of(const char *counter)
{
	for (size_t i = 0; i < FAMILY_COUNT; i++) {
		if (strncmp(counter, families[i].prefix, strlen(families[i].prefix)) == 0)
			return &families[i];
	}
	return NULL;
}

static void print_family(struct page *page, const struct node_report *report,
			 const struct family *family)
{
	print_head(page, family->metric, "counter", family->help);
	for (uint32_t i = 0; i < report->counter_count; i++) {
		const struct report_counter *counter = &report->counters[i];

		if (family_of(counter->name) == family)
			print(page, "%s{%s=\"%s\"} %" PRIu64 "\n", family->metric, family->label,
			      counter->name + strlen(family->prefix), counter->value);
	}
}

static void print_counters(struct page *page, const struct node_report *report)
{
	char name[128];

	for (size_t i = 0; i < FAMILY_COUNT; i++)
		print_family(page, report, &families[i]);
	for (uint32_t i = 0; i < report->counter_count; i++) {
		const struct report_counter *counter = &report->counters[i];

		if (family_of(counter->name))
			continue;
		snprintf(name, sizeof(name), "godwit_%s_total", counter->name);
		print_head(page, name, "counter", counter->help);
		print(page, "%s %" PRIu64 "\n", name, counter->value);
	}
}

/* Numbers each worker has. */
#define GAUGE_VALUE(function, expression)                                                          \
	static double function(const struct report_worker *worker)                                 \
	{                                                                                          \
		return (double)(expression);                                                       \
	}
GAUGE_VALUE(items, worker->status.shard.items)
GAUGE_VALUE(item_bytes, worker->status.shard.item_bytes)
GAUGE_VALUE(allocated_bytes, worker->status.shard.pool.bytes_allocated)
GAUGE_VALUE(index_capacity, worker->status.shard.index_capacity)
GAUGE_VALUE(retired, worker->status.shard.retired_pending)
GAUGE_VALUE(sessions, worker->status.sessions)
GAUGE_VALUE(busy_share, worker->busy_share)
GAUGE_VALUE(stalled_s, (double)worker->stalled_ms / 1000)
GAUGE_VALUE(expired, worker->status.shard.expired)
GAUGE_VALUE(evicted, worker->status.shard.evicted)

static const struct {
	const char *name;
	const char *type;
	const char *help;
	double (*value)(const struct report_worker *worker);
} gauges[] = {
	{ "godwit_items", "gauge", "Items stored.", items },
	{ "godwit_item_bytes", "gauge", "Bytes of their keys and values.", item_bytes },
	{ "godwit_item_allocated_bytes", "gauge", "Bytes of memory they take.", allocated_bytes },
	{ "godwit_index_capacity", "gauge", "Items the index has room for.", index_capacity },
	{ "godwit_retired_items", "gauge", "Items waiting to be freed.", retired },
	{ "godwit_sessions", "gauge", "Client sessions.", sessions },
	{ "godwit_worker_busy_ratio", "gauge", "Turns that found a packet.", busy_share },
	{ "godwit_worker_stalled_seconds", "gauge", "Since the heartbeat stopped.", stalled_s },
	{ "godwit_expired_total", "counter", "Items removed when their time was over.", expired },
	{ "godwit_evicted_total", "counter", "Items evicted for room.", evicted },
};

static void print_workers(struct page *page, const struct node_report *report)
{
	for (size_t i = 0; i < sizeof(gauges) / sizeof(gauges[0]); i++) {
		print_head(page, gauges[i].name, gauges[i].type, gauges[i].help);
		for (uint32_t worker = 0; worker < report->worker_count; worker++)
			print(page, "%s{worker=\"%u\"} %.17g\n", gauges[i].name, worker,
			      gauges[i].value(&report->workers[worker]));
	}
}

static void print_node(struct page *page, const struct node_report *report)
{
	print_head(page, "godwit_info", "gauge", "The node; the value is always 1.");
	print(page, "godwit_info{node=\"%s\",version=\"%s\"} 1\n", report->name, report->version);
	print_head(page, "godwit_start_time_seconds", "gauge", "Unix time of the start.");
	print(page, "godwit_start_time_seconds %.3f\n", (double)report->started_unix_ms / 1000);
	print_head(page, "godwit_memory_limit_bytes", "gauge", "Memory items may take.");
	print(page, "godwit_memory_limit_bytes %" PRIu64 "\n", report->memory_limit_bytes);
	print_head(page, "godwit_port_up", "gauge", "Whether the port's link is up.");
	print(page, "godwit_port_up %d\n", report->port.link_up);
	print_head(page, "godwit_port_missed_total", "counter",
		   "Frames the device lost before a worker saw them.");
	print(page, "godwit_port_missed_total %" PRIu64 "\n", report->port.rx_missed);
}

int metrics_page_write(const struct node_report *report, struct evbuffer *buffer)
{
	struct page page = { buffer, false };

	print_node(&page, report);
	print_workers(&page, report);
	print_counters(&page, report);
	return page.failed ? -ENOMEM : 0;
}
