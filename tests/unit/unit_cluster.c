/* SPDX-License-Identifier: BSD-3-Clause */
/* A network of function calls. */
#include "tests/unit/unit_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_build.h"
#include "tests/unit/unit.h"

#define FLIGHTS_MAX 1024u
#define RECORDS_MAX 4096u

static void require(bool what, const char *text)
{
	if (!what) {
		fprintf(stderr, "unit_cluster: %s\n", text);
		abort();
	}
}

/* ---- what nodes believe ---- */

static uint64_t token_of(uint32_t from, uint32_t to)
{
	return UINT64_C(0x70ce000000000000) + from * 256 + to;
}

static void fill_peers(const struct unit_cluster *cluster, uint32_t node, struct route_table *table)
{
	for (uint32_t other = 0; other < cluster->node_count; other++) {
		if (other == node || cluster->is_lost[other])
			continue;
		table->peers[other].token_in = token_of(other, node);
		table->peers[other].token_out = token_of(node, other);
	}
}

void unit_cluster_publish(struct unit_cluster *cluster, uint32_t node)
{
	struct wire_map_node nodes[UNIT_CLUSTER_NODES_MAX];
	struct route_table *table;

	for (uint32_t i = 0; i < cluster->node_count; i++)
		nodes[i] = (struct wire_map_node){
			UNIT_NODE_IPV4 + i, UNIT_NODE_PORT,
			(uint16_t)cluster->nodes[i].shared->worker_count
		};
	table = route_table_create(UNIT_CLUSTER_PARTITIONS, nodes, (uint16_t)cluster->node_count,
				   (uint16_t)node);
	require(table, "no memory");
	table->map_version = ++cluster->map_versions[node];
	memcpy(table->owners, cluster->owners[node], sizeof(cluster->owners[node]));
	memcpy(table->epochs, cluster->epochs[node], sizeof(cluster->epochs[node]));
	fill_peers(cluster, node, table);
	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++) {
		uint8_t before = cluster->nodes[node].route->access[p];

		if (before >= ROUTE_WRITES_PARKED)
			table->access[p] = before;
	}
	unit_node_set_routes(&cluster->nodes[node], table);
}

void unit_cluster_believe(struct unit_cluster *cluster, uint32_t node, uint32_t partition,
			  uint16_t owner, uint32_t epoch)
{
	cluster->owners[node][partition] = owner;
	cluster->epochs[node][partition] = epoch;
	unit_cluster_publish(cluster, node);
}

void unit_cluster_agree(struct unit_cluster *cluster, uint32_t partition, uint16_t owner,
			uint32_t epoch)
{
	for (uint32_t node = 0; node < cluster->node_count; node++)
		unit_cluster_believe(cluster, node, partition, owner, epoch);
}

void unit_cluster_introduce(struct unit_cluster *cluster)
{
	for (uint32_t node = 0; node < cluster->node_count; node++) {
		for (uint32_t other = 0; other < cluster->node_count; other++) {
			uint8_t mac[6];

			unit_node_mac(mac, other);
			route_learn(cluster->nodes[node].route, UNIT_NODE_IPV4 + other, mac,
				    cluster->nodes[node].cores[0]->now_ms);
		}
	}
}

/* ---- life ---- */

void unit_cluster_create(struct unit_cluster *cluster, uint32_t node_count, uint32_t worker_count)
{
	memset(cluster, 0, sizeof(*cluster));
	cluster->node_count = node_count;
	cluster->flights = calloc(FLIGHTS_MAX, sizeof(*cluster->flights));
	require(cluster->flights, "no memory");
	for (uint32_t i = 0; i < node_count; i++) {
		const struct unit_node_options options = {
			.worker_count = worker_count,
			.partition_count = UNIT_CLUSTER_PARTITIONS,
			.memory_limit_bytes = (size_t)8 << 20,
			.number = i,
		};

		unit_node_create(&cluster->nodes[i], &options);
		for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++)
			cluster->epochs[i][p] = 1;
	}
	for (uint32_t i = 0; i < node_count; i++)
		unit_cluster_publish(cluster, i);
}

void unit_cluster_destroy(struct unit_cluster *cluster)
{
	for (uint32_t i = 0; i < cluster->node_count; i++)
		unit_node_destroy(&cluster->nodes[i]);
	free(cluster->flights);
}

