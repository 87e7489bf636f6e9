/* SPDX-License-Identifier: BSD-3-Clause */
/* A peer of a shared-memory port leaves: its memory goes only when no core polls it any more. */
#ifndef DATAPLANE_PORT_DETACH_H
#define DATAPLANE_PORT_DETACH_H

/* DPDK 22.11's net_memif notices in the EAL's interrupt thread that its peer is gone, marks the port as not connected,
 * and unmaps the shared rings at once, while a worker may be in the middle of polling them. The worker then
 * reads memory that is not there.
 *
 * Workers are QSBR readers, and look at the mark at the beginning of each burst. So it is enough that the interrupt thread
 * waits for a grace period between the mark and the unmapping. This module defines munmap() for the process: in
 * the interrupt thread it waits first; everywhere else it is the system call and nothing more.
 *
 * Arms it; called once before the first memif port is polled, after rte_eal_init(). 0 or -errno.
 */
int port_detach_init(void);

#endif
