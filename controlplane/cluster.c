/* SPDX-License-Identifier: BSD-3-Clause */
/* The gossip machine's driver: its actions done, its deadlines kept, its news handed on. */
#include "controlplane/cluster_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/bus_transport.h"
#include "controlplane/route_publish.h"

/* Timer steps before other events have their turn. */
#define TIMER_STEPS_MAX 64u

static const struct state_machine_kind phase_kind = {
	.name = "cluster",
	.state_count = CLUSTER_PHASE_COUNT,
	.state_names = { "waiting", "joining", "member", "leaving", "left" },
	.allowed = {
		[CLUSTER_WAITING] = STATE_MACHINE_TO(CLUSTER_JOINING) |
				    STATE_MACHINE_TO(CLUSTER_MEMBER),
		[CLUSTER_JOINING] = STATE_MACHINE_TO(CLUSTER_WAITING) |
				    STATE_MACHINE_TO(CLUSTER_MEMBER),
		[CLUSTER_MEMBER] = STATE_MACHINE_TO(CLUSTER_LEAVING),
		[CLUSTER_LEAVING] = STATE_MACHINE_TO(CLUSTER_MEMBER) |
				    STATE_MACHINE_TO(CLUSTER_LEFT),
	},
};

const char *cluster_phase_name(enum cluster_phase phase)
{
	return phase_kind.state_names[phase];
}

void cluster_move(struct cluster *cluster, enum cluster_phase phase)
{
	state_machine_move(&cluster->machine, phase, cluster);
	cluster->are_routes_old = true;
}

void cluster_end_process(struct cluster *cluster, enum cluster_end why)
{
	if (cluster->is_ended)
		return;
	cluster->is_ended = true;
	cluster->options.host.end(cluster->options.host.context, why);
}

uint32_t cluster_count_members(const struct cluster *cluster)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < membership_index_end(cluster_members(cluster)); i++)
		count += cluster_is_counted(membership_at(cluster_members(cluster), i));
	return count;
}

static const char *name_of(const struct cluster *cluster, uint64_t id, char text[NODE_NAME_SIZE])
{
	return membership_name(cluster_members(cluster), id, text);
}

/* ---- routes ---- */

bool cluster_is_serving(const struct cluster *cluster)
{
	if (cluster->is_excluded || !gossip_is_joined(cluster->gossip))
		return false;
	return !cluster->config.is_fencing || fence_is_open(&cluster->fence);
}

void cluster_publish(struct cluster *cluster)
{
	const struct route_view view = { .map = gossip_map(cluster->gossip),
					 .membership = cluster_members(cluster),
					 .held = &cluster->held,
					 .is_serving = cluster_is_serving(cluster) };
	struct route_table *table = route_publish_make(&view);

	if (table) {
		cluster->are_routes_old = false;
		cluster->options.host.set_routes(cluster->options.host.context, table);
	}
}

/* Before the node knows any map: nobody owns anything. */
static int publish_nothing(struct cluster *cluster)
{
	struct partition_map *map = malloc(sizeof(*map));
	struct partition_set none = { { 0 } };
	struct route_view view = { map, cluster_members(cluster), &none, false };
	struct route_table *table;

	if (!map)
		return -ENOMEM;
	partition_map_init(map, cluster->config.partition_count);
	table = route_publish_make(&view);
	free(map);
	if (!table)
		return -ENOMEM;
	cluster->options.host.set_routes(cluster->options.host.context, table);
	return 0;
}

/* ---- the gossip machine's actions ---- */

static void log_change(const struct cluster *cluster, const struct gossip_action *action)
{
	char name[NODE_NAME_SIZE];

	if (action->after == MEMBER_DEAD)
		log_warning(cluster->options.log, "cluster",
			    "a member is declared dead: bring it back, or remove it", "node=%s",
			    name_of(cluster, action->id, name));
	else
		log_info(cluster->options.log, "cluster", "a member changed",
			 "node=%s from=%s to=%s", name_of(cluster, action->id, name),
			 member_state_name(action->before), member_state_name(action->after));
}

