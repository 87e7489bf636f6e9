/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole migration between two data planes: both machines, export and import, with writes all the while. Only the network and
 * the cluster are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "controlplane/migration_export.h"
#include "controlplane/migration_import.h"
#include "controlplane/world.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define P 3u /* the partition */
#define KEYS 2000u
#define EVENTS_MAX 64u
#define POSTS_MAX 256u
#define MS_MAX 20000u
#define SOURCE_ID 1u
#define TARGET_ID 2u

/* What a client would know of a key. */
struct key_model {
	bool is_there;
	uint64_t write;
	uint32_t size;
	uint64_t expires_at_ms;
};

/* On its way from one end to the other; a message, or the bytes of a frame. */
struct post {
	bool is_to_target;
	struct sync_message message;
	uint8_t *bytes;
	size_t size;
};

struct move {
	struct world world;
	struct migration_options options;
	uint64_t now_ms;
	uint64_t random;
	uint32_t writes_per_ms;
	struct key_model keys[KEYS];
	uint64_t writes;
	uint64_t held_back; /* writes that met a fence */

	struct unit_dataplane source_data;
	struct migration_source source;
	struct migration_export *export;
	uint32_t source_event_count;
	struct migration_source_event source_events[EVENTS_MAX];

	struct unit_dataplane target_data;
	struct migration_target target;
	struct migration_import *import;

	uint32_t post_count;
	struct post posts[POSTS_MAX];
};

/* ---- the rest of a node ---- */

static void set_owner(struct unit_dataplane *data, bool is_own, uint32_t epoch)
{
	struct route_table *table = route_table_copy(data->node.shared->route);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	table->owners[P] = is_own ? table->self : WIRE_MAP_NO_OWNER;
	table->epochs[P] = epoch;
	CU_ASSERT_EQUAL_FATAL(dataplane_set_routes(&data->dataplane, table), 0);
}

static void post(struct move *move, bool is_to_target, const struct sync_message *message,
		 const uint8_t *bytes, size_t size)
{
	struct post *last = &move->posts[move->post_count++];

	CU_ASSERT_FATAL(move->post_count <= POSTS_MAX);
	*last = (struct post){ .is_to_target = is_to_target, .size = size };
	if (message)
		last->message = *message;
	if (size == 0)
		return;
	last->bytes = malloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(last->bytes);
	memcpy(last->bytes, bytes, size);
}

static void to_source(struct move *move, const struct migration_source_event *event)
{
	CU_ASSERT_FATAL(move->source_event_count < EVENTS_MAX);
	move->source_events[move->source_event_count++] = *event;
}

/* ---- the source ---- */

static void tell_capacity(struct move *move)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_CAPACITY, .is_ok = true };

	to_source(move, &event);
}

static void do_source(struct move *move, const struct migration_source_action *action)
{
	const uint8_t *bytes;
	size_t size = 0;

	if (migration_export_do(move->export, action))
		return;
	switch (action->kind) {
	case SOURCE_DO_CHECK_CAPACITY:
		tell_capacity(move);
		break;
	case SOURCE_DO_SEND_BATCH:
		bytes = migration_export_batch(move->export, action->batch, &size);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		post(move, true, NULL, bytes, size);
		break;
	case SOURCE_DO_SEND_DELTAS:
		bytes = migration_export_deltas(move->export, action->first, action->last, &size);
		CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
		post(move, true, NULL, bytes, size);
		break;
	case SOURCE_DO_PUBLISH_MAP:
		set_owner(&move->source_data, false, move->source.epoch_decided);
		break;
	case SOURCE_DO_SEND:
		post(move, true, &action->message, NULL, 0);
		break;
	default:
		break;
	}
}

static void step_source(struct move *move, const struct migration_source_event *event)
{
	struct migration_source_actions actions;

	migration_source_step(&move->source, move->now_ms, event, &actions);
	CU_ASSERT_TRUE_FATAL(migration_source_is_sound(&move->source));
	for (uint32_t i = 0; i < actions.count; i++)
		do_source(move, &actions.items[i]);
}

static void on_source_answer(void *context, const struct migration_source_event *event)
{
	step_source(context, event);
}

/* ---- the target ---- */

