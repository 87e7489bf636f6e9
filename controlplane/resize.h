/* SPDX-License-Identifier: BSD-3-Clause */
/* One change of the cluster's size at a time, and none while partitions are on their way. */
#ifndef CONTROLPLANE_RESIZE_H
#define CONTROLPLANE_RESIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/membership.h"
#include "controlplane/partition_map.h"

/* A partition on its way, as living members announce it. */
struct resize_move {
	uint32_t partition;
	const struct node *from; /* NULL = not known */
	const struct node *to;   /* NULL = not announced (any more) */
};

/* Thread safety: pure functions.
 *
 * Finds the lowest partition on its way that is at least 'first'. Those that the member 'except' announces
 * are skipped (0 = none are): a dead node's own jobs do not stand in the way of its removal. False: there
 * is none.
 */
bool resize_find_move(const struct membership *membership, const struct partition_map *map,
		      uint64_t except, uint32_t first, struct resize_move *move);

/* A living member that leaves; NULL = none does. */
const struct node *resize_find_leaving(const struct membership *membership);

/* Whether the size may be changed now: 0, or -EBUSY and a sentence in 'error' that names the partition on
 * its way, or the node that leaves, and says what to do.
 */
int resize_check(const struct membership *membership, const struct partition_map *map,
		 uint64_t except, char *error, size_t error_size);

#endif
