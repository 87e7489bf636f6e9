/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers for fuzzed payloads; written without the code under test, which would hide its own mistakes. */
#include "tests/fuzz/fuzz_frame.h"

#include <string.h>

#define NODE_IPV4 0x0a010101u

static const uint8_t node_mac[PACKET_MAC_SIZE] = { 0x02, 0x47, 0, 0, 0, 1 };

void fuzz_local_init(struct packet_local *local)
{
	packet_local_init(local, node_mac, NODE_IPV4, 7700, 4);
}

/* RFC 1071, folded, not complemented. */
static uint32_t sum_of(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
	while (sum > 0xffff)
		sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

void fuzz_frame_seal(uint8_t *frame, size_t size)
{
	uint32_t sum;

	if (size < PACKET_AT_IPV4 + PACKET_IPV4_SIZE)
		return;
	wire_put_u16(frame + PACKET_AT_IPV4_LENGTH, (uint16_t)(size - PACKET_AT_IPV4));
	wire_put_u16(frame + PACKET_AT_IPV4_CHECKSUM, 0);
	sum = 0xffff - sum_of(0, frame + PACKET_AT_IPV4, PACKET_IPV4_SIZE);
	wire_put_u16(frame + PACKET_AT_IPV4_CHECKSUM, (uint16_t)sum);
	if (frame[PACKET_AT_IPV4_PROTOCOL] == PACKET_PROTOCOL_UDP && size >= PACKET_HEADERS_SIZE) {
		uint16_t length = (uint16_t)(size - PACKET_AT_UDP);

		wire_put_u16(frame + PACKET_AT_UDP_LENGTH, length);
		wire_put_u16(frame + PACKET_AT_UDP_CHECKSUM, 0);
		sum = sum_of(17u + length, frame + PACKET_AT_IPV4_SOURCE, 8);
		sum = 0xffff - sum_of(sum, frame + PACKET_AT_UDP, length);
		wire_put_u16(frame + PACKET_AT_UDP_CHECKSUM, (uint16_t)(sum ? sum : 0xffff));
	} else if (frame[PACKET_AT_IPV4_PROTOCOL] == PACKET_PROTOCOL_ICMP &&
		   size >= PACKET_AT_ICMP + PACKET_ICMP_SIZE) {
		wire_put_u16(frame + PACKET_AT_ICMP_CHECKSUM, 0);
		sum = 0xffff - sum_of(0, frame + PACKET_AT_ICMP, size - PACKET_AT_ICMP);
		wire_put_u16(frame + PACKET_AT_ICMP_CHECKSUM, (uint16_t)sum);
	}
}

static void address_arp(uint8_t *frame)
{
	static const uint8_t media[6] = { 0, 1, 8, 0, 6, 4 };

	wire_put_u16(frame + PACKET_AT_ETHERTYPE, PACKET_ETHERTYPE_ARP);
	memcpy(frame + PACKET_AT_ARP, media, sizeof(media));
	frame[PACKET_AT_ARP_OPERATION] = 0;
	frame[PACKET_AT_ARP_OPERATION + 1] &= 3;
	wire_put_u32(frame + PACKET_AT_ARP_TARGET_IPV4, NODE_IPV4);
}

static void address_ipv4(uint8_t *frame, uint8_t protocol)
{
	wire_put_u16(frame + PACKET_AT_ETHERTYPE, PACKET_ETHERTYPE_IPV4);
	frame[PACKET_AT_IPV4_VERSION] = 0x45;
	frame[PACKET_AT_IPV4_PROTOCOL] = protocol;
	wire_put_u16(frame + PACKET_AT_IPV4_FRAGMENT, PACKET_IPV4_DONT_FRAGMENT);
	frame[PACKET_AT_IPV4_SOURCE] = 10;
	wire_put_u32(frame + PACKET_AT_IPV4_DESTINATION, NODE_IPV4);
	if (protocol == PACKET_PROTOCOL_UDP) {
		frame[PACKET_AT_UDP_SOURCE] |= 0x40;
		frame[PACKET_AT_UDP_DESTINATION] = 7700 >> 8;
		frame[PACKET_AT_UDP_DESTINATION + 1] =
			(uint8_t)((7700 & 0xff) + (frame[PACKET_AT_UDP_DESTINATION + 1] & 3));
		frame[PACKET_AT_UDP_PAYLOAD + WIRE_AT_MAGIC] = WIRE_MAGIC;
		frame[PACKET_AT_UDP_PAYLOAD + WIRE_AT_VERSION] = WIRE_VERSION;
	} else {
		frame[PACKET_AT_ICMP_TYPE] = PACKET_ICMP_ECHO_REQUEST;
		frame[PACKET_AT_ICMP_CODE] = 0;
	}
}

size_t fuzz_frame_repair(uint8_t *frame, size_t size, size_t size_max, enum fuzz_frame_kind kind)
{
	size_t size_min = kind == FUZZ_FRAME_ARP ? (size_t)PACKET_ARP_END
			  : kind == FUZZ_FRAME_ICMP
				  ? (size_t)PACKET_AT_ICMP + PACKET_ICMP_SIZE
				  : (size_t)PACKET_HEADERS_SIZE + WIRE_HEADER_SIZE;

	if (size_min > size_max)
		return size;
	if (size < size_min) {
		memset(frame + size, 0, size_min - size);
		size = size_min;
	}
	memcpy(frame + PACKET_AT_DESTINATION_MAC, node_mac, PACKET_MAC_SIZE);
	frame[PACKET_AT_SOURCE_MAC] &= 0xfe;
	if (kind == FUZZ_FRAME_ARP) {
		address_arp(frame);
		return size;
	}
	address_ipv4(frame, kind == FUZZ_FRAME_ICMP ? PACKET_PROTOCOL_ICMP : PACKET_PROTOCOL_UDP);
	fuzz_frame_seal(frame, size);
	return size;
}
