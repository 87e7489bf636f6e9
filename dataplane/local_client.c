/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of the control thread: made, repeated, and matched with their answers. */
#include "dataplane/local_client.h"

#include <errno.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdlib.h>
#include <sys/random.h>

#include "dataplane/core_mailbox.h"
#include "dataplane/core_state.h"
#include "dataplane/request_local.h"
#include "dataplane/wire_partition.h"

/* No new request takes a sequence so far from that of an open one: replay windows remember the last REPLAY_WINDOW_SIZE. One that
 * all the same falls behind, by refusals of others, is dropped by the workers and ends as unknown.
 */
#define SEQUENCE_SPAN_MAX (REPLAY_WINDOW_SIZE / 2)

/* Refused by a node that is not the owner, or not any more: who is it will be known soon. */
#define REFUSED_WAIT_MS 10u
#define ANSWERS_PER_POLL_MAX 64u

/* The session of these requests: no node grants the id 0, and the token tells lives of this node apart. */
#define LOCAL_SESSION_ID 0u

struct local_request {
	uint32_t sequence; /* 0 = free */
	uint32_t worker;   /* the same for all copies */
	uint64_t due_ms;   /* when it is sent again */
	uint64_t deadline_ms;
	uint32_t interval_ms;
	bool is_unanswered;  /* a copy of this sequence is on its way */
	bool is_ambiguous;   /* so were two at a time: an answer may be to either */
	uint8_t last_status; /* why it was put off */
	uint32_t size;       /* of 'datagram' */
	uint8_t *datagram;
	local_done *done;
	void *context;
};

struct local_client {
	struct core_shared *shared;
	uint64_t token;
	uint32_t sequence; /* of the last request */
	uint32_t open_count;
	uint8_t *datagrams; /* of all requests */
	struct local_request requests[LOCAL_REQUESTS_MAX];
};

/* ---- life ---- */

int local_client_create(struct local_client **result, struct core_shared *shared)
{
	struct local_client *client = calloc(1, sizeof(*client));

	if (client)
		client->datagrams = calloc(LOCAL_REQUESTS_MAX, shared->datagram_size_max);
	if (!client || !client->datagrams) {
		free(client);
		return -ENOMEM;
	}
	if (getrandom(&client->token, sizeof(client->token), 0) != (ssize_t)sizeof(client->token)) {
		local_client_destroy(client);
		return -EIO;
	}
	client->token |= client->token == 0;
	client->shared = shared;
	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++)
		client->requests[i].datagram =
			client->datagrams + (size_t)i * shared->datagram_size_max;
	*result = client;
	return 0;
}

static void end_request(struct local_client *client, struct local_request *request,
			const struct local_answer *answer)
{
	request->sequence = 0;
	client->open_count--;
	request->done(request->context, answer);
}

/* Without a final answer. */
static void give_up(struct local_client *client, struct local_request *request)
{
	bool is_known = !request->is_unanswered && !request->is_ambiguous;
	const struct local_answer answer = {
		.outcome = is_known ? LOCAL_NOT_APPLIED : LOCAL_UNKNOWN,
		.status = request->last_status,
	};

	end_request(client, request, &answer);
}

void local_client_destroy(struct local_client *client)
{
	if (!client)
		return;
	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++) {
		if (client->requests[i].sequence != 0)
			give_up(client, &client->requests[i]);
	}
	free(client->datagrams);
	free(client);
}

/* ---- sending ---- */

static struct packet_view view_of(const struct local_client *client,
				  const struct local_request *request, const uint8_t *frame)
{
	struct packet_view view = {
		.frame = frame,
		.payload = frame + PACKET_AT_UDP_PAYLOAD,
		.source_ipv4 = REQUEST_LOCAL_IPV4,
		.destination_port = (uint16_t)(client->shared->local.port_base + request->worker),
		.payload_size = (uint16_t)request->size,
		.kind = PACKET_KIND_DATAGRAM,
		.is_local = true,
	};

	wire_header_read(view.payload, request->size, &view.wire);
	return view;
}

