/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrators of three nodes with real data planes in one process: the daemon's code, a network of queues, virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/migrator_host.h"
#include "controlplane/prng.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_dataplane.h"

#define NODES 3u
#define PARTITIONS 4u
#define P 2u /* the partition that moves */
#define KEYS 3000u
#define VALUE_SIZE 200u
#define MS_MAX 120000u
#define CLAIM_MS 3000u
#define SMALL_MEMORY ((size_t)2 << 20)

struct net;

/* What a client would know of a key. */
struct key_model {
	bool is_there;
	uint64_t write;
};

struct peer {
	struct net *net;
	uint32_t index;
	bool is_running;
	uint64_t generation;
	struct unit_dataplane data;
	struct partition_map map;
	struct partition_set held;
	struct partition_set importing;
	struct partition_set migrating;
	struct partition_set announcing;
	struct migrator *migrator;
	bool is_thought_dead[NODES];
};

struct frame {
	struct frame *next;
	uint32_t from;
	uint32_t to;
	size_t size;
	uint8_t bytes[];
};

struct net {
	uint64_t now_ms;
	struct world world;
	struct log log;
	struct prng prng;
	struct migration_options migration;
	uint32_t jobs_max;
	bool is_cut[NODES][NODES];
	bool holds_frames; /* nothing arrives */
	struct frame *first;
	struct frame **last;
	uint64_t delivered;
	uint32_t writes_per_ms;
	uint64_t writes;
	struct key_model keys[KEYS];
	struct peer peers[NODES];
};

/* ---- the world ---- */

static uint64_t world_now(void *context)
{
	return ((struct net *)context)->now_ms;
}

static void world_random(void *context, void *bytes, size_t size)
{
	struct net *net = context;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)prng_next(&net->prng);
}

static uint64_t id_of(uint32_t index)
{
	return index + 1;
}

static struct peer *peer_of(struct net *net, uint64_t id)
{
	return &net->peers[id - 1];
}

static bool is_linked(const struct net *net, uint32_t a, uint32_t b)
{
	return net->peers[a].is_running && net->peers[b].is_running && !net->is_cut[a][b];
}

/* ---- the host ---- */

static uint64_t host_generation(void *context)
{
	return ((struct peer *)context)->generation;
}

