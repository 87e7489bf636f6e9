/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening of flows, and their HELLOs. */
#include "dataplane/loadgen/load_connect.h"

#define HELLO_GAP_SECONDS 0.1
#define HELLO_TRIES_MAX 50u

static void add_flow(struct load_worker *worker, uint16_t server_worker)
{
	const struct load_settings *settings = worker->settings;
	uint32_t ops_max = settings->ops_per_datagram > settings->load_ops_per_datagram
				   ? settings->ops_per_datagram
				   : settings->load_ops_per_datagram;
	uint32_t index = worker->flow_count;
	uint64_t nonce = rng_mix(settings->seed ^ clock_now()) + index;
	struct flow *flow = flow_create(index, server_worker, ops_max, nonce);

	if (!flow) {
		load_worker_fail(worker, "no memory for flow %u", index);
		return;
	}
	worker->flows[worker->flow_count++] = flow;
	worker->transport->ops->open_flow(worker->transport, index,
					  (uint16_t)(settings->server_port + server_worker),
					  worker->failure, sizeof(worker->failure));
	if (settings->echo) {
		flow->state = FLOW_OPEN;
		flow->session_id = index + 1;
		flow->token = nonce;
	}
}

static uint32_t flows_wanted(const struct load_worker *worker)
{
	uint32_t wanted = worker->settings->flows_per_server_worker * worker->source.server_workers;

	return wanted < TRANSPORT_FLOW_COUNT_MAX ? wanted : TRANSPORT_FLOW_COUNT_MAX;
}

/* What the first grant tells: how many workers the server has, and whether our datagrams fit. */
static void meet_server(struct load_worker *worker)
{
	const struct load_settings *settings = worker->settings;
	const struct wire_hello_reply *server = &worker->server;
	struct transport *transport = worker->transport;
	uint32_t need = workload_datagram_size_max(&settings->workload, settings->ops_per_datagram);

	if (server->worker_count == 0 || server->worker_count > TRANSPORT_FLOW_COUNT_MAX ||
	    server->partition_count == 0 ||
	    (server->partition_count & (server->partition_count - 1)) != 0)
		load_worker_fail(
			worker,
			"the server's HELLO_REPLY makes no sense: %u workers, %u partitions",
			server->worker_count, server->partition_count);
	else if (need > server->datagram_size_max)
		load_worker_fail(
			worker,
			"%u operations per datagram need up to %u bytes, the server's limit is %u: "
			"use fewer with --ops, or smaller values",
			settings->ops_per_datagram, need, server->datagram_size_max);
	else if (settings->workload.format.value_size_max > server->value_size_max)
		load_worker_fail(worker,
				 "values of %u bytes are too large: the server's limit is %u",
				 settings->workload.format.value_size_max, server->value_size_max);
	else if (load_source_route(&worker->source, server->worker_count, server->partition_count) <
		 0)
		load_worker_fail(worker, "no memory for routing to %u server workers",
				 server->worker_count);
	else
		transport->ops->meet_server(transport, server->worker_count, worker->failure,
					    sizeof(worker->failure));
}

void load_connect_step(struct load_worker *worker)
{
	uint32_t open = 0;

	for (uint32_t i = 0; i < worker->flow_count; i++)
		open += worker->flows[i]->state == FLOW_OPEN;
	if (open != worker->flow_count)
		return;
	if (worker->flow_count == 0) {
		add_flow(worker, 0);
		return;
	}
	if (worker->flow_count == 1 && !worker->settings->echo)
		meet_server(worker);
	while (worker->failure[0] == '\0' && worker->flow_count < flows_wanted(worker))
		add_flow(worker, (uint16_t)(worker->flow_count % worker->source.server_workers));
	worker->exhausted = open >= flows_wanted(worker);
}

static void send_hello(struct load_worker *worker, struct flow *flow, uint64_t now)
{
	struct transport *transport = worker->transport;
	struct transport_datagram datagram;

	if (flow->hellos >= HELLO_TRIES_MAX) {
		load_worker_fail(worker,
				 "no answer to HELLO from port %u of the server: is it up, and is "
				 "the address right?",
				 worker->settings->server_port + flow->server_worker);
		return;
	}
	if (transport->ops->acquire(transport, &datagram, 1) == 0)
		return;
	flow_write_hello(flow, datagram.payload);
	datagram.size = FLOW_HELLO_SIZE;
	datagram.flow = flow->index;
	transport->ops->send(transport, &datagram, 1);
	flow->hello_sent = now;
	flow->hellos++;
}

void load_connect_greet(struct load_worker *worker, uint64_t now)
{
	uint64_t gap = clock_ticks(&worker->settings->clock, HELLO_GAP_SECONDS);

	for (uint32_t i = 0; i < worker->flow_count; i++) {
		struct flow *flow = worker->flows[i];

		if (flow->state == FLOW_OPEN && flow->sequence_next >= FLOW_SEQUENCE_LAST &&
		    flow->sequence_oldest == flow->sequence_next)
			flow_renew(flow);
		if (flow->state != FLOW_OPEN && now - flow->hello_sent > gap)
			send_hello(worker, flow, now);
	}
}
