/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames of every kind through one core: who is answered, how long, and which counter tells. */
#include <string.h>

#include "dataplane/core_burst.h"
#include "dataplane/packet_build.h"
#include "dataplane/wire_hello.h"
#include "tests/unit/unit.h"
#include "tests/unit/unit_node.h"

static const uint8_t peer_mac[6] = { 0x02, 0x47, 0, 0, 0, 2 };

static struct unit_client peer(uint32_t number)
{
	return (struct unit_client){ .ipv4 = 0x0a010200 + number % 200,
				     .port = (uint16_t)(1024 + number) };
}

static void datagram_begin(struct unit_datagram *datagram, const struct wire_header *header,
			   size_t body_size)
{
	memset(datagram, 0, sizeof(*datagram));
	wire_header_write(datagram->payload, header);
	datagram->size = WIRE_HEADER_SIZE + body_size;
}

/* Sends one frame; returns the size of the answer in 'answer' (2048 bytes), 0 when there is none. */
static size_t send_frame(struct unit_node *node, const uint8_t *frame, size_t size, uint8_t *answer)
{
	const uint8_t *frames[1] = { frame };

	unit_node_receive(node, 0, frames, &size, 1);
	CU_ASSERT_TRUE(node->reply_count <= 1);
	return unit_node_take(node, answer);
}

/* ---- sessions ---- */

static void hello_takes_two_rounds_and_tells_the_limits(void)
{
	const struct unit_node_options options = { .partition_count = 128 };
	struct wire_header header = { .kind = WIRE_HELLO, .sequence = 5 };
	struct wire_hello hello = { .client_nonce = 1234 };
	struct wire_hello_reply first, second;
	struct unit_client client = peer(1);
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];

	unit_node_create(&node, &options);
	datagram_begin(&datagram, &header, WIRE_HELLO_BODY_SIZE);
	wire_hello_write(datagram.payload + WIRE_HEADER_SIZE, &hello);
	CU_ASSERT_EQUAL_FATAL(unit_exchange(&node, &client, 0, &datagram, payload), datagram.size);
	CU_ASSERT_TRUE(wire_header_read(payload, datagram.size, &header));
	CU_ASSERT_EQUAL(header.kind, WIRE_HELLO_REPLY);
	CU_ASSERT_EQUAL(header.sequence, 5);
	CU_ASSERT_EQUAL(header.session_id, 0);
	CU_ASSERT_EQUAL(header.token, 0);
	CU_ASSERT_TRUE(
		wire_hello_reply_read(payload + WIRE_HEADER_SIZE, WIRE_HELLO_BODY_SIZE, &first));
	CU_ASSERT_EQUAL(first.stage, WIRE_HELLO_CHALLENGE);
	CU_ASSERT_EQUAL(first.client_nonce, 1234);
	CU_ASSERT_EQUAL(session_count(node.cores[0]->sessions), 0);

	hello.challenge = first.challenge;
	wire_hello_write(datagram.payload + WIRE_HEADER_SIZE, &hello);
	CU_ASSERT_EQUAL_FATAL(unit_exchange(&node, &client, 0, &datagram, payload), datagram.size);
	CU_ASSERT_TRUE(wire_header_read(payload, datagram.size, &header));
	CU_ASSERT_NOT_EQUAL(header.session_id, 0);
	CU_ASSERT_NOT_EQUAL(header.token, 0);
	CU_ASSERT_TRUE(
		wire_hello_reply_read(payload + WIRE_HEADER_SIZE, WIRE_HELLO_BODY_SIZE, &second));
	CU_ASSERT_EQUAL(second.stage, WIRE_HELLO_GRANTED);
	CU_ASSERT_EQUAL(second.worker_count, 1);
	CU_ASSERT_EQUAL(second.partition_count, 128);
	CU_ASSERT_EQUAL(second.datagram_size_max, UNIT_NODE_DATAGRAM_MAX);
	CU_ASSERT_EQUAL(second.value_size_max,
			UNIT_NODE_DATAGRAM_MAX - WIRE_HEADER_SIZE - WIRE_REPLY_OP_SIZE);
	CU_ASSERT_EQUAL(second.boot_id, 77);
	CU_ASSERT_EQUAL(second.base_port, UNIT_NODE_PORT);
	CU_ASSERT_EQUAL(second.worker_index, 0);
	CU_ASSERT_EQUAL(second.replay_window_size, REPLAY_WINDOW_SIZE);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "hellos_challenged"), 1);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "hellos_granted"), 1);
	CU_ASSERT_EQUAL(session_count(node.cores[0]->sessions), 1);
	unit_node_destroy(&node);
}

