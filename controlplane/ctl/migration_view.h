/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations and rebalances, from the JSON of an admin address to text. */
#ifndef CONTROLPLANE_CTL_MIGRATION_VIEW_H
#define CONTROLPLANE_CTL_MIGRATION_VIEW_H

#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

#define MIGRATION_BAR_SIZE 64u

/* "[########------------]  41%"; 'share' is 0..1. Returns 'text'. */
const char *migration_view_bar(char text[MIGRATION_BAR_SIZE], double share);

/* Prints the reply of GET /v1/migrations: what is on its way, the latest that ended, and nodes that did not
 * answer. 0, or -ENOMEM.
 */
int migration_view_list(const json_t *list, FILE *out);

/* Prints one job in one line without its end: "7 a -> b  [####...]  41%  12.0 MiB of 30.0 MiB, ..." */
void migration_view_job(const json_t *job, FILE *out);

/* Prints how a job ended, in one line: "partition 7 has moved from a to b: 1.2K items, ..." */
void migration_view_end(const json_t *past, FILE *out);

/* The job on 'partition' that goes 'to', in the array 'jobs'; NULL when there is none. Of jobs that ended,
 * those that did so more than 'ago_ms_max' ago are left out.
 */
const json_t *migration_view_find(const json_t *jobs, uint64_t partition, const char *to,
				  uint64_t ago_ms_max);

/* Prints the reply of POST /v1/rebalance with dry_run. 0, or -ENOMEM. */
int migration_view_moves(const json_t *plan, FILE *out);

#endif
