/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's status and counters as text. */
#include "controlplane/ctl/node_view.h"

#include <errno.h>
#include <inttypes.h>

#include "controlplane/ctl/json_path.h"
#include "controlplane/ctl/printable.h"
#include "controlplane/ctl/table.h"

static void print_head(const json_t *status, FILE *out)
{
	char a[TABLE_NUMBER_SIZE], b[TABLE_NUMBER_SIZE];

	printable_line(out, "node      %s, %s, version %s, up %s, pid %" PRIu64,
		       json_text_at(status, "node.name"), json_text_at(status, "node.state"),
		       json_text_at(status, "node.version"),
		       table_duration(a, json_integer_at(status, "node.uptime_ms")),
		       json_integer_at(status, "node.pid"));
	printable_line(
		out, "data      %s UDP %" PRIu64 ", port %s %s, mac %s, MTU %" PRIu64 ", link %s",
		json_text_at(status, "data.address"), json_integer_at(status, "data.udp_port"),
		json_text_at(status, "data.port.kind"), json_text_at(status, "data.port.device"),
		json_text_at(status, "data.port.mac"), json_integer_at(status, "data.port.mtu"),
		json_is_true_at(status, "data.port.link_up") ? "up" : "down");
	printable_line(out, "items     %s, %s/s operations, %" PRIu64 " sessions",
		       table_count(a, json_number_at(status, "items.count")),
		       table_count(b, json_number_at(status, "rates.operations_per_s")),
		       json_integer_at(status, "sessions"));
	printable_print(out, "memory    %s of ",
			table_bytes(a, json_number_at(status, "memory.allocated_bytes")));
	printable_line(out, "%s for items, %s asked for by them, partitions %" PRIu64,
		       table_bytes(a, json_number_at(status, "memory.limit_bytes")),
		       table_bytes(b, json_number_at(status, "items.bytes")),
		       json_integer_at(status, "partitions"));
}

static int add_worker(struct table *table, const json_t *worker)
{
	char rate[TABLE_NUMBER_SIZE], items[TABLE_NUMBER_SIZE], bytes[TABLE_NUMBER_SIZE];
	char capacity[TABLE_NUMBER_SIZE];

	return table_add(table,
			 "%" PRIu64 "\t%" PRIu64 "\t%s\t%.0f%%\t%s\t%s\t%s\t%s%s\t%" PRIu64
			 "\t%" PRIu64 "\t%" PRIu64,
			 json_integer_at(worker, "worker"), json_integer_at(worker, "lcore"),
			 json_text_at(worker, "state"), json_number_at(worker, "busy_share") * 100,
			 table_count(rate, json_number_at(worker, "turns_per_s")),
			 table_count(items, json_number_at(worker, "items")),
			 table_bytes(bytes, json_number_at(worker, "item_bytes")),
			 table_count(capacity, json_number_at(worker, "index_capacity")),
			 json_is_true_at(worker, "is_growing") ? "+" : "",
			 json_integer_at(worker, "sessions"), json_integer_at(worker, "evicted"),
			 json_integer_at(worker, "expired"));
}

int node_view_status(const json_t *status, FILE *out)
{
	static const char *const heads[] = { ">WORKER",   ">LCORE",   "STATE",   ">BUSY",
					     ">TURNS/S",  ">ITEMS",   ">BYTES",  ">INDEX",
					     ">SESSIONS", ">EVICTED", ">EXPIRED" };
	struct table *table = table_create(heads, sizeof(heads) / sizeof(heads[0]));
	const json_t *workers = json_value_at(status, "workers");
	const json_t *worker;
	int result = 0;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach(workers, i, worker)
	{
		if (result == 0)
			result = add_worker(table, worker);
	}
	if (result == 0) {
		print_head(status, out);
		fputc('\n', out);
		table_print(table, out);
	}
	table_destroy(table);
	return result;
}

int node_view_counters(const json_t *counters, bool all, FILE *out)
{
	static const char *const heads[] = { "COUNTER", ">VALUE", ">PER SECOND", "WHAT" };
	struct table *table = table_create(heads, sizeof(heads) / sizeof(heads[0]));
	const json_t *counter;
	int result = 0;
	size_t i;

	if (!table)
		return -ENOMEM;
	json_array_foreach(json_value_at(counters, "counters"), i, counter)
	{
		if (result != 0 || (!all && json_integer_at(counter, "value") == 0))
			continue;
		result = table_add(table, "%s\t%" PRIu64 "\t%.0f\t%s",
				   json_text_at(counter, "name"), json_integer_at(counter, "value"),
				   json_number_at(counter, "per_second"),
				   json_text_at(counter, "help"));
	}
	if (result == 0)
		table_print(table, out);
	table_destroy(table);
	return result;
}
