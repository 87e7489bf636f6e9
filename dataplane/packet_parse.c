/* SPDX-License-Identifier: BSD-3-Clause */
/* Frame parsing: one branch for the common datagram, and a walk that names what is wrong with all
 * others.
 */
#include "dataplane/packet_parse.h"

#include <string.h>

#include "dataplane/checksum.h"

#define likely(x) __builtin_expect(!!(x), 1)

/* The first bytes of a frame that the fast test compares at once: our MAC, and the group bit of
 * the sender's.
 */
static const uint8_t mac_mask_bytes[8] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x00 };

void packet_local_init(struct packet_local *local, const uint8_t mac[PACKET_MAC_SIZE],
		       uint32_t ipv4, uint16_t port_base, uint16_t port_count)
{
	uint8_t bits[8] = { 0 };

	memcpy(bits, mac, PACKET_MAC_SIZE);
	memcpy(local->mac, mac, PACKET_MAC_SIZE);
	memcpy(&local->mac_bits, bits, sizeof(bits));
	memcpy(&local->mac_mask, mac_mask_bytes, sizeof(mac_mask_bytes));
	local->ipv4 = ipv4;
	local->ipv4_bits = htobe32(ipv4);
	local->port_base = port_base;
	local->port_count = port_count;
}

/* ---- checksums ---- */

static bool ipv4_checksum_right(const uint8_t *frame)
{
	return checksum_fold(checksum_add(0, frame + PACKET_AT_IPV4, PACKET_IPV4_SIZE)) == 0xffff;
}

/* 'udp_size' is the UDP length field, already checked, here and below. */
static uint64_t pseudo_header_sum(const uint8_t *frame, uint16_t udp_size)
{
	uint64_t sum = (uint64_t)htobe16(PACKET_PROTOCOL_UDP) + htobe16(udp_size);

	sum += checksum_load_u32(frame + PACKET_AT_IPV4_SOURCE);
	return sum + checksum_load_u32(frame + PACKET_AT_IPV4_DESTINATION);
}

/* Of the pseudo header, the UDP header and the payload. */
static bool udp_checksum_right(const uint8_t *frame, uint16_t udp_size)
{
	uint64_t sum = pseudo_header_sum(frame, udp_size);

	return checksum_fold(checksum_add(sum, frame + PACKET_AT_UDP, udp_size)) == 0xffff;
}

/* Whether the sender left the checksum to its device. */
static bool udp_checksum_partial(const uint8_t *frame, uint16_t udp_size)
{
	return checksum_load_u16(frame + PACKET_AT_UDP_CHECKSUM) ==
	       checksum_fold(pseudo_header_sum(frame, udp_size));
}

static bool udp_checksum_absent(const uint8_t *frame)
{
	return checksum_load_u16(frame + PACKET_AT_UDP_CHECKSUM) == 0;
}

/* ---- pieces of both ways ---- */

/* Addresses no answer may go to: 0/8 "this network", 127/8 loopback, 224/3 groups, reserved and
 * broadcast.
 */
static bool source_octet_bad(uint8_t first)
{
	return (uint8_t)(first - 1) >= 223 || first == 127;
}

static void fill_datagram(struct packet_view *view, const uint8_t *frame, uint16_t udp_size)
{
	view->frame = frame;
	view->payload = frame + PACKET_AT_UDP_PAYLOAD;
	view->source_ipv4 = wire_get_u32(frame + PACKET_AT_IPV4_SOURCE);
	view->source_port = wire_get_u16(frame + PACKET_AT_UDP_SOURCE);
	view->destination_port = wire_get_u16(frame + PACKET_AT_UDP_DESTINATION);
	view->payload_size = (uint16_t)(udp_size - PACKET_UDP_SIZE);
	view->kind = PACKET_KIND_DATAGRAM;
	view->udp_checksum_absent = udp_checksum_absent(frame);
	view->is_forwarded = false;
}

/* ---- step by step ---- */

/* What each kind of datagram needs. */
struct kind_rule {
	uint8_t size_min;    /* bytes of payload; 0 = no such kind */
	bool has_operations; /* op_count may be other than 0 */
};

