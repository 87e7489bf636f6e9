/* SPDX-License-Identifier: BSD-3-Clause */
/* Events in order of time; what they do to nodes and clients; faults; and the checks. */
#include "tests/simulation/sim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/migration_jobs.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"
#include "tests/simulation/event_heap.h"
#include "tests/simulation/sim_node.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define BUSY_TURN_US 300u
#define IDLE_TURN_US 10000u
#define ANSWER_MS_MAX 1000u /* of a question between control planes */
#define RECONNECT_US_MAX 400000u
#define STEP_US 150000u /* mean time between two steps of the fault phase */
#define SETTLE_US_MAX (UINT64_C(240) * 1000000)
#define VERIFY_US_MAX (UINT64_C(20) * 1000000)
#define PARKED_US_MAX (UINT64_C(3) * 1000000)
#define FOUNDED_US 50000u
/* Frames that wait longer in a node that stands still are lost: its rings are small. What waits is executed within
 * SIM_SETTLE_MS, so that clients know when a write whose outcome is UNKNOWN can surprise them no more.
 */
#define RING_US_MAX 1000000u

enum sim_event_kind {
	EVENT_TURN,
	EVENT_GOSSIP,
	EVENT_ASK,
	EVENT_ANSWER,
	EVENT_UNANSWERED,
	EVENT_SYNC,
	EVENT_RECONNECT,
	EVENT_FRAME,
	EVENT_CLIENT_FRAME,
	EVENT_CLIENT,
	EVENT_STEP,
	EVENT_RESTART,
	EVENT_MEND, /* a cut of limited time ends */
	EVENT_CALM, /* a burst of loss or delay ends */
};

/* What 'from' sends to 'to'. */
struct link {
	bool is_cut;
	uint64_t connection; /* number of the channel; what an older one carried is lost */
	bool is_broken;
	uint64_t free_us; /* channels keep the order */
};

struct server {
	struct sim_node *node; /* NULL while it is down */
	uint64_t life;
	uint64_t turn_us;   /* of the TURN event that counts */
	uint64_t paused_us; /* stands still until then */
	uint64_t parked_since_us[SIM_PARTITION_MAX];
};

struct sim {
	struct sim_options options;
	struct sim_result *result;
	struct prng prng;
	struct event_heap heap;
	struct sim_history history;
	struct log log;
	uint64_t now_us;
	uint32_t node_count;
	uint32_t worker_count;
	uint32_t partition_count;
	uint32_t client_count;
	uint32_t faults;
	uint32_t steps_left;
	uint32_t loss_percent;
	uint32_t duplicate_percent;
	uint32_t delay_us_max;
	bool is_healed;
	struct server servers[SIM_NODE_MAX];
	struct link links[SIM_NODE_MAX][SIM_NODE_MAX];
	struct sim_client clients[SIM_CLIENT_MAX];
	uint64_t client_due_us[SIM_CLIENT_MAX];

	/* Who first served a partition in an epoch: node and life (invariant 1). */
	uint32_t epochs[SIM_PARTITION_MAX];
	uint64_t owners[SIM_PARTITION_MAX];

	/* The question being taken. */
	uint32_t asker;
	uint64_t asked;
	bool is_answered;
};

static const char *const fault_names[] = { "loss",    "duplicate", "delay", "cut",
					   "isolate", "crash",     "pause", "break",
					   "cancel",  "memory",    "ring",  NULL };

const char *sim_fault_name(uint32_t bit)
{
	return bit < sizeof(fault_names) / sizeof(fault_names[0]) ? fault_names[bit] : NULL;
}

/* ---- telling ---- */

