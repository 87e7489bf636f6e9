/* SPDX-License-Identifier: BSD-3-Clause */
/* A small server in a thread that misbehaves on request: the load generator must notice. */
#ifndef TESTS_UNIT_LOADGEN_RESPONDER_H
#define TESTS_UNIT_LOADGEN_RESPONDER_H

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/wire_codec.h"
#include "dataplane/wire_partition.h"

#define RESPONDER_KEYS (1u << 20) /* keys wrap behind it */
#define RESPONDER_COUNTERS 4096u
#define RESPONDER_SESSIONS 256u
#define RESPONDER_WINDOW 1024u
#define RESPONDER_DATAGRAM_SIZE 1472u
#define RESPONDER_PARTITIONS 64u
#define RESPONDER_WORKERS_MAX 4u

struct responder_item {
	uint64_t version; /* 0 = absent */
	uint32_t size;
	uint8_t value[64];
};

struct responder_reply {
	uint32_t sequence;
	uint32_t size;
	uint8_t bytes[RESPONDER_DATAGRAM_SIZE];
};

/* Set the faults before responder_start(), or while nothing is running. */
struct responder {
	/* faults, 0 = none */
	unsigned drop_request_each; /* every n-th datagram is lost before it is executed */
	unsigned drop_reply_each;   /* every n-th after it was */
	unsigned corrupt_each;      /* every n-th GET returns a changed value */
	unsigned forget_write_each; /* every n-th SET is acknowledged but not stored */
	unsigned lose_key_each;     /* every n-th SET removes the key */
	unsigned forget_session_at; /* at the n-th request all sessions are gone, once */
	unsigned stall_at;          /* at the n-th request the server stands still, once ... */
	unsigned stall_ms;          /* ... for so long */
	unsigned retry_each;        /* every n-th operation is answered RETRY ... */
	uint32_t retry_us;          /* ... with that time to wait */
	unsigned disown_each;       /* every n-th operation is answered NOT_OWNER */
	bool no_space;              /* SET is answered NO_SPACE */
	unsigned worker_count;      /* ports */
	/* what it saw; read after responder_stop() */
	uint64_t requests;
	uint64_t executed;
	uint64_t replayed;
	uint64_t misrouted;
	uint64_t sessions_granted;
	/* its own */
	uint16_t port;
	int sockets[RESPONDER_WORKERS_MAX];
	int stop_pipe[2];
	pthread_t thread;
	uint64_t version;
	uint64_t tokens[RESPONDER_SESSIONS];
	struct responder_item plain[RESPONDER_KEYS];
	struct responder_item counters[RESPONDER_COUNTERS];
	struct responder_reply *replies[RESPONDER_SESSIONS]; /* RESPONDER_WINDOW each */
	uint64_t gets, sets, ops, asked;
};

static inline bool responder_each(uint64_t *count, unsigned n)
{
	return ++*count % (n ? n : UINT64_MAX) == 0;
}

static inline struct responder_item *responder_find(struct responder *r,
						    const struct wire_request_op *op)
{
	char digits[32] = "";
	unsigned long index;

	memcpy(digits, op->key + 1, op->key_size < 31 ? op->key_size - 1u : 30);
	index = strtoul(digits, NULL, 16);
	return op->key[0] == 'c' ? &r->counters[index % RESPONDER_COUNTERS]
				 : &r->plain[index % RESPONDER_KEYS];
}

static inline void responder_store(struct responder *r, struct responder_item *item,
				   const void *value, uint32_t size)
{
	item->version = ++r->version;
	item->size = size < sizeof(item->value) ? size : (uint32_t)sizeof(item->value);
	memcpy(item->value, value, item->size);
}

static inline uint8_t *responder_increment(struct responder *r, struct responder_item *item,
					   uint8_t *at)
{
	char text[32] = "";
	uint64_t number;

	if (!item->version)
		return wire_reply_op_write(at, WIRE_INCREMENT, WIRE_NOT_FOUND, 0, 0);
	memcpy(text, item->value, item->size);
	number = strtoull(text, NULL, 10) + 1;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	responder_store(r, item, text, (uint32_t)strlen(text));
	at = wire_reply_op_write(at, WIRE_INCREMENT, WIRE_OK, item->version, 8);
	wire_put_u64(at, number);
	return at + 8;
}

static inline uint8_t *responder_get(struct responder *r, const struct responder_item *item,
				     uint8_t *at)
{
	if (!item->version)
		return wire_reply_op_write(at, WIRE_GET, WIRE_NOT_FOUND, 0, 0);
	at = wire_reply_op_write(at, WIRE_GET, WIRE_OK, item->version, item->size);
	memcpy(at, item->value, item->size);
	if (responder_each(&r->gets, r->corrupt_each))
		at[item->size / 2] ^= 1;
	return at + item->size;
}

