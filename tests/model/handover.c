/* SPDX-License-Identifier: BSD-3-Clause */
/* Every interleaving of the hand-over of one partition with one key between two nodes: an exhaustive search over the real
 * machines, `handover [--off PROTECTION] [--writes N] [--losses N] ...`.
 */
#define XXH_INLINE_ALL
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The tables of a node's machines are needed as they are, to copy them from state to state. */
#include "controlplane/migration_jobs.c"

#include "storage/version.h"

/* What may happen at any time, in any order, is one transition each:
 *
 *   - a message on its way arrives, arrives and stays on its way (a copy), or is lost; messages overtake each other;
 *   - the timer of a node fires, whatever time it is elsewhere: each node has a clock of its own;
 *   - a worker takes up what its control thread has published; only then the control thread's wait for it is over;
 *   - a client's write is published by the worker; it looks at the cursor, ships the write if need be, and acknowledges it;
 *   - the scan moves its cursor; it reads the slot;
 *   - a node's map spreads; a node dies, its death becomes known, it returns in a new life without data.
 *
 * Writes, timers, losses, copies and deaths have budgets, which are a part of the state: so there are finitely many states, and
 * all of them are visited. A state is remembered by a 128-bit hash of what can matter later: times relative to the
 * node's clock, messages in any order, no statistics.
 *
 * What is checked in each state, by the numbers of docs/migration.md:
 *   1  at most one worker would acknowledge a write
 *   2  who answers reads has the last acknowledged write; no digest ever differs
 *   3  it has no older one, and no key that was removed
 *   6  a read anywhere gives that write, or one that is being made
 * and each machine is fit for its state. A source that dies may take writes with it that it acknowledged after the state that the
 * target said READY for, a target those of its own epoch: these are counted.
 */
#define NODES 2u
#define MESSAGES_MAX 8u
#define RECORDS_MAX 6u
#define DEPTH_MAX 400u
#define JOB_SEED 1u
#define ATTEMPTS_MAX 2u

enum off {
	OFF_NOTHING,
	OFF_BARRIER,
	OFF_CURSOR_FENCE,
	OFF_VERSION_COMPARE,
	OFF_TOMBSTONES,
	OFF_READ_FENCE,
	OFF_COUNT,
};

static const char *const off_names[OFF_COUNT] = {
	"nothing", "barrier", "cursor-fence", "version-compare", "tombstones", "read-fence",
};

struct record {
	uint64_t version; /* 0 = none */
	uint64_t is_tombstone;
};

/* The one key of a node's partition. */
struct store {
	struct record item;    /* live; version 0 = absent */
	uint64_t tombstone;    /* while importing: version of the removal, 0 = none */
	uint64_t version_last; /* given or seen */
	uint32_t epoch;
	uint32_t cursor; /* 1 = behind the slot */
	uint32_t
		ships_all; /* the key was absent at the mark: it gets a new slot, whose writes are shipped at once */
	uint32_t delta_count;
	uint32_t delta_drained;
	uint32_t delta_told;
	struct record deltas[RECORDS_MAX]; /* of this mark, by sequence - 1 */
	struct record batch;               /* the one there can be; version 0 = none */
};

/* What a worker goes by. */
struct view {
	uint32_t is_marked;
	uint32_t parks_writes;
	uint32_t parks_all;
	uint32_t serves;
};

enum wait {
	WAIT_BARRIER = 1,
	WAIT_SNAPSHOT = 2,
	WAIT_READS = 4,
	WAIT_UNMARK = 8,
	WAIT_DROP = 16,
	WAIT_DISCARD = 32,
};

/* A slice, of one slot. */
enum scan {
	SCAN_RESTS,
	SCAN_ASKED,
	SCAN_READS, /* the cursor has moved */
};

struct node {
	/* Of migration_jobs.c, which holds nothing else that lasts. */
	uint32_t has_source;
	uint32_t has_target;
	struct migration_source source;
	struct migration_target target;
	uint32_t ended_count;
	struct ended_attempt ended[ATTEMPTS_MAX + 1];

