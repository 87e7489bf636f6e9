/* SPDX-License-Identifier: BSD-3-Clause */
/* One function per object. Ids and generations are text: JSON's numbers do not hold 64 bits everywhere. */
#include "controlplane/cluster_json.h"

#include <stdlib.h>

#include "controlplane/bus_transport.h"
#include "controlplane/cluster_check.h"
#include "controlplane/number_json.h"

static json_t *address_json(const struct node_address *address)
{
	char text[NODE_ADDRESS_TEXT_SIZE];

	return node_address_is_none(address) ? json_null()
					     : json_string(node_address_format(address, text));
}

static uint32_t count_in(const struct membership *membership, enum member_state state)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		count += member && member_state(member) == state;
	}
	return count;
}

static json_t *head_json(const struct cluster *cluster)
{
	const struct gossip *gossip = cluster_gossip(cluster);
	const struct membership *membership = gossip_membership(gossip);
	const struct partition_map *map = gossip_map(gossip);

	return json_pack("{ss so ss si si si si so ss}", "name", cluster_config_of(cluster)->name,
			 "id", hex_json(gossip_cluster_id(gossip)), "phase",
			 cluster_phase_name(cluster_phase(cluster)), "alive",
			 count_in(membership, MEMBER_ALIVE), "suspect",
			 count_in(membership, MEMBER_SUSPECT), "dead",
			 count_in(membership, MEMBER_DEAD), "partitions", map->partition_count,
			 "map_version", decimal_json(map->version), "join_reason",
			 cluster_join_reason(cluster));
}

static json_t *self_json(const struct cluster *cluster)
{
	static const char *const fences[] = { "closed", "checking", "open" };
	const struct gossip *gossip = cluster_gossip(cluster);
	const struct node *self = gossip_self(gossip);

	return json_pack("{ss so so ss so so si sb ss si sb si si}", "name", self->name, "id",
			 hex_json(self->id), "generation", decimal_json(self->generation), "state",
			 node_state_name(self->state), "control", address_json(&self->control),
			 "data", address_json(&self->data), "weight", self->weight, "serving",
			 cluster_is_serving(cluster), "fence", fences[cluster_fence_state(cluster)],
			 "fence_waits_for", cluster_fence_waits_for(cluster),
			 "sees_majority", cluster_sees_majority(cluster), "health",
			 membership_health(gossip_membership(gossip)), "partitions",
			 partition_map_count_owned(gossip_map(gossip), self->id));
}

static json_t *refused_json(const struct bus_counters *counters)
{
	json_t *refused = json_object();

	for (int i = BUS_OK + 1; refused && i < BUS_RESULT_COUNT; i++)
		json_object_set_new(refused, bus_result_name((enum bus_result)i),
				    json_integer((json_int_t)counters->refused[i]));
	return refused;
}

static json_t *bus_json(const struct cluster *cluster)
{
	const struct cluster_config *config = cluster_config_of(cluster);
	struct bus_counters counters;

	if (!config->has_bus)
		return json_null();
	cluster_bus_counters(cluster, &counters);
	return json_pack(
		"{si si sI sI sI sI sI sI sI sI sI sI so}", "port", config->listen_port, "keys",
		config->keys.count, "datagrams_in", (json_int_t)counters.datagrams_in,
		"datagrams_out", (json_int_t)counters.datagrams_out, "datagram_bytes_in",
		(json_int_t)counters.datagram_bytes_in, "datagram_bytes_out",
		(json_int_t)counters.datagram_bytes_out, "send_failures",
		(json_int_t)counters.send_failures, "channels_opened",
		(json_int_t)counters.channels.opened, "channels_accepted",
		(json_int_t)counters.channels.accepted, "channels_refused",
		(json_int_t)counters.channels.refused, "channel_bytes_in",
		(json_int_t)counters.channels.bytes_in, "channel_bytes_out",
		(json_int_t)counters.channels.bytes_out, "refused", refused_json(&counters));
}

static json_t *gossip_json(const struct cluster *cluster)
{
	const struct gossip_counters *gossip = gossip_counters(cluster_gossip(cluster));
	const struct membership_counters *membership =
		membership_counters(gossip_membership(cluster_gossip(cluster)));

	return json_pack("{sI sI sI sI sI sI sI sI sI sI sI}", "probes",
			 (json_int_t)membership->probes, "probes_failed",
			 (json_int_t)membership->probes_failed, "suspicions",
			 (json_int_t)membership->suspicions, "refutations",
			 (json_int_t)membership->refutations, "deaths",
			 (json_int_t)membership->deaths, "states_in", (json_int_t)gossip->states_in,
			 "states_out", (json_int_t)gossip->states_out, "refused_malformed",
			 (json_int_t)gossip->refused_malformed, "refused_generation",
			 (json_int_t)gossip->refused_generation, "refused_removed",
			 (json_int_t)(gossip->refused_removed + membership->refused_removed),
			 "refused_cluster", (json_int_t)gossip->refused_cluster);
}

