/* SPDX-License-Identifier: BSD-3-Clause */
/* The polling loop of one worker core. */
#ifndef DATAPLANE_CORE_LOOP_H
#define DATAPLANE_CORE_LOOP_H

#include <stdbool.h>

#include "dataplane/core_state.h"

/* What makes a core, beside what its node shares. */
struct core_parts {
	struct core_shared *shared;
	uint32_t index;
	struct shard *shard;
	struct session_table *sessions;
	struct replay_table *replay;
};

/* Makes a core of its parts, which outlive it, and enters it into shared->cores. 0 or -ENOMEM. */
int core_create(struct core **core, const struct core_parts *parts);
/* Frees the packets in its outboxes. Accepts NULL. */
void core_destroy(struct core *core);

/* Goes by the route table that is published now. What core_turn() begins with. */
void core_take_route(struct core *core);

/* One turn: unpark, receive, execute, mailboxes, transmit, a slice of background work. Returns whether there was
 * a packet. The caller then passes a quiescent state.
 */
bool core_turn(struct core *core);

/* Turns until shared->command is CORE_STOP. The thread is a registered reader, 'core->reader'. */
void core_run(struct core *core);

/* Whether the core has read the command and has acted by it since. Any thread. */
bool core_has_seen(const struct core *core, enum core_command command);

#endif
