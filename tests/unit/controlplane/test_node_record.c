/* SPDX-License-Identifier: BSD-3-Clause */
/* Records as bytes: round trips, sizes, unknown fields, older peers, hostile input. */
#include "controlplane/node_record.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct node sample(void)
{
	struct node node = {
		.id = 0x1122334455667788,
		.name = "node-1",
		.generation = 77,
		.incarnation = 3,
		.record_version = 12,
		.state = NODE_LEAVING,
		.control = node_address_ipv4(0x0a000001, 7800),
		.data = node_address_ipv4(0x0a010001, 7700),
		.workers = 4,
		.weight = 250,
		.map_version = 64,
		.map_stamp = 0xfeedfacecafebeef,
		.load = { .items = 1, .item_bytes = 1000000000000, .operations_per_s = 3 },
		.session_secret = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 },
	};

	partition_set_add(&node.importing_partitions, 5);
	partition_set_add(&node.importing_partitions, 4000);
	partition_set_add(&node.migrating_partitions, 0);
	return node;
}

/* Encodes and decodes; returns the size. */
static int round_trip(const struct node *node, struct node *back)
{
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	int size = node_record_encode(node, bytes, sizeof(bytes));

	CU_ASSERT_TRUE_FATAL(size > 0);
	CU_ASSERT_EQUAL(node_record_decode(back, bytes, (size_t)size), 0);
	return size;
}

static bool same(const struct node *a, const struct node *b)
{
	return node_content_equals(a, b) && node_compare_age(a, b) == 0;
}

/* specification row 1.3, row 1.4 */
static void test_a_record_survives_the_wire(void)
{
	struct node node = sample();
	struct node back;

	round_trip(&node, &back);
	CU_ASSERT_TRUE(same(&node, &back));
	CU_ASSERT_TRUE(node_is_importing(&back, 5));
	CU_ASSERT_TRUE(node_is_importing(&back, 4000));
	CU_ASSERT_TRUE(node_is_migrating(&back, 0));
	CU_ASSERT_EQUAL(partition_set_count(&back.importing_partitions), 2);
}

static void test_the_session_secret_travels(void)
{
	struct node node = sample();
	struct node back;
	int with = round_trip(&node, &back);

	CU_ASSERT_EQUAL(back.session_secret[0], 1);
	CU_ASSERT_EQUAL(back.session_secret[15], 16);
	memset(node.session_secret, 0, sizeof(node.session_secret));
	CU_ASSERT_FALSE(node_announcement_equals(&node, &back));
	CU_ASSERT_EQUAL(with - round_trip(&node, &back), 2 + 1 + (int)NODE_SECRET_SIZE);
	CU_ASSERT_TRUE(same(&node, &back));
}

static void test_a_session_secret_of_another_size_is_refused(void)
{
	Godwit__NodeRecord record = GODWIT__NODE_RECORD__INIT;
	uint8_t secret[NODE_SECRET_SIZE + 1] = { 1 };
	char name[] = "n";
	uint8_t bytes[128];
	struct node node;

	record.id = 1;
	record.name = name;
	record.generation = 1;
	record.session_secret = (ProtobufCBinaryData){ NODE_SECRET_SIZE, secret };
	CU_ASSERT_EQUAL(node_record_decode(&node, bytes, godwit__node_record__pack(&record, bytes)),
			0);
	CU_ASSERT_EQUAL(node.session_secret[0], 1);
	for (size_t size = 1; size <= sizeof(secret); size++) {
		record.session_secret.len = size;
		CU_ASSERT_EQUAL(
			node_record_decode(&node, bytes, godwit__node_record__pack(&record, bytes)),
			size == NODE_SECRET_SIZE ? 0 : -EINVAL);
	}
}

/* specification row 1.4: empty sets cost nothing */
static void test_empty_sets_take_no_bytes(void)
{
	struct node node = sample();
	struct node back;
	int with_sets = round_trip(&node, &back);
	int without;

	partition_set_clear(&node.importing_partitions);
	partition_set_clear(&node.migrating_partitions);
	without = round_trip(&node, &back);
	CU_ASSERT_TRUE(same(&node, &back));
	CU_ASSERT_TRUE(partition_set_is_empty(&back.importing_partitions));
	/* {5, 4000}: two headers and 1 + 2 bytes; {0}: two headers and 1 byte */
	CU_ASSERT_EQUAL(with_sets - without, 7 + 5);
}

/* specification row 1.4: full sets, and the set that compresses worst */
static void test_full_sets_fit_a_packet(void)
{
	struct node node = sample();
	struct node back;

	for (uint32_t p = 0; p < PARTITION_COUNT_MAX; p++) {
		partition_set_add(&node.importing_partitions, p);
		partition_set_add(&node.migrating_partitions, p);
	}
	CU_ASSERT_TRUE(round_trip(&node, &back) <= (int)NODE_RECORD_SIZE_MAX);
	CU_ASSERT_TRUE(same(&node, &back));
	CU_ASSERT_EQUAL(partition_set_count(&back.migrating_partitions), PARTITION_COUNT_MAX);
}

