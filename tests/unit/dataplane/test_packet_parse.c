/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that are accepted, and for every reason to drop one a frame that differs in just that. */
#include "dataplane/packet_parse.h"

#include "dataplane/packet_build.h"
#include "dataplane/wire_map.h"
#include "tests/unit/dataplane/frame.h"
#include "tests/unit/unit.h"

#define MUTATION_COUNT 200000

static struct packet_local node(void)
{
	struct packet_local local;

	packet_local_init(&local, node_mac, NODE_IPV4, NODE_PORT_BASE, NODE_PORT_COUNT);
	return local;
}

/* Whether two views say the same; 'kind' decides which fields mean something. */
static bool views_equal(const struct packet_view *a, const struct packet_view *b)
{
	bool same = a->frame == b->frame && a->payload == b->payload && a->kind == b->kind &&
		    a->payload_size == b->payload_size && a->source_ipv4 == b->source_ipv4;

	if (a->kind != PACKET_KIND_DATAGRAM)
		return same;
	return same && a->source_port == b->source_port &&
	       a->destination_port == b->destination_port &&
	       a->udp_checksum_absent == b->udp_checksum_absent && a->wire.kind == b->wire.kind &&
	       a->wire.op_count == b->wire.op_count && a->wire.session_id == b->wire.session_id &&
	       a->wire.token == b->wire.token && a->wire.sequence == b->wire.sequence &&
	       a->wire.map_version == b->wire.map_version;
}

/* Parses an exact copy of the first 'size' bytes both ways, which must agree. The view's pointers
 * are moved into 'frame'.
 */
static enum drop_reason parse_part(const struct frame *frame, size_t size, unsigned checked,
				   struct packet_view *view)
{
	struct packet_local local = node();
	struct packet_view stepwise = { 0 };
	uint8_t *bytes = frame_exact(frame, size);
	enum drop_reason reason = packet_parse(&local, bytes, size, checked, view);

	if (packet_parse_stepwise(&local, bytes, size, checked, &stepwise) != reason)
		CU_FAIL("the fast way and the slow way disagree");
	if (reason == DROP_NONE) {
		if (!views_equal(view, &stepwise))
			CU_FAIL("the fast way and the slow way see different things");
		view->payload = frame->bytes + (view->payload - bytes);
		view->frame = frame->bytes;
	}
	free(bytes);
	return reason;
}

static enum drop_reason parse(const struct frame *frame, struct packet_view *view)
{
	return parse_part(frame, frame->size, PACKET_CHECKED_NOTHING, view);
}

/* ---- accepted ---- */

static void request_is_seen_whole(void)
{
	struct packet_view view;
	struct frame frame;

	frame_request(&frame);
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.kind, PACKET_KIND_DATAGRAM);
	CU_ASSERT_PTR_EQUAL(view.payload, frame.bytes + 42);
	CU_ASSERT_EQUAL(view.payload_size, 24 + 16);
	CU_ASSERT_EQUAL(view.source_ipv4, CLIENT_IPV4);
	CU_ASSERT_EQUAL(view.source_port, CLIENT_PORT);
	CU_ASSERT_EQUAL(view.destination_port, NODE_PORT_BASE + 1);
	CU_ASSERT_FALSE(view.udp_checksum_absent);
	CU_ASSERT_EQUAL(view.wire.kind, WIRE_REQUEST);
	CU_ASSERT_EQUAL(view.wire.op_count, 1);
	CU_ASSERT_EQUAL(view.wire.session_id, 9);
	CU_ASSERT_EQUAL(view.wire.token, 0x0102030405060708);
	CU_ASSERT_EQUAL(view.wire.sequence, 42);
	CU_ASSERT_EQUAL(view.wire.map_version, 0xdead0001);
	CU_ASSERT_EQUAL(memcmp(packet_source_mac(&view), client_mac, 6), 0);
}

