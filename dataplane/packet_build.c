/* SPDX-License-Identifier: BSD-3-Clause */
/* Header writing. Values are carried in registers into the checksums: reading back what was just
 * stored would stall.
 */
#include "dataplane/packet_build.h"

#include <string.h>

#include "dataplane/checksum.h"
#include "dataplane/wire_codec.h"

/* Writes the IPv4 header but its addresses; 'addresses' is the sum of both as they stand in the
 * frame.
 */
static void write_ipv4(uint8_t *frame, uint8_t protocol, size_t payload_size, uint64_t addresses)
{
	uint16_t total_size = htobe16((uint16_t)(PACKET_IPV4_SIZE + payload_size));
	uint16_t ttl_protocol = htobe16((uint16_t)(PACKET_TTL << 8 | protocol));
	uint16_t version = htobe16(0x4500);
	uint16_t flags = htobe16(PACKET_IPV4_DONT_FRAGMENT);
	uint16_t sum =
		(uint16_t)~checksum_fold(addresses + version + total_size + flags + ttl_protocol);

	memcpy(frame + PACKET_AT_IPV4, &version, 2);
	memcpy(frame + PACKET_AT_IPV4_LENGTH, &total_size, 2);
	memset(frame + PACKET_AT_IPV4_ID, 0,
	       2); /* free to choose in packets that cannot be fragmented (RFC 6864) */
	memcpy(frame + PACKET_AT_IPV4_FRAGMENT, &flags, 2);
	memcpy(frame + PACKET_AT_IPV4_TTL, &ttl_protocol, 2);
	memcpy(frame + PACKET_AT_IPV4_CHECKSUM, &sum, 2);
}

/* Writes UDP length and checksum; 'ports' are both ports as they stand in the frame. */
static void write_udp(uint8_t *frame, size_t payload_size, uint64_t addresses, uint32_t ports,
		      enum udp_checksum checksum)
{
	uint16_t udp_size = htobe16((uint16_t)(PACKET_UDP_SIZE + payload_size));
	uint64_t sum = addresses + htobe16(PACKET_PROTOCOL_UDP) + udp_size;
	uint16_t field = 0;

	if (checksum == UDP_CHECKSUM_SOFTWARE) {
		sum += (uint64_t)ports + udp_size;
		field = (uint16_t)~checksum_fold(
			checksum_add(sum, frame + PACKET_AT_UDP_PAYLOAD, payload_size));
		if (field == 0) /* 0 would say "none"; both are zero in one's complement */
			field = 0xffff;
	} else if (checksum == UDP_CHECKSUM_OFFLOAD) {
		field = checksum_fold(sum);
	}
	memcpy(frame + PACKET_AT_UDP_LENGTH, &udp_size, 2);
	memcpy(frame + PACKET_AT_UDP_CHECKSUM, &field, 2);
}

static void swap_macs(uint8_t *frame)
{
	uint8_t destination[PACKET_MAC_SIZE];

	memcpy(destination, frame, PACKET_MAC_SIZE);
	memcpy(frame, frame + PACKET_AT_SOURCE_MAC, PACKET_MAC_SIZE);
	memcpy(frame + PACKET_AT_SOURCE_MAC, destination, PACKET_MAC_SIZE);
}

/* Swaps the addresses; returns their sum. */
static uint64_t swap_ipv4(uint8_t *frame)
{
	uint32_t source = checksum_load_u32(frame + PACKET_AT_IPV4_SOURCE);
	uint32_t destination = checksum_load_u32(frame + PACKET_AT_IPV4_DESTINATION);

	memcpy(frame + PACKET_AT_IPV4_SOURCE, &destination, 4);
	memcpy(frame + PACKET_AT_IPV4_DESTINATION, &source, 4);
	return (uint64_t)source + destination;
}

size_t packet_build_reply(uint8_t *frame, size_t payload_size, enum udp_checksum checksum)
{
	uint32_t ports = checksum_load_u32(frame + PACKET_AT_UDP_SOURCE);
	uint64_t addresses;

	ports = ports << 16 | ports >> 16;
	memcpy(frame + PACKET_AT_UDP_SOURCE, &ports, 4);
	swap_macs(frame);
	addresses = swap_ipv4(frame);
	write_ipv4(frame, PACKET_PROTOCOL_UDP, PACKET_UDP_SIZE + payload_size, addresses);
	write_udp(frame, payload_size, addresses, ports, checksum);
	return PACKET_HEADERS_SIZE + payload_size;
}

