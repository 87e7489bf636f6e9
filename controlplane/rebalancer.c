/* SPDX-License-Identifier: BSD-3-Clause */
/* Goals, and the steps towards them. */
#include "controlplane/rebalancer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct state_machine_kind rebalancer_kind = {
	.name = "rebalancer",
	.state_count = REBALANCER_STATE_COUNT,
	.state_names = { "idle", "settling", "moving" },
	.allowed = {
		[REBALANCER_IDLE] = STATE_MACHINE_TO(REBALANCER_SETTLING),
		[REBALANCER_SETTLING] = STATE_MACHINE_TO(REBALANCER_MOVING) |
					STATE_MACHINE_TO(REBALANCER_IDLE),
		[REBALANCER_MOVING] = STATE_MACHINE_TO(REBALANCER_SETTLING) |
				      STATE_MACHINE_TO(REBALANCER_IDLE),
	},
};

static bool is_in(const struct rebalancer *rebalancer, enum rebalancer_state state)
{
	return rebalancer->machine.state == state;
}

static void move_to(struct rebalancer *rebalancer, enum rebalancer_state state)
{
	if (!is_in(rebalancer, state))
		state_machine_move(&rebalancer->machine, state, rebalancer);
}

void rebalancer_init(struct rebalancer *rebalancer, uint64_t seed)
{
	memset(rebalancer, 0, sizeof(*rebalancer));
	state_machine_init(&rebalancer->machine, &rebalancer_kind, REBALANCER_IDLE);
	prng_init(&rebalancer->prng, seed);
}

/* ---- the view ---- */

static int compare_ids(const void *a, const void *b)
{
	const struct rebalancer_member *left = a;
	const struct rebalancer_member *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

static const struct rebalancer_member *find_member(const struct rebalancer_view *view, uint64_t id)
{
	const struct rebalancer_member key = { .id = id };

	return bsearch(&key, view->members, view->member_count, sizeof(key), compare_ids);
}

/* What decides about a plan, whatever the members' order; the number of a goal. */
static uint64_t number_of_members(const struct rebalancer_view *view)
{
	uint64_t sum = 0, movable = 0;
	struct prng mix;

	for (uint32_t i = 0; i < view->member_count; i++) {
		const struct rebalancer_member *member = &view->members[i];

		prng_init(&mix, member->id + prng_next(&(struct prng){ member->weight * 2u +
								       member->is_leaving }));
		sum += prng_next(&mix);
	}
	for (uint32_t p = 0; p < view->map->partition_count; p++)
		movable += find_member(view, partition_map_owner(view->map, p)) != NULL;
	prng_init(&mix, sum + movable);
	return prng_next(&mix) | 1;
}

int rebalancer_plan(const struct rebalancer_view *view, struct rebalance_plan *plan)
{
	struct rebalance_member members[NODE_COUNT_MAX];

	if (view->member_count > NODE_COUNT_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < view->member_count; i++)
		members[i] = (struct rebalance_member){
			.id = view->members[i].id,
			.weight = view->members[i].is_leaving ? 0 : view->members[i].weight,
		};
	return rebalance_plan_make(plan, view->map, members, view->member_count);
}

/* ---- the goal ---- */

static void keep_moves(struct rebalance_plan *plan,
		       bool (*is_kept)(const struct rebalancer *rebalancer,
				       const struct rebalancer_view *view,
				       const struct rebalance_move *move),
		       const struct rebalancer *rebalancer, const struct rebalancer_view *view)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < plan->move_count; i++) {
		if (is_kept(rebalancer, view, &plan->moves[i]))
			plan->moves[kept++] = plan->moves[i];
	}
	plan->move_count = kept;
}

static bool is_of_goal(const struct rebalancer *rebalancer, const struct rebalancer_view *view,
		       const struct rebalance_move *move)
{
	if (find_member(view, move->from)->is_leaving)
		return true;
	return (view->is_auto || rebalancer->is_asked) &&
	       !partition_set_has(&rebalancer->set_aside, move->partition);
}

static void make_goal(struct rebalancer *rebalancer, const struct rebalancer_view *view)
{
	rebalancer_plan(view, &rebalancer->plan);
	keep_moves(&rebalancer->plan, is_of_goal, rebalancer, view);
}

static bool has_move(const struct rebalance_plan *plan, uint32_t partition, uint64_t to)
{
	uint32_t low = 0, high = plan->move_count;

	while (low < high) {
		uint32_t middle = (low + high) / 2;

		if (plan->moves[middle].partition < partition)
			low = middle + 1;
		else
			high = middle;
	}
	return low < plan->move_count && plan->moves[low].partition == partition &&
	       (to == 0 || plan->moves[low].to == to);
}

/* Whether 'member' takes or gives something that the goal does not want. What has arrived, or left, is not on
 * its way any more.
 */
