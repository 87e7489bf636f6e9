/* SPDX-License-Identifier: BSD-3-Clause */
/* One external DPDK heap per table. */
#include "storage/index_memory.h"

#include <assert.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define PAGE_SIZE_HUGE ((size_t)2 << 20)

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

/* An aligned range of zero pages, none resident. */
static void *map_aligned(size_t size)
{
	size_t mapped = size + PAGE_SIZE_HUGE;
	uint8_t *start = mmap(NULL, mapped, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *aligned;

	if (start == MAP_FAILED)
		return NULL;
	aligned = (uint8_t *)round_up((uintptr_t)start, PAGE_SIZE_HUGE);
	if (aligned > start)
		munmap(start, (size_t)(aligned - start));
	munmap(aligned + size, (size_t)(start + mapped - (aligned + size)));
	return aligned;
}

/* rte_malloc_heap_memory_add() writes zeros over all of the range. Dropping the pages again leaves the zeros, which
 * is what the heap believes, without the residency. The first page holds the heap's own header.
 */
static void drop_pages(void *address, size_t size)
{
	if (size > PAGE_SIZE_HUGE)
		madvise((uint8_t *)address + PAGE_SIZE_HUGE, size - PAGE_SIZE_HUGE, MADV_DONTNEED);
}

static int open_heap(struct index_memory *memory)
{
	unsigned int pages = (unsigned int)(memory->size / PAGE_SIZE_HUGE);

	if (rte_malloc_heap_create(memory->name) != 0)
		return -1;
	if (rte_malloc_heap_memory_add(memory->name, memory->address, memory->size, NULL, pages,
				       PAGE_SIZE_HUGE) != 0) {
		rte_malloc_heap_destroy(memory->name);
		return -1;
	}
	drop_pages(memory->address, memory->size);
	memory->socket_id = rte_malloc_heap_get_socket(memory->name);
	return 0;
}

void index_memory_open(struct index_memory *memory, const char *name, size_t size)
{
	*memory = (struct index_memory){ .socket_id = SOCKET_ID_ANY };
	snprintf(memory->name, sizeof(memory->name), "%s", name);
	memory->size = round_up(size, PAGE_SIZE_HUGE);
	memory->address = map_aligned(memory->size);
	if (!memory->address)
		return;
	madvise(memory->address, memory->size, MADV_HUGEPAGE);
	if (open_heap(memory) != 0) {
		munmap(memory->address, memory->size);
		memory->address = NULL;
	}
}

void index_memory_close(struct index_memory *memory)
{
	int error;

	if (!memory->address)
		return;
	error = rte_malloc_heap_memory_remove(memory->name, memory->address, memory->size);
	assert(error == 0);
	(void)error;
	rte_malloc_heap_destroy(memory->name);
	munmap(memory->address, memory->size);
	memory->address = NULL;
}
