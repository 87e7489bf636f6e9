/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a migration that takes the partition over: one job with its attempts, a pure machine. */
#ifndef CONTROLPLANE_MIGRATION_TARGET_H
#define CONTROLPLANE_MIGRATION_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/migration.h"
#include "controlplane/state_machine.h"
#include "controlplane/sync_message.h"
#include "controlplane/sync_record.h"

/* Most a step asks for. */
#define MIGRATION_TARGET_ACTION_MAX 12u

/* Batches and delta blocks handed to the store and not yet applied. */
#define MIGRATION_TARGET_APPLY_MAX (2u * MIGRATION_WINDOW_MAX)

/*      the plan, or an operator
 *         |
 *      OPENING <------------------------------+ ... an empty staging area
 *         | staged                            |
 *      PREPARING ...... PREPARE, again on BUSY|
 *         | ACCEPT                            |
 *      RECEIVING ...... batches, deltas, ACKs |
 *         | FINAL: nothing is missing         |
 *      VERIFIED <------+ ... deltas go on     |
 *         | FINAL of a | the fence came       | WAITING ... a pause
 *         | fence      | down                 |    ^
 *       READY ---------+ ... the source alone may decide now, for or against
 *         | COMMIT, or a claim                |    | transient reason, attempts left
 *      FINALIZING                             +--- | ----+
 *         | published; a claim: a majority knows   |
 *      CONFIRMING ..... serves; COMMITTED until the source has it
 *         | SETTLED, or the source's life is over  |
 *        DONE <------------------------------ DISCARDING <-- any state up to READY: abort, cancel,
 *                                                            silence, no memory, dead source
 *
 * In READY nothing but the source's ABORT, a higher epoch, or an operator who claims may end the wait:
 * the source may have decided. A source that is dead is succeeded as migration_target_may_claim() says.
 */
enum migration_target_state {
	TARGET_OPENING,
	TARGET_PREPARING,
	TARGET_RECEIVING,
	TARGET_VERIFIED,
	TARGET_READY,
	TARGET_FINALIZING,
	TARGET_CONFIRMING,
	TARGET_DISCARDING,
	TARGET_WAITING,
	TARGET_DONE,
	TARGET_STATE_COUNT,
};

enum migration_target_outcome {
	TARGET_UNDECIDED,
	TARGET_MIGRATED, /* this node owns and serves the partition */
	TARGET_CLAIMED,  /* likewise, without the source's decision */
	TARGET_FAILED,   /* nothing is left of it; see the reason */
};

/* As for the source: '->' is answered exactly once by that event. */
enum migration_target_action_kind {
	TARGET_DO_MARK,  /* enter the partition in importing_partitions, gossip at once */
	TARGET_DO_STAGE, /* -> STAGED: an empty staging area for the partition */
	/* -> APPLIED: put the records of 'batch' into the staging area, newer versions win, tombstones
	 * are kept. The batch is that of the event just taken, no copy. Answered in the order asked.
	 */
	TARGET_DO_APPLY,
	/* -> FINALIZED: publish the staged items as a whole, drop the tombstones. New versions are of
	 * 'epoch' and above 'version'. Nobody is served before PUBLISH_MAP.
	 */
	TARGET_DO_FINALIZE,
	/* -> DISCARDED: a bounded part of what is staged; or of what was published, once every worker has
	 * seen the map of the PUBLISH_MAP before
	 */
	TARGET_DO_DISCARD_SLICE,
	/* Enter it in the partition map, which may know it already: owner, epoch; is_claim: without the
	 * owner's decision.
	 */
	TARGET_DO_RECORD_OWNER,
	/* -> ANNOUNCED: have the present entry, or a newer one, in the maps of nodes that make a majority with
	 * this one; ask again until they do
	 */
	TARGET_DO_ANNOUNCE,
	TARGET_DO_PUBLISH_MAP, /* to the workers and the cluster */
	TARGET_DO_UNMARK,      /* take it out of importing_partitions, gossip at once */
	TARGET_DO_SEND,        /* message, to the source */
	TARGET_DO_REPORT,      /* the state changed: log it, show it */
};

struct migration_target_action {
	enum migration_target_action_kind kind;
	bool is_claim;
	uint32_t epoch;
	uint64_t owner;
	uint64_t version;
	const struct sync_batch *batch;
	struct sync_message message;
};

struct migration_target_actions {
	uint32_t count;
	struct migration_target_action items[MIGRATION_TARGET_ACTION_MAX];
};

