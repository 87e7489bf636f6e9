/* SPDX-License-Identifier: BSD-3-Clause */
/* Twin nodes, and the judgement of what they answer. */
#include "tests/fuzz/fuzz_node.h"

#include <rte_mempool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/core_burst.h"
#include "dataplane/packet_build.h"
#include "dataplane/request_control.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"

#define CLIENT_IPV4 0x0a010164u
#define CLIENT_PORT 40000u

/* Nodes are dear to make: so many stories happen to the same twins. */
#define STORIES_MAX 20000u
/* Frames that twins may hold at a time; those freed last are used first, and so are in the processor's caches. */
#define BUFFER_COUNT 511u
#define BUFFER_CACHE 64u
/* Turns of background work after time has passed: one for what is retired, one to free it. */
#define ADVANCE_TURNS 2u
/* Between two stories. */
#define IDLE_MS 600000u

/* ---- life ---- */

static bool is_there(const struct fuzz_node *node)
{
	return node->twins[0].shared != NULL;
}

uint64_t fuzz_node_token(uint32_t from, uint32_t to)
{
	return UINT64_C(0x70ce000000000000) + from * 256 + to;
}

static void publish(struct fuzz_node *node, uint32_t turn)
{
	for (uint32_t twin = 0; twin < 2; twin++) {
		struct unit_node *unit = &node->twins[twin];
		struct wire_map_node nodes[FUZZ_NODE_COUNT];
		struct route_table *table;

		for (uint32_t i = 0; i < FUZZ_NODE_COUNT; i++)
			nodes[i] = (struct wire_map_node){ UNIT_NODE_IPV4 + i, UNIT_NODE_PORT,
							   FUZZ_WORKER_COUNT };
		table = route_table_create(FUZZ_PARTITION_COUNT, nodes, FUZZ_NODE_COUNT, 0);
		if (!table)
			abort();
		table->map_version = node->map_version;
		for (uint32_t p = 0; p < FUZZ_PARTITION_COUNT; p++) {
			uint32_t owner = (p + turn) % 5;

			table->owners[p] = (uint16_t)(owner < 3   ? owner
						      : owner < 4 ? 0
								  : WIRE_MAP_NO_OWNER);
			table->epochs[p] = 1 + turn;
			if (unit->route->access[p] >= ROUTE_WRITES_PARKED)
				table->access[p] = unit->route->access[p];
		}
		for (uint32_t i = 1; i < FUZZ_NODE_COUNT; i++) {
			table->peers[i].token_in = fuzz_node_token(i, 0);
			table->peers[i].token_out = fuzz_node_token(0, i);
		}
		unit_node_set_routes(unit, table);
	}
}

/* The station of node 1 is known, that of node 2 is not. */
static void introduce(struct fuzz_node *node)
{
	for (uint32_t twin = 0; twin < 2; twin++) {
		uint8_t mac[PACKET_MAC_SIZE];

		unit_node_mac(mac, 1);
		route_learn(node->twins[twin].route, UNIT_NODE_IPV4 + 1, mac,
			    node->twins[twin].cores[0]->now_ms);
	}
}

/* As both HELLOs would, without their frames. */
static void open_session(struct fuzz_node *node, struct fuzz_client *client, uint64_t nonce)
{
	for (uint32_t twin = 0; twin < 2; twin++) {
		struct core *core = node->twins[twin].cores[0];
		struct session_answer answer = { 0 };

		for (uint32_t stage = 0; stage < 2; stage++)
			session_hello(core->sessions, client->is.ipv4, client->is.port, nonce,
				      answer.challenge, core->now_ms, &answer);
		FUZZ_CHECK(answer.session_id != 0);
		client->is.session_id = answer.session_id;
		client->is.token = answer.token;
	}
}

/* The pool that unit nodes look for. */
static void create_buffers(void)
{
	FUZZ_CHECK(rte_pktmbuf_pool_create("unit_node", BUFFER_COUNT, BUFFER_CACHE,
					   sizeof(struct core_mail), RTE_MBUF_DEFAULT_BUF_SIZE,
					   SOCKET_ID_ANY) != NULL);
}

static struct rte_mempool *buffers(void)
{
	return rte_mempool_lookup("unit_node");
}