static void a_challenge_is_good_for_its_address_alone(void)
{
	const struct unit_node_options options = { 0 };
	struct wire_header header = { .kind = WIRE_HELLO };
	struct wire_hello hello = { .client_nonce = 1 };
	struct wire_hello_reply reply;
	struct unit_client honest = peer(1), thief = peer(2);
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];

	unit_node_create(&node, &options);
	datagram_begin(&datagram, &header, WIRE_HELLO_BODY_SIZE);
	wire_hello_write(datagram.payload + WIRE_HEADER_SIZE, &hello);
	unit_exchange(&node, &honest, 0, &datagram, payload);
	CU_ASSERT_TRUE(
		wire_hello_reply_read(payload + WIRE_HEADER_SIZE, WIRE_HELLO_BODY_SIZE, &reply));
	hello.challenge = reply.challenge;
	wire_hello_write(datagram.payload + WIRE_HEADER_SIZE, &hello);
	unit_exchange(&node, &thief, 0, &datagram, payload);
	CU_ASSERT_TRUE(
		wire_hello_reply_read(payload + WIRE_HEADER_SIZE, WIRE_HELLO_BODY_SIZE, &reply));
	CU_ASSERT_EQUAL(reply.stage, WIRE_HELLO_CHALLENGE);
	CU_ASSERT_EQUAL(session_count(node.cores[0]->sessions), 0);
	unit_node_destroy(&node);
}

/* Whoever borrows a session's id, its token or its address is told NEED_HELLO, and nothing is executed. */
static void a_spoofed_session_is_refused(void)
{
	const struct unit_node_options options = { 0 };
	const struct wire_request_op op = { .opcode = WIRE_SET,
					    .key_size = 1,
					    .key = (const uint8_t *)"k" };
	struct unit_client honest = peer(1);
	struct unit_client forged[5];
	struct unit_datagram datagram;
	struct wire_header header = { 0 };
	struct unit_node node;
	uint8_t payload[2048];

	unit_node_create(&node, &options);
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&node, &honest, 0));
	for (int i = 0; i < 5; i++)
		forged[i] = honest;
	forged[0].token ^= 1;
	forged[1].port ^= 1;
	forged[2].ipv4 ^= 1;
	forged[3].session_id += 1;
	forged[4].token = 0;
	for (uint32_t i = 0; i < 5; i++) {
		unit_request_begin(&datagram, &forged[i]);
		unit_request_add(&datagram, &op);
		CU_ASSERT_EQUAL_FATAL(unit_exchange(&node, &forged[i], 0, &datagram, payload),
				      WIRE_HEADER_SIZE);
		CU_ASSERT_TRUE(wire_header_read(payload, WIRE_HEADER_SIZE, &header));
		CU_ASSERT_EQUAL(header.kind, WIRE_REPLY);
		CU_ASSERT_EQUAL(header.op_count, 0);
		CU_ASSERT_EQUAL(header.sequence, forged[i].sequence);
		CU_ASSERT_EQUAL(header.token, forged[i].token);
	}
	CU_ASSERT_EQUAL(unit_node_counter(&node, "need_hellos"), 5);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "op_set"), 0);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "requests"), 0);
	unit_node_destroy(&node);
}

