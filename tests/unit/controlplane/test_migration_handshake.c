/* SPDX-License-Identifier: BSD-3-Clause */
/* From a plan over gossip to both ends of a migration: the machines of two nodes, without a network. */
#include <errno.h>
#include <stdio.h>

#include "controlplane/gossip.h"
#include "controlplane/migration_jobs.h"
#include "controlplane/rebalance_plan.h"
#include "tests/unit/unit.h"

#define PARTITIONS 64u
#define SOURCE 1u
#define TARGET 2u

static uint64_t now_ms = 1000;
static uint8_t state_bytes[GOSSIP_STATE_SIZE_MAX];

/* A node as far as it takes part here. */
struct end {
	struct gossip *gossip;
	struct migration_jobs *jobs;
	struct partition_set held;
	uint32_t imports_heard;   /* GOSSIP_PEER_IMPORTS */
	struct sync_message sent; /* the last one, for the other end; kind 0: none */
};

static struct end source, target;

static void create(struct end *end, uint64_t id)
{
	const struct gossip_options options = { .membership = { .seed = id, .node_count_max = 4 } };
	struct node self = { .id = id,
			     .generation = id * 10,
			     .state = NODE_ACTIVE,
			     .control = node_address_ipv4(0x0a000000 + (uint32_t)id, 7800),
			     .weight = NODE_WEIGHT_DEFAULT };
	struct migration_jobs_options jobs = { .self = id,
					       .generation = self.generation,
					       .seed = id,
					       .source_max = PARTITIONS,
					       .target_max = PARTITIONS,
					       .held = &end->held };

	*end = (struct end){ .gossip = NULL };
	snprintf(self.name, sizeof(self.name), "n%u", (unsigned)id);
	CU_ASSERT_EQUAL_FATAL(gossip_create(&end->gossip, &options, &self, now_ms), 0);
	jobs.map = gossip_map(end->gossip);
	migration_options_default(&jobs.migration);
	CU_ASSERT_EQUAL_FATAL(migration_jobs_create(&end->jobs, &jobs, now_ms), 0);
}

static void destroy(struct end *end)
{
	migration_jobs_destroy(end->jobs);
	gossip_destroy(end->gossip);
}

static struct gossip_actions feed(struct end *end, const struct gossip_event *event)
{
	struct gossip_actions actions = gossip_step(end->gossip, now_ms, event);

	for (uint32_t i = 0; i < actions.count; i++)
		end->imports_heard += actions.items[i].kind == GOSSIP_PEER_IMPORTS;
	return actions;
}

static void give_state(struct end *from, struct end *to, bool is_request)
{
	struct gossip_event event = { .kind = GOSSIP_STATE, .bytes = state_bytes };
	int size = gossip_state(from->gossip, is_request, GOSSIP_SCOPE_ALL, state_bytes,
				sizeof(state_bytes));

	CU_ASSERT_TRUE_FATAL(size > 0);
	event.size = (size_t)size;
	feed(to, &event);
}

/* The source has founded the cluster and owns all; the target has joined. */
static void create_both(void)
{
	const struct gossip_event found = { .kind = GOSSIP_BOOTSTRAP,
					    .partition_count = PARTITIONS };
	struct node_address seed;
	struct gossip_event join = { .kind = GOSSIP_JOIN, .seeds = &seed, .seed_count = 1 };

	create(&source, SOURCE);
	create(&target, TARGET);
	feed(&source, &found);
	for (uint32_t p = 0; p < PARTITIONS; p++)
		partition_set_add(&source.held, p);
	seed = gossip_self(source.gossip)->control;
	feed(&target, &join);
	give_state(&target, &source, true);
	give_state(&source, &target, false);
	CU_ASSERT_TRUE_FATAL(gossip_is_joined(target.gossip));
}

static void destroy_both(void)
{
	destroy(&source);
	destroy(&target);
}

/* Gives 'to' the next packet of 'from'. */
static void give_packet(struct end *from, struct end *to)
{
	const struct gossip_event timer = { .kind = GOSSIP_TIMER };

	for (uint32_t tries = 0; tries < 100; tries++) {
		struct gossip_actions actions;

		if (gossip_deadline_ms(from->gossip) > now_ms)
			now_ms = gossip_deadline_ms(from->gossip);
		actions = feed(from, &timer);
		for (uint32_t i = 0; i < actions.count; i++) {
			const struct gossip_action *action = &actions.items[i];

			if (action->kind != GOSSIP_SEND)
				continue;
			feed(to, &(struct gossip_event){ .kind = GOSSIP_PACKET,
							 .from = gossip_self(from->gossip)->control,
							 .bytes = action->bytes,
							 .size = action->size });
			return;
		}
	}
	CU_FAIL_FATAL("no packet");
}

/* What 'observer' knows of the other node. */
static const struct node *seen_by(const struct end *observer, uint64_t id)
{
	return &membership_find(gossip_membership(observer->gossip), id)->node;
}