static void tell(const struct sim *sim, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void tell(const struct sim *sim, const char *format, ...)
{
	va_list arguments;

	if (!sim->options.story)
		return;
	fprintf(sim->options.story, "%10.6f  ", (double)sim->now_us / 1e6);
	va_start(arguments, format);
	vfprintf(sim->options.story, format, arguments);
	va_end(arguments);
	fputc('\n', sim->options.story);
}

static void trace(struct sim *sim, const struct sim_event *event)
{
	uint64_t words[4] = { sim->result->trace, event->at_us,
			      (uint64_t)event->kind << 48 | (uint64_t)event->node << 32 |
				      event->from,
			      event->size ? XXH3_64bits(event->bytes, event->size) : 0 };

	sim->result->trace = XXH3_64bits(words, sizeof(words));
}

/* ---- chance ---- */

static uint32_t below(struct sim *sim, uint32_t bound)
{
	return prng_below(&sim->prng, bound);
}

static bool is_chosen(struct sim *sim, uint32_t percent)
{
	return percent > 0 && below(sim, 100) < percent;
}

static bool has(const struct sim *sim, enum sim_fault fault)
{
	return !sim->is_healed && (sim->faults & fault);
}

/* ---- events ---- */

static void push(struct sim *sim, struct sim_event event, uint64_t delay_us, const void *bytes,
		 size_t size)
{
	event.at_us = sim->now_us + delay_us;
	event_heap_push(&sim->heap, event, bytes, size);
}

static struct server *server_of(struct sim *sim, uint32_t index)
{
	return &sim->servers[index];
}

/* Has the node turn in so long, unless it does so earlier. */
static void turn_in(struct sim *sim, uint32_t index, uint64_t delay_us)
{
	struct server *server = server_of(sim, index);

	if (server->turn_us > sim->now_us && server->turn_us <= sim->now_us + delay_us)
		return;
	server->turn_us = sim->now_us + delay_us;
	push(sim, (struct sim_event){ .kind = EVENT_TURN, .node = index, .life = server->life },
	     delay_us, NULL, 0);
}

static void plan_client(struct sim *sim, uint32_t index)
{
	uint64_t due_us = sim->clients[index].due_us;

	if (due_us == UINT64_MAX || due_us == sim->client_due_us[index])
		return;
	sim->client_due_us[index] = due_us;
	push(sim, (struct sim_event){ .kind = EVENT_CLIENT, .node = index },
	     due_us > sim->now_us ? due_us - sim->now_us : 0, NULL, 0);
}

static uint64_t delay(struct sim *sim)
{
	return 20 + below(sim, sim->delay_us_max);
}

/* Datagrams: lost, doubled, overtaken. */
static void throw_datagram(struct sim *sim, struct sim_event event, const uint8_t *bytes,
			   size_t size)
{
	uint32_t copies = 1;

	if (is_chosen(sim, sim->loss_percent))
		return;
	copies += is_chosen(sim, sim->duplicate_percent);
	while (copies-- > 0)
		push(sim, event, delay(sim), bytes, size);
}

/* ---- what nodes send ---- */

static struct link *link_of(struct sim *sim, uint32_t from, uint32_t to)
{
	return &sim->links[from][to];
}

static void send_gossip(void *context, uint32_t from, uint32_t to, const uint8_t *bytes,
			size_t size)
{
	throw_datagram(context,
		       (struct sim_event){ .kind = EVENT_GOSSIP, .node = to, .from = from }, bytes,
		       size);
}

static void send_ask(void *context, uint32_t from, uint32_t to, enum sim_purpose purpose,
		     uint32_t round, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;

	push(sim,
	     (struct sim_event){ .kind = EVENT_ASK,
				 .node = to,
				 .from = from,
				 .partition = purpose,
				 .number = round,
				 .life = server_of(sim, from)->life },
	     delay(sim), bytes, size);
}

static void send_answer(void *context, uint32_t from, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;

	sim->is_answered = true;
	push(sim,
	     (struct sim_event){ .kind = EVENT_ANSWER,
				 .node = sim->asker,
				 .from = from,
				 .partition = (uint32_t)(sim->asked & 3),
				 .number = sim->asked >> 2,
				 .life = server_of(sim, sim->asker)->life },
	     delay(sim), bytes, size);
}

static void reconnect_later(struct sim *sim, uint32_t from, uint32_t to)
{
	push(sim,
	     (struct sim_event){ .kind = EVENT_RECONNECT,
				 .node = to,
				 .from = from,
				 .life = server_of(sim, from)->life },
	     50000 + below(sim, RECONNECT_US_MAX), NULL, 0);
}

static void send_sync(void *context, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;
	struct link *link = link_of(sim, from, to);
	uint64_t arrives_us = sim->now_us + delay(sim);

	if (link->is_broken)
		return;
	if (link->is_cut) {
		link->is_broken = true;
		reconnect_later(sim, from, to);
		return;
	}
	if (arrives_us <= link->free_us)
		arrives_us = link->free_us + 1;
	link->free_us = arrives_us;
	push(sim,
	     (struct sim_event){ .kind = EVENT_SYNC,
				 .node = to,
				 .from = from,
				 .number = link->connection,
				 .life = server_of(sim, to)->life },
	     arrives_us - sim->now_us, bytes, size);
}

static bool is_arp(const uint8_t *frame)
{
	return wire_get_u16(frame + PACKET_AT_ETHERTYPE) == PACKET_ETHERTYPE_ARP;
}

/* From a node, or from a client (from = SIM_NODE_MAX + its number). */
static void send_frame(void *context, uint32_t from, const uint8_t *frame, size_t size)
{
	struct sim *sim = context;
	uint32_t to = wire_get_u32(frame + (is_arp(frame) ? PACKET_AT_ARP_TARGET_IPV4
							  : PACKET_AT_IPV4_DESTINATION)) -
		      UNIT_NODE_IPV4;
	uint32_t client = is_arp(frame) ? UINT32_MAX : sim_client_of_frame(frame);

	if (to < sim->node_count)
		throw_datagram(sim,
			       (struct sim_event){ .kind = EVENT_FRAME, .node = to, .from = from },
			       frame, size);
	else if (client < sim->client_count)
		throw_datagram(sim,
			       (struct sim_event){
				       .kind = EVENT_CLIENT_FRAME, .node = client, .from = from },
			       frame, size);
}

static void client_sends(void *context, const uint8_t *frame, size_t size)
{
	send_frame(context, SIM_NODE_MAX, frame, size);
}

/* ---- invariant 1 ---- */

static void check_owner(struct sim *sim, uint32_t node, uint32_t partition, uint32_t epoch)
{
	uint64_t owner = (uint64_t)node << 32 | server_of(sim, node)->life;

	if (epoch < sim->epochs[partition])
		return; /* it has not heard yet; what it answers is seen by the clients */
	if (epoch == sim->epochs[partition] && owner != sim->owners[partition])
		sim_history_violate(
			&sim->history, 1,
			"partition %u is served by node %u in epoch %u, as by node %" PRIu64,
			partition, node, epoch, sim->owners[partition] >> 32);
	if (epoch > sim->epochs[partition])
		tell(sim, "node %u serves partition %u in epoch %u", node, partition, epoch);
	sim->epochs[partition] = epoch;
	sim->owners[partition] = owner;
}

static void routed(void *context, uint32_t node, const struct route_table *table)
{
	struct sim *sim = context;

	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (route_is_own(table, p))
			check_owner(sim, node, p, table->epochs[p]);
	}
}

