/* SPDX-License-Identifier: BSD-3-Clause */
/* Clusters of nodes that call each other, on a clock that is set: what is served when, and who is let in. */
#include "controlplane/cluster_check.h"
#include "controlplane/cluster_host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

#define NODES 5u
#define PARTITIONS 8u
#define ASKS 256u
#define DATAGRAMS 1024u
#define STEP_MS 10u

struct ask {
	struct node_address to;
	enum gossip_scope scope;
	struct cluster_exchange_purpose purpose;
};

struct datagram {
	uint32_t from;
	uint32_t to;
	size_t size;
	uint8_t bytes[1500];
};

struct fleet;

struct member_node {
	struct fleet *fleet;
	uint32_t index;
	struct cluster *cluster; /* NULL: it is dead */
	uint64_t generation;
	bool is_cut;  /* hears nobody, and nobody hears it */
	bool is_mute; /* its rounds are not answered yet */
	bool has_ended;
	enum cluster_end end;
	struct partition_set served;
	struct partition_set confirmed;
	struct cluster_observer observer;
	uint32_t ask_count;
	struct ask asks[ASKS];
};

struct fleet {
	uint64_t now_ms;
	uint64_t random;
	struct world world;
	struct log log;
	struct member_node nodes[NODES];
	uint32_t datagram_count;
	struct datagram datagrams[DATAGRAMS];
	uint8_t state[65536];
};

/* ---- the world ---- */

static uint64_t now_ms(void *context)
{
	return ((const struct fleet *)context)->now_ms;
}

static void random_bytes(void *context, void *bytes, size_t size)
{
	struct fleet *fleet = context;

	for (size_t i = 0; i < size; i++) {
		fleet->random = fleet->random * UINT64_C(6364136223846793005) + 1442695040888963407;
		((uint8_t *)bytes)[i] = (uint8_t)(fleet->random >> 56);
	}
}

static struct node_address address_of(uint32_t index)
{
	return node_address_ipv4(0x0a000001 + index, 7800);
}

static uint32_t index_of(const struct node_address *address)
{
	return node_address_to_ipv4(address) - 0x0a000001;
}

/* ---- what clusters want ---- */

static void host_send(void *context, const struct node_address *to, const uint8_t *bytes,
		      size_t size)
{
	struct member_node *node = context;
	struct fleet *fleet = node->fleet;
	struct datagram *datagram = &fleet->datagrams[fleet->datagram_count];

	if (fleet->datagram_count == DATAGRAMS || index_of(to) >= NODES)
		return;
	fleet->datagram_count++;
	datagram->from = node->index;
	datagram->to = index_of(to);
	datagram->size = size;
	memcpy(datagram->bytes, bytes, size);
}

static int host_exchange(void *context, const struct node_address *to, enum gossip_scope scope,
			 const struct cluster_exchange_purpose *purpose)
{
	struct member_node *node = context;

	if (node->ask_count == ASKS)
		return -ENOBUFS;
	node->asks[node->ask_count++] = (struct ask){ *to, scope, *purpose };
	return 0;
}

static void host_set_routes(void *context, struct route_table *table)
{
	struct member_node *node = context;

	partition_set_clear(&node->served);
	for (uint32_t p = 0; p < PARTITIONS; p++) {
		if (route_is_own(table, p))
			partition_set_add(&node->served, p);
	}
	route_table_destroy(table);
}

static void host_wake(void *context)
{
	(void)context;
}

static void host_end(void *context, enum cluster_end end)
{
	struct member_node *node = context;

	CU_ASSERT_FALSE(node->has_ended);
	node->has_ended = true;
	node->end = end;
}

static void on_confirmed(void *context, uint32_t partition)
{
	partition_set_add(&((struct member_node *)context)->confirmed, partition);
}

/* ---- the network ---- */

static bool is_heard(const struct fleet *fleet, uint32_t from, uint32_t to)
{
	return to < NODES && fleet->nodes[to].cluster && !fleet->nodes[from].is_cut &&
	       !fleet->nodes[to].is_cut;
}

