/* SPDX-License-Identifier: BSD-3-Clause */
/* What a migration's connection brings: frames, control messages, batches of records. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sync_message.h"
#include "controlplane/sync_record.h"
#include "storage/record.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_SIZE_MAX 8192u
/* Frames of an input that mutation tells apart. */
#define FRAME_MAX 32u

static void check_message(const struct sync_frame *frame)
{
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	struct sync_message message;
	struct sync_message again;
	struct sync_frame written;
	size_t size;

	if (sync_message_decode(&message, frame) != 0)
		return;
	size = sync_message_encode(&message, bytes);
	FUZZ_CHECK(size <= sizeof(bytes));
	FUZZ_CHECK(sync_frame_decode(&written, bytes, size) == 0);
	FUZZ_CHECK(written.kind == SYNC_FRAME_CONTROL);
	FUZZ_CHECK(sync_message_decode(&again, &written) == 0);
	/* fields that the kind does not use may get lost on the way; those it uses may not */
	FUZZ_CHECK(again.kind == message.kind && again.partition == message.partition);
	FUZZ_CHECK(again.job == message.job && again.attempt == message.attempt);
	FUZZ_CHECK(again.sender == message.sender && again.generation == message.generation);
	FUZZ_CHECK(sync_message_encode(&again, bytes) == size);
	FUZZ_CHECK(memcmp(bytes + SYNC_FRAME_HEADER_SIZE, written.payload, written.size) == 0);
}

static void check_record(const struct record *record, const struct sync_frame *frame)
{
	const uint8_t *end = frame->payload + frame->size;

	FUZZ_CHECK(record->key_size >= 1 && record->key_size <= KEY_SIZE_MAX);
	FUZZ_CHECK(record->value_size <= VALUE_SIZE_MAX);
	FUZZ_CHECK(record->key > frame->payload && record->key + record->key_size <= end);
	FUZZ_CHECK(record->value_size == 0 || record->value + record->value_size <= end);
	FUZZ_CHECK(!record->is_tombstone ||
		   (record->value_size == 0 && record->expires_at_ms == 0));
}

/* Written anew, record by record, a batch has the same bytes. */
static void check_batch(const struct sync_frame *frame)
{
	static uint8_t bytes[SYNC_FRAME_SIZE_MAX];
	struct sync_batch_writer writer;
	struct record record;
	struct sync_batch batch;
	struct sync_batch again;
	struct sync_frame written;
	uint32_t count = 0;
	size_t offset = 0;
	size_t size;

	if (sync_batch_decode(&batch, frame) != 0)
		return;
	sync_batch_writer_init(&writer, bytes, sizeof(bytes));
	while (sync_batch_next(&batch, &offset, &record)) {
		check_record(&record, frame);
		FUZZ_CHECK(sync_batch_writer_add(&writer, &record));
		count++;
	}
	FUZZ_CHECK(count == batch.count);
	size = sync_batch_writer_finish(&writer, &batch);
	FUZZ_CHECK(sync_frame_decode(&written, bytes, size) == 0);
	FUZZ_CHECK(sync_batch_decode(&again, &written) == 0);
	FUZZ_CHECK(again.kind == batch.kind && again.job == batch.job);
	FUZZ_CHECK(again.attempt == batch.attempt && again.partition == batch.partition);
	FUZZ_CHECK(again.first == batch.first && again.count == batch.count);
	FUZZ_CHECK(again.records_size == batch.records_size);
	FUZZ_CHECK(memcmp(again.records, batch.records, batch.records_size) == 0);
}

/* An input is a stream of frames. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t frame_size;

	while (sync_frame_measure(data, size, &frame_size) == 0 && frame_size <= size) {
		struct sync_frame frame;

		FUZZ_CHECK(frame_size >= SYNC_FRAME_HEADER_SIZE);
		FUZZ_CHECK(frame_size <= SYNC_FRAME_SIZE_MAX);
		if (sync_frame_decode(&frame, data, frame_size) == 0) {
			FUZZ_CHECK(frame.payload == data + SYNC_FRAME_HEADER_SIZE);
			FUZZ_CHECK(frame.size == frame_size - SYNC_FRAME_HEADER_SIZE);
			if (frame.kind == SYNC_FRAME_CONTROL)
				check_message(&frame);
			else
				check_batch(&frame);
		}
		data += frame_size;
		size -= frame_size;
	}
	return 0;
}

/* ---- mutation ---- */