static void refusals_are_limited_by_rate(void)
{
	const struct unit_node_options options = { 0 };
	const struct wire_header header = {
		.kind = WIRE_REQUEST, .op_count = 1, .token = 7, .session_id = 9
	};
	struct unit_client stranger = peer(3);
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];
	uint64_t refused = 0;

	unit_node_create(&node, &options);
	datagram_begin(&datagram, &header, 20);
	for (uint32_t i = 0; i < 3 * SESSION_REFUSALS_BURST; i++)
		refused += unit_exchange(&node, &stranger, 0, &datagram, payload) > 0;
	CU_ASSERT_EQUAL(refused, SESSION_REFUSALS_BURST);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "need_hellos"), refused);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "drop_need_hello_limited"),
			2 * SESSION_REFUSALS_BURST);
	unit_node_advance(&node, 1000);
	CU_ASSERT_TRUE(unit_exchange(&node, &stranger, 0, &datagram, payload) > 0);
	unit_node_destroy(&node);
}

static void a_full_session_table_drops_hellos(void)
{
	const struct unit_node_options options = { .session_count = 4 };
	struct unit_client client;
	struct unit_node node;

	unit_node_create(&node, &options);
	for (uint32_t i = 0; i < 4; i++) {
		client = peer(i);
		CU_ASSERT_TRUE(unit_client_hello(&node, &client, 0));
	}
	client = peer(5);
	CU_ASSERT_FALSE(unit_client_hello(&node, &client, 0));
	CU_ASSERT_EQUAL(unit_node_counter(&node, "drop_session_table_full"), 1);
	unit_node_advance(&node, 10 * SESSION_IDLE_MIN_MS);
	CU_ASSERT_TRUE(unit_client_hello(&node, &client, 0));
	unit_node_destroy(&node);
}

/* ---- other kinds ---- */

static void ping_comes_back_as_pong(void)
{
	const struct unit_node_options options = { 0 };
	const struct wire_header header = {
		.kind = WIRE_PING, .sequence = 3, .token = 8, .map_version = 44
	};
	struct unit_client stranger = peer(4);
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];

	unit_node_create(&node, &options);
	datagram_begin(&datagram, &header, 100);
	memset(datagram.payload + WIRE_HEADER_SIZE, 'p', 100);
	CU_ASSERT_EQUAL_FATAL(unit_exchange(&node, &stranger, 0, &datagram, payload),
			      datagram.size);
	datagram.payload[WIRE_AT_KIND] = WIRE_PONG;
	CU_ASSERT_EQUAL(memcmp(payload, datagram.payload, datagram.size), 0);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "pings"), 1);
	unit_node_destroy(&node);
}

static void a_frame_over_the_mtu_is_dropped(void)
{
	const struct unit_node_options options = { 0 };
	const struct wire_header header = { .kind = WIRE_PING };
	struct unit_client stranger = peer(4);
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];

	unit_node_create(&node, &options);
	datagram_begin(&datagram, &header, UNIT_NODE_PAYLOAD_MAX - WIRE_HEADER_SIZE);
	CU_ASSERT_EQUAL(unit_exchange(&node, &stranger, 0, &datagram, payload),
			UNIT_NODE_PAYLOAD_MAX);
	datagram_begin(&datagram, &header, UNIT_NODE_PAYLOAD_MAX - WIRE_HEADER_SIZE + 1);
	CU_ASSERT_EQUAL(unit_exchange(&node, &stranger, 0, &datagram, payload), 0);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "drop_frame_oversized"), 1);
	unit_node_destroy(&node);
}

