/* SPDX-License-Identifier: BSD-3-Clause */
/* Three nodes, their executor of migration actions, the network between them, and the checks. */
#include "tests/simulation/migration_harness.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/prng.h"
#include "storage/version.h"
#include "tests/simulation/event_heap.h"
#include "tests/simulation/toy_worker.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define START_US 1000000u

/* Times of the model, scaled down together: what matters is their order. */
#define TICK_US 40000u
#define PLAN_US 25000u
#define DEAD_MS 300u  /* unreachable until declared dead */
#define FENCE_MS 150u /* without a majority until nothing is answered */
#define CLAIM_MS 400u /* more than twice FENCE_MS */
#define PARKING_MS 40u
#define PARKING_SLACK_US 4000u /* until the worker has seen that the parking is over */
#define CLIENT_RETRY_US 1000u  /* doubled with each try */
#define CLIENT_PATIENCE_US 120000u
#define RECORDS_MAX 3u /* in a batch: small, so that there are many */
#define DELTAS_MAX 8u  /* in a block */
#define FRAME_MAX 512u
#define CALM_OP_INTERVAL_US 500u /* at most so many writes when everything shall settle */
#define OPERATOR_PATIENCE_MS 1500u
#define SETTLE_MS_MAX 60000u

enum event_kind {
	EVENT_CLIENT,    /* the clients send a request */
	EVENT_REQUEST,   /* a request arrives at a node */
	EVENT_WORK,      /* the second step of a write */
	EVENT_QUIESCE,   /* the worker would like to be quiescent */
	EVENT_SCAN_READ, /* the control thread reads the slots that the cursor has passed */
	EVENT_APPLY,     /* the target's store takes a batch */
	EVENT_SOURCE,    /* an answer for a source machine */
	EVENT_TARGET,    /* an answer for a target machine */
	EVENT_MESSAGE,   /* a frame arrives */
	EVENT_GOSSIP,    /* an ownership arrives */
	EVENT_ANNOUNCE,  /* likewise, to be acknowledged */
	EVENT_ANNOUNCED, /* the acknowledgement: from has it in its map */
	EVENT_ASK_MAP,   /* a node that was cut off asks for the map of another */
	EVENT_TOLD_MAP,  /* all ownerships of from have been sent, and have arrived */
	EVENT_OWNER,     /* the node's own map has changed */
	EVENT_CONNECTED, /* from: a link is up again */
	EVENT_TIMER,     /* of the machines */
	EVENT_TICK,      /* of the failure detector and the sweep */
	EVENT_PLAN,
	EVENT_FAULT,
	EVENT_CRASH,
	EVENT_ISOLATE,
	EVENT_RESTART,
	EVENT_JOIN, /* from, node: a cut link is repaired */
};

/* What a worker's quiescence is waited for. */
enum wait_purpose {
	WAIT_BARRIER,
	WAIT_SNAPSHOT,
	WAIT_READS,
	WAIT_UNMARK,
	WAIT_DROP,
	WAIT_DISCARD,
	WAIT_FORGET, /* no job asks: data of a partition that somebody else owns */
};

struct kept_frame {
	uint64_t first;
	uint64_t last; /* 0 = free */
	size_t size;
	uint8_t bytes[FRAME_MAX];
};

struct outbox {
	struct kept_frame batches[MIGRATION_WINDOW_MAX];
	struct kept_frame deltas[MIGRATION_WINDOW_MAX];
};

struct peer_view {
	enum migration_peer state;
	uint64_t generation;
	uint64_t unreachable_since_us; /* 0 = reachable */
};

struct sim_node {
	uint32_t index;
	uint64_t life; /* 0 = never ran; also the generation */
	bool is_running;
	struct partition_map map;
	struct partition_set held;
	struct partition_set importing;
	struct partition_set migrating;
	bool is_open[TOY_PARTITION_MAX]; /* PUBLISH_MAP came since it is this node's */
	uint64_t delta_told[TOY_PARTITION_MAX];
	uint64_t marks
		[TOY_PARTITION_MAX]; /* how often it was marked: hints of an earlier mark are void */
	struct toy_store stores[TOY_PARTITION_MAX];
	struct outbox outboxes[TOY_PARTITION_MAX];
	struct toy_worker worker;
	struct migration_jobs *jobs;
	uint64_t timer_at_us;
	uint32_t timer_spins;
	bool is_quiesce_due;
	uint64_t apply_at_us; /* of the last batch under way: they are applied in order */
	struct peer_view peers[SIM_NODE_COUNT];
	bool sees_majority; /* and has merged their maps */
	bool needs_map;     /* was cut off for so long that others may have claimed */
	bool is_announcing[TOY_PARTITION_MAX];
	uint64_t majority_lost_us;
	enum sync_message_kind lose_kind;
	uint32_t lose_times;
};

struct migration_harness {
	struct migration_harness_options options;
	struct migration_harness_counts counts;
	struct toy_history history;
	struct toy_rules rules;
	struct prng prng;
	struct event_heap heap;
	uint64_t now_us;
	uint64_t trace;
	bool is_settling;
	bool is_cut[SIM_NODE_COUNT][SIM_NODE_COUNT];
	uint64_t last_at_us[SIM_NODE_COUNT][SIM_NODE_COUNT];
	uint32_t wanted[TOY_PARTITION_MAX];
	uint32_t rotations;
	struct sim_node nodes[SIM_NODE_COUNT];
	uint8_t scratch[2 * SYNC_BATCH_FRAME_SIZE_MIN];
};

/* ---- small things ---- */

static uint32_t random_below(struct migration_harness *harness, uint32_t bound)
{
	return prng_below(&harness->prng, bound);
}

static bool is_chosen(struct migration_harness *harness, uint32_t chance, uint32_t of)
{
	return chance > 0 && random_below(harness, of) < chance;
}

static uint64_t id_of(uint32_t node)
{
	return node + 1;
}

static uint32_t node_of(uint64_t id)
{
	return (uint32_t)(id - 1);
}

__attribute__((format(printf, 2, 3))) static void tell(const struct migration_harness *harness,
						       const char *format, ...)
{
	va_list arguments;

	if (!harness->options.is_verbose)
		return;
	fprintf(stderr, "%10.3f ", (double)harness->now_us / 1000);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

static void push(struct migration_harness *harness, uint32_t kind, uint32_t node,
		 uint32_t partition, uint64_t delay_us, const void *bytes, size_t size)
{
	struct sim_event event = { .at_us = harness->now_us + delay_us,
				   .kind = kind,
				   .node = node,
				   .partition = partition,
				   .life = harness->nodes[node].life };

	event_heap_push(&harness->heap, event, bytes, size);
}

/* A delay of work inside a node. */
static uint64_t short_us(struct migration_harness *harness)
{
	return 1 + random_below(harness, 60);
}

/* ---- the network ---- */

static uint64_t network_us(struct migration_harness *harness)
{
	return 20 + random_below(harness, harness->options.delay_us_max);
}

/* Something from one node to another: may be lost, come twice, or damaged. */
static void transmit(struct migration_harness *harness, uint32_t kind, uint32_t from, uint32_t to,
		     const void *bytes, size_t size)
{
	const struct migration_harness_options *options = &harness->options;
	struct sim_event event = { .kind = kind, .node = to, .from = from };

	if (harness->is_cut[from][to] || is_chosen(harness, options->loss_percent, 100))
		return;
	event.at_us = harness->now_us + network_us(harness);
	if (options->is_ordered && event.at_us <= harness->last_at_us[from][to])
		event.at_us = harness->last_at_us[from][to] + 1;
	harness->last_at_us[from][to] = event.at_us;
	event_heap_push(&harness->heap, event, bytes, size);
	if (!is_chosen(harness, options->duplicate_percent, 100))
		return;
	event.at_us +=
		is_chosen(harness, 1, 2) ? network_us(harness) : 1000u * random_below(harness, 200);
	event_heap_push(&harness->heap, event, bytes, size);
}

static void send_frame(struct migration_harness *harness, uint32_t from, uint32_t to,
		       uint8_t *bytes, size_t size)
{
	size_t at = random_below(harness, (uint32_t)size);
	bool is_damaged = is_chosen(harness, harness->options.corrupt_percent, 100);

	bytes[at] ^= is_damaged ? 0x10 : 0;
	transmit(harness, EVENT_MESSAGE, from, to, bytes, size);
	bytes[at] ^= is_damaged ? 0x10 : 0;
}

static void send_message(struct migration_harness *harness, struct sim_node *node, uint64_t to,
			 const struct sync_message *message)
{
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];

	if (node->lose_times > 0 && node->lose_kind == message->kind) {
		node->lose_times--;
		tell(harness, "%u: %s is lost", node->index, sync_message_kind_name(message->kind));
		return;
	}
	tell(harness, "%u -> %u: %s attempt %u fence %u batch %llu delta %llu epoch %u (%s)",
	     node->index, node_of(to), sync_message_kind_name(message->kind), message->attempt,
	     message->fence, (unsigned long long)message->batch, (unsigned long long)message->delta,
	     message->epoch, migration_reason_text(message->reason));
	send_frame(harness, node->index, node_of(to), bytes, sync_message_encode(message, bytes));
}

static void spread(struct migration_harness *harness, const struct sim_node *node,
		   uint32_t partition)
{
	for (uint32_t to = 0; to < SIM_NODE_COUNT; to++) {
		if (to != node->index)
			transmit(harness, EVENT_GOSSIP, node->index, to,
				 &node->map.partitions[partition], sizeof(struct partition_owner));
	}
}

