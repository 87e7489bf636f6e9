/* SPDX-License-Identifier: BSD-3-Clause */
/* Orders to the partition's worker; a scan and a ring that the control thread reads; frames kept until they are acknowledged. */
#include "controlplane/migration_export.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/partition_orders.h"
#include "controlplane/sync_record.h"
#include "controlplane/world.h"

/* Slots passed by one slice of a scan that finds few items, and dropped by one order. */
#define SCAN_SLOTS_MAX 16384u
#define DROP_SLOTS_MAX 65536u
/* Slots passed together: their items come from memory side by side. */
#define SCAN_GROUP_MAX 16u

enum order_kind {
	ORDER_BEGIN,   /* the worker watches writes */
	ORDER_BARRIER, /* -> BARRIER_DONE */
	ORDER_SNAPSHOT,
	ORDER_READS,   /* -> READS_FENCED */
	ORDER_REFUSED, /* what was parked has been refused: go by the routes again */
	ORDER_THAW,
	ORDER_DROP,
	ORDER_END, /* -> UNMARKED */
};

/* Sealed, and kept until it is released. */
struct kept_frame {
	uint8_t *bytes;
	size_t size;
	uint64_t first;
	uint64_t last; /* 0 = free */
};

struct migration_export {
	struct migration_export_options options;
	struct partition_orders orders;
	struct partition_export *partition_export;
	enum partition_access access; /* wanted */
	bool is_access_set;           /* no: there was no memory for it yet */

	bool is_begun;  /* the worker watches writes */
	bool is_marked; /* from MARK to UNMARKED */
	bool is_told;   /* the machine knows that the mark stands: it may hear of deltas */
	bool is_loss_told;
	uint64_t delta_told;
	uint64_t delta_taken; /* from the ring */

	uint32_t scan_size; /* bytes; 0 = no slice is asked for */
	uint64_t scan_batch;
	uint32_t drain_size; /* likewise */

	uint8_t *memory; /* of the frames */
	struct kept_frame batches[MIGRATION_WINDOW_MAX];
	struct kept_frame deltas[MIGRATION_WINDOW_MAX];
};

/* ---- beginning and end ---- */

static bool options_are_valid(const struct migration_export_options *options)
{
	return options->batch_size >= SYNC_BATCH_FRAME_SIZE_MIN &&
	       options->batch_size <= SYNC_FRAME_SIZE_MAX && options->window >= 1 &&
	       options->window <= MIGRATION_WINDOW_MAX;
}

/* Pages that no batch ever reaches are never made resident. */
static bool take_frames(struct migration_export *export)
{
	uint32_t window = export->options.window;
	size_t size = export->options.batch_size;

	export->memory = malloc(2 * window * size);
	if (!export->memory)
		return false;
	for (uint32_t i = 0; i < window; i++) {
		export->batches[i].bytes = export->memory + i * size;
		export->deltas[i].bytes = export->memory + (window + i) * size;
	}
	return true;
}

int migration_export_create(struct migration_export **result,
			    const struct migration_export_options *options)
{
	struct migration_export *export;
	int error;

	*result = NULL;
	if (!options_are_valid(options))
		return -EINVAL;
	export = calloc(1, sizeof(*export));
	if (!export)
		return -ENOMEM;
	export->options = *options;
	export->is_access_set = true;
	partition_orders_init(&export->orders, options->dataplane, options->partition);
	error = partition_export_create(&export->partition_export, options->ring_size);
	if (error == 0 && !take_frames(export))
		error = -ENOMEM;
	if (error != 0) {
		migration_export_destroy(export);
		return error;
	}
	*result = export;
	return 0;
}

void migration_export_destroy(struct migration_export *export)
{
	if (!export)
		return;
	partition_export_destroy(export->partition_export);
	free(export->memory);
	free(export);
}

/* ---- frames ---- */

static struct kept_frame *free_frame(struct kept_frame *frames, uint32_t window)
{
	uint32_t i = 0;

	while (frames[i].last != 0) {
		i++;
		assert(i < window);
	}
	return &frames[i];
}

static void release(struct kept_frame *frames, uint64_t last)
{
	for (uint32_t i = 0; i < MIGRATION_WINDOW_MAX; i++) {
		if (frames[i].last <= last)
			frames[i].last = 0;
	}
}

