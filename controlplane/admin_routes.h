/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node's admin address answers about the node itself. */
#ifndef CONTROLPLANE_ADMIN_ROUTES_H
#define CONTROLPLANE_ADMIN_ROUTES_H

#include <jansson.h>

#include "controlplane/admin_http.h"
#include "controlplane/node_report.h"
#include "controlplane/node_watch.h"

/* GET /v1/status, GET /v1/counters, GET /metrics; the context of all is a struct node_watch.
 * Terminated by a NULL path.
 */
extern const struct admin_route admin_routes_node[];

/* The bodies; new references, NULL when out of memory. */
json_t *admin_status_json(const struct node_report *report);
json_t *admin_counters_json(const struct node_report *report);

#endif
