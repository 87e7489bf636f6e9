/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a data plane, for dataplane.c and dataplane_cluster.c alone. */
#ifndef DATAPLANE_DATAPLANE_STATE_H
#define DATAPLANE_DATAPLANE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core_state.h"
#include "dataplane/dataplane.h"
#include "storage/grace_thread.h"
#include "storage/item_memory.h"
#include "storage/reclaim.h"

/* What one worker is made of, beside its core. */
struct worker {
	char name[DATAPLANE_NAME_SIZE + 16];
	struct core *core;
	struct shard *shard;
	struct session_table *sessions;
	struct replay_table *replay;
	struct reader_registry *readers; /* of the node */
	bool is_launched;
};

struct dataplane {
	struct dataplane_options options;
	struct core_shared *shared;
	struct port *port;
	struct item_memory *memory;
	struct grace_period *period;
	struct grace_thread *grace_thread;
	struct reclaim *old_routes; /* the control thread's, as are those two: no worker looks at them */
	uint64_t route_serial;
	uint8_t access[PARTITION_COUNT_MAX]; /* enum partition_access, of partitions on the move */
	struct reader_registry *readers;
	struct worker workers[WORKER_COUNT_MAX];
};

#endif