static void create_twins(struct fuzz_node *node)
{
	const struct unit_node_options options = {
		.worker_count = FUZZ_WORKER_COUNT,
		.partition_count = FUZZ_PARTITION_COUNT,
		.memory_limit_bytes = (size_t)4 << 20,
		.session_count = 3,
	};

	if (!buffers())
		create_buffers();
	for (uint32_t twin = 0; twin < 2; twin++) {
		unit_node_create(&node->twins[twin], &options);
		node->twins[twin].buffer_noise = twin ? 0x55 : 0xaa;
	}
	node->stories = 0;
}

static void destroy_twins(struct fuzz_node *node)
{
	for (uint32_t twin = 0; twin < 2; twin++)
		unit_node_destroy(&node->twins[twin]);
}

void fuzz_node_begin(struct fuzz_node *node, bool has_peers)
{
	if (node->stories == STORIES_MAX)
		destroy_twins(node);
	if (node->stories == STORIES_MAX || !is_there(node))
		create_twins(node);
	node->stories++;
	node->is_misled = false;
	node->asked_next = 0;
	node->forwarded.size = 0;
	node->version_seen = 0;
	node->map_version++;
	memset(node->asked, 0, sizeof(node->asked));
	memset(node->clients, 0, sizeof(node->clients));
	if (has_peers) {
		publish(node, 0);
		introduce(node);
	}
	for (uint32_t i = 0; i < FUZZ_CLIENT_COUNT; i++) {
		struct fuzz_client *client = &node->clients[i];

		client->is.ipv4 = CLIENT_IPV4 + i;
		client->is.port = (uint16_t)(CLIENT_PORT + i);
		if (i < 2)
			open_session(node, client, UINT64_MAX - node->stories);
	}
}

static void discard_all(struct unit_node *unit)
{
	for (uint32_t p = 0; p < FUZZ_PARTITION_COUNT; p++) {
		struct partition_command discard = { .kind = PARTITION_DISCARD,
						     .partition = p,
						     .slot_max = 1024 };

		do
			unit_node_command(unit, &discard);
		while (!discard.is_done);
	}
}

/* No item, no parked request, no answer, and no buffer that anybody holds. */
static void check_empty(const struct unit_node *unit)
{
	FUZZ_CHECK(unit->reply_count == 0);
	for (uint32_t worker = 0; worker < unit->shared->worker_count; worker++) {
		struct shard_stats stats;

		FUZZ_CHECK(unit->cores[worker]->parking.count == 0);
		shard_stats(unit->cores[worker]->shard, &stats);
		FUZZ_CHECK(stats.items == 0 && stats.item_bytes == 0);
	}
	FUZZ_CHECK(rte_mempool_in_use_count(buffers()) == 0);
}

/* Nothing is left of the story but versions, and sessions that have been idle for so long that anybody may have their place.
 * Stations are forgotten in that time, too.
 */
void fuzz_node_end(struct fuzz_node *node)
{
	fuzz_node_flush(node);
	for (uint32_t p = 0; p < FUZZ_PARTITION_COUNT; p++) {
		if (node->twins[0].route->access[p] >= ROUTE_WRITES_PARKED)
			fuzz_node_set_access(node, p, ROUTE_BY_OWNER);
	}
	fuzz_node_advance(node, IDLE_MS);
	for (uint32_t twin = 0; twin < 2; twin++) {
		discard_all(&node->twins[twin]);
		check_empty(&node->twins[twin]);
	}
}

/* ---- what the counters say ---- */

/* Nobody else counts meanwhile: read as plain numbers, many at a time. */
static uint64_t sum_of(const struct unit_node *unit, uint32_t first, uint32_t end)
{
	uint64_t sum = 0;

	for (uint32_t worker = 0; worker < unit->shared->worker_count; worker++) {
		for (uint32_t counter = first; counter < end; counter++)
			sum += unit->cores[worker]->counters.values[counter];
	}
	return sum;
}

static uint64_t count_of(const struct unit_node *unit, uint32_t counter)
{
	return sum_of(unit, counter, counter + 1);
}

static uint64_t drops_of(const struct unit_node *unit)
{
	return sum_of(unit, COUNT_DROP_FIRST, CORE_COUNTER_COUNT);
}

static uint64_t executed_by(const struct unit_node *unit)
{
	return sum_of(unit, COUNT_OP_GET, COUNT_OP_TTL + 1);
}

/* Frames that ended without an operation. */
static uint64_t idle_ends_of(const struct unit_node *unit)
{
	return drops_of(unit) + count_of(unit, COUNT_NEED_HELLOS) +
	       count_of(unit, COUNT_REQUESTS_REFUSED) + count_of(unit, COUNT_REQUESTS_REPEATED);
}

