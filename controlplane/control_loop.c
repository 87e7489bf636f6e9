/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's event loop over libevent. */
#include "controlplane/control_loop.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

struct timer {
	struct event *event;
	void (*run)(void *context);
	void *context;
};

struct control_loop {
	struct event_base *base;
	struct event *signals[2];
	int signal; /* that ended the loop, 0 = none yet */
	bool is_ended;
	uint32_t timer_count;
	struct timer timers[CONTROL_LOOP_TIMER_MAX];
};

static void on_signal(evutil_socket_t signal, short events, void *context)
{
	struct control_loop *loop = context;

	(void)events;
	loop->signal = (int)signal;
	event_base_loopbreak(loop->base);
}

static void on_timer(evutil_socket_t fd, short events, void *context)
{
	const struct timer *timer = context;

	(void)fd;
	(void)events;
	timer->run(timer->context);
}

static bool add_signals(struct control_loop *loop)
{
	static const int numbers[] = { SIGTERM, SIGINT };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		loop->signals[i] = evsignal_new(loop->base, numbers[i], on_signal, loop);
		if (!loop->signals[i] || evsignal_add(loop->signals[i], NULL) != 0)
			return false;
	}
	signal(SIGPIPE, SIG_IGN);
	return true;
}

/* With timers of the clock that counts nanoseconds: the one that libevent takes otherwise moves every 4 ms, and who waits for a millisecond
 * would wait for it.
 */
static struct event_base *create_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config && event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER) == 0)
		base = event_base_new_with_config(config);
	if (config)
		event_config_free(config);
	return base;
}

struct control_loop *control_loop_create(void)
{
	struct control_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	loop->base = create_base();
	if (!loop->base || !add_signals(loop)) {
		control_loop_destroy(loop);
		return NULL;
	}
	return loop;
}

void control_loop_destroy(struct control_loop *loop)
{
	if (!loop)
		return;
	for (uint32_t i = 0; i < loop->timer_count; i++)
		event_free(loop->timers[i].event);
	for (size_t i = 0; i < sizeof(loop->signals) / sizeof(loop->signals[0]); i++) {
		if (loop->signals[i])
			event_free(loop->signals[i]);
	}
	if (loop->base)
		event_base_free(loop->base);
	free(loop);
}

struct event_base *control_loop_base(struct control_loop *loop)
{
	return loop->base;
}

int control_loop_every(struct control_loop *loop, uint32_t interval_ms, void (*run)(void *context),
		       void *context)
{
	const struct timeval interval = { interval_ms / 1000, (interval_ms % 1000) * 1000 };
	struct timer *timer = &loop->timers[loop->timer_count];

	if (loop->timer_count == CONTROL_LOOP_TIMER_MAX)
		return -ENOSPC;
	*timer = (struct timer){ NULL, run, context };
	timer->event = event_new(loop->base, -1, EV_PERSIST, on_timer, timer);
	if (!timer->event)
		return -ENOMEM;
	loop->timer_count++;
	return event_add(timer->event, &interval) == 0 ? 0 : -ENOMEM;
}

int control_loop_run(struct control_loop *loop)
{
	while (loop->signal == 0 && !loop->is_ended)
		event_base_dispatch(loop->base);
	return loop->signal;
}

void control_loop_end(struct control_loop *loop)
{
	loop->is_ended = true;
	event_base_loopbreak(loop->base);
}

static void exit_at_once(int signal)
{
	static const char late[] = "godwitd: could not stop in time, exits without draining\n";

	if (signal != SIGALRM)
		_exit(128 + signal);
	if (write(STDERR_FILENO, late, sizeof(late) - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

void control_loop_guard_stop(uint32_t seconds)
{
	const struct sigaction action = { .sa_handler = exit_at_once };

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGALRM, &action, NULL);
	alarm(seconds);
}
