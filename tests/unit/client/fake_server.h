/* SPDX-License-Identifier: BSD-3-Clause */
/* A cluster of Godwit nodes in the test's own thread: real UDP sockets on loopback, a clock of its
 * own, and faults on order.
 */
#ifndef TESTS_UNIT_CLIENT_FAKE_SERVER_H
#define TESTS_UNIT_CLIENT_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/client/client.h"
#include "dataplane/wire_codec.h"

/* Time passes only while the client waits and no datagram is under way: fake_server is the client's
 * world. So a test runs the same way on a machine of any speed.
 */

#define FAKE_NODE_MAX 3u
#define FAKE_WORKER_MAX 4u
#define FAKE_ITEM_MAX 4096u
#define FAKE_VALUE_MAX 1200u
#define FAKE_WINDOW 1024u
#define FAKE_DATAGRAM_MAX 1472u
#define FAKE_DELAYED_MAX 1024u

struct fake_item {
	uint8_t key[WIRE_KEY_SIZE_MAX];
	uint16_t key_size; /* 0 = free */
	uint8_t value[FAKE_VALUE_MAX];
	uint32_t value_size;
	uint64_t version;
	uint64_t expires_us; /* 0 = never */
};

struct fake_reply {
	uint32_t sequence;
	uint32_t size;
	uint8_t bytes[FAKE_DATAGRAM_MAX];
};

/* One worker's port; it knows one session, as there is one client. */
struct fake_port {
	int fd;
	struct client_address address;
	uint32_t node;
	uint32_t worker;
	uint32_t session_id;
	uint64_t token; /* 0 = no session */
	uint64_t nonce; /* of the session */
	uint32_t sequence_max;
	struct fake_reply *window;
	uint64_t requests; /* REQUEST datagrams with a right session */
	uint64_t hellos;
	bool is_dead; /* takes everything, answers nothing */
};

struct fake_delayed {
	uint64_t due_us;
	struct fake_port *port;
	bool is_request;
	uint32_t size;
	uint8_t bytes[FAKE_DATAGRAM_MAX];
};

struct fake_server {
	struct godwit *client; /* set by fake_server_open */
	uint64_t now_us;
	uint64_t random; /* the state of both sides' randomness */
	struct fake_port ports[FAKE_NODE_MAX * FAKE_WORKER_MAX];
	uint32_t port_count;
	uint32_t node_count;
	uint32_t worker_count; /* of each node */
	uint32_t base_port;    /* of each node; node n is at 127.0.0.(1 + n) */

	uint32_t partition_count;
	uint16_t owners[PARTITION_COUNT_MAX];
	uint32_t map_version;
	uint32_t map_room; /* bytes of a MAP_REPLY body at most; 0 = what fits */
	uint64_t boot_id;
	uint32_t value_size_max;
	uint32_t datagram_size_max;

	struct fake_item *items;
	uint64_t version;

	/* Faults, in percent of the datagrams, in both directions. */
	uint32_t drop_percent;
	uint32_t duplicate_percent;
	uint32_t delay_percent; /* by up to 50 ms: they overtake one another */

	/* Called for each REQUEST of a right session; true = dealt with. */
	bool (*intercept)(struct fake_server *fake, struct fake_port *port,
			  const struct wire_header *header, const uint8_t *bytes, size_t size);
	uint32_t countdown; /* for interceptors */
	uint32_t intercepted;

	struct fake_delayed *delayed;
	uint32_t delayed_count;

	uint64_t received; /* datagrams of any kind */
	uint64_t sent;
	uint64_t requests;  /* that were executed or answered again */
	uint64_t executed;  /* operations */
	uint64_t replayed;  /* replies repeated out of the window */
	uint64_t misrouted; /* operations that another worker of the node serves */
	uint64_t map_requests;
	uint64_t out_of_window; /* sequences too old to be judged */
	uint32_t client_ipv4;
	uint16_t client_port;
};

/* 'node_count' nodes of 'worker_count' workers that own the 'partition_count' partitions in turn.
 * Aborts when it cannot be made.
 */
struct fake_server *fake_server_create(uint32_t node_count, uint32_t worker_count,
				       uint32_t partition_count);
/* Closes the client, too. */
void fake_server_destroy(struct fake_server *fake);

/* Opens fake->client on the first node. 'options' may be NULL. */
enum godwit_status fake_server_open(struct fake_server *fake, const struct godwit_options *options);

/* Forgets all sessions, and items if 'is_restart'. */
void fake_server_forget(struct fake_server *fake, bool is_restart);

/* Sends 'size' bytes to the client from 'port', no faults. */
void fake_server_send(struct fake_server *fake, struct fake_port *port, const uint8_t *bytes,
		      size_t size);

/* Answers a request with the same 'status' and 'value' for each of its operations, remembers
 * nothing.
 */
void fake_server_refuse(struct fake_server *fake, struct fake_port *port,
			const struct wire_header *header, const uint8_t *bytes, size_t size,
			uint8_t status, const uint8_t *value, uint32_t value_size);

/* Executes a request as if no interceptor were there. */
void fake_server_execute(struct fake_server *fake, struct fake_port *port,
			 const struct wire_header *header, const uint8_t *bytes, size_t size);

/* Takes in what the client sent; what the client's own wait does. */
void fake_server_turn(struct fake_server *fake);

/* Lets time pass and the asynchronous client run, until nothing is pending. */
void fake_server_settle(struct fake_server *fake);

/* The item, NULL if absent. */
struct fake_item *fake_server_find(struct fake_server *fake, const void *key, size_t key_size);

/* The 'n'-th key "kN" that is in 'partition'. Writes at most 16 bytes; returns its size. */
size_t fake_server_key_in(const struct fake_server *fake, uint32_t partition, uint32_t n,
			  char *key);

#endif
