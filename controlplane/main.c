/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitd: what a node is made of, in start order; the same list reversed stops it. */
#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/admin_http.h"
#include "controlplane/admin_routes.h"
#include "controlplane/cluster_daemon.h"
#include "controlplane/cluster_counters.h"
#include "controlplane/cluster_routes.h"
#include "controlplane/command_line.h"
#include "controlplane/control_loop.h"
#include "controlplane/dataplane_options.h"
#include "controlplane/eal.h"
#include "controlplane/item_routes.h"
#include "controlplane/log.h"
#include "controlplane/machine.h"
#include "controlplane/migration_routes.h"
#include "controlplane/migrator_daemon.h"
#include "controlplane/node_watch.h"
#include "controlplane/options.h"
#include "controlplane/world.h"
#include "dataplane/dataplane.h"
#include "dataplane/local_client.h"

#define ERROR_SIZE 512u
#define SAMPLE_INTERVAL_MS 1000u
/* The cluster is told of the load with every so manieth sample. */
#define LOAD_SAMPLES 5u

/* A node that stops finishes what it has begun: it has FINISH_MS_MAX for all of that, of which what is under way to other
 * nodes takes MIGRATIONS_MS_MAX at most, requests by HTTP HTTP_MS_MAX (an item's is answered before that, one way or another),
 * sending those answers ANSWERS_MS_MAX, and requests in flight what is left. With what freeing takes it must not be more than
 * STOP_S_MAX, or it is ended.
 */
#define FINISH_MS_MAX 4500u
#define MIGRATIONS_MS_MAX 1000u
#define HTTP_MS_MAX (LOCAL_DEADLINE_MS + 200u)
#define ANSWERS_MS_MAX 200u
#define STOP_S_MAX 5u

static_assert(FINISH_MS_MAX > MIGRATIONS_MS_MAX + HTTP_MS_MAX + ANSWERS_MS_MAX &&
		      FINISH_MS_MAX < STOP_S_MAX * 1000,
	      "each has its time");

enum exit_code {
	EXIT_STOPPED = 0,
	EXIT_CANNOT_START = 1,
	EXIT_USAGE = 2,
	EXIT_EXCLUDED = 3, /* the cluster does not want this node any more */
};

/* All parts of one node. */
struct daemon {
	struct command_line line;
	struct options options;
	struct world world;
	struct log log;
	struct machine machine;
	struct eal_plan plan;
	struct eal_log eal_log;
	struct control_loop *loop;
	struct dataplane *dataplane;
	struct cluster_daemon *membership;
	struct cluster *cluster; /* of the membership */
	struct migrator_daemon *migrations;
	struct migration_routes steering;
	struct node_watch *watch;
	struct node_report report; /* of the last look at the load */
	uint32_t samples;
	struct admin_http *admin;
	struct item_service *items;
	uint64_t finish_by_ms;    /* once it stops */
	enum exit_code exit_code; /* when the cluster ended the loop */
};

static int start_loop(struct daemon *daemon, char *error)
{
	daemon->loop = control_loop_create();
	snprintf(error, ERROR_SIZE, "out of memory");
	return daemon->loop ? 0 : -1;
}

static void stop_loop(struct daemon *daemon)
{
	control_loop_destroy(daemon->loop);
}

/* The index grows with the items, so it cannot be told now; about a third of them is usual. */
static void log_memory(const struct daemon *daemon)
{
	uint64_t items = daemon->options.storage_memory;
	uint64_t total = daemon->machine.memory_bytes;

	if (!daemon->plan.huge_pages && daemon->options.storage_huge_pages == OPTION_SWITCH_AUTO)
		log_info(&daemon->log, "memory", "plain pages: too few huge ones are free",
			 "needed=%" PRIu64 " free=%" PRIu64, daemon->plan.huge_pages_needed,
			 daemon->machine.huge_pages_free);
	if (total && items / 3 * 4 > total)
		log_warning(&daemon->log, "memory",
			    "items may leave no room for their index: lower storage.memory",
			    "items_mib=%" PRIu64 " machine_mib=%" PRIu64, items >> 20, total >> 20);
}

static int start_dpdk(struct daemon *daemon, char *error)
{
	log_memory(daemon);
	return eal_start(&daemon->eal_log, &daemon->plan, &daemon->log, error, ERROR_SIZE);
}

static void stop_dpdk(struct daemon *daemon)
{
	eal_stop(&daemon->eal_log, daemon->options.port_kind == PORT_MEMIF);
}

static int start_dataplane(struct daemon *daemon, char *error)
{
	struct dataplane_options options;

	dataplane_options_make(&options, &daemon->options, &daemon->plan);
	return dataplane_create(&daemon->dataplane, &options, error, ERROR_SIZE);
}

