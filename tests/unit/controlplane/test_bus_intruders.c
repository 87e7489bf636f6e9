/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections to the bus of nodes without the key, and of those that have it and make no sense. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/controlplane/bus_end.h"

/* ---- without the key ---- */

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

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_wrong_key_or_cluster_is_told_to_who_opens),
		UNIT_TEST(test_garbage_on_a_connection_is_refused),
		UNIT_TEST(test_a_stranger_that_breaks_off_is_counted),
		UNIT_TEST(test_strangers_do_not_keep_members_out),
		UNIT_TEST(test_an_authentic_request_that_makes_no_sense_is_refused),
		UNIT_TEST(test_a_frame_that_is_damaged_ends_the_channel),
		UNIT_TEST(test_an_authentic_answer_that_makes_no_sense_is_told),
		UNIT_TEST(test_a_reflected_request_is_no_answer),
		{ NULL, NULL },
	};

	return run_on_loop("bus_intruders", tests);
}
