/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus over real sockets of the loopback interface: datagrams, channels, refusals. */
#include "controlplane/bus_transport.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define LOOPBACK 0x7f000001u
#define WAIT_MS 10000u

static struct event_base *base;
static struct world world;

/* One node's bus, and what came to it. */
struct end {
	struct bus_transport *transport;
	struct log log;
	char *logged;
	size_t logged_size;
	uint64_t id;
	struct node_address address;
	enum bus_refusal admission;
	uint32_t datagrams;
	uint8_t datagram[BUS_PLAIN_SIZE_MAX];
	size_t datagram_size;
	/* the accepting side of the service "echo" */
	struct bus_channel *accepted;
	struct bus_peer accepted_peer;
	uint32_t accepted_closed;
	/* the opening side */
	struct bus_channel *opened;
	uint32_t opened_count, frames, closed;
	size_t frame_bytes;
	uint64_t frame_sum;
	struct bus_close close;
};

static void introduce(void *context, struct bus_peer *self)
{
	const struct end *end = context;

	*self = (struct bus_peer){ .id = end->id, .generation = 7, .control = end->address };
	snprintf(self->name, sizeof(self->name), "n%u", (unsigned)end->id);
}

static enum bus_refusal admit(void *context, const struct bus_open *open, char *detail)
{
	const struct end *end = context;

	(void)open;
	if (end->admission != BUS_ACCEPTED)
		strcpy(detail, "because the test\nsays so");
	return end->admission;
}

static void on_datagram(void *context, const struct node_address *from, const uint8_t *bytes,
			size_t size)
{
	struct end *end = context;

	(void)from;
	memcpy(end->datagram, bytes, size);
	end->datagram_size = size;
	end->datagrams++;
}

/* ---- the service "echo" ---- */

static void echo(void *context, struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	(void)context;
	CU_ASSERT_EQUAL(bus_channel_send(channel, bytes, size), 0);
}

static void echo_closed(void *context, struct bus_channel *channel, const struct bus_close *close)
{
	struct end *end = context;

	(void)channel;
	(void)close;
	end->accepted = NULL;
	end->accepted_closed++;
}

static enum bus_refusal accept_echo(void *context, struct bus_channel *channel,
				    const struct bus_peer *peer, char *detail)
{
	static const struct bus_channel_handlers handlers = { .frame = echo,
							      .closed = echo_closed };
	struct end *end = context;

	(void)detail;
	end->accepted = channel;
	end->accepted_peer = *peer;
	bus_channel_set_handlers(channel, &handlers, end);
	return BUS_ACCEPTED;
}

/* ---- the opening side ---- */

static void on_opened(void *context, struct bus_channel *channel)
{
	struct end *end = context;

	(void)channel;
	end->opened_count++;
}

static void on_frame(void *context, struct bus_channel *channel, const uint8_t *bytes, size_t size)
{
	struct end *end = context;

	(void)channel;
	end->frames++;
	end->frame_bytes += size;
	for (size_t i = 0; i < size; i += 997)
		end->frame_sum += bytes[i];
}

static void on_closed(void *context, struct bus_channel *channel, const struct bus_close *close)
{
	struct end *end = context;

	(void)channel;
	end->opened = NULL;
	end->closed++;
	end->close = *close;
}

static const struct bus_channel_handlers opening = { on_opened, on_frame, on_closed };

static void open_to(struct end *end, const struct node_address *to, const char *service)
{
	end->opened = bus_transport_open(end->transport, to, service, &opening, end);
	CU_ASSERT_PTR_NOT_NULL_FATAL(end->opened);
}

/* ---- the frame of a test ---- */

static void end_init(struct end *end, uint64_t id, const char *cluster, uint8_t key)
{
	struct bus_transport_options options = { .base = base,
						 .world = &world,
						 .log = &end->log,
						 .cluster_name = cluster,
						 .listen_ipv4 = LOOPBACK,
						 .introduce = introduce,
						 .admit = admit,
						 .datagram = on_datagram,
						 .context = end };
	struct bus_keys keys = { .count = 1 };
	char error[256];

	memset(end, 0, sizeof(*end));
	memset(keys.items[0].bytes, key, BUS_KEY_SIZE);
	options.keys = key ? &keys : NULL;
	end->id = id;
	end->log = (struct log){ open_memstream(&end->logged, &end->logged_size), LOG_LEVEL_INFO,
				 &world };
	CU_ASSERT_EQUAL_FATAL(bus_transport_create(&end->transport, &options, error, sizeof(error)),
			      0);
	bus_transport_serve(end->transport, "echo", accept_echo, end);
	end->address = node_address_ipv4(LOOPBACK, bus_transport_port(end->transport));
}

