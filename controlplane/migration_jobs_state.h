/* SPDX-License-Identifier: BSD-3-Clause */
/* What migration_jobs.h hides: for migration_jobs.c, and for a model that takes every way through it. */
#ifndef CONTROLPLANE_MIGRATION_JOBS_STATE_H
#define CONTROLPLANE_MIGRATION_JOBS_STATE_H

#include "controlplane/migration_jobs.h"
#include "controlplane/prng.h"

struct source_job {
	bool is_used;
	struct migration_source source;
	struct migration_source_actions actions;
};

struct target_job {
	bool is_used;
	struct migration_target target;
	struct migration_target_actions actions;
};

/* An attempt that this node was the source of. */
struct ended_attempt {
	uint64_t job;
	uint32_t attempt;
};

struct migration_jobs {
	struct migration_jobs_options options;
	struct migration_jobs_counters counters;
	struct prng prng;
	uint64_t now_ms;
	bool sees_majority;
	struct source_job *sources;
	struct target_job *targets;
	uint32_t ended_count; /* ever; the ring below holds the latest */
	struct ended_attempt ended[MIGRATION_JOBS_REMEMBERED];
	uint32_t action_count;
	uint32_t action_max;
	struct migration_jobs_action *actions;
};

#endif
