/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling clients who owns a partition. */
#include "dataplane/request_forward.h"

#include "dataplane/request_reply.h"

enum wire_status request_route_judge(const struct route_table *route, uint32_t partition)
{
	if (route_is_own(route, partition))
		return WIRE_OK;
	return route->owners[partition] == WIRE_MAP_NO_OWNER ? WIRE_UNAVAILABLE : WIRE_NOT_OWNER;
}

void request_reply_not_owner(struct core *core, struct request *request, uint8_t opcode,
			     uint32_t partition)
{
	const struct route_table *route = core->route;
	const struct wire_map_node *node = &route->nodes[route->owners[partition]];
	uint8_t *value;

	if (request_reply_room(request) < (int64_t)WIRE_OWNER_SIZE) {
		request_reply_status(core, request, opcode, WIRE_NOT_OWNER, 0);
		return;
	}
	value = request_reply_open(core, request, opcode, WIRE_NOT_OWNER, 0, WIRE_OWNER_SIZE);
	wire_put_u32(value, node->ipv4);
	wire_put_u16(value + 4, (uint16_t)(node->base_port + partition % node->worker_count));
	wire_put_u16(value + 6, 0);
	wire_put_u32(value + 8, route->epochs[partition]);
}