static void end_fini(struct end *end)
{
	bus_transport_destroy(end->transport);
	fclose(end->log.stream);
	free(end->logged);
}

static struct bus_counters counters_of(const struct end *end)
{
	struct bus_counters counters;

	bus_transport_counters(end->transport, &counters);
	return counters;
}

static bool run_until(bool (*is_done)(const struct end *end), const struct end *end)
{
	uint64_t until_ms = world_now_ms(&world) + WAIT_MS;

	while (!is_done(end)) {
		const struct timeval slice = { 0, 10000 };

		if (world_now_ms(&world) > until_ms)
			return false;
		event_base_loopexit(base, &slice);
		event_base_loop(base, EVLOOP_ONCE);
	}
	return true;
}

static void run_for_ms(uint32_t ms)
{
	const struct timeval time = { ms / 1000, (ms % 1000) * 1000 };

	event_base_loopexit(base, &time);
	event_base_dispatch(base);
}

static bool is_opened(const struct end *end)
{
	return end->opened_count > 0;
}

static bool is_closed(const struct end *end)
{
	return end->closed > 0;
}

static bool has_datagram(const struct end *end)
{
	return end->datagrams > 0;
}

static bool is_accepted_closed(const struct end *end)
{
	return end->accepted_closed > 0;
}

/* ---- datagrams ---- */

static void test_a_datagram_arrives_sealed(void)
{
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	bus_transport_send(a.transport, &b.address, (const uint8_t *)"hello", 5);
	CU_ASSERT_TRUE(run_until(has_datagram, &b));
	CU_ASSERT_EQUAL(b.datagram_size, 5);
	CU_ASSERT_EQUAL(memcmp(b.datagram, "hello", 5), 0);
	CU_ASSERT_EQUAL(counters_of(&a).datagram_bytes_out, 5 + BUS_OVERHEAD);
	CU_ASSERT_EQUAL(counters_of(&b).datagrams_in, 1);
	end_fini(&a);
	end_fini(&b);
}

