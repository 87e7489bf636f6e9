/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens and closes a handle, and turns its one wheel: receive, expire, repeat, send. */
#include "dataplane/client/client.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS_DEFAULT 1000u
#define CONNECT_TIMEOUT_MS_DEFAULT 3000u
#define RETRY_INTERVAL_MS_DEFAULT 20u
#define IN_FLIGHT_MAX_DEFAULT 64u
#define IN_FLIGHT_MAX 256u
#define PENDING_MAX_DEFAULT 65536u
#define SOCKET_BUFFER_BYTES_DEFAULT (4u << 20)
static_assert(GODWIT_TIMEOUT_MS_MAX <= WIRE_RETRANSMIT_MS_MAX,
	      "nothing is sent again later than a node expects");
/* Bursts received in one round, so that a flood cannot keep a caller from its own work. */
#define RECEIVE_ROUNDS_MAX 64u
/* When the kernel takes no more datagrams, try again after this time. */
#define SEND_RETRY_US 1000u

/* ---- open and close ---- */

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
	return value ? value : otherwise;
}

static bool apply_options(struct godwit *client, const struct godwit_options *options)
{
	client->timeout_us = or_default(options->timeout_ms, TIMEOUT_MS_DEFAULT) * UINT64_C(1000);
	client->connect_timeout_us =
		or_default(options->connect_timeout_ms, CONNECT_TIMEOUT_MS_DEFAULT) *
		UINT64_C(1000);
	client->retry_interval_us =
		or_default(options->retry_interval_ms, RETRY_INTERVAL_MS_DEFAULT) * UINT64_C(1000);
	client->in_flight_max = or_default(options->in_flight_max, IN_FLIGHT_MAX_DEFAULT);
	client->pending_max = or_default(options->pending_max, PENDING_MAX_DEFAULT);
	return client->in_flight_max <= IN_FLIGHT_MAX &&
	       options->timeout_ms <= GODWIT_TIMEOUT_MS_MAX;
}

static struct godwit *create(const struct client_world *world)
{
	struct godwit *client = calloc(1, sizeof(*client));

	if (!client)
		return NULL;
	client->world = *world;
	client->reroute_us = CLIENT_FOREVER;
	TAILQ_INIT(&client->active);
	TAILQ_INIT(&client->live);
	TAILQ_INIT(&client->unrouted);
	TAILQ_INIT(&client->outbox);
	return client;
}

static enum godwit_status init(struct godwit *client, const char *seeds,
			       const struct godwit_options *options)
{
	struct client_address local;

	if (!apply_options(client, options))
		return GODWIT_INVALID_ARGUMENT;
	client->seed_count = (uint32_t)client_address_parse_list(
		seeds, GODWIT_PORT_DEFAULT, client->seeds, CLIENT_SEED_COUNT_MAX);
	if (client->seed_count == 0)
		return GODWIT_INVALID_ARGUMENT;
	if (options->local_address && !client_address_parse(options->local_address, 0, &local))
		return GODWIT_INVALID_ARGUMENT;
	return client_socket_open(
		&client->socket, options->local_address ? &local : NULL,
		or_default(options->socket_buffer_bytes, SOCKET_BUFFER_BYTES_DEFAULT));
}

static enum godwit_status connect_first(struct godwit *client)
{
	uint64_t deadline_us = client->now_us + client->connect_timeout_us;

	while (client->map.partition_count == 0) {
		if (client->now_us >= deadline_us)
			return client->saw_foreign_version ? GODWIT_VERSION_UNKNOWN
							   : GODWIT_NO_SERVER;
		client_wait(client, deadline_us);
	}
	return GODWIT_OK;
}

static enum godwit_status start(struct godwit *client, bool no_wait)
{
	client_now_us(client);
	client_map_want(client, NULL, true);
	client_map_tick(client); /* greets the seeds */
	return no_wait ? GODWIT_OK : connect_first(client);
}

