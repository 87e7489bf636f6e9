/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that count while partitions move from node to node, over a network that loses, doubles and delays: every acknowledged
 * increment is there in the end, once, and reads never go back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_build.h"
#include "dataplane/wire_partition.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_cluster.h"

#define NODES 3u
#define WORKERS 2u
#define KEYS 16u
#define CLIENTS 5u
#define STEPS 6000u
#define SEEDS 20u
#define DELAYED_MAX 60u /* frames: some are delayed for as long as many moves take */

struct counting {
	struct unit_client sessions[NODES];
	bool is_busy;
	bool is_read;
	uint32_t key;
	uint32_t node; /* whom it asks */
	uint64_t acknowledged; /* of the key, when a read began */
	struct unit_datagram datagram;
};

/* A partition on its way. */
struct moving {
	uint32_t stage; /* 0 = none moves */
	uint32_t partition;
	uint32_t from;
	uint32_t to;
};

struct world {
	struct unit_cluster cluster;
	struct counting clients[CLIENTS];
	struct moving moving;
	uint16_t owners[UNIT_CLUSTER_PARTITIONS]; /* the truth */
	uint32_t epochs[UNIT_CLUSTER_PARTITIONS];
	char keys[KEYS][16];
	uint64_t begun[KEYS];        /* increments asked for */
	uint64_t acknowledged[KEYS]; /* increments answered OK */
	uint64_t random;
	bool is_healed;
	uint64_t moves;
	uint64_t redirects;
	uint64_t retries;
	uint64_t wrong_reads;
};

static uint32_t dice(struct world *world, uint32_t sides)
{
	return (uint32_t)(unit_random(&world->random) % sides);
}

static enum unit_fate decide(struct unit_cluster *cluster, uint32_t from, uint32_t to,
			     const uint8_t *frame, size_t size)
{
	struct world *world = cluster->context;
	uint32_t roll = dice(world, 20);

	(void)from, (void)to, (void)frame, (void)size;
	if (world->is_healed)
		return UNIT_DELIVER;
	return roll < 3 ? UNIT_LOSE : roll < 5 ? UNIT_DOUBLE : roll < 8 ? UNIT_DELAY : UNIT_DELIVER;
}

static struct world *open_world(uint64_t seed)
{
	struct world *world = calloc(1, sizeof(*world));

	world->random = seed;
	unit_cluster_create(&world->cluster, NODES, WORKERS);
	unit_cluster_introduce(&world->cluster);
	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++)
		world->epochs[p] = 1;
	for (uint32_t i = 0; i < KEYS; i++)
		snprintf(world->keys[i], sizeof(world->keys[i]), "counter%u", i);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		for (uint32_t node = 0; node < NODES; node++) {
			world->clients[i].sessions[node] =
				(struct unit_client){ .ipv4 = 0x0a010164 + i,
						      .port = (uint16_t)(40000 + node),
						      .node = node };
			unit_cluster_hello(&world->cluster, &world->clients[i].sessions[node]);
		}
	}
	world->cluster.decide = decide;
	world->cluster.context = world;
	world->cluster.holds_delayed = true;
	return world;
}

static void close_world(struct world *world)
{
	unit_cluster_destroy(&world->cluster);
	free(world);
}

/* ---- clients ---- */

/* A client keeps to worker 0's port: whose key it is does not matter. */
static void transmit(struct world *world, struct counting *client)
{
	uint8_t frame[2048];
	size_t size = unit_frame(frame, &client->sessions[client->node], 0, &client->datagram);
	uint32_t copies = world->is_healed ? 1 : dice(world, 10) < 2 ? 2 : dice(world, 10) > 0;

	for (; copies > 0; copies--)
		unit_cluster_send(&world->cluster, frame, size);
}

static void write_request(struct world *world, struct counting *client)
{
	static uint8_t delta_and_initial[16] = { [7] = 1, [15] = 1 };
	const char *key = world->keys[client->key];
	struct wire_request_op op = {
		.opcode = client->is_read ? WIRE_GET : WIRE_INCREMENT,
		.key = (const uint8_t *)key,
		.key_size = (uint16_t)strlen(key),
		.value = delta_and_initial,
		.value_size = client->is_read ? 0 : 16,
	};

	unit_request_begin(&client->datagram, &client->sessions[client->node]);
	unit_request_add(&client->datagram, &op);
	transmit(world, client);
}

