/* SPDX-License-Identifier: BSD-3-Clause */
/* Route tables: a node alone owns everything; publishing replaces the snapshot; peers and neighbours. */
#include "dataplane/route_table.h"

#include <string.h>

#include "tests/unit/unit.h"

static const struct wire_map_node nodes[] = {
	{ .ipv4 = 0x0a000001, .base_port = 7700, .worker_count = 1 },
	{ .ipv4 = 0x0a000002, .base_port = 7800, .worker_count = 4 },
	{ .ipv4 = 0x0a000002, .base_port = 7900, .worker_count = 4 }, /* another on the same host */
	{ .ipv4 = 0x0b000001, .base_port = 7700, .worker_count = 1 },
	{ .ipv4 = 0x0b000002, .base_port = 7700, .worker_count = 1 },
};

static void a_new_table_is_owned_by_self(void)
{
	struct route_table *current = NULL;
	struct route_table *table = route_table_create(64, nodes, 2, 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_PTR_NULL(route_publish(&current, table));
	CU_ASSERT_PTR_EQUAL(current, table);
	CU_ASSERT_TRUE(table->serves_all);
	CU_ASSERT_EQUAL(table->map_version, 1);
	for (uint32_t p = 0; p < 64; p++) {
		CU_ASSERT_TRUE(route_is_own(table, p));
		CU_ASSERT_EQUAL(table->access[p], ROUTE_SERVED);
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
	CU_ASSERT_FALSE(current->serves_all);
	CU_ASSERT_TRUE(route_is_own(current, 0));
	CU_ASSERT_FALSE(route_is_own(current, 1));
	CU_ASSERT_FALSE(route_is_own(current, 3));
	CU_ASSERT_EQUAL(current->access[0], ROUTE_SERVED);
	CU_ASSERT_EQUAL(current->access[1], ROUTE_FORWARDED);
	CU_ASSERT_EQUAL(current->access[2], ROUTE_SERVED);
	CU_ASSERT_EQUAL(current->access[3], ROUTE_UNAVAILABLE);
	route_table_destroy(first);
	route_table_destroy(second);
}

/* A fence holds whoever is the owner by now. */
static void an_access_that_was_set_is_kept(void)
{
	struct route_table *table = route_table_create(4, nodes, 2, 0);
	struct route_table *current = NULL;

	table->owners[1] = 1;
	table->access[0] = ROUTE_WRITES_PARKED;
	table->access[1] = ROUTE_PARKED;
	route_publish(&current, table);
	CU_ASSERT_FALSE(current->serves_all);
	CU_ASSERT_EQUAL(current->access[0], ROUTE_WRITES_PARKED);
	CU_ASSERT_EQUAL(current->access[1], ROUTE_PARKED);
	CU_ASSERT_EQUAL(current->access[2], ROUTE_SERVED);
	route_table_destroy(table);
}

static void a_copy_is_equal_but_for_its_access(void)
{
	static const struct route_network network = { .ipv4 = 0x0a000001 };
	struct route_table *table = route_table_create(4, nodes, 2, 0);
	struct route_table *current = NULL;
	struct route_table *copy;

	table->map_version = 9;
	table->owners[2] = 1;
	table->epochs[2] = 7;
	table->access[3] = ROUTE_PARKED;
	table->peers[1].token_in = 5;
	CU_ASSERT_EQUAL(route_meet_neighbors(table, NULL, &network), 0);
	route_publish(&current, table);
	copy = route_table_copy(table);
	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	CU_ASSERT_EQUAL(copy->peers[1].neighbor->references, 2);
	CU_ASSERT_EQUAL(copy->access[3], ROUTE_BY_OWNER);
	route_publish(&current, copy);
	route_table_destroy(table);
	CU_ASSERT_EQUAL(copy->map_version, 9);
	CU_ASSERT_EQUAL(copy->owners[2], 1);
	CU_ASSERT_EQUAL(copy->epochs[2], 7);
	CU_ASSERT_EQUAL(copy->access[3], ROUTE_SERVED);
	CU_ASSERT_EQUAL(copy->nodes[1].base_port, 7800);
	CU_ASSERT_PTR_EQUAL(route_find_peer(copy, 0x0a000002, 5, ROUTE_IN), &copy->peers[1]);
	route_table_destroy(copy);
}

static void a_peer_is_found_by_address_and_token(void)
{
	struct route_table *table = route_table_create(4, nodes, 5, 0);
	struct route_table *current = NULL;

	for (uint32_t i = 1; i < 5; i++) {
		table->peers[i].token_in = 100 + i;
		table->peers[i].token_out = 200 + i;
	}
	table->peers[4].token_in = 0; /* no session */
	route_publish(&current, table);
	for (uint32_t i = 1; i < 4; i++) {
		CU_ASSERT_PTR_EQUAL(route_find_peer(table, nodes[i].ipv4, 100 + i, ROUTE_IN),
				    &table->peers[i]);
		CU_ASSERT_PTR_EQUAL(route_find_peer(table, nodes[i].ipv4, 200 + i, ROUTE_OUT),
				    &table->peers[i]);
		CU_ASSERT_PTR_NULL(route_find_peer(table, nodes[i].ipv4, 200 + i, ROUTE_IN));
		CU_ASSERT_PTR_NULL(route_find_peer(table, nodes[0].ipv4, 100 + i, ROUTE_IN));
	}
	CU_ASSERT_PTR_NULL(route_find_peer(table, nodes[4].ipv4, 0, ROUTE_IN));
	CU_ASSERT_PTR_NULL(route_find_peer(table, 0x0c000001, 101, ROUTE_IN));
	route_table_destroy(table);
}

static void many_peers_are_found(void)
{
	enum { COUNT = 1000 };
	static struct wire_map_node many[COUNT];
	struct route_table *current = NULL;
	struct route_table *table;
	uint32_t found = 0;

	for (uint32_t i = 0; i < COUNT; i++)
		many[i] = (struct wire_map_node){ 0x0a000001 + 256 * i, 7700, 1 };
	table = route_table_create(4, many, COUNT, 0);
	for (uint32_t i = 1; i < COUNT; i++)
		table->peers[i].token_in = i;
	route_publish(&current, table);
	for (uint32_t i = 1; i < COUNT; i++)
		found += route_find_peer(table, many[i].ipv4, i, ROUTE_IN) == &table->peers[i];
	CU_ASSERT_EQUAL(found, COUNT - 1);
	route_table_destroy(table);
}

/* Nodes of this network have a station each, all others the gateway's. */
static void neighbours_are_direct_or_the_gateway(void)
{
	static const struct route_network network = { .ipv4 = 0x0a000001,
						      .gateway_ipv4 = 0x0a0000fe,
						      .prefix = 24 };
	static const struct route_network flat = { .ipv4 = 0x0a000001, .prefix = 24 };
	struct route_table *table = route_table_create(4, nodes, 5, 0);
	struct route_table *other = route_table_create(4, nodes, 5, 0);

	CU_ASSERT_EQUAL(route_meet_neighbors(table, NULL, &network), 0);
	CU_ASSERT_PTR_NULL(table->peers[0].neighbor);
	CU_ASSERT_EQUAL(table->peers[1].neighbor->ipv4, 0x0a000002);
	CU_ASSERT_PTR_EQUAL(table->peers[2].neighbor, table->peers[1].neighbor);
	CU_ASSERT_EQUAL(table->peers[3].neighbor->ipv4, 0x0a0000fe);
	CU_ASSERT_PTR_EQUAL(table->peers[4].neighbor, table->peers[3].neighbor);
	CU_ASSERT_EQUAL(route_meet_neighbors(other, NULL, &flat), 0); /* no gateway: all direct */
	CU_ASSERT_EQUAL(other->peers[3].neighbor->ipv4, 0x0b000001);
	route_table_destroy(table);
	route_table_destroy(other);
}

static void what_neighbours_told_outlives_a_table(void)
{
	static const struct route_network network = { .ipv4 = 0x0a000001 };
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 7 };
	struct route_table *first = route_table_create(4, nodes, 2, 0);
	struct route_table *second = route_table_create(4, nodes, 5, 0);
	uint8_t found[6];
	bool ask;

	CU_ASSERT_EQUAL(route_meet_neighbors(first, NULL, &network), 0);
	CU_ASSERT_TRUE(route_learn(first, 0x0a000002, mac, 1000));
	CU_ASSERT_FALSE(route_learn(first, 0x0a000009, mac, 1000));
	CU_ASSERT_EQUAL(route_meet_neighbors(second, first, &network), 0);
	route_table_destroy(first);
	CU_ASSERT_TRUE(neighbor_find(second->peers[2].neighbor, 1001, found, &ask));
	CU_ASSERT_EQUAL(memcmp(found, mac, 6), 0);
	CU_ASSERT_FALSE(neighbor_find(second->peers[3].neighbor, 1001, found, &ask));
	route_table_destroy(second);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_new_table_is_owned_by_self),
		UNIT_TEST(a_partition_may_be_another_nodes_or_nobodys),
		UNIT_TEST(an_access_that_was_set_is_kept),
		UNIT_TEST(a_copy_is_equal_but_for_its_access),
		UNIT_TEST(a_peer_is_found_by_address_and_token),
		UNIT_TEST(many_peers_are_found),
		UNIT_TEST(neighbours_are_direct_or_the_gateway),
		UNIT_TEST(what_neighbours_told_outlives_a_table),
		{ NULL, NULL },
	};

	return unit_run("route_table", tests);
}