static void host_send(void *context, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct peer *self = context;
	struct net *net = self->net;
	struct frame *frame;

	if (!is_linked(net, self->index, peer_of(net, node)->index))
		return;
	frame = malloc(sizeof(*frame) + size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(frame);
	*frame = (struct frame){ .from = self->index,
				 .to = peer_of(net, node)->index,
				 .size = size };
	memcpy(frame->bytes, bytes, size);
	*net->last = frame;
	net->last = &frame->next;
}

static bool host_find_peer(void *context, uint64_t node, struct migrator_peer *peer)
{
	const struct peer *self = context;

	if (node == 0 || node > NODES)
		return false;
	peer->generation = peer_of(self->net, node)->generation;
	peer->state = self->is_thought_dead[node - 1] ? MIGRATION_PEER_SUSPECTED_DEAD
						      : MIGRATION_PEER_ALIVE;
	return true;
}

static const char *host_name(void *context, uint64_t node, char text[NODE_NAME_SIZE])
{
	(void)context;
	snprintf(text, NODE_NAME_SIZE, "n%u", (unsigned)node);
	return text;
}

static void host_mark(void *context, const struct partition_set *importing,
		      const struct partition_set *migrating)
{
	struct peer *self = context;

	self->importing = *importing;
	self->migrating = *migrating;
}

static void host_hold(void *context, uint32_t partition, bool is_held)
{
	struct peer *self = context;

	if (is_held)
		partition_set_add(&self->held, partition);
	else
		partition_set_remove(&self->held, partition);
}

static void host_record_owner(void *context, const struct partition_owner *owner)
{
	struct peer *self = context;

	partition_map_merge(&self->map, owner);
}

static void host_publish(void *context)
{
	struct peer *self = context;
	struct route_table *table = route_table_copy(self->data.node.shared->route);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	for (uint32_t p = 0; p < PARTITIONS; p++) {
		bool is_own = partition_map_owner(&self->map, p) == id_of(self->index) &&
			      partition_set_has(&self->held, p);

		table->owners[p] = is_own ? table->self : WIRE_MAP_NO_OWNER;
		table->epochs[p] = partition_map_epoch(&self->map, p);
	}
	CU_ASSERT_EQUAL_FATAL(dataplane_set_routes(&self->data.dataplane, table), 0);
}

static void host_announce(void *context, uint32_t partition)
{
	partition_set_add(&((struct peer *)context)->announcing, partition);
}

static void host_wake(void *context)
{
	const struct peer *self = context;

	(void)self;
}

/* ---- lives ---- */

static void start(struct net *net, uint32_t index, size_t memory_bytes)
{
	const struct unit_node_options options = { .worker_count = 2,
						   .partition_count = PARTITIONS,
						   .memory_limit_bytes = memory_bytes };
	struct peer *peer = &net->peers[index];
	const struct migrator_options migrator = {
		.self = id_of(index),
		.source_max = net->jobs_max,
		.target_max = net->jobs_max,
		.ring_size = 256u << 10,
		.migration = net->migration,
		.map = &peer->map,
		.held = &peer->held,
		.dataplane = &peer->data.dataplane,
		.reader = &peer->data.reader,
		.world = &net->world,
		.log = &net->log,
		.host = { .context = peer,
			  .generation = host_generation,
			  .send = host_send,
			  .find_peer = host_find_peer,
			  .name = host_name,
			  .mark = host_mark,
			  .hold = host_hold,
			  .record_owner = host_record_owner,
			  .publish = host_publish,
			  .announce = host_announce,
			  .wake = host_wake },
	};

	peer->net = net;
	peer->index = index;
	peer->is_running = true;
	peer->generation++;
	partition_map_init(&peer->map, PARTITIONS);
	partition_set_clear(&peer->held);
	partition_set_clear(&peer->importing);
	partition_set_clear(&peer->migrating);
	partition_set_clear(&peer->announcing);
	memset(peer->is_thought_dead, 0, sizeof(peer->is_thought_dead));
	unit_dataplane_create(&peer->data, &options);
	CU_ASSERT_EQUAL_FATAL(migrator_create(&peer->migrator, &migrator), 0);
	host_publish(peer);
}

static void end(struct peer *peer)
{
	if (!peer->is_running)
		return;
	peer->is_running = false;
	migrator_destroy(peer->migrator);
	peer->migrator = NULL;
	unit_dataplane_destroy(&peer->data);
	memset(&peer->data, 0, sizeof(peer->data));
}

/* Three nodes, of which the first owns all partitions. */
static struct net *net_open_with(size_t memory_of_last)
{
	struct net *net = calloc(1, sizeof(*net));

	CU_ASSERT_PTR_NOT_NULL_FATAL(net);
	net->now_ms = 1000;
	net->world = (struct world){ world_now, world_now, world_random, net };
	net->log = (struct log){ stderr, getenv("VERBOSE") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR,
				 &net->world };
	net->last = &net->first;
	net->jobs_max = 2;
	prng_init(&net->prng, 7);
	migration_options_default(&net->migration);
	net->migration.batch_size = 2 * SYNC_BATCH_FRAME_SIZE_MIN;
	net->migration.cpu_permille = 0; /* of a clock that is not the test's */
	net->migration.window = 4;
	net->migration.claim_ms = CLAIM_MS;
	for (uint32_t i = 0; i < NODES; i++)
		start(net, i, i + 1 == NODES ? memory_of_last : 0);
	CU_ASSERT_TRUE(partition_map_bootstrap(&net->peers[0].map, id_of(0)));
	for (uint32_t p = 0; p < PARTITIONS; p++)
		partition_set_add(&net->peers[0].held, p);
	for (uint32_t i = 0; i < NODES; i++) {
		net->peers[i].map = net->peers[0].map;
		host_publish(&net->peers[i]);
		migrator_map_changed(net->peers[i].migrator);
	}
	return net;
}

static struct net *net_open(void)
{
	return net_open_with(0);
}

static void drop_frames(struct net *net)
{
	while (net->first) {
		struct frame *frame = net->first;

		net->first = frame->next;
		free(frame);
	}
	net->last = &net->first;
}

static void net_close(struct net *net)
{
	drop_frames(net);
	for (uint32_t i = 0; i < NODES; i++)
		end(&net->peers[i]);
	free(net);
}

/* ---- time ---- */

static void deliver(struct net *net)
{
	struct frame *frame = net->first;

	net->first = NULL;
	net->last = &net->first;
	while (frame) {
		struct frame *next = frame->next;

		if (is_linked(net, frame->from, frame->to)) {
			net->delivered++;
			migrator_take_frame(net->peers[frame->to].migrator, id_of(frame->from),
					    frame->bytes, frame->size);
		}
		free(frame);
		frame = next;
	}
}

/* What gossip does, at once. */
static void merge_maps(struct net *net, uint32_t from, uint32_t to)
{
	struct peer *target = &net->peers[to];

	if (!is_linked(net, from, to) || target->map.stamp == net->peers[from].map.stamp)
		return;
	for (uint32_t p = 0; p < PARTITIONS; p++)
		partition_map_merge(&target->map, &net->peers[from].map.partitions[p]);
	migrator_map_changed(target->migrator);
	host_publish(target);
}

static void announce(struct net *net, struct peer *peer)
{
	bool has_company = false;

	for (uint32_t i = 0; i < NODES; i++)
		has_company |= i != peer->index && is_linked(net, peer->index, i);
	for (uint32_t p = 0; p < PARTITIONS; p++) {
		if (!has_company || !partition_set_has(&peer->announcing, p))
			continue;
		partition_set_remove(&peer->announcing, p);
		migrator_announced(peer->migrator, p);
	}
}

static void look_around(struct net *net, struct peer *peer)
{
	uint32_t seen = 1;

	for (uint32_t i = 0; i < NODES; i++) {
		if (i == peer->index)
			continue;
		seen += is_linked(net, peer->index, i);
		merge_maps(net, i, peer->index);
	}
	migrator_set_majority(peer->migrator, 2 * seen > NODES);
	announce(net, peer);
}

/* Whom a client's write would reach, NULL when it would have to wait. */
static struct peer *server_of(struct net *net)
{
	for (uint32_t i = 0; i < NODES; i++) {
		struct peer *peer = &net->peers[i];

		if (peer->is_running && partition_map_owner(&peer->map, P) == id_of(i) &&
		    partition_set_has(&peer->held, P) &&
		    peer->data.dataplane.access[P] == PARTITION_BY_ROUTE)
			return peer;
	}
	return NULL;
}

static void write_one(struct net *net, struct peer *peer)
{
	uint64_t number = prng_below(&net->prng, KEYS);
	struct key_model *key = &net->keys[number];

	net->writes++;
	if (key->is_there && prng_below(&net->prng, 4) == 0) {
		CU_ASSERT_TRUE(unit_dataplane_remove(&peer->data, P, number));
		key->is_there = false;
		return;
	}
	if (unit_dataplane_put(&peer->data, P, number, net->writes, VALUE_SIZE, 0))
		*key = (struct key_model){ true, net->writes };
}

static void write_some(struct net *net)
{
	for (uint32_t i = 0; i < net->writes_per_ms; i++) {
		struct peer *peer = server_of(net);

		if (peer)
			write_one(net, peer);
	}
}

static void turn(struct net *net)
{
	net->now_ms++;
	write_some(net);
	for (uint32_t i = 0; i < NODES; i++) {
		struct peer *peer = &net->peers[i];

		if (!peer->is_running)
			continue;
		unit_node_advance(&peer->data.node, 1);
		unit_dataplane_turn(&peer->data);
		migrator_run(peer->migrator);
		look_around(net, peer);
	}
	if (!net->holds_frames)
		deliver(net);
}

static void run_ms(struct net *net, uint32_t ms)
{
	while (ms-- > 0)
		turn(net);
}

static uint32_t open_tasks(const struct net *net)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < NODES; i++)
		count += net->peers[i].is_running && !migrator_is_idle(net->peers[i].migrator);
	return count;
}

