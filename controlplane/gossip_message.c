/* SPDX-License-Identifier: BSD-3-Clause */
/* What nodes send each other about the cluster, as bytes: gossip packets (UDP) and whole states
 * (TCP).
 */
#include "controlplane/gossip_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/proto_budget.h"

/* protobuf-c keeps a note of about 50 bytes for each field it meets, and a field takes at least 2.
 */
#define PACKET_BUDGET_SIZE (128u * 1024u)
#define STATE_BUDGET_SIZE (64u * 1024u * 1024u)

/* ---- claims and owners ---- */

struct claim_message {
	Godwit__Claim message;
	uint64_t from[MEMBERSHIP_CLAIM_FROM_MAX];
};

static Godwit__Claim *claim_encode(const struct membership_claim *claim, struct claim_message *room)
{
	godwit__claim__init(&room->message);
	room->message.id = claim->id;
	room->message.generation = claim->generation;
	room->message.incarnation = claim->incarnation;
	room->message.kind = claim->kind;
	memcpy(room->from, claim->from, sizeof(room->from));
	room->message.from = room->from;
	room->message.n_from = claim->from_count;
	return &room->message;
}

static int claim_decode(struct membership_claim *claim, const Godwit__Claim *message)
{
	memset(claim, 0, sizeof(*claim));
	if (message->id == 0 || message->n_from > MEMBERSHIP_CLAIM_FROM_MAX ||
	    message->kind < CLAIM_SUSPECT || message->kind > CLAIM_REMOVED)
		return -EINVAL;
	claim->id = message->id;
	claim->generation = message->generation;
	claim->incarnation = message->incarnation;
	claim->kind = (enum membership_claim_kind)message->kind;
	claim->from_count = (uint32_t)message->n_from;
	for (uint32_t i = 0; i < claim->from_count; i++)
		claim->from[i] = message->from[i];
	return 0;
}

static int owner_decode(struct partition_owner *owner, const Godwit__PartitionOwner *message)
{
	if (message->partition >= PARTITION_COUNT_MAX || message->epoch > PARTITION_EPOCH_MAX)
		return -EINVAL;
	owner->partition = message->partition;
	owner->epoch = message->epoch;
	owner->owner = message->owner;
	return 0;
}

static void slices_encode(ProtobufCBinaryData *data, const struct gossip_slice *slices,
			  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		/* protobuf-c has no const; packing only reads. */
		data[i].data = (uint8_t *)(uintptr_t)slices[i].bytes;
		data[i].len = slices[i].size;
	}
}

static void slices_decode(struct gossip_slice *slices, const ProtobufCBinaryData *data,
			  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		slices[i].bytes = data[i].data;
		slices[i].size = data[i].len;
	}
}

/* ---- packets ---- */

/* The message and everything it points at. */
struct packet_message {
	Godwit__GossipPacket message;
	struct node_address_message target_address;
	ProtobufCBinaryData records[GOSSIP_PACKET_RECORD_MAX];
	struct claim_message claims[GOSSIP_PACKET_CLAIM_MAX];
	Godwit__Claim *claim_pointers[GOSSIP_PACKET_CLAIM_MAX];
	Godwit__PartitionOwner owners[GOSSIP_PACKET_OWNER_MAX];
	Godwit__PartitionOwner *owner_pointers[GOSSIP_PACKET_OWNER_MAX];
};

static void packet_updates(struct packet_message *room, const struct gossip_packet *packet)
{
	slices_encode(room->records, packet->records, packet->record_count);
	for (uint32_t i = 0; i < packet->claim_count; i++)
		room->claim_pointers[i] = claim_encode(&packet->claims[i], &room->claims[i]);
	for (uint32_t i = 0; i < packet->owner_count; i++) {
		Godwit__PartitionOwner *owner = &room->owners[i];

		godwit__partition_owner__init(owner);
		owner->partition = packet->owners[i].partition;
		owner->owner = packet->owners[i].owner;
		owner->epoch = packet->owners[i].epoch;
		room->owner_pointers[i] = owner;
	}
	room->message.records = room->records;
	room->message.n_records = packet->record_count;
	room->message.claims = room->claim_pointers;
	room->message.n_claims = packet->claim_count;
	room->message.partitions = room->owner_pointers;
	room->message.n_partitions = packet->owner_count;
}

int gossip_packet_encode(const struct gossip_packet *packet, uint8_t *bytes, size_t size_max)
{
	struct packet_message room;
	size_t size;

	godwit__gossip_packet__init(&room.message);
	room.message.sender = packet->sender;
	room.message.generation = packet->generation;
	room.message.cluster = packet->cluster_id;
	room.message.kind = packet->kind;
	room.message.sequence = packet->sequence;
	room.message.target = packet->target;
	room.message.target_address =
		node_address_encode(&packet->target_address, &room.target_address);
	room.message.map_stamp = packet->map_stamp;
	packet_updates(&room, packet);
	size = godwit__gossip_packet__get_packed_size(&room.message);
	if (size > size_max)
		return -EMSGSIZE;
	return (int)godwit__gossip_packet__pack(&room.message, bytes);
}

