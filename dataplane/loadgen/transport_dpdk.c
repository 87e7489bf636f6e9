/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames: templates out, packet_parse in; a stray reply goes to the worker whose flow it is of. */
#include "dataplane/loadgen/transport_dpdk.h"

#include <errno.h>
#include <rte_cycles.h>
#include <rte_malloc.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/failure.h"
#include "dataplane/packet_build.h"
#include "dataplane/packet_parse.h"

#define BURST TRANSPORT_BURST_MAX
#define HANDOVER_SIZE 4096u
#define ARP_GAP_SECONDS 0.2

static_assert(TRANSPORT_BURST_MAX <= PORT_BURST_MAX, "a burst is one call of the port");

/* Thread safety: constant while workers run; the rings take from any and give to their own worker.
 */
struct transport_dpdk_link {
	struct port *port;
	struct packet_local local;
	uint32_t server_ipv4;
	uint8_t server_mac[6];
	enum udp_checksum checksum;
	uint16_t server_port; /* of the server's first worker */
	uint16_t worker_count;
	uint16_t queue_count;
	struct rte_ring *handover[TRANSPORT_DPDK_WORKER_COUNT_MAX];
};

/* The headers of a flow's datagrams, for payloads of 'payload_size' bytes. */
struct frame_template {
	uint8_t bytes[64]; /* PACKET_HEADERS_SIZE of them; copied whole, the payload comes after */
	uint32_t payload_size;
	uint16_t queue;
	struct packet_flow flow;
};

/* A frame and the queue it leaves by. */
struct frame {
	struct rte_mbuf *mbuf;
	uint16_t queue;
};

struct transport_dpdk {
	struct transport transport;
	struct transport_dpdk_link *link;
	uint16_t worker;
	uint16_t queue_next; /* to receive from: worker, worker + worker_count, ... are its own */
	uint16_t backlog_count; /* frames the device did not take yet */
	struct frame backlog[BURST];
	struct frame_template templates[TRANSPORT_FLOW_COUNT_MAX];
};

static struct transport_dpdk *dpdk_of(struct transport *transport)
{
	return (struct transport_dpdk *)transport;
}

/* ---- sending ---- */

/* The server's worker reads the queue of its own number, if that is ours. */
static uint16_t choose_queue(const struct transport_dpdk *dpdk, uint16_t server_worker)
{
	if (server_worker < dpdk->link->queue_count &&
	    server_worker % dpdk->link->worker_count == dpdk->worker)
		return server_worker;
	return dpdk->worker;
}

static int open_flow(struct transport *transport, uint32_t flow, uint16_t server_port, char *error,
		     uint32_t error_size)
{
	struct transport_dpdk *dpdk = dpdk_of(transport);
	const struct transport_dpdk_link *link = dpdk->link;
	struct packet_flow *to = &dpdk->templates[flow].flow;

	(void)error;
	(void)error_size;
	memcpy(to->source_mac, link->local.mac, sizeof(to->source_mac));
	memcpy(to->destination_mac, link->server_mac, sizeof(to->destination_mac));
	to->source_ipv4 = link->local.ipv4;
	to->destination_ipv4 = link->server_ipv4;
	to->source_port =
		(uint16_t)(link->local.port_base + dpdk->worker * TRANSPORT_FLOW_COUNT_MAX + flow);
	to->destination_port = server_port;
	dpdk->templates[flow].payload_size = 0;
	dpdk->templates[flow].queue =
		choose_queue(dpdk, (uint16_t)(server_port - link->server_port));
	return 0;
}

/* Transmits frames in order, neighbours of one queue by one call; returns how many the device took.
 */
static uint16_t transmit(struct transport_dpdk *dpdk, const struct frame *frames, uint16_t count)
{
	struct rte_mbuf *mbufs[BURST];
	uint16_t done = 0;

	while (done < count) {
		uint16_t queue = frames[done].queue;
		uint16_t run = 0;
		uint16_t sent;

		while (done + run < count && frames[done + run].queue == queue) {
			mbufs[run] = frames[done + run].mbuf;
			run++;
		}
		sent = port_transmit(dpdk->link->port, queue, mbufs, run);
		done = (uint16_t)(done + sent);
		if (sent < run)
			break;
	}
	return done;
}