static void run_to_rest(struct net *net)
{
	for (uint32_t ms = 0; ms < MS_MAX; ms++) {
		turn(net);
		if (open_tasks(net) == 0)
			return;
	}
	CU_FAIL_FATAL("the migrations do not come to rest");
}

/* The only job of the node, as its users see it. */
static struct migration_view view_of(const struct peer *peer)
{
	struct migration_view views[MIGRATION_JOBS_MAX];

	CU_ASSERT_EQUAL_FATAL(migrator_list(peer->migrator, views, MIGRATION_JOBS_MAX), 1);
	return views[0];
}

static void run_to_state(struct net *net, const struct peer *peer, const char *state)
{
	struct migration_view view;

	for (uint32_t ms = 0; ms < MS_MAX; ms++) {
		if (migrator_list(peer->migrator, &view, 1) == 1 && strcmp(view.state, state) == 0)
			return;
		turn(net);
	}
	CU_FAIL_FATAL("a state is not reached");
}

/* ---- what is expected ---- */

static void fill(struct net *net)
{
	for (uint64_t number = 0; number < KEYS; number++) {
		CU_ASSERT_TRUE_FATAL(unit_dataplane_put(&net->peers[0].data, P, number,
							++net->writes, VALUE_SIZE, 0));
		net->keys[number] = (struct key_model){ true, net->writes };
		if (number % 64 == 0)
			unit_dataplane_turn(&net->peers[0].data);
	}
}

