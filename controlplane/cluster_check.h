/* SPDX-License-Identifier: BSD-3-Clause */
/* What is wrong with a cluster, as one node sees it, and what to do about it. */
#ifndef CONTROLPLANE_CLUSTER_CHECK_H
#define CONTROLPLANE_CLUSTER_CHECK_H

#include <stdint.h>

#include "controlplane/cluster.h"

#define CLUSTER_PROBLEM_SIZE 256u
#define CLUSTER_PROBLEM_COUNT_MAX 32u

struct cluster_problem {
	const char *kind; /* "member_dead": for scripts */
	char text[CLUSTER_PROBLEM_SIZE];
};

/* Fills 'problems', which has room for CLUSTER_PROBLEM_COUNT_MAX; more are left out. Returns how many;
 * 0: all is well.
 */
uint32_t cluster_check(const struct cluster *cluster, struct cluster_problem *problems);

#endif
