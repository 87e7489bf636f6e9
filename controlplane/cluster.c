/* SPDX-License-Identifier: BSD-3-Clause */
/* The gossip machine's driver: its actions done, its deadlines kept, its news handed on. */
#include "controlplane/cluster.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/cluster_exchange.h"
#include "controlplane/join_policy.h"
#include "controlplane/route_publish.h"

#define TICK_MS 100u
/* Timer steps before other events have their turn. */
#define TIMER_STEPS_MAX 64u
/* A good-bye is repeated until all have heard it, or for so long. */
#define GOODBYE_MS 3000u
/* Members asked before the fence opens. */
#define FENCE_ASK_MAX 64u
#define STRANGER_SIZE 128u

enum purpose {
	PURPOSE_GOSSIP,
	PURPOSE_FENCE,
};

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

struct cluster {
	struct cluster_config config;
	struct cluster_options options;
	struct state_machine machine; /* enum cluster_phase */
	struct gossip *gossip;
	struct bus_transport *bus; /* NULL = a node by itself */
	struct cluster_exchange *exchange;
	struct fence fence;
	struct event *timer; /* the gossip machine's */
	struct event *tick;
	struct partition_set held;
	bool is_excluded;    /* removed, or the name is another's: serves nothing any more */
	bool are_routes_old; /* publish at the end of this turn */
	bool is_ended;

	/* Joining */
	struct join_policy join;
	bool is_join_asked; /* by the operator, not by the configuration */
	uint32_t seed_count;
	struct node_address seeds[GOSSIP_SEED_COUNT_MAX];

	uint64_t goodbye_until_ms;
	char stranger[STRANGER_SIZE];
	struct log_limit stranger_limit;

	/* What observers have not been told yet. */
	uint32_t observer_count;
	const struct cluster_observer *observers[CLUSTER_OBSERVER_COUNT_MAX];
	bool is_telling;
	uint32_t news_count;
	uint32_t news_max;
	struct gossip_action *news;

	/* The state just fed in asks for an answer. */
	bool is_answer_wanted;
	enum gossip_scope answer_scope;
};

static uint64_t now(const struct cluster *cluster)
{
	return world_now_ms(cluster->options.world);
}

static const struct membership *members(const struct cluster *cluster)
{
	return gossip_membership(cluster->gossip);
}

static bool is_in(const struct cluster *cluster, enum cluster_phase phase)
{
	return cluster->machine.state == phase;
}

const char *cluster_phase_name(enum cluster_phase phase)
{
	return phase_kind.state_names[phase];
}

static void move_to(struct cluster *cluster, enum cluster_phase phase)
{
	state_machine_move(&cluster->machine, phase, cluster);
	cluster->are_routes_old = true;
}

static void end(struct cluster *cluster, enum cluster_end why)
{
	if (cluster->is_ended)
		return;
	cluster->is_ended = true;
	cluster->options.end(cluster->options.context, why);
}

/* The name of a member, or its number when only a tombstone is left. */
static const char *name_of(const struct cluster *cluster, uint64_t id, char text[NODE_NAME_SIZE])
{
	const struct member *member = membership_find(members(cluster), id);

	if (member && member->node.name[0])
		snprintf(text, NODE_NAME_SIZE, "%s", member->node.name);
	else
		snprintf(text, NODE_NAME_SIZE, "%016" PRIx64, id);
	return text;
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
					 .membership = members(cluster),
					 .held = &cluster->held,
					 .is_serving = cluster_is_serving(cluster) };
	struct route_table *table = route_publish_make(&view);

	if (table) {
		cluster->are_routes_old = false;
		cluster->options.set_routes(cluster->options.context, table);
	}
}

/* Before the node knows any map: nobody owns anything. */
static int publish_nothing(struct cluster *cluster)
{
	struct partition_map *map = malloc(sizeof(*map));
	struct partition_set none = { { 0 } };
	struct route_view view = { map, members(cluster), &none, false };
	struct route_table *table;

	if (!map)
		return -ENOMEM;
	partition_map_init(map, cluster->config.partition_count);
	table = route_publish_make(&view);
	free(map);
	if (!table)
		return -ENOMEM;
	cluster->options.set_routes(cluster->options.context, table);
	return 0;
}

/* ---- news for observers ---- */

static void note_news(struct cluster *cluster, const struct gossip_action *action)
{
	uint32_t max = cluster->news_max ? 2 * cluster->news_max : 64;
	struct gossip_action *news = cluster->news;

	if (cluster->news_count == cluster->news_max) {
		news = realloc(news, max * sizeof(*news));
		if (!news)
			return; /* observers look at the whole state again now and then */
		cluster->news = news;
		cluster->news_max = max;
	}
	news[cluster->news_count++] = *action;
}