static const uint8_t words[] = "godwit";

static size_t write_message(uint8_t *data, unsigned *seed)
{
	struct sync_message message = {
		.kind = (enum sync_message_kind)(fuzz_below(seed, SYNC_MESSAGE_KIND_MAX) + 1),
		.partition = (uint32_t)fuzz_interesting(seed, 12),
		.job = fuzz_interesting(seed, 64),
		.attempt = (uint32_t)fuzz_interesting(seed, 32),
		.sender = fuzz_interesting(seed, 64),
		.generation = fuzz_interesting(seed, 64),
		.epoch = (uint32_t)fuzz_interesting(seed, 24),
		.owner = fuzz_interesting(seed, 64),
		.items = fuzz_interesting(seed, 64),
		.item_bytes = fuzz_interesting(seed, 64),
		.reason = (enum migration_reason)fuzz_below(seed, MIGRATION_OTHER + 1),
		.busy_job = fuzz_interesting(seed, 64),
		.batch = fuzz_interesting(seed, 64),
		.delta = fuzz_interesting(seed, 64),
		.fence = (uint32_t)fuzz_interesting(seed, 32),
		.digest = fuzz_interesting(seed, 64),
		.version = fuzz_interesting(seed, 64),
		.phase = (uint32_t)fuzz_interesting(seed, 8),
		.is_question = fuzz_below(seed, 2),
	};

	return sync_message_encode(&message, data);
}

static size_t write_batch(uint8_t *data, unsigned *seed)
{
	static uint8_t frame[SYNC_BATCH_FRAME_SIZE_MIN];
	struct sync_batch batch = {
		.kind = fuzz_below(seed, 2) ? SYNC_FRAME_BATCH : SYNC_FRAME_DELTA,
		.job = fuzz_interesting(seed, 64),
		.attempt = (uint32_t)fuzz_interesting(seed, 32),
		.partition = (uint32_t)fuzz_interesting(seed, 12),
		.first = fuzz_interesting(seed, 64),
	};
	struct sync_batch_writer writer;
	size_t size;

	sync_batch_writer_init(&writer, frame, sizeof(frame));
	for (uint32_t left = fuzz_below(seed, 5); left > 0; left--) {
		struct record record = {
			.version = fuzz_interesting(seed, 64),
			.key = words,
			.key_size = (uint8_t)(fuzz_below(seed, 6) + 1),
			.value = words,
			.value_size = (uint16_t)fuzz_below(seed, 7),
			.is_tombstone = fuzz_below(seed, 4) == 0,
		};

		if (record.is_tombstone)
			record.value_size = 0;
		else
			record.expires_at_ms = fuzz_interesting(seed, 48);
		sync_batch_writer_add(&writer, &record);
	}
	size = sync_batch_writer_finish(&writer, &batch);
	memcpy(data, frame, size);
	return size;
}

/* Makes sizes, versions and checksums of all frames right, so that what is in them is looked at. */
static void repair(uint8_t *data, size_t size)
{
	while (size >= SYNC_FRAME_HEADER_SIZE) {
		uint32_t payload_size = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 |
					(uint32_t)data[2] << 8 | data[3];

		if (payload_size > size - SYNC_FRAME_HEADER_SIZE)
			payload_size = (uint32_t)(size - SYNC_FRAME_HEADER_SIZE);
		payload_size = (uint32_t)sync_frame_seal(data, (enum sync_frame_kind)(data[5] % 4),
							 payload_size) -
			       SYNC_FRAME_HEADER_SIZE;
		data += SYNC_FRAME_HEADER_SIZE + payload_size;
		size -= SYNC_FRAME_HEADER_SIZE + payload_size;
	}
}

/* ---- frames as pieces ---- */

/* Where frames begin, as their sizes say, and behind them the end; what is behind the last whole one counts as one, too. */
static uint32_t find_frames(const uint8_t *data, size_t size, size_t bounds[FRAME_MAX + 1])
{
	uint32_t count = 0;
	size_t at = 0;

	while (at < size && count < FRAME_MAX) {
		size_t frame_size;

		bounds[count++] = at;
		if (sync_frame_measure(data + at, size - at, &frame_size) != 0 ||
		    frame_size > size - at)
			frame_size = size - at;
		at += frame_size;
	}
	bounds[count] = at;
	return count;
}

