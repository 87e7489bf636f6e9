/* SPDX-License-Identifier: BSD-3-Clause */
/* What a source machine asks for, done. */
#include <assert.h>
#include <inttypes.h>

#include "controlplane/migrator_state.h"
#include "storage/partition.h"

/* ---- answers ---- */

static void push_source(const struct migrator_task *task,
			const struct migration_source_event *answer)
{
	const struct migrator_event event = {
		.event = { .kind = JOBS_ON_SOURCE, .partition = task->partition },
		.job = task->job,
		.attempt = task->attempt,
		.source = *answer,
	};

	migrator_push(task->migrator, &event);
}

static void answer_export(void *context, const struct migration_source_event *answer)
{
	const struct migrator_task *task = context;

	if (answer->kind == SOURCE_ON_SCANNED)
		task->migrator->counters.items_sent += answer->items;
	push_source(task, answer);
}

/* ---- the beginning ---- */

/* The task of an attempt, with all the memory that it needs; NULL when there is none. */
static struct migrator_task *start_export(struct migrator *migrator,
					  const struct migration_job *job)
{
	const struct migrator_options *options = &migrator->options;
	struct migrator_task *task = migrator_add_task(migrator, TASK_SOURCE, job->partition);
	const struct migration_export_options export_options = {
		.dataplane = options->dataplane,
		.reader = options->reader,
		.world = options->world,
		.job = job->job,
		.attempt = job->attempt,
		.partition = job->partition,
		.ring_size = options->ring_size,
		.batch_size = options->migration.batch_size,
		.window = options->migration.window,
		.answer = answer_export,
		.context = task,
	};

	if (!task)
		return NULL;
	task->job = job->job;
	task->attempt = job->attempt;
	if (migration_export_create(&task->export, &export_options) == 0)
		return task;
	migrator_end_task(task);
	return NULL;
}

static void check_capacity(struct migrator *migrator, uint32_t partition)
{
	const struct migration_job *job = &migration_jobs_source(migrator->jobs, partition)->job;
	/* What an earlier attempt left may still be on its way out. */
	bool is_free = !migrator_has_task(migrator, partition);
	struct migrator_event event = { .event = { .kind = JOBS_ON_SOURCE, .partition = partition },
					.job = job->job,
					.attempt = job->attempt,
					.source = { .kind = SOURCE_ON_CAPACITY } };
	struct partition_stats stats;

	event.source.is_ok = is_free && start_export(migrator, job);
	if (event.source.is_ok) {
		partition_stats(dataplane_partition(migrator->options.dataplane, partition),
				&stats);
		event.source.items = stats.items;
		event.source.bytes = stats.item_bytes;
	}
	migrator_push(migrator, &event);
}

/* ---- reports ---- */

static void log_start(const struct migrator *migrator, const struct migration_source *source)
{
	char name[NODE_NAME_SIZE];

	log_info(migrator->options.log, "migration", "a partition is being given away",
		 "partition=%u to=%s job=%016" PRIx64 " attempt=%u items=%" PRIu64
		 " bytes=%" PRIu64,
		 source->job.partition, migrator_name(migrator, source->job.target, name),
		 source->job.job, source->job.attempt, source->progress.items_expected,
		 source->progress.bytes_expected);
}

static void log_end(const struct migrator *migrator, const struct migration_source *source,
		    uint64_t took_ms)
{
	static const char *const messages[] = {
		[SOURCE_UNDECIDED] = "a partition stays here",
		[SOURCE_MIGRATED] = "a partition was given away",
		[SOURCE_ABORTED] = "a partition stays here",
		[SOURCE_RECLAIMED] = "a partition was taken back: its new owner had lost it",
		[SOURCE_SUPERSEDED] = "another node took a partition of this one",
	};
	char name[NODE_NAME_SIZE];

	log_info(migrator->options.log, "migration", messages[source->outcome],
		 "partition=%u to=%s job=%016" PRIx64 " attempt=%u items=%" PRIu64
		 " deltas=%" PRIu64 " bytes=%" PRIu64 " ms=%" PRIu64 " fences=%u reason=\"%s\"",
		 source->job.partition, migrator_name(migrator, source->job.target, name),
		 source->job.job, source->job.attempt, source->progress.items,
		 source->progress.deltas, source->progress.bytes, took_ms, source->fences,
		 migration_reason_text(source->reason));
}

