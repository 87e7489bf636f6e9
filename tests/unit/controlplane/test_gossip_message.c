/* SPDX-License-Identifier: BSD-3-Clause */
/* Gossip packets and whole states as bytes: round trips, limits, hostile input. */
#include "controlplane/gossip_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static uint8_t record_bytes[NODE_RECORD_SIZE_MAX];

static struct gossip_packet sample_packet(void)
{
	struct gossip_packet packet = {
		.sender = 11,
		.generation = 12,
		.kind = GOSSIP_PING_REQ,
		.sequence = 13,
		.target = 14,
		.target_address = node_address_ipv4(0x0a000001, 7800),
		.map_stamp = 15,
		.record_count = 2,
		.claim_count = 1,
		.owner_count = 2,
		.records = { { record_bytes, 5 }, { record_bytes, 100 } },
		.claims = { { .id = 3,
			      .generation = 4,
			      .incarnation = 5,
			      .kind = CLAIM_DEAD,
			      .from_count = 2,
			      .from = { 6, 7 } } },
		.owners = { { .partition = 4095, .epoch = 9, .owner = 11 },
			    { .partition = 0, .epoch = 1, .owner = 3 } },
	};

	for (uint32_t i = 0; i < sizeof(record_bytes); i++)
		record_bytes[i] = (uint8_t)(i * 7);
	return packet;
}

static void test_packets_survive_the_wire(void)
{
	struct gossip_packet packet = sample_packet(), back;
	uint8_t bytes[GOSSIP_PACKET_SIZE_MAX];
	int size = gossip_packet_encode(&packet, bytes, sizeof(bytes));

	CU_ASSERT_TRUE_FATAL(size > 0);
	CU_ASSERT_EQUAL_FATAL(gossip_packet_decode(&back, bytes, (size_t)size), 0);
	CU_ASSERT_EQUAL(back.sender, 11);
	CU_ASSERT_EQUAL(back.generation, 12);
	CU_ASSERT_EQUAL(back.kind, GOSSIP_PING_REQ);
	CU_ASSERT_EQUAL(back.sequence, 13);
	CU_ASSERT_EQUAL(back.target, 14);
	CU_ASSERT_EQUAL(back.map_stamp, 15);
	CU_ASSERT_TRUE(node_address_equals(&back.target_address, &packet.target_address));
	CU_ASSERT_EQUAL_FATAL(back.record_count, 2);
	CU_ASSERT_EQUAL(back.records[1].size, 100);
	CU_ASSERT_EQUAL(memcmp(back.records[1].bytes, record_bytes, 100), 0);
	CU_ASSERT_EQUAL_FATAL(back.claim_count, 1);
	CU_ASSERT_EQUAL(memcmp(&back.claims[0], &packet.claims[0], sizeof(back.claims[0])), 0);
	CU_ASSERT_EQUAL_FATAL(back.owner_count, 2);
	CU_ASSERT_EQUAL(memcmp(back.owners, packet.owners, 2 * sizeof(back.owners[0])), 0);
	gossip_packet_release(&back);
}

