/* SPDX-License-Identifier: BSD-3-Clause */
/* Speaks the server's side of the protocol, slowly and plainly. */
#include "tests/unit/client/fake_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/wire_hello.h"
#include "dataplane/wire_map.h"
#include "dataplane/wire_partition.h"
#include "tests/unit/unit.h"

#define DELAY_US_MAX 50000u
/* Real time a datagram that was sent may take to arrive on loopback; it takes microseconds. */
#define ARRIVAL_MS_MAX 5000

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fake server: %s: %s\n", what, strerror(errno));
	abort();
}

/* ---- items ---- */

struct fake_item *fake_server_find(struct fake_server *fake, const void *key, size_t key_size)
{
	for (uint32_t i = 0; i < FAKE_ITEM_MAX; i++) {
		struct fake_item *item = &fake->items[i];

		if (item->key_size != key_size || memcmp(item->key, key, key_size) != 0)
			continue;
		if (item->expires_us && item->expires_us <= fake->now_us) {
			item->key_size = 0;
			return NULL;
		}
		return item;
	}
	return NULL;
}

static struct fake_item *add_item(struct fake_server *fake, const struct wire_request_op *op)
{
	for (uint32_t i = 0; i < FAKE_ITEM_MAX; i++) {
		struct fake_item *item = &fake->items[i];

		if (item->key_size)
			continue;
		*item = (struct fake_item){ .key_size = op->key_size };
		memcpy(item->key, op->key, op->key_size);
		return item;
	}
	return NULL;
}

static void set_ttl(struct fake_server *fake, struct fake_item *item, uint32_t ttl_ms)
{
	item->expires_us = ttl_ms ? fake->now_us + ttl_ms * UINT64_C(1000) : 0;
}

static uint8_t store(struct fake_server *fake, struct fake_item *item,
		     const struct wire_request_op *op, uint64_t *version)
{
	if (op->value_size > fake->value_size_max || op->value_size > FAKE_VALUE_MAX)
		return WIRE_TOO_LARGE;
	if (!item)
		item = add_item(fake, op);
	if (!item)
		return WIRE_NO_SPACE;
	if (op->value_size)
		memcpy(item->value, op->value, op->value_size);
	item->value_size = op->value_size;
	set_ttl(fake, item, op->ttl_ms);
	*version = item->version = ++fake->version;
	return WIRE_OK;
}

struct answer {
	uint8_t status;
	uint64_t version;
	uint8_t number[8];
	const uint8_t *value;
	uint32_t value_size;
};

static void answer_number(struct answer *answer, uint64_t number)
{
	wire_put_u64(answer->number, number);
	answer->value = answer->number;
	answer->value_size = 8;
}

static uint8_t increment(struct fake_server *fake, struct fake_item *item,
			 const struct wire_request_op *op, struct answer *answer)
{
	int64_t number;
	char text[32];

	if (!item && op->value_size != 16)
		return WIRE_NOT_FOUND;
	if (!item) {
		item = add_item(fake, op);
		number = (int64_t)wire_get_u64(op->value + 8);
		set_ttl(fake, item, op->ttl_ms);
	} else {
		char *end;

		snprintf(text, sizeof(text), "%.*s", (int)item->value_size,
			 (const char *)item->value);
		number = strtoll(text, &end, 10);
		if (*end || end == text)
			return WIRE_NOT_A_NUMBER;
		number += (int64_t)wire_get_u64(op->value);
	}
	item->value_size =
		(uint32_t)snprintf((char *)item->value, FAKE_VALUE_MAX, "%" PRId64, number);
	answer->version = item->version = ++fake->version;
	answer_number(answer, (uint64_t)number);
	return WIRE_OK;
}

static uint8_t append(struct fake_server *fake, struct fake_item *item,
		      const struct wire_request_op *op, struct answer *answer)
{
	if (item->value_size + op->value_size > fake->value_size_max)
		return WIRE_TOO_LARGE;
	memcpy(item->value + item->value_size, op->value, op->value_size);
	item->value_size += op->value_size;
	answer->version = item->version = ++fake->version;
	return WIRE_OK;
}

