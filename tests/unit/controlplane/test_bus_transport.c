/* SPDX-License-Identifier: BSD-3-Clause */
/* The bus over real sockets of the loopback interface: datagrams, channels, their bounds. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/controlplane/bus_end.h"

/* ---- datagrams ---- */

static bool has_datagram(const struct end *end)
{
	return end->datagrams > 0;
}

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
		UNIT_TEST(test_a_datagram_beyond_the_bound_is_refused),
		UNIT_TEST(test_frames_of_all_sizes_pass_in_order),
		UNIT_TEST(test_what_is_queued_is_sent_before_a_close),
		UNIT_TEST(test_more_than_the_bound_is_not_queued),
		UNIT_TEST(test_an_unknown_service_and_a_refusal_are_told),
		UNIT_TEST(test_an_insecure_bus_works_without_keys),
		UNIT_TEST(test_nobody_there_is_told),
		UNIT_TEST(test_a_peer_that_goes_away_is_told_to_both_owners),
		UNIT_TEST(test_a_channel_closed_while_it_connects_is_not_heard_of_again),
		UNIT_TEST(test_channels_and_services_are_bounded),
		UNIT_TEST(test_each_end_has_its_words),
		UNIT_TEST(test_a_taken_port_says_what_to_do),
		{ NULL, NULL },
	};

	return run_on_loop("bus_transport", tests);
}
