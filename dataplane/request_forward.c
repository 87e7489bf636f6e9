/* SPDX-License-Identifier: BSD-3-Clause */
/* Wrapping and unwrapping of datagrams, where they stand. */
#include "dataplane/request_forward.h"

#include <rte_branch_prediction.h>

#include "dataplane/core_outbox.h"
#include "dataplane/request_dispatch.h"
#include "dataplane/request_local.h"
#include "dataplane/request_reply.h"

/* The client's datagram stays where it is in its buffer; headers come and go before it:
 *
 *                            | Ethernet, IPv4, UDP |  client's datagram  |
 *      | Ethernet, IPv4, UDP | header | body       |  client's datagram  |
 */

/* ---- the way ---- */

static void ask_for(struct core *core, struct rte_mempool *pool, uint32_t ipv4)
{
	const struct packet_local *local = &core->shared->local;
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

	if (!mbuf)
		return; /* it is asked again */
	core_count(&core->counters, COUNT_ARP_QUESTIONS);
	core_mail(mbuf)->queue = 0;
	core_send(core, mbuf,
		  packet_build_arp_request(rte_pktmbuf_mtod(mbuf, uint8_t *), local->mac,
					   local->ipv4, ipv4));
}

/* Finds the station on the way to the target's peer. */
static enum forward_way find_station(struct core *core, struct forward_target *target)
{
	struct neighbor *neighbor = target->peer->neighbor;
	bool is_known;
	bool ask;

	if (!neighbor)
		return FORWARD_NO_SESSION;
	is_known = neighbor_find(neighbor, core->now_ms, target->mac, &ask);
	if (unlikely(ask))
		ask_for(core, core->shared->pool, neighbor->ipv4);
	return is_known ? FORWARD_READY : FORWARD_ASKING;
}

enum forward_way request_forward_to_owner(struct core *core, uint16_t node, uint32_t partition,
					  struct forward_target *target)
{
	const struct wire_map_node *address = &core->route->nodes[node];

	target->peer = &core->route->peers[node];
	target->ipv4 = address->ipv4;
	target->port = (uint16_t)(address->base_port + partition % address->worker_count);
	if (target->peer->token_out == 0)
		return FORWARD_NO_SESSION;
	return find_station(core, target);
}

enum forward_way request_forward_to_bound(struct core *core, const struct replay_binding *binding,
					  struct forward_target *target)
{
	target->peer = route_find_peer(core->route, binding->ipv4, binding->token, ROUTE_OUT);
	target->ipv4 = binding->ipv4;
	target->port = binding->port;
	target->ownership = binding->ownership;
	return target->peer ? find_station(core, target) : FORWARD_NO_SESSION;
}

struct replay_binding request_forward_binding(const struct forward_target *target)
{
	return (struct replay_binding){
		.token = target->peer->token_out,
		.ipv4 = target->ipv4,
		.ownership = target->ownership,
		.port = target->port,
	};
}

/* ---- at the entry node: there ---- */

static struct packet_flow flow_to(const struct core *core, uint32_t ipv4, uint16_t port,
				  const uint8_t mac[PACKET_MAC_SIZE])
{
	const struct packet_local *local = &core->shared->local;
	struct packet_flow flow = {
		.source_ipv4 = local->ipv4,
		.destination_ipv4 = ipv4,
		.source_port = (uint16_t)(local->port_base + core->index),
		.destination_port = port,
	};

	memcpy(flow.source_mac, local->mac, PACKET_MAC_SIZE);
	memcpy(flow.destination_mac, mac, PACKET_MAC_SIZE);
	return flow;
}

static void write_forward(const struct core *core, uint8_t *payload, const struct request *request,
			  const struct forward_target *target, bool writes)
{
	const struct packet_view *view = request->view;
	const struct wire_header header = {
		.kind = WIRE_FORWARD,
		.token = target->peer->token_out,
		.map_version = core->route->map_version,
	};
	struct wire_forward body = {
		.client_ipv4 = view->source_ipv4,
		.client_port = view->source_port,
		.entry_port = view->destination_port,
		.hop_count = 1,
		.ownership = target->ownership,
	};

	body.flags |= writes ? WIRE_FORWARD_WRITES : 0;
	body.flags |= view->udp_checksum_absent ? WIRE_FORWARD_CHECKSUM_ABSENT : 0;
	memcpy(body.client_mac, packet_source_mac(view), sizeof(body.client_mac));
	wire_header_write(payload, &header);
	wire_forward_write(payload + WIRE_HEADER_SIZE, &body);
}