/* ---- what a node's control thread shows its worker ---- */

static void want_quiescence(struct migration_harness *harness, struct sim_node *node)
{
	if (node->is_quiesce_due)
		return;
	node->is_quiesce_due = true;
	push(harness, EVENT_QUIESCE, node->index, 0, 1 + random_below(harness, 1500), NULL, 0);
}

static void publish(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	const struct partition_owner *entry = &node->map.partitions[partition];
	struct toy_view *view = &node->worker.published[partition];

	view->owner = entry->owner;
	view->epoch = entry->epoch;
	view->serves = entry->owner == id_of(node->index) && node->is_open[partition] &&
		       partition_set_has(&node->held, partition);
	want_quiescence(harness, node);
}

static void wait_for_worker(struct migration_harness *harness, struct sim_node *node,
			    uint32_t partition, enum wait_purpose purpose, uint32_t fence)
{
	const struct toy_waiter waiter = { partition, purpose, fence };

	toy_worker_wait(&node->worker, &waiter);
	want_quiescence(harness, node);
}

static void answer_source(struct migration_harness *harness, const struct sim_node *node,
			  uint32_t partition, const struct migration_source_event *event)
{
	push(harness, EVENT_SOURCE, node->index, partition, short_us(harness), event,
	     sizeof(*event));
}

static void answer_target(struct migration_harness *harness, const struct sim_node *node,
			  uint32_t partition, const struct migration_target_event *event)
{
	push(harness, EVENT_TARGET, node->index, partition, short_us(harness), event,
	     sizeof(*event));
}

/* This node has the data of the partition and may serve it. */
static void hold(struct sim_node *node, uint32_t partition)
{
	partition_set_add(&node->held, partition);
	node->is_open[partition] = true;
	node->stores[partition].epoch = node->map.partitions[partition].epoch;
}

static void let_go(struct sim_node *node, uint32_t partition)
{
	partition_set_remove(&node->held, partition);
	node->is_open[partition] = false;
}

/* ---- batches and deltas of the source ---- */

static struct kept_frame *free_frame(struct kept_frame *frames)
{
	for (uint32_t i = 0; i < MIGRATION_WINDOW_MAX; i++) {
		if (frames[i].last == 0)
			return &frames[i];
	}
	fprintf(stderr, "simulation: more frames kept than the window allows\n");
	abort();
}

static void release_frames(struct kept_frame *frames, uint64_t last)
{
	for (uint32_t i = 0; i < MIGRATION_WINDOW_MAX; i++) {
		if (frames[i].last <= last)
			frames[i].last = 0;
	}
}

/* Sends the kept frame of that number. */
static void send_kept(struct migration_harness *harness, const struct sim_node *node, uint64_t to,
		      struct kept_frame *frames, uint64_t first)
{
	for (uint32_t i = 0; i < MIGRATION_WINDOW_MAX; i++) {
		if (frames[i].last != 0 && frames[i].first == first) {
			tell(harness, "%u -> %u: records from %llu", node->index, node_of(to),
			     (unsigned long long)first);
			send_frame(harness, node->index, node_of(to), frames[i].bytes,
				   frames[i].size);
			return;
		}
	}
	fprintf(stderr, "simulation: a frame to be sent was not kept\n");
	abort();
}

/* Packs records into a kept frame and returns its size. */
static size_t keep(struct migration_harness *harness, const struct sim_node *node,
		   uint32_t partition, enum sync_frame_kind kind, uint64_t first,
		   const struct toy_record *records, uint32_t count, struct kept_frame *frame)
{
	const struct migration_job *job = &migration_jobs_source(node->jobs, partition)->job;
	const struct sync_batch batch = { .kind = kind,
					  .job = job->job,
					  .attempt = job->attempt,
					  .partition = partition,
					  .first = first };
	struct sync_batch_writer writer;

	sync_batch_writer_init(&writer, harness->scratch, sizeof(harness->scratch));
	for (uint32_t i = 0; i < count; i++) {
		uint8_t key = (uint8_t)records[i].key;
		const struct sync_record record = {
			.version = records[i].item.version,
			.expires_at_ms = records[i].item.expires_at_ms,
			.key = &key,
			.key_size = 1,
			.value = (const uint8_t *)&records[i].item.value,
			.value_size = records[i].is_tombstone ? 0 : sizeof(uint64_t),
			.is_tombstone = records[i].is_tombstone,
		};

		if (!sync_batch_writer_add(&writer, &record))
			abort();
	}
	frame->size = sync_batch_writer_finish(&writer, &batch);
	assert(frame->size <= FRAME_MAX);
	memcpy(frame->bytes, harness->scratch, frame->size);
	frame->first = first;
	frame->last = kind == SYNC_FRAME_BATCH ? first : first + count - 1;
	return frame->size;
}

/* First step of a slice: the cursor moves. The slots are read a little later. */
static void scan(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	struct toy_store *store = &node->stores[partition];
	uint32_t from = store->cursor;
	uint32_t to;

	if (store->scan_end == TOY_SLOT_NONE)
		store->scan_end = store->slot_end;
	to = from + 1 + random_below(harness, RECORDS_MAX);
	store->cursor = to < store->scan_end ? to : store->scan_end;
	push(harness, EVENT_SCAN_READ, node->index, partition, short_us(harness), &from,
	     sizeof(from));
}

static void scan_read(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		      uint32_t from)
{
	struct toy_store *store = &node->stores[partition];
	struct toy_record records[RECORDS_MAX];
	struct migration_source_event event = { .kind = SOURCE_ON_SCANNED, .cpu_us = 10 };
	uint32_t count = 0;

	for (uint32_t slot = from; slot < store->cursor; slot++) {
		uint32_t key = store->slot_keys[slot];

		if (key == TOY_SLOT_NONE)
			continue;
		records[count].key = key;
		records[count].is_tombstone = false;
		records[count++].item = store->items[key];
	}
	event.items = count;
	event.is_done = store->cursor == store->scan_end;
	if (count > 0) {
		const struct migration_source *source =
			migration_jobs_source(node->jobs, partition);

		event.bytes =
			keep(harness, node, partition, SYNC_FRAME_BATCH, source->batch_made + 1,
			     records, count, free_frame(node->outboxes[partition].batches));
	}
	answer_source(harness, node, partition, &event);
}

static void drain(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	struct toy_store *store = &node->stores[partition];
	struct toy_record records[DELTAS_MAX];
	struct migration_source_event event = { .kind = SOURCE_ON_DRAINED };
	uint32_t count = toy_store_drain(store, DELTAS_MAX, records);

	event.last = store->delta_last - store->ring_count;
	event.first = event.last - count + 1;
	if (count > 0)
		event.bytes = keep(harness, node, partition, SYNC_FRAME_DELTA, event.first, records,
				   count, free_frame(node->outboxes[partition].deltas));
	answer_source(harness, node, partition, &event);
}

/* The control thread looks at the ring now and then. */
static void tell_deltas(struct migration_harness *harness, struct sim_node *node,
			uint32_t partition)
{
	const struct toy_store *store = &node->stores[partition];
	struct migration_source_event event = { .kind = SOURCE_ON_DELTAS,
						.last = store->delta_last };
	struct sim_event hint = { .kind = EVENT_SOURCE,
				  .node = node->index,
				  .partition = partition,
				  .life = node->life,
				  .number = node->marks[partition] };

	if (!partition_set_has(&node->migrating, partition))
		return;
	if (store->is_delta_lost)
		event.kind = SOURCE_ON_DELTAS_LOST;
	else if (store->delta_last == node->delta_told[partition])
		return;
	node->delta_told[partition] = store->delta_last;
	hint.at_us = harness->now_us + 100 + random_below(harness, 400);
	event_heap_push(&harness->heap, hint, &event, sizeof(event));
}

/* ---- the executor of a source's actions ---- */

static void fence(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		  bool reads_too)
{
	struct toy_view *view = &node->worker.published[partition];

	view->parks_writes = true;
	view->parks_all = reads_too;
	view->refuses_parked = false;
	want_quiescence(harness, node);
}

static void unfence(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		    bool refuses_parked)
{
	struct toy_view *view = &node->worker.published[partition];

	view->parks_writes = false;
	view->parks_all = false;
	view->refuses_parked = refuses_parked;
	want_quiescence(harness, node);
}

static void mark(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	toy_store_mark(&node->stores[partition]);
	node->marks[partition]++;
	memset(&node->outboxes[partition], 0, sizeof(node->outboxes[partition]));
	node->delta_told[partition] = 0;
	node->worker.published[partition].is_marked = true;
	partition_set_add(&node->migrating, partition);
	harness->counts.started++;
	want_quiescence(harness, node);
}

static void barrier(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_BARRIER_DONE };

	if (harness->options.off == SIM_NO_BARRIER)
		answer_source(harness, node, partition, &event);
	else
		wait_for_worker(harness, node, partition, WAIT_BARRIER, 0);
}

static void fence_reads(struct migration_harness *harness, struct sim_node *node,
			uint32_t partition, uint32_t number)
{
	const struct migration_source_event event = { .kind = SOURCE_ON_READS_FENCED,
						      .fence = number };

	fence(harness, node, partition, true);
	if (harness->options.off == SIM_NO_READ_FENCE)
		answer_source(harness, node, partition, &event);
	else
		wait_for_worker(harness, node, partition, WAIT_READS, number);
}