enum migration_target_event_kind {
	TARGET_ON_START,   /* the first event */
	TARGET_ON_TIMER,   /* the deadline has passed */
	TARGET_ON_MESSAGE, /* message: of this job */
	TARGET_ON_BATCH,   /* batch: of this job, decoded; BATCH or DELTA */
	TARGET_ON_STAGED,  /* is_ok: false = out of memory */
	/* is_ok (false = out of memory); frame, last: of the batch; items, digest, version: of all that is
	 * staged after it, as the source counts them
	 */
	TARGET_ON_APPLIED,
	TARGET_ON_FINALIZED,
	TARGET_ON_ANNOUNCED,
	TARGET_ON_DISCARDED, /* is_done: nothing is left */
	TARGET_ON_PEER,      /* peer: what is thought of the source's life */
	TARGET_ON_OWNER,     /* owner, epoch: news of the partition in the map, own entries too */
	/* is_ok: a majority of the cluster is seen, and their maps were merged since it was not */
	TARGET_ON_MAJORITY,
	TARGET_ON_CONNECTED, /* to the source, anew: what was sent may be lost */
	TARGET_ON_CANCEL,    /* by the operator; in READY the source is asked to */
	TARGET_ON_CLAIM,     /* by the operator, who accepts that what is not staged is lost */
};

struct migration_target_event {
	enum migration_target_event_kind kind;
	bool is_ok;
	bool is_done;
	enum migration_peer peer;
	enum sync_frame_kind frame;
	uint32_t epoch;
	uint64_t owner;
	uint64_t last;
	uint64_t items;
	uint64_t digest;
	uint64_t version;
	const struct sync_message *message;
	const struct sync_batch *batch;
};

struct migration_target_progress {
	uint64_t items_expected; /* by ACCEPT of this attempt */
	uint64_t bytes_expected;
	uint64_t records; /* handed to the store in this attempt */
	uint64_t bytes;
	uint64_t refused; /* of another attempt, or that make no sense */
	uint64_t gaps;    /* batches that came too early: dropped, to be sent again */
	uint64_t started_at_ms;
};

/* Thread safety: none; one event loop drives it. It knows no socket, clock or thread, and takes no
 * memory. Members are for reading.
 */
struct migration_target {
	struct state_machine machine; /* enum migration_target_state */
	const struct migration_options *options;
	struct migration_job job;
	struct migration_target_progress progress;
	enum migration_target_outcome outcome;
	enum migration_reason reason; /* of the latest failure, or why it waits */
	uint64_t now_ms;

	enum migration_peer peer;
	uint64_t peer_since_ms;
	uint64_t heard_at_ms;
	bool sees_majority;
	uint64_t majority_since_ms;
	uint64_t owner_known; /* the latest in the map, if above the job's epoch */
	uint32_t epoch_known;
	bool is_marked; /* in importing_partitions */
	bool is_staged; /* a staging area, or published items, to be discarded on failure */
	bool is_cancelled;
	bool is_last_attempt; /* whatever the reason of its failure */
	uint32_t outstanding; /* actions not yet answered */

	/* What came, and what of it has been applied. Numbers run from 1. */
	uint64_t batch_taken;
	uint64_t batch_applied;
	uint64_t delta_taken;
	uint64_t delta_applied;
	uint64_t items; /* staged */
	uint64_t digest;
	uint64_t version;

	bool is_final_known;
	bool is_final_answered;
	struct sync_message final; /* the one of the highest fence */

	uint32_t epoch_taken; /* at which this node owns it; 0 = not yet */
	bool is_finalize_asked;
	bool is_claim;  /* without the source's decision */
	bool is_forced; /* by an operator: not held to the rules of a claim */

	uint32_t retries;
	uint64_t retry_at_ms;
	uint64_t until_ms; /* PREPARING: give up; WAITING: go on */
};

/* 'options' outlives the target; 'job->attempt' is 1. TARGET_ON_START comes next. */
void migration_target_init(struct migration_target *target, const struct migration_options *options,
			   const struct migration_job *job, bool sees_majority, uint64_t now_ms);

/* Takes one event; '*actions' is overwritten. 'now_ms' is monotonic. Call with TARGET_ON_TIMER until
 * the deadline lies in the future.
 */
void migration_target_step(struct migration_target *target, uint64_t now_ms,
			   const struct migration_target_event *event,
			   struct migration_target_actions *actions);

/* When TARGET_ON_TIMER is due, UINT64_MAX for never. */
uint64_t migration_target_deadline_ms(const struct migration_target *target);

static inline enum migration_target_state
migration_target_state(const struct migration_target *target)
{
	return (enum migration_target_state)target->machine.state;
}

const char *migration_target_state_name(enum migration_target_state state);

/* Whether this node may take the partition without the source's decision, at present: it sees a
 * majority, nothing is missing, and the source
 * - held writes back when this node said READY, and has been declared dead for claim_ms, during which the
 *   majority was seen all the time: nothing that the source acknowledged is lost; or
 * - is gone for certain (a new generation, left, removed), and there was a READY at all: all that can be
 *   lost is what was under way when the source's memory went.
 */
bool migration_target_may_claim(const struct migration_target *target);

/* Whether TARGET_ON_CLAIM would take it: there is a copy, and the source is not thought alive. */
bool migration_target_can_be_claimed(const struct migration_target *target);

/* Whether the target is fit for its state; it aborts by itself at a move when it is not. */
bool migration_target_is_sound(const struct migration_target *target);

#endif
