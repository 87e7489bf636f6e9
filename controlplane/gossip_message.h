/* SPDX-License-Identifier: BSD-3-Clause */
/* What nodes send each other about the cluster, as bytes: gossip packets (UDP) and whole states
 * (TCP).
 */
#ifndef CONTROLPLANE_GOSSIP_MESSAGE_H
#define CONTROLPLANE_GOSSIP_MESSAGE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/bus_crypto.h"
#include "controlplane/membership.h"
#include "controlplane/node_record.h"
#include "controlplane/partition_map.h"

/* A UDP payload on the wire never exceeds BUS_DATAGRAM_SIZE_MAX; encryption takes its part of it.
 */
#define GOSSIP_PACKET_SIZE_MAX BUS_PLAIN_SIZE_MAX

/* Updates in one packet; a packet with more is refused. */
#define GOSSIP_PACKET_RECORD_MAX 32u
#define GOSSIP_PACKET_CLAIM_MAX 64u
#define GOSSIP_PACKET_OWNER_MAX 128u

/* Bytes of a whole state: NODE_COUNT_MAX of the largest records, their claims, the largest map. */
#define GOSSIP_STATE_SIZE_MAX (2u * 1024u * 1024u)

/* Upper bounds of what one update adds to a packet. */
#define GOSSIP_RECORD_OVERHEAD 3u
#define GOSSIP_CLAIM_SIZE_MAX 70u
#define GOSSIP_OWNER_SIZE_MAX 24u
/* Of all fields that are no updates. */
#define GOSSIP_HEADER_SIZE_MAX 92u

static_assert(GOSSIP_HEADER_SIZE_MAX + GOSSIP_RECORD_OVERHEAD + NODE_RECORD_SIZE_MAX <=
		      GOSSIP_PACKET_SIZE_MAX,
	      "the largest record fits a packet");

enum gossip_packet_kind {
	GOSSIP_UPDATE = 1,   /* updates and nothing else */
	GOSSIP_PING = 2,     /* sequence, target: who shall answer */
	GOSSIP_PING_REQ = 3, /* sequence, target, target_address: whom to probe for the sender */
	GOSSIP_ACK = 4,      /* sequence of the ping or ping_req, target: who is alive */
	GOSSIP_NACK = 5,     /* sequence of the ping_req, target: who did not answer */
};

struct gossip_slice {
	const uint8_t *bytes;
	size_t size;
};

/* A decoded packet, or one to encode. Records are encoded nodes (node_record.h). */
struct gossip_packet {
	uint64_t sender;
	uint64_t generation; /* of the sender */
	uint64_t cluster_id; /* drawn by its founder; 0 = the sender is no member yet */
	enum gossip_packet_kind kind;
	uint32_t sequence;
	uint64_t target;
	struct node_address target_address;
	uint64_t map_stamp; /* of the sender's partition map */
	uint32_t record_count;
	uint32_t claim_count;
	uint32_t owner_count;
	struct gossip_slice records[GOSSIP_PACKET_RECORD_MAX];
	struct membership_claim claims[GOSSIP_PACKET_CLAIM_MAX];
	struct partition_owner owners[GOSSIP_PACKET_OWNER_MAX];
	void *memory; /* what the slices of a decoded packet point into */
};

/* Returns the size, or -EMSGSIZE when it is more than 'size_max'. */
int gossip_packet_encode(const struct gossip_packet *packet, uint8_t *bytes, size_t size_max);

/* 0, or, with nothing to release: -EMSGSIZE (too long, or too many updates) or -EINVAL (not a
 * packet; an unknown kind; a claim or ownership out of range). The records' contents are not looked
 * at.
 */
int gossip_packet_decode(struct gossip_packet *packet, const uint8_t *bytes, size_t size);
void gossip_packet_release(struct gossip_packet *packet);

enum gossip_scope {
	GOSSIP_SCOPE_ALL = 1, /* records, claims, map */
	GOSSIP_SCOPE_MAP = 2, /* the map alone */
};

/* The head of a whole state; its contents are streamed to and from the caller. */
struct gossip_state {
	uint64_t sender;
	uint64_t generation;
	uint64_t cluster_id;
	bool is_request; /* the receiver shall answer with its own */
	bool is_whole;   /* the sender knows all that its earlier lives knew, see fence.h */
	enum gossip_scope scope;
	struct node_address reply_to; /* the sender's control address */
	uint32_t record_count;
	uint32_t claim_count;
	struct gossip_slice *records;
	struct membership_claim *claims;
	uint32_t partition_count; /* 0: no map */
	struct partition_owner *owners; /* partition_count; epoch 0 where none is known */
	void *memory;
};

/* As for packets; 'size_max' at most GOSSIP_STATE_SIZE_MAX. May also return -ENOMEM. */
int gossip_state_encode(const struct gossip_state *state, uint8_t *bytes, size_t size_max);
int gossip_state_decode(struct gossip_state *state, const uint8_t *bytes, size_t size);
void gossip_state_release(struct gossip_state *state);

#endif
