/* SPDX-License-Identifier: BSD-3-Clause */
/* The fence on real members, and the partitions of an earlier life. */
#include "controlplane/cluster_state.h"

#include <string.h>

/* Members asked at once. */
#define FENCE_ASK_MAX 64u

static bool has_bit(const uint64_t *words, uint32_t index)
{
	return words[index / 64] >> (index % 64) & 1;
}

static void set_bit(uint64_t *words, uint32_t index)
{
	words[index / 64] |= UINT64_C(1) << (index % 64);
}

/* Everybody is asked for all that it knows. The dead too: whoever says that they are may be late or wrong, and they may be
 * the only ones who know what they own.
 */
static void ask_more(struct cluster *cluster)
{
	const struct cluster_exchange_purpose purpose = { CLUSTER_EXCHANGE_FENCE,
							  cluster->fence.round };
	struct cluster_fencing *fencing = &cluster->fencing;

	for (; fencing->next < membership_index_end(cluster_members(cluster)) &&
	       cluster->fence.outstanding < FENCE_ASK_MAX;
	     fencing->next++) {
		const struct member *member =
			membership_at(cluster_members(cluster), fencing->next);

		if (cluster_is_counted(member) && cluster_exchange(cluster, &member->node.control,
								   GOSSIP_SCOPE_ALL, purpose) == 0)
			fence_asked(&cluster->fence);
	}
}

/* Of the members as they are seen now. */
static struct fence_told count_told(const struct cluster *cluster)
{
	const struct cluster_fencing *fencing = &cluster->fencing;
	struct fence_told told = { 0 };

	for (uint32_t i = 1; i < membership_index_end(cluster_members(cluster)); i++) {
		const struct member *member = membership_at(cluster_members(cluster), i);

		if (!cluster_is_counted(member))
			continue;
		told.others++;
		if (has_bit(fencing->told, i))
			told.told++;
		else if (member_state(member) == MEMBER_ALIVE)
			told.owing++;
		told.whole += has_bit(fencing->whole, i);
	}
	return told;
}

static void log_waiting(struct cluster *cluster)
{
	uint32_t suppressed;

	if (cluster->fence.waits_for > 0 &&
	    log_limit_pass(&cluster->fencing.limit, cluster->options.log, &suppressed))
		log_warning(cluster->options.log, "cluster",
			    "waits for more members to tell what they know before it serves: start "
			    "those that are dead, or remove those that are gone for good "
			    "(godwitctl cluster remove)",
			    "more=%u members=%u", cluster->fence.waits_for,
			    cluster_count_members(cluster));
}

/* Asks on, or ends the round. */
static void proceed(struct cluster *cluster)
{
	struct fence_told told;
	enum fence_step step;

	ask_more(cluster);
	if (cluster->fence.outstanding > 0)
		return;
	told = count_told(cluster);
	step = fence_conclude(&cluster->fence, cluster_now(cluster), &told);
	if (step != FENCE_DO_OPEN && told.owing == 0)
		log_waiting(cluster);
	cluster_follow_fence(cluster, step);
}

static void begin_round(struct cluster *cluster)
{
	struct cluster_fencing *fencing = &cluster->fencing;

	fencing->next = 1;
	memset(fencing->told, 0, sizeof(fencing->told));
	memset(fencing->whole, 0, sizeof(fencing->whole));
	proceed(cluster);
}

static void note_teller(struct cluster *cluster)
{
	struct cluster_fencing *fencing = &cluster->fencing;

	for (uint32_t i = 1; i < membership_index_end(cluster_members(cluster)); i++) {
		const struct member *member = membership_at(cluster_members(cluster), i);

		if (!member || member->node.id != fencing->teller)
			continue;
		set_bit(fencing->told, i);
		if (fencing->is_teller_whole)
			set_bit(fencing->whole, i);
	}
}

void cluster_fence_answered(struct cluster *cluster, uint32_t round, bool is_ok)
{
	if (!fence_answered(&cluster->fence, round))
		return;
	if (is_ok && cluster->fencing.teller != 0)
		note_teller(cluster);
	proceed(cluster);
}

void cluster_open_fence(struct cluster *cluster)
{
	fence_open(&cluster->fence);
	gossip_set_whole(cluster->gossip);
}

void cluster_follow_fence(struct cluster *cluster, enum fence_step step)
{
	switch (step) {
	case FENCE_NOTHING:
		return;
	case FENCE_DO_ASK:
		begin_round(cluster);
		return;
	case FENCE_DO_CLOSE:
		if (cluster->config.is_fencing)
			log_error(cluster->options.log, "cluster",
				  "no majority of the members is seen: this node stops serving its "
				  "partitions; mend the network, or remove dead members",
				  "after_ms=%u", cluster->config.fence_ms);
		break;
	case FENCE_DO_OPEN:
		gossip_set_whole(cluster->gossip);
		log_info(cluster->options.log, "cluster", "a majority is seen, and all have told",
			 "nodes=%u", membership_live_count(cluster_members(cluster)));
		break;
	}
	cluster->are_routes_old = true;
}