static uint64_t parked_at(const struct unit_node *unit)
{
	uint64_t parked = 0;

	for (uint32_t worker = 0; worker < unit->shared->worker_count; worker++)
		parked += unit->cores[worker]->parking.count;
	return parked;
}

/* ---- replies ---- */

static bool is_reply_to(const struct wire_header *header, const uint8_t *body, const uint8_t *end,
			const struct fuzz_asked *asked)
{
	struct wire_reply_op op;

	if (asked->token != header->token || asked->session_id != header->session_id ||
	    asked->sequence != header->sequence || asked->op_count != header->op_count)
		return false;
	for (uint32_t i = 0; i < header->op_count; i++) {
		body = wire_reply_op_read(body, end, &op);
		if (!body || op.opcode != asked->opcodes[i])
			return false;
	}
	return true;
}

static bool is_refusal(const struct wire_header *header, const uint8_t *body)
{
	return header->op_count == 0 ||
	       (header->op_count == 1 && body[0] == 0 && body[1] == WIRE_BAD_REQUEST);
}

/* The operations of a reply, and whether they are to what was asked. */
static void check_reply(struct fuzz_node *node, const struct wire_header *header,
			const uint8_t *body, const uint8_t *end)
{
	const uint8_t *at = body;
	bool is_known = false;

	for (uint32_t i = 0; i < header->op_count; i++) {
		struct wire_reply_op op;

		at = wire_reply_op_read(at, end, &op);
		FUZZ_CHECK(at != NULL);
		FUZZ_CHECK(op.status < WIRE_NEED_HELLO);
		FUZZ_CHECK(op.status != WIRE_NOT_OWNER || op.value_size == 0 ||
			   op.value_size == WIRE_OWNER_SIZE);
		FUZZ_CHECK(op.status != WIRE_RETRY || op.value_size == 0 || op.value_size == 4);
		if (op.version)
			node->version_seen = op.version;
	}
	FUZZ_CHECK(at == end);
	for (uint32_t i = 0; i < FUZZ_ASKED_MAX && !is_known; i++)
		is_known = is_reply_to(header, body, end, &node->asked[i]);
	FUZZ_CHECK(is_known || is_refusal(header, body) || node->asked_next >= FUZZ_ASKED_MAX);
}

static void learn_hello(struct fuzz_client *client, const struct wire_header *header,
			const uint8_t *body, size_t size)
{
	struct wire_hello_reply reply;

	FUZZ_CHECK(wire_hello_reply_read(body, size, &reply));
	FUZZ_CHECK(reply.stage == WIRE_HELLO_CHALLENGE || reply.stage == WIRE_HELLO_GRANTED);
	FUZZ_CHECK((reply.stage == WIRE_HELLO_GRANTED) == (header->session_id != 0));
	client->challenge = reply.challenge;
	if (reply.stage != WIRE_HELLO_GRANTED)
		return;
	client->is.session_id = header->session_id;
	client->is.token = header->token;
}

static void check_answer(struct fuzz_node *node, struct fuzz_client *client,
			 const struct packet_view *view)
{
	const uint8_t *body = view->payload + WIRE_HEADER_SIZE;
	const uint8_t *end = view->payload + view->payload_size;
	struct wire_map_reply map;

	switch ((enum wire_kind)view->wire.kind) {
	case WIRE_REPLY:
		if (!node->is_misled)
			check_reply(node, &view->wire, body, end);
		break;
	case WIRE_HELLO_REPLY:
		learn_hello(client, &view->wire, body, (size_t)(end - body));
		break;
	case WIRE_MAP_REPLY:
		/* one that was asked from behind the last partition holds none */
		FUZZ_CHECK(wire_map_reply_read(body, (size_t)(end - body), &map) ||
			   wire_get_u16(body + 4) == 0);
		break;
	case WIRE_PONG:
		break;
	default:
		fuzz_fail(__FILE__, __LINE__, "answers are of a known kind");
	}
}

static void check_forwarded(struct fuzz_node *node, const struct packet_view *view,
			    const uint8_t *frame, size_t size)
{
	struct wire_header inside;

	FUZZ_CHECK(view->wire.kind == WIRE_FORWARD || view->wire.kind == WIRE_FORWARD_REPLY);
	FUZZ_CHECK(view->payload_size >= WIRE_FORWARD_SIZE + WIRE_HEADER_SIZE);
	FUZZ_CHECK(view->payload_size <= UNIT_NODE_PAYLOAD_MAX);
	FUZZ_CHECK(wire_header_read(view->payload + WIRE_FORWARD_SIZE,
				    (size_t)view->payload_size - WIRE_FORWARD_SIZE, &inside));
	if (view->wire.kind == WIRE_FORWARD_REPLY) {
		FUZZ_CHECK(inside.kind == WIRE_REPLY);
		return;
	}
	FUZZ_CHECK(inside.kind == WIRE_REQUEST);
	memcpy(node->forwarded.bytes, frame, size);
	node->forwarded.size = size;
}

