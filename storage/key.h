/* SPDX-License-Identifier: BSD-3-Clause */
/* A key as a request names it: its bytes, its keyed digest, its partition. */
#ifndef STORAGE_KEY_H
#define STORAGE_KEY_H

#include <stdint.h>
#include <string.h>

#include "storage/limits.h"

/* What the index stores for a key: 128 bits of XXH3 under a per-boot secret, so that nobody outside the
 * process can aim collisions. Low 32 bits of 'low' are the rte_hash signature.
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

/* The rte_hash signature of a digest. */
static inline uint32_t key_digest_signature(struct key_digest digest)
{
	return (uint32_t)digest.low;
}

#endif
