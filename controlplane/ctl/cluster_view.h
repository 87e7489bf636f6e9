/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster, its nodes and partitions, from the JSON of an admin address to text. */
#ifndef CONTROLPLANE_CTL_CLUSTER_VIEW_H
#define CONTROLPLANE_CTL_CLUSTER_VIEW_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* Prints the reply of GET /v1/cluster. */
void cluster_view_status(const json_t *cluster, FILE *out);

/* Prints its problems, one a line; returns how many there are. */
uint32_t cluster_view_problems(const json_t *cluster, FILE *out);

/* Prints the reply of GET /v1/nodes. 0, or -ENOMEM. */
int cluster_view_nodes(const json_t *nodes, FILE *out);

/* Prints the reply of GET /v1/partitions, those of the node named 'owner' only unless it is NULL. 0, or
 * -ENOMEM.
 */
int cluster_view_partitions(const json_t *partitions, const char *owner, FILE *out);

#endif
