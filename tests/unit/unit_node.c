/* SPDX-License-Identifier: BSD-3-Clause */
/* Cores put together without port, threads and clocks. */
#include "tests/unit/unit_node.h"

#include <rte_mempool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "dataplane/core_burst.h"
#include "dataplane/core_loop.h"
#include "dataplane/core_outbox.h"
#include "dataplane/packet_build.h"
#include "dataplane/request_park.h"
#include "dataplane/wire_hello.h"
#include "storage/item_memory.h"
#include "tests/unit/unit.h"

#define START_MS UINT64_C(1700000000000)

static const uint8_t node_mac[6] = { 0x02, 0x47, 0, 0, 0, 1 }; /* of node 0; the last but one numbers */
static const uint8_t client_mac[6] = { 0x02, 0x47, 0, 0, 0, 2 };

static void require(bool what, const char *text)
{
	if (!what) {
		fprintf(stderr, "unit_node: %s\n", text);
		abort();
	}
}

/* One pool for the whole process: nodes come and go. */
static struct rte_mempool *mbuf_pool(void)
{
	struct rte_mempool *pool = rte_mempool_lookup("unit_node");

	if (!pool)
		pool = rte_pktmbuf_pool_create("unit_node", 2047, 0, sizeof(struct core_mail),
					       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	require(pool, "no mbuf pool");
	return pool;
}

/* A pool whose one buffer is taken. */
static struct rte_mempool *empty_pool(void)
{
	struct rte_mempool *pool = rte_mempool_lookup("unit_node_empty");