static void fail(struct member_node *node, const struct ask *ask)
{
	const struct bus_close close = { .kind = BUS_CLOSE_TIMEOUT };

	cluster_exchanged(node->cluster, &ask->to, &ask->purpose, &close);
}

static void refuse_ask(struct member_node *node, const struct ask *ask, enum bus_refusal refusal)
{
	const struct bus_close close = { .kind = BUS_CLOSE_REFUSED, .refusal = refusal };

	cluster_exchanged(node->cluster, &ask->to, &ask->purpose, &close);
}

/* One whole exchange of states. */
static void exchange(struct member_node *node, const struct ask *ask)
{
	struct fleet *fleet = node->fleet;
	struct member_node *other = &fleet->nodes[index_of(&ask->to)];
	struct bus_open open = { .service = CLUSTER_EXCHANGE_SERVICE };
	char detail[BUS_DETAIL_SIZE];
	enum bus_refusal refusal;
	enum gossip_scope scope;
	int size;

	if (!is_heard(fleet, node->index, index_of(&ask->to))) {
		fail(node, ask);
		return;
	}
	cluster_introduce(node->cluster, &open.peer);
	refusal = cluster_admit(other->cluster, &open, detail);
	if (refusal != BUS_ACCEPTED) {
		refuse_ask(node, ask, refusal);
		return;
	}
	size = cluster_give_state(node->cluster, true, ask->scope, fleet->state,
				  sizeof(fleet->state));
	CU_ASSERT_TRUE_FATAL(size > 0);
	CU_ASSERT_TRUE_FATAL(
		cluster_take_state(other->cluster, fleet->state, (size_t)size, &scope));
	size = cluster_give_state(other->cluster, false, scope, fleet->state, sizeof(fleet->state));
	CU_ASSERT_TRUE_FATAL(size > 0);
	cluster_take_state(node->cluster, fleet->state, (size_t)size, &scope);
	cluster_exchanged(node->cluster, &ask->to, &ask->purpose, NULL);
}

static void exchange_all(struct member_node *node)
{
	uint32_t kept = 0, count = node->ask_count;

	for (uint32_t i = 0; i < count; i++) {
		const struct ask ask = node->asks[i];

		if (node->is_mute && ask.purpose.kind == CLUSTER_EXCHANGE_SPREAD)
			node->asks[kept++] = ask;
		else
			exchange(node, &ask);
	}
	memmove(&node->asks[kept], &node->asks[count],
		(node->ask_count - count) * sizeof(node->asks[0]));
	node->ask_count -= count - kept;
}

static void deliver(struct fleet *fleet)
{
	for (uint32_t i = 0; i < fleet->datagram_count; i++) {
		const struct datagram *datagram = &fleet->datagrams[i];
		const struct node_address from = address_of(datagram->from);

		if (is_heard(fleet, datagram->from, datagram->to))
			cluster_take_datagram(fleet->nodes[datagram->to].cluster, &from,
					      datagram->bytes, datagram->size);
	}
	fleet->datagram_count = 0;
}

static void run(struct fleet *fleet, uint64_t ms)
{
	for (uint64_t end_ms = fleet->now_ms + ms; fleet->now_ms < end_ms;) {
		fleet->now_ms += STEP_MS;
		for (uint32_t i = 0; i < NODES; i++) {
			struct member_node *node = &fleet->nodes[i];

			if (!node->cluster)
				continue;
			if (cluster_due_ms(node->cluster) <= fleet->now_ms)
				cluster_turn(node->cluster);
			exchange_all(node);
		}
		deliver(fleet);
	}
}

/* ---- lives ---- */

