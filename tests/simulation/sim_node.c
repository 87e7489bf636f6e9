/* SPDX-License-Identifier: BSD-3-Clause */
/* What godwitd is around its machines, without libevent and sockets: cluster.c and migrator_daemon.c in small. */
#include "tests/simulation/sim_node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/partition_map.h"
#include "controlplane/route_publish.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

#define UNIX_MS UINT64_C(1700000000000) /* of a unit node's first moment */
#define TICK_US 100000u
#define SPREAD_RETRY_US 500000u
#define FENCE_MS 5000u
#define GOSSIP_STEPS_MAX 64u
#define FRAME_SIZE 2048u

static void require(bool what, const char *text)
{
	if (!what) {
		fprintf(stderr, "sim_node: %s\n", text);
		abort();
	}
}

/* ---- the world ---- */

static uint64_t now_ms(void *context)
{
	return ((const struct sim_node *)context)->now_us / 1000;
}

static uint64_t unix_ms(void *context)
{
	return UNIX_MS + now_ms(context);
}

static void random_bytes(void *context, void *bytes, size_t size)
{
	struct sim_node *node = context;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)(prng_next(&node->prng) >> 32);
}

static struct node_address address_of(uint32_t index)
{
	return node_address_ipv4(0x0a000001u + index, GOSSIP_PORT_DEFAULT);
}

/* UINT32_MAX: no node has it. */
static uint32_t index_of_address(const struct sim_node *node, const struct node_address *address)
{
	uint32_t index = node_address_to_ipv4(address) - 0x0a000001u;

	return index < node->options.node_count ? index : UINT32_MAX;
}

static void make_name(char name[NODE_NAME_SIZE], uint32_t index)
{
	snprintf(name, NODE_NAME_SIZE, "node-%u", index);
}

uint64_t sim_node_id(uint32_t index)
{
	char name[NODE_NAME_SIZE];

	make_name(name, index);
	return node_id_of_name(name);
}

static uint32_t index_of_id(const struct sim_node *node, uint64_t id)
{
	for (uint32_t i = 0; i < node->options.node_count; i++) {
		if (sim_node_id(i) == id)
			return i;
	}
	return UINT32_MAX;
}

static const struct membership *members_of(const struct sim_node *node)
{
	return gossip_membership(node->gossip);
}

static void set_clocks(struct sim_node *node, uint64_t now_us)
{
	node->now_us = now_us;
	unit_node_advance(&node->dataplane.node, now_us / 1000 - node->told_ms);
	node->told_ms = now_us / 1000;
}

/* ---- routes ---- */

static void publish(struct sim_node *node)
{
	const struct route_view view = { .map = gossip_map(node->gossip),
					 .membership = members_of(node),
					 .held = &node->held,
					 .is_serving = gossip_is_joined(node->gossip) &&
						       fence_is_open(&node->fence) };
	struct route_table *table = route_publish_make(&view);

	if (!table)
		return;
	require(dataplane_set_routes(&node->dataplane.dataplane, table) == 0, "no routes");
	node->are_routes_old = false;
	node->options.host.routed(node->options.host.context, node->options.index,
				  node->dataplane.node.shared->route);
}

/* ---- gossip ---- */

static void send_state(struct sim_node *node, const struct node_address *to, bool is_request,
		       enum gossip_scope scope, enum sim_purpose purpose, uint32_t round)
{
	const struct sim_node_host *host = &node->options.host;
	int size = gossip_state(node->gossip, is_request, scope, node->state, sizeof(node->state));

	require(size > 0, "no state");
	if (!is_request)
		host->answer(host->context, node->options.index, node->state, (size_t)size);
	else if (index_of_address(node, to) != UINT32_MAX)
		host->ask(host->context, node->options.index, index_of_address(node, to), purpose,
			  round, node->state, (size_t)size);
}

static void send_packet(struct sim_node *node, const struct gossip_action *action)
{
	const struct sim_node_host *host = &node->options.host;
	uint32_t to = index_of_address(node, &action->to);

	if (to != UINT32_MAX)
		host->gossip(host->context, node->options.index, to, action->bytes, action->size);
}

static void note_peer(struct sim_node *node, uint64_t id)
{
	uint32_t index = index_of_id(node, id);

	if (index != UINT32_MAX)
		node->peers_changed |= 1u << index;
}

