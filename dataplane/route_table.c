/* SPDX-License-Identifier: BSD-3-Clause */
/* Building and publishing of route tables. */
#include "dataplane/route_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

/* Places per node in the table of addresses, at least: most are empty. */
#define PLACES_PER_NODE 2u

static uint32_t place_count(uint16_t node_count)
{
	uint32_t count = 4;

	while (count < PLACES_PER_NODE * node_count)
		count *= 2;
	return count;
}

static bool allocate(struct route_table *table)
{
	uint32_t places = place_count(table->node_count);

	table->nodes = calloc(table->node_count, sizeof(*table->nodes));
	table->peers = calloc(table->node_count, sizeof(*table->peers));
	table->owners = calloc(table->partition_count, sizeof(*table->owners));
	table->epochs = calloc(table->partition_count, sizeof(*table->epochs));
	table->access = calloc(table->partition_count, sizeof(*table->access));
	table->sets = calloc(places, sizeof(*table->sets));
	table->set_mask = places - 1;
	return table->nodes && table->peers && table->owners && table->epochs && table->access &&
	       table->sets;
}

/* All zero but for the sizes. */
static struct route_table *create_empty(uint16_t partition_count, uint16_t node_count)
{
	struct route_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	table->partition_count = partition_count;
	table->node_count = node_count;
	if (!allocate(table)) {
		route_table_destroy(table);
		return NULL;
	}
	return table;
}

struct route_table *route_table_create(uint16_t partition_count, const struct wire_map_node *nodes,
				       uint16_t node_count, uint16_t self)
{
	struct route_table *table = create_empty(partition_count, node_count);

	if (!table)
		return NULL;
	table->map_version = 1;
	table->self = self;
	memcpy(table->nodes, nodes, node_count * sizeof(*nodes));
	for (uint16_t i = 0; i < partition_count; i++) {
		table->owners[i] = self;
		table->epochs[i] = 1;
	}
	return table;
}

struct route_table *route_table_copy(const struct route_table *table)
{
	uint16_t partition_count = table->partition_count;
	struct route_table *copy = create_empty(partition_count, table->node_count);

	if (!copy)
		return NULL;
	copy->map_version = table->map_version;
	copy->self = table->self;
	memcpy(copy->nodes, table->nodes, table->node_count * sizeof(*table->nodes));
	memcpy(copy->owners, table->owners, partition_count * sizeof(*table->owners));
	memcpy(copy->epochs, table->epochs, partition_count * sizeof(*table->epochs));
	for (uint16_t i = 0; i < table->node_count; i++) {
		copy->peers[i] = table->peers[i];
		if (copy->peers[i].neighbor)
			copy->peers[i].neighbor->references++;
	}
	return copy;
}

void route_table_destroy(struct route_table *table)
{
	if (!table)
		return;
	for (uint16_t i = 0; table->peers && i < table->node_count; i++) {
		if (table->peers[i].neighbor && --table->peers[i].neighbor->references == 0)
			free(table->peers[i].neighbor);
	}
	free(table->nodes);
	free(table->peers);
	free(table->owners);
	free(table->epochs);
	free(table->access);
	free(table->sets);
	free(table);
}

/* ---- neighbours ---- */

static uint32_t next_hop(const struct route_network *network, uint32_t ipv4)
{
	uint32_t outside = network->prefix >= 32 ? 0 : UINT32_MAX >> network->prefix;
	bool is_direct = network->gateway_ipv4 == 0 || ((ipv4 ^ network->ipv4) & ~outside) == 0;

	return is_direct ? ipv4 : network->gateway_ipv4;
}

/* The neighbour of that address among the first 'count' nodes; NULL: none has it. */
static struct neighbor *find_neighbor(const struct route_table *table, uint16_t count,
				      uint32_t ipv4)
{
	for (uint16_t i = 0; i < count; i++) {
		struct neighbor *neighbor = table->peers[i].neighbor;

		if (neighbor && neighbor->ipv4 == ipv4)
			return neighbor;
	}
	return NULL;
}

int route_meet_neighbors(struct route_table *table, const struct route_table *before,
			 const struct route_network *network)
{
	for (uint16_t i = 0; i < table->node_count; i++) {
		uint32_t ipv4 = next_hop(network, table->nodes[i].ipv4);
		struct neighbor *neighbor = find_neighbor(table, i, ipv4);

		if (i == table->self || table->peers[i].neighbor)
			continue;
		if (!neighbor && before)
			neighbor = find_neighbor(before, before->node_count, ipv4);
		if (!neighbor)
			neighbor = calloc(1, sizeof(*neighbor));
		if (!neighbor)
			return -ENOMEM;
		neighbor->ipv4 = ipv4;
		neighbor->references++;
		table->peers[i].neighbor = neighbor;
	}
	return 0;
}

/* ---- publishing ---- */

static enum route_access access_by_owner(const struct route_table *table, uint32_t partition)
{
	if (route_is_own(table, partition))
		return ROUTE_SERVED;
	return table->owners[partition] == WIRE_MAP_NO_OWNER ? ROUTE_UNAVAILABLE : ROUTE_FORWARDED;
}

/* Where the search for an address begins. */
static uint32_t place_of(const struct route_table *table, uint32_t ipv4)
{
	return ipv4 * UINT32_C(0x9e3779b1) >> 16 & table->set_mask;
}

static void index_peers(struct route_table *table)
{
	for (uint32_t i = 0; i <= table->set_mask; i++)
		table->sets[i] = table->node_count;
	for (uint16_t node = 0; node < table->node_count; node++) {
		uint32_t place = place_of(table, table->nodes[node].ipv4);

		while (table->sets[place] != table->node_count)
			place = (place + 1) & table->set_mask;
		table->sets[place] = node;
	}
}

struct route_table *route_publish(struct route_table **current, struct route_table *table)
{
	struct route_table *before = *current;

	table->serves_all = true;
	for (uint32_t i = 0; i < table->partition_count; i++) {
		if (table->access[i] == ROUTE_BY_OWNER)
			table->access[i] = (uint8_t)access_by_owner(table, i);
		table->serves_all &= table->access[i] == ROUTE_SERVED;
	}
	index_peers(table);
	rcu_assign_pointer(*current, table);
	return before;
}

/* ---- peers ---- */

const struct route_peer *route_find_peer(const struct route_table *table, uint32_t ipv4,
					 uint64_t token, enum route_side side)
{
	uint32_t place = place_of(table, ipv4);
	uint16_t node;

	if (token == 0)
		return NULL;
	for (; (node = table->sets[place]) != table->node_count;
	     place = (place + 1) & table->set_mask) {
		const struct route_peer *peer = &table->peers[node];

		if (table->nodes[node].ipv4 == ipv4 &&
		    (side == ROUTE_IN ? peer->token_in : peer->token_out) == token)
			return peer;
	}
	return NULL;
}

bool route_learn(const struct route_table *table, uint32_t ipv4, const uint8_t mac[PACKET_MAC_SIZE],
		 uint64_t now_ms)
{
	for (uint16_t node = 0; node < table->node_count; node++) {
		struct neighbor *neighbor = table->peers[node].neighbor;

		if (neighbor && neighbor->ipv4 == ipv4) {
			neighbor_learn(neighbor, mac, now_ms);
			return true;
		}
	}
	return false;
}
