/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node's part in its cluster counted, as a table of names, values and explanations. */
#ifndef CONTROLPLANE_CLUSTER_COUNTERS_H
#define CONTROLPLANE_CLUSTER_COUNTERS_H

#include <stdint.h>

/* 'counter' is below cluster_counter_count(). */
uint32_t cluster_counter_count(void);
const char *cluster_counter_name(uint32_t counter);
const char *cluster_counter_help(uint32_t counter);

/* 'context' is a struct cluster; without a bus its counters are 0. */
uint64_t cluster_counter(const void *context, uint32_t counter);

#endif
