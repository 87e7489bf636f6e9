/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment for the load generator: workers on pinned lcores, a main thread to watch. */
#ifndef LOADGEN_BENCH_EAL_H
#define LOADGEN_BENCH_EAL_H

#include <stddef.h>
#include <stdint.h>

#include "dataplane/loadgen/bench_options.h"

/* Starts the EAL: the calling thread becomes the main lcore, which runs on any CPU; worker i has an
 * lcore of its own, on the i-th of options->cpus if given. Huge pages are used when enough are
 * free, else plain pages. 0, or -errno with one line in 'error'.
 */
int bench_eal_start(const struct bench_options *options, char *error, size_t error_size);

void bench_eal_stop(void);

/* Runs a worker's body on its lcore: see struct runner_threads. */
int bench_eal_thread_start(void *context, uint32_t worker, int (*body)(void *), void *argument);
void bench_eal_thread_join(void *context, uint32_t worker);

#endif
