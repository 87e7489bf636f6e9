/* SPDX-License-Identifier: BSD-3-Clause */
/* Whatever allocation fails while a part of the control plane is made or asked: it says so, gives back what it had taken, and can be made
 * the next time.
 */
#include "tests/unit/failing_memory.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/admin_http.h"
#include "controlplane/admin_relay.h"
#include "controlplane/bus_transport.h"
#include "controlplane/cluster_config.h"
#include "controlplane/cluster_daemon.h"
#include "controlplane/cluster_exchange.h"
#include "controlplane/cluster_json.h"
#include "controlplane/control_loop.h"
#include "controlplane/gossip.h"
#include "controlplane/gossip_message.h"
#include "controlplane/membership.h"
#include "controlplane/migration_jobs.h"
#include "controlplane/node_record.h"
#include "controlplane/node_watch.h"
#include "controlplane/options.h"
#include "controlplane/rebalance_driver.h"
#include "controlplane/sync_links.h"
#include "tests/unit/unit.h"

#define LOOPBACK 0x7f000001u
/* No part takes more allocations. */
#define ALLOCATION_MAX 20000u

/* What parts are made of; new for every attempt. */
static struct stage {
	FILE *nowhere;
	struct world world;
	struct log log;
	struct options options;
	struct cluster_config config;
	struct event_base *base;
	struct bus_transport *transport;
	struct cluster_daemon *cluster;
	char listen[32];
	char path[64]; /* of a configuration file */
	char error[512];
} stage;

/* What is tried: 'make' is where allocations fail. */
struct subject {
	const char *name;
	void (*prepare)(void); /* NULL = nothing */
	void *(*make)(void);   /* NULL: it says that there was no memory */
	void (*destroy)(void *object);
};

/* ---- preparations ---- */

static void ignore(void *context, struct route_table *table)
{
	(void)context;
	route_table_destroy(table);
}

static void ignore_end(void *context, enum cluster_end end)
{
	(void)context, (void)end;
}

static void introduce(void *context, struct bus_peer *self)
{
	(void)context, (void)self;
}

static enum bus_refusal admit(void *context, const struct bus_open *open, char *detail)
{
	(void)context, (void)open, (void)detail;
	return BUS_ACCEPTED;
}

static void take_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			  size_t size)
{
	(void)context, (void)from, (void)bytes, (void)size;
}

static void prepare_base(void)
{
	stage.base = event_base_new();
}

static void *make_transport(void)
{
	const struct bus_transport_options options = { .base = stage.base,
						       .world = &stage.world,
						       .log = &stage.log,
						       .cluster_name = "c",
						       .listen_ipv4 = LOOPBACK,
						       .introduce = introduce,
						       .admit = admit,
						       .datagram = take_datagram };
	struct bus_transport *transport = NULL;

	return bus_transport_create(&transport, &options, stage.error, sizeof(stage.error)) == 0
		       ? transport
		       : NULL;
}

static void prepare_transport(void)
{
	prepare_base();
	stage.transport = make_transport();
}

static void *make_cluster(void)
{
	const struct cluster_daemon_options options = { .config = &stage.config,
							.base = stage.base,
							.world = &stage.world,
							.log = &stage.log,
							.set_routes = ignore,
							.end = ignore_end };
	struct cluster_daemon *cluster = NULL;

	return cluster_daemon_create(&cluster, &options, stage.error, sizeof(stage.error)) == 0
		       ? cluster
		       : NULL;
}

static void destroy_cluster(void *cluster)
{
	cluster_daemon_destroy(cluster);
}

static void prepare_cluster(void)
{
	prepare_base();
	stage.cluster = make_cluster();
}

static void tidy_up(void)
{
	cluster_daemon_destroy(stage.cluster);
	stage.cluster = NULL;
	bus_transport_destroy(stage.transport);
	stage.transport = NULL;
	if (stage.base)
		event_base_free(stage.base);
	stage.base = NULL;
}

/* ---- trying ---- */

