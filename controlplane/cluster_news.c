/* SPDX-License-Identifier: BSD-3-Clause */
/* The queue and whom it is told. */
#include "controlplane/cluster_news.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_FIRST 64u

void cluster_news_fini(struct cluster_news *news)
{
	free(news->items);
}

void cluster_news_observe(struct cluster_news *news, const struct cluster_observer *observer)
{
	assert(news->observer_count < CLUSTER_OBSERVER_COUNT_MAX);
	news->observers[news->observer_count++] = observer;
}

void cluster_news_add(struct cluster_news *news, const struct gossip_action *action)
{
	uint32_t capacity = news->capacity ? 2 * news->capacity : CAPACITY_FIRST;
	struct gossip_action *items = news->items;

	if (news->count == news->capacity) {
		items = realloc(items, capacity * sizeof(*items));
		if (!items)
			return;
		news->items = items;
		news->capacity = capacity;
	}
	items[news->count++] = *action;
}

static void tell_one(const struct cluster_observer *observer, const struct gossip_action *action)
{
	void *context = observer->context;

	switch (action->kind) {
	case GOSSIP_MEMBER_CHANGED:
		if (observer->member_changed)
			observer->member_changed(context, action->id, action->before,
						 action->after);
		break;
	case GOSSIP_MEMBER_RESTARTED:
		if (observer->member_restarted)
			observer->member_restarted(context, action->id);
		break;
	case GOSSIP_MAP_CHANGED:
		if (observer->map_changed)
			observer->map_changed(context);
		break;
	default:
		break;
	}
}

void cluster_news_tell(struct cluster_news *news)
{
	if (news->is_telling)
		return;
	news->is_telling = true;
	for (uint32_t i = 0; i < news->count; i++) {
		const struct gossip_action action = news->items[i];

		for (uint32_t o = 0; o < news->observer_count; o++)
			tell_one(news->observers[o], &action);
	}
	news->count = 0;
	news->is_telling = false;
}

void cluster_news_confirmed(struct cluster_news *news, uint32_t partition)
{
	for (uint32_t o = 0; o < news->observer_count; o++) {
		const struct cluster_observer *observer = news->observers[o];

		if (observer->confirmed)
			observer->confirmed(observer->context, partition);
	}
}
