/* SPDX-License-Identifier: BSD-3-Clause */
/* A migration's source copies: batches of the scan, blocks of deltas, each until it is acknowledged. */
#include "controlplane/migration_source_parts.h"

#include <string.h>

static bool may_scan(const struct migration_source *source)
{
	return source->machine.state == SOURCE_COPYING && !source->is_scanned &&
	       !source->is_scanning && source_batches_under_way(source) < source->options->window;
}

static void drive_scan(struct migration_source *source, struct migration_source_actions *actions)
{
	struct migration_source_action *action;

	if (!may_scan(source) || !token_bucket_is_open(&source->bytes, source->now_ms) ||
	    !token_bucket_is_open(&source->cpu, source->now_ms))
		return;
	source->is_scanning = true;
	action = source_ask(source, actions, SOURCE_DO_SCAN);
	action->batch = source->batch_made + 1;
	action->size = source->options->batch_size;
}

static void drive_deltas(struct migration_source *source, struct migration_source_actions *actions)
{
	if (!source_is_copying(source) || source->is_draining ||
	    source->delta_made == source->delta_available ||
	    source->block_count == source->options->window)
		return;
	source->is_draining = true;
	source_ask(source, actions, SOURCE_DO_DRAIN)->size = source->options->batch_size;
}

void source_drive_copy(struct migration_source *source, struct migration_source_actions *actions)
{
	drive_scan(source, actions);
	drive_deltas(source, actions);
}

void source_on_scanned(struct migration_source *source, struct migration_source_actions *actions,
		       const struct migration_source_event *event)
{
	source->is_scanning = false;
	source->is_scanned = event->is_done;
	token_bucket_spend(&source->cpu, event->cpu_us);
	if (event->items == 0 || source->machine.state != SOURCE_COPYING)
		return;
	if (source_batches_under_way(source) == 0)
		source_retry_restart(source, &source->batch_retry);
	token_bucket_spend(&source->bytes, event->bytes);
	source->progress.items += event->items;
	source->progress.bytes += event->bytes;
	source->batch_made++;
	source_act(actions, SOURCE_DO_SEND_BATCH)->batch = source->batch_made;
}

static void send_block(struct migration_source_actions *actions,
		       const struct migration_block *block)
{
	struct migration_source_action *action = source_act(actions, SOURCE_DO_SEND_DELTAS);

	action->first = block->first;
	action->last = block->last;
}

void source_on_drained(struct migration_source *source, struct migration_source_actions *actions,
		       const struct migration_source_event *event)
{
	struct migration_block *block;

	source->is_draining = false;
	if (event->last < event->first || !source_is_copying(source))
		return;
	assert(event->first == source->delta_made + 1);
	if (source->block_count == 0)
		source_retry_restart(source, &source->delta_retry);
	/* What must be sent whatever the limit does not take from the scan's share, which would never end. */
	source->progress.deltas += event->last - event->first + 1;
	source->progress.bytes += event->bytes;
	block = &source->blocks[source->block_count++];
	block->first = event->first;
	block->last = event->last;
	source->delta_made = event->last;
	if (source->delta_available < event->last)
		source->delta_available = event->last;
	send_block(actions, block);
}

void source_on_deltas(struct migration_source *source, uint64_t last)
{
	if (source_is_copying(source) && last > source->delta_available)
		source->delta_available = last;
}

void source_on_ack(struct migration_source *source, struct migration_source_actions *actions,
		   const struct sync_message *message)
{
	uint32_t done = 0;

	if (message->batch > source->batch_made || message->delta > source->delta_made) {
		source->progress.refused++;
		return;
	}
	if (message->batch > source->batch_acked) {
		source->batch_acked = message->batch;
		source_act(actions, SOURCE_DO_RELEASE_BATCHES)->batch = message->batch;
		source_retry_restart(source, &source->batch_retry);
	}
	while (done < source->block_count && source->blocks[done].last <= message->delta)
		done++;
	if (done == 0)
		return;
	source->delta_acked = source->blocks[done - 1].last;
	source->block_count -= done;
	memmove(source->blocks, source->blocks + done,
		source->block_count * sizeof(source->blocks[0]));
	source_act(actions, SOURCE_DO_RELEASE_DELTAS)->last = source->delta_acked;
	source_retry_restart(source, &source->delta_retry);
}

static bool resends_batches(const struct migration_source *source)
{
	return source_is_copying(source) && source_batches_under_way(source) > 0;
}

static bool resends_deltas(const struct migration_source *source)
{
	return source_is_copying(source) && source->block_count > 0;
}

static void resend_batches(struct migration_source *source,
			   struct migration_source_actions *actions)
{
	for (uint64_t batch = source->batch_acked + 1; batch <= source->batch_made; batch++)
		source_act(actions, SOURCE_DO_SEND_BATCH)->batch = batch;
	source->progress.resent += source_batches_under_way(source);
	source_retry_back_off(source, &source->batch_retry);
}

static void resend_deltas(struct migration_source *source, struct migration_source_actions *actions)
{
	for (uint32_t i = 0; i < source->block_count; i++)
		send_block(actions, &source->blocks[i]);
	source->progress.resent += source->block_count;
	source_retry_back_off(source, &source->delta_retry);
}

void source_resend_copy(struct migration_source *source, struct migration_source_actions *actions)
{
	if (resends_batches(source) && source->now_ms >= source->batch_retry.at_ms)
		resend_batches(source, actions);
	if (resends_deltas(source) && source->now_ms >= source->delta_retry.at_ms)
		resend_deltas(source, actions);
}

static uint64_t scan_at_ms(const struct migration_source *source)
{
	uint64_t bytes_ms = token_bucket_open_at_ms(&source->bytes);
	uint64_t cpu_ms = token_bucket_open_at_ms(&source->cpu);

	if (!may_scan(source))
		return SOURCE_NEVER;
	return bytes_ms > cpu_ms ? bytes_ms : cpu_ms;
}

uint64_t source_copy_at_ms(const struct migration_source *source)
{
	uint64_t at_ms = scan_at_ms(source);

	if (resends_batches(source))
		at_ms = source_earlier(at_ms, source->batch_retry.at_ms);
	if (resends_deltas(source))
		at_ms = source_earlier(at_ms, source->delta_retry.at_ms);
	return at_ms;
}
