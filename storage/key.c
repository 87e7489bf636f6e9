/* SPDX-License-Identifier: BSD-3-Clause */
/* The keyed digest: XXH3 of 128 bits under the node's secret. */
#include "storage/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

static_assert(KEY_SECRET_SIZE >= XXH3_SECRET_SIZE_MIN, "XXH3 asks for a longer secret");

struct key_digest key_digest(const struct key_secret *secret, const void *bytes, uint32_t size)
{
	XXH128_hash_t hash = XXH3_128bits_withSecret(bytes, size, secret->bytes, KEY_SECRET_SIZE);

	return (struct key_digest){ .low = hash.low64, .high = hash.high64 };
}