/* Body bytes each kind needs, and its op_count here. */
static const struct {
	uint8_t kind;
	uint8_t op_count;
	uint8_t body_size;
} kinds[] = {
	{ WIRE_HELLO, 0, 64 },      { WIRE_HELLO_REPLY, 0, 64 }, { WIRE_REQUEST, 1, 9 },
	{ WIRE_REPLY, 1, 16 },      { WIRE_FORWARD, 0, 48 },     { WIRE_FORWARD_REPLY, 0, 48 },
	{ WIRE_MAP_REQUEST, 0, 8 }, { WIRE_MAP_REPLY, 0, 8 },    { WIRE_PING, 0, 0 },
	{ WIRE_PONG, 0, 0 },
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static void every_kind_is_accepted_at_its_smallest(void)
{
	struct packet_view view;
	struct frame frame;

	for (size_t i = 0; i < KIND_COUNT; i++) {
		frame_wire(&frame, kinds[i].kind, kinds[i].op_count, kinds[i].body_size);
		CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
		CU_ASSERT_EQUAL(view.wire.kind, kinds[i].kind);
		CU_ASSERT_EQUAL(view.payload_size, 24 + kinds[i].body_size);
	}
}

static void ping_and_arp_are_accepted(void)
{
	struct packet_view view;
	struct frame frame;

	for (size_t size = 0; size <= 1472; size += 23) {
		frame_ping(&frame, size);
		CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
		CU_ASSERT_EQUAL(view.kind, PACKET_KIND_ICMP_ECHO);
		CU_ASSERT_EQUAL(view.payload_size, 8 + size);
		CU_ASSERT_EQUAL(view.source_ipv4, CLIENT_IPV4);
	}
	frame_arp(&frame, 1);
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.kind, PACKET_KIND_ARP_REQUEST);
	CU_ASSERT_EQUAL(view.source_ipv4, CLIENT_IPV4);
	frame_arp(&frame, 2);
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.kind, PACKET_KIND_ARP_REPLY);
}

static void address_probe_is_answered_too(void)
{
	struct packet_view view;
	struct frame frame;

	frame_arp(&frame, 1);
	frame_put(&frame, 28, 4, 0);
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.source_ipv4, 0);
}

static void harmless_differences_are_accepted(void)
{
	static const struct {
		const char *what;
		size_t at;
		size_t width;
		uint64_t value;
	} differences[] = {
		{ "type of service", 15, 1, 0xb8 },
		{ "identification", 18, 2, 0xffff },
		{ "don't fragment", 20, 2, 0x4000 },
		{ "time to live 1", 22, 1, 1 },
		{ "first port", 36, 2, 7700 },
		{ "last port", 36, 2, 7703 },
		{ "source port 1", 34, 2, 1 },
		{ "source 223.255.255.254", 26, 4, 0xdffffffe },
		{ "source 1.0.0.1", 26, 4, 0x01000001 },
		{ "source 126.1.2.3", 26, 4, 0x7e010203 },
		{ "source 128.1.2.3", 26, 4, 0x80010203 },
	};
	struct packet_view view;
	struct frame frame;

	for (size_t i = 0; i < sizeof(differences) / sizeof(differences[0]); i++) {
		frame_request(&frame);
		frame_put(&frame, differences[i].at, differences[i].width, differences[i].value);
		frame_fix_checksums(&frame);
		if (parse(&frame, &view) != DROP_NONE)
			CU_FAIL(differences[i].what);
	}
	CU_PASS("all accepted");
}

static void padding_and_slack_are_no_payload(void)
{
	struct packet_view view;
	struct frame frame;

	frame_wire(&frame, WIRE_PING, 0, 0);
	frame.size += 18; /* Ethernet padding */
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.payload_size, 24);

	frame_wire(&frame, WIRE_REQUEST, 1, 30);
	frame_put(&frame, 38, 2, 8 + 24 + 20); /* UDP shorter than its packet */
	frame_fix_checksums(&frame);
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.payload_size, 44);
}

