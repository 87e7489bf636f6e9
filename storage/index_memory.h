/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for one index table that goes back to the system when the table is destroyed. */
#ifndef STORAGE_INDEX_MEMORY_H
#define STORAGE_INDEX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One DPDK heap over one mapping. rte_free() returns nothing to the system without huge pages, and
 * the EAL's own heap is small then; a heap per table has neither limit. All pages are resident when
 * it is open, so that the owner of the table never waits for a page fault; large ones are asked
 * for, because lookups are random.
 *
 * DPDK has 32 heaps per process. When they run out, or the mapping fails, 'socket_id' names the
 * EAL's own memory and 'address' is NULL: slower to give back, otherwise the same.
 *
 * Thread safety: DPDK locks its list of heaps; one object is used by one thread.
 */
struct index_memory {
	int socket_id; /* for rte_hash_parameters and rte_malloc_socket() */
	void *address;
	size_t size;     /* bytes of address space */
	size_t resident; /* bytes written so far */
	char name[32];
};

/* Reserves 'size' bytes under the unique 'name'. Never fails: falls back to the EAL's memory. */
void index_memory_init(struct index_memory *memory, const char *name, size_t size);

/* Makes at most 'size_max' bytes more resident. True when all are: then index_memory_open() is
 * fast.
 */
bool index_memory_prefault(struct index_memory *memory, size_t size_max);

/* Makes the memory allocatable from 'socket_id'. Never fails: falls back to the EAL's memory. */
void index_memory_open(struct index_memory *memory);

/* Gives the whole huge pages within 'size' bytes at 'start' back to the kernel, all zero by now: they read as zero, and are
 * made again when written. Returns the first of these bytes, '*size' is how many; 0 when they are not of this memory.
 */
uint8_t *index_memory_give_back(const struct index_memory *memory, uint8_t *start, size_t *size);

/* Makes 'size' bytes at 'start' resident without changing them: others may be writing there. */
void index_memory_touch(uint8_t *start, size_t size);

/* Returns the memory, open or not. Everything allocated from it must have been freed. */
void index_memory_fini(struct index_memory *memory);

#endif
