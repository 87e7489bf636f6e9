/* SPDX-License-Identifier: BSD-3-Clause */
/* Nodes of a later release: they add fields that nobody knows yet, and send what only they understand besides. */
#include "tests/simulation/sim_state.h"

#include <stdlib.h>
#include <string.h>

#include "controlplane/bus_greeting.h"
#include "controlplane/cluster.pb-c.h"
#include "controlplane/gossip_message.h"
#include "dataplane/packet_format.h"
#include "dataplane/wire_codec.h"

/* Fields 1000 to 1003, one of each type on the wire; protobuf takes the last 'kind' (field 3) of a packet. */
static const uint8_t later_fields[] = { 0xc0, 0x3e, 0x01, 0xca, 0x3e, 0x05, 'l',  'a',  't',
					'e',  'r',  0xd1, 0x3e, 0x01, 0x02, 0x03, 0x04, 0x05,
					0x06, 0x07, 0x08, 0xdd, 0x3e, 0x01, 0x02, 0x03, 0x04 };
static const uint8_t later_kind[] = { 0x18, 0x63 };
#define LATER_FRAME 9u
#define LATER_ONE_IN 20u
#define SIZE_MAX_OF_FRAME 2048u

static bool is_chosen(struct sim *sim)
{
	return !sim->is_healed &&
	       prng_below(&sim->fault_prngs[SIM_FAULT_NUMBER_VERSIONS], LATER_ONE_IN) == 0;
}

/* Every second node, from the first moment to the last. */
static bool is_newer(const struct sim *sim, uint32_t node)
{
	return sim->faults & SIM_FAULT_VERSIONS && node < SIM_NODE_MAX && node % 2 == 1;
}

static size_t append(uint8_t *bytes, size_t size, const uint8_t *more, size_t more_size)
{
	memcpy(bytes + size, more, more_size);
	return size + more_size;
}

/* ---- fields at each level of a message ---- */

/* The first of the fields above, in each message within 'message'; and in itself. Taken out again they are not freed. */
static void set_later_field(ProtobufCMessage *message, bool is_set)
{
	/* protobuf-c has no const; packing only reads */
	static const uint8_t one = 1;
	static const ProtobufCMessageUnknownField field = { 1000, PROTOBUF_C_WIRE_TYPE_VARINT, 1,
							    (uint8_t *)(uintptr_t)&one };
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;

	message->n_unknown_fields = is_set;
	message->unknown_fields = is_set ? (ProtobufCMessageUnknownField *)(uintptr_t)&field : NULL;
	for (uint32_t i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *known = &descriptor->fields[i];
		void *member = (uint8_t *)message + known->offset;
		ProtobufCMessage **inner = member;
		size_t count;

		if (known->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		count = *inner != NULL;
		if (known->label == PROTOBUF_C_LABEL_REPEATED) {
			inner = *(ProtobufCMessage ***)member;
			count = *(size_t *)(void *)((uint8_t *)message + known->quantifier_offset);
		}
		for (size_t k = 0; k < count; k++)
			set_later_field(inner[k], is_set);
	}
}

static void *unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size)
{
	void *message = protobuf_c_message_unpack(descriptor, NULL, size, bytes);

	if (!message)
		abort();
	return message;
}

/* Packs the message with fields at each level, the last of them at its end, if that fits; its size, else 0. */
static size_t pack(ProtobufCMessage *message, uint8_t *bytes, size_t size_max)
{
	size_t size = 0;

	set_later_field(message, true);
	if (protobuf_c_message_get_packed_size(message) + sizeof(later_fields) <= size_max) {
		size = protobuf_c_message_pack(message, bytes);
		size = append(bytes, size, later_fields, sizeof(later_fields));
	}
	set_later_field(message, false);
	return size;
}

/* Nodes write their own records, and relay those of others as they are. */
static void renew_records(uint32_t from, ProtobufCBinaryData *records, size_t count)
{
	uint8_t bytes[NODE_RECORD_SIZE_MAX];

	for (size_t i = 0; i < count; i++) {
		Godwit__NodeRecord *record =
			unpack(&godwit__node_record__descriptor, records[i].data, records[i].len);
		size_t size = 0;

		if (record->id == sim_node_id(from))
			size = pack(&record->base, bytes, sizeof(bytes));
		if (size > 0) {
			free(records[i].data);
			records[i].data = malloc(size);
			if (!records[i].data)
				abort();
			memcpy(records[i].data, bytes, size);
			records[i].len = size;
		}
		godwit__node_record__free_unpacked(record, NULL);
	}
}

/* ---- what nodes send each other ---- */

/* A packet that has no room has less news: later releases know how large theirs are. */
static void drop_news(Godwit__GossipPacket *packet)
{
	if (packet->n_partitions > 0)
		godwit__partition_owner__free_unpacked(packet->partitions[--packet->n_partitions],
						       NULL);
	else if (packet->n_claims > 0)
		godwit__claim__free_unpacked(packet->claims[--packet->n_claims], NULL);
	else
		abort();
}

