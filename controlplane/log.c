/* SPDX-License-Identifier: BSD-3-Clause */
/* Structured log lines: composed on the stack, cleaned of control bytes, written at once. */
#include "controlplane/log.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	return names[level];
}

/* Writes "2025-11-23T09:10:00.123Z level module: message"; returns its size, at most 'size' - 1. */
static size_t line_begin(const struct log *log, enum log_level level, const char *module,
			 const char *message, char *line, size_t size)
{
	uint64_t unix_ms = world_unix_ms(log->world);
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm time;
	size_t used;
	int more;

	gmtime_r(&seconds, &time);
	used = strftime(line, size, "%Y-%m-%dT%H:%M:%S", &time);
	more = snprintf(line + used, size - used, ".%03uZ %s %s: %s", (unsigned)(unix_ms % 1000),
			log_level_name(level), module, message);
	used += more > 0 ? (size_t)more : 0;
	return used < size ? used : size - 1;
}

/* Control bytes, and the control characters that UTF-8 has in two bytes, become '?'. */
static void clean(char *line, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)line[i];

		if (byte == 0xc2 && i + 1 < size && (unsigned char)line[i + 1] < 0xa0)
			line[i] = line[i + 1] = '?';
		else if (byte < ' ' || byte == 0x7f)
			line[i] = '?';
	}
}

void log_write(const struct log *log, enum log_level level, const char *module, const char *message,
	       const char *fields, ...)
{
	char line[LOG_LINE_SIZE];
	size_t used;
	va_list arguments;
	int more;

	if (level > log->level)
		return;
	used = line_begin(log, level, module, message, line, sizeof(line));
	va_start(arguments, fields);
	more = vsnprintf(line + used, sizeof(line) - used, fields, arguments);
	va_end(arguments);
	used += more > 0 ? (size_t)more : 0;
	if (used > sizeof(line) - 1)
		used = sizeof(line) - 1;
	while (used > 0 && line[used - 1] == ' ')
		used--;
	clean(line, used);
	line[used] = '\n';
	fwrite(line, 1, used + 1, log->stream);
	fflush(log->stream);
}

bool log_limit_pass(struct log_limit *limit, const struct log *log, uint32_t *suppressed)
{
	uint64_t now_ms = world_now_ms(log->world);

	*suppressed = 0;
	if (limit->lines == 0 || now_ms - limit->window_ms >= LOG_LIMIT_WINDOW_MS) {
		limit->window_ms = now_ms;
		limit->lines = 0;
		*suppressed = limit->suppressed;
		limit->suppressed = 0;
	}
	if (limit->lines == LOG_LIMIT_LINES) {
		limit->suppressed++;
		return false;
	}
	limit->lines++;
	return true;
}