static uint32_t import(struct net *net, uint32_t index, uint32_t partition)
{
	char error[MIGRATOR_ERROR_SIZE] = "";
	int result = migrator_import(net->peers[index].migrator, partition, error);

	CU_ASSERT_EQUAL(result == 0, error[0] == '\0');
	return (uint32_t)-result;
}

/* All that was written, and nothing else. */
static void expect_values(struct net *net, const struct peer *peer)
{
	uint32_t wrong = 0, live = 0;
	struct partition_stats stats;

	for (uint64_t number = 0; number < KEYS; number++) {
		const struct key_model *key = &net->keys[number];
		const struct item *item = unit_dataplane_get(&peer->data, P, number);

		live += key->is_there;
		wrong += key->is_there != (item != NULL) ||
			 (item && !unit_dataplane_value_is(item, number, key->write, VALUE_SIZE));
	}
	partition_stats(unit_dataplane_partition(&peer->data, P), &stats);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(stats.items, live);
}

static void expect_empty(const struct peer *peer)
{
	struct partition_stats stats;

	partition_stats(unit_dataplane_partition(&peer->data, P), &stats);
	CU_ASSERT_EQUAL(stats.items, 0);
	CU_ASSERT_FALSE(partition_set_has(&peer->held, P));
}

/* P is served by node 'index' at 'epoch', all living nodes know it, and nothing is left of any migration. */
static void expect_owner(struct net *net, uint32_t index, uint32_t epoch)
{
	CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[index]);
	for (uint32_t i = 0; i < NODES; i++) {
		const struct peer *peer = &net->peers[i];

		if (!peer->is_running)
			continue;
		CU_ASSERT_EQUAL(partition_map_owner(&peer->map, P), id_of(index));
		CU_ASSERT_EQUAL(partition_map_epoch(&peer->map, P), epoch);
		CU_ASSERT_TRUE(partition_set_is_empty(&peer->importing));
		CU_ASSERT_TRUE(partition_set_is_empty(&peer->migrating));
		CU_ASSERT_EQUAL(peer->data.dataplane.access[P], PARTITION_BY_ROUTE);
		CU_ASSERT_EQUAL(migrator_count(peer->migrator), 0);
		if (i != index)
			expect_empty(peer);
	}
	expect_values(net, &net->peers[index]);
}

