/* SPDX-License-Identifier: BSD-3-Clause */
/* One client port's session with one worker of the server, and its unanswered requests. */
#ifndef LOADGEN_FLOW_H
#define LOADGEN_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/loadgen/operation.h"
#include "dataplane/wire_hello.h"

/* Sequences from the oldest unanswered to the newest request: half the 1,024 a server remembers
 * (protocol rule 3), so that a retransmission always still finds its place in the server's window.
 */
#define FLOW_SPAN_MAX 512u

/* Sequences are 32 bits and must not wrap within a session; from here on it is renewed. */
#define FLOW_SEQUENCE_LAST 0xfffff000u

enum flow_state {
	FLOW_GREETING,   /* HELLO goes out until the challenge comes */
	FLOW_CHALLENGED, /* HELLO with the challenge goes out until the grant comes */
	FLOW_OPEN,
};

struct request {
	uint64_t planned; /* ticks: latency counts from here */
	uint64_t sent;    /* ticks, of the last transmission */
	uint32_t sequence;
	uint8_t op_count; /* 0 = answered, the place is free */
	uint8_t tries;    /* transmissions so far */
};

/* Thread safety: one thread at a time. */
struct flow {
	enum flow_state state;
	uint32_t index;         /* of the transport's flow */
	uint16_t server_worker; /* that it talks to */
	uint32_t session_id;
	uint64_t token;
	uint32_t map_version;
	uint32_t sequence_next;
	uint32_t sequence_oldest; /* unanswered, or sequence_next */
	uint32_t ops_max;         /* operations per request */
	uint64_t nonce;
	uint64_t challenge;
	uint64_t hello_sent; /* ticks, 0 = not yet */
	uint32_t hellos;     /* sent since the last grant */
	struct request requests[FLOW_SPAN_MAX];
	struct operation *operations; /* ops_max for each request */
};

/* Requests may have up to 'ops_max' operations. Fresh flows are GREETING. NULL when there is no
 * memory.
 */
struct flow *flow_create(uint32_t index, uint16_t server_worker, uint32_t ops_max, uint64_t nonce);

/* Accepts NULL. */
void flow_destroy(struct flow *flow);

/* The session must be granted anew by the server; what it has outstanding is kept. */
void flow_renew(struct flow *flow);

static inline bool flow_has_room(const struct flow *flow)
{
	return flow->state == FLOW_OPEN &&
	       flow->sequence_next - flow->sequence_oldest < FLOW_SPAN_MAX &&
	       flow->sequence_next < FLOW_SEQUENCE_LAST;
}

static inline struct request *flow_request_at(struct flow *flow, uint32_t sequence)
{
	return &flow->requests[sequence % FLOW_SPAN_MAX];
}

static inline struct operation *flow_operations_of(struct flow *flow, const struct request *request)
{
	return flow->operations + (size_t)(request - flow->requests) * flow->ops_max;
}

/* Takes the next sequence for a request whose operations the caller then fills in; needs
 * flow_has_room().
 */
static inline struct request *flow_begin(struct flow *flow)
{
	uint32_t sequence = flow->sequence_next++;
	struct request *request = flow_request_at(flow, sequence);

	request->sequence = sequence;
	request->tries = 0;
	return request;
}

/* The outstanding request of 'sequence', or NULL. */
static inline struct request *flow_find(struct flow *flow, uint32_t sequence)
{
	struct request *request = flow_request_at(flow, sequence);

	return request->sequence == sequence && request->op_count ? request : NULL;
}

/* The request is answered or given up: its place is free. */
static inline void flow_end(struct flow *flow, struct request *request)
{
	request->op_count = 0;
	while (flow->sequence_oldest != flow->sequence_next &&
	       flow_request_at(flow, flow->sequence_oldest)->op_count == 0)
		flow->sequence_oldest++;
}

/* Writes the datagram header of a request, as wire_header_write() does but by three stores; its
 * operations follow.
 */
static inline void flow_write_header(const struct flow *flow, const struct request *request,
				     uint8_t *at)
{
	wire_put_u64(at, (uint64_t)WIRE_MAGIC << 56 | (uint64_t)WIRE_VERSION << 48 |
				 (uint64_t)WIRE_REQUEST << 40 | (uint64_t)request->op_count << 32 |
				 flow->session_id);
	wire_put_u64(at + WIRE_AT_TOKEN, flow->token);
	wire_put_u64(at + WIRE_AT_SEQUENCE, (uint64_t)request->sequence << 32 | flow->map_version);
}

#define FLOW_HELLO_SIZE (WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE)

/* Writes the HELLO the flow needs next: FLOW_HELLO_SIZE bytes. */
void flow_write_hello(const struct flow *flow, uint8_t *at);

/* Takes a datagram of kind HELLO_REPLY; false when it is malformed or answers no HELLO of this
 * flow. 'server' is filled when the flow is OPEN then.
 */
bool flow_take_hello_reply(struct flow *flow, const uint8_t *bytes, uint32_t size,
			   struct wire_hello_reply *server);

#endif
