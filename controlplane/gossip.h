/* SPDX-License-Identifier: BSD-3-Clause */
/* How the cluster's knowledge spreads: membership and partition map behind packets, as a pure
 * machine.
 */
#ifndef CONTROLPLANE_GOSSIP_H
#define CONTROLPLANE_GOSSIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/gossip_message.h"
#include "controlplane/membership.h"
#include "controlplane/partition_map.h"

/* Gossip (UDP) and sync (TCP) of the control network. */
#define GOSSIP_PORT_DEFAULT 7800u

/* Between packets that carry nothing but news, while there are any. */
#define GOSSIP_SPREAD_INTERVAL_MS 200u
/* The least pause before this node's own news go out. */
#define GOSSIP_SPREAD_GAP_MS 20u
#define GOSSIP_SPREAD_FANOUT 3u
#define GOSSIP_PUSH_PULL_INTERVAL_MS 30000u
/* Between attempts to reach a member thought dead. */
#define GOSSIP_RECONNECT_INTERVAL_MS 10000u
/* Between pulls of a map that differs though no news are under way. */
#define GOSSIP_MAP_PULL_INTERVAL_MS 2000u
/* Between pulls from members that are in a later life than the one known here. */
#define GOSSIP_LIFE_PULL_INTERVAL_MS 500u
#define GOSSIP_JOIN_RETRY_MS 1000u /* doubled up to GOSSIP_JOIN_RETRY_MAX_MS */
#define GOSSIP_JOIN_RETRY_MAX_MS 8000u
#define GOSSIP_SEED_COUNT_MAX 16u
#define GOSSIP_SEND_COUNT_MAX 12u /* packets of one step */

enum gossip_event_kind {
	GOSSIP_TIMER,  /* the deadline has passed */
	GOSSIP_PACKET, /* from, bytes, size: a datagram, opened */
	GOSSIP_STATE,  /* bytes, size: a whole state that came over TCP */
	/* partition_count, id: this node founds a cluster and owns all partitions; the cluster's id is
	 * random, so that two clusters founded apart never merge (0: no such check)
	 */
	GOSSIP_BOOTSTRAP,
	GOSSIP_JOIN, /* seeds, seed_count: addresses of members; goes on until one answers, or none is given */
	GOSSIP_UPDATE_SELF, /* node: what this node wants to say from now on */
	GOSSIP_REMOVE,      /* id: the operator removes that member, which is dead or has left */
	GOSSIP_STALLED,     /* is_stalled: whether a worker core of this node stands still */
};

struct gossip_event {
	enum gossip_event_kind kind;
	struct node_address from;
	const uint8_t *bytes;
	size_t size;
	const struct node_address *seeds;
	uint32_t seed_count;
	uint32_t partition_count;
	const struct node *node;
	uint64_t id;
	bool is_stalled;
};

enum gossip_action_kind {
	GOSSIP_SEND, /* to, bytes, size: a datagram, to be sealed */
	/* to, scope: connect, send gossip_state() as a request, feed its answer in */
	GOSSIP_PUSH_PULL,
	GOSSIP_REPLY_STATE, /* to, scope: answer the GOSSIP_STATE just fed in, on its connection */
	GOSSIP_STATE_TAKEN, /* id, is_whole: all that the member 'id' knows is known here now */
	GOSSIP_JOINED,      /* this node has become a member */
	GOSSIP_MEMBER_CHANGED, /* id, before, after */
	/* id: lives in a new generation; jobs with its old life are void */
	GOSSIP_MEMBER_RESTARTED,
	/* id, partition: a member announces that it imports a partition which this node owns */
	GOSSIP_PEER_IMPORTS,
	GOSSIP_MAP_CHANGED,  /* owners changed */
	GOSSIP_SELF_REMOVED, /* the operator removed this node: stop serving */
	GOSSIP_ID_CONFLICT,  /* another running node bears this node's name */
	/* to, id: a node of a cluster that was founded apart under the same name and key; refused */
	GOSSIP_OTHER_CLUSTER,
};

