/* SPDX-License-Identifier: BSD-3-Clause */
/* The types of options: from text to value and back. */
#ifndef CONTROLPLANE_OPTION_VALUE_H
#define CONTROLPLANE_OPTION_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "controlplane/options.h"

/* What the value is in memory and how it is written. */
enum option_type {
	OPTION_TEXT,      /* char[OPTION_TEXT_SIZE] */
	OPTION_NUMBER,    /* uint32_t: decimal */
	OPTION_SIZE,      /* uint64_t: bytes, with K, M, G or T */
	OPTION_WORD,      /* uint32_t: one of 'words' alone */
	OPTION_IPV4,      /* uint32_t: A.B.C.D */
	OPTION_NETWORK,   /* struct option_network: A.B.C.D/BITS */
	OPTION_ENDPOINT,  /* struct option_endpoint: A.B.C.D:PORT */
	OPTION_ENDPOINTS, /* struct option_endpoints: A.B.C.D:PORT,A.B.C.D:PORT */
	OPTION_MAC,       /* struct option_mac: six hexadecimal bytes with colons */
	OPTION_CPUS,      /* struct option_cpus: 0-3,6 */
};

/* A word that stands for a value. For types larger than a number it stands for all zeros. */
struct option_word {
	const char *text;
	uint32_t value;
};

#define OPTION_WORDS_MAX 6u

/* One row of the table. */
struct option {
	const char *key; /* "data.port.kind" */
	enum option_type type;
	size_t offset; /* in struct options */
	size_t size;   /* there; option_value_size() of the type */
	uint64_t min;  /* of numbers and sizes; of text: fewest characters */
	uint64_t max;  /* of numbers and sizes; of text: most characters */
	struct option_word words[OPTION_WORDS_MAX]; /* terminated by a NULL text */
	const char *value_default;
	const char *help; /* one sentence for the documentation */
};

#define OPTION_VALUE_SIZE 640u

/* Bytes a value of the type takes. */
size_t option_value_size(enum option_type type);

/* Writes the value 'text' spells into 'value' (where 'option->offset' points); 0, or -EINVAL and
 * 'value' is untouched.
 */
int option_value_parse(const struct option *option, const char *text, void *value);

/* The text that parses to 'value'; returns 'text'. */
const char *option_value_format(const struct option *option, const void *value,
				char text[OPTION_VALUE_SIZE]);

/* What the option takes, for messages and documentation: "a number, 1..64, or auto"; returns
 * 'text'.
 */
const char *option_value_expected(const struct option *option, char text[OPTION_EXPECTED_SIZE]);

#endif
