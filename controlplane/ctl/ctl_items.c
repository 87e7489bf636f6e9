/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands on single items, and on the data port itself, over libgodwit. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/ctl/command.h"
#include "controlplane/ctl/item_arguments.h"
#include "controlplane/ctl/item_view.h"
#include "dataplane/client/godwit.h"

/* More than any value may have: whoever pipes a large file in is told so by the library. */
#define VALUE_READ_MAX (1u << 20)

/* How the words of a command become an operation. */
struct item_command {
	const char *name;
	enum godwit_opcode opcode;
	unsigned int options;
	uint32_t word_min;
	uint32_t word_max;
	int version_at; /* which word is what; -1 = none */
	int value_at;
	int delta_at;
	int ttl_at;
};

static const struct item_command item_commands[] = {
	{ "get", GODWIT_OP_GET, ITEM_OPTION_RAW, 1, 1, -1, -1, -1, -1 },
	{ "set", GODWIT_OP_SET, ITEM_OPTION_TTL, 2, 2, -1, 1, -1, -1 },
	{ "add", GODWIT_OP_ADD, ITEM_OPTION_TTL, 2, 2, -1, 1, -1, -1 },
	{ "replace", GODWIT_OP_REPLACE, ITEM_OPTION_TTL, 2, 2, -1, 1, -1, -1 },
	{ "cas", GODWIT_OP_CAS, ITEM_OPTION_TTL, 3, 3, 1, 2, -1, -1 },
	{ "delete", GODWIT_OP_DELETE, ITEM_OPTION_VERSION, 1, 1, -1, -1, -1, -1 },
	{ "increment", GODWIT_OP_INCREMENT, ITEM_OPTION_INITIAL | ITEM_OPTION_TTL, 1, 2, -1, -1, 1,
	  -1 },
	{ "append", GODWIT_OP_APPEND, 0, 2, 2, -1, 1, -1, -1 },
	{ "touch", GODWIT_OP_TOUCH, 0, 2, 2, -1, -1, -1, 1 },
	{ "get-and-touch", GODWIT_OP_GET_AND_TOUCH, ITEM_OPTION_RAW, 2, 2, -1, -1, -1, 1 },
	{ "exists", GODWIT_OP_EXISTS, 0, 1, 1, -1, -1, -1, -1 },
	{ "ttl", GODWIT_OP_TTL, 0, 1, 1, -1, -1, -1, -1 },
};

static const struct item_command *find_item_command(const char *name)
{
	const struct item_command *command = item_commands;

	while (strcmp(command->name, name) != 0)
		command++;
	return command;
}

/* ---- from words to an operation ---- */

/* Reads standard input to its end into '*bytes', which the caller frees. */
static enum ctl_exit read_input(struct ctl *ctl, char **bytes, size_t *size)
{
	*bytes = malloc(VALUE_READ_MAX);
	if (!*bytes)
		return command_fail(ctl, CTL_ERROR, "out of memory");
	*size = fread(*bytes, 1, VALUE_READ_MAX, stdin);
	if (ferror(stdin))
		return command_fail(ctl, CTL_ERROR, "cannot read the value from standard input: %s",
				    strerror(errno));
	return CTL_OK;
}

static enum ctl_exit set_value(struct ctl *ctl, const char *word,
			       struct godwit_operation *operation, char **input)
{
	enum ctl_exit code = CTL_OK;

	operation->value = word;
	operation->value_size = strlen(word);
	if (strcmp(word, "-") == 0) {
		code = read_input(ctl, input, &operation->value_size);
		operation->value = *input;
	}
	return code;
}

static enum ctl_exit fill_operation(struct ctl *ctl, const struct item_command *command,
				    const struct item_arguments *arguments,
				    struct godwit_operation *operation, char **input)
{
	const char *const *words = arguments->words;

	operation->opcode = command->opcode;
	operation->key = words[0];
	operation->key_size = strlen(words[0]);
	operation->ttl_ms = arguments->ttl_ms;
	operation->version = arguments->version;
	operation->has_initial = arguments->has_initial;
	operation->initial = arguments->initial;
	operation->delta = 1;
	if (operation->key_size == 0 || operation->key_size > GODWIT_KEY_SIZE_MAX)
		return command_usage(ctl, command->name, "a key has 1 to %d bytes",
				     GODWIT_KEY_SIZE_MAX);
	if (command->version_at > 0 &&
	    !item_version_read(words[command->version_at], &operation->version))
		return command_usage(ctl, command->name, "'%s' is not a version",
				     words[command->version_at]);
	if (command->delta_at > 0 && words[command->delta_at] &&
	    !item_number_read(words[command->delta_at], &operation->delta))
		return command_usage(ctl, command->name, "'%s' is not a number",
				     words[command->delta_at]);
	if (command->ttl_at > 0 && !item_ttl_read(words[command->ttl_at], &operation->ttl_ms))
		return command_usage(ctl, command->name,
				     "'%s' is not a time such as 250ms, 10s, 5m, 1h, or never",
				     words[command->ttl_at]);
	if (operation->ttl_ms && operation->opcode == GODWIT_OP_INCREMENT &&
	    !operation->has_initial)
		return command_usage(
			ctl, command->name,
			"--ttl goes with --initial: an existing item keeps its expiry");
	return command->value_at > 0 ? set_value(ctl, words[command->value_at], operation, input)
				     : CTL_OK;
}

/* ---- running it ---- */

static enum ctl_exit open_client(struct ctl *ctl, bool no_wait, struct godwit **client)
{
	struct godwit_options options = GODWIT_OPTIONS_INIT;
	enum godwit_status status;