static void begin(struct world *world, struct counting *client)
{
	client->is_busy = true;
	client->is_read = dice(world, 3) == 0;
	client->key = dice(world, KEYS);
	client->node = dice(world, NODES);
	client->acknowledged = world->acknowledged[client->key];
	world->begun[client->key] += !client->is_read;
	write_request(world, client);
}

static uint64_t number_of(const struct wire_reply_op *reply)
{
	char text[24] = "";

	memcpy(text, reply->value, reply->value_size < 23 ? reply->value_size : 23);
	return reply->status == WIRE_OK ? strtoull(text, NULL, 10) : 0;
}

/* A read tells at least what was acknowledged when it began, and at most what was begun when it ended. */
static void judge_read(struct world *world, const struct counting *client,
		       const struct wire_reply_op *reply)
{
	uint64_t number = number_of(reply);

	world->wrong_reads += number < client->acknowledged || number > world->begun[client->key];
}

static void conclude(struct world *world, struct counting *client, const struct wire_reply_op *reply)
{
	switch (reply->status) {
	case WIRE_RETRY: /* the same bytes again, some time */
		world->retries++;
		return;
	case WIRE_NOT_OWNER:
		world->redirects++;
		client->node = wire_get_u32(reply->value) - UNIT_NODE_IPV4;
		write_request(world, client);
		return;
	case WIRE_OK:
	case WIRE_NOT_FOUND:
		if (client->is_read)
			judge_read(world, client, reply);
		else
			world->acknowledged[client->key]++;
		client->is_busy = false;
		return;
	default:
		CU_FAIL_FATAL("an answer that nobody expects");
	}
}

/* Answers to older requests than the present one are not listened to. */
static bool is_answer(const struct counting *client, uint32_t node, const uint8_t *payload,
		      size_t size, struct wire_reply_op *reply)
{
	return node == client->node && client->is_busy &&
	       memcmp(payload + WIRE_AT_SEQUENCE, client->datagram.payload + WIRE_AT_SEQUENCE, 4) ==
		       0 &&
	       wire_reply_op_read(payload + WIRE_HEADER_SIZE, payload + size, reply) != NULL;
}

static void listen_all(struct world *world)
{
	uint8_t payload[2048];
	struct wire_reply_op reply;
	size_t size;

	unit_cluster_pump(&world->cluster);
	while (world->cluster.flight_count > DELAYED_MAX) {
		unit_cluster_release(&world->cluster, dice(world, world->cluster.flight_count));
		unit_cluster_pump(&world->cluster);
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		struct counting *client = &world->clients[i];

		for (uint32_t node = 0; node < NODES; node++) {
			while ((size = unit_cluster_take(&world->cluster, &client->sessions[node],
							 0, payload)) > 0) {
				if (is_answer(client, node, payload, size, &reply))
					conclude(world, client, &reply);
			}
		}
	}
}

/* ---- moves ---- */

static void set_access(struct world *world, enum route_access access)
{
	unit_node_set_access(&world->cluster.nodes[world->moving.from], world->moving.partition,
			     access);
}

/* Some node hears of the present owner of some partition. */
static void gossip(struct world *world, uint32_t partition, uint32_t node)
{
	unit_cluster_believe(&world->cluster, node, partition, world->owners[partition],
			     world->epochs[partition]);
}

static void hand_over(struct world *world)
{
	const struct moving *moving = &world->moving;
	uint32_t epoch = ++world->epochs[moving->partition];

	unit_cluster_move_data(&world->cluster, moving->partition, moving->from, moving->to, epoch);
	world->owners[moving->partition] = (uint16_t)moving->to;
	gossip(world, moving->partition, moving->from);
	gossip(world, moving->partition, moving->to);
	if (dice(world, 2) == 0)
		gossip(world, moving->partition, dice(world, NODES));
	world->moves++;
}

