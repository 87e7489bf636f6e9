/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's record as bytes: what its node encodes once, and all others decode and relay as they got
 * it.
 */
#include "controlplane/node_record.h"

#include <errno.h>
#include <string.h>

#include "controlplane/proto_budget.h"

/* Room to decode the largest record: unpacked gaps take four times their bytes, and protobuf-c's
 * own lists more.
 */
#define DECODE_BUDGET_SIZE (64u * 1024u)

#define BITMAP_SIZE_MAX (PARTITION_COUNT_MAX / 8u)
/* More gaps than this take as many bytes as the whole bitmap. */
#define GAP_COUNT_MAX BITMAP_SIZE_MAX

struct set_message {
	Godwit__PartitionSet message;
	uint32_t gaps[GAP_COUNT_MAX];
	uint8_t bitmap[BITMAP_SIZE_MAX];
};

/* ---- addresses ---- */

Godwit__Address *node_address_encode(const struct node_address *address,
				     struct node_address_message *room)
{
	bool is_ipv4 = node_address_is_ipv4(address);
	size_t size = is_ipv4 ? 4 : 16;

	if (node_address_is_none(address))
		return NULL;
	godwit__address__init(&room->message);
	memcpy(room->ip, address->ip + (16 - size), size);
	room->message.ip.data = room->ip;
	room->message.ip.len = size;
	room->message.port = address->port;
	return &room->message;
}

int node_address_decode(struct node_address *address, const Godwit__Address *message)
{
	memset(address, 0, sizeof(*address));
	if (!message)
		return 0;
	if (message->port > UINT16_MAX || (message->ip.len != 4 && message->ip.len != 16))
		return -EINVAL;
	if (message->ip.len == 4)
		*address = node_address_ipv4(0, 0);
	memcpy(address->ip + (16 - message->ip.len), message->ip.data, message->ip.len);
	address->port = (uint16_t)message->port;
	return 0;
}

/* ---- partition sets ---- */

/* Stores the gaps, as many as fit, and returns how many bytes all would take. */
static size_t make_gaps(struct set_message *room, const struct partition_set *set, size_t *count)
{
	uint32_t next = 0;
	size_t size = 0;

	*count = 0;
	for (uint32_t p = partition_set_next(set, 0); p < PARTITION_COUNT_MAX;
	     p = partition_set_next(set, p + 1)) {
		uint32_t gap = p - next;

		if (*count < GAP_COUNT_MAX)
			room->gaps[(*count)++] = gap;
		size += gap < 128 ? 1 : 2; /* a gap is below 2^14 */
		next = p + 1;
	}
	return size;
}

static size_t make_bitmap(struct set_message *room, const struct partition_set *set)
{
	size_t size = 0;

	for (uint32_t i = 0; i < BITMAP_SIZE_MAX; i++) {
		room->bitmap[i] = (uint8_t)(set->words[i / 8] >> (i % 8 * 8));
		if (room->bitmap[i])
			size = i + 1;
	}
	return size;
}

static Godwit__PartitionSet *set_encode(const struct partition_set *set, struct set_message *room)
{
	size_t gap_count;
	size_t gaps_size = make_gaps(room, set, &gap_count);
	size_t bitmap_size = make_bitmap(room, set);

	if (gaps_size == 0)
		return NULL;
	godwit__partition_set__init(&room->message);
	if (gaps_size <= bitmap_size) {
		room->message.gaps = room->gaps;
		room->message.n_gaps = gap_count;
	} else {
		room->message.bitmap.data = room->bitmap;
		room->message.bitmap.len = bitmap_size;
	}
	return &room->message;
}

static int set_decode(struct partition_set *set, const Godwit__PartitionSet *message)
{
	uint64_t next = 0;

	partition_set_clear(set);
	if (!message)
		return 0;
	if (message->bitmap.len > BITMAP_SIZE_MAX)
		return -EINVAL;
	for (size_t i = 0; i < message->bitmap.len; i++)
		set->words[i / 8] |= (uint64_t)message->bitmap.data[i] << (i % 8 * 8);
	for (size_t i = 0; i < message->n_gaps; i++) {
		uint64_t partition = next + message->gaps[i];

		if (partition >= PARTITION_COUNT_MAX)
			return -EINVAL;
		partition_set_add(set, (uint32_t)partition);
		next = partition + 1;
	}
	return 0;
}

