/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders to the partition's worker; batches copied into buffers that are used again. */
#include "controlplane/migration_import.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/partition_orders.h"
#include "controlplane/sync_record.h"

/* Slots dropped by one order. */
#define DISCARD_SLOTS_MAX 65536u

enum order_kind {
	ORDER_CLEAR, /* leftovers, before STAGE */
	ORDER_STAGE, /* -> STAGED */
	ORDER_APPLY, /* -> APPLIED */
	ORDER_FINALIZE,
	ORDER_DISCARD, /* -> DISCARDED */
};

/* A batch while its records are applied. It grows to the largest that came. */
struct apply_buffer {
	uint8_t *bytes; /* of the records, as they came */
	size_t size_max;
	struct record *records; /* which point into 'bytes' */
	uint32_t count_max;
};

struct migration_import {
	struct migration_import_options options;
	struct partition_orders orders;
	struct partition_stats staged; /* after the latest order that was done */
	/* Used in turn: applies begin and end in the same order. */
	uint64_t apply_begun;
	uint64_t apply_ended;
	struct apply_buffer buffers[MIGRATION_TARGET_APPLY_MAX];
};

int migration_import_create(struct migration_import **result,
			    const struct migration_import_options *options)
{
	struct migration_import *import = calloc(1, sizeof(*import));

	*result = import;
	if (!import)
		return -ENOMEM;
	import->options = *options;
	partition_orders_init(&import->orders, options->dataplane, options->partition);
	return 0;
}

void migration_import_destroy(struct migration_import *import)
{
	if (!import)
		return;
	for (uint32_t i = 0; i < MIGRATION_TARGET_APPLY_MAX; i++) {
		free(import->buffers[i].bytes);
		free(import->buffers[i].records);
	}
	free(import);
}

/* ---- batches ---- */

/* Makes '*memory', of '*size_max' bytes, hold 'size'; what is in it may be lost. */
static bool hold(void **memory, size_t *size_max, size_t size)
{
	void *larger;

	if (size <= *size_max)
		return true;
	larger = malloc(size);
	if (!larger)
		return false;
	free(*memory);
	*memory = larger;
	*size_max = size;
	return true;
}

static bool make_room(struct apply_buffer *buffer, const struct sync_batch *batch)
{
	size_t records_max = buffer->count_max * sizeof(struct record);
	void *records = buffer->records;
	void *bytes = buffer->bytes;
	bool is_ok = hold(&bytes, &buffer->size_max, batch->records_size) &&
		     hold(&records, &records_max, batch->count * sizeof(struct record));

	buffer->bytes = bytes;
	buffer->records = records;
	buffer->count_max = (uint32_t)(records_max / sizeof(struct record));
	return is_ok;
}

static void fill(struct apply_buffer *buffer, const struct sync_batch *batch)
{
	struct sync_batch copy = *batch;
	size_t offset = 0;

	memcpy(buffer->bytes, batch->records, batch->records_size);
	copy.records = buffer->bytes;
	for (uint32_t i = 0; i < batch->count; i++)
		sync_batch_next(&copy, &offset, &buffer->records[i]);
}

static void apply(struct migration_import *import, const struct sync_batch *batch)
{
	struct apply_buffer *buffer =
		&import->buffers[import->apply_begun++ % MIGRATION_TARGET_APPLY_MAX];
	struct partition_order *order =
		partition_orders_add_command(&import->orders, ORDER_APPLY, PARTITION_APPLY);

	assert(import->apply_begun - import->apply_ended <= MIGRATION_TARGET_APPLY_MAX);
	order->frame = batch->kind;
	order->last = batch->kind == SYNC_FRAME_BATCH ? batch->first : sync_batch_last(batch);
	if (!make_room(buffer, batch)) {
		order->has_command = false;
		return;
	}
	fill(buffer, batch);
	order->command.records = buffer->records;
	order->command.record_count = batch->count;
}

/* ---- answers ---- */

static void answer(const struct migration_import *import,
		   const struct migration_target_event *event)
{
	import->options.answer(import->options.context, event);
}

static void on_staged(const struct migration_import *import, const struct partition_order *order)
{
	const struct migration_target_event event = { .kind = TARGET_ON_STAGED,
						      .is_ok = order->command.is_ok };

	answer(import, &event);
}

/* After a failure nothing more is tried: those to come would only wait for memory, too. */
static void on_applied(struct migration_import *import, const struct partition_order *order)
{
	const struct migration_target_event event = {
		.kind = TARGET_ON_APPLIED,
		.is_ok = order->command.is_ok,
		.frame = (enum sync_frame_kind)order->frame,
		.last = order->last,
		.items = import->staged.items,
		.digest = import->staged.digest,
		.version = import->staged.version_last,
	};

	import->apply_ended++;
	if (!event.is_ok)
		partition_orders_let_off(&import->orders, PARTITION_APPLY);
	answer(import, &event);
}

static void on_finalized(const struct migration_import *import)
{
	const struct migration_target_event event = { .kind = TARGET_ON_FINALIZED };

	answer(import, &event);
}

static void on_discarded(const struct migration_import *import, const struct partition_order *order)
{
	const struct migration_target_event event = { .kind = TARGET_ON_DISCARDED,
						      .is_done = order->command.is_done };

	answer(import, &event);
}

static void conclude(struct migration_import *import, const struct partition_order *order)
{
	if (order->has_command)
		import->staged = order->command.stats;
	switch ((enum order_kind)order->kind) {
	case ORDER_CLEAR:
		break;
	case ORDER_STAGE:
		on_staged(import, order);
		break;
	case ORDER_APPLY:
		on_applied(import, order);
		break;
	case ORDER_FINALIZE:
		on_finalized(import);
		break;
	case ORDER_DISCARD:
		on_discarded(import, order);
		break;
	}
}

/* ---- actions ---- */

static void stage(struct migration_import *import)
{
	struct partition_orders *orders = &import->orders;

	partition_orders_add_command(orders, ORDER_CLEAR, PARTITION_DISCARD)->command.slot_max =
		UINT32_MAX;
	partition_orders_add_command(orders, ORDER_STAGE, PARTITION_BEGIN_IMPORT);
}

static void finalize(struct migration_import *import, const struct migration_target_action *action)
{
	struct partition_order *order =
		partition_orders_add_command(&import->orders, ORDER_FINALIZE, PARTITION_FINALIZE);

	order->command.epoch = action->epoch;
	order->command.version = action->version;
}

bool migration_import_do(struct migration_import *import,
			 const struct migration_target_action *action)
{
	switch (action->kind) {
	case TARGET_DO_STAGE:
		stage(import);
		return true;
	case TARGET_DO_APPLY:
		apply(import, action->batch);
		return true;
	case TARGET_DO_FINALIZE:
		finalize(import, action);
		return true;
	case TARGET_DO_DISCARD_SLICE:
		partition_orders_add_command(&import->orders, ORDER_DISCARD, PARTITION_DISCARD)
			->command.slot_max = DISCARD_SLOTS_MAX;
		return true;
	default:
		return false;
	}
}

/* An order is forgotten before it is answered, for the answer may bring new ones. */
enum migration_pace migration_import_poll(struct migration_import *import)
{
	struct partition_order *order;

	while ((order = partition_orders_poll(&import->orders))) {
		struct partition_order done = *order;

		partition_orders_remove(&import->orders);
		conclude(import, &done);
	}
	return partition_orders_are_waiting(&import->orders) ? MIGRATION_WAITS : MIGRATION_RESTS;
}
