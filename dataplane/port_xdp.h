/* SPDX-License-Identifier: BSD-3-Clause */
/* What the libraries under DPDK's af_xdp driver have to say. */
#ifndef DATAPLANE_PORT_XDP_H
#define DATAPLANE_PORT_XDP_H

/* From here on libbpf and libxdp, which print to stderr, write to DPDK's log instead, at a level of no
 * alarm: they warn of what their caller then does another way. Does nothing where they are not loaded. Any
 * thread, before af_xdp devices are created.
 */
void port_xdp_catch_log(void);

#endif
