/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of looks, each for one kind of trouble. */
#include "controlplane/cluster_check.h"

#include <stdarg.h>
#include <stdio.h>

#include "controlplane/resize.h"

struct findings {
	const struct cluster *cluster;
	struct cluster_problem *problems;
	uint32_t count;
};

__attribute__((format(printf, 3, 4))) static void found(struct findings *findings, const char *kind,
							const char *format, ...)
{
	struct cluster_problem *problem;
	va_list arguments;

	if (findings->count == CLUSTER_PROBLEM_COUNT_MAX)
		return;
	problem = &findings->problems[findings->count++];
	problem->kind = kind;
	va_start(arguments, format);
	vsnprintf(problem->text, sizeof(problem->text), format, arguments);
	va_end(arguments);
}

static void check_phase(struct findings *f)
{
	enum cluster_phase phase = cluster_phase(f->cluster);

	if (phase == CLUSTER_WAITING)
		found(f, "no_cluster",
		      "this node is in no cluster: godwitctl cluster create, or cluster join");
	else if (phase == CLUSTER_JOINING)
		found(f, "joining", "this node has not joined yet: %s",
		      cluster_join_reason(f->cluster));
}

static void check_fence(struct findings *f)
{
	if (cluster_phase(f->cluster) < CLUSTER_MEMBER)
		return;
	if (!cluster_sees_majority(f->cluster))
		found(f, "no_majority",
		      "this node sees no majority of the members: mend the network, start dead "
		      "members again, or remove them");
	if (!cluster_is_serving(f->cluster))
		found(f, "fenced", "this node serves none of its partitions at present");
	if (cluster_fence_waits_for(f->cluster) > 0)
		found(f, "fence_waits",
		      "this node waits for %u more members to tell what they know before it "
		      "serves: start those that are dead, or remove those that are gone for good "
		      "(godwitctl cluster remove)",
		      cluster_fence_waits_for(f->cluster));
}

static void check_members(struct findings *f)
{
	const struct gossip *gossip = cluster_gossip(f->cluster);
	const struct membership *membership = gossip_membership(gossip);

	for (uint32_t i = 1; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		if (member && member_state(member) == MEMBER_DEAD)
			found(f, "member_dead",
			      "%s is dead, with %u partitions: start it again, or godwitctl "
			      "cluster "
			      "remove %s",
			      member->node.name,
			      partition_map_count_owned(gossip_map(gossip), member->node.id),
			      member->node.name);
		else if (member && member_state(member) == MEMBER_SUSPECT)
			found(f, "member_suspect", "%s does not answer; it is suspected to be dead",
			      member->node.name);
	}
	if (membership_health(membership) > 0)
		found(f, "unwell",
		      "this node misses answers itself (local health %u, 0 is well): is its CPU "
		      "overloaded, or its network?",
		      membership_health(membership));
}

/* Whether a living member may take partitions. */
static bool has_taker(const struct membership *membership)
{
	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		if (member && member_state(member) <= MEMBER_SUSPECT &&
		    member->node.state == NODE_ACTIVE && member->node.weight > 0)
			return true;
	}
	return false;
}

static void check_leaving(struct findings *f)
{
	const struct membership *membership = gossip_membership(cluster_gossip(f->cluster));
	const struct node *leaving = resize_find_leaving(membership);

	if (leaving && !has_taker(membership))
		found(f, "nobody_takes",
		      "%s is leaving, and no living member may take its partitions: add a node "
		      "with a cluster.weight above 0, or godwitctl cluster leave --cancel at one "
		      "that leaves",
		      leaving->name);
}

/* Whether anybody serves what the map says is 'owner's. */
static bool is_served(const struct cluster *cluster, uint32_t partition, uint64_t owner)
{
	const struct membership *membership = gossip_membership(cluster_gossip(cluster));
	const struct member *member = membership_find(membership, owner);

	if (owner == membership_self(membership)->id)
		return cluster_is_serving(cluster) &&
		       partition_set_has(cluster_held(cluster), partition);
	return member && member_state(member) <= MEMBER_SUSPECT;
}

/* Own partitions that a dead member may bring. */
static void check_awaited(struct findings *f)
{
	const struct partition_map *map = gossip_map(cluster_gossip(f->cluster));

	for (uint32_t p = 0; p < map->partition_count; p++) {
		const struct member *bringer = cluster_is_lost_here(f->cluster, p)
						       ? cluster_find_bringer(f->cluster, p)
						       : NULL;

		if (bringer)
			found(f, "awaited",
			      "partition %u is this node's, without data, and %s, which is dead, "
			      "may have it: start that again, or godwitctl partition claim %u "
			      "--accept-data-loss",
			      p, bringer->node.name, p);
	}
}

static void check_partitions(struct findings *f)
{
	const struct partition_map *map = gossip_map(cluster_gossip(f->cluster));
	uint32_t unserved = 0, first = 0;

	for (uint32_t p = 0; p < map->partition_count; p++) {
		if (is_served(f->cluster, p, partition_map_owner(map, p)))
			continue;
		if (unserved++ == 0)
			first = p;
	}
	if (unserved > 0)
		found(f, "unserved",
		      "%u partitions are served by nobody, the first is %u: see godwitctl "
		      "partitions",
		      unserved, first);
	if (map->conflicts > 0)
		found(f, "map_conflicts",
		      "two owners of one epoch were seen %llu times: were partitions claimed on "
		      "both sides of a cut?",
		      (unsigned long long)map->conflicts);
}

static void check_strangers(struct findings *f)
{
	const struct gossip_counters *counters = gossip_counters(cluster_gossip(f->cluster));

	if (cluster_stranger(f->cluster)[0])
		found(f, "other_cluster",
		      "a cluster of the same name was founded apart, at %s: stop its nodes and "
		      "start "
		      "them with cluster.join, without cluster.bootstrap",
		      cluster_stranger(f->cluster));
	if (counters->map_count_mismatch > 0)
		found(f, "partition_count",
		      "a member has another number of partitions: storage.partitions must be the "
		      "same everywhere");
}

uint32_t cluster_check(const struct cluster *cluster, struct cluster_problem *problems)
{
	static void (*const checks[])(struct findings *) = { check_phase,    check_fence,
							     check_members,  check_leaving,
							     check_awaited,  check_partitions,
							     check_strangers };
	struct findings findings = { cluster, problems, 0 };

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		checks[i](&findings);
	return findings.count;
}
