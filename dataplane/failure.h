/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a set-up function puts its one line of what failed and what to do. */
#ifndef DATAPLANE_FAILURE_H
#define DATAPLANE_FAILURE_H

#include <stddef.h>

struct failure {
	char *text;  /* NUL-terminated once set */
	size_t size; /* bytes at 'text' */
};

/* Writes the line, cut to fit, and returns 'code' (-errno), so that a caller can return its result. */
__attribute__((format(printf, 3, 4))) int failure_set(const struct failure *failure, int code,
						      const char *format, ...);

#endif
