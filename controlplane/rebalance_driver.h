/* SPDX-License-Identifier: BSD-3-Clause */
/* The rebalancer on a node's cluster and migrator, in the daemon and in the simulation alike. */
#ifndef CONTROLPLANE_REBALANCE_DRIVER_H
#define CONTROLPLANE_REBALANCE_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/cluster.h"
#include "controlplane/migrator.h"
#include "controlplane/rebalance_plan.h"

struct rebalance_driver_options {
	const struct world *world;
	const struct log *log;
	const struct cluster *cluster;
	struct migrator *migrator; /* outlives the driver */
	uint32_t parallel_max;     /* imports at once */
	uint64_t seed;             /* of the pauses after failures */
};

/* Thread safety: none; the control thread owns it. Knows no event loop: its host calls rebalance_driver_run(). */
struct rebalance_driver;

/* 0 or -ENOMEM. */
int rebalance_driver_create(struct rebalance_driver **driver,
			    const struct rebalance_driver_options *options);
/* Accepts NULL. */
void rebalance_driver_destroy(struct rebalance_driver *driver);

/* Looks, and begins the imports that are due; called every REBALANCE_DRIVER_TICK_MS. */
void rebalance_driver_run(struct rebalance_driver *driver);
#define REBALANCE_DRIVER_TICK_MS 50u

/* The operator wants one rebalance: this node takes its part of it. */
void rebalance_driver_ask(struct rebalance_driver *driver);

/* What a rebalance would do now, all nodes together. Errors of rebalance_plan_make(). */
int rebalance_driver_plan(const struct rebalance_driver *driver, struct rebalance_plan *plan);

/* "idle", "settling" or "moving". */
const char *rebalance_driver_state(const struct rebalance_driver *driver);
/* Moves that are left, all nodes together; 0 unless moving. */
uint32_t rebalance_driver_moves_left(const struct rebalance_driver *driver);
/* Whether 'to' takes 'partition' over for a rebalance, or because its owner leaves. */
bool rebalance_driver_has_move(const struct rebalance_driver *driver, uint32_t partition,
			       uint64_t to);

#endif
