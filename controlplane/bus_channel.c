/* SPDX-License-Identifier: BSD-3-Clause */
/* Channels over non-blocking sockets and libevent. */
#include "controlplane/bus_channel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/byte_queue.h"
#include "controlplane/state_machine.h"

#define LENGTH_SIZE 4u
/* Read at once: more saves calls, less is fairer to what else the loop has to do. */
#define READ_SIZE (256u * 1024u)
#define READ_SIZE_GREETING 1024u
/* A peer that acknowledges nothing for so long is gone. */
#define USER_TIMEOUT_MS 15000
#define SEALED_GREETING_SIZE_MAX (BUS_GREETING_SIZE_MAX + BUS_OVERHEAD)
#define SEALED_FRAME_SIZE_MAX (BUS_FRAME_SIZE_MAX + BUS_OVERHEAD)

/*      CONNECTING -----> GREETING -----> ASKING -----> OPEN
 *          |  connected     |  both hellos  |  answer     |
 *          |                |  are here     |  yes        |
 *          |                +---------------+-------------+---> FLUSHING ---> DEAD
 *          |                       the owner closes, or no        |   sent, and the other side closed
 *          +------------------------------------------------------+---------> (failure, time-out)
 */
enum channel_state {
	CHANNEL_CONNECTING,
	CHANNEL_GREETING,
	CHANNEL_ASKING,
	CHANNEL_OPEN,
	CHANNEL_FLUSHING,
	CHANNEL_DEAD,
	CHANNEL_STATE_COUNT,
};

static const struct state_machine_kind channel_kind = {
	.name = "channel",
	.state_count = CHANNEL_STATE_COUNT,
	.state_names = { "connecting", "greeting", "asking", "open", "flushing", "dead" },
	.allowed = {
		[CHANNEL_CONNECTING] = STATE_MACHINE_TO(CHANNEL_GREETING) |
				       STATE_MACHINE_TO(CHANNEL_DEAD),
		[CHANNEL_GREETING] = STATE_MACHINE_TO(CHANNEL_ASKING) |
				     STATE_MACHINE_TO(CHANNEL_FLUSHING) |
				     STATE_MACHINE_TO(CHANNEL_DEAD),
		[CHANNEL_ASKING] = STATE_MACHINE_TO(CHANNEL_OPEN) |
				   STATE_MACHINE_TO(CHANNEL_FLUSHING) |
				   STATE_MACHINE_TO(CHANNEL_DEAD),
		[CHANNEL_OPEN] = STATE_MACHINE_TO(CHANNEL_FLUSHING) |
				 STATE_MACHINE_TO(CHANNEL_DEAD),
		[CHANNEL_FLUSHING] = STATE_MACHINE_TO(CHANNEL_DEAD),
	},
};

struct bus_channel {
	struct bus_channel_shared *shared;
	struct bus_channel *next;
	struct bus_channel **link; /* what points at this one */
	struct state_machine machine;
	bool is_opener;
	bool is_stranger; /* accepted, and nothing authentic has come yet */
	bool has_spoken;  /* but something has */
	bool is_busy;     /* a handler of its events runs: freed when that returns */
	int connect_error; /* errno; told from the loop */
	int fd;
	struct event *readable;
	struct event *writable;
	struct event *timeout;
	struct node_address address; /* of the other side */
	char service[BUS_SERVICE_NAME_SIZE];
	struct bus_peer peer; /* id 0 = not known yet */
	uint8_t hello[BUS_STREAM_HELLO_SIZE];
	struct bus_stream in;
	struct bus_stream out;
	struct byte_queue input;
	struct evbuffer *output;
	struct bus_channel_handlers handlers;
	void *context;
};

static bool is_in(const struct bus_channel *channel, enum channel_state state)
{
	return channel->machine.state == state;
}

static void move_to(struct bus_channel *channel, enum channel_state state)
{
	state_machine_move(&channel->machine, state, channel);
}

static void set_timeout(struct bus_channel *channel, uint32_t ms)
{
	const struct timeval time = { ms / 1000, (ms % 1000) * 1000 };

	event_add(channel->timeout, &time);
}

/* ---- the end ---- */

