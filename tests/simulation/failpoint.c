/* SPDX-License-Identifier: BSD-3-Clause */
/* One cell of the matrix: the way to the phase, the fault, and what became of the partition. */
#include "tests/simulation/failpoint.h"

#include <inttypes.h>
#include <string.h>

#include "controlplane/partition_map.h"
#include "tests/simulation/failpoint_state.h"

/* Clients write before the partition moves, and are in a hurry until the fault has struck. */
#define LOAD_US 150000u
#define REACH_US_MAX 60000000u
#define HASTE_US 1000u
#define LEISURE_US 40000u

/* What has to happen first. */
enum preparation {
	BY_ITSELF,
	AFTER_SILENCE, /* an attempt fails, since nothing comes through */
	AFTER_A_CUT,   /* the source is cut off when the target is ready, so that it claims */
	AFTER_A_CLAIM, /* likewise, and the claim is in the target's map */
};

static const struct {
	const char *name;
	bool is_of_target;
	uint32_t state;
	enum preparation preparation;
} phases[FAILPOINT_PHASE_COUNT] = {
	[FAILPOINT_OPENING] = { "opening", true, TARGET_OPENING, BY_ITSELF },
	[FAILPOINT_PREPARING] = { "preparing", true, TARGET_PREPARING, BY_ITSELF },
	[FAILPOINT_MARKING] = { "marking", false, SOURCE_MARKING, BY_ITSELF },
	[FAILPOINT_COPYING] = { "copying", false, SOURCE_COPYING, BY_ITSELF },
	[FAILPOINT_RECEIVING] = { "receiving", true, TARGET_RECEIVING, BY_ITSELF },
	[FAILPOINT_VERIFYING] = { "verifying", false, SOURCE_VERIFYING, BY_ITSELF },
	[FAILPOINT_VERIFIED] = { "verified", true, TARGET_VERIFIED, BY_ITSELF },
	[FAILPOINT_FENCING] = { "fencing", false, SOURCE_FENCING, BY_ITSELF },
	[FAILPOINT_FENCED] = { "fenced", false, SOURCE_FENCED, BY_ITSELF },
	[FAILPOINT_READY] = { "ready", true, TARGET_READY, BY_ITSELF },
	[FAILPOINT_FENCING_READS] = { "fencing reads", false, SOURCE_FENCING_READS, BY_ITSELF },
	[FAILPOINT_COMMITTING] = { "committing", false, SOURCE_COMMITTING, BY_ITSELF },
	[FAILPOINT_FINALIZING] = { "finalizing", true, TARGET_FINALIZING, BY_ITSELF },
	[FAILPOINT_CONFIRMING] = { "confirming", true, TARGET_CONFIRMING, BY_ITSELF },
	[FAILPOINT_DROPPING] = { "dropping", false, SOURCE_DROPPING, BY_ITSELF },
	[FAILPOINT_UNMARKING] = { "unmarking", false, SOURCE_UNMARKING, BY_ITSELF },
	[FAILPOINT_DISCARDING] = { "discarding", true, TARGET_DISCARDING, AFTER_SILENCE },
	[FAILPOINT_WAITING] = { "waiting", true, TARGET_WAITING, AFTER_SILENCE },
	[FAILPOINT_CLAIMING] = { "claiming", true, TARGET_FINALIZING, AFTER_A_CUT },
	[FAILPOINT_ANNOUNCING] = { "announcing", true, TARGET_FINALIZING, AFTER_A_CLAIM },
};

const char *failpoint_phase_name(uint32_t phase)
{
	return phase < FAILPOINT_PHASE_COUNT ? phases[phase].name : NULL;
}

bool failpoint_phase_is_of_target(enum failpoint_phase phase)
{
	return phases[phase].is_of_target;
}

/* ---- the machines ---- */

static const struct migration_jobs *jobs_of(const struct failpoint *failpoint, uint32_t index)
{
	const struct sim_node *node = sim_server_of(failpoint->sim, index)->node;

	return node ? migrator_jobs(node->migrator) : NULL;
}

