/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of the migrations, for people. */
#include <stdlib.h>
#include <string.h>

#include "controlplane/migrator_state.h"

static void view_source(const struct migrator *migrator, const struct migration_source *source,
			struct migration_view *view)
{
	const struct migration_source_progress *progress = &source->progress;

	view->is_source = true;
	view->job = source->job.job;
	view->attempt = source->job.attempt;
	view->peer = source->job.target;
	view->state = migration_source_state_name(migration_source_state(source));
	view->is_in_doubt = migration_source_is_in_doubt(source);
	view->reason = source->reason;
	view->items_expected = progress->items_expected;
	view->bytes_expected = progress->bytes_expected;
	view->items = progress->items;
	view->bytes = progress->bytes;
	view->deltas = progress->deltas;
	view->started_ms = migrator_now(migrator) - progress->started_at_ms;
}

static void view_target(const struct migrator *migrator, const struct migration_target *target,
			struct migration_view *view)
{
	const struct migration_target_progress *progress = &target->progress;

	view->job = target->job.job;
	view->attempt = target->job.attempt;
	view->peer = target->job.source;
	view->state = migration_target_state_name(migration_target_state(target));
	view->is_in_doubt = migration_target_state(target) == TARGET_READY &&
			    target->peer != MIGRATION_PEER_ALIVE;
	view->reason = target->reason;
	view->items_expected = progress->items_expected;
	view->bytes_expected = progress->bytes_expected;
	view->items = progress->records;
	view->bytes = progress->bytes;
	view->deltas = target->delta_applied;
	view->started_ms = migrator_now(migrator) - progress->started_at_ms;
}

/* False: no machine works on it any more. */
static bool view_task(const struct migrator_task *task, struct migration_view *view)
{
	const struct migrator *migrator = task->migrator;
	const struct migration_source *source =
		migration_jobs_source(migrator->jobs, task->partition);
	const struct migration_target *target =
		migration_jobs_target(migrator->jobs, task->partition);

	*view = (struct migration_view){ .partition = task->partition,
					 .bytes_per_s = task->bytes_per_s };
	if (task->kind == TASK_SOURCE && source)
		view_source(migrator, source, view);
	else if (task->kind == TASK_TARGET && target)
		view_target(migrator, target, view);
	else
		return false;
	return !task->is_over;
}

static int compare(const void *a, const void *b)
{
	const struct migration_view *left = a, *right = b;

	return (left->partition > right->partition) - (left->partition < right->partition);
}

uint32_t migrator_list(const struct migrator *migrator, struct migration_view *views,
		       uint32_t view_max)
{
	uint32_t count = 0;

	for (const struct migrator_task *task = migrator->tasks; task && count < view_max;
	     task = task->next)
		count += view_task(task, &views[count]);
	qsort(views, count, sizeof(*views), compare);
	return count;
}

uint32_t migrator_past(const struct migrator *migrator, struct migration_past *past,
		       uint32_t past_max)
{
	uint32_t count =
		migrator->past_count < MIGRATOR_PAST_MAX ? migrator->past_count : MIGRATOR_PAST_MAX;
	uint64_t now_ms = migrator_now(migrator);

	if (count > past_max)
		count = past_max;
	for (uint32_t i = 0; i < count; i++) {
		past[i] = migrator->past[(migrator->past_count - 1 - i) % MIGRATOR_PAST_MAX];
		past[i].ended_ms = now_ms - past[i].ended_ms;
	}
	return count;
}

uint32_t migrator_count(const struct migrator *migrator)
{
	return migration_jobs_count(migrator->jobs);
}

/* ---- counters ---- */

static const struct counter_row rows[] = {
	/* clang-format off */
	{ "migrations_out_started", offsetof(struct migrator_counters, out_started),
	  "Times this node began to give a partition away, attempts counted each." },
	{ "migrations_out_done", offsetof(struct migrator_counters, out_done),
	  "Partitions this node gave away." },
	{ "migrations_out_failed", offsetof(struct migrator_counters, out_failed),
	  "Attempts to give a partition away that failed." },
	{ "migrations_in_started", offsetof(struct migrator_counters, in_started),
	  "Times this node began to take a partition over." },
	{ "migrations_in_done", offsetof(struct migrator_counters, in_done),
	  "Partitions this node took over." },
	{ "migrations_in_failed", offsetof(struct migrator_counters, in_failed),
	  "Partitions this node could not take over." },
	{ "migration_bytes_sent", offsetof(struct migrator_counters, bytes_sent),
	  "Bytes of migrations sent to other nodes, before encryption." },
	{ "migration_bytes_received", offsetof(struct migrator_counters, bytes_received),
	  "Bytes of migrations received from other nodes, after decryption." },
	{ "migration_items_sent", offsetof(struct migrator_counters, items_sent),
	  "Items read by the scans of partitions on their way out." },
	{ "migration_deltas_sent", offsetof(struct migrator_counters, deltas_sent),
	  "Writes shipped behind a scan, those sent again included." },
	{ "migration_records_received", offsetof(struct migrator_counters, records_received),
	  "Items, writes and removals taken in." },
	{ "migration_malformed", offsetof(struct migrator_counters, malformed),
	  "Frames of migrations that do not decode, or are not of who sent them." },
	{ "migration_unknown", offsetof(struct migrator_counters, jobs.unknown),
	  "Messages of migrations that are over, or not known here." },
	{ "migration_refused_busy", offsetof(struct migrator_counters, jobs.refused_busy),
	  "Times another node was told to ask later." },
	{ "migration_refused_owner", offsetof(struct migrator_counters, jobs.refused_owner),
	  "Times another node asked for a partition that is not this one's." },
	{ "migration_lost", offsetof(struct migrator_counters, jobs.lost),
	  "Partitions given to an earlier life of this node, and given back." },
	{ "migration_forgotten", offsetof(struct migrator_counters, forgotten),
	  "Partitions dropped because another node had claimed them." },
	/* clang-format on */
};

const struct counter_table migrator_counter_table = { rows, sizeof(rows) / sizeof(rows[0]) };

void migrator_counters(const void *context, uint64_t *values)
{
	const struct migrator *migrator = context;
	struct migrator_counters counters = migrator->counters;

	counters.jobs = *migration_jobs_counters(migrator->jobs);
	counter_table_read(&migrator_counter_table, &counters, values);
}

const struct migration_jobs *migrator_jobs(const struct migrator *migrator)
{
	return migrator->jobs;
}
