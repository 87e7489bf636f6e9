/* SPDX-License-Identifier: BSD-3-Clause */
/* Greeting, asking, asking again with the same sequence; what answers mean for the history. */
#include "tests/simulation/sim_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_build.h"
#include "dataplane/packet_parse.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"

#define CLIENT_IPV4 0x0a020201u
#define CLIENT_PORT 9000u
#define RETRY_US 30000u
#define RETRY_US_MAX 240000u
/* A node that does not answer greetings for so many times is left alone. */
#define GREETINGS_MAX 8u
/* Nodes may have gone elsewhere: so many datagrams without an answer, and a client asks others. */
#define UNANSWERED_MAX 4u
#define MAP_PAUSE_US 50000u
#define FILLED_SIZE_MAX 300u
#define FRAME_SIZE 2048u
/* Times to live are below 16 ms << 0..8: some end before the answer comes, some outlive a whole migration. */
#define TTL_MS_MIN 16u
#define TTL_SHIFTS 9u
/* Of clients that are stale. */
#define SLEEP_ONE_IN 300u
#define SLEEP_US_MAX 15000000u
#define DEAF_ONE_IN 4u
#define DEAF_US_MAX 5000000u
#define HAUNT_ONE_IN 3u

/* ---- values: number, key, and a filling that depends on both ---- */

static uint32_t value_size_of(uint32_t number)
{
	return 8 + number * 13 % (FILLED_SIZE_MAX - 8);
}

static void make_value(uint8_t *value, uint32_t key, uint32_t number)
{
	wire_put_u32(value, number);
	wire_put_u32(value + 4, key);
	memset(value + 8, (int)(number + key), value_size_of(number) - 8);
}

static uint32_t read_value(struct sim_client *client, const struct wire_reply_op *op)
{
	const struct sim_key *key = &client->options.history->keys[client->key];
	uint8_t expected[FILLED_SIZE_MAX];
	char text[24] = "";
	uint32_t number;

	if (key->is_counter) {
		memcpy(text, op->value, op->value_size < 20 ? op->value_size : 20);
		return (uint32_t)strtoul(text, NULL, 10);
	}
	number = op->value_size >= 8 ? wire_get_u32(op->value) : 0;
	make_value(expected, client->key, number);
	if (op->value_size != value_size_of(number) ||
	    memcmp(op->value, expected, op->value_size) != 0)
		sim_history_violate(client->options.history, 2, "%s: write %u is torn", key->name,
				    number);
	return number;
}

/* ---- operations ---- */

static struct sim_history *history_of(const struct sim_client *client)
{
	return client->options.history;
}

static const struct sim_key *key_of(const struct sim_client *client)
{
	return &client->options.history->keys[client->key];
}

static uint32_t worker_of(const struct sim_client *client)
{
	return key_of(client)->partition % client->options.worker_count;
}

static struct unit_client *session_of(struct sim_client *client)
{
	return &client->sessions[client->node][worker_of(client)];
}

static bool is_write(const struct sim_client *client)
{
	return client->operation != SIM_GET && client->operation != SIM_ASK_TTL;
}

static uint32_t chance(struct sim_client *client, uint32_t below)
{
	return prng_below(&client->prng, below);
}

static void rest(struct sim_client *client, uint64_t pause_us)
{
	client->state = SIM_CLIENT_RESTING;
	client->due_us = client->now_us + pause_us;
}

static void end_write(struct sim_client *client, enum sim_outcome outcome, uint32_t number)
{
	struct sim_history *history = history_of(client);

	if (client->operation == SIM_COUNT_UP)
		sim_history_end_count(history, client->key, outcome, number);
	else if (client->operation == SIM_REMOVE && outcome == SIM_DONE)
		sim_history_end_removal(history, client->key, client->number, number != 0);
	else
		sim_history_end_write(history, client->key, client->number, outcome);
}

static void tell(const struct sim_client *client, const char *what, uint32_t number)
{
	static const char *const operations[] = { "reads", "writes", "removes", "counts",
						  "asks for the rest of" };

	if (history_of(client)->story)
		fprintf(history_of(client)->story,
			"%10.6f  client %u %s %s (number %u) by node %u, sequence %u: %s %u\n",
			(double)client->now_us / 1e6, client->options.number,
			operations[client->operation], key_of(client)->name, client->number,
			client->node, client->sessions[client->node][worker_of(client)].sequence,
			what, number);
}

