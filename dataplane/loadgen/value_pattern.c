/* SPDX-License-Identifier: BSD-3-Clause */
/* Making and checking of patterned values. */
#include "dataplane/loadgen/value_pattern.h"

#include <string.h>

#include "dataplane/loadgen/rng.h"

#define FINGERPRINT_SALT UINT64_C(0x676f647769740001)

uint32_t value_pattern_size(uint64_t key, uint64_t write, uint32_t size_min, uint32_t size_max)
{
	uint64_t spread = (uint64_t)size_max - size_min + 1;

	if (spread == 1)
		return size_min;
	return size_min +
	       (uint32_t)(((unsigned __int128)rng_mix(rng_mix(key) ^ write) * spread) >> 64);
}

static uint64_t fingerprint(uint64_t key)
{
	return rng_mix(key ^ FINGERPRINT_SALT);
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

void value_pattern_write(uint8_t *at, uint32_t size, uint64_t key, uint64_t write)
{
	uint64_t word = fingerprint(key);
	uint64_t seed = rng_mix(word ^ write);

	memcpy(at, &word, least(size, sizeof(word)));
	if (size > sizeof(word))
		memcpy(at + sizeof(word), &write, least(size - sizeof(word), sizeof(write)));
	for (uint32_t done = VALUE_PATTERN_FULL_SIZE; done < size; done += (uint32_t)sizeof(word)) {
		word = seed ^ rng_mix(done);
		memcpy(at + done, &word, least(size - done, sizeof(word)));
	}
}

/* The part behind fingerprint and write number. */
static bool body_matches(const uint8_t *at, uint32_t size, uint64_t seed)
{
	for (uint32_t done = VALUE_PATTERN_FULL_SIZE; done < size;
	     done += (uint32_t)sizeof(uint64_t)) {
		uint64_t word = seed ^ rng_mix(done);

		if (memcmp(at + done, &word, least(size - done, sizeof(word))) != 0)
			return false;
	}
	return true;
}

bool value_pattern_matches(const uint8_t *at, uint32_t size, uint64_t key, uint32_t size_min,
			   uint32_t size_max)
{
	uint64_t word = fingerprint(key);
	uint64_t write;

	if (size < size_min || size > size_max || memcmp(at, &word, least(size, sizeof(word))) != 0)
		return false;
	if (size < VALUE_PATTERN_FULL_SIZE)
		return true;
	memcpy(&write, at + sizeof(word), sizeof(write));
	return size == value_pattern_size(key, write, size_min, size_max) &&
	       body_matches(at, size, rng_mix(word ^ write));
}
