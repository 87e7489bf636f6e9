/* SPDX-License-Identifier: BSD-3-Clause */
/* The turns of a node's migrations: what happens becomes events, the machines' answers become deeds. */
#include "controlplane/migrator_state.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATE_MS 500u
/* Between two looks for data that nobody sees to. */
#define SWEEP_MS 250u
/* Timer steps before other events have their turn. */
#define TIMER_STEPS_MAX 64u
/* While a job is open the migrator wants to run at least so often. */
#define OPEN_WAIT_US 100000u
/* While a worker has something to do for it: what is done is acknowledged, and that makes room for more. */
#define WORKER_WAIT_US 250u

/* Answers that may be under way for one machine, and news of the cluster for all of them. */
#define EVENTS_PER_SOURCE 32u
#define EVENTS_PER_TARGET (MIGRATION_TARGET_APPLY_MAX + 8u)
#define EVENTS_OF_NEWS (4u * NODE_COUNT_MAX)

/* ---- events ---- */

void migrator_push(struct migrator *migrator, const struct migrator_event *event)
{
	uint32_t at = (migrator->event_first + migrator->event_count) % migrator->event_max;

	assert(migrator->event_count < migrator->event_max);
	migrator->events[at] = *event;
	migrator->event_count++;
}

static void push_news(struct migrator *migrator, const struct migration_jobs_event *news)
{
	const struct migrator_event event = { .event = *news };

	migrator_push(migrator, &event);
}

/* A hint of an attempt that is over means nothing to the next one. */
static bool is_stale(const struct migrator *migrator, const struct migrator_event *event)
{
	const struct migration_source *source;

	if (event->event.kind != JOBS_ON_SOURCE)
		return false;
	source = migration_jobs_source(migrator->jobs, event->event.partition);
	return !source || source->job.job != event->job || source->job.attempt != event->attempt;
}

/* ---- turns ---- */

static void give_back(const struct migrator *migrator, const struct migration_jobs_action *action)
{
	const struct migrator_host *host = &migrator->options.host;
	const struct partition_owner owner = { .partition = action->partition,
					       .epoch = action->epoch,
					       .owner = action->to };

	host->record_owner(host->context, &owner);
	host->publish(host->context);
}

static void do_actions(struct migrator *migrator, const struct migration_jobs_actions *actions)
{
	for (uint32_t i = 0; i < actions->count; i++) {
		const struct migration_jobs_action *action = &actions->items[i];

		if (action->kind == JOBS_SOURCE)
			migrator_do_source(migrator, action->partition, action->to, action->source);
		else if (action->kind == JOBS_TARGET)
			migrator_do_target(migrator, action->partition, action->to, action->target);
		else if (action->kind == JOBS_GIVE_BACK)
			give_back(migrator, action);
		else
			migrator_send_message(migrator, action->to, &action->message);
	}
}

static void step(struct migrator *migrator, const struct migration_jobs_event *event)
{
	const struct migration_jobs_actions actions =
		migration_jobs_step(migrator->jobs, migrator_now(migrator), event);

	do_actions(migrator, &actions);
}

static void tell_owner(struct migrator *migrator, uint32_t partition)
{
	const struct migration_jobs_event event = { .kind = JOBS_ON_OWNER, .partition = partition };

	migrator->told[partition] = migrator->options.map->partitions[partition];
	step(migrator, &event);
}

static bool is_told(const struct migrator *migrator, uint32_t partition)
{
	const struct partition_owner *told = &migrator->told[partition];
	const struct partition_owner *entry = &migrator->options.map->partitions[partition];

	return told->epoch == entry->epoch && told->owner == entry->owner;
}

/* No machine decides anything before it knows the map as it is. */
static void follow_map(struct migrator *migrator)
{
	const struct partition_map *map = migrator->options.map;

	while (migrator->stamp_told != map->stamp || migrator->count_told != map->partition_count) {
		migrator->stamp_told = map->stamp;
		migrator->count_told = map->partition_count;
		for (uint32_t p = 0; p < map->partition_count; p++) {
			if (!is_told(migrator, p))
				tell_owner(migrator, p);
		}
	}
}

