/* SPDX-License-Identifier: BSD-3-Clause */
/* The client library among servers, a network and a clock that an input moves: what it sends, and what it tells. */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz_servers.h"

#define STEP_MAX 200u
#define INBOX_COUNT CLIENT_SOCKET_BURST
/* What one call may send: more is a loop without an end. */
#define SENT_OF_CALL_MAX 2000u
/* Calls at one time, without an input, after which a client has nothing to do any more. */
#define IDLE_CALL_MAX 8u
/* Of what the client draws, and of tokens; no raw bytes of an input have it. */
#define RANDOM_BIT (UINT64_C(1) << 63)

struct story {
	struct fuzz_reader reader;
	struct fuzz_servers servers;
	struct godwit *client;
	uint64_t now_us;
	uint64_t random;

	uint8_t send_mood; /* what the kernel says to the next datagrams */
	uint32_t sent_of_call;

	uint32_t inbox_count;
	struct fuzz_packet inbox[INBOX_COUNT];
};

/* The library's socket knows no context. */
static struct story *current;

/* ---- the world ---- */

static uint64_t now_us(void *context)
{
	return ((const struct story *)context)->now_us;
}

static uint64_t next_random(void *context)
{
	struct story *story = context;

	return (story->random += UINT64_C(0x9e3779b97f4a7c15)) | RANDOM_BIT;
}

static void wait_not(void *context, int fd, uint64_t timeout_us)
{
	(void)context, (void)fd, (void)timeout_us;
	fuzz_fail(__FILE__, __LINE__, "only blocking calls wait");
}

/* These four take the place of client_socket.c. */
enum godwit_status client_socket_open(struct client_socket *socket,
				      const struct client_address *local, uint32_t buffer_bytes)
{
	(void)local, (void)buffer_bytes;
	*socket = (struct client_socket){ .fd = 0 };
	return GODWIT_OK;
}

void client_socket_close(struct client_socket *socket)
{
	(void)socket;
}

int client_socket_send(struct client_socket *socket, const struct client_datagram *datagrams,
		       size_t count)
{
	static const int errors[] = { EAGAIN, EMSGSIZE, ENETUNREACH, ENOBUFS };
	struct story *story = current;
	uint8_t mood = story->send_mood;
	size_t taken = count;

	(void)socket;
	FUZZ_CHECK(count >= 1 && count <= CLIENT_SOCKET_BURST);
	story->send_mood = 0;
	if ((mood & 3) == 1)
		return -errors[mood >> 2 & 3];
	if ((mood & 3) == 2)
		taken = 1 + (mood >> 2) % count;
	for (size_t i = 0; i < taken; i++) {
		if (datagrams[i].size > FUZZ_DATAGRAM_MAX)
			return i ? (int)i : -EMSGSIZE;
		FUZZ_CHECK(++story->sent_of_call <= SENT_OF_CALL_MAX);
		fuzz_servers_take(&story->servers, datagrams[i].address, datagrams[i].bytes,
				  datagrams[i].size);
	}
	return (int)taken;
}

size_t client_socket_receive(struct client_socket *socket, struct client_datagram *datagrams)
{
	struct story *story = current;
	size_t count = story->inbox_count;

	(void)socket;
	for (size_t i = 0; i < count; i++) {
		const struct fuzz_packet *packet = &story->inbox[i];

		datagrams[i] =
			(struct client_datagram){ packet->address, packet->bytes, packet->size };
	}
	story->inbox_count = 0;
	return count;
}

/* ---- what always holds of a client ---- */

static uint32_t count_live(const struct godwit *client)
{
	const struct client_operation *operation;
	uint32_t count = 0;

	TAILQ_FOREACH(operation, &client->live, live_link)
	{
		uint32_t places = (operation->session ? 1u : 0u) + (operation->request ? 1u : 0u) +
				  (operation->is_unrouted ? 1u : 0u);

		FUZZ_CHECK(places <= 1);
		FUZZ_CHECK(!operation->request ||
			   operation->request->operations[operation->request_index] == operation);
		count++;
	}
	return count;
}

