/* SPDX-License-Identifier: BSD-3-Clause */
/* Negative controls of the data plane and the storage: what happens without the replay window, and when a scan walks the hash
 * table instead of the slots.
 */
#include <errno.h>
#include <rte_hash.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/replay_window.h"
#include "storage/index_table.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_node.h"

static void print_caught(const char *name, uint32_t seeds, bool is_caught)
{
	printf("  %-24s %s %u seeds\n", name, is_caught ? "caught after" : "NOT CAUGHT in", seeds);
}

/* ---- each write once ---- */

#define WRITES 40u
#define REPLAY_SEED_MAX 20u

/* The node remembers nothing of what it answered. */
static void forget_answers(struct unit_node *node)
{
	const struct replay_options options = { 64, 256, 16 };

	replay_table_destroy(node->cores[0]->replay);
	CU_ASSERT_EQUAL_FATAL(replay_table_create(&node->cores[0]->replay, &options), 0);
}

/* Increments a counter over a network that loses every third answer, so that the client sends again. The counter's value. */
static uint64_t count_up(uint64_t seed, bool has_window)
{
	static const uint8_t delta_and_initial[16] = { [7] = 1, [15] = 1 };
	const struct wire_request_op increment = { .opcode = WIRE_INCREMENT,
						   .key = (const uint8_t *)"n",
						   .key_size = 1,
						   .value = delta_and_initial,
						   .value_size = 16 };
	const struct unit_node_options options = { .memory_limit_bytes = (size_t)4 << 20 };
	struct unit_client client = { .ipv4 = 0x0a010164, .port = 40000 };
	struct wire_reply_op reply = { 0 };
	uint8_t payload[2048];
	struct unit_node node;
	uint64_t value;

	unit_node_create(&node, &options);
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&node, &client, 0));
	for (uint32_t i = 0; i < WRITES; i++) {
		struct unit_datagram datagram;
		size_t size;

		unit_request_begin(&datagram, &client);
		unit_request_add(&datagram, &increment);
		do {
			if (!has_window)
				forget_answers(&node);
			size = unit_exchange(&node, &client, 0, &datagram, payload);
		} while (unit_random(&seed) % 3 == 0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(
			wire_reply_op_read(payload + WIRE_HEADER_SIZE, payload + size, &reply));
	}
	CU_ASSERT_EQUAL_FATAL(reply.value_size, 8);
	value = wire_get_u64(reply.value);
	unit_node_destroy(&node);
	return value;
}

static void writes_happen_twice_without_the_replay_window(void)
{
	uint32_t seed = 0;
	bool is_caught = false;

	while (!is_caught && seed < REPLAY_SEED_MAX)
		is_caught = count_up(++seed, false) != WRITES;
	print_caught("replay window", seed, is_caught);
	CU_ASSERT_TRUE(is_caught);
	for (seed = 1; seed <= REPLAY_SEED_MAX; seed++)
		CU_ASSERT_EQUAL(count_up(seed, true), WRITES);
}

/* ---- a scan misses nothing that was there all along ---- */

#define PERMANENT 800u
#define CHURN (INDEX_TABLE_ENTRY_MIN - PERMANENT - 8u)
#define SCAN_SEED_MAX 50u

struct scanned {
	struct index_table *table;
	uint64_t random;
	uint64_t permanent[PERMANENT]; /* digests */
	bool was_seen[PERMANENT];      /* what they map to, in the items' place */
	uint64_t churn[CHURN];         /* digests that come and go; 0 = none */
	uint32_t oldest;
	bool nothing; /* what these map to */
};

/* No entry is ever looked into. */
static struct item *as_item(bool *seen)
{
	return (struct item *)(void *)seen;
}

/* One entry goes, another comes: the nearly full table pushes others from bucket to bucket for it. */
static void replace_one(struct scanned *scanned)
{
	uint64_t *digest = &scanned->churn[scanned->oldest++ % CHURN];
	int32_t position = *digest ? index_table_remove(scanned->table, *digest) : -1;

	if (position >= 0)
		index_table_free_position(scanned->table, position);
	*digest = unit_random(&scanned->random);
	if (!index_table_add(scanned->table, *digest, as_item(&scanned->nothing)))
		*digest = 0;
}

static struct scanned *fill_table(uint64_t seed)
{
	struct scanned *scanned = calloc(1, sizeof(*scanned));

	CU_ASSERT_PTR_NOT_NULL_FATAL(scanned);
	scanned->random = seed;
	scanned->table = index_table_create("controls", INDEX_TABLE_ENTRY_MIN);
	CU_ASSERT_PTR_NOT_NULL_FATAL(scanned->table);
	while (index_table_build(scanned->table) == -EAGAIN)
		;
	for (uint32_t i = 0; i < PERMANENT; i++) {
		scanned->permanent[i] = unit_random(&scanned->random);
		CU_ASSERT_TRUE(index_table_add(scanned->table, scanned->permanent[i],
					       as_item(&scanned->was_seen[i])));
	}
	for (uint32_t i = 0; i < CHURN; i++)
		replace_one(scanned);
	return scanned;
}

/* Scans by rte_hash_iterate() while others write; how many entries it missed that were there all along. */
static uint32_t scan_by_iteration(uint64_t seed)
{
	struct scanned *scanned = fill_table(seed);
	uint32_t missed = 0;
	uint32_t next = 0;
	const void *key;
	void *data;

	while (rte_hash_iterate(scanned->table->hash, &key, &data, &next) >= 0) {
		*(bool *)data = true;
		replace_one(scanned);
	}
	for (uint32_t i = 0; i < PERMANENT; i++) {
		CU_ASSERT_PTR_EQUAL(index_table_find(scanned->table, scanned->permanent[i]),
				    as_item(&scanned->was_seen[i]));
		missed += !scanned->was_seen[i];
	}
	index_table_destroy(scanned->table);
	free(scanned);
	return missed;
}

/* tests/unit/storage/test_shard_scan.c does the same with the scan that there is. */
static void a_scan_of_the_hash_table_misses_entries(void)
{
	uint32_t seed = 0;
	bool is_caught = false;

	while (!is_caught && seed < SCAN_SEED_MAX)
		is_caught = scan_by_iteration(++seed) > 0;
	print_caught("scan by slots", seed, is_caught);
	CU_ASSERT_TRUE(is_caught);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(writes_happen_twice_without_the_replay_window),
		UNIT_TEST(a_scan_of_the_hash_table_misses_entries),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("data controls", tests);
}
