/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames off the wire: packet_parse() and the answers of packet_build. */
#include <stdlib.h>
#include <string.h>

#include "dataplane/packet_build.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_frame.h"

#define FRAME_SIZE_MAX 2048u

/* An input: what the port checked, then a frame. */

static void check_same(const struct packet_view *a, const struct packet_view *b)
{
	FUZZ_CHECK(a->frame == b->frame && a->payload == b->payload);
	FUZZ_CHECK(a->payload_size == b->payload_size && a->kind == b->kind);
	FUZZ_CHECK(a->source_ipv4 == b->source_ipv4);
	if (a->kind != PACKET_KIND_DATAGRAM)
		return;
	FUZZ_CHECK(a->source_port == b->source_port && a->destination_port == b->destination_port);
	FUZZ_CHECK(a->udp_checksum_absent == b->udp_checksum_absent);
	FUZZ_CHECK(a->wire.kind == b->wire.kind && a->wire.op_count == b->wire.op_count);
	FUZZ_CHECK(a->wire.session_id == b->wire.session_id && a->wire.token == b->wire.token);
	FUZZ_CHECK(a->wire.sequence == b->wire.sequence);
	FUZZ_CHECK(a->wire.map_version == b->wire.map_version);
}

/* The sender of a frame, as whom its answer must reach. */
static void sender_init(struct packet_local *sender, const struct packet_view *view)
{
	packet_local_init(sender, packet_source_mac(view), view->source_ipv4,
			  view->kind == PACKET_KIND_DATAGRAM ? view->source_port : 1, 1);
}

static void check_datagram(const struct packet_view *view, uint8_t *copy, size_t size)
{
	struct packet_local sender;
	struct packet_view answer;
	uint8_t header[WIRE_HEADER_SIZE];
	size_t answer_size;

	FUZZ_CHECK(view->payload == view->frame + PACKET_AT_UDP_PAYLOAD);
	FUZZ_CHECK(PACKET_HEADERS_SIZE + (size_t)view->payload_size <= size);
	FUZZ_CHECK(view->payload_size >= WIRE_HEADER_SIZE);
	wire_header_write(header, &view->wire);
	FUZZ_CHECK(memcmp(header, view->payload, sizeof(header)) == 0);

	sender_init(&sender, view);
	answer_size = packet_build_reply(copy, view->payload_size,
					 packet_reply_checksum(view->udp_checksum_absent, false));
	FUZZ_CHECK(answer_size == PACKET_HEADERS_SIZE + (size_t)view->payload_size);
	FUZZ_CHECK(packet_parse(&sender, copy, answer_size, PACKET_CHECKED_NOTHING, &answer) ==
		   DROP_NONE);
	FUZZ_CHECK(answer.source_port == view->destination_port);
	FUZZ_CHECK(answer.destination_port == view->source_port);
	FUZZ_CHECK(answer.udp_checksum_absent == view->udp_checksum_absent);
	FUZZ_CHECK(answer.payload_size == view->payload_size);
	FUZZ_CHECK(memcmp(answer.payload, view->payload, view->payload_size) == 0);
}

static void check_icmp(const struct packet_view *view, uint8_t *copy, size_t size)
{
	struct packet_local sender;
	struct packet_view answer;

	sender_init(&sender, view);
	packet_build_icmp_reply(copy);
	/* an echo reply: right in everything, and nothing that is asked for here */
	FUZZ_CHECK(packet_parse(&sender, copy, size, PACKET_CHECKED_NOTHING, &answer) ==
		   DROP_ICMP_NOT_ECHO);
}

static void check_arp(const struct packet_local *local, const struct packet_view *view,
		      uint8_t *copy, size_t size)
{
	FUZZ_CHECK(size >= PACKET_ARP_END);
	packet_build_arp_reply(copy, local->mac);
	FUZZ_CHECK(memcmp(copy + PACKET_AT_ARP_SENDER_MAC, local->mac, PACKET_MAC_SIZE) == 0);
	FUZZ_CHECK(wire_get_u32(copy + PACKET_AT_ARP_SENDER_IPV4) == local->ipv4);
	FUZZ_CHECK(wire_get_u32(copy + PACKET_AT_ARP_TARGET_IPV4) == view->source_ipv4);
}

static void check_answer(const struct packet_local *local, const struct packet_view *view,
			 size_t size, unsigned checked)
{
	uint8_t copy[FRAME_SIZE_MAX];

	memcpy(copy, view->frame, size);
	switch ((enum packet_kind)view->kind) {
	case PACKET_KIND_DATAGRAM:
		check_datagram(view, copy, size);
		break;
	case PACKET_KIND_ICMP_ECHO:
		if (checked == PACKET_CHECKED_NOTHING)
			check_icmp(view, copy, size);
		break;
	case PACKET_KIND_ARP_REQUEST:
		check_arp(local, view, copy, size);
		break;
	case PACKET_KIND_ARP_REPLY:
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packet_local local;
	struct packet_view stepwise;
	struct packet_view view;
	enum drop_reason reason;
	unsigned checked;

	if (size < 1 || size > FRAME_SIZE_MAX)
		return 0;
	fuzz_local_init(&local);
	checked = data[0] & 7u;
	data++;
	size--;
	reason = packet_parse(&local, data, size, checked, &view);
	FUZZ_CHECK(packet_parse_stepwise(&local, data, size, checked, &stepwise) == reason);
	FUZZ_CHECK(reason < DROP_FRAME_SEGMENTED || reason > DROP_FRAME_OVERSIZED);
	FUZZ_CHECK(reason < DROP_WIRE_UNEXPECTED_KIND);
	if (reason == DROP_NONE) {
		check_same(&view, &stepwise);
		check_answer(&local, &view, size, checked);
	}
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, size_max);
	if (size < 1 || fuzz_below(&seed, 4) == 0)
		return size;
	if (fuzz_below(&seed, 2))
		data[0] = 0;
	return 1 + fuzz_frame_repair(data + 1, size - 1, size_max - 1,
				     fuzz_below(&seed, 3) ? FUZZ_FRAME_DATAGRAM
							  : fuzz_below(&seed, FUZZ_FRAME_KINDS));
}
