/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams over a DPDK port: headers from templates, no kernel in between. */
#ifndef LOADGEN_TRANSPORT_DPDK_H
#define LOADGEN_TRANSPORT_DPDK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/loadgen/transport.h"
#include "dataplane/port.h"

/* UDP ports of our side: one per flow of each worker from here on. */
#define TRANSPORT_DPDK_PORT_BASE 20000u
#define TRANSPORT_DPDK_WORKER_COUNT_MAX 64u

struct transport_dpdk_options {
	struct port_options port; /* ipv4 is our own address */
	uint32_t server_ipv4;     /* host byte order */
	uint16_t server_port;     /* UDP, of its first worker */
	bool server_mac_known;    /* 'server_mac' is it: no ARP */
	uint8_t server_mac[6];
	bool checksum; /* send UDP checksums; without, the field is 0, which IPv4 allows */
	uint16_t worker_count;
	uint16_t queues; /* memif: as many as the server has workers, each answers by its own */
};

/* What the workers' transports share. */
struct transport_dpdk_link;

/* Opens the port, waits until its link is up and the server answers ARP, at most 'wait_seconds' in
 * all. 0, or -errno with one line in 'error'. By the EAL main lcore.
 */
int transport_dpdk_open(struct transport_dpdk_link **link,
			const struct transport_dpdk_options *options, double wait_seconds,
			char *error, size_t error_size);

/* All transports made from it are destroyed already. Accepts NULL. */
void transport_dpdk_close(struct transport_dpdk_link *link);

/* The transport of worker 'worker' (0 .. worker_count - 1), which runs on an lcore. NULL when there
 * is no memory.
 */
struct transport *transport_dpdk_create(struct transport_dpdk_link *link, uint16_t worker);

#endif