static const struct kind_rule kind_rules[] = {
	[WIRE_HELLO] = { WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE, false },
	[WIRE_HELLO_REPLY] = { WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE, false },
	[WIRE_REQUEST] = { WIRE_HEADER_SIZE, true },
	[WIRE_REPLY] = { WIRE_HEADER_SIZE, true },
	[WIRE_FORWARD] = { WIRE_HEADER_SIZE + WIRE_FORWARD_BODY_SIZE + WIRE_HEADER_SIZE, false },
	[WIRE_FORWARD_REPLY] = { WIRE_HEADER_SIZE + WIRE_FORWARD_BODY_SIZE + WIRE_HEADER_SIZE,
				 false },
	[WIRE_MAP_REQUEST] = { WIRE_HEADER_SIZE + WIRE_MAP_REQUEST_BODY_SIZE, false },
	[WIRE_MAP_REPLY] = { WIRE_HEADER_SIZE + WIRE_MAP_REPLY_BODY_SIZE, false },
	[WIRE_PING] = { WIRE_HEADER_SIZE, false },
	[WIRE_PONG] = { WIRE_HEADER_SIZE, false },
};
#define KIND_RULE_COUNT (sizeof(kind_rules) / sizeof(kind_rules[0]))

static enum drop_reason parse_wire(struct packet_view *view)
{
	const uint8_t *payload = view->payload;
	uint8_t kind;

	if (view->payload_size < WIRE_HEADER_SIZE)
		return DROP_WIRE_SHORT;
	if (payload[WIRE_AT_MAGIC] != WIRE_MAGIC)
		return DROP_WIRE_BAD_MAGIC;
	if (!wire_header_read(payload, view->payload_size, &view->wire))
		return DROP_WIRE_BAD_VERSION;
	kind = view->wire.kind;
	if (kind >= KIND_RULE_COUNT || kind_rules[kind].size_min == 0)
		return DROP_WIRE_UNKNOWN_KIND;
	if (view->payload_size < kind_rules[kind].size_min)
		return DROP_WIRE_SHORT;
	if (view->wire.op_count != 0 && !kind_rules[kind].has_operations)
		return DROP_WIRE_BAD_OP_COUNT;
	return DROP_NONE;
}

static enum drop_reason parse_udp(const struct packet_local *local, const uint8_t *frame,
				  size_t ipv4_payload_size, unsigned checked,
				  struct packet_view *view)
{
	uint16_t udp_size;

	if (ipv4_payload_size < PACKET_UDP_SIZE)
		return DROP_UDP_BAD_LENGTH;
	udp_size = wire_get_u16(frame + PACKET_AT_UDP_LENGTH);
	if (udp_size < PACKET_UDP_SIZE || udp_size > ipv4_payload_size)
		return DROP_UDP_BAD_LENGTH;
	fill_datagram(view, frame, udp_size);
	if (!(checked & PACKET_CHECKED_UDP) && !view->udp_checksum_absent &&
	    !udp_checksum_right(frame, udp_size) &&
	    !((checked & PACKET_UDP_MAY_BE_PARTIAL) && udp_checksum_partial(frame, udp_size)))
		return DROP_UDP_BAD_CHECKSUM;
	if ((uint16_t)(view->destination_port - local->port_base) >= local->port_count)
		return DROP_UDP_FOREIGN_PORT;
	if (view->source_port == 0)
		return DROP_UDP_NO_SOURCE_PORT;
	return parse_wire(view);
}

static enum drop_reason parse_icmp(const uint8_t *frame, size_t ipv4_payload_size,
				   struct packet_view *view)
{
	if (ipv4_payload_size < PACKET_ICMP_SIZE)
		return DROP_ICMP_SHORT;
	if (checksum_fold(checksum_add(0, frame + PACKET_AT_ICMP, ipv4_payload_size)) != 0xffff)
		return DROP_ICMP_BAD_CHECKSUM;
	if (frame[PACKET_AT_ICMP_TYPE] != PACKET_ICMP_ECHO_REQUEST ||
	    frame[PACKET_AT_ICMP_CODE] != 0)
		return DROP_ICMP_NOT_ECHO;
	view->frame = frame;
	view->payload = frame + PACKET_AT_ICMP;
	view->payload_size = (uint16_t)ipv4_payload_size;
	view->source_ipv4 = wire_get_u32(frame + PACKET_AT_IPV4_SOURCE);
	view->kind = PACKET_KIND_ICMP_ECHO;
	return DROP_NONE;
}

