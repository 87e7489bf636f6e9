/* SPDX-License-Identifier: BSD-3-Clause */
/* The extended nonce is spent on a key of its own; what is left is the cipher of RFC 8439. */
#include "controlplane/bus_cipher.h"

#include <assert.h>
#include <openssl/evp.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* From here on OpenSSL is ahead, for all that each of its messages costs. */
#define LARGE_SIZE 4096u

#define HCHACHA_INPUT_SIZE 16u
#define IETF_NONCE_SIZE 12u

static_assert(BUS_CIPHER_KEY_SIZE == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "key size");
static_assert(BUS_CIPHER_MAC_SIZE == crypto_aead_xchacha20poly1305_ietf_ABYTES, "mac size");
static_assert(BUS_CIPHER_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce size");
static_assert(HCHACHA_INPUT_SIZE == crypto_core_hchacha20_INPUTBYTES, "input of HChaCha20");

struct bus_cipher {
	EVP_CIPHER *kind;
	EVP_CIPHER_CTX *context;
};

struct bus_cipher *bus_cipher_create(void)
{
	struct bus_cipher *cipher = calloc(1, sizeof(*cipher));

	if (!cipher)
		return NULL;
	cipher->kind = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	cipher->context = EVP_CIPHER_CTX_new();
	if (cipher->kind && cipher->context)
		return cipher;
	bus_cipher_destroy(cipher);
	return NULL;
}

void bus_cipher_destroy(struct bus_cipher *cipher)
{
	if (!cipher)
		return;
	EVP_CIPHER_CTX_free(cipher->context);
	EVP_CIPHER_free(cipher->kind);
	free(cipher);
}

/* OpenSSL's widest code leaves the upper halves of vector registers in use, and all SSE code after it, such as the checksum of
 * frames, would carry them along: a third of its pace.
 */
static void leave_wide_vectors(void)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vzeroupper" ::
					 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
					   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
					   "xmm13", "xmm14", "xmm15");
#endif
}

/* Begins a message with the key and nonce of RFC 8439. */
static bool begin(struct bus_cipher *cipher, const struct bus_cipher_message *message, bool seals)
{
	uint8_t key[BUS_CIPHER_KEY_SIZE];
	uint8_t nonce[IETF_NONCE_SIZE] = { 0 };
	int written;
	bool is_ok;

	crypto_core_hchacha20(key, message->nonce, message->key, NULL);
	memcpy(nonce + IETF_NONCE_SIZE - 8, message->nonce + HCHACHA_INPUT_SIZE, 8);
	is_ok = EVP_CipherInit_ex2(cipher->context, cipher->kind, key, nonce, seals, NULL) == 1 &&
		EVP_CipherUpdate(cipher->context, NULL, &written, message->associated,
				 (int)message->associated_size) == 1;
	sodium_memzero(key, sizeof(key));
	return is_ok;
}

static bool seal_large(struct bus_cipher *cipher, const struct bus_cipher_message *message,
		       const uint8_t *plain, size_t size, uint8_t *sealed)
{
	int written, rest;

	return begin(cipher, message, true) &&
	       EVP_CipherUpdate(cipher->context, sealed, &written, plain, (int)size) == 1 &&
	       EVP_CipherFinal_ex(cipher->context, sealed + written, &rest) == 1 &&
	       EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_GET_TAG, BUS_CIPHER_MAC_SIZE,
				   sealed + size) == 1;
}

static bool open_large(struct bus_cipher *cipher, const struct bus_cipher_message *message,
		       const uint8_t *sealed, size_t size, uint8_t *plain)
{
	uint8_t mac[BUS_CIPHER_MAC_SIZE];
	int written, rest;

	memcpy(mac, sealed + size, sizeof(mac));
	return begin(cipher, message, false) &&
	       EVP_CIPHER_CTX_ctrl(cipher->context, EVP_CTRL_AEAD_SET_TAG, BUS_CIPHER_MAC_SIZE,
				   mac) == 1 &&
	       EVP_CipherUpdate(cipher->context, plain, &written, sealed, (int)size) == 1 &&
	       EVP_CipherFinal_ex(cipher->context, plain + written, &rest) == 1;
}

void bus_cipher_seal(struct bus_cipher *cipher, const struct bus_cipher_message *message,
		     const uint8_t *plain, size_t size, uint8_t *sealed)
{
	bool is_sealed = size >= LARGE_SIZE && seal_large(cipher, message, plain, size, sealed);

	leave_wide_vectors();
	if (is_sealed)
		return;
	crypto_aead_xchacha20poly1305_ietf_encrypt(sealed, NULL, plain, size, message->associated,
						   message->associated_size, NULL, message->nonce,
						   message->key);
}

bool bus_cipher_open(struct bus_cipher *cipher, const struct bus_cipher_message *message,
		     const uint8_t *sealed, size_t size, uint8_t *plain)
{
	bool is_open;

	if (size >= LARGE_SIZE) {
		is_open = open_large(cipher, message, sealed, size, plain);
		leave_wide_vectors();
		return is_open;
	}
	return crypto_aead_xchacha20poly1305_ietf_decrypt(
		       plain, NULL, NULL, sealed, size + BUS_CIPHER_MAC_SIZE, message->associated,
		       message->associated_size, message->nonce, message->key) == 0;
}