/* Enters an ownership in the node's map; the machines hear of it afterwards. */
static void record_owner(struct migration_harness *harness, struct sim_node *node,
			 uint32_t partition, uint64_t owner, uint32_t epoch)
{
	const struct partition_owner entry = { .partition = partition,
					       .epoch = epoch,
					       .owner = owner };

	if (partition_map_merge(&node->map, &entry) == PARTITION_MERGE_TAKEN)
		push(harness, EVENT_OWNER, node->index, partition, 0, NULL, 0);
}

/* What a lost target took at its epoch is lost with it; all else must be here. */
static void take_back(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		      uint32_t epoch)
{
	toy_history_take_over(&harness->history, partition, &node->stores[partition],
			      version_make(epoch - 1, 0));
	hold(node, partition);
}

static void source_records_owner(struct migration_harness *harness, struct sim_node *node,
				 uint32_t partition, const struct migration_source_action *action)
{
	record_owner(harness, node, partition, action->owner, action->epoch);
	if (action->owner == id_of(node->index))
		take_back(harness, node, partition, action->epoch);
}

static void count_source(struct migration_harness *harness, const struct migration_source *source)
{
	struct migration_harness_counts *counts = &harness->counts;

	if (source->machine.state != SOURCE_DONE)
		return;
	counts->migrated += source->outcome == SOURCE_MIGRATED;
	counts->aborted += source->outcome == SOURCE_ABORTED;
	counts->reclaimed += source->outcome == SOURCE_RECLAIMED;
	counts->superseded += source->outcome == SOURCE_SUPERSEDED;
	counts->reasons[source->reason]++;
}

/* A digest that differs is a protection that failed, found in time: no harm done, no excuse either. */
static void check_reason(struct migration_harness *harness, enum migration_reason reason)
{
	if (reason == MIGRATION_MISMATCH)
		toy_history_violate(&harness->history, 2, "the digests of a copy differ");
}

static void fire_crash_point(struct migration_harness *harness, const struct migration_job *job,
			     bool is_of_target, uint32_t state)
{
	struct sim_crash_point *crash = &harness->options.crash;
	uint32_t source = node_of(job->source);
	uint32_t target = node_of(job->target);
	uint32_t victims[] = { source, target, SIM_NODE_COUNT - source - target };

	if (!crash->is_armed || crash->is_of_target != is_of_target || crash->state != state)
		return;
	crash->is_armed = false;
	harness->counts.crash_points++;
	push(harness, crash->isolates ? EVENT_ISOLATE : EVENT_CRASH, victims[crash->victim], 0,
	     random_below(harness, 1500), NULL, 0);
	if (crash->restart_after_ms > 0)
		push(harness, EVENT_RESTART, victims[crash->victim], 0,
		     1000u * crash->restart_after_ms, NULL, 0);
}

static void report_source(struct migration_harness *harness, const struct sim_node *node,
			  uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(node->jobs, partition);

	tell(harness, "%u: source of %u: %s (%s)", node->index, partition,
	     migration_source_state_name(migration_source_state(source)),
	     migration_reason_text(source->reason));
	check_reason(harness, source->reason);
	count_source(harness, source);
	fire_crash_point(harness, &source->job, false, source->machine.state);
}

static void drop(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		 enum wait_purpose purpose)
{
	let_go(node, partition);
	publish(harness, node, partition);
	wait_for_worker(harness, node, partition, purpose, 0);
}

static void unmark(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	node->worker.published[partition].is_marked = false;
	partition_set_remove(&node->migrating, partition);
	wait_for_worker(harness, node, partition, WAIT_UNMARK, 0);
}

static void check_capacity(struct migration_harness *harness, const struct sim_node *node,
			   uint32_t partition)
{
	const struct migration_source_event event = {
		.kind = SOURCE_ON_CAPACITY,
		.is_ok = harness->is_settling || !is_chosen(harness, 1, 50),
		.items = node->stores[partition].item_count,
	};

	answer_source(harness, node, partition, &event);
}

static void do_source(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		      uint64_t to, const struct migration_source_action *action)
{
	struct outbox *outbox = &node->outboxes[partition];

	switch (action->kind) {
	case SOURCE_DO_CHECK_CAPACITY:
		check_capacity(harness, node, partition);
		break;
	case SOURCE_DO_MARK:
		mark(harness, node, partition);
		break;
	case SOURCE_DO_BARRIER:
		barrier(harness, node, partition);
		break;
	case SOURCE_DO_SCAN:
		scan(harness, node, partition);
		break;
	case SOURCE_DO_SEND_BATCH:
		send_kept(harness, node, to, outbox->batches, action->batch);
		break;
	case SOURCE_DO_RELEASE_BATCHES:
		release_frames(outbox->batches, action->batch);
		break;
	case SOURCE_DO_DRAIN:
		drain(harness, node, partition);
		break;
	case SOURCE_DO_SEND_DELTAS:
		send_kept(harness, node, to, outbox->deltas, action->first);
		break;
	case SOURCE_DO_RELEASE_DELTAS:
		release_frames(outbox->deltas, action->last);
		break;
	case SOURCE_DO_SNAPSHOT:
		wait_for_worker(harness, node, partition, WAIT_SNAPSHOT, action->fence);
		break;
	case SOURCE_DO_FENCE_WRITES:
		fence(harness, node, partition, false);
		wait_for_worker(harness, node, partition, WAIT_SNAPSHOT, action->fence);
		break;
	case SOURCE_DO_FENCE_READS:
		fence_reads(harness, node, partition, action->fence);
		break;
	case SOURCE_DO_UNFENCE:
	case SOURCE_DO_FORWARD_PARKED:
		unfence(harness, node, partition, false);
		break;
	case SOURCE_DO_REFUSE_PARKED:
		unfence(harness, node, partition, true);
		break;
	case SOURCE_DO_RECORD_OWNER:
		source_records_owner(harness, node, partition, action);
		break;
	case SOURCE_DO_PUBLISH_MAP:
		publish(harness, node, partition);
		spread(harness, node, partition);
		break;
	case SOURCE_DO_DROP_SLICE:
		drop(harness, node, partition, WAIT_DROP);
		break;
	case SOURCE_DO_UNMARK:
		unmark(harness, node, partition);
		break;
	case SOURCE_DO_SEND:
		send_message(harness, node, to, &action->message);
		break;
	case SOURCE_DO_REPORT:
		report_source(harness, node, partition);
		break;
	}
}

/* ---- the executor of a target's actions ---- */

static void stage(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	const struct migration_target_event event = { .kind = TARGET_ON_STAGED, .is_ok = true };

	if (!toy_store_is_empty(&node->stores[partition]))
		toy_history_violate(&harness->history, 5,
				    "node %u stages partition %u over leftovers", node->index,
				    partition);
	toy_store_init(&node->stores[partition], harness->options.ring_size);
	answer_target(harness, node, partition, &event);
}

/* The batch is the event's: its bytes are copied for later. */
static void apply(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		  const struct sync_batch *batch)
{
	size_t size = SYNC_BATCH_HEADER_SIZE + (size_t)batch->records_size;
	const uint8_t *payload = batch->records - SYNC_BATCH_HEADER_SIZE;
	uint64_t at_us = harness->now_us + short_us(harness);

	if (at_us <= node->apply_at_us)
		at_us = node->apply_at_us + 1;
	node->apply_at_us = at_us;
	memcpy(harness->scratch + SYNC_FRAME_HEADER_SIZE, payload, size);
	size = sync_frame_seal(harness->scratch, batch->kind, size);
	push(harness, EVENT_APPLY, node->index, partition, at_us - harness->now_us,
	     harness->scratch, size);
}

static struct toy_record toy_record_of(const struct sync_record *record)
{
	struct toy_record toy = { .key = record->key[0],
				  .is_tombstone = record->is_tombstone,
				  .item = { .version = record->version,
					    .expires_at_ms = record->expires_at_ms } };

	if (!record->is_tombstone)
		memcpy(&toy.item.value, record->value, sizeof(toy.item.value));
	return toy;
}

static void apply_now(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		      const struct sim_event *at)
{
	struct toy_store *store = &node->stores[partition];
	struct migration_target_event event = { .kind = TARGET_ON_APPLIED };
	struct sync_record record;
	struct sync_frame frame;
	struct sync_batch batch;
	size_t offset = 0;

	if (sync_frame_decode(&frame, at->bytes, at->size) != 0 ||
	    sync_batch_decode(&batch, &frame) != 0)
		abort();
	event.is_ok = !is_chosen(harness, harness->options.oom_permille, 1000);
	while (event.is_ok && sync_batch_next(&batch, &offset, &record)) {
		const struct toy_record toy = toy_record_of(&record);

		toy_store_apply(store, &harness->rules, &toy);
	}
	event.frame = batch.kind;
	event.last = batch.kind == SYNC_FRAME_BATCH ? batch.first : sync_batch_last(&batch);
	event.items = store->item_count;
	event.digest = store->digest;
	event.version = store->version_last;
	/* In order, like the batches. */
	push(harness, EVENT_TARGET, node->index, partition, 50, &event, sizeof(event));
}

