/* SPDX-License-Identifier: BSD-3-Clause */
/* Phases, one after the other, for all workers at once. */
#include "dataplane/loadgen/runner.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Time for all workers to be at their posts before the clock of a run starts. */
#define RUN_LEAD_SECONDS 0.02
#define POLL_MS 20

struct runner {
	const struct load_settings *settings;
	const struct runner_plan *plan;
	const struct runner_threads *threads;
	struct runner_result *result;
	struct load_worker *workers[LOAD_WORKERS_MAX];
	uint32_t created;
	struct load_phase phase;
	uint32_t stop;    /* atomic flag: ends the phase early */
	uint32_t running; /* atomic: workers still in the phase */
	uint64_t progress_ops;
	uint64_t progress_at; /* ticks */
};

/* One worker's thread body for one phase. */
struct post {
	struct runner *runner;
	struct load_worker *worker;
};

static int run_post(void *argument)
{
	struct post *post = argument;
	struct runner *runner = post->runner;
	int result = load_worker_run(post->worker, &runner->phase);

	if (result < 0)
		__atomic_store_n(&runner->stop, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&runner->running, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&runner->running, __ATOMIC_ACQUIRE))
		load_worker_serve(post->worker);
	return result;
}

static void merge(struct runner *runner, struct tally *measured, struct tally *rest)
{
	for (uint32_t i = 0; i < runner->created; i++) {
		tally_merge(measured, runner->workers[i]->measured);
		tally_merge(rest, runner->workers[i]->rest);
	}
}

static const char *phase_name(const struct runner *runner, uint64_t now)
{
	switch (runner->phase.kind) {
	case LOAD_CONNECT:
		return "connect";
	case LOAD_PRELOAD:
		return "load";
	case LOAD_VERIFY:
		return "verify";
	case LOAD_RUN:
		break;
	}
	return now < runner->phase.measure_from ? "warm-up" : "run";
}

/* The latencies of all kinds together. */
static void merge_latencies(struct histogram *into, const struct tally *tally)
{
	for (unsigned kind = 0; kind < OPERATION_KIND_COUNT; kind++) {
		if (tally->latency[kind].max)
			histogram_merge(into, &tally->latency[kind]);
	}
}

static void print_progress(struct runner *runner, uint64_t now, struct tally *all,
			   struct histogram *latency)
{
	const struct clock_rate *clock = &runner->settings->clock;
	double seconds = clock_seconds(clock, now - runner->progress_at);
	uint64_t ops = all->received_ops;

	if (runner->phase.kind == LOAD_RUN)
		merge_latencies(latency, all);
	fprintf(runner->plan->progress, "%s%-7s %5.1f s %9.3f M ops/s",
		runner->plan->progress_in_place ? "\r" : "", phase_name(runner, now),
		clock_seconds(clock, now - runner->phase.start),
		(double)(ops - runner->progress_ops) / seconds / 1e6);
	if (latency->max)
		fprintf(runner->plan->progress, "  p50 %.1f  p99 %.1f us",
			(double)histogram_percentile(latency, 50.0) / 1e3,
			(double)histogram_percentile(latency, 99.0) / 1e3);
	fprintf(runner->plan->progress, "  lost %llu%s", (unsigned long long)all->lost,
		runner->plan->progress_in_place ? "  " : "\n");
	fflush(runner->plan->progress);
	runner->progress_ops = ops;
	runner->progress_at = now;
}

/* Reads the workers' counters while they count. */
static void show_progress(struct runner *runner, uint64_t now)
{
	struct tally *all = tally_create();
	struct histogram *latency = calloc(1, sizeof(*latency));

	if (all && latency) {
		merge(runner, all, all);
		print_progress(runner, now, all, latency);
	}
	free(all);
	free(latency);
}

/* Sleeps a little; stops the run when asked to. */
static void watch(struct runner *runner)
{
	struct pollfd stop = { .fd = runner->plan->stop_fd, .events = POLLIN };

	if (poll(&stop, 1, POLL_MS) > 0) {
		runner->result->interrupted = true;
		__atomic_store_n(&runner->stop, 1, __ATOMIC_RELAXED);
	}
}

static void watch_until_done(struct runner *runner)
{
	uint64_t gap = clock_ticks(&runner->settings->clock, runner->plan->progress_seconds);

	runner->progress_at = clock_now();
	while (__atomic_load_n(&runner->running, __ATOMIC_ACQUIRE)) {
		uint64_t now;

		watch(runner);
		now = clock_now();
		if (runner->plan->progress && now >= runner->progress_at + gap &&
		    now > runner->phase.start)
			show_progress(runner, now);
	}
}

static void take_failure(struct runner *runner)
{
	for (uint32_t i = 0; i < runner->created && runner->result->failure[0] == '\0'; i++)
		memcpy(runner->result->failure, runner->workers[i]->failure,
		       sizeof(runner->result->failure));
}

/* Runs one phase on all workers; returns its seconds, or -1 when it failed or was stopped. */
static double run_phase(struct runner *runner, const struct load_phase *phase)
{
	struct post posts[LOAD_WORKERS_MAX];
	uint64_t begun = clock_now();
	uint32_t started = 0;

	runner->phase = *phase;
	runner->running = runner->created;
	while (started < runner->created) {
		posts[started] = (struct post){ runner, runner->workers[started] };
		if (runner->threads->start(runner->threads->context, started, run_post,
					   &posts[started]) < 0)
			break;
		started++;
	}
	if (started < runner->created) {
		snprintf(runner->result->failure, sizeof(runner->result->failure),
			 "cannot start worker %u", started);
		__atomic_store_n(&runner->stop, 1, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&runner->running, runner->created - started, __ATOMIC_RELEASE);
	}
	watch_until_done(runner);
	for (uint32_t i = 0; i < started; i++)
		runner->threads->join(runner->threads->context, i);
	take_failure(runner);
	if (runner->result->failure[0] != '\0' || runner->stop)
		return -1.0;
	return clock_seconds(&runner->settings->clock, clock_now() - begun);
}

