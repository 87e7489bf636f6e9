/* SPDX-License-Identifier: BSD-3-Clause */
/* Building and publishing of route tables. */
#include "dataplane/route_table.h"

#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

struct route_table *route_table_create(uint32_t partition_count, const struct route_node *nodes,
				       uint16_t node_count, uint16_t self)
{
	size_t owners_size = partition_count * sizeof(struct route_owner);
	size_t nodes_size = node_count * sizeof(struct route_node);
	struct route_table *table = malloc(sizeof(*table) + owners_size + nodes_size);
	struct route_node *copy;

	if (!table)
		return NULL;
	copy = (struct route_node *)(table->owners + partition_count);
	memcpy(copy, nodes, nodes_size);
	*table = (struct route_table){
		.map_version = 1,
		.partition_count = partition_count,
		.self = self,
		.node_count = node_count,
		.nodes = copy,
	};
	for (uint32_t i = 0; i < partition_count; i++)
		table->owners[i] = (struct route_owner){ .node = self, .epoch = 1 };
	return table;
}

void route_table_destroy(struct route_table *table)
{
	free(table);
}

struct route_table *route_publish(struct route_table **current, struct route_table *table)
{
	struct route_table *before = *current;

	table->owns_all = true;
	for (uint32_t i = 0; i < table->partition_count; i++)
		table->owns_all &= table->owners[i].node == table->self;
	rcu_assign_pointer(*current, table);
	return before;
}