static void tell_one(const struct cluster_observer *observer, const struct gossip_action *action)
{
	void *context = observer->context;

	switch (action->kind) {
	case GOSSIP_JOINED:
		if (observer->joined)
			observer->joined(context);
		break;
	case GOSSIP_MEMBER_CHANGED:
		if (observer->member_changed)
			observer->member_changed(context, action->id, action->before,
						 action->after);
		break;
	case GOSSIP_MEMBER_RESTARTED:
		if (observer->member_restarted)
			observer->member_restarted(context, action->id);
		break;
	case GOSSIP_PEER_IMPORTS:
		if (observer->peer_imports)
			observer->peer_imports(context, action->id, action->partition);
		break;
	case GOSSIP_MAP_CHANGED:
		if (observer->map_changed)
			observer->map_changed(context);
		break;
	default:
		break;
	}
}

/* Observers may cause more news: these wait in the same queue. */
static void tell_news(struct cluster *cluster)
{
	if (cluster->is_telling)
		return;
	cluster->is_telling = true;
	for (uint32_t i = 0; i < cluster->news_count; i++) {
		const struct gossip_action action = cluster->news[i];

		for (uint32_t o = 0; o < cluster->observer_count; o++)
			tell_one(cluster->observers[o], &action);
	}
	cluster->news_count = 0;
	cluster->is_telling = false;
}

void cluster_observe(struct cluster *cluster, const struct cluster_observer *observer)
{
	assert(cluster->observer_count < CLUSTER_OBSERVER_COUNT_MAX);
	cluster->observers[cluster->observer_count++] = observer;
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
	end(cluster, CLUSTER_END_EXCLUDED);
}

static void met_stranger(struct cluster *cluster, const struct node_address *at)
{
	char address[NODE_ADDRESS_TEXT_SIZE];
	uint32_t suppressed;

	snprintf(cluster->stranger, sizeof(cluster->stranger), "%s",
		 node_address_format(at, address));
	if (!log_limit_pass(&cluster->stranger_limit, cluster->options.log, &suppressed))
		return;
	log_error(
		cluster->options.log, "cluster",
		"another cluster of this name was founded apart and is refused: stop its nodes and "
		"start them with cluster.join, without cluster.bootstrap",
		"at=%s", address);
}

static void push_pull(struct cluster *cluster, const struct gossip_action *action)
{
	const struct cluster_exchange_purpose purpose = { PURPOSE_GOSSIP, 0 };

	if (cluster->exchange)
		cluster_exchange_begin(cluster->exchange, &action->to, action->scope, &purpose);
}

static void joined(struct cluster *cluster)
{
	if (is_in(cluster, CLUSTER_MEMBER))
		return;
	move_to(cluster, CLUSTER_MEMBER);
	cluster->join.reason[0] = '\0';
	log_info(cluster->options.log, "cluster", "member",
		 "name=%s id=%016" PRIx64 " nodes=%u partitions=%u", cluster->config.name,
		 gossip_cluster_id(cluster->gossip), membership_live_count(members(cluster)),
		 gossip_map(cluster->gossip)->partition_count);
}

static void act(struct cluster *cluster, const struct gossip_action *action)
{
	switch (action->kind) {
	case GOSSIP_SEND:
		if (cluster->bus)
			bus_transport_send(cluster->bus, &action->to, action->bytes, action->size);
		return;
	case GOSSIP_PUSH_PULL:
		push_pull(cluster, action);
		return;
	case GOSSIP_REPLY_STATE:
		cluster->is_answer_wanted = true;
		cluster->answer_scope = action->scope;
		return;
	case GOSSIP_JOINED:
		joined(cluster);
		break;
	case GOSSIP_MEMBER_CHANGED:
		log_change(cluster, action);
		break;
	case GOSSIP_MEMBER_RESTARTED:
		log_restart(cluster, action);
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
		met_stranger(cluster, &action->to);
		return;
	}
	cluster->are_routes_old = true;
	note_news(cluster, action);
}

/* ---- turns ---- */

static void set_timer(struct cluster *cluster)
{
	uint64_t deadline_ms = gossip_deadline_ms(cluster->gossip), now_ms = now(cluster);
	uint64_t wait_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
	struct timeval time;

	/* A second at the most: nothing is lost by looking. */
	if (wait_ms > 1000)
		wait_ms = 1000;
	time = (struct timeval){ (time_t)(wait_ms / 1000), (suseconds_t)(wait_ms % 1000 * 1000) };
	event_add(cluster->timer, &time);
}

/* The end of every turn: the workers, the observers and the clock learn what it brought. */
static void settle(struct cluster *cluster)
{
	if (cluster->are_routes_old)
		cluster_publish(cluster);
	tell_news(cluster);
	if (cluster->are_routes_old)
		cluster_publish(cluster);
	set_timer(cluster);
}