static const uint8_t *find(const struct kept_frame *frames, uint64_t first, uint64_t last,
			   size_t *size)
{
	for (uint32_t i = 0; i < MIGRATION_WINDOW_MAX; i++) {
		if (frames[i].last == last && frames[i].first == first && last != 0) {
			*size = frames[i].size;
			return frames[i].bytes;
		}
	}
	return NULL;
}

const uint8_t *migration_export_batch(const struct migration_export *export, uint64_t batch,
				      size_t *size)
{
	return find(export->batches, batch, batch, size);
}

const uint8_t *migration_export_deltas(const struct migration_export *export, uint64_t first,
				       uint64_t last, size_t *size)
{
	return find(export->deltas, first, last, size);
}

static void open_frame(const struct migration_export *export, struct sync_batch_writer *writer,
		       const struct kept_frame *frame, uint32_t size)
{
	if (size > export->options.batch_size)
		size = export->options.batch_size;
	sync_batch_writer_init(writer, frame->bytes,
			       size > SYNC_BATCH_FRAME_SIZE_MIN ? size : SYNC_BATCH_FRAME_SIZE_MIN);
}

/* For any record: what left the store or the ring must not be left behind. */
static bool has_room(const struct sync_batch_writer *writer)
{
	return writer->size_max - writer->size >= SYNC_RECORD_SIZE_MAX;
}

static void add(struct sync_batch_writer *writer, const struct record *record)
{
	bool is_added = sync_batch_writer_add(writer, record);

	assert(is_added);
	(void)is_added;
}

static void keep(const struct migration_export *export, struct sync_batch_writer *writer,
		 struct kept_frame *frame, enum sync_frame_kind kind, uint64_t first, uint64_t last)
{
	const struct sync_batch batch = { .kind = kind,
					  .job = export->options.job,
					  .attempt = export->options.attempt,
					  .partition = export->options.partition,
					  .first = first };

	frame->size = sync_batch_writer_finish(writer, &batch);
	frame->first = first;
	frame->last = last;
}

/* Bytes of records. */
static uint64_t written(const struct sync_batch_writer *writer)
{
	return writer->size - SYNC_FRAME_HEADER_SIZE - SYNC_BATCH_HEADER_SIZE;
}

/* ---- what the control thread does itself ---- */

static void answer(const struct migration_export *export,
		   const struct migration_source_event *event)
{
	export->options.answer(export->options.context, event);
}

static struct partition *partition_of(const struct migration_export *export)
{
	return dataplane_partition(export->options.dataplane, export->options.partition);
}

/* Slots whose items have room in the frame, however large they are. */
static uint32_t slots_that_fit(const struct sync_batch_writer *writer)
{
	size_t slots = (writer->size_max - writer->size) / SYNC_RECORD_SIZE_MAX;

	return slots < SCAN_GROUP_MAX ? (uint32_t)slots : SCAN_GROUP_MAX;
}

/* All of it but the first two cache lines, which were fetched with the group. */
static void prefetch_rest(const struct item *item)
{
	const uint8_t *end = item->bytes + item->key_size + item->value_size;

	for (const uint8_t *at = (const uint8_t *)item + 128; at < end; at += 64)
		__builtin_prefetch(at);
}

static void add_items(struct sync_batch_writer *writer, const struct item *const *items,
		      uint32_t count)
{
	if (count > 0)
		prefetch_rest(items[0]);
	for (uint32_t i = 0; i < count; i++) {
		struct record record = record_of_item(items[i]);

		if (i + 1 < count)
			prefetch_rest(items[i + 1]);
		add(writer, &record);
	}
}

/* Passes slots until the frame is full or the slice long enough. */
static void scan(struct partition *partition, struct sync_batch_writer *writer)
{
	const struct item *items[SCAN_GROUP_MAX];
	uint32_t slots = 0;

	while (slots < SCAN_SLOTS_MAX && has_room(writer) && !partition_export_is_done(partition)) {
		uint32_t group = slots_that_fit(writer);

		add_items(writer, items, partition_export_take(partition, group, items));
		slots += group;
	}
}

static void do_scan(struct migration_export *export)
{
	struct kept_frame *frame = free_frame(export->batches, export->options.window);
	struct migration_source_event event = { .kind = SOURCE_ON_SCANNED };
	struct partition *partition = partition_of(export);
	uint64_t began_us = world_cpu_us(export->options.world);
	struct sync_batch_writer writer;

	open_frame(export, &writer, frame, export->scan_size);
	export->scan_size = 0;
	reader_online(export->options.reader);
	scan(partition, &writer);
	reader_offline(export->options.reader);
	if (writer.count > 0)
		keep(export, &writer, frame, SYNC_FRAME_BATCH, export->scan_batch,
		     export->scan_batch);
	event.items = writer.count;
	event.bytes = written(&writer);
	event.is_done = partition_export_is_done(partition);
	event.cpu_us = (uint32_t)(world_cpu_us(export->options.world) - began_us);
	answer(export, &event);
}

