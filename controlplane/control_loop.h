/* SPDX-License-Identifier: BSD-3-Clause */
/* The control thread's event loop: timers, and the signals that end a node. */
#ifndef CONTROLPLANE_CONTROL_LOOP_H
#define CONTROLPLANE_CONTROL_LOOP_H

#include <event2/event.h>
#include <stdint.h>

/* Thread safety: one thread, the one that created it. */
struct control_loop;

/* From here on SIGTERM and SIGINT end the loop, now or once it runs; SIGPIPE is ignored. NULL when
 * out of memory. One per process, as signals are.
 */
struct control_loop *control_loop_create(void);
/* Accepts NULL. */
void control_loop_destroy(struct control_loop *loop);

struct event_base *control_loop_base(struct control_loop *loop);

/* Calls 'run' every 'interval_ms' while the loop runs. 0, -ENOMEM, or -ENOSPC after
 * CONTROL_LOOP_TIMER_MAX timers.
 */
#define CONTROL_LOOP_TIMER_MAX 16u
int control_loop_every(struct control_loop *loop, uint32_t interval_ms, void (*run)(void *context),
		       void *context);

/* Runs until a signal, and returns its number, or until control_loop_end(), and returns 0. */
int control_loop_run(struct control_loop *loop);

/* Ends the loop as a signal would, now or once it runs. */
void control_loop_end(struct control_loop *loop);

/* Bounds the end of the process: from here on a further SIGTERM or SIGINT exits at once with 128
 * plus its number, and after 'seconds' the process exits with 1.
 */
void control_loop_guard_stop(uint32_t seconds);

#endif
