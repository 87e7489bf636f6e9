/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams that make sense, and then some damage. */
#include "tests/fuzz/fuzz_story.h"

#include <string.h>

#include "dataplane/packet_build.h"
#include "dataplane/request_execute.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"
#include "dataplane/wire_partition.h"
#include "tests/fuzz/fuzz_frame.h"

#define KEY_COUNT 12u

struct story {
	struct fuzz_node *node;
	struct fuzz_reader reader;
	bool waits; /* the present step's frame does, for more of its burst */
	struct unit_datagram datagram;
};

/* ---- operations ---- */

/* Few keys, so that operations meet; of all sizes. */
static uint16_t key_of(uint32_t number, uint8_t key[WIRE_KEY_SIZE_MAX])
{
	static const uint16_t sizes[KEY_COUNT] = { 1, 2, 3, 4, 7, 8, 9, 16, 17, 64, 249, 250 };

	number %= KEY_COUNT;
	memset(key, 'a' + (int)number, sizes[number]);
	return sizes[number];
}

static uint32_t value_size_of(struct story *story)
{
	static const uint16_t sizes[] = {
		0, 1, 2, 7, 8, 9, 16, 17, 20, 100, 500, 1000, 1200, 1300
	};
	uint8_t choice = fuzz_u8(&story->reader);

	if (choice & 0x80)
		return fuzz_u16(&story->reader) % 1500u;
	return sizes[choice % (sizeof(sizes) / sizeof(sizes[0]))];
}

/* Numbers as INCREMENT wants them, text as it stores them, or any bytes. */
static void fill_value(struct story *story, uint8_t *value, uint32_t size)
{
	uint8_t choice = fuzz_u8(&story->reader);

	memset(value, choice & 1 ? '0' + choice % 10 : choice, size);
	if (choice & 0x40 && size >= 8)
		wire_put_u64(value, fuzz_number(&story->reader, 8));
	if (choice & 0x20 && size >= 1)
		value[0] = '-';
}

static uint8_t flags_of(struct story *story, uint8_t opcode)
{
	uint8_t choice = fuzz_u8(&story->reader);

	if (choice & 0x80)
		return choice; /* any */
	if (opcode == WIRE_CAS)
		return WIRE_HAS_VERSION | (choice & WIRE_HAS_TTL);
	if (opcode == WIRE_TOUCH || opcode == WIRE_GET_AND_TOUCH)
		return WIRE_HAS_TTL;
	if (opcode == WIRE_DELETE)
		return choice & WIRE_HAS_VERSION;
	if (opcode == WIRE_GET || opcode == WIRE_APPEND || opcode == WIRE_EXISTS ||
	    opcode == WIRE_TTL)
		return 0;
	return choice & WIRE_HAS_TTL;
}

static bool has_value(uint8_t opcode)
{
	return opcode == WIRE_SET || opcode == WIRE_ADD || opcode == WIRE_REPLACE ||
	       opcode == WIRE_CAS || opcode == WIRE_APPEND;
}

/* Adds an operation; false when the datagram is full. */
static bool add_operation(struct story *story)
{
	uint8_t value[1500];
	uint8_t key[WIRE_KEY_SIZE_MAX];
	uint8_t opcode = (uint8_t)(fuzz_u8(&story->reader) % (WIRE_OPCODE_COUNT + 1));
	struct wire_request_op op = {
		.opcode = opcode,
		.flags = flags_of(story, opcode),
		.key_size = key_of(fuzz_u8(&story->reader), key),
		.key = key,
		.value = value,
	};

	if (opcode == WIRE_INCREMENT)
		op.value_size = 8u << (fuzz_u8(&story->reader) & 1);
	else if (has_value(opcode))
		op.value_size = value_size_of(story);
	fill_value(story, value, op.value_size);
	if (op.flags & WIRE_HAS_TTL)
		op.ttl_ms = fuzz_u16(&story->reader);
	if (op.flags & WIRE_HAS_VERSION)
		op.version = fuzz_u8(&story->reader) & 1 ? story->node->version_seen
							 : fuzz_number(&story->reader, 8);
	if (story->datagram.size + wire_request_op_size(&op) > UNIT_NODE_DATAGRAM_MAX)
		return false;
	wire_request_op_write(story->datagram.payload + story->datagram.size, &op);
	story->datagram.size += wire_request_op_size(&op);
	story->datagram.payload[WIRE_AT_OP_COUNT]++;
	return true;
}

