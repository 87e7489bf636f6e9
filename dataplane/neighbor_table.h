/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has which MAC: a small ARP table for code that must send first. */
#ifndef DATAPLANE_NEIGHBOR_TABLE_H
#define DATAPLANE_NEIGHBOR_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/packet_format.h"

/* Neighbours remembered: nodes of the cluster and a gateway, with room. A full table forgets who
 * was confirmed longest ago among those that share the address's place.
 */
#define NEIGHBOR_SET_COUNT 64u
#define NEIGHBOR_SET_SIZE 8u

/* A neighbour not confirmed for this long is asked again while its old address is still used ... */
#define NEIGHBOR_STALE_MS 60000u
/* ... and forgotten after this long. */
#define NEIGHBOR_EXPIRED_MS 300000u
/* Pause between two questions about the same neighbour. */
#define NEIGHBOR_ASK_PAUSE_MS 200u

struct neighbor {
	uint64_t confirmed_ms;
	uint64_t asked_ms; /* 0 = never */
	uint32_t ipv4;     /* 0 = free */
	uint8_t mac[PACKET_MAC_SIZE];
	bool known; /* false: asked for, no answer yet */
};

/* Thread safety: none; one owner. */
struct neighbor_table {
	struct neighbor neighbors[NEIGHBOR_SET_COUNT][NEIGHBOR_SET_SIZE];
};

void neighbor_table_init(struct neighbor_table *table);

/* Learns from an ARP packet addressed to us, request or reply. Ignores address 0 (a probe) and
 * group MACs.
 */
void neighbor_learn(struct neighbor_table *table, uint32_t ipv4, const uint8_t mac[PACKET_MAC_SIZE],
		    uint64_t now_ms);

/* The MAC of 'ipv4', valid until the next call, or NULL. '*ask' tells whether to send an ARP
 * request now; that it was sent is noted.
 */
const uint8_t *neighbor_find(struct neighbor_table *table, uint32_t ipv4, uint64_t now_ms,
			     bool *ask);

#endif
