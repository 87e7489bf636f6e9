/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams of operations: how few there are, how losses are made good, and which verdicts are
 * honest.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/unit.h"

#define KEY_COUNT 400u

static char key_names[KEY_COUNT][8];
static struct godwit_key keys[KEY_COUNT];
static struct godwit_result results[KEY_COUNT];

static void name_keys(void)
{
	for (uint32_t i = 0; i < KEY_COUNT; i++) {
		snprintf(key_names[i], sizeof(key_names[i]), "key%04u", i);
		keys[i] = (struct godwit_key){ key_names[i], 7 };
	}
}

static struct fake_server *open_with(const struct godwit_options *options)
{
	struct fake_server *fake = fake_server_create(1, 1, 64);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, options), GODWIT_OK);
	return fake;
}

static void store_keys(struct fake_server *fake, uint32_t count, uint32_t value_size)
{
	static uint8_t value[FAKE_VALUE_MAX];

	for (uint32_t i = 0; i < count; i++) {
		value[0] = (uint8_t)i;
		CU_ASSERT_EQUAL(
			godwit_set(fake->client, keys[i].key, 7, value, value_size, 0, NULL),
			GODWIT_OK);
	}
}

static uint32_t count_wrong(uint32_t count, uint32_t value_size)
{
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < count; i++)
		wrong += results[i].status != GODWIT_OK || results[i].value_size != value_size ||
			 ((const uint8_t *)results[i].value)[0] != (uint8_t)i;
	return wrong;
}

/* ---- grouping ---- */

/* A reply operation takes 16 bytes of 1,472 - 24: 90 GETs at most are asked in one datagram. */
static void keys_share_as_few_datagrams_as_replies_allow(void)
{
	struct fake_server *fake = open_with(NULL);

	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 90, results), 0);
	CU_ASSERT_EQUAL(fake->requests, 1);
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 91, results), 0);
	CU_ASSERT_EQUAL(fake->requests, 3);
	fake_server_destroy(fake);
}

/* A SET of a 7-byte key and a 100-byte value takes 115 bytes: 12 fit 1,472 - 24. */
static void writes_share_as_few_datagrams_as_they_fit(void)
{
	static struct godwit_pair pairs[48];
	static uint8_t value[100];
	struct fake_server *fake = open_with(NULL);

	for (uint32_t i = 0; i < 48; i++)
		pairs[i] = (struct godwit_pair){ keys[i].key, 7, value, sizeof(value) };
	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, 48, 0, results), 48);
	CU_ASSERT_EQUAL(fake->requests, 4);
	fake_server_destroy(fake);
}

/* Replies of 316 bytes: beside 21 empty ones 3 fit 1,448 bytes; 4 when no more are asked for. */
static void large_values_are_asked_for_in_fitting_groups(void)
{
	struct fake_server *fake = open_with(NULL);
	uint64_t before;

	store_keys(fake, 24, 300);
	before = fake->requests;
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 24, results), 24);
	CU_ASSERT_EQUAL(count_wrong(24, 300), 0);
	CU_ASSERT_EQUAL(fake->requests - before, 1 + 6); /* 21 in groups of 4 */
	before = fake->requests;
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 24, results), 24);
	CU_ASSERT_EQUAL(count_wrong(24, 300), 0);
	CU_ASSERT_EQUAL(fake->requests - before, 6);
	fake_server_destroy(fake);
}

/* Whatever was guessed, a value that did not fit twice is asked for alone. */
static void a_value_that_never_fits_beside_others_is_asked_for_alone(void)
{
	struct fake_server *fake = open_with(NULL);
	uint64_t before;

	store_keys(fake, 3, 1000);
	for (uint32_t i = 3; i < 40; i++)
		CU_ASSERT_EQUAL(godwit_set(fake->client, keys[i].key, 7, &i, 1, 0, NULL),
				GODWIT_OK);
	godwit_get(fake->client, keys[3].key, 7, NULL);
	before = fake->requests;
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 40, results), 40);
	CU_ASSERT_EQUAL(results[0].value_size + results[1].value_size + results[2].value_size,
			3000);
	CU_ASSERT_EQUAL(results[39].value_size, 1);
	/* All together; the three together, of which one fits; the two others. */
	CU_ASSERT_EQUAL(fake->requests - before, 1 + 1 + 2);
	fake_server_destroy(fake);
}

/* ---- losses ---- */

