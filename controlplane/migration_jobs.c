/* SPDX-License-Identifier: BSD-3-Clause */
/* All migrations of one node: the machines in two tables, and what is said without one. */
#include "controlplane/migration_jobs_state.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int migration_jobs_create(struct migration_jobs **jobs,
			  const struct migration_jobs_options *options, uint64_t now_ms)
{
	struct migration_jobs *created;

	if (options->self == 0 || options->generation == 0 || options->source_max == 0 ||
	    options->source_max > MIGRATION_JOBS_MAX || options->target_max == 0 ||
	    options->target_max > MIGRATION_JOBS_MAX || !options->map || !options->held ||
	    !migration_options_are_valid(&options->migration))
		return -EINVAL;
	created = calloc(1, sizeof(*created));
	if (!created)
		return -ENOMEM;
	created->options = *options;
	created->now_ms = now_ms;
	prng_init(&created->prng, options->seed);
	/* A broadcast may step every machine, any other event one; and one reply. */
	created->action_max = options->source_max * MIGRATION_SOURCE_ACTION_MAX +
			      options->target_max * MIGRATION_TARGET_ACTION_MAX + 1;
	created->sources = calloc(options->source_max, sizeof(*created->sources));
	created->targets = calloc(options->target_max, sizeof(*created->targets));
	created->actions = calloc(created->action_max, sizeof(*created->actions));
	if (!created->sources || !created->targets || !created->actions) {
		migration_jobs_destroy(created);
		return -ENOMEM;
	}
	*jobs = created;
	return 0;
}

void migration_jobs_destroy(struct migration_jobs *jobs)
{
	if (!jobs)
		return;
	free(jobs->sources);
	free(jobs->targets);
	free(jobs->actions);
	free(jobs);
}

/* ---- the tables ---- */

static bool source_is_open(const struct source_job *job)
{
	return job->is_used && job->source.machine.state != SOURCE_DONE;
}

static bool target_is_open(const struct target_job *job)
{
	return job->is_used && job->target.machine.state != TARGET_DONE;
}

static struct source_job *find_source(const struct migration_jobs *jobs, uint32_t partition)
{
	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		struct source_job *job = &jobs->sources[i];

		if (job->is_used && job->source.job.partition == partition)
			return job;
	}
	return NULL;
}

static struct target_job *find_target(const struct migration_jobs *jobs, uint32_t partition)
{
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		struct target_job *job = &jobs->targets[i];

		if (job->is_used && job->target.job.partition == partition)
			return job;
	}
	return NULL;
}

const struct migration_source *migration_jobs_source(const struct migration_jobs *jobs,
						     uint32_t partition)
{
	const struct source_job *job = find_source(jobs, partition);

	return job ? &job->source : NULL;
}

const struct migration_target *migration_jobs_target(const struct migration_jobs *jobs,
						     uint32_t partition)
{
	const struct target_job *job = find_target(jobs, partition);

	return job ? &job->target : NULL;
}

static struct source_job *free_source(struct migration_jobs *jobs)
{
	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		if (!jobs->sources[i].is_used)
			return &jobs->sources[i];
	}
	return NULL;
}

static struct target_job *free_target(struct migration_jobs *jobs)
{
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		if (!jobs->targets[i].is_used)
			return &jobs->targets[i];
	}
	return NULL;
}

static void remember_ended(struct migration_jobs *jobs, const struct migration_job *job)
{
	struct ended_attempt *ended = &jobs->ended[jobs->ended_count++ % MIGRATION_JOBS_REMEMBERED];

	ended->job = job->job;
	ended->attempt = job->attempt;
}

/* Whether the attempt, or a later one of its job, has been here and is over. */
static bool has_ended(const struct migration_jobs *jobs, const struct sync_message *prepare)
{
	for (uint32_t i = 0; i < MIGRATION_JOBS_REMEMBERED; i++) {
		if (jobs->ended[i].job == prepare->job &&
		    jobs->ended[i].attempt >= prepare->attempt)
			return true;
	}
	return false;
}

