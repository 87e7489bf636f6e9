/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), eight bytes at a time. */
#ifndef DATAPLANE_CHECKSUM_H
#define DATAPLANE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A one's complement sum does not care about byte order as long as words are loaded and the result is stored in the same one
 * (RFC 1071, 2B). So everything here is in the machine's own order: never swap what goes in or comes out, except constants.
 */

static inline uint16_t checksum_load_u16(const void *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint32_t checksum_load_u32(const void *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint64_t checksum_load_u64(const void *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

/* The sum of two sums. */
static inline uint64_t checksum_join(uint64_t a, uint64_t b)
{
	uint64_t sum;
	uint64_t carry = __builtin_add_overflow(a, b, &sum);

	return sum + carry;
}

/* 'sum' plus the 'size' bytes at 'bytes', which stand at an even offset of what is summed. */
static inline uint64_t checksum_add(uint64_t sum, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t low = 0;
	uint64_t high = 0;
	uint64_t tail = 0;

	/* Halves of 32 bits cannot overflow 64 bits within any datagram, so no carry chain: two words at once. */
	for (; size >= 16; size -= 16, at += 16) {
		uint64_t first = checksum_load_u64(at);
		uint64_t second = checksum_load_u64(at + 8);

		low += (first & UINT32_MAX) + (second & UINT32_MAX);
		high += (first >> 32) + (second >> 32);
	}
	sum = checksum_join(sum, low);
	sum = checksum_join(sum, high);
	if (size & 8) {
		sum = checksum_join(sum, checksum_load_u64(at));
		at += 8;
	}
	if (size & 4) {
		sum = checksum_join(sum, checksum_load_u32(at));
		at += 4;
	}
	if (size & 3) {
		memcpy(&tail, at, size & 3);
		sum = checksum_join(sum, tail);
	}
	return sum;
}

/* The sum in 16 bits, not complemented; 0xffff when what was summed holds its own right checksum. */
static inline uint16_t checksum_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	return (uint16_t)sum;
}

#endif
