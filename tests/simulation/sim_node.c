/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's cluster and migrator on a network that is called, with clocks that are set. */
#include "tests/simulation/sim_node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/bus_greeting.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

#define FENCE_MS 5000u
#define SLICE_CPU_US 25u
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
	const struct sim_node *node = context;

	return SIM_UNIX_MS + now_ms(context) + (uint64_t)node->options.clock.wall_ms;
}

static void random_bytes(void *context, void *bytes, size_t size)
{
	struct sim_node *node = context;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)(prng_next(&node->prng) >> 32);
}

/* A slice of a scan, which is between two calls, costs the same on every machine. */
static uint64_t cpu_us(void *context)
{
	struct sim_node *node = context;

	node->cpu_us += SLICE_CPU_US;
	return node->cpu_us;
}

uint32_t sim_node_address(uint32_t index, uint32_t home)
{
	return home << 8 | index;
}

uint32_t sim_node_index_at(uint32_t address)
{
	return address & 255;
}

uint32_t sim_node_home_at(uint32_t address)
{
	return address >> 8;
}

static struct node_address control_at(uint32_t address)
{
	return node_address_ipv4(0x0a000001u + address, GOSSIP_PORT_DEFAULT);
}

static struct node_address address_of(const struct sim_node *node, uint32_t index)
{
	return control_at(sim_node_address(index, node->options.homes[index]));
}