/* Before the first request is served. */
static void check_take_over(struct migration_harness *harness, const struct sim_node *node,
			    uint32_t partition)
{
	const struct migration_target *target = migration_jobs_target(node->jobs, partition);
	const struct toy_store *store = &node->stores[partition];
	bool is_verified = target->is_final_known && target->is_final_answered;

	if (!target->is_claim)
		toy_history_take_over(&harness->history, partition, store, UINT64_MAX);
	else if (is_verified)
		toy_history_take_over(&harness->history, partition, store, target->final.version);
	else
		toy_history_accept_loss(&harness->history, partition, store);
	harness->counts.claimed += target->is_claim && is_verified;
}

static void target_publishes(struct migration_harness *harness, struct sim_node *node,
			     uint32_t partition)
{
	if (node->map.partitions[partition].owner == id_of(node->index) &&
	    !partition_set_has(&node->held, partition)) {
		check_take_over(harness, node, partition);
		hold(node, partition);
	}
	publish(harness, node, partition);
	spread(harness, node, partition);
}

/* Until one of the two others has it: two of three are a majority. */
static void announce(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	const struct migration_target_event event = { .kind = TARGET_ON_ANNOUNCED };

	if (harness->options.off == SIM_NO_MAJORITY) {
		answer_target(harness, node, partition, &event);
		return;
	}
	node->is_announcing[partition] = true;
	for (uint32_t to = 0; to < SIM_NODE_COUNT; to++) {
		if (to != node->index)
			transmit(harness, EVENT_ANNOUNCE, node->index, to,
				 &node->map.partitions[partition], sizeof(struct partition_owner));
	}
}

static void finalize(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		     const struct migration_target_action *action)
{
	const struct migration_target_event event = { .kind = TARGET_ON_FINALIZED };

	toy_store_finalize(&node->stores[partition], action->epoch, action->version);
	answer_target(harness, node, partition, &event);
}

static void report_target(struct migration_harness *harness, const struct sim_node *node,
			  uint32_t partition)
{
	const struct migration_target *target = migration_jobs_target(node->jobs, partition);

	tell(harness, "%u: target of %u: %s attempt %u (%s)", node->index, partition,
	     migration_target_state_name(migration_target_state(target)), target->job.attempt,
	     migration_reason_text(target->reason));
	check_reason(harness, target->reason);
	fire_crash_point(harness, &target->job, true, target->machine.state);
}

static void do_target(struct migration_harness *harness, struct sim_node *node, uint32_t partition,
		      uint64_t to, const struct migration_target_action *action)
{
	switch (action->kind) {
	case TARGET_DO_MARK:
		partition_set_add(&node->importing, partition);
		break;
	case TARGET_DO_STAGE:
		stage(harness, node, partition);
		break;
	case TARGET_DO_APPLY:
		apply(harness, node, partition, action->batch);
		break;
	case TARGET_DO_FINALIZE:
		finalize(harness, node, partition, action);
		break;
	case TARGET_DO_DISCARD_SLICE:
		drop(harness, node, partition, WAIT_DISCARD);
		break;
	case TARGET_DO_RECORD_OWNER:
		record_owner(harness, node, partition, action->owner, action->epoch);
		break;
	case TARGET_DO_ANNOUNCE:
		announce(harness, node, partition);
		break;
	case TARGET_DO_PUBLISH_MAP:
		target_publishes(harness, node, partition);
		break;
	case TARGET_DO_UNMARK:
		partition_set_remove(&node->importing, partition);
		break;
	case TARGET_DO_SEND:
		send_message(harness, node, to, &action->message);
		break;
	case TARGET_DO_REPORT:
		report_target(harness, node, partition);
		break;
	}
}

/* ---- steps of a node's machines ---- */

static void set_timer(struct migration_harness *harness, struct sim_node *node)
{
	uint64_t deadline_ms = migration_jobs_deadline_ms(node->jobs);
	uint64_t at_us = deadline_ms == UINT64_MAX ? UINT64_MAX : deadline_ms * 1000;

	if (at_us <= harness->now_us)
		at_us = harness->now_us + 1;
	if (at_us == node->timer_at_us)
		return;
	node->timer_at_us = at_us;
	if (at_us != UINT64_MAX)
		push(harness, EVENT_TIMER, node->index, 0, at_us - harness->now_us, NULL, 0);
}

static void do_actions(struct migration_harness *harness, struct sim_node *node,
		       struct migration_jobs_actions actions)
{
	for (uint32_t i = 0; i < actions.count; i++) {
		const struct migration_jobs_action *action = &actions.items[i];

		if (action->kind == JOBS_SOURCE)
			do_source(harness, node, action->partition, action->to, action->source);
		else if (action->kind == JOBS_TARGET)
			do_target(harness, node, action->partition, action->to, action->target);
		else
			send_message(harness, node, action->to, &action->message);
	}
	if (!migration_jobs_are_sound(node->jobs)) {
		fprintf(stderr, "simulation: seed %llu: a machine is unsound\n",
			(unsigned long long)harness->options.seed);
		abort();
	}
	set_timer(harness, node);
}

static void step_jobs(struct migration_harness *harness, struct sim_node *node,
		      const struct migration_jobs_event *event)
{
	do_actions(harness, node, migration_jobs_step(node->jobs, harness->now_us / 1000, event));
}

static void on_timer(struct migration_harness *harness, struct sim_node *node,
		     const struct sim_event *at)
{
	const struct migration_jobs_event event = { .kind = JOBS_ON_TIMER };
	uint64_t now_ms = harness->now_us / 1000;

	if (at->at_us != node->timer_at_us)
		return;
	node->timer_at_us = 0;
	step_jobs(harness, node, &event);
	node->timer_spins =
		migration_jobs_deadline_ms(node->jobs) <= now_ms ? node->timer_spins + 1 : 0;
	if (node->timer_spins > 100) {
		fprintf(stderr, "simulation: seed %llu: a deadline that does not pass\n",
			(unsigned long long)harness->options.seed);
		abort();
	}
}

/* Whether a job works on the partition; one that is done may still be seen until the next step. */
static bool has_job(const struct sim_node *node, uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(node->jobs, partition);
	const struct migration_target *target = migration_jobs_target(node->jobs, partition);

	return (source && source->machine.state != SOURCE_DONE) ||
	       (target && target->machine.state != TARGET_DONE);
}

/* Data that this node has and somebody else owns, with no job that would see to it. */
static void forget_foreign(struct migration_harness *harness, struct sim_node *node,
			   uint32_t partition)
{
	if (!partition_set_has(&node->held, partition) ||
	    node->map.partitions[partition].owner == id_of(node->index) || has_job(node, partition))
		return;
	drop(harness, node, partition, WAIT_FORGET);
}

static void on_owner(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	const struct migration_jobs_event event = { .kind = JOBS_ON_OWNER, .partition = partition };

	tell(harness, "%u: partition %u belongs to %llu at epoch %u", node->index, partition,
	     (unsigned long long)node->map.partitions[partition].owner - 1,
	     node->map.partitions[partition].epoch);
	publish(harness, node, partition);
	step_jobs(harness, node, &event);
	forget_foreign(harness, node, partition);
}

/* Takes over an ownership; returns it. */
static struct partition_owner merge(struct migration_harness *harness, struct sim_node *node,
				    const struct sim_event *at, enum partition_merge *result)
{
	struct partition_owner entry;

	memcpy(&entry, at->bytes, sizeof(entry));
	*result = partition_map_merge(&node->map, &entry);
	if (*result == PARTITION_MERGE_TAKEN) {
		spread(harness, node, entry.partition);
		on_owner(harness, node, entry.partition);
	}
	return entry;
}

static void on_gossip(struct migration_harness *harness, struct sim_node *node,
		      const struct sim_event *at)
{
	enum partition_merge result;
	struct partition_owner entry = merge(harness, node, at, &result);

	if (result == PARTITION_MERGE_OLDER)
		transmit(harness, EVENT_GOSSIP, node->index, at->from,
			 &node->map.partitions[entry.partition], sizeof(entry));
}

static void on_announce(struct migration_harness *harness, struct sim_node *node,
			const struct sim_event *at)
{
	enum partition_merge result;
	struct partition_owner entry = merge(harness, node, at, &result);

	transmit(harness, EVENT_ANNOUNCED, node->index, at->from,
		 &node->map.partitions[entry.partition], sizeof(entry));
}

static void on_announced(struct migration_harness *harness, struct sim_node *node,
			 const struct sim_event *at)
{
	const struct migration_target_event event = { .kind = TARGET_ON_ANNOUNCED };
	enum partition_merge result;
	uint32_t partition = merge(harness, node, at, &result).partition;

	if (!node->is_announcing[partition])
		return;
	node->is_announcing[partition] = false;
	answer_target(harness, node, partition, &event);
}

/* The whole map, and the word that it was all: in one piece, as over TCP. */
static void on_ask_map(struct migration_harness *harness, const struct sim_node *node,
		       const struct sim_event *at)
{
	transmit(harness, EVENT_TOLD_MAP, node->index, at->from, node->map.partitions,
		 harness->options.partition_count * sizeof(struct partition_owner));
}

static void on_told_map(struct migration_harness *harness, struct sim_node *node,
			const struct sim_event *at)
{
	enum partition_merge result;
	struct sim_event entry = *at;

	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		entry.bytes = at->bytes + p * sizeof(struct partition_owner);
		merge(harness, node, &entry, &result);
	}
	node->needs_map = false;
}

