/* SPDX-License-Identifier: BSD-3-Clause */
/* The data plane as the control plane uses it: created, started, asked over memif by a real port, drained, stopped. */
#include <errno.h>
#include <rte_cycles.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu-qsbr.h>

#include "dataplane/core_state.h"
#include "dataplane/dataplane.h"
#include "dataplane/packet_build.h"
#include "dataplane/port.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_partition.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_node.h"

#define ERROR_SIZE 256u
#define WORKERS 2u
#define WAIT_MS 10000u

static const uint8_t node_mac[6] = { 0x02, 0x47, 0, 0, 0, 1 };
static const uint8_t client_mac[6] = { 0x02, 0x47, 0, 0, 0, 2 };

static struct port_options memif_side(bool server)
{
	struct port_options options = { .kind = PORT_MEMIF,
					.memif_server = server,
					.ipv4_prefix = 24 };

	options.ipv4 = server ? UNIT_NODE_IPV4 : 0x0a010102;
	memcpy(options.mac, server ? node_mac : client_mac, sizeof(options.mac));
	snprintf(options.device, sizeof(options.device), "/tmp/unit-dataplane-%d.sock",
		 (int)getpid());
	return options;
}

static struct dataplane_options good_options(void)
{
	return (struct dataplane_options){
		.name = "unit",
		.worker_count = WORKERS,
		.worker_lcores = { 1, 2 },
		.idle = IDLE_ADAPTIVE,
		.port = memif_side(true),
		.udp_port_base = UNIT_NODE_PORT,
		.partition_count = 64,
		.memory_limit_bytes = 16u << 20,
		.session_count_max = 64,
	};
}

/* A node that runs, and a port on its other side. */
struct scene {
	struct dataplane *dataplane;
	struct port *port;
	struct unit_client client;
};

static void scene_begin(struct scene *scene, const struct dataplane_options *options)
{
	const struct port_options client_options = memif_side(false);
	const struct port_needs needs = { .name = "uc", .queues = 1, .mbufs_held = 256 };
	char error[ERROR_SIZE] = "";

	memset(scene, 0, sizeof(*scene));
	scene->client = (struct unit_client){ .ipv4 = client_options.ipv4, .port = 5000 };
	CU_ASSERT_EQUAL_FATAL(dataplane_create(&scene->dataplane, options, error, sizeof(error)),
			      0);
	CU_ASSERT_EQUAL_FATAL(dataplane_start(scene->dataplane), 0);
	CU_ASSERT_EQUAL_FATAL(
		port_open(&scene->port, &client_options, &needs, error, sizeof(error)), 0);
	for (uint32_t ms = 0; ms < WAIT_MS && !port_link_is_up(scene->port); ms++)
		usleep(1000);
	CU_ASSERT_TRUE_FATAL(port_link_is_up(scene->port));
}

static void scene_end(struct scene *scene)
{
	port_close(scene->port);
	dataplane_stop(scene->dataplane);
	dataplane_destroy(scene->dataplane);
}

/* Sends a frame and copies the answer's, of at most 2048 bytes; its size, 0 when there is none within 'wait_ms'. */
static size_t exchange_frame(struct scene *scene, const uint8_t *frame, size_t size,
			     uint8_t *answer, uint32_t wait_ms)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(scene->port->pool);
	struct rte_mbuf *received = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mbuf);
	while (port_receive(scene->port, 0, &received, 1) == 1)
		rte_pktmbuf_free(received);
	memcpy(rte_pktmbuf_append(mbuf, (uint16_t)size), frame, size);
	CU_ASSERT_EQUAL_FATAL(port_transmit(scene->port, 0, &mbuf, 1), 1);
	for (uint32_t waited = 0; waited < wait_ms * 10; waited++) {
		if (port_receive(scene->port, 0, &received, 1) == 1) {
			size = received->data_len;
			memcpy(answer, rte_pktmbuf_mtod(received, void *), size);
			rte_pktmbuf_free(received);
			return size;
		}
		usleep(100);
	}
	return 0;
}

