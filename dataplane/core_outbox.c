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

void core_hand_over(struct core *core, struct rte_mbuf *mbuf, const struct packet_view *view,
		    enum mail_kind kind, uint32_t to)
{
	struct core_outbox *outbox = &core->outboxes[to];
	struct core_mail *mail = core_mail(mbuf);

	mail->kind = (uint8_t)kind;
	if (view)
		mail->view = *view;
	if (outbox->count == PORT_BURST_MAX)
		send_outbox(core, to);
	outbox->mbufs[outbox->count++] = mbuf;
	core->outboxes_used |= UINT64_C(1) << to;
}

void core_outbox_flush(struct core *core)
{
	for (; core->outboxes_used; core->outboxes_used &= core->outboxes_used - 1)
		send_outbox(core, (uint32_t)__builtin_ctzll(core->outboxes_used));
}