static void do_target(struct move *move, const struct migration_target_action *action)
{
	if (migration_import_do(move->import, action))
		return;
	if (action->kind == TARGET_DO_SEND)
		post(move, false, &action->message, NULL, 0);
	else if (action->kind == TARGET_DO_PUBLISH_MAP)
		set_owner(&move->target_data, true, move->target.epoch_taken);
}

static void step_target(struct move *move, const struct migration_target_event *event)
{
	struct migration_target_actions actions;

	migration_target_step(&move->target, move->now_ms, event, &actions);
	CU_ASSERT_TRUE_FATAL(migration_target_is_sound(&move->target));
	for (uint32_t i = 0; i < actions.count; i++)
		do_target(move, &actions.items[i]);
}

static void on_target_answer(void *context, const struct migration_target_event *event)
{
	step_target(context, event);
}

/* ---- the network: in order, nothing is lost ---- */

static void hand_to_target(struct move *move, const struct post *post)
{
	struct migration_target_event event = { .kind = TARGET_ON_MESSAGE,
						.message = &post->message };
	struct sync_frame frame;
	struct sync_batch batch;

	if (post->size > 0) {
		CU_ASSERT_EQUAL_FATAL(sync_frame_decode(&frame, post->bytes, post->size), 0);
		CU_ASSERT_EQUAL_FATAL(sync_batch_decode(&batch, &frame), 0);
		event.kind = TARGET_ON_BATCH;
		event.batch = &batch;
	}
	step_target(move, &event);
}

static void deliver_one(struct move *move)
{
	struct post post = move->posts[0];
	const struct migration_source_event event = { .kind = SOURCE_ON_MESSAGE,
						      .message = &post.message };

	memmove(move->posts, move->posts + 1, --move->post_count * sizeof(post));
	if (post.is_to_target)
		hand_to_target(move, &post);
	else if (move->source.machine.state != SOURCE_CHECKING || post.message.kind != SYNC_PREPARE)
		step_source(move, &event);
	free(post.bytes);
}

/* ---- clients ---- */

static void write_one(struct move *move)
{
	uint64_t number = unit_random(&move->random) % KEYS;
	struct key_model *key = &move->keys[number];
	struct unit_dataplane *data = &move->source_data;

	if (unit_random(&move->random) % 4 == 0) {
		CU_ASSERT_EQUAL(unit_dataplane_remove(data, P, number), key->is_there);
		key->is_there = false;
		return;
	}
	key->write++;
	key->is_there = true;
	key->size = unit_random(&move->random) % 50 == 0
			    ? VALUE_SIZE_MAX
			    : (uint32_t)(unit_random(&move->random) % 300);
	key->expires_at_ms =
		unit_random(&move->random) % 3 == 0 ? data->node.cores[0]->now_ms + 100000000 : 0;
	CU_ASSERT_TRUE(
		unit_dataplane_put(data, P, number, key->write, key->size, key->expires_at_ms));
}

/* By the routes that the workers have. */
static void write_some(struct move *move, uint32_t count)
{
	for (; count > 0; count--) {
		if (move->source_data.node.route->access[P] == ROUTE_SERVED) {
			write_one(move);
			move->writes++;
		} else {
			move->held_back++;
		}
	}
}

/* ---- time ---- */

static void tick(struct move *move)
{
	static const struct migration_source_event source_timer = { .kind = SOURCE_ON_TIMER };
	static const struct migration_target_event target_timer = { .kind = TARGET_ON_TIMER };

	move->now_ms++;
	unit_node_advance(&move->source_data.node, 1);
	unit_node_advance(&move->target_data.node, 1);
	if (migration_source_deadline_ms(&move->source) <= move->now_ms)
		step_source(move, &source_timer);
	if (migration_target_deadline_ms(&move->target) <= move->now_ms)
		step_target(move, &target_timer);
}

/* A millisecond in which everybody has a few turns. */
static void live(struct move *move)
{
	tick(move);
	for (uint32_t turn = 0; turn < 8; turn++) {
		write_some(move, move->writes_per_ms / 8);
		unit_dataplane_turn(&move->source_data);
		unit_dataplane_turn(&move->target_data);
		migration_export_poll(move->export);
		migration_import_poll(move->import);
		for (uint32_t i = 0; i < move->source_event_count; i++)
			step_source(move, &move->source_events[i]);
		move->source_event_count = 0;
		for (uint32_t count = move->post_count; count > 0; count--)
			deliver_one(move);
	}
}

