/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong in a cell of the matrix, and for how long. */
#include "tests/simulation/failpoint_state.h"

#define MS UINT64_C(1000)
#define AT_ONCE 0u
#define RESTART_US (300 * MS) /* shorter than a suspicion */
#define STALL_US (300 * MS)   /* longer than writes may be parked, shorter than a suspicion */
#define WRITE_US (50 * MS)    /* enough for a write */
#define CUT_US (13000 * MS)   /* longer than an attempt may be silent */
/* Longer than it takes to be declared dead, to fence oneself and to be claimed from. */
#define DEATH_US (20000 * MS)
/* Longer than it takes to find all others dead, which somebody who is alone does late, and to claim. */
#define ALONE_US (30000 * MS)
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

struct fault {
	const char *name;
	void (*act)(struct failpoint *failpoint, uint32_t node);
	uint32_t node;
	uint64_t lasts_us;
	bool is_claimed; /* by an operator at the other end, as soon as he may */
};

static const struct fault faults[FAILPOINT_FAULT_COUNT] = {
	[FAILPOINT_NOTHING] = { "nothing", nothing, FAILPOINT_THIRD, AT_ONCE, false },
	[FAILPOINT_SOURCE_RESTARTS] = { "source restarts", crash, FAILPOINT_SOURCE, RESTART_US,
					false },
	[FAILPOINT_TARGET_RESTARTS] = { "target restarts", crash, FAILPOINT_TARGET, RESTART_US,
					false },
	[FAILPOINT_THIRD_RESTARTS] = { "third restarts", crash, FAILPOINT_THIRD, RESTART_US,
				       false },
	[FAILPOINT_SOURCE_DIES] = { "source dies", crash, FAILPOINT_SOURCE, DEATH_US, false },
	[FAILPOINT_TARGET_DIES] = { "target dies", crash, FAILPOINT_TARGET, DEATH_US, false },
	[FAILPOINT_THIRD_DIES] = { "third dies", crash, FAILPOINT_THIRD, DEATH_US, false },
	[FAILPOINT_SOURCE_CLAIMED] = { "source dies, claimed", crash, FAILPOINT_SOURCE, DEATH_US,
				       true },
	[FAILPOINT_TARGET_CLAIMED] = { "target dies, claimed", crash, FAILPOINT_TARGET, DEATH_US,
				       true },
	[FAILPOINT_SOURCE_STALLS] = { "source stalls", stall, FAILPOINT_SOURCE, STALL_US, false },
	[FAILPOINT_TARGET_STALLS] = { "target stalls", stall, FAILPOINT_TARGET, STALL_US, false },
	[FAILPOINT_THIRD_STALLS] = { "third stalls", stall, FAILPOINT_THIRD, STALL_US, false },
	[FAILPOINT_SOURCE_WORKERS_STALL] = { "source workers stall", stall_workers,
					     FAILPOINT_SOURCE, STALL_US, false },
	[FAILPOINT_TARGET_WORKERS_STALL] = { "target workers stall", stall_workers,
					     FAILPOINT_TARGET, STALL_US, false },
	[FAILPOINT_SOURCE_SLEEPS] = { "source sleeps", sleep_long, FAILPOINT_SOURCE, DEATH_US,
				      false },
	[FAILPOINT_TARGET_SLEEPS] = { "target sleeps", sleep_long, FAILPOINT_TARGET, DEATH_US,
				      false },
	[FAILPOINT_THIRD_SLEEPS] = { "third sleeps", sleep_long, FAILPOINT_THIRD, DEATH_US, false },
	[FAILPOINT_SOURCE_ALONE] = { "source alone", failpoint_isolate, FAILPOINT_SOURCE, ALONE_US,
				     false },
	[FAILPOINT_TARGET_ALONE] = { "target alone", failpoint_isolate, FAILPOINT_TARGET, ALONE_US,
				     false },
	[FAILPOINT_THIRD_ALONE] = { "third alone", failpoint_isolate, FAILPOINT_THIRD, ALONE_US,
				    false },
	[FAILPOINT_CUT_TO_TARGET] = { "cut to target", cut_to, FAILPOINT_TARGET, CUT_US, false },
	[FAILPOINT_CUT_TO_SOURCE] = { "cut to source", cut_to, FAILPOINT_SOURCE, CUT_US, false },
	[FAILPOINT_CUT_BOTH] = { "cut both ways", cut_both, FAILPOINT_SOURCE, CUT_US, false },
	[FAILPOINT_BREAK] = { "channel breaks", break_channel, FAILPOINT_SOURCE, AT_ONCE, false },
	[FAILPOINT_CANCEL_AT_SOURCE] = { "cancel at source", cancel, FAILPOINT_SOURCE, AT_ONCE,
					 false },
	[FAILPOINT_CANCEL_AT_TARGET] = { "cancel at target", cancel, FAILPOINT_TARGET, AT_ONCE,
					 false },
	[FAILPOINT_RIVAL] = { "rival order", order, FAILPOINT_THIRD, AT_ONCE, false },
	[FAILPOINT_REPLAY] = { "old attempt again", replay, FAILPOINT_SOURCE, AT_ONCE, false },
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

/* An operator takes what he can get, and accepts the loss. */
static void claim(struct failpoint *failpoint, uint32_t node)
{
	char error[MIGRATOR_ERROR_SIZE];

	if (migrator_claim(migrator_of(failpoint, node), FAILPOINT_PARTITION, error) == 0)
		sim_history_forget(&failpoint->sim->history, FAILPOINT_PARTITION);
}

/* ---- a write at the target, and a read at the source thereafter, while workers stand still ---- */

static bool does_target_own(struct sim *sim)
{
	const struct sim_node *node = sim_server_of(sim, FAILPOINT_TARGET)->node;

	return partition_map_owner(gossip_map(node->gossip), FAILPOINT_PARTITION) ==
	       sim_node_id(FAILPOINT_TARGET);
}

static uint32_t any_key(const struct sim *sim)
{
	uint32_t key = 0;

	while (key < sim->history.key_count &&
	       (sim->history.keys[key].is_counter ||
		sim->history.keys[key].partition != FAILPOINT_PARTITION))
		key++;
	return key;
}

static void witness(struct sim *sim, uint32_t key, uint32_t writer, uint32_t reader,
		    uint64_t end_us)
{
	if (!sim_run_for(sim, (end_us - sim->now_us) / 2, does_target_own) ||
	    !sim_client_try(&sim->clients[writer], sim->now_us, SIM_SET, key, FAILPOINT_TARGET))
		return;
	sim_plan_client(sim, writer);
	sim_run_for(sim, WRITE_US, NULL);
	if (sim_client_try(&sim->clients[reader], sim->now_us, SIM_GET, key, FAILPOINT_SOURCE))
		sim_plan_client(sim, reader);
}

/* Two clients wait for their turn; the others go on. */
static void endure_stall(struct failpoint *failpoint)
{
	struct sim *sim = failpoint->sim;
	uint64_t end_us = sim->now_us + STALL_US;
	uint32_t key = any_key(sim);
	uint32_t pair[] = { key % sim->client_count, (key + 1) % sim->client_count };

	if (key == sim->history.key_count) {
		sim_run_for(sim, STALL_US, NULL);
		return;
	}
	for (uint32_t i = 0; i < 2; i++)
		sim->clients[pair[i]].is_idle = true;
	witness(sim, key, pair[0], pair[1], end_us);
	for (uint32_t i = 0; i < 2; i++) {
		sim->clients[pair[i]].is_idle = false;
		if (sim->clients[pair[i]].due_us == UINT64_MAX)
			sim->clients[pair[i]].due_us = end_us;
		sim_plan_client(sim, pair[i]);
	}
	sim_run_for(sim, end_us - sim->now_us, NULL);
}

void failpoint_endure(struct failpoint *failpoint)
{
	const struct fault *fault = &faults[failpoint->fault];

	if (fault->act == stall_workers) {
		endure_stall(failpoint);
		return;
	}
	if (!fault->is_claimed) {
		sim_run_for(failpoint->sim, fault->lasts_us, NULL);
		return;
	}
	for (uint64_t us = 0; us < fault->lasts_us; us += OPERATOR_US) {
		sim_run_for(failpoint->sim, OPERATOR_US, NULL);
		claim(failpoint,
		      fault->node == FAILPOINT_SOURCE ? FAILPOINT_TARGET : FAILPOINT_SOURCE);
	}
}
