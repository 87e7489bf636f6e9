/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshakes, queues and repetitions of one server port. */
#include "dataplane/client/client_session.h"

#include <stdlib.h>

#include "dataplane/client/client.h"
#include "dataplane/wire_hello.h"

/* After this many unanswered proofs the challenge may be too old for the server: greet again. */
#define PROOF_COUNT_MAX 4u
/* The patience doubles with each loss in a row, up to 2^3 times. */
#define PATIENCE_DOUBLINGS_MAX 3u
/* After this many losses or greetings in a row the map may be at fault. */
#define LOSSES_SUSPECT 3u
/* A session ends before its sequences do. */
#define SEQUENCE_LAST 0xffff0000u
/* The smallest limits a sane server grants. */
#define DATAGRAM_SIZE_MIN 256u
#define WINDOW_MIN 4u

/* ---- sessions by address ---- */

static uint32_t bucket_of(struct client_address address)
{
	uint32_t mixed = (address.ipv4 ^ (uint32_t)address.port << 8) * 2654435761u;

	return mixed >> 24;
}

struct client_session *client_session_lookup(const struct godwit *client,
					     struct client_address address)
{
	struct client_session *session = client->buckets[bucket_of(address)];

	while (session && !client_address_equal(session->address, address))
		session = session->next_of_bucket;
	return session;
}

struct client_session *client_session_find(struct godwit *client, struct client_address address)
{
	struct client_session *session = client_session_lookup(client, address);
	uint32_t bucket = bucket_of(address);

	if (session)
		return session;
	session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->address = address;
	TAILQ_INIT(&session->queue);
	TAILQ_INIT(&session->flight);
	TAILQ_INIT(&session->waiting);
	TAILQ_INIT(&session->orphans);
	session->next_of_bucket = client->buckets[bucket];
	client->buckets[bucket] = session;
	return session;
}

void client_session_destroy_all(struct godwit *client)
{
	for (uint32_t i = 0; i < CLIENT_BUCKET_COUNT; i++) {
		struct client_session *session = client->buckets[i];

		while (session) {
			struct client_session *next = session->next_of_bucket;

			free(session->ring);
			free(session);
			session = next;
		}
		client->buckets[i] = NULL;
	}
}

static void activate(struct godwit *client, struct client_session *session)
{
	if (session->is_active)
		return;
	session->is_active = true;
	TAILQ_INSERT_TAIL(&client->active, session, active_link);
}

/* ---- the handshake ---- */

static void send_hello(struct godwit *client, struct client_session *session)
{
	uint8_t bytes[WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE];
	struct wire_header header = { .kind = WIRE_HELLO, .map_version = client->map.version };
	struct wire_hello hello = { session->nonce, session->challenge };

	wire_header_write(bytes, &header);
	wire_hello_write(bytes + WIRE_HEADER_SIZE, &hello);
	session->hello_sent_us = client->now_us;
	session->hello_count++;
	client_send(client, session->address, bytes, sizeof(bytes));
}

static void greet(struct godwit *client, struct client_session *session)
{
	session->state = CLIENT_SESSION_GREETING;
	session->nonce = client->world.random(client->world.context);
	session->challenge = 0;
	send_hello(client, session);
}