	uint64_t now_ms;
	uint64_t generation;
	struct partition_owner owner; /* by its map */
	uint32_t is_up;
	uint32_t is_held;
	uint32_t knows_death; /* of the other's life before */
	uint32_t knows_life;  /* of the other's present one */
	struct store store;
	struct view published;
	struct view seen; /* by the worker */
	uint32_t waits;   /* for the worker */
	uint32_t snapshot_fence;
	uint32_t reads_fence;
	uint32_t scan; /* enum scan */
	uint32_t is_announcing;
	uint32_t is_writing;
	uint32_t cursor_seen;  /* by the write, when the fence is off */
	struct record written; /* not yet acknowledged */
};

enum message_kind {
	MESSAGE_CONTROL,
	MESSAGE_RECORDS,
};

struct message {
	uint32_t kind;
	uint32_t to;
	struct sync_message control;
	uint32_t frame; /* enum sync_frame_kind */
	uint32_t count;
	uint64_t job;
	uint64_t first;
	uint32_t attempt;
	uint32_t reserved;
	struct record records[RECORDS_MAX];
};

struct state {
	struct node nodes[NODES];
	uint32_t message_count;
	uint32_t timers; /* budgets: what is left */
	uint32_t losses;
	uint32_t copies;
	uint32_t writes;
	uint32_t deaths;
	uint32_t returns;
	struct record acked; /* the last acknowledged write */
	struct message messages[MESSAGES_MAX];
};

struct counts {
	uint64_t states;
	uint64_t transitions;
	uint64_t depth_max;
	uint64_t migrated; /* transitions in which a source or target came to that end */
	uint64_t aborted;
	uint64_t reclaimed;
	uint64_t claimed;
	uint64_t losses;   /* of acknowledged writes, with a node that died */
	uint64_t overflow; /* messages that found no room: lost beyond the budget */
};

struct model {
	enum off off;
	struct state state; /* the present one */
	struct counts counts;
	struct migration_options options;
	/* The memory in which machines of the present state run. */
	struct migration_jobs *jobs[NODES];
	struct partition_map maps[NODES];
	struct partition_set held[NODES];
	const struct message *arriving; /* whose records are applied */
	const char *violation;

	XXH128_hash_t *visited; /* a table of hashes; zero = free */
	uint64_t visited_mask;
	const char *path[DEPTH_MAX]; /* what led here */
	uint32_t path_nodes[DEPTH_MAX];
	uint32_t depth;
};

static void violate(struct model *model, const char *what)
{
	if (!model->violation)
		model->violation = what;
}

static uint64_t id_of(uint32_t node)
{
	return node + 1;
}

/* ---- machines in and out of their tables ---- */

static void load_node(struct model *model, uint32_t i)
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

static void store_node(struct model *model, uint32_t i)
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
		violate(model, "more attempts ended than the model has room for");
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

static void remove_message(struct state *state, uint32_t i)
{
	state->messages[i] = state->messages[--state->message_count];
	memset(&state->messages[state->message_count], 0, sizeof(state->messages[0]));
}

/* ---- answers to what machines ask for ---- */

#define ANSWERS_MAX 64u

struct answers {
	uint32_t source_count;
	uint32_t target_count;
	uint32_t is_owner_new;
	struct migration_source_event source[ANSWERS_MAX];
	struct migration_target_event target[ANSWERS_MAX];
};

static void answer_source(struct answers *answers, struct migration_source_event event)
{
	answers->source[answers->source_count++] = event;
}

static void answer_target(struct answers *answers, struct migration_target_event event)
{
	answers->target[answers->target_count++] = event;
}

static uint64_t digest_of(const struct store *store)
{
	return store->item.version ? version_digest(store->item.version) : 0;
}

static void publish(struct node *node, uint32_t i)
{
	node->published.serves = node->is_held && node->owner.owner == id_of(i);
}

static void hold(struct node *node)
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
		violate(model, "2: who takes over has not the last acknowledged write");
		return;
	}
	model->counts.losses++;
	acked->version = node->store.item.version;
	acked->is_tombstone = acked->version == 0;
}