static void stop_dataplane(struct daemon *daemon)
{
	dataplane_destroy(daemon->dataplane);
}

static void set_routes(void *context, struct route_table *table)
{
	const struct daemon *daemon = context;

	dataplane_set_routes(daemon->dataplane, table);
}

static void end_by_cluster(void *context, enum cluster_end why)
{
	static const enum exit_code codes[] = {
		[CLUSTER_END_LEFT] = EXIT_STOPPED,
		[CLUSTER_END_CANNOT_JOIN] = EXIT_CANNOT_START,
		[CLUSTER_END_EXCLUDED] = EXIT_EXCLUDED,
	};
	struct daemon *daemon = context;

	daemon->exit_code = codes[why];
	control_loop_end(daemon->loop);
}

/* Before the workers run: a member of a cluster owns nothing until it has joined. */
static int start_cluster(struct daemon *daemon, char *error)
{
	struct cluster_config config;
	const struct cluster_daemon_options options = { .config = &config,
							.base = control_loop_base(daemon->loop),
							.world = &daemon->world,
							.log = &daemon->log,
							.set_routes = set_routes,
							.end = end_by_cluster,
							.context = daemon };
	int result =
		cluster_config_make(&config, &daemon->options, &daemon->world, error, ERROR_SIZE);

	if (result == 0)
		result = cluster_daemon_create(&daemon->membership, &options, error, ERROR_SIZE);
	if (result == 0)
		daemon->cluster = cluster_daemon_cluster(daemon->membership);
	return result;
}

static void stop_cluster(struct daemon *daemon)
{
	cluster_daemon_destroy(daemon->membership);
}

static int start_migrator(struct daemon *daemon, char *error)
{
	const struct migrator_daemon_options options = {
		.options = &daemon->options,
		.base = control_loop_base(daemon->loop),
		.cluster = daemon->cluster,
		.bus = cluster_daemon_bus(daemon->membership),
		.dataplane = daemon->dataplane,
		.world = &daemon->world,
		.log = &daemon->log,
	};

	return migrator_daemon_create(&daemon->migrations, &options, error, ERROR_SIZE);
}

/* Once the workers have stopped: nothing is under way in the data plane. */
static void stop_migrator(struct daemon *daemon)
{
	migrator_daemon_destroy(daemon->migrations);
}

static int start_workers(struct daemon *daemon, char *error)
{
	int result = dataplane_start(daemon->dataplane);

	snprintf(error, ERROR_SIZE, "cannot start the workers: %s", strerror(-result));
	return result;
}

static void stop_workers(struct daemon *daemon)
{
	uint64_t now_ms = world_now_ms(&daemon->world);

	if (now_ms < daemon->finish_by_ms)
		dataplane_drain(daemon->dataplane, (uint32_t)(daemon->finish_by_ms - now_ms));
	dataplane_stop(daemon->dataplane);
}

static void tell_load(struct daemon *daemon)
{
	struct node_report *report = &daemon->report;
	struct report_totals totals;

	node_watch_report(daemon->watch, report);
	node_report_totals(report, &totals);
	cluster_set_load(daemon->cluster,
			 &(struct node_load){
				 .items = totals.items,
				 .item_bytes = totals.item_bytes,
				 .operations_per_s = (uint64_t)report->operations_per_s,
			 });
}

static void sample(void *context)
{
	struct daemon *daemon = context;

	node_watch_sample(daemon->watch);
	cluster_set_stalled(daemon->cluster, node_watch_is_stalled(daemon->watch));
	if (daemon->samples++ % LOAD_SAMPLES == 0)
		tell_load(daemon);
}

static void read_dataplane_counters(const void *context, uint64_t *values)
{
	struct core_counters sums;

	dataplane_counters(context, &sums);
	counter_table_read(&core_counter_table, &sums, values);
}

static int start_watch(struct daemon *daemon, char *error)
{
	const struct node_facts facts = { &daemon->options, &daemon->world, &daemon->log,
					  daemon->plan.idle, daemon->plan.huge_pages };
	const struct node_source source = {
		dataplane_worker_status,
		dataplane_port_status,
		daemon->dataplane,
		daemon->options.data_workers,
		{ { &core_counter_table, read_dataplane_counters, daemon->dataplane },
		  { &cluster_counter_table, cluster_counters, daemon->cluster },
		  { &migrator_counter_table, migrator_counters,
		    migrator_daemon_migrator(daemon->migrations) } },
	};

	snprintf(error, ERROR_SIZE, "out of memory");
	daemon->watch = node_watch_create(&facts, &source);
	if (!daemon->watch)
		return -1;
	if (control_loop_every(daemon->loop, SAMPLE_INTERVAL_MS, sample, daemon) != 0) {
		node_watch_destroy(daemon->watch);
		return -1;
	}
	return 0;
}

