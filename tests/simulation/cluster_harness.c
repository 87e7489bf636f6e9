/* SPDX-License-Identifier: BSD-3-Clause */
/* Many nodes in one process on virtual time: the production machines, a seeded network that loses,
 * doubles, delays and cuts, and a hash over everything that happened.
 */
#include "tests/simulation/cluster_harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/prng.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define UDP_IP_HEADER_SIZE 28u
#define START_MS 1000u

enum message_kind { MESSAGE_TIMER, MESSAGE_DATAGRAM, MESSAGE_STATE };

/* Something that will happen: a message arrives, or a node's deadline passes. */
struct message {
	uint64_t at_ms;
	uint64_t order; /* of creation: breaks ties */
	enum message_kind kind;
	uint32_t from;
	uint32_t to;
	uint64_t life; /* of the receiver when a timer was set; stale ones are skipped */
	size_t size;
	uint8_t *bytes;
};

struct harness_node {
	struct gossip *gossip; /* NULL while it does not run */
	uint64_t id;
	uint64_t life;     /* how often it was started */
	uint64_t timer_ms; /* of the timer message under way; 0 = none */
	struct harness_traffic traffic;
};

struct harness {
	struct harness_options options;
	struct prng prng;
	uint64_t now_ms;
	uint64_t order;
	uint64_t trace;
	uint32_t heap_count;
	uint32_t heap_capacity;
	struct message *heap;
	struct harness_node *nodes;
	bool *cut;      /* [from * node_count + to] */
	uint8_t *state; /* scratch for whole states */
};

static void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "harness: out of memory\n");
		abort();
	}
	return memory;
}

/* ---- what will happen: a binary heap ---- */

