/* SPDX-License-Identifier: BSD-3-Clause */
/* Builds, sends and judges datagrams of operations. */
#include "dataplane/client/client_request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/client/client.h"

/* After this many redirections in a row an operation waits a moment: the nodes do not agree yet. */
#define REDIRECT_COUNT_MAX 3u
/* A datagram the path refuses as too long is made this many quarters as long, but not shorter than
 * the minimum.
 */
#define SHRINK_QUARTERS 3u
#define SHRINK_SIZE_MIN 512u
#define VALUE_MEAN_WEIGHT 8u

/* ---- building ---- */

static bool fits_alone(const struct client_session *session,
		       const struct client_operation *operation)
{
	return WIRE_HEADER_SIZE + operation->wire_size <= session->datagram_size_max &&
	       operation->value_size <= session->value_size_max;
}

/* What is taken from the front of a queue: how many, and the bytes they and (as far as can be
 * guessed) their replies need.
 */
struct load {
	uint32_t count;
	uint32_t size;
	uint32_t reply_size;
	uint32_t reply_size_guess;
	bool has_write;
	bool has_value; /* in some reply */
};

static bool load_add(struct load *load, const struct client_session *session,
		     const struct client_operation *operation)
{
	bool has_value = client_opcode_returns_value(operation->opcode);
	uint32_t reply_size = client_operation_reply_size_min(operation);
	struct load sum = *load;

	sum.count++;
	sum.size += operation->wire_size;
	sum.reply_size += reply_size;
	sum.reply_size_guess += reply_size + (has_value ? session->value_size_mean : 0);
	sum.has_write |= operation->is_write;
	sum.has_value |= has_value;
	if (load->count &&
	    (operation->is_alone || sum.count > WIRE_OP_COUNT_MAX ||
	     sum.size > session->datagram_size_max || sum.reply_size > session->datagram_size_max ||
	     sum.reply_size_guess > session->datagram_size_max))
		return false;
	*load = sum;
	return true;
}

static struct load measure(struct godwit *client, struct client_session *session)
{
	struct load load = { .size = WIRE_HEADER_SIZE,
			     .reply_size = WIRE_HEADER_SIZE,
			     .reply_size_guess = WIRE_HEADER_SIZE };
	struct client_operation *operation = TAILQ_FIRST(&session->queue);

	while (operation) {
		struct client_operation *next = TAILQ_NEXT(operation, list_link);

		if (!fits_alone(session, operation))
			client_complete_later(client, operation, GODWIT_TOO_LARGE);
		else if (!load_add(&load, session, operation) || operation->is_alone)
			break;
		operation = next;
	}
	return load;
}

static struct client_request *create(struct client_session *session, const struct load *load)
{
	size_t operations_size = load->count * sizeof(struct client_operation *);
	struct client_request *request =
		malloc(sizeof(*request) + operations_size + load->count + load->size);

	if (!request)
		return NULL;
	*request = (struct client_request){ .session = session,
					    .op_count = load->count,
					    .live_count = load->count,
					    .size = load->size };
	request->operations = (struct client_operation **)(request + 1);
	request->opcodes = (uint8_t *)(request->operations + load->count);
	request->bytes = request->opcodes + load->count;
	return request;
}

static void encode(const struct godwit *client, struct client_request *request)
{
	struct wire_header header = { .kind = WIRE_REQUEST,
				      .op_count = (uint8_t)request->op_count,
				      .session_id = request->session_id,
				      .token = request->token,
				      .sequence = request->sequence,
				      .map_version = client->map.version };
	uint8_t *at = request->bytes + WIRE_HEADER_SIZE;

	wire_header_write(request->bytes, &header);
	for (uint32_t i = 0; i < request->op_count; i++) {
		memcpy(at, request->operations[i]->wire, request->operations[i]->wire_size);
		at += request->operations[i]->wire_size;
	}
}

/* Bytes the server keeps of the reply at most, out of those it counts. */
static uint32_t kept_bytes_of(const struct client_session *session, const struct load *load)
{
	if (!load->has_write)
		return 0;
	if (load->has_value)
		return session->datagram_size_max;
	return load->reply_size <= WIRE_HEADER_SIZE + WIRE_REPLAY_SMALL_REPLY_SIZE
		       ? 0
		       : load->reply_size;
}

