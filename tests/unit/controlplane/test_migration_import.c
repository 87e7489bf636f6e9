/* SPDX-License-Identifier: BSD-3-Clause */
/* What a target machine asks of the data plane, on cores that are stepped by hand. */
#include "controlplane/migration_import.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/sync_record.h"
#include "storage/record.h"
#include "storage/version.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define FRAME_SIZE ((size_t)1 << 20)
#define EVENTS_MAX 64u
#define TURNS_MAX 20000u
#define P 2u /* the partition */

struct scene {
	struct unit_dataplane target;
	struct migration_import *import;
	uint32_t event_count;
	struct migration_target_event events[EVENTS_MAX];
	/* A frame under construction. */
	struct sync_batch_writer writer;
	enum sync_frame_kind kind;
	uint64_t first;
	uint8_t bytes[FRAME_SIZE];
};

static void on_answer(void *context, const struct migration_target_event *event)
{
	struct scene *scene = context;

	CU_ASSERT_FATAL(scene->event_count < EVENTS_MAX);
	scene->events[scene->event_count++] = *event;
}

static struct scene *scene_open(size_t memory_bytes)
{
	const struct unit_node_options options = { .worker_count = 2,
						   .partition_count = 4,
						   .memory_limit_bytes = memory_bytes };
	struct scene *scene = calloc(1, sizeof(*scene));
	struct migration_import_options import = { .partition = P, .answer = on_answer };

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
	unit_dataplane_create(&scene->target, &options);
	import.dataplane = &scene->target.dataplane;
	import.context = scene;
	CU_ASSERT_EQUAL_FATAL(migration_import_create(&scene->import, &import), 0);
	return scene;
}

static void scene_close(struct scene *scene)
{
	migration_import_destroy(scene->import);
	unit_dataplane_destroy(&scene->target);
	free(scene);
}

static void act(struct scene *scene, enum migration_target_action_kind kind)
{
	const struct migration_target_action action = { .kind = kind };

	CU_ASSERT_TRUE(migration_import_do(scene->import, &action));
}

/* The next event, after as many turns as it takes; it must be of that kind. */
static struct migration_target_event expect(struct scene *scene,
					    enum migration_target_event_kind kind)
{
	struct migration_target_event event;

	for (uint32_t turn = 0; scene->event_count == 0; turn++) {
		CU_ASSERT_FATAL(turn < TURNS_MAX);
		unit_node_advance(&scene->target.node, 1);
		unit_dataplane_turn(&scene->target);
		migration_import_poll(scene->import);
	}
	event = scene->events[0];
	memmove(scene->events, scene->events + 1, --scene->event_count * sizeof(event));
	CU_ASSERT_EQUAL_FATAL(event.kind, kind);
	return event;
}

static void stage(struct scene *scene)
{
	act(scene, TARGET_DO_STAGE);
	CU_ASSERT_TRUE(expect(scene, TARGET_ON_STAGED).is_ok);
}

static void finalize(struct scene *scene, uint32_t epoch, uint64_t version)
{
	const struct migration_target_action action = { .kind = TARGET_DO_FINALIZE,
							.epoch = epoch,
							.version = version };

	CU_ASSERT_TRUE(migration_import_do(scene->import, &action));
	expect(scene, TARGET_ON_FINALIZED);
}

static void discard_all(struct scene *scene)
{
	do
		act(scene, TARGET_DO_DISCARD_SLICE);
	while (!expect(scene, TARGET_ON_DISCARDED).is_done);
}

/* --- Frames --- */

static void open_frame(struct scene *scene, enum sync_frame_kind kind, uint64_t first)
{
	scene->kind = kind;
	scene->first = first;
	sync_batch_writer_init(&scene->writer, scene->bytes, sizeof(scene->bytes));
}

/* Key 'number' as unit_dataplane_put() would write it; the value is zeros. */
static void add(struct scene *scene, uint64_t number, uint64_t version, uint32_t size,
		uint64_t expires_at_ms)
{
	static const uint8_t value[VALUE_SIZE_MAX];
	uint8_t key[UNIT_KEY_SIZE] = "unit key";
	const struct record record = { .version = version,
				       .expires_at_ms = expires_at_ms,
				       .key = key,
				       .key_size = UNIT_KEY_SIZE,
				       .value = value,
				       .value_size = (uint16_t)size };

	memcpy(key + UNIT_KEY_SIZE - sizeof(number), &number, sizeof(number));
	CU_ASSERT_TRUE_FATAL(sync_batch_writer_add(&scene->writer, &record));
}

