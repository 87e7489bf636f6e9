/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers and operations between bytes and structs: pure, bounds checked, inline because the data plane lives in them. */
#ifndef DATAPLANE_WIRE_CODEC_H
#define DATAPLANE_WIRE_CODEC_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/wire_format.h"

static inline uint16_t wire_get_u16(const void *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return be16toh(v);
}

static inline uint32_t wire_get_u32(const void *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return be32toh(v);
}

static inline uint64_t wire_get_u64(const void *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return be64toh(v);
}

static inline void wire_put_u16(void *at, uint16_t v)
{
	v = htobe16(v);
	memcpy(at, &v, sizeof(v));
}

static inline void wire_put_u32(void *at, uint32_t v)
{
	v = htobe32(v);
	memcpy(at, &v, sizeof(v));
}

static inline void wire_put_u64(void *at, uint64_t v)
{
	v = htobe64(v);
	memcpy(at, &v, sizeof(v));
}

struct wire_header {
	uint8_t kind;
	uint8_t op_count;
	uint32_t session_id;
	uint64_t token;
	uint32_t sequence;
	uint32_t map_version;
};

/* False when fewer than WIRE_HEADER_SIZE bytes, or magic or version are foreign. Nothing else is judged. */
static inline bool wire_header_read(const uint8_t *bytes, size_t size, struct wire_header *header)
{
	if (size < WIRE_HEADER_SIZE || bytes[WIRE_AT_MAGIC] != WIRE_MAGIC ||
	    bytes[WIRE_AT_VERSION] != WIRE_VERSION)
		return false;
	header->kind = bytes[WIRE_AT_KIND];
	header->op_count = bytes[WIRE_AT_OP_COUNT];
	header->session_id = wire_get_u32(bytes + WIRE_AT_SESSION_ID);
	header->token = wire_get_u64(bytes + WIRE_AT_TOKEN);
	header->sequence = wire_get_u32(bytes + WIRE_AT_SEQUENCE);
	header->map_version = wire_get_u32(bytes + WIRE_AT_MAP_VERSION);
	return true;
}

/* Writes WIRE_HEADER_SIZE bytes. */
static inline void wire_header_write(uint8_t *bytes, const struct wire_header *header)
{
	bytes[WIRE_AT_MAGIC] = WIRE_MAGIC;
	bytes[WIRE_AT_VERSION] = WIRE_VERSION;
	bytes[WIRE_AT_KIND] = header->kind;
	bytes[WIRE_AT_OP_COUNT] = header->op_count;
	wire_put_u32(bytes + WIRE_AT_SESSION_ID, header->session_id);
	wire_put_u64(bytes + WIRE_AT_TOKEN, header->token);
	wire_put_u32(bytes + WIRE_AT_SEQUENCE, header->sequence);
	wire_put_u32(bytes + WIRE_AT_MAP_VERSION, header->map_version);
}

/* The body of FORWARD and FORWARD_REPLY. */
struct wire_forward {
	uint32_t client_ipv4; /* host byte order */
	uint16_t client_port;
	uint16_t entry_port;
	uint8_t client_mac[6];
	uint8_t hop_count;
	uint8_t flags; /* enum wire_forward_flag */
	uint32_t ownership;
};

#define WIRE_AT_FORWARD_FLAGS 15u

/* Reads WIRE_FORWARD_BODY_SIZE bytes. */
static inline void wire_forward_read(const uint8_t *body, struct wire_forward *forward)
{
	forward->client_ipv4 = wire_get_u32(body);
	forward->client_port = wire_get_u16(body + 4);
	forward->entry_port = wire_get_u16(body + 6);
	memcpy(forward->client_mac, body + 8, sizeof(forward->client_mac));
	forward->hop_count = body[14];
	forward->flags = body[WIRE_AT_FORWARD_FLAGS];
	forward->ownership = wire_get_u32(body + 16);
}

/* Writes WIRE_FORWARD_BODY_SIZE bytes. */
static inline void wire_forward_write(uint8_t *body, const struct wire_forward *forward)
{
	wire_put_u32(body, forward->client_ipv4);
	wire_put_u16(body + 4, forward->client_port);
	wire_put_u16(body + 6, forward->entry_port);
	memcpy(body + 8, forward->client_mac, sizeof(forward->client_mac));
	body[14] = forward->hop_count;
	body[WIRE_AT_FORWARD_FLAGS] = forward->flags;
	wire_put_u32(body + 16, forward->ownership);
	wire_put_u32(body + 20, 0);
}