/* ---- nodes ---- */

static void start_node(struct sim *sim, uint32_t index)
{
	struct server *server = server_of(sim, index);
	struct sim_node_options options = {
		.index = index,
		.node_count = sim->node_count,
		.worker_count = sim->worker_count,
		.partition_count = sim->partition_count,
		.memory_bytes = has(sim, SIM_FAULT_MEMORY) ? 4u << 20 : 16u << 20,
		.ring_size = UINT64_C(65536),
		.generation = (sim->now_us / 1000 + 1) << 8 | (server->life & 255),
		.seed = prng_next(&sim->prng),
		.now_us = sim->now_us,
		.log = &sim->log,
		.host = { sim, send_gossip, send_ask, send_answer, send_sync, send_frame, routed },
	};

	migration_options_default(&options.migration);
	if (has(sim, SIM_FAULT_RING))
		options.migration.bytes_per_s = 20000;
	options.migration.batch_size = SYNC_BATCH_FRAME_SIZE_MIN;
	server->life++;
	server->turn_us = 0;
	server->paused_us = 0;
	memset(server->parked_since_us, 0, sizeof(server->parked_since_us));
	server->node = sim_node_create(&options);
	tell(sim, "node %u starts, life %" PRIu64, index, server->life);
	turn_in(sim, index, 1);
}

/* Whether the node's import has all that its source had acknowledged when it fenced the writes. */
static bool is_ready(const struct sim_node *node, uint32_t partition)
{
	const struct migration_target *target =
		migration_jobs_target(migrator_jobs(node->migrator), partition);

	return target && migration_target_state(target) == TARGET_READY &&
	       sync_fence_is_up(target->final.fence);
}