void request_forward_send(struct core *core, const struct request *request,
			  const struct forward_target *target, bool writes)
{
	struct packet_flow flow = flow_to(core, target->ipv4, target->port, target->mac);
	uint8_t *frame;

	if (unlikely(rte_pktmbuf_headroom(request->mbuf) < WIRE_FORWARD_SIZE)) {
		core_drop(core, request->mbuf, DROP_FORWARD_NO_ROOM);
		return;
	}
	frame = (uint8_t *)rte_pktmbuf_prepend(request->mbuf, WIRE_FORWARD_SIZE);
	write_forward(core, frame + PACKET_AT_UDP_PAYLOAD, request, target, writes);
	core_count(&core->counters, COUNT_FORWARDS_SENT);
	core_send_flow(core, request->mbuf, &flow, WIRE_FORWARD_SIZE + request->view->payload_size,
		       false);
}

/* ---- at the owner ---- */

/* The other node's address is fresh: the frame came from its station, if that is its own. */
static void hear_from(const struct core *core, const struct route_peer *peer,
		      const struct packet_view *view)
{
	if (peer->neighbor && peer->neighbor->ipv4 == view->source_ipv4)
		neighbor_learn(peer->neighbor, packet_source_mac(view), core->now_ms);
}

/* The request inside, as if it had come from the client; false when there is none. */
static bool read_inside(const struct packet_view *view, struct packet_view *inside)
{
	struct wire_forward body;

	wire_forward_read(view->payload + WIRE_HEADER_SIZE, &body);
	*inside = *view;
	inside->payload += WIRE_FORWARD_SIZE;
	inside->payload_size = (uint16_t)(view->payload_size - WIRE_FORWARD_SIZE);
	inside->source_ipv4 = body.client_ipv4;
	inside->source_port = body.client_port;
	inside->is_forwarded = true;
	return body.hop_count == 1 &&
	       wire_header_read(inside->payload, inside->payload_size, &inside->wire) &&
	       inside->wire.kind == WIRE_REQUEST;
}

void request_forward_receive(struct core *core, struct rte_mbuf *mbuf,
			     const struct packet_view *view)
{
	const struct route_peer *peer =
		route_find_peer(core->route, view->source_ipv4, view->wire.token, ROUTE_IN);
	struct packet_view inside;

	if (!peer) {
		core_drop(core, mbuf, DROP_FORWARD_FOREIGN);
		return;
	}
	if (!read_inside(view, &inside)) {
		core_drop(core, mbuf, DROP_FORWARD_BAD);
		return;
	}
	hear_from(core, peer, view);
	core_count(&core->counters, COUNT_FORWARDS_RECEIVED);
	core_stow(core, mbuf, view);
	core_mail(mbuf)->view = inside;
	request_dispatch(core, mbuf, &core_mail(mbuf)->view);
}

/* Of a forwarded request: the FORWARD around it. */
static uint8_t *outside_of(const struct request *request)
{
	return request->payload - WIRE_FORWARD_SIZE;
}

uint32_t request_forward_ownership(const struct request *request)
{
	struct wire_forward body;

	wire_forward_read(outside_of(request) + WIRE_HEADER_SIZE, &body);
	return body.ownership;
}

void request_forward_answer(struct core *core, const struct request *request, size_t payload_size)
{
	uint8_t *outside = outside_of(request);
	uint32_t ipv4 = wire_get_u32(request->view->frame + PACKET_AT_IPV4_SOURCE);
	const struct route_peer *peer = route_find_peer(
		core->route, ipv4, wire_get_u64(outside + WIRE_AT_TOKEN), ROUTE_IN);

	if (unlikely(!peer)) { /* it was lost while the request was parked */
		core_drop(core, request->mbuf, DROP_FORWARD_FOREIGN);
		return;
	}
	request->payload[WIRE_AT_KIND] = WIRE_REPLY;
	wire_put_u32(request->payload + WIRE_AT_MAP_VERSION, core->route->map_version);
	wire_put_u64(outside + WIRE_AT_TOKEN, peer->token_out);
	if (request->is_open)
		outside[WIRE_HEADER_SIZE + WIRE_AT_FORWARD_FLAGS] |= WIRE_FORWARD_OPEN;
	core_send_reply(core, request->mbuf, request->view, WIRE_FORWARD_REPLY,
			WIRE_FORWARD_SIZE + payload_size);
}

