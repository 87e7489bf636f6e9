/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of one shard's slots, handed to its partitions in chunks. */
#ifndef STORAGE_SLOT_SPACE_H
#define STORAGE_SLOT_SPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Slots per chunk: 8 KiB, so that 4,096 nearly empty partitions cost little. A slot is one word;
 * partition_layout.h says what is in it.
 */
#define SLOT_CHUNK_BITS 10u
#define SLOT_CHUNK_SLOTS (1u << SLOT_CHUNK_BITS)

/* Address space for every chunk a shard can ever need and for each partition's directory of chunks.
 * It is reserved at creation; taking a chunk is an addition. The kernel makes pages resident when
 * they are first written, which the housekeeper does ahead of the owner.
 *
 * Thread safety: owner core only, but for slot_space_prefault(). The slots themselves are read by
 * anyone: they stay mapped until slot_space_fini().
 */
struct slot_space {
	uint8_t *mapping;
	size_t mapping_size;   /* bytes */
	size_t directory_size; /* bytes, of one partition */
	uintptr_t *slots;
	uint32_t chunk_count; /* handed out: written by the owner, naturally atomic */
	uint32_t chunk_max;
	uint32_t chunk_resident; /* the first so many are (housekeeper) */
};

/* Reserves room for 'slot_max' slots spread in any way over 'partition_count' partitions. 0 or
 * -ENOMEM.
 */
int slot_space_init(struct slot_space *space, uint64_t slot_max, uint32_t partition_count);
/* Accepts a zeroed object. */
void slot_space_fini(struct slot_space *space);

/* The directory of the 'index'-th partition: room for a pointer to every chunk of the space, all
 * NULL.
 */
uintptr_t **slot_space_directory(const struct slot_space *space, uint32_t index);

/* The next chunk, all slots zero; NULL when the reservation is used up. */
uintptr_t *slot_space_take_chunk(struct slot_space *space);

/* Makes the chunks resident that will be taken next (housekeeper: one thread, while the owner
 * works). Returns whether there was anything to do.
 */
bool slot_space_prefault(struct slot_space *space);

#endif
