/* SPDX-License-Identifier: BSD-3-Clause */
/* Cycles of one polling core per packet, over a memif pair between two threads: what a turn of 32 packets costs beside an
 * echo of the same frames. The sender is as simple as can be and always ahead, so every turn is full, and the median of
 * the turns does not see what else runs on the machine.
 *
 *      lcore 1: core_turn(), or an echo        lcore 2: prepared frames out, answers thrown away
 *
 * Usage: bench_core EAL-ARGUMENTS -- [KEYS [TEST]]
 */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ether.h>
#include <rte_launch.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "dataplane/core_burst.h"
#include "dataplane/core_loop.h"
#include "dataplane/packet_build.h"
#include "dataplane/wire_hello.h"
#include "storage/grace_thread.h"
#include "storage/item_memory.h"

#define SERVER_IPV4 0x0a4d0001u
#define CLIENT_IPV4 0x0a4d0002u
#define UDP_PORT 7700u
#define FRAMES 512u
#define SAMPLES_MAX (1u << 20)
#define ROUNDS 3
#define KEY_SIZE 16u
#define VALUE_SIZE 32u

struct bench {
	uint64_t keys;
	uint32_t seconds;
	struct port *server;
	struct port *client;
	struct core_shared *shared;
	struct core *core;
	struct item_memory *memory;
	struct grace_period *period;
	struct grace_thread *grace;
	struct reader_registry *readers;
	uint32_t session_id;
	uint64_t token;
	uint32_t sequence;
	uint64_t random;
	uint32_t op_count; /* per frame */
	uint32_t op_size;  /* bytes */
	struct rte_mbuf *frames[FRAMES];
	bool sends; /* naturally atomic: whether the sender sends, and the server measures */
	bool ends;
	uint32_t *samples;
	uint32_t sample_count;
	uint64_t received; /* answers */
};