/* One attempt; returns whether an allocation failed. */
static bool attempt(const struct subject *subject, uint32_t count, bool fails_on)
{
	uint32_t failed;
	int64_t left_over;
	void *object;

	memory_count();
	if (subject->prepare)
		subject->prepare();
	memory_fail_after(count, fails_on);
	object = subject->make();
	failed = memory_fail_no_more();
	if (object)
		subject->destroy(object);
	tidy_up();
	left_over = memory_left_over();
	if (left_over != 0 || (!object && failed == 0))
		fprintf(stderr, "%s: allocation %u fails%s: %d left over, %s\n", subject->name,
			count, fails_on ? ", and all after it" : "", (int)left_over,
			object ? "made" : "not made");
	CU_ASSERT_EQUAL(left_over, 0);
	CU_ASSERT(object || failed > 0);
	return failed > 0;
}

static void try(const struct subject *subject)
{
	/* what libraries take once, and keep */
	if (subject->prepare)
		subject->prepare();
	subject->destroy(subject->make());
	tidy_up();
	for (int fails_on = 0; fails_on <= 1; fails_on++) {
		uint32_t count = 0;

		while (count < ALLOCATION_MAX && attempt(subject, count, fails_on))
			count++;
		CU_ASSERT(count < ALLOCATION_MAX);
	}
}

#define TRY(...) try(&(const struct subject){ __VA_ARGS__ })

/* ---- parts ---- */

static void destroy_transport(void *transport)
{
	bus_transport_destroy(transport);
}

static void the_bus(void)
{
	TRY("bus", prepare_base, make_transport, destroy_transport);
}

static void *make_admin(void)
{
	const struct admin_http_options options = { LOOPBACK, 0, "", &stage.log };
	struct admin_http *http = NULL;

	return admin_http_create(&http, stage.base, &options, stage.error, sizeof(stage.error)) == 0
		       ? http
		       : NULL;
}

static void destroy_admin(void *http)
{
	admin_http_destroy(http);
}

static void the_admin_address(void)
{
	TRY("admin", prepare_base, make_admin, destroy_admin);
}

static void *make_relay(void)
{
	static const struct admin_route none[] = { { ADMIN_GET, NULL, NULL } };
	const struct admin_relay_options options = { .base = stage.base,
						     .transport = stage.transport,
						     .routes = none };
	struct admin_relay *relay = NULL;

	return admin_relay_create(&relay, &options) == 0 ? relay : NULL;
}

static void destroy_relay(void *relay)
{
	admin_relay_destroy(relay);
}

static void *make_links(void)
{
	const struct sync_links_host host = { .context = NULL };
	struct sync_links *links = NULL;

	return sync_links_create(&links, stage.transport, &stage.world, &host) == 0 ? links : NULL;
}

static void destroy_links(void *links)
{
	sync_links_destroy(links);
}

static void *make_exchange(void)
{
	const struct cluster_exchange_host host = { .context = NULL };
	struct cluster_exchange *exchange = NULL;

	return cluster_exchange_create(&exchange, stage.transport, stage.base, &host) == 0
		       ? exchange
		       : NULL;
}

static void destroy_exchange(void *exchange)
{
	cluster_exchange_destroy(exchange);
}

static void services_of_the_bus(void)
{
	TRY("relay", prepare_transport, make_relay, destroy_relay);
	TRY("links", prepare_transport, make_links, destroy_links);
	TRY("exchange", prepare_transport, make_exchange, destroy_exchange);
}

static void the_cluster(void)
{
	TRY("cluster", prepare_base, make_cluster, destroy_cluster);
}

static void *make_driver(void)
{
	const struct rebalance_driver_options options = {
		.world = &stage.world,
		.log = &stage.log,
		.cluster = cluster_daemon_cluster(stage.cluster),
		.parallel_max = 1,
	};
	struct rebalance_driver *driver = NULL;

	return rebalance_driver_create(&driver, &options) == 0 ? driver : NULL;
}

static void destroy_driver(void *driver)
{
	rebalance_driver_destroy(driver);
}

static void the_rebalancer(void)
{
	TRY("rebalancer", prepare_cluster, make_driver, destroy_driver);
}

static void *make_loop(void)
{
	return control_loop_create();
}

static void destroy_loop(void *loop)
{
	control_loop_destroy(loop);
}

static void the_loop(void)
{
	TRY("loop", NULL, make_loop, destroy_loop);
}

static void *make_watch(void)
{
	const struct node_facts facts = { .options = &stage.options,
					  .world = &stage.world,
					  .log = &stage.log };
	const struct node_source source = { .worker_count = 0 };

	return node_watch_create(&facts, &source);
}

