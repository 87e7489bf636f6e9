/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's record: its partition sets, the order of two records, names and addresses. */
#include "controlplane/node.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

/* specification row 1.1, row 2.1 */
static void test_a_node_says_which_partitions_it_imports(void)
{
	struct node node = { .id = 1 };

	CU_ASSERT_FALSE(node_is_importing(&node, 7));
	partition_set_add(&node.importing_partitions, 7);
	CU_ASSERT_TRUE(node_is_importing(&node, 7));
	CU_ASSERT_FALSE(node_is_importing(&node, 6));
	CU_ASSERT_FALSE(node_is_importing(&node, 8));
	CU_ASSERT_FALSE(node_is_migrating(&node, 7));
	partition_set_remove(&node.importing_partitions, 7);
	CU_ASSERT_FALSE(node_is_importing(&node, 7));
}

/* specification row 1.2, row 2.2 */
static void test_a_node_says_which_partitions_it_migrates(void)
{
	struct node node = { .id = 1 };

	partition_set_add(&node.migrating_partitions, 0);
	partition_set_add(&node.migrating_partitions, PARTITION_COUNT_MAX - 1);
	CU_ASSERT_TRUE(node_is_migrating(&node, 0));
	CU_ASSERT_TRUE(node_is_migrating(&node, PARTITION_COUNT_MAX - 1));
	CU_ASSERT_FALSE(node_is_migrating(&node, 1));
	CU_ASSERT_FALSE(node_is_importing(&node, 0));
}

static void test_a_partition_set_holds_every_partition(void)
{
	struct partition_set set;
	uint32_t seen = 0;

	partition_set_clear(&set);
	CU_ASSERT_TRUE(partition_set_is_empty(&set));
	for (uint32_t p = 0; p < PARTITION_COUNT_MAX; p += 3)
		partition_set_add(&set, p);
	for (uint32_t p = partition_set_next(&set, 0); p < PARTITION_COUNT_MAX;
	     p = partition_set_next(&set, p + 1)) {
		CU_ASSERT_EQUAL(p, 3 * seen);
		seen++;
	}
	CU_ASSERT_EQUAL(seen, (PARTITION_COUNT_MAX + 2) / 3);
	CU_ASSERT_EQUAL(partition_set_count(&set), seen);
	CU_ASSERT_FALSE(partition_set_is_empty(&set));
	CU_ASSERT_EQUAL(partition_set_next(&set, PARTITION_COUNT_MAX), PARTITION_COUNT_MAX);
}

static struct node aged(uint64_t generation, uint64_t incarnation, uint64_t record_version)
{
	return (struct node){ .generation = generation,
			      .incarnation = incarnation,
			      .record_version = record_version };
}

/* A restart beats any incarnation, an incarnation any version: a node that comes back and counts
 * from 1 again is believed.
 */
static void test_records_are_ordered_by_generation_incarnation_version(void)
{
	struct node old = aged(5, 9, 100);
	struct node restarted = aged(6, 1, 1);
	struct node refuted = aged(5, 10, 1);
	struct node changed = aged(5, 9, 101);

	CU_ASSERT_TRUE(node_compare_age(&restarted, &old) > 0);
	CU_ASSERT_TRUE(node_compare_age(&refuted, &old) > 0);
	CU_ASSERT_TRUE(node_compare_age(&changed, &old) > 0);
	CU_ASSERT_TRUE(node_compare_age(&restarted, &refuted) > 0);
	CU_ASSERT_TRUE(node_compare_age(&refuted, &changed) > 0);
	CU_ASSERT_TRUE(node_compare_age(&old, &changed) < 0);
	CU_ASSERT_EQUAL(node_compare_age(&old, &old), 0);
}

static void test_load_and_map_are_no_announcement(void)
{
	struct node a = { .id = 1, .state = NODE_ACTIVE };
	struct node b = a;

	b.load.items = 7;
	b.map_stamp = 9;
	CU_ASSERT_FALSE(node_content_equals(&a, &b));
	CU_ASSERT_TRUE(node_announcement_equals(&a, &b));
	partition_set_add(&b.importing_partitions, 1);
	CU_ASSERT_FALSE(node_announcement_equals(&a, &b));
}

static void test_addresses_read_as_they_print(void)
{
	static const char *const good[] = { "10.1.2.3:7800", "127.0.0.1:1", "[::1]:65535",
					    "[2001:db8::5]:7800" };
	static const char *const bad[] = {
		"",           "10.1.2.3",       "10.1.2.3:",  ":7800",    "10.1.2:7800",
		"10.1.2.3:0", "10.1.2.3:65536", "host:7800",  "::1:7800", "[::1:7800",
		"[::1]7800",  "10.1.2.3:+5",    "10.1.2.3:5x"
	};
	char text[NODE_ADDRESS_TEXT_SIZE];
	struct node_address address;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(node_address_parse(&address, good[i]), 0);
		CU_ASSERT_STRING_EQUAL(node_address_format(&address, text), good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(node_address_parse(&address, bad[i]), -EINVAL);
}

static void test_ipv4_addresses_are_mapped(void)
{
	struct node_address address = node_address_ipv4(0x0a010203, 7700);
	struct node_address none = { { 0 }, 0 };

	CU_ASSERT_TRUE(node_address_is_ipv4(&address));
	CU_ASSERT_EQUAL(node_address_to_ipv4(&address), 0x0a010203);
	CU_ASSERT_FALSE(node_address_is_none(&address));
	CU_ASSERT_TRUE(node_address_is_none(&none));
	CU_ASSERT_EQUAL(node_address_to_ipv4(&none), 0);
	CU_ASSERT_FALSE(node_address_equals(&address, &none));
}

static void test_names_are_short_and_plain(void)
{
	CU_ASSERT_TRUE(node_name_is_valid("rack-3_b.example"));
	CU_ASSERT_FALSE(node_name_is_valid(""));
	CU_ASSERT_FALSE(node_name_is_valid("two words"));
	CU_ASSERT_TRUE(node_name_is_valid("a123456789b123456789c123456789d"));
	CU_ASSERT_FALSE(node_name_is_valid("a123456789b123456789c123456789de"));
	CU_ASSERT_NOT_EQUAL(node_id_of_name("a"), node_id_of_name("b"));
	CU_ASSERT_EQUAL(node_id_of_name("a"), node_id_of_name("a"));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_node_says_which_partitions_it_imports),
		UNIT_TEST(test_a_node_says_which_partitions_it_migrates),
		UNIT_TEST(test_a_partition_set_holds_every_partition),
		UNIT_TEST(test_records_are_ordered_by_generation_incarnation_version),
		UNIT_TEST(test_load_and_map_are_no_announcement),
		UNIT_TEST(test_addresses_read_as_they_print),
		UNIT_TEST(test_ipv4_addresses_are_mapped),
		UNIT_TEST(test_names_are_short_and_plain),
		{ NULL, NULL },
	};

	return unit_run("node", tests);
}
