/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames, control messages and record batches: round trips, truncation, corruption, malice. */
#include "controlplane/sync_frame.h"
#include "controlplane/sync_message.h"
#include "controlplane/sync_record.h"
#include "storage/record.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#define FRAME_SIZE 65536u

static struct sync_message message_of_kind(enum sync_message_kind kind)
{
	return (struct sync_message){
		.kind = kind,
		.partition = 4095,
		.job = UINT64_C(0x0123456789abcdef),
		.attempt = 3,
		.sender = UINT64_C(0xfedcba9876543210),
		.generation = UINT64_MAX,
		.epoch = (1u << 24) - 1,
		.owner = UINT64_MAX,
		.items = UINT64_MAX,
		.item_bytes = UINT64_MAX,
		.reason = MIGRATION_OUT_OF_MEMORY,
		.busy_job = UINT64_MAX,
		.batch = UINT64_MAX,
		.delta = UINT64_MAX,
		.fence = UINT32_MAX,
		.digest = UINT64_MAX,
		.version = UINT64_MAX,
		.phase = SYNC_PHASE_SETTLED,
		.is_question = true,
	};
}

static bool messages_are_equal(const struct sync_message *a, const struct sync_message *b)
{
	return a->kind == b->kind && a->partition == b->partition && a->job == b->job &&
	       a->attempt == b->attempt && a->sender == b->sender &&
	       a->generation == b->generation && a->epoch == b->epoch && a->owner == b->owner &&
	       a->items == b->items && a->item_bytes == b->item_bytes && a->reason == b->reason &&
	       a->busy_job == b->busy_job && a->batch == b->batch && a->delta == b->delta &&
	       a->fence == b->fence && a->digest == b->digest && a->version == b->version &&
	       a->phase == b->phase && a->is_question == b->is_question;
}

static int decode_message(struct sync_message *message, const uint8_t *bytes, size_t size)
{
	struct sync_frame frame;
	int result = sync_frame_decode(&frame, bytes, size);

	return result != 0 ? result : sync_message_decode(message, &frame);
}

/* Encodes, decodes and returns the result. */
static int pass_message(const struct sync_message *message, struct sync_message *back)
{
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];

	return decode_message(back, bytes, sync_message_encode(message, bytes));
}

static void test_every_kind_of_message_comes_back_equal(void)
{
	for (uint32_t kind = SYNC_PREPARE; kind <= SYNC_MESSAGE_KIND_MAX; kind++) {
		struct sync_message message = message_of_kind((enum sync_message_kind)kind);
		struct sync_message back;

		CU_ASSERT_EQUAL(pass_message(&message, &back), 0);
		CU_ASSERT(messages_are_equal(&message, &back));
	}
}

static void test_a_message_of_zeros_comes_back_equal(void)
{
	struct sync_message message = {
		.kind = SYNC_ACK, .job = 1, .attempt = 1, .sender = 1, .generation = 1
	};
	struct sync_message back;

	CU_ASSERT_EQUAL(pass_message(&message, &back), 0);
	CU_ASSERT(messages_are_equal(&message, &back));
}

static void test_a_message_without_what_it_needs_is_refused(void)
{
	struct sync_message good = message_of_kind(SYNC_PREPARE);
	struct sync_message bad;
	struct sync_message back;

#define REFUSES(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		change;                                                                            \
		CU_ASSERT_EQUAL(pass_message(&bad, &back), -EINVAL);                               \
	} while (0)
	REFUSES(bad.partition = 4096);
	REFUSES(bad.job = 0);
	REFUSES(bad.attempt = 0);
	REFUSES(bad.sender = 0);
	REFUSES(bad.generation = 0);
	REFUSES(bad.epoch = 1u << 24);
	REFUSES(bad.epoch = 0);
	REFUSES(bad.kind = (enum sync_message_kind)0);
	good.kind = SYNC_ABORT;
	REFUSES(bad.reason = MIGRATION_NO_REASON);
	good.kind = SYNC_NOT_OWNER;
	REFUSES(bad.owner = 0);
	REFUSES(bad.epoch = 0);
#undef REFUSES
}

