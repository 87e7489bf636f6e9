/* SPDX-License-Identifier: BSD-3-Clause */
/* Formats the line of a failure. */
#include "dataplane/failure.h"

#include <stdarg.h>
#include <stdio.h>

int failure_set(const struct failure *failure, int code, const char *format, ...)
{
	va_list args;

	if (failure->size == 0)
		return code;
	va_start(args, format);
	vsnprintf(failure->text, failure->size, format, args);
	va_end(args);
	return code;
}
