/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields of JSON objects by path. What is missing, or of another type, is 0 or nothing: nodes of other
 * versions may answer.
 */
#ifndef CONTROLPLANE_CTL_JSON_PATH_H
#define CONTROLPLANE_CTL_JSON_PATH_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The value at 'path' ("node.name") under 'at', which may be NULL, or NULL. */
const json_t *json_value_at(const json_t *at, const char *path);

const char *json_text_at(const json_t *at, const char *path);
double json_number_at(const json_t *at, const char *path);
uint64_t json_integer_at(const json_t *at, const char *path);
bool json_is_true_at(const json_t *at, const char *path);

#endif
