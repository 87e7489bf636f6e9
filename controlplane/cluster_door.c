/* SPDX-License-Identifier: BSD-3-Clause */
/* Strangers, namesakes, earlier lives: who may open a channel, and what is said to who may not. */
#include "controlplane/cluster_state.h"

#include <stdio.h>
#include <string.h>

void cluster_met_stranger(struct cluster *cluster, const struct node_address *at)
{
	char address[NODE_ADDRESS_TEXT_SIZE];
	uint32_t suppressed;

	snprintf(cluster->stranger, sizeof(cluster->stranger), "%s",
		 node_address_format(at, address));
	if (!log_limit_pass(&cluster->stranger_limit, cluster->options.log, &suppressed))
		return;
	log_error(
		cluster->options.log, "cluster",
		"another cluster of this name was founded apart and is refused: stop its nodes and "
		"start them with cluster.join, without cluster.bootstrap",
		"at=%s", address);
}

void cluster_introduce(const struct cluster *cluster, struct bus_peer *self)
{
	const struct node *node = gossip_self(cluster->gossip);

	*self = (struct bus_peer){
		.id = node->id,
		.generation = node->generation,
		.control = node->control,
		.cluster_id = gossip_cluster_id(cluster->gossip),
		.partition_count = cluster->config.partition_count,
		.may_found = cluster->config.may_found && cluster_is_in(cluster, CLUSTER_JOINING),
	};
	strcpy(self->name, node->name);
}

/* Whether a node that wants to join bears the name of a member that is alive elsewhere. */
static bool is_name_taken(const struct cluster *cluster, const struct bus_peer *peer)
{
	const struct member *member = membership_find(cluster_members(cluster), peer->id);

	return peer->cluster_id == 0 && member && member_state(member) == MEMBER_ALIVE &&
	       member->node.generation != peer->generation &&
	       !node_address_equals(&member->node.control, &peer->control) &&
	       cluster_now(cluster) - member->heard_ms < MEMBERSHIP_MAJORITY_WINDOW_MS;
}

static bool is_life_over(const struct cluster *cluster, const struct bus_peer *peer)
{
	const struct member *member = membership_find(cluster_members(cluster), peer->id);

	if (!member || peer->cluster_id == 0)
		return false;
	if (member_state(member) == MEMBER_REMOVED)
		return peer->generation <= member->claim.generation;
	return peer->generation < member->node.generation;
}

static enum bus_refusal admit_stranger(const struct cluster *cluster, const struct bus_peer *peer,
				       char *detail)
{
	const struct node *self = gossip_self(cluster->gossip);

	if (peer->id == self->id && peer->generation == self->generation)
		return BUS_REFUSED_SELF;
	if (peer->id == self->id || is_name_taken(cluster, peer)) {
		snprintf(detail, BUS_DETAIL_SIZE,
			 "a running node is named %s; give the joining one another node.name",
			 peer->name);
		return BUS_REFUSED_NAME;
	}
	if (!gossip_is_joined(cluster->gossip)) {
		snprintf(detail, BUS_DETAIL_SIZE, "%s is in no cluster itself", self->name);
		return BUS_REFUSED_NOT_MEMBER;
	}
	if (peer->partition_count != cluster->config.partition_count) {
		snprintf(detail, BUS_DETAIL_SIZE,
			 "the cluster has %u partitions: set storage.partitions to that",
			 cluster->config.partition_count);
		return BUS_REFUSED_PARTITIONS;
	}
	return BUS_ACCEPTED;
}

enum bus_refusal cluster_admit(struct cluster *cluster, const struct bus_open *open, char *detail)
{
	const struct bus_peer *peer = &open->peer;
	enum bus_refusal refusal = admit_stranger(cluster, peer, detail);

	if (refusal != BUS_ACCEPTED)
		return refusal;
	if (peer->cluster_id != 0 && peer->cluster_id != gossip_cluster_id(cluster->gossip)) {
		snprintf(detail, BUS_DETAIL_SIZE,
			 "two clusters of this name were founded apart: stop one, and start its "
			 "nodes with cluster.join");
		cluster_met_stranger(cluster, &peer->control);
		return BUS_REFUSED_CLUSTER;
	}
	if (is_life_over(cluster, peer)) {
		snprintf(detail, BUS_DETAIL_SIZE, "%s was removed, or has started anew since",
			 peer->name);
		return BUS_REFUSED_GONE;
	}
	if (peer->cluster_id == 0 && strcmp(open->service, CLUSTER_EXCHANGE_SERVICE) != 0)
		return BUS_REFUSED_NOT_MEMBER;
	return BUS_ACCEPTED;
}
