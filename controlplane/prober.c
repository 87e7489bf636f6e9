/* SPDX-License-Identifier: BSD-3-Clause */
/* The failure detector of membership: whom to probe, when, through which helpers, and what came of
 * it.
 */
#include "controlplane/prober.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A helper answers before the prober's interval ends: it says "no answer" after this part of its
 * own time-out.
 */
#define NACK_PERCENT 80u

struct membership_action *membership_actions_add(struct membership_actions *actions,
						 enum membership_action_kind kind)
{
	struct membership_action *action;

	assert(actions->count < MEMBERSHIP_ACTION_COUNT_MAX);
	action = &actions->items[actions->count++];
	memset(action, 0, sizeof(*action));
	action->kind = kind;
	return action;
}

int prober_init(struct prober *prober, struct member_table *table, struct prng *prng,
		struct membership_counters *counters, const struct membership_options *options,
		uint64_t now_ms)
{
	memset(prober, 0, sizeof(*prober));
	prober->table = table;
	prober->prng = prng;
	prober->counters = counters;
	prober->interval_ms = options->probe_interval_ms ? options->probe_interval_ms
							 : MEMBERSHIP_PROBE_INTERVAL_MS;
	prober->timeout_ms =
		options->probe_timeout_ms ? options->probe_timeout_ms : MEMBERSHIP_PROBE_TIMEOUT_MS;
	if (prober->timeout_ms >= prober->interval_ms)
		return -EINVAL;
	/* Nodes that started together do not probe together. */
	prober->next_at_ms = now_ms + prng_below(prng, prober->interval_ms) + 1;
	prober->order = calloc(table->capacity, sizeof(*prober->order));
	return prober->order ? 0 : -ENOMEM;
}

void prober_fini(struct prober *prober)
{
	free(prober->order);
	prober->order = NULL;
}

static bool is_probed(const struct member *member)
{
	return member &&
	       (member_state(member) == MEMBER_ALIVE || member_state(member) == MEMBER_SUSPECT);
}

void prober_add(struct prober *prober, uint32_t index)
{
	uint32_t at;

	if (prober->order_count == prober->table->capacity)
		return; /* stale entries fill the order; the next round has the member */
	at = prober->order_position +
	     prng_below(prober->prng, prober->order_count - prober->order_position + 1);
	prober->order[prober->order_count++] = prober->order[at];
	prober->order[at] = index;
}

static void shuffle(struct prober *prober)
{
	prober->order_position = 0;
	prober->order_count = 0;
	for (uint32_t i = 1; i < prober->table->end; i++) {
		if (is_probed(prober->table->slots[i]))
			prober_add(prober, i);
	}
}

/* The next member of the round, or of the next round; NULL when there is no other member. */
static struct member *next_member(struct prober *prober)
{
	for (uint32_t round = 0; round < 2; round++) {
		while (prober->order_position < prober->order_count) {
			uint32_t index = prober->order[prober->order_position++];
			struct member *member =
				index < prober->table->end ? prober->table->slots[index] : NULL;

			if (index != 0 && is_probed(member))
				return member;
		}
		shuffle(prober);
	}
	return NULL;
}

static void ping(const struct member *member, uint32_t sequence, struct membership_actions *actions)
{
	struct membership_action *action = membership_actions_add(actions, MEMBERSHIP_SEND_PING);

	action->to = member->node.control;
	action->about = member->node.id;
	action->sequence = sequence;
	action->target = member->node.id;
}

void prober_last_call(struct prober *prober, const struct member *member,
		      struct membership_actions *actions)
{
	ping(member, ++prober->next_sequence, actions);
}

static void start_probe(struct prober *prober, uint64_t now_ms, struct membership_actions *actions)
{
	struct member *member = next_member(prober);
	uint32_t stretch = prober->health + 1;

	prober->next_at_ms = now_ms + (uint64_t)prober->interval_ms * stretch;
	memset(&prober->probe, 0, sizeof(prober->probe));
	if (!member)
		return;
	prober->counters->probes++;
	prober->probe.is_running = true;
	prober->probe.started_ms = now_ms;
	prober->probe.id = member->node.id;
	prober->probe.sequence = ++prober->next_sequence;
	prober->probe.helpers_at_ms = now_ms + (uint64_t)prober->timeout_ms * stretch;
	ping(member, prober->probe.sequence, actions);
}