/* The negative control: whatever comes counts as being of the attempt that runs. */
static uint32_t disguise_attempt(const struct migration_harness *harness,
				 const struct sim_node *node, uint32_t partition, uint64_t job,
				 uint32_t attempt)
{
	const struct migration_source *source = migration_jobs_source(node->jobs, partition);
	const struct migration_target *target = migration_jobs_target(node->jobs, partition);

	if (harness->options.off != SIM_NO_ATTEMPT_FENCING)
		return attempt;
	if (source && source->job.job == job)
		return source->job.attempt;
	return target && target->job.job == job ? target->job.attempt : attempt;
}

static void on_records(struct migration_harness *harness, struct sim_node *node, uint32_t from,
		       const struct sync_frame *frame)
{
	struct sync_batch batch;
	struct migration_jobs_event event = { .kind = JOBS_ON_BATCH,
					      .batch = &batch,
					      .sender = id_of(from) };

	if (sync_batch_decode(&batch, frame) != 0)
		return;
	batch.attempt = disguise_attempt(harness, node, batch.partition, batch.job, batch.attempt);
	step_jobs(harness, node, &event);
}

static void on_frame(struct migration_harness *harness, struct sim_node *node,
		     const struct sim_event *at)
{
	struct sync_message message;
	struct migration_jobs_event event = { .kind = JOBS_ON_MESSAGE, .message = &message };
	struct sync_frame frame;

	if (harness->is_cut[at->from][node->index] ||
	    sync_frame_decode(&frame, at->bytes, at->size) != 0)
		return;
	if (frame.kind != SYNC_FRAME_CONTROL) {
		on_records(harness, node, at->from, &frame);
		return;
	}
	if (sync_message_decode(&message, &frame) != 0)
		return;
	message.attempt =
		disguise_attempt(harness, node, message.partition, message.job, message.attempt);
	step_jobs(harness, node, &event);
}

static void on_answer(struct migration_harness *harness, struct sim_node *node,
		      const struct sim_event *at)
{
	struct migration_source_event to_source;
	struct migration_target_event to_target;
	struct migration_jobs_event event = { .partition = at->partition };

	if (at->number != 0 && at->number != node->marks[at->partition])
		return;
	if (at->kind == EVENT_SOURCE) {
		memcpy(&to_source, at->bytes, sizeof(to_source));
		event.kind = JOBS_ON_SOURCE;
		event.source = &to_source;
	} else {
		memcpy(&to_target, at->bytes, sizeof(to_target));
		event.kind = JOBS_ON_TARGET;
		event.target = &to_target;
	}
	step_jobs(harness, node, &event);
}

/* ---- the worker ---- */

static void serve_waiter(struct migration_harness *harness, struct sim_node *node,
			 const struct toy_waiter *waiter)
{
	struct toy_store *store = &node->stores[waiter->partition];
	struct migration_source_event to_source = { .fence = waiter->fence };
	struct migration_target_event to_target = { .kind = TARGET_ON_DISCARDED };

	switch ((enum wait_purpose)waiter->purpose) {
	case WAIT_BARRIER:
		to_source.kind = SOURCE_ON_BARRIER_DONE;
		break;
	case WAIT_SNAPSHOT:
		to_source.kind = SOURCE_ON_SNAPSHOT;
		to_source.is_ok = !store->is_delta_lost;
		to_source.last = store->delta_last;
		to_source.items = store->item_count;
		to_source.digest = store->digest;
		to_source.version = store->version_last;
		break;
	case WAIT_READS:
		to_source.kind = SOURCE_ON_READS_FENCED;
		break;
	case WAIT_UNMARK:
		to_source.kind = SOURCE_ON_UNMARKED;
		break;
	case WAIT_DROP:
		to_source.kind = SOURCE_ON_DROPPED;
		to_source.is_done = toy_store_drop(store, RECORDS_MAX);
		break;
	case WAIT_DISCARD:
		to_target.is_done = toy_store_drop(store, RECORDS_MAX);
		answer_target(harness, node, waiter->partition, &to_target);
		return;
	case WAIT_FORGET:
		toy_store_drop(store, TOY_KEY_COUNT);
		return;
	}
	answer_source(harness, node, waiter->partition, &to_source);
}

static void work(struct migration_harness *harness, struct sim_node *node)
{
	if (toy_worker_work(&node->worker, harness->now_us))
		push(harness, EVENT_WORK, node->index, 0, short_us(harness), NULL, 0);
}

static void quiesce(struct migration_harness *harness, struct sim_node *node)
{
	struct toy_worker *worker = &node->worker;

	if (!toy_worker_quiesce(worker)) {
		push(harness, EVENT_QUIESCE, node->index, 0, short_us(harness), NULL, 0);
		return;
	}
	node->is_quiesce_due = false;
	for (uint32_t i = 0; i < worker->waiter_count; i++)
		serve_waiter(harness, node, &worker->waiters[i]);
	worker->waiter_count = 0;
	work(harness, node);
}

static void on_request(struct migration_harness *harness, struct sim_node *node,
		       const struct sim_event *at)
{
	struct toy_request request;

	memcpy(&request, at->bytes, sizeof(request));
	if (toy_worker_receive(&node->worker, &request) && !node->worker.is_busy)
		work(harness, node);
}

static void second_step(struct migration_harness *harness, struct sim_node *node)
{
	uint32_t partition = node->worker.current.partition;

	toy_worker_second_step(&node->worker, harness->now_us);
	tell_deltas(harness, node, partition);
	work(harness, node);
}

/* ---- clients ---- */

/* A request on its way to a node, over the network of the data plane: lost with the node, or by chance. */
static void send_request(struct migration_harness *harness, uint32_t to,
			 const struct toy_request *request)
{
	if (harness->nodes[to].is_running)
		push(harness, EVENT_REQUEST, to, request->partition, network_us(harness), request,
		     sizeof(*request));
}

static uint32_t ask_whom(struct migration_harness *harness)
{
	return random_below(harness, SIM_NODE_COUNT);
}

/* The owner by the newest map there is: where a client with a good map sends. */
static uint32_t newest_owner(const struct migration_harness *harness, uint32_t partition)
{
	struct partition_owner newest = { .owner = 1 };

	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
		const struct sim_node *node = &harness->nodes[i];

		if (node->is_running && node->map.partitions[partition].epoch > newest.epoch)
			newest = node->map.partitions[partition];
	}
	return node_of(newest.owner);
}

static void on_client(struct migration_harness *harness)
{
	static const enum toy_request_kind kinds[] = { TOY_GET,       TOY_GET,      TOY_SET,
						       TOY_SET,       TOY_DELETE,   TOY_SET,
						       TOY_INCREMENT, TOY_INCREMENT };
	struct toy_request request = {
		.kind = kinds[random_below(harness, 8)],
		.partition = random_below(harness, harness->options.partition_count),
		.key = random_below(harness, TOY_KEY_COUNT),
		.value = prng_next(&harness->prng),
		.born_us = harness->now_us,
	};

	if (harness->options.op_interval_us == 0)
		return;
	if (request.kind == TOY_SET && is_chosen(harness, 1, 4))
		request.expires_at_ms = harness->now_us / 1000 + random_below(harness, 200);
	send_request(harness,
		     is_chosen(harness, 1, 2) ? newest_owner(harness, request.partition)
					      : ask_whom(harness),
		     &request);
	push(harness, EVENT_CLIENT, 0, 0,
	     1 + random_below(harness, 2 * harness->options.op_interval_us), NULL, 0);
}

static void on_refused(struct migration_harness *harness, const struct toy_request *request)
{
	struct toy_request again = *request;
	uint32_t to = newest_owner(harness, request->partition);

	if (harness->now_us - request->born_us > CLIENT_PATIENCE_US) {
		harness->counts.failed++;
		return;
	}
	harness->counts.refused++;
	again.is_forwarded = false;
	again.tries++;
	if (harness->nodes[to].is_running)
		push(harness, EVENT_REQUEST, to, request->partition,
		     (CLIENT_RETRY_US << again.tries) + network_us(harness), &again, sizeof(again));
}

static void on_outcome(void *context, const struct toy_request *request, enum toy_outcome outcome,
		       uint64_t owner)
{
	struct migration_harness *harness = context;
	struct migration_harness_counts *counts = &harness->counts;
	struct toy_request forwarded = *request;
	uint64_t latency_us = harness->now_us - request->born_us;

	if (request->kind == TOY_EXPIRE)
		return;
	switch (outcome) {
	case TOY_ANSWERED:
		counts->answered++;
		if (latency_us > counts->latency_us_max)
			counts->latency_us_max = latency_us;
		break;
	case TOY_REFUSED:
		on_refused(harness, request);
		break;
	case TOY_FORWARDED:
		counts->forwarded++;
		forwarded.is_forwarded = true;
		send_request(harness, node_of(owner), &forwarded);
		break;
	}
}

/* ---- lives ---- */

static void create_jobs(struct migration_harness *harness, struct sim_node *node)
{
	struct migration_jobs_options options = {
		.self = id_of(node->index),
		.generation = node->life,
		.seed = harness->options.seed * 1000 + node->life * 10 + node->index,
		.source_max = 2,
		.target_max = 2,
		.map = &node->map,
		.held = &node->held,
	};

	migration_options_default(&options.migration);
	options.migration.batch_size = SYNC_BATCH_FRAME_SIZE_MIN;
	options.migration.window = 3;
	options.migration.retry_ms = 15;
	options.migration.retry_ms_max = 200;
	options.migration.heartbeat_ms = 60;
	options.migration.silence_ms_max = harness->options.seed % 2 ? 600 : 2500;
	options.migration.parking_ms_max =
		harness->options.off == SIM_NO_PARKING_BOUND ? 100000 : PARKING_MS;
	options.migration.fence_pause_ms = 20;
	options.migration.lag_max = 4;
	options.migration.catch_up_ms_max = 60;
	options.migration.attempt_pause_ms = 10;
	options.migration.prepare_ms_max = 1500;
	options.migration.claim_ms = CLAIM_MS;
	if (migration_jobs_create(&node->jobs, &options, harness->now_us / 1000) != 0)
		abort();
}