static json_t *problems_json(const struct cluster *cluster)
{
	struct cluster_problem *problems = calloc(CLUSTER_PROBLEM_COUNT_MAX, sizeof(*problems));
	json_t *array = json_array();
	uint32_t count = problems ? cluster_check(cluster, problems) : 0;

	for (uint32_t i = 0; array && i < count; i++)
		json_array_append_new(array, json_pack("{ss ss}", "kind", problems[i].kind, "text",
						       problems[i].text));
	free(problems);
	return array;
}

json_t *cluster_json(struct cluster *cluster)
{
	return json_pack("{so so so so so}", "cluster", head_json(cluster), "node",
			 self_json(cluster), "bus", bus_json(cluster), "gossip",
			 gossip_json(cluster), "problems", problems_json(cluster));
}

static json_t *node_json(const struct cluster *cluster, const struct member *member)
{
	const struct partition_map *map = gossip_map(cluster_gossip(cluster));
	const struct node *node = &member->node;

	return json_pack("{ss so ss ss so sI so so si si si si si sI sI sI}", "name", node->name,
			 "id", hex_json(node->id), "state", member_state_name(member_state(member)),
			 "says", node_state_name(node->state), "generation",
			 decimal_json(node->generation), "incarnation",
			 (json_int_t)node->incarnation, "control", address_json(&node->control),
			 "data", address_json(&node->data), "workers", node->workers, "weight",
			 node->weight, "partitions", partition_map_count_owned(map, node->id),
			 "importing", partition_set_count(&node->importing_partitions), "migrating",
			 partition_set_count(&node->migrating_partitions), "items",
			 (json_int_t)node->load.items, "item_bytes",
			 (json_int_t)node->load.item_bytes, "operations_per_s",
			 (json_int_t)node->load.operations_per_s);
}

json_t *cluster_nodes_json(const struct cluster *cluster)
{
	const struct membership *membership = gossip_membership(cluster_gossip(cluster));
	json_t *nodes = json_array();

	for (uint32_t i = 0; nodes && i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		/* A tombstone that came before any record has no name. */
		if (member && member->node.name[0])
			json_array_append_new(nodes, node_json(cluster, member));
	}
	return json_pack("{ss so}", "self", membership_self(membership)->name, "nodes", nodes);
}

/* Whether a living member announces 'partition' in the set that 'pick' chooses; its name, or NULL. */
static const char *announcer(const struct membership *membership, uint32_t partition,
			     bool (*says)(const struct node *node, uint32_t partition))
{
	for (uint32_t i = 0; i < membership_index_end(membership); i++) {
		const struct member *member = membership_at(membership, i);

		if (member && member_state(member) <= MEMBER_SUSPECT &&
		    says(&member->node, partition))
			return member->node.name;
	}
	return NULL;
}

static const char *state_of(const struct cluster *cluster, uint32_t partition,
			    const struct member *owner)
{
	if (!owner || member_state(owner) > MEMBER_SUSPECT)
		return "lost";
	if (owner->node.id == cluster_config_of(cluster)->self.id &&
	    (!cluster_is_serving(cluster) || !partition_set_has(cluster_held(cluster), partition)))
		return "fenced";
	return node_is_migrating(&owner->node, partition) ? "migrating" : "owned";
}

static json_t *partition_json(const struct cluster *cluster, uint32_t partition)
{
	const struct membership *membership = gossip_membership(cluster_gossip(cluster));
	const struct partition_map *map = gossip_map(cluster_gossip(cluster));
	const struct member *owner =
		membership_find(membership, partition_map_owner(map, partition));

	return json_pack("{si ss? si ss ss?}", "partition", partition, "owner",
			 owner ? owner->node.name : NULL, "epoch",
			 partition_map_epoch(map, partition), "state",
			 state_of(cluster, partition, owner), "importer",
			 announcer(membership, partition, node_is_importing));
}

json_t *cluster_partitions_json(const struct cluster *cluster)
{
	const struct partition_map *map = gossip_map(cluster_gossip(cluster));
	json_t *partitions = json_array();

	for (uint32_t p = 0; partitions && p < map->partition_count; p++)
		json_array_append_new(partitions, partition_json(cluster, p));
	return json_pack("{so so}", "map_version", decimal_json(map->version), "partitions",
			 partitions);
}