static void forget_done(struct migration_jobs *jobs)
{
	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		struct source_job *job = &jobs->sources[i];

		if (job->is_used && !source_is_open(job)) {
			remember_ended(jobs, &job->source.job);
			job->is_used = false;
		}
	}
	for (uint32_t i = 0; i < jobs->options.target_max; i++)
		jobs->targets[i].is_used = target_is_open(&jobs->targets[i]);
}

static void begin_step(struct migration_jobs *jobs, uint64_t now_ms)
{
	assert(now_ms >= jobs->now_ms);
	jobs->now_ms = now_ms;
	jobs->action_count = 0;
	forget_done(jobs);
}

/* ---- steps of machines ---- */

static struct migration_jobs_action *act(struct migration_jobs *jobs,
					 enum migration_jobs_action_kind kind, uint32_t partition,
					 uint64_t to)
{
	struct migration_jobs_action *action;

	assert(jobs->action_count < jobs->action_max);
	action = &jobs->actions[jobs->action_count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	action->partition = partition;
	action->to = to;
	return action;
}

static void step_source(struct migration_jobs *jobs, struct source_job *job,
			const struct migration_source_event *event)
{
	const struct migration_job *id = &job->source.job;

	migration_source_step(&job->source, jobs->now_ms, event, &job->actions);
	for (uint32_t i = 0; i < job->actions.count; i++)
		act(jobs, JOBS_SOURCE, id->partition, id->target)->source = &job->actions.items[i];
}

static void step_target(struct migration_jobs *jobs, struct target_job *job,
			const struct migration_target_event *event)
{
	const struct migration_job *id = &job->target.job;

	migration_target_step(&job->target, jobs->now_ms, event, &job->actions);
	for (uint32_t i = 0; i < job->actions.count; i++)
		act(jobs, JOBS_TARGET, id->partition, id->source)->target = &job->actions.items[i];
}

/* ---- what is said without a machine ---- */

static struct sync_message *reply(struct migration_jobs *jobs, enum sync_message_kind kind,
				  const struct sync_message *to)
{
	struct sync_message *message = &act(jobs, JOBS_REPLY, to->partition, to->sender)->message;

	message->kind = kind;
	message->partition = to->partition;
	message->job = to->job;
	message->attempt = to->attempt;
	message->sender = jobs->options.self;
	message->generation = jobs->options.generation;
	return message;
}

static void reply_abort(struct migration_jobs *jobs, const struct sync_message *to,
			enum migration_reason reason)
{
	reply(jobs, SYNC_ABORT, to)->reason = reason;
}

static void reply_busy(struct migration_jobs *jobs, const struct sync_message *to,
		       enum migration_reason reason, uint64_t busy_job)
{
	struct sync_message *message = reply(jobs, SYNC_BUSY, to);

	message->reason = reason;
	message->busy_job = busy_job;
	jobs->counters.refused_busy++;
}

static const struct partition_owner *map_entry(const struct migration_jobs *jobs,
					       uint32_t partition)
{
	return &jobs->options.map->partitions[partition];
}

static void reply_not_owner(struct migration_jobs *jobs, const struct sync_message *to)
{
	const struct partition_owner *entry = map_entry(jobs, to->partition);
	struct sync_message *message = reply(jobs, SYNC_NOT_OWNER, to);

	message->owner = entry->owner;
	message->epoch = entry->epoch;
}

/* This node owns the partition and has nothing of it, so it decides who is the next: from now on it is the source, also if
 * the answer gets lost, and if the source's mark goes before its word comes.
 */
static void give_back(struct migration_jobs *jobs, const struct sync_message *commit)
{
	act(jobs, JOBS_GIVE_BACK, commit->partition, commit->sender)->epoch = commit->epoch + 1;
	reply_abort(jobs, commit, MIGRATION_LOST);
	jobs->counters.lost++;
}

/* A COMMIT that no machine waits for. The job is one of an earlier life, whose memory is gone, unless the
 * partition has moved on since: as long as this node may not know whether it has, it says nothing.
 */
static void answer_commit(struct migration_jobs *jobs, const struct sync_message *message)
{
	const struct partition_owner *entry = map_entry(jobs, message->partition);

	if (entry->epoch > message->epoch ||
	    (entry->epoch == message->epoch && entry->owner != jobs->options.self)) {
		reply_not_owner(jobs, message);
	} else if (!partition_set_has(jobs->options.held, message->partition) &&
		   jobs->sees_majority) {
		give_back(jobs, message);
	}
}

/* Then that is the better answer: the target may find that it is the owner itself. */
static bool knows_other_owner(const struct migration_jobs *jobs, uint32_t partition)
{
	const struct partition_owner *entry = map_entry(jobs, partition);

	return entry->epoch > 0 && entry->owner != jobs->options.self;
}

/* A message of a job that is not here (any more, or in this life). */
static void answer_unknown(struct migration_jobs *jobs, const struct sync_message *message)
{
	jobs->counters.unknown++;
	switch (message->kind) {
	case SYNC_COMMIT:
		answer_commit(jobs, message);
		break;
	case SYNC_COMMITTED:
		reply(jobs, SYNC_STATUS, message)->phase = SYNC_PHASE_SETTLED;
		break;
	case SYNC_ACK:
	case SYNC_READY:
	case SYNC_CANCEL:
		if (knows_other_owner(jobs, message->partition))
			reply_not_owner(jobs, message);
		else
			reply_abort(jobs, message, MIGRATION_UNKNOWN_JOB);
		break;
	case SYNC_ACCEPT:
	case SYNC_FINAL:
		reply_abort(jobs, message, MIGRATION_UNKNOWN_JOB);
		break;
	case SYNC_STATUS:
		if (message->is_question)
			reply_abort(jobs, message, MIGRATION_UNKNOWN_JOB);
		break;
	default:
		break;
	}
}

/* ---- PREPARE ---- */

static bool may_give(const struct migration_jobs *jobs, const struct sync_message *prepare)
{
	const struct partition_owner *entry = map_entry(jobs, prepare->partition);

	return entry->owner == jobs->options.self && entry->epoch == prepare->epoch &&
	       entry->epoch < PARTITION_EPOCH_MAX &&
	       partition_set_has(jobs->options.held, prepare->partition);
}

static void start_source(struct migration_jobs *jobs, struct source_job *job,
			 const struct sync_message *prepare)
{
	const struct migration_source_event start = { .kind = SOURCE_ON_START };
	const struct migration_job id = {
		.job = prepare->job,
		.attempt = prepare->attempt,
		.partition = prepare->partition,
		.epoch = prepare->epoch,
		.source = jobs->options.self,
		.source_generation = jobs->options.generation,
		.target = prepare->sender,
		.target_generation = prepare->generation,
	};

	job->is_used = true;
	migration_source_init(&job->source, &jobs->options.migration, &id, jobs->sees_majority,
			      jobs->now_ms);
	step_source(jobs, job, &start);
}

static void refuse_or_start(struct migration_jobs *jobs, const struct sync_message *prepare)
{
	const struct target_job *importing = find_target(jobs, prepare->partition);
	struct source_job *job = free_source(jobs);

	if (has_ended(jobs, prepare)) {
		/* Run again, its numbers would mean other batches than those that the target has. */
		reply_abort(jobs, prepare, MIGRATION_UNKNOWN_JOB);
	} else if (importing) {
		reply_busy(jobs, prepare, MIGRATION_BUSY, importing->target.job.job);
	} else if (!may_give(jobs, prepare) || prepare->sender == jobs->options.self) {
		reply_not_owner(jobs, prepare);
		jobs->counters.refused_owner++;
	} else if (!job) {
		reply_busy(jobs, prepare, MIGRATION_AT_CAPACITY, 0);
	} else {
		start_source(jobs, job, prepare);
	}
}

static void on_prepare(struct migration_jobs *jobs, const struct sync_message *prepare)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_MESSAGE,
						      .message = prepare };
	struct source_job *job = find_source(jobs, prepare->partition);

	if (!job) {
		refuse_or_start(jobs, prepare);
		return;
	}
	if (job->source.job.job == prepare->job)
		step_source(jobs, job, &event);
	if (job->source.job.job != prepare->job || job->source.job.attempt < prepare->attempt)
		reply_busy(jobs, prepare, MIGRATION_BUSY, job->source.job.job);
}