static void stop_watch(struct daemon *daemon)
{
	node_watch_destroy(daemon->watch);
}

static void rebalance(void *context)
{
	struct daemon *daemon = context;

	rebalance_driver_run(daemon->steering.rebalancer);
}

/* A node by itself has nobody to pass requests on to, and nothing to balance. */
static int start_steering(struct daemon *daemon, char *error)
{
	struct migration_routes *steering = &daemon->steering;
	const struct admin_relay_options relay = {
		.base = control_loop_base(daemon->loop),
		.transport = cluster_daemon_bus(daemon->membership),
		.routes = migration_relay_routes,
		.context = steering,
	};
	const struct rebalance_driver_options driver = {
		.world = &daemon->world,
		.log = &daemon->log,
		.cluster = daemon->cluster,
		.migrator = migrator_daemon_migrator(daemon->migrations),
		.parallel_max = daemon->options.migration_jobs,
		.seed = world_random_u64(&daemon->world),
	};

	steering->cluster = daemon->cluster;
	steering->migrator = driver.migrator;
	snprintf(error, ERROR_SIZE, "out of memory");
	if (!relay.transport)
		return 0;
	if (admin_relay_create(&steering->relay, &relay) != 0)
		return -1;
	if (rebalance_driver_create(&steering->rebalancer, &driver) == 0 &&
	    control_loop_every(daemon->loop, REBALANCE_DRIVER_TICK_MS, rebalance, daemon) == 0)
		return 0;
	rebalance_driver_destroy(steering->rebalancer);
	admin_relay_destroy(steering->relay);
	return -1;
}

static void stop_steering(struct daemon *daemon)
{
	rebalance_driver_destroy(daemon->steering.rebalancer);
	admin_relay_destroy(daemon->steering.relay);
}

static int start_admin(struct daemon *daemon, char *error)
{
	const struct admin_http_options options = {
		.ipv4 = daemon->options.admin_listen.ipv4,
		.port = (uint16_t)daemon->options.admin_listen.port,
		.token_file = daemon->options.admin_token_file,
		.log = &daemon->log,
	};
	int result;

	if (options.port == 0)
		return 0;
	result = admin_http_create(&daemon->admin, control_loop_base(daemon->loop), &options, error,
				   ERROR_SIZE);
	if (result == 0) {
		admin_http_add_routes(daemon->admin, admin_routes_node, daemon->watch);
		admin_http_add_routes(daemon->admin, cluster_routes, daemon->cluster);
		admin_http_add_routes(daemon->admin, migration_routes, &daemon->steering);
	}
	return result;
}

static void stop_admin(struct daemon *daemon)
{
	admin_http_drain(daemon->admin, ANSWERS_MS_MAX);
	admin_http_destroy(daemon->admin);
}

static int start_migrations(struct daemon *daemon, char *error)
{
	snprintf(error, ERROR_SIZE, "out of memory");
	return migrator_daemon_start(daemon->migrations);
}

/* The other ends are told as long as everything works. */
static void stop_migrations(struct daemon *daemon)
{
	migrator_daemon_stop(daemon->migrations, MIGRATIONS_MS_MAX);
}

static int start_items(struct daemon *daemon, char *error)
{
	struct local_client *client;

	if (!daemon->admin)
		return 0;
	snprintf(error, ERROR_SIZE, "out of memory");
	if (dataplane_local_client(daemon->dataplane, &client) != 0)
		return -1;
	daemon->items =
		item_service_create(control_loop_base(daemon->loop), &daemon->world, client);
	if (!daemon->items) {
		local_client_destroy(client);
		return -1;
	}
	return admin_http_add_raw_routes(daemon->admin, item_routes, daemon->items);
}

/* What is not answered in time is answered with that. */
static void stop_items(struct daemon *daemon)
{
	admin_http_drain(daemon->admin, HTTP_MS_MAX);
	item_service_destroy(daemon->items);
}

/* First of all: nobody begins anything new. */
static void refuse_connections(struct daemon *daemon)
{
	admin_http_refuse(daemon->admin);
}

