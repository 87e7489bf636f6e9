/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers to requests of the node itself: to its control thread, not to the port. */
#ifndef DATAPLANE_REQUEST_LOCAL_H
#define DATAPLANE_REQUEST_LOCAL_H

#include <stddef.h>

#include "dataplane/core_state.h"

/* The control thread's requests (see local_client.h) come by mail, and their views say is_local. In a FORWARD they are those of
 * the address REQUEST_LOCAL_IPV4, from which nothing can come by the port: packet_parse() drops it.
 *
 * Thread safety: the core's own.
 */
#define REQUEST_LOCAL_IPV4 0u

/* Answers that wait for the control thread. What finds no room is dropped: its request will be repeated. */
#define REQUEST_LOCAL_ANSWERS_MAX 255u

/* Hands over 'mbuf', whose UDP payload is the answer, of 'payload_size' bytes, but for its kind and map version. */
void request_local_answer(struct core *core, struct rte_mbuf *mbuf, size_t payload_size);

#endif