void unit_cluster_advance(struct unit_cluster *cluster, uint64_t ms)
{
	for (uint32_t i = 0; i < cluster->node_count; i++)
		unit_node_advance(&cluster->nodes[i], ms);
}

/* ---- the network ---- */

static bool is_arp(const uint8_t *frame)
{
	return wire_get_u16(frame + PACKET_AT_ETHERTYPE) == PACKET_ETHERTYPE_ARP;
}

/* The node that a frame is for; node_count or more: none. */
static uint32_t destination_of(const uint8_t *frame)
{
	uint32_t ipv4 = wire_get_u32(
		frame + (is_arp(frame) ? PACKET_AT_ARP_TARGET_IPV4 : PACKET_AT_IPV4_DESTINATION));

	return ipv4 - UNIT_NODE_IPV4;
}

static void hand_to_node(struct unit_cluster *cluster, uint32_t to, const uint8_t *frame,
			 size_t size)
{
	const uint8_t *frames[1] = { frame };
	uint32_t worker = 0;

	if (!is_arp(frame))
		worker = (uint32_t)wire_get_u16(frame + PACKET_AT_UDP_DESTINATION) - UNIT_NODE_PORT;
	require(worker < cluster->nodes[to].shared->worker_count, "a frame for no worker");
	unit_node_receive(&cluster->nodes[to], worker, frames, &size, 1);
}

static void arrive(struct unit_cluster *cluster, const uint8_t *frame, size_t size)
{
	uint32_t to = destination_of(frame);

	if (to < cluster->node_count) {
		cluster->delivered++;
		hand_to_node(cluster, to, frame, size);
		return;
	}
	require(cluster->inbox_count < UNIT_CLUSTER_INBOX_MAX, "too many answers");
	cluster->inbox[cluster->inbox_count].size = size;
	memcpy(cluster->inbox[cluster->inbox_count++].frame, frame, size);
}

static void put_off(struct unit_cluster *cluster, const uint8_t *frame, size_t size)
{
	require(cluster->flight_count < FLIGHTS_MAX, "too many frames put off");
	cluster->flights[cluster->flight_count].size = size;
	memcpy(cluster->flights[cluster->flight_count++].frame, frame, size);
}

static void travel(struct unit_cluster *cluster, uint32_t from, const uint8_t *frame, size_t size)
{
	uint32_t to = destination_of(frame);
	enum unit_fate fate = UNIT_DELIVER;

	if (cluster->decide)
		fate = cluster->decide(cluster, from, to < cluster->node_count ? to : UINT32_MAX,
				       frame, size);
	if (fate == UNIT_DELAY)
		put_off(cluster, frame, size);
	if (fate == UNIT_DELIVER || fate == UNIT_DOUBLE)
		arrive(cluster, frame, size);
	if (fate == UNIT_DOUBLE)
		put_off(cluster, frame, size);
}

void unit_cluster_release(struct unit_cluster *cluster, uint32_t index)
{
	struct unit_flight *flight = &cluster->flights[index];
	uint8_t frame[2048];
	size_t size = flight->size;

	memcpy(frame, flight->frame, size);
	cluster->flight_count--;
	memmove(flight, flight + 1, (cluster->flight_count - index) * sizeof(*flight));
	arrive(cluster, frame, size);
}

static bool move_one(struct unit_cluster *cluster)
{
	uint8_t frame[2048];
	size_t size;

	for (uint32_t node = 0; node < cluster->node_count; node++) {
		size = unit_node_take(&cluster->nodes[node], frame);
		if (size == 0)
			continue;
		travel(cluster, node, frame, size);
		return true;
	}
	if (cluster->flight_count == 0 || cluster->holds_delayed)
		return false;
	unit_cluster_release(cluster, 0);
	return true;
}

void unit_cluster_pump(struct unit_cluster *cluster)
{
	while (move_one(cluster))
		;
}

/* ---- clients ---- */

void unit_cluster_send(struct unit_cluster *cluster, const uint8_t *frame, size_t size)
{
	hand_to_node(cluster, destination_of(frame), frame, size);
}

static bool is_for(const struct unit_flight *flight, const struct unit_client *client)
{
	return wire_get_u32(flight->frame + PACKET_AT_IPV4_DESTINATION) == client->ipv4 &&
	       wire_get_u16(flight->frame + PACKET_AT_UDP_DESTINATION) == client->port;
}

