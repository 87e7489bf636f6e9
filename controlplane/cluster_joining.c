/* SPDX-License-Identifier: BSD-3-Clause */
/* Joining and founding. */
#include "controlplane/cluster_state.h"

#include <inttypes.h>
#include <string.h>

void cluster_became_member(struct cluster *cluster)
{
	if (cluster_is_in(cluster, CLUSTER_MEMBER))
		return;
	cluster_move(cluster, CLUSTER_MEMBER);
	cluster->join.reason[0] = '\0';
	log_info(cluster->options.log, "cluster", "member",
		 "name=%s id=%016" PRIx64 " nodes=%u partitions=%u", cluster->config.name,
		 gossip_cluster_id(cluster->gossip),
		 membership_live_count(cluster_members(cluster)),
		 gossip_map(cluster->gossip)->partition_count);
}

static void give_up_joining(struct cluster *cluster)
{
	cluster_move(cluster, CLUSTER_WAITING);
	cluster->seed_count = 0;
	cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_JOIN });
	log_error(cluster->options.log, "cluster", "cannot join", "%s", cluster->join.reason);
	if (!cluster->is_join_asked)
		cluster_end_process(cluster, CLUSTER_END_CANNOT_JOIN);
}

void cluster_start_founding(struct cluster *cluster)
{
	uint64_t id = world_random_below(cluster->options.world, UINT64_MAX) + 1;

	log_info(cluster->options.log, "cluster", "founds a cluster");
	for (uint32_t p = 0; p < cluster->config.partition_count; p++)
		partition_set_add(&cluster->held, p);
	cluster_open_fence(cluster);
	cluster_run(cluster,
		    &(struct gossip_event){ .kind = GOSSIP_BOOTSTRAP,
					    .partition_count = cluster->config.partition_count,
					    .id = id });
}

static void follow(struct cluster *cluster, enum join_verdict verdict)
{
	if (verdict == JOIN_FOUND)
		cluster_start_founding(cluster);
	else if (verdict == JOIN_GIVE_UP)
		give_up_joining(cluster);
}

void cluster_join_failed(struct cluster *cluster, const struct node_address *to,
			 const struct bus_close *close)
{
	follow(cluster, join_policy_failed(&cluster->join, cluster_now(cluster), to, close));
	if (cluster_is_in(cluster, CLUSTER_JOINING))
		log_info(cluster->options.log, "cluster", "not joined yet", "%s",
			 cluster->join.reason);
}

void cluster_start_joining(struct cluster *cluster, bool may_found, bool is_asked)
{
	cluster->is_join_asked = is_asked;
	join_policy_init(&cluster->join, cluster->config.self.id, may_found,
			 cluster->seed_count > 0, cluster_now(cluster));
	cluster_move(cluster, CLUSTER_JOINING);
	if (cluster->seed_count > 0)
		cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_JOIN,
							     .seeds = cluster->seeds,
							     .seed_count = cluster->seed_count });
}

void cluster_tick_joining(struct cluster *cluster)
{
	follow(cluster, join_policy_tick(&cluster->join, cluster_now(cluster)));
}

/* A founder that waits whether there is a cluster hears one: its earlier life was a member. */
void cluster_hear_members(struct cluster *cluster, const struct node_address *from)
{
	if (!cluster_is_in(cluster, CLUSTER_JOINING) || cluster->seed_count > 0)
		return;
	cluster->seeds[cluster->seed_count++] = *from;
	join_policy_init(&cluster->join, cluster->config.self.id, true, true, cluster_now(cluster));
	cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_JOIN,
						     .seeds = cluster->seeds,
						     .seed_count = cluster->seed_count });
}

void cluster_start(struct cluster *cluster)
{
	const struct cluster_config *config = &cluster->config;

	if (!config->has_bus) {
		cluster_start_founding(cluster);
		return;
	}
	memcpy(cluster->seeds, config->seeds, config->seed_count * sizeof(config->seeds[0]));
	cluster->seed_count = config->seed_count;
	if (config->may_found || config->seed_count > 0)
		cluster_start_joining(cluster, config->may_found, false);
	else
		log_warning(cluster->options.log, "cluster",
			    "in no cluster: godwitctl cluster create or join, or cluster.bootstrap "
			    "or cluster.join");
}
