/* SPDX-License-Identifier: BSD-3-Clause */
/* The options that all godwitctl commands share: one table. */
#include "controlplane/ctl/global_options.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define WATCH_DEFAULT_MS 1000u
#define TIMEOUT_DEFAULT_MS 2000u

struct global_option {
	const char *name;
	char letter;          /* 0 = none */
	const char *argument; /* as help shows it; NULL = none */
	const char *help;
	bool (*apply)(struct ctl *ctl, const char *value); /* false = 'value' is not 'argument' */
};

static bool apply_server(struct ctl *ctl, const char *value)
{
	ctl->server = value;
	return true;
}

static bool apply_admin(struct ctl *ctl, const char *value)
{
	ctl->admin = value;
	return true;
}

static bool apply_token_file(struct ctl *ctl, const char *value)
{
	ctl->token_file = value;
	return true;
}

static bool apply_output(struct ctl *ctl, const char *value)
{
	bool json = strcmp(value, "json") == 0;

	ctl->output = json ? CTL_OUTPUT_JSON : CTL_OUTPUT_TABLE;
	return json || strcmp(value, "table") == 0;
}

static bool apply_timeout(struct ctl *ctl, const char *value)
{
	return duration_parse(value, &ctl->timeout_ms) == 0 && ctl->timeout_ms > 0;
}

static bool apply_watch(struct ctl *ctl, const char *value)
{
	(void)value;
	ctl->watch_ms = WATCH_DEFAULT_MS;
	return true;
}

static const struct global_option options[] = {
	{ "server", 's', "IPV4[:PORT]", "data address of a node (10.77.0.2:7700, $GODWIT_SERVER)",
	  apply_server },
	{ "admin", 'a', "HOST:PORT", "admin address of a node (127.0.0.1:7780, $GODWIT_ADMIN)",
	  apply_admin },
	{ "token-file", 0, "FILE", "bearer token for the admin address ($GODWIT_TOKEN_FILE)",
	  apply_token_file },
	{ "output", 'o', "table|json", "how to print (table)", apply_output },
	{ "timeout", 0, "TIME", "give up after so long: 250ms, 2s, ... (2s)", apply_timeout },
	{ "watch", 'w', NULL, "repeat every second until interrupted", apply_watch },
};
#define OPTION_COUNT (sizeof(options) / sizeof(options[0]))

int duration_parse(const char *text, uint32_t *ms)
{
	static const struct {
		const char *suffix;
		uint64_t ms;
	} units[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "", 1000 } };
	unsigned long long number;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &end, 10);
	for (size_t i = 0; errno == 0 && i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(end, units[i].suffix) != 0)
			continue;
		if (number > UINT32_MAX / units[i].ms)
			return -EINVAL;
		*ms = (uint32_t)(number * units[i].ms);
		return 0;
	}
	return -EINVAL;
}

void global_options_init(struct ctl *ctl)
{
	const char *server = getenv("GODWIT_SERVER");
	const char *admin = getenv("GODWIT_ADMIN");

	*ctl = (struct ctl){
		.server = server ? server : "10.77.0.2:7700",
		.admin = admin ? admin : "127.0.0.1:7780",
		.token_file = getenv("GODWIT_TOKEN_FILE"),
		.timeout_ms = TIMEOUT_DEFAULT_MS,
		.out = stdout,
		.err = stderr,
		.pause = command_pause,
	};
}

/* The option 'word' spells; '*value' = what stands behind '=' or behind the letter, NULL when
 * nothing does.
 */
static const struct global_option *option_find(const char *word, const char **value)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		size_t size = strlen(options[i].name);

		if (word[0] == '-' && word[1] == '-' &&
		    strncmp(word + 2, options[i].name, size) == 0 &&
		    (word[2 + size] == '\0' || word[2 + size] == '=')) {
			*value = word[2 + size] == '=' ? word + 3 + size : NULL;
			return &options[i];
		}
		if (options[i].letter && word[0] == '-' && word[1] == options[i].letter &&
		    (word[2] == '\0' || options[i].argument)) {
			*value = word[2] ? word + 2 : NULL;
			return &options[i];
		}
	}
	return NULL;
}

static enum ctl_exit option_apply(struct ctl *ctl, const struct global_option *option,
				  const char *value)
{
	if (option->argument && !value)
		return command_fail(ctl, CTL_USAGE, "--%s needs %s", option->name,
				    option->argument);
	if (!option->argument && value)
		return command_fail(ctl, CTL_USAGE, "--%s takes no value", option->name);
	if (!option->apply(ctl, value))
		return command_fail(ctl, CTL_USAGE, "--%s %s: expected %s", option->name, value,
				    option->argument);
	return CTL_OK;
}

enum ctl_exit global_options_take(struct ctl *ctl, int *argc, char **argv)
{
	int kept = 1;

	for (int at = 1; at < *argc; at++) {
		const struct global_option *option;
		const char *value = NULL;

		if (strcmp(argv[at], "--") == 0) {
			while (at < *argc)
				argv[kept++] = argv[at++];
			break;
		}
		option = option_find(argv[at], &value);
		if (!option) {
			argv[kept++] = argv[at];
			continue;
		}
		if (option->argument && !value && at + 1 < *argc)
			value = argv[++at];
		if (option_apply(ctl, option, value) != CTL_OK)
			return CTL_USAGE;
	}
	*argc = kept;
	argv[kept] = NULL;
	return CTL_OK;
}

void global_options_print(FILE *out)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct global_option *option = &options[i];
		char left[48];

		snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->letter ? '-' : ' ',
			 option->letter ? option->letter : ' ', option->letter ? ", " : "  ",
			 option->name, option->argument ? " " : "",
			 option->argument ? option->argument : "");
		fprintf(out, "  %-28s %s\n", left, option->help);
	}
}