/* ---- session secrets ---- */

static ProtobufCBinaryData secret_encode(uint8_t secret[NODE_SECRET_SIZE])
{
	static const uint8_t none[NODE_SECRET_SIZE];
	bool is_none = memcmp(secret, none, sizeof(none)) == 0;

	return (ProtobufCBinaryData){ is_none ? 0 : NODE_SECRET_SIZE, secret };
}

static int secret_decode(uint8_t secret[NODE_SECRET_SIZE], const ProtobufCBinaryData *bytes)
{
	if (bytes->len == 0)
		return 0; /* an older node */
	if (bytes->len != NODE_SECRET_SIZE)
		return -EINVAL;
	memcpy(secret, bytes->data, NODE_SECRET_SIZE);
	return 0;
}

/* ---- records ---- */

int node_record_encode(const struct node *node, uint8_t *bytes, size_t size_max)
{
	Godwit__NodeRecord record = GODWIT__NODE_RECORD__INIT;
	struct node_address_message control, data;
	struct set_message importing, migrating;
	uint8_t secret[NODE_SECRET_SIZE];
	char name[NODE_NAME_SIZE];
	size_t size;

	memcpy(name, node->name, sizeof(name));
	name[NODE_NAME_SIZE - 1] = '\0';
	record.id = node->id;
	record.name = name;
	record.generation = node->generation;
	record.incarnation = node->incarnation;
	record.record_version = node->record_version;
	record.state = node->state;
	record.control = node_address_encode(&node->control, &control);
	record.data = node_address_encode(&node->data, &data);
	record.workers = node->workers;
	record.weight = node->weight;
	record.map_version = node->map_version;
	record.map_stamp = node->map_stamp;
	record.importing_partitions = set_encode(&node->importing_partitions, &importing);
	record.migrating_partitions = set_encode(&node->migrating_partitions, &migrating);
	record.load_items = node->load.items;
	record.load_item_bytes = node->load.item_bytes;
	record.load_operations_per_s = node->load.operations_per_s;
	memcpy(secret, node->session_secret, sizeof(secret));
	record.session_secret = secret_encode(secret);
	size = godwit__node_record__get_packed_size(&record);
	if (size > size_max)
		return -EMSGSIZE;
	return (int)godwit__node_record__pack(&record, bytes);
}

static enum node_state state_decode(uint32_t state)
{
	return state == NODE_LEAVING || state == NODE_LEFT ? (enum node_state)state : NODE_ACTIVE;
}

static int message_to_node(struct node *node, const Godwit__NodeRecord *record)
{
	if (record->id == 0 || record->generation == 0 || !node_name_is_valid(record->name) ||
	    record->workers > WORKER_COUNT_MAX || record->weight > NODE_WEIGHT_MAX)
		return -EINVAL;
	memset(node, 0, sizeof(*node));
	node->id = record->id;
	strcpy(node->name, record->name); /* a valid name fits */
	node->generation = record->generation;
	node->incarnation = record->incarnation;
	node->record_version = record->record_version;
	node->state = state_decode(record->state);
	node->workers = (uint16_t)record->workers;
	node->weight = (uint16_t)record->weight;
	node->map_version = record->map_version;
	node->map_stamp = record->map_stamp;
	node->load.items = record->load_items;
	node->load.item_bytes = record->load_item_bytes;
	node->load.operations_per_s = record->load_operations_per_s;
	if (node_address_decode(&node->control, record->control) != 0 ||
	    node_address_decode(&node->data, record->data) != 0 ||
	    set_decode(&node->importing_partitions, record->importing_partitions) != 0 ||
	    set_decode(&node->migrating_partitions, record->migrating_partitions) != 0 ||
	    secret_decode(node->session_secret, &record->session_secret) != 0)
		return -EINVAL;
	return 0;
}

int node_record_decode(struct node *node, const uint8_t *bytes, size_t size)
{
	struct proto_budget budget;
	Godwit__NodeRecord *record;
	int error;

	if (size > NODE_RECORD_SIZE_MAX)
		return -EMSGSIZE;
	proto_budget_init(&budget, DECODE_BUDGET_SIZE);
	record = godwit__node_record__unpack(&budget.allocator, size, bytes);
	if (!record)
		return -EINVAL;
	error = message_to_node(node, record);
	godwit__node_record__free_unpacked(record, NULL);
	return error;
}