/* ---- events ---- */

/* Of an attempt that this node gave up or has forgotten, so that its source need not wait for silence. */
static bool is_of_old_attempt(const struct migration_target *target,
			      const struct sync_message *message)
{
	return message->sender == target->job.source && message->attempt < target->job.attempt;
}

static void on_message(struct migration_jobs *jobs, const struct sync_message *message)
{
	struct migration_source_event to_source = { .kind = SOURCE_ON_MESSAGE, .message = message };
	struct migration_target_event to_target = { .kind = TARGET_ON_MESSAGE, .message = message };
	struct source_job *source = find_source(jobs, message->partition);
	struct target_job *target = find_target(jobs, message->partition);

	if (message->partition >= jobs->options.map->partition_count)
		jobs->counters.unknown++;
	else if (message->kind == SYNC_PREPARE)
		on_prepare(jobs, message);
	else if (source && source->source.job.job == message->job)
		step_source(jobs, source, &to_source);
	else if (target && target->target.job.job == message->job &&
		 !is_of_old_attempt(&target->target, message))
		step_target(jobs, target, &to_target);
	else
		answer_unknown(jobs, message);
}

static void on_batch(struct migration_jobs *jobs, const struct sync_batch *batch, uint64_t sender)
{
	struct migration_target_event event = { .kind = TARGET_ON_BATCH, .batch = batch };
	struct target_job *target = find_target(jobs, batch->partition);
	struct sync_message from = { .partition = batch->partition,
				     .job = batch->job,
				     .attempt = batch->attempt,
				     .sender = sender };

	if (target && target->target.job.job == batch->job &&
	    !is_of_old_attempt(&target->target, &from)) {
		step_target(jobs, target, &event);
		return;
	}
	jobs->counters.unknown++;
	if (batch->partition < jobs->options.map->partition_count)
		reply_abort(jobs, &from, MIGRATION_UNKNOWN_JOB);
}

