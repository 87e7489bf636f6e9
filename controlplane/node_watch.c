/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of the data plane, compared with the ones before. */
#include "controlplane/node_watch.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sample {
	uint64_t at_ms;
	uint64_t heartbeats[WORKER_COUNT_MAX];
	uint64_t busy_turns[WORKER_COUNT_MAX];
	uint64_t counters[REPORT_COUNTER_MAX];
};

struct node_watch {
	struct node_facts facts;
	struct node_source source;
	uint64_t started_ms;
	uint64_t started_unix_ms;
	struct sample last, previous;
	uint64_t beat_ms[WORKER_COUNT_MAX]; /* when its heartbeat was last seen to advance */
	bool is_stalled[WORKER_COUNT_MAX];
};

/* Returns how many there are. */
static uint32_t read_counters(const struct node_watch *watch, uint64_t *values)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < NODE_COUNTER_SOURCES && watch->source.counters[i].table; i++) {
		const struct counter_source *source = &watch->source.counters[i];

		assert(count + source->table->row_count <= REPORT_COUNTER_MAX);
		source->read(source->context, values + count);
		count += source->table->row_count;
	}
	return count;
}

static void take(const struct node_watch *watch, struct sample *sample)
{
	const struct node_source *source = &watch->source;

	sample->at_ms = world_now_ms(watch->facts.world);
	for (uint32_t worker = 0; worker < source->worker_count; worker++) {
		struct worker_status status;

		source->worker_status(source->dataplane, worker, &status);
		sample->heartbeats[worker] = status.heartbeats;
		sample->busy_turns[worker] = status.busy_turns;
	}
	read_counters(watch, sample->counters);
}

struct node_watch *node_watch_create(const struct node_facts *facts,
				     const struct node_source *source)
{
	struct node_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->facts = *facts;
	watch->source = *source;
	watch->started_ms = world_now_ms(facts->world);
	watch->started_unix_ms = world_unix_ms(facts->world);
	take(watch, &watch->last);
	watch->previous = watch->last;
	for (uint32_t worker = 0; worker < source->worker_count; worker++)
		watch->beat_ms[worker] = watch->started_ms;
	return watch;
}

void node_watch_destroy(struct node_watch *watch)
{
	free(watch);
}

static uint64_t stalled_ms(const struct node_watch *watch, uint32_t worker)
{
	return watch->is_stalled[worker] ? world_now_ms(watch->facts.world) - watch->beat_ms[worker]
					 : 0;
}

/* A stalled worker answers nobody, holds up the freeing of all memory, and cannot be ended from
 * here.
 */
static void judge_worker(struct node_watch *watch, uint32_t worker)
{
	uint64_t now_ms = watch->last.at_ms;

	if (watch->last.heartbeats[worker] != watch->previous.heartbeats[worker]) {
		if (watch->is_stalled[worker])
			log_warning(watch->facts.log, "worker", "runs again",
				    "worker=%u stalled_ms=%" PRIu64, worker,
				    now_ms - watch->beat_ms[worker]);
		watch->is_stalled[worker] = false;
		watch->beat_ms[worker] = now_ms;
	} else if (!watch->is_stalled[worker] &&
		   now_ms - watch->beat_ms[worker] >= NODE_WATCH_STALLED_MS) {
		watch->is_stalled[worker] = true;
		log_error(watch->facts.log, "worker",
			  "stalled: it polls no more; see whether its CPU is taken, else restart",
			  "worker=%u for_ms=%" PRIu64, worker, now_ms - watch->beat_ms[worker]);
	}
}

void node_watch_sample(struct node_watch *watch)
{
	watch->previous = watch->last;
	take(watch, &watch->last);
	for (uint32_t worker = 0; worker < watch->source.worker_count; worker++)
		judge_worker(watch, worker);
}

bool node_watch_is_stalled(const struct node_watch *watch)
{
	for (uint32_t worker = 0; worker < watch->source.worker_count; worker++) {
		if (watch->is_stalled[worker])
			return true;
	}
	return false;
}

/* Growth per second between the last two samples. */
static double rate(const struct node_watch *watch, uint64_t last, uint64_t previous)
{
	uint64_t interval_ms = watch->last.at_ms - watch->previous.at_ms;

	return interval_ms ? (double)(last - previous) * 1000.0 / (double)interval_ms : 0;
}

static void report_facts(const struct node_watch *watch, struct node_report *report)
{
	static const char *const kinds[] = { "tap", "af_packet", "af_xdp", "memif", "pci" };
	const struct options *options = watch->facts.options;

	report->name = options->node_name;
	report->version = GODWIT_VERSION;
	report->pid = (uint32_t)getpid();
	report->started_unix_ms = watch->started_unix_ms;
	report->uptime_ms = world_now_ms(watch->facts.world) - watch->started_ms;
	report->ipv4 = options->data_address.ipv4;
	report->ipv4_prefix = options->data_address.prefix;
	report->udp_port = options->data_udp_port;
	report->port_kind = kinds[options->port_kind];
	report->idle = watch->facts.idle == IDLE_SPIN ? "spin" : "adaptive";
	report->partitions = options->storage_partitions;
	report->memory_limit_bytes = options->storage_memory;
	report->huge_pages = watch->facts.huge_pages;
	watch->source.port_status(watch->source.dataplane, &report->port);
}

static void report_workers(const struct node_watch *watch, struct node_report *report)
{
	report->state = "ready";
	report->worker_count = watch->source.worker_count;
	for (uint32_t i = 0; i < report->worker_count; i++) {
		struct report_worker *worker = &report->workers[i];
		uint64_t turns = watch->last.heartbeats[i] - watch->previous.heartbeats[i];
		uint64_t busy = watch->last.busy_turns[i] - watch->previous.busy_turns[i];

		watch->source.worker_status(watch->source.dataplane, i, &worker->status);
		worker->lcore = i + 1;
		worker->turns_per_s =
			rate(watch, watch->last.heartbeats[i], watch->previous.heartbeats[i]);
		worker->busy_share = turns ? (double)busy / (double)turns : 0;
		worker->stalled_ms = stalled_ms(watch, i);
		if (worker->stalled_ms)
			report->state = "stalled";
	}
}

/* Those of one table, of which the values of now are 'values'. */
static void report_table(const struct node_watch *watch, const struct counter_table *table,
			 const uint64_t *values, struct node_report *report)
{
	for (uint32_t row = 0; row < table->row_count; row++) {
		uint32_t i = report->counter_count++;
		struct report_counter *counter = &report->counters[i];

		counter->name = table->rows[row].name;
		counter->help = table->rows[row].help;
		counter->value = values[i];
		counter->per_second =
			rate(watch, watch->last.counters[i], watch->previous.counters[i]);
		if (strncmp(counter->name, "op_", 3) == 0)
			report->operations_per_s += counter->per_second;
	}
}

static void report_counters(const struct node_watch *watch, struct node_report *report)
{
	uint64_t values[REPORT_COUNTER_MAX];

	read_counters(watch, values);
	for (uint32_t i = 0; i < NODE_COUNTER_SOURCES && watch->source.counters[i].table; i++)
		report_table(watch, watch->source.counters[i].table, values, report);
}

void node_watch_report(const struct node_watch *watch, struct node_report *report)
{
	memset(report, 0, sizeof(*report));
	report_facts(watch, report);
	report_workers(watch, report);
	report_counters(watch, report);
}
