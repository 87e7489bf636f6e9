/* SPDX-License-Identifier: BSD-3-Clause */
/* What must hold of migrations while they run: copies are true, fences come down, parked requests end. */
#include "tests/simulation/sim_state.h"

#include <string.h>

#include "controlplane/migration_jobs.h"

/* A fence stands for 'parking_ms_max'; then the source's next turn takes it down. */
#define FENCED_US_MAX 300000u
/* A worker looks at what it parked in each of its turns; one that stands still takes none. */
#define PARKED_LATE_MS 20u

/* Records in order, each once, none from elsewhere: a copy never differs from the original (invariant 2). The digest finds out
 * before anything is lost; here finding out is a violation.
 */
static void check_copy(struct sim *sim, uint32_t index, uint32_t partition)
{
	const struct migration_jobs *jobs =
		migrator_jobs(sim_server_of(sim, index)->node->migrator);
	const struct migration_source *source = migration_jobs_source(jobs, partition);
	const struct migration_target *target = migration_jobs_target(jobs, partition);

	if ((source && source->reason == MIGRATION_MISMATCH) ||
	    (target && target->reason == MIGRATION_MISMATCH))
		sim_history_violate(
			&sim->history, 2,
			"partition %u: the copy differs from the original, says node %u", partition,
			index);
}

/* Who gives a partition away does not hold requests back for long (invariant 4). */
static void check_fence(struct sim *sim, uint32_t index, uint32_t partition)
{
	struct server *server = sim_server_of(sim, index);
	uint8_t access = server->node->dataplane.dataplane.access[partition];
	bool is_source = migration_jobs_source(migrator_jobs(server->node->migrator), partition);

	if (!is_source || (access != PARTITION_WRITES_FENCED && access != PARTITION_ALL_FENCED))
		server->fenced_since_us[partition] = 0;
	else if (server->fenced_since_us[partition] == 0)
		server->fenced_since_us[partition] = sim->now_us;
	else if (sim->now_us - server->fenced_since_us[partition] > FENCED_US_MAX)
		sim_history_violate(&sim->history, 4, "node %u fences partition %u for ever", index,
				    partition);
}

/* Each parked request is answered or refused within its bound (invariant 4). */
static void check_parked(struct sim *sim, uint32_t index)
{
	const struct unit_node *node = &sim_server_of(sim, index)->node->dataplane.node;

	for (uint32_t i = 0; i < sim->worker_count; i++) {
		const struct core *core = node->cores[i];

		for (uint32_t j = 0; j < core->parking.count && !(node->stalled >> i & 1); j++) {
			if (core->now_ms - core->parking.requests[j].since_ms >
			    PARKED_MS_MAX + PARKED_LATE_MS)
				sim_history_violate(&sim->history, 4,
						    "worker %u of node %u parks a request for ever",
						    i, index);
		}
	}
}

static void check_jobs(struct sim *sim, uint32_t index)
{
	for (uint32_t p = 0; p < sim->partition_count; p++) {
		check_copy(sim, index, p);
		check_fence(sim, index, p);
	}
}

void sim_check_moves(struct sim *sim, uint32_t index)
{
	struct server *server = sim_server_of(sim, index);

	if (migrator_count(server->node->migrator) == 0)
		memset(server->fenced_since_us, 0, sizeof(server->fenced_since_us));
	else
		check_jobs(sim, index);
	check_parked(sim, index);
}