static void on_peer(struct migration_jobs *jobs, const struct migration_jobs_event *event)
{
	struct migration_source_event to_source = { .kind = SOURCE_ON_PEER, .peer = event->peer };
	struct migration_target_event to_target = { .kind = TARGET_ON_PEER, .peer = event->peer };

	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		struct source_job *job = &jobs->sources[i];

		if (!job->is_used || job->source.job.target != event->node ||
		    event->generation < job->source.job.target_generation)
			continue;
		to_source.peer = event->generation > job->source.job.target_generation
					 ? MIGRATION_PEER_GONE
					 : event->peer;
		step_source(jobs, job, &to_source);
	}
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		struct target_job *job = &jobs->targets[i];

		if (!job->is_used || job->target.job.source != event->node ||
		    event->generation < job->target.job.source_generation)
			continue;
		to_target.peer = event->generation > job->target.job.source_generation
					 ? MIGRATION_PEER_GONE
					 : event->peer;
		step_target(jobs, job, &to_target);
	}
}

/* An event of both kinds of machines, for those of 'node', or for all when 'node' is 0. */
static void step_all(struct migration_jobs *jobs, uint64_t node,
		     const struct migration_source_event *to_source,
		     const struct migration_target_event *to_target)
{
	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		struct source_job *job = &jobs->sources[i];

		if (job->is_used && (node == 0 || node == job->source.job.target))
			step_source(jobs, job, to_source);
	}
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		struct target_job *job = &jobs->targets[i];

		if (job->is_used && (node == 0 || node == job->target.job.source))
			step_target(jobs, job, to_target);
	}
}

