/* SPDX-License-Identifier: BSD-3-Clause */
/* A worker's commands: in order for each partition, and no partition waits for another. */
#include "dataplane/partition_command.h"

#include <errno.h>
#include <stdlib.h>

#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define PARTITIONS 8u
#define FULL (PARTITIONS - 1) /* has the memory that the others want */
#define MEMORY_BYTES (2u << 20)
#define VALUE_SIZE 1000u
#define PATIENCE_MS 2000u /* of a record that finds no memory */
#define TURNS_FEW 8u
#define TURNS_MANY 256u
#define TURNS_MAX 4096u
#define COMMANDS 16u

struct scene {
	struct unit_dataplane data;
	struct record record;
	struct partition_command commands[PARTITIONS][COMMANDS];
	uint32_t count[PARTITIONS];
};

static struct scene *scene_open(void)
{
	static const uint8_t value[VALUE_SIZE];
	const struct unit_node_options options = { .partition_count = PARTITIONS,
						   .memory_limit_bytes = MEMORY_BYTES };
	struct scene *scene = calloc(1, sizeof(*scene));

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene);
	unit_dataplane_create(&scene->data, &options);
	scene->record = (struct record){ .version = 1,
					 .key = (const uint8_t *)"another unit key",
					 .key_size = UNIT_KEY_SIZE,
					 .value = value,
					 .value_size = VALUE_SIZE };
	return scene;
}

static void scene_close(struct scene *scene)
{
	unit_dataplane_destroy(&scene->data);
	free(scene);
}

static void turns(struct scene *scene, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		unit_dataplane_turn(&scene->data);
}

/* FULL takes all memory, ... The index may have to grow meanwhile. */
static uint32_t fill(struct scene *scene)
{
	uint32_t count = 0;

	for (uint32_t refused = 0; refused < TURNS_MANY; turns(scene, 1)) {
		for (; unit_dataplane_put(&scene->data, FULL, count, 0, VALUE_SIZE, 0); count++)
			refused = 0;
		refused++;
	}
	CU_ASSERT_FATAL(count > MEMORY_BYTES / VALUE_SIZE / 2);
	return count;
}

/* ... and gives it back, but a reader has yet to let go of it: until set free it is on its way. */
static void exhaust_memory(struct scene *scene)
{
	uint32_t count = fill(scene);

	scene->data.is_frozen = true;
	for (uint32_t i = 0; i < count; i++)
		CU_ASSERT_TRUE_FATAL(unit_dataplane_remove(&scene->data, FULL, i));
}

static void free_memory(struct scene *scene)
{
	scene->data.is_frozen = false;
}

static struct partition_command *submit(struct scene *scene, uint32_t partition,
					enum partition_command_kind kind)
{
	struct partition_command *command = &scene->commands[partition][scene->count[partition]++];

	CU_ASSERT_FATAL(scene->count[partition] <= COMMANDS);
	*command = (struct partition_command){ .kind = kind,
					       .partition = partition,
					       .epoch = 2,
					       .slot_max = UINT32_MAX,
					       .records = &scene->record,
					       .record_count = 1 };
	CU_ASSERT_EQUAL_FATAL(dataplane_submit(&scene->data.dataplane, command), 0);
	return command;
}

static bool is_done(const struct partition_command *command)
{
	return partition_command_is_done(command);
}

static void wait_for(struct scene *scene, const struct partition_command *command)
{
	for (uint32_t turn = 0; turn < TURNS_MAX && !is_done(command); turn++)
		turns(scene, 1);
	CU_ASSERT_TRUE_FATAL(is_done(command));
}

static struct partition_command *begin_apply(struct scene *scene, uint32_t partition)
{
	submit(scene, partition, PARTITION_BEGIN_IMPORT);
	return submit(scene, partition, PARTITION_APPLY);
}

static void others_pass_one_that_waits_for_memory(void)
{
	struct scene *scene = scene_open();
	struct partition_command *stuck, *behind, *other;

	exhaust_memory(scene);
	stuck = begin_apply(scene, 0);
	behind = submit(scene, 0, PARTITION_FINALIZE);
	submit(scene, 1, PARTITION_BEGIN_IMPORT);
	other = submit(scene, 1, PARTITION_FINALIZE);
	turns(scene, TURNS_FEW);
	CU_ASSERT_TRUE(is_done(other));
	CU_ASSERT_TRUE(other->is_ok);
	CU_ASSERT_FALSE(is_done(stuck));
	CU_ASSERT_FALSE(is_done(behind));
	CU_ASSERT_TRUE(partition_is_importing(unit_dataplane_partition(&scene->data, 0)));
	free_memory(scene);
	wait_for(scene, behind);
	CU_ASSERT_TRUE(stuck->is_ok);
	CU_ASSERT_TRUE(behind->is_ok);
	CU_ASSERT_EQUAL(behind->stats.items, 1);
	scene_close(scene);
}

static void many_may_wait_for_memory_at_once(void)
{
	struct partition_command *stuck[FULL - 1], *other;
	struct scene *scene = scene_open();

	exhaust_memory(scene);
	for (uint32_t p = 1; p < FULL; p++)
		stuck[p - 1] = begin_apply(scene, p);
	turns(scene, TURNS_MAX);
	other = submit(scene, 0, PARTITION_BEGIN_IMPORT);
	turns(scene, FULL);
	CU_ASSERT_TRUE(is_done(other));
	for (uint32_t i = 0; i < FULL - 1; i++)
		CU_ASSERT_FALSE(is_done(stuck[i]));
	free_memory(scene);
	for (uint32_t i = 0; i < FULL - 1; i++) {
		wait_for(scene, stuck[i]);
		CU_ASSERT_TRUE(stuck[i]->is_ok);
	}
	scene_close(scene);
}