static void add_tombstone(struct scene *scene, uint64_t number, uint64_t version)
{
	uint8_t key[UNIT_KEY_SIZE] = "unit key";
	const struct record record = {
		.version = version, .key = key, .key_size = UNIT_KEY_SIZE, .is_tombstone = true
	};

	memcpy(key + UNIT_KEY_SIZE - sizeof(number), &number, sizeof(number));
	CU_ASSERT_TRUE_FATAL(sync_batch_writer_add(&scene->writer, &record));
}

/* Hands the frame over as it came, and forgets it. */
static void apply(struct scene *scene)
{
	const struct sync_batch head = {
		.kind = scene->kind, .job = 1, .attempt = 1, .partition = P, .first = scene->first
	};
	size_t size = sync_batch_writer_finish(&scene->writer, &head);
	struct migration_target_action action = { .kind = TARGET_DO_APPLY };
	struct sync_frame frame;
	struct sync_batch batch;

	CU_ASSERT_EQUAL_FATAL(sync_frame_decode(&frame, scene->bytes, size), 0);
	CU_ASSERT_EQUAL_FATAL(sync_batch_decode(&batch, &frame), 0);
	action.batch = &batch;
	CU_ASSERT_TRUE(migration_import_do(scene->import, &action));
	memset(scene->bytes, 0xee, size);
}

/* --- Tests --- */

static void what_was_applied_is_the_partition_when_it_is_final(void)
{
	struct scene *scene = scene_open(0);
	struct migration_target_event event;
	uint64_t digest = 0;

	stage(scene);
	for (uint64_t batch = 0; batch < 3; batch++) {
		open_frame(scene, SYNC_FRAME_BATCH, batch + 1);
		for (uint64_t i = 0; i < 1000; i++) {
			uint64_t version = version_make(3, 1000 * batch + i + 1);

			add(scene, 1000 * batch + i, version, (uint32_t)i % 200, 0);
			digest += version_digest(version);
		}
		apply(scene);
		event = expect(scene, TARGET_ON_APPLIED);
		CU_ASSERT_TRUE(event.is_ok);
		CU_ASSERT_EQUAL(event.frame, SYNC_FRAME_BATCH);
		CU_ASSERT_EQUAL(event.last, batch + 1);
		CU_ASSERT_EQUAL(event.items, 1000 * (batch + 1));
		CU_ASSERT_EQUAL(event.digest, digest);
		CU_ASSERT_EQUAL(event.version, version_make(3, 1000 * (batch + 1)));
	}
	finalize(scene, 4, version_make(3, 5000));
	CU_ASSERT_EQUAL(unit_dataplane_get(&scene->target, P, 1234)->value_size, 234 % 200);
	CU_ASSERT_TRUE(unit_dataplane_put(&scene->target, P, 1234, 1, 10, 0));
	CU_ASSERT_EQUAL(unit_dataplane_get(&scene->target, P, 1234)->version, version_make(4, 1));
	scene_close(scene);
}

static void newer_versions_win_and_what_was_deleted_stays_so(void)
{
	struct scene *scene = scene_open(0);
	struct migration_target_event event;

	stage(scene);
	open_frame(scene, SYNC_FRAME_DELTA, 1);
	add(scene, 1, 10, 7, 0);
	add_tombstone(scene, 2, 11);
	add_tombstone(scene, 3, 12);
	add(scene, 3, 13, 5, 0);
	apply(scene);
	event = expect(scene, TARGET_ON_APPLIED);
	CU_ASSERT_EQUAL(event.frame, SYNC_FRAME_DELTA);
	CU_ASSERT_EQUAL(event.last, 4);
	open_frame(scene, SYNC_FRAME_BATCH, 1);
	add(scene, 1, 4, 3, 0);
	add(scene, 2, 5, 3, 0);
	add(scene, 3, 6, 3, 0);
	add(scene, 4, 7, 3, 0);
	apply(scene);
	event = expect(scene, TARGET_ON_APPLIED);
	CU_ASSERT_EQUAL(event.items, 3);
	CU_ASSERT_EQUAL(event.digest, version_digest(10) + version_digest(13) + version_digest(7));
	CU_ASSERT_EQUAL(event.version, 13);
	finalize(scene, 2, 13);
	CU_ASSERT_EQUAL(unit_dataplane_get(&scene->target, P, 1)->value_size, 7);
	CU_ASSERT_PTR_NULL(unit_dataplane_get(&scene->target, P, 2));
	CU_ASSERT_EQUAL(unit_dataplane_get(&scene->target, P, 3)->value_size, 5);
	CU_ASSERT_EQUAL(unit_dataplane_get(&scene->target, P, 4)->value_size, 3);
	scene_close(scene);
}