/* UINT32_MAX: no node ever had it. */
static uint32_t address_from(const struct sim_node *node, const struct node_address *control)
{
	uint32_t address = node_address_to_ipv4(control) - 0x0a000001u;

	return sim_node_index_at(address) < node->options.node_count ? address : UINT32_MAX;
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

static uint64_t by_own_clock(const struct sim_node *node, uint64_t true_us)
{
	return true_us + (uint64_t)((int64_t)true_us * node->options.clock.rate_ppm / 1000000);
}

/* Rounded up: then it is so late. */
static uint64_t by_true_clock(const struct sim_node *node, uint64_t own_us)
{
	uint64_t rate_ppm = (uint64_t)(1000000 + node->options.clock.rate_ppm);

	return (own_us * 1000000 + rate_ppm - 1) / rate_ppm;
}

static void set_clocks(struct sim_node *node, uint64_t now_us)
{
	node->now_us = by_own_clock(node, now_us);
	unit_node_advance(&node->dataplane.node, node->now_us / 1000 - node->told_ms);
	node->told_ms = node->now_us / 1000;
}

void sim_node_set_wall(struct sim_node *node, int64_t wall_ms)
{
	node->options.clock.wall_ms = wall_ms;
}

/* ---- what the cluster wants ---- */

static void cluster_sends(void *context, const struct node_address *to, const uint8_t *bytes,
			  size_t size)
{
	struct sim_node *node = context;
	const struct sim_node_host *host = &node->options.host;
	uint32_t address = address_from(node, to);

	if (address != UINT32_MAX)
		host->gossip(host->context, node->options.index, address, bytes, size);
}

/* The state goes out when the turn is over, as it does when a channel is opened first. */
static int cluster_asks(void *context, const struct node_address *to, enum gossip_scope scope,
			const struct cluster_exchange_purpose *purpose)
{
	struct sim_node *node = context;
	uint32_t address = address_from(node, to);

	if (address == UINT32_MAX || node->ask_count == SIM_NODE_ASK_MAX)
		return -ENOBUFS;
	node->asks[node->ask_count++] = (struct sim_ask){ address, scope, *purpose };
	return 0;
}

static void cluster_routes(void *context, struct route_table *table)
{
	struct sim_node *node = context;
	const struct sim_node_host *host = &node->options.host;

	require(dataplane_set_routes(&node->dataplane.dataplane, table) == 0, "no routes");
	host->routed(host->context, node->options.index, node->dataplane.node.shared->route);
}

static void cluster_ends(void *context, enum cluster_end end)
{
	struct sim_node *node = context;

	node->options.host.ended(node->options.host.context, node->options.index, end);
}

static void wake(void *context)
{
	(void)context; /* whoever calls a node asks for sim_node_due_us() afterwards */
}

/* ---- exchanges: a greeting, then a state unless it is refused ---- */

static size_t put_greeting_size(struct sim_node *node, size_t size)
{
	wire_put_u16(node->message, (uint16_t)size);
	return sizeof(uint16_t) + size;
}

static size_t put_open(struct sim_node *node)
{
	struct bus_open open = { .service = CLUSTER_EXCHANGE_SERVICE };

	cluster_introduce(node->cluster, &open.peer);
	return put_greeting_size(node, bus_open_encode(&open, node->message + sizeof(uint16_t)));
}

static size_t put_answer(struct sim_node *node, enum bus_refusal refusal, const char *detail)
{
	struct bus_answer answer = { .refusal = refusal };

	cluster_introduce(node->cluster, &answer.peer);
	snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
	return put_greeting_size(node,
				 bus_answer_encode(&answer, node->message + sizeof(uint16_t)));
}

/* Behind the greeting of 'used' bytes. Returns the size of both. */
static size_t put_state(struct sim_node *node, size_t used, bool is_request,
			enum gossip_scope scope)
{
	int size = cluster_give_state(node->cluster, is_request, scope, node->message + used,
				      sizeof(node->message) - used);

	require(size > 0, "no state");
	return used + (size_t)size;
}

static void send_asks(struct sim_node *node)
{
	const struct sim_node_host *host = &node->options.host;

	for (uint32_t i = 0; i < node->ask_count; i++) {
		const struct sim_ask *ask = &node->asks[i];
		size_t size = put_state(node, put_open(node), true, ask->scope);

		host->ask(host->context, node->options.index, ask->address,
			  (enum sim_purpose)ask->purpose.kind, ask->purpose.round, node->message,
			  size);
	}
	node->ask_count = 0;
}

/* ---- what the migrator wants ---- */

static void migrator_sends(void *context, uint64_t to, const uint8_t *bytes, size_t size)
{
	struct sim_node *node = context;
	const struct sim_node_host *host = &node->options.host;
	uint32_t index = index_of_id(node, to);

	require(index != UINT32_MAX, "a frame for nobody");
	host->sync(host->context, node->options.index, index, bytes, size);
}

static void migrator_resets(void *context, uint64_t other)
{
	struct sim_node *node = context;
	const struct sim_node_host *host = &node->options.host;
	uint32_t index = index_of_id(node, other);

	if (index != UINT32_MAX)
		host->reset(host->context, node->options.index, index);
}

/* ---- life ---- */

static void make_self(struct sim_node *node, struct node *self)
{
	const struct sim_node_options *options = &node->options;

	*self = (struct node){
		.id = node->id,
		.generation = options->generation,
		.state = NODE_ACTIVE,
		.control = address_of(node, options->index),
		.data = node_address_ipv4(UNIT_NODE_IPV4 + options->place, UNIT_NODE_PORT),
		.workers = (uint16_t)options->worker_count,
		.weight = options->weight,
	};
	make_name(self->name, options->index);
	random_bytes(node, self->session_secret, sizeof(self->session_secret));
}

/* Any other node may be asked to join. */
static void make_config(struct sim_node *node, struct cluster_config *config)
{
	*config = (struct cluster_config){
		.name = "simulated",
		.partition_count = node->options.partition_count,
		.has_bus = true,
		.is_joining = true,
		.auto_rebalance = node->options.is_auto,
		.is_fencing = true,
		.fence_ms = FENCE_MS,
		.probe_ms = MEMBERSHIP_PROBE_INTERVAL_MS,
	};
	make_self(node, &config->self);
	for (uint32_t i = 0; i < node->options.node_count; i++) {
		if (i != node->options.index)
			config->seeds[config->seed_count++] = address_of(node, i);
	}
}

static void create_cluster(struct sim_node *node)
{
	struct cluster_config config;
	const struct cluster_options options = {
		.config = &config,
		.world = &node->world,
		.log = &node->log,
		.host = { .context = node,
			  .send = cluster_sends,
			  .exchange = cluster_asks,
			  .set_routes = cluster_routes,
			  .wake = wake,
			  .end = cluster_ends },
	};

	make_config(node, &config);
	require(cluster_create(&node->cluster, &options) == 0, "no cluster");
	node->gossip = cluster_gossip(node->cluster);
	node->held = cluster_held(node->cluster);
}

static void create_migrator(struct sim_node *node)
{
	const struct migrator_binding_options options = {
		.cluster = node->cluster,
		.dataplane = &node->dataplane.dataplane,
		.reader = &node->dataplane.reader,
		.world = &node->world,
		.log = &node->log,
		.source_max = node->options.job_max,
		.target_max = node->options.job_max,
		.ring_size = node->options.ring_size,
		.migration = node->options.migration,
		.host = { node, migrator_sends, migrator_resets, wake },
	};

	require(migrator_binding_create(&node->binding, &options) == 0, "no migrator");
	node->migrator = migrator_binding_migrator(node->binding);
	migrator_binding_start(node->binding);
}

static void create_rebalancer(struct sim_node *node)
{
	const struct rebalance_driver_options options = {
		.world = &node->world,
		.log = &node->log,
		.cluster = node->cluster,
		.migrator = node->migrator,
		.parallel_max = node->options.job_max,
		.seed = node->options.rebalance_seed,
	};

	require(rebalance_driver_create(&node->rebalancer, &options) == 0, "no rebalancer");
}

static void create_dataplane(struct sim_node *node)
{
	const struct unit_node_options options = {
		.worker_count = node->options.worker_count,
		.partition_count = node->options.partition_count,
		.memory_limit_bytes = node->options.memory_bytes,
		.is_evicting = node->options.is_evicting,
		.mailbox_capacity = node->options.mailbox_capacity,
		.session_count = node->options.session_count,
		.number = node->options.place,
		.life = node->options.generation,
	};

	unit_dataplane_create(&node->dataplane, &options);
	unit_node_advance(&node->dataplane.node,
			  node->told_ms + (uint64_t)node->options.clock.wall_ms);
}

struct sim_node *sim_node_create(const struct sim_node_options *options)
{
	struct sim_node *node = calloc(1, sizeof(*node));

	require(node, "no memory");
	node->options = *options;
	node->id = sim_node_id(options->index);
	node->now_us = by_own_clock(node, options->now_us);
	node->told_ms = node->now_us / 1000;
	prng_init(&node->prng, options->seed);
	node->world = (struct world){ now_ms, unix_ms, random_bytes, cpu_us, node };
	node->log = *options->log;
	node->log.world = &node->world;
	create_dataplane(node);
	create_cluster(node);
	unit_dataplane_turn(&node->dataplane);
	create_migrator(node);
	create_rebalancer(node);
	return node;
}

void sim_node_destroy(struct sim_node *node)
{
	if (!node)
		return;
	rebalance_driver_destroy(node->rebalancer);
	migrator_binding_destroy(node->binding);
	cluster_destroy(node->cluster);
	unit_dataplane_destroy(&node->dataplane);
	free(node);
}

void sim_node_found(struct sim_node *node)
{
	char error[CLUSTER_ERROR_SIZE];

	require(cluster_found(node->cluster, error) == 0, error);
	send_asks(node);
}

void sim_node_join(struct sim_node *node)
{
	cluster_start(node->cluster);
	send_asks(node);
}

/* ---- what operators want ---- */

int sim_node_leave(struct sim_node *node, uint64_t now_us, bool is_leaving, char *error)
{
	int result;

	set_clocks(node, now_us);
	result = cluster_leave(node->cluster, is_leaving, error);
	send_asks(node);
	return result;
}

void sim_node_rebalance(struct sim_node *node, uint64_t now_us)
{
	set_clocks(node, now_us);
	rebalance_driver_ask(node->rebalancer);
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

static void rebalance(struct sim_node *node)
{
	if (node->now_us < node->rebalance_us)
		return;
	node->rebalance_us = node->now_us + REBALANCE_DRIVER_TICK_MS * 1000;
	rebalance_driver_run(node->rebalancer);
}

void sim_node_turn(struct sim_node *node, uint64_t now_us)
{
	set_clocks(node, now_us);
	unit_dataplane_turn(&node->dataplane);
	cluster_turn(node->cluster);
	rebalance(node);
	migrator_binding_run(node->binding);
	send_asks(node);
	send_frames(node);
}

uint64_t sim_node_due_us(const struct sim_node *node)
{
	/* Whole milliseconds: what a simulated worker has done is not worth more turns. */
	uint64_t wait_ms = (migrator_binding_wait_us(node->binding) + 999) / 1000;
	uint64_t migrator_us = node->now_us + wait_ms * 1000;
	uint64_t cluster_us = cluster_due_ms(node->cluster) * 1000;

	return by_true_clock(node, cluster_us < migrator_us ? cluster_us : migrator_us);
}

/* ---- what comes ---- */

static bool is_arp(const uint8_t *frame)
{
	return wire_get_u16(frame + PACKET_AT_ETHERTYPE) == PACKET_ETHERTYPE_ARP;
}

uint32_t sim_node_worker_of(const struct sim_node *node, const uint8_t *frame, size_t size)
{
	if (size < PACKET_HEADERS_SIZE || is_arp(frame))
		return 0;
	return (wire_get_u16(frame + PACKET_AT_UDP_DESTINATION) - UNIT_NODE_PORT) %
	       node->options.worker_count;
}

void sim_node_stall(struct sim_node *node, uint64_t workers)
{
	node->dataplane.node.stalled = workers;
}

void sim_node_set_stalled(struct sim_node *node, uint64_t now_us, bool is_stalled)
{
	set_clocks(node, now_us);
	cluster_set_stalled(node->cluster, is_stalled);
	send_asks(node);
}

void sim_node_take_frame(struct sim_node *node, uint64_t now_us, const uint8_t *frame, size_t size)
{
	const uint8_t *frames[1] = { frame };

	set_clocks(node, now_us);
	unit_node_receive(&node->dataplane.node, sim_node_worker_of(node, frame, size), frames,
			  &size, 1);
	send_frames(node);
}

void sim_node_take_gossip(struct sim_node *node, uint64_t now_us, uint32_t from_address,
			  const uint8_t *bytes, size_t size)
{
	const struct node_address address = control_at(from_address);

	set_clocks(node, now_us);
	cluster_take_datagram(node->cluster, &address, bytes, size);
	send_asks(node);
}

static void send_answer(struct sim_node *node, size_t size)
{
	const struct sim_node_host *host = &node->options.host;

	host->answer(host->context, node->options.index, node->message, size);
}

void sim_node_take_ask(struct sim_node *node, uint64_t now_us, const uint8_t *bytes, size_t size)
{
	size_t greeting = wire_get_u16(bytes);
	const uint8_t *state = bytes + sizeof(uint16_t) + greeting;
	char detail[BUS_DETAIL_SIZE] = "";
	enum gossip_scope scope;
	enum bus_refusal refusal;
	struct bus_open open;

	set_clocks(node, now_us);
	require(bus_open_decode(&open, bytes + sizeof(uint16_t), greeting) == 0, "no greeting");
	refusal = cluster_admit(node->cluster, &open, detail);
	if (refusal != BUS_ACCEPTED)
		send_answer(node, put_answer(node, refusal, detail));
	else if (cluster_take_state(node->cluster, state, (size_t)(bytes + size - state), &scope))
		send_answer(node,
			    put_state(node, put_answer(node, BUS_ACCEPTED, ""), false, scope));
	send_asks(node);
}

static void exchanged(struct sim_node *node, uint32_t with_address, enum sim_purpose purpose,
		      uint32_t round, const struct bus_close *close)
{
	const struct cluster_exchange_purpose wanted = { (enum cluster_exchange_kind)purpose,
							 round };
	const struct node_address address = control_at(with_address);

	cluster_exchanged(node->cluster, &address, &wanted, close);
	send_asks(node);
}

void sim_node_answered(struct sim_node *node, uint64_t now_us, uint32_t from_address,
		       enum sim_purpose purpose, uint32_t round, const uint8_t *bytes, size_t size)
{
	size_t greeting = wire_get_u16(bytes);
	const uint8_t *state = bytes + sizeof(uint16_t) + greeting;
	struct bus_close close = { .kind = BUS_CLOSE_REFUSED };
	enum gossip_scope scope;
	struct bus_answer answer;

	set_clocks(node, now_us);
	require(bus_answer_decode(&answer, bytes + sizeof(uint16_t), greeting) == 0, "no answer");
	if (answer.refusal == BUS_ACCEPTED) {
		cluster_take_state(node->cluster, state, (size_t)(bytes + size - state), &scope);
		exchanged(node, from_address, purpose, round, NULL);
		return;
	}
	close.refusal = answer.refusal;
	close.peer = answer.peer;
	memcpy(close.detail, answer.detail, sizeof(close.detail));
	exchanged(node, from_address, purpose, round, &close);
}

void sim_node_unanswered(struct sim_node *node, uint64_t now_us, uint32_t from_address,
			 enum sim_purpose purpose, uint32_t round)
{
	const struct bus_close close = { .kind = BUS_CLOSE_TIMEOUT };

	set_clocks(node, now_us);
	exchanged(node, from_address, purpose, round, &close);
}

void sim_node_take_sync(struct sim_node *node, uint64_t now_us, uint32_t from, const uint8_t *bytes,
			size_t size)
{
	set_clocks(node, now_us);
	migrator_take_frame(node->migrator, sim_node_id(from), bytes, size);
	send_asks(node);
}

void sim_node_connected(struct sim_node *node, uint64_t now_us, uint32_t to)
{
	set_clocks(node, now_us);
	migrator_connected(node->migrator, sim_node_id(to));
	send_asks(node);
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
	return cluster_is_serving(node->cluster);
}

enum member_state sim_node_sees(const struct sim_node *node, uint32_t other)
{
	const struct member *member =
		membership_find(gossip_membership(node->gossip), sim_node_id(other));

	return member ? member_state(member) : MEMBER_UNKNOWN;
}

bool sim_node_is_rebalancing(const struct sim_node *node)
{
	return strcmp(rebalance_driver_state(node->rebalancer), "idle") != 0;
}

bool sim_node_is_settled(const struct sim_node *node)
{
	const struct membership *members = gossip_membership(node->gossip);

	for (uint32_t i = 1; i < membership_index_end(members); i++) {
		const struct member *member = membership_at(members, i);

		if (member && member_state(member) != MEMBER_ALIVE &&
		    member_state(member) != MEMBER_LEFT)
			return false;
	}
	return sim_node_is_open(node) && cluster_phase(node->cluster) == CLUSTER_MEMBER &&
	       migrator_is_idle(node->migrator) && migrator_count(node->migrator) == 0 &&
	       !migrator_binding_is_announcing(node->binding);
}
