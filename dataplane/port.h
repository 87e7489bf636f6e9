/* SPDX-License-Identifier: BSD-3-Clause */
/* One network device with its queues and packet buffers, whatever its kind; used by the node and by the load generator. */
#ifndef DATAPLANE_PORT_H
#define DATAPLANE_PORT_H

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/dataplane.h"
#include "dataplane/port_guard.h"

/* Packets per receive and transmit call. */
#define PORT_BURST_MAX 32u

#define PORT_RING_SIZE_DEFAULT 1024u
#define PORT_MTU_MIN 576u
#define PORT_MTU_MAX 9000u

/* What the user of a port needs beyond its options. */
struct port_needs {
	const char *name;           /* prefix of DPDK object names, unique in the process */
	uint16_t queues;            /* wanted; the device may grant fewer */
	uint16_t udp_port_base;     /* UDP port base + q is to land on queue q; 0 = any queue */
	uint16_t mbuf_private_size; /* bytes of private area in each mbuf, a multiple of 8 */
	/* mbufs the user may hold at once beyond those in the device's queues */
	uint32_t mbufs_held;
};

/* Where DPDK keeps one queue of a port. */
struct port_place {
	uint16_t id; /* of the DPDK device */
	uint16_t queue;
};

/* An open port. All fields but 'guards' are constant while it is open.
 *
 * A port is one DPDK device, but for memif, where each queue is a device (an interface id on the same socket) with a link of
 * its own: the two sides may have different numbers of queues, and the driver must not be asked for a queue of a device
 * that the other side does not have (it would read and write the rings of another one).
 *
 * Thread safety: any thread may read the fields; one thread at a time per queue receives, one transmits; the pool
 * may be used by any lcore.
 */
struct port {
	struct port_place places[WORKER_COUNT_MAX]; /* of each queue */
	uint16_t queues;                            /* receive = transmit queues granted */
	uint16_t mtu;                               /* bytes of IP packet */
	uint8_t mac[6];
	struct rte_mempool *pool;
	bool rx_checks_checksums; /* the NIC sets RTE_MBUF_F_RX_*_CKSUM_* of IPv4 and UDP */
	bool tx_fills_checksums;  /* the NIC fills IPv4 and UDP checksums when asked by ol_flags */
	bool rx_partial_checksums; /* the sender may be this machine's kernel: UDP checksums may be unfinished */
	bool answers_by_same_queue; /* only the queue that received a frame leads back to its sender */
	bool steers_by_flow_rule;
	enum port_kind kind;
	uint16_t device_count;
	uint16_t device_ids[WORKER_COUNT_MAX]; /* of DPDK */
	char device[DATAPLANE_TEXT_SIZE];
	struct port_guard guards
		[2 *
		 WORKER_COUNT_MAX]; /* by queue: of its receiver and its transmitter; these change */
};

/* Creates the device (a hot-plug; no EAL argument is needed), its buffers and queues, and starts it.
 *
 * On failure returns -errno and writes into 'error' one line that says what failed and what to do. Called after rte_eal_init,
 * by one thread at a time. A memif port opens also while the other side is missing; see port_link_is_up().
 */
int port_open(struct port **port, const struct port_options *options,
	      const struct port_needs *needs, char *error, size_t error_size);

/* Stops and removes the device; frees the buffers, which nobody may hold any more. Accepts NULL. */
void port_close(struct port *port);

/* Queues whose link is up: all or none, but for memif. */
uint16_t port_links_up(const struct port *port);

/* Whether any is. */
bool port_link_is_up(const struct port *port);

/* Frames the device lost for want of descriptors or buffers, or refused. Any thread. */
uint64_t port_rx_missed(const struct port *port);

/* Receives up to 'count' frames of one queue. */
static inline uint16_t port_receive(struct port *port, uint16_t queue, struct rte_mbuf **mbufs,
				    uint16_t count)
{
	const struct port_place *place = &port->places[queue];
	struct port_guard *guard = &port->guards[2u * queue];

	port_guard_enter(guard);
	count = rte_eth_rx_burst(place->id, place->queue, mbufs, count);
	port_guard_leave(guard);
	return count;
}

/* Transmits frames in order; returns how many the device took. The caller still owns the others. */
static inline uint16_t port_transmit(struct port *port, uint16_t queue, struct rte_mbuf **mbufs,
				     uint16_t count)
{
	const struct port_place *place = &port->places[queue];
	struct port_guard *guard = &port->guards[2u * queue + 1];

	port_guard_enter(guard);
	count = rte_eth_tx_burst(place->id, place->queue, mbufs, count);
	port_guard_leave(guard);
	return count;
}

#endif