static void applies_are_answered_in_order_each_with_its_numbers(void)
{
	struct scene *scene = scene_open(0);

	stage(scene);
	for (uint32_t i = 0; i < MIGRATION_TARGET_APPLY_MAX; i++) {
		open_frame(scene, i % 2 ? SYNC_FRAME_DELTA : SYNC_FRAME_BATCH, i / 2 + 1);
		add(scene, i, i + 1, 100, 0);
		apply(scene);
	}
	CU_ASSERT_EQUAL(migration_import_poll(scene->import), MIGRATION_WAITS);
	for (uint32_t i = 0; i < MIGRATION_TARGET_APPLY_MAX; i++) {
		struct migration_target_event event = expect(scene, TARGET_ON_APPLIED);

		CU_ASSERT_TRUE(event.is_ok);
		CU_ASSERT_EQUAL(event.frame, i % 2 ? SYNC_FRAME_DELTA : SYNC_FRAME_BATCH);
		CU_ASSERT_EQUAL(event.last, i / 2 + 1);
		CU_ASSERT_EQUAL(event.items, i + 1);
		CU_ASSERT_EQUAL(event.version, i + 1);
	}
	CU_ASSERT_EQUAL(migration_import_poll(scene->import), MIGRATION_RESTS);
	scene_close(scene);
}

static void nothing_staged_expires_before_it_is_final(void)
{
	struct scene *scene = scene_open(0);
	uint64_t expires_at_ms = scene->target.node.cores[0]->now_ms + 500;

	stage(scene);
	open_frame(scene, SYNC_FRAME_BATCH, 1);
	add(scene, 1, 1, VALUE_SIZE_MAX, expires_at_ms);
	add(scene, 2, 2, VALUE_SIZE_MAX, 0);
	apply(scene);
	CU_ASSERT_EQUAL(expect(scene, TARGET_ON_APPLIED).items, 2);
	for (uint32_t i = 0; i < 300; i++) {
		unit_node_advance(&scene->target.node, 1000);
		unit_dataplane_turn(&scene->target);
	}
	CU_ASSERT_EQUAL(item_expires_at_ms(unit_dataplane_get(&scene->target, P, 1)),
			expires_at_ms);
	finalize(scene, 2, 2);
	for (uint32_t i = 0; i < 300; i++) {
		unit_node_advance(&scene->target.node, 1000);
		unit_dataplane_turn(&scene->target);
	}
	CU_ASSERT_PTR_NULL(unit_dataplane_get(&scene->target, P, 1));
	CU_ASSERT_EQUAL(unit_dataplane_get(&scene->target, P, 2)->value_size, VALUE_SIZE_MAX);
	scene_close(scene);
}

static uint64_t items_of(const struct scene *scene)
{
	struct partition_stats stats;

	partition_stats(unit_dataplane_partition(&scene->target, P), &stats);
	return stats.items + stats.tombstones;
}

/* A new attempt begins over what an old one left, or what the partition was in another life. */
static void staging_clears_what_is_there(void)
{
	struct scene *scene = scene_open(0);

	for (uint32_t i = 0; i < 500; i++)
		CU_ASSERT_TRUE(unit_dataplane_put(&scene->target, P, i, 1, 10, 0));
	stage(scene);
	CU_ASSERT_EQUAL(items_of(scene), 0);
	open_frame(scene, SYNC_FRAME_BATCH, 1);
	add(scene, 1000, 1, 10, 0);
	add_tombstone(scene, 1001, 2);
	apply(scene);
	CU_ASSERT_EQUAL(expect(scene, TARGET_ON_APPLIED).items, 1);
	stage(scene);
	CU_ASSERT_EQUAL(items_of(scene), 0);
	finalize(scene, 2, 1);
	CU_ASSERT_PTR_NULL(unit_dataplane_get(&scene->target, P, 1000));
	scene_close(scene);
}

static void an_exported_partition_cannot_be_staged(void)
{
	struct scene *scene = scene_open(0);
	struct partition *partition = unit_dataplane_partition(&scene->target, P);
	struct partition_export *export;

	CU_ASSERT_EQUAL_FATAL(partition_export_create(&export, DELTA_RING_SIZE_MIN), 0);
	partition_begin_export(partition, export);
	act(scene, TARGET_DO_STAGE);
	CU_ASSERT_FALSE(expect(scene, TARGET_ON_STAGED).is_ok);
	partition_end_export(partition);
	partition_export_destroy(export);
	stage(scene);
	scene_close(scene);
}