static void make_config(const struct member_node *node, struct cluster_config *config)
{
	*config = (struct cluster_config){
		.name = "unit",
		.self = { .generation = node->generation,
			  .state = NODE_ACTIVE,
			  .control = address_of(node->index),
			  .data = node_address_ipv4(0x0a000101 + node->index, 7700),
			  .workers = 1,
			  .weight = NODE_WEIGHT_DEFAULT },
		.partition_count = PARTITIONS,
		.has_bus = true,
		.is_joining = true,
		.is_fencing = true,
		.fence_ms = 5000,
		.probe_ms = 500,
	};
	snprintf(config->self.name, sizeof(config->self.name), "n%u", node->index);
	config->self.id = node_id_of_name(config->self.name);
	for (uint32_t i = 0; i < NODES; i++) {
		if (i != node->index)
			config->seeds[config->seed_count++] = address_of(i);
	}
}

static struct member_node *start(struct fleet *fleet, uint32_t index)
{
	struct member_node *node = &fleet->nodes[index];
	struct cluster_config config;
	const struct cluster_options options = {
		.config = &config,
		.world = &fleet->world,
		.log = &fleet->log,
		.host = { .context = node,
			  .send = host_send,
			  .exchange = host_exchange,
			  .set_routes = host_set_routes,
			  .wake = host_wake,
			  .end = host_end },
	};

	node->fleet = fleet;
	node->index = index;
	node->generation++;
	node->has_ended = false;
	node->ask_count = 0;
	partition_set_clear(&node->confirmed);
	make_config(node, &config);
	CU_ASSERT_EQUAL_FATAL(cluster_create(&node->cluster, &options), 0);
	node->observer = (struct cluster_observer){ .context = node, .confirmed = on_confirmed };
	cluster_observe(node->cluster, &node->observer);
	return node;
}

static void kill_node(struct member_node *node)
{
	cluster_destroy(node->cluster);
	node->cluster = NULL;
}

static struct fleet *create_of(uint32_t node_count)
{
	struct fleet *fleet = calloc(1, sizeof(*fleet));
	char error[CLUSTER_ERROR_SIZE];

	CU_ASSERT_FATAL(fleet != NULL);
	fleet->now_ms = 1000;
	fleet->world = (struct world){ now_ms, now_ms, random_bytes, now_ms, fleet };
	fleet->log = (struct log){ fopen("/dev/null", "w"), LOG_LEVEL_ERROR, &fleet->world };
	for (uint32_t i = 0; i < node_count; i++)
		start(fleet, i);
	CU_ASSERT_EQUAL(cluster_found(fleet->nodes[0].cluster, error), 0);
	for (uint32_t i = 1; i < node_count; i++)
		cluster_start(fleet->nodes[i].cluster);
	run(fleet, 3000);
	for (uint32_t i = 0; i < node_count; i++) {
		CU_ASSERT_EQUAL_FATAL(cluster_phase(fleet->nodes[i].cluster), CLUSTER_MEMBER);
		CU_ASSERT_TRUE_FATAL(cluster_is_serving(fleet->nodes[i].cluster));
	}
	return fleet;
}

static struct fleet *create(void)
{
	return create_of(3);
}

static void destroy(struct fleet *fleet)
{
	for (uint32_t i = 0; i < NODES; i++)
		cluster_destroy(fleet->nodes[i].cluster);
	fclose(fleet->log.stream);
	free(fleet);
}

static uint32_t epoch_at(const struct member_node *node, uint32_t partition)
{
	return partition_map_epoch(gossip_map(cluster_gossip(node->cluster)), partition);
}

/* ---- tests ---- */

static void the_founder_serves_and_those_that_join_serve_nothing(void)
{
	struct fleet *fleet = create();

	for (uint32_t p = 0; p < PARTITIONS; p++) {
		CU_ASSERT_TRUE(partition_set_has(&fleet->nodes[0].served, p));
		CU_ASSERT_EQUAL(epoch_at(&fleet->nodes[2], p), 1);
	}
	CU_ASSERT_TRUE(partition_set_is_empty(&fleet->nodes[1].served));
	destroy(fleet);
}