bool client_request_build(struct godwit *client, struct client_session *session)
{
	struct load load = measure(client, session);
	struct client_request *request = load.count ? create(session, &load) : NULL;

	if (!request)
		return false;
	for (uint32_t i = 0; i < load.count; i++) {
		struct client_operation *operation = TAILQ_FIRST(&session->queue);

		client_session_unqueue(session, operation);
		operation->request = request;
		operation->request_index = i;
		request->operations[i] = operation;
		request->opcodes[i] = operation->opcode;
	}
	client_session_admit(session, request);
	request->kept_bytes_before = session->kept_bytes;
	session->kept_bytes += kept_bytes_of(session, &load);
	encode(client, request);
	request->place = CLIENT_REQUEST_OUTBOX;
	TAILQ_INSERT_TAIL(&client->outbox, request, link);
	return true;
}

/* ---- from place to place ---- */

static struct client_request_list *list_of(struct godwit *client, struct client_request *request)
{
	switch (request->place) {
	case CLIENT_REQUEST_OUTBOX:
		return &client->outbox;
	case CLIENT_REQUEST_FLIGHT:
		return &request->session->flight;
	case CLIENT_REQUEST_WAITING:
		return &request->session->waiting;
	case CLIENT_REQUEST_ORPHAN:
	default:
		return &request->session->orphans;
	}
}

static void take_out(struct godwit *client, struct client_request *request)
{
	TAILQ_REMOVE(list_of(client, request), request, link);
}

/* Into WAITING or ORPHAN, sorted by when it is due. */
static void put_due(struct client_request_list *list, struct client_request *request)
{
	struct client_request *before = TAILQ_LAST(list, client_request_list);

	while (before && before->due_us > request->due_us)
		before = TAILQ_PREV(before, client_request_list, link);
	if (before)
		TAILQ_INSERT_AFTER(list, before, request, link);
	else
		TAILQ_INSERT_HEAD(list, request, link);
}

/* Ends a request that holds no operation any more, and is in no list. */
static void destroy(struct client_request *request)
{
	if (request->place != CLIENT_REQUEST_ORPHAN)
		client_session_release(request->session, request);
	free(request);
}

static struct client_operation *take_operation(struct client_request *request, uint32_t i)
{
	struct client_operation *operation = request->operations[i];

	if (!operation)
		return NULL;
	request->operations[i] = NULL;
	request->live_count--;
	operation->request = NULL;
	operation->was_sent |= request->transmissions > 0;
	return operation;
}

/* Makes a request that was never sent one without its operation 'i', which must not be executed any more: its outcome is
 * told. So all that such a request holds is live.
 */
static void cut_out(struct client_request *request, uint32_t i)
{
	uint8_t *at = request->bytes + WIRE_HEADER_SIZE;
	uint32_t wire_size = request->operations[i]->wire_size;

	for (uint32_t before = 0; before < i; before++)
		at += request->operations[before]->wire_size;
	request->size -= wire_size;
	memmove(at, at + wire_size, (size_t)(request->bytes + request->size - at));
	request->op_count--;
	request->bytes[WIRE_AT_OP_COUNT] = (uint8_t)request->op_count;
	for (; i < request->op_count; i++) {
		request->operations[i] = request->operations[i + 1];
		request->operations[i]->request_index = i;
		request->opcodes[i] = request->opcodes[i + 1];
	}
}

void client_request_detach(struct godwit *client, struct client_operation *operation)
{
	struct client_request *request = operation->request;
	uint32_t i = operation->request_index;

	if (request->transmissions == 0)
		cut_out(request, i);
	else
		request->operations[i] = NULL;
	request->live_count--;
	operation->request = NULL;
	operation->was_sent |= request->transmissions > 0;
	if (request->live_count)
		return;
	take_out(client, request);
	destroy(request);
}