static bool is_copied(const struct sim *sim, uint32_t partition)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		if (node &&
		    (partition_set_has(&node->held, partition) || is_ready(node, partition)))
			return true;
	}
	return false;
}

static void crash_node(struct sim *sim, uint32_t index)
{
	struct server *server = server_of(sim, index);
	bool was_serving[SIM_PARTITION_MAX], was_fenced[SIM_PARTITION_MAX];

	tell(sim, "node %u dies", index);
	sim->result->counts.crashes++;
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		was_serving[p] = sim_node_serves(server->node, p);
		was_fenced[p] = sim_node_is_fenced(server->node, p);
	}
	sim_node_destroy(server->node);
	server->node = NULL;
	for (uint32_t i = 0; i < sim->node_count; i++) {
		link_of(sim, index, i)->connection++;
		link_of(sim, i, index)->connection++;
		if (i == index)
			continue;
		link_of(sim, i, index)->is_broken = true;
		reconnect_later(sim, i, index);
	}
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if ((was_serving[p] && !was_fenced[p]) || !is_copied(sim, p))
			sim_history_forget(&sim->history, p);
	}
}

static void restart_node(struct sim *sim, uint32_t index)
{
	if (server_of(sim, index)->node)
		return;
	start_node(sim, index);
	sim_node_join(server_of(sim, index)->node);
}

/* Requests that wait for the end of a move (invariant 4). */
static void check_parking(struct sim *sim, uint32_t index)
{
	struct server *server = server_of(sim, index);

	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (dataplane_parked(&server->node->dataplane.dataplane) == 0 ||
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

static void turn(struct sim *sim, const struct sim_event *event)
{
	struct server *server = server_of(sim, event->node);
	struct sim_node *node = server->node;
	uint64_t wait_us = IDLE_TURN_US;

	if (event->at_us != server->turn_us)
		return;
	sim_node_turn(node, sim->now_us);
	check_parking(sim, event->node);
	if (migrator_is_idle(node->migrator) && dataplane_parked(&node->dataplane.dataplane) == 0) {
		if (sim_node_due_us(node) < sim->now_us + wait_us)
			wait_us = sim_node_due_us(node) > sim->now_us
					  ? sim_node_due_us(node) - sim->now_us
					  : 1;
	} else {
		wait_us = BUSY_TURN_US;
	}
	turn_in(sim, event->node, wait_us);
}

/* ---- steps of the fault phase ---- */

static uint32_t any_node(struct sim *sim)
{
	return below(sim, sim->node_count);
}

static uint32_t down_count(const struct sim *sim)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim->node_count; i++)
		count += !sim->servers[i].node;
	return count;
}

static void cut(struct sim *sim, uint32_t from, uint32_t to)
{
	link_of(sim, from, to)->is_cut = true;
}

static void mend_later(struct sim *sim, uint64_t most_us)
{
	push(sim, (struct sim_event){ .kind = EVENT_MEND }, 50000 + below(sim, (uint32_t)most_us),
	     NULL, 0);
}

static void mend(struct sim *sim)
{
	tell(sim, "all cuts are mended");
	for (uint32_t a = 0; a < sim->node_count; a++) {
		for (uint32_t b = 0; b < sim->node_count; b++)
			link_of(sim, a, b)->is_cut = false;
	}
}

static void fault_cut(struct sim *sim)
{
	uint32_t a = any_node(sim), b = any_node(sim);
	bool is_both = below(sim, 2);

	if (a == b)
		return;
	tell(sim, "node %u does not hear node %u%s", b, a,
	     is_both ? ", nor the other way round" : "");
	cut(sim, a, b);
	if (is_both)
		cut(sim, b, a);
	mend_later(sim, 9000000);
}

static void fault_isolate(struct sim *sim)
{
	uint32_t node = any_node(sim);

	tell(sim, "node %u is cut from all others", node);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (i == node)
			continue;
		cut(sim, node, i);
		cut(sim, i, node);
	}
	mend_later(sim, 20000000);
}