static void what_a_node_had_is_served_again_when_a_majority_knows(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[0];

	kill_node(node);
	run(fleet, 1000);
	start(fleet, 0);
	node->is_mute = true;
	cluster_start(node->cluster);
	run(fleet, 1000);
	/* It is the owner at the next epoch, but would a node that started again know? */
	CU_ASSERT_TRUE(cluster_is_serving(node->cluster));
	CU_ASSERT_EQUAL(epoch_at(node, 0), 2);
	CU_ASSERT_TRUE(partition_set_is_empty(&node->served));
	node->is_mute = false;
	run(fleet, 1000);
	CU_ASSERT_TRUE(partition_set_has(&node->served, 0));
	CU_ASSERT_TRUE(partition_set_has(&node->served, PARTITIONS - 1));
	CU_ASSERT_EQUAL(epoch_at(&fleet->nodes[1], 0), 2);
	CU_ASSERT_EQUAL(epoch_at(node, 0), 2);
	destroy(fleet);
}

static void what_is_claimed_during_a_round_is_confirmed_by_the_next(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[1];

	node->is_mute = true;
	cluster_confirm(node->cluster, 3);
	cluster_confirm(node->cluster, 4);
	run(fleet, 200);
	CU_ASSERT_EQUAL(node->ask_count, 2);
	/* The states of this round were asked for before. */
	cluster_confirm(node->cluster, 4);
	cluster_confirm(node->cluster, 5);
	run(fleet, 600);
	CU_ASSERT_TRUE(partition_set_is_empty(&node->confirmed));
	node->is_mute = false;
	run(fleet, STEP_MS);
	CU_ASSERT_TRUE(partition_set_has(&node->confirmed, 3));
	CU_ASSERT_FALSE(partition_set_has(&node->confirmed, 4));
	CU_ASSERT_FALSE(partition_set_has(&node->confirmed, 5));
	run(fleet, 700);
	CU_ASSERT_TRUE(partition_set_has(&node->confirmed, 4));
	CU_ASSERT_TRUE(partition_set_has(&node->confirmed, 5));
	destroy(fleet);
}

static void a_node_that_is_cut_off_serves_nothing_until_it_has_asked_the_others(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[0];

	node->is_cut = true;
	cluster_confirm(node->cluster, 1);
	run(fleet, 9000);
	CU_ASSERT_FALSE(cluster_is_serving(node->cluster));
	CU_ASSERT_TRUE(partition_set_is_empty(&node->served));
	CU_ASSERT_FALSE(partition_set_has(&node->confirmed, 1));
	node->is_cut = false;
	run(fleet, 20000);
	CU_ASSERT_TRUE(cluster_is_serving(node->cluster));
	CU_ASSERT_TRUE(partition_set_has(&node->served, 1));
	CU_ASSERT_TRUE(partition_set_has(&node->confirmed, 1));
	destroy(fleet);
}

static void the_operator_gives_up_what_a_dead_node_had(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[1];
	char error[CLUSTER_ERROR_SIZE];

	CU_ASSERT_EQUAL(cluster_claim(node->cluster, 2, error), -EBUSY);
	kill_node(&fleet->nodes[0]);
	run(fleet, 12000);
	CU_ASSERT_EQUAL(cluster_claim(node->cluster, PARTITIONS, error), -EINVAL);
	CU_ASSERT_EQUAL(cluster_claim(node->cluster, 2, error), 0);
	CU_ASSERT_FALSE(partition_set_has(&node->served, 2));
	run(fleet, 1000);
	CU_ASSERT_TRUE(partition_set_has(&node->served, 2));
	CU_ASSERT_EQUAL(epoch_at(&fleet->nodes[2], 2), 2);
	/* Not while there are others of it. */
	CU_ASSERT_EQUAL(cluster_remove(node->cluster, "n0", error), -EBUSY);
	destroy(fleet);
}

