/* SPDX-License-Identifier: BSD-3-Clause */
/* A small cluster as a client sees it, and what it may conclude. */
#include "tests/fuzz/fuzz_servers.h"

#include <string.h>

#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"

#define NODE_IPV4 0x0a000001u
#define NODE_COUNT 3u
#define BASE_PORT 7700u
#define PARTITION_COUNT 8u
/* Where an operation is redirected to: a port of its own, as far as there are. */
#define REDIRECT_IPV4 0x0a090001u
#define REDIRECT_PORT 9000u
#define REDIRECT_COUNT 64u
/* Of tokens; no bytes that an input brings have it. */
#define TOKEN_BIT (UINT64_C(1) << 63)

static uint16_t worker_count_of(const struct fuzz_servers *servers)
{
	return 1 + (servers->kind & 3);
}

static uint64_t next_number(struct fuzz_servers *servers)
{
	return ++servers->counter * UINT64_C(0x9e3779b97f4a7c15) | TOKEN_BIT;
}

void fuzz_servers_begin(struct fuzz_servers *servers, uint8_t kind)
{
	servers->kind = kind;
	servers->map_version = 1;
	servers->boot_id = 1;
	servers->counter = 0;
	servers->is_confused = false;
	servers->server_count = 0;
	servers->sent_next = 0;
	servers->reply_next = 0;
	servers->asked_count = 0;
	servers->told_count = 0;
}

struct client_address fuzz_servers_address(const struct fuzz_servers *servers, uint32_t number)
{
	if (number >= NODE_COUNT * 2)
		return (struct client_address){ REDIRECT_IPV4,
						(uint16_t)(REDIRECT_PORT + number % 2) };
	return (struct client_address){ NODE_IPV4 + number % NODE_COUNT,
					(uint16_t)(BASE_PORT + number / NODE_COUNT %
								       worker_count_of(servers)) };
}

static struct fuzz_server *server_at(struct fuzz_servers *servers, struct client_address address)
{
	struct fuzz_server *server;

	for (uint32_t i = 0; i < servers->server_count; i++) {
		if (client_address_equal(servers->servers[i].address, address))
			return &servers->servers[i];
	}
	if (servers->server_count == FUZZ_SERVER_MAX)
		return NULL;
	server = &servers->servers[servers->server_count++];
	*server = (struct fuzz_server){ .address = address, .challenge = next_number(servers) };
	return server;
}

/* ---- what is asked ---- */

struct fuzz_asking *fuzz_servers_ask(struct fuzz_servers *servers,
				     struct godwit_operation *operation, enum godwit_opcode opcode,
				     uint32_t value_size)
{
	uint32_t number = servers->asked_count++;
	struct fuzz_asking *asking = &servers->askings[number];

	FUZZ_CHECK(number < FUZZ_ASKING_MAX);
	*asking = (struct fuzz_asking){ .number = number, .opcode = (uint8_t)opcode };
	memset(asking->key, 'k', sizeof(asking->key));
	wire_put_u32(asking->key, number);
	*operation = (struct godwit_operation){
		.opcode = opcode,
		.key = asking->key,
		.key_size = 4 + number % (sizeof(asking->key) - 4),
		.delta = (int64_t)number,
		.version = opcode == GODWIT_OP_CAS ? 1 + number : 0,
		.ttl_ms = number % 3,
	};
	if (opcode == GODWIT_OP_SET || opcode == GODWIT_OP_ADD || opcode == GODWIT_OP_REPLACE ||
	    opcode == GODWIT_OP_CAS || opcode == GODWIT_OP_APPEND) {
		operation->value = servers->value;
		operation->value_size = value_size;
	}
	return asking;
}

void fuzz_servers_unask(struct fuzz_servers *servers)
{
	servers->asked_count--;
}

static struct fuzz_asking *asking_of(struct fuzz_servers *servers, const struct wire_request_op *op)
{
	uint32_t number = op->key_size >= 4 ? wire_get_u32(op->key) : UINT32_MAX;

