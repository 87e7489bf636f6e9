/* SPDX-License-Identifier: BSD-3-Clause */
/* Digests and the comparison of keys. */
#include "storage/key.h"

#include "tests/unit/unit.h"

static void random_bytes(uint8_t *bytes, uint32_t size, uint64_t *random)
{
	for (uint32_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)unit_random(random);
}

static void the_secret_decides_the_digest(void)
{
	static const uint8_t key[] = "a key";
	struct key_secret one, other;
	struct key_digest a, b, c;
	uint64_t random = 1;

	random_bytes(one.bytes, sizeof(one.bytes), &random);
	random_bytes(other.bytes, sizeof(other.bytes), &random);
	a = key_digest(&one, key, sizeof(key));
	b = key_digest(&one, key, sizeof(key));
	c = key_digest(&other, key, sizeof(key));
	CU_ASSERT_EQUAL(a.low, b.low);
	CU_ASSERT_EQUAL(a.high, b.high);
	CU_ASSERT_NOT_EQUAL(a.low, c.low);
	CU_ASSERT_NOT_EQUAL(a.high, c.high);
	CU_ASSERT_NOT_EQUAL(a.low, a.high);
}

static void a_prefix_has_another_digest(void)
{
	struct key_secret secret;
	uint8_t key[KEY_SIZE_MAX] = { 0 };
	struct key_digest last = { 0 };
	uint64_t random = 2;

	random_bytes(secret.bytes, sizeof(secret.bytes), &random);
	for (uint32_t size = 1; size <= KEY_SIZE_MAX; size++) {
		struct key_digest digest = key_digest(&secret, key, size);

		CU_ASSERT_NOT_EQUAL(digest.low, last.low);
		last = digest;
	}
}

/* Every size, and a difference in every byte of it. */
static void comparison_sees_every_byte(void)
{
	uint8_t a[KEY_SIZE_MAX], b[KEY_SIZE_MAX];
	uint64_t random = 3;
	uint32_t unseen = 0;

	random_bytes(a, sizeof(a), &random);
	memcpy(b, a, sizeof(b));
	for (uint32_t size = 1; size <= KEY_SIZE_MAX; size++) {
		CU_ASSERT(key_bytes_equal(a, size, b, size));
		CU_ASSERT_FALSE(key_bytes_equal(a, size, b, size - 1));
		for (uint32_t i = 0; i < size; i++) {
			b[i] ^= 0x40;
			unseen += key_bytes_equal(a, size, b, size);
			b[i] ^= 0x40;
		}
	}
	CU_ASSERT_EQUAL(unseen, 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(the_secret_decides_the_digest),
		UNIT_TEST(a_prefix_has_another_digest),
		UNIT_TEST(comparison_sees_every_byte),
		{ NULL, NULL },
	};

	return unit_run("key", tests);
}
