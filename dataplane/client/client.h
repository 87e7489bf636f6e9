/* SPDX-License-Identifier: BSD-3-Clause */
/* The handle of a client: what all its parts share. Nothing here is for applications; they include
 * godwit.h.
 */
#ifndef DATAPLANE_CLIENT_CLIENT_H
#define DATAPLANE_CLIENT_CLIENT_H

#include "dataplane/client/client_address.h"
#include "dataplane/client/client_map.h"
#include "dataplane/client/client_operation.h"
#include "dataplane/client/client_request.h"
#include "dataplane/client/client_session.h"
#include "dataplane/client/client_socket.h"
#include "dataplane/client/client_world.h"
#include "dataplane/client/godwit.h"

#define CLIENT_SEED_COUNT_MAX 16u
#define CLIENT_BUCKET_COUNT 256u

/* A ping under way. */
struct client_ping {
	struct client_address address; /* port 0 = none */
	uint64_t token;
	uint32_t sequence;
	uint64_t sent_us;
	uint64_t answered_us; /* 0 = not yet */
};

/* The value in a result of a blocking call. */
struct client_value {
	struct client_value *next;
	uint8_t bytes[];
};

struct godwit {
	struct client_world world;
	uint64_t now_us; /* when the present call began */
	uint64_t timeout_us;
	uint64_t connect_timeout_us;
	uint64_t retry_interval_us;
	uint32_t in_flight_max;
	uint32_t pending_max;

	struct client_socket socket;
	struct client_address seeds[CLIENT_SEED_COUNT_MAX];
	uint32_t seed_count;

	struct client_session *buckets[CLIENT_BUCKET_COUNT]; /* all sessions by address */
	struct client_session_list active;
	struct client_map map;
	struct client_map_fetch fetch;

	struct client_operation_list live;     /* all, by deadline */
	struct client_operation_list unrouted; /* those that wait for a map, or to ask again */
	uint64_t reroute_us;                   /* when the first of them is due */
	uint32_t pending;
	struct client_request_list outbox;

	struct client_ping ping;
	struct client_value *values; /* of the last blocking call */
	size_t blocked;              /* operations the present blocking call waits for */
	bool is_in_callback;
	bool saw_foreign_version;
	struct godwit_stats stats;
};

/* godwit_open() in a world of the caller's. */
enum godwit_status client_open(struct godwit **client, const char *seeds,
			       const struct godwit_options *options,
			       const struct client_world *world);

/* Accepts an operation like godwit_submit(); without a callback 'context' is a struct godwit_result
 * to be filled, and the operation counts in client->blocked.
 */
enum godwit_status client_submit(struct godwit *client, const struct godwit_operation *wanted,
				 godwit_callback *callback, void *context);

/* Queues 'operation', which is in no queue and no request, where it is routed to; without a route
 * it waits.
 */
void client_route(struct godwit *client, struct client_operation *operation);
/* The same, not before 'not_before_us'. */
void client_route_later(struct godwit *client, struct client_operation *operation,
			uint64_t not_before_us);

/* Takes 'operation' out of the queue or request it is in. */
void client_detach(struct godwit *client, struct client_operation *operation);

/* Detaches 'operation', hands over 'result', frees it. Only while godwit_process(), a blocking call
 * or godwit_close() runs.
 */
void client_complete(struct godwit *client, struct client_operation *operation,
		     const struct godwit_result *result);
/* The same with nothing but a status. */
void client_complete_status(struct godwit *client, struct client_operation *operation,
			    enum godwit_status status);
/* Settles that 'operation', which was certainly not executed, ends with 'status'; the next
 * client_process() completes it.
 */
void client_complete_later(struct godwit *client, struct client_operation *operation,
			   enum godwit_status status);

/* Sends a datagram that belongs to no request; it may be lost. */
void client_send(struct godwit *client, struct client_address address, const uint8_t *bytes,
		 size_t size);

/* Sends what is queued, as far as the flight limits allow. */
void client_flush(struct godwit *client);

/* One round of everything godwit_process() does. */
void client_process(struct godwit *client);

/* Waits for a datagram or what is due, at most until 'deadline_us', then processes. */
void client_wait(struct godwit *client, uint64_t deadline_us);

/* The present time, also noted in client->now_us. */
uint64_t client_now_us(struct godwit *client);

/* Frees the values of the last blocking call. */
void client_values_free(struct godwit *client);

#endif
