/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is in the cluster and who is alive: SWIM with Lifeguard, as a pure machine. */
#ifndef CONTROLPLANE_MEMBERSHIP_H
#define CONTROLPLANE_MEMBERSHIP_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/node.h"
#include "controlplane/state_machine.h"

#define MEMBERSHIP_PROBE_INTERVAL_MS 500u
#define MEMBERSHIP_PROBE_TIMEOUT_MS 200u /* of the direct probe; then helpers are asked */
#define MEMBERSHIP_INDIRECT_PROBES 3u
/* local health 0..7 stretches interval and time-out 1..8 fold */
#define MEMBERSHIP_HEALTH_MAX 7u
/* independent suspicions that shorten the time-out to its minimum */
#define MEMBERSHIP_CONFIRMATIONS_MAX 3u
#define MEMBERSHIP_CLAIM_FROM_MAX (MEMBERSHIP_CONFIRMATIONS_MAX + 1u)
#define MEMBERSHIP_RELAY_COUNT_MAX 64u /* indirect probes made for others at once */
/* members heard lately that are enough to be among the majority */
#define MEMBERSHIP_HEARD_COUNT_MAX 5u
#define MEMBERSHIP_MAJORITY_WINDOW_MS 2500u /* "lately" */
#define MEMBERSHIP_ACTION_COUNT_MAX 8u      /* of one step */
#define MEMBERSHIP_CONFLICT_COUNT_MAX 3u /* times this node's name may be claimed by another life */

/* A member that left, and the tombstone of a removed one, are kept this long: longer than any stray
 * record of theirs may wander about.
 */
#define MEMBERSHIP_LEFT_RETENTION_MS (UINT64_C(24) * 3600 * 1000)
#define MEMBERSHIP_REMOVED_RETENTION_MS (UINT64_C(30) * 24 * 3600 * 1000)

static_assert(MEMBERSHIP_PROBE_TIMEOUT_MS < MEMBERSHIP_PROBE_INTERVAL_MS,
	      "helpers need time as well");

/* What this node thinks of a member:
 *
 *                  claim SUSPECT            time-out, claim DEAD
 *      (new) -> ALIVE ----------> SUSPECT --------------------> DEAD
 *                 ^                  |                            |
 *                 +------------------+----------------------------+
 *                     its record with a higher incarnation
 *
 *      from any state: its record with NODE_LEFT -> LEFT
 *      from any state: claim REMOVED -> REMOVED
 *      from any state: its record with a higher generation -> ALIVE (a restarted node: what was
 *                      said of its old life is void)
 *
 * DEAD members stay until the operator removes them: they count in the majority, and they may
 * return.
 */
enum member_state {
	MEMBER_ALIVE,
	MEMBER_SUSPECT,
	MEMBER_DEAD,
	MEMBER_LEFT,
	MEMBER_REMOVED,
	MEMBER_UNKNOWN, /* not in the table: the state before the first one */
};

enum membership_claim_kind {
	CLAIM_SUSPECT = 1,
	CLAIM_DEAD = 2,
	/* by the operator; only a later generation that joins again overcomes it */
	CLAIM_REMOVED = 3,
};

/* What nodes say of another one. Holds for records of 'generation' whose incarnation is at most
 * 'incarnation'; CLAIM_REMOVED for all generations up to 'generation'.
 */
struct membership_claim {
	uint64_t id;
	uint64_t generation;
	uint64_t incarnation;
	enum membership_claim_kind kind;
	uint32_t from_count;
	uint64_t from[MEMBERSHIP_CLAIM_FROM_MAX]; /* who found it out, each independently */
};

struct member {
	/* only id is valid in a tombstone that came before any record */
	struct node node;
	struct state_machine machine;  /* enum member_state */
	struct membership_claim claim; /* in force while SUSPECT, DEAD or REMOVED */
	uint64_t since_ms;             /* of the state */
	uint64_t suspicion_end_ms;     /* while SUSPECT */
	uint64_t last_call_ms;         /* while SUSPECT: when to ask once more; 0 = asked */
	uint64_t heard_ms;             /* last packet of its own */
	uint32_t confirmations_max;    /* k of this suspicion */
	uint32_t record_size;          /* bytes; 0 = no record yet (own record, or a tombstone) */
	uint8_t *record;               /* as its node encoded it, to relay */
};

