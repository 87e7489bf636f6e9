/* SPDX-License-Identifier: BSD-3-Clause */
/* Rates and stalled workers, and the pages made of them, over a data plane that the test plays. */
#include "controlplane/admin_routes.h"
#include "controlplane/metrics_page.h"
#include "controlplane/node_watch.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define WORKERS 2u

/* What the played data plane says. Stands behind the 'dataplane' pointer. */
struct played {
	struct worker_status workers[WORKERS];
	uint64_t counters[4];
};

static const struct played *played_of(const struct dataplane *dataplane)
{
	return (const struct played *)(const void *)dataplane;
}

static void played_worker(const struct dataplane *dataplane, uint32_t worker,
			  struct worker_status *status)
{
	*status = played_of(dataplane)->workers[worker];
}

static void played_port(const struct dataplane *dataplane, struct dataplane_port_status *status)
{
	(void)dataplane;
	*status = (struct dataplane_port_status){ .device = "godwit0",
						  .mac = { 2, 0, 0, 0, 0, 10 },
						  .mtu = 1500,
						  .queues = 2,
						  .link_up = true,
						  .rx_missed = 7 };
}

static const struct counter_row played_rows[] = {
	{ "op_get", offsetof(struct played, counters[0]), "GETs" },
	{ "op_set", offsetof(struct played, counters[1]), "SETs" },
	{ "drop_vlan", offsetof(struct played, counters[2]), "a VLAN tag" },
	{ "frames_received", offsetof(struct played, counters[3]), "frames" },
};
static const struct counter_table played_table = { played_rows, 4 };

static void read_played(const void *context, uint64_t *values)
{
	counter_table_read(&played_table, context, values);
}

/* A second table behind the first one. */
static const struct counter_row more_rows[] = { { "bus_in", 0, "In." },
						{ "bus_out", sizeof(uint64_t), "Out." } };
static const struct counter_table more_table = { more_rows, 2 };

static void read_more(const void *context, uint64_t *values)
{
	static const uint64_t counts[] = { 70, 71 };

	(void)context;
	counter_table_read(&more_table, counts, values);
}

static uint64_t clock_read(void *context)
{
	return *(uint64_t *)context;
}

struct fixture {
	uint64_t now_ms;
	struct world world;
	struct log log;
	char *lines;
	size_t size;
	struct options options;
	struct played played;
	struct node_watch *watch;
	struct node_report report;
};

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->now_ms = 5000;
	f->world = (struct world){ .now_ms = clock_read,
				   .unix_ms = clock_read,
				   .context = &f->now_ms };
	f->log = (struct log){ open_memstream(&f->lines, &f->size), LOG_LEVEL_INFO, &f->world };
	options_init(&f->options);
	f->watch = node_watch_create(
		&(struct node_facts){ &f->options, &f->world, &f->log, IDLE_SPIN, true },
		&(struct node_source){ played_worker,
				       played_port,
				       (const struct dataplane *)(const void *)&f->played,
				       WORKERS,
				       { { &played_table, read_played, &f->played },
					 { &more_table, read_more, NULL } } });
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->watch);
}

static void fixture_fini(struct fixture *f)
{
	node_watch_destroy(f->watch);
	fclose(f->log.stream);
	free(f->lines);
}

/* Lets 'ms' pass with worker 0 beating and worker 1 beating if 'both', then samples. */
static void pass(struct fixture *f, uint64_t ms, bool both)
{
	f->now_ms += ms;
	f->played.workers[0].heartbeats += 1000;
	f->played.workers[0].busy_turns += 250;
	f->played.workers[1].heartbeats += both ? 1000 : 0;
	node_watch_sample(f->watch);
}

