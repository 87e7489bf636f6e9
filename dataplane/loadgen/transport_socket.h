/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams over kernel UDP sockets, one per flow; needs neither DPDK nor a privilege. */
#ifndef LOADGEN_TRANSPORT_SOCKET_H
#define LOADGEN_TRANSPORT_SOCKET_H

#include <netinet/in.h>

#include "dataplane/loadgen/transport.h"

/* A transport to the server at 'server', whose port flows choose themselves. NULL when there is no
 * memory.
 */
struct transport *transport_socket_create(const struct in_addr *server);

#endif