static void the_map_is_for_sessions(void)
{
	const struct unit_node_options options = { .partition_count = 1024 };
	struct unit_client client = peer(1);
	struct wire_header header = { .kind = WIRE_MAP_REQUEST };
	struct wire_map_reply map = { 0 };
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];
	uint16_t known = 0;
	size_t size;

	unit_node_create(&node, &options);
	datagram_begin(&datagram, &header, WIRE_MAP_REQUEST_BODY_SIZE);
	CU_ASSERT_EQUAL(unit_exchange(&node, &client, 0, &datagram, payload), WIRE_HEADER_SIZE);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "need_hellos"), 1);
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&node, &client, 0));
	header.session_id = client.session_id;
	header.token = client.token;
	while (known < 1024) {
		datagram_begin(&datagram, &header, WIRE_MAP_REQUEST_BODY_SIZE);
		wire_map_request_write(datagram.payload + WIRE_HEADER_SIZE, known);
		size = unit_exchange(&node, &client, 0, &datagram, payload);
		CU_ASSERT_TRUE_FATAL(size > WIRE_HEADER_SIZE);
		CU_ASSERT_EQUAL(payload[WIRE_AT_KIND], WIRE_MAP_REPLY);
		CU_ASSERT_TRUE_FATAL(wire_map_reply_read(payload + WIRE_HEADER_SIZE,
							 size - WIRE_HEADER_SIZE, &map));
		CU_ASSERT_EQUAL(map.partition_count, 1024);
		CU_ASSERT_EQUAL_FATAL(map.first_partition, known);
		CU_ASSERT_EQUAL(map.node_count, 1);
		CU_ASSERT_EQUAL(wire_map_reply_node(&map, 0).ipv4, UNIT_NODE_IPV4);
		for (uint16_t i = 0; i < map.owner_count; i++)
			CU_ASSERT_EQUAL(wire_map_reply_owner(&map, i), 0);
		known = (uint16_t)(known + map.owner_count);
	}
	unit_node_destroy(&node);
}

static void kinds_that_nobody_sends_to_a_node_are_dropped(void)
{
	static const uint8_t kinds[] = { WIRE_HELLO_REPLY, WIRE_REPLY, WIRE_MAP_REPLY, WIRE_PONG };
	const struct unit_node_options options = { 0 };
	struct unit_client client = peer(1);
	struct unit_datagram datagram;
	struct unit_node node;
	uint8_t payload[2048];

	unit_node_create(&node, &options);
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&node, &client, 0));
	for (size_t i = 0; i < sizeof(kinds); i++) {
		const struct wire_header header = { .kind = kinds[i],
						    .session_id = client.session_id,
						    .token = client.token };

		datagram_begin(&datagram, &header, 100);
		CU_ASSERT_EQUAL(unit_exchange(&node, &client, 0, &datagram, payload), 0);
		CU_ASSERT_EQUAL(unit_node_counter(&node, "drop_wire_unexpected_kind"), i + 1);
	}
	unit_node_destroy(&node);
}

