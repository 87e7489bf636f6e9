/* SPDX-License-Identifier: BSD-3-Clause */
/* The failure detector of membership: whom to probe, when, through which helpers, and what came of
 * it.
 */
#ifndef CONTROLPLANE_PROBER_H
#define CONTROLPLANE_PROBER_H

#include <stdbool.h>
#include <stdint.h>

#include "controlplane/member_table.h"
#include "controlplane/prng.h"

/* One probe:
 *
 *      0                      timeout                                   interval
 *      |-- ping --------------|-- ping_req to 3 helpers ----------------|-- no answer: suspect
 *
 * both stretched by local health + 1, the interval only until there is an answer. A helper that gets no answer says so (nack); when the helpers
 * are silent as well, it is this node that is unwell, and its local health suffers.
 */
struct prober_probe {
	bool is_running;
	bool is_answered;
	bool is_indirect; /* helpers have been asked */
	uint64_t started_ms;
	uint64_t id; /* of the member probed */
	uint32_t sequence;
	uint64_t helpers_at_ms;
	uint32_t nacks_expected;
	uint32_t nacks;
};

/* A probe made for another node. */
struct prober_relay {
	bool is_used;
	uint32_t sequence;           /* of our ping */
	uint32_t requester_sequence; /* of its ping_req */
	uint64_t requester;
	struct node_address requester_address;
	uint64_t target;
	uint64_t nack_at_ms;
};

/* Thread safety: none; part of struct membership. */
struct prober {
	struct member_table *table;
	struct prng *prng;
	struct membership_counters *counters;
	uint32_t interval_ms;
	uint32_t timeout_ms;
	uint32_t health; /* 0..MEMBERSHIP_HEALTH_MAX */
	uint32_t next_sequence;
	uint64_t next_at_ms; /* end of the running probe's interval, start of the next probe */
	struct prober_probe probe;
	/* Members are probed round-robin in an order shuffled anew after each round. */
	uint32_t *order;
	uint32_t order_count;
	uint32_t order_position;
	uint32_t relay_count;
	struct prober_relay relays[MEMBERSHIP_RELAY_COUNT_MAX];
};

int prober_init(struct prober *prober, struct member_table *table, struct prng *prng,
		struct membership_counters *counters, const struct membership_options *options,
		uint64_t now_ms);
/* Accepts a zeroed object. */
void prober_fini(struct prober *prober);

/* Puts a new member at a random place among those still to be probed in this round. */
void prober_add(struct prober *prober, uint32_t index);

/* Does the one thing that is most overdue. Returns the member that did not answer its probe, or
 * NULL.
 */
struct member *prober_timer(struct prober *prober, uint64_t now_ms,
			    struct membership_actions *actions);
uint64_t prober_deadline_ms(const struct prober *prober);

/* Events of the same names. */
void prober_ping_req(struct prober *prober, uint64_t now_ms, const struct membership_event *event,
		     struct membership_actions *actions);
void prober_ack(struct prober *prober, const struct membership_event *event,
		struct membership_actions *actions);
void prober_nack(struct prober *prober, const struct membership_event *event);

void prober_change_health(struct prober *prober, int delta);

/* Asks a suspect once more, outside the order: its answer carries its refutation. */
void prober_last_call(struct prober *prober, const struct member *member,
		      struct membership_actions *actions);

struct membership_action *membership_actions_add(struct membership_actions *actions,
						 enum membership_action_kind kind);

#endif