/* Of five, node 1 comes back without data while node 0, which was giving partition 3 to it, is cut off. */
static struct fleet *lose_a_target_in_doubt(void)
{
	const struct partition_owner given = { .partition = 3,
					       .epoch = 2,
					       .owner = node_id_of_name("n1") };
	const struct partition_owner other = { .partition = 4,
					       .epoch = 2,
					       .owner = node_id_of_name("n1") };
	const struct partition_set none = { { 0 } };
	struct fleet *fleet = create_of(5);
	struct partition_set migrating = none;

	partition_set_add(&migrating, 3);
	cluster_announce(fleet->nodes[0].cluster, &none, &migrating);
	cluster_learn(fleet->nodes[0].cluster, &given);
	cluster_learn(fleet->nodes[0].cluster, &other);
	run(fleet, 1000);
	kill_node(&fleet->nodes[1]);
	fleet->nodes[0].is_cut = true;
	run(fleet, 12000);
	start(fleet, 1);
	cluster_start(fleet->nodes[1].cluster);
	run(fleet, 20000);
	return fleet;
}

static bool is_found(const struct member_node *node, const char *kind)
{
	struct cluster_problem problems[CLUSTER_PROBLEM_COUNT_MAX];
	uint32_t count = cluster_check(node->cluster, problems);

	for (uint32_t i = 0; i < count; i++) {
		if (strcmp(problems[i].kind, kind) == 0)
			return true;
	}
	return false;
}

static void what_a_dead_member_may_bring_is_not_taken_back_empty(void)
{
	const struct partition_set none = { { 0 } };
	struct fleet *fleet = lose_a_target_in_doubt();
	struct member_node *node = &fleet->nodes[1];

	/* Nobody can bring the other one. */
	CU_ASSERT_TRUE(partition_set_has(&node->served, 4));
	CU_ASSERT_FALSE(partition_set_has(&node->served, 3));
	CU_ASSERT_EQUAL(epoch_at(node, 3), 2);
	CU_ASSERT_TRUE(is_found(node, "awaited"));
	/* It comes back, and cannot: its mark goes. */
	fleet->nodes[0].is_cut = false;
	run(fleet, 20000);
	CU_ASSERT_EQUAL(epoch_at(node, 3), 2);
	CU_ASSERT_FALSE(is_found(node, "awaited"));
	cluster_announce(fleet->nodes[0].cluster, &none, &none);
	run(fleet, 2000);
	CU_ASSERT_EQUAL(epoch_at(node, 3), 3);
	CU_ASSERT_TRUE(partition_set_has(&node->served, 3));
	destroy(fleet);
}

static void the_mark_of_a_life_that_is_over_means_nothing(void)
{
	struct fleet *fleet = lose_a_target_in_doubt();
	struct member_node *node = &fleet->nodes[1];

	kill_node(&fleet->nodes[0]);
	fleet->nodes[0].is_cut = false;
	start(fleet, 0);
	cluster_start(fleet->nodes[0].cluster);
	run(fleet, 5000);
	CU_ASSERT_EQUAL(epoch_at(node, 3), 3);
	CU_ASSERT_TRUE(partition_set_has(&node->served, 3));
	destroy(fleet);
}

static void the_operator_gives_up_what_a_dead_member_may_bring(void)
{
	struct fleet *fleet = lose_a_target_in_doubt();
	struct member_node *node = &fleet->nodes[1];
	char error[CLUSTER_ERROR_SIZE];

	/* By its owner alone, and nothing that it has. */
	CU_ASSERT_EQUAL(cluster_claim(fleet->nodes[2].cluster, 3, error), -EBUSY);
	CU_ASSERT_EQUAL(cluster_claim(node->cluster, 4, error), -EBUSY);
	CU_ASSERT_EQUAL(cluster_claim(node->cluster, 3, error), 0);
	run(fleet, 2000);
	CU_ASSERT_EQUAL(epoch_at(&fleet->nodes[2], 3), 3);
	CU_ASSERT_TRUE(partition_set_has(&node->served, 3));
	CU_ASSERT_FALSE(is_found(node, "awaited"));
	destroy(fleet);
}