static void arp_and_echo_are_answered(void)
{
	const struct unit_node_options options = { 0 };
	struct unit_client client = peer(1);
	struct unit_datagram ping = { .size = 32 };
	struct unit_node node;
	uint8_t frame[2048];
	uint8_t answer[2048];
	size_t size;

	unit_node_create(&node, &options);
	size = packet_build_arp_request(frame, peer_mac, client.ipv4, UNIT_NODE_IPV4);
	CU_ASSERT_EQUAL_FATAL(send_frame(&node, frame, size, answer), size);
	CU_ASSERT_EQUAL(memcmp(answer, peer_mac, 6), 0);
	CU_ASSERT_EQUAL(wire_get_u16(answer + PACKET_AT_ARP_OPERATION), PACKET_ARP_REPLY);
	CU_ASSERT_EQUAL(memcmp(answer + PACKET_AT_ARP_SENDER_MAC, node.shared->local.mac, 6), 0);
	CU_ASSERT_EQUAL(wire_get_u32(answer + PACKET_AT_ARP_SENDER_IPV4), UNIT_NODE_IPV4);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "arp_requests"), 1);
	wire_put_u16(frame + PACKET_AT_ARP_OPERATION, PACKET_ARP_REPLY);
	CU_ASSERT_EQUAL(send_frame(&node, frame, size, answer), 0);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "drop_arp_unasked"), 1);

	/* an echo request in the place of a datagram of the same size */
	size = unit_frame(frame, &client, 0, &ping);
	frame[PACKET_AT_IPV4_PROTOCOL] = PACKET_PROTOCOL_ICMP;
	wire_put_u16(frame + PACKET_AT_IPV4_CHECKSUM,
		     (uint16_t)(wire_get_u16(frame + PACKET_AT_IPV4_CHECKSUM) + 16));
	memset(frame + PACKET_AT_ICMP, 0, size - PACKET_AT_ICMP);
	frame[PACKET_AT_ICMP_TYPE] = PACKET_ICMP_ECHO_REQUEST;
	wire_put_u16(frame + PACKET_AT_ICMP + 6, 0x0001); /* its sequence */
	wire_put_u16(frame + PACKET_AT_ICMP_CHECKSUM, 0xf7fe);
	CU_ASSERT_EQUAL_FATAL(send_frame(&node, frame, size, answer), size);
	CU_ASSERT_EQUAL(answer[PACKET_AT_ICMP_TYPE], PACKET_ICMP_ECHO_REPLY);
	CU_ASSERT_EQUAL(wire_get_u16(answer + PACKET_AT_ICMP_CHECKSUM), 0xfffe);
	CU_ASSERT_EQUAL(wire_get_u32(answer + PACKET_AT_IPV4_DESTINATION), client.ipv4);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "icmp_echoes"), 1);
	unit_node_destroy(&node);
}

/* ---- accounting ---- */

static uint64_t all_drops(const struct unit_node *node)
{
	uint64_t drops = 0;

	for (uint32_t i = COUNT_DROP_FIRST; i < CORE_COUNTER_COUNT; i++)
		drops += core_counter_read(&node->cores[0]->counters, i);
	return drops;
}

/* A datagram of a random kind from nobody known, sometimes with a stolen session or broken bytes. */
static size_t make_hostile(uint8_t *frame, const struct unit_client *sender,
			   const struct unit_client *victim, uint64_t *random)
{
	struct wire_header header = {
		.kind = (uint8_t)(unit_random(random) % 12),
		.op_count = (uint8_t)(unit_random(random) % 4),
		.session_id = unit_random(random) % 2 ? victim->session_id
						      : (uint32_t)unit_random(random),
		.token = unit_random(random) % 4 ? victim->token : unit_random(random),
		.sequence = (uint32_t)unit_random(random),
	};
	struct unit_datagram datagram;
	size_t size;

	datagram_begin(&datagram, &header, unit_random(random) % 1400);
	for (size_t i = WIRE_HEADER_SIZE; i < datagram.size && i < 200; i++)
		datagram.payload[i] = (uint8_t)unit_random(random);
	size = unit_frame(frame, sender, 0, &datagram);
	if (unit_random(random) % 3 == 0)
		frame[unit_random(random) % size] ^= (uint8_t)(1u << unit_random(random) % 8);
	if (unit_random(random) % 5 == 0)
		size -= unit_random(random) % (size - 14);
	return size;
}

