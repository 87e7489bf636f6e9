/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong in a cell of the matrix, and for how long. */
#include "tests/simulation/failpoint_state.h"

#define MS UINT64_C(1000)
#define AT_ONCE 0u
#define RESTART_US (300 * MS) /* shorter than a suspicion */
#define STALL_US (300 * MS)   /* longer than writes may be parked, shorter than a suspicion */
#define CUT_US (13000 * MS)   /* longer than an attempt may be silent */
/* Longer than it takes to be declared dead, to fence oneself and to be claimed from. */
#define DEATH_US (20000 * MS)
/* Longer than it takes to find all others dead, which somebody who is alone does late, and to claim. */
#define ALONE_US (30000 * MS)
/* Enough for a move, and two of them shorter than a suspicion. */
#define ROUND_US (800 * MS)
/* Between two tries of an operator. */
#define OPERATOR_US (500 * MS)

static void nothing(struct failpoint *failpoint, uint32_t node)
{
	(void)failpoint;
	(void)node;
}

static void crash(struct failpoint *failpoint, uint32_t node)
{
	sim_crash_node(failpoint->sim, node);
}

static void stall(struct failpoint *failpoint, uint32_t node)
{
	sim_server_of(failpoint->sim, node)->paused_us = failpoint->sim->now_us + STALL_US;
}

static void stall_workers(struct failpoint *failpoint, uint32_t node)
{
	for (uint32_t i = 0; i < failpoint->sim->worker_count; i++)
		sim_stall_worker(failpoint->sim, node, i, STALL_US);
}

static void sleep_long(struct failpoint *failpoint, uint32_t node)
{
	sim_server_of(failpoint->sim, node)->paused_us = failpoint->sim->now_us + DEATH_US;
}

void failpoint_isolate(struct failpoint *failpoint, uint32_t node)
{
	for (uint32_t i = 0; i < FAILPOINT_NODE_COUNT; i++) {
		if (i == node)
			continue;
		sim_cut(failpoint->sim, node, i);
		sim_cut(failpoint->sim, i, node);
	}
}

/* Whoever was cut off before is not any more. */
static void isolate_instead(struct failpoint *failpoint, uint32_t node)
{
	sim_mend(failpoint->sim);
	failpoint_isolate(failpoint, node);
}

static void cut_to(struct failpoint *failpoint, uint32_t node)
{
	sim_cut(failpoint->sim, node == FAILPOINT_TARGET ? FAILPOINT_SOURCE : FAILPOINT_TARGET,
		node);
}

static void cut_both(struct failpoint *failpoint, uint32_t node)
{
	(void)node;
	cut_to(failpoint, FAILPOINT_SOURCE);
	cut_to(failpoint, FAILPOINT_TARGET);
}

static void break_channel(struct failpoint *failpoint, uint32_t node)
{
	(void)node;
	sim_break(failpoint->sim, FAILPOINT_SOURCE, FAILPOINT_TARGET);
}

static struct migrator *migrator_of(struct failpoint *failpoint, uint32_t node)
{
	sim_turn_in(failpoint->sim, node, 1);
	return sim_server_of(failpoint->sim, node)->node->migrator;
}

static void cancel(struct failpoint *failpoint, uint32_t node)
{
	char error[MIGRATOR_ERROR_SIZE];

	(void)migrator_cancel(migrator_of(failpoint, node), FAILPOINT_PARTITION, error);
}

static void order(struct failpoint *failpoint, uint32_t node)
{
	char error[MIGRATOR_ERROR_SIZE];

	(void)migrator_import(migrator_of(failpoint, node), FAILPOINT_PARTITION, error);
}

static void replay(struct failpoint *failpoint, uint32_t node)
{
	(void)node;
	failpoint_replay(failpoint);
}

/* ---- operators ---- */