static void drop_data(struct node *node, uint32_t i)
{
	node->is_held = false;
	memset(&node->store, 0, sizeof(node->store));
	publish(node, i);
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
		if (action->owner == id_of(i)) {
			/* what a lost target acknowledged at its epoch is lost with it */
			take_over(model, node,
				  version_epoch(model->state.acked.version) == action->epoch - 1);
			hold(node);
		}
		break;
	case SOURCE_DO_PUBLISH_MAP:
		publish(node, i);
		break;
	case SOURCE_DO_DROP_SLICE:
		node->is_held = false;
		publish(node, i);
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
						       .digest = digest_of(store),
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

	if (node->owner.owner == id_of(i) && !node->is_held) {
		take_over(model, node,
			  target->is_claim && !has_promised(target, &model->state.acked));
		model->counts.claimed += target->is_claim;
		hold(node);
	}
	publish(node, i);
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
		publish(node, i);
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

static void do_actions(struct model *model, uint32_t i, struct migration_jobs_actions actions,
		       struct answers *answers)
{
	for (uint32_t k = 0; k < actions.count; k++) {
		const struct migration_jobs_action *action = &actions.items[k];

		if (action->kind == JOBS_SOURCE)
			do_source(model, i, action->source, answers);
		else if (action->kind == JOBS_TARGET)
			do_target(model, i, action->target, answers);
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
		violate(model, "a machine is not fit for its state");
	if (jobs->sources[0].is_used && jobs->sources[0].source.reason == MIGRATION_MISMATCH)
		violate(model, "2: the digests of a copy differ");
	if (jobs->targets[0].is_used && jobs->targets[0].target.reason == MIGRATION_MISMATCH)
		violate(model, "2: the digests of a copy differ");
}

static void step_node(struct model *model, uint32_t i, const struct migration_jobs_event *event);

/* What is answered at once is answered in the same transition. */
static void give_answers(struct model *model, uint32_t i, const struct answers *answers)
{
	for (uint32_t k = 0; k < answers->source_count; k++)
		step_node(model, i,
			  &(struct migration_jobs_event){ .kind = JOBS_ON_SOURCE,
							  .source = &answers->source[k] });
	for (uint32_t k = 0; k < answers->target_count; k++)
		step_node(model, i,
			  &(struct migration_jobs_event){ .kind = JOBS_ON_TARGET,
							  .target = &answers->target[k] });
	if (answers->is_owner_new)
		step_node(model, i, &(struct migration_jobs_event){ .kind = JOBS_ON_OWNER });
}

static void step_node(struct model *model, uint32_t i, const struct migration_jobs_event *event)
{
	struct node *node = &model->state.nodes[i];
	struct answers answers = { 0 };
	bool had_source = node->has_source;

	load_node(model, i);
	do_actions(model, i, migration_jobs_step(model->jobs[i], node->now_ms, event), &answers);
	check_machines(model, i);
	note_ends(model, i, had_source);
	store_node(model, i);
	give_answers(model, i, &answers);
}

/* ---- transitions ---- */

static void arrive(struct model *model, uint32_t number, bool stays)
{
	struct message message = model->state.messages[number];
	struct sync_batch batch;
	struct migration_jobs_event event = { .kind = JOBS_ON_MESSAGE,
					      .message = &message.control };

	if (!stays)
		remove_message(&model->state, number);
	if (!model->state.nodes[message.to].is_up)
		return;
	if (message.kind == MESSAGE_RECORDS) {
		batch = (struct sync_batch){ .kind = (enum sync_frame_kind)message.frame,
					     .job = message.job,
					     .attempt = message.attempt,
					     .first = message.first,
					     .count = message.count };
		event = (struct migration_jobs_event){ .kind = JOBS_ON_BATCH,
						       .batch = &batch,
						       .sender = id_of(1 - message.to) };
	}
	model->arriving = &message;
	step_node(model, message.to, &event);
	model->arriving = NULL;
}

static void fire_timer(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	uint64_t deadline_ms;

	load_node(model, i);
	deadline_ms = migration_jobs_deadline_ms(model->jobs[i]);
	if (deadline_ms > node->now_ms)
		node->now_ms = deadline_ms;
	step_node(model, i, &(struct migration_jobs_event){ .kind = JOBS_ON_TIMER });
}

static bool has_deadline(struct model *model, uint32_t i)
{
	load_node(model, i);
	return migration_jobs_deadline_ms(model->jobs[i]) != UINT64_MAX;
}

static void tell_source(struct model *model, uint32_t i, struct migration_source_event event)
{
	step_node(model, i,
		  &(struct migration_jobs_event){ .kind = JOBS_ON_SOURCE, .source = &event });
}

static void tell_target(struct model *model, uint32_t i, struct migration_target_event event)
{
	step_node(model, i,
		  &(struct migration_jobs_event){ .kind = JOBS_ON_TARGET, .target = &event });
}

/* The worker goes by what is published; then whoever waits for that goes on. */
static void quiesce(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	uint32_t waits = node->waits;

	node->seen = node->published;
	node->waits = 0;
	if (waits & WAIT_BARRIER)
		tell_source(model, i,
			    (struct migration_source_event){ .kind = SOURCE_ON_BARRIER_DONE });
	if (waits & WAIT_SNAPSHOT)
		tell_source(model, i,
			    (struct migration_source_event){ .kind = SOURCE_ON_SNAPSHOT,
							     .is_ok = true,
							     .fence = node->snapshot_fence,
							     .last = node->store.delta_count,
							     .items = node->store.item.version != 0,
							     .digest = digest_of(&node->store),
							     .version = node->store.version_last });
	if (waits & WAIT_READS)
		tell_source(model, i,
			    (struct migration_source_event){ .kind = SOURCE_ON_READS_FENCED,
							     .fence = node->reads_fence });
	if (waits & WAIT_DROP) {
		drop_data(node, i);
		tell_source(model, i,
			    (struct migration_source_event){ .kind = SOURCE_ON_DROPPED,
							     .is_done = true });
	}
	if (waits & WAIT_UNMARK)
		tell_source(model, i,
			    (struct migration_source_event){ .kind = SOURCE_ON_UNMARKED });
	if (waits & WAIT_DISCARD) {
		drop_data(node, i);
		tell_target(model, i,
			    (struct migration_target_event){ .kind = TARGET_ON_DISCARDED,
							     .is_done = true });
	}
}

static bool may_quiesce(const struct node *node)
{
	return !node->is_writing &&
	       (node->waits || memcmp(&node->seen, &node->published, sizeof(node->seen)) != 0);
}

static void move_cursor(struct model *model, uint32_t i)
{
	model->state.nodes[i].store.cursor = 1;
	model->state.nodes[i].scan = SCAN_READS;
}

static void read_slot(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	bool has_item = node->store.item.version != 0;

	node->scan = SCAN_RESTS;
	if (has_item)
		node->store.batch = node->store.item;
	tell_source(model, i,
		    (struct migration_source_event){ .kind = SOURCE_ON_SCANNED,
						     .is_done = true,
						     .items = has_item,
						     .bytes = has_item });
}

static void publish_write(struct node *node)
{
	struct store *store = &node->store;
	uint64_t first = version_make(store->epoch, 1);

	store->version_last = store->version_last < first ? first : store->version_last + 1;
	node->written.version = store->version_last;
	memset(&store->item, 0, sizeof(store->item));
	if (!node->written.is_tombstone)
		store->item.version = node->written.version;
}

static void begin_write(struct model *model, uint32_t i, bool removes)
{
	struct node *node = &model->state.nodes[i];

	node->is_writing = true;
	node->written.version = 0;
	node->written.is_tombstone = removes;
	node->cursor_seen = node->store.cursor;
	if (model->off != OFF_CURSOR_FENCE)
		publish_write(node);
}

static void end_write(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	struct store *store = &node->store;
	bool is_behind = store->cursor > 0;

	if (model->off == OFF_CURSOR_FENCE) {
		is_behind = node->cursor_seen > 0;
		publish_write(node);
	}
	if (node->seen.is_marked && (is_behind || store->ships_all)) {
		if (store->delta_count == RECORDS_MAX)
			violate(model, "more deltas than the model has room for");
		else
			store->deltas[store->delta_count++] = node->written;
	}
	node->is_writing = false;
	model->state.acked = node->written;
	memset(&node->written, 0, sizeof(node->written));
	node->cursor_seen = 0;
}

static bool would_write(const struct node *node)
{
	return node->is_up && node->seen.serves && !node->seen.parks_writes &&
	       !node->seen.parks_all;
}

static bool would_read(const struct node *node)
{
	return node->is_up && node->seen.serves && !node->seen.parks_all;
}

static void die(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	uint64_t generation = node->generation;
	struct partition_owner owner = node->owner;

	/* a write that was not acknowledged may be lost, or be there: it was not there alone */
	memset(node, 0, sizeof(*node));
	node->generation = generation;
	node->owner = owner;
	model->state.nodes[1 - i].knows_death = false;
	model->state.nodes[1 - i].knows_life = true; /* until it returns */
}

/* In a new life, with the map that the cluster has and no data. */
static void come_back(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	const struct node *other = &model->state.nodes[1 - i];

	node->is_up = true;
	node->generation++;
	node->owner = other->owner.epoch > node->owner.epoch ? other->owner : node->owner;
	node->knows_life = true;
	model->state.nodes[1 - i].knows_life = false;
}

static void hear_of_peer(struct model *model, uint32_t i, enum migration_peer peer)
{
	struct node *node = &model->state.nodes[i];
	const struct node *other = &model->state.nodes[1 - i];

	if (peer == MIGRATION_PEER_SUSPECTED_DEAD)
		node->knows_death = true;
	else
		node->knows_life = true;
	step_node(model, i,
		  &(struct migration_jobs_event){
			  .kind = JOBS_ON_PEER,
			  .node = id_of(1 - i),
			  .generation = other->generation,
			  .peer = peer == MIGRATION_PEER_GONE ? MIGRATION_PEER_ALIVE : peer });
}

static void learn_map(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];

	node->owner = model->state.nodes[1 - i].owner;
	publish(node, i);
	step_node(model, i, &(struct migration_jobs_event){ .kind = JOBS_ON_OWNER });
}

/* ---- what must hold ---- */

static void check_reads(struct model *model, const struct node *node)
{
	const struct record *acked = &model->state.acked;
	uint64_t version = acked->is_tombstone ? 0 : acked->version;

	if (node->store.item.version == version)
		return;
	/* a write that is being made may be read already */
	if (node->is_writing)
		return;
	if (node->store.item.version == 0)
		violate(model, "2, 6: a node answers reads without the last acknowledged write");
	else if (acked->is_tombstone)
		violate(model, "3, 6: a removed key is read");
	else
		violate(model, "3, 6: an older value is read");
}

static void check_state(struct model *model)
{
	const struct node *nodes = model->state.nodes;

	for (uint32_t i = 0; i < NODES; i++) {
		if (would_read(&nodes[i]))
			check_reads(model, &nodes[i]);
	}
	if (would_write(&nodes[0]) && would_write(&nodes[1]))
		violate(model, "1: two nodes would acknowledge writes");
}

/* ---- remembering states ---- */

static uint64_t since(uint64_t at_ms, uint64_t now_ms)
{
	return at_ms == UINT64_MAX ? UINT64_MAX : at_ms - now_ms;
}

/* Times count from the node's clock, statistics do not count. */
static void normalize_source(struct migration_source *source)
{
	uint64_t now_ms = source->now_ms;

	source->machine.kind = NULL;
	source->options = NULL;
	memset(&source->progress, 0, sizeof(source->progress));
	memset(&source->bytes, 0, sizeof(source->bytes));
	memset(&source->cpu, 0, sizeof(source->cpu));
	source->now_ms = 0;
	source->heard_at_ms = since(source->heard_at_ms, now_ms);
	source->ready_at_ms = since(source->ready_at_ms, now_ms);
	source->fence_not_before_ms = since(source->fence_not_before_ms, now_ms);
	source->parking_until_ms = since(source->parking_until_ms, now_ms);
	source->batch_retry.at_ms = since(source->batch_retry.at_ms, now_ms);
	source->delta_retry.at_ms = since(source->delta_retry.at_ms, now_ms);
	source->retry.at_ms = since(source->retry.at_ms, now_ms);
}

static void normalize_target(struct migration_target *target)
{
	uint64_t now_ms = target->now_ms;

	target->machine.kind = NULL;
	target->options = NULL;
	memset(&target->progress, 0, sizeof(target->progress));
	target->now_ms = 0;
	target->peer_since_ms = since(target->peer_since_ms, now_ms);
	target->heard_at_ms = since(target->heard_at_ms, now_ms);
	target->majority_since_ms = since(target->majority_since_ms, now_ms);
	target->retry_at_ms = since(target->retry_at_ms, now_ms);
	target->until_ms = since(target->until_ms, now_ms);
}

static int compare_messages(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct message));
}