static void losses_are_made_good(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;

	options.timeout_ms = 10000;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct fake_server *fake = open_with(&options);
		uint64_t executed;

		fake->random = seed;
		fake->drop_percent = 20;
		fake->duplicate_percent = 10;
		fake->delay_percent = 20;
		store_keys(fake, 200, 40);
		executed = fake->executed;
		CU_ASSERT_EQUAL(executed, 200); /* each write once, however often it was sent */
		CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 200, results), 200);
		CU_ASSERT_EQUAL(count_wrong(200, 40), 0);
		CU_ASSERT(fake->client->stats.retransmissions > 0);
		CU_ASSERT(fake->replayed > 0);
		fake_server_destroy(fake);
	}
}

static bool swallow(struct fake_server *fake, struct fake_port *port,
		    const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	(void)port, (void)header, (void)bytes, (void)size;
	return fake->countdown && fake->countdown-- > 0;
}

static void the_same_sequence_is_sent_at_growing_intervals(void)
{
	struct fake_server *fake = open_with(NULL);
	uint64_t begin_us = fake->now_us;

	fake->intercept = swallow;
	fake->countdown = 3;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->now_us - begin_us, 20000 + 40000 + 80000);
	CU_ASSERT_EQUAL(fake->client->stats.retransmissions, 3);
	CU_ASSERT_EQUAL(fake->ports[0].sequence_max, 2); /* 1 was the map's */
	fake_server_destroy(fake);
}

static void without_an_answer_a_write_is_unknown_and_a_read_timed_out(void)
{
	struct fake_server *fake = open_with(NULL);
	uint64_t begin_us = fake->now_us;

	fake->intercept = swallow;
	fake->countdown = 1000000;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_UNKNOWN);
	CU_ASSERT_EQUAL(fake->now_us - begin_us, 1000000);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_TIMEOUT);
	CU_ASSERT_EQUAL(godwit_pending(fake->client), 0);
	fake->countdown = 0;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL),
			GODWIT_OK); /* nothing is stuck */
	CU_ASSERT_EQUAL(client_session_lookup(fake->client, fake->ports[0].address)->outstanding,
			0);
	fake_server_destroy(fake);
}

static void count_result(void *context, const struct godwit_result *result)
{
	uint32_t *counts = context;

	counts[result->status == GODWIT_OK ? 0 : result->status == GODWIT_UNKNOWN ? 1 : 2]++;
}

/* More writes than may be in flight: those that never left are known not to be executed. */
static void writes_that_were_never_sent_are_not_unknown(void)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	struct godwit_operation set = { .opcode = GODWIT_OP_SET, .key = "a", .key_size = 1 };
	uint32_t counts[3] = { 0 };
	struct fake_server *fake;

	options.in_flight_max = 2;
	fake = open_with(&options);
	fake->intercept = swallow;
	fake->countdown = 1000000;
	for (uint32_t i = 0; i < 5; i++) {
		godwit_submit(fake->client, &set, count_result, counts);
		godwit_flush(fake->client);
	}
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(counts[1], 2);
	CU_ASSERT_EQUAL(counts[2], 3);
	fake_server_destroy(fake);
}

/* The first write is told as timed out while others wait with it in a full datagram: it may not be executed then. */
static void what_timed_out_unsent_is_not_sent_with_others(void)
{
	static const uint8_t value[200];
	struct godwit_operation set = { .opcode = GODWIT_OP_SET,
					.key = keys[0].key,
					.key_size = 7,
					.value = value,
					.value_size = sizeof(value) };
	struct fake_server *fake = open_with(NULL);
	uint32_t counts[3] = { 0 };

	godwit_submit(fake->client, &set, count_result, counts);
	fake->now_us += 900000;
	for (uint32_t i = 1; i < 10; i++) {
		set.key = keys[i].key;
		godwit_submit(fake->client, &set, count_result, counts);
	}
	fake->now_us += 100000;
	CU_ASSERT_EQUAL(godwit_process(fake->client), 1);
	CU_ASSERT_EQUAL(counts[2], 1);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(counts[0], 9);
	CU_ASSERT_PTR_NULL(fake_server_find(fake, keys[0].key, 7));
	for (uint32_t i = 1; i < 10; i++)
		CU_ASSERT_PTR_NOT_NULL(fake_server_find(fake, keys[i].key, 7));
	fake_server_destroy(fake);
}

static void submit_sets(struct fake_server *fake, uint32_t count, uint32_t *counts)
{
	for (uint32_t i = 0; i < count; i++) {
		struct godwit_operation set = { .opcode = GODWIT_OP_SET,
						.key = keys[i].key,
						.key_size = 7 };

		CU_ASSERT_EQUAL(godwit_submit(fake->client, &set, count_result, counts), GODWIT_OK);
	}
	godwit_flush(fake->client);
}

