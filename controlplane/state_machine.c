/* SPDX-License-Identifier: BSD-3-Clause */
/* A finite state machine: a table of allowed moves, an invariant, and the one function that moves.
 */
#include "controlplane/state_machine.h"

#include <stdio.h>
#include <stdlib.h>

static __attribute__((noreturn)) void refuse(const struct state_machine *machine, uint32_t to,
					     const char *why)
{
	const struct state_machine_kind *kind = machine->kind;
	const char *to_name = to < kind->state_count ? kind->state_names[to] : "?";

	fprintf(stderr, "%s: %s -> %s: %s\n", kind->name, state_machine_state_name(machine),
		to_name, why);
	abort();
}

void state_machine_init(struct state_machine *machine, const struct state_machine_kind *kind,
			uint32_t state)
{
	machine->kind = kind;
	machine->state = state;
}

bool state_machine_may_move(const struct state_machine *machine, uint32_t to)
{
	return to < machine->kind->state_count &&
	       (machine->kind->allowed[machine->state] & STATE_MACHINE_TO(to)) != 0;
}

void state_machine_move(struct state_machine *machine, uint32_t to, const void *subject)
{
	const struct state_machine_kind *kind = machine->kind;

	if (!state_machine_may_move(machine, to))
		refuse(machine, to, "not an allowed move");
	if (kind->invariant && !kind->invariant(subject, to))
		refuse(machine, to, "the invariant does not hold");
	machine->state = to;
}

bool state_machine_holds(const struct state_machine *machine, const void *subject)
{
	return !machine->kind->invariant || machine->kind->invariant(subject, machine->state);
}

const char *state_machine_state_name(const struct state_machine *machine)
{
	return machine->kind->state_names[machine->state];
}
