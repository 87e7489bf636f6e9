/* SPDX-License-Identifier: BSD-3-Clause */
/* A node without a port for unit tests: frames go in by function call, answers come out as frames; and a client. */
#ifndef TESTS_UNIT_NODE_H
#define TESTS_UNIT_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/core_state.h"
#include "dataplane/partition_command.h"

#define UNIT_NODE_IPV4 0x0a010101u
#define UNIT_NODE_PORT 7700u
#define UNIT_NODE_MTU 1500u
#define UNIT_NODE_PAYLOAD_MAX (UNIT_NODE_MTU - 28u) /* of a frame, ... */
#define UNIT_NODE_DATAGRAM_MAX (UNIT_NODE_PAYLOAD_MAX - WIRE_FORWARD_SIZE) /* ... of a datagram */
#define UNIT_NODE_REPLY_MAX 1200u

struct unit_node_options {
	uint32_t worker_count;     /* 0 = 1 */
	uint32_t partition_count;  /* 0 = 64 */
	size_t memory_limit_bytes; /* 0 = 64 MB */
	uint32_t session_count;    /* 0 = 64 */
	uint32_t mailbox_capacity; /* 0 = 64 */
	uint32_t number;           /* of the node: its address is UNIT_NODE_IPV4 + number */
	bool is_evicting;          /* a full node evicts */
	uint64_t life;             /* of the node: another one has other secrets */
};

/* Several cores in one thread. Answers gather in 'replies' until they are taken. */
struct unit_node {
	struct core_shared *shared;
	struct core *cores[WORKER_COUNT_MAX];
	struct item_memory *memory;
	struct grace_period *period;
	struct route_table *route;
	uint32_t number;
	uint8_t buffer_noise; /* what stands around each frame in its buffer; 0 = what was there */
	uint64_t route_serial;
	uint64_t stalled; /* bit i: worker i stands still; it takes no mail, and nothing that it parked */
	uint64_t missed;  /* frames that found no buffer, as network cards count them */
	uint32_t reply_count;
	struct rte_mbuf *replies[UNIT_NODE_REPLY_MAX];
};

/* Aborts when anything fails. */
void unit_node_create(struct unit_node *node, const struct unit_node_options *options);
void unit_node_destroy(struct unit_node *node);

/* Takes 'table' for the node's routes, as dataplane_set_routes() does; cores see it at once. */
void unit_node_set_routes(struct unit_node *node, struct route_table *table);

/* Until it is called again there is no buffer for what arrives or is begun, as when all of the node's pool are taken; or there is. */
void unit_node_set_out_of_buffers(struct unit_node *node, bool is_out);

/* What a turn does with parked requests; unit_node_set_routes() does it too. */
void unit_node_unpark(struct unit_node *node);

/* Has the owner core do the command. */
void unit_node_command(struct unit_node *node, struct partition_command *command);

/* The MAC of node 'number'. */
void unit_node_mac(uint8_t mac[6], uint32_t number);

/* Sets the access of one partition, as dataplane_set_access() does; cores see it at once. */
void unit_node_set_access(struct unit_node *node, uint32_t partition, enum route_access access);

/* Moves the node's clock; it starts at a fixed time. */
void unit_node_advance(struct unit_node *node, uint64_t ms);

/* All readers are quiescent: completes grace periods and gives every shard background work until none is left. */
void unit_node_settle(struct unit_node *node);

/* One turn of that: a grace period and a slice of background work for each shard. */
void unit_node_settle_once(struct unit_node *node);

/* Frames on 'worker's queue in one burst, then the mailboxes until they are empty. */
void unit_node_receive(struct unit_node *node, uint32_t worker, const uint8_t *const *frames,
		       const size_t *sizes, uint32_t count);

/* Copies the oldest answer to 'frame' (2048 bytes) and forgets it; its size, 0 when there is none. */
size_t unit_node_take(struct unit_node *node, uint8_t *frame);

/* A counter summed over the cores, by name; aborts when there is no such name. */
uint64_t unit_node_counter(const struct unit_node *node, const char *name);

/* Who talks to the node. */
struct unit_client {
	uint32_t ipv4;
	uint16_t port;
	uint32_t session_id;
	uint64_t token;
	uint32_t sequence; /* of the last request */
	uint32_t node;     /* number of the node that it talks to */
};

/* Opens a session with 'worker' by both HELLOs; false when the node does not grant one. */
bool unit_client_hello(struct unit_node *node, struct unit_client *client, uint32_t worker);

/* An operation that borrows its key and value, which are strings; 'value' NULL = none. */
static inline struct wire_request_op unit_operation(uint8_t opcode, const char *key,
						    const char *value)
{
	return (struct wire_request_op){
		.opcode = opcode,
		.key_size = (uint16_t)strlen(key),
		.key = (const uint8_t *)key,
		.value_size = value ? (uint32_t)strlen(value) : 0,
		.value = (const uint8_t *)value,
	};
}

/* A datagram under construction. */
struct unit_datagram {
	size_t size;
	uint8_t payload[UNIT_NODE_DATAGRAM_MAX + 64];
};

/* Starts a REQUEST with the client's session and next sequence. */
void unit_request_begin(struct unit_datagram *datagram, struct unit_client *client);
void unit_request_add(struct unit_datagram *datagram, const struct wire_request_op *op);

/* The frame that carries 'datagram' from 'client' to 'worker's UDP port; its size. 'frame' has 2048 bytes. */
size_t unit_frame(uint8_t *frame, const struct unit_client *client, uint32_t worker,
		  const struct unit_datagram *datagram);

/* Checks an answer's headers as its client's network card would; its payload's size, copied to 'payload' (2048 bytes). */
size_t unit_check_answer(const struct unit_client *client, uint32_t worker, const uint8_t *frame,
			 size_t size, uint8_t *payload);

/* Sends the datagram to 'worker' and takes the one answer. Checks its headers; returns the payload's size, 0 when there is no
 * answer. 'payload' has 2048 bytes.
 */
size_t unit_exchange(struct unit_node *node, const struct unit_client *client, uint32_t worker,
		     const struct unit_datagram *datagram, uint8_t *payload);

#endif
