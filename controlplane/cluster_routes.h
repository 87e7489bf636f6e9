/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node's admin address answers about its cluster, and does to it. */
#ifndef CONTROLPLANE_CLUSTER_ROUTES_H
#define CONTROLPLANE_CLUSTER_ROUTES_H

#include "controlplane/admin_http.h"

/* GET /v1/cluster, /v1/nodes, /v1/partitions; POST /v1/cluster/create, join, leave, remove,
 * reload-keys, and /v1/partitions/claim. The context of all is a struct cluster. Terminated by a NULL
 * path.
 */
extern const struct admin_route cluster_routes[];

#endif