static void fault_crash(struct sim *sim)
{
	uint32_t node = any_node(sim);

	if (!sim->servers[node].node || 2 * (down_count(sim) + 1) >= sim->node_count)
		return;
	crash_node(sim, node);
	push(sim, (struct sim_event){ .kind = EVENT_RESTART, .node = node },
	     100000 + below(sim, 20000000), NULL, 0);
}

static void fault_pause(struct sim *sim)
{
	uint32_t node = any_node(sim);
	uint64_t pause_us = 1000u << below(sim, 14);

	tell(sim, "node %u stands still for %.3f s", node, (double)pause_us / 1e6);
	sim->servers[node].paused_us = sim->now_us + pause_us;
}

static void fault_break(struct sim *sim)
{
	uint32_t a = any_node(sim), b = any_node(sim);

	if (a == b)
		return;
	tell(sim, "the channels between nodes %u and %u break", a, b);
	for (uint32_t i = 0; i < 2; i++) {
		struct link *link = i ? link_of(sim, a, b) : link_of(sim, b, a);

		link->connection++;
		link->is_broken = true;
		reconnect_later(sim, i ? a : b, i ? b : a);
	}
}

static void fault_cancel(struct sim *sim)
{
	struct sim_node *node = sim->servers[any_node(sim)].node;
	char error[MIGRATOR_ERROR_SIZE];
	uint32_t p = below(sim, sim->partition_count);

	if (node && migrator_cancel(node->migrator, p, error) == 0)
		tell(sim, "the operator cancels the migration of partition %u at node %u", p,
		     node->options.index);
}

static void fault_weather(struct sim *sim)
{
	if (has(sim, SIM_FAULT_LOSS))
		sim->loss_percent = below(sim, 30);
	if (has(sim, SIM_FAULT_DUPLICATE))
		sim->duplicate_percent = below(sim, 30);
	if (has(sim, SIM_FAULT_DELAY))
		sim->delay_us_max = 200u << below(sim, 9);
	push(sim, (struct sim_event){ .kind = EVENT_CALM }, 100000 + below(sim, 3000000), NULL, 0);
}

static void calm(struct sim *sim)
{
	sim->loss_percent = 0;
	sim->duplicate_percent = 0;
	sim->delay_us_max = 200;
}