static void destroy_watch(void *watch)
{
	node_watch_destroy(watch);
}

static void the_watch(void)
{
	TRY("watch", NULL, make_watch, destroy_watch);
}

static void *make_jobs(void)
{
	struct migration_jobs_options options = {
		.self = 1,
		.generation = 1,
		.source_max = 2,
		.target_max = 2,
		.map = gossip_map(cluster_gossip(cluster_daemon_cluster(stage.cluster))),
		.held = cluster_held(cluster_daemon_cluster(stage.cluster)),
	};
	struct migration_jobs *jobs = NULL;

	migration_options_default(&options.migration);
	return migration_jobs_create(&jobs, &options, 1000) == 0 ? jobs : NULL;
}

static void destroy_jobs(void *jobs)
{
	migration_jobs_destroy(jobs);
}

static void the_migrations(void)
{
	TRY("jobs", prepare_cluster, make_jobs, destroy_jobs);
}

/* ---- questions ---- */

static void destroy_json(void *json)
{
	json_decref(json);
}

static void *make_cluster_json(void)
{
	return cluster_json(cluster_daemon_cluster(stage.cluster));
}

static void *make_nodes_json(void)
{
	return cluster_nodes_json(cluster_daemon_cluster(stage.cluster));
}

static void *make_partitions_json(void)
{
	return cluster_partitions_json(cluster_daemon_cluster(stage.cluster));
}

static void what_a_cluster_says_of_itself(void)
{
	TRY("cluster as JSON", prepare_cluster, make_cluster_json, destroy_json);
	TRY("nodes as JSON", prepare_cluster, make_nodes_json, destroy_json);
	TRY("partitions as JSON", prepare_cluster, make_partitions_json, destroy_json);
}

static void *make_options(void)
{
	struct options *options = calloc(1, sizeof(*options));

	if (!options)
		return NULL;
	options_init(options);
	if (options_load(options, stage.path, stage.nowhere) == 0)
		return options;
	free(options);
	return NULL;
}

static void a_configuration_file(void)
{
	TRY("options", NULL, make_options, free);
}

/* A record and a state as another node would send them. */
static void *read_record(void)
{
	const struct gossip *gossip = cluster_gossip(cluster_daemon_cluster(stage.cluster));
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	struct node *node = malloc(sizeof(*node));
	int size = node_record_encode(gossip_self(gossip), bytes, sizeof(bytes));

	CU_ASSERT_FATAL(size > 0);
	if (node && node_record_decode(node, bytes, (size_t)size) == 0)
		return node;
	free(node);
	return NULL;
}

static void messages_of_others(void)
{
	TRY("record", prepare_cluster, read_record, free);
}

/* ---- a life with little memory ---- */

#define WAIT_MS 30000u
#define SCARCE_MS 150u

/* Another node that joins the stage's. */
static struct cluster_daemon *start_second(void)
{
	struct cluster_config config;
	struct cluster_daemon_options options = { .config = &config,
						  .base = stage.base,
						  .world = &stage.world,
						  .log = &stage.log,
						  .set_routes = ignore,
						  .end = ignore_end };
	const struct option_origin origin = { "test", 0 };
	struct options *second = malloc(sizeof(*second));
	struct cluster_daemon *cluster;
	char listen[32];

	*second = stage.options;
	snprintf(listen, sizeof(listen), "%.*s8:7800", (int)strlen(stage.listen) - 6, stage.listen);
	options_set_pair(second, "node.name=n2", stderr);
	options_set_pair(second, "cluster.bootstrap=off", stderr);
	options_set(second, "cluster.listen", listen, origin, stderr);
	options_set(second, "cluster.join", stage.listen, origin, stderr);
	CU_ASSERT_EQUAL_FATAL(cluster_config_make(&config, second, &stage.world, stage.error,
						  sizeof(stage.error)),
			      0);
	free(second);
	CU_ASSERT_EQUAL_FATAL(
		cluster_daemon_create(&cluster, &options, stage.error, sizeof(stage.error)), 0);
	return cluster;
}

