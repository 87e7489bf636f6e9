/* SPDX-License-Identifier: BSD-3-Clause */
/* Every blocking call against a server on loopback. */
#include <stdio.h>

#include "tests/unit/client/fake_server.h"
#include "tests/unit/unit.h"

static struct fake_server *open_one(void)
{
	struct fake_server *fake = fake_server_create(1, 1, 64);

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	return fake;
}

static bool is_value(const struct godwit_result *result, const char *text)
{
	return result->value_size == strlen(text) &&
	       memcmp(result->value, text, result->value_size) == 0;
}

static void set_then_get(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result set, get;

	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, &get), GODWIT_NOT_FOUND);
	CU_ASSERT_PTR_NULL(get.value);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, "one", 3, GODWIT_NO_TTL, &set), GODWIT_OK);
	CU_ASSERT_NOT_EQUAL(set.version, 0);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, &get), GODWIT_OK);
	CU_ASSERT_TRUE(is_value(&get, "one"));
	CU_ASSERT_EQUAL(get.version, set.version);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, NULL, 0, GODWIT_NO_TTL, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, &get), GODWIT_OK);
	CU_ASSERT_EQUAL(get.value_size, 0);
	fake_server_destroy(fake);
}

static void any_bytes_in_key_and_value(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result get;
	uint8_t key[GODWIT_KEY_SIZE_MAX], value[FAKE_VALUE_MAX];

	for (size_t i = 0; i < sizeof(key); i++)
		key[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = (uint8_t)(i * 7);
	CU_ASSERT_EQUAL(
		godwit_set(fake->client, key, sizeof(key), value, sizeof(value) - 200, 0, NULL),
		GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_get(fake->client, key, sizeof(key), &get), GODWIT_OK);
	CU_ASSERT_EQUAL(get.value_size, sizeof(value) - 200);
	CU_ASSERT_EQUAL(memcmp(get.value, value, get.value_size), 0);
	fake_server_destroy(fake);
}

static void get_into_the_callers_buffer(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result result;
	char buffer[5];

	godwit_set(fake->client, "a", 1, "12345", 5, 0, NULL);
	CU_ASSERT_EQUAL(godwit_get_into(fake->client, "a", 1, buffer, sizeof(buffer), &result),
			GODWIT_OK);
	CU_ASSERT_PTR_EQUAL(result.value, buffer);
	CU_ASSERT_EQUAL(memcmp(buffer, "12345", 5), 0);
	CU_ASSERT_EQUAL(godwit_get_into(fake->client, "a", 1, buffer, 4, &result),
			GODWIT_BUFFER_TOO_SMALL);
	CU_ASSERT_EQUAL(result.value_size, 5);
	CU_ASSERT_PTR_NULL(result.value);
	CU_ASSERT_EQUAL(godwit_get_into(fake->client, "b", 1, buffer, 4, NULL), GODWIT_NOT_FOUND);
	fake_server_destroy(fake);
}

static void add_and_replace_ask_for_presence(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result result;

	CU_ASSERT_EQUAL(godwit_replace(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_add(fake->client, "a", 1, "x", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_add(fake->client, "a", 1, "y", 1, 0, &result),
			GODWIT_EXISTS_ALREADY);
	CU_ASSERT_NOT_EQUAL(result.version, 0);
	CU_ASSERT_EQUAL(godwit_replace(fake->client, "a", 1, "z", 1, 0, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, &result), GODWIT_OK);
	CU_ASSERT_TRUE(is_value(&result, "z"));
	fake_server_destroy(fake);
}

static void cas_and_delete_compare_versions(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result first, result;

	CU_ASSERT_EQUAL(godwit_cas(fake->client, "a", 1, 9, "x", 1, 0, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_cas(fake->client, "a", 1, 0, "x", 1, 0, NULL),
			GODWIT_INVALID_ARGUMENT);
	godwit_set(fake->client, "a", 1, "x", 1, 0, &first);
	CU_ASSERT_EQUAL(godwit_cas(fake->client, "a", 1, first.version, "y", 1, 0, &result),
			GODWIT_OK);
	CU_ASSERT_NOT_EQUAL(result.version, first.version);
	CU_ASSERT_EQUAL(godwit_cas(fake->client, "a", 1, first.version, "z", 1, 0, &first),
			GODWIT_VERSION_MISMATCH);
	CU_ASSERT_EQUAL(first.version, result.version);
	CU_ASSERT_EQUAL(godwit_delete(fake->client, "a", 1, 12345, NULL), GODWIT_VERSION_MISMATCH);
	CU_ASSERT_EQUAL(godwit_delete(fake->client, "a", 1, result.version, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_delete(fake->client, "a", 1, 0, NULL), GODWIT_NOT_FOUND);
	fake_server_destroy(fake);
}

static void increment_counts(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result result;

	CU_ASSERT_EQUAL(godwit_increment(fake->client, "n", 1, 5, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_increment_initial(fake->client, "n", 1, 5, -7, 2000, &result),
			GODWIT_OK);
	CU_ASSERT_EQUAL(result.number, -7);
	CU_ASSERT_EQUAL(godwit_increment(fake->client, "n", 1, INT64_C(-5000000000), &result),
			GODWIT_OK);
	CU_ASSERT_EQUAL(result.number, INT64_C(-5000000007));
	CU_ASSERT_PTR_NULL(result.value);
	CU_ASSERT_EQUAL(godwit_ttl(fake->client, "n", 1, &result), GODWIT_OK);
	CU_ASSERT_EQUAL(result.ttl_ms, 2000);
	godwit_set(fake->client, "n", 1, "x", 1, 0, NULL);
	CU_ASSERT_EQUAL(godwit_increment(fake->client, "n", 1, 1, NULL), GODWIT_NOT_A_NUMBER);
	fake_server_destroy(fake);
}

static void append_makes_longer(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result result;
	char much[FAKE_VALUE_MAX] = { 0 };

	CU_ASSERT_EQUAL(godwit_append(fake->client, "a", 1, "x", 1, NULL), GODWIT_NOT_FOUND);
	godwit_set(fake->client, "a", 1, "on", 2, 0, NULL);
	CU_ASSERT_EQUAL(godwit_append(fake->client, "a", 1, "ce", 2, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_append(fake->client, "a", 1, much, sizeof(much), NULL),
			GODWIT_TOO_LARGE);
	godwit_get(fake->client, "a", 1, &result);
	CU_ASSERT_TRUE(is_value(&result, "once"));
	fake_server_destroy(fake);
}

static void expiry_is_set_kept_and_cleared(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result result;

	godwit_set(fake->client, "a", 1, "x", 1, 1500, NULL);
	CU_ASSERT_EQUAL(godwit_ttl(fake->client, "a", 1, &result), GODWIT_OK);
	CU_ASSERT_EQUAL(result.ttl_ms, 1500);
	CU_ASSERT_EQUAL(godwit_touch(fake->client, "a", 1, GODWIT_NO_TTL, NULL), GODWIT_OK);
	godwit_ttl(fake->client, "a", 1, &result);
	CU_ASSERT_EQUAL(result.ttl_ms, GODWIT_TTL_NEVER);
	CU_ASSERT_EQUAL(godwit_get_and_touch(fake->client, "a", 1, 10, &result), GODWIT_OK);
	CU_ASSERT_TRUE(is_value(&result, "x"));
	fake->now_us += 10000;
	CU_ASSERT_EQUAL(godwit_get(fake->client, "a", 1, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_touch(fake->client, "a", 1, 10, NULL), GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_ttl(fake->client, "a", 1, NULL), GODWIT_NOT_FOUND);
	fake_server_destroy(fake);
}

static void exists_tells_the_version_alone(void)
{
	struct fake_server *fake = open_one();
	struct godwit_result set, result;

	CU_ASSERT_EQUAL(godwit_exists(fake->client, "a", 1, NULL), GODWIT_NOT_FOUND);
	godwit_set(fake->client, "a", 1, "x", 1, 0, &set);
	CU_ASSERT_EQUAL(godwit_exists(fake->client, "a", 1, &result), GODWIT_OK);
	CU_ASSERT_EQUAL(result.version, set.version);
	CU_ASSERT_PTR_NULL(result.value);
	fake_server_destroy(fake);
}

static void bad_arguments_are_sent_nowhere(void)
{
	struct fake_server *fake = open_one();
	static char huge[70000];
	uint64_t sent = fake->client->stats.datagrams_sent;
	struct godwit_operation odd = { .opcode = (enum godwit_opcode)13,
					.key = "a",
					.key_size = 1 };
	struct godwit_result result;

	CU_ASSERT_EQUAL(godwit_get(fake->client, "", 0, NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_get(fake->client, NULL, 4, NULL), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_get(fake->client, huge, 251, &result), GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(result.status, GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, NULL, 3, 0, NULL),
			GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, huge, sizeof(huge), 0, NULL),
			GODWIT_TOO_LARGE);
	CU_ASSERT_EQUAL(godwit_set(fake->client, "a", 1, huge, FAKE_VALUE_MAX + 1, 0, NULL),
			GODWIT_TOO_LARGE);
	CU_ASSERT_EQUAL(godwit_execute(fake->client, &odd, 1, &result), 0);
	CU_ASSERT_EQUAL(result.status, GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(fake->client->stats.datagrams_sent, sent);
	CU_ASSERT_EQUAL(godwit_pending(fake->client), 0);
	fake_server_destroy(fake);
}

static void batches_mix_operations_and_outcomes(void)
{
	struct fake_server *fake = open_one();
	struct godwit_operation operations[] = {
		{ .opcode = GODWIT_OP_SET,
		  .key = "a",
		  .key_size = 1,
		  .value = "1",
		  .value_size = 1 },
		{ .opcode = GODWIT_OP_GET, .key = "missing", .key_size = 7 },
		{ .opcode = GODWIT_OP_INCREMENT,
		  .key = "c",
		  .key_size = 1,
		  .has_initial = true,
		  .initial = 3 },
		{ .opcode = GODWIT_OP_GET, .key = "", .key_size = 0 },
		{ .opcode = GODWIT_OP_DELETE, .key = "d", .key_size = 1 },
	};
	struct godwit_result results[5];

	CU_ASSERT_EQUAL(godwit_execute(fake->client, operations, 5, results), 2);
	CU_ASSERT_EQUAL(results[0].status, GODWIT_OK);
	CU_ASSERT_EQUAL(results[1].status, GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(results[2].number, 3);
	CU_ASSERT_EQUAL(results[3].status, GODWIT_INVALID_ARGUMENT);
	CU_ASSERT_EQUAL(results[4].status, GODWIT_NOT_FOUND);
	CU_ASSERT_EQUAL(godwit_execute(fake->client, operations, 0, results), 0);
	fake_server_destroy(fake);
}

/* More than may be pending at once: the batch goes in portions. */
static void many_keys_come_back_in_their_places(void)
{
	enum { COUNT = 3000 };
	struct fake_server *fake = open_one();
	static char names[COUNT][8];
	static struct godwit_pair pairs[COUNT];
	static struct godwit_key keys[COUNT];
	static struct godwit_result results[COUNT];
	uint32_t wrong = 0;

	fake->client->pending_max = 500;
	for (uint32_t i = 0; i < COUNT; i++) {
		size_t size = (size_t)snprintf(names[i], sizeof(names[i]), "n%u", i);

		keys[i] = (struct godwit_key){ names[i], size };
		pairs[i] = (struct godwit_pair){ names[i], size, names[i], size };
	}
	CU_ASSERT_EQUAL(godwit_set_many(fake->client, pairs, COUNT, 0, results), COUNT);
	CU_ASSERT_EQUAL(godwit_get_many(fake->client, keys, COUNT, results), COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		wrong += !is_value(&results[i], names[i]);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(fake->misrouted, 0);
	fake_server_destroy(fake);
}

static void ping_tells_the_round_trip(void)
{
	struct fake_server *fake = open_one();
	uint64_t round_trip_us = 99;
	char other[32];

	CU_ASSERT_EQUAL(godwit_ping(fake->client, NULL, &round_trip_us), GODWIT_OK);
	CU_ASSERT_EQUAL(round_trip_us, 0); /* on a clock that stands still */
	CU_ASSERT_EQUAL(godwit_ping(fake->client, "127.0.0.1:x", NULL), GODWIT_INVALID_ARGUMENT);
	fake->ports[0].is_dead = true;
	snprintf(other, sizeof(other), "127.0.0.1:%u", fake->base_port);
	CU_ASSERT_EQUAL(godwit_ping(fake->client, other, &round_trip_us), GODWIT_NO_SERVER);
	fake_server_destroy(fake);
}

static void info_tells_limits_and_map(void)
{
	struct fake_server *fake = fake_server_create(2, 3, 64);
	struct godwit_info info;
	struct godwit_node node;
	char address[32];

	CU_ASSERT_EQUAL_FATAL(fake_server_open(fake, NULL), GODWIT_OK);
	CU_ASSERT_EQUAL(godwit_info(fake->client, &info), GODWIT_OK);
	snprintf(address, sizeof(address), "127.0.0.1:%u", fake->base_port);
	CU_ASSERT_STRING_EQUAL(info.address, address);
	CU_ASSERT_EQUAL(info.map_version, 1);
	CU_ASSERT_EQUAL(info.partition_count, 64);
	CU_ASSERT_EQUAL(info.node_count, 2);
	CU_ASSERT_EQUAL(info.worker_count, 3);
	CU_ASSERT_EQUAL(info.value_size_max, FAKE_VALUE_MAX);
	CU_ASSERT_EQUAL(info.datagram_size_max, FAKE_DATAGRAM_MAX);
	CU_ASSERT_EQUAL(info.boot_id, fake->boot_id);
	CU_ASSERT_EQUAL(godwit_node(fake->client, 1, &node), GODWIT_OK);
	snprintf(address, sizeof(address), "127.0.0.2:%u", fake->base_port);
	CU_ASSERT_STRING_EQUAL(node.address, address);
	CU_ASSERT_EQUAL(node.worker_count, 3);
	CU_ASSERT_EQUAL(node.partition_count, 32);
	CU_ASSERT_EQUAL(godwit_node(fake->client, 2, &node), GODWIT_INVALID_ARGUMENT);
	fake_server_destroy(fake);
}

static void every_status_has_a_text(void)
{
	static const int statuses[] = { 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
					11, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73 };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		CU_ASSERT_STRING_NOT_EQUAL(godwit_status_text((enum godwit_status)statuses[i]),
					   "unknown status");
	CU_ASSERT_STRING_EQUAL(godwit_status_text((enum godwit_status)1000), "unknown status");
	CU_ASSERT_STRING_EQUAL(godwit_version(), GODWIT_VERSION);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(set_then_get),
		UNIT_TEST(any_bytes_in_key_and_value),
		UNIT_TEST(get_into_the_callers_buffer),
		UNIT_TEST(add_and_replace_ask_for_presence),
		UNIT_TEST(cas_and_delete_compare_versions),
		UNIT_TEST(increment_counts),
		UNIT_TEST(append_makes_longer),
		UNIT_TEST(expiry_is_set_kept_and_cleared),
		UNIT_TEST(exists_tells_the_version_alone),
		UNIT_TEST(bad_arguments_are_sent_nowhere),
		UNIT_TEST(batches_mix_operations_and_outcomes),
		UNIT_TEST(many_keys_come_back_in_their_places),
		UNIT_TEST(ping_tells_the_round_trip),
		UNIT_TEST(info_tells_limits_and_map),
		UNIT_TEST(every_status_has_a_text),
		{ NULL, NULL },
	};

	return unit_run("client_blocking", tests);
}
