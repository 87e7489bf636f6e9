/* SPDX-License-Identifier: BSD-3-Clause */
/* The control messages of a migration, as structs and as the payload of a control frame. */
#ifndef CONTROLPLANE_SYNC_MESSAGE_H
#define CONTROLPLANE_SYNC_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/migration.h"
#include "controlplane/sync_frame.h"

/* Numbers are on the wire: never change one. T = target, S = source. */
enum sync_message_kind {
	SYNC_PREPARE = 1,   /* T->S  epoch: give me the partition that you own at 'epoch' */
	SYNC_ACCEPT = 2,    /* S->T  items, item_bytes: about so much is coming */
	SYNC_BUSY = 3,      /* S->T  reason, busy_job: not now */
	SYNC_NOT_OWNER = 4, /* both  owner, epoch: as far as the sender knows */
	SYNC_ACK = 5,       /* T->S  batch, delta: the last ones applied; none is missing before */
	SYNC_FINAL = 6,  /* S->T  fence, batch, delta, items, digest, version: what you must have */
	SYNC_READY = 7,  /* T->S  fence: of the FINAL that it answers; I have all of it */
	SYNC_COMMIT = 8, /* S->T  epoch: the partition is yours from 'epoch' on */
	SYNC_COMMITTED = 9, /* T->S  epoch, items, digest: I serve it */
	SYNC_CANCEL = 10,   /* T->S  the operator does not want the job any more */
	SYNC_ABORT = 11,    /* both  reason: this attempt is over */
	SYNC_STATUS = 12, /* both  phase, is_question: where I am; a question asks for an answer */
};

#define SYNC_MESSAGE_KIND_MAX SYNC_STATUS

/* The phase in the STATUS that a source sends when nothing is left to confirm. Others are states
 * of the sender's machine, to be shown to people.
 */
#define SYNC_PHASE_SETTLED 255u

/* FINAL's 'fence' numbers the times that the source stopped or resumed writes, from 0: odd while
 * they are stopped. A READY holds for its own fence only.
 */
static inline bool sync_fence_is_up(uint32_t fence)
{
	return fence & 1;
}

/* Fields that a kind does not use are 0. */
struct sync_message {
	enum sync_message_kind kind;
	uint32_t partition;
	uint64_t job;
	uint32_t attempt;
	uint64_t sender;     /* node id */
	uint64_t generation; /* of the sender */
	uint32_t epoch;
	uint64_t owner; /* 0 = not known */
	uint64_t items;
	uint64_t item_bytes;
	enum migration_reason reason;
	uint64_t busy_job; /* 0 = none */
	uint64_t batch;
	uint64_t delta;
	uint32_t fence;
	uint64_t digest;  /* of the partition's live items */
	uint64_t version; /* the highest ever given in the partition */
	uint32_t phase;
	bool is_question;
};

/* Bytes of the largest control frame. */
#define SYNC_MESSAGE_FRAME_SIZE_MAX 256u

/* Thread safety: pure functions. */

/* Writes a whole control frame of at most SYNC_MESSAGE_FRAME_SIZE_MAX bytes. Returns its size. */
size_t sync_message_encode(const struct sync_message *message, uint8_t *bytes);

/* Reads the payload of a control frame. 0; -EINVAL when it is malformed, a field is out of range or
 * one that the kind needs is missing; -ENOTSUP for a kind that only a newer version knows (ignore
 * the message). Fields that the kind does not use are as they came.
 */
int sync_message_decode(struct sync_message *message, const struct sync_frame *frame);

/* "PREPARE" and so on. */
const char *sync_message_kind_name(enum sync_message_kind kind);

#endif
