/* SPDX-License-Identifier: BSD-3-Clause */
/* Records in one piece each, one behind the other; a filler where the next would not fit before the
 * end of the memory.
 */
#include "storage/delta_ring.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* What stands before key and value; both together are rounded up to ENTRY_ALIGN. */
struct entry {
	uint32_t size; /* bytes of the whole entry */
	uint16_t value_size;
	uint8_t key_size; /* 0 = a filler */
	bool is_tombstone;
	uint64_t version;
	uint64_t expires_at_ms;
	uint8_t bytes[];
};

#define ENTRY_ALIGN 8u
#define HUGE_PAGE_SIZE ((size_t)2 << 20)
#define ENTRY_SIZE_MAX (sizeof(struct entry) + KEY_SIZE_MAX + VALUE_SIZE_MAX + ENTRY_ALIGN)

static_assert(sizeof(struct entry) % ENTRY_ALIGN == 0, "entries are aligned");
static_assert(2 * ENTRY_SIZE_MAX <= DELTA_RING_SIZE_MIN, "a record fits behind a filler");

/* Positions count bytes for ever; memory repeats. */
struct delta_ring {
	uint8_t *bytes;
	uint64_t size;

	/* Writer. */
	_Alignas(64) uint64_t tail; /* released behind the bytes */
	uint64_t last;              /* released behind 'tail' */
	uint64_t head_seen;         /* 'head' when last looked */
	bool is_dirty;

	/* Reader. */
	_Alignas(64) uint64_t head; /* released when the bytes before are not needed any more */
	uint64_t taken;
	uint64_t tail_seen;
};

int delta_ring_create(struct delta_ring **result, size_t size_bytes)
{
	struct delta_ring *ring;

	*result = NULL;
	if (size_bytes < DELTA_RING_SIZE_MIN || (size_bytes & (size_bytes - 1)) != 0)
		return -EINVAL;
	ring = aligned_alloc(64, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	*ring = (struct delta_ring){ .size = size_bytes };
	ring->bytes = aligned_alloc(size_bytes < HUGE_PAGE_SIZE ? 64 : HUGE_PAGE_SIZE, size_bytes);
	if (!ring->bytes) {
		free(ring);
		return -ENOMEM;
	}
	if (size_bytes >= HUGE_PAGE_SIZE) /* a wish: then it is resident in a tenth of the time */
		madvise(ring->bytes, size_bytes, MADV_HUGEPAGE);
	memset(ring->bytes, 0xff, size_bytes); /* resident; zeros could be left to a later fault */
	*result = ring;
	return 0;
}

void delta_ring_destroy(struct delta_ring *ring)
{
	if (!ring)
		return;
	free(ring->bytes);
	free(ring);
}

/* --- The writer --- */

static struct entry *entry_at(const struct delta_ring *ring, uint64_t position)
{
	return (struct entry *)(void *)(ring->bytes + (position & (ring->size - 1)));
}

/* Whether 'size' bytes behind the tail are free. */
static bool has_room(struct delta_ring *ring, uint64_t size)
{
	if (ring->size - (ring->tail - ring->head_seen) >= size)
		return true;
	ring->head_seen = __atomic_load_n(&ring->head, __ATOMIC_ACQUIRE);
	return ring->size - (ring->tail - ring->head_seen) >= size;
}

static void write_entry(struct entry *entry, const struct record *record, uint32_t size)
{
	entry->size = size;
	entry->value_size = record->value_size;
	entry->key_size = record->key_size;
	entry->is_tombstone = record->is_tombstone;
	entry->version = record->version;
	entry->expires_at_ms = record->expires_at_ms;
	memcpy(entry->bytes, record->key, record->key_size);
	if (record->value_size > 0)
		memcpy(entry->bytes + record->key_size, record->value, record->value_size);
}

void delta_ring_put(struct delta_ring *ring, const struct record *record)
{
	uint32_t size = ((uint32_t)sizeof(struct entry) + record->key_size + record->value_size +
			 ENTRY_ALIGN - 1) /
			ENTRY_ALIGN * ENTRY_ALIGN;
	uint64_t left = ring->size - (ring->tail & (ring->size - 1));
	uint64_t filler = left < size ? left : 0;

	if (ring->is_dirty)
		return;
	if (!has_room(ring, filler + size)) {
		__atomic_store_n(&ring->is_dirty, true, __ATOMIC_RELEASE);
		return;
	}
	if (filler > 0) { /* of eight bytes at least: only its size and its kind are written */
		struct entry *end = entry_at(ring, ring->tail);

		end->size = (uint32_t)filler;
		end->key_size = 0;
	}
	write_entry(entry_at(ring, ring->tail + filler), record, size);
	__atomic_store_n(&ring->tail, ring->tail + filler + size, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->last, ring->last + 1, __ATOMIC_RELEASE);
}

/* --- The reader --- */

bool delta_ring_take(struct delta_ring *ring, struct record *record)
{
	const struct entry *entry;

	if (ring->taken == ring->tail_seen) {
		ring->tail_seen = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);
		if (ring->taken == ring->tail_seen)
			return false;
	}
	entry = entry_at(ring, ring->taken);
	if (entry->key_size == 0) { /* a record follows: both were published together */
		ring->taken += entry->size;
		entry = entry_at(ring, ring->taken);
	}
	ring->taken += entry->size;
	*record = (struct record){
		.version = entry->version,
		.expires_at_ms = entry->expires_at_ms,
		.key = entry->bytes,
		.value = entry->bytes + entry->key_size,
		.value_size = entry->value_size,
		.key_size = entry->key_size,
		.is_tombstone = entry->is_tombstone,
	};
	return true;
}

void delta_ring_release(struct delta_ring *ring)
{
	__atomic_store_n(&ring->head, ring->taken, __ATOMIC_RELEASE);
}

/* --- Any thread --- */

uint64_t delta_ring_last(const struct delta_ring *ring)
{
	return __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);
}

bool delta_ring_is_dirty(const struct delta_ring *ring)
{
	return __atomic_load_n(&ring->is_dirty, __ATOMIC_ACQUIRE);
}