/* Up to MEMBERSHIP_INDIRECT_PROBES different members that are thought alive, by reservoir sampling.
 */
static uint32_t pick_helpers(struct prober *prober, uint64_t target, const struct member **helpers)
{
	uint32_t seen = 0;

	for (uint32_t i = 1; i < prober->table->end; i++) {
		const struct member *member = prober->table->slots[i];
		uint32_t at = seen;

		if (!member || member_state(member) != MEMBER_ALIVE || member->node.id == target)
			continue;
		if (seen >= MEMBERSHIP_INDIRECT_PROBES)
			at = prng_below(prober->prng, seen + 1);
		if (at < MEMBERSHIP_INDIRECT_PROBES)
			helpers[at] = member;
		seen++;
	}
	return seen < MEMBERSHIP_INDIRECT_PROBES ? seen : MEMBERSHIP_INDIRECT_PROBES;
}

static void ask_helpers(struct prober *prober, struct membership_actions *actions)
{
	struct prober_probe *probe = &prober->probe;
	const struct member *target = member_table_find(prober->table, probe->id, NULL);
	const struct member *helpers[MEMBERSHIP_INDIRECT_PROBES];
	uint32_t count = target ? pick_helpers(prober, probe->id, helpers) : 0;

	probe->is_indirect = true;
	probe->nacks_expected = count;
	for (uint32_t i = 0; i < count; i++) {
		struct membership_action *action =
			membership_actions_add(actions, MEMBERSHIP_SEND_PING_REQ);

		action->to = helpers[i]->node.control;
		action->about = helpers[i]->node.id;
		action->sequence = probe->sequence;
		action->target = probe->id;
		action->target_address = target->node.control;
	}
}

/* Judges the probe whose interval is over. Returns the member that failed it. */
static struct member *end_probe(struct prober *prober)
{
	struct prober_probe *probe = &prober->probe;
	struct member *member = member_table_find(prober->table, probe->id, NULL);

	if (!probe->is_running || !is_probed(member) || probe->is_answered)
		return NULL;
	prober->counters->probes_failed++;
	/* Silent helpers are a sign that this node's own packets do not get through. */
	if (probe->nacks_expected > 0)
		prober_change_health(prober, (int)probe->nacks_expected - (int)probe->nacks);
	else
		prober_change_health(prober, 1);
	return member;
}

static struct prober_relay *due_relay(struct prober *prober)
{
	struct prober_relay *due = NULL;

	for (uint32_t i = 0; prober->relay_count > 0 && i < MEMBERSHIP_RELAY_COUNT_MAX; i++) {
		struct prober_relay *relay = &prober->relays[i];

		if (relay->is_used && (!due || relay->nack_at_ms < due->nack_at_ms))
			due = relay;
	}
	return due;
}

static void answer_relay(struct prober *prober, struct prober_relay *relay,
			 enum membership_action_kind kind, struct membership_actions *actions)
{
	struct membership_action *action = membership_actions_add(actions, kind);

	action->to = relay->requester_address;
	action->about = relay->requester;
	action->sequence = relay->requester_sequence;
	action->target = relay->target;
	relay->is_used = false;
	prober->relay_count--;
}

static bool helpers_are_due(const struct prober *prober, uint64_t now_ms)
{
	const struct prober_probe *probe = &prober->probe;

	return probe->is_running && !probe->is_answered && !probe->is_indirect &&
	       now_ms >= probe->helpers_at_ms;
}

struct member *prober_timer(struct prober *prober, uint64_t now_ms,
			    struct membership_actions *actions)
{
	struct prober_relay *relay = due_relay(prober);
	struct member *failed = NULL;