static void test_the_largest_of_everything_stays_within_its_bound(void)
{
	struct gossip_packet packet = { .sender = UINT64_MAX,
					.generation = UINT64_MAX,
					.kind = GOSSIP_NACK,
					.sequence = UINT32_MAX,
					.target = UINT64_MAX,
					.cluster_id = UINT64_MAX,
					.map_stamp = UINT64_MAX };
	uint8_t bytes[GOSSIP_PACKET_SIZE_MAX];
	int header, with_record, with_claim;

	memset(&packet.target_address, 0xff, sizeof(packet.target_address));
	header = gossip_packet_encode(&packet, bytes, sizeof(bytes));
	CU_ASSERT_TRUE(header > 0 && header <= (int)GOSSIP_HEADER_SIZE_MAX);
	packet.records[packet.record_count++] =
		(struct gossip_slice){ record_bytes, NODE_RECORD_SIZE_MAX };
	with_record = gossip_packet_encode(&packet, bytes, sizeof(bytes));
	CU_ASSERT_TRUE(with_record - header <=
		       (int)(GOSSIP_RECORD_OVERHEAD + NODE_RECORD_SIZE_MAX));
	packet.record_count = 0;
	packet.claims[packet.claim_count++] = (struct membership_claim){
		.id = UINT64_MAX,
		.generation = UINT64_MAX,
		.incarnation = UINT64_MAX,
		.kind = CLAIM_REMOVED,
		.from_count = MEMBERSHIP_CLAIM_FROM_MAX,
	};
	with_claim = gossip_packet_encode(&packet, bytes, sizeof(bytes));
	CU_ASSERT_TRUE(with_claim - header <= (int)GOSSIP_CLAIM_SIZE_MAX);
	packet.claim_count = 0;
	packet.owners[packet.owner_count++] = (struct partition_owner){
		.partition = PARTITION_COUNT_MAX - 1,
		.epoch = PARTITION_EPOCH_MAX,
		.owner = UINT64_MAX,
	};
	CU_ASSERT_TRUE(gossip_packet_encode(&packet, bytes, sizeof(bytes)) - header <=
		       (int)GOSSIP_OWNER_SIZE_MAX);
}

static void test_too_much_for_a_packet_is_refused(void)
{
	struct gossip_packet packet = sample_packet();
	uint8_t bytes[GOSSIP_PACKET_SIZE_MAX + 1] = { 0 };
	int size = gossip_packet_encode(&packet, bytes, sizeof(bytes));

	CU_ASSERT_EQUAL(gossip_packet_encode(&packet, bytes, (size_t)size - 1), -EMSGSIZE);
	CU_ASSERT_EQUAL(gossip_packet_decode(&packet, bytes, sizeof(bytes)), -EMSGSIZE);
	/* 600 empty records: field 8, length 0 */
	for (size_t i = 0; i + 1 < 1200; i += 2) {
		bytes[i] = 8 << 3 | 2;
		bytes[i + 1] = 0;
	}
	CU_ASSERT_EQUAL(gossip_packet_decode(&packet, bytes, 1200), -EMSGSIZE);
}

static void refuse(struct gossip_packet *packet)
{
	struct gossip_packet back;
	uint8_t bytes[GOSSIP_PACKET_SIZE_MAX];
	int size = gossip_packet_encode(packet, bytes, sizeof(bytes));

	CU_ASSERT_TRUE(size > 0);
	CU_ASSERT_EQUAL(gossip_packet_decode(&back, bytes, (size_t)size), -EINVAL);
}

static void test_values_out_of_range_are_refused(void)
{
	struct gossip_packet packet = sample_packet();

	packet.sender = 0;
	refuse(&packet);
	packet = sample_packet();
	packet.kind = (enum gossip_packet_kind)6;
	refuse(&packet);
	packet = sample_packet();
	packet.claims[0].kind = (enum membership_claim_kind)4;
	refuse(&packet);
	packet = sample_packet();
	packet.claims[0].id = 0;
	refuse(&packet);
	packet = sample_packet();
	packet.owners[0].partition = PARTITION_COUNT_MAX;
	refuse(&packet);
	packet = sample_packet();
	packet.owners[0].epoch = PARTITION_EPOCH_MAX + 1;
	refuse(&packet);
}

static void test_truncated_and_mutated_packets_never_break_the_decoder(void)
{
	struct gossip_packet packet = sample_packet(), back;
	uint8_t bytes[GOSSIP_PACKET_SIZE_MAX], mutated[GOSSIP_PACKET_SIZE_MAX];
	size_t size = (size_t)gossip_packet_encode(&packet, bytes, sizeof(bytes));
	uint64_t seed = 3;
	uint32_t accepted = 0;

	for (uint32_t i = 0; i < 20000; i++) {
		size_t cut = i < size ? i : size;

		memcpy(mutated, bytes, size);
		for (uint64_t j = 0; i >= size && j <= unit_random(&seed) % 3; j++)
			mutated[unit_random(&seed) % size] = (uint8_t)unit_random(&seed);
		if (gossip_packet_decode(&back, mutated, cut) != 0)
			continue;
		accepted++;
		CU_ASSERT_TRUE(back.sender != 0);
		gossip_packet_release(&back);
	}
	CU_ASSERT_TRUE(accepted > 1000);
}