/* Timers of those that are due. */
static void on_timer(struct migration_jobs *jobs)
{
	const struct migration_source_event to_source = { .kind = SOURCE_ON_TIMER };
	const struct migration_target_event to_target = { .kind = TARGET_ON_TIMER };

	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		struct source_job *job = &jobs->sources[i];

		if (job->is_used && jobs->now_ms >= migration_source_deadline_ms(&job->source))
			step_source(jobs, job, &to_source);
	}
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		struct target_job *job = &jobs->targets[i];

		if (job->is_used && jobs->now_ms >= migration_target_deadline_ms(&job->target))
			step_target(jobs, job, &to_target);
	}
}

/* An event for the partition's machine, whichever it is. */
static void step_partition(struct migration_jobs *jobs, uint32_t partition,
			   const struct migration_source_event *to_source,
			   const struct migration_target_event *to_target)
{
	struct source_job *source = find_source(jobs, partition);
	struct target_job *target = find_target(jobs, partition);

	if (source && to_source)
		step_source(jobs, source, to_source);
	if (target && to_target)
		step_target(jobs, target, to_target);
}

static void on_owner(struct migration_jobs *jobs, uint32_t partition)
{
	const struct partition_owner *entry = map_entry(jobs, partition);
	const struct migration_source_event to_source = { .kind = SOURCE_ON_OWNER,
							  .owner = entry->owner,
							  .epoch = entry->epoch };
	const struct migration_target_event to_target = { .kind = TARGET_ON_OWNER,
							  .owner = entry->owner,
							  .epoch = entry->epoch };

	step_partition(jobs, partition, &to_source, &to_target);
}

static void step(struct migration_jobs *jobs, const struct migration_jobs_event *event)
{
	struct migration_source_event to_source = { .is_ok = event->is_ok };
	struct migration_target_event to_target = { .is_ok = event->is_ok };

	switch (event->kind) {
	case JOBS_ON_TIMER:
		on_timer(jobs);
		break;
	case JOBS_ON_MESSAGE:
		on_message(jobs, event->message);
		break;
	case JOBS_ON_BATCH:
		on_batch(jobs, event->batch, event->sender);
		break;
	case JOBS_ON_SOURCE:
		step_partition(jobs, event->partition, event->source, NULL);
		break;
	case JOBS_ON_TARGET:
		step_partition(jobs, event->partition, NULL, event->target);
		break;
	case JOBS_ON_PEER:
		on_peer(jobs, event);
		break;
	case JOBS_ON_OWNER:
		on_owner(jobs, event->partition);
		break;
	case JOBS_ON_MAJORITY:
		jobs->sees_majority = event->is_ok;
		to_source.kind = SOURCE_ON_MAJORITY;
		to_target.kind = TARGET_ON_MAJORITY;
		step_all(jobs, 0, &to_source, &to_target);
		break;
	case JOBS_ON_CONNECTED:
		to_source.kind = SOURCE_ON_CONNECTED;
		to_target.kind = TARGET_ON_CONNECTED;
		step_all(jobs, event->node, &to_source, &to_target);
		break;
	case JOBS_ON_CANCEL:
		to_source.kind = SOURCE_ON_CANCEL;
		to_target.kind = TARGET_ON_CANCEL;
		step_partition(jobs, event->partition, &to_source, &to_target);
		break;
	case JOBS_ON_CLAIM:
		to_source.kind = SOURCE_ON_CLAIM;
		to_target.kind = TARGET_ON_CLAIM;
		step_partition(jobs, event->partition, &to_source, &to_target);
		break;
	}
}