static int run_mix(struct runner *runner)
{
	const struct clock_rate *clock = &runner->settings->clock;
	const struct runner_plan *plan = runner->plan;
	uint64_t start = clock_now() + clock_ticks(clock, RUN_LEAD_SECONDS);
	struct load_phase phase = {
		.kind = LOAD_RUN,
		.start = start,
		.measure_from = start + clock_ticks(clock, plan->warmup_seconds),
		.until = start + clock_ticks(clock, plan->warmup_seconds + plan->duration_seconds),
	};
	uint64_t ended;

	if (run_phase(runner, &phase) >= 0) {
		runner->result->measured_seconds = plan->duration_seconds;
		return 0;
	}
	/* what was measured until it was interrupted is still told */
	ended = clock_now();
	if (ended > phase.measure_from)
		runner->result->measured_seconds = fmin(
			clock_seconds(clock, ended - phase.measure_from), plan->duration_seconds);
	return -1;
}

/* A phase that takes as long as it takes. */
static double run_simple(struct runner *runner, enum load_phase_kind kind)
{
	const struct load_phase phase = { .kind = kind, .start = clock_now() };

	return run_phase(runner, &phase);
}

static int run_phases(struct runner *runner)
{
	const struct runner_plan *plan = runner->plan;
	struct runner_result *result = runner->result;

	if (run_simple(runner, LOAD_CONNECT) < 0)
		return -1;
	result->server = runner->workers[0]->server;
	if (plan->preload) {
		result->preload_seconds = run_simple(runner, LOAD_PRELOAD);
		if (result->preload_seconds < 0)
			return -1;
		result->preload_keys = runner->settings->workload.key_count;
	}
	if (plan->duration_seconds > 0 && run_mix(runner) < 0)
		return -1;
	if (plan->verify) {
		result->verify_seconds = run_simple(runner, LOAD_VERIFY);
		if (result->verify_seconds < 0)
			return -1;
	}
	return 0;
}

static int create_workers(struct runner *runner, struct transport *const *transports)
{
	struct runner_result *result = runner->result;

	result->measured = tally_create();
	result->rest = tally_create();
	while (result->measured && result->rest &&
	       runner->created < runner->settings->worker_count) {
		struct load_worker *worker =
			load_worker_create(runner->settings, runner->created,
					   transports[runner->created], &runner->stop);

		if (!worker)
			break;
		runner->workers[runner->created++] = worker;
	}
	if (runner->created == runner->settings->worker_count)
		return 0;
	snprintf(result->failure, sizeof(result->failure), "no memory for %u workers",
		 runner->settings->worker_count);
	return -1;
}

int runner_run(const struct load_settings *settings, const struct runner_plan *plan,
	       struct transport *const *transports, const struct runner_threads *threads,
	       struct runner_result *result)
{
	struct runner runner = {
		.settings = settings, .plan = plan, .threads = threads, .result = result
	};
	int status;

	memset(result, 0, sizeof(*result));
	status = create_workers(&runner, transports);
	if (status == 0)
		status = run_phases(&runner);
	if (plan->progress && plan->progress_in_place)
		fprintf(plan->progress, "\r%78s\r", "");
	if (status == 0 || runner.created == settings->worker_count)
		merge(&runner, result->measured, result->rest);
	for (uint32_t i = 0; i < runner.created; i++) {
		result->unexpected += transports[i]->unexpected;
		result->send_errors += transports[i]->send_errors;
		load_worker_destroy(runner.workers[i]);
	}
	return status;
}

void runner_result_fini(struct runner_result *result)
{
	free(result->measured);
	free(result->rest);
	result->measured = NULL;
	result->rest = NULL;
}

/* ---- plain threads ---- */

struct runner_pthread {
	pthread_t thread;
	int (*body)(void *);
	void *argument;
};

static void *run_pthread(void *argument)
{
	struct runner_pthread *thread = argument;

	thread->body(thread->argument);
	return NULL;
}

/* A CPU that is not there leaves the thread where it is. */
static void pin(const struct runner_pthreads *threads, uint32_t worker)
{
	cpu_set_t set;

	if (threads->cpu_count == 0)
		return;
	CPU_ZERO(&set);
	CPU_SET(threads->cpus[worker], &set);
	pthread_setaffinity_np(threads->threads[worker]->thread, sizeof(set), &set);
}

int runner_pthread_start(void *context, uint32_t worker, int (*body)(void *), void *argument)
{
	struct runner_pthreads *threads = context;
	struct runner_pthread *thread = calloc(1, sizeof(*thread));
	int result;

	if (!thread)
		return -ENOMEM;
	thread->body = body;
	thread->argument = argument;
	result = pthread_create(&thread->thread, NULL, run_pthread, thread);
	if (result != 0) {
		free(thread);
		return -result;
	}
	threads->threads[worker] = thread;
	pin(threads, worker);
	return 0;
}

void runner_pthread_join(void *context, uint32_t worker)
{
	struct runner_pthreads *threads = context;

	pthread_join(threads->threads[worker]->thread, NULL);
	free(threads->threads[worker]);
	threads->threads[worker] = NULL;
}
