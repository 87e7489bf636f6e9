/* SPDX-License-Identifier: BSD-3-Clause */
/* The index: its map, its growth step by step, collisions, a full table, a table that cannot be
 * built.
 */
#include "storage/index.h"

#include <rte_malloc.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <urcu-qsbr.h>

#include "storage/index_table.h"
#include "tests/unit/storage/colliding_key.h"
#include "tests/unit/unit.h"

#define ITEM_MAX 20000u
#define KEY_SIZE 8u

struct fixture {
	struct key_secret secret;
	struct grace_period period;
	struct reclaim *reclaim;
	struct index *index;
	uint8_t (*blocks)[64]; /* an item each, with a key of 8 bytes */
};

static void free_retired(void *context, void *object, uint32_t argument)
{
	struct fixture *fixture = context;

	index_reclaimed(fixture->index, object, argument);
}

static void open_fixture(struct fixture *fixture)
{
	struct index_options options = { .name = "unit", .capacity_initial = 1 };
	uint64_t random = 5;

	*fixture = (struct fixture){ 0 };
	fixture->blocks = calloc(ITEM_MAX, sizeof(*fixture->blocks));
	for (uint32_t i = 0; i < KEY_SECRET_SIZE; i++)
		fixture->secret.bytes[i] = (uint8_t)unit_random(&random);
	CU_ASSERT_EQUAL_FATAL(
		reclaim_create(&fixture->reclaim, &fixture->period, free_retired, fixture), 0);
	options.reclaim = fixture->reclaim;
	CU_ASSERT_EQUAL_FATAL(index_create(&fixture->index, &options), 0);
}

static void close_fixture(struct fixture *fixture)
{
	reclaim_destroy(fixture->reclaim);
	index_destroy(fixture->index);
	free(fixture->blocks);
}

static struct item *item_of(const struct fixture *fixture, uint64_t number)
{
	return (struct item *)(void *)fixture->blocks[number];
}

static struct key_ref key_of(const struct fixture *fixture, uint64_t number)
{
	struct item *item = item_of(fixture, number);

	item->key_size = KEY_SIZE;
	memcpy(item->bytes, &number, KEY_SIZE);
	return (struct key_ref){ .bytes = item->bytes,
				 .size = KEY_SIZE,
				 .digest = key_digest(&fixture->secret, item->bytes, KEY_SIZE) };
}

static enum status insert_status(struct fixture *fixture, uint64_t number)
{
	struct key_ref key = key_of(fixture, number);

	return index_insert(fixture->index, &key, item_of(fixture, number));
}

static bool insert(struct fixture *fixture, uint64_t number)
{
	return insert_status(fixture, number) == STATUS_OK;
}

static struct item *look_up(const struct fixture *fixture, const struct key_ref *key)
{
	struct item *item;

	index_lookup(fixture->index, key, 1, &item);
	return item;
}

/* How many of the first 'count' numbers are not found under their own item, asked in batches. */
static uint32_t missing(const struct fixture *fixture, uint32_t count)
{
	struct key_ref keys[SHARD_BATCH_MAX];
	struct item *items[SHARD_BATCH_MAX];
	uint32_t lost = 0;

	for (uint32_t first = 0; first < count; first += SHARD_BATCH_MAX) {
		uint32_t left = count - first < SHARD_BATCH_MAX ? count - first : SHARD_BATCH_MAX;

		for (uint32_t i = 0; i < left; i++)
			keys[i] = key_of(fixture, first + i);
		index_lookup(fixture->index, keys, left, items);
		for (uint32_t i = 0; i < left; i++)
			lost += items[i] != item_of(fixture, first + i);
	}
	return lost;
}

static void pass_grace(struct fixture *fixture)
{
	for (uint32_t i = 0; i < 3; i++) {
		reclaim_poll(fixture->reclaim, UINT32_MAX);
		rcu_quiescent_state();
		fixture->period.started++;
		fixture->period.completed = fixture->period.started;
	}
	reclaim_poll(fixture->reclaim, UINT32_MAX);
}

static void keep_house(struct fixture *fixture)
{
	while (index_housekeeping(fixture->index))
		;
}

