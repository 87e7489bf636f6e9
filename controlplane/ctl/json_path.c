/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks along the dots of a path. */
#include "controlplane/ctl/json_path.h"

#include <string.h>

const json_t *json_value_at(const json_t *at, const char *path)
{
	while (at && *path) {
		size_t size = strcspn(path, ".");
		char key[64];

		if (size >= sizeof(key))
			return NULL;
		memcpy(key, path, size);
		key[size] = '\0';
		at = json_object_get(at, key);
		path += size + (path[size] == '.');
	}
	return at;
}

const char *json_text_at(const json_t *at, const char *path)
{
	const char *text = json_string_value(json_value_at(at, path));

	return text ? text : "";
}

double json_number_at(const json_t *at, const char *path)
{
	return json_number_value(json_value_at(at, path));
}

uint64_t json_integer_at(const json_t *at, const char *path)
{
	return (uint64_t)json_integer_value(json_value_at(at, path));
}

bool json_is_true_at(const json_t *at, const char *path)
{
	return json_is_true(json_value_at(at, path));
}