static void note_unsettled(struct sim_client *client)
{
	const struct unit_client *session = session_of(client);
	uint32_t i = client->unsettled_count++;

	if (i >= SIM_UNSETTLED_MAX)
		return; /* no request of this client counts as settled any more */
	client->unsettled[i].token = session->token;
	client->unsettled[i].sequence = session->sequence;
}

/* ---- where nodes are: by redirections and maps ---- */

static bool may_move(const struct sim_client *client)
{
	return client->options.places != NULL;
}

static void learn_place(struct sim_client *client, uint32_t place)
{
	client->known |= 1u << place;
	client->silent &= ~(1u << place);
}

/* Nobody answers there: the next answer of anybody else is followed by the question for the map. */
static void suspect_place(struct sim_client *client)
{
	if (!may_move(client))
		return;
	client->silent |= 1u << client->node;
	client->map_version = 0;
}

static bool is_unanswered(const struct sim_client *client)
{
	return may_move(client) && client->tries >= UNANSWERED_MAX;
}

/* No node is any more where the client knows one: then somebody tells, as with new addresses in a configuration. */
static void tell_if_lost(struct sim_client *client)
{
	uint32_t places = 0;

	for (uint32_t i = 0; i < client->options.node_count; i++)
		places |= 1u << client->options.places[i];
	if (client->known & places)
		return;
	client->known |= places;
	client->counts.lost++;
}

/* A known place, rather one that is not silent. */
static uint32_t any_place(struct sim_client *client)
{
	uint32_t places, left;

	if (!may_move(client))
		return chance(client, client->options.node_count);
	tell_if_lost(client);
	if ((client->known & ~client->silent) == 0)
		client->silent = 0;
	places = client->known & ~client->silent;
	left = chance(client, (uint32_t)__builtin_popcount(places));
	while (left-- > 0)
		places &= places - 1;
	return (uint32_t)__builtin_ctz(places);
}

/* The operation is over. 'number': what a count came to, or whether a removal found the key. */
static void finish(struct sim_client *client, enum sim_outcome outcome, uint32_t number)
{
	uint64_t took_us = client->now_us - client->begun_us;
	uint64_t pause_us = 1 + chance(client, 2 * client->options.pause_us);
	static const char *const outcomes[] = { "done", "not done", "unknown" };

	tell(client, outcomes[outcome], number);
	if (is_write(client))
		end_write(client, outcome, number);
	if (outcome == SIM_DONE) {
		client->counts.done++;
		if (took_us > client->counts.longest_us)
			client->counts.longest_us = took_us;
	}
	client->counts.failed += outcome == SIM_NOT_DONE;
	if (outcome == SIM_UNKNOWN && is_write(client)) {
		client->counts.unknown++;
		note_unsettled(client);
		client->is_unsure = true;
		pause_us += SIM_SETTLE_MS * 1000;
	}
	rest(client, pause_us);
}

static void give_up(struct sim_client *client)
{
	if (client->state == SIM_CLIENT_ASKING && is_unanswered(client))
		suspect_place(client);
	finish(client, client->is_sent ? SIM_UNKNOWN : SIM_NOT_DONE, 0);
}

/* ---- sending ---- */

static void transmit(struct sim_client *client, const struct unit_datagram *datagram)
{
	const struct unit_client *session = session_of(client);
	uint32_t shift = client->tries < 3 ? client->tries : 3;
	uint8_t frame[FRAME_SIZE];

	client->options.send(client->options.context, frame,
			     unit_frame(frame, session, worker_of(client), datagram));
	client->tries++;
	client->due_us = client->now_us + (RETRY_US << shift);
	if (client->due_us > client->now_us + RETRY_US_MAX)
		client->due_us = client->now_us + RETRY_US_MAX;
}

static void greet(struct sim_client *client)
{
	struct wire_hello body = { .client_nonce = client->nonce, .challenge = client->challenge };
	struct wire_header header = { .kind = WIRE_HELLO };
	struct unit_datagram hello = { .size = WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE };

	wire_header_write(hello.payload, &header);
	wire_hello_write(hello.payload + WIRE_HEADER_SIZE, &body);
	transmit(client, &hello);
}

