/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens in cluster and bus goes to the migrator, what it wants goes there; and it gets its time. */
#include "controlplane/migrator_daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/sync_links.h"

/* The migrator is run at least so often. */
#define TICK_MS 100u
/* Between two rounds in which the cluster is told of what was claimed. */
#define SPREAD_RETRY_MS 500u

struct migrator_daemon {
	struct migrator_daemon_options options;
	struct migrator *migrator;
	struct reader *reader;
	struct sync_links *links; /* NULL = a node by itself */
	struct event *timer;
	struct cluster_observer observer;
	uint64_t ticked_ms;
	bool is_running; /* run() is on the stack: it sets the timer itself */

	/* Claims that a majority has to know of. */
	struct partition_set announcing;
	struct partition_set in_round; /* those that the present round tells */
	uint64_t spread_at_ms;
};

static uint64_t now_of(const struct migrator_daemon *daemon)
{
	return world_now_ms(daemon->options.world);
}

static const struct membership *members_of(const struct migrator_daemon *daemon)
{
	return gossip_membership(cluster_gossip(daemon->options.cluster));
}

/* ---- time ---- */

/* Whether the timer comes within 'wait_us' anyway. */
static bool is_timer_set(const struct migrator_daemon *daemon, uint64_t wait_us)
{
	struct timeval now, at;
	int64_t left_us;

	if (!event_pending(daemon->timer, EV_TIMEOUT, &at) ||
	    event_base_gettimeofday_cached(daemon->options.base, &now) != 0)
		return false;
	left_us = (int64_t)(at.tv_sec - now.tv_sec) * 1000000 + (at.tv_usec - now.tv_usec);
	return left_us <= (int64_t)wait_us;
}

/* Never later than it is set already: whoever wakes the migrator often must not keep it from its turn. */
static void set_timer(struct migrator_daemon *daemon)
{
	uint64_t wait_us = migrator_wait_us(daemon->migrator);
	struct timeval time;

	if (wait_us > TICK_MS * 1000u)
		wait_us = TICK_MS * 1000u;
	if (daemon->is_running || is_timer_set(daemon, wait_us))
		return;
	time = (struct timeval){ 0, (suseconds_t)wait_us };
	event_add(daemon->timer, &time);
}

static void tell_majority(struct migrator_daemon *daemon)
{
	const struct cluster *cluster = daemon->options.cluster;

	/* The fence is open when all living members told what they know since a majority was lost. */
	migrator_set_majority(daemon->migrator, cluster_sees_majority(cluster) &&
							cluster_fence_state(cluster) == FENCE_OPEN);
}

/* ---- claims ---- */

static void on_spread(void *context, bool is_known)
{
	struct migrator_daemon *daemon = context;
	struct partition_set told = daemon->in_round;

	if (!is_known)
		return;
	for (uint32_t p = partition_set_next(&told, 0); p < PARTITION_COUNT_MAX;
	     p = partition_set_next(&told, p + 1)) {
		if (!partition_set_has(&daemon->announcing, p))
			continue;
		partition_set_remove(&daemon->announcing, p);
		migrator_announced(daemon->migrator, p);
	}
}

static void spread(struct migrator_daemon *daemon)
{
	if (partition_set_is_empty(&daemon->announcing) || now_of(daemon) < daemon->spread_at_ms)
		return;
	daemon->spread_at_ms = now_of(daemon) + SPREAD_RETRY_MS;
	daemon->in_round = daemon->announcing;
	cluster_spread(daemon->options.cluster, on_spread, daemon);
}

static void tick(struct migrator_daemon *daemon)
{
	uint64_t now_ms = now_of(daemon);

	tell_majority(daemon);
	if (now_ms - daemon->ticked_ms < TICK_MS)
		return;
	daemon->ticked_ms = now_ms;
	spread(daemon);
	if (daemon->links)
		sync_links_tick(daemon->links);
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	struct migrator_daemon *daemon = context;

	(void)fd;
	(void)events;
	daemon->is_running = true;
	tick(daemon);
	migrator_run(daemon->migrator);
	daemon->is_running = false;
	set_timer(daemon);
}

/* ---- the bus ---- */