/* More than the node holds: the batch fails that finds no room, and none behind it is tried. What came is given back. */
static void without_memory_an_import_fails_and_leaves_nothing(void)
{
	struct scene *scene = scene_open((size_t)6 << 20);
	uint32_t batches = MIGRATION_TARGET_APPLY_MAX;
	uint64_t items = 0;
	uint32_t failed = 0;

	stage(scene);
	for (uint32_t i = 0; i < batches; i++) {
		open_frame(scene, SYNC_FRAME_BATCH, i + 1);
		for (uint32_t j = 0; j < 64; j++)
			add(scene, 64 * i + j, 64 * i + j + 1, VALUE_SIZE_MAX, 0);
		apply(scene);
	}
	for (uint32_t i = 0; i < batches; i++) {
		struct migration_target_event event = expect(scene, TARGET_ON_APPLIED);

		CU_ASSERT_EQUAL(event.last, i + 1);
		CU_ASSERT(failed == 0 || !event.is_ok);
		failed += !event.is_ok;
		items = event.items;
	}
	CU_ASSERT(failed > batches / 4);
	CU_ASSERT(items > 100);
	discard_all(scene);
	CU_ASSERT_EQUAL(items_of(scene), 0);
	for (uint32_t i = 0; i < 200; i++)
		unit_dataplane_turn(&scene->target);
	stage(scene);
	open_frame(scene, SYNC_FRAME_BATCH, 1);
	for (uint32_t j = 0; j < 100; j++)
		add(scene, j, j + 1, VALUE_SIZE_MAX, 0);
	apply(scene);
	CU_ASSERT_TRUE(expect(scene, TARGET_ON_APPLIED).is_ok);
	scene_close(scene);
}

static void what_was_staged_can_be_discarded(void)
{
	struct scene *scene = scene_open(0);

	stage(scene);
	open_frame(scene, SYNC_FRAME_BATCH, 1);
	for (uint32_t i = 0; i < 2000; i++)
		add(scene, i, i + 1, 10, 0);
	apply(scene);
	act(scene, TARGET_DO_DISCARD_SLICE); /* behind the batch */
	CU_ASSERT_EQUAL(expect(scene, TARGET_ON_APPLIED).items, 2000);
	CU_ASSERT_TRUE(expect(scene, TARGET_ON_DISCARDED).is_done);
	CU_ASSERT_EQUAL(items_of(scene), 0);
	CU_ASSERT_FALSE(partition_is_importing(unit_dataplane_partition(&scene->target, P)));
	act(scene, TARGET_DO_DISCARD_SLICE);
	CU_ASSERT_TRUE(expect(scene, TARGET_ON_DISCARDED).is_done);
	scene_close(scene);
}

/* Workers that are stopped finish nothing: all is given back just the same (the leak checker looks on). */
static void it_may_be_destroyed_with_orders_under_way_when_the_workers_stopped(void)
{
	struct scene *scene = scene_open(0);

	stage(scene);
	open_frame(scene, SYNC_FRAME_BATCH, 1);
	add(scene, 1, 1, 10, 0);
	apply(scene);
	CU_ASSERT_EQUAL(migration_import_poll(scene->import), MIGRATION_WAITS);
	scene_close(scene);
	migration_import_destroy(NULL);
}

static void what_is_others_is_left_to_them(void)
{
	static const enum migration_target_action_kind others[] = {
		TARGET_DO_MARK,   TARGET_DO_RECORD_OWNER, TARGET_DO_ANNOUNCE, TARGET_DO_PUBLISH_MAP,
		TARGET_DO_UNMARK, TARGET_DO_SEND,         TARGET_DO_REPORT,
	};
	struct scene *scene = scene_open(0);

	for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct migration_target_action action = { .kind = others[i] };

		CU_ASSERT_FALSE(migration_import_do(scene->import, &action));
	}
	CU_ASSERT_EQUAL(migration_import_poll(scene->import), MIGRATION_RESTS);
	scene_close(scene);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(what_was_applied_is_the_partition_when_it_is_final),
		UNIT_TEST(newer_versions_win_and_what_was_deleted_stays_so),
		UNIT_TEST(applies_are_answered_in_order_each_with_its_numbers),
		UNIT_TEST(nothing_staged_expires_before_it_is_final),
		UNIT_TEST(staging_clears_what_is_there),
		UNIT_TEST(an_exported_partition_cannot_be_staged),
		UNIT_TEST(without_memory_an_import_fails_and_leaves_nothing),
		UNIT_TEST(what_was_staged_can_be_discarded),
		UNIT_TEST(it_may_be_destroyed_with_orders_under_way_when_the_workers_stopped),
		UNIT_TEST(what_is_others_is_left_to_them),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("migration_import", tests);
}
