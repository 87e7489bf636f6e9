/* SPDX-License-Identifier: BSD-3-Clause */
/* The lives of the nodes: starts, deaths, turns, and what arrives. */
#include "tests/simulation/sim_state.h"

#include <inttypes.h>
#include <string.h>

#define RESTART_US 1000000u /* of a node that its cluster has ended */
/* While something moves, a node that nothing has reached since its last turn looks after twice the time, up to 16 times. */
#define BUSY_TURN_US 300u
#define BUSY_DOUBLINGS_MAX 4u
#define IDLE_TURN_US 10000u
/* Frames that wait longer in a node that stands still are lost: its rings are small. What waits is executed within
 * SIM_SETTLE_MS, so that clients know when a write whose outcome is UNKNOWN can surprise them no more.
 */
#define RING_US_MAX 1000000u
#define WATCH_US 1000000u /* from one look at the workers to the next, as in the daemon */
/* A few slabs: not enough for every size of item that clients write. */
#define EVICTING_BYTES (256u << 10)

static size_t memory_of(const struct sim *sim)
{
	if (sim->history.is_evicting)
		return EVICTING_BYTES;
	return sim_has(sim, SIM_FAULT_MEMORY) ? 4u << 20 : 16u << 20;
}

/* The node's watch of its workers' heartbeats. */
static void create_watch(const struct sim *sim, struct server *server)
{
	const struct sim_node *node = server->node;
	const struct node_facts facts = { .world = &node->world, .log = &server->watch_log };
	const struct node_source source = {
		.worker_status = dataplane_worker_status,
		.dataplane = &node->dataplane.dataplane,
		.worker_count = node->options.worker_count,
	};

	server->watch_log = sim->log;
	server->watch_log.world = &node->world;
	server->watch = node_watch_create(&facts, &source);
	server->watched_us = sim->now_us;
}

static void watch(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);
	bool was_stalled = node_watch_is_stalled(server->watch);

	if (sim->now_us - server->watched_us < WATCH_US)
		return;
	server->watched_us = sim->now_us;
	node_watch_sample(server->watch);
	if (node_watch_is_stalled(server->watch) == was_stalled)
		return;
	sim->result->counts.stalls += !was_stalled;
	sim_node_set_stalled(server->node, sim->now_us, !was_stalled);
}

static uint64_t stalled_workers(const struct sim *sim, const struct server *server)
{
	uint64_t workers = 0;

	for (uint32_t i = 0; i < sim->worker_count; i++)
		workers |= (uint64_t)(server->stalled_until_us[i] > sim->now_us) << i;
	return workers;
}

void sim_stall_worker(struct sim *sim, uint32_t index, uint32_t worker, uint64_t duration_us)
{
	struct server *server = sim_server_of(sim, index);

	server->stalled_until_us[worker] = sim->now_us + duration_us;
	if (server->stalled_until_us[worker] > sim->history.stalled_until_us)
		sim->history.stalled_until_us = server->stalled_until_us[worker];
}

/* As the daemon makes it: by the wall clock. */
static uint64_t generation(const struct sim *sim, const struct server *server)
{
	uint64_t unix_ms = SIM_UNIX_MS + sim->now_us / 1000 + (uint64_t)server->clock.wall_ms;

	return unix_ms << 8 | (server->life & 255);
}

void sim_start_node(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);
	struct sim_node_options options = {
		.index = index,
		.node_count = sim->node_count,
		.worker_count = sim->worker_count,
		.partition_count = sim->partition_count,
		.memory_bytes = memory_of(sim),
		.is_evicting = sim->history.is_evicting,
		.ring_size = DELTA_RING_SIZE_MIN,
		.job_max = sim_has(sim, SIM_FAULT_FULL) ? 1 : 4,
		.mailbox_capacity = sim_has(sim, SIM_FAULT_FULL) ? 2 : 0,
		.session_count = sim->session_count,
		.generation = generation(sim, server),
		.weight = sim_draw_weight(sim, index),
		.is_auto = sim->is_auto,
		.rebalance_seed = sim->options.seed ^ (uint64_t)index << 32 ^ server->life,
		.clock = server->clock,
		.homes = sim->homes,
		.place = sim->places[index],
		.seed = prng_next(&sim->prng),
		.now_us = sim->now_us,
		.log = &sim->log,
		.host = sim_network_host(sim),
	};

	migration_options_default(&options.migration);
	if (sim_has(sim, SIM_FAULT_RING))
		options.migration.bytes_per_s = 20000;
	options.migration.batch_size = SYNC_BATCH_FRAME_SIZE_MIN;
	server->life++;
	server->turn_us = 0;
	server->paused_us = 0;
	server->has_ended = false;
	server->has_left = false;
	server->is_away = false;
	memset(server->parked_since_us, 0, sizeof(server->parked_since_us));
	memset(server->fenced_since_us, 0, sizeof(server->fenced_since_us));
	memset(server->stalled_until_us, 0, sizeof(server->stalled_until_us));
	server->out_of_buffers_until_us = 0;
	server->bus = sim_create_bus(sim);
	server->node = sim_node_create(&options);
	create_watch(sim, server);
	sim_tell(sim, "node %u starts, life %" PRIu64, index, server->life);
	sim_turn_in(sim, index, 1);
}