void cluster_tick_fence(struct cluster *cluster)
{
	uint64_t now_ms = cluster_now(cluster);

	cluster_follow_fence(
		cluster, fence_tick(&cluster->fence, now_ms,
				    membership_majority_seen_ms(cluster_members(cluster), now_ms),
				    membership_sees_majority(cluster_members(cluster), now_ms)));
}

/* ---- partitions of an earlier life ---- */

static void add_marks(const struct node *node, struct partition_set *marked)
{
	for (uint32_t w = 0; w < PARTITION_SET_WORD_COUNT; w++)
		marked->words[w] |=
			node->importing_partitions.words[w] | node->migrating_partitions.words[w];
}

void cluster_collect_moving(const struct cluster *cluster, struct partition_set *moving)
{
	partition_set_clear(moving);
	for (uint32_t i = 0; i < membership_index_end(cluster_members(cluster)); i++) {
		const struct member *member = membership_at(cluster_members(cluster), i);

		if (member && (i == 0 || member_state(member) <= MEMBER_SUSPECT))
			add_marks(&member->node, moving);
	}
}

static bool is_marked_by(const struct member *member, uint32_t partition)
{
	return node_is_importing(&member->node, partition) ||
	       node_is_migrating(&member->node, partition);
}

/* Its record is that of the life that died: a later one's would have come in its place, without the mark. */
const struct member *cluster_find_bringer(const struct cluster *cluster, uint32_t partition)
{
	for (uint32_t i = 1; i < membership_index_end(cluster_members(cluster)); i++) {
		const struct member *member = membership_at(cluster_members(cluster), i);

		if (member && member_state(member) == MEMBER_DEAD &&
		    is_marked_by(member, partition))
			return member;
	}
	return NULL;
}

int cluster_take_empty(struct cluster *cluster, uint32_t partition)
{
	const struct partition_map *map = gossip_map(cluster->gossip);
	int result = cluster_take(cluster, partition, partition_map_epoch(map, partition));

	if (result != 0)
		return result;
	partition_set_add(&cluster->taken, partition);
	cluster_confirm(cluster, partition);
	return 0;
}

static bool is_mine(const struct cluster *cluster, uint32_t partition)
{
	return partition_map_owner(gossip_map(cluster->gossip), partition) ==
	       cluster->config.self.id;
}

void cluster_serve_taken(struct cluster *cluster, uint32_t partition)
{
	if (!partition_set_has(&cluster->taken, partition))
		return;
	partition_set_remove(&cluster->taken, partition);
	if (is_mine(cluster, partition))
		cluster_hold(cluster, partition, true);
}

bool cluster_is_lost_here(const struct cluster *cluster, uint32_t partition)
{
	return is_mine(cluster, partition) && !partition_set_has(&cluster->held, partition) &&
	       !partition_set_has(&cluster->taken, partition);
}

/* Whether a dead member may bring the partition; said once of each. */
static bool is_awaited(struct cluster *cluster, uint32_t partition)
{
	const struct member *bringer = cluster_find_bringer(cluster, partition);

	if (!bringer) {
		partition_set_remove(&cluster->awaited, partition);
		return false;
	}
	if (!partition_set_has(&cluster->awaited, partition))
		log_warning(cluster->options.log, "cluster",
			    "a partition's data died with this node's earlier life, and a dead "
			    "member may have it still: bring that back, or give the data up with "
			    "godwitctl partition claim",
			    "partition=%u node=%s", partition, bringer->node.name);
	partition_set_add(&cluster->awaited, partition);
	return true;
}

/* Takes back, empty, what this node owned when it died: the data went with its memory, and only the
 * owner may raise the epoch.
 */
static void take_back(struct cluster *cluster)
{
	const struct partition_map *map = gossip_map(cluster->gossip);
	struct partition_set moving;
	uint32_t count = 0;

	cluster_collect_moving(cluster, &moving);
	for (uint32_t p = 0; p < map->partition_count; p++) {
		if (cluster_is_lost_here(cluster, p) && !partition_set_has(&moving, p) &&
		    !is_awaited(cluster, p) && cluster_take_empty(cluster, p) == 0)
			count++;
	}
	if (count > 0)
		log_warning(cluster->options.log, "cluster",
			    "takes back, empty, the partitions it had when it ended: their data "
			    "was lost with its memory",
			    "partitions=%u", count);
}

void cluster_tick_take_back(struct cluster *cluster)
{
	const struct partition_map *map = gossip_map(cluster->gossip);

	if (!fence_is_open(&cluster->fence) || cluster->is_excluded ||
	    !cluster_sees_majority(cluster))
		return;
	for (uint32_t p = 0; p < map->partition_count; p++) {
		if (cluster_is_lost_here(cluster, p)) {
			take_back(cluster);
			return;
		}
	}
}