static uint32_t members_of(struct cluster_daemon *daemon)
{
	const struct cluster *cluster = cluster_daemon_cluster(daemon);

	return cluster_phase(cluster) == CLUSTER_MEMBER
		       ? membership_live_count(gossip_membership(cluster_gossip(cluster)))
		       : 0;
}

static void run_for(uint32_t ms, uint32_t percent, uint64_t seed)
{
	const struct timeval time = { ms / 1000, (suseconds_t)(ms % 1000) * 1000 };

	event_base_loopexit(stage.base, &time);
	if (percent > 0)
		memory_fail_at_random(percent, seed);
	event_base_dispatch(stage.base);
}

/* While allocations fail they may think what they like of each other; afterwards they are a cluster. */
static void nodes_outlive_a_time_without_memory(void)
{
	static const uint32_t percents[] = { 40 };

	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++) {
		struct cluster_daemon *second;
		uint64_t until_ms;

		prepare_cluster();
		second = start_second();
		run_for(SCARCE_MS, percents[i], i + 1);
		CU_ASSERT_EQUAL(memory_fail_no_more() > 0, MEMORY_CAN_FAIL);
		until_ms = world_now_ms(&stage.world) + WAIT_MS;
		while ((members_of(stage.cluster) != 2 || members_of(second) != 2) &&
		       world_now_ms(&stage.world) < until_ms)
			run_for(10, 0, 0);
		CU_ASSERT_EQUAL(members_of(stage.cluster), 2);
		CU_ASSERT_EQUAL(members_of(second), 2);
		cluster_daemon_destroy(second);
		tidy_up();
	}
}

/* ---- the frame ---- */

static void write_configuration(void)
{
	static const char text[] = "node:\n  name: n1\nstorage:\n  memory: 64M\ndata:\n"
				   "  address: 10.0.0.1/24\n";
	FILE *file;

	snprintf(stage.path, sizeof(stage.path), "/tmp/godwit-memory-%d.yaml", (int)getpid());
	file = fopen(stage.path, "w");
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	fwrite(text, 1, sizeof(text) - 1, file);
	fclose(file);
}

static void be_quiet(int severity, const char *message)
{
	(void)severity, (void)message;
}

static void stage_init(void)
{
	/* an address that no other run of this test has */
	unsigned a = (unsigned)getpid() / 200 % 200 + 10, b = (unsigned)getpid() % 200 + 10;
	const struct option_origin origin = { "test", 0 };

	event_set_log_callback(be_quiet);
	world_os_init(&stage.world);
	stage.nowhere = fopen("/dev/null", "w");
	setvbuf(stage.nowhere, NULL, _IONBF, 0);
	stage.log = (struct log){ stage.nowhere, LOG_LEVEL_ERROR, &stage.world };
	options_init(&stage.options);
	snprintf(stage.listen, sizeof(stage.listen), "127.%u.%u.9:7800", a, b);
	if (options_set_pair(&stage.options, "node.name=n1", stderr) != 0 ||
	    options_set_pair(&stage.options, "cluster.insecure_bus=on", stderr) != 0 ||
	    options_set_pair(&stage.options, "cluster.bootstrap=on", stderr) != 0 ||
	    options_set_pair(&stage.options, "cluster.probe_ms=100", stderr) != 0 ||
	    options_set(&stage.options, "cluster.listen", stage.listen, origin, stderr) != 0 ||
	    cluster_config_make(&stage.config, &stage.options, &stage.world, stage.error,
				sizeof(stage.error)) != 0)
		fprintf(stderr, "%s\n", stage.error);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(write_configuration),
		UNIT_TEST(the_bus),
		UNIT_TEST(the_admin_address),
		UNIT_TEST(services_of_the_bus),
		UNIT_TEST(the_cluster),
		UNIT_TEST(the_rebalancer),
		UNIT_TEST(the_loop),
		UNIT_TEST(the_watch),
		UNIT_TEST(the_migrations),
		UNIT_TEST(what_a_cluster_says_of_itself),
		UNIT_TEST(a_configuration_file),
		UNIT_TEST(messages_of_others),
		UNIT_TEST(nodes_outlive_a_time_without_memory),
		{ NULL, NULL },
	};
	int code;

	stage_init();
	code = unit_run("out_of_memory", tests);
	unlink(stage.path);
	fclose(stage.nowhere);
	return code;
}