/* A node remembers so many bytes of long replies only: as many are in flight. Of short ones it
 * remembers all.
 */
static void replies_in_flight_stay_inside_the_servers_memory(void)
{
	struct fake_server *fake = open_with(NULL);
	struct client_session *session =
		client_session_lookup(fake->client, fake->ports[0].address);
	uint32_t counts[3] = { 0 };

	for (uint32_t i = 0; i < 10; i++)
		submit_sets(fake, 4 * 90, counts); /* four full datagrams */
	CU_ASSERT(session->outstanding >= WIRE_REPLAY_BYTES_MIN / FAKE_DATAGRAM_MAX - 1);
	CU_ASSERT(session->outstanding <= WIRE_REPLAY_BYTES_MIN / FAKE_DATAGRAM_MAX);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(counts[0], 3600);
	for (uint32_t i = 0; i < 100; i++)
		submit_sets(fake, 1, counts);
	CU_ASSERT_EQUAL(session->outstanding, 64);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(counts[0], 3700);
	fake_server_destroy(fake);
}

/* ---- a kernel that does not take everything ---- */

/* Whatever the reason, what did not leave is tried again, and is not in doubt. */
static void what_the_kernel_refuses_is_not_in_doubt(void)
{
	struct fake_server *fake = open_with(NULL);
	int fd = godwit_fd(fake->client);
	int saved = dup(fd), null = open("/dev/null", O_RDWR);
	uint32_t counts[3] = { 0 };

	dup2(null, fd);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_TIMEOUT);
	submit_sets(fake, 1, counts);
	dup2(saved, fd);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(counts[0], 1);
	CU_ASSERT_EQUAL(fake->executed, 1);
	close(saved);
	close(null);
	fake_server_destroy(fake);
}

/* What a path cannot carry is cut into smaller datagrams; one operation alone cannot be cut. */
static void datagrams_the_path_refuses_get_smaller(void)
{
	static uint8_t value[65535];
	struct godwit_operation set = { .opcode = GODWIT_OP_SET,
					.key = "a",
					.key_size = 1,
					.value = value,
					.value_size = 40000 };
	struct fake_server *fake = open_with(NULL);
	struct client_session *session =
		client_session_lookup(fake->client, fake->ports[0].address);
	uint32_t counts[3] = { 0 };

	session->datagram_size_max = 100000; /* more than UDP can carry */
	session->value_size_max = 65535;
	fake->ports[0].is_dead = true;
	godwit_submit(fake->client, &set, count_result, counts);
	godwit_submit(fake->client, &set, count_result, counts);
	godwit_flush(fake->client);
	CU_ASSERT(session->datagram_size_max > 40000 && session->datagram_size_max < 65508);
	fake_server_settle(fake);
	CU_ASSERT_EQUAL(counts[1], 1); /* sent alone; the other waits behind it, so long is it */
	CU_ASSERT_EQUAL(counts[2], 1);
	session->datagram_size_max = 100000;
	set.value_size = 65535;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, value, 65535, 0, NULL), GODWIT_TOO_LARGE);
	CU_ASSERT_EQUAL(session->outstanding, 0);
	fake_server_destroy(fake);
}

/* ---- refusals ---- */

static bool ask_to_wait(struct fake_server *fake, struct fake_port *port,
			const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	uint8_t wait_us[4];

	if (fake->countdown == 0)
		return false;
	fake->countdown--;
	wire_put_u32(wait_us, 3000);
	fake_server_refuse(fake, port, header, bytes, size, WIRE_RETRY, wait_us, sizeof(wait_us));
	return true;
}

static void a_server_that_asks_to_wait_is_asked_again_then(void)
{
	struct fake_server *fake = open_with(NULL);
	uint64_t begin_us = fake->now_us;

	fake->intercept = ask_to_wait;
	fake->countdown = 4;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->now_us - begin_us, 4 * 3000);
	CU_ASSERT_EQUAL(fake->ports[0].sequence_max,
			2); /* a write that was refused keeps its sequence */
	fake->countdown = 1;
	begin_us = fake->now_us;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(fake->now_us - begin_us, 3000);
	CU_ASSERT_EQUAL(fake->ports[0].sequence_max, 4); /* a read need not */
	fake_server_destroy(fake);
}

static void a_read_that_is_refused_to_the_end_says_so(void)
{
	struct fake_server *fake = open_with(NULL);

	fake->intercept = ask_to_wait;
	fake->countdown = 1000000;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_RETRY);
	/* A write may have been executed by its last repetition, of which nothing was heard. */
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_UNKNOWN);
	fake_server_destroy(fake);
}