size_t unit_cluster_take(struct unit_cluster *cluster, const struct unit_client *client,
			 uint32_t worker, uint8_t *payload)
{
	for (uint32_t i = 0; i < cluster->inbox_count; i++) {
		size_t size;

		if (!is_for(&cluster->inbox[i], client))
			continue;
		size = unit_check_answer(client, worker, cluster->inbox[i].frame,
					 cluster->inbox[i].size, payload);
		cluster->inbox_count--;
		memmove(&cluster->inbox[i], &cluster->inbox[i + 1],
			(cluster->inbox_count - i) * sizeof(cluster->inbox[0]));
		return size;
	}
	return 0;
}

size_t unit_cluster_exchange(struct unit_cluster *cluster, const struct unit_client *client,
			     uint32_t worker, const struct unit_datagram *datagram,
			     uint8_t *payload)
{
	uint8_t frame[2048];

	unit_cluster_send(cluster, frame, unit_frame(frame, client, worker, datagram));
	unit_cluster_pump(cluster);
	return unit_cluster_take(cluster, client, worker, payload);
}

void unit_cluster_hello(struct unit_cluster *cluster, struct unit_client *client)
{
	require(unit_client_hello(&cluster->nodes[client->node], client, 0), "no session");
}

/* ---- data ---- */

static void command(struct unit_cluster *cluster, uint32_t node, struct partition_command *order)
{
	unit_node_command(&cluster->nodes[node], order);
	require(order->is_ok, "a command failed");
}

/* Records that outlive what they were made of. */
struct carrier {
	uint32_t count;
	struct record records[RECORDS_MAX];
	uint8_t bytes[RECORDS_MAX][256];
};

static void carry(struct carrier *carrier, struct record record)
{
	uint8_t *bytes = carrier->bytes[carrier->count];

	require(carrier->count < RECORDS_MAX &&
			(size_t)record.key_size + record.value_size <= sizeof(carrier->bytes[0]),
		"too much to carry");
	memcpy(bytes, record.key, record.key_size);
	if (record.value_size > 0)
		memcpy(bytes + record.key_size, record.value, record.value_size);
	record.key = bytes;
	record.value = bytes + record.key_size;
	carrier->records[carrier->count++] = record;
}

static void load(struct carrier *carrier, struct partition *partition,
		 struct partition_export *export)
{
	struct delta_ring *ring = partition_export_ring(export);
	const struct item *item;
	struct record record;

	while ((item = partition_export_next(partition, UINT32_MAX)))
		carry(carrier, record_of_item(item));
	while (delta_ring_take(ring, &record))
		carry(carrier, record);
}

void unit_cluster_move_data(struct unit_cluster *cluster, uint32_t partition, uint32_t from,
			    uint32_t to, uint32_t epoch)
{
	const struct core_shared *shared = cluster->nodes[from].shared;
	const struct core *owner = shared->cores[shared->worker_of[partition]];
	struct partition_command order = { .partition = partition, .slot_max = 1u << 20 };
	struct carrier *carrier = calloc(1, sizeof(*carrier));
	struct partition_command there;

	require(carrier && partition_export_create(&order.export, (size_t)1 << 20) == 0,
		"no memory");
	order.kind = PARTITION_BEGIN_EXPORT;
	command(cluster, from, &order);
	there = (struct partition_command){ .kind = PARTITION_BEGIN_IMPORT, .partition = partition };
	command(cluster, to, &there);
	load(carrier, shard_partition(owner->shard, partition), order.export);
	there.kind = PARTITION_APPLY;
	there.records = carrier->records;
	there.record_count = carrier->count;
	command(cluster, to, &there);
	order.kind = PARTITION_FREEZE;
	command(cluster, from, &order);
	require(there.stats.digest == order.stats.digest && there.stats.items == order.stats.items,
		"the copy differs");
	there.kind = PARTITION_FINALIZE;
	there.epoch = epoch;
	there.version = order.stats.version_last;
	command(cluster, to, &there);
	order.kind = PARTITION_DISCARD;
	command(cluster, from, &order);
	require(order.is_done, "not all was discarded");
	order.kind = PARTITION_END_EXPORT;
	command(cluster, from, &order);
	partition_export_destroy(order.export);
	free(carrier);
}