static struct migration_past last_of(const struct peer *peer)
{
	struct migration_past past;

	CU_ASSERT_EQUAL_FATAL(migrator_past(peer->migrator, &past, 1), 1);
	return past;
}

static uint64_t counter_of(const struct peer *peer, const char *name)
{
	uint64_t values[32];

	CU_ASSERT_FATAL(migrator_counter_table.row_count <= 32);
	migrator_counters(peer->migrator, values);
	for (uint32_t i = 0; i < migrator_counter_table.row_count; i++) {
		if (strcmp(migrator_counter_table.rows[i].name, name) == 0)
			return values[i];
	}
	CU_FAIL_FATAL("no such counter");
	return 0;
}

/* ---- tests ---- */

static void a_partition_moves_while_it_is_written(void)
{
	struct net *net = net_open();

	fill(net);
	net->writes_per_ms = 5;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	CU_ASSERT_TRUE(partition_set_has(&net->peers[1].importing, P));
	run_to_state(net, &net->peers[0], "copying");
	CU_ASSERT_TRUE(partition_set_has(&net->peers[0].migrating, P));
	run_to_rest(net);
	expect_owner(net, 1, 2);
	CU_ASSERT_TRUE(last_of(&net->peers[0]).is_ok);
	CU_ASSERT_TRUE(last_of(&net->peers[0]).is_source);
	CU_ASSERT_TRUE(last_of(&net->peers[1]).is_ok);
	CU_ASSERT_EQUAL(last_of(&net->peers[1]).peer, id_of(0));
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migrations_out_done"), 1);
	CU_ASSERT_EQUAL(counter_of(&net->peers[1], "migrations_in_done"), 1);
	CU_ASSERT(counter_of(&net->peers[0], "migration_deltas_sent") > 0);
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migration_bytes_sent"),
			counter_of(&net->peers[1], "migration_bytes_received"));
	net_close(net);
}

static void it_moves_on_and_back_and_loses_nothing(void)
{
	struct net *net = net_open();

	fill(net);
	net->writes_per_ms = 3;
	for (uint32_t i = 1; i <= 9; i++) {
		CU_ASSERT_EQUAL(import(net, i % NODES, P), 0);
		run_to_rest(net);
		expect_owner(net, i % NODES, i + 1);
	}
	net_close(net);
}

static void all_partitions_move_at_once_up_to_the_limit(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, 0), 0);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	CU_ASSERT_EQUAL(import(net, 1, 3), ENOSPC);
	/* The source has no room for a third one either: node 2 waits until it has. */
	CU_ASSERT_EQUAL(import(net, 2, 3), 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[0].map, 0), id_of(1));
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[0].map, 3), id_of(2));
	expect_owner(net, 1, 2);
	net_close(net);
}

static void what_cannot_be_is_refused_and_changes_nothing(void)
{
	struct net *net = net_open();
	struct migrator *migrator = net->peers[1].migrator;
	char error[MIGRATOR_ERROR_SIZE];

	CU_ASSERT_EQUAL(import(net, 1, PARTITIONS), ENOENT);
	CU_ASSERT_EQUAL(import(net, 0, P), EALREADY);
	net->peers[1].is_thought_dead[0] = true;
	CU_ASSERT_EQUAL(migrator_import(migrator, P, error), -EHOSTDOWN);
	CU_ASSERT_PTR_NOT_NULL(strstr(error, "n1"));
	net->peers[1].is_thought_dead[0] = false;
	CU_ASSERT_EQUAL(migrator_cancel(migrator, P, error), -ENOENT);
	CU_ASSERT_EQUAL(migrator_claim(migrator, P, error), -ENOENT);
	CU_ASSERT_TRUE(migrator_is_idle(migrator));
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	CU_ASSERT_EQUAL(import(net, 1, P), EBUSY);
	CU_ASSERT_EQUAL(migrator_claim(migrator, P, error), -EBUSY);
	run_to_rest(net);
	CU_ASSERT_EQUAL(import(net, 1, P), EALREADY);
	net_close(net);
}

