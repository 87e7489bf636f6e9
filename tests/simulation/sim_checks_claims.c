/* SPDX-License-Identifier: BSD-3-Clause */
/* Claims without the source's word: what they may cost at the known limits of docs/migration.md, and that they cost nothing else. */
#include "tests/simulation/sim_state.h"

#include <inttypes.h>

#include "controlplane/migration_jobs.h"

enum { LIMIT_FENCE, LIMIT_ANNOUNCE };

static bool is_pending(const struct sim *sim, const struct sim_claim *claim)
{
	const struct server *server = &sim->servers[claim->node];

	return claim->is_pending && server->node && server->life == claim->life;
}

bool sim_is_claimed(struct sim *sim, uint32_t partition)
{
	struct sim_claim *claim = &sim->claims[partition];

	claim->is_alone |= is_pending(sim, claim);
	return is_pending(sim, claim);
}

/* ---- fences ---- */

/* What is acknowledged while writes are held back was written before, and is in the target's copy: the last such moment counts. */
static void note_fence(struct sim *sim, const struct migration_source *source)
{
	struct sim_claim *claim = &sim->claims[source->job.partition];
	bool is_same = claim->fence.job == source->job.job &&
		       claim->fence.attempt == source->job.attempt &&
		       claim->fence.number == source->fence;

	if (!sync_fence_is_up(source->fence) ||
	    (migration_source_state(source) != SOURCE_FENCED &&
	     migration_source_state(source) != SOURCE_FENCING_READS) ||
	    (is_pending(sim, claim) && !is_same))
		return;
	claim->fence.job = source->job.job;
	claim->fence.attempt = source->job.attempt;
	claim->fence.number = source->fence;
	claim->fence.seen_us = sim->now_us;
	sim_history_mark(&sim->history, source->job.partition, SIM_AT_FENCE);
}

/* Whether the fence behind the READY that the claim relies on was the last one. */
static bool is_fence_known(const struct sim_claim *claim, const struct migration_target *target)
{
	return sync_fence_is_up(target->final.fence) && claim->fence.job == target->job.job &&
	       claim->fence.attempt == target->job.attempt &&
	       claim->fence.number == target->final.fence;
}

/* ---- the source, meanwhile ---- */

static uint32_t index_of(const struct sim *sim, uint64_t id)
{
	uint32_t index = 0;

	while (index < sim->node_count && sim_node_id(index) != id)
		index++;
	return index;
}

/* The source in the life that the job is of; NULL when that is over. */
static const struct server *source_of(const struct sim *sim, const struct migration_target *target)
{
	uint32_t index = index_of(sim, target->job.source);
	const struct server *server = index < sim->node_count ? &sim->servers[index] : NULL;

	return server && server->node &&
			       gossip_self(server->node->gossip)->generation ==
				       target->job.source_generation
		       ? server
		       : NULL;
}

static bool is_open(const struct sim *sim, const struct server *server)
{
	return sim_node_is_open(server->node) && server->paused_us <= sim->now_us;
}

/* Whether the source, cut off by now, took back the fence behind the READY that the claim relies on. */
static bool has_written_on(const struct sim *sim, const struct migration_target *target)
{
	const struct server *server = source_of(sim, target);
	const struct migration_source *source;

	if (!server || is_open(sim, server))
		return false;
	source =
		migration_jobs_source(migrator_jobs(server->node->migrator), target->job.partition);
	return !source || source->job.job != target->job.job ||
	       source->fence != target->final.fence;
}

/* Whether the source serves again, as if nothing had been claimed. */
static bool is_back(const struct sim *sim, const struct migration_target *target)
{
	const struct server *server = source_of(sim, target);

	return server && is_open(sim, server) &&
	       sim_node_serves(server->node, target->job.partition) &&
	       !sim_node_is_fenced(server->node, target->job.partition);
}

/* Whether the source, thought dead, has neither stopped serving nor stood still since that fence. */
static bool has_never_stopped(const struct sim *sim, const struct sim_claim *claim,
			      const struct migration_target *target)
{
	const struct server *server = source_of(sim, target);

	return target->peer == MIGRATION_PEER_SUSPECTED_DEAD && server && is_open(sim, server) &&
	       server->closed_us < claim->fence.seen_us &&
	       server->paused_us < claim->fence.seen_us &&
	       sim_node_serves(server->node, target->job.partition);
}