static uint8_t execute_present(struct fake_server *fake, struct fake_item *item,
			       const struct wire_request_op *op, struct answer *answer)
{
	answer->version = item->version;
	switch (op->opcode) {
	case WIRE_GET_AND_TOUCH:
	case WIRE_TOUCH:
		set_ttl(fake, item, op->ttl_ms);
		answer->version = item->version = ++fake->version;
		if (op->opcode == WIRE_TOUCH)
			return WIRE_OK;
		/* fall through */
	case WIRE_GET:
		answer->value = item->value;
		answer->value_size = item->value_size;
		return WIRE_OK;
	case WIRE_DELETE:
	case WIRE_CAS:
		if ((op->flags & WIRE_HAS_VERSION) && op->version != item->version)
			return WIRE_VERSION_MISMATCH;
		if (op->opcode == WIRE_CAS)
			return store(fake, item, op, &answer->version);
		item->key_size = 0;
		return WIRE_OK;
	case WIRE_ADD:
		return WIRE_EXISTS_ALREADY;
	case WIRE_REPLACE:
		return store(fake, item, op, &answer->version);
	case WIRE_APPEND:
		return append(fake, item, op, answer);
	case WIRE_EXISTS:
		return WIRE_OK;
	case WIRE_TTL:
		answer_number(answer, item->expires_us ? (item->expires_us - fake->now_us) / 1000
						       : WIRE_TTL_NEVER);
		return WIRE_OK;
	default:
		return WIRE_UNSUPPORTED;
	}
}

static void execute_op(struct fake_server *fake, const struct wire_request_op *op,
		       struct answer *answer)
{
	struct fake_item *item = fake_server_find(fake, op->key, op->key_size);

	fake->executed++;
	if (op->opcode == WIRE_SET)
		answer->status = store(fake, item, op, &answer->version);
	else if (op->opcode == WIRE_INCREMENT)
		answer->status = increment(fake, item, op, answer);
	else if (!item && op->opcode == WIRE_ADD)
		answer->status = store(fake, NULL, op, &answer->version);
	else if (!item)
		answer->status = WIRE_NOT_FOUND;
	else
		answer->status = execute_present(fake, item, op, answer);
}

/* ---- requests ---- */

static void send_reply(struct fake_server *fake, struct fake_port *port, const uint8_t *bytes,
		       size_t size);

static struct wire_header reply_header(const struct fake_server *fake,
				       const struct wire_header *request, uint8_t kind)
{
	struct wire_header header = *request;

	header.kind = kind;
	header.map_version = fake->map_version;
	return header;
}

static uint32_t partition_of(const struct fake_server *fake, const struct wire_request_op *op)
{
	return wire_partition_of(op->key, op->key_size, fake->partition_count);
}

static void answer_not_owner(const struct fake_server *fake, uint32_t partition,
			     struct answer *answer, uint8_t *owner)
{
	uint32_t node = fake->owners[partition];

	memset(owner, 0, WIRE_OWNER_SIZE);
	answer->status = node == WIRE_MAP_NO_OWNER ? WIRE_UNAVAILABLE : WIRE_NOT_OWNER;
	if (node == WIRE_MAP_NO_OWNER)
		return;
	wire_put_u32(owner, INADDR_LOOPBACK + node);
	wire_put_u16(owner + 4, (uint16_t)(fake->base_port + partition % fake->worker_count));
	answer->value = owner;
	answer->value_size = WIRE_OWNER_SIZE;
}

static size_t answer_ops(struct fake_server *fake, struct fake_port *port,
			 const struct wire_header *header, const uint8_t *bytes, size_t size,
			 uint8_t *out)
{
	const uint8_t *at = bytes + WIRE_HEADER_SIZE;
	size_t used = WIRE_HEADER_SIZE;
	uint32_t left = header->op_count;

	for (; left; left--) {
		uint8_t owner[WIRE_OWNER_SIZE];
		struct wire_request_op op;
		struct answer answer = { .value = NULL };
		size_t room;

		at = wire_request_op_read(at, bytes + size, &op);
		if (!at)
			die("a request overruns its datagram");
		if (fake->owners[partition_of(fake, &op)] != port->node)
			answer_not_owner(fake, partition_of(fake, &op), &answer, owner);
		else
			execute_op(fake, &op, &answer);
		fake->misrouted += partition_of(fake, &op) % fake->worker_count != port->worker;
		room = fake->datagram_size_max - used - left * WIRE_REPLY_OP_SIZE;
		if (answer.value_size > room) {
			if (answer.status == WIRE_OK)
				answer.status = WIRE_TOO_LARGE;
			answer.value_size = 0;
		}
		wire_reply_op_write(out + used, op.opcode, answer.status, answer.version,
				    answer.value_size);
		if (answer.value_size)
			memcpy(out + used + WIRE_REPLY_OP_SIZE, answer.value, answer.value_size);
		used += WIRE_REPLY_OP_SIZE + answer.value_size;
	}
	if (at != bytes + size)
		die("a request has trailing bytes");
	return used;
}