static void set_stranger(struct bus_channel *channel, bool is_stranger)
{
	channel->shared->stranger_count += is_stranger;
	channel->shared->stranger_count -= channel->is_stranger;
	channel->is_stranger = is_stranger;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

static void destroy(struct bus_channel *channel)
{
	*channel->link = channel->next;
	if (channel->next)
		channel->next->link = channel->link;
	channel->shared->channel_count--;
	set_stranger(channel, false);
	free_event(channel->readable);
	free_event(channel->writable);
	free_event(channel->timeout);
	if (channel->fd >= 0)
		close(channel->fd);
	if (channel->output)
		evbuffer_free(channel->output);
	byte_queue_fini(&channel->input);
	free(channel);
}

static void end(struct bus_channel *channel)
{
	if (!is_in(channel, CHANNEL_DEAD))
		move_to(channel, CHANNEL_DEAD);
	if (!channel->is_busy)
		destroy(channel);
}

/* A stranger's connection ended, or time was over, before it had said who it is. */
static void note_stranger(struct bus_channel *channel)
{
	struct bus_channel_shared *shared = channel->shared;

	if (channel->has_spoken)
		shared->untrusted(shared->context, BUS_TRUNCATED, &channel->address);
	else
		shared->unheard(shared->context, &channel->address);
}

/* Called by handlers of its events alone: the channel is busy. */
static void fail_with(struct bus_channel *channel, struct bus_close *close)
{
	bool is_told = is_in(channel, CHANNEL_FLUSHING) || is_in(channel, CHANNEL_DEAD);

	if (!is_told && channel->is_stranger)
		note_stranger(channel);
	end(channel);
	if (is_told || !channel->handlers.closed)
		return;
	close->peer = channel->peer;
	channel->handlers.closed(channel->context, channel, close);
}

static void fail(struct bus_channel *channel, enum bus_close_kind kind, int error)
{
	struct bus_close close = { .kind = kind, .error = error };

	fail_with(channel, &close);
}

static void fail_untrusted(struct bus_channel *channel, enum bus_result result)
{
	struct bus_close close = { .kind = BUS_CLOSE_UNTRUSTED, .result = result };

	fail_with(channel, &close);
}

void bus_channel_close(struct bus_channel *channel)
{
	if (!channel || is_in(channel, CHANNEL_FLUSHING) || is_in(channel, CHANNEL_DEAD))
		return;
	memset(&channel->handlers, 0, sizeof(channel->handlers));
	if (is_in(channel, CHANNEL_CONNECTING)) {
		end(channel);
		return;
	}
	move_to(channel, CHANNEL_FLUSHING);
	set_timeout(channel, BUS_FLUSH_MS);
	event_active(channel->writable, EV_WRITE, 1);
}

/* ---- sending ---- */

size_t bus_channel_pending(const struct bus_channel *channel)
{
	return evbuffer_get_length(channel->output);
}

static int queue_bytes(struct bus_channel *channel, const void *bytes, size_t size)
{
	if (evbuffer_add(channel->output, bytes, size) != 0)
		return -ENOMEM;
	event_add(channel->writable, NULL);
	return 0;
}

static void put_length(uint8_t *at, size_t size)
{
	uint32_t length = htonl((uint32_t)size);

	memcpy(at, &length, sizeof(length));
}

/* Seals a frame right into the output. */
static int queue_frame(struct bus_channel *channel, const void *bytes, size_t size)
{
	size_t sealed_size = size + BUS_OVERHEAD;
	struct evbuffer_iovec room;

	if (evbuffer_reserve_space(channel->output, (ev_ssize_t)(LENGTH_SIZE + sealed_size), &room,
				   1) != 1)
		return -ENOMEM;
	put_length(room.iov_base, sealed_size);
	bus_stream_seal(&channel->out, bytes, size, (uint8_t *)room.iov_base + LENGTH_SIZE);
	room.iov_len = LENGTH_SIZE + sealed_size;
	evbuffer_commit_space(channel->output, &room, 1);
	event_add(channel->writable, NULL);
	return 0;
}

int bus_channel_send(struct bus_channel *channel, const void *bytes, size_t size)
{
	assert(size > 0 && size <= BUS_FRAME_SIZE_MAX);
	if (!is_in(channel, CHANNEL_OPEN))
		return -ENOTCONN;
	if (bus_channel_pending(channel) + size > BUS_CHANNEL_PENDING_MAX)
		return -ENOBUFS;
	return queue_frame(channel, bytes, size);
}

void bus_channel_set_handlers(struct bus_channel *channel,
			      const struct bus_channel_handlers *handlers, void *context)
{
	channel->handlers = *handlers;
	channel->context = context;
}

const struct bus_peer *bus_channel_peer(const struct bus_channel *channel)
{
	return &channel->peer;
}

/* Whatever the socket takes; false when the connection is broken. */
static bool write_output(struct bus_channel *channel)
{
	int written;

	if (bus_channel_pending(channel) == 0)
		return true;
	written = evbuffer_write(channel->output, channel->fd);
	if (written < 0 && errno != EAGAIN && errno != EINTR)
		return false;
	if (written > 0)
		channel->shared->counters.bytes_out += (uint64_t)written;
	if (bus_channel_pending(channel) > 0)
		event_add(channel->writable, NULL);
	return true;
}

/* ---- the handshake ---- */

static int send_hello(struct bus_channel *channel)
{
	world_random_bytes(channel->shared->world, channel->hello, sizeof(channel->hello));
	return queue_bytes(channel, channel->hello, sizeof(channel->hello));
}

static void send_open(struct bus_channel *channel)
{
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_open open = { 0 };
	size_t size;

	channel->shared->introduce(channel->shared->context, &open.peer);
	strcpy(open.service, channel->service);
	size = bus_open_encode(&open, bytes);
	if (queue_frame(channel, bytes, size) != 0)
		fail(channel, BUS_CLOSE_NO_MEMORY, 0);
}

static int send_answer(struct bus_channel *channel, enum bus_refusal refusal, const char *detail)
{
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	struct bus_answer answer = { .refusal = refusal };
	size_t size;

	channel->shared->introduce(channel->shared->context, &answer.peer);
	snprintf(answer.detail, sizeof(answer.detail), "%s", detail);
	size = bus_answer_encode(&answer, bytes);
	return queue_frame(channel, bytes, size);
}

static void take_hello(struct bus_channel *channel)
{
	const uint8_t *theirs = byte_queue_bytes(&channel->input);
	const uint8_t *opener = channel->is_opener ? channel->hello : theirs;
	const uint8_t *acceptor = channel->is_opener ? theirs : channel->hello;
	struct bus_crypto *crypto = channel->shared->crypto;

	bus_stream_init(&channel->out, crypto, opener, acceptor, channel->is_opener);
	bus_stream_init(&channel->in, crypto, opener, acceptor, !channel->is_opener);
	byte_queue_drop(&channel->input, BUS_STREAM_HELLO_SIZE);
	move_to(channel, CHANNEL_ASKING);
	if (channel->is_opener)
		send_open(channel);
}

static void refuse(struct bus_channel *channel, enum bus_refusal refusal, const char *detail)
{
	channel->shared->counters.refused++;
	if (send_answer(channel, refusal, detail) == 0)
		bus_channel_close(channel);
	else
		end(channel);
}

static void take_open(struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	char detail[BUS_DETAIL_SIZE] = "";
	enum bus_refusal refusal;
	struct bus_open open;

	set_stranger(channel, false);
	if (bus_open_decode(&open, bytes, size) != 0) {
		refuse(channel, BUS_REFUSED_OTHER, "the request to open makes no sense");
		return;
	}
	channel->peer = open.peer;
	refusal = channel->shared->admit(channel->shared->context, channel, &open, detail);
	if (refusal != BUS_ACCEPTED) {
		refuse(channel, refusal, detail);
		return;
	}
	event_del(channel->timeout);
	channel->shared->counters.accepted++;
	if (send_answer(channel, BUS_ACCEPTED, "") == 0)
		move_to(channel, CHANNEL_OPEN);
	else
		fail(channel, BUS_CLOSE_NO_MEMORY, 0);
}

static void take_answer(struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	struct bus_close close = { .kind = BUS_CLOSE_REFUSED };
	struct bus_answer answer;

	if (bus_answer_decode(&answer, bytes, size) != 0) {
		fail(channel, BUS_CLOSE_MALFORMED, 0);
		return;
	}
	channel->peer = answer.peer;
	if (answer.refusal != BUS_ACCEPTED) {
		close.refusal = answer.refusal;
		strcpy(close.detail, answer.detail);
		fail_with(channel, &close);
		return;
	}
	event_del(channel->timeout);
	channel->shared->counters.opened++;
	move_to(channel, CHANNEL_OPEN);
	if (channel->handlers.opened)
		channel->handlers.opened(channel->context, channel);
}

/* ---- receiving ---- */

static void take_frame(struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	if (is_in(channel, CHANNEL_OPEN)) {
		if (channel->handlers.frame)
			channel->handlers.frame(channel->context, channel, bytes, size);
	} else if (channel->is_opener) {
		take_answer(channel, bytes, size);
	} else {
		take_open(channel, bytes, size);
	}
}

/* The one who opened is told why, if it can read it: by the answer's tags it sees whose fault it is. */
static void distrust(struct bus_channel *channel, enum bus_result result)
{
	channel->shared->untrusted(channel->shared->context, result, &channel->address);
	if (is_in(channel, CHANNEL_ASKING) && !channel->is_opener)
		refuse(channel, BUS_REFUSED_UNTRUSTED, bus_result_name(result));
	else
		fail_untrusted(channel, result);
}

static size_t sealed_size_max(const struct bus_channel *channel)
{
	return is_in(channel, CHANNEL_OPEN) ? SEALED_FRAME_SIZE_MAX : SEALED_GREETING_SIZE_MAX;
}

/* The size of the message that comes next; 0 while it is not known, or it is nonsense. */
static size_t sealed_size(const struct bus_channel *channel)
{
	uint32_t length;

	if (byte_queue_size(&channel->input) < LENGTH_SIZE)
		return 0;
	memcpy(&length, byte_queue_bytes(&channel->input), sizeof(length));
	return ntohl(length);
}

/* Handles the next message if it is whole; returns whether there may be another one. */
static bool take_message(struct bus_channel *channel)
{
	size_t size = sealed_size(channel), plain_size;
	enum bus_result result;

	if (byte_queue_size(&channel->input) < LENGTH_SIZE)
		return false;
	if (size <= BUS_OVERHEAD || size > sealed_size_max(channel)) {
		distrust(channel, BUS_TRUNCATED);
		return false;
	}
	if (byte_queue_size(&channel->input) < LENGTH_SIZE + size)
		return false;
	result = bus_stream_open(&channel->in, byte_queue_bytes(&channel->input) + LENGTH_SIZE,
				 size, channel->shared->plain, &plain_size);
	byte_queue_drop(&channel->input, LENGTH_SIZE + size);
	if (result == BUS_OK)
		take_frame(channel, channel->shared->plain, plain_size);
	else
		distrust(channel, result);
	return true;
}

static bool take_input(struct bus_channel *channel)
{
	switch (channel->machine.state) {
	case CHANNEL_GREETING:
		if (byte_queue_size(&channel->input) < BUS_STREAM_HELLO_SIZE)
			return false;
		take_hello(channel);
		return true;
	case CHANNEL_ASKING:
	case CHANNEL_OPEN:
		return take_message(channel);
	default:
		byte_queue_drop(&channel->input, byte_queue_size(&channel->input));
		return false;
	}
}

/* What to make room for: the rest of the message under way, or a good piece. */
static size_t read_size(const struct bus_channel *channel)
{
	size_t size, there = byte_queue_size(&channel->input);

	if (!is_in(channel, CHANNEL_OPEN))
		return READ_SIZE_GREETING;
	size = LENGTH_SIZE + sealed_size(channel);
	return size > there + READ_SIZE ? size - there : READ_SIZE;
}

static void read_input(struct bus_channel *channel)
{
	size_t size = read_size(channel);
	uint8_t *room = byte_queue_room(&channel->input, size);
	ssize_t got;

	if (!room) {
		fail(channel, BUS_CLOSE_NO_MEMORY, 0);
		return;
	}
	got = recv(channel->fd, room, size, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		fail(channel, BUS_CLOSE_BY_PEER, got < 0 ? errno : 0);
		return;
	}
	channel->has_spoken = true;
	channel->shared->counters.bytes_in += (uint64_t)got;
	byte_queue_added(&channel->input, (size_t)got);
	while (take_input(channel))
		;
}

/* ---- events ---- */

static void leave(struct bus_channel *channel)
{
	channel->is_busy = false;
	if (is_in(channel, CHANNEL_DEAD))
		destroy(channel);
}

static void on_readable(evutil_socket_t fd, short events, void *context)
{
	struct bus_channel *channel = context;

	(void)fd;
	(void)events;
	channel->is_busy = true;
	read_input(channel);
	leave(channel);
}

static void finish_connecting(struct bus_channel *channel)
{
	socklen_t size = sizeof(int);
	int error = 0;

	if (getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
		error = errno;
	if (error != 0) {
		fail(channel, BUS_CLOSE_UNREACHABLE, error);
		return;
	}
	move_to(channel, CHANNEL_GREETING);
	event_add(channel->readable, NULL);
	if (send_hello(channel) != 0)
		fail(channel, BUS_CLOSE_NO_MEMORY, 0);
}

/* All is sent: now the other side closes as well, or the time-out ends it. Closing at once would let
 * the kernel throw away what the other side has not read.
 */
static void finish_flushing(struct bus_channel *channel)
{
	if (bus_channel_pending(channel) == 0)
		shutdown(channel->fd, SHUT_WR);
}

static void on_writable(evutil_socket_t fd, short events, void *context)
{
	struct bus_channel *channel = context;

	(void)fd;
	(void)events;
	channel->is_busy = true;
	if (is_in(channel, CHANNEL_CONNECTING))
		finish_connecting(channel);
	else if (!write_output(channel))
		fail(channel, BUS_CLOSE_BY_PEER, errno);
	else if (is_in(channel, CHANNEL_FLUSHING))
		finish_flushing(channel);
	leave(channel);
}

static void on_timeout(evutil_socket_t fd, short events, void *context)
{
	struct bus_channel *channel = context;

	(void)fd;
	(void)events;
	channel->is_busy = true;
	if (channel->connect_error)
		fail(channel, BUS_CLOSE_UNREACHABLE, channel->connect_error);
	else
		fail(channel, BUS_CLOSE_TIMEOUT, 0);
	leave(channel);
}

/* ---- the beginning ---- */

static void set_socket_options(int fd)
{
	int on = 1, timeout_ms = USER_TIMEOUT_MS, idle_s = 5;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &idle_s, sizeof(idle_s));
}

/* Takes 'fd' in any case. NULL without memory. */
static struct bus_channel *create(struct bus_channel_shared *shared, int fd,
				  const struct node_address *address, bool is_opener)
{
	struct bus_channel *channel = calloc(1, sizeof(*channel));

	if (!channel) {
		close(fd);
		return NULL;
	}
	channel->shared = shared;
	channel->next = shared->channels;
	channel->link = &shared->channels;
	if (channel->next)
		channel->next->link = &channel->next;
	shared->channels = channel;
	shared->channel_count++;
	channel->fd = fd;
	channel->address = *address;
	channel->is_opener = is_opener;
	state_machine_init(&channel->machine, &channel_kind,
			   is_opener ? CHANNEL_CONNECTING : CHANNEL_GREETING);
	channel->output = evbuffer_new();
	channel->readable = event_new(shared->base, fd, EV_READ | EV_PERSIST, on_readable, channel);
	channel->writable = event_new(shared->base, fd, EV_WRITE, on_writable, channel);
	channel->timeout = evtimer_new(shared->base, on_timeout, channel);
	if (!channel->output || !channel->readable || !channel->writable || !channel->timeout) {
		destroy(channel);
		return NULL;
	}
	set_socket_options(fd);
	set_timeout(channel, BUS_HANDSHAKE_MS);
	return channel;
}

static struct sockaddr_in socket_address(uint32_t ipv4, uint16_t port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(ipv4) };
}