/* ---- datagrams ---- */

static void put_header(struct story *story, const struct wire_header *header)
{
	wire_header_write(story->datagram.payload, header);
	story->datagram.size = WIRE_HEADER_SIZE;
}

/* Where operation 'number' of the datagram begins, by turns; NULL when it has none that can be read. */
static uint8_t *find_operation(struct unit_datagram *datagram, uint8_t number)
{
	uint8_t *end = datagram->payload + datagram->size;
	uint8_t *first = datagram->payload + WIRE_HEADER_SIZE;
	uint8_t *at = first;
	struct wire_request_op op;

	if (datagram->size < WIRE_HEADER_SIZE)
		return NULL;
	for (uint32_t i = number % 8; i > 0; i--) {
		const uint8_t *next = wire_request_op_read(at, end, &op);

		at = next && next < end ? (uint8_t *)(uintptr_t)next : first;
	}
	return wire_request_op_read(at, end, &op) ? at : NULL;
}

/* A field of an operation lies. */
static void damage_operation(struct story *story, uint8_t field)
{
	uint8_t *at = find_operation(&story->datagram, fuzz_u8(&story->reader));
	uint16_t value = fuzz_u16(&story->reader);

	if (!at)
		return;
	switch (field) {
	case 0:
		at[0] = (uint8_t)value;
		break;
	case 1:
		at[1] = (uint8_t)value;
		break;
	case 2:
		wire_put_u16(at + 2, (uint16_t)(wire_get_u16(at + 2) + value));
		break;
	case 3:
		wire_put_u32(at + 4, wire_get_u32(at + 4) + value);
		break;
	default:
		wire_put_u32(at + 4, (uint32_t)value << 16 | value);
		break;
	}
}

/* One field of the datagram lies: those of the header, or of one of its operations. */
static void damage_field(struct story *story)
{
	uint8_t *payload = story->datagram.payload;
	uint8_t field = fuzz_u8(&story->reader) % 10;

	if (field < 5) {
		damage_operation(story, field);
		return;
	}
	switch (field) {
	case 5:
		payload[WIRE_AT_OP_COUNT] = fuzz_u8(&story->reader);
		break;
	case 6:
		payload[WIRE_AT_KIND] = fuzz_u8(&story->reader) % 12;
		break;
	case 7:
		payload[WIRE_AT_SESSION_ID + (fuzz_u8(&story->reader) & 3)] ^=
			fuzz_u8(&story->reader);
		break;
	case 8:
		payload[WIRE_AT_TOKEN + (fuzz_u8(&story->reader) & 7)] ^= fuzz_u8(&story->reader);
		break;
	default:
		wire_put_u32(payload + WIRE_AT_SEQUENCE, (uint32_t)fuzz_number(&story->reader, 4));
		break;
	}
}

/* Overwrites a few bytes, cuts or lengthens, or makes a field lie; mostly does nothing, and says so. */
static bool damage(struct story *story)
{
	struct unit_datagram *datagram = &story->datagram;
	uint8_t choice = fuzz_u8(&story->reader);

	if (choice < 0xc0)
		return false;
	for (uint32_t i = choice & 3; i > 0 && datagram->size > 4; i--) {
		size_t at = 2 + fuzz_u16(&story->reader) % (datagram->size - 2);

		datagram->payload[at] = fuzz_u8(&story->reader);
	}
	if (choice & 0x08 && datagram->size >= WIRE_HEADER_SIZE)
		damage_field(story);
	if (choice & 0x10)
		datagram->size = fuzz_u16(&story->reader) % (datagram->size + 1);
	if (choice & 0x20 && datagram->size + 8 <= UNIT_NODE_DATAGRAM_MAX) {
		memset(datagram->payload + datagram->size, choice, 8);
		datagram->size += choice & 7;
	}
	return true;
}

