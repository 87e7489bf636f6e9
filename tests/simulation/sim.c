/* SPDX-License-Identifier: BSD-3-Clause */
/* One seed from its draw to its verdict: events in order of time, and the phases of a run. */
#include "tests/simulation/sim_state.h"

#include <stdlib.h>
#include <string.h>

#define SETTLE_US_MAX (UINT64_C(240) * 1000000)
#define FOUNDED_US 50000u
#define CLOCK_ERROR_MS                                                                             \
	20000000u /* more than all jumps and rates make; nothing is said of the time to live then */

static bool is_of_node(const struct sim_event *event)
{
	switch (event->kind) {
	case EVENT_TURN:
	case EVENT_GOSSIP:
	case EVENT_ANSWER:
	case EVENT_UNANSWERED:
	case EVENT_SYNC:
	case EVENT_FRAME:
		return true;
	default:
		return false;
	}
}

static void happen_to_client(struct sim *sim, const struct sim_event *event)
{
	struct sim_client *client = &sim->clients[event->node];

	if (event->kind == EVENT_CLIENT_FRAME)
		sim_note_arrival(sim, event);
	if (event->kind == EVENT_CLIENT_FRAME)
		sim_client_receive(client, sim->now_us, event->bytes, event->size,
				   event->is_damaged);
	else if (client->due_us <= sim->now_us)
		sim_client_run(client, sim->now_us);
	sim_plan_client(sim, event->node);
}

static void happen(struct sim *sim, struct sim_event *event)
{
	if (is_of_node(event)) {
		const struct server *server = sim_server_of(sim, event->node);

		if (server->node && (event->life == 0 || event->life == server->life) &&
		    !sim_put_off(sim, event)) {
			sim_happen_at_node(sim, event);
			sim_take_aim(sim, event->node);
		}
		return;
	}
	switch (event->kind) {
	case EVENT_ASK:
		if (!sim_put_off(sim, event))
			sim_ask(sim, event);
		return;
	case EVENT_RECONNECT:
		sim_reconnect(sim, event);
		return;
	case EVENT_CLIENT:
	case EVENT_CLIENT_FRAME:
		happen_to_client(sim, event);
		return;
	case EVENT_STEP:
		sim_step(sim);
		return;
	case EVENT_RESTART:
		/* of one that is away, when it is to return */
		if (!sim_server_of(sim, event->node)->is_away ||
		    (event->life == sim_server_of(sim, event->node)->life && !sim->is_healed))
			sim_restart_node(sim, event->node);
		return;
	case EVENT_MEND:
		sim_mend(sim);
		return;
	}
}

static bool is_watch_over(struct sim *sim, const struct sim_event *event)
{
	const struct sim_script *script = sim->options.script;

	return script && script->watch(script->context, sim, event);
}

bool sim_run_for(struct sim *sim, uint64_t duration_us, bool (*is_done)(struct sim *sim))
{
	uint64_t end_us = sim->now_us + duration_us;
	uint64_t look_us = 0;

	while (sim->heap.count > 0 && sim->now_us < end_us &&
	       sim->history.violation.invariant == 0) {
		struct sim_event event = event_heap_pop(&sim->heap);
		bool is_over;

		sim->now_us = event.at_us;
		sim->history.now_us = event.at_us;
		sim->result->counts.events++;
		sim_trace(sim, &event);
		happen(sim, &event);
		is_over = is_watch_over(sim, &event);
		free(event.bytes);
		if (is_over)
			return true;
		if (sim->now_us < look_us)
			continue;
		look_us = sim->now_us + 20000;
		if (is_done && is_done(sim))
			return true;
	}
	return false;
}

static bool are_steps_done(struct sim *sim)
{
	return sim->steps_left == 0;
}