	FUZZ_CHECK(number < servers->asked_count);
	FUZZ_CHECK(op->key_size == 4 + number % (sizeof(servers->askings[0].key) - 4));
	FUZZ_CHECK(op->opcode == servers->askings[number].opcode);
	return &servers->askings[number];
}

/* ---- what arrives ---- */

static bool may_go_to(struct fuzz_servers *servers, const struct fuzz_asking *asking,
		      struct client_address address)
{
	const struct fuzz_server *server = server_at(servers, address);

	if (!server || server->gave_map || servers->is_confused || asking->was_lied_about)
		return true;
	if (address.ipv4 - NODE_IPV4 < NODE_COUNT)
		return (uint32_t)address.port - BASE_PORT < worker_count_of(servers);
	return address.ipv4 == REDIRECT_IPV4 && (asking->answers & 1u << WIRE_NOT_OWNER) &&
	       address.port == REDIRECT_PORT + asking->number % REDIRECT_COUNT;
}

static void take_operation(struct fuzz_servers *servers, struct client_address address,
			   const struct wire_header *header, struct fuzz_asking *asking)
{
	bool is_copy = asking->token == header->token && asking->sequence == header->sequence;
	bool is_write = client_opcode_is_write(asking->opcode);

	if (is_copy) {
		asking->copies++;
		return;
	}
	/* a read may come once more beside writes that wait, though it was answered */
	if (!is_write && asking->is_told)
		return;
	FUZZ_CHECK(!asking->is_told);
	FUZZ_CHECK(may_go_to(servers, asking, address));
	FUZZ_CHECK(!is_write || !asking->token || asking->may_move || asking->was_lied_about);
	asking->token = header->token;
	asking->sequence = header->sequence;
	asking->copies = 1;
	asking->may_move = false;
}

static void take_request(struct fuzz_servers *servers, struct client_address address,
			 const uint8_t *bytes, size_t size)
{
	const uint8_t *at = bytes + WIRE_HEADER_SIZE;
	struct wire_header header = { 0 };
	struct wire_request_op op = { 0 };

	FUZZ_CHECK(wire_header_read(bytes, size, &header));
	FUZZ_CHECK(header.op_count > 0 && header.session_id != 0);
	for (uint32_t i = 0; i < header.op_count; i++) {
		at = wire_request_op_read(at, bytes + size, &op);
		FUZZ_CHECK(at != NULL);
		take_operation(servers, address, &header, asking_of(servers, &op));
	}
	FUZZ_CHECK(at == bytes + size);
}

void fuzz_servers_take(struct fuzz_servers *servers, struct client_address address,
		       const uint8_t *bytes, size_t size)
{
	struct fuzz_sent *sent = &servers->sent[servers->sent_next++ % FUZZ_SENT_MAX];

	FUZZ_CHECK(size >= WIRE_HEADER_SIZE && size <= FUZZ_DATAGRAM_MAX);
	FUZZ_CHECK(address.ipv4 != 0 && address.port != 0);
	sent->packet.address = address;
	sent->packet.size = size;
	memcpy(sent->packet.bytes, bytes, size);
	sent->was_answered = false;
	switch (bytes[WIRE_AT_KIND]) {
	case WIRE_REQUEST:
		take_request(servers, address, bytes, size);
		break;
	case WIRE_HELLO:
	case WIRE_MAP_REQUEST:
		break;
	default:
		fuzz_fail(__FILE__, __LINE__, "a client sends what servers know");
	}
}

/* ---- answers ---- */

static void put_header(struct fuzz_servers *servers, const struct fuzz_packet *question,
		       enum wire_kind kind, struct fuzz_packet *packet)
{
	memcpy(packet->bytes, question->bytes, WIRE_HEADER_SIZE);
	packet->address = question->address;
	packet->size = WIRE_HEADER_SIZE;
	packet->bytes[WIRE_AT_KIND] = (uint8_t)kind;
	packet->bytes[WIRE_AT_OP_COUNT] = 0;
	wire_put_u32(packet->bytes + WIRE_AT_MAP_VERSION, servers->map_version);
}

