/* SPDX-License-Identifier: BSD-3-Clause */
/* REQUEST datagrams: judged whole, gathered into batches, executed in order, answered. */
#ifndef DATAPLANE_REQUEST_DISPATCH_H
#define DATAPLANE_REQUEST_DISPATCH_H

#include "dataplane/core_state.h"

/* What becomes of a REQUEST, in this order:
 *
 *      cannot be parsed, or its replies cannot fit         one BAD_REQUEST
 *      it writes, and all its keys are another worker's    handed to that worker
 *      a partition is about to change its owner            parked, or RETRY
 *      it writes, and is known to the replay window        its first answer again, or forwarded again, or dropped
 *      it was forwarded here by an ownership that is over  NOT_OWNER
 *      all its keys are one other node's                   forwarded to that node
 *      else                                                executed in this core's batch
 *
 * An operation is executed whatever becomes of the others in its datagram. A key of another worker is read here, and not
 * written: NOT_OWNER. So are keys of other nodes when a datagram has keys of several.
 *
 * Thread safety: the core's own.
 */

/* Takes 'mbuf' with a REQUEST whose session is valid, and adds it to the batch, which may be executed first. 'view' stays valid until
 * request_flush().
 */
void request_dispatch(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view);

/* Executes what is in the batch. */
void request_flush(struct core *core);

#endif
