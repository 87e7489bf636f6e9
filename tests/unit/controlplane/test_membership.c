/* SPDX-License-Identifier: BSD-3-Clause */
/* Membership: probes, suspicion, refutation, generations, removal, as stories of one node and what
 * it hears.
 */
#include "controlplane/membership.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

#define SELF_ID 1u

static struct membership *machine;
static uint64_t now_ms;
static struct membership_actions actions;

static struct node node_of(uint64_t id, uint64_t generation, uint64_t incarnation, uint64_t version)
{
	struct node node = {
		.id = id,
		.generation = generation,
		.incarnation = incarnation,
		.record_version = version,
		.state = NODE_ACTIVE,
		.control = node_address_ipv4((uint32_t)(0x0a000000 + id), 7800),
		.weight = 100,
	};

	snprintf(node.name, sizeof(node.name), "n%u", (unsigned)id);
	return node;
}

static void step(const struct membership_event *event)
{
	membership_step(machine, now_ms, event, &actions);
	CU_ASSERT_TRUE(membership_is_sound(machine));
}

/* A node with id 1 that has joined; others are heard of by hear(). */
static void begin_with_capacity(uint32_t node_count_max)
{
	struct membership_options options = { .seed = 42, .node_count_max = node_count_max };
	struct node self = node_of(SELF_ID, 100, 0, 0);
	struct membership_event joined = { .kind = MEMBERSHIP_JOINED };

	now_ms = 1000;
	CU_ASSERT_EQUAL_FATAL(membership_create(&machine, &options, &self, now_ms), 0);
	step(&joined);
}

static void begin(void)
{
	begin_with_capacity(16);
}

static void end(void)
{
	membership_destroy(machine);
	machine = NULL;
}

static void hear_node(const struct node *node)
{
	uint8_t record[3] = { 'r', (uint8_t)node->id, (uint8_t)node->record_version };
	struct membership_event event = { .kind = MEMBERSHIP_RECORD,
					  .node = node,
					  .record = record,
					  .record_size = sizeof(record) };

	step(&event);
}

static void hear(uint64_t id, uint64_t generation, uint64_t incarnation, uint64_t version)
{
	struct node node = node_of(id, generation, incarnation, version);

	hear_node(&node);
}

static void hear_claim(enum membership_claim_kind kind, uint64_t id, uint64_t generation,
		       uint64_t incarnation, uint64_t from)
{
	struct membership_claim claim = { .id = id,
					  .generation = generation,
					  .incarnation = incarnation,
					  .kind = kind,
					  .from_count = 1,
					  .from = { from } };
	struct membership_event event = { .kind = MEMBERSHIP_CLAIM, .claim = &claim };

	step(&event);
}

static const struct membership_action *action(enum membership_action_kind kind)
{
	for (uint32_t i = 0; i < actions.count; i++) {
		if (actions.items[i].kind == kind)
			return &actions.items[i];
	}
	return NULL;
}

static enum member_state state_of(uint64_t id)
{
	const struct member *member = membership_find(machine, id);

	return member ? member_state(member) : MEMBER_UNKNOWN;
}

/* Lets time pass up to the next deadline and takes the timer. */
static void next_timer(void)
{
	struct membership_event event = { .kind = MEMBERSHIP_TIMER };
	uint64_t deadline_ms = membership_deadline_ms(machine);

	if (deadline_ms > now_ms)
		now_ms = deadline_ms;
	step(&event);
}

/* Timers until an action of that kind comes; NULL when it does not within 100. */
static const struct membership_action *timers_until(enum membership_action_kind kind)
{
	for (uint32_t i = 0; i < 100; i++) {
		next_timer();
		if (action(kind))
			return action(kind);
	}
	return NULL;
}

static void answer(enum membership_event_kind kind, uint32_t sequence, uint64_t target)
{
	struct membership_event event = { .kind = kind, .sequence = sequence, .target = target };

	step(&event);
}

/* ---- probing ---- */

static void test_every_member_is_probed_once_a_round(void)
{
	uint32_t probed[5] = { 0 };

	begin();
	for (uint64_t id = 2; id <= 4; id++)
		hear(id, 1, 1, 1);
	for (uint32_t i = 0; i < 6; i++) {
		const struct membership_action *ping = timers_until(MEMBERSHIP_SEND_PING);

		CU_ASSERT_PTR_NOT_NULL_FATAL(ping);
		CU_ASSERT_TRUE_FATAL(ping->target >= 2 && ping->target <= 4);
		probed[ping->target]++;
		answer(MEMBERSHIP_ACK, ping->sequence, ping->target);
	}
	for (uint32_t id = 2; id <= 4; id++)
		CU_ASSERT_EQUAL(probed[id], 2);
	CU_ASSERT_EQUAL(membership_counters(machine)->probes_failed, 0);
	end();
}

