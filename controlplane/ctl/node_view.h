/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's status and counters, from the JSON of its admin address to text. */
#ifndef CONTROLPLANE_CTL_NODE_VIEW_H
#define CONTROLPLANE_CTL_NODE_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Prints the reply of GET /v1/status. Fields that are missing print as 0 or nothing: nodes of other
 * versions may answer. 0, or -ENOMEM.
 */
int node_view_status(const json_t *status, FILE *out);

/* Prints the reply of GET /v1/counters; counters that are zero only when 'all'. 0, or -ENOMEM. */
int node_view_counters(const json_t *counters, bool all, FILE *out);

#endif