static void a_cancelled_job_leaves_everything_as_it_was(void)
{
	struct net *net = net_open();
	char error[MIGRATOR_ERROR_SIZE];

	fill(net);
	for (uint32_t who = 0; who < 2; who++) {
		CU_ASSERT_EQUAL(import(net, 1, P), 0);
		run_to_state(net, &net->peers[0], "copying");
		CU_ASSERT_EQUAL(migrator_cancel(net->peers[who].migrator, P, error), 0);
		run_to_rest(net);
		expect_owner(net, 0, 1);
		CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_CANCELLED);
		CU_ASSERT_EQUAL(last_of(&net->peers[1]).reason, MIGRATION_CANCELLED);
		CU_ASSERT_FALSE(last_of(&net->peers[1]).is_ok);
	}
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_rest(net);
	expect_owner(net, 1, 2);
	net_close(net);
}

static void a_target_without_memory_gives_up_and_says_so(void)
{
	struct net *net = net_open_with(SMALL_MEMORY);

	for (uint64_t number = 0; number < KEYS; number++) {
		CU_ASSERT_TRUE_FATAL(
			unit_dataplane_put(&net->peers[0].data, P, number, 1, 1000, 0));
		unit_dataplane_turn(&net->peers[0].data);
	}
	CU_ASSERT_EQUAL(import(net, 2, P), 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(last_of(&net->peers[2]).reason, MIGRATION_OUT_OF_MEMORY);
	CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_OUT_OF_MEMORY);
	CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[0]);
	expect_empty(&net->peers[2]);
	/* It is as good as new, for a partition that fits. */
	CU_ASSERT_EQUAL(import(net, 2, 0), 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[0].map, 0), id_of(2));
	net_close(net);
}

static void a_third_node_waits_for_its_turn(void)
{
	struct net *net = net_open();

	fill(net);
	net->writes_per_ms = 1;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "copying");
	CU_ASSERT_EQUAL(import(net, 2, P), 0);
	run_to_rest(net);
	CU_ASSERT(counter_of(&net->peers[0], "migration_refused_busy") > 0);
	/* When its turn comes, the partition is another node's: the plan has to be made anew. */
	expect_owner(net, 1, 2);
	CU_ASSERT_EQUAL(last_of(&net->peers[2]).reason, MIGRATION_SUPERSEDED);
	net_close(net);
}

/* All others declare the node dead. */
static void declare_dead(struct net *net, uint32_t index)
{
	for (uint32_t i = 0; i < NODES; i++) {
		if (i == index || !net->peers[i].is_running)
			continue;
		net->peers[i].is_thought_dead[index] = true;
		migrator_peer_changed(net->peers[i].migrator, id_of(index));
	}
}

static void a_target_that_dies_costs_nothing(void)
{
	static const char *const states[] = { "marking", "copying", "verifying", "fencing" };

	for (uint32_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		struct net *net = net_open();

		fill(net);
		net->writes_per_ms = 2;
		CU_ASSERT_EQUAL(import(net, 1, P), 0);
		run_to_state(net, &net->peers[0], states[i]);
		end(&net->peers[1]);
		run_ms(net, 100);
		CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[0]);
		declare_dead(net, 1);
		run_to_rest(net);
		CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_PEER_DEAD);
		expect_owner(net, 0, 1);
		net_close(net);
	}
}

static void a_source_that_dies_before_all_was_sent_leaves_nothing_at_the_target(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "copying");
	end(&net->peers[0]);
	declare_dead(net, 0);
	run_to_rest(net);
	CU_ASSERT_EQUAL(last_of(&net->peers[1]).reason, MIGRATION_PEER_DEAD);
	expect_empty(&net->peers[1]);
	CU_ASSERT_EQUAL(partition_map_owner(&net->peers[1].map, P), id_of(0));
	net_close(net);
}