static void any_fault(struct sim *sim)
{
	static const struct {
		enum sim_fault fault;
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
	uint32_t i = below(sim, sizeof(acts) / sizeof(acts[0]));

	if (!has(sim, acts[i].fault))
		return;
	sim->result->counts.faults++;
	acts[i].act(sim);
}

/* Somebody wants a partition. */
static void move(struct sim *sim)
{
	struct sim_node *node = sim->servers[any_node(sim)].node;
	uint32_t p = below(sim, sim->partition_count);
	char error[MIGRATOR_ERROR_SIZE];

	if (node && migrator_import(node->migrator, p, 0, error) == 0) {
		tell(sim, "node %u imports partition %u", node->options.index, p);
		turn_in(sim, node->options.index, 1);
	}
}

static void step(struct sim *sim)
{
	if (sim->steps_left == 0)
		return;
	sim->steps_left--;
	if (below(sim, 2) == 0)
		move(sim);
	else
		any_fault(sim);
	push(sim, (struct sim_event){ .kind = EVENT_STEP }, 1 + below(sim, 2 * STEP_US), NULL, 0);
}

/* ---- what happens ---- */

static void ask(struct sim *sim, const struct sim_event *event)
{
	struct server *server = server_of(sim, event->node);
	const struct sim_event failed = { .kind = EVENT_UNANSWERED,
					  .node = event->from,
					  .partition = event->partition,
					  .number = event->number,
					  .life = event->life };

	sim->is_answered = false;
	if (server->node && gossip_is_joined(server->node->gossip) &&
	    !link_of(sim, event->from, event->node)->is_cut) {
		sim->asker = event->from;
		sim->asked = event->number << 2 | event->partition;
		sim_node_take_ask(server->node, sim->now_us, event->from, event->bytes,
				  event->size);
		turn_in(sim, event->node, 1);
	}
	if (!sim->is_answered)
		push(sim, failed, ANSWER_MS_MAX * 1000, NULL, 0);
}

static void reconnect(struct sim *sim, const struct sim_event *event)
{
	struct link *there = link_of(sim, event->from, event->node);
	struct link *back = link_of(sim, event->node, event->from);

	if (!there->is_broken)
		return;
	if (there->is_cut || back->is_cut || !server_of(sim, event->node)->node ||
	    !server_of(sim, event->from)->node) {
		reconnect_later(sim, event->from, event->node);
		return;
	}
	there->is_broken = false;
	back->is_broken = false;
	sim_node_connected(server_of(sim, event->from)->node, sim->now_us, event->node);
	sim_node_connected(server_of(sim, event->node)->node, sim->now_us, event->from);
	turn_in(sim, event->from, 1);
	turn_in(sim, event->node, 1);
}

static void take_answer(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = server_of(sim, event->node)->node;

	if (event->kind == EVENT_UNANSWERED || link_of(sim, event->from, event->node)->is_cut)
		sim_node_unanswered(node, sim->now_us, (enum sim_purpose)event->partition,
				    (uint32_t)event->number);
	else
		sim_node_answered(node, sim->now_us, event->from,
				  (enum sim_purpose)event->partition, (uint32_t)event->number,
				  event->bytes, event->size);
}

static void take_sync(struct sim *sim, const struct sim_event *event)
{
	struct link *link = link_of(sim, event->from, event->node);

	if (event->number != link->connection)
		return;
	if (link->is_cut) {
		link->connection++;
		link->is_broken = true;
		reconnect_later(sim, event->from, event->node);
		return;
	}
	sim_node_take_sync(server_of(sim, event->node)->node, sim->now_us, event->from,
			   event->bytes, event->size);
}

/* Cut nodes still hear clients. */
static bool is_cut(struct sim *sim, const struct sim_event *event)
{
	return event->from < SIM_NODE_MAX && link_of(sim, event->from, event->node)->is_cut;
}

static void happen_at_node(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = server_of(sim, event->node)->node;

	switch (event->kind) {
	case EVENT_TURN:
		turn(sim, event);
		return;
	case EVENT_GOSSIP:
		if (!is_cut(sim, event))
			sim_node_take_gossip(node, sim->now_us, event->from, event->bytes,
					     event->size);
		break;
	case EVENT_ANSWER:
	case EVENT_UNANSWERED:
		take_answer(sim, event);
		break;
	case EVENT_SYNC:
		take_sync(sim, event);
		break;
	case EVENT_FRAME:
		if (!is_cut(sim, event))
			sim_node_take_frame(node, sim->now_us, event->bytes, event->size);
		break;
	}
	turn_in(sim, event->node,
		sim_node_due_us(node) > sim->now_us + 1 ? sim_node_due_us(node) - sim->now_us : 1);
}

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
		sim_client_receive(client, sim->now_us, event->bytes, event->size);
	else if (client->due_us <= sim->now_us)
		sim_client_run(client, sim->now_us);
	plan_client(sim, event->node);
}

/* Puts off what a node that stands still should do. */
static bool is_put_off(struct sim *sim, struct sim_event *event)
{
	const struct server *server = server_of(sim, event->node);

	if (server->paused_us <= sim->now_us)
		return false;
	if (event->kind == EVENT_FRAME && server->paused_us - sim->now_us > RING_US_MAX)
		return true;
	if (event->kind == EVENT_TURN) {
		server_of(sim, event->node)->turn_us = server->paused_us;
		event->at_us = server->paused_us;
	}
	push(sim, *event, server->paused_us - sim->now_us, event->bytes, event->size);
	return true;
}

static void happen(struct sim *sim, struct sim_event *event)
{
	if (is_of_node(event)) {
		const struct server *server = server_of(sim, event->node);

		if (server->node && (event->life == 0 || event->life == server->life) &&
		    !is_put_off(sim, event))
			happen_at_node(sim, event);
		return;
	}
	switch (event->kind) {
	case EVENT_ASK:
		if (!is_put_off(sim, event))
			ask(sim, event);
		return;
	case EVENT_RECONNECT:
		reconnect(sim, event);
		return;
	case EVENT_CLIENT:
	case EVENT_CLIENT_FRAME:
		happen_to_client(sim, event);
		return;
	case EVENT_STEP:
		step(sim);
		return;
	case EVENT_RESTART:
		restart_node(sim, event->node);
		return;
	case EVENT_MEND:
		mend(sim);
		return;
	case EVENT_CALM:
		calm(sim);
		return;
	}
}

