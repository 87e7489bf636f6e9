/* SPDX-License-Identifier: BSD-3-Clause */
/* The Internet checksum (RFC 1071), eight bytes at a time. */
#ifndef DATAPLANE_CHECKSUM_H
#define DATAPLANE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A one's complement sum does not care about byte order as long as words are loaded and the
 * result is stored in the same one (RFC 1071, 2B). So everything here is in the machine's own
 * order: never swap what goes in or comes out, except constants.
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

/* The last 'count' (0..7) of the 8 bytes at 'at', as if they stood in front of zeros. */
static inline uint64_t checksum_tail(const void *at, size_t count)
{
	uint64_t word = checksum_load_u64(at);
	size_t shift = 63 - 8 * count;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return word >> 1 >> shift;
#else
	return word << 1 << shift;
#endif
}

/* 'sum' (under 2^48: a few words, or what this function returned) plus the 'size' bytes at
 * 'bytes', which stand at an even offset of what is summed. At most 64 KB per sum.
 */
static inline uint64_t checksum_add(uint64_t sum, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t high = 0;
	uint64_t word = 0;

	if (size < 8) {
		if (size > 0)
			memcpy(&word, at, size);
		return sum + (word & UINT32_MAX) + (word >> 32);
	}
	/* Halves of 32 bits cannot overflow 64 bits, so there is no carry to wait for. */
	for (; size >= 16; size -= 16, at += 16) {
		uint64_t first = checksum_load_u64(at);
		uint64_t second = checksum_load_u64(at + 8);

		sum += (first & UINT32_MAX) + (second & UINT32_MAX);
		high += (first >> 32) + (second >> 32);
	}
	if (size & 8) {
		word = checksum_load_u64(at);
		sum += word & UINT32_MAX;
		high += word >> 32;
		at += 8;
	}
	/* What is left, by one load that reaches back into what was added already. */
	size &= 7;
	word = checksum_tail(at + size - 8, size);
	return sum + high + (word & UINT32_MAX) + (word >> 32);
}

/* The sum in 16 bits, not complemented; 0xffff when what was summed holds its own right checksum.
 * Adding the two halves in both orders at once leaves their sum with its carry in the upper half.
 */
static inline uint16_t checksum_fold(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum >> 32 | sum << 32)) >> 32);

	return (uint16_t)((half + (half >> 16 | half << 16)) >> 16);
}

#endif