void sim_stop_node(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);

	node_watch_destroy(server->watch);
	sim_node_destroy(server->node);
	bus_crypto_destroy(server->bus);
	server->watch = NULL;
	server->node = NULL;
	server->bus = NULL;
}

/* The process is gone, and its channels with it. */
static void take_down(struct sim *sim, uint32_t index)
{
	sim_stop_node(sim, index);
	sim_forget_epochs(sim);
	sim_server_of(sim, index)->is_back = false;
	for (uint32_t i = 0; i < sim->node_count; i++) {
		sim_link_of(sim, index, i)->connection++;
		sim_link_of(sim, i, index)->connection++;
		if (i == index)
			continue;
		sim_link_of(sim, i, index)->is_broken = true;
		sim_reconnect_later(sim, i, index);
	}
}

/* Whether it may have acknowledged more than any copy has. That it does not serve at present, for it sees no majority, does not
 * say that it did not since the copy was made.
 */
static bool may_have_more(const struct sim_node *node, uint32_t partition)
{
	const struct partition_map *map = gossip_map(node->gossip);
	bool is_owner = partition_map_owner(map, partition) == sim_node_id(node->options.index);

	return is_owner && partition_set_has(node->held, partition) &&
	       !sim_node_is_fenced(node, partition);
}

void sim_crash_node(struct sim *sim, uint32_t index)
{
	const struct server *server = sim_server_of(sim, index);
	bool had_more[SIM_PARTITION_MAX];

	sim_tell(sim, "node %u dies", index);
	for (uint32_t p = 0; p < sim->partition_count; p++)
		had_more[p] = may_have_more(server->node, p);
	take_down(sim, index);
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (!sim_is_claimed(sim, p) && (had_more[p] || !sim_is_copied(sim, p)))
			sim_history_forget(&sim->history, p);
	}
}

void sim_restart_node(struct sim *sim, uint32_t index)
{
	if (sim_server_of(sim, index)->node)
		return;
	sim_start_node(sim, index);
	sim_node_join(sim_server_of(sim, index)->node);
}

void sim_node_ended(void *context, uint32_t node, enum cluster_end end)
{
	struct sim *sim = context;

	sim_tell(sim, "node %u ends (%d)", node, (int)end);
	sim_server_of(sim, node)->has_ended = true;
	sim_server_of(sim, node)->has_left = end == CLUSTER_END_LEFT;
}

uint32_t sim_member_count(const struct sim *sim)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim->node_count; i++)
		count += !sim->servers[i].is_away;
	return count;
}

uint32_t sim_down_count(const struct sim *sim)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim->node_count; i++)
		count += !sim->servers[i].is_back && !sim->servers[i].is_away;
	return count;
}

/* Who left had nothing any more: so nothing that is gone afterwards is forgiven (invariant 2). */
static void depart(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);

	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (sim_node_serves(server->node, p))
			sim_history_violate(&sim->history, 2,
					    "node %u leaves, and serves partition %u", index, p);
	}
	take_down(sim, index);
	server->is_away = true;
	sim->result->counts.departures++;
	sim_plan_return(sim, index);
}

static void end_if_wanted(struct sim *sim, uint32_t index)
{
	if (!sim_server_of(sim, index)->has_ended)
		return;
	if (sim_server_of(sim, index)->has_left) {
		depart(sim, index);
		return;
	}
	sim_crash_node(sim, index);
	sim_push(sim, (struct sim_event){ .kind = EVENT_RESTART, .node = index }, RESTART_US, NULL,
		 0);
}

