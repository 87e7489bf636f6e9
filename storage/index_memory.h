/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory for one index table that goes back to the system when the table is destroyed. */
#ifndef STORAGE_INDEX_MEMORY_H
#define STORAGE_INDEX_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* One DPDK heap over one mapping. rte_free() returns nothing to the system without huge pages, and the EAL's own heap is
 * small then; a heap per table has neither limit. Pages become resident when first written; MADV_HUGEPAGE is
 * asked for, because lookups are random.
 *
 * DPDK has 32 heaps per process. When they run out, or the mapping fails, 'socket_id' names the EAL's own memory
 * and 'address' is NULL: slower to give back, otherwise the same.
 *
 * Thread safety: DPDK locks its list of heaps; one object is used by one thread.
 */
struct index_memory {
	int socket_id; /* for rte_hash_parameters and rte_malloc_socket() */
	void *address;
	size_t size; /* bytes of address space */
	char name[32];
};

/* Reserves 'size' bytes under the unique 'name'. Never fails: falls back to the EAL's memory. */
void index_memory_open(struct index_memory *memory, const char *name, size_t size);

/* Returns the memory. Everything allocated from it must have been freed. */
void index_memory_close(struct index_memory *memory);

#endif