/* Answers the first operation as executed and the others by RETRY, and remembers that reply. */
static bool refuse_all_but_the_first(struct fake_server *fake, struct fake_port *port,
				     const struct wire_header *header, const uint8_t *bytes,
				     size_t size)
{
	uint8_t reply[FAKE_DATAGRAM_MAX] = { 0 };
	struct wire_header answer = *header;
	uint8_t *to = reply + WIRE_HEADER_SIZE;

	(void)bytes, (void)size;
	if (fake->countdown == 0 || header->op_count < 2)
		return false;
	fake->countdown--;
	answer.kind = WIRE_REPLY;
	wire_header_write(reply, &answer);
	to = wire_reply_op_write(to, WIRE_SET, WIRE_OK, 5, 0);
	for (uint32_t i = 1; i < header->op_count; i++) {
		to = wire_reply_op_write(to, WIRE_SET, WIRE_RETRY, 0, 4);
		wire_put_u32(to, 1000);
		to += 4;
	}
	fake_server_send(fake, port, reply, (size_t)(to - reply));
	return true;
}

/* The reply is remembered for its sequence, so the refused ones need a new one. */
static void writes_refused_beside_an_executed_one_get_a_new_sequence(void)
{
	static struct godwit_pair pairs[4];
	struct fake_server *fake = open_with(NULL);

	for (uint32_t i = 0; i < 4; i++)
		pairs[i] = (struct godwit_pair){ keys[i].key, 7, "v", 1 };
	fake->intercept = refuse_all_but_the_first;
	fake->countdown = 1;
	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, 4, 0, results), 4);
	CU_ASSERT_EQUAL(results[0].version, 5);
	CU_ASSERT_EQUAL(fake->requests, 2);
	CU_ASSERT_EQUAL(fake->executed, 3);
	CU_ASSERT_EQUAL(fake->ports[0].sequence_max, 3);
	fake_server_destroy(fake);
}

static bool refuse_whole(struct fake_server *fake, struct fake_port *port,
			 const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	uint8_t reply[WIRE_HEADER_SIZE + WIRE_REPLY_OP_SIZE];
	struct wire_header answer = *header;

	(void)bytes, (void)size;
	answer.kind = WIRE_REPLY;
	answer.op_count = 1;
	wire_header_write(reply, &answer);
	wire_reply_op_write(reply + WIRE_HEADER_SIZE, 0, WIRE_BAD_REQUEST, 0, 0);
	fake_server_send(fake, port, reply, sizeof(reply));
	return true;
}

static void a_datagram_refused_whole_fails_all_its_operations(void)
{
	struct fake_server *fake = open_with(NULL);

	fake->intercept = refuse_whole;
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, 3, results), 0);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(results[i].status, GODWIT_BAD_REQUEST);
	fake_server_destroy(fake);
}

static bool be_unavailable(struct fake_server *fake, struct fake_port *port,
			   const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	if (fake->countdown && fake->countdown--)
		return true;
	fake_server_refuse(fake, port, header, bytes, size, WIRE_UNAVAILABLE, NULL, 0);
	return true;
}

/* "Not available" holds for all copies: had one been executed, its reply would be remembered. */
static void an_unavailable_partition_is_told(void)
{
	struct fake_server *fake = open_with(NULL);

	fake->intercept = be_unavailable;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_UNAVAILABLE);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_UNAVAILABLE);
	fake->countdown = 1;
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_UNAVAILABLE);
	fake_server_destroy(fake);
}

/* ---- malformed and forged replies ---- */

/* The reply is sent cut at every length, with every header field changed, and then as it is. */
static bool send_spoiled_replies(struct fake_server *fake, struct fake_port *port,
				 const struct wire_header *header, const uint8_t *bytes,
				 size_t size)
{
	uint8_t reply[WIRE_HEADER_SIZE + WIRE_REPLY_OP_SIZE + 5] = { 0 };
	struct wire_header answer = *header;
	uint8_t *value;

	(void)bytes, (void)size;
	answer.kind = WIRE_REPLY;
	wire_header_write(reply, &answer);
	value = wire_reply_op_write(reply + WIRE_HEADER_SIZE, WIRE_GET, WIRE_OK, 9, 4);
	memcpy(value, "true!", 5);
	for (size_t cut = 0; cut < sizeof(reply) - 1; cut++)
		fake_server_send(fake, port, reply, cut == WIRE_HEADER_SIZE ? cut - 1 : cut);
	fake_server_send(fake, port, reply, sizeof(reply)); /* a byte too many */
	for (size_t at = 0; at < WIRE_AT_MAP_VERSION; at++) {
		reply[at] ^= 0x40;
		if (at != WIRE_AT_OP_COUNT)
			fake_server_send(fake, port, reply, sizeof(reply) - 1);
		reply[at] ^= 0x40;
	}
	reply[WIRE_HEADER_SIZE] = WIRE_SET; /* another operation's reply */
	fake_server_send(fake, port, reply, sizeof(reply) - 1);
	reply[WIRE_HEADER_SIZE] = WIRE_GET;
	reply[WIRE_HEADER_SIZE + 1] = 99; /* a status there is not */
	fake_server_send(fake, port, reply, sizeof(reply) - 1);
	reply[WIRE_HEADER_SIZE + 1] = WIRE_OK;
	fake_server_send(fake, port, reply, sizeof(reply) - 1);
	fake_server_send(fake, port, reply, sizeof(reply) - 1);
	return true;
}

