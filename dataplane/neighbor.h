/* SPDX-License-Identifier: BSD-3-Clause */
/* The station behind an IPv4 address of this node's network: for code that must send first. */
#ifndef DATAPLANE_NEIGHBOR_H
#define DATAPLANE_NEIGHBOR_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/packet_format.h"

/* A neighbour not confirmed for this long is asked again while its old address is still used ... */
#define NEIGHBOR_STALE_MS 60000u
/* ... and forgotten after this long. */
#define NEIGHBOR_EXPIRED_MS 300000u
/* Pause between two questions about the same neighbour. */
#define NEIGHBOR_ASK_PAUSE_MS 200u

/* The other nodes of a cluster and the gateway to them: few, and known by name, so that each has its
 * place for as long as it is in the route table.
 *
 * Thread safety: every worker learns and asks. The fields behind 'references' are naturally atomic each; what two
 * workers write at the same time is about the same. 'references' is the control plane's.
 */
struct neighbor {
	uint32_t ipv4;
	uint32_t references;   /* route tables that name it */
	uint64_t mac;          /* 48 bits, first byte highest; 0 = not known */
	uint64_t confirmed_ms; /* when its address was last heard */
	uint64_t asked_ms;     /* when it was last asked for; 0 = never */
};

/* What a frame from it, or an ARP packet to us, told. Ignores group addresses. */
void neighbor_learn(struct neighbor *neighbor, const uint8_t mac[PACKET_MAC_SIZE], uint64_t now_ms);

/* Whether its address is known, and 'mac' filled. '*ask' tells whether to send an ARP request now;
 * that it was sent is noted.
 */
bool neighbor_find(struct neighbor *neighbor, uint64_t now_ms, uint8_t mac[PACKET_MAC_SIZE],
		   bool *ask);

#endif