static void step(struct cluster *cluster, const struct gossip_event *event)
{
	struct gossip_actions actions = gossip_step(cluster->gossip, now(cluster), event);

	for (uint32_t i = 0; i < actions.count; i++)
		act(cluster, &actions.items[i]);
}

static void run(struct cluster *cluster, const struct gossip_event *event)
{
	step(cluster, event);
	settle(cluster);
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	const struct gossip_event event = { .kind = GOSSIP_TIMER };
	struct cluster *cluster = context;

	(void)fd;
	(void)events;
	for (uint32_t i = 0; i < TIMER_STEPS_MAX; i++) {
		if (gossip_deadline_ms(cluster->gossip) > now(cluster))
			break;
		step(cluster, &event);
	}
	settle(cluster);
}

/* ---- the bus ---- */

/* A founder that waits whether there is a cluster hears one: its earlier life was a member. */
static void hear_members(struct cluster *cluster, const struct node_address *from)
{
	if (!is_in(cluster, CLUSTER_JOINING) || cluster->seed_count > 0)
		return;
	cluster->seeds[cluster->seed_count++] = *from;
	join_policy_init(&cluster->join, cluster->config.self.id, true, true, now(cluster));
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_JOIN,
					     .seeds = cluster->seeds,
					     .seed_count = cluster->seed_count });
}

static void on_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			size_t size)
{
	struct cluster *cluster = context;

	if (gossip_is_joined(cluster->gossip))
		run(cluster,
		    &(struct gossip_event){
			    .kind = GOSSIP_PACKET, .from = *from, .bytes = bytes, .size = size });
	else
		hear_members(cluster, from);
}

static void introduce(void *context, struct bus_peer *self)
{
	const struct cluster *cluster = context;
	const struct node *node = gossip_self(cluster->gossip);

	*self = (struct bus_peer){
		.id = node->id,
		.generation = node->generation,
		.control = node->control,
		.cluster_id = gossip_cluster_id(cluster->gossip),
		.partition_count = cluster->config.partition_count,
		.may_found = cluster->config.may_found && is_in(cluster, CLUSTER_JOINING),
	};
	strcpy(self->name, node->name);
}

/* Whether a node that wants to join bears the name of a member that is alive elsewhere. */
static bool is_name_taken(const struct cluster *cluster, const struct bus_peer *peer)
{
	const struct member *member = membership_find(members(cluster), peer->id);

	return peer->cluster_id == 0 && member && member_state(member) == MEMBER_ALIVE &&
	       member->node.generation != peer->generation &&
	       !node_address_equals(&member->node.control, &peer->control) &&
	       now(cluster) - member->heard_ms < MEMBERSHIP_MAJORITY_WINDOW_MS;
}

static bool is_life_over(const struct cluster *cluster, const struct bus_peer *peer)
{
	const struct member *member = membership_find(members(cluster), peer->id);

	if (!member || peer->cluster_id == 0)
		return false;
	if (member_state(member) == MEMBER_REMOVED)
		return peer->generation <= member->claim.generation;
	return peer->generation < member->node.generation;
}

static enum bus_refusal admit_stranger(const struct cluster *cluster, const struct bus_peer *peer,
				       char *detail)
{
	const struct node *self = gossip_self(cluster->gossip);

	if (peer->id == self->id && peer->generation == self->generation)
		return BUS_REFUSED_SELF;
	if (peer->id == self->id || is_name_taken(cluster, peer)) {
		snprintf(detail, BUS_DETAIL_SIZE,
			 "a running node is named %s; give the joining one another node.name",
			 peer->name);
		return BUS_REFUSED_NAME;
	}
	if (!gossip_is_joined(cluster->gossip)) {
		snprintf(detail, BUS_DETAIL_SIZE, "%s is in no cluster itself", self->name);
		return BUS_REFUSED_NOT_MEMBER;
	}
	if (peer->partition_count != cluster->config.partition_count) {
		snprintf(detail, BUS_DETAIL_SIZE,
			 "the cluster has %u partitions: set storage.partitions to that",
			 cluster->config.partition_count);
		return BUS_REFUSED_PARTITIONS;
	}
	return BUS_ACCEPTED;
}

static enum bus_refusal admit(void *context, const struct bus_open *open, char *detail)
{
	struct cluster *cluster = context;
	const struct bus_peer *peer = &open->peer;
	enum bus_refusal refusal = admit_stranger(cluster, peer, detail);