static void absent_udp_checksum_is_accepted_and_reported(void)
{
	struct packet_view view;
	struct frame frame;

	frame_request(&frame);
	frame_put(&frame, 40, 2, 0);
	CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
	CU_ASSERT_TRUE(view.udp_checksum_absent);
}

static void what_the_port_checked_is_not_checked_again(void)
{
	struct packet_view view;
	struct frame frame;

	frame_request(&frame);
	frame_put(&frame, 40, 2, frame_get(&frame, 40, 2) ^ 1);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_CHECKED_UDP, &view), DROP_NONE);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_CHECKED_IPV4, &view),
			DROP_UDP_BAD_CHECKSUM);
	frame_request(&frame);
	frame_put(&frame, 24, 2, frame_get(&frame, 24, 2) ^ 1);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_CHECKED_IPV4, &view), DROP_NONE);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_CHECKED_UDP, &view),
			DROP_IPV4_BAD_CHECKSUM);
}

/* What the kernel leaves to a device that is not there: the sum of the pseudo header alone. */
static void an_unfinished_udp_checksum_is_accepted_on_request(void)
{
	struct packet_view view;
	struct frame frame;
	uint32_t sum;

	frame_request(&frame);
	sum = PACKET_PROTOCOL_UDP + (uint32_t)frame_get(&frame, PACKET_AT_UDP_LENGTH, 2);
	for (size_t at = PACKET_AT_IPV4_SOURCE; at < PACKET_AT_UDP; at += 2)
		sum += (uint32_t)frame_get(&frame, at, 2);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	frame_put(&frame, PACKET_AT_UDP_CHECKSUM, 2, sum);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_CHECKED_NOTHING, &view),
			DROP_UDP_BAD_CHECKSUM);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_UDP_MAY_BE_PARTIAL, &view),
			DROP_NONE);
	CU_ASSERT_FALSE(view.udp_checksum_absent);
	frame_put(&frame, PACKET_AT_UDP_CHECKSUM, 2, sum + 1);
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_UDP_MAY_BE_PARTIAL, &view),
			DROP_UDP_BAD_CHECKSUM);
	frame_request(&frame); /* a finished one still is */
	CU_ASSERT_EQUAL(parse_part(&frame, frame.size, PACKET_UDP_MAY_BE_PARTIAL, &view),
			DROP_NONE);
}

/* ---- dropped ---- */

enum base {
	REQUEST,
	HELLO,
	PING,
	ARP,
};

enum fix {
	LEAVE,
	FIX, /* make the checksums right after the change */
};

