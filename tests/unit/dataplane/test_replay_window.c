/* SPDX-License-Identifier: BSD-3-Clause */
/* Replay windows: each write once, the same reply to its copies, honesty where memory ends. */
#include "dataplane/replay_window.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define ID 0x01000005u
#define TOKEN UINT64_C(0x1122334455667788)
#define T0 UINT64_C(1000000)

static struct replay_table *make(uint32_t windows, uint32_t chunks, uint32_t rings)
{
	struct replay_options options = { windows, chunks, rings };
	struct replay_table *table = NULL;

	if (replay_table_create(&table, &options) != 0)
		abort();
	return table;
}

/* The reply of a write: bytes that depend on session and sequence. */
static void make_reply(uint8_t *bytes, size_t size, uint64_t token, uint32_t sequence)
{
	uint64_t random = token ^ sequence;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)unit_random(&random);
}

static enum replay_verdict begin(struct replay_table *table, uint32_t sequence,
				 struct replay_ticket *ticket)
{
	return replay_begin(table, ID, TOKEN, sequence, T0, ticket);
}

/* Begins and commits a write with a reply of 'size' bytes; the verdict of the begin. */
static enum replay_verdict write_once(struct replay_table *table, uint64_t token, uint32_t sequence,
				      size_t size, uint64_t now_ms)
{
	uint8_t reply[REPLAY_RING_SIZE];
	struct replay_ticket ticket;
	enum replay_verdict verdict = replay_begin(table, ID, token, sequence, now_ms, &ticket);

	make_reply(reply, size, token, sequence);
	if (verdict == REPLAY_NEW)
		replay_commit(table, ticket, (uint8_t)(sequence % 255 + 1), reply, size);
	return verdict;
}

/* Sends a copy; true when it is answered by the very bytes of the first answer. */
static bool copy_answered(struct replay_table *table, uint64_t token, uint32_t sequence,
			  size_t size, uint64_t now_ms)
{
	uint8_t wanted[REPLAY_RING_SIZE], got[REPLAY_RING_SIZE];
	struct replay_ticket ticket;
	uint8_t op_count = 0;

	if (replay_begin(table, ID, token, sequence, now_ms, &ticket) != REPLAY_KNOWN)
		return false;
	make_reply(wanted, size, token, sequence);
	return replay_reply_copy(table, ticket, got, &op_count) == size &&
	       memcmp(got, wanted, size) == 0 && op_count == sequence % 255 + 1;
}

static void copy_gets_the_same_bytes(void)
{
	static const size_t sizes[] = { 16, 24,  25,   28,   32,
					48, 256, 1400, 8900, REPLAY_RING_SIZE / 2 };
	struct replay_table *table = make(0, 0, 0);

	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CU_ASSERT_EQUAL(write_once(table, TOKEN, i + 1, sizes[i], T0), REPLAY_NEW);
		CU_ASSERT_TRUE(copy_answered(table, TOKEN, i + 1, sizes[i], T0));
		CU_ASSERT_TRUE(copy_answered(table, TOKEN, i + 1, sizes[i], T0));
	}
	replay_table_destroy(table);
}

static void copy_of_a_running_write_waits(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket first, copy;
	uint8_t reply[16] = { 0 };

	CU_ASSERT_EQUAL(begin(table, 1, &first), REPLAY_NEW);
	CU_ASSERT_EQUAL(begin(table, 1, &copy), REPLAY_IN_PROGRESS);
	CU_ASSERT_EQUAL(begin(table, 2, &copy), REPLAY_NEW);
	replay_commit(table, first, 1, reply, sizeof(reply));
	CU_ASSERT_EQUAL(begin(table, 1, &copy), REPLAY_KNOWN);
	CU_ASSERT_EQUAL(begin(table, 2, &copy), REPLAY_IN_PROGRESS);
	replay_table_destroy(table);
}

static void refused_write_may_come_again(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;

	for (uint32_t sequence = 1; sequence < 5000; sequence += 700) {
		CU_ASSERT_EQUAL(begin(table, sequence, &ticket), REPLAY_NEW);
		replay_cancel(table, ticket);
		CU_ASSERT_EQUAL(begin(table, sequence, &ticket), REPLAY_NEW);
		replay_cancel(table, ticket);
		CU_ASSERT_EQUAL(write_once(table, TOKEN, sequence, 16, T0), REPLAY_NEW);
		CU_ASSERT_TRUE(copy_answered(table, TOKEN, sequence, 16, T0));
	}
	replay_table_destroy(table);
}

