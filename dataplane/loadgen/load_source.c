/* SPDX-License-Identifier: BSD-3-Clause */
/* Phases as streams of operations. */
#include "dataplane/loadgen/load_source.h"

#include <errno.h>
#include <stdlib.h>

#include "dataplane/wire_partition.h"

#define FOLLOWUPS_MAX 65536u

int load_source_init(struct load_source *source, const struct load_settings *settings,
		     uint32_t worker)
{
	memset(source, 0, sizeof(*source));
	source->settings = settings;
	source->server_workers = 1;
	source->partition_count = 1;
	source->full_bin = 1;
	source->redo_max = settings->outstanding_max * settings->load_ops_per_datagram;
	source->redo = calloc(source->redo_max, sizeof(*source->redo));
	source->followups_max = FOLLOWUPS_MAX;
	source->followups = calloc(source->followups_max, sizeof(*source->followups));
	if (!source->redo || !source->followups)
		return -ENOMEM;
	return workload_cursor_init(&source->cursor, &settings->workload, worker,
				    settings->worker_count, settings->seed);
}

void load_source_fini(struct load_source *source)
{
	workload_cursor_fini(&source->cursor);
	free(source->bins);
	free(source->redo);
	free(source->followups);
	memset(source, 0, sizeof(*source));
}

int load_source_route(struct load_source *source, uint16_t server_workers, uint16_t partition_count)
{
	struct load_bin *bins = calloc(server_workers, sizeof(*bins));

	if (!bins)
		return -ENOMEM;
	free(source->bins);
	source->bins = bins;
	source->server_workers = server_workers;
	source->partition_count = partition_count;
	source->full_bin = server_workers;
	return 0;
}

/* Key spaces that exist beside the plain one: those an operation of the mix needs. */
static uint64_t keys_beside(const struct workload *workload, enum operation_kind kind)
{
	return workload_has(workload, kind) ? workload->counter_count : 0;
}

void load_source_begin(struct load_source *source, enum load_phase_kind phase)
{
	const struct workload *workload = &source->settings->workload;

	source->phase = phase;
	source->ops_per_datagram = phase == LOAD_RUN ? source->settings->ops_per_datagram
						     : source->settings->load_ops_per_datagram;
	source->redo_count = 0;
	source->followups_tail = source->followups_head;
	source->full_bin = source->server_workers;
	for (uint16_t i = 0; source->bins && i < source->server_workers; i++)
		source->bins[i].count = 0;
	source->next = source->cursor.worker;
	source->end = workload->key_count + keys_beside(workload, OPERATION_INCREMENT);
	if (phase == LOAD_PRELOAD)
		source->end += keys_beside(workload, OPERATION_APPEND);
}

/* Number 'at' of all keys: plain ones, then counters, then appended ones. */
static void set_key(const struct workload *workload, uint64_t at, struct operation *operation)
{
	uint64_t counters = keys_beside(workload, OPERATION_INCREMENT);

	operation->space = KEY_SPACE_PLAIN;
	operation->key = at;
	if (at >= workload->key_count + counters) {
		operation->space = KEY_SPACE_APPENDED;
		operation->key = at - workload->key_count - counters;
	} else if (at >= workload->key_count) {
		operation->space = KEY_SPACE_COUNTER;
		operation->key = at - workload->key_count;
	}
}

bool load_source_next(struct load_source *source, struct operation *operation)
{
	if (source->phase == LOAD_RUN) {
		workload_next(&source->cursor, operation);
		return true;
	}
	if (source->redo_count) {
		*operation = source->redo[--source->redo_count];
		return true;
	}
	if (source->next >= source->end || source->phase == LOAD_CONNECT)
		return false;
	set_key(&source->settings->workload, source->next, operation);
	source->next += source->settings->worker_count;
	operation->kind = source->phase == LOAD_PRELOAD ? OPERATION_SET : OPERATION_GET;
	operation->is_put_off = false;
	operation->number =
		source->phase == LOAD_PRELOAD ? workload_next_write(&source->cursor) : 0;
	return true;
}

uint16_t load_source_worker_of(const struct load_source *source, const struct operation *operation)
{
	uint8_t key[WIRE_KEY_SIZE_MAX];
	uint16_t key_size = source->settings->workload.format.key_size;

	if (source->server_workers == 1)
		return 0;
	operation_key_write(key, key_size, operation->space, operation->key);
	return (uint16_t)(wire_partition_of(key, key_size, source->partition_count) %
			  source->server_workers);
}

/* After the last operation: the next bin that holds any. */
static bool gather_rest(struct load_source *source, uint16_t *server_worker)
{
	for (uint16_t i = 0; i < source->server_workers; i++) {
		if (source->bins[i].count) {
			source->full_bin = i;
			*server_worker = i;
			return true;
		}
	}
	return false;
}

bool load_source_gather(struct load_source *source, uint16_t *server_worker)
{
	*server_worker = 0;
	if (source->server_workers == 1)
		return source->redo_count ||
		       (source->next < source->end && source->phase != LOAD_CONNECT);
	while (source->full_bin == source->server_workers) {
		struct operation operation;
		struct load_bin *bin;

		if (!load_source_next(source, &operation))
			return gather_rest(source, server_worker);
		bin = &source->bins[load_source_worker_of(source, &operation)];
		bin->operations[bin->count++] = operation;
		if (bin->count == source->ops_per_datagram)
			source->full_bin = (uint16_t)(bin - source->bins);
	}
	*server_worker = source->full_bin;
	return true;
}

void load_source_redo(struct load_source *source, const struct operation *operation)
{
	/* what is sent again was outstanding, and no more than redo_max can be */
	if (source->redo_count < source->redo_max)
		source->redo[source->redo_count++] = *operation;
}

bool load_source_follow(struct load_source *source, const struct operation *operation,
			uint64_t since)
{
	struct load_followup *followup =
		&source->followups[source->followups_head % source->followups_max];

	if (source->followups_head - source->followups_tail == source->followups_max)
		return false;
	followup->operation = *operation;
	followup->since = since;
	source->followups_head++;
	return true;
}

uint16_t load_source_followup_worker(const struct load_source *source)
{
	return load_source_worker_of(
		source,
		&source->followups[source->followups_tail % source->followups_max].operation);
}

uint32_t load_source_take_followups(struct load_source *source, struct operation *operations,
				    uint64_t *since)
{
	uint16_t server_worker = load_source_followup_worker(source);
	uint32_t count = 0;

	*since = source->followups[source->followups_tail % source->followups_max].since;
	while (count < source->ops_per_datagram && load_source_has_followup(source) &&
	       load_source_followup_worker(source) == server_worker)
		operations[count++] =
			source->followups[source->followups_tail++ % source->followups_max]
				.operation;
	return count;
}
