/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows: memory, and the HELLO handshake. */
#include "dataplane/loadgen/flow.h"

#include <stdlib.h>

struct flow *flow_create(uint32_t index, uint16_t server_worker, uint32_t ops_max, uint64_t nonce)
{
	struct flow *flow = calloc(1, sizeof(*flow));

	if (!flow)
		return NULL;
	flow->operations = calloc((size_t)FLOW_SPAN_MAX * ops_max, sizeof(*flow->operations));
	if (!flow->operations) {
		free(flow);
		return NULL;
	}
	flow->index = index;
	flow->server_worker = server_worker;
	flow->ops_max = ops_max;
	flow->nonce = nonce;
	flow->sequence_next = 1;
	flow->sequence_oldest = 1;
	return flow;
}

void flow_destroy(struct flow *flow)
{
	if (!flow)
		return;
	free(flow->operations);
	free(flow);
}

void flow_renew(struct flow *flow)
{
	flow->state = FLOW_GREETING;
	flow->nonce++;
	flow->challenge = 0;
	flow->hello_sent = 0;
	flow->hellos = 0;
	if (flow->sequence_oldest == flow->sequence_next) {
		flow->sequence_next = 1;
		flow->sequence_oldest = 1;
	}
}

void flow_write_hello(const struct flow *flow, uint8_t *at)
{
	const struct wire_header header = { .kind = WIRE_HELLO };
	const struct wire_hello hello = { .client_nonce = flow->nonce,
					  .challenge = flow->challenge };

	wire_header_write(at, &header);
	wire_hello_write(at + WIRE_HEADER_SIZE, &hello);
}

static void take_grant(struct flow *flow, const struct wire_header *header)
{
	flow->state = FLOW_OPEN;
	flow->session_id = header->session_id;
	flow->token = header->token;
	flow->map_version = header->map_version;
	flow->hellos = 0;
}

bool flow_take_hello_reply(struct flow *flow, const uint8_t *bytes, uint32_t size,
			   struct wire_hello_reply *server)
{
	struct wire_header header;
	struct wire_hello_reply reply;

	if (!wire_header_read(bytes, size, &header) ||
	    !wire_hello_reply_read(bytes + WIRE_HEADER_SIZE, size - WIRE_HEADER_SIZE, &reply) ||
	    flow->state == FLOW_OPEN || reply.client_nonce != flow->nonce)
		return false;
	switch (reply.stage) {
	case WIRE_HELLO_CHALLENGE:
		flow->state = FLOW_CHALLENGED;
		flow->challenge = reply.challenge;
		flow->hello_sent = 0;
		return true;
	case WIRE_HELLO_GRANTED:
		take_grant(flow, &header);
		*server = reply;
		return true;
	default:
		return false;
	}
}
