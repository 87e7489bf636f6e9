/* SPDX-License-Identifier: BSD-3-Clause */
/* Operations on partitions of others: whose they are, and how the client is told. */
#ifndef DATAPLANE_REQUEST_FORWARD_H
#define DATAPLANE_REQUEST_FORWARD_H

#include <stdint.h>

#include "dataplane/core_state.h"

/* WIRE_OK when this node may answer for the partition, else WIRE_NOT_OWNER or WIRE_UNAVAILABLE (nobody may). */
enum wire_status request_route_judge(const struct route_table *route, uint32_t partition);

/* The reply to an operation on 'partition' that belongs to another node or to another worker of this one: NOT_OWNER with the
 * address of the worker to ask, or without it when the reply has no room left for it.
 */
void request_reply_not_owner(struct core *core, struct request *request, uint8_t opcode,
			     uint32_t partition);

#endif
