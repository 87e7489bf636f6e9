/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrators of three nodes with real data planes in one process: the daemon's code, a network of queues, virtual time. */
#ifndef TESTS_UNIT_CONTROLPLANE_MIGRATOR_NET_H
#define TESTS_UNIT_CONTROLPLANE_MIGRATOR_NET_H

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

static inline uint64_t world_now(void *context)
{
	return ((struct net *)context)->now_ms;
}

static inline void world_random(void *context, void *bytes, size_t size)
{
	struct net *net = context;

	for (size_t i = 0; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)prng_next(&net->prng);
}

static inline uint64_t id_of(uint32_t index)
{
	return index + 1;
}

static inline struct peer *peer_of(struct net *net, uint64_t id)
{
	return &net->peers[id - 1];
}

static inline bool is_linked(const struct net *net, uint32_t a, uint32_t b)
{
	return net->peers[a].is_running && net->peers[b].is_running && !net->is_cut[a][b];
}

/* ---- the host ---- */

static inline uint64_t host_generation(void *context)
{
	return ((struct peer *)context)->generation;
}

static inline void host_send(void *context, uint64_t node, const uint8_t *bytes, size_t size)
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

static inline bool host_find_peer(void *context, uint64_t node, struct migrator_peer *peer)
{
	const struct peer *self = context;

	if (node == 0 || node > NODES)
		return false;
	peer->generation = peer_of(self->net, node)->generation;
	peer->state = self->is_thought_dead[node - 1] ? MIGRATION_PEER_SUSPECTED_DEAD
						      : MIGRATION_PEER_ALIVE;
	return true;
}

static inline const char *host_name(void *context, uint64_t node, char text[NODE_NAME_SIZE])
{
	(void)context;
	snprintf(text, NODE_NAME_SIZE, "n%u", (unsigned)node);
	return text;
}

static inline void host_mark(void *context, const struct partition_set *importing,
			     const struct partition_set *migrating)
{
	struct peer *self = context;

	self->importing = *importing;
	self->migrating = *migrating;
}

static inline void host_hold(void *context, uint32_t partition, bool is_held)
{
	struct peer *self = context;

	if (is_held)
		partition_set_add(&self->held, partition);
	else
		partition_set_remove(&self->held, partition);
}

static inline void host_record_owner(void *context, const struct partition_owner *owner)
{
	struct peer *self = context;

	partition_map_merge(&self->map, owner);
}

static inline void host_publish(void *context)
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

static inline void host_announce(void *context, uint32_t partition)
{
	partition_set_add(&((struct peer *)context)->announcing, partition);
}

static inline void host_wake(void *context)
{
	const struct peer *self = context;

	(void)self;
}

/* ---- lives ---- */

static inline void start(struct net *net, uint32_t index, size_t memory_bytes)
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

static inline void end(struct peer *peer)
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
static inline struct net *net_open_with(size_t memory_of_last)
{
	struct net *net = calloc(1, sizeof(*net));

	CU_ASSERT_PTR_NOT_NULL_FATAL(net);
	net->now_ms = 1000;
	net->world = (struct world){ world_now, world_now, world_random, world_now, net };
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

static inline struct net *net_open(void)
{
	return net_open_with(0);
}

static inline void drop_frames(struct net *net)
{
	while (net->first) {
		struct frame *frame = net->first;

		net->first = frame->next;
		free(frame);
	}
	net->last = &net->first;
}

static inline void net_close(struct net *net)
{
	drop_frames(net);
	for (uint32_t i = 0; i < NODES; i++)
		end(&net->peers[i]);
	free(net);
}

/* ---- time ---- */

static inline void deliver(struct net *net)
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
static inline void merge_maps(struct net *net, uint32_t from, uint32_t to)
{
	struct peer *target = &net->peers[to];

	if (!is_linked(net, from, to) || target->map.stamp == net->peers[from].map.stamp)
		return;
	for (uint32_t p = 0; p < PARTITIONS; p++)
		partition_map_merge(&target->map, &net->peers[from].map.partitions[p]);
	migrator_map_changed(target->migrator);
	host_publish(target);
}

static inline void announce(struct net *net, struct peer *peer)
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

static inline void look_around(struct net *net, struct peer *peer)
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
static inline struct peer *server_of(struct net *net)
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

static inline void write_one(struct net *net, struct peer *peer)
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

static inline void write_some(struct net *net)
{
	for (uint32_t i = 0; i < net->writes_per_ms; i++) {
		struct peer *peer = server_of(net);

		if (peer)
			write_one(net, peer);
	}
}

static inline void turn(struct net *net)
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

static inline void run_ms(struct net *net, uint32_t ms)
{
	while (ms-- > 0)
		turn(net);
}

static inline uint32_t open_tasks(const struct net *net)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < NODES; i++)
		count += net->peers[i].is_running && !migrator_is_idle(net->peers[i].migrator);
	return count;
}

static inline void run_to_rest(struct net *net)
{
	for (uint32_t ms = 0; ms < MS_MAX; ms++) {
		turn(net);
		if (open_tasks(net) == 0)
			return;
	}
	CU_FAIL_FATAL("the migrations do not come to rest");
}

/* The only job of the node, as its users see it. */
static inline struct migration_view view_of(const struct peer *peer)
{
	struct migration_view views[MIGRATION_JOBS_MAX];

	CU_ASSERT_EQUAL_FATAL(migrator_list(peer->migrator, views, MIGRATION_JOBS_MAX), 1);
	return views[0];
}

static inline void run_to_state(struct net *net, const struct peer *peer, const char *state)
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

static inline void fill(struct net *net)
{
	for (uint64_t number = 0; number < KEYS; number++) {
		CU_ASSERT_TRUE_FATAL(unit_dataplane_put(&net->peers[0].data, P, number,
							++net->writes, VALUE_SIZE, 0));
		net->keys[number] = (struct key_model){ true, net->writes };
		if (number % 64 == 0)
			unit_dataplane_turn(&net->peers[0].data);
	}
}

static inline uint32_t import(struct net *net, uint32_t index, uint32_t partition)
{
	char error[MIGRATOR_ERROR_SIZE] = "";
	int result = migrator_import(net->peers[index].migrator, partition, error);

	CU_ASSERT_EQUAL(result == 0, error[0] == '\0');
	return (uint32_t)-result;
}

/* All that was written, and nothing else. */
static inline void expect_values(struct net *net, const struct peer *peer)
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

static inline void expect_empty(const struct peer *peer)
{
	struct partition_stats stats;

	partition_stats(unit_dataplane_partition(&peer->data, P), &stats);
	CU_ASSERT_EQUAL(stats.items, 0);
	CU_ASSERT_FALSE(partition_set_has(&peer->held, P));
}

/* P is served by node 'index' at 'epoch', all living nodes know it, and nothing is left of any migration. */
static inline void expect_owner(struct net *net, uint32_t index, uint32_t epoch)
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

static inline struct migration_past last_of(const struct peer *peer)
{
	struct migration_past past;

	CU_ASSERT_EQUAL_FATAL(migrator_past(peer->migrator, &past, 1), 1);
	return past;
}

static inline uint64_t counter_of(const struct peer *peer, const char *name)
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

#endif
