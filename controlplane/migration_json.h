/* SPDX-License-Identifier: BSD-3-Clause */
/* Migrations and rebalances as JSON: of one node, and of all nodes put together. */
#ifndef CONTROLPLANE_MIGRATION_JSON_H
#define CONTROLPLANE_MIGRATION_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "controlplane/migrator.h"
#include "controlplane/rebalance_plan.h"

/* What numbers of nodes are called. Returns 'text', or a constant. */
struct migration_names {
	const char *(*name)(void *context, uint64_t id, char text[NODE_NAME_SIZE]);
	void *context;
	uint64_t self;
};

/* All return new references, NULL without memory. Job numbers are text: JSON's numbers do not hold 64 bits
 * everywhere.
 */

/* {"partition", "job", "attempt", "from", "to", "role", "phase", "in_doubt", "reason" (null = it goes on),
 * "items", "items_expected", "bytes", "bytes_expected", "deltas", "bytes_per_s", "eta_ms" (null = unknown),
 * "running_ms"}
 */
json_t *migration_view_json(const struct migration_view *view, const struct migration_names *names);

/* {"partition", "job", "from", "to", "role", "ok", "reason", "items", "bytes", "took_ms", "ended_ms_ago"} */
json_t *migration_past_json(const struct migration_past *past, const struct migration_names *names);

/* {"jobs": [...], "past": [...]} of a node. */
json_t *migration_node_json(const struct migrator *migrator, const struct migration_names *names);

/* {"moves": [{"partition", "from", "to"}, ...], "unmovable": N} */
json_t *migration_plan_json(const struct rebalance_plan *plan, const struct migration_names *names);

/* Puts the answers of nodes together: 'answers' is an array of {"name", "body"} with a migration_node_json(),
 * or {"name", "error"}. Both ends tell of a job; what the source says goes first, it knows more.
 *
 * {"nodes": [{"name", "error" (null = it answered)}], "jobs": [...] by partition, "past": [...] latest first}
 */
json_t *migration_merge_json(const json_t *answers);

#endif
