/* SPDX-License-Identifier: BSD-3-Clause */
/* XChaCha20-Poly1305 as libsodium has it, fast for large messages. */
#ifndef CONTROLPLANE_BUS_CIPHER_H
#define CONTROLPLANE_BUS_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_CIPHER_KEY_SIZE 32u
#define BUS_CIPHER_NONCE_SIZE 24u
#define BUS_CIPHER_MAC_SIZE 16u

/* Small messages are libsodium's work; a large one is done by OpenSSL, whose ChaCha20-Poly1305 uses the widest vectors of the
 * processor, under the key that HChaCha20 makes of key and nonce: the same bytes in less than half the time.
 *
 * Thread safety: none; one context for each thread.
 */
struct bus_cipher;

/* NULL without memory. sodium_init() came before. */
struct bus_cipher *bus_cipher_create(void);
/* Accepts NULL. */
void bus_cipher_destroy(struct bus_cipher *cipher);

struct bus_cipher_message {
	const uint8_t *key;
	const uint8_t *nonce;
	const uint8_t *associated;
	size_t associated_size;
};

/* Writes 'size' bytes and the mac to 'sealed'. */
void bus_cipher_seal(struct bus_cipher *cipher, const struct bus_cipher_message *message, const uint8_t *plain,
		     size_t size, uint8_t *sealed);

/* 'sealed' are 'size' bytes and the mac. False: not authentic; 'plain' is then not to be looked at. */
bool bus_cipher_open(struct bus_cipher *cipher, const struct bus_cipher_message *message, const uint8_t *sealed,
		     size_t size, uint8_t *plain);

#endif
