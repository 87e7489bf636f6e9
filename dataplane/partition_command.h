/* SPDX-License-Identifier: BSD-3-Clause */
/* What the control plane asks a partition's owner core to do, and the core's answer. */
#ifndef DATAPLANE_PARTITION_COMMAND_H
#define DATAPLANE_PARTITION_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/partition.h"
#include "storage/partition_export.h"
#include "storage/record.h"

enum partition_command_kind {
	/* Source: */
	PARTITION_BEGIN_EXPORT, /* export: watches writes from now on; the scan may begin */
	PARTITION_END_EXPORT,   /* export is the caller's again */
	PARTITION_SNAPSHOT,     /* only tells */
	PARTITION_FREEZE,       /* nothing expires or is evicted any more */
	PARTITION_THAW,
	PARTITION_DISCARD, /* slot_max: drops a part of what was handed over or staged; is_done */
	/* Target: */
	PARTITION_BEGIN_IMPORT, /* fails if the partition is not empty: DISCARD first */
	PARTITION_APPLY,        /* records, record_count; fails without memory, after a part of them */
	PARTITION_FINALIZE,     /* epoch, version: the import is the partition */
};

/* One order to the owner of 'partition'. It runs in slices between bursts of packets, at the end of a turn: it sees all writes of
 * requests that were judged by an older route table than any published before the submission, and none that was parked by a
 * newer one. The orders of one partition run one after the other, as submitted. Partitions take turns, a slice each: none waits
 * for what another one is waiting for, such as memory.
 *
 * Thread safety: the control plane fills and submits it, then leaves it and what it points to alone until
 * partition_command_is_done(). If the workers are stopped before, it is never done.
 */
struct partition_command {
	enum partition_command_kind kind;
	uint32_t partition;
	uint32_t epoch;
	uint32_t slot_max;
	uint64_t version;
	struct partition_export *export;
	const struct record *records;
	uint32_t record_count;

	/* The answer. The numbers are of the moment after it, between two writes. */
	bool is_ok;
	bool is_done; /* DISCARD: nothing is left */
	uint64_t delta_last; /* the newest record of the export's ring; 0 = no export */
	struct partition_stats stats;

	/* The worker's. */
	uint32_t records_applied;
	uint64_t stuck_since_ms; /* no record could be applied since; 0 = it goes on */
	struct partition_command *next;      /* of the same partition */
	struct partition_command *last;      /* likewise; known of the first */
	struct partition_command *next_lane; /* the first of another partition; likewise */
	bool is_finished;                    /* naturally atomic */
};

static inline bool partition_command_is_done(const struct partition_command *command)
{
	return __atomic_load_n(&command->is_finished, __ATOMIC_ACQUIRE);
}

struct core;

/* Commands that a worker has not yet looked at, at most. It looks at one in each turn, whatever those before wait for. */
#define PARTITION_COMMANDS_MAX 255u

/* The partitions of a worker that have commands to be done, in the order of their turns: the first command of each. */
struct partition_lanes {
	struct partition_command *first;
	struct partition_command *last;
};

/* Runs a slice of the first command of the partition whose turn it is; 'work_max' bounds the records or slots touched, about (the
 * worker, once per turn). Returns whether there was one. Besides, it looks through the partitions that have commands.
 */
bool partition_command_run(struct core *core, uint32_t work_max);

#endif