static void refused_write_does_not_revive_an_older_one(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;

	CU_ASSERT_EQUAL(write_once(table, TOKEN, 5, 16, T0), REPLAY_NEW);
	CU_ASSERT_EQUAL(begin(table, 5 + REPLAY_WINDOW_SIZE, &ticket), REPLAY_NEW);
	replay_cancel(table, ticket);
	CU_ASSERT_EQUAL(begin(table, 5, &ticket), REPLAY_FORGOTTEN);
	CU_ASSERT_EQUAL(begin(table, 5 + REPLAY_WINDOW_SIZE, &ticket), REPLAY_NEW);
	replay_table_destroy(table);
}

static void sequence_zero_is_never_executed(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;

	CU_ASSERT_EQUAL(begin(table, 0, &ticket), REPLAY_OLD);
	CU_ASSERT_EQUAL(begin(table, UINT32_MAX, &ticket), REPLAY_NEW);
	CU_ASSERT_EQUAL(begin(table, 0, &ticket), REPLAY_OLD);
	replay_table_destroy(table);
}

static void write_behind_the_window_is_old(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;

	for (uint32_t sequence = 1; sequence <= 2 * REPLAY_WINDOW_SIZE; sequence++)
		CU_ASSERT_EQUAL(write_once(table, TOKEN, sequence, 16, T0), REPLAY_NEW);
	for (uint32_t sequence = 1; sequence <= REPLAY_WINDOW_SIZE; sequence++)
		CU_ASSERT_EQUAL(begin(table, sequence, &ticket), REPLAY_OLD);
	for (uint32_t sequence = REPLAY_WINDOW_SIZE + 1; sequence <= 2 * REPLAY_WINDOW_SIZE;
	     sequence++)
		CU_ASSERT_TRUE(copy_answered(table, TOKEN, sequence, 16, T0));
	replay_table_destroy(table);
}

/* A parked write whose slot a newer one took must not touch it when it ends. */
static void overtaken_write_leaves_its_slot_alone(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket parked, ticket;
	uint8_t reply[16] = { 1 };

	CU_ASSERT_EQUAL(begin(table, 5, &parked), REPLAY_NEW);
	CU_ASSERT_EQUAL(write_once(table, TOKEN, 5 + REPLAY_WINDOW_SIZE, 16, T0), REPLAY_NEW);
	replay_commit(table, parked, 1, reply, sizeof(reply));
	CU_ASSERT_TRUE(copy_answered(table, TOKEN, 5 + REPLAY_WINDOW_SIZE, 16, T0));
	CU_ASSERT_EQUAL(begin(table, 5, &ticket), REPLAY_OLD);
	CU_ASSERT_EQUAL(begin(table, 6, &parked), REPLAY_NEW);
	CU_ASSERT_EQUAL(write_once(table, TOKEN, 6 + REPLAY_WINDOW_SIZE, 16, T0), REPLAY_NEW);
	replay_cancel(table, parked);
	CU_ASSERT_TRUE(copy_answered(table, TOKEN, 6 + REPLAY_WINDOW_SIZE, 16, T0));
	CU_ASSERT_EQUAL(begin(table, 7, &parked), REPLAY_NEW);
	CU_ASSERT_EQUAL(begin(table, 7 + REPLAY_WINDOW_SIZE, &ticket), REPLAY_NEW);
	replay_commit(table, parked, 1, reply, sizeof(reply));
	CU_ASSERT_EQUAL(begin(table, 7 + REPLAY_WINDOW_SIZE, &ticket), REPLAY_IN_PROGRESS);
	replay_table_destroy(table);
}

static void overwritten_reply_is_forgotten_not_invented(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;
	uint32_t kept = REPLAY_RING_SIZE / 256;

	for (uint32_t sequence = 1; sequence <= 500; sequence++)
		CU_ASSERT_EQUAL(write_once(table, TOKEN, sequence, 256, T0), REPLAY_NEW);
	for (uint32_t sequence = 1; sequence <= 500 - kept; sequence++)
		CU_ASSERT_EQUAL(begin(table, sequence, &ticket), REPLAY_FORGOTTEN);
	for (uint32_t sequence = 501 - kept; sequence <= 500; sequence++)
		CU_ASSERT_TRUE(copy_answered(table, TOKEN, sequence, 256, T0));
	replay_table_destroy(table);
}