static void check_session(const struct client_session *session)
{
	const struct client_operation *operation;
	uint32_t count = 0;
	uint32_t bytes = 0;

	TAILQ_FOREACH(operation, &session->queue, list_link)
	{
		FUZZ_CHECK(operation->session == session);
		count++;
		bytes += operation->wire_size;
	}
	FUZZ_CHECK(count == session->queue_count && bytes == session->queue_bytes);
	FUZZ_CHECK(session->outstanding <= CLIENT_SPAN_MAX);
	FUZZ_CHECK(session->next_sequence - session->oldest_sequence <= CLIENT_SPAN_MAX ||
		   session->outstanding == 0);
}

static void check_client(const struct story *story)
{
	const struct godwit *client = story->client;
	const struct client_session *session;

	FUZZ_CHECK(count_live(client) == client->pending);
	FUZZ_CHECK(client->pending == story->servers.asked_count - story->servers.told_count);
	TAILQ_FOREACH(session, &client->active, active_link)
	check_session(session);
	/* who waits for an outcome waits for a time, too */
	FUZZ_CHECK(client->pending == 0 || godwit_timeout_ms(client) >= 0);
}

/* Takes in what arrived, until nothing is due at this time. */
static void process(struct story *story)
{
	for (uint32_t call = 0; call < IDLE_CALL_MAX; call++) {
		story->sent_of_call = 0;
		godwit_process(story->client);
		check_client(story);
		if (godwit_timeout_ms(story->client) != 0)
			return;
	}
	fuzz_fail(__FILE__, __LINE__, "a client without news rests at last");
}

/* ---- steps ---- */

static void deliver(struct story *story, const struct fuzz_packet *packet)
{
	if (packet->size == 0)
		return;
	if (story->inbox_count == INBOX_COUNT)
		process(story);
	story->inbox[story->inbox_count++] = *packet;
}

static void on_result(void *context, const struct godwit_result *result)
{
	struct fuzz_asking *asking = context;
	struct story *story = current;

	fuzz_servers_judge(&story->servers, asking, result);
	if (asking->asks_again && story->servers.asked_count < FUZZ_ASKING_MAX) {
		struct godwit_operation operation;
		struct fuzz_asking *next =
			fuzz_servers_ask(&story->servers, &operation, GODWIT_OP_SET, 20);

		if (godwit_submit(story->client, &operation, on_result, next) != GODWIT_OK)
			fuzz_servers_unask(&story->servers);
	}
}

static void step_submit(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	uint32_t count = choice & 0x80 ? choice >> 1 & 0x3f : 1;
	uint8_t opcode = (uint8_t)(1 + (choice & 0xf) % 12);
	uint32_t value_size = fuzz_u8(&story->reader) * (choice & 0x10 ? 16u : 1u);

	while (count-- > 0 && story->servers.asked_count < FUZZ_ASKING_MAX) {
		struct godwit_operation operation;
		struct fuzz_asking *asking = fuzz_servers_ask(
			&story->servers, &operation, (enum godwit_opcode)opcode, value_size);

		asking->asks_again = choice & 0x20;
		if (godwit_submit(story->client, &operation, on_result, asking) != GODWIT_OK)
			fuzz_servers_unask(&story->servers);
	}
}

/* All that was sent lately is answered well, the oldest first. */
static void step_serve(struct story *story)
{
	struct fuzz_reader nothing = { NULL, NULL };
	uint32_t end = story->servers.sent_next;

	for (uint32_t i = end < FUZZ_SENT_MAX ? 0 : end - FUZZ_SENT_MAX; i < end; i++) {
		struct fuzz_packet packet;

		if (story->servers.sent[i % FUZZ_SENT_MAX].was_answered)
			continue;
		fuzz_servers_answer(&story->servers, i, &nothing, &packet);
		deliver(story, &packet);
	}
	process(story);
}

/* One datagram, or a copy of it, is answered as the input says. */
static void step_answer(struct story *story)
{
	struct fuzz_servers *servers = &story->servers;
	uint8_t ago = fuzz_u8(&story->reader) % FUZZ_SENT_MAX;
	struct fuzz_packet packet;

	if (servers->sent_next == 0)
		return;
	fuzz_servers_answer(servers, servers->sent_next - 1 - ago % servers->sent_next,
			    &story->reader, &packet);
	deliver(story, &packet);
}

