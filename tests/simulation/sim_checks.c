/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold: one server of each epoch, parked requests end, all settles, every key can be read. */
#include "tests/simulation/sim_state.h"

#include <inttypes.h>

#include "controlplane/migration_jobs.h"

#define VERIFY_US_MAX (UINT64_C(20) * 1000000)
/* From then on any session may be replaced: SESSION_IDLE_MIN_MS and SESSION_TOUCH_MS of the slowest clock. */
#define SESSIONS_IDLE_US (UINT64_C(45) * 1000000)
/* Between two turns of a node: it stood still, and what had waited ended when it woke. */
#define SLEPT_US_MIN UINT64_C(500000)
#define PARKED_US_MAX (UINT64_C(3) * 1000000)

/* Whether the node has its source's word for the partition. */
static bool is_handed(struct sim *sim, uint32_t node, uint32_t partition)
{
	const struct migration_target *target = migration_jobs_target(
		migrator_jobs(sim_server_of(sim, node)->node->migrator), partition);

	return target && !target->is_claim && target->epoch_taken > 0;
}

static void check_owner(struct sim *sim, uint32_t node, uint32_t partition, uint32_t epoch)
{
	uint64_t owner = (uint64_t)node << 32 | sim_server_of(sim, node)->life;

	if (epoch < sim->epochs[partition])
		return; /* it has not heard yet; what it answers is seen by the clients */
	if (epoch == sim->epochs[partition] && owner != sim->owners[partition] &&
	    sim->owners[partition] != SIM_OWNER_UNKNOWN)
		sim_history_violate(
			&sim->history, 1,
			"partition %u is served by node %u in epoch %u, as by node %" PRIu64,
			partition, node, epoch, sim->owners[partition] >> 32);
	if (epoch > sim->epochs[partition]) {
		sim_tell(sim, "node %u serves partition %u in epoch %u", node, partition, epoch);
		sim_check_claimed(sim, node, partition, epoch);
		sim->is_handed[partition] = is_handed(sim, node, partition);
	}
	sim->epochs[partition] = epoch;
	sim->owners[partition] = owner;
}

/* The latest that a map has; the data of a later one died with all who had it. */
static uint32_t latest_epoch(const struct sim *sim, uint32_t partition)
{
	uint32_t latest = 0;

	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;
		uint32_t epoch =
			node ? partition_map_epoch(gossip_map(node->gossip), partition) : 0;

		latest = epoch > latest ? epoch : latest;
	}
	return latest;
}

void sim_forget_epochs(struct sim *sim)
{
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		uint32_t epoch = latest_epoch(sim, p);

		if (epoch >= sim->epochs[p] || !sim->is_handed[p])
			continue;
		sim_tell(sim, "known limit 3: nobody is left who heard of epoch %u of partition %u",
			 sim->epochs[p], p);
		sim->result->counts.limits[2]++;
		sim->epochs[p] = epoch;
		sim->owners[p] = SIM_OWNER_UNKNOWN;
	}
}

void sim_check_routes(void *context, uint32_t node, const struct route_table *table)
{
	struct sim *sim = context;

	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (route_is_own(table, p))
			check_owner(sim, node, p, table->epochs[p]);
	}
}

/* Whether the node's import has all that its source had acknowledged when it fenced the writes. */
static bool is_ready(const struct sim_node *node, uint32_t partition)
{
	const struct migration_target *target =
		migration_jobs_target(migrator_jobs(node->migrator), partition);

	return target && migration_target_state(target) == TARGET_READY &&
	       sync_fence_is_up(target->final.fence);
}

bool sim_is_copied(const struct sim *sim, uint32_t partition)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		if (node && (partition_set_has(node->held, partition) || is_ready(node, partition)))
			return true;
	}
	return false;
}

void sim_check_parking(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);
	bool has_slept = sim->now_us - server->looked_us > SLEPT_US_MIN;

	server->looked_us = sim->now_us;
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (has_slept || server->node->dataplane.node.stalled ||
		    dataplane_parked(&server->node->dataplane.dataplane) == 0 ||
		    !sim_node_is_fenced(server->node, p))
			server->parked_since_us[p] = 0;
		else if (server->parked_since_us[p] == 0)
			server->parked_since_us[p] = sim->now_us;
		else if (sim->now_us - server->parked_since_us[p] > PARKED_US_MAX)
			sim_history_violate(&sim->history, 4,
					    "node %u parks requests of partition %u for ever",
					    index, p);
	}
}

/* Whether the node knows who has left, and who is there. */
static bool sees_who_is_there(const struct sim *sim, const struct sim_node *node)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		enum member_state state = sim_node_sees(node, i);

		if (sim->servers[i].is_away ? state < MEMBER_LEFT : state != MEMBER_ALIVE)
			return false;
	}
	return true;
}

/* One that its cluster has ended is about to start again, unless it has left. */
static bool is_node_settled(const struct sim *sim, uint32_t index)
{
	const struct sim_node *node = sim->servers[index].node;

	if (sim->servers[index].is_away)
		return !node;
	/* what a full node has no room for it tries to take again and again */
	return node && sim_node_is_settled(node) && sees_who_is_there(sim, node) &&
	       (sim->history.is_evicting || !sim_node_is_rebalancing(node));
}

bool sim_are_all_joined(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (!is_node_settled(sim, i))
			return false;
	}
	return true;
}