/* Notes what a reply to the datagram may look like, if it is a REQUEST. */
static void note_asked(struct story *story)
{
	struct fuzz_node *node = story->node;
	const uint8_t *at = story->datagram.payload + WIRE_HEADER_SIZE;
	const uint8_t *end = story->datagram.payload + story->datagram.size;
	struct wire_request_op op;
	struct fuzz_asked *asked;
	struct wire_header header;

	if (!wire_header_read(story->datagram.payload, story->datagram.size, &header) ||
	    header.kind != WIRE_REQUEST)
		return;
	asked = &node->asked[node->asked_next++ % FUZZ_ASKED_MAX];
	*asked = (struct fuzz_asked){ .token = header.token,
				      .session_id = header.session_id,
				      .sequence = header.sequence };
	while (asked->op_count < header.op_count &&
	       (at = wire_request_op_read(at, end, &op)) != NULL)
		asked->opcodes[asked->op_count++] = op.opcode;
}

static void send_from(struct story *story, const struct packet_flow *flow, bool has_checksum)
{
	uint8_t frame[2048];
	size_t size;

	memcpy(frame + PACKET_AT_UDP_PAYLOAD, story->datagram.payload, story->datagram.size);
	size = packet_build_udp(frame, flow, story->datagram.size,
				has_checksum ? UDP_CHECKSUM_SOFTWARE : UDP_CHECKSUM_ABSENT);
	fuzz_node_send(story->node, (uint32_t)flow->destination_port - UNIT_NODE_PORT, frame, size);
	if (!story->waits)
		fuzz_node_flush(story->node);
}

static void send_of_client(struct story *story, const struct fuzz_client *client, uint8_t choice)
{
	struct packet_flow flow = {
		.source_mac = { 0x02, 0x47, 0, 0, 0, 2 },
		.source_ipv4 = client->is.ipv4,
		.destination_ipv4 = UNIT_NODE_IPV4,
		.source_port = client->is.port,
		.destination_port = (uint16_t)(UNIT_NODE_PORT + (choice & 1)),
	};

	unit_node_mac(flow.destination_mac, 0);
	note_asked(story);
	send_from(story, &flow, !(choice & 2));
}

static uint32_t sequence_of(struct story *story, struct fuzz_client *client, uint8_t choice)
{
	switch (choice & 3) {
	case 0:
	case 1:
		return ++client->is.sequence;
	case 2:
		return client->is.sequence; /* a copy, or something else under the same number */
	default:
		return client->is.sequence += (uint32_t)fuzz_u16(&story->reader) - 0x4000u;
	}
}

static void make_request(struct story *story, struct fuzz_client *client)
{
	uint8_t choice = fuzz_u8(&story->reader);
	const struct wire_header header = {
		.kind = WIRE_REQUEST,
		.session_id = client->is.session_id,
		.token = client->is.token,
		.sequence = sequence_of(story, client, choice),
		.map_version = 1,
	};
	uint32_t op_count = choice >> 2;

	put_header(story, &header);
	if (op_count == 63)
		op_count = WIRE_OP_COUNT_MAX;
	else
		op_count = op_count % 12;
	while (op_count > 0 && add_operation(story))
		op_count--;
	damage(story);
}

/* ---- steps of clients ---- */

static struct fuzz_client *choose_client(struct story *story, uint8_t choice)
{
	return &story->node->clients[choice >> 2 & 3];
}

static void step_request(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	struct fuzz_client *client = choose_client(story, choice);

	make_request(story, client);
	if (choice & 0x80) /* in the session of another */
		client = choose_client(story, choice >> 2);
	send_of_client(story, client, choice);
}

static void step_hello(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	struct fuzz_client *client = choose_client(story, choice);
	const struct wire_header header = { .kind = WIRE_HELLO };
	const struct wire_hello hello = {
		/* of this story: the session of an earlier one must not come back */
		.client_nonce = story->node->stories * 4 + (choice >> 6),
		.challenge = choice & 0x10   ? client->challenge
			     : choice & 0x20 ? fuzz_number(&story->reader, 8)
					     : 0,
	};

	put_header(story, &header);
	wire_hello_write(story->datagram.payload + WIRE_HEADER_SIZE, &hello);
	story->datagram.size += WIRE_HELLO_BODY_SIZE;
	damage(story);
	send_of_client(story, client, choice);
}