/* An operator takes what he can get, and accepts the loss. */
static void claim(struct failpoint *failpoint, uint32_t node)
{
	char error[MIGRATOR_ERROR_SIZE];

	if (migrator_claim(migrator_of(failpoint, node), FAILPOINT_PARTITION, error) == 0)
		sim_history_forget(&failpoint->sim->history, FAILPOINT_PARTITION);
}

static void endure_claims(struct failpoint *failpoint, uint64_t lasts_us, uint32_t node)
{
	for (uint64_t us = 0; us < lasts_us; us += OPERATOR_US) {
		sim_run_for(failpoint->sim, OPERATOR_US, NULL);
		claim(failpoint, node);
	}
}

static void claim_at_target(struct failpoint *failpoint, uint64_t us)
{
	endure_claims(failpoint, us, FAILPOINT_TARGET);
}

static void claim_at_source(struct failpoint *failpoint, uint64_t us)
{
	endure_claims(failpoint, us, FAILPOINT_SOURCE);
}

/* ---- the partition goes to the third node and back, and the target hears of neither ---- */

static bool has_third_got_it(struct sim *sim)
{
	return failpoint_is_owner(sim, FAILPOINT_THIRD);
}

static bool has_source_got_it_back(struct sim *sim)
{
	struct sim_node *node = sim_server_of(sim, FAILPOINT_SOURCE)->node;

	return partition_map_epoch(gossip_map(node->gossip), FAILPOINT_PARTITION) > 2 &&
	       sim_node_serves(node, FAILPOINT_PARTITION) && migrator_count(node->migrator) == 0;
}

static void send_round(struct failpoint *failpoint, uint32_t node)
{
	failpoint_isolate(failpoint, node);
	order(failpoint, FAILPOINT_THIRD);
}

static void endure_round(struct failpoint *failpoint, uint64_t us)
{
	struct sim *sim = failpoint->sim;

	if (!sim_run_for(sim, us, has_third_got_it))
		return;
	order(failpoint, FAILPOINT_SOURCE);
	sim_run_for(sim, us, has_source_got_it_back);
}

/* ---- the table ---- */

struct fault {
	const char *name;
	void (*act)(struct failpoint *failpoint, uint32_t node);
	uint32_t node;
	uint64_t lasts_us;
	/* What happens meanwhile; NULL: nothing else. */
	void (*endure)(struct failpoint *failpoint, uint64_t us);
};

