/* SPDX-License-Identifier: BSD-3-Clause */
/* Gossip: what one node's machine sends and takes, packet by packet. */
#include "controlplane/gossip.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/unit.h"

static uint64_t now_ms;
static uint8_t state_bytes[GOSSIP_STATE_SIZE_MAX];

static struct node node_of(uint64_t id, uint64_t generation)
{
	struct node node = {
		.id = id,
		.generation = generation,
		.state = NODE_ACTIVE,
		.control = node_address_ipv4((uint32_t)(0x0a000000 + id), GOSSIP_PORT_DEFAULT),
		.weight = NODE_WEIGHT_DEFAULT,
	};

	snprintf(node.name, sizeof(node.name), "n%u", (unsigned)id);
	return node;
}

static struct gossip *create(uint64_t id, uint64_t generation)
{
	struct gossip_options options = { .membership = { .seed = id, .node_count_max = 16 } };
	struct node self = node_of(id, generation);
	struct gossip *gossip = NULL;

	CU_ASSERT_EQUAL_FATAL(gossip_create(&gossip, &options, &self, now_ms), 0);
	return gossip;
}

static struct gossip_actions take(struct gossip *gossip, const struct gossip_event *event)
{
	return gossip_step(gossip, now_ms, event);
}

static struct gossip *create_first(uint64_t id)
{
	struct gossip_event event = { .kind = GOSSIP_BOOTSTRAP, .partition_count = 64 };
	struct gossip *gossip = create(id, 100);

	take(gossip, &event);
	return gossip;
}

static const struct gossip_action *find(struct gossip_actions actions, enum gossip_action_kind kind)
{
	for (uint32_t i = 0; i < actions.count; i++) {
		if (actions.items[i].kind == kind)
			return &actions.items[i];
	}
	return NULL;
}

static uint32_t count(struct gossip_actions actions, enum gossip_action_kind kind)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < actions.count; i++)
		found += actions.items[i].kind == kind;
	return found;
}

/* Hands 'from's whole state to 'to'. */
static struct gossip_actions give_state(struct gossip *from, struct gossip *to, bool is_request,
					enum gossip_scope scope)
{
	struct gossip_event event = { .kind = GOSSIP_STATE, .bytes = state_bytes };
	int size = gossip_state(from, is_request, scope, state_bytes, sizeof(state_bytes));

	CU_ASSERT_TRUE_FATAL(size > 0);
	event.size = (size_t)size;
	return take(to, &event);
}

static struct gossip_actions give_packet(struct gossip *to, const struct gossip_packet *packet)
{
	uint8_t bytes[GOSSIP_PACKET_SIZE_MAX];
	int size = gossip_packet_encode(packet, bytes, sizeof(bytes));
	struct gossip_event event = { .kind = GOSSIP_PACKET,
				      .from = node_address_ipv4(0x0a000002, GOSSIP_PORT_DEFAULT),
				      .bytes = bytes };

	CU_ASSERT_TRUE_FATAL(size > 0);
	event.size = (size_t)size;
	return take(to, &event);
}

/* Gives one record to 'to', in a packet of its node. */
static struct gossip_actions give_record(struct gossip *to, const struct node *node)
{
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	int size = node_record_encode(node, bytes, sizeof(bytes));
	struct gossip_packet packet = { .sender = node->id,
					.generation = node->generation,
					.kind = GOSSIP_UPDATE,
					.map_stamp = gossip_map(to)->stamp,
					.record_count = 1 };

	packet.records[0] = (struct gossip_slice){ bytes, (size_t)size };
	return give_packet(to, &packet);
}

static struct gossip_actions timer(struct gossip *gossip)
{
	struct gossip_event event = { .kind = GOSSIP_TIMER };

	if (gossip_deadline_ms(gossip) > now_ms)
		now_ms = gossip_deadline_ms(gossip);
	return take(gossip, &event);
}

/* The next packet 'gossip' sends of itself, decoded; release it. */
static bool next_packet(struct gossip *gossip, struct gossip_packet *packet)
{
	for (uint32_t i = 0; i < 100; i++) {
		const struct gossip_action *send = find(timer(gossip), GOSSIP_SEND);

		if (send)
			return gossip_packet_decode(packet, send->bytes, send->size) == 0;
	}
	return false;
}

