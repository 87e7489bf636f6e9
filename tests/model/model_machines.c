/* SPDX-License-Identifier: BSD-3-Clause */
/* The real machines, and the nodes, stores and network around them that do what they ask for. */
#include "tests/model/model.h"

#include <string.h>

#include "storage/version.h"

void model_violate(struct model *model, const char *what)
{
	if (!model->violation)
		model->violation = what;
}

uint64_t model_id(uint32_t node)
{
	return node + 1;
}

/* ---- machines in and out of their tables ---- */

void model_load(struct model *model, uint32_t i)
{
	struct migration_jobs *jobs = model->jobs[i];
	const struct node *node = &model->state.nodes[i];

	jobs->options.generation = node->generation;
	jobs->now_ms = node->now_ms;
	jobs->sources[0].is_used = node->has_source;
	jobs->sources[0].source = node->source;
	jobs->targets[0].is_used = node->has_target;
	jobs->targets[0].target = node->target;
	memset(jobs->ended, 0, sizeof(jobs->ended));
	jobs->ended_count = node->ended_count;
	memcpy(jobs->ended, node->ended, sizeof(node->ended));
	model->maps[i].partitions[0] = node->owner;
	partition_set_clear(&model->held[i]);
	if (node->is_held)
		partition_set_add(&model->held[i], 0);
}

void model_store(struct model *model, uint32_t i)
{
	const struct migration_jobs *jobs = model->jobs[i];
	struct node *node = &model->state.nodes[i];

	node->now_ms = jobs->now_ms;
	node->has_source = jobs->sources[0].is_used;
	node->source = jobs->sources[0].source;
	node->has_target = jobs->targets[0].is_used;
	node->target = jobs->targets[0].target;
	node->ended_count = jobs->ended_count;
	memcpy(node->ended, jobs->ended, sizeof(node->ended));
	if (jobs->ended_count > ATTEMPTS_MAX + 1)
		model_violate(model, "more attempts ended than the model has room for");
}

/* ---- the network ---- */

static void send(struct model *model, const struct message *message)
{
	struct state *state = &model->state;

	for (uint32_t i = 0; i < state->message_count; i++) {
		if (memcmp(&state->messages[i], message, sizeof(*message)) == 0)
			return; /* like one that was lost: the same is on its way */
	}
	if (state->message_count == MESSAGES_MAX)
		model->counts.overflow++;
	else
		state->messages[state->message_count++] = *message;
}

static void send_control(struct model *model, uint32_t from, const struct sync_message *control)
{
	struct message message;

	memset(&message, 0, sizeof(message));
	message.kind = MESSAGE_CONTROL;
	message.to = 1 - from;
	message.control = *control;
	send(model, &message);
}

static void send_records(struct model *model, uint32_t from, enum sync_frame_kind frame,
			 uint64_t first, const struct record *records, uint32_t count)
{
	const struct migration_job *job = &model->jobs[from]->sources[0].source.job;
	struct message message;

	memset(&message, 0, sizeof(message));
	message.kind = MESSAGE_RECORDS;
	message.to = 1 - from;
	message.frame = frame;
	message.count = count;
	message.job = job->job;
	message.attempt = job->attempt;
	message.first = first;
	memcpy(message.records, records, count * sizeof(*records));
	send(model, &message);
}

void model_remove_message(struct state *state, uint32_t i)
{
	state->messages[i] = state->messages[--state->message_count];
	memset(&state->messages[state->message_count], 0, sizeof(state->messages[0]));
}

/* ---- answers to what machines ask for ---- */

static void answer_source(struct answers *answers, struct migration_source_event event)
{
	answers->source[answers->source_count++] = event;
}

static void answer_target(struct answers *answers, struct migration_target_event event)
{
	answers->target[answers->target_count++] = event;
}

uint64_t model_digest(const struct store *store)
{
	return store->item.version ? version_digest(store->item.version) : 0;
}

