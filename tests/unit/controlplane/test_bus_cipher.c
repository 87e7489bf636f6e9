/* SPDX-License-Identifier: BSD-3-Clause */
/* Two libraries, one cipher. */
#include "controlplane/bus_cipher.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define SIZE_MAX_TESTED ((size_t)300000)

/* Around where one library takes over from the other, around blocks, and of the size of a batch. */
static const size_t sizes[] = { 0,    1,    63,   64,    65,     1344,  4095,
				4096, 4097, 8191, 65536, 262144, 299999 };
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

struct scene {
	struct bus_cipher *cipher;
	struct bus_cipher_message message;
	uint8_t key[BUS_CIPHER_KEY_SIZE];
	uint8_t nonce[BUS_CIPHER_NONCE_SIZE];
	uint8_t associated[145];
	uint8_t plain[SIZE_MAX_TESTED];
	uint8_t sealed[SIZE_MAX_TESTED + BUS_CIPHER_MAC_SIZE];
	uint8_t other[SIZE_MAX_TESTED + BUS_CIPHER_MAC_SIZE];
};

static void fill(uint8_t *bytes, size_t size, uint64_t *random)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)unit_random(random);
}

static struct scene *scene_open(uint64_t seed)
{
	struct scene *scene = calloc(1, sizeof(*scene));

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
	CU_ASSERT_FATAL(sodium_init() >= 0);
	scene->cipher = bus_cipher_create();
	CU_ASSERT_PTR_NOT_NULL_FATAL(scene->cipher);
	fill(scene->key, sizeof(scene->key), &seed);
	fill(scene->nonce, sizeof(scene->nonce), &seed);
	fill(scene->associated, sizeof(scene->associated), &seed);
	fill(scene->plain, sizeof(scene->plain), &seed);
	scene->message =
		(struct bus_cipher_message){ .key = scene->key,
					     .nonce = scene->nonce,
					     .associated = scene->associated,
					     .associated_size = sizeof(scene->associated) };
	return scene;
}

static void scene_close(struct scene *scene)
{
	bus_cipher_destroy(scene->cipher);
	bus_cipher_destroy(NULL);
	free(scene);
}

static void it_seals_and_opens_what_libsodium_does(void)
{
	for (uint32_t i = 0; i < SIZE_COUNT; i++) {
		struct scene *scene = scene_open(i + 1);
		size_t size = sizes[i];

		bus_cipher_seal(scene->cipher, &scene->message, scene->plain, size, scene->sealed);
		crypto_aead_xchacha20poly1305_ietf_encrypt(
			scene->other, NULL, scene->plain, size, scene->associated,
			sizeof(scene->associated), NULL, scene->nonce, scene->key);
		CU_ASSERT_EQUAL(memcmp(scene->sealed, scene->other, size + BUS_CIPHER_MAC_SIZE), 0);
		memset(scene->sealed, 0, sizeof(scene->sealed));
		CU_ASSERT_TRUE(bus_cipher_open(scene->cipher, &scene->message, scene->other, size,
					       scene->sealed));
		CU_ASSERT_EQUAL(memcmp(scene->sealed, scene->plain, size), 0);
		scene_close(scene);
	}
}

static bool opens(struct scene *scene, size_t size)
{
	return bus_cipher_open(scene->cipher, &scene->message, scene->sealed, size, scene->other);
}

/* Any bit of text, mac, key, nonce or what is associated; and the context is good for the next message. */
static void nothing_that_was_altered_opens(void)
{
	for (uint32_t i = 0; i < SIZE_COUNT; i++) {
		struct scene *scene = scene_open(100 + i);
		size_t size = sizes[i];
		uint8_t *const places[] = { scene->sealed,          scene->sealed + size / 2,
					    scene->sealed + size,   scene->sealed + size + 15,
					    scene->key + 31,        scene->nonce,
					    scene->nonce + 23,      scene->associated,
					    scene->associated + 144 };

		bus_cipher_seal(scene->cipher, &scene->message, scene->plain, size, scene->sealed);
		for (uint32_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
			*places[p] ^= 0x04;
			CU_ASSERT_FALSE(opens(scene, size));
			*places[p] ^= 0x04;
			CU_ASSERT_TRUE(opens(scene, size));
		}
		scene_close(scene);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(it_seals_and_opens_what_libsodium_does),
		UNIT_TEST(nothing_that_was_altered_opens),
		{ NULL, NULL },
	};

	return unit_run("bus_cipher", tests);
}
