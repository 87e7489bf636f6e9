/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of command tables, and what can be told from them. */
#include "controlplane/ctl/command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/ctl/printable.h"

const struct command *const command_tables[] = {
	commands_items, commands_node, commands_cluster, commands_migrations, NULL,
};

/* How many leading words of argv spell 'name', 0 when they do not. */
static int words_matching(const char *name, int argc, char **argv)
{
	int words = 0;

	for (const char *at = name; *at; words++) {
		size_t size = strcspn(at, " ");

		if (words == argc || strlen(argv[words]) != size ||
		    strncmp(argv[words], at, size) != 0)
			return 0;
		at += size;
		at += strspn(at, " ");
	}
	return words;
}

const struct command *command_find(int argc, char **argv, int *words)
{
	const struct command *found = NULL;

	*words = 0;
	for (const struct command *const *table = command_tables; *table; table++) {
		for (const struct command *command = *table; command->name; command++) {
			int matching = words_matching(command->name, argc, argv);

			if (matching > *words) {
				*words = matching;
				found = command;
			}
		}
	}
	return found;
}

void command_print_all(FILE *out)
{
	for (const struct command *const *table = command_tables; *table; table++) {
		for (const struct command *command = *table; command->name; command++) {
			int width = (int)strlen(command->name) + (command->arguments[0] != '\0');
			int rest = 30 - width;

			fprintf(out, "  %s%s%-*s %s\n", command->name,
				command->arguments[0] ? " " : "", rest > 0 ? rest : 0,
				command->arguments, command->help);
		}
	}
}

void command_print(FILE *out, const struct command *command)
{
	fprintf(out, "usage: godwitctl [global options] %s%s%s\n%s\n", command->name,
		command->arguments[0] ? " " : "", command->arguments, command->help);
	if (command->details)
		fprintf(out, "\n%s", command->details);
}

static void print_line(struct ctl *ctl, const char *format, va_list arguments)
{
	fputs("godwitctl: ", ctl->err);
	printable_vprint(ctl->err, format, arguments);
	fputc('\n', ctl->err);
}

enum ctl_exit command_usage(struct ctl *ctl, const char *name, const char *format, ...)
{
	char copy[64];
	char *argv[2] = { copy, NULL };
	const struct command *command;
	va_list arguments;
	char *space;
	int words;

	va_start(arguments, format);
	print_line(ctl, format, arguments);
	va_end(arguments);
	snprintf(copy, sizeof(copy), "%s", name);
	space = strchr(copy, ' ');
	if (space) {
		*space = '\0';
		argv[1] = space + 1;
	}
	command = command_find(space ? 2 : 1, argv, &words);
	if (command)
		fprintf(ctl->err, "usage: godwitctl %s%s%s\n", command->name,
			command->arguments[0] ? " " : "", command->arguments);
	return CTL_USAGE;
}

enum ctl_exit command_fail(struct ctl *ctl, enum ctl_exit code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print_line(ctl, format, arguments);
	va_end(arguments);
	return code;
}

bool command_take_word(int *argc, char **argv, const char *word)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], word) != 0)
			continue;
		memmove(argv + i, argv + i + 1, (size_t)(*argc - i) * sizeof(*argv));
		--*argc;
		return true;
	}
	return false;
}

bool command_read_partition(const char *text, json_int_t *partition)
{
	char *end;

	errno = 0;
	*partition = strtoll(text, &end, 10);
	return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

void command_pause(struct ctl *ctl, uint32_t ms)
{
	const struct timespec time = { ms / 1000, (long)(ms % 1000) * 1000000 };

	(void)ctl;
	nanosleep(&time, NULL);
}

bool command_begin_progress(struct ctl *ctl)
{
	if (ctl->output != CTL_OUTPUT_TABLE || !isatty(fileno(ctl->out)))
		return false;
	fputs("\r\033[K", ctl->out);
	return true;
}

enum ctl_exit command_print_json(struct ctl *ctl, const json_t *json)
{
	if (json_dumpf(json, ctl->out, JSON_INDENT(2)) != 0)
		return command_fail(ctl, CTL_ERROR, "cannot write the output");
	fputc('\n', ctl->out);
	return CTL_OK;
}
