/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node's part in its cluster counted, as a table of names, values and explanations. */
#ifndef CONTROLPLANE_CLUSTER_COUNTERS_H
#define CONTROLPLANE_CLUSTER_COUNTERS_H

#include <stdint.h>

#include "dataplane/counter_table.h"

extern const struct counter_table cluster_counter_table;

/* Fills the values of the table's rows, of all together at one moment. 'context' is a struct cluster; without a bus its
 * counters are 0. Control thread.
 */
void cluster_counters(const void *context, uint64_t *values);

#endif
