/* SPDX-License-Identifier: BSD-3-Clause */
/* The data plane put together: what a node's cores share, the cores, and the threads that run them. */
#include "dataplane/dataplane.h"

#include <assert.h>
#include <errno.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "dataplane/core_loop.h"
#include "dataplane/dataplane_state.h"
#include "dataplane/failure.h"
#include "dataplane/local_client.h"
#include "dataplane/request_local.h"

/* Packets that wait in one mailbox: enough for a few bursts, more where senders are few. */
#define MAILBOX_CAPACITY_FEW 511u
#define MAILBOX_CAPACITY_MANY 127u
#define WORKERS_FEW 8u

/* Mbufs a core may hold in its burst, its outboxes and its mailboxes, parked, and for the control thread, beyond the queues of the port. */
#define MBUFS_PER_WORKER (1024u + PARKED_MAX + REQUEST_LOCAL_ANSWERS_MAX)

/* How often a waiting control plane looks. */
#define POLL_US 200u

/* ---- parts ---- */

/* A data plane under construction. */
struct building {
	struct dataplane *dataplane;
	const struct failure *failure;
};

static int no_memory(const struct building *b, const char *what)
{
	return failure_set(b->failure, -ENOMEM,
			   "no memory for %s: give DPDK more (EAL argument -m), or ask for less",
			   what);
}

static int check_lcores(const struct building *b)
{
	const struct dataplane_options *o = &b->dataplane->options;

	for (uint32_t i = 0; i < o->worker_count; i++) {
		if (!rte_lcore_is_enabled(o->worker_lcores[i]) ||
		    o->worker_lcores[i] == rte_get_main_lcore())
			return failure_set(b->failure, -EINVAL,
					   "lcore %u cannot run a worker: EAL argument --lcores "
					   "must name it, and not first",
					   o->worker_lcores[i]);
	}
	return 0;
}

static int check_options(const struct building *b)
{
	const struct dataplane_options *o = &b->dataplane->options;

	if (o->name[0] == '\0')
		return failure_set(b->failure, -EINVAL, "the data plane has no name");
	if (o->worker_count == 0 || o->worker_count > WORKER_COUNT_MAX)
		return failure_set(b->failure, -EINVAL, "%u workers are not possible: 1 to %u are",
				   o->worker_count, WORKER_COUNT_MAX);
	if (o->partition_count == 0 || o->partition_count > PARTITION_COUNT_MAX ||
	    (o->partition_count & (o->partition_count - 1)) != 0)
		return failure_set(b->failure, -EINVAL,
				   "%u partitions are not possible: a power of two up to %u is",
				   o->partition_count, PARTITION_COUNT_MAX);
	if (o->partition_count < o->worker_count)
		return failure_set(b->failure, -EINVAL,
				   "%u workers need at least as many partitions, not %u",
				   o->worker_count, o->partition_count);
	if (o->udp_port_base == 0 || (uint32_t)o->udp_port_base + o->worker_count - 1 > UINT16_MAX)
		return failure_set(b->failure, -EINVAL,
				   "UDP ports %u and up do not suffice for %u workers",
				   o->udp_port_base, o->worker_count);
	if (o->port.ipv4 == 0)
		return failure_set(b->failure, -EINVAL,
				   "the node has no IPv4 address on the data network");
	return check_lcores(b);
}

static int create_storage(const struct building *b)
{
	struct dataplane *dp = b->dataplane;
	const struct item_memory_options memory = { .limit_bytes = dp->options.memory_limit_bytes,
						    .huge_pages = dp->options.huge_pages };
	int result;

	dp->period = rte_zmalloc(NULL, sizeof(*dp->period), RTE_CACHE_LINE_SIZE);
	if (!dp->period || reader_registry_create(&dp->readers) < 0)
		return no_memory(b, "the node");
	result = item_memory_create(&dp->memory, &memory);
	if (result == -EINVAL)
		return failure_set(b->failure, result,
				   "a memory limit of %zu bytes is not possible",
				   memory.limit_bytes);
	if (result < 0)
		return failure_set(b->failure, result,
				   "cannot reserve %zu MB for items: lower the memory limit",
				   memory.limit_bytes >> 20);
	return 0;
}