static const struct fault faults[FAILPOINT_FAULT_COUNT] = {
	[FAILPOINT_NOTHING] = { "nothing", nothing, FAILPOINT_THIRD, AT_ONCE, NULL },
	[FAILPOINT_SOURCE_RESTARTS] = { "source restarts", crash, FAILPOINT_SOURCE, RESTART_US,
					NULL },
	[FAILPOINT_TARGET_RESTARTS] = { "target restarts", crash, FAILPOINT_TARGET, RESTART_US,
					NULL },
	[FAILPOINT_THIRD_RESTARTS] = { "third restarts", crash, FAILPOINT_THIRD, RESTART_US, NULL },
	[FAILPOINT_SOURCE_DIES] = { "source dies", crash, FAILPOINT_SOURCE, DEATH_US, NULL },
	[FAILPOINT_TARGET_DIES] = { "target dies", crash, FAILPOINT_TARGET, DEATH_US, NULL },
	[FAILPOINT_THIRD_DIES] = { "third dies", crash, FAILPOINT_THIRD, DEATH_US, NULL },
	[FAILPOINT_SOURCE_CLAIMED] = { "source dies, claimed", crash, FAILPOINT_SOURCE, DEATH_US,
				       claim_at_target },
	[FAILPOINT_TARGET_CLAIMED] = { "target dies, claimed", crash, FAILPOINT_TARGET, DEATH_US,
				       claim_at_source },
	[FAILPOINT_SOURCE_STALLS] = { "source stalls", stall, FAILPOINT_SOURCE, STALL_US, NULL },
	[FAILPOINT_TARGET_STALLS] = { "target stalls", stall, FAILPOINT_TARGET, STALL_US, NULL },
	[FAILPOINT_THIRD_STALLS] = { "third stalls", stall, FAILPOINT_THIRD, STALL_US, NULL },
	[FAILPOINT_SOURCE_WORKERS_STALL] = { "source workers stall", stall_workers,
					     FAILPOINT_SOURCE, STALL_US, failpoint_endure_stall },
	[FAILPOINT_TARGET_WORKERS_STALL] = { "target workers stall", stall_workers,
					     FAILPOINT_TARGET, STALL_US, failpoint_endure_stall },
	[FAILPOINT_SOURCE_SLEEPS] = { "source sleeps", sleep_long, FAILPOINT_SOURCE, DEATH_US,
				      NULL },
	[FAILPOINT_TARGET_SLEEPS] = { "target sleeps", sleep_long, FAILPOINT_TARGET, DEATH_US,
				      NULL },
	[FAILPOINT_THIRD_SLEEPS] = { "third sleeps", sleep_long, FAILPOINT_THIRD, DEATH_US, NULL },
	[FAILPOINT_SOURCE_ALONE] = { "source alone", failpoint_isolate, FAILPOINT_SOURCE, ALONE_US,
				     failpoint_endure_cut },
	[FAILPOINT_TARGET_ALONE] = { "target alone", failpoint_isolate, FAILPOINT_TARGET, ALONE_US,
				     NULL },
	[FAILPOINT_THIRD_ALONE] = { "third alone", failpoint_isolate, FAILPOINT_THIRD, ALONE_US,
				    NULL },
	[FAILPOINT_CUT_TO_TARGET] = { "cut to target", cut_to, FAILPOINT_TARGET, CUT_US, NULL },
	[FAILPOINT_CUT_TO_SOURCE] = { "cut to source", cut_to, FAILPOINT_SOURCE, CUT_US, NULL },
	[FAILPOINT_CUT_BOTH] = { "cut both ways", cut_both, FAILPOINT_SOURCE, CUT_US, NULL },
	[FAILPOINT_BREAK] = { "channel breaks", break_channel, FAILPOINT_SOURCE, AT_ONCE, NULL },
	[FAILPOINT_CANCEL_AT_SOURCE] = { "cancel at source", cancel, FAILPOINT_SOURCE, AT_ONCE,
					 NULL },
	[FAILPOINT_CANCEL_AT_TARGET] = { "cancel at target", cancel, FAILPOINT_TARGET, AT_ONCE,
					 NULL },
	[FAILPOINT_RIVAL] = { "rival order", order, FAILPOINT_THIRD, AT_ONCE, NULL },
	[FAILPOINT_REPLAY] = { "old attempt again", replay, FAILPOINT_SOURCE, AT_ONCE, NULL },
	[FAILPOINT_SIDES_CHANGE] = { "target alone instead", isolate_instead, FAILPOINT_TARGET,
				     ALONE_US, failpoint_endure_cut },
	[FAILPOINT_ROUND] = { "round without target", send_round, FAILPOINT_TARGET, ROUND_US,
			      endure_round },
};

const char *failpoint_fault_name(uint32_t fault)
{
	return fault < FAILPOINT_FAULT_COUNT ? faults[fault].name : NULL;
}

void failpoint_strike(struct failpoint *failpoint)
{
	const struct fault *fault = &faults[failpoint->fault];

	sim_tell(failpoint->sim, "%s", fault->name);
	failpoint->is_struck = true;
	fault->act(failpoint, fault->node);
}

void failpoint_endure(struct failpoint *failpoint)
{
	const struct fault *fault = &faults[failpoint->fault];

	if (fault->endure)
		fault->endure(failpoint, fault->lasts_us);
	else
		sim_run_for(failpoint->sim, fault->lasts_us, NULL);
}