static struct migration_jobs_actions actions_of(const struct migration_jobs *jobs)
{
	return (struct migration_jobs_actions){ .count = jobs->action_count,
						.items = jobs->actions };
}

struct migration_jobs_actions migration_jobs_step(struct migration_jobs *jobs, uint64_t now_ms,
						  const struct migration_jobs_event *event)
{
	begin_step(jobs, now_ms);
	step(jobs, event);
	return actions_of(jobs);
}

/* ---- imports ---- */

/* 0 when 'partition' may be imported. */
static int judge_import(const struct migration_jobs *jobs, uint32_t partition,
			uint64_t source_generation)
{
	const struct partition_owner *entry;

	if (partition >= jobs->options.map->partition_count)
		return -ENOENT;
	if (find_source(jobs, partition) || find_target(jobs, partition))
		return -EBUSY;
	entry = map_entry(jobs, partition);
	if (entry->epoch == 0)
		return -ENOENT;
	if (entry->owner == jobs->options.self)
		return -EALREADY;
	return source_generation == 0 ? -EINVAL : 0;
}

int migration_jobs_import(struct migration_jobs *jobs, uint64_t now_ms, uint32_t partition,
			  uint64_t source_generation, struct migration_jobs_actions *actions)
{
	const struct migration_target_event start = { .kind = TARGET_ON_START };
	struct migration_job id = { .attempt = 1,
				    .partition = partition,
				    .source_generation = source_generation,
				    .target = jobs->options.self,
				    .target_generation = jobs->options.generation };
	struct target_job *job;
	int result;

	begin_step(jobs, now_ms);
	result = judge_import(jobs, partition, source_generation);
	if (result != 0)
		return result;
	job = free_target(jobs);
	if (!job)
		return -ENOSPC;
	do {
		id.job = prng_next(&jobs->prng);
	} while (id.job == 0);
	id.source = map_entry(jobs, partition)->owner;
	id.epoch = map_entry(jobs, partition)->epoch;
	job->is_used = true;
	migration_target_init(&job->target, &jobs->options.migration, &id, jobs->sees_majority,
			      now_ms);
	step_target(jobs, job, &start);
	*actions = actions_of(jobs);
	return 0;
}

/* ---- for the operator ---- */

uint64_t migration_jobs_deadline_ms(const struct migration_jobs *jobs)
{
	uint64_t deadline_ms = UINT64_MAX;

	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		const struct source_job *job = &jobs->sources[i];
		uint64_t at_ms =
			job->is_used ? migration_source_deadline_ms(&job->source) : UINT64_MAX;

		deadline_ms = at_ms < deadline_ms ? at_ms : deadline_ms;
	}
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		const struct target_job *job = &jobs->targets[i];
		uint64_t at_ms =
			job->is_used ? migration_target_deadline_ms(&job->target) : UINT64_MAX;

		deadline_ms = at_ms < deadline_ms ? at_ms : deadline_ms;
	}
	return deadline_ms;
}

uint32_t migration_jobs_count(const struct migration_jobs *jobs)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < jobs->options.source_max; i++)
		count += source_is_open(&jobs->sources[i]);
	for (uint32_t i = 0; i < jobs->options.target_max; i++)
		count += target_is_open(&jobs->targets[i]);
	return count;
}

const struct migration_jobs_counters *migration_jobs_counters(const struct migration_jobs *jobs)
{
	return &jobs->counters;
}

bool migration_jobs_are_sound(const struct migration_jobs *jobs)
{
	for (uint32_t i = 0; i < jobs->options.source_max; i++) {
		if (jobs->sources[i].is_used &&
		    !migration_source_is_sound(&jobs->sources[i].source))
			return false;
	}
	for (uint32_t i = 0; i < jobs->options.target_max; i++) {
		if (jobs->targets[i].is_used &&
		    !migration_target_is_sound(&jobs->targets[i].target))
			return false;
	}
	return true;
}
