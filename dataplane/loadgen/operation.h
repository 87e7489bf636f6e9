/* SPDX-License-Identifier: BSD-3-Clause */
/* One operation of the load: its kind, key and content, and the bytes of a request it becomes. */
#ifndef LOADGEN_OPERATION_H
#define LOADGEN_OPERATION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "dataplane/wire_codec.h"

/* Kinds of operation that are counted apart. All but INSERT and CAS_READ are named like their
 * opcode.
 */
enum operation_kind {
	OPERATION_GET,
	OPERATION_SET,
	OPERATION_INSERT, /* SET of a key that was never there */
	OPERATION_DELETE,
	OPERATION_ADD,
	OPERATION_REPLACE,
	OPERATION_CAS, /* in a mix: a GET, then CAS with its version (YCSB's read-modify-write) */
	OPERATION_INCREMENT,
	OPERATION_APPEND,
	OPERATION_TOUCH,
	OPERATION_GET_AND_TOUCH,
	OPERATION_EXISTS,
	OPERATION_TTL,
	OPERATION_KIND_COUNT,
	OPERATION_CAS_READ = OPERATION_KIND_COUNT, /* the GET of a CAS: counted as GET */
};

/* Keys whose values are of different nature never mix. */
enum key_space {
	KEY_SPACE_PLAIN = 'k',    /* values that can be verified */
	KEY_SPACE_COUNTER = 'c',  /* decimal text, for INCREMENT */
	KEY_SPACE_APPENDED = 'a', /* values that grow, for APPEND */
};

struct operation_trait {
	const char *name; /* in --mix and in reports */
	uint8_t opcode;
	uint8_t flags; /* enum wire_request_flag it always has */
	uint8_t space;
	bool has_value;
	bool takes_ttl; /* has WIRE_HAS_TTL when a ttl is asked for */
	bool returns_value;
	bool is_write;
};

/* By kind, OPERATION_CAS_READ included. */
extern const struct operation_trait operation_traits[OPERATION_KIND_COUNT + 1];

/* Enough to send the same operation again, byte by byte. */
struct operation {
	uint64_t key;    /* index in its key space */
	uint64_t number; /* see below */
	uint8_t kind;
	uint8_t space;
	bool is_put_off; /* answered RETRY or NOT_OWNER: it is asked again in a request of its own */
};
/* 'number' of a write: what its value is made of, different for each write of a key; of a CAS: the
 * expected version, and the value is made of OPERATION_CAS_MARK + version; of a read: the least
 * version the reply may have, 0 when that is not checked.
 */
#define OPERATION_CAS_MARK (UINT64_C(1) << 63)

/* Key sizes: one letter and at least four hexadecimal digits. */
#define OPERATION_KEY_SIZE_MIN 5u
#define OPERATION_KEY_DIGITS_MAX 15u

/* What all operations of a run have in common. */
struct operation_format {
	uint16_t key_size;
	uint32_t value_size_min;
	uint32_t value_size_max; /* sizes between are drawn by hashing the write */
	uint32_t ttl_ms;         /* 0 = none */
};

/* Eight lowercase hexadecimal digits of 'x', the highest first in memory. */
static inline uint64_t operation_hex8(uint32_t x)
{
	uint64_t v = x;
	uint64_t letters;

	v = (v | v << 16) & UINT64_C(0x0000ffff0000ffff);
	v = (v | v << 8) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v | v << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	letters = ((v + UINT64_C(0x0606060606060606)) >> 4) & UINT64_C(0x0101010101010101);
	return htobe64(v + UINT64_C(0x3030303030303030) + letters * 39); /* 'a' - '0' - 10 */
}

#define OPERATION_KEY_SIZE_FAST 16u

/* Writes a key whose size is not OPERATION_KEY_SIZE_FAST: see operation_key_write(). */
void operation_key_write_any(uint8_t *at, uint16_t key_size, uint8_t space, uint64_t index);

/* Writes the key: the letter of its space, then its index in hexadecimal, zeros before it. */
static inline void operation_key_write(uint8_t *at, uint16_t key_size, uint8_t space,
				       uint64_t index)
{
	uint64_t digits[2];

	if (__builtin_expect(key_size != OPERATION_KEY_SIZE_FAST, 0)) {
		operation_key_write_any(at, key_size, space, index);
		return;
	}
	digits[0] = operation_hex8((uint32_t)(index >> 32));
	digits[1] = operation_hex8((uint32_t)index);
	memcpy(at, digits, sizeof(digits));
	at[0] = space;
}

/* Whether 'key_count' keys of 'key_size' bytes are all different. */
bool operation_key_size_fits(uint16_t key_size, uint64_t key_count);

/* Bytes of the value that 'operation' sends. */
uint32_t operation_value_size(const struct operation_format *format,
			      const struct operation *operation);

/* Most bytes an operation of 'kind' takes in a request, and its reply. */
uint32_t operation_request_size_max(const struct operation_format *format, unsigned kind);
uint32_t operation_reply_size_max(const struct operation_format *format, unsigned kind);

/* Writes an operation that is no plain read: see operation_write(). */
uint8_t *operation_write_any(const struct operation_format *format,
			     const struct operation *operation, uint8_t *at);

/* Writes the request operation, at most operation_request_size_max() bytes; returns the byte behind
 * it.
 */
static inline uint8_t *operation_write(const struct operation_format *format,
				       const struct operation *operation, uint8_t *at)
{
	if (operation->kind != OPERATION_GET)
		return operation_write_any(format, operation, at);
	wire_put_u64(at, (uint64_t)WIRE_GET << 56 | (uint64_t)format->key_size << 32);
	operation_key_write(at + WIRE_REQUEST_OP_SIZE, format->key_size, operation->space,
			    operation->key);
	return at + WIRE_REQUEST_OP_SIZE + format->key_size;
}

#endif
