/* SPDX-License-Identifier: BSD-3-Clause */
/* Values that prove themselves: right ones pass, every kind of wrong one does not. */
#include <string.h>

#include "dataplane/loadgen/value_pattern.h"
#include "tests/unit/unit.h"

static void test_written_values_match_their_key(void)
{
	uint8_t value[1500];

	for (uint32_t size = 0; size <= sizeof(value); size += 1 + size / 40) {
		value_pattern_write(value, size, 42, 7);
		CU_ASSERT(value_pattern_matches(value, size, 42, size, size));
	}
}

static void test_every_changed_bit_is_found(void)
{
	uint8_t value[61];

	for (uint32_t bit = 0; bit < 8 * sizeof(value); bit++) {
		value_pattern_write(value, sizeof(value), 42, 7);
		value[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CU_ASSERT_FALSE(value_pattern_matches(value, sizeof(value), 42, sizeof(value),
						      sizeof(value)));
	}
}

static void test_values_of_other_keys_do_not_match(void)
{
	uint8_t value[32];

	for (uint64_t key = 0; key < 1000; key++) {
		value_pattern_write(value, sizeof(value), key, 7);
		CU_ASSERT_FALSE(value_pattern_matches(value, sizeof(value), key + 1, 32, 32));
		CU_ASSERT_FALSE(value_pattern_matches(value, 8, key + 1, 8, 8));
	}
}

/* One head, another tail: two writes mixed. */
static void test_a_torn_value_does_not_match(void)
{
	uint8_t value[256], other[256];

	value_pattern_write(value, sizeof(value), 42, 7);
	value_pattern_write(other, sizeof(other), 42, 8);
	memcpy(value + 128, other + 128, 128);
	CU_ASSERT_FALSE(value_pattern_matches(value, sizeof(value), 42, 256, 256));
}

static void test_a_cut_value_does_not_match(void)
{
	uint8_t value[1000];
	uint32_t size = value_pattern_size(42, 7, 100, 1000);

	value_pattern_write(value, size, 42, 7);
	CU_ASSERT(value_pattern_matches(value, size, 42, 100, 1000));
	CU_ASSERT_FALSE(value_pattern_matches(value, size - 1, 42, 100, 1000));
	CU_ASSERT_FALSE(value_pattern_matches(value, 99, 42, 100, 1000));
}

static void test_sizes_are_spread_over_the_range(void)
{
	unsigned halves[2] = { 0 };
	bool ends[2] = { false };

	for (uint64_t write = 0; write < 100000; write++) {
		uint32_t size = value_pattern_size(5, write, 10, 1009);

		CU_ASSERT_FATAL(size >= 10 && size <= 1009);
		CU_ASSERT_EQUAL(size, value_pattern_size(5, write, 10, 1009));
		halves[size >= 510]++;
		ends[0] |= size == 10;
		ends[1] |= size == 1009;
	}
	CU_ASSERT(halves[0] > 49000 && halves[0] < 51000);
	CU_ASSERT(ends[0] && ends[1]);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_written_values_match_their_key),
		UNIT_TEST(test_every_changed_bit_is_found),
		UNIT_TEST(test_values_of_other_keys_do_not_match),
		UNIT_TEST(test_a_torn_value_does_not_match),
		UNIT_TEST(test_a_cut_value_does_not_match),
		UNIT_TEST(test_sizes_are_spread_over_the_range),
		{ NULL, NULL },
	};

	return unit_run("value_pattern", tests);
}