static void fail(const char *what)
{
	fprintf(stderr, "bench_core: %s\n", what);
	exit(EXIT_FAILURE);
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* ---- the node ---- */

static struct port *open_side(bool server)
{
	struct port_options options = { .kind = PORT_MEMIF, .memif_server = server };
	struct port_needs needs = { .name = server ? "bs" : "bc",
				    .queues = 1,
				    .mbuf_private_size = sizeof(struct core_mail),
				    .mbufs_held = 1024 + (server ? 0 : FRAMES) };
	struct port *port = NULL;
	char error[256];

	options.ipv4 = server ? SERVER_IPV4 : CLIENT_IPV4;
	snprintf(options.device, sizeof(options.device), "/tmp/bench-core-%d.sock", (int)getpid());
	if (port_open(&port, &options, &needs, error, sizeof(error)) < 0)
		fail(error);
	return port;
}

static void create_node(struct bench *b)
{
	static const struct wire_map_node self = { SERVER_IPV4, UDP_PORT, 1 };
	const struct item_memory_options memory = { .limit_bytes = 128u * (b->keys + (1u << 20)),
						    .huge_pages = true };
	uint8_t seed[SESSION_SEED_SIZE] = { 1, 2, 3 };
	struct core_parts parts = { 0 };
	struct shard_options shard = { .name = "bench", .worker_count = 1, .partition_count = 64 };

	b->shared = rte_zmalloc(NULL, sizeof(*b->shared), RTE_CACHE_LINE_SIZE);
	b->period = rte_zmalloc(NULL, sizeof(*b->period), RTE_CACHE_LINE_SIZE);
	if (!b->shared || !b->period || item_memory_create(&b->memory, &memory) < 0)
		fail("no memory");
	packet_local_init(&b->shared->local, b->server->mac, SERVER_IPV4, UDP_PORT, 1);
	b->shared->worker_count = 1;
	b->shared->partition_count = 64;
	b->shared->datagram_size_max = 1472;
	b->shared->value_size_max = 1432;
	b->shared->clock_epoch_ns = core_clock_epoch();
	b->shared->port = b->server;
	memset(&b->shared->key_secret, 0x77, sizeof(b->shared->key_secret));
	route_publish(&b->shared->route, route_table_create(64, &self, 1, 0));
	shard.capacity_initial = (uint32_t)(b->keys + b->keys / 2);
	shard.memory = b->memory;
	shard.period = b->period;
	shard.secret = &b->shared->key_secret;
	parts.shared = b->shared;
	if (mailbox_grid_create(&b->shared->mailboxes, 1, 31) < 0 ||
	    shard_create(&parts.shard, &shard) < 0 ||
	    session_table_create(&parts.sessions, 0, 0, seed) < 0 ||
	    replay_table_create(&parts.replay, NULL) < 0 || core_create(&b->core, &parts) < 0 ||
	    reader_registry_create(&b->readers) < 0 ||
	    grace_thread_start(&b->grace, b->period, &(struct grace_thread_options){ 0 }) < 0)
		fail("no memory for a node");
}

/* Grants a session without packets. */
static void open_session(struct bench *b)
{
	struct session_answer answer = { 0 };
	uint64_t now_ms = core_clock_now_ms(&b->core->clock, rte_rdtsc());

	session_hello(b->core->sessions, CLIENT_IPV4, 9, 1, 0, now_ms, &answer);
	if (session_hello(b->core->sessions, CLIENT_IPV4, 9, 1, answer.challenge, now_ms,
			  &answer) != SESSION_GRANTED)
		fail("no session");
	b->session_id = answer.session_id;
	b->token = answer.token;
}

/* ---- frames ---- */

static void write_frame(const struct bench *b, struct rte_mbuf *mbuf, uint8_t opcode,
			uint32_t op_count)
{
	const struct wire_header header = { .kind = WIRE_REQUEST,
					    .op_count = (uint8_t)op_count,
					    .session_id = b->session_id,
					    .token = b->token };
	struct packet_flow flow = { .source_ipv4 = CLIENT_IPV4,
				    .destination_ipv4 = SERVER_IPV4,
				    .source_port = 9,
				    .destination_port = UDP_PORT };
	uint8_t value[VALUE_SIZE] = "the value";
	uint8_t key[KEY_SIZE] = "a key of ";
	const struct wire_request_op op = {
		.opcode = opcode,
		.key_size = KEY_SIZE,
		.key = key,
		.value_size = opcode == WIRE_SET ? VALUE_SIZE : 0,
		.value = value,
	};
	uint8_t *frame, *at;

	rte_pktmbuf_reset(mbuf);
	frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
	at = frame + PACKET_AT_UDP_PAYLOAD + WIRE_HEADER_SIZE;
	wire_header_write(frame + PACKET_AT_UDP_PAYLOAD, &header);
	for (uint32_t i = 0; i < op_count; i++)
		at = wire_request_op_write(at, &op);
	memcpy(flow.source_mac, b->client->mac, 6);
	memcpy(flow.destination_mac, b->server->mac, 6);
	mbuf->data_len = (uint16_t)packet_build_udp(
		frame, &flow, (size_t)(at - frame) - PACKET_AT_UDP_PAYLOAD, UDP_CHECKSUM_ABSENT);
	mbuf->pkt_len = mbuf->data_len;
}

static void set_key(uint8_t *frame, uint32_t op_size, uint32_t i, uint64_t key)
{
	memcpy(frame + PACKET_AT_UDP_PAYLOAD + WIRE_HEADER_SIZE + i * op_size +
		       WIRE_REQUEST_OP_SIZE + 8,
	       &key, sizeof(key));
}

/* Gives a frame its next sequence and new random keys. */
static void renew_frame(struct bench *b, uint8_t *frame)
{
	wire_put_u32(frame + PACKET_AT_UDP_PAYLOAD + WIRE_AT_SEQUENCE, ++b->sequence);
	for (uint32_t i = 0; i < b->op_count; i++)
		set_key(frame, b->op_size, i, next_random(&b->random) % b->keys);
}

static void load_frame(struct bench *b, struct rte_mbuf *mbuf, uint64_t key)
{
	uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);

	write_frame(b, mbuf, WIRE_SET, 1);
	wire_put_u32(frame + PACKET_AT_UDP_PAYLOAD + WIRE_AT_SEQUENCE, ++b->sequence);
	set_key(frame, 0, 0, key);
}

/* Stores every key, by bursts given to the core directly. */
static void load(struct bench *b)
{
	b->core->route = b->shared->route;
	b->core->now_ms = 1;
	for (uint64_t stored = 0; stored < b->keys; stored += PORT_BURST_MAX) {
		struct rte_mbuf *mbufs[PORT_BURST_MAX];

		if (rte_pktmbuf_alloc_bulk(b->server->pool, mbufs, PORT_BURST_MAX) < 0)
			fail("no mbufs");
		for (uint32_t i = 0; i < PORT_BURST_MAX; i++)
			load_frame(b, mbufs[i], stored + i);
		b->core->now_ms = core_clock_now_ms(&b->core->clock, rte_rdtsc());
		for (uint32_t i = 0; i < PORT_BURST_MAX; i++) {
			core_process_burst(b->core, &mbufs[i], 1);
			if (b->core->tx_count != 1)
				fail("a SET was not answered");
			rte_pktmbuf_free(b->core->tx[0]);
			b->core->tx_count = 0;
		}
		shard_background(b->core->shard, b->core->now_ms, 64);
	}
}

