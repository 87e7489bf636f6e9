/* SPDX-License-Identifier: BSD-3-Clause */
/* What is still to be told to others, and how often each piece has been told already. */
#ifndef CONTROLPLANE_GOSSIP_QUEUE_H
#define CONTROLPLANE_GOSSIP_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

/* 4 * ceil(log10(N + 1)) for the largest cluster. */
#define GOSSIP_RETRANSMIT_MAX 16u

/* The queue knows what a piece is about, not what it says: its content is fetched when a packet is
 * built, so what goes out is always the latest.
 */
enum gossip_topic {
	GOSSIP_TOPIC_RECORD, /* of the member with that index */
	GOSSIP_TOPIC_CLAIM,  /* on the member with that index */
	GOSSIP_TOPIC_OWNER,  /* of the partition with that number */
	GOSSIP_TOPIC_COUNT,
};

struct gossip_queue_entry {
	uint32_t next;
	uint32_t previous;
	uint32_t walk; /* the walk that met it last */
	uint8_t sent;  /* times */
	bool is_queued;
};

/* One place for each topic and index, in a list for each number of times sent; newest first among
 * those never sent. Nothing allocates after init. Thread safety: none; part of struct gossip.
 */
struct gossip_queue {
	uint32_t bases[GOSSIP_TOPIC_COUNT + 1]; /* entries of topic t are bases[t]..bases[t+1]-1 */
	struct gossip_queue_entry *entries;
	uint32_t heads[GOSSIP_RETRANSMIT_MAX];
	uint32_t tails[GOSSIP_RETRANSMIT_MAX];
	uint32_t count;
	uint32_t counts[GOSSIP_TOPIC_COUNT];
	uint32_t walk;
};

/* 0 or -ENOMEM. */
int gossip_queue_init(struct gossip_queue *queue, uint32_t member_max, uint32_t partition_max);
/* Accepts a zeroed object. */
void gossip_queue_fini(struct gossip_queue *queue);

/* Queues a piece that has changed: whatever was told of it before does not count. */
void gossip_queue_put(struct gossip_queue *queue, enum gossip_topic topic, uint32_t index);

bool gossip_queue_has(const struct gossip_queue *queue, enum gossip_topic topic, uint32_t index);

/* Takes a piece out; nothing happens when it is not in. */
void gossip_queue_drop(struct gossip_queue *queue, enum gossip_topic topic, uint32_t index);

/* A walk from the least sent to the most sent; each piece is met once, also when it is marked
 * meanwhile.
 */
struct gossip_queue_cursor {
	uint32_t level;
	uint32_t entry; /* to be looked at next */
};
void gossip_queue_walk(struct gossip_queue *queue, struct gossip_queue_cursor *cursor);
/* False at the end. */
bool gossip_queue_next(struct gossip_queue *queue, struct gossip_queue_cursor *cursor,
		       enum gossip_topic *topic, uint32_t *index);

/* The piece went out once more; after 'limit' times (1..GOSSIP_RETRANSMIT_MAX) it is done. */
void gossip_queue_mark_sent(struct gossip_queue *queue, enum gossip_topic topic, uint32_t index,
			    uint32_t limit);

/* How often a piece is told by each node of 'node_count': 4 * ceil(log10(node_count + 1)). */
uint32_t gossip_retransmit_limit(uint32_t node_count);

#endif