/* Sends what waits; true when nothing does any more. */
static bool flush(struct transport_dpdk *dpdk)
{
	uint16_t sent;

	if (dpdk->backlog_count == 0)
		return true;
	sent = transmit(dpdk, dpdk->backlog, dpdk->backlog_count);
	dpdk->backlog_count = (uint16_t)(dpdk->backlog_count - sent);
	memmove(dpdk->backlog, dpdk->backlog + sent,
		dpdk->backlog_count * sizeof(dpdk->backlog[0]));
	return dpdk->backlog_count == 0;
}

/* A memif queue beyond the server's workers has nobody on its other side. (Fewer queues than workers only cost: what comes
 * by another worker's queue is handed over, and answered by the queue it came by.)
 */
static int meet_server(struct transport *transport, uint16_t server_workers, char *error,
		       uint32_t error_size)
{
	struct transport_dpdk *dpdk = dpdk_of(transport);
	const struct transport_dpdk_link *link = dpdk->link;
	const struct failure failure = { error, error_size };

	if (link->port->kind != PORT_MEMIF)
		return 0;
	if (dpdk->worker >= server_workers)
		return failure_set(&failure, -ENOTSUP, "the server has %u queues: use --workers %u",
				   server_workers, server_workers);
	return 0;
}

static uint32_t acquire(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count)
{
	struct transport_dpdk *dpdk = dpdk_of(transport);
	struct rte_mbuf *mbufs[BURST];

	if (!flush(dpdk) || rte_pktmbuf_alloc_bulk(dpdk->link->port->pool, mbufs, count) != 0)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		datagrams[i].buffer = mbufs[i];
		datagrams[i].payload =
			rte_pktmbuf_mtod_offset(mbufs[i], uint8_t *, PACKET_HEADERS_SIZE);
		datagrams[i].size = transport->payload_size_max;
	}
	return count;
}

/* Headers that depend on the payload, or have a size not seen last time. */
static void write_headers(struct transport_dpdk *dpdk, struct frame_template *template,
			  uint8_t *frame, uint32_t payload_size)
{
	packet_build_udp(frame, &template->flow, payload_size, dpdk->link->checksum);
	if (dpdk->link->checksum != UDP_CHECKSUM_ABSENT)
		return;
	memcpy(template->bytes, frame, PACKET_HEADERS_SIZE);
	template->payload_size = payload_size;
}

static void finish_frame(struct transport_dpdk *dpdk, const struct transport_datagram *datagram)
{
	struct frame_template *template = &dpdk->templates[datagram->flow];
	struct rte_mbuf *mbuf = datagram->buffer;
	uint8_t *frame = rte_pktmbuf_mtod(mbuf, uint8_t *);

	if (template->payload_size == datagram->size)
		memcpy(frame, template->bytes, PACKET_HEADERS_SIZE);
	else
		write_headers(dpdk, template, frame, datagram->size);
	mbuf->data_len = (uint16_t)(PACKET_HEADERS_SIZE + datagram->size);
	mbuf->pkt_len = mbuf->data_len;
	if (dpdk->link->checksum == UDP_CHECKSUM_OFFLOAD) {
		mbuf->l2_len = PACKET_ETHERNET_SIZE;
		mbuf->l3_len = PACKET_IPV4_SIZE;
		mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_UDP_CKSUM;
	}
}

static void send_datagrams(struct transport *transport, struct transport_datagram *datagrams,
			   uint32_t count)
{
	struct transport_dpdk *dpdk = dpdk_of(transport);
	struct frame frames[BURST];
	uint16_t sent;

	for (uint32_t i = 0; i < count; i++) {
		finish_frame(dpdk, &datagrams[i]);
		frames[i].mbuf = datagrams[i].buffer;
		frames[i].queue = dpdk->templates[datagrams[i].flow].queue;
	}
	/* these were acquired, so the backlog was empty then and still is */
	sent = transmit(dpdk, frames, (uint16_t)count);
	dpdk->backlog_count = (uint16_t)(count - sent);
	memcpy(dpdk->backlog, frames + sent, dpdk->backlog_count * sizeof(frames[0]));
}