static void test_a_newer_peer_is_understood_as_far_as_possible(void)
{
	struct sync_message message = message_of_kind(SYNC_ABORT);
	struct sync_message back;
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	size_t size;

	message.reason = (enum migration_reason)1000;
	CU_ASSERT_EQUAL(pass_message(&message, &back), 0);
	CU_ASSERT_EQUAL(back.reason, MIGRATION_OTHER);
	message.kind = (enum sync_message_kind)(SYNC_MESSAGE_KIND_MAX + 1);
	CU_ASSERT_EQUAL(pass_message(&message, &back), -ENOTSUP);
	/* A field with number 1000 that this version does not know: tag, then its value. */
	message = message_of_kind(SYNC_ACK);
	size = sync_message_encode(&message, bytes) - SYNC_FRAME_HEADER_SIZE;
	memcpy(bytes + SYNC_FRAME_HEADER_SIZE + size, "\xc0\x3e\x07", 3);
	size = sync_frame_seal(bytes, SYNC_FRAME_CONTROL, size + 3);
	CU_ASSERT_EQUAL(decode_message(&back, bytes, size), 0);
	CU_ASSERT(messages_are_equal(&message, &back));
}

static void test_a_message_cut_at_any_byte_is_refused(void)
{
	struct sync_message message = message_of_kind(SYNC_FINAL);
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	size_t size = sync_message_encode(&message, bytes);
	struct sync_message back;

	for (size_t cut = 0; cut < size; cut++)
		CU_ASSERT_NOT_EQUAL(decode_message(&back, bytes, cut), 0);
	/* Cut by somebody who seals it anew: never more than the fields that are left. */
	for (size_t cut = 0; cut < size - SYNC_FRAME_HEADER_SIZE; cut++) {
		uint8_t copy[SYNC_MESSAGE_FRAME_SIZE_MAX];
		size_t copy_size;

		memcpy(copy, bytes, size);
		copy_size = sync_frame_seal(copy, SYNC_FRAME_CONTROL, cut);
		if (decode_message(&back, copy, copy_size) == 0)
			CU_ASSERT_EQUAL(back.is_question, false);
	}
}

static void test_a_stream_tells_where_its_frames_end(void)
{
	struct sync_message message = message_of_kind(SYNC_ACK);
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	size_t size = sync_message_encode(&message, bytes);
	size_t measured = 0;

	for (size_t i = 0; i < SYNC_FRAME_HEADER_SIZE; i++)
		CU_ASSERT_EQUAL(sync_frame_measure(bytes, i, &measured), -EAGAIN);
	CU_ASSERT_EQUAL(sync_frame_measure(bytes, SYNC_FRAME_HEADER_SIZE, &measured), 0);
	CU_ASSERT_EQUAL(measured, size);
	bytes[4]++;
	CU_ASSERT_EQUAL(sync_frame_measure(bytes, size, &measured), -EPROTO);
	bytes[4]--;
	bytes[0] = 1;
	CU_ASSERT_EQUAL(sync_frame_measure(bytes, size, &measured), -EMSGSIZE);
}

static void test_any_flipped_bit_of_a_frame_is_found(void)
{
	struct sync_message message = message_of_kind(SYNC_COMMIT);
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	size_t size = sync_message_encode(&message, bytes);
	struct sync_message back;

	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
		CU_ASSERT_NOT_EQUAL(decode_message(&back, bytes, size), 0);
		bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ 1u << bit % 8);
	}
	bytes[size - 1] ^= 0x80;
	CU_ASSERT_EQUAL(decode_message(&back, bytes, size), -EBADMSG);
}

/* ---- records ---- */

static const struct sync_batch batch_ids = {
	.kind = SYNC_FRAME_BATCH, .job = 7, .attempt = 2, .partition = 63, .first = 5
};

static struct record item(const char *key, const char *value, uint64_t version)
{
	return (struct record){ .version = version,
				.expires_at_ms = UINT64_C(0xfedcba987654),
				.key = (const uint8_t *)key,
				.key_size = (uint8_t)strlen(key),
				.value = (const uint8_t *)value,
				.value_size = (uint16_t)strlen(value) };
}

static struct record tombstone(const char *key, uint64_t version)
{
	return (struct record){ .version = version,
				.key = (const uint8_t *)key,
				.key_size = (uint8_t)strlen(key),
				.is_tombstone = true };
}

/* A frame of an item, a tombstone and an item with an empty value. */
static size_t write_three(uint8_t *bytes)
{
	struct record records[] = { item("apple", "red", 1), tombstone("pear", UINT64_MAX),
				    item("plum", "", 3) };
	struct sync_batch_writer writer;

	sync_batch_writer_init(&writer, bytes, FRAME_SIZE);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT(sync_batch_writer_add(&writer, &records[i]));
	return sync_batch_writer_finish(&writer, &batch_ids);
}

static int decode_batch(struct sync_batch *batch, const uint8_t *bytes, size_t size)
{
	struct sync_frame frame;
	int result = sync_frame_decode(&frame, bytes, size);

	return result != 0 ? result : sync_batch_decode(batch, &frame);
}

