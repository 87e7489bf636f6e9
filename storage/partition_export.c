/* SPDX-License-Identifier: BSD-3-Clause */
/* The scan's cursor, and the writes behind it. */
#include "storage/partition_export.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <urcu-qsbr.h>

#include "storage/partition_layout.h"

struct partition_export {
	_Alignas(64)
		uint32_t cursor;   /* first slot not yet passed: naturally atomic, the scanner's */
	_Alignas(64) uint32_t end; /* first slot the scan leaves out; constant since the begin */
	struct delta_ring *ring;
};

int partition_export_create(struct partition_export **result, size_t ring_size)
{
	struct partition_export *export = aligned_alloc(64, sizeof(*export));
	int error;

	*result = NULL;
	if (!export)
		return -ENOMEM;
	*export = (struct partition_export){ 0 };
	error = delta_ring_create(&export->ring, ring_size);
	if (error != 0) {
		free(export);
		return error;
	}
	*result = export;
	return 0;
}

void partition_export_destroy(struct partition_export *export)
{
	if (!export)
		return;
	delta_ring_destroy(export->ring);
	free(export);
}

struct delta_ring *partition_export_ring(const struct partition_export *export)
{
	return export->ring;
}

/* --- The owner --- */

void partition_begin_export(struct partition *partition, struct partition_export *export)
{
	assert(!partition->export);
	export->cursor = 0;
	export->end = (uint32_t)partition->slot_count;
	__atomic_store_n(&partition->export, export, __ATOMIC_RELEASE);
}

void partition_end_export(struct partition *partition)
{
	__atomic_store_n(&partition->export, NULL, __ATOMIC_RELAXED);
}

struct partition_export *partition_export_of(const struct partition *partition)
{
	return partition->export;
}

bool partition_is_key_migrated(const struct partition *partition, uint32_t slot)
{
	const struct partition_export *export = partition->export;

	return slot < __atomic_load_n(&export->cursor, __ATOMIC_RELAXED) || slot >= export->end;
}

void partition_export_write(struct partition *partition, const struct item *item, uint64_t removal)
{
	struct record record = removal ? record_of_removal(item, removal) : record_of_item(item);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (partition_is_key_migrated(partition, item->slot))
		delta_ring_put(partition->export->ring, &record);
}

/* --- The scanner --- */

void partition_mark_key_migrated(struct partition *partition, uint32_t slot)
{
	__atomic_store_n(&partition->export->cursor, slot + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* A hint: what is there when the scan comes may be something else. */
static void prefetch_item(const struct partition *partition, uint32_t slot)
{
	uintptr_t word = __atomic_load_n(partition_slot_at(partition, slot), __ATOMIC_RELAXED);

	if (!slot_has_item(word))
		return;
	__builtin_prefetch(slot_item(word));
	__builtin_prefetch((const uint8_t *)slot_item(word) + 64);
}

static bool is_tombstone(const struct item *item)
{
	return __atomic_load_n(&item->flags, __ATOMIC_RELAXED) & ITEM_TOMBSTONE;
}

uint32_t partition_export_take(struct partition *partition, uint32_t slot_max,
			       const struct item **items)
{
	const struct partition_export *export = partition->export;
	uint32_t first = export->cursor;
	uint32_t left = export->end - first;
	uint32_t end = first + (slot_max < left ? slot_max : left);
	uint32_t count = 0;

	if (first == end)
		return 0;
	for (uint32_t slot = end; slot < export->end && slot - end < slot_max; slot++)
		prefetch_item(partition, slot);
	partition_mark_key_migrated(partition, end - 1);
	for (uint32_t slot = first; slot < end; slot++) {
		uintptr_t word =
			__atomic_load_n(partition_slot_at(partition, slot), __ATOMIC_CONSUME);

		if (slot_has_item(word) && !is_tombstone(slot_item(word)))
			items[count++] = slot_item(word);
	}
	return count;
}

const struct item *partition_export_next(struct partition *partition, uint32_t slot_max)
{
	const struct item *item;

	for (; slot_max > 0 && !partition_export_is_done(partition); slot_max--) {
		if (partition_export_take(partition, 1, &item) > 0)
			return item;
	}
	return NULL;
}

bool partition_export_is_done(const struct partition *partition)
{
	return partition->export->cursor >= partition->export->end;
}
