/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment abstraction layer: its arguments, its start and stop, its log. */
#ifndef CONTROLPLANE_EAL_H
#define CONTROLPLANE_EAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "controlplane/log.h"
#include "controlplane/machine.h"
#include "controlplane/options.h"

#define EAL_ARGUMENT_MAX 64u
#define EAL_TEXT_SIZE 8192u

/* How the node will run on this machine. Lcore 0 is the control thread's. */
struct eal_plan {
	int argc;
	char *argv[EAL_ARGUMENT_MAX + 1]; /* terminated by NULL */
	bool huge_pages;
	uint64_t huge_pages_needed; /* for all of it, whether they are there or not */
	enum idle_mode idle;
	char text[EAL_TEXT_SIZE]; /* of the arguments */
	size_t text_used;
};

/* Plans and checks what the machine must have for it. 'extra' are the operator's own arguments,
 * 'extra_count' of them, which must outlive the plan. Returns the number of mistakes reported on
 * 'errors'. Pure.
 */
uint32_t eal_plan_make(struct eal_plan *plan, const struct options *options,
		       const struct machine *machine, int extra_count, char **extra, FILE *errors);

static inline uint32_t eal_worker_lcore(uint32_t worker)
{
	return worker + 1;
}

/* DPDK's log lines as ours. Its drivers call much an error that is none while they try what a
 * device can do, so until eal_log_set_started() all are debug lines and the last error is kept;
 * from then on errors are warnings, as many as a call site may write.
 *
 * Thread safety: DPDK writes under the lock of its stream.
 */
struct eal_log {
	struct log *log;
	FILE *stream;
	size_t used;
	char line[512];       /* not yet ended by a newline */
	char last_error[512]; /* the last line at error level, "" = none */
	bool is_started;
	struct log_limit limit;
};

/* Starts the EAL by 'plan'. On failure returns -errno and writes one line, what failed and what to
 * do, into 'error'. Once per process.
 */
int eal_start(struct eal_log *eal_log, const struct eal_plan *plan, struct log *log, char *error,
	      size_t error_size);

/* What the EAL logs from here on is worth a look; see struct eal_log. */
void eal_log_set_started(struct eal_log *eal_log);

/* Gives back what the EAL holds, and removes its runtime directory, which it leaves empty.
 *
 * DPDK's memif driver never takes its listening socket from the EAL's interrupt thread. The EAL's end wakes that thread up and
 * unmaps the memory it then looks at: one in four ends on a busy machine was a crash. So once there was a memif port the memory
 * is left to the end of the process, which must be next.
 */
void eal_stop(struct eal_log *eal_log, bool had_memif);

#endif