static void build_request(struct sim_client *client)
{
	static const uint8_t opcodes[] = {
		[SIM_GET] = WIRE_GET,       [SIM_SET] = WIRE_SET,
		[SIM_REMOVE] = WIRE_DELETE, [SIM_COUNT_UP] = WIRE_INCREMENT,
		[SIM_ASK_TTL] = WIRE_TTL,
	};
	uint8_t value[FILLED_SIZE_MAX];
	struct wire_request_op op = { .opcode = opcodes[client->operation],
				      .key = (const uint8_t *)key_of(client)->name,
				      .key_size = (uint16_t)strlen(key_of(client)->name),
				      .value = value };

	if (client->operation == SIM_SET) {
		make_value(value, client->key, client->number);
		op.value_size = value_size_of(client->number);
		op.ttl_ms = client->ttl_ms;
		op.flags = client->ttl_ms ? WIRE_HAS_TTL : 0;
	}
	if (client->operation == SIM_COUNT_UP) {
		wire_put_u64(value, 1);
		wire_put_u64(value + 8, 1);
		op.value_size = 16;
	}
	unit_request_begin(&client->datagram, session_of(client));
	unit_request_add(&client->datagram, &op);
}

/* Turns to client->node, by a session or for one. */
static void approach(struct sim_client *client)
{
	client->tries = 0;
	if (session_of(client)->session_id == 0) {
		client->state = SIM_CLIENT_GREETING;
		client->nonce = prng_next(&client->prng);
		client->challenge = 0;
		greet(client);
		return;
	}
	client->state = SIM_CLIENT_ASKING;
	client->is_sent = true;
	build_request(client);
	transmit(client, &client->datagram);
}

/* Mostly the owner, as far as it is known; sometimes anybody, who forwards it: in the end only while the owner is silent. */
static void choose_node(struct sim_client *client)
{
	bool is_any = chance(client, 4) == 0 && !(may_move(client) && client->is_idle);

	client->node = client->owners[key_of(client)->partition];
	if (is_any || client->silent >> client->node & 1)
		client->node = any_place(client);
	if (client->gone >> client->node & 1)
		client->node = client->refuge;
}

/* Nothing of the operation is under way: it goes to a node, after a pause. */
static void turn_elsewhere(struct sim_client *client, uint64_t pause_us)
{
	client->is_sent = false;
	client->state = SIM_CLIENT_PAUSING;
	client->due_us = client->now_us + pause_us;
	client->tries = 0;
	choose_node(client);
}

static uint32_t choose_ttl(struct sim_client *client)
{
	if (!client->options.is_expiring || client->operation != SIM_SET || chance(client, 2) == 0)
		return 0;
	return 1 + chance(client, TTL_MS_MIN << chance(client, TTL_SHIFTS));
}

static void note_begin(struct sim_client *client)
{
	client->begun_us = client->now_us;
	client->give_up_us = client->now_us + SIM_OPERATION_MS * 1000;
	client->is_sent = false;
	client->ttl_ms = choose_ttl(client);
	if (!is_write(client))
		client->read = sim_history_begin_read(history_of(client), client->key);
	else if (client->operation == SIM_COUNT_UP)
		sim_history_begin_count(history_of(client), client->key);
	else
		client->number =
			sim_history_begin_write(history_of(client), client->key,
						client->operation == SIM_REMOVE, client->ttl_ms);
}

static void start(struct sim_client *client)
{
	note_begin(client);
	choose_node(client);
	approach(client);
}

/* A write that must never be executed: its node has refused the session. */
static void haunt(struct sim_client *client)
{
	struct sim_history *history = history_of(client);
	uint32_t write = sim_history_begin_write(history, client->key, false, 0);
	uint8_t value[FILLED_SIZE_MAX], frame[FRAME_SIZE];
	const struct wire_request_op op = { .opcode = WIRE_SET,
					    .key = (const uint8_t *)key_of(client)->name,
					    .key_size = (uint16_t)strlen(key_of(client)->name),
					    .value = value,
					    .value_size = value_size_of(write) };
	struct unit_datagram datagram;

	make_value(value, client->key, write);
	unit_request_begin(&datagram, &client->over);
	unit_request_add(&datagram, &op);
	client->counts.haunted++;
	client->options.send(client->options.context, frame,
			     unit_frame(frame, &client->over, client->over_worker, &datagram));
	sim_history_end_write(history, client->key, write, SIM_NOT_DONE);
}