static void answer_hello(struct fuzz_servers *servers, struct fuzz_server *server,
			 const struct fuzz_packet *question, struct fuzz_packet *packet)
{
	struct wire_hello_reply reply = {
		.boot_id = servers->boot_id,
		.stage = WIRE_HELLO_CHALLENGE,
		.version_max = 1,
		.worker_count = worker_count_of(servers),
		.partition_count = PARTITION_COUNT,
		.value_size_max = servers->kind & 4 ? 100 : 1400,
		.datagram_size_max = servers->kind & 8 ? 300 : FUZZ_DATAGRAM_MAX,
		.base_port = BASE_PORT,
		.replay_window_size = servers->kind & 16 ? 8 : 1024,
	};
	struct wire_hello hello;

	if (!wire_hello_read(question->bytes + WIRE_HEADER_SIZE, question->size - WIRE_HEADER_SIZE,
			     &hello))
		return;
	reply.client_nonce = hello.client_nonce;
	reply.challenge = server->challenge;
	put_header(servers, question, WIRE_HELLO_REPLY, packet);
	if (hello.challenge == server->challenge) {
		reply.stage = WIRE_HELLO_GRANTED;
		if (server->session_id == 0 || server->nonce != hello.client_nonce) {
			server->session_id = (uint32_t)++servers->counter;
			server->token = next_number(servers);
			server->nonce = hello.client_nonce;
			memset(server->answered, 0, sizeof(server->answered));
		}
		wire_put_u32(packet->bytes + WIRE_AT_SESSION_ID, server->session_id);
		wire_put_u64(packet->bytes + WIRE_AT_TOKEN, server->token);
	}
	wire_hello_reply_write(packet->bytes + WIRE_HEADER_SIZE, &reply);
	packet->size += WIRE_HELLO_BODY_SIZE;
}

static void answer_map(struct fuzz_servers *servers, const struct fuzz_packet *question,
		       struct fuzz_packet *packet)
{
	uint32_t room = servers->kind & 32 ? 40 : FUZZ_DATAGRAM_MAX - WIRE_HEADER_SIZE;
	struct wire_map_node nodes[NODE_COUNT];
	uint16_t owners[PARTITION_COUNT];
	const struct wire_map map = { owners, nodes, PARTITION_COUNT, NODE_COUNT };
	uint16_t first;

	for (uint32_t i = 0; i < NODE_COUNT; i++)
		nodes[i] = (struct wire_map_node){ NODE_IPV4 + i, BASE_PORT,
						   worker_count_of(servers) };
	for (uint32_t p = 0; p < PARTITION_COUNT; p++) {
		uint32_t turn = p + servers->map_version;

		owners[p] = turn % 7 == 0 ? WIRE_MAP_NO_OWNER : (uint16_t)(turn % NODE_COUNT);
	}
	FUZZ_CHECK(wire_map_request_read(question->bytes + WIRE_HEADER_SIZE,
					 question->size - WIRE_HEADER_SIZE, &first));
	put_header(servers, question, WIRE_MAP_REPLY, packet);
	packet->size += wire_map_reply_write(packet->bytes + WIRE_HEADER_SIZE, room, &map, first);
}