static bool has_record_of(const struct gossip_packet *packet, uint64_t id, struct node *node)
{
	for (uint32_t i = 0; i < packet->record_count; i++) {
		if (node_record_decode(node, packet->records[i].bytes, packet->records[i].size) ==
			    0 &&
		    node->id == id)
			return true;
	}
	return false;
}

/* ---- joining ---- */

static void test_a_joiner_learns_members_and_map(void)
{
	struct gossip *first = create_first(1), *joiner = create(2, 200);
	struct node_address seed = gossip_self(first)->control;
	struct gossip_event join = { .kind = GOSSIP_JOIN, .seeds = &seed, .seed_count = 1 };
	const struct gossip_action *action = find(take(joiner, &join), GOSSIP_PUSH_PULL);
	struct gossip_actions actions;

	CU_ASSERT_PTR_NOT_NULL_FATAL(action);
	CU_ASSERT_TRUE(node_address_equals(&action->to, &seed));
	CU_ASSERT_FALSE(gossip_is_joined(joiner));
	actions = give_state(joiner, first, true, GOSSIP_SCOPE_ALL);
	action = find(actions, GOSSIP_REPLY_STATE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action);
	CU_ASSERT_TRUE(node_address_equals(&action->to, &gossip_self(joiner)->control));
	action = find(actions, GOSSIP_MEMBER_CHANGED);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action);
	CU_ASSERT_EQUAL(action->id, 2);
	CU_ASSERT_EQUAL(action->after, MEMBER_ALIVE);
	actions = give_state(first, joiner, false, GOSSIP_SCOPE_ALL);
	CU_ASSERT_PTR_NOT_NULL(find(actions, GOSSIP_JOINED));
	CU_ASSERT_PTR_NOT_NULL(find(actions, GOSSIP_MAP_CHANGED));
	CU_ASSERT_TRUE(gossip_is_joined(joiner));
	CU_ASSERT_EQUAL(gossip_map(joiner)->stamp, gossip_map(first)->stamp);
	CU_ASSERT_EQUAL(partition_map_count_owned(gossip_map(joiner), 1), 64);
	gossip_destroy(first);
	gossip_destroy(joiner);
}

static void test_a_joiner_tries_its_seeds_until_one_answers(void)
{
	struct gossip *joiner = create(2, 200);
	struct node_address seeds[2] = { node_address_ipv4(1, 1), node_address_ipv4(2, 2) };
	struct gossip_event join = { .kind = GOSSIP_JOIN, .seeds = seeds, .seed_count = 2 };
	uint32_t asked[2] = { 0 };
	uint64_t begin_ms = now_ms;

	asked[node_address_equals(&find(take(joiner, &join), GOSSIP_PUSH_PULL)->to, &seeds[1])]++;
	while (now_ms < begin_ms + 30000) {
		const struct gossip_action *action = find(timer(joiner), GOSSIP_PUSH_PULL);

		if (action)
			asked[node_address_equals(&action->to, &seeds[1])]++;
	}
	CU_ASSERT_TRUE(asked[0] >= 3 && asked[0] <= 8);
	CU_ASSERT_TRUE(asked[0] - asked[1] <= 1);
	gossip_destroy(joiner);
}

static void test_a_map_of_another_size_is_refused(void)
{
	struct gossip *first = create_first(1), *other = create(3, 100);
	struct gossip_event event = { .kind = GOSSIP_BOOTSTRAP, .partition_count = 128 };
	uint64_t stamp = gossip_map(first)->stamp;

	take(other, &event);
	give_state(other, first, true, GOSSIP_SCOPE_ALL);
	CU_ASSERT_EQUAL(gossip_counters(first)->map_count_mismatch, 1);
	CU_ASSERT_EQUAL(gossip_map(first)->stamp, stamp);
	gossip_destroy(first);
	gossip_destroy(other);
}