static void dissolve(struct godwit *client, struct client_request *request)
{
	take_out(client, request);
	for (uint32_t i = 0; i < request->op_count; i++) {
		struct client_operation *operation = take_operation(request, i);

		if (operation)
			client_route(client, operation);
	}
	destroy(request);
}

/* Reads may be asked of another node, when the map has changed meanwhile; a write stays where it
 * was sent.
 */
static bool is_misrouted(struct godwit *client, struct client_request *request)
{
	bool is_misrouted = false;

	for (uint32_t i = 0; i < request->op_count; i++) {
		if (!request->operations[i])
			continue;
		if (request->transmissions && request->operations[i]->is_write)
			return false;
		is_misrouted |=
			client_map_route(client, request->operations[i]) != request->session;
	}
	return is_misrouted;
}

void client_request_send_again(struct godwit *client, struct client_request *request)
{
	if (is_misrouted(client, request)) {
		dissolve(client, request);
		return;
	}
	take_out(client, request);
	request->place = CLIENT_REQUEST_OUTBOX;
	TAILQ_INSERT_TAIL(&client->outbox, request, link);
}

/* ---- sending ---- */

static void mark_sent(struct godwit *client, struct client_request *request, bool is_taken)
{
	take_out(client, request);
	request->place = CLIENT_REQUEST_FLIGHT;
	request->sent_us = client->now_us;
	TAILQ_INSERT_TAIL(&request->session->flight, request, link);
	if (!is_taken)
		return;
	client->stats.datagrams_sent++;
	client->stats.retransmissions += request->transmissions > 0;
	request->transmissions++;
}

/* The path takes no datagram of this size: use smaller ones. One that was sent before counts as
 * lost.
 */
static void on_too_long(struct godwit *client, struct client_request *request)
{
	struct client_session *session = request->session;

	if (request->transmissions) {
		mark_sent(client, request, false);
		return;
	}
	if (request->live_count == 1) {
		for (uint32_t i = 0; i < request->op_count; i++)
			if (request->operations[i]) {
				client_complete_later(client, request->operations[i],
						      GODWIT_TOO_LARGE);
				return;
			}
	}
	session->datagram_size_max = request->size / 4 * SHRINK_QUARTERS;
	if (session->datagram_size_max < SHRINK_SIZE_MIN)
		session->datagram_size_max = SHRINK_SIZE_MIN;
	dissolve(client, request);
}

/* One system call. False: nothing more can be sent now. */
static bool flush_burst(struct godwit *client)
{
	struct client_datagram datagrams[CLIENT_SOCKET_BURST];
	struct client_request *request;
	size_t count = 0;
	int sent;

	TAILQ_FOREACH(request, &client->outbox, link)
	{
		if (count == CLIENT_SOCKET_BURST)
			break;
		wire_put_u32(request->bytes + WIRE_AT_MAP_VERSION, client->map.version);
		datagrams[count++] = (struct client_datagram){ request->session->address,
							       request->bytes, request->size };
	}
	if (count == 0)
		return false;
	sent = client_socket_send(&client->socket, datagrams, count);
	for (int i = 0; i < sent; i++)
		mark_sent(client, TAILQ_FIRST(&client->outbox), true);
	if (sent > 0)
		return true;
	if (sent == 0 || sent == -EAGAIN || sent == -ENOBUFS || sent == -ENOMEM)
		return false;
	if (sent == -EMSGSIZE)
		on_too_long(client, TAILQ_FIRST(&client->outbox));
	else
		mark_sent(client, TAILQ_FIRST(&client->outbox), false);
	return true;
}

void client_request_flush(struct godwit *client)
{
	while (flush_burst(client))
		;
}

/* ---- judging ---- */

static bool is_refusal(uint8_t status)
{
	return status == WIRE_RETRY || status == WIRE_NOT_OWNER || status == WIRE_UNAVAILABLE;
}

/* Whether the request must be sent again as it is, because a refused write of it could otherwise be
 * executed twice: the node remembers nothing of it. See "What the replay window remembers" in
 * wire_format.h.
 */