static void test_the_largest_record_fits(void)
{
	struct node node = sample();
	struct node back;

	memset(node.name, 'n', NODE_NAME_SIZE - 1);
	node.id = UINT64_MAX;
	node.generation = UINT64_MAX;
	node.incarnation = UINT64_MAX;
	node.record_version = UINT64_MAX;
	memset(node.control.ip, 0xaa, 16);
	memset(node.data.ip, 0xaa, 16);
	node.control.port = UINT16_MAX;
	node.data.port = UINT16_MAX;
	node.workers = WORKER_COUNT_MAX;
	node.weight = NODE_WEIGHT_MAX;
	node.map_version = UINT32_MAX;
	node.load = (struct node_load){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
	memset(node.session_secret, 0xff, sizeof(node.session_secret));
	for (uint32_t p = 1; p < PARTITION_COUNT_MAX; p += 2) {
		partition_set_add(&node.importing_partitions, p);
		partition_set_add(&node.migrating_partitions, p);
	}
	CU_ASSERT_TRUE(round_trip(&node, &back) <= (int)NODE_RECORD_SIZE_MAX);
	CU_ASSERT_TRUE(same(&node, &back));
}

static void test_random_sets_survive(void)
{
	uint64_t seed = 7;

	for (uint32_t i = 0; i < 500; i++) {
		struct node node = sample();
		struct node back;
		uint64_t count = unit_random(&seed) % PARTITION_COUNT_MAX;
		uint64_t bound = 1 + unit_random(&seed) % PARTITION_COUNT_MAX;

		for (uint64_t j = 0; j < count; j++)
			partition_set_add(&node.importing_partitions,
					  (uint32_t)(unit_random(&seed) % bound));
		CU_ASSERT_TRUE(round_trip(&node, &back) <= (int)NODE_RECORD_SIZE_MAX);
		CU_ASSERT_TRUE(same(&node, &back));
	}
}

/* specification row 1.4: a newer peer's fields do not disturb this one (that they survive the relay
 * is in test_gossip.c)
 */
static void test_unknown_fields_are_skipped(void)
{
	struct node node = sample();
	struct node back;
	uint8_t bytes[NODE_RECORD_SIZE_MAX + 8];
	int size = node_record_encode(&node, bytes, sizeof(bytes));
	/* field 1000, length-delimited, 3 bytes */
	static const uint8_t unknown[] = { 0xc2, 0x3e, 3, 'n', 'e', 'w' };

	memcpy(bytes + size, unknown, sizeof(unknown));
	CU_ASSERT_EQUAL(node_record_decode(&back, bytes, (size_t)size + sizeof(unknown)), 0);
	CU_ASSERT_TRUE(same(&node, &back));
}

/* specification row 1.4: an older peer knows neither sets nor load nor sessions */
static void test_an_older_peers_record_is_read(void)
{
	Godwit__NodeRecord record = GODWIT__NODE_RECORD__INIT;
	char name[] = "old";
	uint8_t bytes[64];
	struct node node;
	size_t size;

	record.id = 9;
	record.name = name;
	record.generation = 1;
	record.state = NODE_ACTIVE;
	size = godwit__node_record__pack(&record, bytes);
	CU_ASSERT_EQUAL(node_record_decode(&node, bytes, size), 0);
	CU_ASSERT_EQUAL(node.id, 9);
	CU_ASSERT_STRING_EQUAL(node.name, "old");
	CU_ASSERT_TRUE(partition_set_is_empty(&node.importing_partitions));
	CU_ASSERT_TRUE(partition_set_is_empty(&node.migrating_partitions));
	CU_ASSERT_TRUE(node_address_is_none(&node.control));
	for (uint32_t i = 0; i < NODE_SECRET_SIZE; i++)
		CU_ASSERT_EQUAL(node.session_secret[i], 0);
}

static void test_a_newer_peers_state_counts_as_active(void)
{
	struct node node = sample();
	struct node back;

	node.state = (enum node_state)17;
	round_trip(&node, &back);
	CU_ASSERT_EQUAL(back.state, NODE_ACTIVE);
}

/* specification row 1.4: truncated at every length. Protobuf cannot tell a shorter message from one
 * that lacks its last fields, so a prefix may decode; then it is a record of the same node, and
 * nothing is read beyond its end.
 */
static void test_truncated_records_are_refused_or_partial(void)
{
	struct node node = sample();
	struct node back;
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	int size = node_record_encode(&node, bytes, sizeof(bytes));
	uint32_t refused = 0;

	for (int cut = 0; cut < size; cut++) {
		uint8_t exact[NODE_RECORD_SIZE_MAX];
		int error;

		memcpy(exact, bytes, (size_t)cut);
		error = node_record_decode(&back, exact, (size_t)cut);
		refused += error != 0;
		CU_ASSERT_TRUE(error == -EINVAL || (error == 0 && back.id == node.id));
	}
	CU_ASSERT_TRUE(refused > (uint32_t)size / 2);
}

static void test_nonsense_is_refused(void)
{
	struct node node = sample();
	struct node back;
	uint8_t bytes[NODE_RECORD_SIZE_MAX + 1] = { 0 };

	CU_ASSERT_EQUAL(node_record_decode(&back, bytes, sizeof(bytes)), -EMSGSIZE);
	CU_ASSERT_EQUAL(node_record_decode(&back, bytes, 0), -EINVAL);
	node.id = 0;
	CU_ASSERT_EQUAL(node_record_decode(&back, bytes,
					   (size_t)node_record_encode(&node, bytes, sizeof(bytes))),
			-EINVAL);
	node = sample();
	strcpy(node.name, "not a name");
	CU_ASSERT_EQUAL(node_record_decode(&back, bytes,
					   (size_t)node_record_encode(&node, bytes, sizeof(bytes))),
			-EINVAL);
	node = sample();
	node.weight = NODE_WEIGHT_MAX + 1;
	CU_ASSERT_EQUAL(node_record_decode(&back, bytes,
					   (size_t)node_record_encode(&node, bytes, sizeof(bytes))),
			-EINVAL);
}

static void test_partitions_out_of_range_are_refused(void)
{
	Godwit__NodeRecord record = GODWIT__NODE_RECORD__INIT;
	Godwit__PartitionSet set = GODWIT__PARTITION_SET__INIT;
	uint32_t gaps[] = { 4000, 94, 0, UINT32_MAX }; /* 4000, 4095, 4096 */
	char name[] = "n";
	uint8_t bytes[128];
	struct node node;

	record.id = 1;
	record.name = name;
	record.generation = 1;
	record.importing_partitions = &set;
	set.gaps = gaps;
	set.n_gaps = 2;
	CU_ASSERT_EQUAL(node_record_decode(&node, bytes, godwit__node_record__pack(&record, bytes)),
			0);
	CU_ASSERT_TRUE(node_is_importing(&node, 4095));
	set.n_gaps = 3;
	CU_ASSERT_EQUAL(node_record_decode(&node, bytes, godwit__node_record__pack(&record, bytes)),
			-EINVAL);
	gaps[1] = UINT32_MAX;
	set.n_gaps = 2;
	CU_ASSERT_EQUAL(node_record_decode(&node, bytes, godwit__node_record__pack(&record, bytes)),
			-EINVAL);
}

/* Whatever the bytes, decoding ends, reads nothing outside (the sanitizers watch), and what it
 * accepts it can encode.
 */
static void test_mutated_records_never_break_the_decoder(void)
{
	struct node node = sample();
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	uint8_t mutated[NODE_RECORD_SIZE_MAX];
	int size = node_record_encode(&node, bytes, sizeof(bytes));
	uint64_t seed = 99;
	uint32_t accepted = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		struct node back, again;

		memcpy(mutated, bytes, (size_t)size);
		for (uint64_t j = 0; j <= unit_random(&seed) % 4; j++)
			mutated[unit_random(&seed) % (uint64_t)size] = (uint8_t)unit_random(&seed);
		if (node_record_decode(&back, mutated, (size_t)size) != 0)
			continue;
		accepted++;
		round_trip(&back, &again);
		CU_ASSERT_TRUE(same(&back, &again));
	}
	CU_ASSERT_TRUE(accepted > 100);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_record_survives_the_wire),
		UNIT_TEST(test_the_session_secret_travels),
		UNIT_TEST(test_a_session_secret_of_another_size_is_refused),
		UNIT_TEST(test_empty_sets_take_no_bytes),
		UNIT_TEST(test_full_sets_fit_a_packet),
		UNIT_TEST(test_the_largest_record_fits),
		UNIT_TEST(test_random_sets_survive),
		UNIT_TEST(test_unknown_fields_are_skipped),
		UNIT_TEST(test_an_older_peers_record_is_read),
		UNIT_TEST(test_a_newer_peers_state_counts_as_active),
		UNIT_TEST(test_truncated_records_are_refused_or_partial),
		UNIT_TEST(test_nonsense_is_refused),
		UNIT_TEST(test_partitions_out_of_range_are_refused),
		UNIT_TEST(test_mutated_records_never_break_the_decoder),
		{ NULL, NULL },
	};

	return unit_run("node_record", tests);
}
