/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults of nodes, and what operators do at a bad moment. */
#include "tests/simulation/sim_state.h"

#define WALL_MS_MAX 3600000u

/* Kills the node, unless that were too many: a cluster without a disk lives as long as a majority remembers. It starts anew
 * within so long.
 */
static bool kill(struct sim *sim, uint32_t node, uint32_t most_us)
{
	if (!sim->servers[node].node || 2 * (sim_down_count(sim) + 1) >= sim_member_count(sim))
		return false;
	sim_crash_node(sim, node);
	sim_push(sim, (struct sim_event){ .kind = EVENT_RESTART, .node = node },
		 100000 + sim_below(sim, most_us), NULL, 0);
	return true;
}

bool sim_act_crash(struct sim *sim)
{
	return kill(sim, sim_any_node(sim), 20000000);
}

static void set_wall(struct sim *sim, uint32_t index, int64_t wall_ms)
{
	struct server *server = sim_server_of(sim, index);

	sim_tell(sim, "the wall clock of node %u jumps by %.3f s", index,
		 (double)(wall_ms - server->clock.wall_ms) / 1000);
	server->clock.wall_ms = wall_ms;
	if (server->node)
		sim_node_set_wall(server->node, wall_ms);
}

bool sim_act_clock(struct sim *sim)
{
	int64_t wall_ms = (int64_t)sim_below(sim, WALL_MS_MAX);
	uint32_t node = sim_any_node(sim);

	set_wall(sim, node, sim_below(sim, 2) ? wall_ms : -wall_ms);
	return true;
}

static bool is_place_taken(const struct sim *sim, uint32_t place)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (sim->places[i] == place)
			return true;
	}
	return false;
}

/* To a place where nobody is, perhaps where somebody was. */
static void move_place(struct sim *sim, uint32_t node)
{
	uint32_t place;

	do
		place = sim_below(sim, SIM_PLACE_MAX);
	while (is_place_taken(sim, place));
	sim->places[node] = place;
	sim_tell(sim, "clients will have to find node %u at address %u", node, place);
}

bool sim_act_rebirth(struct sim *sim)
{
	uint32_t node = sim_any_node(sim);
	bool is_moving = sim_below(sim, 2), is_moving_data = sim_below(sim, 2);

	if (!kill(sim, node, 5000000))
		return false;
	if (is_moving) {
		sim->homes[node]++;
		sim_tell(sim, "node %u will have address %u", node, sim->homes[node]);
	}
	if (is_moving_data)
		move_place(sim, node);
	if (!is_moving && !is_moving_data)
		set_wall(sim, node,
			 sim->servers[node].clock.wall_ms - (int64_t)sim_below(sim, WALL_MS_MAX));
	return true;
}

bool sim_act_pause(struct sim *sim)
{
	uint32_t node = sim_any_node(sim);
	uint64_t pause_us = 1000u << sim_below(sim, 14);

	sim_tell(sim, "node %u stands still for %.3f s", node, (double)pause_us / 1e6);
	sim->servers[node].paused_us = sim->now_us + pause_us;
	return true;
}

bool sim_act_cancel(struct sim *sim)
{
	uint32_t node = sim_any_node(sim);

	return sim_cancel(sim, node, sim_below(sim, sim->partition_count));
}

bool sim_act_full(struct sim *sim)
{
	uint32_t node = sim_any_node(sim);
	uint64_t duration_us = 1000u << sim_below(sim, 11);

	if (!sim->servers[node].node)
		return false;
	sim_tell(sim, "node %u has no buffers for %.3f s", node, (double)duration_us / 1e6);
	sim->servers[node].out_of_buffers_until_us = sim->now_us + duration_us;
	return true;
}

bool sim_act_stall(struct sim *sim)
{
	uint32_t node = sim_any_node(sim), worker = sim_below(sim, sim->worker_count);
	uint64_t duration_us = 1000u << sim_below(sim, 15);

	if (!sim->servers[node].node)
		return false;
	sim_tell(sim, "worker %u of node %u stands still for %.3f s", worker, node,
		 (double)duration_us / 1e6);
	sim_stall_worker(sim, node, worker, duration_us);
	return true;
}
