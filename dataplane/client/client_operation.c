/* SPDX-License-Identifier: BSD-3-Clause */
/* Checks and encodes operations. */
#include "dataplane/client/client_operation.h"

#include <assert.h>
#include <stdlib.h>

#include "dataplane/wire_codec.h"

static_assert((int)GODWIT_OP_GET == WIRE_GET && (int)GODWIT_OP_TTL == WIRE_TTL,
	      "opcodes are the wire's");
static_assert((int)GODWIT_UNAVAILABLE == WIRE_UNAVAILABLE, "statuses are the wire's");
static_assert(GODWIT_KEY_SIZE_MAX == WIRE_KEY_SIZE_MAX && GODWIT_TTL_NEVER == WIRE_TTL_NEVER,
	      "limits are the wire's");

/* What an opcode takes and gives. */
enum trait {
	TAKES_VALUE = 0x01,
	TAKES_TTL = 0x02,
	NEEDS_TTL = 0x04, /* the field is sent even when it is "never expires" */
	TAKES_VERSION = 0x08,
	IS_WRITE = 0x10,
	GIVES_VALUE = 0x20,
	GIVES_NUMBER = 0x40,
};

static const uint8_t traits[WIRE_OPCODE_COUNT] = {
	[WIRE_GET] = GIVES_VALUE,
	[WIRE_SET] = IS_WRITE | TAKES_VALUE | TAKES_TTL,
	[WIRE_DELETE] = IS_WRITE | TAKES_VERSION,
	[WIRE_ADD] = IS_WRITE | TAKES_VALUE | TAKES_TTL,
	[WIRE_REPLACE] = IS_WRITE | TAKES_VALUE | TAKES_TTL,
	[WIRE_CAS] = IS_WRITE | TAKES_VALUE | TAKES_TTL | TAKES_VERSION,
	[WIRE_INCREMENT] = IS_WRITE | TAKES_TTL | GIVES_NUMBER,
	[WIRE_APPEND] = IS_WRITE | TAKES_VALUE,
	[WIRE_TOUCH] = IS_WRITE | TAKES_TTL | NEEDS_TTL,
	[WIRE_GET_AND_TOUCH] = IS_WRITE | TAKES_TTL | NEEDS_TTL | GIVES_VALUE,
	[WIRE_EXISTS] = 0,
	[WIRE_TTL] = GIVES_NUMBER,
};

static uint8_t traits_of(unsigned int opcode)
{
	return opcode < WIRE_OPCODE_COUNT ? traits[opcode] : 0;
}

bool client_opcode_is_write(uint8_t opcode)
{
	return traits_of(opcode) & IS_WRITE;
}

bool client_opcode_returns_value(uint8_t opcode)
{
	return traits_of(opcode) & GIVES_VALUE;
}

bool client_opcode_returns_number(uint8_t opcode)
{
	return traits_of(opcode) & GIVES_NUMBER;
}

static bool is_valid(const struct godwit_operation *wanted)
{
	unsigned int opcode = wanted->opcode;
	uint8_t has = traits_of(opcode);

	if (opcode < WIRE_GET || opcode >= WIRE_OPCODE_COUNT)
		return false;
	if (!wanted->key || wanted->key_size == 0 || wanted->key_size > WIRE_KEY_SIZE_MAX)
		return false;
	if (wanted->value_size && (!wanted->value || !(has & TAKES_VALUE)))
		return false;
	return wanted->opcode != GODWIT_OP_CAS || wanted->version != 0;
}

/* The wire's view of 'wanted'. 'numbers' (16 bytes) holds INCREMENT's delta and initial. */
static struct wire_request_op wire_view(const struct godwit_operation *wanted, uint8_t *numbers)
{
	uint8_t has = traits_of(wanted->opcode);
	struct wire_request_op op = { .opcode = (uint8_t)wanted->opcode,
				      .key_size = (uint16_t)wanted->key_size,
				      .key = wanted->key };

	if (has & TAKES_VALUE) {
		op.value = wanted->value;
		op.value_size = (uint32_t)wanted->value_size;
	}
	if (wanted->opcode == GODWIT_OP_INCREMENT) {
		wire_put_u64(numbers, (uint64_t)wanted->delta);
		wire_put_u64(numbers + 8, (uint64_t)wanted->initial);
		op.value = numbers;
		op.value_size = wanted->has_initial ? 16 : 8;
	}
	if ((has & TAKES_VERSION) && wanted->version) {
		op.flags |= WIRE_HAS_VERSION;
		op.version = wanted->version;
	}
	if ((has & NEEDS_TTL) || ((has & TAKES_TTL) && wanted->ttl_ms != GODWIT_NO_TTL)) {
		op.flags |= WIRE_HAS_TTL;
		op.ttl_ms = wanted->ttl_ms;
	}
	return op;
}

enum godwit_status client_operation_create(struct client_operation **operation,
					   const struct godwit_operation *wanted)
{
	struct client_operation *made;
	struct wire_request_op op;
	uint8_t numbers[16];
	size_t wire_size;

	if (!is_valid(wanted))
		return GODWIT_INVALID_ARGUMENT;
	if (wanted->value_size > UINT16_MAX)
		return GODWIT_TOO_LARGE;
	op = wire_view(wanted, numbers);
	wire_size = wire_request_op_size(&op);
	made = malloc(sizeof(*made) + wire_size);
	if (!made)
		return GODWIT_NO_MEMORY;
	*made = (struct client_operation){ .opcode = op.opcode,
					   .is_write = client_opcode_is_write(op.opcode),
					   .value_size = op.value_size,
					   .key_size = op.key_size,
					   .wire_size = (uint32_t)wire_size };
	made->key_offset = (uint16_t)(wire_size - op.key_size - op.value_size);
	wire_request_op_write(made->wire, &op);
	*operation = made;
	return GODWIT_OK;
}

uint32_t client_operation_reply_size_min(const struct client_operation *operation)
{
	return WIRE_REPLY_OP_SIZE + (client_opcode_returns_number(operation->opcode) ? 8u : 0u);
}