static void test_records_come_back_equal(void)
{
	uint8_t bytes[FRAME_SIZE];
	size_t size = write_three(bytes);
	struct sync_batch batch;
	struct record record;
	size_t offset = 0;

	CU_ASSERT_EQUAL_FATAL(decode_batch(&batch, bytes, size), 0);
	CU_ASSERT_EQUAL(batch.kind, SYNC_FRAME_BATCH);
	CU_ASSERT_EQUAL(batch.job, 7);
	CU_ASSERT_EQUAL(batch.attempt, 2);
	CU_ASSERT_EQUAL(batch.partition, 63);
	CU_ASSERT_EQUAL(batch.first, 5);
	CU_ASSERT_EQUAL(batch.count, 3);
	CU_ASSERT_EQUAL(sync_batch_last(&batch), 7);

	CU_ASSERT_FATAL(sync_batch_next(&batch, &offset, &record));
	CU_ASSERT_EQUAL(record.version, 1);
	CU_ASSERT_EQUAL(record.expires_at_ms, UINT64_C(0xfedcba987654));
	CU_ASSERT(record.key_size == 5 && memcmp(record.key, "apple", 5) == 0);
	CU_ASSERT(record.value_size == 3 && memcmp(record.value, "red", 3) == 0);
	CU_ASSERT_FALSE(record.is_tombstone);
	CU_ASSERT_FATAL(sync_batch_next(&batch, &offset, &record));
	CU_ASSERT_EQUAL(record.version, UINT64_MAX);
	CU_ASSERT(record.key_size == 4 && memcmp(record.key, "pear", 4) == 0);
	CU_ASSERT(record.is_tombstone);
	CU_ASSERT_FATAL(sync_batch_next(&batch, &offset, &record));
	CU_ASSERT_EQUAL(record.value_size, 0);
	CU_ASSERT_FALSE(record.is_tombstone);
	CU_ASSERT_FALSE(sync_batch_next(&batch, &offset, &record));
}

static void test_the_largest_record_fits_the_smallest_buffer(void)
{
	static uint8_t bytes[SYNC_BATCH_FRAME_SIZE_MIN];
	static uint8_t value[VALUE_SIZE_MAX];
	uint8_t key[KEY_SIZE_MAX] = { 1 };
	struct record record = { .version = 1,
				 .key = key,
				 .key_size = KEY_SIZE_MAX,
				 .value = value,
				 .value_size = VALUE_SIZE_MAX };
	struct record small = item("k", "", 2);
	struct sync_batch_writer writer;
	struct sync_batch batch;
	size_t size;

	memset(value, 'v', sizeof(value));
	sync_batch_writer_init(&writer, bytes, sizeof(bytes));
	CU_ASSERT(sync_batch_writer_add(&writer, &record));
	CU_ASSERT_FALSE(sync_batch_writer_add(&writer, &small));
	size = sync_batch_writer_finish(&writer, &batch_ids);
	CU_ASSERT_EQUAL(size, sizeof(bytes));
	CU_ASSERT_EQUAL(decode_batch(&batch, bytes, size), 0);
	CU_ASSERT_EQUAL(batch.count, 1);
}

static void test_a_batch_cut_at_any_byte_is_refused(void)
{
	uint8_t bytes[FRAME_SIZE];
	size_t size = write_three(bytes);
	struct sync_batch batch;

	for (size_t cut = 0; cut < size; cut++)
		CU_ASSERT_NOT_EQUAL(decode_batch(&batch, bytes, cut), 0);
	for (size_t cut = 0; cut < size - SYNC_FRAME_HEADER_SIZE; cut++) {
		uint8_t copy[1024];

		memcpy(copy, bytes, size);
		CU_ASSERT_EQUAL(
			decode_batch(&batch, copy, sync_frame_seal(copy, SYNC_FRAME_BATCH, cut)),
			-EINVAL);
	}
}

/* Changes the byte at 'at' of the payload to 'to', seals the frame anew and decodes it. */
static int decode_changed(size_t at, uint8_t to)
{
	uint8_t bytes[FRAME_SIZE];
	size_t size = write_three(bytes);
	struct sync_batch batch;

	bytes[SYNC_FRAME_HEADER_SIZE + at] = to;
	size = sync_frame_seal(bytes, SYNC_FRAME_BATCH, size - SYNC_FRAME_HEADER_SIZE);
	return decode_batch(&batch, bytes, size);
}