/* Reads anything, writes what is its own. */
static void begin(struct sim_client *client)
{
	uint32_t count = history_of(client)->key_count;
	uint32_t die = chance(client, 100);

	client->key = chance(client, count);
	client->operation = SIM_GET;
	if (die < 8 && client->options.is_expiring && !key_of(client)->is_counter)
		client->operation = SIM_ASK_TTL;
	if (die >= 40) {
		client->key -= client->key % client->options.client_count;
		client->key += client->options.number;
		if (client->key >= count)
			client->key = client->options.number;
		client->operation = die < 55 ? SIM_REMOVE : SIM_SET;
		if (key_of(client)->is_counter)
			client->operation = SIM_COUNT_UP;
		else if (client->over.token != 0 && chance(client, HAUNT_ONE_IN) == 0)
			haunt(client);
	}
	start(client);
}

void sim_client_verify(struct sim_client *client, uint64_t now_us, uint32_t key)
{
	client->now_us = now_us;
	client->key = key;
	client->operation = SIM_GET;
	start(client);
}

bool sim_client_try(struct sim_client *client, uint64_t now_us, enum sim_client_operation operation,
		    uint32_t key, uint32_t node)
{
	if (client->state != SIM_CLIENT_RESTING || client->is_unsure)
		return false;
	client->now_us = now_us;
	client->key = key;
	client->operation = operation;
	note_begin(client);
	client->node = node;
	approach(client);
	return true;
}

/* What it gave up may wait in a worker that stands still. */
static bool waits_for_stall(struct sim_client *client)
{
	uint64_t sure_us = history_of(client)->stalled_until_us + SIM_SETTLE_MS * 1000;

	if (!client->is_unsure || sure_us <= client->now_us)
		return false;
	client->due_us = sure_us;
	return true;
}

static bool falls_asleep(struct sim_client *client)
{
	bool was_asleep = client->is_asleep;

	client->is_asleep =
		client->options.is_stale && !was_asleep && chance(client, SLEEP_ONE_IN) == 0;
	if (client->is_asleep)
		client->due_us = client->now_us + 1 + chance(client, SLEEP_US_MAX);
	return client->is_asleep;
}

void sim_client_wake(struct sim_client *client, uint64_t now_us)
{
	if (client->is_asleep)
		client->due_us = now_us;
}

static void leave_alone(struct sim_client *client)
{
	suspect_place(client);
	turn_elsewhere(client, 1000);
}

void sim_client_run(struct sim_client *client, uint64_t now_us)
{
	client->now_us = now_us;
	if (client->state == SIM_CLIENT_RESTING) {
		if (waits_for_stall(client))
			return;
		client->is_unsure = false;
		if (client->is_idle)
			client->due_us = UINT64_MAX;
		else if (!falls_asleep(client))
			begin(client);
		return;
	}
	if (now_us >= client->give_up_us) {
		give_up(client);
		return;
	}
	switch (client->state) {
	case SIM_CLIENT_GREETING:
		if (client->tries < GREETINGS_MAX && !is_unanswered(client))
			greet(client);
		else
			leave_alone(client);
		return;
	case SIM_CLIENT_ASKING:
		if (!is_write(client) && is_unanswered(client))
			leave_alone(client);
		else
			transmit(client, &client->datagram);
		return;
	default:
		if (client->is_sent) {
			/* asked to wait: the same bytes again */
			client->state = SIM_CLIENT_ASKING;
			client->tries = 0;
			transmit(client, &client->datagram);
		} else {
			approach(client);
		}
	}
}

/* ---- answers ---- */

static void take_hello(struct sim_client *client, const struct wire_header *header,
		       const uint8_t *body, size_t size)
{
	struct unit_client *session = session_of(client);
	struct wire_hello_reply reply;

	if (client->state != SIM_CLIENT_GREETING || !wire_hello_reply_read(body, size, &reply) ||
	    reply.client_nonce != client->nonce)
		return;
	client->tries = 0;
	if (reply.stage == WIRE_HELLO_CHALLENGE) {
		client->challenge = reply.challenge;
		greet(client);
		return;
	}
	session->session_id = header->session_id;
	session->token = header->token;
	session->sequence = 0;
	approach(client);
}

static void redirect(struct sim_client *client, const struct wire_reply_op *op)
{
	tell(client, "told another owner", op->value_size);
	uint32_t owner;

	client->counts.redirected++;
	client->map_version = 0; /* who said so may know less than the map */
	if (client->options.is_stale && chance(client, DEAF_ONE_IN) == 0)
		client->deaf_until_us = client->now_us + chance(client, DEAF_US_MAX);
	if (op->value_size >= WIRE_OWNER_SIZE && client->deaf_until_us <= client->now_us) {
		owner = wire_get_u32(op->value) - UNIT_NODE_IPV4;
		if (owner < (may_move(client) ? SIM_PLACE_MAX : client->options.node_count)) {
			client->owners[key_of(client)->partition] = owner;
			learn_place(client, owner);
		}
	}
	turn_elsewhere(client, 1000);
}

