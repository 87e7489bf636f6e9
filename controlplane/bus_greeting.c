/* SPDX-License-Identifier: BSD-3-Clause */
/* Greetings as protobuf messages. */
#include "controlplane/bus_greeting.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/cluster.pb-c.h"
#include "controlplane/node_record.h"

const char *bus_refusal_name(enum bus_refusal refusal)
{
	static const char *const names[] = {
		[BUS_ACCEPTED] = "accepted",
		[BUS_REFUSED_UNTRUSTED] = "untrusted",
		[BUS_REFUSED_SERVICE] = "service",
		[BUS_REFUSED_NOT_MEMBER] = "not_member",
		[BUS_REFUSED_CLUSTER] = "other_cluster",
		[BUS_REFUSED_SELF] = "self",
		[BUS_REFUSED_NAME] = "name_taken",
		[BUS_REFUSED_PARTITIONS] = "partition_count",
		[BUS_REFUSED_GONE] = "gone",
		[BUS_REFUSED_BUSY] = "busy",
		[BUS_REFUSED_OTHER] = "other",
	};

	return refusal <= BUS_REFUSED_OTHER ? names[refusal] : "other";
}

/* A Peer and what its pointers point into. */
struct peer_message {
	Godwit__Peer message;
	struct node_address_message control;
};

static void peer_encode(const struct bus_peer *peer, struct peer_message *room)
{
	Godwit__Peer *message = &room->message;

	godwit__peer__init(message);
	message->id = peer->id;
	message->generation = peer->generation;
	message->name = (char *)peer->name;
	message->control = node_address_encode(&peer->control, &room->control);
	message->cluster = peer->cluster_id;
	message->partition_count = peer->partition_count;
	message->may_found = peer->may_found;
}

static int peer_decode(struct bus_peer *peer, const Godwit__Peer *message)
{
	memset(peer, 0, sizeof(*peer));
	if (!message || message->id == 0 || message->generation == 0 ||
	    !node_name_is_valid(message->name) ||
	    node_address_decode(&peer->control, message->control) != 0)
		return -EINVAL;
	strcpy(peer->name, message->name);
	peer->id = message->id;
	peer->generation = message->generation;
	peer->cluster_id = message->cluster;
	peer->partition_count = message->partition_count;
	peer->may_found = message->may_found;
	return 0;
}

size_t bus_open_encode(const struct bus_open *open, uint8_t *bytes)
{
	Godwit__ChannelOpen message = GODWIT__CHANNEL_OPEN__INIT;
	struct peer_message peer;

	peer_encode(&open->peer, &peer);
	message.peer = &peer.message;
	message.service = (char *)open->service;
	assert(godwit__channel_open__get_packed_size(&message) <= BUS_GREETING_SIZE_MAX);
	return godwit__channel_open__pack(&message, bytes);
}

size_t bus_answer_encode(const struct bus_answer *answer, uint8_t *bytes)
{
	Godwit__ChannelAnswer message = GODWIT__CHANNEL_ANSWER__INIT;
	struct peer_message peer;

	peer_encode(&answer->peer, &peer);
	message.peer = &peer.message;
	message.refusal = (uint32_t)answer->refusal;
	message.detail = (char *)answer->detail;
	assert(godwit__channel_answer__get_packed_size(&message) <= BUS_GREETING_SIZE_MAX);
	return godwit__channel_answer__pack(&message, bytes);
}

int bus_open_decode(struct bus_open *open, const uint8_t *bytes, size_t size)
{
	Godwit__ChannelOpen *message;
	int result;

	message = size <= BUS_GREETING_SIZE_MAX ? godwit__channel_open__unpack(NULL, size, bytes)
						: NULL;
	if (!message)
		return -EINVAL;
	result = peer_decode(&open->peer, message->peer);
	if (strlen(message->service) >= sizeof(open->service))
		result = -EINVAL;
	else
		strcpy(open->service, message->service);
	godwit__channel_open__free_unpacked(message, NULL);
	return result;
}

/* What others say to people must not steer their terminals. */
static void copy_detail(char *detail, const char *from)
{
	snprintf(detail, BUS_DETAIL_SIZE, "%s", from);
	for (char *at = detail; *at; at++) {
		if ((unsigned char)*at < ' ' || (unsigned char)*at >= 0x7f)
			*at = '?';
	}
}

int bus_answer_decode(struct bus_answer *answer, const uint8_t *bytes, size_t size)
{
	Godwit__ChannelAnswer *message;
	int result;

	message = size <= BUS_GREETING_SIZE_MAX ? godwit__channel_answer__unpack(NULL, size, bytes)
						: NULL;
	if (!message)
		return -EINVAL;
	result = peer_decode(&answer->peer, message->peer);
	answer->refusal = message->refusal <= BUS_REFUSED_OTHER ? (enum bus_refusal)message->refusal
								: BUS_REFUSED_OTHER;
	copy_detail(answer->detail, message->detail);
	godwit__channel_answer__free_unpacked(message, NULL);
	return result;
}
