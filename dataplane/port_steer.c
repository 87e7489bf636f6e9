/* SPDX-License-Identifier: BSD-3-Clause */
/* rte_flow rules, one per queue. */
#include "dataplane/port_steer.h"

#include <rte_byteorder.h>
#include <rte_flow.h>

static bool steer_queue(uint16_t port_id, uint32_t ipv4, uint16_t udp_port, uint16_t queue)
{
	const struct rte_flow_attr attr = { .ingress = 1 };
	const struct rte_flow_item_ipv4 ip = { .hdr.dst_addr = rte_cpu_to_be_32(ipv4) };
	const struct rte_flow_item_ipv4 ip_mask = { .hdr.dst_addr = UINT32_MAX };
	const struct rte_flow_item_udp udp = { .hdr.dst_port = rte_cpu_to_be_16(udp_port) };
	const struct rte_flow_item_udp udp_mask = { .hdr.dst_port = UINT16_MAX };
	const struct rte_flow_item pattern[] = {
		{ .type = RTE_FLOW_ITEM_TYPE_ETH },
		{ .type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &ip, .mask = &ip_mask },
		{ .type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &udp_mask },
		{ .type = RTE_FLOW_ITEM_TYPE_END },
	};
	const struct rte_flow_action_queue to = { .index = queue };
	const struct rte_flow_action actions[] = {
		{ .type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to },
		{ .type = RTE_FLOW_ACTION_TYPE_END },
	};
	struct rte_flow_error error;

	return rte_flow_create(port_id, &attr, pattern, actions, &error) != NULL;
}

bool port_steer(const struct port *port, uint32_t ipv4, uint16_t udp_port_base)
{
	struct rte_flow_error error;

	for (uint16_t queue = 0; queue < port->queues; queue++) {
		if (!steer_queue(port->device_ids[0], ipv4, (uint16_t)(udp_port_base + queue),
				 queue)) {
			rte_flow_flush(port->device_ids[0], &error);
			return false;
		}
	}
	return true;
}
