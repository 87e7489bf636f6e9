/* SPDX-License-Identifier: BSD-3-Clause */
/* One reservation: directories first, chunks after them. */
#include "storage/slot_space.h"

#include <errno.h>
#include <sys/mman.h>

#define HUGE_PAGE_SIZE ((size_t)2 << 20)
#define PAGE_SIZE ((size_t)4 << 10)

/* Chunks kept resident ahead of the owner: a huge page full. */
#define CHUNKS_AHEAD (HUGE_PAGE_SIZE / (SLOT_CHUNK_SLOTS * sizeof(uintptr_t)))

static size_t round_up(size_t size, size_t unit)
{
	return (size + unit - 1) / unit * unit;
}

int slot_space_init(struct slot_space *space, uint64_t slot_max, uint32_t partition_count)
{
	size_t chunk_max = slot_max / SLOT_CHUNK_SLOTS + partition_count;
	/* One entry more than chunks: it stays NULL, where a partition that took all of them looks
	 * for the next.
	 */
	size_t directory_size = round_up((chunk_max + 1) * sizeof(uintptr_t *), PAGE_SIZE);
	size_t directories_size = round_up(directory_size * partition_count, HUGE_PAGE_SIZE);
	size_t slots_size = chunk_max * SLOT_CHUNK_SLOTS * sizeof(uintptr_t);
	size_t mapping_size = directories_size + slots_size + HUGE_PAGE_SIZE;
	uint8_t *mapping = mmap(NULL, mapping_size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*space = (struct slot_space){ 0 };
	if (mapping == MAP_FAILED)
		return -ENOMEM;
	space->mapping = mapping;
	space->mapping_size = mapping_size;
	space->directory_size = directory_size;
	space->slots = (uintptr_t *)round_up((uintptr_t)mapping + directories_size, HUGE_PAGE_SIZE);
	space->chunk_max = (uint32_t)chunk_max;
	madvise(space->slots, slots_size, MADV_HUGEPAGE);
	for (uint32_t i = 0; i < partition_count; i++) /* resident from the start */
		*(volatile uintptr_t *)slot_space_directory(space, i) = 0;
	slot_space_prefault(space);
	return 0;
}

void slot_space_fini(struct slot_space *space)
{
	if (space->mapping)
		munmap(space->mapping, space->mapping_size);
	space->mapping = NULL;
}

uintptr_t **slot_space_directory(const struct slot_space *space, uint32_t index)
{
	return (uintptr_t **)(void *)(space->mapping + space->directory_size * index);
}

uintptr_t *slot_space_take_chunk(struct slot_space *space)
{
	uint32_t chunk = space->chunk_count;

	if (chunk == space->chunk_max)
		return NULL;
	__atomic_store_n(&space->chunk_count, chunk + 1, __ATOMIC_RELAXED);
	return space->slots + (size_t)chunk * SLOT_CHUNK_SLOTS;
}

/* Writes to a page without changing it: the owner may be writing there. */
static void touch_chunk(struct slot_space *space, uint32_t chunk)
{
	uintptr_t *slots = space->slots + (size_t)chunk * SLOT_CHUNK_SLOTS;

	for (size_t i = 0; i < SLOT_CHUNK_SLOTS; i += PAGE_SIZE / sizeof(*slots))
		__atomic_fetch_or(&slots[i], 0, __ATOMIC_RELAXED);
}

bool slot_space_prefault(struct slot_space *space)
{
	uint64_t wanted = __atomic_load_n(&space->chunk_count, __ATOMIC_RELAXED) + CHUNKS_AHEAD;
	bool touched = false;

	if (wanted > space->chunk_max)
		wanted = space->chunk_max;
	for (; space->chunk_resident < wanted; space->chunk_resident++) {
		touch_chunk(space, space->chunk_resident);
		touched = true;
	}
	return touched;
}