/* Judges a frame that the node sent; bytes for a client are added to 'sent_to'. */
static void check_frame(struct fuzz_node *node, const uint8_t *frame, size_t size,
			size_t sent_to[FUZZ_CLIENT_COUNT])
{
	struct packet_local local;
	struct packet_view view;
	uint32_t ipv4 = wire_get_u32(frame + PACKET_AT_IPV4_DESTINATION);
	uint8_t mac[PACKET_MAC_SIZE];

	if (wire_get_u16(frame + PACKET_AT_ETHERTYPE) == PACKET_ETHERTYPE_ARP)
		return;
	memcpy(mac, frame + PACKET_AT_DESTINATION_MAC, sizeof(mac));
	packet_local_init(&local, mac, ipv4, wire_get_u16(frame + PACKET_AT_UDP_DESTINATION), 1);
	if (packet_parse(&local, frame, size, PACKET_CHECKED_NOTHING, &view) != DROP_NONE) {
		/* a node that lies may send anything anywhere in another's name; pings are not parsed */
		FUZZ_CHECK(node->is_misled ||
			   frame[PACKET_AT_IPV4_PROTOCOL] == PACKET_PROTOCOL_ICMP);
		return;
	}
	FUZZ_CHECK(view.payload_size <= UNIT_NODE_PAYLOAD_MAX);
	if (ipv4 - UNIT_NODE_IPV4 < FUZZ_NODE_COUNT && !node->is_misled) {
		check_forwarded(node, &view, frame, size);
	} else if (ipv4 - CLIENT_IPV4 < FUZZ_CLIENT_COUNT) {
		sent_to[ipv4 - CLIENT_IPV4] += size;
		check_answer(node, &node->clients[ipv4 - CLIENT_IPV4], &view);
	}
}

/* Takes what both answered; it must be the same. */
static void take_answers(struct fuzz_node *node, size_t sent_to[FUZZ_CLIENT_COUNT])
{
	static uint8_t frames[2][2048];

	FUZZ_CHECK(node->twins[0].reply_count == node->twins[1].reply_count);
	while (node->twins[0].reply_count > 0) {
		size_t size = unit_node_take(&node->twins[0], frames[0]);

		FUZZ_CHECK(unit_node_take(&node->twins[1], frames[1]) == size);
		FUZZ_CHECK(memcmp(frames[0], frames[1], size) == 0);
		check_frame(node, frames[0], size, sent_to);
	}
}

/* ---- bursts ---- */

/* A client that sent one frame alone, without a session: it gets no more than it gave. */
static void check_unproven(const struct fuzz_node *node, bool is_proven, uint32_t client,
			   const size_t sent_to[FUZZ_CLIENT_COUNT])
{
	if (!is_proven && client < FUZZ_CLIENT_COUNT)
		FUZZ_CHECK(sent_to[client] <= node->burst_sizes[0]);
}

/* Whether the frame's sender has a session; asking is a use of it, so both are asked. */
static bool has_proof(const struct unit_node *unit, const uint8_t *frame, size_t size)
{
	struct packet_view view;
	uint32_t worker;

	if (packet_parse(&unit->shared->local, frame, size, PACKET_CHECKED_NOTHING, &view) !=
		    DROP_NONE ||
	    view.kind != PACKET_KIND_DATAGRAM)
		return false;
	if (view.wire.kind != WIRE_REQUEST && view.wire.kind != WIRE_MAP_REQUEST)
		return false;
	worker = session_worker(view.wire.session_id);
	return worker < unit->shared->worker_count &&
	       session_check_foreign(unit->cores[worker]->sessions, view.wire.session_id,
				     view.wire.token, view.source_ipv4, view.source_port,
				     unit->cores[0]->now_ms);
}

struct account {
	uint64_t ends;     /* frames that ended without an operation */
	uint64_t executed; /* operations */
	uint64_t drops;
	uint64_t learned;
	uint64_t questions;
	uint64_t parked;
};

