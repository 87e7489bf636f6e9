/* SPDX-License-Identifier: BSD-3-Clause */
/* Which node owns each partition: an immutable snapshot that workers read under RCU. */
#ifndef DATAPLANE_ROUTE_TABLE_H
#define DATAPLANE_ROUTE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* A node as clients reach it: worker w of it listens on base_port + w. */
struct route_node {
	uint32_t ipv4; /* host byte order */
	uint16_t base_port;
	uint16_t worker_count;
};

#define ROUTE_NO_OWNER UINT16_MAX

struct route_owner {
	uint16_t node;  /* index into 'nodes', or ROUTE_NO_OWNER */
	uint32_t epoch; /* of the ownership */
};

/* Thread safety: filled by the control plane, read-only from route_publish() on. A reader that found it under RCU may use it
 * until its next quiescent state.
 */
struct route_table {
	uint32_t map_version; /* of the whole map; grows with each published change */
	uint32_t partition_count;
	uint16_t self; /* this node's index in 'nodes' */
	uint16_t node_count;
	bool owns_all; /* every partition's owner is 'self': spares the lookup per operation; set by route_publish() */
	const struct route_node *nodes;
	struct route_owner owners[]; /* partition_count of them */
};

/* A table of which 'self' owns all partitions in epoch 1, map version 1; the caller changes it before it publishes it. The nodes are
 * copied. NULL without memory.
 */
struct route_table *route_table_create(uint32_t partition_count, const struct route_node *nodes,
				       uint16_t node_count, uint16_t self);

/* Once no reader can hold it. Accepts NULL. */
void route_table_destroy(struct route_table *table);

/* Makes 'table' the one that readers of '*current' find from now on, and returns the one before, which the caller destroys after
 * a grace period. One thread at a time (the control plane).
 */
struct route_table *route_publish(struct route_table **current, struct route_table *table);

/* Whether this node owns the partition. */
static inline bool route_is_own(const struct route_table *table, uint32_t partition)
{
	return table->owns_all || table->owners[partition].node == table->self;
}

#endif
