/* SPDX-License-Identifier: BSD-3-Clause */
/* Control messages of a migration between structs and protobuf. */
#include "controlplane/sync_message.h"

#include <assert.h>
#include <errno.h>

#include "controlplane/partition_map.h"
#include "controlplane/proto_budget.h"
#include "controlplane/sync.pb-c.h"
#include "storage/limits.h"

/* What decoding one message may allocate: the struct and a few unknown fields. */
#define DECODE_BUDGET_SIZE 2048u

static const char *const kind_names[] = {
	[SYNC_PREPARE] = "PREPARE",     [SYNC_ACCEPT] = "ACCEPT", [SYNC_BUSY] = "BUSY",
	[SYNC_NOT_OWNER] = "NOT_OWNER", [SYNC_ACK] = "ACK",       [SYNC_FINAL] = "FINAL",
	[SYNC_READY] = "READY",         [SYNC_COMMIT] = "COMMIT", [SYNC_COMMITTED] = "COMMITTED",
	[SYNC_CANCEL] = "CANCEL",       [SYNC_ABORT] = "ABORT",   [SYNC_STATUS] = "STATUS",
};

const char *sync_message_kind_name(enum sync_message_kind kind)
{
	return kind >= SYNC_PREPARE && kind <= SYNC_MESSAGE_KIND_MAX ? kind_names[kind] : "?";
}

size_t sync_message_encode(const struct sync_message *message, uint8_t *bytes)
{
	Godwit__SyncControl control = GODWIT__SYNC_CONTROL__INIT;
	size_t size;

	control.kind = message->kind;
	control.partition = message->partition;
	control.job = message->job;
	control.attempt = message->attempt;
	control.sender = message->sender;
	control.generation = message->generation;
	control.epoch = message->epoch;
	control.owner = message->owner;
	control.items = message->items;
	control.item_bytes = message->item_bytes;
	control.reason = message->reason;
	control.busy_job = message->busy_job;
	control.batch = message->batch;
	control.delta = message->delta;
	control.fence = message->fence;
	control.digest = message->digest;
	control.version = message->version;
	control.phase = message->phase;
	control.is_question = message->is_question;
	size = godwit__sync_control__get_packed_size(&control);
	assert(SYNC_FRAME_HEADER_SIZE + size <= SYNC_MESSAGE_FRAME_SIZE_MAX);
	godwit__sync_control__pack(&control, bytes + SYNC_FRAME_HEADER_SIZE);
	return sync_frame_seal(bytes, SYNC_FRAME_CONTROL, size);
}

static void copy(struct sync_message *message, const Godwit__SyncControl *control)
{
	*message = (struct sync_message){
		.kind = (enum sync_message_kind)control->kind,
		.partition = control->partition,
		.job = control->job,
		.attempt = control->attempt,
		.sender = control->sender,
		.generation = control->generation,
		.epoch = control->epoch,
		.owner = control->owner,
		.items = control->items,
		.item_bytes = control->item_bytes,
		.reason = control->reason < MIGRATION_OTHER ? (enum migration_reason)control->reason
							    : MIGRATION_OTHER,
		.busy_job = control->busy_job,
		.batch = control->batch,
		.delta = control->delta,
		.fence = control->fence,
		.digest = control->digest,
		.version = control->version,
		.phase = control->phase,
		.is_question = control->is_question,
	};
}

/* Whether the fields that every kind, and this kind, must have are there and in range. */
static bool is_valid(const struct sync_message *message)
{
	if (message->partition >= PARTITION_COUNT_MAX || message->job == 0 ||
	    message->attempt == 0 || message->sender == 0 || message->generation == 0 ||
	    message->epoch > PARTITION_EPOCH_MAX)
		return false;
	switch (message->kind) {
	case SYNC_PREPARE:
	case SYNC_COMMIT:
	case SYNC_COMMITTED:
		return message->epoch != 0;
	case SYNC_BUSY:
	case SYNC_ABORT:
		return message->reason != MIGRATION_NO_REASON;
	case SYNC_NOT_OWNER:
		return (message->epoch == 0) == (message->owner == 0);
	default:
		return true;
	}
}

int sync_message_decode(struct sync_message *message, const struct sync_frame *frame)
{
	struct proto_budget budget;
	Godwit__SyncControl *control;

	if (frame->kind != SYNC_FRAME_CONTROL)
		return -EINVAL;
	proto_budget_init(&budget, DECODE_BUDGET_SIZE);
	control = godwit__sync_control__unpack(&budget.allocator, frame->size, frame->payload);
	if (!control)
		return -EINVAL;
	copy(message, control);
	godwit__sync_control__free_unpacked(control, NULL);
	if ((unsigned)message->kind > SYNC_MESSAGE_KIND_MAX)
		return -ENOTSUP;
	return message->kind >= SYNC_PREPARE && is_valid(message) ? 0 : -EINVAL;
}