/* ---- the threads ---- */

static int run_sender(void *context)
{
	struct bench *b = context;
	struct rte_mbuf *mbufs[PORT_BURST_MAX];
	uint32_t at = 0;

	while (!__atomic_load_n(&b->ends, __ATOMIC_ACQUIRE)) {
		uint16_t n = port_receive(b->client, 0, mbufs, PORT_BURST_MAX);
		uint16_t sent;

		rte_pktmbuf_free_bulk(mbufs, n);
		b->received += n;
		if (!__atomic_load_n(&b->sends, __ATOMIC_ACQUIRE))
			continue;
		/* a second reference keeps the frames from being freed */
		for (uint32_t i = 0; i < PORT_BURST_MAX; i++) {
			mbufs[i] = b->frames[(at + i) % FRAMES];
			renew_frame(b, rte_pktmbuf_mtod(mbufs[i], uint8_t *));
			rte_mbuf_refcnt_set(mbufs[i], 2);
		}
		sent = port_transmit(b->client, 0, mbufs, PORT_BURST_MAX);
		at = (at + sent) % FRAMES;
	}
	return 0;
}

static void note(struct bench *b, uint64_t cycles)
{
	if (b->sample_count < SAMPLES_MAX)
		b->samples[b->sample_count++] = (uint32_t)cycles;
}

static int run_core(void *context)
{
	struct bench *b = context;
	struct core *core = b->core;

	core->reader = reader_register(b->readers, "bench");
	while (!__atomic_load_n(&b->ends, __ATOMIC_ACQUIRE)) {
		uint64_t frames = core_counter_read(&core->counters, COUNT_FRAMES_RECEIVED);
		uint64_t start = rte_rdtsc();

		core_turn(core);
		reader_quiescent(core->reader);
		if (core_counter_read(&core->counters, COUNT_FRAMES_RECEIVED) - frames ==
		    PORT_BURST_MAX)
			note(b, rte_rdtsc() - start);
	}
	reader_unregister(core->reader);
	return 0;
}

/* The core without ports: bursts by function call, only core_process_burst() timed. */
static int run_alone(void *context)
{
	struct bench *b = context;
	struct core *core = b->core;
	struct rte_mbuf *mbufs[PORT_BURST_MAX];
	uint32_t at = 0;

	core->reader = reader_register(b->readers, "bench");
	while (!__atomic_load_n(&b->ends, __ATOMIC_ACQUIRE)) {
		uint64_t start;

		if (rte_pktmbuf_alloc_bulk(b->server->pool, mbufs, PORT_BURST_MAX) < 0)
			fail("no mbufs");
		for (uint32_t i = 0; i < PORT_BURST_MAX; i++, at++) {
			const struct rte_mbuf *frame = b->frames[at % FRAMES];
			uint8_t *copy = (uint8_t *)rte_pktmbuf_append(mbufs[i], frame->data_len);

			rte_memcpy(copy, rte_pktmbuf_mtod(frame, void *), frame->data_len);
			renew_frame(b, copy);
		}
		core->now_ms = core_clock_now_ms(&core->clock, rte_rdtsc());
		core->route = rcu_dereference(core->shared->route);
		start = rte_rdtsc();
		core_process_burst(core, mbufs, PORT_BURST_MAX);
		note(b, rte_rdtsc() - start);
		rte_pktmbuf_free_bulk(core->tx, core->tx_count);
		core->tx_count = 0;
		shard_background(core->shard, core->now_ms, 16);
		reader_quiescent(core->reader);
	}
	reader_unregister(core->reader);
	return 0;
}

/* What testpmd's 5tswap does. */
static void swap(struct rte_mbuf *mbuf)
{
	uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
	uint8_t mac[6];
	uint32_t ipv4;
	uint16_t port;

	memcpy(mac, frame, 6);
	memcpy(frame, frame + 6, 6);
	memcpy(frame + 6, mac, 6);
	memcpy(&ipv4, frame + PACKET_AT_IPV4_SOURCE, 4);
	memcpy(frame + PACKET_AT_IPV4_SOURCE, frame + PACKET_AT_IPV4_DESTINATION, 4);
	memcpy(frame + PACKET_AT_IPV4_DESTINATION, &ipv4, 4);
	memcpy(&port, frame + PACKET_AT_UDP_SOURCE, 2);
	memcpy(frame + PACKET_AT_UDP_SOURCE, frame + PACKET_AT_UDP_DESTINATION, 2);
	memcpy(frame + PACKET_AT_UDP_DESTINATION, &port, 2);
}

