/* SPDX-License-Identifier: BSD-3-Clause */
/* Foreign text made safe to print: what others say must not steer a terminal. */
#ifndef CONTROLPLANE_CTL_PRINTABLE_H
#define CONTROLPLANE_CTL_PRINTABLE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

/* Prints bytes as text. Control characters - C0, DEL, and C1 as UTF-8 has them - and bytes that are no UTF-8 are printed
 * as \xNN, all but the control characters that 'kept' lists.
 */
void printable_write(const void *bytes, size_t size, const char *kept, FILE *out);

/* printf of a piece of a line; no control character comes out, nor those of the format. Prints nothing when out of
 * memory.
 */
void printable_print(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void printable_vprint(FILE *out, const char *format, va_list arguments)
	__attribute__((format(printf, 2, 0)));

/* The same of a whole line: adds the newline. */
void printable_line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