/* Offers all of the first 'count' items to be moved. */
static void move_all(struct fixture *fixture, uint32_t count)
{
	for (uint32_t i = 0; i < count && index_is_moving(fixture->index); i++) {
		struct item *item = item_of(fixture, i);
		struct key_digest digest = key_of(fixture, i).digest;

		index_move(fixture->index, &digest, &item, 1);
	}
}

static struct index_stats stats_of(const struct fixture *fixture)
{
	struct index_stats stats;

	index_stats(fixture->index, &stats);
	return stats;
}

static void entries_are_found_replaced_and_removed(void)
{
	struct fixture fixture;
	struct key_ref key;

	open_fixture(&fixture);
	for (uint32_t i = 0; i < 500; i++)
		CU_ASSERT(insert(&fixture, i));
	CU_ASSERT_EQUAL(missing(&fixture, 500), 0);
	key = key_of(&fixture, 3);
	memcpy(item_of(&fixture, 600), item_of(&fixture, 3), 64);
	index_replace(fixture.index, key.digest, item_of(&fixture, 3), item_of(&fixture, 600));
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &key), item_of(&fixture, 600));
	index_remove(fixture.index, key.digest, item_of(&fixture, 600));
	CU_ASSERT_PTR_NULL(look_up(&fixture, &key));
	CU_ASSERT_EQUAL(stats_of(&fixture).entries, 499);
	close_fixture(&fixture);
}

/* Each step of growth, and what it must not do yet. */
static void growth_goes_step_by_step(void)
{
	struct fixture fixture;
	uint32_t count = 0;
	uint64_t capacity;

	open_fixture(&fixture);
	capacity = stats_of(&fixture).capacity;
	CU_ASSERT_EQUAL(capacity, INDEX_TABLE_ENTRY_MIN);
	while (count < capacity * 3 / 4 + 1)
		CU_ASSERT(insert(&fixture, count++));
	CU_ASSERT_FALSE(stats_of(&fixture).is_growing); /* nobody built a table */
	keep_house(&fixture);
	CU_ASSERT_FALSE(stats_of(&fixture).is_growing); /* the owner takes it at its next insert */
	CU_ASSERT(insert(&fixture, count++));
	CU_ASSERT(stats_of(&fixture).is_growing);
	CU_ASSERT_EQUAL(stats_of(&fixture).capacity, 2 * capacity + 1);
	CU_ASSERT_FALSE(index_is_moving(fixture.index)); /* a reader may hold the old view */
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	pass_grace(&fixture);
	CU_ASSERT(index_is_moving(fixture.index));
	move_all(&fixture, count / 2);
	CU_ASSERT(index_is_moving(fixture.index));
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	move_all(&fixture, count);
	CU_ASSERT_FALSE(stats_of(&fixture).is_growing);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	close_fixture(&fixture);
}

static void growth_need_not_wait_for_an_insert(void)
{
	struct fixture fixture;
	uint32_t count = 0;

	open_fixture(&fixture);
	while (count < INDEX_TABLE_ENTRY_MIN * 3 / 4 + 1)
		CU_ASSERT(insert(&fixture, count++));
	index_grow_when_due(fixture.index);
	CU_ASSERT_FALSE(stats_of(&fixture).is_growing); /* nobody built a table */
	keep_house(&fixture);
	index_grow_when_due(fixture.index);
	CU_ASSERT(stats_of(&fixture).is_growing);
	pass_grace(&fixture);
	move_all(&fixture, count);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	index_grow_when_due(fixture.index); /* there is room now */
	CU_ASSERT_FALSE(stats_of(&fixture).is_growing);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	close_fixture(&fixture);
}

