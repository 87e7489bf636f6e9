/* SPDX-License-Identifier: BSD-3-Clause */
/* Bursts of packets through one core: frames in, frames to transmit out. No device, clock or loop in here. */
#ifndef DATAPLANE_CORE_BURST_H
#define DATAPLANE_CORE_BURST_H

#include "dataplane/core_state.h"

/* Both take 'count' packets, at most PORT_BURST_MAX, and leave at most one answer for each in core->tx, and an ARP request beside
 * it, behind those that are there already, or put it into an outbox. The caller has set core->now_ms and core->route, and moves what
 * is in core->tx before it holds more than CORE_TX_MAX - 2 * PORT_BURST_MAX.
 *
 * Thread safety: the core's own.
 */

/* Frames that a port received. */
void core_process_burst(struct core *core, struct rte_mbuf **mbufs, uint32_t count);

/* Packets from the mailboxes of this core. */
void core_process_mail(struct core *core, struct rte_mbuf **mbufs, uint32_t count);

#endif