static void test_probes_come_every_interval(void)
{
	uint64_t first_ms;

	begin();
	hear(2, 1, 1, 1);
	for (uint32_t i = 0; i < 3; i++) {
		const struct membership_action *ping = timers_until(MEMBERSHIP_SEND_PING);

		first_ms = now_ms;
		answer(MEMBERSHIP_ACK, ping->sequence, 2);
		ping = timers_until(MEMBERSHIP_SEND_PING);
		CU_ASSERT_EQUAL(now_ms - first_ms, MEMBERSHIP_PROBE_INTERVAL_MS);
		answer(MEMBERSHIP_ACK, ping->sequence, 2);
	}
	end();
}

static void test_a_silent_member_is_probed_through_helpers(void)
{
	const struct membership_action *ping;
	uint64_t pinged_ms, target;
	uint32_t asked = 0;

	begin();
	for (uint64_t id = 2; id <= 8; id++)
		hear(id, 1, 1, 1);
	ping = timers_until(MEMBERSHIP_SEND_PING);
	pinged_ms = now_ms;
	target = ping->target;
	next_timer();
	CU_ASSERT_EQUAL(now_ms - pinged_ms, MEMBERSHIP_PROBE_TIMEOUT_MS);
	for (uint32_t i = 0; i < actions.count; i++) {
		CU_ASSERT_EQUAL(actions.items[i].kind, MEMBERSHIP_SEND_PING_REQ);
		CU_ASSERT_EQUAL(actions.items[i].target, target);
		CU_ASSERT_NOT_EQUAL(actions.items[i].about, target);
		CU_ASSERT_NOT_EQUAL(actions.items[i].about, SELF_ID);
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(actions.items[i].about, actions.items[j].about);
		asked++;
	}
	CU_ASSERT_EQUAL(asked, MEMBERSHIP_INDIRECT_PROBES);
	/* one helper got through: no suspicion */
	answer(MEMBERSHIP_ACK, actions.items[0].sequence, target);
	next_timer();
	CU_ASSERT_EQUAL(state_of(target), MEMBER_ALIVE);
	end();
}

static void test_an_unanswered_probe_makes_a_suspect(void)
{
	const struct member *member;

	begin();
	hear(2, 1, 5, 1);
	timers_until(MEMBERSHIP_SEND_PING);
	timers_until(MEMBERSHIP_CHANGED);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_SUSPECT);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_CLAIM));
	member = membership_find(machine, 2);
	CU_ASSERT_EQUAL(member->claim.kind, CLAIM_SUSPECT);
	CU_ASSERT_EQUAL(member->claim.incarnation, 5);
	CU_ASSERT_EQUAL(member->claim.from[0], SELF_ID);
	end();
}

static void test_an_ack_for_another_probe_does_not_count(void)
{
	const struct membership_action *ping;
	uint32_t sequence;

	begin();
	hear(2, 1, 1, 1);
	ping = timers_until(MEMBERSHIP_SEND_PING);
	sequence = ping->sequence;
	answer(MEMBERSHIP_ACK, sequence + 1, 2);
	answer(MEMBERSHIP_ACK, sequence, 3);
	timers_until(MEMBERSHIP_CHANGED);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_SUSPECT);
	end();
}

static void test_a_helper_relays_ack_and_nack(void)
{
	struct membership_event request = {
		.kind = MEMBERSHIP_PING_REQ,
		.sequence = 77,
		.sender = 2,
		.from = node_address_ipv4(0x0a000002, 7800),
		.target = 3,
		.target_address = node_address_ipv4(0x0a000003, 7800),
	};
	const struct membership_action *found;
	uint64_t asked_ms;

	begin();
	step(&request);
	found = action(MEMBERSHIP_SEND_PING);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->target, 3);
	CU_ASSERT_TRUE(node_address_equals(&found->to, &request.target_address));
	answer(MEMBERSHIP_ACK, found->sequence, 3);
	found = action(MEMBERSHIP_SEND_ACK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->sequence, 77);
	CU_ASSERT_EQUAL(found->target, 3);
	CU_ASSERT_TRUE(node_address_equals(&found->to, &request.from));
	step(&request);
	asked_ms = now_ms;
	found = timers_until(MEMBERSHIP_SEND_NACK);
	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_EQUAL(found->sequence, 77);
	CU_ASSERT_TRUE(now_ms - asked_ms < MEMBERSHIP_PROBE_TIMEOUT_MS);
	end();
}

