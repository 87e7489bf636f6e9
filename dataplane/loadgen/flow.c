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

	wire_header_write(at, &header);
	at += WIRE_HEADER_SIZE;
	memset(at, 0, WIRE_HELLO_BODY_SIZE);
	wire_put_u64(at, flow->nonce);
	wire_put_u64(at + 8, flow->challenge);
}

/* The fields of a stage 2 body: see wire_format.h. */
static void read_server(const uint8_t *body, struct flow_server *server)
{
	server->worker_count = wire_get_u16(body + 18);
	server->partition_count = wire_get_u16(body + 20);
	server->value_size_max = wire_get_u16(body + 22);
	server->datagram_size_max = wire_get_u32(body + 24);
	server->boot_id = wire_get_u64(body + 28);
	server->base_port = wire_get_u16(body + 36);
}

bool flow_take_hello_reply(struct flow *flow, const uint8_t *bytes, uint32_t size,
			   struct flow_server *server)
{
	const uint8_t *body = bytes + WIRE_HEADER_SIZE;
	struct wire_header header;

	if (!wire_header_read(bytes, size, &header) || size < FLOW_HELLO_SIZE ||
	    flow->state == FLOW_OPEN || wire_get_u64(body) != flow->nonce)
		return false;
	if (body[16] == WIRE_HELLO_CHALLENGE) {
		flow->state = FLOW_CHALLENGED;
		flow->challenge = wire_get_u64(body + 8);
		flow->hello_sent = 0;
		return true;
	}
	if (body[16] != WIRE_HELLO_GRANTED)
		return false;
	flow->state = FLOW_OPEN;
	flow->session_id = header.session_id;
	flow->token = header.token;
	flow->map_version = header.map_version;
	flow->hellos = 0;
	read_server(body, server);
	return true;
}
