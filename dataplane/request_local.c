/* SPDX-License-Identifier: BSD-3-Clause */
/* The worker's end of the ring to the control thread. */
#include "dataplane/request_local.h"

#include "dataplane/request_reply.h"

void request_local_answer(struct core *core, struct rte_mbuf *mbuf, size_t payload_size)
{
	uint8_t *payload = rte_pktmbuf_mtod_offset(mbuf, uint8_t *, PACKET_AT_UDP_PAYLOAD);

	payload[WIRE_AT_KIND] = WIRE_REPLY;
	wire_put_u32(payload + WIRE_AT_MAP_VERSION, core->route->map_version);
	mbuf->data_len = (uint16_t)(PACKET_AT_UDP_PAYLOAD + payload_size);
	mbuf->pkt_len = mbuf->data_len;
	if (rte_ring_sp_enqueue(core->local_answers, mbuf) == 0)
		core_count(&core->counters, COUNT_LOCAL_ANSWERS);
	else
		core_drop(core, mbuf, DROP_LOCAL_FULL);
}