static void act(struct sim_node *node, const struct gossip_action *action)
{
	switch (action->kind) {
	case GOSSIP_SEND:
		send_packet(node, action);
		return;
	case GOSSIP_PUSH_PULL:
		send_state(node, &action->to, true, action->scope, SIM_FOR_GOSSIP, 0);
		return;
	case GOSSIP_REPLY_STATE:
		send_state(node, &action->to, false, action->scope, SIM_FOR_GOSSIP, 0);
		return;
	case GOSSIP_MEMBER_CHANGED:
	case GOSSIP_MEMBER_RESTARTED:
		note_peer(node, action->id);
		break;
	case GOSSIP_MAP_CHANGED:
		node->is_map_new = true;
		break;
	default:
		break;
	}
	node->are_routes_old = true;
}

static void step(struct sim_node *node, const struct gossip_event *event)
{
	struct gossip_actions actions = gossip_step(node->gossip, node->now_us / 1000, event);

	for (uint32_t i = 0; i < actions.count; i++)
		act(node, &actions.items[i]);
}

/* The end of each turn: workers and migrator learn what it brought. */
static void settle(struct sim_node *node)
{
	if (node->are_routes_old)
		publish(node);
	while (node->peers_changed || node->is_map_new) {
		uint32_t changed = node->peers_changed;

		node->peers_changed = 0;
		for (; changed; changed &= changed - 1)
			migrator_peer_changed(node->migrator,
					      sim_node_id((uint32_t)__builtin_ctz(changed)));
		if (node->is_map_new) {
			node->is_map_new = false;
			migrator_map_changed(node->migrator);
		}
	}
	if (node->are_routes_old)
		publish(node);
}

static void run(struct sim_node *node, const struct gossip_event *event)
{
	step(node, event);
	settle(node);
}

/* ---- fence ---- */

static void follow_fence(struct sim_node *node, enum fence_step next);

static uint32_t ask_members(struct sim_node *node, enum sim_purpose purpose, uint32_t round,
			    enum member_state worst)
{
	uint32_t count = 0;

	for (uint32_t i = 1; i < membership_index_end(members_of(node)); i++) {
		const struct member *member = membership_at(members_of(node), i);

		if (!member || member_state(member) > worst)
			continue;
		count++;
		send_state(node, &member->node.control, true, GOSSIP_SCOPE_ALL, purpose, round);
	}
	return count;
}

static void follow_fence(struct sim_node *node, enum fence_step next)
{
	if (next == FENCE_DO_ASK)
		follow_fence(node, fence_asked(&node->fence,
					       ask_members(node, SIM_FOR_FENCE, node->fence.round,
							   MEMBER_ALIVE)));
	else if (next != FENCE_NOTHING)
		node->are_routes_old = true;
}

static void tick_fence(struct sim_node *node)
{
	uint64_t now = node->now_us / 1000;

	follow_fence(node, fence_tick(&node->fence, now,
				      membership_majority_seen_ms(members_of(node), now),
				      membership_sees_majority(members_of(node), now)));
}

/* ---- claims that a majority has to know of ---- */

static uint32_t count_members(const struct sim_node *node)
{
	uint32_t count = 1;

	for (uint32_t i = 1; i < membership_index_end(members_of(node)); i++) {
		const struct member *member = membership_at(members_of(node), i);

		count += member && member_state(member) <= MEMBER_DEAD;
	}
	return count;
}

static void spread_answered(struct sim_node *node, uint32_t round, bool is_ok)
{
	struct sim_round *spread = &node->spread;

	if (!spread->is_under_way || round != spread->number)
		return;
	spread->taken += is_ok;
	if (--spread->outstanding > 0)
		return;
	spread->is_under_way = false;
	if (2 * (spread->taken + 1) <= count_members(node))
		return;
	for (uint32_t p = 0; p < node->options.partition_count; p++) {
		if (!partition_set_has(&node->in_round, p) ||
		    !partition_set_has(&node->announcing, p))
			continue;
		partition_set_remove(&node->announcing, p);
		migrator_announced(node->migrator, p);
	}
}

static void tick_spread(struct sim_node *node)
{
	struct sim_round *spread = &node->spread;

	if (partition_set_is_empty(&node->announcing) || spread->is_under_way ||
	    node->now_us < node->spread_at_us)
		return;
	node->spread_at_us = node->now_us + SPREAD_RETRY_US;
	node->in_round = node->announcing;
	spread->is_under_way = true;
	spread->number++;
	spread->taken = 0;
	spread->outstanding = 1 + ask_members(node, SIM_FOR_SPREAD, spread->number, MEMBER_SUSPECT);
	spread_answered(node, spread->number, false);
}

/* ---- partitions of an earlier life ---- */