static void step_datagram(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	const uint8_t *bytes;
	size_t size;

	bytes = fuzz_bytes(&story->reader, fuzz_u16(&story->reader) % UNIT_NODE_PAYLOAD_MAX, &size);
	memcpy(story->datagram.payload, bytes, size);
	if (size > 2 && choice & 0x10) {
		story->datagram.payload[WIRE_AT_MAGIC] = WIRE_MAGIC;
		story->datagram.payload[WIRE_AT_VERSION] = WIRE_VERSION;
	}
	story->datagram.size = size;
	send_of_client(story, choose_client(story, choice), choice);
}

static void step_map_request(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	const struct fuzz_client *client = choose_client(story, choice);
	const struct wire_header header = { .kind = WIRE_MAP_REQUEST,
					    .session_id = client->is.session_id,
					    .token = client->is.token };

	put_header(story, &header);
	memset(story->datagram.payload + WIRE_HEADER_SIZE, 0, WIRE_MAP_REQUEST_BODY_SIZE);
	wire_map_request_write(story->datagram.payload + WIRE_HEADER_SIZE,
			       choice & 0x10 ? fuzz_u16(&story->reader) : 0);
	story->datagram.size += WIRE_MAP_REQUEST_BODY_SIZE;
	damage(story);
	send_of_client(story, client, choice);
}

static void step_ping(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	const struct wire_header header = { .kind = WIRE_PING, .token = choice };
	size_t size = fuzz_u16(&story->reader) % (UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE);

	put_header(story, &header);
	memset(story->datagram.payload + WIRE_HEADER_SIZE, choice, size);
	story->datagram.size += size;
	send_of_client(story, choose_client(story, choice), choice);
}

static void step_frame(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	uint8_t frame[2048] = { 0 };
	const uint8_t *bytes;
	size_t size;

	bytes = fuzz_bytes(&story->reader, fuzz_u16(&story->reader) % sizeof(frame), &size);
	memcpy(frame, bytes, size);
	if (choice & 0x10)
		size = fuzz_frame_repair(frame, size, sizeof(frame),
					 (enum fuzz_frame_kind)(choice >> 5) % FUZZ_FRAME_KINDS);
	/* as from somebody whom no client is */
	if (size > PACKET_AT_IPV4_SOURCE + 4)
		frame[PACKET_AT_IPV4_SOURCE + 1] = 77;
	fuzz_frame_seal(frame, size);
	fuzz_node_send(story->node, choice & 1, frame, size);
	if (!story->waits)
		fuzz_node_flush(story->node);
}

/* ---- steps of others ---- */

static void send_of_node(struct story *story, uint32_t from, uint16_t worker)
{
	struct packet_flow flow = {
		.source_ipv4 = UNIT_NODE_IPV4 + from,
		.destination_ipv4 = UNIT_NODE_IPV4,
		.source_port = UNIT_NODE_PORT,
		.destination_port = (uint16_t)(UNIT_NODE_PORT + worker),
	};

	unit_node_mac(flow.source_mac, from);
	unit_node_mac(flow.destination_mac, 0);
	send_from(story, &flow, true);
}

/* The sum of the epochs by which the datagram's keys are owned. */
static uint32_t ownership_of(const struct story *story)
{
	const struct route_table *route = story->node->twins[0].route;
	const uint8_t *at = story->datagram.payload + WIRE_HEADER_SIZE;
	const uint8_t *end = story->datagram.payload + story->datagram.size;
	struct wire_request_op op;
	uint32_t sum = 0;

	if (!route || story->datagram.size < WIRE_HEADER_SIZE)
		return 0;
	while ((at = wire_request_op_read(at, end, &op)) != NULL)
		sum += route->epochs[wire_partition_of(op.key, op.key_size, FUZZ_PARTITION_COUNT)];
	return sum;
}