static const struct migration_source *source_of(const struct failpoint *failpoint)
{
	const struct migration_jobs *jobs = jobs_of(failpoint, FAILPOINT_SOURCE);
	const struct migration_source *source =
		jobs ? migration_jobs_source(jobs, FAILPOINT_PARTITION) : NULL;

	return source && source->job.job == failpoint->job ? source : NULL;
}

static const struct migration_target *target_of(const struct failpoint *failpoint)
{
	const struct migration_jobs *jobs = jobs_of(failpoint, FAILPOINT_TARGET);
	const struct migration_target *target =
		jobs ? migration_jobs_target(jobs, FAILPOINT_PARTITION) : NULL;

	return target && target->job.job == failpoint->job ? target : NULL;
}

/* ---- preparations ---- */

static bool needs_failure(const struct failpoint *failpoint)
{
	return phases[failpoint->phase].preparation == AFTER_SILENCE ||
	       failpoint->fault == FAILPOINT_REPLAY;
}

/* Once the copy is verified source and target hear nothing of each other, until the target gives the attempt up. */
static void fail_first_attempt(struct failpoint *failpoint)
{
	const struct migration_target *target = target_of(failpoint);
	struct sim *sim = failpoint->sim;

	if (!needs_failure(failpoint) || failpoint->is_mended || !target)
		return;
	if (!failpoint->is_cut && migration_target_state(target) == TARGET_VERIFIED) {
		failpoint->is_cut = true;
		sim_cut(sim, FAILPOINT_SOURCE, FAILPOINT_TARGET);
		sim_cut(sim, FAILPOINT_TARGET, FAILPOINT_SOURCE);
	} else if (failpoint->is_cut && migration_target_state(target) == TARGET_DISCARDING) {
		failpoint->is_mended = true;
		sim_mend(sim);
	}
}

static void cut_source_off(struct failpoint *failpoint)
{
	const struct migration_target *target = target_of(failpoint);

	if (phases[failpoint->phase].preparation < AFTER_A_CUT || failpoint->is_cut_off ||
	    !target || migration_target_state(target) != TARGET_READY)
		return;
	failpoint->is_cut_off = true;
	failpoint_isolate(failpoint, FAILPOINT_SOURCE);
}

static bool is_in_map(const struct failpoint *failpoint)
{
	const struct sim_node *node = sim_server_of(failpoint->sim, FAILPOINT_TARGET)->node;

	return node && partition_map_owner(gossip_map(node->gossip), FAILPOINT_PARTITION) ==
			       sim_node_id(FAILPOINT_TARGET);
}

/* The phase counts when all that has to happen first has happened. */
static bool is_time(const struct failpoint *failpoint)
{
	if (needs_failure(failpoint) && !failpoint->is_mended)
		return false;
	switch (phases[failpoint->phase].preparation) {
	case AFTER_A_CUT:
		return failpoint->is_claimed;
	case AFTER_A_CLAIM:
		return failpoint->is_claimed && is_in_map(failpoint);
	default:
		return true;
	}
}

static bool is_in_phase(const struct failpoint *failpoint)
{
	const struct migration_source *source = source_of(failpoint);
	const struct migration_target *target = target_of(failpoint);
	uint32_t state = phases[failpoint->phase].state;

	if (phases[failpoint->phase].is_of_target)
		return target && migration_target_state(target) == state;
	return source && migration_source_state(source) == state &&
	       source->job.attempt == failpoint->attempts;
}

/* ---- what is seen ---- */

static void watch_source(struct failpoint *failpoint)
{
	const struct migration_source *source = source_of(failpoint);

	if (!source || source->outcome == SOURCE_UNDECIDED)
		return;
	failpoint->outcome = source->outcome;
}

static void watch_target(struct failpoint *failpoint)
{
	const struct migration_target *target = target_of(failpoint);

	if (!target)
		return;
	failpoint->attempts = target->job.attempt;
	failpoint->is_claimed |= target->epoch_taken != 0 && target->is_claim;
	failpoint->is_limit = failpoint->sim->claims[FAILPOINT_PARTITION].is_limit;
}

