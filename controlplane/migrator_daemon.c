/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens on the bus goes to the migrator, what it wants goes there; and it gets its time. */
#include "controlplane/migrator_daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "controlplane/migrator_binding.h"
#include "controlplane/sync_links.h"

/* Between two looks at the channels. */
#define LINKS_TICK_MS 100u

struct migrator_daemon {
	struct migrator_daemon_options options;
	struct migrator_binding *binding;
	struct reader *reader;
	struct sync_links *links; /* NULL = a node by itself */
	struct event *timer;
	uint64_t ticked_ms;
	bool is_running; /* run() is on the stack: it sets the timer itself */
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
	uint64_t wait_us = migrator_binding_wait_us(daemon->binding);
	struct timeval time;

	if (daemon->is_running || is_timer_set(daemon, wait_us))
		return;
	time = (struct timeval){ 0, (suseconds_t)wait_us };
	event_add(daemon->timer, &time);
}

static void tick(struct migrator_daemon *daemon)
{
	uint64_t now_ms = now_of(daemon);

	if (!daemon->links || now_ms - daemon->ticked_ms < LINKS_TICK_MS)
		return;
	daemon->ticked_ms = now_ms;
	sync_links_tick(daemon->links);
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	struct migrator_daemon *daemon = context;

	(void)fd;
	(void)events;
	daemon->is_running = true;
	tick(daemon);
	migrator_binding_run(daemon->binding);
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

	migrator_take_frame(migrator_daemon_migrator(daemon), node, bytes, size);
}

static void on_connected(void *context, uint64_t node)
{
	struct migrator_daemon *daemon = context;

	migrator_connected(migrator_daemon_migrator(daemon), node);
}

static int create_links(struct migrator_daemon *daemon)
{
	const struct sync_links_host host = { daemon, find_address, on_frame, on_connected };
	struct bus_transport *bus = daemon->options.bus;

	return bus ? sync_links_create(&daemon->links, bus, daemon->options.world, &host) : 0;
}

/* ---- what the migrator wants ---- */

static void host_send(void *context, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct migrator_daemon *daemon = context;

	if (daemon->links)
		sync_links_send(daemon->links, node, bytes, size);
}

static void host_reset(void *context, uint64_t node)
{
	struct migrator_daemon *daemon = context;

	if (daemon->links)
		sync_links_reset(daemon->links, node);
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

static int create_binding(struct migrator_daemon *daemon)
{
	const struct options *options = daemon->options.options;
	struct migrator_binding_options binding = {
		.cluster = daemon->options.cluster,
		.dataplane = daemon->options.dataplane,
		.reader = daemon->reader,
		.world = daemon->options.world,
		.log = daemon->options.log,
		.source_max = source_max(options),
		.target_max = options->migration_jobs,
		.ring_size = options->migration_ring,
		.host = { daemon, host_send, host_reset, host_wake },
	};

	migration_options_default(&binding.migration);
	binding.migration.window = window_of(options, binding.migration.batch_size);
	binding.migration.bytes_per_s = options->migration_rate;
	/* All of it is no limit. */
	if (options->migration_cpu < 100)
		binding.migration.cpu_permille = options->migration_cpu * 10;
	else
		binding.migration.cpu_permille = 0;
	return migrator_binding_create(&daemon->binding, &binding);
}

static int create_parts(struct migrator_daemon *daemon)
{
	daemon->reader = dataplane_reader_register(daemon->options.dataplane, "migrator");
	daemon->timer = evtimer_new(daemon->options.base, on_timer, daemon);
	if (!daemon->reader || !daemon->timer)
		return -ENOMEM;
	return create_binding(daemon);
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
	migrator_binding_start(daemon->binding);
	set_timer(daemon);
	return 0;
}

/* Whether another node does not know yet what it needs to know. */
static bool is_awaited(const struct migrator_daemon *daemon)
{
	return !migrator_is_decided(migrator_daemon_migrator(daemon)) ||
	       (daemon->links && sync_links_pending(daemon->links) > 0);
}

void migrator_daemon_stop(struct migrator_daemon *daemon, uint32_t ms_max)
{
	uint64_t until_ms = now_of(daemon) + ms_max;

	migrator_stop(migrator_daemon_migrator(daemon));
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
	migrator_binding_destroy(daemon->binding);
	if (daemon->timer)
		event_free(daemon->timer);
	if (daemon->reader)
		dataplane_reader_unregister(daemon->reader);
	free(daemon);
}

struct migrator *migrator_daemon_migrator(const struct migrator_daemon *daemon)
{
	return migrator_binding_migrator(daemon->binding);
}
