/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus: sealed messages open once, for the right cluster, key and version, and every refusal
 * names its reason.
 */
#include "controlplane/bus_crypto.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static const char text[] = "the quick brown fox";

static struct bus_keys keys_of(uint8_t first, uint8_t second)
{
	struct bus_keys keys = { .count = second ? 2 : 1 };

	memset(keys.items[0].bytes, first, BUS_KEY_SIZE);
	memset(keys.items[1].bytes, second, BUS_KEY_SIZE);
	return keys;
}

/* 'session' fills the session; keys 0: insecure. */
static struct bus_crypto *create(const char *cluster, uint8_t first, uint8_t second,
				 uint8_t session)
{
	uint8_t bytes[BUS_SESSION_SIZE];
	struct bus_keys keys = keys_of(first, second);
	struct bus_crypto *crypto = NULL;

	memset(bytes, session, sizeof(bytes));
	CU_ASSERT_EQUAL_FATAL(bus_crypto_create(&crypto, cluster, first ? &keys : NULL, bytes), 0);
	return crypto;
}

static enum bus_result pass(struct bus_crypto *from, struct bus_crypto *to)
{
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t size = bus_seal(from, text, sizeof(text), sealed);
	size_t plain_size = 0;
	enum bus_result result = bus_open(to, sealed, size, plain, &plain_size);

	CU_ASSERT_EQUAL(size, sizeof(text) + BUS_OVERHEAD);
	if (result == BUS_OK) {
		CU_ASSERT_EQUAL(plain_size, sizeof(text));
		CU_ASSERT_EQUAL(memcmp(plain, text, sizeof(text)), 0);
	} else {
		CU_ASSERT_EQUAL(plain_size, 0);
	}
	return result;
}

static void test_a_message_opens_at_its_peer(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *b = create("prod", 1, 0, 20);

	CU_ASSERT_EQUAL(pass(a, b), BUS_OK);
	CU_ASSERT_EQUAL(pass(b, a), BUS_OK);
	CU_ASSERT_EQUAL(pass(a, b), BUS_OK);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
}

static void test_nothing_of_the_text_is_seen_on_the_wire(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	uint8_t first[sizeof(text) + BUS_OVERHEAD];
	uint8_t second[sizeof(text) + BUS_OVERHEAD];

	bus_seal(a, text, sizeof(text), first);
	bus_seal(a, text, sizeof(text), second);
	CU_ASSERT_PTR_NULL(memmem(first, sizeof(first), "quick", 5));
	CU_ASSERT_NOT_EQUAL(memcmp(first + BUS_HEADER_SIZE, second + BUS_HEADER_SIZE, sizeof(text)),
			    0);
	bus_crypto_destroy(a);
}

static void test_each_refusal_has_its_reason(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *other_key = create("prod", 2, 0, 20);
	struct bus_crypto *other_cluster = create("test", 1, 0, 30);
	struct bus_crypto *insecure = create("prod", 0, 0, 40);

	CU_ASSERT_EQUAL(pass(a, other_key), BUS_WRONG_KEY);
	CU_ASSERT_EQUAL(pass(a, other_cluster), BUS_WRONG_CLUSTER);
	CU_ASSERT_EQUAL(pass(a, insecure), BUS_WRONG_KEY);
	CU_ASSERT_EQUAL(pass(insecure, a), BUS_WRONG_KEY);
	bus_crypto_destroy(a);
	bus_crypto_destroy(other_key);
	bus_crypto_destroy(other_cluster);
	bus_crypto_destroy(insecure);
}

static void test_another_version_is_named(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *b = create("prod", 1, 0, 20);
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	bus_seal(a, text, sizeof(text), sealed);
	sealed[2] = BUS_VERSION + 1;
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_WRONG_VERSION);
	/* of a version whose messages are shorter than ours, too */
	CU_ASSERT_EQUAL(bus_open(b, sealed, 4, plain, &plain_size), BUS_WRONG_VERSION);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
}

static void test_replays_are_refused(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *b = create("prod", 1, 0, 20);
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	bus_seal(a, text, sizeof(text), sealed);
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_OK);
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_REPLAYED);
	for (uint32_t i = 0; i < 3 * BUS_WINDOW_SIZE; i++)
		CU_ASSERT_EQUAL(pass(a, b), BUS_OK);
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_REPLAYED);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
}

#define REORDERED 600u