static void start(struct migration_harness *harness, uint32_t index)
{
	struct sim_node *node = &harness->nodes[index];
	uint64_t life = node->life + 1;

	memset(node, 0, sizeof(*node));
	node->index = index;
	node->life = life;
	node->is_running = true;
	partition_map_init(&node->map, harness->options.partition_count);
	for (uint32_t p = 0; p < TOY_PARTITION_MAX; p++)
		toy_store_init(&node->stores[p], harness->options.ring_size);
	for (uint32_t peer = 0; peer < SIM_NODE_COUNT; peer++)
		node->peers[peer].state = MIGRATION_PEER_SUSPECTED_DEAD;
	node->worker.history = &harness->history;
	node->worker.self = (id_of(index) << 32) | life;
	node->worker.stores = node->stores;
	node->worker.checks_cursor_first = harness->options.off == SIM_NO_CURSOR_FENCE;
	node->worker.on_outcome = on_outcome;
	node->worker.context = harness;
	node->majority_lost_us = harness->now_us;
	create_jobs(harness, node);
	push(harness, EVENT_TICK, index, 0, random_below(harness, TICK_US), NULL, 0);
	push(harness, EVENT_PLAN, index, 0, random_below(harness, PLAN_US), NULL, 0);
	tell(harness, "%u: starts life %llu", index, (unsigned long long)life);
}

void migration_harness_crash(struct migration_harness *harness, uint32_t index)
{
	struct sim_node *node = &harness->nodes[index];

	if (!node->is_running)
		return;
	tell(harness, "%u: crashes", index);
	node->is_running = false;
	migration_jobs_destroy(node->jobs);
	node->jobs = NULL;
	harness->counts.crashes++;
}

void migration_harness_restart(struct migration_harness *harness, uint32_t index)
{
	if (!harness->nodes[index].is_running)
		start(harness, index);
}

/* ---- the failure detector: an oracle that takes its time ---- */

static bool is_linked(const struct migration_harness *harness, uint32_t a, uint32_t b)
{
	return !harness->is_cut[a][b] && !harness->is_cut[b][a] && harness->nodes[a].is_running &&
	       harness->nodes[b].is_running;
}

/* Directly, or through the third node. */
static bool is_reachable(const struct migration_harness *harness, uint32_t a, uint32_t b)
{
	uint32_t third = SIM_NODE_COUNT - a - b;

	return is_linked(harness, a, b) ||
	       (is_linked(harness, a, third) && is_linked(harness, third, b));
}

static void tell_peer(struct migration_harness *harness, struct sim_node *node, uint32_t peer,
		      enum migration_peer state, uint64_t generation)
{
	const struct migration_jobs_event event = {
		.kind = JOBS_ON_PEER, .node = id_of(peer), .generation = generation, .peer = state
	};

	if (node->peers[peer].state == state && node->peers[peer].generation == generation)
		return;
	tell(harness, "%u: thinks %u is %s, generation %llu", node->index, peer,
	     state == MIGRATION_PEER_ALIVE ? "alive" : "dead", (unsigned long long)generation);
	node->peers[peer].state = state;
	node->peers[peer].generation = generation;
	step_jobs(harness, node, &event);
}

static void probe(struct migration_harness *harness, struct sim_node *node, uint32_t peer)
{
	struct peer_view *view = &node->peers[peer];

	if (is_reachable(harness, node->index, peer)) {
		view->unreachable_since_us = 0;
		tell_peer(harness, node, peer, MIGRATION_PEER_ALIVE, harness->nodes[peer].life);
	} else if (view->unreachable_since_us == 0) {
		view->unreachable_since_us = harness->now_us;
	} else if (harness->now_us - view->unreachable_since_us > DEAD_MS * 1000u) {
		tell_peer(harness, node, peer, MIGRATION_PEER_SUSPECTED_DEAD, view->generation);
	}
}

static bool reaches_majority(const struct migration_harness *harness, const struct sim_node *node)
{
	uint32_t count = 0;

	for (uint32_t peer = 0; peer < SIM_NODE_COUNT; peer++)
		count += peer == node->index || is_reachable(harness, node->index, peer);
	return 2 * count > SIM_NODE_COUNT;
}

/* A node without a majority tells its machines at once, and its worker after FENCE_MS. From then on others may
 * claim what it owns: before it serves again it merges the map of a node that makes a majority with it.
 */
static void look_for_majority(struct migration_harness *harness, struct sim_node *node)
{
	bool is_reached =
		reaches_majority(harness, node) || harness->options.off == SIM_NO_MAJORITY;
	bool is_seen = is_reached && !node->needs_map;
	const struct migration_jobs_event event = { .kind = JOBS_ON_MAJORITY, .is_ok = is_seen };

	if (is_reached && node->needs_map) {
		for (uint32_t to = 0; to < SIM_NODE_COUNT; to++) {
			if (to != node->index)
				transmit(harness, EVENT_ASK_MAP, node->index, to, NULL, 0);
		}
	}
	if (is_seen != node->sees_majority) {
		node->sees_majority = is_seen;
		node->majority_lost_us = harness->now_us;
		step_jobs(harness, node, &event);
	}
	if (!is_seen && harness->now_us - node->majority_lost_us >= FENCE_MS * 1000u) {
		node->worker.is_cut_off = true;
		node->needs_map |= !is_reached;
	} else {
		node->worker.is_cut_off = false;
	}
}

static void sweep(struct migration_harness *harness, struct sim_node *node)
{
	struct toy_request request = { .kind = TOY_EXPIRE };

	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		request.partition = p;
		for (uint32_t key = 0; key < TOY_KEY_COUNT; key++) {
			const struct toy_item *item = toy_store_find(&node->stores[p], key);

			request.key = key;
			if (item && item->expires_at_ms != 0 && node->worker.views[p].serves &&
			    item->expires_at_ms <= harness->now_us / 1000)
				toy_worker_receive(&node->worker, &request);
		}
	}
	work(harness, node);
}

static void on_tick(struct migration_harness *harness, struct sim_node *node)
{
	for (uint32_t peer = 0; peer < SIM_NODE_COUNT; peer++) {
		if (peer != node->index)
			probe(harness, node, peer);
	}
	look_for_majority(harness, node);
	sweep(harness, node);
	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		if (node->map.partitions[p].epoch > 0 && is_chosen(harness, 1, 3))
			spread(harness, node, p);
		forget_foreign(harness, node, p);
		if (node->is_announcing[p])
			announce(harness, node, p);
	}
	want_quiescence(harness, node);
	push(harness, EVENT_TICK, node->index, 0, TICK_US, NULL, 0);
}

/* ---- the plan ---- */

static void import(struct migration_harness *harness, struct sim_node *node, uint32_t partition)
{
	uint64_t owner = node->map.partitions[partition].owner;
	struct migration_jobs_actions actions;
	const struct peer_view *peer;

	if (owner == 0 || owner == id_of(node->index))
		return;
	peer = &node->peers[node_of(owner)];
	if (peer->state != MIGRATION_PEER_ALIVE)
		return;
	if (migration_jobs_import(node->jobs, harness->now_us / 1000, partition, peer->generation,
				  0, &actions) == 0)
		do_actions(harness, node, actions);
}

static bool is_where_wanted(const struct migration_harness *harness, uint32_t partition)
{
	const struct sim_node *node = &harness->nodes[harness->wanted[partition]];

	return node->is_running && node->worker.views[partition].serves;
}

static void on_plan(struct migration_harness *harness, struct sim_node *node)
{
	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		if (harness->rotations > 0 && is_where_wanted(harness, p)) {
			harness->rotations--;
			harness->wanted[p] = (harness->wanted[p] + 1) % SIM_NODE_COUNT;
		}
		if (harness->wanted[p] == node->index ||
		    (harness->options.has_rivals && !harness->is_settling &&
		     is_chosen(harness, 1, 20)))
			import(harness, node, p);
	}
	push(harness, EVENT_PLAN, node->index, 0, PLAN_US, NULL, 0);
}

/* ---- faults ---- */

static void set_cut(struct migration_harness *harness, uint32_t a, uint32_t b, bool is_cut)
{
	harness->is_cut[a][b] = is_cut;
	harness->is_cut[b][a] = is_cut;
}

void migration_harness_cut(struct migration_harness *harness, uint32_t a, uint32_t b)
{
	tell(harness, "%u and %u are cut", a, b);
	set_cut(harness, a, b, true);
}

void migration_harness_isolate(struct migration_harness *harness, uint32_t node)
{
	for (uint32_t other = 0; other < SIM_NODE_COUNT; other++) {
		if (other != node)
			migration_harness_cut(harness, node, other);
	}
}

static void tell_connected(struct migration_harness *harness, uint32_t node, uint32_t peer)
{
	struct sim_event event = { .at_us = harness->now_us + network_us(harness),
				   .kind = EVENT_CONNECTED,
				   .node = node,
				   .from = peer,
				   .life = harness->nodes[node].life };

	if (harness->nodes[node].is_running)
		event_heap_push(&harness->heap, event, NULL, 0);
}