/* Runs until 'is_done', for so long at most; whether it was done. Ends at the first violation. */
static bool run(struct sim *sim, uint64_t duration_us, bool (*is_done)(struct sim *sim))
{
	uint64_t end_us = sim->now_us + duration_us;
	uint64_t look_us = 0;

	while (sim->heap.count > 0 && sim->now_us < end_us &&
	       sim->history.violation.invariant == 0) {
		struct sim_event event = event_heap_pop(&sim->heap);

		sim->now_us = event.at_us;
		sim->history.now_us = event.at_us;
		sim->result->counts.events++;
		trace(sim, &event);
		happen(sim, &event);
		free(event.bytes);
		if (sim->now_us < look_us)
			continue;
		look_us = sim->now_us + 20000;
		if (is_done && is_done(sim))
			return true;
	}
	return false;
}

/* ---- phases ---- */

static bool are_steps_done(struct sim *sim)
{
	return sim->steps_left == 0;
}

static bool are_all_joined(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (!sim_node_is_settled(sim->servers[i].node))
			return false;
	}
	return true;
}

/* Each partition is served by the one that all maps name, and nobody else has anything of it (invariant 5). */
static bool is_partition_settled(struct sim *sim, uint32_t partition)
{
	const struct partition_map *map = gossip_map(sim->servers[0].node->gossip);

	for (uint32_t i = 0; i < sim->node_count; i++) {
		struct sim_node *node = sim->servers[i].node;
		struct partition_stats stats;
		bool is_owner = partition_map_owner(map, partition) == sim_node_id(i);

		partition_stats(unit_dataplane_partition(&node->dataplane, partition), &stats);
		if (sim_node_serves(node, partition) != is_owner ||
		    sim_node_is_fenced(node, partition) || stats.tombstones > 0 ||
		    (!is_owner && stats.items > 0))
			return false;
	}
	return true;
}

static bool is_settled(struct sim *sim)
{
	if (!are_all_joined(sim))
		return false;
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;
		const struct node *self = gossip_self(node->gossip);

		if (gossip_map(node->gossip)->stamp !=
			    gossip_map(sim->servers[0].node->gossip)->stamp ||
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

static void heal(struct sim *sim)
{
	tell(sim, "everything heals");
	sim->is_healed = true;
	calm(sim);
	mend(sim);
	for (uint32_t i = 0; i < sim->node_count; i++) {
		sim->servers[i].paused_us = 0;
		restart_node(sim, i);
	}
}

/* Says what did not settle. */
static void tell_unsettled(struct sim *sim)
{
	struct migration_view view[SIM_PARTITION_MAX];

	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;
		uint32_t count = migrator_list(node->migrator, view, SIM_PARTITION_MAX);

		for (uint32_t j = 0; j < count; j++)
			sim_history_violate(
				&sim->history, 5,
				"node %u: the %s of partition %u is %s (reason %d) for ever", i,
				view[j].is_source ? "source" : "target", view[j].partition,
				view[j].state, (int)view[j].reason);
		if (!sim_node_is_settled(node))
			sim_history_violate(&sim->history, 5, "node %u does not settle", i);
	}
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		if (!is_partition_settled(sim, p))
			sim_history_violate(&sim->history, 5, "partition %u does not settle", p);
	}
	sim_history_violate(&sim->history, 5, "it does not settle");
}

/* Every key is read once more. */
static void verify(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->client_count; i++)
		sim->clients[i].is_idle = true;
	if (!run(sim, VERIFY_US_MAX, are_clients_idle))
		sim_history_violate(&sim->history, 5, "clients do not end");
	run(sim, SIM_SETTLE_MS * 1000, NULL);
	for (uint32_t key = 0; key < sim->history.key_count; key += sim->client_count) {
		uint64_t reads = sim->history.reads;
		uint32_t asked = 0;

		for (; asked < sim->client_count && key + asked < sim->history.key_count; asked++) {
			sim_client_verify(&sim->clients[asked], sim->now_us, key + asked);
			plan_client(sim, asked);
		}
		if (!run(sim, VERIFY_US_MAX, are_clients_idle) ||
		    sim->history.reads != reads + asked)
			sim_history_violate(&sim->history, 5, "keys %u.. cannot be read", key);
	}
}