/* ---- receiving ---- */

static void answer_arp(struct transport_dpdk *dpdk, struct rte_mbuf *mbuf)
{
	packet_build_arp_reply(rte_pktmbuf_mtod(mbuf, uint8_t *), dpdk->link->local.mac);
	if (port_transmit(dpdk->link->port, dpdk->worker, &mbuf, 1) == 0)
		rte_pktmbuf_free(mbuf);
}

/* The device put a reply into another worker's queue. */
static void hand_over(struct transport_dpdk *dpdk, struct rte_mbuf *mbuf, uint32_t worker)
{
	if (worker < dpdk->link->worker_count &&
	    rte_ring_enqueue(dpdk->link->handover[worker], mbuf) == 0)
		return;
	dpdk->transport.unexpected++;
	rte_pktmbuf_free(mbuf);
}

/* Takes one frame; true when it is a datagram of one of this worker's flows, else it is dealt with.
 */
static bool take_frame(struct transport_dpdk *dpdk, struct rte_mbuf *mbuf,
		       struct transport_datagram *datagram)
{
	struct packet_view view;
	uint32_t flow;

	if (mbuf->nb_segs != 1 && rte_pktmbuf_linearize(mbuf) != 0)
		goto drop;
	if (packet_parse(&dpdk->link->local, rte_pktmbuf_mtod(mbuf, uint8_t *), mbuf->data_len,
			 PACKET_CHECKED_NOTHING, &view) != DROP_NONE)
		goto drop;
	if (view.kind == PACKET_KIND_ARP_REQUEST) {
		answer_arp(dpdk, mbuf);
		return false;
	}
	if (view.kind != PACKET_KIND_DATAGRAM)
		goto drop;
	flow = (uint32_t)(view.destination_port - dpdk->link->local.port_base);
	if (flow / TRANSPORT_FLOW_COUNT_MAX != dpdk->worker) {
		hand_over(dpdk, mbuf, flow / TRANSPORT_FLOW_COUNT_MAX);
		return false;
	}
	datagram->flow = flow % TRANSPORT_FLOW_COUNT_MAX;
	datagram->payload = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, PACKET_HEADERS_SIZE);
	datagram->size = view.payload_size;
	datagram->buffer = mbuf;
	return true;
drop:
	dpdk->transport.unexpected++;
	rte_pktmbuf_free(mbuf);
	return false;
}

/* Frames handed over by other workers, or of the next queue that has any. */
static uint16_t receive_frames(struct transport_dpdk *dpdk, struct rte_mbuf **mbufs, uint32_t count)
{
	const struct transport_dpdk_link *link = dpdk->link;
	uint16_t received = 0;

	if (link->worker_count > 1)
		received = (uint16_t)rte_ring_dequeue_burst(link->handover[dpdk->worker],
							    (void **)mbufs, count, NULL);
	for (uint16_t tried = dpdk->worker; tried < dpdk->link->queue_count && received == 0;
	     tried = (uint16_t)(tried + link->worker_count)) {
		received = port_receive(link->port, dpdk->queue_next, mbufs, (uint16_t)count);
		dpdk->queue_next = (uint16_t)(dpdk->queue_next + link->worker_count);
		if (dpdk->queue_next >= dpdk->link->queue_count)
			dpdk->queue_next = dpdk->worker;
	}
	return received;
}

static uint32_t receive(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count)
{
	struct transport_dpdk *dpdk = dpdk_of(transport);
	struct rte_mbuf *mbufs[BURST];
	uint16_t received;
	uint32_t taken = 0;

	flush(dpdk);
	received = receive_frames(dpdk, mbufs, count);
	for (uint16_t i = 0; i < received; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint16_t i = 0; i < received; i++)
		taken += take_frame(dpdk, mbufs[i], &datagrams[taken]);
	return taken;
}

static void release(struct transport *transport, struct transport_datagram *datagrams,
		    uint32_t count)
{
	struct rte_mbuf *mbufs[BURST];

	(void)transport;
	for (uint32_t i = 0; i < count; i++)
		mbufs[i] = datagrams[i].buffer;
	rte_pktmbuf_free_bulk(mbufs, count);
}

