/* SPDX-License-Identifier: BSD-3-Clause */
/* Clusters as text. */
#include "controlplane/ctl/cluster_view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controlplane/ctl/json_path.h"
#include "controlplane/ctl/printable.h"
#include "controlplane/ctl/table.h"

void cluster_view_status(const json_t *cluster, FILE *out)
{
	printable_line(out, "cluster     %s, id %s, this node is %s",
		       json_text_at(cluster, "cluster.name"), json_text_at(cluster, "cluster.id"),
		       json_text_at(cluster, "cluster.phase"));
	fprintf(out, "nodes       %" PRIu64 " alive, %" PRIu64 " suspect, %" PRIu64 " dead\n",
		json_integer_at(cluster, "cluster.alive"),
		json_integer_at(cluster, "cluster.suspect"),
		json_integer_at(cluster, "cluster.dead"));
	printable_line(out, "partitions  %" PRIu64 ", %" PRIu64 " of this node, map version %s",
		       json_integer_at(cluster, "cluster.partitions"),
		       json_integer_at(cluster, "node.partitions"),
		       json_text_at(cluster, "cluster.map_version"));
	printable_line(out, "node        %s, generation %s, bus %s, %s a majority, %s",
		       json_text_at(cluster, "node.name"), json_text_at(cluster, "node.generation"),
		       json_value_at(cluster, "bus.port") ? json_text_at(cluster, "node.control")
							  : "off",
		       json_is_true_at(cluster, "node.sees_majority") ? "sees" : "does not see",
		       json_is_true_at(cluster, "node.serving") ? "serves" : "does not serve");
}

uint32_t cluster_view_problems(const json_t *cluster, FILE *out)
{
	const json_t *problems = json_value_at(cluster, "problems"), *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		printable_line(out, "problem     %s", json_text_at(problem, "text"));
	}
	return (uint32_t)json_array_size(problems);
}

static int add_node(struct table *table, const json_t *node, bool is_self)
{
	char items[TABLE_NUMBER_SIZE], bytes[TABLE_NUMBER_SIZE], rate[TABLE_NUMBER_SIZE];
	const char *says = json_text_at(node, "says");

	return table_add(table,
			 "%s%s\t%s%s%s\t%s\t%s\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
			 "\t%" PRIu64 "\t%s\t%s\t%s",
			 json_text_at(node, "name"), is_self ? " *" : "",
			 json_text_at(node, "state"), strcmp(says, "leaving") == 0 ? ", " : "",
			 strcmp(says, "leaving") == 0 ? says : "", json_text_at(node, "control"),
			 json_text_at(node, "data"), json_integer_at(node, "workers"),
			 json_integer_at(node, "weight"), json_integer_at(node, "partitions"),
			 json_integer_at(node, "importing"), json_integer_at(node, "migrating"),
			 table_count(items, json_number_at(node, "items")),
			 table_bytes(bytes, json_number_at(node, "item_bytes")),
			 table_count(rate, json_number_at(node, "operations_per_s")));
}

int cluster_view_nodes(const json_t *nodes, FILE *out)
{
	static const char *const heads[] = { "NODE",       "STATE",   "BUS",         "DATA",
					     ">WORKERS",   ">WEIGHT", ">PARTITIONS", ">IMPORTING",
					     ">MIGRATING", ">ITEMS",  ">BYTES",      ">OPS/S" };
	struct table *table = table_create(heads, sizeof(heads) / sizeof(heads[0]));
	const char *self = json_text_at(nodes, "self");
	const json_t *node;
	int result = 0;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach(json_value_at(nodes, "nodes"), i, node)
	{
		if (result == 0)
			result = add_node(table, node,
					  strcmp(json_text_at(node, "name"), self) == 0);
	}
	if (result == 0)
		table_print(table, out);
	table_destroy(table);
	return result;
}

int cluster_view_partitions(const json_t *partitions, const char *owner, FILE *out)
{
	static const char *const heads[] = { ">PARTITION", "OWNER", ">EPOCH", "STATE",
					     "IMPORTED BY" };
	struct table *table = table_create(heads, sizeof(heads) / sizeof(heads[0]));
	const json_t *partition;
	int result = 0;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach(json_value_at(partitions, "partitions"), i, partition)
	{
		if (result != 0 || (owner && strcmp(json_text_at(partition, "owner"), owner) != 0))
			continue;
		result = table_add(
			table, "%" PRIu64 "\t%s\t%" PRIu64 "\t%s\t%s",
			json_integer_at(partition, "partition"), json_text_at(partition, "owner"),
			json_integer_at(partition, "epoch"), json_text_at(partition, "state"),
			json_text_at(partition, "importer"));
	}
	if (result == 0)
		table_print(table, out);
	table_destroy(table);
	return result;
}