static struct gossip *found(uint64_t id, uint64_t cluster_id)
{
	struct gossip_event event = { .kind = GOSSIP_BOOTSTRAP,
				      .partition_count = 64,
				      .id = cluster_id };
	struct gossip *gossip = create(id, 100);

	take(gossip, &event);
	return gossip;
}

static void test_clusters_founded_apart_do_not_merge(void)
{
	struct gossip *first = found(1, 0xaaaa), *other = found(3, 0xbbbb);
	struct gossip_packet packet = { .sender = 3,
					.generation = 100,
					.kind = GOSSIP_PING,
					.target = 1,
					.cluster_id = 0xbbbb };
	uint64_t stamp = gossip_map(first)->stamp;
	struct gossip_actions actions;

	actions = give_state(other, first, true, GOSSIP_SCOPE_ALL);
	CU_ASSERT_EQUAL(actions.count, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(actions, GOSSIP_OTHER_CLUSTER));
	CU_ASSERT_EQUAL(find(actions, GOSSIP_OTHER_CLUSTER)->id, 3);
	actions = give_packet(first, &packet);
	CU_ASSERT_EQUAL(actions.count, 1);
	CU_ASSERT_PTR_NOT_NULL(find(actions, GOSSIP_OTHER_CLUSTER));
	CU_ASSERT_EQUAL(gossip_counters(first)->refused_cluster, 2);
	CU_ASSERT_EQUAL(gossip_map(first)->stamp, stamp);
	CU_ASSERT_PTR_NULL(membership_find(gossip_membership(first), 3));
	gossip_destroy(first);
	gossip_destroy(other);
}

static void test_a_joiner_learns_the_clusters_id(void)
{
	struct gossip *first = found(1, 0xaaaa), *joiner = create(2, 100);
	struct node_address seed = node_address_ipv4(0x0a000001, GOSSIP_PORT_DEFAULT);
	struct gossip_event join = { .kind = GOSSIP_JOIN, .seeds = &seed, .seed_count = 1 };

	take(joiner, &join);
	CU_ASSERT_EQUAL(gossip_cluster_id(joiner), 0);
	CU_ASSERT_PTR_NOT_NULL(
		find(give_state(joiner, first, true, GOSSIP_SCOPE_ALL), GOSSIP_REPLY_STATE));
	CU_ASSERT_PTR_NOT_NULL(
		find(give_state(first, joiner, false, GOSSIP_SCOPE_ALL), GOSSIP_JOINED));
	CU_ASSERT_EQUAL(gossip_cluster_id(joiner), 0xaaaa);
	gossip_destroy(first);
	gossip_destroy(joiner);
}

/* ---- announcements ---- */

/* specification row 1.3, row 4.2: an import is announced in the very next packet */
static void test_an_import_is_announced_at_once(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200), desired, seen;
	struct gossip_event update = { .kind = GOSSIP_UPDATE_SELF, .node = &desired };
	struct gossip_packet packet;
	uint64_t changed_ms;

	give_record(gossip, &peer);
	while (gossip_pending(gossip) > 0)
		timer(gossip);
	desired = *gossip_self(gossip);
	partition_set_add(&desired.importing_partitions, 9);
	changed_ms = now_ms;
	take(gossip, &update);
	CU_ASSERT_TRUE_FATAL(next_packet(gossip, &packet));
	CU_ASSERT_TRUE(now_ms - changed_ms <= GOSSIP_SPREAD_GAP_MS);
	CU_ASSERT_TRUE(has_record_of(&packet, 1, &seen));
	CU_ASSERT_TRUE(node_is_importing(&seen, 9));
	gossip_packet_release(&packet);
	gossip_destroy(gossip);
}