static void rates_are_those_of_the_last_interval(void)
{
	struct fixture f;

	fixture_init(&f);
	pass(&f, 1000, true);
	f.played.counters[0] = 500;
	f.played.counters[1] = 100;
	pass(&f, 500, true);
	f.played.counters[0] = 501; /* after the sample: in the value, not in the rate */
	node_watch_report(f.watch, &f.report);
	CU_ASSERT_EQUAL(f.report.counters[0].value, 501);
	CU_ASSERT_EQUAL(f.report.counter_count, 6);
	CU_ASSERT_STRING_EQUAL(f.report.counters[4].name, "bus_in");
	CU_ASSERT_EQUAL(f.report.counters[4].value, 70);
	CU_ASSERT_STRING_EQUAL(f.report.counters[5].help, "Out.");
	CU_ASSERT_EQUAL(f.report.counters[5].value, 71);
	CU_ASSERT_DOUBLE_EQUAL(f.report.counters[0].per_second, 1000, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(f.report.operations_per_s, 1200, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(f.report.workers[0].turns_per_s, 2000, 0.01);
	CU_ASSERT_DOUBLE_EQUAL(f.report.workers[0].busy_share, 0.25, 0.001);
	CU_ASSERT_EQUAL(f.report.uptime_ms, 1500);
	CU_ASSERT_STRING_EQUAL(f.report.state, "ready");
	fixture_fini(&f);
}

static void before_the_first_interval_rates_are_zero(void)
{
	struct fixture f;

	fixture_init(&f);
	f.played.counters[0] = 10;
	node_watch_report(f.watch, &f.report);
	CU_ASSERT_EQUAL(f.report.counters[0].value, 10);
	CU_ASSERT_DOUBLE_EQUAL(f.report.counters[0].per_second, 0, 0);
	fixture_fini(&f);
}

static void a_worker_without_heartbeat_is_told_once_and_its_return_too(void)
{
	struct fixture f;

	fixture_init(&f);
	pass(&f, 1000, true);
	pass(&f, 1000, false);
	node_watch_report(f.watch, &f.report);
	CU_ASSERT_EQUAL(f.report.workers[1].stalled_ms, 0);
	pass(&f, 1000, false);
	pass(&f, 1000, false);
	node_watch_report(f.watch, &f.report);
	CU_ASSERT_EQUAL(f.report.workers[1].stalled_ms, 3000);
	CU_ASSERT_EQUAL(f.report.workers[0].stalled_ms, 0);
	CU_ASSERT_STRING_EQUAL(f.report.state, "stalled");
	pass(&f, 1000, true);
	node_watch_report(f.watch, &f.report);
	CU_ASSERT_STRING_EQUAL(f.report.state, "ready");
	CU_ASSERT_STRING_EQUAL(
		f.lines, "1970-01-01T00:00:08.000Z error worker: stalled: it polls no more; see "
			 "whether its CPU is taken, else restart worker=1 for_ms=2000\n"
			 "1970-01-01T00:00:10.000Z warning worker: runs again worker=1 "
			 "stalled_ms=4000\n");
	fixture_fini(&f);
}

static void the_status_page_holds_every_number(void)
{
	struct fixture f;
	json_t *json;
	const json_t *worker;

	fixture_init(&f);
	f.played.workers[1].sessions = 3;
	f.played.workers[1].shard.items = 42;
	f.played.workers[1].shard.pool.bytes_allocated = 4096;
	node_watch_report(f.watch, &f.report);
	json = admin_status_json(&f.report);
	CU_ASSERT_PTR_NOT_NULL_FATAL(json);
	CU_ASSERT_STRING_EQUAL(
		json_string_value(json_object_get(json_object_get(json, "data"), "address")),
		"10.77.0.2");
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json, "sessions")), 3);
	CU_ASSERT_EQUAL(
		json_integer_value(json_object_get(json_object_get(json, "items"), "count")), 42);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(json_object_get(json, "memory"),
							   "allocated_bytes")),
			4096);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "workers")), WORKERS);
	worker = json_array_get(json_object_get(json, "workers"), 1);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(worker, "lcore")), 2);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(worker, "state")), "ok");
	json_decref(json);
	json = admin_counters_json(&f.report);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(json, "counters")), 6);
	json_decref(json);
	fixture_fini(&f);
}

static void the_metrics_page_groups_counters_by_prefix(void)
{
	struct evbuffer *page = evbuffer_new();
	struct fixture f;
	const char *text;

	fixture_init(&f);
	f.played.counters[0] = 11;
	f.played.counters[2] = 22;
	f.played.counters[3] = 33;
	f.played.workers[1].shard.items = 8000001;
	node_watch_report(f.watch, &f.report);
	CU_ASSERT_EQUAL(metrics_page_write(&f.report, page), 0);
	evbuffer_add(page, "", 1);
	text = (const char *)evbuffer_pullup(page, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# HELP godwit_operations_total Operations executed.\n"
					    "# TYPE godwit_operations_total counter\n"
					    "godwit_operations_total{operation=\"get\"} 11\n"
					    "godwit_operations_total{operation=\"set\"} 0\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "godwit_dropped_total{reason=\"vlan\"} 22\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "# TYPE godwit_frames_received_total counter\n"
					    "godwit_frames_received_total 33\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "godwit_items{worker=\"1\"} 8000001\n"));
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text, "godwit_info{node=\"godwit\",version=\"" GODWIT_VERSION "\"} 1\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "godwit_port_missed_total 7\n"));
	evbuffer_free(page);
	fixture_fini(&f);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(rates_are_those_of_the_last_interval),
		UNIT_TEST(before_the_first_interval_rates_are_zero),
		UNIT_TEST(a_worker_without_heartbeat_is_told_once_and_its_return_too),
		UNIT_TEST(the_status_page_holds_every_number),
		UNIT_TEST(the_metrics_page_groups_counters_by_prefix),
		{ NULL, NULL },
	};

	return unit_run("node_watch", tests);
}
