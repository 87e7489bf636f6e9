/* SPDX-License-Identifier: BSD-3-Clause */
/* What several options together must fulfil, and the "auto" values that other options decide. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/node.h"
#include "controlplane/options.h"

#define INTERFACE_NAME_SIZE 16u
#define SOCKET_PATH_SIZE 108u

/* Checks of one kind; each returns the number of mistakes it reported. */
typedef uint32_t check_fn(struct options *options, FILE *errors);

static uint32_t network_mask(const struct option_network *network)
{
	return UINT32_MAX << (32 - network->prefix);
}

/* Whether 'ipv4' can be a host of the data network. */
static bool is_host_of(const struct option_network *network, uint32_t ipv4)
{
	uint32_t host_bits = ~network_mask(network);

	return (ipv4 & ~host_bits) == (network->ipv4 & ~host_bits) && (ipv4 & host_bits) != 0 &&
	       (ipv4 & host_bits) != host_bits;
}

static uint32_t check_name(struct options *options, FILE *errors)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";

	if (options->node_name[strspn(options->node_name, allowed)] == '\0' &&
	    options->node_name[0] != '.')
		return 0;
	options_mistake(options, errors, "node.name",
			"expected letters, digits, '-', '_' and '.', not first a '.'");
	return 1;
}

static uint32_t check_network(struct options *options, FILE *errors)
{
	const struct option_network *network = &options->data_address;
	uint32_t mistakes = 0;

	if (!is_host_of(network, network->ipv4) || network->ipv4 >> 28 >= 14 ||
	    network->ipv4 >> 24 == 127 || network->ipv4 >> 24 == 0) {
		options_mistake(options, errors, "data.address",
				"expected the address of a host, not of a network, broadcast, "
				"multicast or loopback");
		mistakes++;
	}
	if (options->data_gateway != OPTION_NONE && (!is_host_of(network, options->data_gateway) ||
						     options->data_gateway == network->ipv4)) {
		options_mistake(options, errors, "data.gateway",
				"expected another host's address in the network of data.address");
		mistakes++;
	}
	if (options->port_host_address != OPTION_NONE &&
	    options->port_host_address != OPTION_IPV4_AUTO &&
	    (!is_host_of(network, options->port_host_address) ||
	     options->port_host_address == network->ipv4)) {
		options_mistake(options, errors, "data.port.host_address",
				"expected another address in the network of data.address");
		mistakes++;
	}
	return mistakes;
}

static uint32_t check_workers(struct options *options, FILE *errors)
{
	uint32_t workers = options->data_workers;
	uint32_t mistakes = 0;

	if (options->data_udp_port + workers - 1 > UINT16_MAX) {
		options_mistake(options, errors, "data.udp_port",
				"expected at most %u, so that each of %u workers has a port",
				UINT16_MAX - workers + 1, workers);
		mistakes++;
	}
	if (options->data_cores.count != 0 && options->data_cores.count != workers) {
		options_mistake(options, errors, "data.cores",
				"expected as many CPUs as data.workers says (%u), not %u", workers,
				options->data_cores.count);
		mistakes++;
	}
	if (options->storage_partitions & (options->storage_partitions - 1)) {
		options_mistake(options, errors, "storage.partitions",
				"expected a power of two, not %u", options->storage_partitions);
		mistakes++;
	}
	if (options->storage_partitions < workers) {
		options_mistake(options, errors, "storage.partitions",
				"expected at least one for each of %u workers", workers);
		mistakes++;
	}
	return mistakes;
}

