/* SPDX-License-Identifier: BSD-3-Clause */
/* Ethernet, ARP, IPv4, ICMP and UDP headers as this node reads and writes them: offsets in a
 * frame.
 */
#ifndef DATAPLANE_PACKET_FORMAT_H
#define DATAPLANE_PACKET_FORMAT_H

#include <assert.h>

/* A datagram frame has no IPv4 options (frames with options are dropped), so all offsets are
 * constant:
 *
 *      0                 6            12          14               34       42            66
 *      +-----------------+------------+-----------+----------------+--------+-------------+-----
 *      | destination MAC | source MAC | ethertype | IPv4, 20 bytes | UDP, 8 | wire header | ...
 *      +-----------------+------------+-----------+----------------+--------+-------------+-----
 */
enum packet_offset {
	PACKET_AT_DESTINATION_MAC = 0,
	PACKET_AT_SOURCE_MAC = 6,
	PACKET_AT_ETHERTYPE = 12,

	PACKET_AT_IPV4 = 14,
	PACKET_AT_IPV4_VERSION = 14, /* u4 version, u4 header length in words */
	PACKET_AT_IPV4_LENGTH = 16,  /* u16, header and payload */
	PACKET_AT_IPV4_ID = 18,
	PACKET_AT_IPV4_FRAGMENT = 20, /* u3 flags, u13 offset */
	PACKET_AT_IPV4_TTL = 22,
	PACKET_AT_IPV4_PROTOCOL = 23,
	PACKET_AT_IPV4_CHECKSUM = 24,
	PACKET_AT_IPV4_SOURCE = 26,
	PACKET_AT_IPV4_DESTINATION = 30,

	PACKET_AT_UDP = 34,
	PACKET_AT_UDP_SOURCE = 34,
	PACKET_AT_UDP_DESTINATION = 36,
	PACKET_AT_UDP_LENGTH = 38, /* u16, header and payload */
	PACKET_AT_UDP_CHECKSUM = 40,
	PACKET_AT_UDP_PAYLOAD = 42,

	PACKET_AT_ICMP = 34,
	PACKET_AT_ICMP_TYPE = 34,
	PACKET_AT_ICMP_CODE = 35,
	PACKET_AT_ICMP_CHECKSUM = 36,

	PACKET_AT_ARP = 14, /* u16 hardware, u16 protocol, u8 and u8 their address sizes */
	PACKET_AT_ARP_OPERATION = 20,
	PACKET_AT_ARP_SENDER_MAC = 22,
	PACKET_AT_ARP_SENDER_IPV4 = 28,
	PACKET_AT_ARP_TARGET_MAC = 32,
	PACKET_AT_ARP_TARGET_IPV4 = 38,
	PACKET_ARP_END = 42,
};

#define PACKET_MAC_SIZE 6u
#define PACKET_ETHERNET_SIZE 14u
#define PACKET_IPV4_SIZE 20u
#define PACKET_UDP_SIZE 8u
#define PACKET_ICMP_SIZE 8u
/* Ethernet, IPv4 and UDP headers of a datagram. */
#define PACKET_HEADERS_SIZE 42u

#define PACKET_ETHERTYPE_IPV4 0x0800u
#define PACKET_ETHERTYPE_ARP 0x0806u
#define PACKET_ETHERTYPE_VLAN 0x8100u
#define PACKET_ETHERTYPE_QINQ 0x88a8u
#define PACKET_PROTOCOL_ICMP 1u
#define PACKET_PROTOCOL_UDP 17u
#define PACKET_ICMP_ECHO_REPLY 0u
#define PACKET_ICMP_ECHO_REQUEST 8u
#define PACKET_ARP_REQUEST 1u
#define PACKET_ARP_REPLY 2u
#define PACKET_IPV4_DONT_FRAGMENT 0x4000u
#define PACKET_IPV4_MORE_AND_OFFSET 0x3fffu
#define PACKET_TTL 64u

static_assert(PACKET_ETHERNET_SIZE + PACKET_IPV4_SIZE + PACKET_UDP_SIZE == PACKET_HEADERS_SIZE,
	      "headers");
static_assert((unsigned)PACKET_AT_UDP_PAYLOAD == PACKET_HEADERS_SIZE,
	      "the payload follows the headers");

#endif
