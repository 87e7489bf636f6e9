/* SPDX-License-Identifier: BSD-3-Clause */
/* The kernel's side of a port: questions to, and settings of, network interfaces. Set-up only, never on the fast path. */
#ifndef DATAPLANE_PORT_KERNEL_H
#define DATAPLANE_PORT_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

bool port_kernel_has_interface(const char *name);

/* Bytes of IP packet, or -errno. */
int port_kernel_mtu(const char *name);

/* Receive queues that an interface spreads packets over. */
struct port_kernel_queues {
	/* that transmit as well; DPDK's AF_XDP can use more than one of these alone */
	uint32_t combined;
	uint32_t receive; /* others */
};

/* One other queue when the driver does not tell. */
struct port_kernel_queues port_kernel_queues(const char *name);

/* Gives the interface the address 'ipv4'/'prefix' (host byte order) and brings it up. 0 or -errno. */
int port_kernel_set_address(const char *name, uint32_t ipv4, uint8_t prefix);

/* 0 when this process may create tap interfaces, else -errno. */
int port_kernel_check_tap(void);

/* 0 when this process may open packet sockets, else -errno. */
int port_kernel_check_packet_socket(void);

#endif
