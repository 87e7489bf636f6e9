/* SPDX-License-Identifier: BSD-3-Clause */
/* What a source machine asks of the data plane, on cores that are stepped by hand. */
#include "controlplane/migration_export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/sync_record.h"
#include "controlplane/world.h"
#include "storage/record.h"
#include "storage/version.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define BATCH_SIZE 16384u
#define WINDOW 4u
#define RING_SIZE ((uint64_t)256 << 10)
#define KEYS 3000u
#define EVENTS_MAX 64u
#define TURNS_MAX 20000u
#define P 1u /* the partition */

struct scene {
	struct world world;
	struct unit_dataplane source;
	struct migration_export *export;
	enum migration_pace pace;
	uint32_t event_count;
	struct migration_source_event events[EVENTS_MAX];
	uint64_t versions[KEYS]; /* what frames told, the newest: 0 = not there */
	bool is_there[KEYS];
	uint64_t records;
	uint64_t batch;
};

static void on_answer(void *context, const struct migration_source_event *event)
{
	struct scene *scene = context;

	CU_ASSERT_FATAL(scene->event_count < EVENTS_MAX);
	scene->events[scene->event_count++] = *event;
}

static struct migration_export_options options_of(struct scene *scene)
{
	return (struct migration_export_options){
		.dataplane = &scene->source.dataplane,
		.reader = &scene->source.reader,
		.world = &scene->world,
		.job = 77,
		.attempt = 2,
		.partition = P,
		.batch_size = BATCH_SIZE,
		.window = WINDOW,
		.ring_size = RING_SIZE,
		.answer = on_answer,
		.context = scene,
	};
}

static struct scene *scene_open(uint32_t keys)
{
	const struct unit_node_options options = { .worker_count = 2, .partition_count = 4 };
	struct scene *scene = calloc(1, sizeof(*scene));
	struct migration_export_options export;

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
	world_os_init(&scene->world);
	unit_dataplane_create(&scene->source, &options);
	for (uint32_t i = 0; i < keys; i++) {
		CU_ASSERT_TRUE_FATAL(unit_dataplane_put(&scene->source, P, i, 1, i % 300, 0));
		if (i % 64 == 0)
			unit_dataplane_turn(&scene->source);
	}
	export = options_of(scene);
	CU_ASSERT_EQUAL_FATAL(migration_export_create(&scene->export, &export), 0);
	return scene;
}

static void scene_close(struct scene *scene)
{
	migration_export_destroy(scene->export);
	unit_dataplane_destroy(&scene->source);
	free(scene);
}

static void act(struct scene *scene, enum migration_source_action_kind kind, uint64_t number)
{
	const struct migration_source_action action = { .kind = kind,
							.fence = (uint32_t)number,
							.size = BATCH_SIZE,
							.batch = number,
							.last = number };

	CU_ASSERT_TRUE(migration_export_do(scene->export, &action));
}

static void look(struct scene *scene)
{
	scene->pace = migration_export_poll(scene->export);
}

/* The event of that kind, after as many turns as it takes; others before it are forgotten. */
static struct migration_source_event expect(struct scene *scene,
					    enum migration_source_event_kind kind)
{
	for (uint32_t turn = 0; turn < TURNS_MAX; turn++) {
		for (uint32_t i = 0; i < scene->event_count; i++) {
			struct migration_source_event event = scene->events[i];

			if (event.kind != kind)
				continue;
			scene->event_count -= i + 1;
			memmove(scene->events, scene->events + i + 1,
				scene->event_count * sizeof(event));
			return event;
		}
		scene->event_count = 0;
		look(scene);
		if (scene->event_count == 0)
			unit_dataplane_turn(&scene->source);
	}
	CU_FAIL_FATAL("an event does not come");
	abort();
}

static void mark(struct scene *scene)
{
	act(scene, SOURCE_DO_MARK, 0);
	act(scene, SOURCE_DO_BARRIER, 0);
	expect(scene, SOURCE_ON_BARRIER_DONE);
}