static bool must_stay(const struct client_request *request, const struct wire_reply_op *replies)
{
	bool has_write = false;

	for (uint32_t i = 0; i < request->op_count; i++) {
		if (!client_opcode_is_write(request->opcodes[i]))
			continue;
		if (replies[i].status != WIRE_RETRY)
			return false;
		has_write = true;
	}
	return has_write;
}

static bool is_sane_reply(const struct wire_reply_op *reply, uint8_t opcode)
{
	if (reply->opcode != opcode || reply->status >= WIRE_NEED_HELLO)
		return false;
	return reply->status != WIRE_OK || !client_opcode_returns_number(opcode) ||
	       reply->value_size == 8;
}

static bool read_replies(const struct client_request *request, uint8_t op_count,
			 const uint8_t *body, size_t body_size, struct wire_reply_op *replies)
{
	const uint8_t *end = body + body_size;

	if (op_count != request->op_count)
		return false;
	for (uint32_t i = 0; i < op_count; i++) {
		body = wire_reply_op_read(body, end, &replies[i]);
		if (!body || !is_sane_reply(&replies[i], request->opcodes[i]))
			return false;
	}
	return body == end;
}

/* One reply operation with opcode 0: the server could not parse the datagram. */
static bool is_refused_whole(uint8_t op_count, const uint8_t *body, size_t body_size)
{
	struct wire_reply_op reply;

	return op_count == 1 &&
	       wire_reply_op_read(body, body + body_size, &reply) == body + body_size &&
	       reply.opcode == 0 && reply.status == WIRE_BAD_REQUEST;
}

static uint64_t wait_us_of(const struct godwit *client, const struct wire_reply_op *reply)
{
	if (reply->status == WIRE_RETRY && reply->value_size >= 4)
		return wire_get_u32(reply->value);
	return client->retry_interval_us;
}

static void redirect(struct godwit *client, struct client_operation *operation,
		     struct client_address from, const struct wire_reply_op *reply)
{
	struct client_address owner = { 0, 0 };

	if (reply->value_size >= WIRE_OWNER_SIZE)
		owner = (struct client_address){ wire_get_u32(reply->value),
						 wire_get_u16(reply->value + 4) };
	client_map_want(client, NULL, false);
	client->stats.redirects++;
	if (owner.port == 0 || owner.ipv4 == 0 || client_address_equal(owner, from) ||
	    operation->redirect_count++ >= REDIRECT_COUNT_MAX) {
		operation->redirect = (struct client_address){ 0, 0 };
		operation->redirect_count = 0;
		client_route_later(client, operation, client->now_us + client->retry_interval_us);
		return;
	}
	operation->redirect = owner;
	client_route(client, operation);
}

static void note_value_size(struct client_session *session, uint32_t size)
{
	if (session->value_size_mean == 0)
		session->value_size_mean = size;
	session->value_size_mean -= session->value_size_mean / VALUE_MEAN_WEIGHT;
	session->value_size_mean += size / VALUE_MEAN_WEIGHT;
}

/* A value did not fit beside the others: guess better, and the second time do not guess. */
static void ask_with_more_room(struct godwit *client, const struct client_session *session,
			       struct client_operation *operation)
{
	operation->is_alone = operation->was_too_large || session->value_size_mean == 0;
	operation->was_too_large = true;
	client_route(client, operation);
}

static void deliver(struct godwit *client, struct client_session *session,
		    struct client_operation *operation, const struct wire_reply_op *reply)
{
	struct godwit_result result = { .status = (enum godwit_status)reply->status,
					.version = reply->version };

	if (reply->status == WIRE_OK && client_opcode_returns_value(operation->opcode)) {
		result.value = reply->value;
		result.value_size = reply->value_size;
		note_value_size(session, reply->value_size);
	}
	if (reply->status == WIRE_OK && operation->opcode == WIRE_INCREMENT)
		result.number = (int64_t)wire_get_u64(reply->value);
	if (reply->status == WIRE_OK && operation->opcode == WIRE_TTL)
		result.ttl_ms = wire_get_u64(reply->value);
	client_complete(client, operation, &result);
}

