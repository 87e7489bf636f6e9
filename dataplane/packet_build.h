/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames to send: a request turned into its reply in place, or a frame from scratch. */
#ifndef DATAPLANE_PACKET_BUILD_H
#define DATAPLANE_PACKET_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/packet_format.h"

/* Who fills the UDP checksum. */
enum udp_checksum {
	UDP_CHECKSUM_SOFTWARE, /* computed here */
	UDP_CHECKSUM_OFFLOAD,  /* by the port; the field gets the pseudo header's sum */
	UDP_CHECKSUM_ABSENT,   /* 0 */
};

/* The answer to a request without checksum carries none; others get what the port can. */
static inline enum udp_checksum packet_reply_checksum(bool request_absent, bool port_offloads)
{
	return request_absent  ? UDP_CHECKSUM_ABSENT
	       : port_offloads ? UDP_CHECKSUM_OFFLOAD
			       : UDP_CHECKSUM_SOFTWARE;
}

/* All functions write headers only: time to live 64, don't fragment, no options, IPv4 checksum
 * computed. They return or keep the frame's size in bytes without Ethernet padding, which ports
 * add. Pure; any thread.
 */

/* Turns the headers of a datagram that packet_parse() accepted into those of its answer. The new
 * payload of 'payload_size' bytes stands at PACKET_AT_UDP_PAYLOAD already. Returns the frame's
 * new size.
 */
size_t packet_build_reply(uint8_t *frame, size_t payload_size, enum udp_checksum checksum);

/* Turns an ICMP echo request that packet_parse() accepted into its reply; the frame keeps its
 * size.
 */
void packet_build_icmp_reply(uint8_t *frame);

/* Turns an ARP request for us into its reply; the frame keeps its size. */
void packet_build_arp_reply(uint8_t *frame, const uint8_t mac[PACKET_MAC_SIZE]);

/* Writes an ARP request for 'target_ipv4' (our own address: an announcement). Returns the frame's
 * size, PACKET_ARP_END.
 */
size_t packet_build_arp_request(uint8_t *frame, const uint8_t mac[PACKET_MAC_SIZE], uint32_t ipv4,
				uint32_t target_ipv4);

/* From whom to whom; addresses and ports in host byte order. */
struct packet_flow {
	uint8_t source_mac[PACKET_MAC_SIZE];
	uint8_t destination_mac[PACKET_MAC_SIZE];
	uint32_t source_ipv4;
	uint32_t destination_ipv4;
	uint16_t source_port;
	uint16_t destination_port;
};

/* Writes the PACKET_HEADERS_SIZE bytes before a payload that stands at PACKET_AT_UDP_PAYLOAD
 * already. Returns the frame's size.
 */
size_t packet_build_udp(uint8_t *frame, const struct packet_flow *flow, size_t payload_size,
			enum udp_checksum checksum);

#endif