/* One that is up; there is one. */
static uint32_t any_node(const struct sim *sim)
{
	uint32_t i = 0;

	while (!sim->servers[i].node)
		i++;
	return i;
}

static const struct partition_map *any_map(const struct sim *sim)
{
	return gossip_map(sim->servers[any_node(sim)].node->gossip);
}

/* Each partition is served by the one that all maps name, and nobody else has anything of it (invariant 5). */
static bool is_partition_settled(struct sim *sim, uint32_t partition)
{
	const struct partition_map *map = any_map(sim);

	for (uint32_t i = 0; i < sim->node_count; i++) {
		struct sim_node *node = sim->servers[i].node;
		struct partition_stats stats;
		bool is_owner = partition_map_owner(map, partition) == sim_node_id(i);

		if (!node && is_owner)
			return false;
		if (!node)
			continue;
		partition_stats(unit_dataplane_partition(&node->dataplane, partition), &stats);
		if (sim_node_serves(node, partition) != is_owner ||
		    sim_node_is_fenced(node, partition) || stats.tombstones > 0 ||
		    (!is_owner && stats.items > 0))
			return false;
	}
	return true;
}

bool sim_is_settled(struct sim *sim)
{
	if (!sim_are_all_joined(sim))
		return false;
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;
		const struct node *self = node ? gossip_self(node->gossip) : NULL;

		if (!node)
			continue;
		if (gossip_map(node->gossip)->stamp != any_map(sim)->stamp ||
		    !partition_set_is_empty(&self->importing_partitions) ||
		    !partition_set_is_empty(&self->migrating_partitions))
			return false;
	}
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (!is_partition_settled(sim, p))
			return false;
	}
	return true;
}

static bool are_clients_idle(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->client_count; i++) {
		if (sim->clients[i].due_us != UINT64_MAX)
			return false;
	}
	return true;
}

static void tell_jobs(struct sim *sim, uint32_t index)
{
	const struct sim_node *node = sim->servers[index].node;
	struct migration_view view[SIM_PARTITION_MAX];
	uint32_t count = node ? migrator_list(node->migrator, view, SIM_PARTITION_MAX) : 0;

	for (uint32_t i = 0; i < count; i++)
		sim_history_violate(&sim->history, 5,
				    "node %u: the %s of partition %u is %s (reason %d) for ever",
				    index, view[i].is_source ? "source" : "target",
				    view[i].partition, view[i].state, (int)view[i].reason);
}

void sim_tell_unsettled(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		tell_jobs(sim, i);
		if (!is_node_settled(sim, i))
			sim_history_violate(&sim->history, 5, "node %u does not settle", i);
	}
	for (uint32_t p = 0; p < sim->partition_count && sim_are_all_joined(sim); p++) {
		if (!is_partition_settled(sim, p))
			sim_history_violate(&sim->history, 5, "partition %u does not settle", p);
	}
	sim_history_violate(&sim->history, 5, "it does not settle");
}

/* What it read last it knows to find, unless it believed nobody. */
static void check_place(struct sim *sim, uint32_t client, uint32_t partition)
{
	uint32_t place = sim->clients[client].owners[partition];

	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		if (node && sim_node_serves(node, partition) && sim->places[i] != place)
			sim_history_violate(&sim->history, 5,
					    "client %u looks for partition %u at address %u, not "
					    "%u",
					    client, partition, place, sim->places[i]);
	}
}

static void check_places(struct sim *sim, uint32_t readers)
{
	if (!(sim->faults & SIM_FAULT_REBIRTH) || sim->faults & SIM_FAULT_STALE ||
	    (sim->faults & SIM_FAULT_RESIZE && sim->history.is_evicting))
		return;
	sim_run_for(sim, SIM_SETTLE_MS * 1000, NULL);
	for (uint32_t key = 0; key < sim->history.key_count; key++)
		check_place(sim, key % readers, sim->history.keys[key].partition);
}

/* A bit for each place whose node is away. */
static uint32_t away(const struct sim *sim)
{
	uint32_t places = 0;

	for (uint32_t i = 0; i < sim->node_count; i++)
		places |= (uint32_t)sim->servers[i].is_away << sim->places[i];
	return places;
}

void sim_verify(struct sim *sim)
{
	uint32_t readers = sim->client_count;

	for (uint32_t i = 0; i < sim->client_count; i++) {
		sim->clients[i].is_idle = true;
		sim->clients[i].gone = away(sim);
		sim->clients[i].refuge = sim->places[any_node(sim)];
	}
	if (!sim_run_for(sim, VERIFY_US_MAX, are_clients_idle))
		sim_history_violate(&sim->history, 5, "clients do not end");
	sim_run_for(sim, SIM_SETTLE_MS * 1000, NULL);
	if (sim->session_count > 0) {
		readers = sim->session_count;
		sim_run_for(sim, SESSIONS_IDLE_US, NULL);
	}
	for (uint32_t key = 0; key < sim->history.key_count; key += readers) {
		uint64_t reads = sim->history.reads;
		uint32_t asked = 0;

		for (; asked < readers && key + asked < sim->history.key_count; asked++) {
			sim_client_verify(&sim->clients[asked], sim->now_us, key + asked);
			sim_plan_client(sim, asked);
		}
		if (!sim_run_for(sim, VERIFY_US_MAX, are_clients_idle) ||
		    sim->history.reads != reads + asked)
			sim_history_violate(&sim->history, 5, "keys %u.. cannot be read", key);
	}
	check_places(sim, readers);
}