/* specification row 5.1: a gossip update tells the owner that a peer imports its partition */
static void test_an_owner_hears_of_imports(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);
	struct gossip_actions actions;

	give_record(gossip, &peer);
	partition_set_add(&peer.importing_partitions, 5);
	partition_set_add(&peer.importing_partitions, 63);
	partition_set_add(&peer.importing_partitions, 64); /* the cluster has no such partition */
	peer.record_version = 2;
	actions = give_record(gossip, &peer);
	CU_ASSERT_EQUAL(count(actions, GOSSIP_PEER_IMPORTS), 2);
	CU_ASSERT_EQUAL(find(actions, GOSSIP_PEER_IMPORTS)->id, 2);
	CU_ASSERT_EQUAL(find(actions, GOSSIP_PEER_IMPORTS)->partition, 5);
	actions = give_record(gossip, &peer); /* the same again */
	CU_ASSERT_EQUAL(count(actions, GOSSIP_PEER_IMPORTS), 0);
	partition_set_add(&peer.importing_partitions, 7);
	peer.record_version = 3;
	actions = give_record(gossip, &peer);
	CU_ASSERT_EQUAL(count(actions, GOSSIP_PEER_IMPORTS), 1);
	CU_ASSERT_EQUAL(find(actions, GOSSIP_PEER_IMPORTS)->partition, 7);
	gossip_destroy(gossip);
}

static void test_imports_of_others_partitions_are_not_reported(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);

	CU_ASSERT_EQUAL(gossip_hand_over(gossip, now_ms, 5, 3), 0);
	partition_set_add(&peer.importing_partitions, 5);
	CU_ASSERT_EQUAL(count(give_record(gossip, &peer), GOSSIP_PEER_IMPORTS), 0);
	gossip_destroy(gossip);
}

/* specification row 1.3, row 1.4: a field this version does not know survives the relay */
static void test_records_are_relayed_byte_for_byte(void)
{
	struct gossip *gossip = create_first(1), *third = create(3, 300);
	struct node peer = node_of(2, 200), receiver = node_of(4, 400);
	uint8_t bytes[NODE_RECORD_SIZE_MAX];
	static const uint8_t unknown[] = { 0xc2, 0x3e, 3, 'n', 'e', 'w' };
	size_t size = (size_t)node_record_encode(&peer, bytes, sizeof(bytes));
	struct gossip_packet packet = {
		.sender = 2, .generation = 200, .kind = GOSSIP_UPDATE, .record_count = 1
	};
	const struct member *member;
	bool is_relayed = false;

	give_record(gossip, &receiver);
	while (gossip_pending(gossip) > 0)
		timer(gossip);
	memcpy(bytes + size, unknown, sizeof(unknown));
	size += sizeof(unknown);
	packet.records[0] = (struct gossip_slice){ bytes, size };
	give_packet(gossip, &packet);
	CU_ASSERT_TRUE_FATAL(next_packet(gossip, &packet));
	for (uint32_t i = 0; i < packet.record_count; i++)
		is_relayed |= packet.records[i].size == size &&
			      memcmp(packet.records[i].bytes, bytes, size) == 0;
	CU_ASSERT_TRUE(is_relayed);
	gossip_packet_release(&packet);
	give_state(gossip, third, true, GOSSIP_SCOPE_ALL);
	member = membership_find(gossip_membership(third), 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(member);
	CU_ASSERT_EQUAL(member->record_size, size);
	CU_ASSERT_EQUAL(memcmp(member->record, bytes, size), 0);
	gossip_destroy(gossip);
	gossip_destroy(third);
}

/* ---- packets ---- */

/* However much there is to tell, no packet is longer than the limit, and all is told in the end. */
static void test_packets_keep_their_limit(void)
{
	struct gossip *gossip = create_first(1);
	uint32_t largest = 0;

	for (uint64_t id = 2; id <= 12; id++) {
		struct node peer = node_of(id, 200);

		for (uint32_t p = (uint32_t)id; p < PARTITION_COUNT_MAX; p += 3)
			partition_set_add(&peer.importing_partitions, p);
		give_record(gossip, &peer);
	}
	for (uint32_t p = 0; p < 64; p++)
		CU_ASSERT_EQUAL(gossip_hand_over(gossip, now_ms, p, 2), 0);
	for (uint32_t i = 0; i < 2000 && gossip_pending(gossip) > 0; i++) {
		struct gossip_actions actions = timer(gossip);

		for (uint32_t j = 0; j < actions.count; j++) {
			if (actions.items[j].kind == GOSSIP_SEND && actions.items[j].size > largest)
				largest = (uint32_t)actions.items[j].size;
		}
	}
	CU_ASSERT_TRUE(largest > 1000);
	CU_ASSERT_TRUE(largest + BUS_OVERHEAD <= BUS_DATAGRAM_SIZE_MAX);
	CU_ASSERT_TRUE(gossip_pending(gossip) <= 22); /* suspicions of peers that never answer */
	gossip_destroy(gossip);
}

static void test_a_suspect_hears_of_it_first(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);
	struct gossip_packet ping = {
		.sender = 2, .generation = 200, .kind = GOSSIP_PING, .sequence = 5, .target = 1
	};
	struct gossip_packet packet = {
		.sender = 3, .generation = 1, .kind = GOSSIP_UPDATE, .claim_count = 1
	};
	const struct gossip_action *ack;

	give_record(gossip, &peer);
	packet.claims[0] = (struct membership_claim){ .id = 2,
						      .generation = 200,
						      .incarnation = 0,
						      .kind = CLAIM_SUSPECT,
						      .from_count = 1,
						      .from = { 3 } };
	give_packet(gossip, &packet);
	for (uint32_t i = 0; i < 30;
	     i++) { /* also long after the claim has been told often enough */
		ack = find(give_packet(gossip, &ping), GOSSIP_SEND);
		CU_ASSERT_PTR_NOT_NULL_FATAL(ack);
		CU_ASSERT_EQUAL_FATAL(gossip_packet_decode(&packet, ack->bytes, ack->size), 0);
		CU_ASSERT_EQUAL(packet.kind, GOSSIP_ACK);
		CU_ASSERT_TRUE(packet.claim_count >= 1 && packet.claims[0].id == 2);
		gossip_packet_release(&packet);
	}
	gossip_destroy(gossip);
}