/* 'value' goes to the 'width' bytes at 'at'; then the frame is cut to 'size' unless that is 0. */
static const struct drop_case {
	enum drop_reason reason;
	enum base base;
	size_t at;
	size_t width;
	uint64_t value;
	enum fix fix;
	size_t size;
} drop_cases[] = {
	{ DROP_SHORT_FRAME, REQUEST, 0, 0, 0, LEAVE, 13 },
	{ DROP_SHORT_FRAME, REQUEST, 0, 0, 0, LEAVE, 33 },
	{ DROP_SHORT_FRAME, ARP, 0, 0, 0, LEAVE, 41 },
	{ DROP_FOREIGN_MAC, REQUEST, 0, 6, 0x020000000003, LEAVE, 0 },
	{ DROP_FOREIGN_MAC, REQUEST, 0, 6, 0xffffffffffff, LEAVE, 0 },
	{ DROP_FOREIGN_MAC, REQUEST, 0, 6, 0x01005e000001, LEAVE, 0 },
	{ DROP_FOREIGN_MAC, ARP, 0, 6, 0x020000000003, LEAVE, 0 },
	{ DROP_BAD_SOURCE_MAC, REQUEST, 6, 6, 0xffffffffffff, LEAVE, 0 },
	{ DROP_BAD_SOURCE_MAC, REQUEST, 6, 6, 0x030000000002, LEAVE, 0 },
	{ DROP_BAD_SOURCE_MAC, ARP, 6, 6, 0x01005e000001, LEAVE, 0 },
	{ DROP_VLAN, REQUEST, 12, 2, 0x8100, LEAVE, 0 },
	{ DROP_VLAN, REQUEST, 12, 2, 0x88a8, LEAVE, 0 },
	{ DROP_FOREIGN_ETHERTYPE, REQUEST, 12, 2, 0x86dd, LEAVE, 0 },
	{ DROP_ARP_BAD, ARP, 14, 2, 6, LEAVE, 0 },
	{ DROP_ARP_BAD, ARP, 16, 2, 0x0801, LEAVE, 0 },
	{ DROP_ARP_BAD, ARP, 18, 1, 8, LEAVE, 0 },
	{ DROP_ARP_BAD, ARP, 19, 1, 16, LEAVE, 0 },
	{ DROP_ARP_BAD, ARP, 20, 2, 3, LEAVE, 0 },
	{ DROP_ARP_BAD, ARP, 20, 2, 0, LEAVE, 0 },
	{ DROP_ARP_FOREIGN_ADDRESS, ARP, 38, 4, CLIENT_IPV4, LEAVE, 0 },
	{ DROP_IPV4_BAD_HEADER, REQUEST, 14, 1, 0x55, FIX, 0 },
	{ DROP_IPV4_BAD_HEADER, REQUEST, 14, 1, 0x65, FIX, 0 },
	{ DROP_IPV4_BAD_HEADER, REQUEST, 14, 1, 0x44, FIX, 0 },
	{ DROP_IPV4_BAD_HEADER, REQUEST, 14, 1, 0x40, FIX, 0 },
	{ DROP_IPV4_OPTIONS, REQUEST, 14, 1, 0x46, FIX, 0 },
	{ DROP_IPV4_OPTIONS, REQUEST, 14, 1, 0x4f, FIX, 0 },
	{ DROP_IPV4_BAD_LENGTH, REQUEST, 16, 2, 19, FIX, 0 },
	{ DROP_IPV4_BAD_LENGTH, REQUEST, 16, 2, 69, FIX, 0 },
	{ DROP_IPV4_BAD_LENGTH, REQUEST, 16, 2, 0xffff, FIX, 0 },
	{ DROP_IPV4_BAD_LENGTH, REQUEST, 0, 0, 0, LEAVE, 81 },
	{ DROP_IPV4_BAD_CHECKSUM, REQUEST, 24, 2, 0x1111, LEAVE, 0 },
	{ DROP_IPV4_BAD_CHECKSUM, REQUEST, 22, 1, 60, LEAVE, 0 },
	{ DROP_FOREIGN_ADDRESS, REQUEST, 30, 4, 0x0a000003, FIX, 0 },
	{ DROP_FOREIGN_ADDRESS, REQUEST, 30, 4, 0xffffffff, FIX, 0 },
	{ DROP_FOREIGN_ADDRESS, PING, 30, 4, 0x0a0000ff, FIX, 0 },
	{ DROP_IPV4_BAD_SOURCE, REQUEST, 26, 4, 0, FIX, 0 },
	{ DROP_IPV4_BAD_SOURCE, REQUEST, 26, 4, 0x7f000001, FIX, 0 },
	{ DROP_IPV4_BAD_SOURCE, REQUEST, 26, 4, 0xe0000001, FIX, 0 },
	{ DROP_IPV4_BAD_SOURCE, REQUEST, 26, 4, 0xffffffff, FIX, 0 },
	{ DROP_IPV4_BAD_SOURCE, REQUEST, 26, 4, NODE_IPV4, FIX, 0 },
	{ DROP_IPV4_BAD_SOURCE, PING, 26, 4, NODE_IPV4, FIX, 0 },
	{ DROP_IPV4_FRAGMENT, REQUEST, 20, 2, 0x2000, FIX, 0 },
	{ DROP_IPV4_FRAGMENT, REQUEST, 20, 2, 0x0001, FIX, 0 },
	{ DROP_IPV4_FRAGMENT, REQUEST, 20, 2, 0x5fff, FIX, 0 },
	{ DROP_IPV4_FRAGMENT, PING, 20, 2, 0x2000, FIX, 0 },
	{ DROP_FOREIGN_PROTOCOL, REQUEST, 23, 1, 6, FIX, 0 },
	{ DROP_ICMP_SHORT, PING, 16, 2, 27, FIX, 0 },
	{ DROP_ICMP_BAD_CHECKSUM, PING, 36, 2, 0x2222, LEAVE, 0 },
	{ DROP_ICMP_NOT_ECHO, PING, 34, 1, 0, FIX, 0 },
	{ DROP_ICMP_NOT_ECHO, PING, 34, 1, 5, FIX, 0 },
	{ DROP_ICMP_NOT_ECHO, PING, 35, 1, 1, FIX, 0 },
	{ DROP_UDP_BAD_LENGTH, REQUEST, 16, 2, 27, FIX, 0 },
	{ DROP_UDP_BAD_LENGTH, REQUEST, 38, 2, 7, FIX, 0 },
	{ DROP_UDP_BAD_LENGTH, REQUEST, 38, 2, 0, FIX, 0 },
	{ DROP_UDP_BAD_LENGTH, REQUEST, 38, 2, 49, FIX, 0 },
	{ DROP_UDP_BAD_CHECKSUM, REQUEST, 40, 2, 0x3333, LEAVE, 0 },
	{ DROP_UDP_BAD_CHECKSUM, REQUEST, 81, 1, 'E', LEAVE, 0 },
	{ DROP_UDP_FOREIGN_PORT, REQUEST, 36, 2, 7699, FIX, 0 },
	{ DROP_UDP_FOREIGN_PORT, REQUEST, 36, 2, 7704, FIX, 0 },
	{ DROP_UDP_NO_SOURCE_PORT, REQUEST, 34, 2, 0, FIX, 0 },
	{ DROP_WIRE_SHORT, REQUEST, 38, 2, 8 + 23, FIX, 0 },
	{ DROP_WIRE_SHORT, REQUEST, 38, 2, 8, FIX, 0 },
	{ DROP_WIRE_SHORT, HELLO, 38, 2, 8 + 24 + 63, FIX, 0 },
	{ DROP_WIRE_BAD_MAGIC, REQUEST, 42, 1, 0x48, FIX, 0 },
	{ DROP_WIRE_BAD_VERSION, REQUEST, 43, 1, 2, FIX, 0 },
	{ DROP_WIRE_BAD_VERSION, REQUEST, 43, 1, 0, FIX, 0 },
	{ DROP_WIRE_UNKNOWN_KIND, REQUEST, 44, 1, 0, FIX, 0 },
	{ DROP_WIRE_UNKNOWN_KIND, REQUEST, 44, 1, 11, FIX, 0 },
	{ DROP_WIRE_UNKNOWN_KIND, REQUEST, 44, 1, 255, FIX, 0 },
	{ DROP_WIRE_BAD_OP_COUNT, HELLO, 45, 1, 1, FIX, 0 },
};
#define DROP_CASE_COUNT (sizeof(drop_cases) / sizeof(drop_cases[0]))

