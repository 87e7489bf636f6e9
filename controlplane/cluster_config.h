/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node brings to its cluster, from its options: identity, addresses, keys. */
#ifndef CONTROLPLANE_CLUSTER_CONFIG_H
#define CONTROLPLANE_CLUSTER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_crypto.h"
#include "controlplane/node.h"
#include "controlplane/options.h"
#include "controlplane/world.h"

struct cluster_config {
	char name[BUS_CLUSTER_NAME_SIZE];
	struct node self; /* the first record */
	uint32_t partition_count;
	bool has_bus;         /* false: a node by itself; what follows is not looked at */
	uint32_t listen_ipv4; /* host byte order */
	uint16_t listen_port;
	char key_file[OPTION_TEXT_SIZE]; /* "" = insecure */
	struct bus_keys keys;            /* count 0 = insecure */
	uint32_t seed_count;             /* this node's own address left out */
	struct node_address seeds[OPTION_ENDPOINT_COUNT_MAX];
	bool is_joining; /* seeds were given, be they this node's own */
	bool may_found;
	bool auto_rebalance;
	bool is_fencing;
	uint32_t fence_ms;
	uint32_t probe_ms;
};

/* Fills '*config' from options that are checked. The generation is the present moment and chance: a
 * later start has a greater one; the session secret is chance alone. 0, or -errno after writing what is wrong and what to do into
 * 'error'.
 */
int cluster_config_make(struct cluster_config *config, const struct options *options,
			const struct world *world, char *error, size_t error_size);

/* Reads a key file. 0, or -errno after writing what is wrong into 'error'. */
int cluster_config_read_keys(struct bus_keys *keys, const char *path, char *error,
			     size_t error_size);

#endif