static void unmark(struct scene *scene)
{
	act(scene, SOURCE_DO_UNMARK, 0);
	expect(scene, SOURCE_ON_UNMARKED);
	look(scene);
	CU_ASSERT_EQUAL(scene->pace, MIGRATION_RESTS);
}

/* Takes a frame as a target would. */
static void take_frame(struct scene *scene, enum sync_frame_kind kind, uint64_t first,
		       uint32_t count, const uint8_t *bytes, size_t size)
{
	struct record record;
	struct sync_frame frame;
	struct sync_batch batch;
	size_t offset = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT(size <= BATCH_SIZE);
	CU_ASSERT_EQUAL_FATAL(sync_frame_decode(&frame, bytes, size), 0);
	CU_ASSERT_EQUAL_FATAL(sync_batch_decode(&batch, &frame), 0);
	CU_ASSERT_EQUAL(batch.kind, kind);
	CU_ASSERT_EQUAL(batch.job, 77);
	CU_ASSERT_EQUAL(batch.attempt, 2);
	CU_ASSERT_EQUAL(batch.partition, P);
	CU_ASSERT_EQUAL(batch.first, first);
	CU_ASSERT_EQUAL(batch.count, count);
	while (batch.count-- > 0) {
		uint64_t number;

		CU_ASSERT_TRUE_FATAL(sync_batch_next(&batch, &offset, &record));
		memcpy(&number, record.key + UNIT_KEY_SIZE - sizeof(number), sizeof(number));
		CU_ASSERT_FATAL(number < KEYS);
		scene->records++;
		if (!version_is_newer(record.version, scene->versions[number]))
			continue;
		scene->versions[number] = record.version;
		scene->is_there[number] = !record.is_tombstone;
	}
}

/* One slice; true: there are more. */
static bool scan(struct scene *scene)
{
	struct migration_source_event event;
	const uint8_t *bytes;
	size_t size;

	act(scene, SOURCE_DO_SCAN, scene->batch + 1);
	event = expect(scene, SOURCE_ON_SCANNED);
	bytes = migration_export_batch(scene->export, scene->batch + 1, &size);
	if (event.items == 0) {
		CU_ASSERT_PTR_NULL(bytes);
		return !event.is_done;
	}
	scene->batch++;
	take_frame(scene, SYNC_FRAME_BATCH, scene->batch, (uint32_t)event.items, bytes, size);
	CU_ASSERT_EQUAL(event.bytes, size - SYNC_FRAME_HEADER_SIZE - SYNC_BATCH_HEADER_SIZE);
	act(scene, SOURCE_DO_RELEASE_BATCHES, scene->batch);
	CU_ASSERT_PTR_NULL(migration_export_batch(scene->export, scene->batch, &size));
	return !event.is_done;
}

/* Takes what is in the ring, up to a frame; returns the last sequence. */
static uint64_t drain(struct scene *scene)
{
	struct migration_source_event event;
	const uint8_t *bytes;
	size_t size;

	act(scene, SOURCE_DO_DRAIN, 0);
	event = expect(scene, SOURCE_ON_DRAINED);
	if (event.last < event.first)
		return event.last;
	bytes = migration_export_deltas(scene->export, event.first, event.last, &size);
	take_frame(scene, SYNC_FRAME_DELTA, event.first, (uint32_t)(event.last - event.first + 1),
		   bytes, size);
	act(scene, SOURCE_DO_RELEASE_DELTAS, event.last);
	return event.last;
}

static void drain_to(struct scene *scene, uint64_t last)
{
	while (drain(scene) < last)
		;
}

static void check_copy(const struct scene *scene, const struct migration_source_event *snapshot)
{
	uint64_t digest = 0;
	uint64_t items = 0;

	for (uint32_t i = 0; i < KEYS; i++) {
		items += scene->is_there[i];
		digest += scene->is_there[i] ? version_digest(scene->versions[i]) : 0;
	}
	CU_ASSERT_TRUE(snapshot->is_ok);
	CU_ASSERT_EQUAL(items, snapshot->items);
	CU_ASSERT_EQUAL(digest, snapshot->digest);
}