/* The IPv4 header by itself: 'size' bytes of frame. */
static enum drop_reason check_ipv4_header(const uint8_t *frame, size_t size, unsigned checked)
{
	uint8_t version = frame[PACKET_AT_IPV4_VERSION];
	uint16_t total_size = wire_get_u16(frame + PACKET_AT_IPV4_LENGTH);

	if (version < 0x45 || version > 0x4f)
		return DROP_IPV4_BAD_HEADER;
	if (version != 0x45)
		return DROP_IPV4_OPTIONS;
	if (total_size < PACKET_IPV4_SIZE || total_size > size - PACKET_ETHERNET_SIZE)
		return DROP_IPV4_BAD_LENGTH;
	if (!(checked & PACKET_CHECKED_IPV4) && !ipv4_checksum_right(frame))
		return DROP_IPV4_BAD_CHECKSUM;
	return DROP_NONE;
}

static enum drop_reason parse_ipv4(const struct packet_local *local, const uint8_t *frame,
				   size_t size, unsigned checked, struct packet_view *view)
{
	enum drop_reason reason;
	size_t payload_size;
	uint32_t source;

	if (size < PACKET_ETHERNET_SIZE + PACKET_IPV4_SIZE)
		return DROP_SHORT_FRAME;
	reason = check_ipv4_header(frame, size, checked);
	if (reason != DROP_NONE)
		return reason;
	if (wire_get_u32(frame + PACKET_AT_IPV4_DESTINATION) != local->ipv4)
		return DROP_FOREIGN_ADDRESS;
	source = wire_get_u32(frame + PACKET_AT_IPV4_SOURCE);
	if (source_octet_bad((uint8_t)(source >> 24)) || source == local->ipv4)
		return DROP_IPV4_BAD_SOURCE;
	if (wire_get_u16(frame + PACKET_AT_IPV4_FRAGMENT) & PACKET_IPV4_MORE_AND_OFFSET)
		return DROP_IPV4_FRAGMENT;
	payload_size = wire_get_u16(frame + PACKET_AT_IPV4_LENGTH) - PACKET_IPV4_SIZE;
	switch (frame[PACKET_AT_IPV4_PROTOCOL]) {
	case PACKET_PROTOCOL_UDP:
		return parse_udp(local, frame, payload_size, checked, view);
	case PACKET_PROTOCOL_ICMP:
		return parse_icmp(frame, payload_size, view);
	default:
		return DROP_FOREIGN_PROTOCOL;
	}
}