void model_publish(struct node *node, uint32_t i)
{
	node->published.serves = node->is_held && node->owner.owner == model_id(i);
}

void model_hold(struct node *node)
{
	node->is_held = true;
	node->store.epoch = node->owner.epoch;
}

static void record_owner(struct node *node, struct answers *answers, uint64_t owner, uint32_t epoch)
{
	if (epoch <= node->owner.epoch)
		return;
	node->owner.owner = owner;
	node->owner.epoch = epoch;
	answers->is_owner_new = true;
}

/* Whoever begins to serve has the last acknowledged write, unless it went down with a node. */
static void take_over(struct model *model, const struct node *node, bool may_lose)
{
	struct record *acked = &model->state.acked;
	uint64_t version = acked->is_tombstone ? 0 : acked->version;

	if (node->store.item.version == version)
		return;
	if (!may_lose) {
		model_violate(model, "2: who takes over has not the last acknowledged write");
		return;
	}
	model->counts.losses++;
	acked->version = node->store.item.version;
	acked->is_tombstone = acked->version == 0;
}

void model_drop(struct node *node, uint32_t i)
{
	node->is_held = false;
	memset(&node->store, 0, sizeof(node->store));
	model_publish(node, i);
}

static void drain(struct node *node, struct answers *answers)
{
	struct store *store = &node->store;
	uint32_t first = store->delta_drained + 1;

	store->delta_drained = store->delta_count;
	answer_source(answers,
		      (struct migration_source_event){ .kind = SOURCE_ON_DRAINED,
						       .first = first,
						       .last = store->delta_count,
						       .bytes = store->delta_count + 1 - first });
}

static void mark(struct node *node)
{
	struct store *store = &node->store;

	store->cursor = 0;
	store->ships_all = store->item.version == 0;
	store->delta_count = 0;
	store->delta_drained = 0;
	store->delta_told = 0;
	memset(store->deltas, 0, sizeof(store->deltas));
	memset(&store->batch, 0, sizeof(store->batch));
	node->published.is_marked = true;
}

static void do_source(struct model *model, uint32_t i, const struct migration_source_action *action,
		      struct answers *answers)
{
	struct node *node = &model->state.nodes[i];
	struct store *store = &node->store;

	switch (action->kind) {
	case SOURCE_DO_CHECK_CAPACITY:
		answer_source(answers, (struct migration_source_event){ .kind = SOURCE_ON_CAPACITY,
									.is_ok = true,
									.items = 1 });
		break;
	case SOURCE_DO_MARK:
		mark(node);
		break;
	case SOURCE_DO_BARRIER:
		if (model->off == OFF_BARRIER)
			answer_source(answers, (struct migration_source_event){
						       .kind = SOURCE_ON_BARRIER_DONE });
		else
			node->waits |= WAIT_BARRIER;
		break;
	case SOURCE_DO_SCAN:
		node->scan = SCAN_ASKED;
		break;
	case SOURCE_DO_SEND_BATCH:
		send_records(model, i, SYNC_FRAME_BATCH, action->batch, &store->batch, 1);
		break;
	case SOURCE_DO_DRAIN:
		drain(node, answers);
		break;
	case SOURCE_DO_SEND_DELTAS:
		send_records(model, i, SYNC_FRAME_DELTA, action->first,
			     &store->deltas[action->first - 1],
			     (uint32_t)(action->last - action->first + 1));
		break;
	case SOURCE_DO_FENCE_WRITES:
		node->published.parks_writes = true;
		/* fall through */
	case SOURCE_DO_SNAPSHOT:
		node->waits |= WAIT_SNAPSHOT;
		node->snapshot_fence = action->fence;
		break;
	case SOURCE_DO_FENCE_READS:
		node->published.parks_all = true;
		node->reads_fence = action->fence;
		if (model->off == OFF_READ_FENCE)
			answer_source(answers, (struct migration_source_event){
						       .kind = SOURCE_ON_READS_FENCED,
						       .fence = action->fence });
		else
			node->waits |= WAIT_READS;
		break;
	case SOURCE_DO_UNFENCE:
	case SOURCE_DO_FORWARD_PARKED:
	case SOURCE_DO_REFUSE_PARKED:
		node->published.parks_writes = false;
		node->published.parks_all = false;
		break;
	case SOURCE_DO_RECORD_OWNER:
		record_owner(node, answers, action->owner, action->epoch);
		if (action->owner == model_id(i)) {
			/* what a lost target acknowledged at its epoch is lost with it */
			take_over(model, node,
				  version_epoch(model->state.acked.version) == action->epoch - 1);
			model_hold(node);
		}
		break;
	case SOURCE_DO_ANNOUNCE:
		node->is_announcing = true;
		break;
	case SOURCE_DO_PUBLISH_MAP:
		model_publish(node, i);
		break;
	case SOURCE_DO_DROP_SLICE:
		node->is_held = false;
		model_publish(node, i);
		node->waits |= WAIT_DROP;
		break;
	case SOURCE_DO_UNMARK:
		node->published.is_marked = false;
		node->waits |= WAIT_UNMARK;
		break;
	case SOURCE_DO_SEND:
		send_control(model, i, &action->message);
		break;
	case SOURCE_DO_RELEASE_BATCHES:
	case SOURCE_DO_RELEASE_DELTAS:
	case SOURCE_DO_REPORT:
		break;
	}
}

