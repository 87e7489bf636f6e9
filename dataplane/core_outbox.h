/* SPDX-License-Identifier: BSD-3-Clause */
/* One core's packets on their way to other workers, gathered so that a mailbox is touched once per burst. */
#ifndef DATAPLANE_CORE_OUTBOX_H
#define DATAPLANE_CORE_OUTBOX_H

#include "dataplane/core_state.h"

/* Thread safety: the core's own. */

/* Makes a received packet carry its view and where it came from, unless it does already. */
void core_stow(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view);

/* Puts a received packet aside for worker 'to'. 'view' is copied into it, unless it is there already. */
void core_hand_over(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view,
		    enum mail_kind kind, uint32_t to);

/* Puts a finished frame aside for a worker that has the queue for it. */
void core_let_transmit(struct core *core, struct rte_mbuf *mbuf, uint32_t to);

/* Sends what was put aside; what finds a mailbox full is dropped. */
void core_outbox_flush(struct core *core);

#endif