static void announce(struct end *end, uint32_t partition, bool is_import)
{
	struct node self = *gossip_self(end->gossip);

	partition_set_add(is_import ? &self.importing_partitions : &self.migrating_partitions,
			  partition);
	feed(end, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

/* Does what the machines ask for, as far as it is announcing and sending. */
static void act(struct end *end, const struct migration_jobs_actions *actions)
{
	for (uint32_t i = 0; i < actions->count; i++) {
		const struct migration_jobs_action *action = &actions->items[i];

		if (action->kind == JOBS_TARGET && action->target->kind == TARGET_DO_MARK)
			announce(end, action->partition, true);
		if (action->kind == JOBS_SOURCE && action->source->kind == SOURCE_DO_MARK)
			announce(end, action->partition, false);
		if (action->kind == JOBS_TARGET && action->target->kind == TARGET_DO_SEND)
			end->sent = action->target->message;
		if (action->kind == JOBS_SOURCE && action->source->kind == SOURCE_DO_SEND)
			end->sent = action->source->message;
	}
}

static void import(uint32_t partition)
{
	struct migration_jobs_actions actions;

	CU_ASSERT_EQUAL_FATAL(migration_jobs_import(target.jobs, now_ms, partition,
						    gossip_self(source.gossip)->generation,
						    &actions),
			      0);
	act(&target, &actions);
}

static void step(struct end *end, struct migration_jobs_event event)
{
	struct migration_jobs_actions actions = migration_jobs_step(end->jobs, now_ms, &event);

	act(end, &actions);
}

/* specification row 8.1, row 4.1, row 4.2: what the plan gives a node is in its importing_partitions, and
 * in the next packet
 */
static void a_plan_makes_a_node_announce_what_it_imports(void)
{
	static const struct rebalance_member members[] = { { SOURCE, 100 }, { TARGET, 100 } };
	static struct rebalance_plan plan;

	create_both();
	CU_ASSERT_EQUAL_FATAL(rebalance_plan_make(&plan, gossip_map(target.gossip), members, 2), 0);
	CU_ASSERT_EQUAL_FATAL(plan.move_count, PARTITIONS / 2);
	for (uint32_t i = 0; i < plan.move_count; i++)
		import(plan.moves[i].partition);
	give_packet(&target, &source);
	for (uint32_t i = 0; i < plan.move_count; i++) {
		CU_ASSERT_TRUE(
			node_is_importing(gossip_self(target.gossip), plan.moves[i].partition));
		CU_ASSERT_TRUE(
			node_is_importing(seen_by(&source, TARGET), plan.moves[i].partition));
	}
	CU_ASSERT_EQUAL(partition_set_count(&seen_by(&source, TARGET)->importing_partitions),
			PARTITIONS / 2);
	destroy_both();
}

/* specification row 8.2, row 5.1, row 5.2: the owner hears by gossip that a node imports its partition; that
 * node's PREPARE makes it mark the partition as migrating, and gossip tells
 */
static void an_import_heard_of_makes_the_owner_migrate(void)
{
	const struct migration_target_event staged = { .kind = TARGET_ON_STAGED, .is_ok = true };
	const struct migration_source_event capacity = { .kind = SOURCE_ON_CAPACITY,
							 .is_ok = true };

	create_both();
	import(5);
	give_packet(&target, &source);
	CU_ASSERT_EQUAL(source.imports_heard, 1);
	CU_ASSERT_FALSE(node_is_migrating(gossip_self(source.gossip), 5));

	step(&target, (struct migration_jobs_event){
			      .kind = JOBS_ON_TARGET, .partition = 5, .target = &staged });
	CU_ASSERT_EQUAL_FATAL(target.sent.kind, SYNC_PREPARE);
	step(&source,
	     (struct migration_jobs_event){ .kind = JOBS_ON_MESSAGE, .message = &target.sent });
	step(&source, (struct migration_jobs_event){
			      .kind = JOBS_ON_SOURCE, .partition = 5, .source = &capacity });
	CU_ASSERT_TRUE(node_is_migrating(gossip_self(source.gossip), 5));
	CU_ASSERT_EQUAL(source.sent.kind, SYNC_ACCEPT);

	give_packet(&source, &target);
	CU_ASSERT_TRUE(node_is_migrating(seen_by(&target, SOURCE), 5));
	CU_ASSERT_EQUAL(partition_set_count(&seen_by(&target, SOURCE)->migrating_partitions), 1);
	destroy_both();
}

/* Announcements explain, they decide nothing: without a PREPARE the owner goes on as before. */
static void an_announcement_alone_moves_nothing(void)
{
	create_both();
	announce(&target, 7, true);
	give_packet(&target, &source);
	CU_ASSERT_EQUAL(source.imports_heard, 1);
	CU_ASSERT_EQUAL(migration_jobs_count(source.jobs), 0);
	CU_ASSERT_EQUAL(partition_map_owner(gossip_map(source.gossip), 7), SOURCE);
	destroy_both();
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_plan_makes_a_node_announce_what_it_imports),
		UNIT_TEST(an_import_heard_of_makes_the_owner_migrate),
		UNIT_TEST(an_announcement_alone_moves_nothing),
		{ NULL, NULL },
	};

	return unit_run("migration_handshake", tests);
}