static bool moves_otherwise(const struct rebalancer *rebalancer, const struct rebalancer_view *view,
			    const struct rebalancer_member *member)
{
	for (uint32_t p = 0; p < view->map->partition_count; p++) {
		bool is_owner = partition_map_owner(view->map, p) == member->id;

		if (!is_owner && partition_set_has(member->importing, p) &&
		    !has_move(&rebalancer->plan, p, member->id))
			return true;
		if (is_owner && partition_set_has(member->migrating, p) &&
		    !has_move(&rebalancer->plan, p, 0))
			return true;
	}
	return false;
}

/* Whether something is on its way by hand, or for an older goal. */
static bool has_other_moves(const struct rebalancer *rebalancer, const struct rebalancer_view *view)
{
	for (uint32_t i = 0; i < view->member_count; i++) {
		const struct rebalancer_member *member = &view->members[i];

		if ((!partition_set_is_empty(member->importing) ||
		     !partition_set_is_empty(member->migrating)) &&
		    moves_otherwise(rebalancer, view, member))
			return true;
	}
	return false;
}

static void settle(struct rebalancer *rebalancer, uint64_t now_ms, uint32_t wait_ms)
{
	move_to(rebalancer, REBALANCER_SETTLING);
	rebalancer->settled_at_ms = now_ms + wait_ms;
	rebalancer->is_abandoned = false;
	rebalancer->plan.move_count = 0;
	rebalancer->failures = 0;
	rebalancer->retry_at_ms = 0;
	memset(rebalancer->tries, 0, sizeof(rebalancer->tries));
	partition_set_clear(&rebalancer->set_aside);
}

void rebalancer_ask(struct rebalancer *rebalancer, uint64_t now_ms)
{
	rebalancer->is_asked = true;
	settle(rebalancer, now_ms, 0);
}

static void rest(struct rebalancer *rebalancer)
{
	move_to(rebalancer, REBALANCER_IDLE);
	rebalancer->is_asked = false;
	rebalancer->plan.move_count = 0;
}

static bool is_anyone_leaving(const struct rebalancer_view *view)
{
	for (uint32_t i = 0; i < view->member_count; i++) {
		if (view->members[i].is_leaving)
			return true;
	}
	return false;
}

static bool has_goal(const struct rebalancer *rebalancer, const struct rebalancer_view *view)
{
	return view->is_auto || rebalancer->is_asked || is_anyone_leaving(view);
}

static void watch_members(struct rebalancer *rebalancer, uint64_t now_ms,
			  const struct rebalancer_view *view)
{
	uint64_t members = number_of_members(view);
	bool is_news = members != rebalancer->members;

	rebalancer->members = members;
	if (!has_goal(rebalancer, view)) {
		rest(rebalancer);
	} else if (is_news) {
		settle(rebalancer, now_ms, REBALANCER_SETTLE_MS);
	} else if (is_in(rebalancer, REBALANCER_IDLE) && is_anyone_leaving(view)) {
		/* whatever else happens, a node that leaves is emptied */
		make_goal(rebalancer, view);
		if (rebalancer->plan.move_count > 0)
			settle(rebalancer, now_ms, REBALANCER_SETTLE_MS);
	}
}

/* ---- orders ---- */

static void count_try(struct rebalancer *rebalancer, uint32_t partition)
{
	if (rebalancer->tries[partition] < UINT8_MAX)
		rebalancer->tries[partition]++;
}

static void count_failure(struct rebalancer *rebalancer, uint64_t now_ms, uint32_t partition)
{
	uint64_t pause_ms = (uint64_t)REBALANCER_RETRY_MS
			    << (rebalancer->failures < 16 ? rebalancer->failures : 16);

	if (pause_ms > REBALANCER_RETRY_MS_MAX)
		pause_ms = REBALANCER_RETRY_MS_MAX;
	pause_ms = pause_ms * 3 / 4 + prng_below(&rebalancer->prng, (uint32_t)pause_ms / 2);
	rebalancer->failures++;
	rebalancer->retry_at_ms = now_ms + pause_ms;
	count_try(rebalancer, partition);
}

void rebalancer_refused(struct rebalancer *rebalancer, uint32_t partition)
{
	partition_set_remove(&rebalancer->ordered, partition);
	count_try(rebalancer, partition);
}

void rebalancer_set_aside(struct rebalancer *rebalancer, uint32_t partition)
{
	partition_set_add(&rebalancer->set_aside, partition);
}

/* What became of the orders that were given out. */
static void watch_orders(struct rebalancer *rebalancer, uint64_t now_ms,
			 const struct rebalancer_view *view)
{
	for (uint32_t p = partition_set_next(&rebalancer->ordered, 0); p < PARTITION_COUNT_MAX;
	     p = partition_set_next(&rebalancer->ordered, p + 1)) {
		if (partition_map_owner(view->map, p) == view->self)
			rebalancer->failures = 0;
		else if (partition_set_has(view->running, p))
			continue;
		else if (!partition_set_has(&rebalancer->set_aside, p))
			count_failure(rebalancer, now_ms, p);
		partition_set_remove(&rebalancer->ordered, p);
	}
}