/* The same for a datagram to 'worker's port; returns the payload's size. */
static size_t exchange(struct scene *scene, uint32_t worker, const struct unit_datagram *datagram,
		       uint8_t *payload, uint32_t wait_ms)
{
	uint8_t frame[2048];
	uint8_t answer[2048];
	size_t size = unit_frame(frame, &scene->client, worker, datagram);

	size = exchange_frame(scene, frame, size, answer, wait_ms);
	if (size < PACKET_HEADERS_SIZE)
		return 0;
	CU_ASSERT_EQUAL(wire_get_u16(answer + PACKET_AT_UDP_SOURCE), UNIT_NODE_PORT + worker);
	memcpy(payload, answer + PACKET_AT_UDP_PAYLOAD, size - PACKET_HEADERS_SIZE);
	return size - PACKET_HEADERS_SIZE;
}

static bool open_session(struct scene *scene)
{
	struct wire_header header = { .kind = WIRE_HELLO };
	struct wire_hello hello = { .client_nonce = 3 };
	struct unit_datagram datagram = { .size = WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE };
	struct wire_hello_reply reply = { 0 };
	uint8_t payload[2048];
	size_t size;

	for (int round = 0; round < 2; round++) {
		wire_header_write(datagram.payload, &(struct wire_header){ .kind = WIRE_HELLO });
		wire_hello_write(datagram.payload + WIRE_HEADER_SIZE, &hello);
		size = exchange(scene, 0, &datagram, payload, WAIT_MS);
		if (!wire_header_read(payload, size, &header) ||
		    !wire_hello_reply_read(payload + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE,
					   &reply))
			return false;
		hello.challenge = reply.challenge;
	}
	scene->client.session_id = header.session_id;
	scene->client.token = header.token;
	return reply.stage == WIRE_HELLO_GRANTED && reply.worker_count == WORKERS;
}

/* One operation at 'worker's port; its status, -1 when there was no answer. */
static int ask(struct scene *scene, uint32_t worker, uint8_t opcode, const char *key,
	       const char *value, uint32_t wait_ms)
{
	const struct wire_request_op op = { .opcode = opcode,
					    .key_size = (uint16_t)strlen(key),
					    .key = (const uint8_t *)key,
					    .value_size = (uint32_t)strlen(value),
					    .value = (const uint8_t *)value };
	struct unit_datagram datagram;
	uint8_t payload[2048];

	unit_request_begin(&datagram, &scene->client);
	unit_request_add(&datagram, &op);
	if (exchange(scene, worker, &datagram, payload, wait_ms) <
	    WIRE_HEADER_SIZE + WIRE_REPLY_OP_SIZE)
		return -1;
	return payload[WIRE_HEADER_SIZE + 1];
}

static uint64_t counter(const struct scene *scene, const char *name)
{
	struct core_counters sums;

	dataplane_counters(scene->dataplane, &sums);
	for (uint32_t i = 0; i < CORE_COUNTER_COUNT; i++) {
		if (strcmp(core_counter_table.rows[i].name, name) == 0)
			return sums.values[i];
	}
	CU_FAIL_FATAL("no such counter");
	return 0;
}

/* ---- tests ---- */

static void check_refused(const struct dataplane_options *options, const char *expected)
{
	struct dataplane *dataplane = NULL;
	char error[ERROR_SIZE] = "";

	CU_ASSERT_TRUE(dataplane_create(&dataplane, options, error, sizeof(error)) < 0);
	CU_ASSERT_PTR_NULL(dataplane);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, expected));
	CU_ASSERT_PTR_NULL(strchr(error, '\n'));
	if (!strstr(error, expected))
		printf("expected '%s', got '%s'\n", expected, error);
}

static void impossible_options_are_refused_in_one_line(void)
{
	struct dataplane_options options;

#define REFUSE(expected, ...)                                                                      \
	do {                                                                                       \
		options = good_options();                                                          \
		__VA_ARGS__;                                                                       \
		check_refused(&options, expected);                                                 \
	} while (0)
	REFUSE("has no name", options.name[0] = '\0');
	REFUSE("0 workers are not possible", options.worker_count = 0);
	REFUSE("65 workers are not possible", options.worker_count = 65);
	REFUSE("48 partitions are not possible", options.partition_count = 48);
	REFUSE("8192 partitions are not possible", options.partition_count = 8192);
	REFUSE("at least as many partitions", options.partition_count = 1);
	REFUSE("UDP ports 65535", options.udp_port_base = 65535);
	REFUSE("no IPv4 address", options.port.ipv4 = 0);
	REFUSE("lcore 0 cannot run a worker", options.worker_lcores[1] = 0);
	REFUSE("lcore 9 cannot run a worker", options.worker_lcores[0] = 9);
	REFUSE("memory limit of 0 bytes", options.memory_limit_bytes = 0);
	REFUSE("is no socket", strcpy(options.port.device, "/dev/null"));
#undef REFUSE
}

