/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults that wait for a migration to come into a phase, and then strike its source or its target. */
#include "tests/simulation/sim_state.h"

#include "controlplane/migration_jobs.h"

/* What waits for a suspicion, a fence and a claim after it needs so long; nothing else happens meanwhile. */
#define QUIET_US 25000000u
#define QUIET_PERCENT 30u

static bool is_aimed(uint32_t fault)
{
	switch (fault) {
	case SIM_FAULT_NUMBER_CUT:
	case SIM_FAULT_NUMBER_ISOLATE:
	case SIM_FAULT_NUMBER_CRASH:
	case SIM_FAULT_NUMBER_PAUSE:
	case SIM_FAULT_NUMBER_BREAK:
	case SIM_FAULT_NUMBER_CANCEL:
	case SIM_FAULT_NUMBER_STALL:
		return true;
	default:
		return false;
	}
}

/* One that the seed took; SIM_FAULT_COUNT: it took none. */
static uint32_t choose_fault(struct sim *sim)
{
	uint32_t taken[SIM_FAULT_COUNT], count = 0;

	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
		if (is_aimed(i) && sim_has(sim, 1u << i))
			taken[count++] = i;
	}
	return count ? taken[sim_below(sim, count)] : SIM_FAULT_COUNT;
}

bool sim_act_aim(struct sim *sim)
{
	struct aim aim = { .is_armed = true,
			   .fault = choose_fault(sim),
			   .is_of_target = sim_below(sim, 2),
			   .strikes_target = sim_below(sim, 2) };

	if (aim.fault == SIM_FAULT_COUNT || sim->aim.is_armed)
		return false;
	aim.state = aim.is_of_target ? TARGET_PREPARING + sim_below(sim, TARGET_CONFIRMING)
				     : SOURCE_MARKING + sim_below(sim, SOURCE_DROPPING);
	sim->aim = aim;
	return true;
}

static uint32_t index_of(const struct sim *sim, uint64_t id)
{
	uint32_t index = 0;

	while (index < sim->node_count && sim_node_id(index) != id)
		index++;
	return index;
}

/* The other end of a migration that is in the phase at this node; 'node_count': there is none. */
static uint32_t find_other_end(const struct sim *sim, const struct sim_node *node)
{
	const struct migration_jobs *jobs = migrator_jobs(node->migrator);

	for (uint32_t p = 0; p < sim->partition_count; p++) {
		const struct migration_source *source = migration_jobs_source(jobs, p);
		const struct migration_target *target = migration_jobs_target(jobs, p);

		if (sim->aim.is_of_target && target &&
		    (uint32_t)migration_target_state(target) == sim->aim.state)
			return index_of(sim, target->job.source);
		if (!sim->aim.is_of_target && source &&
		    (uint32_t)migration_source_state(source) == sim->aim.state)
			return index_of(sim, source->job.target);
	}
	return sim->node_count;
}

/* Whatever node the fault asks for, it gets 'first', then 'second'. */
static void strike(struct sim *sim, uint32_t first, uint32_t second)
{
	sim_tell(sim, "a migration between nodes %u and %u is %s", first, second,
		 sim->aim.is_of_target ? migration_target_state_name(sim->aim.state)
				       : migration_source_state_name(sim->aim.state));
	sim->aim.is_armed = false;
	sim->chance = &sim->fault_prngs[SIM_FAULT_NUMBER_AIM];
	sim->wanted[1] = first;
	sim->wanted[0] = second;
	sim->wanted_count = 2;
	sim_throw(sim, sim->aim.fault);
	sim->wanted_count = 0;
	if (sim_is_chosen(sim, QUIET_PERCENT))
		sim->quiet_until_us = sim->now_us + QUIET_US;
	sim->chance = &sim->prng;
}

void sim_take_aim(struct sim *sim, uint32_t index)
{
	const struct sim_node *node = sim_server_of(sim, index)->node;
	uint32_t other;

	if (!sim->aim.is_armed || !sim_has(sim, SIM_FAULT_AIM) || !node)
		return;
	other = find_other_end(sim, node);
	if (other == sim->node_count)
		return;
	if (sim->aim.is_of_target == sim->aim.strikes_target)
		strike(sim, index, other);
	else
		strike(sim, other, index);
}