static bool is_moving(const struct sim_node *node, uint32_t partition)
{
	for (uint32_t i = 0; i < membership_index_end(members_of(node)); i++) {
		const struct member *member = membership_at(members_of(node), i);

		if (member && (i == 0 || member_state(member) <= MEMBER_SUSPECT) &&
		    (node_is_importing(&member->node, partition) ||
		     node_is_migrating(&member->node, partition)))
			return true;
	}
	return false;
}

static void tick_take_back(struct sim_node *node)
{
	const struct partition_map *map = gossip_map(node->gossip);
	uint64_t now = node->now_us / 1000;

	if (!fence_is_open(&node->fence) || !membership_sees_majority(members_of(node), now))
		return;
	for (uint32_t p = 0; p < map->partition_count; p++) {
		if (partition_map_owner(map, p) != node->id || partition_set_has(&node->held, p) ||
		    is_moving(node, p) ||
		    gossip_claim(node->gossip, now, p, partition_map_epoch(map, p)) != 0)
			continue;
		partition_set_add(&node->held, p);
		node->is_map_new = true;
		node->are_routes_old = true;
	}
}

static void tick(struct sim_node *node)
{
	uint64_t now = node->now_us / 1000;

	if (node->now_us - node->ticked_us < TICK_US || !gossip_is_joined(node->gossip))
		return;
	node->ticked_us = node->now_us;
	tick_fence(node);
	tick_take_back(node);
	tick_spread(node);
	migrator_set_majority(node->migrator, membership_sees_majority(members_of(node), now) &&
						      fence_is_open(&node->fence));
}

/* ---- the migrator's host ---- */

static uint64_t host_generation(void *context)
{
	return gossip_self(((const struct sim_node *)context)->gossip)->generation;
}

static void host_send(void *context, uint64_t to, const uint8_t *bytes, size_t size)
{
	struct sim_node *node = context;
	const struct sim_node_host *host = &node->options.host;
	uint32_t index = index_of_id(node, to);

	require(index != UINT32_MAX, "a frame for nobody");
	host->sync(host->context, node->options.index, index, bytes, size);
}

static bool host_find_peer(void *context, uint64_t id, struct migrator_peer *peer)
{
	const struct member *member = membership_find(members_of(context), id);

	if (!member)
		return false;
	peer->state = member_state(member) <= MEMBER_SUSPECT ? MIGRATION_PEER_ALIVE
		      : member_state(member) == MEMBER_DEAD  ? MIGRATION_PEER_SUSPECTED_DEAD
							     : MIGRATION_PEER_GONE;
	peer->generation = member->node.generation;
	return true;
}

static const char *host_name(void *context, uint64_t id, char text[NODE_NAME_SIZE])
{
	make_name(text, index_of_id(context, id));
	return text;
}

