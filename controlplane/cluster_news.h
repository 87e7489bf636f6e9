/* SPDX-License-Identifier: BSD-3-Clause */
/* What happened in the cluster, told to this node's other parts one after the other. */
#ifndef CONTROLPLANE_CLUSTER_NEWS_H
#define CONTROLPLANE_CLUSTER_NEWS_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/gossip.h"

/* What others want to hear; any may be NULL. */
struct cluster_observer {
	void *context;
	void (*member_changed)(void *context, uint64_t id, enum member_state before,
			       enum member_state after);
	/* A new generation: what was agreed with the old life is void. */
	void (*member_restarted)(void *context, uint64_t id);
	void (*map_changed)(void *context);
	/* A majority has the partition's entry of the map, as it was when cluster_confirm() was called last. */
	void (*confirmed)(void *context, uint32_t partition);
};

#define CLUSTER_OBSERVER_COUNT_MAX 2u

/* A queue, so that what an observer does, and what follows from it, never comes in between. Zeroed at
 * first. Thread safety: none.
 */
struct cluster_news {
	uint32_t observer_count;
	const struct cluster_observer *observers[CLUSTER_OBSERVER_COUNT_MAX];
	bool is_telling;
	uint32_t count;
	uint32_t capacity;
	struct gossip_action *items;
};

void cluster_news_fini(struct cluster_news *news);

/* 'observer' outlives the news. */
void cluster_news_observe(struct cluster_news *news, const struct cluster_observer *observer);

/* Queues a copy of 'action'. Without memory it is lost: observers look at the whole state, too. */
void cluster_news_add(struct cluster_news *news, const struct gossip_action *action);

/* Tells it at once. */
void cluster_news_confirmed(struct cluster_news *news, uint32_t partition);

/* Tells all that is queued, what is added meanwhile included. Called by an observer it does nothing. */
void cluster_news_tell(struct cluster_news *news);

#endif