static void test_reordered_messages_open_once_each(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *b = create("prod", 1, 0, 20);
	static uint8_t sealed[REORDERED][sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	uint32_t order[REORDERED];
	uint64_t seed = 5;
	size_t plain_size;

	for (uint32_t i = 0; i < REORDERED; i++) {
		bus_seal(a, text, sizeof(text), sealed[i]);
		order[i] = i;
	}
	for (uint32_t i = REORDERED - 1; i > 0; i--) {
		uint32_t j = (uint32_t)(unit_random(&seed) % (i + 1)), swap = order[i];

		order[i] = order[j];
		order[j] = swap;
	}
	for (uint32_t i = 0; i < REORDERED; i++)
		CU_ASSERT_EQUAL(
			bus_open(b, sealed[order[i]], sizeof(sealed[0]), plain, &plain_size),
			BUS_OK);
	for (uint32_t i = 0; i < REORDERED; i++)
		CU_ASSERT_EQUAL(bus_open(b, sealed[i], sizeof(sealed[0]), plain, &plain_size),
				BUS_REPLAYED);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
}

static void test_a_restarted_sender_is_heard(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *restarted = create("prod", 1, 0, 11);
	struct bus_crypto *b = create("prod", 1, 0, 20);

	for (uint32_t i = 0; i < 5000; i++)
		pass(a, b);
	CU_ASSERT_EQUAL(pass(restarted, b), BUS_OK);
	bus_crypto_destroy(a);
	bus_crypto_destroy(restarted);
	bus_crypto_destroy(b);
}

/* Each bit of a message matters. */
static void test_every_altered_bit_is_found(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *b = create("prod", 1, 0, 20);
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	bus_seal(a, text, sizeof(text), sealed);
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		CU_ASSERT_NOT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size),
				    BUS_OK);
		if (bit / 8 >= 16) /* beyond the tags it cannot be told from a forgery */
			CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size),
					BUS_FORGED);
		sealed[bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
	/* and no attempt spoiled the real one */
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_OK);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
}

static void test_truncated_messages_are_refused(void)
{
	struct bus_crypto *a = create("prod", 1, 0, 10);
	struct bus_crypto *b = create("prod", 1, 0, 20);
	uint8_t sealed[BUS_DATAGRAM_SIZE_MAX + 1] = { 'G', 'B', BUS_VERSION, 1 };
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_TRUNCATED);
	bus_seal(a, text, sizeof(text), sealed);
	for (size_t size = 0; size < sizeof(text) + BUS_OVERHEAD; size++) {
		enum bus_result result = bus_open(b, sealed, size, plain, &plain_size);

		CU_ASSERT_EQUAL(result, size < BUS_OVERHEAD ? BUS_TRUNCATED : BUS_FORGED);
	}
	CU_ASSERT_EQUAL(
		bus_open(b, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18, plain, &plain_size),
		BUS_TRUNCATED);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
}

/* Key 1 is replaced by key 2 node by node, and at no moment is a message refused. */
static void test_keys_rotate_without_a_gap(void)
{
	struct bus_crypto *nodes[3];
	struct bus_keys steps[] = { keys_of(1, 2), keys_of(2, 1), keys_of(2, 0) };

	for (uint32_t i = 0; i < 3; i++)
		nodes[i] = create("prod", 1, 0, (uint8_t)(10 + i));
	for (uint32_t step = 0; step < 3; step++) {
		for (uint32_t i = 0; i < 3; i++) {
			bus_crypto_set_keys(nodes[i], &steps[step]);
			for (uint32_t from = 0; from < 3; from++)
				CU_ASSERT_EQUAL(pass(nodes[from], nodes[(from + 1) % 3]), BUS_OK);
		}
	}
	bus_crypto_set_keys(nodes[0], &(struct bus_keys){ .count = 1 });
	CU_ASSERT_EQUAL(pass(nodes[0], nodes[1]), BUS_WRONG_KEY);
	for (uint32_t i = 0; i < 3; i++)
		bus_crypto_destroy(nodes[i]);
}

static void test_an_insecure_bus_still_checks(void)
{
	struct bus_crypto *a = create("prod", 0, 0, 10);
	struct bus_crypto *b = create("prod", 0, 0, 20);
	struct bus_crypto *other = create("test", 0, 0, 30);
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	CU_ASSERT_EQUAL(pass(a, b), BUS_OK);
	CU_ASSERT_EQUAL(pass(a, other), BUS_WRONG_CLUSTER);
	bus_seal(a, text, sizeof(text), sealed);
	sealed[BUS_HEADER_SIZE] ^= 1;
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_FORGED);
	sealed[BUS_HEADER_SIZE] ^= 1;
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_OK);
	CU_ASSERT_EQUAL(bus_open(b, sealed, sizeof(sealed), plain, &plain_size), BUS_REPLAYED);
	bus_crypto_destroy(a);
	bus_crypto_destroy(b);
	bus_crypto_destroy(other);
}