static void log_restart(const struct cluster *cluster, const struct gossip_action *action)
{
	char name[NODE_NAME_SIZE];

	log_info(cluster->options.log, "cluster", "a member has started anew", "node=%s",
		 name_of(cluster, action->id, name));
}

static void exclude(struct cluster *cluster, const char *message)
{
	if (cluster->is_excluded)
		return;
	cluster->is_excluded = true;
	cluster->are_routes_old = true;
	log_error(cluster->options.log, "cluster", message);
	cluster_end_process(cluster, CLUSTER_END_EXCLUDED);
}

int cluster_exchange(struct cluster *cluster, const struct node_address *to,
		     enum gossip_scope scope, struct cluster_exchange_purpose purpose)
{
	const struct cluster_host *host = &cluster->options.host;

	return cluster->config.has_bus ? host->exchange(host->context, to, scope, &purpose)
				       : -ENOBUFS;
}

static void send_datagram(struct cluster *cluster, const struct gossip_action *action)
{
	const struct cluster_host *host = &cluster->options.host;

	if (cluster->config.has_bus)
		host->send(host->context, &action->to, action->bytes, action->size);
}

static void act(struct cluster *cluster, const struct gossip_action *action)
{
	switch (action->kind) {
	case GOSSIP_SEND:
		send_datagram(cluster, action);
		return;
	case GOSSIP_PUSH_PULL:
		cluster_exchange(
			cluster, &action->to, action->scope,
			(struct cluster_exchange_purpose){ .kind = CLUSTER_EXCHANGE_GOSSIP });
		return;
	case GOSSIP_REPLY_STATE:
		cluster->is_answer_wanted = true;
		cluster->answer_scope = action->scope;
		return;
	case GOSSIP_STATE_TAKEN:
		cluster->fencing.teller = action->id;
		cluster->fencing.is_teller_whole = action->is_whole;
		return;
	case GOSSIP_JOINED:
		cluster_became_member(cluster);
		break;
	case GOSSIP_MEMBER_CHANGED:
		log_change(cluster, action);
		break;
	case GOSSIP_MEMBER_RESTARTED:
		log_restart(cluster, action);
		cluster_spread_forgotten(cluster);
		break;
	case GOSSIP_PEER_IMPORTS:
	case GOSSIP_MAP_CHANGED:
		break;
	case GOSSIP_SELF_REMOVED:
		exclude(cluster, "this node was removed from the cluster: it stops; start it again "
				 "to join anew, empty");
		return;
	case GOSSIP_ID_CONFLICT:
		exclude(cluster, "another running node bears this node's name: it stops; give it "
				 "another node.name");
		return;
	case GOSSIP_OTHER_CLUSTER:
		cluster_met_stranger(cluster, &action->to);
		return;
	}
	cluster->are_routes_old = true;
	cluster_news_add(&cluster->news, action);
}

/* ---- turns ---- */

static void wake(struct cluster *cluster)
{
	cluster->options.host.wake(cluster->options.host.context);
}

/* The end of every turn: the observers, the workers and the clock learn what it brought. Observers first: they may have
 * requests wait for a partition that the map gives to this node before it has the data.
 */
void cluster_settle(struct cluster *cluster)
{
	cluster_news_tell(&cluster->news);
	if (cluster->are_routes_old)
		cluster_publish(cluster);
	wake(cluster);
}

void cluster_step(struct cluster *cluster, const struct gossip_event *event)
{
	struct gossip_actions actions = gossip_step(cluster->gossip, cluster_now(cluster), event);

	for (uint32_t i = 0; i < actions.count; i++)
		act(cluster, &actions.items[i]);
}

void cluster_run(struct cluster *cluster, const struct gossip_event *event)
{
	cluster_step(cluster, event);
	cluster_settle(cluster);
}

static void run_timers(struct cluster *cluster)
{
	const struct gossip_event event = { .kind = GOSSIP_TIMER };

	for (uint32_t i = 0; i < TIMER_STEPS_MAX; i++) {
		if (gossip_deadline_ms(cluster->gossip) > cluster_now(cluster))
			return;
		cluster_step(cluster, &event);
	}
}