	if (relay && now_ms >= relay->nack_at_ms) {
		answer_relay(prober, relay, MEMBERSHIP_SEND_NACK, actions);
	} else if (now_ms >= prober->next_at_ms) {
		failed = end_probe(prober);
		start_probe(prober, now_ms, actions);
	} else if (helpers_are_due(prober, now_ms)) {
		ask_helpers(prober, actions);
	}
	return failed;
}

uint64_t prober_deadline_ms(const struct prober *prober)
{
	const struct prober_probe *probe = &prober->probe;
	uint64_t deadline_ms = prober->next_at_ms;

	if (probe->is_running && !probe->is_answered && !probe->is_indirect &&
	    probe->helpers_at_ms < deadline_ms)
		deadline_ms = probe->helpers_at_ms;
	for (uint32_t i = 0; prober->relay_count > 0 && i < MEMBERSHIP_RELAY_COUNT_MAX; i++) {
		const struct prober_relay *relay = &prober->relays[i];

		if (relay->is_used && relay->nack_at_ms < deadline_ms)
			deadline_ms = relay->nack_at_ms;
	}
	return deadline_ms;
}

static struct prober_relay *free_relay(struct prober *prober)
{
	for (uint32_t i = 0; i < MEMBERSHIP_RELAY_COUNT_MAX; i++) {
		if (!prober->relays[i].is_used)
			return &prober->relays[i];
	}
	return NULL;
}

void prober_ping_req(struct prober *prober, uint64_t now_ms, const struct membership_event *event,
		     struct membership_actions *actions)
{
	struct prober_relay *relay = free_relay(prober);
	struct membership_action *action;

	if (!relay) {
		prober->counters->relays_refused++;
		return;
	}
	prober->relay_count++;
	relay->is_used = true;
	relay->sequence = ++prober->next_sequence;
	relay->requester_sequence = event->sequence;
	relay->requester = event->sender;
	relay->requester_address = event->from;
	relay->target = event->target;
	relay->nack_at_ms = now_ms + (uint64_t)prober->timeout_ms * NACK_PERCENT / 100;
	action = membership_actions_add(actions, MEMBERSHIP_SEND_PING);
	action->to = event->target_address;
	action->about = event->target;
	action->sequence = relay->sequence;
	action->target = event->target;
}

/* Patience is for who is silent: after an answer the next probe comes as early as when all is well, or a cluster that has just healed
 * would hear so little of its members for seconds that its nodes saw no majority.
 */
static void finish_probe(struct prober *prober)
{
	uint64_t next_at_ms = prober->probe.started_ms + prober->interval_ms;

	prober->probe.is_answered = true;
	if (next_at_ms < prober->next_at_ms)
		prober->next_at_ms = next_at_ms;
	prober_change_health(prober, -1);
}

void prober_ack(struct prober *prober, const struct membership_event *event,
		struct membership_actions *actions)
{
	struct prober_probe *probe = &prober->probe;

	if (probe->is_running && event->sequence == probe->sequence && event->target == probe->id) {
		if (!probe->is_answered)
			finish_probe(prober);
		return;
	}
	for (uint32_t i = 0; i < MEMBERSHIP_RELAY_COUNT_MAX; i++) {
		struct prober_relay *relay = &prober->relays[i];

		if (relay->is_used && event->sequence == relay->sequence &&
		    event->target == relay->target) {
			answer_relay(prober, relay, MEMBERSHIP_SEND_ACK, actions);
			return;
		}
	}
}

void prober_nack(struct prober *prober, const struct membership_event *event)
{
	struct prober_probe *probe = &prober->probe;

	if (probe->is_running && event->sequence == probe->sequence &&
	    probe->nacks < probe->nacks_expected)
		probe->nacks++;
}

void prober_change_health(struct prober *prober, int delta)
{
	int health = (int)prober->health + delta;

	if (health < 0)
		health = 0;
	if (health > (int)MEMBERSHIP_HEALTH_MAX)
		health = (int)MEMBERSHIP_HEALTH_MAX;
	prober->health = (uint32_t)health;
}
