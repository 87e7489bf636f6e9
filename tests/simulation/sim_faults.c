/* SPDX-License-Identifier: BSD-3-Clause */
/* The fault phase: moves and faults, drawn from the seed; the table of faults is here. */
#include "tests/simulation/sim_state.h"

#define STEP_US 150000u /* mean time between two steps */

static const struct {
	const char *name;
	const char *text;
} faults[] = {
#define FAULT(symbol, name, text) { name, text },
	SIM_FAULTS(FAULT)
#undef FAULT
};

const char *sim_fault_name(uint32_t bit)
{
	return bit < SIM_FAULT_COUNT ? faults[bit].name : NULL;
}

const char *sim_fault_text(uint32_t bit)
{
	return bit < SIM_FAULT_COUNT ? faults[bit].text : NULL;
}

static uint32_t any_node(struct sim *sim)
{
	return sim_below(sim, sim->node_count);
}

static uint32_t down_count(const struct sim *sim)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim->node_count; i++)
		count += !sim->servers[i].node;
	return count;
}

static void fault_cut(struct sim *sim)
{
	uint32_t a = any_node(sim), b = any_node(sim);
	bool is_both = sim_below(sim, 2);

	if (a == b)
		return;
	sim_tell(sim, "node %u does not hear node %u%s", b, a,
		 is_both ? ", nor the other way round" : "");
	sim_cut(sim, a, b);
	if (is_both)
		sim_cut(sim, b, a);
	sim_mend_later(sim, 9000000);
}

static void fault_isolate(struct sim *sim)
{
	uint32_t node = any_node(sim);

	sim_tell(sim, "node %u is cut from all others", node);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (i == node)
			continue;
		sim_cut(sim, node, i);
		sim_cut(sim, i, node);
	}
	sim_mend_later(sim, 20000000);
}

static void fault_crash(struct sim *sim)
{
	uint32_t node = any_node(sim);

	if (!sim->servers[node].node || 2 * (down_count(sim) + 1) >= sim->node_count)
		return;
	sim_crash_node(sim, node);
	sim_push(sim, (struct sim_event){ .kind = EVENT_RESTART, .node = node },
		 100000 + sim_below(sim, 20000000), NULL, 0);
}

static void fault_pause(struct sim *sim)
{
	uint32_t node = any_node(sim);
	uint64_t pause_us = 1000u << sim_below(sim, 14);

	sim_tell(sim, "node %u stands still for %.3f s", node, (double)pause_us / 1e6);
	sim->servers[node].paused_us = sim->now_us + pause_us;
}

static void fault_break(struct sim *sim)
{
	uint32_t a = any_node(sim), b = any_node(sim);

	if (a == b)
		return;
	sim_tell(sim, "the channels between nodes %u and %u break", a, b);
	sim_break(sim, a, b);
}

static void fault_cancel(struct sim *sim)
{
	struct sim_node *node = sim->servers[any_node(sim)].node;
	char error[MIGRATOR_ERROR_SIZE];
	uint32_t p = sim_below(sim, sim->partition_count);

	if (node && migrator_cancel(node->migrator, p, error) == 0)
		sim_tell(sim, "the operator cancels the migration of partition %u at node %u", p,
			 node->options.index);
}

static void fault_weather(struct sim *sim)
{
	if (sim_has(sim, SIM_FAULT_LOSS))
		sim->loss_percent = sim_below(sim, 30);
	if (sim_has(sim, SIM_FAULT_DUPLICATE))
		sim->duplicate_percent = sim_below(sim, 30);
	if (sim_has(sim, SIM_FAULT_DELAY))
		sim->delay_us_max = 200u << sim_below(sim, 9);
	sim_push(sim, (struct sim_event){ .kind = EVENT_CALM }, 100000 + sim_below(sim, 3000000),
		 NULL, 0);
}

static void any_fault(struct sim *sim)
{
	static const struct {
		uint32_t faults;
		void (*act)(struct sim *sim);
	} acts[] = {
		{ SIM_FAULT_LOSS | SIM_FAULT_DUPLICATE | SIM_FAULT_DELAY, fault_weather },
		{ SIM_FAULT_CUT, fault_cut },
		{ SIM_FAULT_ISOLATE, fault_isolate },
		{ SIM_FAULT_CRASH, fault_crash },
		{ SIM_FAULT_PAUSE, fault_pause },
		{ SIM_FAULT_BREAK, fault_break },
		{ SIM_FAULT_CANCEL, fault_cancel },
	};
	uint32_t i = sim_below(sim, sizeof(acts) / sizeof(acts[0]));

	if (!sim_has(sim, acts[i].faults))
		return;
	sim->result->counts.faults++;
	acts[i].act(sim);
}

/* Somebody wants a partition. */
static void move(struct sim *sim)
{
	struct sim_node *node = sim->servers[any_node(sim)].node;
	uint32_t p = sim_below(sim, sim->partition_count);
	char error[MIGRATOR_ERROR_SIZE];

	if (node && migrator_import(node->migrator, p, 0, error) == 0) {
		sim_tell(sim, "node %u imports partition %u", node->options.index, p);
		sim_turn_in(sim, node->options.index, 1);
	}
}

void sim_step(struct sim *sim)
{
	if (sim->steps_left == 0)
		return;
	sim->steps_left--;
	if (sim_below(sim, 2) == 0)
		move(sim);
	else
		any_fault(sim);
	sim_push(sim, (struct sim_event){ .kind = EVENT_STEP }, 1 + sim_below(sim, 2 * STEP_US),
		 NULL, 0);
}