static void an_idle_partition_is_scanned_once(void)
{
	struct scene *scene = scene_open(KEYS);
	struct migration_source_event snapshot;

	mark(scene);
	while (scan(scene))
		;
	CU_ASSERT_EQUAL(scene->records, KEYS);
	CU_ASSERT(scene->batch > 20);
	CU_ASSERT_EQUAL(drain(scene), 0);
	act(scene, SOURCE_DO_SNAPSHOT, 4);
	snapshot = expect(scene, SOURCE_ON_SNAPSHOT);
	CU_ASSERT_EQUAL(snapshot.fence, 4);
	CU_ASSERT_EQUAL(snapshot.last, 0);
	CU_ASSERT_EQUAL(snapshot.version, version_make(0, KEYS));
	check_copy(scene, &snapshot);
	unmark(scene);
	scene_close(scene);
}

static void an_empty_partition_makes_no_batch(void)
{
	struct scene *scene = scene_open(0);

	mark(scene);
	CU_ASSERT_FALSE(scan(scene));
	CU_ASSERT_EQUAL(scene->batch, 0);
	unmark(scene);
	scene_close(scene);
}

/* A partition that was once large is walked in slices all the same. */
static void slots_without_items_make_no_batch(void)
{
	struct scene *scene = scene_open(0);
	uint32_t slices = 0;

	for (uint32_t i = 0; i < 40000; i++) {
		CU_ASSERT_TRUE_FATAL(unit_dataplane_put(&scene->source, P, i, 1, 0, 0));
		unit_dataplane_turn(&scene->source);
	}
	for (uint32_t i = 0; i < 40000; i++) {
		if (i != 7)
			unit_dataplane_remove(&scene->source, P, i);
		if (i % 16 == 0)
			unit_dataplane_turn(&scene->source);
	}
	mark(scene);
	while (scan(scene))
		slices++;
	CU_ASSERT(slices >= 2);
	CU_ASSERT_EQUAL(scene->batch, 1);
	CU_ASSERT_EQUAL(scene->records, 1);
	unmark(scene);
	scene_close(scene);
}

static void write_somewhere(struct scene *scene, uint64_t *random)
{
	uint64_t number = unit_random(random) % KEYS;

	switch (unit_random(random) % 4) {
	case 0:
		unit_dataplane_remove(&scene->source, P, number);
		break;
	case 1:
		unit_dataplane_put(&scene->source, P, number, 2,
				   (uint32_t)(unit_random(random) % VALUE_SIZE_MAX), 0);
		break;
	default:
		unit_dataplane_put(&scene->source, P, number, 3, 40, 0);
	}
}

/* Writes all over the partition while it is scanned, then a fence: what was shipped is the partition. */
static void scan_and_deltas_are_the_partition(void)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct scene *scene = scene_open(KEYS / 2);
		struct migration_source_event snapshot;
		uint64_t random = seed;
		bool more = true;

		mark(scene);
		while (more) {
			for (uint64_t writes = unit_random(&random) % 12; writes > 0; writes--)
				write_somewhere(scene, &random);
			unit_dataplane_turn(&scene->source);
			more = scan(scene);
			if (unit_random(&random) % 2 == 0)
				drain(scene);
		}
		act(scene, SOURCE_DO_FENCE_WRITES, 1);
		snapshot = expect(scene, SOURCE_ON_SNAPSHOT);
		CU_ASSERT(snapshot.last > 10);
		drain_to(scene, snapshot.last);
		check_copy(scene, &snapshot);
		act(scene, SOURCE_DO_UNFENCE, 0);
		unmark(scene);
		scene_close(scene);
	}
}