static void test_relays_are_bounded(void)
{
	struct membership_event request = { .kind = MEMBERSHIP_PING_REQ, .sender = 2, .target = 3 };

	begin();
	for (uint32_t i = 0; i < MEMBERSHIP_RELAY_COUNT_MAX + 10; i++)
		step(&request);
	CU_ASSERT_EQUAL(membership_counters(machine)->relays_refused, 10);
	CU_ASSERT_EQUAL(actions.count, 0);
	for (uint32_t i = 0; i < MEMBERSHIP_RELAY_COUNT_MAX; i++)
		CU_ASSERT_PTR_NOT_NULL(timers_until(MEMBERSHIP_SEND_NACK));
	step(&request);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SEND_PING));
	end();
}

static void ping_self(uint64_t target)
{
	struct membership_event event = { .kind = MEMBERSHIP_PING,
					  .sequence = 9,
					  .sender = 2,
					  .from = node_address_ipv4(0x0a000002, 7800),
					  .target = target };

	step(&event);
}

static void test_pings_are_answered_by_whom_they_mean(void)
{
	begin();
	ping_self(SELF_ID);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action(MEMBERSHIP_SEND_ACK));
	CU_ASSERT_EQUAL(action(MEMBERSHIP_SEND_ACK)->sequence, 9);
	CU_ASSERT_EQUAL(action(MEMBERSHIP_SEND_ACK)->target, SELF_ID);
	ping_self(5);
	CU_ASSERT_EQUAL(actions.count, 0);
	end();
}

/* A node whose worker core stands still must not look alive; afterwards it clears its name. */
static void test_a_stalled_node_is_silent(void)
{
	struct membership_event stalled = { .kind = MEMBERSHIP_STALLED, .is_stalled = true };

	begin();
	step(&stalled);
	ping_self(SELF_ID);
	CU_ASSERT_EQUAL(actions.count, 0);
	hear_claim(CLAIM_SUSPECT, SELF_ID, 100, 1, 2);
	CU_ASSERT_EQUAL(actions.count, 0);
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 1);
	stalled.is_stalled = false;
	step(&stalled);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_RECORD));
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 2);
	ping_self(SELF_ID);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SEND_ACK));
	end();
}

/* ---- local health ---- */

static void test_health_falls_with_silent_helpers_and_recovers(void)
{
	const struct membership_action *ping;
	uint64_t pinged_ms;

	begin();
	for (uint64_t id = 2; id <= 6; id++)
		hear(id, 1, 1, 1);
	timers_until(MEMBERSHIP_SEND_PING);
	timers_until(MEMBERSHIP_SEND_PING); /* the first one failed, and no helper answered */
	CU_ASSERT_EQUAL(membership_health(machine), MEMBERSHIP_INDIRECT_PROBES);
	pinged_ms = now_ms;
	next_timer();
	CU_ASSERT_EQUAL(now_ms - pinged_ms, 4 * MEMBERSHIP_PROBE_TIMEOUT_MS);
	for (uint32_t i = 0; i < 20; i++)
		timers_until(MEMBERSHIP_SEND_PING);
	CU_ASSERT_EQUAL(membership_health(machine), MEMBERSHIP_HEALTH_MAX);
	end();

	begin();
	hear(2, 1, 1, 1);
	hear_claim(CLAIM_SUSPECT, SELF_ID, 100, 1, 2);
	CU_ASSERT_EQUAL(membership_health(machine), 1);
	ping = timers_until(MEMBERSHIP_SEND_PING);
	answer(MEMBERSHIP_ACK, ping->sequence, 2);
	CU_ASSERT_EQUAL(membership_health(machine), 0);
	end();
}

/* Or a cluster that has just healed would see no majority for seconds more. */
static void test_patience_is_for_the_silent(void)
{
	const struct membership_action *ping;
	uint64_t pinged_ms;

	begin();
	hear(2, 1, 1, 1);
	for (uint32_t i = 0; i < 3; i++)
		hear_claim(CLAIM_SUSPECT, SELF_ID, 100 + i, 1 + i, 2);
	CU_ASSERT(membership_health(machine) > 1);
	ping = timers_until(MEMBERSHIP_SEND_PING);
	pinged_ms = now_ms;
	answer(MEMBERSHIP_ACK, ping->sequence, 2);
	timers_until(MEMBERSHIP_SEND_PING);
	CU_ASSERT_EQUAL(now_ms - pinged_ms, MEMBERSHIP_PROBE_INTERVAL_MS);
	CU_ASSERT(membership_health(machine) > 0);
	end();
}

