/* SPDX-License-Identifier: BSD-3-Clause */
/* A migrator in its cluster: what happens there goes to the migrator, what it wants of the cluster is done there. */
#ifndef CONTROLPLANE_MIGRATOR_BINDING_H
#define CONTROLPLANE_MIGRATOR_BINDING_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/cluster.h"
#include "controlplane/migrator_host.h"

/* What is left of migrator_host: how frames travel, and who calls migrator_binding_run(). */
struct migrator_binding_host {
	void *context;
	/* As in migrator_host. */
	void (*send)(void *context, uint64_t node, const uint8_t *bytes, size_t size);
	/* The channels to 'node' are to end: it is dead, or lives anew. */
	void (*reset)(void *context, uint64_t node);
	/* migrator_binding_wait_us() may be less than it was. */
	void (*wake)(void *context);
};

struct migrator_binding_options {
	struct cluster *
		cluster; /* outlives the binding, and takes no step without it once it is started */
	struct dataplane *dataplane;
	struct reader *reader; /* as in migrator_options, like all below */
	const struct world *world;
	struct log *log;
	uint32_t source_max;
	uint32_t target_max;
	uint64_t ring_size;
	struct migration_options
		migration; /* but for claim_ms, which follows from the cluster's fence */
	struct migrator_binding_host host;
};

/* Thread safety: none; the control thread owns it. Knows no socket and no clock. */
struct migrator_binding;

/* 0, -ENOMEM or -EINVAL. */
int migrator_binding_create(struct migrator_binding **binding,
			    const struct migrator_binding_options *options);
/* Once the workers are stopped; the cluster takes no step any more. Accepts NULL. */
void migrator_binding_destroy(struct migrator_binding *binding);

/* Hears of the cluster from now on; when the workers run. */
void migrator_binding_start(struct migrator_binding *binding);

/* Does what is due; called at least every MIGRATOR_BINDING_TICK_MS, and when migrator_binding_wait_us() is over. */
void migrator_binding_run(struct migrator_binding *binding);
#define MIGRATOR_BINDING_TICK_MS 100u
/* Microseconds until then, 0 = at once. */
uint64_t migrator_binding_wait_us(const struct migrator_binding *binding);

/* For its frames and channels (migrator_host.h), and for looking. */
struct migrator *migrator_binding_migrator(const struct migrator_binding *binding);

/* Whether claims wait until a majority knows of them. */
bool migrator_binding_is_announcing(const struct migrator_binding *binding);

#endif