static void take_events(struct migrator *migrator)
{
	follow_map(migrator);
	while (migrator->event_count > 0) {
		struct migrator_event event = migrator->events[migrator->event_first];

		migrator->event_first = (migrator->event_first + 1) % migrator->event_max;
		migrator->event_count--;
		event.event.source = &event.source;
		event.event.target = &event.target;
		if (!is_stale(migrator, &event))
			step(migrator, &event.event);
		follow_map(migrator);
	}
}

static void end_turn(struct migrator *migrator)
{
	const struct migrator_host *host = &migrator->options.host;

	take_events(migrator);
	migrator->is_in_turn = false;
	host->wake(host->context);
}

void migrator_take_turn(struct migrator *migrator, const struct migration_jobs_actions *actions)
{
	if (migrator->is_in_turn)
		return;
	migrator->is_in_turn = true;
	if (actions)
		do_actions(migrator, actions);
	end_turn(migrator);
}

/* ---- the machines of this generation ---- */

static int create_jobs(struct migrator *migrator, uint64_t generation)
{
	const struct migrator_options *options = &migrator->options;
	const struct migration_jobs_options jobs_options = {
		.self = options->self,
		.generation = generation,
		.seed = world_random_u64(options->world),
		.source_max = options->source_max,
		.target_max = options->target_max,
		.migration = options->migration,
		.map = options->map,
		.held = options->held,
	};
	struct migration_jobs *jobs;
	int result = migration_jobs_create(&jobs, &jobs_options, migrator_now(migrator));

	if (result != 0)
		return result;
	migration_jobs_destroy(migrator->jobs);
	migrator->jobs = jobs;
	migrator->generation = generation;
	push_news(migrator, &(struct migration_jobs_event){ .kind = JOBS_ON_MAJORITY,
							    .is_ok = migrator->is_majority_seen });
	return 0;
}

/* A node that finds an older life of its own in the cluster outbids it, before it is a member. */
static void follow_generation(struct migrator *migrator)
{
	const struct migrator_host *host = &migrator->options.host;
	uint64_t generation = host->generation(host->context);

	if (generation != migrator->generation && !migrator->tasks && !migrator->is_in_turn)
		create_jobs(migrator, generation);
}

/* ---- tasks ---- */

struct migrator_task *migrator_find_task(const struct migrator *migrator,
					 enum migrator_task_kind kind, uint32_t partition)
{
	for (struct migrator_task *task = migrator->tasks; task; task = task->next) {
		if (task->kind == kind && task->partition == partition && !task->is_over)
			return task;
	}
	return NULL;
}

bool migrator_has_task(const struct migrator *migrator, uint32_t partition)
{
	for (const struct migrator_task *task = migrator->tasks; task; task = task->next) {
		if (task->partition == partition)
			return true;
	}
	return false;
}

struct migrator_task *migrator_add_task(struct migrator *migrator, enum migrator_task_kind kind,
					uint32_t partition)
{
	struct migrator_task *task = calloc(1, sizeof(*task));

	if (!task)
		return NULL;
	task->migrator = migrator;
	task->kind = kind;
	task->partition = partition;
	task->sampled_ms = migrator_now(migrator);
	task->next = migrator->tasks;
	migrator->tasks = task;
	return task;
}

static void retry_access(struct migrator_task *task)
{
	if (task->is_access_old)
		task->is_access_old = dataplane_set_access(task->migrator->options.dataplane,
							   task->partition, task->access) != 0;
}

void migrator_set_access(struct migrator_task *task, enum partition_access access)
{
	if (access == task->access)
		return;
	task->access = access;
	task->is_access_old = true;
	retry_access(task);
}

void migrator_end_task(struct migrator_task *task)
{
	task->is_over = true;
}

static void destroy_task(struct migrator_task *task)
{
	migration_export_destroy(task->export);
	migration_import_destroy(task->import);
	free(task);
}

void migrator_reap(struct migrator *migrator)
{
	struct migrator_task **link = &migrator->tasks;

	while (*link) {
		struct migrator_task *task = *link;

		if (task->is_over && task->pace == MIGRATION_RESTS && !task->is_access_old) {
			*link = task->next;
			destroy_task(task);
		} else {
			link = &task->next;
		}
	}
}

/* ---- data that nobody sees to ---- */

static void ask_forget(struct migrator_task *task)
{
	const struct migration_target_action slice = { .kind = TARGET_DO_DISCARD_SLICE };

	migration_import_do(task->import, &slice);
	task->pace = MIGRATION_HURRIES;
}

