/* SPDX-License-Identifier: BSD-3-Clause */
/* Batches of records as bytes: written for speed, read with suspicion. */
#include "controlplane/sync_record.h"

#include <errno.h>
#include <string.h>

#include "dataplane/wire_codec.h"
#include "storage/record.h"

enum batch_offset {
	AT_JOB = 0,
	AT_ATTEMPT = 8,
	AT_PARTITION = 12,
	AT_RESERVED = 14,
	AT_FIRST = 16,
	AT_COUNT = 24,
};
static_assert((unsigned)AT_COUNT + sizeof(uint32_t) == SYNC_BATCH_HEADER_SIZE,
	      "the records follow their count");

enum record_offset {
	AT_VERSION = 0,
	AT_EXPIRES_HIGH = 8,
	AT_EXPIRES_LOW = 10,
	AT_VALUE_SIZE = 14,
	AT_KEY_SIZE = 16,
	AT_FLAGS = 17,
};
static_assert((unsigned)AT_FLAGS + 1 == SYNC_RECORD_HEADER_SIZE, "the key follows the flags");

#define RECORD_TOMBSTONE 0x01u

#define RECORDS_AT (SYNC_FRAME_HEADER_SIZE + SYNC_BATCH_HEADER_SIZE)

void sync_batch_writer_init(struct sync_batch_writer *writer, uint8_t *bytes, size_t size_max)
{
	assert(size_max >= SYNC_BATCH_FRAME_SIZE_MIN && size_max <= SYNC_FRAME_SIZE_MAX);
	writer->bytes = bytes;
	writer->size_max = size_max;
	writer->size = RECORDS_AT;
	writer->count = 0;
}

bool sync_batch_writer_add(struct sync_batch_writer *writer, const struct record *record)
{
	size_t size = SYNC_RECORD_HEADER_SIZE + (size_t)record->key_size + record->value_size;
	uint8_t *at = writer->bytes + writer->size;

	if (size > writer->size_max - writer->size)
		return false;
	wire_put_u64(at + AT_VERSION, record->version);
	wire_put_u16(at + AT_EXPIRES_HIGH, (uint16_t)(record->expires_at_ms >> 32));
	wire_put_u32(at + AT_EXPIRES_LOW, (uint32_t)record->expires_at_ms);
	wire_put_u16(at + AT_VALUE_SIZE, record->value_size);
	at[AT_KEY_SIZE] = record->key_size;
	at[AT_FLAGS] = record->is_tombstone ? RECORD_TOMBSTONE : 0;
	at += SYNC_RECORD_HEADER_SIZE;
	memcpy(at, record->key, record->key_size);
	if (record->value_size > 0)
		memcpy(at + record->key_size, record->value, record->value_size);
	writer->size += size;
	writer->count++;
	return true;
}

size_t sync_batch_writer_finish(struct sync_batch_writer *writer, const struct sync_batch *batch)
{
	uint8_t *at = writer->bytes + SYNC_FRAME_HEADER_SIZE;

	wire_put_u64(at + AT_JOB, batch->job);
	wire_put_u32(at + AT_ATTEMPT, batch->attempt);
	wire_put_u16(at + AT_PARTITION, (uint16_t)batch->partition);
	wire_put_u16(at + AT_RESERVED, 0);
	wire_put_u64(at + AT_FIRST, batch->first);
	wire_put_u32(at + AT_COUNT, writer->count);
	return sync_frame_seal(writer->bytes, batch->kind, writer->size - SYNC_FRAME_HEADER_SIZE);
}

static bool record_is_valid(const struct record *record)
{
	if (record->version == 0 || record->key_size == 0 || record->key_size > KEY_SIZE_MAX)
		return false;
	if (record->is_tombstone)
		return record->value_size == 0 && record->expires_at_ms == 0;
	return record->value_size <= VALUE_SIZE_MAX;
}

/* The record at 'at' of which 'size' bytes are there. Returns its size, 0 when it is malformed. */
static size_t read_record(const uint8_t *at, size_t size, struct record *record)
{
	size_t record_size;

	if (size < SYNC_RECORD_HEADER_SIZE || at[AT_FLAGS] > RECORD_TOMBSTONE)
		return 0;
	record->version = wire_get_u64(at + AT_VERSION);
	record->expires_at_ms = (uint64_t)wire_get_u16(at + AT_EXPIRES_HIGH) << 32 |
				wire_get_u32(at + AT_EXPIRES_LOW);
	record->value_size = wire_get_u16(at + AT_VALUE_SIZE);
	record->key_size = at[AT_KEY_SIZE];
	record->is_tombstone = at[AT_FLAGS] & RECORD_TOMBSTONE;
	record->key = at + SYNC_RECORD_HEADER_SIZE;
	record->value = record->key + record->key_size;
	record_size = SYNC_RECORD_HEADER_SIZE + (size_t)record->key_size + record->value_size;
	return record_size <= size && record_is_valid(record) ? record_size : 0;
}

static bool records_are_valid(const struct sync_batch *batch)
{
	struct record record;
	size_t offset = 0;

	for (uint32_t i = 0; i < batch->count; i++) {
		size_t size =
			read_record(batch->records + offset, batch->records_size - offset, &record);

		if (size == 0)
			return false;
		offset += size;
	}
	return offset == batch->records_size;
}

int sync_batch_decode(struct sync_batch *batch, const struct sync_frame *frame)
{
	const uint8_t *at = frame->payload;

	if (frame->kind == SYNC_FRAME_CONTROL || frame->size < SYNC_BATCH_HEADER_SIZE)
		return -EINVAL;
	batch->kind = frame->kind;
	batch->job = wire_get_u64(at + AT_JOB);
	batch->attempt = wire_get_u32(at + AT_ATTEMPT);
	batch->partition = wire_get_u16(at + AT_PARTITION);
	batch->first = wire_get_u64(at + AT_FIRST);
	batch->count = wire_get_u32(at + AT_COUNT);
	batch->records = at + SYNC_BATCH_HEADER_SIZE;
	batch->records_size = frame->size - SYNC_BATCH_HEADER_SIZE;
	if (batch->job == 0 || batch->attempt == 0 || batch->partition >= PARTITION_COUNT_MAX ||
	    batch->first == 0 || batch->count == 0 || batch->first > UINT64_MAX - batch->count)
		return -EINVAL;
	return records_are_valid(batch) ? 0 : -EINVAL;
}

bool sync_batch_next(const struct sync_batch *batch, size_t *offset, struct record *record)
{
	size_t size = read_record(batch->records + *offset, batch->records_size - *offset, record);

	*offset += size;
	return size > 0;
}