/* The value of the reply, 'room' bytes at most; an OK whose value has no room is TOO_LARGE. */
static uint32_t put_value(struct fuzz_asking *asking, uint8_t *status, struct fuzz_reader *choices,
			  uint8_t *value, size_t room)
{
	uint32_t size = 0;

	if (*status == WIRE_OK && client_opcode_returns_value(asking->opcode))
		size = 4 + fuzz_u8(choices) * 8u;
	else if (*status == WIRE_OK && client_opcode_returns_number(asking->opcode))
		size = 8;
	else if (*status == WIRE_NOT_OWNER && fuzz_u8(choices) < 0xc0)
		size = WIRE_OWNER_SIZE;
	else if (*status == WIRE_RETRY)
		size = 4;
	if (size > room && *status == WIRE_OK)
		*status = WIRE_TOO_LARGE;
	if (size > room)
		return 0;
	memset(value, 0, size);
	if (*status == WIRE_OK && size == 8 && client_opcode_returns_number(asking->opcode)) {
		wire_put_u64(value, asking->number);
	} else if (*status == WIRE_OK && size > 0) {
		wire_put_u32(value, asking->number);
	} else if (*status == WIRE_NOT_OWNER && size > 0) {
		wire_put_u32(value, REDIRECT_IPV4);
		wire_put_u16(value + 4,
			     (uint16_t)(REDIRECT_PORT + asking->number % REDIRECT_COUNT));
	} else if (*status == WIRE_RETRY) {
		wire_put_u32(value, fuzz_u8(choices) * 100u);
	}
	return size;
}

/* What a request's operations were answered. */
struct verdict {
	struct fuzz_asking *askings[WIRE_OP_COUNT_MAX];
	uint8_t statuses[WIRE_OP_COUNT_MAX];
	uint32_t count;
	uint32_t writes;
	uint32_t retried_writes;
};

static uint8_t status_of(struct fuzz_reader *choices)
{
	uint8_t choice = fuzz_u8(choices);

	return (uint8_t)(choice < 0xb0 ? WIRE_OK : (choice & 0x0f) % WIRE_NEED_HELLO);
}

static void put_operations(struct fuzz_servers *servers, const struct fuzz_packet *question,
			   struct fuzz_reader *choices, struct fuzz_packet *packet,
			   struct verdict *verdict)
{
	const uint8_t *at = question->bytes + WIRE_HEADER_SIZE;
	const uint8_t *end = question->bytes + question->size;
	uint32_t op_count = question->bytes[WIRE_AT_OP_COUNT];
	size_t room = FUZZ_DATAGRAM_MAX - WIRE_HEADER_SIZE - op_count * WIRE_REPLY_OP_SIZE;
	uint8_t *to = packet->bytes + WIRE_HEADER_SIZE;
	struct wire_request_op op = { 0 };

	for (uint32_t i = 0; i < op_count; i++) {
		struct fuzz_asking *asking;
		uint8_t status = status_of(choices);
		uint32_t size;

		at = wire_request_op_read(at, end, &op);
		asking = asking_of(servers, &op);
		size = put_value(asking, &status, choices, to + WIRE_REPLY_OP_SIZE, room);
		room -= size;
		to = wire_reply_op_write(to, op.opcode, status, asking->number, size) + size;
		verdict->askings[i] = asking;
		verdict->statuses[i] = status;
		if (client_opcode_is_write(op.opcode)) {
			verdict->writes++;
			verdict->retried_writes += status == WIRE_RETRY;
		}
	}
	verdict->count = op_count;
	packet->bytes[WIRE_AT_OP_COUNT] = (uint8_t)op_count;
	packet->size = (size_t)(to - packet->bytes);
}

static bool is_refusal(uint8_t status)
{
	return status == WIRE_RETRY || status == WIRE_NOT_OWNER || status == WIRE_UNAVAILABLE;
}

/* Notes what the server did, and what the client may do when it hears of it. */
static void note(struct fuzz_servers *servers, const struct fuzz_server *server,
		 const struct verdict *verdict)
{
	bool stays = verdict->writes > 0 && verdict->writes == verdict->retried_writes;

	for (uint32_t i = 0; i < verdict->count; i++) {
		struct fuzz_asking *asking = verdict->askings[i];
		uint8_t status = verdict->statuses[i];

		asking->answers |= (uint16_t)(1u << status);
		if (!client_opcode_is_write(asking->opcode))
			continue;
		if (status == WIRE_OK) {
			asking->is_executed = true;
			asking->executed_at = (uint32_t)(server - servers->servers);
		}
		/* TOO_LARGE: the value of GET_AND_TOUCH had no room; it is asked for alone */
		if ((is_refusal(status) && !stays) || status == WIRE_TOO_LARGE)
			asking->may_move = true;
	}
}

