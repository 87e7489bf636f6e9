/* SPDX-License-Identifier: BSD-3-Clause */
/* What is between nodes and clients: datagrams that get lost, questions with answers, channels that keep the order, cuts. */
#include "tests/simulation/sim_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

#define ANSWER_MS_MAX 1000u /* of a question between control planes */
#define RECONNECT_US_MAX 400000u
#define DATAGRAM_SIZE 2048u  /* and less */
#define QUEUE_US_MAX 300000u /* of datagrams that wait for a clogged link */
#define DELAY_US_MAX 200u    /* in fair weather */

static uint64_t delay(struct sim *sim)
{
	return 20 + sim_below(sim, DELAY_US_MAX << sim_level(sim, SIM_FAULT_NUMBER_DELAY));
}

/* What a clogged link needs for so many bytes more, in microseconds. */
static uint64_t queue(struct sim *sim, uint32_t from, uint32_t to, size_t size)
{
	struct link *link = sim_link_of(sim, from, to);

	if (sim->is_healed || link->clogged_until_us <= sim->now_us)
		return 0;
	if (link->busy_us < sim->now_us)
		link->busy_us = sim->now_us;
	link->busy_us += (uint64_t)size * 1000000 / link->bytes_per_s;
	return link->busy_us - sim->now_us;
}

/* Between nodes; a queue that is full drops what comes. */
static bool is_queued(struct sim *sim, const struct sim_event *event, size_t size,
		      uint64_t *queued_us)
{
	const struct link *link;

	*queued_us = 0;
	if (event->kind == EVENT_CLIENT_FRAME || event->from >= SIM_NODE_MAX)
		return true;
	link = sim_link_of(sim, event->from, event->node);
	if (!sim->is_healed && link->clogged_until_us > sim->now_us &&
	    link->busy_us > sim->now_us + QUEUE_US_MAX)
		return false;
	*queued_us = queue(sim, event->from, event->node, size);
	return true;
}

static void throw_copy(struct sim *sim, struct sim_event event, const uint8_t *bytes, size_t size)
{
	uint8_t damaged[DATAGRAM_SIZE];
	uint64_t queued_us;

	if (!is_queued(sim, &event, size, &queued_us))
		return;
	memcpy(damaged, bytes, size);
	event.is_damaged = sim_damage(sim, event.kind, damaged, &size);
	sim_push(sim, event, queued_us + delay(sim), event.is_damaged ? damaged : bytes, size);
}

/* Datagrams: lost, doubled, damaged, overtaken. */
static void throw_datagram(struct sim *sim, struct sim_event event, const uint8_t *bytes,
			   size_t size)
{
	uint8_t later[DATAGRAM_SIZE];
	uint32_t copies = 1;

	if (sim_is_chosen(sim, sim_level(sim, SIM_FAULT_NUMBER_LOSS)))
		return;
	copies += sim_is_chosen(sim, sim_level(sim, SIM_FAULT_NUMBER_DUPLICATE));
	while (copies-- > 0)
		throw_copy(sim, event, bytes, size);
	if (event.kind == EVENT_GOSSIP || !sim_renew_frame(sim, event.from, bytes, size, later))
		return;
	event.is_damaged = true;
	sim_push(sim, event, delay(sim), later, size);
}

/* ---- the bus ---- */

struct bus_crypto *sim_create_bus(struct sim *sim)
{
	static const struct bus_keys keys = { .count = 1, .items = { { { 0x47 } } } };
	const uint64_t session[2] = { prng_next(&sim->prng), prng_next(&sim->prng) };
	struct bus_crypto *bus;

	static_assert(sizeof(session) == BUS_SESSION_SIZE, "a session");
	if (bus_crypto_create(&bus, "simulated", sim->is_sealed ? &keys : NULL,
			      (const uint8_t *)session) != 0)
		abort();
	return bus;
}

static uint32_t address_of(const struct sim *sim, uint32_t index)
{
	return sim_node_address(index, sim->homes[index]);
}

/* Whether anybody is there. */
static bool is_home(const struct sim *sim, uint32_t address)
{
	return address_of(sim, sim_node_index_at(address)) == address;
}