/* Whether maps that make a majority have the claim, or something later. */
static bool is_majority_told(const struct sim *sim, uint32_t partition, uint32_t epoch)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		count += node && partition_map_epoch(gossip_map(node->gossip), partition) >= epoch;
	}
	return 2 * count > sim_member_count(sim);
}

/* ---- claims ---- */

static void note_claim(struct sim *sim, uint32_t index, const struct migration_target *target)
{
	struct sim_claim *claim = &sim->claims[target->job.partition];
	bool is_known = is_fence_known(claim, target);

	claim->job = target->job.job;
	claim->epoch = target->epoch_taken;
	claim->node = index;
	claim->life = sim_server_of(sim, index)->life;
	claim->is_pending = true;
	claim->is_known = !is_known;
	claim->is_limit = is_known && has_written_on(sim, target);
	claim->is_back = false;
	claim->is_alone = false;
	claim->kept = 0;
	sim_history_mark(&sim->history, target->job.partition, SIM_AT_CLAIM);
	/* It may have lost sight of one since it decided, in the same turn. */
	if (!target->sees_majority && !sim_server_of(sim, index)->saw_majority)
		sim_history_violate(&sim->history, 1,
				    "node %u claims partition %u without a majority in sight",
				    index, target->job.partition);
	if (is_known && has_never_stopped(sim, claim, target))
		sim_history_violate(
			&sim->history, 1,
			"node %u claims partition %u, which its source has served all the time",
			index, target->job.partition);
	sim_tell(sim, "node %u claims partition %u%s", index, target->job.partition,
		 claim->is_limit ? ", whose source wrote on while it was being cut off" : "");
}

static void check_claim(struct sim *sim, uint32_t index, const struct migration_target *target)
{
	struct sim_claim *claim = &sim->claims[target->job.partition];

	if (migration_target_state(target) != TARGET_FINALIZING || !target->is_claim ||
	    target->is_forced || target->epoch_taken <= sim->epochs[target->job.partition])
		return;
	if (!is_pending(sim, claim) || claim->job != target->job.job)
		note_claim(sim, index, target);
	if (claim->is_known)
		return;
	claim->is_back |= is_back(sim, target);
	claim->is_known = is_majority_told(sim, target->job.partition, claim->epoch);
}

void sim_check_claims(struct sim *sim, uint32_t index)
{
	const struct migration_jobs *jobs =
		migrator_jobs(sim_server_of(sim, index)->node->migrator);
	bool saw_majority = sim_server_of(sim, index)->saw_majority;

	for (uint32_t p = 0; p < sim->partition_count; p++) {
		const struct migration_source *source = migration_jobs_source(jobs, p);
		const struct migration_target *target = migration_jobs_target(jobs, p);

		if (source)
			note_fence(sim, source);
		if (!target)
			continue;
		check_claim(sim, index, target);
		saw_majority = target->sees_majority;
	}
	sim_server_of(sim, index)->saw_majority = saw_majority;
}

static void count_limit(struct sim *sim, uint32_t limit, uint32_t partition, uint64_t writes)
{
	sim->result->counts.limits[limit]++;
	sim->result->counts.limit_writes[limit] += writes;
	sim_tell(sim, "known limit %u: partition %u, %" PRIu64 " acknowledged writes may be lost",
		 limit + 1, partition, writes);
}

void sim_check_claimed(struct sim *sim, uint32_t node, uint32_t partition, uint32_t epoch)
{
	struct sim_claim *claim = &sim->claims[partition];
	struct sim_loss loss;

	if (!is_pending(sim, claim) || epoch < claim->epoch)
		return;
	claim->is_pending = false;
	if (claim->node != node || epoch != claim->epoch) {
		if (claim->is_alone)
			sim_history_forget(&sim->history, partition);
		return;
	}
	if (!claim->is_limit && !claim->is_back)
		return;
	loss = sim_history_fall_back(&sim->history, partition, claim->is_back);
	claim->kept = loss.kept;
	if (claim->is_limit)
		count_limit(sim, LIMIT_FENCE, partition, loss.until_claim);
	if (claim->is_back)
		count_limit(sim, LIMIT_ANNOUNCE, partition, loss.since_claim);
}