/* Helpers that say "no answer either" clear this node of blame. */
static void test_nacks_keep_health(void)
{
	const struct membership_action *request;
	uint32_t sequence;

	begin();
	for (uint64_t id = 2; id <= 6; id++)
		hear(id, 1, 1, 1);
	request = timers_until(MEMBERSHIP_SEND_PING_REQ);
	sequence = request->sequence;
	for (uint32_t i = 0; i < MEMBERSHIP_INDIRECT_PROBES; i++)
		answer(MEMBERSHIP_NACK, sequence, 2);
	timers_until(MEMBERSHIP_CHANGED);
	CU_ASSERT_EQUAL(membership_health(machine), 0);
	CU_ASSERT_EQUAL(membership_counters(machine)->probes_failed, 1);
	end();
}

/* ---- suspicion ---- */

static void test_the_suspicion_time_out_follows_the_formula(void)
{
	/* min = 4 * 500 ms, max = 6 * min */
	CU_ASSERT_EQUAL(membership_suspicion_ms(10, 0, 3, 500), 12000);
	CU_ASSERT_EQUAL(membership_suspicion_ms(10, 3, 3, 500), 2000);
	/* 12000 - 10000 * ln 2 / ln 4 */
	CU_ASSERT_EQUAL(membership_suspicion_ms(10, 1, 3, 500), 7000);
	CU_ASSERT_EQUAL(membership_suspicion_ms(100, 3, 3, 500), 4000);
	CU_ASSERT_EQUAL(membership_suspicion_ms(1000, 0, 3, 500), 36000);
	/* nobody else could confirm: no use in waiting for it */
	CU_ASSERT_EQUAL(membership_suspicion_ms(2, 0, 0, 500), 2000);
}

static void test_confirmations_shorten_the_suspicion(void)
{
	uint64_t started_ms;

	begin();
	for (uint64_t id = 2; id <= 8; id++)
		hear(id, 1, 1, 1);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 3);
	started_ms = now_ms;
	CU_ASSERT_EQUAL(membership_find(machine, 2)->suspicion_end_ms, started_ms + 12000);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 3); /* the same accuser again is no confirmation */
	CU_ASSERT_EQUAL(actions.count, 0);
	CU_ASSERT_EQUAL(membership_find(machine, 2)->suspicion_end_ms, started_ms + 12000);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 4);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_CLAIM));
	CU_ASSERT_EQUAL(membership_find(machine, 2)->suspicion_end_ms, started_ms + 7000);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 5);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 6);
	CU_ASSERT_EQUAL(membership_find(machine, 2)->suspicion_end_ms, started_ms + 2000);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 7);
	CU_ASSERT_EQUAL(membership_find(machine, 2)->suspicion_end_ms, started_ms + 2000);
	end();
}

static void test_a_suspect_that_stays_silent_is_dead(void)
{
	const struct membership_action *changed;

	begin();
	hear(2, 1, 1, 1);
	hear(3, 1, 1, 1);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 3);
	while (state_of(2) == MEMBER_SUSPECT)
		next_timer();
	changed = action(MEMBERSHIP_CHANGED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(changed);
	CU_ASSERT_EQUAL(changed->before, MEMBER_SUSPECT);
	CU_ASSERT_EQUAL(changed->after, MEMBER_DEAD);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_CLAIM));
	CU_ASSERT_TRUE(membership_counters(machine)->deaths >= 1);
	end();
}

static void test_a_higher_incarnation_refutes(void)
{
	begin();
	hear(2, 1, 1, 1);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 3);
	hear(2, 1, 1, 2); /* news, but no refutation */
	CU_ASSERT_EQUAL(state_of(2), MEMBER_SUSPECT);
	hear(2, 1, 2, 3);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 4); /* void by now */
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	hear_claim(CLAIM_DEAD, 2, 1, 2, 4);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_DEAD);
	hear(2, 1, 3, 4);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	end();
}

static void test_this_node_refutes_what_is_said_of_it(void)
{
	begin();
	hear_claim(CLAIM_SUSPECT, SELF_ID, 100, 1, 2);
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 2);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_RECORD));
	hear_claim(CLAIM_SUSPECT, SELF_ID, 100, 1, 3); /* answered already */
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 2);
	CU_ASSERT_PTR_NULL(action(MEMBERSHIP_SPREAD_RECORD));
	hear_claim(CLAIM_DEAD, SELF_ID, 100, 40, 3);
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 41);
	hear_claim(CLAIM_DEAD, SELF_ID, 99, 90, 3); /* on an earlier life */
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 41);
	CU_ASSERT_EQUAL(membership_counters(machine)->refutations, 2);
	end();
}