/* Sends raw bytes to 'to' from a socket of its own. */
static void send_raw(const struct node_address *to, const void *bytes, size_t size)
{
	struct sockaddr_in socket_to = { .sin_family = AF_INET,
					 .sin_port = htons(to->port),
					 .sin_addr.s_addr = htonl(LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CU_ASSERT_EQUAL(
		sendto(fd, bytes, size, 0, (const struct sockaddr *)&socket_to, sizeof(socket_to)),
		(ssize_t)size);
	close(fd);
}

static uint32_t lines_with(const struct end *end, const char *text)
{
	uint32_t count = 0;

	fflush(end->log.stream);
	for (const char *at = end->logged; at && (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

static bool has_refused_101(const struct end *end)
{
	return counters_of(end).refused[BUS_TRUNCATED] >= 101;
}

static void test_refused_datagrams_are_counted_by_reason_and_logged_at_a_bounded_rate(void)
{
	struct bus_keys keys = { .count = 1 }, wrong = { .count = 1 };
	uint8_t session[BUS_SESSION_SIZE] = { 1 }, sealed[BUS_DATAGRAM_SIZE_MAX];
	struct bus_crypto *friend_crypto, *wrong_key, *wrong_cluster;
	struct bus_counters counters;
	struct end end;
	size_t size;

	end_init(&end, 1, "c", 5);
	memset(keys.items[0].bytes, 5, BUS_KEY_SIZE);
	memset(wrong.items[0].bytes, 6, BUS_KEY_SIZE);
	bus_crypto_create(&friend_crypto, "c", &keys, session);
	bus_crypto_create(&wrong_key, "c", &wrong, session);
	bus_crypto_create(&wrong_cluster, "d", &keys, session);

	size = bus_seal(friend_crypto, "x", 1, sealed);
	send_raw(&end.address, sealed, size);
	send_raw(&end.address, sealed, size); /* replayed */
	sealed[size - 1] ^= 1;
	send_raw(&end.address, sealed, size); /* forged */
	send_raw(&end.address, sealed, 10);   /* truncated */
	sealed[2] = 9;
	send_raw(&end.address, sealed, size); /* wrong version */
	size = bus_seal(wrong_key, "x", 1, sealed);
	send_raw(&end.address, sealed, size);
	size = bus_seal(wrong_cluster, "x", 1, sealed);
	send_raw(&end.address, sealed, size);
	for (int i = 0; i < 100; i++)
		send_raw(&end.address, "garbage", 7);
	CU_ASSERT_TRUE(run_until(has_refused_101, &end));

	counters = counters_of(&end);
	CU_ASSERT_EQUAL(counters.datagrams_in, 1);
	CU_ASSERT_EQUAL(counters.refused[BUS_REPLAYED], 1);
	CU_ASSERT_EQUAL(counters.refused[BUS_FORGED], 1);
	CU_ASSERT_EQUAL(counters.refused[BUS_TRUNCATED], 101);
	CU_ASSERT_EQUAL(counters.refused[BUS_WRONG_VERSION], 1);
	CU_ASSERT_EQUAL(counters.refused[BUS_WRONG_KEY], 1);
	CU_ASSERT_EQUAL(counters.refused[BUS_WRONG_CLUSTER], 1);
	CU_ASSERT_EQUAL(lines_with(&end, "reason=truncated"), LOG_LIMIT_LINES);
	CU_ASSERT_EQUAL(lines_with(&end, "reason=wrong_key from=127.0.0.1:"), 1);
	bus_crypto_destroy(friend_crypto);
	bus_crypto_destroy(wrong_key);
	bus_crypto_destroy(wrong_cluster);
	end_fini(&end);
}

/* ---- channels ---- */

static void test_frames_of_all_sizes_pass_in_order(void)
{
	static const size_t sizes[] = { 1, 100, 70000, BUS_FRAME_SIZE_MAX, 2, 1000000 };
	uint8_t *bytes = malloc(BUS_FRAME_SIZE_MAX);
	size_t total = 0;
	uint64_t sum = 0;
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	for (size_t i = 0; i < BUS_FRAME_SIZE_MAX; i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_EQUAL(bus_channel_send(a.opened, bytes, 1), -ENOTCONN);
	CU_ASSERT_TRUE_FATAL(run_until(is_opened, &a));
	CU_ASSERT_EQUAL(bus_channel_peer(a.opened)->id, 2);
	CU_ASSERT_STRING_EQUAL(b.accepted_peer.name, "n1");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		CU_ASSERT_EQUAL(bus_channel_send(a.opened, bytes, sizes[i]), 0);
		total += sizes[i];
		for (size_t at = 0; at < sizes[i]; at += 997)
			sum += bytes[at];
	}
	for (uint32_t i = 0; i < WAIT_MS / 20 && a.frame_bytes < total; i++)
		run_for_ms(20);
	CU_ASSERT_EQUAL(a.frames, sizeof(sizes) / sizeof(sizes[0]));
	CU_ASSERT_EQUAL(a.frame_bytes, total);
	CU_ASSERT_EQUAL(a.frame_sum, sum);
	CU_ASSERT_EQUAL(bus_channel_pending(a.opened), 0);
	end_fini(&a);
	end_fini(&b);
	free(bytes);
}

static void test_what_is_queued_is_sent_before_a_close(void)
{
	uint8_t *bytes = calloc(1, 3000000);
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE_FATAL(run_until(is_opened, &a));
	CU_ASSERT_EQUAL(bus_channel_send(a.opened, bytes, 3000000), 0);
	bus_channel_close(a.opened);
	CU_ASSERT_TRUE(run_until(is_accepted_closed, &b));
	CU_ASSERT_TRUE(counters_of(&b).channels.bytes_in > 3000000);
	CU_ASSERT_EQUAL(a.closed, 0);
	end_fini(&a);
	end_fini(&b);
	free(bytes);
}

static void test_more_than_the_bound_is_not_queued(void)
{
	uint8_t *bytes = calloc(1, BUS_FRAME_SIZE_MAX);
	int result = 0;
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE_FATAL(run_until(is_opened, &a));
	for (uint32_t i = 0; i < 20 && result == 0; i++)
		result = bus_channel_send(a.opened, bytes, BUS_FRAME_SIZE_MAX);
	CU_ASSERT_EQUAL(result, -ENOBUFS);
	CU_ASSERT_TRUE(bus_channel_pending(a.opened) <=
		       BUS_CHANNEL_PENDING_MAX + 20 * BUS_OVERHEAD);
	end_fini(&a);
	end_fini(&b);
	free(bytes);
}

static void test_an_unknown_service_and_a_refusal_are_told(void)
{
	char text[BUS_CLOSE_TEXT_SIZE];
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	open_to(&a, &b.address, "nonsense");
	CU_ASSERT_TRUE(run_until(is_closed, &a));
	CU_ASSERT_EQUAL(a.close.kind, BUS_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(a.close.refusal, BUS_REFUSED_SERVICE);
	CU_ASSERT_EQUAL(a.close.peer.id, 2);
	a.closed = 0;
	b.admission = BUS_REFUSED_NOT_MEMBER;
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE(run_until(is_closed, &a));
	CU_ASSERT_STRING_EQUAL(bus_close_text(&a.close, text),
			       "refused (not_member): because the test?says so");
	CU_ASSERT_EQUAL(counters_of(&b).channels.refused, 2);
	CU_ASSERT_EQUAL(b.accepted_closed, 0);
	end_fini(&a);
	end_fini(&b);
}

/* The one who opens learns whose fault it is, and both sides count it. */
static void expect_untrusted(const char *cluster, uint8_t key, enum bus_result result)
{
	struct end a, b;

	end_init(&a, 1, cluster, key);
	end_init(&b, 2, "c", 5);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE(run_until(is_closed, &a));
	CU_ASSERT_EQUAL(a.close.kind, BUS_CLOSE_UNTRUSTED);
	CU_ASSERT_EQUAL(a.close.result, result);
	CU_ASSERT_EQUAL(counters_of(&a).refused[result], 1);
	CU_ASSERT_EQUAL(counters_of(&b).refused[result], 1);
	CU_ASSERT_PTR_NULL(b.accepted);
	end_fini(&a);
	end_fini(&b);
}

static void test_a_wrong_key_or_cluster_is_told_to_who_opens(void)
{
	expect_untrusted("c", 6, BUS_WRONG_KEY);
	expect_untrusted("c", 0, BUS_WRONG_KEY);
	expect_untrusted("d", 5, BUS_WRONG_CLUSTER);
}

static void test_an_insecure_bus_works_without_keys(void)
{
	struct end a, b;

	end_init(&a, 1, "c", 0);
	end_init(&b, 2, "c", 0);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE_FATAL(run_until(is_opened, &a));
	CU_ASSERT_EQUAL(bus_channel_send(a.opened, "x", 1), 0);
	run_for_ms(50);
	CU_ASSERT_EQUAL(a.frames, 1);
	end_fini(&a);
	end_fini(&b);
}

static void test_nobody_there_is_told(void)
{
	struct node_address nobody = node_address_ipv4(LOOPBACK, 1);
	struct end a;

	end_init(&a, 1, "c", 5);
	open_to(&a, &nobody, "echo");
	CU_ASSERT_EQUAL(a.closed, 0);
	CU_ASSERT_TRUE(run_until(is_closed, &a));
	CU_ASSERT_EQUAL(a.close.kind, BUS_CLOSE_UNREACHABLE);
	CU_ASSERT_EQUAL(a.close.error, ECONNREFUSED);
	end_fini(&a);
}

/* Connects as anybody could, says 'bytes', and waits to be thrown out. */
static void intrude(struct end *end, const void *bytes, size_t size)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(end->address.port),
				  .sin_addr.s_addr = htonl(LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char answer[4096];
	ssize_t got;

	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	CU_ASSERT_EQUAL(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
	for (uint32_t i = 0; i < 100; i++) {
		run_for_ms(10);
		got = recv(fd, answer, sizeof(answer), MSG_DONTWAIT);
		if (got == 0 || (got < 0 && errno != EAGAIN))
			break;
	}
	close(fd);
	run_for_ms(20);
}

static void test_garbage_on_a_connection_is_refused(void)
{
	uint8_t bytes[2000];
	struct end end;

	end_init(&end, 1, "c", 5);
	memset(bytes, 0xff, sizeof(bytes)); /* a length beyond all bounds */
	intrude(&end, bytes, sizeof(bytes));
	CU_ASSERT_EQUAL(counters_of(&end).refused[BUS_TRUNCATED], 1);
	memset(bytes, 0, sizeof(bytes)); /* a length of 0 */
	intrude(&end, bytes, 20);
	CU_ASSERT_EQUAL(counters_of(&end).refused[BUS_TRUNCATED], 2);
	bytes[BUS_STREAM_HELLO_SIZE + 3] = BUS_OVERHEAD + 1; /* a whole message, of nothing */
	intrude(&end, bytes, BUS_STREAM_HELLO_SIZE + 4 + BUS_OVERHEAD + 1);
	CU_ASSERT_EQUAL(counters_of(&end).refused[BUS_TRUNCATED], 3);
	CU_ASSERT_PTR_NULL(end.accepted);
	end_fini(&end);
}

static int connect_to(const struct end *end)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_port = htons(end->address.port),
				  .sin_addr.s_addr = htonl(LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
	run_for_ms(1);
	return fd;
}

static bool has_refused_2(const struct end *end)
{
	return counters_of(end).refused[BUS_TRUNCATED] == 2;
}

static bool has_refused_connection(const struct end *end)
{
	return counters_of(end).connections_refused == 1;
}

static void test_a_stranger_that_breaks_off_is_counted(void)
{
	uint8_t bytes[BUS_STREAM_HELLO_SIZE + 4 + BUS_OVERHEAD] = { 0 };
	struct end end;
	int fd;

	end_init(&end, 1, "c", 5);
	bytes[BUS_STREAM_HELLO_SIZE + 3] = BUS_OVERHEAD + 1;
	fd = connect_to(&end);
	CU_ASSERT_EQUAL(send(fd, bytes, 1, 0), 1); /* not even a hello */
	close(fd);
	fd = connect_to(&end);
	CU_ASSERT_EQUAL(send(fd, bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	close(fd); /* in the middle of a message */
	CU_ASSERT_TRUE(run_until(has_refused_2, &end));
	CU_ASSERT_EQUAL(counters_of(&end).connections_refused, 0);
	close(connect_to(&end)); /* and without a word */
	CU_ASSERT_TRUE(run_until(has_refused_connection, &end));
	CU_ASSERT_EQUAL(lines_with(&end, "a connection that said nothing was closed"), 1);
	end_fini(&end);
}

/* Without the key nobody can take the places of those who have it. */
static void test_strangers_do_not_keep_members_out(void)
{
	int strangers[BUS_STRANGER_COUNT_MAX + 36];
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	for (uint32_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		strangers[i] = connect_to(&b);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE(run_until(is_opened, &a));
	CU_ASSERT_EQUAL(counters_of(&b).channels.accepted, 1);
	CU_ASSERT(counters_of(&b).connections_refused >= 36);
	CU_ASSERT_EQUAL(lines_with(&b, "too many connections of strangers"), LOG_LIMIT_LINES);
	/* a member's channel is no stranger's, however many come now */
	for (uint32_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		close(strangers[i]);
		strangers[i] = connect_to(&b);
	}
	CU_ASSERT_EQUAL(a.closed + b.accepted_closed, 0);
	CU_ASSERT_PTR_NOT_NULL(b.accepted);
	for (uint32_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		close(strangers[i]);
	end_fini(&a);
	end_fini(&b);
}

static void test_a_peer_that_goes_away_is_told_to_both_owners(void)
{
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	open_to(&a, &b.address, "echo");
	CU_ASSERT_TRUE_FATAL(run_until(is_opened, &a));
	bus_channel_send(a.opened, "x", 1);
	run_for_ms(50);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.accepted);
	bus_channel_close(b.accepted);
	CU_ASSERT_TRUE(run_until(is_closed, &a));
	CU_ASSERT_EQUAL(a.close.kind, BUS_CLOSE_BY_PEER);
	CU_ASSERT_EQUAL(b.accepted_closed, 0);
	open_to(&a, &b.address, "echo");
	a.opened_count = a.closed = 0;
	CU_ASSERT_TRUE_FATAL(run_until(is_opened, &a));
	bus_transport_destroy(a.transport);
	a.transport = NULL;
	CU_ASSERT_TRUE(run_until(is_accepted_closed, &b));
	end_fini(&a);
	end_fini(&b);
}

/* ---- peers that have the key, and make no sense ---- */

/* A connection by hand, whose messages are authentic. */
struct member {
	int fd;
	struct bus_crypto *crypto;
	uint8_t hello[BUS_STREAM_HELLO_SIZE];
	struct bus_stream out;
};

/* Says and hears hello over 'fd'; messages can be sent from now on. */
static void member_init(struct member *member, int fd, bool is_opener)
{
	uint8_t session[BUS_SESSION_SIZE] = { 3 }, theirs[BUS_STREAM_HELLO_SIZE];
	struct bus_keys keys = { .count = 1 };
	ssize_t got = -1;

	memset(member, 0, sizeof(*member));
	member->fd = fd;
	memset(member->hello, 9, sizeof(member->hello));
	memset(keys.items[0].bytes, 5, BUS_KEY_SIZE);
	CU_ASSERT_EQUAL_FATAL(bus_crypto_create(&member->crypto, "c", &keys, session), 0);
	CU_ASSERT_EQUAL(send(fd, member->hello, sizeof(member->hello), 0),
			(ssize_t)sizeof(member->hello));
	for (uint32_t i = 0; i < WAIT_MS && got != (ssize_t)sizeof(theirs); i++) {
		run_for_ms(1);
		got = recv(fd, theirs, sizeof(theirs), MSG_DONTWAIT);
	}
	CU_ASSERT_EQUAL_FATAL(got, (ssize_t)sizeof(theirs));
	bus_stream_init(&member->out, member->crypto, is_opener ? member->hello : theirs,
			is_opener ? theirs : member->hello, is_opener);
}

static void member_fini(struct member *member)
{
	close(member->fd);
	bus_crypto_destroy(member->crypto);
}

static void member_send(struct member *member, const void *bytes, size_t size)
{
	uint8_t sealed[4 + BUS_GREETING_SIZE_MAX + BUS_OVERHEAD];
	uint32_t length = htonl((uint32_t)(size + BUS_OVERHEAD));

	memcpy(sealed, &length, sizeof(length));
	bus_stream_seal(&member->out, bytes, size, sealed + 4);
	CU_ASSERT_EQUAL(send(member->fd, sealed, 4 + size + BUS_OVERHEAD, MSG_NOSIGNAL),
			(ssize_t)(4 + size + BUS_OVERHEAD));
}

static struct bus_open request_of_n7(void)
{
	return (struct bus_open){ .peer = { .id = node_id_of_name("n7"),
					    .generation = 1,
					    .name = "n7",
					    .control = node_address_ipv4(LOOPBACK, 7) },
				  .service = "echo" };
}

static bool has_refused_opener(const struct end *end)
{
	return counters_of(end).channels.refused == 1;
}

static bool has_accepted(const struct end *end)
{
	return end->accepted != NULL;
}

static void test_an_authentic_request_that_makes_no_sense_is_refused(void)
{
	struct bus_open open = request_of_n7();
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	size_t size = bus_open_encode(&open, bytes);
	const struct {
		const void *bytes;
		size_t size;
	} requests[] = { { "?", 1 }, { bytes, size - 1 } };

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		struct member member;
		struct end end;

		end_init(&end, 1, "c", 5);
		member_init(&member, connect_to(&end), true);
		member_send(&member, requests[i].bytes, requests[i].size);
		CU_ASSERT_TRUE(run_until(has_refused_opener, &end));
		CU_ASSERT_PTR_NULL(end.accepted);
		CU_ASSERT_EQUAL(counters_of(&end).channels.accepted, 0);
		CU_ASSERT_EQUAL(counters_of(&end).refused[BUS_TRUNCATED], 0);
		member_fini(&member);
		run_for_ms(5);
		end_fini(&end);
	}
}

/* The accepting side of the service is told of a frame that nobody can have sent. */
static void test_a_frame_that_is_damaged_ends_the_channel(void)
{
	struct bus_open open = request_of_n7();
	uint8_t bytes[BUS_GREETING_SIZE_MAX];
	size_t size = bus_open_encode(&open, bytes);
	struct member member;
	struct end end;

	end_init(&end, 1, "c", 5);
	member_init(&member, connect_to(&end), true);
	member_send(&member, bytes, size);
	CU_ASSERT_TRUE_FATAL(run_until(has_accepted, &end));
	CU_ASSERT_STRING_EQUAL(end.accepted_peer.name, "n7");
	member.out.counter += 1; /* as if one had been left out */
	member_send(&member, "x", 1);
	CU_ASSERT_TRUE(run_until(is_accepted_closed, &end));
	CU_ASSERT_EQUAL(
		counters_of(&end).refused[BUS_FORGED] + counters_of(&end).refused[BUS_REPLAYED], 1);
	member_fini(&member);
	end_fini(&end);
}

/* Listens in the place of a node; the connection that comes. */
static int accept_from(struct end *end, const char *service)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;
	socklen_t size = sizeof(name);
	struct node_address address;

	CU_ASSERT_FATAL(bind(listener, (struct sockaddr *)&name, size) == 0 &&
			listen(listener, 1) == 0 &&
			getsockname(listener, (struct sockaddr *)&name, &size) == 0);
	address = node_address_ipv4(LOOPBACK, ntohs(name.sin_port));
	open_to(end, &address, service);
	fd = accept(listener, NULL, NULL);
	CU_ASSERT_FATAL(fd >= 0);
	close(listener);
	return fd;
}

static void test_an_authentic_answer_that_makes_no_sense_is_told(void)
{
	char text[BUS_CLOSE_TEXT_SIZE];
	struct member member;
	struct end end;

	end_init(&end, 1, "c", 5);
	member_init(&member, accept_from(&end, "echo"), false);
	member_send(&member, "?", 1);
	CU_ASSERT_TRUE(run_until(is_closed, &end));
	CU_ASSERT_EQUAL(end.close.kind, BUS_CLOSE_MALFORMED);
	CU_ASSERT_EQUAL(end.opened_count, 0);
	CU_ASSERT_STRING_EQUAL(bus_close_text(&end.close, text),
			       "its answer makes no sense: is it of another version?");
	member_fini(&member);
	end_fini(&end);
}

/* The opener must not take what it said itself for the other side's answer. */
static void test_a_reflected_request_is_no_answer(void)
{
	uint8_t bytes[4096];
	ssize_t size = 0;
	struct end end;
	int fd;

	end_init(&end, 1, "c", 5);
	fd = accept_from(&end, "echo");
	for (uint32_t i = 0; i < WAIT_MS && size <= 0; i++) {
		run_for_ms(1);
		size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	}
	CU_ASSERT_EQUAL(size, BUS_STREAM_HELLO_SIZE);
	CU_ASSERT_EQUAL(send(fd, bytes, (size_t)size, 0), size);
	for (uint32_t i = 0, more = 0; i < WAIT_MS && !more; i++) {
		run_for_ms(1);
		size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		more = size > 0;
	}
	CU_ASSERT_FATAL(size > 0);
	CU_ASSERT_EQUAL(send(fd, bytes, (size_t)size, 0), size);
	CU_ASSERT_TRUE(run_until(is_closed, &end));
	CU_ASSERT_EQUAL(end.close.kind, BUS_CLOSE_UNTRUSTED);
	CU_ASSERT_EQUAL(end.close.result, BUS_FORGED);
	CU_ASSERT_EQUAL(end.opened_count, 0);
	close(fd);
	end_fini(&end);
}

/* ---- bounds ---- */

static void test_a_datagram_beyond_the_bound_is_refused(void)
{
	uint8_t session[BUS_SESSION_SIZE] = { 1 };
	uint8_t *plain = calloc(1, BUS_PLAIN_SIZE_MAX), *sealed = calloc(1, 65536);
	struct bus_keys keys = { .count = 1 };
	struct bus_crypto *crypto;
	struct end end;
	size_t size;

	end_init(&end, 1, "c", 5);
	memset(keys.items[0].bytes, 5, BUS_KEY_SIZE);
	CU_ASSERT_EQUAL_FATAL(bus_crypto_create(&crypto, "c", &keys, session), 0);
	size = bus_seal(crypto, plain, BUS_PLAIN_SIZE_MAX, sealed);
	send_raw(&end.address, sealed, size + 1);
	send_raw(&end.address, sealed, size + 100);
	send_raw(&end.address, sealed, size);
	CU_ASSERT_TRUE(run_until(has_datagram, &end));
	CU_ASSERT_EQUAL(end.datagram_size, BUS_PLAIN_SIZE_MAX);
	CU_ASSERT_EQUAL(counters_of(&end).refused[BUS_TRUNCATED], 2);
	CU_ASSERT_EQUAL(counters_of(&end).datagrams_in, 1);
	bus_crypto_destroy(crypto);
	end_fini(&end);
	free(plain);
	free(sealed);
}

static void test_a_channel_closed_while_it_connects_is_not_heard_of_again(void)
{
	struct end a, b;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	open_to(&a, &b.address, "echo");
	bus_channel_close(a.opened);
	run_for_ms(30);
	CU_ASSERT_EQUAL(a.opened_count + a.closed, 0);
	CU_ASSERT_EQUAL(counters_of(&b).channels.accepted, 0);
	end_fini(&a);
	end_fini(&b);
}

static void test_channels_and_services_are_bounded(void)
{
	struct end a, b;
	uint32_t count = 0;

	end_init(&a, 1, "c", 5);
	end_init(&b, 2, "c", 5);
	while (bus_transport_open(a.transport, &b.address, "echo", &opening, &a))
		count++;
	CU_ASSERT_EQUAL(count, BUS_CHANNEL_COUNT_MAX);
	for (count = 1; bus_transport_serve(a.transport, "more", accept_echo, &a) == 0; count++)
		;
	CU_ASSERT_EQUAL(count, BUS_SERVICE_COUNT_MAX);
	CU_ASSERT_EQUAL(bus_transport_serve(a.transport, "more", accept_echo, &a), -ENOSPC);
	end_fini(&a);
	end_fini(&b);
}

static void test_each_end_has_its_words(void)
{
	static const struct {
		struct bus_close close;
		const char *text;
	} ends[] = {
		{ { .kind = BUS_CLOSE_UNREACHABLE, .error = EHOSTUNREACH },
		  "not reached: No route to host" },
		{ { .kind = BUS_CLOSE_BY_PEER }, "closed by the other side" },
		{ { .kind = BUS_CLOSE_BY_PEER, .error = ECONNRESET },
		  "closed by the other side: Connection reset by peer" },
		{ { .kind = BUS_CLOSE_TIMEOUT }, "no answer within 5000 ms" },
		{ { .kind = BUS_CLOSE_REFUSED, .refusal = BUS_REFUSED_BUSY, .detail = "full" },
		  "refused (busy): full" },
		{ { .kind = BUS_CLOSE_NO_MEMORY }, "out of memory" },
	};
	char text[BUS_CLOSE_TEXT_SIZE];

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		CU_ASSERT_STRING_EQUAL(bus_close_text(&ends[i].close, text), ends[i].text);
}

static void test_a_taken_port_says_what_to_do(void)
{
	struct bus_transport_options options = {
		.base = base, .world = &world, .cluster_name = "c", .listen_ipv4 = LOOPBACK
	};
	struct bus_transport *second = NULL;
	char error[256], expected[256];
	struct end end;

	end_init(&end, 1, "c", 5);
	options.log = &end.log;
	options.listen_port = bus_transport_port(end.transport);
	CU_ASSERT_EQUAL(bus_transport_create(&second, &options, error, sizeof(error)), -EADDRINUSE);
	snprintf(expected, sizeof(expected),
		 "cluster address 127.0.0.1:%u is in use: is another godwitd running? Set "
		 "cluster.listen to another port",
		 options.listen_port);
	CU_ASSERT_STRING_EQUAL(error, expected);
	end_fini(&end);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_datagram_arrives_sealed),
		UNIT_TEST(
			test_refused_datagrams_are_counted_by_reason_and_logged_at_a_bounded_rate),
		UNIT_TEST(test_frames_of_all_sizes_pass_in_order),
		UNIT_TEST(test_what_is_queued_is_sent_before_a_close),
		UNIT_TEST(test_more_than_the_bound_is_not_queued),
		UNIT_TEST(test_an_unknown_service_and_a_refusal_are_told),
		UNIT_TEST(test_a_wrong_key_or_cluster_is_told_to_who_opens),
		UNIT_TEST(test_an_insecure_bus_works_without_keys),
		UNIT_TEST(test_nobody_there_is_told),
		UNIT_TEST(test_garbage_on_a_connection_is_refused),
		UNIT_TEST(test_a_stranger_that_breaks_off_is_counted),
		UNIT_TEST(test_strangers_do_not_keep_members_out),
		UNIT_TEST(test_a_peer_that_goes_away_is_told_to_both_owners),
		UNIT_TEST(test_an_authentic_request_that_makes_no_sense_is_refused),
		UNIT_TEST(test_a_frame_that_is_damaged_ends_the_channel),
		UNIT_TEST(test_an_authentic_answer_that_makes_no_sense_is_told),
		UNIT_TEST(test_a_reflected_request_is_no_answer),
		UNIT_TEST(test_a_datagram_beyond_the_bound_is_refused),
		UNIT_TEST(test_a_channel_closed_while_it_connects_is_not_heard_of_again),
		UNIT_TEST(test_channels_and_services_are_bounded),
		UNIT_TEST(test_each_end_has_its_words),
		UNIT_TEST(test_a_taken_port_says_what_to_do),
		{ NULL, NULL },
	};
	int code;

	world_os_init(&world);
	base = event_base_new();
	code = unit_run("bus_transport", tests);
	event_base_free(base);
	return code;
}