/* 'operation' is in no queue and no request; 'is_shared': other operations were in its datagram. */
static void conclude(struct godwit *client, struct client_session *session,
		     struct client_operation *operation, const struct wire_reply_op *reply,
		     bool is_shared)
{
	if (is_refusal(reply->status))
		operation->refusal = (enum godwit_status)reply->status;
	if (reply->status == WIRE_RETRY) {
		client_route_later(client, operation, client->now_us + wait_us_of(client, reply));
	} else if (reply->status == WIRE_NOT_OWNER) {
		redirect(client, operation, session->address, reply);
	} else if (reply->status == WIRE_TOO_LARGE && is_shared &&
		   client_opcode_returns_value(operation->opcode)) {
		ask_with_more_room(client, session, operation);
	} else {
		deliver(client, session, operation, reply);
	}
}

/* Refused writes stay and are sent again; the others get what they were answered. */
static void stay(struct godwit *client, struct client_request *request,
		 const struct wire_reply_op *replies)
{
	uint64_t wait_us = 0;

	for (uint32_t i = 0; i < request->op_count; i++) {
		struct client_operation *operation;

		if (client_opcode_is_write(request->opcodes[i])) {
			uint64_t asked_us = wait_us_of(client, &replies[i]);

			wait_us = asked_us > wait_us ? asked_us : wait_us;
		} else if ((operation = take_operation(request, i))) {
			conclude(client, request->session, operation, &replies[i],
				 request->op_count > 1);
		}
	}
	take_out(client, request);
	if (request->live_count == 0) {
		destroy(request);
	} else if (request->place == CLIENT_REQUEST_ORPHAN) {
		put_due(&request->session->orphans, request);
		client_request_abandon(client, request);
	} else {
		request->place = CLIENT_REQUEST_WAITING;
		request->due_us = client->now_us + wait_us;
		put_due(&request->session->waiting, request);
	}
}

static void end(struct godwit *client, struct client_request *request,
		const struct wire_reply_op *replies)
{
	take_out(client, request);
	for (uint32_t i = 0; i < request->op_count; i++) {
		struct client_operation *operation = take_operation(request, i);

		if (operation)
			conclude(client, request->session, operation, &replies[i],
				 request->op_count > 1);
	}
	destroy(request);
}

/* Every operation ends with 'status'. */
static void end_all(struct godwit *client, struct client_request *request,
		    enum godwit_status status)
{
	take_out(client, request);
	for (uint32_t i = 0; i < request->op_count; i++) {
		struct client_operation *operation = take_operation(request, i);

		if (operation)
			client_complete_status(client, operation, status);
	}
	destroy(request);
}

bool client_request_resolve(struct godwit *client, struct client_request *request, uint8_t op_count,
			    const uint8_t *body, size_t body_size)
{
	struct wire_reply_op replies[WIRE_OP_COUNT_MAX];

	if (is_refused_whole(op_count, body, body_size)) {
		end_all(client, request, GODWIT_BAD_REQUEST);
		return true;
	}
	if (!read_replies(request, op_count, body, body_size, replies))
		return false;
	if (must_stay(request, replies))
		stay(client, request, replies);
	else
		end(client, request, replies);
	return true;
}

/* ---- lost sessions ---- */

void client_request_orphan(struct godwit *client, struct client_request *request, bool is_refused)
{
	bool surely_not_executed =
		request->transmissions == 0 || (is_refused && request->transmissions == 1);
	struct client_session *session = request->session;

	take_out(client, request);
	if (request->place != CLIENT_REQUEST_ORPHAN)
		client_session_release(session, request);
	request->place = CLIENT_REQUEST_ORPHAN;
	for (uint32_t i = 0; i < request->op_count; i++) {
		struct client_operation *operation = request->operations[i];

		if (!operation || (operation->is_write && !surely_not_executed))
			continue;
		take_operation(request, i);
		client_route(client, operation);
	}
	if (request->live_count == 0) {
		destroy(request);
		return;
	}
	request->due_us = client->now_us + client_session_patience_us(client, session);
	put_due(&session->orphans, request);
	if (is_refused)
		client_request_abandon(client, request);
}

void client_request_abandon(struct godwit *client, struct client_request *request)
{
	end_all(client, request, GODWIT_UNKNOWN);
}
