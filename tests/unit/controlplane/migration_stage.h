/* SPDX-License-Identifier: BSD-3-Clause */
/* One end of a migration with its clock and the actions of its last step; the test plays the rest of the node.
 *
 * Both ends are stepped and looked at alike, but are of different types. Who includes this says which
 * end it tests:
 *
 *      #define STAGE_END source
 *      #define STAGE_KIND SOURCE
 *      #define STAGE_PEER TARGET_ID     who sends it messages
 *      #define STAGE_ATTEMPT 2          of the job
 */
#ifndef TESTS_UNIT_CONTROLPLANE_MIGRATION_STAGE_H
#define TESTS_UNIT_CONTROLPLANE_MIGRATION_STAGE_H

#include <string.h>

#include "controlplane/migration_source.h"
#include "controlplane/migration_target.h"
#include "tests/unit/unit.h"

#define SOURCE_ID 1u
#define TARGET_ID 2u
#define EPOCH 7u

#define STAGE_JOIN(prefix, end, suffix) prefix##end##suffix
#define STAGE_JOINED(prefix, end, suffix) STAGE_JOIN(prefix, end, suffix)
#define STAGE_NAME(suffix) STAGE_JOINED(migration_, STAGE_END, suffix)
#define STAGE_CONSTANT(suffix) STAGE_JOINED(, STAGE_KIND, suffix)

struct stage {
	struct migration_options options;
	struct STAGE_NAME() STAGE_END;
	struct STAGE_NAME(_actions) actions;
	uint64_t now_ms;
};

static const struct migration_job job = {
	.job = 99,
	.attempt = STAGE_ATTEMPT,
	.partition = 5,
	.epoch = EPOCH,
	.source = SOURCE_ID,
	.source_generation = 10,
	.target = TARGET_ID,
	.target_generation = 20,
};

/* ---- events ---- */

static inline void feed(struct stage *stage, struct STAGE_NAME(_event) event)
{
	STAGE_NAME(_step)(&stage->STAGE_END, stage->now_ms, &event, &stage->actions);
	CU_ASSERT(STAGE_NAME(_is_sound)(&stage->STAGE_END));
}

static inline void feed_kind(struct stage *stage, enum STAGE_NAME(_event_kind) kind)
{
	feed(stage, (struct STAGE_NAME(_event)){ .kind = kind });
}

/* A message of the other end, of this job and its present attempt, as far as 'message' says nothing else. */
static inline void hear(struct stage *stage, struct sync_message message)
{
	uint64_t generation =
		STAGE_PEER == SOURCE_ID ? job.source_generation : job.target_generation;

	message.partition = job.partition;
	message.job = message.job ? message.job : job.job;
	message.attempt = message.attempt ? message.attempt : stage->STAGE_END.job.attempt;
	message.sender = message.sender ? message.sender : STAGE_PEER;
	message.generation = message.generation ? message.generation : generation;
	feed(stage, (struct STAGE_NAME(_event)){ .kind = STAGE_CONSTANT(_ON_MESSAGE),
						 .message = &message });
}

static inline void pass_ms(struct stage *stage, uint64_t ms)
{
	stage->now_ms += ms;
	feed_kind(stage, STAGE_CONSTANT(_ON_TIMER));
}

static inline void owner(struct stage *stage, uint64_t id, uint32_t epoch)
{
	feed(stage, (struct STAGE_NAME(_event)){
			    .kind = STAGE_CONSTANT(_ON_OWNER), .owner = id, .epoch = epoch });
}

static inline void peer(struct stage *stage, enum migration_peer state)
{
	feed(stage, (struct STAGE_NAME(_event)){ .kind = STAGE_CONSTANT(_ON_PEER), .peer = state });
}

static inline void majority(struct stage *stage, bool is_seen)
{
	feed(stage,
	     (struct STAGE_NAME(_event)){ .kind = STAGE_CONSTANT(_ON_MAJORITY), .is_ok = is_seen });
}

/* ---- what was asked for ---- */

/* The position of the first such action, -1 for none. */
static inline int find(const struct stage *stage, enum STAGE_NAME(_action_kind) kind)
{
	for (uint32_t i = 0; i < stage->actions.count; i++) {
		if (stage->actions.items[i].kind == kind)
			return (int)i;
	}
	return -1;
}

static inline bool has(const struct stage *stage, enum STAGE_NAME(_action_kind) kind)
{
	return find(stage, kind) >= 0;
}

/* The first such action; one whose members are all 0 for none. */
static inline const struct STAGE_NAME(_action) *
	action(const struct stage *stage, enum STAGE_NAME(_action_kind) kind)
{
	static const struct STAGE_NAME(_action) none;

	return has(stage, kind) ? &stage->actions.items[find(stage, kind)] : &none;
}

static inline uint32_t count(const struct stage *stage, enum STAGE_NAME(_action_kind) kind)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < stage->actions.count; i++)
		found += stage->actions.items[i].kind == kind;
	return found;
}

/* The message of that kind that was sent in the last step; one of kind 0 for none. */
static inline const struct sync_message *sent(const struct stage *stage,
					      enum sync_message_kind kind)
{
	static const struct sync_message none;

	for (uint32_t i = 0; i < stage->actions.count; i++) {
		const struct STAGE_NAME(_action) *at = &stage->actions.items[i];

		if (at->kind == STAGE_CONSTANT(_DO_SEND) && at->message.kind == kind)
			return &at->message;
	}
	return &none;
}

static inline bool has_sent(const struct stage *stage, enum sync_message_kind kind)
{
	return sent(stage, kind)->kind == kind;
}

static inline enum STAGE_NAME(_state) state(const struct stage *stage)
{
	return STAGE_NAME(_state)(&stage->STAGE_END);
}

/* ---- the start ---- */

static inline void start_with(struct stage *stage, const struct migration_options *options)
{
	memset(stage, 0, sizeof(*stage));
	stage->options = *options;
	stage->now_ms = 1000;
	STAGE_NAME(_init)(&stage->STAGE_END, &stage->options, &job, true, stage->now_ms);
	feed_kind(stage, STAGE_CONSTANT(_ON_START));
}

#endif
