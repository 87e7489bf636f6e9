/* SPDX-License-Identifier: BSD-3-Clause */
/* Structured log lines for the operator. */
#ifndef CONTROLPLANE_LOG_H
#define CONTROLPLANE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "controlplane/world.h"

/* The severity says what the operator must do. */
enum log_level {
	LOG_LEVEL_ERROR,   /* act now: the node cannot do what it is there for */
	LOG_LEVEL_WARNING, /* look soon: it works, but not as it should */
	LOG_LEVEL_INFO,    /* nothing; a change of state worth knowing */
	LOG_LEVEL_DEBUG,   /* nothing; for those who look for a fault */
};

/* Where lines go.
 *
 * Thread safety: a line is composed on the stack and written by one call, so lines of several
 * threads do not mix. Never used by a worker core: those count.
 */
struct log {
	FILE *stream;
	enum log_level level; /* lines above it are not written */
	const struct world *world;
};

#define LOG_LINE_SIZE 1024u

/* One line:  2025-11-23T09:10:00.123Z info node: ready address=10.77.0.2 udp_port=7700
 *
 * 'fields' is a printf format of key=value pairs, or "". Control characters become '?', so that
 * foreign text can neither forge a line nor steer a terminal; a line is cut at LOG_LINE_SIZE bytes.
 */
void log_write(const struct log *log, enum log_level level, const char *module, const char *message,
	       const char *fields, ...) __attribute__((format(printf, 5, 6)));

#define log_error(log, module, message, ...)                                                       \
	log_write(log, LOG_LEVEL_ERROR, module, message, " " __VA_ARGS__)
#define log_warning(log, module, message, ...)                                                     \
	log_write(log, LOG_LEVEL_WARNING, module, message, " " __VA_ARGS__)
#define log_info(log, module, message, ...)                                                        \
	log_write(log, LOG_LEVEL_INFO, module, message, " " __VA_ARGS__)
#define log_debug(log, module, message, ...)                                                       \
	log_write(log, LOG_LEVEL_DEBUG, module, message, " " __VA_ARGS__)

/* The budget of one call site that others can make busy: LOG_LIMIT_LINES lines in
 * LOG_LIMIT_WINDOW_MS. Zeroed at first.
 *
 * Thread safety: one thread.
 */
struct log_limit {
	uint64_t window_ms; /* start of the present window */
	uint32_t lines;     /* written in it */
	uint32_t suppressed;
};

#define LOG_LIMIT_LINES 5u
#define LOG_LIMIT_WINDOW_MS 10000u

/* Whether another line may be written now. When lines were suppressed before, '*suppressed' says
 * how many, once.
 */
bool log_limit_pass(struct log_limit *limit, const struct log *log, uint32_t *suppressed);

/* "error", "warning", "info", "debug" */
const char *log_level_name(enum log_level level);

#endif