static void refuse_whole(struct fuzz_servers *servers, const struct fuzz_packet *question,
			 struct fuzz_packet *packet)
{
	const uint8_t *at = question->bytes + WIRE_HEADER_SIZE;
	const uint8_t *end = question->bytes + question->size;
	struct wire_request_op op = { 0 };

	while (at < end && (at = wire_request_op_read(at, end, &op)))
		asking_of(servers, &op)->answers |= 1u << WIRE_BAD_REQUEST;
	wire_reply_op_write(packet->bytes + WIRE_HEADER_SIZE, 0, WIRE_BAD_REQUEST, 0, 0);
	packet->bytes[WIRE_AT_OP_COUNT] = 1;
	packet->size = WIRE_HEADER_SIZE + WIRE_REPLY_OP_SIZE;
}

/* The server does not know the session; so nothing that was sent once was executed. */
static void forget(struct fuzz_servers *servers, const struct fuzz_packet *question)
{
	const uint8_t *at = question->bytes + WIRE_HEADER_SIZE;
	const uint8_t *end = question->bytes + question->size;
	struct wire_header header = { 0 };
	struct wire_request_op op = { 0 };

	wire_header_read(question->bytes, question->size, &header);
	if (header.kind != WIRE_REQUEST)
		return;
	while (at < end && (at = wire_request_op_read(at, end, &op))) {
		struct fuzz_asking *asking = asking_of(servers, &op);

		if (asking->token == header.token && asking->sequence == header.sequence)
			asking->may_move |= asking->copies == 1;
	}
}

static const struct fuzz_reply *find_reply(const struct fuzz_servers *servers,
					   const struct wire_header *header)
{
	for (uint32_t i = 0; i < FUZZ_REPLY_MAX && i < servers->reply_next; i++) {
		const struct fuzz_reply *reply = &servers->replies[i];

		if (reply->token == header->token && reply->sequence == header->sequence)
			return reply;
	}
	return NULL;
}

/* 'token' 0: it may come again, but another may be given instead. */
static void remember(struct fuzz_servers *servers, const struct fuzz_packet *packet, uint64_t token,
		     uint32_t sequence)
{
	struct fuzz_reply *reply = &servers->replies[servers->reply_next++ % FUZZ_REPLY_MAX];

	reply->packet.address = packet->address;
	reply->packet.size = packet->size;
	memcpy(reply->packet.bytes, packet->bytes, packet->size);
	reply->token = token;
	reply->sequence = sequence;
}

static void answer_request(struct fuzz_servers *servers, struct fuzz_server *server,
			   const struct fuzz_packet *question, struct fuzz_reader *choices,
			   struct fuzz_packet *packet)
{
	struct verdict verdict = { .count = 0 };
	struct wire_header header = { 0 };
	const struct fuzz_reply *before;
	uint64_t *answered;
	uint64_t bit;
	bool is_kept;

	wire_header_read(question->bytes, question->size, &header);
	answered = &server->answered[header.sequence % FUZZ_SEQUENCE_MAX / 64];
	bit = UINT64_C(1) << header.sequence % 64;
	before = find_reply(servers, &header);
	if (before) {
		packet->size = before->packet.size;
		packet->address = before->packet.address;
		memcpy(packet->bytes, before->packet.bytes, packet->size);
		return;
	}
	/* a reply that was kept, and lost: the sequence is behind the window, and never executed again */
	if (*answered & bit)
		return;
	put_header(servers, question, WIRE_REPLY, packet);
	if (fuzz_u8(choices) >= 0xf8) {
		refuse_whole(servers, question, packet);
	} else {
		put_operations(servers, question, choices, packet, &verdict);
		note(servers, server, &verdict);
	}
	is_kept = verdict.writes != verdict.retried_writes || verdict.count == 0;
	*answered |= is_kept ? bit : 0;
	remember(servers, packet, is_kept ? header.token : 0, header.sequence);
}