	if (pool)
		return pool;
	pool = rte_pktmbuf_pool_create("unit_node_empty", 1, 0, sizeof(struct core_mail),
				       RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	require(pool && rte_pktmbuf_alloc(pool), "no empty pool");
	return pool;
}

void unit_node_mac(uint8_t mac[6], uint32_t number)
{
	memcpy(mac, node_mac, 6);
	mac[4] = (uint8_t)number;
}

static uint32_t or_default(uint32_t value, uint32_t value_default)
{
	return value ? value : value_default;
}

static void create_shared(struct unit_node *node, const struct unit_node_options *options)
{
	struct core_shared *shared = aligned_alloc(64, sizeof(*shared));
	const struct wire_map_node self = { UNIT_NODE_IPV4 + options->number, UNIT_NODE_PORT,
					    (uint16_t)or_default(options->worker_count, 1) };
	uint8_t mac[6];

	require(shared, "no memory");
	memset(shared, 0, sizeof(*shared));
	node->shared = shared;
	shared->worker_count = self.worker_count;
	shared->partition_count = or_default(options->partition_count, 64);
	shared->datagram_size_max = UNIT_NODE_DATAGRAM_MAX;
	shared->value_size_max = UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE - WIRE_REPLY_OP_SIZE;
	shared->boot_id = 77 + options->life;
	unit_node_mac(mac, options->number);
	packet_local_init(&shared->local, mac, self.ipv4, UNIT_NODE_PORT, self.worker_count);
	shared->pool = mbuf_pool();
	memset(shared->key_secret.bytes, 0x5a, sizeof(shared->key_secret.bytes));
	for (uint32_t p = 0; p < shared->partition_count; p++)
		shared->worker_of[p] = (uint8_t)(p % shared->worker_count);
	node->route = route_table_create((uint16_t)shared->partition_count, &self, 1, 0);
	route_publish(&shared->route, node->route);
	require(mailbox_grid_create(&shared->mailboxes, shared->worker_count,
				    or_default(options->mailbox_capacity, 64)) == 0,
		"no mailboxes");
}

static void create_core(struct unit_node *node, const struct unit_node_options *options, uint32_t i)
{
	struct core_parts parts = { .shared = node->shared, .index = i };
	struct replay_options replay = { 64, 256, 16 };
	static uint32_t made; /* a test that failed half way leaves its nodes, and their names, behind */
	uint8_t seed[SESSION_SEED_SIZE];
	char name[16];
	struct shard_options shard = {
		.name = name,
		.worker_index = i,
		.worker_count = node->shared->worker_count,
		.partition_count = node->shared->partition_count,
		.capacity_initial = 1023,
		.eviction = options->is_evicting ? EVICTION_ON : EVICTION_NONE,
		.memory = node->memory,
		.period = node->period,
		.secret = &node->shared->key_secret,
	};

	snprintf(name, sizeof(name), "unit%u", made++ % 1000000);
	memset(seed, (int)(16 * options->number + i) + 1, sizeof(seed));
	for (size_t at = 0; at < sizeof(seed); at += 16)
		memcpy(seed + at, &options->life, sizeof(options->life));
	require(shard_create(&parts.shard, &shard) == 0, "no shard");
	require(session_table_create(&parts.sessions, i, or_default(options->session_count, 64),
				     seed) == 0,
		"no sessions");
	require(replay_table_create(&parts.replay, &replay) == 0, "no replay windows");
	require(core_create(&node->cores[i], &parts) == 0, "no core");
	node->cores[i]->now_ms = START_MS;
	node->cores[i]->route = node->route;
}

void unit_node_create(struct unit_node *node, const struct unit_node_options *options)
{
	struct item_memory_options memory = { .limit_bytes = options->memory_limit_bytes };

	memset(node, 0, sizeof(*node));
	node->number = options->number;
	if (memory.limit_bytes == 0)
		memory.limit_bytes = 64u << 20;
	require(item_memory_create(&node->memory, &memory) == 0, "no item memory");
	node->period = aligned_alloc(64, sizeof(*node->period));
	require(node->period, "no memory");
	memset(node->period, 0, sizeof(*node->period));
	create_shared(node, options);
	for (uint32_t i = 0; i < node->shared->worker_count; i++)
		create_core(node, options, i);
}

void unit_node_destroy(struct unit_node *node)
{
	uint32_t worker_count = node->shared->worker_count;

	rte_pktmbuf_free_bulk(node->replies, node->reply_count);
	for (uint32_t i = 0; i < worker_count; i++) {
		struct core *core = node->cores[i];

		shard_destroy(core->shard);
		session_table_destroy(core->sessions);
		replay_table_destroy(core->replay);
		core_destroy(core);
	}
	mailbox_grid_destroy(node->shared->mailboxes);
	route_table_destroy(node->route);
	item_memory_destroy(node->memory);
	free(node->period);
	free(node->shared);
}

void unit_node_settle_once(struct unit_node *node)
{
	node->period->started++;
	node->period->completed = node->period->started;
	for (uint32_t i = 0; i < node->shared->worker_count; i++) {
		shard_housekeeping(node->cores[i]->shard);
		shard_background(node->cores[i]->shard, node->cores[i]->now_ms, 4096);
	}
}

static void collect(struct unit_node *node, struct core *core)
{
	for (uint32_t i = 0; i < core->tx_count; i++) {
		require(node->reply_count < UNIT_NODE_REPLY_MAX, "too many answers");
		node->replies[node->reply_count++] = core->tx[i];
	}
	core->tx_count = 0;
	core_outbox_flush(core);
}

static bool is_stalled(const struct unit_node *node, uint32_t worker)
{
	return node->stalled >> worker & 1;
}

static bool deliver_mail(struct unit_node *node, uint32_t to)
{
	uint64_t senders = mailbox_take_senders(node->shared->mailboxes, to);
	struct rte_mbuf *mbufs[PORT_BURST_MAX];
	bool any = senders != 0;

	for (; senders; senders &= senders - 1) {
		uint32_t from = (uint32_t)__builtin_ctzll(senders);
		uint32_t count;

		while ((count = mailbox_receive(node->shared->mailboxes, from, to, mbufs,
						PORT_BURST_MAX)) > 0) {
			core_process_mail(node->cores[to], mbufs, count);
			collect(node, node->cores[to]);
		}
	}
	return any;
}

static void deliver(struct unit_node *node)
{
	bool any = true;

	while (any) {
		any = false;
		for (uint32_t to = 0; to < node->shared->worker_count; to++)
			any |= !is_stalled(node, to) && deliver_mail(node, to);
	}
	rcu_quiescent_state();
}

void unit_node_unpark(struct unit_node *node)
{
	for (uint32_t i = 0; i < node->shared->worker_count; i++) {
		bool more = node->cores[i]->parking.count > 0 && !is_stalled(node, i);

		while (more) {
			more = request_unpark(node->cores[i]);
			collect(node, node->cores[i]);
		}
	}
	deliver(node);
}

void unit_node_set_routes(struct unit_node *node, struct route_table *table)
{
	const struct route_network network = { .ipv4 = UNIT_NODE_IPV4 + node->number };

	require(route_meet_neighbors(table, node->route, &network) == 0, "no neighbours");
	table->serial = ++node->route_serial;
	route_table_destroy(route_publish(&node->shared->route, table));
	node->route = table;
	for (uint32_t i = 0; i < node->shared->worker_count; i++)
		core_take_route(node->cores[i]);
	unit_node_unpark(node);
}

void unit_node_set_access(struct unit_node *node, uint32_t partition, enum route_access access)
{
	struct route_table *table = route_table_copy(node->route);

	require(table, "no memory");
	for (uint32_t p = 0; p < table->partition_count; p++) {
		uint8_t before = node->route->access[p];

		if (before >= ROUTE_WRITES_PARKED)
			table->access[p] = before;
	}
	table->access[partition] = (uint8_t)access;
	unit_node_set_routes(node, table);
}

void unit_node_command(struct unit_node *node, struct partition_command *command)
{
	struct core *core = node->cores[node->shared->worker_of[command->partition]];

	command->is_finished = false;
	command->records_applied = 0;
	command->stuck_since_ms = 0;
	require(rte_ring_sp_enqueue(core->commands, command) == 0, "too many commands");
	while (!partition_command_is_done(command)) {
		partition_command_run(core, 32);
		unit_node_settle_once(node);
	}
}

void unit_node_advance(struct unit_node *node, uint64_t ms)
{
	for (uint32_t i = 0; i < node->shared->worker_count; i++)
		node->cores[i]->now_ms += ms;
}

void unit_node_settle(struct unit_node *node)
{
	for (uint32_t turn = 0; turn < 64; turn++)
		unit_node_settle_once(node);
}

/* ---- packets ---- */

void unit_node_set_out_of_buffers(struct unit_node *node, bool is_out)
{
	node->shared->pool = is_out ? empty_pool() : mbuf_pool();
}

void unit_node_receive(struct unit_node *node, uint32_t worker, const uint8_t *const *frames,
		       const size_t *sizes, uint32_t count)
{
	struct rte_mbuf *mbufs[PORT_BURST_MAX];

	if (node->shared->pool != mbuf_pool()) {
		node->missed += count;
		count = 0;
	}
	for (uint32_t i = 0; i < count; i++) {
		mbufs[i] = rte_pktmbuf_alloc(mbuf_pool());
		require(mbufs[i], "out of mbufs: leaked?");
		if (node->buffer_noise)
			memset(mbufs[i]->buf_addr, node->buffer_noise, mbufs[i]->buf_len);
		memcpy(rte_pktmbuf_append(mbufs[i], (uint16_t)sizes[i]), frames[i], sizes[i]);
	}
	core_process_burst(node->cores[worker], mbufs, count);
	collect(node, node->cores[worker]);
	deliver(node);
}

size_t unit_node_take(struct unit_node *node, uint8_t *frame)
{
	struct rte_mbuf *mbuf = node->replies[0];
	size_t size;

	if (node->reply_count == 0)
		return 0;
	size = mbuf->data_len;
	require(mbuf->pkt_len == size && mbuf->nb_segs == 1 && size <= 2048, "a strange mbuf");
	memcpy(frame, rte_pktmbuf_mtod(mbuf, void *), size);
	rte_pktmbuf_free(mbuf);
	node->reply_count--;
	memmove(node->replies, node->replies + 1, node->reply_count * sizeof(node->replies[0]));
	return size;
}

uint64_t unit_node_counter(const struct unit_node *node, const char *name)
{
	uint64_t sum = 0;
	uint32_t counter = 0;

	while (counter < CORE_COUNTER_COUNT &&
	       strcmp(core_counter_table.rows[counter].name, name) != 0)
		counter++;
	require(counter < CORE_COUNTER_COUNT, name);
	for (uint32_t i = 0; i < node->shared->worker_count; i++)
		sum += core_counter_read(&node->cores[i]->counters, counter);
	return sum;
}

/* ---- the client ---- */

size_t unit_frame(uint8_t *frame, const struct unit_client *client, uint32_t worker,
		  const struct unit_datagram *datagram)
{
	struct packet_flow flow = {
		.source_ipv4 = client->ipv4,
		.destination_ipv4 = UNIT_NODE_IPV4 + client->node,
		.source_port = client->port,
		.destination_port = (uint16_t)(UNIT_NODE_PORT + worker),
	};

	memcpy(flow.source_mac, client_mac, sizeof(flow.source_mac));
	unit_node_mac(flow.destination_mac, client->node);
	memcpy(frame + PACKET_AT_UDP_PAYLOAD, datagram->payload, datagram->size);
	return packet_build_udp(frame, &flow, datagram->size, UDP_CHECKSUM_SOFTWARE);
}

size_t unit_check_answer(const struct unit_client *client, uint32_t worker, const uint8_t *frame,
			 size_t size, uint8_t *payload)
{
	struct packet_local local;
	struct packet_view view;

	packet_local_init(&local, client_mac, client->ipv4, client->port, 1);
	CU_ASSERT_EQUAL_FATAL(packet_parse(&local, frame, size, PACKET_CHECKED_NOTHING, &view),
			      DROP_NONE);
	CU_ASSERT_EQUAL(view.source_ipv4, UNIT_NODE_IPV4 + client->node);
	CU_ASSERT_EQUAL(view.source_port, UNIT_NODE_PORT + worker);
	CU_ASSERT_TRUE(view.payload_size <= UNIT_NODE_PAYLOAD_MAX);
	CU_ASSERT_EQUAL(size, PACKET_HEADERS_SIZE + (size_t)view.payload_size);
	memcpy(payload, view.payload, view.payload_size);
	return view.payload_size;
}

size_t unit_exchange(struct unit_node *node, const struct unit_client *client, uint32_t worker,
		     const struct unit_datagram *datagram, uint8_t *payload)
{
	uint8_t frame[2048];
	const uint8_t *frames[1] = { frame };
	size_t size = unit_frame(frame, client, worker, datagram);

	unit_node_receive(node, worker, frames, &size, 1);
	size = unit_node_take(node, frame);
	CU_ASSERT_EQUAL(node->reply_count, 0);
	return size == 0 ? 0 : unit_check_answer(client, worker, frame, size, payload);
}

static bool hello(struct unit_node *node, struct unit_client *client, uint32_t worker,
		  uint64_t challenge, struct wire_hello_reply *reply)
{
	struct wire_hello body = { .client_nonce = 99, .challenge = challenge };
	struct wire_header header = { .kind = WIRE_HELLO };
	struct unit_datagram datagram = { .size = WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE };
	uint8_t payload[2048];
	size_t size;

	wire_header_write(datagram.payload, &header);
	wire_hello_write(datagram.payload + WIRE_HEADER_SIZE, &body);
	size = unit_exchange(node, client, worker, &datagram, payload);
	if (!wire_header_read(payload, size, &header) || header.kind != WIRE_HELLO_REPLY)
		return false;
	client->session_id = header.session_id;
	client->token = header.token;
	return wire_hello_reply_read(payload + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, reply);
}

bool unit_client_hello(struct unit_node *node, struct unit_client *client, uint32_t worker)
{
	struct wire_hello_reply reply;

	if (!hello(node, client, worker, 0, &reply) || reply.stage != WIRE_HELLO_CHALLENGE)
		return false;
	return hello(node, client, worker, reply.challenge, &reply) &&
	       reply.stage == WIRE_HELLO_GRANTED;
}

void unit_request_begin(struct unit_datagram *datagram, struct unit_client *client)
{
	struct wire_header header = {
		.kind = WIRE_REQUEST,
		.session_id = client->session_id,
		.token = client->token,
		.sequence = ++client->sequence,
		.map_version = 1,
	};

	datagram->size = WIRE_HEADER_SIZE;
	wire_header_write(datagram->payload, &header);
}

void unit_request_add(struct unit_datagram *datagram, const struct wire_request_op *op)
{
	require(datagram->size + wire_request_op_size(op) <= sizeof(datagram->payload),
		"the request is too long");
	wire_request_op_write(datagram->payload + datagram->size, op);
	datagram->size += wire_request_op_size(op);
	datagram->payload[WIRE_AT_OP_COUNT]++;
}