/* Looks at what moves, or did a turn ago, and at what waits for it. */
static void check_migrations(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);
	bool is_moving = !migrator_is_idle(server->node->migrator);

	if (is_moving || server->was_moving ||
	    dataplane_parked(&server->node->dataplane.dataplane) > 0) {
		sim_check_moves(sim, index);
		sim_check_claims(sim, index);
	}
	server->was_moving = is_moving;
}

static uint64_t busy_turn_us(struct server *server)
{
	uint64_t wait_us = BUSY_TURN_US << server->vain_turns;

	server->vain_turns += server->vain_turns < BUSY_DOUBLINGS_MAX;
	return wait_us;
}

static void turn(struct sim *sim, const struct sim_event *event)
{
	struct server *server = sim_server_of(sim, event->node);
	struct sim_node *node = server->node;
	uint64_t wait_us = IDLE_TURN_US;

	if (event->at_us != server->turn_us)
		return;
	sim_node_turn(node, sim->now_us);
	watch(sim, event->node);
	server->is_back |= sim_node_is_open(node);
	if (!sim_node_is_open(node))
		server->closed_us = sim->now_us;
	sim_check_parking(sim, event->node);
	check_migrations(sim, event->node);
	if (migrator_is_idle(node->migrator) && dataplane_parked(&node->dataplane.dataplane) == 0) {
		if (sim_node_due_us(node) < sim->now_us + wait_us)
			wait_us = sim_node_due_us(node) > sim->now_us
					  ? sim_node_due_us(node) - sim->now_us
					  : 1;
	} else {
		wait_us = busy_turn_us(server);
	}
	sim_turn_in(sim, event->node, wait_us);
}

/* Of the worker that the frame is for. */
static uint64_t stalled_until_us(const struct server *server, const struct sim_event *frame)
{
	return server
		->stalled_until_us[sim_node_worker_of(server->node, frame->bytes, frame->size)];
}

bool sim_put_off(struct sim *sim, struct sim_event *event)
{
	const struct server *server = sim_server_of(sim, event->node);

	uint64_t until_us = server->paused_us;

	if (event->kind == EVENT_FRAME && stalled_until_us(server, event) > until_us)
		until_us = stalled_until_us(server, event);
	if (until_us <= sim->now_us)
		return false;
	if (event->kind == EVENT_FRAME && until_us - sim->now_us > RING_US_MAX)
		return true;
	if (event->kind == EVENT_TURN) {
		sim_server_of(sim, event->node)->turn_us = until_us;
		event->at_us = until_us;
	}
	sim_push(sim, *event, until_us - sim->now_us, event->bytes, event->size);
	return true;
}

static void happen(struct sim *sim, const struct sim_event *event)
{
	struct server *server = sim_server_of(sim, event->node);
	struct sim_node *node = server->node;

	sim_node_stall(node, stalled_workers(sim, server));
	unit_node_set_out_of_buffers(&node->dataplane.node,
				     server->out_of_buffers_until_us > sim->now_us);
	switch (event->kind) {
	case EVENT_TURN:
		turn(sim, event);
		return;
	case EVENT_GOSSIP:
		if (!sim_is_cut(sim, event))
			sim_take_gossip(sim, event);
		break;
	case EVENT_ANSWER:
	case EVENT_UNANSWERED:
		sim_take_answer(sim, event);
		break;
	case EVENT_SYNC:
		sim_take_sync(sim, event);
		if (!migrator_is_idle(node->migrator))
			sim_check_claims(sim, event->node);
		break;
	case EVENT_FRAME:
		if (sim_is_cut(sim, event))
			break;
		sim_note_arrival(sim, event);
		if (event->is_damaged)
			sim_take_damaged_frame(sim, event);
		else
			sim_node_take_frame(node, sim->now_us, event->bytes, event->size);
		break;
	}
	server->vain_turns = 0;
	sim_turn_in(sim, event->node,
		    sim_node_due_us(node) > sim->now_us + 1 ? sim_node_due_us(node) - sim->now_us
							    : 1);
}

void sim_happen_at_node(struct sim *sim, const struct sim_event *event)
{
	happen(sim, event);
	end_if_wanted(sim, event->node);
}