static bool is_over(const struct move *move)
{
	return move->source.machine.state == SOURCE_DONE &&
	       move->target.machine.state == TARGET_DONE;
}

static void live_until_it_is_over(struct move *move)
{
	for (uint32_t ms = 0; ms < MS_MAX && !is_over(move); ms++)
		live(move);
	CU_ASSERT_TRUE_FATAL(is_over(move));
	CU_ASSERT_EQUAL(migration_export_poll(move->export), MIGRATION_RESTS);
	CU_ASSERT_EQUAL(migration_import_poll(move->import), MIGRATION_RESTS);
}

/* ---- beginning and end ---- */

static void create_ends(struct move *move, const struct migration_job *job)
{
	const struct migration_export_options export = {
		.dataplane = &move->source_data.dataplane,
		.reader = &move->source_data.reader,
		.world = &move->world,
		.job = job->job,
		.attempt = job->attempt,
		.partition = P,
		.batch_size = move->options.batch_size,
		.window = move->options.window,
		.ring_size = 1 << 20,
		.answer = on_source_answer,
		.context = move,
	};
	const struct migration_import_options import = {
		.dataplane = &move->target_data.dataplane,
		.partition = P,
		.answer = on_target_answer,
		.context = move,
	};

	CU_ASSERT_EQUAL_FATAL(migration_export_create(&move->export, &export), 0);
	CU_ASSERT_EQUAL_FATAL(migration_import_create(&move->import, &import), 0);
	migration_source_init(&move->source, &move->options, job, true, move->now_ms);
	migration_target_init(&move->target, &move->options, job, true, move->now_ms);
}

static struct move *move_open(uint64_t seed, uint32_t keys)
{
	static const struct migration_source_event source_start = { .kind = SOURCE_ON_START };
	static const struct migration_target_event target_start = { .kind = TARGET_ON_START };
	const struct migration_job job = { .job = seed,
					   .attempt = 1,
					   .partition = P,
					   .epoch = 1,
					   .source = SOURCE_ID,
					   .source_generation = 1,
					   .target = TARGET_ID,
					   .target_generation = 1 };
	struct unit_node_options node = { .worker_count = 2, .partition_count = 4 };
	struct move *move = calloc(1, sizeof(*move));

	CU_ASSERT_PTR_NOT_NULL_FATAL(move);
	world_os_init(&move->world);
	migration_options_default(&move->options);
	move->options.batch_size = 16384;
	move->options.cpu_permille = 0;
	move->options.attempts_max = 1;
	move->random = seed;
	move->now_ms = 1000;
	unit_dataplane_create(&move->source_data, &node);
	node.number = 1;
	unit_dataplane_create(&move->target_data, &node);
	set_owner(&move->target_data, false, 1);
	unit_dataplane_turn(&move->source_data);
	while (move->writes < keys) {
		write_some(move, 16);
		unit_dataplane_turn(&move->source_data);
	}
	create_ends(move, &job);
	step_target(move, &target_start);
	step_source(move, &source_start);
	return move;
}

static void move_close(struct move *move)
{
	for (uint32_t i = 0; i < move->post_count; i++)
		free(move->posts[i].bytes);
	migration_export_destroy(move->export);
	migration_import_destroy(move->import);
	unit_dataplane_destroy(&move->source_data);
	unit_dataplane_destroy(&move->target_data);
	free(move);
}

/* Every key is as a client left it. */
static void check_contents(const struct move *move, const struct unit_dataplane *data)
{
	for (uint64_t i = 0; i < KEYS; i++) {
		const struct key_model *key = &move->keys[i];
		const struct item *item = unit_dataplane_get(data, P, i);

		CU_ASSERT_EQUAL(item != NULL, key->is_there);
		if (!item || !key->is_there)
			continue;
		CU_ASSERT_TRUE(unit_dataplane_value_is(item, i, key->write, key->size));
		CU_ASSERT_EQUAL(item_expires_at_ms(item), key->expires_at_ms);
	}
}