	if (refusal != BUS_ACCEPTED)
		return refusal;
	if (peer->cluster_id != 0 && peer->cluster_id != gossip_cluster_id(cluster->gossip)) {
		snprintf(detail, BUS_DETAIL_SIZE,
			 "two clusters of this name were founded apart: stop one, and start its "
			 "nodes with cluster.join");
		met_stranger(cluster, &peer->control);
		return BUS_REFUSED_CLUSTER;
	}
	if (is_life_over(cluster, peer)) {
		snprintf(detail, BUS_DETAIL_SIZE, "%s was removed, or has started anew since",
			 peer->name);
		return BUS_REFUSED_GONE;
	}
	if (peer->cluster_id == 0 && strcmp(open->service, CLUSTER_EXCHANGE_SERVICE) != 0)
		return BUS_REFUSED_NOT_MEMBER;
	return BUS_ACCEPTED;
}

/* ---- exchanges ---- */

static int give_state(void *context, bool is_request, enum gossip_scope scope, uint8_t *bytes,
		      size_t size_max)
{
	struct cluster *cluster = context;

	return gossip_state(cluster->gossip, is_request, scope, bytes, size_max);
}

static bool take_state(void *context, const uint8_t *bytes, size_t size, enum gossip_scope *scope)
{
	struct cluster *cluster = context;

	cluster->is_answer_wanted = false;
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_STATE, .bytes = bytes, .size = size });
	*scope = cluster->answer_scope;
	return cluster->is_answer_wanted;
}

static void give_up_joining(struct cluster *cluster)
{
	move_to(cluster, CLUSTER_WAITING);
	cluster->seed_count = 0;
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_JOIN });
	log_error(cluster->options.log, "cluster", "cannot join", "%s", cluster->join.reason);
	if (!cluster->is_join_asked)
		end(cluster, CLUSTER_END_CANNOT_JOIN);
}

static void found(struct cluster *cluster)
{
	uint64_t id = world_random_below(cluster->options.world, UINT64_MAX) + 1;

	log_info(cluster->options.log, "cluster", "founds a cluster");
	for (uint32_t p = 0; p < cluster->config.partition_count; p++)
		partition_set_add(&cluster->held, p);
	fence_open(&cluster->fence);
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_BOOTSTRAP,
					     .partition_count = cluster->config.partition_count,
					     .id = id });
}

static void follow(struct cluster *cluster, enum join_verdict verdict)
{
	if (verdict == JOIN_FOUND)
		found(cluster);
	else if (verdict == JOIN_GIVE_UP)
		give_up_joining(cluster);
}

static void join_failed(struct cluster *cluster, const struct node_address *to,
			const struct bus_close *close)
{
	follow(cluster, join_policy_failed(&cluster->join, now(cluster), to, close));
	if (is_in(cluster, CLUSTER_JOINING))
		log_info(cluster->options.log, "cluster", "not joined yet", "%s",
			 cluster->join.reason);
}

static void follow_fence(struct cluster *cluster, enum fence_step step);

static void exchange_done(void *context, const struct node_address *to,
			  const struct cluster_exchange_purpose *purpose,
			  const struct bus_close *close)
{
	struct cluster *cluster = context;

	if (purpose->kind == PURPOSE_FENCE)
		follow_fence(cluster,
			     fence_answered(&cluster->fence, now(cluster), purpose->round, !close));
	if (close && close->kind == BUS_CLOSE_REFUSED && close->refusal == BUS_REFUSED_CLUSTER)
		met_stranger(cluster, to);
	if (close && is_in(cluster, CLUSTER_JOINING))
		join_failed(cluster, to, close);
}

/* ---- the fence ---- */

/* Everybody who lives is asked for all that it knows; what could not be asked counts as no answer. */
static void ask_members(struct cluster *cluster)
{
	const struct cluster_exchange_purpose purpose = { PURPOSE_FENCE, cluster->fence.round };
	uint32_t count = 0, begun = 0;

	for (uint32_t i = 1; i < membership_index_end(members(cluster)); i++) {
		const struct member *member = membership_at(members(cluster), i);

		if (!member || member_state(member) != MEMBER_ALIVE || count == FENCE_ASK_MAX)
			continue;
		count++;
		if (cluster_exchange_begin(cluster->exchange, &member->node.control,
					   GOSSIP_SCOPE_ALL, &purpose) == 0)
			begun++;
	}
	follow_fence(cluster, fence_asked(&cluster->fence, count));
	for (; begun < count; begun++)
		follow_fence(cluster,
			     fence_answered(&cluster->fence, now(cluster), purpose.round, false));
}

