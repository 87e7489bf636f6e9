/* SPDX-License-Identifier: BSD-3-Clause */
/* Which node owns each partition and what a request for it meets here: an immutable snapshot that
 * workers read under RCU.
 */
#ifndef DATAPLANE_ROUTE_TABLE_H
#define DATAPLANE_ROUTE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/neighbor.h"
#include "dataplane/wire_map.h"

/* What becomes of a request for a partition at this node. */
enum route_access {
	ROUTE_BY_OWNER,      /* one of the next three; never in a published table */
	ROUTE_SERVED,        /* this node owns it */
	ROUTE_FORWARDED,     /* another one does */
	ROUTE_UNAVAILABLE,   /* nobody does */
	ROUTE_WRITES_PARKED, /* own; writes wait for the end of a migration */
	ROUTE_PARKED,        /* reads too; whoever is the owner by now */
	ROUTE_REFUSED,       /* all are answered RETRY; whoever is the owner by now */
};

/* What this node needs to exchange FORWARDs with another. */
struct route_peer {
	uint64_t token_in;  /* in what comes from it; 0 = there is no session with it */
	uint64_t token_out; /* in what goes to it */
	struct neighbor *neighbor; /* the next station on the way to it; NULL: not known */
};

/* Thread safety: filled by the control plane, read-only from route_publish() on, but for what neighbours learn.
 * A reader that found it under RCU may use it until its next quiescent state.
 */
struct route_table {
	uint64_t serial;      /* grows with each published table of a data plane, which sets it */
	uint32_t map_version; /* of the whole map; grows with each published change */
	uint16_t partition_count;
	uint16_t node_count;
	uint16_t self;   /* this node's index in 'nodes' */
	bool serves_all; /* every access is ROUTE_SERVED: spares the test per operation */
	struct wire_map_node *nodes;
	struct route_peer *peers; /* of each node; zero for 'self' */
	uint16_t *owners;         /* by partition: index into 'nodes', or WIRE_MAP_NO_OWNER */
	uint32_t *epochs;         /* by partition: of its ownership */
	uint8_t *access;          /* by partition: enum route_access */
	uint16_t *sets;           /* nodes by address, for route_find_peer(); empty places are node_count */
	uint32_t set_mask;
};

/* A table of which 'self' owns all partitions in epoch 1, map version 1, without sessions; the caller
 * changes it before it publishes it. The nodes are copied. NULL without memory.
 */
struct route_table *route_table_create(uint16_t partition_count, const struct wire_map_node *nodes,
				       uint16_t node_count, uint16_t self);

/* A table like 'table', its access set back to ROUTE_BY_OWNER. NULL without memory. */
struct route_table *route_table_copy(const struct route_table *table);

/* This node's network: who is reached directly, and by whom the others. Host byte order. */
struct route_network {
	uint32_t ipv4;
	uint32_t gateway_ipv4; /* 0 = none: all are reached directly */
	uint8_t prefix;        /* bits; 0 = all are reached directly */
};

/* Gives each node but 'self' that has none its neighbour: one that 'before' knows (NULL: there is no table before), so
 * that what was learned stays, or a new one. 0 or -ENOMEM.
 */
int route_meet_neighbors(struct route_table *table, const struct route_table *before,
			 const struct route_network *network);

/* Once no reader can hold it. Accepts NULL. */
void route_table_destroy(struct route_table *table);

/* Makes 'table' the one that readers of '*current' find from now on, and returns the one before,
 * which the caller destroys after a grace period. One thread at a time (the control plane).
 */
struct route_table *route_publish(struct route_table **current, struct route_table *table);

/* Whether this node owns the partition. */
static inline bool route_is_own(const struct route_table *table, uint32_t partition)
{
	return table->owners[partition] == table->self;
}

enum route_side {
	ROUTE_IN,  /* by what comes from it */
	ROUTE_OUT, /* by what goes to it */
};

/* The peer at 'ipv4' with whom this node has the session 'token', which is not 0; NULL: there is none. */
const struct route_peer *route_find_peer(const struct route_table *table, uint32_t ipv4,
					 uint64_t token, enum route_side side);

/* An ARP packet to us told the MAC of 'ipv4'. Whether that is a neighbour of this table. */
bool route_learn(const struct route_table *table, uint32_t ipv4, const uint8_t mac[PACKET_MAC_SIZE],
		 uint64_t now_ms);

#endif