static void end(struct migrator *migrator, const struct migration_source *source)
{
	struct migrator_task *task =
		migrator_find_task(migrator, TASK_SOURCE, source->job.partition);
	uint64_t now_ms = migrator_now(migrator);
	const struct migration_past past = {
		.partition = source->job.partition,
		.is_source = true,
		.job = source->job.job,
		.peer = source->job.target,
		.is_ok = source->outcome == SOURCE_MIGRATED,
		.reason = source->reason,
		.items = source->progress.items,
		.bytes = source->progress.bytes,
		.took_ms = now_ms - source->progress.started_at_ms,
		.ended_ms = now_ms,
	};

	if (!task)
		return;
	migrator_end_task(task);
	migrator->counters.out_done += past.is_ok;
	migrator->counters.out_failed += !past.is_ok;
	migrator_remember(migrator, &past);
	log_end(migrator, source, past.took_ms);
}

static void report(struct migrator *migrator, uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(migrator->jobs, partition);

	log_debug(migrator->options.log, "migration", "source", "partition=%u state=%s", partition,
		  migration_source_state_name(migration_source_state(source)));
	if (migration_source_state(source) == SOURCE_MARKING) {
		migrator->counters.out_started++;
		log_start(migrator, source);
	} else if (migration_source_state(source) == SOURCE_DONE) {
		end(migrator, source);
	}
}

/* ---- actions ---- */

static void send_batch(struct migrator *migrator, const struct migrator_task *task, uint64_t to,
		       uint64_t batch)
{
	size_t size;
	const uint8_t *frame = migration_export_batch(task->export, batch, &size);

	assert(frame);
	migrator_send(migrator, to, frame, size);
}

static void send_deltas(struct migrator *migrator, const struct migrator_task *task, uint64_t to,
			const struct migration_source_action *action)
{
	size_t size;
	const uint8_t *frame =
		migration_export_deltas(task->export, action->first, action->last, &size);

	assert(frame);
	migrator->counters.deltas_sent += action->last - action->first + 1;
	migrator_send(migrator, to, frame, size);
}

static void record_owner(const struct migrator *migrator, uint32_t partition,
			 const struct migration_source_action *action)
{
	const struct migrator_host *host = &migrator->options.host;
	const struct partition_owner owner = { .partition = partition,
					       .epoch = action->epoch,
					       .owner = action->owner };

	host->record_owner(host->context, &owner);
}

static void publish(const struct migrator *migrator)
{
	const struct migrator_host *host = &migrator->options.host;

	host->publish(host->context);
}

static void do_in_dataplane(struct migrator_task *task,
			    const struct migration_source_action *action)
{
	migration_export_do(task->export, action);
	task->pace = MIGRATION_HURRIES;
}

void migrator_do_source(struct migrator *migrator, uint32_t partition, uint64_t to,
			const struct migration_source_action *action)
{
	struct migrator_task *task = migrator_find_task(migrator, TASK_SOURCE, partition);

	switch (action->kind) {
	case SOURCE_DO_CHECK_CAPACITY:
		check_capacity(migrator, partition);
		return;
	case SOURCE_DO_SEND_BATCH:
		send_batch(migrator, task, to, action->batch);
		return;
	case SOURCE_DO_SEND_DELTAS:
		send_deltas(migrator, task, to, action);
		return;
	case SOURCE_DO_RECORD_OWNER:
		record_owner(migrator, partition, action);
		return;
	case SOURCE_DO_ANNOUNCE:
		migrator->options.host.announce(migrator->options.host.context, partition);
		return;
	case SOURCE_DO_PUBLISH_MAP:
		publish(migrator);
		return;
	case SOURCE_DO_SEND:
		migrator_send_message(migrator, to, &action->message);
		return;
	case SOURCE_DO_REPORT:
		report(migrator, partition);
		return;
	case SOURCE_DO_MARK:
		partition_set_add(&migrator->migrating, partition);
		migrator_tell_marks(migrator);
		break;
	case SOURCE_DO_UNMARK:
		partition_set_remove(&migrator->migrating, partition);
		migrator_tell_marks(migrator);
		break;
	case SOURCE_DO_DROP_SLICE:
		migrator_let_go(migrator, partition);
		break;
	default:
		break;
	}
	do_in_dataplane(task, action);
}
