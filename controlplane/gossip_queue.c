/* SPDX-License-Identifier: BSD-3-Clause */
/* What is still to be told to others, and how often each piece has been told already. */
#include "controlplane/gossip_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

int gossip_queue_init(struct gossip_queue *queue, uint32_t member_max, uint32_t partition_max)
{
	memset(queue, 0, sizeof(*queue));
	queue->bases[GOSSIP_TOPIC_RECORD] = 0;
	queue->bases[GOSSIP_TOPIC_CLAIM] = member_max;
	queue->bases[GOSSIP_TOPIC_OWNER] = 2 * member_max;
	queue->bases[GOSSIP_TOPIC_COUNT] = 2 * member_max + partition_max;
	for (uint32_t level = 0; level < GOSSIP_RETRANSMIT_MAX; level++) {
		queue->heads[level] = NONE;
		queue->tails[level] = NONE;
	}
	queue->entries = calloc(queue->bases[GOSSIP_TOPIC_COUNT], sizeof(*queue->entries));
	return queue->entries ? 0 : -ENOMEM;
}

void gossip_queue_fini(struct gossip_queue *queue)
{
	free(queue->entries);
	queue->entries = NULL;
}

static enum gossip_topic topic_of(const struct gossip_queue *queue, uint32_t entry)
{
	if (entry < queue->bases[GOSSIP_TOPIC_CLAIM])
		return GOSSIP_TOPIC_RECORD;
	return entry < queue->bases[GOSSIP_TOPIC_OWNER] ? GOSSIP_TOPIC_CLAIM : GOSSIP_TOPIC_OWNER;
}

static void unlink_entry(struct gossip_queue *queue, uint32_t at)
{
	struct gossip_queue_entry *entry = &queue->entries[at];

	if (entry->previous == NONE)
		queue->heads[entry->sent] = entry->next;
	else
		queue->entries[entry->previous].next = entry->next;
	if (entry->next == NONE)
		queue->tails[entry->sent] = entry->previous;
	else
		queue->entries[entry->next].previous = entry->previous;
	entry->is_queued = false;
	queue->count--;
	queue->counts[topic_of(queue, at)]--;
}

/* Links at the list's head, or its tail. */
static void link_entry(struct gossip_queue *queue, uint32_t at, uint8_t sent, bool is_head)
{
	struct gossip_queue_entry *entry = &queue->entries[at];

	entry->sent = sent;
	entry->is_queued = true;
	entry->previous = is_head ? NONE : queue->tails[sent];
	entry->next = is_head ? queue->heads[sent] : NONE;
	if (entry->previous == NONE)
		queue->heads[sent] = at;
	else
		queue->entries[entry->previous].next = at;
	if (entry->next == NONE)
		queue->tails[sent] = at;
	else
		queue->entries[entry->next].previous = at;
	queue->count++;
	queue->counts[topic_of(queue, at)]++;
}

void gossip_queue_put(struct gossip_queue *queue, enum gossip_topic topic, uint32_t index)
{
	uint32_t at = queue->bases[topic] + index;

	if (queue->entries[at].is_queued)
		unlink_entry(queue, at);
	link_entry(queue, at, 0, true);
}

bool gossip_queue_has(const struct gossip_queue *queue, enum gossip_topic topic, uint32_t index)
{
	return queue->entries[queue->bases[topic] + index].is_queued;
}

void gossip_queue_drop(struct gossip_queue *queue, enum gossip_topic topic, uint32_t index)
{
	uint32_t at = queue->bases[topic] + index;

	if (queue->entries[at].is_queued)
		unlink_entry(queue, at);
}

void gossip_queue_walk(struct gossip_queue *queue, struct gossip_queue_cursor *cursor)
{
	queue->walk++;
	cursor->level = 0;
	cursor->entry = queue->heads[0];
}

bool gossip_queue_next(struct gossip_queue *queue, struct gossip_queue_cursor *cursor,
		       enum gossip_topic *topic, uint32_t *index)
{
	for (;;) {
		struct gossip_queue_entry *entry;
		uint32_t at = cursor->entry;

		if (at == NONE) {
			if (++cursor->level == GOSSIP_RETRANSMIT_MAX)
				return false;
			cursor->entry = queue->heads[cursor->level];
			continue;
		}
		entry = &queue->entries[at];
		cursor->entry = entry->next;
		if (entry->walk == queue->walk)
			continue;
		entry->walk = queue->walk;
		*topic = topic_of(queue, at);
		*index = at - queue->bases[*topic];
		return true;
	}
}

void gossip_queue_mark_sent(struct gossip_queue *queue, enum gossip_topic topic, uint32_t index,
			    uint32_t limit)
{
	uint32_t at = queue->bases[topic] + index;
	uint8_t sent = queue->entries[at].sent;

	unlink_entry(queue, at);
	if (sent + 1u < limit)
		link_entry(queue, at, (uint8_t)(sent + 1), false);
}

uint32_t gossip_retransmit_limit(uint32_t node_count)
{
	uint32_t digits = 1;

	for (uint64_t power = 10; power < (uint64_t)node_count + 1; power *= 10)
		digits++;
	return 4 * digits;
}
