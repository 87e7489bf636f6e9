/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster as one node sees it, as JSON for its admin address. */
#ifndef CONTROLPLANE_CLUSTER_JSON_H
#define CONTROLPLANE_CLUSTER_JSON_H

#include <jansson.h>

#include "controlplane/cluster.h"

/* Bodies of GET /v1/cluster, /v1/nodes, /v1/partitions; new references, NULL when out of memory. */
json_t *cluster_json(struct cluster *cluster);
json_t *cluster_nodes_json(const struct cluster *cluster);
json_t *cluster_partitions_json(const struct cluster *cluster);

#endif