static void make_base(struct frame *frame, enum base base)
{
	if (base == REQUEST)
		frame_request(frame);
	else if (base == HELLO)
		frame_wire(frame, WIRE_HELLO, 0, 64);
	else if (base == PING)
		frame_ping(frame, 32);
	else
		frame_arp(frame, 1);
}

static void one_difference_one_reason(void)
{
	struct packet_view view;
	struct frame frame;

	for (size_t i = 0; i < DROP_CASE_COUNT; i++) {
		const struct drop_case *c = &drop_cases[i];
		enum drop_reason reason;

		make_base(&frame, c->base);
		CU_ASSERT_EQUAL(parse(&frame, &view), DROP_NONE);
		frame_put(&frame, c->at, c->width, c->value);
		if (c->fix == FIX)
			frame_fix_checksums(&frame);
		reason = parse_part(&frame, c->size ? c->size : frame.size, PACKET_CHECKED_NOTHING,
				    &view);
		CU_ASSERT_EQUAL(reason, c->reason);
		if (reason != c->reason)
			printf("case %zu: expected reason %d, got %d\n", i, c->reason, reason);
	}
}

/* Reasons that others decide: the loop that receives, sessions and replay windows. */
static bool decided_elsewhere(enum drop_reason reason)
{
	return reason == DROP_FRAME_SEGMENTED || reason == DROP_FRAME_OVERSIZED ||
	       reason == DROP_ARP_UNASKED || reason >= DROP_WIRE_UNEXPECTED_KIND;
}

