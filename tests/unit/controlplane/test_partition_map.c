/* SPDX-License-Identifier: BSD-3-Clause */
/* The partition map: one decider, the higher epoch wins, and merging in any order ends the same. */
#include "controlplane/partition_map.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"

static void test_the_first_node_owns_all(void)
{
	static struct partition_map map;

	partition_map_init(&map, 64);
	CU_ASSERT_EQUAL(partition_map_owner(&map, 0), 0);
	CU_ASSERT_TRUE(partition_map_bootstrap(&map, 7));
	CU_ASSERT_EQUAL(partition_map_count_owned(&map, 7), 64);
	CU_ASSERT_EQUAL(partition_map_epoch(&map, 63), 1);
	CU_ASSERT_EQUAL(map.version, 64);
	CU_ASSERT_FALSE(partition_map_bootstrap(&map, 8));
	CU_ASSERT_EQUAL(partition_map_count_owned(&map, 7), 64);
	CU_ASSERT_TRUE(partition_map_is_sound(&map));
}

/* invariant 1: only the owner hands over, and the epoch grows */
static void test_only_the_owner_hands_over(void)
{
	static struct partition_map map;

	partition_map_init(&map, 4);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 0, 8), -EPERM);
	partition_map_bootstrap(&map, 7);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 8, 0, 8), -EPERM);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 4, 8), -EINVAL);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 0, 0), -EINVAL);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 0, 8), 0);
	CU_ASSERT_EQUAL(partition_map_owner(&map, 0), 8);
	CU_ASSERT_EQUAL(partition_map_epoch(&map, 0), 2);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 0, 9), -EPERM);
	CU_ASSERT_EQUAL(map.version, 5);
	CU_ASSERT_TRUE(partition_map_is_sound(&map));
}

static void test_a_claim_needs_the_latest_epoch(void)
{
	static struct partition_map map;

	partition_map_init(&map, 4);
	partition_map_bootstrap(&map, 7);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 1, 8), 0);
	CU_ASSERT_EQUAL(partition_map_claim(&map, 1, 1, 9), -ESTALE);
	CU_ASSERT_EQUAL(partition_map_owner(&map, 1), 8);
	CU_ASSERT_EQUAL(partition_map_claim(&map, 1, 2, 9), 0);
	CU_ASSERT_EQUAL(partition_map_owner(&map, 1), 9);
	CU_ASSERT_EQUAL(partition_map_epoch(&map, 1), 3);
	CU_ASSERT_EQUAL(partition_map_claim(&map, 9, 2, 9), -EINVAL);
}

static void test_epochs_end(void)
{
	static struct partition_map map;
	struct partition_owner last = { .partition = 0, .epoch = PARTITION_EPOCH_MAX, .owner = 7 };

	partition_map_init(&map, 1);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &last), PARTITION_MERGE_TAKEN);
	CU_ASSERT_EQUAL(partition_map_hand_over(&map, 7, 0, 8), -EOVERFLOW);
	CU_ASSERT_EQUAL(partition_map_claim(&map, 0, PARTITION_EPOCH_MAX, 8), -EOVERFLOW);
	last.epoch++;
	CU_ASSERT_EQUAL(partition_map_merge(&map, &last), PARTITION_MERGE_INVALID);
}

static void test_the_higher_epoch_wins(void)
{
	static struct partition_map map;
	struct partition_owner first = { .partition = 2, .epoch = 5, .owner = 50 };
	struct partition_owner older = { .partition = 2, .epoch = 4, .owner = 90 };
	struct partition_owner newer = { .partition = 2, .epoch = 6, .owner = 10 };
	struct partition_owner nobody = { .partition = 2, .epoch = 7, .owner = 0 };
	struct partition_owner outside = { .partition = 8, .epoch = 7, .owner = 1 };

	partition_map_init(&map, 8);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &first), PARTITION_MERGE_TAKEN);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &first), PARTITION_MERGE_SAME);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &older), PARTITION_MERGE_OLDER);
	CU_ASSERT_EQUAL(partition_map_owner(&map, 2), 50);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &newer), PARTITION_MERGE_TAKEN);
	CU_ASSERT_EQUAL(partition_map_owner(&map, 2), 10);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &nobody), PARTITION_MERGE_INVALID);
	CU_ASSERT_EQUAL(partition_map_merge(&map, &outside), PARTITION_MERGE_INVALID);
	CU_ASSERT_EQUAL(map.conflicts, 0);
	CU_ASSERT_TRUE(partition_map_is_sound(&map));
}

