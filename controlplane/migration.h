/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends of a partition's migration share: the job, why it failed, its limits. */
#ifndef CONTROLPLANE_MIGRATION_H
#define CONTROLPLANE_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

/* Batches, and blocks of deltas, on their way without an acknowledgement. */
#define MIGRATION_WINDOW_MAX 16u

/* One try to move a partition. The target starts it and names it: 'job' is random and never 0,
 * 'attempt' counts from 1, every message carries both, and those of another attempt are refused.
 */
struct migration_job {
	uint64_t job;
	uint32_t attempt;
	uint32_t partition;
	uint32_t epoch; /* the source owns the partition at it, the target at the next */
	uint64_t source; /* node ids */
	uint64_t source_generation;
	uint64_t target;
	uint64_t target_generation;
};

/* Why an attempt ended, or a PREPARE was refused. Numbers are on the wire: never change one. */
enum migration_reason {
	MIGRATION_NO_REASON = 0,
	MIGRATION_CANCELLED = 1,      /* by the operator */
	MIGRATION_BUSY = 2,           /* another job works on the partition */
	MIGRATION_AT_CAPACITY = 3,    /* too many jobs at once */
	MIGRATION_RESIZE = 4,         /* the number is taken: no version gives this reason any more */
	MIGRATION_NOT_OWNER = 5,      /* the source does not own the partition */
	MIGRATION_SUPERSEDED = 6,     /* somebody else owns it at a higher epoch */
	MIGRATION_PEER_DEAD = 7,      /* declared dead, restarted, left or removed */
	MIGRATION_PEER_SILENT = 8,    /* thought alive, but says nothing */
	MIGRATION_DELTAS_LOST = 9,    /* writes came faster than they could be shipped */
	MIGRATION_CANNOT_PAUSE = 10,  /* not finished within the time that writes may be parked */
	MIGRATION_OUT_OF_MEMORY = 11, /* at the target */
	MIGRATION_MISMATCH = 12,      /* the target's digest is not the source's */
	MIGRATION_UNKNOWN_JOB = 13,   /* the peer has no such job (any more) */
	MIGRATION_RESTARTED = 14,     /* the target began a new attempt */
	MIGRATION_LOST = 15,          /* the target was given the partition and has lost it */
	MIGRATION_OTHER = 16,         /* a reason that only a newer version knows */
};

/* A few words for people, such as "target out of memory". */
const char *migration_reason_text(enum migration_reason reason);

/* Whether a new attempt may do better. */
bool migration_reason_is_transient(enum migration_reason reason);

/* Limits and times of all jobs of a node; milliseconds end in _ms. */
struct migration_options {
	uint64_t bytes_per_s; /* of one job's scan; writes meanwhile come on top; 0 = no limit */
	uint32_t cpu_permille; /* of the control thread, for one job's scan; 0 = no limit */
	uint32_t batch_size;  /* bytes of records in a batch */
	uint32_t window;      /* batches, and as many delta blocks; 1..MIGRATION_WINDOW_MAX */
	uint32_t retry_ms;    /* until something is sent again; doubled up to retry_ms_max */
	uint32_t retry_ms_max;
	uint32_t heartbeat_ms;   /* silence after which a living source says so */
	uint32_t silence_ms_max; /* silence after which an undecided attempt is given up */
	uint32_t parking_ms_max; /* how long writes may be held back */
	uint32_t fence_pause_ms; /* between two fences; doubled each time */
	uint32_t fences_max;     /* per attempt */
	uint32_t lag_max;        /* unacknowledged deltas with which a fence is put up at once */
	/* with more of them, a fence is put up after so long all the same */
	uint32_t catch_up_ms_max;
	uint32_t attempts_max;
	uint32_t attempt_pause_ms; /* between attempts; doubled each time */
	uint32_t prepare_ms_max;   /* how long a target asks for ACCEPT */
	uint32_t claim_ms;         /* after the source's death until the target may claim */
};

void migration_options_default(struct migration_options *options);

/* Whether the options keep the relations that the machines rely on. */
bool migration_options_are_valid(const struct migration_options *options);

/* What is thought of the peer of a job. */
enum migration_peer {
	MIGRATION_PEER_ALIVE,
	MIGRATION_PEER_SUSPECTED_DEAD, /* declared dead by the cluster; may yet return in this life */
	MIGRATION_PEER_GONE,           /* this life is over: restarted, left or removed */
};

/* When an end of a migration, at work in this node, is to be looked after again. */
enum migration_pace {
	MIGRATION_RESTS,   /* nothing is under way */
	MIGRATION_WAITS,   /* for workers or writes: within a millisecond */
	MIGRATION_HURRIES, /* there is more to do: as soon as others had their turn */
};

/* 'retry_ms' doubled 'times' times, at most 'max_ms'. */
uint32_t migration_backoff_ms(uint32_t retry_ms, uint32_t times, uint32_t max_ms);

#endif