static int run_echo(void *context)
{
	struct bench *b = context;
	struct rte_mbuf *mbufs[PORT_BURST_MAX];

	while (!__atomic_load_n(&b->ends, __ATOMIC_ACQUIRE)) {
		uint64_t start = rte_rdtsc();
		uint16_t n = port_receive(b->server, 0, mbufs, PORT_BURST_MAX);
		uint16_t sent;

		for (uint16_t i = 0; i < n; i++)
			swap(mbufs[i]);
		sent = n ? port_transmit(b->server, 0, mbufs, n) : 0;
		rte_pktmbuf_free_bulk(mbufs + sent, n - sent);
		if (n == PORT_BURST_MAX)
			note(b, rte_rdtsc() - start);
	}
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

struct test {
	const char *name;
	uint8_t opcode;
	uint32_t op_count;
	int (*run)(void *);
};

static const struct test tests[] = {
	{ "echo", WIRE_GET, 1, run_echo },    { "get1", WIRE_GET, 1, run_core },
	{ "get16", WIRE_GET, 16, run_core },  { "set1", WIRE_SET, 1, run_core },
	{ "a-get1", WIRE_GET, 1, run_alone }, { "a-get16", WIRE_GET, 16, run_alone },
	{ "a-set1", WIRE_SET, 1, run_alone }, { "a-set16", WIRE_SET, 16, run_alone },
};

/* Of the turns that took no more than four times the median: others were interrupted. */
static double mean_of(const struct bench *b)
{
	uint32_t limit = b->samples[b->sample_count / 2] * 4;
	uint64_t sum = 0;
	uint32_t count = 0;

	while (count < b->sample_count && b->samples[count] <= limit)
		sum += b->samples[count++];
	return (double)sum / count;
}

/* Prints cycles per packet: of the median turn, of the 10th percentile and on average. */
static void measure(struct bench *b, const struct test *test)
{
	double median, low, mean;

	b->op_count = test->op_count;
	b->op_size = WIRE_REQUEST_OP_SIZE + KEY_SIZE + (test->opcode == WIRE_SET ? VALUE_SIZE : 0);
	for (uint32_t i = 0; i < FRAMES; i++)
		write_frame(b, b->frames[i], test->opcode, test->op_count);
	b->sample_count = 0;
	b->received = 0;
	__atomic_store_n(&b->ends, false, __ATOMIC_RELEASE);
	__atomic_store_n(&b->sends, test->run != run_alone, __ATOMIC_RELEASE);
	if (rte_eal_remote_launch(run_sender, b, 2) < 0 ||
	    rte_eal_remote_launch(test->run, b, 1) < 0)
		fail("needs lcores 1 and 2");
	sleep(b->seconds);
	__atomic_store_n(&b->sends, false, __ATOMIC_RELEASE);
	usleep(20000);
	__atomic_store_n(&b->ends, true, __ATOMIC_RELEASE);
	rte_eal_mp_wait_lcore();
	if (b->sample_count == 0)
		fail("no full turn");
	qsort(b->samples, b->sample_count, sizeof(b->samples[0]), compare);
	median = (double)b->samples[b->sample_count / 2] / PORT_BURST_MAX;
	low = (double)b->samples[b->sample_count / 10] / PORT_BURST_MAX;
	mean = mean_of(b) / PORT_BURST_MAX;
	printf("%-8s median %7.1f p10 %7.1f mean %7.1f cycles per packet, %6.1f %6.1f %6.1f per "
	       "operation, %8u turns\n",
	       test->name, median, low, mean, median / test->op_count, low / test->op_count,
	       mean / test->op_count, b->sample_count);
}

static void prepare(struct bench *b)
{
	b->samples = malloc(SAMPLES_MAX * sizeof(b->samples[0]));
	b->server = open_side(true);
	b->client = open_side(false);
	for (int i = 0; i < 300 && !(port_link_is_up(b->server) && port_link_is_up(b->client)); i++)
		usleep(10000);
	if (!b->samples || !port_link_is_up(b->server) ||
	    rte_pktmbuf_alloc_bulk(b->client->pool, b->frames, FRAMES) < 0)
		fail("no memif link, or no mbufs");
	create_node(b);
	open_session(b);
	load(b);
}

int main(int argc, char **argv)
{
	struct bench b = { .keys = 1000000, .seconds = 1, .random = 88172645463325252u };
	int used = rte_eal_init(argc, argv);

	if (used < 0)
		fail("rte_eal_init failed");
	argc -= used;
	argv += used;
	if (argc > 1)
		b.keys = strtoull(argv[1], NULL, 10);
	prepare(&b);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < RTE_DIM(tests); i++) {
			if (argc <= 2 || strcmp(argv[2], tests[i].name) == 0)
				measure(&b, &tests[i]);
		}
	}
	return 0;
}
