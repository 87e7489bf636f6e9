/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys whose digests collide, made by somebody who knows the secret (which is why it must stay
 * one).
 */
#ifndef TESTS_UNIT_STORAGE_COLLIDING_KEY_H
#define TESTS_UNIT_STORAGE_COLLIDING_KEY_H

#include <string.h>

#include "storage/key.h"

#define COLLIDING_KEY_SIZE 32u

/* XXH3 of 32 bytes multiplies each half of the key, xored with a part of the secret, word by word.
 * A key word that equals its part of the secret makes the product zero, and only the sums of the
 * words remain:
 *
 *      low = f(a + b), high = g(a, b), a from the sum of the second half, b from the first's
 *
 * So keys with the same a + b share the low half of the digest. Which of two words is the zero one
 * makes no difference, so 'twin' gives another key with all of the digest the same.
 */
static inline struct key_ref colliding_key(const struct key_secret *secret, uint64_t a, uint64_t b,
					   bool twin, uint8_t *bytes)
{
	static const uint64_t prime = UINT64_C(0x9E3779B185EBCA87);
	struct key_ref key = { .bytes = bytes, .size = COLLIDING_KEY_SIZE };
	uint64_t secrets[4];
	uint64_t words[4];

	memcpy(secrets, secret->bytes, sizeof(secrets));
	words[0] = twin ? b - secrets[1] : secrets[0];
	words[1] = b - words[0];
	words[2] = secrets[2];
	words[3] = (a ^ COLLIDING_KEY_SIZE * prime) - secrets[2];
	memcpy(bytes, words, sizeof(words));
	key.digest = key_digest(secret, bytes, COLLIDING_KEY_SIZE);
	return key;
}

#endif
