/* SPDX-License-Identifier: BSD-3-Clause */
/* What a target machine asks for, done. */
#include <inttypes.h>

#include "controlplane/migrator_state.h"

/* ---- reports ---- */

static void log_start(const struct migrator *migrator, const struct migration_target *target)
{
	char name[NODE_NAME_SIZE];

	log_info(migrator->options.log, "migration", "a partition is being taken over",
		 "partition=%u from=%s job=%016" PRIx64 " attempt=%u items=%" PRIu64
		 " bytes=%" PRIu64,
		 target->job.partition, migrator_name(migrator, target->job.source, name),
		 target->job.job, target->job.attempt, target->progress.items_expected,
		 target->progress.bytes_expected);
}

static void log_served(const struct migrator *migrator, const struct migration_target *target)
{
	char name[NODE_NAME_SIZE];

	log_info(migrator->options.log, "migration",
		 target->outcome == TARGET_CLAIMED
			 ? "a partition was taken over without its owner's word"
			 : "a partition was taken over",
		 "partition=%u from=%s job=%016" PRIx64 " epoch=%u items=%" PRIu64
		 " records=%" PRIu64 " bytes=%" PRIu64 " ms=%" PRIu64,
		 target->job.partition, migrator_name(migrator, target->job.source, name),
		 target->job.job, target->epoch_taken, target->items, target->progress.records,
		 target->progress.bytes, migrator_now(migrator) - target->progress.started_at_ms);
}

static void log_failed(const struct migrator *migrator, const struct migration_target *target)
{
	char name[NODE_NAME_SIZE];

	/* What the operator wanted is no reason to look. */
	log_write(migrator->options.log,
		  target->reason == MIGRATION_CANCELLED ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		  "migration", "a partition could not be taken over",
		  " partition=%u from=%s job=%016" PRIx64 " attempts=%u ms=%" PRIu64
		  " reason=\"%s\"",
		  target->job.partition, migrator_name(migrator, target->job.source, name),
		  target->job.job, target->job.attempt,
		  migrator_now(migrator) - target->progress.started_at_ms,
		  migration_reason_text(target->reason));
}

/* An attempt is over, and another one will follow. */
static void log_waits(const struct migrator *migrator, const struct migration_target *target)
{
	log_info(migrator->options.log, "migration", "another attempt follows",
		 "partition=%u job=%016" PRIx64 " attempt=%u reason=\"%s\"", target->job.partition,
		 target->job.job, target->job.attempt, migration_reason_text(target->reason));
}

static void end(struct migrator *migrator, const struct migration_target *target)
{
	struct migrator_task *task =
		migrator_find_task(migrator, TASK_TARGET, target->job.partition);
	uint64_t now_ms = migrator_now(migrator);
	const struct migration_past past = {
		.partition = target->job.partition,
		.job = target->job.job,
		.peer = target->job.source,
		.is_ok = target->outcome != TARGET_FAILED,
		.reason = target->reason,
		.items = target->items,
		.bytes = target->progress.bytes,
		.took_ms = now_ms - target->progress.started_at_ms,
		.ended_ms = now_ms,
	};

	/* Two moves of one step are both reported after the second. */
	if (!task)
		return;
	migrator_end_task(task);
	migrator->counters.in_done += past.is_ok;
	migrator->counters.in_failed += !past.is_ok;
	migrator_remember(migrator, &past);
	if (!past.is_ok)
		log_failed(migrator, target);
}

static void report(struct migrator *migrator, uint32_t partition)
{
	const struct migration_target *target = migration_jobs_target(migrator->jobs, partition);

	log_debug(migrator->options.log, "migration", "target", "partition=%u state=%s", partition,
		  migration_target_state_name(migration_target_state(target)));
	switch (migration_target_state(target)) {
	case TARGET_RECEIVING:
		log_start(migrator, target);
		break;
	case TARGET_CONFIRMING:
		log_served(migrator, target);
		break;
	case TARGET_WAITING:
		log_waits(migrator, target);
		break;
	case TARGET_DONE:
		end(migrator, target);
		break;
	default:
		break;
	}
}

/* ---- actions ---- */

static void record_owner(const struct migrator *migrator, uint32_t partition,
			 const struct migration_target_action *action)
{
	const struct migrator_host *host = &migrator->options.host;
	const struct partition_owner owner = { .partition = partition,
					       .epoch = action->epoch,
					       .owner = action->owner };

	host->record_owner(host->context, &owner);
	/* It is another's, so nothing is to be made ready first, and no other action shows it to the workers: gossip that tells the
	 * same is no news any more.
	 */
	if (owner.owner != migrator->options.self)
		host->publish(host->context);
}

/* From the word of the owner until this node serves, requests that know of it already wait. */
static void fence(const struct migrator *migrator, uint32_t partition, enum partition_access access)
{
	migrator_set_access(migrator_find_task(migrator, TASK_TARGET, partition), access);
}

/* What is published and this node's is served from here on. */
static void publish(const struct migrator *migrator, uint32_t partition)
{
	const struct migrator_host *host = &migrator->options.host;

	if (partition_map_owner(migrator->options.map, partition) == migrator->options.self)
		host->hold(host->context, partition, true);
	host->publish(host->context);
	fence(migrator, partition, PARTITION_BY_ROUTE);
}

static void do_in_dataplane(struct migrator *migrator, uint32_t partition,
			    const struct migration_target_action *action)
{
	struct migrator_task *task = migrator_find_task(migrator, TASK_TARGET, partition);

	migration_import_do(task->import, action);
	task->pace = MIGRATION_HURRIES;
}

void migrator_do_target(struct migrator *migrator, uint32_t partition, uint64_t to,
			const struct migration_target_action *action)
{
	const struct migrator_host *host = &migrator->options.host;

	switch (action->kind) {
	case TARGET_DO_MARK:
		partition_set_add(&migrator->importing, partition);
		migrator_tell_marks(migrator);
		break;
	case TARGET_DO_UNMARK:
		partition_set_remove(&migrator->importing, partition);
		migrator_tell_marks(migrator);
		break;
	case TARGET_DO_APPLY:
		migrator->counters.records_received += action->batch->count;
		do_in_dataplane(migrator, partition, action);
		break;
	case TARGET_DO_DISCARD_SLICE:
		migrator_let_go(migrator, partition);
		fence(migrator, partition, PARTITION_BY_ROUTE);
		do_in_dataplane(migrator, partition, action);
		break;
	case TARGET_DO_FINALIZE:
		fence(migrator, partition, PARTITION_ALL_FENCED);
		do_in_dataplane(migrator, partition, action);
		break;
	case TARGET_DO_STAGE:
		do_in_dataplane(migrator, partition, action);
		break;
	case TARGET_DO_RECORD_OWNER:
		record_owner(migrator, partition, action);
		break;
	case TARGET_DO_ANNOUNCE:
		/* That may take as long as there is no majority: nobody is made to wait for it. */
		fence(migrator, partition, PARTITION_BY_ROUTE);
		host->announce(host->context, partition);
		break;
	case TARGET_DO_PUBLISH_MAP:
		publish(migrator, partition);
		break;
	case TARGET_DO_SEND:
		migrator_send_message(migrator, to, &action->message);
		break;
	case TARGET_DO_REPORT:
		report(migrator, partition);
		break;
	}
}
