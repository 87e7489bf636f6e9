/* SPDX-License-Identifier: BSD-3-Clause */
/* Words and options of the item commands. */
#ifndef CONTROLPLANE_CTL_ITEM_ARGUMENTS_H
#define CONTROLPLANE_CTL_ITEM_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controlplane/ctl/command.h"

#define ITEM_WORD_MAX 3u

/* Options a command may allow. */
enum item_option {
	ITEM_OPTION_TTL = 0x01,     /* --ttl TIME */
	ITEM_OPTION_RAW = 0x02,     /* --raw */
	ITEM_OPTION_INITIAL = 0x04, /* --initial NUMBER */
	ITEM_OPTION_VERSION = 0x08, /* --version VERSION */
};

struct item_arguments {
	const char *words[ITEM_WORD_MAX]; /* borrowed from argv */
	uint32_t word_count;
	uint32_t ttl_ms; /* 0 = never expires */
	bool is_raw;
	bool has_initial;
	int64_t initial;
	uint64_t version; /* 0 = none given */
};

/* Reads argv behind argv[0], the command's name. Options are "--name VALUE" or "--name=VALUE" with
 * two dashes, so that "-5" is a word; behind "--" all is words. 'allowed' are the command's
 * options. CTL_OK, or CTL_USAGE after a line to ctl->err.
 */
enum ctl_exit item_arguments_read(struct ctl *ctl, int argc, char **argv, unsigned int allowed,
				  struct item_arguments *arguments);

/* The whole of 'text' as a number; false when it is none. */
bool item_number_read(const char *text, int64_t *number);
bool item_version_read(const char *text, uint64_t *version);

/* "10s", "250ms", ..., or "never" = 0; false when it is neither, or 0. */
bool item_ttl_read(const char *text, uint32_t *ttl_ms);

#endif
