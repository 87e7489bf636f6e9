/* SPDX-License-Identifier: BSD-3-Clause */
/* Options to what the cluster's machines take. */
#include "controlplane/cluster_config.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define KEY_FILE_SIZE_MAX 4096u
#define GENERATION_RANDOM_BITS 20u

int cluster_config_read_keys(struct bus_keys *keys, const char *path, char *error,
			     size_t error_size)
{
	char text[KEY_FILE_SIZE_MAX];
	FILE *file = fopen(path, "re");
	int result = file ? 0 : -errno;
	uint32_t line;
	size_t size;

	if (!file) {
		snprintf(error, error_size, "cluster.key_file: cannot read %s: %s", path,
			 strerror(errno));
		return result;
	}
	size = fread(text, 1, sizeof(text), file);
	if (ferror(file)) {
		snprintf(error, error_size, "cluster.key_file: cannot read %s", path);
		result = -EIO;
	} else if (bus_keys_parse(keys, text, size, &line) != 0) {
		snprintf(error, error_size,
			 "cluster.key_file: %s line %u: expected one or two keys of 64 hexadecimal "
			 "digits, each in a line; `godwitctl cluster key` makes one",
			 path, line);
		result = -EINVAL;
	}
	fclose(file);
	sodium_memzero(text, sizeof(text));
	return result;
}

static struct node_address address_of(const struct option_endpoint *endpoint)
{
	return node_address_ipv4(endpoint->ipv4, (uint16_t)endpoint->port);
}

static uint64_t make_generation(const struct world *world)
{
	return world_unix_ms(world) << GENERATION_RANDOM_BITS |
	       world_random_below(world, UINT64_C(1) << GENERATION_RANDOM_BITS);
}

static void make_self(struct node *self, const struct options *options, const struct world *world)
{
	snprintf(self->name, sizeof(self->name), "%.*s", (int)sizeof(self->name) - 1,
		 options->node_name);
	self->id = node_id_of_name(self->name);
	self->generation = make_generation(world);
	world_random_bytes(world, self->session_secret, sizeof(self->session_secret));
	self->state = NODE_ACTIVE;
	if (options->cluster_advertise.port != 0)
		self->control = address_of(&options->cluster_advertise);
	self->data =
		node_address_ipv4(options->data_address.ipv4, (uint16_t)options->data_udp_port);
	self->workers = (uint16_t)options->data_workers;
	self->weight = (uint16_t)options->cluster_weight;
}

static void make_seeds(struct cluster_config *config, const struct options *options)
{
	for (uint32_t i = 0; i < options->cluster_join.count; i++) {
		struct node_address seed = address_of(&options->cluster_join.items[i]);

		if (!node_address_equals(&seed, &config->self.control))
			config->seeds[config->seed_count++] = seed;
	}
	config->is_joining = options->cluster_join.count > 0;
}

int cluster_config_make(struct cluster_config *config, const struct options *options,
			const struct world *world, char *error, size_t error_size)
{
	memset(config, 0, sizeof(*config));
	snprintf(config->name, sizeof(config->name), "%.*s", (int)sizeof(config->name) - 1,
		 options->cluster_name);
	make_self(&config->self, options, world);
	config->partition_count = options->storage_partitions;
	config->has_bus = options->cluster_listen.port != 0;
	if (!config->has_bus)
		return 0;
	config->listen_ipv4 = options->cluster_listen.ipv4;
	config->listen_port = (uint16_t)options->cluster_listen.port;
	make_seeds(config, options);
	config->may_found = options->cluster_bootstrap;
	config->auto_rebalance = options->cluster_auto_rebalance;
	config->is_fencing = options->cluster_fencing == OPTION_FENCING_MAJORITY;
	config->fence_ms = options->cluster_fence_ms;
	config->probe_ms = options->cluster_probe_ms;
	if (options->cluster_key_file[0] == '\0')
		return 0;
	snprintf(config->key_file, sizeof(config->key_file), "%s", options->cluster_key_file);
	return cluster_config_read_keys(&config->keys, config->key_file, error, error_size);
}
