/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's status and counters as text. */
#include "controlplane/ctl/node_view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "controlplane/ctl/table.h"

/* The value at 'path' ("node.name") under 'at', or NULL. */
static const json_t *value_at(const json_t *at, const char *path)
{
	while (at && *path) {
		size_t size = strcspn(path, ".");
		char key[64];

		if (size >= sizeof(key))
			return NULL;
		memcpy(key, path, size);
		key[size] = '\0';
		at = json_object_get(at, key);
		path += size + (path[size] == '.');
	}
	return at;
}

static const char *text_at(const json_t *at, const char *path)
{
	const char *text = json_string_value(value_at(at, path));

	return text ? text : "";
}

static double number_at(const json_t *at, const char *path)
{
	return json_number_value(value_at(at, path));
}

static uint64_t integer_at(const json_t *at, const char *path)
{
	return (uint64_t)json_integer_value(value_at(at, path));
}

static bool is_true_at(const json_t *at, const char *path)
{
	return json_is_true(value_at(at, path));
}

static void print_head(const json_t *status, FILE *out)
{
	char a[TABLE_NUMBER_SIZE], b[TABLE_NUMBER_SIZE];

	fprintf(out, "node      %s, %s, version %s, up %s, pid %" PRIu64 "\n",
		text_at(status, "node.name"), text_at(status, "node.state"),
		text_at(status, "node.version"),
		table_duration(a, integer_at(status, "node.uptime_ms")),
		integer_at(status, "node.pid"));
	fprintf(out, "data      %s UDP %" PRIu64 ", port %s %s, mac %s, MTU %" PRIu64 ", link %s\n",
		text_at(status, "data.address"), integer_at(status, "data.udp_port"),
		text_at(status, "data.port.kind"), text_at(status, "data.port.device"),
		text_at(status, "data.port.mac"), integer_at(status, "data.port.mtu"),
		is_true_at(status, "data.port.link_up") ? "up" : "down");
	fprintf(out, "items     %s, %s/s operations, %" PRIu64 " sessions\n",
		table_count(a, number_at(status, "items.count")),
		table_count(b, number_at(status, "rates.operations_per_s")),
		integer_at(status, "sessions"));
	fprintf(out, "memory    %s of ",
		table_bytes(a, number_at(status, "memory.allocated_bytes")));
	fprintf(out, "%s for items, %s asked for by them, partitions %" PRIu64 "\n",
		table_bytes(a, number_at(status, "memory.limit_bytes")),
		table_bytes(b, number_at(status, "items.bytes")), integer_at(status, "partitions"));
}

static int add_worker(struct table *table, const json_t *worker)
{
	char rate[TABLE_NUMBER_SIZE], items[TABLE_NUMBER_SIZE], bytes[TABLE_NUMBER_SIZE];
	char capacity[TABLE_NUMBER_SIZE];

	return table_add(table,
			 "%" PRIu64 "\t%" PRIu64 "\t%s\t%.0f%%\t%s\t%s\t%s\t%s%s\t%" PRIu64
			 "\t%" PRIu64 "\t%" PRIu64,
			 integer_at(worker, "worker"), integer_at(worker, "lcore"),
			 text_at(worker, "state"), number_at(worker, "busy_share") * 100,
			 table_count(rate, number_at(worker, "turns_per_s")),
			 table_count(items, number_at(worker, "items")),
			 table_bytes(bytes, number_at(worker, "item_bytes")),
			 table_count(capacity, number_at(worker, "index_capacity")),
			 is_true_at(worker, "is_growing") ? "+" : "",
			 integer_at(worker, "sessions"), integer_at(worker, "evicted"),
			 integer_at(worker, "expired"));
}

int node_view_status(const json_t *status, FILE *out)
{
	static const char *const heads[] = { ">WORKER",   ">LCORE",   "STATE",   ">BUSY",
					     ">TURNS/S",  ">ITEMS",   ">BYTES",  ">INDEX",
					     ">SESSIONS", ">EVICTED", ">EXPIRED" };
	struct table *table = table_create(heads, sizeof(heads) / sizeof(heads[0]));
	const json_t *workers = value_at(status, "workers");
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
	json_array_foreach(value_at(counters, "counters"), i, counter)
	{
		if (result != 0 || (!all && integer_at(counter, "value") == 0))
			continue;
		result = table_add(table, "%s\t%" PRIu64 "\t%.0f\t%s", text_at(counter, "name"),
				   integer_at(counter, "value"), number_at(counter, "per_second"),
				   text_at(counter, "help"));
	}
	if (result == 0)
		table_print(table, out);
	table_destroy(table);
	return result;
}