static void on_forgotten(struct migrator_task *task, const struct migration_target_event *event)
{
	bool is_wanted = partition_set_has(task->migrator->options.held, task->partition);

	if (event->is_done || is_wanted)
		migrator_end_task(task);
	else
		ask_forget(task);
}

static void answer_import(void *context, const struct migration_target_event *answer)
{
	struct migrator_task *task = context;
	const struct migrator_event event = {
		.event = { .kind = JOBS_ON_TARGET, .partition = task->partition }, .target = *answer
	};

	if (task->kind == TASK_FORGET)
		on_forgotten(task, answer);
	else
		migrator_push(task->migrator, &event);
}

struct migrator_task *migrator_start_import(struct migrator *migrator, enum migrator_task_kind kind,
					    uint32_t partition)
{
	struct migrator_task *task = migrator_add_task(migrator, kind, partition);
	struct migration_import_options options = { .dataplane = migrator->options.dataplane,
						    .partition = partition,
						    .answer = answer_import,
						    .context = task };

	if (!task)
		return NULL;
	if (migration_import_create(&task->import, &options) == 0)
		return task;
	migrator_end_task(task);
	return NULL;
}

static bool is_orphan(const struct migrator *migrator, uint32_t partition)
{
	uint64_t owner = partition_map_owner(migrator->options.map, partition);

	return partition_set_has(migrator->options.held, partition) && owner != 0 &&
	       owner != migrator->options.self && !migrator_has_task(migrator, partition);
}

/* Somebody claimed what this node had, while it was cut off. */
static void forget(struct migrator *migrator, uint32_t partition)
{
	struct migrator_task *task = migrator_start_import(migrator, TASK_FORGET, partition);
	char name[NODE_NAME_SIZE];

	if (!task)
		return;
	migrator->counters.forgotten++;
	log_warning(migrator->options.log, "migration",
		    "another node took a partition of this one: its data here is dropped",
		    "partition=%u owner=%s epoch=%u", partition,
		    migrator_name(migrator, partition_map_owner(migrator->options.map, partition),
				  name),
		    partition_map_epoch(migrator->options.map, partition));
	migrator_let_go(migrator, partition);
	ask_forget(task);
}

static void sweep(struct migrator *migrator)
{
	uint64_t now_ms = migrator_now(migrator);

	if (now_ms - migrator->swept_ms < SWEEP_MS || migrator->is_stopping)
		return;
	migrator->swept_ms = now_ms;
	for (uint32_t p = 0; p < migrator->options.map->partition_count; p++) {
		if (is_orphan(migrator, p))
			forget(migrator, p);
	}
}

/* ---- what happens ---- */

static void take_message(struct migrator *migrator, uint64_t sender, const struct sync_frame *frame)
{
	struct sync_message message;
	const struct migration_jobs_event event = { .kind = JOBS_ON_MESSAGE, .message = &message };
	int result = sync_message_decode(&message, frame);

	if (result == -ENOTSUP)
		return;
	if (result != 0 || message.sender != sender) {
		migrator->counters.malformed++;
		return;
	}
	if (migrator->is_stopping && message.kind == SYNC_PREPARE)
		return;
	step(migrator, &event);
	/* A job that has just begun knows nothing of its peer yet. */
	if (message.kind == SYNC_PREPARE)
		migrator_peer_changed(migrator, sender);
}

static void take_records(struct migrator *migrator, uint64_t sender, const struct sync_frame *frame)
{
	struct sync_batch batch;
	const struct migration_jobs_event event = { .kind = JOBS_ON_BATCH,
						    .batch = &batch,
						    .sender = sender };

	if (sync_batch_decode(&batch, frame) != 0)
		migrator->counters.malformed++;
	else
		step(migrator, &event);
}

void migrator_take_frame(struct migrator *migrator, uint64_t sender, const uint8_t *bytes,
			 size_t size)
{
	struct sync_frame frame;

	assert(!migrator->is_in_turn);
	if (sync_frame_decode(&frame, bytes, size) != 0) {
		migrator->counters.malformed++;
		return;
	}
	follow_generation(migrator);
	migrator->counters.bytes_received += size;
	migrator->is_in_turn = true;
	take_events(migrator);
	if (frame.kind == SYNC_FRAME_CONTROL)
		take_message(migrator, sender, &frame);
	else
		take_records(migrator, sender, &frame);
	end_turn(migrator);
}