static bool comes_first(const struct message *a, const struct message *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void heap_push(struct harness *harness, const struct message *message)
{
	uint32_t at = harness->heap_count;

	if (at == harness->heap_capacity) {
		harness->heap_capacity = at ? 2 * at : 1024;
		harness->heap = need(
			realloc(harness->heap, harness->heap_capacity * sizeof(harness->heap[0])));
	}
	harness->heap_count++;
	while (at > 0 && comes_first(message, &harness->heap[(at - 1) / 2])) {
		harness->heap[at] = harness->heap[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	harness->heap[at] = *message;
	harness->heap[at].order = message->order;
}

static struct message heap_pop(struct harness *harness)
{
	struct message first = harness->heap[0];
	struct message last = harness->heap[--harness->heap_count];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child >= harness->heap_count)
			break;
		if (child + 1 < harness->heap_count &&
		    comes_first(&harness->heap[child + 1], &harness->heap[child]))
			child++;
		if (comes_first(&last, &harness->heap[child]))
			break;
		harness->heap[at] = harness->heap[child];
		at = child;
	}
	harness->heap[at] = last;
	return first;
}

/* ---- the network ---- */

static void trace(struct harness *harness, uint64_t what, uint32_t node, const void *bytes,
		  size_t size)
{
	uint64_t words[4] = { harness->trace, harness->now_ms, what << 32 | node,
			      bytes ? XXH3_64bits(bytes, size) : 0 };

	harness->trace = XXH3_64bits(words, sizeof(words));
}

static uint32_t delay_ms(struct harness *harness)
{
	const struct harness_network *network = &harness->options.network;

	return network->delay_min_ms +
	       prng_below(&harness->prng, network->delay_max_ms - network->delay_min_ms + 1);
}

static void deliver_later(struct harness *harness, enum message_kind kind, uint32_t from,
			  uint32_t to, const uint8_t *bytes, size_t size)
{
	struct message message = {
		.at_ms = harness->now_ms + delay_ms(harness),
		.order = ++harness->order,
		.kind = kind,
		.from = from,
		.to = to,
		.size = size,
		.bytes = need(malloc(size)),
	};

	memcpy(message.bytes, bytes, size);
	heap_push(harness, &message);
}

static bool is_chosen(struct harness *harness, uint32_t percent)
{
	return percent > 0 && prng_below(&harness->prng, 100) < percent;
}

/* Control addresses are 10.0.x.y with x.y = node + 1. */
static struct node_address address_of(uint32_t node)
{
	return node_address_ipv4(0x0a000000u + node + 1, GOSSIP_PORT_DEFAULT);
}

/* node_count when there is no node of that address. */
static uint32_t node_at(const struct harness *harness, const struct node_address *address)
{
	uint32_t node = node_address_to_ipv4(address) - 0x0a000000u - 1;

	return node < harness->options.node_count ? node : harness->options.node_count;
}

static void send_datagram(struct harness *harness, uint32_t from,
			  const struct gossip_action *action)
{
	struct harness_traffic *traffic = &harness->nodes[from].traffic;
	uint32_t to = node_at(harness, &action->to);
	uint32_t copies = 1;

	traffic->datagrams++;
	traffic->datagram_bytes += action->size + BUS_OVERHEAD + UDP_IP_HEADER_SIZE;
	if (action->size + BUS_OVERHEAD > traffic->datagram_size_max)
		traffic->datagram_size_max = (uint32_t)(action->size + BUS_OVERHEAD);
	if (to == harness->options.node_count ||
	    is_chosen(harness, harness->options.network.loss_percent))
		return;
	if (is_chosen(harness, harness->options.network.duplicate_percent))
		copies = 2;
	while (copies-- > 0)
		deliver_later(harness, MESSAGE_DATAGRAM, from, to, action->bytes, action->size);
}

static void send_state(struct harness *harness, uint32_t from, const struct gossip_action *action)
{
	uint32_t to = node_at(harness, &action->to);
	int size = gossip_state(harness->nodes[from].gossip, action->kind == GOSSIP_PUSH_PULL,
				action->scope, harness->state, GOSSIP_STATE_SIZE_MAX);

	if (size < 0) {
		fprintf(stderr, "harness: state of node %u: error %d\n", from, size);
		abort();
	}
	harness->nodes[from].traffic.state_bytes += (uint64_t)size;
	if (to < harness->options.node_count)
		deliver_later(harness, MESSAGE_STATE, from, to, harness->state, (size_t)size);
}

/* ---- nodes ---- */

static void set_timer(struct harness *harness, uint32_t node)
{
	struct harness_node *self = &harness->nodes[node];
	uint64_t deadline_ms = gossip_deadline_ms(self->gossip);
	struct message timer = { .kind = MESSAGE_TIMER, .to = node, .life = self->life };

	if (deadline_ms < harness->now_ms)
		deadline_ms = harness->now_ms;
	if (self->timer_ms != 0 && self->timer_ms <= deadline_ms)
		return; /* that one comes first and sets the next */
	self->timer_ms = deadline_ms;
	timer.at_ms = deadline_ms;
	timer.order = ++harness->order;
	heap_push(harness, &timer);
}

static void check(struct harness *harness, uint32_t node)
{
	struct gossip *gossip = harness->nodes[node].gossip;
	bool is_sampled = harness->order % 64 == 0;

	if (harness->nodes[node].traffic.datagram_size_max <= BUS_DATAGRAM_SIZE_MAX &&
	    (!is_sampled || (membership_is_sound(gossip_membership(gossip)) &&
			     partition_map_is_sound(gossip_map(gossip)))))
		return;
	fprintf(stderr, "harness: seed %llu, %llu ms: node %u is unsound\n",
		(unsigned long long)harness->options.seed, (unsigned long long)harness->now_ms,
		node);
	abort();
}

static void do_action(struct harness *harness, uint32_t node, const struct gossip_action *action)
{
	trace(harness, 16 + action->kind, node, action->bytes, action->size);
	switch (action->kind) {
	case GOSSIP_SEND:
		send_datagram(harness, node, action);
		break;
	case GOSSIP_PUSH_PULL:
	case GOSSIP_REPLY_STATE:
		send_state(harness, node, action);
		break;
	case GOSSIP_JOINED:
	case GOSSIP_MEMBER_CHANGED:
	case GOSSIP_MEMBER_RESTARTED:
	case GOSSIP_PEER_IMPORTS:
	case GOSSIP_MAP_CHANGED:
	case GOSSIP_SELF_REMOVED:
	case GOSSIP_ID_CONFLICT:
	case GOSSIP_STATE_TAKEN:
	case GOSSIP_OTHER_CLUSTER:
		if (harness->options.on_action)
			harness->options.on_action(harness->options.context, node, action);
		break;
	}
}

void harness_event(struct harness *harness, uint32_t node, const struct gossip_event *event)
{
	struct gossip_actions actions =
		gossip_step(harness->nodes[node].gossip, harness->now_ms, event);

	trace(harness, event->kind, node, event->bytes, event->size);
	for (uint32_t i = 0; i < actions.count; i++)
		do_action(harness, node, &actions.items[i]);
	check(harness, node);
	set_timer(harness, node);
}

void harness_touch(struct harness *harness, uint32_t node)
{
	set_timer(harness, node);
}

void harness_start_generation(struct harness *harness, uint32_t node, uint64_t generation)
{
	struct harness_node *self = &harness->nodes[node];
	struct gossip_options options = {
		.membership = {
			.seed = prng_next(&harness->prng),
			.node_count_max = harness->options.node_count,
		},
		.partition_count_max = harness->options.partition_count,
		.push_pull_interval_ms = harness->options.push_pull_interval_ms,
	};
	struct node record = {
		.id = self->id,
		.generation = generation,
		.state = NODE_ACTIVE,
		.control = address_of(node),
		.data = node_address_ipv4(0x0a010000u + node + 1, 7700),
		.workers = 1,
		.weight = NODE_WEIGHT_DEFAULT,
	};

	snprintf(record.name, sizeof(record.name), "node-%u", node);
	if (gossip_create(&self->gossip, &options, &record, harness->now_ms) != 0)
		need(NULL);
	self->life++;
	self->timer_ms = 0;
	trace(harness, 8, node, &generation, sizeof(generation));
	set_timer(harness, node);
}

void harness_start(struct harness *harness, uint32_t node)
{
	harness_start_generation(harness, node,
				 harness->now_ms << 16 | prng_below(&harness->prng, 1u << 16));
}

void harness_bootstrap(struct harness *harness, uint32_t node)
{
	struct gossip_event event = { .kind = GOSSIP_BOOTSTRAP,
				      .partition_count = harness->options.partition_count };

	harness_event(harness, node, &event);
}

void harness_join(struct harness *harness, uint32_t node, uint32_t seed_node)
{
	struct node_address seed = address_of(seed_node);
	struct gossip_event event = { .kind = GOSSIP_JOIN, .seeds = &seed, .seed_count = 1 };

	harness_event(harness, node, &event);
}

void harness_start_all(struct harness *harness)
{
	for (uint32_t i = 0; i < harness->options.node_count; i++)
		harness_start(harness, i);
	harness_bootstrap(harness, 0);
	for (uint32_t i = 1; i < harness->options.node_count; i++)
		harness_join(harness, i, 0);
}

void harness_crash(struct harness *harness, uint32_t node)
{
	trace(harness, 9, node, NULL, 0);
	gossip_destroy(harness->nodes[node].gossip);
	harness->nodes[node].gossip = NULL;
}

bool harness_is_running(const struct harness *harness, uint32_t node)
{
	return harness->nodes[node].gossip != NULL;
}

struct harness *harness_create(const struct harness_options *options)
{
	struct harness *harness = need(calloc(1, sizeof(*harness)));
	uint32_t count = options->node_count;

	harness->options = *options;
	harness->now_ms = START_MS;
	prng_init(&harness->prng, options->seed);
	harness->nodes = need(calloc(count, sizeof(harness->nodes[0])));
	harness->cut = need(calloc((size_t)count * count, sizeof(bool)));
	harness->state = need(malloc(GOSSIP_STATE_SIZE_MAX));
	for (uint32_t i = 0; i < count; i++) {
		char name[NODE_NAME_SIZE];

		snprintf(name, sizeof(name), "node-%u", i);
		harness->nodes[i].id = node_id_of_name(name);
	}
	return harness;
}

void harness_destroy(struct harness *harness)
{
	for (uint32_t i = 0; i < harness->options.node_count; i++)
		gossip_destroy(harness->nodes[i].gossip);
	for (uint32_t i = 0; i < harness->heap_count; i++)
		free(harness->heap[i].bytes);
	free(harness->heap);
	free(harness->nodes);
	free(harness->cut);
	free(harness->state);
	free(harness);
}

/* ---- faults ---- */

void harness_cut(struct harness *harness, uint32_t from, uint32_t to)
{
	harness->cut[from * harness->options.node_count + to] = true;
}

void harness_split(struct harness *harness, uint32_t count)
{
	for (uint32_t a = 0; a < count; a++) {
		for (uint32_t b = count; b < harness->options.node_count; b++) {
			harness_cut(harness, a, b);
			harness_cut(harness, b, a);
		}
	}
}

void harness_heal(struct harness *harness)
{
	size_t count = harness->options.node_count;

	memset(harness->cut, 0, count * count * sizeof(bool));
}

void harness_set_network(struct harness *harness, const struct harness_network *network)
{
	harness->options.network = *network;
}

/* ---- time ---- */

static void receive(struct harness *harness, const struct message *message)
{
	struct gossip_event event = {
		.kind = message->kind == MESSAGE_DATAGRAM ? GOSSIP_PACKET : GOSSIP_STATE,
		.from = address_of(message->from),
		.bytes = message->bytes,
		.size = message->size,
	};

	if (harness->cut[message->from * harness->options.node_count + message->to])
		return;
	harness_event(harness, message->to, &event);
}

static void happen(struct harness *harness, const struct message *message)
{
	struct harness_node *node = &harness->nodes[message->to];
	struct gossip_event timer = { .kind = GOSSIP_TIMER };

	if (!node->gossip)
		return;
	if (message->kind != MESSAGE_TIMER) {
		receive(harness, message);
		return;
	}
	if (message->life != node->life || message->at_ms != node->timer_ms)
		return;
	node->timer_ms = 0;
	if (gossip_deadline_ms(node->gossip) <= harness->now_ms)
		harness_event(harness, message->to, &timer);
	else
		set_timer(harness, message->to);
}

bool harness_run_until(struct harness *harness, uint64_t duration_max_ms,
		       bool (*is_done)(struct harness *harness, void *context), void *context)
{
	uint64_t end_ms = harness->now_ms + duration_max_ms;
	uint64_t look_ms = harness->now_ms;

	while (harness->heap_count > 0 && harness->heap[0].at_ms <= end_ms) {
		struct message message = heap_pop(harness);

		/* Between two moments, so that looking costs no more than the run. */
		if (is_done && message.at_ms > look_ms) {
			if (is_done(harness, context)) {
				heap_push(harness, &message);
				return true;
			}
			look_ms = message.at_ms + 9;
		}
		harness->now_ms = message.at_ms;
		happen(harness, &message);
		free(message.bytes);
	}
	harness->now_ms = end_ms;
	return is_done && is_done(harness, context);
}

void harness_run(struct harness *harness, uint64_t duration_ms)
{
	harness_run_until(harness, duration_ms, NULL, NULL);
}

/* ---- questions ---- */

uint64_t harness_now_ms(const struct harness *harness)
{
	return harness->now_ms;
}

uint64_t harness_trace_hash(const struct harness *harness)
{
	return harness->trace;
}

uint32_t harness_random(struct harness *harness, uint32_t bound)
{
	return prng_below(&harness->prng, bound);
}

struct gossip *harness_gossip(struct harness *harness, uint32_t node)
{
	return harness->nodes[node].gossip;
}

uint64_t harness_id(const struct harness *harness, uint32_t node)
{
	return harness->nodes[node].id;
}

enum member_state harness_view(const struct harness *harness, uint32_t observer, uint32_t node)
{
	const struct member *member = membership_find(
		gossip_membership(harness->nodes[observer].gossip), harness->nodes[node].id);

	return member ? member_state(member) : MEMBER_UNKNOWN;
}

struct harness_traffic harness_traffic(const struct harness *harness, uint32_t node)
{
	return harness->nodes[node].traffic;
}

void harness_set_importing(struct harness *harness, uint32_t node, uint32_t partition,
			   bool is_importing)
{
	struct node desired = *gossip_self(harness->nodes[node].gossip);
	struct gossip_event event = { .kind = GOSSIP_UPDATE_SELF, .node = &desired };

	if (is_importing)
		partition_set_add(&desired.importing_partitions, partition);
	else
		partition_set_remove(&desired.importing_partitions, partition);
	harness_event(harness, node, &event);
}

static bool views_agree(struct harness *harness, uint32_t observer, uint32_t node)
{
	const struct gossip *seen = harness->nodes[node].gossip;
	const struct member *member = membership_find(
		gossip_membership(harness->nodes[observer].gossip), harness->nodes[node].id);

	if (!seen)
		return !member || (member_state(member) != MEMBER_ALIVE &&
				   member_state(member) != MEMBER_SUSPECT);
	return member && member_state(member) == MEMBER_ALIVE &&
	       member->node.generation == gossip_self(seen)->generation &&
	       node_announcement_equals(&member->node, gossip_self(seen));
}

bool harness_is_converged(struct harness *harness)
{
	const struct gossip *first = NULL;

	for (uint32_t i = 0; i < harness->options.node_count; i++) {
		const struct gossip *gossip = harness->nodes[i].gossip;

		if (!gossip)
			continue;
		if (!first)
			first = gossip;
		if (gossip_map(gossip)->stamp != gossip_map(first)->stamp)
			return false;
		for (uint32_t j = 0; j < harness->options.node_count; j++) {
			if (!views_agree(harness, i, j))
				return false;
		}
	}
	return true;
}