	options.no_wait = no_wait;
	options.connect_timeout_ms = ctl->timeout_ms;
	options.timeout_ms =
		ctl->timeout_ms < GODWIT_TIMEOUT_MS_MAX ? ctl->timeout_ms : GODWIT_TIMEOUT_MS_MAX;
	status = godwit_open(client, ctl->server, &options);
	if (status == GODWIT_OK)
		return CTL_OK;
	if (status == GODWIT_INVALID_ARGUMENT)
		return command_fail(ctl, CTL_USAGE, "--server %s: expected IPV4[:PORT]",
				    ctl->server);
	if (status == GODWIT_SYSTEM_ERROR)
		return command_fail(ctl, CTL_ERROR, "%s: %s", godwit_status_text(status),
				    strerror(errno));
	return command_fail(ctl, item_view_exit(status), "%s: %s; does godwitd run there?",
			    ctl->server, godwit_status_text(status));
}

static enum ctl_exit execute(struct ctl *ctl, const struct godwit_operation *operation, bool is_raw)
{
	struct godwit_result result;
	struct godwit *client;
	enum ctl_exit code = open_client(ctl, false, &client);

	if (code != CTL_OK)
		return code;
	godwit_execute(client, operation, 1, &result);
	code = item_view_result(ctl, operation, &result, is_raw);
	godwit_close(client);
	return code;
}

static enum ctl_exit run_item(struct ctl *ctl, int argc, char **argv)
{
	const struct item_command *command = find_item_command(argv[0]);
	struct godwit_operation operation = { 0 };
	struct item_arguments arguments;
	char *input = NULL;
	enum ctl_exit code = item_arguments_read(ctl, argc, argv, command->options, &arguments);

	if (code != CTL_OK)
		return code;
	if (arguments.word_count < command->word_min)
		return command_usage(ctl, argv[0], "too few arguments");
	if (arguments.word_count > command->word_max)
		return command_usage(ctl, argv[0], "unexpected argument '%s'",
				     arguments.words[command->word_max]);
	code = fill_operation(ctl, command, &arguments, &operation, &input);
	if (code == CTL_OK)
		code = execute(ctl, &operation, arguments.is_raw);
	free(input);
	return code;
}

static enum ctl_exit run_ping(struct ctl *ctl, int argc, char **argv)
{
	uint64_t round_trip_us = 0;
	enum godwit_status status;
	struct godwit *client;
	enum ctl_exit code;

	if (argc != 1)
		return command_usage(ctl, argv[0], "unexpected argument '%s'", argv[1]);
	code = open_client(ctl, true, &client);
	if (code != CTL_OK)
		return code;
	status = godwit_ping(client, NULL, &round_trip_us);
	godwit_close(client);
	if (status != GODWIT_OK)
		return command_fail(ctl, item_view_exit(status), "%s: %s", ctl->server,
				    godwit_status_text(status));
	item_view_ping(ctl, round_trip_us);
	return CTL_OK;
}

static enum ctl_exit run_info(struct ctl *ctl, int argc, char **argv)
{
	struct godwit *client;
	enum ctl_exit code;

	if (argc != 1)
		return command_usage(ctl, argv[0], "unexpected argument '%s'", argv[1]);
	code = open_client(ctl, false, &client);
	if (code != CTL_OK)
		return code;
	code = item_view_info(ctl, client);
	godwit_close(client);
	return code;
}

#define VALUE_DETAILS                                                                              \
	"VALUE '-' is read from standard input. TIME is 250ms, 10s, 5m, 1h, a number of seconds, " \
	"or never.\n"
#define TIME_DETAILS "TIME is 250ms, 10s, 5m, 1h, a number of seconds, or never.\n"

const struct command commands_items[] = {
	{ "get", "KEY [--raw]", "print the value of a key",
	  "Control characters are printed as \\xNN; --raw prints the bytes as they are and no "
	  "newline.\n",
	  run_item },
	{ "set", "KEY VALUE [--ttl TIME]", "store a value", VALUE_DETAILS, run_item },
	{ "add", "KEY VALUE [--ttl TIME]", "store a value if the key is absent", VALUE_DETAILS,
	  run_item },
	{ "replace", "KEY VALUE [--ttl TIME]", "store a value if the key is present", VALUE_DETAILS,
	  run_item },
	{ "cas", "KEY VERSION VALUE [--ttl TIME]", "store a value if the item has this version",
	  VALUE_DETAILS, run_item },
	{ "delete", "KEY [--version VERSION]", "delete a key, or only that version of it", NULL,
	  run_item },
	{ "increment", "KEY [DELTA] [--initial NUMBER [--ttl TIME]]",
	  "add DELTA (1) to a number and print it",
	  "An absent key is not found, or is stored as --initial without adding DELTA.\n",
	  run_item },
	{ "append", "KEY VALUE", "add bytes at the end of a value",
	  "VALUE '-' is read from standard input.\n", run_item },
	{ "touch", "KEY TIME", "let a key expire after TIME", TIME_DETAILS, run_item },
	{ "get-and-touch", "KEY TIME [--raw]", "print a value and let it expire after TIME",
	  TIME_DETAILS, run_item },
	{ "exists", "KEY", "tell whether a key is there, and its version", NULL, run_item },
	{ "ttl", "KEY", "print the time a key has left", NULL, run_item },
	{ "ping", "", "measure a round trip to the data port", NULL, run_ping },
	{ "info", "", "show the partition map and the limits of the data port", NULL, run_info },
	{ NULL, NULL, NULL, NULL, NULL },
};
