/* SPDX-License-Identifier: BSD-3-Clause */
/* Clusters that change their size: operators have them rebalanced, nodes leave, come back, and join anew. */
#include "controlplane/rebalance_plan.h"
#include "controlplane/resize.h"
#include "tests/simulation/sim_state.h"

#define WEIGHT_STEP 50u
#define WEIGHTS 4u
#define AWAY_US_MAX 8000000u

static struct prng *dice_of(struct sim *sim)
{
	return &sim->fault_prngs[SIM_FAULT_NUMBER_RESIZE];
}

void sim_draw_sizes(struct sim *sim)
{
	if (!sim_has(sim, SIM_FAULT_RESIZE))
		return;
	sim->is_auto = prng_below(dice_of(sim), 2);
	sim->servers[sim->node_count - 1].is_away = prng_below(dice_of(sim), 2);
}

uint16_t sim_draw_weight(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);

	if (sim_has(sim, SIM_FAULT_RESIZE))
		server->weight = (uint16_t)(WEIGHT_STEP * (1 + prng_below(dice_of(sim), WEIGHTS)));
	else if (server->weight == 0)
		server->weight = NODE_WEIGHT_DEFAULT;
	return server->weight;
}

static bool is_awake(const struct sim *sim, uint32_t index)
{
	const struct server *server = &sim->servers[index];

	return server->node && server->paused_us <= sim->now_us;
}

static bool is_leaving(const struct sim *sim, uint32_t index)
{
	const struct sim_node *node = sim->servers[index].node;

	return node && cluster_phase(node->cluster) == CLUSTER_LEAVING;
}

/* ---- orders ---- */

static bool hears(struct sim *sim, uint32_t to, uint32_t from)
{
	return is_awake(sim, to) && !sim_link_of(sim, from, to)->is_cut &&
	       !sim_link_of(sim, to, from)->is_cut;
}

/* As the administrative interface does it: checked at one node, which tells those that it reaches. */
static bool rebalance(struct sim *sim)
{
	uint32_t at = sim_any_node(sim);
	bool is_alone = sim_below(sim, 4) == 0;
	const struct sim_node *node = sim_server_of(sim, at)->node;
	char error[CLUSTER_ERROR_SIZE];
	struct rebalance_plan plan;

	if (!is_awake(sim, at) || !sim_node_is_open(node) ||
	    rebalance_driver_plan(node->rebalancer, &plan) != 0 ||
	    resize_check(gossip_membership(node->gossip), gossip_map(node->gossip), 0, error,
			 sizeof(error)) != 0)
		return false;
	sim_tell(sim, "a rebalance is wanted of node %u%s, %u moves", at,
		 is_alone ? ", which tells nobody" : "", plan.move_count);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (i == at || (!is_alone && hears(sim, i, at)))
			sim_node_rebalance(sim_server_of(sim, i)->node, sim->now_us);
	}
	return true;
}

static bool order_leave(struct sim *sim, uint32_t index, bool leaves)
{
	struct server *server = sim_server_of(sim, index);
	char error[CLUSTER_ERROR_SIZE];

	if (!is_awake(sim, index) || is_leaving(sim, index) == leaves ||
	    sim_node_leave(server->node, sim->now_us, leaves, error) != 0)
		return false;
	sim_tell(sim, "node %u is to %s", index, leaves ? "leave" : "stay after all");
	sim_turn_in(sim, index, 1);
	return true;
}

/* A cluster without a disk lives as long as a majority remembers: operators wait for those that are down. */
static bool let_leave(struct sim *sim)
{
	uint32_t index = sim_any_node(sim), down = sim_down_count(sim);

	return (down == 0 || 2 * (down + 1) < sim_member_count(sim)) &&
	       order_leave(sim, index, true);
}

static bool take_back_leave(struct sim *sim)
{
	bool is_any = false;

	for (uint32_t i = 0; i < sim->node_count; i++)
		is_any |= is_leaving(sim, i) && order_leave(sim, i, false);
	return is_any;
}

/* One that has left, or was never there. */
static bool let_join(struct sim *sim)
{
	uint32_t index = sim_any_node(sim);

	if (!sim->servers[index].is_away)
		return false;
	sim_restart_node(sim, index);
	return true;
}

bool sim_act_resize(struct sim *sim)
{
	switch (sim_below(sim, 8)) {
	case 0:
	case 1:
		return rebalance(sim);
	case 2:
		return take_back_leave(sim);
	case 3:
	case 4:
		return let_join(sim);
	default:
		return let_leave(sim);
	}
}

/* ---- who comes back ---- */

static void return_in(struct sim *sim, uint32_t index, uint64_t delay_us)
{
	sim_push(sim,
		 (struct sim_event){ .kind = EVENT_RESTART,
				     .node = index,
				     .life = sim_server_of(sim, index)->life },
		 delay_us, NULL, 0);
}

/* Whether others think that it is a member, since nobody heard its good-bye. */
static bool is_missed(const struct sim *sim, uint32_t index)
{
	bool is_missed = false;

	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;
		enum member_state state = node ? sim_node_sees(node, index) : MEMBER_UNKNOWN;

		if (state == MEMBER_LEFT)
			return false;
		is_missed |= state < MEMBER_LEFT;
	}
	return is_missed;
}

void sim_plan_return(struct sim *sim, uint32_t index)
{
	if (sim->is_healed && is_missed(sim, index))
		sim_server_of(sim, index)->is_away = false;
	if (sim->is_healed ? is_missed(sim, index) : prng_below(dice_of(sim), 3) != 0)
		return_in(sim, index, 100000 + prng_below(dice_of(sim), AWAY_US_MAX));
}

static bool is_staying(const struct sim *sim, uint32_t index)
{
	const struct sim_node *node = sim->servers[index].node;

	return !sim->servers[index].is_away &&
	       (!node || cluster_phase(node->cluster) < CLUSTER_LEAVING);
}

static bool is_anyone_staying(const struct sim *sim)
{
	bool is_any = false;

	for (uint32_t i = 0; i < sim->node_count; i++)
		is_any |= is_staying(sim, i);
	return is_any;
}

void sim_end_resizes(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		struct server *server = sim_server_of(sim, i);

		server->is_away =
			server->is_away && !is_missed(sim, i) && prng_below(dice_of(sim), 2);
	}
	/* Nobody is there to take anything, or has room for it. */
	if (!is_anyone_staying(sim) || sim->history.is_evicting)
		take_back_leave(sim);
}