static void heal(struct sim *sim)
{
	sim_tell(sim, "everything heals");
	sim->is_healed = true;
	sim->history.stalled_until_us = sim->now_us;
	sim_mend(sim);
	for (uint32_t i = 0; i < sim->client_count; i++) {
		sim_client_wake(&sim->clients[i], sim->now_us);
		sim_plan_client(sim, i);
	}
	sim_end_resizes(sim);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		sim->servers[i].paused_us = 0;
		sim->servers[i].out_of_buffers_until_us = 0;
		memset(sim->servers[i].stalled_until_us, 0,
		       sizeof(sim->servers[i].stalled_until_us));
		if (!sim->servers[i].is_away)
			sim_restart_node(sim, i);
	}
}

static void create_clients(struct sim *sim)
{
	uint32_t pause_us = 500u << sim_below(sim, 6);

	for (uint32_t i = 0; i < sim->client_count; i++) {
		const struct sim_client_options options = {
			.number = i,
			.client_count = sim->client_count,
			.node_count = sim->node_count,
			.worker_count = sim->worker_count,
			.partition_count = sim->partition_count,
			.pause_us = pause_us,
			.is_stale = sim_has(sim, SIM_FAULT_STALE),
			.is_expiring = sim_has(sim, SIM_FAULT_EXPIRY),
			.places = sim_has(sim, SIM_FAULT_REBIRTH) ? sim->places : NULL,
			.seed = prng_next(&sim->prng),
			.history = &sim->history,
			.send = sim_client_sends,
			.context = sim,
		};

		sim_client_init(&sim->clients[i], &options);
		sim->clients[i].due_us = sim->now_us + FOUNDED_US;
		sim_plan_client(sim, i);
	}
}

static void choose(struct sim *sim)
{
	uint32_t wanted = sim->options.node_count;

	sim->node_count = wanted ? wanted : 2 + sim_below(sim, SIM_NODE_MAX - 1);
	sim->worker_count = 1 + sim_below(sim, SIM_WORKER_MAX);
	sim->partition_count = 4u << sim_below(sim, 3);
	sim->client_count = 2 + sim_below(sim, SIM_CLIENT_MAX - 1);
	sim->faults = sim->options.faults;
	if (!sim->options.is_every_fault)
		sim->faults &= (uint32_t)prng_next(&sim->prng);
	sim->steps_left = sim->options.steps ? sim->options.steps : 20 + sim_below(sim, 80);
	sim_history_init(&sim->history, 12 + sim_below(sim, SIM_KEY_MAX - 12),
			 sim->partition_count);
	sim->history.story = sim->options.story;
	if (sim_has(sim, SIM_FAULT_FULL))
		sim->session_count = 1 + prng_below(&sim->fault_prngs[SIM_FAULT_NUMBER_FULL],
						    sim->client_count - 1);
	sim->is_sealed = sim_below(sim, 2);
	sim->history.is_evicting = sim_has(sim, SIM_FAULT_EXPIRY) && sim_below(sim, 3) == 0;
}

/* Clocks keep their rates, so the end of all faults does not change them. */
static void set_clocks(struct sim *sim)
{
	struct prng *prng = &sim->fault_prngs[SIM_FAULT_NUMBER_CLOCK];

	if (sim_has(sim, SIM_FAULT_CLOCK | SIM_FAULT_REBIRTH))
		sim->history.clock_error_ms = CLOCK_ERROR_MS;
	if (!sim_has(sim, SIM_FAULT_CLOCK))
		return;
	for (uint32_t i = 0; i < sim->node_count; i++)
		sim->servers[i].clock.rate_ppm =
			SIM_RATE_PPM_MIN +
			(int32_t)prng_below(prng, SIM_RATE_PPM_MAX - SIM_RATE_PPM_MIN + 1);
}

static void begin(struct sim *sim)
{
	sim->now_us = 1000000;
	set_clocks(sim);
	for (uint32_t i = 0; i < sim->node_count; i++)
		sim->places[i] = i;
	sim_draw_sizes(sim);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (!sim->servers[i].is_away)
			sim_start_node(sim, i);
	}
	sim_node_found(sim->servers[0].node);
	for (uint32_t i = 1; i < sim->node_count; i++) {
		if (!sim->servers[i].is_away)
			sim_node_join(sim->servers[i].node);
	}
	create_clients(sim);
}

