/* SPDX-License-Identifier: BSD-3-Clause */
/* A client of simulated nodes: one operation after the other, over datagrams that get lost, as docs/protocol.md wants it. */
#ifndef TESTS_SIMULATION_SIM_CLIENT_H
#define TESTS_SIMULATION_SIM_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/prng.h"
#include "tests/simulation/sim_history.h"
#include "tests/unit/unit_node.h"

#define SIM_NODE_MAX 5u
#define SIM_WORKER_MAX 2u
#define SIM_PARTITION_MAX 16u
/* Addresses of the data network that nodes may have: UNIT_NODE_IPV4 + 0.. */
#define SIM_PLACE_MAX 8u

/* Until an operation is given up. */
#define SIM_OPERATION_MS 4000u

/* Writes given up that a client remembers. */
#define SIM_UNSETTLED_MAX 64u

enum sim_client_state {
	SIM_CLIENT_RESTING,  /* until 'due_us', then the next operation */
	SIM_CLIENT_GREETING, /* waits for a session with 'node' */
	SIM_CLIENT_ASKING,   /* a request is under way to 'node' */
	SIM_CLIENT_PAUSING,  /* asked to wait, until 'due_us' */
};

enum sim_client_operation {
	SIM_GET,
	SIM_SET,
	SIM_REMOVE,
	SIM_COUNT_UP,
	SIM_ASK_TTL,
};

struct sim_client_counts {
	uint64_t done;
	uint64_t unknown;
	uint64_t failed; /* certainly not executed, until the end of the operation's time */
	uint64_t redirected;
	uint64_t haunted;
	uint64_t lost; /* how often it knew no node's address any more, and was told */
	uint64_t longest_us;
};

struct sim_client_options {
	uint32_t number;
	uint32_t client_count; /* key k is written by client k % client_count */
	uint32_t node_count;
	uint32_t worker_count; /* of each node */
	uint32_t partition_count;
	uint32_t pause_us; /* between two operations, about */
	bool is_stale;     /* sleeps, keeps old owners, sends with sessions that are over */
	bool is_expiring;  /* half of what it writes has a time to live */
	/* Where each node is, when that may change, else NULL: node n is at place n. Looked at only to see whether the client is lost. */
	const uint32_t *places;
	uint64_t seed;
	struct sim_history *history;
	/* A frame for the node of its destination address. */
	void (*send)(void *context, const uint8_t *frame, size_t size);
	void *context;
};

/* Thread safety: none. */
struct sim_client {
	struct sim_client_options options;
	struct prng prng;
	enum sim_client_state state;
	uint64_t now_us;
	uint64_t due_us; /* of sim_client_run() */
	uint64_t give_up_us;
	uint32_t tries; /* of the datagram under way */
	bool is_unsure; /* what it wrote last may yet be executed */
	bool is_idle;   /* begins nothing any more */
	uint32_t gone;   /* places (bits) that it does not turn to any more, */
	uint32_t refuge; /* but to this one */
	struct unit_client sessions[SIM_PLACE_MAX][SIM_WORKER_MAX]; /* session_id 0: none */
	uint32_t owners[SIM_PARTITION_MAX]; /* at which place it believes their owners */
	uint32_t known;                     /* places that it was told of (bits), */
	uint32_t silent;                    /* and those where nobody answered since */
	uint32_t map_version;
	uint64_t map_asked_us;

	enum sim_client_operation operation;
	uint32_t key;
	uint32_t number; /* of the write */
	uint32_t ttl_ms; /* of it; 0 = for ever */
	struct sim_read read;
	uint64_t begun_us;
	uint32_t node; /* the place of the one asked */
	uint64_t nonce; /* of the greeting */
	uint64_t challenge;
	bool is_sent; /* the request was sent, and nobody said that it was not executed */
	struct unit_datagram datagram;
	bool is_asleep;
	uint64_t deaf_until_us;  /* until then it believes nobody who names another owner */
	struct unit_client over; /* a session that its node refused; token 0: none */
	uint32_t over_worker;
	uint32_t over_sequence; /* the last one that was sent while it was good */
	uint32_t unsettled_count;
	struct {
		uint64_t token;
		uint32_t sequence;
	} unsettled[SIM_UNSETTLED_MAX]; /* requests whose outcome is UNKNOWN */
	struct sim_client_counts counts;
};

void sim_client_init(struct sim_client *client, const struct sim_client_options *options);

/* The time has come. */
void sim_client_run(struct sim_client *client, uint64_t now_us);
/* Ends its sleep, if it sleeps. */
void sim_client_wake(struct sim_client *client, uint64_t now_us);

/* A frame came; a damaged one must be found out. */
void sim_client_receive(struct sim_client *client, uint64_t now_us, const uint8_t *frame,
			size_t size, bool is_damaged);

/* Begins to read 'key' now; for a resting client. */
void sim_client_verify(struct sim_client *client, uint64_t now_us, uint32_t key);
/* Through that node, the write of a key of its own or the read of any. False: it is busy, or was just now. */
bool sim_client_try(struct sim_client *client, uint64_t now_us, enum sim_client_operation operation,
		    uint32_t key, uint32_t node);

/* Whether that request has been answered, or still is under way: copies of it change nothing any more. */
bool sim_client_is_settled(const struct sim_client *client, uint64_t token, uint32_t sequence);

/* The client that has the address; UINT32_MAX for none. */
uint32_t sim_client_of_ipv4(uint32_t ipv4);
/* The client whose address and port a frame is for; UINT32_MAX for none. */
uint32_t sim_client_of_frame(const uint8_t *frame);

#endif