static XXH128_hash_t hash_of(const struct state *from)
{
	static struct state state;

	state = *from;
	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &state.nodes[i];
		uint64_t now_ms = node->now_ms;

		if (!node->has_source)
			memset(&node->source, 0, sizeof(node->source));
		if (!node->has_target)
			memset(&node->target, 0, sizeof(node->target));
		/* a machine's clock is that of its last step */
		node->source.now_ms = now_ms;
		node->target.now_ms = now_ms;
		normalize_source(&node->source);
		normalize_target(&node->target);
		node->now_ms = 0;
	}
	qsort(state.messages, state.message_count, sizeof(state.messages[0]), compare_messages);
	return XXH3_128bits(&state, sizeof(state));
}

/* Whether the present state is new. */
static bool visit(struct model *model)
{
	XXH128_hash_t hash = hash_of(&model->state);
	uint64_t at = hash.low64 & model->visited_mask;

	hash.high64 |= 1; /* never the mark of a free place */
	for (;; at = (at + 1) & model->visited_mask) {
		if (model->visited[at].high64 == 0)
			break;
		if (XXH128_isEqual(model->visited[at], hash))
			return false;
	}
	if (model->counts.states > model->visited_mask / 4 * 3) {
		fprintf(stderr, "model: more states than the table has room for\n");
		exit(2);
	}
	model->visited[at] = hash;
	model->counts.states++;
	return true;
}