struct gossip_action {
	enum gossip_action_kind kind;
	struct node_address to;
	enum gossip_scope scope;
	const uint8_t *bytes; /* valid until the next step */
	size_t size;
	uint64_t id;
	uint32_t partition;
	enum member_state before;
	enum member_state after;
	bool is_whole; /* gossip_set_whole() was called there, in this life of it */
};

struct gossip_actions {
	uint32_t count;
	const struct gossip_action *items;
};

struct gossip_counters {
	uint64_t packets_in;
	uint64_t packets_out;
	uint64_t bytes_out; /* plain bytes of datagrams; each takes BUS_OVERHEAD more on the wire */
	uint64_t states_in;
	uint64_t states_out;
	uint64_t state_bytes_out;
	uint64_t refused_malformed;  /* packets, states and records that do not decode */
	uint64_t refused_generation; /* of a life that is over */
	uint64_t refused_removed;    /* of a removed node */
	uint64_t refused_cluster;    /* of a cluster that was founded apart */
	uint64_t map_count_mismatch; /* a state with another number of partitions */
	/* announcements beyond the room for actions; PREPARE comes anyway */
	uint64_t imports_dropped;
};

struct gossip_options {
	struct membership_options membership;
	uint32_t partition_count_max;   /* 0 = PARTITION_COUNT_MAX; bounds memory */
	uint32_t push_pull_interval_ms; /* 0 = GOSSIP_PUSH_PULL_INTERVAL_MS */
};

/* A piece of news goes out with every packet there is, and with packets of its own to 3 random
 * members each 200 ms, until this node has told it 4 * ceil(log10(N + 1)) times. What that misses,
 * the push-pull of the whole state repairs.
 *
 * Thread safety: none; one event loop drives it. It knows no socket and no clock.
 */
struct gossip;

/* 'self' as in membership_create(). 0, -ENOMEM or -EINVAL. */
int gossip_create(struct gossip **gossip, const struct gossip_options *options,
		  const struct node *self, uint64_t now_ms);
/* Accepts NULL. */
void gossip_destroy(struct gossip *gossip);

/* Takes one event; the actions live until the next call of any function below that is not const.
 * Call with GOSSIP_TIMER until the deadline lies in the future.
 */
struct gossip_actions gossip_step(struct gossip *gossip, uint64_t now_ms,
				  const struct gossip_event *event);
uint64_t gossip_deadline_ms(const struct gossip *gossip);

/* Writes this node's whole state, for GOSSIP_PUSH_PULL (is_request) and GOSSIP_REPLY_STATE. Returns
 * the size, or -EMSGSIZE or -ENOMEM. GOSSIP_STATE_SIZE_MAX bytes always suffice.
 */
int gossip_state(struct gossip *gossip, bool is_request, enum gossip_scope scope, uint8_t *bytes,
		 size_t size_max);

/* This node's states say from now on that it knows all that its earlier lives knew. */
void gossip_set_whole(struct gossip *gossip);

/* The three below return no actions: the caller knows that the map changed, and asks for the
 * deadline anew.
 *
 * This node hands 'partition' to 'to' and tells everybody. Errors of partition_map_hand_over().
 */
int gossip_hand_over(struct gossip *gossip, uint64_t now_ms, uint32_t partition, uint64_t to);
/* This node takes 'partition' without its owner. Errors of partition_map_claim(). */
int gossip_claim(struct gossip *gossip, uint64_t now_ms, uint32_t partition, uint32_t epoch_seen);
/* An ownership learned otherwise (from a COMMIT, a refusal). True when it was news. */
bool gossip_learn(struct gossip *gossip, uint64_t now_ms, const struct partition_owner *owner);

const struct membership *gossip_membership(const struct gossip *gossip);
const struct partition_map *gossip_map(const struct gossip *gossip);
const struct node *gossip_self(const struct gossip *gossip);
const struct gossip_counters *gossip_counters(const struct gossip *gossip);
bool gossip_is_joined(const struct gossip *gossip);
/* Drawn by the cluster's founder; 0 = not a member yet. */
uint64_t gossip_cluster_id(const struct gossip *gossip);
/* Pieces of news that are not told often enough yet. */
uint32_t gossip_pending(const struct gossip *gossip);

#endif
