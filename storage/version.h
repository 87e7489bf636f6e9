/* SPDX-License-Identifier: BSD-3-Clause */
/* The order of two writes of one partition: epoch of ownership first, sequence within it second. */
#ifndef STORAGE_VERSION_H
#define STORAGE_VERSION_H

#include <stdbool.h>
#include <stdint.h>

#include "storage/limits.h"

/* 64 bits: epoch << 40 | sequence. 0 means "no version". Also the client's CAS token. */
static inline uint64_t version_make(uint32_t epoch, uint64_t sequence)
{
	return ((uint64_t)epoch << VERSION_SEQUENCE_BITS) | sequence;
}

static inline uint32_t version_epoch(uint64_t version)
{
	return (uint32_t)(version >> VERSION_SEQUENCE_BITS);
}

static inline uint64_t version_sequence(uint64_t version)
{
	return version & ((UINT64_C(1) << VERSION_SEQUENCE_BITS) - 1);
}

/* A well mixed image of a version: the sum over a partition's live items tells, but for a chance of
 * 2^-64, whether two copies of the partition have the same writes. (The finalizer of MurmurHash3.)
 */
static inline uint64_t version_digest(uint64_t version)
{
	version = (version ^ version >> 33) * UINT64_C(0xff51afd7ed558ccd);
	version = (version ^ version >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return version ^ version >> 33;
}

/* Whether write 'a' came after write 'b' of the same partition. */
static inline bool version_is_newer(uint64_t a, uint64_t b)
{
	return a > b;
}

#endif