static bool has_write(const uint8_t *bytes, size_t size)
{
	const uint8_t *at = bytes + WIRE_HEADER_SIZE;
	struct wire_request_op op;

	while (at < bytes + size && (at = wire_request_op_read(at, bytes + size, &op)))
		if (client_opcode_is_write(op.opcode))
			return true;
	return false;
}

void fake_server_execute(struct fake_server *fake, struct fake_port *port,
			 const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	struct fake_reply *known = &port->window[header->sequence % FAKE_WINDOW];
	struct wire_header answer = reply_header(fake, header, WIRE_REPLY);
	uint8_t out[65536];
	size_t used;

	if (size > fake->datagram_size_max)
		die("a request is longer than the server takes");
	if (has_write(bytes, size)) {
		if (known->sequence == header->sequence) {
			fake->replayed++;
			send_reply(fake, port, known->bytes, known->size);
			return;
		}
		if (port->sequence_max >= FAKE_WINDOW &&
		    header->sequence <= port->sequence_max - FAKE_WINDOW) {
			fake->out_of_window++;
			return;
		}
	}
	if (header->sequence > port->sequence_max)
		port->sequence_max = header->sequence;
	used = answer_ops(fake, port, header, bytes, size, out);
	wire_header_write(out, &answer);
	if (has_write(bytes, size)) {
		known->sequence = header->sequence;
		known->size = (uint32_t)used;
		memcpy(known->bytes, out, used);
	}
	send_reply(fake, port, out, used);
}

void fake_server_refuse(struct fake_server *fake, struct fake_port *port,
			const struct wire_header *header, const uint8_t *bytes, size_t size,
			uint8_t status, const uint8_t *value, uint32_t value_size)
{
	struct wire_header answer = reply_header(fake, header, WIRE_REPLY);
	const uint8_t *at = bytes + WIRE_HEADER_SIZE;
	uint8_t out[65536];
	uint8_t *to = out + WIRE_HEADER_SIZE;

	wire_header_write(out, &answer);
	for (uint32_t i = 0; i < header->op_count; i++) {
		struct wire_request_op op;

		at = wire_request_op_read(at, bytes + size, &op);
		if (!at)
			die("a request overruns its datagram");
		to = wire_reply_op_write(to, op.opcode, status, 0, value_size);
		if (value_size)
			memcpy(to, value, value_size);
		to += value_size;
	}
	send_reply(fake, port, out, (size_t)(to - out));
}

static void need_hello(struct fake_server *fake, struct fake_port *port,
		       const struct wire_header *header)
{
	struct wire_header answer = reply_header(fake, header, WIRE_REPLY);
	uint8_t bytes[WIRE_HEADER_SIZE];

	answer.op_count = 0;
	wire_header_write(bytes, &answer);
	send_reply(fake, port, bytes, sizeof(bytes));
}

static bool is_session(const struct fake_port *port, const struct wire_header *header)
{
	return port->token && header->token == port->token &&
	       header->session_id == port->session_id;
}

/* ---- sessions and maps ---- */

static void on_hello(struct fake_server *fake, struct fake_port *port,
		     const struct wire_header *header, const uint8_t *body, size_t size)
{
	struct wire_header answer = reply_header(fake, header, WIRE_HELLO_REPLY);
	uint8_t bytes[WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE];
	uint64_t challenge;
	struct wire_hello hello;

	if (!wire_hello_read(body, size, &hello))
		die("HELLO is too short");
	port->hellos++;
	challenge = hello.client_nonce ^ fake->boot_id ^ port->address.port;
	if (hello.challenge == challenge && (!port->token || port->nonce != hello.client_nonce)) {
		port->token = unit_random(&fake->random);
		port->nonce = hello.client_nonce;
		port->session_id = port->worker << 24 | 1;
		port->sequence_max = 0;
		memset(port->window, 0, FAKE_WINDOW * sizeof(port->window[0]));
	}
	if (hello.challenge == challenge) {
		answer.session_id = port->session_id;
		answer.token = port->token;
	}
	wire_header_write(bytes, &answer);
	wire_hello_reply_write(bytes + WIRE_HEADER_SIZE,
			       &(struct wire_hello_reply){
				       .client_nonce = hello.client_nonce,
				       .challenge = challenge,
				       .boot_id = fake->boot_id,
				       .stage = hello.challenge == challenge ? WIRE_HELLO_GRANTED
									     : WIRE_HELLO_CHALLENGE,
				       .version_max = WIRE_VERSION,
				       .worker_count = (uint16_t)fake->worker_count,
				       .partition_count = (uint16_t)fake->partition_count,
				       .value_size_max = (uint16_t)fake->value_size_max,
				       .datagram_size_max = fake->datagram_size_max,
				       .base_port = (uint16_t)fake->base_port,
				       .worker_index = (uint16_t)port->worker,
				       .replay_window_size = FAKE_WINDOW });
	send_reply(fake, port, bytes, sizeof(bytes));
}

