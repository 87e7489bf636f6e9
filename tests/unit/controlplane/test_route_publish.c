/* SPDX-License-Identifier: BSD-3-Clause */
/* Routes: what the map, the members' states, what is held and the fence make of each partition. */
#include "controlplane/route_publish.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define PARTITIONS 8u

static struct partition_map map;
static struct partition_set held;
static struct membership *membership;

static struct node node_of(uint64_t id)
{
	struct node node = { .id = id,
			     .generation = 1,
			     .incarnation = 1,
			     .record_version = 1,
			     .state = NODE_ACTIVE,
			     .control = node_address_ipv4((uint32_t)id, 7800),
			     .data = node_address_ipv4(0x0a000000 + (uint32_t)id, 7700),
			     .workers = 2 };

	snprintf(node.name, sizeof(node.name), "n%u", (unsigned)id);
	memset(node.session_secret, (int)id, sizeof(node.session_secret));
	return node;
}

/* Node 'id' with that claim against it, 0 = none. */
static void meet(uint64_t id, enum membership_claim_kind kind)
{
	const struct membership_claim claim = { .id = id,
						.generation = 1,
						.incarnation = 1,
						.kind = kind,
						.from_count = 1,
						.from = { 1 } };
	struct node node = node_of(id);
	struct membership_event record = { .kind = MEMBERSHIP_RECORD, .node = &node },
				event = { .kind = MEMBERSHIP_CLAIM, .claim = &claim };
	struct membership_actions actions;

	membership_step(membership, 1000, &record, &actions);
	if (kind != 0)
		membership_step(membership, 1000, &event, &actions);
}

static void own(uint32_t partition, uint64_t owner, uint32_t epoch)
{
	partition_map_merge(&map, &(struct partition_owner){ partition, epoch, owner });
}

/* Node 1 is this one; 2 is alive, 3 suspect, 4 dead, 5 removed, 6 never heard of. */
static struct route_table *make(bool is_serving)
{
	const struct membership_options options = { .seed = 1, .node_count_max = 8 };
	const struct route_view view = { &map, NULL, &held, is_serving };
	struct route_view whole = view;
	struct node self = node_of(1);

	CU_ASSERT_EQUAL_FATAL(membership_create(&membership, &options, &self, 1000), 0);
	meet(2, (enum membership_claim_kind)0);
	meet(3, CLAIM_SUSPECT);
	meet(4, CLAIM_DEAD);
	meet(5, CLAIM_REMOVED);
	partition_map_init(&map, PARTITIONS);
	for (uint32_t p = 0; p < 6; p++)
		own(p, p + 1, p + 10);
	own(6, 1, 1); /* partition 7 has no owner at all */
	partition_set_clear(&held);
	partition_set_add(&held, 0); /* and 6 was an earlier life's */
	whole.membership = membership;
	return route_publish_make(&whole);
}

static void test_each_partition_goes_to_who_can_serve_it(void)
{
	struct route_table *table = make(true);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL(table->self, 0);
	CU_ASSERT_EQUAL(table->map_version, (uint32_t)map.version);
	CU_ASSERT_EQUAL(table->owners[0], 0);
	CU_ASSERT_EQUAL(table->epochs[0], 10);
	CU_ASSERT_EQUAL_FATAL(table->node_count, 3);
	CU_ASSERT_EQUAL(table->nodes[table->owners[1]].ipv4, 0x0a000002);
	CU_ASSERT_EQUAL(table->nodes[table->owners[1]].base_port, 7700);
	CU_ASSERT_EQUAL(table->nodes[table->owners[1]].worker_count, 2);
	CU_ASSERT_EQUAL(table->nodes[table->owners[2]].ipv4, 0x0a000003);
	for (uint32_t p = 3; p < PARTITIONS; p++)
		CU_ASSERT_EQUAL(table->owners[p], WIRE_MAP_NO_OWNER);
	route_table_destroy(table);
	membership_destroy(membership);
}

static void test_behind_the_fence_only_the_others_serve(void)
{
	struct route_table *table = make(false);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL(table->owners[0], WIRE_MAP_NO_OWNER);
	CU_ASSERT_EQUAL(table->nodes[table->owners[1]].ipv4, 0x0a000002);
	route_table_destroy(table);
	membership_destroy(membership);
}

/* The routes of 'self' in a cluster with 'other'. */
static struct route_table *routes_between(const struct node *self, const struct node *other)
{
	const struct membership_options options = { .seed = 1, .node_count_max = 2 };
	const struct membership_event record = { .kind = MEMBERSHIP_RECORD, .node = other };
	struct route_view view = { &map, NULL, &held, true };
	struct membership_actions actions;
	struct route_table *table;