/* The size after; as it was when there is no room. */
static size_t insert(uint8_t *data, size_t size, size_t size_max, size_t at, const uint8_t *piece,
		     size_t piece_size)
{
	if (piece_size == 0 || size > size_max || piece_size > size_max - size)
		return size;
	memmove(data + at + piece_size, data + at, size - at);
	memcpy(data + at, piece, piece_size);
	return size + piece_size;
}

/* A frame comes twice, at another place, or not. */
static size_t change_order(uint8_t *data, size_t size, size_t size_max, unsigned *seed)
{
	static uint8_t piece[INPUT_SIZE_MAX];
	size_t bounds[FRAME_MAX + 1];
	uint32_t count = find_frames(data, size, bounds);
	uint32_t frame = fuzz_below(seed, count);
	size_t at = bounds[frame];
	size_t frame_size = bounds[frame + 1] - at;
	uint32_t what = fuzz_below(seed, 3);

	if (frame_size > sizeof(piece))
		return size;
	memcpy(piece, data + at, frame_size);
	if (what > 0) {
		memmove(data + at, data + at + frame_size, size - at - frame_size);
		size -= frame_size;
		count = find_frames(data, size, bounds);
	}
	if (what == 2)
		return size;
	return insert(data, size, size_max, bounds[fuzz_below(seed, count + 1)], piece, frame_size);
}

/* A field of one record in a batch lies, or one of the batch's own; the frame is sealed again. */
static void change_record(uint8_t *data, size_t size, unsigned *seed)
{
	/* of a record's header, as sync_record.h draws it */
	static const uint8_t fields[] = { 0, 7, 8, 10, 13, 14, 15, 16, 17 };
	size_t bounds[FRAME_MAX + 1];
	uint32_t count = find_frames(data, size, bounds);
	uint32_t frame_number = fuzz_below(seed, count);
	uint8_t *at = data + bounds[frame_number];
	size_t frame_size = bounds[frame_number + 1] - bounds[frame_number];
	struct record record;
	struct sync_frame frame;
	struct sync_batch batch;
	size_t offset = 0;
	size_t next = 0;

	if (sync_frame_decode(&frame, at, frame_size) != 0 ||
	    sync_batch_decode(&batch, &frame) != 0)
		return;
	for (uint32_t i = fuzz_below(seed, batch.count + 1); i > 0; i--) {
		offset = next;
		sync_batch_next(&batch, &next, &record);
	}
	if (next == 0)
		at[SYNC_FRAME_HEADER_SIZE + fuzz_below(seed, SYNC_BATCH_HEADER_SIZE)] =
			(uint8_t)fuzz_interesting(seed, 8);
	else
		at[(size_t)(batch.records - at) + offset +
		   fields[fuzz_below(seed, sizeof(fields))]] = (uint8_t)fuzz_interesting(seed, 8);
	sync_frame_seal(at, frame.kind, frame.size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	size_t room = size_max < INPUT_SIZE_MAX ? size_max : INPUT_SIZE_MAX;
	uint32_t what = fuzz_below(&seed, 8);

	if (what < 2 && size < room && room - size >= 1024) {
		return size +
		       (what ? write_message(data + size, &seed) : write_batch(data + size, &seed));
	}
	if (what == 2 && size > 0)
		return change_order(data, size, size_max, &seed);
	if (what < 5 && size > 0) {
		change_record(data, size, &seed);
		return size;
	}
	size = LLVMFuzzerMutate(data, size, size_max);
	if (fuzz_below(&seed, 8))
		repair(data, size);
	return size;
}

/* The first frames of one stream, and the last ones of another. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size,
				 uint8_t *out, size_t size_max, unsigned seed)
{
	size_t a_bounds[FRAME_MAX + 1];
	size_t b_bounds[FRAME_MAX + 1];
	uint32_t a_count = find_frames(a, a_size, a_bounds);
	uint32_t b_count = find_frames(b, b_size, b_bounds);
	size_t a_part = a_bounds[fuzz_below(&seed, a_count + 1)];
	size_t b_part = b_bounds[fuzz_below(&seed, b_count + 1)];

	if (a_part > size_max)
		a_part = size_max;
	memcpy(out, a, a_part);
	return insert(out, a_part, size_max, a_part, b + b_part, b_size - b_part);
}