enum godwit_status client_open(struct godwit **opened, const char *seeds,
			       const struct godwit_options *options,
			       const struct client_world *world)
{
	struct godwit_options all = GODWIT_OPTIONS_INIT;
	struct godwit *client;
	enum godwit_status status;

	*opened = NULL;
	if (!seeds || (options && options->struct_size < sizeof(options->struct_size)))
		return GODWIT_INVALID_ARGUMENT;
	if (options)
		memcpy(&all, options,
		       options->struct_size < sizeof(all) ? options->struct_size : sizeof(all));
	client = create(world);
	if (!client)
		return GODWIT_NO_MEMORY;
	*opened = client; /* a test's world looks at it while it waits */
	status = init(client, seeds, &all);
	if (status == GODWIT_OK)
		status = start(client, all.no_wait);
	if (status != GODWIT_OK) {
		*opened = NULL;
		godwit_close(client);
	}
	return status;
}

enum godwit_status godwit_open(struct godwit **client, const char *seeds,
			       const struct godwit_options *options)
{
	struct client_world world;

	if (!client)
		return GODWIT_INVALID_ARGUMENT;
	client_world_init(&world);
	return client_open(client, seeds, options, &world);
}

static bool is_in_doubt(const struct client_operation *operation)
{
	return operation->is_write && operation->request && operation->request->transmissions;
}

void client_values_free(struct godwit *client)
{
	while (client->values) {
		struct client_value *next = client->values->next;

		free(client->values);
		client->values = next;
	}
}

void godwit_close(struct godwit *client)
{
	struct client_operation *operation;

	if (!client)
		return;
	client->pending_max = 0; /* callbacks submit in vain from here on */
	while ((operation = TAILQ_FIRST(&client->live)))
		client_complete_status(client, operation,
				       is_in_doubt(operation) ? GODWIT_UNKNOWN : GODWIT_CLOSED);
	client_values_free(client);
	client_map_fini(&client->map);
	client_map_fini(&client->fetch.pages);
	client_session_destroy_all(client);
	client_socket_close(&client->socket);
	free(client);
}

/* ---- operations ---- */

enum godwit_status client_submit(struct godwit *client, const struct godwit_operation *wanted,
				 godwit_callback *callback, void *context)
{
	struct client_operation *operation;
	enum godwit_status status;

	if (client->pending >= client->pending_max)
		return GODWIT_BUSY;
	status = client_operation_create(&operation, wanted);
	if (status != GODWIT_OK)
		return status;
	operation->callback = callback;
	operation->context = context;
	operation->deadline_us = client->now_us + client->timeout_us;
	TAILQ_INSERT_TAIL(&client->live, operation,
			  live_link); /* one time-out for all: sorted by deadline */
	client->pending++;
	client->blocked += !callback;
	client_route(client, operation);
	if (operation->session && !client->is_in_callback)
		client_session_fill(client, operation->session, true);
	return GODWIT_OK;
}

static void wait_for_route(struct godwit *client, struct client_operation *operation,
			   uint64_t not_before_us)
{
	operation->is_unrouted = true;
	operation->not_before_us = not_before_us;
	TAILQ_INSERT_TAIL(&client->unrouted, operation, list_link);
	if (not_before_us < client->reroute_us)
		client->reroute_us = not_before_us;
}

void client_route(struct godwit *client, struct client_operation *operation)
{
	struct client_session *session = client_map_route(client, operation);

	if (session)
		client_session_enqueue(client, session, operation);
	else /* the first map routes it; with a map only memory can be missing */
		wait_for_route(client, operation,
			       client->map.partition_count
				       ? client->now_us + client->retry_interval_us
				       : CLIENT_FOREVER);
}

void client_route_later(struct godwit *client, struct client_operation *operation,
			uint64_t not_before_us)
{
	wait_for_route(client, operation, not_before_us);
}

void client_detach(struct godwit *client, struct client_operation *operation)
{
	if (operation->request) {
		client_request_detach(client, operation);
	} else if (operation->session) {
		client_session_unqueue(operation->session, operation);
	} else if (operation->is_unrouted) {
		operation->is_unrouted = false;
		TAILQ_REMOVE(&client->unrouted, operation, list_link);
	}
}