static void test_packets_of_a_life_that_is_over_are_refused(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);
	struct gossip_packet packet = {
		.sender = 2, .generation = 199, .kind = GOSSIP_UPDATE, .owner_count = 1
	};

	give_record(gossip, &peer);
	packet.owners[0] = (struct partition_owner){ .partition = 0, .epoch = 9, .owner = 2 };
	give_packet(gossip, &packet);
	CU_ASSERT_EQUAL(gossip_counters(gossip)->refused_generation, 1);
	CU_ASSERT_EQUAL(partition_map_epoch(gossip_map(gossip), 0), 1);
	packet.generation = 200;
	CU_ASSERT_PTR_NOT_NULL(find(give_packet(gossip, &packet), GOSSIP_MAP_CHANGED));
	CU_ASSERT_EQUAL(partition_map_epoch(gossip_map(gossip), 0), 9);
	gossip_destroy(gossip);
}

/* A removed node that still runs is told so, and nothing it says is taken. */
static void test_a_removed_node_is_told_and_ignored(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);
	struct gossip_packet packet = {
		.sender = 3, .generation = 1, .kind = GOSSIP_UPDATE, .claim_count = 1
	};
	struct gossip_packet ping = { .sender = 2,
				      .generation = 200,
				      .kind = GOSSIP_PING,
				      .sequence = 5,
				      .target = 1,
				      .owner_count = 1 };
	struct gossip_event remove = { .kind = GOSSIP_REMOVE, .id = 2 };
	struct gossip_actions actions;

	give_record(gossip, &peer);
	packet.claims[0] = (struct membership_claim){ .id = 2,
						      .generation = 200,
						      .incarnation = 0,
						      .kind = CLAIM_DEAD,
						      .from_count = 1,
						      .from = { 3 } };
	give_packet(gossip, &packet);
	actions = take(gossip, &remove);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(actions, GOSSIP_MEMBER_CHANGED));
	CU_ASSERT_EQUAL(find(actions, GOSSIP_MEMBER_CHANGED)->after, MEMBER_REMOVED);
	ping.owners[0] = (struct partition_owner){ .partition = 0, .epoch = 9, .owner = 2 };
	actions = give_packet(gossip, &ping);
	CU_ASSERT_EQUAL(partition_map_epoch(gossip_map(gossip), 0), 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(actions, GOSSIP_SEND));
	CU_ASSERT_EQUAL_FATAL(gossip_packet_decode(&packet, find(actions, GOSSIP_SEND)->bytes,
						   find(actions, GOSSIP_SEND)->size),
			      0);
	CU_ASSERT_EQUAL(packet.claims[0].kind, CLAIM_REMOVED);
	CU_ASSERT_EQUAL(packet.claims[0].id, 2);
	gossip_packet_release(&packet);
	gossip_destroy(gossip);
}

