/* SPDX-License-Identifier: BSD-3-Clause */
/* What may happen: one function for each transition. */
#include "tests/model/model.h"

#include <string.h>

#include "storage/version.h"

void model_arrive(struct model *model, uint32_t number, bool stays)
{
	struct message message = model->state.messages[number];
	struct sync_batch batch;
	struct migration_jobs_event event = { .kind = JOBS_ON_MESSAGE,
					      .message = &message.control };

	if (!stays)
		model_remove_message(&model->state, number);
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
						       .sender = model_id(1 - message.to) };
	}
	model->arriving = &message;
	model_step(model, message.to, &event);
	model->arriving = NULL;
}

void model_fire_timer(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	uint64_t deadline_ms;

	model_load(model, i);
	deadline_ms = migration_jobs_deadline_ms(model->jobs[i]);
	if (deadline_ms > node->now_ms)
		node->now_ms = deadline_ms;
	model_step(model, i, &(struct migration_jobs_event){ .kind = JOBS_ON_TIMER });
}

bool model_has_deadline(struct model *model, uint32_t i)
{
	model_load(model, i);
	return migration_jobs_deadline_ms(model->jobs[i]) != UINT64_MAX;
}

void model_tell_source(struct model *model, uint32_t i, struct migration_source_event event)
{
	model_step(model, i,
		   &(struct migration_jobs_event){ .kind = JOBS_ON_SOURCE, .source = &event });
}

void model_tell_target(struct model *model, uint32_t i, struct migration_target_event event)
{
	model_step(model, i,
		   &(struct migration_jobs_event){ .kind = JOBS_ON_TARGET, .target = &event });
}

void model_tell_announced(struct model *model, uint32_t i)
{
	const struct node *node = &model->state.nodes[i];

	if (node->has_source && node->source.is_announcing)
		model_tell_source(model, i,
				  (struct migration_source_event){ .kind = SOURCE_ON_ANNOUNCED });
	else
		model_tell_target(model, i,
				  (struct migration_target_event){ .kind = TARGET_ON_ANNOUNCED });
}

/* The worker goes by what is published; then whoever waits for that goes on. */
void model_quiesce(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	uint32_t waits = node->waits;

	node->seen = node->published;
	node->waits = 0;
	if (waits & WAIT_BARRIER)
		model_tell_source(
			model, i,
			(struct migration_source_event){ .kind = SOURCE_ON_BARRIER_DONE });
	if (waits & WAIT_SNAPSHOT)
		model_tell_source(
			model, i,
			(struct migration_source_event){ .kind = SOURCE_ON_SNAPSHOT,
							 .is_ok = true,
							 .fence = node->snapshot_fence,
							 .last = node->store.delta_count,
							 .items = node->store.item.version != 0,
							 .digest = model_digest(&node->store),
							 .version = node->store.version_last });
	if (waits & WAIT_READS)
		model_tell_source(model, i,
				  (struct migration_source_event){ .kind = SOURCE_ON_READS_FENCED,
								   .fence = node->reads_fence });
	if (waits & WAIT_DROP) {
		model_drop(node, i);
		model_tell_source(model, i,
				  (struct migration_source_event){ .kind = SOURCE_ON_DROPPED,
								   .is_done = true });
	}
	if (waits & WAIT_UNMARK)
		model_tell_source(model, i,
				  (struct migration_source_event){ .kind = SOURCE_ON_UNMARKED });
	if (waits & WAIT_DISCARD) {
		model_drop(node, i);
		model_tell_target(model, i,
				  (struct migration_target_event){ .kind = TARGET_ON_DISCARDED,
								   .is_done = true });
	}
}

bool model_may_quiesce(const struct node *node)
{
	return !node->is_writing &&
	       (node->waits || memcmp(&node->seen, &node->published, sizeof(node->seen)) != 0);
}

void model_move_cursor(struct model *model, uint32_t i)
{
	model->state.nodes[i].store.cursor = 1;
	model->state.nodes[i].scan = SCAN_READS;
}

void model_read_slot(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	bool has_item = node->store.item.version != 0;

	node->scan = SCAN_RESTS;
	if (has_item)
		node->store.batch = node->store.item;
	model_tell_source(model, i,
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

void model_begin_write(struct model *model, uint32_t i, bool removes)
{
	struct node *node = &model->state.nodes[i];

	node->is_writing = true;
	node->written.version = 0;
	node->written.is_tombstone = removes;
	node->cursor_seen = node->store.cursor;
	if (model->off != OFF_CURSOR_FENCE)
		publish_write(node);
}

void model_end_write(struct model *model, uint32_t i)
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
			model_violate(model, "more deltas than the model has room for");
		else
			store->deltas[store->delta_count++] = node->written;
	}
	node->is_writing = false;
	model->state.acked = node->written;
	memset(&node->written, 0, sizeof(node->written));
	node->cursor_seen = 0;
}

bool model_would_write(const struct node *node)
{
	return node->is_up && node->seen.serves && !node->seen.parks_writes &&
	       !node->seen.parks_all;
}

bool model_would_read(const struct node *node)
{
	return node->is_up && node->seen.serves && !node->seen.parks_all;
}

void model_die(struct model *model, uint32_t i)
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
void model_come_back(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];
	const struct node *other = &model->state.nodes[1 - i];

	node->is_up = true;
	node->generation++;
	node->owner = other->owner.epoch > node->owner.epoch ? other->owner : node->owner;
	node->knows_life = true;
	model->state.nodes[1 - i].knows_life = false;
}

void model_hear_of_peer(struct model *model, uint32_t i, enum migration_peer peer)
{
	struct node *node = &model->state.nodes[i];
	const struct node *other = &model->state.nodes[1 - i];

	if (peer == MIGRATION_PEER_SUSPECTED_DEAD)
		node->knows_death = true;
	else
		node->knows_life = true;
	model_step(model, i,
		   &(struct migration_jobs_event){
			   .kind = JOBS_ON_PEER,
			   .node = model_id(1 - i),
			   .generation = other->generation,
			   .peer = peer == MIGRATION_PEER_GONE ? MIGRATION_PEER_ALIVE : peer });
}

void model_learn_map(struct model *model, uint32_t i)
{
	struct node *node = &model->state.nodes[i];

	node->owner = model->state.nodes[1 - i].owner;
	model_publish(node, i);
	model_step(model, i, &(struct migration_jobs_event){ .kind = JOBS_ON_OWNER });
}
