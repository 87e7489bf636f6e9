/* SPDX-License-Identifier: BSD-3-Clause */
/* A partition on its way to another node: a scan by another thread, and the writes it will not see.
 */
#ifndef STORAGE_PARTITION_EXPORT_H
#define STORAGE_PARTITION_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/delta_ring.h"
#include "storage/item.h"
#include "storage/partition.h"

/* While a partition migrates, its owner serves on and another thread, the scanner, walks its slots
 * once, up to those that were in use at the beginning. A key whose slot the scan has passed, or
 * will never reach, is "migrated": each write to it, and each removal, is copied into the delta
 * ring. So scan and deltas together are the partition, whatever happens in between:
 *
 *      slots:   0 ........ cursor ............ end ............
 *               | migrated |  the scan's, yet  | migrated     |
 *
 * Nothing falls between scan and ring:
 *
 *      owner, writing slot s            scanner, passing slot s
 *      1  slots[s] = item               1  cursor = s + 1
 *      2  full fence                    2  full fence
 *      3  read cursor: s < cursor?      3  read slots[s]
 *         then copy into the ring
 *
 * Of two full fences one comes first in the single order of all of them. If it is the owner's, the
 * scanner's read sees the item, or a later one, of which the same is true. If it is the scanner's,
 * the owner's read sees the cursor behind s, and the write goes into the ring. Both may happen: the
 * record arrives twice, and versions make that harmless. A removal is a write of "nothing": either
 * the scanner finds the slot without the item, or the ring gets a tombstone. Writes before the
 * export began are before it in the owner's program order, and the scanner begins after the owner
 * said so.
 *
 * A key that is removed and inserted again may change its slot across the cursor in either
 * direction; each of its writes obeys the rule for the slot it was made in, and the newest version
 * wins.
 *
 * Thread safety: functions marked (owner) are called by the worker that owns the partition, those
 * marked (scanner) by one other thread, a registered RCU reader, between the owner's begin and end.
 */
struct partition_export;

/* An export whose ring has 'ring_size' bytes, see delta_ring_create(). 0, -ENOMEM or -EINVAL. */
int partition_export_create(struct partition_export **export, size_t ring_size);
/* After partition_end_export(), or before the begin. Accepts NULL. */
void partition_export_destroy(struct partition_export *export);

/* From now on writes are watched (owner). The partition has no other export. */
void partition_begin_export(struct partition *partition, struct partition_export *export);
/* The owner touches the export no more; without an export it does nothing (owner). */
void partition_end_export(struct partition *partition);

/* NULL: it has none (owner). */
struct partition_export *partition_export_of(const struct partition *partition);

/* Whether writes to the slot are to be shipped: the scan has passed it, or will not reach it
 * (owner).
 */
bool partition_is_key_migrated(const struct partition *partition, uint32_t slot);

/* The scan passes all slots up to 'slot' now; to be called before their items are read (scanner). */
void partition_mark_key_migrated(struct partition *partition, uint32_t slot);

/* Passes up to 'slot_max' slots and stores the items it finds there in 'items', which has room for as
 * many; returns how many (scanner). They live until the caller's next quiescent state. Expired items
 * are among them, for they count until they are swept; tombstones are not. The items of the next
 * 'slot_max' slots are on their way from memory when it returns.
 */
uint32_t partition_export_take(struct partition *partition, uint32_t slot_max,
			       const struct item **items);

/* Passes slots until one has an item, and returns that; NULL after 'slot_max' slots without one or
 * at the end (scanner). As partition_export_take(), one slot at a time.
 */
const struct item *partition_export_next(struct partition *partition, uint32_t slot_max);

/* Whether every slot was passed (scanner). */
bool partition_export_is_done(const struct partition *partition);

/* What the owner puts in and the scanner takes out. */
struct delta_ring *partition_export_ring(const struct partition_export *export);

/* --- For partition.c --- */

/* After 'item' was published in its slot, or removed from it by the write 'removal' (0: published);
 * the partition has an export (owner).
 */
void partition_export_write(struct partition *partition, const struct item *item, uint64_t removal);

#endif