static void collect_shards(struct sim *sim)
{
	struct shard_stats stats;

	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		for (uint32_t worker = 0; node && worker < sim->worker_count; worker++) {
			shard_stats(node->dataplane.node.cores[worker]->shard, &stats);
			sim->result->counts.expired += stats.expired;
			sim->result->counts.evicted += stats.evicted;
		}
	}
}

static void collect_room(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		if (!node)
			continue;
		sim->result->counts.missed += node->dataplane.node.missed;
		sim->result->counts.crowded +=
			unit_node_counter(&node->dataplane.node, "drop_session_table_full");
	}
}

static void collect(struct sim *sim)
{
	struct sim_counts *counts = &sim->result->counts;

	for (uint32_t i = 0; i < sim->client_count; i++) {
		const struct sim_client_counts *client = &sim->clients[i].counts;

		counts->operations += client->done;
		counts->unknown += client->unknown;
		counts->failed += client->failed;
		counts->haunted += client->haunted;
		counts->lost += client->lost;
		if (client->longest_us > counts->longest_us)
			counts->longest_us = client->longest_us;
	}
	for (uint32_t p = 0; p < sim->partition_count; p++)
		counts->moves += sim->epochs[p] > 0 ? sim->epochs[p] - 1 : 0;
	collect_shards(sim);
	collect_room(sim);
	counts->duration_us = sim->now_us;
	sim->result->violation = sim->history.violation;
}

/* The phase of faults. */
static void trouble(struct sim *sim)
{
	const struct sim_script *script = sim->options.script;

	if (script) {
		script->run(script->context, sim);
		return;
	}
	sim_push(sim, (struct sim_event){ .kind = EVENT_STEP }, 1, NULL, 0);
	sim_run_for(sim, SETTLE_US_MAX, are_steps_done);
}

static void run_phases(struct sim *sim)
{
	if (!sim_run_for(sim, SETTLE_US_MAX, sim_are_all_joined)) {
		sim_history_violate(&sim->history, 5, "the cluster does not form");
		return;
	}
	sim_tell(sim, "%u nodes of %u workers, %u partitions, %u clients, %u keys", sim->node_count,
		 sim->worker_count, sim->partition_count, sim->client_count,
		 sim->history.key_count);
	trouble(sim);
	heal(sim);
	if (!sim_run_for(sim, SETTLE_US_MAX, sim_is_settled)) {
		sim_tell_unsettled(sim);
		return;
	}
	sim_tell(sim, "all is settled");
	sim_check_records(sim);
	sim_verify(sim);
	if (sim->options.script)
		sim->options.script->end(sim->options.script->context, sim);
}

static void seed_generators(struct sim *sim)
{
	prng_init(&sim->prng, sim->options.seed);
	sim->chance = &sim->prng;
	for (uint32_t i = 0; i < SIM_FAULT_COUNT; i++) {
		struct prng mixed = { sim->options.seed + i };

		prng_init(&sim->fault_prngs[i], prng_next(&mixed) ^ (uint64_t)i << 56);
	}
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	FILE *silence = fopen("/dev/null", "w");

	if (!sim || !silence)
		abort();
	memset(result, 0, sizeof(*result));
	sim->options = *options;
	sim->result = result;
	if (options->story)
		sim->log = (struct log){ .stream = options->story, .level = LOG_LEVEL_INFO };
	else
		sim->log = (struct log){ .stream = silence, .level = LOG_LEVEL_ERROR };
	seed_generators(sim);
	choose(sim);
	begin(sim);
	run_phases(sim);
	collect(sim);
	for (uint32_t i = 0; i < sim->node_count; i++)
		sim_stop_node(sim, i);
	event_heap_fini(&sim->heap);
	sim_forget_arrivals(sim);
	sim_history_fini(&sim->history);
	fclose(silence);
	free(sim);
}