static int message_to_packet(struct gossip_packet *packet, const Godwit__GossipPacket *message)
{
	if (message->n_records > GOSSIP_PACKET_RECORD_MAX ||
	    message->n_claims > GOSSIP_PACKET_CLAIM_MAX ||
	    message->n_partitions > GOSSIP_PACKET_OWNER_MAX)
		return -EMSGSIZE;
	if (message->sender == 0 || message->kind < GOSSIP_UPDATE || message->kind > GOSSIP_NACK ||
	    node_address_decode(&packet->target_address, message->target_address) != 0)
		return -EINVAL;
	packet->sender = message->sender;
	packet->generation = message->generation;
	packet->cluster_id = message->cluster;
	packet->kind = (enum gossip_packet_kind)message->kind;
	packet->sequence = message->sequence;
	packet->target = message->target;
	packet->map_stamp = message->map_stamp;
	packet->record_count = (uint32_t)message->n_records;
	packet->claim_count = (uint32_t)message->n_claims;
	packet->owner_count = (uint32_t)message->n_partitions;
	slices_decode(packet->records, message->records, packet->record_count);
	for (uint32_t i = 0; i < packet->claim_count; i++) {
		if (claim_decode(&packet->claims[i], message->claims[i]) != 0)
			return -EINVAL;
	}
	for (uint32_t i = 0; i < packet->owner_count; i++) {
		if (owner_decode(&packet->owners[i], message->partitions[i]) != 0)
			return -EINVAL;
	}
	return 0;
}

int gossip_packet_decode(struct gossip_packet *packet, const uint8_t *bytes, size_t size)
{
	struct proto_budget budget;
	Godwit__GossipPacket *message;
	int error;

	if (size > GOSSIP_PACKET_SIZE_MAX)
		return -EMSGSIZE;
	proto_budget_init(&budget, PACKET_BUDGET_SIZE);
	message = godwit__gossip_packet__unpack(&budget.allocator, size, bytes);
	if (!message)
		return -EINVAL;
	error = message_to_packet(packet, message);
	packet->memory = message;
	if (error)
		gossip_packet_release(packet);
	return error;
}

void gossip_packet_release(struct gossip_packet *packet)
{
	godwit__gossip_packet__free_unpacked(packet->memory, NULL);
	packet->memory = NULL;
}

/* ---- maps ---- */

struct map_message {
	Godwit__PartitionMap message;
	uint32_t owner_count;
	uint64_t owners[NODE_COUNT_MAX + 1];
	uint32_t owner_index[PARTITION_COUNT_MAX];
	uint32_t epochs[PARTITION_COUNT_MAX];
};

/* Which of the owners listed so far 'owner' is. Maps have runs: the one before is tried first. */
static int index_of_owner(struct map_message *room, uint64_t owner, uint32_t guess)
{
	if (guess < room->owner_count && room->owners[guess] == owner)
		return (int)guess;
	for (uint32_t i = 0; i < room->owner_count; i++) {
		if (room->owners[i] == owner)
			return (int)i;
	}
	if (room->owner_count > NODE_COUNT_MAX)
		return -EMSGSIZE;
	room->owners[room->owner_count] = owner;
	return (int)room->owner_count++;
}

static int map_encode(struct map_message *room, const struct gossip_state *state)
{
	int index = 0;

	godwit__partition_map__init(&room->message);
	room->owner_count = 0;
	for (uint32_t p = 0; p < state->partition_count; p++) {
		index = index_of_owner(room, state->owners[p].owner, (uint32_t)index);
		if (index < 0)
			return index;
		room->owner_index[p] = (uint32_t)index;
		room->epochs[p] = state->owners[p].epoch;
	}
	room->message.partition_count = state->partition_count;
	room->message.owners = room->owners;
	room->message.n_owners = room->owner_count;
	room->message.owner_index = room->owner_index;
	room->message.n_owner_index = state->partition_count;
	room->message.epochs = room->epochs;
	room->message.n_epochs = state->partition_count;
	return 0;
}

static int map_decode(struct gossip_state *state, const Godwit__PartitionMap *message)
{
	uint32_t count = message->partition_count;

	if (!partition_count_is_valid(count) || message->n_owner_index != count ||
	    message->n_epochs != count)
		return -EINVAL;
	state->owners = calloc(count, sizeof(*state->owners));
	if (!state->owners)
		return -ENOMEM;
	state->partition_count = count;
	for (uint32_t p = 0; p < count; p++) {
		if (message->owner_index[p] >= message->n_owners ||
		    message->epochs[p] > PARTITION_EPOCH_MAX)
			return -EINVAL;
		state->owners[p].partition = p;
		state->owners[p].owner = message->owners[message->owner_index[p]];
		state->owners[p].epoch = message->epochs[p];
	}
	return 0;
}

