/* SPDX-License-Identifier: BSD-3-Clause */
/* From the cluster's knowledge to the route table that the workers read. */
#ifndef CONTROLPLANE_ROUTE_PUBLISH_H
#define CONTROLPLANE_ROUTE_PUBLISH_H

#include <stdbool.h>

#include "controlplane/membership.h"
#include "controlplane/partition_map.h"
#include "controlplane/partition_set.h"
#include "dataplane/route_table.h"

/* What decides where requests go; borrowed. */
struct route_view {
	const struct partition_map *map;
	const struct membership *membership;
	/* The partitions whose data this node has. The map may name it as the owner of others: those
	 * that an earlier life of it had.
	 */
	const struct partition_set *held;
	bool is_serving; /* false: fenced, or not a member (any more) */
};

/* A new table: this node owns what the map gives it, it holds and may serve; partitions of members
 * thought alive are theirs; all others have no owner, and requests for them are answered
 * UNAVAILABLE. With members thought alive whose records make one there is a session (node_session.h).
 * NULL without memory, or while the number of partitions is not known.
 */
struct route_table *route_publish_make(const struct route_view *view);

#endif