static int open_port(const struct building *b)
{
	struct dataplane *dp = b->dataplane;
	const struct port_needs needs = {
		.name = dp->options.name,
		.queues = (uint16_t)dp->options.worker_count,
		.udp_port_base = dp->options.udp_port_base,
		.mbuf_private_size = sizeof(struct core_mail),
		.mbufs_held = dp->options.worker_count * MBUFS_PER_WORKER,
	};

	return port_open(&dp->port, &dp->options.port, &needs, b->failure->text, b->failure->size);
}

static int draw_secrets(const struct building *b, struct core_shared *shared)
{
	if (getrandom(&shared->key_secret, sizeof(shared->key_secret), 0) !=
		    (ssize_t)sizeof(shared->key_secret) ||
	    getrandom(&shared->boot_id, sizeof(shared->boot_id), 0) !=
		    (ssize_t)sizeof(shared->boot_id))
		return failure_set(b->failure, -EIO, "the kernel gives no random numbers");
	return 0;
}

static void free_route(void *context, void *object, uint32_t argument)
{
	(void)context;
	(void)argument;
	route_table_destroy(object);
}

/* A node alone owns everything. */
static int create_route(const struct building *b, struct core_shared *shared)
{
	const struct dataplane_options *o = &b->dataplane->options;
	const struct wire_map_node self = { o->port.ipv4, o->udp_port_base,
					    (uint16_t)o->worker_count };
	struct route_table *route = route_table_create((uint16_t)o->partition_count, &self, 1, 0);

	if (!route)
		return no_memory(b, "the route table");
	if (reclaim_create(&b->dataplane->old_routes, b->dataplane->period, free_route, NULL) < 0) {
		route_table_destroy(route);
		return no_memory(b, "the route table");
	}
	route_publish(&shared->route, route);
	return 0;
}

static void fill_shared(struct dataplane *dp, struct core_shared *shared)
{
	const struct dataplane_options *o = &dp->options;
	uint32_t datagram_size =
		dp->port->mtu - PACKET_IPV4_SIZE - PACKET_UDP_SIZE - WIRE_FORWARD_SIZE;
	uint32_t value_size = datagram_size - WIRE_HEADER_SIZE - WIRE_REPLY_OP_SIZE;

	packet_local_init(&shared->local, dp->port->mac, o->port.ipv4, o->udp_port_base,
			  (uint16_t)o->worker_count);
	shared->worker_count = o->worker_count;
	shared->partition_count = o->partition_count;
	shared->datagram_size_max = datagram_size;
	shared->value_size_max = value_size < VALUE_SIZE_MAX ? value_size : VALUE_SIZE_MAX;
	shared->clock_epoch_ns = core_clock_epoch();
	shared->idle_adaptive = o->idle == IDLE_ADAPTIVE;
	shared->port = dp->port;
	shared->pool = dp->port->pool;
	for (uint32_t p = 0; p < o->partition_count; p++)
		shared->worker_of[p] = (uint8_t)(p % o->worker_count);
}

static int create_shared(const struct building *b)
{
	struct dataplane *dp = b->dataplane;
	uint32_t worker_count = dp->options.worker_count;
	uint32_t capacity =
		worker_count <= WORKERS_FEW ? MAILBOX_CAPACITY_FEW : MAILBOX_CAPACITY_MANY;
	int result;

	dp->shared = rte_zmalloc(NULL, sizeof(*dp->shared), RTE_CACHE_LINE_SIZE);
	if (!dp->shared)
		return no_memory(b, "the node");
	fill_shared(dp, dp->shared);
	result = draw_secrets(b, dp->shared);
	if (result == 0)
		result = create_route(b, dp->shared);
	if (result == 0 && mailbox_grid_create(&dp->shared->mailboxes, worker_count, capacity) < 0)
		result = no_memory(b, "mailboxes");
	return result;
}

static int create_shard(const struct building *b, uint32_t index)
{
	struct dataplane *dp = b->dataplane;
	struct worker *worker = &dp->workers[index];
	char name[DATAPLANE_NAME_SIZE + 16];
	const struct shard_options options = {
		.name = name,
		.worker_index = index,
		.worker_count = dp->options.worker_count,
		.partition_count = dp->options.partition_count,
		.capacity_initial = dp->options.capacity_initial,
		.eviction = dp->options.eviction,
		.memory = dp->memory,
		.period = dp->period,
		.secret = &dp->shared->key_secret,
	};
	int result;

	snprintf(name, sizeof(name), "%sw%u", dp->options.name, index);
	result = shard_create(&worker->shard, &options);
	if (result < 0)
		return no_memory(b, "a worker's index");
	return 0;
}