void fuzz_servers_answer(struct fuzz_servers *servers, uint32_t number, struct fuzz_reader *choices,
			 struct fuzz_packet *packet)
{
	struct fuzz_sent *sent = &servers->sent[number % FUZZ_SENT_MAX];
	struct fuzz_server *server = server_at(servers, sent->packet.address);
	uint8_t kind = sent->packet.bytes[WIRE_AT_KIND];

	packet->size = 0;
	sent->was_answered = true;
	if (!server)
		return;
	if (kind == WIRE_HELLO) {
		answer_hello(servers, server, &sent->packet, packet);
	} else if (server->token == 0 ||
		   wire_get_u64(sent->packet.bytes + WIRE_AT_TOKEN) != server->token) {
		forget(servers, &sent->packet);
		put_header(servers, &sent->packet, WIRE_REPLY, packet);
	} else if (kind == WIRE_MAP_REQUEST) {
		answer_map(servers, &sent->packet, packet);
		server->gave_map = true;
	} else {
		answer_request(servers, server, &sent->packet, choices, packet);
		return;
	}
	if (packet->size > 0)
		remember(servers, packet, 0, 0);
}

bool fuzz_servers_replay(const struct fuzz_servers *servers, uint32_t ago,
			 struct fuzz_packet *packet)
{
	const struct fuzz_reply *reply;

	if (servers->reply_next == 0)
		return false;
	ago %= servers->reply_next < FUZZ_REPLY_MAX ? servers->reply_next : FUZZ_REPLY_MAX;
	reply = &servers->replies[(servers->reply_next - 1 - ago) % FUZZ_REPLY_MAX];
	packet->address = reply->packet.address;
	packet->size = reply->packet.size;
	memcpy(packet->bytes, reply->packet.bytes, packet->size);
	return true;
}

/* ---- damage ---- */

void fuzz_servers_damage_header(struct fuzz_packet *packet, struct fuzz_reader *choices)
{
	static const uint8_t places[] = { WIRE_AT_MAGIC, WIRE_AT_VERSION, WIRE_AT_TOKEN,
					  WIRE_AT_TOKEN + 7 };
	uint8_t choice = fuzz_u8(choices);

	packet->bytes[places[choice % sizeof(places)]] ^= (uint8_t)(choice | 1);
}

/* Whatever 'packet' tells of operations will be damaged. */
static void doubt(struct fuzz_servers *servers, const struct fuzz_packet *packet)
{
	const size_t size = WIRE_AT_SEQUENCE + 4 - WIRE_AT_TOKEN; /* of token and sequence */
	uint32_t i = 0;

	while (i < FUZZ_SENT_MAX && i < servers->sent_next &&
	       (servers->sent[i].packet.bytes[WIRE_AT_KIND] != WIRE_REQUEST ||
		memcmp(servers->sent[i].packet.bytes + WIRE_AT_TOKEN, packet->bytes + WIRE_AT_TOKEN,
		       size) != 0))
		i++;
	if (i < FUZZ_SENT_MAX && i < servers->sent_next) {
		const struct fuzz_packet *question = &servers->sent[i].packet;
		const uint8_t *at = question->bytes + WIRE_HEADER_SIZE;
		const uint8_t *end = question->bytes + question->size;
		struct wire_request_op op = { 0 };

		while (at < end && (at = wire_request_op_read(at, end, &op)))
			asking_of(servers, &op)->was_lied_about = true;
		return;
	}
	for (i = 0; i < servers->asked_count; i++)
		servers->askings[i].was_lied_about = true;
}

