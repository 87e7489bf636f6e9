/* SPDX-License-Identifier: BSD-3-Clause */
/* SipHash-2-4 against the paper and against libsodium. */
#include "dataplane/siphash.h"

#include <sodium.h>

#include "tests/unit/unit.h"

static void paper_example(void)
{
	uint8_t key[16], message[15];

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	memcpy(message, key, sizeof(message));
	/* Appendix A of the paper. */
	CU_ASSERT_EQUAL(siphash(siphash_key_load(key), message, sizeof(message)),
			0xa129ca6149be45e5);
}

static void agrees_with_libsodium_for_all_lengths(void)
{
	uint64_t random = 4;

	for (size_t size = 0; size <= 200; size++) {
		uint8_t key[crypto_shorthash_KEYBYTES], message[200], hash[crypto_shorthash_BYTES];

		for (size_t i = 0; i < sizeof(key); i++)
			key[i] = (uint8_t)unit_random(&random);
		for (size_t i = 0; i < size; i++)
			message[i] = (uint8_t)unit_random(&random);
		crypto_shorthash(hash, message, size, key);
		CU_ASSERT_EQUAL(siphash(siphash_key_load(key), message, size), siphash_load(hash));
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(paper_example),
		UNIT_TEST(agrees_with_libsodium_for_all_lengths),
		{ NULL, NULL },
	};

	return unit_run("siphash", tests);
}