/* A module writes into 'error' (ERROR_SIZE bytes) why it cannot start and what to do. NULL: nothing is to be started. */
static const struct module {
	const char *name;
	int (*start)(struct daemon *daemon, char *error);
	void (*stop)(struct daemon *daemon);
} modules[] = {
	{ "control", start_loop, stop_loop },
	{ "dpdk", start_dpdk, stop_dpdk },
	{ "dataplane", start_dataplane, stop_dataplane },
	{ "cluster", start_cluster, stop_cluster },
	{ "migrator", start_migrator, stop_migrator },
	{ "workers", start_workers, stop_workers },
	{ "watch", start_watch, stop_watch },
	{ "steering", start_steering, stop_steering },
	{ "admin", start_admin, stop_admin },
	{ "items", start_items, stop_items },
	{ "migrations", start_migrations, stop_migrations },
	{ "connections", NULL, refuse_connections },
};
#define MODULE_COUNT (sizeof(modules) / sizeof(modules[0]))

/* Starts modules in order; returns how many run, fewer than MODULE_COUNT after one failed. */
static size_t start_modules(struct daemon *daemon)
{
	for (size_t i = 0; i < MODULE_COUNT; i++) {
		char error[ERROR_SIZE] = "";

		if (modules[i].start && modules[i].start(daemon, error) != 0) {
			log_error(&daemon->log, modules[i].name, error);
			return i;
		}
		log_debug(&daemon->log, modules[i].name, "started");
	}
	return MODULE_COUNT;
}

static void stop_modules(struct daemon *daemon, size_t count)
{
	daemon->finish_by_ms = world_now_ms(&daemon->world) + FINISH_MS_MAX;
	while (count-- > 0)
		modules[count].stop(daemon);
}

static void log_ready(const struct daemon *daemon)
{
	struct in_addr address = { htonl(daemon->options.data_address.ipv4) };
	char text[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, &address, text, sizeof(text));
	log_info(&daemon->log, "node", "ready",
		 "name=%s version=%s address=%s udp_port=%u workers=%u device=%s idle=%s "
		 "memory_mib=%" PRIu64 " huge_pages=%s admin_port=%u",
		 daemon->options.node_name, GODWIT_VERSION, text, daemon->options.data_udp_port,
		 daemon->options.data_workers, daemon->options.port_device,
		 daemon->plan.idle == IDLE_SPIN ? "spin" : "adaptive",
		 daemon->options.storage_memory >> 20, daemon->plan.huge_pages ? "yes" : "no",
		 daemon->options.admin_listen.port);
}

static enum exit_code run(struct daemon *daemon)
{
	size_t started;

	machine_read(&daemon->machine);
	if (eal_plan_make(&daemon->plan, &daemon->options, &daemon->machine, daemon->line.eal_count,
			  daemon->line.eal, stderr) != 0)
		return EXIT_CANNOT_START;
	started = start_modules(daemon);
	if (started == MODULE_COUNT) {
		int signal;

		eal_log_set_started(&daemon->eal_log);
		log_ready(daemon);
		signal = control_loop_run(daemon->loop);
		control_loop_guard_stop(STOP_S_MAX);
		log_info(&daemon->log, "node", "stopping", "signal=%s",
			 signal ? strsignal(signal) : "none");
	}
	stop_modules(daemon, started);
	if (started < MODULE_COUNT)
		return EXIT_CANNOT_START;
	log_info(&daemon->log, "node", "stopped");
	return daemon->exit_code;
}

static enum exit_code act(struct daemon *daemon)
{
	if (command_line_options(&daemon->line, &daemon->options, stderr) != 0)
		return EXIT_USAGE;
	switch (daemon->line.action) {
	case COMMAND_LINE_CHECK_CONFIG:
		puts("the configuration is good");
		return EXIT_STOPPED;
	case COMMAND_LINE_PRINT_CONFIG:
		options_print(&daemon->options, stdout);
		return EXIT_STOPPED;
	default:
		world_os_init(&daemon->world);
		daemon->log = (struct log){ stderr, (enum log_level)daemon->options.log_level,
					    &daemon->world };
		return run(daemon);
	}
}

int main(int argc, char **argv)
{
	struct daemon *daemon = calloc(1, sizeof(*daemon));
	enum exit_code code = EXIT_STOPPED;

	if (!daemon)
		return EXIT_CANNOT_START;
	if (command_line_parse(&daemon->line, argc, argv, stderr) != 0)
		code = EXIT_USAGE;
	else if (daemon->line.action == COMMAND_LINE_HELP)
		command_line_print_help(stdout);
	else if (daemon->line.action == COMMAND_LINE_HELP_CONFIG)
		options_print_reference(stdout);
	else if (daemon->line.action == COMMAND_LINE_VERSION)
		puts("godwitd " GODWIT_VERSION);
	else
		code = act(daemon);
	free(daemon);
	return (int)code;
}
