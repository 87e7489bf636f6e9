/* SPDX-License-Identifier: BSD-3-Clause */
/* Owner and epoch of each partition, as this node knows them. */
#ifndef CONTROLPLANE_PARTITION_MAP_H
#define CONTROLPLANE_PARTITION_MAP_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "storage/limits.h"

/* An epoch is the upper part of an item's version. */
#define PARTITION_EPOCH_MAX ((UINT32_C(1) << (64 - VERSION_SEQUENCE_BITS)) - 1)

/* One partition's ownership. Epoch 0: nobody is known to own it. */
struct partition_owner {
	uint32_t partition;
	uint32_t epoch;
	uint64_t owner; /* node id */
};

/* Merging is commutative, associative and idempotent: nodes that heard the same ownerships, in
 * whatever order, have equal maps. The higher epoch wins. Only the present owner raises it
 * (partition_map_hand_over), so two owners of one epoch cannot come from a hand-over; should it
 * happen all the same (two forced claims), the greater id wins everywhere.
 *
 * Thread safety: none; the event loop owns it. About 64 KB, copied by assignment.
 */
struct partition_map {
	uint32_t partition_count; /* of the cluster, a power of two; 0 = not known yet */
	uint64_t version;         /* the sum of all epochs: grows with every change of owner */
	uint64_t stamp;           /* a hash of the whole map: equal maps have equal stamps */
	uint64_t conflicts;       /* merges that saw two owners of one epoch */
	struct partition_owner partitions[PARTITION_COUNT_MAX];
};

enum partition_merge {
	PARTITION_MERGE_SAME,    /* known already */
	PARTITION_MERGE_TAKEN,   /* news */
	PARTITION_MERGE_OLDER,   /* the map knows better: tell the sender */
	PARTITION_MERGE_INVALID, /* no such partition or epoch, or no owner; nothing changed */
};

static inline bool partition_count_is_valid(uint32_t partition_count)
{
	return partition_count >= PARTITION_COUNT_MIN && partition_count <= PARTITION_COUNT_MAX &&
	       (partition_count & (partition_count - 1)) == 0;
}

/* All partitions without owner. 'partition_count' is valid, or 0 for a node that learns it when it
 * joins.
 */
void partition_map_init(struct partition_map *map, uint32_t partition_count);

/* The first node of a cluster takes all partitions at epoch 1. False, and nothing changed, unless
 * nobody owns any.
 */
bool partition_map_bootstrap(struct partition_map *map, uint64_t owner);

/* A decision of 'self', the owner of 'partition': it belongs to 'to' from the next epoch on. 0;
 * -EPERM when 'self' is not the owner; -EINVAL when there is no such partition; -EOVERFLOW after
 * the last epoch.
 */
int partition_map_hand_over(struct partition_map *map, uint64_t self, uint32_t partition,
			    uint64_t to);

/* 'to' takes 'partition' without its owner, at an epoch above 'epoch_seen': for a claim that the
 * rules allow, or the operator forces. 0; -ESTALE when the map has gone beyond 'epoch_seen'
 * meanwhile; -EINVAL; -EOVERFLOW.
 */
int partition_map_claim(struct partition_map *map, uint32_t partition, uint32_t epoch_seen,
			uint64_t to);

/* Takes over what another node knows, if it is newer. */
enum partition_merge partition_map_merge(struct partition_map *map,
					 const struct partition_owner *other);

/* Owner id, 0 when nobody is known to own it. 'partition' is below partition_count. */
static inline uint64_t partition_map_owner(const struct partition_map *map, uint32_t partition)
{
	return map->partitions[partition].owner;
}

static inline uint32_t partition_map_epoch(const struct partition_map *map, uint32_t partition)
{
	return map->partitions[partition].epoch;
}

/* What fits the 32-bit field of the data-plane protocol; differs between maps of different versions
 * up to 2^32 apart.
 */
static inline uint32_t partition_map_version32(const struct partition_map *map)
{
	return (uint32_t)map->version;
}

uint32_t partition_map_count_owned(const struct partition_map *map, uint64_t owner);

/* Whether version and stamp are those of the contents; for tests. */
bool partition_map_is_sound(const struct partition_map *map);

#endif
