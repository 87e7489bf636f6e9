/* SPDX-License-Identifier: BSD-3-Clause */
/* All migrations of one node: which machine gets what, and the answers where there is no machine. */
#ifndef CONTROLPLANE_MIGRATION_JOBS_H
#define CONTROLPLANE_MIGRATION_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/migration_source.h"
#include "controlplane/migration_target.h"
#include "controlplane/partition_map.h"
#include "controlplane/partition_set.h"

/* Jobs of a node at once, on each side. */
#define MIGRATION_JOBS_MAX 64u

/* Attempts that a source remembers, so that a PREPARE that was long under way starts none of them again. */
#define MIGRATION_JOBS_REMEMBERED 256u

struct migration_jobs_options {
	uint64_t self; /* node id */
	uint64_t generation;
	uint64_t seed;       /* of job numbers; must differ from life to life */
	uint32_t source_max; /* 1..MIGRATION_JOBS_MAX at once */
	uint32_t target_max;
	struct migration_options migration;
	/* This node's map, and the partitions whose data it has: those it founded, imported or claimed in
	 * this life. What an earlier life owned it does not have, whatever the map says. Both are read
	 * only, kept by the caller, and outlive the jobs.
	 */
	const struct partition_map *map;
	const struct partition_set *held;
};

enum migration_jobs_action_kind {
	JOBS_SOURCE, /* partition, source: an action of that partition's source */
	JOBS_TARGET, /* partition, target: likewise */
	JOBS_REPLY,  /* to, message: an answer outside of any job */
	/* partition, to, epoch: that node owns it from there on. Enter it in the map, show it to the workers. */
	JOBS_GIVE_BACK,
};

struct migration_jobs_action {
	enum migration_jobs_action_kind kind;
	uint32_t partition;
	uint32_t epoch;
	uint64_t to; /* node id: also where the messages of SOURCE and TARGET go */
	const struct migration_source_action *source;
	const struct migration_target_action *target;
	struct sync_message message;
};

/* Live until the next call that takes a step. */
struct migration_jobs_actions {
	uint32_t count;
	const struct migration_jobs_action *items;
};

enum migration_jobs_event_kind {
	JOBS_ON_TIMER,   /* the deadline has passed */
	JOBS_ON_MESSAGE, /* message */
	JOBS_ON_BATCH,   /* batch, sender (node id) */
	JOBS_ON_SOURCE,  /* partition, source: the answer to an action, DELTAS or DELTAS_LOST */
	JOBS_ON_TARGET,  /* partition, target: the answer to an action */
	JOBS_ON_PEER,    /* node, generation, peer: GONE when 'generation' is a later life's */
	JOBS_ON_OWNER,   /* partition: its entry in the map has changed */
	/* is_ok: a majority of the cluster is seen, and their maps were merged since it was not. Not seen
	 * until told.
	 */
	JOBS_ON_MAJORITY,
	JOBS_ON_CONNECTED, /* node */
	JOBS_ON_CANCEL,    /* partition */
	JOBS_ON_CLAIM,     /* partition: the operator accepts the loss */
};

struct migration_jobs_event {
	enum migration_jobs_event_kind kind;
	bool is_ok;
	enum migration_peer peer;
	uint32_t partition;
	uint64_t node;
	uint64_t generation;
	uint64_t sender;
	const struct sync_message *message;
	const struct sync_batch *batch;
	const struct migration_source_event *source;
	const struct migration_target_event *target;
};

struct migration_jobs_counters {
	uint64_t unknown;       /* messages and batches of a job that is not here */
	uint64_t refused_busy;  /* PREPAREs answered BUSY */
	uint64_t refused_owner; /* PREPAREs answered NOT_OWNER */
	uint64_t lost;          /* COMMITs of an earlier life's jobs, given back */
};

/* A partition has at most one job on a node. Thread safety: none; one event loop drives it. */
struct migration_jobs;

/* 0, -ENOMEM or -EINVAL. */
int migration_jobs_create(struct migration_jobs **jobs,
			  const struct migration_jobs_options *options, uint64_t now_ms);
/* Accepts NULL. */
void migration_jobs_destroy(struct migration_jobs *jobs);

/* Starts to take 'partition' from its owner, which lives in 'source_generation'.
 * 0 and '*actions'; -EBUSY: a job works on the partition;
 * -ENOSPC: target_max jobs run; -EALREADY: this node owns it; -ENOENT: no such partition, or nobody
 * is known to own it; -EINVAL: generation 0.
 */
int migration_jobs_import(struct migration_jobs *jobs, uint64_t now_ms, uint32_t partition,
			  uint64_t source_generation, struct migration_jobs_actions *actions);

/* Takes one event. Call with JOBS_ON_TIMER until the deadline lies in the future. A job that is done is
 * forgotten by the next step.
 */
struct migration_jobs_actions migration_jobs_step(struct migration_jobs *jobs, uint64_t now_ms,
						  const struct migration_jobs_event *event);
uint64_t migration_jobs_deadline_ms(const struct migration_jobs *jobs);

/* The machine that works on 'partition', NULL when there is none. */
const struct migration_source *migration_jobs_source(const struct migration_jobs *jobs,
						     uint32_t partition);
const struct migration_target *migration_jobs_target(const struct migration_jobs *jobs,
						     uint32_t partition);

/* Jobs, those that are done and not yet forgotten not counted. */
uint32_t migration_jobs_count(const struct migration_jobs *jobs);

const struct migration_jobs_counters *migration_jobs_counters(const struct migration_jobs *jobs);

/* Whether every machine is fit for its state. */
bool migration_jobs_are_sound(const struct migration_jobs *jobs);

#endif