static void a_node_answers_and_reports(void)
{
	const struct dataplane_options options = good_options();
	struct dataplane_port_status port = { 0 };
	struct worker_status before[WORKERS], after[WORKERS];
	uint8_t frame[2048];
	uint8_t answer[2048];
	struct scene scene;
	size_t size;

	scene_begin(&scene, &options);
	size = packet_build_arp_request(frame, client_mac, scene.client.ipv4, UNIT_NODE_IPV4);
	CU_ASSERT_EQUAL(exchange_frame(&scene, frame, size, answer, WAIT_MS), size);
	CU_ASSERT_EQUAL(memcmp(answer + PACKET_AT_ARP_SENDER_MAC, node_mac, 6), 0);
	CU_ASSERT_TRUE_FATAL(open_session(&scene));
	for (uint32_t i = 0; i < WORKERS; i++)
		dataplane_worker_status(scene.dataplane, i, &before[i]);
	for (uint32_t i = 0; i < 64; i++) { /* keys of both workers, asked at both ports */
		char key[16];

		snprintf(key, sizeof(key), "key%u", i);
		CU_ASSERT_EQUAL(ask(&scene, i % WORKERS, WIRE_SET, key, "value", WAIT_MS), WIRE_OK);
		CU_ASSERT_EQUAL(ask(&scene, 1 - i % WORKERS, WIRE_EXISTS, key, "", WAIT_MS),
				WIRE_OK);
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		dataplane_worker_status(scene.dataplane, i, &after[i]);
		CU_ASSERT_TRUE(after[i].heartbeats > before[i].heartbeats);
		CU_ASSERT_TRUE(after[i].busy_turns > before[i].busy_turns);
		CU_ASSERT_TRUE(after[i].shard.items > 8);
	}
	CU_ASSERT_EQUAL(after[0].shard.items + after[1].shard.items, 64);
	CU_ASSERT_EQUAL(after[0].sessions + after[1].sessions, 1);
	CU_ASSERT_EQUAL(counter(&scene, "op_set"), 64);
	CU_ASSERT_EQUAL(counter(&scene, "op_exists"), 64);
	CU_ASSERT_EQUAL(counter(&scene, "frames_received"), 1 + 2 + 128);
	CU_ASSERT_EQUAL(counter(&scene, "frames_transmitted"), 1 + 2 + 128);
	CU_ASSERT_TRUE(counter(&scene, "handed_to_port") >= 64); /* one queue, two ports */
	CU_ASSERT_TRUE(counter(&scene, "handed_to_owner") > 8);
	CU_ASSERT_TRUE(counter(&scene, "handed_to_queue") >= 64);
	CU_ASSERT_EQUAL(counter(&scene, "drop_tx_full"), 0);

	CU_ASSERT_EQUAL(dataplane_worker_count(scene.dataplane), WORKERS);
	dataplane_port_status(scene.dataplane, &port);
	CU_ASSERT_EQUAL(port.queues, WORKERS);
	CU_ASSERT_EQUAL(port.mtu, 1500);
	CU_ASSERT_TRUE(port.link_up);
	CU_ASSERT_FALSE(port.steers_by_flow_rule);
	CU_ASSERT_EQUAL(memcmp(port.mac, node_mac, 6), 0);
	CU_ASSERT_STRING_EQUAL(port.device, options.port.device);
	scene_end(&scene);
}