static bool watch(void *context, struct sim *sim, const struct sim_event *event)
{
	struct failpoint *failpoint = context;

	failpoint->sim = sim;
	watch_source(failpoint);
	watch_target(failpoint);
	if (event->kind == EVENT_SYNC && !failpoint->is_cut && needs_failure(failpoint))
		failpoint_record(failpoint, event);
	fail_first_attempt(failpoint);
	cut_source_off(failpoint);
	if (failpoint->is_struck || failpoint->result->was_reached || !is_time(failpoint) ||
	    !is_in_phase(failpoint))
		return false;
	failpoint->result->was_reached = true;
	return true;
}

/* ---- the run ---- */

static void set_pace(struct sim *sim, uint32_t pause_us)
{
	for (uint32_t i = 0; i < sim->client_count; i++)
		sim->clients[i].options.pause_us = pause_us;
}

static void begin(struct failpoint *failpoint)
{
	struct sim_node *target = sim_server_of(failpoint->sim, FAILPOINT_TARGET)->node;
	char error[MIGRATOR_ERROR_SIZE];

	if (migrator_import(target->migrator, FAILPOINT_PARTITION, error) != 0) {
		sim_history_violate(&failpoint->sim->history, 7, "no import: %s", error);
		return;
	}
	failpoint->job = migration_jobs_target(migrator_jobs(target->migrator), FAILPOINT_PARTITION)
				 ->job.job;
	sim_turn_in(failpoint->sim, FAILPOINT_TARGET, 1);
}

static void run(void *context, struct sim *sim)
{
	struct failpoint *failpoint = context;

	failpoint->sim = sim;
	set_pace(sim, HASTE_US);
	sim_run_for(sim, LOAD_US, NULL);
	begin(failpoint);
	sim_run_for(sim, REACH_US_MAX, NULL);
	if (!failpoint->result->was_reached)
		return;
	sim_tell(sim, "%s %s",
		 phases[failpoint->phase].is_of_target ? "the target is" : "the source is",
		 phases[failpoint->phase].name);
	failpoint_strike(failpoint);
	set_pace(sim, LEISURE_US);
	failpoint_endure(failpoint);
}

/* ---- the end ---- */

/* What the node remembers of the migration; false: nothing, or that the partition changed its owner. */
static bool find_reason(const struct failpoint *failpoint, uint32_t index,
			enum migration_reason *reason)
{
	const struct sim_node *node = sim_server_of(failpoint->sim, index)->node;
	struct migration_past past[MIGRATOR_PAST_MAX];
	uint32_t count = migrator_past(node->migrator, past, MIGRATOR_PAST_MAX);

	for (uint32_t i = 0; i < count; i++) {
		if (past[i].job == failpoint->job && !past[i].is_ok) {
			*reason = past[i].reason;
			return true;
		}
	}
	return false;
}

/* Who wanted it knows best why nothing came of it. */
static char end_at_source(const struct failpoint *failpoint)
{
	enum migration_reason reason;

	if (!find_reason(failpoint, FAILPOINT_TARGET, &reason) &&
	    !find_reason(failpoint, FAILPOINT_SOURCE, &reason))
		return FAILPOINT_END_FORGOTTEN;
	switch (reason) {
	case MIGRATION_CANCELLED:
		return FAILPOINT_END_CANCELLED;
	case MIGRATION_PEER_DEAD:
		return FAILPOINT_END_DEAD;
	case MIGRATION_PEER_SILENT:
		return FAILPOINT_END_SILENT;
	case MIGRATION_UNKNOWN_JOB:
		return FAILPOINT_END_GIVEN_UP;
	default:
		return FAILPOINT_END_UNKNOWN;
	}
}