static struct account account_of(const struct unit_node *unit)
{
	return (struct account){
		.ends = idle_ends_of(unit),
		.executed = executed_by(unit),
		.drops = drops_of(unit),
		.learned = count_of(unit, COUNT_ARP_LEARNED),
		.questions = count_of(unit, COUNT_ARP_QUESTIONS),
		.parked = parked_at(unit),
	};
}

/* Each frame that came ended in one way, and no other. */
static void check_ends(const struct unit_node *unit, const struct account *before, uint64_t frames)
{
	struct account now = account_of(unit);
	uint64_t answers = unit->reply_count - (now.questions - before->questions);
	uint64_t drops = now.drops - before->drops;

	FUZZ_CHECK(answers + drops + (now.learned - before->learned) + now.parked ==
		   frames + before->parked);
	/* a frame by itself: what ends idle has executed nothing */
	if (frames == 1 && now.ends != before->ends)
		FUZZ_CHECK(now.executed == before->executed);
}

void fuzz_node_flush(struct fuzz_node *node)
{
	size_t sent_to[FUZZ_CLIENT_COUNT] = { 0 };
	const uint8_t *frames[FUZZ_BURST_MAX];
	bool is_proven;
	uint32_t client;

	if (node->burst_count == 0)
		return;
	for (uint32_t i = 0; i < node->burst_count; i++)
		frames[i] = node->burst[i];
	is_proven = has_proof(&node->twins[0], frames[0], node->burst_sizes[0]);
	FUZZ_CHECK(has_proof(&node->twins[1], frames[0], node->burst_sizes[0]) == is_proven);
	is_proven |= node->burst_count > 1;
	client = wire_get_u32(node->burst[0] + PACKET_AT_IPV4_SOURCE) - CLIENT_IPV4;
	for (uint32_t twin = 0; twin < 2; twin++) {
		struct unit_node *unit = &node->twins[twin];
		struct account before = account_of(unit);

		unit_node_receive(unit, node->burst_worker, frames, node->burst_sizes,
				  node->burst_count);
		check_ends(unit, &before, node->burst_count);
	}
	take_answers(node, sent_to);
	check_unproven(node, is_proven, client, sent_to);
	node->burst_count = 0;
}

void fuzz_node_send(struct fuzz_node *node, uint32_t worker, const uint8_t *frame, size_t size)
{
	if (!is_there(node))
		return;
	if (node->burst_count == FUZZ_BURST_MAX ||
	    (node->burst_count > 0 && node->burst_worker != worker))
		fuzz_node_flush(node);
	size = size < sizeof(node->burst[0]) ? size : sizeof(node->burst[0]);
	node->burst_worker = worker;
	node->burst_sizes[node->burst_count] = size;
	memcpy(node->burst[node->burst_count++], frame, size);
}

/* ---- other events ---- */

/* What was parked may go on. */
static void judge_unparked(struct fuzz_node *node, const struct account before[2])
{
	size_t sent_to[FUZZ_CLIENT_COUNT] = { 0 };

	for (uint32_t twin = 0; twin < 2; twin++)
		check_ends(&node->twins[twin], &before[twin], 0);
	take_answers(node, sent_to);
}

static void note_accounts(const struct fuzz_node *node, struct account before[2])
{
	for (uint32_t twin = 0; twin < 2; twin++)
		before[twin] = account_of(&node->twins[twin]);
}

void fuzz_node_advance(struct fuzz_node *node, uint32_t ms)
{
	struct account before[2];

	if (!is_there(node))
		return;
	fuzz_node_flush(node);
	note_accounts(node, before);
	for (uint32_t twin = 0; twin < 2; twin++) {
		unit_node_advance(&node->twins[twin], ms);
		unit_node_unpark(&node->twins[twin]);
		for (uint32_t turn = 0; turn < ADVANCE_TURNS; turn++)
			unit_node_settle_once(&node->twins[twin]);
	}
	judge_unparked(node, before);
}

void fuzz_node_set_access(struct fuzz_node *node, uint32_t partition, enum route_access access)
{
	struct account before[2];

	if (!is_there(node))
		return;
	fuzz_node_flush(node);
	note_accounts(node, before);
	for (uint32_t twin = 0; twin < 2; twin++)
		unit_node_set_access(&node->twins[twin], partition, access);
	judge_unparked(node, before);
}

void fuzz_node_rotate_owners(struct fuzz_node *node)
{
	struct account before[2];

	if (!is_there(node))
		return;
	fuzz_node_flush(node);
	note_accounts(node, before);
	publish(node, node->map_version++);
	judge_unparked(node, before);
}

/* What only memory of the EAL points to looks leaked. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