static void test_malformed_records_are_refused(void)
{
	const size_t first = SYNC_BATCH_HEADER_SIZE;
	const size_t second = first + SYNC_RECORD_HEADER_SIZE + 8;

	CU_ASSERT_EQUAL(decode_changed(0, 0), 0);
	CU_ASSERT_EQUAL(decode_changed(7, 0), -EINVAL);             /* job 0 */
	CU_ASSERT_EQUAL(decode_changed(11, 0), -EINVAL);            /* attempt 0 */
	CU_ASSERT_EQUAL(decode_changed(12, 0x10), -EINVAL);         /* partition 4,096 + 63 */
	CU_ASSERT_EQUAL(decode_changed(23, 0), -EINVAL);            /* first 0 */
	CU_ASSERT_EQUAL(decode_changed(27, 2), -EINVAL);            /* one record too many */
	CU_ASSERT_EQUAL(decode_changed(27, 4), -EINVAL);            /* one too few */
	CU_ASSERT_EQUAL(decode_changed(27, 0), -EINVAL);            /* none */
	CU_ASSERT_EQUAL(decode_changed(first + 7, 0), -EINVAL);     /* version 0 */
	CU_ASSERT_EQUAL(decode_changed(first + 14, 0xff), -EINVAL); /* value too long */
	CU_ASSERT_EQUAL(decode_changed(first + 16, 0), -EINVAL);    /* no key */
	CU_ASSERT_EQUAL(decode_changed(first + 16, 251), -EINVAL);  /* key too long */
	CU_ASSERT_EQUAL(decode_changed(first + 17, 2), -EINVAL);    /* unknown flag */
	CU_ASSERT_EQUAL(decode_changed(first + 17, 1), -EINVAL);    /* a tombstone with a value */
	CU_ASSERT_EQUAL(decode_changed(second + 13, 1), -EINVAL);   /* a tombstone that expires */
	CU_ASSERT_EQUAL(decode_changed(second + 17, 0), 0);         /* an item, as good as any */
}

static void test_kinds_of_frames_are_not_mixed_up(void)
{
	struct sync_message message = message_of_kind(SYNC_ACK);
	uint8_t bytes[FRAME_SIZE];
	size_t size = sync_message_encode(&message, bytes);
	struct sync_batch batch;

	CU_ASSERT_EQUAL(decode_batch(&batch, bytes, size), -EINVAL);
	size = write_three(bytes);
	CU_ASSERT_EQUAL(decode_message(&message, bytes, size), -EINVAL);
	bytes[5] = 4;
	CU_ASSERT_EQUAL(decode_batch(&batch, bytes, size), -EINVAL);
}

static void test_random_bytes_never_pass(void)
{
	uint64_t seed = 3;

	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t bytes[256];
		struct sync_message message;
		struct sync_batch batch;
		size_t size = SYNC_FRAME_HEADER_SIZE + unit_random(&seed) % 200;

		for (size_t b = 0; b < sizeof(bytes); b++)
			bytes[b] = (uint8_t)unit_random(&seed);
		CU_ASSERT_NOT_EQUAL(decode_message(&message, bytes, size), 0);
		/* Sealed, so that the decoders behind the checksum see them too. */
		sync_frame_seal(bytes, SYNC_FRAME_DELTA, size - SYNC_FRAME_HEADER_SIZE);
		CU_ASSERT_EQUAL(decode_batch(&batch, bytes, size), -EINVAL);
		sync_frame_seal(bytes, SYNC_FRAME_CONTROL, size - SYNC_FRAME_HEADER_SIZE);
		if (decode_message(&message, bytes, size) == 0)
			CU_ASSERT(message.job != 0 && message.sender != 0);
	}
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_every_kind_of_message_comes_back_equal),
		UNIT_TEST(test_a_message_of_zeros_comes_back_equal),
		UNIT_TEST(test_a_message_without_what_it_needs_is_refused),
		UNIT_TEST(test_a_newer_peer_is_understood_as_far_as_possible),
		UNIT_TEST(test_a_message_cut_at_any_byte_is_refused),
		UNIT_TEST(test_a_stream_tells_where_its_frames_end),
		UNIT_TEST(test_any_flipped_bit_of_a_frame_is_found),
		UNIT_TEST(test_records_come_back_equal),
		UNIT_TEST(test_the_largest_record_fits_the_smallest_buffer),
		UNIT_TEST(test_a_batch_cut_at_any_byte_is_refused),
		UNIT_TEST(test_malformed_records_are_refused),
		UNIT_TEST(test_kinds_of_frames_are_not_mixed_up),
		UNIT_TEST(test_random_bytes_never_pass),
		{ NULL, NULL },
	};

	return unit_run("sync_message", tests);
}