void packet_build_icmp_reply(uint8_t *frame)
{
	size_t payload_size = wire_get_u16(frame + PACKET_AT_IPV4_LENGTH) - PACKET_IPV4_SIZE;
	uint16_t old = checksum_load_u16(frame + PACKET_AT_ICMP_CHECKSUM);
	uint16_t type_was = htobe16(PACKET_ICMP_ECHO_REQUEST << 8);
	uint16_t type_is = htobe16(PACKET_ICMP_ECHO_REPLY << 8);
	uint16_t sum;

	/* Only the type changes: RFC 1624, equation 3. What it gives as 0 may be either zero of one's
	 * complement; all ones is right for both, 0 is wrong when nothing but zeros is summed.
	 */
	sum = (uint16_t)~checksum_fold((uint64_t)(uint16_t)~old + (uint16_t)~type_was + type_is);
	if (sum == 0)
		sum = 0xffff;
	frame[PACKET_AT_ICMP_TYPE] = PACKET_ICMP_ECHO_REPLY;
	memcpy(frame + PACKET_AT_ICMP_CHECKSUM, &sum, 2);
	swap_macs(frame);
	write_ipv4(frame, PACKET_PROTOCOL_ICMP, payload_size, swap_ipv4(frame));
}

void packet_build_arp_reply(uint8_t *frame, const uint8_t mac[PACKET_MAC_SIZE])
{
	uint8_t target_ipv4[4];

	memcpy(frame, frame + PACKET_AT_SOURCE_MAC, PACKET_MAC_SIZE);
	memcpy(frame + PACKET_AT_SOURCE_MAC, mac, PACKET_MAC_SIZE);
	wire_put_u16(frame + PACKET_AT_ARP_OPERATION, PACKET_ARP_REPLY);
	memcpy(target_ipv4, frame + PACKET_AT_ARP_TARGET_IPV4, 4);
	memcpy(frame + PACKET_AT_ARP_TARGET_MAC, frame + PACKET_AT_ARP_SENDER_MAC, PACKET_MAC_SIZE);
	memcpy(frame + PACKET_AT_ARP_TARGET_IPV4, frame + PACKET_AT_ARP_SENDER_IPV4, 4);
	memcpy(frame + PACKET_AT_ARP_SENDER_MAC, mac, PACKET_MAC_SIZE);
	memcpy(frame + PACKET_AT_ARP_SENDER_IPV4, target_ipv4, 4);
}

size_t packet_build_arp_request(uint8_t *frame, const uint8_t mac[PACKET_MAC_SIZE], uint32_t ipv4,
				uint32_t target_ipv4)
{
	static const uint8_t ethernet_ipv4[6] = { 0, 1, 0x08, 0x00, PACKET_MAC_SIZE, 4 };

	memset(frame, 0xff, PACKET_MAC_SIZE);
	memcpy(frame + PACKET_AT_SOURCE_MAC, mac, PACKET_MAC_SIZE);
	wire_put_u16(frame + PACKET_AT_ETHERTYPE, PACKET_ETHERTYPE_ARP);
	memcpy(frame + PACKET_AT_ARP, ethernet_ipv4, sizeof(ethernet_ipv4));
	wire_put_u16(frame + PACKET_AT_ARP_OPERATION, PACKET_ARP_REQUEST);
	memcpy(frame + PACKET_AT_ARP_SENDER_MAC, mac, PACKET_MAC_SIZE);
	wire_put_u32(frame + PACKET_AT_ARP_SENDER_IPV4, ipv4);
	memset(frame + PACKET_AT_ARP_TARGET_MAC, 0, PACKET_MAC_SIZE);
	wire_put_u32(frame + PACKET_AT_ARP_TARGET_IPV4, target_ipv4);
	return PACKET_ARP_END;
}

size_t packet_build_udp(uint8_t *frame, const struct packet_flow *flow, size_t payload_size,
			enum udp_checksum checksum)
{
	uint32_t source = htobe32(flow->source_ipv4);
	uint32_t destination = htobe32(flow->destination_ipv4);
	uint64_t addresses = (uint64_t)source + destination;
	uint32_t ports = htobe32((uint32_t)flow->source_port << 16 | flow->destination_port);

	memcpy(frame, flow->destination_mac, PACKET_MAC_SIZE);
	memcpy(frame + PACKET_AT_SOURCE_MAC, flow->source_mac, PACKET_MAC_SIZE);
	wire_put_u16(frame + PACKET_AT_ETHERTYPE, PACKET_ETHERTYPE_IPV4);
	memcpy(frame + PACKET_AT_IPV4_SOURCE, &source, 4);
	memcpy(frame + PACKET_AT_IPV4_DESTINATION, &destination, 4);
	memcpy(frame + PACKET_AT_UDP_SOURCE, &ports, 4);
	write_ipv4(frame, PACKET_PROTOCOL_UDP, PACKET_UDP_SIZE + payload_size, addresses);
	write_udp(frame, payload_size, addresses, ports, checksum);
	return PACKET_HEADERS_SIZE + payload_size;
}