void migrator_connected(struct migrator *migrator, uint64_t node)
{
	push_news(migrator,
		  &(struct migration_jobs_event){ .kind = JOBS_ON_CONNECTED, .node = node });
	migrator_take_turn(migrator, NULL);
}

void migrator_peer_changed(struct migrator *migrator, uint64_t node)
{
	const struct migrator_host *host = &migrator->options.host;
	struct migrator_peer peer;

	if (!host->find_peer(host->context, node, &peer))
		return;
	push_news(migrator, &(struct migration_jobs_event){ .kind = JOBS_ON_PEER,
							    .node = node,
							    .generation = peer.generation,
							    .peer = peer.state });
	migrator_take_turn(migrator, NULL);
}

void migrator_map_changed(struct migrator *migrator)
{
	migrator_take_turn(migrator, NULL);
}

void migrator_set_majority(struct migrator *migrator, bool is_seen)
{
	if (is_seen == migrator->is_majority_seen)
		return;
	migrator->is_majority_seen = is_seen;
	push_news(migrator,
		  &(struct migration_jobs_event){ .kind = JOBS_ON_MAJORITY, .is_ok = is_seen });
	migrator_take_turn(migrator, NULL);
}

void migrator_announced(struct migrator *migrator, uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(migrator->jobs, partition);
	struct migrator_event event = {
		.event = { .kind = JOBS_ON_TARGET, .partition = partition },
		.target = { .kind = TARGET_ON_ANNOUNCED },
	};

	if (source && source->is_announcing) {
		event.event.kind = JOBS_ON_SOURCE;
		event.job = source->job.job;
		event.attempt = source->job.attempt;
		event.source.kind = SOURCE_ON_ANNOUNCED;
	}
	migrator_push(migrator, &event);
	migrator_take_turn(migrator, NULL);
}

/* ---- time ---- */

static void poll_task(struct migrator_task *task)
{
	retry_access(task);
	if (task->export)
		task->pace = migration_export_poll(task->export);
	else if (task->import)
		task->pace = migration_import_poll(task->import);
	else
		task->pace = MIGRATION_RESTS;
}

/* Bytes that the task's machine has seen to. */
static uint64_t bytes_of(const struct migrator_task *task)
{
	const struct migration_source *source;
	const struct migration_target *target;

	if (task->kind == TASK_SOURCE) {
		source = migration_jobs_source(task->migrator->jobs, task->partition);
		return source ? source->progress.bytes : 0;
	}
	target = migration_jobs_target(task->migrator->jobs, task->partition);
	return target ? target->progress.bytes : 0;
}

static void measure(struct migrator_task *task)
{
	uint64_t now_ms = migrator_now(task->migrator), bytes = bytes_of(task);

	if (now_ms - task->sampled_ms < RATE_MS)
		return;
	/* A new attempt counts from 0. */
	task->bytes_per_s = bytes < task->sampled_bytes ? 0
							: (bytes - task->sampled_bytes) * 1000 /
								  (now_ms - task->sampled_ms);
	task->sampled_ms = now_ms;
	task->sampled_bytes = bytes;
}

static void run_timers(struct migrator *migrator)
{
	const struct migration_jobs_event event = { .kind = JOBS_ON_TIMER };

	for (uint32_t i = 0; i < TIMER_STEPS_MAX; i++) {
		if (migration_jobs_deadline_ms(migrator->jobs) > migrator_now(migrator))
			break;
		push_news(migrator, &event);
		migrator_take_turn(migrator, NULL);
	}
}

void migrator_run(struct migrator *migrator)
{
	follow_generation(migrator);
	migrator_take_turn(migrator, NULL);
	for (struct migrator_task *task = migrator->tasks; task; task = task->next) {
		poll_task(task);
		measure(task);
		migrator_take_turn(migrator, NULL);
	}
	run_timers(migrator);
	migrator_reap(migrator);
	sweep(migrator);
}

