/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a migration that owns the partition and decides: one attempt, as a pure machine. */
#ifndef CONTROLPLANE_MIGRATION_SOURCE_H
#define CONTROLPLANE_MIGRATION_SOURCE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "controlplane/migration.h"
#include "controlplane/state_machine.h"
#include "controlplane/sync_message.h"
#include "controlplane/token_bucket.h"

/* Most a step asks for: both windows sent again, and a few more. */
#define MIGRATION_SOURCE_ACTION_MAX (2u * MIGRATION_WINDOW_MAX + 16u)

/*      PREPARE came
 *         |
 *      CHECKING
 *         | room for a job: ACCEPT, mark, wait until every worker saw the mark
 *      MARKING
 *         | barrier done
 *      COPYING ........ scan in slot order, batches and deltas, window, pacing
 *         | scan over, all batches applied at the target
 *      VERIFYING <--------------+ ... FINAL, deltas go on
 *         | READY, lag is small |
 *      FENCING ---------------->+ ... writes are parked
 *         | every worker stopped| 
 *      FENCED ----------------->+ ... the last deltas, FINAL of this fence
 *         | READY of this fence | the parking bound passed: writes go on
 *      FENCING_READS ---------->+ ... reads are parked too
 *         | every worker stopped, a majority is seen: the decision, recorded, then COMMIT
 *      COMMITTING ..... in doubt until answered; asks for ever ---------+
 *         | COMMITTED                                                   | the target lost it, or
 *      DROPPING ....... local data goes in slices                       | the operator takes it back
 *         | nothing left                                                |
 *      UNMARKING <------------------------------------------------------+ ... once a majority knows
 *         |      <----- before COMMITTING: abort, cancel, dead or silent target, deltas lost
 *       DONE
 *
 * Before COMMITTING, and in it, a higher epoch of somebody else ends the job in DROPPING.
 */
enum migration_source_state {
	SOURCE_CHECKING,
	SOURCE_MARKING,
	SOURCE_COPYING,
	SOURCE_VERIFYING,
	SOURCE_FENCING,
	SOURCE_FENCED,
	SOURCE_FENCING_READS,
	SOURCE_COMMITTING,
	SOURCE_DROPPING,
	SOURCE_UNMARKING,
	SOURCE_DONE,
	SOURCE_STATE_COUNT,
};

enum migration_source_outcome {
	SOURCE_UNDECIDED,
	SOURCE_MIGRATED,   /* the target has it */
	SOURCE_ABORTED,    /* this node owns it as before; see the reason */
	SOURCE_RECLAIMED,  /* this node owns it again, at an epoch after the target's */
	SOURCE_SUPERSEDED, /* somebody took it at a higher epoch; dropped here */
};

/* What the machine asks for, to be done in order. An action with '->' is answered by exactly one event
 * of that kind, later or at once, also when the job has been aborted meanwhile.
 */
