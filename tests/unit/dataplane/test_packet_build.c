/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers in place and frames from scratch, judged by naive checksums and by the parser of the
 * other side.
 */
#include "dataplane/packet_build.h"

#include "dataplane/packet_parse.h"
#include "tests/unit/dataplane/frame.h"
#include "tests/unit/unit.h"

/* The client as a receiver. */
static struct packet_local client(void)
{
	struct packet_local local;

	packet_local_init(&local, client_mac, CLIENT_IPV4, CLIENT_PORT, 1);
	return local;
}

/* Answers a request with a REPLY of 'size' random payload bytes behind its header. */
static void answer(struct frame *frame, size_t size, enum udp_checksum checksum, uint64_t *random)
{
	frame_request(frame);
	frame->bytes[42 + WIRE_AT_KIND] = WIRE_REPLY;
	for (size_t i = 24; i < size; i++)
		frame->bytes[42 + i] = (uint8_t)unit_random(random);
	frame->size = packet_build_reply(frame->bytes, size, checksum);
}

static void reply_reaches_the_client_at_all_sizes(void)
{
	struct packet_local local = client();
	uint64_t random = 7;

	for (size_t size = 24; size <= 1472; size++) {
		struct packet_view view = { 0 };
		struct frame frame;

		answer(&frame, size, UDP_CHECKSUM_SOFTWARE, &random);
		if (frame.size != 42 + size || frame_udp_sum(&frame) != 0xffff ||
		    frame_sum(0, frame.bytes + 14, 20) != 0xffff ||
		    packet_parse(&local, frame.bytes, frame.size, 0, &view) != DROP_NONE ||
		    view.payload_size != size)
			CU_FAIL("reply");
	}
	CU_PASS("all sizes");
}