static void test_garbage_is_counted_and_dropped(void)
{
	struct gossip *gossip = create_first(1);
	uint8_t bytes[64];
	struct gossip_event event = { .kind = GOSSIP_PACKET,
				      .bytes = bytes,
				      .size = sizeof(bytes) };
	struct gossip_packet packet = { .sender = 2,
					.generation = 1,
					.kind = GOSSIP_UPDATE,
					.map_stamp = gossip_map(gossip)->stamp,
					.record_count = 1 };

	memset(bytes, 0xff, sizeof(bytes));
	CU_ASSERT_EQUAL(take(gossip, &event).count, 0);
	event.kind = GOSSIP_STATE;
	CU_ASSERT_EQUAL(take(gossip, &event).count, 0);
	packet.records[0] = (struct gossip_slice){ bytes, sizeof(bytes) };
	CU_ASSERT_EQUAL(give_packet(gossip, &packet).count, 0);
	CU_ASSERT_EQUAL(gossip_counters(gossip)->refused_malformed, 3);
	gossip_destroy(gossip);
}

/* ---- ownership ---- */

static void test_a_hand_over_reaches_others(void)
{
	struct gossip *owner = create_first(1), *peer = create(2, 200);
	struct gossip_event event = { .kind = GOSSIP_PACKET };
	struct gossip_actions actions;
	const struct gossip_action *send = NULL;

	give_state(owner, peer, false, GOSSIP_SCOPE_ALL);
	give_state(peer, owner, false, GOSSIP_SCOPE_ALL);
	CU_ASSERT_EQUAL(gossip_hand_over(peer, now_ms, 7, 2), -EPERM);
	CU_ASSERT_EQUAL(gossip_hand_over(owner, now_ms, 7, 2), 0);
	CU_ASSERT_EQUAL(gossip_self(owner)->map_stamp, gossip_map(owner)->stamp);
	while (!send)
		send = find(timer(owner), GOSSIP_SEND);
	event.bytes = send->bytes;
	event.size = send->size;
	actions = take(peer, &event);
	CU_ASSERT_PTR_NOT_NULL(find(actions, GOSSIP_MAP_CHANGED));
	CU_ASSERT_EQUAL(partition_map_owner(gossip_map(peer), 7), 2);
	CU_ASSERT_EQUAL(partition_map_epoch(gossip_map(peer), 7), 2);
	gossip_destroy(owner);
	gossip_destroy(peer);
}

static void test_claims_and_learning_follow_the_epoch(void)
{
	struct gossip *gossip = create_first(1);
	struct partition_owner owner = { .partition = 3, .epoch = 4, .owner = 2 };

	CU_ASSERT_TRUE(gossip_learn(gossip, now_ms, &owner));
	CU_ASSERT_FALSE(gossip_learn(gossip, now_ms, &owner));
	CU_ASSERT_EQUAL(gossip_claim(gossip, now_ms, 3, 3), -ESTALE);
	CU_ASSERT_EQUAL(gossip_claim(gossip, now_ms, 3, 4), 0);
	CU_ASSERT_EQUAL(partition_map_owner(gossip_map(gossip), 3), 1);
	CU_ASSERT_EQUAL(partition_map_epoch(gossip_map(gossip), 3), 5);
	CU_ASSERT_EQUAL(gossip_self(gossip)->map_version,
			partition_map_version32(gossip_map(gossip)));
	gossip_destroy(gossip);
}

