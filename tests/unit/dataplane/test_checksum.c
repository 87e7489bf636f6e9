/* SPDX-License-Identifier: BSD-3-Clause */
/* The fast Internet checksum against a naive one. */
#include "dataplane/checksum.h"

#include <arpa/inet.h>

#include "tests/unit/dataplane/frame.h"
#include "tests/unit/unit.h"

static void fill(uint8_t *bytes, size_t size, uint64_t *random)
{
	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)unit_random(random);
}

static void agrees_with_the_naive_sum_for_all_sizes(void)
{
	uint64_t random = 1;
	unsigned different = 0;

	for (size_t size = 0; size <= 1500; size++) {
		uint8_t *bytes = malloc(size + 1);

		if (!bytes)
			abort();
		fill(bytes, size, &random);
		different += ntohs(checksum_fold(checksum_add(0, bytes, size))) !=
			     frame_sum(0, bytes, size);
		free(bytes);
	}
	CU_ASSERT_EQUAL(different, 0);
}

static void extremes_carry(void)
{
	uint8_t bytes[1500];

	for (size_t size = 0; size <= sizeof(bytes); size++) {
		memset(bytes, 0xff, size);
		if (ntohs(checksum_fold(checksum_add(0, bytes, size))) != frame_sum(0, bytes, size))
			CU_FAIL("all ones");
		memset(bytes, 0, size);
		if (checksum_fold(checksum_add(0, bytes, size)) != 0)
			CU_FAIL("all zeros");
	}
	CU_PASS("all sizes");
}

static void sums_of_parts_are_the_sum(void)
{
	uint64_t random = 2;
	uint8_t bytes[300];
	unsigned different = 0;

	for (int i = 0; i < 10000; i++) {
		size_t size = unit_random(&random) % sizeof(bytes);
		size_t cut = unit_random(&random) % (size + 1) & ~(size_t)1;
		uint64_t sum;

		fill(bytes, size, &random);
		sum = checksum_add(checksum_add(0, bytes, cut), bytes + cut, size - cut);
		different += ntohs(checksum_fold(sum)) != frame_sum(0, bytes, size);
	}
	CU_ASSERT_EQUAL(different, 0);
}

static void any_alignment(void)
{
	uint64_t random = 3;
	uint8_t bytes[200];

	fill(bytes, sizeof(bytes), &random);
	for (size_t at = 0; at < 16; at++)
		CU_ASSERT_EQUAL(ntohs(checksum_fold(checksum_add(0, bytes + at, 99))),
				frame_sum(0, bytes + at, 99));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(agrees_with_the_naive_sum_for_all_sizes),
		UNIT_TEST(extremes_carry),
		UNIT_TEST(sums_of_parts_are_the_sum),
		UNIT_TEST(any_alignment),
		{ NULL, NULL },
	};

	return unit_run("checksum", tests);
}