static int create_worker(const struct building *b, uint32_t index)
{
	struct dataplane *dp = b->dataplane;
	struct worker *worker = &dp->workers[index];
	struct core_parts parts = { .shared = dp->shared, .index = index };
	uint8_t seed[SESSION_SEED_SIZE];
	int result = create_shard(b, index);

	if (result < 0)
		return result;
	snprintf(worker->name, sizeof(worker->name), "worker %u", index);
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		return failure_set(b->failure, -EIO, "the kernel gives no random numbers");
	if (session_table_create(&worker->sessions, index, dp->options.session_count_max, seed) < 0)
		return no_memory(b, "sessions");
	if (replay_table_create(&worker->replay, NULL) < 0)
		return no_memory(b, "replay windows");
	worker->readers = dp->readers;
	parts.shard = worker->shard;
	parts.sessions = worker->sessions;
	parts.replay = worker->replay;
	return core_create(&worker->core, &parts) < 0 ? no_memory(b, "a worker") : 0;
}

static int create_workers(const struct building *b)
{
	int result = 0;

	for (uint32_t i = 0; i < b->dataplane->options.worker_count && result == 0; i++)
		result = create_worker(b, i);
	return result;
}

/* ---- life ---- */

int dataplane_create(struct dataplane **dataplane, const struct dataplane_options *options,
		     char *error, size_t error_size)
{
	static int (*const steps[])(const struct building *) = { check_options, create_storage,
								 open_port, create_shared,
								 create_workers };
	const struct failure failure = { error, error_size };
	struct building b = { rte_zmalloc(NULL, sizeof(*b.dataplane), RTE_CACHE_LINE_SIZE),
			      &failure };

	if (!b.dataplane)
		return no_memory(&b, "the node");
	b.dataplane->options = *options;
	for (size_t i = 0; i < RTE_DIM(steps); i++) {
		int result = steps[i](&b);

		if (result < 0) {
			dataplane_destroy(b.dataplane);
			return result;
		}
	}
	*dataplane = b.dataplane;
	return 0;
}

int dataplane_local_client(struct dataplane *dp, struct local_client **client)
{
	return local_client_create(client, dp->shared);
}

static void destroy_worker(struct worker *worker)
{
	core_destroy(worker->core);
	shard_destroy(worker->shard);
	session_table_destroy(worker->sessions);
	replay_table_destroy(worker->replay);
}

void dataplane_destroy(struct dataplane *dp)
{
	if (!dp)
		return;
	dataplane_stop(dp);
	for (uint32_t i = 0; i < WORKER_COUNT_MAX; i++)
		destroy_worker(&dp->workers[i]);
	reclaim_destroy(dp->old_routes);
	if (dp->shared) {
		mailbox_grid_destroy(dp->shared->mailboxes);
		route_table_destroy(dp->shared->route);
		rte_free(dp->shared);
	}
	port_close(dp->port);
	item_memory_destroy(dp->memory);
	reader_registry_destroy(dp->readers);
	rte_free(dp->period);
	rte_free(dp);
}

/* ---- threads ---- */

static int run_worker(void *context)
{
	struct worker *worker = context;

	/* cannot fail: the registry has places for all workers of a node */
	worker->core->reader = reader_register(worker->readers, worker->name);
	assert(worker->core->reader);
	core_run(worker->core);
	reader_unregister(worker->core->reader);
	return 0;
}

/* What takes long is done here, so that no worker waits for it. */
static bool keep_house(void *context)
{
	struct dataplane *dp = context;
	bool worked = item_memory_housekeeping(dp->memory);

	for (uint32_t i = 0; i < dp->options.worker_count; i++)
		worked |= shard_housekeeping(dp->workers[i].shard);
	return worked;
}

static void give_command(struct dataplane *dp, enum core_command command)
{
	__atomic_store_n(&dp->shared->command, (uint32_t)command, __ATOMIC_RELEASE);
}

