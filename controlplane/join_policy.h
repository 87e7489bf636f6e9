/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node that is in no cluster yet makes of the answers it gets: go on, found one, or give up. */
#ifndef CONTROLPLANE_JOIN_POLICY_H
#define CONTROLPLANE_JOIN_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/bus_close.h"

/* How long a node that may found a cluster looks for one first: with seeds to ask, and without, when it
 * only listens whether members of an earlier life's cluster call.
 */
#define JOIN_FOUND_MS 3000u
#define JOIN_FOUND_ALONE_MS 1000u
/* A founder with a smaller id was seen: its cluster is waited for. */
#define JOIN_DEFER_MS 10000u
/* How long the own name may be taken: an earlier life at another address has to be declared dead. */
#define JOIN_NAME_TAKEN_MS 20000u

enum join_verdict {
	JOIN_GO_ON,
	JOIN_FOUND,   /* there is no cluster: found one */
	JOIN_GIVE_UP, /* it is for the operator to change something; see reason */
};

#define JOIN_REASON_SIZE 384u

/* Thread safety: none. Pure: knows neither socket nor clock. */
struct join_policy {
	uint64_t self_id;
	bool may_found;
	uint64_t found_at_ms;          /* when it founds a cluster, if it may */
	uint64_t name_taken_since_ms;  /* 0 = not taken */
	char reason[JOIN_REASON_SIZE]; /* of the last answer, or of giving up; "" = none yet */
};

void join_policy_init(struct join_policy *policy, uint64_t self_id, bool may_found, bool has_seeds,
		      uint64_t now_ms);

/* An attempt at 'seed' ended without a state. */
enum join_verdict join_policy_failed(struct join_policy *policy, uint64_t now_ms,
				     const struct node_address *seed,
				     const struct bus_close *close);

/* Time has passed. */
enum join_verdict join_policy_tick(struct join_policy *policy, uint64_t now_ms);

#endif