	CU_ASSERT_EQUAL_FATAL(membership_create(&membership, &options, self, 1000), 0);
	membership_step(membership, 1000, &record, &actions);
	partition_map_init(&map, PARTITIONS);
	view.membership = membership;
	table = route_publish_make(&view);
	membership_destroy(membership);
	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL_FATAL(table->node_count, 2);
	return table;
}

/* What 'self' expects from, and sends to, 'other'. */
static struct route_peer session_between(const struct node *self, const struct node *other)
{
	struct route_table *table = routes_between(self, other);
	struct route_peer peer = table->peers[1];

	CU_ASSERT_EQUAL(table->peers[table->self].token_in, 0);
	CU_ASSERT_EQUAL(table->peers[table->self].token_out, 0);
	route_table_destroy(table);
	return peer;
}

static void test_both_ends_of_a_session_agree(void)
{
	struct node a = node_of(1), b = node_of(2);
	struct route_peer at_a = session_between(&a, &b), at_b = session_between(&b, &a);

	CU_ASSERT_NOT_EQUAL(at_a.token_in, 0);
	CU_ASSERT_NOT_EQUAL(at_a.token_out, at_a.token_in);
	CU_ASSERT_EQUAL(at_a.token_in, at_b.token_out);
	CU_ASSERT_EQUAL(at_a.token_out, at_b.token_in);
}

static void test_no_two_pairs_share_a_token(void)
{
	struct node a = node_of(1), b = node_of(2), c = node_of(3);
	struct route_peer ab = session_between(&a, &b), ac = session_between(&a, &c);

	CU_ASSERT_NOT_EQUAL(ab.token_in, ac.token_in);
	CU_ASSERT_NOT_EQUAL(ab.token_out, ac.token_out);
}

/* A later life of either end, which has drawn another secret. */
static void test_a_restart_ends_the_session(void)
{
	struct node a = node_of(1), b = node_of(2);
	struct route_peer before = session_between(&a, &b), after;

	b.generation++;
	b.session_secret[15] ^= 1;
	after = session_between(&a, &b);
	CU_ASSERT_NOT_EQUAL(after.token_in, before.token_in);
	CU_ASSERT_NOT_EQUAL(after.token_out, before.token_out);
	CU_ASSERT_EQUAL(after.token_in, session_between(&b, &a).token_out);
}

/* A node that outbids an old record of its own goes on living. */
static void test_a_higher_generation_of_the_same_life_keeps_the_session(void)
{
	struct node a = node_of(1), b = node_of(2);
	struct route_peer before = session_between(&a, &b), after;

	b.generation += 100;
	after = session_between(&a, &b);
	CU_ASSERT_EQUAL(after.token_in, before.token_in);
	CU_ASSERT_EQUAL(after.token_out, before.token_out);
}

static void test_an_older_node_has_no_session(void)
{
	struct node a = node_of(1), b = node_of(2);
	struct route_peer at_a, at_b;

	memset(b.session_secret, 0, sizeof(b.session_secret));
	at_a = session_between(&a, &b);
	at_b = session_between(&b, &a);
	CU_ASSERT_EQUAL(at_a.token_in, 0);
	CU_ASSERT_EQUAL(at_a.token_out, 0);
	CU_ASSERT_EQUAL(at_b.token_in, 0);
	CU_ASSERT_EQUAL(at_b.token_out, 0);
}

static void test_members_thought_alive_are_peers(void)
{
	struct route_table *table = make(false);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL_FATAL(table->node_count, 3); /* itself, one alive, one suspect */
	for (uint16_t i = 1; i < table->node_count; i++) {
		CU_ASSERT_NOT_EQUAL(table->peers[i].token_in, 0);
		CU_ASSERT_NOT_EQUAL(table->peers[i].token_out, 0);
	}
	route_table_destroy(table);
	membership_destroy(membership);
}

static void test_without_a_map_there_are_no_routes(void)
{
	const struct membership_options options = { .seed = 1, .node_count_max = 8 };
	struct node self = node_of(1);
	struct route_view view = { &map, NULL, &held, true };

	CU_ASSERT_EQUAL_FATAL(membership_create(&membership, &options, &self, 1000), 0);
	partition_map_init(&map, 0);
	view.membership = membership;
	CU_ASSERT_PTR_NULL(route_publish_make(&view));
	membership_destroy(membership);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_each_partition_goes_to_who_can_serve_it),
		UNIT_TEST(test_behind_the_fence_only_the_others_serve),
		UNIT_TEST(test_both_ends_of_a_session_agree),
		UNIT_TEST(test_no_two_pairs_share_a_token),
		UNIT_TEST(test_a_restart_ends_the_session),
		UNIT_TEST(test_a_higher_generation_of_the_same_life_keeps_the_session),
		UNIT_TEST(test_an_older_node_has_no_session),
		UNIT_TEST(test_members_thought_alive_are_peers),
		UNIT_TEST(test_without_a_map_there_are_no_routes),
		{ NULL, NULL },
	};

	return unit_run("route_publish", tests);
}
