/* SPDX-License-Identifier: BSD-3-Clause */
/* Nothing here answers a sender that has not proved its address with more bytes than it sent. */
#include "dataplane/request_control.h"

#include <rte_branch_prediction.h>

#include "dataplane/request_forward.h"
#include "dataplane/request_reply.h"
#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"

static uint8_t *payload_of(struct rte_mbuf *mbuf)
{
	return rte_pktmbuf_mtod_offset(mbuf, uint8_t *, PACKET_AT_UDP_PAYLOAD);
}

bool request_session_valid(const struct core *core, const struct packet_view *view)
{
	const struct core_shared *shared = core->shared;
	const struct wire_header *wire = &view->wire;
	uint32_t worker = session_worker(wire->session_id);

	if (likely(worker == core->index))
		return session_check(core->sessions, wire->session_id, wire->token,
				     view->source_ipv4, view->source_port, core->now_ms);
	return worker < shared->worker_count &&
	       session_check_foreign(shared->cores[worker]->sessions, wire->session_id, wire->token,
				     view->source_ipv4, view->source_port, core->now_ms);
}

void request_refuse_session(struct core *core, struct rte_mbuf *mbuf,
			    const struct packet_view *view)
{
	if (!session_may_refuse(core->sessions, core->now_ms)) {
		core_drop(core, mbuf, DROP_NEED_HELLO_LIMITED);
		return;
	}
	core_count(&core->counters, COUNT_NEED_HELLOS);
	payload_of(mbuf)[WIRE_AT_OP_COUNT] = 0;
	core_send_reply(core, mbuf, view, WIRE_REPLY, WIRE_HEADER_SIZE);
}

static void write_hello_reply(const struct core *core, uint8_t *payload,
			      const struct wire_hello *hello, enum wire_hello_stage stage,
			      const struct session_answer *answer)
{
	const struct core_shared *shared = core->shared;
	const struct wire_hello_reply reply = {
		.client_nonce = hello->client_nonce,
		.challenge = answer->challenge,
		.boot_id = shared->boot_id,
		.stage = (uint8_t)stage,
		.version_max = WIRE_VERSION,
		.worker_count = (uint16_t)shared->worker_count,
		.partition_count = (uint16_t)shared->partition_count,
		.value_size_max = (uint16_t)shared->value_size_max,
		.datagram_size_max = shared->datagram_size_max,
		.base_port = shared->local.port_base,
		.worker_index = (uint16_t)core->index,
		.replay_window_size = REPLAY_WINDOW_SIZE,
	};

	wire_put_u32(payload + WIRE_AT_SESSION_ID, answer->session_id);
	wire_put_u64(payload + WIRE_AT_TOKEN, answer->token);
	wire_hello_reply_write(payload + WIRE_HEADER_SIZE, &reply);
}

static void answer_hello(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	struct session_answer answer = { 0 };
	enum session_hello_result result;
	struct wire_hello hello;

	if (!wire_hello_read(view->payload + WIRE_HEADER_SIZE,
			     view->payload_size - WIRE_HEADER_SIZE, &hello)) {
		core_drop(core, mbuf, DROP_WIRE_SHORT);
		return;
	}
	result = session_hello(core->sessions, view->source_ipv4, view->source_port,
			       hello.client_nonce, hello.challenge, core->now_ms, &answer);
	if (result == SESSION_TABLE_FULL) {
		core_drop(core, mbuf, DROP_SESSION_TABLE_FULL);
		return;
	}
	core_count(&core->counters,
		   result == SESSION_GRANTED ? COUNT_HELLOS_GRANTED : COUNT_HELLOS_CHALLENGED);
	write_hello_reply(core, payload_of(mbuf), &hello,
			  result == SESSION_GRANTED ? WIRE_HELLO_GRANTED : WIRE_HELLO_CHALLENGE,
			  &answer);
	core_send_reply(core, mbuf, view, WIRE_HELLO_REPLY,
			WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE);
}

static void answer_ping(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	core_count(&core->counters, COUNT_PINGS);
	core_send_back(core, mbuf, view, WIRE_PONG, view->payload_size);
}

static void answer_map_request(struct core *core, struct rte_mbuf *mbuf,
			       const struct packet_view *view)
{
	const struct route_table *route = core->route;
	const struct wire_map map = { route->owners, route->nodes, route->partition_count,
				      route->node_count };
	uint8_t *body = payload_of(mbuf) + WIRE_HEADER_SIZE;
	uint16_t first_partition = 0;
	size_t size;

	if (!request_session_valid(core, view)) {
		request_refuse_session(core, mbuf, view);
		return;
	}
	wire_map_request_read(body, view->payload_size - WIRE_HEADER_SIZE, &first_partition);
	core_count(&core->counters, COUNT_MAP_REQUESTS);
	size = wire_map_reply_write(body, core->shared->datagram_size_max - WIRE_HEADER_SIZE, &map,
				    first_partition);
	core_send_reply(core, mbuf, view, WIRE_MAP_REPLY, WIRE_HEADER_SIZE + size);
}

void request_control(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	switch ((enum wire_kind)view->wire.kind) {
	case WIRE_HELLO:
		answer_hello(core, mbuf, view);
		break;
	case WIRE_PING:
		answer_ping(core, mbuf, view);
		break;
	case WIRE_MAP_REQUEST:
		answer_map_request(core, mbuf, view);
		break;
	case WIRE_FORWARD:
		request_forward_receive(core, mbuf, view);
		break;
	case WIRE_FORWARD_REPLY:
		request_forward_return(core, mbuf, view);
		break;
	default:
		core_drop(core, mbuf, DROP_WIRE_UNEXPECTED_KIND);
		break;
	}
}
