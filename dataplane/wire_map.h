/* SPDX-License-Identifier: BSD-3-Clause */
/* The bodies of MAP_REQUEST and MAP_REPLY: which node owns which partition. */
#ifndef DATAPLANE_WIRE_MAP_H
#define DATAPLANE_WIRE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/wire_format.h"

struct wire_map_node {
	uint32_t ipv4; /* host byte order */
	uint16_t base_port;
	uint16_t worker_count;
};

/* A whole map, to write replies from; borrowed. */
struct wire_map {
	const uint16_t *owners; /* by partition: index into 'nodes', or WIRE_MAP_NO_OWNER */
	const struct wire_map_node *nodes;
	uint16_t partition_count;
	uint16_t node_count;
};

/* Writes the WIRE_MAP_REQUEST_BODY_SIZE bytes of a MAP_REQUEST. */
void wire_map_request_write(uint8_t *body, uint16_t first_partition);

/* False when 'size' is too little. */
bool wire_map_request_read(const uint8_t *body, size_t size, uint16_t *first_partition);

/* Writes the body of a MAP_REPLY: the owners from 'first_partition' on, as many as fit 'room'
 * bytes, and the nodes that they name, renumbered. Returns its bytes; 0 when 'room' is under
 * WIRE_MAP_REPLY_BODY_SIZE. Pure.
 */
size_t wire_map_reply_write(uint8_t *body, size_t room, const struct wire_map *map,
			    uint16_t first_partition);

/* A checked MAP_REPLY; borrows the datagram. */
struct wire_map_reply {
	uint16_t partition_count; /* a power of two, at most PARTITION_COUNT_MAX */
	uint16_t first_partition;
	uint16_t owner_count; /* at least 1 */
	uint16_t node_count;
	const uint8_t *nodes;
	const uint8_t *owners;
};

/* False when the body is no map: it overruns 'size', its numbers contradict one another, an owner
 * is no node, a node has no address, port or worker, or it holds no partition (a client that asks
 * again behind the last one would ask for ever).
 */
bool wire_map_reply_read(const uint8_t *body, size_t size, struct wire_map_reply *reply);

/* The owner of partition first_partition + 'index', index under owner_count: a number under
 * node_count or WIRE_MAP_NO_OWNER.
 */
uint16_t wire_map_reply_owner(const struct wire_map_reply *reply, uint16_t index);

/* Node 'index', under node_count. */
struct wire_map_node wire_map_reply_node(const struct wire_map_reply *reply, uint16_t index);

#endif