static bool find_address(void *context, uint64_t node, struct node_address *address)
{
	const struct member *member = membership_find(members_of(context), node);

	if (!member || member_state(member) > MEMBER_SUSPECT)
		return false;
	*address = member->node.control;
	return true;
}

static void on_frame(void *context, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct migrator_daemon *daemon = context;

	migrator_take_frame(daemon->migrator, node, bytes, size);
}

static void on_connected(void *context, uint64_t node)
{
	struct migrator_daemon *daemon = context;

	migrator_connected(daemon->migrator, node);
}

static int create_links(struct migrator_daemon *daemon)
{
	const struct sync_links_host host = { daemon, find_address, on_frame, on_connected };
	struct bus_transport *bus = cluster_bus(daemon->options.cluster);

	return bus ? sync_links_create(&daemon->links, bus, daemon->options.world, &host) : 0;
}

/* ---- the cluster ---- */

static void on_member_changed(void *context, uint64_t id, enum member_state before,
			      enum member_state after)
{
	struct migrator_daemon *daemon = context;

	(void)before;
	if (after >= MEMBER_DEAD && daemon->links)
		sync_links_reset(daemon->links, id);
	migrator_peer_changed(daemon->migrator, id);
}

static void on_member_restarted(void *context, uint64_t id)
{
	struct migrator_daemon *daemon = context;

	if (daemon->links)
		sync_links_reset(daemon->links, id);
	migrator_peer_changed(daemon->migrator, id);
}

static void on_map_changed(void *context)
{
	struct migrator_daemon *daemon = context;

	migrator_map_changed(daemon->migrator);
}

/* ---- what the migrator wants ---- */

static uint64_t host_generation(void *context)
{
	const struct migrator_daemon *daemon = context;

	return gossip_self(cluster_gossip(daemon->options.cluster))->generation;
}

static void host_send(void *context, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct migrator_daemon *daemon = context;

	if (daemon->links)
		sync_links_send(daemon->links, node, bytes, size);
}

static enum migration_peer peer_of(enum member_state state)
{
	switch (state) {
	case MEMBER_ALIVE:
	case MEMBER_SUSPECT:
		return MIGRATION_PEER_ALIVE;
	case MEMBER_DEAD:
		return MIGRATION_PEER_SUSPECTED_DEAD;
	default:
		return MIGRATION_PEER_GONE;
	}
}

static bool host_find_peer(void *context, uint64_t node, struct migrator_peer *peer)
{
	const struct member *member = membership_find(members_of(context), node);

	if (!member)
		return false;
	peer->state = peer_of(member_state(member));
	peer->generation = member_state(member) == MEMBER_REMOVED ? member->claim.generation
								  : member->node.generation;
	return true;
}

static const char *host_name(void *context, uint64_t node, char text[NODE_NAME_SIZE])
{
	return membership_name(members_of(context), node, text);
}

static void host_mark(void *context, const struct partition_set *importing,
		      const struct partition_set *migrating)
{
	struct migrator_daemon *daemon = context;

	cluster_announce(daemon->options.cluster, importing, migrating);
}

static void host_hold(void *context, uint32_t partition, bool is_held)
{
	struct migrator_daemon *daemon = context;

	cluster_hold(daemon->options.cluster, partition, is_held);
}

static void host_record_owner(void *context, const struct partition_owner *owner)
{
	struct migrator_daemon *daemon = context;

	cluster_learn(daemon->options.cluster, owner);
}

static void host_publish(void *context)
{
	struct migrator_daemon *daemon = context;

	cluster_publish(daemon->options.cluster);
}

static void host_announce(void *context, uint32_t partition)
{
	struct migrator_daemon *daemon = context;

	partition_set_add(&daemon->announcing, partition);
}

static void host_wake(void *context)
{
	set_timer(context);
}

/* ---- life ---- */

/* A source that only drops what it gave away keeps no other one waiting. */
static uint32_t source_max(const struct options *options)
{
	uint32_t jobs = 2 * (uint32_t)options->migration_jobs;

	return jobs < MIGRATION_JOBS_MAX ? jobs : MIGRATION_JOBS_MAX;
}