/* ---- the search ---- */

static void search(struct model *model);

/* Goes on from the present state, which 'what' led to, and back to 'before'. */
static void go_on(struct model *model, const struct state *before, const char *what, uint32_t node)
{
	model->counts.transitions++;
	if (model->depth == DEPTH_MAX) {
		fprintf(stderr, "model: deeper than there is room for\n");
		exit(2);
	}
	model->path[model->depth] = what;
	model->path_nodes[model->depth++] = node;
	check_state(model);
	if (!model->violation && visit(model))
		search(model);
	if (model->violation)
		return; /* the path stays, to be told */
	model->depth--;
	model->state = *before;
}

#define TRY(enabled, what, node, transition)                                                       \
	do {                                                                                       \
		if (!model->violation && (enabled)) {                                              \
			transition;                                                                \
			go_on(model, before, what, node);                                          \
		}                                                                                  \
	} while (0)

static const char *name_of(const struct message *message)
{
	if (message->kind == MESSAGE_RECORDS)
		return message->frame == SYNC_FRAME_BATCH ? "BATCH" : "DELTA";
	return sync_message_kind_name(message->control.kind);
}

static void try_messages(struct model *model, const struct state *before)
{
	for (uint32_t k = 0; k < before->message_count; k++) {
		const char *name = name_of(&before->messages[k]);
		uint32_t to = before->messages[k].to;

		TRY(true, name, to, arrive(model, k, false));
		TRY(before->copies > 0, name, to, {
			model->state.copies--;
			arrive(model, k, true);
		});
		TRY(before->losses > 0, "(a message is lost)", to, {
			model->state.losses--;
			remove_message(&model->state, k);
		});
	}
}

