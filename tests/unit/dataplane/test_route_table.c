/* SPDX-License-Identifier: BSD-3-Clause */
/* Route tables: a node alone owns everything; publishing replaces the snapshot. */
#include "dataplane/route_table.h"
#include "tests/unit/unit.h"

static const struct wire_map_node nodes[] = {
	{ .ipv4 = 0x0a000001, .base_port = 7700, .worker_count = 1 },
	{ .ipv4 = 0x0a000002, .base_port = 7800, .worker_count = 4 },
};

static void a_new_table_is_owned_by_self(void)
{
	struct route_table *current = NULL;
	struct route_table *table = route_table_create(64, nodes, 2, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_PTR_NULL(route_publish(&current, table));
	CU_ASSERT_PTR_EQUAL(current, table);
	CU_ASSERT_TRUE(table->owns_all);
	CU_ASSERT_EQUAL(table->map_version, 1);
	for (uint32_t p = 0; p < 64; p++) {
		CU_ASSERT_TRUE(route_is_own(table, p));
		CU_ASSERT_EQUAL(table->epochs[p], 1);
	}
	CU_ASSERT_EQUAL(table->nodes[1].base_port, 7800);
	route_table_destroy(table);
	route_table_destroy(NULL);
}

static void a_partition_may_be_another_nodes_or_nobodys(void)
{
	struct route_table *first = route_table_create(4, nodes, 2, 0);
	struct route_table *second = route_table_create(4, nodes, 2, 0);
	struct route_table *current = NULL;

	route_publish(&current, first);
	second->map_version = 2;
	second->owners[1] = 1;
	second->owners[3] = WIRE_MAP_NO_OWNER;
	CU_ASSERT_PTR_EQUAL(route_publish(&current, second), first);
	CU_ASSERT_FALSE(current->owns_all);
	CU_ASSERT_TRUE(route_is_own(current, 0));
	CU_ASSERT_FALSE(route_is_own(current, 1));
	CU_ASSERT_TRUE(route_is_own(current, 2));
	CU_ASSERT_FALSE(route_is_own(current, 3));
	route_table_destroy(first);
	route_table_destroy(second);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_new_table_is_owned_by_self),
		UNIT_TEST(a_partition_may_be_another_nodes_or_nobodys),
		{ NULL, NULL },
	};

	return unit_run("route_table", tests);
}