static void tick(struct cluster *cluster)
{
	cluster->tick_at_ms = cluster_now(cluster) + CLUSTER_TICK_MS;
	switch (cluster->machine.state) {
	case CLUSTER_JOINING:
		cluster_tick_joining(cluster);
		break;
	case CLUSTER_LEAVING:
	case CLUSTER_LEFT:
		cluster_tick_leaving(cluster);
		break;
	}
	if (cluster->config.has_bus && gossip_is_joined(cluster->gossip)) {
		cluster_tick_fence(cluster);
		cluster_tick_take_back(cluster);
		cluster_tick_spread(cluster);
	}
}

void cluster_turn(struct cluster *cluster)
{
	run_timers(cluster);
	if (cluster_now(cluster) >= cluster->tick_at_ms)
		tick(cluster);
	cluster_settle(cluster);
}

uint64_t cluster_due_ms(const struct cluster *cluster)
{
	uint64_t deadline_ms = gossip_deadline_ms(cluster->gossip);

	return deadline_ms < cluster->tick_at_ms ? deadline_ms : cluster->tick_at_ms;
}

/* ---- the bus ---- */

void cluster_take_datagram(struct cluster *cluster, const struct node_address *from,
			   const uint8_t *bytes, size_t size)
{
	if (gossip_is_joined(cluster->gossip))
		cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_PACKET,
							     .from = *from,
							     .bytes = bytes,
							     .size = size });
	else
		cluster_hear_members(cluster, from);
}

int cluster_give_state(struct cluster *cluster, bool is_request, enum gossip_scope scope,
		       uint8_t *bytes, size_t size_max)
{
	return gossip_state(cluster->gossip, is_request, scope, bytes, size_max);
}

bool cluster_take_state(struct cluster *cluster, const uint8_t *bytes, size_t size,
			enum gossip_scope *scope)
{
	cluster->is_answer_wanted = false;
	cluster->fencing.teller = 0;
	cluster_run(cluster,
		    &(struct gossip_event){ .kind = GOSSIP_STATE, .bytes = bytes, .size = size });
	*scope = cluster->answer_scope;
	return cluster->is_answer_wanted;
}

/* A member that was cut off while it was removed thinks the others dead, and hears it in no other way. */
static void heed_refusal(struct cluster *cluster, const struct node_address *to,
			 enum bus_refusal refusal)
{
	if (refusal == BUS_REFUSED_CLUSTER)
		cluster_met_stranger(cluster, to);
	else if (refusal == BUS_REFUSED_GONE)
		exclude(cluster, "this node was removed from the cluster, or has a later life: it "
				 "stops; start it again to join anew, empty");
}

void cluster_exchanged(struct cluster *cluster, const struct node_address *to,
		       const struct cluster_exchange_purpose *purpose,
		       const struct bus_close *close)
{
	if (purpose->kind == CLUSTER_EXCHANGE_FENCE)
		cluster_fence_answered(cluster, purpose->round, !close);
	if (purpose->kind == CLUSTER_EXCHANGE_SPREAD)
		cluster_spread_answered(cluster, purpose->round, !close);
	if (close && close->kind == BUS_CLOSE_REFUSED)
		heed_refusal(cluster, to, close->refusal);
	if (close && cluster_is_in(cluster, CLUSTER_JOINING))
		cluster_join_failed(cluster, to, close);
	cluster_settle(cluster);
}

/* ---- for this node's other parts ---- */

void cluster_set_stalled(struct cluster *cluster, bool is_stalled)
{
	cluster_run(cluster,
		    &(struct gossip_event){ .kind = GOSSIP_STALLED, .is_stalled = is_stalled });
}