static void do_drain(struct migration_export *export)
{
	struct kept_frame *frame = free_frame(export->deltas, export->options.window);
	struct delta_ring *ring = partition_export_ring(export->partition_export);
	struct migration_source_event event = { .kind = SOURCE_ON_DRAINED };
	struct sync_batch_writer writer;
	struct record record;

	open_frame(export, &writer, frame, export->drain_size);
	export->drain_size = 0;
	while (has_room(&writer) && delta_ring_take(ring, &record))
		add(&writer, &record);
	delta_ring_release(ring);
	event.first = export->delta_taken + 1;
	event.last = export->delta_taken + writer.count;
	event.bytes = written(&writer);
	export->delta_taken = event.last;
	if (writer.count > 0)
		keep(export, &writer, frame, SYNC_FRAME_DELTA, event.first, event.last);
	answer(export, &event);
}

/* The machine knows what was written, but for what came since the last look. */
static void tell_deltas(struct migration_export *export)
{
	const struct delta_ring *ring = partition_export_ring(export->partition_export);
	struct migration_source_event event = { .kind = SOURCE_ON_DELTAS,
						.last = delta_ring_last(ring) };

	if (delta_ring_is_dirty(ring) && !export->is_loss_told) {
		export->is_loss_told = true;
		event.kind = SOURCE_ON_DELTAS_LOST;
	} else if (event.last == export->delta_told) {
		return;
	}
	export->delta_told = event.last;
	answer(export, &event);
}

/* ---- orders ---- */

static void set_access(struct migration_export *export, enum partition_access access)
{
	export->access = access;
	export->is_access_set = dataplane_set_access(export->options.dataplane,
						     export->options.partition, access) == 0;
}

/* A partition whose writes cannot be watched: what it loses is told as such. */
static void on_begun(struct migration_export *export, const struct partition_command *command)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_DELTAS_LOST };

	export->is_begun = command->is_ok;
	if (!command->is_ok)
		answer(export, &event);
}

static void on_barrier(struct migration_export *export)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_BARRIER_DONE };

	export->is_told = export->is_begun;
	answer(export, &event);
}

static void on_snapshot(const struct migration_export *export, const struct partition_order *order)
{
	const struct delta_ring *ring = partition_export_ring(export->partition_export);
	const struct partition_command *command = &order->command;
	const struct migration_source_event event = {
		.kind = SOURCE_ON_SNAPSHOT,
		.is_ok = !delta_ring_is_dirty(ring),
		.fence = order->fence,
		.last = command->delta_last,
		.items = command->stats.items,
		.digest = command->stats.digest,
		.version = command->stats.version_last,
	};

	answer(export, &event);
}

static void on_reads_fenced(const struct migration_export *export,
			    const struct partition_order *order)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_READS_FENCED,
						      .fence = order->fence };

	answer(export, &event);
}

static void on_refused(struct migration_export *export)
{
	if (export->access == PARTITION_REFUSED)
		set_access(export, PARTITION_BY_ROUTE);
}

static void on_dropped(const struct migration_export *export, const struct partition_order *order)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_DROPPED,
						      .is_done = order->command.is_done };

	answer(export, &event);
}

static void on_ended(struct migration_export *export)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_UNMARKED };

	export->is_begun = false;
	export->is_marked = false;
	release(export->batches, UINT64_MAX);
	release(export->deltas, UINT64_MAX);
	answer(export, &event);
}

static void conclude(struct migration_export *export, const struct partition_order *order)
{
	switch ((enum order_kind)order->kind) {
	case ORDER_BEGIN:
		on_begun(export, &order->command);
		break;
	case ORDER_BARRIER:
		on_barrier(export);
		break;
	case ORDER_SNAPSHOT:
		on_snapshot(export, order);
		break;
	case ORDER_READS:
		on_reads_fenced(export, order);
		break;
	case ORDER_REFUSED:
		on_refused(export);
		break;
	case ORDER_THAW:
		break;
	case ORDER_DROP:
		on_dropped(export, order);
		break;
	case ORDER_END:
		on_ended(export);
		break;
	}
}