/* ---- generations ---- */

/* A node restarted with incarnation 1 must be believed at once, whatever its old life counted to.
 */
static void test_a_restarted_node_is_believed(void)
{
	begin();
	hear(2, 10, 50, 900);
	hear_claim(CLAIM_DEAD, 2, 10, 50, 3);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_DEAD);
	hear(2, 11, 1, 1);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_RESTARTED));
	hear_claim(CLAIM_DEAD, 2, 10, 99, 3); /* on the old life */
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	hear(2, 10, 99, 999);
	CU_ASSERT_EQUAL(membership_find(machine, 2)->node.generation, 11);
	end();
}

/* It restarts with a clock that went back: others hold a record of its earlier life that looks
 * newer.
 */
static void test_a_node_outbids_its_earlier_life(void)
{
	struct membership_options options = { .seed = 1, .node_count_max = 4 };
	struct node self = node_of(SELF_ID, 100, 0, 0);
	struct membership_event joined = { .kind = MEMBERSHIP_JOINED };

	now_ms = 1000;
	CU_ASSERT_EQUAL_FATAL(membership_create(&machine, &options, &self, now_ms), 0);
	hear(SELF_ID, 500, 7, 7);
	CU_ASSERT_EQUAL(membership_self(machine)->generation, 501);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_RECORD));
	/* even when that life was removed: joining again is a deliberate act */
	hear_claim(CLAIM_REMOVED, SELF_ID, 600, 1, 2);
	CU_ASSERT_EQUAL(membership_self(machine)->generation, 601);
	step(&joined);
	hear(SELF_ID, 500, 9, 9);
	CU_ASSERT_EQUAL(membership_self(machine)->generation, 601);
	CU_ASSERT_EQUAL(membership_counters(machine)->generation_bids, 2);
	end();
}

static void test_two_nodes_of_one_name_are_a_conflict(void)
{
	bool is_reported = false;

	begin();
	for (uint64_t i = 0; i < MEMBERSHIP_CONFLICT_COUNT_MAX; i++) {
		hear(SELF_ID, 200 + 10 * i, 1, 1);
		is_reported |= action(MEMBERSHIP_ID_CONFLICT) != NULL;
		CU_ASSERT_EQUAL(is_reported, i + 1 == MEMBERSHIP_CONFLICT_COUNT_MAX);
	}
	end();
}

/* ---- leaving and removal ---- */

static void test_a_member_that_leaves_is_not_suspected(void)
{
	struct node leaving = node_of(2, 1, 1, 2);

	begin();
	hear(2, 1, 1, 1);
	leaving.state = NODE_LEAVING;
	hear_node(&leaving);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	leaving.state = NODE_LEFT;
	leaving.record_version = 3;
	hear_node(&leaving);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_LEFT);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 3);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_LEFT);
	hear(2, 1, 1, 1); /* an old record does not bring it back */
	CU_ASSERT_EQUAL(state_of(2), MEMBER_LEFT);
	CU_ASSERT_EQUAL(membership_live_count(machine), 1);
	hear(2, 2, 1, 1);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	end();
}

static void remove_node(uint64_t id)
{
	struct membership_event event = { .kind = MEMBERSHIP_REMOVE, .target = id };

	step(&event);
}

/* A removed node must not come back through what others still relay. */
static void test_a_removed_member_cannot_return_by_old_gossip(void)
{
	begin();
	hear(2, 10, 1, 1);
	remove_node(2);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE); /* only the dead can be removed */
	hear_claim(CLAIM_DEAD, 2, 10, 1, 3);
	remove_node(2);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_REMOVED);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SPREAD_CLAIM));
	hear(2, 10, 1, 1);
	hear(2, 10, 99, 99);
	hear(2, 9, 1, 1);
	hear_claim(CLAIM_SUSPECT, 2, 10, 100, 3);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_REMOVED);
	CU_ASSERT_EQUAL(membership_counters(machine)->refused_removed, 4);
	hear(2, 11, 1, 1); /* started anew, it joined again */
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	end();
}

static void test_a_tombstone_holds_before_any_record(void)
{
	begin();
	hear_claim(CLAIM_REMOVED, 2, 10, 1, 3);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_REMOVED);
	CU_ASSERT_EQUAL(membership_find(machine, 2)->record_size, 0);
	hear(2, 10, 5, 5);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_REMOVED);
	hear_claim(CLAIM_REMOVED, 2, 9, 1, 3); /* an older tombstone is no news */
	CU_ASSERT_EQUAL(actions.count, 0);
	end();
}