/* One request operation; 'key' and 'value' point into the datagram. */
struct wire_request_op {
	uint8_t opcode;
	uint8_t flags;
	uint16_t key_size;   /* bytes */
	uint32_t value_size; /* bytes */
	uint32_t ttl_ms;     /* 0 without WIRE_HAS_TTL */
	uint64_t version;    /* 0 without WIRE_HAS_VERSION */
	const uint8_t *key;
	const uint8_t *value;
};

/* Reads the operation at 'at'; returns the byte behind it, or NULL when it would overrun 'end' or its key size is not
 * 1..WIRE_KEY_SIZE_MAX. Lengths are checked before any byte is touched. Opcode and flags are not judged.
 */
static inline const uint8_t *wire_request_op_read(const uint8_t *at, const uint8_t *end,
						  struct wire_request_op *op)
{
	size_t room = (size_t)(end - at);
	size_t need;

	if (room < WIRE_REQUEST_OP_SIZE)
		return NULL;
	op->opcode = at[0];
	op->flags = at[1];
	op->key_size = wire_get_u16(at + 2);
	op->value_size = wire_get_u32(at + 4);
	op->version = 0;
	op->ttl_ms = 0;
	need = WIRE_REQUEST_OP_SIZE + ((op->flags & WIRE_HAS_VERSION) ? 8u : 0u) +
	       ((op->flags & WIRE_HAS_TTL) ? 4u : 0u) + op->key_size;
	if (op->key_size == 0 || op->key_size > WIRE_KEY_SIZE_MAX || room < need ||
	    room - need < op->value_size)
		return NULL;
	at += WIRE_REQUEST_OP_SIZE;
	if (op->flags & WIRE_HAS_VERSION) {
		op->version = wire_get_u64(at);
		at += 8;
	}
	if (op->flags & WIRE_HAS_TTL) {
		op->ttl_ms = wire_get_u32(at);
		at += 4;
	}
	op->key = at;
	op->value = at + op->key_size;
	return op->value + op->value_size;
}

/* Bytes wire_request_op_write() would write. */
static inline size_t wire_request_op_size(const struct wire_request_op *op)
{
	return WIRE_REQUEST_OP_SIZE + ((op->flags & WIRE_HAS_VERSION) ? 8u : 0u) +
	       ((op->flags & WIRE_HAS_TTL) ? 4u : 0u) + op->key_size + op->value_size;
}

/* Writes the operation at 'at', which has room for wire_request_op_size(); returns the byte behind it. */
static inline uint8_t *wire_request_op_write(uint8_t *at, const struct wire_request_op *op)
{
	at[0] = op->opcode;
	at[1] = op->flags;
	wire_put_u16(at + 2, op->key_size);
	wire_put_u32(at + 4, op->value_size);
	at += WIRE_REQUEST_OP_SIZE;
	if (op->flags & WIRE_HAS_VERSION) {
		wire_put_u64(at, op->version);
		at += 8;
	}
	if (op->flags & WIRE_HAS_TTL) {
		wire_put_u32(at, op->ttl_ms);
		at += 4;
	}
	memcpy(at, op->key, op->key_size);
	at += op->key_size;
	if (op->value_size)
		memcpy(at, op->value, op->value_size);
	return at + op->value_size;
}

/* One reply operation; 'value' points into the datagram. */
struct wire_reply_op {
	uint8_t opcode;
	uint8_t status; /* enum wire_status */
	uint32_t value_size;
	uint64_t version;
	const uint8_t *value;
};

/* Reads the reply at 'at'; returns the byte behind it, or NULL when it would overrun 'end'. */
static inline const uint8_t *wire_reply_op_read(const uint8_t *at, const uint8_t *end,
						struct wire_reply_op *op)
{
	size_t room = (size_t)(end - at);

	if (room < WIRE_REPLY_OP_SIZE)
		return NULL;
	op->opcode = at[0];
	op->status = at[1];
	op->value_size = wire_get_u32(at + 4);
	op->version = wire_get_u64(at + 8);
	op->value = at + WIRE_REPLY_OP_SIZE;
	if (room - WIRE_REPLY_OP_SIZE < op->value_size)
		return NULL;
	return op->value + op->value_size;
}

/* Writes the 16 bytes before a value of 'value_size' bytes; returns where the value goes. */
static inline uint8_t *wire_reply_op_write(uint8_t *at, uint8_t opcode, uint8_t status,
					   uint64_t version, uint32_t value_size)
{
	at[0] = opcode;
	at[1] = status;
	at[2] = 0;
	at[3] = 0;
	wire_put_u32(at + 4, value_size);
	wire_put_u64(at + 8, version);
	return at + WIRE_REPLY_OP_SIZE;
}

#endif
