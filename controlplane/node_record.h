/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's record as bytes: what its node encodes once, and all others decode and relay as they got
 * it.
 */
#ifndef CONTROLPLANE_NODE_RECORD_H
#define CONTROLPLANE_NODE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/cluster.pb-c.h"
#include "controlplane/node.h"

/* The two partition sets take at most 519 bytes each, the rest less than 206: any record fits one
 * gossip packet. What a later version adds must fit as well.
 */
#define NODE_RECORD_SIZE_MAX 1248u

/* Encodes 'node'. Returns its size in bytes, or -EMSGSIZE when 'size_max' is less
 * (NODE_RECORD_SIZE_MAX always suffices).
 */
int node_record_encode(const struct node *node, uint8_t *bytes, size_t size_max);

/* 0; -EMSGSIZE above NODE_RECORD_SIZE_MAX; -EINVAL for bytes that are no record, or one that no
 * node would write (no id, no name, a weight, port or partition out of range). A state that a later
 * version may know is read as NODE_ACTIVE. '*node' is undefined after an error.
 */
int node_record_decode(struct node *node, const uint8_t *bytes, size_t size);

/* The same for an address inside other messages. A NULL message is the address "none". */
struct node_address_message {
	Godwit__Address message;
	uint8_t ip[16];
};
/* NULL for the address "none"; points into '*room' otherwise. */
Godwit__Address *node_address_encode(const struct node_address *address,
				     struct node_address_message *room);
int node_address_decode(struct node_address *address, const Godwit__Address *message);

#endif
