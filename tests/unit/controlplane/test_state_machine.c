/* SPDX-License-Identifier: BSD-3-Clause */
/* State machines: only moves of the table, only with the invariant, and a bug stops the program. */
#include "controlplane/state_machine.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { CLOSED, OPEN, BROKEN };

struct door {
	bool has_handle;
};

static bool door_is_fit(const void *subject, uint32_t state)
{
	return state != OPEN || ((const struct door *)subject)->has_handle;
}

static const struct state_machine_kind door_kind = {
	.name = "door",
	.state_count = 3,
	.state_names = { "closed", "open", "broken" },
	.allowed = {
		[CLOSED] = STATE_MACHINE_TO(OPEN) | STATE_MACHINE_TO(BROKEN),
		[OPEN] = STATE_MACHINE_TO(CLOSED),
	},
	.invariant = door_is_fit,
};

static void test_moves_of_the_table_are_made(void)
{
	struct state_machine machine;
	struct door door = { .has_handle = true };

	state_machine_init(&machine, &door_kind, CLOSED);
	CU_ASSERT_STRING_EQUAL(state_machine_state_name(&machine), "closed");
	CU_ASSERT_TRUE(state_machine_may_move(&machine, OPEN));
	state_machine_move(&machine, OPEN, &door);
	CU_ASSERT_EQUAL(machine.state, OPEN);
	state_machine_move(&machine, CLOSED, &door);
	state_machine_move(&machine, BROKEN, &door);
	CU_ASSERT_STRING_EQUAL(state_machine_state_name(&machine), "broken");
}

static void test_other_moves_are_not_allowed(void)
{
	struct state_machine machine;

	state_machine_init(&machine, &door_kind, OPEN);
	CU_ASSERT_FALSE(state_machine_may_move(&machine, BROKEN));
	CU_ASSERT_FALSE(state_machine_may_move(&machine, OPEN));
	CU_ASSERT_FALSE(state_machine_may_move(&machine, 3));
	CU_ASSERT_FALSE(state_machine_may_move(&machine, UINT32_MAX));
}

static void test_the_invariant_of_the_present_state_can_be_asked(void)
{
	struct state_machine machine;
	struct door door = { .has_handle = true };

	state_machine_init(&machine, &door_kind, OPEN);
	CU_ASSERT_TRUE(state_machine_holds(&machine, &door));
	door.has_handle = false;
	CU_ASSERT_FALSE(state_machine_holds(&machine, &door));
}

/* Whether the move ends the process by SIGABRT. */
static bool move_aborts(uint32_t from, uint32_t to, bool has_handle)
{
	struct state_machine machine;
	struct door door = { .has_handle = has_handle };
	int status = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct rlimit no_core = { 0, 0 };

		setrlimit(RLIMIT_CORE, &no_core);
		fclose(stderr);
		signal(SIGABRT, SIG_DFL);
		state_machine_init(&machine, &door_kind, from);
		state_machine_move(&machine, to, &door);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void test_a_bug_stops_the_program(void)
{
	CU_ASSERT_FALSE(move_aborts(CLOSED, OPEN, true));
	CU_ASSERT_TRUE(move_aborts(CLOSED, OPEN, false));
	CU_ASSERT_TRUE(move_aborts(OPEN, BROKEN, true));
	CU_ASSERT_TRUE(move_aborts(BROKEN, CLOSED, true));
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(test_moves_of_the_table_are_made),
		UNIT_TEST(test_other_moves_are_not_allowed),
		UNIT_TEST(test_the_invariant_of_the_present_state_can_be_asked),
		UNIT_TEST(test_a_bug_stops_the_program),
		{ NULL, NULL },
	};

	return unit_run("state_machine", tests);
}