void client_session_start(struct godwit *client, struct client_session *session)
{
	activate(client, session);
	if (session->state != CLIENT_SESSION_IDLE)
		return;
	session->hello_count = 0;
	greet(client, session);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool open_session(struct godwit *client, struct client_session *session,
			 const struct wire_header *header, const struct wire_hello_reply *grant)
{
	bool is_restarted = session->boot_id && session->boot_id != grant->boot_id;

	if (!session->ring)
		session->ring = calloc(CLIENT_SPAN_MAX, sizeof(session->ring[0]));
	if (!session->ring)
		return false;
	session->id = header->session_id;
	session->token = header->token;
	session->boot_id = grant->boot_id;
	session->worker_count = grant->worker_count;
	session->value_size_max = grant->value_size_max;
	session->datagram_size_max = smaller(grant->datagram_size_max, CLIENT_DATAGRAM_SIZE_MAX);
	session->span_max = smaller(grant->replay_window_size / 2, CLIENT_SPAN_MAX);
	session->next_sequence = 1;
	session->oldest_sequence = 1;
	session->losses_in_row = 0;
	session->is_wanted = false;
	session->state = CLIENT_SESSION_OPEN;
	client->stats.sessions_opened++;
	if (client->map.partition_count == 0 || is_restarted)
		client_map_want(client, session, true);
	return true;
}

static bool is_sane_grant(const struct wire_header *header, const struct wire_hello_reply *grant)
{
	return header->session_id != 0 && grant->worker_count > 0 &&
	       grant->datagram_size_max >= DATAGRAM_SIZE_MIN &&
	       grant->replay_window_size >= WINDOW_MIN;
}

bool client_session_on_hello_reply(struct godwit *client, struct client_session *session,
				   const struct wire_header *header, const uint8_t *body,
				   size_t body_size)
{
	bool is_proving = session->state == CLIENT_SESSION_PROVING;
	struct wire_hello_reply reply;

	if (!wire_hello_reply_read(body, body_size, &reply) || reply.client_nonce != session->nonce)
		return false;
	if (!is_proving && session->state != CLIENT_SESSION_GREETING)
		return false;
	if (reply.stage == WIRE_HELLO_GRANTED)
		return is_proving && is_sane_grant(header, &reply) &&
		       open_session(client, session, header, &reply);
	if (reply.stage != WIRE_HELLO_CHALLENGE || reply.challenge == 0 ||
	    reply.challenge == session->challenge)
		return false;
	session->state = CLIENT_SESSION_PROVING;
	session->challenge = reply.challenge;
	session->hello_count = 0;
	send_hello(client, session);
	return true;
}

static uint64_t doubled(uint64_t interval_us, uint32_t times)
{
	return interval_us << smaller(times, PATIENCE_DOUBLINGS_MAX);
}

static uint64_t hello_due_us(const struct godwit *client, const struct client_session *session)
{
	uint32_t losses = session->hello_count ? session->hello_count - 1 : 0;

	return session->hello_sent_us + doubled(client->retry_interval_us, losses);
}

static void tick_handshake(struct godwit *client, struct client_session *session)
{
	if (client->now_us < hello_due_us(client, session))
		return;
	if (!session->is_wanted && session->queue_count == 0) {
		session->state = CLIENT_SESSION_IDLE;
		return;
	}
	if (session->hello_count >= LOSSES_SUSPECT)
		client_map_want(client, NULL, true);
	if (session->state == CLIENT_SESSION_PROVING && session->hello_count >= PROOF_COUNT_MAX)
		greet(client, session);
	else
		send_hello(client, session);
}

/* ---- queue and ring ---- */

void client_session_enqueue(struct godwit *client, struct client_session *session,
			    struct client_operation *operation)
{
	operation->session = session;
	TAILQ_INSERT_TAIL(&session->queue, operation, list_link);
	session->queue_count++;
	session->queue_bytes += operation->wire_size;
	client_session_start(client, session);
}

void client_session_unqueue(struct client_session *session, struct client_operation *operation)
{
	TAILQ_REMOVE(&session->queue, operation, list_link);
	session->queue_count--;
	session->queue_bytes -= operation->wire_size;
	operation->session = NULL;
}

void client_session_admit(struct client_session *session, struct client_request *request)
{
	request->session_id = session->id;
	request->token = session->token;
	request->sequence = session->next_sequence++;
	if (session->outstanding == 0)
		session->oldest_sequence = request->sequence;
	session->ring[request->sequence % CLIENT_SPAN_MAX] = request;
	session->outstanding++;
}

void client_session_release(struct client_session *session, struct client_request *request)
{
	session->ring[request->sequence % CLIENT_SPAN_MAX] = NULL;
	session->outstanding--;
	while (session->oldest_sequence != session->next_sequence &&
	       !session->ring[session->oldest_sequence % CLIENT_SPAN_MAX])
		session->oldest_sequence++;
}

static bool is_worn(const struct client_session *session)
{
	return session->next_sequence >= SEQUENCE_LAST;
}

/* Whether the server would still know the reply of the oldest request in flight after one more. */
static bool is_within_window(const struct client_session *session)
{
	const struct client_request *oldest;

	if (session->outstanding == 0)
		return true;
	oldest = session->ring[session->oldest_sequence % CLIENT_SPAN_MAX];
	return session->next_sequence - session->oldest_sequence < session->span_max &&
	       session->kept_bytes - oldest->kept_bytes_before + session->datagram_size_max <=
		       WIRE_REPLAY_BYTES_MIN;
}

static bool can_send(const struct godwit *client, const struct client_session *session)
{
	return session->state == CLIENT_SESSION_OPEN && session->queue_count &&
	       session->outstanding < client->in_flight_max && is_within_window(session) &&
	       !is_worn(session);
}

void client_session_fill(struct godwit *client, struct client_session *session, bool only_full)
{
	while (can_send(client, session)) {
		if (only_full && session->queue_bytes < session->datagram_size_max &&
		    session->queue_count < WIRE_OP_COUNT_MAX)
			return;
		if (!client_request_build(client, session))
			return;
	}
}

/* ---- replies ---- */

static struct client_request *find_request(const struct client_session *session,
					   const struct wire_header *header)
{
	struct client_request *request = NULL;

	if (session->state == CLIENT_SESSION_OPEN && header->token == session->token)
		request = session->ring[header->sequence % CLIENT_SPAN_MAX];
	else
		TAILQ_FOREACH(request, &session->orphans, link)
	if (request->token == header->token && request->sequence == header->sequence)
		break;
	if (!request || request->sequence != header->sequence || request->transmissions == 0)
		return NULL;
	return request;
}

/* The server forgot the session, as it answered to 'refused'; NULL: to a question for the map. */
static void lose_session(struct godwit *client, struct client_session *session,
			 struct client_request *refused)
{
	session->state = CLIENT_SESSION_IDLE;
	client->stats.sessions_lost++;
	if (refused)
		client_request_orphan(client, refused, true);
	for (uint32_t i = 0; i < CLIENT_SPAN_MAX && session->outstanding; i++)
		if (session->ring[i])
			client_request_orphan(client, session->ring[i], false);
	client_session_start(client, session);
}

bool client_session_on_reply(struct godwit *client, struct client_session *session,
			     const struct wire_header *header, const uint8_t *body,
			     size_t body_size)
{
	struct client_request *request = find_request(session, header);

	if (!request) {
		if (header->op_count != 0 || !client_map_is_asked(client, session, header))
			return false;
		session->is_wanted = true;
		lose_session(client, session, NULL);
		return true;
	}
	if (header->op_count == 0) {
		if (request->place == CLIENT_REQUEST_ORPHAN)
			client_request_orphan(client, request, true);
		else
			lose_session(client, session, request);
		return true;
	}
	if (header->session_id != request->session_id ||
	    !client_request_resolve(client, request, header->op_count, body, body_size))
		return false;
	session->losses_in_row = 0;
	client_map_notice(client, session, header->map_version);
	return true;
}

/* ---- time ---- */

uint64_t client_session_patience_us(const struct godwit *client,
				    const struct client_session *session)
{
	return doubled(client->retry_interval_us, session->losses_in_row);
}

static void tick_flight(struct godwit *client, struct client_session *session)
{
	uint64_t patience_us = client_session_patience_us(client, session);
	struct client_request *request;
	bool is_lost = false;

	while ((request = TAILQ_FIRST(&session->flight)) &&
	       client->now_us >= request->sent_us + patience_us) {
		client_request_send_again(client, request);
		is_lost = true;
	}
	if (!is_lost)
		return;
	session->losses_in_row++;
	if (session->losses_in_row >= LOSSES_SUSPECT)
		client_map_want(client, NULL, true);
}

static void tick_lists(struct godwit *client, struct client_session *session)
{
	struct client_request *request;

	while ((request = TAILQ_FIRST(&session->waiting)) && client->now_us >= request->due_us)
		client_request_send_again(client, request);
	while ((request = TAILQ_FIRST(&session->orphans)) && client->now_us >= request->due_us)
		client_request_abandon(client, request);
}

static bool is_busy(const struct client_session *session)
{
	return session->queue_count || session->outstanding || !TAILQ_EMPTY(&session->orphans) ||
	       session->state == CLIENT_SESSION_GREETING ||
	       session->state == CLIENT_SESSION_PROVING;
}

void client_session_tick(struct godwit *client, struct client_session *session)
{
	if (session->state == CLIENT_SESSION_GREETING || session->state == CLIENT_SESSION_PROVING)
		tick_handshake(client, session);
	tick_flight(client, session);
	tick_lists(client, session);
	if (session->state == CLIENT_SESSION_OPEN && is_worn(session) &&
	    session->outstanding == 0) {
		session->state = CLIENT_SESSION_IDLE;
		if (session->queue_count)
			client_session_start(client, session);
	}
	if (is_busy(session))
		return;
	session->is_active = false;
	TAILQ_REMOVE(&client->active, session, active_link);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t client_session_due_us(const struct godwit *client, const struct client_session *session)
{
	const struct client_request *request;
	uint64_t due_us = CLIENT_FOREVER;

	if (can_send(client, session))
		return 0;
	if (session->state == CLIENT_SESSION_GREETING || session->state == CLIENT_SESSION_PROVING)
		due_us = hello_due_us(client, session);
	if ((request = TAILQ_FIRST(&session->flight)))
		due_us = earlier(due_us,
				 request->sent_us + client_session_patience_us(client, session));
	if ((request = TAILQ_FIRST(&session->waiting)))
		due_us = earlier(due_us, request->due_us);
	if ((request = TAILQ_FIRST(&session->orphans)))
		due_us = earlier(due_us, request->due_us);
	return due_us;
}
