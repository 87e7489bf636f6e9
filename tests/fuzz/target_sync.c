/* SPDX-License-Identifier: BSD-3-Clause */
/* What a migration's connection brings: frames, control messages, batches of records. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sync_message.h"
#include "controlplane/sync_record.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_SIZE_MAX 8192u

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

static void check_record(const struct sync_record *record, const struct sync_frame *frame)
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
	struct sync_record record;
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
		.resize = fuzz_interesting(seed, 64),
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
		struct sync_record record = {
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

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
	size_t room = size_max < INPUT_SIZE_MAX ? size_max : INPUT_SIZE_MAX;

	if (size < room && room - size >= 1024 && fuzz_below(&seed, 4) == 0)
		size += fuzz_below(&seed, 2) ? write_message(data + size, &seed)
					     : write_batch(data + size, &seed);
	else
		size = LLVMFuzzerMutate(data, size, size_max);
	if (fuzz_below(&seed, 8))
		repair(data, size);
	return size;
}
