/* SPDX-License-Identifier: BSD-3-Clause */
/* A received frame -> a checked view of it, or the one reason to drop it. */
#ifndef DATAPLANE_PACKET_PARSE_H
#define DATAPLANE_PACKET_PARSE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/drop_reason.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

/* Whom frames must be for. Filled by packet_local_init(); read-only afterwards, so any thread may
 * share it.
 */
struct packet_local {
	uint8_t mac[PACKET_MAC_SIZE];
	uint16_t port_base;
	uint16_t port_count; /* UDP ports port_base .. port_base + port_count - 1 */
	uint32_t ipv4;       /* host byte order */
	uint64_t mac_bits;   /* the first 8 bytes of a frame for us, ... */
	uint64_t mac_mask;   /* ... compared under this mask */
	uint32_t ipv4_bits;  /* the address as it stands in a frame */
};

/* 'ipv4' in host byte order; port_base + port_count - 1 is at most 65535. */
void packet_local_init(struct packet_local *local, const uint8_t mac[PACKET_MAC_SIZE],
		       uint32_t ipv4, uint16_t port_base, uint16_t port_count);

enum packet_kind {
	PACKET_KIND_DATAGRAM,    /* UDP to one of our ports with a known wire header */
	PACKET_KIND_ICMP_ECHO,   /* an echo request to our address */
	PACKET_KIND_ARP_REQUEST, /* who has our address? */
	PACKET_KIND_ARP_REPLY,   /* to us */
};

/* Everything in host byte order. Borrows the frame. */
struct packet_view {
	const uint8_t *frame;
	const uint8_t *payload;  /* of UDP; the whole message of ICMP and ARP */
	struct wire_header wire; /* PACKET_KIND_DATAGRAM only */
	uint32_t source_ipv4;    /* for ARP the sender's, 0 in an address probe */
	uint16_t source_port;    /* PACKET_KIND_DATAGRAM only, as are all below but 'kind' */
	uint16_t destination_port;
	uint16_t payload_size;    /* bytes by the innermost length; Ethernet padding is not in it */
	uint8_t kind;             /* enum packet_kind */
	bool udp_checksum_absent; /* the sender gave none, so the answer carries none */
	/* Whether the payload is a client's that another node forwarded: then it stands WIRE_FORWARD_SIZE
	 * bytes further into the frame, and source_* are the client's. Never set by packet_parse().
	 */
	bool is_forwarded;
	bool is_local; /* the control thread's, see local_client.h. Never set by packet_parse(). */
};
static_assert(sizeof(struct packet_view) <= 64, "one cache line");

static inline const uint8_t *packet_source_mac(const struct packet_view *view)
{
	return view->frame + PACKET_AT_SOURCE_MAC;
}

/* What the port already verified; the rest is verified here. A port that calls a checksum bad is
 * not believed either way.
 *
 * A kernel whose frames never leave its machine (veth) may leave the UDP checksum to a device that is not
 * there: the field then holds the pseudo header's sum alone.
 */
enum packet_checked {
	PACKET_CHECKED_NOTHING = 0,
	PACKET_CHECKED_IPV4 = 1,
	PACKET_CHECKED_UDP = 2,
	PACKET_UDP_MAY_BE_PARTIAL = 4, /* accept such a sum for a checksum */
};

/* Judges 'size' contiguous bytes at 'frame'. DROP_NONE: '*view' is filled. Otherwise the view's
 * contents mean nothing.
 *
 * Of a datagram it guarantees: addressed to us by MAC, address and port; lengths nested in one
 * another; checksums right or, for UDP, absent; magic, version and kind known; payload_size at
 * least what the kind's header and fixed body take; op_count 0 in kinds other than REQUEST and
 * REPLY. Operations are not looked at. Whether the kind makes sense here is the caller's
 * question: nodes and load generators share this function.
 *
 * Frames with IPv4 options are dropped (IPV4_OPTIONS): nothing in a data centre sends them,
 * constant offsets make the parse fast, and a reply in place would echo source routes. Bytes
 * behind the IPv4 packet (Ethernet padding) and behind the UDP datagram are ignored. Pure; any
 * thread.
 */
enum drop_reason packet_parse(const struct packet_local *local, const uint8_t *frame, size_t size,
			      unsigned checked, struct packet_view *view);

/* The same verdict and view, found step by step: packet_parse() falls back to it when its fast
 * test of a plain REQUEST or REPLY fails. Public so that tests can hold the two against each
 * other.
 */
enum drop_reason packet_parse_stepwise(const struct packet_local *local, const uint8_t *frame,
				       size_t size, unsigned checked, struct packet_view *view);

#endif