void migration_harness_join(struct migration_harness *harness, uint32_t a, uint32_t b)
{
	tell(harness, "%u and %u are joined", a, b);
	set_cut(harness, a, b, false);
	tell_connected(harness, a, b);
	tell_connected(harness, b, a);
}

static void join_later(struct migration_harness *harness, uint32_t a, uint32_t b)
{
	struct sim_event event = { .at_us = harness->now_us + 1000u * random_below(harness, 1500),
				   .kind = EVENT_JOIN,
				   .node = a,
				   .from = b };

	event_heap_push(&harness->heap, event, NULL, 0);
}

/* One link, now and then one way only; or a node from all others. */
static void cut_for_a_while(struct migration_harness *harness)
{
	uint32_t a = random_below(harness, SIM_NODE_COUNT);
	uint32_t b = (a + 1 + random_below(harness, SIM_NODE_COUNT - 1)) % SIM_NODE_COUNT;
	uint32_t third = SIM_NODE_COUNT - a - b;

	migration_harness_cut(harness, a, b);
	join_later(harness, a, b);
	if (is_chosen(harness, 1, 3)) {
		migration_harness_cut(harness, a, third);
		join_later(harness, a, third);
	} else {
		harness->is_cut[b][a] = !is_chosen(harness, 1, 3);
	}
}

static void crash_for_a_while(struct migration_harness *harness)
{
	uint32_t node = random_below(harness, SIM_NODE_COUNT);

	migration_harness_crash(harness, node);
	push(harness, EVENT_RESTART, node, 0, 1000u * random_below(harness, 1500), NULL, 0);
}

static void on_fault(struct migration_harness *harness)
{
	const struct migration_harness_options *options = &harness->options;
	uint32_t partition = random_below(harness, options->partition_count);
	uint32_t node = random_below(harness, SIM_NODE_COUNT);

	if (harness->is_settling)
		return;
	switch (random_below(harness, 3)) {
	case 0:
		if (options->has_cuts)
			cut_for_a_while(harness);
		break;
	case 1:
		if (options->has_crashes)
			crash_for_a_while(harness);
		break;
	default:
		if (options->has_cancels)
			migration_harness_cancel(harness, node, partition);
		break;
	}
	push(harness, EVENT_FAULT, 0, 0,
	     1000u * random_below(harness, 2 * options->fault_interval_ms), NULL, 0);
}

void migration_harness_cancel(struct migration_harness *harness, uint32_t index, uint32_t partition)
{
	const struct migration_jobs_event event = { .kind = JOBS_ON_CANCEL,
						    .partition = partition };
	struct sim_node *node = &harness->nodes[index];

	tell(harness, "%u: cancels %u", index, partition);
	if (node->is_running)
		step_jobs(harness, node, &event);
}

void migration_harness_claim(struct migration_harness *harness, uint32_t index, uint32_t partition)
{
	const struct migration_jobs_event event = { .kind = JOBS_ON_CLAIM, .partition = partition };
	struct sim_node *node = &harness->nodes[index];

	tell(harness, "%u: claims %u", index, partition);
	harness->counts.operator_claims++;
	step_jobs(harness, node, &event);
}

void migration_harness_lose(struct migration_harness *harness, uint32_t node,
			    enum sync_message_kind kind, uint32_t times)
{
	harness->nodes[node].lose_kind = kind;
	harness->nodes[node].lose_times = times;
}

void migration_harness_inject(struct migration_harness *harness, uint32_t node, uint32_t to,
			      const struct sync_message *message)
{
	send_message(harness, &harness->nodes[node], id_of(to), message);
}

/* ---- the run ---- */

static void check_parked(struct migration_harness *harness, const struct sim_node *node)
{
	uint64_t parked_us = toy_worker_parked_us(&node->worker, harness->now_us);

	if (parked_us > harness->counts.parked_us_max)
		harness->counts.parked_us_max = parked_us;
	if (parked_us > PARKING_MS * 1000u + PARKING_SLACK_US)
		toy_history_violate(&harness->history, 4, "node %u parks a request for %llu us",
				    node->index, (unsigned long long)parked_us);
}

/* Events that do not die with a node's life. */
static bool is_of_the_world(uint32_t kind)
{
	return kind == EVENT_CLIENT || kind == EVENT_FAULT || kind == EVENT_JOIN ||
	       kind == EVENT_RESTART || kind == EVENT_MESSAGE || kind == EVENT_GOSSIP ||
	       kind == EVENT_ANNOUNCE || kind == EVENT_ANNOUNCED || kind == EVENT_ASK_MAP ||
	       kind == EVENT_TOLD_MAP;
}

static void happen_in_node(struct migration_harness *harness, struct sim_node *node,
			   const struct sim_event *event)
{
	struct migration_jobs_event connected = { .kind = JOBS_ON_CONNECTED,
						  .node = id_of(event->from) };
	uint32_t from_slot;

	switch ((enum event_kind)event->kind) {
	case EVENT_REQUEST:
		on_request(harness, node, event);
		break;
	case EVENT_WORK:
		second_step(harness, node);
		break;
	case EVENT_QUIESCE:
		quiesce(harness, node);
		break;
	case EVENT_SCAN_READ:
		memcpy(&from_slot, event->bytes, sizeof(from_slot));
		scan_read(harness, node, event->partition, from_slot);
		break;
	case EVENT_APPLY:
		apply_now(harness, node, event->partition, event);
		break;
	case EVENT_SOURCE:
	case EVENT_TARGET:
		on_answer(harness, node, event);
		break;
	case EVENT_MESSAGE:
		on_frame(harness, node, event);
		break;
	case EVENT_GOSSIP:
		on_gossip(harness, node, event);
		break;
	case EVENT_ANNOUNCE:
		on_announce(harness, node, event);
		break;
	case EVENT_ANNOUNCED:
		on_announced(harness, node, event);
		break;
	case EVENT_ASK_MAP:
		on_ask_map(harness, node, event);
		break;
	case EVENT_TOLD_MAP:
		on_told_map(harness, node, event);
		break;
	case EVENT_OWNER:
		on_owner(harness, node, event->partition);
		break;
	case EVENT_CONNECTED:
		step_jobs(harness, node, &connected);
		break;
	case EVENT_TIMER:
		on_timer(harness, node, event);
		break;
	case EVENT_TICK:
		on_tick(harness, node);
		break;
	case EVENT_PLAN:
		on_plan(harness, node);
		break;
	case EVENT_CRASH:
		migration_harness_crash(harness, node->index);
		return;
	case EVENT_ISOLATE:
		migration_harness_isolate(harness, node->index);
		break;
	default:
		abort();
	}
	check_parked(harness, node);
}

static void happen(struct migration_harness *harness, const struct sim_event *event)
{
	struct sim_node *node = &harness->nodes[event->node];

	switch (event->kind) {
	case EVENT_CLIENT:
		on_client(harness);
		break;
	case EVENT_FAULT:
		on_fault(harness);
		break;
	case EVENT_JOIN:
		if (!harness->is_settling)
			migration_harness_join(harness, event->node, event->from);
		break;
	case EVENT_RESTART:
		migration_harness_restart(harness, event->node);
		break;
	default:
		if (node->is_running && (is_of_the_world(event->kind) || event->life == node->life))
			happen_in_node(harness, node, event);
		break;
	}
}

static void note(struct migration_harness *harness, const struct sim_event *event)
{
	/* Other events carry structs, whose padding says nothing. */
	bool has_frame = event->kind == EVENT_MESSAGE || event->kind == EVENT_APPLY;
	uint64_t words[] = { harness->trace, event->at_us,
			     (uint64_t)event->kind << 32 | event->node,
			     has_frame ? XXH3_64bits(event->bytes, event->size) : 0 };

	harness->trace = XXH3_64bits(words, sizeof(words));
	harness->counts.events++;
}

bool migration_harness_run(struct migration_harness *harness, uint32_t duration_ms,
			   bool (*is_done)(const struct migration_harness *harness,
					   const void *context),
			   const void *context)
{
	uint64_t end_us = harness->now_us + 1000u * (uint64_t)duration_ms;

	while (harness->history.violation.invariant == 0 && harness->heap.count > 0 &&
	       harness->heap.events[0].at_us <= end_us) {
		struct sim_event event = event_heap_pop(&harness->heap);

		harness->now_us = event.at_us;
		harness->history.now_us = event.at_us;
		note(harness, &event);
		happen(harness, &event);
		free(event.bytes);
		if (is_done && is_done(harness, context))
			return true;
	}
	if (harness->history.violation.invariant == 0)
		harness->now_us = end_us;
	return false;
}

/* ---- the end: healing, and what must hold afterwards ---- */

static bool is_served(const struct migration_harness *harness, uint32_t partition)
{
	uint32_t owner = newest_owner(harness, partition);

	return harness->nodes[owner].is_running &&
	       partition_set_has(&harness->nodes[owner].held, partition);
}

/* A claim at a node that has no job on the partition, and no data. */
static void claim_empty(struct migration_harness *harness, struct sim_node *node,
			uint32_t partition)
{
	uint32_t epoch = harness->history.partitions[partition].epoch;

	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
		if (harness->nodes[i].map.partitions[partition].epoch > epoch)
			epoch = harness->nodes[i].map.partitions[partition].epoch;
	}
	tell(harness, "%u: the operator claims partition %u, empty", node->index, partition);
	harness->counts.operator_claims++;
	toy_store_init(&node->stores[partition], harness->options.ring_size);
	toy_history_accept_loss(&harness->history, partition, &node->stores[partition]);
	record_owner(harness, node, partition, id_of(node->index), epoch + 1);
	hold(node, partition);
	publish(harness, node, partition);
}

