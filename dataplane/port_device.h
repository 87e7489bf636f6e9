/* SPDX-License-Identifier: BSD-3-Clause */
/* The DPDK device behind each kind of port: its name and arguments, and what must be true before it is created. */
#ifndef DATAPLANE_PORT_DEVICE_H
#define DATAPLANE_PORT_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/failure.h"
#include "dataplane/port.h"

/* How to hot-plug a device. */
struct port_device {
	const char *bus;                /* "vdev" or "pci" */
	char name[DATAPLANE_TEXT_SIZE]; /* of the device on that bus */
	char args[2 * DATAPLANE_TEXT_SIZE];
	bool is_per_queue; /* each queue is a device of its own, told apart by the argument 'id' */
	bool rx_partial_checksums; /* see struct port */
	bool has_mac; /* false: its address is the kernel's own or random; ours is made from the IPv4 address */
	uint16_t mtu; /* of the kernel's interface; 0 = unknown */
	uint16_t queues_max; /* that its driver can stand; 0 = as many as it says */
};

/* Fills 'device'; 0, or -errno with one line in 'failure' when the device cannot be there: no such interface, no privilege, a
 * bad address, a socket in use. Removes the socket file of a memif server that is no longer alive.
 */
int port_device_describe(struct port_device *device, const struct port_options *options,
			 const struct port_needs *needs, const struct failure *failure);

#endif