static void seal_gossip(struct sim *sim, struct sim_event event, const uint8_t *bytes, size_t size)
{
	uint8_t sealed[BUS_DATAGRAM_SIZE_MAX];

	size = bus_seal(sim_server_of(sim, event.from)->bus, bytes, size, sealed);
	throw_datagram(sim, event, sealed, size);
}

static void send_gossip(void *context, uint32_t from, uint32_t address, const uint8_t *bytes,
			size_t size)
{
	struct sim *sim = context;
	struct sim_event event = { .kind = EVENT_GOSSIP,
				   .node = sim_node_index_at(address),
				   .from = from };
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t unknown_size;

	if (!is_home(sim, address))
		return;
	memcpy(plain, bytes, size);
	size = sim_renew_gossip(sim, from, plain, size, &unknown_size);
	seal_gossip(sim, event, plain, size);
	if (unknown_size > 0) {
		event.is_unknown = true;
		seal_gossip(sim, event, plain, unknown_size);
	}
}

void sim_take_gossip(struct sim *sim, const struct sim_event *event)
{
	struct server *server = sim_server_of(sim, event->node);
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	const struct gossip_counters *after;
	struct gossip_counters before;
	enum bus_result result;
	bool wanted;
	size_t size;

	result = bus_open(server->bus, event->bytes, event->size, plain, &size);
	sim->result->counts.damaged += event->is_damaged;
	if (event->is_damaged ? result == BUS_OK : result != BUS_OK && result != BUS_REPLAYED)
		sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
				    "node %u opens a %s datagram of the bus: %s", event->node,
				    event->is_damaged ? "damaged" : "good",
				    bus_result_name(result));
	if (event->is_replayed && event->number == server->life && result == BUS_OK)
		sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
				    "node %u opens a datagram of the bus again", event->node);
	if (result != BUS_OK)
		return;
	sim_note_arrival(sim, event);
	before = *gossip_counters(server->node->gossip);
	sim_node_take_gossip(server->node, sim->now_us, address_of(sim, event->from), plain, size);
	after = gossip_counters(server->node->gossip);
	/* a node that is no member takes no packets */
	wanted = event->is_unknown && after->packets_in != before.packets_in;
	if (after->refused_malformed - before.refused_malformed != wanted)
		sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
				    "node %u takes a packet of %s kind for the contrary",
				    event->node, event->is_unknown ? "an unknown" : "a known");
}

static void send_ask(void *context, uint32_t from, uint32_t address, enum sim_purpose purpose,
		     uint32_t round, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;
	uint32_t to = sim_node_index_at(address);
	uint8_t renewed[SIM_EXCHANGE_SIZE_MAX];

	size = sim_renew_exchange(sim, from, false, bytes, size, renewed);
	sim_push(sim,
		 (struct sim_event){ .kind = EVENT_ASK,
				     .node = to,
				     .home = sim_node_home_at(address),
				     .from = from,
				     .partition = purpose,
				     .number = round,
				     .life = sim_server_of(sim, from)->life },
		 queue(sim, from, to, size) + delay(sim), renewed, size);
}

static void send_answer(void *context, uint32_t from, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;
	uint8_t renewed[SIM_EXCHANGE_SIZE_MAX];

	size = sim_renew_exchange(sim, from, true, bytes, size, renewed);
	sim->is_answered = true;
	sim_push(sim,
		 (struct sim_event){ .kind = EVENT_ANSWER,
				     .node = sim->asker,
				     .from = from,
				     .home = sim->homes[from],
				     .partition = (uint32_t)(sim->asked & 3),
				     .number = sim->asked >> 2,
				     .life = sim->asker_life },
		 queue(sim, from, sim->asker, size) + delay(sim), renewed, size);
}

void sim_reconnect_later(struct sim *sim, uint32_t from, uint32_t to)
{
	sim_push(sim,
		 (struct sim_event){ .kind = EVENT_RECONNECT,
				     .node = to,
				     .from = from,
				     .life = sim_server_of(sim, from)->life },
		 50000 + sim_below(sim, RECONNECT_US_MAX), NULL, 0);
}