/* A datagram that was answered before comes again, from where it came from or from elsewhere, whole or damaged. */
static void step_replay(struct story *story)
{
	uint8_t choice = fuzz_u8(&story->reader);
	struct fuzz_packet packet;

	if (!fuzz_servers_replay(&story->servers, choice & 0x1f, &packet))
		return;
	if (choice & 0x20)
		packet.address = fuzz_servers_address(&story->servers, fuzz_u8(&story->reader) % 8);
	if (choice & 0x40)
		fuzz_servers_damage_header(&packet, &story->reader);
	if (choice & 0x80)
		fuzz_servers_damage_body(&story->servers, &packet, &story->reader);
	deliver(story, &packet);
}

static void step_raw(struct story *story)
{
	struct fuzz_packet packet;
	size_t size;
	const uint8_t *bytes;

	packet.address = fuzz_servers_address(&story->servers, fuzz_u8(&story->reader) % 8);
	bytes = fuzz_bytes(&story->reader, fuzz_u8(&story->reader), &size);
	memcpy(packet.bytes, bytes, size);
	packet.size = size;
	if (size > WIRE_HEADER_SIZE) {
		packet.bytes[WIRE_AT_MAGIC] = WIRE_MAGIC;
		packet.bytes[WIRE_AT_VERSION] = WIRE_VERSION;
		packet.bytes[WIRE_AT_TOKEN] &= 0x7f;
		packet.bytes[WIRE_HEADER_SIZE] &= 0x7f; /* the nonce, in a HELLO_REPLY */
	}
	deliver(story, &packet);
}

static void step_advance(struct story *story, uint32_t unit_us)
{
	story->now_us += (uint64_t)fuzz_u8(&story->reader) * unit_us;
	process(story);
}

static void play_step(struct story *story, uint8_t step)
{
	switch (step % 12) {
	case 0:
	case 1:
		step_submit(story);
		break;
	case 2:
		story->sent_of_call = 0;
		godwit_flush(story->client);
		break;
	case 3:
		process(story);
		break;
	case 4:
		step_serve(story);
		break;
	case 5:
	case 6:
		step_answer(story);
		break;
	case 7:
		step_replay(story);
		break;
	case 8:
		step_raw(story);
		break;
	case 9:
		step_advance(story, step & 0x80 ? 20000 : 200);
		break;
	case 10:
		fuzz_servers_change(&story->servers, fuzz_u8(&story->reader));
		break;
	default:
		story->send_mood = fuzz_u8(&story->reader);
		break;
	}
}

/* Nothing is heard any more: in the time of the last time-out all is told. */
static void wait_for_the_end(struct story *story)
{
	for (uint32_t turn = 0; turn < 1000 && story->client->pending > 0; turn++) {
		int timeout_ms = godwit_timeout_ms(story->client);

		FUZZ_CHECK(timeout_ms >= 0);
		story->now_us += (uint64_t)timeout_ms * 1000;
		process(story);
	}
	FUZZ_CHECK(story->client->pending == 0);
}

/* An input: two bytes of options; then steps, each a byte and what it needs to be told. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct story story;
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	const struct client_world world = { &story, now_us, next_random, wait_not };
	struct fuzz_reader reader = fuzz_reader(data, size);
	uint8_t choice = fuzz_u8(&reader);

	current = &story;
	story.reader = reader;
	story.now_us = 1000000;
	story.random = 1;
	story.send_mood = 0;
	story.sent_of_call = 0;
	story.inbox_count = 0;
	fuzz_servers_begin(&story.servers, fuzz_u8(&story.reader));
	options.no_wait = true;
	options.timeout_ms = 500;
	options.in_flight_max = choice & 1 ? 2 : 0;
	options.pending_max = choice & 2 ? 20 : 0;
	FUZZ_CHECK(client_open(&story.client, "10.0.0.1:7700,10.0.0.2:7700", &options, &world) ==
		   GODWIT_OK);
	for (uint32_t i = 0; i < STEP_MAX && fuzz_left(&story.reader) > 0; i++)
		play_step(&story, fuzz_u8(&story.reader));
	if (choice & 4)
		wait_for_the_end(&story);
	godwit_close(story.client);
	FUZZ_CHECK(story.servers.told_count == story.servers.asked_count);
	return 0;
}