static inline uint8_t *responder_set(struct responder *r, struct responder_item *item,
				     const struct wire_request_op *op, uint8_t *at)
{
	struct responder_item before = *item;

	if (r->no_space)
		return wire_reply_op_write(at, WIRE_SET, WIRE_NO_SPACE, 0, 0);
	responder_store(r, item, op->value, op->value_size);
	at = wire_reply_op_write(at, WIRE_SET, WIRE_OK, item->version, 0);
	r->sets++;
	if (r->forget_write_each && before.version && r->sets % r->forget_write_each == 0)
		*item = before;
	if (r->lose_key_each && r->sets % r->lose_key_each == 0)
		item->version = 0;
	return at;
}

static inline uint8_t *responder_execute(struct responder *r, const struct wire_request_op *op,
					 uint8_t *at)
{
	struct responder_item *item = responder_find(r, op);
	uint8_t status = item->version ? WIRE_OK : WIRE_NOT_FOUND;

	if (responder_each(&r->asked, r->disown_each)) {
		at = wire_reply_op_write(at, op->opcode, WIRE_NOT_OWNER, 0, 4);
		wire_put_u32(at, 0x0a000001); /* an address, no time */
		return at + 4;
	}
	if (responder_each(&r->ops, r->retry_each)) {
		at = wire_reply_op_write(at, op->opcode, WIRE_RETRY, 0, r->retry_us ? 4 : 0);
		if (!r->retry_us)
			return at;
		wire_put_u32(at, r->retry_us);
		return at + 4;
	}
	switch (op->opcode) {
	case WIRE_GET:
		return responder_get(r, item, at);
	case WIRE_SET:
		return responder_set(r, item, op, at);
	case WIRE_INCREMENT:
		return responder_increment(r, item, at);
	case WIRE_DELETE:
		item->version = 0;
		return wire_reply_op_write(at, WIRE_DELETE, status,
					   status == WIRE_OK ? ++r->version : 0, 0);
	case WIRE_CAS:
		if (status == WIRE_OK && item->version != op->version)
			status = WIRE_VERSION_MISMATCH;
		if (status == WIRE_OK)
			responder_store(r, item, op->value, op->value_size);
		return wire_reply_op_write(at, WIRE_CAS, status, item->version, 0);
	default:
		return wire_reply_op_write(at, op->opcode, WIRE_UNSUPPORTED, 0, 0);
	}
}

/* Executes a request into 'reply'; returns the reply's size. */
static inline uint32_t responder_execute_all(struct responder *r, unsigned worker,
					     struct wire_header *header, const uint8_t *bytes,
					     size_t size, uint8_t *reply)
{
	const uint8_t *at = bytes + WIRE_HEADER_SIZE;
	uint8_t *out = reply + WIRE_HEADER_SIZE;

	for (unsigned i = 0; i < header->op_count; i++) {
		struct wire_request_op op;

		at = wire_request_op_read(at, bytes + size, &op);
		if (!at)
			abort(); /* the generator must not send this */
		r->misrouted += wire_partition_of(op.key, op.key_size, RESPONDER_PARTITIONS) %
					r->worker_count !=
				worker;
		out = responder_execute(r, &op, out);
		r->executed++;
	}
	header->kind = WIRE_REPLY;
	wire_header_write(reply, header);
	return (uint32_t)(out - reply);
}

/* A request whose reply the window remembers is answered by it; returns the reply's size. */
static inline const struct responder_reply *responder_answer(struct responder *r, unsigned worker,
							     struct wire_header *header,
							     const uint8_t *bytes, size_t size)
{
	struct responder_reply *reply =
		&r->replies[header->session_id - 1][header->sequence % RESPONDER_WINDOW];

	if (reply->sequence == header->sequence) {
		r->replayed++;
		return reply;
	}
	reply->sequence = header->sequence;
	reply->size = responder_execute_all(r, worker, header, bytes, size, reply->bytes);
	return reply;
}

static inline void responder_hello(struct responder *r, unsigned worker, const uint8_t *bytes,
				   const struct sockaddr_in *from)
{
	struct wire_header header = { .kind = WIRE_HELLO_REPLY };
	uint8_t reply[WIRE_HEADER_SIZE + WIRE_HELLO_BODY_SIZE] = { 0 };
	uint8_t *body = reply + WIRE_HEADER_SIZE;
	uint64_t challenge = wire_get_u64(bytes + WIRE_HEADER_SIZE + 8);

	memcpy(body, bytes + WIRE_HEADER_SIZE, 8);
	wire_put_u64(body + 8, 4711);
	body[16] = challenge == 4711 ? WIRE_HELLO_GRANTED : WIRE_HELLO_CHALLENGE;
	wire_put_u16(body + 18, (uint16_t)r->worker_count);
	wire_put_u16(body + 20, RESPONDER_PARTITIONS);
	wire_put_u16(body + 22, 64);
	wire_put_u32(body + 24, RESPONDER_DATAGRAM_SIZE);
	wire_put_u16(body + 36, r->port);
	if (challenge == 4711) {
		uint32_t slot = (uint32_t)(r->sessions_granted++ % RESPONDER_SESSIONS);

		if (!r->replies[slot])
			r->replies[slot] = calloc(RESPONDER_WINDOW, sizeof(*r->replies[slot]));
		header.session_id = slot + 1;
		header.token = r->tokens[slot] = 1000 + r->sessions_granted;
	}
	wire_header_write(reply, &header);
	sendto(r->sockets[worker], reply, sizeof(reply), 0, (const struct sockaddr *)from,
	       sizeof(*from));
}

