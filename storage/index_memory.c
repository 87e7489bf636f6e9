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
#define PAGE_SIZE_SMALL ((size_t)4 << 10)

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

void index_memory_init(struct index_memory *memory, const char *name, size_t size)
{
	*memory = (struct index_memory){ .socket_id = SOCKET_ID_ANY };
	snprintf(memory->name, sizeof(memory->name), "%s", name);
	memory->size = round_up(size, PAGE_SIZE_HUGE);
	memory->address = map_aligned(memory->size);
	if (memory->address)
		madvise(memory->address, memory->size, MADV_HUGEPAGE);
}

bool index_memory_prefault(struct index_memory *memory, size_t size_max)
{
	volatile uint8_t *bytes = memory->address;

	if (!bytes)
		return true;
	for (size_t i = 0; i < size_max && memory->resident < memory->size; i += PAGE_SIZE_SMALL) {
		bytes[memory->resident] = 0;
		memory->resident += PAGE_SIZE_SMALL;
	}
	return memory->resident == memory->size;
}

static void unmap(struct index_memory *memory)
{
	munmap(memory->address, memory->size);
	memory->address = NULL;
}

static int create_heap(struct index_memory *memory)
{
	unsigned int pages = (unsigned int)(memory->size / PAGE_SIZE_HUGE);

	if (rte_malloc_heap_create(memory->name) != 0)
		return -1;
	if (rte_malloc_heap_memory_add(memory->name, memory->address, memory->size, NULL, pages,
				       PAGE_SIZE_HUGE) != 0) {
		rte_malloc_heap_destroy(memory->name);
		return -1;
	}
	return 0;
}

void index_memory_open(struct index_memory *memory)
{
	if (!memory->address)
		return;
	if (create_heap(memory) != 0) {
		unmap(memory);
		return;
	}
	memory->socket_id = rte_malloc_heap_get_socket(memory->name);
}

uint8_t *index_memory_give_back(const struct index_memory *memory, uint8_t *start, size_t *size)
{
	uintptr_t first = round_up((uintptr_t)start, PAGE_SIZE_HUGE);
	uintptr_t end = ((uintptr_t)start + *size) & ~(PAGE_SIZE_HUGE - 1);
	uintptr_t address = (uintptr_t)memory->address;

	*size = 0;
	if (address == 0 || first < address || end > address + memory->size || first >= end)
		return NULL;
	if (madvise((void *)first, end - first, MADV_DONTNEED) == 0)
		*size = end - first;
	return (uint8_t *)first;
}

void index_memory_touch(uint8_t *start, size_t size)
{
	for (size_t i = 0; i < size; i += PAGE_SIZE_SMALL)
		__atomic_fetch_or(&start[i], 0, __ATOMIC_RELAXED);
}

void index_memory_fini(struct index_memory *memory)
{
	int error;

	if (!memory->address)
		return;
	if (memory->socket_id != SOCKET_ID_ANY) {
		error = rte_malloc_heap_memory_remove(memory->name, memory->address, memory->size);
		assert(error == 0);
		(void)error;
		rte_malloc_heap_destroy(memory->name);
	}
	unmap(memory);
}
