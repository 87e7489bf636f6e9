/* SPDX-License-Identifier: BSD-3-Clause */
/* Which node owns each partition: an immutable snapshot that workers read under RCU. */
#ifndef DATAPLANE_ROUTE_TABLE_H
#define DATAPLANE_ROUTE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/wire_map.h"

/* Thread safety: filled by the control plane, read-only from route_publish() on. A reader that found
 * it under RCU may use it until its next quiescent state.
 */
struct route_table {
	uint32_t map_version; /* of the whole map; grows with each published change */
	uint16_t partition_count;
	uint16_t node_count;
	uint16_t self; /* this node's index in 'nodes' */
	bool owns_all; /* 'self' owns all: spares the test per operation; set by route_publish() */
	struct wire_map_node *nodes;
	uint16_t *owners; /* by partition: index into 'nodes', or WIRE_MAP_NO_OWNER */
	uint32_t *epochs; /* by partition: of its ownership */
};

/* A table of which 'self' owns all partitions in epoch 1, map version 1; the caller changes it before
 * it publishes it. The nodes are copied. NULL without memory.
 */
struct route_table *route_table_create(uint16_t partition_count, const struct wire_map_node *nodes,
				       uint16_t node_count, uint16_t self);

/* Once no reader can hold it. Accepts NULL. */
void route_table_destroy(struct route_table *table);

/* Makes 'table' the one that readers of '*current' find from now on, and returns the one before,
 * which the caller destroys after a grace period. One thread at a time (the control plane).
 */
struct route_table *route_publish(struct route_table **current, struct route_table *table);

/* Whether this node owns the partition. */
static inline bool route_is_own(const struct route_table *table, uint32_t partition)
{
	return table->owns_all || table->owners[partition] == table->self;
}

#endif
