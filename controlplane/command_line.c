/* SPDX-License-Identifier: BSD-3-Clause */
/* godwitd's command line over getopt. */
#include "controlplane/command_line.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

enum letter {
	LETTER_CONFIG = 'c',
	LETTER_HELP = 'h',
	LETTER_VERSION = 'V',
	LETTER_SET = 256,
	LETTER_CHECK_CONFIG,
	LETTER_PRINT_CONFIG,
	LETTER_HELP_CONFIG,
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, LETTER_CONFIG },
	{ "set", required_argument, NULL, LETTER_SET },
	{ "check-config", no_argument, NULL, LETTER_CHECK_CONFIG },
	{ "print-config", no_argument, NULL, LETTER_PRINT_CONFIG },
	{ "help", no_argument, NULL, LETTER_HELP },
	{ "help-config", no_argument, NULL, LETTER_HELP_CONFIG },
	{ "version", no_argument, NULL, LETTER_VERSION },
	{ NULL, 0, NULL, 0 },
};

void command_line_print_help(FILE *out)
{
	fputs("usage: godwitd [options] [-- EAL-ARGUMENT...]\n"
	      "\n"
	      "Runs one node of Godwit. Without options: one worker on a new interface godwit0,\n"
	      "reached at 10.77.0.2 from this host.\n"
	      "\n"
	      "  -c, --config FILE     read options from a YAML file\n"
	      "      --set KEY=VALUE   set one option, after the file; may be repeated\n"
	      "      --check-config    check the options and exit: 0 when all is well\n"
	      "      --print-config    print all options with their values and exit\n"
	      "      --help-config     print what can be set\n"
	      "  -V, --version         print the version\n"
	      "  -h, --help            print this\n"
	      "\n"
	      "SIGTERM and SIGINT drain and stop, a second one ends at once.\n",
	      out);
}

static int mistake(FILE *errors, const char *what, const char *word)
{
	fprintf(errors, "godwitd: %s '%s'; godwitd --help lists what there is\n", what, word);
	return -EINVAL;
}

static int apply(struct command_line *line, int letter, char **argv, FILE *errors)
{
	switch (letter) {
	case LETTER_CONFIG:
		if (line->config)
			return mistake(errors, "more than one configuration file:", optarg);
		line->config = optarg;
		return 0;
	case LETTER_SET:
		if (line->set_count == COMMAND_LINE_SET_MAX)
			return mistake(errors, "too many --set, the last is", optarg);
		line->sets[line->set_count++] = optarg;
		return 0;
	case LETTER_CHECK_CONFIG:
		line->action = COMMAND_LINE_CHECK_CONFIG;
		return 0;
	case LETTER_PRINT_CONFIG:
		line->action = COMMAND_LINE_PRINT_CONFIG;
		return 0;
	case LETTER_HELP:
		line->action = COMMAND_LINE_HELP;
		return 0;
	case LETTER_HELP_CONFIG:
		line->action = COMMAND_LINE_HELP_CONFIG;
		return 0;
	case LETTER_VERSION:
		line->action = COMMAND_LINE_VERSION;
		return 0;
	case ':':
		return mistake(errors, "a value is missing behind", argv[optind - 1]);
	default:
		return mistake(errors, "unknown option", argv[optind - 1]);
	}
}

int command_line_parse(struct command_line *line, int argc, char **argv, FILE *errors)
{
	int letter;

	memset(line, 0, sizeof(*line));
	optind = 0; /* getopt starts anew */
	while ((letter = getopt_long(argc, argv, "+:c:hV", long_options, NULL)) != -1) {
		if (apply(line, letter, argv, errors) != 0)
			return -EINVAL;
	}
	if (optind < argc && strcmp(argv[optind - 1], "--") != 0)
		return mistake(errors, "unexpected argument", argv[optind]);
	line->eal_count = argc - optind;
	line->eal = argv + optind;
	return 0;
}

int command_line_options(const struct command_line *line, struct options *options, FILE *errors)
{
	int result = 0;

	options_init(options);
	if (line->config)
		result = options_load(options, line->config, errors);
	for (uint32_t i = 0; i < line->set_count; i++) {
		if (options_set_pair(options, line->sets[i], errors) != 0)
			result = -EINVAL;
	}
	/* Relations are checked between values that are good themselves. */
	if (result == 0 && options_check(options, errors) != 0)
		result = -EINVAL;
	return result ? -EINVAL : 0;
}
