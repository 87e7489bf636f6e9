/* SPDX-License-Identifier: BSD-3-Clause */
/* Building and publishing of route tables. */
#include "dataplane/route_table.h"

#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

static bool allocate(struct route_table *table, uint16_t partition_count, uint16_t node_count)
{
	table->nodes = calloc(node_count, sizeof(*table->nodes));
	table->owners = calloc(partition_count, sizeof(*table->owners));
	table->epochs = calloc(partition_count, sizeof(*table->epochs));
	return table->nodes && table->owners && table->epochs;
}

struct route_table *route_table_create(uint16_t partition_count, const struct wire_map_node *nodes,
				       uint16_t node_count, uint16_t self)
{
	struct route_table *table = calloc(1, sizeof(*table));

	if (!table)
		return NULL;
	if (!allocate(table, partition_count, node_count)) {
		route_table_destroy(table);
		return NULL;
	}
	table->map_version = 1;
	table->partition_count = partition_count;
	table->node_count = node_count;
	table->self = self;
	memcpy(table->nodes, nodes, node_count * sizeof(*nodes));
	for (uint16_t i = 0; i < partition_count; i++) {
		table->owners[i] = self;
		table->epochs[i] = 1;
	}
	return table;
}

void route_table_destroy(struct route_table *table)
{
	if (!table)
		return;
	free(table->nodes);
	free(table->owners);
	free(table->epochs);
	free(table);
}

struct route_table *route_publish(struct route_table **current, struct route_table *table)
{
	struct route_table *before = *current;

	table->owns_all = true;
	for (uint32_t i = 0; i < table->partition_count; i++)
		table->owns_all &= table->owners[i] == table->self;
	rcu_assign_pointer(*current, table);
	return before;
}