static void on_map_request(struct fake_server *fake, struct fake_port *port,
			   const struct wire_header *header, const uint8_t *body, size_t size)
{
	struct wire_header answer = reply_header(fake, header, WIRE_MAP_REPLY);
	uint32_t room =
		fake->map_room ? fake->map_room : fake->datagram_size_max - WIRE_HEADER_SIZE;
	struct wire_map_node nodes[FAKE_NODE_MAX];
	struct wire_map map = { fake->owners, nodes, (uint16_t)fake->partition_count,
				(uint16_t)fake->node_count };
	uint8_t bytes[FAKE_DATAGRAM_MAX];
	uint16_t first;

	fake->map_requests++;
	if (!wire_map_request_read(body, size, &first))
		die("MAP_REQUEST is too short");
	for (uint32_t i = 0; i < fake->node_count; i++)
		nodes[i] = (struct wire_map_node){ INADDR_LOOPBACK + i, (uint16_t)fake->base_port,
						   (uint16_t)fake->worker_count };
	wire_header_write(bytes, &answer);
	size = WIRE_HEADER_SIZE + wire_map_reply_write(bytes + WIRE_HEADER_SIZE, room, &map, first);
	send_reply(fake, port, bytes, size);
}

static void on_request(struct fake_server *fake, struct fake_port *port,
		       const struct wire_header *header, const uint8_t *bytes, size_t size)
{
	port->requests++;
	fake->requests++;
	if (fake->intercept && fake->intercept(fake, port, header, bytes, size)) {
		fake->intercepted++;
		return;
	}
	fake_server_execute(fake, port, header, bytes, size);
}

static void on_ping(struct fake_server *fake, struct fake_port *port, const uint8_t *bytes,
		    size_t size)
{
	uint8_t pong[FAKE_DATAGRAM_MAX];

	memcpy(pong, bytes, size);
	pong[WIRE_AT_KIND] = WIRE_PONG;
	send_reply(fake, port, pong, size);
}

static void handle(struct fake_server *fake, struct fake_port *port, const uint8_t *bytes,
		   size_t size)
{
	const uint8_t *body = bytes + WIRE_HEADER_SIZE;
	struct wire_header header;

	if (port->is_dead)
		return;
	if (!wire_header_read(bytes, size, &header))
		die("a datagram without a header");
	if (header.kind == WIRE_HELLO)
		on_hello(fake, port, &header, body, size - WIRE_HEADER_SIZE);
	else if (header.kind == WIRE_PING)
		on_ping(fake, port, bytes, size);
	else if (!is_session(port, &header))
		need_hello(fake, port, &header);
	else if (header.kind == WIRE_MAP_REQUEST)
		on_map_request(fake, port, &header, body, size - WIRE_HEADER_SIZE);
	else if (header.kind == WIRE_REQUEST)
		on_request(fake, port, &header, bytes, size);
	else
		die("a kind that no client sends");
}

/* ---- the network ---- */

void fake_server_send(struct fake_server *fake, struct fake_port *port, const uint8_t *bytes,
		      size_t size)
{
	struct client_address address = { fake->client_ipv4, fake->client_port };
	struct sockaddr_in name;

	client_address_to_socket(address, &name);
	if (sendto(port->fd, bytes, size, 0, (struct sockaddr *)&name, sizeof(name)) !=
	    (ssize_t)size)
		die("sendto");
	fake->sent++;
}

static bool happens(struct fake_server *fake, uint32_t percent)
{
	return unit_random(&fake->random) % 100 < percent;
}