/* Memory of the table that was left: gone after a grace period and a turn of the housekeeper. */
static void a_table_left_behind_is_destroyed(void)
{
	struct fixture fixture;

	open_fixture(&fixture);
	CU_ASSERT(rte_malloc_heap_get_socket("unit_0") >= 0);
	for (uint32_t i = 0; i < 1000; i++) {
		CU_ASSERT(insert(&fixture, i));
		if (i % 3 ==
		    0) { /* positions wait for a grace period, too, when the table is left */
			struct key_ref key = key_of(&fixture, i);

			index_remove(fixture.index, key.digest, item_of(&fixture, i));
			CU_ASSERT(insert(&fixture, i));
		}
		keep_house(&fixture);
	}
	pass_grace(&fixture);
	move_all(&fixture, 1000);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	CU_ASSERT_FALSE(index_housekeeping(fixture.index));
	CU_ASSERT(rte_malloc_heap_get_socket("unit_0") >= 0);
	pass_grace(&fixture);
	CU_ASSERT(index_housekeeping(fixture.index));
	CU_ASSERT(rte_malloc_heap_get_socket("unit_0") < 0);
	CU_ASSERT(rte_malloc_heap_get_socket("unit_1") >= 0);
	CU_ASSERT_EQUAL(missing(&fixture, 1000), 0);
	close_fixture(&fixture);
	CU_ASSERT(rte_malloc_heap_get_socket("unit_1") < 0);
}

static void writes_during_growth_are_seen(void)
{
	struct fixture fixture;
	struct key_ref key;
	uint32_t count = 0;

	open_fixture(&fixture);
	while (!stats_of(&fixture).is_growing) {
		CU_ASSERT(insert(&fixture, count++));
		keep_house(&fixture);
	}
	pass_grace(&fixture);
	move_all(&fixture, count / 2);
	CU_ASSERT(stats_of(&fixture).is_growing);
	for (uint32_t i = 0; i < count; i += 5) { /* some in each table */
		key = key_of(&fixture, i);
		memcpy(item_of(&fixture, 10000 + i), item_of(&fixture, i), 64);
		index_replace(fixture.index, key.digest, item_of(&fixture, i),
			      item_of(&fixture, 10000 + i));
		CU_ASSERT_PTR_EQUAL(look_up(&fixture, &key), item_of(&fixture, 10000 + i));
		index_remove(fixture.index, key.digest, item_of(&fixture, 10000 + i));
		CU_ASSERT_PTR_NULL(look_up(&fixture, &key));
		CU_ASSERT(insert(&fixture, i));
	}
	move_all(&fixture, count);
	CU_ASSERT_FALSE(stats_of(&fixture).is_growing);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	CU_ASSERT_EQUAL(stats_of(&fixture).entries, count);
	close_fixture(&fixture);
}

/* No housekeeper: inserts are refused at the end, nothing is lost, and all goes on when he comes.
 */
static void a_full_table_refuses_and_recovers(void)
{
	struct fixture fixture;
	uint32_t count = 0;

	open_fixture(&fixture);
	while (insert(&fixture, count))
		count++;
	CU_ASSERT(count > INDEX_TABLE_ENTRY_MIN / 100 * 95);
	CU_ASSERT_EQUAL(insert_status(&fixture, count), STATUS_RETRY); /* it may come yet */
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	CU_ASSERT_EQUAL(stats_of(&fixture).collisions, 0);
	keep_house(&fixture);
	CU_ASSERT(insert(&fixture, count++));
	pass_grace(&fixture);
	move_all(&fixture, count);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	close_fixture(&fixture);
}

/* Readers that are slow to leave the old view keep entries from moving. Inserts meanwhile must not
 * take the room that those will need, or the growth could never end.
 */
static void inserts_leave_room_for_what_is_to_be_moved(void)
{
	struct fixture fixture;
	uint32_t count = 0;

	open_fixture(&fixture);
	while (!stats_of(&fixture).is_growing) {
		CU_ASSERT(insert(&fixture, count++));
		keep_house(&fixture);
	}
	while (insert(&fixture, count)) {
		count++;
		keep_house(&fixture);
	}
	CU_ASSERT_EQUAL(insert_status(&fixture, count), STATUS_RETRY);
	CU_ASSERT(count >= stats_of(&fixture).capacity / 8 * 7);
	pass_grace(&fixture);
	move_all(&fixture, count);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	CU_ASSERT(insert(&fixture, count++)); /* into the next table, built meanwhile */
	CU_ASSERT(stats_of(&fixture).is_growing);
	close_fixture(&fixture);
}