static void nobody_unproven_gets_more_than_he_sent(void)
{
	const struct unit_node_options options = { 0 };
	struct unit_client victim = peer(1);
	struct unit_node node;
	uint64_t random = 5;
	uint64_t answered = 0;
	uint64_t received = 0;
	uint64_t bytes_in = 0;
	uint64_t bytes_out = 0;

	unit_node_create(&node, &options);
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&node, &victim, 0));
	received = unit_node_counter(&node, "frames_received");
	for (uint32_t i = 0; i < 20000; i++) {
		struct unit_client sender = peer(2 + i % 5000);
		uint8_t frame[2048];
		uint8_t answer[2048];
		size_t size = make_hostile(frame, &sender, &victim, &random);
		size_t answer_size = send_frame(&node, frame, size, answer);

		CU_ASSERT_TRUE_FATAL(answer_size <= size);
		answered += answer_size > 0;
		bytes_in += size;
		bytes_out += answer_size;
		if (i % 16 == 0)
			unit_node_advance(&node, 1);
	}
	CU_ASSERT_TRUE(answered > 1000);
	CU_ASSERT_TRUE(bytes_out < bytes_in);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "frames_received"), received + 20000);
	CU_ASSERT_EQUAL(all_drops(&node) + answered, 20000);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "requests"), 0);
	CU_ASSERT_EQUAL(session_count(node.cores[0]->sessions), 1);
	unit_node_destroy(&node);
}

static void every_frame_has_one_fate(void)
{
	const struct unit_node_options options = { 0 };
	struct unit_client client = peer(1);
	struct unit_node node;
	uint64_t random = 9;
	uint64_t answered = 0;

	unit_node_create(&node, &options);
	CU_ASSERT_TRUE_FATAL(unit_client_hello(&node, &client, 0));
	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t frame[2048];
		uint8_t answer[2048];
		size_t size = make_hostile(frame, &client, &client, &random);
		uint64_t drops = all_drops(&node);
		size_t answer_size = send_frame(&node, frame, size, answer);

		CU_ASSERT_EQUAL_FATAL(all_drops(&node) - drops, answer_size == 0 ? 1 : 0);
		answered += answer_size > 0;
	}
	CU_ASSERT_TRUE(answered > 1000);
	CU_ASSERT_TRUE(unit_node_counter(&node, "requests_refused") > 100);
	unit_node_destroy(&node);
}

static void a_frame_in_several_buffers_is_dropped(void)
{
	const struct unit_node_options options = { 0 };
	struct unit_node node;
	struct rte_mempool *pool;
	struct rte_mbuf *head, *tail;

	unit_node_create(&node, &options);
	pool = rte_mempool_lookup("unit_node");
	if (!pool) { /* made with the first frame */
		uint8_t answer[2048];

		CU_ASSERT_EQUAL(send_frame(&node, answer, 10, answer), 0);
		pool = rte_mempool_lookup("unit_node");
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	head = rte_pktmbuf_alloc(pool);
	tail = rte_pktmbuf_alloc(pool);
	rte_pktmbuf_append(head, 100);
	rte_pktmbuf_append(tail, 100);
	CU_ASSERT_EQUAL(rte_pktmbuf_chain(head, tail), 0);
	core_process_burst(node.cores[0], &head, 1);
	CU_ASSERT_EQUAL(node.cores[0]->tx_count, 0);
	CU_ASSERT_EQUAL(unit_node_counter(&node, "drop_frame_segmented"), 1);
	unit_node_destroy(&node);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(hello_takes_two_rounds_and_tells_the_limits),
		UNIT_TEST(a_challenge_is_good_for_its_address_alone),
		UNIT_TEST(a_spoofed_session_is_refused),
		UNIT_TEST(refusals_are_limited_by_rate),
		UNIT_TEST(a_full_session_table_drops_hellos),
		UNIT_TEST(ping_comes_back_as_pong),
		UNIT_TEST(a_frame_over_the_mtu_is_dropped),
		UNIT_TEST(the_map_is_for_sessions),
		UNIT_TEST(kinds_that_nobody_sends_to_a_node_are_dropped),
		UNIT_TEST(arp_and_echo_are_answered),
		UNIT_TEST(nobody_unproven_gets_more_than_he_sent),
		UNIT_TEST(every_frame_has_one_fate),
		UNIT_TEST(a_frame_in_several_buffers_is_dropped),
		{ NULL, NULL },
	};

	unit_eal_init();
	return unit_run("core_burst", tests);
}
