/* SPDX-License-Identifier: BSD-3-Clause */
/* A finite state machine: a table of allowed moves, an invariant, and the one function that moves.
 */
#ifndef CONTROLPLANE_STATE_MACHINE_H
#define CONTROLPLANE_STATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define STATE_MACHINE_STATE_COUNT_MAX 16u

/* What all machines of a kind share; constant. */
struct state_machine_kind {
	const char *name;
	uint32_t state_count; /* at most STATE_MACHINE_STATE_COUNT_MAX */
	const char *state_names[STATE_MACHINE_STATE_COUNT_MAX];
	/* Bit 's' of allowed[f] is set when a machine in state f may move to state s. */
	uint32_t allowed[STATE_MACHINE_STATE_COUNT_MAX];
	/* Whether 'subject' is fit to be in 'state'; NULL when every subject is. */
	bool (*invariant)(const void *subject, uint32_t state);
};

#define STATE_MACHINE_TO(state) (UINT32_C(1) << (state))

/* One machine. Thread safety: none; it belongs to the object it is embedded in. */
struct state_machine {
	const struct state_machine_kind *kind;
	uint32_t state;
};

void state_machine_init(struct state_machine *machine, const struct state_machine_kind *kind,
			uint32_t state);

/* Whether the table allows the move. Staying is never a move. */
bool state_machine_may_move(const struct state_machine *machine, uint32_t to);

/* Moves to 'to'. 'subject' is what the invariant looks at: it must be fit for the new state
 * already. A move that the table does not allow, or an unfit subject, is a bug: says which, and
 * aborts.
 */
void state_machine_move(struct state_machine *machine, uint32_t to, const void *subject);

/* Whether the invariant of the present state holds. */
bool state_machine_holds(const struct state_machine *machine, const void *subject);

const char *state_machine_state_name(const struct state_machine *machine);

#endif