static void follow_fence(struct cluster *cluster, enum fence_step step)
{
	switch (step) {
	case FENCE_NOTHING:
		return;
	case FENCE_DO_ASK:
		ask_members(cluster);
		return;
	case FENCE_DO_CLOSE:
		if (cluster->config.is_fencing)
			log_error(cluster->options.log, "cluster",
				  "no majority of the members is seen: this node stops serving its "
				  "partitions; mend the network, or remove dead members",
				  "after_ms=%u", cluster->config.fence_ms);
		break;
	case FENCE_DO_OPEN:
		log_info(cluster->options.log, "cluster", "a majority is seen, and all have told",
			 "nodes=%u", membership_live_count(members(cluster)));
		break;
	}
	cluster->are_routes_old = true;
}

static void tick_fence(struct cluster *cluster)
{
	uint64_t now_ms = now(cluster);

	follow_fence(cluster, fence_tick(&cluster->fence, now_ms,
					 membership_majority_seen_ms(members(cluster), now_ms),
					 membership_sees_majority(members(cluster), now_ms)));
}

/* ---- partitions of an earlier life ---- */

/* The partitions that somebody may yet bring: a member takes or gives them, or this node does. */
static void collect_moving(const struct cluster *cluster, struct partition_set *moving)
{
	partition_set_clear(moving);
	for (uint32_t i = 0; i < membership_index_end(members(cluster)); i++) {
		const struct member *member = membership_at(members(cluster), i);

		if (!member || (i > 0 && member_state(member) > MEMBER_SUSPECT))
			continue;
		for (uint32_t w = 0; w < PARTITION_SET_WORD_COUNT; w++)
			moving->words[w] |= member->node.importing_partitions.words[w] |
					    member->node.migrating_partitions.words[w];
	}
}

static bool is_mine_but_not_held(const struct cluster *cluster, uint32_t partition)
{
	return partition_map_owner(gossip_map(cluster->gossip), partition) ==
		       cluster->config.self.id &&
	       !partition_set_has(&cluster->held, partition);
}

/* Takes back, empty, what this node owned when it died: the data went with its memory, and only the
 * owner may raise the epoch.
 */
static void take_back(struct cluster *cluster)
{
	const struct partition_map *map = gossip_map(cluster->gossip);
	struct partition_set moving;
	uint32_t count = 0;

	collect_moving(cluster, &moving);
	for (uint32_t p = 0; p < map->partition_count; p++) {
		if (!is_mine_but_not_held(cluster, p) || partition_set_has(&moving, p) ||
		    cluster_take(cluster, p, partition_map_epoch(map, p)) != 0)
			continue;
		cluster_hold(cluster, p, true);
		count++;
	}
	if (count > 0)
		log_warning(cluster->options.log, "cluster",
			    "serves again, empty, the partitions it had when it ended: their data "
			    "was lost with its memory",
			    "partitions=%u", count);
}

static void tick_take_back(struct cluster *cluster)
{
	const struct partition_map *map = gossip_map(cluster->gossip);

	if (!fence_is_open(&cluster->fence) || cluster->is_excluded ||
	    !cluster_sees_majority(cluster))
		return;
	for (uint32_t p = 0; p < map->partition_count; p++) {
		if (is_mine_but_not_held(cluster, p)) {
			take_back(cluster);
			return;
		}
	}
}

/* ---- leaving ---- */

static void announce_state(struct cluster *cluster, enum node_state state)
{
	struct node self = *gossip_self(cluster->gossip);

	self.state = state;
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

static uint32_t owned_count(const struct cluster *cluster, uint64_t id)
{
	return partition_map_count_owned(gossip_map(cluster->gossip), id);
}

static void tick_leaving(struct cluster *cluster)
{
	const struct node *self = gossip_self(cluster->gossip);

	if (owned_count(cluster, self->id) > 0 ||
	    !partition_set_is_empty(&self->migrating_partitions) ||
	    !partition_set_is_empty(&self->importing_partitions))
		return;
	move_to(cluster, CLUSTER_LEFT);
	log_info(cluster->options.log, "cluster", "has left", "name=%s", cluster->config.name);
	cluster->goodbye_until_ms = now(cluster) + GOODBYE_MS;
	announce_state(cluster, NODE_LEFT);
}

static void tick_left(struct cluster *cluster)
{
	if (gossip_pending(cluster->gossip) == 0 || now(cluster) >= cluster->goodbye_until_ms)
		end(cluster, CLUSTER_END_LEFT);
}

static void on_tick(evutil_socket_t fd, short events, void *context)
{
	struct cluster *cluster = context;

	(void)fd;
	(void)events;
	switch (cluster->machine.state) {
	case CLUSTER_JOINING:
		follow(cluster, join_policy_tick(&cluster->join, now(cluster)));
		break;
	case CLUSTER_LEAVING:
		tick_leaving(cluster);
		break;
	case CLUSTER_LEFT:
		tick_left(cluster);
		break;
	}
	if (cluster->bus && gossip_is_joined(cluster->gossip)) {
		tick_fence(cluster);
		tick_take_back(cluster);
	}
	settle(cluster);
}

/* ---- what the operator wants ---- */

__attribute__((format(printf, 3, 4))) static int refuse(char *error, int result, const char *format,
							...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, CLUSTER_ERROR_SIZE, format, arguments);
	va_end(arguments);
	return result;
}