/* ---- whole states ---- */

static struct partition_owner owners[PARTITION_COUNT_MAX];
static uint8_t state_bytes[GOSSIP_STATE_SIZE_MAX];

static struct gossip_state sample_state(struct gossip_slice *records,
					struct membership_claim *claims)
{
	struct gossip_state state = {
		.sender = 1,
		.generation = 2,
		.is_request = true,
		.is_whole = true,
		.scope = GOSSIP_SCOPE_ALL,
		.reply_to = node_address_ipv4(0x0a000001, 7800),
		.records = records,
		.claims = claims,
		.owners = owners,
	};

	return state;
}

static void test_states_survive_the_wire(void)
{
	struct gossip_slice records[2] = { { record_bytes, 10 }, { record_bytes, 20 } };
	struct membership_claim claims[1] = { { .id = 9, .kind = CLAIM_REMOVED } };
	struct gossip_state state = sample_state(records, claims), back;
	int size;

	state.record_count = 2;
	state.claim_count = 1;
	state.partition_count = 64;
	for (uint32_t p = 0; p < 64; p++)
		owners[p] = (struct partition_owner){ p, p % 5 ? p : 0, p % 5 ? 1 + p % 3 : 0 };
	size = gossip_state_encode(&state, state_bytes, sizeof(state_bytes));
	CU_ASSERT_TRUE_FATAL(size > 0);
	CU_ASSERT_EQUAL_FATAL(gossip_state_decode(&back, state_bytes, (size_t)size), 0);
	CU_ASSERT_EQUAL(back.sender, 1);
	CU_ASSERT_EQUAL(back.generation, 2);
	CU_ASSERT_TRUE(back.is_request);
	CU_ASSERT_TRUE(back.is_whole);
	CU_ASSERT_EQUAL(back.scope, GOSSIP_SCOPE_ALL);
	CU_ASSERT_TRUE(node_address_equals(&back.reply_to, &state.reply_to));
	CU_ASSERT_EQUAL(back.record_count, 2);
	CU_ASSERT_EQUAL(back.records[1].size, 20);
	CU_ASSERT_EQUAL(back.claims[0].id, 9);
	CU_ASSERT_EQUAL(back.partition_count, 64);
	CU_ASSERT_EQUAL(memcmp(back.owners, owners, 64 * sizeof(owners[0])), 0);
	gossip_state_release(&back);
}

/* 4,096 partitions spread over 1,024 owners with the greatest epochs, 1,024 of the largest records
 * and claims.
 */
static void test_the_largest_cluster_fits_a_state(void)
{
	struct gossip_slice *records = calloc(NODE_COUNT_MAX, sizeof(*records));
	struct membership_claim *claims = calloc(NODE_COUNT_MAX, sizeof(*claims));
	struct gossip_state state = sample_state(records, claims), back;
	int map_size, size;

	for (uint32_t p = 0; p < PARTITION_COUNT_MAX; p++)
		owners[p] = (struct partition_owner){ p, PARTITION_EPOCH_MAX,
						      UINT64_MAX - p % NODE_COUNT_MAX };
	for (uint32_t i = 0; i < NODE_COUNT_MAX; i++) {
		records[i] = (struct gossip_slice){ record_bytes, NODE_RECORD_SIZE_MAX };
		claims[i] = (struct membership_claim){ .id = UINT64_MAX,
						       .generation = UINT64_MAX,
						       .incarnation = UINT64_MAX,
						       .kind = CLAIM_DEAD,
						       .from_count = MEMBERSHIP_CLAIM_FROM_MAX };
	}
	state.partition_count = PARTITION_COUNT_MAX;
	map_size = gossip_state_encode(&state, state_bytes, sizeof(state_bytes));
	CU_ASSERT_TRUE(map_size > 0 && map_size < 40000);
	state.record_count = NODE_COUNT_MAX;
	state.claim_count = NODE_COUNT_MAX;
	size = gossip_state_encode(&state, state_bytes, sizeof(state_bytes));
	CU_ASSERT_TRUE_FATAL(size > 0);
	CU_ASSERT_EQUAL_FATAL(gossip_state_decode(&back, state_bytes, (size_t)size), 0);
	CU_ASSERT_EQUAL(back.record_count, NODE_COUNT_MAX);
	CU_ASSERT_EQUAL(memcmp(back.owners, owners, sizeof(owners)), 0);
	gossip_state_release(&back);
	CU_ASSERT_EQUAL(gossip_state_encode(&state, state_bytes, (size_t)size - 1), -EMSGSIZE);
	state.record_count++;
	CU_ASSERT_EQUAL(gossip_state_encode(&state, state_bytes, sizeof(state_bytes)), -EMSGSIZE);
	free(records);
	free(claims);
}