/* ---- states ---- */

struct state_message {
	Godwit__ClusterState message;
	struct node_address_message reply_to;
	struct map_message map;
	ProtobufCBinaryData records[NODE_COUNT_MAX];
	struct claim_message claims[NODE_COUNT_MAX];
	Godwit__Claim *claim_pointers[NODE_COUNT_MAX];
};

static int state_contents(struct state_message *room, const struct gossip_state *state)
{
	Godwit__ClusterState *message = &room->message;

	if (state->record_count > NODE_COUNT_MAX || state->claim_count > NODE_COUNT_MAX)
		return -EMSGSIZE;
	slices_encode(room->records, state->records, state->record_count);
	for (uint32_t i = 0; i < state->claim_count; i++)
		room->claim_pointers[i] = claim_encode(&state->claims[i], &room->claims[i]);
	message->records = room->records;
	message->n_records = state->record_count;
	message->claims = room->claim_pointers;
	message->n_claims = state->claim_count;
	if (state->partition_count == 0)
		return 0;
	message->map = &room->map.message;
	return map_encode(&room->map, state);
}

int gossip_state_encode(const struct gossip_state *state, uint8_t *bytes, size_t size_max)
{
	struct state_message *room = malloc(sizeof(*room));
	size_t size;
	int result;

	if (!room)
		return -ENOMEM;
	godwit__cluster_state__init(&room->message);
	room->message.sender = state->sender;
	room->message.generation = state->generation;
	room->message.cluster = state->cluster_id;
	room->message.is_request = state->is_request;
	room->message.is_whole = state->is_whole;
	room->message.scope = state->scope;
	room->message.reply_to = node_address_encode(&state->reply_to, &room->reply_to);
	result = state_contents(room, state);
	size = result == 0 ? godwit__cluster_state__get_packed_size(&room->message) : 0;
	if (result == 0 && size > size_max)
		result = -EMSGSIZE;
	if (result == 0)
		result = (int)godwit__cluster_state__pack(&room->message, bytes);
	free(room);
	return result;
}

static int state_lists(struct gossip_state *state, const Godwit__ClusterState *message)
{
	if (message->n_records > NODE_COUNT_MAX || message->n_claims > NODE_COUNT_MAX)
		return -EMSGSIZE;
	state->records = calloc(message->n_records + 1, sizeof(*state->records));
	state->claims = calloc(message->n_claims + 1, sizeof(*state->claims));
	if (!state->records || !state->claims)
		return -ENOMEM;
	state->record_count = (uint32_t)message->n_records;
	state->claim_count = (uint32_t)message->n_claims;
	slices_decode(state->records, message->records, state->record_count);
	for (uint32_t i = 0; i < state->claim_count; i++) {
		if (claim_decode(&state->claims[i], message->claims[i]) != 0)
			return -EINVAL;
	}
	return 0;
}

static int message_to_state(struct gossip_state *state, const Godwit__ClusterState *message)
{
	int error;

	if (message->sender == 0 || message->scope < GOSSIP_SCOPE_ALL ||
	    message->scope > GOSSIP_SCOPE_MAP ||
	    node_address_decode(&state->reply_to, message->reply_to) != 0)
		return -EINVAL;
	state->sender = message->sender;
	state->generation = message->generation;
	state->cluster_id = message->cluster;
	state->is_request = message->is_request;
	state->is_whole = message->is_whole;
	state->scope = (enum gossip_scope)message->scope;
	error = state_lists(state, message);
	if (error == 0 && message->map)
		error = map_decode(state, message->map);
	return error;
}

int gossip_state_decode(struct gossip_state *state, const uint8_t *bytes, size_t size)
{
	struct proto_budget budget;
	Godwit__ClusterState *message;
	int error;

	if (size > GOSSIP_STATE_SIZE_MAX)
		return -EMSGSIZE;
	proto_budget_init(&budget, STATE_BUDGET_SIZE);
	message = godwit__cluster_state__unpack(&budget.allocator, size, bytes);
	if (!message)
		return -EINVAL;
	memset(state, 0, sizeof(*state));
	state->memory = message;
	error = message_to_state(state, message);
	if (error)
		gossip_state_release(state);
	return error;
}

void gossip_state_release(struct gossip_state *state)
{
	godwit__cluster_state__free_unpacked(state->memory, NULL);
	free(state->records);
	free(state->claims);
	free(state->owners);
	memset(state, 0, sizeof(*state));
}