/* Fills the result a blocking call waits for; its value is copied, because the datagram goes. */
static void keep_result(struct godwit *client, struct godwit_result *kept,
			const struct godwit_result *result)
{
	struct client_value *value;

	client->blocked--;
	*kept = *result;
	if (!result->value)
		return;
	value = malloc(sizeof(*value) + result->value_size);
	if (!value) {
		*kept = (struct godwit_result){ .status = GODWIT_NO_MEMORY };
		return;
	}
	memcpy(value->bytes, result->value, result->value_size);
	value->next = client->values;
	client->values = value;
	kept->value = value->bytes;
}

void client_complete(struct godwit *client, struct client_operation *operation,
		     const struct godwit_result *result)
{
	client_detach(client, operation);
	TAILQ_REMOVE(&client->live, operation, live_link);
	client->pending--;
	client->stats.operations++;
	if (operation->callback) {
		client->is_in_callback = true;
		operation->callback(operation->context, result);
		client->is_in_callback = false;
	} else {
		keep_result(client, operation->context, result);
	}
	free(operation);
}

void client_complete_status(struct godwit *client, struct client_operation *operation,
			    enum godwit_status status)
{
	struct godwit_result result = { .status = status };

	client_complete(client, operation, &result);
}

void client_complete_later(struct godwit *client, struct client_operation *operation,
			   enum godwit_status status)
{
	client_detach(client, operation);
	operation->refusal = status;
	operation->deadline_us = 0;
	TAILQ_REMOVE(&client->live, operation, live_link);
	TAILQ_INSERT_HEAD(&client->live, operation, live_link);
}

/* What is known of an operation whose time is over. */
static enum godwit_status status_at_deadline(const struct client_operation *operation)
{
	bool is_sent =
		operation->was_sent || (operation->request && operation->request->transmissions);

	if (is_in_doubt(operation))
		return GODWIT_UNKNOWN;
	if (operation->refusal != GODWIT_OK)
		return operation->refusal;
	if (is_sent || operation->request)
		return GODWIT_TIMEOUT;
	if (operation->session && operation->session->state == CLIENT_SESSION_OPEN)
		return GODWIT_TIMEOUT; /* it waited behind others */
	return GODWIT_NO_SERVER;
}

static void expire(struct godwit *client)
{
	struct client_operation *operation;

	while ((operation = TAILQ_FIRST(&client->live)) && client->now_us >= operation->deadline_us)
		client_complete_status(client, operation, status_at_deadline(operation));
}

/* ---- datagrams ---- */

void client_send(struct godwit *client, struct client_address address, const uint8_t *bytes,
		 size_t size)
{
	struct client_datagram datagram = { address, bytes, size };

	if (client_socket_send(&client->socket, &datagram, 1) == 1)
		client->stats.datagrams_sent++;
}

static bool on_pong(struct godwit *client, struct client_address from,
		    const struct wire_header *header)
{
	struct client_ping *ping = &client->ping;

	if (!client_address_equal(from, ping->address) || header->token != ping->token ||
	    header->sequence != ping->sequence || ping->answered_us)
		return false;
	ping->answered_us = client_now_us(client);
	return true;
}

static bool on_datagram(struct godwit *client, const struct client_datagram *datagram)
{
	const uint8_t *body = datagram->bytes + WIRE_HEADER_SIZE;
	struct client_session *session;
	struct wire_header header;
	size_t body_size;

	if (!wire_header_read(datagram->bytes, datagram->size, &header)) {
		client->saw_foreign_version |= datagram->size >= WIRE_HEADER_SIZE &&
					       datagram->bytes[WIRE_AT_MAGIC] == WIRE_MAGIC;
		return false;
	}
	body_size = datagram->size - WIRE_HEADER_SIZE;
	if (header.kind == WIRE_PONG)
		return on_pong(client, datagram->address, &header);
	session = client_session_lookup(client, datagram->address);
	if (!session)
		return false;
	switch (header.kind) {
	case WIRE_REPLY:
		return client_session_on_reply(client, session, &header, body, body_size);
	case WIRE_HELLO_REPLY:
		return client_session_on_hello_reply(client, session, &header, body, body_size);
	case WIRE_MAP_REPLY:
		return client_map_on_reply(client, session, &header, body, body_size);
	default:
		return false;
	}
}

