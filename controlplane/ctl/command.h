/* SPDX-License-Identifier: BSD-3-Clause */
/* One command of godwitctl: a row of a table, from which parsing, help and dispatch come. */
#ifndef CONTROLPLANE_CTL_COMMAND_H
#define CONTROLPLANE_CTL_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What godwitctl exits with; scripts may rely on it. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_NO = 1,          /* a definite no: key not found, condition not met */
	CTL_USAGE = 2,       /* the command line is wrong; nothing was sent */
	CTL_UNREACHABLE = 3, /* no answer from the server; nothing was done */
	CTL_UNKNOWN = 4,     /* sent, no answer: it may or may not have been done */
	CTL_ERROR = 5,       /* the server refused or failed, and said so */
};

enum ctl_output {
	CTL_OUTPUT_TABLE,
	CTL_OUTPUT_JSON,
};

/* The options all commands share, where to print, and how to wait. Strings are borrowed from argv and the
 * environment.
 */
struct ctl {
	const char *server;     /* data address of a node, "IPV4[:PORT]": item commands */
	const char *admin;      /* HTTP address of a node, "HOST:PORT": node and cluster commands */
	const char *token_file; /* its first line is sent as the bearer token; NULL = none */
	enum ctl_output output;
	uint32_t timeout_ms;
	uint32_t watch_ms; /* repeat the command after so long; 0 = once */
	FILE *out;
	FILE *err;
	void (*pause)(struct ctl *ctl, uint32_t ms); /* sleeps; a test's own time passes at once */
};

struct command {
	const char *name;      /* one word, or two for a group: "get", "partition list" */
	const char *arguments; /* as help shows them: "KEY VALUE [--ttl TIME]"; "" = none */
	const char *help;      /* one line */
	const char *details;   /* more for `godwitctl help NAME`, whole lines; NULL = none */

	/* argv[0] is the last word of the name; global options are gone from argv, of which words may be
	 * taken out. Prints results to ctl->out and one line that says what went wrong to ctl->err.
	 */
	enum ctl_exit (*run)(struct ctl *ctl, int argc, char **argv);
};

/* Each file of commands exports one table, terminated by a NULL name; commands.c lists the tables.
 */
extern const struct command commands_items[];
extern const struct command commands_node[];
extern const struct command commands_cluster[];
extern const struct command commands_migrations[];

/* All tables, terminated by NULL. */
extern const struct command *const command_tables[];

/* The command that argv[0] (and argv[1]) name; '*words' = how many of them. NULL when there is
 * none.
 */
const struct command *command_find(int argc, char **argv, int *words);

/* The list of commands with one line each. */
void command_print_all(FILE *out);

/* Usage and details of one command. */
void command_print(FILE *out, const struct command *command);

/* Prints what is wrong with the arguments and the command's usage to ctl->err; returns CTL_USAGE.
 * 'name' is a command of the table.
 */
enum ctl_exit command_usage(struct ctl *ctl, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Takes 'word' out of argv[1..], which becomes shorter; whether it was there. */
bool command_take_word(int *argc, char **argv, const char *word);

/* Reads a partition's number; false when 'text' is none. Whether there is such a partition is for the node to say. */
bool command_read_partition(const char *text, json_int_t *partition);

/* What ctl->pause is, unless a test says otherwise. */
void command_pause(struct ctl *ctl, uint32_t ms);

/* Begins a line of progress, which overwrites the one before; false when nobody watches: print none. */
bool command_begin_progress(struct ctl *ctl);

/* Prints 'json' to ctl->out. CTL_OK, or CTL_ERROR after a line to ctl->err. */
enum ctl_exit command_print_json(struct ctl *ctl, const json_t *json);

/* Prints 'godwitctl: ' and one line to ctl->err; returns 'code'. */
enum ctl_exit command_fail(struct ctl *ctl, enum ctl_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