static void try_worker(struct model *model, const struct state *before, uint32_t i)
{
	const struct node *node = &before->nodes[i];

	TRY(may_quiesce(node), "worker sees what is published", i, quiesce(model, i));
	TRY(node->scan == SCAN_ASKED, "scan moves its cursor", i, move_cursor(model, i));
	TRY(node->scan == SCAN_READS, "scan reads the slot", i, read_slot(model, i));
	TRY(node->is_writing, "write is acknowledged", i, end_write(model, i));
	TRY(would_write(node) && !node->is_writing && before->writes > 0, "SET is published", i, {
		model->state.writes--;
		begin_write(model, i, false);
	});
	TRY(would_write(node) && !node->is_writing && before->writes > 0 &&
		    node->store.item.version != 0,
	    "DELETE is published", i, {
		    model->state.writes--;
		    begin_write(model, i, true);
	    });
}

static void try_control(struct model *model, const struct state *before, uint32_t i)
{
	const struct node *node = &before->nodes[i];
	const struct node *other = &before->nodes[1 - i];

	TRY(node->store.delta_told < node->store.delta_count && node->published.is_marked,
	    "source hears of deltas", i, {
		    model->state.nodes[i].store.delta_told = node->store.delta_count;
		    tell_source(model, i,
				(struct migration_source_event){ .kind = SOURCE_ON_DELTAS,
								 .last = node->store.delta_count });
	    });
	TRY(before->timers > 0 && has_deadline(model, i), "timer fires", i, {
		model->state.timers--;
		fire_timer(model, i);
	});
	TRY(node->is_announcing, "a majority has the map", i, {
		model->state.nodes[i].is_announcing = false;
		tell_target(model, i,
			    (struct migration_target_event){ .kind = TARGET_ON_ANNOUNCED });
	});
	TRY(other->is_up && other->owner.epoch > node->owner.epoch, "map spreads", i,
	    learn_map(model, i));
}

