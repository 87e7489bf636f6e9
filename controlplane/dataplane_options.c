/* SPDX-License-Identifier: BSD-3-Clause */
/* Options to data plane options, field by field. */
#include "controlplane/dataplane_options.h"

#include <stdio.h>
#include <string.h>

static_assert(OPTION_TEXT_SIZE <= DATAPLANE_TEXT_SIZE, "an option's text fits the data plane's");

static void make_port(struct port_options *port, const struct options *options)
{
	port->kind = (enum port_kind)options->port_kind;
	snprintf(port->device, sizeof(port->device), "%s", options->port_device);
	snprintf(port->device_args, sizeof(port->device_args), "%s", options->port_args);
	port->memif_server = options->port_memif_server;
	memcpy(port->mac, options->data_mac.bytes, sizeof(port->mac));
	port->ipv4 = options->data_address.ipv4;
	port->ipv4_prefix = (uint8_t)options->data_address.prefix;
	port->gateway_ipv4 = options->data_gateway;
	if (port->kind == PORT_TAP)
		port->host_ipv4 = options->port_host_address;
	port->mtu = (uint16_t)options->data_mtu;
	port->ring_size = (uint16_t)options->port_ring_size;
}

void dataplane_options_make(struct dataplane_options *target, const struct options *options,
			    const struct eal_plan *plan)
{
	memset(target, 0, sizeof(*target));
	/* Only a prefix of object names within this process, so it need not be the node's name. */
	snprintf(target->name, sizeof(target->name), "godwit");
	target->worker_count = options->data_workers;
	for (uint32_t worker = 0; worker < options->data_workers; worker++)
		target->worker_lcores[worker] = eal_worker_lcore(worker);
	target->idle = plan->idle;
	make_port(&target->port, options);
	target->udp_port_base = (uint16_t)options->data_udp_port;
	target->partition_count = options->storage_partitions;
	target->memory_limit_bytes = options->storage_memory;
	target->huge_pages = plan->huge_pages;
	target->capacity_initial = options->storage_capacity;
	target->eviction = (enum eviction)options->storage_eviction;
	target->session_count_max = options->data_sessions;
}