static bool is_for_now(const struct rebalancer *rebalancer, const struct rebalancer_view *view,
		       const struct rebalance_move *move)
{
	(void)rebalancer;
	return move->to == view->self && !find_member(view, move->from)->is_suspect;
}

/* Those that failed least often first: one that cannot be moved must not keep back the others. */
static void keep_least_tried(struct rebalancer *rebalancer, struct rebalance_plan *plan,
			     const struct partition_set *running)
{
	uint8_t least = UINT8_MAX;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < plan->move_count; i++) {
		uint32_t p = plan->moves[i].partition;

		if (!partition_set_has(running, p) && rebalancer->tries[p] < least)
			least = rebalancer->tries[p];
	}
	for (uint32_t i = 0; i < plan->move_count; i++) {
		if (rebalancer->tries[plan->moves[i].partition] <= least)
			plan->moves[kept++] = plan->moves[i];
	}
	plan->move_count = kept;
}

/* Adds what the plan gives to this node to its importing partitions; what is new among them is ordered. */
static uint32_t give_orders(struct rebalancer *rebalancer, const struct rebalancer_view *view,
			    uint32_t *orders)
{
	struct rebalance_plan mine = rebalancer->plan;
	struct node self = { .id = view->self, .importing_partitions = *view->running };
	uint32_t count = 0;

	keep_moves(&mine, is_for_now, rebalancer, view);
	keep_least_tried(rebalancer, &mine, view->running);
	rebalance_plan_import(&mine, &self,
			      view->parallel_max < REBALANCER_PARALLEL_MAX
				      ? view->parallel_max
				      : REBALANCER_PARALLEL_MAX);
	for (uint32_t p = partition_set_next(&self.importing_partitions, 0);
	     p < PARTITION_COUNT_MAX; p = partition_set_next(&self.importing_partitions, p + 1)) {
		if (partition_set_has(view->running, p))
			continue;
		partition_set_add(&rebalancer->ordered, p);
		orders[count++] = p;
	}
	return count;
}

/* Whether something of the goal is this node's to do, on its way, or cannot be left as it is. */
static bool is_going_on(const struct rebalancer *rebalancer, const struct rebalancer_view *view)
{
	for (uint32_t i = 0; i < rebalancer->plan.move_count; i++) {
		const struct rebalance_move *move = &rebalancer->plan.moves[i];

		if (move->to == view->self || find_member(view, move->from)->is_leaving ||
		    partition_set_has(find_member(view, move->to)->importing, move->partition))
			return true;
	}
	return false;
}

/* Else a goal that others do not share would last for ever, and undo what the operator moves by hand later. */
static bool is_abandoned(struct rebalancer *rebalancer, uint64_t now_ms,
			 const struct rebalancer_view *view)
{
	if (!is_in(rebalancer, REBALANCER_MOVING) || is_going_on(rebalancer, view))
		rebalancer->going_on_ms = now_ms;
	rebalancer->is_abandoned = now_ms - rebalancer->going_on_ms >= REBALANCER_PATIENCE_MS;
	return rebalancer->is_abandoned;
}

uint32_t rebalancer_step(struct rebalancer *rebalancer, uint64_t now_ms,
			 const struct rebalancer_view *view, uint32_t *orders)
{
	watch_orders(rebalancer, now_ms, view);
	if (!view->is_able)
		return 0;
	watch_members(rebalancer, now_ms, view);
	if (is_in(rebalancer, REBALANCER_IDLE))
		return 0;
	make_goal(rebalancer, view);
	if (is_in(rebalancer, REBALANCER_SETTLING) &&
	    (now_ms < rebalancer->settled_at_ms || has_other_moves(rebalancer, view))) {
		rebalancer->plan.move_count = 0;
		return 0;
	}
	if (rebalancer->plan.move_count == 0 || is_abandoned(rebalancer, now_ms, view)) {
		rest(rebalancer);
		return 0;
	}
	move_to(rebalancer, REBALANCER_MOVING);
	return now_ms >= rebalancer->retry_at_ms ? give_orders(rebalancer, view, orders) : 0;
}

/* ---- what is known ---- */

uint64_t rebalancer_goal(const struct rebalancer *rebalancer)
{
	return rebalancer->members | 1;
}

uint32_t rebalancer_moves_left(const struct rebalancer *rebalancer)
{
	return is_in(rebalancer, REBALANCER_MOVING) ? rebalancer->plan.move_count : 0;
}

bool rebalancer_has_move(const struct rebalancer *rebalancer, uint32_t partition, uint64_t to)
{
	return is_in(rebalancer, REBALANCER_MOVING) && has_move(&rebalancer->plan, partition, to);
}
