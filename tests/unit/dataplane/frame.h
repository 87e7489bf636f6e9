/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames for tests, written byte by byte: nothing here shares code with what is tested. */
#ifndef TESTS_UNIT_DATAPLANE_FRAME_H
#define TESTS_UNIT_DATAPLANE_FRAME_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FRAME_SIZE_MAX 2048u

/* The node under test: 02:00:00:00:00:01, 10.0.0.1, ports 7700..7703. Its client:
 * 02:00:00:00:00:02, 10.0.0.2:40000.
 */
#define NODE_IPV4 0x0a000001u
#define CLIENT_IPV4 0x0a000002u
#define NODE_PORT_BASE 7700u
#define NODE_PORT_COUNT 4u
#define CLIENT_PORT 40000u

static const uint8_t node_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t client_mac[6] = { 2, 0, 0, 0, 0, 2 };

struct frame {
	uint8_t bytes[FRAME_SIZE_MAX];
	size_t size;
};

static inline void frame_put(struct frame *frame, size_t at, size_t width, uint64_t value)
{
	for (size_t i = 0; i < width; i++)
		frame->bytes[at + i] = (uint8_t)(value >> (8 * (width - 1 - i)));
}

static inline uint64_t frame_get(const struct frame *frame, size_t at, size_t width)
{
	uint64_t value = 0;

	for (size_t i = 0; i < width; i++)
		value = value << 8 | frame->bytes[at + i];
	return value;
}

/* The sum of big-endian 16-bit words after RFC 1071, folded, not complemented; an odd byte counts
 * as the high one.
 */
static inline uint32_t frame_sum(uint32_t sum, const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		sum += i % 2 ? bytes[i] : (uint32_t)bytes[i] << 8;
		while (sum > 0xffff)
			sum = (sum >> 16) + (sum & 0xffff);
	}
	return sum;
}

/* Of pseudo header, UDP header and payload; 0xffff when the checksum in it is right. */
static inline uint32_t frame_udp_sum(const struct frame *frame)
{
	size_t udp_size = frame_get(frame, 38, 2);
	uint32_t sum = 17 + (uint32_t)udp_size;

	if (34 + udp_size > FRAME_SIZE_MAX)
		return 0;
	return frame_sum(frame_sum(sum, frame->bytes + 26, 8), frame->bytes + 34, udp_size);
}

/* Makes the checksums of an IPv4 frame right, as its length fields say. */
static inline void frame_fix_checksums(struct frame *frame)
{
	size_t total = frame_get(frame, 16, 2);
	size_t icmp_size = total > 20 && total <= FRAME_SIZE_MAX - 14 ? total - 20 : 0;

	frame_put(frame, 24, 2, 0);
	frame_put(frame, 24, 2, 0xffff - frame_sum(0, frame->bytes + 14, 20));
	if (frame->bytes[23] == 17) {
		uint32_t sum;

		frame_put(frame, 40, 2, 0);
		sum = 0xffff - frame_udp_sum(frame);
		frame_put(frame, 40, 2, sum ? sum : 0xffff);
	} else if (frame->bytes[23] == 1 && icmp_size >= 8) {
		frame_put(frame, 36, 2, 0);
		frame_put(frame, 36, 2, 0xffff - frame_sum(0, frame->bytes + 34, icmp_size));
	}
}

static inline void frame_ethernet(struct frame *frame, uint16_t ethertype)
{
	memset(frame, 0, sizeof(*frame));
	memcpy(frame->bytes, node_mac, 6);
	memcpy(frame->bytes + 6, client_mac, 6);
	frame_put(frame, 12, 2, ethertype);
}

static inline void frame_ipv4(struct frame *frame, uint8_t protocol, size_t payload_size)
{
	frame_ethernet(frame, 0x0800);
	frame_put(frame, 14, 1, 0x45);
	frame_put(frame, 16, 2, 20 + payload_size);
	frame_put(frame, 18, 2, 0x1234);
	frame_put(frame, 22, 1, 61);
	frame_put(frame, 23, 1, protocol);
	frame_put(frame, 26, 4, CLIENT_IPV4);
	frame_put(frame, 30, 4, NODE_IPV4);
	frame->size = 34 + payload_size;
}

/* A UDP frame from the client to worker 1 of the node. */
static inline void frame_udp(struct frame *frame, const uint8_t *payload, size_t size)
{
	frame_ipv4(frame, 17, 8 + size);
	frame_put(frame, 34, 2, CLIENT_PORT);
	frame_put(frame, 36, 2, NODE_PORT_BASE + 1);
	frame_put(frame, 38, 2, 8 + size);
	if (size > 0)
		memcpy(frame->bytes + 42, payload, size);
	frame_fix_checksums(frame);
}

/* A wire header of 'kind' with a body of 'body_size' bytes, some of them not zero. */
static inline void frame_wire(struct frame *frame, uint8_t kind, uint8_t op_count, size_t body_size)
{
	uint8_t payload[FRAME_SIZE_MAX] = { 0x47, 1, kind, op_count, 0,    0,    0, 9,
					    1,    2, 3,    4,        5,    6,    7, 8,
					    0,    0, 0,    0x2a,     0xde, 0xad, 0, 1 };

	for (size_t i = 0; i < body_size; i++)
		payload[24 + i] = (uint8_t)(i * 7);
	frame_udp(frame, payload, 24 + body_size);
}

/* A REQUEST: SET "key" = "value". */
static inline void frame_request(struct frame *frame)
{
	static const uint8_t op[] = {
		2, 0, 0, 3, 0, 0, 0, 5, 'k', 'e', 'y', 'v', 'a', 'l', 'u', 'e'
	};

	frame_wire(frame, 3, 1, sizeof(op));
	memcpy(frame->bytes + 66, op, sizeof(op));
	frame_fix_checksums(frame);
}

/* An echo request with 'data_size' bytes of data. */
static inline void frame_ping(struct frame *frame, size_t data_size)
{
	frame_ipv4(frame, 1, 8 + data_size);
	frame_put(frame, 34, 1, 8);
	frame_put(frame, 38, 4, 0x00420007);
	for (size_t i = 0; i < data_size; i++)
		frame->bytes[42 + i] = (uint8_t)(i + 1);
	frame_fix_checksums(frame);
}

/* The client asks everybody who has the node's address, padded to the smallest frame. */
static inline void frame_arp(struct frame *frame, uint16_t operation)
{
	frame_ethernet(frame, 0x0806);
	if (operation == 1)
		memset(frame->bytes, 0xff, 6);
	frame_put(frame, 14, 8, 0x0001080006040000 | operation);
	memcpy(frame->bytes + 22, client_mac, 6);
	frame_put(frame, 28, 4, CLIENT_IPV4);
	frame_put(frame, 38, 4, NODE_IPV4);
	frame->size = 60;
}

/* A copy in memory of exactly its size, so that a sanitizer sees every byte read behind it; the
 * caller frees it.
 */
static inline uint8_t *frame_exact(const struct frame *frame, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, frame->bytes, size);
	return copy;
}

#endif
