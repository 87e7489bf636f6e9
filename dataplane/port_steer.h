/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow rules that land each worker's UDP port on that worker's queue. */
#ifndef DATAPLANE_PORT_STEER_H
#define DATAPLANE_PORT_STEER_H

#include <stdbool.h>

#include "dataplane/port.h"

/* Asks the NIC for one rule per queue: UDP to 'ipv4' (host byte order), port base + queue. All or nothing: false when the NIC
 * refused one, and then none is left.
 */
bool port_steer(const struct port *port, uint32_t ipv4, uint16_t udp_port_base);

#endif
