/* SPDX-License-Identifier: BSD-3-Clause */
/* Owner and epoch of each partition, as this node knows them. */
#include "controlplane/partition_map.h"

#include <errno.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void partition_map_init(struct partition_map *map, uint32_t partition_count)
{
	memset(map, 0, sizeof(*map));
	map->partition_count = partition_count;
	for (uint32_t p = 0; p < PARTITION_COUNT_MAX; p++)
		map->partitions[p].partition = p;
}

/* What one partition adds to the stamp. Stamps are combined by XOR, so a change costs two of these.
 */
static uint64_t stamp_of(const struct partition_owner *owner)
{
	uint64_t words[2] = { (uint64_t)owner->partition << 32 | owner->epoch, owner->owner };

	return owner->epoch ? XXH3_64bits(words, sizeof(words)) : 0;
}

static void set(struct partition_map *map, uint32_t partition, uint64_t owner, uint32_t epoch)
{
	struct partition_owner *entry = &map->partitions[partition];

	map->stamp ^= stamp_of(entry);
	map->version += epoch - entry->epoch;
	entry->owner = owner;
	entry->epoch = epoch;
	map->stamp ^= stamp_of(entry);
}

bool partition_map_bootstrap(struct partition_map *map, uint64_t owner)
{
	if (map->version != 0 || map->partition_count == 0)
		return false;
	for (uint32_t p = 0; p < map->partition_count; p++)
		set(map, p, owner, 1);
	return true;
}

int partition_map_hand_over(struct partition_map *map, uint64_t self, uint32_t partition,
			    uint64_t to)
{
	if (partition >= map->partition_count || to == 0)
		return -EINVAL;
	if (map->partitions[partition].epoch == 0 || map->partitions[partition].owner != self)
		return -EPERM;
	if (map->partitions[partition].epoch >= PARTITION_EPOCH_MAX)
		return -EOVERFLOW;
	set(map, partition, to, map->partitions[partition].epoch + 1);
	return 0;
}

int partition_map_claim(struct partition_map *map, uint32_t partition, uint32_t epoch_seen,
			uint64_t to)
{
	if (partition >= map->partition_count || to == 0)
		return -EINVAL;
	if (map->partitions[partition].epoch > epoch_seen)
		return -ESTALE;
	if (epoch_seen >= PARTITION_EPOCH_MAX)
		return -EOVERFLOW;
	set(map, partition, to, epoch_seen + 1);
	return 0;
}

enum partition_merge partition_map_merge(struct partition_map *map,
					 const struct partition_owner *other)
{
	const struct partition_owner *mine;

	if (other->partition >= map->partition_count || other->epoch == 0 ||
	    other->epoch > PARTITION_EPOCH_MAX || other->owner == 0)
		return PARTITION_MERGE_INVALID;
	mine = &map->partitions[other->partition];
	if (other->epoch == mine->epoch && other->owner == mine->owner)
		return PARTITION_MERGE_SAME;
	if (other->epoch == mine->epoch)
		map->conflicts++;
	if (other->epoch < mine->epoch ||
	    (other->epoch == mine->epoch && other->owner < mine->owner))
		return PARTITION_MERGE_OLDER;
	set(map, other->partition, other->owner, other->epoch);
	return PARTITION_MERGE_TAKEN;
}

uint32_t partition_map_count_owned(const struct partition_map *map, uint64_t owner)
{
	uint32_t count = 0;

	for (uint32_t p = 0; p < map->partition_count; p++)
		count += map->partitions[p].epoch != 0 && map->partitions[p].owner == owner;
	return count;
}

bool partition_map_is_sound(const struct partition_map *map)
{
	uint64_t version = 0;
	uint64_t stamp = 0;

	for (uint32_t p = 0; p < map->partition_count; p++) {
		version += map->partitions[p].epoch;
		stamp ^= stamp_of(&map->partitions[p]);
		if (map->partitions[p].partition != p ||
		    (map->partitions[p].epoch == 0) != (map->partitions[p].owner == 0))
			return false;
	}
	return version == map->version && stamp == map->stamp;
}
