/* SPDX-License-Identifier: BSD-3-Clause */
/* The ends that docs/migration.md defines, cell by cell. */
#include "tests/simulation/failpoint.h"

/* Columns as in enum failpoint_phase; several letters where it depends on who is first. For the reasons see the rows of
 * "When something fails".
 */
#define COLUMN_SIZE 4
static const char expected[FAILPOINT_FAULT_COUNT][FAILPOINT_PHASE_COUNT][COLUMN_SIZE] = {
	/* clang-format off */
	[FAILPOINT_NOTHING] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	/* The source dies: a verified copy is claimed once that is certain, else the owner begins anew. */
	[FAILPOINT_SOURCE_RESTARTS] =
		{ "N", "N", "N", "N", "N", "N", "C", "C", "C", "C", "C", "C", "D", "D", "D", "D", "N", "N", "L", "L" },
	[FAILPOINT_SOURCE_DIES] =
		{ "N", "N", "N", "N", "N", "N", "C", "C", "C", "C", "C", "C", "D", "D", "D", "D", "N", "N", "L", "L" },
	[FAILPOINT_SOURCE_CLAIMED] =
		{ "N", "N", "N", "N", "N", "N", "C", "C", "C", "C", "C", "C", "D", "D", "D", "D", "N", "N", "L", "L" },
	/* The target dies: the source serves on, or takes back what is in doubt; a sole owner begins anew. */
	[FAILPOINT_TARGET_RESTARTS] =
		{ "f", "f", "d", "d", "d", "d", "d", "d", "d", "d", "T", "T", "T", "T", "N", "N", "s", "s", "s", "s" },
	[FAILPOINT_TARGET_DIES] =
		{ "f", "f", "d", "d", "d", "d", "d", "d", "d", "d", "T", "T", "T", "T", "N", "N", "s", "s", "s", "s" },
	[FAILPOINT_TARGET_CLAIMED] =
		{ "f", "f", "d", "d", "d", "d", "d", "d", "d", "d", "T", "T", "T", "T", "N", "N", "s", "s", "s", "s" },
	/* Two are a majority of three. */
	[FAILPOINT_THIRD_RESTARTS] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_THIRD_DIES] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_THIRD_STALLS] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_THIRD_SLEEPS] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_THIRD_ALONE] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	/* A short pause is waited for: the fence comes down in time, and goes up again. */
	[FAILPOINT_SOURCE_STALLS] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_TARGET_STALLS] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_SOURCE_WORKERS_STALL] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_TARGET_WORKERS_STALL] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	/* A long one is a death, until it is over: what was verified waits, what is READY is claimed. */
	[FAILPOINT_SOURCE_SLEEPS] =
		{ "d", "d", "d", "d", "d", "d", "DR", "DR", "C", "C", "C", "D", "D", "D", "D", "D", "d", "d", "L", "L" },
	[FAILPOINT_TARGET_SLEEPS] =
		{ "DdR", "dR", "dR", "dR", "dR", "dR", "dR", "dR", "dR", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	/* Cut off: a minority decides and claims nothing. */
	[FAILPOINT_SOURCE_ALONE] =
		{ "d", "d", "d", "d", "d", "d", "u", "u", "u", "L", "C", "C", "D", "D", "D", "D", "d", "d", "L", "L" },
	[FAILPOINT_TARGET_ALONE] =
		{ "d", "d", "d", "d", "d", "d", "d", "d", "d", "u", "D", "D", "D", "D", "D", "D", "d", "d", "L", "L" },
	/* Cut between the two alone: another attempt, or the decision is told until it is heard. */
	[FAILPOINT_CUT_TO_TARGET] =
		{ "DR", "DR", "DR", "R", "R", "R", "R", "R", "R", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_CUT_TO_SOURCE] =
		{ "D", "D", "R", "R", "R", "R", "R", "R", "R", "R", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_CUT_BOTH] =
		{ "D", "D", "R", "R", "R", "R", "R", "R", "R", "R", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_BREAK] =
		{ "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	/* An operator cancels where there is a job, and before COMMIT. In READY the source may have decided. */
	[FAILPOINT_CANCEL_AT_SOURCE] =
		{ "D", "D", "c", "c", "c", "c", "c", "c", "c", "c", "c", "D", "D", "D", "D", "D", "R", "R", "L", "L" },
	[FAILPOINT_CANCEL_AT_TARGET] =
		{ "c", "c", "c", "c", "c", "c", "c", "c", "c", "cD", "D", "D", "D", "D", "D", "D", "s", "c", "L", "L" },
	/* BUSY, as long as the source works for somebody; then the owner of the latest epoch is asked. */
	[FAILPOINT_RIVAL] =
		{ "DV", "DV", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "DV", "DV", "DV", "V", "V", "L", "L" },
	[FAILPOINT_REPLAY] =
		{ "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "R", "L", "L" },
	/* A claim that no majority hears of is not served, and the source goes on. */
	[FAILPOINT_SIDES_CHANGE] =
		{ "d", "d", "d", "d", "d", "d", "d", "d", "d", "u", "D", "D", "D", "D", "D", "D", "d", "d", "L", "L" },
	/* By an old epoch nothing is given. Where an attempt has just failed, the third node comes late. */
	[FAILPOINT_ROUND] =
		{ "B", "B", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "D", "BV", "BV", "L", "L" },
	/* clang-format on */
};

const char *failpoint_expected(enum failpoint_phase phase, enum failpoint_fault fault)
{
	return expected[fault][phase];
}

const char *failpoint_end_text(char end)
{
	switch ((enum failpoint_end)end) {
	case FAILPOINT_END_DONE:
		return "the target owns it at e+1";
	case FAILPOINT_END_RETRIED:
		return "the target owns it at e+1, after more than one attempt";
	case FAILPOINT_END_CLAIMED:
		return "the target claimed it at e+1";
	case FAILPOINT_END_LIMIT:
		return "the target claimed it at e+1; the known limit: writes of a source that was "
		       "cut off are lost";
	case FAILPOINT_END_TAKEN_BACK:
		return "the source took it back at e+2";
	case FAILPOINT_END_RENEWED:
		return "its owner came back without the data, and began anew at the next epoch";
	case FAILPOINT_END_RIVAL:
		return "the third node has it";
	case FAILPOINT_END_ROUND:
		return "the source owns it at e+2: it got it back from the third node";
	case FAILPOINT_END_CANCELLED:
		return "the source owns it at e: cancelled";
	case FAILPOINT_END_DEAD:
		return "the source owns it at e: the other end was dead, or restarted";
	case FAILPOINT_END_SILENT:
		return "the source owns it at e: the other end said nothing for too long";
	case FAILPOINT_END_GIVEN_UP:
		return "the source owns it at e: it had ended the attempt while the two did not "
		       "hear each other";
	case FAILPOINT_END_FORGOTTEN:
		return "the source owns it at e: the order was forgotten with its target";
	case FAILPOINT_END_UNKNOWN:
		break;
	}
	return "none of the ends that there are";
}
