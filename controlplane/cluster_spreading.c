/* SPDX-License-Identifier: BSD-3-Clause */
/* Entries of the map that must not get lost: this node's state is handed to members until they make a majority with it. */
#include "controlplane/cluster_state.h"

/* Members asked at once. */
#define SPREAD_ASK_MAX 64u
/* Between the beginnings of two rounds. */
#define SPREAD_RETRY_MS 500u

static bool is_known(const struct cluster *cluster)
{
	return 2 * (cluster->spread.taken + 1) > cluster_count_members(cluster);
}

static void ask_more(struct cluster *cluster)
{
	struct cluster_spread *spread = &cluster->spread;
	const struct cluster_exchange_purpose purpose = { CLUSTER_EXCHANGE_SPREAD, spread->round };

	for (; spread->next < membership_index_end(cluster_members(cluster)) &&
	       spread->outstanding < SPREAD_ASK_MAX;
	     spread->next++) {
		const struct member *member = membership_at(cluster_members(cluster), spread->next);

		if (!member || member_state(member) > MEMBER_SUSPECT)
			continue;
		if (cluster_exchange(cluster, &member->node.control, GOSSIP_SCOPE_ALL, purpose) ==
		    0)
			spread->outstanding++;
	}
}

/* A majority has all that the round told. */
static void confirm_all(struct cluster *cluster)
{
	const struct partition_set told = cluster->spread.in_round;

	for (uint32_t p = partition_set_next(&told, 0); p < PARTITION_COUNT_MAX;
	     p = partition_set_next(&told, p + 1)) {
		if (!partition_set_has(&cluster->spread.in_round, p))
			continue; /* entered anew by what one of the others brought about */
		partition_set_remove(&cluster->spread.wanted, p);
		cluster_serve_taken(cluster, p);
		cluster_news_confirmed(&cluster->news, p);
	}
}

/* Goes on, or ends the round: those who are asked yet need not be waited for when there is a majority. */
static void proceed(struct cluster *cluster)
{
	struct cluster_spread *spread = &cluster->spread;

	if (!is_known(cluster)) {
		ask_more(cluster);
		if (spread->outstanding > 0)
			return;
	}
	spread->is_under_way = false;
	if (is_known(cluster))
		confirm_all(cluster);
}

void cluster_spread_answered(struct cluster *cluster, uint32_t round, bool is_ok)
{
	struct cluster_spread *spread = &cluster->spread;

	if (!spread->is_under_way || round != spread->round)
		return;
	spread->outstanding--;
	spread->taken += is_ok;
	proceed(cluster);
}

void cluster_spread_forgotten(struct cluster *cluster)
{
	cluster->spread.is_under_way = false;
}

void cluster_tick_spread(struct cluster *cluster)
{
	struct cluster_spread *spread = &cluster->spread;
	uint64_t now_ms = cluster_now(cluster);

	if (partition_set_is_empty(&spread->wanted) || spread->is_under_way ||
	    now_ms < spread->retry_at_ms)
		return;
	spread->retry_at_ms = now_ms + SPREAD_RETRY_MS;
	spread->in_round = spread->wanted;
	spread->is_under_way = true;
	spread->round++;
	spread->next = 1;
	spread->outstanding = 0;
	spread->taken = 0;
	proceed(cluster);
}

void cluster_confirm(struct cluster *cluster, uint32_t partition)
{
	partition_set_add(&cluster->spread.wanted, partition);
	/* The round under way may have told the entry before. */
	partition_set_remove(&cluster->spread.in_round, partition);
}
