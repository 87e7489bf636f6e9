/* SPDX-License-Identifier: BSD-3-Clause */
/* The migrator's host, as far as it is the cluster. */
#include "controlplane/migrator_binding.h"

#include <errno.h>
#include <stdlib.h>

struct migrator_binding {
	struct migrator_binding_options options;
	struct migrator *migrator;
	struct cluster_observer observer;
	struct partition_set announcing; /* claims that a majority has to know of */
};

static const struct membership *members_of(const struct migrator_binding *binding)
{
	return gossip_membership(cluster_gossip(binding->options.cluster));
}

/* ---- claims ---- */

static void on_confirmed(void *context, uint32_t partition)
{
	struct migrator_binding *binding = context;

	if (!partition_set_has(&binding->announcing, partition))
		return;
	partition_set_remove(&binding->announcing, partition);
	migrator_announced(binding->migrator, partition);
}

/* ---- time ---- */

static void tell_majority(struct migrator_binding *binding)
{
	const struct cluster *cluster = binding->options.cluster;

	/* The fence is open when all living members told what they know since a majority was lost. */
	migrator_set_majority(binding->migrator,
			      cluster_sees_majority(cluster) &&
				      cluster_fence_state(cluster) == FENCE_OPEN);
}

void migrator_binding_run(struct migrator_binding *binding)
{
	tell_majority(binding);
	migrator_run(binding->migrator);
}

uint64_t migrator_binding_wait_us(const struct migrator_binding *binding)
{
	uint64_t wait_us = migrator_wait_us(binding->migrator);

	return wait_us < MIGRATOR_BINDING_TICK_MS * 1000u ? wait_us
							  : MIGRATOR_BINDING_TICK_MS * 1000u;
}

/* ---- the cluster ---- */

static void on_member_changed(void *context, uint64_t id, enum member_state before,
			      enum member_state after)
{
	struct migrator_binding *binding = context;

	(void)before;
	if (after >= MEMBER_DEAD)
		binding->options.host.reset(binding->options.host.context, id);
	migrator_peer_changed(binding->migrator, id);
}

static void on_member_restarted(void *context, uint64_t id)
{
	struct migrator_binding *binding = context;

	binding->options.host.reset(binding->options.host.context, id);
	migrator_peer_changed(binding->migrator, id);
}

static void on_map_changed(void *context)
{
	struct migrator_binding *binding = context;

	migrator_map_changed(binding->migrator);
}

/* ---- what the migrator wants ---- */

static uint64_t host_generation(void *context)
{
	const struct migrator_binding *binding = context;

	return gossip_self(cluster_gossip(binding->options.cluster))->generation;
}

static void host_send(void *context, uint64_t node, const uint8_t *bytes, size_t size)
{
	struct migrator_binding *binding = context;

	binding->options.host.send(binding->options.host.context, node, bytes, size);
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
	struct migrator_binding *binding = context;

	cluster_announce(binding->options.cluster, importing, migrating);
}

static void host_hold(void *context, uint32_t partition, bool is_held)
{
	struct migrator_binding *binding = context;

	cluster_hold(binding->options.cluster, partition, is_held);
}

static void host_record_owner(void *context, const struct partition_owner *owner)
{
	struct migrator_binding *binding = context;

	cluster_learn(binding->options.cluster, owner);
}

static void host_publish(void *context)
{
	struct migrator_binding *binding = context;

	cluster_publish(binding->options.cluster);
}

static void host_announce(void *context, uint32_t partition)
{
	struct migrator_binding *binding = context;

	partition_set_add(&binding->announcing, partition);
	cluster_confirm(binding->options.cluster, partition);
}

static void host_wake(void *context)
{
	struct migrator_binding *binding = context;

	binding->options.host.wake(binding->options.host.context);
}

/* ---- life ---- */

static int create_migrator(struct migrator_binding *binding)
{
	const struct migrator_binding_options *options = &binding->options;
	const struct gossip *gossip = cluster_gossip(options->cluster);
	struct migrator_options migrator_options = {
		.self = gossip_self(gossip)->id,
		.source_max = options->source_max,
		.target_max = options->target_max,
		.ring_size = options->ring_size,
		.migration = options->migration,
		.map = gossip_map(gossip),
		.held = cluster_held(options->cluster),
		.dataplane = options->dataplane,
		.reader = options->reader,
		.world = options->world,
		.log = options->log,
		.host = { .context = binding,
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

	/* A claim waits until a source that is cut off has surely stopped to serve. */
	migrator_options.migration.claim_ms =
		2 * cluster_config_of(options->cluster)->fence_ms + 1000;
	return migrator_create(&binding->migrator, &migrator_options);
}

int migrator_binding_create(struct migrator_binding **binding,
			    const struct migrator_binding_options *options)
{
	struct migrator_binding *new = calloc(1, sizeof(*new));
	int result;

	if (!new)
		return -ENOMEM;
	new->options = *options;
	result = create_migrator(new);
	if (result != 0) {
		migrator_binding_destroy(new);
		return result;
	}
	*binding = new;
	return 0;
}

void migrator_binding_destroy(struct migrator_binding *binding)
{
	if (!binding)
		return;
	migrator_destroy(binding->migrator);
	free(binding);
}

void migrator_binding_start(struct migrator_binding *binding)
{
	binding->observer = (struct cluster_observer){ .context = binding,
						       .member_changed = on_member_changed,
						       .member_restarted = on_member_restarted,
						       .map_changed = on_map_changed,
						       .confirmed = on_confirmed };
	cluster_observe(binding->options.cluster, &binding->observer);
}

struct migrator *migrator_binding_migrator(const struct migrator_binding *binding)
{
	return binding->migrator;
}

bool migrator_binding_is_announcing(const struct migrator_binding *binding)
{
	return !partition_set_is_empty(&binding->announcing);
}