static void test_a_removed_node_learns_it(void)
{
	begin();
	hear_claim(CLAIM_REMOVED, SELF_ID, 99, 1, 2); /* of an earlier life */
	CU_ASSERT_EQUAL(actions.count, 0);
	hear_claim(CLAIM_REMOVED, SELF_ID, 100, 1, 2);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_SELF_REMOVED));
	CU_ASSERT_EQUAL(membership_self(machine)->generation, 100);
	hear_claim(CLAIM_REMOVED, SELF_ID, 100, 1, 2);
	CU_ASSERT_EQUAL(actions.count, 0);
	end();
}

static void test_those_who_left_are_forgotten_in_time(void)
{
	struct node left = node_of(2, 1, 1, 1);

	begin();
	left.state = NODE_LEFT;
	hear_node(&left);
	hear(3, 1, 1, 1);
	hear_claim(CLAIM_DEAD, 3, 1, 1, 4);
	hear_claim(CLAIM_REMOVED, 4, 1, 1, 3);
	now_ms += MEMBERSHIP_LEFT_RETENTION_MS - 1000;
	for (uint32_t i = 0; i < 10; i++)
		next_timer();
	CU_ASSERT_EQUAL(state_of(2), MEMBER_LEFT);
	now_ms += 2000 + 60000;
	CU_ASSERT_PTR_NOT_NULL(timers_until(MEMBERSHIP_FORGOTTEN));
	CU_ASSERT_EQUAL(state_of(2), MEMBER_UNKNOWN);
	CU_ASSERT_EQUAL(state_of(4), MEMBER_REMOVED);
	now_ms += MEMBERSHIP_REMOVED_RETENTION_MS;
	CU_ASSERT_PTR_NOT_NULL(timers_until(MEMBERSHIP_FORGOTTEN));
	CU_ASSERT_EQUAL(state_of(4), MEMBER_UNKNOWN);
	CU_ASSERT_EQUAL(state_of(3), MEMBER_DEAD); /* until the operator removes it */
	end();
}

static void test_a_full_table_refuses_or_forgets_those_gone(void)
{
	struct node left = node_of(3, 1, 1, 2);

	begin_with_capacity(3);
	hear(2, 1, 1, 1);
	hear(3, 1, 1, 1);
	hear(4, 1, 1, 1);
	CU_ASSERT_EQUAL(state_of(4), MEMBER_UNKNOWN);
	CU_ASSERT_EQUAL(membership_counters(machine)->refused_full, 1);
	left.state = NODE_LEFT;
	hear_node(&left);
	hear(4, 1, 1, 1);
	CU_ASSERT_PTR_NOT_NULL(action(MEMBERSHIP_FORGOTTEN));
	CU_ASSERT_EQUAL(state_of(3), MEMBER_UNKNOWN);
	CU_ASSERT_EQUAL(state_of(4), MEMBER_ALIVE);
	end();
}

/* ---- this node's record ---- */

/* specification row 4.2: a change is announced in the same step */
static void test_a_change_of_self_is_spread_at_once(void)
{
	struct node desired;
	struct membership_event event = { .kind = MEMBERSHIP_UPDATE_SELF, .node = &desired };
	uint64_t version;

	begin();
	version = membership_self(machine)->record_version;
	desired = *membership_self(machine);
	partition_set_add(&desired.importing_partitions, 3);
	desired.id = 999;
	desired.generation = 999;
	step(&event);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action(MEMBERSHIP_SPREAD_RECORD));
	CU_ASSERT_EQUAL(action(MEMBERSHIP_SPREAD_RECORD)->index, 0);
	CU_ASSERT_EQUAL(membership_self(machine)->record_version, version + 1);
	CU_ASSERT_TRUE(node_is_importing(membership_self(machine), 3));
	CU_ASSERT_EQUAL(membership_self(machine)->id, SELF_ID);
	CU_ASSERT_EQUAL(membership_self(machine)->generation, 100);
	step(&event); /* nothing changed */
	CU_ASSERT_EQUAL(actions.count, 0);
	CU_ASSERT_EQUAL(membership_self(machine)->record_version, version + 1);
	desired.load.items = 5; /* travels with the next full exchange */
	step(&event);
	CU_ASSERT_EQUAL(actions.count, 0);
	CU_ASSERT_EQUAL(membership_self(machine)->record_version, version + 2);
	end();
}