/* A ring of the name that rte_hash gives its ring makes rte_hash_create() fail. */
static struct rte_ring *block_table(uint32_t table)
{
	char name[32];
	struct rte_ring *ring;

	snprintf(name, sizeof(name), "HT_unit_%u", table);
	ring = rte_ring_create(name, 8, SOCKET_ID_ANY, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ring);
	return ring;
}

static void building_is_tried_again_and_less_often(void)
{
	struct fixture fixture;
	struct rte_ring *rings[3];
	uint32_t count = 0, calls = 2;

	open_fixture(&fixture);
	for (uint32_t i = 0; i < 3; i++)
		rings[i] = block_table(i + 1);
	while (insert(&fixture, count))
		count++;
	CU_ASSERT_EQUAL(insert_status(&fixture, count), STATUS_RETRY);
	CU_ASSERT_FALSE(index_housekeeping(fixture.index));
	CU_ASSERT_EQUAL(insert_status(&fixture, count), STATUS_NO_SPACE);
	while (!index_housekeeping(fixture.index) && calls < 100)
		calls++;
	CU_ASSERT_EQUAL(calls, 11); /* fails in calls 1, 3 and 6, skips 2, 4-5 and 7-10 */
	CU_ASSERT(insert(&fixture, count++));
	CU_ASSERT(stats_of(&fixture).is_growing);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	for (uint32_t i = 0; i < 3; i++)
		rte_ring_free(rings[i]);
	close_fixture(&fixture);
}

/* DPDK has 32 heaps: the 33rd table lives in the EAL's own memory, and grows from there. */
static void without_a_heap_the_eal_has_memory(void)
{
	struct fixture fixture;
	char name[32];
	uint32_t heaps = 0, count = 0;

	do
		snprintf(name, sizeof(name), "full_%u", heaps);
	while (rte_malloc_heap_create(name) == 0 && ++heaps < 100);
	CU_ASSERT_FATAL(heaps > 0 && heaps < 100);
	open_fixture(&fixture);
	CU_ASSERT(rte_malloc_heap_get_socket("unit_0") < 0);
	while (!stats_of(&fixture).is_growing) {
		CU_ASSERT(insert(&fixture, count++));
		keep_house(&fixture);
	}
	pass_grace(&fixture);
	move_all(&fixture, count);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	close_fixture(&fixture);
	while (heaps-- > 0) {
		snprintf(name, sizeof(name), "full_%u", heaps);
		rte_malloc_heap_destroy(name);
	}
}

struct colliding {
	struct key_ref key;
	struct item *item;
};

/* The key with the sums 'a' and 'b', and an item for it in block 'number'. */
static struct colliding collide(struct fixture *fixture, uint64_t a, uint64_t b, bool twin,
				uint32_t number)
{
	struct item *item = item_of(fixture, number);
	struct colliding colliding = {
		.key = colliding_key(&fixture->secret, a, b, twin, item->bytes),
		.item = item,
	};

	item->key_size = COLLIDING_KEY_SIZE;
	return colliding;
}

static void keys_that_share_half_a_digest_are_both_stored(void)
{
	struct fixture fixture;
	struct colliding x, y;

	open_fixture(&fixture);
	x = collide(&fixture, 1000, 500, false, 0);
	y = collide(&fixture, 1001, 499, false, 1);
	CU_ASSERT_EQUAL_FATAL(x.key.digest.low, y.key.digest.low);
	CU_ASSERT_NOT_EQUAL_FATAL(x.key.digest.high, y.key.digest.high);
	CU_ASSERT_EQUAL(index_insert(fixture.index, &x.key, x.item), STATUS_OK);
	CU_ASSERT_PTR_NULL(look_up(&fixture, &y.key));
	CU_ASSERT_EQUAL(index_insert(fixture.index, &y.key, y.item), STATUS_OK);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &x.key), x.item);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &y.key), y.item);
	/* The one under the high half stays reachable when the other goes. */
	index_remove(fixture.index, x.key.digest, x.item);
	CU_ASSERT_PTR_NULL(look_up(&fixture, &x.key));
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &y.key), y.item);
	CU_ASSERT_EQUAL(index_insert(fixture.index, &x.key, x.item), STATUS_OK);
	index_remove(fixture.index, y.key.digest, y.item);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &x.key), x.item);
	CU_ASSERT_PTR_NULL(look_up(&fixture, &y.key));
	CU_ASSERT_EQUAL(stats_of(&fixture).collisions, 0);
	close_fixture(&fixture);
}

