/* SPDX-License-Identifier: BSD-3-Clause */
/* A migrator's life: what it needs of its node, and what its node tells it. */
#ifndef CONTROLPLANE_MIGRATOR_HOST_H
#define CONTROLPLANE_MIGRATOR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/log.h"
#include "controlplane/migrator.h"
#include "controlplane/world.h"
#include "dataplane/dataplane.h"

/* What is thought of another node. */
struct migrator_peer {
	enum migration_peer state;
	uint64_t generation;
};

/* The node as its migrator sees it: the daemon's, or a simulated one. None of them calls the migrator with a frame; all other
 * calls below are allowed, and take effect when the present turn is over.
 */
struct migrator_host {
	void *context;
	/* This node's generation, which may grow as long as it is no member. */
	uint64_t (*generation)(void *context);
	/* A frame for 'node', copied. It may get lost; migrator_connected() says that this may have happened. */
	void (*send)(void *context, uint64_t node, const uint8_t *bytes, size_t size);
	/* False: nobody knows that node. */
	bool (*find_peer)(void *context, uint64_t node, struct migrator_peer *peer);
	/* The node's name, or something to call it by. Returns 'text'. */
	const char *(*name)(void *context, uint64_t node, char text[NODE_NAME_SIZE]);
	/* Announces the partitions on their way, at once. */
	void (*mark)(void *context, const struct partition_set *importing,
		     const struct partition_set *migrating);
	/* This node has the partition's data (not any more). */
	void (*hold)(void *context, uint32_t partition, bool is_held);
	/* Enters an ownership in the map and tells the cluster. */
	void (*record_owner)(void *context, const struct partition_owner *owner);
	/* Shows map and holdings to the workers: has called dataplane_set_routes() when it returns. */
	void (*publish)(void *context);
	/* Sees to it that a majority of the members has the partition's entry of the map, then calls
	 * migrator_announced().
	 */
	void (*announce)(void *context, uint32_t partition);
	/* A turn is over: migrator_wait_us() may be less than it was. */
	void (*wake)(void *context);
};

struct migrator_options {
	uint64_t self; /* node id */
	uint32_t source_max;
	uint32_t target_max;
	uint64_t ring_size; /* bytes of a source's ring of deltas, a power of two */
	struct migration_options migration;
	const struct partition_map *map;  /* this node's; kept by the host */
	const struct partition_set *held; /* likewise */
	struct dataplane *dataplane;
	struct reader *reader; /* of the thread that calls the migrator; offline between calls */
	const struct world *world;
	struct log *log;
	struct migrator_host host;
};

/* 0, -ENOMEM or -EINVAL. */
int migrator_create(struct migrator **migrator, const struct migrator_options *options);

/* Once the workers are stopped, or when migrator_is_idle(). Accepts NULL. */
void migrator_destroy(struct migrator *migrator);

/* --- What happens --- */

/* A frame (sync_frame.h) of 'sender'; 'bytes' live as long as the call. */
void migrator_take_frame(struct migrator *migrator, uint64_t sender, const uint8_t *bytes,
			 size_t size);
/* Frames to 'node' travel (again); those sent before may be lost. */
void migrator_connected(struct migrator *migrator, uint64_t node);
/* What find_peer() says of 'node' has changed. */
void migrator_peer_changed(struct migrator *migrator, uint64_t node);
/* The map has changed, by whatever. */
void migrator_map_changed(struct migrator *migrator);
/* Whether a majority of the cluster is seen, and their maps were merged since it was not. Not seen until told. */
void migrator_set_majority(struct migrator *migrator, bool is_seen);
void migrator_announced(struct migrator *migrator, uint32_t partition);

/* Does what is due: timers, and a slice of what is under way in the data plane. */
void migrator_run(struct migrator *migrator);

/* Microseconds until migrator_run() is to be called, 0 = at once, after what else there is to do. */
uint64_t migrator_wait_us(const struct migrator *migrator);

/* The machines, for looking. */
const struct migration_jobs *migrator_jobs(const struct migrator *migrator);

/* --- The end --- */

/* The node is about to stop: ends what is not decided, and begins nothing any more. */
void migrator_stop(struct migrator *migrator);
/* Whether no job is left whose other end could not do without this node's word. */
bool migrator_is_decided(const struct migrator *migrator);
/* Whether nothing is under way at all. */
bool migrator_is_idle(const struct migrator *migrator);

#endif