static void new_deltas_are_told_once(void)
{
	struct scene *scene = scene_open(10);

	mark(scene);
	while (scan(scene))
		;
	for (uint32_t i = 0; i < 3; i++)
		unit_dataplane_put(&scene->source, P, i, 2, 10, 0);
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_DELTAS).last, 3);
	look(scene);
	CU_ASSERT_EQUAL(scene->event_count, 0);
	CU_ASSERT_EQUAL(scene->pace, MIGRATION_WAITS);
	CU_ASSERT_EQUAL(drain(scene), 3);
	unmark(scene);
	unit_dataplane_put(&scene->source, P, 1, 3, 10, 0);
	look(scene);
	CU_ASSERT_EQUAL(scene->event_count, 0);
	scene_close(scene);
}

static void a_full_ring_is_told_once_and_spoils_the_snapshot(void)
{
	struct scene *scene = scene_open(10);
	struct migration_source_event snapshot;

	mark(scene);
	while (scan(scene))
		;
	for (uint32_t i = 0; i < 40; i++) {
		unit_dataplane_put(&scene->source, P, i % 10, 2, VALUE_SIZE_MAX, 0);
		unit_dataplane_turn(&scene->source);
	}
	expect(scene, SOURCE_ON_DELTAS_LOST);
	look(scene);
	CU_ASSERT_EQUAL(scene->event_count, 0);
	act(scene, SOURCE_DO_SNAPSHOT, 0);
	snapshot = expect(scene, SOURCE_ON_SNAPSHOT);
	CU_ASSERT_FALSE(snapshot.is_ok);
	unmark(scene);
	scene_close(scene);
}

static enum route_access access_of(const struct scene *scene)
{
	return (enum route_access)scene->source.node.shared->route->access[P];
}

/* A barrier is not done before every worker has had a turn. */
static void fences_wait_for_every_worker(void)
{
	struct scene *scene = scene_open(10);

	mark(scene);
	act(scene, SOURCE_DO_FENCE_WRITES, 1);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_WRITES_PARKED);
	look(scene);
	look(scene);
	CU_ASSERT_EQUAL(scene->pace, MIGRATION_HURRIES);
	CU_ASSERT_EQUAL(scene->event_count, 0);
	CU_ASSERT_FALSE(partition_is_frozen(unit_dataplane_partition(&scene->source, P)));
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_SNAPSHOT).fence, 1);
	CU_ASSERT_TRUE(partition_is_frozen(unit_dataplane_partition(&scene->source, P)));
	act(scene, SOURCE_DO_FENCE_READS, 1);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_PARKED);
	look(scene);
	CU_ASSERT_EQUAL(scene->event_count, 0);
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_READS_FENCED).fence, 1);
	act(scene, SOURCE_DO_UNFENCE, 0);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_SERVED);
	unmark(scene);
	CU_ASSERT_FALSE(partition_is_frozen(unit_dataplane_partition(&scene->source, P)));
	scene_close(scene);
}

/* The bound passed before the workers had stopped: each of the two answers comes, and the partition is alive. */
static void a_fence_may_come_down_before_it_was_up(void)
{
	struct scene *scene = scene_open(10);

	mark(scene);
	act(scene, SOURCE_DO_FENCE_WRITES, 1);
	act(scene, SOURCE_DO_UNFENCE, 0);
	act(scene, SOURCE_DO_SNAPSHOT, 2);
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_SNAPSHOT).fence, 1);
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_SNAPSHOT).fence, 2);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_SERVED);
	CU_ASSERT_FALSE(partition_is_frozen(unit_dataplane_partition(&scene->source, P)));
	unmark(scene);
	scene_close(scene);
}

