/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients that find out when two nodes serve the partition: one writes at the target, another then reads at the source. */
#include "tests/simulation/failpoint_state.h"

#define MS UINT64_C(1000)
#define WRITE_US (50 * MS) /* enough for a write */
#define REST_US (5 * MS)   /* until another client may have its turn to spare */

bool failpoint_is_owner(struct sim *sim, enum failpoint_node node)
{
	const struct sim_node *at = sim_server_of(sim, node)->node;

	return at && partition_map_owner(gossip_map(at->gossip), FAILPOINT_PARTITION) ==
			     sim_node_id(node);
}

static bool is_witness_key(const struct sim *sim, uint32_t key)
{
	return !sim->history.keys[key].is_counter &&
	       sim->history.keys[key].partition == FAILPOINT_PARTITION;
}

static bool try_client(struct sim *sim, uint32_t client, enum sim_client_operation operation,
		       uint32_t key, enum failpoint_node node)
{
	if (!sim_client_try(&sim->clients[client], sim->now_us, operation, key, node))
		return false;
	sim_plan_client(sim, client);
	return true;
}

/* ---- while workers stand still ---- */

static bool does_target_own(struct sim *sim)
{
	return failpoint_is_owner(sim, FAILPOINT_TARGET);
}

static uint32_t any_key(const struct sim *sim)
{
	uint32_t key = 0;

	while (key < sim->history.key_count && !is_witness_key(sim, key))
		key++;
	return key;
}

static void witness(struct sim *sim, uint32_t key, uint32_t writer, uint32_t reader,
		    uint64_t end_us)
{
	if (!sim_run_for(sim, (end_us - sim->now_us) / 2, does_target_own) ||
	    !try_client(sim, writer, SIM_SET, key, FAILPOINT_TARGET))
		return;
	sim_run_for(sim, WRITE_US, NULL);
	try_client(sim, reader, SIM_GET, key, FAILPOINT_SOURCE);
}

/* Two clients wait for their turn; the others go on. */
void failpoint_endure_stall(struct failpoint *failpoint, uint64_t us)
{
	struct sim *sim = failpoint->sim;
	uint64_t end_us = sim->now_us + us;
	uint32_t key = any_key(sim);
	uint32_t pair[] = { key % sim->client_count, (key + 1) % sim->client_count };

	if (key == sim->history.key_count) {
		sim_run_for(sim, us, NULL);
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

/* ---- while nodes do not hear each other ---- */

/* Each believes that the partition is its own. */
static bool do_both_own(struct sim *sim)
{
	const struct sim_node *source = sim_server_of(sim, FAILPOINT_SOURCE)->node;

	return does_target_own(sim) && source && sim_node_is_open(source) &&
	       sim_node_serves(source, FAILPOINT_PARTITION);
}

/* The key that a client writes which happens to rest; 'key_count': none. */
static uint32_t write_at_target(struct sim *sim)
{
	uint32_t key = 0;

	while (key < sim->history.key_count &&
	       (!is_witness_key(sim, key) ||
		!try_client(sim, key % sim->client_count, SIM_SET, key, FAILPOINT_TARGET)))
		key++;
	return key;
}

static bool read_at_source(struct sim *sim, uint32_t key)
{
	for (uint32_t i = 0; i < sim->client_count; i++) {
		if (i != key % sim->client_count &&
		    try_client(sim, i, SIM_GET, key, FAILPOINT_SOURCE))
			return true;
	}
	return false;
}

/* Clients reach both sides of a cut. */
void failpoint_endure_cut(struct failpoint *failpoint, uint64_t us)
{
	struct sim *sim = failpoint->sim;
	uint64_t end_us = sim->now_us + us;
	uint32_t key = sim->history.key_count;

	if (!sim_run_for(sim, us, do_both_own))
		return;
	sim_tell(sim, "source and target own the partition, each in its own eyes");
	while (key == sim->history.key_count && sim->now_us < end_us) {
		sim_run_for(sim, REST_US, NULL);
		key = write_at_target(sim);
	}
	sim_run_for(sim, WRITE_US, NULL);
	while (key < sim->history.key_count && sim->now_us < end_us && !read_at_source(sim, key))
		sim_run_for(sim, REST_US, NULL);
	if (sim->now_us < end_us)
		sim_run_for(sim, end_us - sim->now_us, NULL);
}
