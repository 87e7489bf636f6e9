/* SPDX-License-Identifier: BSD-3-Clause */
/* Neighbours: learned, asked for with pauses, renewed, forgotten. */
#include "dataplane/neighbor.h"

#include <string.h>

#include "tests/unit/unit.h"

#define T0 UINT64_C(1000000)

static const uint8_t mac_a[6] = { 2, 0, 0, 0, 0, 0xa };
static const uint8_t mac_b[6] = { 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54 };

static bool finds(struct neighbor *neighbor, uint64_t now_ms, const uint8_t *wanted, bool *ask)
{
	uint8_t mac[6] = { 0 };

	return neighbor_find(neighbor, now_ms, mac, ask) && memcmp(mac, wanted, 6) == 0;
}

static void unknown_neighbor_is_asked_with_pauses(void)
{
	struct neighbor neighbor = { 0 };
	unsigned asked = 0;
	uint8_t mac[6];
	bool ask;

	for (uint64_t ms = 0; ms < 1000; ms++) {
		CU_ASSERT_FALSE(neighbor_find(&neighbor, T0 + ms, mac, &ask));
		asked += ask;
	}
	CU_ASSERT_EQUAL(asked, 1000 / NEIGHBOR_ASK_PAUSE_MS);
}

static void answer_is_learned(void)
{
	struct neighbor neighbor = { 0 };
	uint8_t mac[6];
	bool ask;

	neighbor_find(&neighbor, T0, mac, &ask);
	CU_ASSERT_TRUE(ask);
	neighbor_learn(&neighbor, mac_a, T0);
	CU_ASSERT_TRUE(finds(&neighbor, T0, mac_a, &ask));
	CU_ASSERT_FALSE(ask);
	neighbor_learn(&neighbor, mac_b, T0 + 1);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + 1, mac_b, &ask));
}

static void stale_neighbor_is_used_and_asked_again(void)
{
	struct neighbor neighbor = { 0 };
	bool ask;

	neighbor_learn(&neighbor, mac_a, T0);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + NEIGHBOR_STALE_MS - 1, mac_a, &ask));
	CU_ASSERT_FALSE(ask);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + NEIGHBOR_STALE_MS, mac_a, &ask));
	CU_ASSERT_TRUE(ask);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + NEIGHBOR_STALE_MS + 1, mac_a, &ask));
	CU_ASSERT_FALSE(ask);
	neighbor_learn(&neighbor, mac_a, T0 + NEIGHBOR_STALE_MS + 2);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + 2 * NEIGHBOR_STALE_MS + 1, mac_a, &ask));
	CU_ASSERT_FALSE(ask);
}

static void silent_neighbor_is_forgotten(void)
{
	struct neighbor neighbor = { 0 };
	uint8_t mac[6];
	bool ask;

	neighbor_learn(&neighbor, mac_a, T0);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + NEIGHBOR_EXPIRED_MS - 1, mac_a, &ask));
	CU_ASSERT_FALSE(neighbor_find(&neighbor, T0 + NEIGHBOR_EXPIRED_MS, mac, &ask));
	neighbor_learn(&neighbor, mac_b, T0 + NEIGHBOR_EXPIRED_MS);
	CU_ASSERT_TRUE(finds(&neighbor, T0 + NEIGHBOR_EXPIRED_MS, mac_b, &ask));
}

static void group_addresses_are_not_learned(void)
{
	static const uint8_t group[6] = { 1, 0, 0x5e, 0, 0, 1 };
	struct neighbor neighbor = { 0 };
	uint8_t mac[6];
	bool ask;

	neighbor_learn(&neighbor, group, T0);
	CU_ASSERT_FALSE(neighbor_find(&neighbor, T0, mac, &ask));
}

/* Another core's clock may be a little ahead. */
static void a_confirmation_from_the_future_is_fresh(void)
{
	struct neighbor neighbor = { 0 };
	bool ask;

	neighbor_learn(&neighbor, mac_a, T0 + 5);
	CU_ASSERT_TRUE(finds(&neighbor, T0, mac_a, &ask));
	CU_ASSERT_FALSE(ask);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(unknown_neighbor_is_asked_with_pauses),
		UNIT_TEST(answer_is_learned),
		UNIT_TEST(stale_neighbor_is_used_and_asked_again),
		UNIT_TEST(silent_neighbor_is_forgotten),
		UNIT_TEST(group_addresses_are_not_learned),
		UNIT_TEST(a_confirmation_from_the_future_is_fresh),
		{ NULL, NULL },
	};

	return unit_run("neighbor", tests);
}