static enum drop_reason parse_arp(const struct packet_local *local, const uint8_t *frame,
				  size_t size, struct packet_view *view)
{
	static const uint8_t ethernet_ipv4[6] = { 0, 1, 0x08, 0x00, PACKET_MAC_SIZE, 4 };
	uint16_t operation;

	if (size < PACKET_ARP_END)
		return DROP_SHORT_FRAME;
	operation = wire_get_u16(frame + PACKET_AT_ARP_OPERATION);
	if (memcmp(frame + PACKET_AT_ARP, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0 ||
	    (operation != PACKET_ARP_REQUEST && operation != PACKET_ARP_REPLY))
		return DROP_ARP_BAD;
	if (wire_get_u32(frame + PACKET_AT_ARP_TARGET_IPV4) != local->ipv4)
		return DROP_ARP_FOREIGN_ADDRESS;
	view->frame = frame;
	view->payload = frame + PACKET_AT_ARP;
	view->payload_size = PACKET_ARP_END - PACKET_AT_ARP;
	view->source_ipv4 = wire_get_u32(frame + PACKET_AT_ARP_SENDER_IPV4);
	view->kind =
		operation == PACKET_ARP_REQUEST ? PACKET_KIND_ARP_REQUEST : PACKET_KIND_ARP_REPLY;
	return DROP_NONE;
}

/* ARP requests are broadcast; everything else must be for this station alone. */
static bool destination_mac_ours(const struct packet_local *local, const uint8_t *frame, bool arp)
{
	static const uint8_t broadcast[PACKET_MAC_SIZE] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	return memcmp(frame, local->mac, PACKET_MAC_SIZE) == 0 ||
	       (arp && memcmp(frame, broadcast, PACKET_MAC_SIZE) == 0);
}

enum drop_reason packet_parse_stepwise(const struct packet_local *local, const uint8_t *frame,
				       size_t size, unsigned checked, struct packet_view *view)
{
	uint16_t ethertype;

	if (size < PACKET_ETHERNET_SIZE)
		return DROP_SHORT_FRAME;
	ethertype = wire_get_u16(frame + PACKET_AT_ETHERTYPE);
	if (!destination_mac_ours(local, frame, ethertype == PACKET_ETHERTYPE_ARP))
		return DROP_FOREIGN_MAC;
	if (frame[PACKET_AT_SOURCE_MAC] & 1)
		return DROP_BAD_SOURCE_MAC;
	switch (ethertype) {
	case PACKET_ETHERTYPE_IPV4:
		return parse_ipv4(local, frame, size, checked, view);
	case PACKET_ETHERTYPE_ARP:
		return parse_arp(local, frame, size, view);
	case PACKET_ETHERTYPE_VLAN:
	case PACKET_ETHERTYPE_QINQ:
		return DROP_VLAN;
	default:
		return DROP_FOREIGN_ETHERTYPE;
	}
}

/* ---- the fast test ---- */

/* Whether all fixed bytes are those of a plain REQUEST or REPLY to us; the frame holds at least a
 * wire header. Differences are gathered and tested once, because a branch each costs more than
 * the loads.
 */
static bool is_plain_datagram(const struct packet_local *local, const uint8_t *frame)
{
	uint64_t different = (checksum_load_u64(frame) ^ local->mac_bits) & local->mac_mask;
	uint32_t type = checksum_load_u32(frame + PACKET_AT_ETHERTYPE) ^ htobe32(0x08004500);
	uint32_t fragment =
		checksum_load_u32(frame + PACKET_AT_IPV4_FRAGMENT) ^ htobe32(PACKET_PROTOCOL_UDP);
	uint32_t source = checksum_load_u32(frame + PACKET_AT_IPV4_SOURCE);
	uint16_t port = wire_get_u16(frame + PACKET_AT_UDP_DESTINATION);
	uint16_t wire = checksum_load_u16(frame + PACKET_AT_UDP_PAYLOAD);
	uint8_t kind = frame[PACKET_AT_UDP_PAYLOAD + WIRE_AT_KIND];

	different |= type & htobe32(0xffffff00);     /* any type of service */
	different |= fragment & htobe32(0x3fff00ff); /* whole, any time to live */
	different |= checksum_load_u32(frame + PACKET_AT_IPV4_DESTINATION) ^ local->ipv4_bits;
	different |= (uint16_t)(wire ^ htobe16(WIRE_MAGIC << 8 | WIRE_VERSION));
	different |= (uint16_t)(port - local->port_base) >= local->port_count;
	different |= checksum_load_u16(frame + PACKET_AT_UDP_SOURCE) == 0;
	different |= source_octet_bad(frame[PACKET_AT_IPV4_SOURCE]) | (source == local->ipv4_bits);
	different |= (uint8_t)(kind - WIRE_REQUEST) > WIRE_REPLY - WIRE_REQUEST;
	return different == 0;
}

enum drop_reason packet_parse(const struct packet_local *local, const uint8_t *frame, size_t size,
			      unsigned checked, struct packet_view *view)
{
	uint16_t total_size;
	uint16_t udp_size;

	if (likely(size >= PACKET_HEADERS_SIZE + WIRE_HEADER_SIZE &&
		   is_plain_datagram(local, frame))) {
		total_size = wire_get_u16(frame + PACKET_AT_IPV4_LENGTH);
		udp_size = wire_get_u16(frame + PACKET_AT_UDP_LENGTH);
		if (likely((total_size <= size - PACKET_ETHERNET_SIZE) &
			   (udp_size + PACKET_IPV4_SIZE <= total_size) &
			   (udp_size >= PACKET_UDP_SIZE + WIRE_HEADER_SIZE)) &&
		    likely((checked & PACKET_CHECKED_IPV4) || ipv4_checksum_right(frame)) &&
		    likely((checked & PACKET_CHECKED_UDP) || udp_checksum_absent(frame) ||
			   udp_checksum_right(frame, udp_size))) {
			fill_datagram(view, frame, udp_size);
			wire_header_read(view->payload, view->payload_size, &view->wire);
			return DROP_NONE;
		}
	}
	return packet_parse_stepwise(local, frame, size, checked, view);
}
