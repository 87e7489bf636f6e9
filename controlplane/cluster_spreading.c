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

static void finish(struct cluster *cluster)
{
	struct cluster_spread *spread = &cluster->spread;
	bool is_known = 2 * (spread->taken + 1) > count_members(cluster);

	spread->is_under_way = false;
	spread->done(spread->context, is_known);
}

void cluster_spread_answered(struct cluster *cluster, uint32_t round, bool is_ok)
{
	struct cluster_spread *spread = &cluster->spread;

	if (!spread->is_under_way || round != spread->round)
		return;
	spread->taken += is_ok;
	if (--spread->outstanding == 0)
		finish(cluster);
}

int cluster_spread(struct cluster *cluster, void (*done)(void *context, bool is_known),
		   void *context)
{
	struct cluster_spread *spread = &cluster->spread;
	struct cluster_exchange_purpose purpose = { CLUSTER_PURPOSE_SPREAD, spread->round + 1 };

	if (spread->is_under_way)
		return -EBUSY;
	/* One for this call: no answer ends the round before all were asked. */
	*spread = (struct cluster_spread){ .is_under_way = true,
					   .round = purpose.round,
					   .outstanding = 1,
					   .done = done,
					   .context = context };
	for (uint32_t i = 1; i < membership_index_end(cluster_members(cluster)); i++) {
		const struct member *member = membership_at(cluster_members(cluster), i);

		if (!member || member_state(member) > MEMBER_SUSPECT ||
		    spread->outstanding > SPREAD_ASK_MAX)
			continue;
		if (cluster_exchange_begin(cluster->exchange, &member->node.control,
					   GOSSIP_SCOPE_ALL, &purpose) == 0)
			spread->outstanding++;
	}
	cluster_spread_answered(cluster, purpose.round, false);
	return 0;
}
