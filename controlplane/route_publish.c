/* SPDX-License-Identifier: BSD-3-Clause */
/* Owners by id become indices of a table of addresses. */
#include "controlplane/route_publish.h"

#include <stdlib.h>

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

/* This node first, then all whom requests can be sent to. Returns how many. */
static uint16_t collect(const struct membership *membership, struct wire_map_node *nodes,
			struct route_node *index)
{
	uint16_t count = 1;

	nodes[0] = wire_node(membership_self(membership));
	index[0] = (struct route_node){ membership_self(membership)->id, 0 };
	for (uint32_t i = 1; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		if (!is_reachable(member))
			continue;
		nodes[count] = wire_node(&member->node);
		index[count] = (struct route_node){ member->node.id, count };
		count++;
	}
	qsort(index, count, sizeof(*index), compare_ids);
	return count;
}

static uint16_t owner_of(const struct route_view *view, uint32_t partition,
			 const struct route_node *index, uint16_t count)
{
	struct route_node wanted = { partition_map_owner(view->map, partition), 0 };
	const struct route_node *found =
		bsearch(&wanted, index, count, sizeof(*index), compare_ids);

	if (!found)
		return WIRE_MAP_NO_OWNER;
	if (found->index == 0 && (!view->is_serving || !partition_set_has(view->held, partition)))
		return WIRE_MAP_NO_OWNER;
	return found->index;
}

static struct route_table *make(const struct route_view *view, struct wire_map_node *nodes,
				struct route_node *index)
{
	uint16_t count = collect(view->membership, nodes, index);
	struct route_table *table =
		route_table_create((uint16_t)view->map->partition_count, nodes, count, 0);

	if (!table)
		return NULL;
	table->map_version = partition_map_version32(view->map);
	for (uint16_t p = 0; p < table->partition_count; p++) {
		table->owners[p] = owner_of(view, p, index, count);
		table->epochs[p] = partition_map_epoch(view->map, p);
	}
	return table;
}

struct route_table *route_publish_make(const struct route_view *view)
{
	uint32_t end = membership_index_end(view->membership);
	struct wire_map_node *nodes = calloc(end, sizeof(*nodes));
	struct route_node *index = calloc(end, sizeof(*index));
	struct route_table *table = NULL;

	if (nodes && index && view->map->partition_count > 0)
		table = make(view, nodes, index);
	free(nodes);
	free(index);
	return table;
}