static void host_mark(void *context, const struct partition_set *importing,
		      const struct partition_set *migrating)
{
	struct sim_node *node = context;
	struct node self = *gossip_self(node->gossip);

	self.importing_partitions = *importing;
	self.migrating_partitions = *migrating;
	step(node, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

static void host_hold(void *context, uint32_t partition, bool is_held)
{
	struct sim_node *node = context;

	if (is_held)
		partition_set_add(&node->held, partition);
	else
		partition_set_remove(&node->held, partition);
	node->are_routes_old = true;
}

static void host_record_owner(void *context, const struct partition_owner *owner)
{
	struct sim_node *node = context;

	node->is_map_new |= gossip_learn(node->gossip, node->now_us / 1000, owner);
}

static void host_publish(void *context)
{
	publish(context);
}

static void host_announce(void *context, uint32_t partition)
{
	partition_set_add(&((struct sim_node *)context)->announcing, partition);
}

static void host_wake(void *context)
{
	((struct sim_node *)context)->is_woken = true;
}

/* ---- life ---- */

static void create_gossip(struct sim_node *node)
{
	const struct sim_node_options *options = &node->options;
	struct gossip_options gossip_options = {
		.membership = { .seed = prng_next(&node->prng),
				.node_count_max = options->node_count },
		.partition_count_max = options->partition_count,
	};
	struct node self = {
		.id = node->id,
		.generation = options->generation,
		.state = NODE_ACTIVE,
		.control = address_of(options->index),
		.data = node_address_ipv4(UNIT_NODE_IPV4 + options->index, UNIT_NODE_PORT),
		.workers = (uint16_t)options->worker_count,
		.weight = NODE_WEIGHT_DEFAULT,
	};

	make_name(self.name, options->index);
	random_bytes(node, self.session_secret, sizeof(self.session_secret));
	require(gossip_create(&node->gossip, &gossip_options, &self, node->now_us / 1000) == 0,
		"no gossip");
	fence_init(&node->fence, FENCE_MS);
}

/* Before the node knows any map: nobody owns anything. */
static void publish_nothing(struct sim_node *node)
{
	struct partition_map *map = calloc(1, sizeof(*map));
	struct partition_set none = { { 0 } };
	struct route_view view = { map, members_of(node), &none, false };
	struct route_table *table;

	require(map, "no memory");
	partition_map_init(map, node->options.partition_count);
	table = route_publish_make(&view);
	require(table && dataplane_set_routes(&node->dataplane.dataplane, table) == 0, "no routes");
	free(map);
}

static void create_migrator(struct sim_node *node)
{
	struct migrator_options options = {
		.self = node->id,
		.source_max = 4,
		.target_max = 4,
		.ring_size = node->options.ring_size,
		.migration = node->options.migration,
		.map = gossip_map(node->gossip),
		.held = &node->held,
		.dataplane = &node->dataplane.dataplane,
		.reader = &node->dataplane.reader,
		.world = &node->world,
		.log = &node->log,
		.host = { .context = node,
			  .generation = host_generation,
			  .send = host_send,
			  .find_peer = host_find_peer,
			  .name = host_name,
			  .mark = host_mark,
			  .hold = host_hold,
			  .record_owner = host_record_owner,
			  .publish = host_publish,
			  .announce = host_announce,
			  .wake = host_wake },
	};

	options.migration.claim_ms = 2 * FENCE_MS + 1000;
	require(migrator_create(&node->migrator, &options) == 0, "no migrator");
}

static void create_dataplane(struct sim_node *node)
{
	const struct unit_node_options options = {
		.worker_count = node->options.worker_count,
		.partition_count = node->options.partition_count,
		.memory_limit_bytes = node->options.memory_bytes,
		.is_evicting = node->options.is_evicting,
		.number = node->options.index,
		.life = node->options.generation,
	};

	unit_dataplane_create(&node->dataplane, &options);
	unit_node_advance(&node->dataplane.node, node->told_ms);
}

struct sim_node *sim_node_create(const struct sim_node_options *options)
{
	struct sim_node *node = calloc(1, sizeof(*node));

	require(node, "no memory");
	node->options = *options;
	node->id = sim_node_id(options->index);
	node->now_us = options->now_us;
	node->told_ms = options->now_us / 1000;
	prng_init(&node->prng, options->seed);
	node->world = (struct world){ now_ms, unix_ms, random_bytes, node };
	node->log = *options->log;
	node->log.world = &node->world;
	create_gossip(node);
	create_dataplane(node);
	publish_nothing(node);
	unit_dataplane_turn(&node->dataplane);
	create_migrator(node);
	return node;
}

void sim_node_destroy(struct sim_node *node)
{
	if (!node)
		return;
	migrator_destroy(node->migrator);
	gossip_destroy(node->gossip);
	unit_dataplane_destroy(&node->dataplane);
	free(node);
}

void sim_node_found(struct sim_node *node)
{
	for (uint32_t p = 0; p < node->options.partition_count; p++)
		partition_set_add(&node->held, p);
	fence_open(&node->fence);
	run(node, &(struct gossip_event){ .kind = GOSSIP_BOOTSTRAP,
					  .partition_count = node->options.partition_count,
					  .id = 1 });
}

void sim_node_join(struct sim_node *node)
{
	struct node_address seeds[GOSSIP_SEED_COUNT_MAX];
	uint32_t count = 0;

	for (uint32_t i = 0; i < node->options.node_count; i++) {
		if (i != node->options.index)
			seeds[count++] = address_of(i);
	}
	run(node,
	    &(struct gossip_event){ .kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = count });
}

/* ---- turns ---- */

static void send_frames(struct sim_node *node)
{
	const struct sim_node_host *host = &node->options.host;
	uint8_t frame[FRAME_SIZE];
	size_t size;

	while ((size = unit_node_take(&node->dataplane.node, frame)) > 0)
		host->frame(host->context, node->options.index, frame, size);
}

static void run_timers(struct sim_node *node)
{
	const struct gossip_event timer = { .kind = GOSSIP_TIMER };

	for (uint32_t i = 0; i < GOSSIP_STEPS_MAX; i++) {
		if (gossip_deadline_ms(node->gossip) > node->now_us / 1000)
			break;
		step(node, &timer);
	}
	tick(node);
	settle(node);
}

void sim_node_turn(struct sim_node *node, uint64_t now_us)
{
	set_clocks(node, now_us);
	unit_dataplane_turn(&node->dataplane);
	run_timers(node);
	migrator_run(node->migrator);
	settle(node);
	node->is_woken = false;
	send_frames(node);
}

uint64_t sim_node_due_us(const struct sim_node *node)
{
	/* Whole milliseconds: what a simulated worker has done is not worth more turns. */
	uint64_t wait_ms = migrator_wait_us(node->migrator) / 1000 +
			   (migrator_wait_us(node->migrator) % 1000 != 0);
	uint64_t due_us = node->ticked_us + TICK_US;
	uint64_t gossip_us = gossip_deadline_ms(node->gossip) * 1000;

	if (due_us < node->now_us)
		due_us = node->now_us + TICK_US;
	if (wait_ms < 1000 && node->now_us + wait_ms * 1000 < due_us)
		due_us = node->now_us + wait_ms * 1000;
	if (gossip_us < due_us)
		due_us = gossip_us;
	return due_us;
}

/* ---- what comes ---- */

static bool is_arp(const uint8_t *frame)
{
	return wire_get_u16(frame + PACKET_AT_ETHERTYPE) == PACKET_ETHERTYPE_ARP;
}

void sim_node_take_frame(struct sim_node *node, uint64_t now_us, const uint8_t *frame, size_t size)
{
	const uint8_t *frames[1] = { frame };
	uint32_t worker = 0;

	set_clocks(node, now_us);
	if (!is_arp(frame))
		worker = (uint32_t)wire_get_u16(frame + PACKET_AT_UDP_DESTINATION) - UNIT_NODE_PORT;
	unit_node_receive(&node->dataplane.node, worker % node->options.worker_count, frames, &size,
			  1);
	send_frames(node);
}

void sim_node_take_gossip(struct sim_node *node, uint64_t now_us, uint32_t from,
			  const uint8_t *bytes, size_t size)
{
	set_clocks(node, now_us);
	if (gossip_is_joined(node->gossip))
		run(node, &(struct gossip_event){ .kind = GOSSIP_PACKET,
						  .from = address_of(from),
						  .bytes = bytes,
						  .size = size });
}

void sim_node_take_ask(struct sim_node *node, uint64_t now_us, uint32_t from, const uint8_t *bytes,
		       size_t size)
{
	set_clocks(node, now_us);
	run(node,
	    &(struct gossip_event){
		    .kind = GOSSIP_STATE, .from = address_of(from), .bytes = bytes, .size = size });
}

void sim_node_answered(struct sim_node *node, uint64_t now_us, uint32_t from,
		       enum sim_purpose purpose, uint32_t round, const uint8_t *bytes, size_t size)
{
	sim_node_take_ask(node, now_us, from, bytes, size);
	if (purpose == SIM_FOR_FENCE)
		follow_fence(node, fence_answered(&node->fence, now_us / 1000, round, true));
	if (purpose == SIM_FOR_SPREAD)
		spread_answered(node, round, true);
	settle(node);
}

void sim_node_unanswered(struct sim_node *node, uint64_t now_us, enum sim_purpose purpose,
			 uint32_t round)
{
	set_clocks(node, now_us);
	if (purpose == SIM_FOR_FENCE)
		follow_fence(node, fence_answered(&node->fence, now_us / 1000, round, false));
	if (purpose == SIM_FOR_SPREAD)
		spread_answered(node, round, false);
	settle(node);
}

void sim_node_take_sync(struct sim_node *node, uint64_t now_us, uint32_t from, const uint8_t *bytes,
			size_t size)
{
	set_clocks(node, now_us);
	migrator_take_frame(node->migrator, sim_node_id(from), bytes, size);
	settle(node);
}

void sim_node_connected(struct sim_node *node, uint64_t now_us, uint32_t to)
{
	set_clocks(node, now_us);
	migrator_connected(node->migrator, sim_node_id(to));
	settle(node);
}

/* ---- questions ---- */

bool sim_node_serves(const struct sim_node *node, uint32_t partition)
{
	return route_is_own(node->dataplane.node.shared->route, partition);
}

bool sim_node_is_fenced(const struct sim_node *node, uint32_t partition)
{
	return node->dataplane.dataplane.access[partition] != PARTITION_BY_ROUTE;
}

bool sim_node_is_open(const struct sim_node *node)
{
	return gossip_is_joined(node->gossip) && fence_is_open(&node->fence);
}

bool sim_node_is_settled(const struct sim_node *node)
{
	for (uint32_t i = 0; i < membership_index_end(members_of(node)); i++) {
		const struct member *member = membership_at(members_of(node), i);

		if (member && i > 0 && member_state(member) != MEMBER_ALIVE)
			return false;
	}
	return sim_node_is_open(node) && migrator_is_idle(node->migrator) &&
	       migrator_count(node->migrator) == 0 && partition_set_is_empty(&node->announcing) &&
	       !node->are_routes_old;
}
