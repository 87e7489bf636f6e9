/* SPDX-License-Identifier: BSD-3-Clause */
/* One member's record: what a node says of itself, written by that node alone. */
#ifndef CONTROLPLANE_NODE_H
#define CONTROLPLANE_NODE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/partition_set.h"
#include "storage/limits.h"

/* Members of one cluster, those that left or were removed and are not yet forgotten included. */
#define NODE_COUNT_MAX 1024u

/* Bytes of a name, its NUL included. */
#define NODE_NAME_SIZE 32u

/* "[" IPv6 "]:" port, NUL included. */
#define NODE_ADDRESS_TEXT_SIZE 56u

/* Weight of a node that nobody configured; 0 means "owns nothing". */
#define NODE_WEIGHT_DEFAULT 100u
#define NODE_WEIGHT_MAX 10000u

#define NODE_SECRET_SIZE 16u

/* An IP address and a UDP or TCP port; IPv4 as IPv4-mapped IPv6. All zero: none. */
struct node_address {
	uint8_t ip[16];
	uint16_t port; /* host byte order */
};

struct node_address node_address_ipv4(uint32_t ipv4, uint16_t port);
bool node_address_is_ipv4(const struct node_address *address);
bool node_address_is_none(const struct node_address *address);
bool node_address_equals(const struct node_address *a, const struct node_address *b);
/* The IPv4 address in host byte order, 0 when it is none. */
uint32_t node_address_to_ipv4(const struct node_address *address);
/* "10.0.0.1:7800" or "[::1]:7800". Returns 'text', which holds NODE_ADDRESS_TEXT_SIZE bytes. */
const char *node_address_format(const struct node_address *address, char *text);
/* 0, or -EINVAL when 'text' is not an address with a port. Names are not resolved. */
int node_address_parse(struct node_address *address, const char *text);

/* What a node says it is doing. That it is suspected or dead is for others to say (membership.h).
 */
enum node_state {
	NODE_ACTIVE = 1,
	NODE_LEAVING = 2, /* its partitions migrate away; it takes none */
	NODE_LEFT = 3,    /* said good-bye */
};

struct node_load {
	uint64_t items;
	uint64_t item_bytes;
	uint64_t operations_per_s;
};

/* Records of one node are ordered by (generation, incarnation, record_version).
 *
 * Thread safety: none. The node itself changes its record and raises record_version with every
 * change; all others relay the bytes they got (gossip_message.h), so fields they do not know
 * survive.
 */
struct node {
	uint64_t id;               /* node_id_of_name(name); never 0 */
	char name[NODE_NAME_SIZE]; /* unique in the cluster, chosen by the operator */
	uint64_t generation;  /* of this boot; a later boot of the same node has a greater one */
	uint64_t incarnation; /* raised by the node to refute a suspicion */
	uint64_t record_version;
	enum node_state state;
	struct node_address control; /* gossip (UDP) and sync (TCP) */
	struct node_address data;    /* worker w answers on port + w */
	uint16_t workers;
	uint16_t weight; /* share of the partitions, relative to the other nodes' */
	uint32_t map_version;
	uint64_t map_stamp; /* of its partition map, see partition_map.h */
	/* Announcements that start or explain a handshake. They never decide ownership. */
	struct partition_set importing_partitions;
	struct partition_set migrating_partitions;
	struct node_load load;
	/* For node_session_token(). Drawn at each start; zero: a node without. For members only, so no log line
	 * and no page shows it.
	 */
	uint8_t session_secret[NODE_SECRET_SIZE];
};

/* The id of the node with that name. Two nodes of one name are a conflict that membership reports.
 */
uint64_t node_id_of_name(const char *name);

/* Whether 'name' can be a node's: 1..NODE_NAME_SIZE-1 of letters, digits, '-', '_' and '.'. */
bool node_name_is_valid(const char *name);

/* Whether 'node' says that it is taking 'partition' over from its owner. */
static inline bool node_is_importing(const struct node *node, uint32_t partition)
{
	return partition_set_has(&node->importing_partitions, partition);
}

/* Whether 'node' says that it is handing 'partition' to another node. */
static inline bool node_is_migrating(const struct node *node, uint32_t partition)
{
	return partition_set_has(&node->migrating_partitions, partition);
}

/* Less than, equal to or greater than 0 as record 'a' is older than, as old as, or newer than 'b'.
 */
int node_compare_age(const struct node *a, const struct node *b);

/* Whether both say the same, order (generation, incarnation, record_version) left aside. */
bool node_content_equals(const struct node *a, const struct node *b);

/* As node_content_equals(), map and load left aside: what changes all the time is not worth a
 * packet to everybody, the regular exchange of the full state carries it.
 */
bool node_announcement_equals(const struct node *a, const struct node *b);

const char *node_state_name(enum node_state state);

#endif
