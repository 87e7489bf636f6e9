/* SPDX-License-Identifier: BSD-3-Clause */
/* The judgement on refusals and silence. */
#include "controlplane/join_policy.h"

#include <stdio.h>
#include <string.h>

void join_policy_init(struct join_policy *policy, uint64_t self_id, bool may_found, bool has_seeds,
		      uint64_t now_ms)
{
	memset(policy, 0, sizeof(*policy));
	policy->self_id = self_id;
	policy->may_found = may_found;
	policy->found_at_ms = now_ms + (has_seeds ? JOIN_FOUND_MS : JOIN_FOUND_ALONE_MS);
}

enum join_verdict join_policy_tick(struct join_policy *policy, uint64_t now_ms)
{
	return policy->may_found && now_ms >= policy->found_at_ms ? JOIN_FOUND : JOIN_GO_ON;
}

/* Of two that both look for a cluster and may found one, the one with the smaller id does. */
static void defer_to(struct join_policy *policy, uint64_t now_ms, const struct bus_peer *peer)
{
	if (peer->may_found && peer->id < policy->self_id)
		policy->found_at_ms = now_ms + JOIN_DEFER_MS;
}

static enum join_verdict name_taken(struct join_policy *policy, uint64_t now_ms)
{
	if (policy->name_taken_since_ms == 0)
		policy->name_taken_since_ms = now_ms;
	return now_ms - policy->name_taken_since_ms >= JOIN_NAME_TAKEN_MS ? JOIN_GIVE_UP
									  : JOIN_GO_ON;
}

static enum join_verdict judge_refusal(struct join_policy *policy, uint64_t now_ms,
				       const struct bus_close *close)
{
	switch (close->refusal) {
	case BUS_REFUSED_NOT_MEMBER:
		defer_to(policy, now_ms, &close->peer);
		return join_policy_tick(policy, now_ms);
	case BUS_REFUSED_NAME:
		return name_taken(policy, now_ms);
	case BUS_REFUSED_UNTRUSTED:
	case BUS_REFUSED_SERVICE:
	case BUS_REFUSED_CLUSTER:
	case BUS_REFUSED_PARTITIONS:
		return JOIN_GIVE_UP;
	default:
		return JOIN_GO_ON;
	}
}

enum join_verdict join_policy_failed(struct join_policy *policy, uint64_t now_ms,
				     const struct node_address *seed, const struct bus_close *close)
{
	char address[NODE_ADDRESS_TEXT_SIZE], text[BUS_CLOSE_TEXT_SIZE];

	snprintf(policy->reason, sizeof(policy->reason), "%s %s",
		 node_address_format(seed, address), bus_close_text(close, text));
	if (close->kind == BUS_CLOSE_REFUSED)
		return judge_refusal(policy, now_ms, close);
	/* Garbage may come from anything that listens there; a wrong key or cluster says which. */
	if (close->kind == BUS_CLOSE_UNTRUSTED && close->result != BUS_TRUNCATED)
		return JOIN_GIVE_UP;
	return join_policy_tick(policy, now_ms);
}
