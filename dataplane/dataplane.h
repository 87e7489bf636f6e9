/* SPDX-License-Identifier: BSD-3-Clause */
/* The data plane as the control plane sees it: built from options, started, watched, drained, stopped. */
#ifndef DATAPLANE_DATAPLANE_H
#define DATAPLANE_DATAPLANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/core_counters.h"
#include "dataplane/partition_command.h"
#include "dataplane/route_table.h"
#include "storage/limits.h"
#include "storage/reader.h"
#include "storage/shard.h"

#define DATAPLANE_NAME_SIZE 9u
#define DATAPLANE_TEXT_SIZE 256u

enum port_kind {
	PORT_TAP,       /* creates interface 'device' (net_tap); kernel clients on the host reach the node through it */
	PORT_AF_PACKET, /* attaches to the existing interface 'device' */
	PORT_AF_XDP,    /* likewise, over AF_XDP */
	PORT_MEMIF,     /* shared memory with another process; 'device' is the socket's path */
	PORT_PCI,       /* the NIC at PCI address 'device', bound to vfio-pci */
};

enum idle_mode {
	IDLE_SPIN,     /* polls always; owns its core */
	IDLE_ADAPTIVE, /* after a while without packets sleeps shortly, offline for RCU */
};

struct port_options {
	enum port_kind kind;
	char device[DATAPLANE_TEXT_SIZE];
	char device_args[DATAPLANE_TEXT_SIZE]; /* more arguments of the DPDK device, "" = none */
	bool memif_server;                     /* memif: whether this side creates the socket */
	uint8_t mac[6];                        /* all zero: the port's own */
	uint32_t ipv4;                         /* the node's data address, host byte order */
	uint8_t ipv4_prefix;                   /* bits of the on-link prefix */
	uint32_t gateway_ipv4;                 /* 0 = none: off-link peers are answered by their frame's MAC */
	uint32_t host_ipv4;                    /* tap: address godwitd gives the kernel's side, 0 = none */
	uint16_t mtu;                          /* bytes of IP packet, 0 = the device's */
	uint16_t ring_size;                    /* descriptors per queue, 0 = default */
};

struct dataplane_options {
	char name[DATAPLANE_NAME_SIZE]; /* prefix of DPDK object names, unique in the process; 1 to 8 characters */
	uint32_t worker_count;
	uint32_t worker_lcores[WORKER_COUNT_MAX]; /* EAL lcore of each worker */
	enum idle_mode idle;
	struct port_options port;
	uint16_t udp_port_base; /* worker w listens on udp_port_base + w */
	uint32_t partition_count;
	size_t memory_limit_bytes; /* of items */
	bool huge_pages;           /* use them for item memory when there are any */
	uint32_t capacity_initial; /* items each worker's first table holds; 0 = default */
	enum eviction eviction;
	uint32_t session_count_max; /* per worker; 0 = default */
};

struct dataplane;
struct local_client;

/* All that can fail at start is here: devices, memory, queues. On failure returns -errno and writes one line, what failed and
 * what to do, into 'error' (NUL-terminated, at most 'error_size' bytes). Called by the EAL main lcore after rte_eal_init.
 */
int dataplane_create(struct dataplane **dataplane, const struct dataplane_options *options, char *error,
		     size_t error_size);

/* Makes a client for requests of the control plane, to be destroyed before the data plane: see local_client.h. 0 or -errno. */
int dataplane_local_client(struct dataplane *dataplane, struct local_client **client);

/* Launches the workers on their lcores and the housekeeping thread. */
int dataplane_start(struct dataplane *dataplane);

/* Asks the workers to stop taking new work, waits until what they hold is answered, at most 'timeout_ms'. */
void dataplane_drain(struct dataplane *dataplane, uint32_t timeout_ms);

/* Ends the threads started by dataplane_start. */
void dataplane_stop(struct dataplane *dataplane);

/* Accepts NULL and half-built. */
void dataplane_destroy(struct dataplane *dataplane);

/* ---- The cluster. One thread, the control plane, calls these, before the start or while workers run. ---- */

/* From the workers' next turns on requests go by 'table', which is taken; of as many partitions as the data plane. Its access is all
 * ROUTE_BY_OWNER: what dataplane_set_access() said goes on. A worker gives what it writes the epochs of the table. 0, or -EINVAL or -ENOMEM
 * and the table is destroyed.
 */
int dataplane_set_routes(struct dataplane *dataplane, struct route_table *table);

/* What requests for a partition meet, whatever the routes say, while it changes its owner. */
enum partition_access {
	PARTITION_BY_ROUTE,      /* served, forwarded or unavailable: parked requests go on accordingly */
	PARTITION_WRITES_FENCED, /* writes are parked; for an owner */
	PARTITION_ALL_FENCED,    /* reads too */
	PARTITION_REFUSED,       /* all are answered RETRY, parked ones too */
};

/* 0, or -EINVAL or -ENOMEM: nothing changed. */
int dataplane_set_access(struct dataplane *dataplane, uint32_t partition, enum partition_access access);

/* Names the routes and accesses set so far; once dataplane_barrier_passed() no worker goes by older ones: what was judged by
 * those has been executed. Workers that do not run go by none.
 */
uint64_t dataplane_barrier(const struct dataplane *dataplane);
bool dataplane_barrier_passed(const struct dataplane *dataplane, uint64_t barrier);

/* Hands a command to its partition's worker. 0; -EAGAIN when it has not looked at PARTITION_COMMANDS_MAX yet; -EINVAL for a partition there is not.
 */
int dataplane_submit(struct dataplane *dataplane, struct partition_command *command);

/* For partition_export_next(), between BEGIN_EXPORT and END_EXPORT. */
struct partition *dataplane_partition(const struct dataplane *dataplane, uint32_t partition);

/* Requests parked at present; any thread, a moment's truth. */
uint32_t dataplane_parked(const struct dataplane *dataplane);

/* Makes the calling thread a reader that may scan partitions. It is offline: between reader_online() and reader_offline() it must not
 * block, and reader_quiescent() ends the life of what it found. 'name' outlives the data plane. NULL: too many readers.
 */
struct reader *dataplane_reader_register(struct dataplane *dataplane, const char *name);
void dataplane_reader_unregister(struct reader *reader);

/* What one worker did; a copy of naturally atomic counters, any thread. */
struct worker_status {
	uint64_t heartbeats;  /* loop turns; a worker whose number stands still is stalled */
	uint64_t busy_turns;  /* turns that found a packet */
	uint64_t sessions;    /* open now */
	struct shard_stats shard;
};

uint32_t dataplane_worker_count(const struct dataplane *dataplane);
void dataplane_worker_status(const struct dataplane *dataplane, uint32_t worker, struct worker_status *status);

/* Each counter of core_counter_table, summed over the workers. Any thread. */
void dataplane_counters(const struct dataplane *dataplane, struct core_counters *sums);

/* What the port really is: for the status page. */
struct dataplane_port_status {
	char device[DATAPLANE_TEXT_SIZE];
	uint8_t mac[6];
	uint16_t mtu;
	uint16_t queues;
	bool link_up;
	bool steers_by_flow_rule; /* the NIC lands each worker's UDP port on its queue */
	uint64_t rx_missed;       /* lost or refused by the device before a worker saw them */
};
void dataplane_port_status(const struct dataplane *dataplane, struct dataplane_port_status *status);

#endif