static void check_empty(const struct unit_dataplane *data)
{
	const struct partition *partition = unit_dataplane_partition(data, P);
	struct partition_stats stats;

	partition_stats(partition, &stats);
	CU_ASSERT_EQUAL(stats.items + stats.tombstones, 0);
	CU_ASSERT_FALSE(partition_is_frozen(partition));
}

static enum route_access access_of(const struct unit_dataplane *data)
{
	return (enum route_access)data->node.shared->route->access[P];
}

/* ---- tests ---- */

static void check_moved(const struct move *move)
{
	CU_ASSERT_EQUAL(move->source.outcome, SOURCE_MIGRATED);
	CU_ASSERT_EQUAL(move->target.outcome, TARGET_MIGRATED);
	CU_ASSERT_EQUAL(access_of(&move->source_data), ROUTE_UNAVAILABLE);
	CU_ASSERT_EQUAL(access_of(&move->target_data), ROUTE_SERVED);
	check_empty(&move->source_data);
	check_contents(move, &move->target_data);
}

static void a_partition_moves_while_it_is_written(void)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct move *move = move_open(seed, 3000);

		move->writes_per_ms = 8 * (uint32_t)seed;
		live_until_it_is_over(move);
		check_moved(move);
		CU_ASSERT(move->source.progress.deltas > 0);
		CU_ASSERT(move->held_back > 0);
		move_close(move);
	}
}

static void an_idle_or_empty_partition_moves(void)
{
	for (uint32_t keys = 0; keys <= 160; keys += 160) {
		struct move *move = move_open(1, keys);

		live_until_it_is_over(move);
		check_moved(move);
		CU_ASSERT_EQUAL(move->source.progress.deltas, 0);
		move_close(move);
	}
}

/* More writes than the ring holds while the target is slow to take them: the attempt ends, the partition stays. */
static void writes_that_outrun_the_ring_end_the_attempt(void)
{
	struct move *move = move_open(5, 3000);

	move->writes_per_ms = 8000;
	for (uint32_t ms = 0; ms < MS_MAX && move->source.outcome == SOURCE_UNDECIDED; ms++)
		live(move);
	move->writes_per_ms = 8;
	live_until_it_is_over(move);
	CU_ASSERT_EQUAL(move->source.outcome, SOURCE_ABORTED);
	CU_ASSERT_EQUAL(move->source.reason, MIGRATION_DELTAS_LOST);
	check_empty(&move->target_data);
	check_contents(move, &move->source_data);
	move_close(move);
}

/* Whatever state it is in: before the decision all is as it was before, after it the move is made. */
static void a_cancelled_move_leaves_the_partition_where_it_was(void)
{
	static const struct migration_source_event cancel = { .kind = SOURCE_ON_CANCEL };
	uint32_t states_seen = 0;

	for (uint32_t state = SOURCE_MARKING; state <= SOURCE_FENCING_READS; state++) {
		struct move *move = move_open(state, 3000);
		uint64_t writes;

		move->writes_per_ms = 16;
		for (uint32_t ms = 0; ms < MS_MAX && !is_over(move); ms++) {
			if (move->source.machine.state == state)
				step_source(move, &cancel);
			live(move);
		}
		CU_ASSERT_TRUE_FATAL(is_over(move));
		if (move->source.outcome == SOURCE_MIGRATED) {
			check_moved(move);
			move_close(move);
			continue;
		}
		states_seen++;
		CU_ASSERT_EQUAL(move->source.reason, MIGRATION_CANCELLED);
		writes = move->writes;
		live(move);
		live(move);
		CU_ASSERT(move->writes > writes);
		CU_ASSERT_FALSE(
			partition_is_frozen(unit_dataplane_partition(&move->source_data, P)));
		check_empty(&move->target_data);
		check_contents(move, &move->source_data);
		move_close(move);
	}
	CU_ASSERT(states_seen >= 2); /* others pass within a millisecond */
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_partition_moves_while_it_is_written),
		UNIT_TEST(an_idle_or_empty_partition_moves),
		UNIT_TEST(writes_that_outrun_the_ring_end_the_attempt),
		UNIT_TEST(a_cancelled_move_leaves_the_partition_where_it_was),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("migration_copy", tests);
}
