/* SPDX-License-Identifier: BSD-3-Clause */
/* Gathering and sending of mail. */
#include "dataplane/core_outbox.h"

static void send_outbox(struct core *core, uint32_t to)
{
	struct core_outbox *outbox = &core->outboxes[to];
	uint32_t sent = mailbox_send(core->shared->mailboxes, core->index, to, outbox->mbufs,
				     outbox->count);

	for (uint32_t i = sent; i < outbox->count; i++) {
		core_count_drop(&core->counters, DROP_MAILBOX_FULL);
		rte_pktmbuf_free(outbox->mbufs[i]);
	}
	outbox->count = 0;
}

static void put_into_outbox(struct core *core, struct rte_mbuf *mbuf, uint32_t to)
{
	struct core_outbox *outbox = &core->outboxes[to];

	if (outbox->count == PORT_BURST_MAX)
		send_outbox(core, to);
	outbox->mbufs[outbox->count++] = mbuf;
	core->outboxes_used |= UINT64_C(1) << to;
}

void core_stow(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view)
{
	struct core_mail *mail = core_mail(mbuf);

	if (view == &mail->view)
		return;
	mail->view = *view;
	mail->queue = (uint8_t)core->index;
}

void core_hand_over(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view,
		    enum mail_kind kind, uint32_t to)
{
	core_stow(core, mbuf, view);
	core_mail(mbuf)->kind = (uint8_t)kind;
	put_into_outbox(core, mbuf, to);
}

void core_let_transmit(struct core *core, struct rte_mbuf *mbuf, uint32_t to)
{
	core_mail(mbuf)->kind = MAIL_TRANSMIT;
	core_count(&core->counters, COUNT_HANDED_TO_QUEUE);
	put_into_outbox(core, mbuf, to);
}

void core_outbox_flush(struct core *core)
{
	for (; core->outboxes_used; core->outboxes_used &= core->outboxes_used - 1)
		send_outbox(core, (uint32_t)__builtin_ctzll(core->outboxes_used));
}