size_t sim_renew_gossip(struct sim *sim, uint32_t from, uint8_t *bytes, size_t size,
			size_t *unknown_size)
{
	const size_t size_max = GOSSIP_PACKET_SIZE_MAX - sizeof(later_kind);
	Godwit__GossipPacket *packet;

	*unknown_size = 0;
	if (!is_newer(sim, from))
		return size;
	packet = unpack(&godwit__gossip_packet__descriptor, bytes, size);
	renew_records(from, packet->records, packet->n_records);
	while ((size = pack(&packet->base, bytes, size_max)) == 0)
		drop_news(packet);
	godwit__gossip_packet__free_unpacked(packet, NULL);
	sim->result->counts.renewed++;
	if (is_chosen(sim))
		*unknown_size = append(bytes, size, later_kind, sizeof(later_kind));
	return size;
}

static size_t renew(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t size,
		    uint8_t *renewed, size_t size_max)
{
	ProtobufCMessage *message = unpack(descriptor, bytes, size);
	size_t renewed_size = pack(message, renewed, size_max);

	if (renewed_size == 0)
		abort();
	protobuf_c_message_free_unpacked(message, NULL);
	return renewed_size;
}

static size_t renew_state(uint32_t from, const uint8_t *bytes, size_t size, uint8_t *renewed,
			  size_t size_max)
{
	Godwit__ClusterState *state = unpack(&godwit__cluster_state__descriptor, bytes, size);

	renew_records(from, state->records, state->n_records);
	size = pack(&state->base, renewed, size_max);
	if (size == 0)
		abort();
	godwit__cluster_state__free_unpacked(state, NULL);
	return size;
}

size_t sim_renew_exchange(struct sim *sim, uint32_t from, bool is_answer, const uint8_t *bytes,
			  size_t size, uint8_t renewed[SIM_EXCHANGE_SIZE_MAX])
{
	size_t used = sizeof(uint16_t), greeting = wire_get_u16(bytes);
	size_t renewed_size;

	if (!is_newer(sim, from)) {
		memcpy(renewed, bytes, size);
		return size;
	}
	sim->result->counts.renewed++;
	renewed_size = renew(is_answer ? &godwit__channel_answer__descriptor
				       : &godwit__channel_open__descriptor,
			     bytes + used, greeting, renewed + used, BUS_GREETING_SIZE_MAX);
	wire_put_u16(renewed, (uint16_t)renewed_size);
	renewed_size += used;
	used += greeting;
	if (used < size) /* it does not refuse */
		renewed_size += renew_state(from, bytes + used, size - used, renewed + renewed_size,
					    SIM_EXCHANGE_SIZE_MAX - renewed_size);
	return renewed_size;
}

static bool is_renewed(const struct member *member)
{
	const uint8_t *end = member->record + member->record_size;

	return member->record_size > sizeof(later_fields) &&
	       memcmp(end - sizeof(later_fields), later_fields, sizeof(later_fields)) == 0;
}

void sim_check_records(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->node_count; i++) {
		const struct sim_node *node = sim->servers[i].node;

		for (uint32_t of = 0; node && of < sim->node_count; of++) {
			const struct membership *members = gossip_membership(node->gossip);

			if (of != i && is_newer(sim, of) && !sim->servers[of].is_away &&
			    !is_renewed(membership_find(members, sim_node_id(of))))
				sim_history_violate(&sim->history, SIM_INVARIANT_REFUSAL,
						    "fields of node %u are lost on their way to "
						    "node %u",
						    of, i);
		}
	}
}

size_t sim_renew_sync(struct sim *sim, uint32_t from, uint8_t *bytes, size_t size, bool *is_unknown)
{
	enum sync_frame_kind kind = SYNC_FRAME_CONTROL;
	struct sync_frame frame;

	*is_unknown = false;
	if (!is_newer(sim, from) || sync_frame_decode(&frame, bytes, size) != 0 ||
	    frame.kind != SYNC_FRAME_CONTROL)
		return size;
	sim->result->counts.renewed++;
	*is_unknown = is_chosen(sim);
	if (*is_unknown)
		kind = (enum sync_frame_kind)LATER_FRAME;
	size = append(bytes, size, later_fields, sizeof(later_fields));
	return sync_frame_seal(bytes, kind, size - SYNC_FRAME_HEADER_SIZE);
}

bool sim_renew_frame(struct sim *sim, uint32_t from, const uint8_t *frame, size_t size,
		     uint8_t *later)
{
	if (!is_newer(sim, from) || size < PACKET_HEADERS_SIZE + WIRE_HEADER_SIZE ||
	    size > SIZE_MAX_OF_FRAME || !is_chosen(sim))
		return false;
	sim->result->counts.renewed++;
	memcpy(later, frame, size);
	later[PACKET_AT_UDP_PAYLOAD + WIRE_AT_VERSION] = WIRE_VERSION + 1;
	wire_put_u16(later + PACKET_AT_UDP_CHECKSUM, 0); /* none */
	return true;
}
