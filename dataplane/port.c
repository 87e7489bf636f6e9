/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing of DPDK devices. */
#include "dataplane/port.h"

#include <errno.h>
#include <rte_dev.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/failure.h"
#include "dataplane/port_device.h"
#include "dataplane/port_kernel.h"
#include "dataplane/port_steer.h"

#define POOL_CACHE_SIZE 256u
#define CHECKSUMS_RX (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define CHECKSUMS_TX (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM)
#define FRAME_OVERHEAD ((uint32_t)(RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN))

/* A port while it is being opened. */
struct port_opening {
	struct port *port;
	const struct port_options *options;
	const struct port_needs *needs;
	const struct failure *failure;
	struct port_device device;
	struct rte_eth_dev_info info;
	uint16_t ring_size;
};

static int create_device(struct port_opening *o)
{
	const struct port_device *device = &o->device;
	int result;

	if (rte_eth_dev_get_port_by_name(device->name, &o->port->id) == 0) {
		o->port->id = RTE_MAX_ETHPORTS; /* not ours to close */
		return failure_set(o->failure, -EEXIST, "this process has a device %s already",
				   device->name);
	}
	result = rte_eal_hotplug_add(device->bus, device->name, device->args);
	if (result < 0)
		return failure_set(o->failure, result, "cannot create device %s (%s): %s",
				   device->name, device->args, strerror(-result));
	result = rte_eth_dev_get_port_by_name(device->name, &o->port->id);
	if (result == 0)
		result = rte_eth_dev_info_get(o->port->id, &o->info);
	if (result < 0)
		return failure_set(o->failure, result, "device %s is no network device",
				   device->name);
	return 0;
}

static uint16_t min_u16(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

/* Bytes of IP packet the device says it can carry. */
static uint16_t device_mtu_max(const struct rte_eth_dev_info *info)
{
	uint32_t mtu = info->max_mtu;

	if (info->max_rx_pktlen > FRAME_OVERHEAD && (mtu == 0 || mtu == UINT16_MAX))
		mtu = info->max_rx_pktlen - FRAME_OVERHEAD;
	return (uint16_t)RTE_MIN(mtu, PORT_MTU_MAX);
}

static int choose_mtu(struct port_opening *o)
{
	const uint16_t mtu_max = device_mtu_max(&o->info);
	uint16_t mtu = o->options->mtu;

	if (mtu > mtu_max)
		return failure_set(o->failure, -EINVAL, "%s cannot carry an MTU of %u: %u at most",
				   o->port->device, mtu, mtu_max);
	if (mtu != 0 && mtu < PORT_MTU_MIN)
		return failure_set(o->failure, -EINVAL, "an MTU of %u is too small: %u at least",
				   mtu, PORT_MTU_MIN);
	if (mtu == 0)
		mtu = o->device.mtu ? o->device.mtu : RTE_ETHER_MTU;
	o->port->mtu = min_u16(mtu, mtu_max);
	return 0;
}

/* Hardware checksums only: the drivers of software devices compute what we would compute, at a higher price. */
static struct rte_eth_conf device_conf(const struct port_opening *o)
{
	struct rte_eth_conf conf = { .rxmode.mtu = o->port->mtu };

	conf.txmode.offloads = o->info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
	if (o->options->kind != PORT_PCI)
		return conf;
	if ((o->info.rx_offload_capa & CHECKSUMS_RX) == CHECKSUMS_RX)
		conf.rxmode.offloads |= CHECKSUMS_RX;
	if ((o->info.tx_offload_capa & CHECKSUMS_TX) == CHECKSUMS_TX)
		conf.txmode.offloads |= CHECKSUMS_TX;
	conf.rx_adv_conf.rss_conf.rss_hf =
		o->info.flow_type_rss_offloads & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_UDP);
	if (o->port->queues > 1 && conf.rx_adv_conf.rss_conf.rss_hf)
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	return conf;
}

static int configure(struct port_opening *o)
{
	struct port *port = o->port;
	struct rte_eth_conf conf;
	uint16_t tx_ring_size = o->ring_size;
	int result;

	port->queues =
		min_u16(o->needs->queues, min_u16(o->info.max_rx_queues, o->info.max_tx_queues));
	conf = device_conf(o);
	result = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
	if (result == 0)
		result = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &o->ring_size, &tx_ring_size);
	if (result < 0)
		return failure_set(o->failure, result,
				   "cannot configure %s with %u queues and an MTU of %u: %s",
				   port->device, port->queues, port->mtu, strerror(-result));
	if (o->ring_size < tx_ring_size)
		o->ring_size = tx_ring_size;
	port->rx_checks_checksums = (conf.rxmode.offloads & CHECKSUMS_RX) != 0;
	port->tx_fills_checksums = (conf.txmode.offloads & CHECKSUMS_TX) != 0;
	return 0;
}

static int create_pool(struct port_opening *o)
{
	struct port *port = o->port;
	uint32_t frame_size_max = port->mtu + FRAME_OVERHEAD + 2u * RTE_VLAN_HLEN;
	uint32_t data_room = RTE_PKTMBUF_HEADROOM + RTE_MAX(2048u, frame_size_max);
	uint32_t mbufs =
		port->queues * (2u * o->ring_size + 2u * POOL_CACHE_SIZE) + o->needs->mbufs_held;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "%s_mbufs", o->needs->name);
	port->pool =
		rte_pktmbuf_pool_create(name, mbufs, POOL_CACHE_SIZE, o->needs->mbuf_private_size,
					(uint16_t)data_room, rte_eth_dev_socket_id(port->id));
	if (!port->pool)
		return failure_set(o->failure, -ENOMEM,
				   "no memory for %u packet buffers (%u MB): give DPDK more (EAL "
				   "argument -m) or huge pages",
				   mbufs, mbufs * (data_room + 256u) >> 20);
	return 0;
}