/* A map of a fresh cluster: everybody's epoch is small, runs belong to one owner. */
static void test_a_usual_map_is_small(void)
{
	struct gossip_state state = sample_state(NULL, NULL);

	state.scope = GOSSIP_SCOPE_MAP;
	state.partition_count = PARTITION_COUNT_MAX;
	for (uint32_t p = 0; p < PARTITION_COUNT_MAX; p++)
		owners[p] = (struct partition_owner){ p, 1 + p % 100, 1 + p % 100 };
	CU_ASSERT_TRUE(gossip_state_encode(&state, state_bytes, sizeof(state_bytes)) < 10000);
}

static void test_truncated_and_mutated_states_never_break_the_decoder(void)
{
	struct gossip_slice records[2] = { { record_bytes, 10 }, { record_bytes, 20 } };
	struct membership_claim claims[1] = { { .id = 9, .kind = CLAIM_REMOVED } };
	struct gossip_state state = sample_state(records, claims), back;
	uint64_t seed = 8;
	uint32_t accepted = 0;
	uint8_t mutated[2048];
	size_t size;

	state.record_count = 2;
	state.claim_count = 1;
	state.partition_count = 64;
	for (uint32_t p = 0; p < 64; p++)
		owners[p] = (struct partition_owner){ p, 2, 1 + p % 3 };
	size = (size_t)gossip_state_encode(&state, state_bytes, sizeof(state_bytes));
	CU_ASSERT_TRUE_FATAL(size < sizeof(mutated));
	for (uint32_t i = 0; i < 20000; i++) {
		size_t cut = i < size ? i : size;

		memcpy(mutated, state_bytes, size);
		for (uint64_t j = 0; i >= size && j <= unit_random(&seed) % 3; j++)
			mutated[unit_random(&seed) % size] = (uint8_t)unit_random(&seed);
		if (gossip_state_decode(&back, mutated, cut) != 0)
			continue;
		accepted++;
		CU_ASSERT_TRUE(back.partition_count <= PARTITION_COUNT_MAX);
		gossip_state_release(&back);
	}
	CU_ASSERT_TRUE(accepted > 1000);
	CU_ASSERT_EQUAL(gossip_state_decode(&back, state_bytes, GOSSIP_STATE_SIZE_MAX + 1),
			-EMSGSIZE);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_packets_survive_the_wire),
		UNIT_TEST(test_the_largest_of_everything_stays_within_its_bound),
		UNIT_TEST(test_too_much_for_a_packet_is_refused),
		UNIT_TEST(test_values_out_of_range_are_refused),
		UNIT_TEST(test_truncated_and_mutated_packets_never_break_the_decoder),
		UNIT_TEST(test_states_survive_the_wire),
		UNIT_TEST(test_the_largest_cluster_fits_a_state),
		UNIT_TEST(test_a_usual_map_is_small),
		UNIT_TEST(test_truncated_and_mutated_states_never_break_the_decoder),
		{ NULL, NULL },
	};

	return unit_run("gossip_message", tests);
}