/* The owner does not have the channel yet, so it is told from the loop. */
static void fail_soon(struct bus_channel *channel, int error)
{
	channel->connect_error = error;
	set_timeout(channel, 0);
}

static void start_connecting(struct bus_channel *channel, uint32_t from_ipv4)
{
	struct sockaddr_in from = socket_address(from_ipv4, 0);
	struct sockaddr_in to =
		socket_address(node_address_to_ipv4(&channel->address), channel->address.port);

	if (from_ipv4 != 0)
		bind(channel->fd, (const struct sockaddr *)&from, sizeof(from));
	if (connect(channel->fd, (const struct sockaddr *)&to, sizeof(to)) == 0 ||
	    errno == EINPROGRESS)
		event_add(channel->writable, NULL);
	else
		fail_soon(channel, errno);
}

struct bus_channel *bus_channel_connect(struct bus_channel_shared *shared, uint32_t from_ipv4,
					const struct node_address *to, const char *service,
					const struct bus_channel_handlers *handlers, void *context)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct bus_channel *channel = fd >= 0 ? create(shared, fd, to, true) : NULL;

	if (!channel)
		return NULL;
	assert(strlen(service) < sizeof(channel->service));
	strcpy(channel->service, service);
	bus_channel_set_handlers(channel, handlers, context);
	start_connecting(channel, from_ipv4);
	return channel;
}

void bus_channel_accept(struct bus_channel_shared *shared, int fd, const struct node_address *from)
{
	struct bus_channel *channel = create(shared, fd, from, false);

	if (!channel)
		return;
	set_stranger(channel, true);
	event_add(channel->readable, NULL);
	if (send_hello(channel) != 0)
		destroy(channel);
}

/* New ones are put in front. */
void bus_channel_drop_stranger(struct bus_channel_shared *shared)
{
	struct bus_channel *oldest = NULL;

	for (struct bus_channel *channel = shared->channels; channel; channel = channel->next)
		oldest = channel->is_stranger ? channel : oldest;
	assert(oldest && !oldest->is_busy);
	destroy(oldest);
}

void bus_channel_destroy_all(struct bus_channel_shared *shared)
{
	while (shared->channels)
		destroy(shared->channels);
}