static void test_records_are_kept_as_they_came(void)
{
	struct node node = node_of(2, 1, 1, 1);
	uint8_t record[] = { 'b', 'y', 't', 'e', 's' };
	struct membership_event event = { .kind = MEMBERSHIP_RECORD,
					  .node = &node,
					  .record = record,
					  .record_size = sizeof(record) };
	const struct member *member;

	begin();
	step(&event);
	member = membership_find(machine, 2);
	CU_ASSERT_EQUAL(member->record_size, sizeof(record));
	CU_ASSERT_EQUAL(memcmp(member->record, record, sizeof(record)), 0);
	end();
}

/* ---- majority ---- */

static bool sees_majority(void)
{
	return membership_sees_majority(machine, now_ms);
}

static void test_the_majority_is_of_all_who_did_not_leave(void)
{
	begin();
	CU_ASSERT_TRUE(sees_majority());
	for (uint64_t id = 2; id <= 5; id++)
		hear(id, 1, 1, 1);
	hear_claim(CLAIM_DEAD, 2, 1, 1, 5);
	hear_claim(CLAIM_DEAD, 3, 1, 1, 5);
	CU_ASSERT_TRUE(sees_majority()); /* 3 of 5 */
	CU_ASSERT_EQUAL(membership_majority_seen_ms(machine, now_ms), now_ms);
	hear_claim(CLAIM_SUSPECT, 4, 1, 1, 5);
	CU_ASSERT_FALSE(sees_majority());
	CU_ASSERT_EQUAL(membership_majority_seen_ms(machine, now_ms + 100), now_ms);
	remove_node(2);
	CU_ASSERT_FALSE(sees_majority()); /* 2 of 4 */
	remove_node(3);
	CU_ASSERT_TRUE(sees_majority()); /* 2 of 3 */
	CU_ASSERT_EQUAL(membership_majority_seen_ms(machine, now_ms), now_ms);
	end();
}

/* It hears the others, who do not hear it. */
static void test_a_stalled_node_sees_no_majority(void)
{
	struct membership_event stalled = { .kind = MEMBERSHIP_STALLED, .is_stalled = true };
	uint64_t stalled_ms;

	begin();
	step(&stalled);
	CU_ASSERT_TRUE(sees_majority()); /* of itself */
	for (uint64_t id = 2; id <= 3; id++)
		hear(id, 1, 1, 1);
	CU_ASSERT_FALSE(sees_majority());
	stalled_ms = now_ms;
	now_ms += 1000;
	hear(2, 1, 1, 1);
	CU_ASSERT_EQUAL(membership_majority_seen_ms(machine, now_ms), stalled_ms);
	stalled.is_stalled = false;
	step(&stalled);
	CU_ASSERT_TRUE(sees_majority());
	end();
}

static void hear_from(uint64_t id)
{
	struct membership_event event = { .kind = MEMBERSHIP_HEARD, .sender = id };

	step(&event);
}

/* A cut-off node notices by the silence, before the suspicions run out. */
static void test_a_cut_off_node_notices_soon(void)
{
	uint64_t cut_ms;

	begin();
	for (uint64_t id = 2; id <= 5; id++)
		hear(id, 1, 1, 1);
	now_ms += 10000;
	hear_from(2);
	CU_ASSERT_FALSE(sees_majority()); /* 2 of 5 */
	hear_from(3);
	cut_ms = now_ms;
	now_ms += MEMBERSHIP_MAJORITY_WINDOW_MS;
	CU_ASSERT_TRUE(sees_majority());
	CU_ASSERT_EQUAL(membership_majority_seen_ms(machine, now_ms), cut_ms);
	hear_from(3);
	CU_ASSERT_EQUAL(membership_majority_seen_ms(machine, now_ms), cut_ms);
	now_ms++;
	CU_ASSERT_FALSE(sees_majority());
	hear_from(4);
	CU_ASSERT_TRUE(sees_majority());
	end();
}

/* Whoever missed a refutation asks the suspect itself before declaring it dead. */
static void test_a_suspect_is_asked_once_more(void)
{
	uint32_t calls = 0;

	begin();
	hear(2, 1, 1, 1);
	hear(3, 1, 1, 1);
	hear_claim(CLAIM_SUSPECT, 2, 1, 1, 3);
	CU_ASSERT_EQUAL(membership_find(machine, 2)->last_call_ms, now_ms + 6000);
	while (state_of(2) == MEMBER_SUSPECT) {
		uint64_t due_ms = membership_find(machine, 2)->last_call_ms;

		next_timer();
		if (due_ms == 0 || membership_find(machine, 2)->last_call_ms != 0)
			continue;
		calls++;
		CU_ASSERT_TRUE(now_ms >= due_ms); /* this node's own probe may have confirmed it */
		CU_ASSERT_PTR_NOT_NULL_FATAL(action(MEMBERSHIP_SEND_PING));
		CU_ASSERT_EQUAL(action(MEMBERSHIP_SEND_PING)->target, 2);
	}
	CU_ASSERT_EQUAL(calls, 1);
	end();
}

