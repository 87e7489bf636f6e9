/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitd's command line. */
#ifndef CONTROLPLANE_COMMAND_LINE_H
#define CONTROLPLANE_COMMAND_LINE_H

#include <stdint.h>
#include <stdio.h>

#include "controlplane/options.h"

enum command_line_action {
	COMMAND_LINE_RUN,
	COMMAND_LINE_CHECK_CONFIG,
	COMMAND_LINE_PRINT_CONFIG,
	COMMAND_LINE_HELP,
	COMMAND_LINE_HELP_CONFIG,
	COMMAND_LINE_VERSION,
};

#define COMMAND_LINE_SET_MAX 64u

/* Borrowed from argv. */
struct command_line {
	enum command_line_action action;
	const char *config; /* NULL = none */
	uint32_t set_count;
	const char *sets[COMMAND_LINE_SET_MAX]; /* "KEY=VALUE" */
	int eal_count;
	char **eal; /* what stands behind "--" */
};

/* 0, or -EINVAL after one line on 'errors'. */
int command_line_parse(struct command_line *line, int argc, char **argv, FILE *errors);

/* Options as the command line wants them: defaults, then the file, then the pairs, checked. 0, or
 * -EINVAL after one line for each mistake on 'errors'.
 */
int command_line_options(const struct command_line *line, struct options *options, FILE *errors);

void command_line_print_help(FILE *out);

#endif