enum migration_source_action_kind {
	SOURCE_DO_CHECK_CAPACITY, /* -> CAPACITY: is there room for one more job as a source? */
	/* Mark the partition in the data plane and in the node's record, gossip at once. The cursor
	 * stands before the first slot, the delta ring is empty, its next sequence is 1.
	 */
	SOURCE_DO_MARK,
	SOURCE_DO_BARRIER, /* -> BARRIER_DONE: an RCU grace period of all workers */
	/* -> SCANNED: move the cursor, read slots, keep up to 'size' bytes of records (always at least
	 * one record) as batch 'batch' until released. A slice without a record makes no batch.
	 */
	SOURCE_DO_SCAN,
	SOURCE_DO_SEND_BATCH,      /* batch */
	SOURCE_DO_RELEASE_BATCHES, /* up to and including 'batch' */
	/* -> DRAINED: take up to 'size' bytes from the delta ring, keep them until released. */
	SOURCE_DO_DRAIN,
	SOURCE_DO_SEND_DELTAS,    /* first, last: a block as it was drained */
	SOURCE_DO_RELEASE_DELTAS, /* up to and including 'last' */
	/* -> SNAPSHOT: items, digest and highest version of the partition and the last sequence of its
	 * ring, all at one moment between two writes.
	 */
	SOURCE_DO_SNAPSHOT,
	/* -> SNAPSHOT: park writes from now on; when all workers stopped, as DO_SNAPSHOT. */
	SOURCE_DO_FENCE_WRITES,
	SOURCE_DO_FENCE_READS, /* -> READS_FENCED: park reads too; when all workers stopped */
	SOURCE_DO_UNFENCE,     /* serve the partition again, the parked requests first */
	/* Enter it in the partition map; the map has not moved beyond: ON_OWNER told before. */
	SOURCE_DO_RECORD_OWNER, /* owner, epoch */
	/* -> ANNOUNCED: have the present entry, or a newer one, in the maps of nodes that make a majority with
	 * this one; ask again until they do
	 */
	SOURCE_DO_ANNOUNCE,
	/* Show the map to the workers and to the cluster. As long as requests are parked they stay so. */
	SOURCE_DO_PUBLISH_MAP,
	SOURCE_DO_FORWARD_PARKED, /* to the owner; later requests are forwarded as they come */
	SOURCE_DO_REFUSE_PARKED,  /* answered RETRY; later requests are forwarded as they come */
	SOURCE_DO_DROP_SLICE,     /* -> DROPPED: a bounded part of the partition's items */
	/* -> UNMARKED: forget cursor, ring and kept batches; take the mark away, gossip at once;
	 * when all workers saw it.
	 */
	SOURCE_DO_UNMARK,
	SOURCE_DO_SEND,   /* message, to the target */
	SOURCE_DO_REPORT, /* the state changed: log it, show it */
};

struct migration_source_action {
	enum migration_source_action_kind kind;
	uint32_t fence;
	uint32_t epoch;
	uint32_t size; /* bytes */
	uint64_t owner;
	uint64_t batch;
	uint64_t first;
	uint64_t last;
	struct sync_message message;
};

struct migration_source_actions {
	uint32_t count;
	struct migration_source_action items[MIGRATION_SOURCE_ACTION_MAX];
};

enum migration_source_event_kind {
	SOURCE_ON_START,    /* the first event */
	SOURCE_ON_TIMER,    /* the deadline has passed */
	SOURCE_ON_MESSAGE,  /* message: of this job */
	SOURCE_ON_CAPACITY, /* is_ok; items, bytes: of the partition at present */
	SOURCE_ON_BARRIER_DONE,
	SOURCE_ON_SCANNED,     /* items, bytes, cpu_us; is_done: no slot is left */
	SOURCE_ON_DELTAS,      /* last: sequence of the newest write in the ring */
	SOURCE_ON_DRAINED,     /* first, last (last < first: nothing), bytes */
	SOURCE_ON_DELTAS_LOST, /* the ring was full when a write had to go in */
	/* fence (that of the action), last, items, digest, version; is_ok: no delta was lost up to then */
	SOURCE_ON_SNAPSHOT,
	SOURCE_ON_READS_FENCED, /* fence */
	SOURCE_ON_DROPPED,      /* is_done: nothing is left */
	SOURCE_ON_ANNOUNCED,
	SOURCE_ON_UNMARKED,
	SOURCE_ON_PEER,  /* peer: what is thought of the target's life */
	SOURCE_ON_OWNER, /* owner, epoch: news of the partition in the map, own entries too */
	/* is_ok: a majority of the cluster is seen, and their maps were merged since it was not */
	SOURCE_ON_MAJORITY,
	SOURCE_ON_CONNECTED, /* to the target, anew: what was sent may be lost */
	SOURCE_ON_CANCEL,    /* by the operator; no effect from COMMITTING on */
	SOURCE_ON_CLAIM, /* by the operator: take it back from a dead target; what that took is lost */
};

struct migration_source_event {
	enum migration_source_event_kind kind;
	bool is_ok;
	bool is_done;
	enum migration_peer peer;
	uint32_t fence;
	uint32_t epoch;
	uint32_t cpu_us;
	uint64_t owner;
	uint64_t first;
	uint64_t last;
	uint64_t items;
	uint64_t bytes;
	uint64_t digest;
	uint64_t version;
	const struct sync_message *message;
};

