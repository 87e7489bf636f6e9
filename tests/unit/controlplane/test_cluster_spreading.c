/* SPDX-License-Identifier: BSD-3-Clause */
/* Two nodes' clusters on one event loop, over loopback: what one knows is handed to a majority, and then confirmed. */
#include "controlplane/cluster_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define WAIT_MS 30000u

static struct event_base *base;
static struct world world;
static struct log quiet;

static void take_routes(void *context, struct route_table *table)
{
	(void)context;
	route_table_destroy(table);
}

static void ignore_end(void *context, enum cluster_end end)
{
	(void)context, (void)end;
}

/* Node 'number', which founds, or joins node 1. */
static struct cluster_daemon *start(unsigned number, bool may_found)
{
	/* Addresses that no other run of this test has. */
	unsigned a = (unsigned)getpid() / 200 % 200 + 10, b = (unsigned)getpid() % 200 + 10;
	const struct option_origin origin = { "test", 0 };
	struct options *options = malloc(sizeof(*options));
	struct cluster_config *config = malloc(sizeof(*config));
	struct cluster_daemon_options daemon_options = { .config = config,
							 .base = base,
							 .world = &world,
							 .log = &quiet,
							 .set_routes = take_routes,
							 .end = ignore_end };
	struct cluster_daemon *daemon;
	char text[64], error[512];

	CU_ASSERT_FATAL(options && config);
	options_init(options);
	snprintf(text, sizeof(text), "node.name=n%u", number);
	CU_ASSERT_EQUAL_FATAL(options_set_pair(options, text, stderr), 0);
	snprintf(text, sizeof(text), "127.%u.%u.%u:7800", a, b, number);
	CU_ASSERT_EQUAL_FATAL(options_set(options, "cluster.listen", text, origin, stderr), 0);
	CU_ASSERT_EQUAL_FATAL(options_set_pair(options, "cluster.insecure_bus=on", stderr), 0);
	CU_ASSERT_EQUAL_FATAL(options_set_pair(options, "cluster.probe_ms=100", stderr), 0);
	if (may_found)
		options_set_pair(options, "cluster.bootstrap=on", stderr);
	snprintf(text, sizeof(text), "127.%u.%u.1:7800", a, b);
	if (!may_found)
		options_set(options, "cluster.join", text, origin, stderr);
	CU_ASSERT_EQUAL_FATAL(options_check(options, stderr), 0);
	CU_ASSERT_EQUAL_FATAL(cluster_config_make(config, options, &world, error, sizeof(error)),
			      0);
	CU_ASSERT_EQUAL_FATAL(cluster_daemon_create(&daemon, &daemon_options, error, sizeof(error)),
			      0);
	free(config);
	free(options);
	return daemon;
}

static void run_for(uint32_t ms)
{
	const struct timeval time = { 0, (suseconds_t)ms * 1000 };

	event_base_loopexit(base, &time);
	event_base_dispatch(base);
}

static void run_until_members(const struct cluster *cluster, uint32_t count)
{
	uint64_t end_ms = world_now_ms(&world) + WAIT_MS;

	while ((cluster_phase(cluster) != CLUSTER_MEMBER ||
		membership_live_count(gossip_membership(cluster_gossip(cluster))) != count) &&
	       world_now_ms(&world) < end_ms)
		run_for(10);
	CU_ASSERT_EQUAL_FATAL(membership_live_count(gossip_membership(cluster_gossip(cluster))),
			      count);
}

/* Which partition a majority knows of; UINT32_MAX = none yet. */
static void on_confirmed(void *context, uint32_t partition)
{
	*(uint32_t *)context = partition;
}

static uint32_t confirmed_of(const uint32_t *confirmed, uint32_t ms)
{
	uint64_t end_ms = world_now_ms(&world) + ms;

	while (*confirmed == UINT32_MAX && world_now_ms(&world) < end_ms)
		run_for(10);
	return *confirmed;
}

static void what_is_confirmed_is_in_the_maps_of_a_majority(void)
{
	struct cluster_daemon *first = start(1, true), *second;
	struct cluster *a = cluster_daemon_cluster(first), *b;
	struct partition_owner owner = { .partition = 3, .epoch = 9 };
	uint32_t confirmed = UINT32_MAX;
	const struct cluster_observer observer = { .context = &confirmed,
						   .confirmed = on_confirmed };

	cluster_observe(a, &observer);
	run_until_members(a, 1);
	second = start(2, false);
	b = cluster_daemon_cluster(second);
	run_until_members(a, 2);
	run_until_members(b, 2);
	owner.owner = gossip_self(cluster_gossip(b))->id;
	CU_ASSERT_TRUE(cluster_learn(a, &owner));
	cluster_confirm(a, owner.partition);
	CU_ASSERT_EQUAL(confirmed_of(&confirmed, WAIT_MS), 3);
	/* It has no data of it, and so may have taken it back, empty, at the next epoch by now. */
	CU_ASSERT(partition_map_epoch(gossip_map(cluster_gossip(b)), 3) >= 9);
	/* Of two, one is no majority. */
	cluster_daemon_destroy(second);
	confirmed = UINT32_MAX;
	cluster_confirm(a, owner.partition);
	CU_ASSERT_EQUAL(confirmed_of(&confirmed, 700), UINT32_MAX);
	cluster_daemon_destroy(first);
}

static void a_node_by_itself_is_a_majority(void)
{
	struct cluster_daemon *daemon = start(3, true);
	struct cluster *a = cluster_daemon_cluster(daemon);
	uint32_t confirmed = UINT32_MAX;
	const struct cluster_observer observer = { .context = &confirmed,
						   .confirmed = on_confirmed };

	cluster_observe(a, &observer);
	run_until_members(a, 1);
	cluster_confirm(a, 5);
	CU_ASSERT_EQUAL(confirmed_of(&confirmed, WAIT_MS), 5);
	cluster_daemon_destroy(daemon);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(what_is_confirmed_is_in_the_maps_of_a_majority),
		UNIT_TEST(a_node_by_itself_is_a_majority),
		{ NULL, NULL },
	};
	int result;

	world_os_init(&world);
	quiet = (struct log){ stderr, LOG_LEVEL_ERROR, &world };
	base = event_base_new();
	result = unit_run("cluster spreading", tests);
	event_base_free(base);
	return result;
}