static void reply_swaps_the_ends(void)
{
	struct packet_local local = client();
	struct packet_view view;
	struct frame frame;
	uint64_t random = 8;

	answer(&frame, 40, UDP_CHECKSUM_SOFTWARE, &random);
	CU_ASSERT_EQUAL(packet_parse(&local, frame.bytes, frame.size, 0, &view), DROP_NONE);
	CU_ASSERT_EQUAL(memcmp(frame.bytes, client_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(frame.bytes + 6, node_mac, 6), 0);
	CU_ASSERT_EQUAL(view.source_ipv4, NODE_IPV4);
	CU_ASSERT_EQUAL(view.source_port, NODE_PORT_BASE + 1);
	CU_ASSERT_EQUAL(view.destination_port, CLIENT_PORT);
	CU_ASSERT_EQUAL(view.wire.token, 0x0102030405060708);
	CU_ASSERT_EQUAL(frame_get(&frame, 15, 1), 0);
	CU_ASSERT_EQUAL(frame_get(&frame, 18, 2), 0);
	CU_ASSERT_EQUAL(frame_get(&frame, 20, 2), 0x4000);
	CU_ASSERT_EQUAL(frame_get(&frame, 22, 1), 64);
}

static void absent_checksum_stays_absent(void)
{
	struct frame frame;
	uint64_t random = 9;

	answer(&frame, 99, UDP_CHECKSUM_ABSENT, &random);
	CU_ASSERT_EQUAL(frame_get(&frame, 40, 2), 0);
	CU_ASSERT_EQUAL(packet_reply_checksum(true, true), UDP_CHECKSUM_ABSENT);
	CU_ASSERT_EQUAL(packet_reply_checksum(true, false), UDP_CHECKSUM_ABSENT);
	CU_ASSERT_EQUAL(packet_reply_checksum(false, true), UDP_CHECKSUM_OFFLOAD);
	CU_ASSERT_EQUAL(packet_reply_checksum(false, false), UDP_CHECKSUM_SOFTWARE);
}

/* What a port does: it sums from the UDP header on, the field included, and stores the
 * complement.
 */
static void offloaded_checksum_is_right_after_the_port(void)
{
	struct frame frame;
	uint64_t random = 10;

	for (size_t size = 24; size < 200; size++) {
		answer(&frame, size, UDP_CHECKSUM_OFFLOAD, &random);
		frame_put(&frame, 40, 2, 0xffff - frame_sum(0, frame.bytes + 34, 8 + size));
		if (frame_udp_sum(&frame) != 0xffff)
			CU_FAIL("offloaded checksum");
	}
	CU_PASS("all sizes");
}

static void checksum_zero_is_sent_as_ones(void)
{
	struct frame frame;
	uint64_t random = 11;
	uint64_t field;

	answer(&frame, 40, UDP_CHECKSUM_SOFTWARE, &random);
	/* Adding the checksum to the last word of the payload makes the sum all ones, its
	 * complement 0.
	 */
	field = frame_get(&frame, 40, 2) + frame_get(&frame, 80, 2);
	field = (field >> 16) + (field & 0xffff);
	frame_put(&frame, 80, 2, field);
	packet_build_reply(frame.bytes, 40,
			   UDP_CHECKSUM_SOFTWARE); /* back to the node's side; sums are symmetric */
	CU_ASSERT_EQUAL(frame_get(&frame, 40, 2), 0xffff);
	CU_ASSERT_EQUAL(frame_udp_sum(&frame), 0xffff);
}

static void ping_is_answered(void)
{
	for (size_t size = 0; size <= 1472; size += 3) {
		struct frame frame, ping;

		frame_ping(&ping, size);
		frame = ping;
		packet_build_icmp_reply(frame.bytes);
		if (frame_sum(0, frame.bytes + 34, 8 + size) != 0xffff ||
		    frame_sum(0, frame.bytes + 14, 20) != 0xffff || frame.bytes[34] != 0 ||
		    frame_get(&frame, 26, 4) != NODE_IPV4 ||
		    frame_get(&frame, 30, 4) != CLIENT_IPV4 ||
		    frame_get(&frame, 16, 2) != 28 + size ||
		    memcmp(frame.bytes + 38, ping.bytes + 38, 4 + size) != 0)
			CU_FAIL("ping");
	}
	CU_PASS("all sizes");
}

/* The rest of the reply sums up to one of the two zeros of one's complement: nothing but zeros, or a sum of all
 * ones.
 */
static void ping_of_nothing_but_zeros_is_answered(void)
{
	for (uint64_t last_word = 0; last_word <= 0xffff; last_word += 0xffff) {
		struct frame frame;

		frame_ping(&frame, 56);
		memset(frame.bytes + 38, 0, 60);
		frame_put(&frame, 96, 2, last_word);
		frame_fix_checksums(&frame);
		CU_ASSERT_EQUAL(frame_sum(0, frame.bytes + 34, 64), 0xffff);
		packet_build_icmp_reply(frame.bytes);
		CU_ASSERT_EQUAL(frame_sum(0, frame.bytes + 34, 64), 0xffff);
	}
}

static void arp_is_answered(void)
{
	struct packet_local local = client();
	struct packet_view view;
	struct frame frame;

	frame_arp(&frame, 1);
	packet_build_arp_reply(frame.bytes, node_mac);
	CU_ASSERT_EQUAL(packet_parse(&local, frame.bytes, frame.size, 0, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.kind, PACKET_KIND_ARP_REPLY);
	CU_ASSERT_EQUAL(view.source_ipv4, NODE_IPV4);
	CU_ASSERT_EQUAL(memcmp(frame.bytes, client_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(frame.bytes + 22, node_mac, 6), 0);
	CU_ASSERT_EQUAL(memcmp(frame.bytes + 32, client_mac, 6), 0);
}

static void arp_request_asks_everybody(void)
{
	struct packet_local local;
	struct packet_view view;
	uint8_t bytes[PACKET_ARP_END];

	packet_local_init(&local, node_mac, NODE_IPV4, NODE_PORT_BASE, NODE_PORT_COUNT);
	CU_ASSERT_EQUAL(packet_build_arp_request(bytes, client_mac, CLIENT_IPV4, NODE_IPV4),
			PACKET_ARP_END);
	CU_ASSERT_EQUAL(packet_parse(&local, bytes, sizeof(bytes), 0, &view), DROP_NONE);
	CU_ASSERT_EQUAL(view.kind, PACKET_KIND_ARP_REQUEST);
	CU_ASSERT_EQUAL(view.source_ipv4, CLIENT_IPV4);
	CU_ASSERT_EQUAL(bytes[0] & bytes[5], 0xff);
}

static void frame_from_scratch_equals_one_by_hand(void)
{
	struct packet_flow flow = { .source_ipv4 = CLIENT_IPV4,
				    .destination_ipv4 = NODE_IPV4,
				    .source_port = CLIENT_PORT,
				    .destination_port = NODE_PORT_BASE + 1 };

	memcpy(flow.source_mac, client_mac, 6);
	memcpy(flow.destination_mac, node_mac, 6);
	for (size_t size = 24; size <= 1472; size += 5) {
		struct frame wanted, frame;

		frame_wire(&wanted, WIRE_REPLY, 1, size - 24);
		frame_put(&wanted, 18, 2, 0);
		frame_put(&wanted, 20, 2, 0x4000);
		frame_put(&wanted, 22, 1, 64);
		frame_fix_checksums(&wanted);
		memset(&frame, 0xee, sizeof(frame));
		memcpy(frame.bytes + 42, wanted.bytes + 42, size);
		frame.size = packet_build_udp(frame.bytes, &flow, size, UDP_CHECKSUM_SOFTWARE);
		if (frame.size != wanted.size || memcmp(frame.bytes, wanted.bytes, frame.size) != 0)
			CU_FAIL("frame");
	}
	CU_PASS("all sizes");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(reply_reaches_the_client_at_all_sizes),
		UNIT_TEST(reply_swaps_the_ends),
		UNIT_TEST(absent_checksum_stays_absent),
		UNIT_TEST(offloaded_checksum_is_right_after_the_port),
		UNIT_TEST(checksum_zero_is_sent_as_ones),
		UNIT_TEST(ping_is_answered),
		UNIT_TEST(ping_of_nothing_but_zeros_is_answered),
		UNIT_TEST(arp_is_answered),
		UNIT_TEST(arp_request_asks_everybody),
		UNIT_TEST(frame_from_scratch_equals_one_by_hand),
		{ NULL, NULL },
	};

	return unit_run("packet_build", tests);
}