static void oversized_reply_is_forgotten_at_once(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;

	CU_ASSERT_EQUAL(write_once(table, TOKEN, 1, REPLAY_RING_SIZE / 2 + 1, T0), REPLAY_NEW);
	CU_ASSERT_EQUAL(begin(table, 1, &ticket), REPLAY_FORGOTTEN);
	replay_table_destroy(table);
}

static void sessions_do_not_meet(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket;

	for (uint64_t token = 1; token <= 100; token++)
		CU_ASSERT_EQUAL(write_once(table, token, 1, 16 + token, T0), REPLAY_NEW);
	for (uint64_t token = 1; token <= 100; token++)
		CU_ASSERT_TRUE(copy_answered(table, token, 1, 16 + token, T0));
	/* The same token under another id is another session. */
	CU_ASSERT_EQUAL(replay_begin(table, ID + 1, 1, 1, T0, &ticket), REPLAY_NEW);
	replay_table_destroy(table);
}

/* ---- memory ---- */

static void windows_run_out_and_come_back(void)
{
	struct replay_table *table = make(8, 0, 0);
	uint64_t later = T0 + REPLAY_IDLE_MIN_MS;

	for (uint64_t token = 1; token <= 8; token++)
		CU_ASSERT_EQUAL(write_once(table, token, 1, 16, T0), REPLAY_NEW);
	CU_ASSERT_EQUAL(write_once(table, 9, 1, 16, later - 1), REPLAY_NO_WINDOW);
	CU_ASSERT_EQUAL(write_once(table, 1, 2, 16, later - 1),
			REPLAY_NEW); /* number 1 stays in use */
	CU_ASSERT_EQUAL(write_once(table, 9, 1, 16, later), REPLAY_NEW);
	CU_ASSERT_TRUE(copy_answered(table, 1, 1, 16, later));
	CU_ASSERT_TRUE(copy_answered(table, 9, 1, 16, later));
	CU_ASSERT_TRUE(copy_answered(table, 3, 1, 16, later));
	CU_ASSERT_FALSE(copy_answered(table, 2, 1, 16, later)); /* the longest idle one went */
	replay_table_destroy(table);
}

static void chunks_run_out_and_come_back_clean(void)
{
	struct replay_table *table = make(16, 2, 0);
	uint64_t later = T0 + REPLAY_IDLE_MIN_MS;
	struct replay_ticket ticket;

	CU_ASSERT_EQUAL(write_once(table, 1, 1, 16, T0), REPLAY_NEW);
	CU_ASSERT_EQUAL(write_once(table, 2, 1, 16, T0), REPLAY_NEW);
	CU_ASSERT_EQUAL(write_once(table, 3, 1, 16, T0), REPLAY_NO_WINDOW);
	CU_ASSERT_EQUAL(write_once(table, 1, 1 + REPLAY_CHUNK_SLOT_COUNT, 16, T0),
			REPLAY_NO_WINDOW);
	CU_ASSERT_TRUE(copy_answered(table, 1, 1, 16, T0));
	CU_ASSERT_EQUAL(write_once(table, 4, 1, 16, later), REPLAY_NEW);
	for (uint32_t sequence = 2; sequence < 20; sequence++) {
		CU_ASSERT_EQUAL(replay_begin(table, ID, 4, sequence, later, &ticket), REPLAY_NEW);
		replay_cancel(table, ticket);
	}
	replay_table_destroy(table);
}

static void without_a_ring_long_replies_are_forgotten(void)
{
	struct replay_table *table = make(16, 0, 1);
	struct replay_ticket ticket;

	CU_ASSERT_EQUAL(write_once(table, 1, 1, 256, T0), REPLAY_NEW);
	CU_ASSERT_EQUAL(write_once(table, 2, 1, 256, T0), REPLAY_NEW);
	CU_ASSERT_TRUE(copy_answered(table, 1, 1, 256, T0));
	CU_ASSERT_EQUAL(replay_begin(table, ID, 2, 1, T0, &ticket), REPLAY_FORGOTTEN);
	CU_ASSERT_EQUAL(write_once(table, 2, 2, 24, T0), REPLAY_NEW);
	CU_ASSERT_TRUE(copy_answered(table, 2, 2, 24, T0));
	/* An idle session's ring is taken from it. */
	CU_ASSERT_EQUAL(write_once(table, 3, 1, 256, T0 + REPLAY_IDLE_MIN_MS), REPLAY_NEW);
	CU_ASSERT_TRUE(copy_answered(table, 3, 1, 256, T0 + REPLAY_IDLE_MIN_MS));
	replay_table_destroy(table);
}