static void delay(struct fake_server *fake, struct fake_port *port, bool is_request,
		  const uint8_t *bytes, size_t size)
{
	struct fake_delayed *delayed = &fake->delayed[fake->delayed_count];

	if (fake->delayed_count == FAKE_DELAYED_MAX)
		return; /* lost, as in a full queue */
	fake->delayed_count++;
	*delayed = (struct fake_delayed){ .due_us = fake->now_us + 1 +
						    unit_random(&fake->random) % DELAY_US_MAX,
					  .port = port,
					  .is_request = is_request,
					  .size = (uint32_t)size };
	memcpy(delayed->bytes, bytes, size);
}

static void deliver(struct fake_server *fake, struct fake_port *port, bool is_request,
		    const uint8_t *bytes, size_t size)
{
	if (is_request)
		handle(fake, port, bytes, size);
	else
		fake_server_send(fake, port, bytes, size);
}

static void pass(struct fake_server *fake, struct fake_port *port, bool is_request,
		 const uint8_t *bytes, size_t size)
{
	if (happens(fake, fake->drop_percent))
		return;
	if (happens(fake, fake->duplicate_percent))
		delay(fake, port, is_request, bytes, size);
	if (happens(fake, fake->delay_percent))
		delay(fake, port, is_request, bytes, size);
	else
		deliver(fake, port, is_request, bytes, size);
}

static void send_reply(struct fake_server *fake, struct fake_port *port, const uint8_t *bytes,
		       size_t size)
{
	pass(fake, port, false, bytes, size);
}

static bool receive_one(struct fake_server *fake, struct fake_port *port)
{
	uint8_t bytes[65536];
	struct sockaddr_in name;
	socklen_t name_size = sizeof(name);
	ssize_t size = recvfrom(port->fd, bytes, sizeof(bytes), MSG_DONTWAIT,
				(struct sockaddr *)&name, &name_size);
	struct client_address from;

	if (size < 0)
		return false;
	fake->received++;
	from = client_address_of_socket(&name);
	fake->client_ipv4 = from.ipv4;
	fake->client_port = from.port;
	if (port->is_dead)
		return true;
	if (size > FAKE_DATAGRAM_MAX)
		die("a datagram is longer than any the client was allowed");
	pass(fake, port, true, bytes, (size_t)size);
	return true;
}

/* Waits until what the client sent is here: on loopback that is certain, and soon. */
static void await_arrival(struct fake_server *fake)
{
	struct pollfd fds[FAKE_NODE_MAX * FAKE_WORKER_MAX];

	for (uint32_t i = 0; i < fake->port_count; i++)
		fds[i] = (struct pollfd){ .fd = fake->ports[i].fd, .events = POLLIN };
	if (poll(fds, fake->port_count, ARRIVAL_MS_MAX) == 0)
		die("a datagram got lost on loopback");
}

void fake_server_turn(struct fake_server *fake)
{
	do {
		for (uint32_t i = 0; i < fake->port_count; i++)
			while (receive_one(fake, &fake->ports[i]))
				;
		if (fake->client && fake->received < fake->client->stats.datagrams_sent)
			await_arrival(fake);
	} while (fake->client && fake->received < fake->client->stats.datagrams_sent);
}

/* Hands over the delayed datagrams that are due. */
static void deliver_due(struct fake_server *fake)
{
	for (uint32_t i = 0; i < fake->delayed_count;) {
		struct fake_delayed due = fake->delayed[i];

		if (due.due_us > fake->now_us) {
			i++;
			continue;
		}
		fake->delayed[i] = fake->delayed[--fake->delayed_count];
		deliver(fake, due.port, due.is_request, due.bytes, due.size);
	}
}

static uint64_t next_delayed_us(const struct fake_server *fake)
{
	uint64_t next_us = CLIENT_FOREVER;

	for (uint32_t i = 0; i < fake->delayed_count; i++)
		if (fake->delayed[i].due_us < next_us)
			next_us = fake->delayed[i].due_us;
	return next_us;
}

static bool is_client_behind(const struct fake_server *fake)
{
	return fake->client && fake->client->stats.datagrams_received < fake->sent;
}

static void world_wait(void *context, int fd, uint64_t timeout_us)
{
	struct fake_server *fake = context;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	uint64_t until_us =
		timeout_us == CLIENT_FOREVER ? CLIENT_FOREVER : fake->now_us + timeout_us;
	uint64_t delayed_us;

	fake_server_turn(fake);
	deliver_due(fake);
	if (is_client_behind(fake)) {
		if (poll(&poll_fd, 1, ARRIVAL_MS_MAX) == 0)
			die("a reply got lost on loopback");
		return;
	}
	delayed_us = next_delayed_us(fake);
	if (delayed_us < until_us)
		until_us = delayed_us;
	if (until_us == CLIENT_FOREVER)
		die("the client waits for ever");
	fake->now_us = until_us > fake->now_us ? until_us : fake->now_us;
	deliver_due(fake);
}

