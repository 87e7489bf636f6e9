/* SPDX-License-Identifier: BSD-3-Clause */
/* Partition maps on the wire: written in pieces, put together again, and never believed. */
#include "dataplane/wire_map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/wire_codec.h"
#include "storage/limits.h"
#include "tests/unit/unit.h"

enum { NODES = 300 };

struct cluster {
	uint16_t owners[PARTITION_COUNT_MAX];
	struct wire_map_node nodes[NODES];
	struct wire_map map;
};

static void make_cluster(struct cluster *cluster, uint16_t partition_count, uint16_t node_count,
			 uint64_t seed)
{
	for (uint16_t i = 0; i < NODES; i++)
		cluster->nodes[i] = (struct wire_map_node){ 0x0a000001u + i, (uint16_t)(7700 + i),
							    (uint16_t)(1 + i % WORKER_COUNT_MAX) };
	for (uint16_t p = 0; p < partition_count; p++)
		cluster->owners[p] = (uint16_t)(unit_random(&seed) % 17 == 0
							? WIRE_MAP_NO_OWNER
							: unit_random(&seed) % node_count);
	cluster->map =
		(struct wire_map){ cluster->owners, cluster->nodes, partition_count, node_count };
}

static bool owner_right(const struct cluster *cluster, const struct wire_map_reply *reply,
			uint16_t index)
{
	uint16_t owner = cluster->owners[reply->first_partition + index];
	uint16_t got = wire_map_reply_owner(reply, index);
	struct wire_map_node node;

	if (owner == WIRE_MAP_NO_OWNER || got == WIRE_MAP_NO_OWNER)
		return owner == got;
	node = wire_map_reply_node(reply, got);
	return node.ipv4 == cluster->nodes[owner].ipv4 &&
	       node.base_port == cluster->nodes[owner].base_port &&
	       node.worker_count == cluster->nodes[owner].worker_count;
}

/* Fetches the whole map in bodies of 'room' bytes, each in memory of exactly that size; returns
 * how many it took, 0 = wrong.
 */
static unsigned fetch(const struct cluster *cluster, size_t room)
{
	unsigned pieces = 0;
	uint16_t next = 0;
	uint8_t *body = malloc(room);
	bool right = body != NULL;

	while (right && next < cluster->map.partition_count) {
		size_t size = wire_map_reply_write(body, room, &cluster->map, next);
		struct wire_map_reply reply;

		right = size <= room && wire_map_reply_read(body, size, &reply) &&
			reply.partition_count == cluster->map.partition_count &&
			reply.first_partition == next;
		for (uint16_t i = 0; right && i < reply.owner_count; i++)
			right = owner_right(cluster, &reply, i);
		if (right)
			next = (uint16_t)(next + reply.owner_count);
		pieces++;
	}
	free(body);
	return right ? pieces : 0;
}

static void maps_of_all_sizes_arrive(void)
{
	static const uint16_t node_counts[] = { 1, 3, 16, NODES };
	struct cluster *cluster = malloc(sizeof(*cluster));

	if (!cluster)
		abort();
	for (uint16_t partitions = 1; partitions <= PARTITION_COUNT_MAX; partitions *= 2)
		for (size_t n = 0; n < sizeof(node_counts) / sizeof(node_counts[0]); n++) {
			make_cluster(cluster, partitions, node_counts[n], partitions + n);
			CU_ASSERT(fetch(cluster, 1448) > 0);
			CU_ASSERT(fetch(cluster, 100) > 0);
			CU_ASSERT(fetch(cluster, 18) > 0);
		}
	make_cluster(cluster, 64, 3, 1);
	CU_ASSERT_EQUAL(fetch(cluster, 1448), 1);
	make_cluster(cluster, 4096, 3, 1);
	CU_ASSERT_EQUAL(fetch(cluster, 1448), 6);
	free(cluster);
}

static void small_rooms_hold_nothing(void)
{
	struct cluster *cluster = malloc(sizeof(*cluster));
	struct wire_map_reply reply;
	uint8_t body[18];

	if (!cluster)
		abort();
	make_cluster(cluster, 64, 1, 1);
	cluster->owners[0] = 0;
	for (size_t room = 0; room < 8; room++)
		CU_ASSERT_EQUAL(wire_map_reply_write(body, room, &cluster->map, 0), 0);
	for (size_t room = 8; room < 18; room++) {
		CU_ASSERT_EQUAL(wire_map_reply_write(body, room, &cluster->map, 0), 8);
		CU_ASSERT_FALSE(wire_map_reply_read(body, 8, &reply));
	}
	CU_ASSERT_EQUAL(wire_map_reply_write(body, 18, &cluster->map, 0), 18);
	CU_ASSERT_EQUAL(wire_map_reply_write(body, 18, &cluster->map, 64), 8);
	CU_ASSERT_EQUAL(wire_map_reply_write(body, 18, &cluster->map, 65535), 8);
	free(cluster);
}