uint64_t migrator_wait_us(const struct migrator *migrator)
{
	uint64_t deadline_ms = migration_jobs_deadline_ms(migrator->jobs);
	uint64_t now_ms = migrator_now(migrator);
	uint64_t wait_us = UINT64_MAX;

	if (deadline_ms != UINT64_MAX)
		wait_us = deadline_ms > now_ms ? (deadline_ms - now_ms) * 1000 : 0;
	if (migrator->tasks && wait_us > OPEN_WAIT_US)
		wait_us = OPEN_WAIT_US;
	for (const struct migrator_task *task = migrator->tasks; task; task = task->next) {
		if (task->pace == MIGRATION_HURRIES)
			return 0;
		if (task->pace == MIGRATION_WAITS && wait_us > WORKER_WAIT_US)
			wait_us = WORKER_WAIT_US;
	}
	return wait_us;
}

/* ---- what actions need ---- */

void migrator_let_go(struct migrator *migrator, uint32_t partition)
{
	const struct migrator_host *host = &migrator->options.host;

	if (!partition_set_has(migrator->options.held, partition))
		return;
	host->hold(host->context, partition, false);
	host->publish(host->context);
}

void migrator_tell_marks(struct migrator *migrator)
{
	const struct migrator_host *host = &migrator->options.host;

	host->mark(host->context, &migrator->importing, &migrator->migrating);
}

void migrator_send(struct migrator *migrator, uint64_t to, const uint8_t *bytes, size_t size)
{
	const struct migrator_host *host = &migrator->options.host;

	migrator->counters.bytes_sent += size;
	host->send(host->context, to, bytes, size);
}

void migrator_send_message(struct migrator *migrator, uint64_t to,
			   const struct sync_message *message)
{
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];

	migrator_send(migrator, to, bytes, sync_message_encode(message, bytes));
}

const char *migrator_name(const struct migrator *migrator, uint64_t node, char text[NODE_NAME_SIZE])
{
	const struct migrator_host *host = &migrator->options.host;

	return host->name(host->context, node, text);
}

void migrator_remember(struct migrator *migrator, const struct migration_past *past)
{
	migrator->past[migrator->past_count++ % MIGRATOR_PAST_MAX] = *past;
}

/* ---- life ---- */

int migrator_create(struct migrator **migrator, const struct migrator_options *options)
{
	struct migrator *new = calloc(1, sizeof(*new));
	int result;

	if (!new)
		return -ENOMEM;
	new->options = *options;
	new->event_max = options->source_max *EVENTS_PER_SOURCE +
			 options->target_max *EVENTS_PER_TARGET + EVENTS_OF_NEWS;
	new->events = calloc(new->event_max, sizeof(*new->events));
	result = new->events ? create_jobs(new, options->host.generation(options->host.context))
			     : -ENOMEM;
	if (result != 0) {
		migrator_destroy(new);
		return result;
	}
	*migrator = new;
	return 0;
}

void migrator_destroy(struct migrator *migrator)
{
	if (!migrator)
		return;
	while (migrator->tasks) {
		struct migrator_task *task = migrator->tasks;

		migrator->tasks = task->next;
		destroy_task(task);
	}
	migration_jobs_destroy(migrator->jobs);
	free(migrator->events);
	free(migrator);
}

/* ---- the end ---- */

void migrator_stop(struct migrator *migrator)
{
	migrator->is_stopping = true;
	for (const struct migrator_task *task = migrator->tasks; task; task = task->next)
		push_news(migrator, &(struct migration_jobs_event){ .kind = JOBS_ON_CANCEL,
								    .partition = task->partition });
	migrator_take_turn(migrator, NULL);
}

static bool is_source_decided(const struct migrator *migrator, uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(migrator->jobs, partition);

	return !source || migration_source_state(source) > SOURCE_COMMITTING;
}

static bool is_target_decided(const struct migrator *migrator, uint32_t partition)
{
	const struct migration_target *target = migration_jobs_target(migrator->jobs, partition);

	return !target || migration_target_state(target) > TARGET_FINALIZING;
}

bool migrator_is_decided(const struct migrator *migrator)
{
	for (const struct migrator_task *task = migrator->tasks; task; task = task->next) {
		if (!is_source_decided(migrator, task->partition) ||
		    !is_target_decided(migrator, task->partition))
			return false;
	}
	return true;
}

bool migrator_is_idle(const struct migrator *migrator)
{
	return !migrator->tasks;
}
