/* SPDX-License-Identifier: BSD-3-Clause */
/* Every capacity of the storage engine, and the relations between them. */
#ifndef STORAGE_LIMITS_H
#define STORAGE_LIMITS_H

#include <assert.h>
#include <stdint.h>

/* A key is 1..KEY_SIZE_MAX bytes, any bytes. Fits the u8 of struct item. */
#define KEY_SIZE_MAX 250u

/* A value is 0..VALUE_SIZE_MAX bytes; a port's MTU may allow less. Fits the u16 of struct item. */
#define VALUE_SIZE_MAX 8192u

/* Partitions of one cluster: a power of two. */
#define PARTITION_COUNT_MIN 1u
#define PARTITION_COUNT_DEFAULT 64u
#define PARTITION_COUNT_MAX 4096u

/* Worker cores of one node; partition p belongs to worker p % workers. */
#define WORKER_COUNT_MAX 64u

/* Keys per bulk lookup. rte_hash answers 64 keys wrongly (its hit mask overflows): 32 at most. */
#define SHARD_BATCH_MAX 32u

/* Slots are numbered per partition; an item's slot is 32 bits and the last number means "none". */
#define SLOT_NONE UINT32_MAX

/* version = epoch << VERSION_SEQUENCE_BITS | sequence */
#define VERSION_SEQUENCE_BITS 40u

static_assert(KEY_SIZE_MAX <= UINT8_MAX, "struct item keeps the key size in 8 bits");
static_assert(VALUE_SIZE_MAX <= UINT16_MAX, "struct item keeps the value size in 16 bits");
static_assert((PARTITION_COUNT_MAX & (PARTITION_COUNT_MAX - 1)) == 0, "a power of two");
static_assert(PARTITION_COUNT_MAX <= UINT16_MAX, "struct item keeps the partition in 16 bits");
static_assert(SHARD_BATCH_MAX <= 32, "rte_hash bulk lookup of 64 keys is broken");

#endif
