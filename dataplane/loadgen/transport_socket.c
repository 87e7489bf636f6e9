/* SPDX-License-Identifier: BSD-3-Clause */
/* Bursts of recvmmsg and sendmmsg over connected sockets. */
#include "dataplane/loadgen/transport_socket.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BURST TRANSPORT_BURST_MAX
#define PAYLOAD_SIZE_MAX 9000u
#define SOCKET_BUFFER_SIZE (4 << 20)

/* Sleeping shorter than this takes longer than asked. */
#define REST_MICROSECONDS_MIN 100u

struct transport_socket {
	struct transport transport;
	struct in_addr server;
	uint32_t flow_count;
	uint32_t flow_next; /* the socket to read first, so that none starves */
	uint32_t out_count; /* buffers of 'out' handed out */
	struct pollfd sockets[TRANSPORT_FLOW_COUNT_MAX];
	struct mmsghdr messages[BURST];
	struct iovec vectors[BURST];
	uint8_t in[BURST][PAYLOAD_SIZE_MAX];
	uint8_t out[BURST][PAYLOAD_SIZE_MAX];
};

static struct transport_socket *socket_of(struct transport *transport)
{
	return (struct transport_socket *)transport;
}

static int open_socket(struct transport_socket *socket_transport, uint32_t flow)
{
	const int size = SOCKET_BUFFER_SIZE;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* the kernel grants what it may; less only means loss under bursts, which is counted */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	socket_transport->sockets[flow] = (struct pollfd){ .fd = fd, .events = POLLIN };
	socket_transport->flow_count++;
	return 0;
}

static int open_flow(struct transport *transport, uint32_t flow, uint16_t server_port, char *error,
		     uint32_t error_size)
{
	struct transport_socket *s = socket_of(transport);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr = s->server,
		.sin_port = htons(server_port),
	};
	int result = 0;

	assert(flow <= s->flow_count);
	if (flow == s->flow_count)
		result = open_socket(s, flow);
	if (result == 0 &&
	    connect(s->sockets[flow].fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		result = -errno;
	if (result < 0)
		snprintf(error, error_size, "cannot open a socket to port %u: %s", server_port,
			 strerror(-result));
	return result;
}

/* Flows know their worker's port. */
static int meet_server(struct transport *transport, uint16_t server_workers, char *error,
		       uint32_t error_size)
{
	(void)transport;
	(void)server_workers;
	(void)error;
	(void)error_size;
	return 0;
}

static uint32_t acquire(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count)
{
	struct transport_socket *s = socket_of(transport);
	uint32_t i;

	for (i = 0; i < count && s->out_count < BURST; i++) {
		datagrams[i].payload = s->out[s->out_count++];
		datagrams[i].size = PAYLOAD_SIZE_MAX;
	}
	return i;
}

/* Sends neighbours of one flow by one call. What the kernel refuses is lost as on a network, and
 * counted.
 */
static void send_run(struct transport_socket *s, const struct transport_datagram *datagrams,
		     uint32_t count)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < count; i++) {
		s->vectors[i] = (struct iovec){ datagrams[i].payload, datagrams[i].size };
		s->messages[i].msg_hdr =
			(struct msghdr){ .msg_iov = &s->vectors[i], .msg_iovlen = 1 };
	}
	while (done < count) {
		int sent = sendmmsg(s->sockets[datagrams->flow].fd, s->messages + done,
				    count - done, 0);

		if (sent > 0) {
			done += (uint32_t)sent;
			continue;
		}
		/* an ICMP error of an earlier datagram is reported once by the next call */
		if (errno == EINTR || errno == ECONNREFUSED)
			continue;
		s->transport.send_errors += count - done;
		return;
	}
}

static void send_datagrams(struct transport *transport, struct transport_datagram *datagrams,
			   uint32_t count)
{
	struct transport_socket *s = socket_of(transport);
	uint32_t from = 0;

	for (uint32_t i = 1; i <= count; i++) {
		if (i < count && datagrams[i].flow == datagrams[from].flow)
			continue;
		send_run(s, datagrams + from, i - from);
		from = i;
	}
	s->out_count -= count;
}

static uint32_t receive_flow(struct transport_socket *s, uint32_t flow,
			     struct transport_datagram *datagrams, uint32_t count)
{
	int received;

	for (uint32_t i = 0; i < count; i++) {
		s->vectors[i] = (struct iovec){ s->in[i], PAYLOAD_SIZE_MAX };
		s->messages[i].msg_hdr =
			(struct msghdr){ .msg_iov = &s->vectors[i], .msg_iovlen = 1 };
	}
	received = recvmmsg(s->sockets[flow].fd, s->messages, count, MSG_DONTWAIT, NULL);
	for (int i = 0; i < received; i++) {
		datagrams[i].payload = s->in[i];
		datagrams[i].size = s->messages[i].msg_len;
		datagrams[i].flow = flow;
	}
	return received > 0 ? (uint32_t)received : 0;
}

/* The datagrams of one flow: each call starts with the next one. */
static uint32_t receive(struct transport *transport, struct transport_datagram *datagrams,
			uint32_t count)
{
	struct transport_socket *s = socket_of(transport);
	uint32_t received = 0;

	for (uint32_t tried = 0; tried < s->flow_count && received == 0; tried++) {
		s->flow_next = s->flow_next + 1 < s->flow_count ? s->flow_next + 1 : 0;
		received = receive_flow(s, s->flow_next, datagrams, count);
	}
	return received;
}

/* Received payloads live in 'in' until the next receive; of acquired ones only the last were not
 * sent.
 */
static void release(struct transport *transport, struct transport_datagram *datagrams,
		    uint32_t count)
{
	struct transport_socket *s = socket_of(transport);

	if (count && datagrams->payload >= s->out[0] &&
	    datagrams->payload < s->out[0] + sizeof(s->out))
		s->out_count -= count;
}

static void rest(struct transport *transport, uint32_t microseconds)
{
	struct transport_socket *s = socket_of(transport);
	struct timespec time = { .tv_nsec = (long)microseconds * 1000 };

	if (microseconds >= REST_MICROSECONDS_MIN)
		ppoll(s->sockets, s->flow_count, &time, NULL);
}

static void destroy(struct transport *transport)
{
	struct transport_socket *s = socket_of(transport);

	if (!s)
		return;
	for (uint32_t i = 0; i < s->flow_count; i++)
		close(s->sockets[i].fd);
	free(s);
}

struct transport *transport_socket_create(const struct in_addr *server)
{
	static const struct transport_ops ops = {
		.open_flow = open_flow,
		.meet_server = meet_server,
		.acquire = acquire,
		.send = send_datagrams,
		.receive = receive,
		.release = release,
		.rest = rest,
		.destroy = destroy,
	};
	struct transport_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->transport.ops = &ops;
	s->transport.payload_size_max = PAYLOAD_SIZE_MAX;
	s->server = *server;
	return &s->transport;
}