/* 8 partitions, 2 nodes: 8 + 16 + 16 bytes. */
static size_t small_map(uint8_t *body)
{
	static const uint16_t owners[8] = { 0, 1, 0, 1, WIRE_MAP_NO_OWNER, 1, 0, 0 };
	static const struct wire_map_node nodes[2] = { { 0x0a000001, 7700, 4 },
						       { 0x0a000002, 7700, 2 } };
	struct wire_map map = { owners, nodes, 8, 2 };

	return wire_map_reply_write(body, 40, &map, 0);
}

static void map_stands_as_drawn(void)
{
	static const uint8_t drawn[40] = { 0,    8,    0,    0,    0, 8, 0,  2, 10, 0,
					   0,    1,    0x1e, 0x14, 0, 4, 10, 0, 0,  2,
					   0x1e, 0x14, 0,    2,    0, 0, 0,  1, 0,  0,
					   0,    1,    0xff, 0xff, 0, 1, 0,  0, 0,  0 };
	uint8_t body[40];

	CU_ASSERT_EQUAL(small_map(body), 40);
	CU_ASSERT_EQUAL(memcmp(body, drawn, 40), 0);
}

static void contradictions_are_refused(void)
{
	static const struct {
		size_t at;
		uint16_t value;
	} changes[] = {
		{ 0, 0 },  { 0, 7 },     { 0, 4 },     { 0, 8192 },   { 2, 1 },
		{ 2, 8 },  { 2, 65535 }, { 4, 0 },     { 4, 9 },      { 4, 65535 },
		{ 6, 3 },  { 6, 0 },     { 6, 65535 }, { 12, 0 },     { 12, 65533 },
		{ 14, 0 }, { 14, 65 },   { 24, 2 },    { 38, 65534 },
	};
	struct wire_map_reply reply;
	uint8_t body[40];

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		small_map(body);
		CU_ASSERT_TRUE(wire_map_reply_read(body, sizeof(body), &reply));
		wire_put_u16(body + changes[i].at, changes[i].value);
		if (wire_map_reply_read(body, sizeof(body), &reply)) {
			printf("change %zu was believed\n", i);
			CU_FAIL("a contradiction was believed");
		}
	}
	small_map(body);
	wire_put_u32(body + 8, 0); /* no address */
	CU_ASSERT_FALSE(wire_map_reply_read(body, sizeof(body), &reply));
}

static void cut_maps_are_refused(void)
{
	uint8_t body[40];

	small_map(body);
	for (size_t size = 0; size < sizeof(body); size++) {
		uint8_t *piece = malloc(size ? size : 1);
		struct wire_map_reply reply;

		memcpy(piece, body, size);
		CU_ASSERT_FALSE(wire_map_reply_read(piece, size, &reply));
		free(piece);
	}
}

static void mutated_maps_stay_in_bounds(void)
{
	uint64_t random = 3;
	unsigned believed = 0, wrong = 0;

	for (int i = 0; i < 200000; i++) {
		uint8_t *body = malloc(40);
		struct wire_map_reply reply;

		small_map(body);
		for (uint64_t n = unit_random(&random) % 3 + 1; n > 0; n--)
			body[unit_random(&random) % 40] = (uint8_t)unit_random(&random);
		if (wire_map_reply_read(body, 40, &reply)) {
			believed++;
			for (uint16_t p = 0; p < reply.owner_count; p++) {
				uint16_t owner = wire_map_reply_owner(&reply, p);

				if (owner != WIRE_MAP_NO_OWNER)
					wrong += wire_map_reply_node(&reply, owner).worker_count ==
						 0;
			}
		}
		free(body);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(believed > 1000);
}

static void request_goes_there_and_back(void)
{
	uint8_t body[WIRE_MAP_REQUEST_BODY_SIZE];
	uint16_t first = 0;

	wire_map_request_write(body, 0x0203);
	CU_ASSERT_TRUE(wire_map_request_read(body, sizeof(body), &first));
	CU_ASSERT_EQUAL(first, 0x0203);
	CU_ASSERT_FALSE(wire_map_request_read(body, sizeof(body) - 1, &first));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(maps_of_all_sizes_arrive),    UNIT_TEST(small_rooms_hold_nothing),
		UNIT_TEST(map_stands_as_drawn),         UNIT_TEST(contradictions_are_refused),
		UNIT_TEST(cut_maps_are_refused),        UNIT_TEST(mutated_maps_stay_in_bounds),
		UNIT_TEST(request_goes_there_and_back), { NULL, NULL },
	};

	return unit_run("wire_map", tests);
}