static int set_up_queues(struct port_opening *o)
{
	struct port *port = o->port;
	int socket = rte_eth_dev_socket_id(port->id);
	int result = 0;

	for (uint16_t queue = 0; queue < port->queues && result == 0; queue++) {
		result = rte_eth_rx_queue_setup(port->id, queue, o->ring_size, (unsigned)socket,
						NULL, port->pool);
		if (result == 0)
			result = rte_eth_tx_queue_setup(port->id, queue, o->ring_size,
							(unsigned)socket, NULL);
	}
	if (result < 0)
		return failure_set(o->failure, result, "cannot set up the queues of %s: %s",
				   port->device, strerror(-result));
	return 0;
}

/* 'wanted', or else the device's own address, or one made from the IPv4 address where the device has none of its own. */
static void choose_mac(struct port_opening *o)
{
	static const struct rte_ether_addr none;
	struct rte_ether_addr own;
	uint32_t ipv4 = o->options->ipv4;

	rte_eth_macaddr_get(o->port->id, &own);
	if (memcmp(o->options->mac, &none, sizeof(none)) != 0)
		memcpy(o->port->mac, o->options->mac, sizeof(o->port->mac));
	else if (o->device.has_mac || ipv4 == 0)
		memcpy(o->port->mac, &own, sizeof(own));
	else
		memcpy(o->port->mac,
		       (const uint8_t[]){ 0x02, 0x47, (uint8_t)(ipv4 >> 24), (uint8_t)(ipv4 >> 16),
					  (uint8_t)(ipv4 >> 8), (uint8_t)ipv4 },
		       sizeof(o->port->mac));
	/* where this fails the device filters nothing */
	if (memcmp(o->port->mac, &own, sizeof(own)) != 0)
		rte_eth_promiscuous_enable(o->port->id);
}

static int start(struct port_opening *o)
{
	struct port *port = o->port;
	int result = rte_eth_dev_start(port->id);

	if (result < 0)
		return failure_set(o->failure, result, "cannot start %s: %s", port->device,
				   strerror(-result));
	if (o->options->mtu != 0) {
		result = rte_eth_dev_set_mtu(port->id, o->options->mtu);
		if (result < 0 && result != -ENOTSUP)
			return failure_set(o->failure, result, "cannot set the MTU of %s to %u: %s",
					   port->device, o->options->mtu, strerror(-result));
	}
	choose_mac(o);
	if (o->options->kind != PORT_TAP || o->options->host_ipv4 == 0)
		return 0;
	result = port_kernel_set_address(port->device, o->options->host_ipv4,
					 o->options->ipv4_prefix);
	if (result < 0)
		return failure_set(o->failure, result, "cannot set the address of interface %s: %s",
				   port->device, strerror(-result));
	return 0;
}

static int open_device(struct port_opening *o)
{
	static int (*const steps[])(struct port_opening *) = { create_device, choose_mtu,
							       configure,     create_pool,
							       set_up_queues, start };
	struct port *port = o->port;

	for (size_t i = 0; i < RTE_DIM(steps); i++) {
		int result = steps[i](o);

		if (result < 0)
			return result;
	}
	port->rx_partial_checksums = o->device.rx_partial_checksums;
	if (port->kind == PORT_PCI && port->queues > 1 && o->needs->udp_port_base != 0)
		port->steers_by_flow_rule =
			port_steer(port, o->options->ipv4, o->needs->udp_port_base);
	return 0;
}

int port_open(struct port **port, const struct port_options *options,
	      const struct port_needs *needs, char *error, size_t error_size)
{
	struct failure failure = { error, error_size };
	struct port_opening o = { .options = options, .needs = needs, .failure = &failure };
	int result;

	o.ring_size = options->ring_size ? options->ring_size : PORT_RING_SIZE_DEFAULT;
	result = port_device_describe(&o.device, options, needs, &failure);
	if (result < 0)
		return result;
	o.port = rte_zmalloc(NULL, sizeof(*o.port), RTE_CACHE_LINE_SIZE);
	if (!o.port)
		return failure_set(&failure, -ENOMEM,
				   "no memory for a port: give DPDK more (EAL argument -m)");
	o.port->id = RTE_MAX_ETHPORTS;
	o.port->kind = options->kind;
	snprintf(o.port->device, sizeof(o.port->device), "%s", options->device);
	result = open_device(&o);
	if (result < 0) {
		port_close(o.port);
		return result;
	}
	*port = o.port;
	return 0;
}

void port_close(struct port *port)
{
	struct rte_eth_dev_info info;

	if (!port)
		return;
	if (port->id != RTE_MAX_ETHPORTS && rte_eth_dev_info_get(port->id, &info) == 0) {
		rte_eth_dev_stop(port->id);
		rte_eth_dev_close(port->id);
		rte_dev_remove(info.device);
	}
	rte_mempool_free(port->pool);
	rte_free(port);
}

bool port_link_is_up(const struct port *port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

uint64_t port_rx_missed(const struct port *port)
{
	struct rte_eth_stats stats;

	if (rte_eth_stats_get(port->id, &stats) != 0)
		return 0;
	return stats.imissed + stats.ierrors + stats.rx_nombuf;
}