static void take_read(struct sim_client *client, const struct wire_reply_op *op, bool is_present)
{
	struct sim_history *history = history_of(client);

	if (client->operation == SIM_GET)
		sim_history_end_read(history, client->key, &client->read, is_present,
				     is_present ? read_value(client, op) : 0);
	else if (!is_present || op->value_size == sizeof(uint64_t))
		sim_history_end_ttl(history, client->key, &client->read, is_present,
				    is_present ? wire_get_u64(op->value) : 0);
	else
		sim_history_violate(history, 2, "%s: a rest of %u bytes", key_of(client)->name,
				    op->value_size);
}

static void take_result(struct sim_client *client, const struct wire_reply_op *op)
{
	bool is_ok = op->status == WIRE_OK;

	if (client->operation == SIM_COUNT_UP &&
	    (op->status == WIRE_NOT_FOUND || (is_ok && op->value_size != sizeof(int64_t))))
		sim_history_violate(history_of(client), 2,
				    "%s: a count is answered by status %u and %u bytes",
				    key_of(client)->name, op->status, op->value_size);
	switch (op->status) {
	case WIRE_OK:
	case WIRE_NOT_FOUND:
		if (!is_write(client))
			take_read(client, op, is_ok);
		finish(client, SIM_DONE,
		       client->operation == SIM_COUNT_UP ? (uint32_t)wire_get_u64(op->value)
							 : is_ok);
		return;
	case WIRE_NOT_OWNER:
		redirect(client, op);
		return;
	case WIRE_RETRY:
		client->state = SIM_CLIENT_PAUSING;
		client->due_us = client->now_us + 5000;
		return;
	case WIRE_UNAVAILABLE:
	case WIRE_NO_SPACE:
		turn_elsewhere(client, 50000);
		return;
	default:
		sim_history_violate(history_of(client), 2, "client %u: status %u",
				    client->options.number, op->status);
	}
}

/* The node knows the session no more: nobody can tell what became of a write. */
static void lose_session(struct sim_client *client)
{
	if (client->options.is_stale) {
		client->over = *session_of(client);
		client->over_worker = worker_of(client);
		client->over_sequence = client->over.sequence;
	}
	session_of(client)->session_id = 0;
	if (is_write(client))
		finish(client, SIM_UNKNOWN, 0);
	else
		turn_elsewhere(client, 1000);
}

/* ---- the map ---- */

/* Of the node that just answered with a map that is newer. A question or answer that is lost is asked for again soon. */
static void ask_for_map(struct sim_client *client, uint32_t map_version)
{
	const struct unit_client *session = session_of(client);
	struct wire_header header = { .kind = WIRE_MAP_REQUEST,
				      .session_id = session->session_id,
				      .token = session->token };
	struct unit_datagram question = { .size = WIRE_HEADER_SIZE + WIRE_MAP_REQUEST_BODY_SIZE };
	uint8_t frame[FRAME_SIZE];

	if (!may_move(client) || (int32_t)(map_version - client->map_version) <= 0 ||
	    client->now_us < client->map_asked_us + MAP_PAUSE_US)
		return;
	client->map_asked_us = client->now_us;
	wire_header_write(question.payload, &header);
	wire_map_request_write(question.payload + WIRE_HEADER_SIZE, 0);
	client->options.send(client->options.context, frame,
			     unit_frame(frame, session, worker_of(client), &question));
}

/* All partitions of the simulation fit one answer. */
static void take_map(struct sim_client *client, const struct wire_header *header,
		     const uint8_t *body, size_t size)
{
	struct wire_map_reply map;

	if (header->token != session_of(client)->token || client->map_asked_us == 0 ||
	    client->deaf_until_us > client->now_us)
		return;
	if (!wire_map_reply_read(body, size, &map) || map.first_partition != 0 ||
	    map.owner_count != client->options.partition_count) {
		sim_history_violate(history_of(client), 2, "client %u: a map that is none",
				    client->options.number);
		return;
	}
	client->map_version = header->map_version;
	for (uint16_t p = 0; p < map.owner_count; p++) {
		uint16_t owner = wire_map_reply_owner(&map, p);

		if (owner == WIRE_MAP_NO_OWNER) {
			client->map_version = 0; /* that of another node may know */
			continue;
		}
		client->owners[p] = wire_map_reply_node(&map, owner).ipv4 - UNIT_NODE_IPV4;
		learn_place(client, client->owners[p]);
	}
}

