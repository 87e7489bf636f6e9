/* SPDX-License-Identifier: BSD-3-Clause */
/* Several orders in one moment: two targets, an order and its cancel, cancels at both ends, a plan while moves run. */
#include "controlplane/rebalance_plan.h"
#include "tests/simulation/sim_state.h"

/* At every node that has a job of it. */
static bool cancel(struct sim *sim, uint32_t partition)
{
	bool is_any = false;

	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (!sim_cancel(sim, i, partition))
			continue;
		is_any = true;
		sim_turn_in(sim, i, 1);
	}
	return is_any;
}

static bool order_twice(struct sim *sim, uint32_t partition)
{
	uint32_t first = sim_any_node(sim);
	bool is_any = sim_order(sim, first, partition);

	return sim_order(sim, (first + 1) % sim->node_count, partition) || is_any;
}

static bool order_and_cancel(struct sim *sim, uint32_t partition)
{
	return sim_order(sim, sim_any_node(sim), partition) && cancel(sim, partition);
}

/* One of the jobs that a node has, in whatever state. */
static bool cancel_running(struct sim *sim)
{
	const struct sim_node *node = sim_server_of(sim, sim_any_node(sim))->node;
	struct migration_view views[SIM_PARTITION_MAX];
	uint32_t count = node ? migrator_list(node->migrator, views, SIM_PARTITION_MAX) : 0;

	return count > 0 && cancel(sim, views[sim_below(sim, count)].partition);
}

/* What a rebalance by the map of one node would do now, ordered all at once. */
static bool order_plan(struct sim *sim)
{
	const struct sim_node *node = sim_server_of(sim, sim_any_node(sim))->node;
	struct rebalance_member members[SIM_NODE_MAX];
	struct rebalance_plan plan;
	bool is_any = false;

	if (!node)
		return false;
	for (uint32_t i = 0; i < sim->node_count; i++)
		members[i] = (struct rebalance_member){ sim_node_id(i), 1 + sim_below(sim, 4) };
	if (rebalance_plan_make(&plan, gossip_map(node->gossip), members, sim->node_count) != 0)
		return false;
	for (uint32_t m = 0; m < plan.move_count; m++) {
		for (uint32_t i = 0; i < sim->node_count; i++)
			is_any |= plan.moves[m].to == sim_node_id(i) &&
				  sim_order(sim, i, plan.moves[m].partition);
	}
	return is_any;
}

bool sim_act_operators(struct sim *sim)
{
	uint32_t partition = sim_below(sim, sim->partition_count);

	switch (sim_below(sim, 4)) {
	case 0:
		return order_twice(sim, partition);
	case 1:
		return order_and_cancel(sim, partition);
	case 2:
		return cancel_running(sim);
	default:
		return order_plan(sim);
	}
}