static void test_two_owners_of_one_epoch_end_the_same_everywhere(void)
{
	static struct partition_map a, b;
	struct partition_owner low = { .partition = 0, .epoch = 2, .owner = 1 };
	struct partition_owner high = { .partition = 0, .epoch = 2, .owner = 2 };

	partition_map_init(&a, 1);
	partition_map_init(&b, 1);
	partition_map_merge(&a, &low);
	partition_map_merge(&a, &high);
	partition_map_merge(&b, &high);
	partition_map_merge(&b, &low);
	CU_ASSERT_EQUAL(partition_map_owner(&a, 0), 2);
	CU_ASSERT_EQUAL(a.stamp, b.stamp);
	CU_ASSERT_EQUAL(a.conflicts, 1);
	CU_ASSERT_EQUAL(b.conflicts, 1);
}

#define NEWS_COUNT 400u

static void test_merging_in_any_order_ends_the_same(void)
{
	static struct partition_map reference, map;
	struct partition_owner news[NEWS_COUNT];
	uint64_t seed = 3;

	partition_map_init(&reference, 32);
	for (uint32_t i = 0; i < NEWS_COUNT; i++) {
		news[i].partition = (uint32_t)(unit_random(&seed) % 32);
		news[i].epoch = 1 + (uint32_t)(unit_random(&seed) % 20);
		news[i].owner = 1 + unit_random(&seed) % 5;
		partition_map_merge(&reference, &news[i]);
	}
	for (uint32_t round = 0; round < 50; round++) {
		partition_map_init(&map, 32);
		for (uint32_t i = 0; i < 3 * NEWS_COUNT; i++)
			partition_map_merge(&map, &news[unit_random(&seed) % NEWS_COUNT]);
		for (uint32_t i = 0; i < NEWS_COUNT; i++)
			partition_map_merge(&map, &news[NEWS_COUNT - 1 - i]);
		CU_ASSERT_EQUAL(map.stamp, reference.stamp);
		CU_ASSERT_EQUAL(map.version, reference.version);
		CU_ASSERT_TRUE(partition_map_is_sound(&map));
	}
}

static void test_the_stamp_tells_maps_apart(void)
{
	static struct partition_map a, b;

	partition_map_init(&a, 64);
	partition_map_init(&b, 64);
	CU_ASSERT_EQUAL(a.stamp, b.stamp);
	partition_map_bootstrap(&a, 1);
	partition_map_bootstrap(&b, 1);
	CU_ASSERT_EQUAL(a.stamp, b.stamp);
	/* The same version, another partition. */
	partition_map_hand_over(&a, 1, 10, 2);
	partition_map_hand_over(&b, 1, 11, 2);
	CU_ASSERT_EQUAL(a.version, b.version);
	CU_ASSERT_NOT_EQUAL(a.stamp, b.stamp);
	CU_ASSERT_EQUAL(partition_map_version32(&a), 65);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_the_first_node_owns_all),
		UNIT_TEST(test_only_the_owner_hands_over),
		UNIT_TEST(test_a_claim_needs_the_latest_epoch),
		UNIT_TEST(test_epochs_end),
		UNIT_TEST(test_the_higher_epoch_wins),
		UNIT_TEST(test_two_owners_of_one_epoch_end_the_same_everywhere),
		UNIT_TEST(test_merging_in_any_order_ends_the_same),
		UNIT_TEST(test_the_stamp_tells_maps_apart),
		{ NULL, NULL },
	};

	return unit_run("partition_map", tests);
}