/* Puts what is in the datagram into a FORWARD or FORWARD_REPLY; false when it would be too large. */
static bool wrap(struct story *story, const struct wire_header *header,
		 const struct wire_forward *body)
{
	struct unit_datagram *datagram = &story->datagram;

	if (datagram->size + WIRE_FORWARD_SIZE > UNIT_NODE_PAYLOAD_MAX)
		return false;
	memmove(datagram->payload + WIRE_FORWARD_SIZE, datagram->payload, datagram->size);
	wire_header_write(datagram->payload, header);
	wire_forward_write(datagram->payload + WIRE_HEADER_SIZE, body);
	datagram->size += WIRE_FORWARD_SIZE;
	return true;
}

static void step_forward(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	struct fuzz_client *client = choose_client(story, choice);
	uint32_t from = 1 + (choice >> 4 & 1);
	const struct wire_header header = { .kind = WIRE_FORWARD,
					    .token = fuzz_node_token(from, 0),
					    .map_version = 1 };
	struct wire_forward body = {
		.client_ipv4 = client->is.ipv4,
		.client_port = client->is.port,
		.entry_port = UNIT_NODE_PORT,
		.hop_count = 1,
	};

	make_request(story, client);
	/* mostly in a session that the client has with the other node */
	if (!(choice & 0x40) && story->datagram.size >= WIRE_HEADER_SIZE)
		story->datagram.payload[WIRE_AT_TOKEN] ^= (uint8_t)from;
	body.ownership = ownership_of(story);
	if (choice & 0x20)
		body.ownership += (uint32_t)fuzz_u8(&story->reader) - 128u;
	body.flags = fuzz_u8(&story->reader);
	note_asked(story);
	if (!wrap(story, &header, &body))
		return;
	story->node->is_misled |= damage(story);
	send_of_node(story, from, choice & 1);
}

/* A reply to the request that the node forwarded last, as its owner might give it. */
static void answer_forwarded(struct story *story, const uint8_t *request, size_t size)
{
	const uint8_t *at = request + WIRE_HEADER_SIZE;
	uint8_t *to = story->datagram.payload + WIRE_HEADER_SIZE;
	struct wire_request_op op;

	memcpy(story->datagram.payload, request, WIRE_HEADER_SIZE);
	story->datagram.payload[WIRE_AT_KIND] = WIRE_REPLY;
	while ((at = wire_request_op_read(at, request + size, &op)) != NULL) {
		uint8_t status = (uint8_t)(fuzz_u8(&story->reader) % WIRE_NEED_HELLO);
		uint32_t value_size = status == WIRE_OK ? 8 : 0;

		to = wire_reply_op_write(to, op.opcode, status, 77, value_size);
		memset(to, 'v', value_size);
		to += value_size;
	}
	story->datagram.size = (size_t)(to - story->datagram.payload);
}

static void step_forward_reply(struct story *story)
{
	const struct fuzz_frame_out *forwarded = &story->node->forwarded;
	const uint8_t *outside = forwarded->bytes + PACKET_AT_UDP_PAYLOAD;
	uint8_t choice = fuzz_u8(&story->reader);
	struct wire_header header = { .kind = WIRE_FORWARD_REPLY };
	struct wire_forward body;
	uint32_t from;

	fuzz_node_flush(story->node);
	if (forwarded->size == 0)
		return;
	from = wire_get_u32(forwarded->bytes + PACKET_AT_IPV4_DESTINATION) - UNIT_NODE_IPV4;
	if (choice & 0x10)
		from = 3 - from;
	header.token = fuzz_node_token(from, 0);
	wire_forward_read(outside + WIRE_HEADER_SIZE, &body);
	if (choice & 0x20)
		body.flags ^= fuzz_u8(&story->reader);
	if (choice & 0x40)
		body.ownership += fuzz_u8(&story->reader);
	answer_forwarded(story, outside + WIRE_FORWARD_SIZE,
			 forwarded->size - PACKET_HEADERS_SIZE - WIRE_FORWARD_SIZE);
	if (!wrap(story, &header, &body))
		return;
	if (choice & 0x80)
		story->node->is_misled |= damage(story);
	send_of_node(
		story, from,
		(uint16_t)(wire_get_u16(forwarded->bytes + PACKET_AT_UDP_SOURCE) - UNIT_NODE_PORT));
}