static uint64_t world_now_us(void *context)
{
	return ((struct fake_server *)context)->now_us;
}

static uint64_t world_random(void *context)
{
	return unit_random(&((struct fake_server *)context)->random);
}

/* ---- life ---- */

static int bind_port(uint32_t ipv4, uint16_t port)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in name;

	client_address_to_socket((struct client_address){ ipv4, port }, &name);
	if (fd < 0)
		die("socket");
	if (bind(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	close(fd);
	return -1;
}

static void close_ports(struct fake_server *fake)
{
	for (uint32_t i = 0; i < fake->port_count; i++) {
		close(fake->ports[i].fd);
		free(fake->ports[i].window);
	}
	fake->port_count = 0;
}

/* All nodes' workers at successive ports from fake->base_port on. */
static bool bind_all(struct fake_server *fake)
{
	for (uint32_t node = 0; node < fake->node_count; node++) {
		for (uint32_t worker = 0; worker < fake->worker_count; worker++) {
			struct fake_port *port = &fake->ports[fake->port_count];
			uint16_t number = (uint16_t)(fake->base_port + worker);

			*port = (struct fake_port){ .address = { INADDR_LOOPBACK + node, number },
						    .node = node,
						    .worker = worker };
			port->fd = bind_port(port->address.ipv4, number);
			if (port->fd < 0)
				return false;
			port->window = calloc(FAKE_WINDOW, sizeof(port->window[0]));
			fake->port_count++;
		}
	}
	return true;
}

struct fake_server *fake_server_create(uint32_t node_count, uint32_t worker_count,
				       uint32_t partition_count)
{
	struct fake_server *fake = calloc(1, sizeof(*fake));

	fake->random = 42;
	fake->now_us = 1000000;
	fake->node_count = node_count;
	fake->worker_count = worker_count;
	fake->partition_count = partition_count;
	fake->map_version = 1;
	fake->boot_id = 7;
	fake->value_size_max = FAKE_VALUE_MAX;
	fake->datagram_size_max = FAKE_DATAGRAM_MAX;
	fake->items = calloc(FAKE_ITEM_MAX, sizeof(fake->items[0]));
	fake->delayed = calloc(FAKE_DELAYED_MAX, sizeof(fake->delayed[0]));
	for (uint32_t p = 0; p < partition_count; p++)
		fake->owners[p] = (uint16_t)(p % node_count);
	for (uint32_t attempt = 0; attempt < 200; attempt++) {
		fake->base_port = 20000 + ((uint32_t)getpid() * 7 + attempt * 16) % 12000;
		if (bind_all(fake))
			return fake;
		close_ports(fake);
	}
	die("no free ports on loopback");
}

void fake_server_destroy(struct fake_server *fake)
{
	godwit_close(fake->client);
	close_ports(fake);
	free(fake->items);
	free(fake->delayed);
	free(fake);
}

enum godwit_status fake_server_open(struct fake_server *fake, const struct godwit_options *options)
{
	struct client_world world = { fake, world_now_us, world_random, world_wait };
	char seeds[32];

	snprintf(seeds, sizeof(seeds), "127.0.0.1:%u", fake->base_port);
	return client_open(&fake->client, seeds, options, &world);
}

void fake_server_forget(struct fake_server *fake, bool is_restart)
{
	for (uint32_t i = 0; i < fake->port_count; i++)
		fake->ports[i].token = 0;
	if (!is_restart)
		return;
	fake->boot_id++;
	memset(fake->items, 0, FAKE_ITEM_MAX * sizeof(fake->items[0]));
}

void fake_server_settle(struct fake_server *fake)
{
	godwit_flush(fake->client);
	while (godwit_pending(fake->client)) {
		int timeout_ms = godwit_timeout_ms(fake->client);

		world_wait(fake, godwit_fd(fake->client),
			   timeout_ms < 0 ? CLIENT_FOREVER : (uint64_t)timeout_ms * 1000);
		godwit_process(fake->client);
	}
}

size_t fake_server_key_in(const struct fake_server *fake, uint32_t partition, uint32_t n, char *key)
{
	for (uint32_t i = 0;; i++) {
		size_t size = (size_t)snprintf(key, 16, "k%u", i);

		if (wire_partition_of(key, size, fake->partition_count) == partition && n-- == 0)
			return size;
	}
}
