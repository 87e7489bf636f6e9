/* SPDX-License-Identifier: BSD-3-Clause */
/* What the operator wants of a cluster, checked, done or refused with a reason. */
#include "controlplane/cluster_state.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/resize.h"

/* A good-bye is repeated until all have heard it, or for so long. */
#define GOODBYE_MS 3000u

static int need_bus(const struct cluster *cluster, char *error)
{
	return cluster->config.has_bus
		       ? 0
		       : refuse(error, -ENOTSUP,
				"this node has no cluster bus: start it with cluster.listen");
}

static int need_waiting(const struct cluster *cluster, char *error)
{
	int result = need_bus(cluster, error);

	if (result != 0 || cluster_is_in(cluster, CLUSTER_WAITING))
		return result;
	if (cluster_is_in(cluster, CLUSTER_JOINING))
		return refuse(error, -EBUSY, "this node is joining a cluster already");
	return refuse(error, -EALREADY, "this node is a member of cluster %s already",
		      cluster->config.name);
}

static int need_quiet(const struct cluster *cluster, uint64_t except, char *error)
{
	return resize_check(cluster_members(cluster), gossip_map(cluster->gossip), except, error,
			    CLUSTER_ERROR_SIZE);
}

/* ---- forming ---- */

int cluster_found(struct cluster *cluster, char *error)
{
	int result = need_waiting(cluster, error);

	if (result == 0)
		cluster_start_founding(cluster);
	return result;
}

int cluster_join(struct cluster *cluster, const struct node_address *seeds, uint32_t seed_count,
		 char *error)
{
	int result = need_waiting(cluster, error);

	if (result != 0)
		return result;
	if (seed_count == 0 || seed_count > GOSSIP_SEED_COUNT_MAX)
		return refuse(error, -EINVAL, "expected 1 to %u addresses of members",
			      GOSSIP_SEED_COUNT_MAX);
	memcpy(cluster->seeds, seeds, seed_count * sizeof(*seeds));
	cluster->seed_count = seed_count;
	cluster_start_joining(cluster, false, true);
	return 0;
}

/* ---- leaving ---- */