/* The core is ours: polling on is what makes the latencies true. */
static void rest(struct transport *transport, uint32_t microseconds)
{
	(void)transport;
	(void)microseconds;
	rte_pause();
}

static void destroy(struct transport *transport)
{
	struct transport_dpdk *dpdk = dpdk_of(transport);

	if (!dpdk)
		return;
	for (uint16_t i = 0; i < dpdk->backlog_count; i++)
		rte_pktmbuf_free(dpdk->backlog[i].mbuf);
	rte_free(dpdk);
}

struct transport *transport_dpdk_create(struct transport_dpdk_link *link, uint16_t worker)
{
	static const struct transport_ops ops = {
		.open_flow = open_flow,
		.meet_server = meet_server,
		.acquire = acquire,
		.send = send_datagrams,
		.receive = receive,
		.release = release,
		.rest = rest,
		.destroy = destroy,
	};
	struct transport_dpdk *dpdk = rte_zmalloc(NULL, sizeof(*dpdk), RTE_CACHE_LINE_SIZE);

	if (!dpdk)
		return NULL;
	dpdk->transport.ops = &ops;
	dpdk->transport.payload_size_max = link->port->mtu - PACKET_IPV4_SIZE - PACKET_UDP_SIZE;
	dpdk->link = link;
	dpdk->worker = worker;
	dpdk->queue_next = worker;
	return &dpdk->transport;
}

/* ---- the link ---- */

/* The tick at which to give up. */
static uint64_t deadline_after(double seconds)
{
	return rte_get_tsc_cycles() + (uint64_t)(seconds * (double)rte_get_tsc_hz());
}

static int wait_for_link(const struct transport_dpdk_link *link, uint64_t deadline,
			 const struct failure *failure)
{
	while (!port_link_is_up(link->port)) {
		if (rte_get_tsc_cycles() > deadline)
			return failure_set(
				failure, -ETIMEDOUT,
				"the link of %s does not come up: is the other side running%s?",
				link->port->device,
				link->queue_count > 1 ? ", with as many workers as we have queues"
						      : "");
		usleep(1000);
	}
	return 0;
}

static void ask_arp(const struct transport_dpdk_link *link)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(link->port->pool);
	size_t size;

	if (!mbuf)
		return;
	size = packet_build_arp_request(rte_pktmbuf_mtod(mbuf, uint8_t *), link->local.mac,
					link->local.ipv4, link->server_ipv4);
	mbuf->data_len = (uint16_t)size;
	mbuf->pkt_len = (uint32_t)size;
	if (port_transmit(link->port, 0, &mbuf, 1) == 0)
		rte_pktmbuf_free(mbuf);
}

/* Whether a frame is the server's ARP reply; takes its MAC then. */
static bool take_arp_reply(struct transport_dpdk_link *link, struct rte_mbuf *mbuf)
{
	const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
	struct packet_view view;

	if (packet_parse(&link->local, frame, mbuf->data_len, PACKET_CHECKED_NOTHING, &view) !=
		    DROP_NONE ||
	    view.kind != PACKET_KIND_ARP_REPLY || view.source_ipv4 != link->server_ipv4)
		return false;
	memcpy(link->server_mac, frame + PACKET_AT_ARP_SENDER_MAC, sizeof(link->server_mac));
	return true;
}

/* Takes frames of all queues until the reply is among them. */
static bool poll_arp(struct transport_dpdk_link *link)
{
	bool found = false;

	for (uint16_t queue = 0; queue < link->port->queues; queue++) {
		struct rte_mbuf *mbufs[BURST];
		uint16_t count = port_receive(link->port, queue, mbufs, BURST);

		for (uint16_t i = 0; i < count; i++)
			found |= take_arp_reply(link, mbufs[i]);
		rte_pktmbuf_free_bulk(mbufs, count);
	}
	return found;
}

