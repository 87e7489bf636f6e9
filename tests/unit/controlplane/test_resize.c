/* SPDX-License-Identifier: BSD-3-Clause */
/* What stands in the way of a change of the cluster's size. */
#include "controlplane/resize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/controlplane/unit_member.h"
#include "tests/unit/unit.h"

#define RECORD_SIZE 4u

struct fixture {
	struct membership *membership;
	struct partition_map map;
	char error[512];
};

static void step(struct fixture *f, const struct membership_event *event)
{
	struct membership_actions actions;

	membership_step(f->membership, 1000, event, &actions);
}

/* 'node' is heard of, in a record that is newer than all before. */
static void hear(struct fixture *f, struct node *node)
{
	static const uint8_t record[RECORD_SIZE];

	node->record_version++;
	step(f, &(struct membership_event){ .kind = MEMBERSHIP_RECORD,
					    .node = node,
					    .record = record,
					    .record_size = RECORD_SIZE });
}

static void declare_dead(struct fixture *f, const struct node *node)
{
	const struct membership_claim claim = { .id = node->id,
						.generation = node->generation,
						.incarnation = node->incarnation,
						.kind = CLAIM_DEAD,
						.from_count = 1,
						.from = { node_id_of_name("a") } };

	step(f, &(struct membership_event){ .kind = MEMBERSHIP_CLAIM, .claim = &claim });
}

/* Node a, which owns all partitions. */
static void fixture_init(struct fixture *f)
{
	const struct membership_options options = { .seed = 1, .node_count_max = 8 };
	const struct node self = unit_member("a");

	memset(f, 0, sizeof(*f));
	CU_ASSERT_EQUAL_FATAL(membership_create(&f->membership, &options, &self, 1000), 0);
	partition_map_init(&f->map, 64);
	partition_map_bootstrap(&f->map, self.id);
}

static void fixture_fini(struct fixture *f)
{
	membership_destroy(f->membership);
}

static int check(struct fixture *f, uint64_t except)
{
	f->error[0] = '\0';
	return resize_check(f->membership, &f->map, except, f->error, sizeof(f->error));
}

static void a_quiet_cluster_may_change(void)
{
	struct node b = unit_member("b");
	struct fixture f;

	fixture_init(&f);
	CU_ASSERT_EQUAL(check(&f, 0), 0);
	hear(&f, &b);
	CU_ASSERT_EQUAL(check(&f, 0), 0);
	CU_ASSERT_PTR_NULL(resize_find_leaving(f.membership));
	fixture_fini(&f);
}

static void a_partition_on_its_way_is_named_with_both_ends(void)
{
	struct node b = unit_member("b");
	struct resize_move move;
	struct fixture f;

	fixture_init(&f);
	partition_set_add(&b.importing_partitions, 17);
	partition_set_add(&b.importing_partitions, 40);
	hear(&f, &b);
	CU_ASSERT_EQUAL(check(&f, 0), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "partition 17 is on its way from a to b"));
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "godwitctl cancel 17"));
	CU_ASSERT_TRUE(resize_find_move(f.membership, &f.map, 0, 18, &move));
	CU_ASSERT_EQUAL(move.partition, 40);
	CU_ASSERT_FALSE(resize_find_move(f.membership, &f.map, 0, 41, &move));
	fixture_fini(&f);
}

static void a_source_that_still_waits_is_named_too(void)
{
	struct node self = unit_member("a"), b = unit_member("b");
	struct resize_move move;
	struct fixture f;

	fixture_init(&f);
	hear(&f, &b);
	partition_set_add(&self.migrating_partitions, 3);
	step(&f, &(struct membership_event){ .kind = MEMBERSHIP_UPDATE_SELF, .node = &self });
	CU_ASSERT_TRUE_FATAL(resize_find_move(f.membership, &f.map, 0, 0, &move));
	CU_ASSERT_EQUAL(move.partition, 3);
	CU_ASSERT_STRING_EQUAL(move.from->name, "a");
	CU_ASSERT_PTR_NULL(move.to);
	CU_ASSERT_EQUAL(check(&f, 0), -EBUSY);
	fixture_fini(&f);
}

static void what_the_dead_announced_stands_in_nobodys_way(void)
{
	struct node self = unit_member("a"), b = unit_member("b");
	struct fixture f;

	fixture_init(&f);
	partition_set_add(&b.importing_partitions, 17);
	hear(&f, &b);
	declare_dead(&f, &b);
	CU_ASSERT_EQUAL(check(&f, 0), 0);
	/* the other end of its job is here, and does not keep it from being removed */
	partition_set_add(&self.migrating_partitions, 17);
	step(&f, &(struct membership_event){ .kind = MEMBERSHIP_UPDATE_SELF, .node = &self });
	CU_ASSERT_EQUAL(check(&f, 0), -EBUSY);
	CU_ASSERT_EQUAL(check(&f, b.id), 0);
	partition_set_add(&self.migrating_partitions, 18);
	step(&f, &(struct membership_event){ .kind = MEMBERSHIP_UPDATE_SELF, .node = &self });
	CU_ASSERT_EQUAL(check(&f, b.id), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "partition 18"));
	fixture_fini(&f);
}

static void one_that_leaves_is_named(void)
{
	struct node b = unit_member("b");
	struct fixture f;

	fixture_init(&f);
	b.state = NODE_LEAVING;
	hear(&f, &b);
	CU_ASSERT_EQUAL(check(&f, 0), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(f.error, "b is leaving"));
	CU_ASSERT_STRING_EQUAL(resize_find_leaving(f.membership)->name, "b");
	declare_dead(&f, &b);
	CU_ASSERT_EQUAL(check(&f, 0), 0);
	fixture_fini(&f);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_quiet_cluster_may_change),
		UNIT_TEST(a_partition_on_its_way_is_named_with_both_ends),
		UNIT_TEST(a_source_that_still_waits_is_named_too),
		UNIT_TEST(what_the_dead_announced_stands_in_nobodys_way),
		UNIT_TEST(one_that_leaves_is_named),
		{ NULL, NULL },
	};

	return unit_run("resize", tests);
}