static void announce_state(struct cluster *cluster, enum node_state state)
{
	struct node self = *gossip_self(cluster->gossip);

	self.state = state;
	cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

static uint32_t owned_count(const struct cluster *cluster, uint64_t id)
{
	return partition_map_count_owned(gossip_map(cluster->gossip), id);
}

static bool is_drained(const struct cluster *cluster)
{
	const struct node *self = gossip_self(cluster->gossip);

	return owned_count(cluster, self->id) == 0 &&
	       partition_set_is_empty(&self->migrating_partitions) &&
	       partition_set_is_empty(&self->importing_partitions);
}

/* Whoever got partitions of this node may have died since, and nobody else may have heard who it was. */
static void hand_over_map(struct cluster *cluster)
{
	const struct partition_map *map = gossip_map(cluster->gossip);

	cluster->is_map_handed_over = true;
	for (uint32_t p = 0; p < map->partition_count; p++)
		cluster_confirm(cluster, p);
}

static void try_to_leave(struct cluster *cluster)
{
	if (!is_drained(cluster)) {
		cluster->is_map_handed_over = false;
		return;
	}
	if (!cluster->is_map_handed_over)
		hand_over_map(cluster);
	if (!partition_set_is_empty(&cluster->spread.wanted))
		return;
	cluster_move(cluster, CLUSTER_LEFT);
	log_info(cluster->options.log, "cluster", "has left", "name=%s", cluster->config.name);
	cluster->goodbye_until_ms = cluster_now(cluster) + GOODBYE_MS;
	announce_state(cluster, NODE_LEFT);
}

static void say_goodbye(struct cluster *cluster)
{
	if (gossip_pending(cluster->gossip) == 0 ||
	    cluster_now(cluster) >= cluster->goodbye_until_ms)
		cluster_end_process(cluster, CLUSTER_END_LEFT);
}

void cluster_tick_leaving(struct cluster *cluster)
{
	if (cluster_is_in(cluster, CLUSTER_LEAVING))
		try_to_leave(cluster);
	else
		say_goodbye(cluster);
}

/* Whether another member lives that may take partitions. */
static bool has_taker(const struct cluster *cluster)
{
	for (uint32_t i = 1; i < membership_index_end(cluster_members(cluster)); i++) {
		const struct member *member = membership_at(cluster_members(cluster), i);

		if (member && member_state(member) <= MEMBER_SUSPECT && member->node.weight > 0)
			return true;
	}
	return false;
}

static int may_leave(const struct cluster *cluster, char *error)
{
	if (membership_live_count(cluster_members(cluster)) < 2)
		return refuse(
			error, -EPERM,
			"this node is the only living member: nobody can take its partitions; "
			"stop it instead");
	if (owned_count(cluster, cluster->config.self.id) > 0 && !has_taker(cluster))
		return refuse(error, -EPERM,
			      "no other living member has a cluster.weight above 0: nobody can "
			      "take this node's partitions");
	return need_quiet(cluster, 0, error);
}

int cluster_leave(struct cluster *cluster, bool is_leaving, char *error)
{
	int result = need_bus(cluster, error);

	if (result != 0)
		return result;
	if (cluster_is_in(cluster, is_leaving ? CLUSTER_LEAVING : CLUSTER_MEMBER))
		return 0;
	if (!cluster_is_in(cluster, CLUSTER_MEMBER) && !cluster_is_in(cluster, CLUSTER_LEAVING))
		return refuse(error, -ENOENT, "this node is in no cluster");
	result = is_leaving ? may_leave(cluster, error) : 0;
	if (result != 0)
		return result;
	cluster->is_map_handed_over = false;
	cluster_move(cluster, is_leaving ? CLUSTER_LEAVING : CLUSTER_MEMBER);
	log_info(cluster->options.log, "cluster", is_leaving ? "leaves" : "stays after all");
	announce_state(cluster, is_leaving ? NODE_LEAVING : NODE_ACTIVE);
	return 0;
}

/* ---- the dead ---- */

static const struct member *find_by_name(const struct cluster *cluster, const char *name)
{
	return node_name_is_valid(name)
		       ? membership_find(cluster_members(cluster), node_id_of_name(name))
		       : NULL;
}

int cluster_remove(struct cluster *cluster, const char *name, char *error)
{
	const struct member *member = find_by_name(cluster, name);
	uint32_t owned;

	if (!member || member_state(member) == MEMBER_REMOVED)
		return refuse(error, -ENOENT,
			      "no member is named %.64s; godwitctl nodes lists them", name);
	if (member->node.id == cluster->config.self.id)
		return refuse(error, -EPERM,
			      "a node does not remove itself: ask another one, or let it leave");
	if (member_state(member) == MEMBER_ALIVE || member_state(member) == MEMBER_SUSPECT)
		return refuse(error, -EBUSY,
			      "%s is alive: let it leave (godwitctl cluster leave at its admin "
			      "address), or stop it first",
			      name);
	owned = owned_count(cluster, member->node.id);
	if (owned > 0)
		return refuse(
			error, -EBUSY,
			"%s owns %u partitions, and has the only copy of them: bring it back, "
			"or give them up with godwitctl partition claim --of %s "
			"--accept-data-loss",
			name, owned, name);
	if (need_quiet(cluster, member->node.id, error) != 0)
		return -EBUSY;
	log_warning(cluster->options.log, "cluster", "a member is removed by the operator",
		    "node=%s", name);
	cluster_run(cluster,
		    &(struct gossip_event){ .kind = GOSSIP_REMOVE, .id = member->node.id });
	return 0;
}

/* Whether nobody can come back with the partition's data. */
static int need_ownerless(const struct cluster *cluster, uint32_t partition, char *error)
{
	uint64_t owner = partition_map_owner(gossip_map(cluster->gossip), partition);
	const struct member *member = membership_find(cluster_members(cluster), owner);

	if (member && member_state(member) <= MEMBER_SUSPECT &&
	    !cluster_is_lost_here(cluster, partition))
		return refuse(error, -EBUSY,
			      "partition %u belongs to %s, which is alive: move it with godwitctl "
			      "migrate",
			      partition, member->node.name);
	return 0;
}

int cluster_claim(struct cluster *cluster, uint32_t partition, char *error)
{
	const struct partition_map *map = gossip_map(cluster->gossip);
	struct partition_set moving;
	int result;

	if (!cluster_is_in(cluster, CLUSTER_MEMBER))
		return refuse(error, -EPERM, "this node is no member of a cluster at present");
	if (partition >= map->partition_count)
		return refuse(error, -EINVAL, "there are partitions 0 to %u",
			      map->partition_count - 1);
	result = need_ownerless(cluster, partition, error);
	if (result != 0)
		return result;
	if (!cluster_sees_majority(cluster) || !fence_is_open(&cluster->fence))
		return refuse(
			error, -EAGAIN,
			"this node sees no majority of the members: it must not take anything");
	cluster_collect_moving(cluster, &moving);
	if (partition_set_has(&moving, partition))
		return refuse(error, -EBUSY, "partition %u is being migrated", partition);
	result = cluster_take_empty(cluster, partition);
	if (result != 0)
		return refuse(error, result, "cannot take partition %u: %s", partition,
			      strerror(-result));
	log_warning(cluster->options.log, "cluster", "the operator gave up a partition's data",
		    "partition=%u", partition);
	cluster_settle(cluster);
	return 0;
}

int cluster_reload_keys(struct cluster *cluster, char *error)
{
	struct bus_keys keys;
	int result = need_bus(cluster, error);

	if (result != 0)
		return result;
	if (cluster->config.key_file[0] == '\0')
		return refuse(error, -ENOTSUP, "the bus of this node is insecure: it has no key");
	result = cluster_config_read_keys(&keys, cluster->config.key_file, error,
					  CLUSTER_ERROR_SIZE);
	if (result != 0)
		return result;
	cluster->config.keys = keys;
	cluster->options.host.set_keys(cluster->options.host.context, &keys);
	log_info(cluster->options.log, "cluster", "keys read again", "keys=%u", keys.count);
	return 0;
}