static void a_source_that_dies_when_all_was_sent_is_succeeded_after_a_while(void)
{
	struct net *net = net_open();
	uint64_t dead_ms;

	fill(net);
	net->writes_per_ms = 2;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[1], "ready");
	end(&net->peers[0]);
	drop_frames(net);
	declare_dead(net, 0);
	dead_ms = net->now_ms;
	while (partition_map_epoch(&net->peers[1].map, P) == 1 && net->now_ms < dead_ms + MS_MAX)
		turn(net);
	CU_ASSERT(net->now_ms >= dead_ms + CLAIM_MS);
	/* It waits for the dead node's word no longer than until its name is heard again. */
	run_ms(net, 100);
	CU_ASSERT_PTR_EQUAL(server_of(net), &net->peers[1]);
	expect_values(net, &net->peers[1]);
	net->peers[0].generation++;
	migrator_peer_changed(net->peers[1].migrator, id_of(0));
	run_to_rest(net);
	CU_ASSERT_TRUE(last_of(&net->peers[1]).is_ok);
	expect_owner(net, 1, 2);
	net_close(net);
}

static void a_target_that_comes_back_empty_gives_the_partition_back(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "committing");
	end(&net->peers[1]);
	drop_frames(net);
	run_ms(net, 500);
	CU_ASSERT_TRUE(view_of(&net->peers[0]).is_in_doubt);
	declare_dead(net, 1);
	run_ms(net, 5000);
	CU_ASSERT_TRUE(view_of(&net->peers[0]).is_in_doubt);
	start(net, 1, 0);
	for (uint32_t i = 0; i < NODES; i++) {
		net->peers[i].is_thought_dead[1] = false;
		migrator_peer_changed(net->peers[i].migrator, id_of(1));
		migrator_connected(net->peers[i].migrator, id_of(1));
	}
	run_to_rest(net);
	expect_owner(net, 0, 3);
	CU_ASSERT_EQUAL(last_of(&net->peers[0]).reason, MIGRATION_LOST);
	CU_ASSERT_EQUAL(counter_of(&net->peers[1], "migration_lost"), 1);
	net_close(net);
}

static void an_operator_takes_back_what_a_dead_target_was_given(void)
{
	struct net *net = net_open();
	char error[MIGRATOR_ERROR_SIZE];

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "committing");
	end(&net->peers[1]);
	drop_frames(net);
	run_ms(net, 500);
	CU_ASSERT_EQUAL(migrator_cancel(net->peers[0].migrator, P, error), -EALREADY);
	CU_ASSERT_EQUAL(migrator_claim(net->peers[0].migrator, P, error), -EBUSY);
	declare_dead(net, 1);
	CU_ASSERT_EQUAL(migrator_claim(net->peers[0].migrator, P, error), 0);
	run_to_rest(net);
	expect_owner(net, 0, 3);
	net_close(net);
}

static void a_cut_link_delays_and_loses_nothing(void)
{
	struct net *net = net_open();
	uint32_t cuts = 0;

	fill(net);
	net->writes_per_ms = 1;
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	while (open_tasks(net) > 0 && cuts < 1000) {
		run_ms(net, prng_below(&net->prng, 8));
		net->is_cut[0][1] = net->is_cut[1][0] = true;
		run_ms(net, prng_below(&net->prng, 100));
		net->is_cut[0][1] = net->is_cut[1][0] = false;
		migrator_connected(net->peers[0].migrator, id_of(1));
		migrator_connected(net->peers[1].migrator, id_of(0));
		cuts++;
	}
	CU_ASSERT(cuts > 3);
	expect_owner(net, 1, 2);
	net_close(net);
}