static void test_an_outdated_claim_makes_the_refutation_heard_again(void)
{
	begin();
	hear_claim(CLAIM_SUSPECT, SELF_ID, 100, 5, 2);
	hear_claim(CLAIM_SUSPECT, SELF_ID, 100, 5, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action(MEMBERSHIP_REPEAT_RECORD));
	CU_ASSERT_EQUAL(action(MEMBERSHIP_REPEAT_RECORD)->index, 0);
	CU_ASSERT_EQUAL(membership_self(machine)->incarnation, 6);
	hear(2, 1, 3, 1);
	hear_claim(CLAIM_SUSPECT, 2, 1, 2, 3);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action(MEMBERSHIP_REPEAT_RECORD));
	CU_ASSERT_EQUAL(action(MEMBERSHIP_REPEAT_RECORD)->index, 1);
	CU_ASSERT_EQUAL(state_of(2), MEMBER_ALIVE);
	end();
}

static void test_bad_options_are_refused(void)
{
	struct membership_options options = { .seed = 1, .node_count_max = 0 };
	struct node self = node_of(SELF_ID, 100, 0, 0);
	struct membership *none = NULL;

	CU_ASSERT_EQUAL(membership_create(&none, &options, &self, 0), -EINVAL);
	options.node_count_max = NODE_COUNT_MAX + 1;
	CU_ASSERT_EQUAL(membership_create(&none, &options, &self, 0), -EINVAL);
	options.node_count_max = 4;
	options.probe_interval_ms = 100; /* shorter than the time-out */
	CU_ASSERT_EQUAL(membership_create(&none, &options, &self, 0), -EINVAL);
	options.probe_interval_ms = 0;
	self.generation = 0;
	CU_ASSERT_EQUAL(membership_create(&none, &options, &self, 0), -EINVAL);
	CU_ASSERT_PTR_NULL(none);
	membership_destroy(NULL);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_every_member_is_probed_once_a_round),
		UNIT_TEST(test_probes_come_every_interval),
		UNIT_TEST(test_a_silent_member_is_probed_through_helpers),
		UNIT_TEST(test_an_unanswered_probe_makes_a_suspect),
		UNIT_TEST(test_an_ack_for_another_probe_does_not_count),
		UNIT_TEST(test_a_helper_relays_ack_and_nack),
		UNIT_TEST(test_relays_are_bounded),
		UNIT_TEST(test_pings_are_answered_by_whom_they_mean),
		UNIT_TEST(test_a_stalled_node_is_silent),
		UNIT_TEST(test_health_falls_with_silent_helpers_and_recovers),
		UNIT_TEST(test_patience_is_for_the_silent),
		UNIT_TEST(test_nacks_keep_health),
		UNIT_TEST(test_the_suspicion_time_out_follows_the_formula),
		UNIT_TEST(test_confirmations_shorten_the_suspicion),
		UNIT_TEST(test_a_suspect_that_stays_silent_is_dead),
		UNIT_TEST(test_a_higher_incarnation_refutes),
		UNIT_TEST(test_this_node_refutes_what_is_said_of_it),
		UNIT_TEST(test_a_restarted_node_is_believed),
		UNIT_TEST(test_a_node_outbids_its_earlier_life),
		UNIT_TEST(test_two_nodes_of_one_name_are_a_conflict),
		UNIT_TEST(test_a_member_that_leaves_is_not_suspected),
		UNIT_TEST(test_a_removed_member_cannot_return_by_old_gossip),
		UNIT_TEST(test_a_tombstone_holds_before_any_record),
		UNIT_TEST(test_a_removed_node_learns_it),
		UNIT_TEST(test_those_who_left_are_forgotten_in_time),
		UNIT_TEST(test_a_full_table_refuses_or_forgets_those_gone),
		UNIT_TEST(test_a_change_of_self_is_spread_at_once),
		UNIT_TEST(test_records_are_kept_as_they_came),
		UNIT_TEST(test_the_majority_is_of_all_who_did_not_leave),
		UNIT_TEST(test_a_stalled_node_sees_no_majority),
		UNIT_TEST(test_a_cut_off_node_notices_soon),
		UNIT_TEST(test_a_suspect_is_asked_once_more),
		UNIT_TEST(test_an_outdated_claim_makes_the_refutation_heard_again),
		UNIT_TEST(test_bad_options_are_refused),
		{ NULL, NULL },
	};

	return unit_run("membership", tests);
}