static void many_sessions_pass_through_a_small_table(void)
{
	struct replay_table *table = make(32, 40, 4);
	uint64_t now = T0;
	unsigned wrong = 0;

	for (uint64_t token = 1; token <= 20000; token++) {
		uint32_t first = (uint32_t)(token * 37);

		now += REPLAY_IDLE_MIN_MS / 8;
		wrong += write_once(table, token, first, 16, now) != REPLAY_NEW;
		wrong += write_once(table, token, first + 1, 100, now) != REPLAY_NEW;
		wrong += !copy_answered(table, token, first, 16, now);
		wrong += token > 1 && !copy_answered(table, token - 1, first - 37, 16, now);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	replay_table_destroy(table);
}

static void bad_options_are_refused(void)
{
	struct replay_options chunks = { 0, REPLAY_POOL_COUNT_MAX + 1, 0 };
	struct replay_options rings = { 0, 0, REPLAY_POOL_COUNT_MAX + 1 };
	struct replay_table *table = NULL;

	CU_ASSERT_EQUAL(replay_table_create(&table, &chunks), -EINVAL);
	CU_ASSERT_EQUAL(replay_table_create(&table, &rings), -EINVAL);
	CU_ASSERT_PTR_NULL(table);
	replay_table_destroy(NULL);
}

/* ---- a model ---- */

enum { MODEL_SESSIONS = 5, MODEL_SPAN = 6000 };

/* What really happened to every sequence. */
struct model {
	bool executed[MODEL_SESSIONS][MODEL_SPAN];
	uint16_t size[MODEL_SESSIONS][MODEL_SPAN];
	uint32_t newest[MODEL_SESSIONS]; /* highest sequence executed */
};

/* Whether the answer to (session, sequence) is right; executes it when it is new. */
static bool model_step(struct replay_table *table, struct model *model, uint32_t session,
		       uint32_t sequence, uint16_t size)
{
	bool executed = model->executed[session][sequence];
	bool in_window = sequence + REPLAY_WINDOW_SIZE > model->newest[session];
	enum replay_verdict verdict = write_once(table, session + 1, sequence, size, T0);

	switch (verdict) {
	case REPLAY_NEW:
		if (executed)
			return false;
		model->executed[session][sequence] = true;
		model->size[session][sequence] = size;
		if (sequence > model->newest[session])
			model->newest[session] = sequence;
		return true;
	case REPLAY_KNOWN:
		return executed && copy_answered(table, session + 1, sequence,
						 model->size[session][sequence], T0);
	case REPLAY_FORGOTTEN:
		return executed && model->size[session][sequence] > REPLAY_SLOT_REPLY_SIZE;
	case REPLAY_OLD:
		return !in_window;
	default:
		return false;
	}
}

/* Senders move forward with reordering, and repeat anything they sent within two windows. */
static void random_copies_and_reordering_match_a_model(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct model *model = calloc(1, sizeof(*model));
	uint32_t head[MODEL_SESSIONS] = { 0 };
	uint64_t random = 12;
	unsigned wrong = 0;

	if (!model)
		abort();
	for (int i = 0; i < 200000; i++) {
		uint32_t session = (uint32_t)(unit_random(&random) % MODEL_SESSIONS);
		uint16_t size =
			(uint16_t)(unit_random(&random) % 4 ? 16 : 16 + unit_random(&random) % 500);
		uint32_t reach = unit_random(&random) % 8 ? 60 : 2 * REPLAY_WINDOW_SIZE;
		uint32_t back = (uint32_t)(unit_random(&random) % reach);

		if (unit_random(&random) % 7 == 0 && head[session] < MODEL_SPAN - 1)
			head[session]++;
		if (head[session] > back)
			wrong += !model_step(table, model, session, head[session] - back, size);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(head[0] > 3 * REPLAY_WINDOW_SIZE);
	free(model);
	replay_table_destroy(table);
}

/* ---- forwarded writes ---- */

static const struct replay_binding there = { .token = 77, .ipv4 = 0x0a000002, .ownership = 5, .port = 7701 };

static void a_forwarded_write_stays_bound_until_it_is_answered(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket, found;
	struct replay_binding binding;
	uint8_t reply[40], got[64];
	uint8_t op_count;

	CU_ASSERT_EQUAL(begin(table, 9, &ticket), REPLAY_NEW);
	CU_ASSERT_FALSE(replay_is_forwarded(table, ID, TOKEN, 9, &found));
	replay_bind(table, ticket, &there);
	for (int copy = 0; copy < 3; copy++) {
		CU_ASSERT_EQUAL(begin(table, 9, &ticket), REPLAY_FORWARDED);
		binding = replay_binding(table, ticket);
		CU_ASSERT_EQUAL(memcmp(&binding, &there, sizeof(there)), 0);
	}
	CU_ASSERT_TRUE(replay_is_forwarded(table, ID, TOKEN, 9, &found));
	CU_ASSERT_FALSE(replay_is_forwarded(table, ID, TOKEN, 10, &found));
	CU_ASSERT_FALSE(replay_is_forwarded(table, ID, TOKEN + 1, 9, &found));
	CU_ASSERT_TRUE(replay_is_forwarded(table, ID, TOKEN, 9, &found));
	memset(reply, 7, sizeof(reply));
	replay_commit(table, found, 2, reply, sizeof(reply));
	CU_ASSERT_FALSE(replay_is_forwarded(table, ID, TOKEN, 9, &found));
	CU_ASSERT_EQUAL(begin(table, 9, &ticket), REPLAY_KNOWN);
	CU_ASSERT_EQUAL(replay_reply_copy(table, ticket, got, &op_count), sizeof(reply));
	CU_ASSERT_EQUAL(memcmp(got, reply, sizeof(reply)), 0);
	CU_ASSERT_EQUAL(op_count, 2);
	replay_table_destroy(table);
}

static void a_binding_ends_with_its_slot_or_is_taken_back(void)
{
	struct replay_table *table = make(0, 0, 0);
	struct replay_ticket ticket, newer, found;
	uint8_t reply[8] = { 0 };

	begin(table, 9, &ticket);
	replay_bind(table, ticket, &there);
	replay_cancel(table, ticket);
	CU_ASSERT_EQUAL(begin(table, 9, &ticket), REPLAY_NEW);
	replay_bind(table, ticket, &there);
	CU_ASSERT_EQUAL(begin(table, 9 + REPLAY_WINDOW_SIZE, &newer), REPLAY_NEW);
	CU_ASSERT_FALSE(replay_is_forwarded(table, ID, TOKEN, 9, &found));
	replay_commit(table, ticket, 1, reply, sizeof(reply)); /* too late: nothing */
	replay_bind(table, ticket, &there);
	CU_ASSERT_EQUAL(begin(table, 9, &ticket), REPLAY_OLD);
	CU_ASSERT_EQUAL(begin(table, 9 + REPLAY_WINDOW_SIZE, &newer), REPLAY_IN_PROGRESS);
	replay_table_destroy(table);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(copy_gets_the_same_bytes),
		UNIT_TEST(copy_of_a_running_write_waits),
		UNIT_TEST(refused_write_may_come_again),
		UNIT_TEST(refused_write_does_not_revive_an_older_one),
		UNIT_TEST(sequence_zero_is_never_executed),
		UNIT_TEST(write_behind_the_window_is_old),
		UNIT_TEST(overtaken_write_leaves_its_slot_alone),
		UNIT_TEST(overwritten_reply_is_forgotten_not_invented),
		UNIT_TEST(oversized_reply_is_forgotten_at_once),
		UNIT_TEST(sessions_do_not_meet),
		UNIT_TEST(windows_run_out_and_come_back),
		UNIT_TEST(chunks_run_out_and_come_back_clean),
		UNIT_TEST(without_a_ring_long_replies_are_forgotten),
		UNIT_TEST(many_sessions_pass_through_a_small_table),
		UNIT_TEST(bad_options_are_refused),
		UNIT_TEST(random_copies_and_reordering_match_a_model),
		UNIT_TEST(a_forwarded_write_stays_bound_until_it_is_answered),
		UNIT_TEST(a_binding_ends_with_its_slot_or_is_taken_back),
		{ NULL, NULL },
	};

	return unit_run("replay_window", tests);
}