/* ---- at the entry node: back ---- */

/* Whether this is the answer to a write that waits for it; remembers it. */
static bool settle(struct core *core, const struct route_peer *peer,
		   const struct wire_forward *body, const struct packet_view *inside)
{
	const struct wire_header *wire = &inside->wire;
	struct replay_binding binding;
	struct replay_ticket ticket;

	if (!replay_is_forwarded(core->replay, wire->session_id, wire->token, wire->sequence,
				 &ticket))
		return false;
	binding = replay_binding(core->replay, ticket);
	if (binding.token != peer->token_out || binding.ownership != body->ownership)
		return false;
	if (!(body->flags & WIRE_FORWARD_OPEN))
		replay_commit(core->replay, ticket, wire->op_count,
			      inside->payload + WIRE_HEADER_SIZE,
			      inside->payload_size - WIRE_HEADER_SIZE);
	return true;
}

static void send_to_client(struct core *core, struct rte_mbuf *mbuf,
			   const struct wire_forward *body, size_t payload_size)
{
	struct packet_flow flow =
		flow_to(core, body->client_ipv4, body->client_port, body->client_mac);

	flow.source_port = body->entry_port;
	rte_pktmbuf_adj(mbuf, WIRE_FORWARD_SIZE);
	core_count(&core->counters, COUNT_FORWARD_REPLIES);
	if (body->client_ipv4 == REQUEST_LOCAL_IPV4) {
		request_local_answer(core, mbuf, payload_size);
		return;
	}
	core_send_flow(core, mbuf, &flow, payload_size,
		       body->flags & WIRE_FORWARD_CHECKSUM_ABSENT);
}

void request_forward_return(struct core *core, struct rte_mbuf *mbuf,
			    const struct packet_view *view)
{
	const struct route_peer *peer =
		route_find_peer(core->route, view->source_ipv4, view->wire.token, ROUTE_IN);
	struct packet_view inside = *view;
	struct wire_forward body;

	if (!peer) {
		core_drop(core, mbuf, DROP_FORWARD_FOREIGN);
		return;
	}
	wire_forward_read(view->payload + WIRE_HEADER_SIZE, &body);
	inside.payload += WIRE_FORWARD_SIZE;
	inside.payload_size = (uint16_t)(view->payload_size - WIRE_FORWARD_SIZE);
	if (!wire_header_read(inside.payload, inside.payload_size, &inside.wire) ||
	    inside.wire.kind != WIRE_REPLY) {
		core_drop(core, mbuf, DROP_FORWARD_BAD);
		return;
	}
	hear_from(core, peer, view);
	if ((body.flags & WIRE_FORWARD_WRITES) && !settle(core, peer, &body, &inside)) {
		core_drop(core, mbuf, DROP_FORWARD_LATE);
		return;
	}
	send_to_client(core, mbuf, &body, inside.payload_size);
}

/* ---- telling whom to ask ---- */

void request_reply_not_owner(struct core *core, struct request *request, uint8_t opcode,
			     uint32_t partition)
{
	const struct route_table *route = core->route;
	const struct wire_map_node *node;
	uint8_t *value;

	if (unlikely(route->owners[partition] == WIRE_MAP_NO_OWNER)) {
		request_reply_status(core, request, opcode, WIRE_UNAVAILABLE, 0);
		return;
	}
	if (request_reply_room(request) < (int64_t)WIRE_OWNER_SIZE) {
		request_reply_status(core, request, opcode, WIRE_NOT_OWNER, 0);
		return;
	}
	node = &route->nodes[route->owners[partition]];
	value = request_reply_open(core, request, opcode, WIRE_NOT_OWNER, 0, WIRE_OWNER_SIZE);
	wire_put_u32(value, node->ipv4);
	wire_put_u16(value + 4, (uint16_t)(node->base_port + partition % node->worker_count));
	wire_put_u16(value + 6, 0);
	wire_put_u32(value + 8, route->epochs[partition]);
}