static void send_sync(void *context, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size)
{
	struct sim *sim = context;
	struct link *link = sim_link_of(sim, from, to);
	uint64_t arrives_us = sim->now_us + delay(sim);
	struct sim_event event = { .kind = EVENT_SYNC,
				   .node = to,
				   .from = from,
				   .number = link->connection,
				   .life = sim_server_of(sim, to)->life };
	size_t renewed_size;
	uint8_t *damaged;

	if (link->is_broken)
		return;
	if (link->is_cut) {
		link->is_broken = true;
		sim_reconnect_later(sim, from, to);
		return;
	}
	arrives_us += queue(sim, from, to, size);
	if (arrives_us <= link->free_us)
		arrives_us = link->free_us + 1;
	link->free_us = arrives_us;
	damaged = malloc(size + SIM_RENEWED_SIZE);
	if (!damaged)
		abort();
	memcpy(damaged, bytes, size);
	renewed_size = sim_renew_sync(sim, from, damaged, size, &event.is_unknown);
	if (event.is_unknown) {
		sim_push(sim, event, arrives_us - sim->now_us, damaged, renewed_size);
		event.is_unknown = false;
		memcpy(damaged, bytes, size);
		renewed_size = size;
	}
	event.is_damaged = sim_damage(sim, EVENT_SYNC, damaged, &renewed_size);
	sim_push(sim, event, arrives_us - sim->now_us, damaged, renewed_size);
	free(damaged);
}

/* Ends the channel both ways, unless it has ended already. */
static void reset(void *context, uint32_t from, uint32_t to)
{
	struct sim *sim = context;

	for (uint32_t i = 0; i < 2; i++) {
		uint32_t a = i ? from : to, b = i ? to : from;
		struct link *link = sim_link_of(sim, a, b);

		link->connection++;
		if (!link->is_broken)
			sim_reconnect_later(sim, a, b);
		link->is_broken = true;
	}
}

static bool is_arp(const uint8_t *frame)
{
	return wire_get_u16(frame + PACKET_AT_ETHERTYPE) == PACKET_ETHERTYPE_ARP;
}

/* SIM_NODE_MAX: nobody is there. */
static uint32_t node_at(const struct sim *sim, uint32_t ipv4)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		if (UNIT_NODE_IPV4 + sim->places[i] == ipv4)
			return i;
	}
	return SIM_NODE_MAX;
}

/* From a node, or from a client (from = SIM_NODE_MAX + its number). */
static void send_frame(void *context, uint32_t from, const uint8_t *frame, size_t size)
{
	struct sim *sim = context;
	uint32_t to = node_at(sim, wire_get_u32(frame + (is_arp(frame)
								 ? PACKET_AT_ARP_TARGET_IPV4
								 : PACKET_AT_IPV4_DESTINATION)));
	uint32_t client = is_arp(frame) ? UINT32_MAX : sim_client_of_frame(frame);

	if (to < SIM_NODE_MAX)
		throw_datagram(sim,
			       (struct sim_event){ .kind = EVENT_FRAME, .node = to, .from = from },
			       frame, size);
	else if (client < sim->client_count)
		throw_datagram(sim,
			       (struct sim_event){
				       .kind = EVENT_CLIENT_FRAME, .node = client, .from = from },
			       frame, size);
}

struct sim_node_host sim_network_host(struct sim *sim)
{
	return (struct sim_node_host){
		.context = sim,
		.gossip = send_gossip,
		.ask = send_ask,
		.answer = send_answer,
		.sync = send_sync,
		.frame = send_frame,
		.reset = reset,
		.ended = sim_node_ended,
		.routed = sim_check_routes,
	};
}

void sim_client_sends(void *context, const uint8_t *frame, size_t size)
{
	send_frame(context, SIM_NODE_MAX, frame, size);
}

void sim_break(struct sim *sim, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct link *link = i ? sim_link_of(sim, a, b) : sim_link_of(sim, b, a);

		link->connection++;
		link->is_broken = true;
		sim_reconnect_later(sim, i ? a : b, i ? b : a);
	}
}

/* A state that comes over a channel is whole: all of it is taken. */
static void check_state(struct sim *sim, const struct sim_node *node, uint64_t malformed)
{
	if (gossip_counters(node->gossip)->refused_malformed != malformed)
		sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
				    "node %u refuses the state of another", node->options.index);
}

