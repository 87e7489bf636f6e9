/* SPDX-License-Identifier: BSD-3-Clause */
/* The node's own pages: a report, as JSON or as metrics. */
#include "controlplane/admin_routes.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "controlplane/metrics_page.h"

static json_t *ipv4_json(uint32_t ipv4)
{
	struct in_addr address = { htonl(ipv4) };
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	return json_string(text);
}

static json_t *port_json(const struct node_report *report)
{
	const struct dataplane_port_status *port = &report->port;
	const uint8_t *m = port->mac;
	char mac[24];

	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4],
		 m[5]);
	return json_pack("{ss ss ss si si sb sb sI}", "kind", report->port_kind, "device",
			 port->device, "mac", mac, "mtu", port->mtu, "queues", port->queues,
			 "link_up", port->link_up, "steers_by_flow_rule", port->steers_by_flow_rule,
			 "rx_missed", (json_int_t)port->rx_missed);
}

static json_t *worker_json(const struct node_report *report, uint32_t index)
{
	const struct report_worker *worker = &report->workers[index];
	const struct shard_stats *shard = &worker->status.shard;

	return json_pack(
		"{si si ss sI sI sf sf sI sI sI sI sI sb sI sI sI sI sI}", "worker", index, "lcore",
		worker->lcore, "state", worker->stalled_ms ? "stalled" : "ok", "stalled_ms",
		(json_int_t)worker->stalled_ms, "heartbeats", (json_int_t)worker->status.heartbeats,
		"turns_per_s", worker->turns_per_s, "busy_share", worker->busy_share, "sessions",
		(json_int_t)worker->status.sessions, "items", (json_int_t)shard->items,
		"item_bytes", (json_int_t)shard->item_bytes, "allocated_bytes",
		(json_int_t)shard->pool.bytes_allocated, "index_capacity",
		(json_int_t)shard->index_capacity, "is_growing", shard->is_growing, "index_grown",
		(json_int_t)shard->index_grown, "expired", (json_int_t)shard->expired, "evicted",
		(json_int_t)shard->evicted, "relocated", (json_int_t)shard->relocated,
		"retired_pending", (json_int_t)shard->retired_pending);
}

json_t *admin_status_json(const struct node_report *report)
{
	json_t *workers = json_array();
	struct report_totals totals;

	node_report_totals(report, &totals);
	for (uint32_t i = 0; workers && i < report->worker_count; i++)
		json_array_append_new(workers, worker_json(report, i));
	return json_pack(
		"{s{ss ss ss si sI sI} s{so si si ss so} s{sI sI sb} s{sI sI} s{sf} sI si so}",
		"node", "name", report->name, "state", report->state, "version", report->version,
		"pid", report->pid, "started_unix_ms", (json_int_t)report->started_unix_ms,
		"uptime_ms", (json_int_t)report->uptime_ms, "data", "address",
		ipv4_json(report->ipv4), "prefix", report->ipv4_prefix, "udp_port",
		report->udp_port, "idle", report->idle, "port", port_json(report), "memory",
		"limit_bytes", (json_int_t)report->memory_limit_bytes, "allocated_bytes",
		(json_int_t)totals.allocated_bytes, "huge_pages", report->huge_pages, "items",
		"count", (json_int_t)totals.items, "bytes", (json_int_t)totals.item_bytes, "rates",
		"operations_per_s", report->operations_per_s, "sessions",
		(json_int_t)totals.sessions, "partitions", report->partitions, "workers", workers);
}

json_t *admin_counters_json(const struct node_report *report)
{
	json_t *counters = json_array();

	for (uint32_t i = 0; counters && i < report->counter_count; i++) {
		const struct report_counter *counter = &report->counters[i];

		json_array_append_new(counters,
				      json_pack("{ss sI sf ss}", "name", counter->name, "value",
						(json_int_t)counter->value, "per_second",
						counter->per_second, "help", counter->help));
	}
	return json_pack("{sI so}", "uptime_ms", (json_int_t)report->uptime_ms, "counters",
			 counters);
}

/* Reports are large: kept off the stack. */
static struct node_report *report_create(const struct node_watch *watch)
{
	struct node_report *report = malloc(sizeof(*report));

	if (report)
		node_watch_report(watch, report);
	return report;
}

static void handle_status(void *context, const struct admin_request *request,
			  struct admin_reply *reply)
{
	struct node_report *report = report_create(context);

	(void)request;
	if (report)
		reply->json = admin_status_json(report);
	free(report);
}

static void handle_counters(void *context, const struct admin_request *request,
			    struct admin_reply *reply)
{
	struct node_report *report = report_create(context);

	(void)request;
	if (report)
		reply->json = admin_counters_json(report);
	free(report);
}

static void handle_metrics(void *context, const struct admin_request *request,
			   struct admin_reply *reply)
{
	struct node_report *report = report_create(context);

	(void)request;
	if (report && metrics_page_write(report, reply->text) == 0)
		reply->content_type = METRICS_PAGE_CONTENT_TYPE;
	free(report);
}

const struct admin_route admin_routes_node[] = {
	{ ADMIN_GET, "/v1/status", handle_status },
	{ ADMIN_GET, "/v1/counters", handle_counters },
	{ ADMIN_GET, "/metrics", handle_metrics },
	{ ADMIN_GET, NULL, NULL },
};
