/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4: a keyed 64-bit hash whose outputs cannot be told from random without the key. */
#ifndef DATAPLANE_SIPHASH_H
#define DATAPLANE_SIPHASH_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* J.-P. Aumasson, D. J. Bernstein: "SipHash: a fast short-input PRF", INDOCRYPT 2012. */

struct siphash_key {
	uint64_t low;
	uint64_t high;
};

static inline uint64_t siphash_load(const void *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return le64toh(v);
}

/* A key is 16 bytes, little-endian. */
static inline struct siphash_key siphash_key_load(const void *bytes)
{
	return (struct siphash_key){ siphash_load(bytes), siphash_load((const char *)bytes + 8) };
}

static inline uint64_t siphash_rotate(uint64_t v, unsigned bits)
{
	return v << bits | v >> (64 - bits);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = siphash_rotate(v[1], 13) ^ v[0];
	v[3] = siphash_rotate(v[3], 16) ^ v[2];
	v[0] = siphash_rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = siphash_rotate(v[1], 17) ^ v[2];
	v[3] = siphash_rotate(v[3], 21) ^ v[0];
	v[2] = siphash_rotate(v[2], 32);
}

static inline void siphash_word(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	siphash_round(v);
	siphash_round(v);
	v[0] ^= word;
}

/* The hash of 'size' bytes under 'key'. Pure; time depends on 'size' alone. */
static inline uint64_t siphash(struct siphash_key key, const void *bytes, size_t size)
{
	uint64_t v[4] = { key.low ^ 0x736f6d6570736575u, key.high ^ 0x646f72616e646f6du,
			  key.low ^ 0x6c7967656e657261u, key.high ^ 0x7465646279746573u };
	const uint8_t *at = bytes;
	uint8_t last[8] = { 0 };
	size_t left;

	for (left = size; left >= 8; left -= 8, at += 8)
		siphash_word(v, siphash_load(at));
	if (left > 0)
		memcpy(last, at, left);
	last[7] = (uint8_t)size;
	siphash_word(v, siphash_load(last));
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
