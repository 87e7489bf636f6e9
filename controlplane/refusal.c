/* SPDX-License-Identifier: BSD-3-Clause */
/* The sentence of a refusal. */
#include "controlplane/refusal.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(char *error, int result, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, REFUSAL_TEXT_SIZE, format, arguments);
	va_end(arguments);
	return result;
}
