/* SPDX-License-Identifier: BSD-3-Clause */
/* The fault phase: moves and faults, drawn from the seed; the table of faults is here. */
#include "controlplane/resize.h"
#include "tests/simulation/sim_state.h"

#define STEP_US 150000u /* mean time between two steps */

/* clang-format off */
static const struct {
	const char *name;
	uint32_t percent; /* of the steps */
	bool (*act)(struct sim *sim);
	const char *text;
} faults[] = {
#define FAULT(symbol, name, percent, text) { #name, percent, sim_act_##name, text },
#define TRAIT(symbol, name, text) { #name, 0, NULL, text },
	SIM_FAULTS(FAULT, TRAIT)
#undef FAULT
#undef TRAIT
};
/* clang-format on */

const char *sim_fault_name(uint32_t bit)
{
	return bit < SIM_FAULT_COUNT ? faults[bit].name : NULL;
}

const char *sim_fault_text(uint32_t bit)
{
	return bit < SIM_FAULT_COUNT ? faults[bit].text : NULL;
}

/* The dice of a fault are thrown by its own generator, whether the seed took it or not. */
static void throw_fault(struct sim *sim, uint32_t i)
{
	sim->chance = &sim->fault_prngs[i];
	if (sim_is_chosen(sim, faults[i].percent) && sim_has(sim, 1u << i))
		sim_throw(sim, i);
	sim->chance = &sim->prng;
}

void sim_throw(struct sim *sim, uint32_t fault)
{
	sim->result->counts.faults[fault] += faults[fault].act(sim);
}

uint32_t sim_any_node(struct sim *sim)
{
	if (sim->wanted_count > 0)
		return sim->wanted[--sim->wanted_count];
	return sim_below(sim, sim->node_count);
}

void sim_set_level(struct sim *sim, enum sim_fault_number fault, uint32_t value,
		   uint64_t duration_us)
{
	sim->levels[fault] = (struct level){ value, sim->now_us + duration_us };
}

uint32_t sim_level(const struct sim *sim, enum sim_fault_number fault)
{
	const struct level *level = &sim->levels[fault];

	return !sim->is_healed && sim->now_us < level->until_us ? level->value : 0;
}

bool sim_order(struct sim *sim, uint32_t index, uint32_t partition)
{
	struct sim_node *node = sim_server_of(sim, index)->node;
	char error[MIGRATOR_ERROR_SIZE];

	if (!node || cluster_phase(node->cluster) == CLUSTER_LEFT ||
	    resize_find_leaving(gossip_membership(node->gossip)) ||
	    migrator_import(node->migrator, partition, error) != 0)
		return false;
	sim_tell(sim, "node %u is to import partition %u", index, partition);
	sim_turn_in(sim, index, 1);
	return true;
}

bool sim_cancel(struct sim *sim, uint32_t index, uint32_t partition)
{
	struct sim_node *node = sim_server_of(sim, index)->node;
	char error[MIGRATOR_ERROR_SIZE];

	if (!node || migrator_cancel(node->migrator, partition, error) != 0)
		return false;
	sim_tell(sim, "the migration of partition %u is cancelled at node %u", partition, index);
	return true;
}

/* Somebody wants a partition. */
static void move(struct sim *sim)
{
	uint32_t node = sim_any_node(sim);

	sim_order(sim, node, sim_below(sim, sim->partition_count));
}

void sim_step(struct sim *sim)
{
	if (sim->steps_left == 0)
		return;
	if (sim->now_us < sim->quiet_until_us) {
		sim_push(sim, (struct sim_event){ .kind = EVENT_STEP },
			 sim->quiet_until_us - sim->now_us, NULL, 0);
		return;
	}
	sim->steps_left--;
	if (sim_below(sim, 2) == 0)
		move(sim);
	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++)
		throw_fault(sim, i);
	sim_push(sim, (struct sim_event){ .kind = EVENT_STEP }, 1 + sim_below(sim, 2 * STEP_US),
		 NULL, 0);
}
