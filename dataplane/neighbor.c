/* SPDX-License-Identifier: BSD-3-Clause */
/* One word for the address, so that nobody ever reads half of one. */
#include "dataplane/neighbor.h"

#define BITS_OF_BYTE 8u

static uint64_t pack(const uint8_t mac[PACKET_MAC_SIZE])
{
	uint64_t word = 0;

	for (uint32_t i = 0; i < PACKET_MAC_SIZE; i++)
		word = word << BITS_OF_BYTE | mac[i];
	return word;
}

static void unpack(uint64_t word, uint8_t mac[PACKET_MAC_SIZE])
{
	for (uint32_t i = PACKET_MAC_SIZE; i > 0; i--) {
		mac[i - 1] = (uint8_t)word;
		word >>= BITS_OF_BYTE;
	}
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

void neighbor_learn(struct neighbor *neighbor, const uint8_t mac[PACKET_MAC_SIZE], uint64_t now_ms)
{
	uint64_t word = pack(mac);

	if (mac[0] & 1)
		return;
	if (load(&neighbor->mac) != word)
		store(&neighbor->mac, word);
	if (load(&neighbor->confirmed_ms) != now_ms)
		store(&neighbor->confirmed_ms, now_ms);
}

/* Cores' clocks differ a little: what one has just written may lie in the future of another. */
static uint64_t age_ms(uint64_t since_ms, uint64_t now_ms)
{
	return now_ms > since_ms ? now_ms - since_ms : 0;
}

static bool may_ask(struct neighbor *neighbor, uint64_t now_ms)
{
	uint64_t asked_ms = load(&neighbor->asked_ms);

	if (asked_ms != 0 && age_ms(asked_ms, now_ms) < NEIGHBOR_ASK_PAUSE_MS)
		return false;
	store(&neighbor->asked_ms, now_ms);
	return true;
}

bool neighbor_find(struct neighbor *neighbor, uint64_t now_ms, uint8_t mac[PACKET_MAC_SIZE],
		   bool *ask)
{
	uint64_t age = age_ms(load(&neighbor->confirmed_ms), now_ms);
	uint64_t word = load(&neighbor->mac);
	bool is_known = word != 0 && age < NEIGHBOR_EXPIRED_MS;

	*ask = (!is_known || age >= NEIGHBOR_STALE_MS) && may_ask(neighbor, now_ms);
	if (is_known)
		unpack(word, mac);
	return is_known;
}