static void try_life(struct model *model, const struct state *before, uint32_t i)
{
	const struct node *other = &before->nodes[1 - i];

	TRY(before->nodes[i].is_up && before->deaths > 0, "dies", i, {
		model->state.deaths--;
		die(model, i);
	});
	if (!before->nodes[i].is_up) {
		TRY(before->returns > 0, "returns in a new life", i, {
			model->state.returns--;
			come_back(model, i);
		});
		return;
	}
	TRY(!other->is_up && !before->nodes[i].knows_death, "hears that the other is dead", i,
	    hear_of_peer(model, i, MIGRATION_PEER_SUSPECTED_DEAD));
	TRY(other->is_up && !before->nodes[i].knows_life, "hears of the other's new life", i,
	    hear_of_peer(model, i, MIGRATION_PEER_GONE));
}

static void search(struct model *model)
{
	struct state *before = malloc(sizeof(*before));

	if (!before)
		abort();
	*before = model->state;
	if (model->depth > model->counts.depth_max)
		model->counts.depth_max = model->depth;
	try_messages(model, before);
	for (uint32_t i = 0; i < NODES; i++) {
		if (before->nodes[i].is_up) {
			try_worker(model, before, i);
			try_control(model, before, i);
		}
		try_life(model, before, i);
	}
	free(before);
}

/* ---- the beginning ---- */

static void create_jobs(struct model *model, uint32_t i)
{
	const struct migration_jobs_options options = { .self = id_of(i),
							.generation = 1,
							.seed = JOB_SEED,
							.source_max = 1,
							.target_max = 1,
							.migration = model->options,
							.map = &model->maps[i],
							.held = &model->held[i] };

	model->maps[i].partition_count = 1;
	if (migration_jobs_create(&model->jobs[i], &options, 1000) != 0)
		abort();
	model->jobs[i]->sees_majority = true;
}

