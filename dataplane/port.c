/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening and closing of DPDK devices. */
#include "dataplane/port.h"

#include <errno.h>
#include <rte_alarm.h>
#include <rte_dev.h>
#include <rte_ether.h>
#include <rte_malloc.h>
#include <semaphore.h>
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
	struct rte_eth_dev_info info; /* of the first DPDK device; the others are like it */
	uint16_t queues_per_device;
	uint16_t ring_size;
};

/* Creates DPDK device 'index' of the port. */
static int create_device(struct port_opening *o, uint16_t index)
{
	const struct port_device *device = &o->device;
	char name[sizeof(device->name) + 8];
	char args[sizeof(device->args) + 16];
	uint16_t *id = &o->port->device_ids[index];
	int result;

	snprintf(name, sizeof(name), index == 0 ? "%s" : "%s_%u", device->name, index);
	snprintf(args, sizeof(args), device->is_per_queue ? "%s,id=%u" : "%s", device->args, index);
	if (rte_eth_dev_get_port_by_name(name, id) == 0)
		return failure_set(o->failure, -EEXIST, "this process has a device %s already",
				   name);
	result = rte_eal_hotplug_add(device->bus, name, args);
	if (result < 0)
		return failure_set(o->failure, result, "cannot create device %s (%s): %s", name,
				   args, strerror(-result));
	result = rte_eth_dev_get_port_by_name(name, id);
	if (result < 0)
		return failure_set(o->failure, result, "device %s is no network device", name);
	o->port->device_count = (uint16_t)(index + 1); /* from here on it is ours to close */
	return 0;
}

