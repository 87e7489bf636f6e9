/* SPDX-License-Identifier: BSD-3-Clause */
/* A data plane for the control plane's tests: a unit node whose workers turn when they are told to. */
#ifndef TESTS_UNIT_DATAPLANE_H
#define TESTS_UNIT_DATAPLANE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/dataplane_state.h"
#include "tests/unit/unit_node.h"

struct unit_dataplane {
	struct unit_node node;
	struct dataplane dataplane;
	struct reader reader; /* of the calling thread, as the control plane has one */
	bool is_frozen;       /* grace periods do not end */
};

/* Aborts when anything fails. */
void unit_dataplane_create(struct unit_dataplane *dataplane, const struct unit_node_options *options);
void unit_dataplane_destroy(struct unit_dataplane *dataplane);

/* Every worker takes the routes, looks at what is parked, does a slice of its commands and of its background work; but for those that
 * node.stalled names: while one of them stands still, no grace period ends.
 */
void unit_dataplane_turn(struct unit_dataplane *dataplane);

struct partition *unit_dataplane_partition(const struct unit_dataplane *dataplane, uint32_t partition);

/* --- Items made from numbers, written by the owner core behind the back of all requests --- */

#define UNIT_KEY_SIZE 16u

/* Writes key 'number' with 'size' bytes of value that depend on 'number' and 'write'. False: no memory. */
bool unit_dataplane_put(struct unit_dataplane *dataplane, uint32_t partition, uint64_t number, uint64_t write,
			uint32_t size, uint64_t expires_at_ms);

/* False: there is no such key. */
bool unit_dataplane_remove(struct unit_dataplane *dataplane, uint32_t partition, uint64_t number);

/* NULL: there is none. A tombstone is none. */
const struct item *unit_dataplane_get(const struct unit_dataplane *dataplane, uint32_t partition, uint64_t number);

/* Whether the item has the value that unit_dataplane_put() gave it. */
bool unit_dataplane_value_is(const struct item *item, uint64_t number, uint64_t write, uint32_t size);

#endif
