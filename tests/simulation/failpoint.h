/* SPDX-License-Identifier: BSD-3-Clause */
/* The matrix of failpoints: each phase of a migration x each thing that can go wrong in it, in a whole simulated cluster. */
#ifndef TESTS_SIMULATION_FAILPOINT_H
#define TESTS_SIMULATION_FAILPOINT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "tests/simulation/sim_history.h"

/* Three nodes: the source owns everything, the target takes one partition of it, a third looks on. Clients read and write all the
 * time. The fault strikes when an end of the migration is first seen in the phase, between two events; it lasts for
 * its time, then all heals and must settle, and every key is read. A cell passes when the phase was reached, no invariant was
 * violated, and the partition ended as docs/migration.md says.
 *
 * Not among the phases: CHECKING of the source and DONE of both, which begin and end within one turn of a node, so that nothing can
 * happen in them.
 */
enum failpoint_phase {
	FAILPOINT_OPENING, /* of the target */
	FAILPOINT_PREPARING,
	FAILPOINT_MARKING, /* of the source */
	FAILPOINT_COPYING,
	FAILPOINT_RECEIVING, /* target */
	FAILPOINT_VERIFYING, /* source */
	FAILPOINT_VERIFIED,  /* target */
	FAILPOINT_FENCING,   /* source */
	FAILPOINT_FENCED,
	FAILPOINT_READY,         /* target */
	FAILPOINT_FENCING_READS, /* source */
	FAILPOINT_COMMITTING,
	FAILPOINT_FINALIZING, /* target */
	FAILPOINT_CONFIRMING,
	FAILPOINT_DROPPING, /* source */
	FAILPOINT_UNMARKING,
	FAILPOINT_DISCARDING, /* target, after an attempt that failed because nothing came through for too long */
	FAILPOINT_WAITING,
	FAILPOINT_CLAIMING, /* target: finalizing without the source's word, which was cut off once the target was ready */
	FAILPOINT_ANNOUNCING, /* likewise, while a majority hears of the claim */
	FAILPOINT_PHASE_COUNT,
};

enum failpoint_fault {
	FAILPOINT_NOTHING, /* to see that the migration ends well by itself */
	FAILPOINT_SOURCE_RESTARTS,
	FAILPOINT_TARGET_RESTARTS,
	FAILPOINT_THIRD_RESTARTS,
	FAILPOINT_SOURCE_DIES, /* until long after it was declared dead and could be claimed from */
	FAILPOINT_TARGET_DIES,
	FAILPOINT_THIRD_DIES,
	FAILPOINT_SOURCE_CLAIMED, /* it dies, and an operator claims at the target as soon as he may */
	FAILPOINT_TARGET_CLAIMED, /* the other way round */
	FAILPOINT_SOURCE_STALLS, /* for longer than requests may be parked, and shorter than suspicion */
	FAILPOINT_TARGET_STALLS,
	FAILPOINT_THIRD_STALLS,
	FAILPOINT_SOURCE_WORKERS_STALL, /* as long, while the control thread goes on */
	FAILPOINT_TARGET_WORKERS_STALL,
	FAILPOINT_SOURCE_SLEEPS, /* for longer than suspicion, fence and claim take */
	FAILPOINT_TARGET_SLEEPS,
	FAILPOINT_THIRD_SLEEPS,
	FAILPOINT_SOURCE_ALONE, /* cut from all others for as long */
	FAILPOINT_TARGET_ALONE,
	FAILPOINT_THIRD_ALONE,
	FAILPOINT_CUT_TO_TARGET, /* the target does not hear the source; for longer than the silence allowed */
	FAILPOINT_CUT_TO_SOURCE,
	FAILPOINT_CUT_BOTH,
	FAILPOINT_BREAK, /* the channel between the two breaks, and what was under way is lost */
	FAILPOINT_CANCEL_AT_SOURCE,
	FAILPOINT_CANCEL_AT_TARGET,
	FAILPOINT_RIVAL,        /* the third node wants the partition too */
	FAILPOINT_REPLAY,       /* all messages of an attempt that failed before arrive once more */
	FAILPOINT_SIDES_CHANGE, /* the target is cut from all others, who hear each other from now on */
	FAILPOINT_ROUND, /* the third node gets the partition and the source gets it back, while the target hears nobody */
	FAILPOINT_FAULT_COUNT,
};

/* What became of the partition, as a letter of the matrix. */
enum failpoint_end {
	FAILPOINT_END_DONE = 'D',       /* the target's at e+1, in the first attempt */
	FAILPOINT_END_RETRIED = 'R',    /* the target's at e+1, in a later attempt */
	FAILPOINT_END_CLAIMED = 'C',    /* the target's at e+1, without the source's decision */
	FAILPOINT_END_LIMIT = 'L',      /* likewise, at a known limit of docs/migration.md */
	FAILPOINT_END_TAKEN_BACK = 'T', /* the source's at e+2 */
	FAILPOINT_END_RENEWED =
		'N', /* an owner's, that came back without its data and begins anew at the next epoch */
	FAILPOINT_END_RIVAL = 'V', /* the third node's */
	FAILPOINT_END_ROUND = 'B', /* the source's at e+2, which got it back from the third node */
	/* The source's at e, as if nothing had been, because: */
	FAILPOINT_END_CANCELLED = 'c',
	FAILPOINT_END_DEAD = 'd',   /* the other end was declared dead, or restarted */
	FAILPOINT_END_SILENT = 's', /* the other end said nothing for too long */
	FAILPOINT_END_GIVEN_UP =
		'u', /* the source had ended the attempt while the two did not hear each other */
	FAILPOINT_END_FORGOTTEN =
		'f', /* who ordered it has forgotten, and the source never heard of it */
	FAILPOINT_END_UNKNOWN = '?',
};

struct failpoint_result {
	bool was_reached;
	struct sim_violation violation; /* invariant 0 = none */
	char end;                       /* enum failpoint_end */
	char was[96];                   /* the end in words: owner, epoch, what both ends said */
	uint32_t
		kept; /* at a known limit: keys of the partition that had to be there nevertheless */
};

/* "committing" and so on; NULL behind the last one. */
const char *failpoint_phase_name(uint32_t phase);
const char *failpoint_fault_name(uint32_t fault);
bool failpoint_phase_is_of_target(enum failpoint_phase phase);
const char *failpoint_end_text(char end);

/* The ends that docs/migration.md allows, as letters: several where it depends on who is first. */
const char *failpoint_expected(enum failpoint_phase phase, enum failpoint_fault fault);

/* Runs one cell. 'story': where it is told, NULL = nowhere. Same arguments, same run. Needs the EAL, and the calling thread as a
 * registered reader. Thread safety: none.
 */
void failpoint_run(enum failpoint_phase phase, enum failpoint_fault fault, uint64_t seed,
		   FILE *story, struct failpoint_result *result);

/* Why a cell did not pass, and the command that shows it again, as a line. */
void failpoint_explain(enum failpoint_phase phase, enum failpoint_fault fault, uint64_t seed,
		       const struct failpoint_result *result, FILE *stream);

/* Whether the cell passed. */
bool failpoint_is_ok(enum failpoint_phase phase, enum failpoint_fault fault,
		     const struct failpoint_result *result);

#endif