static void bring_back(struct fleet *fleet, uint32_t index)
{
	cluster_start(start(fleet, index)->cluster);
}

/* Node 1 takes partition 2 while its owner is cut off: it and node 2 are the majority that knows. Then node 1 forgets, and
 * node 2 is cut off, so that node 1 and the owner, which never heard, see a majority.
 */
static struct fleet *create_with_half_of_a_majority_forgotten(void)
{
	struct fleet *fleet = create();
	char error[CLUSTER_ERROR_SIZE];

	fleet->nodes[0].is_cut = true;
	run(fleet, 12000);
	CU_ASSERT_EQUAL_FATAL(cluster_claim(fleet->nodes[1].cluster, 2, error), 0);
	run(fleet, 1000);
	CU_ASSERT_TRUE_FATAL(partition_set_has(&fleet->nodes[1].served, 2));
	fleet->nodes[2].is_cut = true;
	kill_node(&fleet->nodes[1]);
	fleet->nodes[0].is_cut = false;
	bring_back(fleet, 1);
	run(fleet, 30000);
	return fleet;
}

static void who_forgot_what_it_confirmed_waits_for_those_that_know(void)
{
	struct fleet *fleet = create_with_half_of_a_majority_forgotten();
	struct member_node *node = &fleet->nodes[1];

	CU_ASSERT_EQUAL(cluster_phase(node->cluster), CLUSTER_MEMBER);
	CU_ASSERT_TRUE(cluster_sees_majority(node->cluster));
	CU_ASSERT_FALSE(cluster_is_serving(node->cluster));
	CU_ASSERT_EQUAL(cluster_fence_waits_for(node->cluster), 1);
	/* The owner has not forgotten, but node 1 has nothing to tell it. */
	CU_ASSERT_TRUE(cluster_sees_majority(fleet->nodes[0].cluster));
	CU_ASSERT_FALSE(cluster_is_serving(fleet->nodes[0].cluster));
	CU_ASSERT_EQUAL(cluster_fence_waits_for(fleet->nodes[0].cluster), 1);
	fleet->nodes[2].is_cut = false;
	run(fleet, 20000);
	CU_ASSERT_TRUE(cluster_is_serving(node->cluster));
	CU_ASSERT_TRUE(cluster_is_serving(fleet->nodes[0].cluster));
	CU_ASSERT_EQUAL(cluster_fence_waits_for(node->cluster), 0);
	CU_ASSERT_EQUAL(epoch_at(node, 2), 3);
	CU_ASSERT_TRUE(partition_set_has(&node->served, 2));
	CU_ASSERT_FALSE(partition_set_has(&fleet->nodes[0].served, 2));
	destroy(fleet);
}

static void when_all_are_back_there_is_nobody_left_to_wait_for(void)
{
	struct fleet *fleet = create_with_half_of_a_majority_forgotten();

	kill_node(&fleet->nodes[2]);
	fleet->nodes[2].is_cut = false;
	bring_back(fleet, 2);
	run(fleet, 20000);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_TRUE(cluster_is_serving(fleet->nodes[i].cluster));
	destroy(fleet);
}

static void who_is_gone_for_good_is_removed_and_not_waited_for(void)
{
	struct fleet *fleet = create_with_half_of_a_majority_forgotten();
	char error[CLUSTER_ERROR_SIZE];

	CU_ASSERT_EQUAL(cluster_remove(fleet->nodes[0].cluster, "n2", error), 0);
	run(fleet, 10000);
	CU_ASSERT_TRUE(cluster_is_serving(fleet->nodes[0].cluster));
	CU_ASSERT_TRUE(cluster_is_serving(fleet->nodes[1].cluster));
	destroy(fleet);
}