/* What is behind goes on, and others do not wait that long either. */
static void one_that_waits_too_long_fails(void)
{
	struct partition_command *stuck, *behind;
	struct scene *scene = scene_open();

	exhaust_memory(scene);
	stuck = begin_apply(scene, 0);
	behind = submit(scene, 0, PARTITION_DISCARD);
	turns(scene, TURNS_FEW);
	unit_node_advance(&scene->data.node, PATIENCE_MS - 1);
	turns(scene, TURNS_FEW);
	CU_ASSERT_FALSE(is_done(stuck));
	unit_node_advance(&scene->data.node, 1);
	turns(scene, TURNS_FEW);
	CU_ASSERT_TRUE(is_done(stuck));
	CU_ASSERT_FALSE(stuck->is_ok);
	CU_ASSERT_TRUE(is_done(behind));
	CU_ASSERT_TRUE(behind->is_done);
	scene_close(scene);
}

/* However many of its commands are behind. */
static void one_that_waits_does_not_use_up_the_queue(void)
{
	static struct partition_command behind[PARTITION_COMMANDS_MAX];
	struct scene *scene = scene_open();
	struct partition_command *stuck, *other;

	exhaust_memory(scene);
	stuck = begin_apply(scene, 0);
	turns(scene, TURNS_FEW);
	for (uint32_t i = 0; i < PARTITION_COMMANDS_MAX; i++) {
		behind[i] = (struct partition_command){ .kind = PARTITION_SNAPSHOT };
		CU_ASSERT_EQUAL_FATAL(dataplane_submit(&scene->data.dataplane, &behind[i]), 0);
	}
	turns(scene, 1);
	other = submit(scene, 1, PARTITION_SNAPSHOT);
	turns(scene, PARTITION_COMMANDS_MAX + TURNS_FEW);
	CU_ASSERT_TRUE(is_done(other));
	CU_ASSERT_FALSE(is_done(stuck));
	CU_ASSERT_FALSE(is_done(&behind[0]));
	free_memory(scene);
	wait_for(scene, &behind[PARTITION_COMMANDS_MAX - 1]);
	for (uint32_t i = 0; i < PARTITION_COMMANDS_MAX; i++)
		CU_ASSERT_EQUAL(behind[i].stats.items, 1);
	scene_close(scene);
}

/* A command of many slices is no reason to wait for its end. */
static void partitions_take_turns(void)
{
	struct partition_command *discard, *other;
	struct scene *scene = scene_open();

	fill(scene);
	discard = submit(scene, FULL, PARTITION_DISCARD);
	turns(scene, 1);
	other = submit(scene, 0, PARTITION_SNAPSHOT);
	turns(scene, 2);
	CU_ASSERT_TRUE(is_done(other));
	CU_ASSERT_FALSE(is_done(discard));
	wait_for(scene, discard);
	CU_ASSERT_EQUAL(discard->stats.items, 0);
	scene_close(scene);
}

/* Those of the partition that are done come first. */
static void check_order(const struct scene *scene, uint32_t partition)
{
	for (uint32_t i = 1; i < scene->count[partition]; i++)
		CU_ASSERT_TRUE(is_done(&scene->commands[partition][i - 1]) ||
			       !is_done(&scene->commands[partition][i]));
}

static void check_answers(const struct scene *scene, uint32_t partition)
{
	for (uint32_t i = 0; i < COMMANDS; i++)
		CU_ASSERT_TRUE(scene->commands[partition][i].is_ok);
}

/* BEGIN_IMPORT, APPLY, FINALIZE, DISCARD, and again: each needs the one before. */
static void a_partition_s_commands_are_done_in_order(void)
{
	static const enum partition_command_kind kinds[] = {
		PARTITION_BEGIN_IMPORT,
		PARTITION_APPLY,
		PARTITION_FINALIZE,
		PARTITION_DISCARD,
	};
	struct scene *scene = scene_open();
	uint32_t turn = 0;

	exhaust_memory(scene);
	for (uint32_t i = 0; i < COMMANDS; i++) {
		for (uint32_t p = 0; p < FULL; p++)
			submit(scene, p, kinds[i % 4]);
	}
	for (; turn < TURNS_MAX && !is_done(&scene->commands[FULL - 1][COMMANDS - 1]); turn++) {
		if (turn == TURNS_MAX / 4)
			free_memory(scene);
		turns(scene, 1);
		for (uint32_t p = 0; p < FULL; p++)
			check_order(scene, p);
	}
	CU_ASSERT_FATAL(turn < TURNS_MAX);
	turns(scene, FULL);
	for (uint32_t p = 0; p < FULL; p++)
		check_answers(scene, p);
	scene_close(scene);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(others_pass_one_that_waits_for_memory),
		UNIT_TEST(many_may_wait_for_memory_at_once),
		UNIT_TEST(one_that_waits_too_long_fails),
		UNIT_TEST(one_that_waits_does_not_use_up_the_queue),
		UNIT_TEST(partitions_take_turns),
		UNIT_TEST(a_partition_s_commands_are_done_in_order),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("partition_command", tests);
}
