/* SPDX-License-Identifier: BSD-3-Clause */
/* Building the operations of a reply, and sending what was built. */
#ifndef DATAPLANE_REQUEST_REPLY_H
#define DATAPLANE_REQUEST_REPLY_H

#include <rte_memcpy.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core_state.h"
#include "dataplane/packet_build.h"

/* Bytes a value may take in the next reply operation, so that every operation after it still finds its minimum. May be
 * negative for values that are not in that minimum.
 */
static inline int64_t request_reply_room(const struct request *request)
{
	return (request->end - request->at) - (int64_t)WIRE_REPLY_OP_SIZE - request->reserved;
}

/* Adds a reply operation; its value of 'value_size' bytes, which fit, is to be written where the result points. */
static inline uint8_t *request_reply_open(struct core *core, struct request *request,
					  uint8_t opcode, enum wire_status status, uint64_t version,
					  uint32_t value_size)
{
	uint8_t *value =
		wire_reply_op_write(request->at, opcode, (uint8_t)status, version, value_size);

	core_count(&core->counters, COUNT_STATUS_OK + (uint32_t)status);
	request->at = value + value_size;
	return value;
}

/* The same without a value. */
static inline void request_reply_status(struct core *core, struct request *request, uint8_t opcode,
					enum wire_status status, uint64_t version)
{
	request_reply_open(core, request, opcode, status, version, 0);
}

/* How long a client is asked to wait before it asks again: what it waits for takes milliseconds. */
#define REQUEST_RETRY_US 2000u
#define REQUEST_RETRY_SIZE 4u

/* RETRY with the time to wait, or without it when the reply has no room left. */
static inline void request_reply_retry(struct core *core, struct request *request, uint8_t opcode)
{
	bool fits = request_reply_room(request) >= (int64_t)REQUEST_RETRY_SIZE;
	uint8_t *value = request_reply_open(core, request, opcode, WIRE_RETRY, 0,
					    fits ? REQUEST_RETRY_SIZE : 0);

	if (fits)
		wire_put_u32(value, REQUEST_RETRY_US);
}

/* Queues a finished frame of 'frame_size' bytes for transmission. */
static inline void core_send(struct core *core, struct rte_mbuf *mbuf, size_t frame_size)
{
	mbuf->data_len = (uint16_t)frame_size;
	mbuf->pkt_len = (uint32_t)frame_size;
	mbuf->ol_flags = 0;
	core->tx[core->tx_count++] = mbuf;
}

/* Lets the port fill the checksums of a frame whose UDP checksum is left to it. */
static inline void core_offload_checksums(struct rte_mbuf *mbuf)
{
	mbuf->l2_len = PACKET_ETHERNET_SIZE;
	mbuf->l3_len = PACKET_IPV4_SIZE;
	mbuf->ol_flags = RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
}

static inline enum udp_checksum core_checksum(const struct core *core, bool is_absent)
{
	return packet_reply_checksum(is_absent,
				     core->shared->port && core->shared->port->tx_fills_checksums);
}

/* Sends the datagram of 'payload_size' bytes that stands in the mbuf, headers to be written. */
static inline void core_send_flow(struct core *core, struct rte_mbuf *mbuf,
				  const struct packet_flow *flow, size_t payload_size,
				  bool is_checksum_absent)
{
	enum udp_checksum checksum = core_checksum(core, is_checksum_absent);

	core_send(core, mbuf,
		  packet_build_udp(rte_pktmbuf_mtod(mbuf, uint8_t *), flow, payload_size,
				   checksum));
	if (checksum == UDP_CHECKSUM_OFFLOAD)
		core_offload_checksums(mbuf);
}

/* Sends the datagram back to where it came from: its payload of 'payload_size' bytes is in place, but
 * for the kind.
 */
static inline void core_send_back(struct core *core, struct rte_mbuf *mbuf,
				  const struct packet_view *view, enum wire_kind kind,
				  size_t payload_size)
{
	uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);
	enum udp_checksum checksum = core_checksum(core, view->udp_checksum_absent);

	frame[PACKET_AT_UDP_PAYLOAD + WIRE_AT_KIND] = (uint8_t)kind;
	core_send(core, mbuf, packet_build_reply(frame, payload_size, checksum));
	if (checksum == UDP_CHECKSUM_OFFLOAD)
		core_offload_checksums(mbuf);
}

/* The same for an answer, which tells the version of the node's map. */
static inline void core_send_reply(struct core *core, struct rte_mbuf *mbuf,
				   const struct packet_view *view, enum wire_kind kind,
				   size_t payload_size)
{
	uint8_t *payload = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, PACKET_AT_UDP_PAYLOAD);

	wire_put_u32(payload + WIRE_AT_MAP_VERSION, core->route->map_version);
	core_send_back(core, mbuf, view, kind, payload_size);
}

/* The end of a packet that gets no answer. */
static inline void core_drop(struct core *core, struct rte_mbuf *mbuf, enum drop_reason reason)
{
	core_count_drop(&core->counters, reason);
	rte_pktmbuf_free(mbuf);
}

#endif