/* One of those that took the state may have forgotten it before the others took it. */
static void a_round_in_which_a_member_starts_anew_begins_again(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[1];

	node->is_mute = true;
	cluster_confirm(node->cluster, 3);
	run(fleet, 200);
	CU_ASSERT_EQUAL(node->ask_count, 2);
	kill_node(&fleet->nodes[2]);
	bring_back(fleet, 2);
	run(fleet, 1500);
	CU_ASSERT_EQUAL(node->ask_count, 4);
	CU_ASSERT_TRUE(partition_set_is_empty(&node->confirmed));
	node->is_mute = false;
	run(fleet, STEP_MS);
	CU_ASSERT_TRUE(partition_set_has(&node->confirmed, 3));
	destroy(fleet);
}

static void a_removed_node_ends(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[2];
	char error[CLUSTER_ERROR_SIZE];

	CU_ASSERT_EQUAL(cluster_remove(fleet->nodes[0].cluster, "n2", error), -EBUSY);
	node->is_cut = true;
	run(fleet, 12000);
	CU_ASSERT_EQUAL(cluster_remove(fleet->nodes[0].cluster, "n2", error), 0);
	node->is_cut = false;
	run(fleet, 20000);
	CU_ASSERT_TRUE(node->has_ended);
	CU_ASSERT_EQUAL(node->end, CLUSTER_END_EXCLUDED);
	CU_ASSERT_FALSE(cluster_is_serving(node->cluster));
	destroy(fleet);
}

static void a_node_without_partitions_leaves(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[1];
	char error[CLUSTER_ERROR_SIZE];

	CU_ASSERT_EQUAL(cluster_leave(node->cluster, true, error), 0);
	run(fleet, 4000);
	CU_ASSERT_TRUE(node->has_ended);
	CU_ASSERT_EQUAL(node->end, CLUSTER_END_LEFT);
	CU_ASSERT_EQUAL(
		membership_live_count(gossip_membership(cluster_gossip(fleet->nodes[0].cluster))),
		2);
	destroy(fleet);
}

/* Who got its last partitions may be dead, and the others may not have heard who that was. */
static void who_leaves_stays_until_a_majority_has_its_map(void)
{
	struct fleet *fleet = create();
	struct member_node *node = &fleet->nodes[1];
	char error[CLUSTER_ERROR_SIZE];

	node->is_mute = true;
	CU_ASSERT_EQUAL(cluster_leave(node->cluster, true, error), 0);
	run(fleet, 4000);
	CU_ASSERT_EQUAL(cluster_phase(node->cluster), CLUSTER_LEAVING);
	CU_ASSERT_TRUE(node->ask_count > 0);
	CU_ASSERT_FALSE(node->has_ended);
	node->is_mute = false;
	run(fleet, 4000);
	CU_ASSERT_TRUE(node->has_ended);
	CU_ASSERT_EQUAL(node->end, CLUSTER_END_LEFT);
	destroy(fleet);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(the_founder_serves_and_those_that_join_serve_nothing),
		UNIT_TEST(what_a_node_had_is_served_again_when_a_majority_knows),
		UNIT_TEST(what_is_claimed_during_a_round_is_confirmed_by_the_next),
		UNIT_TEST(a_node_that_is_cut_off_serves_nothing_until_it_has_asked_the_others),
		UNIT_TEST(the_operator_gives_up_what_a_dead_node_had),
		UNIT_TEST(what_a_dead_member_may_bring_is_not_taken_back_empty),
		UNIT_TEST(the_mark_of_a_life_that_is_over_means_nothing),
		UNIT_TEST(the_operator_gives_up_what_a_dead_member_may_bring),
		UNIT_TEST(who_forgot_what_it_confirmed_waits_for_those_that_know),
		UNIT_TEST(when_all_are_back_there_is_nobody_left_to_wait_for),
		UNIT_TEST(who_is_gone_for_good_is_removed_and_not_waited_for),
		UNIT_TEST(a_round_in_which_a_member_starts_anew_begins_again),
		UNIT_TEST(a_removed_node_ends),
		UNIT_TEST(a_node_without_partitions_leaves),
		UNIT_TEST(who_leaves_stays_until_a_majority_has_its_map),
		{ NULL, NULL },
	};

	return unit_run("cluster host", tests);
}
