/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests that wait while a partition changes its owner: few, and not for long. */
#ifndef DATAPLANE_REQUEST_PARK_H
#define DATAPLANE_REQUEST_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core_state.h"

/* A parked request is nothing yet: not marked in a replay window, not looked up. It is dispatched anew when what it waits
 * for is decided: executed here, forwarded to the new owner, or refused; its copies likewise, and the replay windows tell
 * them from it.
 *
 * Thread safety: the core's own.
 */

/* Keeps 'mbuf' with its request until 'partition' is not parked any more. False: too many wait, or it has waited long
 * enough; it is to be answered RETRY.
 */
bool request_park(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view,
		  uint32_t partition);

/* Dispatches requests that need wait no longer, PORT_BURST_MAX at most. Returns whether there may be more. To be called at the
 * start of a turn, with core->route and core->now_ms of that turn, when core->parking.count is not 0.
 */
bool request_unpark(struct core *core);

#endif