static void take_ask(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_server_of(sim, event->node)->node;
	uint64_t malformed = gossip_counters(node->gossip)->refused_malformed;

	sim->asker = event->from;
	sim->asker_life = event->life;
	sim->asked = event->number << 2 | event->partition;
	sim_node_take_ask(node, sim->now_us, event->bytes, event->size);
	check_state(sim, node, malformed);
	sim_turn_in(sim, event->node, 1);
}

void sim_ask(struct sim *sim, const struct sim_event *event)
{
	struct server *server = sim_server_of(sim, event->node);
	const struct sim_event failed = { .kind = EVENT_UNANSWERED,
					  .node = event->from,
					  .from = event->node,
					  .home = event->home,
					  .partition = event->partition,
					  .number = event->number,
					  .life = event->life };

	sim->is_answered = false;
	if (server->node && event->home == sim->homes[event->node] &&
	    !sim_link_of(sim, event->from, event->node)->is_cut)
		take_ask(sim, event);
	if (!sim->is_answered)
		sim_push(sim, failed, ANSWER_MS_MAX * 1000, NULL, 0);
}

static bool is_awake(struct sim *sim, uint32_t index)
{
	const struct server *server = sim_server_of(sim, index);

	return server->node && server->paused_us <= sim->now_us;
}

void sim_reconnect(struct sim *sim, const struct sim_event *event)
{
	struct link *there = sim_link_of(sim, event->from, event->node);
	struct link *back = sim_link_of(sim, event->node, event->from);

	if (!there->is_broken)
		return;
	if (there->is_cut || back->is_cut || !is_awake(sim, event->node) ||
	    !is_awake(sim, event->from)) {
		sim_reconnect_later(sim, event->from, event->node);
		return;
	}
	there->is_broken = false;
	back->is_broken = false;
	sim_node_connected(sim_server_of(sim, event->from)->node, sim->now_us, event->node);
	sim_node_connected(sim_server_of(sim, event->node)->node, sim->now_us, event->from);
	sim_turn_in(sim, event->from, 1);
	sim_turn_in(sim, event->node, 1);
}

void sim_take_answer(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = sim_server_of(sim, event->node)->node;
	uint32_t address = sim_node_address(event->from, event->home);
	uint64_t malformed = gossip_counters(node->gossip)->refused_malformed;

	if (event->kind == EVENT_UNANSWERED || sim_link_of(sim, event->from, event->node)->is_cut)
		sim_node_unanswered(node, sim->now_us, address, (enum sim_purpose)event->partition,
				    (uint32_t)event->number);
	else
		sim_node_answered(node, sim->now_us, address, (enum sim_purpose)event->partition,
				  (uint32_t)event->number, event->bytes, event->size);
	check_state(sim, node, malformed);
}

void sim_take_sync(struct sim *sim, const struct sim_event *event)
{
	struct link *link = sim_link_of(sim, event->from, event->node);

	if (event->number != link->connection)
		return;
	if (link->is_cut) {
		link->connection++;
		link->is_broken = true;
		sim_reconnect_later(sim, event->from, event->node);
		return;
	}
	sim_note_arrival(sim, event);
	if (event->is_damaged || event->is_unknown)
		sim_take_damaged_sync(sim, event);
	else
		sim_node_take_sync(sim_server_of(sim, event->node)->node, sim->now_us, event->from,
				   event->bytes, event->size);
}

bool sim_is_cut(struct sim *sim, const struct sim_event *event)
{
	return event->from < SIM_NODE_MAX && sim_link_of(sim, event->from, event->node)->is_cut;
}

void sim_cut(struct sim *sim, uint32_t from, uint32_t to)
{
	sim_link_of(sim, from, to)->is_cut = true;
}

void sim_mend_later(struct sim *sim, uint64_t most_us)
{
	sim_push(sim, (struct sim_event){ .kind = EVENT_MEND },
		 50000 + sim_below(sim, (uint32_t)most_us), NULL, 0);
}

void sim_mend(struct sim *sim)
{
	sim_tell(sim, "all cuts are mended");
	for (uint32_t a = 0; a < sim->node_count; a++) {
		for (uint32_t b = 0; b < sim->node_count; b++)
			sim_link_of(sim, a, b)->is_cut = false;
	}
}
