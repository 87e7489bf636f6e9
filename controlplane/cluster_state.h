/* SPDX-License-Identifier: BSD-3-Clause */
/* What a cluster is made of: for the files that make it, cluster.c and cluster_*.c. Others take cluster.h.
 */
#ifndef CONTROLPLANE_CLUSTER_STATE_H
#define CONTROLPLANE_CLUSTER_STATE_H

#include "controlplane/cluster_host.h"
#include "controlplane/join_policy.h"

#define CLUSTER_STRANGER_SIZE 128u

/* What cluster_confirm() wants, and the round that sees to it. */
struct cluster_spread {
	struct partition_set wanted;
	struct partition_set in_round; /* of those, what was entered before the round began */
	uint64_t retry_at_ms;
	bool is_under_way;
	uint32_t round;
	uint32_t next; /* index of the first member not asked yet */
	uint32_t outstanding;
	uint32_t taken; /* members that have the state */
};

#define CLUSTER_MEMBER_WORDS (NODE_COUNT_MAX / 64u)

/* The questions before the fence opens. Bits are indices of members. */
struct cluster_fencing {
	uint32_t next; /* index of the first member not asked yet */
	uint64_t told[CLUSTER_MEMBER_WORDS];
	uint64_t whole[CLUSTER_MEMBER_WORDS]; /* of those, whose memory is whole */
	uint64_t teller;                      /* whose state was just fed in; 0: nobody's */
	bool is_teller_whole;
	struct log_limit limit;
};

struct cluster {
	struct cluster_config config;
	struct cluster_options options;
	struct state_machine machine; /* enum cluster_phase */
	struct gossip *gossip;
	struct fence fence;
	struct cluster_fencing fencing;
	struct cluster_spread spread;
	uint64_t tick_at_ms;
	struct partition_set held;
	struct partition_set taken;   /* without data; held once a majority knows of it */
	struct partition_set awaited; /* own, lost, and a dead member may bring them: said so */
	bool is_excluded;    /* removed, or the name is another's: serves nothing any more */
	bool are_routes_old; /* publish at the end of this turn */
	bool is_ended;

	/* Joining */
	struct join_policy join;
	bool is_join_asked; /* by the operator, not by the configuration */
	uint32_t seed_count;
	struct node_address seeds[GOSSIP_SEED_COUNT_MAX];

	bool is_map_handed_over; /* while leaving: a majority knows, or is told, who has what */
	uint64_t goodbye_until_ms;
	char stranger[CLUSTER_STRANGER_SIZE];
	struct log_limit stranger_limit;

	struct cluster_news news;

	/* The state just fed in asks for an answer. */
	bool is_answer_wanted;
	enum gossip_scope answer_scope;
};

/* --- cluster.c: turns of the machine --- */

static inline uint64_t cluster_now(const struct cluster *cluster)
{
	return world_now_ms(cluster->options.world);
}

static inline const struct membership *cluster_members(const struct cluster *cluster)
{
	return gossip_membership(cluster->gossip);
}

static inline bool cluster_is_in(const struct cluster *cluster, enum cluster_phase phase)
{
	return cluster->machine.state == phase;
}

/* Whether 'member', which may be NULL, did not leave: majorities are of these. */
static inline bool cluster_is_counted(const struct member *member)
{
	return member && member_state(member) <= MEMBER_DEAD;
}

/* This node among them. */
uint32_t cluster_count_members(const struct cluster *cluster);

void cluster_move(struct cluster *cluster, enum cluster_phase phase);

/* Feeds the gossip machine and does what it says; cluster_run() also ends the turn. */
void cluster_step(struct cluster *cluster, const struct gossip_event *event);
void cluster_run(struct cluster *cluster, const struct gossip_event *event);

/* The end of every turn: the observers, the workers and the clock learn what it brought. */
void cluster_settle(struct cluster *cluster);

/* An exchange that the machine wants; as cluster_host.exchange(). */
int cluster_exchange(struct cluster *cluster, const struct node_address *to,
		     enum gossip_scope scope, struct cluster_exchange_purpose purpose);

/* Asks for the end of the process, once. */
void cluster_end_process(struct cluster *cluster, enum cluster_end why);

/* This node owns 'partition' from the next epoch on; as cluster_learn(). Errors of gossip_claim(). */
int cluster_take(struct cluster *cluster, uint32_t partition, uint32_t epoch_seen);

/* --- cluster_door.c: who may open a channel to this node --- */

/* A node of a cluster that was founded apart was met. */
void cluster_met_stranger(struct cluster *cluster, const struct node_address *at);

/* --- cluster_joining.c: from no cluster into one --- */

/* To the cluster->seeds. 'is_asked': by the operator. */
void cluster_start_joining(struct cluster *cluster, bool may_found, bool is_asked);
void cluster_start_founding(struct cluster *cluster);
/* The machine says that this node is a member now. */
void cluster_became_member(struct cluster *cluster);
/* An exchange with a seed failed. */
void cluster_join_failed(struct cluster *cluster, const struct node_address *to,
			 const struct bus_close *close);
/* An authentic datagram came while this node is in no cluster. */
void cluster_hear_members(struct cluster *cluster, const struct node_address *from);
void cluster_tick_joining(struct cluster *cluster);

/* --- cluster_fencing.c: what this node may serve --- */

void cluster_follow_fence(struct cluster *cluster, enum fence_step step);
void cluster_tick_fence(struct cluster *cluster);
/* The serving fence of a founder: there is nobody to ask. */
void cluster_open_fence(struct cluster *cluster);
/* Somebody has told what it knows, in that round of questions: the state just fed in; or it has not. */
void cluster_fence_answered(struct cluster *cluster, uint32_t round, bool is_ok);
/* The partitions on their way: a living member takes or gives them, or this node does. */
void cluster_collect_moving(const struct cluster *cluster, struct partition_set *moving);
/* Takes back, empty, what this node owned when it died, once nobody can bring it any more: no living member takes or gives
 * it, and none that died did, unless it started anew since, or was removed.
 */
void cluster_tick_take_back(struct cluster *cluster);
/* This node takes 'partition' without data, and serves it when a majority knows: else its next life would not, and take the
 * same epoch. Errors of cluster_take().
 */
int cluster_take_empty(struct cluster *cluster, uint32_t partition);
/* A majority knows who owns 'partition'. */
void cluster_serve_taken(struct cluster *cluster, uint32_t partition);

/* --- cluster_spreading.c --- */

/* Begins a round when one is wanted. */
void cluster_tick_spread(struct cluster *cluster);
/* One of 'round' has taken this node's state, or not. */
void cluster_spread_answered(struct cluster *cluster, uint32_t round, bool is_ok);
/* A member has started anew. It may be one of those that have taken the state, and has forgotten it, and asked others for
 * what they know before they were told: the round is void, and begins again.
 */
void cluster_spread_forgotten(struct cluster *cluster);

/* --- cluster_requests.c --- */

void cluster_tick_leaving(struct cluster *cluster);

#endif