/* ---- actions ---- */

static void mark(struct migration_export *export)
{
	struct partition_order *order =
		partition_orders_add_command(&export->orders, ORDER_BEGIN, PARTITION_BEGIN_EXPORT);

	assert(!export->is_marked);
	order->command.export = export->partition_export;
	export->is_marked = true;
}

static void snapshot(struct migration_export *export, uint32_t fence,
		     enum partition_command_kind command)
{
	partition_orders_add_command(&export->orders, ORDER_SNAPSHOT, command)->fence = fence;
}

static void unfence(struct migration_export *export)
{
	set_access(export, PARTITION_BY_ROUTE);
	partition_orders_add_command(&export->orders, ORDER_THAW, PARTITION_THAW);
}

static void unmark(struct migration_export *export)
{
	export->is_told = false;
	if (export->is_begun)
		partition_orders_add_command(&export->orders, ORDER_END, PARTITION_END_EXPORT);
	else
		partition_orders_add(&export->orders, ORDER_END);
}

bool migration_export_do(struct migration_export *export,
			 const struct migration_source_action *action)
{
	struct partition_orders *orders = &export->orders;

	switch (action->kind) {
	case SOURCE_DO_MARK:
		mark(export);
		return true;
	case SOURCE_DO_BARRIER:
		partition_orders_add(orders, ORDER_BARRIER);
		return true;
	case SOURCE_DO_SCAN:
		export->scan_size = action->size;
		export->scan_batch = action->batch;
		return true;
	case SOURCE_DO_RELEASE_BATCHES:
		release(export->batches, action->batch);
		return true;
	case SOURCE_DO_DRAIN:
		export->drain_size = action->size;
		return true;
	case SOURCE_DO_RELEASE_DELTAS:
		release(export->deltas, action->last);
		return true;
	case SOURCE_DO_SNAPSHOT:
		snapshot(export, action->fence, PARTITION_SNAPSHOT);
		return true;
	case SOURCE_DO_FENCE_WRITES:
		set_access(export, PARTITION_WRITES_FENCED);
		snapshot(export, action->fence, PARTITION_FREEZE);
		return true;
	case SOURCE_DO_FENCE_READS:
		set_access(export, PARTITION_ALL_FENCED);
		partition_orders_add(orders, ORDER_READS)->fence = action->fence;
		return true;
	case SOURCE_DO_UNFENCE:
		unfence(export);
		return true;
	case SOURCE_DO_FORWARD_PARKED:
		set_access(export, PARTITION_BY_ROUTE);
		return true;
	case SOURCE_DO_REFUSE_PARKED:
		set_access(export, PARTITION_REFUSED);
		partition_orders_add(orders, ORDER_REFUSED);
		return true;
	case SOURCE_DO_DROP_SLICE:
		partition_orders_add_command(orders, ORDER_DROP, PARTITION_DISCARD)
			->command.slot_max = DROP_SLOTS_MAX;
		return true;
	case SOURCE_DO_UNMARK:
		unmark(export);
		return true;
	default:
		return false;
	}
}

/* ---- time ---- */

static enum migration_pace pace(const struct migration_export *export)
{
	bool is_waiting = partition_orders_are_waiting(&export->orders);

	if (export->scan_size > 0 || export->drain_size > 0)
		return MIGRATION_HURRIES;
	if (is_waiting &&
	    (export->access == PARTITION_WRITES_FENCED || export->access == PARTITION_ALL_FENCED))
		return MIGRATION_HURRIES;
	return is_waiting || export->is_marked || !export->is_access_set ? MIGRATION_WAITS
									 : MIGRATION_RESTS;
}

/* No order goes ahead of the access that it is to find. An order is forgotten before it is answered, for the answer may bring
 * new ones.
 */
static void conclude_orders(struct migration_export *export)
{
	struct partition_order *order;

	while (export->is_access_set && (order = partition_orders_poll(&export->orders))) {
		struct partition_order done = *order;

		partition_orders_remove(&export->orders);
		conclude(export, &done);
	}
}

enum migration_pace migration_export_poll(struct migration_export *export)
{
	if (!export->is_access_set)
		set_access(export, export->access);
	conclude_orders(export);
	if (export->scan_size > 0)
		do_scan(export);
	if (export->drain_size > 0)
		do_drain(export);
	if (export->is_told)
		tell_deltas(export);
	return pace(export);
}