static int resolve_server(struct transport_dpdk_link *link, uint64_t deadline,
			  const struct failure *failure)
{
	uint64_t ask_next = 0;

	while (!poll_arp(link)) {
		uint64_t now = rte_get_tsc_cycles();

		if (now > deadline)
			return failure_set(failure, -EHOSTUNREACH,
					   "the server does not answer ARP: check --server and "
					   "--ip, or give --server-mac");
		if (now >= ask_next) {
			ask_arp(link);
			ask_next = deadline_after(ARP_GAP_SECONDS);
		}
		usleep(100);
	}
	return 0;
}

static int create_handovers(struct transport_dpdk_link *link, const struct failure *failure)
{
	for (uint16_t i = 0; i < link->worker_count; i++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "bench_handover_%u", i);
		link->handover[i] =
			rte_ring_create(name, HANDOVER_SIZE, (int)rte_socket_id(), RING_F_SC_DEQ);
		if (!link->handover[i])
			return failure_set(failure, -ENOMEM,
					   "no memory for the rings between workers");
	}
	return 0;
}

static int open_port(struct transport_dpdk_link *link, const struct transport_dpdk_options *options,
		     const struct failure *failure)
{
	struct port_needs needs = {
		.name = "bench",
		.mbufs_held = options->worker_count * (HANDOVER_SIZE + 2 * BURST),
	};
	int result;

	if (options->port.kind == PORT_MEMIF && options->queues > link->queue_count)
		link->queue_count = options->queues;
	needs.queues = link->queue_count;
	if (options->port.kind == PORT_MEMIF && access(options->port.device, F_OK) < 0)
		return failure_set(failure, -errno,
				   "no memif socket %s: is the other side running?",
				   options->port.device);
	result = port_open(&link->port, &options->port, &needs, failure->text, failure->size);
	if (result < 0)
		return result;
	link->queue_count = link->port->queues;
	if (link->queue_count < options->worker_count)
		return failure_set(failure, -ENOTSUP, "%s has %u queues only: use --workers %u",
				   link->port->device, link->port->queues, link->port->queues);
	packet_local_init(&link->local, link->port->mac, options->port.ipv4,
			  TRANSPORT_DPDK_PORT_BASE,
			  (uint16_t)(options->worker_count * TRANSPORT_FLOW_COUNT_MAX));
	if (options->checksum)
		link->checksum = link->port->tx_fills_checksums ? UDP_CHECKSUM_OFFLOAD
								: UDP_CHECKSUM_SOFTWARE;
	return 0;
}

int transport_dpdk_open(struct transport_dpdk_link **opened,
			const struct transport_dpdk_options *options, double wait_seconds,
			char *error, size_t error_size)
{
	const struct failure failure = { error, error_size };
	struct transport_dpdk_link *link = rte_zmalloc(NULL, sizeof(*link), 0);
	uint64_t deadline = deadline_after(wait_seconds);
	int result;

	if (!link)
		return failure_set(&failure, -ENOMEM,
				   "no memory for a port: give DPDK more (EAL argument -m)");
	link->server_ipv4 = options->server_ipv4;
	link->worker_count = options->worker_count;
	link->server_port = options->server_port;
	link->queue_count = options->worker_count;
	link->checksum = UDP_CHECKSUM_ABSENT;
	memcpy(link->server_mac, options->server_mac, sizeof(link->server_mac));
	result = open_port(link, options, &failure);
	if (result == 0)
		result = create_handovers(link, &failure);
	if (result == 0)
		result = wait_for_link(link, deadline, &failure);
	if (result == 0 && !options->server_mac_known)
		result = resolve_server(link, deadline, &failure);
	if (result < 0) {
		transport_dpdk_close(link);
		return result;
	}
	*opened = link;
	return 0;
}

void transport_dpdk_close(struct transport_dpdk_link *link)
{
	struct rte_mbuf *mbuf;

	if (!link)
		return;
	for (uint16_t i = 0; i < link->worker_count; i++) {
		while (link->handover[i] &&
		       rte_ring_dequeue(link->handover[i], (void **)&mbuf) == 0)
			rte_pktmbuf_free(mbuf);
		rte_ring_free(link->handover[i]);
	}
	port_close(link->port);
	rte_free(link);
}