/* ---- life ---- */

static void create_clients(struct sim *sim)
{
	uint32_t pause_us = 500u << below(sim, 6);

	for (uint32_t i = 0; i < sim->client_count; i++) {
		const struct sim_client_options options = {
			.number = i,
			.client_count = sim->client_count,
			.node_count = sim->node_count,
			.worker_count = sim->worker_count,
			.partition_count = sim->partition_count,
			.pause_us = pause_us,
			.seed = prng_next(&sim->prng),
			.history = &sim->history,
			.send = client_sends,
			.context = sim,
		};

		sim_client_init(&sim->clients[i], &options);
		sim->clients[i].due_us = sim->now_us + FOUNDED_US;
		plan_client(sim, i);
	}
}

static void choose(struct sim *sim)
{
	uint32_t wanted = sim->options.node_count;

	sim->node_count = wanted ? wanted : 2 + below(sim, SIM_NODE_MAX - 1);
	sim->worker_count = 1 + below(sim, SIM_WORKER_MAX);
	sim->partition_count = 4u << below(sim, 3);
	sim->client_count = 2 + below(sim, SIM_CLIENT_MAX - 1);
	sim->faults = sim->options.faults;
	if (!sim->options.is_every_fault)
		sim->faults &= (uint32_t)prng_next(&sim->prng);
	sim->steps_left = sim->options.steps ? sim->options.steps : 20 + below(sim, 80);
	sim_history_init(&sim->history, 12 + below(sim, SIM_KEY_MAX - 12), sim->partition_count);
	sim->history.story = sim->options.story;
}

static void begin(struct sim *sim)
{
	sim->now_us = 1000000;
	calm(sim);
	for (uint32_t i = 0; i < sim->node_count; i++)
		start_node(sim, i);
	sim_node_found(sim->servers[0].node);
	for (uint32_t i = 1; i < sim->node_count; i++)
		sim_node_join(sim->servers[i].node);
	create_clients(sim);
}

static void collect(struct sim *sim)
{
	struct sim_counts *counts = &sim->result->counts;

	for (uint32_t i = 0; i < sim->client_count; i++) {
		const struct sim_client_counts *client = &sim->clients[i].counts;

		counts->operations += client->done;
		counts->unknown += client->unknown;
		counts->failed += client->failed;
		if (client->longest_us > counts->longest_us)
			counts->longest_us = client->longest_us;
	}
	for (uint32_t p = 0; p < sim->partition_count; p++)
		counts->moves += sim->epochs[p] > 0 ? sim->epochs[p] - 1 : 0;
	counts->duration_us = sim->now_us;
	sim->result->violation = sim->history.violation;
}

static void run_phases(struct sim *sim)
{
	if (!run(sim, SETTLE_US_MAX, are_all_joined)) {
		sim_history_violate(&sim->history, 5, "the cluster does not form");
		return;
	}
	tell(sim, "%u nodes of %u workers, %u partitions, %u clients, %u keys", sim->node_count,
	     sim->worker_count, sim->partition_count, sim->client_count, sim->history.key_count);
	push(sim, (struct sim_event){ .kind = EVENT_STEP }, 1, NULL, 0);
	run(sim, SETTLE_US_MAX, are_steps_done);
	heal(sim);
	if (!run(sim, SETTLE_US_MAX, is_settled)) {
		tell_unsettled(sim);
		return;
	}
	tell(sim, "all is settled");
	verify(sim);
}

void sim_run(const struct sim_options *options, struct sim_result *result)
{
	struct sim *sim = calloc(1, sizeof(*sim));

	if (!sim)
		abort();
	memset(result, 0, sizeof(*result));
	sim->options = *options;
	sim->result = result;
	sim->log = (struct log){ .stream = options->story ? options->story : stderr,
				 .level = options->story ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR };
	prng_init(&sim->prng, options->seed);
	choose(sim);
	begin(sim);
	run_phases(sim);
	collect(sim);
	for (uint32_t i = 0; i < sim->node_count; i++)
		sim_node_destroy(sim->servers[i].node);
	event_heap_fini(&sim->heap);
	sim_history_fini(&sim->history);
	free(sim);
}