static int need_bus(const struct cluster *cluster, char *error)
{
	return cluster->bus ? 0
			    : refuse(error, -ENOTSUP,
				     "this node has no cluster bus: start it with cluster.listen");
}

static int need_waiting(const struct cluster *cluster, char *error)
{
	int result = need_bus(cluster, error);

	if (result != 0 || is_in(cluster, CLUSTER_WAITING))
		return result;
	if (is_in(cluster, CLUSTER_JOINING))
		return refuse(error, -EBUSY, "this node is joining a cluster already");
	return refuse(error, -EALREADY, "this node is a member of cluster %s already",
		      cluster->config.name);
}

int cluster_found(struct cluster *cluster, char *error)
{
	int result = need_waiting(cluster, error);

	if (result == 0)
		found(cluster);
	return result;
}

static void start_joining(struct cluster *cluster, bool may_found, bool is_asked)
{
	cluster->is_join_asked = is_asked;
	join_policy_init(&cluster->join, cluster->config.self.id, may_found,
			 cluster->seed_count > 0, now(cluster));
	move_to(cluster, CLUSTER_JOINING);
	if (cluster->seed_count > 0)
		run(cluster, &(struct gossip_event){ .kind = GOSSIP_JOIN,
						     .seeds = cluster->seeds,
						     .seed_count = cluster->seed_count });
}

int cluster_join(struct cluster *cluster, const struct node_address *seeds, uint32_t seed_count,
		 char *error)
{
	int result = need_waiting(cluster, error);

	if (result != 0)
		return result;
	if (seed_count == 0 || seed_count > GOSSIP_SEED_COUNT_MAX)
		return refuse(error, -EINVAL, "expected 1 to %u addresses of members",
			      GOSSIP_SEED_COUNT_MAX);
	memcpy(cluster->seeds, seeds, seed_count * sizeof(*seeds));
	cluster->seed_count = seed_count;
	start_joining(cluster, false, true);
	return 0;
}

int cluster_leave(struct cluster *cluster, bool is_leaving, char *error)
{
	int result = need_bus(cluster, error);

	if (result != 0)
		return result;
	if (is_in(cluster, is_leaving ? CLUSTER_LEAVING : CLUSTER_MEMBER))
		return 0;
	if (!is_in(cluster, CLUSTER_MEMBER) && !is_in(cluster, CLUSTER_LEAVING))
		return refuse(error, -ENOENT, "this node is in no cluster");
	if (is_leaving && membership_live_count(members(cluster)) < 2)
		return refuse(
			error, -EPERM,
			"this node is the only living member: nobody can take its partitions; "
			"stop it instead");
	move_to(cluster, is_leaving ? CLUSTER_LEAVING : CLUSTER_MEMBER);
	log_info(cluster->options.log, "cluster", is_leaving ? "leaves" : "stays after all");
	announce_state(cluster, is_leaving ? NODE_LEAVING : NODE_ACTIVE);
	for (uint32_t o = 0; o < cluster->observer_count; o++) {
		if (cluster->observers[o]->leaving)
			cluster->observers[o]->leaving(cluster->observers[o]->context, is_leaving);
	}
	return 0;
}

static const struct member *find_by_name(const struct cluster *cluster, const char *name)
{
	return node_name_is_valid(name) ? membership_find(members(cluster), node_id_of_name(name))
					: NULL;
}

int cluster_remove(struct cluster *cluster, const char *name, char *error)
{
	const struct member *member = find_by_name(cluster, name);
	uint32_t owned;

	if (!member || member_state(member) == MEMBER_REMOVED)
		return refuse(error, -ENOENT,
			      "no member is named %.64s; godwitctl nodes lists them", name);
	if (member->node.id == cluster->config.self.id)
		return refuse(error, -EPERM,
			      "a node does not remove itself: ask another one, or let it leave");
	if (member_state(member) == MEMBER_ALIVE || member_state(member) == MEMBER_SUSPECT)
		return refuse(error, -EBUSY,
			      "%s is alive: let it leave (godwitctl cluster leave at its admin "
			      "address), or stop it first",
			      name);
	owned = owned_count(cluster, member->node.id);
	if (owned > 0)
		return refuse(
			error, -EBUSY,
			"%s owns %u partitions, and has the only copy of them: bring it back, "
			"or give them up with godwitctl partition claim --of %s "
			"--accept-data-loss",
			name, owned, name);
	log_warning(cluster->options.log, "cluster", "a member is removed by the operator",
		    "node=%s", name);
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_REMOVE, .id = member->node.id });
	return 0;
}

