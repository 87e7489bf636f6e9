/* SPDX-License-Identifier: BSD-3-Clause */
/* Numbers of 64 bits as JSON strings: not every reader of JSON keeps more than 53 bits of a number. */
#ifndef CONTROLPLANE_NUMBER_JSON_H
#define CONTROLPLANE_NUMBER_JSON_H

#include <inttypes.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>

/* An id: 16 hexadecimal digits. A new reference, NULL when out of memory. */
static inline json_t *hex_json(uint64_t number)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, number);
	return json_string(text);
}

/* A count. A new reference, NULL when out of memory. */
static inline json_t *decimal_json(uint64_t number)
{
	char text[21];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	return json_string(text);
}

#endif
