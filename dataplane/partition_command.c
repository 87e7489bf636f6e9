/* SPDX-License-Identifier: BSD-3-Clause */
/* The owner core's side of a migration. */
#include "dataplane/partition_command.h"

#include "dataplane/core_state.h"

/* A record that finds no memory waits so long for what is being freed or built. */
#define APPLY_PATIENCE_MS 2000u

static bool begin_export(struct partition *partition, struct partition_command *command)
{
	if (partition_is_importing(partition) || partition_export_of(partition))
		return false;
	partition_begin_export(partition, command->export);
	return true;
}

static bool begin_import(struct partition *partition)
{
	struct partition_stats stats;

	partition_stats(partition, &stats);
	if (stats.items + stats.tombstones > 0 || partition_is_importing(partition) ||
	    partition_export_of(partition))
		return false;
	partition_begin_import(partition);
	return true;
}

static bool finalize(struct partition *partition, const struct partition_command *command)
{
	if (!partition_is_importing(partition))
		return false;
	partition_finalize_import(partition, command->epoch, command->version);
	return true;
}

static void freeze(struct partition *partition, bool is_frozen)
{
	if (partition_is_importing(partition))
		return;
	if (is_frozen)
		partition_freeze(partition);
	else
		partition_thaw(partition);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Applies up to 'count_max' records. True: the command is done, well or not. */
static bool apply(struct core *core, struct partition *partition, struct partition_command *command,
		  uint32_t count_max)
{
	uint32_t end = smaller(command->record_count, command->records_applied + count_max);
	enum status status = STATUS_OK;

	while (command->records_applied < end && status == STATUS_OK) {
		uint32_t applied = shard_apply(
			core->shard, partition, command->records + command->records_applied,
			smaller(end - command->records_applied, SHARD_BATCH_MAX), &status);

		command->records_applied += applied;
		if (applied > 0)
			command->stuck_since_ms = 0;
	}
	if (status == STATUS_RETRY && command->stuck_since_ms == 0)
		command->stuck_since_ms = core->now_ms;
	command->is_ok = status == STATUS_OK;
	return command->records_applied == command->record_count || status == STATUS_NO_SPACE ||
	       (status == STATUS_RETRY &&
		core->now_ms - command->stuck_since_ms >= APPLY_PATIENCE_MS);
}

/* Drops at most 'slot_max' slots of those that the command allows. True: it is done. */
static bool discard(struct core *core, struct partition *partition,
		    struct partition_command *command, uint32_t slot_max)
{
	uint32_t slots = smaller(command->slot_max, slot_max);

	command->is_done = shard_discard_slice(core->shard, partition, slots);
	command->slot_max -= slots;
	return command->is_done || command->slot_max == 0;
}

/* One slice. True: the command is done. */
static bool run(struct core *core, struct partition *partition, struct partition_command *command,
		uint32_t work_max)
{
	command->is_ok = true;
	switch (command->kind) {
	case PARTITION_BEGIN_EXPORT:
		command->is_ok = begin_export(partition, command);
		break;
	case PARTITION_END_EXPORT:
		partition_end_export(partition);
		break;
	case PARTITION_SNAPSHOT:
		break;
	case PARTITION_FREEZE:
	case PARTITION_THAW:
		freeze(partition, command->kind == PARTITION_FREEZE);
		break;
	case PARTITION_DISCARD:
		return discard(core, partition, command, work_max);
	case PARTITION_BEGIN_IMPORT:
		command->is_ok = begin_import(partition);
		break;
	case PARTITION_APPLY:
		if (partition_is_importing(partition))
			return apply(core, partition, command, work_max);
		command->is_ok = false;
		break;
	case PARTITION_FINALIZE:
		command->is_ok = finalize(partition, command);
		break;
	}
	return true;
}

static void answer(const struct partition *partition, struct partition_command *command)
{
	struct partition_export *export = partition_export_of(partition);

	command->delta_last = export ? delta_ring_last(partition_export_ring(export)) : 0;
	partition_stats(partition, &command->stats);
	__atomic_store_n(&command->is_finished, true, __ATOMIC_RELEASE);
}

/* ---- lanes: what waits, in the order of each partition ---- */

static void push_lane(struct partition_lanes *lanes, struct partition_command *first)
{
	first->next_lane = NULL;
	if (lanes->first)
		lanes->last->next_lane = first;
	else
		lanes->first = first;
	lanes->last = first;
}

static struct partition_command *pop_lane(struct partition_lanes *lanes)
{
	struct partition_command *first = lanes->first;

	if (first)
		lanes->first = first->next_lane;
	return first;
}

static void line_up(struct partition_lanes *lanes, struct partition_command *command)
{
	struct partition_command *first = lanes->first;

	while (first && first->partition != command->partition)
		first = first->next_lane;
	command->next = NULL;
	command->last = command;
	if (!first) {
		push_lane(lanes, command);
		return;
	}
	first->last->next = command;
	first->last = command;
}

/* What follows a command that is done; the latter is no longer the worker's once it is answered. */
static void advance_lane(struct partition_lanes *lanes, const struct partition_command *done)
{
	if (!done->next)
		return;
	done->next->last = done->last;
	push_lane(lanes, done->next);
}

bool partition_command_run(struct core *core, uint32_t work_max)
{
	struct partition_command *command;
	struct partition *partition;

	if (rte_ring_sc_dequeue(core->commands, (void **)&command) == 0)
		line_up(&core->lanes, command);
	command = pop_lane(&core->lanes);
	if (!command)
		return false;
	partition = shard_partition(core->shard, command->partition);
	if (run(core, partition, command, work_max)) {
		advance_lane(&core->lanes, command);
		answer(partition, command);
	} else {
		push_lane(&core->lanes, command);
	}
	return true;
}