static inline void responder_request(struct responder *r, unsigned worker,
				     struct wire_header *header, const uint8_t *bytes, size_t size,
				     const struct sockaddr_in *from)
{
	const struct responder_reply *reply;
	uint8_t refusal[WIRE_HEADER_SIZE];
	uint32_t slot = header->session_id - 1;

	r->requests++;
	if (r->stall_at && r->requests == r->stall_at)
		nanosleep(&(struct timespec){ .tv_nsec = (long)r->stall_ms * 1000000 }, NULL);
	if (r->forget_session_at && r->requests == r->forget_session_at)
		memset(r->tokens, 0, sizeof(r->tokens));
	if (r->drop_request_each && r->requests % r->drop_request_each == 0)
		return;
	if (slot >= RESPONDER_SESSIONS || r->tokens[slot] != header->token) {
		header->kind = WIRE_REPLY;
		header->op_count = 0;
		wire_header_write(refusal, header);
		sendto(r->sockets[worker], refusal, sizeof(refusal), 0,
		       (const struct sockaddr *)from, sizeof(*from));
		return;
	}
	reply = responder_answer(r, worker, header, bytes, size);
	if (r->drop_reply_each && r->requests % r->drop_reply_each == 0)
		return;
	sendto(r->sockets[worker], reply->bytes, reply->size, 0, (const struct sockaddr *)from,
	       sizeof(*from));
}

static inline void responder_receive(struct responder *r, unsigned worker)
{
	uint8_t bytes[2048];
	struct sockaddr_in from;
	struct wire_header header;

	for (;;) {
		socklen_t from_size = sizeof(from);
		ssize_t size = recvfrom(r->sockets[worker], bytes, sizeof(bytes), MSG_DONTWAIT,
					(struct sockaddr *)&from, &from_size);

		if (size < 0)
			return;
		if (!wire_header_read(bytes, (size_t)size, &header))
			continue;
		if (header.kind == WIRE_HELLO)
			responder_hello(r, worker, bytes, &from);
		else if (header.kind == WIRE_REQUEST)
			responder_request(r, worker, &header, bytes, (size_t)size, &from);
	}
}

static inline void *responder_run(void *argument)
{
	struct responder *r = argument;
	struct pollfd fds[RESPONDER_WORKERS_MAX + 1];

	for (unsigned i = 0; i < r->worker_count; i++)
		fds[i] = (struct pollfd){ .fd = r->sockets[i], .events = POLLIN };
	fds[r->worker_count] = (struct pollfd){ .fd = r->stop_pipe[0], .events = POLLIN };
	for (;;) {
		poll(fds, r->worker_count + 1, -1);
		if (fds[r->worker_count].revents)
			return NULL;
		for (unsigned i = 0; i < r->worker_count; i++)
			responder_receive(r, i);
	}
}

/* Binds consecutive ports; false when one of them is taken. */
static inline bool responder_bind(struct responder *r, uint16_t port)
{
	const int buffer = 8 << 20;

	for (unsigned i = 0; i < r->worker_count; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET,
					       .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
					       .sin_port = htons((uint16_t)(port + i)) };

		r->sockets[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		setsockopt(r->sockets[i], SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
		if (bind(r->sockets[i], (struct sockaddr *)&address, sizeof(address)) == 0)
			continue;
		for (unsigned opened = 0; opened <= i; opened++)
			close(r->sockets[opened]);
		return false;
	}
	r->port = port;
	return true;
}

/* A responder without faults; free with responder_destroy(). */
static inline struct responder *responder_create(void)
{
	struct responder *r = calloc(1, sizeof(*r));

	if (r)
		r->worker_count = 1;
	return r;
}

static inline bool responder_start(struct responder *r)
{
	uint16_t port = (uint16_t)(20000 + getpid() % 20000);

	for (unsigned tries = 0; tries < 1000;
	     tries++, port = (uint16_t)(port + RESPONDER_WORKERS_MAX)) {
		if (responder_bind(r, port))
			return pipe(r->stop_pipe) == 0 &&
			       pthread_create(&r->thread, NULL, responder_run, r) == 0;
	}
	return false;
}

static inline void responder_stop(struct responder *r)
{
	if (write(r->stop_pipe[1], "", 1) == 1)
		pthread_join(r->thread, NULL);
	close(r->stop_pipe[0]);
	close(r->stop_pipe[1]);
	for (unsigned i = 0; i < r->worker_count; i++)
		close(r->sockets[i]);
}

static inline void responder_destroy(struct responder *r)
{
	for (unsigned i = 0; i < RESPONDER_SESSIONS; i++)
		free(r->replies[i]);
	free(r);
}

#endif