/* The queue by which the request leaves if it is forwarded. */
static uint8_t queue_for(const struct core_shared *shared, uint32_t worker)
{
	return (uint8_t)(shared->port ? worker % shared->port->queues : 0);
}

/* A packet as a worker finds it in its mailbox; NULL without memory. */
static struct rte_mbuf *make_packet(const struct local_client *client,
				    const struct local_request *request)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(client->shared->pool);
	struct core_mail *mail;
	uint8_t *frame;

	if (!mbuf)
		return NULL;
	frame = (uint8_t *)rte_pktmbuf_append(mbuf,
					      (uint16_t)(PACKET_AT_UDP_PAYLOAD + request->size));
	memset(frame, 0, PACKET_AT_UDP_PAYLOAD);
	memcpy(frame + PACKET_AT_UDP_PAYLOAD, request->datagram, request->size);
	mail = core_mail(mbuf);
	mail->view = view_of(client, request, frame);
	mail->kind = MAIL_REQUEST;
	mail->queue = queue_for(client->shared, request->worker);
	return mbuf;
}

/* Sends a copy. Without memory or room in the mailbox it is lost, as on any way. */
static void send_copy(struct local_client *client, struct local_request *request, uint64_t now_ms)
{
	struct rte_mbuf *mbuf = make_packet(client, request);

	request->due_ms = now_ms + request->interval_ms;
	request->interval_ms *= 2;
	if (request->interval_ms > LOCAL_REPEAT_MS_MAX)
		request->interval_ms = LOCAL_REPEAT_MS_MAX;
	if (!mbuf)
		return;
	if (mailbox_send(client->shared->mailboxes, request->worker, request->worker, &mbuf, 1) ==
	    1) {
		request->is_ambiguous |= request->is_unanswered;
		request->is_unanswered = true;
	} else {
		rte_pktmbuf_free(mbuf);
	}
}

static uint32_t next_sequence(struct local_client *client)
{
	client->sequence += client->sequence == UINT32_MAX ? 2 : 1;
	return client->sequence;
}

static void set_sequence(struct local_request *request, uint32_t sequence)
{
	request->sequence = sequence;
	wire_put_u32(request->datagram + WIRE_AT_SEQUENCE, sequence);
	request->is_unanswered = false;
	request->is_ambiguous = false;
}

static bool is_too_old(const struct local_client *client, const struct local_request *request)
{
	return request->sequence != 0 && client->sequence - request->sequence >= SEQUENCE_SPAN_MAX;
}

/* A free request if another sequence may be used; else NULL. */
static struct local_request *find_free(struct local_client *client)
{
	struct local_request *found = NULL;

	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++) {
		if (is_too_old(client, &client->requests[i]))
			return NULL;
		if (client->requests[i].sequence == 0)
			found = &client->requests[i];
	}
	return found;
}

static uint32_t write_datagram(const struct local_client *client, const struct wire_request_op *op,
			       uint8_t *datagram)
{
	const struct wire_header header = {
		.kind = WIRE_REQUEST,
		.op_count = 1,
		.session_id = LOCAL_SESSION_ID,
		.token = client->token,
	};

	wire_header_write(datagram, &header);
	return (uint32_t)(wire_request_op_write(datagram + WIRE_HEADER_SIZE, op) - datagram);
}

int local_client_send(struct local_client *client, const struct wire_request_op *op,
		      uint64_t now_ms, local_done *done, void *context)
{
	const struct core_shared *shared = client->shared;
	struct local_request *request;

	if (WIRE_HEADER_SIZE + wire_request_op_size(op) > shared->datagram_size_max)
		return -EMSGSIZE;
	request = find_free(client);
	if (!request)
		return -EAGAIN;
	request->worker = shared->worker_of[wire_partition_of(op->key, op->key_size,
							      shared->partition_count)];
	request->deadline_ms = now_ms + LOCAL_DEADLINE_MS;
	request->interval_ms = LOCAL_REPEAT_MS;
	request->last_status = WIRE_RETRY;
	request->size = write_datagram(client, op, request->datagram);
	request->done = done;
	request->context = context;
	set_sequence(request, next_sequence(client));
	client->open_count++;
	send_copy(client, request, now_ms);
	return 0;
}