/* Node 0 owns the partition and has the key; node 1 starts to import it. */
static void begin(struct model *model)
{
	struct state *state = &model->state;
	struct migration_jobs_actions actions;
	struct answers answers = { 0 };

	for (uint32_t i = 0; i < NODES; i++) {
		struct node *node = &state->nodes[i];

		create_jobs(model, i);
		node->is_up = true;
		node->generation = 1;
		node->now_ms = 1000;
		node->knows_life = true;
		node->owner = (struct partition_owner){ .epoch = 1, .owner = id_of(0) };
	}
	state->acked.version = version_make(1, 1);
	hold(&state->nodes[0]);
	state->nodes[0].store.item.version = state->acked.version;
	state->nodes[0].store.version_last = state->acked.version;
	publish(&state->nodes[0], 0);
	state->nodes[0].seen = state->nodes[0].published;
	load_node(model, 1);
	if (migration_jobs_import(model->jobs[1], 1000, 0, 1, 0, &actions) != 0)
		abort();
	do_actions(model, 1, actions, &answers);
	store_node(model, 1);
	give_answers(model, 1, &answers);
}

static void tell_story(const struct model *model)
{
	printf("violated: %s\n", model->violation);
	for (uint32_t i = 0; i < model->depth; i++)
		printf("  %3u  %s: %s\n", i + 1, model->path_nodes[i] ? "target" : "source",
		       model->path[i]);
}

static void set_options(struct migration_options *options)
{
	migration_options_default(options);
	options->bytes_per_s = 0;
	options->cpu_permille = 0;
	options->window = 1;
	options->retry_ms = 100;
	options->retry_ms_max = 100;
	options->heartbeat_ms = 100;
	options->silence_ms_max = 200;
	options->parking_ms_max = 100;
	options->fence_pause_ms = 100;
	options->fences_max = 2;
	options->attempts_max = ATTEMPTS_MAX;
	options->attempt_pause_ms = 100;
	options->prepare_ms_max = 200;
	options->claim_ms = 100;
}

static uint32_t number_of(const char *text)
{
	return text ? (uint32_t)strtoul(text, NULL, 10) : 0;
}

static void read_arguments(struct model *model, int argc, char **argv, uint32_t *table_bits)
{
	struct {
		const char *name;
		uint32_t *value;
	} numbers[] = {
		{ "--writes", &model->state.writes }, { "--timers", &model->state.timers },
		{ "--losses", &model->state.losses }, { "--copies", &model->state.copies },
		{ "--deaths", &model->state.deaths }, { "--returns", &model->state.returns },
		{ "--table-bits", table_bits },
	};

	for (int i = 1; i + 1 < argc; i += 2) {
		for (uint32_t off = 0; off < OFF_COUNT; off++) {
			if (strcmp(argv[i], "--off") == 0 &&
			    strcmp(argv[i + 1], off_names[off]) == 0)
				model->off = (enum off)off;
		}
		for (uint32_t n = 0; n < sizeof(numbers) / sizeof(numbers[0]); n++) {
			if (strcmp(argv[i], numbers[n].name) == 0)
				*numbers[n].value = number_of(argv[i + 1]);
		}
	}
}

static void print_counts(const struct model *model)
{
	const struct counts *counts = &model->counts;

	printf("%llu states, %llu transitions, at most %llu deep\n",
	       (unsigned long long)counts->states, (unsigned long long)counts->transitions,
	       (unsigned long long)counts->depth_max);
	printf("jobs that ended on the way: %llu migrated, %llu aborted, %llu taken back, %llu "
	       "claimed; "
	       "writes that died with a node: %llu; messages without room: %llu\n",
	       (unsigned long long)counts->migrated, (unsigned long long)counts->aborted,
	       (unsigned long long)counts->reclaimed, (unsigned long long)counts->claimed,
	       (unsigned long long)counts->losses, (unsigned long long)counts->overflow);
}

int main(int argc, char **argv)
{
	struct model *model = calloc(1, sizeof(*model));
	uint32_t table_bits = 24;

	if (!model)
		return EXIT_FAILURE;
	read_arguments(model, argc, argv, &table_bits);
	model->visited_mask = (UINT64_C(1) << table_bits) - 1;
	model->visited = calloc(model->visited_mask + 1, sizeof(*model->visited));
	if (!model->visited)
		return EXIT_FAILURE;
	set_options(&model->options);
	begin(model);
	check_state(model);
	if (visit(model))
		search(model);
	print_counts(model);
	if (model->violation)
		tell_story(model);
	return model->violation ? EXIT_FAILURE : EXIT_SUCCESS;
}
