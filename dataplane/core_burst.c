/* SPDX-License-Identifier: BSD-3-Clause */
/* What kind of packet is it, and who deals with it? */
#include "dataplane/core_burst.h"

#include <rte_branch_prediction.h>
#include <rte_prefetch.h>

#include "dataplane/core_outbox.h"
#include "dataplane/request_control.h"
#include "dataplane/request_dispatch.h"
#include "dataplane/request_reply.h"

/* How many frames ahead of the parser memory is fetched. */
#define PREFETCH_AHEAD 4u

/* What the NIC has verified. */
static unsigned checked_by_port(const struct core *core, const struct rte_mbuf *mbuf)
{
	const struct port *port = core->shared->port;
	unsigned checked = PACKET_CHECKED_NOTHING;

	if (!port)
		return checked;
	if (port->rx_partial_checksums)
		return PACKET_UDP_MAY_BE_PARTIAL;
	if (!port->rx_checks_checksums)
		return checked;
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
		checked |= PACKET_CHECKED_IPV4;
	if ((mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		checked |= PACKET_CHECKED_UDP;
	return checked;
}

static enum drop_reason parse(const struct core *core, const struct rte_mbuf *mbuf,
			      struct packet_view *view)
{
	if (unlikely(mbuf->nb_segs != 1))
		return DROP_FRAME_SEGMENTED;
	/* its answer would be as large, and no device would take it */
	if (unlikely(mbuf->data_len > core->shared->datagram_size_max + WIRE_FORWARD_SIZE +
					      PACKET_HEADERS_SIZE))
		return DROP_FRAME_OVERSIZED;
	return packet_parse(&core->shared->local, rte_pktmbuf_mtod(mbuf, const uint8_t *),
			    mbuf->data_len, checked_by_port(core, mbuf), view);
}

/* A datagram on the core of its UDP port. */
static void process_datagram(struct core *core, struct rte_mbuf *mbuf,
			     const struct packet_view *view)
{
	if (likely(view->wire.kind == WIRE_REQUEST)) {
		if (likely(request_session_valid(core, view)))
			request_dispatch(core, mbuf, view);
		else
			request_refuse_session(core, mbuf, view);
		return;
	}
	request_control(core, mbuf, view);
}

static void process_arp(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	uint16_t frame_size = mbuf->data_len;

	route_learn(core->route, view->source_ipv4, view->frame + PACKET_AT_ARP_SENDER_MAC,
		    core->now_ms);
	core_count(&core->counters, COUNT_ARP_REQUESTS);
	packet_build_arp_reply(rte_pktmbuf_mtod(mbuf, uint8_t *), core->shared->local.mac);
	core_send(core, mbuf, frame_size);
}

static void process_arp_reply(struct core *core, struct rte_mbuf *mbuf,
			      const struct packet_view *view)
{
	if (!route_learn(core->route, view->source_ipv4, view->frame + PACKET_AT_ARP_SENDER_MAC,
		    core->now_ms)) {
		core_drop(core, mbuf, DROP_ARP_UNASKED);
		return;
	}
	core_count(&core->counters, COUNT_ARP_LEARNED);
	rte_pktmbuf_free(mbuf);
}

static void process_icmp(struct core *core, struct rte_mbuf *mbuf)
{
	uint16_t frame_size = mbuf->data_len;

	core_count(&core->counters, COUNT_ICMP_ECHOES);
	packet_build_icmp_reply(rte_pktmbuf_mtod(mbuf, uint8_t *));
	core_send(core, mbuf, frame_size);
}

static void process_packet(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	uint32_t worker;

	switch ((enum packet_kind)view->kind) {
	case PACKET_KIND_DATAGRAM:
		worker = (uint32_t)view->destination_port - core->shared->local.port_base;
		if (likely(worker == core->index)) {
			process_datagram(core, mbuf, view);
			break;
		}
		core_count(&core->counters, COUNT_HANDED_TO_PORT);
		core_hand_over(core, mbuf, view, MAIL_DATAGRAM, worker);
		break;
	case PACKET_KIND_ARP_REQUEST:
		process_arp(core, mbuf, view);
		break;
	case PACKET_KIND_ICMP_ECHO:
		process_icmp(core, mbuf);
		break;
	case PACKET_KIND_ARP_REPLY:
		process_arp_reply(core, mbuf, view);
		break;
	}
}

void core_process_burst(struct core *core, struct rte_mbuf **mbufs, uint32_t count)
{
	enum drop_reason reasons[PORT_BURST_MAX];

	for (uint32_t i = 0; i < PREFETCH_AHEAD && i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint32_t i = 0; i < count; i++) {
		if (i + PREFETCH_AHEAD < count)
			rte_prefetch0(rte_pktmbuf_mtod(mbufs[i + PREFETCH_AHEAD], void *));
		reasons[i] = parse(core, mbufs[i], &core->views[i]);
		if (likely(reasons[i] == DROP_NONE))
			request_session_prefetch(core, &core->views[i]);
	}
	for (uint32_t i = 0; i < count; i++) {
		if (likely(reasons[i] == DROP_NONE))
			process_packet(core, mbufs[i], &core->views[i]);
		else
			core_drop(core, mbufs[i], reasons[i]);
	}
	request_flush(core);
	core_count_add(&core->counters, COUNT_FRAMES_RECEIVED, count);
}

static void process_mail(struct core *core, struct rte_mbuf *mbuf)
{
	const struct core_mail *mail = core_mail(mbuf);

	switch ((enum mail_kind)mail->kind) {
	case MAIL_DATAGRAM:
		process_datagram(core, mbuf, &mail->view);
		break;
	case MAIL_REQUEST:
		request_dispatch(core, mbuf, &mail->view);
		break;
	case MAIL_TRANSMIT:
		core->tx[core->tx_count++] = mbuf;
		break;
	}
}

void core_process_mail(struct core *core, struct rte_mbuf **mbufs, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		rte_prefetch0(core_mail(mbufs[i]));
	for (uint32_t i = 0; i < count; i++)
		process_mail(core, mbufs[i]);
	request_flush(core);
	core_count_add(&core->counters, COUNT_HANDED_RECEIVED, count);
}