/* An ARP frame of another node, or of anybody. */
static void step_arp(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	uint8_t frame[64] = { 0 };
	uint32_t from = choice & 3;
	size_t size;

	unit_node_mac(frame + PACKET_AT_SOURCE_MAC, from);
	unit_node_mac(frame + PACKET_AT_ARP_SENDER_MAC, from);
	frame[PACKET_AT_ARP_OPERATION + 1] = choice >> 2 & 3;
	wire_put_u32(frame + PACKET_AT_ARP_SENDER_IPV4, UNIT_NODE_IPV4 + from);
	size = fuzz_frame_repair(frame, 60, sizeof(frame), FUZZ_FRAME_ARP);
	fuzz_node_send(story->node, 0, frame, size);
	if (!story->waits)
		fuzz_node_flush(story->node);
}

/* ---- the story ---- */

/* What dataplane_set_access() can set. */
static void step_access(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	uint8_t access = (uint8_t)((choice >> 4) % (ROUTE_REFUSED + 1));

	if (access < ROUTE_WRITES_PARKED)
		access = ROUTE_BY_OWNER;
	fuzz_node_set_access(story->node, choice % FUZZ_PARTITION_COUNT, (enum route_access)access);
}

static void play_step(struct story *story, enum fuzz_step step)
{
	switch (step) {
	case FUZZ_STEP_REQUEST:
		step_request(story);
		break;
	case FUZZ_STEP_HELLO:
		step_hello(story);
		break;
	case FUZZ_STEP_DATAGRAM:
		step_datagram(story);
		break;
	case FUZZ_STEP_MAP_REQUEST:
		step_map_request(story);
		break;
	case FUZZ_STEP_PING:
		step_ping(story);
		break;
	case FUZZ_STEP_FRAME:
		step_frame(story);
		break;
	case FUZZ_STEP_ADVANCE:
		fuzz_node_advance(story->node, fuzz_u16(&story->reader));
		break;
	case FUZZ_STEP_ACCESS:
		step_access(story);
		break;
	case FUZZ_STEP_FORWARD:
		step_forward(story);
		break;
	case FUZZ_STEP_FORWARD_REPLY:
		step_forward_reply(story);
		break;
	case FUZZ_STEP_ARP:
		step_arp(story);
		break;
	case FUZZ_STEP_ROTATE:
		fuzz_node_rotate_owners(story->node);
		break;
	}
}

static void play(struct story *story, const struct fuzz_steps *steps, uint16_t *bounds,
		 uint32_t *count)
{
	const uint8_t *first = story->reader.at;

	*count = 0;
	for (uint32_t i = 0; i < FUZZ_STEP_MAX && fuzz_left(&story->reader) > 0; i++) {
		uint8_t choice;

		if (bounds)
			bounds[(*count)++] = (uint16_t)(story->reader.at - first);
		choice = fuzz_u8(&story->reader);
		story->waits = choice & 0x80;
		play_step(story, steps->kinds[(choice & 0x7f) % steps->count]);
	}
	if (bounds)
		bounds[*count] = (uint16_t)(story->reader.at - first);
}

void fuzz_story_play(struct fuzz_node *node, const uint8_t *data, size_t size,
		     const struct fuzz_steps *steps)
{
	struct story story = { .node = node, .reader = fuzz_reader(data, size) };
	uint32_t count;

	play(&story, steps, NULL, &count);
	fuzz_node_flush(node);
}

uint32_t fuzz_story_bounds(const uint8_t *data, size_t size, const struct fuzz_steps *steps,
			   uint16_t bounds[FUZZ_STEP_MAX + 1])
{
	static struct fuzz_node nobody;
	struct story story = { .node = &nobody, .reader = fuzz_reader(data, size) };
	uint32_t count;

	play(&story, steps, bounds, &count);
	return count;
}