static void receive(struct godwit *client)
{
	struct client_datagram datagrams[CLIENT_SOCKET_BURST];

	for (uint32_t round = 0; round < RECEIVE_ROUNDS_MAX; round++) {
		size_t count = client_socket_receive(&client->socket, datagrams);

		for (size_t i = 0; i < count; i++)
			client->stats.replies_ignored += !on_datagram(client, &datagrams[i]);
		client->stats.datagrams_received += count;
		if (count < CLIENT_SOCKET_BURST)
			return;
	}
}

/* ---- the wheel ---- */

static void tick_unrouted(struct godwit *client)
{
	struct client_operation *operation = TAILQ_FIRST(&client->unrouted);

	if (client->now_us < client->reroute_us)
		return;
	client->reroute_us = CLIENT_FOREVER;
	while (operation) {
		struct client_operation *next = TAILQ_NEXT(operation, list_link);

		if (client->now_us >= operation->not_before_us) {
			client_detach(client, operation);
			client_route(client, operation);
		} else if (operation->not_before_us < client->reroute_us) {
			client->reroute_us = operation->not_before_us;
		}
		operation = next;
	}
}

static void tick(struct godwit *client)
{
	struct client_session *session = TAILQ_FIRST(&client->active);

	tick_unrouted(client);
	while (session) {
		struct client_session *next = TAILQ_NEXT(session, active_link);

		client_session_tick(client, session);
		session = next;
	}
	client_map_tick(client);
}

void client_flush(struct godwit *client)
{
	struct client_session *session;

	TAILQ_FOREACH(session, &client->active, active_link)
	client_session_fill(client, session, false);
	client_request_flush(client);
}

uint64_t client_now_us(struct godwit *client)
{
	client->now_us = client->world.now_us(client->world.context);
	return client->now_us;
}

void client_process(struct godwit *client)
{
	client_now_us(client);
	receive(client);
	expire(client);
	tick(client);
	client_flush(client);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When client_process() has something to do even without a datagram. */
static uint64_t next_due_us(const struct godwit *client)
{
	const struct client_operation *first = TAILQ_FIRST(&client->live);
	const struct client_session *session;
	uint64_t due_us = earlier(client->reroute_us, client_map_due_us(client));

	if (first)
		due_us = earlier(due_us, first->deadline_us);
	if (!TAILQ_EMPTY(&client->outbox))
		due_us = earlier(due_us, client->now_us + SEND_RETRY_US);
	TAILQ_FOREACH(session, &client->active, active_link)
	due_us = earlier(due_us, client_session_due_us(client, session));
	return due_us;
}

static uint64_t due_in_us(const struct godwit *client, uint64_t due_us)
{
	uint64_t now_us = client->world.now_us(client->world.context);

	if (due_us == CLIENT_FOREVER)
		return CLIENT_FOREVER;
	return due_us > now_us ? due_us - now_us : 0;
}

void client_wait(struct godwit *client, uint64_t deadline_us)
{
	uint64_t due_us = earlier(next_due_us(client), deadline_us);

	client->world.wait(client->world.context, client->socket.fd, due_in_us(client, due_us));
	client_process(client);
}

/* ---- the asynchronous interface ---- */

enum godwit_status godwit_submit(struct godwit *client, const struct godwit_operation *operation,
				 godwit_callback *callback, void *context)
{
	if (!operation || !callback)
		return GODWIT_INVALID_ARGUMENT;
	if (!client->is_in_callback)
		client_now_us(client);
	return client_submit(client, operation, callback, context);
}

void godwit_flush(struct godwit *client)
{
	if (client->is_in_callback)
		return;
	client_now_us(client);
	client_flush(client);
}

size_t godwit_process(struct godwit *client)
{
	uint64_t before = client->stats.operations;

	if (client->is_in_callback)
		return 0;
	client_process(client);
	return client->stats.operations - before;
}

int godwit_fd(const struct godwit *client)
{
	return client->socket.fd;
}

int godwit_timeout_ms(const struct godwit *client)
{
	uint64_t in_us = due_in_us(client, next_due_us(client));

	if (in_us == CLIENT_FOREVER)
		return -1;
	return in_us / 1000 >= INT_MAX ? INT_MAX : (int)((in_us + 999) / 1000);
}

size_t godwit_pending(const struct godwit *client)
{
	return client->pending;
}