static inline enum member_state member_state(const struct member *member)
{
	return (enum member_state)member->machine.state;
}

/* The name of a state, for people. */
const char *member_state_name(enum member_state state);

struct membership_options {
	uint64_t seed;
	/* members kept at most, 1..NODE_COUNT_MAX; more are refused and counted */
	uint32_t node_count_max;
	uint32_t probe_interval_ms; /* 0 = MEMBERSHIP_PROBE_INTERVAL_MS */
	uint32_t probe_timeout_ms;  /* 0 = MEMBERSHIP_PROBE_TIMEOUT_MS */
};

enum membership_event_kind {
	MEMBERSHIP_TIMER,    /* the deadline has passed */
	MEMBERSHIP_HEARD,    /* sender: a packet of its own has come, of whatever kind */
	MEMBERSHIP_PING,     /* from, sender, sequence, target */
	MEMBERSHIP_PING_REQ, /* from, sender, sequence, target, target_address */
	MEMBERSHIP_ACK,      /* sequence, target: who is alive */
	MEMBERSHIP_NACK,     /* sequence */
	MEMBERSHIP_RECORD,   /* node, record, record_size: a record seen, whoever sent it */
	MEMBERSHIP_CLAIM,    /* claim: likewise */
	/* node: what this node wants to say; id and order are kept by the machine */
	MEMBERSHIP_UPDATE_SELF,
	/* the first exchange with a member is over; its records have been fed in */
	MEMBERSHIP_JOINED,
	/* target: the operator removes that member; ignored unless it is DEAD or LEFT */
	MEMBERSHIP_REMOVE,
	MEMBERSHIP_STALLED, /* is_stalled: whether a worker core of this node stands still */
};

struct membership_event {
	enum membership_event_kind kind;
	uint32_t sequence;
	uint64_t sender;
	struct node_address from;
	uint64_t target;
	struct node_address target_address;
	const struct node *node;
	const uint8_t *record;
	uint32_t record_size;
	const struct membership_claim *claim;
	bool is_stalled;
};

enum membership_action_kind {
	MEMBERSHIP_SEND_PING,     /* to, about, sequence, target */
	MEMBERSHIP_SEND_PING_REQ, /* to, about, sequence, target, target_address */
	MEMBERSHIP_SEND_ACK,      /* to, about, sequence, target: who is alive */
	MEMBERSHIP_SEND_NACK,     /* to, about, sequence, target: who did not answer */
	MEMBERSHIP_SPREAD_RECORD, /* index: tell others of this member's record */
	/* index: likewise, unless it is being told already: someone seems to have missed it */
	MEMBERSHIP_REPEAT_RECORD,
	MEMBERSHIP_SPREAD_CLAIM, /* index: tell others of the claim on this member */
	MEMBERSHIP_CHANGED,      /* index, before, after: a member's state */
	MEMBERSHIP_UPDATED,      /* index: a newer record of a member was taken */
	/* index: the member lives again in a new generation; its old life's jobs are void */
	MEMBERSHIP_RESTARTED,
	/* index, about: the member is gone from the table, its index is free */
	MEMBERSHIP_FORGOTTEN,
	MEMBERSHIP_SELF_REMOVED, /* the operator removed this node: stop serving */
	MEMBERSHIP_ID_CONFLICT,  /* another running node bears this node's name */
};

struct membership_action {
	enum membership_action_kind kind;
	uint32_t index; /* of the member */
	uint32_t sequence;
	/* id of the receiver: what is claimed of it goes first into the packet */
	uint64_t about;
	struct node_address to;
	uint64_t target;
	struct node_address target_address;
	enum member_state before;
	enum member_state after;
};

struct membership_actions {
	uint32_t count;
	struct membership_action items[MEMBERSHIP_ACTION_COUNT_MAX];
};

