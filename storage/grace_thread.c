/* SPDX-License-Identifier: BSD-3-Clause */
/* The one housekeeping thread of a node. */
#include "storage/grace_thread.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <urcu-qsbr.h>

struct grace_thread {
	struct grace_period *period;
	struct grace_thread_options options;
	pthread_t pthread;
	bool must_stop;
};

static bool is_wanted(const struct grace_period *period)
{
	return __atomic_load_n(&period->wanted, __ATOMIC_RELAXED) > period->completed;
}

/* The fence orders the new 'started' before the wait, for cores that did not see it (see bag_close
 * in reclaim.c).
 */
static void wait_for_readers(struct grace_period *period)
{
	uint64_t number = period->started + 1;

	__atomic_store_n(&period->started, number, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	synchronize_rcu();
	__atomic_store_n(&period->completed, number, __ATOMIC_RELEASE);
}

static void sleep_us(uint32_t us)
{
	struct timespec pause = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

static void *grace_main(void *argument)
{
	struct grace_thread *thread = argument;
	const struct grace_thread_options *options = &thread->options;

	while (!__atomic_load_n(&thread->must_stop, __ATOMIC_ACQUIRE)) {
		bool has_worked = options->housekeeping && options->housekeeping(options->context);

		if (is_wanted(thread->period))
			wait_for_readers(thread->period);
		if (!has_worked)
			sleep_us(options->sleep_us);
	}
	return NULL;
}

static int create_without_signals(struct grace_thread *thread)
{
	sigset_t all;
	sigset_t old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread->pthread, NULL, grace_main, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

int grace_thread_start(struct grace_thread **thread_out, struct grace_period *period,
		       const struct grace_thread_options *options)
{
	struct grace_thread *thread = calloc(1, sizeof(*thread));
	int error;

	*thread_out = NULL;
	if (!thread)
		return -ENOMEM;
	thread->period = period;
	thread->options = *options;
	if (thread->options.sleep_us == 0)
		thread->options.sleep_us = GRACE_SLEEP_US_DEFAULT;
	error = create_without_signals(thread);
	if (error) {
		free(thread);
		return error;
	}
	pthread_setname_np(thread->pthread, "grace");
	*thread_out = thread;
	return 0;
}

void grace_thread_stop(struct grace_thread *thread)
{
	if (!thread)
		return;
	__atomic_store_n(&thread->must_stop, true, __ATOMIC_RELEASE);
	pthread_join(thread->pthread, NULL);
	free(thread);
}