/* Whether nobody can come back with the partition's data. */
static int need_ownerless(const struct cluster *cluster, uint32_t partition, char *error)
{
	uint64_t owner = partition_map_owner(gossip_map(cluster->gossip), partition);
	const struct member *member = membership_find(members(cluster), owner);

	if (member && member_state(member) <= MEMBER_SUSPECT)
		return refuse(error, -EBUSY,
			      "partition %u belongs to %s, which is alive: move it with godwitctl "
			      "migrate",
			      partition, member->node.name);
	return 0;
}

int cluster_claim(struct cluster *cluster, uint32_t partition, char *error)
{
	const struct partition_map *map = gossip_map(cluster->gossip);
	struct partition_set moving;
	int result;

	if (!is_in(cluster, CLUSTER_MEMBER))
		return refuse(error, -EPERM, "this node is no member of a cluster at present");
	if (partition >= map->partition_count)
		return refuse(error, -EINVAL, "there are partitions 0 to %u",
			      map->partition_count - 1);
	result = need_ownerless(cluster, partition, error);
	if (result != 0)
		return result;
	if (!cluster_sees_majority(cluster) || !fence_is_open(&cluster->fence))
		return refuse(
			error, -EAGAIN,
			"this node sees no majority of the members: it must not take anything");
	collect_moving(cluster, &moving);
	if (partition_set_has(&moving, partition))
		return refuse(error, -EBUSY,
			      "partition %u is being migrated",
			      partition);
	result = cluster_take(cluster, partition, partition_map_epoch(map, partition));
	if (result != 0)
		return refuse(error, result, "cannot take partition %u: %s", partition,
			      strerror(-result));
	log_warning(cluster->options.log, "cluster", "the operator gave up a partition's data",
		    "partition=%u", partition);
	cluster_hold(cluster, partition, true);
	settle(cluster);
	return 0;
}

int cluster_reload_keys(struct cluster *cluster, char *error)
{
	struct bus_keys keys;
	int result = need_bus(cluster, error);

	if (result != 0)
		return result;
	if (cluster->config.key_file[0] == '\0')
		return refuse(error, -ENOTSUP, "the bus of this node is insecure: it has no key");
	result = cluster_config_read_keys(&keys, cluster->config.key_file, error,
					  CLUSTER_ERROR_SIZE);
	if (result != 0)
		return result;
	cluster->config.keys = keys;
	bus_transport_set_keys(cluster->bus, &keys);
	log_info(cluster->options.log, "cluster", "keys read again", "keys=%u", keys.count);
	return 0;
}

/* ---- for this node's other parts ---- */

void cluster_set_stalled(struct cluster *cluster, bool is_stalled)
{
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_STALLED, .is_stalled = is_stalled });
}