struct membership_counters {
	uint64_t probes;
	uint64_t probes_failed;
	uint64_t suspicions;      /* raised here or heard of */
	uint64_t refutations;     /* of claims about this node */
	uint64_t deaths;          /* declared here or heard of */
	uint64_t generation_bids; /* times this node outbid an older life of its own */
	uint64_t refused_removed; /* records and claims of removed members */
	uint64_t refused_full;    /* the table is full */
	uint64_t relays_refused;  /* too many indirect probes at once */
};

/* Thread safety: none; one event loop drives it. It knows no socket and no clock: packets, records
 * and time come in by membership_step(), what is to be done goes out as actions.
 */
struct membership;

/* Copies 'self', this node's first record: incarnation and record_version are set here, generation
 * is the caller's (greater at each boot: milliseconds at boot, shifted, and random low bits). 0,
 * -ENOMEM or -EINVAL.
 */
int membership_create(struct membership **membership, const struct membership_options *options,
		      const struct node *self, uint64_t now_ms);
/* Accepts NULL. */
void membership_destroy(struct membership *membership);

/* Takes one event. '*actions' is overwritten. Call with MEMBERSHIP_TIMER until the deadline lies in
 * the future. 'now_ms' is monotonic.
 */
void membership_step(struct membership *membership, uint64_t now_ms,
		     const struct membership_event *event, struct membership_actions *actions);

/* When MEMBERSHIP_TIMER is due next. */
uint64_t membership_deadline_ms(const struct membership *membership);

/* Members have stable indices 0..membership_index_end()-1, this node is 0; NULL where no member is.
 * A pointer lives until the next step.
 */
const struct member *membership_at(const struct membership *membership, uint32_t index);
uint32_t membership_index_end(const struct membership *membership);
/* NULL when 'id' is unknown. */
const struct member *membership_find(const struct membership *membership, uint64_t id);
/* The name of that node, or its number when it is not known or only a tombstone is left. Returns 'text'. */
const char *membership_name(const struct membership *membership, uint64_t id,
			    char text[NODE_NAME_SIZE]);
const struct node *membership_self(const struct membership *membership);

/* This node, and members ALIVE or SUSPECT: the N of all formulas. */
uint32_t membership_live_count(const struct membership *membership);

/* A random other member that is ALIVE or SUSPECT (DEAD when 'is_dead'), or NULL. Draws from the
 * machine's generator, so it is part of the deterministic run.
 */
const struct member *membership_pick(struct membership *membership, bool is_dead);

/* When this node last saw a majority: 'now_ms' or little less while all is well. It is the earlier
 * of two moments: when more than half of all members that did not leave were last thought alive,
 * and when so many of them, at most MEMBERSHIP_HEARD_COUNT_MAX, were last heard of themselves. The
 * latter notices a cut long before the suspicions do. A stalled node answers nobody and is declared
 * dead: it sees no majority from then on, unless it has no others. A node fences its partitions
 * when this lies too far back, and must not claim any while membership_sees_majority() is false.
 */
uint64_t membership_majority_seen_ms(const struct membership *membership, uint64_t now_ms);
/* Within the last MEMBERSHIP_MAJORITY_WINDOW_MS. */
bool membership_sees_majority(const struct membership *membership, uint64_t now_ms);

/* Local health, 0 (well) .. MEMBERSHIP_HEALTH_MAX. */
uint32_t membership_health(const struct membership *membership);

const struct membership_counters *membership_counters(const struct membership *membership);

/* The suspicion's time-out after 'confirmations' of 'confirmations_max' (which may be 0), for
 * 'live_count' nodes: max - (max - min) * ln(confirmations + 1) / ln(confirmations_max + 1), not
 * below min; min = 4 * max(1, log10(live_count)) * interval, max = 6 * min.
 */
uint32_t membership_suspicion_ms(uint32_t live_count, uint32_t confirmations,
				 uint32_t confirmations_max, uint32_t probe_interval_ms);

/* Whether every member is fit for its state; checked by tests after every step. */
bool membership_is_sound(const struct membership *membership);

#endif
