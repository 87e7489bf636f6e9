/* SPDX-License-Identifier: BSD-3-Clause */
/* A node under fuzz: clients and other nodes send it what an input says, and every answer is judged. */
#ifndef TESTS_FUZZ_NODE_H
#define TESTS_FUZZ_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/unit_node.h"

/* Frames of one burst. */
#define FUZZ_BURST_MAX 8u
/* Clients that the node knows addresses of; the last one never has a session of its own. */
#define FUZZ_CLIENT_COUNT 4u
/* Requests that are remembered to judge their replies by. */
#define FUZZ_ASKED_MAX 64u
#define FUZZ_PARTITION_COUNT 8u
#define FUZZ_WORKER_COUNT 2u
/* Nodes of the cluster, the node under test is the first. */
#define FUZZ_NODE_COUNT 3u

struct fuzz_frame_out {
	size_t size;
	uint8_t bytes[2048];
};

/* A REQUEST that was sent, as far as its reply tells of it. */
struct fuzz_asked {
	uint64_t token;
	uint32_t session_id;
	uint32_t sequence;
	uint8_t op_count;
	uint8_t opcodes[WIRE_OP_COUNT_MAX];
};

struct fuzz_client {
	struct unit_client is; /* session_id 0 = none */
	uint64_t challenge;    /* the last one received */
};

/* Two nodes that get the same frames at the same times, in buffers that differ in all but the frames: they must answer the
 * same, for an answer depends on what was asked, never on what lies beside it in memory.
 *
 * After each burst:
 *   - each frame ended as exactly one of: answered, dropped for one reason, parked (or it was an ARP reply);
 *   - who has not shown to receive at its address got no more bytes than it sent;
 *   - a frame that was dropped, refused as a whole or answered from memory executed nothing;
 *   - replies are whole, to what was asked, and fit a datagram.
 */
struct fuzz_node {
	struct unit_node twins[2];
	struct fuzz_client clients[FUZZ_CLIENT_COUNT];
	uint32_t stories; /* that happened to the twins */
	bool is_misled;   /* a node of the cluster lied: what is passed on need not make sense */

	uint32_t burst_count;
	uint32_t burst_worker;
	size_t burst_sizes[FUZZ_BURST_MAX];
	uint8_t burst[FUZZ_BURST_MAX][2048];

	uint32_t asked_next;
	struct fuzz_asked asked[FUZZ_ASKED_MAX];
	struct fuzz_frame_out forwarded; /* the last FORWARD that the node sent; size 0 = none */
	uint64_t version_seen;           /* in the last reply that told one */
	uint32_t map_version;
};

/* A story begins with empty twins; of what was before only versions remain. 'has_peers': others own some of the
 * partitions. Clients 0 and 1 have sessions. A zeroed node is ready to begin; before, whatever is done to it does nothing.
 */
void fuzz_node_begin(struct fuzz_node *node, bool has_peers);
void fuzz_node_end(struct fuzz_node *node);

/* Adds a frame to the burst; one for another worker or a full burst sends it first. Frames over 2048 bytes are cut. */
void fuzz_node_send(struct fuzz_node *node, uint32_t worker, const uint8_t *frame, size_t size);
/* Delivers the burst and judges what came of it. */
void fuzz_node_flush(struct fuzz_node *node);

/* Time passes; the node looks at what is parked. */
void fuzz_node_advance(struct fuzz_node *node, uint32_t ms);
void fuzz_node_set_access(struct fuzz_node *node, uint32_t partition, enum route_access access);
/* Others own other partitions from now on; with an epoch more each. */
void fuzz_node_rotate_owners(struct fuzz_node *node);

/* The token by which node 'from' speaks to node 'to'. */
uint64_t fuzz_node_token(uint32_t from, uint32_t to);

#endif