static void take_reply(struct sim_client *client, const struct wire_header *header,
		       const uint8_t *payload, size_t size)
{
	const struct unit_client *session = session_of(client);
	struct wire_reply_op op;

	if ((client->state != SIM_CLIENT_ASKING && client->state != SIM_CLIENT_PAUSING) ||
	    !client->is_sent || header->token != session->token ||
	    header->sequence != session->sequence)
		return;
	client->silent &= ~(1u << client->node);
	if (header->op_count > 0)
		ask_for_map(client, header->map_version);
	if (header->op_count == 0)
		lose_session(client);
	else if (wire_reply_op_read(payload + WIRE_HEADER_SIZE, payload + size, &op))
		take_result(client, &op);
}

void sim_client_receive(struct sim_client *client, uint64_t now_us, const uint8_t *frame,
			size_t size, bool is_damaged)
{
	static const uint8_t mac[6] = { 0x02, 0x47, 0, 0, 0, 2 };
	const struct unit_client *session = session_of(client);
	struct packet_local local;
	struct packet_view view;
	bool is_whole;

	client->now_us = now_us;
	packet_local_init(&local, mac, session->ipv4, session->port, 1);
	is_whole = packet_parse(&local, frame, size, PACKET_CHECKED_NOTHING, &view) == DROP_NONE;
	if (is_whole == is_damaged)
		sim_history_violate(history_of(client), SIM_INVARIANT_REFUSAL,
				    "client %u: a %s frame is taken for the contrary",
				    client->options.number, is_damaged ? "damaged" : "good");
	if (!is_whole)
		return;
	if (view.wire.kind == WIRE_REPLY && client->over.token != 0 &&
	    view.wire.token == client->over.token && view.wire.op_count > 0 &&
	    view.wire.sequence > client->over_sequence)
		sim_history_violate(history_of(client), SIM_INVARIANT_REFUSAL,
				    "client %u: a session that is over is served",
				    client->options.number);
	if (view.source_ipv4 != UNIT_NODE_IPV4 + client->node ||
	    view.source_port != UNIT_NODE_PORT + worker_of(client))
		return;
	if (view.wire.kind == WIRE_HELLO_REPLY)
		take_hello(client, &view.wire, view.payload + WIRE_HEADER_SIZE,
			   view.payload_size - WIRE_HEADER_SIZE);
	else if (view.wire.kind == WIRE_REPLY)
		take_reply(client, &view.wire, view.payload, view.payload_size);
	else if (view.wire.kind == WIRE_MAP_REPLY)
		take_map(client, &view.wire, view.payload + WIRE_HEADER_SIZE,
			 view.payload_size - WIRE_HEADER_SIZE);
}

bool sim_client_is_settled(const struct sim_client *client, uint64_t token, uint32_t sequence)
{
	if (client->unsettled_count > SIM_UNSETTLED_MAX)
		return false;
	for (uint32_t i = 0; i < client->unsettled_count; i++) {
		if (client->unsettled[i].token == token &&
		    client->unsettled[i].sequence == sequence)
			return false;
	}
	return true;
}

uint32_t sim_client_of_frame(const uint8_t *frame)
{
	return sim_client_of_ipv4(wire_get_u32(frame + PACKET_AT_IPV4_DESTINATION));
}

uint32_t sim_client_of_ipv4(uint32_t ipv4)
{
	uint32_t number = ipv4 - CLIENT_IPV4;

	return number < SIM_KEY_MAX ? number : UINT32_MAX;
}

void sim_client_init(struct sim_client *client, const struct sim_client_options *options)
{
	memset(client, 0, sizeof(*client));
	client->options = *options;
	prng_init(&client->prng, options->seed);
	client->known = (1u << options->node_count) - 1;
	for (uint32_t node = 0; node < SIM_PLACE_MAX; node++) {
		for (uint32_t worker = 0; worker < SIM_WORKER_MAX; worker++)
			client->sessions[node][worker] =
				(struct unit_client){ .ipv4 = CLIENT_IPV4 + options->number,
						      .port = CLIENT_PORT,
						      .node = node };
	}
}