static void a_drained_node_takes_no_new_work(void)
{
	const struct dataplane_options options = good_options();
	struct scene scene;
	uint64_t start;

	scene_begin(&scene, &options);
	CU_ASSERT_TRUE_FATAL(open_session(&scene));
	CU_ASSERT_EQUAL(ask(&scene, 0, WIRE_SET, "k", "v", WAIT_MS), WIRE_OK);
	start = rte_get_timer_cycles();
	dataplane_drain(scene.dataplane, 5000);
	CU_ASSERT_TRUE(rte_get_timer_cycles() - start < 4 * rte_get_timer_hz());
	CU_ASSERT_EQUAL(ask(&scene, 0, WIRE_EXISTS, "k", "", 100), -1);
	dataplane_stop(scene.dataplane);
	dataplane_drain(scene.dataplane, 5000); /* nothing to drain */
	/* it may start again, with what it stored */
	CU_ASSERT_EQUAL_FATAL(dataplane_start(scene.dataplane), 0);
	usleep(200000); /* what waited in the ring is answered, too */
	CU_ASSERT_EQUAL(ask(&scene, 1, WIRE_EXISTS, "k", "", WAIT_MS), WIRE_OK);
	scene_end(&scene);
}

/* ---- partitions on the move ---- */

#define MOVING 5u
#define MOVED_KEYS 40u

/* The 'number'th key of the moving partition. */
static void moving_key(uint32_t number, char key[16])
{
	for (uint32_t i = 0, found = 0; found <= number; i++) {
		snprintf(key, 16, "key%u", i);
		found += wire_partition_of(key, strlen(key), 64) == MOVING;
	}
}

static void wait_for_barrier(const struct scene *scene)
{
	uint64_t barrier = dataplane_barrier(scene->dataplane);

	for (uint32_t ms = 0; ms < WAIT_MS; ms++) {
		if (dataplane_barrier_passed(scene->dataplane, barrier))
			return;
		usleep(1000);
	}
	CU_FAIL_FATAL("no worker looks at the routes");
}

static void command(const struct scene *scene, struct partition_command *order,
		    enum partition_command_kind kind)
{
	order->kind = kind;
	order->partition = MOVING;
	CU_ASSERT_EQUAL_FATAL(dataplane_submit(scene->dataplane, order), 0);
	for (uint32_t ms = 0; ms < WAIT_MS && !partition_command_is_done(order); ms++)
		usleep(1000);
	CU_ASSERT_TRUE_FATAL(partition_command_is_done(order));
}

static void fence(const struct scene *scene, enum partition_access access)
{
	CU_ASSERT_EQUAL(dataplane_set_access(scene->dataplane, MOVING, access), 0);
	wait_for_barrier(scene);
}

/* Copies of the partition's items, in 'bytes' of 256 each. */
static uint32_t scan(const struct scene *scene, struct record *records, uint8_t (*bytes)[256])
{
	struct reader *reader = dataplane_reader_register(scene->dataplane, "test");
	struct partition *partition = dataplane_partition(scene->dataplane, MOVING);
	const struct item *item;
	uint32_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(reader);
	reader_online(reader);
	while ((item = partition_export_next(partition, 1000))) {
		CU_ASSERT_FATAL(count < MOVED_KEYS);
		records[count] = record_of_item(item);
		memcpy(bytes[count], item->bytes, (size_t)item->key_size + item->value_size);
		records[count].key = bytes[count];
		records[count].value = bytes[count] + item->key_size;
		count++;
		reader_quiescent(reader);
	}
	CU_ASSERT_TRUE(partition_export_is_done(partition));
	reader_offline(reader);
	dataplane_reader_unregister(reader);
	return count;
}

static void check_refused_commands(struct scene *scene, struct partition_command *order)
{
	command(scene, order, PARTITION_BEGIN_IMPORT);
	CU_ASSERT_FALSE(order->is_ok); /* it is not empty */
	command(scene, order, PARTITION_FINALIZE);
	CU_ASSERT_FALSE(order->is_ok); /* it is not importing */
	order->record_count = 0;
	command(scene, order, PARTITION_APPLY);
	CU_ASSERT_FALSE(order->is_ok);
	order->partition = 64;
	CU_ASSERT_EQUAL(dataplane_submit(scene->dataplane, order), -EINVAL);
	CU_ASSERT_EQUAL(dataplane_set_access(scene->dataplane, 64, PARTITION_BY_ROUTE), -EINVAL);
}

