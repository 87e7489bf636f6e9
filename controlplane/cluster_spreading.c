/* SPDX-License-Identifier: BSD-3-Clause */
/* A state that must not get lost: handed to members until they make a majority with this node. */
#include <errno.h>

#include "controlplane/cluster_state.h"

/* Members asked at once. */
#define SPREAD_ASK_MAX 64u

static bool is_counted(const struct member *member)
{
	return member && member_state(member) <= MEMBER_DEAD;
}

/* Members that did not leave, this node among them. */
static uint32_t count_members(const struct cluster *cluster)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < membership_index_end(cluster_members(cluster)); i++)
		count += is_counted(membership_at(cluster_members(cluster), i));
	return count;
}

static bool is_known(const struct cluster *cluster)
{
	return 2 * (cluster->spread.taken + 1) > count_members(cluster);
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
	spread->done(spread->context, is_known(cluster));
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

int cluster_spread(struct cluster *cluster, void (*done)(void *context, bool is_known),
		   void *context)
{
	struct cluster_spread *spread = &cluster->spread;

	if (spread->is_under_way)
		return -EBUSY;
	*spread = (struct cluster_spread){ .is_under_way = true,
					   .round = spread->round + 1,
					   .next = 1,
					   .done = done,
					   .context = context };
	proceed(cluster);
	return 0;
}