/* What a fenced partition holds does not expire behind the snapshot, and does afterwards. */
static void a_fenced_partition_holds_still(void)
{
	struct scene *scene = scene_open(0);
	struct migration_source_event first, second;

	for (uint32_t i = 0; i < 100; i++)
		unit_dataplane_put(&scene->source, P, i, 1, 10,
				   scene->source.node.cores[0]->now_ms + 100);
	mark(scene);
	act(scene, SOURCE_DO_FENCE_WRITES, 1);
	first = expect(scene, SOURCE_ON_SNAPSHOT);
	CU_ASSERT_EQUAL(first.items, 100);
	for (uint32_t i = 0; i < 200; i++) {
		unit_node_advance(&scene->source.node, 1000);
		unit_dataplane_turn(&scene->source);
	}
	act(scene, SOURCE_DO_SNAPSHOT, 1);
	second = expect(scene, SOURCE_ON_SNAPSHOT);
	CU_ASSERT_EQUAL(second.digest, first.digest);
	act(scene, SOURCE_DO_UNFENCE, 0);
	for (uint32_t i = 0; i < 200; i++) {
		unit_node_advance(&scene->source.node, 1000);
		look(scene);
		unit_dataplane_turn(&scene->source);
	}
	act(scene, SOURCE_DO_SNAPSHOT, 2);
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_SNAPSHOT).items, 0);
	unmark(scene);
	scene_close(scene);
}

static void what_was_parked_is_refused_and_later_goes_by_the_routes(void)
{
	struct scene *scene = scene_open(10);

	mark(scene);
	act(scene, SOURCE_DO_FENCE_WRITES, 1);
	act(scene, SOURCE_DO_FENCE_READS, 1);
	expect(scene, SOURCE_ON_READS_FENCED);
	act(scene, SOURCE_DO_REFUSE_PARKED, 0);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_REFUSED);
	look(scene);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_REFUSED);
	unit_dataplane_turn(&scene->source);
	look(scene);
	CU_ASSERT_EQUAL(access_of(scene), ROUTE_SERVED);
	unmark(scene);
	scene_close(scene);
}

static void a_partition_is_dropped_in_slices_and_ships_nothing(void)
{
	struct scene *scene = scene_open(KEYS);
	uint32_t turns = 0;

	mark(scene);
	while (scan(scene))
		;
	act(scene, SOURCE_DO_FENCE_WRITES, 1);
	expect(scene, SOURCE_ON_SNAPSHOT);
	act(scene, SOURCE_DO_FORWARD_PARKED, 0);
	act(scene, SOURCE_DO_DROP_SLICE, 0);
	for (; scene->event_count == 0; turns++) {
		unit_dataplane_turn(&scene->source);
		look(scene);
	}
	CU_ASSERT(turns > KEYS / 64);
	CU_ASSERT_TRUE(expect(scene, SOURCE_ON_DROPPED).is_done);
	CU_ASSERT_EQUAL(drain(scene), 0);
	unmark(scene);
	CU_ASSERT_PTR_NULL(unit_dataplane_get(&scene->source, P, 3));
	CU_ASSERT_FALSE(partition_is_frozen(unit_dataplane_partition(&scene->source, P)));
	scene_close(scene);
}

/* Every frame of the window may be under way at once, and is found by its number until it is released. */
static void frames_live_until_they_are_released(void)
{
	struct scene *scene = scene_open(KEYS);
	const uint8_t *bytes[WINDOW];
	size_t size;

	mark(scene);
	for (uint32_t i = 0; i < WINDOW; i++) {
		act(scene, SOURCE_DO_SCAN, i + 1);
		expect(scene, SOURCE_ON_SCANNED);
		bytes[i] = migration_export_batch(scene->export, i + 1, &size);
		CU_ASSERT_PTR_NOT_NULL(bytes[i]);
	}
	for (uint32_t i = 0; i < WINDOW; i++) {
		CU_ASSERT_PTR_EQUAL(migration_export_batch(scene->export, i + 1, &size), bytes[i]);
		scene->batch = i + 1;
		take_frame(scene, SYNC_FRAME_BATCH, i + 1,
			   wire_get_u32(bytes[i] + SYNC_FRAME_HEADER_SIZE + 24), bytes[i], size);
	}
	act(scene, SOURCE_DO_RELEASE_BATCHES, 2);
	CU_ASSERT_PTR_NULL(migration_export_batch(scene->export, 2, &size));
	CU_ASSERT_PTR_EQUAL(migration_export_batch(scene->export, 3, &size), bytes[2]);
	CU_ASSERT_TRUE(scan(scene)); /* in a frame that was used before */
	unmark(scene);
	CU_ASSERT_PTR_NULL(migration_export_batch(scene->export, 3, &size));
	scene_close(scene);
}

