/* SPDX-License-Identifier: BSD-3-Clause */
/* The opcodes: what each allows, and what it does to a looked-up key. */
#ifndef DATAPLANE_REQUEST_EXECUTE_H
#define DATAPLANE_REQUEST_EXECUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/core_state.h"

/* What stands in a request operation of one opcode. */
struct opcode_rule {
	uint8_t flags_allowed;
	uint8_t flags_needed;
	uint16_t value_size_min; /* bytes; larger is judged by what it makes of the item */
	uint16_t value_size_max;
	uint8_t reply_value_size; /* bytes of value in a successful reply that its minimum size must hold */
	bool is_write;
};

/* By enum wire_opcode; 0 is no opcode, and allows nothing. */
extern const struct opcode_rule opcode_rules[WIRE_OPCODE_COUNT];

/* WIRE_OK, or what the operation is answered instead of being executed: UNSUPPORTED for an unknown opcode or flag, BAD_REQUEST for
 * flags or a value its opcode does not allow.
 */
static inline enum wire_status opcode_judge(const struct wire_request_op *op)
{
	const struct opcode_rule *rule;

	if (op->opcode == 0 || op->opcode >= WIRE_OPCODE_COUNT ||
	    (op->flags & ~WIRE_REQUEST_FLAGS_KNOWN) != 0)
		return WIRE_UNSUPPORTED;
	rule = &opcode_rules[op->opcode];
	if (((op->flags & ~rule->flags_allowed) | (rule->flags_needed & ~op->flags)) != 0 ||
	    op->value_size < rule->value_size_min || op->value_size > rule->value_size_max ||
	    (op->opcode == WIRE_INCREMENT && op->value_size % 8 != 0))
		return WIRE_BAD_REQUEST;
	return WIRE_OK;
}

/* Whether the operation changes a key; false for an unknown opcode. */
static inline bool opcode_writes(uint8_t opcode)
{
	return opcode < WIRE_OPCODE_COUNT && opcode_rules[opcode].is_write;
}

/* Bytes its reply takes at least. */
static inline uint32_t opcode_reply_size(uint8_t opcode)
{
	return WIRE_REPLY_OP_SIZE +
	       (opcode < WIRE_OPCODE_COUNT ? opcode_rules[opcode].reply_value_size : 0u);
}

/* Executes operation 'i' of the core's batch, which was looked up, and adds its reply to 'request'. An operation that was refused
 * only gets its reply. Bytes of the operation itself are not read any more once its reply is written.
 */
void request_execute(struct core *core, struct request *request, uint32_t i);

#endif