/* `partition claim --accept-data-loss`: where there is a copy, else where there is no job in the way. */
static void operate(struct migration_harness *harness, uint32_t partition)
{
	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
		const struct migration_target *target =
			migration_jobs_target(harness->nodes[i].jobs, partition);
		const struct migration_source *source =
			migration_jobs_source(harness->nodes[i].jobs, partition);

		if ((target && migration_target_can_be_claimed(target)) ||
		    (source && migration_source_can_be_claimed(source))) {
			migration_harness_claim(harness, i, partition);
			return;
		}
	}
	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
		if (!has_job(&harness->nodes[i], partition)) {
			claim_empty(harness, &harness->nodes[i], partition);
			return;
		}
	}
}

static bool node_is_at_rest(const struct migration_harness *harness, const struct sim_node *node)
{
	return migration_jobs_count(node->jobs) == 0 && node->worker.parked_count == 0 &&
	       partition_set_is_empty(&node->importing) &&
	       partition_set_is_empty(&node->migrating) &&
	       node->map.stamp == harness->nodes[0].map.stamp;
}

static bool is_at_rest(const struct migration_harness *harness, const void *context)
{
	(void)context;
	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
		if (!node_is_at_rest(harness, &harness->nodes[i]))
			return false;
	}
	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
			bool is_owner = harness->wanted[p] == i;

			if (harness->nodes[i].worker.views[p].serves != is_owner ||
			    (!is_owner && !toy_store_is_empty(&harness->nodes[i].stores[p])))
				return false;
		}
	}
	return true;
}

static void complain(struct migration_harness *harness, const struct sim_node *node,
		     uint32_t partition)
{
	const struct migration_source *source = migration_jobs_source(node->jobs, partition);
	const struct migration_target *target = migration_jobs_target(node->jobs, partition);
	const struct partition_owner *entry = &node->map.partitions[partition];

	toy_history_violate(
		&harness->history, 5,
		"not at rest: partition %u, wanted by %u; at %u: owner %llu epoch %u, source %s, "
		"target %s, %u items",
		partition, harness->wanted[partition], node->index,
		(unsigned long long)entry->owner - 1, entry->epoch,
		source ? migration_source_state_name(migration_source_state(source)) : "none",
		target ? migration_target_state_name(migration_target_state(target)) : "none",
		node->stores[partition].item_count);
}

/* Something is not at rest: names the node that has a job, or else that should serve. */
static void complain_of_one(struct migration_harness *harness)
{
	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		for (uint32_t i = 0; i < SIM_NODE_COUNT; i++) {
			if (!node_is_at_rest(harness, &harness->nodes[i]))
				complain(harness, &harness->nodes[i], p);
		}
	}
	for (uint32_t p = 0; p < harness->options.partition_count; p++) {
		if (!harness->nodes[harness->wanted[p]].worker.views[p].serves)
			complain(harness, &harness->nodes[harness->wanted[p]], p);
	}
	toy_history_violate(&harness->history, 5, "data is left where it does not belong");
}

static void heal(struct migration_harness *harness)
{
	harness->is_settling = true;
	harness->rotations = 0;
	harness->options.loss_percent = 0;
	harness->options.duplicate_percent = 0;
	harness->options.corrupt_percent = 0;
	harness->options.oom_permille = 0;
	harness->options.crash.is_armed = false;
	if (harness->options.op_interval_us > 0 &&
	    harness->options.op_interval_us < CALM_OP_INTERVAL_US)
		harness->options.op_interval_us = CALM_OP_INTERVAL_US;
	for (uint32_t a = 0; a < SIM_NODE_COUNT; a++) {
		harness->nodes[a].lose_times = 0;
		migration_harness_restart(harness, a);
		for (uint32_t b = 0; b < a; b++)
			migration_harness_join(harness, a, b);
	}
}

/* The owner's data is the truth, and no tombstone is left. */
static void check_contents(struct migration_harness *harness, uint32_t partition)
{
	const struct toy_store *store =
		&harness->nodes[harness->wanted[partition]].stores[partition];

	toy_history_take_over(&harness->history, partition, store, UINT64_MAX);
	for (uint32_t key = 0; key < TOY_KEY_COUNT; key++) {
		if (store->tombstones[key] != 0)
			toy_history_violate(&harness->history, 5, "a tombstone is left");
	}
}

static void operate_if_needed(struct migration_harness *harness, uint32_t partition,
			      uint32_t *unserved_ms)
{
	*unserved_ms = is_served(harness, partition) ? 0 : *unserved_ms + 500;
	if (*unserved_ms < OPERATOR_PATIENCE_MS)
		return;
	*unserved_ms = 0;
	operate(harness, partition);
}

bool migration_harness_settle(struct migration_harness *harness)
{
	uint32_t unserved_ms[TOY_PARTITION_MAX] = { 0 };

	heal(harness);
	for (uint32_t ms = 0; ms < SETTLE_MS_MAX; ms += 500) {
		if (migration_harness_run(harness, 500, is_at_rest, NULL) ||
		    harness->history.violation.invariant != 0)
			break;
		for (uint32_t p = 0; p < harness->options.partition_count; p++)
			operate_if_needed(harness, p, &unserved_ms[p]);
	}
	/* Still at rest when the last requests and packets have passed. */
	harness->options.op_interval_us = 0;
	migration_harness_run(harness, 1000, NULL, NULL);
	if (harness->history.violation.invariant == 0 && !is_at_rest(harness, NULL))
		complain_of_one(harness);
	for (uint32_t p = 0; p < harness->options.partition_count; p++)
		check_contents(harness, p);
	return harness->history.violation.invariant == 0;
}

/* ---- beginning and end ---- */

void migration_harness_options_default(struct migration_harness_options *options, uint64_t seed)
{
	*options = (struct migration_harness_options){
		.seed = seed,
		.partition_count = 1,
		.delay_us_max = 300,
		.op_interval_us = 300,
		.ring_size = 32,
	};
}

struct migration_harness *migration_harness_create(const struct migration_harness_options *options)
{
	struct migration_harness *harness = calloc(1, sizeof(*harness));

	if (!harness)
		abort();
	assert(options->partition_count <= TOY_PARTITION_MAX);
	harness->options = *options;
	harness->now_us = START_US;
	prng_init(&harness->prng, options->seed);
	harness->rules.compares_versions = options->off != SIM_NO_VERSION_COMPARE;
	harness->rules.keeps_tombstones = options->off != SIM_NO_TOMBSTONES;
	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++)
		start(harness, i);
	partition_map_bootstrap(&harness->nodes[0].map, id_of(0));
	for (uint32_t p = 0; p < options->partition_count; p++) {
		hold(&harness->nodes[0], p);
		on_owner(harness, &harness->nodes[0], p);
	}
	push(harness, EVENT_CLIENT, 0, 0, 0, NULL, 0);
	if (options->fault_interval_ms > 0)
		push(harness, EVENT_FAULT, 0, 0, 1000u * options->fault_interval_ms, NULL, 0);
	return harness;
}

void migration_harness_destroy(struct migration_harness *harness)
{
	for (uint32_t i = 0; i < SIM_NODE_COUNT; i++)
		migration_jobs_destroy(harness->nodes[i].jobs);
	event_heap_fini(&harness->heap);
	free(harness);
}

void migration_harness_want(struct migration_harness *harness, uint32_t partition, uint32_t node)
{
	harness->wanted[partition] = node;
}

void migration_harness_rotate(struct migration_harness *harness, uint32_t times)
{
	harness->rotations = times;
}

/* ---- for looking ---- */

const struct toy_violation *migration_harness_violation(const struct migration_harness *harness)
{
	return &harness->history.violation;
}

const struct migration_harness_counts *
migration_harness_counts(const struct migration_harness *harness)
{
	return &harness->counts;
}

const struct toy_history *migration_harness_history(const struct migration_harness *harness)
{
	return &harness->history;
}

uint64_t migration_harness_trace(const struct migration_harness *harness)
{
	return harness->trace;
}

uint64_t migration_harness_now_ms(const struct migration_harness *harness)
{
	return harness->now_us / 1000;
}

const struct migration_jobs *migration_harness_jobs(const struct migration_harness *harness,
						    uint32_t node)
{
	return harness->nodes[node].jobs;
}

struct partition_owner migration_harness_owner(const struct migration_harness *harness,
					       uint32_t node, uint32_t partition)
{
	return harness->nodes[node].map.partitions[partition];
}

uint64_t migration_harness_generation(const struct migration_harness *harness, uint32_t node)
{
	return harness->nodes[node].life;
}

uint32_t migration_harness_item_count(const struct migration_harness *harness, uint32_t node,
				      uint32_t partition)
{
	return harness->nodes[node].stores[partition].item_count;
}

bool migration_harness_is_importing(const struct migration_harness *harness, uint32_t node,
				    uint32_t partition)
{
	return partition_set_has(&harness->nodes[node].importing, partition);
}

bool migration_harness_is_migrating(const struct migration_harness *harness, uint32_t node,
				    uint32_t partition)
{
	return partition_set_has(&harness->nodes[node].migrating, partition);
}