static void apply_record(const struct model *model, struct store *store,
			 const struct record *record)
{
	bool compares = model->off != OFF_VERSION_COMPARE;

	if (record->version > store->version_last)
		store->version_last = record->version;
	if (compares &&
	    (record->version <= store->item.version || record->version <= store->tombstone))
		return;
	if (record->is_tombstone) {
		memset(&store->item, 0, sizeof(store->item));
		store->tombstone = model->off == OFF_TOMBSTONES ? 0 : record->version;
	} else {
		store->item = *record;
		store->tombstone = 0;
	}
}

static void apply(struct model *model, struct node *node, const struct sync_batch *batch,
		  struct answers *answers)
{
	struct store *store = &node->store;

	for (uint32_t i = 0; i < batch->count; i++)
		apply_record(model, store, &model->arriving->records[i]);
	answer_target(answers,
		      (struct migration_target_event){ .kind = TARGET_ON_APPLIED,
						       .is_ok = true,
						       .frame = batch->kind,
						       .last = batch->kind == SYNC_FRAME_BATCH
								       ? batch->first
								       : sync_batch_last(batch),
						       .items = store->item.version != 0,
						       .digest = model_digest(store),
						       .version = store->version_last });
}

/* Whether the write is one of those that the target said READY for. */
static bool has_promised(const struct migration_target *target, const struct record *write)
{
	return target->is_final_known && target->is_final_answered &&
	       write->version <= target->final.version;
}

static void target_publishes(struct model *model, struct node *node, uint32_t i)
{
	const struct migration_target *target = &model->jobs[i]->targets[0].target;

	if (node->owner.owner == model_id(i) && !node->is_held) {
		take_over(model, node,
			  target->is_claim && !has_promised(target, &model->state.acked));
		model->counts.claimed += target->is_claim;
		model_hold(node);
	}
	model_publish(node, i);
}

static void do_target(struct model *model, uint32_t i, const struct migration_target_action *action,
		      struct answers *answers)
{
	struct node *node = &model->state.nodes[i];

