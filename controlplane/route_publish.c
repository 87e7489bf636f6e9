/* SPDX-License-Identifier: BSD-3-Clause */
/* Owners by id become indices of a table of addresses. */
#include "controlplane/route_publish.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/node_session.h"

/* A member as the table's node number 'index', found by id. */
struct route_node {
	uint64_t id;
	uint16_t index;
};

static bool is_reachable(const struct member *member)
{
	return member && member_state(member) <= MEMBER_SUSPECT &&
	       node_address_to_ipv4(&member->node.data) != 0 && member->node.workers > 0;
}

static struct wire_map_node wire_node(const struct node *node)
{
	return (struct wire_map_node){ node_address_to_ipv4(&node->data), node->data.port,
				       node->workers };
}

static int compare_ids(const void *a, const void *b)
{
	const struct route_node *left = a, *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

/* What the table says of nodes, before there is a table. */
struct route_nodes {
	struct wire_map_node *wire;
	struct route_peer *peers;
	struct route_node *index; /* by id */
	uint16_t count;
};

static struct route_peer peer_of(const struct node *self, const struct node *other)
{
	return (struct route_peer){ .token_in = node_session_token(other, self),
				    .token_out = node_session_token(self, other) };
}

/* This node first, then all whom requests can be sent to. */
static void collect(const struct membership *membership, struct route_nodes *nodes)
{
	const struct node *self = membership_self(membership);
	uint16_t count = 1;

	nodes->wire[0] = wire_node(self);
	nodes->index[0] = (struct route_node){ self->id, 0 };
	for (uint32_t i = 1; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		if (!is_reachable(member))
			continue;
		nodes->wire[count] = wire_node(&member->node);
		nodes->peers[count] = peer_of(self, &member->node);
		nodes->index[count] = (struct route_node){ member->node.id, count };
		count++;
	}
	qsort(nodes->index, count, sizeof(*nodes->index), compare_ids);
	nodes->count = count;
}

static uint16_t owner_of(const struct route_view *view, uint32_t partition,
			 const struct route_nodes *nodes)
{
	struct route_node wanted = { partition_map_owner(view->map, partition), 0 };
	const struct route_node *found =
		bsearch(&wanted, nodes->index, nodes->count, sizeof(*nodes->index), compare_ids);

	if (!found)
		return WIRE_MAP_NO_OWNER;
	if (found->index == 0 && (!view->is_serving || !partition_set_has(view->held, partition)))
		return WIRE_MAP_NO_OWNER;
	return found->index;
}

static struct route_table *make(const struct route_view *view, struct route_nodes *nodes)
{
	struct route_table *table;

	collect(view->membership, nodes);
	table = route_table_create((uint16_t)view->map->partition_count, nodes->wire, nodes->count,
				   0);
	if (!table)
		return NULL;
	table->map_version = partition_map_version32(view->map);
	memcpy(table->peers, nodes->peers, nodes->count * sizeof(*nodes->peers));
	for (uint16_t p = 0; p < table->partition_count; p++) {
		table->owners[p] = owner_of(view, p, nodes);
		table->epochs[p] = partition_map_epoch(view->map, p);
	}
	return table;
}

struct route_table *route_publish_make(const struct route_view *view)
{
	uint32_t end = membership_index_end(view->membership);
	struct route_nodes nodes = {
		.wire = calloc(end, sizeof(*nodes.wire)),
		.peers = calloc(end, sizeof(*nodes.peers)),
		.index = calloc(end, sizeof(*nodes.index)),
	};
	struct route_table *table = NULL;

	if (nodes.wire && nodes.peers && nodes.index && view->map->partition_count > 0)
		table = make(view, &nodes);
	free(nodes.wire);
	free(nodes.peers);
	free(nodes.index);
	return table;
}
