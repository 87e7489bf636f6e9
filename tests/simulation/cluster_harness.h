/* SPDX-License-Identifier: BSD-3-Clause */
/* Many nodes in one process on virtual time: the production machines, a seeded network that loses,
 * doubles, delays and cuts, and a hash over everything that happened.
 */
#ifndef TESTS_SIMULATION_CLUSTER_HARNESS_H
#define TESTS_SIMULATION_CLUSTER_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/gossip.h"

/* Percentages of datagrams; streams (whole states) only suffer delay and cuts, as TCP does. */
struct harness_network {
	uint32_t loss_percent;
	uint32_t duplicate_percent;
	/* each message's delay is drawn between the two: reordering comes with it */
	uint32_t delay_min_ms;
	uint32_t delay_max_ms;
};

struct harness_options {
	uint64_t seed;
	uint32_t node_count; /* 1..NODE_COUNT_MAX */
	uint32_t partition_count;
	struct harness_network network;
	uint32_t push_pull_interval_ms; /* 0 = the default */
	/* Called for each action but GOSSIP_SEND, GOSSIP_PUSH_PULL and GOSSIP_REPLY_STATE; may be
	 * NULL.
	 */
	void (*on_action)(void *context, uint32_t node, const struct gossip_action *action);
	void *context;
};

/* Bytes as they would be on the wire: encryption, UDP and IPv4 headers added to datagrams. */
struct harness_traffic {
	uint64_t datagrams;
	uint64_t datagram_bytes;
	uint64_t state_bytes;
	uint32_t datagram_size_max; /* UDP payload */
};

/* Thread safety: none. All nodes, all time and all chance are inside. */
struct harness;

struct harness *harness_create(const struct harness_options *options);
void harness_destroy(struct harness *harness);

uint64_t harness_now_ms(const struct harness *harness);
/* Everything that happened so far: same options and same calls, same hash. */
uint64_t harness_trace_hash(const struct harness *harness);
/* From the harness's own seeded generator. */
uint32_t harness_random(struct harness *harness, uint32_t bound);

/* Starts a node that does not run, with no memory of an earlier life and a new generation. */
void harness_start(struct harness *harness, uint32_t node);
/* The same with a clock that is wrong: 'generation' as given. */
void harness_start_generation(struct harness *harness, uint32_t node, uint64_t generation);
void harness_bootstrap(struct harness *harness, uint32_t node);
void harness_join(struct harness *harness, uint32_t node, uint32_t seed_node);
/* Starts all nodes; the first one bootstraps, the others join it. */
void harness_start_all(struct harness *harness);
/* The node is gone at once, what it sent stays under way. */
void harness_crash(struct harness *harness, uint32_t node);
bool harness_is_running(const struct harness *harness, uint32_t node);

/* What 'from' sends does not reach 'to' any more; nor, with both, the other way round. */
void harness_cut(struct harness *harness, uint32_t from, uint32_t to);
/* Cuts all links between nodes 0..count-1 and the others, both ways. */
void harness_split(struct harness *harness, uint32_t count);
void harness_heal(struct harness *harness);
void harness_set_network(struct harness *harness, const struct harness_network *network);

/* Runs for that long, or until 'is_done' says so; returns whether it did. Aborts when a machine is
 * unsound.
 */
void harness_run(struct harness *harness, uint64_t duration_ms);
bool harness_run_until(struct harness *harness, uint64_t duration_max_ms,
		       bool (*is_done)(struct harness *harness, void *context), void *context);

/* An event for one node, now. */
void harness_event(struct harness *harness, uint32_t node, const struct gossip_event *event);
/* After a direct call (gossip_hand_over): its timers may have changed. */
void harness_touch(struct harness *harness, uint32_t node);
struct gossip *harness_gossip(struct harness *harness, uint32_t node);
uint64_t harness_id(const struct harness *harness, uint32_t node);
/* What 'observer' thinks of 'node'. */
enum member_state harness_view(const struct harness *harness, uint32_t observer, uint32_t node);
struct harness_traffic harness_traffic(const struct harness *harness, uint32_t node);

/* Changes a node's announcement that it imports 'partition'. */
void harness_set_importing(struct harness *harness, uint32_t node, uint32_t partition,
			   bool is_importing);

/* Whether all running nodes agree: on one map, on who is alive (exactly the running ones), on
 * everybody's latest record.
 */
bool harness_is_converged(struct harness *harness);

#endif
