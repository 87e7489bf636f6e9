/* SPDX-License-Identifier: BSD-3-Clause */
/* What a migrator is made of: for the files that make it, migrator.c and migrator_*.c. Others take migrator.h.
 */
#ifndef CONTROLPLANE_MIGRATOR_STATE_H
#define CONTROLPLANE_MIGRATOR_STATE_H

#include "controlplane/migration_export.h"
#include "controlplane/migration_import.h"
#include "controlplane/migrator_host.h"

enum migrator_task_kind {
	TASK_SOURCE, /* one attempt of a source machine */
	TASK_TARGET, /* a target machine, all its attempts */
	TASK_FORGET, /* no machine: data of a partition that somebody else owns, and that no job sees to */
};

/* What works on a partition in the data plane. */
struct migrator_task {
	struct migrator_task *next;
	struct migrator *migrator;
	enum migrator_task_kind kind;
	uint32_t partition;
	uint64_t job;
	uint32_t attempt;                /* of a source */
	struct migration_export *export; /* of a source */
	struct migration_import *import; /* of the others */
	enum migration_pace pace;
	bool is_over; /* to be destroyed when it rests */

	/* Of a target: what requests meet here while the partition is not served yet. */
	enum partition_access access;
	bool is_access_old; /* not set yet, for want of memory */

	/* The rate of the last RATE_MS. */
	uint64_t sampled_ms;
	uint64_t sampled_bytes;
	uint64_t bytes_per_s;
};

/* An event for the machines that waits for its turn. */
struct migrator_event {
	struct migration_jobs_event event;
	uint64_t job; /* of a source's event */
	uint32_t attempt;
	struct migration_source_event source;
	struct migration_target_event target;
};

struct migrator_counters {
	uint64_t out_started;
	uint64_t out_done;
	uint64_t out_failed;
	uint64_t in_started;
	uint64_t in_done;
	uint64_t in_failed;
	uint64_t bytes_sent;
	uint64_t bytes_received;
	uint64_t items_sent;
	uint64_t deltas_sent;
	uint64_t records_received;
	uint64_t malformed;
	uint64_t forgotten;
	struct migration_jobs_counters jobs;
};

struct migrator {
	struct migrator_options options;
	struct migrator_counters counters;
	struct migration_jobs *jobs;
	uint64_t generation; /* the jobs' */
	bool is_majority_seen;
	bool is_stopping;
	bool is_in_turn;
	struct partition_set importing;
	struct partition_set migrating;
	struct migrator_task *tasks;

	/* The map as the machines know it. */
	uint64_t stamp_told;
	uint32_t count_told;
	struct partition_owner told[PARTITION_COUNT_MAX];
	uint64_t swept_ms;

	/* A ring of events. */
	uint32_t event_first;
	uint32_t event_count;
	uint32_t event_max;
	struct migrator_event *events;

	uint32_t past_count; /* ever; the ring below holds the latest */
	struct migration_past past[MIGRATOR_PAST_MAX];
};

/* --- migrator.c --- */

static inline uint64_t migrator_now(const struct migrator *migrator)
{
	return world_now_ms(migrator->options.world);
}

/* Queues an event for the machines; it has its turn when those before it have had theirs. */
void migrator_push(struct migrator *migrator, const struct migrator_event *event);
/* Does 'actions', then all that follows, until nothing is left to be said to the machines. */
void migrator_take_turn(struct migrator *migrator, const struct migration_jobs_actions *actions);

struct migrator_task *migrator_find_task(const struct migrator *migrator,
					 enum migrator_task_kind kind, uint32_t partition);
/* Whether anything works on the partition, if only to clean up. */
bool migrator_has_task(const struct migrator *migrator, uint32_t partition);
/* A task with an import in it; NULL without memory. */
struct migrator_task *migrator_start_import(struct migrator *migrator, enum migrator_task_kind kind,
					    uint32_t partition);
/* A task without anything in it; NULL without memory. */
struct migrator_task *migrator_add_task(struct migrator *migrator, enum migrator_task_kind kind,
					uint32_t partition);
/* What requests for the partition meet from now on. */
void migrator_set_access(struct migrator_task *task, enum partition_access access);
/* Nobody asks anything of it any more. */
void migrator_end_task(struct migrator_task *task);
/* Destroys what has ended and rests; outside of turns. */
void migrator_reap(struct migrator *migrator);

/* The partition is not served here any more, if it was. */
void migrator_let_go(struct migrator *migrator, uint32_t partition);
/* Announces the partitions on their way. */
void migrator_tell_marks(struct migrator *migrator);
void migrator_send(struct migrator *migrator, uint64_t to, const uint8_t *bytes, size_t size);
void migrator_send_message(struct migrator *migrator, uint64_t to,
			   const struct sync_message *message);
const char *migrator_name(const struct migrator *migrator, uint64_t node,
			  char text[NODE_NAME_SIZE]);
/* Keeps what is known of a job that ended. */
void migrator_remember(struct migrator *migrator, const struct migration_past *past);

/* --- migrator_source.c, migrator_target.c: the machines' actions --- */

void migrator_do_source(struct migrator *migrator, uint32_t partition, uint64_t to,
			const struct migration_source_action *action);
void migrator_do_target(struct migrator *migrator, uint32_t partition, uint64_t to,
			const struct migration_target_action *action);

#endif
