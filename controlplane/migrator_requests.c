/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operator, or the plan, wants of the migrations: checked, begun or refused with a reason. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/migrator_state.h"
#include "controlplane/refusal.h"

/* ---- import ---- */

static int need_owner(const struct migrator *migrator, uint32_t partition, char *error)
{
	const struct partition_map *map = migrator->options.map;

	if (map->partition_count == 0)
		return refuse(error, -ENOENT, "this node is no member of a cluster");
	if (partition >= map->partition_count)
		return refuse(error, -ENOENT, "there are partitions 0 to %u",
			      map->partition_count - 1);
	if (partition_map_owner(map, partition) == 0)
		return refuse(error, -ENOENT, "nobody is known to own partition %u", partition);
	if (partition_map_owner(map, partition) == migrator->options.self)
		return refuse(error, -EALREADY, "partition %u is this node's already", partition);
	return 0;
}

static int need_living(const struct migrator *migrator, uint32_t partition,
		       struct migrator_peer *peer, char *error)
{
	const struct migrator_host *host = &migrator->options.host;
	uint64_t owner = partition_map_owner(migrator->options.map, partition);
	char name[NODE_NAME_SIZE];

	if (host->find_peer(host->context, owner, peer) && peer->state == MIGRATION_PEER_ALIVE)
		return 0;
	return refuse(error, -EHOSTDOWN,
		      "partition %u belongs to %s, which is not alive: bring it back, or give its "
		      "data up with godwitctl partition claim %u --accept-data-loss",
		      partition, migrator_name(migrator, owner, name), partition);
}

static int need_room(const struct migrator *migrator, uint32_t partition, char *error)
{
	if (migrator->is_stopping)
		return refuse(error, -EBUSY, "this node is stopping");
	if (migrator->is_in_turn)
		return refuse(error, -EBUSY, "the cluster is just changing: ask again");
	if (migrator_has_task(migrator, partition))
		return refuse(error, -EBUSY,
			      "partition %u is being migrated: wait, or end that with godwitctl "
			      "cancel %u",
			      partition, partition);
	return 0;
}

static int explain(const struct migrator *migrator, int result, uint32_t partition, char *error)
{
	if (result == -ENOSPC)
		return refuse(error, result,
			      "this node takes %u partitions over already: wait for one, or raise "
			      "migration.jobs",
			      migrator->options.target_max);
	return refuse(error, result, "cannot import partition %u: %s", partition,
		      strerror(-result));
}

/* The machine may have been named by now, or not yet: the task is known by its partition. */
static int begin_import(struct migrator *migrator, uint32_t partition, uint64_t generation,
			char *error)
{
	struct migrator_task *task = migrator_start_import(migrator, TASK_TARGET, partition);
	struct migration_jobs_actions actions;
	int result;

	if (!task)
		return refuse(error, -ENOMEM, "out of memory");
	result = migration_jobs_import(migrator->jobs, migrator_now(migrator), partition,
				       generation, &actions);
	if (result != 0) {
		migrator_end_task(task);
		return explain(migrator, result, partition, error);
	}
	task->job = migration_jobs_target(migrator->jobs, partition)->job.job;
	migrator->counters.in_started++;
	migrator_take_turn(migrator, &actions);
	return 0;
}

int migrator_import(struct migrator *migrator, uint32_t partition, char *error)
{
	struct migrator_peer peer;
	int result;

	/* What waits has its turn first, and what was done before is not in the way. */
	migrator_take_turn(migrator, NULL);
	if (!migrator->is_in_turn)
		migrator_reap(migrator);
	result = need_owner(migrator, partition, error);
	if (result == 0)
		result = need_living(migrator, partition, &peer, error);
	if (result == 0)
		result = need_room(migrator, partition, error);
	return result == 0 ? begin_import(migrator, partition, peer.generation, error) : result;
}

/* ---- cancel, claim ---- */

static void tell(struct migrator *migrator, enum migration_jobs_event_kind kind, uint32_t partition)
{
	const struct migrator_event event = { .event = { .kind = kind, .partition = partition } };

	migrator_push(migrator, &event);
	migrator_take_turn(migrator, NULL);
}

static const struct migration_source *open_source(const struct migrator *migrator,
						  uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(migrator->jobs, partition);

	return source && migration_source_state(source) != SOURCE_DONE ? source : NULL;
}

static const struct migration_target *open_target(const struct migrator *migrator,
						  uint32_t partition)
{
	const struct migration_target *target = migration_jobs_target(migrator->jobs, partition);

	return target && migration_target_state(target) != TARGET_DONE ? target : NULL;
}

static int refuse_none(uint32_t partition, char *error)
{
	return refuse(error, -ENOENT,
		      "no migration of partition %u is under way here; godwitctl migrations lists "
		      "those there are",
		      partition);
}

int migrator_cancel(struct migrator *migrator, uint32_t partition, char *error)
{
	const struct migration_source *source = open_source(migrator, partition);
	const struct migration_target *target = open_target(migrator, partition);

	if (!source && !target)
		return refuse_none(partition, error);
	if (source ? source->epoch_decided != 0 || source->outcome != SOURCE_UNDECIDED
		   : target->epoch_taken != 0)
		return refuse(error, -EALREADY,
			      "too late: partition %u has its new owner, or is being given up",
			      partition);
	tell(migrator, JOBS_ON_CANCEL, partition);
	return 0;
}

int migrator_claim(struct migrator *migrator, uint32_t partition, char *error)
{
	const struct migration_source *source = open_source(migrator, partition);
	const struct migration_target *target = open_target(migrator, partition);

	if (!source && !target)
		return refuse_none(partition, error);
	if (source ? !migration_source_can_be_claimed(source)
		   : !migration_target_can_be_claimed(target))
		return refuse(error, -EBUSY,
			      "the other end of partition %u's migration is thought alive, or "
			      "nothing is to be claimed from it: wait, or end it with godwitctl "
			      "cancel %u",
			      partition, partition);
	tell(migrator, JOBS_ON_CLAIM, partition);
	return 0;
}
