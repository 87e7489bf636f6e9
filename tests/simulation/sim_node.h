/* SPDX-License-Identifier: BSD-3-Clause */
/* One life of a simulated node: production data plane, storage, cluster and migrator, without threads, sockets, clocks. */
#ifndef TESTS_SIMULATION_SIM_NODE_H
#define TESTS_SIMULATION_SIM_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/cluster_host.h"
#include "controlplane/log.h"
#include "controlplane/migrator_binding.h"
#include "controlplane/prng.h"
#include "controlplane/rebalance_driver.h"
#include "tests/unit/unit_dataplane.h"

/* What a whole state is sent for; told when the answer has come. */
enum sim_purpose {
	SIM_FOR_GOSSIP = CLUSTER_EXCHANGE_GOSSIP,
	SIM_FOR_FENCE = CLUSTER_EXCHANGE_FENCE,
	SIM_FOR_SPREAD = CLUSTER_EXCHANGE_SPREAD,
};

/* Where a node's doings go. 'node' is the index of the one that does it, or that it is for. */
struct sim_node_host {
	void *context;
	/* 'address' is a sim_node_address(), here and for asks. */
	void (*gossip)(void *context, uint32_t from, uint32_t address, const uint8_t *bytes,
		       size_t size);
	/* A state that asks for one in return: sim_node_answered() follows, or sim_node_unanswered(). */
	void (*ask)(void *context, uint32_t from, uint32_t address, enum sim_purpose purpose,
		    uint32_t round, const uint8_t *bytes, size_t size);
	/* The answer to the ask that is being taken. */
	void (*answer)(void *context, uint32_t from, const uint8_t *bytes, size_t size);
	void (*sync)(void *context, uint32_t from, uint32_t to, const uint8_t *bytes, size_t size);
	void (*frame)(void *context, uint32_t from, const uint8_t *frame, size_t size);
	/* The channel that carries what 'from' syncs with 'to' ends, and is opened again. */
	void (*reset)(void *context, uint32_t from, uint32_t to);
	/* The node's process would end now. */
	void (*ended)(void *context, uint32_t node, enum cluster_end end);
	/* The node serves other partitions than before, or others see other owners. */
	void (*routed)(void *context, uint32_t node, const struct route_table *table);
};

/* A node's clocks. */
struct sim_clock {
	int32_t rate_ppm; /* of the monotonic one: so many microseconds more in a second */
	int64_t wall_ms;  /* ahead of true time */
};

/* Unix time when the simulation begins. */
#define SIM_UNIX_MS UINT64_C(1700000000000)

struct sim_node_options {
	uint32_t index;
	uint32_t node_count;
	uint32_t worker_count;
	uint32_t partition_count;
	size_t memory_bytes;
	bool is_evicting; /* when that is full */
	uint64_t ring_size;
	uint32_t job_max;          /* migrations each way */
	uint32_t mailbox_capacity; /* 0 = that of a unit node */
	uint32_t session_count;    /* of a worker, likewise */
	uint64_t generation;
	struct sim_clock clock;
	const uint32_t *homes; /* of each node: see sim_node_address() */
	uint32_t place;        /* its address in the data network is UNIT_NODE_IPV4 + that */
	uint64_t seed;
	uint64_t now_us;
	struct migration_options migration;
	uint16_t weight;
	bool is_auto;            /* rebalances when the members change */
	uint64_t rebalance_seed; /* so that it changes nothing of what the node draws */
	struct sim_node_host host;
	const struct log *log;
};

/* An exchange that is wanted. */
struct sim_ask {
	uint32_t address;
	enum gossip_scope scope;
	struct cluster_exchange_purpose purpose;
};
#define SIM_NODE_ASK_MAX 128u

