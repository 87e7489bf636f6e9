/* SPDX-License-Identifier: BSD-3-Clause */
/* Key -> partition, the same on every client and node. */
#ifndef DATAPLANE_WIRE_PARTITION_H
#define DATAPLANE_WIRE_PARTITION_H

#include <stddef.h>
#include <stdint.h>

/* The low bits of XXH3-64 (seed 0) of the key; 'partition_count' is a power of two. Public, so that clients can route. */
uint32_t wire_partition_of(const void *key, size_t key_size, uint32_t partition_count);

#endif