static char end_of(const struct failpoint *failpoint, uint64_t owner, uint32_t epoch)
{
	bool is_source = owner == sim_node_id(FAILPOINT_SOURCE);
	bool is_target = owner == sim_node_id(FAILPOINT_TARGET);

	if (owner == sim_node_id(FAILPOINT_THIRD))
		return FAILPOINT_END_RIVAL;
	if (is_target && epoch == 2 && failpoint->is_claimed)
		return failpoint->is_limit ? FAILPOINT_END_LIMIT : FAILPOINT_END_CLAIMED;
	if (is_target && epoch == 2)
		return failpoint->attempts == 1 ? FAILPOINT_END_DONE : FAILPOINT_END_RETRIED;
	if (is_source && epoch == 1)
		return end_at_source(failpoint);
	if (is_source && epoch == 3 && failpoint->outcome == SOURCE_RECLAIMED)
		return FAILPOINT_END_TAKEN_BACK;
	if (is_source && epoch == 3 && failpoint->fault == FAILPOINT_ROUND)
		return FAILPOINT_END_ROUND;
	if ((is_source && epoch == 2) || (is_target && epoch == 3))
		return FAILPOINT_END_RENEWED;
	return FAILPOINT_END_UNKNOWN;
}

static void end(void *context, struct sim *sim)
{
	static const char *const outcomes[] = { "undecided", "migrated", "aborted", "reclaimed",
						"superseded" };
	static const char *const names[] = { "the source", "the target", "the third" };
	struct failpoint *failpoint = context;
	struct failpoint_result *result = failpoint->result;
	const struct partition_map *map = gossip_map(sim_server_of(sim, 0)->node->gossip);
	uint64_t owner = partition_map_owner(map, FAILPOINT_PARTITION);
	uint32_t epoch = partition_map_epoch(map, FAILPOINT_PARTITION), index = 0;

	while (sim_node_id(index) != owner && index < FAILPOINT_THIRD)
		index++;
	result->end = end_of(failpoint, owner, epoch);
	result->kept = sim->claims[FAILPOINT_PARTITION].kept;
	snprintf(result->was, sizeof(result->was),
		 "%s owns it at epoch %u; the first migration: %s at the source, attempt %u",
		 names[index], epoch, outcomes[failpoint->outcome], failpoint->attempts);
	sim_tell(sim, "%s", result->was);
}

void failpoint_run(enum failpoint_phase phase, enum failpoint_fault fault, uint64_t seed,
		   FILE *story, struct failpoint_result *result)
{
	struct failpoint failpoint = { .phase = phase, .fault = fault, .result = result };
	const struct sim_script script = { &failpoint, run, watch, end };
	const struct sim_options options = {
		.seed = seed, .node_count = FAILPOINT_NODE_COUNT, .story = story, .script = &script
	};
	struct sim_result outcome;

	memset(result, 0, sizeof(*result));
	result->end = FAILPOINT_END_UNKNOWN;
	sim_run(&options, &outcome);
	result->violation = outcome.violation;
	failpoint_forget(&failpoint);
}

bool failpoint_is_ok(enum failpoint_phase phase, enum failpoint_fault fault,
		     const struct failpoint_result *result)
{
	return result->was_reached && result->violation.invariant == 0 &&
	       result->end != FAILPOINT_END_UNKNOWN &&
	       strchr(failpoint_expected(phase, fault), result->end);
}

void failpoint_explain(enum failpoint_phase phase, enum failpoint_fault fault, uint64_t seed,
		       const struct failpoint_result *result, FILE *stream)
{
	if (!result->was_reached)
		fprintf(stream, "phase %s was not reached", phases[phase].name);
	else if (result->violation.invariant != 0)
		fprintf(stream, "invariant %u after %.6f s: %s", result->violation.invariant,
			(double)result->violation.at_us / 1e6, result->violation.story);
	else
		fprintf(stream, "ended as '%c' instead of '%s' (%s)", result->end,
			failpoint_expected(phase, fault), result->was);
	fprintf(stream,
		"; build/failpoints --phase '%s' --fault '%s' --seed %" PRIu64 " --verbose\n",
		phases[phase].name, failpoint_fault_name(fault), seed);
}
