/* SPDX-License-Identifier: BSD-3-Clause */
/* Timers and signals of the control loop, each in a process of its own. */
#include "controlplane/control_loop.h"
#include "tests/unit/unit.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* How the process that runs 'child' ends: its exit code, or minus the signal that killed it. */
static int outcome_of(void (*child)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		alarm(20);
		child();
		_exit(99);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

struct ticks {
	uint32_t fast;
	uint32_t slow;
};

static void tick_fast(void *context)
{
	struct ticks *ticks = context;

	if (++ticks->fast == 10)
		raise(SIGTERM);
}

static void tick_slow(void *context)
{
	((struct ticks *)context)->slow++;
}

static void child_ticks(void)
{
	struct control_loop *loop = control_loop_create();
	struct ticks ticks = { 0, 0 };

	if (control_loop_every(loop, 10, tick_fast, &ticks) != 0 ||
	    control_loop_every(loop, 30, tick_slow, &ticks) != 0)
		_exit(1);
	if (control_loop_run(loop) != SIGTERM)
		_exit(2);
	control_loop_destroy(loop);
	_exit(ticks.fast == 10 && ticks.slow >= 2 && ticks.slow <= 4 ? 0 : 3);
}

static void timers_run_until_a_signal_ends_the_loop(void)
{
	CU_ASSERT_EQUAL(outcome_of(child_ticks), 0);
}

static void child_early_signal(void)
{
	struct control_loop *loop = control_loop_create();

	raise(SIGINT);
	raise(SIGPIPE);
	_exit(control_loop_run(loop) == SIGINT ? 0 : 1);
}

static void a_signal_before_the_loop_runs_ends_it_at_once(void)
{
	CU_ASSERT_EQUAL(outcome_of(child_early_signal), 0);
}

static void child_second_signal(void)
{
	struct control_loop *loop = control_loop_create();

	raise(SIGTERM);
	control_loop_run(loop);
	control_loop_guard_stop(10);
	raise(SIGINT);
}

static void a_second_signal_exits_with_its_number(void)
{
	CU_ASSERT_EQUAL(outcome_of(child_second_signal), 128 + SIGINT);
}

static void child_slow_stop(void)
{
	struct control_loop *loop = control_loop_create();

	raise(SIGTERM);
	control_loop_run(loop);
	control_loop_guard_stop(1);
	close(STDERR_FILENO);
	for (;;)
		pause();
}

static void a_stop_that_takes_too_long_is_ended(void)
{
	CU_ASSERT_EQUAL(outcome_of(child_slow_stop), EXIT_FAILURE);
}

static void tick_nothing(void *context)
{
	(void)context;
}

static void child_many_timers(void)
{
	struct control_loop *loop = control_loop_create();

	for (uint32_t i = 0; i < CONTROL_LOOP_TIMER_MAX; i++) {
		if (control_loop_every(loop, 1000, tick_nothing, NULL) != 0)
			_exit(1);
	}
	if (control_loop_every(loop, 1000, tick_nothing, NULL) == 0)
		_exit(2);
	control_loop_destroy(loop);
	control_loop_destroy(NULL);
	_exit(0);
}

static void timers_are_bounded(void)
{
	CU_ASSERT_EQUAL(outcome_of(child_many_timers), 0);
}

int main(void)
{
	static const struct unit_test tests[] = {
		UNIT_TEST(timers_run_until_a_signal_ends_the_loop),
		UNIT_TEST(a_signal_before_the_loop_runs_ends_it_at_once),
		UNIT_TEST(a_second_signal_exits_with_its_number),
		UNIT_TEST(a_stop_that_takes_too_long_is_ended),
		UNIT_TEST(timers_are_bounded),
		{ NULL, NULL },
	};

	return unit_run("control_loop", tests);
}