void cluster_set_load(struct cluster *cluster, const struct node_load *load)
{
	struct node self = *gossip_self(cluster->gossip);

	self.load = *load;
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

void cluster_announce(struct cluster *cluster, const struct partition_set *importing,
		      const struct partition_set *migrating)
{
	struct node self = *gossip_self(cluster->gossip);

	self.importing_partitions = *importing;
	self.migrating_partitions = *migrating;
	run(cluster, &(struct gossip_event){ .kind = GOSSIP_UPDATE_SELF, .node = &self });
}

void cluster_hold(struct cluster *cluster, uint32_t partition, bool is_held)
{
	if (is_held)
		partition_set_add(&cluster->held, partition);
	else
		partition_set_remove(&cluster->held, partition);
	cluster->are_routes_old = true;
}

/* The three below return no actions, so what follows from a new map is done here. */
static void map_changed(struct cluster *cluster)
{
	const struct gossip_action action = { .kind = GOSSIP_MAP_CHANGED };

	note_news(cluster, &action);
	set_timer(cluster);
}

int cluster_hand_over(struct cluster *cluster, uint32_t partition, uint64_t to)
{
	int result = gossip_hand_over(cluster->gossip, now(cluster), partition, to);

	if (result == 0)
		map_changed(cluster);
	return result;
}

int cluster_take(struct cluster *cluster, uint32_t partition, uint32_t epoch_seen)
{
	int result = gossip_claim(cluster->gossip, now(cluster), partition, epoch_seen);

	if (result == 0)
		map_changed(cluster);
	return result;
}

bool cluster_learn(struct cluster *cluster, const struct partition_owner *owner)
{
	bool is_news = gossip_learn(cluster->gossip, now(cluster), owner);

	if (is_news)
		map_changed(cluster);
	return is_news;
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

bool cluster_sees_majority(const struct cluster *cluster)
{
	return membership_sees_majority(members(cluster), now(cluster));
}

const struct partition_set *cluster_held(const struct cluster *cluster)
{
	return &cluster->held;
}

struct bus_transport *cluster_bus(struct cluster *cluster)
{
	return cluster->bus;
}

void cluster_bus_counters(const struct cluster *cluster, struct bus_counters *counters)
{
	memset(counters, 0, sizeof(*counters));
	if (cluster->bus)
		bus_transport_counters(cluster->bus, counters);
}

const char *cluster_stranger(const struct cluster *cluster)
{
	return cluster->stranger;
}

/* ---- life ---- */

static int create_bus(struct cluster *cluster, char *error, size_t error_size)
{
	const struct cluster_config *config = &cluster->config;
	const struct bus_transport_options options = {
		.base = cluster->options.base,
		.world = cluster->options.world,
		.log = cluster->options.log,
		.cluster_name = config->name,
		.keys = config->keys.count > 0 ? &config->keys : NULL,
		.listen_ipv4 = config->listen_ipv4,
		.listen_port = config->listen_port,
		.introduce = introduce,
		.admit = admit,
		.datagram = on_datagram,
		.context = cluster,
	};
	const struct cluster_exchange_host host = { cluster, give_state, take_state,
						    exchange_done };
	int result = bus_transport_create(&cluster->bus, &options, error, error_size);

	if (result != 0)
		return result;
	snprintf(error, error_size, "out of memory");
	if (config->keys.count == 0)
		log_warning(cluster->options.log, "cluster",
			    "cluster.insecure_bus: whoever reaches the bus can read and forge all");
	return cluster_exchange_create(&cluster->exchange, cluster->bus, cluster->options.base,
				       &host);
}

static int create_gossip(struct cluster *cluster)
{
	struct gossip_options options = {
		.membership = { .node_count_max = cluster->config.has_bus ? NODE_COUNT_MAX : 1,
				.probe_interval_ms = cluster->config.probe_ms,
				.probe_timeout_ms = cluster->config.probe_ms * 2 / 5 },
		.partition_count_max = cluster->config.partition_count,
	};

	options.membership.seed = world_random_u64(cluster->options.world);
	return gossip_create(&cluster->gossip, &options, &cluster->config.self, now(cluster));
}

static int create_parts(struct cluster *cluster, char *error, size_t error_size)
{
	const struct timeval tick = { 0, TICK_MS * 1000 };
	int result;

	snprintf(error, error_size, "out of memory");
	result = create_gossip(cluster);
	if (result != 0)
		return result;
	cluster->timer = evtimer_new(cluster->options.base, on_timer, cluster);
	cluster->tick = event_new(cluster->options.base, -1, EV_PERSIST, on_tick, cluster);
	if (!cluster->timer || !cluster->tick || event_add(cluster->tick, &tick) != 0)
		return -ENOMEM;
	result = publish_nothing(cluster);
	return result == 0 && cluster->config.has_bus ? create_bus(cluster, error, error_size)
						      : result;
}

/* What the configuration says is to be done first. */
static void start(struct cluster *cluster)
{
	const struct cluster_config *config = &cluster->config;

	if (!config->has_bus) {
		found(cluster);
		return;
	}
	memcpy(cluster->seeds, config->seeds, config->seed_count * sizeof(config->seeds[0]));
	cluster->seed_count = config->seed_count;
	if (config->may_found || config->seed_count > 0)
		start_joining(cluster, config->may_found, false);
	else
		log_warning(cluster->options.log, "cluster",
			    "in no cluster: godwitctl cluster create or join, or cluster.bootstrap "
			    "or cluster.join");
}

int cluster_create(struct cluster **cluster, const struct cluster_options *options, char *error,
		   size_t error_size)
{
	struct cluster *new = calloc(1, sizeof(*new));
	int result;

	if (!new) {
		snprintf(error, error_size, "out of memory");
		return -ENOMEM;
	}
	new->config = *options->config;
	new->options = *options;
	state_machine_init(&new->machine, &phase_kind, CLUSTER_WAITING);
	fence_init(&new->fence, new->config.fence_ms);
	result = create_parts(new, error, error_size);
	if (result != 0) {
		cluster_destroy(new);
		return result;
	}
	start(new);
	*cluster = new;
	return 0;
}

void cluster_destroy(struct cluster *cluster)
{
	if (!cluster)
		return;
	if (cluster->timer)
		event_free(cluster->timer);
	if (cluster->tick)
		event_free(cluster->tick);
	bus_transport_destroy(cluster->bus);
	cluster_exchange_destroy(cluster->exchange);
	gossip_destroy(cluster->gossip);
	free(cluster->news);
	free(cluster);
}
