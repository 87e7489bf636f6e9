/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes out: packets, filled up with news, and whole states. */
#include "controlplane/gossip_parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "controlplane/node_record.h"

/* ---- records and claims ---- */

/* This node's record as bytes; encoded anew only after a change. */
static struct gossip_slice self_slice(struct gossip *gossip)
{
	const struct node *self = membership_self(gossip->membership);

	if (gossip->self_record_size == 0 || node_compare_age(self, &gossip->encoded_self) != 0) {
		int size =
			node_record_encode(self, gossip->self_record, sizeof(gossip->self_record));

		assert(size > 0); /* NODE_RECORD_SIZE_MAX holds any record */
		gossip->self_record_size = (uint32_t)size;
		gossip->encoded_self = *self;
	}
	return (struct gossip_slice){ gossip->self_record, gossip->self_record_size };
}

/* The bytes to relay; size 0 when there is no record. */
static struct gossip_slice record_slice(struct gossip *gossip, uint32_t index)
{
	const struct member *member = membership_at(gossip->membership, index);

	if (index == GOSSIP_SELF)
		return self_slice(gossip);
	if (!member)
		return (struct gossip_slice){ NULL, 0 };
	return (struct gossip_slice){ member->record, member->record_size };
}

static bool has_claim(const struct member *member)
{
	return member &&
	       (member_state(member) == MEMBER_SUSPECT || member_state(member) == MEMBER_DEAD ||
		member_state(member) == MEMBER_REMOVED);
}

/* ---- packets ---- */

static bool add_record(struct gossip *gossip, struct gossip_packet *packet, uint32_t index,
		       size_t *left)
{
	struct gossip_slice slice = record_slice(gossip, index);

	if (packet->record_count == GOSSIP_PACKET_RECORD_MAX ||
	    slice.size + GOSSIP_RECORD_OVERHEAD > *left)
		return false;
	*left -= slice.size + GOSSIP_RECORD_OVERHEAD;
	packet->records[packet->record_count++] = slice;
	return true;
}

static bool add_claim(struct gossip_packet *packet, const struct member *member, size_t *left)
{
	if (packet->claim_count == GOSSIP_PACKET_CLAIM_MAX || GOSSIP_CLAIM_SIZE_MAX > *left)
		return false;
	*left -= GOSSIP_CLAIM_SIZE_MAX;
	packet->claims[packet->claim_count++] = member->claim;
	return true;
}

static bool add_owner(const struct gossip *gossip, struct gossip_packet *packet, uint32_t partition,
		      size_t *left)
{
	if (packet->owner_count == GOSSIP_PACKET_OWNER_MAX || GOSSIP_OWNER_SIZE_MAX > *left)
		return false;
	*left -= GOSSIP_OWNER_SIZE_MAX;
	packet->owners[packet->owner_count++] = gossip->map.partitions[partition];
	return true;
}

/* Whether there is still something to say about the piece. */
static bool is_current(struct gossip *gossip, enum gossip_topic topic, uint32_t index)
{
	if (topic == GOSSIP_TOPIC_RECORD)
		return record_slice(gossip, index).size > 0;
	if (topic == GOSSIP_TOPIC_CLAIM)
		return has_claim(membership_at(gossip->membership, index));
	return gossip->map.partitions[index].epoch > 0;
}

static bool add_piece(struct gossip *gossip, struct gossip_packet *packet, enum gossip_topic topic,
		      uint32_t index, size_t *left)
{
	if (topic == GOSSIP_TOPIC_RECORD)
		return add_record(gossip, packet, index, left);
	if (topic == GOSSIP_TOPIC_CLAIM)
		return add_claim(packet, membership_at(gossip->membership, index), left);
	return add_owner(gossip, packet, index, left);
}

/* Fills what is left of the packet with news, the least told first. */
static void add_news(struct gossip *gossip, struct gossip_packet *packet, size_t left)
{
	uint32_t limit = gossip_retransmit_limit(membership_live_count(gossip->membership));
	struct gossip_queue_cursor cursor;
	enum gossip_topic topic;
	uint32_t index;

	gossip_queue_walk(&gossip->queue, &cursor);
	while (left >= GOSSIP_OWNER_SIZE_MAX &&
	       gossip_queue_next(&gossip->queue, &cursor, &topic, &index)) {
		if (!is_current(gossip, topic, index))
			gossip_queue_drop(&gossip->queue, topic, index);
		else if (add_piece(gossip, packet, topic, index, &left))
			gossip_queue_mark_sent(&gossip->queue, topic, index, limit);
	}
}

void gossip_send_packet(struct gossip *gossip, struct gossip_packet *packet,
			const struct node_address *to, uint64_t about)
{
	const struct node *self = membership_self(gossip->membership);
	const struct member *receiver = membership_find(gossip->membership, about);
	size_t left = GOSSIP_PACKET_SIZE_MAX - GOSSIP_HEADER_SIZE_MAX;
	struct gossip_action *action;
	int size;

	if (gossip->send_count == GOSSIP_SEND_COUNT_MAX)
		return;
	packet->sender = self->id;
	packet->generation = self->generation;
	packet->cluster_id = gossip->cluster_id;
	packet->map_stamp = gossip->map.stamp;
	if (has_claim(receiver))
		add_claim(packet, receiver, &left);
	add_news(gossip, packet, left);
	size = gossip_packet_encode(packet, gossip->sends[gossip->send_count],
				    GOSSIP_PACKET_SIZE_MAX);
	assert(size > 0); /* the sizes added up are upper bounds */
	action = gossip_add_action(gossip, GOSSIP_SEND);
	action->to = *to;
	action->id = about;
	action->bytes = gossip->sends[gossip->send_count++];
	action->size = (size_t)size;
	gossip->counters.packets_out++;
	gossip->counters.bytes_out += (uint64_t)size;
}

/* ---- whole states ---- */

static void collect_members(struct gossip *gossip, struct gossip_state *state)
{
	for (uint32_t i = 0; i < membership_index_end(gossip->membership); i++) {
		const struct member *member = membership_at(gossip->membership, i);
		struct gossip_slice slice = record_slice(gossip, i);

		if (slice.size > 0)
			state->records[state->record_count++] = slice;
		if (has_claim(member))
			state->claims[state->claim_count++] = member->claim;
	}
}

static int encode_state(struct gossip *gossip, struct gossip_state *state, uint8_t *bytes,
			size_t size_max)
{
	uint32_t end = membership_index_end(gossip->membership);
	int size = -ENOMEM;

	state->records = calloc(end, sizeof(*state->records));
	state->claims = calloc(end, sizeof(*state->claims));
	if (state->records && state->claims) {
		if (state->scope == GOSSIP_SCOPE_ALL)
			collect_members(gossip, state);
		size = gossip_state_encode(state, bytes, size_max);
	}
	free(state->records);
	free(state->claims);
	return size;
}

int gossip_state(struct gossip *gossip, bool is_request, enum gossip_scope scope, uint8_t *bytes,
		 size_t size_max)
{
	const struct node *self = membership_self(gossip->membership);
	struct gossip_state state = {
		.sender = self->id,
		.generation = self->generation,
		.cluster_id = gossip->cluster_id,
		.is_request = is_request,
		.scope = scope,
		.is_whole = gossip->is_whole,
		.reply_to = self->control,
		.partition_count = gossip->map.partition_count,
		.owners = gossip->map.partitions,
	};
	int size = encode_state(gossip, &state, bytes, size_max);

	if (size > 0) {
		gossip->counters.states_out++;
		gossip->counters.state_bytes_out += (uint64_t)size;
	}
	return size;
}