uint32_t local_client_value_size_max(const struct local_client *client, uint32_t key_size)
{
	const struct core_shared *shared = client->shared;
	uint32_t room =
		shared->datagram_size_max - WIRE_HEADER_SIZE - WIRE_REQUEST_OP_SIZE - key_size;

	return room < shared->value_size_max ? room : shared->value_size_max;
}

/* ---- answers ---- */

static struct local_request *find_open(struct local_client *client,
				       const struct wire_header *header)
{
	if (header->session_id != LOCAL_SESSION_ID || header->token != client->token ||
	    header->sequence == 0)
		return NULL;
	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++) {
		if (client->requests[i].sequence == header->sequence)
			return &client->requests[i];
	}
	return NULL;
}

/* The same datagram after a while. */
static void put_off(struct local_request *request, uint64_t now_ms, uint64_t wait_ms)
{
	request->is_unanswered = false;
	request->interval_ms = LOCAL_REPEAT_MS;
	request->due_ms = now_ms + wait_ms;
}

static uint32_t wait_told(const struct wire_reply_op *reply)
{
	return reply->value_size >= sizeof(uint32_t) ? wire_get_u32(reply->value) / 1000 + 1 : 1;
}

/* No copy of this sequence was executed or will be: a refusal stays, so the question needs another one. */
static void ask_anew(struct local_client *client, struct local_request *request, uint64_t now_ms)
{
	set_sequence(request, next_sequence(client));
	put_off(request, now_ms, REFUSED_WAIT_MS);
}

static void take_reply(struct local_client *client, struct local_request *request,
		       const struct wire_reply_op *reply, uint64_t now_ms)
{
	const struct local_answer answer = {
		.outcome = LOCAL_ANSWERED,
		.status = reply->status,
		.version = reply->version,
		.value = reply->value,
		.value_size = reply->value_size,
	};

	request->last_status = reply->status;
	if (reply->status == WIRE_RETRY)
		put_off(request, now_ms, wait_told(reply));
	else if (reply->status == WIRE_NOT_OWNER)
		ask_anew(client, request, now_ms);
	else
		end_request(client, request, &answer);
}

static void take_answer(struct local_client *client, const struct rte_mbuf *mbuf, uint64_t now_ms)
{
	const uint8_t *payload = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, PACKET_AT_UDP_PAYLOAD);
	size_t size = mbuf->data_len - PACKET_AT_UDP_PAYLOAD;
	struct local_request *request;
	struct wire_reply_op reply;
	struct wire_header header;

	if (!wire_header_read(payload, size, &header))
		return;
	request = find_open(client, &header);
	if (request && wire_reply_op_read(payload + WIRE_HEADER_SIZE, payload + size, &reply))
		take_reply(client, request, &reply, now_ms);
}

static void take_answers(struct local_client *client, struct core *core, uint64_t now_ms)
{
	struct rte_mbuf *mbuf;

	for (uint32_t i = 0; i < ANSWERS_PER_POLL_MAX; i++) {
		if (rte_ring_sc_dequeue(core->local_answers, (void **)&mbuf) != 0)
			return;
		take_answer(client, mbuf, now_ms);
		rte_pktmbuf_free(mbuf);
	}
}

/* Whether time does something about it. */
static bool is_due(const struct local_request *request, uint64_t now_ms)
{
	return request->sequence != 0 &&
	       (now_ms >= request->due_ms || now_ms >= request->deadline_ms);
}

bool local_client_poll(struct local_client *client, uint64_t now_ms)
{
	for (uint32_t i = 0; i < client->shared->worker_count; i++)
		take_answers(client, client->shared->cores[i], now_ms);
	for (uint32_t i = 0; i < LOCAL_REQUESTS_MAX; i++) {
		struct local_request *request = &client->requests[i];

		if (!is_due(request, now_ms))
			continue;
		if (now_ms >= request->deadline_ms)
			give_up(client, request);
		else
			send_copy(client, request, now_ms);
	}
	return client->open_count > 0;
}