static void test_a_map_that_differs_is_fetched(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);
	struct gossip_packet packet = {
		.sender = 2, .generation = 200, .kind = GOSSIP_UPDATE, .map_stamp = 12345
	};
	const struct gossip_action *action;

	give_record(gossip, &peer);
	now_ms += 10000;
	action = find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action);
	CU_ASSERT_EQUAL(action->scope, GOSSIP_SCOPE_MAP);
	CU_ASSERT_TRUE(node_address_equals(&action->to, &peer.control));
	/* not with every packet */
	CU_ASSERT_PTR_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	now_ms += GOSSIP_MAP_PULL_INTERVAL_MS;
	CU_ASSERT_PTR_NOT_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	packet.map_stamp = gossip_map(gossip)->stamp;
	now_ms += GOSSIP_MAP_PULL_INTERVAL_MS;
	CU_ASSERT_PTR_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	gossip_destroy(gossip);
}

/* Its record is asked for: the news of it went round while this node was cut off. */
static void test_a_later_life_is_asked_who_it_is(void)
{
	struct gossip *gossip = create_first(1);
	struct node peer = node_of(2, 200);
	struct gossip_packet packet = { .sender = 2,
					.generation = 200,
					.kind = GOSSIP_UPDATE,
					.map_stamp = gossip_map(gossip)->stamp };
	const struct gossip_action *action;

	give_record(gossip, &peer);
	now_ms += 10000;
	CU_ASSERT_PTR_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	packet.generation = 201;
	action = find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(action);
	CU_ASSERT_EQUAL(action->scope, GOSSIP_SCOPE_ALL);
	CU_ASSERT_PTR_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	now_ms += GOSSIP_LIFE_PULL_INTERVAL_MS;
	CU_ASSERT_PTR_NOT_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	peer.generation = 201;
	give_record(gossip, &peer);
	now_ms += GOSSIP_LIFE_PULL_INTERVAL_MS;
	CU_ASSERT_PTR_NULL(find(give_packet(gossip, &packet), GOSSIP_PUSH_PULL));
	gossip_destroy(gossip);
}

static void test_the_map_alone_can_be_exchanged(void)
{
	struct gossip *first = create_first(1), *peer = create(2, 200);

	CU_ASSERT_PTR_NOT_NULL(
		find(give_state(first, peer, false, GOSSIP_SCOPE_MAP), GOSSIP_MAP_CHANGED));
	CU_ASSERT_PTR_NULL(membership_find(gossip_membership(peer), 1));
	CU_ASSERT_EQUAL(gossip_map(peer)->stamp, gossip_map(first)->stamp);
	gossip_destroy(first);
	gossip_destroy(peer);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_a_joiner_learns_members_and_map),
		UNIT_TEST(test_a_joiner_tries_its_seeds_until_one_answers),
		UNIT_TEST(test_a_map_of_another_size_is_refused),
		UNIT_TEST(test_clusters_founded_apart_do_not_merge),
		UNIT_TEST(test_a_joiner_learns_the_clusters_id),
		UNIT_TEST(test_an_import_is_announced_at_once),
		UNIT_TEST(test_an_owner_hears_of_imports),
		UNIT_TEST(test_imports_of_others_partitions_are_not_reported),
		UNIT_TEST(test_records_are_relayed_byte_for_byte),
		UNIT_TEST(test_packets_keep_their_limit),
		UNIT_TEST(test_a_suspect_hears_of_it_first),
		UNIT_TEST(test_packets_of_a_life_that_is_over_are_refused),
		UNIT_TEST(test_a_removed_node_is_told_and_ignored),
		UNIT_TEST(test_garbage_is_counted_and_dropped),
		UNIT_TEST(test_a_hand_over_reaches_others),
		UNIT_TEST(test_claims_and_learning_follow_the_epoch),
		UNIT_TEST(test_a_map_that_differs_is_fetched),
		UNIT_TEST(test_a_later_life_is_asked_who_it_is),
		UNIT_TEST(test_the_map_alone_can_be_exchanged),
		{ NULL, NULL },
	};

	now_ms = 1000;
	return unit_run("gossip", tests);
}