int dataplane_start(struct dataplane *dp)
{
	const struct grace_thread_options options = { .housekeeping = keep_house, .context = dp };
	int result = grace_thread_start(&dp->grace_thread, dp->period, &options);

	give_command(dp, CORE_RUN);
	for (uint32_t i = 0; i < dp->options.worker_count && result == 0; i++) {
		struct worker *worker = &dp->workers[i];

		worker->core->command_seen = CORE_RUN;
		result = rte_eal_remote_launch(run_worker, worker, dp->options.worker_lcores[i]);
		worker->is_launched = result == 0;
	}
	if (result < 0)
		dataplane_stop(dp);
	return result;
}

/* Heartbeats of all workers; each turn adds one. */
static void read_heartbeats(const struct dataplane *dp, uint64_t *beats)
{
	for (uint32_t i = 0; i < dp->options.worker_count; i++)
		beats[i] = core_counter_read(&dp->workers[i].core->counters, COUNT_HEARTBEATS);
}

/* Whether every worker stopped receiving and, since the heartbeats 'beats', made two turns. */
static bool turned_since(const struct dataplane *dp, const uint64_t *beats)
{
	uint64_t now[WORKER_COUNT_MAX];

	read_heartbeats(dp, now);
	for (uint32_t i = 0; i < dp->options.worker_count; i++) {
		if (!core_has_seen(dp->workers[i].core, CORE_DRAIN) || now[i] < beats[i] + 2)
			return false;
	}
	return true;
}

static bool wait_for_turns(const struct dataplane *dp, uint64_t deadline)
{
	uint64_t beats[WORKER_COUNT_MAX];

	read_heartbeats(dp, beats);
	while (!turned_since(dp, beats)) {
		if (rte_get_timer_cycles() >= deadline)
			return false;
		usleep(POLL_US);
	}
	return true;
}

/* A packet passes two mailboxes at most before it is transmitted, so the mailboxes are empty for good when they are so
 * after turns of all workers that began with empty ones.
 */
void dataplane_drain(struct dataplane *dp, uint32_t timeout_ms)
{
	uint64_t deadline = rte_get_timer_cycles() + rte_get_timer_hz() / 1000 * timeout_ms;
	bool was_empty = false;

	if (!dp->grace_thread)
		return;
	give_command(dp, CORE_DRAIN);
	while (wait_for_turns(dp, deadline)) {
		bool is_empty = mailbox_waiting(dp->shared->mailboxes) + dataplane_parked(dp) == 0;

		if (is_empty && was_empty)
			return;
		was_empty = is_empty;
	}
}

void dataplane_stop(struct dataplane *dp)
{
	if (!dp->shared)
		return;
	give_command(dp, CORE_STOP);
	for (uint32_t i = 0; i < dp->options.worker_count; i++) {
		if (dp->workers[i].is_launched)
			rte_eal_wait_lcore(dp->options.worker_lcores[i]);
		dp->workers[i].is_launched = false;
	}
	grace_thread_stop(dp->grace_thread);
	dp->grace_thread = NULL;
}

/* ---- what others ask ---- */

uint32_t dataplane_worker_count(const struct dataplane *dp)
{
	return dp->options.worker_count;
}

void dataplane_worker_status(const struct dataplane *dp, uint32_t worker,
			     struct worker_status *status)
{
	const struct worker *w = &dp->workers[worker];

	status->heartbeats = core_counter_read(&w->core->counters, COUNT_HEARTBEATS);
	status->busy_turns = core_counter_read(&w->core->counters, COUNT_BUSY_TURNS);
	status->sessions = session_count(w->sessions);
	shard_stats(w->shard, &status->shard);
}

void dataplane_counters(const struct dataplane *dp, struct core_counters *sums)
{
	memset(sums, 0, sizeof(*sums));
	for (uint32_t i = 0; i < dp->options.worker_count; i++) {
		const struct core_counters *counters = &dp->workers[i].core->counters;

		for (uint32_t c = 0; c < CORE_COUNTER_COUNT; c++)
			sums->values[c] += core_counter_read(counters, c);
	}
}

void dataplane_port_status(const struct dataplane *dp, struct dataplane_port_status *status)
{
	const struct port *port = dp->port;

	*status = (struct dataplane_port_status){
		.mtu = port->mtu,
		.queues = port->queues,
		.link_up = port_link_is_up(port),
		.steers_by_flow_rule = port->steers_by_flow_rule,
		.rx_missed = port_rx_missed(port),
	};
	memcpy(status->device, port->device, sizeof(status->device));
	memcpy(status->mac, port->mac, sizeof(status->mac));
}
