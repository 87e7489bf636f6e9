/* SPDX-License-Identifier: BSD-3-Clause */
/* Items and tombstones on their way to a partition's target: batches of a scan, and deltas. */
#ifndef CONTROLPLANE_SYNC_RECORD_H
#define CONTROLPLANE_SYNC_RECORD_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/sync_frame.h"
#include "storage/limits.h"

/* The payload of a BATCH or DELTA frame, numbers in network byte order:
 *
 *      0      8          12           14         16       24       28
 *      +------+----------+------------+----------+--------+--------+=========+
 *      | job  | attempt  | partition  | reserved | first  | count  | records |
 *      +------+----------+------------+----------+--------+--------+=========+
 *
 * BATCH: 'first' is the batch's number, from 1 without gaps within an attempt.
 * DELTA: 'first' is the sequence of the first record; the records' sequences have no gaps.
 *
 * A record:
 *
 *      0          8                 14            16          17     18
 *      +----------+-----------------+-------------+-----------+------+=====+=======+
 *      | version  | expires at (ms) | value size  | key size  | flags| key | value |
 *      +----------+-----------------+-------------+-----------+------+=====+=======+
 */
#define SYNC_BATCH_HEADER_SIZE 28u
#define SYNC_RECORD_HEADER_SIZE 18u
#define SYNC_RECORD_SIZE_MAX (SYNC_RECORD_HEADER_SIZE + KEY_SIZE_MAX + VALUE_SIZE_MAX)

/* Bytes that any single record needs, in a frame of its own. */
#define SYNC_BATCH_FRAME_SIZE_MIN                                                                  \
	(SYNC_FRAME_HEADER_SIZE + SYNC_BATCH_HEADER_SIZE + SYNC_RECORD_SIZE_MAX)

static_assert(SYNC_BATCH_FRAME_SIZE_MIN <= SYNC_FRAME_SIZE_MAX, "a frame holds any record");

struct record; /* storage/record.h */

struct sync_batch {
	enum sync_frame_kind kind; /* SYNC_FRAME_BATCH or SYNC_FRAME_DELTA */
	uint64_t job;
	uint32_t attempt;
	uint32_t partition;
	uint64_t first;
	uint32_t count; /* records */
	uint32_t records_size;
	const uint8_t *records;
};

/* The last sequence number of a DELTA. */
static inline uint64_t sync_batch_last(const struct sync_batch *batch)
{
	return batch->first + batch->count - 1;
}

/* Puts a frame together in the caller's buffer. Thread safety: none. */
struct sync_batch_writer {
	uint8_t *bytes;
	size_t size_max;
	size_t size;
	uint32_t count;
};

/* 'size_max' is SYNC_BATCH_FRAME_SIZE_MIN..SYNC_FRAME_SIZE_MAX bytes. */
void sync_batch_writer_init(struct sync_batch_writer *writer, uint8_t *bytes, size_t size_max);

/* False, and nothing changed, when the record does not fit any more. */
bool sync_batch_writer_add(struct sync_batch_writer *writer, const struct record *record);

/* Completes the frame: 'batch' says kind, job, attempt, partition and first. Returns its size. */
size_t sync_batch_writer_finish(struct sync_batch_writer *writer, const struct sync_batch *batch);

/* Reads the payload of 'frame', which must be a BATCH or DELTA, and checks every record, so that
 * no malformed batch is ever applied in part. 0, or -EINVAL. '*batch' points into the frame.
 */
int sync_batch_decode(struct sync_batch *batch, const struct sync_frame *frame);

/* Walks the records of a decoded batch; '*offset' is 0 at the start. False after the last one. */
bool sync_batch_next(const struct sync_batch *batch, size_t *offset, struct record *record);

#endif