/* A block of deltas under way. */
struct migration_block {
	uint64_t first;
	uint64_t last;
};

/* When something is sent again. */
struct migration_retry {
	uint32_t times; /* without any progress */
	uint64_t at_ms;
};

struct migration_source_progress {
	uint64_t items_expected; /* when the job began */
	uint64_t bytes_expected;
	uint64_t items; /* scanned */
	uint64_t bytes; /* of records, deltas included, sent for the first time */
	uint64_t deltas;
	uint64_t resent;  /* batches and delta blocks */
	uint64_t refused; /* messages of another attempt, or that make no sense */
	uint64_t started_at_ms;
};

/* Thread safety: none; one event loop drives it. It knows no socket, clock or thread, and takes no
 * memory. Members are for reading; migration_jobs.h owns a node's machines.
 */
struct migration_source {
	struct state_machine machine; /* enum migration_source_state */
	const struct migration_options *options;
	struct migration_job job;
	struct migration_source_progress progress;
	enum migration_source_outcome outcome;
	enum migration_reason reason;
	uint64_t now_ms;

	enum migration_peer peer;
	uint64_t heard_at_ms;
	bool sees_majority;
	bool is_marked;       /* until UNMARKED */
	uint32_t outstanding; /* actions not yet answered */

	/* The copy. Numbers run from 1. */
	struct token_bucket bytes;
	struct token_bucket cpu;
	bool is_scanning; /* a slice is under way */
	bool is_scanned;
	uint64_t batch_made;
	uint64_t batch_acked;
	bool is_draining;
	uint64_t delta_available; /* known to have been written to the ring */
	uint64_t delta_made;
	uint64_t delta_acked;
	uint32_t block_count; /* under way, oldest first */
	struct migration_block blocks[MIGRATION_WINDOW_MAX];

	/* The end. */
	uint32_t fence;  /* odd while writes are parked for the fence's sake */
	uint32_t fences; /* put up so far */
	bool is_final_known;
	bool is_final_sent;
	bool is_ready; /* the target answered this fence's FINAL */
	bool are_reads_fenced;
	bool is_parking; /* requests may be parked: from the fence to FORWARD, REFUSE or UNFENCE */
	struct sync_message final;
	uint64_t ready_at_ms;
	uint64_t fence_not_before_ms;
	uint64_t parking_until_ms;
	uint32_t epoch_decided; /* the target's; 0 = no decision yet */
	bool is_announcing; /* DO_ANNOUNCE is not answered yet */
	bool is_unmark_asked;

	/* Each kind of message has its own: deltas that pass must not hide that a batch does not. */
	struct migration_retry batch_retry;
	struct migration_retry delta_retry;
	struct migration_retry retry; /* of FINAL, COMMIT, heartbeat */
};

/* 'options' outlives the source. SOURCE_ON_START comes next. */
void migration_source_init(struct migration_source *source, const struct migration_options *options,
			   const struct migration_job *job, bool sees_majority, uint64_t now_ms);

/* Takes one event; '*actions' is overwritten. 'now_ms' is monotonic. Call with SOURCE_ON_TIMER until
 * the deadline lies in the future.
 */
void migration_source_step(struct migration_source *source, uint64_t now_ms,
			   const struct migration_source_event *event,
			   struct migration_source_actions *actions);

/* When SOURCE_ON_TIMER is due, UINT64_MAX for never. */
uint64_t migration_source_deadline_ms(const struct migration_source *source);

static inline enum migration_source_state
migration_source_state(const struct migration_source *source)
{
	return (enum migration_source_state)source->machine.state;
}

const char *migration_source_state_name(enum migration_source_state state);

/* Whether COMMIT was sent long enough ago that the target's fate has to be asked. */
static inline bool migration_source_is_in_doubt(const struct migration_source *source)
{
	return source->machine.state == SOURCE_COMMITTING && !source->is_parking;
}

/* Whether SOURCE_ON_CLAIM would take the partition back: a target that is thought alive will answer by itself. */
bool migration_source_can_be_claimed(const struct migration_source *source);

/* Whether the source is fit for its state; it aborts by itself at a move when it is not. */
bool migration_source_is_sound(const struct migration_source *source);

#endif