static void a_key_whose_whole_digest_is_taken_is_refused(void)
{
	struct fixture fixture;
	struct colliding x, y, twin;

	open_fixture(&fixture);
	x = collide(&fixture, 1000, 500, false, 0);
	y = collide(&fixture, 1001, 499, false, 1);
	twin = collide(&fixture, 1001, 499, true, 2);
	CU_ASSERT_EQUAL_FATAL(twin.key.digest.low, y.key.digest.low);
	CU_ASSERT_EQUAL_FATAL(twin.key.digest.high, y.key.digest.high);
	CU_ASSERT_NOT_EQUAL_FATAL(memcmp(twin.key.bytes, y.key.bytes, COLLIDING_KEY_SIZE), 0);
	CU_ASSERT_EQUAL(index_insert(fixture.index, &x.key, x.item), STATUS_OK);
	CU_ASSERT_EQUAL(index_insert(fixture.index, &y.key, y.item), STATUS_OK);
	CU_ASSERT_PTR_NULL(look_up(&fixture, &twin.key));
	CU_ASSERT_EQUAL(index_insert(fixture.index, &twin.key, twin.item), STATUS_NO_SPACE);
	CU_ASSERT_EQUAL(stats_of(&fixture).collisions, 1);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &x.key), x.item);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &y.key), y.item);
	CU_ASSERT_EQUAL(stats_of(&fixture).entries, 2);
	close_fixture(&fixture);
}

static void growth_moves_keys_that_collide(void)
{
	struct fixture fixture;
	struct colliding x, y;
	uint32_t count = 0;

	open_fixture(&fixture);
	x = collide(&fixture, 7, 8, false, 10000);
	y = collide(&fixture, 8, 7, false, 10001);
	CU_ASSERT_EQUAL(index_insert(fixture.index, &x.key, x.item), STATUS_OK);
	CU_ASSERT_EQUAL(index_insert(fixture.index, &y.key, y.item), STATUS_OK);
	while (!stats_of(&fixture).is_growing) {
		CU_ASSERT(insert(&fixture, count++));
		keep_house(&fixture);
	}
	pass_grace(&fixture);
	index_move(fixture.index, &y.key.digest, &y.item, 1);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &y.key), y.item);
	index_move(fixture.index, &x.key.digest, &x.item, 1);
	CU_ASSERT_EQUAL(stats_of(&fixture).moved, 2);
	move_all(&fixture, count);
	CU_ASSERT_EQUAL(stats_of(&fixture).grown, 1);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &x.key), x.item);
	CU_ASSERT_PTR_EQUAL(look_up(&fixture, &y.key), y.item);
	CU_ASSERT_EQUAL(missing(&fixture, count), 0);
	close_fixture(&fixture);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(entries_are_found_replaced_and_removed),
		UNIT_TEST(growth_goes_step_by_step),
		UNIT_TEST(growth_need_not_wait_for_an_insert),
		UNIT_TEST(a_table_left_behind_is_destroyed),
		UNIT_TEST(writes_during_growth_are_seen),
		UNIT_TEST(a_full_table_refuses_and_recovers),
		UNIT_TEST(inserts_leave_room_for_what_is_to_be_moved),
		UNIT_TEST(building_is_tried_again_and_less_often),
		UNIT_TEST(without_a_heap_the_eal_has_memory),
		UNIT_TEST(keys_that_share_half_a_digest_are_both_stored),
		UNIT_TEST(a_key_whose_whole_digest_is_taken_is_refused),
		UNIT_TEST(growth_moves_keys_that_collide),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("index", tests);
}