/* The fences of a migration one after the other, with whatever happens in between. */
static void move_on(struct world *world)
{
	struct moving *moving = &world->moving;

	switch (moving->stage++) {
	case 0:
		moving->partition = dice(world, UNIT_CLUSTER_PARTITIONS);
		moving->from = world->owners[moving->partition];
		moving->to = (moving->from + 1 + dice(world, NODES - 1)) % NODES;
		set_access(world, ROUTE_WRITES_PARKED);
		break;
	case 1:
		if (dice(world, 4) > 0) {
			set_access(world, ROUTE_PARKED);
			break;
		}
		set_access(world, ROUTE_BY_OWNER); /* given up */
		moving->stage = 0;
		break;
	case 2:
		hand_over(world);
		break;
	default:
		if (dice(world, 5) == 0)
			set_access(world, ROUTE_REFUSED);
		set_access(world, ROUTE_BY_OWNER);
		moving->stage = 0;
		break;
	}
}

/* ---- the story ---- */

static void step(struct world *world)
{
	struct counting *client = &world->clients[dice(world, CLIENTS)];

	switch (dice(world, 12)) {
	case 0:
	case 11:
		move_on(world);
		break;
	case 1:
	case 2:
		gossip(world, dice(world, UNIT_CLUSTER_PARTITIONS), dice(world, NODES));
		break;
	case 3:
		if (world->cluster.flight_count > 0)
			unit_cluster_release(&world->cluster,
					     dice(world, world->cluster.flight_count));
		break;
	case 4:
		unit_cluster_advance(&world->cluster, dice(world, 4) == 0 ? 20 : 1);
		for (uint32_t node = 0; node < NODES; node++)
			unit_node_unpark(&world->cluster.nodes[node]);
		break;
	default:
		if (!client->is_busy)
			begin(world, client);
		else if (client != &world->clients[0] || dice(world, 30) == 0) /* a slow one */
			transmit(world, client);
		break;
	}
	listen_all(world);
}

/* The network is whole again, all maps are equal, and everybody gets an answer. */
static void heal(struct world *world)
{
	world->is_healed = true;
	while (world->moving.stage != 0)
		move_on(world);
	for (uint32_t p = 0; p < UNIT_CLUSTER_PARTITIONS; p++) {
		for (uint32_t node = 0; node < NODES; node++)
			gossip(world, p, node);
	}
	while (world->cluster.flight_count > 0)
		unit_cluster_release(&world->cluster, 0);
	listen_all(world);
	for (uint32_t i = 0; i < CLIENTS; i++) {
		for (uint32_t tries = 0; world->clients[i].is_busy; tries++) {
			CU_ASSERT_FATAL(tries < 20);
			transmit(world, &world->clients[i]);
			listen_all(world);
		}
	}
}

static void check_counters(struct world *world)
{
	struct counting *client = &world->clients[0];

	for (uint32_t i = 0; i < KEYS; i++) {
		CU_ASSERT_EQUAL(world->acknowledged[i], world->begun[i]);
		client->is_busy = true;
		client->is_read = true;
		client->key = i;
		client->node = 0;
		client->acknowledged = world->acknowledged[i];
		write_request(world, client);
		listen_all(world);
		CU_ASSERT_FALSE(client->is_busy);
	}
	CU_ASSERT_EQUAL(world->wrong_reads, 0);
}

static uint64_t sum(const struct world *world, const char *name)
{
	uint64_t total = 0;

	for (uint32_t node = 0; node < NODES; node++)
		total += unit_node_counter(&world->cluster.nodes[node], name);
	return total;
}

static void increments_are_counted_once_through_all_moves(void)
{
	uint64_t moves = 0, redirects = 0, retries = 0, stale = 0, repeated = 0, parked = 0;

	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct world *world = open_world(seed);

		for (uint32_t i = 0; i < STEPS; i++)
			step(world);
		heal(world);
		check_counters(world);
		moves += world->moves;
		redirects += world->redirects;
		retries += world->retries;
		stale += sum(world, "forwards_stale");
		repeated += sum(world, "requests_repeated");
		parked += sum(world, "requests_parked");
		close_world(world);
	}
	/* What the story is about did happen. */
	CU_ASSERT(moves > 50 * SEEDS);
	CU_ASSERT(redirects > 10 * SEEDS);
	CU_ASSERT(retries > 5 * SEEDS);
	CU_ASSERT(stale > 10 * SEEDS);
	CU_ASSERT(repeated > 100 * SEEDS);
	CU_ASSERT(parked > 10 * SEEDS);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(increments_are_counted_once_through_all_moves),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("request_moving", tests);
}