void fuzz_servers_damage_body(struct fuzz_servers *servers, struct fuzz_packet *packet,
			      struct fuzz_reader *choices)
{
	uint8_t choice = fuzz_u8(choices);

	if (packet->size <= WIRE_HEADER_SIZE)
		return;
	doubt(servers, packet);
	servers->is_confused |= packet->bytes[WIRE_AT_KIND] == WIRE_MAP_REPLY;
	for (uint32_t i = 1 + choice % 3; i > 0; i--) {
		size_t at =
			WIRE_HEADER_SIZE + fuzz_u16(choices) % (packet->size - WIRE_HEADER_SIZE);

		packet->bytes[at] = fuzz_u8(choices);
	}
	if (choice & 0x40)
		packet->size =
			WIRE_HEADER_SIZE + fuzz_u16(choices) % (packet->size - WIRE_HEADER_SIZE);
	if (choice & 0x80)
		packet->bytes[WIRE_AT_OP_COUNT] = (uint8_t)(1 + fuzz_u8(choices) % 255);
}

void fuzz_servers_change(struct fuzz_servers *servers, uint8_t choice)
{
	uint32_t lost;

	if (choice & 1 || servers->server_count == 0) {
		servers->map_version += 1 + (choice >> 6);
		return;
	}
	lost = (choice >> 1) % servers->server_count;
	servers->boot_id++;
	servers->servers[lost].token = 0;
	servers->servers[lost].session_id = 0;
	servers->servers[lost].challenge = next_number(servers);
	for (uint32_t i = 0; i < servers->asked_count; i++) {
		if (servers->askings[i].executed_at == lost)
			servers->askings[i].is_executed = false;
	}
}

/* ---- what is told ---- */

/* An outcome that only a server can give. */
static void judge_answer(const struct fuzz_asking *asking, const struct godwit_result *result)
{
	bool is_whole = result->status == GODWIT_BAD_REQUEST && result->version == 0;
	bool is_local = result->status == GODWIT_TOO_LARGE && result->version == 0;
	/* those it waits with are told without more when its time is over */
	bool is_late = result->version == 0 && is_refusal((uint8_t)result->status);

	FUZZ_CHECK(is_local || (asking->answers & 1u << result->status));
	FUZZ_CHECK(is_whole || is_local || is_late || result->version == asking->number);
	if (result->status != GODWIT_OK)
		return;
	if (client_opcode_returns_value(asking->opcode))
		FUZZ_CHECK(result->value_size >= 4 &&
			   wire_get_u32(result->value) == asking->number);
	if (asking->opcode == GODWIT_OP_INCREMENT)
		FUZZ_CHECK(result->number == (int64_t)asking->number);
	if (asking->opcode == GODWIT_OP_TTL)
		FUZZ_CHECK(result->ttl_ms == asking->number);
}

void fuzz_servers_judge(struct fuzz_servers *servers, struct fuzz_asking *asking,
			const struct godwit_result *result)
{
	bool is_write = client_opcode_is_write(asking->opcode);

	FUZZ_CHECK(!asking->is_told);
	asking->is_told = true;
	servers->told_count++;
	FUZZ_CHECK(result->status <= GODWIT_UNAVAILABLE ||
		   (result->status >= GODWIT_UNKNOWN && result->status <= GODWIT_CLOSED));
	if (asking->was_lied_about)
		return;
	FUZZ_CHECK(!is_write || !asking->is_executed || result->status == GODWIT_OK ||
		   result->status == GODWIT_UNKNOWN);
	if (result->status <= GODWIT_UNAVAILABLE)
		judge_answer(asking, result);
	if (result->status == GODWIT_UNKNOWN)
		FUZZ_CHECK(is_write && asking->token != 0);
	if (result->status == GODWIT_NO_SERVER)
		FUZZ_CHECK(asking->token == 0);
}
