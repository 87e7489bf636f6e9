/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours: learned, asked for with pauses, renewed, forgotten. */
#include "dataplane/neighbor_table.h"

#include <string.h>

#include "tests/unit/unit.h"

#define PEER 0x0a000002u
#define T0 UINT64_C(1000000)

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa };
static const uint8_t mac_b[6] = { 2, 0, 0, 0, 0, 0xb };

static bool is(const uint8_t *mac, const uint8_t *wanted)
{
	return mac && memcmp(mac, wanted, 6) == 0;
}

static void unknown_neighbor_is_asked_with_pauses(void)
{
	struct neighbor_table table;
	unsigned asked = 0;
	bool ask;

	neighbor_table_init(&table);
	for (uint64_t ms = 0; ms < 1000; ms++) {
		CU_ASSERT_PTR_NULL(neighbor_find(&table, PEER, T0 + ms, &ask));
		asked += ask;
	}
	CU_ASSERT_EQUAL(asked, 1000 / NEIGHBOR_ASK_PAUSE_MS);
}

static void answer_is_learned(void)
{
	struct neighbor_table table;
	bool ask;

	neighbor_table_init(&table);
	neighbor_find(&table, PEER, T0, &ask);
	CU_ASSERT_TRUE(ask);
	neighbor_learn(&table, PEER, mac_a, T0);
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER, T0, &ask), mac_a));
	CU_ASSERT_FALSE(ask);
	neighbor_learn(&table, PEER, mac_b, T0 + 1);
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER, T0 + 1, &ask), mac_b));
}

static void stale_neighbor_is_used_and_asked_again(void)
{
	struct neighbor_table table;
	bool ask;

	neighbor_table_init(&table);
	neighbor_learn(&table, PEER, mac_a, T0);
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER, T0 + NEIGHBOR_STALE_MS - 1, &ask), mac_a));
	CU_ASSERT_FALSE(ask);
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER, T0 + NEIGHBOR_STALE_MS, &ask), mac_a));
	CU_ASSERT_TRUE(ask);
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER, T0 + NEIGHBOR_STALE_MS + 1, &ask), mac_a));
	CU_ASSERT_FALSE(ask);
	CU_ASSERT_PTR_NULL(neighbor_find(&table, PEER, T0 + NEIGHBOR_EXPIRED_MS, &ask));
	CU_ASSERT_TRUE(ask);
}

static void nonsense_is_not_learned(void)
{
	static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 1 };
	struct neighbor_table table;
	bool ask;

	neighbor_table_init(&table);
	neighbor_learn(&table, 0, mac_a, T0);
	CU_ASSERT_PTR_NULL(neighbor_find(&table, 0, T0, &ask));
	CU_ASSERT_FALSE(ask);
	neighbor_learn(&table, PEER, group, T0);
	CU_ASSERT_PTR_NULL(neighbor_find(&table, PEER, T0, &ask));
}

static void full_set_forgets_the_longest_silent(void)
{
	struct neighbor_table table;
	bool ask;

	neighbor_table_init(&table);
	for (uint32_t i = 0; i < NEIGHBOR_SET_SIZE; i++)
		neighbor_learn(&table, PEER + i * NEIGHBOR_SET_COUNT, mac_a, T0 + i);
	neighbor_learn(&table, PEER, mac_a, T0 + 100);
	neighbor_learn(&table, PEER + NEIGHBOR_SET_SIZE * NEIGHBOR_SET_COUNT, mac_b, T0 + 101);
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER, T0 + 102, &ask), mac_a));
	CU_ASSERT_TRUE(is(neighbor_find(&table, PEER + NEIGHBOR_SET_SIZE * NEIGHBOR_SET_COUNT,
					T0 + 102, &ask),
			  mac_b));
	CU_ASSERT_TRUE(
		is(neighbor_find(&table, PEER + 2 * NEIGHBOR_SET_COUNT, T0 + 102, &ask), mac_a));
	CU_ASSERT_PTR_NULL(neighbor_find(&table, PEER + NEIGHBOR_SET_COUNT, T0 + 102, &ask));
}

static void a_subnet_of_neighbors_fits(void)
{
	struct neighbor_table table;
	unsigned known = 0;
	bool ask;

	neighbor_table_init(&table);
	for (uint32_t i = 1; i < 255; i++)
		neighbor_learn(&table, 0x0a000000u + i, mac_a, T0 + i);
	for (uint32_t i = 1; i < 255; i++)
		known += neighbor_find(&table, 0x0a000000u + i, T0 + 300, &ask) != NULL;
	CU_ASSERT_EQUAL(known, 254);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(unknown_neighbor_is_asked_with_pauses),
		UNIT_TEST(answer_is_learned),
		UNIT_TEST(stale_neighbor_is_used_and_asked_again),
		UNIT_TEST(nonsense_is_not_learned),
		UNIT_TEST(full_set_forgets_the_longest_silent),
		UNIT_TEST(a_subnet_of_neighbors_fits),
		{ NULL, NULL },
	};

	return unit_run("neighbor_table", tests);
}
