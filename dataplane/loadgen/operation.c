/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of operation kinds, and their request bytes. */
#include "dataplane/loadgen/operation.h"

#include "dataplane/loadgen/value_pattern.h"

/* value = delta i64, initial i64: an absent counter becomes 1, as a present one grows by 1. */
#define INCREMENT_VALUE_SIZE 16u

const struct operation_trait operation_traits[OPERATION_KIND_COUNT + 1] = {
	[OPERATION_GET] = { .name = "get",
			    .opcode = WIRE_GET,
			    .space = KEY_SPACE_PLAIN,
			    .returns_value = true },
	[OPERATION_SET] = { .name = "set",
			    .opcode = WIRE_SET,
			    .space = KEY_SPACE_PLAIN,
			    .has_value = true,
			    .takes_ttl = true,
			    .is_write = true },
	[OPERATION_INSERT] = { .name = "insert",
			       .opcode = WIRE_SET,
			       .space = KEY_SPACE_PLAIN,
			       .has_value = true,
			       .takes_ttl = true,
			       .is_write = true },
	[OPERATION_DELETE] = { .name = "delete",
			       .opcode = WIRE_DELETE,
			       .space = KEY_SPACE_PLAIN,
			       .is_write = true },
	[OPERATION_ADD] = { .name = "add",
			    .opcode = WIRE_ADD,
			    .space = KEY_SPACE_PLAIN,
			    .has_value = true,
			    .takes_ttl = true,
			    .is_write = true },
	[OPERATION_REPLACE] = { .name = "replace",
				.opcode = WIRE_REPLACE,
				.space = KEY_SPACE_PLAIN,
				.has_value = true,
				.takes_ttl = true,
				.is_write = true },
	[OPERATION_CAS] = { .name = "cas",
			    .opcode = WIRE_CAS,
			    .flags = WIRE_HAS_VERSION,
			    .space = KEY_SPACE_PLAIN,
			    .has_value = true,
			    .takes_ttl = true,
			    .is_write = true },
	[OPERATION_INCREMENT] = { .name = "increment",
				  .opcode = WIRE_INCREMENT,
				  .space = KEY_SPACE_COUNTER,
				  .has_value = true,
				  .is_write = true },
	[OPERATION_APPEND] = { .name = "append",
			       .opcode = WIRE_APPEND,
			       .space = KEY_SPACE_APPENDED,
			       .has_value = true,
			       .is_write = true },
	[OPERATION_TOUCH] = { .name = "touch",
			      .opcode = WIRE_TOUCH,
			      .flags = WIRE_HAS_TTL,
			      .space = KEY_SPACE_PLAIN,
			      .is_write = true },
	[OPERATION_GET_AND_TOUCH] = { .name = "get_and_touch",
				      .opcode = WIRE_GET_AND_TOUCH,
				      .flags = WIRE_HAS_TTL,
				      .space = KEY_SPACE_PLAIN,
				      .returns_value = true,
				      .is_write = true },
	[OPERATION_EXISTS] = { .name = "exists", .opcode = WIRE_EXISTS, .space = KEY_SPACE_PLAIN },
	[OPERATION_TTL] = { .name = "ttl", .opcode = WIRE_TTL, .space = KEY_SPACE_PLAIN },
	[OPERATION_CAS_READ] = { .name = "cas_read",
				 .opcode = WIRE_GET,
				 .space = KEY_SPACE_PLAIN,
				 .returns_value = true },
};

void operation_key_write_any(uint8_t *at, uint16_t key_size, uint8_t space, uint64_t index)
{
	uint64_t digits[2] = { operation_hex8((uint32_t)(index >> 32)),
			       operation_hex8((uint32_t)index) };

	if (key_size >= sizeof(digits)) {
		memset(at, '0', key_size - sizeof(digits));
		memcpy(at + key_size - sizeof(digits), digits, sizeof(digits));
	} else {
		memcpy(at, (uint8_t *)digits + sizeof(digits) - key_size, key_size);
	}
	at[0] = space;
}

bool operation_key_size_fits(uint16_t key_size, uint64_t key_count)
{
	unsigned digits = key_size - 1u;

	if (key_size < OPERATION_KEY_SIZE_MIN || key_size > WIRE_KEY_SIZE_MAX)
		return false;
	if (digits > OPERATION_KEY_DIGITS_MAX)
		digits = OPERATION_KEY_DIGITS_MAX;
	return key_count <= UINT64_C(1) << (4 * digits);
}

/* The write that a value is made of. */
static uint64_t write_of(const struct operation *operation)
{
	uint64_t mark = operation->kind == OPERATION_CAS ? OPERATION_CAS_MARK : 0;

	return mark | operation->number;
}

uint32_t operation_value_size(const struct operation_format *format,
			      const struct operation *operation)
{
	if (!operation_traits[operation->kind].has_value)
		return 0;
	if (operation->kind == OPERATION_INCREMENT)
		return INCREMENT_VALUE_SIZE;
	if (operation->space == KEY_SPACE_COUNTER)
		return 1;
	return value_pattern_size(operation->key, write_of(operation), format->value_size_min,
				  format->value_size_max);
}

uint32_t operation_request_size_max(const struct operation_format *format, unsigned kind)
{
	const struct operation_trait *trait = &operation_traits[kind];
	uint32_t value_size =
		kind == OPERATION_INCREMENT ? INCREMENT_VALUE_SIZE : format->value_size_max;

	return WIRE_REQUEST_OP_SIZE + 8 + 4 + format->key_size +
	       (trait->has_value ? value_size : 0);
}

uint32_t operation_reply_size_max(const struct operation_format *format, unsigned kind)
{
	if (kind == OPERATION_INCREMENT || kind == OPERATION_TTL)
		return WIRE_REPLY_OP_SIZE + 8;
	return WIRE_REPLY_OP_SIZE +
	       (operation_traits[kind].returns_value ? format->value_size_max : 0);
}

/* Writes the 'size' bytes of the operation's value. */
static void write_value(const struct operation *operation, uint8_t *at, uint32_t size)
{
	if (operation->kind == OPERATION_INCREMENT) {
		wire_put_u64(at, 1);
		wire_put_u64(at + 8, 1);
	} else if (operation->space == KEY_SPACE_COUNTER) {
		at[0] = '0'; /* where the load phase starts every counter */
	} else {
		value_pattern_write(at, size, operation->key, write_of(operation));
	}
}

uint8_t *operation_write_any(const struct operation_format *format,
			     const struct operation *operation, uint8_t *at)
{
	const struct operation_trait *trait = &operation_traits[operation->kind];
	uint32_t value_size = operation_value_size(format, operation);
	uint8_t flags = trait->flags;

	if (trait->takes_ttl && format->ttl_ms)
		flags |= WIRE_HAS_TTL;
	at[0] = trait->opcode;
	at[1] = flags;
	wire_put_u16(at + 2, format->key_size);
	wire_put_u32(at + 4, value_size);
	at += WIRE_REQUEST_OP_SIZE;
	if (flags & WIRE_HAS_VERSION) {
		wire_put_u64(at, operation->number);
		at += 8;
	}
	if (flags & WIRE_HAS_TTL) {
		wire_put_u32(at, format->ttl_ms);
		at += 4;
	}
	operation_key_write(at, format->key_size, operation->space, operation->key);
	at += format->key_size;
	write_value(operation, at, value_size);
	return at + value_size;
}
