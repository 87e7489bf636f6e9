/* SPDX-License-Identifier: BSD-3-Clause */
/* A whole run: workers on their threads, led through the phases, watched, stopped on a signal. */
#ifndef LOADGEN_RUNNER_H
#define LOADGEN_RUNNER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "dataplane/loadgen/load_settings.h"
#include "dataplane/loadgen/load_worker.h"

struct runner_plan {
	bool preload;
	bool verify;
	double warmup_seconds;
	double duration_seconds; /* 0 = no measured run */
	double progress_seconds; /* between progress lines */
	FILE *progress;          /* NULL = none */
	bool progress_in_place;  /* a terminal: each line overwrites the one before */
	int stop_fd;             /* readable = stop early; -1 = never */
};

/* How a worker's thread is started and awaited; lcores and plain threads differ. */
struct runner_threads {
	/* Runs body(argument) on thread 'worker' (0-based). 0 or -errno. */
	int (*start)(void *context, uint32_t worker, int (*body)(void *), void *argument);
	void (*join)(void *context, uint32_t worker);
	void *context;
};

struct runner_result {
	struct tally *measured; /* of the measured time */
	struct tally *rest;     /* of the load, warm-up and verify phases */
	struct wire_hello_reply server;
	double preload_seconds;
	uint64_t preload_keys;
	double measured_seconds;
	double verify_seconds;
	uint64_t unexpected; /* frames that belong to no flow */
	uint64_t send_errors;
	bool interrupted;
	char failure[256]; /* why the run ended early, "" = it did not */
};

/* Runs all phases of 'plan' with one worker per transport ('settings->worker_count' of them, which
 * stay the caller's). Blocks until done. 0, or -1 with result->failure set; the result is filled as
 * far as the run came. Call runner_result_fini() in both cases.
 */
int runner_run(const struct load_settings *settings, const struct runner_plan *plan,
	       struct transport *const *transports, const struct runner_threads *threads,
	       struct runner_result *result);

void runner_result_fini(struct runner_result *result);

/* Plain POSIX threads; 'context' is a struct runner_pthreads, zero but for the CPUs. */
struct runner_pthreads {
	uint32_t cpu_count; /* 0 = as the system likes, else worker i runs on cpus[i] */
	uint32_t cpus[LOAD_WORKERS_MAX];
	struct runner_pthread *threads[LOAD_WORKERS_MAX];
};
int runner_pthread_start(void *context, uint32_t worker, int (*body)(void *), void *argument);
void runner_pthread_join(void *context, uint32_t worker);

#endif