/* Thread safety: none. */
struct sim_node {
	struct sim_node_options options;
	uint64_t id;
	uint64_t now_us; /* by its monotonic clock */
	uint64_t cpu_us; /* that its control thread says it has used */
	struct prng prng;
	struct world world;
	struct log log;
	struct unit_dataplane dataplane;
	uint64_t told_ms; /* the data plane */
	struct cluster *cluster;
	const struct gossip *gossip;      /* the cluster's */
	const struct partition_set *held; /* likewise */
	struct migrator_binding *binding;
	struct migrator *migrator; /* the binding's */
	struct rebalance_driver *rebalancer;
	uint64_t rebalance_us; /* of its next look */
	uint32_t ask_count;
	struct sim_ask asks[SIM_NODE_ASK_MAX];
	uint8_t message[65536];
};

/* Aborts when anything fails. */
struct sim_node *sim_node_create(const struct sim_node_options *options);
/* It dies: nothing is said to anyone. */
void sim_node_destroy(struct sim_node *node);

/* Makes it the first of a cluster, the owner of everything; or lets it join by any other node. */
void sim_node_found(struct sim_node *node);
void sim_node_join(struct sim_node *node);

/* The wall clock jumps: to so many milliseconds ahead of true time. The data plane's is that of the start. */
void sim_node_set_wall(struct sim_node *node, int64_t wall_ms);

/* Where the control plane of a node is: its home changes when it returns under another address. */
uint32_t sim_node_address(uint32_t index, uint32_t home);
uint32_t sim_node_index_at(uint32_t address);
uint32_t sim_node_home_at(uint32_t address);

/* All below set the node's clocks first, from true time. */

/* From its next turn on these workers (bits) stand still. */
void sim_node_stall(struct sim_node *node, uint64_t workers);
/* The watch of the workers says so. */
void sim_node_set_stalled(struct sim_node *node, uint64_t now_us, bool is_stalled);

/* What operators want: as cluster_leave() and rebalance_driver_ask(). */
int sim_node_leave(struct sim_node *node, uint64_t now_us, bool is_leaving, char *error);
void sim_node_rebalance(struct sim_node *node, uint64_t now_us);

/* A turn of all workers, the migrator's, and what is due. */
void sim_node_turn(struct sim_node *node, uint64_t now_us);
/* The worker that a frame is for; the first one gets what is too short to tell. */
uint32_t sim_node_worker_of(const struct sim_node *node, const uint8_t *frame, size_t size);

/* When the control plane wants a turn at the latest. */
uint64_t sim_node_due_us(const struct sim_node *node);

void sim_node_take_frame(struct sim_node *node, uint64_t now_us, const uint8_t *frame, size_t size);
void sim_node_take_gossip(struct sim_node *node, uint64_t now_us, uint32_t from_address,
			  const uint8_t *bytes, size_t size);
/* An ask of another node; host.answer() is called meanwhile when it is to be answered. */
void sim_node_take_ask(struct sim_node *node, uint64_t now_us, const uint8_t *bytes, size_t size);
void sim_node_answered(struct sim_node *node, uint64_t now_us, uint32_t from_address,
		       enum sim_purpose purpose, uint32_t round, const uint8_t *bytes, size_t size);
void sim_node_unanswered(struct sim_node *node, uint64_t now_us, uint32_t from_address,
			 enum sim_purpose purpose, uint32_t round);
void sim_node_take_sync(struct sim_node *node, uint64_t now_us, uint32_t from, const uint8_t *bytes,
			size_t size);
void sim_node_connected(struct sim_node *node, uint64_t now_us, uint32_t to);

uint64_t sim_node_id(uint32_t index);

/* Whether requests of 'partition' are executed here, fenced or not, as the workers see it. */
bool sim_node_serves(const struct sim_node *node, uint32_t partition);
bool sim_node_is_fenced(const struct sim_node *node, uint32_t partition);

/* Whether it has joined, and its fence is open. */
bool sim_node_is_open(const struct sim_node *node);

/* What it thinks of another one; MEMBER_UNKNOWN: it never heard of it. */
enum member_state sim_node_sees(const struct sim_node *node, uint32_t other);

/* Whether a rebalance goes on. */
bool sim_node_is_rebalancing(const struct sim_node *node);

/* No migration is under way here, and all members are seen alive, or have left. */
bool sim_node_is_settled(const struct sim_node *node);

#endif
