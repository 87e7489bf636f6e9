/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions at the door, and the datagrams that are no REQUEST: HELLO, PING, MAP_REQUEST, FORWARD. */
#ifndef DATAPLANE_REQUEST_CONTROL_H
#define DATAPLANE_REQUEST_CONTROL_H

#include <rte_prefetch.h>
#include <stdbool.h>

#include "dataplane/core_state.h"

/* Whether the sender holds the session that its datagram names: one of this core, or of another one
 * of the node.
 */
bool request_session_valid(const struct core *core, const struct packet_view *view);

/* Fetches what request_session_valid() will read. 'view' is of any kind. */
static inline void request_session_prefetch(const struct core *core, const struct packet_view *view)
{
	uint32_t slot = session_slot(core->sessions, view->wire.session_id);

	if (view->kind == PACKET_KIND_DATAGRAM && slot < core->sessions->count_max)
		rte_prefetch0(&core->sessions->sessions[slot]);
}

/* Answers a datagram without a valid session NEED_HELLO, which is no longer than any request, or drops
 * it when too many were answered lately. Takes 'mbuf'.
 */
void request_refuse_session(struct core *core, struct rte_mbuf *mbuf,
			    const struct packet_view *view);

/* Deals with a datagram of any kind but REQUEST. Takes 'mbuf'. */
void request_control(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view);

#endif
