/* SPDX-License-Identifier: BSD-3-Clause */
/* Help and version are no rows of the table: they need no node. */
#include "controlplane/ctl/dispatch.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/ctl/global_options.h"

static void print_help(FILE *out)
{
	fputs("usage: godwitctl [global options] COMMAND [ARGUMENTS]\n\ncommands:\n", out);
	command_print_all(out);
	fputs("  help [COMMAND]                 explain a command\n"
	      "  version                        print the version\n\nglobal options:\n",
	      out);
	global_options_print(out);
	fputs("\nA word that looks like an option goes behind '--'.\n\nexit codes:\n"
	      "  0 done   1 no: not found, condition not met   2 wrong usage   3 server not "
	      "reached,\n"
	      "  nothing done   4 unknown: sent, no answer   5 refused or failed, with the "
	      "reason\n",
	      out);
}

static enum ctl_exit help(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command;
	int words;

	if (argc == 0) {
		print_help(ctl->out);
		return CTL_OK;
	}
	command = command_find(argc, argv, &words);
	if (!command)
		return command_fail(ctl, CTL_USAGE, "no command '%s'; godwitctl help lists them",
				    argv[0]);
	command_print(ctl->out, command);
	return CTL_OK;
}

static enum ctl_exit run_once(struct ctl *ctl, int argc, char **argv)
{
	const struct command *command;
	int words;

	if (argc == 0) {
		print_help(ctl->err);
		return CTL_USAGE;
	}
	if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0 ||
	    strcmp(argv[0], "-h") == 0)
		return help(ctl, argc - 1, argv + 1);
	if (strcmp(argv[0], "version") == 0 || strcmp(argv[0], "--version") == 0) {
		fprintf(ctl->out, "godwitctl %s\n", GODWIT_VERSION);
		return CTL_OK;
	}
	command = command_find(argc, argv, &words);
	if (!command)
		return command_fail(ctl, CTL_USAGE, "no command '%s'; godwitctl help lists them",
				    argv[0]);
	return command->run(ctl, argc - words + 1, argv + words - 1);
}

/* Until the command fails or the user interrupts. */
static enum ctl_exit run_watching(struct ctl *ctl, int argc, char **argv)
{
	bool screen = isatty(fileno(ctl->out));
	enum ctl_exit code;

	for (;;) {
		if (screen)
			fputs("\033[H\033[2J", ctl->out);
		code = run_once(ctl, argc, argv);
		if (code != CTL_OK || fflush(ctl->out) != 0)
			return code;
		ctl->pause(ctl, ctl->watch_ms);
	}
}

enum ctl_exit dispatch(struct ctl *ctl, int argc, char **argv)
{
	return ctl->watch_ms ? run_watching(ctl, argc, argv) : run_once(ctl, argc, argv);
}
