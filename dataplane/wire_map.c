/* SPDX-License-Identifier: BSD-3-Clause */
/* Map replies: the writer names only the nodes that its partitions need; the reader believes
 * nothing.
 */
#include "dataplane/wire_map.h"

#include <string.h>

#include "dataplane/wire_codec.h"
#include "storage/limits.h"

enum map_offset {
	AT_PARTITION_COUNT = 0,
	AT_FIRST_PARTITION = 2,
	AT_OWNER_COUNT = 4,
	AT_NODE_COUNT = 6,
	AT_NODES = 8,
};
static_assert((unsigned)AT_NODES == WIRE_MAP_REPLY_BODY_SIZE, "the nodes follow the fixed part");

#define OWNER_SIZE 2u

/* ---- requests ---- */

void wire_map_request_write(uint8_t *body, uint16_t first_partition)
{
	memset(body, 0, WIRE_MAP_REQUEST_BODY_SIZE);
	wire_put_u16(body, first_partition);
}

bool wire_map_request_read(const uint8_t *body, size_t size, uint16_t *first_partition)
{
	if (size < WIRE_MAP_REQUEST_BODY_SIZE)
		return false;
	*first_partition = wire_get_u16(body);
	return true;
}

/* ---- writing ---- */

static void write_node(uint8_t *at, const struct wire_map_node *node)
{
	wire_put_u32(at, node->ipv4);
	wire_put_u16(at + 4, node->base_port);
	wire_put_u16(at + 6, node->worker_count);
}

/* The number under which 'node' stands among the 'count' nodes written so far; 'count' when it
 * does not.
 */
static uint16_t find_node(const uint8_t *nodes, uint16_t count, const struct wire_map_node *node)
{
	uint8_t wanted[WIRE_MAP_NODE_SIZE];
	uint16_t i = 0;

	write_node(wanted, node);
	while (i < count && memcmp(nodes + i * WIRE_MAP_NODE_SIZE, wanted, WIRE_MAP_NODE_SIZE) != 0)
		i++;
	return i;
}

static const struct wire_map_node *owner_of(const struct wire_map *map, uint32_t partition)
{
	uint16_t owner = map->owners[partition];

	return owner < map->node_count ? &map->nodes[owner] : NULL;
}

/* Writes the nodes of the partitions from 'first' on until room is used up; returns how many
 * partitions fit.
 */
static uint16_t write_nodes(uint8_t *nodes, size_t room, const struct wire_map *map, uint16_t first,
			    uint16_t *node_count)
{
	uint32_t partition = first;

	for (*node_count = 0; partition < map->partition_count; partition++) {
		const struct wire_map_node *node = owner_of(map, partition);
		uint16_t number = node ? find_node(nodes, *node_count, node) : 0;
		bool new_node = node && number == *node_count;
		size_t cost = OWNER_SIZE + (new_node ? WIRE_MAP_NODE_SIZE : 0);

		if (cost > room)
			break;
		room -= cost;
		if (new_node) {
			write_node(nodes + number * WIRE_MAP_NODE_SIZE, node);
			(*node_count)++;
		}
	}
	return (uint16_t)(partition > first ? partition - first : 0);
}

size_t wire_map_reply_write(uint8_t *body, size_t room, const struct wire_map *map,
			    uint16_t first_partition)
{
	uint8_t *nodes = body + AT_NODES;
	uint8_t *owners;
	uint16_t owner_count;
	uint16_t node_count;

	if (room < WIRE_MAP_REPLY_BODY_SIZE)
		return 0;
	owner_count = write_nodes(nodes, room - AT_NODES, map, first_partition, &node_count);
	owners = nodes + node_count * WIRE_MAP_NODE_SIZE;
	for (uint32_t i = 0; i < owner_count; i++) {
		const struct wire_map_node *node = owner_of(map, first_partition + i);
		uint16_t number = node ? find_node(nodes, node_count, node) : WIRE_MAP_NO_OWNER;

		wire_put_u16(owners + i * OWNER_SIZE, number);
	}
	wire_put_u16(body + AT_PARTITION_COUNT, map->partition_count);
	wire_put_u16(body + AT_FIRST_PARTITION, first_partition);
	wire_put_u16(body + AT_OWNER_COUNT, owner_count);
	wire_put_u16(body + AT_NODE_COUNT, node_count);
	return AT_NODES + node_count * WIRE_MAP_NODE_SIZE + owner_count * OWNER_SIZE;
}

/* ---- reading ---- */

uint16_t wire_map_reply_owner(const struct wire_map_reply *reply, uint16_t index)
{
	return wire_get_u16(reply->owners + index * OWNER_SIZE);
}

struct wire_map_node wire_map_reply_node(const struct wire_map_reply *reply, uint16_t index)
{
	const uint8_t *at = reply->nodes + index * WIRE_MAP_NODE_SIZE;

	return (struct wire_map_node){ wire_get_u32(at), wire_get_u16(at + 4),
				       wire_get_u16(at + 6) };
}

static bool counts_agree(const struct wire_map_reply *reply, size_t size)
{
	uint16_t partition_count = reply->partition_count;

	return partition_count >= PARTITION_COUNT_MIN && partition_count <= PARTITION_COUNT_MAX &&
	       (partition_count & (partition_count - 1)) == 0 && reply->owner_count > 0 &&
	       reply->first_partition < partition_count &&
	       reply->owner_count <= partition_count - reply->first_partition &&
	       size >= AT_NODES + reply->node_count * WIRE_MAP_NODE_SIZE +
			       reply->owner_count * OWNER_SIZE;
}

static bool node_usable(struct wire_map_node node)
{
	return node.ipv4 != 0 && node.base_port != 0 && node.worker_count != 0 &&
	       node.worker_count <= WORKER_COUNT_MAX &&
	       (uint32_t)node.base_port + node.worker_count - 1 <= UINT16_MAX;
}

bool wire_map_reply_read(const uint8_t *body, size_t size, struct wire_map_reply *reply)
{
	if (size < WIRE_MAP_REPLY_BODY_SIZE)
		return false;
	reply->partition_count = wire_get_u16(body + AT_PARTITION_COUNT);
	reply->first_partition = wire_get_u16(body + AT_FIRST_PARTITION);
	reply->owner_count = wire_get_u16(body + AT_OWNER_COUNT);
	reply->node_count = wire_get_u16(body + AT_NODE_COUNT);
	reply->nodes = body + AT_NODES;
	if (!counts_agree(reply, size))
		return false;
	reply->owners = reply->nodes + reply->node_count * WIRE_MAP_NODE_SIZE;
	for (uint16_t i = 0; i < reply->node_count; i++) {
		if (!node_usable(wire_map_reply_node(reply, i)))
			return false;
	}
	for (uint16_t i = 0; i < reply->owner_count; i++) {
		uint16_t owner = wire_map_reply_owner(reply, i);

		if (owner >= reply->node_count && owner != WIRE_MAP_NO_OWNER)
			return false;
	}
	return true;
}