/* What a control plane does with the two ends of a migration, at one node. */
static void a_partition_leaves_and_comes_back(void)
{
	const struct dataplane_options options = good_options();
	static struct record records[MOVED_KEYS];
	static uint8_t bytes[MOVED_KEYS][256];
	struct partition_command order = { .slot_max = 1000, .records = records };
	struct partition_stats before;
	struct scene scene;
	char key[16];

	scene_begin(&scene, &options);
	CU_ASSERT_TRUE_FATAL(open_session(&scene));
	for (uint32_t i = 0; i < MOVED_KEYS; i++) {
		moving_key(i, key);
		CU_ASSERT_EQUAL(ask(&scene, 1, WIRE_SET, key, key, WAIT_MS), WIRE_OK);
	}
	check_refused_commands(&scene, &order);

	CU_ASSERT_EQUAL_FATAL(partition_export_create(&order.export, (size_t)1 << 20), 0);
	command(&scene, &order, PARTITION_BEGIN_EXPORT);
	CU_ASSERT_TRUE(order.is_ok);
	order.record_count = scan(&scene, records, bytes);
	CU_ASSERT_EQUAL(order.record_count, MOVED_KEYS);
	moving_key(0, key);
	CU_ASSERT_EQUAL(ask(&scene, 0, WIRE_DELETE, key, "", WAIT_MS), WIRE_OK);
	command(&scene, &order, PARTITION_SNAPSHOT);
	CU_ASSERT_EQUAL(order.delta_last, 1);
	CU_ASSERT_EQUAL(order.stats.items, MOVED_KEYS - 1);

	fence(&scene, PARTITION_ALL_FENCED);
	command(&scene, &order, PARTITION_FREEZE);
	before = order.stats;
	CU_ASSERT_EQUAL(ask(&scene, 0, WIRE_EXISTS, key, "", 10), -1); /* parked, ... */
	CU_ASSERT_EQUAL(dataplane_parked(scene.dataplane), 1);
	usleep(2 * PARKED_MS_MAX * 1000);
	CU_ASSERT_EQUAL(dataplane_parked(scene.dataplane), 0); /* ... and answered RETRY */
	CU_ASSERT_EQUAL(counter(&scene, "parked_refused"), 1);
	command(&scene, &order, PARTITION_DISCARD);
	CU_ASSERT_TRUE(order.is_done);
	CU_ASSERT_EQUAL(order.stats.items, 0);
	command(&scene, &order, PARTITION_END_EXPORT);

	command(&scene, &order, PARTITION_BEGIN_IMPORT);
	CU_ASSERT_TRUE(order.is_ok);
	command(&scene, &order, PARTITION_APPLY);
	CU_ASSERT_TRUE(order.is_ok);
	CU_ASSERT_EQUAL(order.stats.items, MOVED_KEYS);
	records[0] = (struct record){ 0 };
	CU_ASSERT_TRUE(delta_ring_take(partition_export_ring(order.export), &records[0]));
	CU_ASSERT_TRUE(records[0].is_tombstone);
	order.record_count = 1;
	command(&scene, &order, PARTITION_APPLY);
	CU_ASSERT_EQUAL(order.stats.items, before.items);
	CU_ASSERT_EQUAL(order.stats.digest, before.digest);
	order.epoch = 2;
	order.version = before.version_last;
	command(&scene, &order, PARTITION_FINALIZE);
	CU_ASSERT_TRUE(order.is_ok);
	CU_ASSERT_EQUAL(ask(&scene, 1, WIRE_EXISTS, key, "", 10), -1);
	fence(&scene, PARTITION_BY_ROUTE);
	usleep(10000);
	CU_ASSERT_EQUAL(ask(&scene, 1, WIRE_EXISTS, key, "", WAIT_MS), WIRE_NOT_FOUND);
	for (uint32_t i = 1; i < MOVED_KEYS; i++) {
		moving_key(i, key);
		CU_ASSERT_EQUAL(ask(&scene, 0, WIRE_EXISTS, key, "", WAIT_MS), WIRE_OK);
	}
	fence(&scene, PARTITION_REFUSED);
	CU_ASSERT_EQUAL(ask(&scene, 0, WIRE_SET, key, key, WAIT_MS), WIRE_RETRY);
	partition_export_destroy(order.export);
	scene_end(&scene);
}

