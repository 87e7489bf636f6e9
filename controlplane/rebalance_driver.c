/* SPDX-License-Identifier: BSD-3-Clause */
/* Looks, steps, imports: a few times a second. */
#include "controlplane/rebalance_driver.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "controlplane/rebalancer.h"

#define VIEW_COUNT_MAX 256u

struct rebalance_driver {
	struct rebalance_driver_options options;
	struct rebalancer rebalancer;
	struct rebalancer_member members[NODE_COUNT_MAX]; /* of the last look */
	struct partition_set running;
	struct migration_view views[VIEW_COUNT_MAX];
};

static int compare_members(const void *a, const void *b)
{
	const struct rebalancer_member *left = a, *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

static uint32_t look_at_members(const struct rebalance_driver *driver,
				struct rebalancer_member *members)
{
	const struct membership *membership =
		gossip_membership(cluster_gossip(driver->options.cluster));
	uint32_t count = 0;

	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		if (!member || member_state(member) > MEMBER_SUSPECT || count == NODE_COUNT_MAX)
			continue;
		members[count++] = (struct rebalancer_member){
			.id = member->node.id,
			.weight = member->node.weight,
			.is_leaving = member->node.state == NODE_LEAVING,
			.is_suspect = member_state(member) == MEMBER_SUSPECT,
			.importing = &member->node.importing_partitions,
			.migrating = &member->node.migrating_partitions,
		};
	}
	qsort(members, count, sizeof(*members), compare_members);
	return count;
}

static bool is_able(const struct cluster *cluster)
{
	enum cluster_phase phase = cluster_phase(cluster);

	return (phase == CLUSTER_MEMBER || phase == CLUSTER_LEAVING) &&
	       cluster_is_serving(cluster) && cluster_sees_majority(cluster);
}

/* The view borrows from the driver. */
static struct rebalancer_view look(const struct rebalance_driver *driver,
				   struct rebalancer_member *members)
{
	const struct cluster *cluster = driver->options.cluster;

	return (struct rebalancer_view){
		.self = cluster_config_of(cluster)->self.id,
		.is_auto = cluster_config_of(cluster)->auto_rebalance,
		.is_able = is_able(cluster),
		.parallel_max = driver->options.parallel_max,
		.map = gossip_map(cluster_gossip(cluster)),
		.running = &driver->running,
		.member_count = look_at_members(driver, members),
		.members = members,
	};
}

static void look_at_jobs(struct rebalance_driver *driver)
{
	uint32_t count = migrator_list(driver->options.migrator, driver->views, VIEW_COUNT_MAX);

	partition_set_clear(&driver->running);
	for (uint32_t i = 0; i < count; i++) {
		if (!driver->views[i].is_source)
			partition_set_add(&driver->running, driver->views[i].partition);
	}
}

/* Imports that the operator cancelled are not begun again. */
static void look_at_cancelled(struct rebalance_driver *driver)
{
	struct migration_past past[MIGRATOR_PAST_MAX];
	uint32_t count = migrator_past(driver->options.migrator, past, MIGRATOR_PAST_MAX);
	struct partition_set seen;

	partition_set_clear(&seen);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t partition = past[i].partition;

		if (past[i].is_source || partition_set_has(&seen, partition))
			continue;
		partition_set_add(&seen, partition); /* the latest one counts */
		if (past[i].reason == MIGRATION_CANCELLED &&
		    partition_set_has(&driver->rebalancer.ordered, partition) &&
		    !partition_set_has(&driver->running, partition))
			rebalancer_set_aside(&driver->rebalancer, partition);
	}
}

static void import(struct rebalance_driver *driver, uint32_t partition)
{
	char error[MIGRATOR_ERROR_SIZE];

	if (migrator_import(driver->options.migrator, partition, error) == 0)
		return;
	log_debug(driver->options.log, "rebalance", "not yet", "partition=%u error=\"%s\"",
		  partition, error);
	rebalancer_refused(&driver->rebalancer, partition);
}

static void log_change(const struct rebalance_driver *driver, uint32_t before)
{
	uint32_t after = driver->rebalancer.machine.state;

	if (before == after)
		return;
	if (after == REBALANCER_MOVING)
		log_info(driver->options.log, "rebalance", "begins", "moves=%u goal=%016" PRIx64,
			 rebalancer_moves_left(&driver->rebalancer),
			 rebalancer_goal(&driver->rebalancer));
	else if (driver->rebalancer.is_abandoned)
		log_warning(
			driver->options.log, "rebalance",
			"is over, but others do not take what is to be theirs: when all nodes are "
			"reached, ask for it again (godwitctl rebalance)");
	else if (before == REBALANCER_MOVING && after == REBALANCER_IDLE)
		log_info(driver->options.log, "rebalance", "is done");
}

void rebalance_driver_run(struct rebalance_driver *driver)
{
	uint32_t orders[REBALANCER_PARALLEL_MAX];
	uint32_t before = driver->rebalancer.machine.state, count;
	struct rebalancer_view view;

	look_at_jobs(driver);
	look_at_cancelled(driver);
	view = look(driver, driver->members);
	if (view.map->partition_count == 0)
		return;
	count = rebalancer_step(&driver->rebalancer, world_now_ms(driver->options.world), &view,
				orders);
	log_change(driver, before);
	for (uint32_t i = 0; i < count; i++)
		import(driver, orders[i]);
}

void rebalance_driver_ask(struct rebalance_driver *driver)
{
	rebalancer_ask(&driver->rebalancer, world_now_ms(driver->options.world));
}

int rebalance_driver_plan(const struct rebalance_driver *driver, struct rebalance_plan *plan)
{
	struct rebalancer_member *members = calloc(NODE_COUNT_MAX, sizeof(*members));
	struct rebalancer_view view;
	int result;

	if (!members)
		return -ENOMEM;
	view = look(driver, members);
	result = rebalancer_plan(&view, plan);
	free(members);
	return result;
}

const char *rebalance_driver_state(const struct rebalance_driver *driver)
{
	return state_machine_state_name(&driver->rebalancer.machine);
}

uint32_t rebalance_driver_moves_left(const struct rebalance_driver *driver)
{
	return rebalancer_moves_left(&driver->rebalancer);
}

bool rebalance_driver_has_move(const struct rebalance_driver *driver, uint32_t partition,
			       uint64_t to)
{
	return rebalancer_has_move(&driver->rebalancer, partition, to);
}

int rebalance_driver_create(struct rebalance_driver **driver,
			    const struct rebalance_driver_options *options)
{
	struct rebalance_driver *new = calloc(1, sizeof(*new));

	if (!new)
		return -ENOMEM;
	new->options = *options;
	rebalancer_init(&new->rebalancer, options->seed);
	*driver = new;
	return 0;
}

void rebalance_driver_destroy(struct rebalance_driver *driver)
{
	free(driver);
}
