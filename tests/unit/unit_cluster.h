/* SPDX-License-Identifier: BSD-3-Clause */
/* Several unit nodes on one network in one thread: frames travel when they are told to, and may get lost. */
#ifndef TESTS_UNIT_CLUSTER_H
#define TESTS_UNIT_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/unit_node.h"

#define UNIT_CLUSTER_NODES_MAX 4u
#define UNIT_CLUSTER_PARTITIONS 8u
#define UNIT_CLUSTER_INBOX_MAX 1200u

struct unit_flight {
	size_t size;
	uint8_t frame[2048];
};

/* What becomes of a frame on the network. */
enum unit_fate {
	UNIT_DELIVER,
	UNIT_LOSE,
	UNIT_DOUBLE,
	UNIT_DELAY, /* behind all that is on its way now */
};

struct unit_cluster {
	uint32_t node_count;
	struct unit_node nodes[UNIT_CLUSTER_NODES_MAX];
	/* Decides about each frame between nodes, and to clients; NULL delivers all. 'to' is UINT32_MAX for a client. */
	enum unit_fate (*decide)(struct unit_cluster *cluster, uint32_t from, uint32_t to,
				 const uint8_t *frame, size_t size);
	void *context;
	uint64_t delivered; /* frames, between nodes */

	/* What each node believes: owners and epochs by partition. */
	uint32_t map_versions[UNIT_CLUSTER_NODES_MAX];
	uint16_t owners[UNIT_CLUSTER_NODES_MAX][UNIT_CLUSTER_PARTITIONS];
	uint32_t epochs[UNIT_CLUSTER_NODES_MAX][UNIT_CLUSTER_PARTITIONS];
	bool is_lost[UNIT_CLUSTER_NODES_MAX]; /* no other node has a session with it */

	uint32_t inbox_count; /* frames for clients */
	struct unit_flight inbox[UNIT_CLUSTER_INBOX_MAX];
	bool holds_delayed;    /* frames put off stay so until unit_cluster_release() */
	uint32_t flight_count; /* frames that were put off */
	struct unit_flight *flights;
};

/* 'node_count' nodes of 'worker_count' workers; node 0 owns all at epoch 1, and all know. Aborts when anything fails. */
void unit_cluster_create(struct unit_cluster *cluster, uint32_t node_count, uint32_t worker_count);
void unit_cluster_destroy(struct unit_cluster *cluster);

/* Makes 'node' believe that 'owner' owns the partition at 'epoch'. */
void unit_cluster_believe(struct unit_cluster *cluster, uint32_t node, uint32_t partition,
			  uint16_t owner, uint32_t epoch);

/* Makes all nodes believe it. */
void unit_cluster_agree(struct unit_cluster *cluster, uint32_t partition, uint16_t owner,
			uint32_t epoch);

/* Gives a node the routes of what it believes. */
void unit_cluster_publish(struct unit_cluster *cluster, uint32_t node);

/* Lets every node learn the others' MACs, as ARP would. */
void unit_cluster_introduce(struct unit_cluster *cluster);

/* Delivers frames until none is on its way; those for clients gather in the inbox. */
void unit_cluster_pump(struct unit_cluster *cluster);

/* Delivers the 'index'th of the frames put off; there are cluster->flight_count. */
void unit_cluster_release(struct unit_cluster *cluster, uint32_t index);

/* Sends a frame of a client to the node of its destination address. */
void unit_cluster_send(struct unit_cluster *cluster, const uint8_t *frame, size_t size);

/* Sends the client's datagram to 'worker', pumps, and takes the answer out of the inbox; its payload's size, 0 when there
 * is none. Answers to others stay.
 */
size_t unit_cluster_exchange(struct unit_cluster *cluster, const struct unit_client *client,
			     uint32_t worker, const struct unit_datagram *datagram,
			     uint8_t *payload);

/* Takes the oldest frame for the client out of the inbox; its payload's size, 0 when there is none. */
size_t unit_cluster_take(struct unit_cluster *cluster, const struct unit_client *client,
			 uint32_t worker, uint8_t *payload);

/* Opens the client's session with its node. */
void unit_cluster_hello(struct unit_cluster *cluster, struct unit_client *client);

/* Moves the clocks of all nodes. */
void unit_cluster_advance(struct unit_cluster *cluster, uint64_t ms);

/* Copies the partition's items and versions from one node to another as a migration does, fences not included: export,
 * scan, deltas, import, finalize at 'epoch'; drops them at the source.
 */
void unit_cluster_move_data(struct unit_cluster *cluster, uint32_t partition, uint32_t from,
			    uint32_t to, uint32_t epoch);

#endif