void cluster_set_load(struct cluster *cluster, const struct node_load *load)
{
	struct node self = *gossip_self(cluster->gossip);

	self.load = *load;
	cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

void cluster_announce(struct cluster *cluster, const struct partition_set *importing,
		      const struct partition_set *migrating)
{
	struct node self = *gossip_self(cluster->gossip);

	self.importing_partitions = *importing;
	self.migrating_partitions = *migrating;
	cluster_run(cluster, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

void cluster_hold(struct cluster *cluster, uint32_t partition, bool is_held)
{
	if (is_held)
		partition_set_add(&cluster->held, partition);
	else
		partition_set_remove(&cluster->held, partition);
	cluster->are_routes_old = true;
}

/* The two below return no actions, so what follows from a new map is done here. */
static void map_changed(struct cluster *cluster)
{
	const struct gossip_action action = { .kind = GOSSIP_MAP_CHANGED };

	cluster_news_add(&cluster->news, &action);
	wake(cluster);
}

int cluster_take(struct cluster *cluster, uint32_t partition, uint32_t epoch_seen)
{
	int result = gossip_claim(cluster->gossip, cluster_now(cluster), partition, epoch_seen);

	if (result == 0)
		map_changed(cluster);
	return result;
}

bool cluster_learn(struct cluster *cluster, const struct partition_owner *owner)
{
	bool is_news = gossip_learn(cluster->gossip, cluster_now(cluster), owner);

	if (is_news)
		map_changed(cluster);
	return is_news;
}

void cluster_observe(struct cluster *cluster, const struct cluster_observer *observer)
{
	cluster_news_observe(&cluster->news, observer);
}

/* ---- what is known ---- */

const struct cluster_config *cluster_config_of(const struct cluster *cluster)
{
	return &cluster->config;
}

enum cluster_phase cluster_phase(const struct cluster *cluster)
{
	return (enum cluster_phase)cluster->machine.state;
}

const char *cluster_join_reason(const struct cluster *cluster)
{
	return cluster->join.reason;
}

const struct gossip *cluster_gossip(const struct cluster *cluster)
{
	return cluster->gossip;
}

enum fence_state cluster_fence_state(const struct cluster *cluster)
{
	return (enum fence_state)cluster->fence.machine.state;
}

uint32_t cluster_fence_waits_for(const struct cluster *cluster)
{
	return fence_is_open(&cluster->fence) ? 0 : cluster->fence.waits_for;
}

bool cluster_sees_majority(const struct cluster *cluster)
{
	return membership_sees_majority(cluster_members(cluster), cluster_now(cluster));
}

const struct partition_set *cluster_held(const struct cluster *cluster)
{
	return &cluster->held;
}

void cluster_bus_counters(const struct cluster *cluster, struct bus_counters *counters)
{
	memset(counters, 0, sizeof(*counters));
	if (cluster->config.has_bus)
		cluster->options.host.count_bus(cluster->options.host.context, counters);
}

const char *cluster_stranger(const struct cluster *cluster)
{
	return cluster->stranger;
}

/* ---- life ---- */

static int create_gossip(struct cluster *cluster)
{
	struct gossip_options options = {
		.membership = { .node_count_max = cluster->config.has_bus ? NODE_COUNT_MAX : 1,
				.probe_interval_ms = cluster->config.probe_ms,
				.probe_timeout_ms = cluster->config.probe_ms * 2 / 5 },
		.partition_count_max = cluster->config.partition_count,
	};

	options.membership.seed = world_random_u64(cluster->options.world);
	return gossip_create(&cluster->gossip, &options, &cluster->config.self,
			     cluster_now(cluster));
}

int cluster_create(struct cluster **cluster, const struct cluster_options *options)
{
	struct cluster *new = calloc(1, sizeof(*new));
	int result;

	if (!new)
		return -ENOMEM;
	new->config = *options->config;
	new->options = *options;
	new->tick_at_ms = cluster_now(new) + CLUSTER_TICK_MS;
	state_machine_init(&new->machine, &phase_kind, CLUSTER_WAITING);
	fence_init(&new->fence, new->config.fence_ms);
	result = create_gossip(new);
	if (result == 0)
		result = publish_nothing(new);
	if (result != 0) {
		cluster_destroy(new);
		return result;
	}
	*cluster = new;
	return 0;
}

void cluster_destroy(struct cluster *cluster)
{
	if (!cluster)
		return;
	gossip_destroy(cluster->gossip);
	cluster_news_fini(&cluster->news);
	free(cluster);
}
