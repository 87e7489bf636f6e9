/* SPDX-License-Identifier: BSD-3-Clause */
/* The states that were visited, by a hash of what can matter later. */
#define XXH_INLINE_ALL
#include "tests/model/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
bool model_visit(struct model *model)
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