	switch (action->kind) {
	case TARGET_DO_STAGE:
		memset(&node->store, 0, sizeof(node->store));
		answer_target(answers, (struct migration_target_event){ .kind = TARGET_ON_STAGED,
									.is_ok = true });
		break;
	case TARGET_DO_APPLY:
		apply(model, node, action->batch, answers);
		break;
	case TARGET_DO_FINALIZE:
		node->store.tombstone = 0;
		if (action->version > node->store.version_last)
			node->store.version_last = action->version;
		answer_target(answers,
			      (struct migration_target_event){ .kind = TARGET_ON_FINALIZED });
		break;
	case TARGET_DO_DISCARD_SLICE:
		node->is_held = false;
		model_publish(node, i);
		node->waits |= WAIT_DISCARD;
		break;
	case TARGET_DO_RECORD_OWNER:
		record_owner(node, answers, action->owner, action->epoch);
		break;
	case TARGET_DO_ANNOUNCE:
		node->is_announcing = true;
		break;
	case TARGET_DO_PUBLISH_MAP:
		target_publishes(model, node, i);
		break;
	case TARGET_DO_SEND:
		send_control(model, i, &action->message);
		break;
	case TARGET_DO_MARK:
	case TARGET_DO_UNMARK:
	case TARGET_DO_REPORT:
		break;
	}
}

static void give_back(struct model *model, uint32_t i, const struct migration_jobs_action *action,
		      struct answers *answers)
{
	record_owner(&model->state.nodes[i], answers, action->to, action->epoch);
	model_publish(&model->state.nodes[i], i);
}

void model_do_actions(struct model *model, uint32_t i, struct migration_jobs_actions actions,
		      struct answers *answers)
{
	for (uint32_t k = 0; k < actions.count; k++) {
		const struct migration_jobs_action *action = &actions.items[k];

		if (action->kind == JOBS_SOURCE)
			do_source(model, i, action->source, answers);
		else if (action->kind == JOBS_TARGET)
			do_target(model, i, action->target, answers);
		else if (action->kind == JOBS_GIVE_BACK)
			give_back(model, i, action, answers);
		else
			send_control(model, i, &action->message);
	}
}

static void note_ends(struct model *model, uint32_t i, bool had_source)
{
	const struct source_job *job = &model->jobs[i]->sources[0];

	if (!had_source || !job->is_used || job->source.machine.state != SOURCE_DONE)
		return;
	model->counts.migrated += job->source.outcome == SOURCE_MIGRATED;
	model->counts.aborted += job->source.outcome == SOURCE_ABORTED;
	model->counts.reclaimed += job->source.outcome == SOURCE_RECLAIMED;
}

static void check_machines(struct model *model, uint32_t i)
{
	const struct migration_jobs *jobs = model->jobs[i];

	if (!migration_jobs_are_sound(jobs))
		model_violate(model, "a machine is not fit for its state");
	if (jobs->sources[0].is_used && jobs->sources[0].source.reason == MIGRATION_MISMATCH)
		model_violate(model, "2: the digests of a copy differ");
	if (jobs->targets[0].is_used && jobs->targets[0].target.reason == MIGRATION_MISMATCH)
		model_violate(model, "2: the digests of a copy differ");
}

/* What is answered at once is answered in the same transition. */
void model_give_answers(struct model *model, uint32_t i, const struct answers *answers)
{
	for (uint32_t k = 0; k < answers->source_count; k++)
		model_step(model, i,
			   &(struct migration_jobs_event){ .kind = JOBS_ON_SOURCE,
							   .source = &answers->source[k] });
	for (uint32_t k = 0; k < answers->target_count; k++)
		model_step(model, i,
			   &(struct migration_jobs_event){ .kind = JOBS_ON_TARGET,
							   .target = &answers->target[k] });
	if (answers->is_owner_new)
		model_step(model, i, &(struct migration_jobs_event){ .kind = JOBS_ON_OWNER });
}

void model_step(struct model *model, uint32_t i, const struct migration_jobs_event *event)
{
	struct node *node = &model->state.nodes[i];
	struct answers answers = { 0 };
	bool had_source = node->has_source;

	model_load(model, i);
	model_do_actions(model, i, migration_jobs_step(model->jobs[i], node->now_ms, event),
			 &answers);
	check_machines(model, i);
	note_ends(model, i, had_source);
	model_store(model, i);
	model_give_answers(model, i, &answers);
}