/* Published while workers run; what they write carries the epochs of the newest. */
static void workers_go_by_the_newest_routes(void)
{
	const struct dataplane_options options = good_options();
	const struct wire_map_node nodes[] = { { UNIT_NODE_IPV4, UNIT_NODE_PORT, WORKERS },
					       { 0x0a010109, 9000, 2 } };
	struct partition_command order = { 0 };
	struct scene scene;
	char key[16];

	scene_begin(&scene, &options);
	CU_ASSERT_TRUE_FATAL(open_session(&scene));
	moving_key(0, key);
	for (uint32_t version = 2; version < 40; version++) {
		struct route_table *table = route_table_create(64, nodes, 2, 0);

		table->map_version = version;
		table->epochs[MOVING] = version;
		table->owners[MOVING] = version % 2;
		CU_ASSERT_EQUAL_FATAL(dataplane_set_routes(scene.dataplane, table), 0);
		wait_for_barrier(&scene);
		CU_ASSERT_EQUAL(ask(&scene, version / 2 % 2, WIRE_SET, key, "v", WAIT_MS),
				version % 2 ? WIRE_NOT_OWNER : WIRE_OK);
	}
	command(&scene, &order, PARTITION_SNAPSHOT);
	CU_ASSERT_EQUAL(order.stats.version_last, UINT64_C(38) << 40 | 1);
	CU_ASSERT_EQUAL(dataplane_set_routes(scene.dataplane, route_table_create(32, nodes, 2, 0)),
			-EINVAL);
	scene_end(&scene);
}

static void what_was_not_started_is_destroyed(void)
{
	const struct dataplane_options options = good_options();
	struct dataplane *dataplane = NULL;
	char error[ERROR_SIZE] = "";

	for (int i = 0; i < 3; i++) { /* names are free again each time */
		CU_ASSERT_EQUAL_FATAL(dataplane_create(&dataplane, &options, error, sizeof(error)),
				      0);
		dataplane_drain(dataplane, 100);
		dataplane_stop(dataplane);
		dataplane_destroy(dataplane);
	}
	dataplane_destroy(NULL);
}

static void an_idle_node_sleeps_if_it_may(void)
{
	struct dataplane_options options = good_options();
	struct worker_status before, after;
	struct scene scene;

	scene_begin(&scene, &options);
	usleep(300000);
	CU_ASSERT_TRUE(counter(&scene, "sleeps") > 10);
	dataplane_worker_status(scene.dataplane, 0, &before);
	usleep(200000);
	dataplane_worker_status(scene.dataplane, 0, &after);
	CU_ASSERT_TRUE(after.heartbeats > before.heartbeats);
	CU_ASSERT_TRUE(after.heartbeats - before.heartbeats <
		       4000); /* 50 us at least between two turns */
	scene_end(&scene);
	options.idle = IDLE_SPIN;
	scene_begin(&scene, &options);
	usleep(100000);
	CU_ASSERT_EQUAL(counter(&scene, "sleeps"), 0);
	scene_end(&scene);
}

/* On one CPU the workers are mostly interrupted in the middle of a burst: then a link must not be unmapped. */
static void clients_that_end_do_not_take_the_node_along(void)
{
	struct dataplane_options options = good_options();
	const struct port_options client_options = memif_side(false);
	const struct port_needs needs = { .name = "ud", .queues = WORKERS, .mbufs_held = 256 };
	char error[ERROR_SIZE] = "";
	struct scene scene;

	options.idle = IDLE_SPIN;
	scene_begin(&scene, &options);
	port_close(scene.port);
	for (int round = 0; round < 40; round++) {
		CU_ASSERT_EQUAL_FATAL(
			port_open(&scene.port, &client_options, &needs, error, sizeof(error)), 0);
		for (uint32_t ms = 0; ms < WAIT_MS && port_links_up(scene.port) < WORKERS; ms++)
			usleep(1000);
		CU_ASSERT_EQUAL(port_links_up(scene.port), WORKERS);
		port_close(scene.port);
	}
	scene.port = NULL;
	scene_end(&scene);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(impossible_options_are_refused_in_one_line),
		UNIT_TEST(a_node_answers_and_reports),
		UNIT_TEST(a_drained_node_takes_no_new_work),
		UNIT_TEST(a_partition_leaves_and_comes_back),
		UNIT_TEST(workers_go_by_the_newest_routes),
		UNIT_TEST(what_was_not_started_is_destroyed),
		UNIT_TEST(an_idle_node_sleeps_if_it_may),
		UNIT_TEST(clients_that_end_do_not_take_the_node_along),
		{ NULL, NULL },
	};

	unit_eal_init_lcores(3);
	return unit_run("dataplane", tests);
}