static void spoiled_and_repeated_replies_are_ignored(void)
{
	struct fake_server *fake = open_with(NULL);
	struct godwit_result result;
	uint64_t ignored;

	fake->intercept = send_spoiled_replies;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, &result), GODWIT_OK);
	CU_ASSERT_EQUAL(result.value_size, 4);
	CU_ASSERT_EQUAL(memcmp(result.value, "true", 4), 0);
	ignored = fake->client->stats.replies_ignored;
	while (fake->client->stats.datagrams_received < fake->sent)
		godwit_process(fake->client);
	/* All that were sent but the handshake's two, the map, and one true reply. */
	CU_ASSERT_EQUAL(fake->client->stats.replies_ignored, fake->sent - 4);
	CU_ASSERT(ignored > 60);
	fake_server_destroy(fake);
}

/* The right bytes from another address are a forgery. */
static bool answer_from_elsewhere(struct fake_server *fake, struct fake_port *port,
				  const struct wire_header *header, const uint8_t *bytes,
				  size_t size)
{
	(void)port;
	fake_server_refuse(fake, &fake->ports[1], header, bytes, size, WIRE_NOT_FOUND, NULL, 0);
	return true;
}

static void replies_from_another_address_are_ignored(void)
{
	struct fake_server *fake = fake_server_create(1, 2, 1);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	fake->intercept = answer_from_elsewhere;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_TIMEOUT);
	CU_ASSERT(fake->client->stats.replies_ignored >= 5);
	fake_server_destroy(fake);
}

static bool answer_short_number(struct fake_server *fake, struct fake_port *port,
				const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	fake_server_refuse(fake, port, header, bytes, size, WIRE_OK, (const uint8_t *)"1234567", 7);
	return true;
}

static void a_number_must_have_its_eight_bytes(void)
{
	struct fake_server *fake = open_with(NULL);

	fake->intercept = answer_short_number;
	CU_ASSERT_EQUAL(godwit_ttl(fake->client, "a", 1, NULL), GODWIT_TIMEOUT);
	CU_ASSERT_EQUAL(godwit_increment(fake->client, "a", 1, 1, NULL), GODWIT_UNKNOWN);
	fake_server_destroy(fake);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(keys_share_as_few_datagrams_as_replies_allow),
		UNIT_TEST(writes_share_as_few_datagrams_as_they_fit),
		UNIT_TEST(large_values_are_asked_for_in_fitting_groups),
		UNIT_TEST(a_value_that_never_fits_beside_others_is_asked_for_alone),
		UNIT_TEST(losses_are_made_good),
		UNIT_TEST(the_same_sequence_is_sent_at_growing_intervals),
		UNIT_TEST(without_an_answer_a_write_is_unknown_and_a_read_timed_out),
		UNIT_TEST(writes_that_were_never_sent_are_not_unknown),
		UNIT_TEST(what_timed_out_unsent_is_not_sent_with_others),
		UNIT_TEST(replies_in_flight_stay_inside_the_servers_memory),
		UNIT_TEST(what_the_kernel_refuses_is_not_in_doubt),
		UNIT_TEST(datagrams_the_path_refuses_get_smaller),
		UNIT_TEST(a_server_that_asks_to_wait_is_asked_again_then),
		UNIT_TEST(a_read_that_is_refused_to_the_end_says_so),
		UNIT_TEST(writes_refused_beside_an_executed_one_get_a_new_sequence),
		UNIT_TEST(a_datagram_refused_whole_fails_all_its_operations),
		UNIT_TEST(an_unavailable_partition_is_told),
		UNIT_TEST(spoiled_and_repeated_replies_are_ignored),
		UNIT_TEST(replies_from_another_address_are_ignored),
		UNIT_TEST(a_number_must_have_its_eight_bytes),
		{ NULL, NULL },
	};

	name_keys();
	return unit_run("client_request", tests);
}