/* A partition has one export at a time. */
static void an_export_that_cannot_begin_is_told(void)
{
	struct scene *scene = scene_open(10);
	const struct migration_export_options options = options_of(scene);
	struct migration_export *first = scene->export;

	mark(scene);
	CU_ASSERT_EQUAL_FATAL(migration_export_create(&scene->export, &options), 0);
	act(scene, SOURCE_DO_MARK, 0);
	act(scene, SOURCE_DO_BARRIER, 0);
	expect(scene, SOURCE_ON_DELTAS_LOST);
	expect(scene, SOURCE_ON_BARRIER_DONE);
	unmark(scene);
	migration_export_destroy(scene->export);
	scene->export = first;
	unit_dataplane_put(&scene->source, P, 50, 1, 10, 0);
	CU_ASSERT_EQUAL(expect(scene, SOURCE_ON_DELTAS).last, 1); /* the first one still watches */
	unmark(scene);
	scene_close(scene);
}

static void what_is_others_is_left_to_them(void)
{
	static const enum migration_source_action_kind others[] = {
		SOURCE_DO_CHECK_CAPACITY, SOURCE_DO_SEND_BATCH,  SOURCE_DO_SEND_DELTAS,
		SOURCE_DO_RECORD_OWNER,   SOURCE_DO_PUBLISH_MAP, SOURCE_DO_SEND,
		SOURCE_DO_REPORT,
	};
	struct scene *scene = scene_open(0);

	for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		const struct migration_source_action action = { .kind = others[i] };

		CU_ASSERT_FALSE(migration_export_do(scene->export, &action));
	}
	look(scene);
	CU_ASSERT_EQUAL(scene->pace, MIGRATION_RESTS);
	CU_ASSERT_EQUAL(scene->event_count, 0);
	scene_close(scene);
}

static void options_are_checked(void)
{
	struct scene *scene = scene_open(0);
	struct migration_export_options options = options_of(scene);
	struct migration_export *export;

	options.window = 0;
	CU_ASSERT_EQUAL(migration_export_create(&export, &options), -EINVAL);
	options.window = MIGRATION_WINDOW_MAX + 1;
	CU_ASSERT_EQUAL(migration_export_create(&export, &options), -EINVAL);
	options = options_of(scene);
	options.batch_size = SYNC_BATCH_FRAME_SIZE_MIN - 1;
	CU_ASSERT_EQUAL(migration_export_create(&export, &options), -EINVAL);
	options = options_of(scene);
	options.ring_size = 1000;
	CU_ASSERT_EQUAL(migration_export_create(&export, &options), -EINVAL);
	CU_ASSERT_PTR_NULL(export);
	migration_export_destroy(NULL);
	scene_close(scene);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(an_idle_partition_is_scanned_once),
		UNIT_TEST(an_empty_partition_makes_no_batch),
		UNIT_TEST(slots_without_items_make_no_batch),
		UNIT_TEST(scan_and_deltas_are_the_partition),
		UNIT_TEST(new_deltas_are_told_once),
		UNIT_TEST(a_full_ring_is_told_once_and_spoils_the_snapshot),
		UNIT_TEST(fences_wait_for_every_worker),
		UNIT_TEST(a_fence_may_come_down_before_it_was_up),
		UNIT_TEST(a_fenced_partition_holds_still),
		UNIT_TEST(what_was_parked_is_refused_and_later_goes_by_the_routes),
		UNIT_TEST(a_partition_is_dropped_in_slices_and_ships_nothing),
		UNIT_TEST(frames_live_until_they_are_released),
		UNIT_TEST(an_export_that_cannot_begin_is_told),
		UNIT_TEST(what_is_others_is_left_to_them),
		UNIT_TEST(options_are_checked),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("migration_export", tests);
}