/* As many batches under way as one channel holds, were all jobs to use the same one. */
static uint32_t window_of(const struct options *options, uint32_t batch_size)
{
	uint32_t window = BUS_CHANNEL_PENDING_MAX / (2 * batch_size * options->migration_jobs);

	if (window > MIGRATION_WINDOW_MAX)
		return MIGRATION_WINDOW_MAX;
	return window > 0 ? window : 1;
}

static int create_migrator(struct migrator_daemon *daemon)
{
	const struct options *options = daemon->options.options;
	struct cluster *cluster = daemon->options.cluster;
	struct migrator_options migrator_options = {
		.self = gossip_self(cluster_gossip(cluster))->id,
		.source_max = source_max(options),
		.target_max = options->migration_jobs,
		.ring_size = options->migration_ring,
		.map = gossip_map(cluster_gossip(cluster)),
		.held = cluster_held(cluster),
		.dataplane = daemon->options.dataplane,
		.reader = daemon->reader,
		.world = daemon->options.world,
		.log = daemon->options.log,
		.host = { .context = daemon,
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

	migration_options_default(&migrator_options.migration);
	migrator_options.migration.window =
		window_of(options, migrator_options.migration.batch_size);
	migrator_options.migration.bytes_per_s = options->migration_rate;
	/* All of it is no limit. */
	if (options->migration_cpu < 100)
		migrator_options.migration.cpu_permille = options->migration_cpu * 10;
	else
		migrator_options.migration.cpu_permille = 0;
	/* A claim waits until a source that is cut off has surely stopped to serve. */
	migrator_options.migration.claim_ms = 2 * cluster_config_of(cluster)->fence_ms + 1000;
	return migrator_create(&daemon->migrator, &migrator_options);
}

static int create_parts(struct migrator_daemon *daemon)
{
	daemon->reader = dataplane_reader_register(daemon->options.dataplane, "migrator");
	daemon->timer = evtimer_new(daemon->options.base, on_timer, daemon);
	if (!daemon->reader || !daemon->timer)
		return -ENOMEM;
	return create_migrator(daemon);
}

int migrator_daemon_create(struct migrator_daemon **daemon,
			   const struct migrator_daemon_options *options, char *error,
			   size_t error_size)
{
	struct migrator_daemon *new = calloc(1, sizeof(*new));
	int result;

	snprintf(error, error_size, "out of memory");
	if (!new)
		return -ENOMEM;
	new->options = *options;
	result = create_parts(new);
	if (result != 0) {
		migrator_daemon_destroy(new);
		return result;
	}
	*daemon = new;
	return 0;
}

int migrator_daemon_start(struct migrator_daemon *daemon)
{
	int result = create_links(daemon);

	if (result != 0)
		return result;
	daemon->observer = (struct cluster_observer){ .context = daemon,
						      .member_changed = on_member_changed,
						      .member_restarted = on_member_restarted,
						      .map_changed = on_map_changed };
	cluster_observe(daemon->options.cluster, &daemon->observer);
	set_timer(daemon);
	return 0;
}

/* Whether another node does not know yet what it needs to know. */
static bool is_awaited(const struct migrator_daemon *daemon)
{
	return !migrator_is_decided(daemon->migrator) ||
	       (daemon->links && sync_links_pending(daemon->links) > 0);
}

void migrator_daemon_stop(struct migrator_daemon *daemon, uint32_t ms_max)
{
	uint64_t until_ms = now_of(daemon) + ms_max;

	migrator_stop(daemon->migrator);
	while (is_awaited(daemon) && now_of(daemon) < until_ms) {
		set_timer(daemon);
		event_base_loop(daemon->options.base, EVLOOP_ONCE);
	}
}

void migrator_daemon_destroy(struct migrator_daemon *daemon)
{
	if (!daemon)
		return;
	sync_links_destroy(daemon->links);
	migrator_destroy(daemon->migrator);
	if (daemon->timer)
		event_free(daemon->timer);
	if (daemon->reader)
		dataplane_reader_unregister(daemon->reader);
	free(daemon);
}

struct migrator *migrator_daemon_migrator(struct migrator_daemon *daemon)
{
	return daemon->migrator;
}
