/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests for partitions of other nodes: sent on to the owner, its answer passed back; or the client is told whom to ask. */
#ifndef DATAPLANE_REQUEST_FORWARD_H
#define DATAPLANE_REQUEST_FORWARD_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core_state.h"

/*      client           entry node                      owner
 *        | REQUEST         |                              |
 *        |---------------->| FORWARD {for whom, REQUEST}  |
 *        |                 |----------------------------->| executes it
 *        |                 |  FORWARD_REPLY {.., REPLY}   |
 *        |  REPLY          |<-----------------------------|
 *        |<----------------|                              |
 *
 * What the entry node needs to pass the answer on travels with it. Nobody forwards what was forwarded.
 *
 * A write is applied once, though a partition may change its owner between two copies of it, for all copies come by
 * the same entry node and core (a client keeps a request's node, and what a datagram's keys are decides the core), and that
 * one binds the write: its slot in the replay window of the client's session tells to which node it was sent, by
 * which ownership. Copies go there again, whoever owns the partition by then, until that node has answered:
 *
 *   - it executed the write, then or now: its own window, under the client's session, has the answer;
 *   - it does not own the partition at that ownership (any more): it did not execute the write and never will, for
 *     epochs only grow. It answers NOT_OWNER, which the entry node remembers as the answer of this sequence;
 *   - it does not own it yet, or cannot execute it now: RETRY, and the write stays bound.
 *
 * So of all nodes at most one can ever execute a given sequence. If that node is lost, nobody knows whether it did:
 * copies get no answer, and the client reports UNKNOWN.
 *
 * Thread safety: the core's own.
 */

/* Where a request is sent. */
struct forward_target {
	const struct route_peer *peer;
	uint32_t ipv4;
	uint16_t port;
	uint32_t ownership; /* see FORWARD in wire_format.h */
	uint8_t mac[PACKET_MAC_SIZE];
};

enum forward_way {
	FORWARD_READY,
	FORWARD_ASKING,     /* its station has been asked for: later */
	FORWARD_NO_SESSION, /* the node is not known well enough, or lost */
};

/* The way to worker 'partition' % workers of 'node'; 'ownership' is the caller's. */
enum forward_way request_forward_to_owner(struct core *core, uint16_t node, uint32_t partition,
					  struct forward_target *target);

/* The way to where a write was sent before. */
enum forward_way request_forward_to_bound(struct core *core, const struct replay_binding *binding,
					  struct forward_target *target);

/* What replay_bind() is to remember of 'target'. */
struct replay_binding request_forward_binding(const struct forward_target *target);

/* Sends the request on. Takes its mbuf. */
void request_forward_send(struct core *core, const struct request *request,
			  const struct forward_target *target, bool writes);

/* Sends the answer to a forwarded request, of 'payload_size' bytes with its header, back to the node that forwarded
 * it. Takes its mbuf.
 */
void request_forward_answer(struct core *core, const struct request *request, size_t payload_size);

/* The ownership by which the other node forwarded the request. */
uint32_t request_forward_ownership(const struct request *request);

/* A FORWARD: dispatches the request in it, or drops it. Takes 'mbuf'. */
void request_forward_receive(struct core *core, struct rte_mbuf *mbuf,
			     const struct packet_view *view);

/* A FORWARD_REPLY: passes the answer on to the client, or drops it. Takes 'mbuf'. */
void request_forward_return(struct core *core, struct rte_mbuf *mbuf,
			    const struct packet_view *view);

/* The reply to an operation on 'partition' that belongs to another node or to another worker of this one: NOT_OWNER with the
 * address of the worker to ask, or without it when the reply has no room left for it; UNAVAILABLE when nobody owns it.
 */
void request_reply_not_owner(struct core *core, struct request *request, uint8_t opcode,
			     uint32_t partition);

#endif