static void every_reason_has_a_case(void)
{
	bool covered[DROP_REASON_COUNT] = { [DROP_NONE] = true };

	for (size_t i = 0; i < DROP_CASE_COUNT; i++)
		covered[drop_cases[i].reason] = true;
	for (int reason = 0; reason < DROP_REASON_COUNT; reason++)
		CU_ASSERT(covered[reason] != decided_elsewhere((enum drop_reason)reason));
}

/* ---- truncated ---- */

static void a_cut_frame_is_never_accepted(void)
{
	struct packet_view view;
	struct frame frame;
	unsigned accepted = 0;

	for (size_t i = 0; i < KIND_COUNT; i++) {
		frame_wire(&frame, kinds[i].kind, kinds[i].op_count, kinds[i].body_size + 20u);
		for (size_t size = 0; size < frame.size; size++) {
			accepted += parse_part(&frame, size, PACKET_CHECKED_NOTHING, &view) ==
				    DROP_NONE;
			accepted +=
				parse_part(&frame, size, PACKET_CHECKED_IPV4 | PACKET_CHECKED_UDP,
					   &view) == DROP_NONE;
		}
	}
	frame_ping(&frame, 40);
	for (size_t size = 0; size < frame.size; size++)
		accepted += parse_part(&frame, size, PACKET_CHECKED_IPV4, &view) == DROP_NONE;
	frame_arp(&frame, 1);
	for (size_t size = 0; size < 42; size++)
		accepted += parse_part(&frame, size, 0, &view) == DROP_NONE;
	CU_ASSERT_EQUAL(accepted, 0);
}

/* Whether the operations fill the payload exactly. */
static bool operations_whole(const struct packet_view *view)
{
	const uint8_t *end = view->payload + view->payload_size;
	const uint8_t *at = view->payload + WIRE_HEADER_SIZE;
	struct wire_request_op request;
	struct wire_reply_op reply;

	for (int i = 0; at && i < view->wire.op_count; i++)
		at = view->wire.kind == WIRE_REQUEST ? wire_request_op_read(at, end, &request)
						     : wire_reply_op_read(at, end, &reply);
	return at == end;
}

/* Cuts the datagram itself, with lengths and checksums that say so. */
static void cut_payload(struct frame *frame, const struct frame *whole, size_t payload_size)
{
	*frame = *whole;
	frame->size = 42 + payload_size;
	frame_put(frame, 16, 2, 28 + payload_size);
	frame_put(frame, 38, 2, 8 + payload_size);
	frame_fix_checksums(frame);
}

/* What a receiver does after the parse; reads the payload from memory of exactly its size. */
static bool datagram_valid(const struct frame *frame)
{
	struct packet_view view;
	uint8_t *payload;
	bool valid = true;

	if (parse(frame, &view) != DROP_NONE)
		return false;
	payload = malloc(view.payload_size);
	if (!payload)
		abort();
	memcpy(payload, view.payload, view.payload_size);
	view.payload = payload;
	if (view.wire.kind == WIRE_REQUEST || view.wire.kind == WIRE_REPLY)
		valid = operations_whole(&view);
	free(payload);
	return valid;
}