static bool is_interface_name(const char *name)
{
	return strlen(name) < INTERFACE_NAME_SIZE && !strpbrk(name, "/ :") &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* "0000:01:00.0" */
static bool is_pci_address(const char *text)
{
	static const char form[] = "xxxx:xx:xx.x";

	for (size_t i = 0; i < sizeof(form); i++) {
		if (form[i] == 'x' ? !strchr("0123456789abcdefABCDEF", text[i]) || !text[i]
				   : text[i] != form[i])
			return false;
	}
	return true;
}

static uint32_t check_device(struct options *options, FILE *errors)
{
	static const char *const expected[] = {
		[PORT_TAP] = "the name of the interface to create, at most 15 characters",
		[PORT_AF_PACKET] = "the name of an interface, at most 15 characters",
		[PORT_AF_XDP] = "the name of an interface, at most 15 characters",
		[PORT_MEMIF] = "the absolute path of a socket, at most 107 characters",
		[PORT_PCI] = "a PCI address such as 0000:01:00.0",
	};
	const char *device = options->port_device;
	bool is_good;

	switch (options->port_kind) {
	case PORT_MEMIF:
		is_good = device[0] == '/' && strlen(device) < SOCKET_PATH_SIZE;
		break;
	case PORT_PCI:
		is_good = is_pci_address(device);
		break;
	default:
		is_good = device[0] && is_interface_name(device);
	}
	if (is_good)
		return 0;
	options_mistake(options, errors, "data.port.device", "expected %s, not '%s'",
			expected[options->port_kind], device[0] ? device : "auto");
	return 1;
}

static uint32_t check_port(struct options *options, FILE *errors)
{
	uint32_t mistakes = 0;

	if (options->port_kind == PORT_TAP && options->port_device[0] == '\0')
		strcpy(options->port_device, "godwit0");
	mistakes += check_device(options, errors);
	if (options->port_kind == PORT_PCI && options->storage_huge_pages == OPTION_SWITCH_OFF) {
		options_mistake(options, errors, "storage.huge_pages",
				"expected auto or on: a NIC on PCI reads packets from huge pages");
		mistakes++;
	}
	if (options->port_ring_size & (options->port_ring_size - 1)) {
		options_mistake(options, errors, "data.port.ring_size",
				"expected a power of two, not %u", options->port_ring_size);
		mistakes++;
	}
	return mistakes;
}

static uint32_t check_admin(struct options *options, FILE *errors)
{
	if (options->admin_listen.port == 0 || options->admin_listen.ipv4 >> 24 == 127 ||
	    options->admin_token_file[0])
		return 0;
	options_mistake(options, errors, "admin.listen",
			"expected a loopback address, or admin.token_file as well");
	return 1;
}

static uint32_t check_bus_address(struct options *options, FILE *errors)
{
	uint32_t mistakes = 0;

	if (options->cluster_advertise.port == 0)
		options->cluster_advertise = options->cluster_listen;
	if (options->cluster_advertise.ipv4 == INADDR_ANY) {
		options_mistake(options, errors, "cluster.advertise",
				"expected the address at which the other nodes reach this one: it "
				"listens on all");
		mistakes++;
	}
	if (!node_name_is_valid(options->node_name)) {
		options_mistake(options, errors, "node.name",
				"expected at most %u characters in a cluster", NODE_NAME_SIZE - 1);
		mistakes++;
	}
	return mistakes;
}

static uint32_t check_bus_key(struct options *options, FILE *errors)
{
	bool has_key = options->cluster_key_file[0] != '\0';

	if (has_key && options->cluster_insecure_bus) {
		options_mistake(options, errors, "cluster.insecure_bus",
				"expected off: cluster.key_file names a key");
		return 1;
	}
	if (!has_key && !options->cluster_insecure_bus) {
		options_mistake(
			options, errors, "cluster.listen",
			"expected cluster.key_file as well: `godwitctl cluster key` makes a "
			"key for all nodes (or cluster.insecure_bus: on, without any "
			"protection)");
		return 1;
	}
	return 0;
}

static uint32_t check_cluster(struct options *options, FILE *errors)
{
	const char *key = NULL;

	if (options->cluster_listen.port != 0)
		return check_bus_address(options, errors) + check_bus_key(options, errors);
	if (options->cluster_join.count > 0)
		key = "cluster.join";
	else if (options->cluster_bootstrap)
		key = "cluster.bootstrap";
	else if (options->cluster_advertise.port != 0)
		key = "cluster.advertise";
	if (!key)
		return 0;
	options_mistake(options, errors, key, "expected cluster.listen as well");
	return 1;
}

static uint32_t check_migration(struct options *options, FILE *errors)
{
	if ((options->migration_ring & (options->migration_ring - 1)) == 0)
		return 0;
	options_mistake(options, errors, "migration.ring",
			"expected a power of two, such as 8M or 16M");
	return 1;
}

/* The first host address of the data network that is neither the node's nor the gateway's. */
static void resolve_host_address(struct options *options)
{
	const struct option_network *network = &options->data_address;
	uint32_t ipv4 = (network->ipv4 & network_mask(network)) + 1;

	if (options->port_host_address != OPTION_IPV4_AUTO)
		return;
	while (ipv4 == network->ipv4 || ipv4 == options->data_gateway)
		ipv4++;
	options->port_host_address = is_host_of(network, ipv4) ? ipv4 : OPTION_NONE;
}

uint32_t options_check(struct options *options, FILE *errors)
{
	static check_fn *const checks[] = { check_name, check_network, check_workers,
					    check_port, check_admin,   check_cluster,
					    check_migration };
	uint32_t mistakes = 0;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		mistakes += checks[i](options, errors);
	if (mistakes == 0)
		resolve_host_address(options);
	return mistakes;
}
