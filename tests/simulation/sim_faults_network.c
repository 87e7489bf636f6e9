/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults between nodes, and between nodes and clients: weather, cuts, broken channels. */
#include "tests/simulation/sim_state.h"

/* Weather lasts some time. */
static bool set_weather(struct sim *sim, enum sim_fault_number fault, uint32_t value)
{
	uint64_t duration_us = 100000 + sim_below(sim, 3000000);

	sim_tell(sim, "%s %u for %.3f s", sim_fault_name(fault), value, (double)duration_us / 1e6);
	sim_set_level(sim, fault, value, duration_us);
	return true;
}

bool sim_act_loss(struct sim *sim)
{
	return set_weather(sim, SIM_FAULT_NUMBER_LOSS, sim_below(sim, 30));
}

bool sim_act_duplicate(struct sim *sim)
{
	return set_weather(sim, SIM_FAULT_NUMBER_DUPLICATE, sim_below(sim, 30));
}

/* Each one doubles. */
bool sim_act_delay(struct sim *sim)
{
	return set_weather(sim, SIM_FAULT_NUMBER_DELAY, sim_below(sim, 9));
}

/* Percent of the datagrams. */
bool sim_act_truncate(struct sim *sim)
{
	return set_weather(sim, SIM_FAULT_NUMBER_TRUNCATE, 1 + sim_below(sim, 30));
}

bool sim_act_corrupt(struct sim *sim)
{
	return set_weather(sim, SIM_FAULT_NUMBER_CORRUPT, 1 + sim_below(sim, 30));
}

bool sim_act_cut(struct sim *sim)
{
	uint32_t a = sim_any_node(sim), b = sim_any_node(sim);
	bool is_both = sim_below(sim, 2);

	if (a == b)
		return false;
	sim_tell(sim, "node %u does not hear node %u%s", b, a,
		 is_both ? ", nor the other way round" : "");
	sim_cut(sim, a, b);
	if (is_both)
		sim_cut(sim, b, a);
	sim_mend_later(sim, 9000000);
	return true;
}

bool sim_act_isolate(struct sim *sim)
{
	uint32_t node = sim_any_node(sim);

	sim_tell(sim, "node %u is cut from all others", node);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (i == node)
			continue;
		sim_cut(sim, node, i);
		sim_cut(sim, i, node);
	}
	sim_mend_later(sim, 20000000);
	return true;
}

bool sim_act_break(struct sim *sim)
{
	uint32_t a = sim_any_node(sim), b = sim_any_node(sim);

	if (a == b)
		return false;
	sim_tell(sim, "the channels between nodes %u and %u break", a, b);
	sim_break(sim, a, b);
	return true;
}

/* Of each hundred arrivals so many bring an old one with them. */
bool sim_act_replay(struct sim *sim)
{
	return set_weather(sim, SIM_FAULT_NUMBER_REPLAY, 1 + sim_below(sim, 50));
}

static void clog_link(struct sim *sim, uint32_t from, uint32_t to, uint32_t bytes_per_s,
		 uint64_t until_us)
{
	struct link *link = sim_link_of(sim, from, to);

	link->bytes_per_s = bytes_per_s;
	link->clogged_until_us = until_us;
}

/* From what a modem carried to less than a migration wants. */
bool sim_act_clog(struct sim *sim)
{
	uint32_t a = sim_any_node(sim), b = sim_any_node(sim);
	uint32_t bytes_per_s = 2000u << sim_below(sim, 8);
	uint64_t duration_us = 100000 + sim_below(sim, 8000000);
	bool is_both = sim_below(sim, 2);

	if (a == b)
		return false;
	sim_tell(sim, "node %u hears node %u at %u bytes a second%s for %.3f s", b, a, bytes_per_s,
		 is_both ? ", and the other way round," : "", (double)duration_us / 1e6);
	clog_link(sim, a, b, bytes_per_s, sim->now_us + duration_us);
	if (is_both)
		clog_link(sim, b, a, bytes_per_s, sim->now_us + duration_us);
	return true;
}
