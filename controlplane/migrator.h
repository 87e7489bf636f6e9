/* SPDX-License-Identifier: BSD-3-Clause */
/* The migrations of this node at work: the machines of migration_jobs.h on the data plane, the cluster and the bus. */
#ifndef CONTROLPLANE_MIGRATOR_H
#define CONTROLPLANE_MIGRATOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/migration.h"
#include "controlplane/migration_jobs.h"
#include "controlplane/node.h"
#include "controlplane/refusal.h"
#include "dataplane/counter_table.h"

#define MIGRATOR_ERROR_SIZE REFUSAL_TEXT_SIZE

/* Thread safety: none; the control thread owns it. */
struct migrator;

/* --- What the operator, or the plan, wants. 0, or -errno and a sentence in 'error' (MIGRATOR_ERROR_SIZE bytes): what is
 * wrong and what to do. Nothing changed then. ---
 */

/* This node starts to take 'partition' from its owner. -ENOENT: no such partition, or no owner; -EALREADY: it is this node's;
 * -EBUSY: it is being migrated; -ENOSPC: too many at once; -EHOSTDOWN: the owner is not alive.
 */
int migrator_import(struct migrator *migrator, uint32_t partition, char *error);

/* Ends the job that works on 'partition', unless it is decided. -ENOENT: there is none here; -EALREADY: too late. */
int migrator_cancel(struct migrator *migrator, uint32_t partition, char *error);

/* Ends a job whose other end is dead by taking the partition with the data that is here. -ENOENT; -EBUSY: the other end is
 * thought alive.
 */
int migrator_claim(struct migrator *migrator, uint32_t partition, char *error);

/* --- What is known --- */

/* One job for people; numbers as far as this end knows them. */
struct migration_view {
	uint32_t partition;
	bool is_source;
	uint64_t job;
	uint32_t attempt;
	uint64_t peer; /* node id of the other end */
	const char *state;
	bool is_in_doubt;             /* decided, and the other end does not answer */
	enum migration_reason reason; /* why it waits or failed; MIGRATION_NO_REASON = it goes on */
	uint64_t items_expected;
	uint64_t bytes_expected;
	uint64_t items;
	uint64_t bytes;
	uint64_t deltas;
	uint64_t bytes_per_s; /* lately */
	uint64_t started_ms;  /* ago */
};

/* Fills up to 'view_max' views, ascending by partition; returns how many. */
uint32_t migrator_list(const struct migrator *migrator, struct migration_view *views,
		       uint32_t view_max);

/* Jobs that ended, the latest first. */
struct migration_past {
	uint32_t partition;
	bool is_source;
	uint64_t job;
	uint64_t peer;
	bool is_ok; /* the partition changed its owner */
	enum migration_reason reason;
	uint64_t items;
	uint64_t bytes;
	uint64_t took_ms;
	uint64_t ended_ms; /* ago */
};
#define MIGRATOR_PAST_MAX 64u
uint32_t migrator_past(const struct migrator *migrator, struct migration_past *past,
		       uint32_t past_max);

/* Jobs at work, those that only wait for a confirmation of the other end included. */
uint32_t migrator_count(const struct migrator *migrator);

/* For /metrics and /v1/counters. */
extern const struct counter_table migrator_counter_table;

/* Fills the values of the table's rows; any time. 'migrator' is a struct migrator. */
void migrator_counters(const void *migrator, uint64_t *values);

#endif
