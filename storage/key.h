/* SPDX-License-Identifier: BSD-3-Clause */
/* A key as a request names it: its bytes, its keyed digest, its partition. */
#ifndef STORAGE_KEY_H
#define STORAGE_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "storage/limits.h"

/* 128 bits of XXH3 under a per-boot secret, so that nobody outside the process can aim collisions.
 * They are two digests of 64 bits: the index stores a key under 'low', and under 'high' when
 * another key already has its 'low'.
 */
struct key_digest {
	uint64_t low;
	uint64_t high;
};

/* The secret of key_digest(): random bytes drawn at start, the same for all shards of one node.
 * 192 bytes, the length of XXH3's own default secret; XXH3 needs at least 136.
 */
#define KEY_SECRET_SIZE 192u
struct key_secret {
	uint8_t bytes[KEY_SECRET_SIZE];
};

/* A borrowed key. 'bytes' must outlive the reference. */
struct key_ref {
	struct key_digest digest;
	const uint8_t *bytes;
	uint16_t size; /* bytes, 1..KEY_SIZE_MAX */
	uint16_t partition;
};

/* Digest of 'size' bytes at 'bytes' under 'secret'. Pure; any thread. */
struct key_digest key_digest(const struct key_secret *secret, const void *bytes, uint32_t size);

/* The rte_hash signature of either half of a digest. */
static inline uint32_t key_digest_signature(uint64_t half)
{
	return (uint32_t)half;
}

/* Whether two keys are the same bytes. Keys are short: words compared inline cost less than a call
 * to memcmp().
 */
static inline bool key_bytes_equal(const uint8_t *a, uint32_t a_size, const uint8_t *b,
				   uint32_t b_size)
{
	uint64_t x, y, difference = 0;
	uint32_t i;

	if (a_size != b_size)
		return false;
	if (a_size < sizeof(x))
		return memcmp(a, b, a_size) == 0;
	for (i = 0; i + sizeof(x) <= a_size; i += (uint32_t)sizeof(x)) {
		memcpy(&x, a + i, sizeof(x));
		memcpy(&y, b + i, sizeof(y));
		difference |= x ^ y;
	}
	memcpy(&x, a + a_size - sizeof(x), sizeof(x));
	memcpy(&y, b + a_size - sizeof(y), sizeof(y));
	return (difference | (x ^ y)) == 0;
}

#endif