/* More senders than are remembered: all are heard, and those heard lately stay protected. */
static void test_many_senders_stay_bounded(void)
{
	struct bus_crypto *b = create("prod", 1, 0, 20);
	struct bus_keys keys = keys_of(1, 0);
	uint8_t last[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	for (uint32_t i = 0; i < BUS_SENDER_COUNT_MAX + 500; i++) {
		uint8_t session[BUS_SESSION_SIZE] = { (uint8_t)i, (uint8_t)(i >> 8), 1 };
		struct bus_crypto *a = NULL;

		CU_ASSERT_EQUAL_FATAL(bus_crypto_create(&a, "prod", &keys, session), 0);
		bus_seal(a, text, sizeof(text), last);
		CU_ASSERT_EQUAL(bus_open(b, last, sizeof(last), plain, &plain_size), BUS_OK);
		CU_ASSERT_EQUAL(bus_open(b, last, sizeof(last), plain, &plain_size), BUS_REPLAYED);
		bus_crypto_destroy(a);
	}
	bus_crypto_destroy(b);
}

/* ---- streams ---- */

struct connection {
	struct bus_crypto *crypto[2];
	struct bus_stream out[2]; /* [0] of the opener, [1] of the acceptor */
	struct bus_stream in[2];
};

static void connect_streams(struct connection *connection, uint8_t opener, uint8_t acceptor)
{
	uint8_t opener_bytes[BUS_SESSION_SIZE], acceptor_bytes[BUS_SESSION_SIZE];

	memset(opener_bytes, opener, sizeof(opener_bytes));
	memset(acceptor_bytes, acceptor, sizeof(acceptor_bytes));
	for (uint32_t i = 0; i < 2; i++) {
		connection->crypto[i] = create("prod", 1, 0, (uint8_t)(10 + i));
		bus_stream_init(&connection->out[i], connection->crypto[i], opener_bytes,
				acceptor_bytes, i == 0);
		bus_stream_init(&connection->in[i], connection->crypto[i], opener_bytes,
				acceptor_bytes, i != 0);
	}
}

static void disconnect(struct connection *connection)
{
	bus_crypto_destroy(connection->crypto[0]);
	bus_crypto_destroy(connection->crypto[1]);
}

static enum bus_result receive(struct bus_stream *in, const uint8_t *sealed, size_t size)
{
	uint8_t plain[256];
	size_t plain_size;

	return bus_stream_open(in, sealed, size, plain, &plain_size);
}

static void test_a_stream_carries_both_ways(void)
{
	struct connection connection;
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];

	connect_streams(&connection, 1, 2);
	for (uint32_t i = 0; i < 10; i++) {
		size_t size = bus_stream_seal(&connection.out[0], text, sizeof(text), sealed);

		CU_ASSERT_EQUAL(receive(&connection.in[1], sealed, size), BUS_OK);
		size = bus_stream_seal(&connection.out[1], text, sizeof(text), sealed);
		CU_ASSERT_EQUAL(receive(&connection.in[0], sealed, size), BUS_OK);
	}
	disconnect(&connection);
}

static void test_a_stream_notices_replay_gap_and_reflection(void)
{
	struct connection connection;
	uint8_t first[sizeof(text) + BUS_OVERHEAD], second[sizeof(text) + BUS_OVERHEAD];

	connect_streams(&connection, 1, 2);
	bus_stream_seal(&connection.out[0], text, sizeof(text), first);
	bus_stream_seal(&connection.out[0], text, sizeof(text), second);
	CU_ASSERT_EQUAL(receive(&connection.in[1], second, sizeof(second)), BUS_FORGED);
	disconnect(&connection);

	connect_streams(&connection, 1, 2);
	bus_stream_seal(&connection.out[0], text, sizeof(text), first);
	CU_ASSERT_EQUAL(receive(&connection.in[1], first, sizeof(first)), BUS_OK);
	CU_ASSERT_EQUAL(receive(&connection.in[1], first, sizeof(first)), BUS_FORGED);
	disconnect(&connection);

	connect_streams(&connection, 1, 2);
	bus_stream_seal(&connection.out[0], text, sizeof(text), first);
	CU_ASSERT_EQUAL(receive(&connection.in[0], first, sizeof(first)), BUS_FORGED);
	disconnect(&connection);
}

static void test_a_recorded_stream_is_worthless_later(void)
{
	struct connection before, after;
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];

	connect_streams(&before, 1, 2);
	bus_stream_seal(&before.out[0], text, sizeof(text), sealed);
	connect_streams(&after, 1, 3);
	CU_ASSERT_EQUAL(receive(&after.in[1], sealed, sizeof(sealed)), BUS_FORGED);
	disconnect(&before);
	disconnect(&after);
}

