/* SPDX-License-Identifier: BSD-3-Clause */
/* What nodes tell each other about the cluster: packets, whole states, records; and the machine that takes them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/gossip.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_proto.h"

#define STATE_SIZE_MAX 65536u
#define STEP_MAX 64u

/* ---- codecs ---- */

static void check_claim(const struct membership_claim *a, const struct membership_claim *b)
{
	FUZZ_CHECK(a->from_count <= MEMBERSHIP_CLAIM_FROM_MAX && a->id != 0);
	FUZZ_CHECK(memcmp(a, b, sizeof(*a)) == 0);
}

static void check_slice(const struct gossip_slice *a, const struct gossip_slice *b)
{
	FUZZ_CHECK(a->size == b->size);
	FUZZ_CHECK(a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

static void check_owner(const struct partition_owner *a, const struct partition_owner *b)
{
	FUZZ_CHECK(a->partition < PARTITION_COUNT_MAX && a->epoch <= PARTITION_EPOCH_MAX);
	FUZZ_CHECK(a->partition == b->partition && a->owner == b->owner && a->epoch == b->epoch);
}

static void check_same_packet(const struct gossip_packet *a, const struct gossip_packet *b)
{
	FUZZ_CHECK(a->sender == b->sender && a->generation == b->generation);
	FUZZ_CHECK(a->cluster_id == b->cluster_id && a->kind == b->kind);
	FUZZ_CHECK(a->sequence == b->sequence && a->target == b->target);
	FUZZ_CHECK(node_address_equals(&a->target_address, &b->target_address));
	FUZZ_CHECK(a->map_stamp == b->map_stamp && a->record_count == b->record_count);
	FUZZ_CHECK(a->claim_count == b->claim_count && a->owner_count == b->owner_count);
	for (uint32_t i = 0; i < a->record_count; i++)
		check_slice(&a->records[i], &b->records[i]);
	for (uint32_t i = 0; i < a->claim_count; i++)
		check_claim(&a->claims[i], &b->claims[i]);
	for (uint32_t i = 0; i < a->owner_count; i++)
		check_owner(&a->owners[i], &b->owners[i]);
}

static void check_packet(const uint8_t *data, size_t size)
{
	/* numbers of more digits than they need are written shorter, never longer; absent fields stay so */
	static uint8_t bytes[2 * GOSSIP_PACKET_SIZE_MAX];
	struct gossip_packet packet;
	struct gossip_packet again;
	int written;

	if (gossip_packet_decode(&packet, data, size) != 0)
		return;
	written = gossip_packet_encode(&packet, bytes, sizeof(bytes));
	FUZZ_CHECK(written > 0);
	if (written <= (int)GOSSIP_PACKET_SIZE_MAX) {
		FUZZ_CHECK(gossip_packet_decode(&again, bytes, (size_t)written) == 0);
		check_same_packet(&packet, &again);
		gossip_packet_release(&again);
	}
	gossip_packet_release(&packet);
}

static void check_state(const uint8_t *data, size_t size)
{
	static uint8_t bytes[2 * STATE_SIZE_MAX];
	struct gossip_state again;
	struct gossip_state state;
	int written;

	if (gossip_state_decode(&state, data, size) != 0)
		return;
	written = gossip_state_encode(&state, bytes, sizeof(bytes));
	if (written > 0) {
		FUZZ_CHECK(gossip_state_decode(&again, bytes, (size_t)written) == 0);
		FUZZ_CHECK(state.sender == again.sender && state.scope == again.scope);
		FUZZ_CHECK(state.is_request == again.is_request);
		FUZZ_CHECK(state.record_count == again.record_count);
		FUZZ_CHECK(state.claim_count == again.claim_count);
		FUZZ_CHECK(state.partition_count == again.partition_count);
		for (uint32_t i = 0; i < state.record_count; i++)
			check_slice(&state.records[i], &again.records[i]);
		for (uint32_t i = 0; i < state.claim_count; i++)
			check_claim(&state.claims[i], &again.claims[i]);
		for (uint32_t p = 0; p < state.partition_count; p++)
			check_owner(&state.owners[p], &again.owners[p]);
		gossip_state_release(&again);
	}
	gossip_state_release(&state);
}

static void check_record(const uint8_t *data, size_t size)
{
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	struct node again;
	struct node node;
	int written;

	if (node_record_decode(&node, data, size) != 0)
		return;
	FUZZ_CHECK(node.id != 0 && node.generation != 0 && node_name_is_valid(node.name));
	FUZZ_CHECK(node.workers <= WORKER_COUNT_MAX && node.weight <= NODE_WEIGHT_MAX);
	written = node_record_encode(&node, bytes, sizeof(bytes));
	FUZZ_CHECK(written > 0);
	FUZZ_CHECK(node_record_decode(&again, bytes, (size_t)written) == 0);
	FUZZ_CHECK(node_compare_age(&node, &again) == 0 && node_content_equals(&node, &again));
}

/* ---- the machine ---- */

static struct node node_of(uint64_t id, uint64_t generation)
{
	struct node node = {
		.id = id,
		.generation = generation,
		.state = NODE_ACTIVE,
		.control = node_address_ipv4((uint32_t)(0x0a000000 + id), GOSSIP_PORT_DEFAULT),
		.weight = NODE_WEIGHT_DEFAULT,
	};

	snprintf(node.name, sizeof(node.name), "n%u", (unsigned)id);
	return node;
}

static void check_action(const struct gossip_action *action)
{
	struct gossip_packet packet;

	switch (action->kind) {
	case GOSSIP_SEND:
		FUZZ_CHECK(action->size <= GOSSIP_PACKET_SIZE_MAX);
		FUZZ_CHECK(gossip_packet_decode(&packet, action->bytes, action->size) == 0);
		FUZZ_CHECK(packet.sender == 1);
		gossip_packet_release(&packet);
		break;
	case GOSSIP_MEMBER_CHANGED:
		FUZZ_CHECK(action->before <= MEMBER_UNKNOWN && action->after <= MEMBER_UNKNOWN);
		break;
	case GOSSIP_PEER_IMPORTS:
		FUZZ_CHECK(action->partition < PARTITION_COUNT_MAX);
		break;
	default:
		break;
	}
}

/* Epochs only grow, whatever others say. */
static void check_map(const struct gossip *gossip, uint32_t epochs[PARTITION_COUNT_MAX])
{
	const struct partition_map *map = gossip_map(gossip);

	for (uint32_t p = 0; p < map->partition_count; p++) {
		uint32_t epoch = partition_map_epoch(map, p);

		FUZZ_CHECK(epoch >= epochs[p] && epoch <= PARTITION_EPOCH_MAX);
		epochs[p] = epoch;
	}
}

static void take(struct gossip *gossip, uint64_t now_ms, const struct gossip_event *event,
		 uint32_t epochs[PARTITION_COUNT_MAX])
{
	struct gossip_actions actions = gossip_step(gossip, now_ms, event);

	for (uint32_t i = 0; i < actions.count; i++)
		check_action(&actions.items[i]);
	check_map(gossip, epochs);
}

/* An input of steps: what happens, then its bytes. */
static void check_machine(const uint8_t *data, size_t size)
{
	struct gossip_options options = {
		.membership = { .seed = 1, .node_count_max = 8 },
		.partition_count_max = 16,
	};
	const struct gossip_event timer = { .kind = GOSSIP_TIMER };
	struct fuzz_reader reader = fuzz_reader(data, size);
	uint32_t epochs[PARTITION_COUNT_MAX] = { 0 };
	struct node self = node_of(1, 100);
	uint64_t now_ms = 1000;
	struct gossip *gossip;

	FUZZ_CHECK(gossip_create(&gossip, &options, &self, now_ms) == 0);
	for (uint32_t step = 0; step < STEP_MAX && fuzz_left(&reader) > 0; step++) {
		uint8_t choice = fuzz_u8(&reader);
		struct gossip_event event = { .kind = choice % 8,
					      .from = node_address_ipv4(0x0a000002, 7800),
					      .partition_count = 8,
					      .id = choice >> 4,
					      .node = &self,
					      .is_stalled = choice & 0x80 };

		if (event.kind == GOSSIP_TIMER) {
			now_ms += fuzz_u16(&reader);
			while (gossip_deadline_ms(gossip) <= now_ms)
				take(gossip, now_ms, &timer, epochs);
			continue;
		}
		if (event.kind == GOSSIP_PACKET || event.kind == GOSSIP_STATE)
			event.bytes = fuzz_bytes(&reader, fuzz_u16(&reader) % 2048, &event.size);
		if (event.kind == GOSSIP_BOOTSTRAP && gossip_is_joined(gossip))
			continue;
		if (event.kind == GOSSIP_BOOTSTRAP && event.id == 0)
			event.id = 5;
		take(gossip, now_ms, &event, epochs);
	}
	gossip_destroy(gossip);
}

/* An input: which of the four, then its bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > STATE_SIZE_MAX)
		return 0;
	switch (data[0] % 4) {
	case 0:
		check_packet(data + 1, size - 1);
		break;
	case 1:
		check_state(data + 1, size - 1);
		break;
	case 2:
		check_record(data + 1, size - 1);
		break;
	default:
		check_machine(data + 1, size - 1);
		break;
	}
	return 0;
}

/* ---- mutation ---- */

static size_t write_record(uint8_t *bytes, unsigned *seed)
{
	struct node node = node_of(1 + fuzz_below(seed, 9), 99 + fuzz_below(seed, 3));
	int size;

	node.incarnation = fuzz_interesting(seed, 64) & 7;
	node.record_version = fuzz_interesting(seed, 64);
	node.state = (enum node_state)(1 + fuzz_below(seed, 3));
	node.workers = (uint16_t)fuzz_below(seed, 5);
	node.map_stamp = fuzz_interesting(seed, 64);
	for (uint32_t i = fuzz_below(seed, 4); i > 0; i--)
		partition_set_add(&node.importing_partitions, fuzz_below(seed, 8));
	size = node_record_encode(&node, bytes, NODE_RECORD_SIZE_MAX);
	return size > 0 ? (size_t)size : 0;
}

static struct membership_claim make_claim(unsigned *seed)
{
	struct membership_claim claim = { .id = 1 + fuzz_below(seed, 9),
					  .generation = 99 + fuzz_below(seed, 3),
					  .incarnation = fuzz_below(seed, 8),
					  .kind = 1 + fuzz_below(seed, 3),
					  .from_count = fuzz_below(seed, 3) };

	for (uint32_t i = 0; i < claim.from_count; i++)
		claim.from[i] = 1 + fuzz_below(seed, 9);
	return claim;
}

static size_t write_packet(uint8_t *bytes, size_t size_max, unsigned *seed)
{
	static uint8_t record[NODE_RECORD_SIZE_MAX];
	struct gossip_packet packet = { .sender = 2 + fuzz_below(seed, 8),
					.generation = 99 + fuzz_below(seed, 3),
					.cluster_id = fuzz_below(seed, 2) ? 5 : fuzz_below(seed, 9),
					.kind = 1 + fuzz_below(seed, 5),
					.sequence = fuzz_below(seed, 4),
					.target = 1 + fuzz_below(seed, 9),
					.map_stamp = fuzz_interesting(seed, 64),
					.record_count = fuzz_below(seed, 2),
					.claim_count = fuzz_below(seed, 3),
					.owner_count = fuzz_below(seed, 3) };
	int size;

	packet.records[0] = (struct gossip_slice){ record, write_record(record, seed) };
	for (uint32_t i = 0; i < packet.claim_count; i++)
		packet.claims[i] = make_claim(seed);
	for (uint32_t i = 0; i < packet.owner_count; i++)
		packet.owners[i] =
			(struct partition_owner){ .partition = fuzz_below(seed, 10),
						  .owner = 1 + fuzz_below(seed, 9),
						  .epoch = (uint32_t)fuzz_interesting(seed, 24) };
	size = gossip_packet_encode(&packet, bytes, size_max);
	return size > 0 ? (size_t)size : 0;
}

/* A whole state: members, claims, and a map of all partitions or none. */
static size_t write_state(uint8_t *bytes, size_t size_max, unsigned *seed)
{
	static const uint32_t counts[] = { 0, 8, 8, 8, 16, 7 };
	static uint8_t room[9][NODE_RECORD_SIZE_MAX];
	struct partition_owner owners[16] = { 0 };
	struct membership_claim claims[4];
	struct gossip_slice records[9];
	struct gossip_state state = { .sender = 1 + fuzz_below(seed, 9),
				      .generation = 99 + fuzz_below(seed, 3),
				      .cluster_id = fuzz_below(seed, 2) ? 5 : fuzz_below(seed, 9),
				      .is_request = fuzz_below(seed, 2),
				      .scope = 1 + fuzz_below(seed, 2),
				      .record_count = fuzz_below(seed, 9),
				      .claim_count = fuzz_below(seed, 4),
				      .partition_count = counts[fuzz_below(seed, 6)],
				      .records = records,
				      .claims = claims,
				      .owners = owners };
	uint32_t runs = 1 + fuzz_below(seed, 9);
	int size;

	state.reply_to =
		node_address_ipv4(0x0a000000 + (uint32_t)state.sender, GOSSIP_PORT_DEFAULT);
	for (uint32_t i = 0; i < state.record_count; i++)
		records[i] = (struct gossip_slice){ room[i], write_record(room[i], seed) };
	for (uint32_t i = 0; i < state.claim_count; i++)
		claims[i] = make_claim(seed);
	for (uint32_t p = 0; p < state.partition_count; p++) {
		owners[p].owner = p % runs ? owners[p - 1].owner : fuzz_below(seed, 10);
		owners[p].epoch = fuzz_below(seed, 8) ? fuzz_below(seed, 4)
						      : (uint32_t)fuzz_interesting(seed, 25);
	}
	size = gossip_state_encode(&state, bytes, size_max);
	return size > 0 ? (size_t)size : 0;
}

/* Adds a step with a message to a story. */
static size_t add_step(uint8_t *data, size_t size, size_t size_max, unsigned *seed)
{
	static uint8_t message[2048];
	bool is_state = fuzz_below(seed, 2);
	size_t message_size = is_state ? write_state(message, sizeof(message), seed)
				       : write_packet(message, sizeof(message), seed);

	if (message_size >= sizeof(message) || size_max - size < message_size + 6)
		return size;
	data[size++] = is_state ? GOSSIP_STATE : GOSSIP_PACKET;
	data[size++] = (uint8_t)(message_size >> 8);
	data[size++] = (uint8_t)message_size;
	memcpy(data + size, message, message_size);
	size += message_size;
	if (fuzz_below(seed, 2)) {
		data[size++] = GOSSIP_TIMER;
		data[size++] = (uint8_t)fuzz_below(seed, 20);
		data[size++] = (uint8_t)fuzz_below(seed, 256);
	}
	return size;
}

/* Another message in place of the one there is. */
static size_t replace(uint8_t *data, size_t size, size_t size_max, unsigned *seed)
{
	static uint8_t message[4096];
	size_t message_size;

	if (data[0] % 4 == 0)
		message_size = write_packet(message, sizeof(message), seed);
	else if (data[0] % 4 == 1)
		message_size = write_state(message, sizeof(message), seed);
	else
		message_size = write_record(message, seed);
	if (message_size == 0 || message_size >= size_max)
		return size;
	memcpy(data + 1, message, message_size);
	return 1 + message_size;
}

/* A message more, another one, or a field more in it; else the change is libFuzzer's. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	uint32_t choice = fuzz_below(&seed, 4);

	if (size == 0 || choice > 1)
		return LLVMFuzzerMutate(data, size, size_max);
	if (data[0] % 4 == 3)
		return add_step(data, size, size_max, &seed);
	if (choice == 0)
		return replace(data, size, size_max, &seed);
	return 1 + fuzz_proto_append(data + 1, size - 1, size_max - 1, &seed);
}