static void make_batch(struct frame *frame)
{
	uint8_t payload[600] = { 0x47, 1, WIRE_REQUEST, WIRE_OPCODE_COUNT - 1 };
	uint8_t *at = payload + WIRE_HEADER_SIZE;

	for (uint8_t opcode = WIRE_GET; opcode < WIRE_OPCODE_COUNT; opcode++) {
		struct wire_request_op op = {
			.opcode = opcode,
			.flags = opcode % 4,
			.key_size = (uint16_t)(3 + opcode),
			.value_size = opcode * 2u,
			.version = opcode,
			.ttl_ms = opcode,
			.key = (const uint8_t *)"abcdefghijklmnopqrst",
			.value = (const uint8_t *)"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		};

		at = wire_request_op_write(at, &op);
	}
	frame_udp(frame, payload, (size_t)(at - payload));
}

static void a_cut_datagram_is_never_valid(void)
{
	struct frame whole, frame;
	unsigned valid = 0;
	size_t payload_size;

	make_batch(&whole);
	CU_ASSERT_TRUE(datagram_valid(&whole));
	payload_size = whole.size - 42;
	for (size_t size = 0; size < payload_size; size++) {
		cut_payload(&frame, &whole, size);
		valid += datagram_valid(&frame);
	}
	CU_ASSERT_EQUAL(valid, 0);
	for (size_t i = 0; i < KIND_COUNT; i++) {
		frame_wire(&whole, kinds[i].kind, kinds[i].op_count, kinds[i].body_size);
		for (size_t size = 0; size < 24u + kinds[i].body_size; size++) {
			cut_payload(&frame, &whole, size);
			valid += datagram_valid(&frame);
		}
	}
	CU_ASSERT_EQUAL(valid, 0);
}

/* ---- mutated ---- */

static void make_any(struct frame *frame, uint64_t *random)
{
	size_t which = unit_random(random) % (KIND_COUNT + 4);

	if (which < KIND_COUNT)
		frame_wire(frame, kinds[which].kind, kinds[which].op_count, kinds[which].body_size);
	else if (which == KIND_COUNT)
		frame_ping(frame, unit_random(random) % 100);
	else if (which == KIND_COUNT + 1)
		frame_arp(frame, (uint16_t)(1 + unit_random(random) % 2));
	else if (which == KIND_COUNT + 2)
		frame_request(frame);
	else
		make_batch(frame);
}

/* Changes up to four places, and perhaps the length; repairs the checksums half of the time, or
 * no change would get far.
 */
static void mutate(struct frame *frame, uint64_t *random)
{
	for (uint64_t n = unit_random(random) % 4 + 1; n > 0; n--) {
		size_t at = unit_random(random) % (frame->size < 70 ? frame->size : 70);

		if (unit_random(random) % 8 == 0)
			at = unit_random(random) % frame->size;
		switch (unit_random(random) % 3) {
		case 0:
			frame->bytes[at] ^= (uint8_t)(1u << unit_random(random) % 8);
			break;
		case 1:
			frame->bytes[at] = (uint8_t)unit_random(random);
			break;
		default:
			frame_put(frame, at & ~(size_t)1, 2, 0);
		}
	}
	if (unit_random(random) % 4 == 0)
		frame->size = unit_random(random) % (frame->size + 30);
	if (unit_random(random) % 2)
		frame_fix_checksums(frame);
}

/* What packet_parse() promises of a frame it accepts. */
static bool promises_hold(const struct frame *frame, const struct packet_view *view)
{
	uint64_t destination = frame_get(frame, 0, 6);
	bool arp = view->kind == PACKET_KIND_ARP_REQUEST || view->kind == PACKET_KIND_ARP_REPLY;

	if (destination != 0x020000000001 && !(arp && destination == 0xffffffffffff))
		return false;
	if (view->payload + view->payload_size > frame->bytes + frame->size)
		return false;
	if (arp)
		return frame_get(frame, 38, 4) == NODE_IPV4;
	if (frame_sum(0, frame->bytes + 14, 20) != 0xffff || frame_get(frame, 30, 4) != NODE_IPV4 ||
	    (frame_get(frame, 20, 2) & 0x3fff) != 0 || frame->bytes[14] != 0x45)
		return false;
	if (view->kind == PACKET_KIND_ICMP_ECHO)
		return frame_sum(0, view->payload, view->payload_size) == 0xffff;
	return (view->udp_checksum_absent || frame_udp_sum(frame) == 0xffff) &&
	       view->payload_size >= WIRE_HEADER_SIZE && frame_get(frame, 42, 2) == 0x4701 &&
	       view->destination_port >= 7700 && view->destination_port <= 7703;
}

/* Answers in place, in memory of exactly the frame's size; the answer must be one. */
static bool answer_right(const struct frame *frame, const struct packet_view *view)
{
	uint8_t *bytes = frame_exact(frame, frame->size);
	struct frame answer = { .size = frame->size };

	if (view->kind == PACKET_KIND_DATAGRAM)
		answer.size =
			packet_build_reply(bytes, view->payload_size,
					   packet_reply_checksum(view->udp_checksum_absent, false));
	else if (view->kind == PACKET_KIND_ICMP_ECHO)
		packet_build_icmp_reply(bytes);
	else
		packet_build_arp_reply(bytes, node_mac);
	memcpy(answer.bytes, bytes, answer.size);
	free(bytes);
	if (memcmp(answer.bytes, frame->bytes + 6, 6) != 0 ||
	    memcmp(answer.bytes + 6, node_mac, 6) != 0)
		return false;
	if (view->kind == PACKET_KIND_DATAGRAM)
		return frame_sum(0, answer.bytes + 14, 20) == 0xffff &&
		       (frame_get(&answer, 40, 2) == 0) == view->udp_checksum_absent &&
		       (view->udp_checksum_absent || frame_udp_sum(&answer) == 0xffff);
	return view->kind != PACKET_KIND_ICMP_ECHO ||
	       frame_sum(0, answer.bytes + 34, view->payload_size) == 0xffff;
}

static void mutated_frames_keep_the_promises(void)
{
	uint64_t random = 20240607;
	unsigned accepted = 0, broken = 0;
	uint64_t seen[DROP_REASON_COUNT] = { 0 };

	for (int i = 0; i < MUTATION_COUNT; i++) {
		struct packet_view view;
		struct frame frame;
		enum drop_reason reason;

		make_any(&frame, &random);
		mutate(&frame, &random);
		reason = parse(&frame, &view);
		seen[reason]++;
		if (reason != DROP_NONE)
			continue;
		accepted++;
		broken += !promises_hold(&frame, &view) || !answer_right(&frame, &view);
		if (view.kind == PACKET_KIND_DATAGRAM)
			(void)datagram_valid(&frame);
	}
	CU_ASSERT_EQUAL(broken, 0);
	CU_ASSERT(accepted > MUTATION_COUNT / 20);
	for (int reason = 0; reason < DROP_REASON_COUNT; reason++)
		CU_ASSERT((seen[reason] > 0) != decided_elsewhere((enum drop_reason)reason));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(request_is_seen_whole),
		UNIT_TEST(every_kind_is_accepted_at_its_smallest),
		UNIT_TEST(ping_and_arp_are_accepted),
		UNIT_TEST(address_probe_is_answered_too),
		UNIT_TEST(harmless_differences_are_accepted),
		UNIT_TEST(padding_and_slack_are_no_payload),
		UNIT_TEST(absent_udp_checksum_is_accepted_and_reported),
		UNIT_TEST(what_the_port_checked_is_not_checked_again),
		UNIT_TEST(an_unfinished_udp_checksum_is_accepted_on_request),
		UNIT_TEST(one_difference_one_reason),
		UNIT_TEST(every_reason_has_a_case),
		UNIT_TEST(a_cut_frame_is_never_accepted),
		UNIT_TEST(a_cut_datagram_is_never_valid),
		UNIT_TEST(mutated_frames_keep_the_promises),
		{ NULL, NULL },
	};

	return unit_run("packet_parse", tests);
}
