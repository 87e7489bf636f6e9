/* SPDX-License-Identifier: BSD-3-Clause */
/* The routes that move partitions: /v1/migrations, /v1/rebalance, /v1/partitions/claim. */
#ifndef CONTROLPLANE_MIGRATION_ROUTES_H
#define CONTROLPLANE_MIGRATION_ROUTES_H

#include "controlplane/admin_http.h"
#include "controlplane/admin_relay.h"
#include "controlplane/cluster.h"
#include "controlplane/migrator.h"
#include "controlplane/rebalance_driver.h"

/* What the routes act on: their context; borrowed. */
struct migration_routes {
	struct cluster *cluster;
	struct migrator *migrator;
	struct admin_relay *relay;           /* NULL without a bus */
	struct rebalance_driver *rebalancer; /* NULL without a bus */
};

/* For the operator, at any node: what concerns another one is relayed to it. */
extern const struct admin_route migration_routes[];

/* For other members: what concerns this node, and nothing is relayed further. */
extern const struct admin_route migration_relay_routes[];

#endif