static int create_devices(struct port_opening *o)
{
	uint16_t count = o->device.is_per_queue ? o->needs->queues : 1;
	int result = 0;

	for (uint16_t i = 0; i < count && result == 0; i++)
		result = create_device(o, i);
	if (result == 0)
		result = rte_eth_dev_info_get(o->port->device_ids[0], &o->info);
	return result;
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

/* Which queue of which device is queue q of the port. */
static void lay_out_queues(struct port_opening *o)
{
	struct port *port = o->port;

	o->queues_per_device = 1;
	port->queues = port->device_count;
	if (!o->device.is_per_queue) {
		port->queues = min_u16(o->needs->queues,
				       min_u16(o->info.max_rx_queues, o->info.max_tx_queues));
		if (o->device.queues_max)
			port->queues = min_u16(port->queues, o->device.queues_max);
		o->queues_per_device = port->queues;
	}
	for (uint16_t q = 0; q < port->queues; q++)
		port->places[q] = (struct port_place){
			.id = port->device_ids[q / o->queues_per_device],
			.queue = q % o->queues_per_device,
		};
}

static int configure_device(struct port_opening *o, uint16_t id, const struct rte_eth_conf *conf)
{
	uint16_t tx_ring_size = o->ring_size;
	int result = rte_eth_dev_configure(id, o->queues_per_device, o->queues_per_device, conf);

	if (result == 0)
		result = rte_eth_dev_adjust_nb_rx_tx_desc(id, &o->ring_size, &tx_ring_size);
	if (result < 0)
		return failure_set(o->failure, result,
				   "cannot configure %s with %u queues and an MTU of %u: %s",
				   o->port->device, o->queues_per_device, o->port->mtu,
				   strerror(-result));
	if (o->ring_size < tx_ring_size)
		o->ring_size = tx_ring_size;
	return 0;
}

static int configure(struct port_opening *o)
{
	struct port *port = o->port;
	struct rte_eth_conf conf;
	int result = 0;

	lay_out_queues(o);
	conf = device_conf(o);
	for (uint16_t i = 0; i < port->device_count && result == 0; i++)
		result = configure_device(o, port->device_ids[i], &conf);
	port->rx_checks_checksums = (conf.rxmode.offloads & CHECKSUMS_RX) != 0;
	port->tx_fills_checksums = (conf.txmode.offloads & CHECKSUMS_TX) != 0;
	return result;
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
	port->pool = rte_pktmbuf_pool_create(name, mbufs, POOL_CACHE_SIZE,
					     o->needs->mbuf_private_size, (uint16_t)data_room,
					     rte_eth_dev_socket_id(port->device_ids[0]));
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
	unsigned socket = (unsigned)rte_eth_dev_socket_id(port->device_ids[0]);
	int result = 0;

	for (uint16_t q = 0; q < port->queues && result == 0; q++) {
		const struct port_place *place = &port->places[q];

		result = rte_eth_rx_queue_setup(place->id, place->queue, o->ring_size, socket, NULL,
						port->pool);
		if (result == 0)
			result = rte_eth_tx_queue_setup(place->id, place->queue, o->ring_size,
							socket, NULL);
	}
	if (result < 0)
		return failure_set(o->failure, result, "cannot set up the queues of %s: %s",
				   port->device, strerror(-result));
	return 0;
}

/* 'wanted', or else the device's own address, or one made from the IPv4 address where the device has none
 * of its own.
 */
static void choose_mac(struct port_opening *o)
{
	static const struct rte_ether_addr none;
	struct port *port = o->port;
	struct rte_ether_addr own;
	uint32_t ipv4 = o->options->ipv4;

	rte_eth_macaddr_get(port->device_ids[0], &own);
	if (memcmp(o->options->mac, &none, sizeof(none)) != 0)
		memcpy(port->mac, o->options->mac, sizeof(port->mac));
	else if (o->device.has_mac || ipv4 == 0)
		memcpy(port->mac, &own, sizeof(own));
	else
		memcpy(port->mac,
		       (const uint8_t[]){ 0x02, 0x47, (uint8_t)(ipv4 >> 24), (uint8_t)(ipv4 >> 16),
					  (uint8_t)(ipv4 >> 8), (uint8_t)ipv4 },
		       sizeof(port->mac));
	/* where this fails the device filters nothing */
	if (memcmp(port->mac, &own, sizeof(own)) != 0)
		rte_eth_promiscuous_enable(port->device_ids[0]);
}

static int start_device(struct port_opening *o, uint16_t id)
{
	int result = rte_eth_dev_start(id);

	if (result < 0)
		return failure_set(o->failure, result, "cannot start %s: %s", o->port->device,
				   strerror(-result));
	if (o->options->mtu == 0)
		return 0;
	result = rte_eth_dev_set_mtu(id, o->options->mtu);
	if (result < 0 && result != -ENOTSUP)
		return failure_set(o->failure, result, "cannot set the MTU of %s to %u: %s",
				   o->port->device, o->options->mtu, strerror(-result));
	return 0;
}

static int start(struct port_opening *o)
{
	struct port *port = o->port;
	int result = 0;

	for (uint16_t i = 0; i < port->device_count && result == 0; i++)
		result = start_device(o, port->device_ids[i]);
	if (result < 0)
		return result;
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

static int open_guards(struct port_opening *o)
{
	if (o->port->kind == PORT_MEMIF &&
	    !port_guards_open(o->port->guards, RTE_DIM(o->port->guards)))
		return failure_set(o->failure, -ENOSPC, "too many memif ports in one process");
	return 0;
}

static int open_devices(struct port_opening *o)
{
	static int (*const steps[])(
		struct port_opening *) = { open_guards, create_devices, choose_mtu, configure,
					   create_pool, set_up_queues,  start };
	struct port *port = o->port;

	for (size_t i = 0; i < RTE_DIM(steps); i++) {
		int result = steps[i](o);

		if (result < 0)
			return result;
	}
	port->rx_partial_checksums = o->device.rx_partial_checksums;
	port->answers_by_same_queue = o->device.is_per_queue;
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
	o.port->kind = options->kind;
	snprintf(o.port->device, sizeof(o.port->device), "%s", options->device);
	result = open_devices(&o);
	if (result < 0) {
		port_close(o.port);
		return result;
	}
	*port = o.port;
	return 0;
}

static void stop_devices(const struct port *port)
{
	for (uint16_t i = 0; i < port->device_count; i++) {
		rte_eth_dev_stop(port->device_ids[i]);
		rte_eth_dev_close(port->device_ids[i]);
	}
}

struct port_stopping {
	const struct port *port;
	sem_t done;
};

static void stop_devices_and_tell(void *context)
{
	struct port_stopping *stopping = context;

	stop_devices(stopping->port);
	sem_post(&stopping->done);
}

/* The memif driver handles what the other side says in EAL's interrupt thread, and closes in the caller's, without a
 * lock between them: when both sides end at once it frees twice. In that same thread they cannot meet; alarms run there.
 */
static void stop_devices_in_interrupt_thread(const struct port *port)
{
	struct port_stopping stopping = { .port = port };

	sem_init(&stopping.done, 0, 0);
	if (rte_eal_alarm_set(1, stop_devices_and_tell, &stopping) < 0)
		stop_devices(port);
	else
		while (sem_wait(&stopping.done) < 0)
			; /* a signal */
	sem_destroy(&stopping.done);
}

void port_close(struct port *port)
{
	struct rte_device *devices[WORKER_COUNT_MAX];
	struct rte_eth_dev_info info;

	if (!port)
		return;
	for (uint16_t i = 0; i < port->device_count; i++)
		devices[i] =
			rte_eth_dev_info_get(port->device_ids[i], &info) == 0 ? info.device : NULL;
	if (port->kind == PORT_MEMIF)
		stop_devices_in_interrupt_thread(port);
	else
		stop_devices(port);
	for (uint16_t i = 0; i < port->device_count; i++) {
		if (devices[i])
			rte_dev_remove(devices[i]);
	}
	port_guards_close(port->guards);
	rte_mempool_free(port->pool);
	rte_free(port);
}

uint16_t port_links_up(const struct port *port)
{
	struct rte_eth_link link;
	uint16_t up = 0;

	for (uint16_t q = 0; q < port->queues; q++)
		up = (uint16_t)(up + (rte_eth_link_get_nowait(port->places[q].id, &link) == 0 &&
				      link.link_status == RTE_ETH_LINK_UP));
	return up;
}

bool port_link_is_up(const struct port *port)
{
	return port_links_up(port) > 0;
}

uint64_t port_rx_missed(const struct port *port)
{
	struct rte_eth_stats stats;
	uint64_t missed = 0;

	for (uint16_t i = 0; i < port->device_count; i++) {
		if (rte_eth_stats_get(port->device_ids[i], &stats) == 0)
			missed += stats.imissed + stats.ierrors + stats.rx_nombuf;
	}
	return missed;
}