static void data_that_another_node_claimed_is_dropped(void)
{
	struct net *net = net_open();
	const struct partition_owner claim = { .partition = P, .epoch = 2, .owner = id_of(2) };

	fill(net);
	partition_map_merge(&net->peers[2].map, &claim);
	partition_set_add(&net->peers[2].held, P);
	run_ms(net, 1);
	run_ms(net, 1000);
	CU_ASSERT_EQUAL(open_tasks(net), 0);
	expect_empty(&net->peers[0]);
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migration_forgotten"), 1);
	net_close(net);
}

static void a_node_that_stops_keeps_what_is_undecided(void)
{
	struct net *net = net_open();

	fill(net);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_state(net, &net->peers[0], "copying");
	CU_ASSERT_FALSE(migrator_is_decided(net->peers[0].migrator));
	migrator_stop(net->peers[0].migrator);
	CU_ASSERT_TRUE(migrator_is_decided(net->peers[0].migrator));
	run_ms(net, 50);
	CU_ASSERT_EQUAL(import(net, 0, P), EALREADY);
	CU_ASSERT_EQUAL(last_of(&net->peers[1]).reason, MIGRATION_CANCELLED);
	expect_owner(net, 0, 1);
	/* It begins nothing any more. */
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_ms(net, 500);
	CU_ASSERT_TRUE(migrator_is_idle(net->peers[0].migrator));
	net_close(net);
}

static void what_is_no_frame_is_counted(void)
{
	struct net *net = net_open();
	struct migrator *migrator = net->peers[0].migrator;
	const struct sync_message message = { .kind = SYNC_PREPARE,
					      .partition = P,
					      .job = 5,
					      .attempt = 1,
					      .sender = id_of(1),
					      .generation = 1,
					      .epoch = 1 };
	uint8_t bytes[SYNC_MESSAGE_FRAME_SIZE_MAX];
	size_t size = sync_message_encode(&message, bytes);

	migrator_take_frame(migrator, id_of(1), bytes, size - 1);
	/* It names another sender than the channel. */
	migrator_take_frame(migrator, id_of(2), bytes, size);
	bytes[size - 1] ^= 1;
	migrator_take_frame(migrator, id_of(1), bytes, size);
	CU_ASSERT_EQUAL(counter_of(&net->peers[0], "migration_malformed"), 3);
	CU_ASSERT_EQUAL(migrator_count(migrator), 0);
	net_close(net);
}

static void a_later_generation_makes_new_machines(void)
{
	struct net *net = net_open();

	fill(net);
	net->peers[1].generation++;
	run_ms(net, 2);
	CU_ASSERT_EQUAL(import(net, 1, P), 0);
	run_to_rest(net);
	expect_owner(net, 1, 2);
	net_close(net);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(a_partition_moves_while_it_is_written),
		UNIT_TEST(it_moves_on_and_back_and_loses_nothing),
		UNIT_TEST(all_partitions_move_at_once_up_to_the_limit),
		UNIT_TEST(what_cannot_be_is_refused_and_changes_nothing),
		UNIT_TEST(a_cancelled_job_leaves_everything_as_it_was),
		UNIT_TEST(a_target_without_memory_gives_up_and_says_so),
		UNIT_TEST(a_third_node_waits_for_its_turn),
		UNIT_TEST(a_target_that_dies_costs_nothing),
		UNIT_TEST(a_source_that_dies_before_all_was_sent_leaves_nothing_at_the_target),
		UNIT_TEST(a_source_that_dies_when_all_was_sent_is_succeeded_after_a_while),
		UNIT_TEST(a_target_that_comes_back_empty_gives_the_partition_back),
		UNIT_TEST(an_operator_takes_back_what_a_dead_target_was_given),
		UNIT_TEST(a_cut_link_delays_and_loses_nothing),
		UNIT_TEST(data_that_another_node_claimed_is_dropped),
		UNIT_TEST(a_node_that_stops_keeps_what_is_undecided),
		UNIT_TEST(what_is_no_frame_is_counted),
		UNIT_TEST(a_later_generation_makes_new_machines),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("migrator", tests);
}
