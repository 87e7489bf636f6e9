/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes on their way from the core that executes them to the thread that ships them: a bounded
 * ring of records, numbered without gaps.
 */
#ifndef STORAGE_DELTA_RING_H
#define STORAGE_DELTA_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/record.h"

/* Records are copied in, numbered 1, 2, 3, ... in the order of the writes. A record that finds no
 * room makes the ring dirty for good: it is left out, and so is every later one, so what is in the
 * ring never has a gap. Nobody waits, nothing is lost in silence.
 *
 * Thread safety: one writer calls the functions marked (writer), one reader those marked (reader);
 * any thread the others.
 */
struct delta_ring;

/* Bytes of the smallest ring: any record fits an empty one. */
#define DELTA_RING_SIZE_MIN (UINT64_C(64) << 10)

/* 'size_bytes' is a power of two, at least DELTA_RING_SIZE_MIN; its memory is resident afterwards,
 * so that the writer meets no page fault. 0, -ENOMEM or -EINVAL.
 */
int delta_ring_create(struct delta_ring **ring, size_t size_bytes);
/* Accepts NULL. */
void delta_ring_destroy(struct delta_ring *ring);

/* Copies 'record' in (writer). */
void delta_ring_put(struct delta_ring *ring, const struct record *record);

/* Takes the next record; false: there is none now. Its key and value stay where they are until
 * delta_ring_release() (reader).
 */
bool delta_ring_take(struct delta_ring *ring, struct record *record);

/* Gives the room of all records taken so far back to the writer (reader). */
void delta_ring_release(struct delta_ring *ring);

/* The number of the newest record, 0 = none yet. All up to it can be taken. */
uint64_t delta_ring_last(const struct delta_ring *ring);

/* Whether a record was left out. */
bool delta_ring_is_dirty(const struct delta_ring *ring);

#endif