static void test_stream_and_datagram_are_not_interchangeable(void)
{
	struct connection connection;
	uint8_t sealed[sizeof(text) + BUS_OVERHEAD];
	uint8_t plain[BUS_PLAIN_SIZE_MAX];
	size_t plain_size;

	connect_streams(&connection, 1, 2);
	bus_stream_seal(&connection.out[0], text, sizeof(text), sealed);
	CU_ASSERT_EQUAL(bus_open(connection.crypto[1], sealed, sizeof(sealed), plain, &plain_size),
			BUS_TRUNCATED);
	sealed[3] = 1;
	CU_ASSERT_EQUAL(bus_open(connection.crypto[1], sealed, sizeof(sealed), plain, &plain_size),
			BUS_FORGED);
	disconnect(&connection);
}

/* ---- key files ---- */

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "0123456789abcdefABCDEF0123456789abcdefABCDEF01234567890123456789"

static int parse(struct bus_keys *keys, const char *file, uint32_t *line)
{
	return bus_keys_parse(keys, file, strlen(file), line);
}

static void test_key_files_are_read(void)
{
	struct bus_keys keys;
	uint32_t line;

	CU_ASSERT_EQUAL(parse(&keys, HEX_A, &line), 0);
	CU_ASSERT_EQUAL(keys.count, 1);
	CU_ASSERT_EQUAL(keys.items[0].bytes[31], 0xaa);
	CU_ASSERT_EQUAL(parse(&keys, "# new\n\t" HEX_B " # since May\r\n\n" HEX_A "\n", &line), 0);
	CU_ASSERT_EQUAL(keys.count, 2);
	CU_ASSERT_EQUAL(keys.items[0].bytes[1], 0x23);
	CU_ASSERT_EQUAL(keys.items[1].bytes[0], 0xaa);
}

static void test_bad_key_files_name_the_line(void)
{
	static const struct {
		const char *file;
		uint32_t line;
	} bad[] = {
		{ "", 0 },
		{ "# nothing\n\n", 0 },
		{ "\nabc\n", 2 },
		{ HEX_A "a\n", 1 },
		{ HEX_A "\n" HEX_A "\n" HEX_B "\n", 3 },
		{ "zz" HEX_A "\n", 1 },
		{ "gaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 1 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bus_keys keys;
		uint32_t line = 99;

		CU_ASSERT_EQUAL(parse(&keys, bad[i].file, &line), -EINVAL);
		CU_ASSERT_EQUAL(line, bad[i].line);
	}
}

static void test_bad_cluster_names_are_refused(void)
{
	uint8_t session[BUS_SESSION_SIZE] = { 0 };
	struct bus_crypto *crypto = NULL;
	char name[BUS_CLUSTER_NAME_SIZE + 1];

	memset(name, 'x', sizeof(name));
	name[BUS_CLUSTER_NAME_SIZE] = '\0';
	CU_ASSERT_EQUAL(bus_crypto_create(&crypto, name, NULL, session), -EINVAL);
	CU_ASSERT_EQUAL(bus_crypto_create(&crypto, "", NULL, session), -EINVAL);
	CU_ASSERT_PTR_NULL(crypto);
	bus_crypto_destroy(NULL);
}

static void test_every_result_has_name_and_advice(void)
{
	for (uint32_t i = 0; i < BUS_RESULT_COUNT; i++) {
		CU_ASSERT_TRUE(strlen(bus_result_name((enum bus_result)i)) > 0);
		CU_ASSERT_TRUE(strlen(bus_result_advice((enum bus_result)i)) > 0);
	}
	CU_ASSERT_STRING_EQUAL(bus_result_name(BUS_WRONG_CLUSTER), "wrong_cluster");
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_message_opens_at_its_peer),
		UNIT_TEST(test_nothing_of_the_text_is_seen_on_the_wire),
		UNIT_TEST(test_each_refusal_has_its_reason),
		UNIT_TEST(test_another_version_is_named),
		UNIT_TEST(test_replays_are_refused),
		UNIT_TEST(test_reordered_messages_open_once_each),
		UNIT_TEST(test_a_restarted_sender_is_heard),
		UNIT_TEST(test_every_altered_bit_is_found),
		UNIT_TEST(test_truncated_messages_are_refused),
		UNIT_TEST(test_keys_rotate_without_a_gap),
		UNIT_TEST(test_an_insecure_bus_still_checks),
		UNIT_TEST(test_many_senders_stay_bounded),
		UNIT_TEST(test_a_stream_carries_both_ways),
		UNIT_TEST(test_a_stream_notices_replay_gap_and_reflection),
		UNIT_TEST(test_a_recorded_stream_is_worthless_later),
		UNIT_TEST(test_stream_and_datagram_are_not_interchangeable),
		UNIT_TEST(test_key_files_are_read),
		UNIT_TEST(test_bad_key_files_name_the_line),
		UNIT_TEST(test_bad_cluster_names_are_refused),
		UNIT_TEST(test_every_result_has_name_and_advice),
		{ NULL, NULL },
	};

	return unit_run("bus_crypto", tests);
}
